//! `struct`: C structures to and from strings.

use mlua::{Lua, Table, Value};

use super::{number_argument, optional_number, string_argument};
use crate::error::{bad_argument, raise};
use crate::vm::{Arguments, MEMORY_BYTES_MAX};

/// Widest integer, in bytes.
const INTEGER_BYTES_MAX: u64 = 32;

/// What `!` aligns to unless told.
const ALIGN_DEFAULT: u64 = 8;

/// Most values that one call returns.
const RESULTS_MAX: usize = 7900;

pub(crate) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(|lua, args: Arguments| pack(lua, &args))?)?;
    library.raw_set("unpack", lua.create_function(|lua, args: Arguments| unpack(lua, &args))?)?;
    library.raw_set("size", lua.create_function(|lua, args: Arguments| size(lua, &args))?)?;
    Ok(library)
}

/// A format that is being read.
struct Format<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    little: bool,
    align: u64,
}

/// One option of a format.
struct Field {
    option: u8,
    size: u64,
    /// Bytes of padding before it.
    padding: u64,
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, rest: &'a [u8]) -> Self {
        Format { lua, rest, little: true, align: 1 }
    }

    fn number(&mut self) -> mlua::Result<Option<u64>> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.rest[..digits]).unwrap_or_default();
        self.rest = &self.rest[digits..];
        match text.parse::<i32>() {
            Ok(number) => Ok(Some(number as u64)),
            Err(_) => Err(raise(self.lua, "integral size overflow")),
        }
    }

    /// The next option that stands for bytes; `total` bytes precede it.
    fn next(&mut self, total: u64) -> mlua::Result<Option<Field>> {
        while let Some((&option, rest)) = self.rest.split_first() {
            self.rest = rest;
            let size = match option {
                b'B' | b'b' | b'x' => 1,
                b'H' | b'h' => 2,
                b'L' | b'l' | b'T' | b'd' => 8,
                b'f' => 4,
                b'c' => self.number()?.unwrap_or(1),
                b'I' | b'i' => {
                    let size = self.number()?.unwrap_or(4);
                    if size > INTEGER_BYTES_MAX {
                        let text = format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                        return Err(raise(self.lua, text));
                    }
                    size
                }
                b' ' => continue,
                b'<' => {
                    self.little = true;
                    continue;
                }
                b'>' => {
                    self.little = false;
                    continue;
                }
                b'!' => {
                    let align = self.number()?.unwrap_or(ALIGN_DEFAULT);
                    if !align.is_power_of_two() {
                        return Err(raise(self.lua, format!("alignment {align} is not a power of 2")));
                    }
                    self.align = align;
                    continue;
                }
                _ => 0,
            };
            let unit = size.min(self.align);
            let aligned = size > 0 && option != b'c' && unit.is_power_of_two();
            let padding = if aligned { (unit - (total & (unit - 1))) & (unit - 1) } else { 0 };
            return Ok(Some(Field { option, size, padding }));
        }
        Ok(None)
    }

    fn unknown(&self, option: u8) -> mlua::Error {
        raise(self.lua, [b"invalid format option '", &[option][..], b"'"].concat())
    }
}

/// The bytes of an integer in `size` bytes; beyond eight they are zero.
fn put_integer(number: u64, size: u64, little: bool, to: &mut Vec<u8>) {
    let byte = |index: u64| if index < 8 { (number >> (8 * index)) as u8 } else { 0 };
    if little { to.extend((0..size).map(byte)) } else { to.extend((0..size).rev().map(byte)) }
}

fn pack(lua: &Lua, args: &Arguments) -> mlua::Result<mlua::LuaString> {
    let text = string_argument(lua, args, 0, "pack")?;
    let text = text.as_bytes();
    let mut format = Format::new(lua, &text);
    let mut out = Vec::new();
    let mut index = 1;
    // What is missing is called nil here.
    let present = |index: usize, what: &str| match args.get(index) {
        None => Err(bad_argument(lua, index + 1, "pack", &format!("{what} expected, got nil"))),
        Some(_) => Ok(()),
    };
    while let Some(field) = format.next(out.len() as u64)? {
        out.extend((0..field.padding).map(|_| 0));
        match field.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                present(index, "number")?;
                let number = number_argument(lua, args, index, "pack")?;
                let bits = if number < 0.0 { number as i64 as u64 } else { number as u64 };
                put_integer(bits, field.size, format.little, &mut out);
                index += 1;
            }
            b'f' | b'd' => {
                present(index, "number")?;
                let number = number_argument(lua, args, index, "pack")?;
                let bits = if field.option == b'f' { u64::from((number as f32).to_bits()) } else { number.to_bits() };
                put_integer(bits, field.size, format.little, &mut out);
                index += 1;
            }
            b'c' | b's' => {
                present(index, "string")?;
                let bytes = string_argument(lua, args, index, "pack")?;
                let bytes = bytes.as_bytes();
                index += 1;
                let len = if field.size == 0 { bytes.len() as u64 } else { field.size };
                if (bytes.len() as u64) < len {
                    return Err(bad_argument(lua, index + 1, "pack", "string too short"));
                }
                out.extend_from_slice(&bytes[..len as usize]);
                if field.option == b's' {
                    out.push(0);
                }
            }
            b'x' => out.push(0),
            other => return Err(format.unknown(other)),
        }
        if out.len() >= MEMORY_BYTES_MAX {
            return Err(raise(lua, "not enough memory"));
        }
    }
    lua.create_string(out)
}

fn size(lua: &Lua, args: &Arguments) -> mlua::Result<i64> {
    let text = string_argument(lua, args, 0, "size")?;
    let text = text.as_bytes();
    let mut format = Format::new(lua, &text);
    let mut total: u64 = 0;
    while let Some(field) = format.next(total)? {
        let variable = match (field.option, field.size) {
            (b's', _) => Some("s"),
            (b'c', 0) => Some("c0"),
            _ => None,
        };
        if let Some(option) = variable {
            return Err(bad_argument(lua, 1, "size", &format!("option '{option}' has no fixed size")));
        }
        total += field.padding + field.size;
        if total > i32::MAX as u64 {
            return Err(raise(lua, "format size overflow"));
        }
    }
    Ok(total as i64)
}

fn get_integer(bytes: &[u8], little: bool, signed: bool) -> Value {
    let mut bits: u64 = 0;
    let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if little {
        bits = bytes.iter().rev().fold(bits, add);
    } else {
        bits = bytes.iter().fold(bits, add);
    }
    if !signed {
        return Value::Number(bits as f64);
    }
    let unused = 64 - 8 * bytes.len().min(8) as u32;
    Value::Number(if unused < 64 { ((bits << unused) as i64 >> unused) as f64 } else { 0.0 })
}

fn unpack(lua: &Lua, args: &Arguments) -> mlua::Result<Arguments> {
    let text = string_argument(lua, args, 0, "unpack")?;
    let text = text.as_bytes();
    let data = string_argument(lua, args, 1, "unpack")?;
    let data = data.as_bytes();
    let offset = optional_number(lua, args, 2, "unpack")?.unwrap_or(1.0) as i64;
    if offset == 0 {
        return Err(bad_argument(lua, 3, "unpack", "offset must be 1 or greater"));
    }
    let too_short = || bad_argument(lua, 2, "unpack", "data string too short");
    let mut at = usize::try_from(offset - 1).map_err(|_| too_short())?;
    let mut format = Format::new(lua, &text);
    let mut values = Arguments::new();
    while let Some(field) = format.next(at as u64)? {
        at = at.saturating_add(field.padding as usize);
        let size = field.size as usize;
        let bytes = data.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(too_short)?;
        if values.len() >= RESULTS_MAX {
            return Err(raise(lua, "stack overflow (too many results)"));
        }
        let value = match field.option {
            b'b' | b'h' | b'l' | b'i' => get_integer(bytes, format.little, true),
            b'B' | b'H' | b'L' | b'T' | b'I' => get_integer(bytes, format.little, false),
            b'f' | b'd' => {
                let mut ordered = bytes.to_vec();
                if !format.little {
                    ordered.reverse();
                }
                let bits = ordered.iter().rev().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
                Value::Number(if size == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) })
            }
            b'c' if size == 0 => {
                let len = match values.pop_back() {
                    Some(Value::Number(len)) if len >= 0.0 => len as usize,
                    Some(Value::Integer(len)) if len >= 0 => len as usize,
                    _ => return Err(raise(lua, "format 'c0' needs a previous size")),
                };
                let bytes = data.get(at..).and_then(|rest| rest.get(..len)).ok_or_else(too_short)?;
                at += len;
                Value::String(lua.create_string(bytes)?)
            }
            b'c' => Value::String(lua.create_string(bytes)?),
            b's' => {
                let rest = &data[at..];
                let Some(end) = memchr::memchr(0, rest) else { return Err(raise(lua, "unfinished string in data")) };
                at += end + 1;
                Value::String(lua.create_string(&rest[..end])?)
            }
            b'x' => {
                at += size;
                continue;
            }
            other => return Err(format.unknown(other)),
        };
        at += size;
        values.push_back(value);
    }
    values.push_back(Value::Integer(at as i64 + 1));
    Ok(values)
}
