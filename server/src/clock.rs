//! The server's time: read once per tick from the system, and once per command from the time stamp counter.
//!
//! The counter's rate is measured against the monotonic clock from cron to cron, so a command costs one counter
//! read: the end of one command is the beginning of the next.

use engine::time::UnixMs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sys::tsc;

/// A moment as the time stamp counter tells it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp(u64);

/// The clock.
#[derive(Debug)]
pub struct Clock {
    /// Moment of the last calibration.
    base: Stamp,
    base_unix_us: i64,
    /// Microseconds per tick, in 2^-32.
    scale: u64,
    first: (Instant, Stamp),
    now: UnixMs,
}

impl Default for Clock {
    fn default() -> Self {
        let first = (Instant::now(), Stamp(tsc::ticks()));
        // A first guess from two milliseconds; cron makes it better and better.
        std::thread::sleep(Duration::from_millis(2));
        let mut clock = Clock { base: first.1, base_unix_us: 0, scale: 1, first, now: UnixMs(0) };
        clock.calibrate();
        clock
    }
}

impl Clock {
    /// Compares the counter with the system's clocks. Called by cron.
    pub fn calibrate(&mut self) {
        let (elapsed, stamp) = (self.first.0.elapsed(), Stamp(tsc::ticks()));
        let ticks = u128::from(stamp.0.saturating_sub(self.first.1.0)).max(1);
        self.scale = ((elapsed.as_nanos() << 32) / ticks / 1000) as u64;
        self.base = stamp;
        self.base_unix_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        self.now = UnixMs(self.base_unix_us / 1000);
    }

    /// This moment.
    #[inline]
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp(tsc::ticks())
    }

    /// Microseconds from `from` to `to`.
    #[inline]
    #[must_use]
    pub fn micros(&self, from: Stamp, to: Stamp) -> u64 {
        ((u128::from(to.0.saturating_sub(from.0)) * u128::from(self.scale)) >> 32) as u64
    }

    /// Makes `stamp` the current time.
    #[inline]
    pub fn advance(&mut self, stamp: Stamp) {
        self.now = UnixMs((self.base_unix_us + self.micros(self.base, stamp) as i64) / 1000);
    }

    /// Makes `now` the current time again: for a unit in whose middle others were served.
    pub fn restore(&mut self, now: UnixMs) {
        self.now = now;
    }

    /// Microseconds since the epoch at `stamp`.
    #[must_use]
    pub fn unix_micros(&self, stamp: Stamp) -> i64 {
        self.base_unix_us + self.micros(self.base, stamp) as i64
    }

    /// The current time, as last advanced.
    #[inline]
    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.now
    }
}
