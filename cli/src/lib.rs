//! redis-cli-rs, a drop-in for redis-cli, and redis-benchmark-rs, one for redis-benchmark.
//!
//! Of the client `args` reads the command line, `session` runs commands over a `connection`, `print` formats replies, `repl` is
//! the prompt (and commands from a pipe), `editor` the line being typed, `complete` what it could become. `docs` has what is
//! known about commands, `hint` and `help` tell it. `modes` has everything that is not "run commands and print replies",
//! `cluster` looks after clusters. `benchmark` is the other program.

mod args;
pub mod benchmark;
mod cluster;
mod complete;
mod connection;
mod docs;
mod editor;
mod help;
mod hint;
mod modes;
mod peek;
mod percentiles;
mod print;
mod progress;
mod random;
mod repl;
mod session;
mod settings;
mod tls;
mod watch;

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use crate::args::{Mode, Options, StdinArgument, Stop};
use crate::session::{Outcome, Session};

/// The release of redis-cli whose options and formats these are.
const REDIS_VERSION: &str = "8.0.6";

/// Bytes that `-x` and `-X` read from standard input at most: more than a server takes as one argument by default.
const STDIN_MAX: u64 = 1024 * 1024 * 1024;

/// redis-cli-rs: reads the arguments, runs, gives the exit code.
pub fn main() -> ExitCode {
    let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let options = match args::parse(std::env::args_os().skip(1), environment("REDISCLI_AUTH")) {
        Ok(options) => options,
        Err(Stop::Help) => {
            print!("{}", help::usage());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Version) => {
            println!("redis-cli {REDIS_VERSION} (redis-cli-rs {})", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(Stop::Complaint(text)) => {
            println!("{text}");
            return ExitCode::FAILURE;
        }
        Err(Stop::Error(text)) => {
            eprintln!("{text}");
            return ExitCode::FAILURE;
        }
    };
    let tty = io::stdout().is_terminal() || environment("FAKETTY").is_some();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(options, tty))
}

async fn run(mut options: Options, tty: bool) -> ExitCode {
    if options.ask_password {
        match ask_password() {
            Ok(password) => options.password = Some(password),
            Err(error) => {
                eprintln!("Cannot read the password: {error}");
                return ExitCode::FAILURE;
            }
        }
    } else if options.auth_warning {
        eprintln!("Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.");
    }
    match options.mode {
        Mode::Command => command(options, tty).await,
        Mode::Scan => modes::scan::run(Session::new(options, tty)).await,
        Mode::Tui => modes::tui::run(Session::new(options, tty)).await,
        Mode::Stat => modes::stat::run(Session::new(options, tty)).await,
        Mode::Pipe => modes::pipe::run(Session::new(options, tty)).await,
        Mode::BigKeys => modes::bigkeys::run(Session::new(options, tty), false, tty).await,
        Mode::MemKeys => modes::bigkeys::run(Session::new(options, tty), true, tty).await,
        Mode::KeyStats => modes::keystats::run(Session::new(options, tty), tty).await,
        Mode::HotKeys => modes::hotkeys::run(Session::new(options, tty), tty).await,
        Mode::Latency => modes::latency::run(Session::new(options, tty), false).await,
        Mode::LatencyHistory => modes::latency::run(Session::new(options, tty), true).await,
        Mode::LatencyDist => modes::latency::distribution(Session::new(options, tty)).await,
        Mode::IntrinsicLatency => modes::latency::intrinsic(options.amount).await,
        Mode::LruTest => {
            let keys = options.amount;
            modes::lru::run(Session::new(options, tty), keys).await
        }
        Mode::Rdb { functions_only } => {
            let path = std::mem::take(&mut options.file);
            modes::replica::save(Session::new(options, tty), &path, functions_only).await
        }
        Mode::Replica => modes::replica::follow(Session::new(options, tty)).await,
        Mode::Hint { from_file } => modes::hints::run(Session::new(options, tty), from_file).await,
        Mode::Eval => modes::eval::run(options, tty).await,
        Mode::Cluster => cluster::run(options).await,
        Mode::Debug { sync } => modes::ldb::run(Session::new(options, tty), sync, tty).await,
    }
}

/// One command from the arguments, or a session.
async fn command(mut options: Options, tty: bool) -> ExitCode {
    if options.command.is_empty() && !matches!(options.stdin, StdinArgument::Tag(_)) {
        let session = Session::new(options, tty);
        return repl::run(session, tty).await;
    }
    if let Err(text) = take_stdin(&mut options) {
        eprintln!("{text}");
        return ExitCode::FAILURE;
    }
    let words = std::mem::take(&mut options.command);
    run_once(options, &words, tty).await
}

/// Runs one command as often as the options say.
async fn run_once(options: Options, words: &[Vec<u8>], tty: bool) -> ExitCode {
    let repeat = options.repeat;
    let mut session = Session::new(options, tty);
    match session.run(words, repeat).await {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::ErrorReply if session.options.exit_on_error => ExitCode::FAILURE,
        Outcome::ErrorReply => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::FAILURE,
    }
}

/// `-x` and `-X`: puts standard input into the command.
fn take_stdin(options: &mut Options) -> Result<(), String> {
    if options.stdin == StdinArgument::None {
        return Ok(());
    }
    let place = match &options.stdin {
        StdinArgument::Tag(tag) => match options.command.iter().position(|word| word == tag) {
            Some(place) => place,
            None => return Err("Using -X option but stdin tag not match.".to_owned()),
        },
        _ => options.command.len(),
    };
    let mut bytes = Vec::new();
    match io::stdin().lock().take(STDIN_MAX + 1).read_to_end(&mut bytes) {
        Ok(count) if count as u64 > STDIN_MAX => return Err("Standard input is too long for one argument.".to_owned()),
        Ok(_) => {}
        Err(error) => return Err(format!("Cannot read standard input: {error}")),
    }
    match place < options.command.len() {
        true => options.command[place] = bytes,
        false => options.command.push(bytes),
    }
    Ok(())
}

/// `--askpass`: one line, unseen on a terminal.
fn ask_password() -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    let hidden = stdin.is_terminal();
    let before = if hidden {
        eprint!("Please input password: ");
        io::stderr().flush()?;
        let before = rustix::termios::tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &silent)?;
        Some(before)
    } else {
        None
    };
    let mut line = String::new();
    let result = stdin.read_line(&mut line);
    if let Some(before) = before {
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &before)?;
        eprintln!();
    }
    result?;
    Ok(line.trim_end_matches(['\r', '\n']).as_bytes().to_vec())
}
