//! redis-check-rdb: the server under another name.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use engine::time::UnixMs;
use persistence::rdb::check;

use crate::config::parse::error_text;

/// The name under which the program is this one.
pub const NAME: &str = "redis-check-rdb";

/// Examines the file that is named; the answer is whether it is good.
#[must_use]
pub fn run(program: &str, arguments: &[Vec<u8>]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let [file] = arguments else {
        eprintln!("Usage: {program} <rdb-file-name>");
        return false;
    };
    if file == b"-v" || file == b"--version" {
        println!("{NAME} v={}", crate::REDIS_VERSION);
        return true;
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(file));
    let mut out = io::stdout().lock();
    match examine(path, &mut out) {
        Ok(good) => good,
        Err(error) => {
            // What could be said is said; a closed output is no matter.
            let _ = writeln!(out, "Cannot open file {}: {}", path.display(), error_text(&error));
            false
        }
    }
}

fn examine(path: &Path, out: &mut impl Write) -> io::Result<bool> {
    writeln!(out, "[offset 0] Checking RDB file {}", path.display())?;
    let file = File::open(path)?;
    let total = file.metadata()?.len();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Ok(check::check(file, Some(total), UnixMs(now), out)?.problem.is_none())
}
