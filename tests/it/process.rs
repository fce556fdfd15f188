//! What a server does apart from commands: how it is called, and what goes on in the background while clients wait.

use std::time::{Duration, Instant};

use tests::{Client, Reply, TestServer};

/// The title that the system shows.
fn title(server: &TestServer) -> String {
    let bytes = std::fs::read(format!("/proc/{}/cmdline", server.pid())).expect("a Linux system");
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

#[test]
fn the_title_follows_the_template() {
    let server = TestServer::with(&["--bind", "127.0.0.1"]);
    let mut client = server.client();
    assert!(title(&server).ends_with(&format!(" 127.0.0.1:{}", server.port())), "{}", title(&server));
    // Longer than the arguments were.
    let long = "x".repeat(230);
    client.call(&["CONFIG", "SET", "proc-title-template", &format!("{{port}} {long} {{server-mode}}")]);
    assert_eq!(title(&server), format!("{} {long}", server.port()));
    client.call(&["CONFIG", "SET", "proc-title-template", ""]);
    assert_eq!(title(&server), "");
    let refused = client.call(&["CONFIG", "SET", "proc-title-template", "{name}"]);
    assert!(refused.to_string().contains("template format is invalid"), "{refused}");
}

#[test]
fn flushing_keeps_only_its_client_waiting() {
    let server = TestServer::start();
    let (mut observer, mut client) = (server.client(), server.client());
    let number = client.call(&["CLIENT", "ID"]).int().expect("a number").to_string();
    client.call(&["DEBUG", "POPULATE", "300000"]);
    client.send(&tests::request(&["FLUSHALL"])).expect("sent");
    let start = Instant::now();
    let mut waited = false;
    while observer.info("lazyfreed_objects") < 300_000 {
        if observer.info("blocked_clients") == 1 {
            waited = true;
            assert_eq!(observer.call(&["CLIENT", "UNBLOCK", &number]).int(), Some(0), "nothing calls it off");
        }
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    assert!(waited, "others are served meanwhile");
    assert_eq!(client.receive().expect("a reply").to_string(), "+OK");
    // In a transaction it is done at once, by the engine's thread.
    client.call(&["SET", "k", "v"]);
    client.call(&["MULTI"]);
    client.call(&["FLUSHDB", "SYNC"]);
    client.call(&["EXEC"]);
    assert_eq!(observer.info("lazyfreed_objects"), 300_000);
}

#[test]
fn a_pause_of_writes_holds_scripts_by_what_they_say() {
    let server = TestServer::start();
    let mut observer = server.client();
    observer.call(&["SET", "k", "v"]);
    let reads = "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])";
    let sha = observer.call(&["SCRIPT", "LOAD", reads]).text().expect("a sum");
    observer.call(&["CLIENT", "PAUSE", "100000", "WRITE"]);
    let held = |client: &mut Client, request: &[&str]| {
        client.set_patience(Duration::from_millis(500)).expect("a timeout");
        client.try_call(request).is_err()
    };
    for request in [&["EVAL", reads, "1", "k"][..], &["EVALSHA", &sha, "1", "k"], &["EVAL_RO", "return 1", "0"]] {
        assert!(!held(&mut server.client(), request), "{request:?}");
    }
    for request in [&["EVAL", "return 1", "0"][..], &["EVAL", "#!lua\nreturn 1", "0"], &["SET", "k", "w"]] {
        assert!(held(&mut server.client(), request), "{request:?}");
    }
    // A transaction is held for what is queued, and can always be given up.
    for (queued, ends, is_held) in [
        (&["EVAL", reads, "1", "k"][..], "EXEC", false),
        (&["EVAL", "return 1", "0"], "EXEC", true),
        (&["SET", "k", "w"], "EXEC", true),
        (&["SET", "k", "w"], "DISCARD", false),
    ] {
        observer.call(&["CLIENT", "UNPAUSE"]);
        let mut client = server.client();
        assert_eq!(client.call(&["MULTI"]), Reply::Simple("OK".to_owned()));
        assert_eq!(client.call(queued), Reply::Simple("QUEUED".to_owned()));
        observer.call(&["CLIENT", "PAUSE", "100000", "WRITE"]);
        assert_eq!(held(&mut client, &[ends]), is_held, "{queued:?} {ends}");
    }
}
