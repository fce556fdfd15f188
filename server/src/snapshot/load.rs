//! RDB file → data.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use engine::config::AccessClock;
use engine::keyspace::Expiry;
use engine::time::UnixMs;
use persistence::rdb::{Entry, Integrity, Item, RdbError, Reader};

use super::save::wait_for_test;
use crate::config::parse::error_text;
use crate::config::value::SanitizePayload;
use crate::server::Server;
use crate::tick::Tick;

/// Keys that room is made for at once when the length of the input is not known.
const RESERVE_MAX: u64 = 1 << 20;

/// Least bytes that a key takes in a file: type, key, value.
const ENTRY_BYTES_MIN: u64 = 3;

/// What the server tells about a loading that is under way.
#[derive(Clone, Debug)]
pub struct Loading {
    /// When it began.
    pub started: UnixMs,
    /// Bytes in all; 0 when not known.
    pub total_bytes: u64,
    /// Bytes so far.
    pub loaded_bytes: u64,
    /// Memory that the writer of the file used, as the file tells.
    pub used_memory: u64,
}

/// What becomes of what is there already, and of what is out of date.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadTarget {
    /// A key that exists is replaced; otherwise it is an error.
    pub merge: bool,
    /// Keys whose time has passed are taken: a primary, or the log behind an RDB preamble, will tell what becomes of them.
    pub keeps_expired: bool,
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOutcome {
    /// Keys taken.
    pub keys: u64,
    /// Keys left out because their time had passed.
    pub expired: u64,
    /// Keys left out because their collections had no elements.
    pub empty: u64,
    /// What the file tells about the writer's history: id, offset, selected database.
    pub replication: Option<(String, i64, i64)>,
    /// Bytes read behind the end of the RDB.
    pub rest: Vec<u8>,
}

/// Why loading failed.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be opened.
    Open(io::Error),
    /// It is no file that we can read, or breaks its own rules.
    Rdb {
        /// What is wrong.
        error: RdbError,
        /// Where.
        offset: u64,
        /// The key whose value it is, if any.
        key: Option<Box<[u8]>>,
    },
    /// A key stands in it twice, or is there already.
    Duplicate {
        /// The key.
        key: Box<[u8]>,
        /// Its database.
        db: u64,
    },
    /// A library of functions cannot be loaded.
    Library {
        /// Why.
        text: Box<str>,
    },
    /// It has more databases than we are configured for.
    Databases,
    /// The server is to end.
    Stopped,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Open(error) => f.write_str(&error_text(error)),
            LoadError::Rdb { error, offset, key } => {
                write!(f, "Internal error in RDB reading offset {offset} -> {error}")?;
                key.as_ref().map_or(Ok(()), |key| write!(f, " (key '{}')", key.escape_ascii()))
            }
            LoadError::Duplicate { key, db } => {
                write!(f, "RDB has duplicated key '{}' in DB {db}", key.escape_ascii())
            }
            LoadError::Library { text } => write!(f, "Failed creating the library: {text}"),
            LoadError::Databases => f.write_str(
                "Data file was created with a Redis server configured to handle more databases than this one",
            ),
            LoadError::Stopped => f.write_str("the server is to end"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A stream that lets the server look after its clients while it is read. Nothing of the server is borrowed while a value
/// is decoded, so this may happen in the middle of one: reading and taking what was read never overlap.
struct Served<'a, 's, R> {
    inner: R,
    server: &'a RefCell<&'s mut Server>,
    turn: &'a mut dyn FnMut(&mut Server),
    since_turn: u64,
}

impl<R: Read> Read for Served<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut server = self.server.borrow_mut();
        let interval = server.config.loading_process_events_interval_bytes;
        let most = buffer.len().min(usize::try_from(interval).unwrap_or(usize::MAX).max(4096));
        let read = self.inner.read(&mut buffer[..most])?;
        self.since_turn += read as u64;
        if let Some(loading) = &mut server.loading {
            loading.loaded_bytes += read as u64;
        }
        if self.since_turn >= interval {
            self.since_turn = 0;
            (self.turn)(&mut server);
        }
        if server.stop.is_some() {
            return Err(io::Error::other("the server is to end"));
        }
        Ok(read)
    }
}

impl Server {
    /// Loads an RDB from a stream of `total` bytes, if that is known. `turn` is called now and then, to look after the
    /// clients; they are told that we are loading.
    ///
    /// # Errors
    /// [`LoadError`]; what was loaded until then stays.
    pub fn load_snapshot<R: Read>(
        &mut self,
        stream: R,
        total: Option<u64>,
        target: LoadTarget,
        turn: &mut dyn FnMut(&mut Server),
    ) -> Result<LoadOutcome, LoadError> {
        let now = self.clock.now();
        // It may be a part of something larger, which counts all of it.
        let is_part = self.loading.is_some();
        self.loading.get_or_insert(Loading {
            started: now,
            total_bytes: total.unwrap_or(0),
            loaded_bytes: 0,
            used_memory: 0,
        });
        let server = RefCell::new(&mut *self);
        let result = load(Served { inner: stream, server: &server, turn, since_turn: 0 }, &server, total, target);
        if !is_part {
            self.loading = None;
        }
        let outcome = result?;
        self.snapshots.last_load_keys = outcome.keys;
        self.snapshots.last_load_expired = outcome.expired;
        tracing::info!(
            "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
            outcome.keys,
            outcome.expired,
            outcome.empty
        );
        Ok(outcome)
    }

    /// Loads the RDB file; `None` when there is none.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_file(
        &mut self,
        target: LoadTarget,
        turn: &mut dyn FnMut(&mut Server),
    ) -> Result<Option<LoadOutcome>, LoadError> {
        let file = match File::open(self.config.dbfilename.as_path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::Open(error)),
        };
        let total = file.metadata().map_err(LoadError::Open)?.len();
        self.load_snapshot(file, Some(total), target, turn).map(Some)
    }

    /// Loads the RDB file when the server starts; clients are looked after meanwhile.
    ///
    /// # Errors
    /// The text is the last line of the log.
    pub fn load_at_start(&mut self, tick: &mut Tick) -> io::Result<()> {
        let start = self.clock.stamp();
        // A turn that fails will fail again when loading is done.
        let mut turn = |server: &mut Server| drop(tick.turn(server, Duration::ZERO));
        if self.config.appendonly {
            self.load_aof(&mut turn).map_err(|failed| io::Error::other(failed.0))?;
            // Somebody may have turned it off meanwhile.
            if self.config.appendonly && self.stop.is_none() {
                self.open_aof_at_start().map_err(io::Error::other)?;
            }
            self.stats.dirty = 0;
            return Ok(());
        }
        match self.load_file(LoadTarget::default(), &mut turn) {
            Ok(None) | Err(LoadError::Stopped) => Ok(()),
            Ok(Some(_)) => {
                let seconds = self.clock.micros(start, self.clock.stamp()) as f64 / 1e6;
                tracing::info!("DB loaded from disk: {seconds:.3} seconds");
                // What was loaded is what is on disk.
                self.stats.dirty = 0;
                // Somebody may have turned the append-only file on meanwhile; why it cannot be is in the log.
                let _ = self.apply_appendonly();
                Ok(())
            }
            Err(error @ LoadError::Open(_)) => {
                Err(io::Error::other(format!("Fatal error loading the DB: {error}. Exiting.")))
            }
            Err(error) => {
                tracing::warn!("{error}");
                if let LoadError::Rdb { error, .. } = &error {
                    tracing::warn!("{}: {error}", self.config.dbfilename.to_lossy());
                }
                Err(io::Error::other("Terminating server after rdb file reading failure."))
            }
        }
    }

    /// How closely what comes from a file or from the primary is looked at.
    fn file_integrity(&self) -> Integrity {
        match self.config.sanitize_dump_payload {
            SanitizePayload::Yes => Integrity::Full,
            SanitizePayload::No | SanitizePayload::Clients => Integrity::Structure,
        }
    }
}

fn load<R: Read>(
    served: Served<'_, '_, R>,
    shared: &RefCell<&mut Server>,
    total: Option<u64>,
    target: LoadTarget,
) -> Result<LoadOutcome, LoadError> {
    let (config, integrity, skips_checksum, now) = {
        let mut server = shared.borrow_mut();
        let now = server.clock.now();
        server.engine.dbs.iter_mut().for_each(|db| db.begin(now));
        (server.engine.config.clone(), server.file_integrity(), server.debug.skips_checksum, now)
    };
    let blame = |error: RdbError, offset: u64, key: &[u8]| {
        if shared.borrow().stop.is_some() {
            return LoadError::Stopped;
        }
        LoadError::Rdb { error, offset, key: Some(key).filter(|key| !key.is_empty()).map(Into::into) }
    };
    let mut reader = Reader::sized(served, total, config, integrity).map_err(|error| blame(error, 0, b""))?;
    if skips_checksum {
        reader.ignore_checksum();
    }
    let mut outcome = LoadOutcome::default();
    let (mut history, mut offset, mut selected) = (None, -1, 0);
    let mut counter = 0;
    loop {
        let item = match reader.next_item() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(error) => return Err(blame(error, reader.offset(), reader.key())),
        };
        let server = &mut **shared.borrow_mut();
        match item {
            Item::Aux { name, value } => {
                let text = String::from_utf8_lossy(value);
                match name {
                    b"redis-ver" => tracing::info!("Loading RDB produced by version {text}"),
                    b"ctime" => {
                        let age = text.parse::<i64>().map_or(0, |then| (now.secs() - then).max(0));
                        tracing::info!("RDB age {age} seconds");
                    }
                    b"used-mem" => {
                        let bytes = text.parse::<u64>().unwrap_or(0);
                        tracing::info!("RDB memory usage when created {:.2} Mb", bytes as f64 / f64::from(1 << 20));
                        if let Some(loading) = &mut server.loading {
                            loading.used_memory = bytes;
                        }
                    }
                    b"aof-base" if value == b"1" => tracing::info!("RDB is base AOF"),
                    b"repl-id" => history = Some(text.into_owned()),
                    b"repl-offset" => offset = text.parse().unwrap_or(-1),
                    b"repl-stream-db" => selected = text.parse().unwrap_or(0),
                    [b'%', ..] => tracing::info!("RDB '{}': {text}", name.escape_ascii()),
                    _ => {}
                }
            }
            Item::Size { db, keys, .. } => {
                let most = total.map_or(RESERVE_MAX, |total| total / ENTRY_BYTES_MIN);
                let db = usize::try_from(db).ok().and_then(|db| server.engine.dbs.get_mut(db));
                db.ok_or(LoadError::Databases)?.reserve(keys.min(most) as usize);
            }
            Item::Function(code) => {
                if let Err(error) = server.load_library(code, target.merge) {
                    let text = error.to_string();
                    let text = text.strip_prefix("ERR ").unwrap_or(&text);
                    return Err(LoadError::Library { text: text.into() });
                }
            }
            // Not asked for: such a value ends the loading.
            Item::Module { .. } => {}
            Item::ModuleAux(name) => {
                tracing::warn!("The RDB has data of the module type '{name}', which are passed over");
            }
            Item::Empty { key } => {
                outcome.empty += 1;
                // A damaged file may have many.
                if outcome.empty <= 10 {
                    tracing::info!("rdbLoadObject skipping empty key: {}", key.escape_ascii());
                }
            }
            Item::Entry(entry) => take(server, entry, now, target, &mut outcome)?,
        }
        let delay = server.config.key_load_delay;
        if delay != 0 {
            counter += 1;
            wait_for_test(delay, counter);
        }
    }
    outcome.replication = history.map(|id| (id, offset, selected));
    outcome.rest = reader.into_parts().1;
    Ok(outcome)
}

/// Puts an entry where it belongs.
fn take(
    server: &mut Server,
    entry: Entry<'_>,
    now: UnixMs,
    target: LoadTarget,
    outcome: &mut LoadOutcome,
) -> Result<(), LoadError> {
    if !target.keeps_expired && entry.deadline.is_some_and(|deadline| deadline < now) {
        outcome.expired += 1;
        return Ok(());
    }
    let lru = server.engine.config.access_clock == AccessClock::Lru;
    let db = usize::try_from(entry.db).ok().and_then(|db| server.engine.dbs.get_mut(db));
    let db = db.ok_or(LoadError::Databases)?;
    if target.merge {
        let expiry = entry.deadline.map_or(Expiry::Clear, Expiry::At);
        db.insert(entry.key, entry.value.into_value(), expiry);
    } else if !db.load(entry.key, entry.value, entry.deadline) {
        return Err(LoadError::Duplicate { key: entry.key.into(), db: entry.db });
    }
    match (entry.idle_secs, entry.frequency) {
        (Some(secs), _) if lru => {
            db.set_idle_secs(entry.key, secs);
        }
        (_, Some(counter)) if !lru => {
            db.set_frequency(entry.key, counter);
        }
        _ => {}
    }
    outcome.keys += 1;
    Ok(())
}
