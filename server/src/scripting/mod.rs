//! Scripts and functions: the interpreters, what they know, and what a script that runs may do.
//!
//! While a script runs its interpreter is taken out of the server, so no script can start within a script.

pub mod debugging;
pub mod libraries;

use engine::command::Flags;
use engine::ctx::TimeoutReply;
use engine::error::CommandError;
use resp::Protocol;
use resp::writer::Writer;
use scripting::cache::Cache;
use scripting::debugger::Input;
use scripting::error::ScriptError;
use scripting::functions::Libraries;
use scripting::host::{Host, LogLevel, Replication, Verdict};
use scripting::shebang::Flags as ScriptFlags;
use scripting::transaction::Queue;
use scripting::vm::{Engine, LOAD_TIMEOUT, Retired, Vm};

use crate::clock::Stamp;
use crate::exec::gates::{MISCONF_TEXT, OOM_TEXT};
use crate::exec::{Call, Origin};
use crate::server::Server;
use crate::session::{ClientId, LastCommand};

/// Milliseconds that the top level of a library may take.
const LOAD_MS_MAX: u64 = 500;

const NOT_FROM_SCRIPT: CommandError = CommandError::Text("ERR This Redis command is not allowed from script");

/// What a script is told that was killed.
const KILLED_SCRIPT: &str = "ERR Script killed by user with SCRIPT KILL.";
const KILLED_FUNCTION: &str = "ERR Script killed by user with FUNCTION KILL.";
const KILLED_BY_SHUTDOWN: &str = "ERR Script killed by SHUTDOWN.";

/// An interpreter, and what is remembered of it while it is out.
#[derive(Default)]
pub struct Interpreter {
    vm: Option<Vm<Server>>,
    /// Bytes it took when it was last seen.
    memory_bytes: usize,
}

impl Interpreter {
    /// Bytes it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.vm.as_ref().map_or(self.memory_bytes, Vm::memory_bytes)
    }

    /// Whether it is out: a script runs in it.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.vm.is_none()
    }
}

/// What runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL and friends.
    Script,
    /// A function.
    Function,
    /// The top level of a library.
    Library,
}

/// A script that runs.
#[derive(Debug)]
pub struct Running {
    /// What runs.
    pub kind: Kind,
    /// The client whose script it is.
    pub client: ClientId,
    /// Name for people: the function's, or the script's SHA1 sum.
    pub name: smallvec::SmallVec<[u8; 40]>,
    /// What the script said of itself.
    pub flags: ScriptFlags,
    /// It may change nothing.
    pub read_only: bool,
    /// Memory was full when it began.
    pub full: bool,
    /// When it began.
    pub since: Stamp,
    /// It has changed something: it cannot be killed any more.
    pub wrote: bool,
    /// It was killed.
    pub killed: bool,
    /// It takes longer than `busy-reply-threshold`: other clients are answered meanwhile.
    pub busy: bool,
    /// Where its effects go.
    pub replication: Replication,
}

/// Everything about scripts.
#[derive(Default)]
pub struct Scripting {
    /// For EVAL.
    pub scripts: Interpreter,
    /// For functions.
    pub functions: Interpreter,
    /// Scripts by their sum.
    pub cache: Cache,
    /// Functions.
    pub libraries: Libraries,
    /// The script that runs.
    pub running: Option<Running>,
    /// The request of the function that runs, for FUNCTION STATS.
    pub request: Queue,
    /// Names of commands that scripts called lately, each in the place that follows from it.
    recent_commands: [LastCommand; RECENT_COMMANDS],
    /// Scripts that are debugged.
    pub debugging: debugging::Debugging,
    /// What serves other clients meanwhile.
    pub inner_tick: Option<Box<crate::tick::Tick>>,
}

impl Scripting {
    /// The busy script, if there is one.
    #[must_use]
    pub fn busy(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.busy)
    }
}

/// The reply to whoever wants something while a script is busy.
#[must_use]
pub fn busy_error(kind: Kind) -> CommandError {
    CommandError::Text(match kind {
        Kind::Script => "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        Kind::Function | Kind::Library => {
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        }
    })
}

/// Names of commands that are remembered.
const RECENT_COMMANDS: usize = 16;

/// How a run is described to [`Server::within_script`].
pub struct Start<'a> {
    /// What runs.
    pub kind: Kind,
    /// Its name for people.
    pub name: &'a [u8],
    /// What it said of itself.
    pub flags: ScriptFlags,
    /// It was called by a command that changes nothing.
    pub read_only: bool,
}

impl Server {
    /// Takes an interpreter out, making it if need be.
    ///
    /// # Errors
    /// When a script runs already, or there is no memory.
    pub fn take_interpreter(&mut self, kind: Kind) -> Result<Vm<Server>, CommandError> {
        if self.scripting.running.is_some() {
            return Err(NOT_FROM_SCRIPT);
        }
        let deprecated = self.config.lua_enable_deprecated_api;
        let (interpreter, engine) = match kind {
            Kind::Script => (&mut self.scripting.scripts, Engine::Scripts),
            Kind::Function | Kind::Library => (&mut self.scripting.functions, Engine::Functions),
        };
        match interpreter.vm.take() {
            Some(vm) => Ok(vm),
            None => {
                let mut vm = Vm::with_options(engine, deprecated).map_err(|error| script_error(&error))?;
                vm.seed(self.engine.rng.next_u64());
                Ok(vm)
            }
        }
    }

    /// Takes an interpreter out for good: the next script makes a new one. None when none was made.
    ///
    /// # Errors
    /// When a script runs.
    pub fn retire_interpreter(&mut self, kind: Kind) -> Result<Option<Retired<Server>>, CommandError> {
        if self.scripting.running.is_some() {
            return Err(NOT_FROM_SCRIPT);
        }
        let interpreter = match kind {
            Kind::Script => &mut self.scripting.scripts,
            Kind::Function | Kind::Library => &mut self.scripting.functions,
        };
        Ok(std::mem::take(interpreter).vm.map(Vm::retire))
    }

    /// Gives an interpreter back.
    pub fn give_interpreter(&mut self, kind: Kind, vm: Vm<Server>) {
        let interpreter = match kind {
            Kind::Script => &mut self.scripting.scripts,
            Kind::Function | Kind::Library => &mut self.scripting.functions,
        };
        interpreter.memory_bytes = vm.memory_bytes();
        interpreter.vm = Some(vm);
    }

    /// Runs `f` as a script of `call`'s client: the commands that it runs are one unit.
    pub fn within_script<R>(
        call: &mut Call<'_>,
        start: &Start<'_>,
        f: impl FnOnce(&mut Server, &mut Writer<'_>) -> R,
    ) -> R {
        let Call { server, client: id, out, .. } = call;
        let id = *id;
        let client = server.clients.running(id);
        let (db, protocol) = (client.db, client.protocol);
        client.in_script = true;
        server.scripting.running = Some(Running {
            kind: start.kind,
            client: id,
            name: start.name.into(),
            flags: start.flags,
            read_only: start.read_only || start.flags.contains(ScriptFlags::NO_WRITES),
            full: server.is_full(),
            since: server.clock.stamp(),
            wrote: false,
            killed: false,
            busy: false,
            replication: Replication::all(),
        });
        server.begin_unit();
        let result = f(server, out);
        server.end_unit();
        let ran = server.scripting.running.take();
        if let Some(client) = server.clients.get_mut(id) {
            client.in_script = false;
            // SELECT within a script is the script's own.
            client.db = db;
            client.protocol = protocol;
        }
        if ran.is_some_and(|ran| ran.busy) {
            server.end_busy(id);
        }
        // What the script's commands caused was applied command by command.
        server.engine.effects.begin(db as usize);
        result
    }

    /// Writes the outcome of a script: its reply is there, or an error is to be written.
    ///
    /// # Errors
    /// None: an error of the script is its reply.
    pub fn script_outcome(call: &mut Call<'_>, outcome: Result<bool, ScriptError>) {
        match outcome {
            Ok(failed) => call.server.reply_failed |= failed,
            Err(error) => {
                let start = call.out.len();
                call.out.error_bytes(&error.text);
                if !error.from_command {
                    let text = call.out.buffer()[start + 1..].to_vec();
                    call.server.stats.count_error(&text);
                }
                call.server.reply_failed = true;
            }
        }
    }

    /// Finds the command of a script's call.
    fn script_command(&mut self, argv: &[&[u8]]) -> Result<usize, &'static str> {
        let name = argv[0];
        let place = match name {
            [first, .., last] => (name.len() + usize::from(*first) * 5 + usize::from(*last)) % RECENT_COMMANDS,
            _ => 0,
        };
        let recent = &self.scripting.recent_commands[place];
        if name.len() == usize::from(recent.len) && recent.name[..name.len()] == *name {
            let entry = self.registry.get(recent.id as usize);
            if entry.command.arity.accepts(argv.len()) {
                return Ok(entry.id);
            }
        }
        let entry = self.find_script_command(argv)?;
        let recent = &mut self.scripting.recent_commands[place];
        // Containers are looked at in full: their names alone say too little.
        let found = self.registry.get(entry);
        if name.len() <= recent.name.len() && found.parent.is_none() && found.subcommands.is_empty() {
            recent.name[..name.len()].copy_from_slice(name);
            recent.len = name.len() as u8;
            recent.id = entry as u32;
        }
        Ok(entry)
    }

    fn find_script_command(&self, argv: &[&[u8]]) -> Result<usize, &'static str> {
        const UNKNOWN: &str = "ERR Unknown Redis command called from script";
        const ARITY: &str = "ERR Wrong number of args calling Redis command from script";
        let entry = self.registry.find(argv[0]).filter(|entry| entry.parent.is_none()).ok_or(UNKNOWN)?;
        let entry = if entry.subcommands.is_empty() || argv.len() == 1 {
            entry
        } else {
            self.registry.find_subcommand(entry, argv[1]).ok_or(UNKNOWN)?
        };
        let bare = !entry.subcommands.is_empty() && crate::exec::is_bare_container(entry);
        if bare || !entry.command.arity.accepts(argv.len()) {
            return Err(ARITY);
        }
        Ok(entry.id)
    }

    /// Whether the running script may run this command.
    fn script_gate(&self, running: &Running, flags: Flags) -> Result<(), &'static str> {
        if flags.contains(Flags::NOSCRIPT) && !self.debug.scripts_run_all {
            return Err("ERR This Redis command is not allowed from script");
        }
        if running.read_only && flags.intersects(Flags::WRITE.and(Flags::MAY_REPLICATE)) {
            return Err("ERR Write commands are not allowed from read-only scripts.");
        }
        // Once it has written, it may finish.
        let may_grow = running.flags.contains(ScriptFlags::ALLOW_OOM) || running.wrote || !running.full;
        if flags.contains(Flags::DENYOOM) && !may_grow {
            return Err(OOM_TEXT);
        }
        if flags.contains(Flags::WRITE) && self.refuses_writes() {
            return Err(MISCONF_TEXT);
        }
        Ok(())
    }

    fn refuse_in_script(&mut self, text: &str, protocol: Protocol, out: &mut Vec<u8>) {
        let start = out.len();
        Writer::new(out, protocol).error(text);
        self.stats.count_error(&out[start + 1..]);
    }
}

/// A script's error as one of a command.
#[must_use]
pub fn script_error(error: &ScriptError) -> CommandError {
    CommandError::owned(error.to_string())
}

impl Host for Server {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
        let Some(running) = self.scripting.running.as_ref() else {
            Writer::new(out, protocol).error("ERR no script is running");
            return;
        };
        let id = running.client;
        let command = match self.script_command(argv) {
            Ok(command) => command,
            Err(text) => return self.refuse_in_script(text, protocol, out),
        };
        let flags = self.registry.get(command).command.flags;
        let running = self.scripting.running.as_ref().expect("it is running: see above");
        if let Err(text) = self.script_gate(running, flags) {
            self.command_stats[command].rejected += 1;
            return self.refuse_in_script(text, protocol, out);
        }
        self.stats.commands += 1;
        self.clients.running(id).protocol = protocol;
        let dirty = self.stats.dirty;
        let interest = self.engine.effects.interest.propagation;
        if !running_propagates(self.scripting.running.as_ref()) {
            self.engine.effects.interest.propagation = false;
        }
        let block = self.execute(id, Origin::Script, command, argv, out);
        self.engine.effects.interest.propagation = interest;
        // What would wait is answered as if its time had run out.
        if let Some(on) = block {
            let mut out = Writer::new(out, protocol);
            match on.on_timeout {
                TimeoutReply::NullArray => out.null_array(),
                _ => out.null(),
            }
        }
        if (self.stats.dirty != dirty || flags.contains(Flags::WRITE))
            && let Some(running) = &mut self.scripting.running
        {
            running.wrote = true;
        }
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        let message = String::from_utf8_lossy(message);
        match level {
            LogLevel::Debug => tracing::trace!("{message}"),
            LogLevel::Verbose => tracing::debug!("{message}"),
            LogLevel::Notice => tracing::info!("{message}"),
            LogLevel::Warning => tracing::warn!("{message}"),
        }
    }

    fn may_run(&mut self, argv: &[&[u8]]) -> Option<bool> {
        self.script_command(argv).ok().map(|_| true)
    }

    fn set_replication(&mut self, to: Replication) {
        if let Some(running) = &mut self.scripting.running {
            running.replication = to;
        }
    }

    fn interval(&mut self) -> Verdict {
        let Some(running) = &self.scripting.running else { return Verdict::Continue };
        let elapsed = self.clock.micros(running.since, self.clock.stamp()) / 1000;
        if running.kind == Kind::Library {
            return if elapsed > LOAD_MS_MAX { Verdict::Stop(LOAD_TIMEOUT) } else { Verdict::Continue };
        }
        let threshold = self.config.busy_reply_threshold;
        if threshold == 0 || elapsed < threshold {
            return Verdict::Continue;
        }
        self.serve_while_busy(elapsed);
        match &self.scripting.running {
            Some(running) if running.killed && running.kind == Kind::Script => Verdict::Stop(KILLED_SCRIPT),
            Some(running) if running.killed => Verdict::Stop(KILLED_FUNCTION),
            _ if self.stop.is_some() => Verdict::Stop(KILLED_BY_SHUTDOWN),
            _ => Verdict::Continue,
        }
    }

    fn clock(&mut self) -> f64 {
        let usage = crate::sys::usage::usage(crate::sys::usage::Who::Process);
        (usage.user + usage.system).as_secs_f64()
    }

    fn error_replied(&mut self, text: &[u8]) {
        self.stats.count_error(text);
    }

    fn debugger_says(&mut self, lines: &[Vec<u8>]) {
        if let Some(running) = &self.scripting.running {
            self.say_lines(running.client, lines);
        }
    }

    fn debugger_input(&mut self) -> Input {
        match &self.scripting.running {
            Some(running) => self.next_input(running.client),
            None => Input::Gone,
        }
    }
}

/// Whether the effects of the script go anywhere.
fn running_propagates(running: Option<&Running>) -> bool {
    running.is_none_or(|running| !running.replication.is_empty())
}

impl Server {
    /// Answers other clients while a script takes its time: those commands that are allowed then.
    fn serve_while_busy(&mut self, elapsed_ms: u64) {
        let Some(running) = &mut self.scripting.running else { return };
        let id = running.client;
        if !running.busy {
            running.busy = true;
            let what = match running.kind {
                Kind::Script => "SCRIPT KILL",
                Kind::Function | Kind::Library => "FUNCTION KILL",
            };
            tracing::warn!(
                "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using the {what} command. Script name is: {}.",
                String::from_utf8_lossy(&running.name)
            );
        }
        // The script's own state is put aside: what the others run must not disturb it, nor move its time.
        let now = self.clock.now();
        if self.loading.is_some() {
            // As between the commands of the file.
            self.serve_others();
            self.clock.restore(now);
            return;
        }
        let mut tick = self.scripting.inner_tick.take().unwrap_or_default();
        let query = self.running_query;
        let pending_push = std::mem::take(&mut self.pending_push);
        let failed = std::mem::take(&mut self.reply_failed);
        if let Err(error) = tick.turn_inside(self) {
            tracing::warn!("Serving clients while a script runs: {error}");
        }
        self.reply_failed = failed;
        self.pending_push = pending_push;
        self.running_query = query;
        self.running = Some(id);
        self.clock.restore(now);
        self.scripting.inner_tick = Some(tick);
    }

    /// The busy script of this client has ended.
    fn end_busy(&mut self, id: ClientId) {
        let stamp = self.clock.stamp();
        self.clock.advance(stamp);
        tracing::debug!("The slow script of client {} has ended", id.id);
    }
}
