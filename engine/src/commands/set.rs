//! Set commands. <https://redis.io/docs/latest/commands/?group=set>

use super::elements::{RandomCount, reply_elem, reply_repeated};
use super::scan_args::{self, ScanArgs, ScanOf, ScanReply};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::listpack::{Elem, ElemBuf};
use crate::effects::{Effects, EventClass};
use crate::error::CommandError;
use crate::types::Set;

mod combine;

use combine::{SDIFF, SDIFFCARD, SDIFFSTORE, SINTER, SINTERCARD, SINTERSTORE, SUNION, SUNIONCARD, SUNIONSTORE};

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
mod tests;
