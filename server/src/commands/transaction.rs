//! Transaction commands. <https://redis.io/docs/latest/commands/?group=transactions>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group, KeyFlags, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::exec::{Call, HostFn, transaction};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

const ALWAYS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::ALLOW_BUSY);

const MULTI: HostCommand = HostCommand {
    name: "multi",
    arity: Arity::Exactly(1),
    flags: ALWAYS.and(Flags::FAST).and(Flags::RUNS_IN_MULTI),
    group: Group::Transactions,
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Begins a transaction.",
    run: HostFn(multi),
    ..HostCommand::BASE
};

fn multi(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let client = call.server.clients.running(call.client);
    if client.transaction.is_some() {
        return Err(CommandError::Text("ERR MULTI calls can not be nested"));
    }
    client.transaction = Some(call.server.spare_transaction.take().unwrap_or_default());
    call.out.ok();
    Ok(Outcome::Done)
}

const EXEC: HostCommand = HostCommand {
    name: "exec",
    arity: Arity::Exactly(1),
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SKIP_SLOWLOG).and(Flags::RUNS_IN_MULTI),
    group: Group::Transactions,
    since: "1.2.0",
    complexity: "Depends on commands in the transaction",
    summary: "Runs all commands of the transaction.",
    run: HostFn(|call, _| {
        transaction::exec(call)?;
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const DISCARD: HostCommand = HostCommand {
    name: "discard",
    arity: Arity::Exactly(1),
    flags: ALWAYS.and(Flags::FAST).and(Flags::RUNS_IN_MULTI),
    group: Group::Transactions,
    since: "2.0.0",
    complexity: "O(N), when N is the number of queued commands",
    summary: "Drops the transaction.",
    run: HostFn(discard),
    ..HostCommand::BASE
};

fn discard(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    if call.server.clients.running(call.client).transaction.is_none() {
        return Err(CommandError::Text("ERR DISCARD without MULTI"));
    }
    call.server.discard(call.client);
    call.out.ok();
    Ok(Outcome::Done)
}

const WATCH: HostCommand = HostCommand {
    name: "watch",
    arity: Arity::AtLeast(2),
    flags: ALWAYS.and(Flags::FAST).and(Flags::RUNS_IN_MULTI),
    group: Group::Transactions,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RO)],
    since: "2.2.0",
    complexity: "O(1) for every key.",
    summary: "Has the next transaction fail if one of the keys changes before it.",
    args: &[Arg::key("key").many()],
    run: HostFn(watch),
    ..HostCommand::BASE
};

fn watch(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let client = call.server.clients.running(call.client);
    if client.transaction.is_some() {
        return Err(CommandError::Text("ERR WATCH inside MULTI is not allowed"));
    }
    let db = client.db as usize;
    // What is already known to fail need not watch more.
    if !client.watch_broken {
        call.server.engine.dbs[db].begin(call.now);
        for key in args.take_rest() {
            call.server.watch(call.client, db, key);
        }
    }
    call.out.ok();
    Ok(Outcome::Done)
}

const UNWATCH: HostCommand = HostCommand {
    name: "unwatch",
    arity: Arity::Exactly(1),
    flags: ALWAYS.and(Flags::FAST),
    group: Group::Transactions,
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Forgets all watched keys.",
    run: HostFn(|call, _| {
        call.server.unwatch_all(call.client);
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};
