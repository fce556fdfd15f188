//! The 24 bits in an entry that tell of accesses: seconds of the last one, or how frequent they are.
//!
//! LFU is Redis' scheme: 16 bits of minutes when the counter last fell, and an 8-bit counter that grows with a probability
//! that falls as it grows. <https://redis.io/docs/latest/develop/reference/eviction/>

use crate::config::AccessClock;
use crate::time::UnixMs;

/// Bits of the clock.
const MASK: u32 = (1 << 24) - 1;

/// Counter of a new key under LFU: it would be evicted at once if it began at 0.
const LFU_INITIAL: u32 = 5;

/// Seconds, as the LRU clock counts them.
fn seconds(now: UnixMs) -> u32 {
    (now.0 / 1000) as u32 & MASK
}

/// Minutes, as the LFU clock counts them.
fn minutes(now: UnixMs) -> u32 {
    (now.0 / 60_000) as u32 & 0xffff
}

/// Clock of a new key.
pub(super) fn fresh(kind: AccessClock, now: UnixMs) -> u32 {
    match kind {
        AccessClock::Lru => seconds(now),
        AccessClock::Lfu { .. } => minutes(now) << 8 | LFU_INITIAL,
    }
}

/// Frequency counter after the time that has passed since it last fell.
pub(super) fn frequency(clock: u32, decay_minutes: u32, now: UnixMs) -> u32 {
    let counter = clock & 0xff;
    let passed = minutes(now).wrapping_sub(clock >> 8) & 0xffff;
    passed.checked_div(decay_minutes).map_or(counter, |periods| counter.saturating_sub(periods))
}

/// Clock of a key that is accessed. `random` has 64 random bits for LFU.
pub(super) fn accessed(kind: AccessClock, clock: u32, now: UnixMs, random: u64) -> u32 {
    match kind {
        AccessClock::Lru => seconds(now),
        AccessClock::Lfu { log_factor, decay_minutes } => {
            let counter = frequency(clock, decay_minutes, now);
            let rarity = u64::from(counter.saturating_sub(LFU_INITIAL)) * u64::from(log_factor) + 1;
            let grows = counter < 0xff && (u128::from(random) * u128::from(rarity)) >> 64 == 0;
            minutes(now) << 8 | (counter + u32::from(grows))
        }
    }
}

/// Seconds since the last access, from an LRU clock. It wraps after 194 days.
pub(super) fn idle_secs(clock: u32, now: UnixMs) -> u64 {
    u64::from(seconds(now).wrapping_sub(clock) & MASK)
}

/// LRU clock of a key that was accessed so many seconds ago.
pub(super) fn idle_since(secs: u64, now: UnixMs) -> u32 {
    seconds(now).wrapping_sub(secs as u32) & MASK
}

/// LFU clock with a given counter.
pub(super) fn with_frequency(counter: u8, now: UnixMs) -> u32 {
    minutes(now) << 8 | u32::from(counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: AccessClock = AccessClock::Lfu { log_factor: 10, decay_minutes: 1 };

    #[test]
    fn idle_time_survives_the_wrap() {
        let wrap = UnixMs(1000 * i64::from(MASK + 1));
        assert_eq!(idle_secs(seconds(wrap.plus(-5000)), wrap.plus(3000)), 8);
        assert_eq!(idle_secs(idle_since(70, wrap), wrap), 70);
    }

    #[test]
    fn frequency_grows_slower_and_slower_and_decays() {
        let now = UnixMs(1_700_000_000_000);
        let mut clock = fresh(LFU, now);
        assert_eq!(frequency(clock, 1, now), 5);
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        };
        let mut after = Vec::new();
        for i in 1..=100_000 {
            clock = accessed(LFU, clock, now, random());
            if [100, 1000, 100_000].contains(&i) {
                after.push(frequency(clock, 1, now));
            }
        }
        // The documentation's table for factor 10: 10, 18, 142.
        assert!(
            (8..=13).contains(&after[0]) && (15..=22).contains(&after[1]) && (130..=155).contains(&after[2]),
            "{after:?}"
        );
        let counter = frequency(clock, 1, now);
        assert_eq!(frequency(clock, 1, now.plus(3 * 60_000)), counter - 3);
        assert_eq!(frequency(clock, 0, now.plus(300 * 60_000)), counter);
    }
}
