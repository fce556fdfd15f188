//! String commands. <https://redis.io/docs/latest/commands/?group=string>

mod conditional;
mod increx;
mod lcs;

use std::ops::Range;

use self::conditional::Comparison;
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, InvalidArguments, KeyFlags, KeyRef, KeySpec};
use crate::commands::deadline::{EXPIRY_OR_PERSIST, ExpiryOption, From, TimeUnit, positive_moment};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Expiry, PREFETCH_KEYS};
use crate::types::string::StrRef;
use crate::types::{Str, Value};
use resp::number::LongDouble;

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &GET,
    &SET,
    &SETNX,
    &SETEX,
    &PSETEX,
    &GETSET,
    &GETDEL,
    &GETEX,
    &MGET,
    &MSET,
    &MSETNX,
    &APPEND,
    &STRLEN,
    &GETRANGE,
    &SUBSTR,
    &SETRANGE,
    &INCR,
    &DECR,
    &INCRBY,
    &DECRBY,
    &INCRBYFLOAT,
    &increx::INCREX,
    &lcs::LCS,
    &conditional::DIGEST,
    &conditional::DELEX,
    &conditional::DELIFEQ,
    &conditional::MSETEX,
];

const GET: Command = Command {
    name: "get",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key.",
    args: &[Arg::key("key")],
    run: get,
    ..Command::BASE
};

fn get(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    reply_string(ctx, args.next()?)?;
    Ok(Outcome::Done)
}

/// Replies with the string at `key`, or null.
#[inline]
fn reply_string(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<bool, CommandError> {
    match ctx.db.read_string(key)? {
        Some(value) => {
            value.reply(&mut ctx.out);
            Ok(true)
        }
        None => {
            ctx.out.null();
            Ok(false)
        }
    }
}

const SET_CONDITIONS: &[Arg] = {
    let [equal, different, digest_equal, digest_different] = conditional::COMPARISONS;
    &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), equal, different, digest_equal, digest_different]
};

const SET: Command = Command {
    name: "set",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE).and(KeyFlags::VARIABLE_FLAGS))
        .notes("Reads only with GET.")],
    since: "1.0.0",
    history: &[
        ("2.6.12", "EX, PX, NX and XX."),
        ("6.0.0", "KEEPTTL."),
        ("6.2.0", "GET, EXAT and PXAT."),
        ("7.0.0", "NX together with GET."),
        ("8.4.0", "IFEQ, IFNE, IFDEQ and IFDNE."),
    ],
    complexity: "O(1)",
    summary: "Sets a key to a string value, whatever it held before, creating it if it is missing.",
    args: &[
        Arg::key("key"),
        Arg::string("value"),
        Arg::one_of("condition", SET_CONDITIONS).optional().since("2.6.12"),
        Arg::word("get", "GET").optional().since("6.2.0"),
        Arg::one_of(
            "expiration",
            &[
                Arg::integer("seconds").token("EX").since("2.6.12"),
                Arg::integer("milliseconds").token("PX").since("2.6.12"),
                Arg::unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                Arg::unix_time("unix-time-milliseconds").token("PXAT").since("6.2.0"),
                Arg::word("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ],
    find_keys: Some(set_keys),
    run: set,
    ..Command::BASE
};

/// The value is read only where it is returned or compared.
fn set_keys(argv: &[&[u8]], keys: &mut Vec<KeyRef>) -> Result<(), InvalidArguments> {
    const READS: [&[u8]; 5] = [b"GET", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"];
    let reads = argv.iter().skip(3).any(|word| READS.iter().any(|option| word.eq_ignore_ascii_case(option)));
    let flags = if reads { KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE) } else { KeyFlags::OW_UPDATE };
    keys.push(KeyRef { index: 1, flags });
    Ok(())
}

/// Under which condition SET sets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Condition<'a> {
    Always,
    /// NX.
    Missing,
    /// XX.
    Present,
    /// IFEQ and its like.
    Compare(Comparison<'a>),
}

/// What stands behind the value of SET.
#[derive(Debug)]
struct SetOptions<'a> {
    condition: Condition<'a>,
    get: bool,
    keep_ttl: bool,
    expiry: Option<ExpiryOption<'a>>,
}

impl<'a> SetOptions<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut options = SetOptions { condition: Condition::Always, get: false, keep_ttl: false, expiry: None };
        while !args.is_done() {
            if args.keyword("NX") {
                options.set_condition(Condition::Missing)?;
            } else if args.keyword("XX") {
                options.set_condition(Condition::Present)?;
            } else if args.keyword("GET") {
                options.get = true;
            } else if args.keyword("KEEPTTL") {
                options.keep_ttl = true;
            } else if let Some(comparison) = Comparison::parse(args)? {
                options.set_condition(Condition::Compare(comparison))?;
            } else if let Some(expiry) = ExpiryOption::parse(args)? {
                if options.expiry.is_some_and(|before| !before.same_word(&expiry)) {
                    return Err(CommandError::Syntax);
                }
                options.expiry = Some(expiry);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.keep_ttl && options.expiry.is_some() {
            return Err(CommandError::Syntax);
        }
        Ok(options)
    }

    /// One condition may be repeated, but two are one too many.
    fn set_condition(&mut self, condition: Condition<'a>) -> Result<(), CommandError> {
        if self.condition != Condition::Always && self.condition != condition {
            return Err(CommandError::Syntax);
        }
        self.condition = condition;
        Ok(())
    }
}

fn set(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, value) = (args.next()?, args.next()?);
    if args.is_done() {
        // The plain form: one lookup, nothing to parse.
        store(ctx, key, value, Expiry::Clear);
        ctx.out.ok();
        return Ok(Outcome::Done);
    }
    set_with_options(ctx, key, value, args)
}

fn set_with_options(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], args: &mut Args<'_>) -> CmdResult {
    let options = SetOptions::parse(args)?;
    let deadline = options.expiry.map(|expiry| expiry.moment(ctx.now, "set")).transpose()?;
    let found = if options.get {
        Some(reply_string(ctx, key)?)
    } else if matches!(options.condition, Condition::Missing | Condition::Present) {
        Some(match options.condition {
            Condition::Missing => ctx.db.exists_for_write(key),
            _ => ctx.db.exists(key),
        })
    } else {
        None
    };
    let allowed = match options.condition {
        Condition::Always => true,
        Condition::Missing => found == Some(false),
        Condition::Present => found == Some(true),
        Condition::Compare(comparison) => comparison.holds(ctx.db.string_for_write(key)?),
    };
    // Whoever repeats the command need not compare again, nor know how.
    let compared = matches!(options.condition, Condition::Compare(_));
    if !allowed {
        if !options.get {
            ctx.out.null();
        }
        return Ok(Outcome::Done);
    }
    let expiry = match deadline {
        Some(at) => Expiry::At(at),
        None if options.keep_ttl => Expiry::Keep,
        None => Expiry::Clear,
    };
    store(ctx, key, value, expiry);
    match (deadline, options.expiry) {
        (Some(at), Some(expiry)) if compared || !expiry.is_absolute_millis() => {
            ctx.effects.propagate_instead(&[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at.0).as_bytes()]);
        }
        (None, _) if compared => {
            let keep: &[&[u8]] = if options.keep_ttl { &[b"KEEPTTL"] } else { &[] };
            ctx.effects.propagate_instead(&[&[b"SET", key, value], keep].concat());
        }
        (None, _) if options.get && ctx.effects.interest.propagation => {
            // Nobody reads the replies of a log or a replica: GET is left out.
            let is_get = |word: &[u8]| word.eq_ignore_ascii_case(b"GET");
            let argv = args.argv();
            let mut without: Vec<&[u8]> = argv[..3].to_vec();
            without.extend(argv[3..].iter().copied().filter(|word| !is_get(word)));
            ctx.effects.propagate_instead(&without);
        }
        _ => {}
    }
    if !options.get {
        ctx.out.ok();
    }
    Ok(Outcome::Done)
}

/// Sets `key` and reports it.
#[inline]
pub(crate) fn store(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
    ctx.db.set_string(key, value, expiry);
    ctx.report_created();
    ctx.effects.changed(EventClass::STRING, "set", key, 1);
    if matches!(expiry, Expiry::At(_)) {
        ctx.effects.event(EventClass::GENERIC, "expire", key);
    }
}

const SETNX: Command = Command {
    name: "setnx",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::OW_INSERT)],
    since: "1.0.0",
    deprecated: Some(("2.6.12", "SET with the NX argument")),
    complexity: "O(1)",
    summary: "Sets a key to a string value if the key is missing.",
    args: &[Arg::key("key"), Arg::string("value")],
    run: setnx,
    ..Command::BASE
};

fn setnx(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, value) = (args.next()?, args.next()?);
    let missing = !ctx.db.exists_for_write(key);
    if missing {
        store(ctx, key, value, Expiry::Clear);
    }
    ctx.out.integer(i64::from(missing));
    Ok(Outcome::Done)
}

const SETEX: Command = Command {
    name: "setex",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::OW_UPDATE)],
    since: "2.0.0",
    deprecated: Some(("2.6.12", "SET with the EX argument")),
    complexity: "O(1)",
    summary: "Sets a key to a string value and its time to live in seconds.",
    args: &[Arg::key("key"), Arg::integer("seconds"), Arg::string("value")],
    run: |ctx, args| set_with_expiry(ctx, args, TimeUnit::Seconds),
    ..Command::BASE
};

const PSETEX: Command = Command {
    name: "psetex",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::OW_UPDATE)],
    since: "2.6.0",
    deprecated: Some(("2.6.12", "SET with the PX argument")),
    complexity: "O(1)",
    summary: "Sets a key to a string value and its time to live in milliseconds.",
    args: &[Arg::key("key"), Arg::integer("milliseconds"), Arg::string("value")],
    run: |ctx, args| set_with_expiry(ctx, args, TimeUnit::Millis),
    ..Command::BASE
};

fn set_with_expiry(ctx: &mut Ctx<'_>, args: &mut Args<'_>, unit: TimeUnit) -> CmdResult {
    let name = if unit == TimeUnit::Seconds { "setex" } else { "psetex" };
    let (key, amount, value) = (args.next()?, args.i64()?, args.next()?);
    let at = positive_moment(amount, unit, From::Now, ctx.now, name)?;
    store(ctx, key, value, Expiry::At(at));
    ctx.effects.propagate_instead(&[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at.0).as_bytes()]);
    ctx.out.ok();
    Ok(Outcome::Done)
}

const GETSET: Command = Command {
    name: "getset",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    deprecated: Some(("6.2.0", "SET with the GET argument")),
    complexity: "O(1)",
    summary: "Sets a key to a string value and returns the value it held before.",
    args: &[Arg::key("key"), Arg::string("value")],
    run: getset,
    ..Command::BASE
};

fn getset(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, value) = (args.next()?, args.next()?);
    reply_string(ctx, key)?;
    store(ctx, key, value, Expiry::Clear);
    ctx.effects.propagate_instead(&[b"SET", key, value]);
    Ok(Outcome::Done)
}

const GETDEL: Command = Command {
    name: "getdel",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key and deletes the key.",
    args: &[Arg::key("key")],
    run: getdel,
    ..Command::BASE
};

fn getdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    if reply_string(ctx, key)? {
        ctx.db.remove(key);
        ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
        ctx.effects.propagate_instead(&[b"DEL", key]);
    }
    Ok(Outcome::Done)
}

const GETEX: Command = Command {
    name: "getex",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE).notes("It may change the expiry time.")],
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key and sets or removes its expiry time.",
    args: &[Arg::key("key"), EXPIRY_OR_PERSIST],
    run: getex,
    ..Command::BASE
};

fn getex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let (mut persist, mut expiry) = (false, None::<ExpiryOption<'_>>);
    while !args.is_done() {
        if args.keyword("PERSIST") {
            persist = true;
        } else if let Some(option) = ExpiryOption::parse(args)? {
            if expiry.is_some_and(|before| !before.same_word(&option)) {
                return Err(CommandError::Syntax);
            }
            expiry = Some(option);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if persist && expiry.is_some() {
        return Err(CommandError::Syntax);
    }
    // Redis looks at the number only when there is a string to give it to.
    let Some(value) = ctx.db.read_string(key)? else {
        ctx.out.null();
        return Ok(Outcome::Done);
    };
    let at = expiry.map(|expiry| expiry.moment(ctx.now, "getex")).transpose()?;
    value.reply(&mut ctx.out);
    match at {
        Some(at) if at <= ctx.now && !ctx.db.is_replayed() => {
            ctx.db.remove(key);
            ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
            ctx.effects.propagate_instead(&[if ctx.config.lazy_expire { b"UNLINK" } else { b"DEL" }, key]);
        }
        Some(at) => {
            ctx.db.set_deadline(key, Some(at));
            ctx.effects.changed(EventClass::GENERIC, "expire", key, 1);
            ctx.effects.propagate_instead(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at.0).as_bytes()]);
        }
        None if persist && ctx.db.deadline(key).flatten().is_some() => {
            ctx.db.set_deadline(key, None);
            ctx.effects.changed(EventClass::GENERIC, "persist", key, 1);
            ctx.effects.propagate_instead(&[b"PERSIST", key]);
        }
        None => {}
    }
    Ok(Outcome::Done)
}

const MGET: Command = Command {
    name: "mget",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::READ)],
    since: "1.0.0",
    tips: &["request_policy:multi_shard"],
    complexity: "O(N) for N keys.",
    summary: "Returns the string values of several keys at once.",
    args: &[Arg::key("key").many()],
    run: mget,
    ..Command::BASE
};

fn mget(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let keys = args.take_rest();
    ctx.out.array(keys.len());
    for keys in keys.chunks(PREFETCH_KEYS) {
        ctx.db.prefetch_keys(keys.iter().copied());
        for key in keys {
            // A key of another type is as good as missing here.
            match ctx.db.read_string(key) {
                Ok(Some(value)) => value.reply(&mut ctx.out),
                Ok(None) | Err(_) => ctx.out.null(),
            }
        }
    }
    Ok(Outcome::Done)
}

const MSET: Command = Command {
    name: "mset",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW_UPDATE)],
    since: "1.0.1",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    complexity: "O(N) for N keys.",
    summary: "Sets several keys to string values at once.",
    args: &[Arg::block("data", &[Arg::key("key"), Arg::string("value")]).many()],
    run: mset,
    ..Command::BASE
};

fn mset(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    for pairs in pairs(args, "mset")?.chunks(PREFETCH_KEYS) {
        ctx.db.prefetch_keys(pairs.iter().map(|pair| pair[0]));
        for &[key, value] in pairs {
            store(ctx, key, value, Expiry::Clear);
        }
    }
    ctx.out.ok();
    Ok(Outcome::Done)
}

const MSETNX: Command = Command {
    name: "msetnx",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW_INSERT)],
    since: "1.0.1",
    complexity: "O(N) for N keys.",
    summary: "Sets several keys to string values, all or none: only if every one of them is missing.",
    args: &[Arg::block("data", &[Arg::key("key"), Arg::string("value")]).many()],
    run: msetnx,
    ..Command::BASE
};

fn msetnx(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let pairs = pairs(args, "msetnx")?;
    let free = pairs.iter().all(|[key, _]| !ctx.db.exists_for_write(key));
    if free {
        for &[key, value] in pairs {
            store(ctx, key, value, Expiry::Clear);
        }
    }
    ctx.out.integer(i64::from(free));
    Ok(Outcome::Done)
}

/// The keys with their values.
fn pairs<'a>(args: &mut Args<'a>, name: &'static str) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    match args.take_rest().as_chunks() {
        (pairs, []) => Ok(pairs),
        _ => Err(CommandError::WrongArity(name.into())),
    }
}

const APPEND: Command = Command {
    name: "append",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.0.0",
    complexity: "O(1) amortized, for short additions.",
    summary: "Appends to the string value of a key, creating the key if it is missing.",
    args: &[Arg::key("key"), Arg::string("value")],
    run: append,
    ..Command::BASE
};

fn append(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, addition) = (args.next()?, args.next()?);
    let len = match ctx.db.string_for_write(key)?.map(StrRef::len) {
        None => {
            ctx.db.set_string(key, addition, Expiry::Clear);
            addition.len()
        }
        Some(before) => {
            check_len(ctx, before, addition.len())?;
            let mut value = ctx.db.string_buffer(key)?;
            value.extend(addition);
            before + addition.len()
        }
    };
    ctx.effects.changed(EventClass::STRING, "append", key, 1);
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

/// Whether a string of `start` + `len` bytes is allowed.
fn check_len(ctx: &Ctx<'_>, start: usize, len: usize) -> Result<(), CommandError> {
    let total = (start as u64).checked_add(len as u64);
    match total {
        Some(total) if total <= ctx.config.string_len_max => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}

const STRLEN: Command = Command {
    name: "strlen",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Returns the length of a string value in bytes.",
    args: &[Arg::key("key")],
    run: strlen,
    ..Command::BASE
};

fn strlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read_string(args.next()?)?.map_or(0, StrRef::len);
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const GETRANGE: Command = Command {
    name: "getrange",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.4.0",
    complexity: "O(N) for a reply of N bytes.",
    summary: "Returns a part of a string value.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("end")],
    run: getrange,
    ..Command::BASE
};

const SUBSTR: Command = Command {
    name: "substr",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    deprecated: Some(("2.0.0", "GETRANGE")),
    complexity: "O(N) for a reply of N bytes.",
    summary: "Returns a part of a string value, under the command's old name.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("end")],
    run: getrange,
    ..Command::BASE
};

fn getrange(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, start, end) = (args.next()?, args.i64()?, args.i64()?);
    let mut buffer = itoa::Buffer::new();
    let text = ctx.db.read_string(key)?.map_or(&b""[..], |value| value.text(&mut buffer));
    ctx.out.bulk(&text[range(start, end, text.len())]);
    Ok(Outcome::Done)
}

/// The bytes from `start` to `end`, both included; negative ones count from the end. What lies outside is cut off,
/// where an end before the first byte counts as the first byte, as it does in Redis.
fn range(start: i64, end: i64, len: usize) -> Range<usize> {
    let n = len as i64;
    if len == 0 || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    let from_start = |index: i64| if index < 0 { index.saturating_add(n).max(0) } else { index };
    let (start, end) = (from_start(start), from_start(end).min(n - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

const SETRANGE: Command = Command {
    name: "setrange",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.2.0",
    complexity: "O(M) for M bytes written; O(1) for short ones.",
    summary: "Overwrites a part of a string value from an offset on, padding with zero bytes where needed.",
    args: &[Arg::key("key"), Arg::integer("offset"), Arg::string("value")],
    run: setrange,
    ..Command::BASE
};

fn setrange(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, offset, value) = (args.next()?, args.i64()?, args.next()?);
    let offset = usize::try_from(offset).map_err(|_| CommandError::OffsetOutOfRange)?;
    let before = ctx.db.string_for_write(key)?.map_or(0, StrRef::len);
    if value.is_empty() {
        ctx.db.exists_for_write(key);
        ctx.out.integer(before as i64);
        return Ok(Outcome::Done);
    }
    check_len(ctx, offset, value.len())?;
    let len = {
        let mut buffer = ctx.db.string_buffer(key)?;
        buffer.grow(offset + value.len());
        buffer.bytes_mut()[offset..offset + value.len()].copy_from_slice(value);
        buffer.bytes().len()
    };
    ctx.effects.changed(EventClass::STRING, "setrange", key, 1);
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const INCR: Command = Command {
    name: "incr",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Adds one to the integer value of a key; a missing key counts as 0.",
    args: &[Arg::key("key")],
    run: |ctx, args| increment(ctx, args, Step::One),
    ..Command::BASE
};

const DECR: Command = Command {
    name: "decr",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Subtracts one from the integer value of a key; a missing key counts as 0.",
    args: &[Arg::key("key")],
    run: |ctx, args| increment(ctx, args, Step::MinusOne),
    ..Command::BASE
};

const INCRBY: Command = Command {
    name: "incrby",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Adds a number to the integer value of a key; a missing key counts as 0.",
    args: &[Arg::key("key"), Arg::integer("increment")],
    run: |ctx, args| increment(ctx, args, Step::Plus),
    ..Command::BASE
};

const DECRBY: Command = Command {
    name: "decrby",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Subtracts a number from the integer value of a key; a missing key counts as 0.",
    args: &[Arg::key("key"), Arg::integer("decrement")],
    run: |ctx, args| increment(ctx, args, Step::Minus),
    ..Command::BASE
};

/// How INCR and friends come by their step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Step {
    One,
    MinusOne,
    /// The argument.
    Plus,
    /// The argument, negated.
    Minus,
}

fn increment(ctx: &mut Ctx<'_>, args: &mut Args<'_>, step: Step) -> CmdResult {
    let key = args.next()?;
    let step = match step {
        Step::One => 1,
        Step::MinusOne => -1,
        Step::Plus => args.i64()?,
        Step::Minus => args.i64()?.checked_neg().ok_or(CommandError::Text("ERR decrement would overflow"))?,
    };
    let sum = add(ctx, key, step)?;
    ctx.out.integer(sum);
    Ok(Outcome::Done)
}

/// Adds to the integer at `key`, 0 when it is missing; returns the sum.
#[inline]
pub(crate) fn add(ctx: &mut Ctx<'_>, key: &[u8], step: i64) -> Result<i64, CommandError> {
    let sum = ctx.db.update_integer(key, |value| {
        let before = value.map_or(Some(0), StrRef::as_i64).ok_or(CommandError::NotInteger)?;
        before.checked_add(step).ok_or(CommandError::Overflow)
    })?;
    ctx.effects.changed(EventClass::STRING, "incrby", key, 1);
    Ok(sum)
}

const INCRBYFLOAT: Command = Command {
    name: "incrbyfloat",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "2.6.0",
    complexity: "O(1)",
    summary: "Adds a number to the floating point value of a key; a missing key counts as 0.",
    args: &[Arg::key("key"), Arg::double("increment")],
    run: incrbyfloat,
    ..Command::BASE
};

fn incrbyfloat(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, step) = (args.next()?, args.next()?);
    let before = match ctx.db.string_for_write(key)? {
        Some(value) => LongDouble::parse(value.text(&mut itoa::Buffer::new())),
        None => Some(LongDouble::from(0)),
    };
    let (Some(before), Some(step)) = (before, LongDouble::parse(step)) else {
        ctx.db.exists_for_write(key);
        return Err(CommandError::NotFloat);
    };
    let sum = before + step;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let text = sum.to_string();
    // As bytes even when it is whole: Redis shows such a value as `embstr`.
    ctx.db.insert(key, Value::String(Str::Bytes(text.as_bytes().to_vec())), Expiry::Keep);
    ctx.effects.changed(EventClass::STRING, "incrbyfloat", key, 1);
    // The sum is propagated, so that other floating point hardware cannot give another one.
    ctx.effects.propagate_instead(&[b"SET", key, text.as_bytes(), b"KEEPTTL"]);
    ctx.out.bulk(text.as_bytes());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::range;
    use crate::testing::{Scenario, check};

    #[test]
    fn set_takes_every_option() {
        check(
            r#"
            SET k 1                  => +OK
              ! new k, set k
              > SET k 1
            SET k 2 NX               => nil
            SET k 2 NX nx GET        => "1"
              > nothing
            SET k 2 XX               => +OK
              > SET k 2 XX
            SET k 3 XX GET           => "2"
              > SET k 3 XX
            SET k 4 EX 100           => +OK
              ! set k, expire k
              > SET k 4 PXAT 1000000100000
            SET k 4 EX 100 ex 200    => +OK
              > SET k 4 PXAT 1000000200000
            SET k 5 KEEPTTL          => +OK
            GETEX k PERSIST          => "5"
              ! persist k
            SET k 5 PXAT 1000000100000 GET => "5"
              > SET k 5 PXAT 1000000100000 GET
            SET k 6 EXAT 1000000001  => +OK
              > SET k 6 PXAT 1000000001000
            wait 1000
            GET k                    => "6"
            wait 1
            GET k                    => nil
              ! expired k, keymiss k
              > DEL k
            SET k 1 XX GET           => nil
            SET k 1 EX 10 PX 10      => -ERR syntax error
            SET k 1 EX 10 KEEPTTL    => -ERR syntax error
            SET k 1 NX XX            => -ERR syntax error
            SET k 1 PERSIST          => -ERR syntax error
            SET k 1 EX               => -ERR syntax error
            SET k 1 EX ten           => -ERR value is not an integer or out of range
            SET k 1 EX 0             => -ERR invalid expire time in 'set' command
            SET k 1 PX -1            => -ERR invalid expire time in 'set' command
            SET k 1 EX 9223372036854775807 => -ERR invalid expire time in 'set' command
            SET k 1 PX 9223372036854775807 => -ERR invalid expire time in 'set' command
            "#,
        );
    }

    #[test]
    fn the_older_setters_and_getters() {
        check(
            r#"
            SETEX k 10 v     => +OK
              > SET k v PXAT 1000000010000
            PSETEX k 10 v    => +OK
              > SET k v PXAT 1000000000010
            SETEX k 0 v      => -ERR invalid expire time in 'setex' command
            PSETEX k 0 v     => -ERR invalid expire time in 'psetex' command
            SETNX k w        => :0
            SETNX n w        => :1
            GETSET n x       => "w"
              > SET n x
            GETSET m x       => nil
            GETDEL n         => "x"
              ! del n
              > DEL n
            GETDEL n         => nil
              > nothing
            MSET a 1 b 2     => +OK
              ! new a, set a, new b, set b
            MSET a 1 b       => -ERR wrong number of arguments for 'mset' command
            MSETNX c 1 b 2   => :0
            MSETNX c 1 d 2   => :1
            MGET a x d       => ["1", nil, "2"]
            "#,
        );
    }

    #[test]
    fn getex_changes_the_expiry() {
        check(
            r#"
            SET k v            => +OK
            GETEX k            => "v"
              > nothing
            GETEX k PERSIST    => "v"
              > nothing
            GETEX k EX 10      => "v"
              ! expire k
              > PEXPIREAT k 1000000010000
            GETEX k EX 10 PERSIST => -ERR syntax error
            GETEX k EX 0       => -ERR invalid expire time in 'getex' command
            GETEX none EX ten  => nil
            GETEX k EX ten     => -ERR value is not an integer or out of range
            GETEX k PXAT 1     => "v"
              ! del k
              > DEL k
            GET k              => nil
            "#,
        );
    }

    #[test]
    fn parts_of_strings() {
        check(
            r#"
            APPEND k abc           => :3
            APPEND k def           => :6
            STRLEN k               => :6
            STRLEN none            => :0
            GETRANGE k 0 2         => "abc"
            GETRANGE k -3 -1       => "def"
            GETRANGE k -100 -50    => "a"
            GETRANGE k 5 1         => ""
            SUBSTR k 1 1           => "b"
            GETRANGE none 0 1      => ""
            SETRANGE k 1 XY        => :6
            SETRANGE k 8 z         => :9
            GET k                  => "aXYdef\x00\x00z"
            SETRANGE none 5 ""     => :0
              > nothing
            SETRANGE k -1 x        => -ERR offset is out of range
            SETRANGE k 536870911 xy => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
            SETRANGE k 9223372036854775807 xy => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
            SET n 10               => +OK
            APPEND n 5             => :3
            INCR n                 => :106
            SETRANGE n 0 9         => :3
            GETRANGE n 0 0         => "9"
            "#,
        );
        for (start, end, len, expected) in [
            (0, -1, 0, 0..0),
            (i64::MIN, i64::MAX, 3, 0..3),
            (i64::MAX, i64::MAX, 3, 0..0),
            (-1, -2, 3, 0..0),
            (2, 9, 3, 2..3),
        ] {
            assert_eq!(range(start, end, len), expected, "{start} {end} of {len}");
        }
    }

    #[test]
    fn counters() {
        check(
            r#"
            INCR k                     => :1
              ! new k, incrby k
            INCRBY k 10                => :11
            DECR k                     => :10
            DECRBY k 15                => :-5
              > DECRBY k 15
            DECRBY k -9223372036854775808 => -ERR decrement would overflow
            INCRBY k ten               => -ERR value is not an integer or out of range
            SET k 9223372036854775807 EX 10 => +OK
            INCR k                     => -ERR increment or decrement would overflow
            DECR k                     => :9223372036854775806
            wait 10001
            DECR k                     => :-1
            SET k " 1"                 => +OK
            INCR k                     => -ERR value is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn floating_point_counters() {
        check(
            r#"
            INCRBYFLOAT k 3            => "3"
              ! new k, incrbyfloat k
              > SET k 3 KEEPTTL
            INCRBYFLOAT k 1.5e1        => "18"
            SET k 3.0e3 EX 100         => +OK
            INCRBYFLOAT k 200          => "3200"
            PTTL k                     => :100000
            SET k 10.5                 => +OK
            INCRBYFLOAT k 0.1          => "10.6"
            INCRBYFLOAT k -10.6        => "0"
            INCRBYFLOAT k abc          => -ERR value is not a valid float
            INCRBYFLOAT k nan          => -ERR value is not a valid float
            INCRBYFLOAT k " 1"         => -ERR value is not a valid float
            INCRBYFLOAT k inf          => -ERR increment would produce NaN or Infinity
            SET k " 1"                 => +OK
            INCRBYFLOAT k 1            => -ERR value is not a valid float
            RPUSH l 1                  => :1
            INCRBYFLOAT l abc          => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn lcs_finds_the_common_subsequence() {
        check(
            r#"
            MSET a ohmytext b mynewtext  => +OK
            LCS a b                      => "mytext"
            LCS a b LEN                  => :6
            LCS a b IDX                  => ["matches", [[[:4, :7], [:5, :8]], [[:2, :3], [:0, :1]]], "len", :6]
            LCS a b LEN IDX              => -ERR If you want both the length and indexes, please just use IDX.
            LCS a none                   => ""
            LCS a b MINMATCHLEN x        => -ERR value is not an integer or out of range
            LCS a b FOO                  => -ERR syntax error
            resp3
            LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN => {"matches": [[[:4, :7], [:5, :8], :4]], "len": :6}
            "#,
        );
    }

    #[test]
    fn lcs_refuses_tables_beyond_the_limit() {
        let mut scenario = Scenario::new();
        scenario.engine.config.string_len_max = 1024;
        let long = "x".repeat(15);
        assert_eq!(scenario.line(&format!("MSET a {long} b {long}")), "+OK");
        scenario.check("LCS a b LEN => :15");
        assert_eq!(scenario.line("APPEND a x"), ":16");
        scenario.check("LCS a b LEN => -ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
}
