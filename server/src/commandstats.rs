//! Provisional.
/// Stat.
#[derive(Debug, Default, Clone)]
pub struct CommandStat {
    /// calls
    pub calls: u64,
    /// us
    pub micros: u64,
    /// rejected
    pub rejected: u64,
    /// failed
    pub failed: u64,
}
impl CommandStat {
    /// Records a call.
    pub fn record(&mut self, micros: u64, failed: bool) {
        self.calls += 1;
        self.micros += micros;
        self.failed += u64::from(failed);
    }
}
