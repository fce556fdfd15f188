//! `cargo xtask conformance`: the official suite, unmodified, against our binaries.
//!
//! [`fetch`] finds the suite, [`overlay`] builds the folder in which it finds our binaries, [`mod@run`] runs one file and
//! reads its output, [`ledger`] knows what is expected. A file that does not turn out as expected is run again alone,
//! twice: timing on a shared machine must not reject a good change, and a case that fails three times has failed.

pub(crate) mod fetch;
pub(crate) mod ledger;
mod overlay;
mod run;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ledger::{Judgement, Ledger, Why};
use overlay::{Overlay, Programs};
use run::{CaseRun, FileRun, Job, Outcome};

use crate::place::{self, Profile};
use crate::{Error, Verdict, fail, process};

const USAGE: &str = "\
cargo xtask conformance [FILE...] [OPTIONS] [-- OPTIONS OF THE SUITE]

Runs FILEs (unit/type/list, or list, or a folder such as unit/type), or every file that the ledger covers.
  --suite DIR      the suite's root folder (else REDIS_SUITE, a cache under target/, or fetched)
  --server PATH    test this server instead of building ours
  --cli PATH       with this client
  --jobs N         files side by side (processors)
  --debug          build and test the debug profile
  --retry N        run a failing file again alone, at most N times (2; with FILEs named 0)
  --ci             leave out the files that the ledger marks ci = false
  --all            every file of the suite, covered or not
  --unskip         also run the cases that the ledger leaves out
  --no-ledger      expect every case to pass (for a reference server)
  --quiet          no details of failures
  --bless          print ledger entries that would describe what happened
Example: cargo xtask conformance list -- --only 'LPOS basic usage'";

/// The options of one run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) files: Vec<String>,
    pub(crate) suite: Option<PathBuf>,
    pub(crate) server: Option<PathBuf>,
    pub(crate) cli: Option<PathBuf>,
    pub(crate) jobs: usize,
    pub(crate) profile: Profile,
    pub(crate) retry: Option<usize>,
    pub(crate) ci: bool,
    pub(crate) all: bool,
    pub(crate) unskip: bool,
    pub(crate) ledger: bool,
    pub(crate) quiet: bool,
    pub(crate) bless: bool,
    pub(crate) extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            files: Vec::new(),
            suite: None,
            server: None,
            cli: None,
            jobs: place::processors(),
            profile: Profile::Release,
            retry: None,
            ci: false,
            all: false,
            unskip: false,
            ledger: true,
            quiet: false,
            bless: false,
            extra: Vec::new(),
        }
    }
}

/// What a whole run counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Cases that passed and should.
    pub(crate) passed: usize,
    /// Cases, or files that broke off, that are not as the ledger says.
    pub(crate) failed: usize,
    /// Cases that are listed as waiting or declined.
    pub(crate) listed: usize,
}

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    let Some(options) = options(args)? else {
        println!("{USAGE}");
        return Ok(true);
    };
    Ok(conform(&options)?.failed == 0)
}

fn options(args: &[String]) -> Result<Option<Options>, Error> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let ours = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    options.extra = args.iter().skip(ours + 1).cloned().collect();
    let mut parser = lexopt::Parser::from_args(args[..ours].iter().cloned());
    while let Some(arg) = parser.next()? {
        match arg {
            Long("suite") => options.suite = Some(parser.value()?.into()),
            Long("server") => options.server = Some(parser.value()?.into()),
            Long("cli") => options.cli = Some(parser.value()?.into()),
            Long("jobs") | Short('j') => options.jobs = parser.value()?.parse::<usize>()?.clamp(1, 16),
            Long("debug") => options.profile = Profile::Dev,
            Long("retry") => options.retry = Some(parser.value()?.parse::<usize>()?.min(10)),
            Long("ci") => options.ci = true,
            Long("all") => options.all = true,
            Long("unskip") => options.unskip = true,
            Long("no-ledger") => options.ledger = false,
            Long("quiet") => options.quiet = true,
            Long("bless") => options.bless = true,
            Long("help") | Short('h') => return Ok(None),
            Value(file) => options.files.push(file.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// Runs the suite as `options` say, prints what happened, and counts it.
pub(crate) fn conform(options: &Options) -> Result<Totals, Error> {
    if ["tclsh8.6", "tclsh8.5", "tclsh8.7"].iter().all(|name| place::tool(name).is_none()) {
        place::need("tclsh8.6", "tcl")?;
    }
    place::need("pgrep", "procps")?;
    let suite = fetch::suite(options.suite.as_deref())?;
    let whole = if options.ledger { Ledger::load()? } else { Ledger::default() };
    let files = select(options, &whole, &suite)?;
    let programs = programs(options)?;
    let logs = place::scratch("conformance/logs")?;
    let retry = options.retry.unwrap_or(if options.files.is_empty() { 2 } else { 0 });

    let start = Instant::now();
    let jobs = options.jobs.min(files.len());
    println!("{} files, {jobs} at a time, server {}", files.len(), programs.server.display());
    let width = files.iter().map(String::len).max().unwrap_or(0);
    let queue: Mutex<VecDeque<(usize, &String)>> = Mutex::new(files.iter().enumerate().collect());
    let runs: Mutex<Vec<Option<FileRun>>> = Mutex::new(files.iter().map(|_| None).collect());
    let make = |file: &str, again: usize, overlay: &Overlay| -> Result<FileRun, Error> {
        let suffix = if again == 0 { String::new() } else { format!(".{again}") };
        let entry = whole.file(file);
        let skip = whole.cases_of(file).filter(|case| case.skip && !options.unskip);
        let job = Job {
            file,
            limit: Duration::from_secs(entry.map_or(900, |entry| entry.limit)),
            skip: skip.map(|case| case.name.as_str()).collect(),
            tags: entry.and_then(|entry| entry.tags.as_deref()).filter(|_| !options.unskip),
            extra: &options.extra,
            log: logs.join(format!("{}{suffix}.log", file.replace('/', "_"))),
        };
        run::file(overlay, &job)
    };
    let worker = |slot: usize| -> Result<(), Error> {
        let overlay = Overlay::build(&suite, &programs, slot)?;
        loop {
            let next = queue.lock().expect("no worker panics").pop_front();
            let Some((position, file)) = next else { return Ok(()) };
            let run = make(file, 0, &overlay)?;
            let judgement = whole.judge(&run);
            print_row(width, &run, &judgement);
            runs.lock().expect("no worker panics")[position] = Some(run);
        }
    };
    std::thread::scope(|scope| -> Result<(), Error> {
        let workers: Vec<_> = (0..jobs).map(|slot| scope.spawn(move || worker(slot))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    if process::interrupted() {
        fail!("interrupted");
    }
    let mut runs: Vec<FileRun> = runs.into_inner().expect("no worker panics").into_iter().flatten().collect();

    for again in 1..=retry {
        let bad: Vec<&mut FileRun> = runs.iter_mut().filter(|run| whole.judge(run).worth_another_run()).collect();
        if bad.is_empty() {
            break;
        }
        println!("\n{} files again, one at a time:", bad.len());
        let overlay = Overlay::build(&suite, &programs, 0)?;
        for run in bad {
            let other = make(&run.file, again, &overlay)?;
            print_row(width, &other, &whole.judge(&other));
            run.join(other);
        }
    }
    Ok(report(options, &whole, &runs, start.elapsed()))
}

/// The files to run, by the suite's names.
fn select(options: &Options, ledger: &Ledger, suite: &Path) -> Result<Vec<String>, Error> {
    let mut known = Vec::new();
    for folder in ["unit", "unit/type", "unit/cluster", "integration"] {
        let mut names: Vec<String> = std::fs::read_dir(suite.join("tests").join(folder))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| Some(format!("{folder}/{}", name.strip_suffix(".tcl")?)))
            .collect();
        names.sort();
        known.append(&mut names);
    }
    if let Some(file) = ledger.files.iter().find(|file| !known.contains(&file.name)) {
        fail!("the ledger covers '{}', which the suite in {} does not have", file.name, suite.display());
    }
    if options.files.is_empty() {
        if options.all || !options.ledger {
            return Ok(known);
        }
        let covered = ledger.files.iter().filter(|file| file.ci || !options.ci);
        return Ok(covered.map(|file| file.name.clone()).collect());
    }
    let mut chosen: Vec<String> = Vec::new();
    for wanted in &options.files {
        let wanted = wanted.trim_start_matches("tests/").trim_end_matches(".tcl").trim_end_matches('/');
        let exact = |name: &&String| *name == wanted || name.rsplit('/').next() == Some(wanted);
        let inside = |name: &&String| name.rsplit_once('/').is_some_and(|(folder, _)| folder == wanted);
        let mut found: Vec<String> = known.iter().filter(|name| inside(name)).cloned().collect();
        if found.is_empty() {
            found = known.iter().filter(exact).cloned().collect();
        }
        if found.is_empty() {
            fail!("the suite has no file '{wanted}'");
        }
        found.retain(|name| !chosen.contains(name));
        chosen.append(&mut found);
    }
    Ok(chosen)
}

fn programs(options: &Options) -> Result<Programs, Error> {
    let Some(server) = &options.server else {
        let ours = place::build(options.profile)?;
        let cli = options.cli.clone().unwrap_or(ours.cli);
        return Ok(Programs { server: ours.server, cli, benchmark: Some(ours.benchmark) });
    };
    if !server.is_file() {
        fail!("there is no server at {}", server.display());
    }
    let beside = |name: &str| std::fs::canonicalize(server.parent()?.join(name)).ok().filter(|path| path.is_file());
    let benchmark = beside("redis-benchmark-rs").or_else(|| beside("redis-benchmark"));
    let benchmark = benchmark.or_else(|| place::tool("redis-benchmark"));
    let cli = options.cli.clone().or_else(|| beside("redis-cli-rs")).or_else(|| beside("redis-cli"));
    let Some(cli) = cli.or_else(|| place::tool("redis-cli")) else {
        fail!("no client found beside {}; name one with --cli PATH", server.display());
    };
    Ok(Programs { server: std::fs::canonicalize(server)?, cli: std::fs::canonicalize(cli)?, benchmark })
}

fn print_row(width: usize, run: &FileRun, judgement: &Judgement) {
    let failed = run.cases.iter().filter(|case| case.outcome == Outcome::Failed).count();
    let passed = run.cases.len() - failed;
    let listed = judgement.waiting + judgement.declined;
    println!(
        "{:width$}  {passed:4} ok {failed:4} failed {listed:3} listed {:3} left out {:6.1} s  {}",
        run.file,
        run.ignored,
        run.seconds,
        verdict(judgement)
    );
}

fn verdict(judgement: &Judgement) -> String {
    let mut words = Vec::new();
    if judgement.broken_off {
        words.push("BROKEN OFF".to_owned());
    }
    for (count, what) in [
        (judgement.unexpected.len(), "unexpected"),
        (judgement.missing, "missing"),
        (judgement.now_passing.len(), "now passing"),
        (judgement.never_run.len(), "listed but not there"),
    ] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    if words.is_empty() { "good".to_owned() } else { words.join(", ") }
}

/// Prints what was not as expected, and the sums.
fn report(options: &Options, ledger: &Ledger, runs: &[FileRun], took: Duration) -> Totals {
    let mut totals = Totals::default();
    let mut entries = String::new();
    for run in runs {
        let judgement = ledger.judge(run);
        totals.passed += judgement.passed;
        totals.listed += judgement.waiting + judgement.declined;
        totals.failed += judgement.unexpected.len() + judgement.missing + judgement.now_passing.len();
        totals.failed += judgement.never_run.len() + usize::from(judgement.broken_off);
        if !judgement.good() {
            println!("\n{}: {} (log {})", run.file, verdict(&judgement), run.log.display());
        }
        if let Some(exception) = &run.exception {
            println!("  broke off: {}", shorten(exception, options.quiet));
        } else if judgement.broken_off {
            println!("  the suite ended without saying that the file is done");
        }
        for case in run.cases.iter().filter(|case| {
            let unexpected = |(name, nth): &(String, usize)| *name == case.name && *nth == case.nth;
            judgement.unexpected.iter().any(unexpected)
        }) {
            println!("  failed: {}{}", case.name, nth(case));
            if !options.quiet {
                print!("{}", indent(&case.detail));
            }
        }
        if judgement.missing > 0 {
            println!("  {} cases fewer than the ledger's `passes` were run and passed", judgement.missing);
        }
        for name in &judgement.now_passing {
            println!("  listed, but passes: take it out of the ledger: {name}");
        }
        for name in &judgement.never_run {
            println!("  listed, but the file has no such case: {name}");
        }
        if judgement.more > 0 && ledger.file(&run.file).is_some() && !options.bless {
            println!("{}: {} pass: raise `passes` in the ledger", run.file, judgement.passed);
        }
        if options.bless {
            entries.push_str(&format!("[[file]]\nname = \"{}\"\npasses = {}\n\n", run.file, judgement.passed));
            for (name, nth) in &judgement.unexpected {
                let name = ledger::quoted(name);
                entries.push_str(&format!("[[case]]\nfile = \"{}\"\nname = {name}\n", run.file));
                if *nth > 1 {
                    entries.push_str(&format!("nth = {nth}\n"));
                }
                entries.push_str("waits = \"\"  # or declined = \"reason\"\n\n");
            }
        }
    }
    if options.bless {
        println!("\nEntries for {} that would describe this run:\n\n{entries}", ledger::path().display());
    }
    println!(
        "\nconformance: {} passed, {} failed, {} listed as waiting or declined; {} files, {:.0} s",
        totals.passed,
        totals.failed,
        totals.listed,
        runs.len(),
        took.as_secs_f64()
    );
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for case in ledger.cases.iter().filter(|case| runs.iter().any(|run| run.file == case.file)) {
        let Why::Waits(what) = &case.why else { continue };
        match reasons.iter_mut().find(|(known, _)| known == what) {
            Some((_, count)) => *count += 1,
            None => reasons.push((what, 1)),
        }
    }
    if !reasons.is_empty() {
        reasons.sort_by_key(|&(what, count)| (std::cmp::Reverse(count), what));
        let words: Vec<String> = reasons.iter().map(|(what, count)| format!("{what} {count}")).collect();
        println!("waiting for: {}", words.join(", "));
    }
    totals
}

fn nth(case: &CaseRun) -> String {
    if case.nth > 1 { format!(" (the {}. of this name)", case.nth) } else { String::new() }
}

fn indent(detail: &str) -> String {
    const LINES: usize = 12;
    let mut lines: Vec<String> = detail.lines().take(LINES).map(|line| format!("    {line}\n")).collect();
    if detail.lines().count() > LINES {
        lines.push("    ...\n".to_owned());
    }
    lines.concat()
}

fn shorten(text: &str, quiet: bool) -> String {
    let lines = text.lines().take(if quiet { 1 } else { 12 });
    lines.collect::<Vec<_>>().join("\n    ")
}
