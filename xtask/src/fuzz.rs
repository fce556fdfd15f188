//! `cargo xtask fuzz`: every fuzz target for a while.
//!
//! The targets are libFuzzer programs under `*/fuzz`. They are built here with coverage and assertions by stable
//! means, so that neither a nightly toolchain nor cargo-fuzz is needed; `cargo fuzz` works on them too.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use toml::{Table, Value};

use crate::process::{self, capture};
use crate::{Error, Verdict, fail, place};

const USAGE: &str = "\
cargo xtask fuzz [TARGET...] [OPTIONS]

Runs every fuzz target, or those whose name contains TARGET (CRATE/NAME), one after the other.
  --seconds N   for each target (60)
  --list        print the targets
  --build       build them only
What is found lies in CRATE/fuzz/artifacts; it becomes a named test.";

/// Coverage as libFuzzer wants it, and checks on.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1";

/// Memory that a target may use, in megabytes: more is a finding.
const MEMORY: u32 = 2048;
/// Seconds that one input may take.
const TIMEOUT: u32 = 10;

struct Target {
    folder: String,
    name: String,
}

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let (mut seconds, mut list, mut only_build, mut wanted) = (60_u64, false, false, Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seconds") => seconds = parser.value()?.parse::<u64>()?.clamp(1, 86_400),
            Long("list") => list = true,
            Long("build") => only_build = true,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            Value(name) => wanted.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut targets = targets()?;
    let full = |target: &Target| format!("{}/{}", target.folder, target.name);
    targets.retain(|target| wanted.is_empty() || wanted.iter().any(|name| full(target).contains(name.as_str())));
    if targets.is_empty() {
        fail!("no such fuzz target");
    }
    if list {
        targets.iter().for_each(|target| println!("{}", full(target)));
        return Ok(true);
    }
    let host = host()?;
    let mut found = Vec::new();
    for target in &targets {
        let binary = build(target, &host)?;
        if !only_build && !fuzz(target, &binary, seconds)? {
            found.push(full(target));
        }
    }
    println!(
        "{} fuzz targets, {seconds} s each: findings in {}",
        targets.len(),
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    );
    Ok(found.is_empty())
}

/// The targets of all crates, from their manifests.
fn targets() -> Result<Vec<Target>, Error> {
    let mut targets = Vec::new();
    for folder in ["resp", "engine", "persistence", "scripting", "server", "cli"] {
        let Ok(text) = std::fs::read_to_string(place::root().join(folder).join("fuzz/Cargo.toml")) else { continue };
        let table: Table = text.parse()?;
        let bins = table.get("bin").and_then(Value::as_array);
        for name in bins.into_iter().flatten().filter_map(|bin| bin.get("name")?.as_str()) {
            targets.push(Target { folder: folder.to_owned(), name: name.to_owned() });
        }
    }
    Ok(targets)
}

/// The host's triple: building for a named target keeps build scripts free of the flags.
fn host() -> Result<String, Error> {
    let (_, out, _) = capture(Command::new("rustc").arg("-vV"), Duration::from_secs(30))?;
    match out.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => fail!("rustc -vV names no host"),
    }
}

fn build(target: &Target, host: &str) -> Result<PathBuf, Error> {
    let dir = place::scratch("fuzz")?;
    let mut cargo = place::cargo();
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &dir);
    cargo.args(["build", "--quiet", "--release", "--target", host, "--bin", &target.name, "--manifest-path"]);
    cargo.arg(place::root().join(&target.folder).join("fuzz/Cargo.toml"));
    if !process::run(&mut cargo, Duration::from_secs(30 * 60))?.success() {
        fail!("{}/{} does not build", target.folder, target.name);
    }
    Ok(dir.join(host).join("release").join(&target.name))
}

fn fuzz(target: &Target, binary: &PathBuf, seconds: u64) -> Result<bool, Error> {
    let home = place::root().join(&target.folder).join("fuzz");
    let corpus = home.join("corpus").join(&target.name);
    let artifacts = home.join("artifacts").join(&target.name);
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&artifacts)?;
    let mut fuzzer = Command::new(binary);
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-rss_limit_mb={MEMORY}"));
    fuzzer.arg(format!("-timeout={TIMEOUT}")).arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.args(["-print_final_stats=1", "-verbosity=1"]).arg(&corpus);
    let seeds = home.join("seeds").join(&target.name);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    let (end, _, err) = capture(&mut fuzzer, Duration::from_secs(seconds + 120))?;
    let runs = err.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")).unwrap_or(" ?");
    println!(
        "{}/{}: {} inputs, {}",
        target.folder,
        target.name,
        runs.trim(),
        if end.success() { "good" } else { "FINDING" }
    );
    if !end.success() {
        let lines: Vec<&str> = err.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    Ok(end.success())
}
