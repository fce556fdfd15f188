//! Publish/subscribe commands. <https://redis.io/docs/latest/commands/?group=pubsub>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group, KeyFlags, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::glob;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::pubsub::Scope;

/// The declarations.
pub const COMMANDS: &[&HostCommand] =
    &[&SUBSCRIBE, &UNSUBSCRIBE, &PSUBSCRIBE, &PUNSUBSCRIBE, &SSUBSCRIBE, &SUNSUBSCRIBE, &PUBLISH, &SPUBLISH, &PUBSUB];

const LISTENS: Flags =
    Flags::PUBSUB.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::RUNS_SUBSCRIBED);

const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(1, -1, 1, KeyFlags::NOT_KEY)];

const SUBSCRIBE: HostCommand = HostCommand {
    name: "subscribe",
    arity: Arity::AtLeast(2),
    flags: LISTENS,
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N) where N is the number of channels to subscribe to.",
    summary: "Listens for messages published to channels.",
    args: &[Arg::string("channel").many()],
    run: HostFn(|call, args| subscribe(call, args, Scope::Channel)),
    ..HostCommand::BASE
};

const PSUBSCRIBE: HostCommand = HostCommand {
    name: "psubscribe",
    arity: Arity::AtLeast(2),
    flags: LISTENS,
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N) where N is the number of patterns to subscribe to.",
    summary: "Listens for messages published to channels that match one or more patterns.",
    args: &[Arg::pattern("pattern").many()],
    run: HostFn(|call, args| subscribe(call, args, Scope::Pattern)),
    ..HostCommand::BASE
};

const SSUBSCRIBE: HostCommand = HostCommand {
    name: "ssubscribe",
    arity: Arity::AtLeast(2),
    flags: LISTENS,
    group: Group::PubSub,
    keys: SHARD_CHANNELS,
    since: "7.0.0",
    complexity: "O(N) where N is the number of shard channels to subscribe to.",
    summary: "Listens for messages published to shard channels.",
    args: &[Arg::string("shardchannel").many()],
    run: HostFn(|call, args| subscribe(call, args, Scope::Shard)),
    ..HostCommand::BASE
};

fn subscribe(call: &mut Call<'_>, args: &mut Args<'_>, scope: Scope) -> CmdResult {
    for name in args.take_rest() {
        call.server.subscribe(call.client, scope, name, &mut call.out);
    }
    Ok(Outcome::Done)
}

const UNSUBSCRIBE: HostCommand = HostCommand {
    name: "unsubscribe",
    arity: Arity::AtLeast(1),
    flags: LISTENS,
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N) where N is the number of channels to unsubscribe from.",
    summary: "Stops listening to channels, or to all of them.",
    args: &[Arg::string("channel").optional().many()],
    run: HostFn(|call, args| unsubscribe(call, args, Scope::Channel)),
    ..HostCommand::BASE
};

const PUNSUBSCRIBE: HostCommand = HostCommand {
    name: "punsubscribe",
    arity: Arity::AtLeast(1),
    flags: LISTENS,
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N) where N is the number of patterns to unsubscribe from.",
    summary: "Stops listening to patterns, or to all of them.",
    args: &[Arg::pattern("pattern").optional().many()],
    run: HostFn(|call, args| unsubscribe(call, args, Scope::Pattern)),
    ..HostCommand::BASE
};

const SUNSUBSCRIBE: HostCommand = HostCommand {
    name: "sunsubscribe",
    arity: Arity::AtLeast(1),
    flags: LISTENS,
    group: Group::PubSub,
    keys: SHARD_CHANNELS,
    since: "7.0.0",
    complexity: "O(N) where N is the number of shard channels to unsubscribe from.",
    summary: "Stops listening to shard channels, or to all of them.",
    args: &[Arg::string("shardchannel").optional().many()],
    run: HostFn(|call, args| unsubscribe(call, args, Scope::Shard)),
    ..HostCommand::BASE
};

fn unsubscribe(call: &mut Call<'_>, args: &mut Args<'_>, scope: Scope) -> CmdResult {
    if args.is_done() {
        call.server.unsubscribe_all(call.client, scope, Some(&mut call.out));
    }
    for name in args.take_rest() {
        call.server.unsubscribe(call.client, scope, name, Some(&mut call.out));
    }
    Ok(Outcome::Done)
}

const PUBLISH: HostCommand = HostCommand {
    name: "publish",
    arity: Arity::Exactly(3),
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::MAY_REPLICATE),
    group: Group::PubSub,
    since: "2.0.0",
    complexity: "O(N+M) where N is the number of subscribers of the channel and M the number of patterns in use.",
    summary: "Sends a message to a channel.",
    args: &[Arg::string("channel"), Arg::string("message")],
    run: HostFn(publish),
    ..HostCommand::BASE
};

fn publish(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let receivers = call.server.publish(args.next()?, args.next()?);
    call.out.integer(receivers as i64);
    Ok(Outcome::Done)
}

const SPUBLISH: HostCommand = HostCommand {
    name: "spublish",
    arity: Arity::Exactly(3),
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::MAY_REPLICATE),
    group: Group::PubSub,
    keys: &[KeySpec::at(1, KeyFlags::NOT_KEY)],
    since: "7.0.0",
    complexity: "O(N) where N is the number of subscribers of the shard channel.",
    summary: "Sends a message to a shard channel.",
    args: &[Arg::string("shardchannel"), Arg::string("message")],
    run: HostFn(spublish),
    ..HostCommand::BASE
};

fn spublish(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let receivers = call.server.publish_shard(args.next()?, args.next()?);
    call.out.integer(receivers as i64);
    Ok(Outcome::Done)
}

const PUBSUB: HostCommand = HostCommand {
    name: "pubsub",
    arity: Arity::AtLeast(2),
    group: Group::PubSub,
    since: "2.8.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands that tell about subscriptions.",
    subcommands: &[&CHANNELS, &NUMSUB, &NUMPAT, &SHARDCHANNELS, &SHARDNUMSUB, &HELP],
    ..HostCommand::BASE
};

const TELLS: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);

const CHANNELS: HostCommand = HostCommand {
    name: "channels",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::PubSub,
    since: "2.8.0",
    complexity: "O(N) where N is the number of active channels.",
    summary: "Returns the channels somebody listens to.",
    args: &[Arg::pattern("pattern").optional()],
    run: HostFn(|call, args| channels(call, args, Scope::Channel)),
    ..HostCommand::BASE
};

const SHARDCHANNELS: HostCommand = HostCommand {
    name: "shardchannels",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::PubSub,
    since: "7.0.0",
    complexity: "O(N) where N is the number of active shard channels.",
    summary: "Returns the shard channels somebody listens to.",
    args: &[Arg::pattern("pattern").optional()],
    run: HostFn(|call, args| channels(call, args, Scope::Shard)),
    ..HostCommand::BASE
};

fn channels(call: &mut Call<'_>, args: &mut Args<'_>, scope: Scope) -> CmdResult {
    args.next()?;
    let pattern = args.peek();
    if args.left() > 1 {
        return Err(super::unknown_subcommand_or_arity(args.argv()));
    }
    let all = if scope == Scope::Shard { &call.server.pubsub.shard_channels } else { &call.server.pubsub.channels };
    let names: Vec<_> = all.keys().filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name))).collect();
    call.out.array(names.len());
    names.iter().for_each(|name| call.out.bulk(name));
    Ok(Outcome::Done)
}

const NUMSUB: HostCommand = HostCommand {
    name: "numsub",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::PubSub,
    since: "2.8.0",
    complexity: "O(N) where N is the number of channels asked for.",
    summary: "Returns how many listen to each of the channels.",
    args: &[Arg::string("channel").optional().many()],
    run: HostFn(|call, args| numsub(call, args, Scope::Channel)),
    ..HostCommand::BASE
};

const SHARDNUMSUB: HostCommand = HostCommand {
    name: "shardnumsub",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::PubSub,
    since: "7.0.0",
    complexity: "O(N) where N is the number of shard channels asked for.",
    summary: "Returns how many listen to each of the shard channels.",
    args: &[Arg::string("shardchannel").optional().many()],
    run: HostFn(|call, args| numsub(call, args, Scope::Shard)),
    ..HostCommand::BASE
};

fn numsub(call: &mut Call<'_>, args: &mut Args<'_>, scope: Scope) -> CmdResult {
    args.next()?;
    let names = args.take_rest();
    let all = if scope == Scope::Shard { &call.server.pubsub.shard_channels } else { &call.server.pubsub.channels };
    call.out.array(names.len() * 2);
    for name in names {
        call.out.bulk(name);
        call.out.integer(all.get(*name).map_or(0, |subscribers| subscribers.len() as i64));
    }
    Ok(Outcome::Done)
}

const NUMPAT: HostCommand = HostCommand {
    name: "numpat",
    arity: Arity::Exactly(2),
    flags: TELLS,
    group: Group::PubSub,
    since: "2.8.0",
    complexity: "O(1)",
    summary: "Returns how many distinct patterns are listened to.",
    run: HostFn(|call, _| {
        call.out.integer(call.server.pubsub.patterns.len() as i64);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::PubSub,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "PUBSUB",
            &[
                ("CHANNELS [<pattern>]", "Return the currently active channels matching a <pattern> (default: '*')."),
                ("NUMPAT", "Return number of subscriptions to patterns."),
                (
                    "NUMSUB [<channel> ...]",
                    "Return the number of subscribers for the specified channels, excluding pattern subscriptions.",
                ),
                (
                    "SHARDCHANNELS [<pattern>]",
                    "Return the currently active shard level channels matching a <pattern> (default: '*').",
                ),
                (
                    "SHARDNUMSUB [<shardchannel> ...]",
                    "Return the number of subscribers for the specified shard level channel(s)",
                ),
            ],
        )
    }),
    ..HostCommand::BASE
};
