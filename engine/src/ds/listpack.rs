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

use super::blob::{Blob, Format, Gap};
use super::int;

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

/// One element as stored.
#[derive(Debug, Clone, Copy)]
pub enum Elem<'a> {
    /// An integer; stands for its decimal text.
    Int(i64),
    /// Bytes.
    Str(&'a [u8]),
}

/// Room for the text of an integer element, on the stack.
#[derive(Debug, Clone, Copy, Default)]
pub struct ElemBuf([u8; int::I64_TEXT_MAX]);

impl ElemBuf {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self([0; int::I64_TEXT_MAX])
    }
}

impl<'a> Elem<'a> {
    /// The element as text; an integer is written into `buf`.
    #[inline]
    pub fn text<'b>(self, buf: &'b mut ElemBuf) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Str(bytes) => bytes,
            Self::Int(value) => {
                let mut digits = itoa::Buffer::new();
                let text = digits.format(value).as_bytes();
                let room = &mut buf.0[..text.len()];
                room.copy_from_slice(text);
                room
            }
        }
    }

    /// The element's text as an owned vector.
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut ElemBuf::new()).to_vec()
    }

    /// True when the element's text is `text`.
    #[inline]
    pub fn is_text(self, text: &[u8]) -> bool {
        match self {
            Self::Str(bytes) => bytes == text,
            Self::Int(value) => int::parse_i64(text) == Some(value),
        }
    }

    /// Length of the text in bytes.
    #[inline]
    pub fn text_len(self) -> usize {
        match self {
            Self::Str(bytes) => bytes.len(),
            Self::Int(value) => int::text_len(value),
        }
    }

    /// True for an element of no bytes.
    #[inline]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Str([]))
    }

    /// The integer that the element is or spells.
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Str(bytes) => int::parse_i64(bytes),
        }
    }

    /// As stored: a canonical number becomes [`Elem::Int`].
    #[inline]
    pub fn packed(self) -> Self {
        match self {
            Self::Str(bytes) => int::parse_i64(bytes).map_or(self, Self::Int),
            Self::Int(_) => self,
        }
    }
}

/// Same text, whichever form.
impl PartialEq for Elem<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Int(n), Self::Str(text)) | (Self::Str(text), Self::Int(n)) => int::parse_i64(text) == Some(n),
        }
    }
}

impl Eq for Elem<'_> {}

impl<'a> From<&'a [u8]> for Elem<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self::Str(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Elem<'a> {
    #[inline]
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Str(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Elem<'a> {
    #[inline]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Str(bytes)
    }
}

impl From<i64> for Elem<'_> {
    #[inline]
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

#[cold]
#[inline(never)]
fn corrupt() -> ! {
    panic!("listpack integrity: an entry lies outside of its block")
}

#[inline(always)]
fn byte_at(bytes: &[u8], at: usize) -> u8 {
    match bytes.get(at) {
        Some(&byte) => byte,
        None => corrupt(),
    }
}

#[inline(always)]
fn slice_at(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    match bytes.get(at..).and_then(|rest| rest.get(..len)) {
        Some(slice) => slice,
        None => corrupt(),
    }
}

#[inline(always)]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    slice_at(bytes, at, N).try_into().expect("a slice of N bytes")
}

/// Bytes that the back length of an entry of `len` bytes takes.
///
/// Each step is one short of what seven bits could hold, save the first: so Redis writes it, and so it is read.
#[inline(always)]
const fn back_len_bytes(len: usize) -> usize {
    if len <= 127 {
        1
    } else if len < 16_383 {
        2
    } else if len < 2_097_151 {
        3
    } else if len < 268_435_455 {
        4
    } else {
        5
    }
}

/// The element at `at` and the length of its encoding without the back length; `None` when it is no known encoding
/// or does not fit.
#[inline(always)]
fn try_decode(bytes: &[u8], at: usize) -> Option<(Elem<'_>, usize)> {
    let rest = bytes.get(at..)?;
    let &first = rest.first()?;
    if first < 0x80 {
        return Some((Elem::Int(i64::from(first)), 1));
    }
    if first < 0xC0 {
        let len = usize::from(first & 0x3F);
        return Some((Elem::Str(rest.get(1..1 + len)?), 1 + len));
    }
    decode_long(rest, first)
}

#[inline]
fn decode_long(rest: &[u8], first: u8) -> Option<(Elem<'_>, usize)> {
    Some(match first {
        0xC0..=0xDF => {
            let raw = (u16::from(first & 0x1F) << 8) | u16::from(*rest.get(1)?);
            // Sign bit of thirteen.
            (Elem::Int(i64::from((raw << 3) as i16 >> 3)), 2)
        }
        0xE0..=0xEF => {
            let len = (usize::from(first & 0x0F) << 8) | usize::from(*rest.get(1)?);
            (Elem::Str(rest.get(2..2 + len)?), 2 + len)
        }
        0xF0 => {
            let len = u32::from_le_bytes(*rest.get(1..)?.first_chunk()?) as usize;
            (Elem::Str(rest.get(5..)?.get(..len)?), 5 + len)
        }
        0xF1 => (Elem::Int(i64::from(i16::from_le_bytes(*rest.get(1..)?.first_chunk()?))), 3),
        0xF2 => {
            let raw: &[u8; 3] = rest.get(1..)?.first_chunk()?;
            (Elem::Int(i64::from(i32::from_le_bytes([0, raw[0], raw[1], raw[2]]) >> 8)), 4)
        }
        0xF3 => (Elem::Int(i64::from(i32::from_le_bytes(*rest.get(1..)?.first_chunk()?))), 5),
        0xF4 => (Elem::Int(i64::from_le_bytes(*rest.get(1..)?.first_chunk()?)), 9),
        _ => return None,
    })
}

#[inline(always)]
fn decode(bytes: &[u8], at: usize) -> (Elem<'_>, usize) {
    match try_decode(bytes, at) {
        Some(found) => found,
        None => corrupt(),
    }
}

/// Length of the encoding at `at` without its back length; reads only what tells it.
#[inline(always)]
fn encoded_len(bytes: &[u8], at: usize) -> usize {
    let first = byte_at(bytes, at);
    if first < 0x80 {
        1
    } else if first < 0xC0 {
        1 + usize::from(first & 0x3F)
    } else {
        match first {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 2 + ((usize::from(first & 0x0F) << 8) | usize::from(byte_at(bytes, at + 1))),
            0xF0 => 5 + u32::from_le_bytes(array_at(bytes, at + 1)) as usize,
            0xF1 => 3,
            0xF2 => 4,
            0xF3 => 5,
            0xF4 => 9,
            _ => corrupt(),
        }
    }
}

#[inline(always)]
fn skip(bytes: &[u8], at: usize) -> usize {
    let len = encoded_len(bytes, at);
    at + len + back_len_bytes(len)
}

/// Reads the back length that ends just before `at`: the length it tells and the bytes it takes itself.
#[inline]
fn try_back_len(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut len = 0usize;
    for taken in 1..=5 {
        let byte = *bytes.get(at.checked_sub(taken)?)?;
        len |= usize::from(byte & 0x7F) << (7 * (taken - 1));
        if byte & 0x80 == 0 {
            return Some((len, taken));
        }
    }
    None
}

/// Start of the entry that ends just before `at`; `None` at the first.
#[inline]
fn step_back(bytes: &[u8], at: usize) -> Option<usize> {
    if at <= HEAD {
        return None;
    }
    let start = try_back_len(bytes, at).and_then(|(len, taken)| at.checked_sub(len + taken));
    match start {
        Some(start) if start >= HEAD => Some(start),
        _ => corrupt(),
    }
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

/// Forward walk over the elements; see [`Listpack::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iter<'a> {
    /// Walks `bytes` that passed [`validate`] without owning them.
    pub fn over(bytes: &'a [u8]) -> Self {
        assert!(validate(bytes, false), "a listpack's header and end");
        Self { bytes, at: HEAD }
    }

    /// As [`Iter::over`], from element `index` on.
    pub fn over_from(bytes: &'a [u8], index: usize) -> Self {
        assert!(validate(bytes, false), "a listpack's header and end");
        Self { bytes, at: seek_in(bytes, index).unwrap_or(bytes.len() - 1) }
    }

    /// Offset of the next element within the bytes; [`Iter::at_offset`] goes on from there.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Goes on at `offset`, which [`Iter::offset`] told for the same bytes.
    #[inline]
    pub fn at_offset(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, at: offset }
    }

    /// Where the next element stands; `None` at the end.
    #[inline]
    pub fn pos(&self) -> Option<Pos> {
        (byte_at(self.bytes, self.at) != END).then_some(Pos(self.at as u32))
    }

    /// The next element; `None` at the end and where the bytes are no element: for bytes that nobody has checked.
    pub fn try_next(&mut self) -> Option<Elem<'a>> {
        let (elem, len) = try_decode(self.bytes, self.at)?;
        self.at += len + back_len_bytes(len);
        Some(elem)
    }

    /// Passes one element without decoding it; false at the end.
    #[inline]
    pub fn skip_one(&mut self) -> bool {
        if byte_at(self.bytes, self.at) == END {
            return false;
        }
        self.at = skip(self.bytes, self.at);
        true
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Elem<'a>> {
        let Some(rest) = self.bytes.get(self.at..) else { corrupt() };
        let Some(&first) = rest.first() else { corrupt() };
        // Short strings first: nearly every element of nearly every list.
        if first & 0xC0 == 0x80 {
            let len = usize::from(first & 0x3F);
            let Some(text) = rest.get(1..1 + len) else { corrupt() };
            self.at += len + 2;
            return Some(Elem::Str(text));
        }
        if first < 0x80 {
            self.at += 2;
            return Some(Elem::Int(i64::from(first)));
        }
        if first == END {
            return None;
        }
        let Some((elem, len)) = decode_long(rest, first) else { corrupt() };
        self.at += len + back_len_bytes(len);
        Some(elem)
    }
}

/// Backward walk over the elements; see [`Listpack::iter_back`].
#[derive(Debug, Clone)]
pub struct IterBack<'a> {
    bytes: &'a [u8],
    /// End of the next entry to yield.
    at: usize,
}

impl<'a> IterBack<'a> {
    /// Walks `bytes` that passed [`validate`] backwards from element `index`, which must exist.
    pub fn over_from(bytes: &'a [u8], index: usize) -> Self {
        assert!(validate(bytes, false), "a listpack's header and end");
        Self { bytes, at: seek_in(bytes, index).map_or(HEAD, |at| skip(bytes, at)) }
    }

    /// Offset behind the next element within the bytes; [`IterBack::at_offset`] goes on from there.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Goes on at `offset`, which [`IterBack::offset`] told for the same bytes.
    #[inline]
    pub fn at_offset(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, at: offset }
    }
}

impl<'a> Iterator for IterBack<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        self.at = step_back(self.bytes, self.at)?;
        Some(decode(self.bytes, self.at).0)
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

/// An element ready to be written: encoding bytes, then `data`, then the back length.
struct Encoded<'a> {
    head: [u8; 9],
    head_len: u8,
    data: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    fn of(elem: Elem<'a>) -> Self {
        match elem.packed() {
            Elem::Int(value) => Self::int(value),
            Elem::Str(data) => Self::text(data),
        }
    }

    #[inline]
    fn text(data: &'a [u8]) -> Self {
        let mut head = [0; 9];
        let len = data.len();
        let head_len = if len < 64 {
            head[0] = 0x80 | len as u8;
            1
        } else if len < 4096 {
            head[0] = 0xE0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else {
            head[0] = 0xF0;
            head[1..5].copy_from_slice(&u32::try_from(len).expect("below 4 GiB").to_le_bytes());
            5
        };
        Self { head, head_len, data }
    }

    #[inline]
    fn int(value: i64) -> Self {
        let mut head = [0; 9];
        let head_len = if (0..128).contains(&value) {
            head[0] = value as u8;
            1
        } else if (-4096..4096).contains(&value) {
            head[0] = 0xC0 | ((value >> 8) as u8 & 0x1F);
            head[1] = value as u8;
            2
        } else {
            let (tag, len) = if i16::try_from(value).is_ok() {
                (0xF1, 2)
            } else if (-(1 << 23)..1 << 23).contains(&value) {
                (0xF2, 3)
            } else if i32::try_from(value).is_ok() {
                (0xF3, 4)
            } else {
                (0xF4, 8)
            };
            head[0] = tag;
            head[1..=len].copy_from_slice(&value.to_le_bytes()[..len]);
            1 + len as u8
        };
        Self { head, head_len, data: &[] }
    }

    /// Without the back length.
    #[inline]
    fn len(&self) -> usize {
        usize::from(self.head_len) + self.data.len()
    }

    #[inline]
    fn total(&self) -> usize {
        self.len() + back_len_bytes(self.len())
    }

    #[inline(always)]
    fn write(&self, gap: &mut Gap<'_>) {
        if self.head_len == 1 {
            gap.byte(self.head[0]);
        } else {
            gap.bytes(&self.head[..usize::from(self.head_len)]);
        }
        if !self.data.is_empty() {
            gap.bytes(self.data);
        }
        let len = self.len();
        if len <= 127 {
            gap.byte(len as u8);
        } else {
            // Most significant seven bits first, without the mark that more stand before them.
            let count = back_len_bytes(len);
            for left in (0..count).rev() {
                let mark = if left + 1 == count { 0 } else { 0x80 };
                gap.byte((len >> (7 * left)) as u8 & 0x7F | mark);
            }
        }
    }
}

/// Bytes that `elem` would take in a listpack.
pub fn entry_bytes<'a>(elem: impl Into<Elem<'a>>) -> usize {
    Encoded::of(elem.into()).total()
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(pack: &Listpack) -> Vec<Vec<u8>> {
        pack.iter().map(Elem::to_vec).collect()
    }

    #[test]
    fn bytes_are_redis() {
        // DUMP of `HSET h f 12345 g -1 name "ada"` by Redis, its listpack.
        let mut pack = Listpack::new();
        for value in ["f", "12345", "g", "-1", "name", "ada"] {
            pack.push_back(value.as_bytes());
        }
        let expected: &[u8] = &[
            31, 0, 0, 0, 6, 0, 0x81, b'f', 2, 0xF1, 0x39, 0x30, 3, 0x81, b'g', 2, 0xDF, 0xFF, 2, 0x84, b'n', b'a',
            b'm', b'e', 5, 0x83, b'a', b'd', b'a', 4, 0xFF,
        ];
        assert_eq!(pack.as_bytes(), expected);
        assert_eq!(pack.bytes(), expected.len());
        pack.check_invariants();
    }

    #[test]
    fn every_integer_width() {
        let mut pack = Listpack::new();
        let edges = [0, 7, 12, 15, 23, 31, 63].map(|bits| 1i64.checked_shl(bits).unwrap_or(0));
        let values: Vec<i64> = edges
            .iter()
            .flat_map(|&e| [e.wrapping_sub(1), e, e.wrapping_neg(), e.wrapping_neg().wrapping_sub(1)])
            .collect();
        for &value in &values {
            pack.push_back(value);
            assert_eq!(entry_bytes(value), entry_bytes(value.to_string().as_bytes()));
        }
        pack.check_invariants();
        assert!(pack.iter().eq(values.iter().map(|&value| Elem::Int(value))));
        assert!(pack.iter_back().eq(values.iter().rev().map(|&value| Elem::Int(value))));
        for (index, &value) in values.iter().enumerate() {
            let pos = pack.find_first(value.to_string().as_bytes(), 1).expect("stored");
            assert_eq!(pack.get(pos), Elem::Int(value));
            assert!(pos <= pack.seek(index).expect("stored"));
        }
    }

    #[test]
    fn back_lengths_as_redis_writes_them() {
        // Lengths seen in dumps of Redis 8.0: 16378 and 2097146 take one byte more than seven bits a byte need.
        for (len, tail) in [
            (125, &b"\x7F"[..]),
            (126, b"\x01\x80"),
            (16_377, b"\x7F\xFE"),
            (16_378, b"\x00\xFF\xFF"),
            (16_379, b"\x01\x80\x80"),
            (2_097_145, b"\x7F\xFF\xFE"),
            (2_097_146, b"\x00\xFF\xFF\xFF"),
        ] {
            let mut pack = Listpack::new();
            pack.push_back(&vec![b'x'; len]);
            let bytes = pack.as_bytes();
            assert_eq!(&bytes[bytes.len() - 1 - tail.len()..bytes.len() - 1], tail, "{len}");
            assert_eq!(bytes[bytes.len() - 2 - tail.len()], b'x');
            pack.push_back(b"end");
            pack.check_invariants();
            assert_eq!(pack.iter_back().map(Elem::text_len).collect::<Vec<_>>(), [3, len]);
        }
    }

    #[test]
    fn counts_beyond_the_field() {
        let mut pack = Listpack::new();
        let values: Vec<Elem<'_>> = (0..70_000).map(Elem::Int).collect();
        pack.extend_back(&values);
        assert_eq!(pack.len(), 70_000);
        assert_eq!(pack.seek(69_999), pack.last());
        assert_eq!(pack.seek(70_000), None);
        assert_eq!(pack.delete_range(10, 69_000), 69_000);
        assert_eq!(pack.len(), 1000);
        assert_eq!(pack.get(pack.seek(10).expect("there")), Elem::Int(69_010));
        pack.check_invariants();
    }

    #[test]
    fn unusual_spellings_are_read() {
        // 5 as a 64-bit integer, "a" with a 12-bit and a 32-bit length: valid, though Redis would not write them.
        let bytes = b"\x1E\0\0\0\x03\0\xF4\x05\0\0\0\0\0\0\0\x09\xE0\x01a\x03\xF0\x01\0\0\0b\x06\xFF";
        let mut bytes = bytes.to_vec();
        bytes[0] = bytes.len() as u8;
        assert!(validate(&bytes, true));
        let pack = Listpack::from_bytes(&bytes).expect("valid");
        assert_eq!(text(&pack), [b"5", b"a", b"b"]);
        for needle in [b"5", b"a", b"b"] {
            assert!(pack.find_first(needle, 1).is_some());
        }
    }

    #[test]
    fn bad_bytes_are_refused() {
        let mut good = Listpack::new();
        good.push_back(b"abc");
        good.push_back(&[b'x'; 200]);
        let good = good.as_bytes().to_vec();
        assert!(validate(&good, true));
        for (at, value, shallow) in
            [(0, 0, false), (4, 3, true), (6, 0xBF, true), (6, 0xF5, true), (10, 5, true), (11, 0xFF, true)]
        {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!((validate(&bad, false), validate(&bad, true)), (shallow, false), "byte {at}");
        }
        assert!(!validate(&good[..good.len() - 1], false));
        assert!(!validate(b"\x06\0\0\0\0\0", false));
        assert!(validate(Listpack::new().as_bytes(), true));
    }

    #[derive(Debug, Clone)]
    enum Op {
        PushBack(Vec<u8>),
        PushFront(Vec<u8>),
        Insert(prop::sample::Index, bool, Vec<u8>),
        Replace(prop::sample::Index, Vec<u8>),
        Delete(prop::sample::Index),
        DeleteRange(prop::sample::Index, usize),
        DeleteBatch(Vec<bool>),
        Extend(Vec<Vec<u8>>, bool),
        Split(prop::sample::Index),
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => "[a-c]{0,3}".prop_map(String::into_bytes),
            4 => (any::<i64>(), 0..63u32).prop_map(|(v, shift)| (v >> shift).to_string().into_bytes()),
            1 => (0..300usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
            1 => (4000..17_000usize).prop_map(|len| vec![b'z'; len]),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            value().prop_map(Op::PushBack),
            value().prop_map(Op::PushFront),
            (index(), any::<bool>(), value()).prop_map(|(at, after, v)| Op::Insert(at, after, v)),
            (index(), value()).prop_map(|(at, v)| Op::Replace(at, v)),
            index().prop_map(Op::Delete),
            (index(), 0..5usize).prop_map(|(at, count)| Op::DeleteRange(at, count)),
            prop::collection::vec(any::<bool>(), 0..20).prop_map(Op::DeleteBatch),
            (prop::collection::vec(value(), 0..5), any::<bool>()).prop_map(|(v, front)| Op::Extend(v, front)),
            index().prop_map(Op::Split),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_vector(ops in prop::collection::vec(op(), 0..60), needle in value()) {
            let (mut pack, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
            for op in ops {
                match op {
                    Op::PushBack(v) => { pack.push_back(&v); model.push(v); }
                    Op::PushFront(v) => { pack.push_front(&v); model.insert(0, v); }
                    Op::Insert(at, after, v) if !model.is_empty() => {
                        let at = at.index(model.len());
                        let pos = pack.seek(at).expect("in range");
                        let pos = pack.insert(pos, if after { Side::After } else { Side::Before }, &v);
                        prop_assert!(pack.get(pos).is_text(&v));
                        model.insert(at + usize::from(after), v);
                    }
                    Op::Replace(at, v) if !model.is_empty() => {
                        let at = at.index(model.len());
                        pack.replace(pack.seek(at).expect("in range"), &v);
                        model[at] = v;
                    }
                    Op::Delete(at) if !model.is_empty() => {
                        let at = at.index(model.len());
                        let next = pack.delete(pack.seek(at).expect("in range"));
                        model.remove(at);
                        prop_assert_eq!(next.map(|pos| pack.get(pos).to_vec()), model.get(at).cloned());
                    }
                    Op::DeleteRange(at, count) => {
                        let at = at.index(model.len() + 1);
                        let count_there = count.min(model.len() - at);
                        prop_assert_eq!(pack.delete_range(at, count), count_there);
                        model.drain(at..at + count_there);
                    }
                    Op::DeleteBatch(marks) => {
                        let gone: Vec<usize> = marks.iter().enumerate().filter(|&(i, &m)| m && i < model.len()).map(|(i, _)| i).collect();
                        let positions: Vec<Pos> = gone.iter().map(|&i| pack.seek(i).expect("in range")).collect();
                        pack.delete_batch(&positions);
                        gone.iter().rev().for_each(|&i| { model.remove(i); });
                    }
                    Op::Extend(values, front) => {
                        let elems: Vec<Elem<'_>> = values.iter().map(Elem::from).collect();
                        if front {
                            pack.extend_front(&elems);
                            model.splice(0..0, values);
                        } else {
                            pack.extend_back(&elems);
                            model.extend(values);
                        }
                    }
                    Op::Split(at) => {
                        let at = at.index(model.len() + 1);
                        let rest = pack.split_off(at);
                        rest.check_invariants();
                        prop_assert_eq!(text(&rest), &model[at..]);
                        pack.check_invariants();
                        pack.append_all(&rest);
                    }
                    _ => {}
                }
                pack.check_invariants();
                prop_assert_eq!(pack.len(), model.len());
                prop_assert_eq!(text(&pack), &model[..]);
                let mut back: Vec<_> = pack.iter_back().map(Elem::to_vec).collect();
                back.reverse();
                prop_assert_eq!(&back, &model);
                for stride in 1..3 {
                    let found = pack.find_first(&needle, stride).map(|pos| pack.iter().count() - pack.iter_from(pos).count());
                    let expected = model.iter().step_by(stride).position(|v| *v == needle).map(|i| i * stride);
                    prop_assert_eq!(found, expected);
                }
            }
            let copy = Listpack::from_bytes(pack.as_bytes()).expect("own bytes are valid");
            prop_assert_eq!(text(&copy), model);
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_walked(body in prop::collection::vec(any::<u8>(), 0..80), count: u16) {
            let mut bytes = ((body.len() + 7) as u32).to_le_bytes().to_vec();
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&body);
            bytes.push(END);
            if validate(&bytes, true) {
                let pack = Listpack::from_bytes(&bytes).expect("deep implies shallow");
                prop_assert_eq!(pack.iter().count(), pack.iter_back().count());
                let found = pack.iter().all(|elem| pack.find_first(&elem.to_vec(), 1).is_some());
                prop_assert!(found);
            }
        }
    }
}
