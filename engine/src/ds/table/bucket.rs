//! The buckets of a table: tags, control byte, references, and chains of children.

#![expect(unsafe_code, reason = "tagged buckets with 48-bit references")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Bytes of a bucket, and its alignment.
pub(super) const BUCKET: usize = 64;

/// Slots of a bucket.
pub(super) const SLOTS: usize = 9;

/// The slot that turns into the reference to a child bucket.
pub(super) const LAST: usize = SLOTS - 1;

/// Asks the processor to fetch the cache line at `address`.
#[inline(always)]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch does not access memory, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// The bits of a reference that are an address: below 2^48, and a multiple of eight.
const ADDRESS: u64 = (1 << 48) - 8;

/// The bits of a reference that its address leaves free.
const PART: u64 = 7;

/// What an occupied slot holds: the tag of an element, its address, and the part of the bucket's positions to which its own
/// belongs (see [`super::parts_for`]).
#[derive(Clone, Copy)]
pub(super) struct Occupant {
    tag: u8,
    /// The address, and in its free bits the part.
    reference: u64,
}

impl Occupant {
    #[inline(always)]
    pub(super) fn new(tag: u8, raw: NonNull<u8>, part: u64) -> Occupant {
        debug_assert!(part <= PART);
        Occupant { tag, reference: exposed(raw.as_ptr()) | part }
    }

    #[inline(always)]
    pub(super) fn raw(self) -> NonNull<u8> {
        // SAFETY: made from an address that was not null.
        unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut((self.reference & ADDRESS) as usize)) }
    }

    #[inline(always)]
    pub(super) fn part(self) -> u64 {
        self.reference & PART
    }

    /// The same element in an array whose buckets are divided in another way.
    #[inline(always)]
    pub(super) fn with_part(self, part: u64) -> Occupant {
        debug_assert!(part <= PART);
        Occupant { reference: self.reference & ADDRESS | part, ..self }
    }
}

#[inline(always)]
fn exposed(address: *mut u8) -> u64 {
    let address = address.expose_provenance() as u64;
    assert!(address & !ADDRESS == 0, "an address has 48 bits and is a multiple of eight");
    address
}

/// Address of a bucket: bytes 0..9 tags, 9 control, then nine 6-byte references.
///
/// All methods demand that the bucket is allocated and zeroed or filled by these methods, and, where they write, that
/// nothing else refers to it. References in occupied slots are addresses exposed by `put`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket(pub(super) *mut u8);

/// Control bit: slot 8 refers to a child bucket. (Bit 1 is kept for a snapshot's mark.)
const HAS_CHILD: u8 = 1;

const CONTROL: usize = SLOTS;

impl Bucket {
    /// A fresh child bucket with all slots free.
    pub(super) fn new_child() -> Bucket {
        let layout = Layout::from_size_align(BUCKET, BUCKET).expect("constant layout");
        // SAFETY: the layout has a size.
        let address = unsafe { alloc_zeroed(layout) };
        if address.is_null() {
            handle_alloc_error(layout);
        }
        Bucket(address)
    }

    /// Frees a bucket made by `new_child`.
    pub(super) unsafe fn free_child(self) {
        let layout = Layout::from_size_align(BUCKET, BUCKET).expect("constant layout");
        // SAFETY: allocated by `new_child` with this layout.
        unsafe { dealloc(self.0, layout) }
    }

    /// Slots whose tag equals `tag`, one bit each.
    #[inline(always)]
    pub(super) unsafe fn matches(self, tag: u8) -> u32 {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: the bucket has 64 readable bytes and is aligned; SSE2 is part of the architecture.
        unsafe {
            use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi8};
            let equal = _mm_cmpeq_epi8(_mm_load_si128(self.0.cast()), _mm_set1_epi8(tag as i8));
            _mm_movemask_epi8(equal) as u32 & ((1 << SLOTS) - 1)
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        {
            // SAFETY: the bucket has 64 readable bytes.
            let (first, ninth) = unsafe { (self.0.cast::<u64>().read(), self.0.add(LAST).read()) };
            const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
            let x = u64::from_le(first) ^ (u64::from(tag) * 0x0101_0101_0101_0101);
            // The high bit of each byte that is zero in `x`, exactly.
            let zero = !(((x & LOW) + LOW) | x | LOW);
            // Gathers the eight bits at the top.
            let mask = (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            mask as u32 | (u32::from(ninth == tag) << LAST)
        }
    }

    /// Occupied slots, one bit each. A slot that refers to a child does not count.
    #[inline(always)]
    pub(super) unsafe fn occupied(self) -> u32 {
        // SAFETY: as promised by the caller.
        unsafe { self.matches(0) ^ ((1 << SLOTS) - 1) }
    }

    #[inline(always)]
    pub(super) unsafe fn has_child(self) -> bool {
        // SAFETY: as promised by the caller.
        unsafe { self.0.add(CONTROL).read() & HAS_CHILD != 0 }
    }

    /// Free slots, one bit each.
    #[inline(always)]
    pub(super) unsafe fn free(self) -> u32 {
        // SAFETY: as promised by the caller.
        unsafe { self.matches(0) & !(u32::from(self.has_child()) << LAST) }
    }

    /// The reference in slot `i`.
    #[inline(always)]
    unsafe fn reference(self, i: usize) -> u64 {
        // The two bytes before the reference are part of the bucket for every slot; the two after are not for the last.
        // SAFETY: 8 + 6 * 8 + 8 = 64.
        let word = unsafe { self.0.add(CONTROL - 1 + 6 * i).cast::<u64>().read_unaligned() };
        u64::from_le(word) >> 16
    }

    /// The address in slot `i`.
    #[inline(always)]
    pub(super) unsafe fn address(self, i: usize) -> *mut u8 {
        // SAFETY: as promised by the caller.
        ptr::with_exposed_provenance_mut((unsafe { self.reference(i) } & ADDRESS) as usize)
    }

    /// The reference in occupied slot `i`.
    #[inline(always)]
    pub(super) unsafe fn get(self, i: usize) -> NonNull<u8> {
        // SAFETY: an occupied slot has an address that was not null.
        unsafe { NonNull::new_unchecked(self.address(i)) }
    }

    /// What occupied slot `i` holds.
    #[inline(always)]
    pub(super) unsafe fn occupant(self, i: usize) -> Occupant {
        // SAFETY: as promised by the caller.
        unsafe { Occupant { tag: self.tag(i), reference: self.reference(i) } }
    }

    #[inline(always)]
    unsafe fn set_reference(self, i: usize, reference: u64) {
        // SAFETY: 10 + 6 * 8 + 6 = 64.
        unsafe {
            let at = self.0.add(CONTROL + 1 + 6 * i);
            at.cast::<u32>().write_unaligned((reference as u32).to_le());
            at.add(4).cast::<u16>().write_unaligned(((reference >> 32) as u16).to_le());
        }
    }

    #[inline(always)]
    pub(super) unsafe fn put(self, i: usize, occupant: Occupant) {
        // SAFETY: as promised by the caller.
        unsafe {
            self.set_reference(i, occupant.reference);
            self.0.add(i).write(occupant.tag);
        }
    }

    /// Lets occupied slot `i` refer to another element with the same key.
    #[inline(always)]
    pub(super) unsafe fn replace(self, i: usize, raw: NonNull<u8>) {
        // SAFETY: as promised by the caller.
        unsafe { self.set_reference(i, exposed(raw.as_ptr()) | (self.reference(i) & PART)) }
    }

    #[inline(always)]
    pub(super) unsafe fn tag(self, i: usize) -> u8 {
        // SAFETY: as promised by the caller.
        unsafe { self.0.add(i).read() }
    }

    #[inline(always)]
    pub(super) unsafe fn clear(self, i: usize) {
        // SAFETY: as promised by the caller.
        unsafe { self.0.add(i).write(0) }
    }

    #[inline(always)]
    pub(super) unsafe fn child(self) -> Option<Bucket> {
        // SAFETY: with the bit set, the last slot has a child's address.
        unsafe { self.has_child().then(|| Bucket(self.address(LAST))) }
    }

    pub(super) unsafe fn set_child(self, child: Bucket) {
        // SAFETY: as promised by the caller.
        unsafe {
            self.clear(LAST);
            self.set_reference(LAST, exposed(child.0));
            let control = self.0.add(CONTROL);
            control.write(control.read() | HAS_CHILD);
        }
    }

    pub(super) unsafe fn unset_child(self) {
        // SAFETY: as promised by the caller.
        unsafe {
            let control = self.0.add(CONTROL);
            control.write(control.read() & !HAS_CHILD);
        }
    }

    /// Puts an element into the chain that starts here. Answers how many child buckets that took (0 or 1).
    pub(super) unsafe fn push(self, occupant: Occupant) -> u32 {
        let mut bucket = self;
        // SAFETY: as promised by the caller; a child lives as long as its parent refers to it.
        unsafe {
            loop {
                let free = bucket.free();
                if free != 0 {
                    bucket.put(free.trailing_zeros() as usize, occupant);
                    return 0;
                }
                let Some(child) = bucket.child() else { break };
                bucket = child;
            }
            let child = Bucket::new_child();
            child.put(0, bucket.occupant(LAST));
            child.put(1, occupant);
            bucket.set_child(child);
        }
        1
    }

    /// Asks for the elements of this bucket (not of its children) to be fetched.
    #[inline(always)]
    pub(super) unsafe fn prefetch_elements(self) {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut slots = self.occupied();
            while slots != 0 {
                prefetch(self.address(slots.trailing_zeros() as usize));
                slots &= slots - 1;
            }
        }
    }

    /// Asks for the next bucket of this one's chain to be fetched.
    #[inline(always)]
    pub(super) unsafe fn prefetch_child(self) {
        // SAFETY: as promised by the caller.
        unsafe {
            if self.has_child() {
                prefetch(self.address(LAST));
            }
        }
    }

    /// Elements of the chain that starts here.
    pub(super) unsafe fn count(self) -> usize {
        let mut n = 0;
        let mut bucket = Some(self);
        while let Some(b) = bucket {
            // SAFETY: as promised by the caller.
            unsafe {
                n += b.occupied().count_ones() as usize;
                bucket = b.child();
            }
        }
        n
    }
}

/// The slots of a chain, in order.
pub(super) struct Chain {
    pub(super) bucket: Bucket,
    pub(super) slots: u32,
}

impl Chain {
    /// # Safety
    /// The chain stays allocated and unchanged while this lives.
    #[inline(always)]
    pub(super) unsafe fn new(bucket: Bucket) -> Chain {
        // SAFETY: as promised by the caller.
        Chain { bucket, slots: unsafe { bucket.occupied() } }
    }
}

impl Iterator for Chain {
    type Item = (Bucket, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(Bucket, usize)> {
        // SAFETY: as promised to `new`.
        unsafe {
            while self.slots == 0 {
                self.bucket = self.bucket.child()?;
                self.slots = self.bucket.occupied();
            }
        }
        let i = self.slots.trailing_zeros() as usize;
        self.slots &= self.slots - 1;
        Some((self.bucket, i))
    }
}

#[repr(C, align(64))]
struct Zeroes([u8; BUCKET]);

/// What a table without memory looks into.
static NOTHING: Zeroes = Zeroes([0; BUCKET]);

pub(super) const fn nothing() -> *mut u8 {
    (&raw const NOTHING).cast_mut().cast()
}

pub(super) fn array_layout(buckets: u32) -> Layout {
    Layout::from_size_align(buckets as usize * BUCKET, BUCKET).expect("at most 2^31 buckets")
}
