//! Replies to bytes. Nothing but [`Writer`] knows that a null is `$-1` in RESP2 and `_` in RESP3, or that a RESP2 map is
//! an array of twice the length.

use std::fmt::{self, Display, Write as _};

use crate::number;

/// The protocol that a client speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// Five types, since Redis 1.2.
    #[default]
    Resp2,
    /// Maps, sets, doubles, booleans, pushes, attributes; since Redis 6.
    Resp3,
}

/// Appends replies to a client's output buffer.
///
/// Aggregates write their header only: after `array(2)` the caller writes two replies.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

/// A place in the output where a header is to be written once the number of elements is known.
/// Ends with one of [`Writer::finish_array`], [`Writer::finish_map`], [`Writer::finish_set`] or [`Writer::cancel`].
#[must_use = "an unfinished aggregate leaves a hole in the reply"]
#[derive(Debug)]
pub struct Deferred {
    at: usize,
}

/// Room left for a deferred header: `*9\r\n`. The body is moved only if the header comes out longer.
const DEFERRED_BYTES: usize = 4;

/// Longest header: a type byte, 20 characters of a number, CR LF.
const HEADER_BYTES_MAX: usize = 23;

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self { out, protocol }
    }

    /// The protocol that replies are written in.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Goes on in another protocol: what `HELLO` does before its own reply.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes in the output buffer, earlier replies included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether the output buffer is empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The output buffer.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// A status, `+text`. CR and LF in the text become blanks.
    pub fn simple(&mut self, text: &str) {
        self.simple_bytes(text.as_bytes());
    }

    /// The same for text that need not be UTF-8.
    pub fn simple_bytes(&mut self, text: &[u8]) {
        self.text_line(b'+', text);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// An error. `text` begins with its code (`ERR no such key`); the `-` is added here. Line ends at the end of the text
    /// are dropped, CR and LF within it become blanks.
    pub fn error(&mut self, text: impl Display) {
        self.out.push(b'-');
        let from = self.out.len();
        self.display(text);
        while self.out.len() > from && matches!(self.out.last(), Some(b'\r' | b'\n')) {
            self.out.pop();
        }
        self.end_line(from);
    }

    /// The same for text that need not be UTF-8.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        self.text_line(b'-', &text[..end]);
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        match number {
            0 => self.out.extend_from_slice(b":0\r\n"),
            1 => self.out.extend_from_slice(b":1\r\n"),
            _ => self.header(b':', number),
        }
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + HEADER_BYTES_MAX + 2);
        self.length(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// What `text` displays as, as a string of bytes.
    pub fn bulk_display(&mut self, text: impl Display) {
        // Most texts are short: room for a length of two digits, more is made when needed.
        let at = self.out.len();
        self.out.extend_from_slice(b"$00\r\n");
        let from = self.out.len();
        self.display(text);
        let len = self.out.len() - from;
        let mut header = [0; HEADER_BYTES_MAX];
        let header = header_text(&mut header, b'$', len as i64);
        self.replace_header(at, from - at, header);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A number as a string of bytes.
    pub fn bulk_integer(&mut self, number: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(number).as_bytes());
    }

    /// No value: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// No value where RESP2 has an array: `*-1` or `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The header of an array of `len` elements.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.length(b'*', len);
    }

    /// The header of a map; RESP2 knows an array of keys and values in turn.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', pairs * 2),
            Protocol::Resp3 => self.length(b'%', pairs),
        }
    }

    /// The header of a set; RESP2 knows an array.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.length(if self.protocol == Protocol::Resp3 { b'~' } else { b'*' }, len);
    }

    /// The header of a message that answers no request; RESP2 knows an array.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.length(if self.protocol == Protocol::Resp3 { b'>' } else { b'*' }, len);
    }

    /// The header of attributes of the reply that follows them.
    ///
    /// # Panics
    /// In RESP2, which has no attributes: the caller asks [`Writer::protocol`] first.
    pub fn attribute(&mut self, pairs: usize) {
        assert!(self.protocol == Protocol::Resp3, "attributes exist in RESP3 only");
        self.length(b'|', pairs);
    }

    /// A double; RESP2 knows the same text as a string.
    pub fn double(&mut self, number: f64) {
        let text = number::format_f64(number);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A boolean; RESP2 knows 1 and 0.
    pub fn boolean(&mut self, yes: bool) {
        self.out.extend_from_slice(match (self.protocol, yes) {
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
        });
    }

    /// An integer of any size, given as its digits; RESP2 knows a string.
    pub fn big_number(&mut self, digits: &str) {
        self.big_number_bytes(digits.as_bytes());
    }

    pub(crate) fn big_number_bytes(&mut self, digits: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits),
            Protocol::Resp3 => self.text_line(b'(', digits),
        }
    }

    /// Text for people, with its format (`txt`, `mkd`); RESP2 knows a string.
    ///
    /// # Panics
    /// When `format` has not three bytes.
    pub fn verbatim(&mut self, format: &str, bytes: &[u8]) {
        let format = format.as_bytes().try_into().expect("a verbatim format has three bytes");
        self.verbatim_bytes(format, bytes);
    }

    pub(crate) fn verbatim_bytes(&mut self, format: [u8; 3], bytes: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(bytes),
            Protocol::Resp3 => {
                self.out.reserve(bytes.len() + HEADER_BYTES_MAX + 6);
                self.length(b'=', bytes.len() + 4);
                self.out.extend_from_slice(&format);
                self.out.push(b':');
                self.out.extend_from_slice(bytes);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Bytes that are already encoded.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Begins an aggregate whose length is not yet known.
    pub fn deferred(&mut self) -> Deferred {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; DEFERRED_BYTES]);
        Deferred { at }
    }

    /// Ends a deferred aggregate as an array of `len` elements.
    pub fn finish_array(&mut self, deferred: Deferred, len: usize) {
        self.finish(deferred, b'*', len);
    }

    /// Ends a deferred aggregate as a map of `pairs` pairs.
    pub fn finish_map(&mut self, deferred: Deferred, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.finish(deferred, b'*', pairs * 2),
            Protocol::Resp3 => self.finish(deferred, b'%', pairs),
        }
    }

    /// Ends a deferred aggregate as a set of `len` elements.
    pub fn finish_set(&mut self, deferred: Deferred, len: usize) {
        self.finish(deferred, if self.protocol == Protocol::Resp3 { b'~' } else { b'*' }, len);
    }

    /// Takes back a deferred aggregate and all that was written after it began: for a mistake found on the way.
    pub fn cancel(&mut self, deferred: Deferred) {
        self.out.truncate(deferred.at);
    }

    fn finish(&mut self, deferred: Deferred, kind: u8, len: usize) {
        let mut header = [0; HEADER_BYTES_MAX];
        let header = header_text(&mut header, kind, len as i64);
        self.replace_header(deferred.at, DEFERRED_BYTES, header);
    }

    /// Puts `header` in place of the `room` bytes at `at`.
    fn replace_header(&mut self, at: usize, room: usize, header: &[u8]) {
        debug_assert!(at + room <= self.out.len(), "the place of the header is still part of the output");
        if header.len() == room {
            self.out[at..at + room].copy_from_slice(header);
        } else {
            self.out.splice(at..at + room, header.iter().copied());
        }
    }

    #[inline]
    fn length(&mut self, kind: u8, len: usize) {
        match len {
            0..=9 => self.out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']),
            10..=99 => {
                self.out.extend_from_slice(&[kind, b'0' + (len / 10) as u8, b'0' + (len % 10) as u8, b'\r', b'\n']);
            }
            _ => self.header(kind, len as i64),
        }
    }

    fn header(&mut self, kind: u8, number: i64) {
        let mut header = [0; HEADER_BYTES_MAX];
        let header = header_text(&mut header, kind, number);
        self.out.extend_from_slice(header);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    fn display(&mut self, text: impl Display) {
        struct Bytes<'b>(&'b mut Vec<u8>);
        impl fmt::Write for Bytes<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Only a broken `Display` fails; what it wrote stands.
        let _ = write!(Bytes(self.out), "{text}");
    }

    fn text_line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        let from = self.out.len();
        self.out.extend_from_slice(text);
        self.end_line(from);
    }

    /// Makes one line of what was written since `from`, and ends it.
    fn end_line(&mut self, from: usize) {
        let mut at = from;
        while let Some(found) = memchr::memchr2(b'\r', b'\n', &self.out[at..]) {
            self.out[at + found] = b' ';
            at += found + 1;
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// `kind`, `number`, CR LF, written from the right so that the text is copied once only.
fn header_text(buffer: &mut [u8; HEADER_BYTES_MAX], kind: u8, number: i64) -> &[u8] {
    let mut start = HEADER_BYTES_MAX - 2;
    buffer[start..].copy_from_slice(b"\r\n");
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    start -= 1;
    buffer[start] = kind;
    &buffer[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `write` in both protocols and compares what comes out, `|` standing for CR LF.
    fn check(write: impl Fn(&mut Writer<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut Writer::new(&mut out, protocol));
            let text = String::from_utf8(out).expect("the replies of these tests are text");
            assert_eq!(text.replace("\r\n", "|"), expected, "{protocol:?}");
        }
    }

    #[test]
    fn each_protocol_has_its_spelling() {
        check(|w| w.simple("a\r\nb\n"), "+a  b |", "+a  b |");
        check(|w| w.ok(), "+OK|", "+OK|");
        check(|w| w.error("ERR a\nb\r\n"), "-ERR a b|", "-ERR a b|");
        check(|w| w.integer(i64::MIN), ":-9223372036854775808|", ":-9223372036854775808|");
        check(|w| (-1..3).for_each(|n| w.integer(n)), ":-1|:0|:1|:2|", ":-1|:0|:1|:2|");
        check(|w| w.bulk(b""), "$0||", "$0||");
        check(|w| w.bulk_integer(-12), "$3|-12|", "$3|-12|");
        check(|w| w.null(), "$-1|", "_|");
        check(|w| w.null_array(), "*-1|", "_|");
        check(|w| w.array(123), "*123|", "*123|");
        check(|w| w.map(50), "*100|", "%50|");
        check(|w| w.set(10), "*10|", "~10|");
        check(|w| w.push(3), "*3|", ">3|");
        check(|w| w.double(1e20), "$5|1e+20|", ",1e+20|");
        check(|w| w.double(f64::NEG_INFINITY), "$4|-inf|", ",-inf|");
        check(|w| w.boolean(true), ":1|", "#t|");
        check(|w| w.boolean(false), ":0|", "#f|");
        check(
            |w| w.big_number("1234567999999999999999999999999999999"),
            "$37|1234567999999999999999999999999999999|",
            "(1234567999999999999999999999999999999|",
        );
        check(|w| w.verbatim("txt", b"hi"), "$2|hi|", "=6|txt:hi|");
        check(|w| w.raw(b"+X\r\n"), "+X|", "+X|");
    }

    #[test]
    fn displayed_strings_count_their_bytes() {
        for len in [0, 9, 10, 99, 100, 1000] {
            let text = "x".repeat(len);
            let expected = format!("${len}|{text}|");
            check(|w| w.bulk_display(&text), &expected, &expected);
        }
    }

    #[test]
    fn deferred_headers_may_lie_within_each_other() {
        let nested = |w: &mut Writer<'_>| {
            let outer = w.deferred();
            for _ in 0..12 {
                let inner = w.deferred();
                w.null();
                w.ok();
                w.finish_map(inner, 1);
            }
            let dropped = w.deferred();
            w.integer(7);
            w.cancel(dropped);
            w.finish_array(outer, 12);
        };
        check(nested, &format!("*12|{}", "*2|$-1|+OK|".repeat(12)), &format!("*12|{}", "%1|_|+OK|".repeat(12)));
    }

    #[test]
    #[should_panic(expected = "RESP3 only")]
    fn attributes_need_resp3() {
        Writer::new(&mut Vec::new(), Protocol::Resp2).attribute(1);
    }
}
