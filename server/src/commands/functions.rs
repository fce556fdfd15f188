//! Function commands. <https://redis.io/docs/latest/commands/?group=scripting>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use engine::glob;
use persistence::dump::PayloadError;
use scripting::functions::Library;
use scripting::shebang::Flags as ScriptFlags;

use super::HostCommand;
use super::scripting::{KEYS, KEYS_RO, RUNS, RUNS_RO, check_flags, keys_and_args, kill};
use crate::exec::{Call, HostFn};
use crate::scripting::libraries::Policy;
use crate::scripting::{Kind, Start, busy_error};
use crate::server::Server;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&FCALL, &FCALL_RO, &FUNCTION];

const FCALL: HostCommand = HostCommand {
    name: "fcall",
    arity: Arity::AtLeast(3),
    flags: RUNS.and(Flags::RUNS_FUNCTION),
    group: Group::Scripting,
    keys: KEYS,
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    summary: "Runs a function.",
    args: &[
        Arg::string("function"),
        Arg::integer("numkeys"),
        Arg::key("key").optional().many(),
        Arg::string("arg").optional().many(),
    ],
    run: HostFn(|call, args| fcall(call, args, false)),
    ..HostCommand::BASE
};

const FCALL_RO: HostCommand = HostCommand {
    name: "fcall_ro",
    flags: RUNS_RO.and(Flags::RUNS_FUNCTION),
    keys: KEYS_RO,
    summary: "Runs a function that changes nothing.",
    run: HostFn(|call, args| fcall(call, args, true)),
    ..FCALL
};

fn fcall(call: &mut Call<'_>, args: &mut Args<'_>, read_only: bool) -> CmdResult {
    let name = args.next()?;
    call.server.feed_monitors_with_script(call.client, call.command, args.argv());
    let Some(function) = call.server.scripting.libraries.function(name) else {
        return Err(CommandError::Text("ERR Function not found"));
    };
    let (flags, script) = (function.flags, function.script.clone());
    let (keys, argv) = keys_and_args(args, CommandError::Text("ERR Bad number of keys provided"))?;
    check_flags(flags, read_only)?;
    call.server.script_may_start(flags)?;
    let shown = String::from_utf8_lossy(name);
    let vm = call.server.take_interpreter(Kind::Function)?;
    let request = &mut call.server.scripting.request;
    request.clear();
    request.push(0, args.argv());
    let start = Start { kind: Kind::Function, name, flags, read_only };
    let outcome =
        Server::within_script(call, &start, |server, out| vm.run_function(&script, &shown, keys, argv, server, out));
    call.server.give_interpreter(Kind::Function, vm);
    Server::script_outcome(call, outcome);
    Ok(Outcome::Done)
}

const FUNCTION: HostCommand = HostCommand {
    name: "function",
    arity: Arity::AtLeast(2),
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about functions.",
    subcommands: &[&DELETE, &DUMP, &FLUSH, &HELP, &KILL, &LIST, &LOAD, &RESTORE, &STATS],
    ..HostCommand::BASE
};

/// Changes the libraries.
const CHANGES: Flags = Flags::NOSCRIPT.and(Flags::WRITE);

const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const LOAD: HostCommand = HostCommand {
    name: "load",
    arity: Arity::AtLeast(3),
    flags: CHANGES.and(Flags::DENYOOM),
    group: Group::Scripting,
    since: "7.0.0",
    tips: ALL_SHARDS,
    complexity: "O(1) (considering compilation time is redundant)",
    summary: "Adds a library.",
    args: &[Arg::word("replace", "REPLACE").optional(), Arg::string("function-code")],
    run: HostFn(load),
    ..HostCommand::BASE
};

fn load(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let mut replace = false;
    while args.left() > 1 {
        if args.keyword("REPLACE") {
            replace = true;
        } else {
            let option = String::from_utf8_lossy(args.next()?);
            return Err(CommandError::owned(format!("ERR Unknown option given: {option}")));
        }
    }
    let code = args.next()?;
    let name = call.server.load_library(code, replace)?;
    changed(call);
    call.out.bulk(&name);
    Ok(Outcome::Done)
}

/// The libraries are part of the data set.
fn changed(call: &mut Call<'_>) {
    call.server.engine.effects.dirty += 1;
}

const DELETE: HostCommand = HostCommand {
    name: "delete",
    arity: Arity::Exactly(3),
    flags: CHANGES,
    group: Group::Scripting,
    since: "7.0.0",
    tips: ALL_SHARDS,
    complexity: "O(1)",
    summary: "Removes a library with its functions.",
    args: &[Arg::string("library-name")],
    run: HostFn(|call, args| {
        args.next()?;
        let name = args.next()?;
        call.server.delete_library(name)?;
        changed(call);
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const FLUSH: HostCommand = HostCommand {
    name: "flush",
    arity: Arity::AtLeast(2),
    flags: CHANGES,
    group: Group::Scripting,
    since: "7.0.0",
    tips: ALL_SHARDS,
    complexity: "O(N) where N is the number of functions deleted",
    summary: "Removes all libraries.",
    args: &[Arg::one_of("flush-type", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")]).optional()],
    run: HostFn(|call, args| {
        args.next()?;
        if args.left() > 1 {
            return Err(super::unknown_subcommand_or_arity(args.argv()));
        }
        let Some(later) = args.flushes_async(call.server.config.lazyfree_lazy_user_flush) else {
            return Err(CommandError::Text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
        };
        call.server.flush_functions(later)?;
        changed(call);
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const KILL: HostCommand = HostCommand {
    name: "kill",
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
    group: Group::Scripting,
    since: "7.0.0",
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    complexity: "O(1)",
    summary: "Ends the function that runs.",
    run: HostFn(|call, _| kill(call, Kind::Function)),
    ..HostCommand::BASE
};

const STATS: HostCommand = HostCommand {
    name: "stats",
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
    group: Group::Scripting,
    since: "7.0.0",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    complexity: "O(1)",
    summary: "Tells about the function that runs, and about the engines.",
    run: HostFn(stats),
    ..HostCommand::BASE
};

fn stats(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let server = &*call.server;
    let out = &mut call.out;
    if let Some(busy) = server.scripting.busy()
        && busy.kind != Kind::Function
    {
        return Err(busy_error(busy.kind));
    }
    out.map(2);
    out.bulk(b"running_script");
    match &server.scripting.running {
        Some(running) => {
            out.map(3);
            out.bulk(b"name");
            out.bulk(&running.name);
            out.bulk(b"command");
            let argv = server.scripting.request.requests().next().map(|(_, argv)| argv).unwrap_or_default();
            out.array(argv.len());
            argv.iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.integer((server.clock.micros(running.since, server.clock.stamp()) / 1000) as i64);
        }
        None => out.null(),
    }
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.integer(server.scripting.libraries.len() as i64);
    out.bulk(b"functions_count");
    out.integer(server.scripting.libraries.functions_len() as i64);
    Ok(Outcome::Done)
}

const LIST: HostCommand = HostCommand {
    name: "list",
    arity: Arity::AtLeast(2),
    flags: Flags::NOSCRIPT,
    group: Group::Scripting,
    since: "7.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of functions",
    summary: "Tells about the libraries.",
    args: &[
        Arg::string("library-name-pattern").token("LIBRARYNAME").optional(),
        Arg::word("withcode", "WITHCODE").optional(),
    ],
    run: HostFn(list),
    ..HostCommand::BASE
};

fn list(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let (mut with_code, mut pattern) = (false, None);
    while !args.is_done() {
        if !with_code && args.keyword("WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.keyword("LIBRARYNAME") {
            let given = args.next().map_err(|_| CommandError::Text("ERR library name argument was not given"))?;
            pattern = Some(given);
        } else {
            let argument = String::from_utf8_lossy(args.next()?);
            return Err(CommandError::owned(format!("ERR Unknown argument {argument}")));
        }
    }
    let libraries = &call.server.scripting.libraries;
    let wanted = |library: &&Library| pattern.is_none_or(|pattern| glob::matches_ignore_case(pattern, &library.name));
    let out = &mut call.out;
    out.array(libraries.iter().filter(wanted).count());
    for library in libraries.iter().filter(wanted) {
        out.map(if with_code { 4 } else { 3 });
        out.bulk(b"library_name");
        out.bulk(&library.name);
        out.bulk(b"engine");
        out.bulk(b"LUA");
        out.bulk(b"functions");
        out.array(library.functions.len());
        for function in &library.functions {
            out.map(3);
            out.bulk(b"name");
            out.bulk(&function.name);
            out.bulk(b"description");
            match &function.description {
                Some(text) => out.bulk(text),
                None => out.null(),
            }
            out.bulk(b"flags");
            let flags = ScriptFlags::NAMES.iter().filter(|(flag, _)| function.flags.contains(*flag));
            out.set(flags.clone().count());
            flags.for_each(|(_, name)| out.simple(name));
        }
        if with_code {
            out.bulk(b"library_code");
            out.bulk(&library.code);
        }
    }
    Ok(Outcome::Done)
}

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "O(1)",
    summary: "Lists the subcommands.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "FUNCTION",
            &[
                ("LOAD [REPLACE] <FUNCTION CODE>", "Create a new library with the given library name and code."),
                ("DELETE <LIBRARY NAME>", "Delete the given library."),
                ("LIST [LIBRARYNAME PATTERN] [WITHCODE]", "Return general information on all the libraries."),
                ("STATS", "Return information about the current function running and the engines."),
                ("KILL", "Kill the current running function."),
                ("FLUSH [ASYNC|SYNC]", "Delete all the libraries."),
                ("DUMP", "Return a serialized payload representing the current libraries."),
                ("RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]", "Restore the libraries represented by the given payload."),
            ],
        )
    }),
    ..HostCommand::BASE
};

const DUMP: HostCommand = HostCommand {
    name: "dump",
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "O(N) where N is the number of functions",
    summary: "Returns all libraries in a string.",
    run: HostFn(|call, _| {
        let codes = call.server.scripting.libraries.iter().map(|library| &library.code[..]);
        let payload = persistence::dump::dump_functions(codes, call.server.config.rdbcompression)
            .map_err(|error| CommandError::owned(format!("ERR {error}")))?;
        call.out.bulk(&payload);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const RESTORE: HostCommand = HostCommand {
    name: "restore",
    arity: Arity::AtLeast(3),
    flags: CHANGES.and(Flags::DENYOOM),
    group: Group::Scripting,
    since: "7.0.0",
    tips: ALL_SHARDS,
    complexity: "O(N) where N is the number of functions on the payload",
    summary: "Adds the libraries in a string of FUNCTION DUMP.",
    args: &[
        Arg::string("serialized-value"),
        Arg::one_of(
            "policy",
            &[Arg::word("flush", "FLUSH"), Arg::word("append", "APPEND"), Arg::word("replace", "REPLACE")],
        )
        .optional(),
    ],
    run: HostFn(restore),
    ..HostCommand::BASE
};

fn restore(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let payload = args.next()?;
    if args.left() > 1 {
        return Err(super::unknown_subcommand_or_arity(args.argv()));
    }
    let policy = if args.is_done() || args.keyword("APPEND") {
        Policy::Append
    } else if args.keyword("REPLACE") {
        Policy::Replace
    } else if args.keyword("FLUSH") {
        Policy::Flush
    } else {
        return Err(CommandError::Text(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
        ));
    };
    let codes = persistence::dump::restore_functions(payload).map_err(|error| match error {
        PayloadError::Footer => CommandError::Text("ERR DUMP payload version or checksum are wrong"),
        PayloadError::Value(_) => CommandError::Text("ERR given type is not a function"),
    })?;
    call.server.restore_libraries(&codes, policy)?;
    changed(call);
    call.out.ok();
    Ok(Outcome::Done)
}
