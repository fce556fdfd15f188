//! What the engine can be told to do differently: plain data, changed at any time by the embedder.

/// How the 24-bit clock of an entry is used.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum AccessClock {
    /// Seconds of the last access (`maxmemory-policy *-lru` and all policies but LFU).
    Lru,
    /// Access frequency: minutes of the last decrement and an 8-bit logarithmic counter.
    Lfu {
        /// `lfu-log-factor`: how much harder each step of the counter is than the one before.
        log_factor: u32,
        /// `lfu-decay-time`: minutes after which the counter falls by one. 0 never decays.
        decay_minutes: u32,
    },
}

/// Encoding thresholds and limits. Names follow the configuration parameters.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Number of databases.
    pub databases: usize,
    /// `hash-max-listpack-entries`: fields.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`: bytes.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`: members.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`: members.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`: bytes.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`: members.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`: bytes.
    pub zset_max_listpack_value: usize,
    /// `list-max-listpack-size`: elements when positive, -1..-5 for 4..64 KiB.
    pub list_max_listpack_size: i32,
    /// `list-compress-depth`: nodes at each end that stay plain; 0 compresses none.
    pub list_compress_depth: u32,
    /// `proto-max-bulk-len`: bytes a string may grow to.
    pub string_len_max: u64,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: usize,
    /// `stream-node-max-bytes`.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`.
    pub stream_node_max_entries: usize,
    /// How the access clock of entries is kept.
    pub access_clock: AccessClock,
    /// `lazyfree-lazy-user-del`: DEL frees as UNLINK does.
    pub lazy_user_del: bool,
    /// `lazyfree-lazy-server-del`: values that a command replaces are freed as UNLINK does.
    pub lazy_server_del: bool,
    /// `lazyfree-lazy-expire`.
    pub lazy_expire: bool,
    /// `lazyfree-lazy-user-flush`.
    pub lazy_user_flush: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            databases: 16,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            string_len_max: 512 * 1024 * 1024,
            hll_sparse_max_bytes: 3000,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            access_clock: AccessClock::Lru,
            lazy_user_del: false,
            lazy_server_del: false,
            lazy_expire: false,
            lazy_user_flush: false,
        }
    }
}
