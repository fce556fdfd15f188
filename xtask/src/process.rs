//! Child processes with a bound on their time.
//!
//! Each child leads its own process group, so that stopping it stops what it started. An interrupt (Ctrl-C) is
//! noticed by whoever waits, who stops the child's group first.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Error, fail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Notes SIGINT and SIGTERM, which [`Group::wait`] turns into an error. A second one ends the process at once.
pub(crate) fn watch_interrupts() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
                return;
            };
            loop {
                tokio::select! { _ = int.recv() => {} _ = term.recv() => {} }
                if INTERRUPTED.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
    });
}

/// Whether the person at the terminal wants us to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// By itself.
    Exit(ExitStatus),
    /// Stopped by us, because its time was over.
    TimeOut,
}

impl End {
    /// Whether the child ended by itself with exit code 0.
    pub(crate) fn success(self) -> bool {
        matches!(self, End::Exit(status) if status.success())
    }
}

/// A child whose process group is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    /// The group's leader.
    pub(crate) child: Child,
    /// Whether the leader was reaped and the rest of the group killed: its number may belong to others now.
    gone: bool,
}

impl Group {
    /// Starts `command` as the leader of a new process group, without an input.
    pub(crate) fn start(command: &mut Command) -> Result<Group, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        match command.stdin(Stdio::null()).process_group(0).spawn() {
            Ok(child) => Ok(Group { child, gone: false }),
            Err(error) => fail!("cannot start {name}: {error}"),
        }
    }

    /// Waits for the leader at most `limit`; then stops what is left of the group.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<End, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.kill();
                return Ok(End::Exit(status));
            }
            if interrupted() {
                self.kill();
                fail!("interrupted");
            }
            if start.elapsed() > limit {
                self.kill();
                return Ok(End::TimeOut);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Kills every process of the group and reaps the leader.
    pub(crate) fn kill(&mut self) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // An error means that the group is gone already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` to its end, at most `limit`; its output goes where ours goes.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<End, Error> {
    Group::start(command)?.wait(limit)
}

/// Runs `command` to its end, at most `limit`, and returns what it wrote (standard output, standard error).
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<(End, String, String), Error> {
    let mut group = Group::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let out = group.child.stdout.take().map(reader);
    let err = group.child.stderr.take().map(reader);
    let end = group.wait(limit)?;
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|handle| handle.join().ok()).unwrap_or_default()
    };
    Ok((end, text(out), text(err)))
}

/// Runs `command` like [`run`], and returns what it wrote to its standard output besides showing it.
pub(crate) fn tee(command: &mut Command, limit: Duration) -> Result<(End, String), Error> {
    let mut group = Group::start(command.stdout(Stdio::piped()))?;
    let out = group.child.stdout.take().expect("it is piped");
    let shown = std::thread::spawn(move || {
        let mut text = String::new();
        let mut lines = BufReader::new(out);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let part = String::from_utf8_lossy(&line);
            print!("{part}");
            text.push_str(&part);
            line.clear();
        }
        text
    });
    let end = group.wait(limit)?;
    Ok((end, shown.join().unwrap_or_default()))
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
