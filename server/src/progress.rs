//! How far a tool is with a long file: a line at a terminal, nothing elsewhere.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal as _, Read, Write};
use std::time::{Duration, Instant};

/// How long a file takes before anything is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two drawings.
const PERIOD: Duration = Duration::from_millis(100);

/// Characters of the bar.
const WIDTH: u64 = 30;

/// Where the line is drawn to.
type Terminal = Box<dyn Write>;

/// The progress through a file; the line goes away with it.
pub(crate) struct Progress {
    total: u64,
    done: Cell<u64>,
    begun: Instant,
    next: Cell<Instant>,
    drawn: Cell<bool>,
    /// None when nobody watches.
    terminal: Option<RefCell<Terminal>>,
}

impl Progress {
    /// Through `total` bytes, shown on the standard error if that is a terminal.
    #[must_use]
    pub(crate) fn new(total: u64) -> Self {
        let stderr = io::stderr();
        Self::on(total, stderr.is_terminal().then(|| Box::new(stderr) as Terminal))
    }

    fn on(total: u64, terminal: Option<Terminal>) -> Self {
        let begun = Instant::now();
        let (next, terminal) = (Cell::new(begun + PATIENCE), terminal.map(RefCell::new));
        Progress { total, done: Cell::new(0), begun, next, drawn: Cell::new(false), terminal }
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
        if let Some(terminal) = &self.terminal
            && Instant::now() >= self.next.get()
        {
            self.next.set(Instant::now() + PERIOD);
            self.drawn.set(true);
            let line = line(self.done.get(), self.total, self.begun.elapsed());
            let mut terminal = terminal.borrow_mut();
            // A terminal that is gone is no reason to stop.
            let _ = write!(terminal, "\r\x1b[K{line}");
            let _ = terminal.flush();
        }
    }

    /// Takes the line away, as something else is about to be printed.
    pub(crate) fn erase(&self) {
        if let Some(terminal) = &self.terminal
            && self.drawn.replace(false)
        {
            let _ = terminal.borrow_mut().write_all(b"\r\x1b[K");
        }
    }

    /// A reader whose bytes are counted.
    pub(crate) fn reader<R: Read>(&self, inner: R) -> Counted<'_, R> {
        Counted { inner, progress: self }
    }

    /// An output that shares the terminal.
    pub(crate) fn output<W: Write>(&self, inner: W) -> Sharing<'_, W> {
        Sharing { inner, progress: self }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.erase();
    }
}

/// See [`Progress::reader`].
pub(crate) struct Counted<'p, R> {
    inner: R,
    progress: &'p Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}

/// See [`Progress::output`].
pub(crate) struct Sharing<'p, W> {
    inner: W,
    progress: &'p Progress,
}

impl<W: Write> Write for Sharing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.erase();
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The line, without what places it.
fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let (done, total) = (done.min(total), total.max(1));
    let part = |of: u64| (u128::from(done) * u128::from(of) / u128::from(total)) as u64;
    let filled = part(WIDTH) as usize;
    let left = if done == 0 { 0 } else { (elapsed.as_secs_f64() * (total - done) as f64 / done as f64).ceil() as u64 };
    let (bar, room) = ("=".repeat(filled), WIDTH as usize);
    format!("[{bar:room$}] {:3}% of {} MB, {left} s left", part(100), total >> 20)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_comes_when_it_takes_long_and_goes_away() {
        let screen = Screen::default();
        let progress = Progress::on(4 << 20, Some(Box::new(screen.clone())));
        progress.advance(1 << 20);
        assert!(screen.0.borrow().is_empty(), "too early");
        progress.next.set(Instant::now());
        let mut reader = progress.reader(io::repeat(7).take(1 << 20));
        io::copy(&mut reader, &mut io::sink()).expect("memory");
        let text = String::from_utf8(screen.0.borrow().clone()).expect("text");
        assert!(text.starts_with("\r\x1b[K[=======") && text.contains("% of 4 MB"), "{text:?}");
        progress.output(io::sink()).write_all(b"report\n").expect("nowhere");
        assert!(screen.0.borrow().ends_with(b"\r\x1b[K"));
        let length = screen.0.borrow().len();
        drop(progress);
        assert_eq!(screen.0.borrow().len(), length, "it was gone already");
    }

    #[test]
    fn says_how_much_is_left() {
        let line = line(1 << 30, 4 << 30, Duration::from_secs(10));
        assert_eq!(line, "[=======                       ]  25% of 4096 MB, 30 s left");
    }
}
