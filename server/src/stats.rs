//! Counters that INFO shows and CONFIG RESETSTAT sets back.

use std::collections::BTreeMap;

/// Distinct error codes that are counted; beyond, nothing more is: somebody makes them up.
const ERROR_CODES_MAX: usize = 128;

/// Counters since the start or the last reset.
#[derive(Debug, Default)]
pub struct Stats {
    /// Scripts that had to leave the cache.
    pub evicted_scripts: u64,
    /// Changes since the last save.
    pub dirty: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: u64,
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Error replies.
    pub errors: u64,
    /// Error replies by code.
    pub errors_by_code: BTreeMap<Box<str>, u64>,
    /// Too many different codes: no more are counted.
    pub errors_disabled: bool,
    /// Reads handled.
    pub reads: u64,
    /// Writes handled.
    pub writes: u64,
    /// Clients cut off for passing their output limit.
    pub output_limit_disconnections: u64,
    /// Clients cut off for passing the query buffer limit.
    pub query_limit_disconnections: u64,
    /// Failed authentications.
    pub denied_auth: u64,
    /// Microseconds that removing expired keys in the background took.
    pub expire_us: u64,
    /// Times the expiry cycle ran out of time.
    pub expire_time_cap_reached: u64,
    /// Turns of the event loop.
    pub cycles: u64,
    /// Microseconds spent in them, waiting aside.
    pub cycle_us: u64,
    /// The longest of them, in microseconds.
    pub cycle_us_max: u64,
    /// Microseconds spent running commands.
    pub command_us: u64,
    /// Most commands run in one turn.
    pub commands_per_cycle_max: u64,
    /// Microseconds spent writing the append-only file.
    pub aof_us: u64,
    /// Microseconds spent in cron.
    pub cron_us: u64,
    /// Most memory ever used, in bytes.
    pub memory_peak: usize,
    /// Most memory ever used: when, in milliseconds since the epoch.
    pub memory_peak_at: i64,
}

impl Stats {
    /// Counts an error reply by its first word.
    pub fn count_error(&mut self, text: &[u8]) {
        self.errors += 1;
        if self.errors_disabled {
            return;
        }
        let end = text.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
        let code = String::from_utf8_lossy(&text[..end]);
        if let Some(count) = self.errors_by_code.get_mut(&*code) {
            *count += 1;
            return;
        }
        if self.errors_by_code.len() >= ERROR_CODES_MAX {
            let known: Vec<&str> = self.errors_by_code.keys().map(|code| &**code).collect();
            tracing::warn!(
                "Errorstats stopped adding new errors because the number of errors reached the limit (suggested action: reset with 'CONFIG RESETSTAT')."
            );
            tracing::warn!("Current errors code list: {}", known.join(", "));
            self.errors_disabled = true;
            self.errors_by_code = BTreeMap::from([("ERRORSTATS_DISABLED".into(), 1)]);
            return;
        }
        self.errors_by_code.insert(code.into(), 1);
    }

    /// CONFIG RESETSTAT: what counts up is set back; the memory of peaks and unsaved changes is not.
    pub fn reset(&mut self) {
        *self = Stats {
            dirty: self.dirty,
            memory_peak: self.memory_peak,
            memory_peak_at: self.memory_peak_at,
            ..Stats::default()
        };
    }
}
