//! Sets: sorted integers or a listpack while small, a table beyond.
//!
//! The encoding follows members and configured limits as in Redis. It only ever moves towards the table.

use std::collections::HashSet;
use std::fmt;

use crate::config::EngineConfig;
use crate::ds::element::{Member, members_memory};
use crate::ds::hash::hash;
use crate::ds::int;
use crate::ds::intset::{self, INTSET_ENTRIES_MAX, IntSet};
use crate::ds::listpack::{self, Elem, ElemBuf, Listpack};
use crate::ds::table::{self, Place, Table};
use crate::rng::Rng;

/// A set.
pub enum Set {
    /// All members are integers.
    Int(IntSet),
    /// Few and short ones, in order of insertion.
    Listpack(Listpack),
    /// Any.
    Table(Box<Table<Member>>),
}

impl Default for Set {
    fn default() -> Self {
        Set::Int(IntSet::new())
    }
}

impl Set {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the table, if there is one, is moving to another size.
    #[must_use]
    pub fn is_rehashing(&self) -> bool {
        matches!(self, Set::Table(table) if table.is_rehashing())
    }

    /// Goes on with that, by at most so many buckets.
    pub fn rehash_step(&mut self, buckets: usize) {
        if let Set::Table(table) = self {
            table.rehash_step(buckets);
        }
    }

    /// Figures on the table, when there is one.
    #[must_use]
    pub fn table_stats(&self, full: bool) -> Option<crate::ds::table::Stats> {
        match self {
            Set::Table(table) => Some(table.stats(full)),
            _ => None,
        }
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Set::Int(_) => "intset",
            Set::Listpack(_) => "listpack",
            Set::Table(_) => "hashtable",
        }
    }

    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Set::Int(ints) => ints.len(),
            Set::Listpack(pack) => pack.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// Whether there is no member. An empty set is not kept in the keyspace.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator. Big sets are extrapolated from `samples` members; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        match self {
            Set::Int(ints) => ints.memory_usage(),
            Set::Listpack(pack) => pack.memory_usage(),
            Set::Table(table) => size_of::<Table<Member>>() + members_memory(table, samples),
        }
    }

    /// Chooses the encoding before up to `members` members, `first` among them, are added by one command.
    ///
    /// An empty set takes the form that suits them; one that would be outgrown becomes a table at once. To be
    /// called once before the additions; not calling it costs conversions on the way.
    pub fn prepare(&mut self, first: &[u8], members: usize, config: &EngineConfig) {
        if self.is_empty() {
            *self = if int::parse_i64(first).is_some() && members <= intset_entries_max(config) {
                Set::default()
            } else if members <= config.set_max_listpack_entries {
                Set::Listpack(Listpack::new())
            } else {
                Set::Table(Box::new(Table::with_capacity(members)))
            };
            return;
        }
        let outgrown = match self {
            Set::Int(_) => members > intset_entries_max(config),
            Set::Listpack(_) => members > config.set_max_listpack_entries,
            Set::Table(_) => false,
        };
        if outgrown {
            self.convert_to_table(members);
        }
    }

    /// Adds a member; false when it was one.
    #[inline]
    pub fn add(&mut self, member: &[u8], config: &EngineConfig) -> bool {
        match self {
            Set::Table(table) => add_to_table(table, member),
            Set::Int(ints) => match int::parse_i64(member) {
                Some(value) => {
                    let added = ints.add(value);
                    if added && ints.len() > intset_entries_max(config) {
                        self.convert_to_table(0);
                    }
                    added
                }
                None => {
                    self.leave_intset(member.len(), config);
                    self.add(member, config)
                }
            },
            Set::Listpack(pack) => {
                if pack.find_first(member, 1).is_some() {
                    return false;
                }
                if pack.len() < config.set_max_listpack_entries
                    && member.len() <= config.set_max_listpack_value
                    && pack.safe_to_add(member.len())
                {
                    pack.push_back(member);
                } else {
                    self.convert_to_table(1);
                    self.add(member, config);
                }
                true
            }
        }
    }

    /// As [`Set::add`] for an element of another collection, without spelling integers where that is not needed.
    #[inline]
    pub fn add_elem(&mut self, member: Elem<'_>, config: &EngineConfig) -> bool {
        match (&mut *self, member) {
            (Set::Int(ints), Elem::Int(value)) if ints.len() < intset_entries_max(config) => ints.add(value),
            _ => self.add(member.text(&mut ElemBuf::new()), config),
        }
    }

    /// As [`Set::remove`] for an element of another collection.
    pub fn remove_elem(&mut self, member: Elem<'_>) -> bool {
        match (&mut *self, member) {
            (Set::Int(ints), Elem::Int(value)) => ints.remove(value),
            _ => self.remove(member.text(&mut ElemBuf::new())),
        }
    }

    /// A member of `len` bytes that is no integer arrives: a listpack, if all members fit one with it.
    #[cold]
    fn leave_intset(&mut self, len: usize, config: &EngineConfig) {
        let Set::Int(ints) = self else { return };
        // The longest text is at one of the ends.
        let longest = ints.min().into_iter().chain(ints.max()).map(int::text_len).max().unwrap_or(0);
        if ints.len() < config.set_max_listpack_entries && longest.max(len) <= config.set_max_listpack_value {
            let members: Vec<Elem<'_>> = ints.iter().map(Elem::Int).collect();
            let mut pack = Listpack::new();
            pack.extend_back(&members);
            *self = Set::Listpack(pack);
        } else {
            self.convert_to_table(1);
        }
    }

    /// Makes a table whose members fit a listpack one.
    pub fn pack(&mut self, config: &EngineConfig) {
        if !matches!(self, Set::Table(_)) || self.len() > config.set_max_listpack_entries {
            return;
        }
        let mut pack = Listpack::new();
        for member in self.iter() {
            if member.text_len() > config.set_max_listpack_value || !pack.safe_to_add(member.text_len()) {
                return;
            }
            match member {
                Elem::Int(value) => pack.push_back(value),
                Elem::Str(text) => pack.push_back(text),
            }
        }
        *self = Set::Listpack(pack);
    }

    /// Makes the set a table with room for `more` members.
    ///
    /// # Panics
    /// When a listpack or intset from outside, loaded unchecked, holds a member twice.
    pub fn convert_to_table(&mut self, more: usize) {
        if matches!(self, Set::Table(_)) {
            return;
        }
        let mut table = Box::new(Table::with_capacity(self.len() + more));
        let mut buffer = ElemBuf::new();
        for member in self.iter() {
            let new = add_to_table(&mut table, member.text(&mut buffer));
            assert!(new, "listpack with dup elements");
        }
        *self = Set::Table(table);
    }

    /// Removes a member; false when it was none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Int(ints) => int::parse_i64(member).is_some_and(|value| ints.remove(value)),
            Set::Listpack(pack) => {
                let found = pack.find_first(member, 1);
                if let Some(pos) = found {
                    pack.delete(pos);
                }
                found.is_some()
            }
            Set::Table(table) => table.remove(hash(member), member).is_some(),
        }
    }

    /// Whether `member` is one.
    #[inline]
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Set::Int(ints) => int::parse_i64(member).is_some_and(|value| ints.contains(value)),
            Set::Listpack(pack) => pack.find_first(member, 1).is_some(),
            Set::Table(table) => table.contains(hash(member), member),
        }
    }

    /// As [`Set::contains`] for an element of another collection, without spelling integers where that is not needed.
    #[inline]
    #[must_use]
    pub fn contains_elem(&self, member: Elem<'_>) -> bool {
        match (self, member) {
            (Set::Int(ints), Elem::Int(value)) => ints.contains(value),
            _ => self.contains(member.text(&mut ElemBuf::new())),
        }
    }

    /// All members, in the order of the encoding.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Set::Int(ints) => Iter::Int(ints.iter()),
            Set::Listpack(pack) => Iter::Listpack(pack.iter()),
            Set::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// A random member, each with the same chance.
    #[must_use]
    pub fn random(&self, rng: &mut Rng) -> Option<Elem<'_>> {
        if self.is_empty() {
            return None;
        }
        match self {
            Set::Int(ints) => Some(Elem::Int(ints.get(rng.index(ints.len())))),
            Set::Listpack(pack) => pack.seek(rng.index(pack.len())).map(|pos| pack.get(pos)),
            Set::Table(table) => table.random(&mut || rng.next_u64()).map(Elem::Str),
        }
    }

    /// Removes a random member, after `read` has seen it.
    pub fn pop_random<R>(&mut self, rng: &mut Rng, read: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        match self {
            Set::Int(ints) => {
                let index = rng.index(ints.len());
                let result = read(Elem::Int(ints.get(index)));
                ints.remove_range(index..index + 1);
                Some(result)
            }
            Set::Listpack(pack) => {
                let pos = pack.seek(rng.index(pack.len()))?;
                let result = read(pack.get(pos));
                pack.delete(pos);
                Some(result)
            }
            Set::Table(table) => {
                let member = table.random_mut(&mut || rng.next_u64())?.remove();
                Some(read(Elem::Str(member.bytes())))
            }
        }
    }

    /// Shows `count` different members at random (all, if there are fewer), each subset with the same chance; their
    /// order is not random.
    pub fn random_distinct(&self, count: usize, rng: &mut Rng, mut see: impl FnMut(Elem<'_>)) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(see);
        }
        if let Set::Table(table) = self
            && count < len / 4
        {
            // Few of many: draw until enough are different. At most a quarter of the draws hit a known one.
            let mut drawn: HashSet<*const u8> = HashSet::with_capacity(count);
            while drawn.len() < count {
                let Some(member) = table.random(&mut || rng.next_u64()) else { return };
                if drawn.insert(member.as_ptr()) {
                    see(Elem::Str(member));
                }
            }
            return;
        }
        // Selection sampling: take each with the chance (wanted / left). One pass, no memory.
        let (mut wanted, mut left) = (count, len);
        for member in self.iter() {
            if wanted == 0 {
                return;
            }
            if rng.index(left) < wanted {
                see(member);
                wanted -= 1;
            }
            left -= 1;
        }
    }

    /// Shows about `count` members from `cursor` on (all of a small set); returns the next cursor, 0 at the end. Every
    /// member present from the first call to the last is shown.
    pub fn scan(&self, cursor: u64, count: usize, mut see: impl FnMut(Elem<'_>)) -> u64 {
        match self {
            Set::Table(table) => table.scan(cursor, count, |member| see(Elem::Str(member))),
            _ => {
                self.iter().for_each(see);
                0
            }
        }
    }

    /// Panics unless the structure is consistent.
    pub fn check_invariants(&self) {
        match self {
            Set::Int(ints) => ints.check_invariants(),
            Set::Listpack(pack) => pack.check_invariants(),
            Set::Table(table) => table.check_invariants(),
        }
    }
}

#[inline]
fn add_to_table(table: &mut Table<Member>, member: &[u8]) -> bool {
    match table.place(hash(member), member) {
        Place::Occupied(_) => false,
        Place::Vacant(place) => {
            place.insert(Member::new(member));
            true
        }
    }
}

fn intset_entries_max(config: &EngineConfig) -> usize {
    config.set_max_intset_entries.min(INTSET_ENTRIES_MAX)
}

/// A walk over the members of a [`Set`].
pub enum Iter<'a> {
    /// Ascending integers.
    Int(intset::Iter<'a>),
    /// In order of insertion.
    Listpack(listpack::Iter<'a>),
    /// In no order.
    Table(table::Iter<'a, Member>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        match self {
            Iter::Int(iter) => iter.next().map(Elem::Int),
            Iter::Listpack(iter) => iter.next(),
            Iter::Table(iter) => iter.next().map(Elem::Str),
        }
    }

    #[inline]
    fn fold<B, F: FnMut(B, Elem<'a>) -> B>(self, init: B, mut f: F) -> B {
        match self {
            Iter::Int(iter) => iter.fold(init, |acc, value| f(acc, Elem::Int(value))),
            Iter::Listpack(iter) => iter.fold(init, f),
            Iter::Table(iter) => iter.fold(init, |acc, member| f(acc, Elem::Str(member))),
        }
    }
}

impl<'a> IntoIterator for &'a Set {
    type Item = Elem<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    fn config(ints: usize, entries: usize, value: usize) -> EngineConfig {
        EngineConfig {
            set_max_intset_entries: ints,
            set_max_listpack_entries: entries,
            set_max_listpack_value: value,
            ..EngineConfig::default()
        }
    }

    /// As SADD does it.
    fn sadd(set: &mut Set, members: &[&str], config: &EngineConfig) {
        set.prepare(members[0].as_bytes(), members.len(), config);
        members.iter().for_each(|member| {
            set.add(member.as_bytes(), config);
        });
        set.check_invariants();
    }

    #[test]
    fn encodings_change_where_those_of_redis_do() {
        // Each line was tried on Redis 8.0: limits, members of one SADD, encoding, members of another, encoding.
        let defaults = (512, 128, 64);
        for ((ints, entries, value), first, before, second, after) in [
            ((3, 5, 64), &["1", "2", "3"][..], "intset", &["4"][..], "hashtable"),
            ((3, 5, 64), &["1", "2", "3", "4"], "listpack", &["5"], "listpack"),
            ((3, 5, 64), &["1", "2", "3", "4", "5", "6"], "hashtable", &["7"], "hashtable"),
            ((10, 5, 64), &["1", "2", "3", "4", "5", "6", "7"], "intset", &["a"], "hashtable"),
            ((10, 5, 64), &["1", "2", "3", "4", "a"], "listpack", &["b"], "hashtable"),
            ((10, 5, 4), &["12345", "2", "3"], "intset", &["a"], "hashtable"),
            ((10, 5, 4), &["a"], "listpack", &["123456"], "hashtable"),
            ((10, 5, 4), &["abcdef"], "hashtable", &["a"], "hashtable"),
            ((0, 128, 64), &["1"], "listpack", &["2"], "listpack"),
            (defaults, &["1", "2", "3", "a"], "listpack", &["1"], "listpack"),
        ] {
            let config = config(ints, entries, value);
            let mut set = Set::new();
            sadd(&mut set, first, &config);
            assert_eq!(set.encoding(), before, "{first:?}");
            sadd(&mut set, second, &config);
            assert_eq!(set.encoding(), after, "{first:?} then {second:?}");
        }
        let mut set = Set::new();
        let config = EngineConfig::default();
        (0..512).for_each(|i| sadd(&mut set, &[&i.to_string()], &config));
        assert_eq!(set.encoding(), "intset");
        sadd(&mut set, &["512"], &config);
        assert_eq!(set.encoding(), "hashtable");
    }

    #[test]
    fn a_big_set_takes_what_was_planned() {
        let config = EngineConfig::default();
        let mut set = Set::new();
        let count = 1 << 18;
        (0..count).for_each(|i| {
            set.add(format!("member:{i:09}").as_bytes(), &config);
        });
        let per_member = set.memory_usage(0) as f64 / count as f64;
        assert!(per_member <= 36.0, "{per_member} bytes per member of 16");
    }

    #[test]
    fn every_subset_has_its_chance() {
        let mut rng = Rng::new(7);
        for (count, limits) in [(16, (512, 128, 64)), (16, (0, 128, 64)), (16, (0, 0, 0)), (200, (0, 0, 0))] {
            let config = config(limits.0, limits.1, limits.2);
            let mut set = Set::new();
            (0..count).for_each(|i| sadd(&mut set, &[&i.to_string()], &config));
            let mut hits = vec![0u32; count];
            let rounds = 4000;
            for _ in 0..rounds {
                let mut seen = HashSet::new();
                set.random_distinct(8, &mut rng, |member| {
                    let value = member.as_i64().expect("integers") as usize;
                    assert!(seen.insert(value));
                    hits[value] += 1;
                });
                assert_eq!(seen.len(), 8);
                hits[set.random(&mut rng).and_then(Elem::as_i64).expect("integers") as usize] += 1;
            }
            let expected = f64::from(rounds * 9) / count as f64;
            for (member, &hits) in hits.iter().enumerate() {
                let off = (f64::from(hits) - expected).abs() / expected.sqrt();
                assert!(off < 6.0, "{member} of {count} was taken {hits} times, expected {expected}");
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(
            limits in (0..20usize, 0..20usize, 1..6usize),
            ops in prop::collection::vec((0..4u8, "[0-9]{1,2}|-[1-9]|[ab]{1,6}|0[0-9]"), 0..120),
            seed: u64,
        ) {
            let config = config(limits.0, limits.1, limits.2);
            let mut rng = Rng::new(seed);
            let (mut set, mut model) = (Set::new(), BTreeSet::<Vec<u8>>::new());
            for (op, member) in ops {
                let member = member.into_bytes();
                prop_assert_eq!(set.contains(&member), model.contains(&member));
                prop_assert_eq!(set.contains_elem(Elem::Str(&member).packed()), model.contains(&member));
                match op {
                    0 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                    1 if seed % 4 == 0 => {
                        let popped = set.pop_random(&mut rng, |elem| elem.to_vec());
                        prop_assert_eq!(popped.is_some(), !model.is_empty());
                        prop_assert!(popped.is_none_or(|popped| model.remove(&popped)));
                    }
                    _ => prop_assert_eq!(set.add(&member, &config), model.insert(member)),
                }
                set.check_invariants();
                prop_assert_eq!(set.len(), model.len());
            }
            let all: BTreeSet<Vec<u8>> = set.iter().map(Elem::to_vec).collect();
            prop_assert_eq!(&all, &model);
            let (mut cursor, mut scanned) = (0, BTreeSet::new());
            loop {
                cursor = set.scan(cursor, 3, |elem| { scanned.insert(elem.to_vec()); });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(scanned, model);
        }
    }
}
