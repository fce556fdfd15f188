//! Where memory goes: what INFO memory and MEMORY STATS tell.

use std::sync::OnceLock;

use crate::server::Server;
use crate::session::Client;
use crate::sys;

/// `used_memory` once the server was ready and empty.
static STARTUP: OnceLock<usize> = OnceLock::new();

/// Notes what an empty server uses. To be called once, when it is ready.
pub fn note_startup() {
    STARTUP.get_or_init(sys::alloc::used_memory);
}

/// The allocator's own figures, in bytes.
#[derive(Copy, Clone, Debug, Default)]
pub struct Allocator {
    /// Handed out.
    pub allocated: usize,
    /// In pages that have something handed out.
    pub active: usize,
    /// In physical memory.
    pub resident: usize,
    /// Mapped from the system.
    pub mapped: usize,
}

impl Allocator {
    /// Active over allocated.
    #[must_use]
    pub fn fragmentation(&self) -> f64 {
        self.active as f64 / self.allocated.max(1) as f64
    }

    /// The figures as text.
    #[must_use]
    pub fn report(&self) -> String {
        format!(
            "jemalloc {}\nAllocated: {}, active: {}, resident: {}, mapped: {}\n",
            sys::alloc::VERSION,
            self.allocated,
            self.active,
            self.resident,
            self.mapped
        )
    }
}

/// Asks the allocator. Takes some microseconds.
#[must_use]
pub fn allocator() -> Allocator {
    use tikv_jemalloc_ctl::{epoch, stats};
    // The figures are of the last epoch. Where one cannot be had it is 0, which the readers can stand.
    let _ = epoch::advance();
    Allocator {
        allocated: stats::allocated::read().unwrap_or(0),
        active: stats::active::read().unwrap_or(0),
        resident: stats::resident::read().unwrap_or(0),
        mapped: stats::mapped::read().unwrap_or(0),
    }
}

/// Memory by use, in bytes unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Allocated in all.
    pub used: usize,
    /// The most that ever was.
    pub peak: usize,
    /// What the empty server used.
    pub startup: usize,
    /// Physical memory of the process.
    pub resident: usize,
    /// Clients: their state and buffers.
    pub clients: usize,
    /// The tables of the databases.
    pub tables: usize,
    /// That part of the tables that goes when they have grown.
    pub rehashing: usize,
    /// Number of tables that are growing or shrinking.
    pub tables_rehashing: usize,
    /// Everything that is not data.
    pub overhead: usize,
    /// Number of keys.
    pub keys: usize,
    /// The allocator's own figures.
    pub allocator: Allocator,
}

impl Figures {
    /// Takes stock.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let used = sys::alloc::used_memory();
        let startup = STARTUP.get().copied().unwrap_or(0);
        let dbs = &server.engine.dbs;
        let tables: usize = dbs.iter().map(engine::keyspace::Db::table_bytes).sum();
        let clients = server
            .clients
            .iter()
            .map(|client| size_of::<Client>() + client.query.capacity() + client.output.capacity())
            .sum();
        Figures {
            used,
            peak: server.stats.memory_peak.max(used),
            startup,
            resident: resident_set(),
            clients,
            tables,
            rehashing: dbs.iter().map(engine::keyspace::Db::rehash_bytes).sum(),
            tables_rehashing: dbs.iter().filter(|db| db.is_rehashing()).count(),
            overhead: startup + clients + tables,
            keys: dbs.iter().map(engine::keyspace::Db::len).sum(),
            allocator: allocator(),
        }
    }

    /// Bytes of data.
    #[must_use]
    pub fn dataset(&self) -> usize {
        self.used.saturating_sub(self.overhead)
    }

    /// Share of the data in what is used beyond the empty server.
    #[must_use]
    pub fn dataset_percent(&self) -> f64 {
        let net = self.used.saturating_sub(self.startup).max(1);
        (self.dataset() as f64 * 100.0 / net as f64).min(100.0)
    }

    /// What is used now as a share of the peak.
    #[must_use]
    pub fn peak_percent(&self) -> f64 {
        self.used as f64 * 100.0 / self.peak.max(1) as f64
    }

    /// What is used beyond the empty server, for each key.
    #[must_use]
    pub fn bytes_per_key(&self) -> usize {
        self.used.saturating_sub(self.startup).checked_div(self.keys).unwrap_or(0)
    }
}

/// Physical memory of the process, in bytes; 0 where the system does not tell.
#[must_use]
pub fn resident_set() -> usize {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages: usize = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size()
}
