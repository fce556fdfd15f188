//! The append-only file, seen from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::{Process, Reply, TestServer, binary, request};

/// The reply to a write that waits while somebody else's script runs is not sent before the write is in the file.
#[test]
fn a_busy_script_sends_no_reply_of_an_unwritten_write() {
    let server = TestServer::with(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        "no",
        "--busy-reply-threshold",
        "50",
    ]);
    let (mut writer, mut scripter, mut sleeper) = (server.client(), server.client(), server.client());
    // Both requests arrive while the server sleeps, and so in one turn: first the write, then the script.
    sleeper.send(&request(&["DEBUG", "SLEEP", "0.5"])).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    writer.send(&request(&["SET", "acknowledged", "1"])).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    scripter.send(&request(&["EVAL", "while true do end", "0"])).unwrap();
    assert_eq!(writer.receive().unwrap(), Reply::Simple("OK".to_owned()));
    let written = std::fs::read_dir(server.dir().join("appendonlydir")).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(12).any(|window| window == b"acknowledged")
    });
    // The reply came while the script runs, or this test shows nothing.
    assert!(matches!(server.client().call(&["GET", "x"]), Reply::Error(text) if text.starts_with("BUSY")));
    assert!(written, "the reply was sent before the write was in the file");
    assert_eq!(server.client().call(&["SCRIPT", "KILL"]), Reply::Simple("OK".to_owned()));
}

/// The newest increment of a server's append-only file.
fn increment(dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(dir.join("appendonlydir")).expect("there is a folder");
    let entries = entries.map(|entry| entry.expect("it is there").path());
    entries.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).max().expect("there is an increment")
}

/// A wrong bit does not load as other data, wherever it is; and what holds checksums is loaded by those who know nothing of them.
#[test]
fn a_wrong_bit_is_found_when_it_is_loaded() {
    let dir = std::env::temp_dir().join(format!("rsrs-aof-checksum-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let args = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let start = || Process::launch(&dir, Command::new(binary()), &args);
    for round in 0..2 {
        // The second time behind what is there already.
        let (mut process, mut client) = start();
        for number in 0..200 {
            client.call(&["SET", &format!("key:{round}:{number}"), "some value"]);
        }
        std::thread::sleep(Duration::from_millis(1300));
        client.call(&["SET", "last", "one"]);
        process.kill();
    }
    let (file, len) = (increment(&dir), || std::fs::metadata(increment(&dir)).unwrap().len());
    let bytes = std::fs::read(&file).unwrap();
    let sums = bytes.windows(6).filter(|window| window == b"\n#CRC:").count();
    assert!(sums >= 3, "a block in each round, and a beginning: {sums}");
    {
        let (_process, mut client) = start();
        assert_eq!(client.call(&["DBSIZE"]).to_string(), ":401");
    }
    let start_fails = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let mut server = Command::new(binary());
        server.current_dir(&dir).args(["--port", "0"]).args(args);
        let output = server.output().unwrap();
        assert!(!output.status.success());
        let log = String::from_utf8_lossy(&output.stdout);
        assert!(log.contains("Expected another checksum") && log.contains("Bad file format"), "{log}");
    };
    let value = bytes.windows(10).position(|window| window == b"some value").unwrap();
    let mut damaged = bytes.clone();
    damaged[value] ^= 1;
    start_fails(&damaged);
    // A length that leads far beyond the end is not taken for a file that was cut off.
    let mut damaged = bytes.clone();
    let length = bytes.windows(4).position(|window| window == b"$10\r").unwrap();
    damaged[length + 2] = b'9';
    damaged.splice(length + 1..length + 1, *b"99999");
    damaged.drain(value + 5..value + 10);
    start_fails(&damaged);
    let before = len();
    let mut tool = Command::new(binary());
    std::os::unix::process::CommandExt::arg0(&mut tool, "redis-check-aof");
    let mut tool = tool.arg("--fix").arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut tool.stdin.take().unwrap(), b"y\n").unwrap();
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(len() < before);
    {
        let (_process, mut client) = start();
        assert_eq!(client.call(&["DBSIZE"]).to_string(), ":0", "the first block was damaged");
    }
    let _ = std::fs::remove_dir_all(&dir);
}
