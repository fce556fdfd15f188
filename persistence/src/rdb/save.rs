//! Values → bytes. Packed encodings are copied as they are, where the dialect has them.

use std::io::{self, Write};

use engine::ds::element::Field;
use engine::ds::listpack::Listpack;
use engine::ds::quicklist::NodeView;
use engine::ds::table::Table;
use engine::keyspace::{CollectionRef, Ref, ValueRef};
use engine::types::string::StrRef;
use engine::types::{Hash, List, Set, Stream, Value, Zset};

use super::dialect::{FieldDeadlines, Target};
use super::format::{container, kind};
use super::output::Output;
use super::stream;
use engine::ds::listpack::Elem;

/// A value that is being saved: one of the keyspace, or one by itself.
#[derive(Debug, Clone, Copy)]
pub enum Saved<'a> {
    /// A string.
    String(Elem<'a>),
    /// Anything else, in the keyspace.
    Kept(CollectionRef<'a>),
    /// Anything else, by itself.
    Own(&'a Value),
}

impl<'a> From<ValueRef<'a>> for Saved<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::String(StrRef::Int(n)) => Saved::String(Elem::Int(n)),
            ValueRef::String(StrRef::Bytes(bytes)) => Saved::String(Elem::Str(bytes)),
            ValueRef::Other(other) => Saved::Kept(other),
        }
    }
}

impl<'a> From<&'a Value> for Saved<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(string) => ValueRef::String(string.as_ref()).into(),
            value => Saved::Own(value),
        }
    }
}

/// A collection of one type, wherever it lies.
pub(crate) enum Held<'a, T> {
    Kept(Ref<'a, T>),
    Own(&'a T),
}

impl<T> std::ops::Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self {
            Held::Kept(value) => value,
            Held::Own(value) => value,
        }
    }
}

impl<'a> Saved<'a> {
    /// The collection, if it is of this type.
    pub(crate) fn get<T: engine::types::Collection>(self) -> Option<Held<'a, T>> {
        match self {
            Saved::String(_) => None,
            Saved::Kept(value) => value.get().map(Held::Kept),
            Saved::Own(value) => T::of(value).map(Held::Own),
        }
    }
}

/// Writes the type of a value, its key if it has one (in a payload it has none), then the value.
pub(crate) fn save_value<W: Write>(
    out: &mut Output<W>,
    value: Saved<'_>,
    key: Option<&[u8]>,
    target: &mut Target,
) -> io::Result<()> {
    if let Saved::String(string) = value {
        begin(out, kind::STRING, key)?;
        out.element(string)?;
    } else if let Some(hash) = value.get::<Hash>() {
        save_hash(out, &hash, key, target)?;
    } else if let Some(zset) = value.get::<Zset>() {
        save_zset(out, &zset, key, target)?;
    } else if let Some(set) = value.get::<Set>() {
        save_set(out, &set, key, target)?;
    } else if let Some(list) = value.get::<List>() {
        save_list(out, &list, key, target)?;
    } else if let Some(stream) = value.get::<Stream>() {
        let form = stream::form(target.dialect);
        begin(out, form, key)?;
        stream::save(out, &stream, form)?;
    } else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a value of a type that has no form in RDB"));
    }
    out.drain_if_full()
}

/// The deadlines of a hash's fields, if the dialect has no form for them: they are left out, and with them the fields whose
/// time has passed. Whether nothing is left then.
pub(crate) fn give_up_deadlines(value: Saved<'_>, key: &[u8], target: &mut Target) -> io::Result<bool> {
    if target.dialect.field_deadlines() != FieldDeadlines::None {
        return Ok(false);
    }
    let Some(hash) = value.get::<Hash>() else { return Ok(false) };
    if !may_have_deadlines(&hash) {
        return Ok(false);
    }
    let deadlines = hash.iter_stored().filter(|field| field.deadline.is_some()).count() as u64;
    if deadlines > 0 {
        let what = "deadlines of hash fields";
        target.give_up(what, Some(key), |dropped| dropped.field_deadlines += deadlines)?;
    }
    Ok(!hash.iter_stored().any(|field| target.keeps(field.deadline)))
}

fn may_have_deadlines(hash: &Hash) -> bool {
    matches!(hash, Hash::ListpackEx(_) | Hash::TableEx(_))
}

fn begin<W: Write>(out: &mut Output<W>, kind: u8, key: Option<&[u8]>) -> io::Result<()> {
    out.byte(kind);
    key.map_or(Ok(()), |key| out.string(key))
}

fn save_list<W: Write>(out: &mut Output<W>, list: &List, key: Option<&[u8]>, target: &Target) -> io::Result<()> {
    if !target.dialect.has_listpacks() {
        begin(out, kind::LIST, key)?;
        out.length(list.len() as u64);
        let mut result = Ok(());
        list.for_range(0, list.len(), |element| {
            if result.is_ok() {
                result = out.element(element).and_then(|()| out.drain_if_full());
            }
        });
        return result;
    }
    begin(out, kind::LIST_QUICKLIST_2, key)?;
    let quick = match list {
        List::Listpack(pack) => {
            out.length(1);
            out.length(container::PACKED);
            return out.string(pack.as_bytes());
        }
        List::Quick(quick) => quick,
    };
    let nodes = quick.nodes();
    out.length(nodes.len() as u64);
    for node in nodes {
        match node {
            NodeView::Packed(bytes) => {
                out.length(container::PACKED);
                out.string(bytes)?;
            }
            NodeView::Plain(bytes) => {
                out.length(container::PLAIN);
                out.string(bytes)?;
            }
            NodeView::Compressed { plain, raw_len, lzf } => {
                out.length(if plain { container::PLAIN } else { container::PACKED });
                out.lzf(lzf, raw_len)?;
            }
        }
        out.drain_if_full()?;
    }
    Ok(())
}

fn save_set<W: Write>(out: &mut Output<W>, set: &Set, key: Option<&[u8]>, target: &Target) -> io::Result<()> {
    match set {
        Set::Int(ints) => {
            begin(out, kind::SET_INTSET, key)?;
            out.string(ints.as_bytes())
        }
        Set::Listpack(pack) if target.dialect.has_packed_sets() => save_pack(out, kind::SET_LISTPACK, pack, key),
        Set::Listpack(pack) => {
            begin(out, kind::SET, key)?;
            out.length(pack.len() as u64);
            pack.iter().try_for_each(|member| out.element(member))
        }
        Set::Table(table) => {
            begin(out, kind::SET, key)?;
            out.length(table.len() as u64);
            for member in table.iter() {
                out.string(member)?;
                out.drain_if_full()?;
            }
            Ok(())
        }
    }
}

fn save_hash<W: Write>(out: &mut Output<W>, hash: &Hash, key: Option<&[u8]>, target: &Target) -> io::Result<()> {
    match (hash, target.dialect.field_deadlines()) {
        (Hash::Listpack(pack), _) if target.dialect.has_listpacks() => save_pack(out, kind::HASH_LISTPACK, pack, key),
        (Hash::Table(table), _) => save_fields(out, table, key),
        (Hash::ListpackEx(pack), FieldDeadlines::Redis) => {
            begin(out, kind::HASH_LISTPACK_EX, key)?;
            out.raw(&pack.next_deadline().unwrap_or(0).to_le_bytes());
            out.string(pack.listpack().as_bytes())
        }
        (Hash::TableEx(fields), FieldDeadlines::Redis) => {
            let table = fields.table();
            let Some(earliest) = table.iter().filter_map(|pair| pair.deadline).min() else {
                return save_fields(out, table, key);
            };
            begin(out, kind::HASH_METADATA, key)?;
            out.raw(&earliest.to_le_bytes());
            out.length(table.len() as u64);
            for pair in table.iter() {
                // How much later than the earliest, plus one; 0 is no deadline.
                out.length(pair.deadline.map_or(0, |at| (at - earliest) as u64 + 1));
                out.string(pair.field)?;
                out.string(pair.value)?;
                out.drain_if_full()?;
            }
            Ok(())
        }
        (hash, form) => save_stored(out, hash, key, form, target),
    }
}

/// A hash as its fields one by one, in a form that is not Redis' newest.
fn save_stored<W: Write>(
    out: &mut Output<W>,
    hash: &Hash,
    key: Option<&[u8]>,
    form: FieldDeadlines,
    target: &Target,
) -> io::Result<()> {
    let timed = form == FieldDeadlines::Valkey && may_have_deadlines(hash);
    let timed = timed && hash.iter_stored().any(|field| field.deadline.is_some());
    // Valkey's type of hashes with deadlines has the number of Redis' from before release.
    begin(out, if timed { kind::HASH_METADATA_PRE_GA } else { kind::HASH }, key)?;
    let kept = || hash.iter_stored().filter(|field| timed || target.keeps(field.deadline));
    out.length(kept().count() as u64);
    for field in kept() {
        out.element(field.field)?;
        out.element(field.value)?;
        if timed {
            out.raw(&field.deadline.map_or(-1, |at| at.0).to_le_bytes());
        }
        out.drain_if_full()?;
    }
    Ok(())
}

fn save_fields<W: Write>(out: &mut Output<W>, table: &Table<Field>, key: Option<&[u8]>) -> io::Result<()> {
    begin(out, kind::HASH, key)?;
    out.length(table.len() as u64);
    for pair in table.iter() {
        out.string(pair.field)?;
        out.string(pair.value)?;
        out.drain_if_full()?;
    }
    Ok(())
}

fn save_zset<W: Write>(out: &mut Output<W>, zset: &Zset, key: Option<&[u8]>, target: &Target) -> io::Result<()> {
    match zset {
        Zset::Listpack(pack) if target.dialect.has_listpacks() => save_pack(out, kind::ZSET_LISTPACK, pack, key),
        Zset::Listpack(_) => {
            begin(out, kind::ZSET_2, key)?;
            out.length(zset.len() as u64);
            zset.iter().try_for_each(|(member, score)| {
                out.element(member)?;
                out.raw(&score.to_le_bytes());
                Ok(())
            })
        }
        Zset::Tree(tree) => {
            begin(out, kind::ZSET_2, key)?;
            out.length(tree.len() as u64);
            // From the last to the first, as Redis does.
            for member in tree.range_back(0..tree.len()) {
                out.string(member.name)?;
                out.raw(&member.score.to_le_bytes());
                out.drain_if_full()?;
            }
            Ok(())
        }
    }
}

fn save_pack<W: Write>(out: &mut Output<W>, kind: u8, pack: &Listpack, key: Option<&[u8]>) -> io::Result<()> {
    begin(out, kind, key)?;
    out.string(pack.as_bytes())
}
