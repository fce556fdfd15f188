//! Commands about the server as a whole. <https://redis.io/docs/latest/commands/?group=server>

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::config::value::ShutdownOptions;
use crate::exec::{Call, HostFn, Origin};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&TIME, &ROLE, &MONITOR, &SHUTDOWN, &LOLWUT];

const TIME: HostCommand = HostCommand {
    name: "time",
    arity: Arity::Exactly(1),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    group: Group::Server,
    since: "2.6.0",
    tips: &["nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the server's time: seconds since the epoch, and microseconds.",
    run: HostFn(|call, _| {
        // One moment for a whole transaction, as for everything else in it.
        let within = match call.origin {
            Origin::Script => 0,
            _ => call.server.clock.unix_micros(call.server.clock.stamp()).rem_euclid(1000),
        };
        let micros = call.now.0 * 1000 + within;
        call.out.array(2);
        call.out.bulk_integer(micros.div_euclid(1_000_000));
        call.out.bulk_integer(micros.rem_euclid(1_000_000));
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const ROLE: HostCommand = HostCommand {
    name: "role",
    arity: Arity::Exactly(1),
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST),
    group: Group::Server,
    acl: Acl::ADMIN.union(Acl::DANGEROUS),
    since: "2.8.12",
    complexity: "O(1)",
    summary: "Returns the replication role.",
    run: HostFn(|call, _| {
        call.out.array(3);
        call.out.bulk(b"master");
        call.out.integer(0);
        call.out.array(0);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const MONITOR: HostCommand = HostCommand {
    name: "monitor",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    group: Group::Server,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Has the connection shown every command the server runs.",
    run: HostFn(monitor),
    ..HostCommand::BASE
};

fn monitor(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    if matches!(call.origin, Origin::Exec | Origin::Script) {
        return Err(CommandError::Text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let client = call.server.clients.running(call.client);
    if !client.monitor {
        client.monitor = true;
        call.server.monitors.push(call.client);
    }
    call.out.ok();
    Ok(Outcome::Done)
}

const SHUTDOWN: HostCommand = HostCommand {
    name: "shutdown",
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN
        .and(Flags::NOSCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::NO_MULTI)
        .and(Flags::ALLOW_BUSY),
    group: Group::Server,
    since: "1.0.0",
    history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    summary: "Ends the server.",
    args: &[
        Arg::one_of("save-selector", &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")]).optional(),
        Arg::word("now", "NOW").optional().since("7.0.0"),
        Arg::word("force", "FORCE").optional().since("7.0.0"),
        Arg::word("abort", "ABORT").optional().since("7.0.0"),
    ],
    run: HostFn(shutdown),
    ..HostCommand::BASE
};

fn shutdown(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let (mut options, mut abort) = (ShutdownOptions::default(), false);
    while !args.is_done() {
        if args.keyword("NOSAVE") {
            options.nosave = true;
        } else if args.keyword("SAVE") {
            options.save = true;
        } else if args.keyword("NOW") {
            options.now = true;
        } else if args.keyword("FORCE") {
            options.force = true;
        } else if args.keyword("ABORT") {
            abort = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if (abort && options != ShutdownOptions::default()) || (options.save && options.nosave) {
        return Err(CommandError::Syntax);
    }
    if abort && call.server.abort_shutdown() {
        call.out.ok();
        return Ok(Outcome::Done);
    }
    if abort {
        return Err(CommandError::Text("ERR No shutdown in progress."));
    }
    if let Some(busy) = call.server.scripting.busy()
        && !options.nosave
    {
        return Err(crate::scripting::busy_error(busy.kind));
    }
    tracing::warn!("User requested shutdown...");
    if !call.server.shut_down(options) {
        return Err(CommandError::Text("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    Ok(Outcome::Done)
}

const LOLWUT: HostCommand = HostCommand {
    name: "lolwut",
    arity: Arity::AtLeast(1),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Server,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Shows a piece of generative art and the version.",
    args: &[Arg::integer("version").token("VERSION").optional()],
    run: HostFn(lolwut),
    ..HostCommand::BASE
};

fn lolwut(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    const WIDTH: usize = 48;
    const HEIGHT: usize = 12;
    // Hills: each column's height wanders, and what lies under it is filled.
    let rng = &mut call.server.engine.rng;
    let mut level = HEIGHT as i64 / 2;
    let heights: Vec<i64> = (0..WIDTH)
        .map(|_| {
            level = (level + rng.below(3) as i64 - 1).clamp(1, HEIGHT as i64);
            level
        })
        .collect();
    let mut text = String::new();
    for row in (0..HEIGHT as i64).rev() {
        text.extend(heights.iter().map(|&height| match height - row {
            ..=0 => ' ',
            1 => '.',
            _ => '#',
        }));
        text.push('\n');
    }
    text.push_str(&format!("Redis ver. {}\n", crate::REDIS_VERSION));
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}
