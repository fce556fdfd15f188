//! Provisional configuration.
use engine::effects::EventClass;

/// Keyspace notifications.
#[derive(Copy, Clone, Debug, Default)]
pub struct NotifyKeyspaceEvents {
    /// K
    pub keyspace: bool,
    /// E
    pub keyevent: bool,
    /// classes
    pub classes: EventClass,
}
/// Limit.
#[derive(Copy, Clone, Debug, Default)]
pub struct OutputLimit {
    /// hard
    pub hard_bytes: u64,
    /// soft
    pub soft_bytes: u64,
    /// secs
    pub soft_seconds: u32,
}
/// Limits.
#[derive(Copy, Clone, Debug, Default)]
pub struct OutputLimits {
    /// n
    pub normal: OutputLimit,
    /// r
    pub replica: OutputLimit,
    /// p
    pub pubsub: OutputLimit,
}
/// Configuration.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "provisional")]
pub struct Config {
    pub port: u16,
    pub bind: Vec<String>,
    pub unixsocket: String,
    pub unixsocketperm: u32,
    pub tcp_backlog: i32,
    pub tcp_keepalive: u32,
    pub timeout: u32,
    pub maxclients: u32,
    pub hz: u32,
    pub requirepass: String,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub protected_mode: bool,
    pub client_output_buffer_limits: OutputLimits,
    pub notify_keyspace_events: NotifyKeyspaceEvents,
    pub client_default_resp: u32,
    pub max_new_connections_per_cycle: u32,
    pub activerehashing: bool,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: usize,
}
impl Default for Config {
    fn default() -> Self {
        Config {
            port: 6379,
            bind: vec!["*".into(), "-::*".into()],
            unixsocket: String::new(),
            unixsocketperm: 0,
            tcp_backlog: 511,
            tcp_keepalive: 300,
            timeout: 0,
            maxclients: 10000,
            hz: 10,
            requirepass: String::new(),
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            protected_mode: true,
            client_output_buffer_limits: OutputLimits::default(),
            notify_keyspace_events: NotifyKeyspaceEvents::default(),
            client_default_resp: 2,
            max_new_connections_per_cycle: 10,
            activerehashing: true,
            slowlog_log_slower_than: 10000,
            slowlog_max_len: 128,
        }
    }
}
impl Config {
    /// Engine's part.
    pub fn engine_config(&self) -> engine::config::EngineConfig {
        engine::config::EngineConfig::default()
    }
    /// bind default.
    pub fn bind_is_default(&self) -> bool {
        true
    }
}
