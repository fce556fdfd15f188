//! What redis-cli-rs prints, byte for byte, against a server that plays canned replies.
//!
//! `golden/formats.txt` and `golden/sessions.txt` were recorded from redis-cli 8.0.6. When `REDIS_CLI` names a
//! reference redis-cli (or one is in `PATH` and of the same release), the same cases are run against it as well, so
//! that the files cannot drift; otherwise that half says that it was skipped. `UPDATE_GOLDEN=1` records the files
//! from the reference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "it/process.rs"]
mod process;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::process::run;

const OURS: &str = env!("CARGO_BIN_EXE_redis-cli-rs");

/// Plays the same reply to every command but the ones that the client sends by itself.
struct FakeServer {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl FakeServer {
    fn start(reply: Vec<u8>, then_close: bool) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, log) = (reply.clone(), Arc::clone(&log));
                thread::spawn(move || serve(stream, &reply, then_close, &log));
            }
        });
        FakeServer { port, seen }
    }

    fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, reply: &[u8], then_close: bool, log: &Mutex<Vec<u8>>) {
    let mut decoder = resp::ReplyDecoder::default();
    let mut chunk = [0; 4096];
    loop {
        while let Ok(Some(command)) = decoder.next() {
            let Ok(words) = command.into_vec() else { return };
            let name = words[0].as_str().unwrap_or_default().to_ascii_uppercase();
            let answer = match name.as_str() {
                "HELLO" => b"%0\r\n",
                "SELECT" | "AUTH" => &b"+OK\r\n"[..],
                _ => reply,
            };
            for word in &words {
                log.lock().unwrap().extend_from_slice(word.as_bytes().unwrap_or_default());
                log.lock().unwrap().push(b' ');
            }
            log.lock().unwrap().push(b'\n');
            if stream.write_all(answer).is_err() {
                return;
            }
            if then_close && answer.as_ptr() == reply.as_ptr() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            // The blank line that --pipe sends.
            Ok(count) => decoder.push(chunk[..count].strip_prefix(b"\r\n").unwrap_or(&chunk[..count])),
        }
    }
}

/// One case: what the server plays, how the client is called.
struct Case {
    reply: &'static [u8],
    arguments: Vec<String>,
    stdin: &'static [u8],
    environment: Vec<(&'static str, &'static str)>,
    close: bool,
}

impl Case {
    fn title(&self) -> String {
        let environment: String = self.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let close = if self.close { " (closes)" } else { "" };
        format!(
            "{environment}{} < {} | {}{close}",
            self.arguments.join(" "),
            self.stdin.escape_ascii(),
            self.reply.escape_ascii()
        )
    }

    /// Standard output, exit code and what the server saw, as the golden files have them.
    fn outcome(&self, program: &Path) -> String {
        let server = FakeServer::start(self.reply.to_vec(), self.close);
        let port = server.port.to_string();
        let mut arguments = vec!["-p".to_owned(), port.clone()];
        arguments.extend(self.arguments.iter().cloned());
        let run = run(program, &arguments, self.stdin, &self.environment);
        let printed = run.stdout.escape_ascii().to_string().replace("\\n", "\\n\n").replace(&port, "PORT");
        let code = run.code.map_or("killed".to_owned(), |code| code.to_string());
        format!("{}\n[{code}] {}\n", printed.trim_end_matches('\n'), server.seen().escape_ascii())
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Every reply type in every format.
fn formats() -> Vec<Case> {
    let replies: &[&[u8]] = &[
        b"+OK\r\n",
        b"+a\"b\x01\r\n",
        b"+\r\n",
        b"-ERR bad thing\r\n",
        b":5\r\n",
        b":-9223372036854775808\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"_\r\n",
        b"$9\r\n\xc3\xa9\n\t\\\"\x7f/\xff\r\n",
        b"$12\r\n\x00\x01\x07\x08\x0b\x0c\r\x1b\x1f ~\x80\r\n",
        b"#t\r\n",
        b"#f\r\n",
        b",1.5\r\n",
        b",inf\r\n",
        b",-inf\r\n",
        b",nan\r\n",
        b",3\r\n",
        b",1e+20\r\n",
        b"=15\r\ntxt:Some string\r\n",
        b"=9\r\ntxt:a\"\n\x01b\r\n",
        b"*0\r\n",
        b"~0\r\n",
        b"%0\r\n",
        b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n",
        b"*2\r\n*2\r\n:1\r\n$-1\r\n*0\r\n",
        b"*2\r\n*1\r\n*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$1\r\nb\r\n",
        b"*12\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*2\r\n+a\r\n+b\r\n",
        b"*2\r\n:1\r\n-ERR x\r\n",
        b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*2\r\n:1\r\n:2\r\n",
        b"%2\r\n*1\r\n:1\r\n%1\r\n:1\r\n:2\r\n$3\r\na b\r\n_\r\n",
        b"%6\r\n*2\r\n+a\r\n+b\r\n*0\r\n%0\r\n%0\r\n_\r\n~0\r\n#t\r\n-ERR x\r\n-ERR y\r\n+k\r\n,1.5\r\n=7\r\ntxt:abc\r\n",
        b"%1\r\n*2\r\n+a\"\r\n$1\r\n\x01\r\n%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
        b"%10\r\n+a\r\n:1\r\n+b\r\n:1\r\n+c\r\n:1\r\n+d\r\n:1\r\n+e\r\n:1\r\n+f\r\n:1\r\n+g\r\n:1\r\n+h\r\n:1\r\n+i\r\n:1\r\n+j\r\n~2\r\n:1\r\n:2\r\n",
        b"*1\r\n%1\r\n*1\r\n:1\r\n*2\r\n:1\r\n:2\r\n",
        b"%1\r\n+k\r\n*1\r\n*2\r\n:1\r\n:2\r\n",
        b"%1\r\n+k\r\n*1\r\n%1\r\n:1\r\n%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
        b"%1\r\n+k\r\n%1\r\n*2\r\n:1\r\n:2\r\n:3\r\n",
        b"%1\r\n+k\r\n~1\r\n=7\r\ntxt:a\nb\r\n",
        b"~2\r\n*2\r\n+a\r\n+b\r\n%1\r\n+k\r\n~1\r\n#f\r\n",
        b"~10\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n~1\r\n:1\r\n",
        b"*1\r\n>1\r\n:1\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$3\r\nb\"c\r\n:1\r\n",
        b">2\r\n$10\r\ninvalidate\r\n_\r\n:1\r\n",
        b">3\r\n$3\r\nfoo\r\n+bar\r\n:3\r\n:1\r\n",
    ];
    let styles = [
        "--no-raw",
        "--raw",
        "--csv",
        "--json",
        "--quoted-json",
        "--json -2",
        "--raw -3 --show-pushes yes",
        "--no-raw -3 --show-pushes yes",
        "--csv -3 --show-pushes yes",
        "--no-raw -3 --show-pushes no",
        "--raw -d , -D |",
        "--no-raw -e",
        "--csv -e",
    ];
    let commands = ["get x", "info"];
    let mut cases = Vec::new();
    for style in styles {
        for reply in replies {
            for command in commands {
                // Text for people ignores the format: two formats show it.
                if command == "info" && !matches!(style, "--no-raw" | "--json") {
                    continue;
                }
                cases.push(Case {
                    reply,
                    arguments: words(&format!("{style} {command}")),
                    stdin: b"",
                    environment: Vec::new(),
                    close: false,
                });
            }
        }
    }
    cases
}

/// Invocations and sessions.
fn sessions() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add =
        |reply: &'static [u8], line: &str, stdin: &'static [u8], environment: &[(&'static str, &'static str)]| {
            for close in [false, true] {
                cases.push(Case { reply, arguments: words(line), stdin, environment: environment.to_vec(), close });
            }
        };
    let ok = b"+OK\r\n";
    for line in [
        "ping",
        "-n 3 get x",
        "-n abc get x",
        "-a pw get x",
        "-a pw --no-auth-warning get x",
        "--pass pw --user joe -n 2 -3 get x",
        "--user joe get x",
        "--askpass get x",
        "-r 3 get x",
        "-r 0 get x",
        "-r 2 -i 0.01 -n 1 get x",
        "-x set k",
        "-x",
        "-X tag set k tag tag",
        "-X tag set k v",
        "-x -X tag set k",
        "-2 -3 get x",
        "-e get x",
        "-D  get x",
        "get -n 3 --foo",
        "--quoted-input get \"a\\x41\" b",
        "--quoted-input get \"a",
        "--quoted-input get 'a'b",
        "--foo get",
        "-t abc get x",
        "-t 2.5 get x",
        "-p 99999 get x",
        "-u foo get x",
        "-h localhost get x",
        "--show-pushes bad get x",
        "--verbose get x",
        "-c get x",
        "-p",
        "-",
        "--",
        "-hfoo get x",
        "-4 get x",
        "shutdown nosave",
        "quit",
    ] {
        add(ok, line, b"in put\n", &[]);
    }
    add(ok, "get x", b"", &[("REDISCLI_AUTH", "secret")]);
    add(ok, "-a pw get x", b"", &[("REDISCLI_AUTH", "secret")]);
    add(ok, "--user joe get x", b"", &[("REDISCLI_AUTH", "secret")]);
    let tty = &[("FAKETTY", "1")][..];
    for environment in [&[][..], tty] {
        for line in ["", "--no-raw", "--raw", "--csv", "--json", "-e"] {
            add(
                ok,
                line,
                b"get x\nget \"a b\" 'c'\n\n2 get y\n  get  z  \nget \"a\nget \"a\"b\nget a\"b\nexit\nget never\n",
                environment,
            );
        }
        add(ok, "", b"get x\nget y", environment);
        add(
            ok,
            "",
            b"0 ping\n-3 ping\n3\n:set hints\n:set nohints\n:set foo\n:foo\nconnect\nQUIT\nping\n",
            environment,
        );
        add(ok, "", b"clear\n", environment);
        add(ok, "", b"select 3\nmulti\nget x\nexec\ndiscard\nreset\n", environment);
        add(b"-ERR no\r\n", "", b"get x\nselect 3\nmulti\nexec\n", environment);
        add(b"$6\r\na\"b\r\n\n\r\n", "", b"info\nget x\nclient list\nCLUSTER nodes\nmemory doctor\n", environment);
        add(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "", b"get x\n", environment);
    }
    cases
}

/// The reference, if there is one of the right release.
fn reference() -> Option<PathBuf> {
    let named = std::env::var_os("REDIS_CLI").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|dir| dir.join("redis-cli")).find(|file| file.is_file()))?;
    let version = Command::new(&found).arg("--version").output().ok()?;
    let right = String::from_utf8_lossy(&version.stdout).starts_with("redis-cli 8.0.");
    right.then_some(found)
}

/// Runs the cases on some threads, in order.
fn outcomes(cases: &[Case], program: &Path) -> Vec<String> {
    let next = Mutex::new(0..cases.len());
    let results = Mutex::new(HashMap::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().unwrap().next() else { return };
                    let outcome = cases[index].outcome(program);
                    results.lock().unwrap().insert(index, outcome);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    (0..cases.len()).map(|index| results.remove(&index).unwrap()).collect()
}

fn check(file: &str, cases: &[Case]) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = |outcomes: &[String]| {
        let blocks = cases.iter().zip(outcomes).map(|(case, outcome)| format!("## {}\n{outcome}\n", case.title()));
        blocks.collect::<String>()
    };
    let reference = reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let reference = reference.as_ref().expect("UPDATE_GOLDEN needs REDIS_CLI");
        std::fs::write(&golden, text(&outcomes(cases, reference))).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    compare("ours", &text(&outcomes(cases, Path::new(OURS))), &expected);
    match reference {
        Some(reference) => compare("the reference", &text(&outcomes(cases, &reference)), &expected),
        None => eprintln!("skipped: no redis-cli 8.0 in PATH or REDIS_CLI to compare {file} with"),
    }
}

fn compare(who: &str, got: &str, expected: &str) {
    let blocks = |text: &str| text.split("\n## ").map(str::to_owned).collect::<Vec<_>>();
    let (got, expected) = (blocks(got), blocks(expected));
    assert_eq!(
        got.len(),
        expected.len(),
        "{who}: the cases are not those of the golden file: UPDATE_GOLDEN=1 records them"
    );
    let wrong: Vec<String> = got
        .iter()
        .zip(&expected)
        .filter(|(got, expected)| got != expected)
        .map(|(got, expected)| format!("--- expected\n{expected}\n--- {who}\n{got}\n"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), got.len(), wrong.join("\n"));
}

#[test]
fn every_reply_in_every_format() {
    check("formats.txt", &formats());
}

#[test]
fn invocations_and_sessions() {
    check("sessions.txt", &sessions());
}

/// Bytes that are no replies, and replies that never end: a message and a failure, never a panic and never a hang.
#[test]
fn bad_replies() {
    let deep = b"*1\r\n".repeat(100_000);
    let wide = [&b"*1000000000\r\n"[..], &b":1\r\n".repeat(1000)].concat();
    let maps = b"%1\r\n".repeat(100_000);
    let attributes = b"|1\r\n+a\r\n".repeat(50_000);
    let bad: &[&[u8]] = &[
        b"",
        b"hello\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff\xfe",
        b"$5\r\nab",
        b"$5\r\nabcdefgh\r\n$",
        b"$abc\r\n",
        b"$-5\r\n",
        b"$99999999999999999999\r\n",
        b"$9223372036854775807\r\n",
        b"*2\r\n+a\r\n",
        b"*-2\r\n",
        b"*99999999999999999999\r\n",
        b"*4294967295\r\n",
        b"%4294967295\r\n",
        b":12x\r\n",
        b"#x\r\n",
        b",abc\r\n",
        b"_x\r\n",
        b"(\r\n",
        b"=2\r\nab\r\n",
        b"=4\r\ntxtx\r\n",
        b"|1\r\n+a\r\n",
        b"-MOVED garbage\r\n$",
        b"+OK",
        &deep,
        &wide,
        &maps,
        &attributes,
    ];
    for reply in bad {
        for line in [
            "get x",
            "--json get x",
            "info",
            "subscribe a",
            "monitor",
            "--scan",
            "--bigkeys",
            "--stat",
            "-c get x",
            "help get",
            "--pipe",
            "",
        ] {
            let server = FakeServer::start(reply.to_vec(), true);
            let mut arguments = vec!["-p".to_owned(), server.port.to_string()];
            arguments.extend(words(line));
            let stdin: &[u8] = if line == "--pipe" { b"*1\r\n$4\r\nPING\r\n" } else { b"get x\nget y\n" };
            let run = run(Path::new(OURS), &arguments, stdin, &[]);
            let shown = format!(
                "{line:?} with {} [{:?}]\nstdout {}\nstderr {}",
                reply[..reply.len().min(60)].escape_ascii(),
                run.code,
                run.stdout.escape_ascii(),
                String::from_utf8_lossy(&run.stderr)
            );
            assert!(matches!(run.code, Some(0 | 1)), "{shown}");
            assert!(!String::from_utf8_lossy(&run.stderr).contains("panicked"), "{shown}");
            // A whole reply came before the garbage in a few: those may succeed. The rest must fail, with a reason.
            let whole = [&b"$5\r\nabcdefgh\r\n$"[..], b"-MOVED garbage\r\n$"].contains(reply);
            let session = line.is_empty() || line == "help get";
            if !whole && !session {
                assert_eq!(run.code, Some(1), "{shown}");
                assert!(!run.stderr.is_empty(), "{shown}");
            }
        }
    }
}

#[test]
fn no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let got = run(Path::new(OURS), &["-p".into(), port.clone(), "ping".into()], b"", &[]);
    assert_eq!(got.code, Some(1));
    let text = String::from_utf8(got.stderr).unwrap();
    assert_eq!(text, format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused\n"));
    let got = run(Path::new(OURS), &["-s".into(), "/no/such.sock".into(), "ping".into()], b"", &[]);
    assert_eq!(got.code, Some(1));
    assert_eq!(got.stderr, b"Could not connect to Redis at /no/such.sock: No such file or directory\n");
}

/// A redirection is followed to the other node, with ASKING where it belongs.
#[test]
fn redirections() {
    let there = FakeServer::start(b"+FINE\r\n".to_vec(), false);
    for (kind, expected) in [("MOVED", "get x \n"), ("ASK", "ASKING \nget x \n")] {
        there.seen.lock().unwrap().clear();
        let here = FakeServer::start(format!("-{kind} 12182 127.0.0.1:{}\r\n", there.port).into_bytes(), false);
        let arguments = ["-p", &here.port.to_string(), "-c", "get", "x"].map(str::to_owned);
        let got = run(Path::new(OURS), &arguments, b"", &[]);
        assert_eq!((got.stdout.as_slice(), got.code), (&b"FINE\n"[..], Some(0)));
        assert_eq!(there.seen(), expected.as_bytes());
        let without = run(Path::new(OURS), &[&arguments[..2], &arguments[3..]].concat(), b"", &[]);
        assert!(without.stdout.starts_with(kind.as_bytes()));
    }
    // A server that sends everybody round in circles is not followed for ever.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let reply = format!("-MOVED 1 127.0.0.1:{port}\r\n");
            thread::spawn(move || serve(stream, reply.as_bytes(), false, &Mutex::default()));
        }
    });
    let got = run(Path::new(OURS), &["-p".into(), port.to_string(), "-c".into(), "get".into(), "x".into()], b"", &[]);
    assert_eq!(got.code, Some(0));
    assert!(got.stdout.starts_with(b"MOVED 1 "));
}
