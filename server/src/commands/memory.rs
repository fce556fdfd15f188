//! MEMORY. <https://redis.io/docs/latest/commands/?name=memory>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group, KeyFlags, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::memory::{Figures, allocator};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&MEMORY];

/// Elements that MEMORY USAGE looks at unless told; 0 looks at all.
const SAMPLES_DEFAULT: i64 = 5;

const MEMORY: HostCommand = HostCommand {
    name: "memory",
    arity: Arity::AtLeast(2),
    group: Group::Server,
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about memory.",
    subcommands: &[&DOCTOR, &HELP, &MALLOC_STATS, &PURGE, &STATS, &USAGE],
    ..HostCommand::BASE
};

const USAGE: HostCommand = HostCommand {
    name: "usage",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Server,
    keys: &[KeySpec::at(2, KeyFlags::RO)],
    since: "4.0.0",
    complexity: "O(N) where N is the number of samples.",
    summary: "Estimates the bytes that a key and its value take.",
    args: &[Arg::key("key"), Arg::integer("count").token("SAMPLES").optional()],
    run: HostFn(usage),
    ..HostCommand::BASE
};

fn usage(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let key = args.next()?;
    let mut samples = SAMPLES_DEFAULT;
    while !args.is_done() {
        if !args.keyword("SAMPLES") {
            return Err(CommandError::Syntax);
        }
        let word = args.next()?;
        samples = resp::number::parse_i64(word).ok_or(CommandError::NotInteger)?;
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
    }
    let db = call.server.clients.running(call.client).db as usize;
    let db = &mut call.server.engine.dbs[db];
    db.begin(call.now);
    match db.memory_usage(key, samples as usize) {
        Some(bytes) => call.out.integer(bytes as i64),
        None => call.out.null(),
    }
    Ok(Outcome::Done)
}

const STATS: HostCommand = HostCommand {
    name: "stats",
    arity: Arity::Exactly(2),
    group: Group::Server,
    since: "4.0.0",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    complexity: "O(1)",
    summary: "Tells what memory is used for.",
    run: HostFn(stats),
    ..HostCommand::BASE
};

fn stats(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let server = &*call.server;
    let figures = Figures::of(server);
    let dbs: Vec<(usize, usize)> = server
        .engine
        .dbs
        .iter()
        .enumerate()
        .filter(|(_, db)| !db.is_empty())
        .map(|(index, db)| (index, db.table_bytes()))
        .collect();
    let out = &mut call.out;
    let whole: [(&str, usize); 15] = [
        ("peak.allocated", figures.peak),
        ("total.allocated", figures.used),
        ("startup.allocated", figures.startup),
        ("replication.backlog", 0),
        ("replica.fullsync.buffer", 0),
        ("clients.slaves", 0),
        ("clients.normal", figures.clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("script.VMs", 0),
        ("overhead.db.hashtable.lut", figures.tables),
        ("overhead.db.hashtable.rehashing", figures.rehashing),
        ("overhead.total", figures.overhead),
    ];
    let behind: [(&str, usize); 8] = [
        ("db.dict.rehashing.count", figures.tables_rehashing),
        ("keys.count", figures.keys),
        ("keys.bytes-per-key", figures.bytes_per_key()),
        ("dataset.bytes", figures.dataset()),
        ("allocator.allocated", figures.allocator.allocated),
        ("allocator.active", figures.allocator.active),
        ("allocator.resident", figures.allocator.resident),
        ("allocator.muzzy", 0),
    ];
    let ratios: [(&str, f64); 5] = [
        ("dataset.percentage", figures.dataset_percent()),
        ("peak.percentage", figures.peak_percent()),
        ("allocator-fragmentation.ratio", figures.allocator.fragmentation()),
        ("allocator-rss.ratio", figures.allocator.resident as f64 / figures.allocator.active.max(1) as f64),
        ("fragmentation", figures.resident as f64 / figures.used.max(1) as f64),
    ];
    out.map(whole.len() + dbs.len() + behind.len() + ratios.len());
    let mut number = |name: &str, bytes: usize| {
        out.bulk(name.as_bytes());
        out.integer(bytes as i64);
    };
    whole.iter().for_each(|&(name, bytes)| number(name, bytes));
    behind.iter().for_each(|&(name, bytes)| number(name, bytes));
    for (index, table) in dbs {
        out.bulk(format!("db.{index}").as_bytes());
        out.map(2);
        out.bulk(b"overhead.hashtable.main");
        out.integer(table as i64);
        out.bulk(b"overhead.hashtable.expires");
        out.integer(0);
    }
    for (name, ratio) in ratios {
        out.bulk(name.as_bytes());
        out.double(ratio);
    }
    Ok(Outcome::Done)
}

const DOCTOR: HostCommand = HostCommand {
    name: "doctor",
    arity: Arity::Exactly(2),
    group: Group::Server,
    since: "4.0.0",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    complexity: "O(1)",
    summary: "Tells in words whether something about memory needs attention.",
    run: HostFn(doctor),
    ..HostCommand::BASE
};

fn doctor(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    /// Below this nothing can be said.
    const SMALL: usize = 5 * 1024 * 1024;
    let figures = Figures::of(call.server);
    let fragmentation = figures.allocator.fragmentation();
    let resident = figures.resident as f64 / figures.used.max(1) as f64;
    let per_client = figures.clients / call.server.clients.len().max(1);
    let mut findings = Vec::new();
    if figures.peak as f64 > figures.used as f64 * 1.5 {
        findings.push(format!(
            "Peak memory: memory use was {} times what it is now. The allocator may keep the pages; MEMORY PURGE gives them back.",
            figures.peak / figures.used.max(1)
        ));
    }
    if fragmentation > 1.1 {
        findings.push(format!(
            "High allocator fragmentation: its active pages are {fragmentation:.2} times what is allocated."
        ));
    }
    if resident > 1.4 {
        findings.push(format!("High resident set: {resident:.2} times what is allocated. MEMORY PURGE may help."));
    }
    if per_client > 200 * 1024 {
        findings.push(
            "Big client buffers: more than 200 KiB a client. Some do not read their replies, or send huge requests."
                .to_owned(),
        );
    }
    let text = if figures.used < SMALL {
        "This instance is empty or uses very little memory: there is nothing to examine.\n".to_owned()
    } else if findings.is_empty() {
        "No memory issue was found.\n".to_owned()
    } else {
        findings.iter().map(|finding| format!("* {finding}\n")).collect()
    };
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

const MALLOC_STATS: HostCommand = HostCommand {
    name: "malloc-stats",
    arity: Arity::Exactly(2),
    group: Group::Server,
    since: "4.0.0",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    complexity: "Depends on how much memory is allocated, could be slow",
    summary: "Returns the allocator's own figures.",
    run: HostFn(|call, _| {
        call.out.verbatim("txt", allocator().report().as_bytes());
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const PURGE: HostCommand = HostCommand {
    name: "purge",
    arity: Arity::Exactly(2),
    group: Group::Server,
    since: "4.0.0",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "Depends on how much memory is allocated, could be slow",
    summary: "Has the allocator give unused pages back to the system.",
    run: HostFn(|call, _| {
        crate::sys::alloc::purge();
        call.out.ok();
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "MEMORY",
            &[
                ("DOCTOR", "Return memory problems reports."),
                ("MALLOC-STATS", "Return internal statistics report from the memory allocator."),
                ("PURGE", "Attempt to purge dirty pages for reclamation by the allocator."),
                ("STATS", "Return information about the memory usage of the server."),
                (
                    "USAGE <key> [SAMPLES <count>]",
                    "Return memory in bytes used by <key> and its value. Nested values are sampled up to <count> times (default: 5, 0 means sample all).",
                ),
            ],
        )
    }),
    ..HostCommand::BASE
};
