//! The title of the process, as `ps` shows it.
//!
//! Linux shows what stands where the kernel put the arguments. What stands behind them, the environment, is moved away so that
//! a title may be longer than the arguments were.

#![expect(unsafe_code, reason = "the memory of the arguments belongs to nobody that could lend it")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Where the title goes.
#[derive(Debug)]
struct Area {
    /// `len` bytes from here on are the arguments of this process, and its former environment.
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to the process as a whole and stays; it is written under a lock only.
unsafe impl Send for Area {}

static AREA: Mutex<Option<Area>> = Mutex::new(None);

/// Makes room for titles, while there is no thread but the first and those of the allocator: the program reads its arguments
/// before and not again. Answers whether there is room: not where `/proc` is missing.
pub fn claim() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").ok();
    let Some(Layout { args, env }) = stat.and_then(|stat| Layout::read(&stat)).filter(|_| is_alone()) else {
        return false;
    };
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    // A name that cannot be set again stays where it is.
    let movable = variables.iter().all(|(name, _)| !name.is_empty() && !name.as_bytes().contains(&b'='));
    let end = if movable && env.0 == args.1 { env.1 } else { args.1 };
    if end == env.1 {
        for (name, value) in variables {
            // SAFETY: the threads of the allocator, all that there are besides (`is_alone`), do not look at the environment. The
            // library gives copies away only, so nobody has a pointer into it; the C library copies the string.
            unsafe { std::env::set_var(name, value) };
        }
    }
    let start = ptr::with_exposed_provenance_mut(args.0);
    *AREA.lock().unwrap_or_else(PoisonError::into_inner) = Some(Area { start, len: end - args.0 });
    true
}

/// Shows `title`, cut off where there is no more room. Does nothing unless room was made.
pub fn set(title: &[u8]) {
    let area = AREA.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(area) = &*area else { return };
    let len = title.len().min(area.len - 1);
    // SAFETY: the kernel says that the process was started with arguments and environment there, which stay mapped and writable as
    // the rest of the stack does. Nobody reads them any more, and only this function writes, under the lock.
    unsafe {
        ptr::copy_nonoverlapping(title.as_ptr(), area.start, len);
        ptr::write_bytes(area.start.add(len), 0, area.len - len);
    }
}

/// Whether all other threads are the allocator's own.
fn is_alone() -> bool {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return false };
    let first = std::process::id().to_string();
    threads.flatten().filter(|thread| *thread.file_name() != *first).all(|thread| {
        std::fs::read(thread.path().join("comm")).is_ok_and(|name| name.trim_ascii_end() == b"jemalloc_bg_thd")
    })
}

/// Where arguments and environment begin and end.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    args: (usize, usize),
    env: (usize, usize),
}

impl Layout {
    /// From the fields 48 to 51 of `/proc/self/stat` (proc(5)); the second one, in brackets, may contain anything.
    fn read(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<usize>().ok().filter(|&value| value > 0);
        let (args, env) = ((field(48)?, field(49)?), (field(50)?, field(51)?));
        (args.0 < args.1 && args.1 <= env.0 && env.0 <= env.1).then_some(Layout { args, env })
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn layouts() {
        let stat = |tail: &str| format!("17 (a) b) S {}{tail} 0\n", "0 ".repeat(44));
        assert_eq!(Layout::read(&stat("10 20 20 30")), Some(Layout { args: (10, 20), env: (20, 30) }));
        for bad in ["0 0 0 0", "20 10 20 30", "10 20 15 30", "10 20 20 x", "10 20"] {
            assert_eq!(Layout::read(&stat(bad)), None, "{bad}");
        }
        assert_eq!(Layout::read(""), None);
    }

    #[test]
    fn our_own() {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        let layout = Layout::read(&stat).expect("a process has arguments");
        let args = std::fs::read("/proc/self/cmdline").expect("Linux");
        assert_eq!(layout.args.1 - layout.args.0, args.len());
    }
}
