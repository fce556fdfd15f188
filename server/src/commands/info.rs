//! INFO: gathers what the sections show. <https://redis.io/docs/latest/commands/info/>

use engine::args::Args;
use engine::command::{Acl, Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::types::Kind;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::info::sections::{self, CommandCounts, DbCounts, Health, Several, SizeCounts};
use crate::info::{Section, Selection, Snapshot, render, system};
use crate::memory::Figures;
use crate::net::listener::Listener;
use crate::server::Server;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&INFO];

const INFO: HostCommand = HostCommand {
    name: "info",
    arity: Arity::AtLeast(1),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    acl: Acl::DANGEROUS,
    since: "1.0.0",
    history: &[("7.0.0", "Added support for taking multiple section arguments.")],
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    complexity: "O(1)",
    summary: "Tells about the server, and counts what it does.",
    args: &[Arg::string("section").optional().many()],
    run: HostFn(info),
    ..HostCommand::BASE
};

fn info(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    let selection = Selection::parse(args.take_rest());
    let text = render(&snapshot(call.server, selection), selection);
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// A section and what gathers it.
type Fill = (Section, fn(&Server, &mut Snapshot));

/// Gathers the sections that are wanted; the others keep their neutral values.
#[must_use]
pub fn snapshot(server: &Server, selection: Selection) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let fill: [Fill; 14] = [
        (Section::Server, fill_server),
        (Section::Clients, fill_clients),
        (Section::Memory, fill_memory),
        (Section::Persistence, fill_persistence),
        (Section::Threads, fill_threads),
        (Section::Stats, fill_stats),
        (Section::Replication, fill_replication),
        (Section::Cpu, |_, snapshot| snapshot.cpu = system::cpu()),
        (Section::Commandstats, fill_commandstats),
        (Section::Errorstats, fill_errorstats),
        (Section::Latencystats, fill_latencystats),
        (Section::Keyspace, fill_keyspace),
        (Section::Keysizes, fill_keysizes),
        (Section::Debug, fill_debug),
    ];
    for (section, fill) in fill {
        if selection.contains(section) {
            fill(server, &mut snapshot);
        }
    }
    snapshot
}

fn fill_server(server: &Server, snapshot: &mut Snapshot) {
    let now = server.clock.now();
    let hz = server.config.hz;
    let mut listeners = Vec::new();
    if server.listeners.iter().any(|listener| matches!(listener, Listener::Tcp(_))) {
        let addresses: Vec<String> =
            server.config.bind.iter().map(|word| word.trim_start_matches('-').to_owned()).collect();
        listeners.push(sections::listener(listeners.len(), "tcp", &addresses, server.config.port));
    }
    if let Some(path) = server.listeners.iter().find_map(Listener::unix_path) {
        listeners.push(sections::listener(listeners.len(), "unix", &[path.to_owned()], 0));
    }
    let path = |path: std::io::Result<std::path::PathBuf>| {
        path.map_or_else(|_| String::new(), |path| path.display().to_string())
    };
    snapshot.server = sections::Server {
        os: system::os(),
        run_id: server.run_id.clone(),
        tcp_port: server.config.port,
        server_time_usec: server.clock.unix_micros(server.clock.stamp()),
        uptime_in_seconds: (now.secs() - server.started.secs()).max(0) as u64,
        hz,
        configured_hz: hz,
        lru_clock: (now.secs() & 0xff_ffff) as u32,
        executable: path(std::env::current_exe()),
        config_file: server.config.origin.file.as_ref().map_or_else(String::new, |file| file.display().to_string()),
        listeners: Several(listeners),
        ..sections::Server::default()
    };
}

fn fill_clients(server: &Server, snapshot: &mut Snapshot) {
    let clients = &server.clients;
    snapshot.clients = sections::Clients {
        connected_clients: clients.len(),
        maxclients: server.config.maxclients,
        client_recent_max_input_buffer: clients.iter().map(|client| client.query.capacity()).max().unwrap_or(0),
        client_recent_max_output_buffer: clients.iter().map(|client| client.output.capacity()).max().unwrap_or(0),
        // Those that CLIENT PAUSE holds back wait, too.
        blocked_clients: server.blocked.len() + clients.iter().filter(|client| client.paused).count(),
        pubsub_clients: clients.iter().filter(|client| client.is_subscriber()).count(),
        watching_clients: clients.iter().filter(|client| !client.watched.is_empty()).count(),
        clients_in_timeout_table: server.blocked.with_deadline(),
        total_watched_keys: server.watchers.len(),
        total_blocking_keys: server.blocked.keys(),
        total_blocking_keys_on_nokey: server.blocked.keys_waited_for_removal(&server.clients),
        ..sections::Clients::default()
    };
}

fn fill_memory(server: &Server, snapshot: &mut Snapshot) {
    let figures = Figures::of(server);
    let memory = &mut snapshot.memory;
    system::fill_memory(memory);
    memory.used_memory = figures.used as u64;
    memory.used_memory_peak = figures.peak as u64;
    memory.used_memory_overhead = figures.overhead as u64;
    memory.used_memory_startup = figures.startup as u64;
    memory.mem_aof_buffer = server.propagation.aof.as_ref().map_or(0, |feed| feed.bytes.capacity() as u64);
    let scripting = &server.scripting;
    memory.used_memory_lua = scripting.scripts.memory_bytes() as u64;
    memory.used_memory_scripts_eval = scripting.cache.memory_bytes() as u64;
    memory.number_of_cached_scripts = scripting.cache.len();
    memory.number_of_functions = scripting.libraries.functions_len();
    memory.number_of_libraries = scripting.libraries.len();
    memory.used_memory_vm_functions = scripting.functions.memory_bytes() as u64;
    memory.used_memory_functions = scripting.libraries.memory_bytes() as u64;
    memory.maxmemory = server.config.maxmemory;
    memory.maxmemory_policy = server.config.maxmemory_policy.as_str();
    memory.mem_clients_normal = figures.clients as u64;
    memory.mem_overhead_db_hashtable_rehashing = figures.rehashing as u64;
    memory.lazyfree_pending_objects = server.bio.pending();
    memory.lazyfreed_objects = server.bio.freed();
}

fn fill_persistence(server: &Server, snapshot: &mut Snapshot) {
    let now = server.clock.now();
    let (section, saving) = (&mut snapshot.persistence, &server.snapshots);
    let health = |good| if good { Health::Ok } else { Health::Err };
    section.rdb_changes_since_last_save = server.stats.dirty;
    section.rdb_last_save_time = saving.last_save.secs();
    section.rdb_last_bgsave_status = health(saving.last_ok);
    section.rdb_last_bgsave_time_sec = saving.last_secs;
    section.rdb_bgsave_in_progress = server.saves_in_background();
    section.rdb_saves = saving.saves;
    section.rdb_last_cow_size = saving.last_cow_bytes;
    section.rdb_last_load_keys_expired = saving.last_load_expired;
    section.rdb_last_load_keys_loaded = saving.last_load_keys;
    section.current_cow_peak = server.child_stats.cow_peak;
    let (aof, rewrites) = (&server.aof, &server.aof.rewrites);
    section.aof_enabled = aof.is_enabled();
    section.aof_rewrite_in_progress = server.rewrites_aof();
    section.aof_rewrite_scheduled = rewrites.scheduled;
    section.aof_last_rewrite_time_sec = rewrites.last_secs;
    section.aof_last_bgrewrite_status = health(rewrites.last_ok);
    section.aof_rewrites = rewrites.count;
    section.aof_rewrites_consecutive_failures = rewrites.failures;
    section.aof_last_write_status = health(server.aof_error().is_none());
    section.aof_last_cow_size = rewrites.last_cow_bytes;
    if aof.is_enabled() {
        section.aof_current_size = Some(aof.size);
        section.aof_base_size = Some(aof.base_size);
        section.aof_pending_rewrite = Some(rewrites.scheduled);
        section.aof_buffer_length = Some(server.propagation.aof.as_ref().map_or(0, |feed| feed.bytes.len() as u64));
        section.aof_pending_bio_fsync = Some(aof.syncer.pending());
        section.aof_delayed_fsync = Some(aof.delayed_syncs);
    }
    if let Some(child) = server.child.as_ref().filter(|_| server.rewrites_aof()) {
        section.aof_current_rewrite_time_sec = (now.secs() - child.started.secs()).max(0);
    }
    if let Some(child) = &server.child {
        let progress = &child.progress;
        section.current_cow_size = progress.cow_bytes;
        section.current_cow_size_age = (now.secs() - progress.cow_at.secs()).max(0) as u64;
        section.current_save_keys_processed = progress.keys;
        section.current_save_keys_total = progress.keys_total;
        section.current_fork_perc = progress.keys as f64 * 100.0 / progress.keys_total.max(1) as f64;
        if server.saves_in_background() {
            section.rdb_current_bgsave_time_sec = (now.secs() - child.started.secs()).max(0);
        }
    } else {
        section.current_cow_peak = 0;
    }
    if let Some(loading) = &server.loading {
        let elapsed = (now.secs() - loading.started.secs()).max(0) as u64;
        let left = loading.total_bytes.saturating_sub(loading.loaded_bytes);
        section.loading = true;
        section.loading_start_time = Some(loading.started.secs());
        section.loading_total_bytes = Some(loading.total_bytes);
        section.loading_rdb_used_mem = Some(loading.used_memory);
        section.loading_loaded_bytes = Some(loading.loaded_bytes);
        section.loading_loaded_perc = Some(loading.loaded_bytes as f64 * 100.0 / loading.total_bytes.max(1) as f64);
        section.loading_eta_seconds = Some((elapsed * left).checked_div(loading.loaded_bytes).unwrap_or(1));
    }
}

fn fill_threads(server: &Server, snapshot: &mut Snapshot) {
    let line = sections::io_thread(0, server.clients.len(), server.stats.reads, server.stats.writes);
    snapshot.threads.io_threads = Several(vec![line]);
}

fn fill_stats(server: &Server, snapshot: &mut Snapshot) {
    let (stats, cron) = (&server.stats, &server.cron);
    let kilo = |rate: u64| rate as f64 / 1024.0;
    snapshot.stats = sections::Stats {
        total_connections_received: stats.connections,
        total_commands_processed: stats.commands,
        instantaneous_ops_per_sec: cron.commands.per_second(),
        total_net_input_bytes: stats.bytes_in,
        total_net_output_bytes: stats.bytes_out,
        instantaneous_input_kbps: kilo(cron.bytes_in.per_second()),
        instantaneous_output_kbps: kilo(cron.bytes_out.per_second()),
        rejected_connections: stats.rejected_connections,
        expired_keys: server.engine.expired_keys,
        migrate_cached_sockets: server.migrations.len(),
        expired_subkeys: server.engine.expired_fields,
        expired_time_cap_reached_count: stats.expire_time_cap_reached,
        expire_cycle_cpu_milliseconds: stats.expire_us / 1000,
        keyspace_hits: server.engine.dbs.iter().map(|db| db.hits).sum(),
        keyspace_misses: server.engine.dbs.iter().map(|db| db.misses).sum(),
        pubsub_channels: server.pubsub.channels.len(),
        pubsub_patterns: server.pubsub.patterns.len(),
        pubsubshard_channels: server.pubsub.shard_channels.len(),
        total_error_replies: stats.errors,
        evicted_scripts: stats.evicted_scripts,
        total_reads_processed: stats.reads,
        total_writes_processed: stats.writes,
        client_query_buffer_limit_disconnections: stats.query_limit_disconnections,
        client_output_buffer_limit_disconnections: stats.output_limit_disconnections,
        eventloop_cycles: stats.cycles,
        eventloop_duration_sum: stats.cycle_us,
        eventloop_duration_cmd_sum: stats.command_us,
        instantaneous_eventloop_cycles_per_sec: cron.cycles.per_second(),
        instantaneous_eventloop_duration_usec: cron.cycle_us.per_second() / cron.cycles.per_second().max(1),
        acl_access_denied_auth: stats.denied_auth,
        latest_fork_usec: server.child_stats.fork_us,
        total_forks: server.child_stats.forks,
        ..sections::Stats::default()
    };
}

fn fill_replication(server: &Server, snapshot: &mut Snapshot) {
    snapshot.replication.master_replid.clone_from(&server.replication_id);
    snapshot.replication.master_repl_offset = server.propagation.offset as _;
    snapshot.replication.repl_backlog_size = server.config.repl_backlog_size;
}

fn fill_commandstats(server: &Server, snapshot: &mut Snapshot) {
    let counts = server
        .registry
        .entries()
        .iter()
        .filter_map(|entry| CommandCounts::of(&entry.full_name, &server.command_stats[entry.id]));
    snapshot.commandstats.0 = counts.collect();
}

fn fill_errorstats(server: &Server, snapshot: &mut Snapshot) {
    snapshot.errorstats.0 =
        server.stats.errors_by_code.iter().map(|(code, &count)| (code.to_string(), count)).collect();
}

fn fill_latencystats(server: &Server, snapshot: &mut Snapshot) {
    let percentiles = &server.config.latency_tracking_info_percentiles.0;
    let lines = server.registry.entries().iter().filter_map(|entry| {
        let histogram = server.command_stats[entry.id].latencies.as_ref()?;
        Some(sections::latency(&entry.full_name, histogram, percentiles))
    });
    snapshot.latencystats.0 = Several(lines.collect());
}

fn fill_keyspace(server: &Server, snapshot: &mut Snapshot) {
    let used = server.engine.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty());
    snapshot.keyspace.0 = used
        .map(|(index, db)| DbCounts {
            db: index,
            keys: db.len() as u64,
            expires: db.expires() as u64,
            avg_ttl_ms: db.average_ttl_ms(server.clock.now()),
            subexpiry: db.field_expires() as u64,
        })
        .collect();
}

fn fill_keysizes(server: &Server, snapshot: &mut Snapshot) {
    let used = server.engine.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty());
    let rows = used.flat_map(|(db, keys)| keys.sizes().rows().map(move |(kind, counts)| (db, kind, counts)));
    snapshot.keysizes.0 = rows
        .filter_map(|(db, kind, counts)| {
            let what = match kind {
                Kind::String => "strings_sizes",
                Kind::List => "lists_items",
                Kind::Set => "sets_items",
                Kind::Zset => "zsets_items",
                Kind::Hash => "hashes_items",
                Kind::Stream => return None,
            };
            Some(SizeCounts { db, what, counts: counts.to_vec() })
        })
        .collect();
}

fn fill_debug(server: &Server, snapshot: &mut Snapshot) {
    snapshot.debug.eventloop_duration_aof_sum = server.stats.aof_us;
    snapshot.debug.eventloop_duration_cron_sum = server.stats.cron_us;
    snapshot.debug.eventloop_duration_max = server.stats.cycle_us_max;
    snapshot.debug.eventloop_cmd_per_cycle_max = server.stats.commands_per_cycle_max;
}
