//! RDB files of real servers, and our own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::{Client, Process, TestServer};

/// Files in `golden/rdb`, and the digest that Redis 8.0.6 gives for what is in them. They were written by servers of the
/// version in their names: every type in every encoding of that version, expiring keys, two databases.
const GOLDEN: &[(&str, &str)] = &[
    ("types-7.0.15", "d658ec6df2226603cd02bdae405f9acc38b96af5"),
    ("types-8.0.6", "d658ec6df2226603cd02bdae405f9acc38b96af5"),
    ("streams-7.0.15", "909326df347fbcac755ffde2e2650730126c2218"),
    ("streams-8.0.6", "909326df347fbcac755ffde2e2650730126c2218"),
    ("fields-8.0.6", "bc43c4098a982340b8f6c9f382a69bf7306d4a80"),
];

/// A folder for a server's files; it goes away with this value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, file: Option<&Path>) -> Folder {
        let folder = std::env::temp_dir().join(format!("rsrs-rdb-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        if let Some(file) = file {
            std::fs::copy(file, folder.join("dump.rdb")).expect("the file is there");
        }
        Folder(folder)
    }

    fn server(&self, args: &[&str]) -> TestServer {
        let dir = self.0.to_string_lossy();
        TestServer::with(
            &[&["--dir", &dir, "--dbfilename", "dump.rdb", "--enable-debug-command", "yes"], args].concat(),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn digest(client: &mut Client) -> String {
    client.call(&["DEBUG", "DIGEST"]).to_string()
}

#[test]
fn golden_files_load_and_are_saved_again() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rdb");
    for (name, expected) in GOLDEN {
        let folder = Folder::new(name, Some(&golden.join(format!("{name}.rdb"))));
        let expected = format!("+{expected}");
        {
            let server = folder.server(&[]);
            let mut client = server.client();
            assert_eq!(digest(&mut client), expected, "{name}");
            assert_eq!(client.call(&["DEBUG", "RELOAD"]).to_string(), "+OK");
            assert_eq!(digest(&mut client), expected, "{name} after a reload");
        }
        let server = folder.server(&[
            "--rdbcompression",
            "no",
            "--list-max-listpack-size",
            "3",
            "--hash-max-listpack-entries",
            "1",
        ]);
        assert_eq!(digest(&mut server.client()), expected, "{name}, saved by us, with other limits");
    }
}

/// A process' niceness.
fn nice_of(pid: u32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The 19th field; the second may hold spaces, and ends with a parenthesis.
    let fields = stat.rsplit_once(") ").expect("a name").1;
    fields.split(' ').nth(16).expect("it is there").parse().expect("a number")
}

/// That of its only child, once it has said what it is.
fn nice_of_child(pid: u32) -> i32 {
    let start = Instant::now();
    loop {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs");
        let child: u32 = children.trim().parse().expect("one child");
        let nice = nice_of(child);
        if nice != nice_of(pid) || start.elapsed() > Duration::from_millis(1500) {
            return nice;
        }
    }
}

#[test]
fn a_child_saves_what_was_there_when_it_began() {
    let folder = Folder::new("child", None);
    let server = folder.server(&["--rdb-key-save-delay", "10000"]);
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "200"]);
    let before = digest(&mut client);
    assert_eq!(client.call(&["BGSAVE"]).to_string(), "+Background saving started");
    assert_eq!(nice_of_child(server.pid()), nice_of(server.pid()) + 5, "the child gives way to clients");
    assert_eq!(client.call(&["BGSAVE"]).to_string(), "-ERR Background save already in progress");
    assert_eq!(client.call(&["SAVE"]).to_string(), "-ERR Background save already in progress");
    for i in 0..200 {
        client.call(&["SET", &format!("key:{i}"), "later"]);
    }
    let start = Instant::now();
    while client.info("rdb_bgsave_in_progress") == 1 {
        assert!(start.elapsed() < Duration::from_secs(20), "the child does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.info("rdb_changes_since_last_save"), 200);
    assert_eq!(client.call(&["DEBUG", "RELOAD", "NOSAVE"]).to_string(), "+OK");
    assert_eq!(digest(&mut client), before);
}

/// The digests that Redis 7.0 gives for the same, whose scores are spelled in another way.
const DIGESTS_7_0: &[(&str, &str)] =
    &[("types", "9fa5594d65784d39156a4bf9d60cd7181063104b"), ("streams", "909326df347fbcac755ffde2e2650730126c2218")];

/// Whether this machine has a Redis 7.0.
fn has_redis_7_0() -> bool {
    let version = Command::new("redis-server").arg("--version").output();
    version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(" v=7.0."))
}

#[test]
fn files_in_older_formats_load() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rdb");
    for (name, expected) in GOLDEN.iter().filter(|(name, _)| !name.starts_with("fields")) {
        let folder = Folder::new(&format!("older-{name}"), Some(&golden.join(format!("{name}.rdb"))));
        let expected = format!("+{expected}");
        for format in ["redis-11", "redis-10", "redis-9", "valkey-80", "redis-12"] {
            let server = folder.server(&["--rdb-output-format", format]);
            let mut client = server.client();
            assert_eq!(client.call(&["DEBUG", "RELOAD"]).to_string(), "+OK");
            assert_eq!(digest(&mut client), expected, "{name} as {format}");
            let file = std::fs::read(folder.0.join("dump.rdb")).expect("it was saved");
            let digits = format.split_once('-').expect("a number").1;
            assert!(file[5..9].ends_with(digits.as_bytes()), "{format}");
            drop(server);
            if matches!(format, "redis-10" | "redis-9") && has_redis_7_0() {
                let (_, expected) = DIGESTS_7_0.iter().find(|(start, _)| name.starts_with(start)).expect("it is there");
                let (_process, mut redis) =
                    Process::launch(&folder.0, Command::new("redis-server"), &["--dir", "./", "--save", ""]);
                assert_eq!(digest(&mut redis), format!("+{expected}"), "{name} as {format}, by Redis 7.0");
            }
        }
    }
}

#[test]
fn what_an_older_format_cannot_hold_is_refused_or_left_out() {
    let folder = Folder::new("left-out", None);
    let server = folder.server(&["--rdb-output-format", "redis-10"]);
    let mut client = server.client();
    client.call(&["HSET", "hash", "a", "1", "b", "2"]);
    client.call(&["HPEXPIRE", "hash", "1000000", "FIELDS", "1", "a"]);
    assert_eq!(client.call(&["SAVE"]).to_string(), "-ERR");
    let log = server.log();
    assert!(log.contains("key 'hash': the format redis-10 has no form for deadlines of hash fields"), "{log}");
    assert!(!folder.0.join("dump.rdb").exists());
    client.call(&["CONFIG", "SET", "rdb-downgrade-policy", "drop"]);
    assert_eq!(client.call(&["DEBUG", "RELOAD"]).to_string(), "+OK");
    assert!(server.log().contains("1 deadlines of hash fields"));
    assert_eq!(client.call(&["HPTTL", "hash", "FIELDS", "1", "a"]).to_string(), "[:-1]");
    client.call(&["HPEXPIRE", "hash", "1000000", "FIELDS", "1", "a"]);
    client.call(&["CONFIG", "SET", "rdb-output-format", "valkey-80"]);
    assert_eq!(client.call(&["DEBUG", "RELOAD"]).to_string(), "+OK");
    assert_ne!(client.call(&["HPTTL", "hash", "FIELDS", "1", "a"]).to_string(), "[:-1]");
}

/// Converts `file`; the result lies in `folder`.
fn convert(file: &Path, folder: &Folder, format: &str) -> PathBuf {
    use std::os::unix::process::CommandExt as _;
    let result = folder.0.join(format);
    let mut tool = Command::new(tests::binary());
    tool.arg0("redis-check-rdb").arg("convert").arg(file).arg(&result).args(["--to", format]);
    let output = tool.output().expect("the tool starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    result
}

#[test]
fn converted_files_hold_the_same() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rdb");
    for (name, expected) in GOLDEN {
        let folder = Folder::new(&format!("converted-{name}"), None);
        let file = golden.join(format!("{name}.rdb"));
        let commands = std::fs::read(convert(&file, &folder, "resp")).expect("it was written");
        let server = TestServer::start();
        let mut client = server.client();
        client.send(&commands).expect("the server takes them");
        client.send(&tests::request(&["ECHO", "the end"])).expect("the server takes it");
        loop {
            match client.receive().expect("a reply") {
                tests::Reply::Error(text) => panic!("{name}: {text}"),
                reply if reply.to_string().contains("the end") => break,
                _ => {}
            }
        }
        assert_eq!(digest(&mut client), format!("+{expected}"), "{name} as commands");
        if !name.starts_with("fields") {
            std::fs::rename(convert(&file, &folder, "redis-7.2"), folder.0.join("dump.rdb")).expect("it was written");
            assert_eq!(digest(&mut folder.server(&[]).client()), format!("+{expected}"), "{name} for 7.2");
        }
    }
}
