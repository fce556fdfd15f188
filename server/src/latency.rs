//! The latency monitor: for each kind of event, the moments at which it took `latency-monitor-threshold` or longer.

use std::collections::BTreeMap;

use engine::time::UnixMs;

/// Samples kept for each event.
pub const SAMPLES_MAX: usize = 160;

/// The samples of one event.
#[derive(Debug, Default)]
pub struct Series {
    /// (seconds since the epoch, milliseconds), oldest first.
    pub samples: std::collections::VecDeque<(i64, u64)>,
    /// The longest ever seen, in milliseconds.
    pub max_ms: u64,
}

/// All series by event.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    /// Events by name.
    pub events: BTreeMap<&'static str, Series>,
    /// Shortest time recorded, in milliseconds; 0 records nothing.
    pub threshold_ms: u64,
}

impl LatencyMonitor {
    /// Records an event that took `micros`, if it is long enough. One second keeps its longest.
    pub fn note(&mut self, event: &'static str, micros: u64, now: UnixMs) {
        let ms = micros / 1000;
        if self.threshold_ms == 0 || ms < self.threshold_ms {
            return;
        }
        let series = self.events.entry(event).or_default();
        series.max_ms = series.max_ms.max(ms);
        match series.samples.back_mut() {
            Some((second, longest)) if *second == now.secs() => *longest = ms.max(*longest),
            _ => {
                if series.samples.len() == SAMPLES_MAX {
                    series.samples.pop_front();
                }
                series.samples.push_back((now.secs(), ms));
            }
        }
    }
}
