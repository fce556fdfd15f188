//! MULTI, EXEC, DISCARD, WATCH: what the server keeps of a transaction. The commands are in `commands/transaction.rs`.

use std::collections::HashMap;

use engine::command::Flags;
use engine::error::CommandError;
use scripting::transaction::Queue;

use super::{Call, Origin};
use crate::server::Server;
use crate::session::{ClientId, Watched};

/// A transaction that is being collected.
#[derive(Debug)]
pub struct Transaction {
    /// The requests, tagged with the command's id.
    pub queue: Queue,
    /// A request was refused: EXEC will refuse too.
    pub spoiled: bool,
    /// What its requests may do, all together.
    pub flags: Flags,
}

impl Default for Transaction {
    fn default() -> Self {
        Transaction { queue: Queue::default(), spoiled: false, flags: Flags::empty() }
    }
}

/// What EXEC is asked about as if it said so itself.
const QUEUED_FLAGS: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::MAY_REPLICATE);

/// A queue that took more is not kept for the next transaction, in bytes.
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// Who watches which key.
pub type Watchers = HashMap<(usize, Box<[u8]>), Vec<ClientId>>;

impl Server {
    /// Adds a request to the client's queue.
    pub fn queue(&mut self, id: ClientId, command: usize, argv: &[&[u8]]) {
        let flags = self.flags_of_request(self.registry.get(command).command.flags, argv);
        let client = self.clients.running(id);
        let transaction = client.transaction.as_mut().expect("only a client in MULTI queues");
        // What will not be run need not be kept.
        if transaction.spoiled || client.watch_broken {
            return;
        }
        transaction.flags |= flags.intersection(QUEUED_FLAGS);
        transaction.queue.push(command, argv);
    }

    /// Ends a transaction without running it; lets go of the watched keys.
    pub fn discard(&mut self, id: ClientId) {
        self.clients.running(id).transaction = None;
        self.unwatch_all(id);
    }

    /// Watches a key for the client, once.
    pub fn watch(&mut self, id: ClientId, db: usize, key: &[u8]) {
        let watchers = self.watchers.entry((db, key.into())).or_default();
        if watchers.contains(&id) {
            return;
        }
        watchers.push(id);
        let expired = self.engine.dbs[db].is_expired(key);
        let exists = !expired && self.engine.dbs[db].contains(key);
        self.clients.running(id).watched.push(Watched { db, key: key.into(), expired, exists });
        self.refresh_interest();
    }

    /// Lets go of every watched key.
    pub fn unwatch_all(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.watch_broken = false;
        let watched = std::mem::take(&mut client.watched);
        if watched.is_empty() {
            return;
        }
        for Watched { db, key, .. } in watched {
            let slot = (db, key);
            if let Some(watchers) = self.watchers.get_mut(&slot) {
                watchers.retain(|&watcher| watcher != id);
                if watchers.is_empty() {
                    self.watchers.remove(&slot);
                }
            }
        }
        self.refresh_interest();
    }

    /// Breaks the transactions of those who watch `key`.
    pub fn break_watches(&mut self, db: usize, key: &[u8]) {
        let Some(watchers) = self.watchers.get(&(db, key.into())) else { return };
        for &id in watchers {
            let Some(client) = self.clients.get_mut(id) else { continue };
            // The removal of a key that had expired when it was watched is no change; it is one from now on.
            let watched = client.watched.iter_mut().find(|watched| watched.db == db && *watched.key == *key);
            match watched {
                Some(watched) if watched.expired && !self.engine.dbs[db].contains(key) => watched.expired = false,
                _ => client.watch_broken = true,
            }
        }
    }

    /// Breaks the transactions of those who watch a key that was there, or is there now, in a database whose contents
    /// changed as a whole: it was emptied, or changed places with another.
    pub fn break_watches_in(&mut self, db: usize) {
        // What has come from another database was last looked at some time ago.
        self.engine.dbs[db].begin(self.clock.now());
        let dbs = &self.engine.dbs;
        let is_there = |key: &[u8]| dbs[db].contains(key) && !dbs[db].is_expired(key);
        for ((_, key), watchers) in self.watchers.iter().filter(|((watched, _), _)| *watched == db) {
            let there_now = is_there(key);
            for &id in watchers {
                let Some(client) = self.clients.get_mut(id) else { continue };
                let was_there = || client.watched.iter().any(|one| one.exists && one.db == db && one.key == *key);
                if there_now || was_there() {
                    client.watch_broken = true;
                }
            }
        }
    }

    /// Whether a watched key has expired since it was watched, without anybody having looked it up.
    fn has_expired_watch(&mut self, id: ClientId) -> bool {
        let client = self.clients.running(id);
        let dbs = &self.engine.dbs;
        // One that was not there cannot have expired: it came, already expired, with another database.
        client.watched.iter().any(|watched| watched.exists && dbs[watched.db].is_expired(&watched.key))
    }
}

/// EXEC.
///
/// # Errors
/// `EXECABORT` when a request was refused while queueing.
pub fn exec(call: &mut Call<'_>) -> Result<(), CommandError> {
    let Call { server, client: id, .. } = call;
    let id = *id;
    let now = call.now;
    for db in &mut server.engine.dbs {
        db.begin(now);
    }
    let expired = server.has_expired_watch(id);
    let client = server.clients.running(id);
    let transaction = client.transaction.take().ok_or(CommandError::Text("ERR EXEC without MULTI"))?;
    let broken = client.watch_broken || expired;
    server.unwatch_all(id);
    if transaction.spoiled {
        return Err(CommandError::Text("EXECABORT Transaction discarded because of previous errors."));
    }
    if broken {
        call.out.null_array();
        return Ok(());
    }
    call.out.array(transaction.queue.len());
    server.begin_unit();
    for (command, argv) in transaction.queue.requests() {
        let block = server.execute(id, Origin::Exec, command, &argv, call.out.buffer());
        debug_assert!(block.is_none(), "nothing blocks inside a transaction");
        // HELLO inside of the transaction changes the protocol of what follows.
        let protocol = server.clients.running(id).protocol;
        if protocol != call.out.protocol() {
            call.out.set_protocol(protocol);
        }
    }
    server.end_unit();
    if transaction.queue.memory_bytes() <= SPARE_BYTES_MAX {
        let mut spare = transaction;
        spare.queue.clear();
        *spare = Transaction { queue: std::mem::take(&mut spare.queue), ..Transaction::default() };
        server.spare_transaction = Some(spare);
    }
    // What EXEC itself causes was applied command by command.
    let db = server.clients.running(id).db as usize;
    server.engine.effects.begin(db);
    Ok(())
}
