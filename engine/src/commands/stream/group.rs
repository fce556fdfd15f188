//! XGROUP: consumer groups and their consumers.

use super::{bad_subcommand, no_group_of_key, parse_bound, parse_id};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec};
use crate::commands::reply_help;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Garbage, PARTS_MIN};
use crate::types::Stream;
use crate::types::stream::StreamId;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XGROUP];

const KEY_REQUIRED: CommandError = CommandError::Text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

const ID_SELECTOR: Arg = Arg::one_of("id-selector", &[Arg::string("id"), Arg::word("new-id", "$")]);
const ENTRIES_READ: Arg = Arg::integer("entriesread").display("entries-read").token("ENTRIESREAD").optional();

const XGROUP: Command = Command {
    name: "xgroup",
    arity: Arity::AtLeast(2),
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "Manages consumer groups.",
    subcommands: &[&CREATE, &CREATECONSUMER, &DELCONSUMER, &DESTROY, &HELP, &SETID],
    ..Command::BASE
};

const CREATE: Command = Command {
    name: "create",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::RW_INSERT)],
    since: "5.0.0",
    history: &[("7.0.0", "Added the `entries_read` named argument.")],
    complexity: "O(1)",
    summary: "Creates a consumer group.",
    args: &[
        Arg::key("key"),
        Arg::string("group"),
        ID_SELECTOR,
        Arg::word("mkstream", "MKSTREAM").optional(),
        ENTRIES_READ,
    ],
    run: create,
    ..Command::BASE
};

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
    /// There are more words than all options take.
    surplus: bool,
}

impl Options {
    fn parse(args: &mut Args<'_>, name: &[u8], may_make_stream: bool) -> Result<Self, CommandError> {
        let words_max = if may_make_stream { 3 } else { 2 };
        let mut options = Options { surplus: args.left() > words_max, ..Options::default() };
        while !args.is_done() {
            if may_make_stream && args.keyword("MKSTREAM") {
                options.make_stream = true;
            } else if args.left() > 1 && args.keyword("ENTRIESREAD") {
                let read = args.i64()?;
                if read < -1 {
                    return Err(CommandError::Text("ERR value for ENTRIESREAD must be positive or -1"));
                }
                options.entries_read = u64::try_from(read).ok();
            } else {
                return Err(bad_subcommand("XGROUP", name));
            }
        }
        Ok(options)
    }

    /// An option may stand there twice, as far as there are no more words than all of them take. Looked at when the key
    /// was: what is wrong with that is said first.
    fn refuse_surplus(&self, name: &[u8]) -> Result<(), CommandError> {
        if self.surplus { Err(bad_subcommand("XGROUP", name)) } else { Ok(()) }
    }
}

/// An id, or `$` for the last one of the stream.
fn group_id(text: &[u8], last_id: StreamId) -> Result<StreamId, CommandError> {
    if text == b"$" { Ok(last_id) } else { parse_id(text, 0) }
}

fn create(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (name, key, group, id) = (args.next()?, args.next()?, args.next()?, args.next()?);
    let options = Options::parse(args, name, true)?;
    let missing = ctx.db.write::<Stream>(key)?.is_none();
    if missing && !options.make_stream {
        return Err(KEY_REQUIRED);
    }
    options.refuse_surplus(name)?;
    if missing {
        // Nothing is created for an id that does not parse.
        group_id(id, StreamId::MIN)?;
        ctx.effects.touch(key);
    }
    let mut stream = ctx.db.write_or_create::<Stream>(key)?;
    let id = group_id(id, stream.last_id())?;
    if !stream.create_group(group, id, options.entries_read) {
        return Err(CommandError::Text("BUSYGROUP Consumer Group name already exists"));
    }
    drop(stream);
    ctx.effects.dirty += 1;
    ctx.effects.event(EventClass::STREAM, "xgroup-create", key);
    ctx.out.ok();
    Ok(Outcome::Done)
}

const SETID: Command = Command {
    name: "setid",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::RW_UPDATE)],
    since: "5.0.0",
    history: &[("7.0.0", "Added the optional `entries_read` argument.")],
    complexity: "O(1)",
    summary: "Sets how far a consumer group has read.",
    args: &[Arg::key("key"), Arg::string("group"), ID_SELECTOR, ENTRIES_READ],
    run: setid,
    ..Command::BASE
};

fn setid(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (name, key, group_name, id) = (args.next()?, args.next()?, args.next()?, args.next()?);
    let options = Options::parse(args, name, false)?;
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or(KEY_REQUIRED)?;
    if stream.group(group_name).is_none() {
        return Err(no_group_of_key(key, group_name));
    }
    options.refuse_surplus(name)?;
    // Unlike CREATE, this takes `-` and `+` too.
    let id = if id == b"$" { stream.last_id() } else { parse_bound(id, 0)? };
    if let Some((group, _)) = stream.group_mut(group_name) {
        (group.last_id, group.entries_read) = (id, options.entries_read);
    }
    ctx.effects.dirty += 1;
    ctx.effects.event(EventClass::STREAM, "xgroup-setid", key);
    ctx.out.ok();
    Ok(Outcome::Done)
}

const DESTROY: Command = Command {
    name: "destroy",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::RW_DELETE)],
    since: "5.0.0",
    complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
    summary: "Destroys a consumer group.",
    args: &[Arg::key("key"), Arg::string("group")],
    run: destroy,
    ..Command::BASE
};

fn destroy(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let (key, group) = (args.next()?, args.next()?);
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or(KEY_REQUIRED)?;
    let Some(group) = stream.destroy_group(group) else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    drop(stream);
    let parts = group.parts();
    if parts > PARTS_MIN {
        ctx.effects.free_later.push(Garbage::collection(Stream::of_group(group), parts));
    }
    // Those who wait to be handed something by this group are told; those who watch the key are not disturbed, as in Redis.
    ctx.effects.dirty += 1;
    ctx.effects.wake(key);
    ctx.effects.event(EventClass::STREAM, "xgroup-destroy", key);
    ctx.out.integer(1);
    Ok(Outcome::Done)
}

const CREATECONSUMER: Command = Command {
    name: "createconsumer",
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::RW_INSERT)],
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Creates a consumer in a group.",
    args: &[Arg::key("key"), Arg::string("group"), Arg::string("consumer")],
    run: createconsumer,
    ..Command::BASE
};

fn createconsumer(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let (key, group_name, consumer) = (args.next()?, args.next()?, args.next()?);
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or(KEY_REQUIRED)?;
    let (group, _) = stream.group_mut(group_name).ok_or_else(|| no_group_of_key(key, group_name))?;
    let created = group.find_consumer(consumer).is_none();
    if created {
        group.create_consumer(consumer, ctx.now.0);
        ctx.effects.dirty += 1;
        ctx.effects.event(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    ctx.out.integer(i64::from(created));
    Ok(Outcome::Done)
}

const DELCONSUMER: Command = Command {
    name: "delconsumer",
    arity: Arity::Exactly(5),
    flags: Flags::WRITE,
    group: CommandGroup::Stream,
    keys: &[KeySpec::at(2, KeyFlags::RW_DELETE)],
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Deletes a consumer from a group, with its pending entries.",
    args: &[Arg::key("key"), Arg::string("group"), Arg::string("consumer")],
    run: delconsumer,
    ..Command::BASE
};

fn delconsumer(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let (key, group_name, consumer) = (args.next()?, args.next()?, args.next()?);
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or(KEY_REQUIRED)?;
    let (group, _) = stream.group_mut(group_name).ok_or_else(|| no_group_of_key(key, group_name))?;
    let deleted = group.delete_consumer(consumer);
    if deleted.is_some() {
        ctx.effects.dirty += 1;
        ctx.effects.event(EventClass::STREAM, "xgroup-delconsumer", key);
    }
    ctx.out.integer(deleted.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

const HELP: Command = Command {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Explains the subcommands.",
    run: help,
    ..Command::BASE
};

fn help(ctx: &mut Ctx<'_>, _: &mut Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
    ];
    reply_help(ctx, "XGROUP", LINES)
}
