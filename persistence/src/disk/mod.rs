//! The file system as the append-only file needs it: few operations, each with its promise about what survives a crash.
//!
//! [`OsDisk`] is the real one. [`CrashDisk`] lives in memory and forgets at [`crash`](CrashDisk::crash) what a real disk
//! may forget: bytes that were not synced, and names that were not followed by a sync of their folder. [`FaultDisk`]
//! stands before either and fails on demand, as a disk does that is full or broken.

mod crash;
mod faults;

pub use crash::{CrashDisk, CrashFile};
pub use faults::{FaultDisk, FaultFile, Faults, Operation};

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// A file system.
pub trait Disk {
    /// A file open for appending.
    type File: DiskFile;
    /// A file open for reading.
    type Reader: Read;

    /// Makes a new empty file, or empties the one that is there.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file for appending; it is made if it is missing.
    ///
    /// # Errors
    /// What the system says.
    fn append(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, path: &Path) -> io::Result<Self::Reader>;

    /// Length of a file in bytes.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Gives a file another name; what had that name is gone. Durable after [`sync_folder`](Self::sync_folder).
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder unless it is there.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file open for appending. `write` may take less than it is given, as a full disk does.
#[expect(clippy::len_without_is_empty, reason = "nobody asks a file whether it is empty")]
pub trait DiskFile: Write {
    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// What the system says; nothing is known then about what is durable.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file off at `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;
}

/// The file system of the machine.
#[derive(Copy, Clone, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    type File = fs::File;
    type Reader = fs::File;

    fn create(&self, path: &Path) -> io::Result<fs::File> {
        let file = self.append(path)?;
        file.set_len(0)?;
        Ok(file)
    }

    fn append(&self, path: &Path) -> io::Result<fs::File> {
        fs::OpenOptions::new().append(true).create(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<fs::File> {
        fs::File::open(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|meta| meta.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }
}

impl DiskFile for fs::File {
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|meta| meta.len())
    }
}
