//! Sorted-set commands. <https://redis.io/docs/latest/commands/?group=sorted-set>

use std::ops::Range;

use resp::Protocol;
use resp::writer::Writer;

use crate::ctx::Ctx;
use crate::ds::listpack::Elem;
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::Expiry;
use crate::types::zset::Order;
use crate::types::{Value, Zset};

mod add;
mod pop;
mod range;
mod rank;
mod scan;
mod store;
#[cfg(test)]
mod tests;

pub use add::COMMANDS as ADD;
pub(crate) use add::{Options as AddOptions, add_members, remove_members};
pub use pop::COMMANDS as POP;
pub use range::COMMANDS as RANGE;
pub use rank::COMMANDS as RANK;
pub use scan::COMMANDS as SCAN;
pub use store::COMMANDS as STORE;

/// Whether members are replied with their scores.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Scores {
    With,
    Without,
}

/// Writes a member as a bulk reply.
#[inline]
pub(super) fn reply_name(out: &mut Writer<'_>, name: Elem<'_>) {
    match name {
        Elem::Int(n) => out.bulk_integer(n),
        Elem::Str(bytes) => out.bulk(bytes),
    }
}

/// Begins a reply of `count` members: pairs are flat in RESP2 and nested in RESP3.
fn begin_members(out: &mut Writer<'_>, count: usize, scores: Scores) {
    let flat_pairs = scores == Scores::With && out.protocol() == Protocol::Resp2;
    out.array(if flat_pairs { 2 * count } else { count });
}

/// Writes one of the members announced by [`begin_members`].
#[inline]
fn reply_member(out: &mut Writer<'_>, name: Elem<'_>, score: f64, scores: Scores) {
    if scores == Scores::Without {
        return reply_name(out, name);
    }
    if out.protocol() == Protocol::Resp3 {
        out.array(2);
    }
    reply_name(out, name);
    out.double(score);
}

/// Replies the members of these ranks.
fn reply_range(out: &mut Writer<'_>, zset: &Zset, ranks: Range<usize>, order: Order, scores: Scores) {
    begin_members(out, ranks.len(), scores);
    zset.range(ranks, order, |name, score| reply_member(out, name, score, scores));
}

/// Turns inclusive, possibly negative ranks into a range within a set of `len` members.
pub(crate) fn resolve_ranks(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let first = if start < 0 { start.saturating_add(len).max(0) } else { start };
    let last = if stop < 0 { stop.saturating_add(len) } else { stop.min(len - 1) };
    if first > last || first >= len { 0..0 } else { first as usize..last as usize + 1 }
}

/// The same members seen from the other end.
fn mirrored(ranks: Range<usize>, len: usize) -> Range<usize> {
    len - ranks.end..len - ranks.start
}

/// Notes that `count` members left `key`, which is removed when it is empty.
fn removed(ctx: &mut Ctx<'_>, key: &[u8], event: &'static str, count: usize, emptied: bool) {
    ctx.effects.changed(EventClass::ZSET, event, key, count as u64);
    if emptied {
        ctx.db.remove(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
}

/// Puts a result in place of whatever `key` held and replies its length; an empty one removes the key.
fn store(ctx: &mut Ctx<'_>, key: &[u8], zset: Zset, event: &'static str) {
    ctx.out.integer(zset.len() as i64);
    if !zset.is_empty() {
        ctx.db.insert(key, Value::Zset(zset), Expiry::Clear);
        ctx.effects.changed(EventClass::ZSET, event, key, 1);
    } else if ctx.db.remove(key).is_some() {
        ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
    }
}

/// NaN is what an infinity plus its opposite gives: an error where a score would become it.
fn not_nan(score: f64) -> Result<f64, CommandError> {
    if score.is_nan() { Err(CommandError::ScoreNan) } else { Ok(score) }
}
