//! Errors of scripts: what the client is told, and how errors travel through Lua.

use std::fmt;

use mlua::{Lua, Value};

/// A script, or the loading of one, failed. `Display` gives the reply without the `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The text, code included. Not necessarily UTF-8.
    pub text: Vec<u8>,
    /// It is the reply of a command that was run: whoever ran it has counted it.
    pub from_command: bool,
}

impl ScriptError {
    /// An error that no command gave.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        ScriptError { text: text.into(), from_command: false }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for ScriptError {}

impl From<mlua::Error> for ScriptError {
    fn from(error: mlua::Error) -> Self {
        ScriptError::new(format!("ERR {}", message_of(&error)))
    }
}

/// An error raised by Rust code. Lua sees it as the value that its kind says: the wrappers of `pcall`, `xpcall` and the
/// coroutines turn it into that value before a script gets hold of it.
#[derive(Clone, Debug)]
pub(crate) enum Raised {
    /// A string that begins with the place it was raised at.
    Message(Vec<u8>),
    /// A table with the field `err`, and whether it is a command's reply.
    Table { text: Vec<u8>, from_command: bool },
    /// The end of the script. Nothing catches it.
    Stop(&'static str),
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raised::Message(text) | Raised::Table { text, .. } => f.write_str(&String::from_utf8_lossy(text)),
            Raised::Stop(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Raised {}

impl Raised {
    pub(crate) fn into_error(self) -> mlua::Error {
        mlua::Error::external(self)
    }

    /// The error as raised by Rust code, if it was.
    pub(crate) fn of(error: &mlua::Error) -> Option<&Raised> {
        error.downcast_ref::<Raised>()
    }
}

/// A place in a script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// As Lua names it: `@user_script`.
    pub(crate) source: String,
    pub(crate) line: usize,
}

/// The innermost place in Lua code at or above `level`.
pub(crate) fn place(lua: &Lua, level: usize) -> Option<Place> {
    // Frames of functions of ours lie between; a script that recurses deeply has its own on top.
    const LEVELS_MAX: usize = 32;
    for level in level..level + LEVELS_MAX {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let line = debug.current_line()?;
            let source = source.source?.into_owned();
            (!source.starts_with(crate::sandbox::INTERNAL_SOURCE)).then_some(Place { source, line })
        })?;
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The error of a library function: `text` behind the place of its caller, as Lua's own functions do.
pub(crate) fn raise(lua: &Lua, text: impl AsRef<[u8]>) -> mlua::Error {
    // Functions of ours in Lua stand between the caller and what they call.
    let mut caller = None;
    for level in 1..=2 {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            if source.source.as_deref() == Some(crate::sandbox::INTERNAL_SOURCE) {
                return Err(());
            }
            Ok(debug.current_line().map(|line| format!("{}:{line}: ", source.short_src.unwrap_or_default())))
        });
        if let Some(Ok(found)) = found {
            caller = found;
            break;
        }
    }
    let mut message = caller.unwrap_or_default().into_bytes();
    message.extend_from_slice(text.as_ref());
    Raised::Message(message).into_error()
}

/// An error without a place.
pub(crate) fn raise_plain(text: impl Into<Vec<u8>>) -> mlua::Error {
    Raised::Message(text.into()).into_error()
}

/// A table error: how the functions of `redis` complain.
pub(crate) fn raise_table(text: impl Into<Vec<u8>>) -> mlua::Error {
    Raised::Table { text: text.into(), from_command: false }.into_error()
}

/// What is wrong with argument `index` (from 1) of the function `name`.
pub(crate) fn bad_argument(lua: &Lua, index: usize, name: &str, what: &str) -> mlua::Error {
    raise(lua, format!("bad argument #{index} to '{name}' ({what})"))
}

/// The name of a value's type as Lua's own messages spell it.
pub(crate) fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None => "no value",
        Some(Value::Error(_)) => "string",
        Some(Value::Integer(_)) => "number",
        Some(Value::LightUserData(_)) => "userdata",
        Some(value) => value.type_name(),
    }
}

/// The message of an error that Lua or mlua raised, without a traceback.
pub(crate) fn message_of(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::RuntimeError(text) => text.split("\nstack traceback:").next().unwrap_or_default().to_owned(),
        mlua::Error::MemoryError(_) => "not enough memory".to_owned(),
        mlua::Error::CallbackError { cause, .. } => message_of(cause),
        other => other.to_string(),
    }
}
