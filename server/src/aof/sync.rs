//! The background thread of the append-only file: it makes durable what was written, and removes old files. Both can
//! take long, and neither may stall the clients.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use persistence::disk::DiskFile as _;

use crate::disk::ServerFile;
use crate::net::poll::Waker;

/// What there is to do.
#[derive(Debug)]
enum Job {
    /// Make a file durable, up to a replication offset.
    Sync(Arc<ServerFile>, u64),
    /// The same, and close it: nobody waits for it.
    Close(Arc<ServerFile>, u64),
    /// Close a file that has lost its name: its blocks are freed.
    Free(File),
}

#[derive(Debug, Default)]
struct Shared {
    /// Jobs of the first kind that are not done.
    pending: AtomicU64,
    /// Replication offset up to which everything is durable.
    synced: AtomicU64,
    /// What the system said when the last one failed; 0 when it did not.
    error: AtomicI32,
    /// One has failed since somebody last asked.
    doubtful: AtomicBool,
}

/// The way to the background thread, which is started when there is something to do for the first time.
#[derive(Debug)]
pub struct Syncer {
    sender: Option<Sender<Job>>,
    shared: Arc<Shared>,
    waker: Waker,
}

impl Syncer {
    /// A way to a thread that wakes the event loop whenever something has become durable.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Syncer { sender: None, shared: Arc::default(), waker }
    }

    /// Makes `file` durable, in which everything up to `offset` was written.
    pub fn sync(&mut self, file: &Arc<ServerFile>, offset: u64) {
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        self.send(Job::Sync(Arc::clone(file), offset));
    }

    /// Makes `file` durable and closes it.
    pub fn close(&mut self, file: Arc<ServerFile>, offset: u64) {
        self.send(Job::Close(file, offset));
    }

    /// Removes a file: its name at once, so that the name can be used again, its contents in the background.
    pub fn remove(&mut self, path: &Path) {
        let file = File::open(path);
        // Whoever was faster did the same.
        let _ = std::fs::remove_file(path);
        if let Ok(file) = file {
            self.send(Job::Free(file));
        }
    }

    fn send(&mut self, job: Job) {
        if self.sender.is_none() {
            self.start();
        }
        // Without a thread it is done here: slower, and as good.
        let unsent = match &self.sender {
            Some(sender) => sender.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            run(job, &self.shared);
        }
    }

    fn start(&mut self) {
        let (sender, jobs) = channel();
        let (shared, waker) = (Arc::clone(&self.shared), self.waker.clone());
        let started = std::thread::Builder::new().name("bio_aof".to_owned()).spawn(move || {
            for job in jobs {
                run(job, &shared);
                waker.wake();
            }
        });
        match started {
            Ok(_) => self.sender = Some(sender),
            Err(error) => tracing::warn!("Can't start the background thread of the append only file: {error}"),
        }
    }

    /// Whether files are being made durable (INFO `aof_pending_bio_fsync`).
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// Replication offset up to which everything is durable.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// Everything up to `offset` was made durable by the caller.
    pub fn note_synced(&self, offset: u64) {
        self.shared.synced.store(offset, Ordering::Release);
    }

    /// What the system said when the last attempt failed.
    #[must_use]
    pub fn error(&self) -> Option<std::io::Error> {
        match self.shared.error.load(Ordering::Acquire) {
            0 => None,
            code => Some(std::io::Error::from_raw_os_error(code)),
        }
    }

    /// Something could not be made durable: by the caller, or by the thread.
    pub fn note_failed(&self) {
        self.shared.doubtful.store(true, Ordering::Release);
    }

    /// Whether something could not be made durable since this was last asked. A later success does not change that: the
    /// system may have dropped what it could not write.
    #[must_use]
    pub fn take_doubt(&self) -> bool {
        self.shared.doubtful.swap(false, Ordering::AcqRel)
    }

    /// Waits until nothing is pending: before the same file is made durable in the foreground or read back.
    pub fn drain(&self) {
        while self.pending() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

fn run(job: Job, shared: &Shared) {
    let (file, offset, awaited) = match job {
        Job::Sync(file, offset) => (file, offset, true),
        Job::Close(file, offset) => (file, offset, false),
        Job::Free(file) => return drop(file),
    };
    match file.sync() {
        Ok(()) => {
            shared.error.store(0, Ordering::Release);
            shared.synced.fetch_max(offset, Ordering::AcqRel);
        }
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(libc::EIO);
            if shared.error.swap(code, Ordering::AcqRel) != code {
                let text = crate::config::parse::error_text(&error);
                tracing::warn!("Fail to fsync the AOF file: {text}");
            }
            // After the error: while that stands nobody acts on the doubt.
            shared.doubtful.store(true, Ordering::Release);
        }
    }
    if awaited {
        shared.pending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::ServerDisk;
    use crate::net::poll::Poll;
    use persistence::disk::{Disk as _, Operation, OsDisk};

    #[test]
    fn a_success_does_not_take_back_what_a_failure_has_put_in_doubt() {
        let disk = ServerDisk::new(OsDisk);
        let path = std::env::temp_dir().join(format!("rsrs-doubt-{}", std::process::id()));
        let file = Arc::new(disk.create(&path).expect("a file"));
        let mut syncer = Syncer::new(Poll::new().expect("a poll").waker());
        for (error, says) in [(Some(libc::EIO), Some(libc::EIO)), (None, None)] {
            disk.faults().fail(Operation::Sync, error, 0);
            syncer.sync(&file, 1);
            syncer.drain();
            assert_eq!(syncer.error().and_then(|error| error.raw_os_error()), says);
        }
        assert!(syncer.take_doubt());
        assert!(!syncer.take_doubt());
        std::fs::remove_file(&path).expect("it is there");
    }
}
