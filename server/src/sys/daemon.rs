//! Leaving the terminal.

use std::fs::OpenOptions;
use std::io;

/// Goes on in a child in a session of its own, with standard input and outputs on `/dev/null`; the parent leaves.
///
/// To be called while there is one thread only: a child has no others.
///
/// # Errors
/// There can be no child, or no `/dev/null`.
#[expect(unsafe_code, reason = "fork has no safe form")]
pub fn daemonize() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: there is one thread only, so the child finds no lock held and no half-changed memory.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends the process at once; nothing here has buffered output or needs to be dropped.
        _ => unsafe { libc::_exit(0) },
    }
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
