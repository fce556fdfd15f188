//! Taking members from either end, at once or as soon as there are any.

use resp::writer::Writer;

use super::{Scores, begin_members, mirrored, removed, reply_member, reply_name};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::blocking::{self, MultiPop};
use crate::ctx::{CmdResult, Ctx, Outcome, TimeoutReply};
use crate::ds::listpack::Elem;
use crate::error::CommandError;
use crate::types::zset::Order;
use crate::types::{Kind, Zset};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&BZMPOP, &BZPOPMAX, &BZPOPMIN, &ZMPOP, &ZPOPMAX, &ZPOPMIN];

/// Which end members are taken from.
#[derive(Copy, Clone, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        if args.keyword("MIN") {
            Ok(End::Min)
        } else if args.keyword("MAX") {
            Ok(End::Max)
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }

    /// The command that replicas run.
    fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }
}

/// Takes up to `count` members out and hands each to `reply`, after `begin` has been told how many there are.
/// `None`, and nothing called, when the key is missing.
fn take(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    count: usize,
    begin: impl FnOnce(&mut Writer<'_>, usize),
    mut reply: impl FnMut(&mut Writer<'_>, Elem<'_>, f64),
) -> Result<Option<usize>, CommandError> {
    let (count, emptied) = {
        let Some(mut zset) = ctx.db.write::<Zset>(key)? else { return Ok(None) };
        let len = zset.len();
        let count = count.min(len);
        begin(&mut ctx.out, count);
        match end {
            End::Min => zset.remove_ranks(0..count, |name, score| reply(&mut ctx.out, name, score)),
            End::Max => {
                let ranks = mirrored(0..count, len);
                zset.range(ranks.clone(), Order::Descending, |name, score| reply(&mut ctx.out, name, score));
                zset.remove_ranks(ranks, |_, _| {});
            }
        }
        (count, count == len)
    };
    if count > 0 {
        removed(ctx, key, end.event(), count, emptied);
    }
    Ok(Some(count))
}

const ZPOPMIN: Command = Command {
    name: "zpopmin",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Removes and returns the members with the lowest scores.",
    args: &[Arg::key("key"), Arg::integer("count").optional()],
    run: |ctx, args| pop(ctx, args, End::Min),
    ..Command::BASE
};

const ZPOPMAX: Command = Command {
    name: "zpopmax",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Removes and returns the members with the highest scores.",
    args: &[Arg::key("key"), Arg::integer("count").optional()],
    run: |ctx, args| pop(ctx, args, End::Max),
    ..Command::BASE
};

fn pop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> CmdResult {
    let key = args.next()?;
    if args.left() > 1 {
        return Err(CommandError::Syntax);
    }
    let popped = if args.is_done() {
        // Without a count the one pair is flat in both protocols.
        let pair = |out: &mut Writer<'_>, name: Elem<'_>, score| {
            reply_name(out, name);
            out.double(score);
        };
        take(ctx, key, end, 1, |out, count| out.array(2 * count), pair)?
    } else {
        let count = args.i64_in(0..=i64::MAX, CommandError::NotPositive)? as usize;
        let begin = |out: &mut Writer<'_>, count| begin_members(out, count, Scores::With);
        take(ctx, key, end, count, begin, |out, name, score| reply_member(out, name, score, Scores::With))?
    };
    if popped.is_none() {
        ctx.out.array(0);
    }
    Ok(Outcome::Done)
}

const BZPOPMIN: Command = Command {
    name: "bzpopmin",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST).and(Flags::BLOCKING),
    group: Group::SortedSet,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW_ACCESS_DELETE)],
    since: "5.0.0",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Removes and returns the member with the lowest score of the first sorted set that has any; waits for one.",
    args: &[Arg::key("key").many(), Arg::double("timeout")],
    run: |ctx, args| blocking_pop(ctx, args, End::Min),
    ..Command::BASE
};

const BZPOPMAX: Command = Command {
    name: "bzpopmax",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST).and(Flags::BLOCKING),
    group: Group::SortedSet,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW_ACCESS_DELETE)],
    since: "5.0.0",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Removes and returns the member with the highest score of the first sorted set that has any; waits for one.",
    args: &[Arg::key("key").many(), Arg::double("timeout")],
    run: |ctx, args| blocking_pop(ctx, args, End::Max),
    ..Command::BASE
};

fn blocking_pop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> CmdResult {
    let keys = args.take(args.left() - 1)?;
    let deadline = blocking::next_timeout(args, ctx.now)?;
    for &key in keys {
        let begin = |out: &mut Writer<'_>, _| {
            out.array(3);
            out.bulk(key);
        };
        let pair = |out: &mut Writer<'_>, name: Elem<'_>, score| {
            reply_name(out, name);
            out.double(score);
        };
        if take(ctx, key, end, 1, begin, pair)?.is_some() {
            ctx.effects.propagate_instead(&[end.command(), key]);
            return Ok(Outcome::Done);
        }
    }
    blocking::block(ctx, keys, Kind::Zset, deadline, TimeoutReply::NullArray)
}

const MIN_OR_MAX: Arg = Arg::one_of("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]);

const ZMPOP: Command = Command {
    name: "zmpop",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE,
    group: Group::SortedSet,
    keys: &[KeySpec::counted(1, KeyFlags::RW_ACCESS_DELETE)],
    since: "7.0.0",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Removes and returns members with the lowest or highest scores of the first sorted set that has any.",
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key").many(),
        MIN_OR_MAX,
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: zmpop,
    ..Command::BASE
};

const BZMPOP: Command = Command {
    name: "bzmpop",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::BLOCKING),
    group: Group::SortedSet,
    keys: &[KeySpec::counted(2, KeyFlags::RW_ACCESS_DELETE)],
    since: "7.0.0",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Removes and returns members with the lowest or highest scores of the first sorted set that has any; waits for one.",
    args: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key").many(),
        MIN_OR_MAX,
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: bzmpop,
    ..Command::BASE
};

impl MultiPop<'_, End> {
    /// Pops from the first set there is, replies and propagates; returns false, without a reply, when there is none.
    fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, CommandError> {
        for &key in self.keys {
            let begin = |out: &mut Writer<'_>, count| {
                out.array(2);
                out.bulk(key);
                out.array(count);
            };
            // Pairs are nested in both protocols.
            let pair = |out: &mut Writer<'_>, name: Elem<'_>, score| {
                out.array(2);
                reply_name(out, name);
                out.double(score);
            };
            if let Some(count) = take(ctx, key, self.end, self.count, begin, pair)? {
                let count = count.to_string();
                ctx.effects.propagate_instead(&[self.end.command(), key, count.as_bytes()]);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn zmpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    if !MultiPop::parse(args, End::parse)?.run(ctx)? {
        ctx.out.null_array();
    }
    Ok(Outcome::Done)
}

fn bzmpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let timeout = args.next()?;
    let pop = MultiPop::parse(args, End::parse)?;
    let deadline = blocking::timeout(timeout, ctx.now)?;
    if pop.run(ctx)? {
        return Ok(Outcome::Done);
    }
    blocking::block(ctx, pop.keys, Kind::Zset, deadline, TimeoutReply::NullArray)
}
