//! Words in quotes: inline requests, lines typed into the CLI, lines of the configuration file.
//!
//! ```text
//! set key "a \"b\"\x00\n" 'it\'s'
//! ```
//!
//! Words are separated by blanks. Within double quotes `\n \r \t \b \a`, `\xHH` and a backslash before any other byte are
//! known; within single quotes only `\'`. A closing quote ends its word, so a blank or the end must follow.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while_m_n, take_while1};
use nom::combinator::{all_consuming, map, peek, rest_len, value, verify};
use nom::multi::{fold_many0, many0};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

/// A quote was opened and not closed, or text follows a closing quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl std::fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl std::error::Error for UnbalancedQuotes {}

/// Splits a line into words. A NUL byte ends the line, as it does in Redis.
///
/// # Errors
/// [`UnbalancedQuotes`] when a quote has no partner or is followed by something other than a blank.
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let line = &line[..memchr::memchr(0, line).unwrap_or(line.len())];
    match all_consuming(terminated(many0(preceded(blanks, word)), blanks)).parse(line) {
        Ok((_, words)) => Ok(words),
        Err(_) => Err(UnbalancedQuotes),
    }
}

/// The bytes in double quotes, with everything unprintable escaped: [`split_words`] gives the same bytes back.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => text.extend(['\\', char::from(byte)]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push_str("\\x");
                text.push(char::from(HEX[usize::from(byte >> 4)]));
                text.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    text.push('"');
    text
}

/// Whether a word has to stand in quotes to be read back unchanged.
#[must_use]
pub fn needs_quotes(word: &[u8]) -> bool {
    word.is_empty() || word.iter().any(|byte| !matches!(byte, b'!'..=b'~') || matches!(byte, b'"' | b'\'' | b'\\'))
}

/// C's `isspace`: what may stand before a word and after a closing quote.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a bare word: fewer bytes than [`is_blank`] knows; vertical tab and form feed are part of a word.
fn ends_bare(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn blanks(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(is_blank).parse(input)
}

/// Bare bytes, then perhaps one quoted part, which ends the word.
fn word(input: &[u8]) -> IResult<&[u8], Vec<u8>> {
    let bare = take_while1(|byte| !ends_bare(byte) && byte != b'"' && byte != b'\'');
    let quoted = terminated(alt((double_quoted, single_quoted)), peek(end_of_word));
    let (input, start) = nom::combinator::opt(bare).parse(input)?;
    let start: &[u8] = start.unwrap_or_default();
    match input.first() {
        Some(b'"' | b'\'') => {
            let (input, mut end) = { quoted }.parse(input)?;
            if start.is_empty() {
                return Ok((input, end));
            }
            let mut whole = start.to_vec();
            whole.append(&mut end);
            Ok((input, whole))
        }
        _ if start.is_empty() => Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Eof))),
        _ => Ok((input, start.to_vec())),
    }
}

fn end_of_word(input: &[u8]) -> IResult<&[u8], ()> {
    alt((value((), verify(rest_len, |len| *len == 0)), value((), take_while_m_n(1, 1, is_blank)))).parse(input)
}

fn append(mut text: Vec<u8>, part: Part<'_>) -> Vec<u8> {
    match part {
        Part::Bytes(bytes) => text.extend_from_slice(bytes),
        Part::Byte(byte) => text.push(byte),
    }
    text
}

#[derive(Clone)]
enum Part<'a> {
    Bytes(&'a [u8]),
    Byte(u8),
}

fn double_quoted(input: &[u8]) -> IResult<&[u8], Vec<u8>> {
    let plain = map(take_while1(|byte| byte != b'"' && byte != b'\\'), Part::Bytes);
    let hex =
        map(preceded(tag(&b"\\x"[..]), take_while_m_n(2, 2, |byte: u8| byte.is_ascii_hexdigit())), |pair: &[u8]| {
            Part::Byte(pair.iter().fold(0, |sum, &digit| sum * 16 + hex_value(digit)))
        });
    let escape = map(preceded(tag(&b"\\"[..]), take(1usize)), |byte: &[u8]| {
        Part::Byte(match byte[0] {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            other => other,
        })
    });
    delimited(tag(&b"\""[..]), fold_many0(alt((plain, hex, escape)), Vec::new, append), tag(&b"\""[..])).parse(input)
}

fn single_quoted(input: &[u8]) -> IResult<&[u8], Vec<u8>> {
    let plain = map(take_while1(|byte| byte != b'\'' && byte != b'\\'), Part::Bytes);
    let quote = value(Part::Byte(b'\''), tag(&b"\\'"[..]));
    let backslash = value(Part::Byte(b'\\'), tag(&b"\\"[..]));
    delimited(tag(&b"'"[..]), fold_many0(alt((plain, quote, backslash)), Vec::new, append), tag(&b"'"[..])).parse(input)
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_rules_of_redis() {
        let table: [(&[u8], &[&[u8]]); 16] = [
            (b"", &[]),
            (b"  \t ", &[]),
            (b"get k", &[b"get", b"k"]),
            (b"\x0b get\tk  ", &[b"get", b"k"]),
            (b"a\x0bb", &[b"a\x0bb"]),
            (b"\"\" ''", &[b"", b""]),
            (br#""a b" 'c d'"#, &[b"a b", b"c d"]),
            (br#""\x00\xfF\n\r\t\a\b\q\"\\""#, &[b"\x00\xff\n\r\t\x07\x08q\"\\"]),
            (br#""\x0g""#, &[b"x0g"]),
            (br#"'\n\'\x00\'"#, &[b"\\n'\\x00'"]),
            (br#"a"b c""#, &[b"ab c"]),
            (br#"a'b c' d"#, &[b"ab c", b"d"]),
            (br"a\n", &[br"a\n"]),
            (b"\"a\nb\"", &[b"a\nb"]),
            (b"a\0 b", &[b"a"]),
            (b"\xff\xfe", &[b"\xff\xfe"]),
        ];
        for (line, expected) in table {
            // The single-quoted line of the table ends inside its quotes.
            if line.starts_with(b"'\\n") {
                assert_eq!(split_words(line), Err(UnbalancedQuotes));
                assert_eq!(split_words(&[line, b"'"].concat()), Ok(vec![expected[0].to_vec()]));
                continue;
            }
            assert_eq!(
                split_words(line).as_deref(),
                Ok(&expected.iter().map(|word| word.to_vec()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn quotes_must_be_balanced() {
        for line in
            [&b"\""[..], b"'", b"\"a", b"\"a\"b", b"'a'b", b"\"a\\\"", b"\"a\\", b"\"a\0\"", b"a b \"", b"'a''b'"]
        {
            assert_eq!(split_words(line), Err(UnbalancedQuotes), "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn quoted_bytes_read_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split_words(quote(&all).as_bytes()), Ok(vec![all]));
        assert_eq!(quote(b"a\x00\"\x7f\n"), "\"a\\x00\\\"\\x7f\\n\"");
    }
}
