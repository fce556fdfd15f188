//! What a person sees: redis-cli-rs in a pseudoterminal, against a small server of the test's own. The screens are kept in
//! `golden/`; `UPDATE_GOLDEN=1` writes the files anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "terminal/programs.rs"]
mod programs;
#[path = "it/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use resp::{Protocol, Writer};

/// Something that is expected on the screen may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A screen that has not changed for this long is complete.
const STILL: Duration = Duration::from_millis(250);

/// What takes its time at the server takes this long.
const SLOWNESS: Duration = Duration::from_secs(1);

/// A server with strings, just enough of everything else, and no COMMAND DOCS.
#[derive(Clone, Default)]
struct FakeServer {
    strings: Arc<Mutex<BTreeMap<String, String>>>,
    subscribers: Arc<Mutex<Vec<TcpStream>>>,
}

impl FakeServer {
    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        port
    }

    fn publish(&self, channel: &str, message: &str) {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, Protocol::Resp2);
        writer.array(3);
        ["message", channel, message].iter().for_each(|word| writer.bulk(word.as_bytes()));
        for stream in self.subscribers.lock().unwrap().iter_mut() {
            stream.write_all(&out).unwrap();
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut decoder = resp::ReplyDecoder::default();
        let mut chunk = [0; 4096];
        loop {
            while let Ok(Some(command)) = decoder.next() {
                let words = command.into_vec().unwrap();
                let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap_or_default()).collect();
                if words[0] == "SYNC" {
                    let _ = stream.write_all(b"$10\r\n12345");
                    thread::sleep(SLOWNESS);
                    let _ = stream.write_all(b"67890");
                    continue;
                }
                let mut out = Vec::new();
                self.answer(&words, &stream, &mut Writer::new(&mut out, Protocol::Resp2));
                if stream.write_all(&out).is_err() {
                    return;
                }
            }
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    // Without the blank line that --pipe sends.
                    let bytes = chunk[..count].strip_prefix(b"\r\n").unwrap_or(&chunk[..count]);
                    match memchr::memmem::find(bytes, b"\r\n\r\n*") {
                        Some(at) => decoder.push(&[&bytes[..at], &bytes[at + 2..]].concat()),
                        None => decoder.push(bytes),
                    }
                }
            }
        }
    }

    fn answer(&self, words: &[&str], stream: &TcpStream, out: &mut Writer<'_>) {
        let list = |out: &mut Writer<'_>, items: &[&str]| {
            out.array(items.len());
            items.iter().for_each(|item| out.bulk(item.as_bytes()));
        };
        let mut strings = self.strings.lock().unwrap();
        let name = words[0].to_ascii_uppercase();
        match (name.as_str(), &words[1..]) {
            ("SELECT" | "MULTI" | "FLUSHALL", _) => out.ok(),
            ("PING", []) => out.simple("PONG"),
            ("SET", [key, value]) => {
                strings.insert((*key).to_owned(), (*value).to_owned());
                out.ok();
            }
            ("GET" | "GETRANGE", [key, ..]) => match strings.get(*key) {
                Some(value) => out.bulk(value.as_bytes()),
                None => out.null(),
            },
            ("EVAL", [script, ..]) => out.bulk(script.as_bytes()),
            ("TYPE", [key]) => out.simple(if strings.contains_key(*key) { "string" } else { "none" }),
            ("OBJECT", _) => out.bulk(b"embstr"),
            ("STRLEN", [key]) => out.integer(strings.get(*key).map_or(0, String::len) as i64),
            ("MEMORY", _) => out.integer(56),
            ("PTTL", _) => out.integer(-1),
            ("INFO", _) => out.bulk(
                b"redis_version:8.0.6\r\nrole:master\r\nuptime_in_seconds:7\r\nconnected_clients:1\r\nblocked_clients:0\r\n\
                  used_memory:1048576\r\ninstantaneous_ops_per_sec:120\r\nkeyspace_hits:3\r\nkeyspace_misses:1\r\n\
                  db0:keys=2,expires=0,avg_ttl=0\r\n",
            ),
            ("SLOWLOG", _) => {
                out.array(1);
                out.array(4);
                [1, 2, 12_300].into_iter().for_each(|number| out.integer(number));
                list(out, &["KEYS", "*"]);
            }
            ("CLIENT", _) => out.bulk(b"id=3 addr=127.0.0.1:1 name=me idle=0 cmd=client|list\n"),
            ("KEYS", _) => {
                let names: Vec<String> = (1..=60).map(|number| format!("key {number}")).collect();
                list(out, &names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            ("REPLCONF", _) => out.ok(),
            ("ECHO", [text]) => out.bulk(text.as_bytes()),
            // Two batches, the second after a while.
            ("SCAN", [cursor, "COUNT", ..]) => {
                if *cursor != "0" {
                    thread::sleep(SLOWNESS);
                }
                out.array(2);
                out.bulk(if *cursor == "0" { b"7" } else { b"0" });
                list(out, &["one", "two"]);
            }
            ("RANDOMKEY", _) => out.bulk(b"user:1"),
            ("DBSIZE", _) => out.integer(strings.len() as i64),
            ("LRANGE", _) => list(out, &["one", "two"]),
            ("CONFIG", [_, pattern]) => {
                let all = ["maxmemory", "maxmemory-policy", "save"];
                let found: Vec<&str> =
                    all.into_iter().filter(|name| name.starts_with(pattern.trim_end_matches('*'))).collect();
                let pairs: Vec<&str> = found.iter().flat_map(|name| [*name, "0"]).collect();
                list(out, &pairs);
            }
            ("SCAN", [_, _, pattern, ..]) => {
                let prefix = pattern.trim_end_matches('*');
                let keys: Vec<&str> =
                    strings.keys().map(String::as_str).filter(|key| key.starts_with(prefix)).collect();
                out.array(2);
                out.bulk(b"0");
                list(out, &keys);
            }
            ("SUBSCRIBE", [channel]) => {
                out.array(3);
                out.bulk(b"subscribe");
                out.bulk(channel.as_bytes());
                out.integer(1);
                self.subscribers.lock().unwrap().push(stream.try_clone().unwrap());
            }
            _ => out.error(format_args!("ERR unknown command '{}'", words[0])),
        }
    }
}

/// A terminal with redis-cli-rs in it.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<(vt100::Parser, Instant)>>,
    child: Box<dyn Child + Send + Sync>,
    /// Everything that was written on the screen.
    written: Arc<Mutex<Vec<u8>>>,
    port: u16,
}

impl Terminal {
    fn start(port: u16, home: &Path, arguments: &[&str]) -> Terminal {
        Terminal::start_with(port, home, &[&[env!("CARGO_BIN_EXE_redis-cli-rs")], arguments].concat(), &[])
    }

    /// Runs a program; the client itself is told the port.
    fn start_with(port: u16, home: &Path, words: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let size = PtySize { rows: 20, cols: 80, ..PtySize::default() };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(words[0]);
        if words[0] == env!("CARGO_BIN_EXE_redis-cli-rs") {
            command.args(["-p", &port.to_string()]);
        }
        command.args(&words[1..]);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("HOME", home);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new((vt100::Parser::new(20, 80, 0), Instant::now())));
        let (mut reader, shown) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        let written = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&written);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                record.lock().unwrap().extend_from_slice(&chunk[..count]);
                let mut shown = shown.lock().unwrap();
                shown.0.process(&chunk[..count]);
                shown.1 = Instant::now();
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Terminal { master: pair.master, keyboard, screen, child, written, port }
    }

    fn text(&self) -> String {
        let shown = self.screen.lock().unwrap();
        let text = shown.0.screen().contents().replace(&self.port.to_string(), "PORT");
        text.trim_end().to_owned()
    }

    /// Types, and waits until `expected` stands on a screen that has come to rest.
    fn see(&mut self, typed: &str, expected: &str) -> String {
        self.wait(typed, |text| text.contains(expected)).unwrap_or_else(|text| {
            panic!("{expected:?} does not appear after {typed:?}:\n{text}");
        })
    }

    /// Types, and waits until a screen that has come to rest is `complete`; the last screen is the error.
    fn wait(&mut self, typed: &str, complete: impl Fn(&str) -> bool) -> Result<String, String> {
        let started = Instant::now();
        self.keyboard.write_all(typed.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
        loop {
            let drawn = self.screen.lock().unwrap().1;
            let still = drawn.elapsed() > STILL && (typed.is_empty() || drawn > started);
            let text = self.text();
            if still && complete(&text) {
                return Ok(text);
            }
            if started.elapsed() > PATIENCE {
                return Err(text);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until the screen is `complete`, which need not last; the last screen is the error.
    fn wait_drawn(&self, complete: impl Fn(&str) -> bool) -> Result<(), String> {
        let started = Instant::now();
        while !complete(&self.text()) {
            if started.elapsed() > PATIENCE {
                return Err(self.text());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether the text was ever written, even if it is not on the screen any more.
    fn ever_showed(&self, text: &str) -> bool {
        memchr::memmem::find(&self.written.lock().unwrap(), text.as_bytes()).is_some()
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().0.screen_mut().set_size(rows, cols);
        self.master.resize(PtySize { rows, cols, ..PtySize::default() }).unwrap();
    }

    /// The process has ended by itself.
    fn ends(&mut self) -> u32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(started.elapsed() < PATIENCE, "still running:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Screens by name: those of the golden file, or with `UPDATE_GOLDEN=1` those that are to be in it.
struct Gallery {
    path: PathBuf,
    /// Absent when the file is written anew.
    golden: Option<String>,
    screens: String,
}

impl Gallery {
    fn open(file: &str) -> Gallery {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        let update = std::env::var_os("UPDATE_GOLDEN").is_some();
        let golden = (!update).then(|| std::fs::read_to_string(&path).unwrap());
        Gallery { path, golden, screens: String::new() }
    }

    /// One screen as the file has it.
    fn framed(name: &str, screen: &str) -> String {
        let mut framed = format!("=== {name}\n");
        screen.lines().for_each(|line| {
            let _ = writeln!(framed, "{}", line.trim_end());
        });
        framed
    }

    /// The golden file goes on with this screen.
    fn continues(&self, name: &str, screen: &str) -> bool {
        let framed = Gallery::framed(name, screen);
        let whole = |rest: &str| rest.is_empty() || rest.starts_with("=== ");
        self.golden
            .as_ref()
            .is_none_or(|golden| golden[self.screens.len()..].strip_prefix(framed.as_str()).is_some_and(whole))
    }

    fn hang(&mut self, name: &str, screen: &str) {
        assert!(
            self.continues(name, screen),
            "{} differs:\n{}instead of\n{}",
            self.path.display(),
            Gallery::framed(name, screen),
            self.golden.as_deref().map_or("", |golden| &golden[self.screens.len()..]),
        );
        self.screens.push_str(&Gallery::framed(name, screen));
    }

    /// Types, and waits for the golden screen: one that still comes to rest in steps is given its time.
    fn see(&mut self, name: &str, terminal: &mut Terminal, typed: &str, expected: &str) {
        self.see_without(name, terminal, typed, expected, str::to_owned);
    }

    /// The same, with what is nobody's promise taken out of the screen.
    fn see_without(
        &mut self,
        name: &str,
        terminal: &mut Terminal,
        typed: &str,
        expected: &str,
        without: fn(&str) -> String,
    ) {
        let complete = |text: &str| text.contains(expected) && self.continues(name, &without(text));
        let screen = terminal.wait(typed, complete).unwrap_or_else(|last| last);
        assert!(screen.contains(expected), "{expected:?} does not appear after {typed:?}:\n{screen}");
        self.hang(name, &without(&screen));
    }

    /// Every screen was shown.
    fn close(self) {
        match self.golden {
            Some(golden) => assert_eq!(golden, self.screens, "{}", self.path.display()),
            None => std::fs::write(&self.path, self.screens).unwrap(),
        }
    }
}

/// An empty home directory of its own.
fn home(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("redis-cli-rs-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

const CLEAR: &str = "\x0c";

#[test]
fn the_editor() {
    let (server, home, mut gallery) = (FakeServer::default(), home("editor"), Gallery::open("editor.txt"));
    let mut terminal = Terminal::start(server.start(), &home, &[]);
    terminal.see("", "127.0.0.1:PORT>");
    gallery.see("completion of a command", &mut terminal, "getr\t", "GETRANGE key start end");
    gallery.see("candidates", &mut terminal, "\x15object \t\t", "PORT> OBJECT FREQ");
    terminal.see("\x1b\x15SET user:1 ann\r", "OK");
    terminal.see("SET user:2 bob\r", "OK");
    gallery.see("hints", &mut terminal, &format!("{CLEAR}LINSERT list BEFORE "), "pivot");
    gallery.see("completion of arguments", &mut terminal, "\x15ZRANGE k 0 1 by\t", "BYLEX");
    gallery.see("completion of keys", &mut terminal, "\x1b\x15GET us\t\t", "GET user:2");
    gallery.see("completion of parameters", &mut terminal, "\x1b\x15CONFIG GET maxm\t", "maxmemory-policy");
    gallery.see("help with F1", &mut terminal, "\x1b\x15lpop \x1bOP", "since 1.0.0");
    terminal.see("\x1bOP\x15GET user:1\r", "ann");
    gallery.see("reverse search", &mut terminal, &format!("{CLEAR}\x12ET u"), "(reverse-i-search)");
    gallery.see("reverse search, once more", &mut terminal, "\x12", "SET user:2");
    gallery.see("a result is edited", &mut terminal, "\t\x7f\x7f\x7fdan", "PORT> SET user:2 dan");
    gallery.see("history", &mut terminal, "\x15\x1b[A", "PORT> SET user:1 ann");
    gallery.see("Ctrl-C drops a line", &mut terminal, &format!("\x15{CLEAR}GET x\x03"), "PORT> GET x\n");
    gallery.see("several rows", &mut terminal, &format!("{CLEAR}EVAL \"return 1\r+ 1"), "... + 1");
    gallery.see("run at last", &mut terminal, "\" 0\r", "\"return 1\\n+ 1\"");
    terminal.see(&format!("{CLEAR}SET long {}", "0123456789".repeat(9)), "6789 value");
    terminal.resize(20, 60);
    gallery.see("another width", &mut terminal, "x", "9x v");
    terminal.see("\x15", "PORT>");
    terminal.see("AUTH secret\r", "ERR");
    terminal.see("\x04", "");
    assert_eq!(terminal.ends(), 0);
    let history = std::fs::read_to_string(home.join(".rediscli_history")).unwrap();
    gallery.hang("the file of the history", &history);
    std::fs::remove_dir_all(&home).unwrap();
    gallery.close();
}

#[test]
fn the_session() {
    let (server, home, mut gallery) = (FakeServer::default(), home("session"), Gallery::open("session.txt"));
    let port = server.start();
    let rc =
        format!(":set confirm 127.0.0.1\n:set connection here redis://127.0.0.1:{port}/3\n:set nohints\n:set foo\n");
    std::fs::write(home.join(".redisclirc"), rc).unwrap();
    let mut terminal = Terminal::start(port, &home, &[]);
    gallery.see("preferences", &mut terminal, "", "127.0.0.1:PORT>");
    terminal.see("SET k v\r", "OK");
    gallery.see("peek", &mut terminal, &format!("{CLEAR}peek k\rpeek nosuch\r"), "no such key");
    gallery.see("a question first", &mut terminal, &format!("{CLEAR}flushall\r"), "type yes");
    terminal.see("no\rGET k\r", "\"v\"");
    gallery.see("the answer was yes", &mut terminal, "flushall\ryes\r", "OK");
    gallery.see("a connection with a name", &mut terminal, &format!("{CLEAR}connect here\r"), "[3]>");
    gallery.see("a transaction", &mut terminal, "multi\r", "(TX)>");
    terminal.see("connect here\r", "[3]> ");
    gallery.see("subscribed", &mut terminal, &format!("{CLEAR}subscribe news\r"), "Reading messages");
    server.publish("news", "hello");
    gallery.see("a message", &mut terminal, "", "\"hello\"");
    gallery.see("Ctrl-C leaves the messages", &mut terminal, "\x03", "[3]>");
    gallery.see("watch", &mut terminal, "watch 0.3 lrange k 0 1\r", "\"two\"");
    gallery.see("Ctrl-C leaves watch", &mut terminal, "\x03", "[3]>");
    terminal.see("\x03", "");
    assert_eq!(terminal.ends(), 0);
    std::fs::remove_dir_all(&home).unwrap();
    gallery.close();
}

/// The time that a PING took is nobody's promise.
fn without_latency(screen: &str) -> String {
    let Some((before, rest)) = screen.split_once("latency ") else { return screen.to_owned() };
    let value = rest.chars().take_while(|&character| !"─┐".contains(character)).count();
    let after: String = rest.chars().skip(value).collect();
    format!("{before}latency {}{after}", "─".repeat(value))
}

#[test]
fn the_dashboard() {
    let (server, home, mut gallery) = (FakeServer::default(), home("dashboard"), Gallery::open("dashboard.txt"));
    let mut terminal = Terminal::start(server.start(), &home, &["--tui", "-i", "600"]);
    gallery.see_without("drawn", &mut terminal, "", "slow log", without_latency);
    terminal.resize(20, 60);
    let narrower = format!("clients{}┐", "─".repeat(21));
    gallery.see_without("narrower", &mut terminal, "", &narrower, without_latency);
    terminal.see("q", "");
    assert_eq!(terminal.ends(), 0);
    gallery.hang("left", &terminal.text());
    std::fs::remove_dir_all(&home).unwrap();
    gallery.close();
}
