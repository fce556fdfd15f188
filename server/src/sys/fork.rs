//! A child process that has a copy of our memory.

use std::io;

use rustix::process::Pid;

/// Which of the two we are after a fork.
#[derive(Debug)]
pub enum Forked {
    /// The one that was there before; holds the child's id.
    Parent(Pid),
    /// The copy.
    Child,
}

/// Copies this process.
///
/// The child has the calling thread only. It must not touch what other threads may have held at that moment (tokio,
/// queues to other threads, locks), and leaves with [`exit_now`]. The allocator is safe to use: jemalloc brings its locks
/// into order around a fork.
///
/// # Errors
/// There is no room for another process.
#[expect(unsafe_code, reason = "fork has no safe form")]
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the callers (one: `child`) keep to the rules above; nothing in the child runs destructors of what other
    // threads own, because it never returns from its work.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid).expect("a child's id is positive"))),
    }
}

/// Ends this process at once: nothing is dropped, nothing is flushed.
#[expect(unsafe_code, reason = "leaving without destructors has no safe form")]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; always sound.
    unsafe { libc::_exit(code) }
}

/// Has the signals that the server handles end this process again: the handlers belong to threads that a child has not.
#[expect(unsafe_code, reason = "setting a signal's disposition has no safe form")]
pub fn reset_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: the default disposition runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
