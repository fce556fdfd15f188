//! `--ldb`: the script of `--eval` in the server's debugger. Lines typed are commands of the debugger, its replies arrays of
//! status lines; `<endsession>` among them announces the reply of the script. Then the session goes on as any other, except that
//! `restart` debugs again.

use std::process::ExitCode;
use std::rc::Rc;

use resp::Value;
use resp::inline::split_words;

use super::eval;
use crate::args::{Output, leading_integer};
use crate::editor::{End, Lines, Source};
use crate::print;
use crate::repl::{self, Ending};
use crate::session::Session;

const INTRO: &str = "Lua debugging session started, please use:\n\
                     quit    -- End the session.\n\
                     restart -- Restart the script in debug mode again.\n\
                     help    -- Show Lua script debugging commands.\n\n";

const PROMPT: &str = "lua debugger> ";

/// The line that announces the reply of the script.
const END: &[u8] = b"<endsession>";

/// How debugging ended.
enum Ended {
    /// The script has run to its end, or the connection is gone.
    Over,
    Restart,
    Leave(ExitCode),
}

/// What a line that was typed means.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    Invalid,
    Leave,
    Restart,
    Clear,
    /// Words for the debugger, so many times.
    Send(Vec<Vec<u8>>, i64),
}

/// Debugs the script of the options. `sync`: in the server itself, which waits and keeps what the script changes.
pub(crate) async fn run(mut session: Session, sync: bool, tty: bool) -> ExitCode {
    let mut lines = match repl::open(&mut session) {
        Ok(lines) => lines,
        Err(code) => return code,
    };
    // Whatever was asked for: a person reads this.
    session.style.output = Output::Standard;
    loop {
        session.is_debugging = true;
        let ended = debug(&mut session, &mut lines, sync).await;
        session.is_debugging = false;
        session.disconnect();
        match ended {
            Ended::Leave(code) => return code,
            Ended::Restart => {}
            Ended::Over => match repl::commands(&mut session, &mut lines, tty, true).await {
                Ending::Leave(code) => return code,
                Ending::Restart => session.disconnect(),
            },
        }
        session.write(b"\n");
    }
}

/// From the start of the script to its end.
async fn debug(session: &mut Session, lines: &mut Lines, sync: bool) -> Ended {
    if !session.connect().await {
        return Ended::Leave(ExitCode::FAILURE);
    }
    let script = eval::script(&session.options.file);
    session.write(INTRO.as_bytes());
    let Some(script) = script else { return Ended::Leave(ExitCode::FAILURE) };
    let mode = if sync { "SYNC" } else { "YES" };
    let Some(mut reply) = session.submit(&["SCRIPT", "DEBUG", mode]).await else {
        return Ended::Leave(ExitCode::FAILURE);
    };
    // A server that refuses to debug is not asked to run the script.
    if !matches!(reply, Value::Error(_)) {
        let request = eval::request(script, &session.options.command);
        match session.submit(&request).await {
            Some(answer) => reply = answer,
            None => return Ended::Leave(ExitCode::FAILURE),
        }
    }
    let (shown, over) = show(&reply);
    if matches!(reply, Value::Error(_)) || over {
        session.write(b"\nEval debugging session can't start:\n");
        let reply = if over { session.receive_reply().await } else { Some(reply) };
        return match reply {
            Some(reply) => {
                session.write(&print::reply(&session.style, &reply, false));
                Ended::Leave(ExitCode::SUCCESS)
            }
            None => Ended::Leave(ExitCode::FAILURE),
        };
    }
    session.write(&shown);
    loop {
        if let Source::Terminal(terminal) = &mut lines.source {
            // What is known of the server's commands is of no use here.
            terminal.set_hints(false);
            terminal.set_docs(Rc::default());
        }
        let line = match lines.read(session, PROMPT).await {
            Ok(line) => line,
            Err(End::Eof | End::Interrupted) => return Ended::Leave(ExitCode::SUCCESS),
            Err(End::Failed(text)) => {
                eprintln!("Cannot read commands: {text}");
                return Ended::Leave(ExitCode::FAILURE);
            }
        };
        repl::remember(lines, &line, &[]);
        match understand(&line) {
            Line::Nothing => {}
            Line::Invalid => session.write(b"Invalid argument(s)\n"),
            Line::Leave => return Ended::Leave(ExitCode::SUCCESS),
            Line::Restart => return Ended::Restart,
            Line::Clear => session.write(repl::CLEAR),
            Line::Send(_, ..=0) => session.write(repl::INVALID_REPEAT),
            Line::Send(words, repeat) => {
                for _ in 0..repeat {
                    if step(session, &words, sync).await {
                        return Ended::Over;
                    }
                }
            }
        }
    }
}

/// One command of the debugger; true when there is nothing left to debug.
async fn step(session: &mut Session, words: &[Vec<u8>], sync: bool) -> bool {
    let Some(reply) = session.submit(words).await else { return true };
    let (shown, over) = show(&reply);
    session.write(&shown);
    if !over {
        return false;
    }
    if let Some(result) = session.receive_reply().await {
        let result = print::reply(&session.style, &result, false);
        let rolled_back = if sync { "" } else { " -- dataset changes rolled back" };
        let end = format!("\n(Lua debugging session ended{rolled_back})\n\n");
        session.write(&[b"\n", result.as_slice(), end.as_bytes()].concat());
    }
    true
}

fn understand(line: &[u8]) -> Line {
    // Lua code has quotes of its own.
    for name in [&b"e"[..], b"eval"] {
        if let Some(code) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(b" ")) {
            return Line::Send(vec![name.to_vec(), code.to_vec()], 1);
        }
    }
    let Ok(mut words) = split_words(line) else { return Line::Invalid };
    match words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default().as_slice() {
        _ if words.is_empty() => Line::Nothing,
        b"quit" | b"exit" => Line::Leave,
        b"restart" => Line::Restart,
        b"clear" => Line::Clear,
        name if words.len() > 1 && std::str::from_utf8(name).is_ok_and(|name| name.parse::<i64>().is_ok()) => {
            let repeat = leading_integer(name);
            Line::Send(words.split_off(1), repeat)
        }
        _ => Line::Send(words, 1),
    }
}

/// What the debugger says, as it is printed, and whether the reply of the script follows.
fn show(reply: &Value) -> (Vec<u8>, bool) {
    let lines = match reply {
        Value::Array(lines) => lines.as_slice(),
        line => std::slice::from_ref(line),
    };
    let (mut out, mut over) = (Vec::new(), false);
    for line in lines {
        match line {
            Value::Simple(line) if line.as_ref() == END => over = true,
            line => {
                let text = print::text(line).unwrap_or_default();
                out.extend_from_slice(paint(text).as_bytes());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\x1b[0m\n");
            }
        }
    }
    (out, over)
}

/// The colour of a line, on a pipe, too. Tags count wherever they are.
fn paint(line: &[u8]) -> &'static str {
    // "->#12  code": the line that is next, and a breakpoint.
    if line.len() > 4 && line[3].is_ascii_digit() {
        match (line[1], line[2]) {
            (b'>', _) => return "\x1b[0;33;49m",
            (_, b'#') => return "\x1b[1;37;49m",
            _ => {}
        }
    }
    let has = |tag: &str| memchr::memmem::find(line, tag.as_bytes()).is_some();
    if has("<value>") || has("<retval>") {
        "\x1b[0;35;49m"
    } else if has("<hint>") {
        "\x1b[1;37;49m"
    } else if has("<error>") {
        "\x1b[0;31;49m"
    } else if has("<reply>") {
        "\x1b[0;36;49m"
    } else if has("<redis>") {
        "\x1b[0;32;49m"
    } else if has("<debug>") {
        "\x1b[1;37;49m"
    } else {
        "\x1b[0;37;49m"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_taken_as_it_is() {
        let send =
            |words: &[&str], repeat| Line::Send(words.iter().map(|word| word.as_bytes().to_vec()).collect(), repeat);
        assert_eq!(understand(b"e return \"a  b\""), send(&["e", "return \"a  b\""], 1));
        assert_eq!(understand(b"eval  'x "), send(&["eval", " 'x "], 1));
        assert_eq!(understand(b" e 'x y'"), send(&["e", "x y"], 1));
        assert_eq!(understand(b"r set \"q q\" v"), send(&["r", "set", "q q", "v"], 1));
        assert_eq!(understand(b"3 s"), send(&["s"], 3));
        assert_eq!(understand(b"3"), send(&["3"], 1));
        assert_eq!(understand(b"p 'a"), Line::Invalid);
        assert_eq!(understand(b"  "), Line::Nothing);
        assert_eq!(understand(b"RESTART now"), Line::Restart);
        assert_eq!(understand(b"Exit"), Line::Leave);
    }

    #[test]
    fn the_end_is_announced_among_lines() {
        let line = |text: &str| Value::Simple(text.as_bytes().to_vec().into());
        let (shown, over) = show(&Value::Array(vec![line("<debug> x"), line("->#2 y"), line("  #3 z")]));
        let expected = "\x1b[1;37;49m<debug> x\x1b[0m\n\x1b[0;33;49m->#2 y\x1b[0m\n\x1b[1;37;49m  #3 z\x1b[0m\n";
        assert_eq!((String::from_utf8(shown).unwrap().as_str(), over), (expected, false));
        assert_eq!(show(&Value::Array(vec![line("<endsession>")])), (Vec::new(), true));
    }
}
