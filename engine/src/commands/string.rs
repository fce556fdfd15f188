//! String commands. <https://redis.io/docs/latest/commands/?group=string>

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&GET];

const GET: Command = Command {
    name: "get",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key.",
    args: &[Arg::key("key")],
    run: get,
    ..Command::BASE
};

fn get(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    match ctx.db.read_string(args.next()?)? {
        Some(value) => value.reply(&mut ctx.out),
        None => ctx.out.null(),
    }
    Ok(Outcome::Done)
}
