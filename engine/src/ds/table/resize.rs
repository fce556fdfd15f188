//! How a table grows and shrinks: when, to what size, and bucket by bucket.

#![expect(unsafe_code, reason = "elements move from bucket to bucket")]

use std::alloc::{alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr;

use super::bucket::{BUCKET, Bucket, array_layout, prefetch};
use super::{
    EMPTY_VISITS, Element, FORCE_RATIO, LOGICAL, MAX_BUCKETS, MAX_PARTS, MIN_FILL, ResizePolicy, Table, Target,
    bucket_of, part_of, parts_for, position, resize_policy, size_for,
};
use crate::ds::hash::hash;

/// How the parts of an array's buckets become those of another array.
#[derive(Clone, Copy)]
pub(super) struct Regroup {
    /// Old parts in a new bucket.
    bucket: u64,
    /// Old parts in a new part.
    part: u64,
}

impl Regroup {
    /// From an array with `parts` in each of its `from` buckets to one of `to`, and into how many parts its buckets are divided
    /// then. `None` when a new boundary is within an old part.
    pub(super) fn new(from: u32, parts: u8, to: u32) -> Option<(Regroup, u8)> {
        let all = u64::from(from) * u64::from(parts);
        let fine = (1..=MAX_PARTS).rfind(|fine| all % (u64::from(to) * fine) == 0)?;
        let bucket = all / u64::from(to);
        Some((Regroup { bucket, part: bucket / fine }, fine as u8))
    }

    /// The new bucket and part of what is in the `i`-th of all old parts.
    #[inline(always)]
    pub(super) fn place(self, i: u64) -> (usize, u64) {
        let bucket = i / self.bucket;
        (bucket as usize, (i - bucket * self.bucket) / self.part)
    }
}

impl<E: Element> Table<E> {
    #[inline(always)]
    pub(super) fn wants_growth(&self) -> bool {
        let (len, size) = (self.len as u64, self.logical_size());
        len >= size && self.may_grow(len, size)
    }

    #[cold]
    pub(super) fn may_grow(&self, len: u64, size: u64) -> bool {
        if size == 0 {
            return true;
        }
        if self.target.is_some() || self.held || u64::from(self.buckets) >= MAX_BUCKETS {
            return false;
        }
        match resize_policy() {
            ResizePolicy::Allow => true,
            ResizePolicy::Avoid => len >= FORCE_RATIO * size,
            ResizePolicy::Forbid => false,
        }
    }

    pub(super) fn wants_shrinking(&self) -> bool {
        let (len, size) = (self.len as u64, self.logical_size());
        if self.target.is_some() || size <= LOGICAL / 2 || len * MIN_FILL > size {
            return false;
        }
        match resize_policy() {
            ResizePolicy::Allow => true,
            ResizePolicy::Avoid => len * MIN_FILL * FORCE_RATIO <= size,
            ResizePolicy::Forbid => false,
        }
    }

    /// Starts to grow or shrink if that is due and allowed: for a cron job, after the policy was relaxed.
    pub fn resize_if_needed(&mut self) {
        if self.wants_growth() {
            self.start_rehash(self.len as u64 + 1);
        } else if self.wants_shrinking() {
            self.start_rehash(self.len as u64);
        }
    }

    /// Makes room for so many elements in all, at once. Meant for bulk loading; a table that has elements is moved at once.
    pub fn reserve(&mut self, elements: usize) {
        if elements as u64 <= self.logical_size() && self.buckets > 0 {
            return;
        }
        self.finish_rehash();
        if elements as u64 > self.logical_size() {
            self.start_rehash(elements as u64);
            self.finish_rehash();
        }
    }

    /// Begins to move to an array for so many elements. Nothing moves yet, so that known places stay valid, unless the table
    /// had no array. If there is no memory for a larger one, the table stays as it is.
    #[cold]
    pub(super) fn start_rehash(&mut self, elements: u64) {
        debug_assert!(self.target.is_none());
        let (buckets, tiny) = size_for(elements);
        let layout = array_layout(buckets);
        if self.buckets == 0 {
            // SAFETY: the layout has a size.
            let array = unsafe { alloc_zeroed(layout) };
            if array.is_null() {
                handle_alloc_error(layout);
            }
            (self.array, self.buckets, self.tiny, self.parts) = (array, buckets, tiny, parts_for(buckets));
            return;
        }
        // SAFETY: the layout has a size.
        let array = unsafe { alloc(layout) };
        if !array.is_null() {
            let (regroup, parts) = match Regroup::new(self.buckets, self.parts, buckets) {
                Some((regroup, parts)) => (Some(regroup), parts),
                None => (None, parts_for(buckets)),
            };
            self.target = Some(Box::new(Target { array, buckets, tiny, parts, regroup, frontier: 0, zeroed: 0 }));
        }
    }

    /// Moves what is left to move, whatever the policy.
    pub fn finish_rehash(&mut self) {
        while self.target.is_some() {
            self.move_bucket();
        }
    }

    /// Moves the elements of up to `buckets` buckets to the new array; buckets without elements count half. Does nothing
    /// when not rehashing, or when the policy speaks against it. Answers whether there is more to do.
    pub fn rehash_step(&mut self, buckets: usize) -> bool {
        let Some(target) = &self.target else { return false };
        let (from, to) = (u64::from(self.buckets), u64::from(target.buckets));
        let allowed = match resize_policy() {
            ResizePolicy::Allow => true,
            ResizePolicy::Avoid => to >= FORCE_RATIO * from || from >= MIN_FILL * FORCE_RATIO * to,
            ResizePolicy::Forbid => false,
        };
        if !allowed {
            return false;
        }
        let mut budget = buckets * EMPTY_VISITS;
        while budget > 0 {
            let moved = self.move_bucket();
            if self.target.is_none() {
                return false;
            }
            budget = budget.saturating_sub(if moved { EMPTY_VISITS } else { 1 });
        }
        true
    }

    /// Moves one bucket, and the frontier behind it; takes the new array into use after the last. Answers whether there was
    /// anything to move.
    pub(super) fn move_bucket(&mut self) -> bool {
        let Some(target) = &mut self.target else { return false };
        let i = target.frontier as usize;
        let base = self.array;
        let old = |i: usize| Bucket(base.wrapping_add(i * BUCKET));
        // Positions of buckets 0..=i are all before this bucket of the target.
        let reach = ((i as u64 + 1) * u64::from(target.buckets)).div_ceil(u64::from(self.buckets)) as u32;
        // SAFETY: `i` is below the number of buckets, since the move ends there; buckets of the target are written only when zeroed,
        // and we have exclusive access to all.
        let moved = unsafe {
            let fresh = (reach - target.zeroed) as usize * BUCKET;
            ptr::write_bytes(target.array.add(target.zeroed as usize * BUCKET), 0, fresh);
            target.zeroed = reach;
            if i + 2 < self.buckets as usize {
                match target.regroup {
                    Some(_) => {
                        prefetch(old(i + 2).0);
                        old(i + 1).prefetch_child();
                    }
                    None => old(i + 2).prefetch_elements(),
                }
            }
            let mut moved = false;
            let mut bucket = old(i);
            loop {
                let mut slots = bucket.occupied();
                moved |= slots != 0;
                while slots != 0 {
                    let slot = slots.trailing_zeros() as usize;
                    slots &= slots - 1;
                    let occupant = bucket.occupant(slot);
                    let (j, part) = match target.regroup {
                        Some(regroup) => regroup.place(i as u64 * u64::from(self.parts) + occupant.part()),
                        None => {
                            let position = position(hash(E::key(occupant.raw())));
                            let j = bucket_of(position, target.buckets);
                            (j, part_of(position, j, target.buckets, target.parts))
                        }
                    };
                    // (Within reach for any key that did not change since it came here; the bound is for memory's sake.)
                    let j = j.min(reach as usize - 1);
                    self.children += Bucket(target.array.add(j * BUCKET)).push(occupant.with_part(part));
                }
                let child = bucket.child();
                if bucket != old(i) {
                    bucket.free_child();
                    self.children -= 1;
                }
                let Some(child) = child else { break };
                bucket = child;
            }
            moved
        };
        target.frontier += 1;
        if target.frontier == self.buckets {
            // SAFETY: allocated with this layout; nothing refers to the old array any more.
            unsafe { dealloc(self.array, array_layout(self.buckets)) };
            (self.array, self.buckets, self.tiny) = (target.array, target.buckets, target.tiny);
            self.parts = target.parts;
            self.target = None;
        }
        moved
    }
}
