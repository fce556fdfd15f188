//! Time as the engine is told it.

/// Milliseconds since the Unix epoch.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `ms` milliseconds, clamped to the representable range.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        UnixMs(self.0.saturating_add(ms))
    }
}
