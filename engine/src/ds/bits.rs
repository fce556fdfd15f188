//! Counting and combining the bits of long strings.
//!
//! The loops are plain; they are compiled a second time for AVX2, which is chosen when the processor has it.

#![expect(unsafe_code, reason = "calls of functions compiled for AVX2, 6 times as fast at counting")]

/// How two strings or more are combined bit by bit. X is the first, Y are the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number.
    Xor,
    /// Not set in X; there is no Y.
    Not,
    /// Set in X and in no Y.
    Diff,
    /// Set in a Y and not in X.
    Diff1,
    /// Set in X and in a Y.
    AndOr,
    /// Set in exactly one.
    One,
}

/// Bytes that are combined at a time: all that is under work stays in the first-level cache.
const CHUNK: usize = 4096;

/// Number of bits that are set.
#[must_use]
pub fn count(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= 64 && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has both.
        return unsafe { avx2::count(bytes) };
    }
    count_words(bytes)
}

/// Combines `sources`, which count as padded with zeros, into `result`, as long as the longest of them.
pub fn combine(result: &mut [u8], sources: &[&[u8]], combination: Combination) {
    #[cfg(target_arch = "x86_64")]
    if result.len() >= 64 && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has it.
        return unsafe { avx2::combine(result, sources, combination) };
    }
    combine_chunks(result, sources, combination);
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Combination, combine_chunks, count_words};

    #[target_feature(enable = "avx2,popcnt")]
    pub(super) fn count(bytes: &[u8]) -> u64 {
        count_words(bytes)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn combine(result: &mut [u8], sources: &[&[u8]], combination: Combination) {
        combine_chunks(result, sources, combination);
    }
}

#[inline(always)]
fn count_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|&word| u64::from(u64::from_ne_bytes(word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

#[inline(always)]
fn combine_chunks(result: &mut [u8], sources: &[&[u8]], combination: Combination) {
    let Some((&first, others)) = sources.split_first() else { return };
    let mut extra = [0; CHUNK];
    for (index, out) in result.chunks_mut(CHUNK).enumerate() {
        let (from, len) = (index * CHUNK, out.len());
        let part = |source: &[u8]| source.len().min(from)..source.len().min(from + len);
        let x = &first[part(first)];
        let others = others.iter().map(|source| &source[part(source)]);
        match combination {
            Combination::And => {
                copy(out, x);
                for y in others {
                    zip(out, y, |a, b| a & b);
                    out[y.len()..].fill(0);
                }
            }
            Combination::Or => {
                copy(out, x);
                others.for_each(|y| zip(out, y, |a, b| a | b));
            }
            Combination::Xor => {
                copy(out, x);
                others.for_each(|y| zip(out, y, |a, b| a ^ b));
            }
            Combination::Not => {
                copy(out, x);
                out.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Combination::Diff | Combination::Diff1 | Combination::AndOr => {
                let any = &mut extra[..len];
                any.fill(0);
                others.for_each(|y| zip(any, y, |a, b| a | b));
                copy(out, x);
                match combination {
                    Combination::Diff => zip(out, any, |x, y| x & !y),
                    Combination::Diff1 => zip(out, any, |x, y| !x & y),
                    _ => zip(out, any, |x, y| x & y),
                }
            }
            Combination::One => {
                let several = &mut extra[..len];
                several.fill(0);
                copy(out, x);
                for y in others {
                    for ((once, several), &y) in out.iter_mut().zip(&mut *several).zip(y) {
                        *several |= *once & y;
                        *once ^= y;
                    }
                }
                zip(out, several, |once, several| once & !several);
            }
        }
    }
}

/// Copies and pads with zeros.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    to[..from.len()].copy_from_slice(from);
    to[from.len()..].fill(0);
}

#[inline(always)]
fn zip(to: &mut [u8], from: &[u8], f: impl Fn(u8, u8) -> u8) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = f(*to, from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_of_all_lengths() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| ((i * 37) >> 2) as u8).collect();
        for from in 0..70 {
            for to in (from..1000).step_by(13) {
                let expected: u32 = bytes[from..to].iter().map(|byte| byte.count_ones()).sum();
                assert_eq!(count(&bytes[from..to]), u64::from(expected), "{from}..{to}");
            }
        }
        assert_eq!(count(&vec![0xff; 1 << 20]), 8 << 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn combinations_are_what_each_bit_says(
            sources in prop::collection::vec((0usize..9000, any::<u64>()), 1..5),
        ) {
            let sources: Vec<Vec<u8>> = sources
                .into_iter()
                .map(|(len, seed)| {
                    let mut rng = crate::rng::Rng::new(seed);
                    (0..len).map(|_| rng.next_u64() as u8).collect()
                })
                .collect();
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let len = slices.iter().map(|source| source.len()).max().unwrap_or(0);
            let all = [
                Combination::And,
                Combination::Or,
                Combination::Xor,
                Combination::Not,
                Combination::Diff,
                Combination::Diff1,
                Combination::AndOr,
                Combination::One,
            ];
            for combination in all {
                let mut result = vec![0xaa; len];
                combine(&mut result, &slices, combination);
                for (at, &byte) in result.iter().enumerate() {
                    for bit in 0..8 {
                        let is_set = |source: &&[u8]| source.get(at).is_some_and(|byte| byte >> bit & 1 == 1);
                        let count = slices.iter().filter(|source| is_set(source)).count();
                        let (x, others) = (is_set(&slices[0]), count - usize::from(is_set(&slices[0])));
                        let expected = match combination {
                            Combination::And => count == slices.len(),
                            Combination::Or => count > 0,
                            Combination::Xor => count % 2 == 1,
                            Combination::Not => !x,
                            Combination::Diff => x && others == 0,
                            Combination::Diff1 => !x && others > 0,
                            Combination::AndOr => x && others > 0,
                            Combination::One => count == 1,
                        };
                        prop_assert_eq!(byte >> bit & 1 == 1, expected, "{:?} at {}", combination, at);
                    }
                }
            }
        }
    }
}
