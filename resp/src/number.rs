//! Numbers.

/// Strict integer.
#[must_use]
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let n: i64 = text.parse().ok()?;
    let mut buffer = itoa::Buffer::new();
    (buffer.format(n) == text).then_some(n)
}

/// Double; no NaN.
#[must_use]
pub fn parse_f64(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse().ok().filter(|n: &f64| !n.is_nan())
}
