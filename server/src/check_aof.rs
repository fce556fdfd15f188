//! redis-check-aof: looks at the files of an append-only file, cuts off what is not whole, or what came after a moment.
//! The server binary does this under the name `redis-check-aof`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use engine::config::EngineConfig;
use persistence::aof::manifest::{FileType, Manifest};
use persistence::aof::reader::{Item, Malformed, Mistake, ReadError, Reader};
use persistence::aof::timestamp;
use persistence::rdb;

use crate::config::parse::error_text;
use crate::progress::Progress;

/// The name under which the server binary is this tool.
pub const NAME: &str = "redis-check-aof";

/// Bytes of a tail that is no command whose lines are counted.
const TAIL_MAX: u64 = 64 << 20;

/// What is to be done besides looking.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Task {
    Check,
    /// Cut off what is not whole.
    Fix,
    /// Cut off what came after this moment, in seconds since the epoch.
    TruncateTo(i64),
}

/// What was found out about a file.
enum Verdict {
    Valid,
    Empty,
    /// Its end was cut off.
    Truncated,
}

/// The reason to end without success; it has been printed.
struct Failed;

/// A file to be looked at.
struct Target {
    path: PathBuf,
    name: String,
    last: bool,
}

/// Runs the tool with the words behind its name. Returns whether all is well.
#[must_use]
pub fn run(program: &str, words: &[Vec<u8>]) -> bool {
    let (task, path) = match words {
        [path] => (Task::Check, path),
        [option, path] if option == b"--fix" => (Task::Fix, path),
        [option, moment, path] if option == b"--truncate-to-timestamp" => {
            let Some(moment) = resp::number::parse_i64(moment) else {
                println!("Invalid timestamp, aborting...");
                return false;
            };
            (Task::TruncateTo(moment), path)
        }
        _ => {
            println!("Usage: {program} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>");
            return false;
        }
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut check = Check { task, lines: 1 };
    match is_manifest(path) {
        Err(error) => {
            println!("Cannot open file {}: {}", path.display(), error_text(&error));
            false
        }
        Ok(true) => check.many(path).is_ok(),
        Ok(false) => check.one(path).is_ok(),
    }
}

/// Whether a file names files; otherwise it is one of commands, or begins with an RDB.
fn is_manifest(path: &Path) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(persistence::aof::manifest::LINE_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        if line[0] != b'#' {
            return Ok(line.starts_with(b"file "));
        }
    }
}

struct Check {
    task: Task,
    /// The line that is looked at, over all files.
    lines: u64,
}

impl Check {
    fn one(&mut self, path: &Path) -> Result<(), Failed> {
        println!("Start checking Old-Style AOF");
        let name = path.display().to_string();
        let target = Target { path: path.to_owned(), name: name.clone(), last: true };
        match self.file(&target)? {
            Verdict::Valid => println!("AOF {name} is valid"),
            Verdict::Empty => println!("AOF {name} is empty"),
            Verdict::Truncated => {}
        }
        Ok(())
    }

    fn many(&mut self, path: &Path) -> Result<(), Failed> {
        println!("Start checking Multi Part AOF");
        let text = std::fs::read(path).map_err(|error| {
            println!("Cannot open file {}: {}", path.display(), error_text(&error));
            Failed
        })?;
        let manifest = Manifest::parse(&text).map_err(|error| {
            println!("*** FATAL AOF MANIFEST FILE ERROR ***");
            if let Some((number, line)) = &error.line {
                println!("Reading the manifest file, at line {number}");
                println!(">>> '{}'", String::from_utf8_lossy(line));
            }
            println!("{error}");
            Failed
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let count = manifest.files().len();
        for (index, file) in manifest.files().enumerate() {
            let path = folder.join(std::ffi::OsStr::from_bytes(&file.name));
            let name = String::from_utf8_lossy(&file.name).into_owned();
            let kind = if file.file_type == FileType::Base { "BASE" } else { "INCR" };
            if file.file_type == FileType::Base {
                let format = if begins_with_rdb(&path) { "RDB" } else { "RESP" };
                println!("Start to check BASE AOF ({format} format).");
            } else if index == usize::from(manifest.base.is_some()) {
                println!("Start to check INCR files.");
            }
            match self.file(&Target { path, name: name.clone(), last: index + 1 == count })? {
                Verdict::Valid => println!("{kind} AOF {name} is valid"),
                Verdict::Empty => println!("{kind} AOF {name} is empty"),
                Verdict::Truncated => {}
            }
        }
        println!("All AOF files and manifest are valid");
        Ok(())
    }

    fn file(&mut self, target: &Target) -> Result<Verdict, Failed> {
        let name = &target.name;
        let failed = |error: io::Error| {
            println!("Cannot read file {}: {}, aborting...", name, error_text(&error));
            Failed
        };
        let mut file = File::open(&target.path).map_err(|error| {
            println!("Cannot open file {}: {}, aborting...", target.path.display(), error_text(&error));
            Failed
        })?;
        let size = file.metadata().map_err(failed)?.len();
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let begin = if begins_with_rdb(&target.path) { check_rdb(&mut file, &target.path)? } else { 0 };
        file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let progress = Progress::new(size - begin);
        let mut reader = Reader::new(progress.reader(&file), begin);
        reader.verify_checksums();
        let (mut whole, mut open, mut moment, mut position) = (begin, false, None, begin);
        let end = 'reading: loop {
            let batch = match reader.batch() {
                Ok(batch) if batch.is_empty() => break None,
                Ok(batch) => batch,
                Err(error) => break Some(error),
            };
            let mut at = whole;
            for (item, end) in batch.items() {
                match item {
                    // Redis does not count these lines.
                    Item::Annotation(text) => {
                        let told = timestamp(text);
                        if let (Task::TruncateTo(limit), Some(told)) = (self.task, told)
                            && told > limit
                        {
                            moment = Some((limit, at));
                            break 'reading None;
                        }
                    }
                    Item::Command(mut words) => {
                        self.lines += 1 + 2 * words.len() as u64;
                        let first = words.next().unwrap_or_default();
                        // Where the last word begins, as the messages have it.
                        position = end - 2 - words.last().unwrap_or(first).len() as u64;
                        if first.eq_ignore_ascii_case(b"multi") {
                            if open {
                                progress.erase();
                                println!("0x{position:16x}: Unexpected MULTI in AOF {name}");
                                break 'reading Some(ReadError::Truncated);
                            }
                            open = true;
                        } else if first.eq_ignore_ascii_case(b"exec") {
                            if !open {
                                progress.erase();
                                println!("0x{position:16x}: Unexpected EXEC in AOF {name}");
                                break 'reading Some(ReadError::Truncated);
                            }
                            open = false;
                        }
                    }
                }
                at = end;
                if !open {
                    whole = end;
                }
            }
        };
        progress.erase();
        if let Some((limit, at)) = moment {
            return truncate_to(target, limit, at);
        }
        match &end {
            Some(ReadError::Format(Malformed { offset, what })) => {
                println!("0x{offset:16x}: {what}");
                if matches!(what, Mistake::Prefix { expected: b'*', .. }) {
                    println!("AOF {name} format error");
                }
            }
            Some(ReadError::Io(error)) => println!("AOF {name}: {}", error_text(error)),
            Some(ReadError::Truncated) | None => {}
        }
        if let Some(ReadError::Format(Malformed { what: Mistake::Checksum { .. }, .. })) = &end {
            // Nobody knows which of them is wrong.
            whole = reader.verified().unwrap_or(whole);
            println!("AOF {name} checksum mismatch: something behind offset {whole} is damaged");
        }
        if end.is_some() {
            let at = reader.offset();
            self.lines += lines_of_tail(&file, at).map_err(failed)?;
        } else if open {
            println!("0x{position:16x}: Reached EOF before reading EXEC for MULTI");
        }
        if let Task::TruncateTo(limit) = self.task
            && end.is_none()
            && !open
        {
            println!("Truncate nothing in AOF {name} to timestamp {limit}");
            return Ok(Verdict::Valid);
        }
        let left = size - whole;
        println!(
            "AOF analyzed: filename={name}, size={size}, ok_up_to={whole}, ok_up_to_line={}, diff={left}",
            self.lines
        );
        if left == 0 {
            return Ok(Verdict::Valid);
        }
        if self.task != Task::Fix {
            println!("AOF {name} is not valid. Use the --fix option to try fixing it.");
            return Err(Failed);
        }
        self.fix(target, size, whole)
    }

    /// Cuts off what is not whole, if that is wanted.
    fn fix(&self, target: &Target, size: u64, whole: u64) -> Result<Verdict, Failed> {
        let name = &target.name;
        if !target.last {
            println!("Failed to truncate AOF {name} because it is not the last file");
            return Err(Failed);
        }
        println!("This will shrink the AOF {name} from {size} bytes, with {} bytes, to {whole} bytes", size - whole);
        print!("Continue? [y/N]: ");
        let _ = io::stdout().flush();
        let mut answer = String::new();
        let _ = io::stdin().lock().take(64).read_line(&mut answer);
        if !answer.to_ascii_lowercase().starts_with('y') {
            println!("Aborting...");
            return Err(Failed);
        }
        cut(&target.path, whole).map_err(|error| {
            println!("Failed to truncate AOF {name}: {}", error_text(&error));
            Failed
        })?;
        println!("Successfully truncated AOF {name}");
        Ok(Verdict::Truncated)
    }
}

fn truncate_to(target: &Target, limit: i64, at: u64) -> Result<Verdict, Failed> {
    let name = &target.name;
    if !target.last {
        println!("Failed to truncate AOF {name} to timestamp {limit} to offset {at} because it is not the last file.");
        println!(
            "If you insist, please delete all files after this file according to the manifest file and delete the corresponding records in manifest file manually. Then re-run redis-check-aof."
        );
        return Err(Failed);
    }
    if at == 0 {
        println!("AOF {name} has nothing before timestamp {limit}, aborting...");
        return Err(Failed);
    }
    cut(&target.path, at).map_err(|error| {
        println!("Failed to truncate AOF {name} to timestamp {limit}: {}", error_text(&error));
        Failed
    })?;
    println!("Successfully truncated AOF {name} to timestamp {limit}");
    Ok(Verdict::Truncated)
}

fn cut(path: &Path, len: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(len)?;
    file.sync_all()
}

fn begins_with_rdb(path: &Path) -> bool {
    let mut magic = [0; 5];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"REDIS"
}

/// Looks at an RDB; returns where it ends in the file.
fn check_rdb(file: &mut File, path: &Path) -> Result<u64, Failed> {
    println!("[offset 0] Checking RDB file {}", path.display());
    let total = file.metadata().ok().map(|meta| meta.len());
    let progress = Progress::new(total.unwrap_or(0));
    let broken = |error: rdb::RdbError, offset: u64| {
        progress.erase();
        println!("--- RDB ERROR DETECTED ---");
        println!("[offset {offset}] {error}");
        println!("RDB preamble of AOF file is not sane, aborting.");
        Failed
    };
    let source = progress.reader(&mut *file);
    let reader = rdb::Reader::sized(source, total, EngineConfig::default(), rdb::Integrity::Full);
    let mut reader = reader.map_err(|error| broken(error, 0))?;
    let mut keys = 0_u64;
    loop {
        let offset = reader.offset();
        match reader.next_item() {
            Ok(Some(rdb::Item::Aux { name, value })) => {
                progress.erase();
                println!("[offset {offset}] AUX FIELD {} = '{}'", name.escape_ascii(), value.escape_ascii());
            }
            Ok(Some(rdb::Item::Entry(_))) => keys += 1,
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return Err(broken(error, reader.offset())),
        }
    }
    progress.erase();
    println!("[offset {}] \\o/ RDB looks OK! \\o/", reader.offset());
    println!("[info] {keys} keys read");
    let rest = reader.into_parts().1.len() as u64;
    println!("RDB preamble is OK, proceeding with AOF tail...");
    let position = file.stream_position().map_err(|error| {
        println!("Cannot read file {}: {}", path.display(), error_text(&error));
        Failed
    })?;
    Ok(position - rest)
}

/// How many lines of what is no whole command can still be made out.
fn lines_of_tail(file: &File, from: u64) -> io::Result<u64> {
    let mut tail = Vec::new();
    let mut source = file;
    source.seek(SeekFrom::Start(from))?;
    source.take(TAIL_MAX).read_to_end(&mut tail)?;
    let (mut lines, mut at) = (0, 0);
    while let Some(end) = tail[at..].iter().position(|&byte| byte == b'\n') {
        let line = &tail[at..at + end];
        at += end + 1;
        lines += 1;
        match line.first() {
            Some(b'*') => {}
            Some(b'$') => {
                let digits = line[1..].strip_suffix(b"\r").unwrap_or(&line[1..]);
                let Some(len) = resp::number::parse_i64(digits).and_then(|len| usize::try_from(len).ok()) else {
                    break;
                };
                match at.checked_add(len).and_then(|end| end.checked_add(2)).filter(|&end| end <= tail.len()) {
                    Some(end) => {
                        at = end;
                        lines += 1;
                    }
                    None => break,
                }
            }
            _ => break,
        }
    }
    Ok(lines)
}
