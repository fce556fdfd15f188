//! A server process in a folder that outlives it.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Client, Reply};

/// How long a server may take to load its data, on a machine that is busy with much else.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server that listens on the unix socket `s` of its folder, and appends to the file `log` there. It is killed when this value
/// goes, at the latest.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `command`, the server's path or what leads to it, and waits until it answers.
    #[track_caller]
    pub fn launch(dir: &Path, mut command: Command, args: &[&str]) -> (Process, Client) {
        let log = std::fs::File::options().append(true).create(true).open(dir.join("log")).expect("the folder is ours");
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone().expect("a handle more")).stderr(log);
        command.args(["--port", "0", "--unixsocket"]).arg(dir.join("s")).args(["--enable-debug-command", "yes"]);
        let mut process = Process(command.args(args).spawn().expect("the server was built"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = process.0.try_wait().expect("it is our child") {
                let log = std::fs::read(dir.join("log")).expect("there is a log");
                let end = String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]);
                panic!("the server does not start ({status}):\n{end}");
            }
            if let Ok(mut client) = Client::connect_unix(&dir.join("s"))
                && client.try_call(&["PING"]).is_ok_and(|reply| reply == Reply::Simple("PONG".to_owned()))
            {
                return (process, client);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not answer");
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.0.kill().expect("it is our child");
        self.wait();
    }

    /// Waits until it is gone.
    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("it is our child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
