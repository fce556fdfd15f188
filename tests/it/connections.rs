//! Many connections: what each costs, and that none is forgotten.

use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tests::{Client, TestServer};

/// Raises the limit of open files, which the server inherits, as far as it goes; how many that is.
fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without the right to it the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)
}

/// Waits until the server counts no more clients than `count`.
fn wait_for_clients(observer: &mut Client, count: u64) {
    let start = Instant::now();
    while observer.info("connected_clients") > count {
        assert!(start.elapsed() < Duration::from_secs(20), "{} clients", observer.info("connected_clients"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_idle_connection_costs_less_than_2500_bytes() {
    let wanted = 10_000;
    let allowed = raise_open_files();
    // Where a container allows few files, fewer connections still show what one costs.
    let count = wanted.min(allowed.saturating_sub(200));
    assert!(count >= 500, "the limit of open files is {allowed}");
    let server = TestServer::with(&["--maxclients", "20000"]);
    let mut observer = server.client();
    // The first connections pay for tables and buffers that all share.
    let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.call(&["PING"]).to_string(), "+PONG"));
    std::thread::sleep(Duration::from_millis(500));
    let (used, resident) = (observer.info("used_memory"), server.resident());
    for _ in 0..count {
        let mut client = server.client();
        assert_eq!(client.call(&["PING"]).to_string(), "+PONG");
        clients.push(client);
    }
    // Buffers that were used are given back after a while.
    std::thread::sleep(Duration::from_secs(3));
    let used_each = observer.info("used_memory").saturating_sub(used) / count;
    let resident_each = server.resident().saturating_sub(resident) / count;
    println!("{count} idle connections: {used_each} bytes of used_memory, {resident_each} resident, each");
    assert!(resident_each < 2500, "{resident_each} resident bytes per idle connection ({used_each} used)");
    drop(clients);
    wait_for_clients(&mut observer, 1);
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let seconds = std::env::var("CHURN_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_u64);
    let mut server = TestServer::start();
    let mut observer = server.client();
    let mut churn = |count: u64| {
        let start = Instant::now();
        for i in 0..count {
            let mut client = server.client();
            match i % 4 {
                0 => {}
                1 => client.send(b"*2\r\n$3\r\nGET\r\n").unwrap(),
                2 => client.send(b"SUBSCRIBE a b c\r\nMULTI\r\n").unwrap(),
                _ => assert_eq!(client.call(&["SET", "k", "v"]).to_string(), "+OK"),
            }
            // 1,000 a second, unless the machine is slower.
            let due = start + Duration::from_millis(i);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        wait_for_clients(&mut observer, 1);
    };
    churn(1000);
    std::thread::sleep(Duration::from_millis(500));
    let (files, resident) = (server.open_files(), server.resident());
    churn(1000 * seconds);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.open_files(), files, "open files");
    let grown = server.resident().saturating_sub(resident);
    assert!(grown < 1_500_000, "{grown} bytes more after {} connections", 1000 * seconds);
    server.assert_unharmed();
}

#[test]
fn no_more_clients_than_maxclients() {
    let server = TestServer::with(&["--maxclients", "5"]);
    let mut clients: Vec<Client> = (0..5).map(|_| server.client()).collect();
    // The connection that found the server started may still count for a moment.
    let start = Instant::now();
    for client in &mut clients {
        while client.try_call(&["PING"]).map(|reply| reply.to_string()).ok().as_deref() != Some("+PONG") {
            assert!(start.elapsed() < Duration::from_secs(5), "five clients are let in");
            *client = server.client();
        }
    }
    let refused = server.client().receive().unwrap().to_string();
    assert_eq!(refused, "-ERR max number of clients reached");
    drop(clients.pop());
    let start = Instant::now();
    while server.client().try_call(&["PING"]).map(|reply| reply.to_string()).ok().as_deref() != Some("+PONG") {
        assert!(start.elapsed() < Duration::from_secs(5), "a place that became free is given away");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn idle_clients_are_closed_after_the_timeout() {
    let server = TestServer::with(&["--timeout", "1"]);
    let mut client = server.client();
    client.call(&["PING"]);
    client.set_patience(Duration::from_secs(10)).unwrap();
    assert!(client.receive_rest().expect("closed by the server").is_empty());
}
