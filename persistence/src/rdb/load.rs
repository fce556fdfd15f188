//! Bytes → values, in every form that Redis ever wrote. Packed encodings are examined, then copied as they are.

use engine::config::EngineConfig;
use engine::ds::hash::hash;
use engine::ds::intset::{self, IntSet};
use engine::ds::listpack::{self, Elem, ElemBuf, Listpack};
use engine::ds::quicklist::{End, Fill, Quicklist};
use engine::ds::sorted_set::SortedSet;
use engine::keyspace::Incoming;
use engine::time::UnixMs;
use engine::types::hash::{FIELD_DEADLINE_MAX, FieldExpiry};
use engine::types::{Hash, List, Set, Value, Zset};

use super::error::RdbError;
use super::format::{container, kind, module};
use super::input::{Input, Source};
use super::{legacy, stream};

/// How much of a packed encoding is examined before it is believed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// That every element lies within it and that they are as many as it tells: nothing can go wrong in reading it. Elements
    /// may be out of order or there twice, which shows in the replies.
    Structure,
    /// Order and uniqueness, too: what passes is what a server could have written.
    Full,
}

/// Elements for which room is made at once when the length of the input is not known.
const RESERVE_MAX: u64 = 1 << 16;

/// Reads a value of this type. `valkey` tells whose numbers of types these are, where they differ.
pub(crate) fn load_value<'a, S: Source>(
    input: &'a mut Input<S>,
    kind: u8,
    valkey: bool,
    config: &EngineConfig,
    integrity: Integrity,
) -> Result<Incoming<'a>, RdbError> {
    let loader = Loader { config, full: integrity == Integrity::Full };
    let value = match kind {
        kind::STRING => return Ok(Incoming::String(input.element()?)),
        kind::LIST => Value::List(loader.list(input)?),
        kind::SET => Value::Set(loader.set(input)?),
        kind::ZSET => Value::Zset(loader.zset(input, score_text)?),
        kind::ZSET_2 => Value::Zset(loader.zset(input, |input| Ok(f64::from_le_bytes(input.array()?)))?),
        kind::HASH => Value::Hash(loader.hash(input)?),
        kind::HASH_ZIPMAP => Value::Hash(loader.hash_zipmap(input)?),
        kind::HASH_ZIPLIST => Value::Hash(loader.hash_ziplist(input)?),
        kind::HASH_LISTPACK => Value::Hash(loader.hash_listpack(input)?),
        kind::LIST_ZIPLIST => Value::List(loader.list_ziplists(input, 1)?),
        kind::LIST_QUICKLIST => {
            let nodes = input.length()?;
            Value::List(loader.list_ziplists(input, nodes)?)
        }
        kind::LIST_QUICKLIST_2 => Value::List(loader.list_quicklist(input)?),
        kind::SET_INTSET => Value::Set(loader.set_intset(input)?),
        kind::SET_LISTPACK => Value::Set(loader.set_listpack(input)?),
        kind::ZSET_ZIPLIST => Value::Zset(loader.zset_ziplist(input)?),
        kind::ZSET_LISTPACK => Value::Zset(loader.zset_listpack(input)?),
        kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
            Value::Stream(stream::load(input, kind)?)
        }
        kind::MODULE_2 => return Err(RdbError::Module(module_name(input.length()?))),
        kind::MODULE_PRE_GA => return Err(RdbError::Corrupt("Pre-release module format not supported")),
        kind::HASH_METADATA_PRE_GA if valkey => Value::Hash(loader.hash_metadata(input, FieldForm::Valkey)?),
        kind::HASH_METADATA_PRE_GA => Value::Hash(loader.hash_metadata(input, FieldForm::Moment)?),
        kind::HASH_METADATA => {
            let earliest = u64::from_le_bytes(input.array()?);
            Value::Hash(loader.hash_metadata(input, FieldForm::Later { earliest })?)
        }
        kind::HASH_LISTPACK_EX_PRE_GA => Value::Hash(loader.hash_listpack_ex(input)?),
        kind::HASH_LISTPACK_EX => {
            // The earliest deadline, which the listpack tells too.
            input.array::<8>()?;
            Value::Hash(loader.hash_listpack_ex(input)?)
        }
        _ => return Err(RdbError::UnknownType(kind)),
    };
    Ok(Incoming::Value(value))
}

/// A score as text with its length; three lengths stand for what has no digits.
fn score_text<S: Source>(input: &mut Input<S>) -> Result<f64, RdbError> {
    match input.byte()? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        len => {
            let text = input.source.bytes(usize::from(len))?;
            resp::number::parse_f64(text).ok_or(RdbError::Corrupt("A score that is no number"))
        }
    }
}

/// The name in a module's number: nine characters of six bits, above ten bits of version.
pub(crate) fn module_name(id: u64) -> Box<str> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|i| char::from(LETTERS[(id >> (58 - 6 * i)) as usize & 63])).collect()
}

/// Passes the parts of a module's value, of which we know the sizes but not the meaning.
pub(crate) fn skip_module<S: Source>(input: &mut Input<S>) -> Result<(), RdbError> {
    loop {
        match input.length()? {
            module::EOF => return Ok(()),
            module::SINT | module::UINT => {
                input.length()?;
            }
            module::FLOAT => {
                input.array::<4>()?;
            }
            module::DOUBLE => {
                input.array::<8>()?;
            }
            module::STRING => {
                input.element()?;
            }
            _ => return Err(RdbError::Corrupt("Unknown part of a module's value")),
        }
    }
}

/// How many elements to make room for, when so many are announced of which each takes at least `bytes`.
fn plausible<S: Source>(input: &Input<S>, count: u64, bytes: u64) -> Result<usize, RdbError> {
    let most = input.source.left().map_or(RESERVE_MAX, |left| left / bytes);
    if input.source.left().is_some() && count > most {
        return Err(RdbError::Truncated);
    }
    Ok(count.min(most) as usize)
}

/// Whether no two elements have the same text.
fn are_unique<'a>(elements: impl Iterator<Item = Elem<'a>> + Clone) -> bool {
    let mut buffer = ElemBuf::new();
    let mut hashes: Vec<u64> = elements.clone().map(|elem| hash(elem.text(&mut buffer))).collect();
    hashes.sort_unstable();
    if !hashes.windows(2).any(|pair| pair[0] == pair[1]) {
        return true;
    }
    let mut texts: Vec<Vec<u8>> = elements.map(Elem::to_vec).collect();
    texts.sort_unstable();
    !texts.windows(2).any(|pair| pair[0] == pair[1])
}

/// Where the deadline of a field stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum FieldForm {
    /// Before the field: how much later than `earliest`, plus one; 0 for none.
    Later { earliest: u64 },
    /// Before the field: the moment; 0 for none.
    Moment,
    /// After the value: the moment in eight bytes; -1 for none.
    Valkey,
}

struct Loader<'c> {
    config: &'c EngineConfig,
    full: bool,
}

impl Loader<'_> {
    /// A listpack of elements, or of groups of them of which the first is unique: its bytes, examined.
    fn listpack<S: Source>(
        &self,
        input: &mut Input<S>,
        group: usize,
        unique: bool,
        what: &'static str,
    ) -> Result<Listpack, RdbError> {
        let mut buffer = ElemBuf::new();
        let bytes = input.element()?.text(&mut buffer);
        let mut count = 0usize;
        if !listpack::validate_with(bytes, true, |_| {
            count += 1;
            true
        }) {
            return Err(RdbError::Corrupt(what));
        }
        let unique = unique && self.full;
        if !count.is_multiple_of(group) || (unique && !are_unique(listpack::Iter::over(bytes).step_by(group))) {
            return Err(RdbError::Corrupt(what));
        }
        let pack = Listpack::from_bytes(bytes).ok_or(RdbError::OutOfMemory)?;
        if pack.is_empty() {
            return Err(RdbError::EmptyKey);
        }
        Ok(pack)
    }

    fn list<S: Source>(&self, input: &mut Input<S>) -> Result<List, RdbError> {
        let count = input.length()?;
        if count == 0 {
            return Err(RdbError::EmptyKey);
        }
        let mut list = List::new();
        for _ in 0..count {
            list.push(End::Tail, input.element()?, self.config);
        }
        list.settle_after_load(self.config);
        Ok(list)
    }

    fn quicklist(&self) -> Quicklist {
        let fill = Fill::new(i64::from(self.config.list_max_listpack_size));
        Quicklist::new(fill, self.config.list_compress_depth)
    }

    fn settled(&self, quick: Quicklist) -> Result<List, RdbError> {
        if quick.is_empty() {
            return Err(RdbError::EmptyKey);
        }
        let mut list = List::Quick(Box::new(quick));
        list.settle_after_load(self.config);
        Ok(list)
    }

    fn list_ziplists<S: Source>(&self, input: &mut Input<S>, nodes: u64) -> Result<List, RdbError> {
        let mut quick = self.quicklist();
        let mut buffer = ElemBuf::new();
        for _ in 0..nodes {
            let elements = legacy::ziplist(input.element()?.text(&mut buffer))
                .ok_or(RdbError::Corrupt("Ziplist integrity check failed."))?;
            quick.push_packed_node(legacy::listpack(&elements));
        }
        self.settled(quick)
    }

    fn list_quicklist<S: Source>(&self, input: &mut Input<S>) -> Result<List, RdbError> {
        const WHAT: &str = "Listpack integrity check failed.";
        let nodes = input.length()?;
        let mut quick = self.quicklist();
        for _ in 0..nodes {
            match input.length()? {
                container::PLAIN => {
                    let mut buffer = ElemBuf::new();
                    let element = input.element()?.text(&mut buffer);
                    if element.is_empty() {
                        return Err(RdbError::Corrupt("Quicklist integrity check failed."));
                    }
                    if !quick.push_plain_node(element) {
                        return Err(RdbError::OutOfMemory);
                    }
                }
                container::PACKED => match self.listpack(input, 1, false, WHAT) {
                    // By far the most frequent: one listpack, which stays one.
                    Ok(pack) if nodes == 1 => {
                        let mut list = List::Listpack(pack);
                        list.settle_after_load(self.config);
                        return Ok(list);
                    }
                    Ok(pack) => quick.push_packed_node(pack),
                    Err(RdbError::EmptyKey) => {}
                    Err(error) => return Err(error),
                },
                _ => return Err(RdbError::Corrupt("Quicklist integrity check failed.")),
            }
        }
        self.settled(quick)
    }

    fn set<S: Source>(&self, input: &mut Input<S>) -> Result<Set, RdbError> {
        let count = input.length()?;
        if count == 0 {
            return Err(RdbError::EmptyKey);
        }
        let room = plausible(input, count, 1)?;
        let mut set = Set::new();
        for i in 0..count {
            let mut buffer = ElemBuf::new();
            let member = input.element()?.text(&mut buffer);
            if i == 0 {
                set.prepare(member, room, self.config);
            }
            if !set.add(member, self.config) {
                return Err(RdbError::Corrupt("Duplicate set members detected"));
            }
        }
        Ok(set)
    }

    fn set_intset<S: Source>(&self, input: &mut Input<S>) -> Result<Set, RdbError> {
        const WHAT: &str = "Intset integrity check failed.";
        let mut buffer = ElemBuf::new();
        let bytes = input.element()?.text(&mut buffer);
        // The order of an intset is what finds its members, and looking is cheap: always.
        if !intset::validate(bytes, true) {
            return Err(RdbError::Corrupt(WHAT));
        }
        let ints = IntSet::from_bytes(bytes).ok_or(RdbError::OutOfMemory)?;
        let outgrown = ints.len() > self.config.set_max_intset_entries;
        let mut set = Set::Int(ints);
        if outgrown {
            set.convert_to_table(0);
        }
        Ok(set)
    }

    fn set_listpack<S: Source>(&self, input: &mut Input<S>) -> Result<Set, RdbError> {
        let pack = self.listpack(input, 1, true, "Set listpack integrity check failed.")?;
        let outgrown = pack.len() > self.config.set_max_listpack_entries;
        if outgrown && !self.full && !are_unique(pack.iter()) {
            return Err(RdbError::Corrupt("Set listpack with dup elements"));
        }
        let mut set = Set::Listpack(pack);
        if outgrown {
            set.convert_to_table(0);
        }
        Ok(set)
    }

    fn hash<S: Source>(&self, input: &mut Input<S>) -> Result<Hash, RdbError> {
        let count = input.length()?;
        if count == 0 {
            return Err(RdbError::EmptyKey);
        }
        let room = plausible(input, count, 2)?;
        let mut result = Hash::new();
        if count > self.config.hash_max_listpack_entries as u64 {
            result.convert_to_table(room);
        }
        let mut name = Vec::new();
        for _ in 0..count {
            let mut buffer = ElemBuf::new();
            name.clear();
            name.extend_from_slice(input.element()?.text(&mut buffer));
            if !result.set(&name, input.element()?.text(&mut buffer), self.config) {
                return Err(RdbError::Corrupt("Duplicate hash fields detected"));
            }
        }
        Ok(result)
    }

    fn hash_zipmap<S: Source>(&self, input: &mut Input<S>) -> Result<Hash, RdbError> {
        let mut buffer = ElemBuf::new();
        const WHAT: &str = "Zipmap integrity check failed.";
        let pairs = legacy::zipmap(input.element()?.text(&mut buffer)).filter(|pairs| !pairs.is_empty());
        self.hash_of_pairs(&pairs.ok_or(RdbError::Corrupt(WHAT))?, "Hash zipmap with dup elements")
    }

    fn hash_ziplist<S: Source>(&self, input: &mut Input<S>) -> Result<Hash, RdbError> {
        const WHAT: &str = "Hash ziplist integrity check failed.";
        let mut buffer = ElemBuf::new();
        let pairs = legacy::ziplist(input.element()?.text(&mut buffer)).ok_or(RdbError::Corrupt(WHAT))?;
        self.hash_of_pairs(&pairs, WHAT)
    }

    fn hash_of_pairs(&self, pairs: &[Elem<'_>], what: &'static str) -> Result<Hash, RdbError> {
        if pairs.is_empty() {
            return Err(RdbError::EmptyKey);
        }
        if !pairs.len().is_multiple_of(2) || !are_unique(pairs.iter().copied().step_by(2)) {
            return Err(RdbError::Corrupt(what));
        }
        let longest = pairs.iter().map(|elem| elem.text_len()).max().unwrap_or(0);
        let mut hash = Hash::Listpack(legacy::listpack(pairs));
        if hash.len() > self.config.hash_max_listpack_entries || longest > self.config.hash_max_listpack_value {
            hash.convert_to_table(0);
        }
        Ok(hash)
    }

    fn hash_listpack<S: Source>(&self, input: &mut Input<S>) -> Result<Hash, RdbError> {
        const WHAT: &str = "Hash listpack integrity check failed.";
        let pack = self.listpack(input, 2, true, WHAT)?;
        let outgrown = pack.len() / 2 > self.config.hash_max_listpack_entries;
        if outgrown && !self.full && !are_unique(pack.iter().step_by(2)) {
            return Err(RdbError::Corrupt("Hash listpack with dup elements"));
        }
        let mut hash = Hash::Listpack(pack);
        if outgrown {
            hash.convert_to_table(0);
        }
        Ok(hash)
    }

    /// Fields with deadlines.
    fn hash_metadata<S: Source>(&self, input: &mut Input<S>, form: FieldForm) -> Result<Hash, RdbError> {
        let count = input.length()?;
        if count == 0 {
            return Err(RdbError::EmptyKey);
        }
        let room = plausible(input, count, 3)?;
        let mut hash = Hash::new();
        hash.allow_deadlines();
        if count > self.config.hash_max_listpack_entries as u64 {
            hash.convert_to_table(room);
        }
        let (mut name, mut text) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut buffer = ElemBuf::new();
            let later = if form == FieldForm::Valkey { 0 } else { input.length()? };
            name.clear();
            name.extend_from_slice(input.element()?.text(&mut buffer));
            text.clear();
            text.extend_from_slice(input.element()?.text(&mut buffer));
            let deadline = match form {
                // Moment 0 is none.
                FieldForm::Later { earliest } if later > 0 => {
                    Some(earliest.saturating_add(later - 1)).filter(|&at| at > 0)
                }
                FieldForm::Moment if later > 0 => Some(later),
                FieldForm::Later { .. } | FieldForm::Moment => None,
                FieldForm::Valkey => match i64::from_le_bytes(input.array()?) {
                    -1 => None,
                    // Long ago: 0 would be none.
                    0 => Some(1),
                    at => Some(at as u64),
                },
            };
            let expiry = match deadline {
                None => FieldExpiry::Clear,
                Some(at) => match i64::try_from(at) {
                    Ok(at) if at <= FIELD_DEADLINE_MAX => FieldExpiry::At(UnixMs(at)),
                    _ => return Err(RdbError::Corrupt("Hash field with a deadline out of range")),
                },
            };
            if !hash.set_with(&name, &text, expiry, self.config) {
                return Err(RdbError::Corrupt("Duplicate hash fields detected"));
            }
        }
        Ok(hash)
    }

    /// Always examined: where something is due is read from it when nobody has asked for a field.
    fn hash_listpack_ex<S: Source>(&self, input: &mut Input<S>) -> Result<Hash, RdbError> {
        let mut buffer = ElemBuf::new();
        let bytes = input.element()?.text(&mut buffer);
        let mut hash =
            Hash::from_listpack_ex(bytes).ok_or(RdbError::Corrupt("Hash listpackex integrity check failed."))?;
        if let Hash::ListpackEx(pack) = &hash
            && self.full
            && pack.listpack().as_bytes() != bytes
        {
            return Err(RdbError::Corrupt("Hash listpackex is not ordered by deadline."));
        }
        if hash.is_empty() {
            return Err(RdbError::EmptyKey);
        }
        if hash.len() > self.config.hash_max_listpack_entries {
            hash.convert_to_table(0);
        }
        Ok(hash)
    }

    fn zset<S: Source>(
        &self,
        input: &mut Input<S>,
        mut score: impl FnMut(&mut Input<S>) -> Result<f64, RdbError>,
    ) -> Result<Zset, RdbError> {
        let count = input.length()?;
        if count == 0 {
            return Err(RdbError::EmptyKey);
        }
        let mut tree = SortedSet::with_capacity(plausible(input, count, 2)?);
        let (mut name, mut longest) = (Vec::new(), 0);
        for _ in 0..count {
            let mut buffer = ElemBuf::new();
            name.clear();
            name.extend_from_slice(input.element()?.text(&mut buffer));
            let score = score(input)?;
            if score.is_nan() {
                return Err(RdbError::Corrupt("Zset with NAN score detected"));
            }
            longest = longest.max(name.len());
            if tree.insert(&name, score) != engine::types::zset::Updated::Added {
                return Err(RdbError::Corrupt("Zset with duplicate fields detected"));
            }
        }
        let mut zset = Zset::Tree(Box::new(tree));
        zset.shrink(longest, self.config);
        Ok(zset)
    }

    fn zset_ziplist<S: Source>(&self, input: &mut Input<S>) -> Result<Zset, RdbError> {
        const WHAT: &str = "Zset ziplist integrity check failed.";
        let mut buffer = ElemBuf::new();
        let elements = legacy::ziplist(input.element()?.text(&mut buffer)).ok_or(RdbError::Corrupt(WHAT))?;
        if elements.is_empty() {
            return Err(RdbError::EmptyKey);
        }
        Zset::from_listpack(legacy::listpack(&elements), self.config).ok_or(RdbError::Corrupt(WHAT))
    }

    fn zset_listpack<S: Source>(&self, input: &mut Input<S>) -> Result<Zset, RdbError> {
        const WHAT: &str = "Zset listpack integrity check failed.";
        let pack = self.listpack(input, 2, true, WHAT)?;
        if !self.full && pack.len() / 2 <= self.config.zset_max_listpack_entries {
            return Ok(Zset::Listpack(pack));
        }
        Zset::from_listpack(pack, self.config).ok_or(RdbError::Corrupt(WHAT))
    }
}
