//! Replies as text: the five formats of redis-cli, byte for byte.
//!
//! Each `*_into` function appends one reply to a buffer. Recursion is bounded by the reply decoder's nesting limit.

use resp::Value;
use resp::inline::quote;

use crate::args::Output;

/// How one session prints.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) output: Output,
    /// Between the elements of an array in raw output.
    pub(crate) element_delimiter: Vec<u8>,
    /// After each reply in raw output.
    pub(crate) reply_delimiter: Vec<u8>,
    /// Types have colours in the output for people.
    pub(crate) color: bool,
}

/// One whole reply, as it goes to standard output. `verbatim` asks for the bare text whatever the format: what INFO
/// and its like get.
pub(crate) fn reply(style: &Style, value: &Value, verbatim: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if verbatim {
        raw_into(&mut out, value, &style.element_delimiter);
        return out;
    }
    match style.output {
        Output::Standard => standard_into(&mut out, value, "", style.color),
        Output::Raw => {
            raw_into(&mut out, value, &style.element_delimiter);
            out.extend_from_slice(&style.reply_delimiter);
        }
        Output::Csv => {
            csv_into(&mut out, value);
            out.push(b'\n');
        }
        Output::Json | Output::QuotedJson => {
            json_into(&mut out, value, style.output);
            out.push(b'\n');
        }
    }
    out
}

/// A push message that arrives outside of subscriptions.
pub(crate) fn push(style: &Style, items: &[Value]) -> Vec<u8> {
    // What client tracking says to a person: the keys on one line.
    if style.output == Output::Standard
        && let [kind, Value::Array(keys)] = items
        && text(kind) == Some(b"invalidate")
        && keys.iter().all(|key| matches!(key, Value::Bulk(_)))
    {
        let mut out = b"-> invalidate: ".to_vec();
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.push(b'\'');
            out.extend_from_slice(text(key).unwrap_or_default());
            out.push(b'\'');
        }
        out.push(b'\n');
        return out;
    }
    reply(style, &Value::Push(items.to_vec()), false)
}

/// The bytes of a status, error or string.
pub(crate) fn text(value: &Value) -> Option<&[u8]> {
    match value.without_attributes() {
        Value::BigNumber(_) => None,
        value => value.as_bytes(),
    }
}

/// Whether a map shows this value below its key instead of beside it: it takes several lines. (The key of a map of
/// one pair is not looked at, which is redis-cli's own way.)
fn goes_below(value: &Value) -> bool {
    match value.without_attributes() {
        Value::Array(items) | Value::Set(items) | Value::Push(items) => match items.as_slice() {
            [] => false,
            [item] => goes_below(item),
            _ => true,
        },
        Value::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, value)] => goes_below(value),
            _ => true,
        },
        _ => false,
    }
}

fn double(value: f64) -> String {
    resp::number::format_f64(value).to_string()
}

/// For people: every line of the text ends with a newline, so that aggregates are the concatenation of their parts.
/// `prefix` is the indentation of every line but the first.
fn standard_into(out: &mut Vec<u8>, value: &Value, prefix: &str, color: bool) {
    let paint = if color { paint(value) } else { "" };
    out.extend_from_slice(paint.as_bytes());
    match value {
        Value::Attributed { value, .. } => return standard_into(out, value, prefix, color),
        Value::Simple(text) => out.extend_from_slice(text),
        Value::Error(text) => {
            out.extend_from_slice(b"(error) ");
            out.extend_from_slice(text);
        }
        Value::Integer(number) => out.extend_from_slice(format!("(integer) {number}").as_bytes()),
        Value::Double(number) => out.extend_from_slice(format!("(double) {}", double(*number)).as_bytes()),
        Value::BigNumber(digits) => {
            out.extend_from_slice(b"(bignum) ");
            out.extend_from_slice(digits.as_ref());
        }
        Value::Boolean(true) => out.extend_from_slice(b"(true)"),
        Value::Boolean(false) => out.extend_from_slice(b"(false)"),
        Value::Null | Value::NullArray => out.extend_from_slice(b"(nil)"),
        Value::Bulk(bytes) => out.extend_from_slice(quote(bytes).as_bytes()),
        Value::Verbatim { text, .. } => out.extend_from_slice(text),
        Value::Array(items) if items.is_empty() => out.extend_from_slice(b"(empty array)"),
        Value::Push(items) if items.is_empty() => out.extend_from_slice(b"(empty push)"),
        Value::Set(items) if items.is_empty() => out.extend_from_slice(b"(empty set)"),
        Value::Map(pairs) if pairs.is_empty() => out.extend_from_slice(b"(empty hash)"),
        Value::Array(items) | Value::Push(items) => return numbered(out, items, ')', prefix, color),
        Value::Set(items) => return numbered(out, items, '~', prefix, color),
        Value::Map(pairs) => {
            let width = digits(pairs.len());
            let inner = format!("{prefix}{:width$}", "", width = width + 2);
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(prefix.as_bytes());
                }
                out.extend_from_slice(index_mark(index + 1, width, '#', color).as_bytes());
                standard_into(out, key, &inner, color);
                out.pop();
                out.extend_from_slice(b" => ");
                if goes_below(value) {
                    out.push(b'\n');
                    out.extend_from_slice(inner.as_bytes());
                }
                standard_into(out, value, &inner, color);
            }
            return;
        }
    }
    if !paint.is_empty() {
        out.extend_from_slice(PLAIN.as_bytes());
    }
    out.push(b'\n');
}

const PLAIN: &str = "\x1b[0m";

/// The bytes that set the colour of a value.
fn paint(value: &Value) -> &'static str {
    match value {
        Value::Error(_) => "\x1b[31m",
        Value::Bulk(_) => "\x1b[32m",
        Value::Integer(_) | Value::Double(_) | Value::BigNumber(_) | Value::Boolean(_) => "\x1b[36m",
        Value::Null | Value::NullArray => "\x1b[90m",
        _ => "",
    }
}

fn numbered(out: &mut Vec<u8>, items: &[Value], mark: char, prefix: &str, color: bool) {
    let width = digits(items.len());
    let inner = format!("{prefix}{:width$}", "", width = width + 2);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(prefix.as_bytes());
        }
        out.extend_from_slice(index_mark(index + 1, width, mark, color).as_bytes());
        standard_into(out, item, &inner, color);
    }
}

/// The number before an element.
fn index_mark(index: usize, width: usize, mark: char, color: bool) -> String {
    match color {
        true => format!("\x1b[90m{index:width$}{mark}{PLAIN} "),
        false => format!("{index:width$}{mark} "),
    }
}

/// Decimal digits of a count.
fn digits(count: usize) -> usize {
    count.max(1).ilog10() as usize + 1
}

/// For pipes: the bytes alone.
fn raw_into(out: &mut Vec<u8>, value: &Value, delimiter: &[u8]) {
    match value {
        Value::Attributed { value, .. } => raw_into(out, value, delimiter),
        Value::Null | Value::NullArray => {}
        Value::Simple(text) => out.extend_from_slice(text),
        Value::Error(text) => {
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        Value::Bulk(bytes) => out.extend_from_slice(bytes),
        Value::Verbatim { text, .. } => out.extend_from_slice(text),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) => out.extend_from_slice(double(*number).as_bytes()),
        Value::BigNumber(digits) => out.extend_from_slice(digits.as_ref()),
        Value::Boolean(true) => out.extend_from_slice(b"(true)"),
        Value::Boolean(false) => out.extend_from_slice(b"(false)"),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(delimiter);
                }
                raw_into(out, item, delimiter);
            }
        }
        Value::Map(pairs) => {
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(delimiter);
                }
                raw_into(out, key, delimiter);
                out.push(b' ');
                raw_into(out, value, delimiter);
            }
        }
    }
}

fn csv_into(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Attributed { value, .. } => csv_into(out, value),
        Value::Null | Value::NullArray => out.extend_from_slice(b"NULL"),
        Value::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            out.extend_from_slice(quote(text).as_bytes());
        }
        Value::Simple(text) => out.extend_from_slice(quote(text).as_bytes()),
        Value::Bulk(bytes) => out.extend_from_slice(quote(bytes).as_bytes()),
        Value::Verbatim { text, .. } => out.extend_from_slice(quote(text).as_bytes()),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) => out.extend_from_slice(double(*number).as_bytes()),
        Value::BigNumber(digits) => out.extend_from_slice(digits.as_ref()),
        Value::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                csv_into(out, item);
            }
        }
        Value::Map(pairs) => {
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                csv_into(out, key);
                out.push(b',');
                csv_into(out, value);
            }
        }
    }
}

fn json_into(out: &mut Vec<u8>, value: &Value, output: Output) {
    match value {
        Value::Attributed { value, .. } => json_into(out, value, output),
        Value::Null | Value::NullArray => out.extend_from_slice(b"null"),
        Value::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(out, text, output);
        }
        Value::Simple(text) => json_string(out, text, output),
        Value::Bulk(bytes) => json_string(out, bytes, output),
        Value::Verbatim { text, .. } => json_string(out, text, output),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) => out.extend_from_slice(double(*number).as_bytes()),
        Value::BigNumber(digits) => out.extend_from_slice(digits.as_ref()),
        Value::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json_into(out, item, output);
            }
            out.push(b']');
        }
        Value::Map(pairs) => {
            out.push(b'{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                // Keys of JSON are strings: what is none gets quotes around it.
                if text(key).is_some() {
                    json_into(out, key, output);
                } else {
                    out.push(b'"');
                    json_into(out, key, output);
                    out.push(b'"');
                }
                out.push(b':');
                json_into(out, value, output);
            }
            out.push(b'}');
        }
    }
}

/// `--json` escapes what JSON must and passes other bytes through, UTF-8 or not; `--quoted-json` writes Redis'
/// quoted form, whose backslashes JSON then needs twice.
fn json_string(out: &mut Vec<u8>, bytes: &[u8], output: Output) {
    if output == Output::QuotedJson {
        let quoted = quote(bytes);
        out.push(b'"');
        for byte in quoted[1..quoted.len() - 1].bytes() {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
        return;
    }
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x08 => out.extend_from_slice(b"\\b"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
