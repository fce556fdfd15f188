//! The data commands: one module a family, each with its declarations.

use crate::command::Command;
use crate::ctx::{CmdResult, Ctx, Outcome};

pub mod bitmap;
pub mod blocking;
pub mod deadline;
pub mod elements;
pub mod field_expiry;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod scan_args;
pub mod server;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod memory_tests;

/// All families.
pub const FAMILIES: &[&[&Command]] = &[
    bitmap::COMMANDS,
    field_expiry::COMMANDS,
    generic::expire::COMMANDS,
    generic::keys::COMMANDS,
    generic::object::COMMANDS,
    generic::scan::COMMANDS,
    generic::sort::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    stream::ADD,
    stream::CLAIM,
    stream::DELETE,
    stream::GROUP,
    stream::INFO,
    stream::PENDING,
    stream::RANGE,
    stream::READ,
    string::COMMANDS,
    zset::ADD,
    zset::POP,
    zset::RANGE,
    zset::RANK,
    zset::SCAN,
    zset::STORE,
];

/// The reply to HELP of a container: `lines` between what all of them begin and end with.
fn reply_help(ctx: &mut Ctx<'_>, container: &str, lines: &[&str]) -> CmdResult {
    ctx.out.array(lines.len() + 3);
    ctx.out.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| ctx.out.simple(line));
    ctx.out.simple("HELP");
    ctx.out.simple("    Print this help.");
    Ok(Outcome::Done)
}
