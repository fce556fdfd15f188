//! From registers to an estimate: Ertl's improved raw estimator.

use super::{RANK_BITS, REGISTERS};

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers hold each value.
#[derive(Clone, Debug)]
pub struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts `count` registers of `value` (below 64).
    #[inline]
    pub fn add(&mut self, value: u8, count: u32) {
        self.0[usize::from(value & 63)] += count;
    }

    /// The histogram of these registers.
    #[must_use]
    pub fn of(registers: &[u8; REGISTERS]) -> Self {
        // Four tables: an increment need not wait for the one before it when both hit the same value.
        let mut tables = [[0u32; 64]; 4];
        for four in registers.as_chunks::<4>().0 {
            for (table, &value) in tables.iter_mut().zip(four) {
                table[usize::from(value & 63)] += 1;
            }
        }
        Histogram(std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum()))
    }

    /// The estimated number of different elements.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let (count, last) = (|value: usize| f64::from(self.0[value]), RANK_BITS as usize);
        let mut z = m * tau((m - count(last + 1)) / m);
        for value in (1..=last).rev() {
            z = 0.5 * (z + count(value));
        }
        z += m * sigma(count(0) / m);
        (ALPHA * m * m / z).round() as u64
    }
}

/// x + Σ x^(2^k) 2^(k-1): the correction for registers that are still zero.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3: the correction for registers at their limit.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
