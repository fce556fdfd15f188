//! Replies ↔ Lua values.

use mlua::{Lua, Table, Value};
use resp::Protocol;
use resp::writer::Writer;

/// Deepest table that becomes a reply.
pub const DEPTH_MAX: usize = 1000;

/// Deepest reply that becomes a table.
const REPLY_DEPTH_MAX: usize = 128;

/// Longest array of a reply for which room is made before its elements are there.
const ROOM_MAX: usize = 1024;

/// One encoded reply as a Lua value. An error becomes a table with the field `err`.
///
/// # Errors
/// When Lua has no memory for it, or the bytes are no reply.
pub fn from_reply(lua: &Lua, reply: &[u8]) -> mlua::Result<Value> {
    Cursor { lua, rest: reply }.value(REPLY_DEPTH_MAX)
}

struct Cursor<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

fn malformed() -> mlua::Error {
    crate::error::raise_plain("ERR the reply of a command is malformed")
}

impl<'a> Cursor<'a> {
    fn line(&mut self) -> mlua::Result<(u8, &'a [u8])> {
        let end = memchr::memchr(b'\r', self.rest).filter(|&end| end > 0).ok_or_else(malformed)?;
        let (kind, line) = (self.rest[0], &self.rest[1..end]);
        self.rest = self.rest.get(end + 2..).ok_or_else(malformed)?;
        Ok((kind, line))
    }

    fn bytes(&mut self, len: i64) -> mlua::Result<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| malformed())?;
        let end = len.checked_add(2).filter(|&end| end <= self.rest.len()).ok_or_else(malformed)?;
        let bytes = &self.rest[..len];
        self.rest = &self.rest[end..];
        Ok(bytes)
    }

    fn field(&self, name: &str, value: impl mlua::IntoLua) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn string(&self, bytes: &[u8]) -> mlua::Result<Value> {
        Ok(Value::String(self.lua.create_string(bytes)?))
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        let depth = depth.checked_sub(1).ok_or_else(malformed)?;
        let (kind, line) = self.line()?;
        let number = || resp::number::parse_i64(line).ok_or_else(malformed);
        match kind {
            b'$' => match number()? {
                -1 => Ok(Value::Boolean(false)),
                len => {
                    let bytes = self.bytes(len)?;
                    self.string(bytes)
                }
            },
            // Lua 5.1 has one kind of number: what a double cannot hold is rounded.
            b':' => Ok(Value::Number(number()? as f64)),
            b'+' => self.field("ok", self.string(line)?),
            b'-' => self.field("err", self.string(line)?),
            b'*' | b'>' => match number()? {
                -1 => Ok(Value::Boolean(false)),
                len => {
                    let table = self.lua.create_table_with_capacity((len.max(0) as usize).min(ROOM_MAX), 0)?;
                    for index in 1..=len {
                        let value = self.value(depth)?;
                        // A null of RESP3 is nil: it leaves a hole.
                        if !value.is_nil() {
                            table.raw_set(index, value)?;
                        }
                    }
                    Ok(Value::Table(table))
                }
            },
            b'_' => Ok(Value::Nil),
            b'#' => Ok(Value::Boolean(line == b"t")),
            b',' => {
                let number = resp::number::parse_f64(line).unwrap_or(f64::NAN);
                self.field("double", number)
            }
            b'(' => self.field("big_number", self.string(line)?),
            b'=' => {
                let len = number()?;
                let bytes = self.bytes(len)?;
                let (format, text) = bytes.split_at_checked(4).ok_or_else(malformed)?;
                let verbatim = self.lua.create_table_with_capacity(0, 2)?;
                verbatim.raw_set("string", self.string(text)?)?;
                verbatim.raw_set("format", self.string(&format[..3])?)?;
                self.field("verbatim_string", verbatim)
            }
            b'%' => {
                let map = self.lua.create_table()?;
                for _ in 0..number()? {
                    let key = self.value(depth)?;
                    let value = self.value(depth)?;
                    if !key.is_nil() {
                        map.raw_set(key, value)?;
                    }
                }
                self.field("map", map)
            }
            b'~' => {
                let set = self.lua.create_table()?;
                for _ in 0..number()? {
                    let member = self.value(depth)?;
                    if !member.is_nil() {
                        set.raw_set(member, true)?;
                    }
                }
                self.field("set", set)
            }
            // Attributes of the reply that follows: scripts do not see them.
            b'|' => {
                for _ in 0..number()?.max(0).saturating_mul(2) {
                    self.value(depth)?;
                }
                self.value(depth)
            }
            _ => Err(malformed()),
        }
    }
}

/// What was met while a reply was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Texts of the errors in it that no command gave.
    pub errors: Vec<Vec<u8>>,
    /// The reply itself is an error.
    pub failed: bool,
}

/// Writes what a script returned as its reply. `script` is the protocol that the script chose for its own calls.
///
/// # Errors
/// When Lua fails.
pub fn to_reply(value: &Value, script: Protocol, out: &mut Writer<'_>, written: &mut Written) -> mlua::Result<()> {
    write(value, script, out, written, DEPTH_MAX)
}

fn write(
    value: &Value,
    script: Protocol,
    out: &mut Writer<'_>,
    written: &mut Written,
    depth: usize,
) -> mlua::Result<()> {
    if depth == 0 {
        out.error("ERR reached lua stack limit");
        return Ok(());
    }
    match value {
        Value::String(text) => out.bulk(&text.as_bytes()),
        Value::Integer(number) => out.integer(*number),
        Value::Number(number) => out.integer(truncate(*number)),
        Value::Boolean(yes) => match (script, yes) {
            (Protocol::Resp3, yes) => out.boolean(*yes),
            (Protocol::Resp2, true) => out.integer(1),
            (Protocol::Resp2, false) => out.null(),
        },
        Value::Table(table) => write_table(table, script, out, written, depth - 1)?,
        _ => out.null(),
    }
    Ok(())
}

/// A number as Redis makes an integer of it: towards zero; what does not fit becomes the smallest.
fn truncate(number: f64) -> i64 {
    if number.is_nan() || number >= 9_223_372_036_854_775_808.0 { i64::MIN } else { number as i64 }
}

fn write_table(
    table: &Table,
    script: Protocol,
    out: &mut Writer<'_>,
    written: &mut Written,
    depth: usize,
) -> mlua::Result<()> {
    // A plain array is by far the most frequent: it has a first element and none of the names.
    if let Value::String(text) = table.raw_get("err")? {
        let text = text.as_bytes();
        if !matches!(table.raw_get("ignore_error_stats_update")?, Value::Boolean(true)) {
            written.errors.push(text.to_vec());
        }
        written.failed |= depth + 2 > DEPTH_MAX;
        out.error_bytes(&text);
        return Ok(());
    }
    if let Value::String(text) = table.raw_get("ok")? {
        out.simple_bytes(&text.as_bytes());
        return Ok(());
    }
    match table.raw_get("double")? {
        Value::Number(number) => {
            out.double(number);
            return Ok(());
        }
        Value::Integer(number) => {
            out.double(number as f64);
            return Ok(());
        }
        _ => {}
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let at = out.deferred();
        let mut pairs = 0;
        map.for_each::<Value, Value>(|key, value| {
            pairs += 1;
            write(&key, script, out, written, depth)?;
            write(&value, script, out, written, depth)
        })?;
        out.finish_map(at, pairs);
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let at = out.deferred();
        let mut members = 0;
        set.for_each::<Value, Value>(|member, _| {
            members += 1;
            write(&member, script, out, written, depth)
        })?;
        out.finish_set(at, members);
        return Ok(());
    }
    if let Value::String(digits) = table.raw_get("big_number")? {
        let digits: String = String::from_utf8_lossy(&digits.as_bytes()).replace(['\r', '\n'], " ");
        out.big_number(&digits);
        return Ok(());
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let Value::String(text) = verbatim.raw_get("string")?
        && let Value::String(format) = verbatim.raw_get("format")?
    {
        let mut three = *b"   ";
        for (to, from) in three.iter_mut().zip(format.as_bytes().iter()) {
            *to = if from.is_ascii_graphic() { *from } else { b' ' };
        }
        out.verbatim(&String::from_utf8_lossy(&three), &text.as_bytes());
        return Ok(());
    }
    let at = out.deferred();
    let mut len = 0;
    loop {
        let element: Value = table.raw_get(len + 1)?;
        if element.is_nil() {
            break;
        }
        len += 1;
        write(&element, script, out, written, depth)?;
    }
    out.finish_array(at, len);
    Ok(())
}
