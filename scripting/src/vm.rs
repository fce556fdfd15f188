//! A Lua state in which scripts, or the functions of libraries, run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::debug::DebugEvent;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use resp::Protocol;
use resp::writer::Writer;

use crate::debugger::{self, Input, Next, Options, Session, Wish};
use crate::error::{Raised, ScriptError, message_of, place};
use crate::functions::Registration;
use crate::host::{Host, Verdict};
pub use crate::sys::Retired;
use crate::sys::{Entry, Failed, Slots};
use crate::{api, libs, sandbox};

/// Most memory that one state may take, in bytes: beyond it a script fails with "not enough memory".
pub const MEMORY_BYTES_MAX: usize = 1 << 30;

/// Instructions between two questions to the host whether a script may go on, if they do not take long.
pub(crate) const INTERVAL_INSTRUCTIONS: u32 = 100_000;

/// Most processor time that code of the one who debugs may take, in seconds.
const EVALUATION_SECONDS_MAX: f64 = 5.0;

/// Scripts after which the collector is pushed on: left to itself it waits until twice as much is taken.
const STEP_SCRIPTS: u32 = 50;

/// A state that has grown by less than this part, and by less than these bytes, since the collector's last round is left alone.
const STEP_FROM: usize = 16;
const STEP_FROM_BYTES: usize = 32 * 1024;

/// How often it is pushed then.
const STEPS: u32 = 100;

/// Which scripts a state is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// EVAL and friends: `KEYS` and `ARGV` are globals.
    Scripts,
    /// Libraries of functions, which get their keys and arguments as parameters.
    Functions,
}

/// What the functions of a state share with it.
pub(crate) struct Shared<H> {
    /// The host, and what `sys` keeps.
    pub(crate) slots: Slots<H>,
    /// The protocol that the script chose.
    pub(crate) protocol: Cell<Protocol>,
    /// The script was stopped: nothing of it runs any more.
    stopped: Cell<Option<&'static str>>,
    /// What became of the script that failed last.
    failure: RefCell<Option<Failure>>,
    /// The script that runs is debugged.
    pub(crate) debugger: RefCell<Option<Session>>,
    /// The library that is being loaded.
    pub(crate) loading: RefCell<Option<Registration>>,
    pub(crate) random: Cell<u64>,
    pub(crate) seeded: Cell<bool>,
}

struct Failure {
    text: Vec<u8>,
    from_command: bool,
    place: Option<crate::error::Place>,
}

impl<H: Host> Shared<H> {
    /// Runs `f` on the host of the script that runs.
    pub(crate) fn with_host<R>(&self, f: impl FnOnce(&mut H) -> R) -> mlua::Result<R> {
        self.slots.with_host(f).ok_or_else(|| crate::error::raise_plain("no script is running"))
    }

    /// Asks the host whether the script may go on.
    pub(crate) fn interval(&self) -> mlua::Result<()> {
        if self.debugger.borrow().is_some() {
            return self.interval_of_debugged();
        }
        if self.stopped.get().is_none()
            && self.slots.has_host()
            && let Verdict::Stop(reason) = self.with_host(Host::interval)?
        {
            self.stopped.set(Some(reason));
        }
        match self.stopped.get() {
            Some(reason) => Err(Raised::Stop(reason).into_error()),
            None => Ok(()),
        }
    }
}

impl<H: Host> Shared<H> {
    /// A script that is debugged takes its time; code that the one who debugs runs does not.
    fn interval_of_debugged(&self) -> mlua::Result<()> {
        let now = self.with_host(Host::clock)?;
        let late = match &*self.debugger.borrow() {
            Some(session) => session.evaluating && now - session.since >= EVALUATION_SECONDS_MAX,
            None => false,
        };
        if late { Err(crate::error::raise_plain("this takes too long")) } else { Ok(()) }
    }
}

/// A compiled script, or a function of a library, by its place in the state that compiled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(i64);

/// A Lua state.
pub struct Vm<H: Host> {
    lua: Lua,
    /// Goes after the state, whose functions have its address.
    shared: Rc<Shared<H>>,
    entry: Entry,
    /// Runs the top level of a library.
    run: Function,
    /// Forgets what a script left half-done.
    reset: Function,
    engine: Engine,
    /// The globals behind the table that scripts see.
    globals: Table,
    /// The metatable of that table: leads to the globals, or to the few of them that loading a library sees.
    metatable: Table,
    load_globals: Option<Table>,
    /// Compiled scripts.
    scripts: Table,
    free: Vec<i64>,
    last: i64,
    /// Bytes that were left after the collector's last round.
    settled_bytes: Cell<usize>,
    /// Scripts run or compiled since the collector was last pushed on.
    since_step: Cell<u32>,
}

impl<H: Host> Vm<H> {
    /// A fresh state.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(engine: Engine) -> Result<Self, ScriptError> {
        Self::with_options(engine, false)
    }

    /// [`new`](Self::new), with `getfenv`, `setfenv` and `newproxy` if `deprecated` is set.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn with_options(engine: Engine, deprecated: bool) -> Result<Self, ScriptError> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let shared = Rc::new(Shared {
            slots: Slots::default(),
            protocol: Cell::default(),
            stopped: Cell::default(),
            failure: RefCell::default(),
            debugger: RefCell::default(),
            loading: RefCell::default(),
            random: Cell::new(0x1234_ABCD_330E),
            seeded: Cell::new(false),
        });
        lua.set_memory_limit(MEMORY_BYTES_MAX)?;
        lua.set_app_data(libs::Interval({
            let shared = Rc::downgrade(&shared);
            Box::new(move || shared.upgrade().map_or(Ok(()), |shared| shared.interval()))
        }));
        let weak = Rc::downgrade(&shared);
        let on_error = lua.create_function(move |lua, error: Value| {
            let Some(shared) = weak.upgrade() else { return Ok(()) };
            let failure = failure_of(&error, || place(lua, 1));
            shared.failure.replace(Some(failure));
            Ok(())
        })?;
        let sandbox = sandbox::build(&lua, &on_error, deprecated)?;
        libs::add(&lua, &sandbox, &shared)?;
        let load_globals = api::add(&lua, &sandbox, &shared, engine)?;
        set_hook(&lua, &shared, false)?;
        let scripts = lua.create_table()?;
        let entry = Entry::new(&lua, &shared, &sandbox.globals, &scripts, &on_error)?;
        // Twice: what the first round finalizes, the second one frees.
        lua.gc_collect()?;
        lua.gc_collect()?;
        Ok(Vm {
            settled_bytes: Cell::new(lua.used_memory()),
            entry,
            run: sandbox.run,
            reset: sandbox.reset,
            globals: sandbox.globals,
            metatable: sandbox.metatable,
            load_globals,
            engine,
            shared,
            scripts,
            lua,
            free: Vec::new(),
            last: 0,
            since_step: Cell::new(0),
        })
    }

    /// Bytes that the state has allocated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// Whether a script runs.
    pub(crate) fn has_host(&self) -> bool {
        self.shared.slots.has_host()
    }

    /// Seeds `math.random`.
    pub fn seed(&mut self, seed: u64) {
        self.shared.random.set(seed);
    }

    /// Compiles a script. Free it with [`Vm::forget`].
    ///
    /// # Errors
    /// The reply, when the code does not compile.
    pub fn compile(&mut self, code: &[u8]) -> Result<Script, ScriptError> {
        let function = sandbox::compile(&self.lua, code, "@user_script").map_err(|error| {
            ScriptError::new(format!("ERR Error compiling script (new function): {}", message_of(&error)))
        })?;
        self.keep(function)
    }

    /// Pushes the collector on from time to time.
    fn collect_some(&self) {
        let since = self.since_step.get() + 1;
        if since < STEP_SCRIPTS {
            self.since_step.set(since);
            return;
        }
        self.since_step.set(0);
        let settled = self.settled_bytes.get();
        if self.lua.used_memory() <= settled + (settled / STEP_FROM).max(STEP_FROM_BYTES) {
            return;
        }
        for _ in 0..STEPS {
            // What fails here will be tried again.
            if self.lua.gc_step().unwrap_or(true) {
                self.settled_bytes.set(self.lua.used_memory());
                break;
            }
        }
    }

    fn keep(&mut self, function: Function) -> Result<Script, ScriptError> {
        self.collect_some();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.scripts.raw_set(slot, function)?;
        Ok(Script(slot))
    }

    /// Frees a script.
    pub fn forget(&mut self, script: Script) {
        // Nothing is allocated for an assignment of nil to a place that exists.
        if self.scripts.raw_set(script.0, Value::Nil).is_ok() {
            self.free.push(script.0);
        }
    }

    /// Runs the top level of a library; returns the functions that it registered. Nothing is kept when it fails.
    ///
    /// # Errors
    /// The reply.
    pub fn load_library(&mut self, code: &[u8], host: &mut H) -> Result<Vec<RegisteredFunction>, ScriptError> {
        debug_assert!(self.engine == Engine::Functions, "only this state has what a library sees while it loads");
        let function = sandbox::compile(&self.lua, code, "@user_function")
            .map_err(|error| ScriptError::new(format!("ERR Error compiling function: {}", message_of(&error))))?;
        self.shared.loading.replace(Some(Registration::default()));
        let result = self
            .metatable
            .raw_set("__index", self.load_globals.clone())
            .map_err(ScriptError::from)
            .and_then(|()| self.call(&function, host));
        let back = self.metatable.raw_set("__index", &self.globals);
        let registered = self.shared.loading.take().unwrap_or_default();
        back?;
        if let Err(error) = result {
            let stopped = error.text == LOAD_TIMEOUT.as_bytes();
            let text =
                if stopped { error.text } else { [b"ERR Error registering functions: ", &error.text[..]].concat() };
            return Err(ScriptError { text, from_command: error.from_command });
        }
        if registered.functions.is_empty() {
            return Err(ScriptError::new("ERR No functions registered"));
        }
        registered
            .functions
            .into_iter()
            .map(|function| {
                let script = self.keep(function.callback)?;
                Ok(RegisteredFunction {
                    name: function.name,
                    description: function.description,
                    flags: function.flags,
                    script,
                })
            })
            .collect()
    }

    /// Runs a script of [`Engine::Scripts`] and writes its reply. `name` is what errors call it: its SHA1 sum.
    /// Returns whether the reply is an error that the script returned.
    ///
    /// # Errors
    /// The reply; nothing is written.
    pub fn run_script(
        &self,
        script: &Script,
        name: &str,
        keys: &[&[u8]],
        args: &[&[u8]],
        host: &mut H,
        out: &mut Writer<'_>,
    ) -> Result<bool, ScriptError> {
        self.run(script, name, keys, args, true, host, out)
    }

    /// Runs a script as [`Vm::run_script`] does, while somebody debugs it: its host is told where it stops and asked how to
    /// go on. `code` is what was compiled.
    ///
    /// # Errors
    /// The reply; nothing is written.
    #[expect(clippy::too_many_arguments, reason = "what a run needs")]
    pub fn debug_script(
        &self,
        script: &Script,
        code: &[u8],
        options: Options,
        name: &str,
        keys: &[&[u8]],
        args: &[&[u8]],
        host: &mut H,
        out: &mut Writer<'_>,
    ) -> Result<bool, ScriptError> {
        let mut session = Session::new(code, options);
        session.since = host.clock();
        self.shared.debugger.replace(Some(session));
        let result = set_hook(&self.lua, &self.shared, true)
            .map_err(ScriptError::from)
            .and_then(|()| self.run(script, name, keys, args, true, host, out));
        let hook = set_hook(&self.lua, &self.shared, false);
        if let Some(mut session) = self.shared.debugger.take() {
            session.say(END_OF_SESSION);
            host.debugger_says(&session.take_log());
        }
        hook?;
        result
    }

    /// Runs a function of a library and writes its reply; see [`Vm::run_script`].
    ///
    /// # Errors
    /// The reply; nothing is written.
    pub fn run_function(
        &self,
        function: &Script,
        name: &str,
        keys: &[&[u8]],
        args: &[&[u8]],
        host: &mut H,
        out: &mut Writer<'_>,
    ) -> Result<bool, ScriptError> {
        self.run(function, name, keys, args, false, host, out)
    }

    #[expect(clippy::too_many_arguments, reason = "what a run needs")]
    fn run(
        &self,
        script: &Script,
        name: &str,
        keys: &[&[u8]],
        args: &[&[u8]],
        globals: bool,
        host: &mut H,
        out: &mut Writer<'_>,
    ) -> Result<bool, ScriptError> {
        let random = self.begin();
        let result = self.entry.run(&self.lua, &self.shared, host, script.0, keys, args, globals, out);
        self.end(random);
        let stopped = self.shared.stopped.take();
        let failed = match (result, stopped) {
            (Ok(written), None) => {
                for text in &written.errors {
                    host.error_replied(text);
                }
                return Ok(written.failed);
            }
            (Ok(_), Some(_)) => None,
            (Err(failed), _) => Some(failed),
        };
        // What a coroutine that did not end had counted.
        self.reset.call::<()>(())?;
        let failure = self.shared.failure.take();
        let Failure { mut text, from_command, place } = match (stopped, failed, failure) {
            (Some(reason), _, failure) => {
                Failure { text: reason.into(), from_command: false, place: failure.and_then(|failure| failure.place) }
            }
            (None, Some(Failed::Message(text)), _) => {
                Failure { text: [b"ERR ", &text[..]].concat(), from_command: false, place: None }
            }
            (None, _, Some(failure)) => failure,
            (None, _, None) => Failure { text: b"ERR unknown error".to_vec(), from_command: false, place: None },
        };
        if let Some(place) = place {
            text.extend_from_slice(format!(" script: {name}, on {}:{}.", place.source, place.line).as_bytes());
        }
        Err(ScriptError { text, from_command })
    }

    /// Before each run: what the last one left is forgotten. Returns the state of `math.random`.
    fn begin(&self) -> u64 {
        let shared = &*self.shared;
        self.entry.begin();
        shared.protocol.set(Protocol::Resp2);
        shared.stopped.set(None);
        shared.failure.replace(None);
        shared.random.get()
    }

    /// After each run.
    fn end(&self, random: u64) {
        if self.shared.seeded.replace(false) {
            // What one script chose as its seed is not what the next one gets.
            self.shared.random.set(random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1));
        }
        self.collect_some();
    }

    /// Runs the top level of a library with the host at hand.
    fn call(&self, function: &Function, host: &mut H) -> Result<(), ScriptError> {
        let shared = &*self.shared;
        let random = self.begin();
        let result = shared.slots.lend(host, || self.run.call::<(bool, Value)>(function));
        self.end(random);
        if let Some(reason) = shared.stopped.take() {
            return Err(ScriptError::new(reason));
        }
        match result {
            Ok((true, _)) => Ok(()),
            Ok((false, error)) => {
                let failure = shared.failure.take().unwrap_or_else(|| failure_of(&error, || None));
                Err(ScriptError { text: failure.text, from_command: failure.from_command })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The line that ends a debugging session.
pub const END_OF_SESSION: &str = "<endsession>";

/// What a script is told whose debugger ends it, or is gone.
const ABORTED: &str = "ERR script aborted for user request";
const BAD_INPUT: &str = "ERR protocol error";

/// Asks the host now and then whether the script may go on; with `lines`, the debugger at every line.
fn set_hook<H: Host>(lua: &Lua, shared: &Rc<Shared<H>>, lines: bool) -> mlua::Result<()> {
    let weak = Rc::downgrade(shared);
    let triggers = HookTriggers { every_line: lines, ..HookTriggers::default() };
    lua.set_global_hook(triggers.every_nth_instruction(INTERVAL_INSTRUCTIONS), move |lua, debug| {
        if let Some(shared) = weak.upgrade() {
            match debug.current_line().filter(|_| debug.event() == DebugEvent::Line) {
                Some(line) => {
                    if debug.source().source.as_deref() == Some(debugger::SOURCE) {
                        shared.reach(lua, line)?;
                    }
                }
                None => shared.interval()?,
            }
        }
        Ok(VmState::Continue)
    })?;
    // A debugger comes by at every line.
    if lines { Ok(()) } else { crate::sys::look_at_the_clock(lua) }
}

impl<H: Host> Shared<H> {
    /// Runs `f` on the session of the script that is debugged.
    fn session<R>(&self, f: impl FnOnce(&mut Session) -> R) -> mlua::Result<R> {
        let mut session = self.debugger.borrow_mut();
        session.as_mut().map(f).ok_or_else(|| crate::error::raise_plain("nobody debugs this script"))
    }

    /// A script that is debugged has come to a line: if it is to stop there, the one who debugs says how to go on.
    fn reach(&self, lua: &Lua, line: usize) -> mlua::Result<()> {
        let now = self.with_host(Host::clock)?;
        if !self.session(|session| !session.evaluating && session.stops_at(line, now))? {
            return Ok(());
        }
        let stop = |reason| {
            self.stopped.set(Some(reason));
            Err(Raised::Stop(reason).into_error())
        };
        loop {
            let lines = self.session(Session::take_log)?;
            self.with_host(|host| host.debugger_says(&lines))?;
            let words = match self.with_host(Host::debugger_input)? {
                Input::Command(words) => words,
                Input::Malformed => return stop(BAD_INPUT),
                Input::Gone => return stop(ABORTED),
            };
            let wish = self.session(|session| session.command(&words))?;
            match wish {
                Wish::Done(Next::Ask) => {}
                Wish::Done(Next::Run) => break,
                Wish::Done(Next::Abort) => return stop(ABORTED),
                Wish::Locals => {
                    let locals = pairs(crate::sys::locals(lua, debugger::SOURCE, None)?);
                    self.session(|session| session.say_locals(&locals))?;
                }
                Wish::Variable(name) => self.show_variable(lua, &name)?,
                Wish::Trace => {
                    let frames = crate::sys::frames(lua, debugger::SOURCE, debugger::TRACE_DEPTH)?;
                    self.session(|session| session.say_trace(&frames))?;
                }
                Wish::Eval(code) => self.evaluate(lua, &code)?,
                Wish::Command(words) => {
                    let argv: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    let mut reply = Vec::new();
                    self.with_host(|host| host.call(&argv, self.protocol.get(), &mut reply))?;
                    self.session(|session| {
                        session.say_command(&argv);
                        session.say_reply(&reply);
                    })?;
                }
            }
        }
        let now = self.with_host(Host::clock)?;
        self.session(|session| session.since = now)
    }

    fn show_variable(&self, lua: &Lua, name: &[u8]) -> mlua::Result<()> {
        let mut found = pairs(crate::sys::locals(lua, debugger::SOURCE, Some(name))?).pop().map(|(_, value)| value);
        if found.is_none() && matches!(name, b"KEYS" | b"ARGV") {
            found = Some(lua.globals().get(lua.create_string(name)?)?);
        }
        self.session(|session| match found {
            Some(value) => session.say_value("<value> ", &value),
            None => session.say("No such variable."),
        })
    }

    /// Runs code of the one who debugs, in a coroutine of its own: hooks are off in the one that stopped.
    fn evaluate(&self, lua: &Lua, code: &[u8]) -> mlua::Result<()> {
        let now = self.with_host(Host::clock)?;
        self.session(|session| (session.evaluating, session.since) = (true, now))?;
        let result = debugger::compile(lua, code)
            .and_then(|function| lua.create_thread(function))
            .and_then(|thread| thread.resume::<Value>(()));
        self.session(|session| {
            session.evaluating = false;
            match &result {
                Ok(value) => session.say_value("<retval> ", value),
                Err(error) => session.say_error(error),
            }
        })
    }
}

/// Names and values in turn, as pairs.
fn pairs(values: MultiValue) -> Vec<(String, Value)> {
    let mut pairs = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        let name = name.as_string().map(|name| name.to_string_lossy()).unwrap_or_default();
        pairs.push((name, value));
    }
    pairs
}

/// The reply to a library whose top level runs too long.
pub const LOAD_TIMEOUT: &str = "ERR FUNCTION LOAD timeout";

/// A function as a library registered it.
#[derive(Debug)]
pub struct RegisteredFunction {
    /// Its name, as registered.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it may do.
    pub flags: crate::shebang::Flags,
    /// The function.
    pub script: Script,
}

fn failure_of(error: &Value, place: impl FnOnce() -> Option<crate::error::Place>) -> Failure {
    let prefixed = |text: &[u8]| [b"ERR ", text].concat();
    let (text, from_command) = match error {
        Value::Error(error) => match Raised::of(error) {
            Some(Raised::Table { text, from_command }) => (text.clone(), *from_command),
            Some(Raised::Message(text)) => (prefixed(text), false),
            Some(Raised::Stop(reason)) => (reason.as_bytes().to_vec(), false),
            None => (prefixed(message_of(error).as_bytes()), false),
        },
        Value::Table(table) => match table.raw_get("err") {
            Ok(Value::String(text)) => {
                let ignore = table.raw_get("ignore_error_stats_update");
                (text.as_bytes().to_vec(), matches!(ignore, Ok(Value::Boolean(true))))
            }
            _ => (b"ERR unknown error".to_vec(), false),
        },
        Value::String(text) => (prefixed(&text.as_bytes()), false),
        other => (prefixed(other.to_string().unwrap_or_default().as_bytes()), false),
    };
    Failure { text, from_command, place: place() }
}

/// The arguments of a function of ours.
pub(crate) type Arguments = MultiValue;
