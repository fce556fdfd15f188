//! Intset: sorted integers in one block of bytes, all of the same width.
//!
//! ```text
//! width in bytes (u32 LE: 2, 4 or 8) | count (u32 LE) | count × signed integer LE, ascending
//! ```
//!
//! The bytes are those of Redis. The width grows when a value needs it and never shrinks, as there: the bytes of a
//! dump depend on the history, not only on the members.

use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

use super::blob::{Blob, Format};

/// Header: width and count.
const HEAD: usize = 8;

#[derive(Debug, Clone, Copy)]
struct IntSetFormat;

#[expect(unsafe_code, reason = "promises that `total` is pure")]
// SAFETY: reads eight bytes and nothing else.
unsafe impl Format for IntSetFormat {
    const HEAD: usize = HEAD;

    #[inline(always)]
    fn total(head: &[u8]) -> usize {
        let (width, count) = read_head(head);
        // Saturates: an absurd header then matches no real length.
        HEAD.saturating_add(count.saturating_mul(width))
    }
}

#[inline(always)]
fn read_head(bytes: &[u8]) -> (usize, usize) {
    let head: &[u8; 8] = bytes.first_chunk().expect("an intset has a header");
    let width = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    (width as usize, count as usize)
}

fn write_head(head: &mut [u8], width: usize, count: usize) {
    head[..4].copy_from_slice(&(width as u32).to_le_bytes());
    head[4..8].copy_from_slice(&u32::try_from(count).expect("limits keep sets of integers small").to_le_bytes());
}

/// Bytes that `value` needs: 2, 4 or 8.
#[inline]
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[inline(always)]
fn read(bytes: &[u8], width: usize, index: usize) -> i64 {
    let at = HEAD + index * width;
    let slot = &bytes[at..at + width];
    match *slot {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => unreachable!("the width was checked at construction"),
    }
}

/// True when `bytes` are an intset. Without `deep` only the header and the size are looked at, with it the order.
pub fn validate(bytes: &[u8], deep: bool) -> bool {
    if bytes.len() < HEAD {
        return false;
    }
    let (width, count) = read_head(bytes);
    if !matches!(width, 2 | 4 | 8) || count == 0 || IntSetFormat::total(bytes) != bytes.len() {
        return false;
    }
    !deep || (1..count).all(|index| read(bytes, width, index - 1) < read(bytes, width, index))
}

/// Most members whatever the configured limit: keeps insertion, which moves the tail, bearable.
pub const INTSET_ENTRIES_MAX: usize = 1 << 30;

/// An owned intset; one pointer wide.
#[derive(Clone)]
#[repr(transparent)]
pub struct IntSet(Blob<IntSetFormat>);

impl Default for IntSet {
    fn default() -> Self {
        Self::new()
    }
}

impl IntSet {
    /// An empty intset: eight bytes.
    pub fn new() -> Self {
        Self(Blob::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 0]))
    }

    /// A copy of `bytes`; `None` when they do not pass [`validate`] (without `deep`) or there is no memory.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !validate(bytes, false) {
            return None;
        }
        Blob::try_from_bytes(bytes).map(Self)
    }

    /// The bytes as they go into a dump.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Bytes taken from the allocator.
    pub fn memory_usage(&self) -> usize {
        self.0.allocated()
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        read_head(self.as_bytes()).1
    }

    /// True when there is no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Member `index` in ascending order.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[inline]
    pub fn get(&self, index: usize) -> i64 {
        let bytes = self.as_bytes();
        read(bytes, read_head(bytes).0, index)
    }

    /// Smallest member.
    pub fn min(&self) -> Option<i64> {
        (!self.is_empty()).then(|| self.get(0))
    }

    /// Largest member.
    pub fn max(&self) -> Option<i64> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// `Ok(index)` of `value`, or `Err(index)` where it would stand.
    #[inline]
    fn search(&self, value: i64) -> Result<usize, usize> {
        let bytes = self.as_bytes();
        let (width, count) = read_head(bytes);
        if count == 0 {
            return Err(0);
        }
        // Ascending insertion is common, and loading from a dump of ours always ascends.
        if value > read(bytes, width, count - 1) {
            return Err(count);
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = read(bytes, width, middle);
            if found == value {
                return Ok(middle);
            }
            if found < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Err(low)
    }

    /// True when `value` is a member.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        width_of(value) <= read_head(self.as_bytes()).0 && self.search(value).is_ok()
    }

    /// Position of `value` in ascending order.
    pub fn index_of(&self, value: i64) -> Option<usize> {
        self.search(value).ok()
    }

    /// Adds `value`; false when it was a member.
    pub fn add(&mut self, value: i64) -> bool {
        let (width, count) = read_head(self.as_bytes());
        if width_of(value) > width {
            self.widen_and_add(value);
            return true;
        }
        let Err(index) = self.search(value) else { return false };
        self.0.splice(
            HEAD + index * width,
            0,
            width,
            |head| write_head(head, width, count + 1),
            |gap| gap.bytes(&value.to_le_bytes()[..width]),
        );
        true
    }

    /// A value that needs more bytes than any member is smaller or larger than all of them.
    #[cold]
    fn widen_and_add(&mut self, value: i64) {
        let (count, width) = (self.len(), width_of(value));
        let mut bytes = vec![0; HEAD];
        write_head(&mut bytes, width, count + 1);
        bytes.reserve_exact((count + 1) * width);
        let mut push = |value: i64| bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        if value < 0 {
            push(value);
        }
        self.iter().for_each(&mut push);
        if value >= 0 {
            push(value);
        }
        *self = Self(Blob::from_bytes(&bytes));
    }

    /// Removes `value`; false when it was no member.
    pub fn remove(&mut self, value: i64) -> bool {
        if width_of(value) > read_head(self.as_bytes()).0 {
            return false;
        }
        let Ok(index) = self.search(value) else { return false };
        self.remove_range(index..index + 1);
        true
    }

    /// Removes the members at `range` of the ascending order.
    ///
    /// # Panics
    /// When `range` is out of bounds.
    pub fn remove_range(&mut self, range: Range<usize>) {
        let (width, count) = read_head(self.as_bytes());
        assert!(range.start <= range.end && range.end <= count, "a range of members");
        let gone = range.end - range.start;
        self.0.splice(
            HEAD + range.start * width,
            gone * width,
            0,
            |head| write_head(head, width, count - gone),
            |_| {},
        );
    }

    /// The members, ascending.
    pub fn iter(&self) -> Iter<'_> {
        let bytes = self.as_bytes();
        let (width, count) = read_head(bytes);
        Iter { bytes, width, range: 0..count }
    }

    /// Gives up ownership as a thin pointer.
    pub fn into_raw(self) -> NonNull<u8> {
        self.0.into_raw()
    }

    /// Takes back what [`IntSet::into_raw`] gave out.
    ///
    /// # Safety
    /// `ptr` comes from [`IntSet::into_raw`] and is used once.
    #[expect(unsafe_code, reason = "a keyspace entry stores the pointer alone")]
    pub unsafe fn from_raw(ptr: NonNull<u8>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Blob::from_raw(ptr) })
    }

    /// Panics unless the bytes are a well-formed intset.
    pub fn check_invariants(&self) {
        assert!(self.is_empty() || validate(self.as_bytes(), true), "well-formed intset: {self:?}");
    }
}

/// Ascending walk; see [`IntSet::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    width: usize,
    range: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.range.next().map(|index| read(self.bytes, self.width, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<i64> {
        self.range.nth(n).map(|index| read(self.bytes, self.width, index))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        self.range.next_back().map(|index| read(self.bytes, self.width, index))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a IntSet {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for IntSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_redis() {
        let mut set = IntSet::new();
        for value in [5, -1, 3] {
            assert!(set.add(value));
        }
        assert!(!set.add(3));
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 3, 0, 5, 0]);
        assert!(set.add(-40_000));
        assert_eq!(set.as_bytes()[..12], [4, 0, 0, 0, 4, 0, 0, 0, 0xC0, 0x63, 0xFF, 0xFF]);
        assert_eq!((set.min(), set.max()), (Some(-40_000), Some(5)));
        assert!(set.remove(-40_000));
        assert_eq!(set.as_bytes()[0], 4, "the width stays");
    }

    #[test]
    fn bad_bytes_are_refused() {
        for (bytes, shallow, deep) in [
            (&b""[..], false, false),
            (b"\x02\0\0\0\0\0\0\0", false, false),
            (b"\x02\0\0\0\x01\0\0\0\x01\0", true, true),
            (b"\x03\0\0\0\x01\0\0\0\x01\0\0", false, false),
            (b"\x02\0\0\0\x02\0\0\0\x01\0", false, false),
            (b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0", true, false),
            (b"\x08\0\0\0\xFF\xFF\xFF\xFF\x01\0", false, false),
        ] {
            assert_eq!(validate(bytes, false), shallow, "{bytes:?}");
            assert_eq!(validate(bytes, true), deep, "{bytes:?}");
            assert_eq!(IntSet::from_bytes(bytes).is_some(), shallow);
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_set(ops in prop::collection::vec((any::<bool>(), any::<i64>(), 0..63u32), 0..200)) {
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for (add, value, shift) in ops {
                let value = value >> shift;
                prop_assert_eq!(set.contains(value), model.contains(&value));
                if add {
                    prop_assert_eq!(set.add(value), model.insert(value));
                } else {
                    let victim = model.range(value..).next().copied().unwrap_or(value);
                    prop_assert_eq!(set.remove(victim), model.remove(&victim));
                }
                set.check_invariants();
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
                prop_assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
                if !set.is_empty() {
                    let copy = IntSet::from_bytes(set.as_bytes()).expect("own bytes are valid");
                    prop_assert_eq!(copy.as_bytes(), set.as_bytes());
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_stray(bytes in prop::collection::vec(any::<u8>(), 0..64), width in prop::sample::select(vec![2u8, 4, 8])) {
            let mut bytes = bytes;
            validate(&bytes, true);
            if bytes.len() >= 8 {
                let count = (bytes.len() - 8) / usize::from(width);
                bytes.truncate(8 + count * usize::from(width));
                bytes[..8].copy_from_slice(&[width, 0, 0, 0, count as u8, 0, 0, 0]);
                if let Some(mut set) = IntSet::from_bytes(&bytes) {
                    set.contains(7);
                    set.add(7);
                    set.remove(7);
                    prop_assert_eq!(set.iter().count(), set.len());
                }
            }
        }
    }
}
