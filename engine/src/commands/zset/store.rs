//! Unions, intersections and differences of sorted sets and sets.

use super::{Scores, not_nan, reply_range, store};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::listpack::{Elem, ElemBuf};
use crate::error::CommandError;
use crate::keyspace::ValueRef;
use crate::types::zset::Order;
use crate::types::{Kind, Set, Zset};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&ZDIFF, &ZDIFFSTORE, &ZINTER, &ZINTERCARD, &ZINTERSTORE, &ZUNION, &ZUNIONSTORE];

const WEIGHTS: Arg = Arg::integer("weight").token("WEIGHTS").optional().many();
const AGGREGATE: Arg =
    Arg::one_of("aggregate", &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")])
        .token("AGGREGATE")
        .optional();
const WITHSCORES: Arg = Arg::word("withscores", "WITHSCORES").optional();
const READ_ARGS: &[Arg] = &[Arg::integer("numkeys"), Arg::key("key").many(), WEIGHTS, AGGREGATE, WITHSCORES];
const STORE_ARGS: &[Arg] =
    &[Arg::key("destination"), Arg::integer("numkeys"), Arg::key_of("key", 1).many(), WEIGHTS, AGGREGATE];
const STORE_KEYS: &[KeySpec] = &[KeySpec::at(1, KeyFlags::OW_UPDATE), KeySpec::counted(2, KeyFlags::READ)];

const ZUNION: Command = Command {
    name: "zunion",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
    summary: "Returns the union of several sorted sets.",
    args: READ_ARGS,
    run: |ctx, args| reply(ctx, args, Operation::Union, "zunion"),
    ..Command::BASE
};

const ZUNIONSTORE: Command = Command {
    name: "zunionstore",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::SortedSet,
    keys: STORE_KEYS,
    since: "2.0.0",
    complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
    summary: "Stores the union of several sorted sets in a key.",
    args: STORE_ARGS,
    run: |ctx, args| store_result(ctx, args, Operation::Union, "zunionstore"),
    ..Command::BASE
};

const ZINTER: Command = Command {
    name: "zinter",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
    summary: "Returns the intersection of several sorted sets.",
    args: READ_ARGS,
    run: |ctx, args| reply(ctx, args, Operation::Intersection, "zinter"),
    ..Command::BASE
};

const ZINTERSTORE: Command = Command {
    name: "zinterstore",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::SortedSet,
    keys: STORE_KEYS,
    since: "2.0.0",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
    summary: "Stores the intersection of several sorted sets in a key.",
    args: STORE_ARGS,
    run: |ctx, args| store_result(ctx, args, Operation::Intersection, "zinterstore"),
    ..Command::BASE
};

const ZDIFF: Command = Command {
    name: "zdiff",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
    summary: "Returns what is in the first of several sorted sets only.",
    args: &[Arg::integer("numkeys"), Arg::key("key").many(), WITHSCORES],
    run: |ctx, args| reply(ctx, args, Operation::Difference, "zdiff"),
    ..Command::BASE
};

const ZDIFFSTORE: Command = Command {
    name: "zdiffstore",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::SortedSet,
    keys: STORE_KEYS,
    since: "6.2.0",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
    summary: "Stores what is in the first of several sorted sets only in a key.",
    args: &[Arg::key("destination"), Arg::integer("numkeys"), Arg::key_of("key", 1).many()],
    run: |ctx, args| store_result(ctx, args, Operation::Difference, "zdiffstore"),
    ..Command::BASE
};

const ZINTERCARD: Command = Command {
    name: "zintercard",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::SortedSet,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "7.0.0",
    complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
    summary: "Returns the number of members of the intersection of several sorted sets.",
    args: &[Arg::integer("numkeys"), Arg::key("key").many(), Arg::integer("limit").token("LIMIT").optional()],
    run: zintercard,
    ..Command::BASE
};

/// What is made of the inputs.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of one member in several inputs become one.
#[derive(Copy, Clone)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            // Opposite infinities cancel out.
            Aggregate::Sum => not_nan(a + b).unwrap_or(0.0),
            // Of equal scores the first stays: 0 and -0 differ in a reply.
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// An input: a key that holds a sorted set or a set, or is missing.
#[derive(Clone, Copy)]
struct Input<'a> {
    key: &'a [u8],
    len: usize,
    weight: f64,
}

impl Input<'_> {
    fn weighted(&self, score: f64) -> f64 {
        // Zero times infinity counts as zero.
        not_nan(self.weight * score).unwrap_or(0.0)
    }

    /// Calls `see` with every member and its weighted score, until it returns false. A set's members have score 1.
    fn for_each(&self, ctx: &mut Ctx<'_>, mut see: impl FnMut(Elem<'_>, f64)) {
        match ctx.db.peek(self.key) {
            Some(ValueRef::Other(value)) => {
                if let Some(zset) = value.get::<Zset>() {
                    zset.iter().for_each(|(name, score)| see(name, self.weighted(score)));
                } else if let Some(set) = value.get::<Set>() {
                    set.iter().for_each(|name| see(name, self.weighted(1.0)));
                }
            }
            _ => debug_assert!(self.len == 0, "inputs were looked up before"),
        }
    }

    /// Calls `keep` with the weighted score that each name has in this input, and drops those that it answers false for. Zero
    /// times infinity is NaN here, which makes a sum zero, as in Redis.
    fn retain(
        &self,
        ctx: &mut Ctx<'_>,
        names: &mut Vec<(Box<[u8]>, f64)>,
        mut keep: impl FnMut(&mut f64, Option<f64>) -> bool,
    ) {
        match ctx.db.peek(self.key) {
            Some(ValueRef::Other(value)) => {
                if let Some(zset) = value.get::<Zset>() {
                    names.retain_mut(|(name, score)| keep(score, zset.score(name).map(|score| self.weight * score)));
                } else if let Some(set) = value.get::<Set>() {
                    names.retain_mut(|(name, score)| keep(score, set.contains(name).then_some(self.weight)));
                }
            }
            _ => names.retain_mut(|(_, score)| keep(score, None)),
        }
    }
}

/// Reads the number of keys and the keys, and looks them up.
fn inputs<'a>(ctx: &mut Ctx<'_>, args: &mut Args<'a>, command: &str) -> Result<Vec<Input<'a>>, CommandError> {
    let count = args.i64()?;
    if count < 1 {
        return Err(CommandError::owned(format!("ERR at least 1 input key is needed for '{command}' command")));
    }
    let keys = args.take(usize::try_from(count).map_err(|_| CommandError::Syntax)?)?;
    keys.iter()
        .map(|&key| {
            let len = if ctx.db.kind(key) == Some(Kind::Set) {
                ctx.db.read::<Set>(key)?.map_or(0, |set| set.len())
            } else {
                ctx.db.read::<Zset>(key)?.map_or(0, |zset| zset.len())
            };
            Ok(Input { key, len, weight: 1.0 })
        })
        .collect()
}

/// The options behind the keys.
struct Options {
    aggregate: Aggregate,
    scores: Scores,
}

impl Options {
    fn parse(
        args: &mut Args<'_>,
        inputs: &mut [Input<'_>],
        operation: Operation,
        may_reply_scores: bool,
    ) -> Result<Self, CommandError> {
        let mut options = Options { aggregate: Aggregate::Sum, scores: Scores::Without };
        let combines = operation != Operation::Difference;
        while !args.is_done() {
            if combines && args.left() > inputs.len() && args.keyword("WEIGHTS") {
                for input in &mut *inputs {
                    input.weight = resp::number::parse_f64(args.next()?)
                        .ok_or(CommandError::Text("ERR weight value is not a float"))?;
                }
            } else if combines && args.left() > 1 && args.keyword("AGGREGATE") {
                options.aggregate = if args.keyword("SUM") {
                    Aggregate::Sum
                } else if args.keyword("MIN") {
                    Aggregate::Min
                } else if args.keyword("MAX") {
                    Aggregate::Max
                } else {
                    return Err(CommandError::Syntax);
                };
            } else if may_reply_scores && args.keyword("WITHSCORES") {
                options.scores = Scores::With;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn reply(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation, command: &str) -> CmdResult {
    let mut inputs = inputs(ctx, args, command)?;
    let options = Options::parse(args, &mut inputs, operation, true)?;
    let result = combine(ctx, inputs, operation, options.aggregate);
    reply_range(&mut ctx.out, &result, 0..result.len(), Order::Ascending, options.scores);
    Ok(Outcome::Done)
}

fn store_result(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation, command: &'static str) -> CmdResult {
    let destination = args.next()?;
    let mut inputs = inputs(ctx, args, command)?;
    let options = Options::parse(args, &mut inputs, operation, false)?;
    let mut result = combine(ctx, inputs, operation, options.aggregate);
    if result.len() <= ctx.config.zset_max_listpack_entries {
        // A negative zero on the way may have made it a tree.
        let mut buf = ElemBuf::default();
        let longest = result.iter().map(|(name, _)| name.text(&mut buf).len()).max();
        result.shrink(longest.unwrap_or(0), ctx.config);
    }
    store(ctx, destination, result, command);
    Ok(Outcome::Done)
}

fn combine(ctx: &mut Ctx<'_>, mut inputs: Vec<Input<'_>>, operation: Operation, aggregate: Aggregate) -> Zset {
    if operation != Operation::Difference {
        // From the smallest on, as in Redis: sums of floating point numbers depend on it.
        inputs.sort_by_key(|input| input.len);
    }
    if operation == Operation::Union {
        return union(ctx, &inputs, aggregate);
    }
    let mut names = collect(ctx, &inputs[0]);
    for input in &inputs[1..] {
        if names.is_empty() {
            break;
        }
        input.retain(ctx, &mut names, |score, other| match (operation, other) {
            (Operation::Intersection, Some(other)) => {
                *score = aggregate.apply(*score, other);
                true
            }
            (Operation::Intersection, None) => false,
            (_, other) => other.is_none(),
        });
    }
    let mut result = Zset::new();
    result.prepare(names.len(), ctx.config);
    for (name, score) in names {
        make_room_for_sign(&mut result, score);
        result.insert(&name, score, ctx.config);
    }
    result
}

fn union(ctx: &mut Ctx<'_>, inputs: &[Input<'_>], aggregate: Aggregate) -> Zset {
    let mut result = Zset::new();
    let config = ctx.config;
    let mut buf = ElemBuf::default();
    // The greatest input alone tells that a listpack will not do.
    result.prepare(inputs.last().map_or(0, |input| input.len), config);
    for input in inputs.iter().filter(|input| input.len > 0) {
        input.for_each(ctx, |name, score| {
            make_room_for_sign(&mut result, score);
            result
                .update(name.text(&mut buf), config, |old| Some(old.map_or(score, |old| aggregate.apply(old, score))));
        });
    }
    result
}

/// A listpack has no negative zero, which is a score of its own in a reply and while scores are combined.
fn make_room_for_sign(result: &mut Zset, score: f64) {
    if score == 0.0 && score.is_sign_negative() {
        result.become_tree(1);
    }
}

/// An input's members with their weighted scores.
fn collect(ctx: &mut Ctx<'_>, input: &Input<'_>) -> Vec<(Box<[u8]>, f64)> {
    let mut names = Vec::with_capacity(input.len);
    let mut buf = ElemBuf::default();
    if input.len > 0 {
        input.for_each(ctx, |name, score| names.push((name.text(&mut buf).into(), score)));
    }
    names
}

fn zintercard(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let mut inputs = inputs(ctx, args, "zintercard")?;
    let mut limit = 0;
    while !args.is_done() {
        if args.left() < 2 || !args.keyword("LIMIT") {
            return Err(CommandError::Syntax);
        }
        limit = args.i64_in(0..=i64::MAX, CommandError::Text("ERR LIMIT can't be negative"))? as usize;
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    inputs.sort_by_key(|input| input.len);
    let (last, others) = inputs.split_last().expect("at least one key");
    let count = if others.is_empty() {
        last.len.min(limit)
    } else {
        let mut names = collect(ctx, &others[0]);
        for input in &others[1..] {
            input.retain(ctx, &mut names, |_, other| other.is_some());
        }
        // Nothing needs to be known beyond the limit.
        let mut count = 0;
        last.retain(ctx, &mut names, |_, other| {
            count += usize::from(count < limit && other.is_some());
            true
        });
        count
    };
    ctx.out.integer(count as i64);
    Ok(Outcome::Done)
}
