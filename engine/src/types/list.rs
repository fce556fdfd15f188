//! Lists: one listpack while small, a quicklist beyond.
//!
//! The encoding follows the size as in Redis: what a command is about to add is counted before, and a list that
//! shrank goes back to one listpack only when it is at half the limit, so that a list at the edge does not flap.

use std::fmt;

use crate::config::EngineConfig;
use crate::ds::listpack::{self, Elem, Listpack, Side};
use crate::ds::quicklist::{self, Direction, End, Fill, Quicklist};

/// A list.
pub enum List {
    /// All elements in one listpack.
    Listpack(Listpack),
    /// Many, or large ones.
    Quick(Box<Quicklist>),
}

impl Default for List {
    fn default() -> Self {
        List::Listpack(Listpack::new())
    }
}

impl List {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            List::Listpack(_) => "listpack",
            List::Quick(_) => "quicklist",
        }
    }

    /// Number of allocations, about: what freeing it costs.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            List::Listpack(_) => 1,
            List::Quick(quick) => quick.nodes().len(),
        }
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            List::Listpack(pack) => pack.len(),
            List::Quick(quick) => quick.len(),
        }
    }

    /// Whether there is no element. An empty list is not kept in the keyspace.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            List::Listpack(pack) => pack.is_empty(),
            List::Quick(quick) => quick.is_empty(),
        }
    }

    /// Bytes taken from the allocator. Large lists are extrapolated from `samples` nodes; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        match self {
            List::Listpack(pack) => pack.memory_usage(),
            List::Quick(quick) => size_of::<Quicklist>() + quick.memory_usage(samples),
        }
    }

    /// Adds elements at an end one after the other: the last given is outermost.
    pub fn push_all(&mut self, end: End, elements: &[&[u8]], config: &EngineConfig) {
        self.prepare(elements.len(), elements.iter().map(|element| element.len()).sum(), config);
        match self {
            List::Listpack(pack) => match end {
                End::Tail if elements.len() > 1 => {
                    let elements: Vec<Elem<'_>> = elements.iter().map(|&element| Elem::Str(element)).collect();
                    pack.extend_back(&elements);
                }
                End::Tail => elements.iter().for_each(|&element| pack.push_back(element)),
                End::Head => elements.iter().for_each(|&element| pack.push_front(element)),
            },
            List::Quick(quick) => elements.iter().for_each(|&element| quick.push(end, element)),
        }
    }

    /// Adds one element at an end.
    pub fn push<'a>(&mut self, end: End, element: impl Into<Elem<'a>>, config: &EngineConfig) {
        let element = element.into();
        self.prepare(1, element.text_len(), config);
        match (self, end) {
            (List::Listpack(pack), End::Head) => pack.push_front(element),
            (List::Listpack(pack), End::Tail) => pack.push_back(element),
            (List::Quick(quick), end) => quick.push(end, element),
        }
    }

    /// Removes the element at an end, after `read` has seen it; `None` when there is none.
    pub fn pop_with<R>(&mut self, end: End, config: &EngineConfig, read: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        match self {
            List::Listpack(pack) => {
                let pos = match end {
                    End::Head => pack.first(),
                    End::Tail => pack.last(),
                }?;
                let result = read(pack.get(pos));
                pack.delete(pos);
                Some(result)
            }
            List::Quick(quick) => {
                let result = quick.pop_with(end, read)?;
                self.shrink(config);
                Some(result)
            }
        }
    }

    /// Removes and returns the element at an end.
    pub fn pop(&mut self, end: End, config: &EngineConfig) -> Option<Vec<u8>> {
        self.pop_with(end, config, |element| element.to_vec())
    }

    /// Lets `read` see element `index`; `None` when there is none.
    pub fn get_with<R>(&self, index: usize, read: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        match self {
            List::Listpack(pack) => pack.seek(index).map(|pos| read(pack.get(pos))),
            List::Quick(quick) => quick.get_with(index, read),
        }
    }

    /// Replaces element `index`; false when there is none.
    pub fn set<'a>(&mut self, index: usize, element: impl Into<Elem<'a>>, config: &EngineConfig) -> bool {
        let element = element.into();
        if index >= self.len() {
            return false;
        }
        self.prepare(1, element.text_len(), config);
        match self {
            List::Listpack(pack) => {
                let pos = pack.seek(index).expect("checked above");
                pack.replace(pos, element);
            }
            List::Quick(quick) => {
                quick.set(index, element);
                self.shrink(config);
            }
        }
        true
    }

    /// Inserts beside element `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn insert<'a>(&mut self, index: usize, side: Side, element: impl Into<Elem<'a>>, config: &EngineConfig) {
        let element = element.into();
        self.prepare(1, element.text_len(), config);
        match self {
            List::Listpack(pack) => {
                let pos = pack.seek(index).expect("an index within the list");
                pack.insert(pos, side, element);
            }
            List::Quick(quick) => quick.insert(index, side, element),
        }
    }

    /// Removes up to `count` elements from `start` on; returns how many.
    pub fn delete_range(&mut self, start: usize, count: usize, config: &EngineConfig) -> usize {
        match self {
            List::Listpack(pack) => pack.delete_range(start, count),
            List::Quick(quick) => {
                let gone = quick.delete_range(start, count);
                self.shrink(config);
                gone
            }
        }
    }

    /// Removes up to `count_max` elements equal to `text`, from the side where the walk begins; returns how many.
    pub fn remove_matching(
        &mut self,
        text: &[u8],
        direction: Direction,
        count_max: usize,
        config: &EngineConfig,
    ) -> usize {
        match self {
            List::Listpack(pack) => remove_from_listpack(pack, text, direction, count_max),
            List::Quick(quick) => {
                let gone = quick.remove_matching(text, direction, count_max);
                self.shrink(config);
                gone
            }
        }
    }

    /// Index of the first element equal to `text`.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let mut found = None;
        self.positions(text, Direction::Forward, 0, |index| {
            found = Some(index);
            false
        });
        found
    }

    /// Calls `see` with the index of each element equal to `text` until it answers false. Looks at `compare_max`
    /// elements at most; 0 looks at all.
    pub fn positions(&self, text: &[u8], direction: Direction, compare_max: usize, mut see: impl FnMut(usize) -> bool) {
        let len = self.len();
        let steps = if compare_max == 0 { len } else { compare_max.min(len) };
        if steps == 0 {
            return;
        }
        let mut walk = match direction {
            Direction::Forward => self.walk(0, direction),
            Direction::Backward => self.walk(len - 1, direction),
        };
        // Parsed once: stored integers compare as integers.
        let number = Elem::Str(text).as_i64();
        for step in 0..steps {
            let Some(element) = walk.next() else { return };
            let equal = match element {
                Elem::Int(value) => Some(value) == number,
                Elem::Str(bytes) => bytes == text,
            };
            let index = if direction == Direction::Forward { step } else { len - 1 - step };
            if equal && !see(index) {
                return;
            }
        }
    }

    /// Shows up to `count` elements from `start` on, in order.
    #[inline]
    pub fn for_range(&self, start: usize, count: usize, see: impl FnMut(Elem<'_>)) {
        match self {
            List::Listpack(pack) => {
                if let Some(pos) = pack.seek(start) {
                    pack.iter_from(pos).take(count).for_each(see);
                }
            }
            List::Quick(quick) => quick.for_range(start, count, see),
        }
    }

    /// Shows up to `count` elements from `start` down, in descending order.
    pub fn for_range_back(&self, start: usize, count: usize, see: impl FnMut(Elem<'_>)) {
        match self {
            List::Listpack(pack) => {
                if let Some(pos) = pack.seek(start) {
                    pack.iter_back_from(pos).take(count).for_each(see);
                }
            }
            List::Quick(quick) => quick.for_range_back(start, count, see),
        }
    }

    /// A walk that begins with element `index` and lends one element at a time.
    #[must_use]
    pub fn walk(&self, index: usize, direction: Direction) -> Walk<'_> {
        match self {
            List::Quick(quick) => Walk::Quick(quick.walk(index, direction)),
            List::Listpack(pack) => match (pack.seek(index), direction) {
                (None, _) => Walk::Done,
                (Some(pos), Direction::Forward) => Walk::Forward(pack.iter_from(pos)),
                (Some(pos), Direction::Backward) => Walk::Backward(pack.iter_back_from(pos)),
            },
        }
    }

    /// Changes the encoding before `elements` elements of `bytes` bytes in all are added, if they need it.
    ///
    /// The push and insert operations do this for what they are given; a command that adds several elements one by one
    /// calls it first with the sum.
    pub fn prepare(&mut self, elements: usize, bytes: usize, config: &EngineConfig) {
        let List::Listpack(pack) = self else { return };
        let fill = Fill::new(i64::from(config.list_max_listpack_size));
        if fill.exceeded_by(pack.bytes() + bytes, pack.len() + elements) {
            let mut quick = Quicklist::new(fill, config.list_compress_depth);
            quick.push_packed_node(std::mem::take(pack));
            *self = List::Quick(Box::new(quick));
        }
    }

    /// Goes back to one listpack when the only node is at half the limit or below. Operations do this themselves.
    fn shrink(&mut self, config: &EngineConfig) {
        let (bytes_max, elements_max) = Fill::new(i64::from(config.list_max_listpack_size)).limits();
        self.shrink_to(bytes_max / 2, elements_max / 2);
    }

    /// As after loading: a quicklist of one node that fits the limit becomes a listpack, without the margin.
    pub fn settle_after_load(&mut self, config: &EngineConfig) {
        let (bytes_max, elements_max) = Fill::new(i64::from(config.list_max_listpack_size)).limits();
        match self {
            List::Quick(_) => self.shrink_to(bytes_max, elements_max),
            List::Listpack(_) => self.prepare(0, 0, config),
        }
    }

    #[inline]
    fn shrink_to(&mut self, bytes_max: usize, elements_max: usize) {
        let List::Quick(quick) = self else { return };
        if quick.is_empty() {
            *self = List::default();
        } else if let Some(pack) = quick.take_single_listpack(bytes_max, elements_max) {
            *self = List::Listpack(pack);
        }
    }

    /// Figures for DEBUG OBJECT; only a quicklist has them.
    #[must_use]
    pub fn quicklist_stats(&self) -> Option<quicklist::Stats> {
        match self {
            List::Listpack(_) => None,
            List::Quick(quick) => Some(quick.stats()),
        }
    }

    /// Panics unless the structure is consistent.
    pub fn check_invariants(&self) {
        match self {
            List::Listpack(pack) => pack.check_invariants(),
            List::Quick(quick) => quick.check_invariants(),
        }
    }
}

fn remove_from_listpack(pack: &mut Listpack, text: &[u8], direction: Direction, count_max: usize) -> usize {
    let mut positions = Vec::new();
    let mut from = pack.first();
    while let Some(pos) = from.and_then(|from| pack.find(from, text, 1)) {
        positions.push(pos);
        if direction == Direction::Forward && positions.len() == count_max {
            break;
        }
        from = pack.next(pos);
    }
    let take = positions.len().min(count_max);
    match direction {
        Direction::Forward => pack.delete_batch(&positions[..take]),
        Direction::Backward => pack.delete_batch(&positions[positions.len() - take..]),
    }
    take
}

/// A walk over the elements of a [`List`].
pub enum Walk<'a> {
    /// Of a listpack, from head to tail.
    Forward(listpack::Iter<'a>),
    /// Of a listpack, from tail to head.
    Backward(listpack::IterBack<'a>),
    /// Of a quicklist.
    Quick(quicklist::Walk<'a>),
    /// Nothing to walk.
    Done,
}

impl Walk<'_> {
    /// The next element.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "lends; an Iterator cannot")]
    pub fn next(&mut self) -> Option<Elem<'_>> {
        match self {
            Walk::Forward(iter) => iter.next(),
            Walk::Backward(iter) => iter.next(),
            Walk::Quick(walk) => walk.next(),
            Walk::Done => None,
        }
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            List::Listpack(pack) => pack.fmt(f),
            List::Quick(quick) => quick.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(size: i32) -> EngineConfig {
        EngineConfig { list_max_listpack_size: size, ..EngineConfig::default() }
    }

    fn list(elements: &[&[u8]], config: &EngineConfig) -> List {
        let mut list = List::new();
        list.push_all(End::Tail, elements, config);
        list
    }

    fn elements(list: &List) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        list.for_range(0, list.len(), |element| out.push(element.to_vec()));
        out
    }

    #[test]
    fn encodings_change_where_those_of_redis_do() {
        // Each line was tried on Redis 8.0: sizes of the texts, limit, encoding.
        let big = vec![b'x'; 8192];
        for (sizes, size, encoding) in [
            (&[1000, 1000, 1000, 1000, 73][..], -1, "listpack"),
            (&[1000, 1000, 1000, 1000, 74], -1, "quicklist"),
            (&[4089], -1, "listpack"),
            (&[4095], -1, "quicklist"),
            (&[1; 3], 3, "listpack"),
            (&[1; 4], 3, "quicklist"),
            (&[1], 0, "listpack"),
            (&[1, 1], 0, "quicklist"),
        ] {
            let config = config(size);
            let mut one_by_one = List::new();
            sizes.iter().for_each(|&size| one_by_one.push(End::Tail, &big[..size], &config));
            assert_eq!(one_by_one.encoding(), encoding, "{sizes:?}");
        }
        // All arguments of one command count together, by their text.
        for (size, encoding) in [(1022, "listpack"), (1023, "quicklist")] {
            assert_eq!(list(&[&big[..size]; 4], &config(-1)).encoding(), encoding, "4 of {size}");
        }
        // What LSET replaces is not subtracted.
        let mut replaced = list(&[&big[..1000]; 4], &config(-1));
        assert!(replaced.set(0, &big[..73], &config(-1)));
        assert_eq!(replaced.encoding(), "listpack");
        let mut replaced = list(&[&big[..1000]; 4], &config(-1));
        assert!(replaced.set(0, &big[..74], &config(-1)));
        assert_eq!(replaced.encoding(), "quicklist");
    }

    #[test]
    fn back_to_a_listpack_at_half_the_limit() {
        let three = config(3);
        let mut list = list(&[b"1", b"2", b"3", b"4", b"5", b"6", b"7"], &three);
        for (left, encoding) in [(3, "quicklist"), (2, "quicklist"), (1, "listpack")] {
            list.delete_range(left, 7, &three);
            assert_eq!((list.len(), list.encoding()), (left, encoding));
        }
        list.push_all(End::Tail, &[b"2", b"3"], &three);
        assert_eq!(list.encoding(), "listpack");
        list.push(End::Tail, b"4", &three);
        assert_eq!(list.encoding(), "quicklist");
        list.pop(End::Tail, &three);
        assert_eq!(list.encoding(), "quicklist");
        list.settle_after_load(&three);
        assert_eq!(list.encoding(), "listpack");

        let four_kib = config(-1);
        let big = vec![b'x'; 5000];
        for (size, encoding) in [(1023, "listpack"), (2040, "quicklist")] {
            let mut list = super::tests::list(&[&big[..size], &big], &four_kib);
            assert_eq!(list.pop(End::Tail, &four_kib).as_deref(), Some(&big[..]));
            assert_eq!(list.encoding(), encoding, "{size}");
        }
        // LSET of the only, large element.
        let mut list = super::tests::list(&[&big], &four_kib);
        assert!(list.set(0, b"c", &four_kib));
        assert_eq!((list.encoding(), list.len()), ("listpack", 1));
    }

    #[test]
    fn positions_from_both_ends() {
        for size in [-2, 2] {
            let list = list(&[b"a", b"1", b"b", b"1", b"c", b"1"], &config(size));
            let all = |text: &[u8], direction, compare_max| {
                let mut out = Vec::new();
                list.positions(text, direction, compare_max, |index| {
                    out.push(index);
                    true
                });
                out
            };
            assert_eq!(all(b"1", Direction::Forward, 0), [1, 3, 5]);
            assert_eq!(all(b"1", Direction::Backward, 0), [5, 3, 1]);
            assert_eq!(all(b"1", Direction::Backward, 3), [5, 3]);
            assert_eq!(all(b"1", Direction::Forward, 1), Vec::<usize>::new());
            assert_eq!((list.find(b"c"), list.find(b"01")), (Some(4), None));
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_vector(size in -2..6i32, ops in prop::collection::vec((0..8u8, any::<prop::sample::Index>(), "[ab]{0,2}|[0-9]{1,3}|x{900}"), 0..60)) {
            let config = config(size);
            let (mut list, mut model) = (List::new(), Vec::<Vec<u8>>::new());
            for (op, index, text) in ops {
                let text = text.into_bytes();
                let at = index.index(model.len() + 1);
                match op {
                    0 => { list.push(End::Tail, &text, &config); model.push(text); }
                    1 => { list.push_all(End::Head, &[&text, b"t"], &config); model.insert(0, text); model.insert(0, b"t".to_vec()); }
                    2 => prop_assert_eq!(list.pop(End::Tail, &config), model.pop()),
                    3 if at < model.len() => {
                        list.insert(at, Side::After, &text, &config);
                        model.insert(at + 1, text);
                    }
                    4 => {
                        let done = list.set(at, &text, &config);
                        prop_assert_eq!(done, at < model.len());
                        if done { model[at] = text; }
                    }
                    5 => {
                        let there = 3.min(model.len() - at);
                        prop_assert_eq!(list.delete_range(at, 3, &config), there);
                        model.drain(at..at + there);
                    }
                    6 => {
                        let last = model.iter().rposition(|v| *v == text);
                        prop_assert_eq!(list.remove_matching(&text, Direction::Backward, 1, &config), usize::from(last.is_some()));
                        if let Some(last) = last { model.remove(last); }
                    }
                    _ => {
                        list.push_all(End::Tail, &[&text, b"u", b"5"], &config);
                        model.extend([text, b"u".to_vec(), b"5".to_vec()]);
                    }
                }
                list.check_invariants();
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(elements(&list), &model[..]);
                if let Some(last) = model.len().checked_sub(1) {
                    let mut back = Vec::new();
                    list.for_range_back(last, model.len(), |element| back.push(element.to_vec()));
                    back.reverse();
                    prop_assert_eq!(&back, &model);
                    prop_assert_eq!(list.get_with(last, |element| element.to_vec()), model.last().cloned());
                }
            }
        }
    }
}
