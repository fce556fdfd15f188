//! Listpack: a list of short strings and integers in one block of bytes, walkable from both ends.
//!
//! ```text
//! total bytes (u32 LE) | count (u16 LE, 65535 = count them) | entry … entry | 0xFF
//! entry = encoding byte and payload | back length: the size of what stands before it, 1–5 bytes, read backwards
//!
//! 0xxxxxxx               integer 0..127              11110001 + 2 bytes   i16 LE
//! 110xxxxx + 1 byte      13-bit signed, big end      11110010 + 3 bytes   i24 LE
//! 10xxxxxx               string below 64 bytes       11110011 + 4 bytes   i32 LE
//! 1110xxxx + 1 byte      string below 4096 bytes     11110100 + 8 bytes   i64 LE
//! 11110000 + u32 LE      longer string               11111111             end
//! ```
//!
//! The bytes are those of Redis (github.com/antirez/listpack), so saving and loading is copying. A text that spells
//! an `i64` canonically is stored as that integer.
//!
//! Payloads from outside may have been checked only at their head and tail ([`Listpack::from_bytes`]); a walk over
//! bad bytes therefore ends in a failed bounds check (a panic, as Redis' assertion), never in a stray read.

use std::fmt;

use super::blob::{Blob, Format};
use super::int;

mod elem;
mod iter;

use elem::{Encoded, back_len_bytes, byte_at, decode, skip, slice_at, step_back, try_back_len, try_decode};

pub use elem::{Elem, ElemBuf, entry_bytes};
pub use iter::{Iter, IterBack};

/// Above this size, in bytes, a value leaves the listpack encoding whatever the configured limits say
/// (Redis: `LISTPACK_MAX_SAFETY_LIMIT`).
pub const LISTPACK_MAX_SAFETY_LIMIT: usize = 1 << 30;

/// Header: total bytes and count.
const HEAD: usize = 6;
const END: u8 = 0xFF;
/// The count field holds no more; from here on the entries are counted by walking.
const COUNT_UNKNOWN: u16 = u16::MAX;

#[derive(Debug, Clone, Copy)]
struct ListpackFormat;

#[expect(unsafe_code, reason = "promises that `total` is pure")]
// SAFETY: reads four bytes and nothing else.
unsafe impl Format for ListpackFormat {
    const HEAD: usize = HEAD;

    #[inline(always)]
    fn total(head: &[u8]) -> usize {
        u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize
    }
}

/// An owned listpack; one pointer wide.
#[derive(Clone)]
#[repr(transparent)]
pub struct Listpack(Blob<ListpackFormat>);

/// Where an entry begins: valid for the listpack it came from until that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(u32);

/// Which side of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards the head.
    Before,
    /// Towards the tail.
    After,
}

/// Offset of element `index` of the listpack `bytes`, walking from the nearer end.
fn seek_in(bytes: &[u8], index: usize) -> Option<usize> {
    let stored = u16::from_le_bytes([bytes[4], bytes[5]]);
    if stored != COUNT_UNKNOWN {
        let len = usize::from(stored);
        if index >= len {
            return None;
        }
        if index >= len / 2 {
            let mut at = bytes.len() - 1;
            for _ in index..len {
                at = step_back(bytes, at)?;
            }
            return Some(at);
        }
    }
    let mut at = HEAD;
    for _ in 0..index {
        if byte_at(bytes, at) == END {
            return None;
        }
        at = skip(bytes, at);
    }
    (byte_at(bytes, at) != END).then_some(at)
}

/// True when `bytes` are a listpack. Without `deep` only the header, the size and the end are looked at.
pub fn validate(bytes: &[u8], deep: bool) -> bool {
    validate_with(bytes, deep, |_| true)
}

/// As [`validate`]; with `deep`, `accept` is asked for each element in order (for pairs, order, duplicates).
pub fn validate_with<'a>(bytes: &'a [u8], deep: bool, mut accept: impl FnMut(Elem<'a>) -> bool) -> bool {
    if bytes.len() <= HEAD || ListpackFormat::total(bytes) != bytes.len() || bytes[bytes.len() - 1] != END {
        return false;
    }
    if !deep {
        return true;
    }
    let (mut at, end, mut count) = (HEAD, bytes.len() - 1, 0usize);
    while at < end {
        // A 0xFF among the entries is no encoding, so the walk ends only at the true end.
        let Some((elem, len)) = try_decode(&bytes[..end], at) else { return false };
        let next = at + len + back_len_bytes(len);
        if next > end || try_back_len(bytes, next) != Some((len, back_len_bytes(len))) || !accept(elem) {
            return false;
        }
        (at, count) = (next, count + 1);
    }
    let stored = u16::from_le_bytes([bytes[4], bytes[5]]);
    stored == COUNT_UNKNOWN || usize::from(stored) == count
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl Listpack {
    /// An empty listpack: seven bytes.
    pub fn new() -> Self {
        Self(Blob::from_bytes(&[7, 0, 0, 0, 0, 0, END]))
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

    /// Size in bytes, header and end included.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Bytes taken from the allocator.
    pub fn memory_usage(&self) -> usize {
        self.0.allocated()
    }

    /// True when `add` more bytes keep the listpack within [`LISTPACK_MAX_SAFETY_LIMIT`].
    #[inline]
    pub fn safe_to_add(&self, add: usize) -> bool {
        self.bytes().checked_add(add).is_some_and(|bytes| bytes <= LISTPACK_MAX_SAFETY_LIMIT)
    }

    /// Number of elements; walks them when there are 65,535 or more.
    #[inline]
    pub fn len(&self) -> usize {
        let bytes = self.as_bytes();
        let stored = u16::from_le_bytes([bytes[4], bytes[5]]);
        if stored != COUNT_UNKNOWN {
            return usize::from(stored);
        }
        let (mut at, mut count) = (HEAD, 0);
        while byte_at(bytes, at) != END {
            at = skip(bytes, at);
            count += 1;
        }
        count
    }

    /// True when there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        byte_at(self.as_bytes(), HEAD) == END
    }

    /// The element at `pos`.
    #[inline]
    pub fn get(&self, pos: Pos) -> Elem<'_> {
        decode(self.as_bytes(), pos.0 as usize).0
    }

    /// Position of the first element.
    #[inline]
    pub fn first(&self) -> Option<Pos> {
        self.at(HEAD)
    }

    /// Position of the last element.
    #[inline]
    pub fn last(&self) -> Option<Pos> {
        let bytes = self.as_bytes();
        step_back(bytes, bytes.len() - 1).map(|at| Pos(at as u32))
    }

    /// Position of the element after `pos`.
    #[inline]
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        self.at(skip(self.as_bytes(), pos.0 as usize))
    }

    /// Position of the element before `pos`.
    #[inline]
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        step_back(self.as_bytes(), pos.0 as usize).map(|at| Pos(at as u32))
    }

    #[inline]
    fn at(&self, at: usize) -> Option<Pos> {
        (byte_at(self.as_bytes(), at) != END).then_some(Pos(at as u32))
    }

    /// Position of element `index`, walking from the nearer end.
    #[inline]
    pub fn seek(&self, index: usize) -> Option<Pos> {
        seek_in(self.as_bytes(), index).map(|at| Pos(at as u32))
    }

    /// Position of the element `from_end` places before the last (0 is the last).
    pub fn seek_back(&self, from_end: usize) -> Option<Pos> {
        let bytes = self.as_bytes();
        let mut at = bytes.len() - 1;
        for _ in 0..=from_end {
            at = step_back(bytes, at)?;
        }
        Some(Pos(at as u32))
    }

    /// All elements, first to last.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), at: HEAD }
    }

    /// The elements from `pos` to the last.
    #[inline]
    pub fn iter_from(&self, pos: Pos) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), at: pos.0 as usize }
    }

    /// All elements, last to first.
    #[inline]
    pub fn iter_back(&self) -> IterBack<'_> {
        let bytes = self.as_bytes();
        IterBack { bytes, at: bytes.len() - 1 }
    }

    /// The elements from `pos` to the first, `pos` included.
    pub fn iter_back_from(&self, pos: Pos) -> IterBack<'_> {
        let bytes = self.as_bytes();
        IterBack { bytes, at: skip(bytes, pos.0 as usize) }
    }

    /// First element equal to `text`, looking at `from` and then at every `stride`-th element (2 for the fields of
    /// field-value pairs).
    #[inline]
    pub fn find(&self, from: Pos, text: &[u8], stride: usize) -> Option<Pos> {
        debug_assert!(stride >= 1, "a search moves on");
        let bytes = self.as_bytes();
        let at = match int::parse_i64(text) {
            Some(value) => find_by(bytes, from.0 as usize, stride, |elem| elem == Elem::Int(value)),
            None if text.len() < 64 => find_short(bytes, from.0 as usize, stride, text),
            // A stored integer cannot match a text that is none.
            None => find_by(bytes, from.0 as usize, stride, |elem| matches!(elem, Elem::Str(s) if s == text)),
        }?;
        Some(Pos(at as u32))
    }

    /// As [`Listpack::find`] from the first element.
    #[inline]
    pub fn find_first(&self, text: &[u8], stride: usize) -> Option<Pos> {
        self.find(self.first()?, text, stride)
    }

    /// Appends an element.
    #[inline]
    pub fn push_back<'a>(&mut self, elem: impl Into<Elem<'a>>) {
        let end = self.bytes() - 1;
        self.put(end, 0, elem.into(), 1);
    }

    /// Prepends an element.
    #[inline]
    pub fn push_front<'a>(&mut self, elem: impl Into<Elem<'a>>) {
        self.put(HEAD, 0, elem.into(), 1);
    }

    /// Inserts beside `pos`; returns where the new element stands.
    pub fn insert<'a>(&mut self, pos: Pos, side: Side, elem: impl Into<Elem<'a>>) -> Pos {
        let at = match side {
            Side::Before => pos.0 as usize,
            Side::After => skip(self.as_bytes(), pos.0 as usize),
        };
        self.put(at, 0, elem.into(), 1);
        Pos(at as u32)
    }

    /// Puts another element in place of the one at `pos`, which stays valid.
    pub fn replace<'a>(&mut self, pos: Pos, elem: impl Into<Elem<'a>>) {
        let at = pos.0 as usize;
        let old = skip(self.as_bytes(), at) - at;
        self.put(at, old, elem.into(), 0);
    }

    /// Appends `elems` with one move and at most one reallocation.
    pub fn extend_back(&mut self, elems: &[Elem<'_>]) {
        let end = self.bytes() - 1;
        self.put_many(end, elems);
    }

    /// Prepends `elems`, keeping their order.
    pub fn extend_front(&mut self, elems: &[Elem<'_>]) {
        self.put_many(HEAD, elems);
    }

    /// Inserts `elems` beside `pos`, keeping their order.
    pub fn insert_many(&mut self, pos: Pos, side: Side, elems: &[Elem<'_>]) {
        let at = match side {
            Side::Before => pos.0 as usize,
            Side::After => skip(self.as_bytes(), pos.0 as usize),
        };
        self.put_many(at, elems);
    }

    /// Appends all elements of `other`: a copy of its entries.
    pub fn append_all(&mut self, other: &Listpack) {
        let entries = &other.as_bytes()[HEAD..other.bytes() - 1];
        let count = self.count_after(other.len() as isize);
        let (at, total) = (self.bytes() - 1, self.bytes() + entries.len());
        self.0.splice(at, 0, entries.len(), |head| write_head(head, total, count), |gap| gap.bytes(entries));
    }

    /// Removes the element at `pos`; returns the position of the one that followed.
    #[inline]
    pub fn delete(&mut self, pos: Pos) -> Option<Pos> {
        self.delete_range_at(pos, 1)
    }

    /// Removes the element at `pos` and up to `count - 1` that follow; returns the position after them.
    pub fn delete_range_at(&mut self, pos: Pos, count: usize) -> Option<Pos> {
        let bytes = self.as_bytes();
        let start = pos.0 as usize;
        let (mut at, mut gone) = (start, 0);
        while gone < count && byte_at(bytes, at) != END {
            at = skip(bytes, at);
            gone += 1;
        }
        self.cut(start, at, gone);
        self.at(start)
    }

    /// Removes up to `count` elements from `index` on; returns how many.
    pub fn delete_range(&mut self, index: usize, count: usize) -> usize {
        let Some(pos) = self.seek(index) else { return 0 };
        let before = self.len();
        if count >= before - index {
            // To the end: nothing to walk.
            self.cut(pos.0 as usize, self.bytes() - 1, before - index);
        } else {
            self.delete_range_at(pos, count);
        }
        before - self.len()
    }

    /// Removes the elements at `positions` (ascending, each once) in one pass.
    pub fn delete_batch(&mut self, positions: &[Pos]) {
        if positions.is_empty() {
            return;
        }
        let bytes = self.as_bytes();
        let mut kept = Vec::with_capacity(bytes.len());
        let mut from = HEAD;
        for pos in positions {
            let at = pos.0 as usize;
            assert!(at >= from, "positions ascend");
            kept.extend_from_slice(&bytes[from..at]);
            from = skip(bytes, at);
        }
        kept.extend_from_slice(&bytes[from..bytes.len() - 1]);
        let count = self.count_after(-(positions.len() as isize));
        let old = self.bytes() - 1 - HEAD;
        let total = HEAD + kept.len() + 1;
        self.0.splice(HEAD, old, kept.len(), |head| write_head(head, total, count), |gap| gap.bytes(&kept));
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Splits before element `index`: keeps what stands before, returns the rest.
    pub fn split_off(&mut self, index: usize) -> Listpack {
        let mut rest = Self::new();
        let Some(pos) = self.seek(index) else { return rest };
        let moved = self.len() - index;
        let (start, end) = (pos.0 as usize, self.bytes() - 1);
        let entries = &self.as_bytes()[start..end];
        let (at, total) = (rest.bytes() - 1, rest.bytes() + entries.len());
        let count = rest.count_after(moved as isize);
        rest.0.splice(at, 0, entries.len(), |head| write_head(head, total, count), |gap| gap.bytes(entries));
        self.cut(start, end, moved);
        rest
    }

    /// Gives up ownership as a thin pointer.
    pub fn into_raw(self) -> std::ptr::NonNull<u8> {
        self.0.into_raw()
    }

    /// Takes back what [`Listpack::into_raw`] gave out.
    ///
    /// # Safety
    /// `ptr` comes from [`Listpack::into_raw`] and is used once.
    #[expect(unsafe_code, reason = "a keyspace entry stores the pointer alone")]
    pub unsafe fn from_raw(ptr: std::ptr::NonNull<u8>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Blob::from_raw(ptr) })
    }

    /// Panics unless the bytes are a well-formed listpack.
    pub fn check_invariants(&self) {
        assert!(validate(self.as_bytes(), true), "well-formed listpack: {self:?}");
    }

    /// The count field after `change` elements came or went. Once unknown it stays so.
    #[inline]
    fn count_after(&self, change: isize) -> u16 {
        let bytes = self.as_bytes();
        let stored = u16::from_le_bytes([bytes[4], bytes[5]]);
        if stored == COUNT_UNKNOWN {
            return COUNT_UNKNOWN;
        }
        let after = i64::from(stored) + change as i64;
        assert!(after >= 0, "listpack integrity: more elements leave than it counts");
        u16::try_from(after).unwrap_or(COUNT_UNKNOWN)
    }

    #[inline(always)]
    fn put(&mut self, at: usize, remove: usize, elem: Elem<'_>, change: isize) {
        let encoded = Encoded::of(elem);
        let insert = encoded.total();
        let total = self.bytes() - remove + insert;
        let count = self.count_after(change);
        self.0.splice(at, remove, insert, |head| write_head(head, total, count), |gap| encoded.write(gap));
    }

    fn put_many(&mut self, at: usize, elems: &[Elem<'_>]) {
        let insert: usize = elems.iter().map(|&elem| Encoded::of(elem).total()).sum();
        let total = self.bytes() + insert;
        let count = self.count_after(elems.len() as isize);
        self.0.splice(
            at,
            0,
            insert,
            |head| write_head(head, total, count),
            |gap| elems.iter().for_each(|&elem| Encoded::of(elem).write(gap)),
        );
    }

    fn cut(&mut self, start: usize, end: usize, elements: usize) {
        let count = self.count_after(-(elements as isize));
        let total = self.bytes() - (end - start);
        self.0.splice(start, end - start, 0, |head| write_head(head, total, count), |_| {});
    }
}

#[inline(always)]
fn write_head(head: &mut [u8], total: usize, count: u16) {
    let total = u32::try_from(total).expect("callers keep to LISTPACK_MAX_SAFETY_LIMIT");
    head[..4].copy_from_slice(&total.to_le_bytes());
    head[4..6].copy_from_slice(&count.to_le_bytes());
}

#[inline(always)]
fn find_by<'a>(bytes: &'a [u8], mut at: usize, stride: usize, matches: impl Fn(Elem<'a>) -> bool) -> Option<usize> {
    loop {
        if byte_at(bytes, at) == END {
            return None;
        }
        let (elem, len) = decode(bytes, at);
        if matches(elem) {
            return Some(at);
        }
        at += len + back_len_bytes(len);
        for _ in 1..stride {
            if byte_at(bytes, at) == END {
                return None;
            }
            at = skip(bytes, at);
        }
    }
}

/// A text below 64 bytes that is no integer has one usual spelling: its first byte, then its last, decide nearly always.
#[inline]
fn find_short(bytes: &[u8], mut at: usize, stride: usize, text: &[u8]) -> Option<usize> {
    let wanted = 0x80 | text.len() as u8;
    // Of the bytes of numbered names the last differs most often. An empty text is equal by its first byte alone.
    let last = text.last().copied().unwrap_or(wanted);
    loop {
        let first = byte_at(bytes, at);
        if first == wanted && byte_at(bytes, at + text.len()) == last && slice_at(bytes, at + 1, text.len()) == text {
            return Some(at);
        }
        // Other encodings of the same text do occur in files that others wrote.
        if first >= 0xE0 {
            if first == END {
                return None;
            }
            if matches!(decode(bytes, at).0, Elem::Str(s) if s == text) {
                return Some(at);
            }
        }
        at = skip_short(bytes, at, first);
        for _ in 1..stride {
            let first = byte_at(bytes, at);
            if first == END {
                return None;
            }
            at = skip_short(bytes, at, first);
        }
    }
}

/// As [`skip`], for the first byte just read: short strings and small integers without a look at their back length.
#[inline(always)]
fn skip_short(bytes: &[u8], at: usize, first: u8) -> usize {
    if first < 0xC0 {
        let len = if first < 0x80 { 0 } else { usize::from(first & 0x3F) };
        at + len + 2
    } else {
        skip(bytes, at)
    }
}

impl fmt::Debug for Listpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Listpack {}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Elem<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
