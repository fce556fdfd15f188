//! The append-only file: glue between [`Propagation`](crate::propagation::Propagation), which says what is to be
//! written, and `persistence::aof`, which knows the files.
//!
//! - here: opening and closing, at the start and by CONFIG SET;
//! - `write`: from the feed into the file, and when it is made durable;
//! - `sync`: the background thread;
//! - `rewrite`: a new base from time to time;
//! - `load`: replaying the files through the one door.
//!
//! Under `appendfsync always` a reply never leaves before the write it answers is durable: the tick writes and syncs
//! between the commands and the replies.

pub mod load;
pub mod rewrite;
pub mod sync;
pub mod write;

use std::path::Path;
use std::sync::Arc;

use engine::time::UnixMs;
use persistence::aof::folder::Folder;
use persistence::disk::{Disk as _, DiskFile as _};

use crate::config::Config;
use crate::config::parse::error_text;
use crate::disk::{ServerDisk, ServerFile};
use crate::net::poll::Waker;
use crate::propagation::Feed;
use crate::server::Server;
use crate::session::ClientId;
use sync::Syncer;

/// Whether commands are logged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They are not.
    Off,
    /// They are.
    On,
    /// They will count once the rewrite that goes on or will begin has given them a base.
    WaitRewrite,
}

/// The append-only file.
#[derive(Debug)]
pub struct Aof {
    /// Whether commands are logged.
    pub state: State,
    /// The files; `None` until they are needed for the first time.
    pub folder: Option<Folder<ServerDisk>>,
    /// The file that is written to.
    file: Option<Arc<ServerFile>>,
    /// Its length.
    file_len: u64,
    /// Its checksums, unless there are none.
    checksums: Option<write::Checksums>,
    /// Length of all files.
    pub size: u64,
    /// Length of all files after the start or the last rewrite.
    pub base_size: u64,
    /// Something was written that is not durable yet.
    unsynced: bool,
    /// When it was last made durable, or was begun to be.
    last_sync: UnixMs,
    /// Since when a write has been held back because the disk is busy.
    postponed: Option<UnixMs>,
    /// Why the last write failed; `None`: it went well.
    pub write_error: Option<String>,
    /// When that was last in the log.
    error_logged: UnixMs,
    /// Writes that came late because the disk was busy.
    pub delayed_syncs: u64,
    /// Rewrites.
    pub rewrites: rewrite::Rewrites,
    /// The background thread.
    pub syncer: Syncer,
    /// Clients that wait until everything up to an offset is durable (WAITAOF).
    pub waiters: Vec<(ClientId, u64)>,
    /// Microseconds to sleep before each write (DEBUG AOF-FLUSH-SLEEP).
    pub flush_sleep_us: u64,
}

impl Aof {
    /// No append-only file yet.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Aof {
            state: State::Off,
            folder: None,
            file: None,
            file_len: 0,
            checksums: None,
            size: 0,
            base_size: 0,
            unsynced: false,
            last_sync: UnixMs(0),
            postponed: None,
            write_error: None,
            error_logged: UnixMs(0),
            delayed_syncs: 0,
            rewrites: rewrite::Rewrites::default(),
            syncer: Syncer::new(waker),
            waiters: Vec::new(),
            flush_sleep_us: 0,
        }
    }

    /// Whether commands are logged, or are to be.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state != State::Off
    }
}

/// Opens the folder that the configuration names.
///
/// # Errors
/// The text for the log: what is wrong with the manifest.
pub fn open_folder(disk: &ServerDisk, config: &Config) -> Result<Folder<ServerDisk>, String> {
    use persistence::aof::folder::OpenError;
    Folder::open(disk.clone(), config.appenddirname.as_path(), config.appendfilename.as_bytes()).map_err(|error| {
        match error {
            OpenError::Manifest(error) => {
                tracing::warn!("*** FATAL AOF MANIFEST FILE ERROR ***");
                if let Some((number, line)) = &error.line {
                    tracing::warn!("Reading the manifest file, at line {number}");
                    tracing::warn!(">>> '{}'", String::from_utf8_lossy(line));
                }
                error.to_string()
            }
            OpenError::Io(error) => {
                format!("Fatal error: can't open the AOF manifest file for reading: {}", error_text(&error))
            }
        }
    })
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl Server {
    /// The folder, read from the disk when it was not needed yet.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub(crate) fn aof_folder(&mut self) -> Result<&mut Folder<ServerDisk>, String> {
        let folder = match self.aof.folder.take() {
            Some(folder) => folder,
            None => open_folder(&self.disk, &self.config)?,
        };
        Ok(self.aof.folder.insert(folder))
    }

    /// Begins to write to `file`, which has `len` bytes.
    fn write_aof_to(&mut self, file: ServerFile, len: u64) {
        self.aof.file = Some(Arc::new(file));
        self.aof.file_len = len;
        self.aof.unsynced = false;
        self.aof.last_sync = self.clock.now();
        self.aof.postponed = None;
        let mut feed = Feed::default();
        feed.stamps = self.config.aof_timestamp_enabled;
        self.propagation.aof = Some(feed);
        // Nothing is known of what stands in the file already.
        self.aof.checksums = self.config.aof_checksum.then(|| write::Checksums::new(len > 0));
        self.refresh_interest();
    }

    /// Ceases to write; what is written already is made durable by the caller.
    fn write_aof_no_more(&mut self) -> Option<Arc<ServerFile>> {
        self.propagation.aof = None;
        self.refresh_interest();
        self.aof.postponed = None;
        self.aof.file.take()
    }

    /// Opens the append-only file behind what was loaded at the start, or makes a new one.
    ///
    /// # Errors
    /// Why it cannot be written, for the log.
    pub fn open_aof_at_start(&mut self) -> Result<(), String> {
        let (rdb, offset) = (self.config.aof_use_rdb_preamble, self.propagation.offset);
        let folder = self.aof_folder()?;
        if folder.manifest().base.is_none() && folder.manifest().incrs.is_empty() {
            let contents = if rdb { self.snapshot_bytes()? } else { Vec::new() };
            let folder = self.aof_folder()?;
            let name = folder.create_base(rdb, &contents[..]).map_err(|error| error_text(&error))?;
            tracing::info!("Creating AOF base file {} on server start", shown(&name));
            self.aof.size = contents.len() as u64;
        }
        let folder = self.aof_folder()?;
        let (file, len) = match folder.append_incr().map_err(|error| error_text(&error))? {
            Some((file, len)) => {
                let name = folder.manifest().incrs.last().map(|file| shown(&file.name)).unwrap_or_default();
                tracing::info!("Opening AOF incr file {name} on server start");
                (file, len)
            }
            None => {
                let (file, name) = folder.create_incr(offset).map_err(|error| error_text(&error))?;
                tracing::info!("Creating AOF incr file {} on server start", shown(&name));
                (file, 0)
            }
        };
        self.write_aof_to(file, len);
        self.aof.base_size = self.aof.size;
        self.aof.state = State::On;
        self.remove_aof_history();
        Ok(())
    }

    /// Acts on a change of the parameters that concern the files.
    pub(crate) fn apply_aof_files(&mut self) {
        if let Some(feed) = &mut self.propagation.aof {
            feed.stamps = self.config.aof_timestamp_enabled;
        }
        if !self.config.aof_checksum {
            self.aof.checksums = None;
        } else if self.aof.checksums.is_none() && self.aof.write_error.is_none() {
            self.aof.checksums = Some(write::Checksums::new(true));
        }
        self.remove_aof_history();
    }

    /// Removes the files that are no longer needed, unless that is turned off.
    pub(crate) fn remove_aof_history(&mut self) {
        if self.config.aof_disable_auto_gc {
            return;
        }
        let Some(folder) = &mut self.aof.folder else { return };
        // The files go first: those that a crash leaves to the manifest are removed the next time.
        for file in &folder.manifest().history {
            tracing::info!("Removing the history file {} in the background", shown(&file.name));
            self.aof.syncer.remove(&folder.path(&file.name));
        }
        if let Err(error) = folder.forget_history() {
            tracing::warn!("Error writing the AOF manifest: {}", error_text(&error));
        }
    }

    /// Closes the append-only file in an orderly way: everything is durable, and the manifest knows where it ends.
    pub(crate) fn close_aof(&mut self) {
        self.close_checksum();
        self.flush_aof(true);
        let Some(file) = self.write_aof_no_more() else { return };
        if let Err(error) = file.sync() {
            tracing::warn!("Fail to fsync the AOF file: {}", error_text(&error));
        } else {
            self.aof.syncer.note_synced(self.propagation.offset);
        }
        let offset = self.propagation.offset;
        if self.aof.state == State::On
            && let Some(folder) = &mut self.aof.folder
            && let Err(error) = folder.close_incr(offset)
        {
            tracing::warn!("Error writing the AOF manifest: {}", error_text(&error));
        }
    }

    /// Length of all files of the append-only file, as they are on the disk.
    pub(crate) fn aof_files_len(folder: &Folder<ServerDisk>) -> u64 {
        folder.manifest().files().map(|file| folder.disk().len(&folder.path(&file.name)).unwrap_or(0)).sum()
    }
}

/// Where old files may be: before the times of manifests.
pub(crate) fn old_file(config: &Config) -> &Path {
    config.appendfilename.as_path()
}
