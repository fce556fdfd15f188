//! From the feed into the file. Once a tick, between the commands and their replies.

use std::io::{self, Write as _};

use persistence::disk::DiskFile as _;

use engine::ctx::TimeoutReply;
use engine::time::UnixMs;
use persistence::aof::checksum::{BLOCK_BYTES, Sums};

use super::State;
use crate::config::parse::error_text;
use crate::config::value::Appendfsync;
use crate::server::Server;

/// How long a write waits, in milliseconds, for the background thread to make the former one durable.
const POSTPONED_MAX_MS: i64 = 2000;

/// How long a block waits for its checksum at most when nothing more is written, in milliseconds.
const BLOCK_MS: i64 = 1000;

/// Seconds between two lines in the log about writes that fail.
const ERROR_LOG_SECS: i64 = 30;

/// Capacity that the feed keeps when it is empty, in bytes.
const FEED_KEPT_MAX: usize = 1 << 20;

/// The checksums of the file that is written to.
#[derive(Debug)]
pub(super) struct Checksums {
    block: Sums,
    /// How much of the feed is in the block.
    fed: usize,
    /// When the block began, if it has.
    since: Option<UnixMs>,
    /// The next thing to be written is that a block begins.
    begin: bool,
}

impl Checksums {
    /// Those of a file. `behind`: there is something in it that they do not cover.
    pub(super) fn new(behind: bool) -> Self {
        Checksums { block: Sums::default(), fed: 0, since: None, begin: behind }
    }

    /// Takes in what is about to be written, and ends the block when it is large or old, or when that is asked for.
    fn take(&mut self, feed: &mut Vec<u8>, now: UnixMs, close: bool) {
        if std::mem::take(&mut self.begin) {
            let mut mark = Vec::new();
            Sums::default().close(&mut mark);
            self.fed = mark.len();
            feed.splice(0..0, mark);
        }
        self.block.update(&feed[self.fed..]);
        if self.block.bytes() > 0 {
            let since = *self.since.get_or_insert(now);
            if close || self.block.bytes() >= BLOCK_BYTES || now.0 - since.0 >= BLOCK_MS {
                self.block.close(feed);
                self.since = None;
            }
        }
        self.fed = feed.len();
    }

    /// Whether the block has waited long enough for its end.
    fn is_due(&self, now: UnixMs) -> bool {
        self.since.is_some_and(|since| now.0 - since.0 >= BLOCK_MS)
    }
}

impl Server {
    /// Ends the block of the checksum: nothing follows for now, or nothing follows at all.
    pub(super) fn close_checksum(&mut self) {
        let now = self.clock.now();
        if let (Some(feed), Some(checksums)) = (&mut self.propagation.aof, &mut self.aof.checksums) {
            checksums.take(&mut feed.bytes, now, true);
        }
    }

    /// Writes what was propagated, and makes it durable as the configuration asks. `force` holds nothing back.
    ///
    /// When that fails under `appendfsync always` the process ends: replies that promise durability would be lies.
    pub fn flush_aof(&mut self, force: bool) {
        let Some(feed) = &self.propagation.aof else { return };
        let (empty, everysec) = (feed.bytes.is_empty(), self.config.appendfsync == Appendfsync::Everysec);
        if empty {
            if self.aof.unsynced && everysec {
                self.sync_aof_if_due();
            }
            return;
        }
        let busy = everysec && self.aof.syncer.pending() > 0;
        if busy && !force {
            // The kernel would make us wait for the disk: better a little later.
            let now = self.clock.now();
            let since = *self.aof.postponed.get_or_insert(now);
            if now.0 - since.0 < POSTPONED_MAX_MS {
                return;
            }
            self.aof.delayed_syncs += 1;
            tracing::info!(
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis."
            );
        }
        if self.aof.flush_sleep_us > 0 {
            std::thread::sleep(std::time::Duration::from_micros(self.aof.flush_sleep_us));
        }
        let start = self.clock.stamp();
        let written = self.write_feed();
        let end = self.clock.stamp();
        let micros = self.clock.micros(start, end);
        self.stats.aof_us += micros;
        let now = self.clock.now();
        let event = if busy {
            "aof-write-pending-fsync"
        } else if self.child.is_some() {
            "aof-write-active-child"
        } else {
            "aof-write-alone"
        };
        self.latency.note("aof-write", micros, now);
        self.latency.note(event, micros, now);
        self.aof.postponed = None;
        match written {
            Ok(()) => {
                if self.aof.write_error.take().is_some() {
                    tracing::warn!("AOF write error looks solved. The server can write again.");
                }
                self.aof.unsynced = true;
                self.sync_aof_if_due();
            }
            Err(error) => self.aof_write_failed(&error),
        }
    }

    /// Hands the feed to the kernel, as much of it as it takes.
    fn write_feed(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let (Some(feed), Some(file)) = (&mut self.propagation.aof, &self.aof.file) else { return Ok(()) };
        if let Some(checksums) = &mut self.aof.checksums {
            checksums.take(&mut feed.bytes, now, false);
        }
        let mut written = 0;
        let mut file = &**file;
        let result = loop {
            match file.write(&feed.bytes[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    if written == feed.bytes.len() {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let whole = feed.bytes.len();
        if result.is_err() && written > 0 {
            // Half a command in the file would be the end of everything behind it.
            match file.truncate(self.aof.file_len) {
                Ok(()) => written = 0,
                Err(error) => {
                    tracing::warn!(
                        "Could not remove short write from the append-only file.  Redis may refuse to load the AOF the next time it starts.  ftruncate: {}",
                        error_text(&error)
                    );
                    // Whoever takes them up again could begin in the middle of a command.
                    self.aof.checksums = None;
                }
            }
        }
        if let Some(checksums) = &mut self.aof.checksums {
            checksums.fed -= written;
        }
        self.aof.file_len += written as u64;
        self.aof.size += written as u64;
        if written == whole {
            feed.bytes.clear();
            feed.bytes.shrink_to(FEED_KEPT_MAX);
        } else {
            feed.bytes.drain(..written);
        }
        result
    }

    fn aof_write_failed(&mut self, error: &io::Error) {
        let (text, now) = (error_text(error), self.clock.now());
        let first = self.aof.write_error.is_none();
        if first || now.secs() - self.aof.error_logged.secs() > ERROR_LOG_SECS {
            self.aof.error_logged = now;
            tracing::warn!("Error writing to the AOF file: {text}");
        }
        if self.config.appendfsync == Appendfsync::Always {
            tracing::warn!("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
            std::process::exit(1);
        }
        self.aof.write_error = Some(text);
    }

    /// Makes what was written durable, when it is time.
    fn sync_aof_if_due(&mut self) {
        if self.config.no_appendfsync_on_rewrite && self.child.is_some() {
            return;
        }
        let now = self.clock.now();
        let Some(file) = &self.aof.file else { return };
        match self.config.appendfsync {
            Appendfsync::No => {}
            Appendfsync::Always => {
                let start = self.clock.stamp();
                if let Err(error) = file.sync() {
                    tracing::warn!(
                        "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting...",
                        error_text(&error)
                    );
                    std::process::exit(1);
                }
                let micros = self.clock.micros(start, self.clock.stamp());
                self.latency.note("aof-fsync-always", micros, now);
                self.stats.aof_us += micros;
                self.aof.syncer.note_synced(self.propagation.offset);
                self.aof.unsynced = false;
                self.aof.last_sync = now;
            }
            Appendfsync::Everysec => {
                if now.secs() > self.aof.last_sync.secs() && self.aof.syncer.pending() == 0 {
                    let file = std::sync::Arc::clone(file);
                    self.aof.syncer.sync(&file, self.propagation.offset);
                    self.aof.unsynced = false;
                    self.aof.last_sync = now;
                }
            }
        }
    }

    /// Whether everything up to a replication offset is durable here.
    #[must_use]
    pub fn aof_reached(&self, offset: u64) -> bool {
        self.aof.is_enabled() && self.aof.syncer.synced() >= offset
    }

    /// Answers those who wait for what is durable by now.
    pub(crate) fn serve_aof_waiters(&mut self) {
        if self.aof.waiters.is_empty() {
            return;
        }
        let synced = self.aof.syncer.synced();
        for (id, offset) in std::mem::take(&mut self.aof.waiters) {
            let waits = self.clients.get(id).and_then(|client| client.blocked.as_ref());
            if !waits.is_some_and(|blocked| blocked.on.on_timeout == TimeoutReply::Acks) {
                continue;
            }
            if synced < offset && self.aof.is_enabled() {
                self.aof.waiters.push((id, offset));
            } else if self.aof.is_enabled() {
                self.time_out(id);
            } else {
                self.unblock_with_error(
                    id,
                    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
                );
            }
        }
    }

    /// Writes again what could not be written, and what was held back. Called by cron.
    pub(crate) fn aof_cron(&mut self) {
        let now = self.clock.now();
        if self.aof.write_error.is_none() && self.aof.checksums.as_ref().is_some_and(|sums| sums.is_due(now)) {
            self.close_checksum();
            self.flush_aof(false);
        }
        if self.aof.write_error.is_some() || self.aof.postponed.is_some() {
            self.flush_aof(false);
        }
        self.sync_aof_again();
    }

    /// Asks a disk again that failed to make the file durable: nobody else would, since writes are refused meanwhile. A
    /// system may have dropped what it could not write, and say that all is well now: a new base does not depend on it.
    fn sync_aof_again(&mut self) {
        let now = self.clock.now();
        if self.aof.syncer.error().is_some() {
            if let Some(file) = &self.aof.file
                && self.aof.syncer.pending() == 0
                && now.secs() > self.aof.last_sync.secs()
            {
                self.aof.last_sync = now;
                let file = std::sync::Arc::clone(file);
                self.aof.syncer.sync(&file, self.propagation.offset);
            }
        } else if self.aof.state == State::On && self.aof.syncer.take_doubt() {
            tracing::warn!("The AOF file could not be made durable. It is rewritten, as parts of it may be lost.");
            self.aof.rewrites.scheduled = true;
        }
    }

    /// Why writes are to be refused as far as the append-only file is concerned.
    #[must_use]
    pub fn aof_error(&self) -> Option<String> {
        if !self.aof.is_enabled() {
            return None;
        }
        self.aof.write_error.clone().or_else(|| self.aof.syncer.error().map(|error| error_text(&error)))
    }
}
