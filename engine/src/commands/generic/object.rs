//! OBJECT: how values are kept.

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::reply_help;
use crate::config::AccessClock;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::keyspace::ValueRef;
use crate::types::string::StrRef;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&OBJECT];

/// The integers that share one object in Redis: those below.
const SHARED_INTEGERS: i64 = 10_000;

const OBJECT: Command = Command {
    name: "object",
    arity: Arity::AtLeast(2),
    group: Group::Generic,
    since: "2.2.3",
    complexity: "As the subcommand says.",
    summary: "Looks at how the values of keys are kept.",
    subcommands: &[&OBJECT_ENCODING, &OBJECT_FREQ, &OBJECT_IDLETIME, &OBJECT_REFCOUNT, &OBJECT_HELP],
    ..Command::BASE
};

const OBJECT_ENCODING: Command = Command {
    name: "encoding",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::at(2, KeyFlags::RO)],
    since: "2.2.3",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the internal encoding of a value.",
    args: &[Arg::key("key")],
    run: object_encoding,
    ..Command::BASE
};

fn object_encoding(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    match ctx.db.encoding(args.argv()[2]) {
        Some(encoding) => ctx.out.bulk(encoding.as_bytes()),
        None => ctx.out.null(),
    }
    Ok(Outcome::Done)
}

const OBJECT_FREQ: Command = Command {
    name: "freq",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::at(2, KeyFlags::RO)],
    since: "4.0.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the logarithmic access frequency counter of a key.",
    args: &[Arg::key("key")],
    run: object_freq,
    ..Command::BASE
};

fn object_freq(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    match (ctx.db.frequency(args.argv()[2]), ctx.config.access_clock) {
        (None, _) => ctx.out.null(),
        (Some(frequency), AccessClock::Lfu { .. }) => ctx.out.integer(i64::from(frequency)),
        (Some(_), AccessClock::Lru) => {
            return Err(CommandError::Text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(Outcome::Done)
}

const OBJECT_IDLETIME: Command = Command {
    name: "idletime",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::at(2, KeyFlags::RO)],
    since: "2.2.3",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the seconds since a key was last accessed.",
    args: &[Arg::key("key")],
    run: object_idletime,
    ..Command::BASE
};

fn object_idletime(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    match (ctx.db.idle_secs(args.argv()[2]), ctx.config.access_clock) {
        (None, _) => ctx.out.null(),
        (Some(secs), AccessClock::Lru) => ctx.out.integer(secs as i64),
        (Some(_), AccessClock::Lfu { .. }) => {
            return Err(CommandError::Text(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(Outcome::Done)
}

const OBJECT_REFCOUNT: Command = Command {
    name: "refcount",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::at(2, KeyFlags::RO)],
    since: "2.2.3",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the reference count of a value.",
    args: &[Arg::key("key")],
    run: object_refcount,
    ..Command::BASE
};

fn object_refcount(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    // Nothing is shared here. Small integers are in Redis, and say so with the largest count there is.
    match ctx.db.peek(args.argv()[2]) {
        None => ctx.out.null(),
        Some(ValueRef::String(StrRef::Int(0..SHARED_INTEGERS))) => ctx.out.integer(i64::from(i32::MAX)),
        Some(_) => ctx.out.integer(1),
    }
    Ok(Outcome::Done)
}

const OBJECT_HELP: Command = Command {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Explains the subcommands.",
    run: object_help,
    ..Command::BASE
};

fn object_help(ctx: &mut Ctx<'_>, _args: &mut Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "ENCODING <key>",
        "    Show how the value of <key> is encoded.",
        "FREQ <key>",
        "    Show the logarithmic access counter of <key>, kept under an LFU policy.",
        "IDLETIME <key>",
        "    Show the seconds since <key> was last accessed.",
        "REFCOUNT <key>",
        "    Show the reference count of the value of <key>.",
    ];
    reply_help(ctx, "OBJECT", LINES)
}

#[cfg(test)]
mod tests {
    use crate::config::{AccessClock, EngineConfig};
    use crate::testing::{Scenario, check};

    #[test]
    fn encodings() {
        check(
            r#"
            SET n 1                       => +OK
            OBJECT ENCODING n             => "int"
            OBJECT REFCOUNT n             => :2147483647
            SET n 10000                   => +OK
            OBJECT REFCOUNT n             => :1
            APPEND n 1                    => :6
            OBJECT ENCODING n             => "raw"
            INCR n                        => :100002
            OBJECT ENCODING n             => "int"
            SET s 12345678901234567890123456789012345678901234 => +OK
            OBJECT ENCODING s             => "embstr"
            SET s 123456789012345678901234567890123456789012345 => +OK
            OBJECT ENCODING s             => "raw"
            RPUSH l 1                     => :1
            OBJECT ENCODING l             => "listpack"
            OBJECT ENCODING none          => nil
            OBJECT IDLETIME none          => nil
            OBJECT FREQ none              => nil
            OBJECT REFCOUNT none          => nil
            OBJECT ENCODING               => -ERR wrong number of arguments for 'object|encoding' command
            "#,
        );
    }

    #[test]
    fn clocks() {
        check(
            r#"
            SET k v                       => +OK
            wait 10000
            OBJECT IDLETIME k             => :10
            EXISTS k                      => :1
            OBJECT IDLETIME k             => :10
            TYPE k                        => +string
            TTL k                         => :-1
            OBJECT IDLETIME k             => :10
            TOUCH k                       => :1
            OBJECT IDLETIME k             => :0
            wait 10000
            EXPIRE k 100 XX               => :0
            OBJECT IDLETIME k             => :0
            wait 10000
            PERSIST k                     => :0
            OBJECT IDLETIME k             => :0
            "#,
        );
        // To have looked at what might have been changed is an access, too.
        for (command, touched) in [
            ("COPY k other", true),
            ("COPY other k", true),
            ("MOVE k 0", false),
            ("RENAMENX k other", true),
            ("RENAME k k", true),
            ("SET k v NX", true),
            ("SETNX k v", true),
            ("MSETNX k v", true),
            ("SETRANGE k 0 \"\"", true),
            ("INCR k", true),
            ("INCRBYFLOAT k 1", true),
            ("PFADD k a", true),
            ("LPUSH k a", true),
            ("SMOVE none k a", true),
            ("HSETEX k FIELDS 1 a b", true),
            ("APPEND list a", false),
            ("EXISTS k", false),
            ("OBJECT ENCODING k", false),
        ] {
            let mut scenario = Scenario::new();
            scenario.check("MSET k v other v => +OK\n RPUSH list a => :1\n wait 10000");
            scenario.line(command);
            let idle = scenario.line("OBJECT IDLETIME k");
            assert_eq!(idle, if touched { ":0" } else { ":10" }, "after {command}");
        }
        let lru = Scenario::new().check("SET k v => +OK").line("OBJECT FREQ k");
        assert!(lru.starts_with("-ERR An LFU maxmemory policy is not selected"), "{lru}");
        let access_clock = AccessClock::Lfu { log_factor: 10, decay_minutes: 1 };
        let mut scenario = Scenario::with(EngineConfig { access_clock, ..EngineConfig::default() });
        scenario.check("SET k v => +OK\n OBJECT FREQ k => :5");
        let lfu = scenario.line("OBJECT IDLETIME k");
        assert!(lfu.starts_with("-ERR An LFU maxmemory policy is selected"), "{lfu}");
    }
}
