//! Bytes to [`Value`]: the decoder of replies, for clients, replicas and tests.
//!
//! Header lines are read by a small nom grammar; what is open around them (arrays within maps within arrays) is kept on a
//! stack of our own. So a reply that arrives in pieces is never read twice, and depth is a number that is checked, not
//! the thread's stack. A declared length reserves nothing: memory grows with what has arrived.
//!
//! Understood are RESP2, RESP3, and RESP3's streamed strings (`$?`) and aggregates (`*?` … `.`).

use std::fmt;

use bytes::Bytes;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{all_consuming, map, map_opt, rest, value};
use nom::{IResult, Parser};

use crate::number;
use crate::value::Value;

/// How large a reply may be. [`ReplyLimits::default`] suits a client that trusts its server not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Most aggregates within each other; attributes count as one.
    pub depth_max: usize,
    /// Longest string or line, in bytes.
    pub bytes_max: usize,
    /// Most elements of one aggregate; a map counts keys and values.
    pub elements_max: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self { depth_max: 128, bytes_max: 512 * 1024 * 1024, elements_max: u32::MAX as usize }
    }
}

/// The bytes are not a reply. The stream cannot be understood any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No reply begins with this byte.
    UnknownType(u8),
    /// What follows the type byte is not what the type has.
    Malformed,
    /// A string is not followed by CR LF.
    MissingLineEnd,
    /// Aggregates within each other beyond [`ReplyLimits::depth_max`].
    TooDeep,
    /// A string or line beyond [`ReplyLimits::bytes_max`], or an aggregate beyond [`ReplyLimits::elements_max`].
    TooLong,
    /// The end of a streamed aggregate where none is open, or a map with a key and no value.
    UnexpectedEnd,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "unknown reply type '{}'", byte.escape_ascii()),
            Self::Malformed => f.write_str("malformed reply"),
            Self::MissingLineEnd => f.write_str("no line end after a string"),
            Self::TooDeep => f.write_str("reply nested too deep"),
            Self::TooLong => f.write_str("reply too long"),
            Self::UnexpectedEnd => f.write_str("unexpected end of a streamed reply"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes one reply at the start of `buf`, and its length in bytes. `None` when the reply goes on behind the end.
///
/// This begins anew on every call; for replies that arrive in pieces there is [`ReplyDecoder`].
///
/// # Errors
/// [`DecodeError`] when the bytes are not a reply or exceed `limits`.
pub fn decode_reply(buf: &[u8], limits: &ReplyLimits) -> Result<Option<(Value, usize)>, DecodeError> {
    let mut progress = Progress::default();
    Ok(progress.advance(buf, limits)?.map(|value| (value, progress.at)))
}

/// Collects pieces of a stream and gives out the replies in it.
///
/// ```
/// use resp::{ReplyDecoder, Value};
///
/// let mut decoder = ReplyDecoder::default();
/// decoder.push(b"*2\r\n:1\r\n$5\r\nhel");
/// assert_eq!(decoder.next(), Ok(None));
/// decoder.push(b"lo\r\n");
/// assert_eq!(decoder.next(), Ok(Some(Value::Array(vec![Value::Integer(1), Value::bulk("hello")]))));
/// ```
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    buf: Vec<u8>,
    progress: Progress,
    limits: ReplyLimits,
    /// The first error; nothing after it can be trusted.
    failed: Option<DecodeError>,
}

impl ReplyDecoder {
    /// A decoder with limits of its own.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // Drop what was read once it is the larger part: each byte moves at most once for each that was dropped.
        if self.progress.at * 2 >= self.buf.len() {
            self.buf.drain(..self.progress.at);
            self.progress.at = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next reply, or `None` when more of the stream is needed.
    ///
    /// # Errors
    /// [`DecodeError`] when the stream is malformed. It stays so: every further call gives the same error.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends would be taken for the end of the stream")]
    pub fn next(&mut self) -> Result<Option<Value>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.progress.advance(&self.buf, &self.limits);
        self.failed = next.as_ref().err().copied();
        if self.progress.at == self.buf.len() {
            self.buf.clear();
            self.progress.at = 0;
        }
        next
    }

    /// The bytes behind the last reply. `None` while a reply is under way.
    ///
    /// For streams that change their language, such as a replication link when the snapshot begins.
    #[must_use]
    pub fn remainder(&self) -> Option<&[u8]> {
        self.progress.is_between_replies().then(|| &self.buf[self.progress.at..])
    }

    /// Takes the bytes that are not decoded yet, and forgets the reply under way.
    #[must_use]
    pub fn take_buffer(&mut self) -> Vec<u8> {
        let mut buf = std::mem::take(&mut self.buf);
        buf.drain(..self.progress.at);
        self.progress = Progress::default();
        self.failed = None;
        buf
    }
}

/// Which aggregate is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Map,
    Set,
    Push,
    /// The pairs before a reply.
    Attributes,
}

/// Which string is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Bulk,
    Error,
    Verbatim,
    /// A part of a streamed string.
    Chunk,
}

/// A header line.
#[derive(Clone, Debug)]
enum Line {
    Whole(Value),
    Text(Text, usize),
    /// Number of elements, not of pairs; `None` when streamed.
    Open(Kind, Option<usize>),
    OpenStreamedText,
    Close,
}

/// Something that has begun and not ended.
#[derive(Debug)]
enum Open {
    Aggregate {
        kind: Kind,
        remaining: Option<usize>,
        elements: Vec<Value>,
    },
    /// Attributes whose reply comes next.
    Attributed(Vec<(Value, Value)>),
    StreamedText(Vec<u8>),
}

/// How far one reply has been read.
#[derive(Debug, Default)]
struct Progress {
    /// Offset of the first byte that is not read yet.
    at: usize,
    /// Bytes from `at` on that are known to hold no LF.
    scanned: usize,
    /// The string whose header was read last and whose bytes come next.
    text: Option<(Text, usize)>,
    open: Vec<Open>,
}

impl Progress {
    fn is_between_replies(&self) -> bool {
        self.text.is_none() && self.open.is_empty()
    }

    /// Reads on until a reply is complete or `buf` ends.
    fn advance(&mut self, buf: &[u8], limits: &ReplyLimits) -> Result<Option<Value>, DecodeError> {
        loop {
            let value = if let Some((kind, len)) = self.text {
                let rest = &buf[self.at..];
                // One byte too few is enough to know that the line end is wrong, but not worth telling early.
                if rest.len() < len + 2 {
                    return Ok(None);
                }
                if &rest[len..len + 2] != b"\r\n" {
                    return Err(DecodeError::MissingLineEnd);
                }
                let value = self.text_value(kind, &rest[..len], limits)?;
                self.text = None;
                self.at += len + 2;
                value
            } else {
                let Some(line) = self.line(buf, limits)? else { return Ok(None) };
                let length = line.len() + 2;
                let value = self.begin(header(line)?, limits)?;
                self.at += length;
                value
            };
            if let Some(value) = value
                && let Some(reply) = self.complete(value, limits)?
            {
                return Ok(Some(reply));
            }
        }
    }

    /// The next line without its end.
    fn line<'b>(&mut self, buf: &'b [u8], limits: &ReplyLimits) -> Result<Option<&'b [u8]>, DecodeError> {
        let rest = &buf[self.at..];
        let mut from = self.scanned;
        while let Some(found) = memchr::memchr(b'\n', &rest[from..]) {
            let end = from + found;
            if end > 0 && rest[end - 1] == b'\r' {
                self.scanned = 0;
                return if end - 1 > limits.bytes_max { Err(DecodeError::TooLong) } else { Ok(Some(&rest[..end - 1])) };
            }
            from = end + 1;
        }
        self.scanned = rest.len();
        if rest.len() > limits.bytes_max.saturating_add(2) {
            return Err(DecodeError::TooLong);
        }
        Ok(None)
    }

    /// Acts on a header; a value when the header is all there is.
    fn begin(&mut self, line: Line, limits: &ReplyLimits) -> Result<Option<Value>, DecodeError> {
        match line {
            Line::Whole(value) => Ok(Some(value)),
            Line::Text(kind, len) => {
                if len > limits.bytes_max {
                    return Err(DecodeError::TooLong);
                }
                let streamed = matches!(self.open.last(), Some(Open::StreamedText(_)));
                if streamed != (kind == Text::Chunk) {
                    return Err(DecodeError::Malformed);
                }
                if kind == Text::Chunk && len == 0 {
                    // The empty part, which has no line of its own, ends the string.
                    let Some(Open::StreamedText(text)) = self.open.pop() else {
                        return Err(DecodeError::Malformed);
                    };
                    return Ok(Some(Value::Bulk(text.into())));
                }
                self.text = Some((kind, len));
                Ok(None)
            }
            Line::Open(kind, remaining) => {
                self.not_within_text()?;
                if remaining.is_some_and(|count| count > limits.elements_max) {
                    return Err(DecodeError::TooLong);
                }
                self.open(Open::Aggregate { kind, remaining, elements: Vec::new() }, limits)?;
                // Empty ones end where they begin.
                if remaining == Some(0) { self.close() } else { Ok(None) }
            }
            Line::OpenStreamedText => {
                self.not_within_text()?;
                self.open(Open::StreamedText(Vec::new()), limits)?;
                Ok(None)
            }
            Line::Close => match self.open.last() {
                Some(Open::Aggregate { remaining: None, .. }) => self.close(),
                _ => Err(DecodeError::UnexpectedEnd),
            },
        }
    }

    fn not_within_text(&self) -> Result<(), DecodeError> {
        match self.open.last() {
            Some(Open::StreamedText(_)) => Err(DecodeError::Malformed),
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, limits: &ReplyLimits) -> Result<(), DecodeError> {
        if self.open.len() >= limits.depth_max {
            return Err(DecodeError::TooDeep);
        }
        self.open.push(open);
        Ok(())
    }

    fn text_value(&mut self, kind: Text, bytes: &[u8], limits: &ReplyLimits) -> Result<Option<Value>, DecodeError> {
        Ok(Some(match kind {
            Text::Bulk => Value::Bulk(Bytes::copy_from_slice(bytes)),
            Text::Error => Value::Error(Bytes::copy_from_slice(bytes)),
            Text::Verbatim => match bytes {
                [a, b, c, b':', text @ ..] => {
                    Value::Verbatim { format: [*a, *b, *c], text: Bytes::copy_from_slice(text) }
                }
                _ => return Err(DecodeError::Malformed),
            },
            Text::Chunk => {
                if let Some(Open::StreamedText(text)) = self.open.last_mut() {
                    if text.len() + bytes.len() > limits.bytes_max {
                        return Err(DecodeError::TooLong);
                    }
                    text.extend_from_slice(bytes);
                }
                return Ok(None);
            }
        }))
    }

    /// Puts a value into the aggregate around it, and that one into its own if it is thereby complete.
    fn complete(&mut self, mut value: Value, limits: &ReplyLimits) -> Result<Option<Value>, DecodeError> {
        loop {
            let closed = match self.open.last_mut() {
                None => return Ok(Some(value)),
                Some(Open::StreamedText(_)) => return Err(DecodeError::Malformed),
                Some(Open::Attributed(_)) => {
                    let Some(Open::Attributed(attributes)) = self.open.pop() else {
                        unreachable!("the last one was just seen to be that");
                    };
                    value = Value::Attributed { attributes, value: Box::new(value) };
                    continue;
                }
                Some(Open::Aggregate { remaining, elements, .. }) => {
                    elements.push(value);
                    match remaining {
                        Some(count) => {
                            *count -= 1;
                            *count == 0
                        }
                        None if elements.len() > limits.elements_max => return Err(DecodeError::TooLong),
                        None => false,
                    }
                }
            };
            if !closed {
                return Ok(None);
            }
            match self.close()? {
                Some(outer) => value = outer,
                None => return Ok(None),
            }
        }
    }

    /// Makes a value of the aggregate that was opened last. Attributes are none: they wait for their reply.
    fn close(&mut self) -> Result<Option<Value>, DecodeError> {
        let Some(Open::Aggregate { kind, elements, .. }) = self.open.pop() else {
            return Err(DecodeError::UnexpectedEnd);
        };
        Ok(Some(match kind {
            Kind::Array => Value::Array(elements),
            Kind::Set => Value::Set(elements),
            Kind::Push => Value::Push(elements),
            Kind::Map => Value::Map(pairs(elements)?),
            Kind::Attributes => {
                self.open.push(Open::Attributed(pairs(elements)?));
                return Ok(None);
            }
        }))
    }
}

fn pairs(elements: Vec<Value>) -> Result<Vec<(Value, Value)>, DecodeError> {
    if !elements.len().is_multiple_of(2) {
        return Err(DecodeError::UnexpectedEnd);
    }
    let mut pairs = Vec::with_capacity(elements.len() / 2);
    let mut elements = elements.into_iter();
    while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// Reads a header line: the type byte chooses the grammar of what follows.
fn header(line: &[u8]) -> Result<Line, DecodeError> {
    let Some((kind, payload)) = line.split_first() else { return Err(DecodeError::Malformed) };
    let parsed = match kind {
        // Nearly every line of a long stream of replies begins with one of these two: what follows is not put to every alternative.
        b'$' if payload.first().is_some_and(u8::is_ascii_digit) => {
            length(payload).map(|(rest, len)| (rest, Line::Text(Text::Bulk, len)))
        }
        b'+' => return Ok(Line::Whole(Value::Simple(Bytes::copy_from_slice(payload)))),
        b'$' => all_consuming(alt((
            map(length, |len| Line::Text(Text::Bulk, len)),
            value(Line::Whole(Value::Null), tag(&b"-1"[..])),
            value(Line::OpenStreamedText, tag(&b"?"[..])),
        )))
        .parse(payload),
        b'*' => {
            let null = value(Line::Whole(Value::NullArray), tag(&b"-1"[..]));
            all_consuming(alt((aggregate(Kind::Array, 1), null))).parse(payload)
        }
        b'%' => all_consuming(aggregate(Kind::Map, 2)).parse(payload),
        b'~' => all_consuming(aggregate(Kind::Set, 1)).parse(payload),
        b'>' => all_consuming(aggregate(Kind::Push, 1)).parse(payload),
        b'|' => all_consuming(aggregate(Kind::Attributes, 2)).parse(payload),
        b'.' => all_consuming(value(Line::Close, tag(&b""[..]))).parse(payload),
        b'=' => all_consuming(map(length, |len| Line::Text(Text::Verbatim, len))).parse(payload),
        b'!' => all_consuming(map(length, |len| Line::Text(Text::Error, len))).parse(payload),
        b';' => all_consuming(map(length, |len| Line::Text(Text::Chunk, len))).parse(payload),
        b'-' => whole(map(rest, |text| Value::Error(Bytes::copy_from_slice(text)))).parse(payload),
        b':' => whole(map(map_opt(rest, integer), Value::Integer)).parse(payload),
        b'_' => whole(value(Value::Null, tag(&b""[..]))).parse(payload),
        b'#' => whole(alt((value(Value::Boolean(true), tag(&b"t"[..])), value(Value::Boolean(false), tag(&b"f"[..])))))
            .parse(payload),
        b',' => whole(map(map_opt(rest, double), Value::Double)).parse(payload),
        b'(' => whole(map(map_opt(rest, big_number), Value::BigNumber)).parse(payload),
        other => return Err(DecodeError::UnknownType(*other)),
    };
    parsed.map(|(_, line)| line).map_err(|_| DecodeError::Malformed)
}

type Fail<'l> = nom::error::Error<&'l [u8]>;

/// A value that ends with its line.
fn whole<'l>(
    value: impl Parser<&'l [u8], Output = Value, Error = Fail<'l>>,
) -> impl Parser<&'l [u8], Output = Line, Error = Fail<'l>> {
    map(all_consuming(value), Line::Whole)
}

/// The number of elements, `per_count` for each that is counted, or a question mark.
fn aggregate<'l>(kind: Kind, per_count: usize) -> impl Parser<&'l [u8], Output = Line, Error = Fail<'l>> {
    let counted = map_opt(length, move |count| count.checked_mul(per_count).map(Some));
    let streamed = value(None, tag(&b"?"[..]));
    map(alt((counted, streamed)), move |count| Line::Open(kind, count))
}

/// A length: digits only, and small enough that adding a line end cannot overflow.
fn length(line: &[u8]) -> IResult<&[u8], usize> {
    map_opt(rest, |digits| {
        number::parse_u64(digits).and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= isize::MAX as usize)
    })
    .parse(line)
}

/// RESP3 allows a plus sign.
fn integer(text: &[u8]) -> Option<i64> {
    number::parse_i64(text.strip_prefix(b"+").filter(|rest| rest.first() != Some(&b'-')).unwrap_or(text))
}

fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"nan" | b"-nan" => Some(f64::NAN),
        _ => number::parse_f64(text),
    }
}

fn big_number(text: &[u8]) -> Option<Bytes> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| Bytes::copy_from_slice(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Value>, DecodeError> {
        let decoded = decode_reply(bytes, &ReplyLimits::default())?;
        Ok(decoded.map(|(value, consumed)| {
            assert_eq!(consumed, bytes.len(), "the whole input is one reply");
            value
        }))
    }

    #[test]
    fn every_type_is_understood() {
        let bulk = |text: &'static str| Value::bulk(text);
        let table: Vec<(&str, Value)> = vec![
            ("+OK\r\n", Value::simple("OK")),
            ("+a\nb\r\n", Value::simple("a\nb")),
            ("-ERR x\r\n", Value::error("ERR x")),
            ("!5\r\nERR x\r\n", Value::error("ERR x")),
            (":-7\r\n", Value::Integer(-7)),
            (":+7\r\n", Value::Integer(7)),
            ("$0\r\n\r\n", bulk("")),
            ("$2\r\n\r\n\r\n", bulk("\r\n")),
            ("$-1\r\n", Value::Null),
            ("*-1\r\n", Value::NullArray),
            ("_\r\n", Value::Null),
            ("*0\r\n", Value::Array(vec![])),
            ("*2\r\n*0\r\n:1\r\n", Value::Array(vec![Value::Array(vec![]), Value::Integer(1)])),
            (
                "%1\r\n+k\r\n~1\r\n#t\r\n",
                Value::Map(vec![(Value::simple("k"), Value::Set(vec![Value::Boolean(true)]))]),
            ),
            (">1\r\n#f\r\n", Value::Push(vec![Value::Boolean(false)])),
            (",1.5\r\n", Value::Double(1.5)),
            (",-inf\r\n", Value::Double(f64::NEG_INFINITY)),
            ("(-123456789012345678901234567890\r\n", Value::BigNumber("-123456789012345678901234567890".into())),
            ("=6\r\ntxt:hi\r\n", Value::Verbatim { format: *b"txt", text: "hi".into() }),
            (
                "*1\r\n|1\r\n+a\r\n:1\r\n|0\r\n:2\r\n",
                Value::Array(vec![Value::Attributed {
                    attributes: vec![(Value::simple("a"), Value::Integer(1))],
                    value: Box::new(Value::Attributed { attributes: vec![], value: Box::new(Value::Integer(2)) }),
                }]),
            ),
            ("$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", bulk("abc")),
            ("*?\r\n:1\r\n*?\r\n.\r\n.\r\n", Value::Array(vec![Value::Integer(1), Value::Array(vec![])])),
            ("%?\r\n:1\r\n:2\r\n.\r\n", Value::Map(vec![(Value::Integer(1), Value::Integer(2))])),
        ];
        for (bytes, value) in table {
            assert_eq!(decode(bytes.as_bytes()), Ok(Some(value)), "{bytes:?}");
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes.as_bytes()[..end]), Ok(None), "{end} bytes of {bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        use DecodeError::{Malformed, MissingLineEnd, UnexpectedEnd, UnknownType};
        let table = [
            ("PING\r\n", UnknownType(b'P')),
            ("\r\n", Malformed),
            (":x\r\n", Malformed),
            (":\r\n", Malformed),
            (":+-1\r\n", Malformed),
            ("$-2\r\n", Malformed),
            ("*-2\r\n", Malformed),
            ("$1x\r\n", Malformed),
            ("_x\r\n", Malformed),
            ("#x\r\n", Malformed),
            (",\r\n", Malformed),
            ("(\r\n", Malformed),
            ("=2\r\nab\r\n", Malformed),
            ("%99999999999999999999\r\n", Malformed),
            ("$1\r\nabc", MissingLineEnd),
            (".\r\n", UnexpectedEnd),
            ("*1\r\n.\r\n", UnexpectedEnd),
            ("%?\r\n:1\r\n.\r\n", UnexpectedEnd),
            ("*?\r\n|0\r\n.\r\n", UnexpectedEnd),
            (";1\r\na\r\n", Malformed),
            ("$?\r\n:1\r\n", Malformed),
            ("$?\r\n$1\r\na\r\n", Malformed),
            ("$?\r\n*0\r\n", Malformed),
        ];
        for (bytes, error) in table {
            assert_eq!(decode(bytes.as_bytes()), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let limits = ReplyLimits { depth_max: 3, bytes_max: 4, elements_max: 2 };
        let decode = |bytes: &str| decode_reply(bytes.as_bytes(), &limits).map(|reply| reply.is_some());
        assert_eq!(decode("*1\r\n*1\r\n*1\r\n:1\r\n"), Ok(true));
        assert_eq!(decode("*1\r\n*1\r\n*1\r\n*1\r\n"), Err(DecodeError::TooDeep));
        assert_eq!(decode("|0\r\n|0\r\n|0\r\n|0\r\n"), Err(DecodeError::TooDeep));
        assert_eq!(decode("$4\r\nabcd\r\n"), Ok(true));
        assert_eq!(decode("$5\r\n"), Err(DecodeError::TooLong));
        assert_eq!(decode("+abcdef"), Err(DecodeError::TooLong));
        assert_eq!(decode("$?\r\n;4\r\nabcd\r\n;1\r\ne\r\n"), Err(DecodeError::TooLong));
        assert_eq!(decode("*3\r\n"), Err(DecodeError::TooLong));
        assert_eq!(decode("%2\r\n"), Err(DecodeError::TooLong));
        assert_eq!(decode("*?\r\n:1\r\n:2\r\n:3\r\n"), Err(DecodeError::TooLong));
    }

    #[test]
    fn a_stream_may_change_its_language() {
        let mut decoder = ReplyDecoder::default();
        decoder.push(b"+FULLRESYNC\r\n$EOF:abc\r\n");
        assert_eq!(decoder.next(), Ok(Some(Value::simple("FULLRESYNC"))));
        assert_eq!(decoder.remainder(), Some(&b"$EOF:abc\r\n"[..]));
        assert_eq!(decoder.take_buffer(), b"$EOF:abc\r\n");
        decoder.push(b"*1\r\n");
        assert_eq!(decoder.next(), Ok(None));
        assert_eq!(decoder.remainder(), None);
    }
}
