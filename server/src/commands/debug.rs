//! DEBUG: for tests and for those who look inside. Guarded by `enable-debug-command`.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::ds::{quicklist, table};
use engine::error::CommandError;
use engine::keyspace::{Expiry, ValueRef};
use engine::types::{Hash, List, Set, Zset};
use persistence::disk::Operation;
use resp::Protocol;

use super::HostCommand;
use crate::config::parse::error_text;
use crate::digest;
use crate::exec::{Call, HostFn};
use crate::server::Server;
use crate::snapshot::LoadTarget;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&DEBUG];

/// Largest threshold that QUICKLIST-PACKED-THRESHOLD takes, in bytes.
const PACKED_THRESHOLD_MAX: u64 = 1 << 32;

/// What PROTOCOL DOUBLE answers: clients' tests know it.
#[expect(clippy::approx_constant, reason = "it is no approximation of anything")]
const SAMPLE_DOUBLE: f64 = 3.141;

const DEBUG: HostCommand = HostCommand {
    name: "debug",
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::PROTECTED),
    group: Group::Server,
    since: "1.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands that look inside or provoke.",
    args: &[Arg::string("subcommand"), Arg::string("arg").optional().many()],
    run: HostFn(debug),
    ..HostCommand::BASE
};

/// How DISK-FAULT has a disk fail, or work again.
const DISK_ERRORS: &[(&str, Option<i32>)] = &[("ENOSPC", Some(libc::ENOSPC)), ("EIO", Some(libc::EIO)), ("NONE", None)];

/// A subcommand: its name, how many arguments it takes behind it, what it does.
type Sub = (&'static str, std::ops::RangeInclusive<usize>, fn(&mut Call<'_>, &[&[u8]]) -> CmdResult);

const MANY: usize = usize::MAX;

const SUBCOMMANDS: &[Sub] = &[
    ("help", 0..=0, help),
    ("sleep", 1..=1, sleep),
    ("reload", 0..=3, reload),
    ("loadaof", 0..=0, loadaof),
    ("aof-flush-sleep", 1..=1, aof_flush_sleep),
    ("disk-fault", 2..=3, disk_fault),
    ("disk-journal", 1..=1, disk_journal),
    ("set-active-expire", 1..=1, set_active_expire),
    ("set-skip-checksum-validation", 1..=1, set_skip_checksum_validation),
    ("pause-cron", 1..=1, pause_cron),
    ("digest", 0..=0, digest_all),
    ("digest-value", 0..=MANY, digest_value),
    ("object", 1..=2, object),
    ("populate", 1..=3, populate),
    ("htstats", 1..=2, htstats),
    ("htstats-key", 1..=2, htstats_key),
    ("dict-resizing", 1..=1, dict_resizing),
    ("quicklist-packed-threshold", 1..=1, quicklist_packed_threshold),
    ("listpack", 1..=1, listpack),
    ("protocol", 1..=1, protocol),
    ("log", 1..=1, log),
    ("error", 1..=1, error),
    ("stringmatch-len", 2..=2, stringmatch_len),
    ("set-disable-deny-scripts", 1..=1, accepted),
    ("replybuffer", 2..=2, replybuffer),
    ("config-rewrite-force-all", 0..=0, config_rewrite_force_all),
    ("panic", 0..=0, |_, _| panic!("a panic asked for by DEBUG PANIC")),
];

fn debug(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let local = call.server.clients.running(call.client).socket.is_local();
    if !call.server.config.enable_debug_command.allows(local) {
        return Err(CommandError::Text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let name = args.next()?;
    let rest = args.take_rest();
    let found = SUBCOMMANDS
        .iter()
        .find(|(sub, count, _)| name.eq_ignore_ascii_case(sub.as_bytes()) && count.contains(&rest.len()));
    match found {
        Some((_, _, run)) => run(call, rest),
        None => Err(super::unknown_subcommand_or_arity(args.argv())),
    }
}

fn help(call: &mut Call<'_>, _: &[&[u8]]) -> CmdResult {
    super::help(
        call,
        "DEBUG",
        &[
            ("AOF-FLUSH-SLEEP <microsec>", "Server will sleep before flushing the AOF, this is used for testing."),
            ("CONFIG-REWRITE-FORCE-ALL", "Like CONFIG REWRITE but writes all configuration options."),
            ("DICT-RESIZING <0|1>", "Forbid or allow the tables of keys to resize."),
            ("DIGEST", "Output a hex signature representing the current DB content."),
            ("DIGEST-VALUE <key> [<key> ...]", "Output a hex signature of the values of all the specified keys."),
            (
                "DISK-FAULT <create|write|sync|rename|sync-folder> <ENOSPC|EIO|NONE> [<left>]",
                "Have an operation on files of data fail, after it was done <left> times (bytes for write) more.",
            ),
            ("DISK-JOURNAL <path>", "Note in a file what of the files of data became durable."),
            ("ERROR <string>", "Return a Redis protocol error with <string> as message."),
            ("HTSTATS <dbid> [full]", "Return hash table statistics of the specified Redis database."),
            ("HTSTATS-KEY <key> [full]", "Like HTSTATS but for the hash table stored at <key>'s value."),
            ("LISTPACK <key>", "Check that <key> is stored as a listpack and log its contents' size."),
            ("LOADAOF", "Flush the AOF buffers on disk and reload the AOF in memory."),
            ("LOG <message>", "Write <message> to the server log."),
            ("OBJECT <key>", "Show low level info about `key` and associated value."),
            ("PANIC", "Crash the server simulating a panic."),
            ("PAUSE-CRON <0|1>", "Stop periodic cron job processing."),
            ("POPULATE <count> [<prefix>] [<size>]", "Create <count> string keys named key:<num>."),
            ("PROTOCOL <type>", "Reply with a test value of the specified type."),
            (
                "QUICKLIST-PACKED-THRESHOLD <size>",
                "Set the size from which on list elements get a node of their own; 0 restores the default.",
            ),
            (
                "RELOAD [option ...]",
                "Save the RDB on disk and reload it back to memory. Valid <option> values: MERGE (replace keys that exist), NOFLUSH (do not empty the database), NOSAVE (load the file on disk).",
            ),
            ("REPLYBUFFER <subcommand> <value>", "Control the reply buffers' sizes."),
            ("SET-ACTIVE-EXPIRE <0|1>", "Set it to 0 to disable the removal of expired keys in the background."),
            ("SET-DISABLE-DENY-SCRIPTS <0|1>", "Let scripts run commands that are not for them."),
            ("SET-SKIP-CHECKSUM-VALIDATION <0|1>", "Believe payloads and files whatever their checksums say."),
            ("SLEEP <seconds>", "Stop the server for <seconds>. Decimals allowed."),
            ("STRINGMATCH-LEN <len> <pattern>", "Match <pattern> against a string of <len> letters."),
        ],
    )
}

fn ok(call: &mut Call<'_>) -> CmdResult {
    call.out.ok();
    Ok(Outcome::Done)
}

/// Whether a switch is set: any number but 0.
fn is_on(word: &[u8]) -> bool {
    resp::number::parse_i64(word).is_some_and(|n| n != 0)
}

fn sleep(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let seconds = resp::number::parse_f64(args[0]).unwrap_or(0.0).clamp(0.0, 86_400.0);
    // The whole server stops, as asked for.
    std::thread::sleep(Duration::from_secs_f64(seconds));
    ok(call)
}

fn reload(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let (mut save, mut flush, mut target) = (true, true, LoadTarget::default());
    for word in args {
        match &word.to_ascii_lowercase()[..] {
            b"nosave" => save = false,
            b"noflush" => flush = false,
            b"merge" => target.merge = true,
            _ => {
                return Err(CommandError::Text(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    if save {
        call.server.save_now().map_err(|_| CommandError::Text("ERR"))?;
    }
    if flush {
        call.server.engine.dbs.iter_mut().for_each(|db| drop(db.clear()));
        call.server.flush_functions(false)?;
    }
    match call.server.load_file(target, &mut Server::serve_others) {
        Ok(Some(_)) => {
            tracing::warn!("DB reloaded by DEBUG RELOAD");
            ok(call)
        }
        failed => {
            if let Err(error) = failed {
                tracing::warn!("{error}");
            }
            Err(CommandError::Text("ERR Error trying to load the RDB dump, check server logs."))
        }
    }
}

fn loadaof(call: &mut Call<'_>, _: &[&[u8]]) -> CmdResult {
    let server = &mut *call.server;
    if server.loading.is_some() {
        return Err(CommandError::Text("LOADING Redis is loading the dataset in memory"));
    }
    server.flush_aof(true);
    for db in 0..server.engine.dbs.len() {
        server.break_watches_in(db);
        drop(server.engine.dbs[db].clear());
    }
    if let Err(failed) = server.load_aof(&mut Server::serve_others) {
        // Without its data the server must not go on: it would write over them.
        tracing::warn!("{failed}");
        std::process::exit(1);
    }
    server.stats.dirty = 0;
    tracing::info!("Append Only File loaded by DEBUG LOADAOF");
    ok(call)
}

fn aof_flush_sleep(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let micros = resp::number::parse_i64(args[0]).unwrap_or(0);
    call.server.aof.flush_sleep_us = micros.clamp(0, 60_000_000).unsigned_abs();
    ok(call)
}

/// `DISK-FAULT operation error [left]`.
fn disk_fault(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let operation = Operation::ALL.iter().find(|(_, name)| args[0].eq_ignore_ascii_case(name.as_bytes()));
    let error = DISK_ERRORS.iter().find(|(name, _)| args[1].eq_ignore_ascii_case(name.as_bytes()));
    let left = args.get(2).map_or(Some(0), |left| resp::number::parse_i64(left).and_then(|left| left.try_into().ok()));
    let (Some((operation, _)), Some((_, error)), Some(left)) = (operation, error, left) else {
        return Err(CommandError::Syntax);
    };
    call.server.disk.faults().fail(*operation, *error, left);
    ok(call)
}

fn disk_journal(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(args[0]));
    let file = std::fs::File::options().append(true).create(true).open(path);
    let file = file.map_err(|error| CommandError::owned(format!("ERR {}", error_text(&error))))?;
    call.server.disk.faults().note_in(file);
    ok(call)
}

fn set_skip_checksum_validation(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    call.server.debug.skips_checksum = is_on(args[0]);
    ok(call)
}

fn set_active_expire(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    call.server.debug.active_expire_off = !is_on(args[0]);
    ok(call)
}

fn pause_cron(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    call.server.debug.cron_paused = is_on(args[0]);
    ok(call)
}

fn accepted(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    call.server.debug.scripts_run_all = is_on(args[0]);
    ok(call)
}

fn digest_all(call: &mut Call<'_>, _: &[&[u8]]) -> CmdResult {
    let digest = digest::of_databases(&call.server.engine.dbs);
    call.out.simple(&digest.to_hex());
    Ok(Outcome::Done)
}

fn digest_value(call: &mut Call<'_>, keys: &[&[u8]]) -> CmdResult {
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    call.out.array(keys.len());
    for key in keys {
        let deadline = db.deadline(key).flatten();
        let digest = db.peek(key).map(|value| digest::of_value(value, deadline)).unwrap_or_default();
        call.out.simple(&digest.to_hex());
    }
    Ok(Outcome::Done)
}

fn object(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let key = args[0];
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    if !db.contains(key) {
        return Err(CommandError::NoSuchKey);
    }
    let memory = db.memory_usage(key, 0).unwrap_or(0);
    let encoding = db.encoding(key).unwrap_or("");
    let idle = db.idle_secs(key).unwrap_or(0);
    let quicklist = db.peek(key).and_then(|value| match value {
        ValueRef::Other(other) => other.get::<List>().and_then(|list| list.quicklist_stats()),
        ValueRef::String(_) => None,
    });
    // An entry has no fixed address to tell of; its key's hash is as stable, and tells nothing about the process.
    let address = engine::ds::hash::hash(key) >> 16;
    let clock = call.now.secs() - idle as i64;
    let mut text = format!(
        "Value at:0x{address:012x} refcount:1 encoding:{encoding} serializedlength:{memory} lru:{} lru_seconds_idle:{idle}",
        clock & 0xff_ffff
    );
    if let Some(stats) = quicklist {
        let average = stats.elements as f64 / stats.nodes.max(1) as f64;
        text.push_str(&format!(
            " ql_nodes:{} ql_avg_node:{average:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            stats.nodes,
            stats.listpack_max,
            u8::from(stats.compress_depth != 0),
            stats.uncompressed_bytes
        ));
    }
    call.out.simple(&text);
    Ok(Outcome::Done)
}

fn populate(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let count = resp::number::parse_i64(args[0]).filter(|&n| n >= 0).ok_or(CommandError::NotPositive)?;
    let prefix = args.get(1).copied().unwrap_or(b"key");
    let size = match args.get(2) {
        Some(word) => {
            let size = resp::number::parse_i64(word).filter(|&n| n >= 0).ok_or(CommandError::NotPositive)?;
            if size as u64 > call.server.config.proto_max_bulk_len {
                return Err(CommandError::StringTooLong);
            }
            Some(size as usize)
        }
        None => None,
    };
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    for i in 0..count {
        let key = [prefix, format!(":{i}").as_bytes()].concat();
        if db.exists(&key) {
            continue;
        }
        let mut value = format!("value:{i}").into_bytes();
        if let Some(size) = size {
            value.resize(size, 0);
        }
        db.set_string(&key, &value, Expiry::Clear);
    }
    ok(call)
}

fn htstats(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let index = resp::number::parse_i64(args[0]).ok_or(CommandError::NotInteger)?;
    let db = usize::try_from(index).ok().and_then(|index| call.server.engine.dbs.get(index));
    let db = db.ok_or(CommandError::Text("ERR Out of range database"))?;
    let full = args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"full"));
    let mut text = "[Dictionary HT]\n".to_owned();
    if !db.is_empty() {
        text.push_str(&table_text(&db.table_stats(full), full));
    }
    // Deadlines lie in the keys' own entries: there is no second table.
    text.push_str("[Expires HT]\n");
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn htstats_key(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    let full = args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"full"));
    let stats = match db.peek(args[0]).ok_or(CommandError::NoSuchKey)? {
        ValueRef::String(_) => None,
        ValueRef::Other(other) => (other.get::<Set>().and_then(|set| set.table_stats(full)))
            .or_else(|| other.get::<Hash>().and_then(|hash| hash.table_stats(full)))
            .or_else(|| other.get::<Zset>().and_then(|zset| zset.table_stats(full))),
    };
    let stats = stats.ok_or(CommandError::Text(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))?;
    call.out.verbatim("txt", table_text(&stats, full).as_bytes());
    Ok(Outcome::Done)
}

/// The figures of a table: in logical slots, of which a bucket holds eight.
fn table_text(stats: &table::Stats, full: bool) -> String {
    let mut text = array_text(0, "main hash table", &stats.main, full);
    if let Some(target) = &stats.target {
        text.push_str(&array_text(1, "rehashing target", target, full));
    }
    text
}

fn array_text(index: usize, role: &str, array: &table::ArrayStats, full: bool) -> String {
    let mut text = format!(
        "Hash table {index} stats ({role}):\n table size: {}\n number of elements: {}\n",
        array.logical_size, array.elements
    );
    if full {
        let used = array.used_slots.max(1) as f64;
        text.push_str(&format!(
            " different slots: {}\n max chain length: {}\n avg chain length (counted): {:.2}\n avg chain length (computed): {:.2}\n Chain length distribution:\n",
            array.used_slots,
            array.longest,
            array.elements as f64 / used,
            array.elements as f64 / used
        ));
        for (length, &count) in array.lengths.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = count as f64 * 100.0 / array.logical_size.max(1) as f64;
            text.push_str(&format!("   {length}: {count} ({share:.2}%)\n"));
        }
    }
    text
}

fn dict_resizing(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    table::set_resize_policy(if is_on(args[0]) { table::ResizePolicy::Allow } else { table::ResizePolicy::Avoid });
    ok(call)
}

fn quicklist_packed_threshold(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let bytes = resp::number::parse_memory(args[0])
        .filter(|&bytes| bytes < PACKED_THRESHOLD_MAX)
        .ok_or(CommandError::Text("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))?;
    quicklist::set_packed_threshold(bytes as usize);
    ok(call)
}

fn listpack(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    if !db.contains(args[0]) {
        return Err(CommandError::NoSuchKey);
    }
    let encoding = db.encoding(args[0]).unwrap_or("");
    if !encoding.starts_with("listpack") {
        return Err(CommandError::Text("ERR Not a listpack encoded object."));
    }
    tracing::info!("{} bytes in a {encoding}", db.memory_usage(args[0], 0).unwrap_or(0));
    call.out.simple("Listpack structure printed on stdout");
    Ok(Outcome::Done)
}

fn protocol(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let name = args[0].to_ascii_lowercase();
    let out = &mut call.out;
    match &name[..] {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.integer(12345),
        b"double" => out.double(SAMPLE_DOUBLE),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|i| out.integer(i));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|i| out.integer(i));
        }
        b"map" => {
            out.map(3);
            for i in 0..3 {
                out.integer(i);
                out.boolean(i == 1);
            }
        }
        b"attrib" => {
            if out.protocol() == Protocol::Resp3 {
                out.attribute(1);
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.integer(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if out.protocol() == Protocol::Resp2 {
                return Err(CommandError::Text("ERR RESP2 is not supported by this command"));
            }
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.integer(42);
            // The reply itself follows the push.
            out.simple("OK");
        }
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        b"bignum" => out.big_number("1234567999999999999999999999999999999"),
        _ => {
            return Err(CommandError::Text(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(Outcome::Done)
}

fn log(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args[0]));
    ok(call)
}

fn error(_: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    Err(CommandError::owned(String::from_utf8_lossy(args[0]).into_owned()))
}

fn stringmatch_len(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    let max = call.server.config.proto_max_bulk_len as i64;
    let len = resp::number::parse_i64(args[0]).filter(|n| (0..=max).contains(n)).ok_or(CommandError::NotInteger)?;
    let matched = engine::glob::matches(args[1], &vec![b'a'; len as usize]);
    call.out.integer(i64::from(matched));
    Ok(Outcome::Done)
}

fn replybuffer(call: &mut Call<'_>, args: &[&[u8]]) -> CmdResult {
    // Buffers are borrowed from a pool while there is something in them: there is no peak to be reset and no size to
    // be kept from changing, so the switches hold without doing anything.
    let known = args[0].eq_ignore_ascii_case(b"peak-reset-time") || args[0].eq_ignore_ascii_case(b"resizing");
    if !known {
        return Err(CommandError::Syntax);
    }
    ok(call)
}

fn config_rewrite_force_all(call: &mut Call<'_>, _: &[&[u8]]) -> CmdResult {
    super::config::rewrite(call, true)
}
