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
//! * Three bits of a reference say where in its bucket an element's position lies, so that most growth moves elements without
//!   reading their keys, which would be a miss of the caches for each.

#![expect(unsafe_code, reason = "tagged buckets with 48-bit references")]

use super::hash::hash;
use std::alloc::dealloc;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

mod bucket;
mod iter;
mod place;
mod resize;
mod scan;
mod stats;

use bucket::{BUCKET, Bucket, Chain, LAST, array_layout, nothing, prefetch};
use resize::Regroup;

pub use iter::{IntoIter, Iter};
pub use place::{Occupied, Place, Vacant};
pub use stats::{ArrayStats, Stats};

/// An owned pointer that a [`Table`] can hold.
///
/// # Safety
/// * `into_raw` yields an address below 2^48, a multiple of eight, that `from_raw` turns back into the same element.
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

/// Parts into which the positions of a bucket are divided at most.
const MAX_PARTS: u64 = 8;

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

/// Part, of `parts`, of bucket `i` of `n` that a position in it belongs to.
#[inline(always)]
fn part_of(position: u64, i: usize, n: u32, parts: u8) -> u64 {
    let fine = (u128::from(position << (64 - POSITION_BITS)) * u128::from(u64::from(n) * u64::from(parts))) >> 64;
    fine as u64 - i as u64 * u64::from(parts)
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

/// Parts into which a bucket of a new array of this size is divided, so that an element's place in larger arrays is known
/// without its key.
///
/// The address of an element leaves three bits free. They tell in which of so many equal parts of the positions of its bucket
/// the element's own lies. An array twice as large is twice as fine: where the parts can be dealt out to its buckets, elements
/// move there without being touched, and are left with fewer parts. From eight or six parts that works three or four times.
fn parts_for(buckets: u32) -> u8 {
    // The next size is three halves of this one, and four thirds of that; or, for small arrays, twice as much.
    if buckets.is_power_of_two() && u64::from(buckets) >= POWERS_UP_TO { 6 } else { MAX_PARTS as u8 }
}

/// The array to which a table moves.
struct Target {
    array: *mut u8,
    buckets: u32,
    tiny: bool,
    parts: u8,
    /// How parts of the old array become parts of this one; `None`: the keys tell.
    regroup: Option<Regroup>,
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
    /// Parts of a bucket.
    parts: u8,
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
            parts: 1,
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

    /// Where an element with this hash goes, and the part of the bucket that its position is in.
    #[inline(always)]
    fn home_and_part(&self, hash: u64) -> (Bucket, u64) {
        let i = bucket_of(position(hash), self.buckets);
        let (array, i, buckets, parts) = match &self.target {
            Some(t) if i < t.frontier as usize => (t.array, bucket_of(position(hash), t.buckets), t.buckets, t.parts),
            _ => (self.array, i, self.buckets, self.parts),
        };
        (Bucket(array.wrapping_add(i * BUCKET)), part_of(position(hash), i, buckets, parts))
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

    /// Asks the processor for the element that probably has this hash, or for the child bucket where it could be: the second
    /// cache line of a later operation. Its bucket should have been prefetched before.
    #[inline]
    pub fn prefetch_element(&self, hash: u64) {
        let bucket = self.home(hash);
        // SAFETY: a bucket of ours.
        unsafe {
            match bucket.matches(tag_of(hash)) {
                0 => bucket.prefetch_child(),
                slots => prefetch(bucket.address(slots.trailing_zeros() as usize)),
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
                bucket.put(slot, tail.occupant(last));
                tail.clear(last);
            }
            if let Some(parent) = parent {
                let rest = tail.occupied();
                if rest.is_power_of_two() {
                    // The only one left fits into the slot that referred to its bucket.
                    let i = rest.trailing_zeros() as usize;
                    parent.unset_child();
                    parent.put(LAST, tail.occupant(i));
                    tail.free_child();
                    self.children -= 1;
                }
            }
            self.len -= 1;
            E::from_raw(raw)
        }
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
                        assert_eq!(b.occupant(slot).part(), self.home_and_part(hash).1, "parts follow positions");
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

impl<E: Element> std::fmt::Debug for Table<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("len", &self.len).field("buckets", &self.buckets).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
