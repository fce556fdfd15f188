//! What a session knows about its server, and one command from sending to printing.
//!
//! The same code serves a single command, commands from a pipe and the prompt; [`Session::at_prompt`] tells them
//! apart where redis-cli does.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use resp::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Endpoint, Options, Output, Wanted};
use crate::connection::{Connection, Error};
use crate::docs::Doc;
use crate::help;
use crate::modes::replica;
use crate::print::{self, Style};
use crate::settings::Settings;

/// Redirections that one command may follow in cluster mode before the answer is printed as it is.
const REDIRECTIONS_MAX: usize = 16;

/// From this on the prompt tells how long a command took.
const SLOW: Duration = Duration::from_millis(500);

/// Lines that are shown at once on the smallest screen.
const PAGE_MIN: usize = 10;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The server answered with an error.
    ErrorReply,
    /// No server, or no answer.
    Failed,
}

/// Why waiting for a reply ended without one.
enum Broken {
    Error(Error),
    /// Ctrl-C while messages were flowing.
    Interrupted,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken::Error(error)
    }
}

/// The names subscribed to, per kind: RESP2 does not tell how many confirmations an UNSUBSCRIBE brings.
#[derive(Debug, Default)]
struct Subscriptions {
    channels: HashSet<Vec<u8>>,
    patterns: HashSet<Vec<u8>>,
    shard_channels: HashSet<Vec<u8>>,
}

impl Subscriptions {
    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    /// The set that a (un)subscribe command or confirmation is about, and whether names are added.
    fn of(&mut self, kind: &[u8]) -> Option<(&mut HashSet<Vec<u8>>, bool)> {
        match kind {
            b"subscribe" => Some((&mut self.channels, true)),
            b"unsubscribe" => Some((&mut self.channels, false)),
            b"psubscribe" => Some((&mut self.patterns, true)),
            b"punsubscribe" => Some((&mut self.patterns, false)),
            b"ssubscribe" => Some((&mut self.shard_channels, true)),
            b"sunsubscribe" => Some((&mut self.shard_channels, false)),
            _ => None,
        }
    }

    /// Takes in a message; false when it is no confirmation.
    fn note(&mut self, items: &[Value]) -> bool {
        let [kind, name, ..] = items else { return false };
        let Some((names, adds)) = print::text(kind).and_then(|kind| self.of(kind)) else { return false };
        match print::text(name) {
            Some(name) if adds => _ = names.insert(name.to_vec()),
            Some(name) => _ = names.remove(name),
            None => {}
        }
        true
    }
}

/// True for the first element of what a subscriber is sent.
fn is_message_kind(kind: &[u8]) -> bool {
    matches!(
        kind,
        b"message"
            | b"pmessage"
            | b"smessage"
            | b"subscribe"
            | b"unsubscribe"
            | b"psubscribe"
            | b"punsubscribe"
            | b"ssubscribe"
            | b"sunsubscribe"
    )
}

/// Commands whose reply is text for people in every format.
fn is_verbatim(words: &[Vec<u8>]) -> bool {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (word(0).as_slice(), word(1).as_slice()) {
        (b"info" | b"lolwut", _) => true,
        (b"debug", second) => second.starts_with(b"htstats") || second == b"client-eviction",
        (b"memory", b"malloc-stats" | b"doctor") => true,
        (b"cluster", b"nodes" | b"info") => true,
        (b"client", b"list" | b"info") => true,
        (b"latency", b"graph" | b"doctor") => true,
        (b"proxy", b"info") => true,
        _ => false,
    }
}

/// See the [module](self).
pub(crate) struct Session {
    pub(crate) options: Options,
    pub(crate) style: Style,
    endpoint: Endpoint,
    connection: Option<Connection>,
    credentials: Option<(Option<Vec<u8>>, Vec<u8>)>,
    db: i64,
    /// The database to return to when a transaction is given up.
    db_before_multi: i64,
    in_multi: bool,
    protocol: Wanted,
    /// The connection speaks RESP3.
    resp3: bool,
    subscriptions: Subscriptions,
    show_pushes: bool,
    at_prompt: bool,
    /// Says nothing of a server that is not there: it is not needed.
    pub(crate) quiet: bool,
    /// The connection belongs to a script that is debugged: nothing else is asked.
    pub(crate) is_debugging: bool,
    /// Ctrl-C, once the session handles it itself.
    interrupts: Option<Signal>,
    /// What the user prefers.
    settings: Settings,
    /// What COMMAND DOCS told, once asked.
    pub(crate) docs: Option<Rc<Vec<Doc>>>,
}

impl Session {
    /// `tty`: standard output is a terminal, or pretends to be.
    pub(crate) fn new(options: Options, tty: bool) -> Session {
        let output = options.output.unwrap_or(if tty { Output::Standard } else { Output::Raw });
        Session {
            style: Style {
                output,
                element_delimiter: options.element_delimiter.clone(),
                reply_delimiter: options.reply_delimiter.clone(),
                color: tty && !options.plain && wants_color(),
            },
            endpoint: options.endpoint.clone(),
            connection: None,
            credentials: options.password.clone().map(|password| (options.user.clone(), password)),
            db: options.db,
            db_before_multi: options.db,
            in_multi: false,
            protocol: options.protocol,
            resp3: false,
            subscriptions: Subscriptions::default(),
            show_pushes: options.show_pushes.unwrap_or(tty),
            at_prompt: false,
            quiet: false,
            is_debugging: false,
            interrupts: None,
            settings: Settings::default(),
            docs: None,
            options,
        }
    }

    /// From now on commands come from a prompt or a pipe: errors do not end the session.
    pub(crate) fn enter_prompt(&mut self, terminal: bool) {
        self.at_prompt = true;
        if terminal {
            // Without the handler Ctrl-C ends the process, which is all that is lost.
            self.interrupts = signal(SignalKind::interrupt()).ok();
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the session may do more than redis-cli does: at a terminal, unless told otherwise.
    pub(crate) fn assists(&self) -> bool {
        self.interrupts.is_some() && !self.options.plain
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.connection.is_some() && !self.subscriptions.is_empty()
    }

    /// `127.0.0.1:6379[3](TX)> `
    pub(crate) fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".to_owned();
        }
        let mut prompt = match &self.endpoint.socket {
            Some(_) => format!("redis {}", self.endpoint.name()),
            None => self.endpoint.name(),
        };
        if self.db != 0 {
            prompt.push_str(&format!("[{}]", self.db));
        }
        if self.in_multi {
            prompt.push_str("(TX)");
        }
        if !self.subscriptions.is_empty() {
            prompt.push_str("(subscribed mode)");
        }
        prompt.push_str("> ");
        prompt
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes in a `:set` line.
    pub(crate) fn set(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        self.settings.apply(words)?;
        self.style.color &= self.settings.color;
        if self.settings.color {
            self.style.color = self.assists() && wants_color();
        }
        Ok(())
    }

    /// Whether these words are to be asked about before they run.
    pub(crate) fn must_confirm(&self, words: &[Vec<u8>]) -> bool {
        self.assists() && self.settings.must_confirm(&self.endpoint.host, self.endpoint.port, words)
    }

    /// The server, as prompts name it.
    pub(crate) fn server_name(&self) -> String {
        self.endpoint.name()
    }

    /// Whether the reply to these words is text for people.
    pub(crate) fn is_text(&self, words: &[Vec<u8>]) -> bool {
        is_verbatim(words)
    }

    pub(crate) fn is_in_multi(&self) -> bool {
        self.in_multi
    }

    /// Waits; false when Ctrl-C ended it.
    pub(crate) async fn pause(&mut self, time: Duration) -> bool {
        match &mut self.interrupts {
            None => tokio::time::sleep(time).await,
            Some(interrupts) => tokio::select! {
                biased;
                _ = interrupts.recv() => return false,
                () = tokio::time::sleep(time) => {}
            },
        }
        true
    }

    /// Points the session at a server that a URI names, with its credentials and database, and connects.
    pub(crate) async fn connect_to_uri(&mut self, uri: &[u8]) -> Result<bool, String> {
        let mut options = Options { db: 0, ..self.options.clone() };
        (options.endpoint, options.user, options.password) = (Options::default().endpoint, None, None);
        options.reach.tls.on = false;
        match crate::args::uri(uri, &mut options) {
            Ok(()) => {}
            Err(crate::args::Stop::Error(text)) => return Err(text),
            Err(_) => return Err("Invalid URI".to_owned()),
        }
        self.credentials = options.password.clone().map(|password| (options.user.clone(), password));
        self.db = options.db;
        self.endpoint = options.endpoint.clone();
        self.options = options;
        self.docs = None;
        self.disconnect();
        Ok(self.connect().await)
    }

    /// Points the session at another server and connects.
    pub(crate) async fn connect_to(&mut self, host: String, port: u16) -> bool {
        self.endpoint = Endpoint { host, port, socket: None };
        self.docs = None;
        self.disconnect();
        self.connect().await
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
        self.in_multi = false;
        self.resp3 = false;
        self.subscriptions = Subscriptions::default();
    }

    /// Connects, authenticates, selects the database and the protocol. Says what went wrong; only a missing
    /// connection is a failure.
    pub(crate) async fn connect(&mut self) -> bool {
        if self.connection.is_some() {
            return true;
        }
        let opened = Connection::open(&self.endpoint, &self.options.reach).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(_) if self.quiet => return false,
            Err(error) => {
                eprintln!("{}", error.tell(&self.endpoint.name()));
                return false;
            }
        };
        match self.greet(&mut connection).await {
            Ok(()) => {
                self.connection = Some(connection);
                true
            }
            Err(error) => {
                eprintln!("Error: {error}");
                false
            }
        }
    }

    async fn greet(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let text = |reply: &Value| match reply {
            Value::Error(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        if let Some((user, password)) = &self.credentials {
            let mut words: Vec<&[u8]> = vec![b"AUTH"];
            words.extend(user.as_deref());
            words.push(password);
            if let Some(text) = text(&connection.ask(&words).await?) {
                eprintln!("AUTH failed: {text}");
            }
        }
        if self.db != 0 {
            let db = self.db.to_string();
            if let Some(text) = text(&connection.ask(&[&b"SELECT"[..], db.as_bytes()]).await?) {
                eprintln!("SELECT {db} failed: {text}");
                self.db = 0;
            }
        }
        if matches!(self.protocol, Wanted::Resp3 | Wanted::Resp3IfPossible) {
            let refused = text(&connection.ask(&["HELLO", "3"]).await?);
            self.resp3 = refused.is_none();
            if let Some(text) = refused
                && self.protocol == Wanted::Resp3
            {
                eprintln!("HELLO 3 failed: {text}");
            }
        }
        Ok(())
    }

    /// The connection, for the modes; made when there is none.
    pub(crate) async fn connection(&mut self) -> Option<&mut Connection> {
        self.connect().await;
        self.connection.as_mut()
    }

    /// Asks something that the user did not type. `None` when there is no server, or when the connection's state
    /// would make the question part of something else.
    pub(crate) async fn ask_aside(&mut self, words: &[impl AsRef<[u8]>]) -> Option<Value> {
        if self.is_debugging || self.in_multi || !self.subscriptions.is_empty() || !self.connect().await {
            return None;
        }
        let answer = self.connection.as_mut()?.ask(words).await;
        if answer.is_err() {
            self.disconnect();
        }
        answer.ok()
    }

    /// Gives the connection away.
    pub(crate) async fn into_connection(mut self) -> Option<Connection> {
        self.connect().await;
        self.connection
    }

    /// Writes to standard output at once; a reader that has gone ends the process quietly.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            std::process::exit(1);
        }
    }

    /// Writes a reply, page by page when it is longer than the screen and a person reads it.
    fn page(&self, bytes: &[u8]) {
        let rows = || rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
        let pages = self.assists() && self.settings.pager && io::stdout().is_terminal();
        if pages && memchr::memchr_iter(b'\n', bytes).count() > rows().max(PAGE_MIN) && through_pager(bytes).is_ok() {
            return;
        }
        self.write(bytes);
    }

    /// Runs a command `repeat` times (negative: for ever), printing each reply.
    pub(crate) async fn run(&mut self, words: &[Vec<u8>], mut repeat: i64) -> Outcome {
        let mut outcome = Outcome::Done;
        while repeat != 0 {
            outcome = self.run_once(words).await;
            if outcome == Outcome::Failed || outcome == Outcome::ErrorReply && self.stops_at_errors() {
                break;
            }
            if repeat > 0 {
                repeat -= 1;
            }
            if !self.options.interval.is_zero() && repeat != 0 {
                tokio::time::sleep(self.options.interval).await;
            }
        }
        outcome
    }

    fn stops_at_errors(&self) -> bool {
        self.options.exit_on_error && !self.at_prompt
    }

    async fn run_once(&mut self, words: &[Vec<u8>]) -> Outcome {
        let name = words[0].to_ascii_lowercase();
        if matches!(name.as_slice(), b"help" | b"?") {
            let text = help::answer(self, &words[1..]).await;
            self.write(&text);
            return Outcome::Done;
        }
        if !self.connect().await {
            return Outcome::Failed;
        }
        let started = Instant::now();
        let result = match name.as_slice() {
            b"monitor" => self.monitor(words).await,
            b"sync" | b"psync" => self.replicate(words).await,
            _ if self.subscriptions.of(&name).is_some() => self.subscribe(&name, words).await,
            _ => self.plain(&name, words).await,
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            // The server obeyed.
            Err(Broken::Error(Error::Closed)) if name == b"shutdown" => {
                self.disconnect();
                Outcome::Done
            }
            Err(Broken::Error(error)) => {
                self.disconnect();
                eprintln!("Error: {error}");
                if matches!(error, Error::Protocol(_)) && !matches!(name.as_slice(), b"sync" | b"psync") {
                    // Nobody knows where the next reply starts, nor whether this is Redis at all.
                    std::process::exit(1);
                }
                Outcome::Failed
            }
            Err(Broken::Interrupted) => {
                self.disconnect();
                self.connect().await;
                Outcome::Done
            }
        };
        let elapsed = started.elapsed();
        if self.at_prompt && self.style.output == Output::Standard && elapsed >= SLOW {
            self.write(format!("({:.2}s)\n", elapsed.as_secs_f64()).as_bytes());
        }
        outcome
    }

    fn open(&mut self) -> Result<&mut Connection, Error> {
        self.connection.as_mut().ok_or(Error::Closed)
    }

    /// The next value from the server. Ctrl-C gets through: it stops a flow of messages, or waiting for a reply; redis-cli
    /// ends in the latter case, because a reply that is still owed would be taken for the next command's.
    async fn receive(&mut self, flowing: bool) -> Result<Value, Broken> {
        let connection = self.connection.as_mut().ok_or(Error::Closed)?;
        let Some(interrupts) = &mut self.interrupts else {
            return Ok(connection.receive().await?);
        };
        tokio::select! {
            value = connection.receive() => Ok(value?),
            _ = interrupts.recv() => match flowing {
                true => Err(Broken::Interrupted),
                false if self.options.plain => std::process::exit(1),
                // The connection goes, and with it the reply that is still owed.
                false => Err(Broken::Interrupted),
            },
        }
    }

    /// Sends a command and gives its reply. `None`: there is none, and no connection any more; it was said why.
    pub(crate) async fn submit(&mut self, words: &[impl AsRef<[u8]>]) -> Option<Value> {
        let sent = match self.open() {
            Ok(connection) => connection.send(words).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => self.receive_reply().await,
            Err(error) => {
                self.disconnect();
                eprintln!("Error: {error}");
                None
            }
        }
    }

    /// A reply that is still to come; `None` as for [`Session::submit`].
    pub(crate) async fn receive_reply(&mut self) -> Option<Value> {
        loop {
            match self.receive(false).await {
                Ok(value) => match self.unasked(value) {
                    Some(value) => return Some(value),
                    None => continue,
                },
                Err(Broken::Error(error)) => eprintln!("Error: {error}"),
                Err(Broken::Interrupted) => {}
            }
            self.disconnect();
            return None;
        }
    }

    fn print(&self, value: &Value, verbatim: bool) {
        self.write(&print::reply(&self.style, value, verbatim));
    }

    /// Handles what the server says unasked; gives back what is a reply.
    fn unasked(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Push(items) => {
                let confirmed = self.subscriptions.note(&items);
                if confirmed || self.is_subscribed() {
                    self.print(&Value::Push(items), false);
                } else if self.show_pushes {
                    self.write(&print::push(&self.style, &items));
                }
                None
            }
            Value::Array(items)
                if !self.resp3
                    && !self.subscriptions.is_empty()
                    && items.first().and_then(print::text).is_some_and(is_message_kind) =>
            {
                self.subscriptions.note(&items);
                self.print(&Value::Array(items), false);
                None
            }
            value => Some(value),
        }
    }

    /// A command with one reply.
    async fn plain(&mut self, name: &[u8], words: &[Vec<u8>]) -> Result<Outcome, Broken> {
        let mut redirections = 0;
        self.open()?.send(words).await?;
        loop {
            let value = self.receive(false).await?;
            let Some(value) = self.unasked(value) else { continue };
            if self.options.cluster
                && redirections < REDIRECTIONS_MAX
                && let Value::Error(text) = &value
                && let Some(redirection) = Redirection::parse(text)
            {
                redirections += 1;
                if !self.follow(&redirection).await? {
                    return Ok(Outcome::Failed);
                }
                self.open()?.send(words).await?;
                continue;
            }
            let is_error = matches!(value, Value::Error(_));
            if let Value::Error(text) = &value
                && self.stops_at_errors()
            {
                eprintln!("{}", String::from_utf8_lossy(text));
                return Ok(Outcome::ErrorReply);
            }
            self.note_state(name, words, is_error);
            self.page(&print::reply(&self.style, &value, is_verbatim(words)));
            return Ok(if is_error { Outcome::ErrorReply } else { Outcome::Done });
        }
    }

    async fn follow(&mut self, redirection: &Redirection) -> Result<bool, Broken> {
        let host = match redirection.host.as_str() {
            "" => self.endpoint.host.clone(),
            host => host.to_owned(),
        };
        if self.at_prompt {
            let note = format!("-> Redirected to slot [{}] located at {host}:{}\n", redirection.slot, redirection.port);
            self.write(note.as_bytes());
        }
        if !self.connect_to(host, redirection.port).await {
            return Ok(false);
        }
        if redirection.ask {
            self.open()?.ask(&["ASKING"]).await?;
        }
        Ok(true)
    }

    /// What a successful command changes in the session, so that the prompt and a reconnection know.
    fn note_state(&mut self, name: &[u8], words: &[Vec<u8>], is_error: bool) {
        match name {
            b"exec" | b"discard" if words.len() == 1 => {
                if self.in_multi && (is_error || name == b"discard") {
                    self.db = self.db_before_multi;
                }
                self.in_multi = false;
            }
            _ if is_error => {}
            b"select" if words.len() == 2 => self.db = crate::args::leading_integer(&words[1]),
            b"multi" => {
                self.in_multi = true;
                self.db_before_multi = self.db;
            }
            b"auth" => match words {
                [_, password] => self.credentials = Some((None, password.clone())),
                [_, user, password] => self.credentials = Some((Some(user.clone()), password.clone())),
                _ => {}
            },
            b"hello" => match words.get(1).map(Vec::as_slice) {
                Some(b"3") => (self.resp3, self.protocol) = (true, Wanted::Resp3),
                Some(b"2") => (self.resp3, self.protocol) = (false, Wanted::Resp2),
                _ => {}
            },
            b"reset" => {
                self.db = 0;
                self.in_multi = false;
                self.resp3 = false;
                self.protocol = Wanted::Resp2;
                self.subscriptions = Subscriptions::default();
            }
            _ => {}
        }
    }

    /// MONITOR: everything until the server or Ctrl-C ends it.
    async fn monitor(&mut self, words: &[Vec<u8>]) -> Result<Outcome, Broken> {
        self.open()?.send(words).await?;
        let mut first = true;
        loop {
            let value = self.receive(true).await?;
            let Some(value) = self.unasked(value) else { continue };
            self.print(&value, false);
            if first && matches!(value, Value::Error(_)) {
                return Ok(Outcome::ErrorReply);
            }
            first = false;
        }
    }

    /// SYNC or PSYNC: what the server sends its replicas, until it or Ctrl-C ends that.
    async fn replicate(&mut self, words: &[Vec<u8>]) -> Result<Outcome, Broken> {
        let connection = self.connection.take().ok_or(Error::Closed)?;
        self.write(b"Entering replica output mode...  (press Ctrl-C to quit)\n");
        let log = replica::stream(connection, &self.style, words);
        match &mut self.interrupts {
            None => Err(Broken::Error(log.await)),
            Some(interrupts) => tokio::select! {
                error = log => Err(Broken::Error(error)),
                _ = interrupts.recv() => Err(Broken::Interrupted),
            },
        }
    }

    /// (P|S)(UN)SUBSCRIBE: one confirmation per name. Outside of a prompt the messages follow until the end.
    async fn subscribe(&mut self, name: &[u8], words: &[Vec<u8>]) -> Result<Outcome, Broken> {
        self.open()?.send(words).await?;
        let mut owed = match self.subscriptions.of(name) {
            Some((names, _)) if words.len() == 1 => names.len().max(1),
            _ => words.len() - 1,
        };
        while owed > 0 {
            let value = self.receive(true).await?;
            match value {
                Value::Push(items) | Value::Array(items)
                    if items.first().and_then(print::text).is_some_and(is_message_kind) =>
                {
                    if items.first().and_then(print::text) == Some(name) {
                        owed -= 1;
                    }
                    self.subscriptions.note(&items);
                    self.print(&Value::Array(items), false);
                }
                // Anything else that was not asked for: an invalidation, for one.
                Value::Push(items) => _ = self.unasked(Value::Push(items)),
                // An error, or QUEUED inside a transaction.
                value => {
                    let is_error = matches!(value, Value::Error(_));
                    if let Value::Error(text) = &value
                        && self.stops_at_errors()
                    {
                        eprintln!("{}", String::from_utf8_lossy(text));
                    } else {
                        self.print(&value, false);
                    }
                    return Ok(if is_error { Outcome::ErrorReply } else { Outcome::Done });
                }
            }
        }
        while !self.at_prompt && self.is_subscribed() {
            let value = self.receive(true).await?;
            if let Some(value) = self.unasked(value) {
                self.print(&value, false);
            }
        }
        Ok(Outcome::Done)
    }

    /// Waits at a prompt for a message or for `input`; prints the message. `erase` clears the line that invites
    /// to type.
    pub(crate) async fn message_or(&mut self, input: impl Future<Output = ()>, erase: &[u8]) -> Waited {
        tokio::select! {
            biased;
            result = self.receive(true) => {
                self.write(erase);
                match result {
                    Ok(value) => {
                        if let Some(value) = self.unasked(value) {
                            self.print(&value, false);
                        }
                        Waited::Message
                    }
                    Err(Broken::Interrupted) => {
                        self.disconnect();
                        self.connect().await;
                        Waited::Broken
                    }
                    Err(Broken::Error(error)) => {
                        self.disconnect();
                        eprintln!("Error: {error}");
                        Waited::Broken
                    }
                }
            }
            () = input => {
                self.write(erase);
                Waited::Input
            }
        }
    }
}

/// Whether a person with colours reads standard output.
fn wants_color() -> bool {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dumb = given("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !dumb && given("NO_COLOR").is_none()
}

/// Shows text with `PAGER`, or with less, which leaves at once when the text fits and keeps colours.
fn through_pager(bytes: &[u8]) -> io::Result<()> {
    use std::process::{Command, Stdio};
    let command = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    let command = command.unwrap_or_else(|| "less -FRX".to_owned());
    let mut words = command.split_whitespace();
    let mut pager = Command::new(words.next().unwrap_or("less")).args(words).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = pager.stdin.take() {
        // Left before the end: that is the reader's right.
        let _ = input.write_all(bytes);
    }
    pager.wait().map(drop)
}

/// How waiting for messages at a prompt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Message,
    Input,
    /// No longer subscribed.
    Broken,
}

/// `MOVED 3999 127.0.0.1:6381` or `ASK …`.
#[derive(Debug, PartialEq, Eq)]
struct Redirection {
    ask: bool,
    slot: u16,
    /// Empty: the host that answered.
    host: String,
    port: u16,
}

impl Redirection {
    fn parse(error: &[u8]) -> Option<Redirection> {
        let text = std::str::from_utf8(error).ok()?;
        let mut words = text.split(' ');
        let ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirection { ask, slot, host: host.to_owned(), port: port.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections() {
        let parsed = Redirection::parse(b"MOVED 12 ::1:7000").unwrap();
        assert_eq!(parsed, Redirection { ask: false, slot: 12, host: "::1".into(), port: 7000 });
        assert!(Redirection::parse(b"ASK 1 :7000").unwrap().ask);
        for bad in [
            &b"MOVED"[..],
            b"MOVED x",
            b"MOVED 1 host",
            b"MOVED 1 host:x",
            b"MOVED 99999 h:1",
            b"ERR MOVED",
            b"MOVED \xff",
        ] {
            assert_eq!(Redirection::parse(bad), None);
        }
    }

    #[test]
    fn prompts() {
        let mut session = Session::new(Options::default(), true);
        assert_eq!(session.prompt(), "not connected> ");
        session.note_state(b"select", &[b"select".to_vec(), b"3".to_vec()], false);
        session.note_state(b"multi", &[b"multi".to_vec()], false);
        session.note_state(b"select", &[b"select".to_vec(), b"5".to_vec()], false);
        assert_eq!((session.db, session.in_multi), (5, true));
        session.note_state(b"exec", &[b"exec".to_vec()], true);
        assert_eq!((session.db, session.in_multi), (3, false));
        session.note_state(b"reset", &[b"reset".to_vec()], false);
        assert_eq!(session.db, 0);
    }

    #[test]
    fn verbatim_commands() {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        for yes in ["INFO", "info all", "client LIST", "debug htstats-key k", "cluster info", "lolwut 5"] {
            assert!(is_verbatim(&words(yes)), "{yes}");
        }
        for no in ["get", "client id", "memory", "cluster slots", "debug object k"] {
            assert!(!is_verbatim(&words(no)), "{no}");
        }
    }
}
