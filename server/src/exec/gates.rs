//! What stands between a request and its command, in Redis' order. Each gate goes by the command's flags and keys,
//! never by its name.

use std::fmt;

use engine::command::Flags;
use engine::error::CommandError;

use crate::server::{PauseKind, Server};
use crate::session::{Client, ClientId};

/// Longest piece of an unknown command's arguments that the error repeats, in bytes.
const UNKNOWN_ARGS_MAX: usize = 128;

const LOADING: CommandError = CommandError::Text("LOADING Redis is loading the dataset in memory");

const MISCONF: CommandError = CommandError::Text(MISCONF_TEXT);

/// The reply to what may take more memory when there is none.
pub const OOM_TEXT: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// The same as text.
pub const MISCONF_TEXT: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";

/// What becomes of a request.
#[derive(Debug)]
pub enum Gate {
    /// It runs.
    Run,
    /// It is queued for EXEC.
    Queue,
    /// It is answered with this error.
    Reject(Rejection),
    /// It waits for the pause to end.
    Postpone,
}

/// Why a request is not run. `Display` gives the reply.
#[derive(Debug)]
pub enum Rejection {
    /// Authentication is missing.
    NoAuth,
    /// The command is not for transactions.
    NotInMulti,
    /// A RESP2 subscriber may not run it; holds its full name.
    Subscribed(String),
    /// The state of the server does not allow it now. Of EXEC, it ends the transaction.
    NotNow(CommandError),
    /// Any other error.
    Error(CommandError),
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::NoAuth => f.write_str("NOAUTH Authentication required."),
            Rejection::NotInMulti => f.write_str("ERR Command not allowed inside a transaction"),
            Rejection::Subscribed(name) => write!(
                f,
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            ),
            Rejection::Error(error) | Rejection::NotNow(error) => error.fmt(f),
        }
    }
}

impl Rejection {
    /// The reply to a name that is no command.
    pub fn unknown_command(argv: &[&[u8]]) -> Self {
        let mut args = String::new();
        for arg in &argv[1..] {
            let left = UNKNOWN_ARGS_MAX.saturating_sub(args.len());
            if left == 0 {
                break;
            }
            args.push('\'');
            args.push_str(&String::from_utf8_lossy(&arg[..arg.len().min(left)]));
            args.push_str("' ");
        }
        let name = String::from_utf8_lossy(&argv[0][..argv[0].len().min(UNKNOWN_ARGS_MAX)]);
        Rejection::Error(CommandError::owned(format!("ERR unknown command '{name}', with args beginning with: {args}")))
    }

    /// The reply to a word that is no subcommand.
    pub fn unknown_subcommand(argv: &[&[u8]]) -> Self {
        let sub = String::from_utf8_lossy(&argv[1][..argv[1].len().min(UNKNOWN_ARGS_MAX)]);
        let container = String::from_utf8_lossy(argv[0]).to_uppercase();
        Rejection::Error(CommandError::owned(format!("ERR unknown subcommand '{sub}'. Try {container} HELP.")))
    }
}

/// A command's flags, and those of what is queued if it runs that: EXEC alone of those that run inside MULTI has to wait for a
/// script that is busy.
fn with_queued(flags: Flags, client: &Client) -> Flags {
    match &client.transaction {
        Some(transaction) if flags.contains(Flags::RUNS_IN_MULTI) && !flags.contains(Flags::ALLOW_BUSY) => {
            flags.and(transaction.flags)
        }
        _ => flags,
    }
}

impl Server {
    /// Whether writes are refused because the data could not be saved.
    #[must_use]
    #[inline]
    pub fn refuses_writes(&self) -> bool {
        !self.snapshots.last_ok && self.config.stop_writes_on_bgsave_error && !self.config.save.0.is_empty()
    }

    /// Whether memory is full and nothing may be evicted.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.config.maxmemory != 0
            && self.config.maxmemory_policy == crate::config::value::MaxmemoryPolicy::NoEviction
            && crate::sys::alloc::used_memory() as u64 > self.config.maxmemory
    }

    /// Passes a request through the gates.
    #[inline]
    pub fn gate(&mut self, id: ClientId, command: usize, argv: &[&[u8]]) -> Gate {
        let entry = self.registry.get(command);
        let flags = entry.command.flags;
        let refuses_writes = self.refuses_writes();
        let is_full = self.is_full();
        let client = self.clients.running(id);
        if !client.authenticated && !flags.contains(Flags::NO_AUTH) {
            return Gate::Reject(Rejection::NoAuth);
        }
        if client.transaction.is_some() && flags.contains(Flags::NO_MULTI) {
            return Gate::Reject(Rejection::NotInMulti);
        }
        if client.subscriptions.is_some()
            && client.protocol == resp::Protocol::Resp2
            && client.is_subscriber()
            && !flags.contains(Flags::RUNS_SUBSCRIBED)
        {
            return Gate::Reject(Rejection::Subscribed(entry.full_name.clone()));
        }
        if self.loading.is_some() && !flags.contains(Flags::LOADING) {
            return Gate::Reject(Rejection::Error(LOADING));
        }
        if let Some(busy) = self.scripting.busy()
            && !flags.contains(Flags::ALLOW_BUSY)
        {
            return Gate::Reject(Rejection::NotNow(crate::scripting::busy_error(busy.kind)));
        }
        let all_flags = with_queued(flags, client);
        if is_full && all_flags.contains(Flags::DENYOOM) {
            return Gate::Reject(Rejection::NotNow(CommandError::Text(OOM_TEXT)));
        }
        if refuses_writes && all_flags.contains(Flags::WRITE) {
            return Gate::Reject(Rejection::NotNow(MISCONF));
        }
        if (self.aof.write_error.is_some() || (flags.contains(Flags::WRITE) && self.aof.is_enabled()))
            && all_flags.contains(Flags::WRITE)
            && let Some(error) = self.aof_error()
        {
            let text = format!("MISCONF Errors writing to the AOF file: {error}");
            return Gate::Reject(Rejection::Error(CommandError::owned(text)));
        }
        if let Some(pause) = &self.pause {
            let held = match pause.kind {
                PauseKind::All => true,
                PauseKind::Write => {
                    self.flags_of_request(all_flags, argv).intersects(Flags::WRITE.and(Flags::MAY_REPLICATE))
                }
            };
            if held {
                self.clients.running(id).paused = true;
                return Gate::Postpone;
            }
        }
        if self.clients.running(id).transaction.is_some() && !flags.contains(Flags::RUNS_IN_MULTI) {
            return Gate::Queue;
        }
        Gate::Run
    }
}
