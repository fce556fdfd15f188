//! Doubles.
//!
//! Redis prints doubles with the Grisu2 method of Florian Loitsch ("Printing Floating-Point Numbers Quickly and Accurately
//! with Integers", PLDI 2010): always exact to read back, in about one value of a thousand not the shortest such text.
//! Clients compare texts, so the same method is used here, with the same table of powers of ten (every eighth, rounded
//! to 64 bits), rather than a printer that always finds the shortest.

use std::fmt;
use std::ops::Deref;

/// Longest text: sign, 17 digits, a point and zeros around them, or an exponent.
const TEXT_BYTES_MAX: usize = 32;

/// The text of a double, kept on the stack.
#[derive(Clone, Copy)]
pub struct F64Text {
    bytes: [u8; TEXT_BYTES_MAX],
    len: u8,
}

impl F64Text {
    fn new() -> Self {
        Self { bytes: [0; TEXT_BYTES_MAX], len: 0 }
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.len)] = byte;
        self.len += 1;
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        let from = usize::from(self.len);
        self.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    fn zeros(&mut self, count: usize) {
        for _ in 0..count {
            self.push(b'0');
        }
    }

    /// The text as bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits, signs and letters are ASCII")
    }
}

impl Deref for F64Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for F64Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for F64Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for F64Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a double as C's `strtod` does, the whole text and nothing but: decimal or hexadecimal, with or without exponent,
/// `inf` and `infinity` in any case and with any sign.
///
/// `None` for NaN, blanks, the empty text, and numbers too large or too small for a double.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (negative, magnitude) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let number = match magnitude {
        [b'0', b'x' | b'X', digits @ ..] => parse_hex(digits)?,
        [b'0'..=b'9' | b'.', ..] => parse_decimal(magnitude)?,
        _ if magnitude.eq_ignore_ascii_case(b"inf") || magnitude.eq_ignore_ascii_case(b"infinity") => f64::INFINITY,
        _ => return None,
    };
    Some(if negative { -number } else { number })
}

fn parse_decimal(text: &[u8]) -> Option<f64> {
    // The grammars of C and Rust agree on what begins with a digit or a point.
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if number.is_infinite() {
        return None;
    }
    if number == 0.0
        && text.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
    {
        return None;
    }
    Some(number)
}

/// What follows `0x`: digits with at most one point, then perhaps `p` and a decimal power of two.
fn parse_hex(text: &[u8]) -> Option<f64> {
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut mantissa = 0u64;
    // Digits of weight zero still move the point; lengths are far below 2^60.
    let mut scale = 0i64;
    let mut point = false;
    let mut any = false;
    for &byte in digits {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        any = true;
        if mantissa >> 59 == 0 {
            mantissa = mantissa << 4 | digit;
            scale -= if point { 4 } else { 0 };
        } else {
            // Too far right to matter, except that it is not zero: remember that in the lowest bit.
            mantissa |= u64::from(digit != 0);
            scale += if point { 0 } else { 4 };
        }
    }
    if !any {
        return None;
    }
    if mantissa == 0 {
        return Some(0.0);
    }
    let shift = mantissa.leading_zeros();
    // The value is `normal` * 2^`power`, with the top bit of `normal` set.
    let mut normal = mantissa << shift;
    let mut power = exponent.saturating_add(scale).saturating_sub(i64::from(shift));
    if power > 1100 {
        return None;
    }
    // Below the normal numbers a double has fewer bits. Cut them off here, so that rounding happens once.
    const LOWEST: i64 = -1074;
    let kept = power + 64 - LOWEST;
    if kept < 53 {
        if kept < -1 {
            return None;
        }
        // Two bits more than are kept decide the rounding: the half, and whether there was anything beyond it.
        let cut = (62 - kept).min(63) as u32;
        let lost = normal & ((1 << cut) - 1) != 0;
        normal = normal >> cut | u64::from(lost);
        power += i64::from(cut);
        let units = {
            let down = -(power - LOWEST);
            debug_assert!((0..=64).contains(&down), "two bits below the lowest one");
            let whole = normal >> down;
            let rest = normal & ((1 << down) - 1);
            let half = 1u64 << (down - 1);
            whole + u64::from(rest > half || (rest == half && whole & 1 == 1))
        };
        return (units != 0).then(|| f64::from_bits(units));
    }
    // At least 53 bits are kept: the conversion rounds once, scaling by powers of two is exact.
    let number = normal as f64 * 2f64.powi((power / 2) as i32) * 2f64.powi((power - power / 2) as i32);
    number.is_finite().then_some(number)
}

/// A decimal exponent with an optional sign; huge ones are as good as one beyond any double.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1 << 50));
    Some(if negative { -number } else { number })
}

/// Whole numbers up to this size are printed as integers, all digits exact (Redis: half of the range of an `i64`).
const INTEGER_MAX: f64 = (1u64 << 62) as f64;

/// The text of a double in replies: `3`, `0.1`, `1e+20`, `1e-7`, `-0`, `inf`, `-inf`, `nan`.
#[must_use]
pub fn format_f64(number: f64) -> F64Text {
    let mut text = F64Text::new();
    if number.abs() <= INTEGER_MAX {
        let whole = number as i64;
        if whole as f64 == number && (whole != 0 || number.is_sign_positive()) {
            let mut digits = itoa::Buffer::new();
            text.extend(digits.format(whole).as_bytes());
            return text;
        }
    }
    format_f64_shortest(number)
}

/// As [`format_f64`], but whole numbers beyond some digits get an exponent too: `1e+15`.
#[must_use]
pub fn format_f64_shortest(number: f64) -> F64Text {
    let mut text = F64Text::new();
    if number.is_nan() {
        text.extend(b"nan");
        return text;
    }
    if number.is_sign_negative() {
        text.push(b'-');
    }
    if number.is_infinite() {
        text.extend(b"inf");
        return text;
    }
    if number == 0.0 {
        text.push(b'0');
        return text;
    }
    if let Some((integer, places)) = few_decimals(number.abs()) {
        let mut digits = itoa::Buffer::new();
        layout(&mut text, digits.format(integer).as_bytes(), -places, number.is_sign_negative());
        return text;
    }
    let mut digits = [0; DIGITS_MAX];
    let (count, power) = grisu2(number.abs(), &mut digits);
    layout(&mut text, &digits[..count], power, number.is_sign_negative());
    text
}

/// Numbers below this, with up to three decimals, have at most 13 digits.
const FEW_DECIMALS_BELOW: f64 = 1e10;

/// A number with one to three decimals as an integer and the count of decimals: what scores and prices usually are.
///
/// A text of at most 15 digits that reads back as the number is the shortest one (once zeros at its end are dropped), so
/// that the general way cannot give another; it takes three times as long.
#[inline]
fn few_decimals(number: f64) -> Option<(u64, i32)> {
    if number >= FEW_DECIMALS_BELOW {
        return None;
    }
    for (scale, places) in [(10.0, 1), (100.0, 2), (1000.0, 3)] {
        let integer = (number * scale + 0.5) as u64;
        // The division rounds correctly, as reading the text does.
        if integer as f64 / scale == number && !integer.is_multiple_of(10) {
            return Some((integer, places));
        }
    }
    None
}

/// Places `digits` * 10^`power`: with zeros behind or a point between as long as that is short, else with an exponent.
fn layout(text: &mut F64Text, digits: &[u8], power: i32, negative: bool) {
    let count = digits.len() as i32;
    let exponent = power + count - 1;
    if power >= 0 && exponent < count + 7 {
        text.extend(digits);
        text.zeros(power as usize);
    } else if power < 0 && (power > -7 || exponent.abs() < 4) {
        let before_point = count + power;
        if before_point <= 0 {
            text.extend(b"0.");
            text.zeros(-before_point as usize);
            text.extend(digits);
        } else {
            let (whole, fraction) = digits.split_at(before_point as usize);
            text.extend(whole);
            text.push(b'.');
            text.extend(fraction);
        }
    } else {
        // Eighteen characters of digits and sign at most.
        let digits = &digits[..digits.len().min(18 - usize::from(negative))];
        text.push(digits[0]);
        if digits.len() > 1 {
            text.push(b'.');
            text.extend(&digits[1..]);
        }
        text.push(b'e');
        text.push(if exponent < 0 { b'-' } else { b'+' });
        let mut buffer = itoa::Buffer::new();
        text.extend(buffer.format(exponent.unsigned_abs()).as_bytes());
    }
}

/// The text of `printf("%.17g")`: 17 digits, trailing zeros dropped, an exponent of at least two digits below 1e-4
/// and from 1e17 on.
#[must_use]
pub fn format_f64_17g(number: f64) -> F64Text {
    if !number.is_finite() {
        let mut text = F64Text::new();
        text.extend(match (number.is_nan(), number > 0.0) {
            // glibc prints the sign of a NaN.
            (true, _) if number.is_sign_negative() => b"-nan",
            (true, _) => b"nan",
            (false, true) => b"inf",
            (false, false) => b"-inf",
        });
        return text;
    }
    let mut text = F64Text::new();
    if number.is_sign_negative() {
        text.push(b'-');
    }
    let mut scientific = Scientific { bytes: [0; TEXT_BYTES_MAX], len: 0 };
    fmt::Write::write_fmt(&mut scientific, format_args!("{:.16e}", number.abs()))
        .expect("17 digits and an exponent fit");
    let scientific = std::str::from_utf8(&scientific.bytes[..scientific.len]).expect("digits are ASCII");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let mut digits = [0; 17];
    for (digit, byte) in digits.iter_mut().zip(mantissa.bytes().filter(|byte| *byte != b'.')) {
        *digit = byte;
    }
    let used = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    if (-4..17).contains(&exponent) {
        if exponent < 0 {
            text.extend(b"0.");
            text.zeros((-exponent - 1) as usize);
            text.extend(&digits[..used]);
        } else {
            let whole = exponent as usize + 1;
            text.extend(&digits[..whole]);
            if used > whole {
                text.push(b'.');
                text.extend(&digits[whole..used]);
            }
        }
    } else {
        text.push(digits[0]);
        if used > 1 {
            text.push(b'.');
            text.extend(&digits[1..used]);
        }
        text.push(b'e');
        text.push(if exponent < 0 { b'-' } else { b'+' });
        if exponent.abs() < 10 {
            text.push(b'0');
        }
        let mut buffer = itoa::Buffer::new();
        text.extend(buffer.format(exponent.unsigned_abs()).as_bytes());
    }
    text
}

struct Scientific {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl fmt::Write for Scientific {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Most digits that Grisu2 yields.
const DIGITS_MAX: usize = 18;

/// A number with 64 bits of precision: `bits` * 2^`power`.
#[derive(Clone, Copy)]
struct Wide {
    bits: u64,
    power: i32,
}

impl Wide {
    fn normalized(self) -> Self {
        let shift = self.bits.leading_zeros();
        Self { bits: self.bits << shift, power: self.power - shift as i32 }
    }

    /// The product, rounded to 64 bits.
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.bits) * u128::from(other.bits);
        Self { bits: ((product + (1 << 63)) >> 64) as u64, power: self.power + other.power + 64 }
    }
}

/// Digits of a positive finite number that read back as it; the number is the digits * 10^(second result).
fn grisu2(number: f64, digits: &mut [u8; DIGITS_MAX]) -> (usize, i32) {
    const HIDDEN: u64 = 1 << 52;
    let bits = number.to_bits();
    let fraction = bits & (HIDDEN - 1);
    let biased = (bits >> 52) as i32;
    let exact = if biased == 0 {
        Wide { bits: fraction, power: -1074 }
    } else {
        Wide { bits: fraction | HIDDEN, power: biased - 1075 }
    };
    // Half way to the neighbours. Below a power of two the neighbour is nearer.
    let above = Wide { bits: (exact.bits << 1) + 1, power: exact.power - 1 }.normalized();
    let near = fraction == 0 && biased > 1;
    let below = if near {
        Wide { bits: (exact.bits << 2) - 1, power: exact.power - 2 }
    } else {
        Wide { bits: (exact.bits << 1) - 1, power: exact.power - 1 }
    };
    let below = Wide { bits: below.bits << (below.power - above.power), power: above.power };

    let (scale, decimal) = power_of_ten(above.power);
    let value = exact.normalized().times(scale);
    // The product is off by at most one; step inside on both sides.
    let mut above = above.times(scale);
    let mut below = below.times(scale);
    below.bits += 1;
    above.bits -= 1;
    let (count, shift) = generate(value, above, below, digits);
    (count, shift - decimal)
}

/// The power of ten 10^k that brings a number with binary power `power` into 2^-60..2^-32 times a 64-bit integer, and k.
fn power_of_ten(power: i32) -> (Wide, i32) {
    let guess = (f64::from(-(power + POWERS.len() as i32)) * std::f64::consts::LOG10_2) as i32;
    let mut index = (guess - FIRST_POWER) / POWER_STEP;
    loop {
        let (bits, binary) = POWERS[index as usize];
        let reached = power + binary + 64;
        if reached < -60 {
            index += 1;
        } else if reached > -32 {
            index -= 1;
        } else {
            return (Wide { bits, power: binary }, FIRST_POWER + index * POWER_STEP);
        }
    }
}

/// Digits of `above`, from the left, until what is left is within the distance to `below`; then nearer to `value`.
fn generate(value: Wide, above: Wide, below: Wide, digits: &mut [u8; DIGITS_MAX]) -> (usize, i32) {
    let point = -above.power;
    let one = 1u64 << point;
    let mut delta = above.bits - below.bits;
    let wanted = above.bits - value.bits;
    let mut whole = (above.bits >> point) as u32;
    let mut rest = above.bits & (one - 1);
    let mut count = 0;

    let mut place = 10;
    let mut unit = 1_000_000_000u32;
    while place > 0 {
        let digit = whole / unit;
        whole %= unit;
        if digit != 0 || count != 0 {
            digits[count] = b'0' + digit as u8;
            count += 1;
        }
        place -= 1;
        let left = (u64::from(whole) << point) + rest;
        if left <= delta {
            nearer(&mut digits[..count], delta, left, u64::from(unit) << point, wanted);
            return (count, place);
        }
        unit /= 10;
    }

    let mut scaled_wanted = wanted;
    loop {
        rest *= 10;
        delta *= 10;
        scaled_wanted = scaled_wanted.wrapping_mul(10);
        let digit = rest >> point;
        rest &= one - 1;
        if digit != 0 || count != 0 {
            digits[count] = b'0' + digit as u8;
            count += 1;
        }
        place -= 1;
        if rest < delta {
            nearer(&mut digits[..count], delta, rest, one, scaled_wanted);
            return (count, place);
        }
    }
}

/// Lowers the last digit while that brings the text nearer to the value and keeps it in the interval.
fn nearer(digits: &mut [u8], delta: u64, mut left: u64, unit: u64, wanted: u64) {
    let Some(last) = digits.last_mut() else { return };
    while left < wanted && delta - left >= unit && (left + unit < wanted || wanted - left > left + unit - wanted) {
        *last -= 1;
        left += unit;
    }
}

const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

/// 10^-348, 10^-340, … 10^340 as bits * 2^power, rounded to 64 bits.
#[rustfmt::skip]
const POWERS: [(u64, i32); 87] = [
    (0xfa8fd5a0081c0288, -1220), (0xbaaee17fa23ebf76, -1193), (0x8b16fb203055ac76, -1166),
    (0xcf42894a5dce35ea, -1140), (0x9a6bb0aa55653b2d, -1113), (0xe61acf033d1a45df, -1087),
    (0xab70fe17c79ac6ca, -1060), (0xff77b1fcbebcdc4f, -1034), (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980), (0xd3515c2831559a83, -954), (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901), (0xaecc49914078536d, -874), (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821), (0x9096ea6f3848984f, -794), (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741), (0xef340a98172aace5, -715), (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661), (0xc5dd44271ad3cdba, -635), (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582), (0xa3ab66580d5fdaf6, -555), (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502), (0x87625f056c7c4a8b, -475), (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422), (0xdff9772470297ebd, -396), (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343), (0xb94470938fa89bcf, -316), (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263), (0x993fe2c6d07b7fac, -236), (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183), (0xfd87b5f28300ca0e, -157), (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103), (0xd1b71758e219652c, -77), (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24), (0xad78ebc5ac620000, 3), (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56), (0x8f7e32ce7bea5c70, 83), (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136), (0xed63a231d4c4fb27, 162), (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216), (0xc45d1df942711d9a, 242), (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295), (0xa26da3999aef774a, 322), (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375), (0x865b86925b9bc5c2, 402), (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455), (0xde469fbd99a05fe3, 481), (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534), (0xb7dcbf5354e9bece, 561), (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614), (0x98165af37b2153df, 641), (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694), (0xfb9b7cd9a4a7443c, 720), (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774), (0xd01fef10a657842c, 800), (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853), (0xac2820d9623bf429, 880), (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933), (0x8e679c2f5e44ff8f, 960), (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013), (0xeb96bf6ebadf77d9, 1039), (0xaf87023b9bf0ee6b, 1066),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way must not be seen in the text.
    #[test]
    fn few_decimals_are_the_digits_of_the_general_way() {
        let check = |integer: u64, places: i32| {
            let number = integer as f64 / 10f64.powi(places);
            let Some((short, short_places)) = few_decimals(number) else {
                assert!(number == number.trunc(), "{number} has few decimals");
                return;
            };
            let mut digits = [0; DIGITS_MAX];
            let (count, power) = grisu2(number, &mut digits);
            assert_eq!((short.to_string().as_bytes(), -short_places), (&digits[..count], power), "{number}");
        };
        for places in 1..=3 {
            (1..30_000).for_each(|integer| check(integer, places));
            let mut integer = 88_172_645_463_325_252u64;
            for _ in 0..200_000 {
                integer ^= integer << 13;
                integer ^= integer >> 7;
                integer ^= integer << 17;
                check(integer % 10u64.pow(10), places);
                check(integer % 10u64.pow(6), places);
            }
        }
        assert_eq!(few_decimals(0.1234), None);
        assert_eq!(few_decimals(0.1 + 0.2), None);
    }

    /// Scores as given, and as Redis 8.0.6 answers ZSCORE. The first four are not the shortest texts of their numbers.
    const SCORES: [(&str, &str); 34] = [
        ("7.113578243725634e-249", "7.1135782437256335e-249"),
        ("-6.652264087228344e+125", "-6.6522640872283444e+125"),
        ("-5.131116597422591e-36", "-5.1311165974225907e-36"),
        ("6.984971462299466e+112", "6.9849714622994664e+112"),
        ("2.26797932753915e+17", "226797932753915008"),
        ("0.1", "0.1"),
        ("1e20", "1e+20"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("0.00001234", "1.234e-5"),
        ("1e21", "1e+21"),
        ("123456.789", "123456.789"),
        ("-1.5e-5", "-0.000015"),
        ("1e18", "1000000000000000000"),
        ("1e19", "1e+19"),
        ("9007199254740993", "9007199254740992"),
        ("4611686018427387904", "4611686018427387904"),
        ("4611686018427388928", "4611686018427389000"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("0x1.fffffffffffff7fffp1023", "1.7976931348623157e+308"),
        ("-inf", "-inf"),
        ("+Infinity", "inf"),
        ("3", "3"),
        ("-0.0", "-0"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1.0e-4", "0.0001"),
        ("1.23456789012345e-6", "1.23456789012345e-6"),
        ("12345678901234567e-20", "1.2345678901234567e-4"),
        ("0x1.8p-1074", "1e-323"),
        ("0x0.80001p-1074", "5e-324"),
        ("0x1.00000000000008p0", "1"),
        ("0x1.00000000000008001p0", "1.0000000000000002"),
    ];

    #[test]
    fn scores_print_as_redis_prints_them() {
        for (given, answered) in SCORES {
            let number = parse_f64(given.as_bytes()).unwrap_or_else(|| panic!("{given} is a number"));
            assert_eq!(format_f64(number).as_str(), answered, "{given}");
        }
        assert_eq!(format_f64(f64::NAN).as_str(), "nan");
    }

    #[test]
    fn only_numbers_within_range_are_read() {
        let refused = [
            "",
            " 1",
            "1 ",
            "\t1",
            "nan",
            "-nan",
            ".",
            "+",
            "-",
            "++1",
            "+-1",
            "1e",
            "1e+",
            "1_0",
            "0x",
            "0x.",
            "0x1g",
            "0x1p",
            "0x1.1.1",
            "1.1.1",
            "1d",
            "infinit",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x0.8p-1074",
            "0x1p99999999999999999999",
            "1\0",
        ];
        for text in refused {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
        for text in ["0e99999999999999", "0x0p99999999999999999999", "0.000e-400"] {
            assert_eq!(parse_f64(text.as_bytes()), Some(0.0), "{text:?}");
        }
    }

    #[test]
    fn seventeen_digits_as_printf_gives_them() {
        let table = [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (-0.0, "-0"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (5e-324, "4.9406564584124654e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (123.5, "123.5"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, text) in table {
            assert_eq!(format_f64_17g(number).as_str(), text);
        }
    }

    #[test]
    fn the_powers_of_ten_are_exact() {
        for (index, &(bits, power)) in POWERS.iter().enumerate() {
            let exponent = FIRST_POWER + index as i32 * POWER_STEP;
            assert!(bits >> 63 == 1, "10^{exponent} uses all its bits");
            // Doubles know them to 53 bits.
            let expected: f64 = format!("1e{exponent}").parse().expect("a double, perhaps zero");
            if (-300..=300).contains(&exponent) {
                let near = bits as f64 * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
                assert!((near / expected - 1.0).abs() < 1e-15, "10^{exponent}");
            }
            // Neighbours are a factor of 10^8 apart. Half a unit of error on this side is three quarters on the other;
            // with the half over there and the shift that cuts off, less than three.
            if let Some(&(next, next_power)) = POWERS.get(index + 1) {
                let product = u128::from(bits) * 100_000_000;
                let shift = (next_power - power) as u32;
                let difference = (product >> shift).abs_diff(u128::from(next));
                assert!(difference <= 2, "10^{exponent} and its neighbour");
            }
        }
    }
}
