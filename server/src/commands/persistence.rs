//! Saving, and values as payloads. <https://redis.io/docs/latest/commands/?group=server>

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Flags, Group, KeyFlags, KeySpec};
use engine::config::AccessClock;
use engine::ctx::{CmdResult, Ctx, Outcome};
use engine::effects::EventClass;
use engine::error::CommandError;
use engine::time::UnixMs;
use persistence::dump::{self, PayloadError};
use persistence::rdb::Integrity;
use resp::writer::Writer;

use super::HostCommand;
use crate::config::value::SanitizePayload;
use crate::exec::{Call, HostFn, Origin};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&DUMP, &RESTORE, &RESTORE_ASKING, &SAVE, &BGSAVE, &LASTSAVE];

const IN_PROGRESS: CommandError = CommandError::Text("ERR Background save already in progress");

const DUMP: HostCommand = HostCommand {
    name: "dump",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RO.union(KeyFlags::ACCESS))],
    since: "2.6.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size.",
    summary: "Returns the value of a key as a payload that RESTORE understands.",
    args: &[Arg::key("key")],
    run: HostFn(dump),
    ..HostCommand::BASE
};

/// Runs `work` on the data of the client's database.
pub(super) fn on_data<R>(call: &mut Call<'_>, work: impl FnOnce(&mut Ctx<'_>) -> R) -> R {
    let db = call.server.clients.running(call.client).db as usize;
    let mut unused = Vec::new();
    let out = Writer::new(&mut unused, call.out.protocol());
    call.server.engine.within(db, call.now, false, out, work)
}

fn dump(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let compress = call.server.config.rdbcompression;
    let payload = on_data(call, |ctx| ctx.db.read_any(key).map(|value| dump::dump(value.into(), compress)));
    match payload {
        None => call.out.null(),
        Some(Ok(payload)) => call.out.bulk(&payload),
        Some(Err(error)) => return Err(CommandError::owned(format!("ERR {error}"))),
    }
    Ok(Outcome::Done)
}

const RESTORE: HostCommand = HostCommand {
    name: "restore",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Generic,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    keys: &[KeySpec::first(KeyFlags::OW_UPDATE)],
    since: "2.6.0",
    history: &[
        ("3.0.0", "Added the `REPLACE` modifier."),
        ("5.0.0", "Added the `ABSTTL` modifier."),
        ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
    ],
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size.",
    summary: "Creates a key from the payload of a value.",
    args: RESTORE_ARGS,
    run: HostFn(restore),
    ..HostCommand::BASE
};

const RESTORE_ARGS: &[Arg] = &[
    Arg::key("key"),
    Arg::integer("ttl"),
    Arg::string("serialized-value"),
    Arg::word("replace", "REPLACE").optional().since("3.0.0"),
    Arg::word("absttl", "ABSTTL").optional().since("5.0.0"),
    Arg::integer("seconds").token("IDLETIME").optional().since("5.0.0"),
    Arg::integer("frequency").token("FREQ").optional().since("5.0.0"),
];

const RESTORE_ASKING: HostCommand = HostCommand {
    name: "restore-asking",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::ASKING),
    group: Group::Server,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    keys: &[KeySpec::first(KeyFlags::OW_UPDATE)],
    since: "3.0.0",
    history: &[
        ("3.0.0", "Added the `REPLACE` modifier."),
        ("5.0.0", "Added the `ABSTTL` modifier."),
        ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
    ],
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size.",
    summary: "As RESTORE, for a slot that is being imported.",
    args: RESTORE_ARGS,
    run: HostFn(restore),
    ..HostCommand::BASE
};

/// The options of RESTORE.
#[derive(Debug, Default)]
struct Restore {
    replace: bool,
    absolute: bool,
    idle_secs: Option<u64>,
    frequency: Option<u8>,
}

impl Restore {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        const IDLETIME: CommandError = CommandError::Text("ERR Invalid IDLETIME value, must be >= 0");
        const FREQ: CommandError = CommandError::Text("ERR Invalid FREQ value, must be >= 0 and <= 255");
        let mut options = Restore::default();
        while !args.is_done() {
            if args.keyword("REPLACE") {
                options.replace = true;
            } else if args.keyword("ABSTTL") {
                options.absolute = true;
            } else if args.left() > 1 && options.frequency.is_none() && args.keyword("IDLETIME") {
                options.idle_secs = Some(u64::try_from(args.i64()?).map_err(|_| IDLETIME)?);
            } else if args.left() > 1 && options.idle_secs.is_none() && args.keyword("FREQ") {
                options.frequency = Some(u8::try_from(args.i64()?).map_err(|_| FREQ)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn restore(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let argv = args.argv();
    let (key, ttl, payload) = (args.next()?, args.next()?, args.next()?);
    let options = Restore::parse(args)?;
    let integrity = match call.server.config.sanitize_dump_payload {
        SanitizePayload::No => Integrity::Structure,
        SanitizePayload::Yes | SanitizePayload::Clients => Integrity::Full,
    };
    let check = !call.server.debug.skips_checksum;
    let lazy = call.server.engine.config.lazy_server_del;
    let result = on_data(call, |ctx| {
        if !options.replace && ctx.db.exists_for_write(key) {
            return Err(CommandError::Text("BUSYKEY Target key name already exists."));
        }
        let ttl = resp::number::parse_i64(ttl).ok_or(CommandError::NotInteger)?;
        if ttl < 0 {
            return Err(CommandError::Text("ERR Invalid TTL value, must be >= 0"));
        }
        let deadline = match (ttl, options.absolute) {
            (0, _) => None,
            (at, true) => Some(UnixMs(at)),
            (ms, false) => Some(ctx.now.plus(ms)),
        };
        let restored = dump::restore(payload, ctx.config, integrity, check, |value| {
            let removed = options.replace && remove(ctx, key, lazy);
            if deadline.is_some_and(|deadline| deadline < ctx.now) {
                if removed {
                    let removal: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
                    ctx.effects.propagate_instead(&[removal, key]);
                    ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
                }
                return;
            }
            ctx.db.load(key, value, deadline);
            set_access(ctx, key, &options);
            ctx.effects.changed(EventClass::GENERIC, "restore", key, 1);
            if let Some(deadline) = deadline.filter(|_| !options.absolute) {
                // Those who repeat it must not count from another moment.
                let deadline = deadline.0.to_string();
                let mut repeated = argv.to_vec();
                repeated[2] = deadline.as_bytes();
                repeated.push(b"ABSTTL");
                ctx.effects.propagate_instead(&repeated);
            }
        });
        restored.map_err(|error| match error {
            PayloadError::Footer => CommandError::Text("ERR DUMP payload version or checksum are wrong"),
            PayloadError::Value(error) => {
                tracing::warn!("RESTORE refused: {error}");
                CommandError::Text("ERR Bad data format")
            }
        })
    });
    result?;
    call.out.ok();
    Ok(Outcome::Done)
}

/// Removes the key that is to be replaced; its value is freed elsewhere when that is wanted. Returns whether it was there.
fn remove(ctx: &mut Ctx<'_>, key: &[u8], lazy: bool) -> bool {
    let Some(old) = ctx.db.delete(key) else { return false };
    if lazy || old.parts() > engine::keyspace::STALLING_PARTS {
        ctx.effects.free_later.push(old);
    }
    true
}

/// What the options say about accesses, as far as that is what is kept.
fn set_access(ctx: &mut Ctx<'_>, key: &[u8], options: &Restore) {
    let lru = ctx.config.access_clock == AccessClock::Lru;
    if let Some(secs) = options.idle_secs.filter(|_| lru) {
        ctx.db.set_idle_secs(key, secs);
    }
    if let Some(counter) = options.frequency.filter(|_| !lru) {
        ctx.db.set_frequency(key, counter);
    }
}

const SAVE: HostCommand = HostCommand {
    name: "save",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI),
    group: Group::Server,
    since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Saves the data to disk while everybody waits.",
    run: HostFn(|call, _| {
        if call.server.saves_in_background() {
            return Err(IN_PROGRESS);
        }
        call.server.save_now().map_err(|_| CommandError::Text("ERR"))?;
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const BGSAVE: HostCommand = HostCommand {
    name: "bgsave",
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING),
    group: Group::Server,
    since: "1.0.0",
    history: &[("3.2.2", "Added the `SCHEDULE` option.")],
    complexity: "O(1)",
    summary: "Saves the data to disk in a child process.",
    args: &[Arg::word("schedule", "SCHEDULE").optional().since("3.2.2")],
    run: HostFn(bgsave),
    ..HostCommand::BASE
};

fn bgsave(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let schedule = args.keyword("SCHEDULE");
    args.end()?;
    if call.server.saves_in_background() {
        return Err(IN_PROGRESS);
    }
    let in_unit = matches!(call.origin, Origin::Exec | Origin::Script);
    if call.server.child.is_some() || in_unit {
        if !schedule && !in_unit {
            return Err(CommandError::Text(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
            ));
        }
        call.server.snapshots.scheduled = true;
        call.out.simple("Background saving scheduled");
        return Ok(Outcome::Done);
    }
    call.server.save_in_background().map_err(|_| CommandError::Text("ERR"))?;
    call.out.simple("Background saving started");
    Ok(Outcome::Done)
}

const LASTSAVE: HostCommand = HostCommand {
    name: "lastsave",
    arity: Arity::Exactly(1),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    group: Group::Server,
    acl: Acl::ADMIN.union(Acl::DANGEROUS),
    since: "1.0.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns when the data were last saved; when the server started if they never were.",
    run: HostFn(|call, _| {
        call.out.integer(call.server.snapshots.last_save.secs());
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};
