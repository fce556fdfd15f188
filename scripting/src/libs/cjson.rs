//! `cjson`: JSON, byte for byte as lua-cjson 2.1 writes it.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, Table, Value};

use super::{format_g, number_argument, string_argument};
use crate::error::{bad_argument, raise, type_name};
use crate::vm::{Arguments, MEMORY_BYTES_MAX};

/// Deepest nesting that a script can allow; the decoder and the encoder are recursive.
const DEPTH_LIMIT: i64 = 4000;

/// What to do with numbers that JSON does not know.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Invalid {
    Refuse,
    Write,
    Null,
}

#[derive(Copy, Clone)]
struct Config {
    convert_sparse: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: i64,
    decode_depth: i64,
    precision: i64,
    keep_buffer: bool,
    encode_invalid: Invalid,
    decode_invalid: bool,
}

type Shared = Rc<Cell<Config>>;

pub(crate) fn library(lua: &Lua) -> mlua::Result<Table> {
    let config: Shared = Rc::new(Cell::new(Config {
        convert_sparse: false,
        sparse_ratio: 2,
        sparse_safe: 10,
        encode_depth: 1000,
        decode_depth: 1000,
        precision: 14,
        keep_buffer: true,
        encode_invalid: Invalid::Refuse,
        decode_invalid: true,
    }));
    let cjson = lua.create_table()?;
    cjson.raw_set("_NAME", "cjson")?;
    cjson.raw_set("_VERSION", "2.1.0")?;
    cjson.raw_set("null", Value::NULL)?;
    cjson.raw_set("new", lua.create_function(|lua, _: Arguments| library(lua))?)?;
    let shared = config.clone();
    let encode = lua.create_function(move |lua, args: Arguments| {
        let [value] = one_argument(lua, &args, "encode")?;
        let mut encoder = Encoder { lua, config: shared.get(), out: Vec::new() };
        encoder.value(value, 0)?;
        lua.create_string(encoder.out)
    })?;
    cjson.raw_set("encode", encode)?;
    let shared = config.clone();
    let decode = lua.create_function(move |lua, args: Arguments| {
        one_argument(lua, &args, "decode")?;
        let text = string_argument(lua, &args, 0, "decode")?;
        let text = text.as_bytes();
        if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
            return Err(raise(lua, "JSON parser does not support UTF-16 or UTF-32"));
        }
        Decoder { lua, config: shared.get(), text: &text, at: 0 }.document()
    })?;
    cjson.raw_set("decode", decode)?;
    add_settings(lua, &cjson, &config)?;
    Ok(cjson)
}

fn one_argument<'a>(lua: &Lua, args: &'a Arguments, name: &str) -> mlua::Result<[&'a Value; 1]> {
    match args.front() {
        Some(value) if args.len() == 1 => Ok([value]),
        _ => Err(bad_argument(lua, 1, name, "expected 1 argument")),
    }
}

/// Refuses more arguments than a setting has.
fn at_most(lua: &Lua, args: &Arguments, most: usize, name: &str) -> mlua::Result<()> {
    if args.len() > most { Err(bad_argument(lua, most + 1, name, "found too many arguments")) } else { Ok(()) }
}

fn integer(lua: &Lua, args: &Arguments, index: usize, name: &str, min: i64, max: i64) -> mlua::Result<Option<i64>> {
    if matches!(args.get(index), None | Some(Value::Nil)) {
        return Ok(None);
    }
    let number = number_argument(lua, args, index, name)? as i64;
    if !(min..=max).contains(&number) {
        return Err(bad_argument(lua, index + 1, name, &format!("expected integer between {min} and {max}")));
    }
    Ok(Some(number))
}

fn switch(lua: &Lua, args: &Arguments, index: usize, name: &str, null: bool) -> mlua::Result<Option<Invalid>> {
    let option = match args.get(index) {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Boolean(on)) => return Ok(Some(if *on { Invalid::Write } else { Invalid::Refuse })),
        Some(_) => string_argument(lua, args, index, name)?,
    };
    match &*option.as_bytes() {
        b"off" => Ok(Some(Invalid::Refuse)),
        b"on" => Ok(Some(Invalid::Write)),
        b"null" if null => Ok(Some(Invalid::Null)),
        _ => {
            let what = format!("invalid option '{}'", option.to_string_lossy());
            Err(bad_argument(lua, index + 1, name, &what))
        }
    }
}

fn add_settings(lua: &Lua, cjson: &Table, config: &Shared) -> mlua::Result<()> {
    type Field = fn(&mut Config) -> &mut i64;
    let integers: [(&'static str, i64, Field); 3] = [
        ("encode_max_depth", i64::from(i32::MAX), |config| &mut config.encode_depth),
        ("decode_max_depth", i64::from(i32::MAX), |config| &mut config.decode_depth),
        ("encode_number_precision", 14, |config| &mut config.precision),
    ];
    for (name, max, field) in integers {
        let shared = config.clone();
        let set = lua.create_function(move |lua, args: Arguments| {
            at_most(lua, &args, 1, name)?;
            let mut config = shared.get();
            if let Some(number) = integer(lua, &args, 0, name, 1, max)? {
                *field(&mut config) = number;
                shared.set(config);
            }
            Ok(*field(&mut config))
        })?;
        cjson.raw_set(name, set)?;
    }
    let shared = config.clone();
    let sparse = lua.create_function(move |lua, args: Arguments| {
        let name = "encode_sparse_array";
        at_most(lua, &args, 3, name)?;
        let mut config = shared.get();
        if let Some(on) = switch(lua, &args, 0, name, false)? {
            config.convert_sparse = on == Invalid::Write;
        }
        config.sparse_ratio = integer(lua, &args, 1, name, 0, i64::from(i32::MAX))?.unwrap_or(config.sparse_ratio);
        config.sparse_safe = integer(lua, &args, 2, name, 0, i64::from(i32::MAX))?.unwrap_or(config.sparse_safe);
        shared.set(config);
        Ok((config.convert_sparse, config.sparse_ratio, config.sparse_safe))
    })?;
    cjson.raw_set("encode_sparse_array", sparse)?;
    let shared = config.clone();
    let keep = lua.create_function(move |lua, args: Arguments| {
        at_most(lua, &args, 1, "encode_keep_buffer")?;
        let mut config = shared.get();
        if let Some(on) = switch(lua, &args, 0, "encode_keep_buffer", false)? {
            config.keep_buffer = on == Invalid::Write;
            shared.set(config);
        }
        Ok(config.keep_buffer)
    })?;
    cjson.raw_set("encode_keep_buffer", keep)?;
    let shared = config.clone();
    let invalid = lua.create_function(move |lua, args: Arguments| {
        at_most(lua, &args, 1, "encode_invalid_numbers")?;
        let mut config = shared.get();
        if let Some(setting) = switch(lua, &args, 0, "encode_invalid_numbers", true)? {
            config.encode_invalid = setting;
            shared.set(config);
        }
        Ok(match config.encode_invalid {
            Invalid::Null => Value::String(lua.create_string("null")?),
            other => Value::Boolean(other == Invalid::Write),
        })
    })?;
    cjson.raw_set("encode_invalid_numbers", invalid)?;
    let shared = config.clone();
    let invalid = lua.create_function(move |lua, args: Arguments| {
        at_most(lua, &args, 1, "decode_invalid_numbers")?;
        let mut config = shared.get();
        if let Some(on) = switch(lua, &args, 0, "decode_invalid_numbers", false)? {
            config.decode_invalid = on == Invalid::Write;
            shared.set(config);
        }
        Ok(config.decode_invalid)
    })?;
    cjson.raw_set("decode_invalid_numbers", invalid)
}

struct Encoder<'a> {
    lua: &'a Lua,
    config: Config,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: i64) -> mlua::Result<()> {
        if self.out.len() >= MEMORY_BYTES_MAX {
            return Err(raise(self.lua, "not enough memory"));
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(yes) => self.out.extend_from_slice(if *yes { b"true" } else { b"false" }),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Table(table) => {
                let depth = depth + 1;
                if depth > self.config.encode_depth.min(DEPTH_LIMIT) {
                    return Err(raise(self.lua, format!("Cannot serialise, excessive nesting ({depth})")));
                }
                match self.array_len(table)? {
                    Some(len) => self.array(table, len, depth)?,
                    None => self.object(table, depth)?,
                }
            }
            other => return Err(self.refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn refuse(&self, value: &Value, why: &str) -> mlua::Error {
        raise(self.lua, format!("Cannot serialise {}: {why}", type_name(Some(value))))
    }

    /// The length of a table that is an array, holes included.
    fn array_len(&self, table: &Table) -> mlua::Result<Option<i64>> {
        let (mut max, mut items, mut is_array) = (0_i64, 0_i64, true);
        table.for_each::<Value, Value>(|key, _| {
            let index = match key {
                Value::Integer(index) => index,
                Value::Number(index) if index.fract() == 0.0 => index as i64,
                _ => 0,
            };
            is_array &= index > 0;
            max = max.max(index);
            items += 1;
            Ok(())
        })?;
        if !is_array || max == 0 {
            return Ok(None);
        }
        let config = &self.config;
        if config.sparse_ratio > 0 && max > items.saturating_mul(config.sparse_ratio) && max > config.sparse_safe {
            if !config.convert_sparse {
                return Err(raise(self.lua, "Cannot serialise table: excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(Some(max))
    }

    fn array(&mut self, table: &Table, len: i64, depth: i64) -> mlua::Result<()> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            self.value(&table.raw_get::<Value>(index)?, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i64) -> mlua::Result<()> {
        self.out.push(b'{');
        let mut first = true;
        // Not for_each: an error within it would not know the place of the caller.
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.value(&key, depth)?;
                    self.out.push(b'"');
                }
                other => return Err(self.refuse(other, "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn number(&mut self, number: f64) -> mlua::Result<()> {
        if !number.is_finite() {
            match self.config.encode_invalid {
                Invalid::Refuse => return Err(self.refuse(&Value::Number(number), "must not be NaN or Inf")),
                Invalid::Null => self.out.extend_from_slice(b"null"),
                Invalid::Write if number.is_nan() => self.out.extend_from_slice(b"nan"),
                Invalid::Write if number > 0.0 => self.out.extend_from_slice(b"inf"),
                Invalid::Write => self.out.extend_from_slice(b"-inf"),
            }
            return Ok(());
        }
        // Whole numbers of few digits are their digits.
        if number.fract() == 0.0 && number.abs() < 1e9 && self.config.precision >= 9 && !is_negative_zero(number) {
            self.out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
        } else {
            self.out.extend_from_slice(format_g(number, self.config.precision as usize).as_bytes());
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.out.extend_from_slice(&[b'\\', byte]),
                0x08 => self.out.extend_from_slice(b"\\b"),
                0x0c => self.out.extend_from_slice(b"\\f"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                0..=0x1f | 0x7f => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

/// What the decoder meets.
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(text) => text,
        }
    }
}

struct Decoder<'a> {
    lua: &'a Lua,
    config: Config,
    text: &'a [u8],
    at: usize,
}

impl Decoder<'_> {
    fn document(&mut self) -> mlua::Result<Value> {
        let (token, at) = self.token();
        let value = self.value(token, at, 0)?;
        match self.token() {
            (Token::End, _) => Ok(value),
            (token, at) => Err(self.expected("the end", &token, at)),
        }
    }

    fn expected(&self, what: &str, found: &Token, at: usize) -> mlua::Error {
        raise(self.lua, format!("Expected {what} but found {} at character {}", found.name(), at + 1))
    }

    fn value(&mut self, token: Token, at: usize, depth: i64) -> mlua::Result<Value> {
        match token {
            Token::String(text) => Ok(Value::String(self.lua.create_string(text)?)),
            Token::Number(number) => Ok(Value::Number(number)),
            Token::Boolean(yes) => Ok(Value::Boolean(yes)),
            Token::Null => Ok(Value::NULL),
            Token::ArrayBegin => {
                self.check_depth(depth + 1, at)?;
                self.array(depth + 1).map(Value::Table)
            }
            Token::ObjectBegin => {
                self.check_depth(depth + 1, at)?;
                self.object(depth + 1).map(Value::Table)
            }
            other => Err(self.expected("value", &other, at)),
        }
    }

    fn check_depth(&self, depth: i64, at: usize) -> mlua::Result<()> {
        if depth > self.config.decode_depth.min(DEPTH_LIMIT) {
            let text = format!("Found too many nested data structures ({depth}) at character {}", at + 1);
            return Err(raise(self.lua, text));
        }
        Ok(())
    }

    fn array(&mut self, depth: i64) -> mlua::Result<Table> {
        let table = self.lua.create_table()?;
        let (mut token, mut at) = self.token();
        if matches!(token, Token::ArrayEnd) {
            return Ok(table);
        }
        for index in 1_i64.. {
            let value = self.value(token, at, depth)?;
            table.raw_set(index, value)?;
            match self.token() {
                (Token::Comma, _) => (token, at) = self.token(),
                (Token::ArrayEnd, _) => break,
                (other, at) => return Err(self.expected("comma or array end", &other, at)),
            }
        }
        Ok(table)
    }

    fn object(&mut self, depth: i64) -> mlua::Result<Table> {
        let table = self.lua.create_table()?;
        let (mut token, mut at) = self.token();
        if matches!(token, Token::ObjectEnd) {
            return Ok(table);
        }
        loop {
            let Token::String(key) = token else { return Err(self.expected("object key string", &token, at)) };
            let key = self.lua.create_string(key)?;
            match self.token() {
                (Token::Colon, _) => {}
                (other, at) => return Err(self.expected("colon", &other, at)),
            }
            let (first, first_at) = self.token();
            let value = self.value(first, first_at, depth)?;
            table.raw_set(key, value)?;
            match self.token() {
                (Token::Comma, _) => (token, at) = self.token(),
                (Token::ObjectEnd, _) => return Ok(table),
                (other, at) => return Err(self.expected("comma or object end", &other, at)),
            }
        }
    }

    /// The next token and where it is.
    fn token(&mut self) -> (Token, usize) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let single = |token| (token, 1);
        let rest = &self.text[at..];
        let (token, len) = match rest.first() {
            None | Some(0) => (Token::End, 0),
            Some(b'{') => single(Token::ObjectBegin),
            Some(b'}') => single(Token::ObjectEnd),
            Some(b'[') => single(Token::ArrayBegin),
            Some(b']') => single(Token::ArrayEnd),
            Some(b':') => single(Token::Colon),
            Some(b',') => single(Token::Comma),
            Some(b'"') => return self.string(),
            Some(b'-' | b'+' | b'0'..=b'9') => self.number(rest),
            _ if rest.starts_with(b"true") => (Token::Boolean(true), 4),
            _ if rest.starts_with(b"false") => (Token::Boolean(false), 5),
            _ if rest.starts_with(b"null") => (Token::Null, 4),
            Some(b'i' | b'I' | b'n' | b'N') if self.config.decode_invalid => match numeral(rest) {
                Some((number, len)) => (Token::Number(number), len),
                None => (Token::Error("invalid token"), 0),
            },
            _ => (Token::Error("invalid token"), 0),
        };
        self.at += len;
        (token, at)
    }

    fn number(&self, rest: &[u8]) -> (Token, usize) {
        let unsigned = rest.strip_prefix(b"-").unwrap_or(rest);
        let strict = match unsigned {
            [b'0', next, ..] => !matches!(next, b'0'..=b'9' | b'x' | b'X'),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        if !strict && !self.config.decode_invalid {
            return (Token::Error("invalid number"), 0);
        }
        match numeral(rest) {
            Some((number, len)) => (Token::Number(number), len),
            None => (Token::Error("invalid number"), 0),
        }
    }

    fn string(&mut self) -> (Token, usize) {
        let start = self.at;
        let mut text = Vec::new();
        let mut at = start + 1;
        loop {
            match self.text.get(at) {
                None | Some(0) => return (Token::Error("unexpected end of string"), at),
                Some(b'"') => break,
                Some(b'\\') => match self.escape(at, &mut text) {
                    Ok(next) => at = next,
                    Err(error) => return (Token::Error(error), at),
                },
                Some(&byte) => {
                    text.push(byte);
                    at += 1;
                }
            }
        }
        self.at = at + 1;
        (Token::String(text), start)
    }

    /// Decodes the escape at `at`; returns where it ends.
    fn escape(&self, at: usize, to: &mut Vec<u8>) -> Result<usize, &'static str> {
        let byte = match self.text.get(at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                const BAD: &str = "invalid unicode escape code";
                let first = self.hex4(at + 2).ok_or(BAD)?;
                let (code, end) = match first {
                    0xd800..=0xdbff => {
                        let second = match self.text.get(at + 6..at + 8) {
                            Some(b"\\u") => self.hex4(at + 8).filter(|low| (0xdc00..=0xdfff).contains(low)),
                            _ => None,
                        };
                        let second = second.ok_or(BAD)?;
                        (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), at + 12)
                    }
                    other => (other, at + 6),
                };
                let decoded = char::from_u32(code).ok_or(BAD)?;
                to.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(end);
            }
            _ => return Err("invalid escape code"),
        };
        to.push(byte);
        Ok(at + 2)
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))
    }
}

/// The number at the beginning of `text` as C's `strtod` reads it, and its length.
fn numeral(text: &[u8]) -> Option<(f64, usize)> {
    let (negative, sign) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let rest = &text[sign..];
    let has = |word: &[u8]| rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word);
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, len) = if has(b"infinity") {
        (f64::INFINITY, 8)
    } else if has(b"inf") {
        (f64::INFINITY, 3)
    } else if has(b"nan") {
        (f64::NAN, 3)
    } else if has(b"0x") && rest.get(2).is_some_and(u8::is_ascii_hexdigit) {
        let hex = rest[2..].iter().take_while(|byte| byte.is_ascii_hexdigit());
        let number = hex
            .clone()
            .fold(0.0, |number: f64, &digit| number * 16.0 + f64::from(char::from(digit).to_digit(16).unwrap_or(0)));
        (number, 2 + hex.count())
    } else {
        let whole = digits(0);
        let mut len = whole;
        let mut fraction = 0;
        if rest.get(len) == Some(&b'.') {
            fraction = digits(len + 1);
            len += 1 + fraction;
        }
        if whole + fraction == 0 {
            return None;
        }
        if matches!(rest.get(len), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
            let exponent = if len + 1 + signed <= rest.len() { digits(len + 1 + signed) } else { 0 };
            if exponent > 0 {
                len += 1 + signed + exponent;
            }
        }
        let number: f64 = std::str::from_utf8(&rest[..len]).ok()?.parse().ok()?;
        (number, len)
    };
    Some((if negative { -number } else { number }, sign + len))
}
