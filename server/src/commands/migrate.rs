//! MIGRATE: keys go to another server, by RESTORE there and DEL here. <https://redis.io/docs/latest/commands/migrate/>
//!
//! As in Redis everybody waits until the other server has answered, no longer than the given time. Connections are kept for a
//! while: the next keys for the same server need none of their own.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Begin, Find, Flags, Group, KeyFlags, KeyRef, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::effects::EventClass;
use engine::error::CommandError;
use engine::time::UnixMs;
use persistence::dump;

use super::HostCommand;
use super::persistence::on_data;
use crate::exec::{Call, HostFn};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&MIGRATE];

/// Connections that are kept at a time.
const CACHED_MAX: usize = 64;

/// How long a connection is kept that nobody uses, in milliseconds.
const CACHED_MS: i64 = 10_000;

/// The time that counts when none is given, in milliseconds.
const TIMEOUT_MS: i64 = 1000;

/// The longest time that is waited, in milliseconds: a day.
const TIMEOUT_MAX_MS: i64 = 24 * 3600 * 1000;

/// Longest line of the other server's answer that is read, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// Where the arguments end that every MIGRATE has.
const OPTIONS_AT: usize = 6;

const MIGRATE: HostCommand = HostCommand {
    name: "migrate",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::SECRETS),
    group: Group::Generic,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    keys: &[
        KeySpec::at(3, KeyFlags::RW_ACCESS_DELETE),
        KeySpec {
            flags: KeyFlags::RW_ACCESS_DELETE.union(KeyFlags::INCOMPLETE),
            begin: Begin::Keyword { word: "KEYS", from: -2 },
            find: Find::Range { last: -1, step: 1, limit: 0 },
            notes: None,
        },
    ],
    find_keys: Some(find_keys),
    since: "2.6.0",
    history: &[
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ],
    tips: &["nondeterministic_output"],
    complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
    summary: "Moves keys to another server.",
    args: &[
        Arg::string("host"),
        Arg::integer("port"),
        Arg::one_of("key-selector", &[Arg::key("key"), Arg::word("empty-string", "")]),
        Arg::integer("destination-db"),
        Arg::integer("timeout"),
        Arg::word("copy", "COPY").optional().since("3.0.0"),
        Arg::word("replace", "REPLACE").optional().since("3.0.0"),
        Arg::one_of(
            "authentication",
            &[
                Arg::string("auth").display("password").token("AUTH").since("4.0.7"),
                Arg::block("auth2", &[Arg::string("username"), Arg::string("password")]).token("AUTH2").since("6.0.0"),
            ],
        )
        .optional(),
        Arg::key_of("keys", 1).display("key").token("KEYS").optional().many().since("3.0.6"),
    ],
    run: HostFn(migrate),
    ..HostCommand::BASE
};

/// One key, or all that follow KEYS when that one is empty.
fn find_keys(argv: &[&[u8]], found: &mut Vec<KeyRef>) -> Result<(), engine::command::InvalidArguments> {
    let flags = KeyFlags::RW_ACCESS_DELETE;
    let single = argv.get(3).is_none_or(|key| !key.is_empty());
    let list = argv.iter().skip(OPTIONS_AT).position(|word| word.eq_ignore_ascii_case(b"KEYS"));
    match list {
        Some(at) if !single => {
            found.extend((OPTIONS_AT + at + 1..argv.len()).map(|index| KeyRef { index, flags }));
        }
        _ => found.push(KeyRef { index: 3, flags }),
    }
    Ok(())
}

/// The connections that are kept, by host and port.
#[derive(Debug, Default)]
pub struct Connections(HashMap<(Vec<u8>, u16), Connection>);

/// A connection to another server.
#[derive(Debug)]
struct Connection {
    stream: BufReader<TcpStream>,
    /// The database that was selected last; `None` is unknown.
    db: Option<i64>,
    used: UnixMs,
}

impl Connections {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Closes what has not been used for a while.
    pub fn close_idle(&mut self, now: UnixMs) {
        self.0.retain(|_, connection| now.0 - connection.used.0 <= CACHED_MS);
    }

    /// Makes room for one more.
    fn make_room(&mut self) {
        if self.0.len() >= CACHED_MAX {
            let oldest = self.0.iter().min_by_key(|(_, connection)| connection.used).map(|(place, _)| place.clone());
            if let Some(place) = oldest {
                self.0.remove(&place);
            }
        }
    }
}

/// What the arguments ask for.
struct Request<'a> {
    host: &'a [u8],
    port: u16,
    db: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    /// The arguments of AUTH.
    auth: &'a [&'a [u8]],
    keys: &'a [&'a [u8]],
}

impl<'a> Request<'a> {
    fn parse(argv: &'a [&'a [u8]]) -> Result<Self, CommandError> {
        let (mut copy, mut replace, mut auth, mut keys) = (false, false, &argv[..0], &argv[3..4]);
        let mut args = Args::new(&argv[OPTIONS_AT - 1..]);
        while !args.is_done() {
            if args.keyword("COPY") {
                copy = true;
            } else if args.keyword("REPLACE") {
                replace = true;
            } else if args.keyword("AUTH") {
                auth = args.take(1)?;
            } else if args.keyword("AUTH2") {
                auth = args.take(2)?;
            } else if args.keyword("KEYS") {
                if !argv[3].is_empty() {
                    return Err(CommandError::Text(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = args.take_rest();
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let number = |word: &[u8]| resp::number::parse_i64(word).ok_or(CommandError::NotInteger);
        let (timeout, db) = (number(argv[5])?, number(argv[4])?);
        let timeout = if timeout <= 0 { TIMEOUT_MS } else { timeout.min(TIMEOUT_MAX_MS) };
        Ok(Request {
            host: argv[1],
            // A port that is none is one that nobody listens at.
            port: resp::number::parse_i64(argv[2]).and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            db,
            timeout: Duration::from_millis(timeout as u64),
            copy,
            replace,
            auth,
            keys,
        })
    }
}

/// Why the other server could not be asked: what is told, and whether another attempt may help.
struct Failure {
    text: &'static str,
    again: bool,
}

impl Failure {
    fn new(doing: &'static str, error: &io::Error) -> Self {
        let timed_out = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        Failure { text: doing, again: !timed_out }
    }
}

const CONNECTING: &str = "IOERR error or timeout connecting to the client";
const WRITING: &str = "IOERR error or timeout writing to target instance";
const READING: &str = "IOERR error or timeout reading to target instance";

/// What the other server answered.
struct Answers {
    /// Which of the keys it took, in their order.
    taken: Vec<bool>,
    /// Its first error.
    error: Option<String>,
}

fn migrate(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let request = Request::parse(args.argv())?;
    let (compress, now) = (call.server.config.rdbcompression, call.now);
    // Payloads of the keys that exist, with the time that they have left.
    let payloads = on_data(call, |ctx| {
        let mut payloads = Vec::new();
        for &key in request.keys {
            let Some(value) = ctx.db.read_any(key) else { continue };
            let payload = dump::dump(value.into(), compress).map_err(|e| CommandError::owned(format!("ERR {e}")))?;
            let left = ctx.db.deadline(key).flatten().map_or(0, |at| (at.0 - now.0).max(1));
            payloads.push((key, left, payload));
        }
        Ok::<_, CommandError>(payloads)
    })?;
    if payloads.is_empty() {
        call.out.simple("NOKEY");
        return Ok(Outcome::Done);
    }
    let place = (request.host.to_vec(), request.port);
    let mut attempt = 0;
    let answers = loop {
        attempt += 1;
        let (connection, fresh) = match call.server.migrations.0.remove(&place) {
            Some(connection) => (connection, false),
            None => (connect(&request)?, true),
        };
        match ask(connection, &request, &payloads, now) {
            Ok((connection, answers)) => {
                call.server.migrations.make_room();
                call.server.migrations.0.insert(place, connection);
                break answers;
            }
            // A connection that was kept may have been closed at the other end.
            Err(failure) if failure.again && !fresh && attempt == 1 => {}
            Err(failure) => return Err(CommandError::Text(failure.text)),
        }
    };
    if !request.copy {
        let taken: Vec<&[u8]> =
            payloads.iter().zip(&answers.taken).filter(|(_, taken)| **taken).map(|((key, ..), _)| *key).collect();
        on_data(call, |ctx| {
            for &key in &taken {
                if let Some(old) = ctx.db.delete(key) {
                    ctx.effects.free_later.push(old);
                    ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
                }
            }
            let argv: Vec<&[u8]> = std::iter::once(&b"DEL"[..]).chain(taken.iter().copied()).collect();
            if taken.is_empty() {
                ctx.effects.propagate_nothing();
            } else {
                ctx.effects.propagate_instead(&argv);
            }
        });
    }
    match answers.error {
        Some(error) => Err(CommandError::owned(format!("ERR Target instance replied with error: {error}"))),
        None => {
            call.out.ok();
            Ok(Outcome::Done)
        }
    }
}

fn connect(request: &Request<'_>) -> Result<Connection, CommandError> {
    let host = std::str::from_utf8(request.host).map_err(|_| CommandError::Text(CONNECTING))?;
    let mut addresses = (host, request.port).to_socket_addrs().map_err(|_| CommandError::Text(CONNECTING))?;
    let address = addresses.next().ok_or(CommandError::Text(CONNECTING))?;
    // Whoever does not listen is noticed when something is to be sent, as in Redis.
    let stream = TcpStream::connect_timeout(&address, request.timeout).map_err(|_| CommandError::Text(WRITING))?;
    stream.set_nodelay(true).map_err(|_| CommandError::Text(CONNECTING))?;
    Ok(Connection { stream: BufReader::new(stream), db: None, used: UnixMs(0) })
}

/// Sends everything at once, then reads one line for each command. The time counts for the whole.
fn ask(
    mut connection: Connection,
    request: &Request<'_>,
    payloads: &[(&[u8], i64, Vec<u8>)],
    now: UnixMs,
) -> Result<(Connection, Answers), Failure> {
    let end = Instant::now() + request.timeout;
    let left = || end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut out = Vec::new();
    let mut first = 0;
    if !request.auth.is_empty() {
        let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..]).chain(request.auth.iter().copied()).collect();
        command(&mut out, &words);
        first += 1;
    }
    if connection.db != Some(request.db) {
        command(&mut out, &[b"SELECT", request.db.to_string().as_bytes()]);
        first += 1;
    }
    for (key, left, payload) in payloads {
        let left = left.to_string();
        let words: [&[u8]; 5] = [b"RESTORE", key, left.as_bytes(), payload, b"REPLACE"];
        command(&mut out, if request.replace { &words } else { &words[..4] });
    }
    let written = connection.stream.get_ref().set_write_timeout(Some(left()));
    written
        .and_then(|()| connection.stream.get_mut().write_all(&out))
        .map_err(|error| Failure::new(WRITING, &error))?;
    let mut answer = || -> Result<Option<String>, Failure> {
        let fail = |error: io::Error| Failure::new(READING, &error);
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            connection.stream.get_ref().set_read_timeout(Some(left())).map_err(fail)?;
            let more = io::Read::take(&mut connection.stream, ANSWER_MAX).read_until(b'\n', &mut line).map_err(fail)?;
            if more == 0 || line.len() as u64 > ANSWER_MAX {
                return Err(fail(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let text = line.strip_prefix(b"-").map(|text| String::from_utf8_lossy(text).trim_end().to_owned());
        Ok(text)
    };
    let mut error = None;
    for _ in 0..first {
        error = error.or(answer()?);
    }
    // Without the right database nothing that was restored is where it belongs.
    let refused = error.is_some();
    let mut taken = Vec::with_capacity(payloads.len());
    for _ in payloads {
        let wrong = answer()?;
        taken.push(!refused && wrong.is_none());
        error = error.or(wrong);
    }
    connection.db = Some(request.db).filter(|_| !refused);
    connection.used = now;
    Ok((connection, Answers { taken, error }))
}

fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
