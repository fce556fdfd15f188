//! Entries as JSON, element by element.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use engine::ds::listpack::{Elem, ElemBuf};
use engine::keyspace::Incoming;
use engine::types::stream::{Group, IdText, StreamId};
use engine::types::{Hash, List, Set, Stream, Value, Zset};

use super::reader::Entry;

/// A line about the file.
pub(super) fn aux(out: &mut impl Write, name: &[u8], value: &[u8]) -> io::Result<()> {
    out.write_all(b"{\"aux\":")?;
    text(out, name)?;
    out.write_all(b",\"value\":")?;
    text(out, value)?;
    out.write_all(b"}\n")
}

/// A line with a library of functions.
pub(super) fn function(out: &mut impl Write, code: &[u8]) -> io::Result<()> {
    out.write_all(b"{\"function\":")?;
    text(out, code)?;
    out.write_all(b"}\n")
}

/// A line with a key.
pub(super) fn entry(out: &mut impl Write, entry: Entry<'_>) -> io::Result<()> {
    write!(out, "{{\"db\":{},\"key\":", entry.db)?;
    text(out, entry.key)?;
    if let Some(at) = entry.deadline {
        write!(out, ",\"expires_at\":{}", at.0)?;
    }
    if let Some(secs) = entry.idle_secs {
        write!(out, ",\"idle\":{secs}")?;
    }
    if let Some(frequency) = entry.frequency {
        write!(out, ",\"frequency\":{frequency}")?;
    }
    match entry.value {
        Incoming::String(string) => {
            out.write_all(b",\"type\":\"string\",\"value\":")?;
            element(out, string)?;
        }
        Incoming::Value(value) => {
            write!(out, ",\"type\":\"{}\",\"value\":", value.kind().as_str())?;
            match &value {
                Value::String(string) => text(out, string.as_ref().text(&mut itoa::Buffer::new()))?,
                Value::List(list) => self::list(out, list)?,
                Value::Set(set) => self::set(out, set)?,
                Value::Hash(hash) => self::hash(out, hash)?,
                Value::Zset(zset) => self::zset(out, zset)?,
                Value::Stream(stream) => self::stream(out, stream)?,
            }
        }
    }
    out.write_all(b"}\n")
}

/// A string: as such when it is text, in base64 otherwise.
fn text(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(serde_json::to_writer(out, text)?),
        Err(_) => write!(out, "{{\"base64\":\"{}\"}}", Base64Display::new(bytes, &STANDARD)),
    }
}

fn element(out: &mut impl Write, element: Elem<'_>) -> io::Result<()> {
    text(out, element.text(&mut ElemBuf::new()))
}

/// Puts commas between the items of a sequence.
struct Commas(bool);

impl Commas {
    fn next(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::replace(&mut self.0, true) { out.write_all(b",") } else { Ok(()) }
    }
}

/// A sequence, each item written by `item`.
fn array<W: Write, T>(
    out: &mut W,
    items: impl Iterator<Item = T>,
    mut item: impl FnMut(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    let mut commas = Commas(false);
    out.write_all(b"[")?;
    for one in items {
        commas.next(out)?;
        item(out, one)?;
    }
    out.write_all(b"]")
}

fn list(out: &mut impl Write, list: &List) -> io::Result<()> {
    let (mut commas, mut result) = (Commas(false), Ok(()));
    out.write_all(b"[")?;
    list.for_range(0, list.len(), |one| {
        if result.is_ok() {
            result = commas.next(out).and_then(|()| element(out, one));
        }
    });
    result?;
    out.write_all(b"]")
}

fn set(out: &mut impl Write, set: &Set) -> io::Result<()> {
    array(out, set.iter(), |out, member| element(out, member))
}

fn hash(out: &mut impl Write, hash: &Hash) -> io::Result<()> {
    array(out, hash.iter_stored(), |out, stored| {
        out.write_all(b"{\"field\":")?;
        element(out, stored.field)?;
        out.write_all(b",\"value\":")?;
        element(out, stored.value)?;
        if let Some(at) = stored.deadline {
            write!(out, ",\"expires_at\":{}", at.0)?;
        }
        out.write_all(b"}")
    })
}

fn zset(out: &mut impl Write, zset: &Zset) -> io::Result<()> {
    array(out, zset.iter(), |out, (member, score)| {
        out.write_all(b"{\"member\":")?;
        element(out, member)?;
        let quote = if score.is_finite() { "" } else { "\"" };
        let score = resp::number::format_f64(score);
        write!(out, ",\"score\":{quote}{}{quote}}}", score.as_bytes().escape_ascii())
    })
}

fn id(out: &mut impl Write, name: &str, id: StreamId) -> io::Result<()> {
    write!(out, "\"{name}\":\"{}\"", id.text(&mut IdText::new()).escape_ascii())
}

fn stream(out: &mut impl Write, stream: &Stream) -> io::Result<()> {
    out.write_all(b"{")?;
    id(out, "last_id", stream.last_id())?;
    out.write_all(b",")?;
    id(out, "max_deleted_id", stream.max_deleted_id())?;
    write!(out, ",\"entries_added\":{},\"entries\":", stream.entries_added())?;
    array(out, stream.log().range(StreamId::MIN, StreamId::MAX), |out, entry| {
        out.write_all(b"{")?;
        id(out, "id", entry.id)?;
        out.write_all(b",\"fields\":")?;
        array(out, entry.fields, |out, (field, value)| {
            out.write_all(b"[")?;
            element(out, field)?;
            out.write_all(b",")?;
            element(out, value)?;
            out.write_all(b"]")
        })?;
        out.write_all(b"}")
    })?;
    out.write_all(b",\"groups\":")?;
    array(out, stream.groups(), |out, (name, group)| self::group(out, name, group))?;
    out.write_all(b"}")
}

fn group(out: &mut impl Write, name: &[u8], group: &Group) -> io::Result<()> {
    out.write_all(b"{\"name\":")?;
    text(out, name)?;
    out.write_all(b",")?;
    id(out, "last_id", group.last_id)?;
    match group.entries_read {
        Some(read) => write!(out, ",\"entries_read\":{read}")?,
        None => out.write_all(b",\"entries_read\":null")?,
    }
    out.write_all(b",\"pending\":")?;
    array(out, group.pending_from(StreamId::MIN), |out, (at, pending)| {
        out.write_all(b"{")?;
        id(out, "id", at)?;
        out.write_all(b",\"consumer\":")?;
        text(out, group.consumer(pending.consumer).name())?;
        write!(out, ",\"delivered_at\":{},\"deliveries\":{}}}", pending.delivered_at, pending.deliveries)
    })?;
    out.write_all(b",\"consumers\":")?;
    array(out, group.consumers(), |out, (_, consumer)| {
        out.write_all(b"{\"name\":")?;
        text(out, consumer.name())?;
        write!(out, ",\"seen_at\":{},\"active_at\":{}}}", consumer.seen_at, consumer.active_at)
    })?;
    out.write_all(b"}")
}
