//! A client: its connection, what it has sent and not yet run, what it has yet to receive, and its state.

pub mod clients;
pub mod output;

use std::collections::HashSet;

use engine::ctx::BlockOn;
use engine::time::UnixMs;
use resp::Protocol;
use resp::request::Decoder;

use crate::net::poll::Wait;
use crate::net::socket::Socket;
use output::Output;

/// Identity of a client, never given twice in the life of the process. Its `slot` finds it, its `id` names it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// As CLIENT ID tells it.
    pub id: u64,
    /// Index among the connected clients; reused.
    pub slot: u32,
}

/// When a connection ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Closing {
    /// Not in sight.
    #[default]
    No,
    /// As soon as everything written so far is sent; nothing more is read or written.
    AfterReply,
    /// At the end of this tick; what is not sent is lost.
    Asap,
}

/// CLIENT REPLY.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Replies are sent.
    #[default]
    On,
    /// None is sent.
    Off,
    /// This command's reply (SKIP itself) and the next one's are not sent.
    SkipNext,
    /// This command's reply is not sent.
    Skip,
}

/// A client that waits for a key.
#[derive(Debug)]
pub struct Blocked {
    /// The request, to be run again. The first word is the command's name.
    pub argv: Vec<Box<[u8]>>,
    /// What it waits for.
    pub on: BlockOn,
    /// Database of the keys.
    pub db: usize,
    /// When the wait began, for the statistics.
    pub since: UnixMs,
}

/// What a client has subscribed to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: HashSet<Box<[u8]>>,
    /// Patterns.
    pub patterns: HashSet<Box<[u8]>>,
    /// Shard channels.
    pub shard_channels: HashSet<Box<[u8]>>,
}

/// A key under WATCH.
#[derive(Debug)]
pub struct Watched {
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
    /// It had expired already when it was watched: its removal is no change.
    pub expired: bool,
    /// It was there when it was watched, and had not expired.
    pub exists: bool,
}

/// The name of the last command and its id: a client mostly repeats itself, so the table is seldom asked.
#[derive(Debug, Default)]
pub struct LastCommand {
    /// The bytes as sent, zero-filled.
    pub name: [u8; 16],
    /// How many of them count; 0: nothing remembered.
    pub len: u8,
    /// Id in the registry.
    pub id: u32,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Identity.
    pub id: ClientId,
    /// Connection.
    pub socket: Socket,
    /// What the connection is registered for.
    pub waits: Wait,
    /// Bytes received and not yet run. Without capacity while nothing is pending: the buffer goes back to the pool.
    pub query: Vec<u8>,
    /// State of the request that is arriving.
    pub decoder: Decoder,
    /// Bytes to be sent.
    pub output: Output,
    /// Whether it is in the list of clients with something to send.
    pub flush_pending: bool,
    /// Requests of it are parsed and not all run yet, one perhaps is running: nobody else may touch `query`.
    pub in_batch: bool,
    /// Whether requests are left in `query` that could not be run yet (after a wait or a pause).
    pub resume_pending: bool,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// Selected database.
    pub db: u32,
    /// Whether it may run commands. True from the start when no password is set.
    pub authenticated: bool,
    /// End of the connection.
    pub closing: Closing,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// Last command.
    pub last_command: LastCommand,
    /// MULTI: the queue.
    pub transaction: Option<Box<crate::exec::transaction::Transaction>>,
    /// WATCH.
    pub watched: Vec<Watched>,
    /// A watched key has changed.
    pub watch_broken: bool,
    /// Waits for a key.
    pub blocked: Option<Box<Blocked>>,
    /// Its wait was ended by something else than data (CLIENT LIST flag `u`).
    pub unblocked: bool,
    /// Held back by CLIENT PAUSE.
    pub paused: bool,
    /// A script of it runs: nothing is read from it meanwhile.
    pub in_script: bool,
    /// Its scripts are debugged.
    pub script_debug: Option<crate::scripting::debugging::Mode>,
    /// Subscriptions, if it ever had any.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// Receives the MONITOR feed.
    pub monitor: bool,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// CLIENT SETNAME.
    pub name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Option<Box<[u8]>>,
    /// When it connected.
    pub created: UnixMs,
    /// When it last sent something.
    pub last_interaction: UnixMs,
    /// Id of the command it ran last, for CLIENT LIST.
    pub last_run: Option<u32>,
    /// Bytes received in total.
    pub bytes_in: u64,
    /// Bytes sent in total.
    pub bytes_out: u64,
    /// Replication offset behind what it wrote last.
    pub write_offset: u64,
    /// Commands run in total.
    pub commands_run: u64,
}

impl Client {
    /// A client on a new connection.
    #[must_use]
    pub fn new(id: ClientId, socket: Socket, now: UnixMs) -> Self {
        Client {
            id,
            socket,
            waits: Wait::Read,
            query: Vec::new(),
            decoder: Decoder::default(),
            output: Output::default(),
            flush_pending: false,
            in_batch: false,
            resume_pending: false,
            protocol: Protocol::Resp2,
            db: 0,
            authenticated: false,
            closing: Closing::No,
            reply_mode: ReplyMode::On,
            last_command: LastCommand::default(),
            transaction: None,
            watched: Vec::new(),
            watch_broken: false,
            blocked: None,
            unblocked: false,
            paused: false,
            in_script: false,
            script_debug: None,
            subscriptions: None,
            monitor: false,
            no_evict: false,
            no_touch: false,
            name: None,
            lib_name: None,
            lib_version: None,
            created: now,
            last_interaction: now,
            last_run: None,
            bytes_in: 0,
            bytes_out: 0,
            write_offset: 0,
            commands_run: 0,
        }
    }

    /// Number of channels and patterns subscribed to, as the confirmation messages count them.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.as_ref().map_or(0, |all| all.channels.len() + all.patterns.len())
    }

    /// Whether it is in the subscribed mode, in which RESP2 allows few commands.
    #[must_use]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions
            .as_ref()
            .is_some_and(|all| !all.channels.is_empty() || !all.patterns.is_empty() || !all.shard_channels.is_empty())
    }

    /// Whether its next request may be run.
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.closing == Closing::No && self.blocked.is_none() && !self.paused && !self.in_script
    }
}
