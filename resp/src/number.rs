//! Numbers as text, by Redis' exact rules: what it accepts as an integer, a score or an amount of memory, and which of the
//! many texts of a double it prints.

mod double;
mod long_double;

pub use double::{F64Text, format_f64, format_f64_17g, format_f64_shortest, parse_f64};
pub use long_double::{LONG_DOUBLE_BYTES_MAX, LongDouble};

/// Longest text of an `i64`: a sign and 19 digits.
pub const I64_BYTES_MAX: usize = 20;

/// Reads an integer in its one canonical form: no blanks, no `+`, no leading zeros, no `-0`.
#[inline]
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let magnitude = parse_digits(digits)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Reads an unsigned integer in its one canonical form, up to `u64::MAX`.
#[inline]
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= 20 => parse_digits(text),
        _ => None,
    }
}

/// Reads an unsigned integer as Redis reads cursors and the ids of streams: blanks, a sign and zeros before the digits are let
/// through. A plain negative number is refused; one that is below `i64::MIN`, or not in canonical form, wraps around.
#[must_use]
pub fn parse_u64_lenient(given: &[u8]) -> Option<u64> {
    if let Some(number) = parse_u64(given) {
        return Some(number);
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &given[given.iter().take_while(|byte| is_blank(byte)).count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let number = digits.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })?;
    let plain = text.len() == given.len() && *digits.first()? != b'0' && number <= i64::MIN.unsigned_abs();
    match negative {
        true if plain => None,
        true => Some(number.wrapping_neg()),
        false => Some(number),
    }
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    // 19 digits cannot overflow; the twentieth can.
    for &byte in digits.iter().take(19) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    for &byte in digits.iter().skip(19) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// Reads an amount of memory, in bytes: digits and one of `b k kb m mb g gb`, upper or lower case.
/// `k` is 1000, `kb` is 1024. `None` for anything else, negative amounts, and more than `u64::MAX` bytes.
#[must_use]
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1024,
        b"m" => 1_000_000,
        b"mb" => 1024 * 1024,
        b"g" => 1_000_000_000,
        b"gb" => 1024 * 1024 * 1024,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    let number =
        digits.iter().try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_numbers() {
        for (text, expected) in [
            ("007", Some(7)),
            (" \t\x0b+7", Some(7)),
            ("-0", Some(0)),
            ("-1", None),
            ("-01", Some(u64::MAX)),
            (" -1", Some(u64::MAX)),
            ("-9223372036854775808", None),
            ("-9223372036854775809", Some(u64::MAX / 2)),
            ("-18446744073709551615", Some(1)),
            ("-18446744073709551616", None),
            ("18446744073709551616", None),
            ("000000000000000000000000018446744073709551615", Some(u64::MAX)),
            ("", None),
            ("+", None),
            ("7 ", None),
            ("+-7", None),
        ] {
            assert_eq!(parse_u64_lenient(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_integers() {
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for text in ["9223372036854775808", "-9223372036854775809", "99999999999999999999", "123456789012345678901"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_u64(b"18446744073709551616"), None);
    }

    #[test]
    fn integers_have_one_form_only() {
        for text in ["", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "0x1", "--1", "1\0"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
            assert_eq!(parse_u64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"-1"), None);
    }

    #[test]
    fn memory_has_units() {
        let table = [
            ("0", Some(0)),
            ("100", Some(100)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("2m", Some(2_000_000)),
            ("10mb", Some(10 << 20)),
            ("1G", Some(1_000_000_000)),
            ("1gb", Some(1 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("18446744073709551615kb", None),
            ("", None),
            ("mb", None),
            ("-1", None),
            ("1.5mb", None),
            ("1 mb", None),
            ("1t", None),
            ("0x10", None),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_memory(text.as_bytes()), bytes, "{text:?}");
        }
    }
}
