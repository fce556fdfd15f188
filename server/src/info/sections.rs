//! The fields of each section: a field of a struct is a line of the same name. What follows a field behind a comma is
//! a line computed from the section, shown right after it.

use std::fmt::Write as _;
use std::time::Duration;

use super::human;
use crate::commandstats::{CommandStat, Histogram};
use crate::config::value::Percentiles;

/// A section as lines.
pub trait Lines {
    /// Appends them, each ended by CR LF.
    fn lines(&self, out: &mut String);
}

/// Everything that INFO shows.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each is documented at its type")]
pub struct Snapshot {
    pub server: Server,
    pub clients: Clients,
    pub memory: Memory,
    pub persistence: Persistence,
    pub threads: Threads,
    pub stats: Stats,
    pub replication: Replication,
    pub cpu: Cpu,
    pub modules: Modules,
    pub commandstats: Commandstats,
    pub errorstats: Errorstats,
    pub latencystats: Latencystats,
    pub cluster: Cluster,
    pub keyspace: Keyspace,
    pub keysizes: Keysizes,
    pub debug: Debug,
}

/// A value that is shown as one line or several, or not at all.
trait Show {
    fn show(&self, name: &str, out: &mut String);
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    write!(out, "{name}:{value}\r\n").expect("writing to a string never fails");
}

macro_rules! show_as_text {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self, name: &str, out: &mut String) {
                line(out, name, self);
            }
        }
    )*};
}
show_as_text!(u16, u32, u64, i32, i64, usize, String, &'static str);

impl Show for bool {
    fn show(&self, name: &str, out: &mut String) {
        line(out, name, u8::from(*self));
    }
}

impl Show for f64 {
    fn show(&self, name: &str, out: &mut String) {
        line(out, name, format_args!("{self:.2}"));
    }
}

impl Show for Duration {
    fn show(&self, name: &str, out: &mut String) {
        line(out, name, format_args!("{}.{:06}", self.as_secs(), self.subsec_micros()));
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, name: &str, out: &mut String) {
        if let Some(value) = self {
            value.show(name, out);
        }
    }
}

/// How something went the last time: `ok` or `err`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Health {
    /// Well, or it has not happened yet.
    #[default]
    Ok,
    /// Not well.
    Err,
}

impl Show for Health {
    fn show(&self, name: &str, out: &mut String) {
        line(out, name, if *self == Health::Ok { "ok" } else { "err" });
    }
}

/// Lines that bring their own names.
#[derive(Clone, Debug, Default)]
pub struct Several(pub Vec<(String, String)>);

impl Show for Several {
    fn show(&self, _: &str, out: &mut String) {
        for (name, value) in &self.0 {
            line(out, name, value);
        }
    }
}

impl Lines for Several {
    fn lines(&self, out: &mut String) {
        self.show("", out);
    }
}

macro_rules! section {
    ($(#[$meta:meta])* $section:ident { $(
        $(#[$field_meta:meta])* $field:ident: $type:ty $([$default:expr])? $(, $extra:ident = $compute:expr)*;
    )* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $section { $($(#[$field_meta])* pub $field: $type,)* }

        impl Default for $section {
            #[allow(unused_variables, reason = "a default of its own replaces the type's")]
            fn default() -> Self {
                $section { $($field: { let value = <$type>::default(); $(let value: $type = $default.into();)? value },)* }
            }
        }

        impl Lines for $section {
            fn lines(&self, out: &mut String) {
                $(
                    self.$field.show(stringify!($field), out);
                    $({
                        let compute: fn(&$section) -> _ = $compute;
                        compute(self).show(stringify!($extra), out);
                    })*
                )*
            }
        }
    };
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", ratio(part, whole) * 100.0)
}

/// How much larger one number is than another.
fn excess(more: u64, less: u64) -> i64 {
    more as i64 - less as i64
}

section! {
    /// The process.
    Server {
        /// The version that clients go by.
        redis_version: &'static str [crate::REDIS_VERSION], redis_server_rs_version = |_| env!("CARGO_PKG_VERSION");
        /// Of the sources; none is recorded.
        redis_git_sha1: &'static str ["00000000"];
        /// Whether they were changed.
        redis_git_dirty: bool;
        /// Of the build; none is recorded.
        redis_build_id: &'static str ["0000000000000000"];
        /// `standalone`, `cluster` or `sentinel`.
        redis_mode: &'static str ["standalone"];
        /// Operating system, release and machine.
        os: String;
        /// Width of a pointer.
        arch_bits: u32 [usize::BITS];
        /// Where short times come from.
        monotonic_clock: &'static str ["POSIX clock_gettime"];
        /// How sockets are waited for.
        multiplexing_api: &'static str ["epoll"];
        /// How threads share numbers.
        atomicvar_api: &'static str ["c11-builtin"];
        /// No C compiler made this.
        gcc_version: &'static str ["0.0.0"];
        /// Process id.
        process_id: u32 [std::process::id()];
        /// `no`, `systemd` or `upstart`.
        process_supervised: &'static str ["no"];
        /// Identity of this run.
        run_id: String;
        /// The port that is listened on.
        tcp_port: u16;
        /// Microseconds since the epoch.
        server_time_usec: i64;
        /// Seconds since the start.
        uptime_in_seconds: u64, uptime_in_days = |server| server.uptime_in_seconds / 86400;
        /// Periodic runs a second now.
        hz: u32;
        /// Periodic runs a second as configured.
        configured_hz: u32;
        /// The clock of keys' idle times, in seconds modulo 2^24.
        lru_clock: u32;
        /// Absolute path of the program.
        executable: String;
        /// Absolute path of the configuration file; empty without one.
        config_file: String;
        /// Whether network threads are at work.
        io_threads_active: bool;
        /// One a kind of listener: see [`listener`].
        listeners: Several;
        /// Milliseconds until the end, during a shutdown.
        shutdown_in_milliseconds: Option<i64>;
    }
}

/// The line of a kind of listener.
#[must_use]
pub fn listener(index: usize, kind: &str, addresses: &[String], port: u16) -> (String, String) {
    let mut text = format!("name={kind}");
    for address in addresses {
        write!(text, ",bind={address}").expect("writing to a string never fails");
    }
    if port != 0 {
        write!(text, ",port={port}").expect("writing to a string never fails");
    }
    (format!("listener{index}"), text)
}

section! {
    /// The connections.
    Clients {
        /// Those of clients, replicas aside.
        connected_clients: usize;
        /// Sockets of the cluster bus.
        cluster_connections: usize;
        /// Most at a time.
        maxclients: u32;
        /// Largest query buffer of late, in bytes.
        client_recent_max_input_buffer: usize;
        /// Longest list of replies of late, in bytes.
        client_recent_max_output_buffer: usize;
        /// Waiting in a blocking command.
        blocked_clients: usize;
        /// With client-side caching.
        tracking_clients: usize;
        /// In subscriber mode.
        pubsub_clients: usize;
        /// In WATCH.
        watching_clients: usize;
        /// With a timeout.
        clients_in_timeout_table: usize;
        /// Keys that are watched.
        total_watched_keys: usize;
        /// Keys that are waited for.
        total_blocking_keys: usize;
        /// Keys whose removal is waited for.
        total_blocking_keys_on_nokey: usize;
    }
}

section! {
    /// The memory, in bytes.
    Memory {
        /// Allocated by the process.
        used_memory: u64, used_memory_human = |memory| human(memory.used_memory);
        /// Resident.
        used_memory_rss: u64, used_memory_rss_human = |memory| human(memory.used_memory_rss);
        /// Most ever allocated.
        used_memory_peak: u64,
            used_memory_peak_human = |memory| human(memory.used_memory_peak),
            used_memory_peak_perc = |memory| percent(memory.used_memory, memory.used_memory_peak);
        /// Everything but the data: buffers, tables, what the start took.
        used_memory_overhead: u64;
        /// Allocated when the server was up.
        used_memory_startup: u64,
            used_memory_dataset = |memory| memory.dataset(),
            used_memory_dataset_perc = |memory| {
                percent(memory.dataset(), memory.used_memory.saturating_sub(memory.used_memory_startup))
            };
        /// The allocator's own count of what is allocated.
        allocator_allocated: u64;
        /// In pages with anything allocated.
        allocator_active: u64;
        /// In pages that the allocator holds.
        allocator_resident: u64;
        /// In pages that the kernel may take back.
        allocator_muzzy: u64;
        /// Of the machine.
        total_system_memory: u64, total_system_memory_human = |memory| human(memory.total_system_memory);
        /// Of the interpreter for EVAL.
        used_memory_lua: u64,
            used_memory_vm_eval = |memory| memory.used_memory_lua,
            used_memory_lua_human = |memory| human(memory.used_memory_lua);
        /// Of cached scripts.
        used_memory_scripts_eval: u64;
        /// Scripts in the cache.
        number_of_cached_scripts: usize;
        /// Functions.
        number_of_functions: usize;
        /// Libraries of functions.
        number_of_libraries: usize;
        /// Of the interpreter for functions.
        used_memory_vm_functions: u64,
            used_memory_vm_total = |memory| memory.interpreters(),
            used_memory_vm_total_human = |memory| human(memory.interpreters());
        /// Of functions.
        used_memory_functions: u64,
            used_memory_scripts = |memory| memory.scripts(),
            used_memory_scripts_human = |memory| human(memory.scripts());
        /// The limit; 0 for none.
        maxmemory: u64, maxmemory_human = |memory| human(memory.maxmemory);
        /// What is evicted.
        maxmemory_policy: &'static str ["noeviction"],
            allocator_frag_ratio = |memory| ratio(memory.allocator_active, memory.allocator_allocated),
            allocator_frag_bytes = |memory| excess(memory.allocator_active, memory.allocator_allocated),
            allocator_rss_ratio = |memory| ratio(memory.allocator_resident, memory.allocator_active),
            allocator_rss_bytes = |memory| excess(memory.allocator_resident, memory.allocator_active),
            rss_overhead_ratio = |memory| ratio(memory.used_memory_rss, memory.allocator_resident),
            rss_overhead_bytes = |memory| excess(memory.used_memory_rss, memory.allocator_resident),
            mem_fragmentation_ratio = |memory| ratio(memory.used_memory_rss, memory.used_memory),
            mem_fragmentation_bytes = |memory| excess(memory.used_memory_rss, memory.used_memory);
        /// Buffers of replicas and of the append-only file, which eviction does not look at.
        mem_not_counted_for_evict: u64;
        /// The replication backlog.
        mem_replication_backlog: u64;
        /// It and what replicas hold of it.
        mem_total_replication_buffers: u64;
        /// What arrived during a full sync.
        mem_replica_full_sync_buffer: u64;
        /// Replicas' buffers.
        mem_clients_slaves: u64;
        /// Clients' buffers.
        mem_clients_normal: u64;
        /// Buffers of the cluster bus.
        mem_cluster_links: u64;
        /// What waits to be written to the append-only file.
        mem_aof_buffer: u64;
        /// Name and version of the allocator.
        mem_allocator: &'static str ["jemalloc-5.3.0"];
        /// Tables that are being resized.
        mem_overhead_db_hashtable_rehashing: u64;
        /// Percentage of CPU that defragmentation takes now; 0 when it rests.
        active_defrag_running: u32;
        /// Values that the background thread has yet to free.
        lazyfree_pending_objects: u64;
        /// Values that it has freed.
        lazyfreed_objects: u64;
    }
}

impl Memory {
    fn dataset(&self) -> u64 {
        self.used_memory.saturating_sub(self.used_memory_overhead)
    }

    fn interpreters(&self) -> u64 {
        self.used_memory_lua + self.used_memory_vm_functions
    }

    fn scripts(&self) -> u64 {
        self.used_memory_scripts_eval + self.used_memory_functions
    }
}

section! {
    /// Snapshots and the append-only file.
    Persistence {
        /// The data set is being loaded.
        loading: bool;
        /// It is, and the old one still answers.
        async_loading: bool;
        /// Most memory that a child ever copied, in bytes.
        current_cow_peak: u64;
        /// What the child has copied so far, in bytes.
        current_cow_size: u64;
        /// Seconds since it was measured.
        current_cow_size_age: u64;
        /// Percentage of the child's work that is done.
        current_fork_perc: f64;
        /// Keys that the child has dealt with.
        current_save_keys_processed: u64;
        /// Keys that it has to.
        current_save_keys_total: u64;
        /// Changes since the last save.
        rdb_changes_since_last_save: u64;
        /// A child saves.
        rdb_bgsave_in_progress: bool;
        /// Seconds since the epoch of the last good save.
        rdb_last_save_time: i64;
        /// How the last one went.
        rdb_last_bgsave_status: Health;
        /// Seconds it took; -1 for none.
        rdb_last_bgsave_time_sec: i64 [-1];
        /// Seconds the running one takes; -1 for none.
        rdb_current_bgsave_time_sec: i64 [-1];
        /// Saves so far.
        rdb_saves: u64;
        /// Bytes copied during the last one.
        rdb_last_cow_size: u64;
        /// Expired keys that the last loading left out.
        rdb_last_load_keys_expired: u64;
        /// Keys that it took.
        rdb_last_load_keys_loaded: u64;
        /// Writes are logged.
        aof_enabled: bool;
        /// A child rewrites the log.
        aof_rewrite_in_progress: bool;
        /// It is to, later.
        aof_rewrite_scheduled: bool;
        /// Seconds the last rewrite took; -1 for none.
        aof_last_rewrite_time_sec: i64 [-1];
        /// Seconds the running one takes; -1 for none.
        aof_current_rewrite_time_sec: i64 [-1];
        /// How the last one went.
        aof_last_bgrewrite_status: Health;
        /// Rewrites so far.
        aof_rewrites: u64;
        /// Failures since the last good one.
        aof_rewrites_consecutive_failures: u64;
        /// How the last write went.
        aof_last_write_status: Health;
        /// Bytes copied during the last rewrite.
        aof_last_cow_size: u64;
        /// Modules do not exist here.
        module_fork_in_progress: bool;
        /// Nor do their children.
        module_fork_last_cow_size: u64;
        /// With the append-only file on: its bytes.
        aof_current_size: Option<u64>;
        /// Its bytes after the last rewrite.
        aof_base_size: Option<u64>;
        /// A rewrite waits for a save to end.
        aof_pending_rewrite: Option<bool>;
        /// Bytes not yet written.
        aof_buffer_length: Option<u64>;
        /// Flushes not yet done.
        aof_pending_bio_fsync: Option<u64>;
        /// Flushes that came late.
        aof_delayed_fsync: Option<u64>;
        /// While loading: since when, in seconds since the epoch.
        loading_start_time: Option<i64>;
        /// Bytes in all.
        loading_total_bytes: Option<u64>;
        /// Bytes that the RDB was made from.
        loading_rdb_used_mem: Option<u64>;
        /// Bytes loaded.
        loading_loaded_bytes: Option<u64>;
        /// The same as a percentage.
        loading_loaded_perc: Option<f64>;
        /// Seconds that remain.
        loading_eta_seconds: Option<u64>;
    }
}

section! {
    /// The network threads.
    Threads {
        /// One a thread: see [`io_thread`].
        io_threads: Several;
    }
}

/// The line of a network thread; the first is the main thread.
#[must_use]
pub fn io_thread(index: usize, clients: usize, reads: u64, writes: u64) -> (String, String) {
    (format!("io_thread_{index}"), format!("clients={clients},reads={reads},writes={writes}"))
}

section! {
    /// What has happened since the start or the last CONFIG RESETSTAT.
    Stats {
        /// Connections accepted.
        total_connections_received: u64;
        /// Commands run.
        total_commands_processed: u64;
        /// Commands a second of late.
        instantaneous_ops_per_sec: u64;
        /// Bytes received.
        total_net_input_bytes: u64;
        /// Bytes sent.
        total_net_output_bytes: u64;
        /// Bytes received from a primary.
        total_net_repl_input_bytes: u64;
        /// Bytes sent to replicas.
        total_net_repl_output_bytes: u64;
        /// Kilobytes received a second of late.
        instantaneous_input_kbps: f64;
        /// Kilobytes sent a second of late.
        instantaneous_output_kbps: f64;
        /// The same from a primary.
        instantaneous_input_repl_kbps: f64;
        /// The same to replicas.
        instantaneous_output_repl_kbps: f64;
        /// Connections refused because of `maxclients`.
        rejected_connections: u64;
        /// Full syncs.
        sync_full: u64;
        /// Partial syncs.
        sync_partial_ok: u64;
        /// Partial syncs that were not possible.
        sync_partial_err: u64;
        /// Hash fields that expired.
        expired_subkeys: u64;
        /// Keys that expired.
        expired_keys: u64;
        /// Estimated percentage of keys that have expired and still stand.
        expired_stale_perc: f64;
        /// Times the expiry cycle ran out of time.
        expired_time_cap_reached_count: u64;
        /// Time it took.
        expire_cycle_cpu_milliseconds: u64;
        /// Keys evicted.
        evicted_keys: u64;
        /// Clients evicted.
        evicted_clients: u64;
        /// Scripts evicted.
        evicted_scripts: u64;
        /// Milliseconds above `maxmemory`.
        total_eviction_exceeded_time: u64;
        /// Milliseconds since it was passed.
        current_eviction_exceeded_time: u64;
        /// Lookups that found a key.
        keyspace_hits: u64;
        /// Lookups that found none.
        keyspace_misses: u64;
        /// Channels with subscribers.
        pubsub_channels: usize;
        /// Patterns with subscribers.
        pubsub_patterns: usize;
        /// Shard channels with subscribers.
        pubsubshard_channels: usize;
        /// Microseconds the last fork took.
        latest_fork_usec: u64;
        /// Forks.
        total_forks: u64;
        /// Connections kept for MIGRATE.
        migrate_cached_sockets: usize;
        /// Keys with a TTL that a writable replica tracks.
        slave_expires_tracked_keys: usize;
        /// Values moved by defragmentation.
        active_defrag_hits: u64;
        /// Values left in place.
        active_defrag_misses: u64;
        /// Keys moved.
        active_defrag_key_hits: u64;
        /// Keys left in place.
        active_defrag_key_misses: u64;
        /// Milliseconds of fragmentation above the threshold.
        total_active_defrag_time: u64;
        /// Milliseconds since it was passed.
        current_active_defrag_time: u64;
        /// Keys in the tracking table.
        tracking_total_keys: usize;
        /// Clients in it, once for each key.
        tracking_total_items: usize;
        /// Prefixes that are tracked.
        tracking_total_prefixes: usize;
        /// Errors that should not have been.
        unexpected_error_replies: u64;
        /// Error replies.
        total_error_replies: u64;
        /// Payloads examined in depth.
        dump_payload_sanitizations: u64;
        /// Reads from sockets.
        total_reads_processed: u64;
        /// Writes to sockets.
        total_writes_processed: u64;
        /// Reads on network threads.
        io_threaded_reads_processed: u64;
        /// Writes on network threads.
        io_threaded_writes_processed: u64;
        /// Clients cut off for what they sent.
        client_query_buffer_limit_disconnections: u64;
        /// Clients cut off for what they did not read.
        client_output_buffer_limit_disconnections: u64;
        /// Reply buffers made smaller.
        reply_buffer_shrinks: u64;
        /// Reply buffers made larger.
        reply_buffer_expands: u64;
        /// Turns of the event loop.
        eventloop_cycles: u64;
        /// Microseconds they took, waiting aside.
        eventloop_duration_sum: u64;
        /// Microseconds of them spent in commands.
        eventloop_duration_cmd_sum: u64;
        /// Turns a second of late.
        instantaneous_eventloop_cycles_per_sec: u64;
        /// Microseconds of a turn of late.
        instantaneous_eventloop_duration_usec: u64;
        /// Failed authentications.
        acl_access_denied_auth: u64;
        /// Commands refused.
        acl_access_denied_cmd: u64;
        /// Keys refused.
        acl_access_denied_key: u64;
        /// Channels refused.
        acl_access_denied_channel: u64;
    }
}

section! {
    /// Primary and replicas.
    Replication {
        /// `master` or `slave`.
        role: &'static str ["master"];
        /// What a replica tells of its primary.
        upstream: Option<Upstream>;
        /// Replicas.
        connected_slaves: usize;
        /// With `min-replicas-to-write`: those that count.
        min_slaves_good_slaves: Option<usize>;
        /// One a replica: see [`replica`].
        slaves: Several;
        /// State of a FAILOVER.
        master_failover_state: &'static str ["no-failover"];
        /// Identity of the data's history.
        master_replid: String ["0".repeat(40)];
        /// The history before, after a takeover.
        master_replid2: String ["0".repeat(40)];
        /// Bytes of the stream so far.
        master_repl_offset: i64;
        /// Up to where the history before is valid; -1 for none.
        second_repl_offset: i64 [-1];
        /// There is a backlog.
        repl_backlog_active: bool;
        /// Its bytes.
        repl_backlog_size: u64 [1u64 << 20];
        /// The offset of its first byte.
        repl_backlog_first_byte_offset: i64;
        /// The bytes in it.
        repl_backlog_histlen: u64;
    }
}

section! {
    /// A replica's view of its primary.
    Upstream {
        /// Host of the primary.
        master_host: String;
        /// Its port.
        master_port: u16;
        /// `up` or `down`.
        master_link_status: &'static str ["down"];
        /// Seconds since anything came; -1 without a link.
        master_last_io_seconds_ago: i64 [-1];
        /// A full sync runs.
        master_sync_in_progress: bool;
        /// Bytes of the stream received.
        slave_read_repl_offset: i64;
        /// Bytes of the stream applied.
        slave_repl_offset: i64;
        /// Bytes gathered during a full sync.
        replica_full_sync_buffer_size: u64;
        /// Most of them.
        replica_full_sync_buffer_peak: u64;
        /// During a full sync: its bytes; -1 when unknown.
        master_sync_total_bytes: Option<i64>;
        /// Bytes received.
        master_sync_read_bytes: Option<u64>;
        /// Bytes that remain.
        master_sync_left_bytes: Option<i64>;
        /// The same as a percentage.
        master_sync_perc: Option<f64>;
        /// Seconds since anything came.
        master_sync_last_io_seconds_ago: Option<i64>;
        /// While the link is down: for how many seconds; -1 since ever.
        master_link_down_since_seconds: Option<i64>;
        /// Preference for promotion.
        slave_priority: u32 [100u32];
        /// Clients may not write.
        slave_read_only: bool [true];
        /// Sentinel is shown this replica.
        replica_announced: bool [true];
    }
}

impl Show for Upstream {
    fn show(&self, _: &str, out: &mut String) {
        self.lines(out);
    }
}

/// The line of a replica.
#[must_use]
pub fn replica(index: usize, ip: &str, port: u16, state: &str, offset: i64, lag: i64) -> (String, String) {
    (format!("slave{index}"), format!("ip={ip},port={port},state={state},offset={offset},lag={lag}"))
}

section! {
    /// Processor time: see [`super::system::cpu`].
    Cpu {
        /// In the kernel, all threads.
        used_cpu_sys: Duration;
        /// Outside of it, all threads.
        used_cpu_user: Duration;
        /// In the kernel, children that have ended.
        used_cpu_sys_children: Duration;
        /// Outside of it, children that have ended.
        used_cpu_user_children: Duration;
        /// In the kernel, the main thread.
        used_cpu_sys_main_thread: Duration;
        /// Outside of it, the main thread.
        used_cpu_user_main_thread: Duration;
    }
}

section! {
    /// Modules.
    Modules {
        /// There are none.
        modules: Several;
    }
}

/// Calls and times of the commands that were called.
#[derive(Clone, Debug, Default)]
pub struct Commandstats(pub Vec<CommandCounts>);

/// What is shown of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandCounts {
    /// Its name: `get`, `config|get`.
    pub name: String,
    /// Times it ran.
    pub calls: u64,
    /// Microseconds it ran in all.
    pub micros: u64,
    /// Times it was refused before running.
    pub rejected: u64,
    /// Times it answered with an error.
    pub failed: u64,
}

impl CommandCounts {
    /// Of a command that is to be shown; none if it was never called.
    #[must_use]
    pub fn of(name: &str, stat: &CommandStat) -> Option<Self> {
        let &CommandStat { calls, micros, rejected, failed, .. } = stat;
        (!stat.is_empty()).then(|| CommandCounts { name: name.to_owned(), calls, micros, rejected, failed })
    }
}

impl Lines for Commandstats {
    fn lines(&self, out: &mut String) {
        for CommandCounts { name, calls, micros, rejected, failed } in &self.0 {
            let each = ratio(*micros, *calls);
            write!(
                out,
                "cmdstat_{name}:calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}\r\n"
            )
            .expect("writing to a string never fails");
        }
    }
}

/// Error replies by code.
#[derive(Clone, Debug, Default)]
pub struct Errorstats(pub Vec<(String, u64)>);

impl Lines for Errorstats {
    fn lines(&self, out: &mut String) {
        for (code, count) in &self.0 {
            // Codes are what scripts and modules make up, too: the line must stay one.
            let code: String = code.chars().map(|c| if c.is_control() || c == ':' { '_' } else { c }).collect();
            write!(out, "errorstat_{code}:count={count}\r\n").expect("writing to a string never fails");
        }
    }
}

/// Percentiles of the commands' latencies, ready to show: see [`latency`].
#[derive(Clone, Debug, Default)]
pub struct Latencystats(pub Several);

impl Lines for Latencystats {
    fn lines(&self, out: &mut String) {
        self.0.lines(out);
    }
}

/// The line of a command's latencies.
#[must_use]
pub fn latency(name: &str, histogram: &Histogram, percentiles: &[f64]) -> (String, String) {
    let text: Vec<String> = percentiles
        .iter()
        .map(|percent| {
            let nanos = histogram.percentile_ns(*percent);
            format!("p{}={}.{:03}", Percentiles::text(*percent), nanos / 1000, nanos % 1000)
        })
        .collect();
    (format!("latency_percentiles_usec_{name}"), text.join(","))
}

section! {
    /// The cluster.
    Cluster {
        /// This is a node of one.
        cluster_enabled: bool;
    }
}

/// The databases that hold anything.
#[derive(Clone, Debug, Default)]
pub struct Keyspace(pub Vec<DbCounts>);

/// What is shown of a database.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DbCounts {
    /// Its number.
    pub db: usize,
    /// Its keys.
    pub keys: u64,
    /// Those with a TTL.
    pub expires: u64,
    /// Their mean TTL in milliseconds, estimated.
    pub avg_ttl_ms: u64,
    /// Hashes with fields that expire.
    pub subexpiry: u64,
}

impl Lines for Keyspace {
    fn lines(&self, out: &mut String) {
        for DbCounts { db, keys, expires, avg_ttl_ms, subexpiry } in &self.0 {
            write!(out, "db{db}:keys={keys},expires={expires},avg_ttl={avg_ttl_ms},subexpiry={subexpiry}\r\n")
                .expect("writing to a string never fails");
        }
    }
}

/// Distributions of sizes, by database and type.
#[derive(Clone, Debug, Default)]
pub struct Keysizes(pub Vec<SizeCounts>);

/// How many keys of a type have how many elements (strings: bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeCounts {
    /// The database.
    pub db: usize,
    /// `strings_sizes`, `lists_items`, `sets_items`, `zsets_items` or `hashes_items`.
    pub what: &'static str,
    /// Keys of size 0, of size 1, of 2 to 3, of 4 to 7, and so on.
    pub counts: Vec<u64>,
}

impl Lines for Keysizes {
    fn lines(&self, out: &mut String) {
        for SizeCounts { db, what, counts } in &self.0 {
            let text: Vec<String> = counts
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(|(index, count)| format!("{}={count}", size_label(index)))
                .collect();
            if !text.is_empty() {
                line(out, &format!("db{db}_distrib_{what}"), text.join(","));
            }
        }
    }
}

/// The smallest size that an entry of [`SizeCounts::counts`] counts: 0, 1, 2, 4 ... 512, 1K, 2K ... 1M.
fn size_label(index: usize) -> String {
    let Some(power) = index.checked_sub(1) else { return "0".to_owned() };
    let unit = ["", "K", "M", "G", "T", "P", "E"].get(power / 10).copied().unwrap_or("E");
    format!("{}{unit}", 1u64 << (power % 10))
}

section! {
    /// What is of interest to those who work on the server.
    Debug {
        /// Microseconds of the event loop spent on the append-only file.
        eventloop_duration_aof_sum: u64;
        /// Microseconds of it spent in periodic work.
        eventloop_duration_cron_sum: u64;
        /// Its longest turn in microseconds.
        eventloop_duration_max: u64;
        /// Most commands in one turn.
        eventloop_cmd_per_cycle_max: u64;
        /// Bytes that the interpreters have allocated.
        allocator_allocated_lua: u64;
        /// Bytes in their pages with anything allocated.
        allocator_active_lua: u64;
        /// Bytes in all their pages.
        allocator_resident_lua: u64,
            allocator_frag_bytes_lua = |debug| debug.allocator_active_lua.saturating_sub(debug.allocator_allocated_lua);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(section: &impl Lines) -> String {
        let mut out = String::new();
        section.lines(&mut out);
        out.replace("\r\n", "\n")
    }

    fn field(section: &impl Lines, name: &str) -> String {
        let text = text(section);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
        found.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    #[test]
    fn lines_of_lists() {
        let server = Server {
            listeners: Several(vec![
                listener(0, "tcp", &["*".to_owned(), "-::*".to_owned()], 27431),
                listener(1, "unix", &["/x.sock".to_owned()], 0),
            ]),
            ..Server::default()
        };
        assert_eq!(field(&server, "listener0"), "name=tcp,bind=*,bind=-::*,port=27431");
        assert_eq!(field(&server, "listener1"), "name=unix,bind=/x.sock");
        assert_eq!(io_thread(0, 1, 2, 3), ("io_thread_0".to_owned(), "clients=1,reads=2,writes=3".to_owned()));
        let counts = CommandStat { calls: 3, micros: 4521, ..CommandStat::default() };
        let stats = Commandstats(
            [("config|get", counts), ("get", CommandStat::default())]
                .iter()
                .filter_map(|(name, stat)| CommandCounts::of(name, stat))
                .collect(),
        );
        assert_eq!(
            text(&stats),
            "cmdstat_config|get:calls=3,usec=4521,usec_per_call=1507.00,rejected_calls=0,failed_calls=0\n"
        );
        assert_eq!(
            text(&Errorstats(vec![("ERR".to_owned(), 4), ("A:\nB".to_owned(), 1)])),
            "errorstat_ERR:count=4\nerrorstat_A__B:count=1\n"
        );
        assert_eq!(
            text(&Keyspace(vec![DbCounts { db: 9, keys: 13, expires: 3, avg_ttl_ms: 99971, subexpiry: 0 }])),
            "db9:keys=13,expires=3,avg_ttl=99971,subexpiry=0\n"
        );
        let sizes = SizeCounts { db: 0, what: "strings_sizes", counts: vec![1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] };
        assert_eq!(text(&Keysizes(vec![sizes])), "db0_distrib_strings_sizes:0=1,1=6,2K=1\n");
    }

    #[test]
    fn latencies_are_microseconds_with_three_decimals() {
        let mut histogram = Histogram::default();
        for _ in 0..90 {
            histogram.record(8);
        }
        for _ in 0..10 {
            histogram.record(34);
        }
        let (name, value) = latency("config|get", &histogram, &[50.0, 99.0, 99.9]);
        assert_eq!(name, "latency_percentiles_usec_config|get");
        assert_eq!(value, "p50=8.031,p99=34.047,p99.9=34.047");
    }

    #[test]
    fn a_replica_tells_of_its_primary() {
        let upstream = Upstream { master_host: "h".to_owned(), master_port: 1, ..Upstream::default() };
        let replication = Replication { role: "slave", upstream: Some(upstream), ..Replication::default() };
        let text = text(&replication);
        assert!(text.starts_with("role:slave\nmaster_host:h\nmaster_port:1\nmaster_link_status:down\nmaster_last_io_seconds_ago:-1\nmaster_sync_in_progress:0\nslave_read_repl_offset:0\n"), "{text}");
        assert!(text.contains("\nreplica_announced:1\nconnected_slaves:0\nmaster_failover_state:no-failover\n"));
        let good = Replication {
            min_slaves_good_slaves: Some(1),
            slaves: Several(vec![replica(0, "127.0.0.1", 7, "online", 14, 1)]),
            connected_slaves: 1,
            ..Replication::default()
        };
        let lines: Vec<String> = super::tests::text(&good).lines().take(4).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "role:master",
                "connected_slaves:1",
                "min_slaves_good_slaves:1",
                "slave0:ip=127.0.0.1,port=7,state=online,offset=14,lag=1"
            ]
        );
    }

    #[test]
    fn computed_lines_of_memory() {
        let memory = Memory {
            used_memory: 2000,
            used_memory_rss: 4000,
            used_memory_peak: 4000,
            used_memory_overhead: 1500,
            used_memory_startup: 1000,
            allocator_allocated: 2000,
            allocator_active: 3000,
            allocator_resident: 3500,
            ..Memory::default()
        };
        for (name, value) in [
            ("used_memory_human", "1.95K"),
            ("used_memory_peak_perc", "50.00%"),
            ("used_memory_dataset", "500"),
            ("used_memory_dataset_perc", "50.00%"),
            ("allocator_frag_ratio", "1.50"),
            ("allocator_frag_bytes", "1000"),
            ("mem_fragmentation_ratio", "2.00"),
            ("mem_fragmentation_bytes", "2000"),
        ] {
            assert_eq!(field(&memory, name), value, "{name}");
        }
        assert_eq!(field(&Memory::default(), "mem_fragmentation_ratio"), "0.00", "nothing is divided by zero");
    }
}
