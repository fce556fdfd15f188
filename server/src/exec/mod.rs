//! The one door: everything that runs a command goes through [`Server::execute`] with an [`Origin`].
//!
//! Two orders matter: the effects of a command are applied before the next one runs, and clients that wait for a
//! key are served after the unit (a command, or a whole transaction) that made it ready.

pub mod accounting;
pub mod block;
pub mod effects;
pub mod gates;
pub mod transaction;

use engine::args::Args;
use engine::command::{DataFn, Flags, Handler};
use engine::ctx::{BlockOn, CmdResult, Outcome};
use engine::error::CommandError;
use engine::registry;
use engine::time::UnixMs;
use resp::writer::Writer;

use crate::pool::BUFFER_BYTES;
use crate::server::Server;
use crate::session::{ClientId, ReplyMode};
use gates::{Gate, Rejection};

/// Who asks for a command to be run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's connection.
    Client,
    /// EXEC, one of its queue.
    Exec,
    /// A script's call.
    Script,
    /// A client that waited: the same command once more.
    Unblocked,
    /// A file of commands that ran long ago.
    Loading,
}

/// A handler of either kind.
#[derive(Copy, Clone, Debug)]
pub enum Run {
    /// Works on data alone.
    Data(DataFn),
    /// Needs the server.
    Host(HostFn),
}

/// A handler that needs the server.
#[derive(Copy, Clone, Debug)]
pub struct HostFn(pub fn(&mut Call<'_>, &mut Args<'_>) -> CmdResult);

impl Handler for HostFn {
    const NONE: Self = HostFn(|_, _| unreachable!("a container has no handler: the registry resolves its subcommands"));
}

impl Handler for Run {
    const NONE: Self = Run::Host(HostFn::NONE);
}

/// The registry of the server.
pub type Registry = registry::Registry<Run>;

/// The world of a handler that needs the server.
pub struct Call<'a> {
    /// Everything.
    pub server: &'a mut Server,
    /// Who asks.
    pub client: ClientId,
    /// Where the reply goes. Other messages to the same client go through [`Server::push`] and follow the reply.
    pub out: Writer<'a>,
    /// Id of the command that runs.
    pub command: usize,
    /// The time of this command.
    pub now: UnixMs,
    /// Who asks for it.
    pub origin: Origin,
}

/// Whether a client's next request may follow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It is done (or waits with its request taken).
    Next,
    /// It was not run: it stays in the query buffer until the pause ends.
    Postponed,
}

impl Server {
    /// Runs one request of a client's connection. `argv` is not empty.
    pub fn request(&mut self, id: ClientId, argv: &[&[u8]]) -> Flow {
        let client = self.clients.running(id);
        client.commands_run += 1;
        let start = client.output.len();
        let mut out = client.output.take();
        if out.capacity() == 0 {
            out = self.pool.take();
        }
        let len_before = out.len();
        self.running = Some(id);
        let offset = self.propagation.offset;
        let flow = self.request_into(id, argv, &mut out);
        self.running = None;
        if self.propagation.offset != offset {
            self.clients.running(id).write_offset = self.propagation.offset;
        }
        let client = self.clients.running(id);
        match client.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off | ReplyMode::Skip => out.truncate(len_before),
            ReplyMode::SkipNext => {}
        }
        if client.reply_mode == ReplyMode::Skip {
            client.reply_mode = ReplyMode::On;
        } else if client.reply_mode == ReplyMode::SkipNext {
            out.truncate(len_before);
            client.reply_mode = ReplyMode::Skip;
        }
        // Pushes to this client that the command caused follow its reply, and are sent even where replies are not.
        if !self.pending_push.is_empty() {
            out.append(&mut self.pending_push);
        }
        let client = self.clients.running(id);
        client.output.restore(out);
        let len = client.output.len();
        if len != start || len > 0 {
            self.flush_later(id);
        }
        if len > BUFFER_BYTES {
            self.check_output_limit(id);
        }
        if !self.blocked.ready.is_empty() {
            self.serve_ready_keys();
        }
        flow
    }

    fn request_into(&mut self, id: ClientId, argv: &[&[u8]], out: &mut Vec<u8>) -> Flow {
        let command = match self.resolve(id, argv) {
            Ok(command) => command,
            Err((known, rejection)) => {
                if let Some(command) = known {
                    self.command_stats[command].rejected += 1;
                }
                self.reject(id, None, &rejection, out);
                return Flow::Next;
            }
        };
        let gate = self.gate(id, command, argv);
        match gate {
            Gate::Run => {
                let outcome = self.execute(id, Origin::Client, command, argv, out);
                if let Some(on) = outcome {
                    self.block(id, on, argv);
                }
                Flow::Next
            }
            Gate::Queue => {
                self.queue(id, command, argv);
                let protocol = self.clients.running(id).protocol;
                Writer::new(out, protocol).simple("QUEUED");
                Flow::Next
            }
            Gate::Reject(rejection) => {
                self.reject(id, Some(command), &rejection, out);
                Flow::Next
            }
            Gate::Postpone => Flow::Postponed,
        }
    }

    /// Finds the command of a request and checks its arity. A rejection comes with the command if there is such a one.
    #[inline]
    fn resolve(&mut self, id: ClientId, argv: &[&[u8]]) -> Result<usize, (Option<usize>, Rejection)> {
        let name = argv[0];
        let last = &self.clients.running(id).last_command;
        let entry =
            if name.len() <= last.name.len() && usize::from(last.len) == name.len() && last.name[..name.len()] == *name
            {
                self.registry.get(last.id as usize)
            } else {
                let entry = self
                    .registry
                    .find(name)
                    .filter(|entry| entry.parent.is_none())
                    .ok_or_else(|| (None, Rejection::unknown_command(argv)))?;
                let last = &mut self.clients.running(id).last_command;
                if name.len() <= last.name.len() {
                    last.name[..name.len()].copy_from_slice(name);
                    last.len = name.len() as u8;
                    last.id = entry.id as u32;
                }
                entry
            };
        let entry = if entry.subcommands.is_empty() || argv.len() == 1 {
            entry
        } else {
            self.registry.find_subcommand(entry, argv[1]).ok_or_else(|| (None, Rejection::unknown_subcommand(argv)))?
        };
        if !entry.command.arity.accepts(argv.len())
            || (!entry.subcommands.is_empty() && argv.len() == 1 && is_bare_container(entry))
        {
            let error = CommandError::WrongArity(entry.full_name.clone().into());
            return Err((Some(entry.id), Rejection::Error(error)));
        }
        Ok(entry.id)
    }

    /// Writes the reply of a request that is not run, and spoils the transaction it was to be part of.
    fn reject(&mut self, id: ClientId, command: Option<usize>, rejection: &Rejection, out: &mut Vec<u8>) {
        if let (Some(command), Rejection::NotNow(error)) = (command, rejection)
            && self.clients.running(id).transaction.is_some()
            && self.registry.get(command).command.flags.contains(Flags::RUNS_IN_MULTI)
        {
            // EXEC that cannot be run ends its transaction.
            self.discard(id);
            self.command_stats[command].rejected += 1;
            let text = format!("EXECABORT Transaction discarded because of: {error}");
            return self.write_error(id, &text, out);
        }
        if let Some(transaction) = &mut self.clients.running(id).transaction {
            let is_exec =
                command.is_some_and(|command| self.registry.get(command).command.flags.contains(Flags::RUNS_IN_MULTI));
            if !is_exec {
                transaction.spoiled = true;
            }
        }
        if let Some(command) = command {
            self.command_stats[command].rejected += 1;
        }
        self.write_error(id, rejection, out);
    }

    /// Writes an error reply and counts it.
    pub fn write_error(&mut self, id: ClientId, error: &dyn std::fmt::Display, out: &mut Vec<u8>) {
        let protocol = self.clients.running(id).protocol;
        let start = out.len();
        Writer::new(out, protocol).error(error);
        self.stats.count_error(&out[start + 1..]);
    }

    /// Runs a command, whoever asks: the handler, then the accounting, then the effects.
    /// Returns what the client is to wait for, when it must.
    pub fn execute(
        &mut self,
        id: ClientId,
        origin: Origin,
        command: usize,
        argv: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Option<Box<BlockOn>> {
        let entry = self.registry.get(command);
        let (run, flags) = (entry.command.run, entry.command.flags);
        let start = self.clock.stamp();
        // A unit sees one time, however long it runs.
        if !matches!(origin, Origin::Exec | Origin::Script) {
            self.clock.advance(start);
        }
        let now = self.clock.now();
        let client = self.clients.running(id);
        let protocol = client.protocol;
        let (db, no_touch) = (client.db as usize, client.no_touch);
        // CLIENT LIST shows EXEC, not what it ran last.
        if origin == Origin::Client {
            client.last_run = Some(command as u32);
        }
        let reply_start = out.len();
        let result = match run {
            Run::Data(run) => {
                let may_block = !matches!(origin, Origin::Exec | Origin::Script | Origin::Loading);
                self.engine.dbs[db].touches = !no_touch;
                self.engine.run(run, argv, db, now, may_block, Writer::new(out, protocol))
            }
            Run::Host(HostFn(run)) => {
                self.engine.effects.begin(db);
                let mut call = Call { server: self, client: id, out: Writer::new(out, protocol), command, now, origin };
                run(&mut call, &mut Args::new(argv))
            }
        };
        // Behind the commands that it ran, which is where EXEC belongs; what waits and runs again is not shown again.
        if !self.monitors.is_empty() && origin != Origin::Unblocked {
            self.feed_monitors(id, origin, command, argv);
        }
        if self.replaying {
            if let Err(error) = result {
                self.note_replay_error(command, &error);
            }
            self.drop_effects();
            return None;
        }
        let end = self.clock.stamp();
        let (failed, block) = match result {
            Ok(Outcome::Done) => (std::mem::take(&mut self.reply_failed), None),
            Ok(Outcome::Block(on)) => (false, Some(on)),
            Err(error) => {
                out.truncate(reply_start);
                self.write_error(id, &error, out);
                (true, None)
            }
        };
        if block.is_none() {
            self.account(id, command, argv, self.clock.micros(start, end), failed);
        }
        self.apply_effects(argv, flags.contains(Flags::TOUCHES_ARBITRARY_KEYS));
        block
    }
}

/// Whether a container without a subcommand is an error: all but COMMAND, which answers alone.
pub(crate) fn is_bare_container(entry: &registry::Entry<Run>) -> bool {
    entry.command.arity != engine::command::Arity::AtLeast(1)
}
