//! Set commands. <https://redis.io/docs/latest/commands/?group=set>

use super::elements::{RandomCount, reply_elem, reply_repeated};
use super::scan_args::{self, ScanArgs, ScanOf, ScanReply};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::config::EngineConfig;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::entry::Ref;
use crate::ds::hll;
use crate::ds::listpack::{Elem, ElemBuf};
use crate::effects::{Effects, EventClass};
use crate::error::CommandError;
use crate::keyspace::{Db, Expiry, ValueRef};
use crate::types::{Set, Value};

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &SADD,
    &SREM,
    &SISMEMBER,
    &SMISMEMBER,
    &SCARD,
    &SMEMBERS,
    &SPOP,
    &SRANDMEMBER,
    &SMOVE,
    &SINTER,
    &SINTERSTORE,
    &SINTERCARD,
    &SUNION,
    &SUNIONSTORE,
    &SUNIONCARD,
    &SDIFF,
    &SDIFFSTORE,
    &SDIFFCARD,
    &SSCAN,
];

/// Most members that one SREM names when SPOP propagates what it took.
const PROPAGATED_MEMBERS_MAX: usize = 1024;

/// Most sets whose union is found by looking members up in the sets before; more are gathered in a set of their own.
const UNION_LOOKUPS_MAX: usize = 4;

const READ_MANY: &[KeySpec] = &[KeySpec::range(1, -1, 1, KeyFlags::READ)];
const STORE_KEYS: &[KeySpec] = &[KeySpec::at(1, KeyFlags::OW_UPDATE), KeySpec::range(2, -1, 1, KeyFlags::READ)];
const CARD_ARGS: &[Arg] =
    &[Arg::integer("numkeys"), Arg::key("key").many(), Arg::integer("limit").token("LIMIT").optional()];
const STORE_ARGS: &[Arg] = &[Arg::key("destination"), Arg::key_of("key", 1).many()];

const SADD: Command = Command {
    name: "sadd",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "1.0.0",
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Adds members to a set, creating the set if the key is missing.",
    args: &[Arg::key("key"), Arg::string("member").many()],
    run: sadd,
    ..Command::BASE
};

fn sadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let added = add_members(ctx, args.next()?, args.take_rest())?;
    ctx.out.integer(added as i64);
    Ok(Outcome::Done)
}

/// Adds members, at least one; returns how many are new.
pub(crate) fn add_members(ctx: &mut Ctx<'_>, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
    let mut set = ctx.db.write_or_create::<Set>(key)?;
    set.prepare(members[0], members.len(), ctx.config);
    let added = members.iter().filter(|member| set.add(member, ctx.config)).count();
    drop(set);
    if added > 0 {
        ctx.effects.changed(EventClass::SET, "sadd", key, added as u64);
    }
    Ok(added)
}

const SREM: Command = Command {
    name: "srem",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "1.0.0",
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    complexity: "O(N) where N is the number of members to be removed.",
    summary: "Removes members from a set; the set goes with its last member.",
    args: &[Arg::key("key"), Arg::string("member").many()],
    run: srem,
    ..Command::BASE
};

fn srem(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let removed = remove_members(ctx, args.next()?, args.take_rest())?;
    ctx.out.integer(removed as i64);
    Ok(Outcome::Done)
}

/// Removes members, and the key with the last one; returns how many were there.
pub(crate) fn remove_members(ctx: &mut Ctx<'_>, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
    let Some(mut set) = ctx.db.write::<Set>(key)? else { return Ok(0) };
    let mut removed = 0;
    for member in members {
        removed += usize::from(set.remove(member));
        if set.is_empty() {
            break;
        }
    }
    let emptied = set.is_empty();
    drop(set);
    if removed > 0 {
        taken(ctx, key, "srem", removed as u64, emptied);
    }
    Ok(removed)
}

/// Notes that `count` members left `key`, which is removed when it is empty.
fn taken(ctx: &mut Ctx<'_>, key: &[u8], event: &'static str, count: u64, emptied: bool) {
    ctx.effects.changed(EventClass::SET, event, key, count);
    if emptied {
        ctx.db.delete(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
}

const SISMEMBER: Command = Command {
    name: "sismember",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Tells whether a set has a member.",
    args: &[Arg::key("key"), Arg::string("member")],
    run: sismember,
    ..Command::BASE
};

fn sismember(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let set = ctx.db.read::<Set>(args.next()?)?;
    let member = args.next()?;
    ctx.out.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(Outcome::Done)
}

const SMISMEMBER: Command = Command {
    name: "smismember",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.2.0",
    complexity: "O(N) where N is the number of elements being checked for membership",
    summary: "Tells for each of several members whether a set has it.",
    args: &[Arg::key("key"), Arg::string("member").many()],
    run: smismember,
    ..Command::BASE
};

fn smismember(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let set = ctx.db.read::<Set>(args.next()?)?;
    let members = args.take_rest();
    ctx.out.array(members.len());
    for member in members {
        ctx.out.integer(i64::from(set.as_ref().is_some_and(|set| set.contains(member))));
    }
    Ok(Outcome::Done)
}

const SCARD: Command = Command {
    name: "scard",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the number of members of a set.",
    args: &[Arg::key("key")],
    run: scard,
    ..Command::BASE
};

fn scard(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read::<Set>(args.next()?)?.map_or(0, |set| set.len());
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const SMEMBERS: Command = Command {
    name: "smembers",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the set cardinality.",
    summary: "Returns all members of a set.",
    args: &[Arg::key("key")],
    run: smembers,
    ..Command::BASE
};

fn smembers(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let set = ctx.db.read::<Set>(args.next()?)?;
    ctx.out.set(set.as_ref().map_or(0, |set| set.len()));
    if let Some(set) = set {
        set.iter().for_each(|member| reply_elem(&mut ctx.out, member));
    }
    Ok(Outcome::Done)
}

const SPOP: Command = Command {
    name: "spop",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "1.0.0",
    history: &[("3.2.0", "Added the `count` argument.")],
    tips: &["nondeterministic_output"],
    complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
    summary: "Removes and returns random members of a set; the set goes with its last member.",
    args: &[Arg::key("key"), Arg::integer("count").optional().since("3.2.0")],
    run: spop,
    ..Command::BASE
};

fn spop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    if !args.is_done() {
        if args.left() > 1 {
            return Err(CommandError::Syntax);
        }
        let count = args.i64_in(0..=i64::MAX, CommandError::NotPositive)? as usize;
        return spop_many(ctx, key, count);
    }
    let Some(mut set) = ctx.db.write::<Set>(key)? else {
        ctx.out.null();
        return Ok(Outcome::Done);
    };
    let (out, effects) = (&mut ctx.out, &mut *ctx.effects);
    set.pop_random(ctx.rng, |member| {
        reply_elem(out, member);
        effects.propagate_instead(&[b"SREM", key, member.text(&mut ElemBuf::new())]);
    });
    let emptied = set.is_empty();
    drop(set);
    taken(ctx, key, "spop", 1, emptied);
    Ok(Outcome::Done)
}

fn spop_many(ctx: &mut Ctx<'_>, key: &[u8], count: usize) -> CmdResult {
    let Some(mut set) = ctx.db.write::<Set>(key)? else {
        ctx.out.set(0);
        return Ok(Outcome::Done);
    };
    let len = set.len();
    ctx.out.set(count.min(len));
    if count == 0 {
        return Ok(Outcome::Done);
    }
    if count >= len {
        set.iter().for_each(|member| reply_elem(&mut ctx.out, member));
        drop(set);
        let old = ctx.db.delete(key);
        let removal: &[u8] = if ctx.config.lazy_server_del {
            ctx.effects.free_later.extend(old);
            b"UNLINK"
        } else {
            b"DEL"
        };
        ctx.effects.changed(EventClass::SET, "spop", key, len as u64);
        ctx.effects.event(EventClass::GENERIC, "del", key);
        ctx.effects.propagate_instead(&[removal, key]);
        return Ok(Outcome::Done);
    }
    let mut popped = Popped::new(ctx.effects);
    for _ in 0..count {
        let out = &mut ctx.out;
        set.pop_random(ctx.rng, |member| {
            reply_elem(out, member);
            popped.note(member);
        });
    }
    drop(set);
    popped.propagate(ctx.effects, key);
    taken(ctx, key, "spop", count as u64, false);
    Ok(Outcome::Done)
}

/// The members that SPOP took, as far as somebody wants to know.
struct Popped {
    wanted: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Popped {
    fn new(effects: &Effects) -> Self {
        Popped { wanted: effects.interest.propagation, bytes: Vec::new(), ends: Vec::new() }
    }

    fn note(&mut self, member: Elem<'_>) {
        if self.wanted {
            self.bytes.extend_from_slice(member.text(&mut ElemBuf::new()));
            self.ends.push(self.bytes.len());
        }
    }

    /// Which members were taken was chance: others are told their names.
    fn propagate(&self, effects: &mut Effects, key: &[u8]) {
        effects.propagate_nothing();
        let mut start = 0;
        for ends in self.ends.chunks(PROPAGATED_MEMBERS_MAX) {
            let mut argv: Vec<&[u8]> = Vec::with_capacity(ends.len() + 2);
            argv.extend([b"SREM", key]);
            for &end in ends {
                argv.push(&self.bytes[start..end]);
                start = end;
            }
            effects.propagate_instead(&argv);
        }
    }
}

const SRANDMEMBER: Command = Command {
    name: "srandmember",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    history: &[("2.6.0", "Added the optional `count` argument.")],
    tips: &["nondeterministic_output"],
    complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
    summary: "Returns random members of a set.",
    args: &[Arg::key("key"), Arg::integer("count").optional().since("2.6.0")],
    run: srandmember,
    ..Command::BASE
};

fn srandmember(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    if args.is_done() {
        let set = ctx.db.read::<Set>(key)?;
        match set.as_ref().and_then(|set| set.random(ctx.rng)) {
            Some(member) => reply_elem(&mut ctx.out, member),
            None => ctx.out.null(),
        }
        let rehashing = set.is_some_and(|set| set.is_rehashing());
        return go_on_rehashing(ctx, key, rehashing);
    }
    if args.left() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = RandomCount::parse(args)?;
    let Some(set) = ctx.db.read::<Set>(key)?.filter(|_| !count.is_zero()) else {
        ctx.out.array(0);
        return Ok(Outcome::Done);
    };
    match count {
        RandomCount::Repeated(count) => reply_repeated(&mut ctx.out, count, 1, |out| {
            reply_elem(out, set.random(ctx.rng).expect("a set in the keyspace has a member"));
        })?,
        RandomCount::Distinct(count) => {
            ctx.out.array(count.min(set.len()));
            set.random_distinct(count, ctx.rng, |member| reply_elem(&mut ctx.out, member));
        }
    }
    let rehashing = set.is_rehashing();
    go_on_rehashing(ctx, key, rehashing)
}

/// A table that is nearly empty makes drawing from it dear: those who draw help to replace it by a smaller one.
fn go_on_rehashing(ctx: &mut Ctx<'_>, key: &[u8], rehashing: bool) -> CmdResult {
    const BUCKETS: usize = 16;
    if rehashing && let Some(mut set) = ctx.db.write::<Set>(key)? {
        set.rehash_step(BUCKETS);
    }
    Ok(Outcome::Done)
}

const SMOVE: Command = Command {
    name: "smove",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Set,
    keys: &[KeySpec::at(1, KeyFlags::RW_ACCESS_DELETE), KeySpec::at(2, KeyFlags::RW_INSERT)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Moves a member from one set to another.",
    args: &[Arg::key("source"), Arg::key_of("destination", 1), Arg::string("member")],
    run: smove,
    ..Command::BASE
};

fn smove(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (source, destination, member) = (args.next()?, args.next()?, args.next()?);
    let found = ctx.db.write::<Set>(source).map(|set| set.is_some());
    if !matches!(found, Ok(true)) {
        ctx.db.exists_for_write(destination);
        found?;
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    }
    // The destination's type is checked before anything is taken away.
    ctx.db.write::<Set>(destination)?;
    let mut from = ctx.db.write::<Set>(source)?.expect("it was found above");
    if source == destination {
        ctx.out.integer(i64::from(from.contains(member)));
        return Ok(Outcome::Done);
    }
    if !from.remove(member) {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    }
    let emptied = from.is_empty();
    drop(from);
    taken(ctx, source, "srem", 1, emptied);
    let mut to = ctx.db.write_or_create::<Set>(destination)?;
    to.prepare(member, 1, ctx.config);
    let added = to.add(member, ctx.config);
    drop(to);
    ctx.report_created();
    if added {
        ctx.effects.changed(EventClass::SET, "sadd", destination, 1);
    }
    ctx.out.integer(1);
    Ok(Outcome::Done)
}

/// The sets at `keys`, each with its length; a missing one is empty. Reading them checks their types.
struct Inputs<'k> {
    keys: &'k [&'k [u8]],
    lens: Vec<usize>,
}

impl<'k> Inputs<'k> {
    fn read(db: &mut Db, keys: &'k [&'k [u8]]) -> Result<Self, CommandError> {
        let lens = keys.iter().map(|key| Ok(db.read::<Set>(key)?.map_or(0, |set| set.len())));
        Ok(Inputs { keys, lens: lens.collect::<Result<_, CommandError>>()? })
    }

    /// All sets that are there, side by side, in the order of the keys.
    fn sets<'a>(&self, db: &'a Db) -> Vec<Ref<'a, Set>> {
        let present = self.keys.iter().zip(&self.lens).filter(|&(_, &len)| len > 0);
        present.filter_map(|(key, _)| look(db, key)).collect()
    }
}

/// The set at `key`, while others are looked at too.
fn look<'a>(db: &'a Db, key: &[u8]) -> Option<Ref<'a, Set>> {
    match db.look(key)? {
        ValueRef::Other(value) => value.get::<Set>(),
        ValueRef::String(_) => None,
    }
}

/// What is made of several sets.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

impl Operation {
    /// Calls `see` with every member of the result, once, until it returns false.
    fn run(self, db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, see: impl FnMut(Elem<'_>) -> bool) {
        match self {
            Operation::Intersection => intersect(db, inputs, see),
            Operation::Union => unite(db, inputs, config, see),
            Operation::Difference => subtract(db, inputs, config, see),
        }
    }
}

fn intersect(db: &Db, inputs: &Inputs<'_>, mut see: impl FnMut(Elem<'_>) -> bool) {
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

fn unite(db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, mut see: impl FnMut(Elem<'_>) -> bool) {
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

fn subtract(db: &Db, inputs: &Inputs<'_>, config: &EngineConfig, mut see: impl FnMut(Elem<'_>) -> bool) {
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

const SINTER: Command = Command {
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

const SUNION: Command = Command {
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

const SDIFF: Command = Command {
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

fn combine(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> CmdResult {
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

const SINTERSTORE: Command = Command {
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

const SUNIONSTORE: Command = Command {
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

const SDIFFSTORE: Command = Command {
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

fn combine_and_store(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation, event: &'static str) -> CmdResult {
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

const SINTERCARD: Command = Command {
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

const SUNIONCARD: Command = Command {
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

const SDIFFCARD: Command = Command {
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
const APPROXIMATE_MIN: usize = 1024;

/// Replies how many members an operation finds, without keeping them.
fn cardinality(ctx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> CmdResult {
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

const SSCAN: Command = Command {
    name: "sscan",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Set,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Iterates over the members of a set.",
    args: &[
        Arg::key("key"),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: sscan,
    ..Command::BASE
};

fn sscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let cursor = scan_args::cursor(args)?;
    let mut reply = ScanReply::new(&ctx.out);
    // A missing key is answered before the options are read, as in Redis.
    let Some(set) = ctx.db.read::<Set>(key)? else {
        reply.finish(0, &mut ctx.out);
        return Ok(Outcome::Done);
    };
    let options = ScanArgs::parse(args, ScanOf::Set)?;
    let mut buf = ElemBuf::new();
    let next = set.scan(cursor, options.count, |member| {
        if options.matches(member.text(&mut buf)) {
            reply_elem(&mut reply.element(), member);
        }
    });
    reply.finish(next, &mut ctx.out);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::config::EngineConfig;
    use crate::testing::{Scenario, check};

    #[test]
    fn members_come_and_go() {
        check(
            r#"
            SADD s 1 2 3 3     => :3
              ! new s, sadd s
              > SADD s 1 2 3 3
            SADD s 1           => :0
              ! none
              > nothing
            SISMEMBER s 1      => :1
            SISMEMBER s 9      => :0
            SISMEMBER none 9   => :0
            SMISMEMBER s 1 9 3 => [:1, :0, :1]
            SMISMEMBER none 1  => [:0]
            SCARD s            => :3
            SCARD none         => :0
            SMEMBERS s         => ["1", "2", "3"]
            SMEMBERS none      => []
            SREM s 1 9         => :1
              ! srem s
            SREM s 9           => :0
              > nothing
            SREM none 9        => :0
            SREM s 2 3 4       => :2
              ! srem s, del s
            EXISTS s           => :0
            SADD s b a 1       => :3
            SMEMBERS s         => ["b", "a", "1"]
            SET str x          => +OK
            SADD str 1         => -WRONGTYPE Operation against a key holding the wrong kind of value
            SREM str 1         => -WRONGTYPE Operation against a key holding the wrong kind of value
            SISMEMBER str 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
            SMEMBERS str       => -WRONGTYPE Operation against a key holding the wrong kind of value
            resp3
            SMEMBERS s         => ~["b", "a", "1"]
            SMEMBERS none      => ~[]
            "#,
        );
    }

    #[test]
    fn smove_moves() {
        check(
            r#"
            SADD a 1 2       => :2
            SADD b 2         => :1
            SET str x        => +OK
            SMOVE a b 2      => :1
              ! srem a
              > SMOVE a b 2
            SADD m x y       => :2
            SMOVE m fresh x  => :1
              ! srem m, new fresh, sadd fresh
            DEL m fresh      => :2
            SMOVE a b 9      => :0
              > nothing
            SMOVE a a 1      => :1
              > nothing
            SMOVE a a 7      => :0
            SMOVE a str 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
            SMOVE a str 7    => -WRONGTYPE Operation against a key holding the wrong kind of value
            SMOVE str a 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
            SMOVE none str 1 => :0
            SISMEMBER a 1    => :1
            SMOVE a new 1    => :1
              ! srem a, del a, new new, sadd new
            SMEMBERS new     => ["1"]
            "#,
        );
    }

    #[test]
    fn spop_propagates_what_it_took() {
        check(
            r#"
            SPOP s              => nil
            SPOP s 3            => []
            SADD s 1            => :1
            SPOP s 0            => []
              ! none
              > nothing
            SPOP s              => "1"
              ! spop s, del s
              > SREM s 1
              > nothing
            SADD s 1 2          => :2
            SPOP s 5            => ["1", "2"]
              ! spop s, del s
              > DEL s
              > nothing
            EXISTS s            => :0
            SPOP s -1           => -ERR value is out of range, must be positive
            SPOP s x            => -ERR value is out of range, must be positive
            SPOP s 1 2          => -ERR syntax error
            SET str x           => +OK
            SPOP str            => -WRONGTYPE Operation against a key holding the wrong kind of value
            SPOP str 0          => -WRONGTYPE Operation against a key holding the wrong kind of value
            resp3
            SPOP s              => _
            SPOP s 1            => ~[]
            "#,
        );
        let mut scenario = Scenario::with(EngineConfig { lazy_server_del: true, ..EngineConfig::default() });
        scenario.check("SADD s 1 => :1\n SPOP s 1 => [\"1\"]\n > UNLINK s");
        assert_eq!(scenario.engine.effects.free_later.len(), 1);
    }

    #[test]
    fn spop_of_many_names_them_in_batches() {
        for prefix in ["", "x"] {
            let mut scenario = Scenario::new();
            let members: Vec<String> = (0..3000).map(|n| format!("{prefix}{n}")).collect();
            scenario.line(&format!("SADD s {}", members.join(" ")));
            let reply = scenario.line("SPOP s 2500");
            let effects = &scenario.engine.effects;
            assert!(!effects.propagates_received());
            let commands: Vec<_> = effects.commands().map(|(_, _, argv)| argv.collect::<Vec<_>>()).collect();
            let sizes: Vec<usize> = commands.iter().map(Vec::len).collect();
            assert_eq!(sizes, [1026, 1026, 454]);
            let mut named: Vec<&[u8]> = commands.iter().flat_map(|argv| &argv[2..]).copied().collect();
            for member in &named {
                assert!(reply.contains(&format!("\"{}\"", str::from_utf8(member).expect("text"))));
            }
            named.sort_unstable();
            named.dedup();
            assert_eq!(named.len(), 2500);
            assert_eq!(scenario.line("SCARD s"), ":500");
        }
    }

    #[test]
    fn random_members() {
        let mut scenario = Scenario::new();
        scenario.check(
            r#"
            SRANDMEMBER s                      => nil
            SRANDMEMBER s 2                    => []
            SADD s a                           => :1
            SRANDMEMBER s                      => "a"
            SRANDMEMBER s 0                    => []
            SRANDMEMBER s 5                    => ["a"]
            SRANDMEMBER s -3                   => ["a", "a", "a"]
            SRANDMEMBER s 1 2                  => -ERR syntax error
            SRANDMEMBER s x                    => -ERR value is not an integer or out of range
            SRANDMEMBER s -9223372036854775808 => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            SRANDMEMBER s 9223372036854775807  => ["a"]
            SET str x                          => +OK
            SRANDMEMBER str                    => -WRONGTYPE Operation against a key holding the wrong kind of value
            SRANDMEMBER str 0                  => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
        let big = "y".repeat(1 << 20);
        scenario.line(&format!("SADD big {big}"));
        scenario.check("SRANDMEMBER big -4611686018427387905 => -ERR value is out of range");
    }

    /// Compares with the sets of the standard library, over every encoding.
    #[test]
    fn operations_agree_with_a_model() {
        use std::collections::BTreeSet;
        let mut scenario = Scenario::new();
        let ranges = [(0, 400, ""), (100, 900, ""), (0, 60, ""), (10, 40, "x"), (0, 700, "x"), (0, 5, ""), (3, 3, "")];
        let mut model: Vec<BTreeSet<String>> = Vec::new();
        for (i, &(from, to, prefix)) in ranges.iter().enumerate() {
            let mut members: BTreeSet<String> = (from..to).map(|n| format!("{prefix}{n}")).collect();
            if prefix == "x" {
                members.extend((0..20).map(|n| n.to_string()));
            }
            for member in &members {
                scenario.line(&format!("SADD s{i} {member}"));
            }
            model.push(members);
        }
        let parse = |reply: String| -> BTreeSet<String> {
            let members: Vec<String> =
                reply.split(['[', ']', ',', ' ', '"']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
            let set: BTreeSet<String> = members.iter().cloned().collect();
            assert_eq!(set.len(), members.len(), "no member twice");
            set
        };
        let choices = [
            &[0][..],
            &[0, 1],
            &[1, 0],
            &[0, 2],
            &[2, 3],
            &[3, 4],
            &[4, 3],
            &[0, 0],
            &[5, 6],
            &[6, 5],
            &[0, 1, 2, 3],
            &[4, 0, 5, 2, 3, 6],
            &[1, 2, 5, 5, 2, 5, 2, 5, 3, 2],
            &[4, 5, 5, 5, 5, 5, 5, 5],
        ];
        for choice in choices {
            let keys = choice.iter().map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
            let first = model[choice[0]].clone();
            let rest = || choice[1..].iter().map(|&i| &model[i]);
            let inter = rest().fold(first.clone(), |acc, other| &acc & other);
            let union = rest().fold(first.clone(), |acc, other| &acc | other);
            let diff = rest().fold(first, |acc, other| &acc - other);
            for (name, expected) in [("SINTER", &inter), ("SUNION", &union), ("SDIFF", &diff)] {
                assert_eq!(&parse(scenario.line(&format!("{name} {keys}"))), expected, "{name} {keys}");
                assert_eq!(scenario.line(&format!("{name}STORE d {keys}")), format!(":{}", expected.len()));
                assert_eq!(&parse(scenario.line("SMEMBERS d")), expected, "{name}STORE d {keys}");
            }
            let n = choice.len();
            assert_eq!(scenario.line(&format!("SINTERCARD {n} {keys}")), format!(":{}", inter.len()));
            assert_eq!(scenario.line(&format!("SUNIONCARD {n} {keys}")), format!(":{}", union.len()));
            assert_eq!(scenario.line(&format!("SUNIONCARD {n} {keys} LIMIT 5")), format!(":{}", union.len().min(5)));
            assert_eq!(scenario.line(&format!("SDIFFCARD {n} {keys}")), format!(":{}", diff.len()));
            assert_eq!(scenario.line(&format!("SINTERCARD {n} {keys} LIMIT 4")), format!(":{}", inter.len().min(4)));
        }
    }

    #[test]
    fn an_intersection_of_too_many_integers_is_a_listpack() {
        // Unless the smallest set is an intset.
        Scenario::with(EngineConfig { set_max_intset_entries: 2, ..EngineConfig::default() }).check(
            r#"
            SADD pack a 1 2 3       => :4
            SREM pack a             => :1
            SINTERSTORE d pack pack => :3
            OBJECT ENCODING d       => "listpack"
            SADD ints 1             => :1
            SADD ints 2             => :1
            SADD ints 3             => :1
            SINTERSTORE d ints      => :3
            OBJECT ENCODING d       => "listpack"
            SDIFFSTORE d pack       => :3
            OBJECT ENCODING d       => "hashtable"
            "#,
        );
    }

    #[test]
    fn operations_check_types_and_report() {
        check(
            r#"
            SET str x               => +OK
            SADD s 1 2 3            => :3
            SADD b 2 3 x            => :3
            SINTER none str         => -WRONGTYPE Operation against a key holding the wrong kind of value
            SUNION none str         => -WRONGTYPE Operation against a key holding the wrong kind of value
            SDIFF none str          => -WRONGTYPE Operation against a key holding the wrong kind of value
            SUNIONSTORE str str     => -WRONGTYPE Operation against a key holding the wrong kind of value
            SINTERCARD 2 none str   => -WRONGTYPE Operation against a key holding the wrong kind of value
            SINTERSTORE d s b       => :2
              ! new d, sinterstore d
              > SINTERSTORE d s b
            OBJECT ENCODING d       => "intset"
            SUNIONSTORE d s b       => :4
              ! sunionstore d
            OBJECT ENCODING d       => "listpack"
            SDIFFSTORE d s b        => :1
              ! sdiffstore d
            SUNIONSTORE s s b       => :4
            SINTERSTORE str s b     => :3
              ! sinterstore str
            SINTERSTORE str s none  => :0
              ! keymiss none, del str
              > SINTERSTORE str s none
            SINTERSTORE str s none  => :0
              ! keymiss none
              > nothing
            SINTERCARD 0 a          => -ERR numkeys should be greater than 0
            SINTERCARD x a          => -ERR numkeys should be greater than 0
            SINTERCARD 2 a          => -ERR Number of keys can't be greater than number of args
            SINTERCARD 1 a LIMIT    => -ERR syntax error
            SINTERCARD 1 a LIMIT -1 => -ERR LIMIT can't be negative
            SINTERCARD 1 a FOO      => -ERR syntax error
            SINTERCARD 1 s LIMIT 0 LIMIT 1 => :1
            resp3
            SINTER s none           => ~[]
            SDIFF b s               => ~[]
            "#,
        );
    }

    #[test]
    fn expired_inputs_are_missing() {
        check(
            r#"
            SADD a 1      => :1
            SADD b 1      => :1
            PEXPIRE b 10  => :1
            SINTER a b    => ["1"]
            wait 11
            SINTER a b    => []
              > DEL b
            "#,
        );
    }

    #[test]
    fn the_size_of_a_union_can_be_estimated() {
        let mut scenario = Scenario::new();
        for i in 0..3000 {
            scenario.line(&format!("SADD a {i}"));
            scenario.line(&format!("SADD b member:{}", i % 1500));
        }
        let estimate = |reply: String| reply.trim_start_matches(':').parse::<i64>().unwrap();
        let found = estimate(scenario.line("SUNIONCARD 3 a b none APPROX"));
        assert!((found - 4500).abs() < 150, "{found} is within three per cent");
        scenario.check(
            r#"
            SUNIONCARD 3 a b none             => :4500
            SUNIONCARD 2 a b LIMIT 5 APPROX   => :5
            SADD few x y z                    => :3
            SUNIONCARD 1 few APPROX           => :3
            SDIFFCARD 2 a b APPROX            => -ERR syntax error
            SINTERCARD 2 a b APPROX           => -ERR syntax error
            "#,
        );
    }

    #[test]
    fn sscan_shows_every_member() {
        let mut scenario = Scenario::new();
        scenario.check(
            r#"
            SADD s 1 2 3            => :3
            SADD l a b              => :2
            SSCAN s 0               => ["0", ["1", "2", "3"]]
            SSCAN l 0 MATCH b*      => ["0", ["b"]]
            SSCAN s 0 MATCH 2 COUNT 1 => ["0", ["2"]]
            SSCAN s 0 COUNT 0       => -ERR syntax error
            SSCAN s 0 COUNT x       => -ERR value is not an integer or out of range
            SSCAN s 0 NOVALUES      => -ERR NOVALUES option can only be used in HSCAN
            SSCAN s x               => -ERR invalid cursor
            SSCAN none x            => -ERR invalid cursor
            SSCAN none 0 FOO        => ["0", []]
            SET str x               => +OK
            SSCAN str 0 FOO         => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
        let members: Vec<String> = (0..1000).map(|n| format!("m{n}")).collect();
        scenario.line(&format!("SADD big {}", members.join(" ")));
        let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
        loop {
            let reply = scenario.line(&format!("SSCAN big {cursor} COUNT 50"));
            let mut words = reply.split('"').skip(1).step_by(2).map(str::to_owned);
            cursor = words.next().expect("a cursor");
            seen.extend(words);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 1000);
    }
}
