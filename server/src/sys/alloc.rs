//! The process allocator: jemalloc, with every byte counted.
//!
//! `used_memory` is asked for on each command when `maxmemory` is set, so it must be exact and cheap: each thread
//! adds to a counter of its own (a plain load and store, as it is the only writer), and a reader sums them up.
//! What is counted is the usable size of the allocation, that is jemalloc's size class.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use tikv_jemallocator::Jemalloc;

/// Threads with a counter of their own. Later ones share the last, with an atomic addition.
const COUNTERS: usize = 32;

#[repr(align(128))]
struct Counter(AtomicIsize);

static BYTES: [Counter; COUNTERS] = [const { Counter(AtomicIsize::new(0)) }; COUNTERS];
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's counter; `usize::MAX` until the first allocation.
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Bytes the process has allocated and not freed.
#[must_use]
pub fn used_memory() -> usize {
    let sum: isize = BYTES.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum();
    usize::try_from(sum).unwrap_or(0)
}

/// The allocator's version.
pub const VERSION: &str = "5.3.0";

/// Gives unused pages back to the system.
pub fn purge() {
    // Arena 4096 stands for all of them. Names are zero-terminated.
    #[expect(unsafe_code, reason = "the allocator's controls are raw")]
    // SAFETY: this control takes no argument and returns nothing; the name is terminated.
    let _ = unsafe { tikv_jemalloc_ctl::raw::write::<()>(b"arena.4096.purge\0", ()) };
}

#[inline]
fn count(bytes: isize) {
    // A thread that is being torn down has no slot any more: it shares the last one.
    let slot = SLOT.try_with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(THREADS.fetch_add(1, Ordering::Relaxed).min(COUNTERS - 1));
        }
        slot.get()
    });
    let slot = slot.unwrap_or(COUNTERS - 1);
    let counter = &BYTES[slot].0;
    if slot == COUNTERS - 1 {
        counter.fetch_add(bytes, Ordering::Relaxed);
    } else {
        counter.store(counter.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }
}

/// jemalloc's size class for a request of `size` bytes: steps of 8 up to 64, then four classes a doubling.
#[inline]
fn size_class(size: usize) -> isize {
    let size = size.max(1);
    let class = if size <= 64 {
        (size + 7) & !7
    } else {
        let step = 1 << (usize::BITS - 1 - (size - 1).leading_zeros() - 2);
        (size + step - 1) & !(step - 1)
    };
    class as isize
}

/// Size classes are in steps of 8 here, while jemalloc's binding takes for granted that any class of 16 bytes or more is aligned
/// to 16: it would give 56 bytes at an odd multiple of 8 to a hash table, which reads them 16 at a time. What is to be
/// aligned to 16 therefore asks for a multiple of 16 bytes, whose classes are.
#[inline]
const fn padded(size: usize, align: usize) -> usize {
    if align == 16 { size.next_multiple_of(16) } else { size }
}

/// The same for a layout.
#[inline]
fn padded_layout(layout: Layout) -> Layout {
    match layout.align() {
        16 => layout.pad_to_align(),
        _ => layout,
    }
}

/// The counting allocator.
pub struct Counting;

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; everything is handed on to jemalloc")]
// SAFETY: every call goes to `Jemalloc` with the same arguments, but for sizes, which are rounded up the same way in each of
// them; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = padded_layout(layout);
        // SAFETY: the caller's contract is handed on.
        let pointer = unsafe { Jemalloc.alloc(layout) };
        if !pointer.is_null() {
            count(size_class(layout.size()));
        }
        pointer
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let layout = padded_layout(layout);
        // SAFETY: the caller's contract is handed on.
        let pointer = unsafe { Jemalloc.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(size_class(layout.size()));
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let layout = padded_layout(layout);
        count(-size_class(layout.size()));
        // SAFETY: the caller's contract is handed on.
        unsafe { Jemalloc.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (layout, size) = (padded_layout(layout), padded(size, layout.align()));
        // SAFETY: the caller's contract is handed on.
        let moved = unsafe { Jemalloc.realloc(pointer, layout, size) };
        if !moved.is_null() {
            count(size_class(size) - size_class(layout.size()));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::{Counting, size_class};

    #[test]
    #[expect(unsafe_code, reason = "allocating by hand")]
    fn alignment_is_kept() {
        for (size, align) in (1..130).flat_map(|size| [1, 2, 4, 8, 16, 32, 64].map(|align| (size, align))) {
            let layout = Layout::from_size_align(size, align).expect("a power of two");
            let grown = Layout::from_size_align(size + 24, align).expect("a power of two");
            let mut pointers = Vec::new();
            for _ in 0..20 {
                // SAFETY: the size is not zero; the block is grown and freed with the layouts it was allocated with.
                let pointer = unsafe { Counting.alloc(layout) };
                assert!(!pointer.is_null() && pointer.addr().is_multiple_of(align), "{layout:?}");
                // SAFETY: as above.
                let pointer = unsafe { Counting.realloc(pointer, layout, grown.size()) };
                assert!(!pointer.is_null() && pointer.addr().is_multiple_of(align), "{grown:?}");
                pointers.push(pointer);
            }
            // SAFETY: as above.
            pointers.into_iter().for_each(|pointer| unsafe { Counting.dealloc(pointer, grown) });
        }
    }

    #[test]
    fn size_classes_are_jemallocs() {
        for (size, class) in [
            (1, 8),
            (8, 8),
            (38, 40),
            (64, 64),
            (65, 80),
            (80, 80),
            (81, 96),
            (112, 112),
            (113, 128),
            (129, 160),
            (257, 320),
            (4097, 5120),
            (8192, 8192),
        ] {
            assert_eq!(size_class(size), class, "{size}");
        }
    }
}
