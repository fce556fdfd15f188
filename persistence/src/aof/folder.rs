//! The files of the append-only file on a disk. Whatever is interrupted, and whenever: what the manifest on the disk
//! names is there, and together it is everything that was made durable.
//!
//! ```
//! use std::io::Write as _;
//! use std::path::Path;
//!
//! use persistence::aof::{encode, folder::Folder};
//! use persistence::disk::{CrashDisk, DiskFile as _};
//!
//! let mut folder = Folder::open(CrashDisk::default(), Path::new("appendonlydir"), b"appendonly.aof")?;
//! assert_eq!(folder.create_base(false, &b""[..])?, b"appendonly.aof.1.base.aof");
//! let (mut file, _) = folder.create_incr(0)?;
//! let mut bytes = Vec::new();
//! encode(&mut bytes, [&b"INCR"[..], b"visits"].into_iter());
//! file.write_all(&bytes)?;
//! file.sync()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::manifest::{LINE_MAX, Manifest, ManifestError};
use crate::disk::{Disk, DiskFile};

/// Longest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// Why the files cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// The manifest cannot be understood.
    Manifest(ManifestError),
    /// The manifest cannot be read.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Manifest(error) => error.fmt(f),
            OpenError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        OpenError::Io(error)
    }
}

/// The folder of an append-only file.
#[derive(Clone, Debug)]
pub struct Folder<D> {
    disk: D,
    path: PathBuf,
    name: Vec<u8>,
    manifest: Manifest,
    /// Whether there is a manifest on the disk.
    saved: bool,
}

impl<D: Disk> Folder<D> {
    /// Reads the manifest `NAME.manifest` in the folder `path`; neither need be there.
    ///
    /// # Errors
    /// What is wrong with the manifest.
    pub fn open(disk: D, path: &Path, name: &[u8]) -> Result<Self, OpenError> {
        let mut folder =
            Folder { disk, path: path.to_owned(), name: name.to_vec(), manifest: Manifest::default(), saved: false };
        match folder.disk.open(&folder.manifest_path()) {
            Ok(file) => {
                let mut text = Vec::new();
                file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text)?;
                folder.manifest = Manifest::parse(&text).map_err(OpenError::Manifest)?;
                folder.saved = true;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(folder)
    }

    /// The files.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether there is a manifest on the disk.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Where a file of the folder is.
    #[must_use]
    pub fn path(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// Where the manifest is.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.path(&[&self.name[..], b".manifest"].concat())
    }

    /// Where an increment is kept that is not part of the append-only file yet.
    #[must_use]
    pub fn temp_incr_name(&self) -> Vec<u8> {
        [b"temp-", &self.name[..], b".incr"].concat()
    }

    /// Makes `manifest` the one that counts: on the disk first, as a whole or not at all.
    ///
    /// # Errors
    /// What the disk says. The former manifest counts then, unless the disk refuses even that.
    pub fn save(&mut self, manifest: Manifest) -> io::Result<()> {
        self.disk.make_folder(&self.path)?;
        self.put(&manifest)?;
        let former = std::mem::replace(&mut self.manifest, manifest);
        let was_saved = std::mem::replace(&mut self.saved, true);
        let Err(error) = self.disk.sync_folder(&self.path) else { return Ok(()) };
        // It has its name already, and whether it keeps it nobody knows: the former one takes the name back, so that the
        // next change does not begin from something else than what a start would find.
        let back = if was_saved { self.put(&former) } else { self.disk.remove(&self.manifest_path()) };
        if back.is_ok() {
            (self.manifest, self.saved) = (former, was_saved);
        }
        Err(error)
    }

    /// Writes a manifest and gives it its name.
    fn put(&self, manifest: &Manifest) -> io::Result<()> {
        let text = manifest.to_bytes();
        if text.split(|&byte| byte == b'\n').any(|line| line.len() >= LINE_MAX) {
            // Nobody could read it. The names in it are made from one that is configured.
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let temp = self.path(&[b"temp-", &self.name[..], b".manifest"].concat());
        let mut file = self.disk.create(&temp)?;
        file.write_all(&text)?;
        file.sync()?;
        drop(file);
        self.disk.rename(&temp, &self.manifest_path())
    }

    /// Makes a base of `contents`, in the RDB format or of commands, for a folder that has none. Returns its name. The manifest
    /// is written by the [`create_incr`](Self::create_incr) that must follow.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_base(&mut self, rdb: bool, mut contents: impl Read) -> io::Result<Vec<u8>> {
        self.disk.make_folder(&self.path)?;
        let name = self.manifest.clone().add_base(&self.name, rdb).name.clone();
        let mut file = self.disk.create(&self.path(&name))?;
        io::copy(&mut contents, &mut file)?;
        file.sync()?;
        self.manifest.add_base(&self.name, rdb);
        Ok(name)
    }

    /// Takes a file in `from` over as the base, under its own name, as an older version left it: the manifest comes
    /// first, so that an interrupted move can be repeated.
    ///
    /// # Errors
    /// What the disk says.
    pub fn adopt(&mut self, from: &Path) -> io::Result<()> {
        if self.manifest.base.is_none() {
            let mut manifest = Manifest::default();
            manifest.adopt_base(&self.name.clone());
            self.save(manifest)?;
        }
        self.disk.rename(from, &self.path(&self.name))?;
        self.disk.sync_folder(&self.path)?;
        let parent = from.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.disk.sync_folder(parent.unwrap_or(Path::new(".")))
    }

    /// Opens the last increment for appending. Returns it with its length; nothing when there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn append_incr(&mut self) -> io::Result<Option<(D::File, u64)>> {
        let Some(last) = self.manifest.incrs.last() else { return Ok(None) };
        let path = self.path(&last.name);
        let file = self.disk.append(&path)?;
        let len = self.disk.len(&path)?;
        // The offset at its end is no longer known once something is appended.
        if last.end_offset.is_some() {
            let mut manifest = self.manifest.clone();
            if let Some(last) = manifest.incrs.last_mut() {
                last.end_offset = None;
            }
            self.save(manifest)?;
        }
        Ok(Some((file, len)))
    }

    /// Adds a new empty increment that begins at a replication offset. Returns it with its name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_incr(&mut self, start_offset: u64) -> io::Result<(D::File, Vec<u8>)> {
        self.disk.make_folder(&self.path)?;
        let mut manifest = self.manifest.clone();
        let name = manifest.add_incr(&self.name, start_offset).name.clone();
        let path = self.path(&name);
        // Not emptied if it is there: it cannot be one that counts, but what it holds is not ours to destroy in silence.
        let file = self.disk.append(&path)?;
        if self.disk.len(&path)? > 0 {
            file.truncate(0)?;
        }
        self.save(manifest)?;
        Ok((file, name))
    }

    /// Opens an increment that counts only once [`finish_rewrite`](Self::finish_rewrite) takes it in.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_temp_incr(&mut self) -> io::Result<D::File> {
        self.disk.make_folder(&self.path)?;
        self.disk.create(&self.path(&self.temp_incr_name()))
    }

    /// Ends a rewrite: the file `temp` becomes the base, the increments before the last `keep` are history. With
    /// `temp_incr`, a replication offset, the temporary increment becomes one that counts. Returns what was renamed.
    ///
    /// # Errors
    /// What the disk says; the former files still count then.
    pub fn finish_rewrite(
        &mut self,
        temp: &Path,
        rdb: bool,
        keep: usize,
        temp_incr: Option<u64>,
    ) -> io::Result<Renamed> {
        let mut manifest = self.manifest.clone();
        let base = manifest.add_base(&self.name, rdb).name.clone();
        self.disk.make_folder(&self.path)?;
        self.disk.rename(temp, &self.path(&base))?;
        let retired = manifest.incrs.len().saturating_sub(keep);
        let incr = temp_incr.map(|offset| manifest.add_incr(&self.name, offset).name.clone());
        if let Some(incr) = &incr
            && let Err(error) = self.disk.rename(&self.path(&self.temp_incr_name()), &self.path(incr))
        {
            // Nobody names the new base: it goes again.
            let _ = self.disk.remove(&self.path(&base));
            return Err(error);
        }
        manifest.retire_incrs(retired);
        self.save(manifest)?;
        Ok(Renamed { base, incr })
    }

    /// Notes the replication offset behind the last command of the last increment, which is closed now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close_incr(&mut self, end_offset: u64) -> io::Result<()> {
        let mut manifest = self.manifest.clone();
        match manifest.incrs.last_mut() {
            // One of an older version says nothing of offsets.
            Some(last) if last.start_offset.is_some() => last.end_offset = Some(end_offset),
            _ => return Ok(()),
        }
        self.save(manifest)
    }

    /// Strikes the files that are no longer needed off the manifest; the caller has removed them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget_history(&mut self) -> io::Result<()> {
        if self.manifest.history.is_empty() {
            return Ok(());
        }
        let mut manifest = self.manifest.clone();
        manifest.history.clear();
        self.save(manifest)
    }
}

/// What a rewrite gave its files for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The base.
    pub base: Vec<u8>,
    /// The increment that was temporary.
    pub incr: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::reader::{Item, Reader};
    use crate::disk::CrashDisk;
    use proptest::prelude::*;

    const NAME: &[u8] = b"a.aof";

    fn open(disk: &CrashDisk) -> Folder<CrashDisk> {
        Folder::open(disk.clone(), Path::new("d"), NAME).unwrap()
    }

    fn number(n: u32) -> Vec<u8> {
        let mut out = Vec::new();
        super::super::encode(&mut out, [&b"N"[..], n.to_string().as_bytes()].into_iter());
        out
    }

    /// The numbers that all files together hold, as far as they are whole.
    fn load(folder: &Folder<CrashDisk>) -> Vec<u32> {
        let mut numbers = Vec::new();
        for file in folder.manifest().files() {
            let mut reader = Reader::new(folder.disk().open(&folder.path(&file.name)).unwrap(), 0);
            while let Ok(batch) = reader.batch() {
                if batch.is_empty() {
                    break;
                }
                for (item, _) in batch.items() {
                    if let Item::Command(words) = item {
                        numbers.push(String::from_utf8(words.last().unwrap().to_vec()).unwrap().parse().unwrap());
                    }
                }
            }
        }
        numbers
    }

    #[test]
    fn an_old_file_is_taken_over_even_when_interrupted() {
        let disk = CrashDisk::default();
        let old = Path::new("a.aof");
        disk.create(old).unwrap().write_all(&number(1)).unwrap();
        let mut folder = open(&disk);
        let mut manifest = Manifest::default();
        manifest.adopt_base(NAME);
        folder.save(manifest).unwrap();
        let mut folder = open(&disk);
        folder.adopt(old).unwrap();
        assert_eq!(load(&open(&disk)), [1]);
        assert!(disk.read(old).is_none());
    }

    #[test]
    fn offsets_are_noted_and_taken_back() {
        let disk = CrashDisk::default();
        let mut folder = open(&disk);
        folder.create_base(true, &b""[..]).unwrap();
        folder.create_incr(5).unwrap();
        folder.close_incr(9).unwrap();
        let mut folder = open(&disk);
        let incr = &folder.manifest().incrs[0];
        assert_eq!((incr.start_offset, incr.end_offset), (Some(5), Some(9)));
        assert_eq!(folder.append_incr().unwrap().unwrap().1, 0);
        assert_eq!(open(&disk).manifest().incrs[0].end_offset, None);
    }

    proptest! {
        /// Writes with a sync each, rewrites that succeed or fail, and losses of power at any point between two operations.
        #[test]
        fn nothing_that_was_synced_is_lost(steps in proptest::collection::vec(0_u8..8, 1..60), kept in 0_usize..40) {
            let disk = CrashDisk::default();
            disk.sync_folder(Path::new("d")).unwrap();
            let mut folder = open(&disk);
            folder.create_base(false, &b""[..]).unwrap();
            let mut file = folder.create_incr(0).unwrap().0;
            let (mut durable, mut next, mut rewriting) = (Vec::new(), 0, None);
            for step in steps {
                match step {
                    0..=3 => {
                        file.write_all(&number(next)).unwrap();
                        file.sync().unwrap();
                        durable.push(next);
                        next += 1;
                    }
                    4 if rewriting.is_none() => {
                        rewriting = Some(durable.clone());
                        file = folder.create_incr(0).unwrap().0;
                    }
                    5 => if let Some(data) = rewriting.take() {
                        let temp = Path::new("d/temp");
                        let mut base = disk.create(temp).unwrap();
                        base.write_all(&data.iter().copied().flat_map(number).collect::<Vec<_>>()).unwrap();
                        base.sync().unwrap();
                        folder.finish_rewrite(temp, false, 1, None).unwrap();
                    },
                    6 => {
                        for file in &folder.manifest().history {
                            // One that was removed before a crash may be back.
                            let _ = disk.remove(&folder.path(&file.name));
                        }
                        folder.forget_history().unwrap();
                    }
                    7 => {
                        // Something half written goes with the power, or stays in part.
                        file.write_all(&number(1_000_000)[..kept.min(10)]).unwrap();
                        disk.crash(|unsynced| kept.min(unsynced));
                        rewriting = None;
                        folder = open(&disk);
                        prop_assert_eq!(load(&folder), &durable[..]);
                        let last = folder.manifest().incrs.last().unwrap().name.clone();
                        file = folder.append_incr().unwrap().unwrap().0;
                        let mut reader = Reader::new(disk.open(&folder.path(&last)).unwrap(), 0);
                        while reader.batch().is_ok_and(|batch| !batch.is_empty()) {}
                        file.truncate(reader.offset()).unwrap();
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(load(&folder), durable);
        }
    }
}
