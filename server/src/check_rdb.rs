//! redis-check-rdb: the server under another name. Examines a file, or converts it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use engine::time::UnixMs;
use persistence::rdb::convert::{self, Format, Options};
use persistence::rdb::{Downgrade, check};

use crate::config::parse::error_text;
use crate::progress::Progress;

/// The name under which the program is this one.
pub const NAME: &str = "redis-check-rdb";

/// Runs the tool with the words behind its name; the answer is whether all is well.
#[must_use]
pub fn run(program: &str, arguments: &[Vec<u8>]) -> bool {
    match arguments {
        [option] if option == b"-v" || option == b"--version" => {
            println!("{NAME} v={}", crate::REDIS_VERSION);
            true
        }
        [file] => check(Path::new(OsStr::from_bytes(file))),
        [task, words @ ..] if task == b"convert" => match Conversion::parse(words) {
            Some(conversion) => conversion.run(),
            None => usage(program),
        },
        _ => usage(program),
    }
}

fn usage(program: &str) -> bool {
    eprintln!(
        "Usage: {program} <rdb-file-name>
       {program} convert <rdb-file-name> [<output>] --to <format> [--drop]

Formats: json (one object a line), resp (commands, for redis-cli --pipe), or an RDB file for
redis-8.0, redis-7.4, redis-7.2, redis-7.0, redis-6.2, valkey-9.0, valkey-8.1.
Without <output>, or with -, the result goes to the standard output. What the format has no
form for, and values of modules, are errors, or left out with --drop."
    );
    false
}

fn now() -> UnixMs {
    UnixMs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}

/// Examines a file; the answer is whether it is good.
fn check(path: &Path) -> bool {
    let mut out = io::stdout().lock();
    match examine(path, &mut out) {
        Ok(good) => good,
        Err(error) => {
            // What could be said is said; a closed output is no matter.
            let _ = writeln!(out, "Cannot open file {}: {}", path.display(), error_text(&error));
            false
        }
    }
}

fn examine(path: &Path, out: &mut impl Write) -> io::Result<bool> {
    writeln!(out, "[offset 0] Checking RDB file {}", path.display())?;
    let file = File::open(path)?;
    let total = file.metadata()?.len();
    let progress = Progress::new(total);
    let report = check::check(progress.reader(file), Some(total), now(), &mut progress.output(out))?;
    Ok(report.problem.is_none())
}

/// A file to be converted.
#[derive(Debug, PartialEq, Eq)]
struct Conversion {
    input: PathBuf,
    /// None is the standard output.
    output: Option<PathBuf>,
    options: Options,
}

impl Conversion {
    fn parse(words: &[Vec<u8>]) -> Option<Conversion> {
        let (mut files, mut format, mut drop) = (Vec::new(), None, false);
        let mut words = words.iter().map(Vec::as_slice);
        while let Some(word) = words.next() {
            match word {
                b"--to" => format = Some(std::str::from_utf8(words.next()?).ok()?.parse::<Format>().ok()?),
                b"--drop" => drop = true,
                b"-" => files.push(word),
                option if option.starts_with(b"-") => return None,
                file => files.push(file),
            }
        }
        let path = |word: &[u8]| PathBuf::from(OsStr::from_bytes(word));
        let (input, output) = match files[..] {
            [input] | [input, b"-"] => (path(input), None),
            [input, output] => (path(input), Some(path(output))),
            _ => return None,
        };
        let downgrade = if drop { Downgrade::Drop { now: now() } } else { Downgrade::Fail };
        Some(Conversion { input, output, options: Options { format: format?, downgrade } })
    }

    /// Converts; tells the standard error what came of it.
    fn run(&self) -> bool {
        let converted = match &self.output {
            None => self.convert(io::stdout().lock()),
            Some(path) => self.convert_to(path),
        };
        match converted {
            Ok(report) => {
                eprintln!("{} keys converted, {} libraries of functions", report.keys, report.functions);
                if report.empty > 0 {
                    eprintln!("{} keys without elements left out", report.empty);
                }
                for module in &report.modules {
                    eprintln!("Data of the module {module} beside the keys left out");
                }
                if report.module_keys > 0 {
                    eprintln!("{} keys whose values are those of modules left out", report.module_keys);
                }
                if !report.dropped.is_empty() {
                    eprintln!("Left out, as the format has no form for them: {}", report.dropped);
                }
                if report.has_rest {
                    eprintln!("What follows the RDB in the file was not converted");
                }
                true
            }
            Err(error) => {
                eprintln!("{}: {error}", self.input.display());
                false
            }
        }
    }

    fn convert(&self, output: impl Write) -> Result<convert::Report, String> {
        let open = |error: io::Error| format!("cannot be opened: {}", error_text(&error));
        let file = File::open(&self.input).map_err(open)?;
        // A pipe has no length.
        let meta = file.metadata().map_err(open)?;
        let total = meta.is_file().then_some(meta.len());
        let progress = Progress::new(total.unwrap_or(0));
        let input: &mut dyn Read = &mut progress.reader(file);
        let converted = convert::convert(input, total, output, &self.options);
        converted.map_err(|error| error.to_string())
    }

    /// Converts into a file that is there only when it is whole.
    fn convert_to(&self, path: &Path) -> Result<convert::Report, String> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(name);
        let failed = |error: io::Error| format!("{}: {}", path.display(), error_text(&error));
        let file = File::create_new(&temporary).map_err(failed)?;
        let converted = self.convert(&file).and_then(|report| {
            file.sync_all().and_then(|()| std::fs::rename(&temporary, path)).map_err(failed)?;
            Ok(report)
        });
        if converted.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        converted
    }
}
