//! A disk in memory that can lose power or run full.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile};

/// The contents of a file in memory.
#[derive(Clone, Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// How many of the bytes are durable.
    durable: usize,
}

type Shared = Arc<Mutex<Contents>>;

#[derive(Debug, Default)]
struct State {
    /// Names as processes see them.
    names: BTreeMap<PathBuf, Shared>,
    /// Names as they are after a crash.
    durable_names: BTreeMap<PathBuf, Shared>,
    /// Bytes that can still be written; `None`: no end.
    room: Option<usize>,
}

/// A file system in memory that can lose power or run full.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk(Arc<Mutex<State>>);

/// A file of a [`CrashDisk`].
#[derive(Debug)]
pub struct CrashFile {
    disk: CrashDisk,
    contents: Shared,
}

/// A poisoned lock means that a test panicked already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl CrashDisk {
    /// Loses power: of each file at least what was synced is left; `keep(unsynced bytes)` says how much of the rest.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut state = lock(&self.0);
        state.names = state.durable_names.clone();
        for contents in state.names.values() {
            let mut contents = lock(contents);
            let unsynced = contents.bytes.len() - contents.durable;
            let len = contents.durable + keep(unsynced).min(unsynced);
            contents.bytes.truncate(len);
            contents.durable = len;
        }
    }

    /// Lets at most `bytes` more be written; `None` takes the limit away.
    pub fn limit(&self, bytes: Option<usize>) {
        lock(&self.0).room = bytes;
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = lock(&self.0);
        state.names.get(path).map(|contents| lock(contents).bytes.clone())
    }

    fn find(&self, path: &Path) -> io::Result<Shared> {
        lock(&self.0).names.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for CrashDisk {
    type File = CrashFile;
    type Reader = io::Cursor<Vec<u8>>;

    fn create(&self, path: &Path) -> io::Result<CrashFile> {
        let contents = Shared::default();
        lock(&self.0).names.insert(path.to_owned(), Arc::clone(&contents));
        Ok(CrashFile { disk: self.clone(), contents })
    }

    fn append(&self, path: &Path) -> io::Result<CrashFile> {
        let contents = Arc::clone(lock(&self.0).names.entry(path.to_owned()).or_default());
        Ok(CrashFile { disk: self.clone(), contents })
    }

    fn open(&self, path: &Path) -> io::Result<io::Cursor<Vec<u8>>> {
        Ok(io::Cursor::new(lock(&*self.find(path)?).bytes.clone()))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(lock(&*self.find(path)?).bytes.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        let contents = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|name, _| name.parent() != Some(path));
        let here = names.iter().filter(|(name, _)| name.parent() == Some(path));
        durable_names.extend(here.map(|(name, contents)| (name.clone(), Arc::clone(contents))));
        Ok(())
    }
}

impl Write for CrashFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = lock(&self.disk.0);
        let count = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.room = state.room.map(|room| room - count);
        lock(&self.contents).bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for CrashFile {
    fn sync(&self) -> io::Result<()> {
        let mut contents = lock(&self.contents);
        contents.durable = contents.bytes.len();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut contents = lock(&self.contents);
        contents.bytes.truncate(len as usize);
        contents.durable = contents.durable.min(contents.bytes.len());
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.contents).bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_takes_what_was_not_synced() {
        let (disk, folder) = (CrashDisk::default(), Path::new("d"));
        let (a, b) = (folder.join("a"), folder.join("b"));
        let mut file = disk.create(&a).unwrap();
        file.write_all(b"12345").unwrap();
        file.sync().unwrap();
        disk.sync_folder(folder).unwrap();
        file.write_all(b"678").unwrap();
        disk.rename(&a, &b).unwrap();
        assert_eq!(disk.read(&b).unwrap(), b"12345678");
        disk.crash(|unsynced| unsynced - 1);
        assert_eq!(disk.read(&a).unwrap(), b"1234567");
        assert!(disk.read(&b).is_none());
    }

    #[test]
    fn a_full_disk_takes_a_part() {
        let disk = CrashDisk::default();
        let mut file = disk.append(Path::new("d/a")).unwrap();
        disk.limit(Some(3));
        assert_eq!(file.write(b"12345").unwrap(), 3);
        assert_eq!(file.write(b"45").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.truncate(1).unwrap();
        assert_eq!(disk.len(Path::new("d/a")).unwrap(), 1);
    }
}
