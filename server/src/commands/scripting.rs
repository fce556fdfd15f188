//! Script commands. <https://redis.io/docs/latest/commands/?group=scripting>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group, KeyFlags, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use scripting::cache::{Sha, sha1_hex};
use scripting::shebang::{self, Flags as ScriptFlags};
use scripting::vm::Script;

use super::HostCommand;
use crate::bio::Garbage;
use crate::exec::{Call, HostFn};
use crate::scripting::debugging::Mode;
use crate::scripting::{Kind, Start, busy_error, script_error};
use crate::server::Server;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&EVAL, &EVAL_RO, &EVALSHA, &EVALSHA_RO, &SCRIPT];

/// Runs scripts; what they do is decided command by command.
pub(super) const RUNS: Flags =
    Flags::NOSCRIPT.and(Flags::STALE).and(Flags::SKIP_MONITOR).and(Flags::MAY_REPLICATE).and(Flags::NO_MANDATORY_KEYS);
/// The same for scripts that change nothing.
pub(super) const RUNS_RO: Flags =
    Flags::NOSCRIPT.and(Flags::STALE).and(Flags::SKIP_MONITOR).and(Flags::READONLY).and(Flags::NO_MANDATORY_KEYS);

/// The keys that follow their number.
pub(super) const KEYS: &[KeySpec] = &[KeySpec::counted(2, KeyFlags::RW_ACCESS_UPDATE)];
/// The same, only read.
pub(super) const KEYS_RO: &[KeySpec] = &[KeySpec::counted(2, KeyFlags::READ)];

const EVAL: HostCommand = HostCommand {
    name: "eval",
    arity: Arity::AtLeast(3),
    flags: RUNS.and(Flags::RUNS_TEXT),
    group: Group::Scripting,
    keys: KEYS,
    since: "2.6.0",
    complexity: "Depends on the script that is executed.",
    summary: "Runs a Lua script.",
    args: &[
        Arg::string("script"),
        Arg::integer("numkeys"),
        Arg::key("key").optional().many(),
        Arg::string("arg").optional().many(),
    ],
    run: HostFn(|call, args| eval(call, args, false)),
    ..HostCommand::BASE
};

const EVAL_RO: HostCommand = HostCommand {
    name: "eval_ro",
    flags: RUNS_RO.and(Flags::RUNS_TEXT),
    keys: KEYS_RO,
    since: "7.0.0",
    summary: "Runs a Lua script that changes nothing.",
    run: HostFn(|call, args| eval(call, args, true)),
    ..EVAL
};

const EVALSHA: HostCommand = HostCommand {
    name: "evalsha",
    flags: RUNS.and(Flags::RUNS_SCRIPT),
    summary: "Runs a cached Lua script by the SHA1 sum of its text.",
    args: &[
        Arg::string("sha1"),
        Arg::integer("numkeys"),
        Arg::key("key").optional().many(),
        Arg::string("arg").optional().many(),
    ],
    run: HostFn(|call, args| evalsha(call, args, false)),
    ..EVAL
};

const EVALSHA_RO: HostCommand = HostCommand {
    name: "evalsha_ro",
    flags: RUNS_RO.and(Flags::RUNS_SCRIPT),
    keys: KEYS_RO,
    since: "7.0.0",
    summary: "Runs a cached Lua script that changes nothing by the SHA1 sum of its text.",
    run: HostFn(|call, args| evalsha(call, args, true)),
    ..EVALSHA
};

const SCRIPT: HostCommand = HostCommand {
    name: "script",
    arity: Arity::AtLeast(2),
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about cached scripts.",
    subcommands: &[&DEBUG, &EXISTS, &FLUSH, &HELP, &KILL, &LOAD],
    ..HostCommand::BASE
};

/// Words of a request.
type Words<'a> = &'a [&'a [u8]];

/// The keys and the arguments of a script: (keys, arguments).
///
/// # Errors
/// When the number of keys is none, or there are fewer.
pub(super) fn keys_and_args<'a>(
    args: &mut Args<'a>,
    not_a_number: CommandError,
) -> Result<(Words<'a>, Words<'a>), CommandError> {
    let count = args.i64_in(i64::MIN..=i64::MAX, not_a_number)?;
    let rest = args.take_rest();
    if count > rest.len() as i64 {
        return Err(CommandError::Text("ERR Number of keys can't be greater than number of args"));
    }
    let count = usize::try_from(count).map_err(|_| CommandError::Text("ERR Number of keys can't be negative"))?;
    Ok(rest.split_at(count))
}

/// Refuses a script that does not say that it changes nothing, where nothing may be changed.
pub fn check_flags(flags: ScriptFlags, read_only: bool) -> Result<(), CommandError> {
    if read_only && !flags.intersects(ScriptFlags::NO_WRITES.union(ScriptFlags::COMPATIBLE)) {
        return Err(CommandError::Text("ERR Can not execute a script with write flag using *_ro command."));
    }
    Ok(())
}

fn eval(call: &mut Call<'_>, args: &mut Args<'_>, read_only: bool) -> CmdResult {
    let body = args.next()?;
    let (keys, argv) = keys_and_args(args, CommandError::NotInteger)?;
    call.server.feed_monitors_with_script(call.client, call.command, args.argv());
    if let Some(mode) = call.server.clients.running(call.client).script_debug {
        return Server::debug_eval(call, mode, body, keys, argv, read_only);
    }
    let sha = call.server.scripting.cache.sha_of(body);
    if call.server.scripting.cache.get(&sha).is_none() {
        add_script(call.server, sha, body, false)?;
    }
    run(call, &sha, keys, argv, read_only)
}

fn evalsha(call: &mut Call<'_>, args: &mut Args<'_>, read_only: bool) -> CmdResult {
    if call.server.clients.running(call.client).script_debug.is_some() {
        return Err(CommandError::Text("ERR Please use EVAL instead of EVALSHA for debugging"));
    }
    let name = args.next()?;
    let (keys, argv) = keys_and_args(args, CommandError::NotInteger)?;
    call.server.feed_monitors_with_script(call.client, call.command, args.argv());
    let sha = sha_of(name).filter(|sha| call.server.scripting.cache.get(sha).is_some());
    let sha = sha.ok_or(CommandError::Text("NOSCRIPT No matching script. Please use EVAL."))?;
    run(call, &sha, keys, argv, read_only)
}

/// A SHA1 sum as a client writes it.
fn sha_of(text: &[u8]) -> Option<Sha> {
    let sha: Sha = text.try_into().ok()?;
    Some(sha.map(|digit| digit.to_ascii_lowercase()))
}

/// The script of this text: its sum, what it may do, and the compiled script.
///
/// # Errors
/// The reply, when it does not compile.
pub fn script_of(server: &mut Server, body: &[u8]) -> Result<(Sha, ScriptFlags, Script), CommandError> {
    let sha = server.scripting.cache.sha_of(body);
    if server.scripting.cache.get(&sha).is_none() {
        add_script(server, sha, body, false)?;
    }
    match server.scripting.cache.peek(&sha) {
        Some(entry) => Ok((sha, entry.flags, entry.script.clone())),
        None => Err(CommandError::Text("NOSCRIPT No matching script. Please use EVAL.")),
    }
}

/// Compiles a script into the cache. `stays`: it stays until SCRIPT FLUSH.
fn add_script(server: &mut Server, sha: Sha, body: &[u8], stays: bool) -> Result<(), CommandError> {
    let (flags, code) =
        shebang::parse_script(body).map_err(|text| CommandError::owned(String::from_utf8_lossy(&text)))?;
    let mut vm = server.take_interpreter(Kind::Script)?;
    let compiled = vm.compile(code);
    if let Ok(script) = compiled {
        let gone = server.scripting.cache.insert(sha, script, flags, body, stays);
        if let Some(gone) = gone {
            vm.forget(gone.script);
            server.stats.evicted_scripts += 1;
        }
        server.give_interpreter(Kind::Script, vm);
        return Ok(());
    }
    server.give_interpreter(Kind::Script, vm);
    compiled.map(|_| ()).map_err(|error| script_error(&error))
}

fn run(call: &mut Call<'_>, sha: &Sha, keys: &[&[u8]], argv: &[&[u8]], read_only: bool) -> CmdResult {
    let Some(entry) = call.server.scripting.cache.peek(sha) else {
        return Err(CommandError::Text("NOSCRIPT No matching script. Please use EVAL."));
    };
    let (flags, script) = (entry.flags, entry.script.clone());
    check_flags(flags, read_only)?;
    call.server.script_may_start(flags)?;
    let vm = call.server.take_interpreter(Kind::Script)?;
    let start = Start { kind: Kind::Script, name: sha, flags, read_only };
    let name = std::str::from_utf8(sha).unwrap_or_default();
    let outcome =
        Server::within_script(call, &start, |server, out| vm.run_script(&script, name, keys, argv, server, out));
    call.server.give_interpreter(Kind::Script, vm);
    Server::script_outcome(call, outcome);
    Ok(Outcome::Done)
}

const LOAD: HostCommand = HostCommand {
    name: "load",
    arity: Arity::Exactly(3),
    flags: Flags::NOSCRIPT.and(Flags::STALE),
    group: Group::Scripting,
    since: "2.6.0",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) with N being the length in bytes of the script body.",
    summary: "Caches a Lua script and returns the SHA1 sum of its text.",
    args: &[Arg::string("script")],
    run: HostFn(load),
    ..HostCommand::BASE
};

fn load(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let body = args.next()?;
    let sha = sha1_hex(body);
    if call.server.scripting.cache.contains(&sha) {
        call.server.scripting.cache.keep(&sha);
    } else {
        add_script(call.server, sha, body, true)?;
    }
    call.out.bulk(&sha);
    Ok(Outcome::Done)
}

const EXISTS: HostCommand = HostCommand {
    name: "exists",
    arity: Arity::AtLeast(3),
    flags: Flags::NOSCRIPT,
    group: Group::Scripting,
    since: "2.6.0",
    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
    complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
    summary: "Tells which scripts are cached.",
    args: &[Arg::string("sha1").many()],
    run: HostFn(|call, args| {
        args.next()?;
        let sums = args.take_rest();
        call.out.array(sums.len());
        for sum in sums {
            let known = sha_of(sum).is_some_and(|sha| call.server.scripting.cache.contains(&sha));
            call.out.integer(i64::from(known));
        }
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const FLUSH: HostCommand = HostCommand {
    name: "flush",
    arity: Arity::AtLeast(2),
    flags: Flags::NOSCRIPT,
    group: Group::Scripting,
    since: "2.6.0",
    history: &[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) with N being the number of scripts in cache",
    summary: "Forgets all cached scripts.",
    args: &[Arg::one_of("flush-type", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")])
        .optional()
        .since("6.2.0")],
    run: HostFn(flush),
    ..HostCommand::BASE
};

fn flush(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let Some(later) = args.flushes_async(call.server.config.lazyfree_lazy_user_flush) else {
        return Err(CommandError::Text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    };
    call.server.flush_scripts(later)?;
    call.out.ok();
    Ok(Outcome::Done)
}

const KILL: HostCommand = HostCommand {
    name: "kill",
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
    group: Group::Scripting,
    since: "2.6.0",
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    complexity: "O(1)",
    summary: "Ends the script that runs.",
    run: HostFn(|call, _| kill(call, Kind::Script)),
    ..HostCommand::BASE
};

/// SCRIPT KILL and FUNCTION KILL.
pub(super) fn kill(call: &mut Call<'_>, kind: Kind) -> CmdResult {
    match &mut call.server.scripting.running {
        Some(running) if running.busy && running.kind != kind => return Err(busy_error(running.kind)),
        Some(running) if running.busy && running.wrote => {
            return Err(CommandError::Text(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        Some(running) if running.busy => running.killed = true,
        _ => return Err(CommandError::Text("NOTBUSY No scripts in execution right now.")),
    }
    call.out.ok();
    Ok(Outcome::Done)
}

const DEBUG: HostCommand = HostCommand {
    name: "debug",
    arity: Arity::Exactly(3),
    flags: Flags::NOSCRIPT,
    group: Group::Scripting,
    since: "3.2.0",
    complexity: "O(1)",
    summary: "Sets the debug mode of the scripts to come.",
    args: &[Arg::one_of("mode", &[Arg::word("yes", "YES"), Arg::word("sync", "SYNC"), Arg::word("no", "NO")])],
    run: HostFn(|call, args| {
        args.next()?;
        let mode = if args.keyword("NO") {
            None
        } else if args.keyword("YES") {
            Some(Mode::Forked)
        } else if args.keyword("SYNC") {
            Some(Mode::Sync)
        } else {
            return Err(CommandError::Text("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
        };
        // What follows in the pipeline would be read as commands, not by the debugger.
        if mode.is_some() && !call.out.is_empty() {
            return Err(CommandError::Text("ERR SCRIPT DEBUG must be called outside a pipeline"));
        }
        call.server.clients.running(call.client).script_debug = mode;
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Scripting,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Lists the subcommands.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "SCRIPT",
            &[
                ("DEBUG (YES|SYNC|NO)", "Set the debug mode for subsequent scripts executed."),
                ("EXISTS <sha1> [<sha1> ...]", "Return information about the existence of the scripts in the cache."),
                ("FLUSH [ASYNC|SYNC]", "Flush the Lua scripts cache. Very dangerous on replicas."),
                ("KILL", "Kill the currently executing Lua script."),
                ("LOAD <script>", "Load a script into the scripts cache without executing it."),
            ],
        )
    }),
    ..HostCommand::BASE
};

impl Server {
    /// Forgets all cached scripts, and the interpreter with them; `later`: they are freed on the background thread.
    ///
    /// # Errors
    /// When a script runs.
    pub fn flush_scripts(&mut self, later: bool) -> Result<(), CommandError> {
        let vm = self.retire_interpreter(Kind::Script)?;
        let cache = std::mem::take(&mut self.scripting.cache);
        if later {
            self.bio.free(Garbage::Scripts(Box::new(cache), vm));
        }
        Ok(())
    }

    /// What a request may do: for one that runs a script, what that says of itself, as far as it is known.
    pub fn flags_of_request(&self, flags: Flags, argv: &[&[u8]]) -> Flags {
        let name = argv.get(1).copied().unwrap_or_default();
        let declared = if flags.contains(Flags::RUNS_TEXT) {
            shebang::parse_script(name).ok().map(|(declared, _)| declared)
        } else if flags.contains(Flags::RUNS_SCRIPT) {
            sha_of(name).and_then(|sha| self.scripting.cache.peek(&sha)).map(|script| script.flags)
        } else if flags.contains(Flags::RUNS_FUNCTION) {
            self.scripting.libraries.function(name).map(|function| function.flags)
        } else {
            None
        };
        match declared {
            None => flags,
            Some(declared) if declared.contains(ScriptFlags::COMPATIBLE) => flags,
            Some(declared) if declared.contains(ScriptFlags::NO_WRITES) => flags.difference(Flags::MAY_REPLICATE),
            Some(declared) if declared.contains(ScriptFlags::ALLOW_OOM) => flags.and(Flags::WRITE),
            Some(_) => flags.and(Flags::WRITE).and(Flags::DENYOOM),
        }
    }

    /// Whether a script that says this of itself may start now.
    ///
    /// # Errors
    /// The reply, when it may not.
    pub fn script_may_start(&self, flags: ScriptFlags) -> Result<(), CommandError> {
        let writes = !flags.intersects(ScriptFlags::NO_WRITES.union(ScriptFlags::COMPATIBLE));
        if writes && !flags.contains(ScriptFlags::ALLOW_OOM) && self.is_full() {
            return Err(CommandError::Text(
                "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
            ));
        }
        if writes && self.refuses_writes() {
            return Err(CommandError::Text(crate::exec::gates::MISCONF_TEXT));
        }
        Ok(())
    }
}
