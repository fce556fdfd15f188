//! The background thread: it drops what is expensive to drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use engine::keyspace::{self, Db};

/// Something to be dropped elsewhere.
#[derive(Debug)]
pub enum Garbage {
    /// One value.
    Value(keyspace::Garbage),
    /// The contents of a database.
    Db(Box<Db>),
    /// Libraries of functions.
    Libraries(Box<scripting::functions::Libraries>),
}

impl Garbage {
    /// How many objects INFO counts it as.
    fn objects(&self) -> u64 {
        match self {
            Garbage::Value(_) => 1,
            Garbage::Db(db) => db.len() as u64,
            // Each, and what holds them.
            Garbage::Libraries(libraries) => libraries.len() as u64 + 1,
        }
    }
}

/// The way to the background thread.
#[derive(Debug)]
pub struct Bio {
    sender: Sender<Garbage>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    pending: AtomicU64,
    freed: AtomicU64,
}

impl Bio {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Garbage>();
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        std::thread::Builder::new().name("bio_lazy_free".to_owned()).spawn(move || {
            for garbage in receiver {
                let objects = garbage.objects();
                drop(garbage);
                shared.pending.fetch_sub(objects, Ordering::Relaxed);
                shared.freed.fetch_add(objects, Ordering::Relaxed);
            }
        })?;
        Ok(Bio { sender, counters })
    }

    /// Drops `garbage` on the background thread.
    pub fn free(&self, garbage: Garbage) {
        self.counters.pending.fetch_add(garbage.objects(), Ordering::Relaxed);
        // The thread lives as long as the sender; if it died, dropping here is still right.
        if let Err(unsent) = self.sender.send(garbage) {
            drop(unsent);
        }
    }

    /// Objects handed over and not yet freed (INFO `lazyfree_pending_objects`).
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.counters.pending.load(Ordering::Relaxed)
    }

    /// Objects freed so far (INFO `lazyfreed_objects`).
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.counters.freed.load(Ordering::Relaxed)
    }

    /// Sets the count of freed objects back (CONFIG RESETSTAT).
    pub fn reset_freed(&self) {
        self.counters.freed.store(0, Ordering::Relaxed);
    }
}
