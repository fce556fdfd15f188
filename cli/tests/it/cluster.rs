//! `--cluster`, `-c` and `redis-benchmark-rs --cluster` against real nodes.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{Run, run};
use crate::server::{Server, find};

const CLI: &str = env!("CARGO_BIN_EXE_redis-cli-rs");
const BENCHMARK: &str = env!("CARGO_BIN_EXE_redis-benchmark-rs");

/// How long a cluster may take to agree.
const AGREEMENT: Duration = Duration::from_secs(30);

/// The first nodes, which are in the cluster all the time.
const MEMBERS: usize = 3;

struct Cluster {
    nodes: Vec<Server>,
    ids: Vec<String>,
}

impl Cluster {
    fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.nodes[node].port)
    }

    /// `redis-cli-rs --cluster …`
    fn manage(&self, words: &[&str], input: &str) -> Run {
        let arguments: Vec<String> = ["--cluster"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        run(Path::new(CLI), &arguments, input.as_bytes(), &[])
    }

    /// One command to one node.
    fn ask(&self, node: usize, line: &str) -> String {
        let port = self.nodes[node].port.to_string();
        let arguments = ["-p", &port].into_iter().chain(line.split(' ')).map(str::to_owned).collect::<Vec<_>>();
        String::from_utf8(run(Path::new(CLI), &arguments, b"", &[]).stdout).unwrap().trim_end().to_owned()
    }

    /// The same with `-c`.
    fn follow(&self, node: usize, input: &str) -> String {
        let arguments = ["-c", "-p", &self.nodes[node].port.to_string()].map(str::to_owned);
        String::from_utf8(run(Path::new(CLI), &arguments, input.as_bytes(), &[]).stdout).unwrap()
    }

    /// Waits until a check finds nothing wrong; what it says.
    fn healthy(&self) -> String {
        let started = Instant::now();
        let mut before = false;
        loop {
            let check = self.manage(&["check", &self.address(0)], "");
            let text = String::from_utf8_lossy(&check.stdout).into_owned();
            let state = (0..MEMBERS).all(|node| self.ask(node, "cluster info").contains("cluster_state:ok"));
            // Twice: a node that has just joined hears of the slots from one node after the other.
            if check.code == Some(0) && state && std::mem::replace(&mut before, true) {
                return text;
            }
            before &= check.code == Some(0) && state;
            assert!(started.elapsed() < AGREEMENT, "{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn start(count: usize, dir: &Path) -> Option<Cluster> {
    let program = find("REDIS_SERVER", "redis-server")?;
    let node = |number: usize| {
        let dir = dir.join(number.to_string());
        let _ = std::fs::remove_dir_all(&dir);
        Server::start(&program, &dir, &["--cluster-enabled", "yes", "--cluster-node-timeout", "15000"])
    };
    let mut cluster = Cluster { nodes: (0..count).map(node).collect(), ids: Vec::new() };
    cluster.ids = (0..count).map(|node| cluster.ask(node, "cluster myid")).collect();
    Some(cluster)
}

fn succeeded(run: &Run) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.code, Some(0), "{text}");
    text
}

#[test]
fn life_of_a_cluster() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id()));
    let Some(cluster) = start(4, &dir) else {
        eprintln!("skipped: no redis-server to make a cluster of");
        return;
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|node| cluster.address(node));
    let ids = &cluster.ids;

    let refused = cluster.manage(&["create", &a, &b], "");
    assert_eq!(refused.code, Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).ends_with("*** At least 3 nodes are required.\n"));
    let text = succeeded(&cluster.manage(&["create", &a, &b, &c], "no\n"));
    assert!(text.ends_with("Can I set the above configuration? (type 'yes' to accept): "), "{text}");
    let text = succeeded(&cluster.manage(&["create", &a, &b, &c], "yes\n"));
    assert!(text.contains("Master[1] -> Slots 5461 - 10922\n"), "{text}");
    assert!(text.ends_with("[OK] All 16384 slots covered.\n"), "{text}");
    assert!(cluster.healthy().contains(&format!("M: {} {a}\n   slots:[0-5460] (5461 slots) master\n", ids[0])));
    assert_eq!(cluster.manage(&["create", &a, &b, &c], "").code, Some(1), "not empty any more");

    // Redirections, of a whole slot and of keys of a slot that is being moved.
    let text = cluster.follow(0, "set a 1\nset b 2\nget a\n");
    let expected =
        format!("-> Redirected to slot [15495] located at {c}\nOK\n-> Redirected to slot [3300] located at {a}\nOK\n");
    assert!(text.starts_with(&expected), "{text}");
    cluster.ask(2, &format!("cluster setslot 15495 migrating {}", ids[0]));
    cluster.ask(0, &format!("cluster setslot 15495 importing {}", ids[2]));
    let text = cluster.follow(2, "set {a}new 1\nget a\n");
    assert!(text.starts_with(&format!("-> Redirected to slot [15495] located at {a}\nOK\n")), "{text}");
    let check = cluster.manage(&["check", &a], "");
    assert_eq!(check.code, Some(1));
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(text.contains("[WARNING] The following slots are open: 15495.\n"), "{text}");
    let text = succeeded(&cluster.manage(&["fix", &a], ""));
    assert!(text.contains(&format!(">>> Case 1: Moving slot 15495 from {c} to {a}\n")), "{text}");
    cluster.healthy();
    assert_eq!((cluster.ask(0, "get a"), cluster.ask(0, "get {a}new")), ("1".to_owned(), "1".to_owned()));

    let text = succeeded(&cluster.manage(&["add-node", &d, &a], ""));
    assert!(text.ends_with("[OK] New node added correctly.\n"), "{text}");
    cluster.healthy();
    let started = Instant::now();
    while !(0..4).all(|node| cluster.ask(node, "cluster info").contains("cluster_known_nodes:4")) {
        assert!(started.elapsed() < AGREEMENT);
    }
    cluster.healthy();
    let words =
        ["reshard", &a, "--cluster-from", &ids[0], "--cluster-to", &ids[3], "--cluster-slots", "3", "--cluster-yes"];
    let text = succeeded(&cluster.manage(&words, ""));
    assert!(text.ends_with(&format!("Moving slot 2 from {a} to {d}: \n")), "{text}");
    assert!(cluster.healthy().contains(&format!("M: {} {d}\n   slots:[0-2] (3 slots) master\n", ids[3])));
    let wrong = ["reshard", &a, "--cluster-from", "nobody", "--cluster-to", &ids[3], "--cluster-slots", "3"];
    assert_eq!(cluster.manage(&wrong, "").code, Some(1));
    let full = cluster.manage(&["del-node", &a, &ids[3]], "");
    assert!(String::from_utf8(full.stdout).unwrap().ends_with("is not empty! Reshard data away and try again.\n"));
    let text = succeeded(&cluster.manage(&["rebalance", &a, "--cluster-weight", &format!("{}=0", ids[3])], ""));
    assert!(text.contains(&format!(" slots from {d} to ")), "{text}");
    // Without slots it may become a replica.
    assert!(cluster.healthy().contains(&format!(": {} {d}\n   slots: (0 slots) ", ids[3])));
    succeeded(&cluster.manage(&["del-node", &a, &ids[3]], ""));
    assert!(cluster.healthy().contains("keys in 3 masters"));

    // A slot that nobody serves.
    (0..3).for_each(|node| _ = cluster.ask(node, "cluster delslots 7 8"));
    assert_eq!(cluster.manage(&["check", &a], "").code, Some(1));
    assert_eq!(cluster.manage(&["fix", &a], "no\n").code, Some(1));
    let text = succeeded(&cluster.manage(&["fix", &a], "yes\n"));
    assert!(text.contains("no keys across the cluster:\n[7-8]\n"), "{text}");
    cluster.healthy();

    let text = succeeded(&cluster.manage(&["call", &b, "dbsize"], ""));
    assert!(text.starts_with(&format!(">>> Calling dbsize\n{b}: ")), "{text}");
    let backup = dir.join("backup");
    std::fs::create_dir_all(&backup).unwrap();
    succeeded(&cluster.manage(&["backup", &a, backup.to_str().unwrap()], ""));
    let saved = std::fs::read_dir(&backup).unwrap().count();
    assert_eq!(saved, 4);
    let alone = Server::start(&find("REDIS_SERVER", "redis-server").unwrap(), &dir.join("alone"), &[]);
    let from = format!("127.0.0.1:{}", alone.port);
    let fill = ["-p", &alone.port.to_string(), "mset", "k1", "v1", "k2", "v2"].map(str::to_owned);
    succeeded(&run(Path::new(CLI), &fill, b"", &[]));
    let text = succeeded(&cluster.manage(&["import", &a, "--cluster-from", &from, "--cluster-copy"], ""));
    assert!(text.contains("*** Importing 2 keys from DB 0\n"), "{text}");
    assert!(cluster.follow(0, "get k1\nget k2\n").contains("v1\n"));
    assert_eq!(cluster.manage(&["import", &a, "--cluster-from", &from], "").code, Some(1), "the keys are there");

    let arguments =
        ["--cluster", "-p", &cluster.nodes[0].port.to_string(), "-n", "2000", "-c", "10", "-q", "-t", "set,lpush"];
    let text = succeeded(&run(Path::new(BENCHMARK), &arguments.map(str::to_owned), b"", &[]));
    assert!(text.starts_with("Cluster has 3 master nodes:\n\n"), "{text}");
    assert!((0..3).all(|node| cluster.ask(node, "dbsize") != "0"));
    std::fs::remove_dir_all(&dir).unwrap();
}
