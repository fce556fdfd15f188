//! `cargo xtask clients`: what real clients and tools do with a server.
//!
//! Sessions of redis-py and ioredis, Django's cache and sessions, BullMQ's flows and Redlock's locks, and redis-benchmark. The libraries are installed into
//! folders under `target/`, from the registries that the machine is set up for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ci::Score;
use crate::peer::Peer;
use crate::place::{self, Profile};
use crate::process::capture;
use crate::{Error, Verdict, fail};

const USAGE: &str = "\
cargo xtask clients [redis-py] [ioredis] [django] [bullmq] [benchmark] [--server PATH]

Runs sessions of client libraries and redis-benchmark against our server (built in release, unless one is given).";

/// ioredis with RESP3 needs Node 20; the one before it serves older ones.
const IOREDIS: [&str; 2] = ["ioredis@6.0.0", "ioredis@5.8.2"];
/// A job queue and a lock, both made of scripts.
const BULLMQ: [&str; 3] = ["bullmq@6.7.0", "ioredis@5.8.2", "redlock@4.2.0"];
/// Requests of each test of redis-benchmark.
const REQUESTS: &str = "20000";

/// What one library or tool does with a server.
type Session = fn(&Peer) -> Result<Score, Error>;

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let (mut which, mut server): (Vec<String>, Option<PathBuf>) = (Vec::new(), None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("server") => server = Some(parser.value()?.into()),
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            Value(name) => which.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let server = match server {
        Some(path) => std::fs::canonicalize(path)?,
        None => place::build(Profile::Release)?.server,
    };
    let score = sessions(&server, &which)?;
    println!("clients: {} passed, {} failed", score.passed, score.failed);
    Ok(score.failed == 0)
}

/// Runs the sessions that are named, or all, each on a server of its own.
pub(crate) fn sessions(server: &Path, which: &[String]) -> Result<Score, Error> {
    let all: [(&str, Session); 5] = [
        ("redis-py", redis_py),
        ("ioredis", ioredis),
        ("django", django),
        ("bullmq", bullmq),
        ("benchmark", benchmark),
    ];
    let mut score = Score::default();
    for (name, session) in all {
        if !which.is_empty() && !which.iter().any(|wanted| wanted == name) {
            continue;
        }
        let outcome = Peer::start(server, &[], None).and_then(|peer| session(&peer));
        score += outcome.unwrap_or_else(|Error(text)| {
            println!("{name}: {text}");
            Score { passed: 0, failed: 1 }
        });
    }
    Ok(score)
}

fn redis_py(peer: &Peer) -> Result<Score, Error> {
    script(Command::new(python()?).arg(folder().join("redis_py_session.py")).arg(peer.port.to_string()))
}

fn django(peer: &Peer) -> Result<Score, Error> {
    script(Command::new(python()?).arg(folder().join("django_sessions.py")).arg(peer.port.to_string()))
}

fn ioredis(peer: &Peer) -> Result<Score, Error> {
    let node = place::need("node", "nodejs npm")?;
    let (_, version, _) = capture(Command::new(&node).arg("--version"), Duration::from_secs(30))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    let package = if major.is_some_and(|major| major >= 20) { IOREDIS[0] } else { IOREDIS[1] };
    node_session(&node, "node", &[package], "ioredis_session.js", peer)
}

fn bullmq(peer: &Peer) -> Result<Score, Error> {
    let node = place::need("node", "nodejs npm")?;
    node_session(&node, "bullmq", &BULLMQ, "bullmq_session.js", peer)
}

/// Runs a session in Node, with these packages in a folder of their own.
fn node_session(node: &Path, home: &str, packages: &[&str], session: &str, peer: &Peer) -> Result<Score, Error> {
    let npm = place::need("npm", "nodejs npm")?;
    let home = place::scratch("clients")?.join(home);
    installed(&home, &packages.join(" "), || {
        std::fs::write(home.join("package.json"), "{\"private\": true}\n")?;
        let mut install = Command::new(&npm);
        install.current_dir(&home).args(["install", "--silent", "--no-audit", "--no-fund"]).args(packages);
        quietly(&mut install)
    })?;
    let mut command = Command::new(node);
    command.env("NODE_PATH", home.join("node_modules"));
    script(command.arg(folder().join(session)).arg(peer.port.to_string()))
}

fn folder() -> PathBuf {
    place::root().join("tests/clients")
}

/// The Python of an environment that has the libraries.
fn python() -> Result<PathBuf, Error> {
    let system = place::need("python3", "python3 python3-venv")?;
    let home = place::scratch("clients")?.join("python");
    let requirements = folder().join("requirements.txt");
    installed(&home, &std::fs::read_to_string(&requirements)?, || {
        quietly(Command::new(&system).args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(home.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        quietly(pip.arg(&requirements))
    })?;
    Ok(home.join("bin/python"))
}

/// Installs into `home` anew unless it was filled with the same `content` before.
fn installed(home: &Path, content: &str, install: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    let mark = home.join("installed");
    if std::fs::read_to_string(&mark).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir_all(home)?;
    install()?;
    std::fs::write(mark, content)?;
    Ok(())
}

fn quietly(command: &mut Command) -> Result<(), Error> {
    match capture(command, Duration::from_secs(600))? {
        (end, ..) if end.success() => Ok(()),
        (_, out, err) => fail!("{}: {}{}", command.get_program().to_string_lossy(), out.trim(), err.trim()),
    }
}

/// Runs a session and reads its last line: `NAME: N passed, N failed`.
fn script(command: &mut Command) -> Result<Score, Error> {
    let (end, out, err) = capture(command, Duration::from_secs(180))?;
    print!("{out}");
    let counts = out.lines().rev().find_map(|line| {
        let (_, counts) = line.rsplit_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ")?;
        Some(Score { passed: passed.parse().ok()?, failed: failed.strip_suffix(" failed")?.parse().ok()? })
    });
    match counts {
        Some(score) if end.success() == (score.failed == 0) => Ok(score),
        _ => fail!("the session did not come to its end: {}", err.trim()),
    }
}

/// Every default test of redis-benchmark, without and with pipelining. It stops at the first error that a server replies.
fn benchmark(peer: &Peer) -> Result<Score, Error> {
    /// Tests that every version of the tool has by default; LRANGE is five, one of which fills the list.
    const TESTS: &str =
        "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset";
    let tool = place::need("redis-benchmark", "redis-tools")?;
    let expected = TESTS.split(',').count() + 4;
    // Newer ones also add to streams.
    let streams = peer.client()?.try_call(&["COMMAND", "INFO", "XADD"])?;
    let has_streams = streams.items().and_then(|items| items.first()?.items()).is_some();
    let mut score = Score::default();
    for pipeline in ["1", "16"] {
        let mut command = Command::new(&tool);
        command.args(["-p", &peer.port.to_string(), "-n", REQUESTS, "-P", pipeline, "--csv"]);
        if !has_streams {
            command.args(["-t", TESTS]);
        }
        let (end, out, err) = capture(&mut command, Duration::from_secs(300))?;
        let ran = out.lines().filter(|line| line.starts_with('"') && !line.starts_with("\"test\"")).count();
        println!(
            "redis-benchmark -P {pipeline}: {ran} of {} tests ran{}",
            expected.max(ran),
            if has_streams { "" } else { " (none with streams, which the server does not have)" }
        );
        let errors = out.lines().chain(err.lines()).filter(|line| line.contains("Error"));
        errors.clone().for_each(|line| println!("  {line}"));
        let failed = expected.saturating_sub(ran).max(errors.count()).max(usize::from(!end.success()));
        score += Score { passed: ran, failed };
    }
    Ok(score)
}
