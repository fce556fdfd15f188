//! Random numbers for workloads: fast, seedable, not for secrets.

use std::hash::{BuildHasher, RandomState};

/// A generator (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// From a seed, or from what the system gives.
    pub(crate) fn new(seed: Option<u64>) -> Random {
        // The keys of a hasher are the randomness that the standard library has.
        Random { state: seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id())) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `0..limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_limits_and_repeatable() {
        let draw = |seed| {
            let mut random = Random::new(Some(seed));
            (0..1000).map(|_| random.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((0..10).all(|number| draw(7).contains(&number)));
        assert!(draw(7).iter().all(|number| *number < 10));
        assert!((0.0..1.0).contains(&Random::new(None).unit()));
        assert_eq!(Random::new(None).below(0), 0);
    }
}
