//! Where in a table elements expire, without a second table: for each group of neighbouring positions the earliest deadline.
//!
//! A group covers about 64 buckets, so that this costs a fiftieth of a byte for each key. Since groups are ranges of hash
//! positions (see [`crate::ds::table`]) they do not depend on the table's size. A minimum may be too early, when the key that had
//! it has gone; a visit that finds nothing due puts it right.

use crate::ds::table::{END, Element, Table};

/// Groups that a search for what is due looks at in vain, at most.
pub(crate) const VAIN_VISITS: usize = 16;

/// Buckets of a group, about.
const BUCKETS_PER_GROUP: u64 = 64;

/// Logical slots of a bucket.
const SLOTS: u64 = 8;

/// No deadline in the group.
const NONE: i64 = i64::MAX;

#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Earliest deadline of each group, or earlier. Their number is a power of two.
    earliest: Vec<i64>,
    /// Keys with a deadline.
    count: usize,
    /// Sum of their deadlines.
    sum: i128,
    /// Not later than the earliest deadline of all.
    next: i64,
    /// Where the next search begins.
    cursor: usize,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines { earliest: Vec::new(), count: 0, sum: 0, next: NONE, cursor: 0 }
    }
}

impl Deadlines {
    /// Keys with a deadline.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Bytes allocated.
    pub(crate) fn memory_usage(&self) -> usize {
        self.earliest.capacity() * size_of::<i64>()
    }

    fn group(&self, position: u64) -> usize {
        ((u128::from(position) * self.earliest.len() as u128) / u128::from(END)) as usize
    }

    /// Splits or merges groups until they fit a table of this size.
    fn fit(&mut self, logical_size: u64) {
        let wanted = (logical_size / (BUCKETS_PER_GROUP * SLOTS)).max(1).next_power_of_two() as usize;
        if self.earliest.is_empty() {
            self.earliest.push(NONE);
        }
        while self.earliest.len() < wanted {
            self.earliest = self.earliest.iter().flat_map(|&at| [at, at]).collect();
            self.cursor *= 2;
        }
        // Not at once, lest a table at the edge makes us do this again and again.
        while self.earliest.len() / 4 >= wanted {
            self.earliest = self.earliest.chunks(2).map(|pair| pair[0].min(pair[1])).collect();
            self.cursor /= 2;
        }
    }

    /// A key at this position has another deadline than before.
    pub(crate) fn changed(&mut self, position: u64, before: Option<i64>, after: Option<i64>, logical_size: u64) {
        self.count = self.count + usize::from(after.is_some()) - usize::from(before.is_some());
        self.sum += i128::from(after.unwrap_or(0)) - i128::from(before.unwrap_or(0));
        if let Some(at) = after {
            self.fit(logical_size);
            let group = self.group(position);
            self.earliest[group] = self.earliest[group].min(at);
            self.next = self.next.min(at);
        }
    }

    /// The mean of all deadlines.
    pub(crate) fn mean(&self) -> Option<i64> {
        let count = i128::try_from(self.count).ok().filter(|&count| count > 0)?;
        i64::try_from(self.sum / count).ok()
    }

    /// A key with this deadline has gone.
    pub(crate) fn removed(&mut self, at: i64) {
        self.count -= 1;
        self.sum -= i128::from(at);
    }

    /// The next group in which a key may be due before `now`.
    pub(crate) fn due(&mut self, now: i64) -> Option<usize> {
        if self.next >= now {
            return None;
        }
        let (before, after) = self.earliest.split_at(self.cursor.min(self.earliest.len()));
        let found = after.iter().position(|&at| at < now).map(|i| i + before.len());
        let found = found.or_else(|| before.iter().position(|&at| at < now));
        match found {
            Some(group) => self.cursor = group + 1,
            None => self.next = self.earliest.iter().copied().min().unwrap_or(NONE),
        }
        found
    }

    /// Not later than the earliest deadline of all; `None` when there is none.
    pub(crate) fn next(&self) -> Option<i64> {
        (self.count > 0).then_some(self.next)
    }

    /// Any group that may have keys with deadlines, from a given one on.
    #[cfg_attr(not(test), expect(dead_code, reason = "for eviction among volatile keys"))]
    pub(crate) fn volatile(&self, from: usize) -> Option<usize> {
        let n = self.earliest.len();
        (0..n).map(|i| (from + i) % n).find(|&group| self.earliest[group] != NONE)
    }

    /// First position of a group and first one after it.
    pub(crate) fn range(&self, group: usize) -> (u64, u64) {
        let n = self.earliest.len() as u128;
        let at = |group: usize| (group as u128 * u128::from(END) / n) as u64;
        (at(group), at(group + 1))
    }

    /// Visits the next group in which an element of `table` may be due before `now`, and takes out those that are; `None` when there
    /// is no such group. `deadline` tells an element's deadline.
    pub(crate) fn take_due<E: Element>(
        &mut self,
        table: &mut Table<E>,
        now: i64,
        deadline: impl Fn(E::Ref<'_>) -> Option<i64>,
    ) -> Option<Vec<E>> {
        let group = self.due(now)?;
        let (from, to) = self.range(group);
        let (mut earliest, mut due, mut sum) = (NONE, Vec::new(), 0);
        table.extract_range(
            from,
            to,
            |element| match deadline(element) {
                Some(at) if at < now => {
                    sum += i128::from(at);
                    true
                }
                Some(at) => {
                    earliest = earliest.min(at);
                    false
                }
                None => false,
            },
            |element| due.push(element),
        );
        self.count -= due.len();
        self.sum -= sum;
        self.earliest[group] = earliest;
        Some(due)
    }

    /// What the earliest deadline of a group is, now that somebody has looked.
    pub(crate) fn seen(&mut self, group: usize, earliest: Option<i64>) {
        self.earliest[group] = earliest.unwrap_or(NONE);
    }

    /// Panics if a key with this deadline would be overlooked.
    pub(crate) fn check(&self, position: u64, deadline: i64) {
        assert!(self.earliest[self.group(position)] <= deadline);
        assert!(self.next <= deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_that_is_due_is_overlooked(
            ops in prop::collection::vec((0..64u64, prop::option::of(0..1000i64), 0..3usize), 1..80),
            now in 0..1100i64,
        ) {
            let (mut deadlines, mut model) = (Deadlines::default(), BTreeMap::<u64, i64>::new());
            for (place, at, size) in ops {
                let (position, size) = (place * (END / 64), [16, 40_000, 1 << 22][size]);
                match at {
                    Some(at) => {
                        let before = model.insert(position, at);
                        deadlines.changed(position, before, Some(at), size);
                    }
                    None => {
                        if let Some(before) = model.remove(&position) {
                            deadlines.removed(before);
                        }
                    }
                }
                model.iter().for_each(|(&position, &at)| deadlines.check(position, at));
                prop_assert_eq!(deadlines.count(), model.len());
                let mean = (!model.is_empty()).then(|| model.values().sum::<i64>() / model.len() as i64);
                prop_assert_eq!(deadlines.mean(), mean);
            }
            // Visits as the expiry makes them find all of them, and come to an end.
            let mut visits = 0;
            while let Some(group) = deadlines.due(now) {
                let (from, to) = deadlines.range(group);
                let due: Vec<_> = model.range(from..to).filter(|(_, at)| **at < now).map(|(&at, &deadline)| (at, deadline)).collect();
                for (position, at) in due {
                    model.remove(&position);
                    deadlines.removed(at);
                }
                deadlines.seen(group, model.range(from..to).map(|(_, &at)| at).min());
                visits += 1;
                prop_assert!(visits <= 2 * deadlines.earliest.len() + 2);
            }
            prop_assert!(model.values().all(|&at| at >= now));
            prop_assert!(deadlines.next() <= model.values().min().copied() || model.is_empty());
        }
    }

    #[test]
    fn groups_split_and_merge_and_forget_nothing() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.due(i64::MAX), None);
        let positions: Vec<u64> = (0..1000).map(|i| i * (END / 1000)).collect();
        for (i, &position) in positions.iter().enumerate() {
            let size = [16, 100_000, 1_000_000, 4000][i % 4];
            deadlines.changed(position, None, Some(i as i64 * 10), size);
            positions[..=i].iter().zip(0..).for_each(|(&p, j)| deadlines.check(p, j * 10));
        }
        assert_eq!(deadlines.count(), 1000);
        for group in 0..deadlines.earliest.len() {
            let (from, to) = deadlines.range(group);
            assert!(from < to && deadlines.group(from) == group && deadlines.group(to - 1) == group);
        }
        assert_eq!(deadlines.range(deadlines.earliest.len() - 1).1, END);
        assert!(deadlines.volatile(0).is_some());
    }

    #[test]
    fn due_groups_come_in_turn() {
        let mut deadlines = Deadlines::default();
        deadlines.changed(0, None, Some(5), 4096);
        deadlines.changed(END - 1, None, Some(7), 4096);
        assert_eq!(deadlines.due(5), None);
        assert_eq!(deadlines.due(6), Some(0));
        assert_eq!((deadlines.due(8), deadlines.due(8)), (Some(7), Some(0)));
        deadlines.seen(0, None);
        deadlines.seen(7, Some(20));
        assert_eq!((deadlines.due(8), deadlines.next), (None, 20));
        assert_eq!(deadlines.due(21), Some(7));
        assert_eq!(deadlines.mean(), Some(6));
        deadlines.removed(5);
        deadlines.changed(END - 1, Some(7), None, 4096);
        assert_eq!((deadlines.count(), deadlines.mean()), (0, None));
    }
}
