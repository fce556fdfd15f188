//! Sets.

/// A set.
#[derive(Debug, Default)]
pub struct Set;
