//! Hashes: field-value pairs in one listpack while small, a table beyond.
//!
//! The encoding follows fields and configured limits as in Redis. It only ever moves towards the table. Fields with
//! deadlines will be a third form (`listpackex`) and a longer [`Field`].

use std::collections::HashSet;
use std::fmt;

use crate::config::EngineConfig;
use crate::ds::element::{Field, fields_memory};
use crate::ds::hash::hash;
use crate::ds::listpack::{self, Elem, ElemBuf, Listpack, Pos};
use crate::ds::table::{self, Place, Table};
use crate::rng::Rng;

/// A hash.
pub enum Hash {
    /// Few and short fields: field, value, field, value, …
    Listpack(Listpack),
    /// Any.
    Table(Box<Table<Field>>),
}

impl Default for Hash {
    fn default() -> Self {
        Hash::Listpack(Listpack::new())
    }
}

impl Hash {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Figures on the table, when there is one.
    #[must_use]
    pub fn table_stats(&self, full: bool) -> Option<crate::ds::table::Stats> {
        match self {
            Hash::Table(table) => Some(table.stats(full)),
            _ => None,
        }
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Hash::Listpack(_) => "listpack",
            Hash::Table(_) => "hashtable",
        }
    }

    /// Number of fields.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Hash::Listpack(pack) => pack.len() / 2,
            Hash::Table(table) => table.len(),
        }
    }

    /// Whether there is no field. An empty hash is not kept in the keyspace.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Hash::Listpack(pack) => pack.is_empty(),
            Hash::Table(table) => table.is_empty(),
        }
    }

    /// Bytes taken from the allocator. Big hashes are extrapolated from `samples` fields; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        match self {
            Hash::Listpack(pack) => pack.memory_usage(),
            Hash::Table(table) => size_of::<Table<Field>>() + fields_memory(table, samples),
        }
    }

    /// Chooses the encoding before a command sets these fields and values in turn: texts or a number of fields too
    /// large for a listpack make it a table at once.
    pub fn prepare<'a>(&mut self, pairs: impl ExactSizeIterator<Item = &'a [u8]>, config: &EngineConfig) {
        let Hash::Listpack(pack) = self else { return };
        let fields = pairs.len() / 2;
        if fields > config.hash_max_listpack_entries {
            return self.convert_to_table(fields);
        }
        let mut bytes = 0;
        for text in pairs {
            bytes += text.len();
            if text.len() > config.hash_max_listpack_value {
                return self.convert_to_table(fields);
            }
        }
        if !pack.safe_to_add(bytes) {
            self.convert_to_table(fields);
        }
    }

    /// The value of `field`.
    #[inline]
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Elem<'_>> {
        match self {
            Hash::Listpack(pack) => find(pack, field).map(|(_, value)| pack.get(value)),
            Hash::Table(table) => table.find(hash(field), field).map(|pair| Elem::Str(pair.value)),
        }
    }

    /// Whether there is this field.
    #[inline]
    #[must_use]
    pub fn contains(&self, field: &[u8]) -> bool {
        match self {
            Hash::Listpack(pack) => pack.find_first(field, 2).is_some(),
            Hash::Table(table) => table.contains(hash(field), field),
        }
    }

    /// Sets `field` to `value`; true when the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], config: &EngineConfig) -> bool {
        match self {
            Hash::Table(table) => set_in_table(table, field, value),
            Hash::Listpack(pack) => {
                let bytes_max = config.hash_max_listpack_value;
                if field.len() > bytes_max || value.len() > bytes_max || !pack.safe_to_add(field.len() + value.len()) {
                    self.convert_to_table(1);
                    return self.set(field, value, config);
                }
                if let Some((_, pos)) = find(pack, field) {
                    pack.replace(pos, value);
                    return false;
                }
                pack.extend_back(&[Elem::Str(field), Elem::Str(value)]);
                if pack.len() / 2 > config.hash_max_listpack_entries {
                    self.convert_to_table(0);
                }
                true
            }
        }
    }

    /// Removes `field`; false when there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Listpack(pack) => {
                let found = pack.find_first(field, 2);
                if let Some(pos) = found {
                    pack.delete_range_at(pos, 2);
                }
                found.is_some()
            }
            Hash::Table(table) => table.remove(hash(field), field).is_some(),
        }
    }

    /// All fields with their values, in the order of the encoding.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Hash::Listpack(pack) => Iter::Listpack(pack.iter()),
            Hash::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// A random field with its value, each with the same chance.
    #[must_use]
    pub fn random(&self, rng: &mut Rng) -> Option<(Elem<'_>, Elem<'_>)> {
        if self.is_empty() {
            return None;
        }
        match self {
            Hash::Listpack(pack) => {
                let pos = pack.seek(rng.index(pack.len() / 2) * 2)?;
                let value = pack.next(pos)?;
                Some((pack.get(pos), pack.get(value)))
            }
            Hash::Table(table) => {
                table.random(&mut || rng.next_u64()).map(|pair| (Elem::Str(pair.field), Elem::Str(pair.value)))
            }
        }
    }

    /// Shows `count` different fields at random (all, if there are fewer), each subset with the same chance; their
    /// order is not random.
    pub fn random_distinct(&self, count: usize, rng: &mut Rng, mut see: impl FnMut(Elem<'_>, Elem<'_>)) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(|(field, value)| see(field, value));
        }
        if let Hash::Table(table) = self
            && count < len / 4
        {
            // Few of many: draw until enough are different. At most a quarter of the draws hit a known one.
            let mut drawn: HashSet<*const u8> = HashSet::with_capacity(count);
            while drawn.len() < count {
                let Some(pair) = table.random(&mut || rng.next_u64()) else { return };
                if drawn.insert(pair.field.as_ptr()) {
                    see(Elem::Str(pair.field), Elem::Str(pair.value));
                }
            }
            return;
        }
        // Selection sampling: take each with the chance (wanted / left). One pass, no memory.
        let (mut wanted, mut left) = (count, len);
        for (field, value) in self.iter() {
            if wanted == 0 {
                return;
            }
            if rng.index(left) < wanted {
                see(field, value);
                wanted -= 1;
            }
            left -= 1;
        }
    }

    /// Shows about `count` fields from `cursor` on (all of a small hash); returns the next cursor, 0 at the end. Every
    /// field present from the first call to the last is shown.
    pub fn scan(&self, cursor: u64, count: usize, mut see: impl FnMut(Elem<'_>, Elem<'_>)) -> u64 {
        match self {
            Hash::Table(table) => table.scan(cursor, count, |pair| see(Elem::Str(pair.field), Elem::Str(pair.value))),
            Hash::Listpack(_) => {
                self.iter().for_each(|(field, value)| see(field, value));
                0
            }
        }
    }

    /// Makes the hash a table with room for `more` fields.
    ///
    /// # Panics
    /// When a listpack from outside, loaded unchecked, holds a field twice or has no value for one.
    pub fn convert_to_table(&mut self, more: usize) {
        let Hash::Listpack(pack) = self else { return };
        let mut table = Box::new(Table::with_capacity(pack.len() / 2 + more));
        let (mut field_buffer, mut value_buffer) = (ElemBuf::new(), ElemBuf::new());
        let mut iter = pack.iter();
        while let Some(field) = iter.next() {
            let value = iter.next().expect("listpack integrity: every field has a value");
            let new = set_in_table(&mut table, field.text(&mut field_buffer), value.text(&mut value_buffer));
            assert!(new, "listpack with dup elements");
        }
        *self = Hash::Table(table);
    }

    /// Panics unless the structure is consistent.
    pub fn check_invariants(&self) {
        match self {
            Hash::Listpack(pack) => {
                pack.check_invariants();
                assert_eq!(pack.len() % 2, 0, "every field has a value");
            }
            Hash::Table(table) => table.check_invariants(),
        }
    }
}

/// Positions of a field and of its value.
#[inline]
fn find(pack: &Listpack, field: &[u8]) -> Option<(Pos, Pos)> {
    let pos = pack.find_first(field, 2)?;
    Some((pos, pack.next(pos).expect("listpack integrity: every field has a value")))
}

#[inline]
fn set_in_table(table: &mut Table<Field>, field: &[u8], value: &[u8]) -> bool {
    match table.place(hash(field), field) {
        Place::Occupied(mut place) => {
            place.update(|pair| pair.set_value(value));
            false
        }
        Place::Vacant(place) => {
            place.insert(Field::new(field, value));
            true
        }
    }
}

/// A walk over the fields of a [`enum@Hash`].
pub enum Iter<'a> {
    /// In order of insertion.
    Listpack(listpack::Iter<'a>),
    /// In no order.
    Table(table::Iter<'a, Field>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Elem<'a>, Elem<'a>)> {
        match self {
            Iter::Listpack(iter) => {
                let field = iter.next()?;
                Some((field, iter.next().expect("listpack integrity: every field has a value")))
            }
            Iter::Table(iter) => iter.next().map(|pair| (Elem::Str(pair.field), Elem::Str(pair.value))),
        }
    }
}

impl<'a> IntoIterator for &'a Hash {
    type Item = (Elem<'a>, Elem<'a>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    fn config(entries: usize, value: usize) -> EngineConfig {
        EngineConfig { hash_max_listpack_entries: entries, hash_max_listpack_value: value, ..EngineConfig::default() }
    }

    #[test]
    fn encodings_change_at_the_limits() {
        let mut hash = Hash::new();
        let limits = config(2, 4);
        assert!(hash.set(b"a", b"1234", &limits));
        assert!(hash.set(b"b", b"2", &limits));
        assert!(!hash.set(b"b", b"3", &limits));
        assert_eq!(hash.encoding(), "listpack");
        assert!(hash.set(b"c", b"3", &limits));
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 3));

        let mut hash = Hash::new();
        assert!(hash.set(b"a", b"12345", &limits));
        assert_eq!(hash.encoding(), "hashtable");
        let mut hash = Hash::new();
        hash.prepare([&b"a"[..], b"1", b"b", b"2", b"a", b"3"].into_iter(), &limits);
        assert_eq!(hash.encoding(), "hashtable", "fields of one command count, be they the same");
    }

    #[test]
    fn a_big_hash_takes_what_was_planned() {
        let config = EngineConfig::default();
        let mut hash = Hash::new();
        let count = 1 << 18;
        (0..count).for_each(|i| {
            hash.set(format!("field:{i:010}").as_bytes(), format!("value:{i:010}").as_bytes(), &config);
        });
        let per_field = hash.memory_usage(0) as f64 / count as f64;
        assert!(per_field <= 54.0, "{per_field} bytes per field of 16 + 16");
    }

    #[test]
    #[should_panic(expected = "listpack with dup elements")]
    fn a_field_twice_is_noticed() {
        let mut pack = Listpack::new();
        for text in [b"f", b"1", b"f", b"2"] {
            pack.push_back(text);
        }
        Hash::Listpack(pack).convert_to_table(0);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(
            limits in (0..20usize, 1..6usize),
            ops in prop::collection::vec((any::<bool>(), "[0-9]{1,2}|[ab]{1,6}", "[0-9]{1,3}|x{0,8}"), 0..100),
            count in 0..20usize,
            seed: u64,
        ) {
            let config = config(limits.0, limits.1);
            let (mut hash, mut model) = (Hash::new(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
            for (set, field, value) in ops {
                let (field, value) = (field.into_bytes(), value.into_bytes());
                prop_assert_eq!(hash.get(&field).map(Elem::to_vec), model.get(&field).cloned());
                prop_assert_eq!(hash.contains(&field), model.contains_key(&field));
                if set {
                    prop_assert_eq!(hash.set(&field, &value, &config), model.insert(field, value).is_none());
                } else {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                hash.check_invariants();
                prop_assert_eq!(hash.len(), model.len());
            }
            let all: BTreeMap<Vec<u8>, Vec<u8>> = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(&all, &model);
            let (mut cursor, mut scanned) = (0, BTreeMap::new());
            loop {
                cursor = hash.scan(cursor, 3, |f, v| { scanned.insert(f.to_vec(), v.to_vec()); });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(&scanned, &model);
            let mut rng = Rng::new(seed);
            let mut drawn = BTreeMap::new();
            hash.random_distinct(count, &mut rng, |f, v| { drawn.insert(f.to_vec(), v.to_vec()); });
            prop_assert_eq!(drawn.len(), count.min(model.len()));
            prop_assert!(drawn.iter().all(|(f, v)| model.get(f) == Some(v)));
            prop_assert_eq!(hash.random(&mut rng).map(|(f, _)| f.to_vec()).is_some_and(|f| model.contains_key(&f)), !model.is_empty());
        }
    }
}
