//! The prompt, and commands from a pipe: read a line, run it, until the end.

use std::process::ExitCode;

use resp::inline::split_words;

use crate::args::Output;
use crate::docs;
use crate::editor::{End, Lines, Source};
use crate::session::{Session, Waited};
use crate::{peek, settings, watch};

/// Invites to type while messages are printed. The carriage return lets the next line overwrite it.
const READING: &str = "Reading messages... (press Ctrl-C to quit or any key to type command)\r";

/// Clears the rest of the line.
const ERASE: &[u8] = b"\x1b[K";

/// Clears the screen.
pub(crate) const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// The complaint about "0 INCR counter".
pub(crate) const INVALID_REPEAT: &[u8] = b"Invalid redis-cli repeat command option value.\n";

/// How running commands ended.
pub(crate) enum Ending {
    Leave(ExitCode),
    /// `restart` was said.
    Restart,
}

/// Runs until the input ends. `tty`: standard output is a terminal, or pretends to be.
pub(crate) async fn run(mut session: Session, tty: bool) -> ExitCode {
    let mut lines = match open(&mut session) {
        Ok(lines) => lines,
        Err(code) => return code,
    };
    match commands(&mut session, &mut lines, tty, false).await {
        Ending::Leave(code) => code,
        Ending::Restart => ExitCode::SUCCESS,
    }
}

/// Takes up standard input and the user's preferences.
pub(crate) fn open(session: &mut Session) -> Result<Lines, ExitCode> {
    let lines = Lines::open().map_err(|error| {
        eprintln!("Cannot read commands: {error}");
        ExitCode::FAILURE
    })?;
    let terminal = matches!(&lines.source, Source::Terminal(terminal) if terminal.is_real());
    session.enter_prompt(terminal);
    if matches!(lines.source, Source::Terminal(_)) {
        for line in settings::lines() {
            let read = split_words(line.as_bytes()).map_err(|_| "unbalanced quotes".to_owned());
            if let Err(text) = read.and_then(|words| session.set(&words)) {
                eprintln!("{}: {text}", settings::RC_FILE);
            }
        }
    }
    Ok(lines)
}

/// Runs what is typed. `restarts`: there is something that the word `restart` starts again.
pub(crate) async fn commands(session: &mut Session, lines: &mut Lines, tty: bool, restarts: bool) -> Ending {
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
            terminal.set_hints(session.settings().hints);
            terminal.set_docs(docs::known(session).await);
        }
        let prompt = session.prompt();
        let line = match lines.read(session, &prompt).await {
            Ok(line) => line,
            Err(End::Eof | End::Interrupted) => return Ending::Leave(ExitCode::SUCCESS),
            Err(End::Failed(text)) => {
                eprintln!("Cannot read commands: {text}");
                return Ending::Leave(ExitCode::FAILURE);
            }
        };
        match step(session, lines, &line, restarts).await {
            Step::Next => {}
            Step::Leave => return Ending::Leave(ExitCode::SUCCESS),
            Step::Restart => return Ending::Restart,
        }
    }
}

enum Step {
    Next,
    Leave,
    Restart,
}

/// One line.
async fn step(session: &mut Session, lines: &mut Lines, line: &[u8], restarts: bool) -> Step {
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
        b"restart" if restarts => return Step::Restart,
        b"clear" => session.write(CLEAR),
        b"connect" if words.len() == 3 => {
            let port = crate::args::leading_integer(&words[2]);
            match u16::try_from(port) {
                Ok(port) => _ = session.connect_to(String::from_utf8_lossy(&words[1]).into_owned(), port).await,
                Err(_) => session.write(b"Invalid port\n"),
            }
        }
        b"connect" if words.len() == 2 => match session.settings().connection(&words[1]).map(<[u8]>::to_vec) {
            Some(uri) => {
                if let Err(text) = session.connect_to_uri(&uri).await {
                    session.write(format!("{text}\n").as_bytes());
                }
            }
            None => _ = session.run(&words, 1).await,
        },
        b"peek" if words.len() == 2 && session.assists() => {
            if let Some(text) = peek::peek(session, &words[1]).await {
                session.write(&text);
            }
        }
        name if name.starts_with(b":") => {
            if let Err(text) = session.set(&words) {
                session.write(format!("{text}\n").as_bytes());
            }
        }
        _ if session.must_confirm(&words) && !agreed(session, lines, &words).await => {}
        b"watch" if session.assists() && !session.is_in_multi() && watch::is_ours(session, &words).await => {
            watch::run(session, &words).await;
        }
        _ => {
            // "5 INCR counter" runs five times.
            let number = std::str::from_utf8(first).ok().and_then(|word| word.parse::<i64>().ok());
            match number {
                Some(repeat) if words.len() > 1 => {
                    if repeat <= 0 {
                        session.write(INVALID_REPEAT);
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

/// Asks whether a dangerous command is meant.
async fn agreed(session: &mut Session, lines: &mut Lines, words: &[Vec<u8>]) -> bool {
    let shown = String::from_utf8_lossy(&words[0]).to_uppercase();
    let question = format!("{shown} on {}: type yes to run it: ", session.server_name());
    lines.read(session, &question).await.is_ok_and(|answer| answer.trim_ascii().eq_ignore_ascii_case(b"yes"))
}

/// Puts a line into the history, unless its words hold a secret.
pub(crate) fn remember(lines: &mut Lines, line: &[u8], words: &[Vec<u8>]) {
    if let Source::Terminal(terminal) = &mut lines.source
        && !is_secret(words)
    {
        terminal.remember(&String::from_utf8_lossy(line));
    }
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
}
