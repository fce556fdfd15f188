//! Looking at entries: XLEN, XRANGE, XREVRANGE.

use super::{parse_end, parse_start, reply_entries};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Stream;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XLEN, &XRANGE, &XREVRANGE];

const XLEN: Command = Command {
    name: "xlen",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Returns the number of entries of a stream.",
    args: &[Arg::key("key")],
    run: xlen,
    ..Command::BASE
};

fn xlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read::<Stream>(args.next()?)?.map_or(0, |stream| stream.len());
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const XRANGE: Command = Command {
    name: "xrange",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "5.0.0",
    history: &[("6.2.0", "Added exclusive ranges.")],
    complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary: "Returns the entries of a stream within a range of ids.",
    args: &[Arg::key("key"), Arg::string("start"), Arg::string("end"), Arg::integer("count").token("COUNT").optional()],
    run: |ctx, args| range(ctx, args, Direction::Forward),
    ..Command::BASE
};

const XREVRANGE: Command = Command {
    name: "xrevrange",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "5.0.0",
    history: &[("6.2.0", "Added exclusive ranges.")],
    complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary: "Returns the entries of a stream within a range of ids, from the last to the first.",
    args: &[Arg::key("key"), Arg::string("end"), Arg::string("start"), Arg::integer("count").token("COUNT").optional()],
    run: |ctx, args| range(ctx, args, Direction::Backward),
    ..Command::BASE
};

#[derive(Copy, Clone, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

fn range(ctx: &mut Ctx<'_>, args: &mut Args<'_>, direction: Direction) -> CmdResult {
    let key = args.next()?;
    let (first, second) = (args.next()?, args.next()?);
    let (start, end) = if direction == Direction::Forward { (first, second) } else { (second, first) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let mut count = None;
    while !args.is_done() {
        if args.left() < 2 || !args.keyword("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(usize::try_from(args.i64()?).unwrap_or(0));
    }
    let Some(stream) = ctx.db.read::<Stream>(key)? else {
        ctx.out.array(0);
        return Ok(Outcome::Done);
    };
    match (count, direction) {
        (Some(0), _) => ctx.out.null_array(),
        (_, Direction::Forward) => {
            reply_entries(&mut ctx.out, stream.log().range(start, end).take(count.unwrap_or(usize::MAX)));
        }
        (_, Direction::Backward) => {
            reply_entries(&mut ctx.out, stream.log().range_back(start, end).take(count.unwrap_or(usize::MAX)));
        }
    }
    Ok(Outcome::Done)
}
