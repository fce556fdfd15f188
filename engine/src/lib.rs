//! Redis data types and the commands on them: no I/O, no clock, no threads.
//!
//! The engine is told the time and the seed of its randomness; it answers with reply bytes and [`effects::Effects`].
//!
//! ```
//! use engine::{Engine, config::EngineConfig, time::UnixMs};
//!
//! let mut engine = Engine::new(EngineConfig::default(), 42);
//! let mut out = Vec::new();
//! engine.execute(&[b"GET", b"missing"], UnixMs(1_700_000_000_000), &mut out);
//! assert_eq!(out, b"$-1\r\n");
//! ```

pub mod args;
pub mod command;
pub mod commands;
pub mod config;
pub mod ctx;
pub mod direct;
pub mod ds;
pub mod effects;
pub mod error;
pub mod glob;
pub mod keyspace;
pub mod registry;
pub mod rng;
pub mod slot;
#[cfg(test)]
mod testing;
pub mod time;
pub mod types;

use args::Args;
use command::{Command, DataFn};
use config::EngineConfig;
use ctx::{CmdResult, Ctx, Outcome};
use effects::{Effects, EventClass};
use error::CommandError;
use keyspace::{Db, ExpiredFields, Keyspaces, STALLING_PARTS, Setting};
use registry::Registry;
use resp::Protocol;
use resp::writer::Writer;
use rng::Rng;
use time::UnixMs;

/// Databases and everything needed to run data commands on them.
pub struct Engine {
    /// The databases.
    pub dbs: Vec<Db>,
    /// Thresholds and limits.
    pub config: EngineConfig,
    /// Randomness.
    pub rng: Rng,
    /// Effects of the last command.
    pub effects: Effects,
    registry: Registry<DataFn>,
    /// Keys removed because their time had passed, since the start.
    pub expired_keys: u64,
    /// Fields of hashes removed because their time had passed, since the start.
    pub expired_fields: u64,
}

impl Engine {
    /// An empty engine. Everything random in it follows from `seed`.
    #[must_use]
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let mut registry = Registry::default();
        for command in commands::FAMILIES.iter().copied().flatten() {
            registry.add(command, |run| run);
        }
        Engine {
            dbs: (0..config.databases).map(|_| Db::default()).collect(),
            config,
            rng: Rng::new(seed),
            effects: Effects::default(),
            registry,
            expired_keys: 0,
            expired_fields: 0,
        }
    }

    /// Runs one request in database 0, the embedder's way: looks the command up, checks its arity, writes the
    /// RESP2 reply to `out`. A command that would block its client answers as if its time had run out.
    pub fn execute(&mut self, argv: &[&[u8]], now: UnixMs, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, Protocol::Resp2);
        let Some(name) = argv.first() else { return };
        let Some(entry) = self.registry.find(name) else {
            return writer.error(format_args!("ERR unknown command '{}'", String::from_utf8_lossy(name)));
        };
        let (mut run, mut arity, mut full_name) = (entry.command.run, entry.command.arity, &entry.full_name);
        if !entry.subcommands.is_empty() && argv.len() > 1 {
            let Some(sub) = self.registry.find_subcommand(entry, argv[1]) else {
                return writer.error(format_args!("ERR unknown subcommand '{}'.", String::from_utf8_lossy(argv[1])));
            };
            (run, arity, full_name) = (sub.command.run, sub.command.arity, &sub.full_name);
        }
        if !arity.accepts(argv.len()) {
            return writer.error(CommandError::WrongArity(full_name.clone().into()));
        }
        match self.run(run, argv, 0, now, false, Writer::new(out, Protocol::Resp2)) {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Block(_)) => Writer::new(out, Protocol::Resp2).null_array(),
            Err(error) => Writer::new(out, Protocol::Resp2).error(error),
        }
    }

    /// Runs a handler: the part that a server and [`execute`](Self::execute) share. The arity must have been checked;
    /// `db` must exist. Afterwards [`Engine::effects`] holds what the command caused. An `Err` is the reply, not yet written.
    #[inline]
    pub fn run(
        &mut self,
        run: DataFn,
        argv: &[&[u8]],
        db: usize,
        now: UnixMs,
        may_block: bool,
        out: Writer<'_>,
    ) -> CmdResult {
        self.within(db, now, may_block, out, |ctx| run(ctx, &mut Args::new(argv)))
    }

    /// Runs the body of an operation on `db`, which must exist, and collects its effects.
    #[inline]
    pub fn within<R>(
        &mut self,
        db: usize,
        now: UnixMs,
        may_block: bool,
        out: Writer<'_>,
        body: impl FnOnce(&mut Ctx<'_>) -> R,
    ) -> R {
        self.effects.begin(db);
        let setting = self.setting(now);
        let (selected, others) = Keyspaces::split(&mut self.dbs, db, setting);
        let mut ctx = Ctx {
            db: selected,
            others,
            now,
            rng: &mut self.rng,
            config: &self.config,
            out,
            effects: &mut self.effects,
            may_block,
        };
        let result = body(&mut ctx);
        if ctx.others.used() {
            (0..self.dbs.len()).for_each(|db| self.collect_notes(db));
        } else {
            self.collect_notes(db);
        }
        result
    }

    fn setting(&self, now: UnixMs) -> Setting {
        Setting { now, access_clock: self.config.access_clock, interest: self.effects.interest, keeps_waste: true }
    }

    /// Removes keys of one database whose time has passed, at most `budget` of them; returns how many.
    /// The effects are those of a command of its own.
    pub fn expire_step(&mut self, db: usize, now: UnixMs, budget: usize) -> usize {
        self.effects.begin(db);
        let setting = self.setting(now);
        setting.apply(&mut self.dbs[db]);
        let removed = self.dbs[db].expire_step(budget);
        self.collect_notes(db);
        removed
    }

    /// Removes fields of hashes in one database whose time has passed, at most about `budget` of them; returns how many. The effects
    /// are those of a command of its own.
    pub fn expire_fields_step(&mut self, db: usize, now: UnixMs, budget: usize) -> usize {
        self.effects.begin(db);
        let setting = self.setting(now);
        setting.apply(&mut self.dbs[db]);
        let removed = self.dbs[db].expire_fields_step(budget);
        self.collect_notes(db);
        removed
    }

    /// Turns what lookups in `db` noticed into effects that precede those of the command.
    #[inline]
    fn collect_notes(&mut self, db: usize) {
        let Db { notes, waste, .. } = &self.dbs[db];
        if !notes.expired.is_empty()
            || !notes.missed.is_empty()
            || !notes.created.is_empty()
            || !notes.expired_fields.is_empty()
            || !waste.garbage.is_empty()
        {
            self.collect_all_notes(db);
        }
    }

    #[cold]
    fn collect_all_notes(&mut self, db: usize) {
        let lazy = self.config.lazy_server_del || self.config.lazy_expire;
        let waste = self.dbs[db].waste.garbage.drain(..);
        self.effects.free_later.extend(waste.filter(|garbage| lazy || garbage.parts() > STALLING_PARTS));
        let notes = &mut self.dbs[db].notes;
        let removal: &[u8] = if self.config.lazy_expire { b"UNLINK" } else { b"DEL" };
        self.expired_keys += notes.expired.len() as u64;
        for key in notes.expired.drain(..) {
            self.effects.touch_in(db, &key);
            self.effects.event_before(db, EventClass::EXPIRED, "expired", &key);
            self.effects.propagate_before(db, &[removal, &key]);
        }
        for ExpiredFields { key, fields, emptied } in notes.expired_fields.drain(..) {
            self.expired_fields += fields.len() as u64;
            self.effects.touch_in(db, &key);
            self.effects.event_before(db, EventClass::HASH, "hexpired", &key);
            if emptied {
                self.effects.event_before(db, EventClass::GENERIC, "del", &key);
            }
            for field in &fields {
                self.effects.propagate_before(db, &[b"HDEL", &key, field]);
            }
        }
        for key in notes.missed.drain(..) {
            self.effects.event_before(db, EventClass::KEY_MISS, "keymiss", &key);
        }
        for key in notes.created.drain(..) {
            self.effects.event_before(db, EventClass::NEW, "new", &key);
        }
    }

    /// Changes thresholds and limits. The number of databases stays.
    pub fn configure(&mut self, config: EngineConfig) {
        for db in &mut self.dbs {
            db.set_access_clock(config.access_clock);
        }
        self.config = config;
    }

    /// Every data command.
    pub fn declarations() -> impl Iterator<Item = &'static Command> {
        commands::FAMILIES.iter().copied().flatten().copied()
    }
}
