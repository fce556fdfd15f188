//! Those functions of `string` whose originals neither answer to a limit of time nor to one of memory.

use mlua::{Lua, Table, Value};

use super::{LONG_TEXT, interval, is_true, number_argument, number_text, optional_number, string_argument};
use crate::error::{bad_argument, raise, type_name};
use crate::pattern::{self, Capture, Match, PatternError};
use crate::vm::{Arguments, MEMORY_BYTES_MAX};

/// Bytes that make a pattern one.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Puts our functions into the table of strings' functions.
pub(crate) fn replace(lua: &Lua, string: &Table) -> mlua::Result<()> {
    string.raw_set("find", lua.create_function(|lua, args: Arguments| find(lua, &args, true))?)?;
    string.raw_set("match", lua.create_function(|lua, args: Arguments| find(lua, &args, false))?)?;
    let gmatch = lua.create_function(|lua, args: Arguments| gmatch(lua, &args))?;
    string.raw_set("gmatch", gmatch.clone())?;
    string.raw_set("gfind", gmatch)?;
    string.raw_set("gsub", lua.create_function(|lua, args: Arguments| gsub(lua, &args))?)?;
    // Lua's own take seconds for a hundred megabytes, during which nobody can be asked.
    for (name, change) in [
        ("upper", <[u8]>::make_ascii_uppercase as fn(&mut [u8])),
        ("lower", <[u8]>::make_ascii_lowercase),
        ("reverse", <[u8]>::reverse),
    ] {
        let function = lua.create_function(move |lua, args: Arguments| {
            let text = string_argument(lua, &args, 0, name)?;
            check_room(lua, text.as_bytes().len())?;
            let mut bytes = text.as_bytes().to_vec();
            change(&mut bytes);
            lua.create_string(bytes)
        })?;
        string.raw_set(name, function)?;
    }
    string.raw_set("rep", lua.create_function(|lua, args: Arguments| rep(lua, &args))?)
}

/// Whether a text of `len` bytes may be made.
fn check_room(lua: &Lua, len: usize) -> mlua::Result<()> {
    if len < LONG_TEXT {
        return Ok(());
    }
    interval(lua)?;
    let fits = || lua.used_memory().saturating_add(len) <= MEMORY_BYTES_MAX;
    if fits() || (lua.gc_collect().is_ok() && fits()) { Ok(()) } else { Err(raise(lua, "not enough memory")) }
}

fn rep(lua: &Lua, args: &Arguments) -> mlua::Result<mlua::LuaString> {
    let text = string_argument(lua, args, 0, "rep")?;
    let times = number_argument(lua, args, 1, "rep")?;
    let text = text.as_bytes();
    if times < 1.0 || text.is_empty() {
        return lua.create_string(b"");
    }
    let len = (times as usize).checked_mul(text.len()).filter(|&len| len < MEMORY_BYTES_MAX);
    let Some(len) = len else { return Err(raise(lua, "resulting string too large")) };
    check_room(lua, len)?;
    let mut bytes = Vec::with_capacity(len);
    // Doubling: few large copies instead of many small ones.
    bytes.extend_from_slice(&text);
    while bytes.len() < len {
        let more = bytes.len().min(len - bytes.len());
        bytes.extend_from_within(..more);
    }
    lua.create_string(bytes)
}

fn error_of(lua: &Lua, error: PatternError<mlua::Error>) -> mlua::Error {
    match error {
        PatternError::Malformed(text) => raise(lua, text),
        PatternError::Stopped(error) => error,
    }
}

/// The first match, the script's time permitting.
fn first(lua: &Lua, text: &[u8], pattern: &[u8], from: usize) -> mlua::Result<Option<Match>> {
    pattern::find(text, pattern, from, &mut || interval(lua)).map_err(|error| error_of(lua, error))
}

fn capture_value(lua: &Lua, text: &[u8], capture: Capture) -> mlua::Result<Value> {
    match capture {
        Capture::Text(start, end) => Ok(Value::String(lua.create_string(&text[start..end])?)),
        Capture::Position(at) => Ok(Value::Integer(at as i64)),
        Capture::Open(_) => Err(raise(lua, "unfinished capture")),
    }
}

/// Appends the captures, or the whole match if there are none and `whole` is set.
fn push_captures(lua: &Lua, text: &[u8], found: &Match, whole: bool, to: &mut Arguments) -> mlua::Result<()> {
    if found.captures().is_empty() && whole {
        to.push_back(Value::String(lua.create_string(&text[found.start..found.end])?));
    }
    for &capture in found.captures() {
        to.push_back(capture_value(lua, text, capture)?);
    }
    Ok(())
}

fn find(lua: &Lua, args: &Arguments, positions: bool) -> mlua::Result<Arguments> {
    let name = if positions { "find" } else { "match" };
    let text = string_argument(lua, args, 0, name)?;
    let pattern = string_argument(lua, args, 1, name)?;
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let init = optional_number(lua, args, 2, name)?.unwrap_or(1.0);
    let init = if init < 0.0 { (text.len() as f64 + init).max(0.0) } else { (init - 1.0).max(0.0) };
    let from = (init as usize).min(text.len());
    let mut results = Arguments::new();
    if positions && (is_true(args.get(3)) || !pattern.iter().any(|byte| SPECIALS.contains(byte))) {
        match memchr::memmem::find(&text[from..], &pattern) {
            Some(at) => {
                results.push_back(Value::Integer((from + at + 1) as i64));
                results.push_back(Value::Integer((from + at + pattern.len()) as i64));
            }
            None => results.push_back(Value::Nil),
        }
        return Ok(results);
    }
    match first(lua, &text, &pattern, from)? {
        Some(found) => {
            if positions {
                results.push_back(Value::Integer((found.start + 1) as i64));
                results.push_back(Value::Integer(found.end as i64));
            }
            push_captures(lua, &text, &found, !positions, &mut results)?;
        }
        None => results.push_back(Value::Nil),
    }
    Ok(results)
}

fn gmatch(lua: &Lua, args: &Arguments) -> mlua::Result<mlua::Function> {
    let text = string_argument(lua, args, 0, "gmatch")?;
    let pattern = string_argument(lua, args, 1, "gmatch")?;
    let mut from = 0;
    lua.create_function_mut(move |lua, _: Arguments| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let mut results = Arguments::new();
        // In gmatch a `^` is a byte like any other.
        let escaped;
        let pattern: &[u8] = if pattern.first() == Some(&b'^') {
            escaped = [b"%", &pattern[..]].concat();
            &escaped
        } else {
            &pattern
        };
        if from <= text.len()
            && let Some(found) = first(lua, &text, pattern, from)?
        {
            from = if found.end == found.start { found.end + 1 } else { found.end };
            push_captures(lua, &text, &found, true, &mut results)?;
        } else {
            from = text.len() + 1;
            results.push_back(Value::Nil);
        }
        Ok(results)
    })
}

fn gsub(lua: &Lua, args: &Arguments) -> mlua::Result<(mlua::LuaString, i64)> {
    let text = string_argument(lua, args, 0, "gsub")?;
    let pattern = string_argument(lua, args, 1, "gsub")?;
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let template = match args.get(2) {
        Some(Value::String(_) | Value::Integer(_) | Value::Number(_)) => Some(string_argument(lua, args, 2, "gsub")?),
        Some(Value::Table(_) | Value::Function(_)) => None,
        other => {
            let what = format!("string/function/table expected, got {}", type_name(other));
            return Err(bad_argument(lua, 3, "gsub", &what));
        }
    };
    let most = optional_number(lua, args, 3, "gsub")?.map_or(i64::MAX, |number| number as i64);
    let anchored = pattern.first() == Some(&b'^');
    let mut result = Vec::with_capacity(text.len());
    let (mut at, mut count) = (0, 0);
    while count < most {
        let Some(found) = first(lua, &text, &pattern, at)? else { break };
        result.extend_from_slice(&text[at..found.start]);
        count += 1;
        let replaced = match (&template, args.get(2)) {
            (Some(template), _) => {
                expand(lua, &text, &found, &template.as_bytes(), &mut result)?;
                true
            }
            (None, Some(Value::Table(table))) => {
                let key = match found.captures().first() {
                    Some(&capture) => capture_value(lua, &text, capture)?,
                    None => Value::String(lua.create_string(&text[found.start..found.end])?),
                };
                append(lua, table.get(key)?, &mut result)?
            }
            (None, Some(Value::Function(function))) => {
                let mut values = Arguments::new();
                push_captures(lua, &text, &found, true, &mut values)?;
                append(lua, function.call(values)?, &mut result)?
            }
            _ => false,
        };
        if !replaced {
            result.extend_from_slice(&text[found.start..found.end]);
        }
        at = found.end;
        if found.end == found.start {
            // An empty match: the byte behind it stays.
            let Some(&byte) = text.get(at) else {
                at = text.len() + 1;
                break;
            };
            result.push(byte);
            at += 1;
        }
        if result.len() >= MEMORY_BYTES_MAX {
            return Err(raise(lua, "not enough memory"));
        }
        if anchored || at > text.len() {
            break;
        }
    }
    if at < text.len() {
        result.extend_from_slice(&text[at..]);
    }
    Ok((lua.create_string(result)?, count))
}

/// Appends a replacement; returns whether there is one.
fn append(lua: &Lua, value: Value, to: &mut Vec<u8>) -> mlua::Result<bool> {
    match value {
        Value::Nil | Value::Boolean(false) => return Ok(false),
        Value::String(text) => to.extend_from_slice(&text.as_bytes()),
        Value::Integer(number) => to.extend_from_slice(number_text(number as f64).as_bytes()),
        Value::Number(number) => to.extend_from_slice(number_text(number).as_bytes()),
        other => return Err(raise(lua, format!("invalid replacement value (a {})", type_name(Some(&other))))),
    }
    Ok(true)
}

fn expand(lua: &Lua, text: &[u8], found: &Match, template: &[u8], to: &mut Vec<u8>) -> mlua::Result<()> {
    let mut rest = template.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            to.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'0') => to.extend_from_slice(&text[found.start..found.end]),
            Some(digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                match found.captures().get(index) {
                    Some(&capture) => {
                        append(lua, capture_value(lua, text, capture)?, to)?;
                    }
                    None if index == 0 => to.extend_from_slice(&text[found.start..found.end]),
                    None => return Err(raise(lua, "invalid capture index")),
                }
            }
            Some(&other) => to.push(other),
            // Lua reads the zero byte that ends its strings.
            None => to.push(0),
        }
    }
    Ok(())
}
