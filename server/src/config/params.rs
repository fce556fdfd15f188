//! The one table of parameters. A row gives a parameter its name (and older alias), the field of
//! [`Config`] that holds it, the default, the rule, the flags and what has to follow a change; the struct, its
//! defaults, the file parser, CONFIG GET, SET and REWRITE all come from it.
//!
//! Parameters whose feature does not exist yet are accepted and kept like the others.

use bitflags::bitflags;

use super::value::{
    AclPubsubDefault, Appendfsync, BindAddresses, DisklessLoad, EnabledFor, EndpointType, LogFormat, LogLevel,
    MaxmemoryPolicy, NotifyEvents, OomScoreAdj, OomScores, OutputLimits, Percentiles, PrimaryAddress, PropagationError,
    RdbDowngradePolicy, RdbOutputFormat, Reason, Rule, SanitizePayload, SavePoint, SavePoints, Share, ShutdownOptions,
    Source, Supervised, SyslogFacility, Text, TlsAuthClients, Value, check_appenddirname, check_appendfilename,
    check_dbfilename, check_hostname, check_nodename, check_title,
};

bitflags! {
    /// What is special about a parameter.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// Only settable at the start.
        const IMMUTABLE = 1;
        /// Shown only when asked for by its exact name.
        const HIDDEN = 1 << 1;
        /// Never written to logs, MONITOR or the slow log.
        const SENSITIVE = 1 << 2;
        /// Settable at run time only where `enable-protected-configs` allows.
        const PROTECTED = 1 << 3;
        /// Not settable while the data set loads.
        const NOT_WHILE_LOADING = 1 << 4;
        /// Applied by CONFIG SET even when the value stays the same: what it names may have changed.
        const ALWAYS_APPLIED = 1 << 5;
        /// Written by every CONFIG REWRITE, even when it has its default.
        const ALWAYS_WRITTEN = 1 << 6;
    }
}

/// What the server has to do after a change, besides reading the new value when it needs it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Listen on the other TCP port.
    Port,
    /// Listen on the other addresses.
    Bind,
    /// Listen with TLS, or build its context anew.
    Tls,
    /// Make room for that many descriptors.
    Maxclients,
    /// Change the working directory, and keep its absolute name in [`Config::dir`].
    Dir,
    /// Tell the log.
    Log,
    /// Give the default user the new password.
    Requirepass,
    /// Start or stop the append-only file.
    Appendonly,
    /// Time stamps in the append-only file, removal of its old files.
    AofFiles,
    /// Begin evicting if there is now too much.
    Maxmemory,
    /// Hand [`Config::engine_config`] to the engine.
    Engine,
    /// Recompute which keyspace events anybody may hear of.
    NotifyEvents,
    /// Change the length of the replication backlog.
    ReplicationBacklog,
    /// Count the replicas that are good enough.
    GoodReplicas,
    /// Write the kernel's out-of-memory score.
    OomScoreAdj,
    /// Start or stop defragmentation.
    Activedefrag,
    /// Start or stop the allocator's background threads.
    AllocatorThreads,
    /// Rename the process.
    ProcessTitle,
    /// Change the collation of SORT ALPHA.
    Locale,
    /// Start or stop the watchdog.
    Watchdog,
    /// Tell the other nodes.
    Cluster,
    /// Recompute the rhythm of periodic work.
    Hz,
    /// Tell the latency monitor its threshold.
    LatencyMonitor,
    /// Forget latencies that are no longer tracked.
    LatencyTracking,
    /// Install or remove the crash reporter.
    CrashLog,
    /// Forget keys beyond the bound of the tracking table.
    TrackingTable,
}

type Assign = fn(&mut Config, &[Vec<u8>], Rule, Source) -> Result<(), Reason>;

/// A row of the table.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// An older name, still understood and shown.
    pub alias: Option<&'static str>,
    /// What it does.
    pub summary: &'static [&'static str],
    /// What is special about it.
    pub flags: Flags,
    /// What has to follow a change.
    pub action: Option<Action>,
    /// What the type does not know.
    pub rule: Rule,
    /// Several words make one value.
    pub multi: bool,
    pub(super) assign: Assign,
    pub(super) show: fn(&Config, Rule) -> Vec<u8>,
    pub(super) lines: fn(&Config, Rule) -> Vec<String>,
    pub(super) same: fn(&Config, &Config) -> bool,
}

impl Param {
    /// Finds a parameter by its name or alias, in any case.
    #[must_use]
    pub fn find(name: &[u8]) -> Option<&'static Param> {
        PARAMS.iter().find(|param| {
            name.eq_ignore_ascii_case(param.name.as_bytes())
                || param.alias.is_some_and(|alias| name.eq_ignore_ascii_case(alias.as_bytes()))
        })
    }

    /// The value as CONFIG GET shows it.
    #[must_use]
    pub fn get(&self, config: &Config) -> Vec<u8> {
        (self.show)(config, self.rule)
    }

    /// Whether two configurations agree on it.
    #[must_use]
    pub fn same(&self, a: &Config, b: &Config) -> bool {
        (self.same)(a, b)
    }

    /// Takes over the words behind its name. One word stands for several where several are allowed.
    ///
    /// # Errors
    /// Why they are refused; `config` may then be half changed.
    pub fn assign(&self, config: &mut Config, words: &[Vec<u8>], source: Source) -> Result<(), Reason> {
        match words {
            [word] if self.multi => {
                let split: Vec<Vec<u8>> = word.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect();
                (self.assign)(config, &split, self.rule, source)
            }
            _ => (self.assign)(config, words, self.rule, source),
        }
    }
}

macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $name:literal $(| $alias:literal)? => $field:ident: $type:ty = $default:expr, $rule:expr, [$($flag:ident)*] $($action:ident)?;)*) => {
        /// Every parameter's value, as a plain field: reading one costs a load.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $field: $type,)*
            /// What is no parameter: where the configuration came from and what only files may say.
            pub origin: super::Origin,
        }

        impl Default for Config {
            fn default() -> Self {
                Config { $($field: $default,)* origin: super::Origin::default() }
            }
        }

        /// The table.
        pub static PARAMS: &[Param] = &[$(Param {
            name: $name,
            alias: { let alias: &[&str] = &[$($alias)?]; if alias.is_empty() { None } else { Some(alias[0]) } },
            summary: &[$($doc),+],
            flags: Flags::empty()$(.union(Flags::$flag))*,
            action: { let action: &[Action] = &[$(Action::$action)?]; if action.is_empty() { None } else { Some(action[0]) } },
            rule: $rule,
            multi: <$type as Value>::MULTI,
            assign: |config, words, rule, source| config.$field.assign(words, rule, source),
            show: |config, rule| config.$field.show(rule),
            lines: |config, rule| config.$field.lines(rule),
            same: |a, b| a.$field == b.$field,
        },)*];
    };
}

const I32: i128 = i32::MAX as i128;
const U32: i128 = u32::MAX as i128;
const I64: i128 = i64::MAX as i128;
const U64: i128 = u64::MAX as i128;

const PLAIN: Rule = Rule::Plain;
const PORT: Rule = Rule::Int(0, 65535);

const fn int(min: i128, max: i128) -> Rule {
    Rule::Int(min, max)
}

const fn memory(min: i128, max: i128) -> Rule {
    Rule::Memory(min, max)
}

fn text(value: &str) -> Text {
    Text::from(value)
}

/// `hz` outside of 1 to 500 becomes the nearest of them.
fn near_hz(hz: i128) -> i128 {
    hz.clamp(1, 500)
}

/// The watchdog needs two turns of the timer; 0 is off.
fn near_watchdog(milliseconds: i128) -> i128 {
    if milliseconds == 0 { 0 } else { milliseconds.max(200) }
}

parameters! {
    // Network.

    /// Addresses to listen on; a leading `-` allows an address to be missing.
    "bind" => bind: BindAddresses = BindAddresses::all(), PLAIN, [] Bind;
    /// Address that outgoing connections come from.
    "bind-source-addr" => bind_source_addr: Text = text(""), PLAIN, [];
    /// TCP port; 0 for none.
    "port" => port: u16 = 6379, PORT, [] Port;
    /// Path of a unix socket.
    "unixsocket" => unixsocket: String = String::new(), PLAIN, [IMMUTABLE];
    /// Permissions of the unix socket; 0 leaves them to the umask.
    "unixsocketperm" => unixsocketperm: u32 = 0, Rule::Octal(0o777), [IMMUTABLE];
    /// Length of the queue of connections not yet accepted.
    "tcp-backlog" => tcp_backlog: i32 = 511, int(0, I32), [IMMUTABLE];
    /// Seconds of silence after which a TCP peer is probed; 0 never.
    "tcp-keepalive" => tcp_keepalive: u32 = 300, int(0, I32), [];
    /// Seconds of idleness after which a client is disconnected; 0 never.
    "timeout" => timeout: u32 = 0, int(0, I32), [];
    /// Mark of listening sockets for the kernel's packet filters.
    "socket-mark-id" => socket_mark_id: u32 = 0, int(0, U32), [IMMUTABLE];
    /// Connections accepted in one turn of the event loop.
    "max-new-connections-per-cycle" => max_new_connections_per_cycle: u32 = 10, int(1, 1000), [];
    /// TLS connections accepted in one turn of the event loop.
    "max-new-tls-connections-per-cycle" => max_new_tls_connections_per_cycle: u32 = 1, int(1, 1000), [];
    /// Refuse clients of other machines while neither a password nor an address is set.
    "protected-mode" => protected_mode: bool = true, PLAIN, [];
    /// Whether CONFIG SET may change protected parameters.
    "enable-protected-configs" => enable_protected_configs: EnabledFor = EnabledFor::No, PLAIN, [IMMUTABLE];
    /// Whether DEBUG works.
    "enable-debug-command" => enable_debug_command: EnabledFor = EnabledFor::No, PLAIN, [IMMUTABLE];
    /// Whether MODULE works.
    "enable-module-command" => enable_module_command: EnabledFor = EnabledFor::No, PLAIN, [IMMUTABLE];

    // TLS.

    /// TCP port with TLS; 0 for none.
    "tls-port" => tls_port: u16 = 0, PORT, [] Tls;
    /// Sessions kept for resumption.
    "tls-session-cache-size" => tls_session_cache_size: u32 = 20480, int(0, I32), [] Tls;
    /// Seconds for which a session can be resumed.
    "tls-session-cache-timeout" => tls_session_cache_timeout: u32 = 300, int(0, I32), [] Tls;
    /// TLS on the cluster bus.
    "tls-cluster" => tls_cluster: bool = false, PLAIN, [] Tls;
    /// TLS towards the primary.
    "tls-replication" => tls_replication: bool = false, PLAIN, [];
    /// Whether clients need a certificate.
    "tls-auth-clients" => tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes, PLAIN, [];
    /// The server's order of ciphers wins.
    "tls-prefer-server-ciphers" => tls_prefer_server_ciphers: bool = false, PLAIN, [] Tls;
    /// Sessions can be resumed.
    "tls-session-caching" => tls_session_caching: bool = true, PLAIN, [] Tls;
    /// The server's certificate.
    "tls-cert-file" => tls_cert_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Its key.
    "tls-key-file" => tls_key_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Password of the key.
    "tls-key-file-pass" => tls_key_file_pass: Text = text(""), PLAIN, [SENSITIVE] Tls;
    /// Certificate for outgoing connections.
    "tls-client-cert-file" => tls_client_cert_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Its key.
    "tls-client-key-file" => tls_client_key_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Password of that key.
    "tls-client-key-file-pass" => tls_client_key_file_pass: Text = text(""), PLAIN, [SENSITIVE] Tls;
    /// Diffie-Hellman parameters.
    "tls-dh-params-file" => tls_dh_params_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Certificates that sign those of peers.
    "tls-ca-cert-file" => tls_ca_cert_file: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Folder of such certificates.
    "tls-ca-cert-dir" => tls_ca_cert_dir: Text = text(""), PLAIN, [ALWAYS_APPLIED] Tls;
    /// Protocol versions.
    "tls-protocols" => tls_protocols: Text = text(""), PLAIN, [] Tls;
    /// Ciphers up to TLS 1.2.
    "tls-ciphers" => tls_ciphers: Text = text(""), PLAIN, [] Tls;
    /// Ciphers of TLS 1.3.
    "tls-ciphersuites" => tls_ciphersuites: Text = text(""), PLAIN, [] Tls;

    // Process.

    /// Run in the background.
    "daemonize" => daemonize: bool = false, PLAIN, [IMMUTABLE];
    /// Whom to tell that the server is up.
    "supervised" => supervised: Supervised = Supervised::No, PLAIN, [IMMUTABLE];
    /// File with the process id.
    "pidfile" => pidfile: Text = text(""), PLAIN, [IMMUTABLE];
    /// Least important log lines that are written.
    "loglevel" => loglevel: LogLevel = LogLevel::Notice, PLAIN, [] Log;
    /// Log file; empty for standard output.
    "logfile" => logfile: Text = text(""), PLAIN, [IMMUTABLE];
    /// Shape of log lines: `redis`, `json` or `logfmt`. Not a parameter of Redis.
    "log-format" => log_format: LogFormat = LogFormat::Redis, PLAIN, [] Log;
    /// Log to syslog too.
    "syslog-enabled" => syslog_enabled: bool = false, PLAIN, [IMMUTABLE];
    /// Name in syslog.
    "syslog-ident" => syslog_ident: Text = text("redis"), PLAIN, [IMMUTABLE];
    /// Facility in syslog.
    "syslog-facility" => syslog_facility: SyslogFacility = SyslogFacility::Local0, PLAIN, [IMMUTABLE];
    /// Write a report after a crash.
    "crash-log-enabled" => crash_log_enabled: bool = true, PLAIN, [] CrashLog;
    /// Test the memory after a crash.
    "crash-memcheck-enabled" => crash_memcheck_enabled: bool = true, PLAIN, [];
    /// Exit rather than abort after a failed assertion.
    "use-exit-on-panic" => use_exit_on_panic: bool = false, PLAIN, [HIDDEN];
    /// Keep clients' data out of the log.
    "hide-user-data-from-log" => hide_user_data_from_log: bool = false, PLAIN, [];
    /// Number of databases.
    "databases" => databases: u32 = 16, int(1, I32), [IMMUTABLE];
    /// Show the logo even when the log is no terminal.
    "always-show-logo" => always_show_logo: bool = false, PLAIN, [IMMUTABLE];
    /// Rename the process.
    "set-proc-title" => set_proc_title: bool = true, PLAIN, [IMMUTABLE];
    /// To what.
    "proc-title-template" => proc_title_template: Text = text("{title} {listen-addr} {server-mode}"), Rule::Text(check_title), [] ProcessTitle;
    /// Collation of SORT ALPHA.
    "locale-collate" => locale_collate: Text = text(""), PLAIN, [] Locale;
    /// Working directory: of the RDB and append-only files.
    "dir" => dir: Text = text(""), PLAIN, [PROTECTED NOT_WHILE_LOADING ALWAYS_WRITTEN] Dir;
    /// Threads for network input and output.
    "io-threads" => io_threads: u32 = 1, int(1, 128), [IMMUTABLE];
    /// Runs of periodic work a second; outside of 1 to 500 the nearest.
    "hz" => hz: u32 = 10, Rule::IntNear(0, I32, near_hz), [] Hz;
    /// More of them when there are many clients.
    "dynamic-hz" => dynamic_hz: bool = true, PLAIN, [];
    /// CPUs of the main thread and the network threads.
    "server-cpulist" | "server_cpulist" => server_cpulist: Text = text(""), PLAIN, [IMMUTABLE];
    /// CPUs of background threads.
    "bio-cpulist" | "bio_cpulist" => bio_cpulist: Text = text(""), PLAIN, [IMMUTABLE];
    /// CPUs of the child that rewrites the append-only file.
    "aof-rewrite-cpulist" | "aof_rewrite_cpulist" => aof_rewrite_cpulist: Text = text(""), PLAIN, [IMMUTABLE];
    /// CPUs of the child that saves.
    "bgsave-cpulist" | "bgsave_cpulist" => bgsave_cpulist: Text = text(""), PLAIN, [IMMUTABLE];
    /// Problems of the system that are known and accepted.
    "ignore-warnings" => ignore_warnings: Text = text(""), PLAIN, [];
    /// Switch off transparent huge pages for this process.
    "disable-thp" => disable_thp: bool = true, PLAIN, [IMMUTABLE];
    /// Whether the kernel's preference of victims is adjusted.
    "oom-score-adj" => oom_score_adj: OomScoreAdj = OomScoreAdj::No, PLAIN, [] OomScoreAdj;
    /// To what: as primary, as replica, in children.
    "oom-score-adj-values" => oom_score_adj_values: OomScores = OomScores([0, 200, 800]), PLAIN, [] OomScoreAdj;
    /// Milliseconds after which the watchdog reports a stall; 0 never.
    "watchdog-period" => watchdog_period: u32 = 0, Rule::IntNear(0, I32, near_watchdog), [HIDDEN] Watchdog;
    /// Seconds to wait for replicas at the end.
    "shutdown-timeout" => shutdown_timeout: u32 = 10, int(0, I32), [];
    /// Options of SHUTDOWN for SIGINT.
    "shutdown-on-sigint" => shutdown_on_sigint: ShutdownOptions = ShutdownOptions::default(), PLAIN, [];
    /// Options of SHUTDOWN for SIGTERM.
    "shutdown-on-sigterm" => shutdown_on_sigterm: ShutdownOptions = ShutdownOptions::default(), PLAIN, [];
    /// File of request and reply transcripts.
    "req-res-logfile" => req_res_logfile: Text = text(""), PLAIN, [IMMUTABLE HIDDEN];
    /// Protocol version of new connections.
    "client-default-resp" => client_default_resp: u32 = 2, int(2, 3), [IMMUTABLE HIDDEN];

    // Clients.

    /// Most clients at a time.
    "maxclients" => maxclients: u32 = 10000, int(1, U32), [] Maxclients;
    /// Memory of all clients together, beyond which the largest are disconnected; 0 for no limit.
    "maxmemory-clients" => maxmemory_clients: Share = Share::Bytes(0), PLAIN, [];
    /// Bytes that a client may have sent without completing its request.
    "client-query-buffer-limit" => client_query_buffer_limit: u64 = 1 << 30, memory(1 << 20, I64), [];
    /// Bytes that a client may leave unread, by class: hard limit, soft limit, seconds beyond the soft one.
    "client-output-buffer-limit" => client_output_buffer_limits: OutputLimits = OutputLimits::DEFAULT, PLAIN, [];
    /// Longest single argument of a request, and string.
    "proto-max-bulk-len" => proto_max_bulk_len: u64 = 512 << 20, memory(1 << 20, I64), [] Engine;
    /// Keys that the tracking table remembers; 0 for no limit.
    "tracking-table-max-keys" => tracking_table_max_keys: u64 = 1_000_000, int(0, I64), [] TrackingTable;

    // Users.

    /// Password of the default user.
    "requirepass" => requirepass: Text = text(""), PLAIN, [SENSITIVE] Requirepass;
    /// File with the users.
    "aclfile" => aclfile: Text = text(""), PLAIN, [IMMUTABLE];
    /// Entries of ACL LOG.
    "acllog-max-len" => acllog_max_len: u64 = 128, int(0, I64), [];
    /// Channels of new users.
    "acl-pubsub-default" => acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::ResetChannels, PLAIN, [];

    // Memory.

    /// Bytes beyond which keys are evicted or writes refused; 0 for no limit.
    "maxmemory" => maxmemory: u64 = 0, memory(0, U64), [] Maxmemory;
    /// What is evicted.
    "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::NoEviction, PLAIN, [] Engine;
    /// Keys compared for one eviction.
    "maxmemory-samples" => maxmemory_samples: u32 = 5, int(1, 64), [];
    /// How long eviction may hold up commands: 0 least, 100 as long as needed.
    "maxmemory-eviction-tenacity" => maxmemory_eviction_tenacity: u32 = 10, int(0, 100), [];
    /// How much harder each step of a key's access counter is.
    "lfu-log-factor" => lfu_log_factor: u32 = 10, int(0, I32), [] Engine;
    /// Minutes after which it falls by one; 0 never.
    "lfu-decay-time" => lfu_decay_time: u32 = 1, int(0, I32), [] Engine;
    /// Effort of removing expired keys.
    "active-expire-effort" => active_expire_effort: u32 = 1, int(1, 10), [];
    /// Free evicted values in the background.
    "lazyfree-lazy-eviction" => lazyfree_lazy_eviction: bool = false, PLAIN, [];
    /// Free expired values in the background.
    "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool = false, PLAIN, [] Engine;
    /// Free replaced values in the background.
    "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool = false, PLAIN, [] Engine;
    /// DEL frees as UNLINK does.
    "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool = false, PLAIN, [] Engine;
    /// FLUSHALL, FLUSHDB and the like free in the background unless told otherwise.
    "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool = false, PLAIN, [] Engine;
    /// Resize tables in idle time too.
    "activerehashing" => activerehashing: bool = true, PLAIN, [];
    /// The allocator gives memory back on threads of its own.
    "jemalloc-bg-thread" => jemalloc_bg_thread: bool = true, PLAIN, [] AllocatorThreads;
    /// Defragment memory.
    "activedefrag" => activedefrag: bool = false, PLAIN, [] Activedefrag;
    /// Least CPU for it, in percent.
    "active-defrag-cycle-min" => active_defrag_cycle_min: u32 = 1, int(1, 99), [];
    /// Most CPU for it, in percent.
    "active-defrag-cycle-max" => active_defrag_cycle_max: u32 = 25, int(1, 99), [];
    /// Percentage of fragmentation at which it starts.
    "active-defrag-threshold-lower" => active_defrag_threshold_lower: u32 = 10, int(0, 1000), [];
    /// Percentage at which it works hardest.
    "active-defrag-threshold-upper" => active_defrag_threshold_upper: u32 = 100, int(0, 1000), [];
    /// Elements of a collection defragmented at once.
    "active-defrag-max-scan-fields" => active_defrag_max_scan_fields: u64 = 1000, int(1, I64), [];
    /// Bytes of fragmentation below which nothing is done.
    "active-defrag-ignore-bytes" => active_defrag_ignore_bytes: u64 = 100 << 20, memory(1, I64), [];

    // Encodings.

    /// Most fields of a hash in a listpack.
    "hash-max-listpack-entries" | "hash-max-ziplist-entries" => hash_max_listpack_entries: u64 = 512, int(0, I64), [] Engine;
    /// Longest of its fields and values, in bytes.
    "hash-max-listpack-value" | "hash-max-ziplist-value" => hash_max_listpack_value: u64 = 64, memory(0, I64), [] Engine;
    /// Most members of an intset.
    "set-max-intset-entries" => set_max_intset_entries: u64 = 512, int(0, I64), [] Engine;
    /// Most members of a set in a listpack.
    "set-max-listpack-entries" => set_max_listpack_entries: u64 = 128, int(0, I64), [] Engine;
    /// Longest of them, in bytes.
    "set-max-listpack-value" => set_max_listpack_value: u64 = 64, int(0, I64), [] Engine;
    /// Most members of a sorted set in a listpack.
    "zset-max-listpack-entries" | "zset-max-ziplist-entries" => zset_max_listpack_entries: u64 = 128, int(0, I64), [] Engine;
    /// Longest of them, in bytes.
    "zset-max-listpack-value" | "zset-max-ziplist-value" => zset_max_listpack_value: u64 = 64, memory(0, I64), [] Engine;
    /// Elements of a list's node, or -1 to -5 for 4, 8, 16, 32, 64 kilobytes.
    "list-max-listpack-size" | "list-max-ziplist-size" => list_max_listpack_size: i32 = -2, int(i32::MIN as i128, I32), [] Engine;
    /// Nodes at each end of a list that are not compressed; 0 compresses none.
    "list-compress-depth" => list_compress_depth: u32 = 0, int(0, I32), [] Engine;
    /// Bytes of a sparse HyperLogLog.
    "hll-sparse-max-bytes" => hll_sparse_max_bytes: u64 = 3000, memory(0, I64), [] Engine;
    /// Bytes of a stream's node.
    "stream-node-max-bytes" => stream_node_max_bytes: u64 = 4096, memory(0, I64), [] Engine;
    /// Entries of a stream's node.
    "stream-node-max-entries" => stream_node_max_entries: u64 = 100, int(0, I64), [] Engine;

    // Snapshots.

    /// When to save: pairs of seconds and changes.
    "save" => save: SavePoints = default_save(), PLAIN, [];
    /// Checksum of RDB files.
    "rdbchecksum" => rdbchecksum: bool = true, PLAIN, [IMMUTABLE];
    /// Compression of RDB files.
    "rdbcompression" => rdbcompression: bool = true, PLAIN, [];
    /// RDB file's name.
    "dbfilename" => dbfilename: Text = text("dump.rdb"), Rule::Text(check_dbfilename), [PROTECTED];
    /// Version of the RDB format that is written to disk.
    "rdb-output-format" => rdb_output_format: RdbOutputFormat = RdbOutputFormat::Redis12, PLAIN, [];
    /// What becomes of data that it has no form for.
    "rdb-downgrade-policy" => rdb_downgrade_policy: RdbDowngradePolicy = RdbDowngradePolicy::Fail, PLAIN, [];
    /// Delete RDB files that only served replication.
    "rdb-del-sync-files" => rdb_del_sync_files: bool = false, PLAIN, [];
    /// Refuse writes after a failed save.
    "stop-writes-on-bgsave-error" => stop_writes_on_bgsave_error: bool = true, PLAIN, [];
    /// Flush RDB files to disk piece by piece.
    "rdb-save-incremental-fsync" => rdb_save_incremental_fsync: bool = true, PLAIN, [];
    /// How much less of a contended processor a child process gets, as `nice` counts; 0: as much as the server.
    "child-nice" => child_nice: u32 = 5, int(0, 19), [];
    /// Microseconds to wait after each key saved (for tests; negative: one in so many waits).
    "rdb-key-save-delay" => rdb_key_save_delay: i32 = 0, int(i32::MIN as i128, I32), [HIDDEN];
    /// Microseconds to wait after each key loaded (for tests).
    "key-load-delay" => key_load_delay: i32 = 0, int(i32::MIN as i128, I32), [HIDDEN];
    /// Bytes loaded between two looks at the clients.
    "loading-process-events-interval-bytes" => loading_process_events_interval_bytes: u64 = 512 << 10, int(1024, I32), [HIDDEN];
    /// Whose payloads are examined in depth.
    "sanitize-dump-payload" => sanitize_dump_payload: SanitizePayload = SanitizePayload::Clients, PLAIN, [];

    // Append-only file.

    /// Log every write.
    "appendonly" => appendonly: bool = false, PLAIN, [] Appendonly;
    /// File's base name.
    "appendfilename" => appendfilename: Text = text("appendonly.aof"), Rule::Text(check_appendfilename), [IMMUTABLE];
    /// Folder's name.
    "appenddirname" => appenddirname: Text = text("appendonlydir"), Rule::Text(check_appenddirname), [IMMUTABLE];
    /// When it reaches the disk.
    "appendfsync" => appendfsync: Appendfsync = Appendfsync::Everysec, PLAIN, [];
    /// No flushing while a child writes.
    "no-appendfsync-on-rewrite" => no_appendfsync_on_rewrite: bool = false, PLAIN, [];
    /// Percentage of growth after which it is rewritten; 0 never.
    "auto-aof-rewrite-percentage" => auto_aof_rewrite_percentage: u32 = 100, int(0, I32), [];
    /// Bytes below which it is not.
    "auto-aof-rewrite-min-size" => auto_aof_rewrite_min_size: u64 = 64 << 20, memory(0, I64), [];
    /// Load a file that ends too early.
    "aof-load-truncated" => aof_load_truncated: bool = true, PLAIN, [];
    /// Rewritten files begin as RDB.
    "aof-use-rdb-preamble" => aof_use_rdb_preamble: bool = true, PLAIN, [];
    /// Note the time in it.
    "aof-timestamp-enabled" => aof_timestamp_enabled: bool = false, PLAIN, [] AofFiles;
    /// Write checksums into it as annotations, and compare them when it is loaded.
    "aof-checksum" => aof_checksum: bool = true, PLAIN, [] AofFiles;
    /// Flush rewritten files to disk piece by piece.
    "aof-rewrite-incremental-fsync" => aof_rewrite_incremental_fsync: bool = true, PLAIN, [];
    /// Keep files that are no longer needed (for tests).
    "aof-disable-auto-gc" => aof_disable_auto_gc: bool = false, PLAIN, [HIDDEN] AofFiles;

    // Replication.

    /// The primary: host and port, or `no one`.
    "replicaof" | "slaveof" => replicaof: PrimaryAddress = PrimaryAddress::default(), PLAIN, [IMMUTABLE];
    /// User at the primary.
    "masteruser" => masteruser: Text = text(""), PLAIN, [SENSITIVE];
    /// Password at the primary.
    "masterauth" => masterauth: Text = text(""), PLAIN, [SENSITIVE];
    /// Answer from old data while the primary is away.
    "replica-serve-stale-data" | "slave-serve-stale-data" => replica_serve_stale_data: bool = true, PLAIN, [];
    /// Refuse writes of clients.
    "replica-read-only" | "slave-read-only" => replica_read_only: bool = true, PLAIN, [];
    /// Leave eviction to the primary.
    "replica-ignore-maxmemory" | "slave-ignore-maxmemory" => replica_ignore_maxmemory: bool = true, PLAIN, [];
    /// Free the old data in the background before a full sync.
    "replica-lazy-flush" | "slave-lazy-flush" => replica_lazy_flush: bool = false, PLAIN, [];
    /// Preference for promotion, lowest first; 0 never.
    "replica-priority" | "slave-priority" => replica_priority: u32 = 100, int(0, I32), [];
    /// Show this replica to Sentinel.
    "replica-announced" => replica_announced: bool = true, PLAIN, [];
    /// Address told to the primary.
    "replica-announce-ip" | "slave-announce-ip" => replica_announce_ip: Text = text(""), PLAIN, [];
    /// Port told to the primary.
    "replica-announce-port" | "slave-announce-port" => replica_announce_port: u16 = 0, PORT, [];
    /// Go on after a failed write to disk.
    "replica-ignore-disk-write-errors" => replica_ignore_disk_write_errors: bool = false, PLAIN, [];
    /// Bytes of commands gathered while a replica receives the RDB; 0 takes the output limit of replicas.
    "replica-full-sync-buffer-limit" => replica_full_sync_buffer_limit: u64 = 0, memory(0, I64), [];
    /// Full syncs stream the RDB without a file.
    "repl-diskless-sync" => repl_diskless_sync: bool = true, PLAIN, [];
    /// Seconds to wait for more replicas before that.
    "repl-diskless-sync-delay" => repl_diskless_sync_delay: u32 = 5, int(0, I32), [];
    /// Replicas after which there is no waiting; 0 for no such number.
    "repl-diskless-sync-max-replicas" => repl_diskless_sync_max_replicas: u32 = 0, int(0, I32), [];
    /// Whether a replica loads straight from the socket.
    "repl-diskless-load" => repl_diskless_load: DisklessLoad = DisklessLoad::Disabled, PLAIN, [NOT_WHILE_LOADING];
    /// Full syncs send the RDB over a connection of its own.
    "repl-rdb-channel" => repl_rdb_channel: bool = true, PLAIN, [HIDDEN];
    /// Fewer, larger packets to replicas.
    "repl-disable-tcp-nodelay" => repl_disable_tcp_nodelay: bool = false, PLAIN, [];
    /// Seconds between the pings of a primary.
    "repl-ping-replica-period" | "repl-ping-slave-period" => repl_ping_replica_period: u32 = 10, int(1, I32), [];
    /// Seconds after which the other side is gone.
    "repl-timeout" => repl_timeout: u32 = 60, int(1, I32), [];
    /// Bytes of the stream that are kept for partial resynchronisation.
    "repl-backlog-size" => repl_backlog_size: u64 = 1 << 20, memory(1, I64), [] ReplicationBacklog;
    /// Seconds without replicas after which they are freed; 0 never.
    "repl-backlog-ttl" => repl_backlog_ttl: u64 = 3600, int(0, I64), [];
    /// Replicas without which writes are refused.
    "min-replicas-to-write" | "min-slaves-to-write" => min_replicas_to_write: u32 = 0, int(0, I32), [] GoodReplicas;
    /// Seconds of lag up to which a replica counts.
    "min-replicas-max-lag" | "min-slaves-max-lag" => min_replicas_max_lag: u32 = 10, int(0, I32), [] GoodReplicas;
    /// When a propagated command fails.
    "propagation-error-behavior" => propagation_error_behavior: PropagationError = PropagationError::Ignore, PLAIN, [];

    // Cluster.

    /// Be a node of a cluster.
    "cluster-enabled" => cluster_enabled: bool = false, PLAIN, [IMMUTABLE];
    /// File of the node's own state.
    "cluster-config-file" => cluster_config_file: Text = text("nodes.conf"), PLAIN, [IMMUTABLE];
    /// Milliseconds after which a node counts as away.
    "cluster-node-timeout" => cluster_node_timeout: u64 = 15000, int(0, I64), [];
    /// Milliseconds between pings; 0 follows the timeout.
    "cluster-ping-interval" => cluster_ping_interval: u64 = 0, int(0, I64), [HIDDEN];
    /// Port of the bus; 0 for the client port plus 10000.
    "cluster-port" => cluster_port: u16 = 0, PORT, [IMMUTABLE];
    /// Address told to others.
    "cluster-announce-ip" => cluster_announce_ip: Text = text(""), PLAIN, [] Cluster;
    /// Host name told to others.
    "cluster-announce-hostname" => cluster_announce_hostname: Text = text(""), Rule::Text(check_hostname), [] Cluster;
    /// Name for people to read.
    "cluster-announce-human-nodename" => cluster_announce_human_nodename: Text = text(""), Rule::Text(check_nodename), [] Cluster;
    /// Client port told to others.
    "cluster-announce-port" => cluster_announce_port: u16 = 0, PORT, [] Cluster;
    /// TLS port told to others.
    "cluster-announce-tls-port" => cluster_announce_tls_port: u16 = 0, PORT, [] Cluster;
    /// Bus port told to others.
    "cluster-announce-bus-port" => cluster_announce_bus_port: u16 = 0, PORT, [] Cluster;
    /// How nodes are named to clients.
    "cluster-preferred-endpoint-type" => cluster_preferred_endpoint_type: EndpointType = EndpointType::Ip, PLAIN, [];
    /// Refuse requests while slots are missing.
    "cluster-require-full-coverage" => cluster_require_full_coverage: bool = true, PLAIN, [];
    /// This replica never takes over.
    "cluster-replica-no-failover" | "cluster-slave-no-failover" => cluster_replica_no_failover: bool = false, PLAIN, [] Cluster;
    /// How old a replica's data may be for it to take over; 0 does not matter.
    "cluster-replica-validity-factor" | "cluster-slave-validity-factor" => cluster_replica_validity_factor: u32 = 10, int(0, I32), [];
    /// Replicas that a primary keeps when others are orphaned.
    "cluster-migration-barrier" => cluster_migration_barrier: u32 = 1, int(0, I32), [];
    /// Replicas move to orphaned primaries.
    "cluster-allow-replica-migration" => cluster_allow_replica_migration: bool = true, PLAIN, [];
    /// Reads while the cluster is down.
    "cluster-allow-reads-when-down" => cluster_allow_reads_when_down: bool = false, PLAIN, [];
    /// Sharded pub/sub while the cluster is down.
    "cluster-allow-pubsubshard-when-down" => cluster_allow_pubsubshard_when_down: bool = true, PLAIN, [];
    /// Bytes that may wait for one node on the bus; 0 for no limit.
    "cluster-link-sendbuf-limit" => cluster_link_sendbuf_limit: u64 = 0, memory(0, U64), [];
    /// Percentage of commands checked for what a cluster would refuse.
    "cluster-compatibility-sample-ratio" => cluster_compatibility_sample_ratio: u32 = 0, int(0, 100), [];

    // Scripts, slow log, latency, events.

    /// Milliseconds after which a script is reported as busy; 0 never.
    "busy-reply-threshold" | "lua-time-limit" => busy_reply_threshold: u64 = 5000, int(0, I64), [];
    /// Deprecated parts of Lua's libraries.
    "lua-enable-deprecated-api" => lua_enable_deprecated_api: bool = false, PLAIN, [IMMUTABLE HIDDEN];
    /// Microseconds beyond which a command is logged as slow; negative never.
    "slowlog-log-slower-than" => slowlog_log_slower_than: i64 = 10000, int(-1, I64), [];
    /// Entries of the slow log.
    "slowlog-max-len" => slowlog_max_len: usize = 128, int(0, I64), [];
    /// Milliseconds beyond which LATENCY records an event; 0 records none.
    "latency-monitor-threshold" => latency_monitor_threshold: u64 = 0, int(0, I64), [] LatencyMonitor;
    /// Keep histograms of the commands' latencies.
    "latency-tracking" => latency_tracking: bool = true, PLAIN, [] LatencyTracking;
    /// Percentiles that INFO latencystats shows.
    "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Percentiles = Percentiles(vec![50.0, 99.0, 99.9]), PLAIN, [ALWAYS_WRITTEN];
    /// Keyspace events that are published.
    "notify-keyspace-events" => notify_keyspace_events: NotifyEvents = NotifyEvents::default(), PLAIN, [] NotifyEvents;
}

fn default_save() -> SavePoints {
    SavePoints([(3600, 1), (300, 100), (60, 10000)].map(|(seconds, changes)| SavePoint { seconds, changes }).to_vec())
}
