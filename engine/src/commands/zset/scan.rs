//! Looking at members in no order: ZRANDMEMBER and ZSCAN.

use std::collections::HashSet;

use resp::Protocol;
use resp::writer::Writer;

use super::{Scores, begin_members, reply_member, reply_name};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::elements::reply_repeated;
use crate::commands::scan_args::{self, ScanArgs, ScanOf, ScanReply};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::listpack::ElemBuf;
use crate::error::CommandError;
use crate::types::Zset;
use crate::types::zset::{Order, with_score_elem};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&ZRANDMEMBER, &ZSCAN];

const ZRANDMEMBER: Command = Command {
    name: "zrandmember",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.2.0",
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of members returned",
    summary: "Returns random members of a sorted set.",
    args: &[
        Arg::key("key"),
        Arg::block("options", &[Arg::integer("count"), Arg::word("withscores", "WITHSCORES").optional()]).optional(),
    ],
    run: zrandmember,
    ..Command::BASE
};

fn zrandmember(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    if args.is_done() {
        match ctx.db.read::<Zset>(key)? {
            Some(zset) => {
                let rank = ctx.rng.index(zset.len());
                zset.get_with(rank, |name, _| reply_name(&mut ctx.out, name));
            }
            None => ctx.out.null(),
        }
        return Ok(Outcome::Done);
    }
    let count = args.i64_with_opposite()?;
    let scores = if args.keyword("WITHSCORES") { Scores::With } else { Scores::Without };
    args.end()?;
    if scores == Scores::With && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let Some(zset) = ctx.db.read::<Zset>(key)? else {
        ctx.out.array(0);
        return Ok(Outcome::Done);
    };
    let wanted = count.unsigned_abs() as usize;
    let len = zset.len();
    if count < 0 {
        let words = if scores == Scores::With && ctx.out.protocol() == Protocol::Resp2 { 2 } else { 1 };
        reply_repeated(&mut ctx.out, wanted, words, |out| {
            zset.get_with(ctx.rng.index(len), |name, score| reply_member(out, name, score, scores));
        })?;
        return Ok(Outcome::Done);
    }
    let wanted = wanted.min(len);
    begin_members(&mut ctx.out, wanted, scores);
    if wanted < len / 4 {
        // Few of many: Floyd's sampling. Each step draws from one rank more, and takes that rank if the draw is known.
        let mut drawn = HashSet::with_capacity(wanted);
        for last in len - wanted..len {
            let rank = ctx.rng.index(last + 1);
            let rank = if drawn.insert(rank) { rank } else { last };
            drawn.insert(rank);
            zset.get_with(rank, |name, score| reply_member(&mut ctx.out, name, score, scores));
        }
        return Ok(Outcome::Done);
    }
    // Selection sampling: each member is taken with the chance (wanted / left). One pass, no memory.
    let (mut wanted, mut left) = (wanted, len);
    zset.range(0..len, Order::Ascending, |name, score| {
        if ctx.rng.index(left) < wanted {
            reply_member(&mut ctx.out, name, score, scores);
            wanted -= 1;
        }
        left -= 1;
    });
    Ok(Outcome::Done)
}

const ZSCAN: Command = Command {
    name: "zscan",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.0",
    history: &[("8.0.0", "NOSCORES, of Valkey.")],
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Iterates over the members and scores of a sorted set.",
    args: &[
        Arg::key("key"),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
        Arg::word("noscores", "NOSCORES").optional().since("8.0.0"),
    ],
    run: zscan,
    ..Command::BASE
};

fn zscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let cursor = scan_args::cursor(args)?;
    let mut reply = ScanReply::new(&ctx.out);
    let Some(zset) = ctx.db.read::<Zset>(key)? else {
        // Not even the options are looked at, as in Redis.
        reply.finish(0, &mut ctx.out);
        return Ok(Outcome::Done);
    };
    let options = ScanArgs::parse(args, ScanOf::Zset)?;
    let mut buf = ElemBuf::default();
    let small = matches!(*zset, Zset::Listpack(_));
    let next = zset.scan(cursor, options.count, |name, score| {
        if options.matches(name.text(&mut buf)) {
            reply_name(&mut reply.element(), name);
            if !options.no_values {
                reply_scanned_score(&mut reply.element(), score, small);
            }
        }
    });
    reply.finish(next, &mut ctx.out);
    Ok(Outcome::Done)
}

/// ZSCAN replies scores as text in both protocols: as the listpack has it, or with 17 digits.
fn reply_scanned_score(out: &mut Writer<'_>, score: f64, small: bool) {
    if small {
        with_score_elem(score, |elem| reply_name(out, elem));
    } else {
        out.bulk(resp::number::format_f64_17g(score).as_ref());
    }
}
