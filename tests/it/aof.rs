//! The append-only file, seen from outside: what was acknowledged is there after a crash.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Client, Reply, binary};

/// Rounds of a run in CI; `AOF_CRASH_ROUNDS` asks for more.
const ROUNDS: u32 = 20;

/// A generator of our own: each run writes the same, the moments of the crashes differ.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn start(dir: &Path) -> Child {
    let log = std::fs::File::options().append(true).create(true).open(dir.join("log")).expect("the folder is ours");
    Command::new(binary())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a handle more"))
        .stderr(log)
        .args(["--port", "0", "--save", "", "--unixsocket", "s", "--appendonly", "yes", "--appendfsync", "always"])
        // Rewrites come often, so that crashes hit them too.
        .args(["--auto-aof-rewrite-percentage", "50", "--auto-aof-rewrite-min-size", "20kb"])
        .spawn()
        .expect("the server was built")
}

fn connect(dir: &Path, child: &mut Child) -> Client {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().expect("it is our child") {
            panic!(
                "the server does not start ({status}):\n{}",
                std::fs::read_to_string(dir.join("log")).expect("there is a log")
            );
        }
        if let Ok(mut client) = Client::connect_unix(&dir.join("s"))
            && client.try_call(&["PING"]).is_ok_and(|reply| reply == Reply::Simple("PONG".to_owned()))
        {
            return client;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the server does not answer");
}

/// Counters that only grow: each is at least as large as the last answer, and at most one larger for the request that was
/// under way.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var("AOF_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let dir = std::env::temp_dir().join(format!("rsrs-aof-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut counters: HashMap<String, i64> = HashMap::new();
    for round in 0..rounds {
        let mut child = start(&dir);
        let mut client = connect(&dir, &mut child);
        for (key, &count) in &counters {
            let Reply::Bulk(value) = client.call(&["GET", key]) else { panic!("round {round}: {key} is lost") };
            assert_eq!(String::from_utf8_lossy(&value), count.to_string(), "round {round}: {key}");
        }
        let moment = Instant::now() + Duration::from_millis(20 + dice.below(300));
        let pid = child.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        });
        let under_way = loop {
            let key = format!("counter:{}", dice.below(50));
            match client.try_call(&["INCR", &key]) {
                Ok(Reply::Int(count)) => drop(counters.insert(key, count)),
                Ok(other) => panic!("round {round}: {other:?}"),
                Err(_) => break key,
            }
        };
        killer.join().unwrap();
        child.wait().unwrap();
        // Whether the last one was made durable nobody knows; what it is from now on is what the server says.
        let mut child = start(&dir);
        let mut client = connect(&dir, &mut child);
        let before = counters.get(&under_way).copied();
        let after = match client.call(&["GET", &under_way]) {
            Reply::Bulk(value) => String::from_utf8(value.to_vec()).unwrap().parse::<i64>().unwrap(),
            _ => 0,
        };
        let known = before.unwrap_or(0);
        assert!(after == known || after == known + 1, "round {round}: {under_way} was {known}, is {after}");
        if after > 0 {
            counters.insert(under_way, after);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
