//! One member of a big sorted set: a single allocation `[score f64][length][name]`.
//!
//! The length takes one byte up to 253; 254 announces two more bytes, 255 eight. A member of 16 bytes thus takes 25,
//! which the allocator rounds to 32.
#![expect(unsafe_code, reason = "one unpadded allocation per member: 12 bytes less than a struct with a boxed name")]

use super::table::Element;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Largest length that the first length byte holds itself.
const SHORT_MAX: usize = 253;
/// First length byte: a `u16` follows.
const LEN_U16: u8 = 254;
/// First length byte: a `u64` follows.
const LEN_U64: u8 = 255;
/// Bytes of the score, at the start.
const SCORE_BYTES: usize = 8;

/// Bytes before the name.
const fn header_bytes(name_len: usize) -> usize {
    SCORE_BYTES
        + if name_len <= SHORT_MAX {
            1
        } else if name_len <= u16::MAX as usize {
            3
        } else {
            9
        }
}

fn layout(name_len: usize) -> Layout {
    Layout::from_size_align(header_bytes(name_len) + name_len, align_of::<f64>())
        .expect("a name is shorter than the address space")
}

/// An owned member.
pub(crate) struct ZMember(NonNull<u8>);

// SAFETY: plain bytes with one owner.
unsafe impl Send for ZMember {}
// SAFETY: shared access reads only; `ZRef::set_score` is called under exclusive access to the set.
unsafe impl Sync for ZMember {}

impl ZMember {
    /// A member on its own.
    pub(crate) fn new(name: &[u8], score: f64) -> Self {
        let layout = layout(name.len());
        // SAFETY: the layout has at least the nine bytes of the header.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let at = start.as_ptr();
        // SAFETY: all writes stay within the layout: header bytes, then the name.
        unsafe {
            at.cast::<f64>().write(score);
            let len = name.len();
            match header_bytes(len) - SCORE_BYTES {
                1 => at.add(SCORE_BYTES).write(len as u8),
                3 => {
                    at.add(SCORE_BYTES).write(LEN_U16);
                    at.add(SCORE_BYTES + 1).cast::<u16>().write_unaligned(len as u16);
                }
                _ => {
                    at.add(SCORE_BYTES).write(LEN_U64);
                    at.add(SCORE_BYTES + 1).cast::<u64>().write_unaligned(len as u64);
                }
            }
            ptr::copy_nonoverlapping(name.as_ptr(), at.add(header_bytes(name.len())), name.len());
        }
        ZMember(start)
    }

    /// A reference that lives as long as this member does, which the holder has to see to.
    pub(crate) fn as_ref(&self) -> ZRef {
        ZRef(self.0.as_ptr())
    }
}

// SAFETY: addresses come from `alloc` and lie below 2^48 on the supported systems; the name never changes; the views are
// `Copy` references that free nothing, and only the score can be changed through them.
unsafe impl Element for ZMember {
    type Ref<'a> = ZRef;
    type Mut<'a> = ZRef;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        ZMember(raw)
    }

    #[inline]
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8] {
        ZRef(raw.as_ptr()).name()
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> ZRef
    where
        Self: 'a,
    {
        ZRef(raw.as_ptr())
    }

    #[inline]
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> ZRef
    where
        Self: 'a,
    {
        ZRef(raw.as_ptr())
    }
}

impl Drop for ZMember {
    fn drop(&mut self) {
        let layout = layout(self.as_ref().name().len());
        // SAFETY: allocated with this layout, whose length field never changes.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

/// A reference to a member that a live set owns; eight bytes without a lifetime.
///
/// Within `ds` only. What makes its methods sound: references are stored in the tree of a set, which drops a reference
/// before the member is freed, and every public access borrows the set.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct ZRef(*const u8);

impl ZRef {
    /// Fills slots that are not in use; never dereferenced.
    pub(crate) const NONE: ZRef = ZRef(ptr::null());

    /// The score.
    #[inline]
    pub(crate) fn score(self) -> f64 {
        debug_assert!(!self.0.is_null());
        // SAFETY: the member is alive (see the type) and begins with its score, eight-byte aligned.
        unsafe { self.0.cast::<f64>().read() }
    }

    /// Changes the score in place. The caller has the set borrowed mutably.
    #[inline]
    pub(crate) fn set_score(self, score: f64) {
        // SAFETY: as in `score`; the memory came from `alloc` and is writable.
        unsafe { self.0.cast_mut().cast::<f64>().write(score) }
    }

    /// The name; the caller bounds the lifetime by a borrow of the set.
    #[inline]
    pub(crate) fn name<'a>(self) -> &'a [u8] {
        debug_assert!(!self.0.is_null());
        // SAFETY: the member is alive (see the type), and laid out by `ZMember::new`.
        unsafe {
            let at = self.0.add(SCORE_BYTES);
            let (len, skip) = match at.read() {
                LEN_U16 => (usize::from(at.add(1).cast::<u16>().read_unaligned()), 3),
                LEN_U64 => (at.add(1).cast::<u64>().read_unaligned() as usize, 9),
                len => (usize::from(len), 1),
            };
            std::slice::from_raw_parts(at.add(skip), len)
        }
    }

    /// Bytes of the allocation as asked for.
    pub(crate) fn bytes(self) -> usize {
        let len = self.name().len();
        header_bytes(len) + len
    }

    /// Asks for the cache line of the member.
    #[inline]
    pub(crate) fn prefetch(self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch has no effect beyond the cache, whatever the address.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(self.0.cast());
        }
    }
}
