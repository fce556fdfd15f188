//! Bad input: each a clear error or a closed connection, as in Redis, and the server unharmed.

use std::time::Duration;

use tests::{Client, Reply, TestServer};

/// Sends `bytes` on a new connection and returns what comes until the server closes it.
fn until_closed(server: &TestServer, bytes: &[u8]) -> String {
    let mut client = server.client();
    client.set_patience(Duration::from_secs(10)).expect("a socket option");
    client.send(bytes).expect("the server listens");
    let rest = client.receive_rest().expect("the server closes the connection");
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn broken_requests_are_answered_and_the_connection_is_closed() {
    let mut server = TestServer::start();
    for (bytes, expected) in [
        ("*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*99999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*3\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*3\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*3\r\n$2000000000\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*3\r\n$9223372036854775808\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*3\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*3\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        ("*1\r\n*1\r\n*1\r\n$4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '*'\r\n"),
        ("SET \"k v\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("SET 'k\"x\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        assert_eq!(until_closed(&server, bytes.as_bytes()), expected, "{bytes:?}");
    }
    server.assert_unharmed();
}

#[test]
fn requests_that_never_end_are_cut_short() {
    let mut server = TestServer::start();
    let long = "x".repeat(70_000);
    for (start, expected) in [
        ("", "-ERR Protocol error: too big inline request\r\n"),
        ("*", "-ERR Protocol error: too big mbulk count string\r\n"),
        ("*1\r\n$", "-ERR Protocol error: too big bulk count string\r\n"),
    ] {
        assert_eq!(until_closed(&server, format!("{start}{long}").as_bytes()), expected, "{start:?}");
    }
    server.assert_unharmed();
}

#[test]
fn requests_without_arguments_are_passed_over() {
    let server = TestServer::start();
    let mut client = server.client();
    client.send(b"\r\n\n*0\r\n*-1\r\n*-10\r\n   \r\nPING\r\n").unwrap();
    assert_eq!(client.receive().unwrap().to_string(), "+PONG");
}

#[test]
fn half_requests_harm_nobody() {
    let mut server = TestServer::start();
    let request = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    for end in 0..request.len() {
        server.client().send(&request[..end]).unwrap();
    }
    server.assert_unharmed();
    assert_eq!(server.client().call(&["EXISTS", "key"]), Reply::Int(0));
}

#[test]
fn every_byte_value_in_every_place() {
    let mut server = TestServer::start();
    let request = b"*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nPING\r\n".to_vec();
    for place in 0..request.len() {
        for byte in (0..=255_u8).step_by(5) {
            let mut broken = request.clone();
            broken[place] = byte;
            server.client().send(&broken).unwrap();
        }
    }
    server.assert_unharmed();
}

#[test]
fn announced_bytes_do_not_count_as_memory() {
    let server = TestServer::start();
    let mut observer = server.client();
    let before = observer.info("used_memory");
    let clients: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = server.client();
            client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870000\r\n").unwrap();
            client.send(&[b'x'; 100]).unwrap();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let after = observer.info("used_memory");
    assert!(after < before + 20_000_000, "100 announcements of 512 MB: used_memory {before} -> {after}");
    drop(clients);
}

#[test]
fn announced_arguments_do_not_count_as_memory() {
    let server = TestServer::start();
    let mut observer = server.client();
    let before = observer.info("used_memory");
    let clients: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = server.client();
            client.send(b"*2147483647\r\n$3\r\nDEL\r\n").unwrap();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let after = observer.info("used_memory");
    assert!(after < before + 20_000_000, "100 announcements of 2^31 arguments: used_memory {before} -> {after}");
    drop(clients);
}

#[test]
fn the_limit_of_the_query_buffer_is_for_what_is_not_complete() {
    let mut server = TestServer::start();
    server.client().call(&["CONFIG", "SET", "client-query-buffer-limit", "1mb"]);
    let value = "v".repeat(900_000);
    let mut client = server.client();
    let reply = client.call(&["MSET", "a", &value, "b", &value, "c", &value]);
    assert_eq!(reply.to_string(), "+OK");
    let small = "v".repeat(20_000);
    let reply = client.call(&[&["DEL"], &[small.as_str(); 200][..]].concat());
    assert_eq!(reply.to_string(), ":0");
    let long = "v".repeat((1 << 20) + 100);
    assert!(client.try_call(&["SET", "d", &long]).is_err());
    server.assert_unharmed();
    assert_eq!(server.client().info("client_query_buffer_limit_disconnections"), 1);
}

#[test]
fn strangers_may_not_announce_much() {
    let server = TestServer::with(&["--requirepass", "secret"]);
    for (bytes, expected) in [
        ("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        ("*2\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"),
    ] {
        assert_eq!(until_closed(&server, bytes.as_bytes()), expected, "{bytes:?}");
    }
    let mut client = server.client();
    assert_eq!(client.call(&["GET", "k"]).to_string(), "-NOAUTH Authentication required.");
    assert_eq!(client.call(&["AUTH", "secret"]).to_string(), "+OK");
    assert_eq!(client.call(&["GET", "k"]).to_string(), "(nil)");
}

#[test]
fn a_client_that_never_reads_is_cut_off_at_its_limit() {
    let mut server = TestServer::with(&["--client-output-buffer-limit", "normal 20mb 0 0"]);
    let mut observer = server.client();
    observer.call(&["SET", "big", &"x".repeat(1_000_000)]);
    let mut client = server.client();
    for _ in 0..200 {
        // An error means that the server has closed the connection already.
        if client.send(b"GET big\r\n").is_err() {
            break;
        }
    }
    let start = std::time::Instant::now();
    while observer.info("connected_clients") > 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "the client is still connected");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(observer.info("used_memory") < 60_000_000);
    server.assert_unharmed();
}

#[test]
fn a_client_killed_amid_its_reply_harms_nobody() {
    let mut server = TestServer::start();
    server.client().call(&["SET", "big", &"x".repeat(10_000_000)]);
    for _ in 0..20 {
        let mut client = server.client();
        client.send(b"GET big\r\nGET big\r\nPING\r\n").unwrap();
        let mut some = [0; 1000];
        assert!(client.receive_some(&mut some).unwrap() > 0);
        // Dropped with unread bytes: the peer sees a reset.
    }
    let mut observer = server.client();
    let start = std::time::Instant::now();
    while observer.info("connected_clients") > 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "clients are still connected");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.assert_unharmed();
}

#[test]
fn errors_never_carry_line_breaks_of_the_client() {
    let server = TestServer::start();
    let mut client = server.client();
    for args in [
        &[&b"NO\r\n+SUCH"[..], b"a\r\n-ERR b"][..],
        &[b"CONFIG", b"no\r\nsuch"],
        &[b"CLIENT", b"no\r\n+OK"],
        &[b"OBJECT", b"no\r\n:1", b"k"],
        &[b"SET", b"k", b"v", b"\r\n+OK"],
    ] {
        let reply = client.call(args);
        assert!(matches!(&reply, Reply::Error(text) if !text.contains(['\r', '\n'])), "{reply}");
        assert_eq!(client.call(&["PING"]).to_string(), "+PONG", "replies stay in step");
    }
}

#[test]
fn arguments_out_of_range_are_refused() {
    let server = TestServer::start();
    let mut client = server.client();
    client.call(&["SET", "s", "v"]);
    client.call(&["RPUSH", "l", "a", "b"]);
    client.call(&["SADD", "set", "a", "b"]);
    client.call(&["HSET", "h", "f", "1"]);
    client.call(&["ZADD", "z", "1", "a"]);
    let min = i64::MIN.to_string();
    let max = i64::MAX.to_string();
    for args in [
        &["SETRANGE", "s", "-1", "x"][..],
        &["SETRANGE", "s", "536870912", "x"],
        &["SETRANGE", "s", &max, "x"],
        &["SETBIT", "s", "4294967296", "1"],
        &["SETBIT", "s", "-1", "1"],
        &["INCRBY", "s", &max],
        &["SET", "s", "v", "EX", "-1"],
        &["SET", "s", "v", "EX", "0"],
        &["SET", "s", "v", "PX", "99999999999999999999"],
        &["EXPIRE", "s", &max],
        &["EXPIRE", "s", &min],
        &["LPOP", "l", "-1"],
        &["LREM", "l", &min, "none"],
        &["LMPOP", "-1", "l", "LEFT"],
        &["LMPOP", &max, "l", "LEFT"],
        &["LPOS", "l", "a", "RANK", &min],
        &["SRANDMEMBER", "set", &min],
        &["HRANDFIELD", "h", &min, "WITHVALUES"],
        &["ZRANDMEMBER", "z", &min],
        &["SPOP", "set", "-1"],
        &["SINTERCARD", "0", "set"],
        &["SINTERCARD", &max, "set"],
        &["ZUNION", &max, "z"],
        &["ZUNIONSTORE", "d", "-1", "z"],
        &["ZINCRBY", "z", "nan", "a"],
        &["ZADD", "z", "1e400x", "a"],
        &["HINCRBY", "h", "f", &max],
        &["SCAN", "-1"],
        &["SCAN", "0", "COUNT", "0"],
        &["SELECT", "16"],
        &["SELECT", &max],
        &["BLPOP", "none", "-1"],
        &["BLPOP", "none", "1e300"],
        &["OBJECT", "FREQ", "s"],
        &["RESTORE", "r", "0", "garbage"],
        &["CLIENT", "KILL", "ID", &min],
    ] {
        let reply = client.call(args);
        assert!(matches!(reply, Reply::Error(_)), "{args:?}: {reply}");
    }
    // These are in range, whatever they ask for.
    for args in [
        &["LRANGE", "l", &min, &max][..],
        &["LTRIM", "l", &min, &max],
        &["GETRANGE", "s", &min, &max],
        &["ZRANGE", "z", &min, &max],
        &["SRANDMEMBER", "set", "-5"],
        &["LPOP", "l", &max],
    ] {
        let reply = client.call(args);
        assert!(!matches!(reply, Reply::Error(_)), "{args:?}: {reply}");
    }
}

#[test]
fn patterns_that_explode_are_bounded() {
    let server = TestServer::start();
    let mut client = server.client();
    client.set_patience(Duration::from_secs(20)).unwrap();
    client.call(&["SET", &"a".repeat(1000), "v"]);
    let pattern = format!("{}b", "a*".repeat(500));
    assert_eq!(client.call(&["KEYS", &pattern]).to_string(), "[]");
    assert_eq!(client.call(&["KEYS", "[a-\\"]).to_string(), "[]");
}
