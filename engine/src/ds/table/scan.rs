//! Visits to the elements of a table by position, and random ones.

#![expect(unsafe_code, reason = "elements are borrowed from slots")]

use std::ptr::NonNull;

use super::bucket::{Bucket, Chain};
use super::{END, Element, LOGICAL, MOST_TRIED, Occupied, Run, Table, boundary, bucket_of, position};
use crate::ds::hash::hash;

impl<E: Element> Table<E> {
    /// The run of buckets that owns a position below [`END`]. The table has an array.
    pub(super) fn run(&self, position: u64) -> Run {
        let i = bucket_of(position, self.buckets);
        if let Some(target) = &self.target
            && i < target.frontier as usize
        {
            let until = boundary(target.frontier as usize, self.buckets);
            return Run {
                array: target.array,
                buckets: target.buckets,
                first: bucket_of(position, target.buckets),
                end: bucket_of(until - 1, target.buckets) + 1,
                until,
            };
        }
        Run { array: self.array, buckets: self.buckets, first: i, end: self.buckets as usize, until: END }
    }

    /// Calls `visit` with the place of every element between two positions, and after each bucket `more`, which answers whether
    /// to go on. Returns the position reached.
    pub(super) fn visit(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(Bucket, usize),
        mut more: impl FnMut() -> bool,
    ) -> u64 {
        let to = to.min(END);
        let mut at = from;
        if self.buckets == 0 {
            return to.max(from);
        }
        while at < to {
            let run = self.run(at);
            // Elements before `at`, in the bucket that we enter in the middle, are none of this visit.
            let inside = at > 0 && bucket_of(at - 1, run.buckets) == run.first;
            let last = if to >= run.until { run.end } else { bucket_of(to - 1, run.buckets) + 1 };
            let mut i = run.first;
            let mut go_on = true;
            while i < last && go_on {
                let home = run.bucket(i);
                let cut_start = i == run.first && inside;
                let cut_end = i + 1 == last && to < run.until;
                // SAFETY: a bucket that is zeroed and ours; nothing changes while `self` is borrowed.
                unsafe {
                    if i + 1 < last {
                        run.bucket(i + 1).prefetch_elements();
                    }
                    for (bucket, slot) in Chain::new(home) {
                        if cut_start || cut_end {
                            let p = position(hash(E::key(bucket.get(slot))));
                            if p < at || p >= to {
                                continue;
                            }
                        }
                        visit(bucket, slot);
                    }
                }
                i += 1;
                go_on = more();
            }
            at = if i == last { run.until.min(to) } else { run.position(i) };
            if !go_on {
                break;
            }
        }
        at
    }

    /// Walks over elements in small pieces: pass 0 to begin, then what the last call returned, until that is 0. At least
    /// `budget` elements are emitted in one call, if there are as many (and buckets are not mostly empty).
    ///
    /// Elements that are in the table from the first call to the last are emitted exactly once, whatever is inserted and
    /// removed in between and however the table grows or shrinks. Others may be emitted or not. Cursors have 48 bits.
    pub fn scan(&self, cursor: u64, budget: usize, mut emit: impl FnMut(E::Ref<'_>)) -> u64 {
        let emitted = std::cell::Cell::new(0usize);
        let mut visits = budget.saturating_mul(10);
        let at = self.visit(
            cursor.min(END),
            END,
            |bucket, slot| {
                emitted.set(emitted.get() + 1);
                // SAFETY: an occupied slot; the element does not change while `self` is borrowed.
                emit(unsafe { E::borrow(bucket.get(slot)) });
            },
            || {
                visits = visits.saturating_sub(1);
                emitted.get() < budget && visits > 0
            },
        );
        if at >= END { 0 } else { at }
    }

    /// Emits all elements whose position (see [`position`]) is in a range.
    pub fn visit_range(&self, from: u64, to: u64, mut emit: impl FnMut(E::Ref<'_>)) {
        self.visit(
            from,
            to,
            // SAFETY: an occupied slot; the element does not change while `self` is borrowed.
            |bucket, slot| emit(unsafe { E::borrow(bucket.get(slot)) }),
            || true,
        );
    }

    /// The position about `buckets` buckets after another: for walks with a budget.
    pub fn position_after(&self, from: u64, buckets: usize) -> u64 {
        if from >= END || self.buckets == 0 {
            return END;
        }
        let run = self.run(from);
        run.position(run.first + buckets.max(1))
    }

    /// A random element, all with the same probability as long as chains are of usual length. `random` gives 64 random bits.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<E::Ref<'_>> {
        let (bucket, slot, _) = self.random_slot(random)?;
        // SAFETY: an occupied slot; the element does not change while `self` is borrowed.
        Some(unsafe { E::borrow(bucket.get(slot)) })
    }

    /// The place of a random element, as [`Table::random`] finds it.
    pub fn random_mut(&mut self, random: &mut impl FnMut() -> u64) -> Option<Occupied<'_, E>> {
        let (bucket, slot, hash) = self.random_slot(random)?;
        Some(Occupied { table: self, hash, bucket, slot })
    }

    pub(super) fn random_slot(&self, random: &mut impl FnMut() -> u64) -> Option<(Bucket, usize, u64)> {
        if self.len == 0 {
            return None;
        }
        // A position is drawn, then a number below what is (nearly) never exceeded by the elements of a bucket of this width. If the
        // bucket has an element of this number, that is it: all elements have the same chance, however buckets are filled.
        let arrays = [Some(self.buckets), self.target.as_ref().map(|t| t.buckets)];
        let fewest = arrays.iter().flatten().copied().min().map_or(1, u64::from);
        let most = |buckets: u32| (self.len as u64 / u64::from(buckets) + LOGICAL) * u64::from(buckets) / fewest;
        let most = arrays.into_iter().flatten().map(most).max().map_or(LOGICAL, |most| most.min(MOST_TRIED));
        loop {
            let hash = random();
            let home = self.home(hash);
            let own = match &self.target {
                Some(t) if bucket_of(position(hash), self.buckets) < t.frontier as usize => t.buckets,
                _ => self.buckets,
            };
            // SAFETY: a bucket of ours.
            let count = unsafe { home.count() };
            if count == 0 {
                continue;
            }
            // 16 bits of fraction, since the two arrays differ in width.
            let limit = ((most << 16) * fewest / u64::from(own)).max((count as u64) << 16);
            let pick = (u128::from(random()) * u128::from(limit)) >> (64 + 16);
            // SAFETY: as above.
            if let Some((bucket, slot)) = unsafe { Chain::new(home) }.nth(pick as usize) {
                // SAFETY: an occupied slot.
                let key = unsafe { E::key(bucket.get(slot)) };
                return Some((bucket, slot, self::hash(key)));
            }
        }
    }

    /// Emits up to `n` elements that are neighbours of a random position: cheaper than `n` times [`Table::random`], good
    /// enough for choosing victims of eviction. Answers how many.
    pub fn sample(&self, n: usize, random: &mut impl FnMut() -> u64, mut emit: impl FnMut(E::Ref<'_>)) -> usize {
        let start = position(random());
        let emitted = std::cell::Cell::new(0usize);
        let mut visits = n.saturating_mul(10).saturating_add(1);
        let mut pass = |from: u64, to: u64| {
            self.visit(
                from,
                to,
                |bucket, slot| {
                    if emitted.get() < n {
                        emitted.set(emitted.get() + 1);
                        // SAFETY: an occupied slot; the element does not change while `self` is borrowed.
                        emit(unsafe { E::borrow(bucket.get(slot)) });
                    }
                },
                || {
                    visits = visits.saturating_sub(1);
                    emitted.get() < n && visits > 0
                },
            );
        };
        pass(start, END);
        if emitted.get() < n {
            pass(0, start);
        }
        emitted.get()
    }

    /// Takes out all elements in a range of positions for which `wanted` answers true.
    pub fn extract_range(
        &mut self,
        from: u64,
        to: u64,
        mut wanted: impl FnMut(E::Ref<'_>) -> bool,
        mut taken: impl FnMut(E),
    ) {
        let mut found: Vec<(u64, NonNull<u8>)> = Vec::new();
        self.visit(
            from,
            to,
            |bucket, slot| {
                // SAFETY: an occupied slot; the element does not change while `self` is borrowed.
                unsafe {
                    let raw = bucket.get(slot);
                    if wanted(E::borrow(raw)) {
                        found.push((hash(E::key(raw)), raw));
                    }
                }
            },
            || true,
        );
        for (hash, raw) in found {
            let home = self.home(hash);
            // SAFETY: a bucket of ours. The element is still in it: only others have been taken out.
            let place = unsafe { Chain::new(home).find(|&(bucket, slot)| bucket.get(slot) == raw) };
            let (bucket, slot) = place.expect("an element stays in its chain");
            taken(self.erase(home, bucket, slot));
        }
        self.resize_if_needed();
    }
}
