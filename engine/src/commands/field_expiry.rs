//! Deadlines of the fields of hashes. <https://redis.io/docs/latest/commands/?group=hash>
//!
//! Propagated is what happened, with absolute times: HPEXPIREAT for the fields whose deadline was set, HDEL for those whose deadline
//! had passed already.

use super::deadline::{EXPIRY_OR_KEEPTTL, EXPIRY_OR_PERSIST, From, TimeUnit, expiry_word};
use super::hash::{counted_fields, counted_fields_or, reply_no_fields, reply_value, taken};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::Emptied;
use crate::time::UnixMs;
use crate::types::Hash;
use crate::types::hash::{FIELD_DEADLINE_MAX, FieldExpiry};

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &HEXPIRE,
    &HPEXPIRE,
    &HEXPIREAT,
    &HPEXPIREAT,
    &HTTL,
    &HPTTL,
    &HEXPIRETIME,
    &HPEXPIRETIME,
    &HPERSIST,
    &HGETEX,
    &HSETEX,
];

const COMPLEXITY: &str = "O(N) where N is the number of specified fields";

const CONDITION: Arg = Arg::one_of(
    "condition",
    &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
)
.optional();

const FIELDS: Arg = Arg::block("fields", &[Arg::integer("numfields"), Arg::string("field").many()]).token("FIELDS");

/// The replies for one field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

const HEXPIRE: Command = Command {
    name: "hexpire",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Sets the time to live of fields of a hash in seconds.",
    args: &[Arg::key("key"), Arg::integer("seconds"), CONDITION, FIELDS],
    run: |ctx, args| expire(ctx, args, TimeUnit::Seconds, From::Now, "hexpire"),
    ..Command::BASE
};

const HPEXPIRE: Command = Command {
    name: "hpexpire",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Sets the time to live of fields of a hash in milliseconds.",
    args: &[Arg::key("key"), Arg::integer("milliseconds"), CONDITION, FIELDS],
    run: |ctx, args| expire(ctx, args, TimeUnit::Millis, From::Now, "hpexpire"),
    ..Command::BASE
};

const HEXPIREAT: Command = Command {
    name: "hexpireat",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Sets the expiry time of fields of a hash to a Unix time in seconds.",
    args: &[Arg::key("key"), Arg::unix_time("unix-time-seconds"), CONDITION, FIELDS],
    run: |ctx, args| expire(ctx, args, TimeUnit::Seconds, From::Epoch, "hexpireat"),
    ..Command::BASE
};

const HPEXPIREAT: Command = Command {
    name: "hpexpireat",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Sets the expiry time of fields of a hash to a Unix time in milliseconds.",
    args: &[Arg::key("key"), Arg::unix_time("unix-time-milliseconds"), CONDITION, FIELDS],
    run: |ctx, args| expire(ctx, args, TimeUnit::Millis, From::Epoch, "hpexpireat"),
    ..Command::BASE
};

/// When a field's deadline is to be changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    HasNone,
    HasOne,
    Later,
    Earlier,
}

impl Condition {
    fn parse(args: &mut Args<'_>) -> Self {
        if args.keyword("NX") {
            Condition::HasNone
        } else if args.keyword("XX") {
            Condition::HasOne
        } else if args.keyword("GT") {
            Condition::Later
        } else if args.keyword("LT") {
            Condition::Earlier
        } else {
            Condition::Always
        }
    }

    fn holds(self, held: Option<UnixMs>, wanted: UnixMs) -> bool {
        match self {
            Condition::Always => true,
            Condition::HasNone => held.is_none(),
            Condition::HasOne => held.is_some(),
            Condition::Later => held.is_some_and(|held| held < wanted),
            Condition::Earlier => held.is_none_or(|held| held > wanted),
        }
    }
}

/// The moment that `amount` means. `name` is the command's, for the error.
fn field_moment(
    amount: &[u8],
    unit: TimeUnit,
    from: From,
    now: UnixMs,
    name: &'static str,
) -> Result<UnixMs, CommandError> {
    let amount = resp::number::parse_i64(amount).ok_or(CommandError::NotInteger)?;
    if amount < 0 {
        return Err(CommandError::Text("ERR invalid expire time, must be >= 0"));
    }
    let moment = super::deadline::moment(amount, unit, from, now, name)?;
    if moment.0 > FIELD_DEADLINE_MAX {
        return Err(CommandError::InvalidExpire(name.into()));
    }
    Ok(moment)
}

fn expire(ctx: &mut Ctx<'_>, args: &mut Args<'_>, unit: TimeUnit, from: From, name: &'static str) -> CmdResult {
    let key = args.next()?;
    // A wrong type is told before any mistake in the other arguments, as in Redis.
    ctx.db.write::<Hash>(key)?;
    let moment = field_moment(args.next()?, unit, from, ctx.now, name)?;
    let word = args.peek();
    let condition = Condition::parse(args);
    let bad_count = CommandError::Text("ERR Parameter `numFields` should be greater than 0");
    let fields = counted_fields_or(args, bad_count)?;
    ctx.out.array(fields.len());
    // A moment that is over removes the fields, unless somebody else decides what expires: on a replica, or while loading.
    let deletes = moment <= ctx.now && ctx.db.decides_expiry();
    let Some(mut hash) = ctx.db.write::<Hash>(key)? else {
        fields.iter().for_each(|_| ctx.out.integer(NO_FIELD));
        return Ok(Outcome::Done);
    };
    let before = hash.next_deadline();
    if matches!(*hash, Hash::Listpack(_)) {
        // Even if no field is found, as in Redis.
        hash.allow_deadlines();
    }
    let mut done: Vec<&[u8]> = Vec::new();
    for &field in fields {
        let Some(held) = hash.deadline(field) else {
            ctx.out.integer(NO_FIELD);
            continue;
        };
        if !condition.holds(held, moment) {
            ctx.out.integer(CONDITION_NOT_MET);
            continue;
        }
        done.push(field);
        if deletes {
            hash.remove(field);
            ctx.out.integer(DELETED);
        } else {
            hash.set_deadline(field, Some(moment));
            ctx.out.integer(DONE);
        }
    }
    let (emptied, after) = (hash.is_empty(), hash.next_deadline());
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    if done.is_empty() {
        return Ok(Outcome::Done);
    }
    if deletes {
        deleted(ctx, key, &done, emptied);
        return Ok(Outcome::Done);
    }
    ctx.effects.changed(EventClass::HASH, "hexpire", key, done.len() as u64);
    if ctx.effects.interest.propagation {
        let (moment, count) = (moment.0.to_string(), done.len().to_string());
        let mut argv: Vec<&[u8]> = vec![b"HPEXPIREAT", key, moment.as_bytes()];
        argv.extend(word.filter(|_| condition != Condition::Always));
        argv.extend([&b"FIELDS"[..], count.as_bytes()]);
        argv.extend(done);
        ctx.effects.propagate_instead(&argv);
    }
    Ok(Outcome::Done)
}

/// Notes that `fields` left `key` because a command gave them a deadline that is over.
fn deleted(ctx: &mut Ctx<'_>, key: &[u8], fields: &[&[u8]], emptied: bool) {
    taken(ctx, key, fields.len() as u64, emptied);
    for field in fields {
        ctx.effects.propagate_instead(&[b"HDEL", key, field]);
    }
}

const HTTL: Command = Command {
    name: "httl",
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.4.0",
    tips: &["nondeterministic_output"],
    complexity: COMPLEXITY,
    summary: "Returns the time to live of fields of a hash in seconds.",
    args: &[Arg::key("key"), FIELDS],
    run: |ctx, args| show(ctx, args, TimeUnit::Seconds, From::Now),
    ..Command::BASE
};

const HPTTL: Command = Command {
    name: "hpttl",
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.4.0",
    tips: &["nondeterministic_output"],
    complexity: COMPLEXITY,
    summary: "Returns the time to live of fields of a hash in milliseconds.",
    args: &[Arg::key("key"), FIELDS],
    run: |ctx, args| show(ctx, args, TimeUnit::Millis, From::Now),
    ..Command::BASE
};

const HEXPIRETIME: Command = Command {
    name: "hexpiretime",
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Returns the expiry time of fields of a hash as Unix time in seconds.",
    args: &[Arg::key("key"), FIELDS],
    run: |ctx, args| show(ctx, args, TimeUnit::Seconds, From::Epoch),
    ..Command::BASE
};

const HPEXPIRETIME: Command = Command {
    name: "hpexpiretime",
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Returns the expiry time of fields of a hash as Unix time in milliseconds.",
    args: &[Arg::key("key"), FIELDS],
    run: |ctx, args| show(ctx, args, TimeUnit::Millis, From::Epoch),
    ..Command::BASE
};

fn show(ctx: &mut Ctx<'_>, args: &mut Args<'_>, unit: TimeUnit, from: From) -> CmdResult {
    let hash = ctx.db.read::<Hash>(args.next()?)?;
    let fields = counted_fields(args)?;
    let now = ctx.now;
    ctx.out.array(fields.len());
    for field in fields {
        let deadline = hash.as_ref().and_then(|hash| hash.deadline(field));
        ctx.out.integer(match deadline {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(at)) if at < now => NO_FIELD,
            Some(Some(at)) => {
                let ms = if from == From::Now { at.0 - now.0 } else { at.0 };
                // Up to the next second: a field is there until then.
                if unit == TimeUnit::Seconds { (ms + 999) / 1000 } else { ms }
            }
        });
    }
    Ok(Outcome::Done)
}

const HPERSIST: Command = Command {
    name: "hpersist",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "7.4.0",
    complexity: COMPLEXITY,
    summary: "Removes the expiry time of fields of a hash.",
    args: &[Arg::key("key"), FIELDS],
    run: persist,
    ..Command::BASE
};

fn persist(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    ctx.db.write::<Hash>(key)?;
    let fields = counted_fields(args)?;
    ctx.out.array(fields.len());
    let replayed = ctx.db.is_replayed();
    let Some(mut hash) = ctx.db.write::<Hash>(key)? else {
        fields.iter().for_each(|_| ctx.out.integer(NO_FIELD));
        return Ok(Outcome::Done);
    };
    let before = hash.next_deadline();
    let mut done = 0;
    for field in fields {
        ctx.out.integer(match hash.deadline(field) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(at)) if at < ctx.now && !replayed => NO_FIELD,
            Some(Some(_)) => {
                hash.set_deadline(field, None);
                done += 1;
                DONE
            }
        });
    }
    let after = hash.next_deadline();
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    if done > 0 {
        ctx.effects.changed(EventClass::HASH, "hpersist", key, done);
    }
    Ok(Outcome::Done)
}

/// What a command does with the deadlines of the fields that it reads or sets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing (HGETEX), or a value that is set has none (HSETEX).
    None,
    /// PERSIST (HGETEX) or KEEPTTL (HSETEX).
    Word,
    /// The deadline is set.
    At(UnixMs),
}

/// Reads `EX seconds`, `PX milliseconds`, `EXAT seconds` or `PXAT milliseconds` if one of them is next.
fn timed_option(args: &mut Args<'_>, now: UnixMs, name: &'static str) -> Result<Option<UnixMs>, CommandError> {
    let Some((unit, from)) = expiry_word(args) else { return Ok(None) };
    let amount = args.next().map_err(|_| CommandError::WrongArity(name.into()))?;
    field_moment(amount, unit, from, now, name).map(Some)
}

const HGETEX: Command = Command {
    name: "hgetex",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "8.0.0",
    complexity: COMPLEXITY,
    summary: "Returns the values of fields of a hash and sets or removes the fields' expiry time.",
    args: &[Arg::key("key"), EXPIRY_OR_PERSIST, FIELDS],
    run: hgetex,
    ..Command::BASE
};

fn hgetex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    // A wrong type is told before any mistake in the other arguments, as in Redis.
    ctx.db.write::<Hash>(key)?;
    let change = match timed_option(args, ctx.now, "hgetex")? {
        Some(at) => Change::At(at),
        None if args.keyword("PERSIST") => Change::Word,
        None => Change::None,
    };
    if args.left() < 2 {
        return Err(CommandError::WrongArity("hgetex".into()));
    }
    let counted = args.rest();
    let fields = counted_fields(args)?;
    if ctx.db.fields_are_due() {
        ctx.db.expire_fields(key, fields, Emptied::Remove);
    }
    let decides = ctx.db.decides_expiry();
    let Some(mut hash) = ctx.db.write::<Hash>(key)? else {
        reply_no_fields(ctx, fields);
        return Ok(Outcome::Done);
    };
    ctx.out.array(fields.len());
    let before = hash.next_deadline();
    if change != Change::None && matches!(*hash, Hash::Listpack(_)) {
        // Even if no field is found, as in Redis.
        hash.allow_deadlines();
    }
    let mut done: Vec<&[u8]> = Vec::new();
    for &field in fields {
        reply_value(&mut ctx.out, Some(&hash), field, ctx.now);
        let Some(held) = hash.deadline(field) else { continue };
        match change {
            Change::None => {}
            Change::Word if held.is_none() => {}
            Change::Word => {
                hash.set_deadline(field, None);
                done.push(field);
            }
            Change::At(at) => {
                if at <= ctx.now && decides {
                    hash.remove(field);
                } else {
                    hash.set_deadline(field, Some(at));
                }
                done.push(field);
            }
        }
    }
    let (emptied, after) = (hash.is_empty(), hash.next_deadline());
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    if done.is_empty() {
        return Ok(Outcome::Done);
    }
    match change {
        Change::At(at) if at <= ctx.now && decides => deleted(ctx, key, &done, emptied),
        Change::At(at) => {
            ctx.effects.changed(EventClass::HASH, "hexpire", key, done.len() as u64);
            let at = at.0.to_string();
            let argv: Vec<&[u8]> =
                [&b"HPEXPIREAT"[..], key, at.as_bytes()].into_iter().chain(counted.iter().copied()).collect();
            ctx.effects.propagate_instead(&argv);
        }
        Change::Word | Change::None => {
            ctx.effects.changed(EventClass::HASH, "hpersist", key, done.len() as u64);
            let argv: Vec<&[u8]> = [&b"HPERSIST"[..], key].into_iter().chain(counted.iter().copied()).collect();
            ctx.effects.propagate_instead(&argv);
        }
    }
    Ok(Outcome::Done)
}

const HSETEX: Command = Command {
    name: "hsetex",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Hash,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "8.0.0",
    complexity: "O(N) where N is the number of fields being set.",
    summary: "Sets fields of a hash to values with an expiry time, if all of them or none of them exist.",
    args: &[
        Arg::key("key"),
        Arg::one_of("condition", &[Arg::word("fnx", "FNX"), Arg::word("fxx", "FXX")]).optional(),
        EXPIRY_OR_KEEPTTL,
        Arg::block(
            "fields",
            &[Arg::integer("numfields"), Arg::block("data", &[Arg::string("field"), Arg::string("value")]).many()],
        )
        .token("FIELDS"),
    ],
    run: hsetex,
    ..Command::BASE
};

/// The arguments of HSETEX.
struct SetEx<'a> {
    /// `Some(true)`: every field has to exist; `Some(false)`: none.
    exist: Option<bool>,
    change: Change,
    /// Where among the arguments the expiry stands that is not PXAT.
    timed_at: Option<usize>,
    pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> SetEx<'a> {
    fn parse(args: &mut Args<'a>, now: UnixMs) -> Result<Self, CommandError> {
        let wrong_arity = || CommandError::WrongArity("hsetex".into());
        let (mut exist, mut change, mut timed_at) = (None, Change::None, None);
        loop {
            let word = args.peek().ok_or_else(wrong_arity)?;
            if args.keyword("FIELDS") {
                break;
            }
            let here = args.argv().len() - args.left();
            let condition = [("FXX", true), ("FNX", false)].into_iter().find(|(name, _)| args.keyword(name));
            if let Some((_, wanted)) = condition {
                if exist.replace(wanted).is_some() {
                    return Err(CommandError::Text("ERR Only one of FXX or FNX arguments can be specified"));
                }
                continue;
            }
            let is_expiry = [&b"EX"[..], b"PX", b"EXAT", b"PXAT", b"KEEPTTL"];
            if !is_expiry.iter().any(|name| word.eq_ignore_ascii_case(name)) {
                return Err(CommandError::owned(format!("ERR unknown argument: {}", String::from_utf8_lossy(word))));
            }
            if change != Change::None {
                return Err(CommandError::Text(
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                ));
            }
            change = match timed_option(args, now, "hsetex")? {
                Some(at) => {
                    timed_at = Some(here).filter(|_| !word.eq_ignore_ascii_case(b"PXAT"));
                    Change::At(at)
                }
                None => {
                    args.next()?;
                    Change::Word
                }
            };
        }
        // The number and one pair, before anybody looks at the number.
        if args.left() < 3 {
            return Err(wrong_arity());
        }
        let count = args.next()?;
        let words = args.take_rest();
        let bad_count = CommandError::Text("ERR invalid number of fields");
        let count =
            resp::number::parse_i64(count).filter(|n| (1..=i64::from(i32::MAX)).contains(n)).ok_or(bad_count)?;
        let (pairs, odd) = words.as_chunks::<2>();
        if !odd.is_empty() || pairs.len() != count as usize {
            return Err(wrong_arity());
        }
        Ok(SetEx { exist, change, timed_at, pairs })
    }
}

fn hsetex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let argv = args.argv();
    let key = args.next()?;
    let SetEx { exist, change, timed_at, pairs } = SetEx::parse(args, ctx.now)?;
    ctx.db.check_type::<Hash>(key)?;
    let fields = || pairs.iter().map(|[field, _]| *field);
    if let Some(wanted) = exist {
        if ctx.db.fields_are_due() {
            // When all are to exist and none is left, nothing will be added.
            let emptied = if wanted { Emptied::Remove } else { Emptied::Keep };
            ctx.db.expire_fields(key, &fields().collect::<Vec<_>>(), emptied);
        }
        let hash = ctx.db.write::<Hash>(key)?;
        let holds = fields().all(|field| hash.as_ref().is_some_and(|hash| hash.contains(field)) == wanted);
        if !holds {
            ctx.out.integer(0);
            return Ok(Outcome::Done);
        }
    }
    let decides = ctx.db.decides_expiry();
    let mut hash = ctx.db.write_or_create::<Hash>(key)?;
    let before = hash.next_deadline();
    hash.prepare(pairs.as_flattened().iter().copied(), ctx.config);
    let expiry = match change {
        Change::None => FieldExpiry::Clear,
        Change::Word => FieldExpiry::Keep,
        Change::At(at) => FieldExpiry::At(at),
    };
    let deletes = matches!(change, Change::At(at) if at <= ctx.now && decides);
    if deletes {
        hash.allow_deadlines();
        // Each is there for a moment: a listpack that is too small for it does not stay one.
        for [field, value] in pairs {
            hash.set_with(field, value, FieldExpiry::Clear, ctx.config);
            hash.remove(field);
        }
    } else {
        for [field, value] in pairs {
            hash.set_with(field, value, expiry, ctx.config);
        }
    }
    let (emptied, after) = (hash.is_empty(), hash.next_deadline());
    drop(hash);
    ctx.db.fields_changed(key, before, after);
    ctx.out.integer(1);
    ctx.effects.changed(EventClass::HASH, "hset", key, pairs.len() as u64);
    if deletes {
        deleted(ctx, key, &fields().collect::<Vec<_>>(), emptied);
        return Ok(Outcome::Done);
    }
    if let Change::At(at) = change {
        ctx.effects.event(EventClass::HASH, "hexpire", key);
        if let Some(index) = timed_at {
            let at = at.0.to_string();
            let mut argv = argv.to_vec();
            argv[index] = b"PXAT";
            argv[index + 1] = at.as_bytes();
            ctx.effects.propagate_instead(&argv);
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::Engine;
    use crate::config::EngineConfig;
    use crate::testing::{Scenario, check};
    use crate::time::UnixMs;

    #[test]
    fn fields_that_are_due_at_once_are_there_for_a_moment() {
        let config = EngineConfig { hash_max_listpack_entries: 2, ..EngineConfig::default() };
        for (before, command, encoding) in [
            ("a 1 b 2", "FIELDS 1 c x", "hashtable"),
            ("a 1", "FIELDS 2 c x d x", "listpackex"),
            ("a 1", "FIELDS 3 c x d x e x", "hashtable"),
            ("a 1 b 2", "FIELDS 2 a x c x", "listpackex"),
        ] {
            let mut scenario = Scenario::with(config.clone());
            scenario.line(&format!("HSET h {before}"));
            assert_eq!(scenario.line(&format!("HSETEX h EXAT 5000 {command}")), ":1");
            assert_eq!(scenario.line("OBJECT ENCODING h"), format!("\"{encoding}\""), "{before}, {command}");
        }
    }

    #[test]
    fn deadlines_are_set_shown_and_removed() {
        check(
            r#"
            HSET h a 1 b 2 c 3 d 4            => :4
            HEXPIRE h 100 FIELDS 1 none       => [:-2]
              ! none
              > nothing
            OBJECT ENCODING h                 => "listpackex"
            HEXPIRE h 100 FIELDS 2 c none     => [:1, :-2]
              ! hexpire h
              > HPEXPIREAT h 1000000100000 FIELDS 1 c
              > nothing
            HPEXPIRE h 50 nx FIELDS 2 c d     => [:0, :1]
              > HPEXPIREAT h 1000000000050 nx FIELDS 1 d
            HEXPIRE h 10 XX FIELDS 2 a c      => [:0, :1]
            HEXPIRE h 10 GT FIELDS 2 a c      => [:0, :0]
            HEXPIRE h 11 GT FIELDS 1 c        => [:1]
            HEXPIRE h 11 LT FIELDS 2 a c      => [:1, :0]
            HTTL h FIELDS 4 a b d zz          => [:11, :-1, :1, :-2]
            HPTTL h FIELDS 2 a d              => [:11000, :50]
            HEXPIRETIME h FIELDS 2 a d        => [:1000000011, :1000000001]
            HPEXPIRETIME h FIELDS 2 a d       => [:1000000011000, :1000000000050]
            HGETALL h                         => ["d", "4", "a", "1", "c", "3", "b", "2"]
            HPERSIST h FIELDS 4 a a b zz      => [:1, :-1, :-1, :-2]
              ! hpersist h
              > HPERSIST h FIELDS 4 a a b zz
            HPERSIST h FIELDS 1 a             => [:-1]
              ! none
            HEXPIRE h 0 FIELDS 2 a zz         => [:2, :-2]
              ! hdel h
              > HDEL h a
              > nothing
            HPEXPIREAT h 1 FIELDS 3 b c d     => [:2, :2, :2]
              ! hdel h, del h
              > HDEL h b
              > HDEL h c
              > HDEL h d
              > nothing
            EXISTS h                          => :0
            HEXPIRE h 10 FIELDS 1 a           => [:-2]
            HTTL h FIELDS 2 a b               => [:-2, :-2]
            HPERSIST h FIELDS 1 a             => [:-2]
            "#,
        );
    }

    /// A field that lived when it was made persistent lives after a replay, however late that is.
    #[test]
    fn what_is_replayed_was_not_over() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        engine.dbs[0].replay(true);
        let mut out = Vec::new();
        for line in [
            "HSETEX h PXAT 1000 FIELDS 2 a 1 b 2",
            "HPEXPIREAT h 2000 FIELDS 1 b",
            "HINCRBY h a 1",
            "HPERSIST h FIELDS 1 a",
            "HPERSIST h FIELDS 1 a",
        ] {
            let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            engine.execute(&argv, UnixMs(1_000_000), &mut out);
        }
        assert_eq!(String::from_utf8_lossy(&out), ":1\r\n*1\r\n:1\r\n:2\r\n*1\r\n:1\r\n*1\r\n:-1\r\n");
        engine.dbs[0].replay(false);
        out.clear();
        engine.execute(&[b"HGETALL", b"h"], UnixMs(1_000_000), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "*2\r\n$1\r\na\r\n$1\r\n2\r\n");
    }

    #[test]
    fn arguments_are_checked_in_order() {
        check(
            r#"
            SET str x                         => +OK
            HSET h a 1                        => :1
            HEXPIRE str x FOO 1 a             => -WRONGTYPE Operation against a key holding the wrong kind of value
            HTTL str FOO 1 a                  => -WRONGTYPE Operation against a key holding the wrong kind of value
            HPERSIST str FOO 1 a              => -WRONGTYPE Operation against a key holding the wrong kind of value
            HGETEX str FOO 1 a                => -WRONGTYPE Operation against a key holding the wrong kind of value
            HSETEX str FOO FIELDS 1 a b       => -ERR unknown argument: FOO
            HSETEX str FIELDS 1 a b           => -WRONGTYPE Operation against a key holding the wrong kind of value
            HEXPIRE h x FOO 1 a               => -ERR value is not an integer or out of range
            HEXPIRE h -1 FOO 1 a              => -ERR invalid expire time, must be >= 0
            HEXPIRE h 9223372036854775807 FOO 1 a => -ERR invalid expire time in 'hexpire' command
            HPEXPIREAT h 70368744177664 FIELDS 1 a => -ERR invalid expire time in 'hpexpireat' command
            HPEXPIREAT h 70368744177663 FIELDS 1 a => [:1]
            HEXPIRE h 1 NX GT FIELDS 1 a      => -ERR Mandatory argument FIELDS is missing or not at the right position
            HEXPIRE h 1 FIELDS 0 a            => -ERR Parameter `numFields` should be greater than 0
            HEXPIRE none 1 FIELDS 2 a         => -ERR The `numfields` parameter must match the number of arguments
            HTTL none FIELDS 0 a              => -ERR Number of fields must be a positive integer
            HTTL none FIELDS 2 a              => -ERR The `numfields` parameter must match the number of arguments
            HGETEX h PXAT 1 1                 => -ERR wrong number of arguments for 'hgetex' command
            HGETEX h EX 10 FIELDS 1           => -ERR The `numfields` parameter must match the number of arguments
            HGETEX h EX FIELDS 1 a            => -ERR value is not an integer or out of range
            HGETEX h PERSIST EX 1 FIELDS 1 a  => -ERR Mandatory argument FIELDS is missing or not at the right position
            HSETEX h FIELDS 2 a b c           => -ERR wrong number of arguments for 'hsetex' command
            HSETEX h FIELDS 0 a b             => -ERR invalid number of fields
            HSETEX h FNX FIELDS x a           => -ERR wrong number of arguments for 'hsetex' command
            HSETEX h FNX FXX FIELDS 1 a b     => -ERR Only one of FXX or FNX arguments can be specified
            HSETEX h EX 5 KEEPTTL FIELDS 1 a b => -ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
            HSETEX h EX 5 7 FIELDS 1          => -ERR unknown argument: 7
            HSETEX h EX -1 FIELDS 1 a b       => -ERR invalid expire time, must be >= 0
            "#,
        );
    }

    #[test]
    fn values_are_read_and_set_with_deadlines() {
        check(
            r#"
            HSETEX h FXX EX 10 FIELDS 1 a 1   => :0
              ! none
            EXISTS h                          => :0
            HSETEX h FNX EX 10 FIELDS 2 a 1 b 2 => :1
              ! new h, hset h, hexpire h
              > HSETEX h FNX PXAT 1000000010000 FIELDS 2 a 1 b 2
              > nothing
            HSETEX h FNX FIELDS 2 z 1 b 2     => :0
            HSETEX h FXX KEEPTTL FIELDS 1 a 3 => :1
              ! hset h
              > HSETEX h FXX KEEPTTL FIELDS 1 a 3
            HSETEX h FIELDS 1 b 3             => :1
            HTTL h FIELDS 2 a b               => [:10, :-1]
            HGETEX h FIELDS 2 a zz            => ["3", nil]
              ! none
              > nothing
            HGETEX h EX 20 FIELDS 2 b zz      => ["3", nil]
              ! hexpire h
              > HPEXPIREAT h 1000000020000 FIELDS 2 b zz
              > nothing
            HGETEX h PERSIST FIELDS 2 b zz    => ["3", nil]
              ! hpersist h
              > HPERSIST h FIELDS 2 b zz
            HGETEX h PERSIST FIELDS 1 b       => ["3"]
              ! none
            HGETEX h PX 0 FIELDS 1 b          => ["3"]
              ! hdel h
              > HDEL h b
              > nothing
            HSETEX h PX 0 FIELDS 2 a 1 n 1    => :1
              ! hset h, hdel h, del h
              > HDEL h a
              > HDEL h n
              > nothing
            HGETEX none EX 10 FIELDS 2 a b    => [nil, nil]
            HSET h a 1                        => :1
            HGETEX h FIELDS 1 b               => [nil]
            OBJECT ENCODING h                 => "listpack"
            HGETEX h PERSIST FIELDS 1 b       => [nil]
            OBJECT ENCODING h                 => "listpackex"
            "#,
        );
    }

    #[test]
    fn what_has_expired_is_removed_when_it_is_asked_for() {
        for entries in [0, 512] {
            let config = crate::config::EngineConfig { hash_max_listpack_entries: entries, ..Default::default() };
            let mut scenario = Scenario::with(config);
            scenario.check(
                r#"
                HSET h a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9 => :9
                HPEXPIRE h 1 FIELDS 8 a b c d e f g h => [:1, :1, :1, :1, :1, :1, :1, :1]
                wait 1
                HGET h a           => "1"
                wait 1
                HGET h a           => nil
                  ! hexpired h
                  > HDEL h a
                  > nothing
                HMGET h b c b      => [nil, nil, nil]
                  ! hexpired h
                  > HDEL h b
                  > HDEL h c
                HEXISTS h d        => :0
                HSTRLEN h e        => :0
                HSETNX h f 77      => :1
                  ! hexpired h, hset h
                  > HDEL h f
                  > HSETNX h f 77
                HINCRBY h g 5      => :5
                  ! hexpired h, hincrby h
                HTTL h FIELDS 1 h  => [:-2]
                  ! none
                HLEN h             => :4
                HDEL h h           => :1
                HPEXPIRE h 1 FIELDS 3 i f g => [:1, :1, :1]
                wait 2
                HEXPIRE h 9 XX FIELDS 1 i => [:1]
                HGETALL h          => ["i", "9"]
                HSCAN h 0          => ["0", ["i", "9"]]
                HKEYS h            => ["i"]
                HLEN h             => :3
                HRANDFIELD h 9     => ["i"]
                HLEN h             => :1
                HPEXPIRE h 1 FIELDS 1 i => [:1]
                wait 2
                EXISTS h           => :1
                COPY h copy        => :1
                RENAME h moved     => +OK
                HGETDEL moved FIELDS 1 i => [nil]
                  ! hexpired moved, del moved
                  > HDEL moved i
                  > nothing
                HINCRBYFLOAT copy i 1.5 => "1.5"
                  ! hexpired copy, del copy, new copy, hincrbyfloat copy
                DEL copy           => :1
                DBSIZE             => :0
                "#,
            );
            assert_eq!(scenario.engine.expired_fields, 11);
            assert_eq!(scenario.engine.dbs[0].field_expires(), 0);
        }
    }

    #[test]
    fn the_cycle_removes_what_nobody_asks_for() {
        let mut scenario = Scenario::new();
        for n in 0..300 {
            scenario.line(&format!("HSETEX h{n} PX {} FIELDS 2 a 1 b 2", n + 1));
            scenario.line(&format!("HSET h{n} c 3"));
        }
        scenario.line("HSETEX big PX 5 FIELDS 1 a 1");
        for n in 0..1000 {
            scenario.line(&format!("HSETEX big PX {} FIELDS 1 f{n} 1", 1 + n % 7));
        }
        assert_eq!(scenario.engine.dbs[0].field_expires(), 301);
        scenario.check(
            "COPY h7 h7copy => :1\nMOVE h8 1 => :1\nHPERSIST h9 FIELDS 2 a b => [:1, :1]\nDEL h10 => :1\nSET h11 x => +OK",
        );
        assert_eq!(scenario.engine.dbs[0].field_expires(), 298);
        assert_eq!(scenario.engine.dbs[1].field_expires(), 1);
        scenario.now = scenario.now.plus(150);
        let mut removed = 0;
        loop {
            let step = scenario.engine.expire_fields_step(0, scenario.now, 64);
            if step == 0 {
                break;
            }
            assert!(step < 2000);
            removed += step;
        }
        // Those of h0 to h148 without h8 to h11, of the copy, and all of the big one.
        assert_eq!(removed, 2 * (149 - 4 + 1) + 1001);
        assert_eq!(scenario.engine.dbs[0].field_expires(), 298 - (149 - 4 + 1) - 1);
        scenario.check("EXISTS big => :0\nHLEN h5 => :1\nHLEN h200 => :3\nHGETALL h7copy => [\"c\", \"3\"]");
    }
}
