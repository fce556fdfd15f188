//! `watch SECONDS COMMAND`: the command's reply again and again, until Ctrl-C. Only with a number in front and the name of a command
//! behind it; the words of the server's WATCH are keys.

use std::io;
use std::time::Duration;

use crate::docs;
use crate::editor::Mode;
use crate::print;
use crate::session::Session;

/// Seconds between two rounds, at most a day.
const PERIOD_MAX: f64 = 86_400.0;

/// Whether the words are meant for us: `watch 5 mykey` is not.
pub(crate) async fn is_ours(session: &mut Session, words: &[Vec<u8>]) -> bool {
    period(words).is_some() && names_command(&docs::known(session).await, &words[2..])
}

fn names_command(docs: &[docs::Doc], words: &[Vec<u8>]) -> bool {
    let words: Vec<String> = words.iter().take(2).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    docs::find(docs, &words).is_some()
}

/// How long to wait between rounds, if the words begin as they must.
fn period(words: &[Vec<u8>]) -> Option<Duration> {
    let [_, seconds, _command, ..] = words else { return None };
    let seconds: f64 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    (0.1..=PERIOD_MAX).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// Shows the reply of the command behind the number until Ctrl-C, or until the server has gone.
pub(crate) async fn run(session: &mut Session, words: &[Vec<u8>]) {
    let Some(period) = period(words) else { return };
    let shown = words[2..].iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
    let title = format!("Every {}s on {}: {shown}   (Ctrl-C ends)", period.as_secs_f64(), session.server_name());
    // Keys, Ctrl-C too, would be shown in the midst of it. Without a terminal there is nothing to hide.
    let _typing = Mode::unseen().ok();
    loop {
        let Some(reply) = session.ask_aside(&words[2..]).await else { return };
        let text = print::reply(&session.style, &reply, session.is_text(&words[2..]));
        session.write(&screen(&title, &text, rows()));
        if !session.pause(period).await {
            session.write(b"\n");
            return;
        }
    }
}

fn rows() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row)).max(4)
}

/// Title and as much of the text as fits, drawn over what was there.
fn screen(title: &str, text: &[u8], rows: usize) -> Vec<u8> {
    let mut out = format!("\x1b[H\x1b[1m{title}\x1b[0m\x1b[K\n\x1b[K\n").into_bytes();
    for line in text.split(|&byte| byte == b'\n').take(rows.saturating_sub(3)) {
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\x1b[K\n");
    }
    out.extend_from_slice(b"\x1b[J");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_period() {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(period(&words("watch 0.5 info memory")), Some(Duration::from_millis(500)));
        for no in ["watch key", "watch 5", "watch key get", "watch -1 get", "watch 1e9 get", "watch nan get"] {
            assert_eq!(period(&words(no)), None, "{no}");
        }
        let docs = docs::built_in();
        for (line, is_command) in
            [("info", true), ("Get k", true), ("client list", true), ("6", false), ("mykey", false)]
        {
            assert_eq!(names_command(&docs, &words(line)), is_command, "{line}");
        }
    }

    #[test]
    fn a_screen_is_cut() {
        let out = screen("t", b"a\r\nb\nc\nd\n", 5);
        assert_eq!(out, b"\x1b[H\x1b[1mt\x1b[0m\x1b[K\n\x1b[K\na\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
