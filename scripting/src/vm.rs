//! A Lua state in which scripts, or the functions of libraries, run.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use mlua::{AnyUserData, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use resp::Protocol;
use resp::writer::Writer;

use crate::convert::{self, Written};
use crate::error::{Raised, ScriptError, message_of, place};
use crate::functions::Registration;
use crate::host::{Host, Verdict};
use crate::{api, libs, sandbox};

/// Most memory that one state may take, in bytes: beyond it a script fails with "not enough memory".
pub const MEMORY_BYTES_MAX: usize = 1 << 30;

/// Instructions between two questions to the host whether a script may go on.
const INTERVAL_INSTRUCTIONS: u32 = 100_000;

/// Scripts after which the collector is pushed on: left to itself it waits until twice as much is taken.
const STEP_SCRIPTS: u32 = 50;

/// How often it is pushed then.
const STEPS: u32 = 25;

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
    host: RefCell<Option<AnyUserData>>,
    /// The protocol that the script chose.
    pub(crate) protocol: Cell<Protocol>,
    /// A buffer for replies.
    pub(crate) reply: Cell<Vec<u8>>,
    /// The script was stopped: nothing of it runs any more.
    stopped: Cell<Option<&'static str>>,
    /// What became of the script that failed last.
    failure: RefCell<Option<Failure>>,
    /// The library that is being loaded.
    pub(crate) loading: RefCell<Option<Registration>>,
    pub(crate) random: Cell<u64>,
    pub(crate) seeded: Cell<bool>,
    _host: PhantomData<fn(H)>,
}

struct Failure {
    text: Vec<u8>,
    from_command: bool,
    place: Option<crate::error::Place>,
}

impl<H: Host> Shared<H> {
    /// Runs `f` on the host of the script that runs.
    pub(crate) fn with_host<R>(&self, f: impl FnOnce(&mut H) -> R) -> mlua::Result<R> {
        let host = self.host.borrow();
        let host = host.as_ref().ok_or_else(|| crate::error::raise_plain("no script is running"))?;
        host.borrow_mut_scoped(f)
    }

    /// Asks the host whether the script may go on.
    pub(crate) fn interval(&self) -> mlua::Result<()> {
        if self.stopped.get().is_none()
            && self.host.borrow().is_some()
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

/// A compiled script, or a function of a library, by its place in the state that compiled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(i64);

/// A Lua state.
pub struct Vm<H: Host> {
    lua: Lua,
    shared: Rc<Shared<H>>,
    run: Function,
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
            host: RefCell::default(),
            protocol: Cell::default(),
            reply: Cell::default(),
            stopped: Cell::default(),
            failure: RefCell::default(),
            loading: RefCell::default(),
            random: Cell::new(0x1234_ABCD_330E),
            seeded: Cell::new(false),
            _host: PhantomData,
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
        let sandbox = sandbox::build(&lua, on_error, deprecated)?;
        libs::add(&lua, &sandbox, &shared)?;
        let load_globals = api::add(&lua, &sandbox, &shared, engine)?;
        let weak = Rc::downgrade(&shared);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(INTERVAL_INSTRUCTIONS), move |_, _| {
            weak.upgrade().map_or(Ok(()), |shared| shared.interval())?;
            Ok(VmState::Continue)
        })?;
        let scripts = lua.create_table()?;
        // Twice: what the first round finalizes, the second one frees.
        lua.gc_collect()?;
        lua.gc_collect()?;
        Ok(Vm {
            run: sandbox.run,
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
        for _ in 0..STEPS {
            // What fails here will be tried again.
            if self.lua.gc_step().unwrap_or(true) {
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
            .and_then(|()| self.call(&function, None, None, host).map_err(ScriptError::from))
            .map(|_| ());
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
        self.globals.raw_set("KEYS", self.array(keys)?)?;
        self.globals.raw_set("ARGV", self.array(args)?)?;
        let function: Function = self.scripts.raw_get(script.0)?;
        self.finish(self.call(&function, None, None, host), name, host, out)
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
        let (keys, args) = (self.array(keys)?, self.array(args)?);
        let function: Function = self.scripts.raw_get(function.0)?;
        self.finish(self.call(&function, Some(keys), Some(args), host), name, host, out)
    }

    fn array(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(words.len(), 0)?;
        for (index, word) in words.iter().enumerate() {
            table.raw_set(index + 1, self.lua.create_string(word)?)?;
        }
        Ok(table)
    }

    /// Calls a function with the host at hand; an error says where it happened.
    fn call(
        &self,
        function: &Function,
        keys: Option<Table>,
        args: Option<Table>,
        host: &mut H,
    ) -> Result<Value, ScriptFailure> {
        let shared = &*self.shared;
        shared.protocol.set(Protocol::Resp2);
        shared.stopped.set(None);
        shared.failure.replace(None);
        let random = shared.random.get();
        let result = self.lua.scope(|scope| {
            shared.host.replace(Some(scope.create_any_userdata_ref_mut(host)?));
            let result = self.run.call::<(bool, Value)>((function, keys, args));
            shared.host.replace(None);
            result
        });
        if shared.seeded.replace(false) {
            // What one script chose as its seed is not what the next one gets.
            shared.random.set(random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1));
        }
        self.collect_some();
        if let Some(reason) = shared.stopped.take() {
            let place = shared.failure.take().and_then(|failure| failure.place);
            return Err(ScriptFailure(Failure { text: reason.into(), from_command: false, place }));
        }
        match result {
            Ok((true, value)) => Ok(value),
            Ok((false, error)) => {
                Err(ScriptFailure(shared.failure.take().unwrap_or_else(|| failure_of(&error, || None))))
            }
            Err(error) => Err(ScriptFailure(Failure {
                text: format!("ERR {}", message_of(&error)).into_bytes(),
                from_command: false,
                place: None,
            })),
        }
    }

    fn finish(
        &self,
        result: Result<Value, ScriptFailure>,
        name: &str,
        host: &mut H,
        out: &mut Writer<'_>,
    ) -> Result<bool, ScriptError> {
        match result {
            Ok(value) => {
                let mut written = Written::default();
                convert::to_reply(&value, self.shared.protocol.get(), out, &mut written)?;
                for text in &written.errors {
                    host.error_replied(text);
                }
                Ok(written.failed)
            }
            Err(ScriptFailure(failure)) => {
                let Failure { mut text, from_command, place } = failure;
                if let Some(place) = place {
                    text.extend_from_slice(format!(" script: {name}, on {}:{}.", place.source, place.line).as_bytes());
                }
                Err(ScriptError { text, from_command })
            }
        }
    }
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

/// A failure, without the name of the script.
struct ScriptFailure(Failure);

impl From<ScriptFailure> for ScriptError {
    fn from(ScriptFailure(failure): ScriptFailure) -> Self {
        ScriptError { text: failure.text, from_command: failure.from_command }
    }
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
