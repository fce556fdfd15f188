//! Ranges by rank, score and name: replied, stored, removed.

use std::ops::Range;

use super::{Scores, mirrored, removed, reply_range, resolve_ranks, store};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::listpack::ElemBuf;
use crate::error::CommandError;
use crate::types::Zset;
use crate::types::zset::{NameRange, Order, ScoreRange};

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &ZRANGE,
    &ZRANGEBYLEX,
    &ZRANGEBYSCORE,
    &ZRANGESTORE,
    &ZREMRANGEBYLEX,
    &ZREMRANGEBYRANK,
    &ZREMRANGEBYSCORE,
    &ZREVRANGE,
    &ZREVRANGEBYLEX,
    &ZREVRANGEBYSCORE,
];

/// What the bounds of a range are.
#[derive(Copy, Clone, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// What a command of the family fixes; what it leaves open is up to the options.
struct Form {
    by: Option<By>,
    order: Option<Order>,
    /// Whether WITHSCORES is an option.
    with_scores: bool,
}

const LIMIT: Arg = Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional();
const WITHSCORES: Arg = Arg::word("withscores", "WITHSCORES").optional();
const SORT_BY: Arg = Arg::one_of("sortby", &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")]).optional();

const ZRANGE: Command = Command {
    name: "zrange",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.2.0",
    history: &[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")],
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    summary: "Returns members of a sorted set in a range of ranks, scores or names.",
    args: &[
        Arg::key("key"),
        Arg::string("start"),
        Arg::string("stop"),
        SORT_BY.since("6.2.0"),
        Arg::word("rev", "REV").optional().since("6.2.0"),
        LIMIT.since("6.2.0"),
        WITHSCORES,
    ],
    run: |ctx, args| range(ctx, args, &Form { by: None, order: None, with_scores: true }),
    ..Command::BASE
};

const ZREVRANGE: Command = Command {
    name: "zrevrange",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.2.0",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    summary: "Returns members of a sorted set in a range of ranks, from the highest score down.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("stop"), WITHSCORES],
    run: |ctx, args| range(ctx, args, &Form { by: Some(By::Rank), order: Some(Order::Descending), with_scores: true }),
    ..Command::BASE
};

const ZRANGEBYSCORE: Command = Command {
    name: "zrangebyscore",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.5",
    history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members of a sorted set in a range of scores.",
    args: &[Arg::key("key"), Arg::double("min"), Arg::double("max"), WITHSCORES.since("2.0.0"), LIMIT],
    run: |ctx, args| range(ctx, args, &Form { by: Some(By::Score), order: Some(Order::Ascending), with_scores: true }),
    ..Command::BASE
};

const ZREVRANGEBYSCORE: Command = Command {
    name: "zrevrangebyscore",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.2.0",
    history: &[("2.1.6", "`min` and `max` can be exclusive.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members of a sorted set in a range of scores, from the highest down.",
    args: &[Arg::key("key"), Arg::double("max"), Arg::double("min"), WITHSCORES, LIMIT],
    run: |ctx, args| range(ctx, args, &Form { by: Some(By::Score), order: Some(Order::Descending), with_scores: true }),
    ..Command::BASE
};

const ZRANGEBYLEX: Command = Command {
    name: "zrangebylex",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.9",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members of a sorted set in a lexicographical range.",
    args: &[Arg::key("key"), Arg::string("min"), Arg::string("max"), LIMIT],
    run: |ctx, args| range(ctx, args, &Form { by: Some(By::Name), order: Some(Order::Ascending), with_scores: true }),
    ..Command::BASE
};

const ZREVRANGEBYLEX: Command = Command {
    name: "zrevrangebylex",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.9",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members of a sorted set in a lexicographical range, from the last down.",
    args: &[Arg::key("key"), Arg::string("max"), Arg::string("min"), LIMIT],
    run: |ctx, args| range(ctx, args, &Form { by: Some(By::Name), order: Some(Order::Descending), with_scores: true }),
    ..Command::BASE
};

/// Bounds as the command gave them, in the order min, max.
enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Names(NameRange<'a>),
}

impl<'a> Bounds<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, CommandError> {
        let rank = |text| resp::number::parse_i64(text).ok_or(CommandError::NotInteger);
        Ok(match by {
            By::Rank => Bounds::Ranks(rank(min)?, rank(max)?),
            By::Score => Bounds::Scores(ScoreRange::parse(min, max).ok_or(CommandError::ScoreRange)?),
            By::Name => Bounds::Names(NameRange::parse(min, max).ok_or(CommandError::LexRange)?),
        })
    }

    /// The ranks within the bounds; bounds that are ranks themselves count from the end that `order` begins with.
    fn ranks(&self, zset: &Zset, order: Order) -> Range<usize> {
        match self {
            Bounds::Ranks(start, stop) => {
                let ranks = resolve_ranks(*start, *stop, zset.len());
                if order == Order::Ascending { ranks } else { mirrored(ranks, zset.len()) }
            }
            Bounds::Scores(range) => zset.ranks_of_scores(range),
            Bounds::Names(range) => zset.ranks_of_names(range),
        }
    }
}

/// LIMIT: skip `offset` members, take `count`.
struct Limit {
    offset: i64,
    /// Negative: all.
    count: i64,
}

impl Limit {
    fn apply(&self, zset: &Zset, ranks: Range<usize>, order: Order) -> Range<usize> {
        let len = ranks.len();
        let skip = match usize::try_from(self.offset) {
            Ok(skip) => skip.min(len),
            // As in Redis 8.0: a negative offset counts from the far end, but finds nothing in a listpack.
            Err(_) => match (zset, usize::try_from(self.offset.unsigned_abs())) {
                (Zset::Tree(_), Ok(back)) if back <= len => len - back,
                _ => len,
            },
        };
        let take = usize::try_from(self.count).map_or(len - skip, |count| count.min(len - skip));
        match order {
            Order::Ascending => ranks.start + skip..ranks.start + skip + take,
            Order::Descending => ranks.end - skip - take..ranks.end - skip,
        }
    }
}

/// The arguments behind the key.
struct Query<'a> {
    bounds: Bounds<'a>,
    order: Order,
    limit: Option<Limit>,
    scores: Scores,
}

impl<'a> Query<'a> {
    fn parse(args: &mut Args<'a>, form: &Form) -> Result<Self, CommandError> {
        let (first, second) = (args.next()?, args.next()?);
        let (mut by, mut order) = (form.by, form.order);
        let mut limit = None;
        let mut scores = Scores::Without;
        while !args.is_done() {
            if form.with_scores && args.keyword("WITHSCORES") {
                scores = Scores::With;
            } else if args.left() > 2 && args.keyword("LIMIT") {
                limit = Some(Limit { offset: args.i64()?, count: args.i64()? });
            } else if order.is_none() && args.keyword("REV") {
                order = Some(Order::Descending);
            } else if by.is_none() && args.keyword("BYLEX") {
                by = Some(By::Name);
            } else if by.is_none() && args.keyword("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, order) = (by.unwrap_or(By::Rank), order.unwrap_or(Order::Ascending));
        if by == By::Rank && limit.as_ref().is_some_and(|limit| limit.count != -1) {
            return Err(CommandError::Text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Name && scores == Scores::With {
            return Err(CommandError::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        // Descending, the greater bound comes first; ranks are counted from the other end instead.
        let swap = by != By::Rank && order == Order::Descending;
        let (min, max) = if swap { (second, first) } else { (first, second) };
        let limit = limit.filter(|_| by != By::Rank);
        Ok(Query { bounds: Bounds::parse(by, min, max)?, order, limit, scores })
    }

    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let ranks = self.bounds.ranks(zset, self.order);
        match &self.limit {
            Some(limit) => limit.apply(zset, ranks, self.order),
            None => ranks,
        }
    }
}

fn range(ctx: &mut Ctx<'_>, args: &mut Args<'_>, form: &Form) -> CmdResult {
    let key = args.next()?;
    let query = Query::parse(args, form)?;
    match ctx.db.read::<Zset>(key)? {
        Some(zset) => reply_range(&mut ctx.out, &zset, query.ranks(&zset), query.order, query.scores),
        None => ctx.out.array(0),
    }
    Ok(Outcome::Done)
}

const ZRANGESTORE: Command = Command {
    name: "zrangestore",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::SortedSet,
    keys: &[KeySpec::at(1, KeyFlags::OW_UPDATE), KeySpec::at(2, KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
    summary: "Stores a range of members of a sorted set in a key.",
    args: &[
        Arg::key("dst"),
        Arg::key_of("src", 1),
        Arg::string("min"),
        Arg::string("max"),
        SORT_BY,
        Arg::word("rev", "REV").optional(),
        LIMIT,
    ],
    run: zrangestore,
    ..Command::BASE
};

fn zrangestore(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (destination, source) = (args.next()?, args.next()?);
    let query = Query::parse(args, &Form { by: None, order: None, with_scores: false })?;
    let mut result = Zset::new();
    if let Some(zset) = ctx.db.read::<Zset>(source)? {
        let ranks = query.ranks(&zset);
        let by_rank = matches!(query.bounds, Bounds::Ranks(..));
        // Redis knows the number of a range by rank only: others pass through a listpack, which has no -0, in their order.
        if by_rank {
            result.prepare(ranks.len(), ctx.config);
        }
        let order = if by_rank { Order::Ascending } else { query.order };
        let mut buf = ElemBuf::default();
        zset.range(ranks, order, |name, score| {
            let name = name.text(&mut buf);
            match order {
                Order::Ascending => result.push_last(name, score, ctx.config),
                Order::Descending => {
                    result.insert(name, score, ctx.config);
                }
            }
        });
    }
    store(ctx, destination, result, "zrangestore");
    Ok(Outcome::Done)
}

const ZREMRANGEBYRANK: Command = Command {
    name: "zremrangebyrank",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "2.0.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    summary: "Removes members of a sorted set in a range of ranks.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("stop")],
    run: |ctx, args| remove_range(ctx, args, By::Rank, "zremrangebyrank"),
    ..Command::BASE
};

const ZREMRANGEBYSCORE: Command = Command {
    name: "zremrangebyscore",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    summary: "Removes members of a sorted set in a range of scores.",
    args: &[Arg::key("key"), Arg::double("min"), Arg::double("max")],
    run: |ctx, args| remove_range(ctx, args, By::Score, "zremrangebyscore"),
    ..Command::BASE
};

const ZREMRANGEBYLEX: Command = Command {
    name: "zremrangebylex",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: Group::SortedSet,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "2.8.9",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    summary: "Removes members of a sorted set in a lexicographical range.",
    args: &[Arg::key("key"), Arg::string("min"), Arg::string("max")],
    run: |ctx, args| remove_range(ctx, args, By::Name, "zremrangebylex"),
    ..Command::BASE
};

fn remove_range(ctx: &mut Ctx<'_>, args: &mut Args<'_>, by: By, event: &'static str) -> CmdResult {
    let key = args.next()?;
    let bounds = Bounds::parse(by, args.next()?, args.next()?)?;
    let (count, emptied) = {
        let Some(mut zset) = ctx.db.write::<Zset>(key)? else {
            ctx.out.integer(0);
            return Ok(Outcome::Done);
        };
        let ranks = bounds.ranks(&zset, Order::Ascending);
        let count = ranks.len();
        zset.remove_ranks(ranks, |_, _| {});
        (count, zset.is_empty())
    };
    ctx.out.integer(count as i64);
    if count > 0 {
        removed(ctx, key, event, count, emptied);
    }
    Ok(Outcome::Done)
}
