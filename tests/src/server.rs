//! A server process for a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{Client, Reply};

/// A server of its own, with a folder of its own; both go away with this value.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    port: u16,
    dir: PathBuf,
}

/// The server under test: `REDIS_SERVER_BIN`, or our own, built when needed.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("REDIS_SERVER_BIN") {
            return path.into();
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let built = cargo.current_dir(root).args(["build", "--quiet", "--bin", "redis-server-rs"]).status();
        assert!(built.is_ok_and(|status| status.success()), "cargo builds redis-server-rs");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), |dir| root.join(dir));
        target.join("debug/redis-server-rs")
    })
}

impl TestServer {
    /// Starts a server with the defaults of tests: one port, a unix socket, nothing saved.
    pub fn start() -> TestServer {
        TestServer::with(&[])
    }

    /// Starts a server with further arguments, for instance `["--maxclients", "20000"]`.
    pub fn with(args: &[&str]) -> TestServer {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("rsrs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder for the server");
        // Another process may take the port between our asking for it and the server's listening.
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = spawn(&dir, port, args) {
                return TestServer { child, port, dir };
            }
        }
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        panic!("{} does not start:\n{log}", binary().display());
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its working folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// A new connection by TCP.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.port).expect("the server accepts a connection")
    }

    /// A new connection by the unix socket.
    #[track_caller]
    pub fn unix_client(&self) -> Client {
        Client::connect_unix(&self.dir.join("socket")).expect("the server accepts a connection")
    }

    /// Panics unless the server still answers, on a new connection.
    #[track_caller]
    pub fn assert_unharmed(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the child is ours") {
            panic!("the server ended with {status}:\n{}", self.log());
        }
        assert_eq!(self.client().call(&["PING"]), Reply::Simple("PONG".to_owned()));
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS is there");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// How many file descriptors the server has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Starts the server and waits until it answers; `None` when it ends instead.
fn spawn(dir: &Path, port: u16, args: &[&str]) -> Option<Child> {
    let log = File::create(dir.join("log")).expect("the folder is ours");
    let mut command = Command::new(binary());
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log).current_dir(dir);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--unixsocket"]);
    command.arg(dir.join("socket")).args(["--enable-debug-command", "yes"]).args(args);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if child.try_wait().expect("the child is ours").is_some() {
            return None;
        }
        let answer = Client::connect(port).ok().and_then(|mut client| client.try_call(&["PING"]).ok());
        if answer.is_some_and(|reply| !matches!(&reply, Reply::Error(text) if text.starts_with("LOADING"))) {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
