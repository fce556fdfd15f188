//! Servers to measure or compare: ours and a reference, each in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::{Client, Reply};

use crate::process::Group;
use crate::{Error, fail, place};

/// A running server.
#[derive(Debug)]
pub(crate) struct Peer {
    group: Group,
    /// Its TCP port.
    pub(crate) port: u16,
    dir: PathBuf,
}

impl Peer {
    /// Starts `binary` on a free port, without saving, pinned to a processor if one is given.
    pub(crate) fn start(binary: &Path, args: &[&str], processor: Option<usize>) -> Result<Peer, Error> {
        // Another process may take the port between our asking for it and the server's listening.
        for attempt in 0..3 {
            let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            let dir = place::scratch("peers")?.join(port.to_string());
            std::fs::create_dir_all(&dir)?;
            let mut peer = Peer { group: launch(binary, args, processor, port, &dir)?, port, dir };
            if peer.serves(Duration::from_secs(20))? {
                return Ok(peer);
            }
            if attempt == 2 {
                break;
            }
        }
        fail!("{} does not start", binary.display())
    }

    /// Kills it and starts it again on the same files. Answers how long that took until it served.
    pub(crate) fn restart(
        &mut self,
        binary: &Path,
        args: &[&str],
        processor: Option<usize>,
        patience: Duration,
    ) -> Result<Duration, Error> {
        self.group.kill();
        let start = Instant::now();
        self.group = launch(binary, args, processor, self.port, &self.dir)?;
        if !self.serves(patience)? {
            fail!("{} does not start again:\n{}", binary.display(), self.log_tail());
        }
        Ok(start.elapsed())
    }

    /// Waits until it serves, or has ended, or `patience` is over. Answers whether it does.
    fn serves(&mut self, patience: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        while start.elapsed() < patience && self.group.child.try_wait()?.is_none() {
            let pong = Client::connect(self.port).map(|mut client| client.try_call(&["PING"]));
            if matches!(pong, Ok(Ok(reply)) if !matches!(reply, Reply::Error(_))) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// A connection to it.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::connect(self.port)?)
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Its process number: taskset replaces itself by the server.
    fn pid(&self) -> u32 {
        self.group.child.id()
    }

    /// Processor time that it has used, all threads.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let fields = stat.rsplit(')').next().expect("a part after the name");
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kilobytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024)
    }
}

fn launch(binary: &Path, args: &[&str], processor: Option<usize>, port: u16, dir: &Path) -> Result<Group, Error> {
    let mut command = match (processor, place::tool("taskset")) {
        (Some(number), Some(taskset)) => {
            let mut command = Command::new(taskset);
            command.args(["-c", &number.to_string()]).arg(binary);
            command
        }
        _ => Command::new(binary),
    };
    let log = std::fs::File::create(dir.join("log"))?;
    command.current_dir(dir).stdout(log.try_clone()?).stderr(log);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
    Group::start(command.args(args))
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.group.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The reference server: the one given, `REDIS_REFERENCE`, or the packaged one.
pub(crate) fn reference(given: Option<&Path>) -> Result<PathBuf, Error> {
    // Not resolved: the packages' redis-server is a link to redis-check-rdb, which goes by the name it is called by.
    match given.map(PathBuf::from).or_else(|| std::env::var_os("REDIS_REFERENCE").map(PathBuf::from)) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => place::need("redis-server", "redis-server"),
    }
}
