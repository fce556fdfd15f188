//! Bytes to argv: the decoder of requests.
//!
//! A request is a multibulk (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`) or, for people with a terminal, an inline line
//! (`GET k\r\n`). Requests arrive in pieces of any size, so the decoder keeps its place: the next piece goes on where the
//! last one stopped and a request of a million arguments costs the same in one piece or in a thousand. Arguments are
//! [`Span`]s of the caller's buffer; nothing is copied and nothing is reserved for a length that was only announced.
//!
//! The usual request lies whole in the buffer. It is then cut out in one pass with its spans written straight to the
//! caller's list; only a request that is interrupted moves its spans into the decoder. Both are the same loop.
//!
//! Redis' leniency is kept: the byte after a header's CR is not looked at, nor are the two bytes after an argument.

use std::fmt;

use crate::inline::{self, UnbalancedQuotes};
use crate::number;

/// Longest inline request, and longest `*` or `$` header, in bytes without its line end (Redis: 64 KiB).
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of one request.
pub const MULTIBULK_COUNT_MAX: i64 = i32::MAX as i64;
/// Longest argument by default, in bytes (`proto-max-bulk-len`).
pub const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Most arguments of a request while the client is not authenticated.
pub const UNAUTHENTICATED_COUNT_MAX: i64 = 10;
/// Longest argument while the client is not authenticated, in bytes.
pub const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// A piece of the caller's buffer, in bytes from its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

impl Span {
    /// The bytes that this span covers in `buf`, the buffer it was cut from.
    ///
    /// # Panics
    /// When `buf` is shorter than the buffer was.
    #[inline]
    #[must_use]
    pub fn of<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        &buf[self.start..self.start + self.len]
    }

    /// Moves the span by `by` bytes to the right, for a buffer that has so much more before it.
    #[inline]
    pub fn shift(&mut self, by: usize) {
        self.start += by;
    }

    /// Offset of the byte after the last one.
    #[inline]
    #[must_use]
    pub fn end(&self) -> usize {
        self.start + self.len
    }
}

/// What a client may send. [`Limits::default`] is Redis' default for an authenticated client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument, in bytes (`proto-max-bulk-len`; no limit for the link to a master: `i64::MAX`).
    pub bulk_len_max: i64,
    /// Most arguments of one request.
    pub multibulk_count_max: i64,
    /// Longest inline request or header line, in bytes.
    pub inline_len_max: usize,
    /// Whether the client has authenticated; if not, requests are held small.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk_len_max: BULK_BYTES_MAX,
            multibulk_count_max: MULTIBULK_COUNT_MAX,
            inline_len_max: INLINE_BYTES_MAX,
            authenticated: true,
        }
    }
}

/// What [`Decoder::decode`] found at the start of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A whole multibulk request of `consumed` bytes. Its arguments, at least one, were appended to the spans.
    Request {
        /// Length of the request in bytes.
        consumed: usize,
    },
    /// A whole inline request of `consumed` bytes with at least one word.
    Inline {
        /// Length of the request in bytes, its line end included.
        consumed: usize,
        /// The words, quotes removed.
        words: Vec<Vec<u8>>,
    },
    /// Nothing to do: a bare line end, `*0` or a negative count.
    Empty {
        /// Bytes to drop.
        consumed: usize,
    },
    /// The request goes on behind the end of the buffer. No span was appended.
    Incomplete {
        /// How many bytes the buffer has to hold before the argument that is under way is complete, counted from its
        /// first byte; 0 when unknown. A hint that the client controls: check it before reserving memory.
        want: usize,
    },
}

/// The client broke the protocol; it gets this text as an error and is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A line without end.
    TooBigInline,
    /// A `*` header without end.
    TooBigCountLine,
    /// A `$` header without end.
    TooBigLengthLine,
    /// An inline request whose quotes do not match.
    UnbalancedQuotes,
    /// The number after `*` is none, or too large.
    InvalidCount,
    /// The number after `$` is none, negative, or too large.
    InvalidLength,
    /// Too many arguments before authentication.
    UnauthenticatedCount,
    /// Too long an argument before authentication.
    UnauthenticatedLength,
    /// An argument does not begin with `$` but with this byte.
    ExpectedBulk(u8),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::TooBigInline => f.write_str("too big inline request"),
            Self::TooBigCountLine => f.write_str("too big mbulk count string"),
            Self::TooBigLengthLine => f.write_str("too big bulk count string"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::InvalidCount => f.write_str("invalid multibulk length"),
            Self::InvalidLength => f.write_str("invalid bulk length"),
            Self::UnauthenticatedCount => f.write_str("unauthenticated multibulk length"),
            Self::UnauthenticatedLength => f.write_str("unauthenticated bulk length"),
            Self::ExpectedBulk(byte) => write!(f, "expected '$', got '{}'", char::from(*byte)),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl From<UnbalancedQuotes> for ProtocolError {
    fn from(_: UnbalancedQuotes) -> Self {
        Self::UnbalancedQuotes
    }
}

/// Where the decoder stands within the request that begins at `buf[0]`. Idle, it owns no heap memory.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Arguments found so far of an interrupted request; empty while idle.
    partial: Vec<Span>,
    /// Offset of the next header; 0 exactly when the first header is not yet read.
    next: usize,
    /// Arguments still to come.
    remaining: usize,
    /// Bytes from `next` on that are known to hold no line end.
    scanned: usize,
}

/// A header line's number and the offset behind the line.
struct Header {
    number: i64,
    after: usize,
}

/// Outcome of looking for a header line.
enum Line {
    /// The fast path: number read.
    Header(Header),
    /// No line end within `buf`.
    Incomplete,
    /// Anything else; the slow path decides.
    Unusual,
}

impl Decoder {
    /// A decoder that waits for the first byte of a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no request is under way, as far as this decoder has seen.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.next == 0 && self.scanned == 0
    }

    /// Arguments of the unfinished request that are already complete.
    #[must_use]
    pub fn pending_args(&self) -> usize {
        self.partial.len()
    }

    /// Bytes of the unfinished request, from its first on, that have been understood: what lies behind them has not.
    #[must_use]
    pub fn decoded_bytes(&self) -> usize {
        self.next
    }

    /// Bytes of heap memory that the decoder holds for an unfinished request.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.partial.capacity() * size_of::<Span>()
    }

    /// Forgets the unfinished request.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Looks for one request at the start of `buf`, going on from where the last call stopped.
    ///
    /// `buf[0]` must be the first byte of the request on every call until the request is returned; the caller then
    /// drops `consumed` bytes. Offsets of spans count from `buf[0]`.
    ///
    /// # Errors
    /// [`ProtocolError`]: the stream cannot be understood any further. The decoder is reset.
    #[inline]
    pub fn decode(&mut self, buf: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Result<Decoded, ProtocolError> {
        let decoded = if self.next == 0 {
            match buf.first() {
                None => return Ok(Decoded::Incomplete { want: 0 }),
                Some(b'*') => self.begin(buf, spans, limits),
                Some(_) => self.inline(buf, limits),
            }
        } else {
            self.resume(buf, spans, limits)
        };
        if decoded.is_err() {
            self.reset();
        }
        decoded
    }

    /// A request of which nothing is known yet: arguments go straight to the caller's list.
    #[inline]
    fn begin(&mut self, buf: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Result<Decoded, ProtocolError> {
        let header = match header_fast(buf, 0) {
            Line::Header(header) => header,
            Line::Incomplete if buf.len() <= 2 => return Ok(Decoded::Incomplete { want: 0 }),
            _ => match self.header_slow(buf, 0, limits.inline_len_max) {
                Ok(Some(header)) => header.map_err(|()| ProtocolError::InvalidCount)?,
                Ok(None) => return Ok(Decoded::Incomplete { want: 0 }),
                Err(TooLong) => return Err(ProtocolError::TooBigCountLine),
            },
        };
        self.scanned = 0;
        if header.number > limits.multibulk_count_max {
            return Err(ProtocolError::InvalidCount);
        }
        if !limits.authenticated && header.number > UNAUTHENTICATED_COUNT_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        if header.number <= 0 {
            return Ok(Decoded::Empty { consumed: header.after });
        }
        self.next = header.after;
        self.remaining = usize::try_from(header.number).map_err(|_| ProtocolError::InvalidCount)?;
        let before = spans.len();
        match self.arguments(buf, spans, limits) {
            Ok(Decoded::Incomplete { want }) => {
                self.partial.extend_from_slice(&spans[before..]);
                spans.truncate(before);
                Ok(Decoded::Incomplete { want })
            }
            Err(error) => {
                spans.truncate(before);
                Err(error)
            }
            decoded => decoded,
        }
    }

    /// A request that was interrupted: arguments are collected here and handed over at the end.
    #[cold]
    #[inline(never)]
    fn resume(&mut self, buf: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Result<Decoded, ProtocolError> {
        let mut partial = std::mem::take(&mut self.partial);
        let decoded = self.arguments(buf, &mut partial, limits);
        match decoded {
            Ok(Decoded::Incomplete { .. }) => self.partial = partial,
            Ok(_) if spans.is_empty() && spans.capacity() < partial.len() => *spans = partial,
            Ok(_) => spans.extend_from_slice(&partial),
            Err(_) => {}
        }
        decoded
    }

    /// Reads arguments into `spans` from `self.next` on until the request or the buffer ends.
    #[inline]
    fn arguments(&mut self, buf: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Result<Decoded, ProtocolError> {
        let mut next = self.next;
        let mut remaining = self.remaining;
        let mut want = 0;
        while remaining > 0 {
            let header = match bulk_header_fast(buf, next) {
                Line::Header(header) => header,
                Line::Incomplete => break,
                Line::Unusual => match self.header_slow(buf, next, limits.inline_len_max) {
                    Ok(Some(header)) => match buf[next] {
                        b'$' => header.map_err(|()| ProtocolError::InvalidLength)?,
                        other => return Err(ProtocolError::ExpectedBulk(other)),
                    },
                    Ok(None) => break,
                    Err(TooLong) => return Err(ProtocolError::TooBigLengthLine),
                },
            };
            if header.number < 0 || header.number > limits.bulk_len_max {
                return Err(ProtocolError::InvalidLength);
            }
            if !limits.authenticated && header.number > UNAUTHENTICATED_BULK_BYTES_MAX {
                return Err(ProtocolError::UnauthenticatedLength);
            }
            let len = usize::try_from(header.number).map_err(|_| ProtocolError::InvalidLength)?;
            let after = len
                .checked_add(2)
                .and_then(|bytes| bytes.checked_add(header.after))
                .ok_or(ProtocolError::InvalidLength)?;
            if after > buf.len() {
                // The header is read again next time: at most a few digits.
                want = after;
                break;
            }
            spans.push(Span { start: header.after, len });
            next = after;
            remaining -= 1;
            self.scanned = 0;
        }
        if remaining == 0 {
            self.next = 0;
            self.remaining = 0;
            self.scanned = 0;
            return Ok(Decoded::Request { consumed: next });
        }
        self.next = next;
        self.remaining = remaining;
        Ok(Decoded::Incomplete { want })
    }

    /// Any header line, by Redis' rules: up to the first CR and one byte more, which is not looked at.
    /// `Some(Err(()))` when what stands there is no number.
    #[cold]
    #[inline(never)]
    fn header_slow(&mut self, buf: &[u8], at: usize, len_max: usize) -> Result<Option<Result<Header, ()>>, TooLong> {
        debug_assert!(at <= buf.len(), "the next header lies within or right behind the buffer");
        let line = &buf[at..];
        let from = self.scanned.min(line.len());
        let Some(end) = memchr::memchr(b'\r', &line[from..]).map(|found| from + found) else {
            self.scanned = line.len();
            return if line.len() > len_max { Err(TooLong) } else { Ok(None) };
        };
        // Also when the end is there: what is too long must not depend on how it arrives.
        if end > len_max {
            return Err(TooLong);
        }
        if end + 1 >= line.len() {
            self.scanned = end;
            return Ok(None);
        }
        self.scanned = 0;
        // A line that begins with CR has no number; the caller looks at its first byte first.
        let digits = line.get(1..end).unwrap_or_default();
        Ok(Some(number::parse_i64(digits).map(|number| Header { number, after: at + end + 2 }).ok_or(())))
    }

    /// A line of words.
    #[cold]
    #[inline(never)]
    fn inline(&mut self, buf: &[u8], limits: &Limits) -> Result<Decoded, ProtocolError> {
        let from = self.scanned.min(buf.len());
        let Some(end) = memchr::memchr(b'\n', &buf[from..]).map(|found| from + found) else {
            self.scanned = buf.len();
            if buf.len() > limits.inline_len_max {
                return Err(ProtocolError::TooBigInline);
            }
            return Ok(Decoded::Incomplete { want: 0 });
        };
        self.scanned = 0;
        if end > limits.inline_len_max {
            return Err(ProtocolError::TooBigInline);
        }
        let line = &buf[..end];
        let words = inline::split_words(line.strip_suffix(b"\r").unwrap_or(line))?;
        let consumed = end + 1;
        Ok(if words.is_empty() { Decoded::Empty { consumed } } else { Decoded::Inline { consumed, words } })
    }
}

/// A header line longer than the limit.
struct TooLong;

/// Most digits that the fast path reads: lengths below 10 GB, which cannot overflow.
const FAST_DIGITS_MAX: usize = 10;

#[inline(always)]
fn bulk_header_fast(buf: &[u8], at: usize) -> Line {
    match buf.get(at) {
        Some(b'$') => header_fast(buf, at),
        Some(_) => Line::Unusual,
        None => Line::Incomplete,
    }
}

/// Reads `?123\r\n` at `at`, whatever the first byte. Only plain digits: signs, leading zeros, empty lines and lines
/// that end early are left to the slow path.
#[inline(always)]
fn header_fast(buf: &[u8], at: usize) -> Line {
    let Some(line) = buf.get(at + 1..) else { return Line::Incomplete };
    // One digit, as in most requests: one bounds check for the lot.
    if let [digit @ b'0'..=b'9', b'\r', _, ..] = line {
        return Line::Header(Header { number: i64::from(digit - b'0'), after: at + 4 });
    }
    if !matches!(line.first(), Some(b'1'..=b'9')) {
        return Line::Unusual;
    }
    let mut number = 0i64;
    for (index, &byte) in line.iter().enumerate().take(FAST_DIGITS_MAX + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            // The byte after CR must be there; it is not looked at.
            if byte != b'\r' || index + 1 >= line.len() {
                return Line::Unusual;
            }
            return Line::Header(Header { number, after: at + 1 + index + 2 });
        }
        number = number * 10 + i64::from(digit);
    }
    Line::Unusual
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Decoded, ProtocolError> {
        Decoder::new().decode(bytes, &mut Vec::new(), &Limits::default())
    }

    /// The arguments of `bytes` when it arrives in pieces of `piece` bytes, with a decoder that sees each growing buffer.
    fn in_pieces(bytes: &[u8], piece: usize) -> Vec<Result<Vec<Vec<u8>>, ProtocolError>> {
        let mut decoder = Decoder::new();
        let mut requests = Vec::new();
        let (mut start, mut seen) = (0, 0);
        while seen < bytes.len() {
            seen = (seen + piece).min(bytes.len());
            loop {
                let mut spans = Vec::new();
                let buf = &bytes[start..seen];
                match decoder.decode(buf, &mut spans, &Limits::default()) {
                    Ok(Decoded::Request { consumed }) => {
                        requests.push(Ok(spans.iter().map(|span| span.of(buf).to_vec()).collect()));
                        start += consumed;
                    }
                    Ok(Decoded::Inline { consumed, words }) => {
                        requests.push(Ok(words));
                        start += consumed;
                    }
                    Ok(Decoded::Empty { consumed }) => {
                        requests.push(Ok(Vec::new()));
                        start += consumed;
                    }
                    Ok(Decoded::Incomplete { .. }) => {
                        assert!(spans.is_empty(), "an incomplete request gives no spans");
                        break;
                    }
                    Err(error) => {
                        requests.push(Err(error));
                        return requests;
                    }
                }
                assert!(decoder.is_idle(), "between requests the decoder is idle");
            }
        }
        requests
    }

    #[test]
    fn a_request_is_cut_out_of_the_buffer() {
        let buf = b"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*1\r\n";
        let mut spans = Vec::new();
        let decoded = Decoder::new().decode(buf, &mut spans, &Limits::default());
        assert_eq!(decoded, Ok(Decoded::Request { consumed: 30 }));
        let args: Vec<_> = spans.iter().map(|span| span.of(buf)).collect();
        assert_eq!(args, [&b"GET"[..], b"0123456789"]);
    }

    #[test]
    fn an_idle_decoder_is_small() {
        assert!(size_of::<Decoder>() <= 64);
        assert_eq!(Decoder::new().heap_bytes(), 0);
    }

    #[test]
    fn error_texts_are_those_of_redis() {
        let table: [(&[u8], &str); 14] = [
            (b"*3000000000\r\n", "invalid multibulk length"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*01\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
            (b"*1\r\n5\r\n", "expected '$', got '5'"),
            (b"*1\r\n\r\n", "expected '$', got '\r'"),
            (b"*1\r\n$-10\r\n", "invalid bulk length"),
            (b"*1\r\n$2000000000\r\n", "invalid bulk length"),
            (b"*1\r\n$blabla\r\n", "invalid bulk length"),
            (b"*1\r\n$18446744073709551615\r\n", "invalid bulk length"),
            (b"set \"\"\"test-key\"\"\" test-value\r\n", "unbalanced quotes in request"),
            (b"'\r\n", "unbalanced quotes in request"),
        ];
        for (bytes, text) in table {
            let error = decode(bytes).expect_err("the request is malformed");
            assert_eq!(error.to_string(), format!("Protocol error: {text}"), "{:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn lines_without_end_are_refused() {
        let long = vec![b'1'; INLINE_BYTES_MAX + 2];
        let with = |prefix: &[u8]| [prefix, &long].concat();
        assert_eq!(decode(&with(b"")), Err(ProtocolError::TooBigInline));
        assert_eq!(decode(&with(b"*")), Err(ProtocolError::TooBigCountLine));
        assert_eq!(decode(&with(b"*1\r\n$")), Err(ProtocolError::TooBigLengthLine));
        assert_eq!(decode(&long[..INLINE_BYTES_MAX]), Ok(Decoded::Incomplete { want: 0 }));
        // The end of the line makes no difference.
        assert_eq!(decode(&[&with(b""), &b"\r\n"[..]].concat()), Err(ProtocolError::TooBigInline));
        assert_eq!(decode(&[&with(b"*"), &b"\r"[..]].concat()), Err(ProtocolError::TooBigCountLine));
        assert_eq!(decode(&[&with(b"*1\r\n$"), &b"\r\n"[..]].concat()), Err(ProtocolError::TooBigLengthLine));
    }

    #[test]
    fn before_authentication_requests_are_small() {
        let limits = Limits { authenticated: false, ..Limits::default() };
        let decode = |bytes: &[u8]| Decoder::new().decode(bytes, &mut Vec::new(), &limits);
        assert_eq!(decode(b"*10\r\n"), Ok(Decoded::Incomplete { want: 0 }));
        assert_eq!(decode(b"*11\r\n"), Err(ProtocolError::UnauthenticatedCount));
        assert_eq!(decode(b"*1\r\n$16384\r\n"), Ok(Decoded::Incomplete { want: 12 + 16384 + 2 }));
        assert_eq!(decode(b"*1\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedLength));
    }

    #[test]
    fn nothing_is_an_empty_request() {
        assert_eq!(decode(b"\r\n"), Ok(Decoded::Empty { consumed: 2 }));
        assert_eq!(decode(b"\n*"), Ok(Decoded::Empty { consumed: 1 }));
        assert_eq!(decode(b"*0\r\n"), Ok(Decoded::Empty { consumed: 4 }));
        assert_eq!(decode(b"*-10\r\n"), Ok(Decoded::Empty { consumed: 6 }));
    }

    #[test]
    fn every_piece_size_gives_the_same_requests() {
        let streams: [&[u8]; 5] = [
            b"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*0\r\nping \"a b\"\r\n*1\r\n$0\r\n\r\n\r\nGET x\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n",
            b"*-1\r\n*12\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\n",
            b"*1\r\n$x\r\n",
            b"*1\rx$1\rxaxx*1\r\n$1\r\nb\r\n",
        ];
        for stream in streams {
            let whole = in_pieces(stream, stream.len());
            assert!(!whole.is_empty());
            for piece in 1..stream.len() {
                assert_eq!(
                    in_pieces(stream, piece),
                    whole,
                    "pieces of {piece} of {:?}",
                    stream.escape_ascii().to_string()
                );
            }
        }
    }
}
