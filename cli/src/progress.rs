//! How far a long job is, on one line of standard error that is drawn over and over. Silent unless that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is drawn.
const PACE: Duration = Duration::from_millis(200);

/// Columns of the bar.
const BAR: u64 = 30;

/// See the [module](self).
pub(crate) struct Progress {
    on: bool,
    unit: &'static str,
    started: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// `plain`: the user wants none.
    pub(crate) fn new(unit: &'static str, plain: bool) -> Progress {
        let on = !plain && io::stderr().is_terminal();
        Progress { on, unit, started: Instant::now(), drawn: None }
    }

    /// `done` of `total`, if that is known.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>) {
        if !self.on || self.drawn.is_some_and(|drawn| drawn.elapsed() < PACE) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(done, total, self.unit, self.started.elapsed());
        // Nobody misses a line that cannot be shown.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    /// Clears the line.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Passes bytes on and shows how many there were.
pub(crate) struct Counted<W> {
    pub(crate) to: W,
    pub(crate) progress: Progress,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.done += count as u64;
        self.progress.show(self.done, self.total);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn line(done: u64, total: Option<u64>, unit: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let full = (done.min(total) * BAR / total) as usize;
            let percent = done.min(total) as f64 / total as f64 * 100.0;
            let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR as usize - full));
            format!("[{bar}] {percent:3.0}% {done} {unit}, {rate:.0}/s")
        }
        None => format!("{done} {unit}, {rate:.0}/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let second = Duration::from_secs(1);
        assert_eq!(line(5, Some(10), "bytes", second), "[###############---------------]  50% 5 bytes, 5/s");
        assert_eq!(line(20, Some(10), "bytes", second), format!("[{}] 100% 20 bytes, 20/s", "#".repeat(30)));
        assert_eq!(line(7, None, "keys", second), "7 keys, 7/s");
        assert_eq!(line(7, Some(0), "keys", Duration::ZERO), "7 keys, 7000/s");
    }
}
