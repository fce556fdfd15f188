//! Rewriting: a child writes the data as they are into a new base, while a new increment takes what happens meanwhile.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use engine::time::UnixMs;
use persistence::aof::checksum::{BLOCK_BYTES, Sums};
use persistence::aof::{encode_timestamp, rewrite};
use persistence::disk::{Disk as _, DiskFile as _};

use super::{State, shown};
use crate::child::{Child, Ending, Purpose, Reporter};
use crate::config::parse::error_text;
use crate::config::value::{Appendfsync, Reason};
use crate::server::Server;
use crate::snapshot::{SnapshotFile, SnapshotKind, wait_for_test};

/// Failures in a row from which on the next attempt has to wait.
const FAILURES_FREE: u64 = 3;

/// Longest time to the next attempt, in minutes.
const RETRY_MINUTES_MAX: i64 = 60;

/// Bytes of commands that are handed to the kernel at once.
const WRITE_BYTES: usize = 64 * 1024;

/// What is known about rewrites.
#[derive(Debug)]
pub struct Rewrites {
    /// One is to begin when nothing stands in its way.
    pub scheduled: bool,
    /// Whether the last one went well.
    pub last_ok: bool,
    /// Seconds it took; none yet when negative.
    pub last_secs: i64,
    /// Rewrites so far.
    pub count: u64,
    /// Failures since the last good one.
    pub failures: u64,
    /// Bytes that the last child copied.
    pub last_cow_bytes: u64,
    /// The base that is being written is in the RDB format.
    rdb: bool,
    /// Replication offset at which the temporary increment began, when there is one.
    temp_incr: Option<u64>,
    /// Increments that hold what has happened since the rewrite began.
    keep: usize,
    /// After failures: minutes the next attempt waits, and until when.
    delay_minutes: i64,
    retry_at: Option<UnixMs>,
}

impl Default for Rewrites {
    fn default() -> Self {
        Rewrites {
            scheduled: false,
            last_ok: true,
            last_secs: -1,
            count: 0,
            failures: 0,
            last_cow_bytes: 0,
            rdb: false,
            temp_incr: None,
            keep: 0,
            delay_minutes: 0,
            retry_at: None,
        }
    }
}

/// The name of the file that child `pid` writes before it becomes the base.
fn temporary_name(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-bg-{pid}.aof"))
}

impl Server {
    /// Whether a child rewrites the append-only file.
    #[must_use]
    pub fn rewrites_aof(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.purpose == Purpose::AofRewrite)
    }

    /// Begins a rewrite. There must be no child.
    ///
    /// # Errors
    /// It cannot begin; the reason is in the log.
    pub fn rewrite_aof(&mut self) -> io::Result<()> {
        self.aof.rewrites.count += 1;
        self.aof.rewrites.scheduled = false;
        let begun = self.begin_incr().and_then(|()| {
            self.aof.rewrites.rdb = self.config.aof_use_rdb_preamble;
            self.start_child(Purpose::AofRewrite, |server, reporter| server.write_base(reporter)).inspect_err(|error| {
                tracing::warn!("Can't rewrite append only file in background: fork: {}", error_text(error));
            })
        });
        match &begun {
            Ok(()) => {
                let pid = self.child.as_ref().map_or(0, |child| child.pid.as_raw_nonzero().get());
                tracing::info!("Background append only file rewriting started by pid {pid}");
            }
            Err(_) => {
                self.aof.rewrites.last_ok = false;
                self.aof.rewrites.failures += 1;
            }
        }
        begun
    }

    /// From now on commands go into a new increment: the rewrite will hold what came before.
    fn begin_incr(&mut self) -> io::Result<()> {
        let offset = self.propagation.offset;
        match self.aof.state {
            State::Off => {
                self.aof.rewrites.keep = 0;
                self.aof.rewrites.temp_incr = None;
                let folder = self.aof_folder().map_err(report)?;
                folder.disk().make_folder(&folder.path(b""))
            }
            State::WaitRewrite => {
                let folder = self.aof_folder().map_err(report)?;
                let name = shown(&folder.temp_incr_name());
                let file = folder.create_temp_incr().inspect_err(|error| {
                    tracing::warn!("Can't open the append-only file {name}: {}", error_text(error));
                })?;
                tracing::info!("Creating AOF incr file {name} on background rewrite");
                self.aof.rewrites.keep = 0;
                self.aof.rewrites.temp_incr = Some(offset);
                self.write_aof_to(file, 0);
                Ok(())
            }
            State::On => {
                self.close_checksum();
                self.flush_aof(true);
                if self.propagation.aof.as_ref().is_some_and(|feed| !feed.bytes.is_empty()) {
                    // It would be in the new base and in the new increment: twice.
                    return Err(report("Can't rewrite the append-only file while it can't be written to".to_owned()));
                }
                self.finish_incr()?;
                let folder = self.aof_folder().map_err(report)?;
                let (file, name) = folder.create_incr(offset).inspect_err(|error| {
                    tracing::warn!("Can't open the append-only file: {}", error_text(error));
                })?;
                tracing::info!("Creating AOF incr file {} on background rewrite", shown(&name));
                self.aof.rewrites.keep = 1;
                self.aof.rewrites.temp_incr = None;
                if let Some(old) = self.aof.file.take() {
                    self.aof.syncer.close(old, offset);
                }
                self.write_aof_to(file, 0);
                Ok(())
            }
        }
    }

    /// Makes the increment durable behind which another one is about to begin: a loss of power that took its end, but
    /// nothing of the next, would leave files that no start accepts. Those who never sync have chosen that risk.
    fn finish_incr(&mut self) -> io::Result<()> {
        let Some(file) = self.aof.file.as_ref().filter(|_| self.config.appendfsync == Appendfsync::Everysec) else {
            return Ok(());
        };
        file.sync().inspect_err(|error| {
            self.aof.syncer.note_failed();
            tracing::warn!("Fail to fsync the AOF file: {}", error_text(error));
        })?;
        self.aof.syncer.note_synced(self.propagation.offset);
        Ok(())
    }

    /// The child's work.
    fn write_base(&mut self, reporter: &mut Reporter) -> bool {
        let name = temporary_name(std::process::id());
        let written = if self.aof.rewrites.rdb {
            SnapshotFile::create(&self.disk, &name, self.config.aof_rewrite_incremental_fsync)
                .and_then(|file| self.write_snapshot(file, SnapshotKind::AofBase, || reporter.key()))
                .and_then(SnapshotFile::finish)
        } else {
            self.write_commands(&name, reporter)
        };
        match written {
            Ok(()) => {
                tracing::info!("Successfully created the temporary AOF base file {}", name.display());
                true
            }
            Err(error) => {
                tracing::warn!("Write error writing append only file on disk: {}", error_text(&error));
                let _ = std::fs::remove_file(&name);
                false
            }
        }
    }

    /// Writes all data as commands.
    fn write_commands(&self, path: &Path, reporter: &mut Reporter) -> io::Result<()> {
        let mut file = SnapshotFile::create(&self.disk, path, self.config.aof_rewrite_incremental_fsync)?;
        let mut sums = self.config.aof_checksum.then(Sums::default);
        let mut write = |buffer: &mut Vec<u8>, last: bool| {
            if let Some(sums) = &mut sums {
                sums.update(buffer);
                if sums.bytes() > 0 && (last || sums.bytes() >= BLOCK_BYTES) {
                    sums.close(buffer);
                }
            }
            file.write_all(buffer)?;
            buffer.clear();
            Ok::<(), io::Error>(())
        };
        let mut buffer = Vec::new();
        if self.config.aof_timestamp_enabled {
            encode_timestamp(&mut buffer, self.clock.now().secs());
        }
        for library in self.scripting.libraries.iter() {
            rewrite::function(&mut buffer, &library.code);
        }
        let (delay, mut keys) = (self.config.rdb_key_save_delay, 0);
        for (index, db) in self.engine.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            rewrite::select(&mut buffer, index);
            for entry in db.entries() {
                rewrite::key(&mut buffer, entry.key, entry.value, entry.deadline);
                if buffer.len() >= WRITE_BYTES {
                    write(&mut buffer, false)?;
                }
                reporter.key();
                if delay != 0 {
                    keys += 1;
                    wait_for_test(delay, keys);
                }
            }
        }
        write(&mut buffer, true)?;
        file.finish()
    }

    /// An RDB of the data as they are now: the base of a new append-only file.
    ///
    /// # Errors
    /// For the log.
    pub(super) fn snapshot_bytes(&self) -> Result<Vec<u8>, String> {
        self.write_snapshot(Vec::new(), SnapshotKind::AofBase, || {}).map_err(|error| error_text(&error))
    }

    /// The child that rewrote is gone.
    pub(crate) fn aof_rewrite_ended(&mut self, child: &Child, ending: Ending) {
        let temp = temporary_name(child.pid.as_raw_nonzero().get().unsigned_abs());
        let rewrites = &mut self.aof.rewrites;
        rewrites.last_secs = (self.clock.now().secs() - child.started.secs()).max(0);
        rewrites.last_cow_bytes = child.progress.cow_bytes;
        let well = match ending {
            Ending::Success => {
                tracing::info!("Background AOF rewrite terminated with success");
                self.take_base(&temp)
            }
            Ending::Failure => {
                tracing::warn!("Background AOF rewrite terminated with error");
                false
            }
            Ending::Signal(signal) => {
                tracing::warn!("Background AOF rewrite terminated by signal {signal}");
                false
            }
            Ending::Stopped => {
                // On purpose is no failure.
                self.drop_rewrite(&temp);
                return;
            }
        };
        let rewrites = &mut self.aof.rewrites;
        rewrites.last_ok = well;
        if well {
            (rewrites.failures, rewrites.delay_minutes, rewrites.retry_at) = (0, 0, None);
            tracing::info!("Background AOF rewrite finished successfully");
        } else {
            rewrites.failures += 1;
            self.drop_rewrite(&temp);
        }
    }

    /// Puts the new base in its place. Returns whether that went well.
    fn take_base(&mut self, temp: &Path) -> bool {
        let (rdb, keep, temp_incr) = (self.aof.rewrites.rdb, self.aof.rewrites.keep, self.aof.rewrites.temp_incr);
        let Some(folder) = &mut self.aof.folder else { return false };
        let temp_incr_name = shown(&folder.temp_incr_name());
        let renamed = match folder.finish_rewrite(temp, rdb, keep, temp_incr) {
            Ok(renamed) => renamed,
            Err(error) => {
                tracing::warn!("Error trying to put the rewritten append only file in place: {}", error_text(&error));
                return false;
            }
        };
        let base = shown(&renamed.base);
        tracing::info!("Successfully renamed the temporary AOF base file {} into {base}", temp.display());
        if let Some(incr) = &renamed.incr {
            tracing::info!("Successfully renamed the temporary AOF incr file {temp_incr_name} into {}", shown(incr));
            self.aof.state = State::On;
            self.aof.rewrites.temp_incr = None;
        }
        self.aof.size = Server::aof_files_len(folder);
        self.aof.base_size = self.aof.size;
        self.remove_aof_history();
        true
    }

    /// Cleans up behind a rewrite that came to nothing.
    fn drop_rewrite(&mut self, temp: &Path) {
        let _ = std::fs::remove_file(temp);
        if self.aof.rewrites.temp_incr.take().is_none() {
            return;
        }
        drop(self.write_aof_no_more());
        if let Some(folder) = &self.aof.folder {
            let name = folder.temp_incr_name();
            tracing::info!("Removing the temp incr aof file {} in the background", shown(&name));
            self.aof.syncer.remove(&folder.path(&name));
        }
        if self.aof.state == State::WaitRewrite {
            self.aof.rewrites.scheduled = true;
        }
    }

    /// Whether the next rewrite has to wait because too many have failed.
    fn rewrite_is_limited(&mut self) -> bool {
        let now = self.clock.now();
        let rewrites = &mut self.aof.rewrites;
        if rewrites.failures < FAILURES_FREE {
            return false;
        }
        match rewrites.retry_at {
            Some(at) if now < at => true,
            Some(_) => {
                // One attempt; the next failure waits longer.
                rewrites.retry_at = None;
                false
            }
            None => {
                rewrites.delay_minutes = (rewrites.delay_minutes * 2).clamp(1, RETRY_MINUTES_MAX);
                rewrites.retry_at = Some(now.plus(rewrites.delay_minutes * 60_000));
                tracing::warn!(
                    "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
                    rewrites.delay_minutes
                );
                true
            }
        }
    }

    /// Begins a rewrite that was scheduled, or that growth asks for. Called by cron.
    pub(crate) fn rewrite_aof_if_due(&mut self) {
        if self.child.is_some() {
            return;
        }
        if self.aof.rewrites.scheduled {
            // A failure is in the log; it is tried again.
            if !self.rewrite_is_limited() && self.rewrite_aof().is_err() {
                self.aof.rewrites.scheduled = true;
            }
            return;
        }
        let percentage = u64::from(self.config.auto_aof_rewrite_percentage);
        if self.aof.state != State::On || percentage == 0 || self.aof.size < self.config.auto_aof_rewrite_min_size {
            return;
        }
        let base = self.aof.base_size.max(1);
        let growth = (u128::from(self.aof.size) * 100 / u128::from(base)).saturating_sub(100);
        if growth >= u128::from(percentage) && !self.rewrite_is_limited() {
            tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
            // The log has said why it failed.
            let _ = self.rewrite_aof();
        }
    }

    /// Does what CONFIG SET appendonly asks for.
    ///
    /// # Errors
    /// It cannot be turned on.
    pub(crate) fn apply_appendonly(&mut self) -> Result<(), Reason> {
        // At the end of loading somebody looks.
        if self.loading.is_some() {
            return Ok(());
        }
        match (self.config.appendonly, self.aof.state) {
            (true, State::Off) => self.turn_aof_on(),
            (false, State::On | State::WaitRewrite) => {
                self.turn_aof_off();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn turn_aof_on(&mut self) -> Result<(), Reason> {
        self.aof.state = State::WaitRewrite;
        self.aof.write_error = None;
        // Whatever failed before: there will be a new base.
        let _ = self.aof.syncer.take_doubt();
        if self.propagation.in_unit() {
            self.aof.rewrites.scheduled = true;
            tracing::info!(
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
            );
            return Ok(());
        }
        if self.rewrites_aof() {
            tracing::warn!(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now."
            );
            self.stop_rewrite();
        } else if self.child.is_some() {
            self.aof.rewrites.scheduled = true;
            tracing::info!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible."
            );
            return Ok(());
        }
        self.rewrite_aof().map_err(|_| {
            self.aof.state = State::Off;
            drop(self.write_aof_no_more());
            tracing::warn!(
                "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error."
            );
            "Unable to turn on AOF. Check server logs.".into()
        })
    }

    fn turn_aof_off(&mut self) {
        self.close_aof();
        self.aof.state = State::Off;
        self.aof.rewrites.scheduled = false;
        self.aof.write_error = None;
        if self.rewrites_aof() {
            self.stop_rewrite();
        }
    }

    /// Stops the child that rewrites, and waits for its end.
    pub(crate) fn stop_rewrite(&mut self) {
        if let Some(child) = self.child.as_ref().filter(|child| child.purpose == Purpose::AofRewrite) {
            tracing::info!("Killing running AOF rewrite child: {}", child.pid.as_raw_nonzero());
            self.stop_child();
        }
    }

    /// Stops a rewrite because the process is to end. Returns whether it may: not while the append-only file has no base yet,
    /// unless `force`.
    #[must_use]
    pub(crate) fn stop_rewrite_at_end(&mut self, force: bool) -> bool {
        if self.rewrites_aof() {
            if self.aof.state == State::WaitRewrite {
                if !force {
                    tracing::warn!("Writing initial AOF, can't exit");
                    return false;
                }
                tracing::warn!("Writing initial AOF. Exit anyway.");
            }
            tracing::warn!("There is a child rewriting the AOF. Killing it!");
            self.stop_rewrite();
        }
        true
    }
}

fn report(text: String) -> io::Error {
    tracing::warn!("{text}");
    io::Error::other(text)
}
