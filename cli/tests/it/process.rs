//! Runs a program with input and a limit on its time.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A command may take this long before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Exit code; `None` when killed by a signal or by our patience.
    pub(crate) code: Option<i32>,
}

/// Runs to the end.
pub(crate) fn run(program: &Path, arguments: &[String], stdin: &[u8], environment: &[(&str, &str)]) -> Run {
    run_until(program, arguments, stdin, environment, None)
}

/// Runs to the end, or until so many lines of standard output have come.
pub(crate) fn run_until(
    program: &Path,
    arguments: &[String],
    stdin: &[u8],
    environment: &[(&str, &str)],
    lines: Option<usize>,
) -> Run {
    // A program written with the C library keeps lines back when it writes to a pipe.
    let mut command = match lines {
        Some(_) => {
            let mut command = Command::new("stdbuf");
            command.arg("-oL").arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["FAKETTY", "FAKETTY_WITH_PROMPT", "REDISCLI_AUTH", "REDISCLI_RCFILE"] {
        command.env_remove(name);
    }
    command.env("TERM", "dumb").env("REDISCLI_HISTFILE", "/dev/null").envs(environment.iter().copied());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    let writer = thread::spawn(move || _ = input.write_all(&bytes));
    let collect = |mut stream: Box<dyn Read + Send>| {
        let collected = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&collected);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        (collected, reader)
    };
    let (stdout, out_reader) = collect(Box::new(child.stdout.take().unwrap()));
    let (stderr, err_reader) = collect(Box::new(child.stderr.take().unwrap()));
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        let enough =
            lines.is_some_and(|lines| stdout.lock().unwrap().iter().filter(|&&byte| byte == b'\n').count() >= lines);
        if enough || started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(1));
    };
    writer.join().unwrap();
    out_reader.join().unwrap();
    err_reader.join().unwrap();
    let (mut stdout, stderr) = (stdout.lock().unwrap().clone(), stderr.lock().unwrap().clone());
    if let Some(lines) = lines {
        let end = stdout.split_inclusive(|&byte| byte == b'\n').take(lines).map(<[u8]>::len).sum();
        stdout.truncate(end);
    }
    Run { stdout, stderr, code }
}
