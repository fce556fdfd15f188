//! Bytes → lengths, strings, numbers. Memory is taken only for bytes that have arrived.

use std::io::Read;

use engine::ds::listpack::Elem;
use engine::ds::lzf;

use super::error::RdbError;
use super::format::{length, string};
use crate::crc64::Crc64;

/// Bytes read from a stream at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes by which a large string grows while it arrives.
const LARGE_STEP: usize = 4 << 20;

/// Where the bytes come from.
pub trait Source {
    /// The next `len` bytes, valid until the next call.
    ///
    /// # Errors
    /// [`RdbError::Truncated`] when there are fewer, [`RdbError::Io`], [`RdbError::OutOfMemory`].
    fn bytes(&mut self, len: usize) -> Result<&[u8], RdbError>;

    /// Bytes that can still follow, when that is known.
    fn left(&self) -> Option<u64>;
}

impl Source for &[u8] {
    #[inline]
    fn bytes(&mut self, len: usize) -> Result<&[u8], RdbError> {
        let (taken, rest) = self.split_at_checked(len).ok_or(RdbError::Truncated)?;
        *self = rest;
        Ok(taken)
    }

    fn left(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

/// A stream that is read in blocks, with the checksum of what was taken from it.
#[derive(Debug)]
pub struct Buffered<R> {
    inner: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were taken.
    at: usize,
    /// Bytes of the buffer that were summed up; never more than were taken.
    summed: usize,
    /// Bytes of the stream before the buffer.
    before: u64,
    /// Length of the whole stream, when known.
    total: Option<u64>,
    /// Holds what is larger than the buffer.
    large: Vec<u8>,
    crc: Crc64,
}

impl<R: Read> Buffered<R> {
    pub(crate) fn new(inner: R, total: Option<u64>) -> Self {
        Buffered {
            inner,
            buffer: Vec::new(),
            at: 0,
            summed: 0,
            before: 0,
            total,
            large: Vec::new(),
            crc: Crc64::default(),
        }
    }

    /// Bytes taken so far.
    pub fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The stream, and what was read from it but not taken.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buffer.drain(..self.at);
        (self.inner, self.buffer)
    }

    /// Checksum of all bytes taken.
    pub fn checksum(&mut self) -> u64 {
        self.crc.update(&self.buffer[self.summed..self.at]);
        self.summed = self.at;
        self.crc.value()
    }

    /// Moves what is left to the front and reads until `len` bytes are there.
    #[cold]
    fn fill(&mut self, len: usize) -> Result<(), RdbError> {
        self.checksum();
        self.buffer.drain(..self.at);
        self.before += self.at as u64;
        (self.at, self.summed) = (0, 0);
        let mut have = self.buffer.len();
        self.buffer.resize(BUFFER_BYTES, 0);
        let result = loop {
            if have >= len {
                break Ok(());
            }
            match self.inner.read(&mut self.buffer[have..]) {
                Ok(0) => break Err(RdbError::Truncated),
                Ok(read) => have += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error.into()),
            }
        };
        self.buffer.truncate(have);
        result
    }

    /// A string that is larger than the buffer, read in steps: what is announced need not be true.
    #[cold]
    fn read_large(&mut self, len: usize) -> Result<(), RdbError> {
        if self.left().is_some_and(|left| len as u64 > left) {
            return Err(RdbError::Truncated);
        }
        self.checksum();
        self.large.clear();
        self.large.extend_from_slice(&self.buffer[self.at..]);
        self.before += self.buffer.len() as u64;
        self.buffer.clear();
        (self.at, self.summed) = (0, 0);
        while self.large.len() < len {
            let start = self.large.len();
            let more = (len - start).min(LARGE_STEP.max(start));
            self.large.try_reserve_exact(more).map_err(|_| RdbError::OutOfMemory)?;
            self.large.resize(start + more, 0);
            self.inner.read_exact(&mut self.large[start..])?;
            self.before += more as u64;
        }
        self.crc.update(&self.large);
        Ok(())
    }
}

impl<R: Read> Source for Buffered<R> {
    #[inline]
    fn bytes(&mut self, len: usize) -> Result<&[u8], RdbError> {
        if self.buffer.len() - self.at < len {
            if len > BUFFER_BYTES {
                self.read_large(len)?;
                return Ok(&self.large);
            }
            self.fill(len)?;
        }
        let taken = &self.buffer[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn left(&self) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(self.offset()))
    }
}

/// A source with the format's primitives.
#[derive(Debug)]
pub(crate) struct Input<S> {
    pub(crate) source: S,
    /// Holds what was decompressed last.
    scratch: Vec<u8>,
}

/// What can stand where a string begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<S: Source> Input<S> {
    pub(crate) fn new(source: S) -> Self {
        Input { source, scratch: Vec::new() }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, RdbError> {
        Ok(self.source.bytes(1)?[0])
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut array = [0; N];
        array.copy_from_slice(self.source.bytes(N)?);
        Ok(array)
    }

    #[inline]
    pub(crate) fn length_or_encoding(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(Length::Plain(match first >> 6 {
            length::BITS_6 => u64::from(low),
            length::BITS_14 => u64::from(low) << 8 | u64::from(self.byte()?),
            length::ENCODED => return Ok(Length::Encoded(low)),
            _ if first == length::BITS_32 => u64::from(u32::from_be_bytes(self.array()?)),
            _ if first == length::BITS_64 => u64::from_be_bytes(self.array()?),
            _ => return Err(RdbError::Corrupt("Unknown length encoding")),
        }))
    }

    #[inline]
    pub(crate) fn length(&mut self) -> Result<u64, RdbError> {
        match self.length_or_encoding()? {
            Length::Plain(n) => Ok(n),
            Length::Encoded(_) => Err(RdbError::Corrupt("An encoded string where a length is expected")),
        }
    }

    /// A length that must fit into memory.
    #[inline]
    pub(crate) fn size(&mut self) -> Result<usize, RdbError> {
        usize::try_from(self.length()?).map_err(|_| RdbError::OutOfMemory)
    }

    /// A string, a number staying one.
    #[inline]
    pub(crate) fn element(&mut self) -> Result<Elem<'_>, RdbError> {
        match self.length_or_encoding()? {
            Length::Plain(len) => {
                let len = usize::try_from(len).map_err(|_| RdbError::OutOfMemory)?;
                Ok(Elem::Str(self.source.bytes(len)?))
            }
            Length::Encoded(string::INT8) => Ok(Elem::Int(i64::from(i8::from_le_bytes(self.array()?)))),
            Length::Encoded(string::INT16) => Ok(Elem::Int(i64::from(i16::from_le_bytes(self.array()?)))),
            Length::Encoded(string::INT32) => Ok(Elem::Int(i64::from(i32::from_le_bytes(self.array()?)))),
            Length::Encoded(string::LZF) => {
                let (packed_len, raw_len) = (self.size()?, self.size()?);
                lzf::decompress_into(self.source.bytes(packed_len)?, raw_len, &mut self.scratch)?;
                Ok(Elem::Str(&self.scratch))
            }
            Length::Encoded(_) => Err(RdbError::Corrupt("Unknown RDB string encoding type")),
        }
    }
}
