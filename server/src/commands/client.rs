//! CLIENT and its subcommands. <https://redis.io/docs/latest/commands/?group=connection>

use std::fmt::Write as _;

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome, TimeoutReply};
use engine::error::CommandError;
use engine::time::UnixMs;
use resp::number::parse_i64;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::net::poll::Wait;
use crate::net::socket::Socket;
use crate::server::{Pause, PauseKind, Server};
use crate::session::{Client, ClientId, Closing, ReplyMode};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&CLIENT];

const CLIENT: HostCommand = HostCommand {
    name: "client",
    arity: Arity::AtLeast(2),
    group: Group::Connection,
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about connections.",
    subcommands: &[
        &GETNAME, &GETREDIR, &HELP, &ID, &INFO, &KILL, &LIST, &NO_EVICT, &NO_TOUCH, &PAUSE, &REPLY, &SETINFO, &SETNAME,
        &UNBLOCK, &UNPAUSE,
    ],
    ..HostCommand::BASE
};

const PLAIN: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = PLAIN.and(Flags::ADMIN);

const ON_OFF: &[Arg] = &[Arg::word("on", "ON"), Arg::word("off", "OFF")];

const NO_SUCH_CLIENT: CommandError = CommandError::Text("ERR No such client");

/// Checks a name for the characters that CLIENT LIST could not show.
///
/// # Errors
/// `complaint` with the code `ERR`.
pub fn check_name(name: &[u8], complaint: &str) -> Result<(), CommandError> {
    let shows = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if shows { Ok(()) } else { Err(CommandError::owned(format!("ERR {complaint}"))) }
}

const ID: HostCommand = HostCommand {
    name: "id",
    arity: Arity::Exactly(2),
    flags: PLAIN,
    group: Group::Connection,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Returns the number of this connection.",
    run: HostFn(|call, _| {
        call.out.integer(call.client.id as i64);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const INFO: HostCommand = HostCommand {
    name: "info",
    arity: Arity::Exactly(2),
    flags: PLAIN,
    group: Group::Connection,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Tells about this connection.",
    run: HostFn(|call, _| {
        let line = describe(call.server, call.client) + "\n";
        call.out.verbatim("txt", line.as_bytes());
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const GETNAME: HostCommand = HostCommand {
    name: "getname",
    arity: Arity::Exactly(2),
    flags: PLAIN,
    group: Group::Connection,
    since: "2.6.9",
    complexity: "O(1)",
    summary: "Returns the name of this connection.",
    run: HostFn(|call, _| {
        match &call.server.clients.running(call.client).name {
            Some(name) => call.out.bulk(name),
            None => call.out.null(),
        }
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const SETNAME: HostCommand = HostCommand {
    name: "setname",
    arity: Arity::Exactly(3),
    flags: PLAIN,
    group: Group::Connection,
    since: "2.6.9",
    complexity: "O(1)",
    summary: "Gives this connection a name, or takes it away.",
    args: &[Arg::string("connection-name")],
    run: HostFn(setname),
    ..HostCommand::BASE
};

fn setname(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let name = args.next()?;
    check_name(name, "Client names cannot contain spaces, newlines or special characters.")?;
    call.server.clients.running(call.client).name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
    call.out.ok();
    Ok(Outcome::Done)
}

const SETINFO: HostCommand = HostCommand {
    name: "setinfo",
    arity: Arity::Exactly(4),
    flags: PLAIN,
    group: Group::Connection,
    since: "7.2.0",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(1)",
    summary: "Notes what library the client uses.",
    args: &[Arg::one_of("attr", &[Arg::string("libname").token("LIB-NAME"), Arg::string("libver").token("LIB-VER")])],
    run: HostFn(setinfo),
    ..HostCommand::BASE
};

fn setinfo(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let option = args.next()?;
    let value = args.next()?;
    let text = String::from_utf8_lossy(option);
    let client = call.server.clients.running(call.client);
    let slot = if option.eq_ignore_ascii_case(b"lib-name") {
        &mut client.lib_name
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        &mut client.lib_version
    } else {
        return Err(CommandError::owned(format!("ERR Unrecognized option '{text}'")));
    };
    check_name(value, &format!("{text} cannot contain spaces, newlines or special characters."))?;
    *slot = Some(value).filter(|value| !value.is_empty()).map(Into::into);
    call.out.ok();
    Ok(Outcome::Done)
}

const GETREDIR: HostCommand = HostCommand {
    name: "getredir",
    arity: Arity::Exactly(2),
    flags: PLAIN,
    group: Group::Connection,
    since: "6.0.0",
    complexity: "O(1)",
    summary: "Returns the connection that tracking messages are redirected to: -1, as tracking is off.",
    run: HostFn(|call, _| {
        call.out.integer(-1);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const NO_EVICT: HostCommand = HostCommand {
    name: "no-evict",
    arity: Arity::Exactly(3),
    flags: ADMIN,
    group: Group::Connection,
    since: "7.0.0",
    complexity: "O(1)",
    summary: "Exempts this connection from client eviction.",
    args: &[Arg::one_of("enabled", ON_OFF)],
    run: HostFn(|call, args| {
        call.server.clients.running(call.client).no_evict = on_off(args)?;
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const NO_TOUCH: HostCommand = HostCommand {
    name: "no-touch",
    arity: Arity::Exactly(3),
    flags: PLAIN,
    group: Group::Connection,
    since: "7.2.0",
    complexity: "O(1)",
    summary: "Keeps this connection's reads from counting as accesses of the keys.",
    args: &[Arg::one_of("enabled", ON_OFF)],
    run: HostFn(|call, args| {
        call.server.clients.running(call.client).no_touch = on_off(args)?;
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

/// Reads ON or OFF behind the subcommand.
fn on_off(args: &mut Args<'_>) -> Result<bool, CommandError> {
    args.next()?;
    if args.keyword("ON") {
        Ok(true)
    } else if args.keyword("OFF") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}

const REPLY: HostCommand = HostCommand {
    name: "reply",
    arity: Arity::Exactly(3),
    flags: PLAIN,
    group: Group::Connection,
    since: "3.2.0",
    complexity: "O(1)",
    summary: "Chooses whether this connection gets replies.",
    args: &[Arg::one_of("action", &[Arg::word("on", "ON"), Arg::word("off", "OFF"), Arg::word("skip", "SKIP")])],
    run: HostFn(reply),
    ..HostCommand::BASE
};

fn reply(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let client = call.server.clients.running(call.client);
    if args.keyword("ON") {
        client.reply_mode = ReplyMode::On;
        call.out.ok();
    } else if args.keyword("OFF") {
        client.reply_mode = ReplyMode::Off;
    } else if args.keyword("SKIP") {
        if client.reply_mode != ReplyMode::Off {
            client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(Outcome::Done)
}

const UNBLOCK: HostCommand = HostCommand {
    name: "unblock",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    group: Group::Connection,
    since: "5.0.0",
    complexity: "O(log N) where N is the number of client connections",
    summary: "Ends the wait of another connection, as by a timeout or with an error.",
    args: &[
        Arg::integer("client-id"),
        Arg::one_of("unblock-type", &[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")]).optional(),
    ],
    run: HostFn(unblock),
    ..HostCommand::BASE
};

fn unblock(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let number = args.next()?;
    let with_error = match args.take_rest() {
        [] => false,
        [reason] if reason.eq_ignore_ascii_case(b"timeout") => false,
        [reason] if reason.eq_ignore_ascii_case(b"error") => true,
        _ => return Err(CommandError::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let number = parse_i64(number).ok_or(CommandError::NotInteger)?;
    let id = u64::try_from(number).ok().and_then(|number| call.server.clients.by_number(number));
    // Memory that is being freed is not waited for in vain, and cannot be called off.
    let blocked = id.filter(|&id| {
        let blocked = call.server.clients.get(id).and_then(|client| client.blocked.as_ref());
        blocked.is_some_and(|blocked| blocked.on.on_timeout != TimeoutReply::Freed)
    });
    if let Some(id) = blocked {
        if with_error {
            call.server.unblock_with_error(id, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        } else {
            call.server.time_out(id);
        }
    }
    call.out.integer(i64::from(blocked.is_some()));
    Ok(Outcome::Done)
}

const PAUSE: HostCommand = HostCommand {
    name: "pause",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    group: Group::Connection,
    since: "3.0.0",
    history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
    complexity: "O(1)",
    summary: "Holds back the commands of all connections for a while.",
    args: &[
        Arg::integer("timeout"),
        Arg::one_of("mode", &[Arg::word("write", "WRITE"), Arg::word("all", "ALL")]).optional().since("6.2.0"),
    ],
    run: HostFn(pause),
    ..HostCommand::BASE
};

fn pause(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let timeout = args.next()?;
    let kind = match args.take_rest() {
        [] => PauseKind::All,
        [mode] if mode.eq_ignore_ascii_case(b"all") => PauseKind::All,
        [mode] if mode.eq_ignore_ascii_case(b"write") => PauseKind::Write,
        _ => return Err(CommandError::Text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let ms = parse_i64(timeout).ok_or(CommandError::Text("ERR timeout is not an integer or out of range"))?;
    if ms < 0 {
        return Err(CommandError::Text("ERR timeout is negative"));
    }
    let until = call.now.0.checked_add(ms).map(UnixMs).ok_or(CommandError::Text("ERR timeout is out of range"))?;
    call.server.pause_clients(kind, until);
    call.out.ok();
    Ok(Outcome::Done)
}

const UNPAUSE: HostCommand = HostCommand {
    name: "unpause",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Connection,
    since: "6.2.0",
    complexity: "O(N) Where N is the number of paused clients",
    summary: "Ends CLIENT PAUSE.",
    run: HostFn(|call, _| {
        call.server.end_pause();
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

impl Server {
    /// Begins a pause, or makes the one in force stricter or longer; it never becomes shorter or laxer.
    pub fn pause_clients(&mut self, kind: PauseKind, until: UnixMs) {
        let pause = self.pause.get_or_insert(Pause { kind, until });
        pause.kind = pause.kind.max(kind);
        pause.until = pause.until.max(until);
        for db in &mut self.engine.dbs {
            db.removes_expired = false;
        }
    }
}

/// The kinds of connections that LIST and KILL can be restricted to.
#[derive(Copy, Clone, PartialEq, Eq)]
enum ClientType {
    Normal,
    Primary,
    Replica,
    Pubsub,
}

impl ClientType {
    fn parse(word: &[u8]) -> Result<Self, CommandError> {
        let known: [(&[u8], Self); 5] = [
            (b"normal", Self::Normal),
            (b"slave", Self::Replica),
            (b"replica", Self::Replica),
            (b"pubsub", Self::Pubsub),
            (b"master", Self::Primary),
        ];
        known
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name))
            .map(|&(_, kind)| kind)
            .ok_or_else(|| CommandError::owned(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(word))))
    }

    fn of(client: &Client) -> Self {
        if client.is_subscriber() { Self::Pubsub } else { Self::Normal }
    }
}

const LIST: HostCommand = HostCommand {
    name: "list",
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    group: Group::Connection,
    since: "2.4.0",
    history: &[
        ("2.8.12", "Added unique client `id` field."),
        ("5.0.0", "Added optional `TYPE` filter."),
        ("6.0.0", "Added `user` field."),
        ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."),
        ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
        ("7.0.3", "Added `ssub` field."),
        ("7.2.0", "Added `lib-name` and `lib-ver` fields."),
        ("8.0.0", "Added `io-thread` field."),
    ],
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of client connections",
    summary: "Tells about all connections.",
    args: &[
        Arg::one_of(
            "client-type",
            &[
                Arg::word("normal", "NORMAL"),
                Arg::word("master", "MASTER"),
                Arg::word("replica", "REPLICA"),
                Arg::word("pubsub", "PUBSUB"),
            ],
        )
        .token("TYPE")
        .optional()
        .since("5.0.0"),
        Arg::integer("client-id").token("ID").optional().many().since("6.2.0"),
    ],
    run: HostFn(list),
    ..HostCommand::BASE
};

fn list(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let server = &*call.server;
    let ids = if args.left() == 2 && args.keyword("TYPE") {
        let kind = ClientType::parse(args.next()?)?;
        server.clients.iter().filter(|client| ClientType::of(client) == kind).map(|client| client.id).collect()
    } else if args.left() >= 2 && args.keyword("ID") {
        let mut ids = Vec::new();
        for word in args.take_rest() {
            let number = parse_i64(word).ok_or(CommandError::Text("ERR Invalid client ID"))?;
            ids.extend(u64::try_from(number).ok().and_then(|number| server.clients.by_number(number)));
        }
        ids
    } else if args.is_done() {
        server.clients.ids()
    } else {
        return Err(CommandError::Syntax);
    };
    let mut text = String::new();
    for id in ids {
        text.push_str(&describe(server, id));
        text.push('\n');
    }
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

const KILL: HostCommand = HostCommand {
    name: "kill",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    group: Group::Connection,
    since: "2.4.0",
    history: &[
        ("2.8.12", "Added new filter format."),
        ("2.8.12", "`ID` option."),
        ("3.2.0", "Added `master` type in for `TYPE` option."),
        ("5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."),
        ("6.2.0", "`LADDR` option."),
        ("8.0.0", "`MAXAGE` option."),
    ],
    complexity: "O(N) where N is the number of client connections",
    summary: "Ends connections.",
    args: &[Arg::one_of(
        "filter",
        &[
            Arg::string("old-format").display("ip:port"),
            Arg::one_of(
                "new-format",
                &[
                    Arg::integer("client-id").token("ID").optional().since("2.8.12"),
                    Arg::one_of(
                        "client-type",
                        &[
                            Arg::word("normal", "NORMAL"),
                            Arg::word("master", "MASTER").since("3.2.0"),
                            Arg::word("slave", "SLAVE"),
                            Arg::word("replica", "REPLICA").since("5.0.0"),
                            Arg::word("pubsub", "PUBSUB"),
                        ],
                    )
                    .token("TYPE")
                    .optional()
                    .since("2.8.12"),
                    Arg::string("username").token("USER").optional(),
                    Arg::string("addr").display("ip:port").token("ADDR").optional(),
                    Arg::string("laddr").display("ip:port").token("LADDR").optional().since("6.2.0"),
                    Arg::one_of("skipme", &[Arg::word("yes", "YES"), Arg::word("no", "NO")]).token("SKIPME").optional(),
                    Arg::integer("maxage").token("MAXAGE").optional().since("7.4.0"),
                ],
            )
            .many(),
        ],
    )],
    run: HostFn(kill),
    ..HostCommand::BASE
};

/// The filters of CLIENT KILL: all that are given must fit.
struct KillFilter<'a> {
    id: Option<u64>,
    kind: Option<ClientType>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    max_age_secs: Option<i64>,
    skip_me: bool,
}

impl<'a> KillFilter<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut filter =
            KillFilter { id: None, kind: None, address: None, local_address: None, max_age_secs: None, skip_me: true };
        while !args.is_done() {
            if args.left() < 2 {
                return Err(CommandError::Syntax);
            }
            if args.keyword("ID") {
                let bad = CommandError::Text("ERR client-id should be greater than 0");
                filter.id = Some(args.i64_in(1..=i64::MAX, bad)? as u64);
            } else if args.keyword("TYPE") {
                filter.kind = Some(ClientType::parse(args.next()?)?);
            } else if args.keyword("ADDR") {
                filter.address = Some(args.next()?);
            } else if args.keyword("LADDR") {
                filter.local_address = Some(args.next()?);
            } else if args.keyword("USER") {
                let name = args.next()?;
                if name != b"default" {
                    let name = String::from_utf8_lossy(name);
                    return Err(CommandError::owned(format!("ERR No such user '{name}'")));
                }
            } else if args.keyword("MAXAGE") {
                let word = args.next()?;
                let age = parse_i64(word).ok_or(CommandError::Text("ERR maxage is not an integer or out of range"))?;
                if age <= 0 {
                    return Err(CommandError::Text("ERR maxage should be greater than 0"));
                }
                filter.max_age_secs = Some(age);
            } else if args.keyword("SKIPME") {
                filter.skip_me = if args.keyword("YES") {
                    true
                } else if args.keyword("NO") {
                    false
                } else {
                    return Err(CommandError::Syntax);
                };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client, unix_path: &str, now: UnixMs) -> bool {
        self.id.is_none_or(|id| client.id.id == id)
            && self.kind.is_none_or(|kind| ClientType::of(client) == kind)
            && self.address.is_none_or(|address| client.socket.peer(unix_path).as_bytes() == address)
            && self.local_address.is_none_or(|address| client.socket.local(unix_path).as_bytes() == address)
            && self.max_age_secs.is_none_or(|age| now.secs() - client.created.secs() >= age)
    }
}

fn kill(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let old_form = args.left() == 1;
    let filter = if old_form {
        let address = Some(args.next()?);
        KillFilter { id: None, kind: None, address, local_address: None, max_age_secs: None, skip_me: false }
    } else {
        KillFilter::parse(args)?
    };
    let unix_path = call.server.config.unixsocket.clone();
    let me = call.client;
    let victims: Vec<ClientId> = call
        .server
        .clients
        .iter()
        .filter(|client| client.closing != Closing::Asap && !(filter.skip_me && client.id == me))
        .filter(|client| filter.fits(client, &unix_path, call.now))
        .map(|client| client.id)
        .collect();
    for &id in &victims {
        // One's own connection gets its reply first.
        if id == me {
            call.server.close_after_reply(id);
        } else {
            call.server.close(id);
        }
    }
    match (old_form, victims.is_empty()) {
        (true, true) => return Err(NO_SUCH_CLIENT),
        (true, false) => call.out.ok(),
        (false, _) => call.out.integer(victims.len() as i64),
    }
    Ok(Outcome::Done)
}

/// The line of CLIENT LIST about one client.
#[must_use]
pub fn describe(server: &Server, id: ClientId) -> String {
    let Some(client) = server.clients.get(id) else { return String::new() };
    let now = server.clock.now();
    let unix_path = &server.config.unixsocket;
    let text = |bytes: &Option<Box<[u8]>>| {
        bytes.as_deref().map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let (subs, psubs, ssubs) = client
        .subscriptions
        .as_ref()
        .map_or((0, 0, 0), |all| (all.channels.len(), all.patterns.len(), all.shard_channels.len()));
    let running = server.running == Some(id);
    // The running client's buffers are in use elsewhere: what is told about them was noted when they were taken.
    let (query_len, query_capacity) =
        if running { server.running_query } else { (client.query.len(), client.query.capacity()) };
    let output_capacity = if running { crate::pool::BUFFER_BYTES } else { client.output.capacity() };
    let output_len = client.output.len();
    let queued = client.transaction.as_ref();
    let multi_memory = queued.map_or(0, |transaction| transaction.queue.memory_bytes());
    let watched: usize = client.watched.iter().map(|watched| watched.key.len() + size_of_val(watched)).sum();
    let arguments = client.blocked.as_ref().map_or(0, |blocked| blocked.argv.iter().map(|word| word.len() + 16).sum());
    let total = size_of::<Client>() + query_capacity + output_capacity + multi_memory + watched + arguments;
    let command = client.last_run.map_or("NULL", |command| &server.registry.get(command as usize).full_name);
    let events = match client.waits {
        Wait::Nothing => "",
        Wait::Read => "r",
        Wait::ReadWrite => "rw",
        Wait::Write => "w",
    };
    let mut line = String::with_capacity(256);
    let written = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={subs} psub={psubs} ssub={ssubs} multi={} watch={} \
         qbuf={query_len} qbuf-free={} argv-mem={arguments} multi-mem={multi_memory} rbs={output_capacity} rbp={output_capacity} \
         obl={output_len} oll=0 omem={} tot-mem={total} events={events} cmd={command} user=default redir=-1 resp={} lib-name={} lib-ver={} io-thread=0",
        client.id.id,
        client.socket.peer(unix_path),
        client.socket.local(unix_path),
        client.socket.number(),
        text(&client.name),
        now.secs() - client.created.secs(),
        now.secs() - client.last_interaction.secs(),
        flag_letters(client),
        client.db,
        queued.map_or(-1, |transaction| transaction.queue.len() as i64),
        client.watched.len(),
        query_capacity - query_len,
        output_len.saturating_sub(crate::pool::BUFFER_BYTES),
        if client.protocol == resp::Protocol::Resp3 { 3 } else { 2 },
        text(&client.lib_name),
        text(&client.lib_version),
    );
    written.expect("writing to a string cannot fail");
    line
}

/// The letters of CLIENT LIST's `flags`.
fn flag_letters(client: &Client) -> String {
    let letters = [
        (client.monitor, 'O'),
        (client.is_subscriber(), 'P'),
        (client.transaction.is_some(), 'x'),
        (client.blocked.is_some() || client.paused, 'b'),
        (client.watch_broken, 'd'),
        (client.closing == Closing::AfterReply, 'c'),
        (client.unblocked, 'u'),
        (client.closing == Closing::Asap, 'A'),
        (matches!(client.socket, Socket::Unix(_)), 'U'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
    ];
    let text: String = letters.iter().filter(|(set, _)| *set).map(|&(_, letter)| letter).collect();
    if text.is_empty() { "N".to_owned() } else { text }
}

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Connection,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "CLIENT",
            &[
                ("GETNAME", "Return the name of the current connection."),
                ("GETREDIR", "Return the client ID that tracking messages are redirected to."),
                ("ID", "Return the ID of the current connection."),
                ("INFO", "Return information about the current client connection."),
                ("KILL <ip:port>", "Kill the connection made from <ip:port>."),
                (
                    "KILL <option> <value> [<option> <value> [...]]",
                    "Kill the connections that fit all options: ADDR, LADDR, TYPE, USER, SKIPME, ID, MAXAGE.",
                ),
                (
                    "LIST [TYPE <normal|master|replica|pubsub> | ID <id> [<id> ...]]",
                    "Return information about client connections.",
                ),
                ("NO-EVICT (ON|OFF)", "Protect the current connection from eviction."),
                ("NO-TOUCH (ON|OFF)", "Do not let the current connection's commands touch the LRU/LFU stats of keys."),
                ("PAUSE <timeout> [WRITE|ALL]", "Suspend all, or just write, clients for <timeout> milliseconds."),
                ("REPLY (ON|OFF|SKIP)", "Control the replies sent to the current connection."),
                ("SETINFO <option> <value>", "Set client meta attributes: LIB-NAME, LIB-VER."),
                ("SETNAME <name>", "Assign the name <name> to the current connection."),
                ("UNBLOCK <clientid> [TIMEOUT|ERROR]", "Unblock the specified blocked client."),
                ("UNPAUSE", "Stop the current client pause, resuming traffic."),
            ],
        )
    }),
    ..HostCommand::BASE
};
