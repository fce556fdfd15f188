//! `cargo xtask test` and `cargo xtask ci`: everything that a change must pass.
//!
//! `ci` is formatting, lints, tidiness, documentation and generated files, and then exactly what `test` runs. Both end
//! with one line, `N passed, N failed`, over all steps; a check without cases of its own counts as one.

use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::conformance::{self, Options};
use crate::place::{self, Profile};
use crate::process::{self, End};
use crate::{Error, Verdict, clients, fail, generate, tidy};

/// How many cases passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl From<bool> for Score {
    fn from(good: bool) -> Self {
        Score { passed: usize::from(good), failed: usize::from(!good) }
    }
}

const USAGE: &str = "\
cargo xtask ci       fmt, clippy, tidy, doc, generate --check, and all that test runs
cargo xtask test     unit, property and documentation tests, black-box tests, client sessions, the official suite
  STEP...            only these steps (for test: unit clients conformance)";

/// Longest time of one build or one run of the unit tests.
const LIMIT: Duration = Duration::from_secs(30 * 60);

type Step = (&'static str, fn() -> Result<Score, Error>);

const CHECKS: [Step; 5] =
    [("fmt", fmt), ("clippy", clippy), ("tidy", || Ok(tidy::run(&[])?.into())), ("doc", doc), ("generate", fresh)];
const TESTS: [Step; 3] = [("unit", unit), ("clients", sessions), ("conformance", suite)];

/// `cargo xtask ci`.
pub(crate) fn ci(args: &[String]) -> Verdict {
    steps(&[&CHECKS[..], &TESTS[..]].concat(), args)
}

/// `cargo xtask test`.
pub(crate) fn test(args: &[String]) -> Verdict {
    steps(&TESTS, args)
}

fn steps(steps: &[Step], args: &[String]) -> Verdict {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return Ok(true);
    }
    if let Some(unknown) = args.iter().find(|arg| !steps.iter().any(|(name, _)| name == arg)) {
        fail!("no step '{unknown}'\n{USAGE}");
    }
    let mut total = Score::default();
    let mut table = Vec::new();
    for (name, step) in steps {
        if !args.is_empty() && !args.iter().any(|arg| arg == name) {
            continue;
        }
        println!("\n== {name}");
        let start = Instant::now();
        // A step that cannot run is a failure like any other; the rest still says something.
        let score = step().unwrap_or_else(|Error(text)| {
            println!("{name}: {text}");
            Score::from(false)
        });
        if process::interrupted() {
            fail!("interrupted");
        }
        table.push(format!(
            "{name:12} {:6} passed {:4} failed {:6.0} s",
            score.passed,
            score.failed,
            start.elapsed().as_secs_f64()
        ));
        total += score;
    }
    println!("\n{}\n\n{} passed, {} failed", table.join("\n"), total.passed, total.failed);
    Ok(total.failed == 0)
}

fn fmt() -> Result<Score, Error> {
    let mut cargo = place::cargo();
    cargo.args(["fmt", "--all", "--", "--check"]);
    Ok(process::run(&mut cargo, LIMIT)?.success().into())
}

fn clippy() -> Result<Score, Error> {
    let mut cargo = place::cargo();
    cargo.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    Ok(process::run(&mut cargo, LIMIT)?.success().into())
}

fn doc() -> Result<Score, Error> {
    let mut cargo = place::cargo();
    cargo.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--quiet", "--workspace", "--no-deps"]);
    Ok(process::run(&mut cargo, LIMIT)?.success().into())
}

fn fresh() -> Result<Score, Error> {
    Ok(generate::run(&["--check".to_owned()])?.into())
}

/// Unit, property, documentation and black-box tests.
fn unit() -> Result<Score, Error> {
    let server = place::build(Profile::Dev)?.server;
    let mut cargo = place::cargo();
    cargo.env("REDIS_SERVER_BIN", server).args(["test", "--workspace", "--no-fail-fast"]);
    let (end, out) = process::tee(&mut cargo, LIMIT)?;
    let mut score = results(&out);
    if let End::TimeOut = end {
        println!("the tests were stopped after {} s", LIMIT.as_secs());
    }
    if !end.success() && score.failed == 0 {
        // It did not build, or was stopped.
        score.failed = 1;
    }
    Ok(score)
}

/// Sums the lines `test result: ok. 3 passed; 0 failed; ...`.
fn results(out: &str) -> Score {
    let mut score = Score::default();
    for line in out.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        let number = |what: &str| {
            let before = line.split_once(what)?.0;
            before.rsplit(' ').next()?.parse::<usize>().ok()
        };
        score += Score { passed: number(" passed").unwrap_or(0), failed: number(" failed").unwrap_or(0) };
    }
    score
}

fn sessions() -> Result<Score, Error> {
    clients::sessions(&place::build(Profile::Release)?.server, &[])
}

fn suite() -> Result<Score, Error> {
    let tcl: Option<PathBuf> = ["tclsh8.6", "tclsh8.5", "tclsh8.7"].iter().find_map(|name| place::tool(name));
    if tcl.is_none() {
        install("tcl")?;
    }
    if place::tool("pgrep").is_none() {
        install("procps")?;
    }
    let totals = conformance::conform(&Options { ci: true, quiet: false, ..Options::default() })?;
    Ok(Score { passed: totals.passed, failed: totals.failed })
}

/// Installs a Debian package when we may.
fn install(package: &str) -> Result<(), Error> {
    let root = rustix::process::geteuid().is_root();
    let mut command = match (root, place::tool("sudo")) {
        (true, _) => Command::new("apt-get"),
        (false, Some(sudo)) => {
            let mut command = Command::new(sudo);
            command.args(["-n", "apt-get"]);
            command
        }
        (false, None) => fail!("{package} is missing; install it"),
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-q", package]);
    match process::capture(&mut command, Duration::from_secs(300))? {
        (end, ..) if end.success() => Ok(()),
        (_, _, err) => fail!("{package} is missing and cannot be installed: {}", err.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let out = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\
                   test result: FAILED. 7 passed; 1 failed; 0 ignored; 0 measured\n";
        assert_eq!(results(out), Score { passed: 9, failed: 1 });
    }
}
