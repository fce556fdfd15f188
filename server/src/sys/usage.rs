//! How much processor time this process, its children or one thread have taken.

use std::mem::MaybeUninit;
use std::time::Duration;

/// Whose time is asked for.
#[derive(Copy, Clone, Debug)]
pub enum Who {
    /// All threads of this process.
    Process,
    /// Children that have ended and were waited for.
    Children,
    /// The calling thread.
    Thread,
}

/// Processor time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Outside of the kernel.
    pub user: Duration,
    /// Inside of it.
    pub system: Duration,
}

/// Asks the kernel.
#[must_use]
#[expect(unsafe_code, reason = "getrusage has no safe form in the libraries we use")]
pub fn usage(who: Who) -> Usage {
    let who = match who {
        Who::Process => libc::RUSAGE_SELF,
        Who::Children => libc::RUSAGE_CHILDREN,
        Who::Thread => libc::RUSAGE_THREAD,
    };
    let mut answer = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a writable `rusage`, which outlives the call.
    let result = unsafe { libc::getrusage(who, answer.as_mut_ptr()) };
    assert_eq!(result, 0, "getrusage fails for bad arguments only");
    // SAFETY: every bit pattern is a valid `rusage`, and it was zeroed before the kernel wrote it.
    let answer = unsafe { answer.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Usage { user: time(answer.ru_utime), system: time(answer.ru_stime) }
}
