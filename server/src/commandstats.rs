//! What is counted about each command: calls, time, rejections, failures, and a histogram of latencies.
//!
//! The histogram is log-linear: each power of two is cut into 128 equal buckets, so a value is known to within
//! 1/128 of itself, over nine decades of nanoseconds, in 12 KB. It comes into being with the command's first
//! call. Recording is a count of leading zeros, a shift and an increment. Buckets are those of HdrHistogram with two
//! significant digits, which Redis uses too, so percentiles come out alike.

/// Values above are counted as this one, in nanoseconds.
const LATENCY_NS_MAX: u64 = 1_000_000_000;

/// Values below twice this have a bucket each; above, each power of two has this many buckets.
const HALF: usize = 128;

/// Buckets up to [`LATENCY_NS_MAX`].
const BUCKETS: usize = bucket_of(LATENCY_NS_MAX) + 1;

/// The first bound that LATENCY HISTOGRAM reports, in nanoseconds; the next ones double.
const FIRST_BOUND_NS: u64 = 1024;

/// What is counted about one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStat {
    /// Times it ran.
    pub calls: u64,
    /// Microseconds it ran in all.
    pub micros: u64,
    /// Times it was refused before running: arity, permissions, state of the server.
    pub rejected: u64,
    /// Times it answered with an error.
    pub failed: u64,
    /// Its latencies, while `latency-tracking` is on.
    pub latencies: Option<Box<Histogram>>,
}

impl CommandStat {
    /// Counts a call.
    #[inline]
    pub fn record(&mut self, micros: u64, failed: bool) {
        self.calls += 1;
        self.micros += micros;
        self.failed += u64::from(failed);
    }

    /// Counts its latency too.
    #[inline]
    pub fn record_latency(&mut self, micros: u64) {
        match &mut self.latencies {
            Some(histogram) => histogram.record(micros),
            None => self.first_latency(micros),
        }
    }

    #[cold]
    fn first_latency(&mut self, micros: u64) {
        self.latencies.insert(Box::default()).record(micros);
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls == 0 && self.rejected == 0 && self.failed == 0
    }
}

/// How often a command took how long.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], total: 0 }
    }
}

/// The bucket that counts a value.
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    let shift = (64 - HALF.trailing_zeros() - 1) - (nanos | (2 * HALF as u64 - 1)).leading_zeros();
    ((nanos >> shift) as usize) + shift as usize * HALF
}

/// The largest value that shares a bucket.
const fn highest_in(bucket: usize) -> u64 {
    let shift = if bucket < 2 * HALF { 0 } else { bucket / HALF - 1 };
    let position = (bucket - shift * HALF) as u64;
    ((position + 1) << shift) - 1
}

impl Histogram {
    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, micros: u64) {
        let nanos = micros.saturating_mul(1000).min(LATENCY_NS_MAX);
        let count = &mut self.counts[bucket_of(nanos)];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// How many were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The latency that a percentage of all calls did not exceed, in nanoseconds, rounded up to its bucket's end.
    #[must_use]
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = ((percent.clamp(0.0, 100.0) / 100.0) * self.total as f64 + 0.5) as u64;
        let wanted = wanted.max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return highest_in(bucket);
            }
        }
        0
    }

    /// What LATENCY HISTOGRAM answers: bounds in microseconds, doubling, each with the number of calls that took no
    /// longer; a bound that adds none is left out.
    #[must_use]
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut answer: Vec<(u64, u64)> = Vec::new();
        let mut bound = FIRST_BOUND_NS;
        let mut seen = 0;
        let mut next = 0;
        // Counters saturate, so the total may never be reached: the last bucket ends it too.
        while seen < self.total && next < BUCKETS {
            let end = bucket_of(bound.min(LATENCY_NS_MAX));
            let before = seen;
            seen += self.counts[next..=end].iter().map(|count| u64::from(*count)).sum::<u64>();
            next = end + 1;
            if seen > before {
                answer.push((highest_in(bucket_of(bound)) / 1000, seen));
            }
            bound *= 2;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_all_values_without_gaps() {
        let mut expected = 0;
        for bucket in 0..BUCKETS {
            let highest = highest_in(bucket);
            assert_eq!(bucket_of(expected), bucket, "the first value behind the bucket before");
            assert_eq!(bucket_of(highest), bucket);
            assert!(highest - expected <= expected / HALF as u64, "no wider than 1/128 of its values");
            expected = highest + 1;
        }
        assert!(expected > LATENCY_NS_MAX);
        assert!(size_of::<Histogram>() < 13 * 1024);
    }

    #[test]
    fn percentiles_agree_with_sorted_values() {
        // As a reference server shows calls of 8, 7 and 34 microseconds.
        for (micros, shown) in [(8, 8031), (7, 7007), (34, 34047), (12, 12031), (95, 95231), (98, 98303), (94, 94207)] {
            let mut histogram = Histogram::default();
            histogram.record(micros);
            assert_eq!(histogram.percentile_ns(99.0), shown, "{micros}");
        }
        let mut histogram = Histogram::default();
        let mut values: Vec<u64> = (0..10_000u64).map(|i| i * i % 7919 + i % 13).collect();
        values.iter().for_each(|value| histogram.record(*value));
        values.sort_unstable();
        for percent in [0.1, 10.0, 50.0, 99.0, 99.9, 100.0] {
            let exact = values[((percent / 100.0 * 10_000.0) as usize).max(1) - 1] * 1000;
            assert_eq!(histogram.percentile_ns(percent), highest_in(bucket_of(exact)), "{percent}");
        }
    }

    #[test]
    fn bounds_double_and_counts_add_up() {
        let mut histogram = Histogram::default();
        for micros in [0, 1, 1, 3, 7, 8, 30, 33, 200, 5_000_000, u64::MAX] {
            histogram.record(micros);
        }
        assert_eq!(histogram.total(), 11);
        assert_eq!(
            histogram.cumulative(),
            [(1, 3), (4, 4), (8, 6), (33, 8), (264, 9), (1_082_130, 11)].map(|(bound, count)| (bound, count))
        );
        assert!(Histogram::default().cumulative().is_empty());
    }

    #[test]
    fn a_command_without_calls_has_no_histogram() {
        let mut stat = CommandStat::default();
        assert!(stat.is_empty() && stat.latencies.is_none());
        stat.record(5, true);
        stat.record_latency(5);
        assert_eq!((stat.calls, stat.micros, stat.failed), (1, 5, 1));
        assert_eq!(stat.latencies.as_ref().map(|histogram| histogram.total()), Some(1));
    }
}
