//! A disk that is full or broken: writes are refused, nothing that was acknowledged is lost, and all is well when the disk is.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Client, Process, Reply, binary};

/// A server with its files in a folder of its own, which is started more than once; both go away with this value.
struct Server {
    dir: PathBuf,
    process: Process,
    client: Client,
}

impl Server {
    fn start(name: &str, args: &[&str]) -> Server {
        let dir = std::env::temp_dir().join(format!("rsrs-faults-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let (process, client) = Process::launch(&dir, Command::new(binary()), args);
        Server { dir, process, client }
    }

    fn restart(&mut self, args: &[&str]) {
        self.process.kill();
        (self.process, self.client) = Process::launch(&self.dir, Command::new(binary()), args);
    }

    #[track_caller]
    fn call(&mut self, line: &str) -> String {
        self.client.call(&line.split(' ').collect::<Vec<_>>()).to_string()
    }

    fn fault(&mut self, line: &str) {
        assert_eq!(self.call(&format!("DEBUG DISK-FAULT {line}")), "+OK");
    }

    #[track_caller]
    fn eventually(&mut self, what: &str, mut done: impl FnMut(&mut Server) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).expect("there is a log")
    }

    fn info(&mut self, line: &str) -> bool {
        let text = self.client.call(&["INFO", "persistence"]).text().expect("INFO replies with text");
        text.lines().any(|found| found == line)
    }

    /// Increments until it is refused. Returns how far it came.
    fn incr_until_refused(&mut self, refusal: &str) -> i64 {
        let (mut count, begun) = (0, Instant::now());
        while begun.elapsed() < Duration::from_secs(20) {
            match self.client.call(&["INCR", "counter"]) {
                Reply::Int(number) => count = number,
                other => {
                    assert!(other.to_string().starts_with(refusal), "{other}");
                    return count;
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("nothing was refused\n{}", self.log());
    }

    #[track_caller]
    fn writes_again(&mut self) {
        self.eventually("it does not write again", |server| server.call("SET again 1") == "+OK");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

const EVERYSEC: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--hz", "50"];

#[test]
fn everysec_refuses_writes_while_the_disk_is_full() {
    for error in ["ENOSPC", "EIO"] {
        let mut server = Server::start(&format!("everysec-{error}"), EVERYSEC);
        // Within a command: half of it must not stay.
        server.fault(&format!("write {error} 1000"));
        let refusal = ["-MISCONF Errors writing to the AOF file: No space left on device", "-MISCONF Errors writing"];
        let acknowledged = server.incr_until_refused(refusal[usize::from(error == "EIO")]);
        assert!(server.info("aof_last_write_status:err"));
        assert_eq!(server.call("GET counter"), acknowledged.to_string(), "reading goes on");
        server.fault("write NONE");
        server.writes_again();
        assert!(server.info("aof_last_write_status:ok"));
        server.restart(EVERYSEC);
        assert_eq!(server.call("GET counter"), acknowledged.to_string());
        assert_eq!(server.call("GET again"), "1");
    }
}

#[test]
fn everysec_refuses_writes_while_the_disk_does_not_sync() {
    let mut server = Server::start("sync", EVERYSEC);
    server.fault("sync EIO");
    let acknowledged = server.incr_until_refused("-MISCONF Errors writing to the AOF file: Input/output error");
    server.fault("sync NONE");
    server.writes_again();
    // What the disk has dropped is in the new base.
    server.eventually("no rewrite", |server| server.info("aof_rewrites:1") && server.info("aof_rewrite_in_progress:0"));
    assert!(server.info("aof_last_bgrewrite_status:ok"));
    server.restart(EVERYSEC);
    assert_eq!(server.call("GET counter"), acknowledged.to_string());
}

#[test]
fn always_ends_rather_than_to_acknowledge_what_is_not_durable() {
    let args = &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    for fault in ["write ENOSPC 1000", "write EIO 1000", "sync EIO 10"] {
        let mut server = Server::start(&format!("always-{}", fault.replace(' ', "-")), args);
        server.fault(fault);
        let mut acknowledged = 0;
        while let Ok(reply) = server.client.try_call(&["INCR", "counter"]) {
            acknowledged = reply.int().expect("a number");
        }
        let code = server.process.wait().code();
        assert_eq!(code, Some(1), "{}", server.log());
        server.restart(args);
        let found: i64 = server.call("GET counter").parse().expect("a number");
        // The one that was under way may be there when it was only the sync that failed.
        let more = i64::from(fault.starts_with("sync"));
        assert!((acknowledged..=acknowledged + more).contains(&found), "{fault}: {acknowledged}, found {found}");
    }
}

#[test]
fn a_rewrite_that_fails_changes_nothing() {
    let mut server = Server::start("rewrite", EVERYSEC);
    server.call("DEBUG POPULATE 3000 key 100");
    server.call("BGREWRITEAOF");
    let over = |server: &mut Server| server.info("aof_rewrite_in_progress:0") && server.info("aof_rewrite_scheduled:0");
    server.eventually("the rewrite ends", over);
    let faults =
        ["create ENOSPC", "create ENOSPC 2", "write ENOSPC 50000", "write EIO 300", "rename EIO", "rename EIO 1"];
    for fault in faults.into_iter().chain(["rename EIO 2", "sync EIO 2", "sync-folder EIO", "sync-folder EIO 1"]) {
        server.call("SET before 1");
        server.fault(fault);
        // It is refused, or the child fails, or its file is not taken.
        server.call("BGREWRITEAOF");
        server.eventually("the rewrite ends", over);
        assert!(server.info("aof_last_bgrewrite_status:err"), "{fault}\n{}", server.log());
        let operation = fault.split(' ').next().expect("an operation");
        server.fault(&format!("{operation} NONE"));
        server.writes_again();
        server.call("RPUSH log x");
        let digest = server.call("DEBUG DIGEST");
        server.restart(EVERYSEC);
        assert_eq!(server.call("DEBUG DIGEST"), digest, "{fault}\n{}", server.log());
        server.call("BGREWRITEAOF");
        server.eventually("the rewrite ends", over);
        assert!(server.info("aof_last_bgrewrite_status:ok"), "{fault}\n{}", server.log());
    }
}

#[test]
fn a_save_that_fails_leaves_the_former_file() {
    let args = &["--save", "3600 1"];
    let mut server = Server::start("save", args);
    server.call("DEBUG POPULATE 3000 key 100");
    assert_eq!(server.call("SAVE"), "+OK");
    let saved = server.call("DEBUG DIGEST");
    for fault in ["create ENOSPC", "write ENOSPC 10000", "write EIO", "sync EIO", "rename EIO"] {
        let operation = fault.split(' ').next().expect("an operation");
        server.call("SET later 1");
        server.fault(fault);
        assert_eq!(server.call("SAVE"), "-ERR");
        server.call("BGSAVE");
        server.eventually("the child ends", |server| server.info("rdb_bgsave_in_progress:0"));
        assert!(server.call("SET refused 1").starts_with("-MISCONF Redis is configured to save RDB snapshots"));
        server.fault(&format!("{operation} NONE"));
        server.call("BGSAVE");
        server.eventually("writes go on", |server| server.call("SET later 2") == "+OK");
        assert_eq!(server.call("DEL later"), ":1");
        let left =
            std::fs::read_dir(&server.dir).expect("it is there").map(|entry| entry.expect("an entry").file_name());
        let temporary = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("temp-");
        assert!(!left.into_iter().any(|name| temporary(&name)), "{fault}: a temporary file is left");
        // The next one fails, and the file that is there is whole.
        server.fault(fault);
        server.call("SET later 3");
        assert_eq!(server.call("SAVE"), "-ERR");
        server.restart(args);
        server.call("DEL later");
        assert_eq!(server.call("DEBUG DIGEST"), saved, "{fault}");
    }
}

/// A file system of a megabyte that is really full.
#[test]
fn a_full_file_system() {
    let dir = std::env::temp_dir().join(format!("rsrs-faults-tmpfs-{}", std::process::id()));
    let data = dir.join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    let mount = format!("mount -t tmpfs -o size=1m none {}", data.display());
    let allowed = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("skipped: mounting a file system of one's own is not allowed here");
        std::fs::remove_dir_all(&dir).expect("it is ours");
        return;
    }
    let mut command = Command::new("unshare");
    let run = format!("{mount} && exec \"$@\"");
    command.args(["-rm", "sh", "-c", &run, "sh"]).arg(binary());
    let path = data.to_string_lossy();
    let args = [EVERYSEC, &["--dir", &path]].concat();
    let (process, client) = Process::launch(&dir, command, &args);
    // Its view of the file system is its own.
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", process.pid(), data.display()));
    let mut server = Server { dir, process, client };
    let wrote = std::fs::write(&filler, vec![b'x'; 2 << 20]);
    assert!(wrote.is_err(), "the file system is full");
    let acknowledged = server.incr_until_refused("-MISCONF Errors writing to the AOF file: No space left on device");
    server.call("BGREWRITEAOF");
    server.eventually("the rewrite ends", |server| server.info("aof_rewrite_in_progress:0"));
    std::fs::remove_file(&filler).expect("it is there");
    server.writes_again();
    assert_eq!(server.call("DEBUG LOADAOF"), "+OK");
    assert_eq!(server.call("GET counter"), acknowledged.to_string());
    server.call("BGREWRITEAOF");
    server.eventually("a rewrite succeeds", |server| server.info("aof_last_bgrewrite_status:ok"));
    assert_eq!(server.call("DEBUG LOADAOF"), "+OK");
    assert_eq!(server.call("GET counter"), acknowledged.to_string());
}
