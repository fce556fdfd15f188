//! The globals that a script sees.
//!
//! Lua 5.1 knows no read-only tables. What must not change is therefore kept in tables that no script can reach; scripts see
//! empty tables whose metatable looks there and refuses every assignment. The functions that would go around a metatable
//! (`rawset`, `setmetatable`, `getmetatable`, `rawget`, `pairs`) are ours and know those tables.

use std::cell::{Cell, RefCell};
use std::os::raw::c_void;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::error::{Raised, bad_argument, message_of, raise, raise_plain, type_name};
use crate::vm::MEMORY_BYTES_MAX;

/// How the code below calls itself: no place in a script.
pub(crate) const INTERNAL_SOURCE: &str = "=(internal)";

/// What nobody may write to.
pub(crate) const READ_ONLY: &str = "Attempt to modify a readonly table";

/// The field of a metatable that Lua's collector calls.
const FINALIZER: &[u8] = b"__gc";

/// Bytes of text that calls of `load`, one within the other, have collected: they count against the cap of memory.
#[derive(Default)]
struct Collected(Rc<Cell<usize>>);

/// What one call of `load` has collected.
struct Pieces {
    code: Vec<u8>,
    all: Rc<Cell<usize>>,
}

impl Pieces {
    /// Adds a piece, if there is memory for it.
    fn add(&mut self, lua: &Lua, piece: &[u8]) -> mlua::Result<()> {
        let needed = self.code.len() + piece.len();
        if needed > self.code.capacity() {
            let before = self.code.capacity();
            let room = needed.max(before * 2);
            let taken = lua.used_memory().saturating_add(self.all.get());
            if taken.saturating_add(room) > MEMORY_BYTES_MAX {
                return Err(raise(lua, "not enough memory"));
            }
            self.code.reserve_exact(room - self.code.len());
            self.all.set(self.all.get() + self.code.capacity() - before);
        }
        self.code.extend_from_slice(piece);
        Ok(())
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.code.capacity());
    }
}

/// Wraps what catches errors: the end of a script is not caught, and errors of Rust code become strings and tables.
/// Nested coroutines use the machine's stack, so their depth is limited.
const PRELUDE: &str = r#"
local raw_pcall, raw_xpcall, create, resume, translate, open, is_stop, on_error, error = ...
local DEPTH_MAX = 150
local depth = 0

local function settle(ok, ...)
    if ok then return true, ... end
    return false, translate(...)
end
local function pcall(...) return settle(raw_pcall(...)) end

local function settle_x(ok, ...)
    if not ok and is_stop(...) then error((...), 0) end
    return ok, ...
end
local function xpcall(f, handler)
    return settle_x(raw_xpcall(f, function(e)
        if is_stop(e) then return e end
        return handler(open(e))
    end))
end

local function resumed(ok, ...)
    depth = depth - 1
    if ok then return true, ... end
    return false, open(...)
end
local function safe_resume(co, ...)
    if depth >= DEPTH_MAX then return false, "C stack overflow" end
    depth = depth + 1
    return resumed(resume(co, ...))
end
local function unwrap(ok, ...)
    if ok then return ... end
    error((...), 0)
end
local function wrap(f)
    local co = create(f)
    return function(...) return unwrap(safe_resume(co, ...)) end
end

local function run(f)
    depth = 0
    return raw_xpcall(f, on_error)
end
local function reset()
    depth = 0
end
return pcall, xpcall, safe_resume, wrap, run, reset
"#;

/// A table that scripts see but cannot change.
struct Front {
    address: *const c_void,
    /// What is seen through it.
    behind: Table,
    /// What `getmetatable` shows of it.
    metatable: Option<Table>,
}

/// The tables that scripts see but cannot change.
#[derive(Clone, Default)]
pub(crate) struct Locked {
    fronts: Rc<RefCell<Vec<Front>>>,
    /// What refuses assignments.
    refuse: Rc<RefCell<Option<Function>>>,
}

impl Locked {
    /// A table through which `behind` is seen. `meta` is what `getmetatable` shows.
    pub(crate) fn lock(&self, lua: &Lua, behind: &Table, meta: Option<Table>) -> mlua::Result<(Table, Table)> {
        let front = lua.create_table()?;
        let metatable = lua.create_table()?;
        metatable.raw_set("__index", behind)?;
        if self.refuse.borrow().is_none() {
            self.refuse.replace(Some(read_only(lua)?));
        }
        metatable.raw_set("__newindex", self.refuse.borrow().clone())?;
        front.set_metatable(Some(metatable.clone()))?;
        self.fronts.borrow_mut().push(Front { address: front.to_pointer(), behind: behind.clone(), metatable: meta });
        Ok((front, metatable))
    }

    pub(crate) fn behind(&self, table: &Table) -> Option<Table> {
        let address = table.to_pointer();
        self.fronts.borrow().iter().find(|front| front.address == address).map(|front| front.behind.clone())
    }

    fn shown_metatable(&self, table: &Table) -> Option<Option<Table>> {
        let address = table.to_pointer();
        self.fronts.borrow().iter().find(|front| front.address == address).map(|front| front.metatable.clone())
    }

    fn is_locked(&self, table: &Table) -> bool {
        let address = table.to_pointer();
        self.fronts.borrow().iter().any(|front| front.address == address)
    }
}

fn read_only(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, _: MultiValue| -> mlua::Result<()> { Err(raise(lua, READ_ONLY)) })
}

/// Makes every access to a name that is not there an error.
pub(crate) fn refuse_unknown(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let metatable = lua.create_table()?;
    let refuse = lua.create_function(|lua, (_, name): (Value, Value)| -> mlua::Result<()> {
        let name = match &name {
            Value::String(name) => name.to_string_lossy(),
            other => type_name(Some(other)).to_owned(),
        };
        Err(raise(lua, format!("Script attempted to access nonexistent global variable '{name}'")))
    })?;
    metatable.raw_set("__index", refuse)?;
    table.set_metatable(Some(metatable))
}

/// What the sandbox consists of.
pub(crate) struct Sandbox {
    /// The globals behind the table that scripts see.
    pub(crate) globals: Table,
    /// That table.
    pub(crate) front: Table,
    /// Its metatable.
    pub(crate) metatable: Table,
    /// `function(f)`: calls `f`, returns whether that went well, and the result.
    pub(crate) run: Function,
    /// Forgets what a script left half-done.
    pub(crate) reset: Function,
    pub(crate) locked: Locked,
}

/// Builds the globals. `on_error` is called where an error happened.
pub(crate) fn build(lua: &Lua, on_error: &Function, deprecated: bool) -> mlua::Result<Sandbox> {
    let locked = Locked::default();
    let all = lua.globals();
    let globals = lua.create_table()?;
    for name in [
        "assert", "error", "gcinfo", "ipairs", "next", "rawequal", "select", "tonumber", "tostring", "type", "_VERSION",
    ] {
        globals.raw_set(name, all.raw_get::<Value>(name)?)?;
    }
    if deprecated {
        for name in ["getfenv", "setfenv"] {
            globals.raw_set(name, all.raw_get::<Value>(name)?)?;
        }
        add_newproxy(lua, &globals, &all)?;
    }
    let coroutine: Table = all.raw_get("coroutine")?;
    let prelude = lua.load(PRELUDE).set_name(INTERNAL_SOURCE).into_function()?;
    let is_stop = lua.create_function(|_, value: Value| {
        Ok(matches!(&value, Value::Error(error) if matches!(Raised::of(error), Some(Raised::Stop(_)))))
    })?;
    let caught = lua.create_function(|lua, value: Value| translate(lua, value, false))?;
    let open = lua.create_function(|lua, value: Value| translate(lua, value, true))?;
    let (pcall, xpcall, resume, wrap, run, reset): (Function, Function, Function, Function, Function, Function) =
        prelude.call((
            all.raw_get::<Value>("pcall")?,
            all.raw_get::<Value>("xpcall")?,
            coroutine.raw_get::<Value>("create")?,
            coroutine.raw_get::<Value>("resume")?,
            caught,
            open,
            is_stop,
            on_error,
            all.raw_get::<Value>("error")?,
        ))?;
    globals.raw_set("unpack", crate::sys::unpack_function(lua)?)?;
    globals.raw_set("pcall", pcall)?;
    globals.raw_set("xpcall", xpcall)?;
    coroutine.raw_set("resume", resume)?;
    coroutine.raw_set("wrap", wrap)?;
    add_table_functions(lua, &globals, &all, &locked)?;
    add_loaders(lua, &globals)?;
    for name in ["string", "table", "math", "coroutine"] {
        let library: Table = all.raw_get(name)?;
        if name == "string" {
            crate::libs::string::replace(lua, &library)?;
        }
        if name == "table" {
            for slow in ["concat", "insert", "maxn", "remove", "sort"] {
                library.raw_set(slow, crate::sys::then_look(lua, &library.raw_get(slow)?)?)?;
            }
        }
        if name == "math" {
            library.raw_set("random", Value::Nil)?;
            library.raw_set("randomseed", Value::Nil)?;
        }
        let (front, _) = locked.lock(lua, &library, None)?;
        globals.raw_set(name, front)?;
    }
    let string: Table = globals.raw_get("string")?;
    let (front, metatable) = locked.lock(lua, &globals, None)?;
    globals.raw_set("_G", &front)?;
    refuse_unknown(lua, &globals)?;
    // What getmetatable shows of _G and of strings is there to be looked at.
    let shown = lua.create_table()?;
    shown.raw_set("__index", &front)?;
    let (shown, _) = locked.lock(lua, &shown, None)?;
    if let Some(entry) = locked.fronts.borrow_mut().iter_mut().find(|entry| entry.address == front.to_pointer()) {
        entry.metatable = Some(shown);
    }
    let shown = lua.create_table()?;
    shown.raw_set("__index", string)?;
    let (shown, _) = locked.lock(lua, &shown, None)?;
    add_getmetatable(lua, &globals, &all, &locked, shown)?;
    lua.set_globals(front.clone())?;
    Ok(Sandbox { globals, front, metatable, run, reset, locked })
}

/// An error as a script gets hold of it: in `pcall` always as a message, elsewhere a table if it is one.
fn translate(lua: &Lua, value: Value, keep_tables: bool) -> mlua::Result<Value> {
    match &value {
        Value::Error(error) => match Raised::of(error) {
            Some(stop @ Raised::Stop(_)) => Err(stop.clone().into_error()),
            Some(Raised::Table { text, from_command }) if keep_tables => {
                let table = lua.create_table()?;
                table.raw_set("err", lua.create_string(text)?)?;
                if *from_command {
                    table.raw_set("ignore_error_stats_update", true)?;
                }
                Ok(Value::Table(table))
            }
            Some(Raised::Message(text) | Raised::Table { text, .. }) => Ok(Value::String(lua.create_string(text)?)),
            None => Ok(Value::String(lua.create_string(message_of(error))?)),
        },
        Value::Table(table) if !keep_tables => match table.raw_get("err")? {
            text @ Value::String(_) => Ok(text),
            _ => Ok(value),
        },
        _ => Ok(value),
    }
}

fn table_argument<'a>(lua: &Lua, args: &'a MultiValue, index: usize, name: &str) -> mlua::Result<&'a Table> {
    match args.get(index) {
        Some(Value::Table(table)) => Ok(table),
        other => Err(bad_argument(lua, index + 1, name, &format!("table expected, got {}", type_name(other)))),
    }
}

fn add_table_functions(lua: &Lua, globals: &Table, all: &Table, locked: &Locked) -> mlua::Result<()> {
    let next: Function = all.raw_get("next")?;
    let known = locked.clone();
    let pairs = lua.create_function(move |lua, args: MultiValue| {
        let table = table_argument(lua, &args, 0, "pairs")?;
        let walked = match known.behind(table) {
            Some(behind) => {
                let copy = lua.create_table()?;
                behind.for_each::<Value, Value>(|key, value| copy.raw_set(key, value))?;
                copy
            }
            None => table.clone(),
        };
        Ok((next.clone(), walked, Value::Nil))
    })?;
    globals.raw_set("pairs", pairs)?;
    let known = locked.clone();
    let rawget = lua.create_function(move |lua, args: MultiValue| {
        let table = table_argument(lua, &args, 0, "rawget")?;
        let key = args.get(1).cloned().unwrap_or(Value::Nil);
        known.behind(table).as_ref().unwrap_or(table).raw_get::<Value>(key)
    })?;
    globals.raw_set("rawget", rawget)?;
    let known = locked.clone();
    let rawset = lua.create_function(move |lua, args: MultiValue| {
        let table = table_argument(lua, &args, 0, "rawset")?;
        if known.is_locked(table) {
            return Err(raise_plain(READ_ONLY));
        }
        let mut values = args.iter().skip(1).cloned();
        let key = values.next().unwrap_or(Value::Nil);
        match &key {
            Value::String(name) if name.as_bytes() == FINALIZER => return Ok(table.clone()),
            Value::Nil => return Err(raise(lua, "table index is nil")),
            Value::Number(number) if number.is_nan() => return Err(raise(lua, "table index is NaN")),
            _ => {}
        }
        table.raw_set(key, values.next().unwrap_or(Value::Nil))?;
        Ok(table.clone())
    })?;
    globals.raw_set("rawset", rawset)?;
    let known = locked.clone();
    let setmetatable = lua.create_function(move |lua, args: MultiValue| {
        let table = table_argument(lua, &args, 0, "setmetatable")?;
        let metatable = match args.get(1) {
            Some(Value::Table(metatable)) => Some(metatable.clone()),
            Some(Value::Nil) => None,
            _ => return Err(bad_argument(lua, 2, "setmetatable", "nil or table expected")),
        };
        if known.is_locked(table) {
            return Err(raise_plain(READ_ONLY));
        }
        if let Some(current) = table.metatable()
            && !current.raw_get::<Value>("__metatable")?.is_nil()
        {
            return Err(raise(lua, "cannot change a protected metatable"));
        }
        table.set_metatable(metatable)?;
        Ok(table.clone())
    })?;
    globals.raw_set("setmetatable", setmetatable)?;
    let collect = lua.create_function(|lua, args: MultiValue| {
        let option = match args.front() {
            None | Some(Value::Nil) => "collect".to_owned(),
            Some(Value::String(option)) => option.to_string_lossy(),
            other => {
                let what = format!("string expected, got {}", type_name(other));
                return Err(bad_argument(lua, 1, "collectgarbage", &what));
            }
        };
        match &option[..] {
            "count" => Ok(Value::Number(lua.used_memory() as f64 / 1024.0)),
            "collect" | "step" => {
                crate::libs::interval(lua)?;
                lua.gc_collect()?;
                Ok(if option == "step" { Value::Boolean(true) } else { Value::Integer(0) })
            }
            // The pace of the collector is not a script's to choose.
            "stop" | "restart" | "setpause" | "setstepmul" => Ok(Value::Integer(0)),
            _ => Err(bad_argument(lua, 1, "collectgarbage", &format!("invalid option '{option}'"))),
        }
    })?;
    globals.raw_set("collectgarbage", collect)
}

/// `newproxy`, whose metatables forget a finalizer: the collector would call it at any time, and no limit would end it.
fn add_newproxy(lua: &Lua, globals: &Table, all: &Table) -> mlua::Result<()> {
    let (raw, metatable_of): (Function, Function) = (all.raw_get("newproxy")?, all.raw_get("getmetatable")?);
    let guard = lua.create_table()?;
    let set = lua.create_function(|_, (table, key, value): (Table, Value, Value)| match &key {
        Value::String(name) if name.as_bytes() == FINALIZER => Ok(()),
        _ => table.raw_set(key, value),
    })?;
    guard.raw_set("__newindex", set)?;
    guard.raw_set("__metatable", false)?;
    let newproxy = lua.create_function(move |_, args: MultiValue| {
        let metatable_is_new = matches!(args.front(), Some(Value::Boolean(true)));
        let proxy: Value = raw.call(args)?;
        if metatable_is_new && let Value::Table(metatable) = metatable_of.call(&proxy)? {
            metatable.set_metatable(Some(guard.clone()))?;
        }
        Ok(proxy)
    })?;
    globals.raw_set("newproxy", newproxy)
}

fn add_getmetatable(lua: &Lua, globals: &Table, all: &Table, locked: &Locked, of_strings: Table) -> mlua::Result<()> {
    let raw: Function = all.raw_get("getmetatable")?;
    let known = locked.clone();
    let getmetatable = lua.create_function(move |lua, args: MultiValue| match args.front() {
        None => Err(bad_argument(lua, 1, "getmetatable", "value expected")),
        Some(Value::String(_)) => Ok(Value::Table(of_strings.clone())),
        Some(Value::Table(table)) => {
            if let Some(shown) = known.shown_metatable(table) {
                return Ok(shown.map_or(Value::Nil, Value::Table));
            }
            let Some(metatable) = table.metatable() else { return Ok(Value::Nil) };
            match metatable.raw_get::<Value>("__metatable")? {
                Value::Nil => Ok(Value::Table(metatable)),
                shown => Ok(shown),
            }
        }
        Some(value @ Value::UserData(_)) => raw.call(value.clone()),
        Some(_) => Ok(Value::Nil),
    })?;
    globals.raw_set("getmetatable", getmetatable)
}

/// Compiles text. The collector rests meanwhile: the parser of Lua 5.1 does not hold on to all that it makes.
pub(crate) fn compile(lua: &Lua, code: &[u8], name: &str) -> mlua::Result<Function> {
    lua.gc_stop();
    let function = lua.load(code).set_name(name).set_mode(mlua::chunk::ChunkMode::Text).into_function();
    lua.gc_restart();
    function
}

fn load_text(lua: &Lua, code: &[u8], name: &str) -> mlua::Result<MultiValue> {
    // What is no text is an error of its first byte, as it is for any other code.
    if code.first() == Some(&0x1b) {
        let message = format!("{}:1: unexpected symbol near 'char(27)'", shown_name(name));
        return Ok([Value::Nil, Value::String(lua.create_string(message)?)].into_iter().collect());
    }
    match compile(lua, code, name) {
        Ok(function) => Ok([Value::Function(function)].into_iter().collect()),
        Err(error @ mlua::Error::MemoryError(_)) => Err(error),
        Err(error) => {
            let message = lua.create_string(message_of(&error))?;
            Ok([Value::Nil, Value::String(message)].into_iter().collect())
        }
    }
}

/// A chunk's name as messages show it.
fn shown_name(name: &str) -> String {
    match name.strip_prefix(['@', '=']) {
        Some(name) => name.to_owned(),
        None => {
            let line = name.lines().next().unwrap_or_default();
            format!("[string \"{line}\"]")
        }
    }
}

/// The chunk name in an argument. Lua ends it at the first zero byte.
fn chunk_name(args: &MultiValue, default: &[u8]) -> String {
    let given = match args.get(1) {
        Some(Value::String(name)) => name.as_bytes().to_vec(),
        _ => default[..default.len().min(256)].to_vec(),
    };
    let end = memchr::memchr(0, &given).unwrap_or(given.len());
    String::from_utf8_lossy(&given[..end]).into_owned()
}

fn add_loaders(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let loadstring = lua.create_function(|lua, args: MultiValue| {
        let Some(code) = args.front().cloned().and_then(|value| lua.coerce_string(value).ok().flatten()) else {
            let what = format!("string expected, got {}", type_name(args.front()));
            return Err(bad_argument(lua, 1, "loadstring", &what));
        };
        let code = code.as_bytes();
        load_text(lua, &code, &chunk_name(&args, &code))
    })?;
    globals.raw_set("loadstring", loadstring)?;
    let load = lua.create_function(|lua, args: MultiValue| {
        let Some(Value::Function(pieces)) = args.front() else {
            let what = format!("function expected, got {}", type_name(args.front()));
            return Err(bad_argument(lua, 1, "load", &what));
        };
        let all = lua.app_data_ref::<Collected>().map(|all| Rc::clone(&all.0)).unwrap_or_default();
        let mut text = Pieces { code: Vec::new(), all };
        loop {
            match pieces.call::<Value>(())? {
                Value::Nil => break,
                Value::String(piece) if piece.as_bytes().is_empty() => break,
                Value::String(piece) => text.add(lua, &piece.as_bytes())?,
                _ => return Err(raise(lua, "reader function must return a string")),
            }
        }
        load_text(lua, &text.code, &chunk_name(&args, b"=(load)"))
    })?;
    lua.set_app_data(Collected::default());
    globals.raw_set("load", load)
}
