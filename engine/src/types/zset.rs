//! Zsets.

/// A zset.
#[derive(Debug, Default)]
pub struct Zset;
