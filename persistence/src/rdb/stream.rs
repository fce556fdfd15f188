//! Streams: nodes are copied as they are, groups told entry by entry.
//!
//! ```text
//! nodes: n, then (id, 16 bytes as a string | listpack)
//! entries | last id | first id, greatest deleted id, entries ever added      the last three from the second form on
//! groups: n, then
//!   name | last id | entries read                                            the last from the second form on
//!   pending: n, then (id, 16 bytes | time i64 | deliveries)
//!   consumers: n, then (name | seen i64 | active i64 | its pending: n, then ids)   active in the third form
//! ```
//!
//! Times are milliseconds since the epoch; an id is two lengths, milliseconds first, but where it says 16 bytes.

use std::io::{self, Write};

use engine::ds::listpack::ElemBuf;
use engine::types::Stream;
use engine::types::stream::{Group, GroupParts, PartsError, StreamId, StreamMeta, StreamParts};

use super::dialect::Dialect;
use super::error::RdbError;
use super::format::kind;
use super::input::{Input, Source};
use super::output::Output;

/// The newest form that a dialect has.
pub(crate) fn form(dialect: Dialect) -> u8 {
    if dialect.has_packed_sets() {
        kind::STREAM_LISTPACKS_3
    } else if dialect.has_listpacks() {
        kind::STREAM_LISTPACKS_2
    } else {
        kind::STREAM_LISTPACKS
    }
}

/// Writes what follows the key of a stream, in the form of this type.
pub(crate) fn save<W: Write>(out: &mut Output<W>, stream: &Stream, form: u8) -> io::Result<()> {
    let nodes = stream.log().nodes();
    out.length(nodes.len() as u64);
    for (first, pack) in nodes {
        out.string(&first.to_bytes())?;
        out.string(pack.as_bytes())?;
        out.drain_if_full()?;
    }
    out.length(stream.len());
    save_id(out, stream.last_id());
    if form != kind::STREAM_LISTPACKS {
        save_id(out, stream.first_id());
        save_id(out, stream.max_deleted_id());
        out.length(stream.entries_added());
    }
    out.length(stream.groups_len() as u64);
    for (name, group) in stream.groups() {
        out.string(name)?;
        save_group(out, group, form)?;
    }
    Ok(())
}

fn save_id<W: Write>(out: &mut Output<W>, id: StreamId) {
    out.length(id.ms);
    out.length(id.seq);
}

fn save_group<W: Write>(out: &mut Output<W>, group: &Group, form: u8) -> io::Result<()> {
    save_id(out, group.last_id);
    if form != kind::STREAM_LISTPACKS {
        // What is not known is -1.
        out.length(group.entries_read.unwrap_or(u64::MAX));
    }
    out.length(group.pending_len() as u64);
    for (id, pending) in group.pending_from(StreamId::MIN) {
        out.raw(&id.to_bytes());
        out.raw(&pending.delivered_at.to_le_bytes());
        out.length(pending.deliveries);
        out.drain_if_full()?;
    }
    out.length(group.consumers_len() as u64);
    for (_, consumer) in group.consumers() {
        out.string(consumer.name())?;
        out.raw(&consumer.seen_at.to_le_bytes());
        if form == kind::STREAM_LISTPACKS_3 {
            out.raw(&consumer.active_at.to_le_bytes());
        }
        out.length(consumer.pending_len() as u64);
        for id in consumer.pending_from(StreamId::MIN) {
            out.raw(&id.to_bytes());
            out.drain_if_full()?;
        }
    }
    Ok(())
}

impl From<PartsError> for RdbError {
    fn from(error: PartsError) -> Self {
        match error {
            PartsError::Memory => RdbError::OutOfMemory,
            error => RdbError::Corrupt(error.as_str()),
        }
    }
}

/// Reads a stream in the form of this type.
pub(crate) fn load<S: Source>(input: &mut Input<S>, form: u8) -> Result<Stream, RdbError> {
    let mut parts = StreamParts::new();
    let mut buffer = ElemBuf::new();
    for _ in 0..input.length()? {
        let first = input.element()?.text(&mut buffer);
        let first =
            first.try_into().map_err(|_| RdbError::Corrupt("Stream node key entry is not the size of a stream ID"))?;
        parts.push_node(StreamId::from_bytes(first), input.element()?.text(&mut buffer))?;
    }
    let (len, last_id) = (input.length()?, load_id(input)?);
    let meta = if form == kind::STREAM_LISTPACKS {
        None
    } else {
        Some(StreamMeta { first_id: load_id(input)?, max_deleted_id: load_id(input)?, entries_added: input.length()? })
    };
    for _ in 0..input.length()? {
        let name = input.element()?.to_vec();
        let group = load_group(input, form)?;
        parts.push_group(&name, group)?;
    }
    Ok(parts.build(len, last_id, meta)?)
}

fn load_id<S: Source>(input: &mut Input<S>) -> Result<StreamId, RdbError> {
    Ok(StreamId::new(input.length()?, input.length()?))
}

fn load_group<S: Source>(input: &mut Input<S>, form: u8) -> Result<GroupParts, RdbError> {
    let last_id = load_id(input)?;
    let entries_read = if form == kind::STREAM_LISTPACKS { None } else { Some(input.length()?) };
    let mut group = GroupParts::new(last_id, entries_read.filter(|&read| i64::try_from(read).is_ok()));
    for _ in 0..input.length()? {
        let id = StreamId::from_bytes(input.array()?);
        let delivered_at = i64::from_le_bytes(input.array()?);
        group.push_pending(id, delivered_at, input.length()?)?;
    }
    for _ in 0..input.length()? {
        let name = input.element()?.to_vec();
        let seen_at = i64::from_le_bytes(input.array()?);
        let active_at = if form == kind::STREAM_LISTPACKS_3 { i64::from_le_bytes(input.array()?) } else { seen_at };
        let consumer = group.push_consumer(&name, seen_at, active_at)?;
        for _ in 0..input.length()? {
            group.give(consumer, StreamId::from_bytes(input.array()?))?;
        }
    }
    Ok(group)
}
