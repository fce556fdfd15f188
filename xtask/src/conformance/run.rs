//! Runs one file of the suite and reads what it printed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::overlay::Overlay;
use crate::process::{End, Group};
use crate::{Error, fail};

/// Ports of one run: 32 for the suite's own server, 400 for the servers it starts, one that marks the window as taken.
const WINDOW: u16 = 440;
/// The first port of the first window. Every port has a twin 10,000 above it (the cluster bus), and all of them lie
/// below those that the system hands out itself.
const FIRST_PORT: u16 = 12_000;
const WINDOWS: u16 = 22;
/// The suite gives up when no case ends for so long, in seconds.
const SILENCE: u64 = 300;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
}

/// A case that was run.
#[derive(Debug, Clone)]
pub(crate) struct CaseRun {
    pub(crate) name: String,
    /// The how manieth case of this name in the file, from 1.
    pub(crate) nth: usize,
    pub(crate) outcome: Outcome,
    /// What the suite said about a failure.
    pub(crate) detail: String,
}

/// A file that was run.
#[derive(Debug, Default)]
pub(crate) struct FileRun {
    pub(crate) file: String,
    pub(crate) cases: Vec<CaseRun>,
    /// Cases and blocks that a tag or option left out.
    pub(crate) ignored: usize,
    /// The suite's own word on why it broke off.
    pub(crate) exception: Option<String>,
    /// Whether the suite said that the file is done.
    pub(crate) done: bool,
    /// Whether the suite's process ended by itself.
    pub(crate) ended: bool,
    pub(crate) seconds: f64,
    /// The whole output.
    pub(crate) log: PathBuf,
}

impl FileRun {
    /// Whether the file came to its end.
    pub(crate) fn complete(&self) -> bool {
        self.done && self.ended && self.exception.is_none()
    }

    /// Whether all that was run passed.
    pub(crate) fn clean(&self) -> bool {
        self.complete() && self.cases.iter().all(|case| case.outcome == Outcome::Passed)
    }

    /// Joins another run of the same file: a case has passed when it passed in one of them.
    pub(crate) fn join(&mut self, other: FileRun) {
        let mut passed: HashMap<(String, usize), bool> = HashMap::new();
        for case in self.cases.iter().chain(&other.cases) {
            *passed.entry((case.name.clone(), case.nth)).or_insert(false) |= case.outcome == Outcome::Passed;
        }
        let longer = if other.cases.len() > self.cases.len() || !self.complete() && other.complete() {
            *self = FileRun { seconds: self.seconds, ..other };
            self
        } else {
            self
        };
        for case in &mut longer.cases {
            if passed[&(case.name.clone(), case.nth)] {
                case.outcome = Outcome::Passed;
            }
        }
    }
}

/// What to run, and how.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// For instance `unit/type/list`.
    pub(crate) file: &'a str,
    /// Longest time.
    pub(crate) limit: Duration,
    /// Names of cases that are left out.
    pub(crate) skip: Vec<&'a str>,
    /// Tags that the ledger leaves out.
    pub(crate) tags: Option<&'a str>,
    /// Further options for the suite.
    pub(crate) extra: &'a [String],
    /// Where the output goes; failed servers' folders go beside it.
    pub(crate) log: PathBuf,
}

/// Runs one file in an overlay.
pub(crate) fn file(overlay: &Overlay, job: &Job) -> Result<FileRun, Error> {
    overlay.clear_tmp()?;
    let ports = Ports::take()?;
    let log = File::create(&job.log)?;
    let mut suite = Command::new("./runtest");
    suite.current_dir(&overlay.root).env("TERM", "dumb").env("LC_ALL", "C.UTF-8").stdout(log.try_clone()?).stderr(log);
    suite.args(["--single", job.file, "--clients", "1", "--durable", "--dont-pre-clean", "--dont-clean"]);
    suite.args(["--baseport", &ports.base().to_string(), "--portcount", "400"]);
    suite.args(["--timeout", &SILENCE.min(job.limit.as_secs()).to_string()]);
    for name in &job.skip {
        suite.args(["--skiptest", name]);
    }
    if let Some(tags) = job.tags {
        suite.args(["--tags", tags]);
    }
    suite.args(job.extra);
    let start = Instant::now();
    let end = Group::start(&mut suite)?.wait(job.limit);
    overlay.kill_leftovers();
    let output = String::from_utf8_lossy(&std::fs::read(&job.log)?).into_owned();
    let mut run = FileRun {
        file: job.file.to_owned(),
        ended: matches!(end?, End::Exit(_)),
        seconds: start.elapsed().as_secs_f64(),
        log: job.log.clone(),
        ..parse(&output)
    };
    if !run.ended && run.exception.is_none() {
        run.exception = Some(format!("stopped after {} seconds", job.limit.as_secs()));
    }
    let kept = job.log.with_extension("servers");
    let _ = std::fs::remove_dir_all(&kept);
    if !run.clean() {
        keep_logs(&overlay.root.join("tests/tmp"), &kept);
    }
    Ok(run)
}

/// Keeps the servers' folders of a failed run. The log tells the rest, so an error here is no reason to stop.
fn keep_logs(tmp: &Path, kept: &Path) {
    if std::fs::rename(tmp, kept).is_err() {
        let _ = Command::new("cp").arg("-r").arg(tmp).arg(kept).status();
    }
}

/// A window of ports that no other run on this machine uses.
struct Ports {
    first: u16,
    /// Held while the window is in use: whoever finds it taken looks elsewhere.
    _guard: TcpListener,
}

impl Ports {
    fn take() -> Result<Ports, Error> {
        let offset = std::process::id() as u16 % WINDOWS;
        for i in 0..WINDOWS {
            let first = FIRST_PORT + (offset + i) % WINDOWS * WINDOW;
            if let Ok(guard) = TcpListener::bind(("127.0.0.1", first + WINDOW - 1)) {
                return Ok(Ports { first, _guard: guard });
            }
        }
        fail!("no free window of ports between {FIRST_PORT} and {}", FIRST_PORT + WINDOWS * WINDOW)
    }

    /// What `--baseport` wants; the suite's own server takes one of the 32 below it.
    fn base(&self) -> u16 {
        self.first + 36
    }
}

/// Reads the suite's output.
pub(crate) fn parse(output: &str) -> FileRun {
    let mut run = FileRun::default();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut in_detail = false;
    let mut in_exception = false;
    for line in output.lines() {
        let Some((tag, text)) = tagged(line) else {
            let summary = line.trim() == "The End" || line.starts_with("!!! WARNING") || line.starts_with("Testing ");
            if summary {
                in_detail = false;
                in_exception = false;
            } else if in_exception {
                let text = run.exception.get_or_insert_default();
                text.push('\n');
                text.push_str(line);
            } else if in_detail && let Some(case) = run.cases.last_mut() {
                case.detail.push_str(line);
                case.detail.push('\n');
            }
            // After this the failures are listed once more.
            if line.starts_with("!!! WARNING") || line.trim() == "The End" {
                break;
            }
            continue;
        };
        in_detail = false;
        in_exception = false;
        let (name, outcome) = match tag {
            "ok" => (without_time(text), Outcome::Passed),
            "err" => {
                in_detail = true;
                (text.rsplit_once(" in tests/").map_or(text, |(name, _)| name), Outcome::Failed)
            }
            "ignore" | "skip" => {
                run.ignored += 1;
                continue;
            }
            "exception" | "TIMEOUT" => {
                in_exception = true;
                run.exception = Some(text.to_owned());
                continue;
            }
            _ => {
                run.done |= tag.ends_with(" done");
                continue;
            }
        };
        let nth = count.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        run.cases.push(CaseRun { name: name.to_owned(), nth: *nth, outcome, detail: String::new() });
    }
    run
}

/// Splits `[tag]: text`, for the tags that the suite uses.
fn tagged(line: &str) -> Option<(&str, &str)> {
    let (tag, text) = line.strip_prefix('[')?.split_once("]: ")?;
    let known = matches!(tag, "ok" | "err" | "ignore" | "skip" | "exception" | "TIMEOUT" | "ready" | "testing");
    (known || tag.ends_with(" done")).then_some((tag, text))
}

/// Removes ` (12 ms)` from the end.
fn without_time(text: &str) -> &str {
    match text.rsplit_once(" (") {
        Some((name, time)) if time.ends_with(" ms)") => name,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Starting test server at port 14968
[ready]: 16980
Testing unit/x
[ok]: DEL (2) (1 ms)
[err]: KEYS [a] in tests/unit/x.tcl
Expected '1' to equal or match '2'
more
[ok]: DEL (2) (0 ms)
[ignore]: large: not run
[1/1 done]: unit/x (1 seconds)

                   The End

!!! WARNING The following tests failed:

*** [err]: KEYS [a] in tests/unit/x.tcl
";

    #[test]
    fn output_is_read() {
        let run = parse(OUTPUT);
        let cases: Vec<_> = run.cases.iter().map(|case| (case.name.as_str(), case.nth, case.outcome)).collect();
        assert_eq!(
            cases,
            [("DEL (2)", 1, Outcome::Passed), ("KEYS [a]", 1, Outcome::Failed), ("DEL (2)", 2, Outcome::Passed)]
        );
        assert_eq!(run.cases[1].detail, "Expected '1' to equal or match '2'\nmore\n");
        assert_eq!((run.ignored, run.done), (1, true));
    }

    #[test]
    fn an_exception_breaks_the_file_off() {
        let run = parse("[ok]: a (1 ms)\n[exception]: Executing test client: I/O error\nwhere\n");
        assert_eq!(run.exception.as_deref(), Some("Executing test client: I/O error\nwhere"));
        assert!(!run.complete());
    }

    #[test]
    fn a_case_that_passes_once_has_passed() {
        let mut first = FileRun { ended: true, ..parse(OUTPUT) };
        first.join(FileRun {
            ended: true,
            ..parse(&OUTPUT.replace("[err]: KEYS [a] in tests/unit/x.tcl", "[ok]: KEYS [a] (1 ms)"))
        });
        assert!(first.clean());
        let mut second = FileRun { ended: true, ..parse(OUTPUT) };
        second.join(FileRun { ended: true, ..parse(OUTPUT) });
        assert!(!second.clean());
    }
}
