//! Lengths, scores, ranks and counts.

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Zset;
use crate::types::zset::{NameRange, Order, ScoreRange};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&ZCARD, &ZCOUNT, &ZLEXCOUNT, &ZMSCORE, &ZRANK, &ZREVRANK, &ZSCORE];

const ZCARD: Command = Command {
    name: "zcard",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Returns the number of members of a sorted set.",
    args: &[Arg::key("key")],
    run: zcard,
    ..Command::BASE
};

fn zcard(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read::<Zset>(args.next()?)?.map_or(0, |zset| zset.len());
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const ZCOUNT: Command = Command {
    name: "zcount",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Returns the number of members whose scores lie in a range.",
    args: &[Arg::key("key"), Arg::double("min"), Arg::double("max")],
    run: zcount,
    ..Command::BASE
};

fn zcount(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let range = ScoreRange::parse(args.next()?, args.next()?).ok_or(CommandError::ScoreRange)?;
    let count = ctx.db.read::<Zset>(key)?.map_or(0, |zset| zset.ranks_of_scores(&range).len());
    ctx.out.integer(count as i64);
    Ok(Outcome::Done)
}

const ZLEXCOUNT: Command = Command {
    name: "zlexcount",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.9",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Returns the number of members that lie in a lexicographical range.",
    args: &[Arg::key("key"), Arg::string("min"), Arg::string("max")],
    run: zlexcount,
    ..Command::BASE
};

fn zlexcount(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let range = NameRange::parse(args.next()?, args.next()?).ok_or(CommandError::LexRange)?;
    let count = ctx.db.read::<Zset>(key)?.map_or(0, |zset| zset.ranks_of_names(&range).len());
    ctx.out.integer(count as i64);
    Ok(Outcome::Done)
}

const ZSCORE: Command = Command {
    name: "zscore",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Returns the score of a member of a sorted set.",
    args: &[Arg::key("key"), Arg::string("member")],
    run: zscore,
    ..Command::BASE
};

fn zscore(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, name) = (args.next()?, args.next()?);
    match ctx.db.read::<Zset>(key)?.and_then(|zset| zset.score(name)) {
        Some(score) => ctx.out.double(score),
        None => ctx.out.null(),
    }
    Ok(Outcome::Done)
}

const ZMSCORE: Command = Command {
    name: "zmscore",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(N) where N is the number of members being requested.",
    summary: "Returns the scores of several members of a sorted set.",
    args: &[Arg::key("key"), Arg::string("member").many()],
    run: zmscore,
    ..Command::BASE
};

fn zmscore(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let zset = ctx.db.read::<Zset>(key)?;
    let names = args.take_rest();
    ctx.out.array(names.len());
    for name in names {
        match zset.as_ref().and_then(|zset| zset.score(name)) {
            Some(score) => ctx.out.double(score),
            None => ctx.out.null(),
        }
    }
    Ok(Outcome::Done)
}

const RANK_ARGS: &[Arg] = &[Arg::key("key"), Arg::string("member"), Arg::word("withscore", "WITHSCORE").optional()];

const ZRANK: Command = Command {
    name: "zrank",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
    complexity: "O(log(N))",
    summary: "Returns the rank of a member of a sorted set, from the lowest score up.",
    args: RANK_ARGS,
    run: |ctx, args| rank(ctx, args, "zrank", Order::Ascending),
    ..Command::BASE
};

const ZREVRANK: Command = Command {
    name: "zrevrank",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
    complexity: "O(log(N))",
    summary: "Returns the rank of a member of a sorted set, from the highest score down.",
    args: RANK_ARGS,
    run: |ctx, args| rank(ctx, args, "zrevrank", Order::Descending),
    ..Command::BASE
};

fn rank(ctx: &mut Ctx<'_>, args: &mut Args<'_>, command: &'static str, order: Order) -> CmdResult {
    let (key, name) = (args.next()?, args.next()?);
    if args.left() > 1 {
        return Err(CommandError::WrongArity(command.into()));
    }
    let with_score = args.keyword("WITHSCORE");
    args.end()?;
    let found = ctx.db.read::<Zset>(key)?.and_then(|zset| {
        let (rank, score) = zset.rank(name)?;
        Some((if order == Order::Ascending { rank } else { zset.len() - 1 - rank }, score))
    });
    match (found, with_score) {
        (Some((rank, score)), true) => {
            ctx.out.array(2);
            ctx.out.integer(rank as i64);
            ctx.out.double(score);
        }
        (Some((rank, _)), false) => ctx.out.integer(rank as i64),
        (None, true) => ctx.out.null_array(),
        (None, false) => ctx.out.null(),
    }
    Ok(Outcome::Done)
}
