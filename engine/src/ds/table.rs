//! A hash table of owned pointers in 64-byte buckets, which grows and shrinks a bucket at a time.
//!
//! An element is one owned pointer that knows its key (see [`Element`]); the table spends 8 to 13 bytes on it.
//!
//! ```text
//! bucket, one cache line:   9 tags (0 = free) | control | 9 references of 6 bytes
//! ```
//!
//! A full bucket gives its ninth slot to a child bucket, which can have a child in turn. The tag is the low byte of the
//! hash, so that a miss costs one cache line and a hit two.
//!
//! **Position.** The top 48 bits of a hash are the position of its element, and a table of `n` buckets keeps position `p`
//! in bucket `p * n / 2^48`. Buckets are thus in the order of positions at any size, from which the rest follows:
//!
//! * `n` need not be a power of two. Up to 16,384 logical slots (8 for each bucket) sizes are powers of two, as a Redis
//!   user sees in `DEBUG HTSTATS`; above they are `2^k` and `3 * 2^(k-1)` in turn, which wastes less memory.
//! * While the table is being moved to an array of another size, one comparison (has the frontier passed this bucket of the
//!   old array?) tells which of the two arrays owns a key. No operation looks into both.
//! * A scan's cursor is the position that it reached. It stays meaningful whatever happens to the table: every element that
//!   is there all the time is emitted, and exactly once.
//! * The target array needs no clearing in advance: buckets are zeroed just ahead of the frontier.

#![expect(unsafe_code, reason = "tagged buckets with 48-bit references")]

use super::hash::hash;
use std::alloc::{alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

mod bucket;
mod iter;
mod place;

use bucket::{BUCKET, Bucket, Chain, LAST, array_layout, nothing, prefetch};

pub use iter::{IntoIter, Iter};
pub use place::{Occupied, Place, Vacant};

/// An owned pointer that a [`Table`] can hold.
///
/// # Safety
/// * `into_raw` yields an address below 2^48 that `from_raw` turns back into the same element.
/// * For a pointer from `into_raw` that was not passed to `from_raw` yet, `key`, `borrow` and `borrow_mut` give access to
///   the element, and `key` gives the same bytes until the element is replaced.
/// * Dropping `Ref` or `Mut` does not free the element, and no safe use of them changes its key.
pub unsafe trait Element: Sized {
    /// A shared view of an element in a table.
    type Ref<'a>: Copy
    where
        Self: 'a;
    /// An exclusive view of an element in a table. It may change the element in place, but not move it.
    type Mut<'a>
    where
        Self: 'a;

    /// Gives up ownership for an address.
    fn into_raw(self) -> NonNull<u8>;
    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and nothing owns it.
    unsafe fn from_raw(raw: NonNull<u8>) -> Self;
    /// The bytes by which the element is found.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and the element lives, unchanged, for `'a`.
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8];
    /// A shared view.
    ///
    /// # Safety
    /// As for `key`.
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> Self::Ref<'a>
    where
        Self: 'a;
    /// An exclusive view.
    ///
    /// # Safety
    /// As for `key`, and nothing else refers to the element during `'a`.
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> Self::Mut<'a>
    where
        Self: 'a;
}

/// What tables may do about their size by themselves. One setting for the process, because a forked child wants the
/// pages of all tables left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ResizePolicy {
    /// Grow at one element per logical slot, shrink at one for eight.
    Allow = 0,
    /// A child shares our memory: resize only when [`FORCE_RATIO`] times beyond these limits.
    Avoid = 1,
    /// Keep every table as it is.
    Forbid = 2,
}

/// How far beyond its normal limits a table has to be to resize under [`ResizePolicy::Avoid`].
pub const FORCE_RATIO: u64 = 4;

/// A table shrinks when it has at most one element for so many logical slots.
const MIN_FILL: u64 = 8;

static POLICY: AtomicU8 = AtomicU8::new(ResizePolicy::Allow as u8);

/// Sets what all tables of the process may do about their size.
pub fn set_resize_policy(policy: ResizePolicy) {
    POLICY.store(policy as u8, Ordering::Relaxed);
}

/// What tables may do about their size at present.
pub fn resize_policy() -> ResizePolicy {
    match POLICY.load(Ordering::Relaxed) {
        0 => ResizePolicy::Allow,
        1 => ResizePolicy::Avoid,
        _ => ResizePolicy::Forbid,
    }
}

/// One past the last position: scans end here.
pub const END: u64 = 1 << POSITION_BITS;

/// How many bits of a hash, from the top, are the position.
const POSITION_BITS: u32 = 48;

/// Logical slots of a bucket.
const LOGICAL: u64 = 8;

/// Up to so many buckets, sizes are powers of two.
const POWERS_UP_TO: u64 = 16_384 / LOGICAL;

/// Largest number of buckets (elements: eight times as many).
const MAX_BUCKETS: u64 = 1 << 31;

/// Slots of a bucket among which a random one is drawn, at most: more would be fairer and slower.
const MOST_TRIED: u64 = 64;

/// Buckets without elements that count as one in [`Table::rehash_step`].
const EMPTY_VISITS: usize = 2;

#[inline(always)]
fn tag_of(hash: u64) -> u8 {
    // 0 marks a free slot.
    (hash as u8).max(1)
}

/// Position of an element with this hash.
#[inline(always)]
pub fn position(hash: u64) -> u64 {
    hash >> (64 - POSITION_BITS)
}

/// Bucket, of `n`, for a position.
#[inline(always)]
fn bucket_of(position: u64, n: u32) -> usize {
    ((u128::from(position << (64 - POSITION_BITS)) * u128::from(n)) >> 64) as usize
}

/// First position of bucket `i` of `n`; [`END`] for `i == n`.
fn boundary(i: usize, n: u32) -> u64 {
    ((i as u128) << POSITION_BITS).div_ceil(u128::from(n)) as u64
}

/// The smallest size for so many elements: buckets, and whether the one bucket counts as four logical slots.
fn size_for(elements: u64) -> (u32, bool) {
    if elements <= LOGICAL / 2 {
        return (1, true);
    }
    let least = elements.div_ceil(LOGICAL).min(MAX_BUCKETS);
    let power = least.next_power_of_two();
    let three_quarters = power / 4 * 3;
    let buckets = if power > POWERS_UP_TO && three_quarters >= least { three_quarters } else { power };
    (buckets as u32, false)
}

/// The array to which a table moves.
struct Target {
    array: *mut u8,
    buckets: u32,
    tiny: bool,
    /// Buckets of the old array whose elements have moved: the array owns the positions before.
    frontier: u32,
    /// Buckets of this array that are zeroed.
    zeroed: u32,
}

/// The hash table. See the [module](self) for its idea.
///
/// Every operation takes the hash of the key (see [`hash`]), because callers that prefetch have it already. Tables resize by
/// themselves, as far as [`set_resize_policy`] lets them, and move one bucket with each insertion and removal; who
/// only reads calls [`Table::rehash_step`] now and then.
pub struct Table<E: Element> {
    /// `buckets` buckets, or [`nothing`].
    array: *mut u8,
    len: usize,
    target: Option<Box<Target>>,
    buckets: u32,
    /// Child buckets, of both arrays.
    children: u32,
    /// The one bucket counts as four logical slots, not eight.
    tiny: bool,
    /// The owner wants no growth for now.
    held: bool,
    elements: PhantomData<E>,
}

// SAFETY: the table owns its elements and its buckets.
unsafe impl<E: Element + Send> Send for Table<E> {}
// SAFETY: with a shared reference, elements and buckets are only read.
unsafe impl<E: Element + Sync> Sync for Table<E> {}

impl<E: Element> Default for Table<E> {
    fn default() -> Self {
        Table::new()
    }
}

/// Buckets that one array owns in a row, from a position on.
struct Run {
    array: *mut u8,
    buckets: u32,
    /// Index of the bucket of the position.
    first: usize,
    /// One past the last index of the run.
    end: usize,
    /// First position after the run.
    until: u64,
}

impl Run {
    fn bucket(&self, i: usize) -> Bucket {
        debug_assert!(i < self.buckets as usize);
        Bucket(self.array.wrapping_add(i * BUCKET))
    }

    /// First position of bucket `i` and later that the run does not own.
    fn position(&self, i: usize) -> u64 {
        if i >= self.end { self.until } else { boundary(i, self.buckets) }
    }
}

impl<E: Element> Table<E> {
    /// An empty table, which owns no memory.
    pub const fn new() -> Self {
        Table {
            array: nothing(),
            len: 0,
            target: None,
            buckets: 0,
            children: 0,
            tiny: false,
            held: false,
            elements: PhantomData,
        }
    }

    /// An empty table that does not have to grow for so many elements.
    pub fn with_capacity(elements: usize) -> Self {
        let mut table = Table::new();
        table.reserve(elements);
        table
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether elements are being moved to an array of another size.
    #[inline]
    pub fn is_rehashing(&self) -> bool {
        self.target.is_some()
    }

    /// Logical slots: 0, 4, or eight for each bucket. While rehashing, those of the old array.
    pub fn logical_size(&self) -> u64 {
        if self.tiny { LOGICAL / 2 } else { u64::from(self.buckets) * LOGICAL }
    }

    /// Bytes of all buckets: both arrays and the children. Elements are not included.
    pub fn memory_usage(&self) -> usize {
        (self.buckets as usize + self.children as usize) * BUCKET
            + self.target.as_ref().map_or(0, |t| t.buckets as usize * BUCKET + size_of::<Target>())
    }

    /// Bytes of the array that is being left, 0 when not rehashing.
    pub fn rehash_bytes(&self) -> usize {
        if self.target.is_some() { self.buckets as usize * BUCKET } else { 0 }
    }

    /// Bytes that the next insertion would allocate for a larger array, 0 if it would not.
    pub fn growth_bytes(&self) -> usize {
        if self.wants_growth() { size_for(self.len as u64 + 1).0 as usize * BUCKET } else { 0 }
    }

    /// Stops the table from growing (on insertions and otherwise), or lets it. It works without growth, but slower.
    pub fn hold_growth(&mut self, hold: bool) {
        self.held = hold;
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> Bucket {
        let i = bucket_of(position(hash), self.buckets);
        if let Some(target) = &self.target
            && i < target.frontier as usize
        {
            let j = bucket_of(position(hash), target.buckets);
            return Bucket(target.array.wrapping_add(j * BUCKET));
        }
        Bucket(self.array.wrapping_add(i * BUCKET))
    }

    #[inline(always)]
    fn lookup(&self, hash: u64, key: &[u8]) -> Option<(Bucket, usize)> {
        let mut bucket = self.home(hash);
        let tag = tag_of(hash);
        loop {
            // SAFETY: `home` gives a bucket of an array of ours, or the empty one; a child lives while its parent refers to it.
            unsafe {
                let mut slots = bucket.matches(tag);
                while slots != 0 {
                    let i = slots.trailing_zeros() as usize;
                    if E::key(bucket.get(i)) == key {
                        return Some((bucket, i));
                    }
                    slots &= slots - 1;
                }
                bucket = bucket.child()?;
            }
        }
    }

    /// The element with this key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<E::Ref<'_>> {
        // SAFETY: the slot is occupied by an element that lives and does not change while `self` is borrowed.
        self.lookup(hash, key).map(|(bucket, i)| unsafe { E::borrow(bucket.get(i)) })
    }

    /// Whether there is an element with this key.
    #[inline]
    pub fn contains(&self, hash: u64, key: &[u8]) -> bool {
        self.lookup(hash, key).is_some()
    }

    /// The place of the element with this key.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<Occupied<'_, E>> {
        let (bucket, slot) = self.lookup(hash, key)?;
        Some(Occupied { table: self, hash, bucket, slot })
    }

    /// The place for this key: what is there, or where it can go. One probe for both.
    #[inline]
    pub fn place(&mut self, hash: u64, key: &[u8]) -> Place<'_, E> {
        if self.target.is_some() {
            self.rehash_step(1);
        }
        match self.lookup(hash, key) {
            Some((bucket, slot)) => Place::Occupied(Occupied { table: self, hash, bucket, slot }),
            None => Place::Vacant(Vacant { table: self, hash }),
        }
    }

    /// Inserts an element, or puts it in the place of the one with its key, which is handed back.
    pub fn insert(&mut self, hash: u64, element: E) -> Option<E> {
        let raw = element.into_raw();
        // SAFETY: `raw` is an element that we own until it is in the table.
        let (key, element) = unsafe { (E::key(raw), E::from_raw(raw)) };
        match self.place(hash, key) {
            Place::Occupied(mut place) => Some(place.replace(element)),
            Place::Vacant(place) => {
                place.insert(element);
                None
            }
        }
    }

    /// Takes the element with this key out.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        if self.target.is_some() {
            self.rehash_step(1);
        }
        self.find_mut(hash, key).map(Occupied::remove)
    }

    /// Asks the processor for the bucket of a hash: the first cache line of a later operation.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        prefetch(self.home(hash).0);
    }

    /// Asks the processor for the element that probably has this hash: the second cache line of a later operation. Its bucket
    /// should have been prefetched before.
    #[inline]
    pub fn prefetch_element(&self, hash: u64) {
        let bucket = self.home(hash);
        // SAFETY: a bucket of ours.
        unsafe {
            let slots = bucket.matches(tag_of(hash));
            if slots != 0 {
                prefetch(bucket.address(slots.trailing_zeros() as usize));
            }
        }
    }

    /// Takes the element of an occupied slot out and closes the gap with the last of the chain.
    fn erase(&mut self, home: Bucket, bucket: Bucket, slot: usize) -> E {
        // SAFETY: `bucket` is in the chain of `home`, the slot is occupied, and we have exclusive access.
        unsafe {
            let raw = bucket.get(slot);
            let mut parent = None;
            let mut tail = home;
            while let Some(child) = tail.child() {
                parent = Some(tail);
                tail = child;
            }
            if tail == bucket {
                tail.clear(slot);
            } else {
                let last = tail.occupied().ilog2() as usize;
                bucket.put(slot, tail.tag(last), tail.get(last));
                tail.clear(last);
            }
            if let Some(parent) = parent {
                let rest = tail.occupied();
                if rest.is_power_of_two() {
                    // The only one left fits into the slot that referred to its bucket.
                    let i = rest.trailing_zeros() as usize;
                    parent.unset_child();
                    parent.put(LAST, tail.tag(i), tail.get(i));
                    tail.free_child();
                    self.children -= 1;
                }
            }
            self.len -= 1;
            E::from_raw(raw)
        }
    }

    #[inline(always)]
    fn wants_growth(&self) -> bool {
        let (len, size) = (self.len as u64, self.logical_size());
        len >= size && self.may_grow(len, size)
    }

    #[cold]
    fn may_grow(&self, len: u64, size: u64) -> bool {
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

    fn wants_shrinking(&self) -> bool {
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
    fn start_rehash(&mut self, elements: u64) {
        debug_assert!(self.target.is_none());
        let (buckets, tiny) = size_for(elements);
        let layout = array_layout(buckets);
        if self.buckets == 0 {
            // SAFETY: the layout has a size.
            let array = unsafe { alloc_zeroed(layout) };
            if array.is_null() {
                handle_alloc_error(layout);
            }
            (self.array, self.buckets, self.tiny) = (array, buckets, tiny);
            return;
        }
        // SAFETY: the layout has a size.
        let array = unsafe { alloc(layout) };
        if !array.is_null() {
            self.target = Some(Box::new(Target { array, buckets, tiny, frontier: 0, zeroed: 0 }));
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
    fn move_bucket(&mut self) -> bool {
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
                old(i + 2).prefetch_elements();
            }
            let mut moved = false;
            let mut bucket = old(i);
            loop {
                let mut slots = bucket.occupied();
                moved |= slots != 0;
                while slots != 0 {
                    let slot = slots.trailing_zeros() as usize;
                    slots &= slots - 1;
                    let raw = bucket.get(slot);
                    // (Within reach for any key that did not change since it came here; the bound is for memory's sake.)
                    let j = bucket_of(position(hash(E::key(raw))), target.buckets).min(reach as usize - 1);
                    self.children += Bucket(target.array.add(j * BUCKET)).push(bucket.tag(slot), raw);
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
            self.target = None;
        }
        moved
    }

    /// The run of buckets that owns a position below [`END`]. The table has an array.
    fn run(&self, position: u64) -> Run {
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
    fn visit(&self, from: u64, to: u64, mut visit: impl FnMut(Bucket, usize), mut more: impl FnMut() -> bool) -> u64 {
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

    fn random_slot(&self, random: &mut impl FnMut() -> u64) -> Option<(Bucket, usize, u64)> {
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

    /// Keeps the elements for which `keep` answers true.
    pub fn retain(&mut self, mut keep: impl FnMut(E::Ref<'_>) -> bool) {
        self.extract_range(0, END, |e| !keep(e), drop);
    }

    /// All elements, in the order of positions.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter { table: self, next: 0, chain: Chain { bucket: Bucket(nothing()), slots: 0 } }
    }

    /// The `i`-th chain in the order of positions, both arrays counted through.
    fn chain(&self, i: usize) -> Option<Bucket> {
        let (zeroed, frontier, array) =
            self.target.as_ref().map_or((0, 0, self.array), |t| (t.zeroed as usize, t.frontier as usize, t.array));
        if i < zeroed {
            return Some(Bucket(array.wrapping_add(i * BUCKET)));
        }
        let i = i - zeroed + frontier;
        (i < self.buckets as usize).then(|| Bucket(self.array.wrapping_add(i * BUCKET)))
    }

    /// Frees all elements, and the memory of the table.
    pub fn clear(&mut self) {
        *self = Table::new();
    }

    /// Figures on both arrays. With `full`, chain lengths are counted, which hashes every key.
    pub fn stats(&self, full: bool) -> Stats {
        let mut main = ArrayStats { logical_size: self.logical_size(), ..ArrayStats::default() };
        let mut second = self.target.as_ref().map(|t| ArrayStats {
            logical_size: if t.tiny { LOGICAL / 2 } else { u64::from(t.buckets) * LOGICAL },
            ..ArrayStats::default()
        });
        let zeroed = self.target.as_ref().map_or(0, |t| t.zeroed as usize);
        for i in 0.. {
            let Some(home) = self.chain(i) else { break };
            let stats = if i < zeroed { second.as_mut().expect("it has a target") } else { &mut main };
            let mut lengths = [0usize; LOGICAL as usize];
            // SAFETY: a bucket of ours; nothing changes while `self` is borrowed.
            unsafe {
                stats.elements += home.count();
                if full {
                    for (bucket, slot) in Chain::new(home) {
                        let p = position(self::hash(E::key(bucket.get(slot))));
                        let logical = (u128::from(p) * u128::from(stats.logical_size)) >> POSITION_BITS;
                        lengths[logical as usize % LOGICAL as usize] += 1;
                    }
                }
            }
            for length in lengths.into_iter().filter(|&n| n > 0) {
                stats.used_slots += 1;
                stats.longest = stats.longest.max(length);
                stats.lengths[length.min(stats.lengths.len() - 1)] += 1;
            }
        }
        for stats in [Some(&mut main), second.as_mut()].into_iter().flatten() {
            stats.lengths[0] = (stats.logical_size as usize).saturating_sub(stats.used_slots);
        }
        Stats { main, target: second, children: self.children as usize }
    }

    /// Panics unless the structure is sound. For tests; slow.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        let (mut elements, mut children) = (0, 0);
        if let Some(target) = &self.target {
            assert!(target.frontier < self.buckets);
            assert!(target.zeroed <= target.buckets);
        }
        for i in 0.. {
            let Some(home) = self.chain(i) else { break };
            let mut bucket = home;
            loop {
                // SAFETY: a bucket of ours; nothing changes while `self` is borrowed.
                unsafe {
                    let occupied = bucket.occupied();
                    if bucket.has_child() {
                        assert_eq!(occupied, (1 << LAST) - 1, "a bucket with a child is full");
                    }
                    if bucket != home {
                        children += 1;
                        assert!(occupied.count_ones() >= 2, "a child has at least two elements");
                    }
                    elements += occupied.count_ones() as usize;
                    for (b, slot) in (Chain { bucket, slots: occupied }).take(occupied.count_ones() as usize) {
                        let hash = hash(E::key(b.get(slot)));
                        assert_eq!(b.tag(slot), tag_of(hash));
                        assert!(self.home(hash) == home, "an element is in its own chain");
                    }
                    let Some(child) = bucket.child() else { break };
                    bucket = child;
                }
            }
        }
        assert_eq!(elements, self.len);
        assert_eq!(children, self.children as usize);
    }
}

impl<E: Element> Drop for Table<E> {
    fn drop(&mut self) {
        for i in 0.. {
            let Some(home) = self.chain(i) else { break };
            // SAFETY: nobody else refers to the table. Each element is freed once, each child after its elements.
            unsafe {
                if let Some(next) = self.chain(i + 1) {
                    next.prefetch_elements();
                }
                let mut bucket = home;
                loop {
                    let mut slots = bucket.occupied();
                    while slots != 0 {
                        drop(E::from_raw(bucket.get(slots.trailing_zeros() as usize)));
                        slots &= slots - 1;
                    }
                    let child = bucket.child();
                    if bucket != home {
                        bucket.free_child();
                    }
                    let Some(child) = child else { break };
                    bucket = child;
                }
            }
        }
        // SAFETY: allocated with these layouts.
        unsafe {
            if self.buckets > 0 {
                dealloc(self.array, array_layout(self.buckets));
            }
            if let Some(target) = &self.target {
                dealloc(target.array, array_layout(target.buckets));
            }
        }
    }
}

/// Figures on one array of a table, in logical slots, as Redis prints them.
#[derive(Clone, Debug)]
pub struct ArrayStats {
    /// Logical slots.
    pub logical_size: u64,
    /// Elements.
    pub elements: usize,
    /// Logical slots that have elements.
    pub used_slots: usize,
    /// Most elements in one logical slot.
    pub longest: usize,
    /// How many logical slots have 0, 1, 2, … elements; the last counts longer ones too.
    pub lengths: [usize; 50],
}

impl Default for ArrayStats {
    fn default() -> Self {
        ArrayStats { logical_size: 0, elements: 0, used_slots: 0, longest: 0, lengths: [0; 50] }
    }
}

/// Figures on a table.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The array in use; while rehashing the old one.
    pub main: ArrayStats,
    /// The array to which elements are moved.
    pub target: Option<ArrayStats>,
    /// Child buckets of both.
    pub children: usize,
}

impl<E: Element> std::fmt::Debug for Table<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("len", &self.len).field("buckets", &self.buckets).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
