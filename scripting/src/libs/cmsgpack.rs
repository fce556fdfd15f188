//! `cmsgpack`: MessagePack, byte for byte as lua-cmsgpack 0.4 writes it.

use mlua::{Lua, Table, Value};

use super::{number_argument, optional_number, string_argument};
use crate::error::{bad_argument, raise, raise_plain};
use crate::vm::{Arguments, MEMORY_BYTES_MAX};

/// Tables nested deeper than this are packed as nil.
const PACK_DEPTH_MAX: usize = 16;

/// Deepest nesting that is unpacked.
const UNPACK_DEPTH_MAX: usize = 1000;

/// Most values that one call returns.
const RESULTS_MAX: usize = 7900;

pub(crate) fn library(lua: &Lua) -> mlua::Result<Table> {
    let cmsgpack = lua.create_table()?;
    cmsgpack.raw_set("_NAME", "cmsgpack")?;
    cmsgpack.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    cmsgpack.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    cmsgpack.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    let pack = lua.create_function(|lua, args: Arguments| {
        if args.is_empty() {
            return Err(bad_argument(lua, 0, "pack", "MessagePack pack needs input."));
        }
        let mut out = Vec::new();
        for value in &args {
            pack(lua, value, 0, &mut out)?;
        }
        lua.create_string(out)
    })?;
    cmsgpack.raw_set("pack", pack)?;
    let all = lua.create_function(|lua, args: Arguments| {
        let text = string_argument(lua, &args, 0, "unpack")?;
        unpack(lua, &text.as_bytes(), 0, 0)
    })?;
    cmsgpack.raw_set("unpack", all)?;
    let one = lua.create_function(|lua, args: Arguments| {
        let text = string_argument(lua, &args, 0, "unpack_one")?;
        let offset = optional_number(lua, &args, 1, "unpack_one")?.unwrap_or(0.0) as i64;
        unpack(lua, &text.as_bytes(), 1, offset)
    })?;
    cmsgpack.raw_set("unpack_one", one)?;
    let limited = lua.create_function(|lua, args: Arguments| {
        let text = string_argument(lua, &args, 0, "unpack_limit")?;
        let limit = number_argument(lua, &args, 1, "unpack_limit")? as i64;
        let offset = optional_number(lua, &args, 2, "unpack_limit")?.unwrap_or(0.0) as i64;
        unpack(lua, &text.as_bytes(), limit, offset)
    })?;
    cmsgpack.raw_set("unpack_limit", limited)?;
    Ok(cmsgpack)
}

fn pack(lua: &Lua, value: &Value, depth: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
    if out.len() >= MEMORY_BYTES_MAX {
        return Err(raise(lua, "not enough memory"));
    }
    match value {
        Value::Boolean(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => pack_integer(*number, out),
        Value::Number(number) => pack_number(*number, out),
        Value::String(text) => pack_string(&text.as_bytes(), out),
        Value::Table(_) if depth == PACK_DEPTH_MAX => out.push(0xc0),
        Value::Table(table) => match array_len(table)? {
            Some(len) => {
                pack_len(len, (0x90, 15), (0xdc, 0xdd), out);
                for index in 1..=len {
                    pack(lua, &table.raw_get::<Value>(index)?, depth + 1, out)?;
                }
            }
            None => {
                let mut pairs = 0;
                table.for_each::<Value, Value>(|_, _| {
                    pairs += 1;
                    Ok(())
                })?;
                pack_len(pairs, (0x80, 15), (0xde, 0xdf), out);
                table.for_each::<Value, Value>(|key, value| {
                    pack(lua, &key, depth + 1, out)?;
                    pack(lua, &value, depth + 1, out)
                })?;
            }
        },
        _ => out.push(0xc0),
    }
    Ok(())
}

/// The length of a table whose keys are 1 to that length.
fn array_len(table: &Table) -> mlua::Result<Option<usize>> {
    let (mut count, mut max, mut is_array) = (0_usize, 0_usize, true);
    table.for_each::<Value, Value>(|key, _| {
        count += 1;
        match key {
            Value::Integer(index) if index > 0 => max = max.max(index as usize),
            Value::Number(index) if index > 0.0 && index.fract() == 0.0 => max = max.max(index as usize),
            _ => is_array = false,
        }
        Ok(())
    })?;
    Ok((is_array && max == count).then_some(count))
}

/// The header of something with a length: in one byte if it fits, else behind 16 or 32 bits.
fn pack_len(len: usize, (short, short_max): (u8, usize), (two, four): (u8, u8), out: &mut Vec<u8>) {
    if len <= short_max {
        out.push(short | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(two);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(four);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

fn pack_string(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        len @ 32..=255 => out.extend_from_slice(&[0xd9, len as u8]),
        len => pack_len(len, (0xa0, 31), (0xda, 0xdb), out),
    }
    out.extend_from_slice(text);
}

fn pack_number(number: f64, out: &mut Vec<u8>) {
    let bounds = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && bounds.contains(&number) {
        return pack_integer(number as i64, out);
    }
    // As a float when nothing is lost by it.
    if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn pack_integer(number: i64, out: &mut Vec<u8>) {
    if let Ok(number) = u64::try_from(number) {
        match number {
            0..=0x7f => out.push(number as u8),
            0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
            0x100..=0xffff => {
                out.push(0xcd);
                out.extend_from_slice(&(number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                out.push(0xce);
                out.extend_from_slice(&(number as u32).to_be_bytes());
            }
            _ => {
                out.push(0xcf);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        return;
    }
    if number >= -32 {
        out.push(number as i8 as u8);
    } else if let Ok(number) = i8::try_from(number) {
        out.extend_from_slice(&[0xd0, number as u8]);
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Unpacks up to `limit` values (0: all) from `offset`; in front of them goes where the next one begins, unless all were
/// asked for from the start.
fn unpack(lua: &Lua, text: &[u8], limit: i64, offset: i64) -> mlua::Result<Arguments> {
    let len = text.len();
    let Ok(start) = usize::try_from(offset) else { return Err(bad_request(lua, offset, len)) };
    let Ok(limit) = usize::try_from(limit) else { return Err(bad_request(lua, offset, len)) };
    if start > len {
        return Err(raise(lua, format!("Start offset {start} greater than input length {len}.")));
    }
    let everything = limit == 0 && start == 0;
    let most = if everything { usize::MAX } else { limit };
    let mut reader = Reader { lua, rest: &text[start..] };
    let mut values = Arguments::new();
    while !reader.rest.is_empty() && values.len() < most {
        if values.len() >= RESULTS_MAX {
            let what = "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
            return Err(raise(lua, what));
        }
        values.push_back(reader.value(0)?);
    }
    if !everything {
        let left = reader.rest.len();
        values.push_front(Value::Integer(if left == 0 { -1 } else { (len - left) as i64 }));
    }
    Ok(values)
}

fn bad_request(lua: &Lua, offset: i64, len: usize) -> mlua::Error {
    raise(lua, format!("Invalid request to unpack with offset of {offset} and limit of {len}."))
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> mlua::Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(raise(self.lua, "Missing bytes in input."));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A number of `len` bytes, most significant first.
    fn number(&mut self, len: usize) -> mlua::Result<u64> {
        Ok(self.take(len)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn string(&mut self, len: u64) -> mlua::Result<Value> {
        let text = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(Value::String(self.lua.create_string(text)?))
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        let kind = self.take(1)?[0];
        Ok(match kind {
            0x00..=0x7f => Value::Integer(i64::from(kind)),
            0x80..=0x8f => self.map(u64::from(kind & 15), depth)?,
            0x90..=0x9f => self.array(u64::from(kind & 15), depth)?,
            0xa0..=0xbf => self.string(u64::from(kind & 31))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => Value::Number(f64::from(f32::from_bits(self.number(4)? as u32))),
            0xcb => Value::Number(f64::from_bits(self.number(8)?)),
            0xcc..=0xce => Value::Number(self.number(1 << (kind - 0xcc))? as f64),
            // Beyond what is signed, lua-cmsgpack wraps.
            0xcf | 0xd3 => Value::Number(self.number(8)? as i64 as f64),
            0xd0 => Value::Integer(i64::from(self.number(1)? as i8)),
            0xd1 => Value::Integer(i64::from(self.number(2)? as i16)),
            0xd2 => Value::Integer(i64::from(self.number(4)? as i32)),
            0xd9..=0xdb => {
                let len = self.number(1 << (kind - 0xd9))?;
                self.string(len)?
            }
            0xdc | 0xdd => {
                let len = self.number(2 << (kind - 0xdc))?;
                self.array(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.number(2 << (kind - 0xde))?;
                self.map(len, depth)?
            }
            0xe0..=0xff => Value::Integer(i64::from(kind as i8)),
            _ => return Err(raise(self.lua, "Bad data format in input.")),
        })
    }

    fn deeper(&self, depth: usize, what: &str) -> mlua::Result<usize> {
        if depth >= UNPACK_DEPTH_MAX {
            return Err(raise_plain(format!("stack overflow (in function mp_decode_to_lua_{what})")));
        }
        Ok(depth + 1)
    }

    fn array(&mut self, len: u64, depth: usize) -> mlua::Result<Value> {
        let depth = self.deeper(depth, "array")?;
        let table = self.lua.create_table()?;
        for index in 1..=len {
            let value = self.value(depth)?;
            table.raw_set(index, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: u64, depth: usize) -> mlua::Result<Value> {
        let depth = self.deeper(depth, "hash")?;
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let key = self.value(depth)?;
            let value = self.value(depth)?;
            match &key {
                Value::Nil => return Err(raise_plain("table index is nil")),
                Value::Number(number) if number.is_nan() => return Err(raise_plain("table index is NaN")),
                _ => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }
}
