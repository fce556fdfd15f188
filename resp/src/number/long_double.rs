//! The 80-bit `long double` of x86, which Redis adds with in INCRBYFLOAT and HINCRBYFLOAT on every machine that has it.
//! Its 64 bits of precision are why `10.5 + 0.1` is `10.6` there and would be `10.59999999999999964` with doubles.
//!
//! Reading and adding are rustc_apfloat's, which is exact; the text is made here, in whole numbers.

use std::fmt;
use std::ops::{Add, Neg, Sub};

use rustc_apfloat::ieee::{Double, X87DoubleExtended};
use rustc_apfloat::{Float, FloatConvert};

/// Longest text that is read or printed, in bytes.
pub const LONG_DOUBLE_BYTES_MAX: usize = 5 * 1024;

/// Digits behind the point, before trailing zeros are dropped.
const DECIMALS: usize = 17;

/// Exponents beyond this are as good as this: together with the longest text they are far out of range either way.
const EXPONENT_MAX: u32 = 100_000;

/// A number of 64 significant bits. [`Display`](fmt::Display) prints it as `%.17Lf` with trailing zeros dropped.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// The largest number.
    #[must_use]
    pub fn max_value() -> Self {
        Self(X87DoubleExtended::largest())
    }

    /// Reads a number as C's `strtold` does, the whole text and nothing but: decimal or hexadecimal, `inf`, `infinity`.
    ///
    /// `None` for NaN, blanks, the empty text, numbers out of range, and texts of [`LONG_DOUBLE_BYTES_MAX`] bytes or more.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= LONG_DOUBLE_BYTES_MAX {
            return None;
        }
        let (negative, magnitude) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let number = match magnitude {
            [b'0', b'x' | b'X', digits @ ..] => parse_finite(digits, "0x", 16, b'p')?,
            [b'0'..=b'9' | b'.', ..] => parse_finite(magnitude, "", 10, b'e')?,
            _ if magnitude.eq_ignore_ascii_case(b"inf") || magnitude.eq_ignore_ascii_case(b"infinity") => {
                X87DoubleExtended::INFINITY
            }
            _ => return None,
        };
        Some(Self(if negative { -number } else { number }))
    }

    /// Whether the number is neither infinite nor NaN.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.0.is_finite()
    }
}

/// Reads digits with at most one point, then perhaps an exponent after `mark`.
fn parse_finite(text: &[u8], prefix: &str, radix: u32, mark: u8) -> Option<X87DoubleExtended> {
    let (digits, exponent) = match text.iter().position(|byte| byte.eq_ignore_ascii_case(&mark)) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"0"[..]),
    };
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    let points = digits.iter().filter(|byte| **byte == b'.').count();
    if points > 1 || points == digits.len() || !digits.iter().all(|byte| *byte == b'.' || is_digit(byte)) {
        return None;
    }
    let (sign, exponent) = match exponent {
        [b'-', rest @ ..] => ("-", rest),
        [b'+', rest @ ..] => ("", rest),
        rest => ("", rest),
    };
    if exponent.is_empty() || !exponent.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.iter().all(|byte| matches!(byte, b'0' | b'.')) {
        return Some(X87DoubleExtended::ZERO);
    }
    let exponent = exponent.iter().fold(0u32, |sum, digit| (sum * 10 + u32::from(digit - b'0')).min(EXPONENT_MAX));
    let digits = std::str::from_utf8(digits).expect("digits and a point are ASCII");
    let canonical = format!("{prefix}{digits}{}{sign}{exponent}", char::from(mark));
    let number = canonical.parse::<X87DoubleExtended>().ok()?;
    (number.is_finite() && !number.is_zero()).then_some(number)
}

impl From<i64> for LongDouble {
    fn from(number: i64) -> Self {
        Self(X87DoubleExtended::from_i128(i128::from(number)).value)
    }
}

impl From<f64> for LongDouble {
    fn from(number: f64) -> Self {
        Self(Double::from_bits(u128::from(number.to_bits())).convert(&mut false).value)
    }
}

impl Add for LongDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).value)
    }
}

impl Sub for LongDouble {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self((self.0 - other.0).value)
    }
}

impl Neg for LongDouble {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            return f.write_str("nan");
        }
        if self.0.is_infinite() {
            return f.write_str(if self.0.is_negative() { "-inf" } else { "inf" });
        }
        // Sign, 15 bits of exponent, 64 bits of mantissa with its leading one written out.
        let bits = self.0.to_bits();
        let mantissa = bits as u64;
        let biased = (bits >> 64) as i32 & 0x7fff;
        let power = biased.max(1) - 16383 - 63;
        let sign = if self.0.is_negative() { "-" } else { "" };
        if power >= 0 {
            return write!(f, "{sign}{}", Whole::new(mantissa, power as u32));
        }
        // 64 bits times 10^17 fit into 128; what is shifted out decides the rounding, halves to even.
        let scaled = u128::from(mantissa) * 10u128.pow(DECIMALS as u32);
        let shift = power.unsigned_abs();
        let rounded = match shift {
            128.. => 0,
            _ => {
                let kept = scaled >> shift;
                let lost = scaled & ((1 << shift) - 1);
                let half = 1u128 << (shift - 1);
                kept + u128::from(lost > half || (lost == half && kept & 1 == 1))
            }
        };
        if rounded == 0 {
            return f.write_str("0");
        }
        let one = 10u128.pow(DECIMALS as u32);
        let (whole, fraction) = (rounded / one, rounded % one);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0DECIMALS$}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// A large whole number in limbs of nine decimal digits, lowest first.
struct Whole(Vec<u32>);

impl Whole {
    const BASE: u64 = 1_000_000_000;

    /// `mantissa` * 2^`power`.
    fn new(mantissa: u64, power: u32) -> Self {
        let mut limbs = Self(Vec::new());
        let mut rest = mantissa;
        while rest > 0 {
            limbs.0.push((rest % Self::BASE) as u32);
            rest /= Self::BASE;
        }
        let mut left = power;
        while left > 0 {
            let step = left.min(32);
            limbs.shift(step);
            left -= step;
        }
        limbs
    }

    /// Multiplies by 2^`bits`, at most 2^32.
    fn shift(&mut self, bits: u32) {
        let mut carry = 0;
        for limb in &mut self.0 {
            let product = (u64::from(*limb) << bits) + carry;
            *limb = (product % Self::BASE) as u32;
            carry = product / Self::BASE;
        }
        while carry > 0 {
            self.0.push((carry % Self::BASE) as u32);
            carry /= Self::BASE;
        }
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.0.iter().rev();
        write!(f, "{}", limbs.next().unwrap_or(&0))?;
        limbs.try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).expect("a number");
        (parse(a) + parse(b)).to_string()
    }

    #[test]
    fn sums_have_the_digits_of_redis() {
        assert_eq!(sum("3.0e3", "200"), "3200");
        assert_eq!(sum("10.5", "0.1"), "10.6");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("0", "1e-17"), "0.00000000000000001");
        assert_eq!(sum("0", "5e-18"), "0");
        assert_eq!(sum("0", "-1e-18"), "0");
        assert_eq!(sum("1", "-1"), "0");
        assert_eq!(sum("17179869184", "1.5"), "17179869185.5");
        assert_eq!(sum("0", "123456789012345678901234567890"), "123456789012345678899921813504");
        assert_eq!(sum("0", "0x1p3"), "8");
        assert_eq!(sum("inf", "1"), "inf");
        assert_eq!(sum("inf", "-inf"), "nan");
    }

    #[test]
    fn only_numbers_are_read() {
        for text in
            ["", " 1", "1 ", "nan", ".", "0x", "0x.p1", "1e", "1e+", "1.2.3", "1e5000", "1e-5000", "1_0", "--1", "+"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; LONG_DOUBLE_BYTES_MAX]), None);
        assert_eq!(LongDouble::parse(b"0e99999999999999999999").map(|n| n.to_string()).as_deref(), Some("0"));
        assert_eq!(LongDouble::parse(b"1e99999999999999999999"), None);
    }

    #[test]
    fn the_largest_number_prints_all_its_digits() {
        let largest = LongDouble::parse(b"0xffffffffffffffffp16320").expect("in range");
        let text = largest.to_string();
        assert_eq!(text.len(), 4933);
        assert_eq!(LongDouble::parse(text.as_bytes()), Some(largest));
    }

    #[test]
    fn doubles_and_integers_convert_exactly() {
        assert_eq!(LongDouble::from(0.1).to_string(), "0.10000000000000001");
        assert_eq!(LongDouble::from(-i64::MAX).to_string(), "-9223372036854775807");
        assert_eq!(LongDouble::from(5e-324).to_string(), "0");
        assert_eq!(LongDouble::from(13.361389338970184).to_string(), "13.36138933897018433");
    }
}
