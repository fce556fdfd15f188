//! The prompt, and commands from a pipe: read a line, run it, until the end.

use std::path::PathBuf;
use std::process::ExitCode;

use resp::inline::split_words;

use crate::args::Output;
use crate::docs;
use crate::editor::{End, Lines, Source};
use crate::session::{Session, Waited};

/// Invites to type while messages are printed. The carriage return lets the next line overwrite it.
const READING: &str = "Reading messages... (press Ctrl-C to quit or any key to type command)\r";

/// Clears the rest of the line.
const ERASE: &[u8] = b"\x1b[K";

/// Runs until the input ends. `tty`: standard output is a terminal, or pretends to be.
pub(crate) async fn run(mut session: Session, tty: bool) -> ExitCode {
    let mut lines = match Lines::open() {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("Cannot read commands: {error}");
            return ExitCode::FAILURE;
        }
    };
    let terminal = matches!(&lines.source, Source::Terminal(terminal) if terminal.is_real());
    session.enter_prompt(terminal);
    if let Source::Terminal(terminal) = &mut lines.source {
        terminal.set_hints(true);
        for line in preferences() {
            match split_words(line.as_bytes()).as_deref().map(preference) {
                Ok(Ok(Preference::Hints(on))) => terminal.set_hints(on),
                Ok(Err(text)) => eprintln!("{RC_FILE}: {text}"),
                Err(_) => eprintln!("{RC_FILE}: unbalanced quotes"),
            }
        }
    }
    session.connect().await;
    let color = tty && std::env::var("TERM").is_ok_and(|term| term.contains("xterm"));
    loop {
        while session.is_subscribed() {
            let invite = tty && session.style.output == Output::Standard;
            if invite {
                let line = if color { format!("\x1b[1;90m{READING}\x1b[0m") } else { READING.to_owned() };
                session.write(line.as_bytes());
            }
            let erase = if invite { ERASE } else { b"" };
            if session.message_or(lines.ready(), erase).await == Waited::Input {
                break;
            }
        }
        if let Source::Terminal(terminal) = &mut lines.source {
            terminal.set_docs(docs::known(&mut session).await);
        }
        let prompt = session.prompt();
        let line = match lines.read(&mut session, &prompt).await {
            Ok(line) => line,
            Err(End::Eof | End::Interrupted) => return ExitCode::SUCCESS,
            Err(End::Failed(text)) => {
                eprintln!("Cannot read commands: {text}");
                return ExitCode::FAILURE;
            }
        };
        if let Step::Leave = step(&mut session, &mut lines, &line).await {
            return ExitCode::SUCCESS;
        }
    }
}

enum Step {
    Next,
    Leave,
}

/// One line.
async fn step(session: &mut Session, lines: &mut Lines, line: &[u8]) -> Step {
    let words = match split_words(line) {
        Ok(words) => words,
        Err(_) => {
            remember(lines, line, &[]);
            session.write(b"Invalid argument(s)\n");
            return Step::Next;
        }
    };
    let Some(first) = words.first() else { return Step::Next };
    remember(lines, line, &words);
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match word(0).as_slice() {
        b"quit" | b"exit" => return Step::Leave,
        b"clear" => session.write(b"\x1b[H\x1b[2J"),
        b"connect" if words.len() == 3 => {
            let port = crate::args::leading_integer(&words[2]);
            match u16::try_from(port) {
                Ok(port) => _ = session.connect_to(String::from_utf8_lossy(&words[1]).into_owned(), port).await,
                Err(_) => session.write(b"Invalid port\n"),
            }
        }
        name if name.starts_with(b":") => match (preference(&words), &mut lines.source) {
            (Ok(Preference::Hints(on)), Source::Terminal(terminal)) => terminal.set_hints(on),
            (Ok(_), Source::Pipe(_)) => {}
            (Err(text), _) => session.write(format!("{text}\n").as_bytes()),
        },
        _ => {
            // "5 INCR counter" runs five times.
            let number = std::str::from_utf8(first).ok().and_then(|word| word.parse::<i64>().ok());
            match number {
                Some(repeat) if words.len() > 1 => {
                    if repeat <= 0 {
                        session.write(b"Invalid redis-cli repeat command option value.\n");
                    } else {
                        session.run(&words[1..], repeat).await;
                    }
                }
                _ => _ = session.run(&words, 1).await,
            }
        }
    }
    Step::Next
}

fn remember(lines: &mut Lines, line: &[u8], words: &[Vec<u8>]) {
    if let Source::Terminal(terminal) = &mut lines.source
        && !is_secret(words)
    {
        terminal.remember(&String::from_utf8_lossy(line));
    }
}

/// The name of the file of preferences in the home directory.
const RC_FILE: &str = ".redisclirc";

/// What a `:set` line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preference {
    Hints(bool),
}

/// Reads `:set hints` and its like.
fn preference(words: &[Vec<u8>]) -> Result<Preference, String> {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let shown = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
    match (word(0).as_slice(), word(1).as_slice()) {
        (b":set", b"hints") => Ok(Preference::Hints(true)),
        (b":set", b"nohints") => Ok(Preference::Hints(false)),
        (b":set", _) => Err(format!("unknown redis-cli preference '{}'", shown(1))),
        _ => Err(format!("unknown redis-cli internal command '{}'", shown(0))),
    }
}

/// Lines of `REDISCLI_RCFILE` or of the file in the home directory.
fn preferences() -> Vec<String> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = given("REDISCLI_RCFILE").or_else(|| given("HOME").map(|home| home.join(RC_FILE)));
    let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// True for lines that hold passwords: they stay out of the history.
fn is_secret(words: &[Vec<u8>]) -> bool {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let any = |from: usize, wanted: &[&str]| {
        words.iter().skip(from).any(|word| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted.as_bytes())))
    };
    // "5 AUTH x" repeats it.
    if words.len() > 1 && word(0).iter().all(u8::is_ascii_digit) {
        return is_secret(&words[1..]);
    }
    match word(0).as_slice() {
        b"auth" => true,
        b"hello" => any(2, &["auth"]),
        b"migrate" => any(5, &["auth", "auth2"]),
        b"acl" => word(1) == b"setuser" || word(1) == b"deluser",
        b"config" => {
            word(1) == b"set"
                && any(
                    2,
                    &[
                        "masterauth",
                        "masteruser",
                        "requirepass",
                        "user",
                        "tls-key-file-pass",
                        "tls-client-key-file-pass",
                    ],
                )
        }
        b"sentinel" => {
            (word(1) == b"set" && any(3, &["auth-pass", "auth-user"]))
                || (word(1) == b"config" && any(3, &["sentinel-pass", "sentinel-user"]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        split_words(line.as_bytes()).unwrap()
    }

    #[test]
    fn secrets_stay_out_of_the_history() {
        for line in [
            "AUTH x",
            "auth u x",
            "hello 3 auth u p",
            "config set requirepass x",
            "CONFIG SET maxmemory 1 MasterAuth x",
            "acl setuser joe >x",
            "migrate h 1 k 0 10 AUTH x",
            "sentinel set m auth-pass x",
            "sentinel config set sentinel-pass x",
            "3 auth x",
        ] {
            assert!(is_secret(&words(line)), "{line}");
        }
        for line in ["get auth", "config get requirepass", "hello 3", "acl list", "set 5 auth"] {
            assert!(!is_secret(&words(line)), "{line}");
        }
        assert!(!is_secret(&[]));
    }

    #[test]
    fn preferences_are_read() {
        assert_eq!(preference(&words(":set HINTS")), Ok(Preference::Hints(true)));
        assert_eq!(preference(&words(":set nohints")), Ok(Preference::Hints(false)));
        assert!(preference(&words(":set")).is_err());
        assert!(preference(&words(":foo")).is_err());
    }
}
