//! What is counted about a command that has run: calls and times, the slow log, latency events, the MONITOR feed.

use engine::command::{Arg, Flags};
use smallvec::SmallVec;

use super::Origin;
use crate::config::change::is_secret;
use crate::server::Server;
use crate::session::ClientId;

/// What is shown instead of a secret.
const REDACTED: &[u8] = b"(redacted)";

/// A word that introduces secrets, and how many.
type Introduced = SmallVec<[(&'static [u8], usize); 2]>;

/// Finds the words behind which arguments hold a password.
fn introduced_secrets(args: &'static [Arg], found: &mut Introduced) {
    let is_password = |arg: &Arg| arg.name == "password" || arg.display == Some("password");
    for arg in args {
        match arg.token {
            Some(token) if is_password(arg) => found.push((token.as_bytes(), 1)),
            Some(token) if arg.args.iter().any(is_password) => found.push((token.as_bytes(), arg.args.len())),
            _ => introduced_secrets(arg.args, found),
        }
    }
}

impl Server {
    /// Counts a command that has run.
    #[inline]
    pub fn account(&mut self, id: ClientId, command: usize, argv: &[&[u8]], micros: u64, failed: bool) {
        self.stats.command_us += micros;
        let stat = &mut self.command_stats[command];
        stat.record(micros, failed);
        if self.config.latency_tracking {
            stat.record_latency(micros);
        }
        let slow_after = self.config.slowlog_log_slower_than;
        let slow = slow_after >= 0 && micros >= slow_after as u64 && self.config.slowlog_max_len > 0;
        let latent = self.latency.threshold_ms > 0 && micros >= self.latency.threshold_ms * 1000;
        if slow || latent {
            self.account_slow(id, command, argv, micros, slow, latent);
        }
    }

    #[cold]
    fn account_slow(&mut self, id: ClientId, command: usize, argv: &[&[u8]], micros: u64, slow: bool, latent: bool) {
        let flags = self.registry.get(command).command.flags;
        let now = self.clock.now();
        if latent {
            let event = if flags.contains(Flags::FAST) { "fast-command" } else { "command" };
            self.latency.note(event, micros, now);
        }
        if slow && !flags.contains(Flags::SKIP_SLOWLOG) {
            let unix_path = self.config.unixsocket.clone();
            let Some(client) = self.clients.get(id) else { return };
            let name = client.name.as_deref().unwrap_or_default().to_vec();
            let peer = client.socket.peer(&unix_path);
            let argv = &self.without_secrets(command, argv)[..];
            self.slowlog.add(now.secs(), micros, argv, peer, name, self.config.slowlog_max_len);
        }
    }

    /// The words of a request as others may see them.
    fn without_secrets<'a>(&self, command: usize, argv: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let entry = self.registry.get(command);
        let mut shown = argv.to_vec();
        if !entry.command.flags.contains(Flags::SECRETS) {
            return shown;
        }
        // A subcommand (CONFIG SET) has values among its arguments that are secret; a command has credentials behind words
        // (HELLO, MIGRATE), or is nothing but credentials (AUTH).
        if entry.parent.is_some() {
            (2..argv.len()).filter(|&index| is_secret(&argv[2..], index - 2)).for_each(|index| shown[index] = REDACTED);
            return shown;
        }
        let mut introduced = SmallVec::new();
        introduced_secrets(entry.command.args, &mut introduced);
        let mut secrets = if introduced.is_empty() { usize::MAX } else { 0 };
        for word in shown.iter_mut().skip(1) {
            if secrets > 0 {
                *word = REDACTED;
                secrets -= 1;
            } else if let Some(&(_, words)) = introduced.iter().find(|(token, _)| word.eq_ignore_ascii_case(token)) {
                secrets = words;
            }
        }
        shown
    }

    /// Tells those who run MONITOR about a command.
    pub fn feed_monitors(&mut self, id: ClientId, origin: Origin, command: usize, argv: &[&[u8]]) {
        let flags = self.registry.get(command).command.flags;
        if !flags.intersects(Flags::SKIP_MONITOR.and(Flags::ADMIN)) {
            self.show_to_monitors(id, origin, command, argv);
        }
    }

    /// Tells those who run MONITOR about a command that runs a script: before what the script runs.
    pub fn feed_monitors_with_script(&mut self, id: ClientId, command: usize, argv: &[&[u8]]) {
        if !self.monitors.is_empty() {
            self.show_to_monitors(id, Origin::Client, command, argv);
        }
    }

    fn show_to_monitors(&mut self, id: ClientId, origin: Origin, command: usize, argv: &[&[u8]]) {
        let micros = self.clock.unix_micros(self.clock.stamp());
        let unix_path = self.config.unixsocket.clone();
        let Some(client) = self.clients.get(id) else { return };
        let from = match &client.socket {
            _ if origin == Origin::Script => "lua".to_owned(),
            crate::net::socket::Socket::Unix(_) => format!("unix:{unix_path}"),
            other => other.peer(&unix_path),
        };
        let mut line = format!("{}.{:06} [{} {from}]", micros / 1_000_000, micros % 1_000_000, client.db);
        for word in self.without_secrets(command, argv) {
            line.push(' ');
            line.push_str(&resp::inline::quote(word));
        }
        for monitor in self.monitors.clone() {
            self.push(monitor, |out| out.simple(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_in_declarations() {
        let found = |args: &'static [Arg]| {
            let mut found = Introduced::new();
            introduced_secrets(args, &mut found);
            found.into_vec()
        };
        const PAIR: &[Arg] = &[Arg::string("username"), Arg::string("password")];
        assert_eq!(found(PAIR), [], "no word introduces them");
        assert_eq!(
            found(const { &[Arg::block("arguments", const { &[Arg::block("auth", PAIR).token("AUTH")] }).optional()] }),
            [(&b"AUTH"[..], 2)]
        );
        assert_eq!(
            found(const { &[Arg::string("host"), Arg::string("auth").display("password").token("AUTH")] }),
            [(&b"AUTH"[..], 1)]
        );
    }
}
