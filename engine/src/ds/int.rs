//! Integers as text, with the one spelling that Redis packs: no sign but `-`, no leading zero, no `-0`.

/// Longest text of an `i64`, in bytes.
pub const I64_TEXT_MAX: usize = 20;

/// The number that `text` spells canonically, if any: `parse_i64(t) == Some(n)` exactly when `n.to_string() == t`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    // Most texts that are no numbers end here.
    let first = *text.first()?;
    if text.len() > I64_TEXT_MAX || !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    parse_digits(text)
}

fn parse_digits(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 || digits[0] == b'0' {
        return None;
    }
    // At most 19 digits: no overflow of a u64.
    let mut magnitude = 0u64;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(value);
    }
    if negative {
        (magnitude <= i64::MIN.unsigned_abs()).then(|| (magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Length of the text of `value`, in bytes.
#[inline]
pub fn text_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_texts_are_numbers() {
        for text in ["", "-", "-0", "+1", "01", "00", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        for value in [0, 1, -1, 10, -10, 127, 4096, i64::MAX, i64::MIN] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
            assert_eq!(text_len(value), value.to_string().len());
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(value: i64, shift in 0..63u32) {
            let value = value >> shift;
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
            prop_assert_eq!(text_len(value), value.to_string().len());
        }

        #[test]
        fn agrees_with_std(text in "[-+0-9]{0,22}") {
            let expected = text.parse::<i64>().ok().filter(|n| n.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), expected);
        }
    }
}
