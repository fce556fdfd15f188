//! Servers that send garbage, half replies or endless nesting and close: every mode says what is wrong and leaves with a failure.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use crate::process::run;

const CLI: &str = env!("CARGO_BIN_EXE_redis-cli-rs");
const BENCHMARK: &str = env!("CARGO_BIN_EXE_redis-benchmark-rs");

/// `PORT` is the server's, `FILE` one that may be written.
const MODES: &[&str] = &[
    "--rdb FILE",
    "--functions-rdb FILE",
    "--replica",
    "--latency -i 1",
    "--latency-dist -i 1",
    "--latency-history -i 1",
    "--memkeys",
    "--keystats",
    "--hotkeys",
    "--lru-test 10",
    "--eval /dev/null",
    "--cluster check 127.0.0.1:PORT",
    "--cluster call 127.0.0.1:PORT ping",
    "--cluster create 127.0.0.1:PORT 127.0.0.1:PORT 127.0.0.1:PORT",
    "--cluster add-node 127.0.0.1:PORT 127.0.0.1:PORT",
    "-3 get x",
    "benchmark -n 10 -q -t get",
    "benchmark --cluster -n 10 -q -t get",
    "benchmark -n 10 -q -P 4 -t mset",
];

/// Answers the first bytes of each connection and closes it. The port.
fn start(reply: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let reply = reply.clone();
            thread::spawn(move || {
                if client.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {
                    let _ = client.write_all(&reply);
                }
            });
        }
    });
    port
}

#[test]
fn every_mode_fails_with_a_reason() {
    let bad: &[&[u8]] = &[
        b"",
        b"hello\r\n",
        b"$5\r\nab",
        b"$9223372036854775807\r\n",
        b"*4294967295\r\n",
        b"*-2\r\n",
        b"%1\r\n+a\r\n",
        &b"*1\r\n".repeat(100_000),
    ];
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bad-{}.rdb", std::process::id()));
    for reply in bad {
        for mode in MODES {
            let port = start(reply.to_vec()).to_string();
            let (program, line) = match mode.strip_prefix("benchmark ") {
                Some(line) => (BENCHMARK, line),
                None => (CLI, *mode),
            };
            let line = line.replace("PORT", &port).replace("FILE", file.to_str().unwrap());
            let own = ["-p".to_owned(), port];
            let arguments: Vec<String> = own.into_iter().chain(line.split(' ').map(str::to_owned)).collect();
            let run = run(Path::new(program), &arguments, b"", &[]);
            let shown = format!(
                "{mode} with {}\nstdout {}\nstderr {}",
                reply[..reply.len().min(40)].escape_ascii(),
                run.stdout.escape_ascii(),
                String::from_utf8_lossy(&run.stderr)
            );
            assert_eq!(run.code, Some(1), "{shown}");
            assert!(!run.stdout.is_empty() || !run.stderr.is_empty(), "{shown}");
            assert!(!String::from_utf8_lossy(&run.stderr).contains("panicked"), "{shown}");
        }
    }
    let _ = std::fs::remove_file(&file);
}
