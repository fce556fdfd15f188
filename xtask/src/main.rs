//! `cargo xtask`: everything that is done to this repository rather than by it.
//!
//! Each task is a module with one `run` function that takes its own arguments and returns whether all is well.
//! Tasks keep what they download, build or log under `target/` and leave the rest of the machine alone; every
//! child process has a limit on its time and is stopped with its whole process group.

mod bench;
mod ci;
mod clients;
mod conformance;
mod diff;
mod fuzz;
mod generate;
mod peer;
mod place;
mod process;
mod tidy;
mod transcripts;

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

  test                    unit, property, documentation and black-box tests, client sessions, the official suite
  ci                      formatting, lints, tidiness, documentation, generated files, and all that test runs
  conformance [FILE...]   run the official test suite of Redis 8.0 against our binaries and compare with the ledger
  clients                 sessions of client libraries, and redis-benchmark
  diff 'COMMAND'...       the same lines on a reference server and on ours
  bench                   processor time and memory beside a reference server
  transcripts             what redis-cli does, recorded for the tests of redis-cli-rs
  tidy                    rules of the repository that no compiler checks
  generate                write COMPAT.md
  fuzz [TARGET...]        run the fuzz targets

`cargo xtask TASK --help` tells the options of a task.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    process::watch_interrupts();
    let verdict = match task.as_str() {
        "test" => ci::test(&rest),
        "ci" => ci::ci(&rest),
        "clients" => clients::run(&rest),
        "diff" => diff::run(&rest),
        "bench" => bench::run(&rest),
        "tidy" => tidy::run(&rest),
        "transcripts" => transcripts::run(&rest),
        "generate" => generate::run(&rest),
        "fuzz" => fuzz::run(&rest),
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
