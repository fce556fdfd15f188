//! The one keyed hash of the process: keys, members and fields all use it.
//!
//! The high bits choose a bucket and the low byte is the tag that is kept beside a reference (see [`super::table`]), so
//! both ends of the word have to be well mixed. The seed keeps clients from choosing colliding keys; an embedder that
//! takes keys from strangers sets it from an entropy source before the first use.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

static STATE: OnceLock<RandomState> = OnceLock::new();

/// Seed used when the embedder sets none: fine for tests, not for keys from strangers.
const DEFAULT_SEED: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];

/// Sets the seed of the process. Has to come before the first use of [`hash`]; answers whether it took effect.
pub fn set_seed(seed: [u64; 4]) -> bool {
    STATE.set(RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3])).is_ok()
}

#[cold]
fn default_state() -> RandomState {
    RandomState::with_seeds(DEFAULT_SEED[0], DEFAULT_SEED[1], DEFAULT_SEED[2], DEFAULT_SEED[3])
}

/// Hash of a key: 64 well mixed bits, the same for the same bytes as long as the process lives.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    let mut hasher = STATE.get_or_init(default_state).build_hasher();
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-square of `counts` against a flat distribution, per degree of freedom: about 1 for a good hash.
    fn unevenness(counts: &[u32]) -> f64 {
        let total: u32 = counts.iter().sum();
        let expected = f64::from(total) / counts.len() as f64;
        counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum::<f64>() / (counts.len() - 1) as f64
    }

    #[test]
    fn both_ends_are_flat_for_sequential_keys() {
        for pattern in ["key:", "user:session:0000000000:", "", "\u{e9}\u{e9}"] {
            let mut high = vec![0u32; 1024];
            let mut low = vec![0u32; 256];
            for i in 0..200_000 {
                let h = hash(format!("{pattern}{i}").as_bytes());
                high[(h >> 54) as usize] += 1;
                low[(h & 0xff) as usize] += 1;
            }
            assert!(unevenness(&high) < 1.3, "{pattern}: high bits {}", unevenness(&high));
            assert!(unevenness(&low) < 1.5, "{pattern}: low byte {}", unevenness(&low));
        }
    }

    #[test]
    fn tag_does_not_follow_from_the_bucket() {
        // Among keys of one bucket of 4096, tags are as good as random: pairs collide about once in 256.
        let mut by_bucket = vec![Vec::new(); 4096];
        for i in 0..32_768u32 {
            let h = hash(format!("key:{i}").as_bytes());
            by_bucket[(h >> 52) as usize].push(h as u8);
        }
        let (mut pairs, mut equal) = (0u32, 0u32);
        for tags in &by_bucket {
            for (i, a) in tags.iter().enumerate() {
                for b in &tags[..i] {
                    pairs += 1;
                    equal += u32::from(a == b);
                }
            }
        }
        let rate = f64::from(equal) / f64::from(pairs);
        assert!((0.8 / 256.0..1.2 / 256.0).contains(&rate), "{rate}");
    }

    #[test]
    fn lengths_are_told_apart() {
        assert_ne!(hash(b""), hash(b"\0"));
        assert_ne!(hash(b"\0"), hash(b"\0\0"));
        assert_ne!(hash(b"aaaaaaaa"), hash(b"aaaaaaaaa"));
    }
}
