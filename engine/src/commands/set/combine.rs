//! Unions, intersections and differences of sets.

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::elements::reply_elem;
use crate::config::EngineConfig;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::hll;
use crate::ds::listpack::{Elem, ElemBuf};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Db, Expiry, Ref, ValueRef};
use crate::types::{Set, Value};

/// Most sets whose union is found by looking members up in the sets before; more are gathered in a set of their own.
pub(super) const UNION_LOOKUPS_MAX: usize = 4;

pub(super) const READ_MANY: &[KeySpec] = &[KeySpec::range(1, -1, 1, KeyFlags::READ)];

pub(super) const STORE_KEYS: &[KeySpec] =
    &[KeySpec::at(1, KeyFlags::OW_UPDATE), KeySpec::range(2, -1, 1, KeyFlags::READ)];

pub(super) const CARD_ARGS: &[Arg] =
    &[Arg::integer("numkeys"), Arg::key("key").many(), Arg::integer("limit").token("LIMIT").optional()];

pub(super) const STORE_ARGS: &[Arg] = &[Arg::key("destination"), Arg::key_of("key", 1).many()];

/// The sets at `keys`, each with its length; a missing one is empty. Reading them checks their types.
pub(super) struct Inputs<'k> {
    pub(super) keys: &'k [&'k [u8]],
    pub(super) lens: Vec<usize>,
}

impl<'k> Inputs<'k> {
    pub(super) fn read(db: &mut Db, keys: &'k [&'k [u8]]) -> Result<Self, CommandError> {
        let lens = keys.iter().map(|key| Ok(db.read::<Set>(key)?.map_or(0, |set| set.len())));
        Ok(Inputs { keys, lens: lens.collect::<Result<_, CommandError>>()? })
    }

    /// All sets that are there, side by side, in the order of the keys.
    pub(super) fn sets<'a>(&self, db: &'a Db) -> Vec<Ref<'a, Set>> {
        let present = self.keys.iter().zip(&self.lens).filter(|&(_, &len)| len > 0);
        present.filter_map(|(key, _)| look(db, key)).collect()
    }
}

/// The set at `key`, while others are looked at too.
pub(super) fn look<'a>(db: &'a Db, key: &[u8]) -> Option<Ref<'a, Set>> {
    match db.look(key)? {
        ValueRef::Other(value) => value.get::<Set>(),
        ValueRef::String(_) => None,
    }
}

/// What is made of several sets.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Intersection,
    Union,
    Difference,
}

impl Operation {
    /// Calls `see` with every member of the result, once, until it returns false.
    pub(super) fn run(self, db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, see: impl FnMut(Elem<'_>) -> bool) {
        match self {
            Operation::Intersection => intersect(db, inputs, see),
            Operation::Union => unite(db, inputs, config, see),
            Operation::Difference => subtract(db, inputs, config, see),
        }
    }
}

pub(super) fn intersect(db: &Db, inputs: &Inputs<'_>, mut see: impl FnMut(Elem<'_>) -> bool) {
    if inputs.lens.contains(&0) {
        return;
    }
    let mut sets = inputs.sets(db);
    // The smallest is walked; the others are asked from the small to the large, which are the more likely to say yes.
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if others.iter().all(|other| other.contains_elem(member)) && !see(member) {
            return;
        }
    }
}

pub(super) fn unite(db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, mut see: impl FnMut(Elem<'_>) -> bool) {
    let mut sets = inputs.sets(db);
    // A member of an earlier set is known. The largest comes first: its members need no question.
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    if sets.len() <= UNION_LOOKUPS_MAX {
        for (i, set) in sets.iter().enumerate() {
            for member in set.iter() {
                if !sets[..i].iter().any(|earlier| earlier.contains_elem(member)) && !see(member) {
                    return;
                }
            }
        }
        return;
    }
    let mut all = Set::new();
    for member in sets.iter().flat_map(|set| set.iter()) {
        if all.add_elem(member, config) && !see(member) {
            return;
        }
    }
}

pub(super) fn subtract(db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, mut see: impl FnMut(Elem<'_>) -> bool) {
    let (first, others) = (inputs.lens[0], &inputs.lens[1..]);
    // A set without itself is empty.
    if first == 0 || inputs.keys[1..].contains(&inputs.keys[0]) {
        return;
    }
    let mut sets = inputs.sets(db);
    let mut others_sets = sets.split_off(1);
    let Some(minuend) = sets.first() else { return };
    // Either every member of the first set is looked up in the others, or all their members are taken out of a copy of
    // it. Lookups may end early, and need no copy: they count half.
    let lookups = first.saturating_mul(others_sets.len()) / 2;
    if lookups <= first + others.iter().sum::<usize>() {
        // A larger set is more likely to have a member.
        others_sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for member in minuend.iter() {
            if !others_sets.iter().any(|other| other.contains_elem(member)) && !see(member) {
                return;
            }
        }
        return;
    }
    let mut rest = Set::new();
    minuend.iter().for_each(|member| {
        rest.add_elem(member, config);
    });
    for other in &others_sets {
        if rest.is_empty() {
            return;
        }
        other.iter().for_each(|member| {
            rest.remove_elem(member);
        });
    }
    for member in rest.iter() {
        if !see(member) {
            return;
        }
    }
}

pub(super) const SINTER: Command = Command {
    name: "sinter",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: READ_MANY,
    since: "1.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    summary: "Returns the members that several sets have in common.",
    args: &[Arg::key("key").many()],
    run: |ctx, args| combine(ctx, args, Operation::Intersection),
    ..Command::BASE
};

pub(super) const SUNION: Command = Command {
    name: "sunion",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: READ_MANY,
    since: "1.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns the members that any of several sets has.",
    args: &[Arg::key("key").many()],
    run: |ctx, args| combine(ctx, args, Operation::Union),
    ..Command::BASE
};

pub(super) const SDIFF: Command = Command {
    name: "sdiff",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: READ_MANY,
    since: "1.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns the members of a set that no other one of several sets has.",
    args: &[Arg::key("key").many()],
    run: |ctx, args| combine(ctx, args, Operation::Difference),
    ..Command::BASE
};

pub(super) fn combine(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> CmdResult {
    let inputs = Inputs::read(ctx.db, args.take_rest())?;
    let header = ctx.out.deferred();
    let mut count = 0;
    operation.run(ctx.db, &inputs, ctx.config, |member| {
        reply_elem(&mut ctx.out, member);
        count += 1;
        true
    });
    ctx.out.finish_set(header, count);
    Ok(Outcome::Done)
}

pub(super) const SINTERSTORE: Command = Command {
    name: "sinterstore",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Set,
    keys: STORE_KEYS,
    since: "1.0.0",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    summary: "Stores the members that several sets have in common in a key.",
    args: STORE_ARGS,
    run: |ctx, args| combine_and_store(ctx, args, Operation::Intersection, "sinterstore"),
    ..Command::BASE
};

pub(super) const SUNIONSTORE: Command = Command {
    name: "sunionstore",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Set,
    keys: STORE_KEYS,
    since: "1.0.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Stores the members that any of several sets has in a key.",
    args: STORE_ARGS,
    run: |ctx, args| combine_and_store(ctx, args, Operation::Union, "sunionstore"),
    ..Command::BASE
};

pub(super) const SDIFFSTORE: Command = Command {
    name: "sdiffstore",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Set,
    keys: STORE_KEYS,
    since: "1.0.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Stores the members of a set that no other one of several sets has in a key.",
    args: STORE_ARGS,
    run: |ctx, args| combine_and_store(ctx, args, Operation::Difference, "sdiffstore"),
    ..Command::BASE
};

pub(super) fn combine_and_store(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    operation: Operation,
    event: &'static str,
) -> CmdResult {
    let destination = args.next()?;
    let inputs = Inputs::read(ctx.db, args.take_rest())?;
    let mut result = Set::new();
    if operation == Operation::Union {
        // The result set itself knows what has been seen.
        for member in inputs.sets(ctx.db).iter().flat_map(|set| set.iter()) {
            result.add_elem(member, ctx.config);
        }
    } else {
        operation.run(ctx.db, &inputs, ctx.config, |member| {
            result.add_elem(member, ctx.config);
            true
        });
    }
    let smallest = inputs.sets(ctx.db).into_iter().min_by_key(|set| set.len());
    if operation == Operation::Intersection && smallest.is_some_and(|set| set.encoding() != "intset") {
        // Redis gathers such an intersection in a listpack: integers that are too many for an intset stay in one.
        result.pack(ctx.config);
    }
    ctx.out.integer(result.len() as i64);
    if !result.is_empty() {
        ctx.db.insert(destination, Value::Set(result), Expiry::Clear);
        ctx.effects.changed(EventClass::SET, event, destination, 1);
    } else if let Some(old) = ctx.db.delete(destination) {
        if ctx.config.lazy_server_del {
            ctx.effects.free_later.push(old);
        }
        ctx.effects.changed(EventClass::GENERIC, "del", destination, 1);
    }
    Ok(Outcome::Done)
}

pub(super) const SINTERCARD: Command = Command {
    name: "sintercard",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "7.0.0",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    summary: "Returns how many members several sets have in common.",
    args: CARD_ARGS,
    run: |ctx, args| cardinality(ctx, args, Operation::Intersection),
    ..Command::BASE
};

pub(super) const SUNIONCARD: Command = Command {
    name: "sunioncard",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "8.10.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns how many members several sets have together.",
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key").many(),
        Arg::word("approx", "APPROX").optional(),
        Arg::integer("limit").token("LIMIT").optional(),
    ],
    run: |ctx, args| cardinality(ctx, args, Operation::Union),
    ..Command::BASE
};

pub(super) const SDIFFCARD: Command = Command {
    name: "sdiffcard",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::counted(1, KeyFlags::READ)],
    since: "8.10.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns how many members are in the first of several sets only.",
    args: CARD_ARGS,
    run: |ctx, args| cardinality(ctx, args, Operation::Difference),
    ..Command::BASE
};

/// Members of a union that are counted rather than estimated, at most.
pub(super) const APPROXIMATE_MIN: usize = 1024;

/// Replies how many members an operation finds, without keeping them.
pub(super) fn cardinality(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> CmdResult {
    let n = args.i64_in(1..=i64::MAX, CommandError::Text("ERR numkeys should be greater than 0"))?;
    let too_many = CommandError::Text("ERR Number of keys can't be greater than number of args");
    let keys = usize::try_from(n).ok().filter(|&n| n <= args.left()).ok_or(too_many)?;
    let keys = args.take(keys)?;
    let (mut limit, mut approximate) = (0, false);
    while !args.is_done() {
        if operation == Operation::Union && args.keyword("APPROX") {
            approximate = true;
            continue;
        }
        if args.left() < 2 || !args.keyword("LIMIT") {
            return Err(CommandError::Syntax);
        }
        limit = args.i64_in(0..=i64::MAX, CommandError::Text("ERR LIMIT can't be negative"))? as usize;
    }
    let inputs = Inputs::read(ctx.db, keys)?;
    // For few members, looking is as cheap as estimating.
    if approximate && inputs.lens.iter().sum::<usize>() > APPROXIMATE_MIN {
        let mut registers = hll::Registers::default();
        for member in inputs.sets(ctx.db).iter().flat_map(|set| set.iter()) {
            registers.add(member.text(&mut ElemBuf::new()));
        }
        let estimate = registers.estimate();
        ctx.out.integer(if limit == 0 { estimate } else { estimate.min(limit as u64) } as i64);
        return Ok(Outcome::Done);
    }
    let mut count = 0;
    operation.run(ctx.db, &inputs, ctx.config, |_| {
        count += 1;
        count != limit
    });
    ctx.out.integer(count as i64);
    Ok(Outcome::Done)
}
