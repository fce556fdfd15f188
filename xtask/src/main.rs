//! `cargo xtask`: everything that is done to this repository rather than by it.
//!
//! Each task is a module with one `run` function that takes its own arguments and returns whether all is well.
//! Tasks keep what they download, build or log under `target/` and leave the rest of the machine alone; every
//! child process has a limit on its time and is stopped with its whole process group.

mod conformance;
mod place;
mod process;

use std::process::ExitCode;

/// What a task returns: `Ok(false)` is a finding (a failed case, an untidy file), `Err` is a task that could not run.
type Verdict = Result<bool, Error>;

/// A task that could not do its work, in words for the person who started it.
#[derive(Debug)]
pub(crate) struct Error(String);

impl<E: std::fmt::Display> From<E> for Error {
    fn from(error: E) -> Self {
        Error(error.to_string())
    }
}

/// Shorthand for an [`Error`] with a formatted text.
macro_rules! fail {
    ($($arg:tt)*) => { return Err($crate::Error::from(format!($($arg)*))) };
}
pub(crate) use fail;

const USAGE: &str = "\
cargo xtask TASK [OPTIONS]

  conformance [FILE...]   run the official test suite of Redis 8.0 against our binaries and compare with the ledger

`cargo xtask TASK --help` tells the options of a task.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    process::watch_interrupts();
    let verdict = match task.as_str() {
        "conformance" => conformance::run(&rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(true)
        }
        other => Err(Error(format!("no task '{other}'; cargo xtask --help lists them"))),
    };
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Error(text)) => {
            eprintln!("xtask: {text}");
            ExitCode::from(2)
        }
    }
}
