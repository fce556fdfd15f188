//! Snapshots: the RDB file as the server uses it. The format itself is in the `persistence` crate.

mod background;
mod load;
mod save;

pub use load::{LoadError, LoadOutcome, LoadTarget, Loading};
pub(crate) use save::wait_for_test;
pub use save::{SnapshotFile, SnapshotKind, remove_temporary};

use engine::time::UnixMs;

/// What is known about saving and loading.
#[derive(Debug)]
pub struct Snapshots {
    /// When the data were last saved; the start of the server before that.
    pub last_save: UnixMs,
    /// When the last background save was tried.
    pub last_try: UnixMs,
    /// Whether the last background save went well.
    pub last_ok: bool,
    /// Seconds it took; none yet when negative.
    pub last_secs: i64,
    /// Bytes that its child copied.
    pub last_cow_bytes: u64,
    /// Saves so far.
    pub saves: u64,
    /// A background save is to follow the child that is at work.
    pub scheduled: bool,
    /// Changes that the running background save includes.
    pub dirty_before: u64,
    /// Keys that the last loading left out because their time had passed.
    pub last_load_expired: u64,
    /// Keys that it took.
    pub last_load_keys: u64,
}

impl Snapshots {
    /// As at the start.
    #[must_use]
    pub fn new(now: UnixMs) -> Self {
        Snapshots {
            last_save: now,
            last_try: UnixMs(0),
            last_ok: true,
            last_secs: -1,
            last_cow_bytes: 0,
            saves: 0,
            scheduled: false,
            dirty_before: 0,
            last_load_expired: 0,
            last_load_keys: 0,
        }
    }
}
