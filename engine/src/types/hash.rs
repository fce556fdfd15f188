//! Hashs.

/// A hash.
#[derive(Debug, Default)]
pub struct Hash;
