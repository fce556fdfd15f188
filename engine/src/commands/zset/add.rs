//! Adding members, changing scores, removing members by name.

use smallvec::SmallVec;

use super::{not_nan, removed};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::types::Zset;
use crate::types::zset::Updated;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&ZADD, &ZINCRBY, &ZREM];

const ZADD: Command = Command {
    name: "zadd",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "1.2.0",
    history: &[
        ("2.4.0", "Accepts multiple elements."),
        ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
        ("6.2.0", "Added the `GT` and `LT` options."),
    ],
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    summary: "Adds members to a sorted set or changes their scores, creating the set if the key is missing.",
    args: &[
        Arg::key("key"),
        Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).optional().since("3.0.2"),
        Arg::one_of("comparison", &[Arg::word("gt", "GT"), Arg::word("lt", "LT")]).optional().since("6.2.0"),
        Arg::word("change", "CH").optional().since("3.0.2"),
        Arg::word("increment", "INCR").optional().since("3.0.2"),
        Arg::block("data", &[Arg::double("score"), Arg::string("member")]).many(),
    ],
    run: zadd,
    ..Command::BASE
};

/// The options of ZADD.
#[derive(Default)]
pub(crate) struct Options {
    /// Only members that are not there.
    pub(crate) nx: bool,
    /// Only members that are there.
    pub(crate) xx: bool,
    /// A score only grows.
    gt: bool,
    /// A score only falls.
    lt: bool,
    /// Changed members count in the reply.
    pub(crate) ch: bool,
    /// The score is added to the present one.
    incr: bool,
}

impl Options {
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = Options::default();
        loop {
            let option = if args.keyword("NX") {
                &mut options.nx
            } else if args.keyword("XX") {
                &mut options.xx
            } else if args.keyword("GT") {
                &mut options.gt
            } else if args.keyword("LT") {
                &mut options.lt
            } else if args.keyword("CH") {
                &mut options.ch
            } else if args.keyword("INCR") {
                &mut options.incr
            } else {
                return options;
            };
            *option = true;
        }
    }

    fn check(&self, pairs: usize) -> Result<(), CommandError> {
        if self.nx && self.xx {
            return Err(CommandError::Text("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.gt && self.lt) || (self.nx && (self.gt || self.lt)) {
            return Err(CommandError::Text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.incr && pairs > 1 {
            return Err(CommandError::Text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member gets; `None` leaves it as it is. The answer is NaN when an increment makes it so. Whoever uses
    /// it leaves an equal score alone, so that 0 does not turn into -0 ([`changes`]).
    #[inline]
    fn decide(&self, old: Option<f64>, score: f64) -> Option<f64> {
        let Some(old) = old else { return if self.xx { None } else { Some(score) } };
        if self.nx {
            return None;
        }
        let score = if self.incr { old + score } else { score };
        if (self.gt && score <= old) || (self.lt && score >= old) { None } else { Some(score) }
    }
}

/// Whether a score is another one than the present one.
fn changes(old: Option<f64>, score: f64) -> bool {
    old.is_none_or(|old| old != score)
}

fn zadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let options = Options::parse(args);
    let pairs = args.take_rest();
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    options.check(pairs.len() / 2)?;
    // All scores are read before anything is changed.
    let mut scores: SmallVec<[f64; 8]> = SmallVec::with_capacity(pairs.len() / 2);
    for pair in pairs.chunks_exact(2) {
        scores.push(resp::number::parse_f64(pair[0]).ok_or(CommandError::NotFloat)?);
    }
    if options.incr {
        return increment(ctx, key, &options, pairs[1], scores[0]);
    }
    let members = pairs.chunks_exact(2).zip(&scores).map(|(pair, &score)| (score, pair[1]));
    let (added, changed) = add_members(ctx, key, &options, members)?;
    ctx.out.integer(if options.ch { added + changed } else { added } as i64);
    Ok(Outcome::Done)
}

/// Adds members or changes their scores as the options say; returns how many were added and how many changed.
pub(crate) fn add_members<'a>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    options: &Options,
    members: impl ExactSizeIterator<Item = (f64, &'a [u8])>,
) -> Result<(usize, usize), CommandError> {
    let (mut added, mut changed) = (0, 0);
    {
        let mut zset = if options.xx {
            let Some(zset) = ctx.db.write::<Zset>(key)? else { return Ok((0, 0)) };
            zset
        } else {
            ctx.db.write_or_create::<Zset>(key)?
        };
        if zset.is_empty() {
            zset.prepare(members.len(), ctx.config);
        }
        for (score, name) in members {
            match zset.update(name, ctx.config, |old| options.decide(old, score).filter(|&score| changes(old, score))) {
                Updated::Added => added += 1,
                Updated::Changed => changed += 1,
                Updated::Same => {}
            }
        }
    }
    if added + changed > 0 {
        ctx.effects.changed(EventClass::ZSET, "zadd", key, (added + changed) as u64);
    }
    Ok((added, changed))
}

const ZINCRBY: Command = Command {
    name: "zincrby",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.2.0",
    complexity: "O(log(N)) where N is the number of elements in the sorted set.",
    summary: "Adds to the score of a member of a sorted set.",
    args: &[Arg::key("key"), Arg::integer("increment"), Arg::string("member")],
    run: zincrby,
    ..Command::BASE
};

fn zincrby(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let increment_by = args.f64()?;
    increment(ctx, key, &Options { incr: true, ..Options::default() }, args.next()?, increment_by)
}

/// ZINCRBY, and ZADD with INCR: replies the new score, or null when the options forbid the change.
fn increment(ctx: &mut Ctx<'_>, key: &[u8], options: &Options, name: &[u8], by: f64) -> CmdResult {
    let mut decided = None;
    let updated = {
        let mut zset = if options.xx {
            let Some(zset) = ctx.db.write::<Zset>(key)? else {
                ctx.out.null();
                return Ok(Outcome::Done);
            };
            zset
        } else {
            ctx.db.write_or_create::<Zset>(key)?
        };
        if zset.is_empty() {
            zset.prepare(1, ctx.config);
        }
        zset.update(name, ctx.config, |old| {
            decided = options.decide(old, by);
            decided.filter(|&score| !score.is_nan() && changes(old, score))
        })
    };
    match decided {
        Some(score) => ctx.out.double(not_nan(score)?),
        None => ctx.out.null(),
    }
    if updated != Updated::Same {
        ctx.effects.changed(EventClass::ZSET, "zincr", key, 1);
    }
    Ok(Outcome::Done)
}

const ZREM: Command = Command {
    name: "zrem",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "1.2.0",
    history: &[("2.4.0", "Accepts multiple elements.")],
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
    summary: "Removes members from a sorted set.",
    args: &[Arg::key("key"), Arg::string("member").many()],
    run: zrem,
    ..Command::BASE
};

fn zrem(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let count = remove_members(ctx, args.next()?, args.take_rest())?;
    ctx.out.integer(count as i64);
    Ok(Outcome::Done)
}

/// Removes members, and the key with the last one; returns how many were there.
pub(crate) fn remove_members(ctx: &mut Ctx<'_>, key: &[u8], names: &[&[u8]]) -> Result<usize, CommandError> {
    let (mut count, mut emptied) = (0, false);
    {
        let Some(mut zset) = ctx.db.write::<Zset>(key)? else { return Ok(0) };
        for name in names {
            if zset.remove(name).is_some() {
                count += 1;
                emptied = zset.is_empty();
                if emptied {
                    break;
                }
            }
        }
    }
    if count > 0 {
        removed(ctx, key, "zrem", count, emptied);
    }
    Ok(count)
}
