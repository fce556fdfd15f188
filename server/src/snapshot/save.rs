//! Data → RDB file.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use engine::config::AccessClock;
use persistence::disk::{Disk as _, DiskFile as _};
use persistence::rdb::{Downgrade, Meta, Writer, WriterOptions};

use crate::config::value::RdbDowngradePolicy;
use crate::disk::{ServerDisk, ServerFile};
use crate::server::Server;

/// Bytes after which the file is flushed to disk while it is written, so that the last flush does not take long.
const FLUSH_BYTES: u64 = 4 << 20;

/// What a snapshot is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// The RDB file, or a replica.
    Rdb,
    /// The beginning of an append-only file.
    AofBase,
}

/// A file that is flushed to disk piece by piece when wanted.
#[derive(Debug)]
pub struct SnapshotFile {
    file: ServerFile,
    incremental: bool,
    unflushed: u64,
}

impl SnapshotFile {
    /// Creates or empties the file.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn create(disk: &ServerDisk, path: &Path, incremental: bool) -> io::Result<Self> {
        Ok(SnapshotFile { file: disk.create(path)?, incremental, unflushed: 0 })
    }

    /// Has everything reach the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Write for SnapshotFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unflushed += written as u64;
        if self.incremental && self.unflushed >= FLUSH_BYTES {
            self.file.sync()?;
            self.unflushed = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Server {
    /// Writes all data to `out`; `key_done` is called after each key.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn write_snapshot<W: Write>(&self, out: W, kind: SnapshotKind, mut key_done: impl FnMut()) -> io::Result<W> {
        let config = &self.config;
        let options = WriterOptions {
            compress: config.rdbcompression,
            checksum: config.rdbchecksum,
            dialect: config.rdb_output_format.into(),
            downgrade: match config.rdb_downgrade_policy {
                RdbDowngradePolicy::Fail => Downgrade::Fail,
                RdbDowngradePolicy::Drop => Downgrade::Drop { now: self.clock.now() },
            },
        };
        let mut writer = Writer::new(out, options);
        writer.aux(b"redis-ver", crate::REDIS_VERSION.as_bytes())?;
        writer.aux(b"redis-bits", b"64")?;
        writer.aux(b"ctime", self.clock.now().secs().to_string().as_bytes())?;
        writer.aux(b"used-mem", crate::sys::alloc::used_memory().to_string().as_bytes())?;
        writer.aux(b"aof-base", if kind == SnapshotKind::AofBase { b"1" } else { b"0" })?;
        for library in self.scripting.libraries.iter() {
            writer.function(&library.code)?;
        }
        let now = self.clock.now();
        let policy = config.maxmemory_policy.as_str();
        let keeps_idle = self.engine.config.access_clock == AccessClock::Lru && policy.ends_with("lru");
        let keeps_frequency = self.engine.config.access_clock != AccessClock::Lru;
        let delay = config.rdb_key_save_delay;
        let mut counter = 0u64;
        for (index, db) in self.engine.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            writer.select(index as u64, db.len() as u64, db.expires() as u64)?;
            for entry in db.entries() {
                let meta = Meta {
                    deadline: entry.deadline,
                    idle_secs: keeps_idle.then(|| entry.idle_secs(now)),
                    frequency: keeps_frequency.then(|| entry.frequency()),
                };
                writer.entry(entry.key, entry.value.into(), &meta)?;
                key_done();
                if delay != 0 {
                    counter += 1;
                    wait_for_test(delay, counter);
                }
            }
        }
        if !writer.dropped().is_empty() {
            tracing::warn!(
                "The RDB format {} has no form for some of the data, which are left out: {}",
                options.dialect,
                writer.dropped()
            );
        }
        writer.finish()
    }

    /// Saves the data to the RDB file: to a temporary one first, which takes its place when it is on disk.
    ///
    /// # Errors
    /// The disk's; the reason is in the log, and the temporary file is gone.
    pub fn save_to_file(&self, key_done: impl FnMut()) -> io::Result<()> {
        let temporary = temporary_name(std::process::id());
        let incremental = self.config.rdb_save_incremental_fsync;
        let result = SnapshotFile::create(&self.disk, Path::new(&temporary), incremental)
            .inspect_err(|error| {
                let folder = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
                tracing::warn!(
                    "Failed opening the temp RDB file {temporary} (in server root dir {folder}) for saving: {}",
                    crate::config::parse::error_text(error)
                );
            })
            .and_then(|file| {
                let saved = self
                    .write_snapshot(file, SnapshotKind::Rdb, key_done)
                    .and_then(SnapshotFile::finish)
                    .and_then(|()| self.disk.rename(Path::new(&temporary), self.config.dbfilename.as_path()))
                    .and_then(|()| self.disk.sync_folder(Path::new(".")));
                saved.inspect_err(|error| {
                    tracing::warn!(
                        "Write error while saving DB to the disk: {}",
                        crate::config::parse::error_text(error)
                    );
                    let _ = std::fs::remove_file(&temporary);
                })
            });
        if result.is_ok() {
            tracing::info!("DB saved on disk");
        }
        result
    }

    /// Saves the data while everybody waits.
    ///
    /// # Errors
    /// As [`Server::save_to_file`].
    pub fn save_now(&mut self) -> io::Result<()> {
        self.save_to_file(|| {})?;
        self.stats.dirty = 0;
        self.snapshots.last_save = self.clock.now();
        self.snapshots.last_ok = true;
        self.snapshots.saves += 1;
        Ok(())
    }
}

/// The name of the file that process `pid` writes before it becomes the RDB file.
pub(super) fn temporary_name(pid: u32) -> String {
    format!("temp-{pid}.rdb")
}

/// Removes the file that this process has begun to save to, if any.
pub fn remove_temporary() {
    let _ = std::fs::remove_file(temporary_name(std::process::id()));
}

/// `rdb-key-save-delay` and `key-load-delay`: microseconds after each key, or one after so many keys when negative.
pub(crate) fn wait_for_test(micros: i32, counter: u64) {
    let micros = match u64::try_from(micros) {
        Ok(micros) => micros,
        Err(_) => u64::from(counter.is_multiple_of(u64::from(micros.unsigned_abs()))),
    };
    if micros > 0 {
        std::thread::sleep(Duration::from_micros(micros));
    }
}
