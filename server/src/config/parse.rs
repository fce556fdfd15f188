//! Reading configuration files: lines of quoted words, comments, `include`.
//!
//! Later lines override earlier ones, except that those of `save` add up. Arguments of the command line arrive as
//! lines too (see [`args`](super::args)), behind those of the file.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use engine::glob;
use resp::inline::split_words;

use super::params::{Action, Config, Param};
use super::value::{Reason, Source, Text};
use super::{Rename, UserLine};

/// How deep files may include each other.
pub const INCLUDE_DEPTH_MAX: usize = 16;

/// Directives of older versions that no longer do anything.
const IGNORED: [&str; 4] =
    ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands", "io-threads-do-reads"];

const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

/// A line of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1. Arguments count on behind the file's lines.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// Why the configuration cannot be used. Shown as Redis shows it, over several lines.
#[derive(Debug)]
pub enum LoadError {
    /// A file cannot be read.
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is wrong.
    Line {
        /// Which.
        at: Place,
        /// Why.
        reason: Reason,
    },
    /// The whole makes no sense.
    Whole {
        /// Why.
        reason: Reason,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEADING: &str = "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.6) ***";
        match self {
            LoadError::Open { path, error } => {
                write!(f, "Fatal error, can't open config file '{}': {}", path.display(), error_text(error))
            }
            LoadError::Line { at, reason } => {
                let Place { line, text } = at;
                write!(f, "{HEADING}\nReading the configuration file, at line {line}\n>>> '{text}'\n{reason}")
            }
            LoadError::Whole { reason } => write!(f, "{HEADING}\n{reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// What the operating system says of an error, without Rust's number behind it.
#[must_use]
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Gathers a [`Config`] from texts.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    /// Parameters that a line has named.
    seen: BTreeSet<&'static str>,
    /// How many files deep `include` has led.
    depth: usize,
    enter: fn(&Path) -> io::Result<()>,
}

impl Loader {
    /// Starts from the defaults. `dir` lines take effect at once, through the working directory of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::with_enter(|path| std::env::set_current_dir(path))
    }

    /// The same, with another way to enter the folder of a `dir` line.
    #[must_use]
    pub fn with_enter(enter: fn(&Path) -> io::Result<()>) -> Self {
        Loader { config: Config::default(), seen: BTreeSet::new(), depth: 0, enter }
    }

    /// Notes the file that CONFIG REWRITE is to write, as an absolute path.
    pub fn set_file(&mut self, file: PathBuf) {
        self.config.origin.file = Some(file);
    }

    /// Reads one text: a whole file with what follows it.
    ///
    /// # Errors
    /// The first line that is wrong, or a file that cannot be included.
    pub fn read(&mut self, text: &[u8]) -> Result<(), LoadError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let at = Place { line: index + 1, text: String::from_utf8_lossy(line).into_owned() };
            let Ok(words) = split_words(line) else {
                return Err(LoadError::Line { at, reason: "Unbalanced quotes in configuration line".into() });
            };
            let Some((name, values)) = words.split_first() else { continue };
            if name.eq_ignore_ascii_case(b"include") && values.len() == 1 {
                self.include(&Text(values[0].clone()), at)?;
                continue;
            }
            self.directive(name, values, &at).map_err(|reason| LoadError::Line { at, reason })?;
        }
        Ok(())
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// Parameters that exclude each other.
    pub fn finish(mut self) -> Result<Config, LoadError> {
        if self.config.cluster_enabled && self.config.replicaof.0.is_some() {
            return Err(LoadError::Whole { reason: "replicaof directive not allowed in cluster mode".into() });
        }
        if self.config.dir.is_empty() {
            self.config.dir = working_dir(&Text::from("."));
        }
        Ok(self.config)
    }

    fn directive(&mut self, name: &[u8], values: &[Vec<u8>], at: &Place) -> Result<(), Reason> {
        if let Some(param) = Param::find(name) {
            return self.parameter(param, values);
        }
        let origin = &mut self.config.origin;
        match (name.to_ascii_lowercase().as_slice(), values) {
            (b"rename-command", [from, to]) => {
                origin.renamed.push(Rename { from: from.clone(), to: to.clone(), at: at.clone() });
            }
            (b"user", [name, rules @ ..]) => {
                if origin.users.iter().any(|user| user.name == *name) {
                    let name = String::from_utf8_lossy(name);
                    return Err(format!("Error in user declaration '{name}': Duplicate user found. A user can only be defined once in config files").into());
                }
                origin.users.push(UserLine { name: name.clone(), rules: rules.to_vec() });
            }
            (b"loadmodule", [_, ..]) => return Err("This server cannot load modules".into()),
            (b"sentinel", [_, ..]) => return Err("sentinel directive while not in sentinel mode".into()),
            (name, [_]) if IGNORED.iter().any(|ignored| name == ignored.as_bytes()) => {}
            _ => return Err(BAD_DIRECTIVE.into()),
        }
        Ok(())
    }

    fn parameter(&mut self, param: &'static Param, values: &[Vec<u8>]) -> Result<(), Reason> {
        let first = self.seen.insert(param.name);
        param.assign(&mut self.config, values, Source::File { first })?;
        if param.action == Some(Action::Dir) {
            (self.enter)(self.config.dir.as_path()).map_err(|error| error_text(&error))?;
            self.config.dir = working_dir(&self.config.dir);
        }
        if self.depth > 0 {
            self.config.origin.included.insert(param.name);
        } else {
            self.config.origin.included.remove(param.name);
        }
        Ok(())
    }

    fn include(&mut self, path: &Text, at: Place) -> Result<(), LoadError> {
        if self.depth == INCLUDE_DEPTH_MAX {
            return Err(LoadError::Line { at, reason: "too many files include each other".into() });
        }
        self.depth += 1;
        for path in expand(path) {
            let text = std::fs::read(&path).map_err(|error| LoadError::Open { path, error })?;
            self.read(&text)?;
        }
        self.depth -= 1;
        Ok(())
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

/// The absolute name of the working directory, or `fallback` when it has none any more.
#[must_use]
pub fn working_dir(fallback: &Text) -> Text {
    use std::os::unix::ffi::OsStringExt;
    std::env::current_dir().map_or_else(|_| fallback.clone(), |dir| Text(dir.into_os_string().into_vec()))
}

/// The files that a path names, in order: itself, or all that match when it is a pattern.
fn expand(path: &Text) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let is_pattern = |part: &[u8]| part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
    if !is_pattern(path) {
        return vec![path.as_path().to_owned()];
    }
    let mut found = vec![PathBuf::new()];
    for part in path.as_path().components() {
        let name = part.as_os_str();
        if !is_pattern(name.as_bytes()) {
            found.iter_mut().for_each(|path| path.push(name));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let Ok(entries) = std::fs::read_dir(place) else { continue };
            let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            let hidden = |name: &[u8]| name.starts_with(b".") && !part.as_os_str().as_bytes().starts_with(b".");
            next.extend(
                names
                    .iter()
                    .filter(|entry| !hidden(entry.as_bytes()) && glob::matches(name.as_bytes(), entry.as_bytes()))
                    .map(|entry| folder.join(entry)),
            );
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::{OutputLimit, SavePoint};

    fn load(text: &str) -> Result<Config, LoadError> {
        let mut loader = Loader::with_enter(|_| Ok(()));
        loader.read(text.as_bytes())?;
        loader.finish()
    }

    fn reason(text: &str) -> String {
        match load(text) {
            Err(LoadError::Line { at, reason }) => format!("{}: {} | {reason}", at.line, at.text),
            other => panic!("expected a refused line, got {other:?}"),
        }
    }

    #[test]
    fn lines_are_words_and_later_ones_override() {
        let config = load("# comment\n\n  PORT   7000 \r\nport \"7001\"\nrequirepass 'a b'\nmaxmemory 2mb\n").unwrap();
        assert_eq!(config.port, 7001);
        assert_eq!(config.requirepass, Text::from("a b"));
        assert_eq!(config.maxmemory, 2 << 20);
    }

    #[test]
    fn refused_lines_are_shown_with_their_number() {
        for (text, expected) in [
            ("port 6379 6380", "1: port 6379 6380 | wrong number of arguments"),
            ("\n port", "2: port | wrong number of arguments"),
            ("port x", "1: port x | argument couldn't be parsed into an integer"),
            ("port 70000", "1: port 70000 | argument must be between 0 and 65535 inclusive"),
            ("unixsocketperm 888", "1: unixsocketperm 888 | argument couldn't be parsed as an octal number"),
            ("unixsocketperm 7777", "1: unixsocketperm 7777 | argument must be between 0 and 777 inclusive"),
            ("nonsense", "1: nonsense | Bad directive or wrong number of arguments"),
            ("nonsense 1", "1: nonsense 1 | Bad directive or wrong number of arguments"),
            ("maxmemory '1", "1: maxmemory '1 | Unbalanced quotes in configuration line"),
            ("save 1", "1: save 1 | Invalid save parameters"),
            ("user", "1: user | Bad directive or wrong number of arguments"),
            ("replicaof a b", "1: replicaof a b | Invalid master port"),
            ("replicaof a", "1: replicaof a | wrong number of arguments"),
            ("notify-keyspace-events a b", "1: notify-keyspace-events a b | wrong number of arguments"),
            ("appendfilename ''", "1: appendfilename '' | appendfilename can't be empty"),
            ("dbfilename a/b", "1: dbfilename a/b | dbfilename can't be a path, just a filename"),
            (
                "proc-title-template {foo}",
                "1: proc-title-template {foo} | template format is invalid or contains unknown variables",
            ),
            (
                "user a on\nuser a off",
                "2: user a off | Error in user declaration 'a': Duplicate user found. A user can only be defined once in config files",
            ),
        ] {
            assert_eq!(reason(text), expected);
        }
    }

    #[test]
    fn errors_look_like_those_of_redis() {
        let text = load("port a").unwrap_err().to_string();
        assert_eq!(
            text,
            "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.6) ***\nReading the configuration file, at line 1\n>>> 'port a'\nargument couldn't be parsed into an integer"
        );
        assert!(
            load("cluster-enabled yes\nreplicaof h 1")
                .unwrap_err()
                .to_string()
                .ends_with("\nreplicaof directive not allowed in cluster mode")
        );
    }

    #[test]
    fn save_lines_add_up_over_the_defaults() {
        let point = |seconds, changes| SavePoint { seconds, changes };
        assert_eq!(load("").unwrap().save.0, [point(3600, 1), point(300, 100), point(60, 10000)]);
        assert_eq!(load("save 100 100").unwrap().save.0, [point(100, 100)]);
        assert_eq!(
            load("save 900 1\nsave \"100 100 5 0\"").unwrap().save.0,
            [point(900, 1), point(100, 100), point(5, 0)]
        );
        assert_eq!(load("save 900 1\nsave ''").unwrap().save.0, []);
        assert_eq!(load("save ''\nsave 7 7").unwrap().save.0, [point(7, 7)]);
    }

    #[test]
    fn output_limits_change_class_by_class() {
        let limits = load("client-output-buffer-limit slave 1mb 1kb 7\nclient-output-buffer-limit pubsub 5 6 7")
            .unwrap()
            .client_output_buffer_limits;
        assert_eq!(limits.normal, OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 });
        assert_eq!(limits.replica, OutputLimit { hard_bytes: 1 << 20, soft_bytes: 1024, soft_seconds: 7 });
        assert_eq!(limits.pubsub, OutputLimit { hard_bytes: 5, soft_bytes: 6, soft_seconds: 7 });
    }

    #[test]
    fn what_only_files_say_is_kept() {
        let config = load("user alice on +@all\nrename-command FLUSHALL ''\nio-threads-do-reads yes").unwrap();
        assert_eq!(
            config.origin.users,
            [UserLine { name: b"alice".to_vec(), rules: vec![b"on".to_vec(), b"+@all".to_vec()] }]
        );
        assert_eq!(config.origin.renamed[0].from, b"FLUSHALL");
        assert_eq!(config.origin.renamed[0].to, b"");
    }

    #[test]
    fn files_include_others_by_name_or_pattern() {
        let dir = std::env::temp_dir().join(format!("config-include-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/a.conf"), "port 1\nhz 20").unwrap();
        std::fs::write(dir.join("d/b.conf"), "port 2").unwrap();
        let show = dir.display();
        let config = load(&format!("include {show}/d/*.conf\nhz 30\ninclude {show}/none*.conf")).unwrap();
        assert_eq!((config.port, config.hz), (2, 30));
        assert_eq!(config.origin.included, BTreeSet::from(["port"]));
        assert!(matches!(load(&format!("include {show}/none")), Err(LoadError::Open { .. })));
        std::fs::write(dir.join("loop.conf"), format!("include {show}/loop.conf")).unwrap();
        assert!(reason(&format!("include {show}/loop.conf")).ends_with("too many files include each other"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
