//! A string in an allocation of its own, one pointer wide, with room to grow.
//!
//! ```text
//! [len u64 | capacity u64 | bytes …]
//! ```
//!
//! Strings that are long, or that are changed in place, live in one; the others lie in their keyspace entry.

#![expect(unsafe_code, reason = "a thin pointer to length, capacity and bytes")]

use super::blob::size_class;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ptr::{self, NonNull};

/// Bytes before the contents.
const HEADER: usize = 16;

/// Up to this length a string that grows gets as much room again; a longer one gets so much.
const SLACK_MAX: usize = 1 << 20;

/// An owned byte string.
///
/// Invariant: the pointer owns `HEADER + capacity` bytes aligned to 8, `len <= capacity`, and the first `len` are initialised.
pub struct HeapStr(NonNull<u8>);

// SAFETY: owns its bytes alone and has no interior mutability.
unsafe impl Send for HeapStr {}
// SAFETY: as above.
unsafe impl Sync for HeapStr {}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(HEADER + capacity, 8).expect("a string fits into the address space")
}

/// Capacity of an allocation that has room for so many bytes and fills its size class.
fn snug(len: usize) -> usize {
    size_class(HEADER + len) - HEADER
}

impl HeapStr {
    /// An empty string with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let layout = layout(snug(bytes));
        // SAFETY: the layout has a size; both header words are within it.
        unsafe {
            let Some(block) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            block.cast::<u64>().write(0);
            block.cast::<u64>().add(1).write(snug(bytes) as u64);
            HeapStr(block)
        }
    }

    /// A string of these bytes, without spare room beyond the size class.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut string = HeapStr::with_capacity(bytes.len());
        string.extend(bytes);
        string
    }

    /// Number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: the first header word.
        unsafe { self.0.cast::<u64>().read() as usize }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes fit without another allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        // SAFETY: the second header word.
        unsafe { self.0.cast::<u64>().add(1).read() as usize }
    }

    /// Bytes of the allocation.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        HEADER + self.capacity()
    }

    fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        // SAFETY: the first header word.
        unsafe { self.0.cast::<u64>().write(len as u64) };
    }

    fn at(&self, offset: usize) -> *mut u8 {
        self.0.as_ptr().wrapping_add(HEADER + offset)
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.at(0), self.len()) }
    }

    /// The bytes, to be overwritten.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes are initialised, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.at(0), self.len()) }
    }

    /// Makes the capacity fit for `bytes` bytes: never less than there are.
    fn resize_block(&mut self, bytes: usize) {
        let capacity = snug(bytes.max(self.len()));
        let old = layout(self.capacity());
        let new = layout(capacity);
        // SAFETY: allocated with the old layout; the new size is not zero.
        unsafe {
            let Some(block) = NonNull::new(realloc(self.0.as_ptr(), old, new.size())) else { handle_alloc_error(new) };
            block.cast::<u64>().add(1).write(capacity as u64);
            self.0 = block;
        }
    }

    /// Makes room for `more` bytes, and for the next ones.
    fn make_room(&mut self, more: usize) {
        let need = self.len().checked_add(more).expect("a string fits into the address space");
        if need > self.capacity() {
            self.resize_block(need + need.min(SLACK_MAX));
        }
    }

    /// Appends. A string that grows gets spare room: as much again, at most 1 MiB.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        let len = self.len();
        // SAFETY: there is room, and `bytes` is not part of this string, which is borrowed exclusively.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(len), bytes.len()) };
        self.set_len(len + bytes.len());
    }

    /// Grows to `len` bytes, zero-filled. Never shrinks.
    pub fn grow(&mut self, len: usize) {
        let old = self.len();
        if len > old {
            self.make_room(len - old);
            // SAFETY: there is room for `len` bytes.
            unsafe { ptr::write_bytes(self.at(old), 0, len - old) };
            self.set_len(len);
        }
    }

    /// Puts `new` in the place of the `old` bytes from `at` on.
    ///
    /// # Panics
    /// When there are not as many bytes.
    pub fn splice(&mut self, at: usize, old: usize, new: &[u8]) {
        let len = self.len();
        assert!(at <= len && old <= len - at, "the bytes replaced are there");
        if new.len() > old {
            self.make_room(new.len() - old);
        }
        let tail = len - at - old;
        // SAFETY: what is behind the replaced bytes is moved within the string, which has room for it; `new` is not part of
        // this string, which is borrowed exclusively.
        unsafe {
            ptr::copy(self.at(at + old), self.at(at + new.len()), tail);
            ptr::copy_nonoverlapping(new.as_ptr(), self.at(at), new.len());
        }
        self.set_len(at + new.len() + tail);
    }

    /// Shortens to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.set_len(len);
        }
    }

    /// Puts other bytes in the place of these. The allocation stays if it has the right size.
    pub fn assign(&mut self, bytes: &[u8]) {
        if snug(bytes.len()) == self.capacity() {
            self.set_len(0);
            self.extend(bytes);
        } else {
            *self = HeapStr::new(bytes);
        }
    }

    /// Gives spare room back.
    pub fn shrink_to_fit(&mut self) {
        if snug(self.len()) < self.capacity() {
            self.resize_block(self.len());
        }
    }

    /// Gives up ownership for an address.
    #[must_use]
    pub fn into_raw(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and nothing owns it.
    #[must_use]
    pub unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        HeapStr(raw)
    }
}

impl Drop for HeapStr {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), layout(self.capacity())) };
    }
}

impl std::fmt::Debug for HeapStr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes().escape_ascii().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_keeps_its_bytes() {
        let mut string = HeapStr::new(b"abc");
        let mut model = b"abc".to_vec();
        for i in 0..2000u32 {
            let piece = i.to_string();
            string.extend(piece.as_bytes());
            model.extend_from_slice(piece.as_bytes());
            assert!(string.capacity() <= snug(2 * model.len()));
        }
        assert_eq!(string.bytes(), model);
        string.grow(10_000);
        model.resize(10_000, 0);
        assert_eq!(string.bytes(), model);
        string.truncate(5);
        string.shrink_to_fit();
        assert_eq!((string.bytes(), string.capacity()), (&model[..5], snug(5)));
        string.bytes_mut()[0] = b'x';
        assert_eq!(string.bytes()[0], b'x');
    }

    #[test]
    fn splices_as_a_vector_does() {
        let (mut string, mut model) = (HeapStr::new(b"0123456789"), b"0123456789".to_vec());
        for (at, old, new) in [(0, 0, &b"ab"[..]), (5, 3, b""), (2, 1, b"xyz"), (9, 2, b"a longer piece"), (0, 3, b"q")]
        {
            string.splice(at, old, new);
            model.splice(at..at + old, new.iter().copied());
            assert_eq!(string.bytes(), model);
        }
    }

    #[test]
    fn assign_keeps_a_fitting_block() {
        let mut string = HeapStr::new(&[1; 300]);
        let block = string.0;
        string.assign(&[2; 299]);
        assert_eq!((string.0, string.bytes()), (block, &[2u8; 299][..]));
        string.assign(b"short");
        assert_eq!((string.bytes(), string.capacity()), (&b"short"[..], snug(5)));
        string.assign(b"");
        assert!(string.is_empty());
    }

    #[test]
    fn long_strings_get_a_bounded_reserve() {
        let mut string = HeapStr::new(&vec![0; 8 << 20]);
        string.extend(b"x");
        // The size class above 9 MiB is 10 MiB.
        assert!(string.capacity() <= 10 << 20, "{}", string.capacity());
    }
}
