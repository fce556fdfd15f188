//! Connection commands. <https://redis.io/docs/latest/commands/?group=connection>

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use resp::Protocol;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::pubsub::Scope;
use crate::session::ReplyMode;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&PING, &ECHO, &SELECT, &QUIT, &AUTH, &HELLO, &RESET];

const PING: HostCommand = HostCommand {
    name: "ping",
    arity: Arity::AtLeast(1),
    flags: Flags::FAST.and(Flags::RUNS_SUBSCRIBED),
    group: Group::Connection,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Answers PONG, or with the message it is given.",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[Arg::string("message").optional()],
    run: HostFn(ping),
    ..HostCommand::BASE
};

fn ping(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    if args.left() > 1 {
        return Err(CommandError::WrongArity("ping".into()));
    }
    let message = args.peek();
    let client = call.server.clients.running(call.client);
    if client.protocol == Protocol::Resp2 && client.is_subscriber() {
        // A subscriber reads messages: the answer looks like one.
        call.out.array(2);
        call.out.bulk(b"pong");
        call.out.bulk(message.unwrap_or_default());
    } else if let Some(message) = message {
        call.out.bulk(message);
    } else {
        call.out.simple("PONG");
    }
    Ok(Outcome::Done)
}

const ECHO: HostCommand = HostCommand {
    name: "echo",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
    group: Group::Connection,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Answers with the message it is given.",
    args: &[Arg::string("message")],
    run: HostFn(echo),
    ..HostCommand::BASE
};

fn echo(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    call.out.bulk(args.next()?);
    Ok(Outcome::Done)
}

const SELECT: HostCommand = HostCommand {
    name: "select",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    group: Group::Connection,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Chooses the database of this connection.",
    args: &[Arg::integer("index")],
    run: HostFn(select),
    ..HostCommand::BASE
};

fn select(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let db = args.i64()?;
    if !(0..call.server.engine.dbs.len() as i64).contains(&db) {
        return Err(CommandError::DbOutOfRange);
    }
    call.server.clients.running(call.client).db = db as u32;
    call.out.ok();
    Ok(Outcome::Done)
}

const QUIT: HostCommand = HostCommand {
    name: "quit",
    arity: Arity::AtLeast(1),
    flags: Flags::ALLOW_BUSY
        .and(Flags::NOSCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::NO_AUTH)
        .and(Flags::RUNS_IN_MULTI)
        .and(Flags::RUNS_SUBSCRIBED),
    group: Group::Connection,
    since: "1.0.0",
    deprecated: Some(("7.2.0", "just closing the connection")),
    complexity: "O(1)",
    summary: "Ends the connection after its replies.",
    run: HostFn(quit),
    ..HostCommand::BASE
};

fn quit(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    call.out.ok();
    call.server.close_after_reply(call.client);
    Ok(Outcome::Done)
}

const AUTH: HostCommand = HostCommand {
    name: "auth",
    arity: Arity::AtLeast(2),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::NO_AUTH)
        .and(Flags::ALLOW_BUSY)
        .and(Flags::SECRETS),
    group: Group::Connection,
    since: "1.0.0",
    history: &[("6.0.0", "Takes a user name.")],
    complexity: "O(N) where N is the number of passwords of the user.",
    summary: "Authenticates the connection.",
    args: &[Arg::string("username").optional().since("6.0.0"), Arg::string("password")],
    run: HostFn(auth),
    ..HostCommand::BASE
};

const WRONG_PASSWORD: CommandError =
    CommandError::Text("WRONGPASS invalid username-password pair or user is disabled.");

fn auth(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let (user, password) = match args.take_rest() {
        [password] => {
            if call.server.config.requirepass.is_empty() {
                return Err(CommandError::Text(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            (&b"default"[..], *password)
        }
        [user, password] => (*user, *password),
        _ => return Err(CommandError::Syntax),
    };
    authenticate(call, user, password)?;
    call.out.ok();
    Ok(Outcome::Done)
}

/// Compares without telling by its duration how much was right.
fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let mut difference = u8::from(a.len() != b.len());
    for i in 0..a.len().max(b.len()) {
        difference |= a.get(i).copied().unwrap_or(0) ^ b.get(i).copied().unwrap_or(0);
    }
    std::hint::black_box(difference) == 0
}

fn authenticate(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let secret = call.server.config.requirepass.as_bytes();
    // Without a password the default user takes any.
    let right = user == b"default" && (secret.is_empty() || same_secret(secret, password));
    if !right {
        call.server.stats.denied_auth += 1;
        return Err(WRONG_PASSWORD);
    }
    call.server.clients.running(call.client).authenticated = true;
    Ok(())
}

const HELLO: HostCommand = HostCommand {
    name: "hello",
    arity: Arity::AtLeast(1),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::NO_AUTH)
        .and(Flags::ALLOW_BUSY)
        .and(Flags::SECRETS),
    group: Group::Connection,
    since: "6.0.0",
    history: &[("6.2.0", "The protocol version may be left out: then the connection stays as it is.")],
    complexity: "O(1)",
    summary: "Chooses the protocol, authenticates and names the connection in one step; tells about the server.",
    args: &[Arg::block(
        "arguments",
        &[
            Arg::integer("protover"),
            Arg::block("auth", &[Arg::string("username"), Arg::string("password")]).token("AUTH").optional(),
            Arg::string("clientname").token("SETNAME").optional(),
        ],
    )
    .optional()],
    run: HostFn(hello),
    ..HostCommand::BASE
};

fn hello(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let mut protocol = None;
    if !args.is_done() {
        let version = args.i64_in(
            i64::MIN..=i64::MAX,
            CommandError::Text("ERR Protocol version is not an integer or out of range"),
        )?;
        protocol = Some(match version {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(CommandError::Text("NOPROTO unsupported protocol version")),
        });
    }
    let (mut credentials, mut name) = (None, None);
    while let Some(option) = args.peek() {
        if args.left() >= 3 && args.keyword("AUTH") {
            credentials = Some((args.next()?, args.next()?));
        } else if args.left() >= 2 && args.keyword("SETNAME") {
            let word = args.next()?;
            super::client::check_name(word, "Client names cannot contain spaces, newlines or special characters.")?;
            name = Some(word);
        } else {
            return Err(CommandError::owned(format!(
                "ERR Syntax error in HELLO option '{}'",
                String::from_utf8_lossy(option)
            )));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(call, user, password)?;
    }
    if !call.server.clients.running(call.client).authenticated {
        return Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    let client = call.server.clients.running(call.client);
    if let Some(name) = name {
        client.name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
    }
    if let Some(protocol) = protocol {
        client.protocol = protocol;
        call.out.set_protocol(protocol);
    }
    let (number, version) = (client.id.id, if client.protocol == Protocol::Resp3 { 3 } else { 2 });
    let out = &mut call.out;
    out.map(7);
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(crate::REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.integer(version);
    out.bulk(b"id");
    out.integer(number as i64);
    out.bulk(b"mode");
    out.bulk(b"standalone");
    out.bulk(b"role");
    out.bulk(b"master");
    out.bulk(b"modules");
    out.array(0);
    Ok(Outcome::Done)
}

const RESET: HostCommand = HostCommand {
    name: "reset",
    arity: Arity::Exactly(1),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::NO_AUTH)
        .and(Flags::ALLOW_BUSY)
        .and(Flags::RUNS_IN_MULTI)
        .and(Flags::RUNS_SUBSCRIBED),
    group: Group::Connection,
    acl: Acl::empty(),
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Puts the connection back into the state it began in.",
    run: HostFn(reset),
    ..HostCommand::BASE
};

fn reset(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let id = call.client;
    let server = &mut *call.server;
    server.discard(id);
    for scope in [Scope::Channel, Scope::Pattern, Scope::Shard] {
        server.unsubscribe_all(id, scope, None);
    }
    server.monitors.retain(|&monitor| monitor != id);
    let authenticated = server.config.requirepass.is_empty();
    let client = server.clients.running(id);
    client.monitor = false;
    client.db = 0;
    client.protocol = Protocol::Resp2;
    client.reply_mode = ReplyMode::On;
    client.name = None;
    client.no_evict = false;
    client.no_touch = false;
    client.authenticated = authenticated;
    call.out.set_protocol(Protocol::Resp2);
    call.out.simple("RESET");
    Ok(Outcome::Done)
}
