//! Requests (provisional).
use std::fmt;

/// A piece of the buffer.
#[derive(Copy, Clone, Debug)]
pub struct Span {
    start: usize,
    len: usize,
}
impl Span {
    /// Its bytes.
    pub fn of<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        &buf[self.start..self.start + self.len]
    }
    /// Moves it.
    pub fn shift(&mut self, by: usize) {
        self.start += by;
    }
}
/// Limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// a
    pub bulk_len_max: i64,
    /// b
    pub multibulk_count_max: i64,
    /// c
    pub inline_len_max: usize,
    /// d
    pub authenticated: bool,
}
impl Default for Limits {
    fn default() -> Self {
        Limits {
            bulk_len_max: 512 << 20,
            multibulk_count_max: i32::MAX as i64,
            inline_len_max: 65536,
            authenticated: true,
        }
    }
}
/// Decoder.
#[derive(Debug, Default)]
pub struct Decoder;
/// Result.
#[derive(Debug)]
pub enum Decoded {
    /// a
    Request {
        /// x
        consumed: usize,
    },
    /// b
    Inline {
        /// x
        consumed: usize,
        /// y
        words: Vec<Vec<u8>>,
    },
    /// c
    Empty {
        /// x
        consumed: usize,
    },
    /// d
    Incomplete {
        /// x
        want: usize,
    },
}
/// Error.
#[derive(Debug)]
pub struct ProtocolError(String);
impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error: {}", self.0)
    }
}
impl Decoder {
    /// Idle.
    pub fn is_idle(&self) -> bool {
        true
    }
    /// Decodes.
    pub fn decode(&mut self, buf: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Result<Decoded, ProtocolError> {
        let line = |from: usize| {
            memchr::memchr(b'\n', &buf[from..])
                .map(|n| (from + n + 1, &buf[from..from + n - usize::from(n > 0 && buf[from + n - 1] == b'\r')]))
        };
        let start = spans.len();
        let Some((mut at, first)) = line(0) else { return Ok(Decoded::Incomplete { want: 0 }) };
        if buf[0] != b'*' {
            let words: Vec<Vec<u8>> =
                first.split(|b| *b == b' ').filter(|w| !w.is_empty()).map(|w| w.to_vec()).collect();
            if words.is_empty() {
                return Ok(Decoded::Empty { consumed: at });
            }
            return Ok(Decoded::Inline { consumed: at, words });
        }
        let n = crate::number::parse_i64(&first[1..])
            .filter(|n| *n <= limits.multibulk_count_max)
            .ok_or_else(|| ProtocolError("invalid multibulk length".into()))?;
        if n <= 0 {
            return Ok(Decoded::Empty { consumed: at });
        }
        for _ in 0..n {
            let Some((next, head)) = line(at) else {
                spans.truncate(start);
                return Ok(Decoded::Incomplete { want: 0 });
            };
            if head.first() != Some(&b'$') {
                return Err(ProtocolError(format!("expected '$', got '{}'", *head.first().unwrap_or(&b'\n') as char)));
            }
            let len = crate::number::parse_i64(&head[1..])
                .filter(|n| *n >= 0 && *n <= limits.bulk_len_max)
                .ok_or_else(|| ProtocolError("invalid bulk length".into()))? as usize;
            if buf.len() < next + len + 2 {
                spans.truncate(start);
                return Ok(Decoded::Incomplete { want: next + len + 2 });
            }
            spans.push(Span { start: next, len });
            at = next + len + 2;
        }
        Ok(Decoded::Request { consumed: at })
    }
}
