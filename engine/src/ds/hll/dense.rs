//! Registers of six bits, and one byte each while they are merged.
//!
//! Merging is what PFCOUNT of several keys and PFMERGE spend their time with: 12 KiB a key are unpacked and compared. With
//! AVX2 that is 32 registers at a time: each group of three bytes is spread over four.

#![expect(unsafe_code, reason = "AVX2, 5 times as fast as the portable form")]

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Histogram, REGISTERS};

/// Bytes of packed registers.
const PACKED: usize = REGISTERS * 6 / 8;

/// Whether vector instructions may be used, where the processor has them (PFDEBUG SIMD).
static SIMD: AtomicBool = AtomicBool::new(true);

/// Allows vector instructions or not: results are the same, tests compare them.
pub fn set_simd(on: bool) {
    SIMD.store(on, Ordering::Relaxed);
}

/// Raises a packed register to `value`; answers whether it was less.
#[inline]
pub(super) fn raise(packed: &mut [u8], index: usize, value: u8) -> bool {
    // A register lies in one byte or in two; the last one ends with the last byte.
    let (byte, shift) = (index * 6 / 8, index * 6 % 8);
    let second = packed.get(byte + 1).copied().unwrap_or(0);
    let pair = u16::from_le_bytes([packed[byte], second]);
    let old = (pair >> shift & 63) as u8;
    if old >= value {
        return false;
    }
    let [first, second] = (pair & !(63 << shift) | u16::from(value & 63) << shift).to_le_bytes();
    packed[byte] = first;
    if shift > 2 {
        packed[byte + 1] = second;
    }
    true
}

/// All registers, a byte each: where sketches are merged.
#[derive(Clone, Debug)]
#[repr(align(32))]
pub struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Self {
        Registers([0; REGISTERS])
    }
}

impl Registers {
    /// The values.
    #[must_use]
    pub fn values(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    /// The estimated number of different elements.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        Histogram::of(&self.0).estimate()
    }

    /// Adds an element.
    pub fn add(&mut self, element: &[u8]) {
        let (index, value) = super::place(element);
        self.0[index] = self.0[index].max(value);
    }

    /// Raises these registers to `value`.
    pub(super) fn raise(&mut self, indexes: Range<usize>, value: u8) {
        if value > 0 {
            self.0[indexes].iter_mut().for_each(|old| *old = value.max(*old));
        }
    }

    /// Raises each register to the packed one.
    ///
    /// # Panics
    /// When there are not as many packed ones.
    pub(super) fn merge_dense(&mut self, packed: &[u8]) {
        let packed: &[u8; PACKED] = packed.try_into().expect("a dense sketch has all registers");
        #[cfg(target_arch = "x86_64")]
        if SIMD.load(Ordering::Relaxed) && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { avx2::merge(&mut self.0, packed) };
        }
        merge_from(&mut self.0, packed, 0);
    }

    /// Packs the registers.
    ///
    /// # Panics
    /// When `packed` has not room for exactly them.
    pub(super) fn write_dense(&self, packed: &mut [u8]) {
        let packed: &mut [u8; PACKED] = packed.try_into().expect("a dense sketch has all registers");
        #[cfg(target_arch = "x86_64")]
        if SIMD.load(Ordering::Relaxed) && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { avx2::pack(&self.0, packed) };
        }
        pack_from(&self.0, packed, 0);
    }
}

/// The portable form of merging, from register `from` on, a multiple of four.
fn merge_from(values: &mut [u8; REGISTERS], packed: &[u8; PACKED], from: usize) {
    let groups = packed[from / 4 * 3..].as_chunks::<3>().0;
    for (four, &[a, b, c]) in values[from..].as_chunks_mut::<4>().0.iter_mut().zip(groups) {
        let group = u32::from_le_bytes([a, b, c, 0]);
        for (k, value) in four.iter_mut().enumerate() {
            *value = (*value).max((group >> (6 * k) & 63) as u8);
        }
    }
}

/// The portable form of packing, from register `from` on, a multiple of four.
fn pack_from(values: &[u8; REGISTERS], packed: &mut [u8; PACKED], from: usize) {
    let groups = packed[from / 4 * 3..].as_chunks_mut::<3>().0;
    for (four, group) in values[from..].as_chunks::<4>().0.iter().zip(groups) {
        let bits = four.iter().rev().fold(0, |bits, &value| bits << 6 | u32::from(value & 63));
        group.copy_from_slice(&bits.to_le_bytes()[..3]);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{PACKED, REGISTERS, merge_from, pack_from};

    /// Registers of one vector.
    const STEP: usize = 32;

    /// Registers that vectors can do: reading and writing them touches up to eight bytes beyond, so the last ones are left.
    const END: usize = REGISTERS - STEP;

    #[target_feature(enable = "avx2")]
    pub(super) fn merge(values: &mut [u8; REGISTERS], packed: &[u8; PACKED]) {
        // The first and the second 12 of 24 bytes go into one half each, three bytes into each group of four.
        let spread = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
        for at in (0..END).step_by(STEP) {
            let from = at / 4 * 3;
            let (low, high) = (&packed[from..from + 16], &packed[from + 12..from + 28]);
            let slot = &mut values[at..at + STEP];
            // SAFETY: the slices are as long as what is read and written; no alignment is asked for.
            unsafe {
                let bytes = _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast());
                let group = _mm256_shuffle_epi8(bytes, spread);
                let first = _mm256_and_si256(group, _mm256_set1_epi32(0x0000_003f));
                let second = _mm256_and_si256(_mm256_slli_epi32(group, 2), _mm256_set1_epi32(0x0000_3f00));
                let third = _mm256_and_si256(_mm256_slli_epi32(group, 4), _mm256_set1_epi32(0x003f_0000));
                let fourth = _mm256_and_si256(_mm256_slli_epi32(group, 6), _mm256_set1_epi32(0x3f00_0000));
                let new = _mm256_or_si256(_mm256_or_si256(first, second), _mm256_or_si256(third, fourth));
                let old = _mm256_loadu_si256(slot.as_ptr().cast());
                _mm256_storeu_si256(slot.as_mut_ptr().cast(), _mm256_max_epu8(old, new));
            }
        }
        merge_from(values, packed, END);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn pack(values: &[u8; REGISTERS], packed: &mut [u8; PACKED]) {
        let gather = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
        for at in (0..END).step_by(STEP) {
            let to = at / 4 * 3;
            let slot = &values[at..at + STEP];
            // SAFETY: the slices are as long as what is read and written; no alignment is asked for.
            unsafe {
                let four = _mm256_loadu_si256(slot.as_ptr().cast());
                // Two registers become twelve bits, then two of those 24.
                let pairs = _mm256_maddubs_epi16(four, _mm256_set1_epi16(0x4001));
                let groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x1000_0001));
                let bytes = _mm256_shuffle_epi8(groups, gather);
                let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
                // Each store writes four bytes too many, which the next one or the portable end overwrites.
                _mm_storeu_si128(packed[to..to + 16].as_mut_ptr().cast(), low);
                _mm_storeu_si128(packed[to + 12..to + 28].as_mut_ptr().cast(), high);
            }
        }
        pack_from(values, packed, END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random(rng: &mut Rng) -> Registers {
        let mut registers = Registers::default();
        registers.0.iter_mut().for_each(|value| *value = rng.below(64) as u8);
        registers
    }

    #[test]
    fn packed_registers_keep_their_neighbours() {
        let mut rng = Rng::new(1);
        let (mut packed, mut model) = ([0; PACKED], [0u8; REGISTERS]);
        for _ in 0..100_000 {
            let (index, value) = (rng.index(REGISTERS), rng.below(64) as u8);
            assert_eq!(raise(&mut packed, index, value), model[index] < value);
            model[index] = model[index].max(value);
        }
        let mut registers = Registers::default();
        registers.merge_dense(&packed);
        assert_eq!(registers.0, model);
    }

    #[test]
    fn vectors_do_as_the_portable_form() {
        let mut rng = Rng::new(2);
        let (a, b) = (random(&mut rng), random(&mut rng));
        let (mut packed, mut portable) = ([0xff; PACKED], [0; PACKED]);
        a.write_dense(&mut packed);
        pack_from(&a.0, &mut portable, 0);
        assert_eq!(packed, portable);
        let (mut merged, mut expected) = (b.clone(), b.clone());
        merged.merge_dense(&packed);
        merge_from(&mut expected.0, &packed, 0);
        assert_eq!(merged.0, expected.0);
        assert!(merged.0.iter().zip(a.0.iter().zip(&b.0)).all(|(merged, (a, b))| merged == a.max(b)));
    }
}
