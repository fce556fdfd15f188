//! The functions of `redis`.

use std::rc::Rc;

use mlua::{Lua, Table, Value};
use resp::Protocol;

use crate::cache::sha1_hex;
use crate::debugger::Session;
use crate::error::{Raised, raise_table};
use crate::functions::{BAD_NAME, NewFunction, is_name};
use crate::host::{Host, LogLevel, Replication};
use crate::sandbox::{Sandbox, refuse_unknown};
use crate::shebang::Flags;
use crate::sys::{check_function, command_function};
use crate::vm::{Arguments, Engine, Shared};

/// The version that scripts see.
const REDIS_VERSION: &str = "8.0.6";
const REDIS_VERSION_NUM: i64 = 0x0008_0006;

/// Adds `redis` to the globals; for libraries returns the globals that loading sees.
pub(crate) fn add<H: Host>(
    lua: &Lua,
    sandbox: &Sandbox,
    shared: &Rc<Shared<H>>,
    engine: Engine,
) -> mlua::Result<Option<Table>> {
    let redis = lua.create_table()?;
    add_common(lua, &redis, shared)?;
    add_running(lua, &redis, shared)?;
    if engine == Engine::Scripts {
        let weak = Rc::downgrade(shared);
        let debug = lua.create_function(move |_, args: Arguments| {
            if let Some(shared) = weak.upgrade()
                && let Some(session) = &mut *shared.debugger.borrow_mut()
            {
                session.say_values(args.into_iter());
            }
            Ok(())
        })?;
        redis.raw_set("debug", debug)?;
        let weak = Rc::downgrade(shared);
        let breakpoint = lua.create_function(move |_, _: Arguments| {
            let Some(shared) = weak.upgrade() else { return Ok(false) };
            let mut session = shared.debugger.borrow_mut();
            Ok(session.as_mut().map(Session::ask_to_stop).is_some())
        })?;
        redis.raw_set("breakpoint", breakpoint)?;
        redis.raw_set("replicate_commands", lua.create_function(|_, _: Arguments| Ok(true))?)?;
    }
    let (front, _) = sandbox.locked.lock(lua, &redis, None)?;
    sandbox.globals.raw_set("redis", front)?;
    if engine == Engine::Scripts {
        return Ok(None);
    }
    let redis = lua.create_table()?;
    add_common(lua, &redis, shared)?;
    let weak = Rc::downgrade(shared);
    let register = lua.create_function(move |_, args: Arguments| {
        let Some(shared) = weak.upgrade() else { return Ok(()) };
        if shared.loading.borrow().is_none() {
            return Err(raise_table("ERR redis.register_function can only be called on FUNCTION LOAD command"));
        }
        let function = new_function(&args).map_err(|text| raise_table(format!("ERR {text}")))?;
        let mut loading = shared.loading.borrow_mut();
        let Some(registration) = loading.as_mut() else { return Ok(()) };
        if registration.functions.iter().any(|known| known.name.eq_ignore_ascii_case(&function.name)) {
            return Err(raise_table("ERR Function already exists in the library"));
        }
        registration.functions.push(function);
        Ok(())
    })?;
    redis.raw_set("register_function", register)?;
    refuse_unknown(lua, &redis)?;
    let (front, _) = sandbox.locked.lock(lua, &redis, None)?;
    let globals = lua.create_table()?;
    globals.raw_set("redis", front)?;
    globals.raw_set("_G", &sandbox.front)?;
    refuse_unknown(lua, &globals)?;
    Ok(Some(globals))
}

/// What is there while a library loads, too.
fn add_common<H: Host>(lua: &Lua, redis: &Table, shared: &Rc<Shared<H>>) -> mlua::Result<()> {
    for (name, level) in [("LOG_DEBUG", 0), ("LOG_VERBOSE", 1), ("LOG_NOTICE", 2), ("LOG_WARNING", 3)] {
        redis.raw_set(name, level)?;
    }
    redis.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", REDIS_VERSION_NUM)?;
    let weak = Rc::downgrade(shared);
    let log = lua.create_function(move |_, args: Arguments| {
        if args.len() < 2 {
            return Err(raise_table("ERR redis.log() requires two arguments or more."));
        }
        let level = match args.front() {
            Some(Value::Integer(level)) => *level,
            Some(Value::Number(level)) => *level as i64,
            _ => return Err(raise_table("ERR First argument must be a number (log level).")),
        };
        let level = match level {
            0 => LogLevel::Debug,
            1 => LogLevel::Verbose,
            2 => LogLevel::Notice,
            3 => LogLevel::Warning,
            _ => return Err(raise_table("ERR Invalid log level.")),
        };
        let mut message = Vec::new();
        for (index, value) in args.iter().skip(1).enumerate() {
            if index > 0 {
                message.push(b' ');
            }
            append_text(value, &mut message);
        }
        match weak.upgrade() {
            Some(shared) => shared.with_host(|host| host.log(level, &message)),
            None => Ok(()),
        }
    })?;
    redis.raw_set("log", log)
}

fn append_text(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::String(text) => to.extend_from_slice(&text.as_bytes()),
        Value::Integer(number) => to.extend_from_slice(number.to_string().as_bytes()),
        Value::Number(number) => to.extend_from_slice(crate::libs::number_text(*number).as_bytes()),
        _ => {}
    }
}

/// What is there while a script runs.
fn add_running<H: Host>(lua: &Lua, redis: &Table, shared: &Rc<Shared<H>>) -> mlua::Result<()> {
    for (name, flags) in [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)] {
        redis.raw_set(name, flags)?;
    }
    redis.raw_set("call", command_function(lua, shared, true)?)?;
    redis.raw_set("pcall", command_function(lua, shared, false)?)?;
    redis.raw_set("acl_check_cmd", check_function(lua, shared)?)?;
    redis.raw_set(
        "sha1hex",
        lua.create_function(|lua, args: Arguments| {
            if args.len() != 1 {
                return Err(raise_table("ERR wrong number of arguments"));
            }
            let mut text = Vec::new();
            append_text(&args[0], &mut text);
            lua.create_string(sha1_hex(&text))
        })?,
    )?;
    redis.raw_set(
        "error_reply",
        lua.create_function(|lua, args: Arguments| {
            let Some(text) = single_text(&args) else { return wrong_type(lua) };
            // The code may be missing, and the `-` may be there.
            let text = text.strip_prefix(b"-").unwrap_or(&text);
            let text = match memchr::memchr(b' ', text) {
                Some(_) => text.to_vec(),
                None => [b"ERR ", text].concat(),
            };
            let text: Vec<u8> =
                text.into_iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
            single_field(lua, "err", &text)
        })?,
    )?;
    redis.raw_set(
        "status_reply",
        lua.create_function(|lua, args: Arguments| match single_text(&args) {
            Some(text) => single_field(lua, "ok", &text),
            None => wrong_type(lua),
        })?,
    )?;
    let weak = Rc::downgrade(shared);
    redis.raw_set(
        "setresp",
        lua.create_function(move |_, args: Arguments| {
            if args.len() != 1 {
                return Err(raise_table("ERR redis.setresp() requires one argument."));
            }
            let protocol = match number(&args[0]) {
                Some(2) => Protocol::Resp2,
                Some(3) => Protocol::Resp3,
                _ => return Err(raise_table("ERR RESP version must be 2 or 3.")),
            };
            if let Some(shared) = weak.upgrade() {
                shared.protocol.set(protocol);
            }
            Ok(())
        })?,
    )?;
    let weak = Rc::downgrade(shared);
    redis.raw_set(
        "set_repl",
        lua.create_function(move |_, args: Arguments| {
            if args.len() != 1 {
                return Err(raise_table("ERR redis.set_repl() requires one argument."));
            }
            let Some(flags) = number(&args[0]).and_then(|flags| Replication::from_bits(u8::try_from(flags).ok()?))
            else {
                return Err(raise_table(
                    "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
                ));
            };
            weak.upgrade().map_or(Ok(()), |shared| shared.with_host(|host| host.set_replication(flags)))
        })?,
    )
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Number(number) => Some(*number as i64),
        Value::String(text) => resp::number::parse_i64(&text.as_bytes()),
        _ => None,
    }
}

fn single_text(args: &Arguments) -> Option<Vec<u8>> {
    match args.front() {
        Some(Value::String(text)) if args.len() == 1 => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn single_field(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, lua.create_string(text)?)?;
    Ok(table)
}

/// What a wrong argument of `error_reply` and `status_reply` gives: an error that is returned, not raised.
fn wrong_type(lua: &Lua) -> mlua::Result<Table> {
    single_field(lua, "err", b"ERR wrong number or type of arguments")
}

/// The arguments of `redis.register_function`: either by place or in one table.
fn new_function(args: &Arguments) -> Result<NewFunction, String> {
    if args.len() == 1 {
        let Some(Value::Table(named)) = args.front() else {
            return Err("calling redis.register_function with a single argument is only applicable to Lua table \
                        (representing named arguments)."
                .into());
        };
        return named_function(named);
    }
    if args.len() != 2 {
        return Err("wrong number of arguments to redis.register_function".into());
    }
    let Some(Value::String(name)) = args.front() else {
        return Err("first argument to redis.register_function must be a string".into());
    };
    let Some(Value::Function(callback)) = args.get(1) else {
        return Err("second argument to redis.register_function must be a function".into());
    };
    checked(NewFunction {
        name: name.as_bytes().to_vec(),
        description: None,
        flags: Flags::empty(),
        callback: callback.clone(),
    })
}

fn checked(function: NewFunction) -> Result<NewFunction, String> {
    if is_name(&function.name) { Ok(function) } else { Err(BAD_NAME.into()) }
}

fn named_function(named: &Table) -> Result<NewFunction, String> {
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, Flags::empty());
    let walked = named.for_each::<Value, Value>(|key, value| {
        let Value::String(key) = &key else {
            return Err(raise_table("named argument key given to redis.register_function is not a string"));
        };
        match (&*key.as_bytes(), &value) {
            (b"function_name", Value::String(text)) => name = Some(text.as_bytes().to_vec()),
            (b"function_name", _) => {
                return Err(raise_table("function_name argument given to redis.register_function must be a string"));
            }
            (b"description", Value::String(text)) => description = Some(text.as_bytes().to_vec()),
            (b"description", _) => {
                return Err(raise_table("description argument given to redis.register_function must be a string"));
            }
            (b"callback", Value::Function(function)) => callback = Some(function.clone()),
            (b"callback", _) => {
                return Err(raise_table("callback argument given to redis.register_function must be a function"));
            }
            (b"flags", Value::Table(list)) => {
                for index in 1..=list.raw_len() {
                    let flag = match list.raw_get::<Value>(index)? {
                        Value::String(flag) => Flags::by_name(&flag.as_bytes()),
                        _ => None,
                    };
                    flags |= flag.ok_or_else(|| raise_table("unknown flag given"))?;
                }
            }
            (b"flags", _) => {
                return Err(raise_table(
                    "flags argument to redis.register_function must be a table representing function flags",
                ));
            }
            _ => return Err(raise_table("unknown argument given to redis.register_function")),
        }
        Ok(())
    });
    if let Err(error) = walked {
        return Err(match Raised::of(&error) {
            Some(raised) => raised.to_string(),
            None => crate::error::message_of(&error),
        });
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let callback = callback.ok_or("redis.register_function must get a callback argument")?;
    checked(NewFunction { name, description, flags, callback })
}
