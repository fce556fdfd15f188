//! The log: every `tracing` event becomes one line, in Redis' format unless `log-format` says otherwise.
//!
//! ```text
//! 4711:M 21 Nov 2026 07:28:24.537 * Ready to accept connections tcp
//! ```
//!
//! Process, role (`M` primary, `S` replica, `C` child or still starting, `X` Sentinel), local time, level, message. The
//! levels of `tracing` stand for those of Redis: trace is debug (`.`), debug is verbose (`-`), info is notice (`*`), warn
//! and error are warning (`#`).
//!
//! A line is one `write` to a file opened for appending, and the file is opened for each line: it may be moved away at
//! any time, others may write to it too, and a forked child shares nothing that could be locked. Lines are rare; nothing is
//! logged per command. What is below the level costs one load, as `tracing` caches the answer for each place.
//! Control characters, which can only come from clients, are escaped: one event is one line.

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{OnceLock, RwLock};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::config::value::{LogFormat, LogLevel};

static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Redis as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Child as u8);
/// Absolute path; none is standard output. Written at the start only.
static FILE: RwLock<Option<PathBuf>> = RwLock::new(None);
/// Read once: looking it up later would take locks, which a forked child must not.
static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// Who writes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// A server without a primary.
    Primary = b'M',
    /// A server with one.
    Replica = b'S',
    /// A child process, or a server that does not know yet what it will be.
    Child = b'C',
    /// Sentinel.
    Sentinel = b'X',
}

impl Role {
    fn current() -> Role {
        [Role::Primary, Role::Replica, Role::Sentinel]
            .into_iter()
            .find(|role| *role as u8 == ROLE.load(Ordering::Relaxed))
            .unwrap_or(Role::Child)
    }

    fn name(self) -> &'static str {
        match self {
            Role::Primary => "master",
            Role::Replica => "replica",
            Role::Child => "child",
            Role::Sentinel => "sentinel",
        }
    }
}

/// Sends events of the whole process here, from now on. Once; later calls change nothing.
pub fn install() {
    ZONE.get_or_init(TimeZone::system);
    // Fails only when something is installed already: a test's own subscriber stays.
    let _ = tracing_subscriber::registry().with(Lines).try_init();
}

/// Takes over `loglevel`, `log-format` and `logfile`. Called at the start, and after CONFIG SET.
///
/// # Errors
/// The file cannot be opened.
pub fn configure(config: &Config) -> io::Result<()> {
    let file = match config.logfile.is_empty() {
        true => None,
        false => {
            let path = std::path::absolute(config.logfile.as_path())?;
            OpenOptions::new().create(true).append(true).open(&path)?;
            Some(path)
        }
    };
    *FILE.write().expect("nobody panics while holding it") = file;
    FORMAT.store(config.log_format as u8, Ordering::Relaxed);
    LEVEL.store(config.loglevel as u8, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

/// Changes the letter in front of the time.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

/// Writes lines as they are, without anything in front: the logo, a crash report.
pub fn raw(lines: &str) {
    write(lines.as_bytes());
}

fn level() -> LevelFilter {
    match LEVEL.load(Ordering::Relaxed) {
        level if level == LogLevel::Debug as u8 => LevelFilter::TRACE,
        level if level == LogLevel::Verbose as u8 => LevelFilter::DEBUG,
        level if level == LogLevel::Notice as u8 => LevelFilter::INFO,
        level if level == LogLevel::Warning as u8 => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    }
}

fn write(line: &[u8]) {
    // A log that cannot be written has nowhere to say so.
    let file = FILE.try_read();
    let _ = match file.as_ref().ok().and_then(|file| file.as_ref()) {
        Some(path) => OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(line)),
        None => write_stdout(line),
    };
}

/// Past the standard library's buffer and lock.
fn write_stdout(mut line: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !line.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(stdout.as_fd(), line))?;
        line = &line[written..];
    }
    Ok(())
}

/// The layer that turns events into lines.
#[derive(Debug)]
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let format = match FORMAT.load(Ordering::Relaxed) {
            format if format == LogFormat::Json as u8 => LogFormat::Json,
            format if format == LogFormat::Logfmt as u8 => LogFormat::Logfmt,
            _ => LogFormat::Redis,
        };
        let zone = ZONE.get().cloned().unwrap_or(TimeZone::UTC);
        let line = Line {
            process: std::process::id(),
            role: Role::current(),
            time: Timestamp::now().to_zoned(zone),
            level: *event.metadata().level(),
            said,
        };
        write(line.text(format).as_bytes());
    }
}

/// What an event carries.
#[derive(Debug, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").expect("writing to a string never fails");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// A line before it has a form.
#[derive(Debug)]
struct Line {
    process: u32,
    role: Role,
    time: Zoned,
    level: Level,
    said: Said,
}

impl Line {
    fn text(&self, format: LogFormat) -> String {
        let Line { process, role, time, level, said } = self;
        let name = match *level {
            Level::TRACE => "debug",
            Level::DEBUG => "verbose",
            Level::INFO => "notice",
            Level::WARN | Level::ERROR => "warning",
        };
        let iso = || time.strftime("%Y-%m-%dT%H:%M:%S.%3f%:z");
        let mut line: String;
        match format {
            LogFormat::Redis => {
                let sign = match *level {
                    Level::TRACE => '.',
                    Level::DEBUG => '-',
                    Level::INFO => '*',
                    Level::WARN | Level::ERROR => '#',
                };
                let stamp = time.strftime("%d %b %Y %H:%M:%S.%3f");
                let letter = char::from(*role as u8);
                line = format!("{process}:{letter} {stamp} {sign} ");
                escape_controls(&mut line, &said.message);
                for (field, value) in &said.fields {
                    line.push(' ');
                    line.push_str(field);
                    line.push('=');
                    escape_controls(&mut line, value);
                }
            }
            LogFormat::Json => {
                line = format!(
                    r#"{{"time":"{}","pid":{process},"role":"{}","level":"{name}","message":"#,
                    iso(),
                    role.name()
                );
                quote_json(&mut line, &said.message);
                for (field, value) in &said.fields {
                    line.push(',');
                    quote_json(&mut line, field);
                    line.push(':');
                    quote_json(&mut line, value);
                }
                line.push('}');
            }
            LogFormat::Logfmt => {
                line = format!("time={} pid={process} role={} level={name} message=", iso(), role.name());
                quote_json(&mut line, &said.message);
                for (field, value) in &said.fields {
                    line.push(' ');
                    line.push_str(field);
                    line.push('=');
                    quote_json(&mut line, value);
                }
            }
        }
        line.push('\n');
        line
    }
}

/// Appends text in which every control character is spelled out.
fn escape_controls(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            write!(out, "{}", character.escape_default()).expect("writing to a string never fails");
        } else {
            out.push(character);
        }
    }
}

/// Appends text as a JSON string, which logfmt reads too.
fn quote_json(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character.is_control() => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("writing to a string never fails");
            }
            character => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Text;

    fn line(level: Level, message: &str, fields: &[(&'static str, &str)]) -> Line {
        Line {
            process: 4711,
            role: Role::Primary,
            time: "2026-03-01T07:08:09.007+02:00[+02:00]".parse().unwrap(),
            level,
            said: Said {
                message: message.to_owned(),
                fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            },
        }
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        for (level, sign) in
            [(Level::TRACE, '.'), (Level::DEBUG, '-'), (Level::INFO, '*'), (Level::WARN, '#'), (Level::ERROR, '#')]
        {
            assert_eq!(
                line(level, "Server initialized", &[]).text(LogFormat::Redis),
                format!("4711:M 01 Mar 2026 07:08:09.007 {sign} Server initialized\n")
            );
        }
    }

    #[test]
    fn one_event_is_one_line_whatever_clients_send() {
        let nasty = line(Level::INFO, "a\r\nb\u{1b}[31m \"c\\\" é", &[("addr", "x\ny")]);
        assert_eq!(
            nasty.text(LogFormat::Redis),
            "4711:M 01 Mar 2026 07:08:09.007 * a\\r\\nb\\u{1b}[31m \"c\\\" é addr=x\\ny\n"
        );
        assert_eq!(
            nasty.text(LogFormat::Json),
            "{\"time\":\"2026-03-01T07:08:09.007+02:00\",\"pid\":4711,\"role\":\"master\",\"level\":\"notice\",\"message\":\"a\\r\\nb\\u001b[31m \\\"c\\\\\\\" é\",\"addr\":\"x\\ny\"}\n"
        );
        assert_eq!(
            nasty.text(LogFormat::Logfmt),
            "time=2026-03-01T07:08:09.007+02:00 pid=4711 role=master level=notice message=\"a\\r\\nb\\u001b[31m \\\"c\\\\\\\" é\" addr=\"x\\ny\"\n"
        );
    }

    /// The only test that touches what belongs to the whole process.
    #[test]
    fn level_format_and_file_follow_the_configuration() {
        let file = std::env::temp_dir().join(format!("log-{}.txt", std::process::id()));
        std::fs::write(&file, "### there before\n").unwrap();
        let mut config = Config { logfile: Text::from(file.to_str().unwrap()), ..Config::default() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Lines), || {
            configure(&config).unwrap();
            set_role(Role::Replica);
            // One place each, so that cached answers would show.
            let speak = |turn: u32| {
                tracing::trace!("trace {turn}");
                tracing::debug!("debug {turn}");
                tracing::info!("info {turn}");
                tracing::warn!("warn {turn}");
            };
            speak(1);
            config.loglevel = LogLevel::Debug;
            configure(&config).unwrap();
            speak(2);
            config.loglevel = LogLevel::Nothing;
            configure(&config).unwrap();
            speak(3);
            config.loglevel = LogLevel::Warning;
            config.log_format = LogFormat::Json;
            configure(&config).unwrap();
            speak(4);
            raw("raw\n");
            config.logfile = Text::from("/nonexistent/folder/log");
            assert!(configure(&config).is_err());
        });
        configure(&Config::default()).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let ends: Vec<&str> = lines
            .iter()
            .map(|line| line.rsplit_once(['*', '#', '.', '-']).map_or(*line, |(_, end)| end.trim()))
            .collect();
        assert_eq!(lines[0], "### there before");
        assert_eq!(ends[1..7], ["info 1", "warn 1", "trace 2", "debug 2", "info 2", "warn 2"]);
        assert!(lines[1].contains(":S "));
        assert!(lines[7].ends_with("\"level\":\"warning\",\"message\":\"warn 4\"}"));
        assert_eq!(lines[8..], ["raw"]);
    }
}
