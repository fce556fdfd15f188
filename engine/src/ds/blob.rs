//! Thin owned byte buffers: one pointer, whose length stands in the bytes themselves.
//!
//! A keyspace entry stores eight bytes per collection, so there is no room for a length or a capacity beside the
//! pointer. Both follow from the format's own header: `F::total` reads the length, and the capacity is always
//! `size_class(length)`. Growing within a class therefore needs no reallocation, and nothing has to be remembered.
//!
//! This file holds all unsafe code of the byte formats (listpack, intset, ...); they work on the slices it hands out,
//! so that a corrupt payload ends in a failed bounds check and never in a stray read.
#![expect(unsafe_code, reason = "thin pointers with a derived capacity: 16 bytes less per small collection")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// The allocator's size class for a request of `bytes`: 8-byte steps up to 64, then four classes per doubling.
///
/// This mirrors jemalloc with an 8-byte quantum. With another allocator it is still right, only less snug.
#[inline]
pub const fn size_class(bytes: usize) -> usize {
    if bytes <= 64 {
        if bytes == 0 { 8 } else { (bytes + 7) & !7 }
    } else {
        // 2^(k) < bytes <= 2^(k+1): steps of 2^(k-2).
        let step_bits = usize::BITS - 1 - (bytes - 1).leading_zeros() - 2;
        let step = 1usize << step_bits;
        (bytes + step - 1) & !(step - 1)
    }
}

/// How a byte format tells its length.
///
/// # Safety
/// `total` is a pure function of the header: the capacity of an allocation is derived from it.
pub unsafe trait Format {
    /// Length of the fixed header that `total` reads, in bytes.
    const HEAD: usize;

    /// Total length in bytes, header included, from the first [`Format::HEAD`] bytes.
    fn total(head: &[u8]) -> usize;
}

/// Eight bytes of length, then the bytes: for contents without a format of their own.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

// SAFETY: reads the eight bytes and nothing else.
unsafe impl Format for Plain {
    const HEAD: usize = 8;

    #[inline]
    fn total(head: &[u8]) -> usize {
        u64::from_le_bytes(head[..8].try_into().expect("eight bytes")) as usize + 8
    }
}

/// An owned buffer in format `F`, one pointer wide.
///
/// Invariant: the pointer owns an allocation of `size_class(len)` bytes of which the first `len = F::total(head)` are
/// initialised, `len >= F::HEAD`.
#[repr(transparent)]
pub struct Blob<F: Format> {
    ptr: NonNull<u8>,
    format: PhantomData<F>,
}

// SAFETY: a blob owns its bytes alone and has no interior mutability.
unsafe impl<F: Format> Send for Blob<F> {}
// SAFETY: as above.
unsafe impl<F: Format> Sync for Blob<F> {}

/// The hole that [`Blob::splice`] opens; must be written to its end.
pub struct Gap<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
}

impl Gap<'_> {
    /// Writes one byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        let (first, rest) =
            std::mem::take(&mut self.bytes).split_first_mut().expect("the gap was sized for its content");
        first.write(byte);
        self.bytes = rest;
    }

    /// Writes `bytes`.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (first, rest) = std::mem::take(&mut self.bytes).split_at_mut(bytes.len());
        first.write_copy_of_slice(bytes);
        self.bytes = rest;
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(size_class(bytes), 8).expect("no buffer comes near the address space")
}

fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: the size is at least eight.
    NonNull::new(unsafe { alloc(layout(bytes)) })
}

/// Memory for `bytes` bytes, in fact for their size class; for thin elements that know their length.
#[inline]
pub(super) fn allocate_bytes(bytes: usize) -> NonNull<u8> {
    allocate(bytes).unwrap_or_else(|| handle_alloc_error(layout(bytes)))
}

/// Frees what `allocate_bytes` gave.
///
/// # Safety
/// `ptr` comes from `allocate_bytes` for a length of the same size class and is not used again.
#[inline]
pub(super) unsafe fn free_bytes(ptr: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(ptr.as_ptr(), layout(bytes)) }
}

impl<F: Format> Blob<F> {
    /// A copy of `bytes`, whose header must announce exactly their length.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::try_from_bytes(bytes).unwrap_or_else(|| handle_alloc_error(layout(bytes.len())))
    }

    /// As [`Blob::from_bytes`]; `None` when there is no memory.
    #[inline]
    pub fn try_from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::try_from_parts(bytes, &[])
    }

    /// As [`Blob::try_from_bytes`] from two halves; `head` holds at least the header.
    pub fn try_from_parts(head: &[u8], rest: &[u8]) -> Option<Self> {
        let total = head.len() + rest.len();
        assert!(head.len() >= F::HEAD && F::total(&head[..F::HEAD]) == total, "the header announces the length");
        let ptr = allocate(total)?;
        // SAFETY: the allocation holds `total` bytes and is new, so it overlaps nothing.
        unsafe {
            ptr::copy_nonoverlapping(head.as_ptr(), ptr.as_ptr(), head.len());
            ptr::copy_nonoverlapping(rest.as_ptr(), ptr.as_ptr().add(head.len()), rest.len());
        }
        Some(Self { ptr, format: PhantomData })
    }

    /// Length in bytes, header included.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "a blob always holds its header")]
    pub fn len(&self) -> usize {
        // SAFETY: the invariant of the type: the header is initialised.
        F::total(unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), F::HEAD) })
    }

    /// Bytes taken from the allocator.
    #[inline]
    pub fn allocated(&self) -> usize {
        size_class(self.len())
    }

    /// All bytes, header included.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the invariant of the type: `len` bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len()) }
    }

    /// The bytes behind the header. The header itself changes only together with the allocation.
    #[inline]
    pub fn body_mut(&mut self) -> &mut [u8] {
        let len = self.len() - F::HEAD;
        // SAFETY: the invariant of the type, and `&mut self`.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().add(F::HEAD), len) }
    }

    /// Lets `edit` change the header without changing the length.
    #[inline]
    pub fn edit_head(&mut self, edit: impl FnOnce(&mut [u8])) {
        let len = self.len();
        self.write_head(len, edit);
    }

    /// Replaces `remove` bytes at `at` by `insert` bytes that `fill` writes; `head` writes the new header.
    ///
    /// Moves the tail once and reallocates only when the size class changes.
    ///
    /// # Panics
    /// When the range is out of bounds, `fill` leaves a part of the gap unwritten, or `head` announces another length.
    #[inline]
    pub fn splice(
        &mut self,
        at: usize,
        remove: usize,
        insert: usize,
        head: impl FnOnce(&mut [u8]),
        fill: impl FnOnce(&mut Gap<'_>),
    ) {
        let old = self.len();
        assert!(F::HEAD <= at && at <= old && remove <= old - at, "a splice stays within the buffer");
        let new = old - remove + insert;
        // The header always matches the allocation, even should `fill` panic.
        if new > old {
            self.resize(old, new);
            self.write_head(new, head);
            self.open_gap(at, remove, insert, old, fill);
        } else {
            self.open_gap(at, remove, insert, old, fill);
            self.resize(old, new);
            self.write_head(new, head);
        }
    }

    #[inline(always)]
    fn open_gap(&mut self, at: usize, remove: usize, insert: usize, old: usize, fill: impl FnOnce(&mut Gap<'_>)) {
        let base = self.ptr.as_ptr();
        // SAFETY: called by `splice` alone, which checked the range: both ranges lie within the larger of the two
        // lengths, which the allocation holds; the gap is `insert` bytes at `at`, aliased by nothing while `fill`
        // runs, because `self` is borrowed mutably.
        unsafe {
            if insert != remove {
                ptr::copy(base.add(at + remove), base.add(at + insert), old - at - remove);
            }
            let mut gap = Gap { bytes: std::slice::from_raw_parts_mut(base.add(at).cast::<MaybeUninit<u8>>(), insert) };
            fill(&mut gap);
            assert!(gap.bytes.is_empty(), "the gap is filled");
        }
    }

    #[inline]
    fn write_head(&mut self, len: usize, edit: impl FnOnce(&mut [u8])) {
        // SAFETY: every allocation holds at least the header, initialised at construction.
        let head = unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), F::HEAD) };
        edit(head);
        if F::total(head) != len {
            // The capacity would be derived from a wrong length: not even unwinding would be safe.
            std::process::abort();
        }
    }

    #[inline]
    fn resize(&mut self, old: usize, new: usize) {
        if size_class(old) != size_class(new) {
            self.reallocate(old, new);
        }
    }

    #[cold]
    fn reallocate(&mut self, old: usize, new: usize) {
        // SAFETY: the invariant of the type: this block was allocated with `layout(old)`; the new size is not zero.
        let ptr = unsafe { realloc(self.ptr.as_ptr(), layout(old), size_class(new)) };
        self.ptr = NonNull::new(ptr).unwrap_or_else(|| handle_alloc_error(layout(new)));
    }

    /// Gives up ownership; [`Blob::from_raw`] takes it back.
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        let ptr = self.ptr;
        std::mem::forget(self);
        ptr
    }

    /// Takes back what [`Blob::into_raw`] gave out.
    ///
    /// # Safety
    /// `ptr` comes from `into_raw` of a blob of the same format and is used once.
    #[inline]
    pub unsafe fn from_raw(ptr: NonNull<u8>) -> Self {
        Self { ptr, format: PhantomData }
    }
}

impl Blob<Plain> {
    /// A blob that holds `content`; `None` when there is no memory.
    pub fn try_holding(content: &[u8]) -> Option<Self> {
        Self::try_from_parts(&(content.len() as u64).to_le_bytes(), content)
    }

    /// A blob that holds `content`.
    pub fn holding(content: &[u8]) -> Self {
        Self::try_holding(content).unwrap_or_else(|| handle_alloc_error(layout(content.len() + Plain::HEAD)))
    }

    /// What it holds, without the length.
    #[inline]
    pub fn content(&self) -> &[u8] {
        &self.as_bytes()[Plain::HEAD..]
    }
}

impl<F: Format> Drop for Blob<F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the invariant of the type: this block was allocated with `layout(len)`.
        unsafe { dealloc(self.ptr.as_ptr(), layout(self.len())) }
    }
}

impl<F: Format> Clone for Blob<F> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.as_bytes())
    }
}

impl<F: Format> fmt::Debug for Blob<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blob").field(&self.as_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_jemallocs() {
        let mut classes: Vec<usize> = (0..=1025).map(size_class).collect();
        classes.dedup();
        let expected = [
            8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
            1024, 1280,
        ];
        assert_eq!(classes, expected);
        assert_eq!(size_class(8192), 8192);
        assert_eq!(size_class(8193), 10240);
        assert_eq!(size_class((1 << 30) + 1), (1 << 30) + (1 << 28));
    }

    #[test]
    fn splice_moves_the_tail() {
        let mut blob = Blob::<Plain>::holding(b"hello world");
        blob.splice(13, 1, 3, |head| head.copy_from_slice(&13u64.to_le_bytes()), |gap| gap.bytes(b" - "));
        assert_eq!(blob.content(), b"hello - world");
        blob.splice(8, 8, 0, |head| head.copy_from_slice(&5u64.to_le_bytes()), |_| {});
        assert_eq!(blob.content(), b"world");
        // SAFETY: straight back from `into_raw`.
        let blob = unsafe { Blob::<Plain>::from_raw(blob.into_raw()) };
        assert_eq!(blob.clone().content(), b"world");
    }
}
