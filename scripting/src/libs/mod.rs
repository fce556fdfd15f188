//! The libraries that Redis gives to scripts beside Lua's own.

mod bits;
pub(crate) mod cjson;
pub(crate) mod cmsgpack;
pub(crate) mod math;
pub(crate) mod pack;
pub(crate) mod string;

use std::rc::Rc;

use mlua::{Lua, Table, Value};

use crate::error::{bad_argument, type_name};
use crate::host::Host;
use crate::sandbox::Sandbox;
use crate::vm::{Arguments, Shared};

/// Asks whether the script may go on: for functions that work long without running Lua code.
pub(crate) struct Interval(pub(crate) Box<dyn Fn() -> mlua::Result<()>>);

/// Asks whether the script may go on.
pub(crate) fn interval(lua: &Lua) -> mlua::Result<()> {
    match lua.app_data_ref::<Interval>() {
        Some(interval) => (interval.0)(),
        None => Ok(()),
    }
}

/// Adds the libraries to the globals.
pub(crate) fn add<H: Host>(lua: &Lua, sandbox: &Sandbox, shared: &Rc<Shared<H>>) -> mlua::Result<()> {
    let all = [
        ("bit", bits::library(lua)?),
        ("cjson", cjson::library(lua)?),
        ("cmsgpack", cmsgpack::library(lua)?),
        ("struct", pack::library(lua)?),
        ("os", math::os(lua, shared)?),
    ];
    for (name, library) in all {
        let (front, _) = sandbox.locked.lock(lua, &library, None)?;
        sandbox.globals.raw_set(name, front)?;
    }
    let math: Table = sandbox.globals.raw_get("math")?;
    let behind = sandbox.locked.behind(&math).unwrap_or(math);
    math::add_random(lua, &behind, shared)
}

/// A number as Lua 5.1 writes it: `%.14g`.
pub(crate) fn number_text(number: f64) -> String {
    format_g(number, 14)
}

/// A number as C's `%.{precision}g` writes it.
pub(crate) fn format_g(number: f64, precision: usize) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.into();
    }
    let precision = precision.max(1);
    let scientific = format!("{number:.*e}", precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(digits), exponent.unsigned_abs());
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{number:.decimals$}")).to_owned()
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// What is done with so much text takes long enough to ask first whether the script may go on, in bytes.
pub(crate) const LONG_TEXT: usize = 1 << 20;

/// The bytes of a string argument; a number counts as its text. A long one is work: asks whether the script may go on.
pub(crate) fn string_argument(lua: &Lua, args: &Arguments, index: usize, name: &str) -> mlua::Result<mlua::LuaString> {
    match args.get(index) {
        Some(Value::String(text)) => {
            if text.as_bytes().len() >= LONG_TEXT {
                interval(lua)?;
            }
            Ok(text.clone())
        }
        Some(Value::Integer(number)) => lua.create_string(number_text(*number as f64)),
        Some(Value::Number(number)) => lua.create_string(number_text(*number)),
        other => Err(bad_argument(lua, index + 1, name, &format!("string expected, got {}", type_name(other)))),
    }
}

/// A number argument; a string that reads as one counts.
pub(crate) fn number_argument(lua: &Lua, args: &Arguments, index: usize, name: &str) -> mlua::Result<f64> {
    match args.get(index) {
        Some(Value::Number(number)) => Ok(*number),
        Some(Value::Integer(number)) => Ok(*number as f64),
        other => {
            if let Some(value @ Value::String(_)) = other
                && let Some(number) = lua.coerce_number(value.clone())?
            {
                return Ok(number);
            }
            Err(bad_argument(lua, index + 1, name, &format!("number expected, got {}", type_name(other))))
        }
    }
}

/// A number argument that may be missing.
pub(crate) fn optional_number(lua: &Lua, args: &Arguments, index: usize, name: &str) -> mlua::Result<Option<f64>> {
    match args.get(index) {
        None | Some(Value::Nil) => Ok(None),
        Some(_) => number_argument(lua, args, index, name).map(Some),
    }
}

/// Lua's truth: everything but nil and false.
pub(crate) fn is_true(value: Option<&Value>) -> bool {
    !matches!(value, None | Some(Value::Nil | Value::Boolean(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        for (number, text) in [
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (123456789012345.0, "1.2345678901234e+14"),
            (12345678901234.0, "12345678901234"),
            (100.0, "100"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (1.0 / 3.0, "0.33333333333333"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number_text(number), text);
        }
        assert_eq!(format_g(1.0 / 3.0, 17), "0.33333333333333331");
    }
}
