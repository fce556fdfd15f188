//! The append-only file, seen from outside.

use std::time::Duration;

use tests::{Reply, TestServer, request};

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
