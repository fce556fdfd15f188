//! The background thread: it drops what is expensive to drop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use engine::keyspace::{self, Db};
use scripting::cache::Cache;
use scripting::functions::Libraries;
use scripting::vm::Retired;

use crate::server::Server;

use crate::net::poll::Waker;
use crate::session::ClientId;

/// Something to be dropped elsewhere.
#[derive(Debug)]
pub enum Garbage {
    /// One value.
    Value(keyspace::Garbage),
    /// The contents of a database.
    Db(Box<Db>),
    /// Libraries of functions, and the state in which they were compiled.
    Libraries(Box<Libraries>, Option<Retired<Server>>),
    /// Cached scripts, and the state in which they were compiled.
    Scripts(Box<Cache>, Option<Retired<Server>>),
}

/// Scripts that Redis frees at once: fewer are not worth the way to another thread there, and so INFO does not count them.
const UNCOUNTED_SCRIPTS_MAX: usize = 64;

/// How many objects INFO counts so many scripts as.
fn scripts(count: usize) -> u64 {
    if count > UNCOUNTED_SCRIPTS_MAX { count as u64 } else { 0 }
}

impl Garbage {
    /// How many objects INFO counts it as.
    fn objects(&self) -> u64 {
        match self {
            Garbage::Value(_) => 1,
            Garbage::Db(db) => db.len() as u64,
            // Each, and what holds them.
            Garbage::Libraries(libraries, _) => match scripts(libraries.len()) {
                0 => 0,
                count => count + 1,
            },
            Garbage::Scripts(cache, _) => scripts(cache.len()),
        }
    }
}

/// What the background thread is asked for.
#[derive(Debug)]
enum Job {
    /// To drop this.
    Free(Garbage),
    /// To say that everything up to here is dropped.
    Report,
}

/// The way to the background thread.
#[derive(Debug)]
pub struct Bio {
    sender: Sender<Job>,
    counters: Arc<Counters>,
    /// Reports asked for so far.
    reports: u64,
    /// Clients that wait for a report, in the order of the reports.
    waiters: VecDeque<(u64, ClientId)>,
}

#[derive(Debug, Default)]
struct Counters {
    pending: AtomicU64,
    freed: AtomicU64,
    /// Reports given.
    reports: AtomicU64,
}

impl Bio {
    /// Starts the thread, which wakes the event loop with each report.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(waker: Waker) -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Job>();
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        std::thread::Builder::new().name("bio_lazy_free".to_owned()).spawn(move || {
            for job in receiver {
                match job {
                    Job::Free(garbage) => {
                        let objects = garbage.objects();
                        drop(garbage);
                        shared.pending.fetch_sub(objects, Ordering::Relaxed);
                        shared.freed.fetch_add(objects, Ordering::Relaxed);
                    }
                    Job::Report => {
                        shared.reports.fetch_add(1, Ordering::Release);
                        waker.wake();
                    }
                }
            }
        })?;
        Ok(Bio { sender, counters, reports: 0, waiters: VecDeque::new() })
    }

    /// Drops `garbage` on the background thread.
    pub fn free(&self, garbage: Garbage) {
        self.counters.pending.fetch_add(garbage.objects(), Ordering::Relaxed);
        // The thread lives as long as the sender; if it died, dropping here is still right.
        if let Err(unsent) = self.sender.send(Job::Free(garbage)) {
            drop(unsent);
        }
    }

    /// Notes that a client waits until everything handed over so far is freed.
    pub fn await_all(&mut self, id: ClientId) {
        self.reports += 1;
        self.waiters.push_back((self.reports, id));
        if self.sender.send(Job::Report).is_err() {
            self.counters.reports.fetch_add(1, Ordering::Release);
        }
    }

    /// The next client whose wait is over.
    pub fn take_served(&mut self) -> Option<ClientId> {
        let given = self.counters.reports.load(Ordering::Acquire);
        let (_, id) = self.waiters.pop_front_if(|(report, _)| *report <= given)?;
        Some(id)
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
