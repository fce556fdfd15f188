//! Everything that a handler may cause outside of the data: as data. The embedder reads it after the
//! command and does the rest (WATCH, tracking, keyspace events, AOF, replicas, waking blocked clients).
//!
//! One `Effects` is reused from command to command. What nobody asked for ([`Interest`]) is not recorded,
//! so a write costs a counter and one test when there are no watchers, no events, no log and no replicas.

use bitflags::bitflags;

use crate::keyspace::{Db, Garbage};

bitflags! {
    /// Classes of keyspace events, with the letters of `notify-keyspace-events`.
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
    pub struct EventClass: u16 {
        /// `g`: DEL, EXPIRE, RENAME and the like.
        const GENERIC = 1;
        /// `$`
        const STRING = 1 << 1;
        /// `l`
        const LIST = 1 << 2;
        /// `s`
        const SET = 1 << 3;
        /// `h`
        const HASH = 1 << 4;
        /// `z`
        const ZSET = 1 << 5;
        /// `t`
        const STREAM = 1 << 6;
        /// `x`: a key expired.
        const EXPIRED = 1 << 7;
        /// `e`: a key was evicted.
        const EVICTED = 1 << 8;
        /// `m`: a read found nothing (not part of `A`).
        const KEY_MISS = 1 << 9;
        /// `d`: module types.
        const MODULE = 1 << 10;
        /// `n`: a key was created (not part of `A`).
        const NEW = 1 << 11;
    }
}

/// What the embedder wants to hear of.
#[derive(Copy, Clone, Debug, Default)]
pub struct Interest {
    /// Event classes that somebody may receive.
    pub events: EventClass,
    /// Whether changed keys are wanted: something is watched, tracked or blocked on.
    pub touched: bool,
    /// Whether commands are propagated: there is an append-only file or a replica.
    pub propagation: bool,
}

/// A piece of the arena.
#[derive(Copy, Clone, Debug)]
struct Piece {
    start: u32,
    len: u32,
}

/// A keyspace event.
#[derive(Copy, Clone, Debug)]
pub struct Event<'a> {
    /// Its class.
    pub class: EventClass,
    /// Its name, such as `lpush`.
    pub name: &'static str,
    /// Database.
    pub db: usize,
    /// Key.
    pub key: &'a [u8],
}

/// When a recorded command is propagated, seen from the command that was received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before it: the DEL of a key that had expired.
    Before,
    /// Instead of it (or after it, when it is itself propagated too).
    Instead,
}

#[derive(Copy, Clone, Debug)]
struct CommandRec {
    order: Order,
    db: u32,
    first: u32,
    argc: u32,
}

/// What becomes of the command that was received.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
enum Received {
    /// Propagated as it came, if it changed anything.
    #[default]
    IfChanged,
    /// Propagated even though nothing counts as changed.
    Always,
    /// Not propagated.
    Never,
}

/// The effects of one command.
#[derive(Debug, Default)]
pub struct Effects {
    /// What is recorded at all.
    pub interest: Interest,
    /// Changes, as `rdb_changes_since_last_save` counts them.
    pub dirty: u64,
    /// Values to be freed elsewhere (UNLINK and the lazy options). Whoever has no better place for them drops them.
    pub free_later: Vec<Garbage>,
    /// The former contents of databases, to be freed elsewhere (FLUSHALL ASYNC).
    pub free_dbs: Vec<Db>,
    /// The databases themselves changed place or contents: (a, b) were swapped, or both the same: emptied.
    pub databases_changed: Vec<(usize, usize)>,
    /// Everything was removed on purpose (FLUSHALL).
    pub flushed_all: bool,
    db: usize,
    arena: Vec<u8>,
    events: Vec<(EventClass, &'static str, u32, Piece)>,
    /// How many of the events precede those of the command itself.
    events_before: usize,
    touched: Vec<(u32, Piece)>,
    awaited: Vec<(u32, Piece)>,
    commands: Vec<CommandRec>,
    words: Vec<Piece>,
    received: Received,
}

impl Effects {
    /// Forgets everything. `db` is the database the next command runs in.
    pub fn begin(&mut self, db: usize) {
        self.db = db;
        self.dirty = 0;
        self.received = Received::IfChanged;
        if !self.arena.is_empty() {
            self.arena.clear();
            self.arena.shrink_to(1 << 20);
        }
        self.events.clear();
        self.events_before = 0;
        self.touched.clear();
        self.awaited.clear();
        self.commands.clear();
        self.words.clear();
        self.databases_changed.clear();
        self.flushed_all = false;
        self.free_later.clear();
        self.free_dbs.clear();
    }

    /// The database that keys without one belong to.
    #[must_use]
    pub fn db(&self) -> usize {
        self.db
    }

    fn store(&mut self, bytes: &[u8]) -> Piece {
        let start = u32::try_from(self.arena.len()).expect("one command's effects stay below 4 GiB");
        self.arena.extend_from_slice(bytes);
        Piece { start, len: bytes.len() as u32 }
    }

    fn load(&self, piece: Piece) -> &[u8] {
        &self.arena[piece.start as usize..(piece.start + piece.len) as usize]
    }

    /// The value of `key` changed: `changes` are counted, the key is marked, the event is reported.
    #[inline]
    pub fn changed(&mut self, class: EventClass, event: &'static str, key: &[u8], changes: u64) {
        self.dirty += changes;
        self.touch(key);
        self.event(class, event, key);
    }

    /// Marks `key` as changed for those who watch, track or wait for it.
    #[inline]
    pub fn touch(&mut self, key: &[u8]) {
        self.touch_in(self.db, key);
    }

    /// [`touch`](Self::touch) in another database.
    #[inline]
    pub fn touch_in(&mut self, db: usize, key: &[u8]) {
        if self.interest.touched {
            let piece = self.store(key);
            self.touched.push((db as u32, piece));
        }
    }

    /// Tells those who wait for `key` to look again, although its value is the same for those who watch it.
    #[inline]
    pub fn wake(&mut self, key: &[u8]) {
        if self.interest.touched {
            let piece = self.store(key);
            self.awaited.push((self.db as u32, piece));
        }
    }

    /// Reports a keyspace event.
    #[inline]
    pub fn event(&mut self, class: EventClass, name: &'static str, key: &[u8]) {
        self.event_in(self.db, class, name, key);
    }

    /// [`event`](Self::event) in another database.
    #[inline]
    pub fn event_in(&mut self, db: usize, class: EventClass, name: &'static str, key: &[u8]) {
        if self.interest.events.intersects(class) {
            let piece = self.store(key);
            self.events.push((class, name, db as u32, piece));
        }
    }

    /// Reports a keyspace event that precedes those of the command: what its lookups noticed.
    pub fn event_before(&mut self, db: usize, class: EventClass, name: &'static str, key: &[u8]) {
        if self.interest.events.intersects(class) {
            let piece = self.store(key);
            self.events.insert(self.events_before, (class, name, db as u32, piece));
            self.events_before += 1;
        }
    }

    /// Propagates this command instead of the one received. May be called several times: then in this order.
    pub fn propagate_instead(&mut self, argv: &[&[u8]]) {
        self.received = Received::Never;
        self.record(Order::Instead, self.db, argv);
    }

    /// Propagates this command in addition to the received one, behind it.
    pub fn propagate_also(&mut self, argv: &[&[u8]]) {
        self.record(Order::Instead, self.db, argv);
    }

    /// Propagates this command before the received one.
    pub fn propagate_before(&mut self, db: usize, argv: &[&[u8]]) {
        self.record(Order::Before, db, argv);
    }

    /// Propagates nothing for the received command, although it changes something.
    pub fn propagate_nothing(&mut self) {
        self.received = Received::Never;
    }

    /// Propagates the received command although nothing counts as changed.
    pub fn propagate_anyway(&mut self) {
        self.received = Received::Always;
    }

    fn record(&mut self, order: Order, db: usize, argv: &[&[u8]]) {
        if !self.interest.propagation {
            return;
        }
        let first = self.words.len() as u32;
        for word in argv {
            let piece = self.store(word);
            self.words.push(piece);
        }
        self.commands.push(CommandRec { order, db: db as u32, first, argc: argv.len() as u32 });
    }

    /// Whether the received command is to be propagated as it came.
    #[must_use]
    pub fn propagates_received(&self) -> bool {
        match self.received {
            Received::IfChanged => self.dirty > 0,
            Received::Always => true,
            Received::Never => false,
        }
    }

    /// Whether anything was recorded beyond the counters: the one test on the fast path.
    #[must_use]
    #[inline]
    pub fn has_records(&self) -> bool {
        !self.arena.is_empty() || !self.databases_changed.is_empty() || self.flushed_all
    }

    /// The keyspace events, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.events.iter().map(|&(class, name, db, key)| Event { class, name, db: db as usize, key: self.load(key) })
    }

    /// The changed keys, in order, with repetitions: (database, key).
    pub fn touched(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.touched.iter().map(|&(db, key)| (db as usize, self.load(key)))
    }

    /// The keys for which somebody may wait: (database, key). See [`wake`](Self::wake).
    pub fn awaited(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.awaited.iter().map(|&(db, key)| (db as usize, self.load(key)))
    }

    /// Whether there are commands to propagate besides the received one.
    #[must_use]
    #[inline]
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// The commands to propagate besides the received one: (order, database, argv).
    pub fn commands(&self) -> impl Iterator<Item = (Order, usize, impl ExactSizeIterator<Item = &[u8]>)> {
        self.commands.iter().map(|rec| {
            let words = &self.words[rec.first as usize..(rec.first + rec.argc) as usize];
            (rec.order, rec.db as usize, words.iter().map(|&word| self.load(word)))
        })
    }
}
