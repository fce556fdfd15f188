//! Periodic work, in steps with a budget: ten times a second by default.

use std::time::Duration;

use engine::time::UnixMs;

use crate::config::value::ShutdownOptions;
use crate::control::Event;
use crate::server::{Server, Stop};
use crate::session::Closing;

/// Shortest and longest distance between two runs, in milliseconds, whatever `hz` says.
const PERIOD_MS: std::ops::RangeInclusive<i64> = 2..=1000;

/// Share of a period that the expiry cycle may take.
const EXPIRE_SHARE: f64 = 0.25;

/// Keys removed between two looks at the clock.
const EXPIRE_STEP: usize = 64;

/// Buckets moved between two looks at the clock.
const REHASH_STEP: usize = 128;

/// Samples of the instantaneous figures.
const SAMPLES: usize = 16;

/// DEBUG switches that change what cron does.
#[derive(Debug, Default)]
pub struct DebugSwitches {
    /// DEBUG SET-ACTIVE-EXPIRE 0.
    pub active_expire_off: bool,
    /// DEBUG PAUSE-CRON 1.
    pub cron_paused: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS 1.
    pub scripts_run_all: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION 1.
    pub skips_checksum: bool,
}

/// A figure per second, averaged over the last samples.
#[derive(Debug, Default)]
pub struct Rate {
    last: u64,
    samples: [u64; SAMPLES],
    next: usize,
}

impl Rate {
    fn sample(&mut self, total: u64, elapsed_ms: u64) {
        // CONFIG RESETSTAT sets totals back: then all of it came since.
        let new = total.checked_sub(self.last).unwrap_or(total);
        self.samples[self.next] = new.saturating_mul(1000) / elapsed_ms.max(1);
        self.next = (self.next + 1) % SAMPLES;
        self.last = total;
    }

    /// Per second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

/// State of the periodic work.
#[derive(Debug, Default)]
pub struct Cron {
    /// When it is due.
    pub next: UnixMs,
    /// Runs so far.
    pub runs: u64,
    last_sample: UnixMs,
    /// Commands per second.
    pub commands: Rate,
    /// Bytes received per second.
    pub bytes_in: Rate,
    /// Bytes sent per second.
    pub bytes_out: Rate,
    /// Turns of the event loop per second.
    pub cycles: Rate,
    /// Microseconds spent in them per second.
    pub cycle_us: Rate,
    /// Id of the client the last walk ended at.
    last_client: u64,
    /// Database the expiry cycle goes on with.
    expire_db: usize,
    /// A signal has asked for the end.
    shutdown: Option<Event>,
}

impl Server {
    /// Runs the periodic work when it is due.
    pub fn cron_if_due(&mut self) {
        let now = self.clock.now();
        if now < self.cron.next {
            return;
        }
        let period = (1000 / i64::from(self.config.hz.max(1))).clamp(*PERIOD_MS.start(), *PERIOD_MS.end());
        self.cron.next = now.plus(period);
        if self.debug.cron_paused {
            return;
        }
        let start = self.clock.stamp();
        self.cron.runs += 1;
        self.clock.calibrate();
        self.sample_rates();
        if self.loading.is_some() {
            // The data are not whole: nobody changes or saves them.
            self.clients_cron();
            return;
        }
        self.shut_down_if_asked();
        self.check_child();
        self.aof_cron();
        self.rewrite_aof_if_due();
        self.save_if_due();
        self.expire_cycle(Duration::from_secs_f64(EXPIRE_SHARE * period as f64 / 1000.0));
        self.stats.expire_us += self.clock.micros(start, self.clock.stamp());
        self.rehash_cycle(Duration::from_millis(1));
        self.clients_cron();
        if !self.migrations.is_empty() {
            let now = self.clock.now();
            self.migrations.close_idle(now);
        }
        if self.cron.runs.is_multiple_of(50) {
            self.pool.trim();
        }
        let end = self.clock.stamp();
        self.stats.cron_us += self.clock.micros(start, end);
    }

    fn sample_rates(&mut self) {
        let now = self.clock.now();
        let elapsed = (now.0 - self.cron.last_sample.0).max(0) as u64;
        if elapsed < 100 {
            return;
        }
        self.cron.last_sample = now;
        self.cron.commands.sample(self.stats.commands, elapsed);
        self.cron.bytes_in.sample(self.stats.bytes_in, elapsed);
        self.cron.bytes_out.sample(self.stats.bytes_out, elapsed);
        self.cron.cycles.sample(self.stats.cycles, elapsed);
        self.cron.cycle_us.sample(self.stats.cycle_us, elapsed);
        let used = crate::sys::alloc::used_memory();
        if used > self.stats.memory_peak {
            self.stats.memory_peak = used;
            self.stats.memory_peak_at = now.0;
        }
    }

    /// Removes keys whose time has passed, database after database, within a budget of time.
    fn expire_cycle(&mut self, budget: Duration) {
        if self.debug.active_expire_off || self.pause.is_some() {
            return;
        }
        let start = self.clock.stamp();
        let now = self.clock.now();
        let count = self.engine.dbs.len();
        for turn in 0..count {
            let db = (self.cron.expire_db + turn) % count;
            if self.engine.dbs[db].expires() == 0 && self.engine.dbs[db].field_expires() == 0 {
                continue;
            }
            loop {
                let keys = self.engine.expire_step(db, now, EXPIRE_STEP);
                if keys > 0 {
                    self.apply_effects(&[], true);
                }
                let removed = self.engine.expire_fields_step(db, now, EXPIRE_STEP);
                if removed > 0 {
                    self.apply_effects(&[], true);
                }
                let spent = self.clock.micros(start, self.clock.stamp());
                self.latency.note("expire-cycle", spent, now);
                if spent > budget.as_micros() as u64 {
                    self.stats.expire_time_cap_reached += 1;
                    self.cron.expire_db = db;
                    return;
                }
                if keys.max(removed) < EXPIRE_STEP {
                    break;
                }
            }
        }
    }

    /// Goes on with growing or shrinking the tables.
    fn rehash_cycle(&mut self, budget: Duration) {
        if !self.config.activerehashing {
            return;
        }
        let start = self.clock.stamp();
        for db in &mut self.engine.dbs {
            while db.rehash_step(REHASH_STEP) {
                if self.clock.micros(start, self.clock.stamp()) > budget.as_micros() as u64 {
                    return;
                }
            }
        }
    }

    /// Looks after some clients: each within about a second.
    fn clients_cron(&mut self) {
        let share = (self.clients.len() / self.config.hz.max(1) as usize).max(5);
        let now = self.clock.now();
        let timeout = i64::from(self.config.timeout) * 1000;
        for id in self.clients.next_ids(self.cron.last_client, share) {
            self.cron.last_client = id.id;
            self.check_output_limit(id);
            let Some(client) = self.clients.get_mut(id) else { continue };
            let idle = now.0 - client.last_interaction.0;
            if timeout > 0 && idle > timeout && client.blocked.is_none() && !client.is_subscriber() && !client.monitor {
                tracing::debug!("Closing idle client");
                self.close(id);
                continue;
            }
            // Room that a quiet client does not use goes back.
            if idle > 2000 && client.query.capacity() > client.query.len() + crate::pool::BUFFER_BYTES {
                let len = client.query.len();
                client.query.shrink_to(len);
            }
            if idle > 2000 && client.output.is_empty() && !client.output.has_no_buffer() {
                let buffer = client.output.take_empty();
                self.pool.give(buffer);
            }
        }
    }

    /// What is done once per turn, after the commands and before the replies are sent.
    pub fn before_wait(&mut self) {
        if !self.blocked.ready.is_empty() {
            self.serve_ready_keys();
        }
        self.flush_aof(false);
        self.serve_aof_waiters();
        self.serve_flushers();
    }

    /// Ends CLIENT PAUSE when its time is over.
    pub fn end_pause_if_due(&mut self) {
        if self.pause.is_some_and(|pause| pause.until <= self.clock.now()) {
            self.end_pause();
        }
    }

    /// Ends CLIENT PAUSE: whoever was held back goes on.
    pub fn end_pause(&mut self) {
        self.pause = None;
        for db in &mut self.engine.dbs {
            db.removes_expired = true;
        }
        for id in self.clients.ids() {
            let Some(client) = self.clients.get_mut(id) else { continue };
            if client.paused && client.closing == Closing::No {
                client.paused = false;
                let wait = if client.output.is_empty() {
                    crate::net::poll::Wait::Read
                } else {
                    crate::net::poll::Wait::ReadWrite
                };
                self.wait_for(id, wait);
                self.resume_later(id);
            }
        }
    }

    /// Ends the server when a signal has asked for it.
    fn shut_down_if_asked(&mut self) {
        let Some(event) = self.cron.shutdown.take() else { return };
        let (name, options) = match event {
            Event::Terminate => ("SIGTERM", self.config.shutdown_on_sigterm),
            Event::Interrupt => ("SIGINT", self.config.shutdown_on_sigint),
        };
        tracing::warn!("User requested shutdown...");
        if !self.shut_down(options) {
            crate::control::shutdown_is_off();
            tracing::warn!(
                "{name} received but errors trying to shut down the server, check the logs for more information"
            );
        }
    }

    /// Calls a shutdown off that a signal has asked for (SHUTDOWN ABORT); false when there is none.
    pub fn abort_shutdown(&mut self) -> bool {
        let asked = self.cron.shutdown.take().is_some();
        if asked {
            crate::control::shutdown_is_off();
            tracing::warn!("Shutdown manually aborted.");
        }
        asked
    }

    /// Makes the end ready: saves what is to be saved. False when that failed and the server has to go on; the log says why.
    pub fn shut_down(&mut self, options: ShutdownOptions) -> bool {
        self.stop_debugging_children();
        if self.saves_in_background() {
            tracing::warn!("There is a child saving an .rdb. Killing it!");
            self.stop_child();
        }
        if !self.stop_rewrite_at_end(options.force) {
            return false;
        }
        // Half a data set is not to take the place of a whole one.
        let wanted = options.save || (!options.nosave && !self.config.save.0.is_empty());
        if wanted && self.loading.is_none() {
            tracing::info!("Saving the final RDB snapshot before exiting.");
            if self.save_now().is_err() {
                if !options.force {
                    tracing::warn!("Error trying to save the DB, can't exit.");
                    return false;
                }
                tracing::warn!("Error trying to save the DB, but exiting anyway.");
            }
        }
        if self.aof.state == crate::aof::State::On {
            tracing::info!("Calling fsync() on the AOF file.");
            self.close_aof();
        }
        self.stop = Some(Stop::Clean);
        // Nobody shall find us still listening when the connections end.
        for listener in self.listeners.drain(..) {
            self.poll.remove(&listener);
        }
        tracing::warn!("Redis is now ready to exit, bye bye...");
        true
    }

    /// Takes what the control thread has to say.
    pub fn handle_control_events(&mut self) {
        while let Ok(event) = self.control.try_recv() {
            let name = match event {
                Event::Terminate => "SIGTERM",
                Event::Interrupt => "SIGINT",
            };
            tracing::warn!("Received {name} scheduling shutdown...");
            if self.loading.is_some() {
                // There is nothing to save, and nobody to wait for.
                self.stop = Some(Stop::Clean);
            }
            self.cron.shutdown = Some(event);
            self.cron.next = UnixMs(0);
        }
    }
}
