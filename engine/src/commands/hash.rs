//! Hash commands. <https://redis.io/docs/latest/commands/?group=hash>

use resp::Protocol;
use resp::number::LongDouble;
use resp::writer::Writer;

use super::elements::{RandomCount, reply_elem, reply_repeated};
use super::scan_args::{self, ScanArgs, ScanOf, ScanReply};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::config::EngineConfig;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::int;
use crate::ds::listpack::{Elem, ElemBuf};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Db, Emptied, Ref};
use crate::time::UnixMs;
use crate::types::Hash;
use crate::types::hash::{FieldExpiry, Stored};

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &HSET,
    &HMSET,
    &HSETNX,
    &HGET,
    &HMGET,
    &HDEL,
    &HGETDEL,
    &HLEN,
    &HSTRLEN,
    &HEXISTS,
    &HGETALL,
    &HKEYS,
    &HVALS,
    &HINCRBY,
    &HINCRBYFLOAT,
    &HRANDFIELD,
    &HSCAN,
];

const KEY_FIELD: &[Arg] = &[Arg::key("key"), Arg::string("field")];
const KEY_FIELDS: &[Arg] = &[Arg::key("key"), Arg::string("field").many()];
const KEY_PAIRS: &[Arg] = &[Arg::key("key"), Arg::block("data", &[Arg::string("field"), Arg::string("value")]).many()];

const HSET: Command = Command {
    name: "hset",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.0.0",
    history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
    complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
    summary: "Sets fields of a hash to values, creating the hash if the key is missing.",
    args: KEY_PAIRS,
    run: |ctx, args| {
        let new = set_pairs(ctx, args, "hset")?;
        ctx.out.integer(new as i64);
        Ok(Outcome::Done)
    },
    ..Command::BASE
};

const HMSET: Command = Command {
    name: "hmset",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.0.0",
    deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
    complexity: "O(N) where N is the number of fields being set.",
    summary: "Sets fields of a hash to values.",
    args: KEY_PAIRS,
    run: |ctx, args| {
        set_pairs(ctx, args, "hmset")?;
        ctx.out.ok();
        Ok(Outcome::Done)
    },
    ..Command::BASE
};

/// Sets the fields that follow the key; returns how many are new.
fn set_pairs(ctx: &mut Ctx<'_>, args: &mut Args<'_>, command: &'static str) -> Result<usize, CommandError> {
    let key = args.next()?;
    let words = args.take_rest();
    let (pairs, odd) = words.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(CommandError::WrongArity(command.into()));
    }
    set_fields(ctx, key, pairs)
}

/// Sets fields, at least one, to values; returns how many are new.
pub(crate) fn set_fields(ctx: &mut Ctx<'_>, key: &[u8], pairs: &[[&[u8]; 2]]) -> Result<usize, CommandError> {
    let mut hash = ctx.db.write_or_create::<Hash>(key)?;
    let before = hash.next_deadline();
    hash.prepare(pairs.as_flattened().iter().copied(), ctx.config);
    let new = pairs.iter().filter(|[field, value]| hash.set(field, value, ctx.config)).count();
    let after = hash.next_deadline();
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    ctx.effects.changed(EventClass::HASH, "hset", key, pairs.len() as u64);
    Ok(new)
}

const HSETNX: Command = Command {
    name: "hsetnx",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.0.0",
    complexity: "O(1)",
    summary: "Sets a field of a hash to a value, unless the hash has that field.",
    args: &[Arg::key("key"), Arg::string("field"), Arg::string("value")],
    run: hsetnx,
    ..Command::BASE
};

fn hsetnx(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field, value) = (args.next()?, args.next()?, args.next()?);
    expire_before_setting(ctx, key, field);
    let mut hash = ctx.db.write_or_create::<Hash>(key)?;
    let new = !hash.contains(field);
    if new {
        hash.set(field, value, ctx.config);
    }
    drop(hash);
    ctx.out.integer(i64::from(new));
    if new {
        ctx.effects.changed(EventClass::HASH, "hset", key, 1);
    }
    Ok(Outcome::Done)
}

const HGET: Command = Command {
    name: "hget",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    complexity: "O(1)",
    summary: "Returns the value of a field of a hash.",
    args: KEY_FIELD,
    run: hget,
    ..Command::BASE
};

fn hget(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field) = (args.next()?, args.next()?);
    let hash = read_fields(ctx.db, key, &[field])?;
    reply_value(&mut ctx.out, hash.as_deref(), field, ctx.now);
    Ok(Outcome::Done)
}

/// The hash at `key`, of which `fields` are going to be read: those whose time has passed are removed first.
#[inline]
fn read_fields<'a>(db: &'a mut Db, key: &[u8], fields: &[&[u8]]) -> Result<Option<Ref<'a, Hash>>, CommandError> {
    if db.fields_are_due() && db.expire_fields(key, fields, Emptied::Remove) {
        // The key was there when it was looked up.
        db.hits += 1;
        return Ok(None);
    }
    db.read(key)
}

/// Removes `field`, which is going to be set, if its time has passed; the hash, too, when it was the last one, as in Redis.
#[inline]
fn expire_before_setting(ctx: &mut Ctx<'_>, key: &[u8], field: &[u8]) {
    if ctx.db.fields_are_due() {
        ctx.db.expire_fields(key, &[field], Emptied::Remove);
    }
}

/// Replies with the value of `field`, or null.
#[inline]
pub(super) fn reply_value(out: &mut Writer<'_>, hash: Option<&Hash>, field: &[u8], now: UnixMs) {
    match hash.and_then(|hash| hash.get_live(field, now)) {
        Some(value) => reply_elem(out, value),
        None => out.null(),
    }
}

const HMGET: Command = Command {
    name: "hmget",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields being requested.",
    summary: "Returns the values of several fields of a hash.",
    args: KEY_FIELDS,
    run: hmget,
    ..Command::BASE
};

fn hmget(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, fields) = (args.next()?, args.take_rest());
    let hash = read_fields(ctx.db, key, fields)?;
    ctx.out.array(fields.len());
    for field in fields {
        reply_value(&mut ctx.out, hash.as_deref(), field, ctx.now);
    }
    Ok(Outcome::Done)
}

const HDEL: Command = Command {
    name: "hdel",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "2.0.0",
    history: &[("2.4.0", "Accepts multiple `field` arguments.")],
    complexity: "O(N) where N is the number of fields to be removed.",
    summary: "Removes fields from a hash; the hash goes with its last field.",
    args: KEY_FIELDS,
    run: hdel,
    ..Command::BASE
};

fn hdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let removed = remove_fields(ctx, args.next()?, args.take_rest())?;
    ctx.out.integer(removed as i64);
    Ok(Outcome::Done)
}

/// Removes fields, and the key with the last one; returns how many were there.
pub(crate) fn remove_fields(ctx: &mut Ctx<'_>, key: &[u8], fields: &[&[u8]]) -> Result<usize, CommandError> {
    let Some(mut hash) = ctx.db.write::<Hash>(key)? else { return Ok(0) };
    let before = hash.next_deadline();
    let mut removed = 0;
    for field in fields {
        removed += usize::from(hash.remove(field));
        if hash.is_empty() {
            break;
        }
    }
    let (emptied, after) = (hash.is_empty(), hash.next_deadline());
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    taken(ctx, key, removed as u64, emptied);
    Ok(removed)
}

/// Notes that `count` fields left `key`, which is removed when it is empty.
pub(super) fn taken(ctx: &mut Ctx<'_>, key: &[u8], count: u64, emptied: bool) {
    if count > 0 {
        ctx.effects.changed(EventClass::HASH, "hdel", key, count);
    }
    if emptied {
        ctx.db.delete(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
}

const HGETDEL: Command = Command {
    name: "hgetdel",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "8.0.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the values of fields of a hash and removes the fields; the hash goes with its last field.",
    args: &[
        Arg::key("key"),
        Arg::block("fields", &[Arg::integer("numfields"), Arg::string("field").many()]).token("FIELDS"),
    ],
    run: hgetdel,
    ..Command::BASE
};

fn hgetdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    // A wrong type is told before a mistake in the fields, as in Redis.
    let fields = counted_fields(args);
    if ctx.db.write::<Hash>(key)?.is_none() {
        reply_no_fields(ctx, fields?);
        return Ok(Outcome::Done);
    }
    let fields = fields?;
    if ctx.db.fields_are_due() {
        ctx.db.expire_fields(key, fields, Emptied::Remove);
    }
    let Some(mut hash) = ctx.db.write::<Hash>(key)? else {
        reply_no_fields(ctx, fields);
        return Ok(Outcome::Done);
    };
    let before = hash.next_deadline();
    ctx.out.array(fields.len());
    let mut removed = 0;
    for field in fields {
        reply_value(&mut ctx.out, Some(&hash), field, ctx.now);
        removed += u64::from(hash.remove(field));
    }
    let (emptied, after) = (hash.is_empty(), hash.next_deadline());
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    taken(ctx, key, removed, emptied);
    if removed > 0 && ctx.effects.interest.propagation {
        let mut argv: Vec<&[u8]> = vec![b"HDEL", key];
        argv.extend(fields);
        ctx.effects.propagate_instead(&argv);
    }
    Ok(Outcome::Done)
}

/// Replies with null for each of `fields`.
pub(super) fn reply_no_fields(ctx: &mut Ctx<'_>, fields: &[&[u8]]) {
    ctx.out.array(fields.len());
    fields.iter().for_each(|_| ctx.out.null());
}

/// Reads `FIELDS numfields field …`, which ends the request.
pub(super) fn counted_fields<'a>(args: &mut Args<'a>) -> Result<&'a [&'a [u8]], CommandError> {
    counted_fields_or(args, CommandError::Text("ERR Number of fields must be a positive integer"))
}

/// As [`counted_fields`], with another error for a number that is none or not positive.
pub(super) fn counted_fields_or<'a>(
    args: &mut Args<'a>,
    bad_count: CommandError,
) -> Result<&'a [&'a [u8]], CommandError> {
    if !args.keyword("FIELDS") {
        return Err(CommandError::Text("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = args.i64_in(1..=i64::MAX, bad_count)?;
    let fields = args.take_rest();
    if count as usize != fields.len() {
        return Err(CommandError::Text("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

const HLEN: Command = Command {
    name: "hlen",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "2.0.0",
    complexity: "O(1)",
    summary: "Returns the number of fields of a hash.",
    args: &[Arg::key("key")],
    run: hlen,
    ..Command::BASE
};

fn hlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read::<Hash>(args.next()?)?.map_or(0, |hash| hash.len());
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const HSTRLEN: Command = Command {
    name: "hstrlen",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "3.2.0",
    complexity: "O(1)",
    summary: "Returns the length in bytes of the value of a field of a hash.",
    args: KEY_FIELD,
    run: hstrlen,
    ..Command::BASE
};

fn hstrlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field) = (args.next()?, args.next()?);
    let hash = read_fields(ctx.db, key, &[field])?;
    let len = match hash.as_ref().and_then(|hash| hash.get_live(field, ctx.now)) {
        None => 0,
        Some(Elem::Int(n)) => int::text_len(n),
        Some(Elem::Str(bytes)) => bytes.len(),
    };
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const HEXISTS: Command = Command {
    name: "hexists",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "2.0.0",
    complexity: "O(1)",
    summary: "Tells whether a hash has a field.",
    args: KEY_FIELD,
    run: hexists,
    ..Command::BASE
};

fn hexists(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field) = (args.next()?, args.next()?);
    let hash = read_fields(ctx.db, key, &[field])?;
    ctx.out.integer(i64::from(hash.is_some_and(|hash| hash.get_live(field, ctx.now).is_some())));
    Ok(Outcome::Done)
}

const HGETALL: Command = Command {
    name: "hgetall",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all fields of a hash with their values.",
    args: &[Arg::key("key")],
    run: hgetall,
    ..Command::BASE
};

fn hgetall(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let hash = ctx.db.read::<Hash>(args.next()?)?;
    ctx.out.map(hash.as_ref().map_or(0, |hash| hash.live_len(ctx.now)));
    if let Some(hash) = hash {
        hash.iter_stored().filter(|pair| pair.is_live(ctx.now)).for_each(|pair| {
            reply_elem(&mut ctx.out, pair.field);
            reply_elem(&mut ctx.out, pair.value);
        });
    }
    Ok(Outcome::Done)
}

const HKEYS: Command = Command {
    name: "hkeys",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all fields of a hash.",
    args: &[Arg::key("key")],
    run: |ctx, args| reply_side(ctx, args, |pair| pair.field),
    ..Command::BASE
};

const HVALS: Command = Command {
    name: "hvals",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all values of a hash.",
    args: &[Arg::key("key")],
    run: |ctx, args| reply_side(ctx, args, |pair| pair.value),
    ..Command::BASE
};

/// Replies with one side of every pair.
fn reply_side(ctx: &mut Ctx<'_>, args: &mut Args<'_>, side: for<'a> fn(Stored<'a>) -> Elem<'a>) -> CmdResult {
    let hash = ctx.db.read::<Hash>(args.next()?)?;
    ctx.out.array(hash.as_ref().map_or(0, |hash| hash.live_len(ctx.now)));
    if let Some(hash) = hash {
        let live = hash.iter_stored().filter(|pair| pair.is_live(ctx.now));
        live.for_each(|pair| reply_elem(&mut ctx.out, side(pair)));
    }
    Ok(Outcome::Done)
}

const HINCRBY: Command = Command {
    name: "hincrby",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "2.0.0",
    complexity: "O(1)",
    summary: "Adds a number to the integer value of a field of a hash; a missing field counts as 0.",
    args: &[Arg::key("key"), Arg::string("field"), Arg::integer("increment")],
    run: hincrby,
    ..Command::BASE
};

fn hincrby(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field, step) = (args.next()?, args.next()?, args.i64()?);
    expire_before_setting(ctx, key, field);
    let mut hash = ctx.db.write_or_create::<Hash>(key)?;
    // Neither error can befall a hash that was just created: there is no old value, and 0 takes every step.
    let before = match hash.get(field) {
        None => 0,
        Some(Elem::Int(n)) => n,
        Some(Elem::Str(text)) => {
            resp::number::parse_i64(text).ok_or(CommandError::Text("ERR hash value is not an integer"))?
        }
    };
    let sum = before.checked_add(step).ok_or(CommandError::Overflow)?;
    hash.set_with(field, itoa::Buffer::new().format(sum).as_bytes(), FieldExpiry::Keep, ctx.config);
    drop(hash);
    ctx.out.integer(sum);
    ctx.effects.changed(EventClass::HASH, "hincrby", key, 1);
    Ok(Outcome::Done)
}

const HINCRBYFLOAT: Command = Command {
    name: "hincrbyfloat",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "2.6.0",
    complexity: "O(1)",
    summary: "Adds a number to the floating point value of a field of a hash; a missing field counts as 0.",
    args: &[Arg::key("key"), Arg::string("field"), Arg::double("increment")],
    run: hincrbyfloat,
    ..Command::BASE
};

fn hincrbyfloat(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, field) = (args.next()?, args.next()?);
    let step = LongDouble::parse(args.next()?).ok_or(CommandError::NotFloat)?;
    if !step.is_finite() {
        return Err(CommandError::Text("ERR value is NaN or Infinity"));
    }
    expire_before_setting(ctx, key, field);
    let mut hash = ctx.db.write_or_create::<Hash>(key)?;
    // Neither error can befall a hash that was just created: there is no old value, and 0 takes every step.
    let before = match hash.get(field) {
        None => LongDouble::from(0),
        Some(value) => LongDouble::parse(value.text(&mut ElemBuf::new()))
            .ok_or(CommandError::Text("ERR hash value is not a float"))?,
    };
    let sum = before + step;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let text = sum.to_string();
    hash.set_with(field, text.as_bytes(), FieldExpiry::Keep, ctx.config);
    drop(hash);
    ctx.effects.changed(EventClass::HASH, "hincrbyfloat", key, 1);
    // The sum is propagated, so that other floating point hardware cannot give another one.
    ctx.effects.propagate_instead(&[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, text.as_bytes()]);
    ctx.out.bulk(text.as_bytes());
    Ok(Outcome::Done)
}

const HRANDFIELD: Command = Command {
    name: "hrandfield",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.2.0",
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of fields returned",
    summary: "Returns random fields of a hash, with their values if wanted.",
    args: &[
        Arg::key("key"),
        Arg::block("options", &[Arg::integer("count"), Arg::word("withvalues", "WITHVALUES").optional()]).optional(),
    ],
    run: hrandfield,
    ..Command::BASE
};

fn hrandfield(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    if args.is_done() {
        let hash = read_live_fields(ctx.db, key, ctx.config)?;
        match hash.as_ref().and_then(|hash| hash.random(ctx.rng)) {
            Some((field, _)) => reply_elem(&mut ctx.out, field),
            None => ctx.out.null(),
        }
        return Ok(Outcome::Done);
    }
    let count = RandomCount::parse(args)?;
    let with_values = args.keyword("WITHVALUES");
    args.end()?;
    let (RandomCount::Distinct(wanted) | RandomCount::Repeated(wanted)) = count;
    if with_values && wanted > i64::MAX as usize / 2 {
        return Err(CommandError::OutOfRange);
    }
    let hash = read_live_fields(ctx.db, key, ctx.config)?;
    let Some(hash) = hash.as_ref().filter(|_| !count.is_zero()) else {
        ctx.out.array(0);
        return Ok(Outcome::Done);
    };
    // Pairs are flat in RESP2 and nested in RESP3.
    let nested = with_values && ctx.out.protocol() == Protocol::Resp3;
    let words = if with_values && !nested { 2 } else { 1 };
    let reply_pair = |out: &mut Writer<'_>, (field, value): (Elem<'_>, Elem<'_>)| {
        if nested {
            out.array(2);
        }
        reply_elem(out, field);
        if with_values {
            reply_elem(out, value);
        }
    };
    match count {
        RandomCount::Repeated(count) => reply_repeated(&mut ctx.out, count, words, |out| {
            reply_pair(out, hash.random(ctx.rng).expect("a hash that is shown has a field"));
        })?,
        RandomCount::Distinct(count) => {
            ctx.out.array(count.min(hash.len()) * words);
            hash.random_distinct(count, ctx.rng, |field, value| reply_pair(&mut ctx.out, (field, value)));
        }
    }
    Ok(Outcome::Done)
}

/// The hash at `key` without the fields whose time has passed: they are removed, or, where they may only be hidden, left out of a
/// copy.
fn read_live_fields<'a>(
    db: &'a mut Db,
    key: &[u8],
    config: &EngineConfig,
) -> Result<Option<LiveHash<'a>>, CommandError> {
    if db.fields_are_due() {
        db.expire_all_fields(key);
    }
    let now = db.now();
    let Some(hash) = db.read::<Hash>(key)? else { return Ok(None) };
    if !hash.may_have_due(now) {
        return Ok(Some(LiveHash::Whole(hash)));
    }
    let mut live = Hash::new();
    for pair in hash.iter_stored().filter(|pair| pair.is_live(now)) {
        live.set(pair.field.text(&mut ElemBuf::new()), pair.value.text(&mut ElemBuf::new()), config);
    }
    Ok(Some(live).filter(|live| !live.is_empty()).map(|live| LiveHash::Part(Box::new(live))))
}

/// A hash, or a copy of the fields of it that may be seen.
enum LiveHash<'a> {
    Whole(Ref<'a, Hash>),
    Part(Box<Hash>),
}

impl std::ops::Deref for LiveHash<'_> {
    type Target = Hash;

    fn deref(&self) -> &Hash {
        match self {
            LiveHash::Whole(hash) => hash,
            LiveHash::Part(hash) => hash,
        }
    }
}

const HSCAN: Command = Command {
    name: "hscan",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Iterates over the fields and values of a hash.",
    args: &[
        Arg::key("key"),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
        Arg::word("novalues", "NOVALUES").optional(),
    ],
    run: hscan,
    ..Command::BASE
};

fn hscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let cursor = scan_args::cursor(args)?;
    let mut reply = ScanReply::new(&ctx.out);
    // A missing key is answered before the options are read, as in Redis.
    let Some(hash) = ctx.db.read::<Hash>(key)? else {
        reply.finish(0, &mut ctx.out);
        return Ok(Outcome::Done);
    };
    let options = ScanArgs::parse(args, ScanOf::Hash)?;
    let mut buf = ElemBuf::new();
    let next = hash.scan(cursor, options.count, |pair| {
        if pair.is_live(ctx.now) && options.matches(pair.field.text(&mut buf)) {
            reply_elem(&mut reply.element(), pair.field);
            if !options.no_values {
                reply_elem(&mut reply.element(), pair.value);
            }
        }
    });
    reply.finish(next, &mut ctx.out);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::testing::{Scenario, check};

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn fields_are_set_and_read() {
        check(
            r#"
            HSET h a 1 b      => -ERR wrong number of arguments for 'hset' command
            EXISTS h          => :0
            HSET h a 1        => :1
              ! new h, hset h
              > HSET h a 1
            HSET h a 1        => :0
              ! hset h
              > HSET h a 1
            HSET h a 2 b x    => :1
            HMSET h a 1 b     => -ERR wrong number of arguments for 'hmset' command
            HMSET h a 1 c 2   => +OK
              ! hset h
            HMSET n a 1 a 2   => +OK
            HLEN n            => :1
            HSETNX h a 7      => :0
              ! none
              > nothing
            HSETNX h d -70    => :1
              ! hset h
            HSETNX n2 d 1     => :1
              ! new n2, hset n2
            HGET h a          => "1"
            HGET h zz         => nil
            HGET none zz      => nil
            HMGET h a zz b    => ["1", nil, "x"]
            HMGET none a b    => [nil, nil]
            HLEN h            => :4
            HLEN none         => :0
            HSTRLEN h d       => :3
            HSTRLEN h b       => :1
            HSTRLEN h zz      => :0
            HEXISTS h a       => :1
            HEXISTS h zz      => :0
            HEXISTS none zz   => :0
            HGETALL h         => ["a", "1", "b", "x", "c", "2", "d", "-70"]
            HKEYS h           => ["a", "b", "c", "d"]
            HVALS h           => ["1", "x", "2", "-70"]
            HGETALL none      => []
            HKEYS none        => []
            resp3
            HGETALL n         => {"a": "2"}
            HGETALL none      => {}
            HKEYS n           => ["a"]
            HMGET n a zz      => ["2", _]
            HGET n zz         => _
            "#,
        );
    }

    #[test]
    fn other_types_are_refused() {
        let mut scenario = Scenario::new();
        scenario.line("SET str x");
        for request in [
            "HSET str a 1",
            "HMSET str a 1",
            "HSETNX str a 1",
            "HGET str a",
            "HMGET str a",
            "HDEL str a",
            "HLEN str",
            "HSTRLEN str a",
            "HEXISTS str a",
            "HGETALL str",
            "HKEYS str",
            "HVALS str",
            "HINCRBY str a 1",
            "HINCRBYFLOAT str a 1",
            "HRANDFIELD str",
            "HRANDFIELD str 0",
            "HSCAN str 0 FOO",
            "HGETDEL str FIELDS 2 a",
        ] {
            assert_eq!(scenario.line(request), WRONG_TYPE, "{request}");
        }
    }

    #[test]
    fn fields_are_removed() {
        check(
            r#"
            HSET h a 1 b 2 c 3      => :3
            HDEL h c zz             => :1
              ! hdel h
              > HDEL h c zz
            HDEL h zz               => :0
              ! none
              > nothing
            HDEL none zz            => :0
            HDEL h a b a            => :2
              ! hdel h, del h
            EXISTS h                => :0
            HSET h a 1 b 2 c 3      => :3
            HGETDEL h FIELDS 2 a zz => ["1", nil]
              ! hdel h
              > HDEL h a zz
              > nothing
            HGETDEL h FIELDS 1 zz   => [nil]
              ! none
              > nothing
            HGETDEL none FIELDS 1 z => [nil]
            HGETDEL h FIELDS 2 b    => -ERR The `numfields` parameter must match the number of arguments
            HGETDEL h FIELDS 1 b c  => -ERR The `numfields` parameter must match the number of arguments
            HGETDEL h FIELDS 0 b    => -ERR Number of fields must be a positive integer
            HGETDEL h FIELDS x b    => -ERR Number of fields must be a positive integer
            HGETDEL h FOO 1 b       => -ERR Mandatory argument FIELDS is missing or not at the right position
            HGETDEL h FIELDS 3 b b c => ["2", nil, "3"]
              ! hdel h, del h
            EXISTS h                => :0
            "#,
        );
    }

    #[test]
    fn numbers_are_added() {
        check(
            r#"
            HINCRBY h f 5           => :5
              ! new h, hincrby h
              > HINCRBY h f 5
            HINCRBY h f -7          => :-2
            HINCRBY h f x           => -ERR value is not an integer or out of range
            HSET h s "1 " big 9223372036854775807 fl 3.0e3 => :3
            HINCRBY h s 1           => -ERR hash value is not an integer
            HINCRBY h fl 1          => -ERR hash value is not an integer
            HINCRBY h big 1         => -ERR increment or decrement would overflow
            HGET h big              => "9223372036854775807"
            HINCRBYFLOAT h fl 1.5   => "3001.5"
              ! hincrbyfloat h
              > HSETEX h KEEPTTL FIELDS 1 fl 3001.5
              > nothing
            HINCRBYFLOAT n fl 0.1   => "0.1"
              ! new n, hincrbyfloat n
            HINCRBYFLOAT h s 1.5    => -ERR hash value is not a float
            HINCRBYFLOAT h f 0.5    => "-1.5"
            HINCRBYFLOAT h fl x     => -ERR value is not a valid float
            HINCRBYFLOAT h fl nan   => -ERR value is not a valid float
            HINCRBYFLOAT h fl inf   => -ERR value is NaN or Infinity
            HINCRBYFLOAT none fl inf => -ERR value is NaN or Infinity
            EXISTS none             => :0
            "#,
        );
    }

    #[test]
    fn random_fields() {
        check(
            r#"
            HRANDFIELD h                      => nil
            HRANDFIELD h 2                    => []
            HRANDFIELD h 2 WITHVALUES         => []
            HSET h a 1                        => :1
            HRANDFIELD h                      => "a"
            HRANDFIELD h 0                    => []
            HRANDFIELD h 0 WITHVALUES         => []
            HRANDFIELD h 5                    => ["a"]
            HRANDFIELD h -2                   => ["a", "a"]
            HRANDFIELD h 5 withvalues         => ["a", "1"]
            HRANDFIELD h -2 WITHVALUES        => ["a", "1", "a", "1"]
            HRANDFIELD h x                    => -ERR value is not an integer or out of range
            HRANDFIELD h 1 foo                => -ERR syntax error
            HRANDFIELD h 1 WITHVALUES foo     => -ERR syntax error
            HRANDFIELD h 4611686018427387905 WITHVALUES  => -ERR value is out of range
            HRANDFIELD h -4611686018427387905 WITHVALUES => -ERR value is out of range
            HRANDFIELD h -9223372036854775807 => -ERR value is out of range
            HRANDFIELD h -9223372036854775808 => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            resp3
            HRANDFIELD none                   => _
            HRANDFIELD h 5                    => ["a"]
            HRANDFIELD h 5 WITHVALUES         => [["a", "1"]]
            HRANDFIELD h -2 WITHVALUES        => [["a", "1"], ["a", "1"]]
            "#,
        );
    }

    #[test]
    fn hscan_shows_every_field() {
        let mut scenario = Scenario::new();
        scenario.check(
            r#"
            HSET h a 1 b 2          => :2
            HSCAN h 0               => ["0", ["a", "1", "b", "2"]]
            HSCAN h 0 NOVALUES      => ["0", ["a", "b"]]
            HSCAN h 0 MATCH b COUNT 1 => ["0", ["b", "2"]]
            HSCAN h 0 COUNT 0       => -ERR syntax error
            HSCAN h x               => -ERR invalid cursor
            HSCAN none 0 FOO        => ["0", []]
            HSCAN h 0 FOO           => -ERR syntax error
            "#,
        );
        let pairs: Vec<String> = (0..1000).map(|n| format!("f{n} v{n}")).collect();
        scenario.line(&format!("HSET big {}", pairs.join(" ")));
        let (mut cursor, mut seen) = ("0".to_owned(), BTreeMap::new());
        loop {
            let reply = scenario.line(&format!("HSCAN big {cursor} COUNT 50"));
            let mut words = reply.split('"').skip(1).step_by(2).map(str::to_owned);
            cursor = words.next().expect("a cursor");
            while let Some(field) = words.next() {
                seen.insert(field, words.next().expect("a value"));
            }
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen, (0..1000).map(|n| (format!("f{n}"), format!("v{n}"))).collect());
    }

    #[test]
    fn big_hashes_answer_like_small_ones() {
        let mut scenario = Scenario::new();
        let mut model = BTreeMap::new();
        for n in 0..600 {
            model.insert(format!("f{n}"), (n * 7).to_string());
            assert_eq!(scenario.line(&format!("HSET h f{n} {}", n * 7)), ":1");
        }
        assert_eq!(scenario.line("OBJECT ENCODING h"), "\"hashtable\"");
        for n in (0..600).step_by(3) {
            model.remove(&format!("f{n}"));
            assert_eq!(scenario.line(&format!("HDEL h f{n}")), ":1");
        }
        assert_eq!(scenario.line("HINCRBY h f1 5"), ":12");
        model.insert("f1".to_owned(), "12".to_owned());
        let reply = scenario.line("HGETALL h");
        let words: Vec<&str> = reply.split('"').skip(1).step_by(2).collect();
        let (pairs, odd) = words.as_chunks::<2>();
        assert!(odd.is_empty());
        assert_eq!(pairs.len(), model.len());
        assert_eq!(pairs.iter().map(|[f, v]| ((*f).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(), model);
        assert_eq!(scenario.line("HSTRLEN h f100"), ":3");
        let reply = scenario.line("HRANDFIELD h 10 WITHVALUES");
        let words: Vec<&str> = reply.split('"').skip(1).step_by(2).collect();
        assert_eq!(words.len(), 20);
        for pair in words.chunks(2) {
            assert_eq!(model[pair[0]], pair[1]);
        }
    }
}
