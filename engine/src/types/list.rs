//! Lists.

/// A list.
#[derive(Debug, Default)]
pub struct List;
