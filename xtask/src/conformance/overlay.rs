//! The folder in which the unmodified suite finds our binaries.
//!
//! Folders are real and files are links: the suite changes into folders and goes up again by `..`, which a linked
//! folder would lead into the suite's own tree, to another server.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Error, fail, place};

/// The servers listen on `OVERLAY/tests/tmp/server.PID.N/socket`, and a unix socket's path has at most 107 bytes.
const LONGEST: usize = 107 - "/tests/tmp/server.4194304.9999/socket".len();

/// The programs that the suite starts.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// Server; under other names also sentinel and the file checkers.
    pub(crate) server: PathBuf,
    /// Command line client.
    pub(crate) cli: PathBuf,
    /// Load generator, if there is one.
    pub(crate) benchmark: Option<PathBuf>,
}

/// One working copy of the suite; a file runs in it at a time.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Its root: where `runtest` is started.
    pub(crate) root: PathBuf,
    /// Whether the folder lies outside `target/` and goes away with this value.
    borrowed: bool,
}

impl Overlay {
    /// Builds copy number `slot` anew.
    pub(crate) fn build(suite: &Path, programs: &Programs, slot: usize) -> Result<Overlay, Error> {
        let name = format!("{}-{slot}", std::process::id());
        let mut root = place::scratch("cf")?.join(&name);
        let borrowed = root.as_os_str().len() > LONGEST;
        if borrowed {
            root = std::env::temp_dir().join(format!("cf-{name}"));
            if root.as_os_str().len() > LONGEST {
                fail!("{} is too long a path for the suite's sockets", root.display());
            }
        }
        let overlay = Overlay { root, borrowed };
        let _ = std::fs::remove_dir_all(&overlay.root);
        std::fs::create_dir_all(overlay.root.join("src"))?;
        for entry in std::fs::read_dir(suite)? {
            let entry = entry?;
            let name = entry.file_name();
            let wanted = ["tests", "utils", "modules"].iter().any(|dir| name == *dir);
            if wanted || name.to_string_lossy().starts_with("runtest") {
                mirror(&entry.path(), &overlay.root.join(&name))?;
            }
        }
        overlay.clear_tmp()?;
        let src = overlay.root.join("src");
        // Copies: a build in between must not change what is being tested.
        std::fs::copy(&programs.server, src.join("redis-server"))?;
        std::fs::copy(&programs.cli, src.join("redis-cli"))?;
        for name in ["redis-sentinel", "redis-check-rdb", "redis-check-aof"] {
            symlink("redis-server", src.join(name))?;
        }
        if let Some(benchmark) = &programs.benchmark {
            std::fs::copy(benchmark, src.join("redis-benchmark"))?;
        }
        Ok(overlay)
    }

    /// Empties the folders in which the suite's servers work.
    pub(crate) fn clear_tmp(&self) -> Result<(), Error> {
        for dir in ["tests/tmp", "tests/cluster/tmp", "tests/sentinel/tmp"] {
            let dir = self.root.join(dir);
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(dir)?;
        }
        Ok(())
    }

    /// Kills what still runs in this folder. Servers that left their process group are found by their working folder.
    pub(crate) fn kill_leftovers(&self) {
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        for entry in processes.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.root));
            if let (true, Some(pid)) = (here, rustix::process::Pid::from_raw(pid)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        self.kill_leftovers();
        let _ = std::fs::remove_dir_all(&self.root);
        if !self.borrowed {
            // Goes when it is empty: others may use it too.
            let _ = std::fs::remove_dir(self.root.parent().expect("has a parent"));
        }
    }
}

/// Repeats the folders of `from` at `to` and links its files.
fn mirror(from: &Path, to: &Path) -> Result<(), Error> {
    if !from.is_dir() {
        symlink(std::fs::canonicalize(from)?, to)?;
        return Ok(());
    }
    if from.ends_with("tests/tmp") {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        mirror(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
