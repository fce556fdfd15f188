//! The hot path between a script and its host, on Lua's own C interface: `redis.call`, the entry into a script, and its
//! reply. The crate's only unsafe code; what is exported here is safe within the crate.
//!
//! What holds for every function that Lua calls (`extern "C-unwind"`):
//!
//! - An error of Lua leaves by `longjmp`: Rust frames between the one that raises it and the protected call are gone without
//!   their destructors. So whoever calls what may raise (anything that allocates in Lua) holds nothing with a destructor;
//!   buffers belong to [`Shared`] or to the [`Job`], which lie outside of the protected call.
//! - A panic does not cross Lua's frames, which would be left half-way: it ends the process.
//! - Lua's collector runs no code of a script (`sandbox` refuses finalizers), so nothing here is entered twice.

#![expect(unsafe_code, reason = "Lua's C interface")]

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mlua::ffi::{self, lua_State, lua_upvalueindex};
use mlua::{Function, Lua, Table};
use resp::Protocol;
use resp::writer::{Deferred, Writer};
use smallvec::SmallVec;

use crate::debugger::Frame;
use crate::host::Host;
use crate::vm::{INTERVAL_INSTRUCTIONS, Shared, Vm};

/// Deepest reply of a command that becomes a table.
const REPLY_DEPTH_MAX: c_int = 128;

/// Longest array of a reply for which room is made before its elements are there.
const ROOM_MAX: i64 = 1024;

/// A reply buffer that grew beyond this is not kept, in bytes.
const KEEP_MAX: usize = 1 << 20;

/// Places on Lua's stack for one level of a reply.
const LEVEL_SLOTS: c_int = 6;

/// The error of a function that wants a host where there is none.
const NO_HOST: &str = "ERR no script is running";

/// What [`Shared`] keeps for this module.
pub(crate) struct Slots<H> {
    /// The host of the script that runs; null while there is none, and while it is in use.
    host: Cell<*mut H>,
    /// The reply of the command that ran last. Only `command` and what it calls touch it.
    reply: UnsafeCell<Vec<u8>>,
}

impl<H> Default for Slots<H> {
    fn default() -> Self {
        Slots { host: Cell::new(std::ptr::null_mut()), reply: UnsafeCell::default() }
    }
}

impl<H> Slots<H> {
    /// Lends the host to `f` and what it calls, until it returns.
    pub(crate) fn lend<R>(&self, host: &mut H, f: impl FnOnce() -> R) -> R {
        struct Reset<'a, H>(&'a Cell<*mut H>, *mut H);
        impl<H> Drop for Reset<'_, H> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _reset = Reset(&self.host, self.host.replace(host));
        f()
    }

    /// Runs `f` on the host that was lent, if there is one and nobody uses it.
    pub(crate) fn with_host<R>(&self, f: impl FnOnce(&mut H) -> R) -> Option<R> {
        let host = self.host.replace(std::ptr::null_mut());
        // SAFETY: not null means lent: `lend` has the exclusive reference and waits for us; nobody else has the pointer
        // now, since the place is empty.
        let result = unsafe { host.as_mut() }.map(f);
        self.host.set(host);
        result
    }

    /// Frees the reply's buffer if it has grown large. To be called when no script runs.
    fn trim(&self) {
        // SAFETY: only `command` uses it, which is not running.
        let reply = unsafe { &mut *self.reply.get() };
        if reply.capacity() > KEEP_MAX {
            *reply = Vec::new();
        }
    }

    /// Whether a host is lent and not in use.
    pub(crate) fn has_host(&self) -> bool {
        !self.host.get().is_null()
    }
}

/// Instructions before a script's first look at the clock, and most between two looks. One instruction may take as long as the
/// memory of a script allows (`..` of half a gigabyte: a quarter of a second), so looks come closer as soon as they are late.
const FIRST_LOOK: c_int = 25;
const LOOK_INSTRUCTIONS_MAX: c_int = 500;

/// A state that takes more than this, in kilobytes, has its first look followed by another at once, and looks more often.
const LARGE_KB: c_int = 8 * 1024;
const LARGE_LOOK_INSTRUCTIONS_MAX: c_int = 100;

/// Looks that are further apart are late; those that are closer may be rarer.
const LATE: Duration = Duration::from_millis(5);
const EARLY: Duration = Duration::from_millis(1);

/// What looks at the clock, on this thread: one script runs at a time.
struct Pace {
    /// The last look; none since the script began, or since the host was asked.
    last: Cell<Option<Instant>>,
    /// Instructions since the host was asked whether the script may go on.
    since: Cell<u32>,
}

thread_local! {
    static PACE: Pace = const { Pace { last: Cell::new(None), since: Cell::new(0) } };
}

/// mlua's hook, which asks the host.
static ASK: OnceLock<ffi::lua_Hook> = OnceLock::new();

/// Puts a look at the clock before the hook that is installed, which is run when it is due: in time, or after
/// [`INTERVAL_INSTRUCTIONS`].
pub(crate) fn look_at_the_clock(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: protected; hooks may be set at any time. `ASK` is mlua's, the same for every state.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            if let Some(hook) = ffi::lua_gethook(state) {
                ASK.get_or_init(|| hook);
                ffi::lua_sethook(state, Some(look), ffi::LUA_MASKCOUNT, FIRST_LOOK);
            }
        })
    }
}

/// # Safety
/// Lua calls it. It holds nothing with a destructor when it calls `ask`, which may leave by an error.
unsafe extern "C-unwind" fn look(state: *mut lua_State, event: *mut ffi::lua_Debug) {
    // SAFETY: `state` is the one that runs; setting its hook within a hook is allowed.
    unsafe {
        let count = ffi::lua_gethookcount(state);
        let now = Instant::now();
        let large = ffi::lua_gc(state, ffi::LUA_GCCOUNT, 0) > LARGE_KB;
        let most = if large { LARGE_LOOK_INSTRUCTIONS_MAX } else { LOOK_INSTRUCTIONS_MAX };
        let (next, due) = PACE.with(|pace| {
            let apart = pace.last.replace(Some(now)).map(|last| now.duration_since(last));
            let since = pace.since.get() + count.unsigned_abs();
            let next = match apart {
                Some(apart) if apart >= LATE => 1,
                Some(apart) if apart < EARLY => (count * 2).min(most),
                None if large => 1,
                _ => count.min(most),
            };
            let due = since >= INTERVAL_INSTRUCTIONS || apart.is_some_and(|apart| apart >= LATE);
            pace.since.set(if due { 0 } else { since });
            if due {
                // The host may take its time for others.
                pace.last.set(None);
            }
            (next, due)
        });
        if next != count {
            ffi::lua_sethook(state, Some(look), ffi::LUA_MASKCOUNT, next);
        }
        if due && let Some(ask) = ASK.get() {
            ask(state, event);
        }
    }
}

/// Elements of a table from which on a function that walks all of them is followed by a look at the clock.
const LONG_TABLE: usize = 10_000;

/// One of Lua's own functions on a table, followed by a look at the clock when the table is long.
pub(crate) fn then_look(lua: &Lua, function: &Function) -> mlua::Result<Function> {
    // SAFETY: `exec_raw` protects, and its argument is on the stack.
    unsafe { lua.exec_raw(function, |state| ffi::lua_pushcclosure(state, on_table, 1)) }
}

/// # Safety
/// Lua calls it; its upvalue is a C function without upvalues.
unsafe extern "C-unwind" fn on_table(state: *mut lua_State) -> c_int {
    // SAFETY: the length of a table is there without metamethods. The function finds the arguments as if it had been called.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TTABLE && ffi::lua_objlen(state, 1) >= LONG_TABLE {
            pace(state, 1);
        }
        match ffi::lua_tocfunction(state, lua_upvalueindex(1)) {
            Some(function) => function(state),
            None => 0,
        }
    }
}

/// The next look comes after so many instructions; nothing is changed where a debugger looks.
///
/// # Safety
/// `state` is open.
unsafe fn pace(state: *mut lua_State, instructions: c_int) {
    // SAFETY: hooks may be set at any time.
    unsafe {
        if ffi::lua_gethook(state).is_some_and(|hook| std::ptr::fn_addr_eq(hook, look as ffi::lua_Hook)) {
            ffi::lua_sethook(state, Some(look), ffi::LUA_MASKCOUNT, instructions);
        }
    }
}

/// A state that is used no more: it waits to be dropped, which may be done on any thread. Scripts that it compiled are gone.
pub struct Retired<H: Host>(#[expect(dead_code, reason = "kept to be dropped")] Box<Vm<H>>);

// SAFETY: the state, its allocator's count and what its functions share are reached through the `Vm` only: nothing hands
// out clones of its counted references (a `Script` is a number), and no part of mlua or of this crate is bound to a thread.
// The host's address is null, since no script runs: `retire` takes the `Vm` by value. All that can be done with a `Retired`
// is to drop it, once, where it is then.
unsafe impl<H: Host> Send for Retired<H> {}

impl<H: Host> fmt::Debug for Retired<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Retired")
    }
}

impl<H: Host> Vm<H> {
    /// Gives the state up: closing a large one takes time, and may be done on another thread.
    #[must_use]
    pub fn retire(self) -> Retired<H> {
        debug_assert!(!self.has_host(), "no script runs: its run would have borrowed the state");
        Retired(Box::new(self))
    }
}

/// Names that are looked up often: upvalues of the functions below, so that they need no hashing.
const NAMES: [&CStr; 8] =
    [c"err", c"ok", c"ignore_error_stats_update", c"double", c"map", c"set", c"big_number", c"verbatim_string"];

/// Their places among the upvalues.
#[derive(Copy, Clone)]
enum Name {
    Err = 2,
    Ok,
    Ignore,
    Double,
    Map,
    Set,
    BigNumber,
    Verbatim,
}

/// The upvalue with the address of [`Shared`].
const SHARED: c_int = 1;
/// Of `call` and `pcall`: whether an error reply is raised.
const RAISES: c_int = 10;
/// Of `enter`: the globals behind the sandbox, "KEYS", "ARGV", compiled scripts, the error handler.
const GLOBALS: c_int = 10;
const KEYS: c_int = 11;
const ARGV: c_int = 12;
const SCRIPTS: c_int = 13;
const HANDLER: c_int = 14;

/// Pushes what every function here has as upvalues.
///
/// # Safety
/// In a protected call; `shared` outlives the state.
unsafe fn push_common<H>(state: *mut lua_State, shared: *const Shared<H>) {
    // SAFETY: protected, and room was made by the caller of a closure of `exec_raw` or by `luaL_checkstack`.
    unsafe {
        ffi::luaL_checkstack(state, 20, std::ptr::null());
        ffi::lua_pushlightuserdata(state, shared.cast::<c_void>().cast_mut());
        for name in NAMES {
            push_text(state, name.to_bytes());
        }
    }
}

/// `redis.call` (`raises`) or `redis.pcall`.
pub(crate) fn command_function<H: Host>(lua: &Lua, shared: &Rc<Shared<H>>, raises: bool) -> mlua::Result<Function> {
    let shared = Rc::as_ptr(shared);
    // SAFETY: `exec_raw` protects. The state is closed before `shared` goes: `Vm` has both, the state first.
    unsafe {
        lua.exec_raw((), |state| {
            push_common(state, shared);
            ffi::lua_pushboolean(state, c_int::from(raises));
            ffi::lua_pushcclosure(state, command::<H>, RAISES);
        })
    }
}

/// `redis.acl_check_cmd`.
pub(crate) fn check_function<H: Host>(lua: &Lua, shared: &Rc<Shared<H>>) -> mlua::Result<Function> {
    let shared = Rc::as_ptr(shared);
    // SAFETY: as above.
    unsafe {
        lua.exec_raw((), |state| {
            push_common(state, shared);
            ffi::lua_pushcclosure(state, check::<H>, RAISES - 1);
        })
    }
}

/// Most values that `unpack` returns: with its table they fill what one function may have on the stack.
const UNPACK_MAX: i64 = 7999;

/// `unpack`, whose original computes the distance of its bounds in 32 bits.
pub(crate) fn unpack_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: `unpack` needs nothing but its arguments.
    unsafe { lua.create_c_function(unpack) }
}

/// # Safety
/// Lua calls it.
unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before they are used, and there is room for what is pushed.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        let bound = |index, default: i64| match ffi::lua_type(state, index) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => default,
            _ => ffi::luaL_checknumber(state, index) as i64,
        };
        let (first, last) = (bound(2, 1), bound(3, ffi::lua_objlen(state, 1) as i64));
        if first > last {
            return 0;
        }
        ffi::lua_settop(state, 1);
        let count =
            last.checked_sub(first).filter(|&distance| distance < UNPACK_MAX).map_or(0, |distance| distance + 1);
        if count == 0 || ffi::lua_checkstack(state, count as c_int) == 0 {
            ffi::luaL_error(state, c"too many results to unpack".as_ptr());
        }
        for index in first..=last {
            match c_int::try_from(index) {
                Ok(index) => ffi::lua_rawgeti_(state, 1, index),
                Err(_) => {
                    ffi::lua_pushnumber(state, index as f64);
                    ffi::lua_rawget_(state, 1);
                }
            }
        }
        count as c_int
    }
}

/// The functions that run, the innermost first, but for those that are not the script's.
pub(crate) fn frames(lua: &Lua, source: &str, most: usize) -> mlua::Result<Vec<Frame>> {
    let mut frames = Vec::new();
    // SAFETY: `exec_raw` protects; nothing that is called here raises, and the strings of `ar` are copied at once.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            walk(state, source, |_, ar| {
                let name = (!ar.name.is_null()).then(|| CStr::from_ptr(ar.name).to_string_lossy().into_owned());
                frames.push(Frame { name, line: usize::try_from(ar.currentline).unwrap_or(0) });
                frames.len() < most
            });
        })?;
    }
    Ok(frames)
}

/// Calls `f` with each function of the script that runs, the innermost first, as long as it wants more.
///
/// # Safety
/// In a protected call. `f` raises nothing while it holds what has a destructor.
unsafe fn walk(state: *mut lua_State, source: &str, mut f: impl FnMut(*mut lua_State, &mut ffi::lua_Debug) -> bool) {
    // SAFETY: `ar` is filled by Lua before it is read.
    unsafe {
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        let mut level = 0;
        while ffi::lua_getstack(state, level, &mut ar) != 0 {
            level += 1;
            ffi::lua_getinfo(state, c"nSl".as_ptr(), &mut ar);
            let of_script = !ar.source.is_null() && CStr::from_ptr(ar.source).to_bytes() == source.as_bytes();
            if of_script && !f(state, &mut ar) {
                break;
            }
        }
    }
}

/// The local variables of the innermost function of the script, or (`name`) that variable where it is nearest: names and
/// values in turn.
pub(crate) fn locals(lua: &Lua, source: &str, name: Option<&[u8]>) -> mlua::Result<mlua::MultiValue> {
    // SAFETY: `exec_raw` protects; what may raise here (room on the stack, strings) is called while nothing is held.
    unsafe {
        lua.exec_raw((), |state| {
            walk(state, source, |state, ar| {
                let before = ffi::lua_gettop(state);
                let mut index = 1;
                loop {
                    ffi::luaL_checkstack(state, LEVEL_SLOTS, std::ptr::null());
                    let found = ffi::lua_getlocal(state, ar, index);
                    if found.is_null() {
                        break;
                    }
                    index += 1;
                    let local = CStr::from_ptr(found).to_bytes();
                    // Names with a parenthesis are Lua's own.
                    if local.starts_with(b"(") || name.is_some_and(|name| name != local) {
                        ffi::lua_settop(state, -2);
                        continue;
                    }
                    push_text(state, local);
                    ffi::lua_insert(state, -2);
                }
                name.is_some() && ffi::lua_gettop(state) == before
            });
        })
    }
}

/// Appends the bytes to Lua's stack as a string.
///
/// # Safety
/// In a protected call, with room on the stack.
unsafe fn push_text(state: *mut lua_State, text: &[u8]) {
    // SAFETY: Lua copies the bytes.
    unsafe { ffi::lua_pushlstring_(state, text.as_ptr().cast::<c_char>(), text.len()) }
}

/// Raises a table error, or returns it.
///
/// # Safety
/// In a protected call of a function with the common upvalues.
unsafe fn fail(state: *mut lua_State, text: &[u8], from_command: bool, raises: bool) -> c_int {
    // SAFETY: the caller has room for four values (`LUA_MINSTACK` beyond its arguments, or `luaL_checkstack`).
    unsafe {
        ffi::lua_createtable(state, 0, 2);
        ffi::lua_pushvalue(state, lua_upvalueindex(Name::Err as c_int));
        push_text(state, text);
        ffi::lua_rawset(state, -3);
        if from_command {
            ffi::lua_pushvalue(state, lua_upvalueindex(Name::Ignore as c_int));
            ffi::lua_pushboolean(state, 1);
            ffi::lua_rawset(state, -3);
        }
        if raises { ffi::lua_error(state) } else { 1 }
    }
}

/// Runs Rust code that raises nothing in Lua. A panic ends the process: Lua's frames lie below.
fn guarded<R>(f: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(_) => std::process::abort(),
    }
}

/// The bytes of the string at `index`.
///
/// # Safety
/// It is a string, and stays on the stack as long as the bytes are used.
unsafe fn text_at<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: of a string this only gives its address, which is never null; Lua moves no strings.
    unsafe {
        let text = ffi::lua_tolstring(state, index, &mut len);
        std::slice::from_raw_parts(text.cast::<u8>(), len)
    }
}

/// The arguments of a `redis` function as words of a command, or what is wrong with them.
///
/// # Safety
/// The arguments are the whole stack, and stay while `f` runs.
unsafe fn with_words<R>(state: *mut lua_State, f: impl FnOnce(&[&[u8]]) -> R) -> Result<R, &'static str> {
    // SAFETY: nothing here raises; types are looked at before values.
    let count = unsafe { ffi::lua_gettop(state) };
    if count == 0 {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    // Numbers: their texts, and which word each one is.
    let mut digits: SmallVec<[u8; 64]> = SmallVec::new();
    let mut argv: SmallVec<[&[u8]; 16]> = SmallVec::with_capacity(count as usize);
    let mut numbers: SmallVec<[(usize, usize); 8]> = SmallVec::new();
    for index in 1..=count {
        // SAFETY: as above.
        let word = unsafe {
            match ffi::lua_type(state, index) {
                ffi::LUA_TSTRING => text_at(state, index),
                ffi::LUA_TNUMBER => {
                    append_number(ffi::lua_tonumber(state, index), &mut digits);
                    numbers.push((argv.len(), digits.len()));
                    &[]
                }
                _ => return Err("ERR Lua redis lib command arguments must be strings or integers"),
            }
        };
        argv.push(word);
    }
    let mut start = 0;
    for (word, end) in numbers {
        argv[word] = &digits[start..end];
        start = end;
    }
    Ok(f(&argv))
}

/// A number as commands get it: an integer if it is one, else 17 digits.
fn append_number(number: f64, to: &mut SmallVec<[u8; 64]>) {
    let integer = number as i64;
    if integer as f64 == number && integer != i64::MAX {
        to.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if number.is_nan() && number.is_sign_negative() {
        // The sign of what is no number shows, as C writes it.
        to.extend_from_slice(b"-nan");
    } else {
        to.extend_from_slice(resp::number::format_f64(number).as_bytes());
    }
}

/// Asks whether the caller may run a command.
///
/// # Safety
/// Lua calls it; the upvalues are the common ones.
unsafe extern "C-unwind" fn check<H: Host>(state: *mut lua_State) -> c_int {
    // SAFETY: as in `command`.
    unsafe {
        let shared = &*ffi::lua_touserdata(state, lua_upvalueindex(SHARED)).cast::<Shared<H>>();
        let verdict = guarded(|| match with_words(state, |argv| shared.slots.with_host(|host| host.may_run(argv)))? {
            Some(verdict) => verdict.ok_or("ERR Invalid command passed to redis.acl_check_cmd()"),
            None => Err(NO_HOST),
        });
        match verdict {
            Ok(yes) => {
                ffi::lua_pushboolean(state, c_int::from(yes));
                1
            }
            Err(text) => fail(state, text.as_bytes(), false, true),
        }
    }
}

/// Runs a command.
///
/// # Safety
/// Lua calls it; the upvalues are those of `command_function`.
unsafe extern "C-unwind" fn command<H: Host>(state: *mut lua_State) -> c_int {
    // SAFETY: the first upvalue is the address of what outlives the state. The reply's buffer is ours: nothing enters this
    // function again before it has returned or raised. What is in `guarded` raises nothing.
    unsafe {
        let shared = &*ffi::lua_touserdata(state, lua_upvalueindex(SHARED)).cast::<Shared<H>>();
        let raises = ffi::lua_toboolean(state, lua_upvalueindex(RAISES)) != 0;
        let refused = guarded(|| {
            let reply = &mut *shared.slots.reply.get();
            reply.clear();
            let protocol = shared.protocol.get();
            let run = |argv: &[&[u8]]| {
                let done = shared.slots.with_host(|host| host.call(argv, protocol, reply));
                if let Some(session) = shared.debugger.borrow_mut().as_mut().filter(|session| session.steps()) {
                    session.say_command(argv);
                    session.say_reply(reply);
                }
                done
            };
            match with_words(state, run) {
                Ok(Some(())) => None,
                Ok(None) => Some(NO_HOST),
                Err(text) => Some(text),
            }
        });
        if let Some(text) = refused {
            return fail(state, text.as_bytes(), false, raises);
        }
        // The words are not needed any more; what follows finds at least `LUA_MINSTACK` places.
        ffi::lua_settop(state, 0);
        let reply: &[u8] = &*shared.slots.reply.get();
        if let Some(error) = reply.strip_prefix(b"-") {
            let end = memchr::memchr(b'\r', error).unwrap_or(error.len());
            return fail(state, &error[..end], true, raises);
        }
        let mut cursor = Cursor { state, rest: reply };
        cursor.push(REPLY_DEPTH_MAX);
        1
    }
}

/// Reads an encoded reply and pushes it as a Lua value. An error becomes a table with the field `err`.
struct Cursor<'a> {
    state: *mut lua_State,
    rest: &'a [u8],
}

/// The methods that begin with `push` push one value, have the common upvalues, may raise, and need room for
/// `LEVEL_SLOTS` values on the stack.
impl<'a> Cursor<'a> {
    unsafe fn malformed(&self) -> ! {
        // SAFETY: see the impl.
        unsafe {
            push_text(self.state, b"ERR the reply of a command is malformed");
            ffi::lua_error(self.state)
        }
    }

    /// The kind of the next value and the rest of its line.
    unsafe fn line(&mut self) -> (u8, &'a [u8]) {
        match memchr::memchr(b'\r', self.rest) {
            Some(end) if end > 0 && end + 2 <= self.rest.len() => {
                let (kind, line) = (self.rest[0], &self.rest[1..end]);
                self.rest = &self.rest[end + 2..];
                (kind, line)
            }
            // SAFETY: see the impl.
            _ => unsafe { self.malformed() },
        }
    }

    unsafe fn bytes(&mut self, len: i64) -> &'a [u8] {
        match usize::try_from(len) {
            Ok(len) if self.rest.len() >= 2 && len <= self.rest.len() - 2 => {
                let bytes = &self.rest[..len];
                self.rest = &self.rest[len + 2..];
                bytes
            }
            // SAFETY: see the impl.
            _ => unsafe { self.malformed() },
        }
    }

    unsafe fn number(&self, line: &[u8]) -> i64 {
        match resp::number::parse_i64(line) {
            Some(number) => number,
            // SAFETY: see the impl.
            None => unsafe { self.malformed() },
        }
    }

    /// Pushes a table, and the name of its only field, whose value is to follow.
    unsafe fn begin_field(&self, name: Name) {
        // SAFETY: see the impl.
        unsafe {
            ffi::lua_createtable(self.state, 0, 1);
            ffi::lua_pushvalue(self.state, lua_upvalueindex(name as c_int));
        }
    }

    unsafe fn push_field(&self, name: Name, text: &[u8]) {
        // SAFETY: see the impl.
        unsafe {
            self.begin_field(name);
            push_text(self.state, text);
            ffi::lua_rawset(self.state, -3);
        }
    }

    unsafe fn push(&mut self, depth: c_int) {
        let state = self.state;
        // SAFETY: see the impl.
        unsafe {
            let (kind, line) = self.line();
            match kind {
                b'$' => match self.number(line) {
                    -1 => ffi::lua_pushboolean(state, 0),
                    len => push_text(state, self.bytes(len)),
                },
                // Lua 5.1 has one kind of number: what a double cannot hold is rounded.
                b':' => ffi::lua_pushnumber(state, self.number(line) as f64),
                b'+' => self.push_field(Name::Ok, line),
                b'-' => self.push_field(Name::Err, line),
                b'_' => ffi::lua_pushnil(state),
                b'#' => ffi::lua_pushboolean(state, c_int::from(line == b"t")),
                b',' => {
                    self.begin_field(Name::Double);
                    ffi::lua_pushnumber(state, resp::number::parse_f64(line).unwrap_or(f64::NAN));
                    ffi::lua_rawset(state, -3);
                }
                b'(' => self.push_field(Name::BigNumber, line),
                b'*' | b'>' if line == b"-1" => ffi::lua_pushboolean(state, 0),
                _ => {
                    if depth == 0 {
                        self.malformed();
                    }
                    ffi::luaL_checkstack(state, LEVEL_SLOTS, std::ptr::null());
                    let len = self.number(line);
                    self.push_aggregate(kind, len, depth - 1);
                }
            }
        }
    }

    unsafe fn push_aggregate(&mut self, kind: u8, len: i64, depth: c_int) {
        let state = self.state;
        // SAFETY: see the impl. Keys are never nil nor NaN when they are set: a number in a reply is a table or whole.
        unsafe {
            match kind {
                b'*' | b'>' => {
                    ffi::lua_createtable(state, len.clamp(0, ROOM_MAX) as c_int, 0);
                    for index in 1..=len {
                        self.push(depth);
                        // A null of RESP3 is nil: it leaves a hole.
                        ffi::lua_rawseti_(state, -2, index as c_int);
                    }
                }
                b'=' => {
                    let bytes = self.bytes(len);
                    let Some((format, text)) = bytes.split_at_checked(4) else { self.malformed() };
                    self.begin_field(Name::Verbatim);
                    ffi::lua_createtable(state, 0, 2);
                    push_text(state, text);
                    ffi::lua_setfield(state, -2, c"string".as_ptr());
                    push_text(state, &format[..3]);
                    ffi::lua_setfield(state, -2, c"format".as_ptr());
                    ffi::lua_rawset(state, -3);
                }
                b'%' | b'~' => {
                    self.begin_field(if kind == b'%' { Name::Map } else { Name::Set });
                    ffi::lua_createtable(state, 0, len.clamp(0, ROOM_MAX) as c_int);
                    for _ in 0..len {
                        self.push(depth);
                        if kind == b'%' {
                            self.push(depth);
                        } else {
                            ffi::lua_pushboolean(state, 1);
                        }
                        match ffi::lua_type(state, -2) {
                            ffi::LUA_TNIL => ffi::lua_settop(state, -3),
                            _ => ffi::lua_rawset(state, -3),
                        }
                    }
                    ffi::lua_rawset(state, -3);
                }
                // Attributes of the reply that follows: scripts do not see them.
                b'|' => {
                    for _ in 0..len.max(0).saturating_mul(2) {
                        self.push(depth);
                        ffi::lua_settop(state, -2);
                    }
                    self.push(depth);
                }
                _ => self.malformed(),
            }
        }
    }
}

/// What was met while a reply was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Texts of the errors in it that no command gave.
    pub(crate) errors: Vec<Vec<u8>>,
    /// The reply itself is an error.
    pub(crate) failed: bool,
}

/// How a script ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    /// Its reply is written.
    Reply,
    /// It failed: the error handler was told, unless there was no memory for that.
    Failed,
}

/// One run of a script.
struct Job<'a, 'w> {
    slot: c_int,
    keys: &'a [&'a [u8]],
    args: &'a [&'a [u8]],
    /// The keys and arguments are globals; else they are arguments of the function.
    globals: bool,
    out: &'a mut Writer<'w>,
    levels: Vec<Level>,
    written: Written,
    end: End,
}

/// A table that is being written, on Lua's stack.
struct Level {
    at: Deferred,
    written: usize,
    walk: Walk,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Walk {
    Array,
    /// The key that was written last is on top.
    Map,
    /// A value is on top that is to be written, and its key below.
    MapValue,
    Set,
}

/// The way into the scripts of a state.
pub(crate) struct Entry {
    state: *mut lua_State,
    /// The place of `enter` in Lua's registry.
    enter: c_int,
}

/// Why a script has no reply.
pub(crate) enum Failed {
    /// It failed, and the handler knows how.
    Handled,
    /// Lua's own words, where the handler could not be called.
    Message(Vec<u8>),
}

impl Entry {
    /// The way into the scripts in the table `scripts`. `handler` is called where an error happened.
    pub(crate) fn new<H: Host>(
        lua: &Lua,
        shared: &Rc<Shared<H>>,
        globals: &Table,
        scripts: &Table,
        handler: &Function,
    ) -> mlua::Result<Entry> {
        let shared = Rc::as_ptr(shared);
        let mut main = std::ptr::null_mut();
        // SAFETY: `exec_raw` protects, and its arguments are on the stack; as in `command_function`.
        let enter = unsafe {
            lua.exec_raw((globals, scripts, handler), |state| {
                main = state;
                let base = ffi::lua_gettop(state) - 3;
                push_common(state, shared);
                ffi::lua_pushvalue(state, base + 1);
                push_text(state, b"KEYS");
                push_text(state, b"ARGV");
                ffi::lua_pushvalue(state, base + 2);
                ffi::lua_pushvalue(state, base + 3);
                ffi::lua_pushcclosure(state, enter::<H>, HANDLER);
                let place = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
                ffi::lua_settop(state, base);
                ffi::lua_pushinteger(state, place as ffi::lua_Integer);
            })?
        };
        Ok(Entry { state: main, enter })
    }

    /// A script begins: the first look at the clock comes soon. Nothing is changed where a debugger looks.
    pub(crate) fn begin(&self) {
        PACE.with(|pace| {
            pace.last.set(None);
            pace.since.set(0);
        });
        // SAFETY: the state is open as long as its `Vm`, which has this entry.
        unsafe { pace(self.state, FIRST_LOOK) }
    }

    /// Runs the script at `slot`, with the host lent, and writes its reply. `lua` is the state that this is the entry of.
    #[expect(clippy::too_many_arguments, reason = "one caller")]
    pub(crate) fn run<H: Host>(
        &self,
        lua: &Lua,
        shared: &Shared<H>,
        host: &mut H,
        slot: i64,
        keys: &[&[u8]],
        args: &[&[u8]],
        globals: bool,
        out: &mut Writer<'_>,
    ) -> Result<Written, Failed> {
        let _ = lua;
        let state = self.state;
        let mut job = Job {
            slot: slot as c_int,
            keys,
            args,
            globals,
            out,
            levels: Vec::new(),
            written: Written::default(),
            end: End::Failed,
        };
        let start = job.out.len();
        // SAFETY: the state is open as long as `lua` is there, and nothing of it runs: its main thread's stack is empty but
        // for what its owner keeps below. Neither push allocates. `job` outlives the call.
        let failed = unsafe {
            ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, self.enter);
            ffi::lua_pushlightuserdata(state, (&raw mut job).cast::<c_void>());
            if shared.slots.lend(host, || ffi::lua_pcall(state, 1, 0, 0)) == 0 {
                (job.end == End::Failed).then_some(Failed::Handled)
            } else {
                let text = match ffi::lua_type(state, -1) {
                    ffi::LUA_TSTRING => text_at(state, -1).to_vec(),
                    _ => b"unknown error".to_vec(),
                };
                ffi::lua_settop(state, -2);
                Some(Failed::Message(text))
            }
        };
        shared.slots.trim();
        match failed {
            None => Ok(job.written),
            Some(failed) => {
                job.out.buffer().truncate(start);
                Err(failed)
            }
        }
    }
}

/// Pushes an array of words.
///
/// # Safety
/// In a protected call, with room for two values.
unsafe fn push_words(state: *mut lua_State, words: &[&[u8]]) {
    // SAFETY: as said.
    unsafe {
        ffi::lua_createtable(state, c_int::try_from(words.len()).unwrap_or(0), 0);
        for (index, word) in words.iter().enumerate() {
            push_text(state, word);
            ffi::lua_rawseti_(state, -2, index as c_int + 1);
        }
    }
}

/// Runs a script: the only argument is the address of its [`Job`].
///
/// # Safety
/// Called by [`Entry::run`].
unsafe extern "C-unwind" fn enter<H: Host>(state: *mut lua_State) -> c_int {
    // SAFETY: `run` waits for us with the job; nobody else has it. The stack has `LUA_MINSTACK` places.
    unsafe {
        let shared = &*ffi::lua_touserdata(state, lua_upvalueindex(SHARED)).cast::<Shared<H>>();
        let job = &mut *ffi::lua_touserdata(state, 1).cast::<Job<'_, '_>>();
        ffi::lua_settop(state, 0);
        ffi::lua_pushvalue(state, lua_upvalueindex(HANDLER));
        ffi::lua_rawgeti_(state, lua_upvalueindex(SCRIPTS), job.slot);
        let mut args = 0;
        for (name, words) in [(KEYS, job.keys), (ARGV, job.args)] {
            if job.globals {
                ffi::lua_pushvalue(state, lua_upvalueindex(name));
                push_words(state, words);
                ffi::lua_rawset(state, lua_upvalueindex(GLOBALS));
            } else {
                push_words(state, words);
                args += 1;
            }
        }
        let status = ffi::lua_pcall(state, args, 1, 1);
        if status == 0 {
            write_reply(state, job, shared.protocol.get());
            job.end = End::Reply;
        } else if status == ffi::LUA_ERRMEM || status == ffi::LUA_ERRERR {
            // The handler was not called.
            ffi::lua_error(state);
        }
        0
    }
}

/// Writes the value on top of the stack as a reply, and takes it off.
///
/// # Safety
/// In a protected call with the upvalues of `enter`.
unsafe fn write_reply(state: *mut lua_State, job: &mut Job<'_, '_>, script: Protocol) {
    // SAFETY: tables are walked without calling anything of the script's; each level's values lie above the last one's.
    unsafe {
        write_value(state, job, script);
        while let Some(level) = job.levels.last_mut() {
            let more = match level.walk {
                Walk::Array => {
                    ffi::lua_rawgeti_(state, -1, level.written as c_int + 1);
                    let more = ffi::lua_type(state, -1) != ffi::LUA_TNIL;
                    if !more {
                        ffi::lua_settop(state, -2);
                    }
                    level.written += usize::from(more);
                    more
                }
                Walk::Map | Walk::Set => {
                    let more = ffi::lua_next(state, -2) != 0;
                    level.written += usize::from(more);
                    if more && level.walk == Walk::Map {
                        level.walk = Walk::MapValue;
                        ffi::lua_pushvalue(state, -2);
                    } else if more {
                        ffi::lua_settop(state, -2);
                        ffi::lua_pushvalue(state, -1);
                    }
                    more
                }
                Walk::MapValue => {
                    level.walk = Walk::Map;
                    true
                }
            };
            if more {
                write_value(state, job, script);
                continue;
            }
            // Only the table itself is left of this level.
            ffi::lua_settop(state, -2);
            if let Some(Level { at, written, walk }) = job.levels.pop() {
                match walk {
                    Walk::Array => job.out.finish_array(at, written),
                    Walk::Set => job.out.finish_set(at, written),
                    Walk::Map | Walk::MapValue => job.out.finish_map(at, written),
                }
            }
        }
    }
}

/// Pushes a field of the table on top of the stack; returns its type.
///
/// # Safety
/// As `write_reply`.
unsafe fn field(state: *mut lua_State, name: Name) -> c_int {
    // SAFETY: a raw access calls nothing.
    unsafe {
        ffi::lua_pushvalue(state, lua_upvalueindex(name as c_int));
        ffi::lua_rawget_(state, -2);
        ffi::lua_type(state, -1)
    }
}

/// Writes a scalar and takes it off the stack; begins a level for a table, which then stays.
///
/// # Safety
/// As `write_reply`.
unsafe fn write_value(state: *mut lua_State, job: &mut Job<'_, '_>, script: Protocol) {
    // SAFETY: as `write_reply`; types are looked at before values.
    unsafe {
        match ffi::lua_type(state, -1) {
            ffi::LUA_TSTRING => job.out.bulk(text_at(state, -1)),
            ffi::LUA_TNUMBER => job.out.integer(truncate(ffi::lua_tonumber(state, -1))),
            ffi::LUA_TBOOLEAN => match (script, ffi::lua_toboolean(state, -1) != 0) {
                (Protocol::Resp3, yes) => job.out.boolean(yes),
                (Protocol::Resp2, true) => job.out.integer(1),
                (Protocol::Resp2, false) => job.out.null(),
            },
            ffi::LUA_TTABLE => {
                if ffi::lua_checkstack(state, LEVEL_SLOTS) == 0 {
                    job.out.error("ERR reached lua stack limit");
                } else if begin_table(state, job) {
                    return;
                }
            }
            _ => job.out.null(),
        }
        ffi::lua_settop(state, -2);
    }
}

/// Writes the table on top of the stack if it stands for one value, or begins a level for it; returns whether it did the
/// latter.
///
/// # Safety
/// As `write_reply`, with `LEVEL_SLOTS` places.
unsafe fn begin_table(state: *mut lua_State, job: &mut Job<'_, '_>) -> bool {
    // SAFETY: as `write_value`. What is allocated here is the job's, or dropped before the next access that may raise.
    unsafe {
        if field(state, Name::Err) == ffi::LUA_TSTRING {
            let text = text_at(state, -1);
            job.out.error_bytes(text);
            job.written.failed |= job.levels.is_empty();
            ffi::lua_settop(state, -2);
            if field(state, Name::Ignore) != ffi::LUA_TBOOLEAN || ffi::lua_toboolean(state, -1) == 0 {
                // The table has the text still.
                job.written.errors.push(text.to_vec());
            }
            ffi::lua_settop(state, -2);
            return false;
        }
        ffi::lua_settop(state, -2);
        if field(state, Name::Ok) == ffi::LUA_TSTRING {
            job.out.simple_bytes(text_at(state, -1));
            ffi::lua_settop(state, -2);
            return false;
        }
        ffi::lua_settop(state, -2);
        if field(state, Name::Double) == ffi::LUA_TNUMBER {
            job.out.double(ffi::lua_tonumber(state, -1));
            ffi::lua_settop(state, -2);
            return false;
        }
        ffi::lua_settop(state, -2);
        for (name, walk) in [(Name::Map, Walk::Map), (Name::Set, Walk::Set)] {
            if field(state, name) == ffi::LUA_TTABLE {
                ffi::lua_replace(state, -2);
                ffi::lua_pushnil(state);
                let at = job.out.deferred();
                job.levels.push(Level { at, written: 0, walk });
                return true;
            }
            ffi::lua_settop(state, -2);
        }
        if field(state, Name::BigNumber) == ffi::LUA_TSTRING {
            let digits = String::from_utf8_lossy(text_at(state, -1)).replace(['\r', '\n'], " ");
            job.out.big_number(&digits);
            ffi::lua_settop(state, -2);
            return false;
        }
        ffi::lua_settop(state, -2);
        if field(state, Name::Verbatim) == ffi::LUA_TTABLE {
            push_literal_field(state, c"string");
            push_literal_field_below(state, c"format");
            if ffi::lua_type(state, -1) == ffi::LUA_TSTRING && ffi::lua_type(state, -2) == ffi::LUA_TSTRING {
                let mut three = *b"   ";
                for (to, from) in three.iter_mut().zip(text_at(state, -1)) {
                    *to = if from.is_ascii_graphic() { *from } else { b' ' };
                }
                job.out.verbatim(&String::from_utf8_lossy(&three), text_at(state, -2));
                ffi::lua_settop(state, -4);
                return false;
            }
            ffi::lua_settop(state, -3);
        }
        ffi::lua_settop(state, -2);
        let at = job.out.deferred();
        job.levels.push(Level { at, written: 0, walk: Walk::Array });
        true
    }
}

/// Pushes a field of the table on top of the stack.
///
/// # Safety
/// As `write_reply`.
unsafe fn push_literal_field(state: *mut lua_State, name: &CStr) {
    // SAFETY: a raw access calls nothing.
    unsafe {
        push_text(state, name.to_bytes());
        ffi::lua_rawget_(state, -2);
    }
}

/// Pushes a field of the table below the top of the stack.
///
/// # Safety
/// As `write_reply`.
unsafe fn push_literal_field_below(state: *mut lua_State, name: &CStr) {
    // SAFETY: a raw access calls nothing.
    unsafe {
        push_text(state, name.to_bytes());
        ffi::lua_rawget_(state, -3);
    }
}

/// A number as Redis makes an integer of it: towards zero; what does not fit becomes the smallest.
fn truncate(number: f64) -> i64 {
    if number.is_nan() || number >= 9_223_372_036_854_775_808.0 { i64::MIN } else { number as i64 }
}
