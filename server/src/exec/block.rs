//! Clients that wait for a key, in exact order.
//!
//! Nobody is handed a value by the command that brings it: that command marks the key, and afterwards the waiting
//! clients' own commands run again, oldest wait first, as long as they find something.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use engine::ctx::{BlockOn, TimeoutReply};
use engine::time::UnixMs;
use resp::writer::Writer;

use super::Origin;
use crate::server::Server;
use crate::session::clients::Clients;
use crate::session::{Blocked, ClientId};

type DbKey = (usize, Box<[u8]>);

/// Who waits for what.
#[derive(Debug, Default)]
pub struct BlockedClients {
    /// For each key, those who wait for it, oldest wait first.
    by_key: HashMap<DbKey, VecDeque<ClientId>>,
    /// When waits run out.
    deadlines: BTreeSet<(UnixMs, ClientId)>,
    /// Keys that may have what somebody waits for, in the order in which they changed.
    pub ready: VecDeque<DbKey>,
    /// The same as a set.
    ready_set: HashSet<DbKey>,
    clients: usize,
}

impl BlockedClients {
    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients == 0
    }

    /// Number of clients that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients
    }

    /// Number of keys somebody waits for (INFO `total_blocking_keys`).
    #[must_use]
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Number of clients whose wait will run out.
    #[must_use]
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// Number of keys whose removal would end somebody's wait.
    #[must_use]
    pub fn keys_waited_for_removal(&self, clients: &Clients) -> usize {
        let waits = |id: &ClientId| {
            clients
                .get(*id)
                .and_then(|client| client.blocked.as_ref())
                .is_some_and(|blocked| blocked.on.wakes_on_delete)
        };
        self.by_key.values().filter(|waiters| waiters.iter().any(waits)).count()
    }

    /// The next moment at which a wait runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Marks a key that changed, if somebody waits for it.
    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.by_key.is_empty() {
            return;
        }
        let slot: DbKey = (db, key.into());
        if self.by_key.contains_key(&slot) && self.ready_set.insert(slot.clone()) {
            self.ready.push_back(slot);
        }
    }

    /// Marks every key waited for in two databases whose contents changed as a whole.
    pub fn signal_databases(&mut self, a: usize, b: usize) {
        let mut slots: Vec<DbKey> = self.by_key.keys().filter(|(db, _)| *db == a || *db == b).cloned().collect();
        slots.sort();
        for (db, key) in slots {
            self.signal(db, &key);
        }
    }

    fn insert(&mut self, id: ClientId, db: usize, on: &BlockOn) {
        for key in &on.keys {
            let waiters = self.by_key.entry((db, key.clone())).or_default();
            // The same key twice in one command is one wait.
            if !waiters.contains(&id) {
                waiters.push_back(id);
            }
        }
        if let Some(deadline) = on.deadline {
            self.deadlines.insert((deadline, id));
        }
        self.clients += 1;
    }

    fn remove(&mut self, id: ClientId, blocked: &Blocked) {
        for key in &blocked.on.keys {
            let slot = (blocked.db, key.clone());
            if let Some(waiters) = self.by_key.get_mut(&slot) {
                waiters.retain(|&waiter| waiter != id);
                if waiters.is_empty() {
                    self.by_key.remove(&slot);
                }
            }
        }
        if let Some(deadline) = blocked.on.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.clients -= 1;
    }
}

impl Server {
    /// Makes a client wait.
    pub fn block(&mut self, id: ClientId, mut on: Box<BlockOn>, argv: &[&[u8]]) {
        let now = self.clock.now();
        let client = self.clients.running(id);
        let db = client.db as usize;
        self.blocked.insert(id, db, &on);
        if on.on_timeout == TimeoutReply::Freed {
            self.bio.await_all(id);
        }
        let argv = on.again.take().unwrap_or_else(|| argv.iter().map(|&word| word.into()).collect());
        client.blocked = Some(Box::new(Blocked { argv, on: *on, db, since: now }));
        self.refresh_interest();
    }

    /// Ends a client's wait without a reply. Its further requests are run later in the tick.
    pub fn unblock(&mut self, id: ClientId) -> Option<Box<Blocked>> {
        let client = self.clients.get_mut(id)?;
        let blocked = client.blocked.take()?;
        self.blocked.remove(id, &blocked);
        self.resume_later(id);
        self.refresh_interest();
        Some(blocked)
    }

    /// Ends a client's wait with the reply of a time-out.
    pub fn time_out(&mut self, id: ClientId) {
        let Some(blocked) = self.unblock(id) else { return };
        self.count_ended_wait(id, false);
        let written = self.clients.get(id).map_or(0, |client| client.write_offset);
        let acks = i64::from(self.aof_reached(written));
        self.push(id, |out| match blocked.on.on_timeout {
            TimeoutReply::Acks => {
                out.array(2);
                out.integer(acks);
                out.integer(0);
            }
            TimeoutReply::Freed => out.ok(),
            TimeoutReply::NullArray => out.null_array(),
            TimeoutReply::Null => out.null(),
        });
    }

    /// Ends the waits of those for whom everything was freed.
    pub fn serve_flushers(&mut self) {
        while let Some(id) = self.bio.take_served() {
            let blocked = self.clients.get(id).and_then(|client| client.blocked.as_ref());
            if blocked.is_some_and(|blocked| blocked.on.on_timeout == TimeoutReply::Freed) {
                self.time_out(id);
            }
        }
    }

    /// Ends a client's wait with an error.
    pub fn unblock_with_error(&mut self, id: ClientId, error: &str) {
        if self.unblock(id).is_some() {
            self.count_ended_wait(id, true);
            self.push(id, |out| out.error(error));
            self.stats.count_error(error.as_bytes());
        }
    }

    /// Counts the command of a wait that ended without data: it ran once, and took next to no time itself.
    fn count_ended_wait(&mut self, id: ClientId, failed: bool) {
        if let Some(command) = self.clients.get(id).and_then(|client| client.last_run) {
            self.command_stats[command as usize].record(0, failed);
        }
    }

    /// Ends the waits whose time has run out.
    pub fn time_out_blocked(&mut self, now: UnixMs) {
        while let Some(&(deadline, id)) = self.blocked.deadlines.first() {
            if deadline > now {
                break;
            }
            self.time_out(id);
        }
    }

    /// Runs the commands of those who wait for the keys that became ready, until nothing more is ready.
    pub fn serve_ready_keys(&mut self) {
        if self.propagation.in_unit() {
            return;
        }
        while let Some(slot) = self.blocked.ready.pop_front() {
            self.blocked.ready_set.remove(&slot);
            let Some(waiters) = self.blocked.by_key.get(&slot) else { continue };
            let waiters: Vec<ClientId> = waiters.iter().copied().collect();
            for id in waiters {
                let Some(blocked) = self.clients.get(id).and_then(|client| client.blocked.as_ref()) else { continue };
                // A client may wait for another type than what the key now has: it goes on waiting.
                let kind = self.engine.dbs[slot.0].kind(&slot.1);
                if kind != Some(blocked.on.kind) && !blocked.on.wakes_on_delete {
                    continue;
                }
                self.run_again(id);
            }
        }
    }

    /// Runs a waiting client's command once more; it goes on waiting, in its place, when there is still nothing.
    fn run_again(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(blocked) = client.blocked.take() else { return };
        let (running, mut out) = (self.running.replace(id), client.output.take());
        let command = client.last_run.expect("a waiting client has run a command") as usize;
        let argv: Vec<&[u8]> = blocked.argv.iter().map(|word| &**word).collect();
        let again = self.execute(id, Origin::Unblocked, command, &argv, &mut out);
        self.running = running;
        out.append(&mut self.pending_push);
        let client = self.clients.running(id);
        client.output.restore(out);
        if again.is_some() {
            client.blocked = Some(blocked);
            return;
        }
        self.blocked.remove(id, &blocked);
        self.refresh_interest();
        self.flush_later(id);
        self.resume_later(id);
    }
}

/// Writes to a client outside of its own command.
impl Server {
    /// Appends a message to a client's output: after its reply if it is the one whose command is running.
    pub fn push(&mut self, id: ClientId, write: impl FnOnce(&mut Writer<'_>)) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if self.running == Some(id) {
            write(&mut Writer::new(&mut self.pending_push, client.protocol));
            return;
        }
        if let Some((_, pushes)) = self.suspended.as_mut().filter(|(suspended, _)| *suspended == id) {
            write(&mut Writer::new(pushes, client.protocol));
            return;
        }
        write(&mut Writer::new(client.output.buffer(), client.protocol));
        self.flush_later(id);
        self.check_output_limit(id);
    }
}
