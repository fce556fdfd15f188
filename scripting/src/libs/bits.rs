//! `bit`: 32-bit operations.

use mlua::{Lua, Table};

use super::{number_argument, optional_number};
use crate::vm::Arguments;

/// A number as 32 bits: modulo 2^32, rounded to the nearest, halves to even. Adding 2^52 + 2^51 leaves them in the low half
/// of the mantissa.
fn to_bits(number: f64) -> u32 {
    (number + 6_755_399_441_055_744.0).to_bits() as u32
}

type Unary = fn(u32) -> u32;
type Binary = fn(u32, u32) -> u32;

fn argument(lua: &Lua, args: &Arguments, index: usize, name: &str) -> mlua::Result<u32> {
    number_argument(lua, args, index, name).map(to_bits)
}

fn signed(bits: u32) -> i64 {
    i64::from(bits as i32)
}

pub(crate) fn library(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    let one: [(&'static str, Unary); 3] = [("tobit", |x| x), ("bnot", |x| !x), ("bswap", u32::swap_bytes)];
    for (name, f) in one {
        let function =
            lua.create_function(move |lua, args: Arguments| Ok(signed(f(argument(lua, &args, 0, name)?))))?;
        bit.raw_set(name, function)?;
    }
    let many: [(&'static str, Binary); 3] = [("band", |a, b| a & b), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)];
    for (name, f) in many {
        let function = lua.create_function(move |lua, args: Arguments| {
            let mut bits = argument(lua, &args, 0, name)?;
            for index in 1..args.len() {
                bits = f(bits, argument(lua, &args, index, name)?);
            }
            Ok(signed(bits))
        })?;
        bit.raw_set(name, function)?;
    }
    let shifts: [(&'static str, Binary); 5] = [
        ("lshift", |x, n| x << n),
        ("rshift", |x, n| x >> n),
        ("arshift", |x, n| ((x as i32) >> n) as u32),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, f) in shifts {
        let function = lua.create_function(move |lua, args: Arguments| {
            let bits = argument(lua, &args, 0, name)?;
            Ok(signed(f(bits, argument(lua, &args, 1, name)? & 31)))
        })?;
        bit.raw_set(name, function)?;
    }
    let tohex = lua.create_function(|lua, args: Arguments| {
        let bits = argument(lua, &args, 0, "tohex")?;
        let digits = optional_number(lua, &args, 1, "tohex")?.map_or(8, |number| to_bits(number) as i32);
        let upper = digits < 0;
        let count = digits.unsigned_abs().min(8) as usize;
        let text = if upper { format!("{bits:08X}") } else { format!("{bits:08x}") };
        Ok(text[8 - count..].to_owned())
    })?;
    bit.raw_set("tohex", tohex)?;
    Ok(bit)
}
