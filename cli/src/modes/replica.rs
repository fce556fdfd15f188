//! `--rdb`, `--functions-rdb` and `--replica`, and SYNC or PSYNC typed as a command: the client poses as a replica.
//!
//! After SYNC the server sends a snapshot, either of a length told beforehand (`$123`) or up to a mark of 40 bytes
//! (`$EOF:…`), and then every write command. Empty lines before the snapshot only say that the server is alive.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;

use resp::ReplyDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::args::Output;
use crate::connection::{Connection, Error, Stream, encode, io_text};
use crate::modes::failed;
use crate::print::{self, Style};
use crate::progress::{Counted, Progress};
use crate::session::Session;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of the line that announces the snapshot, and of the one that answers PSYNC, at most.
const LINE_MAX: usize = 1024;

/// Bytes of the mark that ends a snapshot of unknown length.
const MARK: usize = 40;

/// How often the server is told that its replica is there.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

/// How the end of the snapshot is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Bytes(u64),
    UntilMark([u8; MARK]),
}

/// Finds the mark in a stream that comes in pieces.
struct MarkFinder {
    mark: [u8; MARK],
    /// The last bytes, which may be the beginning of the mark.
    held: Vec<u8>,
}

impl MarkFinder {
    /// Takes a piece. Gives what of the stream is certainly before the mark, and what follows it if it was found.
    fn take(&mut self, piece: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        self.held.extend_from_slice(piece);
        if let Some(at) = memchr::memmem::find(&self.held, &self.mark) {
            let rest = self.held.split_off(at + MARK);
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), Some(rest));
        }
        let keep = self.held.len().min(MARK - 1);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), None)
    }
}

/// Bytes from the server, some of them read already.
struct Input {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Input {
    fn new(connection: Connection) -> Input {
        let (stream, mut decoder) = connection.into_parts();
        Input { stream, buffer: decoder.take_buffer() }
    }

    /// Reads more; an error when the server has closed. Dropping the future loses nothing.
    async fn fill(&mut self) -> Result<(), Error> {
        self.buffer.reserve(CHUNK);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// The next line that is not empty, without its end.
    async fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                let line = line.trim_ascii();
                if !line.is_empty() {
                    return Ok(line.to_vec());
                }
                continue;
            }
            if self.buffer.len() > LINE_MAX {
                return Err(Error::Protocol("Protocol error, line too long".to_owned()));
            }
            self.fill().await?;
        }
    }

    async fn send(&mut self, words: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        let mut request = Vec::new();
        encode(&mut request, words);
        self.stream.write_all(&request).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Passes the snapshot to `sink`; how many bytes it had.
    async fn snapshot(&mut self, extent: Extent, sink: &mut dyn Write) -> Result<u64, Error> {
        let mut total = 0;
        match extent {
            Extent::Bytes(length) => {
                while total < length {
                    if self.buffer.is_empty() {
                        self.fill().await?;
                    }
                    let wanted = usize::try_from(length - total).unwrap_or(usize::MAX).min(self.buffer.len());
                    sink.write_all(&self.buffer[..wanted])?;
                    self.buffer.drain(..wanted);
                    total += wanted as u64;
                }
            }
            Extent::UntilMark(mark) => {
                let mut finder = MarkFinder { mark, held: Vec::new() };
                loop {
                    let (bytes, rest) = finder.take(&std::mem::take(&mut self.buffer));
                    sink.write_all(&bytes)?;
                    total += bytes.len() as u64;
                    if let Some(rest) = rest {
                        self.buffer = rest;
                        break;
                    }
                    self.fill().await?;
                }
            }
        }
        sink.flush()?;
        Ok(total)
    }
}

/// Reads the line that announces the snapshot.
fn announcement(line: &[u8]) -> Result<Extent, Error> {
    let text = || String::from_utf8_lossy(line).into_owned();
    match line.strip_prefix(b"$") {
        Some(rest) => match rest.strip_prefix(b"EOF:") {
            Some(mark) => <[u8; MARK]>::try_from(mark).map(Extent::UntilMark).map_err(|_| ()),
            None => std::str::from_utf8(rest).map_err(|_| ()).and_then(|digits| {
                let length = digits.parse().map_err(|_| ())?;
                Ok(Extent::Bytes(length))
            }),
        }
        .map_err(|()| Error::Protocol(format!("SYNC with master failed: {}", text()))),
        None => Err(Error::Protocol(format!("SYNC with master failed: {}", text()))),
    }
}

/// Sends `REPLCONF name value` and tells of it; a server that refuses is too old to know it.
async fn configure(connection: &mut Connection, name: &str, value: &str) -> Result<(), Error> {
    eprintln!("sending REPLCONF {name} {value}");
    let reply = connection.ask(&["REPLCONF", name, value]).await?;
    if reply.is_error() {
        let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
        return Err(Error::Protocol(format!("REPLCONF {name} error: {text}")));
    }
    Ok(())
}

/// Asks for the snapshot; for PSYNC also tells the answer.
async fn request(input: &mut Input, words: &[impl AsRef<[u8]>]) -> Result<Extent, Error> {
    input.send(words).await?;
    let broken = |error| match error {
        Error::Closed => Error::Protocol("Error reading bulk length while SYNCing".to_owned()),
        error => error,
    };
    let mut line = input.line().await.map_err(broken)?;
    if line.starts_with(b"+") {
        eprintln!("PSYNC replied {}", String::from_utf8_lossy(&line));
        if line.starts_with(b"+CONTINUE") {
            return Ok(Extent::Bytes(0));
        }
        line = input.line().await.map_err(broken)?;
    }
    announcement(&line)
}

/// `--rdb` and `--functions-rdb`: the snapshot into a file, or to standard output for `-`.
pub(crate) async fn save(session: Session, path: &[u8], functions_only: bool) -> ExitCode {
    let progress = Progress::new("bytes", session.options.plain);
    let Some(connection) = session.into_connection().await else { return ExitCode::FAILURE };
    match fetch(connection, path, functions_only, progress).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Protocol(text)) => failed(&Error::Told(text)),
        Err(error) => failed(&error),
    }
}

async fn fetch(mut connection: Connection, path: &[u8], functions_only: bool, progress: Progress) -> Result<(), Error> {
    if let Err(Error::Protocol(text)) = configure(&mut connection, "capa", "eof").await {
        eprintln!("{text}");
    }
    // An older server sends everything, which serves as well.
    if let Err(Error::Protocol(text)) = configure(&mut connection, "rdb-only", "1").await {
        eprintln!("{text}");
    }
    if functions_only {
        // Here a refusal would mean a file with more in it than was asked for.
        configure(&mut connection, "rdb-filter-only", "functions").await?;
    }
    snapshot(connection, path, progress).await
}

/// Asks for a snapshot and writes it into a file.
pub(crate) async fn snapshot(connection: Connection, path: &[u8], progress: Progress) -> Result<(), Error> {
    let name = String::from_utf8_lossy(path).into_owned();
    let mut input = Input::new(connection);
    let extent = request(&mut input, &["SYNC"]).await?;
    match extent {
        Extent::Bytes(length) => eprintln!("SYNC sent to master, writing {length} bytes to '{name}'"),
        Extent::UntilMark(_) => {
            eprintln!("SYNC sent to master, writing bytes of bulk transfer until EOF marker to '{name}'");
        }
    }
    let total = if path == b"-" {
        input.snapshot(extent, &mut io::stdout().lock()).await
    } else {
        let file = File::create(OsStr::from_bytes(path))
            .map_err(|error| Error::Told(format!("Error opening '{name}': {}", io_text(&error))))?;
        let length = if let Extent::Bytes(length) = extent { Some(length) } else { None };
        let mut file = Counted { to: file, progress, done: 0, total: length };
        let total = input.snapshot(extent, &mut file).await;
        file.progress.clear();
        file.to.sync_all().map_err(|error| Error::Protocol(format!("Fail to fsync '{name}': {}", io_text(&error))))?;
        total
    };
    let total = total.map_err(|error| match error {
        Error::Closed => Error::Protocol("I/O Error reading RDB payload from socket".to_owned()),
        error => error,
    })?;
    match extent {
        Extent::Bytes(_) => eprintln!("Transfer finished with success."),
        Extent::UntilMark(_) => eprintln!("Transfer finished with success after {total} bytes"),
    }
    Ok(())
}

/// `--replica`: prints the commands that the server sends its replicas.
pub(crate) async fn follow(session: Session) -> ExitCode {
    let style = session.style.clone();
    let Some(mut connection) = session.into_connection().await else { return ExitCode::FAILURE };
    for (name, value) in [("capa", "eof"), ("rdb-filter-only", "")] {
        match configure(&mut connection, name, value).await {
            // Without the filter more is sent, which is then discarded.
            Ok(()) => {}
            Err(Error::Protocol(text)) => eprintln!("{text}"),
            Err(error) => return failed(&error),
        }
    }
    match stream(connection, &style, &["SYNC"]).await {
        Error::Protocol(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
        error => failed(&error),
    }
}

/// Sends SYNC or PSYNC, discards the snapshot and prints what follows until the connection breaks.
pub(crate) async fn stream(connection: Connection, style: &Style, words: &[impl AsRef<[u8]>]) -> Error {
    match log(connection, style, words).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn log(
    connection: Connection,
    style: &Style,
    words: &[impl AsRef<[u8]>],
) -> Result<std::convert::Infallible, Error> {
    let mut input = Input::new(connection);
    let extent = request(&mut input, words).await?;
    match extent {
        Extent::Bytes(length) => eprintln!("Full resync with master, discarding {length} bytes of bulk transfer..."),
        Extent::UntilMark(_) => {
            eprintln!("Full resync with master, discarding bytes of bulk transfer until EOF marker...");
        }
    }
    let total = input.snapshot(extent, &mut io::sink()).await?;
    let mut ticks = tokio::time::interval(ACKNOWLEDGE);
    match extent {
        Extent::Bytes(_) => eprintln!("Full resync done. Logging commands from master."),
        Extent::UntilMark(_) => {
            eprintln!("Full resync done after {total} bytes. Logging commands from master.");
            // A server that streams the snapshot counts the replica as present only then.
            eprintln!("sending REPLCONF ACK 0");
        }
    }
    let style = Style { output: Output::Csv, ..style.clone() };
    let mut decoder = ReplyDecoder::default();
    decoder.push(&std::mem::take(&mut input.buffer));
    loop {
        while let Some(command) = decoder.next()? {
            let mut out = io::stdout().lock();
            if out.write_all(&print::reply(&style, &command, false)).and_then(|()| out.flush()).is_err() {
                std::process::exit(1);
            }
        }
        tokio::select! {
            result = input.fill() => {
                result?;
                decoder.push(&std::mem::take(&mut input.buffer));
            }
            _ = ticks.tick() => input.send(&["REPLCONF", "ACK", "0"]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements() {
        let line = [&b"$EOF:"[..], &[b'x'; MARK]].concat();
        assert_eq!(announcement(&line).unwrap(), Extent::UntilMark([b'x'; MARK]));
        assert_eq!(announcement(b"$12").unwrap(), Extent::Bytes(12));
        for bad in [&b"-ERR no"[..], b"$", b"$-1", b"$EOF:short", b"$99999999999999999999", b"hello"] {
            assert!(matches!(announcement(bad), Err(Error::Protocol(_))), "{bad:?}");
        }
    }

    #[test]
    fn the_mark_is_found_wherever_the_pieces_end() {
        let mark = *b"0123456789abcdefghijklmnopqrstuvwxyz-+*/";
        let stream = [&b"0123456789 snapshot 0123456789abcdefghij"[..], &mark, b"*1\r\n"].concat();
        for size in 1..stream.len() {
            let mut finder = MarkFinder { mark, held: Vec::new() };
            let (mut before, mut after) = (Vec::new(), None);
            for piece in stream.chunks(size) {
                match &mut after {
                    None => {
                        let (bytes, rest) = finder.take(piece);
                        before.extend(bytes);
                        after = rest;
                    }
                    Some(after) => after.extend_from_slice(piece),
                }
            }
            assert_eq!(before, stream[..40], "{size}");
            assert_eq!(after.as_deref(), Some(&b"*1\r\n"[..]), "{size}");
        }
    }
}
