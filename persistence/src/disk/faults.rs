//! A disk that fails on demand: what a full or broken one does can be tried on a running server.
//!
//! ```
//! use std::io::Write as _;
//! use std::path::Path;
//!
//! use persistence::disk::{CrashDisk, Disk as _, FaultDisk, Operation};
//!
//! let disk = FaultDisk::new(CrashDisk::default());
//! let mut file = disk.create(Path::new("a"))?;
//! disk.faults().fail(Operation::Write, Some(28), 3); // ENOSPC behind three bytes more.
//! assert_eq!(file.write(b"12345")?, 3);
//! assert!(file.write(b"45").is_err());
//! disk.faults().fail(Operation::Write, None, 0);
//! file.write_all(b"45")?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Disk, DiskFile};

/// What can fail.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Making or opening a file for writing.
    Create,
    /// Writing to a file.
    Write,
    /// Making a file's contents durable.
    Sync,
    /// Giving a file another name.
    Rename,
    /// Making the names in a folder durable.
    SyncFolder,
}

impl Operation {
    /// All, with the names they go by.
    pub const ALL: [(Operation, &str); 5] = [
        (Operation::Create, "create"),
        (Operation::Write, "write"),
        (Operation::Sync, "sync"),
        (Operation::Rename, "rename"),
        (Operation::SyncFolder, "sync-folder"),
    ];
}

/// What fails, shared by all files of a disk. Nothing here takes a lock: a forked process may use it.
#[derive(Debug, Default)]
pub struct Faults {
    /// The error number with which each operation fails; 0: it does not.
    errors: [AtomicI32; Operation::ALL.len()],
    /// Times an operation is still done before it fails; bytes for writing.
    left: [AtomicU64; Operation::ALL.len()],
    /// Where it is noted what became durable.
    journal: OnceLock<fs::File>,
}

impl Faults {
    /// Lets an operation fail with an error number of the system, after it was done `left` times more (`left` bytes for
    /// writing); `None`: it works again.
    pub fn fail(&self, operation: Operation, error: Option<i32>, left: u64) {
        self.left[operation as usize].store(left, Ordering::Release);
        self.errors[operation as usize].store(error.unwrap_or(0), Ordering::Release);
    }

    /// From now on lines in `journal` tell what becomes durable: `begin TIME PATH`, and when it is done `sync TIME LENGTH
    /// PATH`, with times in milliseconds since the epoch; which files are about to get another name: `rename
    /// FROM<TAB>TO`, and that they have it: `renamed FROM<TAB>TO`. A test that cuts each file off at its last such length
    /// plays a loss of power.
    pub fn note_in(&self, journal: fs::File) {
        // One that is there already goes on.
        let _ = self.journal.set(journal);
    }

    /// Fails if the operation is to fail. Returns how much of `wanted` may be done.
    fn check(&self, operation: Operation, wanted: u64) -> io::Result<u64> {
        let error = self.errors[operation as usize].load(Ordering::Acquire);
        if error == 0 {
            return Ok(wanted);
        }
        let left = &self.left[operation as usize];
        let take = |left: u64| (left > 0).then(|| left.saturating_sub(wanted));
        match left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(left) => Ok(wanted.min(left)),
            Err(_) => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn note(&self, line: impl FnOnce() -> String) {
        if let Some(mut journal) = self.journal.get() {
            // One write for the line: several processes may append. A test that misses it will say so.
            let _ = journal.write_all(line().as_bytes());
        }
    }
}

/// A disk with [`Faults`].
#[derive(Clone, Debug, Default)]
pub struct FaultDisk<D> {
    disk: D,
    faults: Arc<Faults>,
}

/// A file of a [`FaultDisk`].
#[derive(Debug)]
pub struct FaultFile<F> {
    file: F,
    path: Box<Path>,
    faults: Arc<Faults>,
}

impl<D: Disk> FaultDisk<D> {
    /// One that does not fail yet.
    pub fn new(disk: D) -> Self {
        FaultDisk { disk, faults: Arc::default() }
    }

    /// What fails.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    fn file(&self, path: &Path, open: impl FnOnce() -> io::Result<D::File>) -> io::Result<FaultFile<D::File>> {
        self.faults.check(Operation::Create, 1)?;
        Ok(FaultFile { file: open()?, path: path.into(), faults: Arc::clone(&self.faults) })
    }
}

impl<D: Disk> Disk for FaultDisk<D> {
    type File = FaultFile<D::File>;
    type Reader = D::Reader;

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        self.file(path, || self.disk.create(path))
    }

    fn append(&self, path: &Path) -> io::Result<Self::File> {
        self.file(path, || self.disk.append(path))
    }

    fn open(&self, path: &Path) -> io::Result<D::Reader> {
        self.disk.open(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.disk.len(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.check(Operation::Rename, 1)?;
        let note = |what| self.faults.note(|| format!("{what} {}\t{}\n", from.display(), to.display()));
        note("rename");
        self.disk.rename(from, to)?;
        note("renamed");
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.make_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.faults.check(Operation::SyncFolder, 1)?;
        self.disk.sync_folder(path)
    }
}

impl<F: DiskFile> Write for FaultFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.faults.check(Operation::Write, bytes.len() as u64)?;
        self.file.write(&bytes[..count as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for &FaultFile<fs::File> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.faults.check(Operation::Write, bytes.len() as u64)?;
        (&self.file).write(&bytes[..count as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.file).flush()
    }
}

impl<F: DiskFile> DiskFile for FaultFile<F> {
    fn sync(&self) -> io::Result<()> {
        self.faults.check(Operation::Sync, 1)?;
        // What is written meanwhile may or may not be durable: it is not counted.
        let len = self.faults.journal.get().and_then(|_| self.file.len().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.faults.note(|| format!("begin {} {}\n", now(), self.path.display()));
        self.file.sync()?;
        if let Some(len) = len {
            self.faults.note(|| format!("sync {} {len} {}\n", now(), self.path.display()));
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::OsDisk;
    use super::*;

    #[test]
    fn what_is_durable_is_noted() {
        let folder = std::env::temp_dir().join(format!("rsrs-faults-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (a, b, journal) = (folder.join("a"), folder.join("b"), folder.join("journal"));
        let disk = FaultDisk::new(OsDisk);
        disk.faults().note_in(fs::File::create(&journal).unwrap());
        let file = disk.create(&a).unwrap();
        (&file).write_all(b"123").unwrap();
        file.sync().unwrap();
        disk.faults().fail(Operation::Sync, Some(5), 0);
        (&file).write_all(b"456").unwrap();
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        disk.faults().fail(Operation::Rename, Some(28), 1);
        disk.rename(&a, &b).unwrap();
        assert_eq!(disk.rename(&b, &a).unwrap_err().raw_os_error(), Some(28));
        let (a, b) = (a.display(), b.display());
        let journal = fs::read_to_string(&journal).unwrap();
        // Without the times.
        let lines: Vec<_> = journal.lines().map(|line| line.splitn(3, ' ').collect::<Vec<_>>()).collect();
        assert_eq!((lines[0][0], lines[0][2]), ("begin", &a.to_string()[..]));
        assert_eq!((lines[1][0], lines[1][2]), ("sync", &format!("3 {a}")[..]));
        let names = format!("{a}\t{b}");
        assert_eq!(lines[2..], [["rename", &names], ["renamed", &names]]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
