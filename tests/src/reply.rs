//! A reply as data, read from a blocking stream, and its short notation for scenarios.

use std::fmt;
use std::io::BufRead;

/// Deepest nesting of a reply that is read.
const MAX_DEPTH: usize = 64;
/// Longest string or list that is read, in bytes or elements.
const MAX_LENGTH: usize = 1 << 30;

/// A reply of RESP2 or RESP3.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+OK`
    Simple(String),
    /// `-ERR ...`
    Error(String),
    /// `:1`
    Int(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Null of either protocol: `$-1`, `*-1` or `_`.
    Nil,
    /// `*`
    Array(Vec<Reply>),
    /// `%`: keys and values in turn.
    Map(Vec<(Reply, Reply)>),
    /// `~`
    Set(Vec<Reply>),
    /// `>`
    Push(Vec<Reply>),
    /// `,` as written by the server.
    Double(String),
    /// `#`
    Bool(bool),
    /// `(`
    BigNumber(String),
    /// `=` with its three-letter format.
    Verbatim(String, Vec<u8>),
}

/// Why no reply could be read.
#[derive(Debug)]
pub enum ReplyError {
    /// The connection ended or timed out.
    Io(std::io::Error),
    /// What came is not RESP.
    Malformed(String),
}

impl From<std::io::Error> for ReplyError {
    fn from(error: std::io::Error) -> Self {
        ReplyError::Io(error)
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Io(error) => write!(f, "{error}"),
            ReplyError::Malformed(what) => write!(f, "not RESP: {what}"),
        }
    }
}

impl std::error::Error for ReplyError {}

impl Reply {
    /// Reads one reply.
    pub fn read(from: &mut impl BufRead) -> Result<Reply, ReplyError> {
        read(from, 0)
    }

    /// The text of a simple, bulk or verbatim string.
    pub fn text(&self) -> Option<String> {
        match self {
            Reply::Simple(text) => Some(text.clone()),
            Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The number of an integer reply.
    pub fn int(&self) -> Option<i64> {
        match self {
            Reply::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn items(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Some(items),
            _ => None,
        }
    }
}

fn read(from: &mut impl BufRead, depth: usize) -> Result<Reply, ReplyError> {
    if depth > MAX_DEPTH {
        return Err(ReplyError::Malformed("nested too deeply".to_owned()));
    }
    let line = line(from)?;
    let Some((&kind, rest)) = line.as_bytes().split_first() else {
        return Err(ReplyError::Malformed("an empty line".to_owned()));
    };
    let rest = std::str::from_utf8(rest).map_err(|_| ReplyError::Malformed(format!("{line:?}")))?;
    let malformed = || ReplyError::Malformed(format!("{line:?}"));
    Ok(match kind {
        b'+' => Reply::Simple(rest.to_owned()),
        b'-' => Reply::Error(rest.to_owned()),
        b':' => Reply::Int(rest.parse().map_err(|_| malformed())?),
        b',' => Reply::Double(rest.to_owned()),
        b'(' => Reply::BigNumber(rest.to_owned()),
        b'_' if rest.is_empty() => Reply::Nil,
        b'#' if rest == "t" || rest == "f" => Reply::Bool(rest == "t"),
        b'$' | b'*' if rest == "-1" => Reply::Nil,
        b'$' | b'=' => {
            let length = length(rest).ok_or_else(malformed)?;
            let mut bytes = vec![0; length + 2];
            from.read_exact(&mut bytes)?;
            if !bytes.ends_with(b"\r\n") {
                return Err(malformed());
            }
            bytes.truncate(length);
            if kind == b'=' {
                let text = bytes.get(4..).ok_or_else(malformed)?.to_vec();
                Reply::Verbatim(String::from_utf8_lossy(&bytes[..3]).into_owned(), text)
            } else {
                Reply::Bulk(bytes)
            }
        }
        b'*' | b'~' | b'>' => {
            let count = length(rest).ok_or_else(malformed)?;
            let items = (0..count).map(|_| read(from, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            match kind {
                b'*' => Reply::Array(items),
                b'~' => Reply::Set(items),
                _ => Reply::Push(items),
            }
        }
        b'%' => {
            let count = length(rest).ok_or_else(malformed)?;
            let pairs = (0..count).map(|_| Ok((read(from, depth + 1)?, read(from, depth + 1)?)));
            Reply::Map(pairs.collect::<Result<Vec<_>, ReplyError>>()?)
        }
        _ => return Err(malformed()),
    })
}

fn length(text: &str) -> Option<usize> {
    text.parse().ok().filter(|&length| length <= MAX_LENGTH)
}

fn line(from: &mut impl BufRead) -> Result<String, ReplyError> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Err(ReplyError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(ReplyError::Malformed(format!("a line without CRLF: {:?}", String::from_utf8_lossy(&bytes)))),
    }
}

/// The notation of scenarios: `+OK`, `-ERR text`, `:1`, `(nil)`, `,1.5`, `[a b]`, `{k v}`, `~[a]`, `>[a]`; bulk strings
/// as they are, quoted when they would look like something else.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open: &str, items: &[Reply], close: &str| {
            f.write_str(open)?;
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{item}")?;
            }
            f.write_str(close)
        };
        match self {
            Reply::Simple(text) => write!(f, "+{text}"),
            Reply::Error(text) => write!(f, "-{text}"),
            Reply::Int(number) => write!(f, ":{number}"),
            Reply::Double(text) => write!(f, ",{text}"),
            Reply::BigNumber(text) => write!(f, "({text})"),
            Reply::Nil => f.write_str("(nil)"),
            Reply::Bool(value) => write!(f, "#{}", if *value { 't' } else { 'f' }),
            Reply::Bulk(bytes) => {
                let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_.:/-@{}".contains(b);
                let marked = |b: &u8| b":-{}".contains(b);
                if !bytes.is_empty() && bytes.iter().all(plain) && !marked(&bytes[0]) {
                    f.write_str(&String::from_utf8_lossy(bytes))
                } else {
                    write!(f, "\"{}\"", bytes.escape_ascii())
                }
            }
            Reply::Verbatim(format, bytes) => write!(f, "={format}:\"{}\"", bytes.escape_ascii()),
            Reply::Array(items) => list(f, "[", items, "]"),
            Reply::Set(items) => list(f, "~[", items, "]"),
            Reply::Push(items) => list(f, ">[", items, "]"),
            Reply::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} {value}", if i > 0 { " " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mut wire: &[u8]) -> String {
        match Reply::read(&mut wire) {
            Ok(reply) => {
                assert!(wire.is_empty(), "all is read");
                reply.to_string()
            }
            Err(error) => format!("{error}"),
        }
    }

    #[test]
    fn every_kind() {
        for (wire, notation) in [
            ("+OK\r\n", "+OK"),
            ("-ERR no\r\n", "-ERR no"),
            (":-3\r\n", ":-3"),
            ("$3\r\na b\r\n", "\"a b\""),
            ("$2\r\n:1\r\n", "\":1\""),
            ("$0\r\n\r\n", "\"\""),
            ("$-1\r\n", "(nil)"),
            ("*-1\r\n", "(nil)"),
            ("_\r\n", "(nil)"),
            ("*2\r\n$1\r\na\r\n*0\r\n", "[a []]"),
            ("%1\r\n+k\r\n,1.5\r\n", "{+k ,1.5}"),
            ("~1\r\n#t\r\n", "~[#t]"),
            (">1\r\n(12\r\n", ">[(12)]"),
            ("=5\r\ntxt:a\r\n", "=txt:\"a\""),
        ] {
            assert_eq!(shown(wire.as_bytes()), notation);
        }
    }

    #[test]
    fn malformed_replies_are_noticed() {
        for wire in ["?\r\n", "+OK\n", ":x\r\n", "$3\r\nabcd\r\n", "$99999999999\r\n", "\r\n"] {
            assert!(shown(wire.as_bytes()).starts_with("not RESP"), "{wire:?}: {}", shown(wire.as_bytes()));
        }
    }
}
