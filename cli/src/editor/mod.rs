//! Where command lines come from: a terminal with editing, history, completion and hints; or a pipe.
//!
//! [`keys`] turns bytes into keys, [`line`] keys into edits, [`screen`] draws; none of them does any input or output, which
//! is [`terminal`]'s. So the same editor serves a pipe whose other end behaves like a person.

mod history;
mod keys;
mod line;
mod screen;
mod terminal;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::oneshot;

use crate::session::Session;
pub(crate) use terminal::{Mode, Terminal};

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

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Failed(crate::connection::io_text(&error))
    }
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
        let real = stdin.is_terminal() && io::stdout().is_terminal();
        // How redis-cli's tests ask for a prompt on a pipe.
        let faked = !real && std::env::var_os("FAKETTY_WITH_PROMPT").is_some();
        let source = if faked || real && !is_dumb() {
            Source::Terminal(Box::new(Terminal::open(real)))
        } else {
            let file = File::from(stdin.as_fd().try_clone_to_owned()?);
            Source::Pipe(Pipe { input: BufReader::new(file), prompts: stdin.is_terminal() })
        };
        Ok(Lines { source, watch: None })
    }

    /// The next line, without its end. The session is asked what a line could be completed to.
    pub(crate) async fn read(&mut self, session: &mut Session, prompt: &str) -> Result<Vec<u8>, End> {
        self.watch = None;
        match &mut self.source {
            Source::Terminal(terminal) => terminal.read(session, prompt).await,
            Source::Pipe(pipe) => pipe.read(prompt),
        }
    }

    /// Completes when a line, or the beginning of one, can be read. Keys typed meanwhile are not shown.
    pub(crate) async fn ready(&mut self) {
        let typing = match &self.source {
            Source::Terminal(terminal) if terminal.has_unread() => return,
            Source::Terminal(_) => Mode::unseen().ok(),
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

/// Terminals that know no escape sequences.
fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| ["dumb", "cons25", "emacs"].contains(&term.as_str()))
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

/// Commands from a pipe, a file, or a terminal that can do nothing but print.
pub(crate) struct Pipe {
    input: BufReader<File>,
    prompts: bool,
}

impl Pipe {
    fn read(&mut self, prompt: &str) -> Result<Vec<u8>, End> {
        if self.prompts {
            print!("{prompt}");
            io::stdout().flush()?;
        }
        let mut line = Vec::new();
        match (&mut self.input).take(LINE_MAX).read_until(b'\n', &mut line)? {
            0 => return Err(End::Eof),
            count if count as u64 == LINE_MAX => return Err(End::Failed("line too long".to_owned())),
            _ => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(line)
    }
}
