//! INCREX of Redis 8.8: a counter with bounds and an expiry, in one step. It is propagated as what it comes to, a plain SET.

use resp::number::{LongDouble, parse_i64};

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::deadline::{EXPIRY_OR_PERSIST, ExpiryOption};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::Expiry;
use crate::types::{Str, Value};

pub(super) const INCREX: Command = Command {
    name: "increx",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "8.8.0",
    complexity: "O(1)",
    summary: "Adds to the number at a key within bounds, and sets its expiry; a missing key counts as 0.",
    args: &[
        Arg::key("key"),
        Arg::one_of("increment", &[Arg::double("float").token("BYFLOAT"), Arg::integer("integer").token("BYINT")])
            .optional(),
        Arg::word("saturate", "SATURATE").optional(),
        Arg::string("lowerbound").token("LBOUND").optional(),
        Arg::string("upperbound").token("UBOUND").optional(),
        EXPIRY_OR_PERSIST,
        Arg::word("enx", "ENX").optional(),
    ],
    run: increx,
    ..Command::BASE
};

/// The step as it is given.
#[derive(Copy, Clone)]
enum Step<'a> {
    Int(&'a [u8]),
    Float(&'a [u8]),
}

/// The options, their numbers not looked at yet: a mistake in the grammar comes first.
#[derive(Default)]
struct Options<'a> {
    step: Option<Step<'a>>,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    saturates: bool,
    expiry: Option<ExpiryOption<'a>>,
    persists: bool,
    only_without_expiry: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Self, CommandError> {
        fn once<'a>(slot: &mut Option<&'a [u8]>, args: &mut Args<'a>) -> Result<(), CommandError> {
            if slot.replace(args.next()?).is_some() { Err(CommandError::Syntax) } else { Ok(()) }
        }
        let mut options = Options::default();
        while !args.is_done() {
            if options.step.is_none() && args.keyword("BYINT") {
                options.step = Some(Step::Int(args.next()?));
            } else if options.step.is_none() && args.keyword("BYFLOAT") {
                options.step = Some(Step::Float(args.next()?));
            } else if args.keyword("LBOUND") {
                once(&mut options.lower, args)?;
            } else if args.keyword("UBOUND") {
                once(&mut options.upper, args)?;
            } else if args.keyword("SATURATE") {
                options.saturates = true;
            } else if args.keyword("ENX") {
                options.only_without_expiry = true;
            } else if args.keyword("PERSIST") {
                options.persists = true;
            } else if let (None, Some(option)) = (options.expiry, ExpiryOption::parse(args)?) {
                options.expiry = Some(option);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.persists && (options.expiry.is_some() || options.only_without_expiry) {
            return Err(CommandError::Syntax);
        }
        if options.only_without_expiry && options.expiry.is_none() {
            return Err(CommandError::Text("ERR ENX flag requires an expiration"));
        }
        Ok(options)
    }
}

/// What a step comes to: `None` when it would leave the bounds.
struct Sum<T> {
    before: T,
    after: Option<(T, T)>,
}

const BOUNDS_CROSSED: CommandError = CommandError::Text("ERR LBOUND can't be greater than UBOUND");

fn add_int(ctx: &mut Ctx<'_>, key: &[u8], step: i64, options: &Options<'_>) -> Result<Sum<i64>, CommandError> {
    let bound = |text: Option<&[u8]>, default| match text {
        Some(text) => parse_i64(text).ok_or(CommandError::NotInteger),
        None => Ok(default),
    };
    let (lower, upper) = (bound(options.lower, i64::MIN)?, bound(options.upper, i64::MAX)?);
    if lower > upper {
        return Err(BOUNDS_CROSSED);
    }
    let before = match ctx.db.string_for_write(key)? {
        Some(value) => value.as_i64().ok_or(CommandError::NotInteger)?,
        None => 0,
    };
    let sum = i128::from(before) + i128::from(step);
    let bounded = sum.clamp(lower.into(), upper.into());
    if bounded != sum && !options.saturates {
        return Ok(Sum { before, after: None });
    }
    let applied = i64::try_from(bounded - i128::from(before))
        .map_err(|_| CommandError::Text("ERR applied increment would overflow"))?;
    // Between bounds of 64 bits.
    Ok(Sum { before, after: Some((bounded as i64, applied)) })
}

fn add_float(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    step: &[u8],
    options: &Options<'_>,
) -> Result<Sum<LongDouble>, CommandError> {
    let number = |text: &[u8]| LongDouble::parse(text).ok_or(CommandError::NotFloat);
    let step = number(step)?;
    if !step.is_finite() {
        return Err(CommandError::Text("ERR BYFLOAT increment cannot be Infinity"));
    }
    let largest = LongDouble::max_value();
    let lower = options.lower.map_or(Ok(-largest), number)?;
    let upper = options.upper.map_or(Ok(largest), number)?;
    if lower > upper {
        return Err(BOUNDS_CROSSED);
    }
    let before = match ctx.db.string_for_write(key)? {
        Some(value) => number(value.text(&mut itoa::Buffer::new()))?,
        None => LongDouble::from(0),
    };
    if !before.is_finite() {
        return Err(CommandError::Text("ERR value cannot be Infinity"));
    }
    let sum = before + step;
    let within = if sum < lower { lower } else { upper };
    if sum >= lower && sum <= upper {
        return Ok(Sum { before, after: Some((sum, step)) });
    }
    if !options.saturates {
        return Ok(Sum { before, after: None });
    }
    let applied = within - before;
    if !applied.is_finite() || !within.is_finite() {
        return Err(CommandError::Text("ERR applied increment would produce Infinity"));
    }
    Ok(Sum { before, after: Some((within, applied)) })
}

fn increx(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let options = Options::parse(args)?;
    let int_step = match options.step {
        None => Some(1),
        Some(Step::Int(text)) => Some(parse_i64(text).ok_or(CommandError::NotInteger)?),
        Some(Step::Float(_)) => None,
    };
    let at = options.expiry.map(|expiry| expiry.moment(ctx.now, "increx")).transpose()?;
    match (int_step, options.step) {
        (None, Some(Step::Float(step))) => {
            let Sum { before, after } = add_float(ctx, key, step, &options)?;
            let (value, applied) = after.unwrap_or((before, LongDouble::from(0)));
            let text = value.to_string();
            if after.is_some() {
                let stored = Value::String(Str::Bytes(text.as_bytes().to_vec()));
                store(ctx, key, stored, text.as_bytes(), "incrbyfloat", at, &options);
            }
            ctx.out.array(2);
            reply_float(ctx, &text);
            reply_float(ctx, &applied.to_string());
        }
        (step, _) => {
            let Sum { before, after } = add_int(ctx, key, step.unwrap_or(1), &options)?;
            let (value, applied) = after.unwrap_or((before, 0));
            if after.is_some() {
                let mut digits = itoa::Buffer::new();
                let text = digits.format(value).as_bytes();
                store(ctx, key, Value::String(Str::Int(value)), text, "incrby", at, &options);
            }
            ctx.out.array(2);
            ctx.out.integer(value);
            ctx.out.integer(applied);
        }
    }
    Ok(Outcome::Done)
}

/// A bulk string in RESP2, a double in RESP3.
fn reply_float(ctx: &mut Ctx<'_>, text: &str) {
    match (ctx.out.protocol(), text.parse::<f64>()) {
        (resp::Protocol::Resp3, Ok(number)) => ctx.out.double(number),
        _ => ctx.out.bulk(text.as_bytes()),
    }
}

/// Sets the key to the sum and its expiry as asked for; removes it when that has passed.
fn store(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    value: Value,
    text: &[u8],
    event: &'static str,
    at: Option<crate::time::UnixMs>,
    options: &Options<'_>,
) {
    let had_expiry = ctx.db.deadline(key).flatten().is_some();
    let at = at.filter(|_| !(options.only_without_expiry && had_expiry));
    if at.is_some_and(|at| at <= ctx.now && ctx.db.decides_expiry()) {
        if ctx.db.remove(key).is_some() {
            ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
            ctx.effects.propagate_instead(&[if ctx.config.lazy_expire { b"UNLINK" } else { b"DEL" }, key]);
        }
        return;
    }
    let expiry = match at {
        Some(at) => Expiry::At(at),
        None if options.persists => Expiry::Clear,
        None => Expiry::Keep,
    };
    ctx.db.insert(key, value, expiry);
    ctx.effects.changed(EventClass::STRING, event, key, 1);
    match at {
        Some(at) => {
            ctx.effects.event(EventClass::GENERIC, "expire", key);
            let mut digits = itoa::Buffer::new();
            ctx.effects.propagate_instead(&[b"SET", key, text, b"PXAT", digits.format(at.0).as_bytes()]);
        }
        None if options.persists => {
            if had_expiry {
                ctx.effects.event(EventClass::GENERIC, "persist", key);
            }
            ctx.effects.propagate_instead(&[b"SET", key, text]);
        }
        None => ctx.effects.propagate_instead(&[b"SET", key, text, b"KEEPTTL"]),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn integers_within_bounds() {
        check(
            r#"
            INCREX k                           => [:1, :1]
              ! new k, incrby k
              > SET k 1 KEEPTTL
            INCREX k BYINT -10                 => [:-9, :-10]
            OBJECT ENCODING k                  => "int"
            SET k 50                           => +OK
            INCREX k BYINT 100 UBOUND 80       => [:50, :0]
              ! none
              > nothing
            INCREX k BYINT 100 UBOUND 80 SATURATE => [:80, :30]
              > SET k 80 KEEPTTL
            INCREX k LBOUND 0 BYINT -100 saturate => [:0, :-80]
            # What lies outside may come back.
            SET k 50                           => +OK
            INCREX k BYINT 5 UBOUND 30 SATURATE => [:30, :-20]
            SET k 50                           => +OK
            INCREX k BYINT -25 UBOUND 30       => [:25, :-25]
            SET k 9223372036854775800          => +OK
            INCREX k BYINT 9223372036854775800 => [:9223372036854775800, :0]
            INCREX k BYINT 9223372036854775800 SATURATE => [:9223372036854775807, :7]
            INCREX k SATURATE UBOUND -9223372036854775808 => -ERR applied increment would overflow
            INCREX none BYINT 5 LBOUND 10 EX 5 => [:0, :0]
            EXISTS none                        => :0
            INCREX k LBOUND 2 UBOUND 1         => -ERR LBOUND can't be greater than UBOUND
            INCREX k BYINT x                   => -ERR value is not an integer or out of range
            INCREX k LBOUND 1.5                => -ERR value is not an integer or out of range
            INCREX k BYINT 1 BYFLOAT 1         => -ERR syntax error
            INCREX k UBOUND 1 UBOUND 2         => -ERR syntax error
            INCREX k FOO                       => -ERR syntax error
            SET k 1.5                          => +OK
            INCREX k                           => -ERR value is not an integer or out of range
            RPUSH l a                          => :1
            INCREX l                           => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn floats_within_bounds() {
        check(
            r#"
            SET k 1.5                                   => +OK
            INCREX k BYFLOAT 0.25                       => ["1.75", "0.25"]
              ! incrbyfloat k
              > SET k 1.75 KEEPTTL
            INCREX k BYFLOAT 100 UBOUND 42.5            => ["1.75", "0"]
            INCREX k BYFLOAT 100 UBOUND 42.5 SATURATE   => ["42.5", "40.75"]
            INCREX k BYFLOAT -100 LBOUND -5.5 SATURATE  => ["-5.5", "-48"]
            INCREX k BYFLOAT inf                        => -ERR BYFLOAT increment cannot be Infinity
            INCREX k BYFLOAT nan                        => -ERR value is not a valid float
            SET k inf                                   => +OK
            INCREX k BYFLOAT 1                          => -ERR value cannot be Infinity
            INCREX none BYFLOAT -0.5 UBOUND -1.5        => ["0", "0"]
            EXISTS none                                 => :0
            resp3
            INCREX f BYFLOAT 1.5                        => [,1.5, ,1.5]
            "#,
        );
    }

    #[test]
    fn the_expiry_goes_with_the_sum() {
        check(
            r#"
            INCREX k BYINT 5 EX 100     => [:5, :5]
              ! new k, incrby k, expire k
              > SET k 5 PXAT 1000000100000
            INCREX k                    => [:6, :1]
              > SET k 6 KEEPTTL
            PTTL k                      => :100000
            INCREX k EX 10 ENX          => [:7, :1]
              ! incrby k
              > SET k 7 KEEPTTL
            INCREX k EXAT 1 ENX         => [:8, :1]
            PTTL k                      => :100000
            INCREX k UBOUND 8 EX 1      => [:8, :0]
            PTTL k                      => :100000
            INCREX k PERSIST            => [:9, :1]
              ! incrby k, persist k
              > SET k 9
            INCREX k PX 50 ENX          => [:10, :1]
            PTTL k                      => :50
            INCREX k PXAT 1             => [:11, :1]
              ! del k
              > DEL k
            EXISTS k                    => :0
            INCREX k EX 0               => -ERR invalid expire time in 'increx' command
            INCREX k ENX                => -ERR ENX flag requires an expiration
            INCREX k ENX PERSIST        => -ERR syntax error
            INCREX k EX 10 PERSIST      => -ERR syntax error
            INCREX k EX 10 PX 5         => -ERR syntax error
            "#,
        );
    }
}
