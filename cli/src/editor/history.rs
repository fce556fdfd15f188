//! Lines typed before, in memory and in a file that redis-cli can read, too: plain lines, the oldest first.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Lines that are kept in memory and, when the file is read, in the file.
const LINES_MAX: usize = 1000;

/// Bytes of the file that are read at most.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct History {
    lines: Vec<String>,
    file: Option<PathBuf>,
}

/// Where a search looks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Older,
    Newer,
}

/// A line that holds what was searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The line's index.
    pub(crate) line: usize,
    /// Where the match begins, in bytes.
    pub(crate) start: usize,
}

impl History {
    /// The lines of `REDISCLI_HISTFILE`, or of a file in the home directory; of none for `/dev/null`.
    pub(crate) fn open() -> History {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = given("REDISCLI_HISTFILE").or_else(|| given("HOME").map(|home| home.join(".rediscli_history")));
        match path {
            Some(path) if path != Path::new("/dev/null") => History::read(path),
            _ => History::default(),
        }
    }

    /// The file is cut when it has grown well past its limit.
    fn read(path: PathBuf) -> History {
        let small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= FILE_MAX);
        let bytes = if small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let kept = &lines[lines.len().saturating_sub(LINES_MAX)..];
        if lines.len() > 2 * LINES_MAX {
            // History is a convenience: a read-only home directory is no reason to complain.
            let _ = std::fs::write(&path, kept.join("\n") + "\n");
        }
        History { lines: kept.iter().map(|&line| line.to_owned()).collect(), file: Some(path) }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn line(&self, index: usize) -> &str {
        self.lines.get(index).map_or("", String::as_str)
    }

    /// Adds a line unless it equals the last.
    pub(crate) fn add(&mut self, line: &str) {
        if line.is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
        if let (Some(path), Some(line)) = (&self.file, on_one_line(line)) {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let _ = file.and_then(|mut file| writeln!(file, "{line}"));
        }
    }

    /// The first line that holds `wanted`, from line `from` on. Upper case in `wanted` makes case count.
    pub(crate) fn find(&self, wanted: &str, from: Option<usize>, direction: Direction) -> Option<Found> {
        if wanted.is_empty() {
            return None;
        }
        let exact = wanted.bytes().any(|byte| byte.is_ascii_uppercase());
        let matches = |line: usize| {
            let text = &self.lines[line];
            let start = match exact {
                true => text.find(wanted),
                false => text.to_ascii_lowercase().find(wanted),
            };
            start.map(|start| Found { line, start })
        };
        let last = self.lines.len().checked_sub(1)?;
        match direction {
            Direction::Older => (0..=from.unwrap_or(last).min(last)).rev().find_map(matches),
            Direction::Newer => (from.unwrap_or(0)..=last).find_map(matches),
        }
    }
}

/// The line as the file can hold it: a line break within double quotes has a spelling, elsewhere it has none.
fn on_one_line(line: &str) -> Option<String> {
    if !line.contains('\n') {
        return Some(line.to_owned());
    }
    let mut out = String::with_capacity(line.len() + 8);
    let mut quoted = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('\n', Some('"')) => {
                out.push_str("\\n");
                continue;
            }
            ('\n', _) => return None,
            ('\\', Some(_)) => {
                out.push(character);
                match characters.next() {
                    Some('\n') | None => return None,
                    Some(next) => out.push(next),
                }
                continue;
            }
            ('"' | '\'', None) => quoted = Some(character),
            (character, Some(quote)) if character == quote => quoted = None,
            _ => {}
        }
        out.push(character);
    }
    Some(out)
}

#[cfg(test)]
pub(crate) fn of(lines: &[&str]) -> History {
    History { lines: lines.iter().map(|&line| line.to_owned()).collect(), file: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searching() {
        let history = of(&["keys one", "keys two", "GET blah"]);
        let older = |wanted, from| history.find(wanted, from, Direction::Older);
        assert_eq!(older("ey", None), Some(Found { line: 1, start: 1 }));
        assert_eq!(older("ey", Some(0)), Some(Found { line: 0, start: 1 }));
        assert_eq!(older("ET b", None), Some(Found { line: 2, start: 1 }));
        assert_eq!(older("get", None), Some(Found { line: 2, start: 0 }));
        assert_eq!(older("KEYS", None), None);
        assert_eq!(older("", None), None);
        assert_eq!(history.find("ey", None, Direction::Newer), Some(Found { line: 0, start: 1 }));
        assert_eq!(of(&[]).find("a", None, Direction::Newer), None);
    }

    #[test]
    fn line_breaks_within_quotes() {
        assert_eq!(on_one_line("EVAL \"a\nb\" 0").as_deref(), Some("EVAL \"a\\nb\" 0"));
        assert_eq!(on_one_line("EVAL 'a\nb' 0"), None);
        assert_eq!(on_one_line("SET a \"\\\"\n\""), Some("SET a \"\\\"\\n\"".to_owned()));
    }

    #[test]
    fn the_file_is_plain_lines() {
        let path = std::env::temp_dir().join(format!("redis-cli-rs-history-{}", std::process::id()));
        std::fs::write(&path, "one\n\ntwo\n").unwrap();
        let mut history = History::read(path.clone());
        for line in ["two", "three", "three"] {
            history.add(line);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "one\n\ntwo\nthree\n");
        assert_eq!(history.len(), 3);
    }
}
