//! The server: everything the engine thread owns.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use engine::Engine;
use engine::time::UnixMs;

use crate::bio::Bio;
use crate::clock::Clock;
use crate::commandstats::CommandStat;
use crate::config::Config;
use crate::control;
use crate::exec::Registry;
use crate::exec::block::BlockedClients;
use crate::exec::transaction::Watchers;
use crate::net::listener::Listener;
use crate::net::poll::{Poll, Wait};
use crate::net::socket::Socket;
use crate::pool::Pool;
use crate::pubsub::{PubSub, Scope};
use crate::session::clients::Clients;
use crate::session::output::Flushed;
use crate::session::{Client, ClientId, Closing};
use crate::stats::Stats;

/// What CLIENT PAUSE holds back.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseKind {
    /// Commands that may write.
    Write,
    /// Everything.
    All,
}

/// CLIENT PAUSE.
#[derive(Copy, Clone, Debug)]
pub struct Pause {
    /// What is held back.
    pub kind: PauseKind,
    /// Until then.
    pub until: UnixMs,
}

/// Why the server is to stop.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A command or a signal asked for it and everything is in order.
    Clean,
}

/// Everything. One thread owns it.
pub struct Server {
    /// The data.
    pub engine: Engine,
    /// The configuration.
    pub config: Config,
    /// Every command.
    pub registry: Registry,
    /// Calls and times, by command id.
    pub command_stats: Vec<CommandStat>,
    /// The clients.
    pub clients: Clients,
    /// Time.
    pub clock: Clock,
    /// Channels.
    pub pubsub: PubSub,
    /// Waiting clients.
    pub blocked: BlockedClients,
    /// Watched keys.
    pub watchers: Watchers,
    /// The last transaction's, for the next one: its memory.
    pub spare_transaction: Option<Box<crate::exec::transaction::Transaction>>,
    /// Clients that receive the MONITOR feed.
    pub monitors: Vec<ClientId>,
    /// Counters.
    pub stats: Stats,
    /// CLIENT PAUSE, if one is in force.
    pub pause: Option<Pause>,
    /// The child process, if there is one.
    pub child: Option<crate::child::Child>,
    /// Figures on children.
    pub child_stats: crate::child::ChildStats,
    /// Saving and loading.
    pub snapshots: crate::snapshot::Snapshots,
    /// The data set that is being loaded, if one is.
    pub loading: Option<crate::snapshot::Loading>,
    /// The background thread.
    pub bio: Bio,
    /// Free buffers.
    pub pool: Pool,
    /// The client whose command runs.
    pub running: Option<ClientId>,
    /// Commands are replayed that ran long ago: they change data and nothing else.
    pub replaying: bool,
    /// The disk that files of data are written to.
    pub disk: crate::disk::ServerDisk,
    /// The append-only file.
    pub aof: crate::aof::Aof,
    /// The client whose command runs while others are served from inside of it, and messages that follow its reply.
    pub suspended: Option<(ClientId, Vec<u8>)>,
    /// Bytes pending and allocated in the query buffer of the client whose command runs.
    pub running_query: (usize, usize),
    /// What is repeated by the append-only file and the replicas.
    pub propagation: crate::propagation::Propagation,
    /// Messages to the running client that follow its reply.
    pub pending_push: Vec<u8>,
    /// The epoll set.
    pub poll: Poll,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// When the server started.
    pub started: UnixMs,
    /// Identity of this run: 40 hexadecimal digits.
    pub run_id: String,
    /// Identity of the data's history: 40 hexadecimal digits.
    pub replication_id: String,
    /// Set when the server is to end.
    pub stop: Option<Stop>,
    /// Periodic work: its own state.
    pub cron: crate::cron::Cron,
    /// DEBUG switches.
    pub debug: crate::cron::DebugSwitches,
    /// Connections to other servers, for MIGRATE.
    pub migrations: crate::commands::migrate::Connections,
    /// Slow commands.
    pub slowlog: crate::slowlog::SlowLog,
    /// Latency events.
    pub latency: crate::latency::LatencyMonitor,
    /// Scripts and functions.
    pub scripting: crate::scripting::Scripting,
    /// The handler that runs has written an error as (part of) its reply.
    pub reply_failed: bool,
    /// Events of the control thread.
    pub control: Receiver<control::Event>,
    /// Clients with something to send.
    to_flush: Vec<ClientId>,
    /// Clients with requests to be run now that they may.
    to_resume: Vec<ClientId>,
    /// Clients to be freed at the end of the tick.
    to_close: Vec<ClientId>,
}

/// What a server is made of: see [`Server::new`].
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// Every command: see [`crate::commands::registry`].
    pub registry: Registry,
    /// Listening sockets, registered with `poll` under their index.
    pub listeners: Vec<Listener>,
    /// The epoll set.
    pub poll: Poll,
    /// Events of the control thread.
    pub control: Receiver<control::Event>,
    /// The background thread.
    pub bio: Bio,
    /// Randomness for hashing, sampling and names.
    pub seed: [u64; 4],
}

impl Server {
    /// Puts a server together. The process' hash seed is set by the caller.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { config, registry, listeners, poll, control, bio, seed } = parts;
        let clock = Clock::default();
        let mut engine = Engine::new(config.engine_config(), seed[0]);
        let mut rng = engine::rng::Rng::new(seed[1] ^ seed[2].rotate_left(32));
        let mut name = || -> String { (0..40).map(|_| char::from(b"0123456789abcdef"[rng.index(16)])).collect() };
        let (run_id, replication_id) = (name(), name());
        engine.effects.begin(0);
        let mut server = Server {
            command_stats: registry.entries().iter().map(|_| CommandStat::default()).collect(),
            engine,
            registry,
            clients: Clients::default(),
            pubsub: PubSub::default(),
            blocked: BlockedClients::default(),
            watchers: Watchers::default(),
            spare_transaction: None,
            monitors: Vec::new(),
            stats: Stats::default(),
            pause: None,
            child: None,
            child_stats: crate::child::ChildStats::default(),
            snapshots: crate::snapshot::Snapshots::new(clock.now()),
            loading: None,
            bio,
            pool: Pool::default(),
            running: None,
            suspended: None,
            replaying: false,
            disk: crate::disk::ServerDisk::default(),
            aof: crate::aof::Aof::new(poll.waker()),
            running_query: (0, 0),
            propagation: crate::propagation::Propagation::default(),
            pending_push: Vec::new(),
            poll,
            listeners,
            started: clock.now(),
            run_id,
            replication_id,
            stop: None,
            cron: crate::cron::Cron::default(),
            debug: crate::cron::DebugSwitches::default(),
            migrations: crate::commands::migrate::Connections::default(),
            slowlog: crate::slowlog::SlowLog::default(),
            latency: crate::latency::LatencyMonitor::default(),
            scripting: crate::scripting::Scripting::default(),
            reply_failed: false,
            control,
            to_flush: Vec::new(),
            to_resume: Vec::new(),
            to_close: Vec::new(),
            clock,
            config,
        };
        server.refresh_interest();
        server
    }

    /// Takes a new connection in, or turns it away.
    pub fn accept(&mut self, socket: Socket) {
        let refusal = if self.clients.len() >= self.config.maxclients as usize {
            self.stats.rejected_connections += 1;
            Some("-ERR max number of clients reached\r\n".to_owned())
        } else if self.config.protected_mode && self.config.requirepass.is_empty() && !socket.is_local() {
            self.stats.rejected_connections += 1;
            Some(PROTECTED_MODE_REFUSAL.to_owned())
        } else {
            None
        };
        if let Some(text) = refusal {
            // Whether it arrives is not our concern: the connection ends here.
            let _ = socket.write(text.as_bytes());
            return;
        }
        self.stats.connections += 1;
        let id = self.clients.reserve();
        let mut client = Client::new(id, socket, self.clock.now());
        client.authenticated = self.config.requirepass.is_empty();
        client.protocol =
            if self.config.client_default_resp == 3 { resp::Protocol::Resp3 } else { resp::Protocol::Resp2 };
        if let Err(error) = self.poll.add(&client.socket, token(id), Wait::Read) {
            tracing::warn!("Error registering a client's connection: {error}");
            self.clients.insert(client);
            self.close(id);
            return;
        }
        self.clients.insert(client);
    }

    /// Marks a client as having something to send.
    #[inline]
    pub fn flush_later(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.flush_pending && !client.output.is_empty() {
            client.flush_pending = true;
            self.to_flush.push(id);
        }
    }

    /// Marks a client as having requests that can be run now.
    pub fn resume_later(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.resume_pending && !client.query.is_empty() {
            client.resume_pending = true;
            self.to_resume.push(id);
        }
    }

    /// Clients whose requests can be run now.
    pub fn take_resumable(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.to_resume)
    }

    /// Whether somebody's requests can be run now.
    #[must_use]
    pub fn has_resumable(&self) -> bool {
        !self.to_resume.is_empty()
    }

    /// Ends a connection at the end of the tick.
    pub fn close(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.closing != Closing::Asap {
            client.closing = Closing::Asap;
            self.to_close.push(id);
        }
    }

    /// Ends a connection once its output is sent.
    pub fn close_after_reply(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.closing == Closing::No {
            client.closing = Closing::AfterReply;
        }
        if client.output.is_empty() && self.running != Some(id) {
            self.close(id);
        }
    }

    /// Sends what is to be sent.
    pub fn flush_all(&mut self) {
        let mut ids = std::mem::take(&mut self.to_flush);
        for &id in &ids {
            self.flush(id);
        }
        // Nothing was added meanwhile: flushing writes to nobody else.
        ids.clear();
        self.to_flush = ids;
    }

    /// Sends what one client's connection takes now.
    pub fn flush(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.flush_pending = false;
        if client.closing == Closing::Asap {
            return;
        }
        self.stats.writes += 1;
        let wait = match client.output.flush(&client.socket) {
            Ok((left, sent)) => {
                self.stats.bytes_out += sent as u64;
                client.bytes_out += sent as u64;
                if left == Flushed::All {
                    client.output.soft_limit_since = None;
                    self.pool.give(client.output.take_empty());
                    if client.closing == Closing::AfterReply {
                        self.close(id);
                        return;
                    }
                    Wait::Read
                } else {
                    Wait::ReadWrite
                }
            }
            Err(error) => {
                tracing::debug!("Error writing to client: {error}");
                self.close(id);
                return;
            }
        };
        self.wait_for(id, wait);
    }

    /// Registers what a client's connection is to be reported for.
    pub fn wait_for(&mut self, id: ClientId, wait: Wait) {
        let Some(client) = self.clients.get_mut(id) else { return };
        // A client that may not run anything now is not read from: what it sends waits in the kernel.
        let wait = match (client.closing, client.paused, wait) {
            (Closing::AfterReply, _, _) => Wait::Write,
            (Closing::No, true, Wait::Read) => Wait::Nothing,
            (Closing::No, true, Wait::ReadWrite) => Wait::Write,
            (_, _, wait) => wait,
        };
        if client.waits != wait {
            client.waits = wait;
            if self.poll.change(&client.socket, token(id), wait).is_err() {
                self.close(id);
            }
        }
    }

    /// Cuts off a client whose output passes its limits.
    pub fn check_output_limit(&mut self, id: ClientId) {
        let now = self.clock.now();
        let Some(client) = self.clients.get_mut(id) else { return };
        let limits = &self.config.client_output_buffer_limits;
        let limit = if client.is_subscriber() { limits.pubsub } else { limits.normal };
        let used = client.output.len() as u64;
        let hard = limit.hard_bytes > 0 && used >= limit.hard_bytes;
        let soft = limit.soft_bytes > 0 && used >= limit.soft_bytes;
        let soft_too_long = if soft {
            let since = *client.output.soft_limit_since.get_or_insert(now);
            now.secs() - since.secs() > i64::from(limit.soft_seconds)
        } else {
            client.output.soft_limit_since = None;
            false
        };
        if (hard || soft_too_long) && client.closing != Closing::Asap {
            let line = crate::commands::client::describe(self, id);
            tracing::warn!("Client {line} scheduled to be closed ASAP for overcoming of output buffer limits.");
            self.stats.output_limit_disconnections += 1;
            self.close(id);
        }
    }

    /// Frees the clients that are to go.
    pub fn close_all(&mut self) {
        for id in std::mem::take(&mut self.to_close) {
            if self.clients.get(id).is_some_and(|client| client.in_batch) {
                // Its requests are under way in the turn around this one.
                self.to_close.push(id);
            } else {
                self.free_client(id);
            }
        }
    }

    /// Lets go of everything a client held, and of the client.
    fn free_client(&mut self, id: ClientId) {
        self.unblock(id);
        self.discard_if_connected(id);
        for scope in [Scope::Channel, Scope::Pattern, Scope::Shard] {
            self.unsubscribe_all(id, scope, None);
        }
        self.monitors.retain(|&monitor| monitor != id);
        let Some(mut client) = self.clients.remove(id) else { return };
        self.poll.remove(&client.socket);
        if self.child.is_some() {
            client.socket.shut_down();
        }
        self.pool.give(std::mem::take(&mut client.query));
    }

    fn discard_if_connected(&mut self, id: ClientId) {
        if self.clients.get(id).is_some() {
            self.discard(id);
        }
    }

    /// How long the event loop may wait.
    #[must_use]
    pub fn wait_time(&self) -> Duration {
        if self.has_resumable() {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        let mut until = self.cron.next;
        if let Some(deadline) = self.blocked.next_deadline() {
            until = until.min(deadline);
        }
        if let Some(pause) = &self.pause {
            until = until.min(pause.until);
        }
        // A part of a millisecond that is left would make the loop spin: wait it out.
        Duration::from_millis((until.0 - now.0 + 1).clamp(0, 1000) as u64)
    }
}

/// The epoll token of a client: its slot, beyond the listeners' indexes.
#[must_use]
pub fn token(id: ClientId) -> u64 {
    u64::from(id.slot) | CLIENT_TOKEN
}

/// Marks tokens of clients.
pub const CLIENT_TOKEN: u64 = 1 << 32;

const PROTECTED_MODE_REFUSAL: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";
