//! The commands that need the server: one module a family, each with its declarations.

pub mod aof;
pub mod client;
pub mod config;
pub mod connection;
pub mod debug;
pub mod functions;
pub mod info;
pub mod introspection;
pub mod latency;
pub mod memory;
pub mod migrate;
pub mod persistence;
pub mod pubsub;
pub mod scripting;
pub mod server;
pub mod slowlog;
pub mod transaction;

use engine::Engine;
use engine::command::Command;

use crate::config::Config;
use crate::config::parse::LoadError;
use crate::exec::{Call, HostFn, Registry, Run};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use engine::registry::RenameError;

/// A declaration whose handler needs the server.
pub type HostCommand = Command<HostFn>;

/// All families.
const FAMILIES: &[&[&HostCommand]] = &[
    aof::COMMANDS,
    connection::COMMANDS,
    client::COMMANDS,
    introspection::COMMANDS,
    info::COMMANDS,
    pubsub::COMMANDS,
    transaction::COMMANDS,
    server::COMMANDS,
    slowlog::COMMANDS,
    latency::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    persistence::COMMANDS,
    scripting::COMMANDS,
    functions::COMMANDS,
];

/// Every command of the engine and of the server, under the names that `rename-command` gives them.
///
/// # Errors
/// A `rename-command` line that names no command, or gives a name that is taken.
pub fn registry(config: &Config) -> Result<Registry, LoadError> {
    let mut registry = Registry::default();
    for command in Engine::declarations() {
        registry.add(command, Run::Data);
    }
    for command in FAMILIES.iter().copied().flatten() {
        registry.add(command, Run::Host);
    }
    for rename in &config.origin.renamed {
        let to = Some(&rename.to[..]).filter(|name| !name.is_empty());
        registry.rename(&rename.from, to).map_err(|error| LoadError::Line {
            at: rename.at.clone(),
            reason: match error {
                RenameError::Unknown => "No such command in rename-command".into(),
                RenameError::Taken => "Target command name already exists".into(),
            },
        })?;
    }
    Ok(registry)
}

/// The reply of a HELP subcommand: each subcommand with what it does.
fn help(call: &mut Call<'_>, container: &str, lines: &[(&str, &str)]) -> CmdResult {
    call.out.array(1 + lines.len() * 2 + 2);
    call.out.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (usage, text) in lines {
        call.out.simple(usage);
        call.out.simple(&format!("    {text}"));
    }
    call.out.simple("HELP");
    call.out.simple("    Print this help.");
    Ok(Outcome::Done)
}

/// The error for a subcommand with too many arguments.
fn unknown_subcommand_or_arity(argv: &[&[u8]]) -> CommandError {
    let container = String::from_utf8_lossy(argv[0]).to_uppercase();
    let sub = String::from_utf8_lossy(argv[1]);
    CommandError::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP."
    ))
}
