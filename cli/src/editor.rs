//! Where lines come from: a terminal with editing, history, completion and hints; or a pipe.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History, MemHistory};
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use tokio::sync::oneshot;

use crate::help::{self, Doc};

/// Lines of history that are kept in memory and, when the file is read, in the file.
const HISTORY_MAX: usize = 1000;

/// Bytes of one line from a pipe at most: what a server takes as one argument, and some.
const LINE_MAX: u64 = 600 * 1024 * 1024;

/// What ends the input.
#[derive(Debug)]
pub(crate) enum End {
    Eof,
    /// Ctrl-C at the prompt.
    Interrupted,
    Failed(String),
}

/// Command lines from standard input.
pub(crate) struct Lines {
    pub(crate) source: Source,
    /// Told when standard input can be read.
    watch: Option<oneshot::Receiver<()>>,
}

/// What standard input is.
pub(crate) enum Source {
    Terminal(Box<Terminal>),
    Pipe(Pipe),
}

impl Lines {
    /// From standard input, whatever it is.
    pub(crate) fn open() -> io::Result<Lines> {
        let stdin = io::stdin();
        let source = if stdin.is_terminal() {
            Source::Terminal(Box::new(Terminal::open().map_err(io::Error::other)?))
        } else {
            let file = File::from(stdin.as_fd().try_clone_to_owned()?);
            Source::Pipe(Pipe { input: BufReader::new(file) })
        };
        Ok(Lines { source, watch: None })
    }

    /// The next line, without its end.
    pub(crate) fn read(&mut self, prompt: &str) -> Result<Vec<u8>, End> {
        self.watch = None;
        match &mut self.source {
            Source::Terminal(terminal) => terminal.read(prompt),
            Source::Pipe(pipe) => pipe.read(),
        }
    }

    /// Completes when a line, or the beginning of one, can be read. Keys typed meanwhile are not shown.
    pub(crate) async fn ready(&mut self) {
        let typing = match &self.source {
            Source::Terminal(_) => Typing::hide().ok(),
            Source::Pipe(pipe) if !pipe.input.buffer().is_empty() => return,
            Source::Pipe(_) => None,
        };
        let watch = self.watch.get_or_insert_with(watch_stdin);
        // An error means that the thread has gone: reading will tell why.
        let _ = watch.await;
        self.watch = None;
        drop(typing);
    }
}

/// Waits on a thread until standard input can be read. The thread reads nothing: one that is forgotten does no harm.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let stdin = io::stdin();
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        while matches!(poll(&mut wanted, None), Err(rustix::io::Errno::INTR)) {}
        // Nobody waits any more: fine.
        let _ = sender.send(());
    });
    receiver
}

/// Commands from a pipe or a file.
pub(crate) struct Pipe {
    input: BufReader<File>,
}

impl Pipe {
    fn read(&mut self) -> Result<Vec<u8>, End> {
        let mut line = Vec::new();
        match (&mut self.input).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) => return Err(End::Eof),
            Ok(count) if count as u64 == LINE_MAX => return Err(End::Failed("line too long".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(End::Failed(error.to_string())),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(line)
    }
}

/// Key by key and unseen, while messages are printed: any key ends the waiting.
struct Typing {
    before: Termios,
}

impl Typing {
    fn hide() -> io::Result<Typing> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Typing { before })
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A person.
pub(crate) struct Terminal {
    editor: Editor<Assistant, MemHistory>,
    history: Option<PathBuf>,
}

impl Terminal {
    fn open() -> rustyline::Result<Terminal> {
        let config = Config::builder().max_history_size(HISTORY_MAX)?.history_ignore_dups(true)?.build();
        let mut editor = Editor::with_history(config.clone(), MemHistory::with_config(&config))?;
        editor.set_helper(Some(Assistant::default()));
        let history = history_file();
        if let Some(path) = &history {
            load_history(&mut editor, path);
        }
        Ok(Terminal { editor, history })
    }

    fn read(&mut self, prompt: &str) -> Result<Vec<u8>, End> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(line.into_bytes()),
            Err(ReadlineError::Eof) => Err(End::Eof),
            Err(ReadlineError::Interrupted) => Err(End::Interrupted),
            Err(error) => Err(End::Failed(error.to_string())),
        }
    }

    /// Remembers a line, in memory and in the file.
    pub(crate) fn remember(&mut self, line: &str) {
        let added = self.editor.add_history_entry(line).unwrap_or(false);
        if let (true, Some(path)) = (added, &self.history) {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            // History is a convenience: a read-only home directory is no reason to complain at every line.
            let _ = file.and_then(|mut file| writeln!(file, "{line}"));
        }
    }

    /// What completion and hints draw from.
    pub(crate) fn set_docs(&mut self, docs: Rc<Vec<Doc>>) {
        if let Some(assistant) = self.editor.helper() {
            assistant.docs.replace(docs);
        }
    }

    pub(crate) fn set_hints(&mut self, on: bool) {
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.hints = on;
        }
    }
}

/// `REDISCLI_HISTFILE`, or a file in the home directory; none for `/dev/null`.
fn history_file() -> Option<PathBuf> {
    let path = match std::env::var_os("REDISCLI_HISTFILE").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME").filter(|home| !home.is_empty())?).join(".rediscli_history"),
    };
    (path != Path::new("/dev/null")).then_some(path)
}

/// Plain lines, the oldest first: the same file serves redis-cli. It is cut when it has grown well past its limit.
fn load_history(editor: &mut Editor<Assistant, MemHistory>, path: &Path) {
    let Ok(bytes) = std::fs::read(path) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let kept = &lines[lines.len().saturating_sub(HISTORY_MAX)..];
    for line in kept {
        let _ = editor.history_mut().add(line);
    }
    if lines.len() > 2 * HISTORY_MAX {
        let _ = std::fs::write(path, kept.join("\n") + "\n");
    }
}

/// Completion and hints from the server's documentation of its commands.
#[derive(Default)]
struct Assistant {
    docs: RefCell<Rc<Vec<Doc>>>,
    hints: bool,
}

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        if position < line.len() || line.is_empty() {
            return Ok((0, Vec::new()));
        }
        Ok((0, help::completions(&self.docs.borrow(), line)))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        if !self.hints || position < line.len() {
            return None;
        }
        help::hint(&self.docs.borrow(), line)
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[0;90;49m{hint}\x1b[0m").into()
    }
}
