//! Hashes: field-value pairs in one listpack while small, a table beyond; both also in a form whose fields can have
//! deadlines.
//!
//! The encoding follows fields and configured limits as in Redis. It only ever moves towards the table, and towards deadlines. A
//! hash that never had one pays nothing for the possibility.
//!
//! Nothing here knows the time: a field whose deadline has passed is there until somebody removes it. Who reads for a client asks
//! for what is [live](Hash::get_live).

use std::collections::HashSet;
use std::fmt;

use crate::config::EngineConfig;
use crate::ds::element::{Field, FieldRef, fields_memory};
use crate::ds::field_table::FieldTable;
use crate::ds::hash::hash;
use crate::ds::listpack::{self, Elem, ElemBuf, Listpack, Pos};
use crate::ds::listpack_ex::{self, ListpackEx};
use crate::ds::table::{self, Place, Table};
use crate::rng::Rng;
use crate::time::UnixMs;

/// Latest deadline of a field, in milliseconds since the epoch: what Redis' 46 bits hold.
pub const FIELD_DEADLINE_MAX: i64 = (1 << 46) - 1;

/// A hash.
pub enum Hash {
    /// Few and short fields: field, value, field, value, …
    Listpack(Listpack),
    /// Few and short fields, some of which may have deadlines.
    ListpackEx(ListpackEx),
    /// Any.
    Table(Box<Table<Field>>),
    /// Any, some of which may have deadlines.
    TableEx(Box<FieldTable>),
}

/// What becomes of a field's deadline when its value is set.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FieldExpiry {
    /// It is removed.
    Clear,
    /// It stays.
    Keep,
    /// It is set.
    At(UnixMs),
}

impl FieldExpiry {
    #[inline]
    fn apply(self, before: Option<i64>) -> Option<i64> {
        match self {
            FieldExpiry::Clear => None,
            FieldExpiry::Keep => before,
            FieldExpiry::At(at) => Some(at.0),
        }
    }
}

/// A field as it is stored.
#[derive(Copy, Clone, Debug)]
pub struct Stored<'a> {
    /// Its name.
    pub field: Elem<'a>,
    /// Its value.
    pub value: Elem<'a>,
    /// When it is to go.
    pub deadline: Option<UnixMs>,
}

impl Stored<'_> {
    /// Whether its time has not passed.
    #[inline]
    #[must_use]
    pub fn is_live(&self, now: UnixMs) -> bool {
        self.deadline.is_none_or(|at| at >= now)
    }
}

impl<'a> From<FieldRef<'a>> for Stored<'a> {
    #[inline]
    fn from(pair: FieldRef<'a>) -> Self {
        Stored { field: Elem::Str(pair.field), value: Elem::Str(pair.value), deadline: pair.deadline.map(UnixMs) }
    }
}

impl<'a> From<(Elem<'a>, Elem<'a>, Option<i64>)> for Stored<'a> {
    fn from((field, value, deadline): (Elem<'a>, Elem<'a>, Option<i64>)) -> Self {
        Stored { field, value, deadline: deadline.map(UnixMs) }
    }
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

    /// A small hash with deadlines from the bytes of its listpack, as Redis' files have them: triplets of field, value and deadline
    /// in milliseconds, 0 for none. `None` unless all of this holds and no field is there twice.
    #[must_use]
    pub fn from_listpack_ex(bytes: &[u8]) -> Option<Self> {
        ListpackEx::from_bytes(bytes, FIELD_DEADLINE_MAX).map(Hash::ListpackEx)
    }

    /// The table of a big hash, with deadlines or not.
    #[inline]
    fn table(&self) -> Option<&Table<Field>> {
        match self {
            Hash::Table(table) => Some(table),
            Hash::TableEx(fields) => Some(fields.table()),
            Hash::Listpack(_) | Hash::ListpackEx(_) => None,
        }
    }

    /// Figures on the table, when there is one.
    #[must_use]
    pub fn table_stats(&self, full: bool) -> Option<crate::ds::table::Stats> {
        self.table().map(|table| table.stats(full))
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Hash::Listpack(_) => "listpack",
            Hash::ListpackEx(_) => "listpackex",
            Hash::Table(_) | Hash::TableEx(_) => "hashtable",
        }
    }

    /// Number of fields, those included whose time has passed.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Hash::Listpack(pack) => pack.len() / 2,
            Hash::ListpackEx(pack) => pack.len(),
            Hash::Table(table) => table.len(),
            Hash::TableEx(fields) => fields.table().len(),
        }
    }

    /// Whether there is no field. An empty hash is not kept in the keyspace.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Hash::Listpack(pack) => pack.is_empty(),
            Hash::ListpackEx(pack) => pack.is_empty(),
            Hash::Table(table) => table.is_empty(),
            Hash::TableEx(fields) => fields.table().is_empty(),
        }
    }

    /// Bytes taken from the allocator. Big hashes are extrapolated from `samples` fields; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        match self {
            Hash::Listpack(pack) => pack.memory_usage(),
            Hash::ListpackEx(pack) => pack.memory_usage(),
            Hash::Table(table) => size_of::<Table<Field>>() + fields_memory(table, samples),
            Hash::TableEx(fields) => size_of::<FieldTable>() + fields.memory_usage(samples),
        }
    }

    /// Chooses the encoding before a command sets these fields and values in turn: texts or a number of fields too
    /// large for a listpack make it a table at once.
    pub fn prepare<'a>(&mut self, pairs: impl ExactSizeIterator<Item = &'a [u8]>, config: &EngineConfig) {
        if self.table().is_some() {
            return;
        }
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
        if !self.safe_to_add(bytes) {
            self.convert_to_table(fields);
        }
    }

    /// Whether a listpack may take so many bytes more.
    fn safe_to_add(&self, bytes: usize) -> bool {
        match self {
            Hash::Listpack(pack) => pack.safe_to_add(bytes),
            Hash::ListpackEx(pack) => pack.safe_to_add(bytes),
            Hash::Table(_) | Hash::TableEx(_) => true,
        }
    }

    /// The value of `field`, its time passed or not.
    #[inline]
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Elem<'_>> {
        match self {
            Hash::Listpack(pack) => find(pack, field).map(|(_, value)| pack.get(value)),
            Hash::ListpackEx(pack) => pack.get(field).map(|(value, _)| value),
            Hash::Table(table) => table.find(hash(field), field).map(|pair| Elem::Str(pair.value)),
            Hash::TableEx(fields) => fields.table().find(hash(field), field).map(|pair| Elem::Str(pair.value)),
        }
    }

    /// The value of `field`, unless its time has passed.
    #[inline]
    #[must_use]
    pub fn get_live(&self, field: &[u8], now: UnixMs) -> Option<Elem<'_>> {
        match self {
            Hash::Listpack(_) | Hash::Table(_) => self.get(field),
            Hash::ListpackEx(_) | Hash::TableEx(_) => {
                self.deadline(field)?.is_none_or(|at| at >= now).then(|| self.get(field)).flatten()
            }
        }
    }

    /// Whether there is this field, its time passed or not.
    #[inline]
    #[must_use]
    pub fn contains(&self, field: &[u8]) -> bool {
        match self {
            Hash::Listpack(pack) => pack.find_first(field, 2).is_some(),
            Hash::ListpackEx(pack) => pack.contains(field),
            Hash::Table(table) => table.contains(hash(field), field),
            Hash::TableEx(fields) => fields.table().contains(hash(field), field),
        }
    }

    /// Sets `field` to `value`; true when the field is new. A deadline that it had is removed.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], config: &EngineConfig) -> bool {
        match self {
            Hash::Table(table) => set_in_table(table, field, value),
            _ => self.set_with(field, value, FieldExpiry::Clear, config),
        }
    }

    /// Sets `field` to `value`; true when the field is new. `expiry` says what becomes of its deadline.
    pub fn set_with(&mut self, field: &[u8], value: &[u8], expiry: FieldExpiry, config: &EngineConfig) -> bool {
        if matches!(expiry, FieldExpiry::At(_)) {
            self.allow_deadlines();
        }
        let bytes_max = config.hash_max_listpack_value;
        let small = |add_is_safe: bool| field.len() <= bytes_max && value.len() <= bytes_max && add_is_safe;
        let new = match self {
            Hash::Table(table) => return set_in_table(table, field, value),
            Hash::TableEx(fields) => return fields.set(field, value, |before| expiry.apply(before)),
            Hash::Listpack(pack) if small(pack.safe_to_add(field.len() + value.len())) => match find(pack, field) {
                Some((_, pos)) => {
                    pack.replace(pos, value);
                    false
                }
                None => {
                    pack.extend_back(&[Elem::Str(field), Elem::Str(value)]);
                    true
                }
            },
            Hash::ListpackEx(pack) if small(pack.safe_to_add(field.len() + value.len())) => {
                pack.set(field, value, |before| expiry.apply(before))
            }
            Hash::Listpack(_) | Hash::ListpackEx(_) => {
                self.convert_to_table(1);
                return self.set_with(field, value, expiry, config);
            }
        };
        if self.len() > config.hash_max_listpack_entries {
            self.convert_to_table(0);
        }
        new
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
            Hash::ListpackEx(pack) => pack.remove(field),
            Hash::Table(table) => table.remove(hash(field), field).is_some(),
            Hash::TableEx(fields) => fields.remove(field),
        }
    }

    /// The deadline of `field`: `None` when there is no such field, `Some(None)` when it has none.
    #[must_use]
    pub fn deadline(&self, field: &[u8]) -> Option<Option<UnixMs>> {
        match self {
            Hash::Listpack(_) | Hash::Table(_) => self.contains(field).then_some(None),
            Hash::ListpackEx(pack) => pack.get(field).map(|(_, deadline)| deadline.map(UnixMs)),
            Hash::TableEx(fields) => fields.table().find(hash(field), field).map(|pair| pair.deadline.map(UnixMs)),
        }
    }

    /// Sets or removes the deadline of `field`; false when there is no such field.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<UnixMs>) -> bool {
        if deadline.is_some() {
            self.allow_deadlines();
        }
        match self {
            Hash::Listpack(_) | Hash::Table(_) => self.contains(field),
            Hash::ListpackEx(pack) => pack.set_deadline(field, deadline.map(|at| at.0)),
            Hash::TableEx(fields) => fields.set_deadline(field, deadline.map(|at| at.0)),
        }
    }

    /// Changes to the form whose fields can have deadlines.
    pub fn allow_deadlines(&mut self) {
        match self {
            Hash::Listpack(pack) => *self = Hash::ListpackEx(ListpackEx::from_pairs(pack)),
            Hash::Table(table) => {
                let table = std::mem::take(&mut **table);
                *self = Hash::TableEx(Box::new(FieldTable::new(table)));
            }
            Hash::ListpackEx(_) | Hash::TableEx(_) => {}
        }
    }

    /// The earliest deadline of a field, or a moment before it; `None` when no field has one.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        match self {
            Hash::Listpack(_) | Hash::Table(_) => None,
            Hash::ListpackEx(pack) => pack.next_deadline().map(UnixMs),
            Hash::TableEx(fields) => fields.next_deadline().map(UnixMs),
        }
    }

    /// Whether there may be a field whose time has passed.
    #[inline]
    #[must_use]
    pub fn may_have_due(&self, now: UnixMs) -> bool {
        self.next_deadline().is_some_and(|at| at < now)
    }

    /// Number of fields whose time has not passed.
    #[must_use]
    pub fn live_len(&self, now: UnixMs) -> usize {
        if self.may_have_due(now) {
            self.iter_stored().filter(|stored| stored.is_live(now)).count()
        } else {
            self.len()
        }
    }

    /// Removes about `budget` fields whose time has passed and shows them; returns how many. When it is 0, there are none left, or
    /// they are hard to find and the next call goes on.
    pub fn extract_due(&mut self, now: UnixMs, budget: usize, mut see: impl FnMut(&[u8])) -> usize {
        match self {
            Hash::Listpack(_) | Hash::Table(_) => 0,
            Hash::ListpackEx(pack) => pack.extract_due(now.0, budget, see),
            Hash::TableEx(fields) => fields.extract_due(now.0, budget, |pair| see(pair.field)),
        }
    }

    /// All fields with their values, in the order of the encoding, those included whose time has passed.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.iter_stored())
    }

    /// All fields with their values and deadlines, in the order of the encoding.
    #[must_use]
    pub fn iter_stored(&self) -> IterStored<'_> {
        match self {
            Hash::Listpack(pack) => IterStored::Listpack(pack.iter()),
            Hash::ListpackEx(pack) => IterStored::ListpackEx(pack.iter()),
            Hash::Table(table) => IterStored::Table(table.iter()),
            Hash::TableEx(fields) => IterStored::Table(fields.table().iter()),
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
            Hash::ListpackEx(pack) => pack.nth(rng.index(pack.len())).map(|(field, value, _)| (field, value)),
            Hash::Table(_) | Hash::TableEx(_) => {
                let pair = self.table()?.random(&mut || rng.next_u64())?;
                Some((Elem::Str(pair.field), Elem::Str(pair.value)))
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
        if let Some(table) = self.table()
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

    /// Shows about `count` fields from `cursor` on (all of a small hash), those included whose time has passed; returns the next
    /// cursor, 0 at the end. Every field present from the first call to the last is shown.
    pub fn scan(&self, cursor: u64, count: usize, mut see: impl FnMut(Stored<'_>)) -> u64 {
        match self.table() {
            Some(table) => table.scan(cursor, count, |pair| see(pair.into())),
            None => {
                self.iter_stored().for_each(see);
                0
            }
        }
    }

    /// Makes the hash a table with room for `more` fields.
    ///
    /// # Panics
    /// When a listpack from outside, loaded unchecked, holds a field twice or has no value for one.
    pub fn convert_to_table(&mut self, more: usize) {
        let with_deadlines = match self {
            Hash::Listpack(_) => false,
            Hash::ListpackEx(_) => true,
            Hash::Table(_) | Hash::TableEx(_) => return,
        };
        let mut table = Table::with_capacity(self.len() + more);
        let (mut field_buffer, mut value_buffer) = (ElemBuf::new(), ElemBuf::new());
        for (field, value) in self.iter() {
            let new = set_in_table(&mut table, field.text(&mut field_buffer), value.text(&mut value_buffer));
            assert!(new, "listpack with dup elements");
        }
        if !with_deadlines {
            *self = Hash::Table(Box::new(table));
            return;
        }
        let mut fields = FieldTable::new(table);
        for Stored { field, deadline, .. } in self.iter_stored() {
            if let Some(at) = deadline {
                fields.set_deadline(field.text(&mut field_buffer), Some(at.0));
            }
        }
        *self = Hash::TableEx(Box::new(fields));
    }

    /// Panics unless the structure is consistent.
    pub fn check_invariants(&self) {
        match self {
            Hash::Listpack(pack) => {
                pack.check_invariants();
                assert_eq!(pack.len() % 2, 0, "every field has a value");
            }
            Hash::ListpackEx(pack) => pack.check_invariants(),
            Hash::Table(table) => table.check_invariants(),
            Hash::TableEx(fields) => fields.check_invariants(),
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
            place.insert(Field::new(field, value, None));
            true
        }
    }
}

/// A walk over the fields of a [`enum@Hash`] with their deadlines.
pub enum IterStored<'a> {
    /// In order of insertion.
    Listpack(listpack::Iter<'a>),
    /// In order of deadlines.
    ListpackEx(listpack_ex::Iter<'a>),
    /// In no order.
    Table(table::Iter<'a, Field>),
}

impl<'a> Iterator for IterStored<'a> {
    type Item = Stored<'a>;

    #[inline]
    fn next(&mut self) -> Option<Stored<'a>> {
        match self {
            IterStored::Listpack(iter) => {
                let field = iter.next()?;
                let value = iter.next().expect("listpack integrity: every field has a value");
                Some(Stored { field, value, deadline: None })
            }
            IterStored::ListpackEx(iter) => iter.next().map(Stored::from),
            IterStored::Table(iter) => iter.next().map(Stored::from),
        }
    }
}

/// A walk over the fields of a [`enum@Hash`].
pub struct Iter<'a>(IterStored<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Elem<'a>, Elem<'a>)> {
        self.0.next().map(|Stored { field, value, .. }| (field, value))
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

    #[test]
    fn deadlines_order_a_small_hash() {
        let config = EngineConfig::default();
        let mut hash = Hash::new();
        for field in [b"a", b"b", b"c", b"d"] {
            hash.set(field, b"1", &config);
        }
        let order = |hash: &Hash| -> String { hash.iter().map(|(f, _)| char::from(f.to_vec()[0])).collect() };
        assert!(!hash.set_deadline(b"z", Some(UnixMs(5))));
        assert_eq!(hash.encoding(), "listpackex");
        assert!(hash.set_deadline(b"c", Some(UnixMs(100))));
        assert!(hash.set_deadline(b"d", Some(UnixMs(50))));
        assert_eq!(order(&hash), "dcab");
        assert!(hash.set_deadline(b"b", Some(UnixMs(100))));
        assert_eq!(order(&hash), "dbca", "the last that is set stands before its equals");
        hash.set_with(b"b", b"2", FieldExpiry::Keep, &config);
        assert_eq!(order(&hash), "dbca");
        hash.set(b"b", b"2", &config);
        assert_eq!(order(&hash), "dcab", "without its deadline it stands at the end");
        assert_eq!(hash.next_deadline(), Some(UnixMs(50)));
        let mut gone = Vec::new();
        assert_eq!(hash.extract_due(UnixMs(51), 10, |field| gone.push(field.to_vec())), 1);
        assert_eq!(gone, [b"d"]);
        assert!(hash.get_live(b"c", UnixMs(100)).is_some(), "a field expires strictly after its deadline");
        assert!(hash.get_live(b"c", UnixMs(101)).is_none() && hash.get(b"c").is_some());
        assert_eq!((hash.len(), hash.live_len(UnixMs(101))), (3, 2));
    }

    #[test]
    fn triplets_from_outside_are_checked() {
        let pack = |elems: &[Elem<'_>]| {
            let mut pack = Listpack::new();
            pack.extend_back(elems);
            let hash = Hash::from_listpack_ex(pack.as_bytes());
            hash.iter().for_each(Hash::check_invariants);
            hash.is_some()
        };
        let (a, b) = (Elem::Str(b"a"), Elem::Str(b"b"));
        assert!(pack(&[a, a, Elem::Int(7), b, a, Elem::Int(7)]));
        assert!(pack(&[a, a, Elem::Int(7), b, a, Elem::Int(0)]));
        assert!(!pack(&[a, a, Elem::Int(7), a, a, Elem::Int(8)]), "a field twice");
        assert!(pack(&[a, a, Elem::Int(7), b, a, Elem::Int(6)]), "out of order");
        assert!(pack(&[a, a, Elem::Int(0), b, a, Elem::Int(6)]), "a deadline after none");
        assert!(!pack(&[a, a, Elem::Int(7), b, a]), "not whole");
        assert!(!pack(&[a, a, b]), "no deadline");
        assert!(!pack(&[a, a, Elem::Int(-1)]) && !pack(&[a, a, Elem::Int(FIELD_DEADLINE_MAX + 1)]), "out of range");
        assert!(Hash::from_listpack_ex(b"").is_none() && Hash::from_listpack_ex(b"xx").is_none());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Set(Vec<u8>, Vec<u8>, Option<Option<i64>>),
        Deadline(Vec<u8>, Option<i64>),
        Remove(Vec<u8>),
        Extract(i64, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        let field = "[a-h]{1,2}".prop_map(String::into_bytes);
        let moment = prop::option::of(0..50i64);
        prop_oneof![
            (field.clone(), "[0-9]{1,3}|x{0,8}".prop_map(String::into_bytes), prop::option::of(moment.clone()))
                .prop_map(|(f, v, expiry)| Op::Set(f, v, expiry)),
            (field.clone(), moment).prop_map(|(f, at)| Op::Deadline(f, at)),
            field.prop_map(Op::Remove),
            (0..60i64, 0..8usize).prop_map(|(now, budget)| Op::Extract(now, budget)),
        ]
    }

    proptest! {
        #[test]
        fn deadlines_behave_like_a_map(
            limits in (0..20usize, 1..6usize),
            ops in prop::collection::vec(op(), 0..100),
        ) {
            type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<UnixMs>)>;
            let config = config(limits.0, limits.1);
            let (mut hash, mut model) = (Hash::new(), Model::new());
            for op in ops {
                match op {
                    Op::Set(field, value, expiry) => {
                        let held = model.get(&field).and_then(|(_, at)| *at);
                        let (expiry, deadline) = match expiry {
                            None => (FieldExpiry::Keep, held),
                            Some(None) => (FieldExpiry::Clear, None),
                            Some(Some(at)) => (FieldExpiry::At(UnixMs(at + 1)), Some(UnixMs(at + 1))),
                        };
                        let new = hash.set_with(&field, &value, expiry, &config);
                        prop_assert_eq!(new, model.insert(field, (value, deadline)).is_none());
                    }
                    Op::Deadline(field, at) => {
                        let at = at.map(|at| UnixMs(at + 1));
                        let entry = model.get_mut(&field);
                        prop_assert_eq!(hash.set_deadline(&field, at), entry.is_some());
                        if let Some((_, held)) = entry { *held = at; }
                    }
                    Op::Remove(field) => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                    Op::Extract(now, budget) => {
                        let now = UnixMs(now);
                        let mut gone = Vec::new();
                        hash.extract_due(now, budget, |field| gone.push(field.to_vec()));
                        for field in gone {
                            let (_, at) = model.remove(&field).expect("a field that is there");
                            prop_assert!(at.is_some_and(|at| at < now));
                        }
                        let due = model.values().filter(|(_, at)| at.is_some_and(|at| at < now)).count();
                        prop_assert!(budget == 0 || due == 0 || hash.may_have_due(now));
                    }
                }
                hash.check_invariants();
                prop_assert_eq!(hash.len(), model.len());
                let first = model.values().filter_map(|(_, at)| *at).min();
                prop_assert_eq!(hash.next_deadline().is_some(), first.is_some());
                prop_assert!(hash.next_deadline() <= first);
            }
            let all: Model =
                hash.iter_stored().map(|pair| (pair.field.to_vec(), (pair.value.to_vec(), pair.deadline))).collect();
            prop_assert_eq!(&all, &model);
            let copy = hash.duplicate(&config);
            prop_assert_eq!(copy.encoding(), hash.encoding());
            copy.check_invariants();
            let copied: Model =
                copy.iter_stored().map(|pair| (pair.field.to_vec(), (pair.value.to_vec(), pair.deadline))).collect();
            prop_assert_eq!(&copied, &model);
        }

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
                cursor = hash.scan(cursor, 3, |pair| { scanned.insert(pair.field.to_vec(), pair.value.to_vec()); });
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
