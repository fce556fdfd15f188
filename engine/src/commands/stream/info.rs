//! XINFO: streams, groups and consumers from within.

use resp::writer::Writer;

use super::{bad_subcommand, no_group_of_key, reply_entries, reply_entry, reply_id};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec};
use crate::commands::reply_help;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Stream;
use crate::types::stream::{Consumer, Group, Log, StreamId, View};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XINFO];

/// Entries and pending entries that XINFO STREAM FULL shows, unless it is told.
const SHOWN: usize = 10;

const XINFO: Command = Command {
    name: "xinfo",
    arity: Arity::AtLeast(2),
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "Looks at streams from within.",
    subcommands: &[&CONSUMERS, &GROUPS, &HELP, &STREAM],
    ..Command::BASE
};

const STREAM: Command = Command {
    name: "stream",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::READ)],
    since: "5.0.0",
    history: &[
        ("6.0.0", "Added the `FULL` modifier."),
        (
            "7.0.0",
            "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
        ),
        ("7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."),
    ],
    complexity: "O(1)",
    summary: "Returns figures on a stream; all of it with FULL.",
    args: &[
        Arg::key("key"),
        Arg::block("full-block", &[Arg::word("full", "FULL"), Arg::integer("count").token("COUNT").optional()])
            .optional(),
    ],
    run: stream,
    ..Command::BASE
};

fn stream(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (name, key) = (args.next()?, args.next()?);
    let stream = ctx.db.read::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let mut full = None;
    if !args.is_done() {
        if !matches!(args.left(), 1 | 3) || !args.keyword("FULL") {
            return Err(bad_subcommand("XINFO", name));
        }
        full = Some(SHOWN);
        if !args.is_done() {
            if !args.keyword("COUNT") {
                return Err(bad_subcommand("XINFO", name));
            }
            full = Some(match args.i64()? {
                0 => usize::MAX,
                count => usize::try_from(count).unwrap_or(SHOWN),
            });
        }
    }
    let out = &mut ctx.out;
    out.map(if full.is_some() { 9 } else { 10 });
    named_integer(out, "length", stream.len());
    named_integer(out, "radix-tree-keys", stream.log().nodes_len() as u64);
    named_integer(out, "radix-tree-nodes", radix_tree_nodes(stream.log()));
    named_id(out, "last-generated-id", stream.last_id());
    named_id(out, "max-deleted-entry-id", stream.max_deleted_id());
    named_integer(out, "entries-added", stream.entries_added());
    named_id(out, "recorded-first-entry-id", stream.first_id());
    let Some(count) = full else {
        named_integer(out, "groups", stream.groups_len() as u64);
        for (name, entry) in [("first-entry", stream.log().first()), ("last-entry", stream.log().last())] {
            out.bulk(name.as_bytes());
            match entry {
                Some(entry) => reply_entry(out, entry),
                None => out.null(),
            }
        }
        return Ok(Outcome::Done);
    };
    out.bulk(b"entries");
    reply_entries(out, stream.log().range(StreamId::MIN, StreamId::MAX).take(count));
    out.bulk(b"groups");
    out.array(stream.groups_len());
    for (name, group) in stream.groups() {
        reply_full_group(out, name, group, &stream.view(), count);
    }
    Ok(Outcome::Done)
}

fn reply_full_group(out: &mut Writer<'_>, name: &[u8], group: &Group, view: &View<'_>, count: usize) {
    out.map(7);
    named_bulk(out, "name", name);
    reply_progress(out, group, view);
    named_integer(out, "pel-count", group.pending_len() as u64);
    out.bulk(b"pending");
    out.array(group.pending_len().min(count));
    for (id, pending) in group.pending_from(StreamId::MIN).take(count) {
        out.array(4);
        reply_id(out, id);
        out.bulk(group.consumer(pending.consumer).name());
        out.integer(pending.delivered_at);
        out.integer(clamped(pending.deliveries));
    }
    out.bulk(b"consumers");
    out.array(group.consumers_len());
    for (_, consumer) in group.consumers() {
        out.map(5);
        named_bulk(out, "name", consumer.name());
        out.bulk(b"seen-time");
        out.integer(consumer.seen_at);
        out.bulk(b"active-time");
        out.integer(consumer.active_at);
        named_integer(out, "pel-count", consumer.pending_len() as u64);
        out.bulk(b"pending");
        out.array(consumer.pending_len().min(count));
        for id in consumer.pending_from(StreamId::MIN).take(count) {
            let pending = group.pending(id).expect("what a consumer has is pending");
            out.array(3);
            reply_id(out, id);
            out.integer(pending.delivered_at);
            out.integer(clamped(pending.deliveries));
        }
    }
}

/// How far a group has come.
fn reply_progress(out: &mut Writer<'_>, group: &Group, view: &View<'_>) {
    named_id(out, "last-delivered-id", group.last_id);
    for (name, number) in [("entries-read", group.entries_read), ("lag", view.lag(group))] {
        out.bulk(name.as_bytes());
        match number {
            Some(number) => out.integer(number as i64),
            None => out.null(),
        }
    }
}

const GROUPS: Command = Command {
    name: "groups",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::READ)],
    since: "5.0.0",
    history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
    complexity: "O(1)",
    summary: "Returns the consumer groups of a stream.",
    args: &[Arg::key("key")],
    run: groups,
    ..Command::BASE
};

fn groups(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let stream = ctx.db.read::<Stream>(args.next()?)?.ok_or(CommandError::NoSuchKey)?;
    let out = &mut ctx.out;
    out.array(stream.groups_len());
    for (name, group) in stream.groups() {
        out.map(6);
        named_bulk(out, "name", name);
        named_integer(out, "consumers", group.consumers_len() as u64);
        named_integer(out, "pending", group.pending_len() as u64);
        reply_progress(out, group, &stream.view());
    }
    Ok(Outcome::Done)
}

const CONSUMERS: Command = Command {
    name: "consumers",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::READ)],
    since: "5.0.0",
    history: &[("7.2.0", "Added the `inactive` field, and changed the meaning of `idle`.")],
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the consumers of a group.",
    args: &[Arg::key("key"), Arg::string("group")],
    run: consumers,
    ..Command::BASE
};

fn consumers(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let (key, group_name) = (args.next()?, args.next()?);
    let stream = ctx.db.read::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.group(group_name).ok_or_else(|| no_group_of_key(key, group_name))?;
    let now = ctx.now.0;
    let out = &mut ctx.out;
    out.array(group.consumers_len());
    for (_, consumer) in group.consumers() {
        let Consumer { seen_at, active_at, .. } = *consumer;
        out.map(4);
        named_bulk(out, "name", consumer.name());
        named_integer(out, "pending", consumer.pending_len() as u64);
        out.bulk(b"idle");
        out.integer(now.saturating_sub(seen_at).max(0));
        out.bulk(b"inactive");
        out.integer(if active_at == -1 { -1 } else { now.saturating_sub(active_at).max(0) });
    }
    Ok(Outcome::Done)
}

const HELP: Command = Command {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Explains the subcommands.",
    run: help,
    ..Command::BASE
};

fn help(ctx: &mut Ctx<'_>, _: &mut Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    ];
    reply_help(ctx, "XINFO", LINES)
}

fn named_integer(out: &mut Writer<'_>, name: &str, number: u64) {
    out.bulk(name.as_bytes());
    out.integer(number as i64);
}

fn named_id(out: &mut Writer<'_>, name: &str, id: StreamId) {
    out.bulk(name.as_bytes());
    reply_id(out, id);
}

fn named_bulk(out: &mut Writer<'_>, name: &str, text: &[u8]) {
    out.bulk(name.as_bytes());
    out.bulk(text);
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Nodes of a compressed radix tree over the ids of the log's nodes: what Redis would have in our place. Of large streams
/// the end is looked at, and stands for the whole.
fn radix_tree_nodes(log: &Log) -> u64 {
    /// Ids that are looked at.
    const SAMPLE: usize = 1000;
    let keys: Vec<[u8; 16]> = log.nodes().rev().take(SAMPLE).map(|(id, _)| id.to_bytes()).collect();
    let nodes = tree_nodes(&keys, 0) as u128;
    match keys.len() {
        0 => 1,
        sampled => (nodes * log.nodes_len() as u128 / sampled as u128) as u64,
    }
}

/// Nodes of the tree over keys in order that have the first `depth` bytes in common: a node for the bytes that all have
/// in common from there on, one where they part, and one at the end of each key.
fn tree_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let [first, .., last] = keys else { return usize::from(!keys.is_empty()) * (1 + usize::from(depth < 16)) };
    let parting = depth + first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    let branches = keys.chunk_by(|a, b| a[parting] == b[parting]);
    1 + usize::from(parting > depth) + branches.map(|branch| tree_nodes(branch, parting + 1)).sum::<usize>()
}
