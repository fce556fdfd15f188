//! Debugging of scripts (SCRIPT DEBUG). The one who debugs and the script talk over the client's own connection, which is read
//! and written here directly: in a child process (YES), where all changes are lost with it, or in this one (SYNC), where
//! everybody else waits until the session ends.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use resp::request::{Decoded, Decoder, Limits};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions};
use scripting::debugger::{Input, Options};
use scripting::vm::END_OF_SESSION;

use crate::exec::Call;
use crate::net::socket::Socket;
use crate::scripting::{Kind, Start};
use crate::server::Server;
use crate::session::ClientId;
use crate::sys::fork::{self, Forked};

/// Longest command of the one who debugs, in bytes.
const COMMAND_BYTES_MAX: usize = 1 << 20;

/// How often a wait looks whether the server is to end.
const LOOK_PERIOD: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Longest wait for somebody who does not read what is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the scripts of a client are debugged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a child process.
    Forked,
    /// In the server itself.
    Sync,
}

/// What a session keeps.
#[derive(Default)]
pub struct Wire {
    received: Vec<u8>,
    decoder: Decoder,
    gone: bool,
}

/// Everything on debugging.
#[derive(Default)]
pub struct Debugging {
    wire: Wire,
    /// Child processes in which scripts are debugged.
    children: Vec<Pid>,
}

fn is_ready(socket: &Socket, what: PollFlags) -> bool {
    let mut fds = [PollFd::new(socket, what)];
    matches!(rustix::event::poll(&mut fds, Some(&LOOK_PERIOD)), Ok(1..))
}

impl Server {
    /// EVAL of a client that debugs.
    ///
    /// # Errors
    /// The reply, when the script does not begin to run.
    pub fn debug_eval(
        call: &mut Call<'_>,
        mode: Mode,
        body: &[u8],
        keys: &[&[u8]],
        argv: &[&[u8]],
        read_only: bool,
    ) -> CmdResult {
        let id = call.client;
        call.server.scripting.debugging.wire = Wire::default();
        if mode == Mode::Sync {
            tracing::warn!("Redis synchronous debugging eval session started");
            let result = Self::debug_session(call, body, keys, argv, read_only);
            tracing::warn!("Redis synchronous debugging eval session ended");
            call.server.close_after_reply(id);
            return result;
        }
        match fork::fork() {
            Err(error) => Err(CommandError::owned(format!("ERR there is no process for the debugger: {error}"))),
            Ok(Forked::Parent(pid)) => {
                call.server.scripting.debugging.children.push(pid);
                call.server.leave_to_child(id);
                Ok(Outcome::Done)
            }
            Ok(Forked::Child) => {
                // Whatever happens in here, the process ends in here.
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    fork::reset_signals();
                    crate::log::set_role(crate::log::Role::Child);
                    call.server.listeners.drain(..).for_each(crate::net::listener::Listener::close_in_child);
                    if let Err(error) = Self::debug_session(call, body, keys, argv, read_only) {
                        call.out.error(&error);
                    }
                    let reply = call.out.buffer().clone();
                    call.server.write_now(id, &reply);
                }));
                fork::exit_now(i32::from(done.is_err()));
            }
        }
    }

    fn debug_session(call: &mut Call<'_>, body: &[u8], keys: &[&[u8]], argv: &[&[u8]], read_only: bool) -> CmdResult {
        let id = call.client;
        let result = Self::debug_run(call, body, keys, argv, read_only);
        if result.is_err() {
            call.server.say_lines(id, &[END_OF_SESSION.as_bytes().to_vec()]);
        }
        result
    }

    fn debug_run(call: &mut Call<'_>, body: &[u8], keys: &[&[u8]], argv: &[&[u8]], read_only: bool) -> CmdResult {
        let (sha, flags, script) = crate::commands::scripting::script_of(call.server, body)?;
        crate::commands::scripting::check_flags(flags, read_only)?;
        call.server.script_may_start(flags)?;
        let (_, code) = scripting::shebang::parse_script(body)
            .map_err(|text| CommandError::owned(String::from_utf8_lossy(&text)))?;
        let options = Options { seconds_max: call.server.config.busy_reply_threshold as f64 / 1000.0 };
        let vm = call.server.take_interpreter(Kind::Script)?;
        let start = Start { kind: Kind::Script, name: &sha, flags, read_only };
        let name = std::str::from_utf8(&sha).unwrap_or_default();
        let outcome = Server::within_script(call, &start, |server, out| {
            vm.debug_script(&script, code, options, name, keys, argv, server, out)
        });
        call.server.give_interpreter(Kind::Script, vm);
        Server::script_outcome(call, outcome);
        Ok(Outcome::Done)
    }

    /// The connection of this client is a child's from now on.
    fn leave_to_child(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        self.poll.remove(&client.socket);
        // Dropping our side leaves the child's open.
        if let Ok(detached) = Socket::detached() {
            client.socket = detached;
        }
        self.close(id);
    }

    /// Sends lines of a session.
    pub(super) fn say_lines(&mut self, id: ClientId, lines: &[Vec<u8>]) {
        let mut bytes = Vec::new();
        let mut out = resp::writer::Writer::new(&mut bytes, resp::Protocol::Resp2);
        out.array(lines.len());
        lines.iter().for_each(|line| out.simple_bytes(line));
        self.write_now(id, &bytes);
    }

    /// Writes to a client and waits until the kernel has taken all.
    fn write_now(&mut self, id: ClientId, mut bytes: &[u8]) {
        let Some(client) = self.clients.get(id) else { return };
        let start = Instant::now();
        while !bytes.is_empty() && !self.scripting.debugging.wire.gone {
            match client.socket.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < WRITE_TIMEOUT => {
                    is_ready(&client.socket, PollFlags::OUT);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.scripting.debugging.wire.gone = true,
            }
        }
    }

    /// Waits for the next command of the one who debugs.
    pub(super) fn next_input(&mut self, id: ClientId) -> Input {
        let Some(client) = self.clients.get(id) else { return Input::Gone };
        let wire = &mut self.scripting.debugging.wire;
        let mut spans = Vec::new();
        loop {
            if wire.received.first().is_some_and(|&byte| byte != b'*') {
                return Input::Malformed;
            }
            match wire.decoder.decode(&wire.received, &mut spans, &Limits::default()) {
                Ok(Decoded::Request { consumed }) => {
                    let words = spans.iter().map(|span| span.of(&wire.received).to_vec()).collect();
                    wire.received.drain(..consumed);
                    return Input::Command(words);
                }
                Ok(Decoded::Empty { consumed }) => {
                    wire.received.drain(..consumed);
                    continue;
                }
                Ok(Decoded::Incomplete { .. }) if wire.received.len() <= COMMAND_BYTES_MAX => {}
                Ok(_) | Err(_) => return Input::Malformed,
            }
            if wire.gone || crate::control::shutdown_is_asked() {
                return Input::Gone;
            }
            if !is_ready(&client.socket, PollFlags::IN) {
                continue;
            }
            wire.received.reserve(4096);
            match client.socket.read_into(&mut wire.received) {
                Ok(0) => return Input::Gone,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return Input::Gone,
            }
        }
    }

    /// Notices the end of sessions in child processes. Called by cron.
    pub fn check_debugging_children(&mut self) {
        self.scripting
            .debugging
            .children
            .retain(|&pid| matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)));
    }

    /// Ends the sessions in child processes.
    pub fn stop_debugging_children(&mut self) {
        for pid in self.scripting.debugging.children.drain(..) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
    }
}
