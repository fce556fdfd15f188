//! Elements of a listpack, by themselves and as bytes.

use super::HEAD;
use crate::ds::blob::Gap;
use crate::ds::int;

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
pub(super) fn corrupt() -> ! {
    panic!("listpack integrity: an entry lies outside of its block")
}

#[inline(always)]
pub(super) fn byte_at(bytes: &[u8], at: usize) -> u8 {
    match bytes.get(at) {
        Some(&byte) => byte,
        None => corrupt(),
    }
}

#[inline(always)]
pub(super) fn slice_at(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    match bytes.get(at..).and_then(|rest| rest.get(..len)) {
        Some(slice) => slice,
        None => corrupt(),
    }
}

#[inline(always)]
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    slice_at(bytes, at, N).try_into().expect("a slice of N bytes")
}

/// Bytes that the back length of an entry of `len` bytes takes.
///
/// Each step is one short of what seven bits could hold, save the first: so Redis writes it, and so it is read.
#[inline(always)]
pub(super) const fn back_len_bytes(len: usize) -> usize {
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
pub(super) fn try_decode(bytes: &[u8], at: usize) -> Option<(Elem<'_>, usize)> {
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
pub(super) fn decode_long(rest: &[u8], first: u8) -> Option<(Elem<'_>, usize)> {
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
pub(super) fn decode(bytes: &[u8], at: usize) -> (Elem<'_>, usize) {
    match try_decode(bytes, at) {
        Some(found) => found,
        None => corrupt(),
    }
}

/// Length of the encoding at `at` without its back length; reads only what tells it.
#[inline(always)]
pub(super) fn encoded_len(bytes: &[u8], at: usize) -> usize {
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
pub(super) fn skip(bytes: &[u8], at: usize) -> usize {
    let len = encoded_len(bytes, at);
    at + len + back_len_bytes(len)
}

/// Reads the back length that ends just before `at`: the length it tells and the bytes it takes itself.
#[inline]
pub(super) fn try_back_len(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
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
pub(super) fn step_back(bytes: &[u8], at: usize) -> Option<usize> {
    if at <= HEAD {
        return None;
    }
    let start = try_back_len(bytes, at).and_then(|(len, taken)| at.checked_sub(len + taken));
    match start {
        Some(start) if start >= HEAD => Some(start),
        _ => corrupt(),
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

/// An element ready to be written: encoding bytes, then `data`, then the back length.
pub(super) struct Encoded<'a> {
    pub(super) head: [u8; 9],
    pub(super) head_len: u8,
    pub(super) data: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(super) fn of(elem: Elem<'a>) -> Self {
        match elem.packed() {
            Elem::Int(value) => Self::int(value),
            Elem::Str(data) => Self::text(data),
        }
    }

    #[inline]
    pub(super) fn text(data: &'a [u8]) -> Self {
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
    pub(super) fn int(value: i64) -> Self {
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
    pub(super) fn len(&self) -> usize {
        usize::from(self.head_len) + self.data.len()
    }

    #[inline]
    pub(super) fn total(&self) -> usize {
        self.len() + back_len_bytes(self.len())
    }

    #[inline(always)]
    pub(super) fn write(&self, gap: &mut Gap<'_>) {
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
