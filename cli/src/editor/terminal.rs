//! A person at a terminal, or a pipe whose other end behaves like one.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::End;
use super::history::{Direction, History};
use super::keys::{Decoder, Key};
use super::line::{Candidates, Event, Line};
use super::screen::{Screen, View};
use crate::complete;
use crate::docs::Doc;
use crate::session::Session;
use crate::{help, hint};

/// How long the rest of an escape sequence may take, in nanoseconds; after that it was the escape key.
const ESCAPE_NS: i64 = 50_000_000;

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// Columns of a terminal that does not tell.
const COLUMNS: u16 = 80;

/// The looks of a pasted or typed line: none.
const PLAIN: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";

/// Settings of a terminal that are put back when this is dropped.
pub(crate) struct Mode {
    before: Termios,
}

impl Mode {
    /// Every key as it is, none shown.
    fn raw() -> io::Result<Mode> {
        Mode::change(Termios::make_raw)
    }

    /// Key by key and unseen, while messages are printed; Ctrl-C works.
    pub(crate) fn unseen() -> io::Result<Mode> {
        Mode::change(|mode| mode.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON))
    }

    fn change(change: impl FnOnce(&mut Termios)) -> io::Result<Mode> {
        let before = tcgetattr(io::stdin())?;
        let mut mode = before.clone();
        change(&mut mode);
        tcsetattr(io::stdin(), OptionalActions::Drain, &mode)?;
        Ok(Mode { before })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// See the [module](self).
pub(crate) struct Terminal {
    line: Line,
    decoder: Decoder,
    screen: Screen,
    /// Keys that have been read and not yet used: lines pasted behind one another.
    unread: VecDeque<Key>,
    /// Not a pipe.
    real: bool,
    hints: bool,
    /// F1: rows of help below the line.
    helps: bool,
    docs: Rc<Vec<Doc>>,
    /// While this lives a change of the window's size interrupts waiting for keys.
    _resizes: Option<Signal>,
}

impl Terminal {
    pub(crate) fn open(real: bool) -> Terminal {
        Terminal {
            line: Line::new(History::open()),
            decoder: Decoder::default(),
            screen: Screen::new(if real { columns() } else { usize::MAX }),
            unread: VecDeque::new(),
            real,
            hints: false,
            helps: false,
            docs: Rc::default(),
            _resizes: if real { signal(SignalKind::window_change()).ok() } else { None },
        }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.real
    }

    /// Whether keys are waiting to be used.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Remembers a line, in memory and in the file.
    pub(crate) fn remember(&mut self, line: &str) {
        self.line.history.add(line);
    }

    /// What completion and hints draw from.
    pub(crate) fn set_docs(&mut self, docs: Rc<Vec<Doc>>) {
        self.docs = docs;
    }

    pub(crate) fn set_hints(&mut self, on: bool) {
        self.hints = on;
    }

    /// Lets the user type a line.
    pub(crate) async fn read(&mut self, session: &mut Session, prompt: &str) -> Result<Vec<u8>, End> {
        let mut mode = self.begin()?;
        loop {
            let Some(key) = self.unread.pop_front() else {
                self.fit(prompt);
                self.draw(prompt)?;
                self.fill()?;
                continue;
            };
            let event = match key {
                // What Enter sends in some terminals; a pipe's line ends mean nothing.
                Key::Ctrl('j') if self.real => self.line.key(Key::Enter),
                Key::Ctrl('j') => continue,
                key => self.line.key(key),
            };
            match event {
                Event::Edited => {}
                Event::Refused => put(b"\x07")?,
                Event::Submit if self.real && session.assists() && is_unfinished(self.line.text()) => {
                    self.line.insert("\n");
                }
                Event::Submit => {
                    self.end(prompt, mode)?;
                    return Ok(self.line.take().into_bytes());
                }
                Event::End => {
                    self.end(prompt, mode)?;
                    return Err(End::Eof);
                }
                Event::Interrupt => {
                    let goes_on = self.real && !self.line.text().is_empty();
                    self.end(prompt, mode)?;
                    self.line.take();
                    if !goes_on {
                        return Err(End::Interrupted);
                    }
                    mode = self.begin()?;
                }
                Event::Complete => {
                    let (text, cursor) = (self.line.text().to_owned(), self.line.cursor());
                    let (place, texts) = complete::candidates(session, &self.docs, &text[..cursor]).await;
                    if self.line.offer(place, texts) == Event::Refused {
                        put(b"\x07")?;
                    }
                }
                Event::Clear => {
                    put(b"\x1b[H\x1b[2J")?;
                    self.screen.forget();
                }
                Event::Help => self.helps = !self.helps,
                Event::External => {
                    self.end(prompt, mode)?;
                    match edit_elsewhere(self.line.text()) {
                        Ok(text) => self.line.set(text),
                        Err(error) => put(format!("Cannot edit: {error}\n").as_bytes())?,
                    }
                    mode = self.begin()?;
                }
                Event::Suspend if self.real => {
                    self.end(prompt, mode)?;
                    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
                    mode = self.begin()?;
                }
                Event::Suspend => {}
            }
        }
    }

    fn begin(&mut self) -> io::Result<Option<Mode>> {
        self.screen.forget();
        if !self.real {
            return Ok(None);
        }
        self.screen.columns = columns();
        let mode = Mode::raw()?;
        // Pasted text comes marked.
        put(b"\x1b[?2004h")?;
        Ok(Some(mode))
    }

    /// Shows the line as it stays on the screen.
    fn end(&mut self, prompt: &str, mode: Option<Mode>) -> io::Result<()> {
        let mut out = Vec::new();
        let text = self.line.text();
        self.screen.draw(&mut out, &View { prompt, text: vec![("", text)], cursor: text.len(), ..View::default() });
        if self.real {
            out.extend_from_slice(b"\x1b[?2004l\r");
        }
        put(&out)?;
        drop(mode);
        put(b"\n")?;
        self.screen.forget();
        Ok(())
    }

    /// Waits for keys.
    fn fill(&mut self) -> Result<(), End> {
        let stdin = io::stdin();
        let limit = Timespec { tv_sec: 0, tv_nsec: ESCAPE_NS };
        let limit = self.decoder.is_waiting().then_some(&limit);
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], limit) {
            Ok(0) => {
                self.unread.extend(self.decoder.finish());
                return Ok(());
            }
            Ok(_) => {}
            // Most likely another width.
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let mut bytes = [0; READ_SIZE];
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) => Err(End::Eof),
            Ok(count) => {
                self.unread.extend(self.decoder.push(&bytes[..count]));
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Takes on the width of the window. Asked before each drawing: the signal that tells of a change can come while
    /// nothing waits for it.
    fn fit(&mut self, prompt: &str) {
        let columns = if self.real { columns() } else { self.screen.columns };
        if columns != self.screen.columns {
            let mut screen = std::mem::replace(&mut self.screen, Screen::new(1));
            screen.resize(columns, &self.view(prompt));
            self.screen = screen;
        }
    }

    fn draw(&mut self, prompt: &str) -> io::Result<()> {
        let mut out = Vec::new();
        let mut screen = std::mem::replace(&mut self.screen, Screen::new(1));
        let mut view = self.view(prompt);
        let hint = self.hint();
        view.hint = &hint;
        view.below = self.below(screen.columns);
        screen.draw(&mut out, &view);
        self.screen = screen;
        put(&out)
    }

    /// Prompt and text, as they are now.
    fn view<'a>(&'a self, prompt: &'a str) -> View<'a> {
        let Some(search) = self.line.search() else {
            let text = vec![("", self.line.text())];
            return View { prompt, text, cursor: self.line.cursor(), ..View::default() };
        };
        let prompt = match search.direction {
            Direction::Older => "(reverse-i-search): ",
            Direction::Newer => "(i-search): ",
        };
        let Some(found) = search.found else {
            let text = vec![("", search.wanted.as_str())];
            return View { prompt, text, cursor: search.wanted.len(), ..View::default() };
        };
        let (before, rest) = self.line.history.line(found.line).split_at(found.start);
        let (matched, after) = rest.split_at(search.wanted.len());
        let text = vec![(PLAIN, before), (BOLD, matched), (PLAIN, after)];
        View { prompt, text, cursor: before.len() + matched.len(), ..View::default() }
    }

    fn hint(&self) -> String {
        let text = self.line.text();
        let silent = !self.hints || self.line.search().is_some() || self.line.cursor() < text.len();
        match silent {
            true => String::new(),
            false => match hint::hint(&self.docs, text) {
                Some(hint) if text.ends_with(' ') => hint,
                Some(hint) => format!(" {hint}"),
                None => String::new(),
            },
        }
    }

    fn below(&self, columns: usize) -> Vec<String> {
        let mut rows = Vec::new();
        if let Some(candidates) = self.line.candidates() {
            rows.push(candidates_row(candidates, columns));
        }
        if self.helps {
            rows.extend(help::brief(&self.docs, self.line.text()));
        }
        rows
    }
}

/// As many candidates as one row holds, the one shown among them and inverse.
fn candidates_row(candidates: &Candidates, columns: usize) -> String {
    const INVERSE: &str = "\x1b[7m";
    let shown = candidates.shown.unwrap_or(0);
    // Whole rows, so that the row stands still until its last candidate.
    let (mut first, mut used) = (0, 0);
    for (index, text) in candidates.texts.iter().enumerate().take(shown + 1) {
        let length = text.chars().count() + 2;
        if used + length > columns {
            (first, used) = (index, 0);
        }
        used += length;
    }
    let (mut row, mut used) = (String::new(), 0);
    for (index, text) in candidates.texts.iter().enumerate().skip(first) {
        used += text.chars().count() + 2;
        if used > columns && index > first {
            break;
        }
        match candidates.shown == Some(index) {
            true => row.push_str(&format!("{INVERSE}{text}{PLAIN}  ")),
            false => row.push_str(&format!("{text}  ")),
        }
    }
    row
}

/// True while a quote is open: the line goes on.
fn is_unfinished(text: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('"'), '\\') => _ = characters.next(),
            (Some('\''), '\\') => _ = characters.next_if_eq(&'\''),
            (Some(open), character) if open == character => quote = None,
            // One in the midst of a word is a mistake more likely than a beginning.
            (None, '"' | '\'') if before.is_whitespace() => quote = Some(character),
            _ => {}
        }
        before = character;
    }
    quote.is_some()
}

/// Opens the text in the user's editor.
fn edit_elsewhere(text: &str) -> io::Result<String> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let command = given("VISUAL").or_else(|| given("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let path = std::env::temp_dir().join(format!("redis-cli-rs-{}.lua", std::process::id()));
    let mut file = {
        use std::os::unix::fs::OpenOptionsExt;
        // A file of another's making is not written to.
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?
    };
    let result = file.write_all(text.as_bytes()).and_then(|()| {
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or("vi");
        let status = std::process::Command::new(program).args(words).arg(&path).status()?;
        match status.success() {
            true => std::fs::read_to_string(&path),
            false => Err(io::Error::other(format!("{program} failed"))),
        }
    });
    let _ = std::fs::remove_file(&path);
    result.map(|text| text.trim_end_matches('\n').to_owned())
}

fn columns() -> usize {
    let size = tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
    usize::from(if size == 0 { COLUMNS } else { size })
}

fn put(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_quotes() {
        for yes in ["eval \"return", "set a '", "eval \"a\\\"", "a \"b\" 'c"] {
            assert!(is_unfinished(yes), "{yes}");
        }
        for no in ["get a", "set a \"b\"", "set it's ok", "set \"a\\\"\" b", "get \"\"key"] {
            assert!(!is_unfinished(no), "{no}");
        }
    }

    #[test]
    fn candidates_fit_a_row() {
        let mut line = Line::default();
        line.offer(0, ["AAA", "BBB", "CCC"].map(str::to_owned).to_vec());
        let row = |line: &Line, columns| candidates_row(line.candidates().unwrap(), columns);
        assert_eq!(row(&line, 80), "\x1b[7mAAA\x1b[0m  BBB  CCC  ");
        line.key(Key::Tab);
        assert_eq!(row(&line, 9), "\x1b[7mBBB\x1b[0m  ");
    }
}
