//! Lengths, strings, numbers → bytes, in large blocks with one checksum a block.

use std::io::{self, Write};

use engine::ds::listpack::Elem;
use engine::ds::lzf;

use super::format::{length, string};
use crate::crc64::Crc64;

/// Bytes that are gathered before they are written.
const BLOCK_BYTES: usize = 256 * 1024;

/// Strings up to this length are not worth compressing, in bytes.
const COMPRESS_LEN_MIN: usize = 20;

/// A compressed string must be smaller by this, in bytes.
const COMPRESS_SAVING_MIN: usize = 4;

/// Longest text of a number that is stored as one: that of the least 32-bit one, in bytes.
const INT_TEXT_MAX: usize = 11;

/// A buffered stream with the format's primitives. Those that return nothing only fill the buffer; call
/// [`Output::drain_if_full`] between elements.
#[derive(Debug)]
pub(crate) struct Output<W> {
    inner: W,
    block: Vec<u8>,
    crc: Option<Crc64>,
    compress: bool,
    /// Bytes handed to the stream.
    written: u64,
    compressor: lzf::Compressor,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(inner: W, compress: bool, checksum: bool) -> Self {
        Output {
            inner,
            block: Vec::new(),
            crc: checksum.then(Crc64::default),
            compress,
            written: 0,
            compressor: lzf::Compressor::default(),
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.block.len() as u64
    }

    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Checksum of all bytes so far; `None` when none is taken. The buffer is empty afterwards.
    pub(crate) fn checksum(&mut self) -> io::Result<Option<u64>> {
        self.drain()?;
        Ok(self.crc.as_ref().map(Crc64::value))
    }

    /// Writes out what was gathered.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.block);
        }
        self.inner.write_all(&self.block)?;
        self.written += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    #[inline]
    pub(crate) fn drain_if_full(&mut self) -> io::Result<()> {
        if self.block.len() < BLOCK_BYTES { Ok(()) } else { self.drain() }
    }

    pub(crate) fn into_inner(mut self) -> io::Result<W> {
        self.drain()?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.block.push(byte);
    }

    /// Few bytes as they are.
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn length(&mut self, n: u64) {
        if n < 1 << 6 {
            self.block.push(length::BITS_6 << 6 | n as u8);
        } else if n < 1 << 14 {
            self.raw(&[length::BITS_14 << 6 | (n >> 8) as u8, n as u8]);
        } else if let Ok(n) = u32::try_from(n) {
            let [a, b, c, d] = n.to_be_bytes();
            self.raw(&[length::BITS_32, a, b, c, d]);
        } else {
            self.byte(length::BITS_64);
            self.raw(&n.to_be_bytes());
        }
    }

    /// Bytes of any number, past the buffer when they are many.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() < BLOCK_BYTES {
            self.raw(bytes);
            return Ok(());
        }
        self.drain()?;
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        self.inner.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// A string: as a number when it is the text of a small one, compressed when that saves something.
    #[inline]
    pub(crate) fn string(&mut self, text: &[u8]) -> io::Result<()> {
        if text.len() <= INT_TEXT_MAX {
            if let Some(n) = engine::ds::int::parse_i64(text).and_then(|n| i32::try_from(n).ok()) {
                self.number(n);
                return Ok(());
            }
        } else if self.compress && text.len() > COMPRESS_LEN_MIN && self.compressed(text)? {
            return Ok(());
        }
        self.plain(text)
    }

    /// A string that is neither a number nor to be compressed.
    pub(crate) fn plain(&mut self, text: &[u8]) -> io::Result<()> {
        self.length(text.len() as u64);
        self.bytes(text)
    }

    /// An element; numbers as such if they are small, as text otherwise.
    #[inline]
    pub(crate) fn element(&mut self, elem: Elem<'_>) -> io::Result<()> {
        match elem {
            Elem::Str(text) => self.string(text),
            Elem::Int(n) => {
                match i32::try_from(n) {
                    Ok(n) => self.number(n),
                    Err(_) => {
                        let mut digits = engine::ds::listpack::ElemBuf::new();
                        self.plain(elem.text(&mut digits))?;
                    }
                }
                Ok(())
            }
        }
    }

    fn number(&mut self, n: i32) {
        let kind = |encoding: u8| length::ENCODED << 6 | encoding;
        if let Ok(n) = i8::try_from(n) {
            self.raw(&[kind(string::INT8), n as u8]);
        } else if let Ok(n) = i16::try_from(n) {
            let [a, b] = n.to_le_bytes();
            self.raw(&[kind(string::INT16), a, b]);
        } else {
            let [a, b, c, d] = n.to_le_bytes();
            self.raw(&[kind(string::INT32), a, b, c, d]);
        }
    }

    /// Bytes that are compressed already.
    pub(crate) fn lzf(&mut self, packed: &[u8], raw_len: usize) -> io::Result<()> {
        self.byte(length::ENCODED << 6 | string::LZF);
        self.length(packed.len() as u64);
        self.length(raw_len as u64);
        self.bytes(packed)
    }

    /// Tries to store `text` compressed; false when that would save nothing.
    fn compressed(&mut self, text: &[u8]) -> io::Result<bool> {
        // The head, whose size depends on the result, is written before what it announces: compress behind room for
        // the largest, then close the gap.
        const HEAD_MAX: usize = 1 + 9 + 9;
        let start = self.block.len();
        self.block.resize(start + HEAD_MAX, 0);
        let room = text.len() - COMPRESS_SAVING_MIN;
        let Some(len) = self.compressor.compress(text, room, &mut self.block) else {
            self.block.truncate(start);
            return Ok(false);
        };
        let body = start + HEAD_MAX;
        let mut head = [0; HEAD_MAX];
        let mut head_len = 1;
        head[0] = length::ENCODED << 6 | string::LZF;
        for n in [len as u64, text.len() as u64] {
            head_len += write_length(&mut head[head_len..], n);
        }
        self.block[start..start + head_len].copy_from_slice(&head[..head_len]);
        self.block.copy_within(body..body + len, start + head_len);
        self.block.truncate(start + head_len + len);
        self.drain_if_full()?;
        Ok(true)
    }
}

/// Writes a length to the beginning of `at`; returns how many bytes it took.
fn write_length(at: &mut [u8], n: u64) -> usize {
    if n < 1 << 6 {
        at[0] = n as u8;
        1
    } else if n < 1 << 14 {
        at[..2].copy_from_slice(&[length::BITS_14 << 6 | (n >> 8) as u8, n as u8]);
        2
    } else if let Ok(n) = u32::try_from(n) {
        at[0] = length::BITS_32;
        at[1..5].copy_from_slice(&n.to_be_bytes());
        5
    } else {
        at[0] = length::BITS_64;
        at[1..9].copy_from_slice(&n.to_be_bytes());
        9
    }
}
