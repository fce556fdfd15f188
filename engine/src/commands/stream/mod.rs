//! Stream commands. <https://redis.io/docs/latest/commands/?group=stream>

use resp::number::parse_u64_lenient;
use resp::writer::Writer;
use smallvec::SmallVec;

use crate::commands::elements::reply_elem;
use crate::config::EngineConfig;
use crate::effects::{Effects, EventClass};
use crate::error::CommandError;
use crate::time::UnixMs;
use crate::types::stream::{ConsumerId, Entry, Group, IdText, Limits, Pending, StreamId};

mod add;
mod claim;
mod delete;
mod group;
mod info;
mod pending;
mod range;
mod read;
#[cfg(test)]
mod tests;
mod trim;

pub use add::COMMANDS as ADD;
pub use claim::COMMANDS as CLAIM;
pub use delete::COMMANDS as DELETE;
pub use group::COMMANDS as GROUP;
pub use info::COMMANDS as INFO;
pub use pending::COMMANDS as PENDING;
pub use range::COMMANDS as RANGE;
pub use read::COMMANDS as READ;

const INVALID_ID: CommandError = CommandError::Text("ERR Invalid stream ID specified as stream command argument");

/// An id as it is given: `ms-seq`, or `ms` alone, for which `seq` is filled in.
fn parse_id(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    // Longer than any id; nobody has to look through it.
    const TEXT_MAX: usize = 127;
    let parse = || {
        if text.len() > TEXT_MAX {
            return None;
        }
        // As in Redis, nothing behind a zero byte counts.
        let text = memchr::memchr(0, text).map_or(text, |end| &text[..end]);
        Some(match memchr::memchr(b'-', text) {
            Some(hyphen) => StreamId::new(parse_u64_lenient(&text[..hyphen])?, parse_u64_lenient(&text[hyphen + 1..])?),
            None => StreamId::new(parse_u64_lenient(text)?, missing_seq),
        })
    };
    parse().ok_or(INVALID_ID)
}

/// The same, or `-` and `+` for the least and the greatest.
fn parse_bound(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse_id(text, missing_seq),
    }
}

/// The lower bound of a range; `(` leaves the id itself out.
fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] => parse_id(id, 0)?.next().ok_or(CommandError::Text("ERR invalid start ID for the interval")),
        _ => parse_bound(text, 0),
    }
}

/// The upper bound of a range.
fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] => {
            parse_id(id, u64::MAX)?.prev().ok_or(CommandError::Text("ERR invalid end ID for the interval"))
        }
        _ => parse_bound(text, u64::MAX),
    }
}

/// Several ids, all of which must parse before anything is done.
fn parse_ids(texts: &[&[u8]]) -> Result<SmallVec<[StreamId; 8]>, CommandError> {
    texts.iter().map(|text| parse_id(text, 0)).collect()
}

#[inline]
fn reply_id(out: &mut Writer<'_>, id: StreamId) {
    out.bulk(id.text(&mut IdText::new()));
}

/// Writes an entry: its id, and its fields and values in turn.
fn reply_entry(out: &mut Writer<'_>, entry: Entry<'_>) {
    out.array(2);
    reply_id(out, entry.id);
    out.array(entry.fields.len() * 2);
    for (field, value) in entry.fields {
        reply_elem(out, field);
        reply_elem(out, value);
    }
}

/// Writes entries as an array; returns how many.
fn reply_entries<'a>(out: &mut Writer<'_>, entries: impl Iterator<Item = Entry<'a>>) -> usize {
    let array = out.deferred();
    let count = entries.map(|entry| reply_entry(out, entry)).count();
    out.finish_array(array, count);
    count
}

/// What readers and claimers say when there is no such key or group.
fn no_group(key: &[u8], group: &[u8], suffix: &str) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    CommandError::owned(format!("NOGROUP No such key '{key}' or consumer group '{group}'{suffix}"))
}

/// What XGROUP and XINFO say when the key has no such group.
fn no_group_of_key(key: &[u8], group: &[u8]) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    CommandError::owned(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// What a subcommand says when its arguments make no sense.
fn bad_subcommand(container: &str, name: &[u8]) -> CommandError {
    let name = String::from_utf8_lossy(name);
    CommandError::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP."
    ))
}

/// Propagates that an entry is pending as it now is, whatever command brought it about.
fn propagate_claim(effects: &mut Effects, key: &[u8], group: (&[u8], &Group), id: StreamId, pending: &Pending) {
    if !effects.interest.propagation {
        return effects.propagate_nothing();
    }
    let (name, group) = group;
    let mut numbers = (itoa::Buffer::new(), itoa::Buffer::new());
    effects.propagate_instead(&[
        b"XCLAIM",
        key,
        name,
        group.consumer(pending.consumer).name(),
        b"0",
        id.text(&mut IdText::new()),
        b"TIME",
        numbers.0.format(pending.delivered_at).as_bytes(),
        b"RETRYCOUNT",
        numbers.1.format(pending.deliveries).as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        group.last_id.text(&mut IdText::new()),
    ]);
}

/// Propagates how far a group has read.
fn propagate_group_id(effects: &mut Effects, key: &[u8], name: &[u8], group: &Group) {
    if !effects.interest.propagation {
        return effects.propagate_nothing();
    }
    let mut number = itoa::Buffer::new();
    effects.propagate_instead(&[
        b"XGROUP",
        b"SETID",
        key,
        name,
        group.last_id.text(&mut IdText::new()),
        b"ENTRIESREAD",
        match group.entries_read {
            Some(read) => number.format(read).as_bytes(),
            None => b"-1",
        },
    ]);
}

/// A consumer that shows itself.
struct Seen {
    id: ConsumerId,
    created: bool,
}

/// The consumer of this name, which is created when it is new, seen now.
fn seen_consumer(effects: &mut Effects, key: &[u8], group: &mut Group, name: &[u8], now: UnixMs) -> Seen {
    if let Some(id) = group.find_consumer(name) {
        group.consumer_mut(id).seen_at = now.0;
        return Seen { id, created: false };
    }
    effects.dirty += 1;
    effects.event(EventClass::STREAM, "xgroup-createconsumer", key);
    Seen { id: group.create_consumer(name, now.0), created: true }
}

/// Limits of nodes.
fn limits(config: &EngineConfig) -> Limits {
    Limits { bytes: config.stream_node_max_bytes, entries: config.stream_node_max_entries }
}
