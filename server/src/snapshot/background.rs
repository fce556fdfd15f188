//! BGSAVE: when it begins, how it ends.

use engine::time::UnixMs;

use super::save::temporary_name;
use crate::child::{Child, Ending, Purpose};
use crate::server::Server;

/// Seconds until a failed background save is tried again.
const RETRY_SECS: i64 = 5;

impl Server {
    /// Whether a child saves to the RDB file.
    #[must_use]
    pub fn saves_in_background(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.purpose == Purpose::Rdb)
    }

    /// Begins a background save. There must be no child.
    ///
    /// # Errors
    /// There can be no child; the reason is in the log.
    pub fn save_in_background(&mut self) -> std::io::Result<()> {
        let now = self.clock.now();
        self.snapshots.saves += 1;
        self.snapshots.dirty_before = self.stats.dirty;
        self.snapshots.last_try = now;
        let started = self.start_child(Purpose::Rdb, |server, reporter| server.save_to_file(|| reporter.key()).is_ok());
        match started {
            Ok(()) => {
                let pid = self.child.as_ref().map_or(0, |child| child.pid.as_raw_nonzero().get());
                tracing::info!("Background saving started by pid {pid}");
                Ok(())
            }
            Err(error) => {
                self.snapshots.last_ok = false;
                tracing::warn!("Can't save in background: fork: {}", crate::config::parse::error_text(&error));
                Err(error)
            }
        }
    }

    /// The child that saved is gone.
    pub(crate) fn background_save_ended(&mut self, child: &Child, ending: Ending) {
        let now = self.clock.now();
        let snapshots = &mut self.snapshots;
        match ending {
            Ending::Success => {
                tracing::info!("Background saving terminated with success");
                self.stats.dirty = self.stats.dirty.saturating_sub(snapshots.dirty_before);
                snapshots.last_save = now;
                snapshots.last_ok = true;
            }
            Ending::Failure => {
                tracing::warn!("Background saving error");
                snapshots.last_ok = false;
            }
            Ending::Stopped | Ending::Signal(_) => {
                if let Ending::Signal(signal) = ending {
                    tracing::warn!("Background saving terminated by signal {signal}");
                    // On purpose is no failure.
                    snapshots.last_ok = false;
                }
                let pid = child.pid.as_raw_nonzero().get().unsigned_abs();
                let _ = std::fs::remove_file(temporary_name(pid));
            }
        }
        snapshots.last_cow_bytes = child.progress.cow_bytes;
        snapshots.last_secs = (now.secs() - child.started.secs()).max(0);
    }

    /// FLUSHALL: a child that saves what is no more is stopped, and with save points the file is emptied, too.
    pub(crate) fn everything_flushed(&mut self) {
        if self.saves_in_background() {
            self.stop_child();
        }
        if !self.config.save.0.is_empty() {
            // When it fails the log says why, and the changes still count as unsaved.
            let _ = self.save_now();
        }
    }

    /// Begins a background save when one was asked for, or when a save point says so. Called by cron.
    pub fn save_if_due(&mut self) {
        if self.child.is_some() {
            return;
        }
        let now = self.clock.now();
        let secs_since = |then: UnixMs| now.secs() - then.secs();
        let may_try = self.snapshots.last_ok || secs_since(self.snapshots.last_try) > RETRY_SECS;
        if !may_try {
            return;
        }
        let due = self.config.save.0.iter().find(|point| {
            self.stats.dirty >= point.changes as u64 && secs_since(self.snapshots.last_save) > point.seconds as i64
        });
        if let Some(point) = due {
            tracing::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        } else if !self.snapshots.scheduled {
            return;
        }
        // When it fails the log says why, and it is tried again.
        if self.save_in_background().is_ok() {
            self.snapshots.scheduled = false;
        }
    }
}
