//! `cargo xtask transcripts`: records what redis-cli prints and asks, for `cli/tests/it/recordings.rs` to hold ours against.

use std::path::PathBuf;
use std::process::Command;

use crate::{Verdict, fail, place};

const USAGE: &str = "\
cargo xtask transcripts --redis-cli PATH --redis-server PATH [--redis-cli-7 PATH] [--check]

Runs every invocation of the transcript tests with redis-cli 8.0 against Redis 8.0 and writes cli/tests/golden/recordings.txt: what was
asked, what was answered, what was printed. What redis-cli 7.0 (default: the one in PATH) makes of the same answers is
written where it differs. With --check nothing is written: the programs are held against the file.";

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let (mut cli, mut server, mut check) = (None, None, false);
    let mut before = PathBuf::from("/usr/bin/redis-cli");
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("redis-cli") => cli = Some(PathBuf::from(parser.value()?)),
            Long("redis-server") => server = Some(PathBuf::from(parser.value()?)),
            Long("redis-cli-7") => before = parser.value()?.into(),
            Long("check") => check = true,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let mut command = Command::new("cargo");
    command.current_dir(place::root()).args(["test", "-p", "redis-cli-rs", "--test", "it", "as_redis_cli"]);
    match (cli, server) {
        (Some(cli), _) if check => _ = command.env("REDIS_CLI", std::fs::canonicalize(cli)?),
        (None, _) if check => {}
        (Some(cli), Some(server)) => {
            command.env("REDIS_CLI", std::fs::canonicalize(cli)?).env("REDIS_SERVER", std::fs::canonicalize(server)?);
            command.env("REDIS_CLI_7", before).env("UPDATE_GOLDEN", "1");
        }
        _ => fail!("--redis-cli and --redis-server are needed; see --help"),
    }
    Ok(command.status()?.success())
}
