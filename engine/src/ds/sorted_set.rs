//! A big sorted set: a counted B+ tree for the order and a hash table for the names, over the same members.
//!
//! A member is allocated once (`ZMember`); the table owns it and the tree refers to it. A member of 16 bytes costs
//! 32 bytes itself, 10 to 13 in the table and 10 to 13 in the tree.
//!
//! Ranges of any kind are ranges of ranks: a bound by score or by name turns into a rank in one descent.

use std::ops::Range;

use super::btree::{AtName, AtScore, Backward, Forward, Tree, order_key};
use super::hash::hash;
use super::table::{Place, Table};
use super::zmember::{ZMember, ZRef};

/// A member as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored<'a> {
    /// The member itself.
    pub name: &'a [u8],
    /// Its score; never NaN.
    pub score: f64,
}

impl Scored<'_> {
    fn of(member: ZRef) -> Self {
        Scored { name: member.name(), score: member.score() }
    }
}

/// What [`SortedSet::update`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Updated {
    /// The member is new.
    Added,
    /// The member has another score now.
    Changed,
    /// Nothing changed: the score is the same, or the update was declined.
    Same,
}

/// Sorted set of any size.
#[derive(Default)]
pub struct SortedSet {
    // Declared before the members, thus dropped before them: the tree refers to them.
    tree: Tree,
    members: Table<ZMember>,
}

impl SortedSet {
    /// An empty set. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose table has room for `members`.
    pub fn with_capacity(members: usize) -> Self {
        SortedSet { tree: Tree::new(), members: Table::with_capacity(members) }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// True when there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, name: &[u8]) -> Option<f64> {
        self.members.find(hash(name), name).map(ZRef::score)
    }

    /// Adds a member or changes its score. `score` must not be NaN.
    pub fn insert(&mut self, name: &[u8], score: f64) -> Updated {
        self.update(name, |_| Some(score))
    }

    /// Adds a member or changes its score as `decide` says, which sees the present score: one lookup for all of ZADD's
    /// conditions. `None` leaves things as they are; the answer must not be NaN.
    pub fn update(&mut self, name: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Updated {
        match self.members.place(hash(name), name) {
            Place::Occupied(place) => {
                let member = place.get();
                let old = member.score();
                match decide(Some(old)) {
                    // Negative zero is another score than zero, of the same place in the order.
                    Some(score) if score.to_bits() != old.to_bits() => {
                        assert!(!score.is_nan(), "callers refuse NaN");
                        self.tree.rescore(member, score);
                        Updated::Changed
                    }
                    _ => Updated::Same,
                }
            }
            Place::Vacant(place) => {
                let Some(score) = decide(None) else { return Updated::Same };
                assert!(!score.is_nan(), "callers refuse NaN");
                let member = place.insert(ZMember::new(name, score)).get();
                self.tree.insert(member);
                Updated::Added
            }
        }
    }

    /// Adds a member that is not there yet and comes after all others in (score, name) order: for loading ordered input.
    ///
    /// # Errors
    /// Nothing is added when the order or the uniqueness does not hold, or when the score is NaN.
    pub fn push_last(&mut self, name: &[u8], score: f64) -> Result<(), OutOfOrder> {
        if score.is_nan() {
            return Err(OutOfOrder);
        }
        let last = self.tree.len().checked_sub(1).and_then(|rank| self.tree.select(rank));
        if last.is_some_and(|last| (order_key(last.score()), last.name()) >= (order_key(score), name)) {
            return Err(OutOfOrder);
        }
        match self.members.place(hash(name), name) {
            Place::Occupied(_) => Err(OutOfOrder),
            Place::Vacant(place) => {
                let member = place.insert(ZMember::new(name, score)).get();
                self.tree.push_last(member);
                Ok(())
            }
        }
    }

    /// Removes a member; returns the score it had.
    pub fn remove(&mut self, name: &[u8]) -> Option<f64> {
        let member = self.members.remove(hash(name), name)?;
        self.tree.remove(member.as_ref());
        Some(member.as_ref().score())
    }

    /// Removes the members of these ranks in ascending order, each shown to `removed` first. The range is within the set.
    pub fn remove_ranks(&mut self, ranks: Range<usize>, mut removed: impl FnMut(Scored<'_>)) {
        let members = &mut self.members;
        self.tree.remove_range(ranks.start, ranks.len(), |member| {
            let name = member.name();
            let owned = members.remove(hash(name), name).expect("tree and table hold the same members");
            removed(Scored::of(owned.as_ref()));
        });
    }

    /// Rank (from 0) and score of a member.
    pub fn rank(&self, name: &[u8]) -> Option<(usize, f64)> {
        let member = self.members.find(hash(name), name)?;
        Some((self.tree.rank(member), member.score()))
    }

    /// The member of this rank.
    pub fn get(&self, rank: usize) -> Option<Scored<'_>> {
        self.tree.select(rank).map(Scored::of)
    }

    /// How many members have a score below `score`, or, with `or_equal`, not above it.
    pub fn count_below_score(&self, score: f64, or_equal: bool) -> usize {
        self.tree.count_before(&AtScore { key: order_key(score), after: or_equal })
    }

    /// How many members come before `name` in byte order, or, with `or_equal`, up to it; for sets of one single score.
    pub fn count_below_name(&self, name: &[u8], or_equal: bool) -> usize {
        self.tree.count_before(&AtName { name, after: or_equal })
    }

    /// The members of these ranks, ascending; what lies beyond the set is left out.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter { members: self.tree.forward(ranks.start, ranks.len()), set: std::marker::PhantomData }
    }

    /// The members of these ranks, descending. The range is within the set.
    pub fn range_back(&self, ranks: Range<usize>) -> IterBack<'_> {
        let last = ranks.end.saturating_sub(1);
        IterBack { members: self.tree.backward(last, ranks.len()), set: std::marker::PhantomData }
    }

    /// All members in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// Emits some members, about `budget`, from `cursor` on, in no order; returns the next cursor, 0 at the
    /// end. A member that is present throughout is emitted whatever happens to the set between the calls.
    pub fn scan(&self, cursor: u64, budget: usize, mut emit: impl FnMut(Scored<'_>)) -> u64 {
        self.members.scan(cursor, budget, |member| emit(Scored::of(member)))
    }

    /// Bytes taken from the allocator, this struct aside; names are estimated from a few members when there are many.
    pub fn memory_usage(&self, samples: usize) -> usize {
        let seen = if samples == 0 { self.len() } else { samples.min(self.len()) };
        let bytes: usize = self.tree.forward(0, seen).map(|member| super::blob::size_class(member.bytes())).sum();
        let members = if seen == 0 { 0 } else { (bytes as u128 * self.len() as u128 / seen as u128) as usize };
        members + self.tree.node_bytes() + self.members.memory_usage()
    }

    /// Frees up to `budget` members; returns false when nothing is left. What remains is a set still.
    pub fn free_step(&mut self, budget: usize) -> bool {
        self.remove_ranks(0..budget.min(self.len()), |_| {});
        !self.is_empty()
    }

    /// The table's fill, for DEBUG HTSTATS-KEY.
    pub fn table_stats(&self, full: bool) -> super::table::Stats {
        self.members.stats(full)
    }

    /// Moves the table's rehashing on by some buckets; true while there is more to do.
    pub fn rehash_step(&mut self, buckets: usize) -> bool {
        self.members.rehash_step(buckets)
    }

    /// Checks every rule that the set keeps; for tests and fuzzing.
    pub fn check_invariants(&self) {
        self.tree.check_invariants();
        assert_eq!(self.members.len(), self.tree.len());
        for member in self.tree.forward(0, usize::MAX) {
            assert!(!member.score().is_nan());
            let found = self.members.find(hash(member.name()), member.name()).expect("in both");
            assert!(found == member, "one allocation, seen from both sides");
        }
    }
}

/// A member did not come after all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl std::fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("members are not in ascending order, or not unique")
    }
}

impl std::error::Error for OutOfOrder {}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Members in ascending order.
pub struct Iter<'a> {
    members: Forward,
    set: std::marker::PhantomData<&'a SortedSet>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Scored<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scored<'a>> {
        self.members.next().map(|member| Scored { name: member.name(), score: member.score() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.members.size_hint()
    }
}

/// Members in descending order.
pub struct IterBack<'a> {
    members: Backward,
    set: std::marker::PhantomData<&'a SortedSet>,
}

impl<'a> Iterator for IterBack<'a> {
    type Item = Scored<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scored<'a>> {
        self.members.next().map(|member| Scored { name: member.name(), score: member.score() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.members.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, i8),
        Remove(u16),
        RemoveRanks(u16, u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..2000u16, any::<i8>()).prop_map(|(name, score)| Op::Insert(name, score)),
            3 => (0..2000u16).prop_map(Op::Remove),
            1 => (any::<u16>(), any::<u8>()).prop_map(|(rank, count)| Op::RemoveRanks(rank, count)),
        ]
    }

    fn sorted(model: &BTreeMap<Vec<u8>, f64>) -> Vec<(f64, Vec<u8>)> {
        let mut all: Vec<_> = model.iter().map(|(name, score)| (*score, name.clone())).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn behaves_like_a_map_and_a_sort(ops in proptest::collection::vec(op(), 1..1200)) {
            let mut set = SortedSet::new();
            let mut model: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
            for op in &ops {
                match *op {
                    Op::Insert(name, score) => {
                        let (name, score) = (name.to_string().into_bytes(), f64::from(score) / 8.0);
                        let expected = match model.insert(name.clone(), score) {
                            None => Updated::Added,
                            Some(old) if old != score => Updated::Changed,
                            Some(_) => Updated::Same,
                        };
                        prop_assert_eq!(set.insert(&name, score), expected);
                    }
                    Op::Remove(name) => {
                        let name = name.to_string().into_bytes();
                        prop_assert_eq!(set.remove(&name), model.remove(&name));
                    }
                    Op::RemoveRanks(rank, count) => {
                        let from = rank as usize % (set.len() + 1);
                        let ranks = from..(from + count as usize).min(set.len());
                        let expected = sorted(&model)[ranks.clone()].to_vec();
                        let mut removed = Vec::new();
                        set.remove_ranks(ranks, |member| removed.push((member.score, member.name.to_vec())));
                        prop_assert_eq!(&removed, &expected);
                        for (_, name) in &removed {
                            model.remove(name);
                        }
                    }
                }
            }
            set.check_invariants();
            let order = sorted(&model);
            prop_assert!(set.iter().map(|m| (m.score, m.name.to_vec())).eq(order.iter().cloned()));
            prop_assert!(set.range_back(0..set.len()).map(|m| (m.score, m.name.to_vec())).eq(order.iter().rev().cloned()));
            for (rank, (score, name)) in order.iter().enumerate() {
                prop_assert_eq!(set.rank(name), Some((rank, *score)));
                prop_assert_eq!(set.count_below_score(*score, false), order.iter().filter(|pair| pair.0 < *score).count());
                prop_assert_eq!(set.count_below_score(*score, true), order.iter().filter(|pair| pair.0 <= *score).count());
            }
            let mut cursor = 0;
            let mut seen = Vec::new();
            loop {
                cursor = set.scan(cursor, 10, |member| seen.push(member.name.to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            seen.sort();
            prop_assert!(seen.iter().eq(model.keys()));
        }
    }

    #[test]
    fn equal_scores_are_ordered_by_name() {
        let mut set = SortedSet::new();
        for n in 0..1000u32 {
            set.insert(format!("{:04}", n * 7 % 1000).as_bytes(), 0.0);
        }
        set.check_invariants();
        assert_eq!(set.count_below_name(b"0500", false), 500);
        assert_eq!(set.count_below_name(b"0500", true), 501);
        assert_eq!(set.count_below_name(b"", true), 0);
        assert_eq!(set.count_below_name(b"z", false), 1000);
        assert_eq!(set.rank(b"0123"), Some((123, 0.0)));
    }

    #[test]
    fn ordered_input_is_checked() {
        let mut set = SortedSet::new();
        assert_eq!(set.push_last(b"b", 1.0), Ok(()));
        assert_eq!(set.push_last(b"a", 1.0), Err(OutOfOrder));
        assert_eq!(set.push_last(b"b", 2.0), Err(OutOfOrder));
        assert_eq!(set.push_last(b"c", f64::NAN), Err(OutOfOrder));
        assert_eq!(set.push_last(b"c", 1.0), Ok(()));
        set.check_invariants();
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn is_freed_in_steps() {
        let mut set = SortedSet::new();
        for n in 0..1000u32 {
            set.insert(&n.to_be_bytes(), f64::from(n % 10));
        }
        let mut steps = 1;
        while set.free_step(64) {
            set.check_invariants();
            steps += 1;
        }
        assert_eq!((steps, set.len()), (1000usize.div_ceil(64), 0));
    }

    #[test]
    fn a_big_set_meets_the_memory_gate() {
        let mut set = SortedSet::new();
        for n in 0..200_000u64 {
            let name = format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            set.insert(name.as_bytes(), (n.wrapping_mul(0xd134_2543_de82_ef95) >> 11) as f64);
        }
        set.members.finish_rehash();
        let per_member = set.memory_usage(0) as f64 / set.len() as f64;
        assert!(per_member <= 62.0, "{per_member} bytes per member of 16 bytes");
    }
}
