//! SLOWLOG. <https://redis.io/docs/latest/commands/slowlog/>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::exec::{Call, HostFn};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&SLOWLOG];

/// Entries that SLOWLOG GET returns unless told.
const GET_DEFAULT: i64 = 10;

const ADMIN: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);

const SLOWLOG: HostCommand = HostCommand {
    name: "slowlog",
    arity: Arity::AtLeast(2),
    group: Group::Server,
    since: "2.2.12",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about slow commands.",
    subcommands: &[&GET, &LEN, &RESET, &HELP],
    ..HostCommand::BASE
};

const GET: HostCommand = HostCommand {
    name: "get",
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.2.12",
    history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    complexity: "O(N) where N is the number of entries returned",
    summary: "Returns the newest entries of the slow log.",
    args: &[Arg::integer("count").optional()],
    run: HostFn(get),
    ..HostCommand::BASE
};

fn get(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let mut count = GET_DEFAULT;
    if !args.is_done() {
        count = args.i64_in(-1..=i64::MAX, CommandError::Text("ERR count should be greater than or equal to -1"))?;
        args.end()?;
    }
    let log = &call.server.slowlog.entries;
    let count = if count < 0 { log.len() } else { (count as usize).min(log.len()) };
    let out = &mut call.out;
    out.array(count);
    for entry in log.iter().take(count) {
        out.array(6);
        out.integer(entry.id as i64);
        out.integer(entry.time);
        out.integer(entry.micros as i64);
        out.array(entry.argv.len());
        entry.argv.iter().for_each(|word| out.bulk(word));
        out.bulk(entry.peer.as_bytes());
        out.bulk(&entry.name);
    }
    Ok(Outcome::Done)
}

const LEN: HostCommand = HostCommand {
    name: "len",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.2.12",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the number of entries in the slow log.",
    run: HostFn(|call, _| {
        call.out.integer(call.server.slowlog.entries.len() as i64);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const RESET: HostCommand = HostCommand {
    name: "reset",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.2.12",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) where N is the number of entries in the slowlog",
    summary: "Empties the slow log.",
    run: HostFn(|call, _| {
        call.server.slowlog.entries.clear();
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "SLOWLOG",
            &[
                ("GET [<count>]", "Return top <count> entries from the slowlog (default: 10, -1 mean all)."),
                ("LEN", "Return the length of the slowlog."),
                ("RESET", "Reset the slowlog."),
            ],
        )
    }),
    ..HostCommand::BASE
};
