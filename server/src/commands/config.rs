//! CONFIG. <https://redis.io/docs/latest/commands/?name=config>

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::config::change::{self, Asker, Host};
use crate::config::parse::error_text;
use crate::config::rewrite::Rewrite;
use crate::config::value::Reason;
use crate::config::{Action, Config};
use crate::exec::{Call, HostFn};
use crate::net::listener::Listener;
use crate::server::Server;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&CONFIG];

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

const CONFIG: HostCommand = HostCommand {
    name: "config",
    arity: Arity::AtLeast(2),
    group: Group::Server,
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about the configuration.",
    subcommands: &[&GET, &HELP, &RESETSTAT, &REWRITE, &SET],
    ..HostCommand::BASE
};

const GET: HostCommand = HostCommand {
    name: "get",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    group: Group::Server,
    since: "2.0.0",
    history: &[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")],
    complexity: "O(N) when N is the number of configuration parameters provided",
    summary: "Returns the parameters that match, with their values.",
    args: &[Arg::string("parameter").many()],
    run: HostFn(get),
    ..HostCommand::BASE
};

fn get(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let found = change::get(&call.server.config, args.take_rest());
    call.out.map(found.len());
    for (name, value) in found {
        call.out.bulk(&name);
        call.out.bulk(&value);
    }
    Ok(Outcome::Done)
}

const SET: HostCommand = HostCommand {
    name: "set",
    arity: Arity::AtLeast(4),
    flags: ADMIN.and(Flags::SECRETS),
    group: Group::Server,
    since: "2.0.0",
    history: &[("7.0.0", "Added the ability to set multiple parameters in one call.")],
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) when N is the number of configuration parameters provided",
    summary: "Changes parameters, all or none.",
    args: &[Arg::block("data", &[Arg::string("parameter"), Arg::string("value")]).many()],
    run: HostFn(set),
    ..HostCommand::BASE
};

fn set(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let local = call.server.clients.running(call.client).socket.is_local();
    let asker = Asker { local, loading: call.server.loading.is_some() };
    change::set(call.server, args.take_rest(), asker).map_err(|error| CommandError::owned(error.to_string()))?;
    call.out.ok();
    Ok(Outcome::Done)
}

impl Host for Server {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn apply(&mut self, action: Action) -> Result<(), Reason> {
        match action {
            Action::Port => return self.listen_again("Unable to listen on this port. Check server logs."),
            Action::Bind => return self.listen_again("Failed to bind to specified addresses."),
            Action::Dir => return self.change_dir(),
            Action::Appendonly => return self.apply_appendonly(),
            Action::AofFiles => self.apply_aof_files(),
            Action::Log => {
                crate::log::configure(&self.config).map_err(|error| Cow::Owned(error_text(&error)))?;
            }
            Action::Maxclients => return crate::startup::allow_descriptors(&self.config),
            Action::Engine => {
                self.engine.configure(self.config.engine_config());
            }
            Action::NotifyEvents => self.refresh_interest(),
            Action::ProcessTitle => crate::title::show(&self.config, None),
            Action::Hz => self.cron.next = self.clock.now(),
            Action::LatencyMonitor => self.latency.threshold_ms = self.config.latency_monitor_threshold,
            Action::LatencyTracking => {
                if !self.config.latency_tracking {
                    self.command_stats.iter_mut().for_each(|stat| stat.latencies = None);
                }
            }
            Action::Requirepass => {
                // Whoever is in stays in; whoever comes must know it.
                if self.config.requirepass.is_empty() {
                    for id in self.clients.ids() {
                        if let Some(client) = self.clients.get_mut(id) {
                            client.authenticated = true;
                        }
                    }
                }
            }
            Action::OomScoreAdj => return crate::oom::apply(&self.config, crate::oom::Victim::Primary),
            Action::Activedefrag => {
                if self.config.activedefrag {
                    return Err(
                        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by default with the Redis source distribution"
                            .into(),
                    );
                }
            }
            // What these act on does not exist yet: the value is kept.
            Action::Tls
            | Action::Maxmemory
            | Action::ReplicationBacklog
            | Action::GoodReplicas
            | Action::AllocatorThreads
            | Action::Locale
            | Action::Watchdog
            | Action::Cluster
            | Action::CrashLog
            | Action::TrackingTable => {}
        }
        Ok(())
    }
}

impl Server {
    /// Listens where the configuration now says; the old sockets go only when the new ones are there.
    fn listen_again(&mut self, refusal: &'static str) -> Result<(), Reason> {
        let (unix, old): (Vec<_>, Vec<_>) = std::mem::take(&mut self.listeners)
            .into_iter()
            .partition(|listener| matches!(listener, Listener::Unix(..)));
        for listener in old.iter().chain(&unix) {
            self.poll.remove(listener);
        }
        // The same port may be asked for on other addresses: what stands in the way is closed first.
        drop(old);
        let bound = crate::listen_tcp(&self.config);
        self.listeners = unix;
        let result = match bound {
            Ok(bound) => {
                self.listeners.extend(bound);
                Ok(())
            }
            Err(_) => Err(refusal.into()),
        };
        for (token, listener) in self.listeners.iter().enumerate() {
            if let Err(error) = self.poll.add(listener, token as u64, crate::net::poll::Wait::Read) {
                tracing::warn!("Error registering a listening socket: {error}");
            }
        }
        result
    }

    fn change_dir(&mut self) -> Result<(), Reason> {
        let changed = std::env::set_current_dir(std::ffi::OsStr::from_bytes(self.config.dir.as_bytes()))
            .and_then(|()| std::env::current_dir());
        match changed {
            Ok(dir) => {
                self.config.dir = crate::config::value::Text(dir.as_os_str().as_bytes().to_vec());
                Ok(())
            }
            Err(error) => Err(Cow::Owned(error_text(&error))),
        }
    }
}

const RESETSTAT: HostCommand = HostCommand {
    name: "resetstat",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.0.0",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(1)",
    summary: "Sets the counters of INFO back.",
    run: HostFn(|call, _| {
        let server = &mut *call.server;
        server.stats.reset();
        server.command_stats.iter_mut().for_each(|stat| *stat = Default::default());
        server.engine.expired_keys = 0;
        server.engine.expired_fields = 0;
        server.bio.reset_freed();
        for db in &mut server.engine.dbs {
            (db.hits, db.misses) = (0, 0);
        }
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const REWRITE: HostCommand = HostCommand {
    name: "rewrite",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.0",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(1)",
    summary: "Writes the configuration in force into its file.",
    run: HostFn(|call, _| rewrite(call, false)),
    ..HostCommand::BASE
};

/// Rewrites the configuration file; with every parameter in it when `all`.
///
/// # Errors
/// There is none, or it cannot be written.
pub fn rewrite(call: &mut Call<'_>, all: bool) -> CmdResult {
    match (Rewrite { users: None, all }).write(&call.server.config) {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE executed with success.");
            call.out.ok();
            Ok(Outcome::Done)
        }
        Err(error) => {
            tracing::warn!("CONFIG REWRITE failed: {error}");
            Err(CommandError::owned(format!("ERR {error}")))
        }
    }
}

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "CONFIG",
            &[
                ("GET <pattern>", "Return parameters matching the glob-like <pattern> and their values."),
                ("SET <directive> <value>", "Set the configuration <directive> to <value>."),
                ("RESETSTAT", "Reset statistics reported by the INFO command."),
                ("REWRITE", "Rewrite the configuration file."),
            ],
        )
    }),
    ..HostCommand::BASE
};
