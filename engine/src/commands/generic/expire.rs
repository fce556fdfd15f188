//! Times to live and expiry times.

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::deadline::{From, TimeUnit, moment};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::time::UnixMs;

/// The declarations.
pub const COMMANDS: &[&Command] =
    &[&EXPIRE, &PEXPIRE, &EXPIREAT, &PEXPIREAT, &TTL, &PTTL, &EXPIRETIME, &PEXPIRETIME, &PERSIST];

const EXPIRE: Command = Command {
    name: "expire",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "1.0.0",
    history: &[("7.0.0", "NX, XX, GT and LT.")],
    complexity: "O(1)",
    summary: "Sets the time to live of a key in seconds.",
    args: &[
        Arg::key("key"),
        Arg::integer("seconds"),
        Arg::one_of(
            "condition",
            &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
        )
        .optional()
        .since("7.0.0"),
    ],
    run: |ctx, args| expire(ctx, args, TimeUnit::Seconds, From::Now),
    ..Command::BASE
};

const PEXPIRE: Command = Command {
    name: "pexpire",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.6.0",
    history: &[("7.0.0", "NX, XX, GT and LT.")],
    complexity: "O(1)",
    summary: "Sets the time to live of a key in milliseconds.",
    args: &[
        Arg::key("key"),
        Arg::integer("milliseconds"),
        Arg::one_of(
            "condition",
            &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
        )
        .optional()
        .since("7.0.0"),
    ],
    run: |ctx, args| expire(ctx, args, TimeUnit::Millis, From::Now),
    ..Command::BASE
};

const EXPIREAT: Command = Command {
    name: "expireat",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "1.2.0",
    history: &[("7.0.0", "NX, XX, GT and LT.")],
    complexity: "O(1)",
    summary: "Sets the expiry time of a key to a Unix time in seconds.",
    args: &[
        Arg::key("key"),
        Arg::unix_time("unix-time-seconds"),
        Arg::one_of(
            "condition",
            &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
        )
        .optional()
        .since("7.0.0"),
    ],
    run: |ctx, args| expire(ctx, args, TimeUnit::Seconds, From::Epoch),
    ..Command::BASE
};

const PEXPIREAT: Command = Command {
    name: "pexpireat",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.6.0",
    history: &[("7.0.0", "NX, XX, GT and LT.")],
    complexity: "O(1)",
    summary: "Sets the expiry time of a key to a Unix time in milliseconds.",
    args: &[
        Arg::key("key"),
        Arg::unix_time("unix-time-milliseconds"),
        Arg::one_of(
            "condition",
            &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
        )
        .optional()
        .since("7.0.0"),
    ],
    run: |ctx, args| expire(ctx, args, TimeUnit::Millis, From::Epoch),
    ..Command::BASE
};

/// NX, XX, GT and LT.
#[derive(Copy, Clone, Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(options: &[&[u8]]) -> Result<Self, CommandError> {
        let mut conditions = Conditions::default();
        for option in options {
            let flag = match option {
                _ if option.eq_ignore_ascii_case(b"NX") => &mut conditions.nx,
                _ if option.eq_ignore_ascii_case(b"XX") => &mut conditions.xx,
                _ if option.eq_ignore_ascii_case(b"GT") => &mut conditions.gt,
                _ if option.eq_ignore_ascii_case(b"LT") => &mut conditions.lt,
                _ => {
                    let option = String::from_utf8_lossy(option);
                    return Err(CommandError::owned(format!("ERR Unsupported option {option}")));
                }
            };
            *flag = true;
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err(CommandError::Text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if conditions.gt && conditions.lt {
            return Err(CommandError::Text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether the deadline may become `new`. A key without one lives for ever: nothing is greater.
    fn allow(self, old: Option<UnixMs>, new: UnixMs) -> bool {
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && old.is_none_or(|old| new <= old)
            || self.lt && old.is_some_and(|old| new >= old))
    }
}

fn expire(ctx: &mut Ctx<'_>, args: &mut Args<'_>, unit: TimeUnit, from: From) -> CmdResult {
    let name = match (unit, from) {
        (TimeUnit::Seconds, From::Now) => "expire",
        (TimeUnit::Millis, From::Now) => "pexpire",
        (TimeUnit::Seconds, From::Epoch) => "expireat",
        (TimeUnit::Millis, From::Epoch) => "pexpireat",
    };
    let (key, amount, options) = (args.next()?, args.next()?, args.take_rest());
    let conditions = Conditions::parse(options)?;
    let amount = resp::number::parse_i64(amount).ok_or(CommandError::NotInteger)?;
    let at = moment(amount, unit, from, ctx.now, name)?;
    let allowed = ctx.db.deadline_to_change(key).is_some_and(|old| conditions.allow(old, at));
    ctx.out.integer(i64::from(allowed));
    if !allowed {
        return Ok(Outcome::Done);
    }
    if set_deadline(ctx, key, at) == Set::Gone {
        let removal: &[u8] = if ctx.config.lazy_expire { b"UNLINK" } else { b"DEL" };
        ctx.effects.propagate_instead(&[removal, key]);
        return Ok(Outcome::Done);
    }
    if (unit, from) != (TimeUnit::Millis, From::Epoch) && ctx.effects.interest.propagation {
        let mut text = itoa::Buffer::new();
        let mut argv: Vec<&[u8]> = vec![b"PEXPIREAT", key, text.format(at.0).as_bytes()];
        argv.extend_from_slice(options);
        ctx.effects.propagate_instead(&argv);
    }
    Ok(Outcome::Done)
}

/// What became of a key that was given a time to live.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Set {
    /// It expires at that time.
    Expires,
    /// The time had passed: it is gone.
    Gone,
}

/// Gives a key that exists a deadline, or removes it when that has passed.
pub(crate) fn set_deadline(ctx: &mut Ctx<'_>, key: &[u8], at: UnixMs) -> Set {
    if at <= ctx.now && ctx.db.decides_expiry() {
        let lazy = ctx.config.lazy_expire;
        super::keys::remove(ctx, key, lazy);
        ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
        return Set::Gone;
    }
    ctx.db.set_deadline(key, Some(at));
    ctx.effects.changed(EventClass::GENERIC, "expire", key, 1);
    Set::Expires
}

const TTL: Command = Command {
    name: "ttl",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    history: &[("2.8.0", "The reply -2.")],
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the time to live of a key in seconds.",
    args: &[Arg::key("key")],
    run: |ctx, args| remaining(ctx, args, TimeUnit::Seconds, From::Now),
    ..Command::BASE
};

const PTTL: Command = Command {
    name: "pttl",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.6.0",
    history: &[("2.8.0", "The reply -2.")],
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the time to live of a key in milliseconds.",
    args: &[Arg::key("key")],
    run: |ctx, args| remaining(ctx, args, TimeUnit::Millis, From::Now),
    ..Command::BASE
};

const EXPIRETIME: Command = Command {
    name: "expiretime",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.0.0",
    complexity: "O(1)",
    summary: "Returns the expiry time of a key as a Unix time in seconds.",
    args: &[Arg::key("key")],
    run: |ctx, args| remaining(ctx, args, TimeUnit::Seconds, From::Epoch),
    ..Command::BASE
};

const PEXPIRETIME: Command = Command {
    name: "pexpiretime",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "7.0.0",
    complexity: "O(1)",
    summary: "Returns the expiry time of a key as a Unix time in milliseconds.",
    args: &[Arg::key("key")],
    run: |ctx, args| remaining(ctx, args, TimeUnit::Millis, From::Epoch),
    ..Command::BASE
};

fn remaining(ctx: &mut Ctx<'_>, args: &mut Args<'_>, unit: TimeUnit, from: From) -> CmdResult {
    let key = args.next()?;
    let deadline = super::keys::kind_untouched(ctx.db, key).map(|_| ctx.db.deadline(key).flatten());
    ctx.out.integer(match deadline {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let ms = match from {
                From::Now => (at.0.saturating_sub(ctx.now.0)).max(0),
                From::Epoch => at.0,
            };
            match unit {
                // Rounded to the nearest second; a time close to the end of time must not overflow.
                TimeUnit::Seconds => ms / 1000 + i64::from(ms % 1000 >= 500),
                TimeUnit::Millis => ms,
            }
        }
    });
    Ok(Outcome::Done)
}

const PERSIST: Command = Command {
    name: "persist",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Removes the expiry time of a key.",
    args: &[Arg::key("key")],
    run: persist,
    ..Command::BASE
};

fn persist(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let had_one = ctx.db.deadline_to_change(key).flatten().is_some();
    if had_one {
        ctx.db.set_deadline(key, None);
        ctx.effects.changed(EventClass::GENERIC, "persist", key, 1);
    }
    ctx.out.integer(i64::from(had_one));
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Scenario, check};

    #[test]
    fn conditions() {
        check(
            r#"
            SET a 1                => +OK
            EXPIRE a 100 XX        => :0
            EXPIRE a 100 GT        => :0
            EXPIRE a 100 LT        => :1
              ! expire a
              > PEXPIREAT a 1000000100000 LT
            EXPIRE a 100 NX        => :0
            EXPIRE a 50 GT         => :0
            EXPIRE a 200 XX gt     => :1
              > PEXPIREAT a 1000000200000 XX gt
            PEXPIRE a 300000 LT    => :0
            EXPIRE a 1 NX XX       => -ERR NX and XX, GT or LT options at the same time are not compatible
            EXPIRE a 1 GT LT       => -ERR GT and LT options at the same time are not compatible
            EXPIRE a x FOO         => -ERR Unsupported option FOO
            EXPIRE a x             => -ERR value is not an integer or out of range
            EXPIRE none 10         => :0
            PEXPIREAT a 1000000000001 => :1
              > PEXPIREAT a 1000000000001
            TTL a                  => :0
            wait 1
            PTTL a                 => :0
            wait 1
            PTTL a                 => :-2
              ! expired a, keymiss a
              > DEL a
            "#,
        );
    }

    #[test]
    fn a_time_that_has_passed_deletes() {
        check(
            r#"
            SET a 1           => +OK
            EXPIRE a 0        => :1
              ! del a
              > DEL a
            SET a 1           => +OK
            PEXPIREAT a -5    => :1
            EXISTS a          => :0
            "#,
        );
        let mut replica = Scenario::new();
        replica.engine.dbs[0].removes_expired = false;
        replica.check(
            r#"
            SET a 1           => +OK
            EXPIRE a -1       => :1
              ! expire a
            GET a             => nil
            DBSIZE            => :1
            "#,
        );
    }

    #[test]
    fn times_that_cannot_be_represented() {
        check(
            r#"
            SET a 1                              => +OK
            EXPIRE a 9223372036854775807         => -ERR invalid expire time in 'expire' command
            EXPIRE a 9223372036854775            => -ERR invalid expire time in 'expire' command
            EXPIRE a -9223372036854775808        => -ERR invalid expire time in 'expire' command
            PEXPIRE a 9223372036854775807        => -ERR invalid expire time in 'pexpire' command
            EXPIREAT a 9223372036854776          => -ERR invalid expire time in 'expireat' command
            PEXPIREAT a 9223372036854775807      => :1
            PEXPIRETIME a                        => :9223372036854775807
            EXPIRETIME a                         => :9223372036854776
            "#,
        );
    }

    #[test]
    fn what_is_left() {
        check(
            r#"
            SET a 1 PX 1500    => +OK
            TTL a              => :2
            PTTL a             => :1500
            EXPIRETIME a       => :1000000002
            PEXPIRETIME a      => :1000000001500
            wait 1
            TTL a              => :1
            PERSIST a          => :1
              ! persist a
              > PERSIST a
            PERSIST a          => :0
              > nothing
            TTL a              => :-1
            EXPIRETIME a       => :-1
            TTL none           => :-2
            PERSIST none       => :0
            "#,
        );
    }
}
