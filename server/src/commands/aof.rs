//! Commands about the append-only file.

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Flags, Group};
use engine::ctx::{BlockOn, CmdResult, Outcome, TimeoutReply};
use engine::error::CommandError;
use engine::types::Kind;

use super::HostCommand;
use crate::exec::{Call, HostFn, Origin};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&BGREWRITEAOF, &WAITAOF];

const BGREWRITEAOF: HostCommand = HostCommand {
    name: "bgrewriteaof",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING),
    group: Group::Server,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Rewrites the append-only file in the background.",
    run: HostFn(bgrewriteaof),
    ..HostCommand::BASE
};

fn bgrewriteaof(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let server = &mut *call.server;
    if server.rewrites_aof() {
        return Err(CommandError::Text("ERR Background append only file rewriting already in progress"));
    }
    if server.child.is_some() || matches!(call.origin, Origin::Exec | Origin::Script) {
        // Whoever asks wants it now, whatever failed before.
        server.aof.rewrites.failures = 0;
        server.aof.rewrites.scheduled = true;
        call.out.simple("Background append only file rewriting scheduled");
    } else if server.rewrite_aof().is_ok() {
        call.out.simple("Background append only file rewriting started");
    } else {
        return Err(CommandError::Text(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
        ));
    }
    Ok(Outcome::Done)
}

const WAITAOF: HostCommand = HostCommand {
    name: "waitaof",
    arity: Arity::Exactly(4),
    flags: Flags::BLOCKING,
    group: Group::Generic,
    acl: Acl::CONNECTION,
    since: "7.2.0",
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    complexity: "O(1)",
    summary: "Waits until what the connection wrote is durable in the append-only files of this server and of replicas.",
    args: &[Arg::integer("numlocal"), Arg::integer("numreplicas"), Arg::integer("timeout")],
    run: HostFn(waitaof),
    ..HostCommand::BASE
};

fn waitaof(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let in_range = |word: &[u8], max: i64, error| match resp::number::parse_i64(word) {
        Some(n) if (0..=max).contains(&n) => Ok(n),
        Some(_) => Err(error),
        None => Err(CommandError::NotInteger),
    };
    let local_range = CommandError::Text("ERR value is out of range, value must between 0 and 1");
    let local = in_range(args.next()?, 1, local_range)?;
    let replicas_range = CommandError::Text("ERR value is out of range, must be positive");
    let replicas = in_range(args.next()?, i64::MAX, replicas_range)?;
    let timeout = resp::number::parse_i64(args.next()?)
        .ok_or(CommandError::Text("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(CommandError::Text("ERR timeout is negative"));
    }
    if local > 0 && !call.server.aof.is_enabled() {
        return Err(CommandError::Text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    }
    let written = call.server.clients.running(call.client).write_offset;
    let reached = i64::from(call.server.aof_reached(written));
    if (reached >= local && replicas == 0) || matches!(call.origin, Origin::Exec | Origin::Script | Origin::Loading) {
        call.out.array(2);
        call.out.integer(reached);
        call.out.integer(0);
        return Ok(Outcome::Done);
    }
    if replicas == 0 {
        // A former wait may have left its entry.
        call.server.aof.waiters.retain(|&(waiter, _)| waiter != call.client);
        call.server.aof.waiters.push((call.client, written));
    }
    Ok(Outcome::Block(Box::new(BlockOn {
        keys: Vec::new(),
        deadline: (timeout > 0).then(|| call.now.plus(timeout)),
        on_timeout: TimeoutReply::Acks,
        kind: Kind::String,
        wakes_on_delete: false,
        again: None,
    })))
}
