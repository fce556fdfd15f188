//! Provisional.
/// Quote.
pub fn quote(b: &[u8]) -> String {
    format!("\"{}\"", b.escape_ascii())
}
