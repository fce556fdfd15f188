//! Conversations between a client and a server: recorded through a proxy, and played again by a fake server.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A server that has been silent for so long has said all.
const SILENCE: Duration = Duration::from_millis(25);

/// How long the first byte of a reply is awaited.
const FIRST: Duration = Duration::from_millis(1500);

/// `--pipe` ends with an ECHO of as many random bytes; recordings have these.
const MARK: &[u8; 20] = b"abcdefghijklmnopqrst";

/// One request and what came back until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The words, escaped and with spaces between.
    pub(crate) request: String,
    pub(crate) reply: Vec<u8>,
    /// The server closed the connection then.
    pub(crate) closes: bool,
}

/// Cuts the next request off the buffer: its bytes and its words. Inline requests are taken as one word.
fn next_request(buffer: &mut Vec<u8>) -> Option<(Vec<u8>, String)> {
    while buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        buffer.remove(0);
    }
    let line = |from: usize| -> Option<(usize, usize)> {
        let end = from + buffer.get(from..)?.iter().position(|&byte| byte == b'\n')?;
        let digits = std::str::from_utf8(&buffer[(from + 1).min(end)..end]).ok()?;
        Some((end + 1, digits.trim().parse().unwrap_or(0)))
    };
    let (mut at, count) = line(0)?;
    let mut words = Vec::new();
    if buffer[0] == b'*' {
        for _ in 0..count {
            let (start, length) = line(at)?;
            words.push(buffer.get(start..start + length)?.to_vec());
            at = start + length + 2;
        }
        if buffer.len() < at {
            return None;
        }
    } else {
        words.push(buffer[..at].trim_ascii().to_vec());
    }
    let bytes = buffer.drain(..at).collect();
    if let [name, mark] = &mut words[..]
        && name.as_slice() == b"ECHO"
        && mark.len() == MARK.len()
    {
        *mark = MARK.to_vec();
    }
    let words: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string().replace(' ', "\\x20")).collect();
    Some((bytes, words.join(" ")))
}

/// Passes everything on to a server and writes it down.
pub(crate) struct Recorder {
    pub(crate) port: u16,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    pub(crate) fn start(server: u16) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&exchanges);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || record(client, server, &log));
            }
        });
        Recorder { port, exchanges }
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        // What the server says last may still be under way.
        thread::sleep(SILENCE);
        self.exchanges.lock().unwrap().clone()
    }
}

/// Reads what there is within a time; false at the end of the stream.
fn read_within(stream: &mut TcpStream, time: Duration, into: &mut Vec<u8>) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut chunk = [0; 65536];
    match stream.read(&mut chunk) {
        Ok(0) => false,
        Ok(count) => {
            into.extend_from_slice(&chunk[..count]);
            true
        }
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn record(mut client: TcpStream, server: u16, log: &Mutex<Vec<Exchange>>) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let mut last = None;
    let mut buffer = Vec::new();
    loop {
        let mut said = Vec::new();
        let open = read_within(&mut server, Duration::from_millis(2), &mut said);
        if let Some(last) = last {
            let mut log = log.lock().unwrap();
            let exchange: &mut Exchange = &mut log[last];
            exchange.reply.extend_from_slice(&said);
            exchange.closes |= !open;
        }
        if client.write_all(&said).is_err() || !open {
            return;
        }
        if !read_within(&mut client, Duration::from_millis(2), &mut buffer) {
            return;
        }
        while let Some((bytes, request)) = next_request(&mut buffer) {
            if server.write_all(&bytes).is_err() {
                return;
            }
            let echo = request.starts_with("ECHO abcdefghijklmnopqrst");
            let (mut reply, started) = (Vec::new(), Instant::now());
            let mut open = true;
            while open && reply.is_empty() && started.elapsed() < FIRST {
                open = read_within(&mut server, SILENCE, &mut reply);
            }
            loop {
                let before = reply.len();
                open = open && read_within(&mut server, SILENCE, &mut reply);
                if reply.len() == before {
                    break;
                }
            }
            let mut log = log.lock().unwrap();
            // What was said again is told when it is played.
            let kept = if echo { Vec::new() } else { without_machine(&reply) };
            log.push(Exchange { request, reply: kept, closes: !open });
            last = Some(log.len() - 1);
            if client.write_all(&reply).is_err() || !open {
                return;
            }
        }
    }
}

/// A reply to INFO without the lines that tell of the machine it was recorded on.
fn without_machine(reply: &[u8]) -> Vec<u8> {
    const LINES: [&str; 5] = ["os:", "executable:", "config_file:", "gcc_version:", "process_id:"];
    let text = std::str::from_utf8(reply).ok().and_then(|text| text.strip_suffix("\r\n"));
    let Some((_, info)) =
        text.and_then(|text| text.split_once("\r\n")).filter(|(_, info)| info.starts_with("# Server"))
    else {
        return reply.to_vec();
    };
    let kept: String =
        info.split_inclusive('\n').filter(|line| !LINES.iter().any(|begin| line.starts_with(begin))).collect();
    format!("${}\r\n{kept}\r\n", kept.len()).into_bytes()
}

/// Answers requests as they were answered when the conversation was recorded.
pub(crate) struct Player {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Player {
    pub(crate) fn start(exchanges: Vec<Exchange>) -> Player {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let exchanges = Arc::new(Mutex::new((exchanges, Vec::new())));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (exchanges, log) = (Arc::clone(&exchanges), Arc::clone(&log));
                thread::spawn(move || play(client, &exchanges, &log));
            }
        });
        Player { port, heard }
    }

    /// The requests, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

type Played = (Vec<Exchange>, Vec<Exchange>);

/// The next unplayed answer to the request, or else the last one played.
fn answer(exchanges: &Mutex<Played>, request: &str) -> Option<Exchange> {
    let mut exchanges = exchanges.lock().unwrap();
    let (open, played) = &mut *exchanges;
    match open.iter().position(|exchange| exchange.request == request) {
        Some(at) => {
            let exchange = open.remove(at);
            played.push(exchange.clone());
            Some(exchange)
        }
        None => played.iter().rfind(|exchange| exchange.request == request).cloned(),
    }
}

fn play(mut client: TcpStream, exchanges: &Mutex<Played>, log: &Mutex<Vec<String>>) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 65536]);
    while let Ok(count @ 1..) = client.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..count]);
        while let Some((bytes, request)) = next_request(&mut buffer) {
            log.lock().unwrap().push(request.clone());
            // Release 7.0 leaves the default to the server.
            let exchange = answer(exchanges, &request).or_else(|| answer(exchanges, &format!("{request} COUNT 10")));
            // The word of ECHO with its length. It is any bytes: a `$` may be among them.
            let said =
                bytes.iter().position(|&byte| byte == b'O').and_then(|at| bytes.get(at + 3..)).unwrap_or_default();
            let (reply, closes) = match &exchange {
                Some(exchange) if exchange.request.as_bytes() == [b"ECHO ", &MARK[..]].concat() => (said, false),
                Some(exchange) => (exchange.reply.as_slice(), exchange.closes),
                None => (&b"-ERR this was not recorded\r\n"[..], false),
            };
            if client.write_all(reply).is_err() || closes {
                return;
            }
        }
    }
}
