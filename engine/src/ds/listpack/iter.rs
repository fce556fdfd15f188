//! Walks through a listpack, in both directions.

use super::elem::{Elem, back_len_bytes, byte_at, corrupt, decode_long, skip, step_back, try_decode};
use super::{END, HEAD, Pos, decode, seek_in, validate};

/// Forward walk over the elements; see [`Listpack::iter`](super::Listpack::iter).
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
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

/// Backward walk over the elements; see [`Listpack::iter_back`](super::Listpack::iter_back).
#[derive(Debug, Clone)]
pub struct IterBack<'a> {
    pub(super) bytes: &'a [u8],
    /// End of the next entry to yield.
    pub(super) at: usize,
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
