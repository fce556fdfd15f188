//! What a script may ask of its surroundings.

use bitflags::bitflags;
use resp::Protocol;
use resp::writer::Writer;

use crate::debugger::Input;

/// Levels of `redis.log`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `redis.LOG_DEBUG`
    Debug,
    /// `redis.LOG_VERBOSE`
    Verbose,
    /// `redis.LOG_NOTICE`
    Notice,
    /// `redis.LOG_WARNING`
    Warning,
}

bitflags! {
    /// Where the effects of the commands that follow go: `redis.set_repl`.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct Replication: u8 {
        /// To the append-only file.
        const AOF = 1;
        /// To the replicas.
        const REPLICAS = 2;
    }
}

/// Whether a script may go on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Continue,
    /// It ends with this error; it cannot catch it.
    Stop(&'static str),
}

/// The surroundings of a script.
pub trait Host: 'static {
    /// Runs a command (`argv` is not empty) and appends exactly one reply in the given protocol. What may not be
    /// run is answered with an error.
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>);

    /// Writes a line to the log.
    fn log(&mut self, level: LogLevel, message: &[u8]) {
        let _ = (level, message);
    }

    /// Whether the caller may run this command; `None` when there is no such command.
    fn may_run(&mut self, argv: &[&[u8]]) -> Option<bool> {
        let _ = argv;
        Some(true)
    }

    /// Where the effects of the following commands go.
    fn set_replication(&mut self, to: Replication) {
        let _ = to;
    }

    /// Called every so often while a script runs, some milliseconds apart at most.
    fn interval(&mut self) -> Verdict {
        Verdict::Continue
    }

    /// Seconds of processor time, for `os.clock`.
    fn clock(&mut self) -> f64 {
        0.0
    }

    /// An error became part of a script's reply (text without the `-`) and was not the reply of a command.
    fn error_replied(&mut self, text: &[u8]) {
        let _ = text;
    }

    /// Called once before the script's reply is written, after its last command.
    fn before_reply(&mut self, out: &mut Writer<'_>) {
        let _ = out;
    }

    /// Lines of a debugging session, for the one who debugs.
    fn debugger_says(&mut self, lines: &[Vec<u8>]) {
        let _ = lines;
    }

    /// What the one who debugs says next; waits for it.
    fn debugger_input(&mut self) -> Input {
        Input::Gone
    }
}
