//! The child process: a copy of the server that works on a frozen image of the data and reports through a pipe. There
//! is one at a time; whoever wants one (a save, a rewrite of the append-only file, a transfer to replicas) states its
//! [`Purpose`] and is told how it ended.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use engine::ds::table::{self, ResizePolicy};
use engine::time::UnixMs;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::oom;
use crate::server::Server;
use crate::sys::fork::{self, Forked};

/// Shortest time between two reports of a child.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// Keys between two looks at the clock.
const KEYS_PER_LOOK: u64 = 64;

/// A report: keys, bytes copied, microseconds that measuring took.
const REPORT_BYTES: usize = 24;

/// What a child is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Save the data to the RDB file.
    Rdb,
    /// Rewrite the append-only file.
    AofRewrite,
}

impl Purpose {
    /// What the child calls itself.
    fn title(self) -> &'static str {
        match self {
            Purpose::Rdb => "redis-rdb-bgsave",
            Purpose::AofRewrite => "redis-aof-rewrite",
        }
    }

    /// As the log calls what it does.
    fn log_name(self) -> &'static str {
        match self {
            Purpose::Rdb => "RDB",
            Purpose::AofRewrite => "AOF rewrite",
        }
    }
}

/// How a child ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its work is done.
    Success,
    /// It failed; the log says why.
    Failure,
    /// We stopped it on purpose.
    Stopped,
    /// Somebody or something else did, with this signal.
    Signal(i32),
}

/// The child, as its parent sees it.
#[derive(Debug)]
pub struct Child {
    /// Its process.
    pub pid: Pid,
    /// What it is for.
    pub purpose: Purpose,
    /// When it began.
    pub started: UnixMs,
    /// What it has told so far.
    pub progress: Progress,
    pipe: File,
}

/// What a child tells of itself.
#[derive(Copy, Clone, Debug, Default)]
pub struct Progress {
    /// Keys dealt with.
    pub keys: u64,
    /// Keys in all.
    pub keys_total: u64,
    /// Bytes of memory that are not shared with the parent any more.
    pub cow_bytes: u64,
    /// When that was measured.
    pub cow_at: UnixMs,
}

/// Figures that outlive a child.
#[derive(Copy, Clone, Debug, Default)]
pub struct ChildStats {
    /// Most bytes that a child ever copied.
    pub cow_peak: u64,
    /// Forks.
    pub forks: u64,
    /// Microseconds the last fork took.
    pub fork_us: u64,
}

/// The child's side of the pipe.
#[derive(Debug)]
pub struct Reporter {
    pipe: File,
    keys: u64,
    next: Instant,
    cow_peak: u64,
    cow_sum: u64,
    cow_count: u64,
}

impl Reporter {
    fn new(pipe: File) -> Self {
        Reporter { pipe, keys: 0, next: Instant::now() + REPORT_PERIOD, cow_peak: 0, cow_sum: 0, cow_count: 0 }
    }

    /// One more key is dealt with; now and then the parent is told.
    pub fn key(&mut self) {
        self.keys += 1;
        if self.keys.is_multiple_of(KEYS_PER_LOOK) && Instant::now() >= self.next {
            self.report();
        }
    }

    /// Tells the parent how far we are and what we cost.
    fn report(&mut self) {
        let start = Instant::now();
        let cow = private_dirty_bytes();
        self.cow_peak = self.cow_peak.max(cow);
        self.cow_sum += cow;
        self.cow_count += 1;
        let spent = start.elapsed();
        // Measuring takes long in a large process: at most a hundredth of our time.
        self.next = Instant::now() + REPORT_PERIOD.max(spent * 100);
        let mut message = [0; REPORT_BYTES];
        for (at, n) in message.chunks_exact_mut(8).zip([self.keys, cow, spent.as_micros() as u64]) {
            at.copy_from_slice(&n.to_le_bytes());
        }
        // Below the size that pipes take whole. A parent that is gone will not miss it.
        let _ = self.pipe.write_all(&message);
    }

    fn finish(&mut self, purpose: Purpose) {
        self.report();
        let mb = |bytes: u64| bytes >> 20;
        tracing::info!(
            "Fork CoW for {}: current {} MB, peak {} MB, average {} MB",
            purpose.log_name(),
            mb(private_dirty_bytes()),
            mb(self.cow_peak),
            mb(self.cow_sum / self.cow_count.max(1))
        );
    }
}

/// Bytes of this process that no other shares and that were written to.
fn private_dirty_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kilobytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

impl Server {
    /// Forks. The child runs `work`, which tells whether it went well, and ends; the parent goes on at once, and will call
    /// `Server::child_ended` when it has seen the end.
    ///
    /// # Errors
    /// There can be no child; the reason is in the log.
    pub fn start_child(
        &mut self,
        purpose: Purpose,
        work: impl FnOnce(&mut Server, &mut Reporter) -> bool,
    ) -> std::io::Result<()> {
        assert!(self.child.is_none(), "one child at a time: callers look");
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
        let start = self.clock.stamp();
        match fork::fork() {
            Err(error) => Err(error),
            Ok(Forked::Child) => {
                // Whatever happens in here, the process ends in here.
                let done = std::panic::catch_unwind(AssertUnwindSafe(|| self.be_child(purpose, writer, work)));
                fork::exit_now(i32::from(!done.unwrap_or(false)));
            }
            Ok(Forked::Parent(pid)) => {
                self.child_stats.forks += 1;
                self.child_stats.fork_us = self.clock.micros(start, self.clock.stamp());
                let now = self.clock.now();
                self.latency.note("fork", self.child_stats.fork_us, now);
                let keys_total = self.engine.dbs.iter().map(|db| db.len() as u64).sum();
                let progress = Progress { keys_total, ..Progress::default() };
                self.child = Some(Child { pid, purpose, started: now, progress, pipe: File::from(reader) });
                // Every page that we move is copied while the child has it too.
                table::set_resize_policy(ResizePolicy::Avoid);
                Ok(())
            }
        }
    }

    /// The child's life.
    fn be_child(
        &mut self,
        purpose: Purpose,
        pipe: OwnedFd,
        work: impl FnOnce(&mut Server, &mut Reporter) -> bool,
    ) -> bool {
        fork::reset_signals();
        crate::log::set_role(crate::log::Role::Child);
        crate::title::show(&self.config, Some(purpose.title()));
        let _ = oom::apply(&self.config, oom::Victim::Child);
        // Where both share a processor clients would wait for slices of ours. Denied is no harm.
        let _ = rustix::process::nice(self.config.child_nice as i32);
        // The port must be free for the next server when the parent ends before us.
        for listener in self.listeners.drain(..) {
            listener.close_in_child();
        }
        table::set_resize_policy(ResizePolicy::Forbid);
        let mut reporter = Reporter::new(File::from(pipe));
        let done = work(self, &mut reporter);
        if done {
            reporter.finish(purpose);
        }
        done
    }

    /// Takes the child's reports, and notices its end. Called by cron.
    pub fn check_child(&mut self) {
        self.check_debugging_children();
        self.read_reports();
        let Some(child) = &self.child else { return };
        let status = match rustix::process::waitpid(Some(child.pid), WaitOptions::NOHANG) {
            Ok(None) => return,
            Ok(Some((_, status))) => Some(status),
            Err(error) => {
                tracing::warn!("wait for the child process failed: {error}");
                None
            }
        };
        self.end_child(status);
    }

    /// Stops the child and waits for its end.
    pub fn stop_child(&mut self) {
        let Some(child) = &self.child else { return };
        let _ = rustix::process::kill_process(child.pid, Signal::USR1);
        let status = rustix::process::waitpid(Some(child.pid), WaitOptions::empty());
        self.end_child(status.ok().flatten().map(|(_, status)| status));
    }

    fn read_reports(&mut self) {
        let now = self.clock.now();
        let Some(child) = &mut self.child else { return };
        let mut message = [0; REPORT_BYTES];
        // Each report is written whole.
        while let Ok(REPORT_BYTES) = child.pipe.read(&mut message) {
            let number = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().expect("eight bytes"));
            child.progress.keys = number(0);
            child.progress.cow_bytes = number(8);
            child.progress.cow_at = now;
            self.child_stats.cow_peak = self.child_stats.cow_peak.max(child.progress.cow_bytes);
        }
    }

    fn end_child(&mut self, status: Option<WaitStatus>) {
        self.read_reports();
        let Some(child) = self.child.take() else { return };
        table::set_resize_policy(ResizePolicy::Allow);
        let ending = match status {
            Some(status) if status.exit_status() == Some(0) => Ending::Success,
            Some(status) => match status.terminating_signal() {
                Some(signal) if signal == Signal::USR1.as_raw() => Ending::Stopped,
                Some(signal) => Ending::Signal(signal),
                None => Ending::Failure,
            },
            None => Ending::Failure,
        };
        self.child_ended(child, ending);
    }

    /// A child is gone: tells whoever wanted it.
    fn child_ended(&mut self, child: Child, ending: Ending) {
        match child.purpose {
            Purpose::Rdb => self.background_save_ended(&child, ending),
            Purpose::AofRewrite => self.aof_rewrite_ended(&child, ending),
        }
    }
}
