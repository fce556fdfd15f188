//! Sorted sets: one listpack of member, score, member, score… while small, a tree with a table beyond.
//!
//! Every kind of range (by rank, score or name) is turned into a range of ranks first; the operations then need one
//! form only, whichever the encoding.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use crate::config::EngineConfig;
use crate::ds::listpack::{self, Elem, ElemBuf, Listpack, Pos, Side};
use crate::ds::sorted_set::{self, SortedSet};

pub use crate::ds::sorted_set::Updated;

/// A sorted set. No score in it is NaN.
pub enum Zset {
    /// Pairs of member and score in order, in one listpack.
    Listpack(Listpack),
    /// Many members, or large ones.
    Tree(Box<SortedSet>),
}

/// Which way a range is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the lowest score up.
    Ascending,
    /// From the highest score down.
    Descending,
}

/// A range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// Lower bound.
    pub min: f64,
    /// Whether the lower bound itself is left out.
    pub min_excluded: bool,
    /// Upper bound.
    pub max: f64,
    /// Whether the upper bound itself is left out.
    pub max_excluded: bool,
}

impl ScoreRange {
    /// The range between two bounds as ZRANGEBYSCORE spells them (`1.5`, `(1.5`, `-inf`); `None` when they do not parse.
    #[must_use]
    pub fn parse(min: &[u8], max: &[u8]) -> Option<Self> {
        fn bound(text: &[u8]) -> Option<(f64, bool)> {
            let (text, excluded) = text.strip_prefix(b"(").map_or((text, false), |rest| (rest, true));
            // Wider and narrower than the scores of ZADD, as in Redis: nothing is zero, 1e400 infinite, 0x10 an error.
            let score: f64 = if text.is_empty() { 0.0 } else { std::str::from_utf8(text).ok()?.parse().ok()? };
            if score.is_nan() { None } else { Some((score, excluded)) }
        }
        let ((min, min_excluded), (max, max_excluded)) = (bound(min)?, bound(max)?);
        Some(ScoreRange { min, min_excluded, max, max_excluded })
    }
}

/// An end of a range of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameBound<'a> {
    /// `-`: before all names.
    First,
    /// `[name`
    Included(&'a [u8]),
    /// `(name`
    Excluded(&'a [u8]),
    /// `+`: after all names.
    Last,
}

/// A range of names; means something in a set of one single score only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRange<'a> {
    /// Lower bound.
    pub min: NameBound<'a>,
    /// Upper bound.
    pub max: NameBound<'a>,
}

impl<'a> NameRange<'a> {
    /// The range between two bounds as ZRANGEBYLEX spells them; `None` when they do not parse.
    #[must_use]
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Option<Self> {
        fn bound(text: &[u8]) -> Option<NameBound<'_>> {
            match text {
                b"-" => Some(NameBound::First),
                b"+" => Some(NameBound::Last),
                [b'[', name @ ..] => Some(NameBound::Included(name)),
                [b'(', name @ ..] => Some(NameBound::Excluded(name)),
                _ => None,
            }
        }
        Some(NameRange { min: bound(min)?, max: bound(max)? })
    }
}

impl Default for Zset {
    fn default() -> Self {
        Zset::Listpack(Listpack::new())
    }
}

impl Zset {
    /// An empty sorted set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Figures on the table of members, when there is one.
    #[must_use]
    pub fn table_stats(&self, full: bool) -> Option<crate::ds::table::Stats> {
        match self {
            Zset::Tree(tree) => Some(tree.table_stats(full)),
            Zset::Listpack(_) => None,
        }
    }

    /// As OBJECT ENCODING names it. The tree goes by the name of what Redis has in its place.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Zset::Listpack(_) => "listpack",
            Zset::Tree(_) => "skiplist",
        }
    }

    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Zset::Listpack(pack) => pack.len() / 2,
            Zset::Tree(tree) => tree.len(),
        }
    }

    /// Whether there is no member. An empty sorted set is not kept in the keyspace.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Zset::Listpack(pack) => pack.is_empty(),
            Zset::Tree(tree) => tree.is_empty(),
        }
    }

    /// Bytes taken from the allocator. Large sets are extrapolated from `samples` members; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        match self {
            Zset::Listpack(pack) => pack.memory_usage(),
            Zset::Tree(tree) => size_of::<SortedSet>() + tree.memory_usage(samples),
        }
    }

    /// The score of a member.
    #[inline]
    #[must_use]
    pub fn score(&self, name: &[u8]) -> Option<f64> {
        match self {
            Zset::Listpack(pack) => find(pack, name).map(|(_, score)| score),
            Zset::Tree(tree) => tree.score(name),
        }
    }

    /// Chooses the encoding for `adding` more members, so that adding them converts nothing half way.
    pub fn prepare(&mut self, adding: usize, config: &EngineConfig) {
        if matches!(self, Zset::Listpack(_)) && self.len().saturating_add(adding) > config.zset_max_listpack_entries {
            self.become_tree(adding);
        }
    }

    /// Adds a member or changes its score as `decide` says, which sees the present score; `None` leaves things as they are.
    /// The answer must not be NaN.
    #[inline]
    pub fn update(
        &mut self,
        name: &[u8],
        config: &EngineConfig,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Updated {
        match self {
            Zset::Tree(tree) => tree.update(name, decide),
            Zset::Listpack(_) => self.update_small(name, config, decide),
        }
    }

    /// Adds a member or changes its score. `score` must not be NaN.
    pub fn insert(&mut self, name: &[u8], score: f64, config: &EngineConfig) -> Updated {
        self.update(name, config, |_| Some(score))
    }

    /// Adds a member that comes after all others, in (score, name) order.
    pub fn push_last(&mut self, name: &[u8], score: f64, config: &EngineConfig) {
        if let Zset::Listpack(pack) = self
            && pack.len() / 2 < config.zset_max_listpack_entries
            && name.len() <= config.zset_max_listpack_value
            && pack.safe_to_add(name.len())
        {
            with_score_elem(score, |score| pack.extend_back(&[Elem::Str(name), score]));
            return;
        }
        self.become_tree(1);
        let Zset::Tree(tree) = self else { unreachable!("converted above") };
        if tree.push_last(name, score).is_err() {
            debug_assert!(false, "callers keep the order");
            tree.insert(name, score);
        }
    }

    fn update_small(
        &mut self,
        name: &[u8],
        config: &EngineConfig,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Updated {
        let Zset::Listpack(pack) = self else { unreachable!("the caller looked") };
        if let Some((pos, old)) = find(pack, name) {
            return match decide(Some(old)) {
                Some(score) if score != old => {
                    assert!(!score.is_nan(), "callers refuse NaN");
                    pack.delete_range_at(pos, 2);
                    insert_pair(pack, name, score);
                    Updated::Changed
                }
                _ => Updated::Same,
            };
        }
        let Some(score) = decide(None) else { return Updated::Same };
        assert!(!score.is_nan(), "callers refuse NaN");
        let fits = pack.len() / 2 < config.zset_max_listpack_entries
            && name.len() <= config.zset_max_listpack_value
            && pack.safe_to_add(name.len());
        if fits {
            insert_pair(pack, name, score);
        } else {
            self.become_tree(1);
            let Zset::Tree(tree) = self else { unreachable!("converted above") };
            tree.insert(name, score);
        }
        Updated::Added
    }

    /// Removes a member; returns the score it had.
    pub fn remove(&mut self, name: &[u8]) -> Option<f64> {
        match self {
            Zset::Listpack(pack) => {
                let (pos, score) = find(pack, name)?;
                pack.delete_range_at(pos, 2);
                Some(score)
            }
            Zset::Tree(tree) => tree.remove(name),
        }
    }

    /// Rank (from 0, ascending) and score of a member.
    #[must_use]
    pub fn rank(&self, name: &[u8]) -> Option<(usize, f64)> {
        match self {
            Zset::Listpack(pack) => {
                let (mut rank, mut at) = (0, pack.first());
                let (target, score) = find(pack, name)?;
                while let Some(pos) = at.filter(|pos| *pos != target) {
                    rank += 1;
                    at = pack.next(pos).and_then(|score| pack.next(score));
                }
                Some((rank, score))
            }
            Zset::Tree(tree) => tree.rank(name),
        }
    }

    /// Lets `read` see the member of this rank; `None` when there is none.
    pub fn get_with<R>(&self, rank: usize, read: impl FnOnce(Elem<'_>, f64) -> R) -> Option<R> {
        match self {
            Zset::Listpack(pack) => {
                let pos = pack.seek(2 * rank)?;
                Some(read(pack.get(pos), score_after(pack, pos)))
            }
            Zset::Tree(tree) => tree.get(rank).map(|member| read(Elem::Str(member.name), member.score)),
        }
    }

    /// The ranks of the members whose scores lie in `range`.
    #[must_use]
    pub fn ranks_of_scores(&self, range: &ScoreRange) -> Range<usize> {
        let (start, end) = match self {
            Zset::Listpack(pack) => {
                let (mut start, mut end) = (0, 0);
                for (_, score) in PackIter::over(pack) {
                    let below = score < range.min || (range.min_excluded && score == range.min);
                    let within = score < range.max || (!range.max_excluded && score == range.max);
                    if !within {
                        break;
                    }
                    start += usize::from(below);
                    end += 1;
                }
                (start, end)
            }
            Zset::Tree(tree) => {
                let start = tree.count_below_score(range.min, range.min_excluded);
                if start == tree.len() {
                    (start, start)
                } else {
                    (start, tree.count_below_score(range.max, !range.max_excluded))
                }
            }
        };
        start..end.max(start)
    }

    /// The ranks of the members whose names lie in `range`; for sets of one single score.
    #[must_use]
    pub fn ranks_of_names(&self, range: &NameRange<'_>) -> Range<usize> {
        let start = match range.min {
            NameBound::First => 0,
            NameBound::Included(name) => self.count_below_name(name, false),
            NameBound::Excluded(name) => self.count_below_name(name, true),
            NameBound::Last => self.len(),
        };
        let end = match range.max {
            NameBound::First => 0,
            NameBound::Included(name) => self.count_below_name(name, true),
            NameBound::Excluded(name) => self.count_below_name(name, false),
            NameBound::Last => self.len(),
        };
        start..end.max(start)
    }

    fn count_below_name(&self, name: &[u8], or_equal: bool) -> usize {
        match self {
            Zset::Listpack(pack) => {
                let mut buf = ElemBuf::default();
                PackIter::over(pack)
                    .take_while(|(elem, _)| match elem.text(&mut buf).cmp(name) {
                        Ordering::Less => true,
                        Ordering::Equal => or_equal,
                        Ordering::Greater => false,
                    })
                    .count()
            }
            Zset::Tree(tree) => tree.count_below_name(name, or_equal),
        }
    }

    /// Calls `f` with the members of these ranks and their scores, in either order. The range is within the set.
    #[inline]
    pub fn range(&self, ranks: Range<usize>, order: Order, mut f: impl FnMut(Elem<'_>, f64)) {
        if ranks.is_empty() {
            return;
        }
        match (self, order) {
            (Zset::Listpack(pack), Order::Ascending) => {
                let Some(pos) = pack.seek(2 * ranks.start) else { return };
                PackIter(pack.iter_from(pos)).take(ranks.len()).for_each(|(elem, score)| f(elem, score));
            }
            (Zset::Listpack(pack), Order::Descending) => {
                let Some(pos) = pack.seek(2 * (ranks.end - 1) + 1) else { return };
                let mut elems = pack.iter_back_from(pos);
                for _ in ranks {
                    let (Some(score), Some(name)) = (elems.next(), elems.next()) else { return };
                    f(name, score_of(score));
                }
            }
            (Zset::Tree(tree), Order::Ascending) => {
                tree.range(ranks).for_each(|member| f(Elem::Str(member.name), member.score));
            }
            (Zset::Tree(tree), Order::Descending) => {
                tree.range_back(ranks).for_each(|member| f(Elem::Str(member.name), member.score));
            }
        }
    }

    /// Removes the members of these ranks; each is shown to `removed` first, ascending. The range is within the set.
    pub fn remove_ranks(&mut self, ranks: Range<usize>, mut removed: impl FnMut(Elem<'_>, f64)) {
        if ranks.is_empty() {
            return;
        }
        match self {
            Zset::Listpack(pack) => {
                let Some(pos) = pack.seek(2 * ranks.start) else { return };
                PackIter(pack.iter_from(pos)).take(ranks.len()).for_each(|(elem, score)| removed(elem, score));
                pack.delete_range(2 * ranks.start, 2 * ranks.len());
            }
            Zset::Tree(tree) => tree.remove_ranks(ranks, |member| removed(Elem::Str(member.name), member.score)),
        }
    }

    /// All members with their scores, ascending.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Zset::Listpack(pack) => Iter::Pack(PackIter::over(pack)),
            Zset::Tree(tree) => Iter::Tree(tree.iter()),
        }
    }

    /// The members of this score and above, ascending.
    #[must_use]
    pub fn iter_from_score(&self, min: f64) -> Iter<'_> {
        match self {
            Zset::Listpack(pack) => {
                let (mut from, mut ahead) = (PackIter::over(pack), PackIter::over(pack));
                while ahead.next().is_some_and(|(_, score)| score < min) {
                    from = ahead.clone();
                }
                Iter::Pack(from)
            }
            Zset::Tree(tree) => Iter::Tree(tree.range(tree.count_below_score(min, false)..tree.len())),
        }
    }

    /// Emits about `budget` members from `cursor` on; returns the next cursor, 0 at the end. A small set is emitted whole.
    /// A member that is there throughout is emitted, whatever happens between the calls.
    pub fn scan(&self, cursor: u64, budget: usize, mut emit: impl FnMut(Elem<'_>, f64)) -> u64 {
        match self {
            Zset::Listpack(pack) => {
                PackIter::over(pack).for_each(|(elem, score)| emit(elem, score));
                0
            }
            Zset::Tree(tree) => tree.scan(cursor, budget, |member| emit(Elem::Str(member.name), member.score)),
        }
    }

    /// Goes back to a listpack when the members allow it, as after ZUNIONSTORE. `longest` is the length of the longest name.
    pub fn shrink(&mut self, longest: usize, config: &EngineConfig) {
        let Zset::Tree(tree) = self else { return };
        if tree.len() > config.zset_max_listpack_entries || longest > config.zset_max_listpack_value {
            return;
        }
        let mut pack = Listpack::new();
        for member in tree.iter() {
            if !pack.safe_to_add(member.name.len()) {
                return;
            }
            pack.push_back(member.name);
            with_score_elem(member.score, |elem| pack.push_back(elem));
        }
        *self = Zset::Listpack(pack);
    }

    /// Frees up to `budget` members; returns false when nothing is left.
    pub fn free_step(&mut self, budget: usize) -> bool {
        match self {
            Zset::Listpack(pack) => {
                pack.clear();
                false
            }
            Zset::Tree(tree) => tree.free_step(budget),
        }
    }

    /// A listpack that came from elsewhere; `None` unless it has pairs in ascending order with unique names.
    #[must_use]
    pub fn from_listpack(pack: Listpack, config: &EngineConfig) -> Option<Self> {
        let scores_parse = pack.iter().skip(1).step_by(2).all(|elem| match elem {
            Elem::Int(_) => true,
            Elem::Str(text) => resp::number::parse_f64(text).is_some(),
        });
        if !pack.len().is_multiple_of(2) || !scores_parse || !PackIter::over(&pack).map(|pair| pair.1).is_sorted() {
            return None;
        }
        let mut names: Vec<_> = PackIter::over(&pack).map(|(elem, _)| elem.to_vec()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let longest = names.iter().map(Vec::len).max().unwrap_or(0);
        let mut zset = Zset::Listpack(pack);
        if zset.len() > config.zset_max_listpack_entries || longest > config.zset_max_listpack_value {
            zset.become_tree(0);
        }
        Some(zset)
    }

    /// Checks every rule that the set keeps; for tests and fuzzing.
    pub fn check_invariants(&self) {
        match self {
            Zset::Listpack(pack) => {
                pack.check_invariants();
                assert_eq!(pack.len() % 2, 0);
                let all: Vec<_> = PackIter::over(pack).map(|(elem, score)| (score, elem.to_vec())).collect();
                assert!(all.iter().all(|pair| !pair.0.is_nan()));
                assert!(all.windows(2).all(|w| w[0].0 < w[1].0 || (w[0].0 == w[1].0 && w[0].1 < w[1].1)));
            }
            Zset::Tree(tree) => tree.check_invariants(),
        }
    }

    /// Takes the form of a tree, with room for `adding` more members.
    pub(crate) fn become_tree(&mut self, adding: usize) {
        let Zset::Listpack(pack) = self else { return };
        let mut tree = SortedSet::with_capacity((pack.len() / 2).saturating_add(adding.min(PREPARED_MEMBERS_MAX)));
        let mut buf = ElemBuf::default();
        for (elem, score) in PackIter::over(pack) {
            // Not `push_last`: a listpack that others wrote may order equal scores otherwise.
            tree.insert(elem.text(&mut buf), score);
        }
        *self = Zset::Tree(Box::new(tree));
    }
}

/// Members that memory is set aside for on an announcement alone.
const PREPARED_MEMBERS_MAX: usize = 1 << 16;

impl fmt::Debug for Zset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(elem, score)| (elem.to_vec(), score))).finish()
    }
}

/// Members with their scores, ascending.
pub enum Iter<'a> {
    /// Of a listpack.
    Pack(PackIter<'a>),
    /// Of a tree.
    Tree(sorted_set::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Pack(iter) => iter.next(),
            Iter::Tree(iter) => iter.next().map(|member| (Elem::Str(member.name), member.score)),
        }
    }
}

/// The pairs of a listpack.
#[derive(Clone)]
pub struct PackIter<'a>(listpack::Iter<'a>);

impl<'a> PackIter<'a> {
    fn over(pack: &'a Listpack) -> Self {
        PackIter(pack.iter())
    }
}

impl<'a> Iterator for PackIter<'a> {
    type Item = (Elem<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.next()?;
        Some((name, score_of(self.0.next()?)))
    }
}

/// The score that an element of a listpack spells. What does not parse (in data that others wrote) counts as zero, so that
/// NaN stays out.
fn score_of(elem: Elem<'_>) -> f64 {
    match elem {
        Elem::Int(score) => score as f64,
        Elem::Str(text) => resp::number::parse_f64(text).unwrap_or(0.0),
    }
}

fn score_after(pack: &Listpack, name: Pos) -> f64 {
    pack.next(name).map_or(0.0, |pos| score_of(pack.get(pos)))
}

fn find(pack: &Listpack, name: &[u8]) -> Option<(Pos, f64)> {
    let pos = pack.find_first(name, 2)?;
    Some((pos, score_after(pack, pos)))
}

/// Largest score that a listpack keeps as the integer that it is.
const INTEGER_SCORE_MAX: f64 = 4_611_686_018_427_387_904.0;

/// Hands `use_elem` the score as a listpack stores it: as an integer if it is one, else as its shortest text.
pub(crate) fn with_score_elem(score: f64, use_elem: impl FnOnce(Elem<'_>)) {
    // Up to 2^62, as in Redis: beyond, what counts is the shortest text, which may be that of another integer. -0 becomes 0.
    if score == score.trunc() && score.abs() <= INTEGER_SCORE_MAX {
        use_elem(Elem::Int(score as i64));
    } else {
        use_elem(Elem::Str(resp::number::format_f64(score).as_ref()));
    }
}

/// Puts a member that is not there at its place.
fn insert_pair(pack: &mut Listpack, name: &[u8], score: f64) {
    let mut at = None;
    let mut elems = pack.iter();
    let mut buf = ElemBuf::default();
    while let Some(pos) = elems.pos() {
        let (Some(other), Some(other_score)) = (elems.next(), elems.next()) else { break };
        let other_score = score_of(other_score);
        if other_score > score || (other_score == score && other.text(&mut buf) > name) {
            at = Some(pos);
            break;
        }
    }
    with_score_elem(score, |score| {
        let pair = [Elem::Str(name), score];
        match at {
            Some(pos) => pack.insert_many(pos, Side::Before, &pair),
            None => pack.extend_back(&pair),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u8, i8),
        Remove(u8),
        RemoveRanks(u8, u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (any::<u8>(), any::<i8>()).prop_map(|(name, score)| Op::Insert(name, score)),
            2 => any::<u8>().prop_map(Op::Remove),
            1 => (any::<u8>(), 0..9u8).prop_map(|(rank, count)| Op::RemoveRanks(rank, count)),
        ]
    }

    /// Some names are integers, some are not: a listpack stores them differently.
    fn name(n: u8) -> Vec<u8> {
        if n.is_multiple_of(3) { n.to_string().into_bytes() } else { format!("m{n}").into_bytes() }
    }

    fn collect(zset: &Zset, ranks: Range<usize>, order: Order) -> Vec<(Vec<u8>, f64)> {
        let mut all = Vec::new();
        zset.range(ranks, order, |elem, score| all.push((elem.to_vec(), score)));
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn both_encodings_behave_like_a_model(ops in proptest::collection::vec(op(), 1..300), limit in 0..60usize) {
            let config = EngineConfig { zset_max_listpack_entries: limit, ..EngineConfig::default() };
            let mut zset = Zset::new();
            let mut model: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
            for op in ops {
                let order = {
                    let mut all: Vec<_> = model.iter().map(|(name, score)| (name.clone(), *score)).collect();
                    all.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
                    all
                };
                prop_assert_eq!(&collect(&zset, 0..zset.len(), Order::Ascending), &order);
                match op {
                    Op::Insert(n, score) => {
                        let score = f64::from(score) / 4.0;
                        let expected = match model.insert(name(n), score) {
                            None => Updated::Added,
                            Some(old) if old != score => Updated::Changed,
                            Some(_) => Updated::Same,
                        };
                        prop_assert_eq!(zset.insert(&name(n), score, &config), expected);
                    }
                    Op::Remove(n) => prop_assert_eq!(zset.remove(&name(n)), model.remove(&name(n))),
                    Op::RemoveRanks(rank, count) => {
                        let from = rank as usize % (zset.len() + 1);
                        let ranks = from..(from + count as usize).min(zset.len());
                        let mut removed = Vec::new();
                        zset.remove_ranks(ranks.clone(), |elem, score| removed.push((elem.to_vec(), score)));
                        prop_assert_eq!(&removed, &order[ranks]);
                        for (name, _) in removed {
                            model.remove(&name);
                        }
                    }
                }
                zset.check_invariants();
                prop_assert_eq!(zset.len(), model.len());
                if zset.len() > limit {
                    prop_assert_eq!(zset.encoding(), "skiplist");
                }
            }
            let order = collect(&zset, 0..zset.len(), Order::Ascending);
            for (rank, (name, score)) in order.iter().enumerate() {
                prop_assert_eq!(zset.rank(name), Some((rank, *score)));
                prop_assert_eq!(zset.get_with(rank, |elem, _| elem.to_vec()), Some(name.clone()));
            }
            let middle = order.len() / 3..order.len() - order.len() / 3;
            let mut back = collect(&zset, middle.clone(), Order::Descending);
            back.reverse();
            prop_assert_eq!(&back, &order[middle]);
            for (min, max) in [(-10.0, 10.0), (0.0, 0.0), (5.25, 7.75), (8.0, -8.0)] {
                for (min_excluded, max_excluded) in [(false, false), (true, false), (false, true), (true, true)] {
                    let range = ScoreRange { min, min_excluded, max, max_excluded };
                    let inside = |score: f64| {
                        (if min_excluded { score > min } else { score >= min })
                            && (if max_excluded { score < max } else { score <= max })
                    };
                    let ranks = zset.ranks_of_scores(&range);
                    let expected: Vec<_> = order.iter().filter(|pair| inside(pair.1)).cloned().collect();
                    prop_assert_eq!(collect(&zset, ranks, Order::Ascending), expected);
                }
            }
        }
    }

    #[test]
    fn names_in_a_range() {
        for limit in [0, 128] {
            let config = EngineConfig { zset_max_listpack_entries: limit, ..EngineConfig::default() };
            let mut zset = Zset::new();
            for name in ["a", "b", "10", "c", "9"] {
                zset.insert(name.as_bytes(), 1.0, &config);
            }
            let names = |min: &str, max: &str| {
                let range = NameRange::parse(min.as_bytes(), max.as_bytes()).unwrap();
                let mut all = String::new();
                zset.range(zset.ranks_of_names(&range), Order::Ascending, |elem, _| {
                    all += &String::from_utf8(elem.to_vec()).unwrap();
                    all.push(' ');
                });
                all
            };
            assert_eq!(names("-", "+"), "10 9 a b c ");
            assert_eq!(names("[9", "(c"), "9 a b ");
            assert_eq!(names("(9", "[c"), "a b c ");
            assert_eq!(names("+", "-"), "");
            assert_eq!(names("[b", "[a"), "");
        }
        assert_eq!(NameRange::parse(b"a", b"+"), None);
        assert_eq!(NameRange::parse(b"", b"+"), None);
        assert_eq!(NameRange::parse(b"-x", b"+"), None);
    }

    #[test]
    fn a_long_name_ends_the_listpack() {
        let config = EngineConfig::default();
        let mut zset = Zset::new();
        zset.insert(&[b'x'; 64], 1.0, &config);
        assert_eq!(zset.encoding(), "listpack");
        zset.insert(&[b'x'; 65], 1.0, &config);
        assert_eq!(zset.encoding(), "skiplist");
        assert_eq!(zset.rank(&[b'x'; 65]), Some((1, 1.0)));
        zset.remove(&[b'x'; 65]);
        zset.shrink(64, &config);
        assert_eq!((zset.encoding(), zset.len()), ("listpack", 1));
    }

    #[test]
    fn scores_survive_the_listpack() {
        let config = EngineConfig::default();
        for score in
            [0.1, 1e300, -1e-300, 1e17, 9e18, -9_223_372_036_854_775_808.0, 9.3e18, f64::INFINITY, f64::NEG_INFINITY]
        {
            let mut zset = Zset::new();
            zset.insert(b"m", score, &config);
            assert_eq!(zset.score(b"m"), Some(score));
        }
        // As Redis 8.0.6 shows them to ZSCAN.
        for (score, shown) in [
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (4_611_686_018_427_388_928.0, "4611686018427389000"),
            (-9_223_372_036_854_775_808.0, "-9223372036854776000"),
            (5e18, "5e+18"),
        ] {
            let mut zset = Zset::new();
            zset.insert(b"m", score, &config);
            let Zset::Listpack(pack) = &zset else { panic!("one member") };
            let elem = pack.iter().nth(1).expect("a score").to_vec();
            assert_eq!(String::from_utf8_lossy(&elem), shown);
            assert_eq!(zset.score(b"m"), Some(score));
        }
    }

    #[test]
    fn foreign_listpacks_are_checked() {
        let config = EngineConfig::default();
        let pack = |elems: &[&str]| {
            let mut pack = Listpack::new();
            elems.iter().for_each(|elem| pack.push_back(elem.as_bytes()));
            pack
        };
        assert!(Zset::from_listpack(pack(&["a", "1", "b"]), &config).is_none());
        assert!(Zset::from_listpack(pack(&["a", "2", "b", "1"]), &config).is_none());
        assert!(Zset::from_listpack(pack(&["a", "1", "a", "2"]), &config).is_none());
        assert!(Zset::from_listpack(pack(&["a", "one"]), &config).is_none());
        assert!(Zset::from_listpack(pack(&["a", "1", "b", "1.5"]), &config).is_some());
    }
}
