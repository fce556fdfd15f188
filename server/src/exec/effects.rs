//! Effects of a command → propagation, watches, blocked clients, keyspace events, the background thread. The only
//! place that does so.

use engine::effects::{EventClass, Order};

use crate::bio::Garbage;
use crate::server::Server;

impl Server {
    /// Applies what the last command caused. `received` is that command, empty for a cycle of cron; `apart` says that
    /// what it records are commands that have nothing to do with each other: keys that it happened upon had expired.
    #[inline]
    pub fn apply_effects(&mut self, received: &[&[u8]], apart: bool) {
        let effects = &mut self.engine.effects;
        self.stats.dirty += effects.dirty;
        if effects.interest.propagation {
            self.propagate(received, apart);
        }
        let effects = &mut self.engine.effects;
        for db in effects.free_dbs.drain(..) {
            self.bio.free(Garbage::Db(Box::new(db)));
        }
        if !effects.free_later.is_empty() {
            for value in effects.free_later.drain(..) {
                self.bio.free(Garbage::Value(value));
            }
        }
        if effects.has_records() {
            self.apply_records();
        }
    }

    /// Hands what the last command changes on to those who repeat it.
    fn propagate(&mut self, received: &[&[u8]], apart: bool) {
        self.propagation.now_secs = self.clock.now().secs();
        let effects = &self.engine.effects;
        let propagation = &mut self.propagation;
        let received = Some(received).filter(|argv| !argv.is_empty() && effects.propagates_received());
        if !effects.has_commands() {
            if let Some(argv) = received {
                propagation.command(effects.db(), argv.iter().copied());
            }
            return;
        }
        let of = |wanted| effects.commands().filter(move |&(order, ..)| order == wanted);
        if !apart {
            propagation.begin_unit();
        }
        for (_, db, argv) in of(Order::Before) {
            propagation.command(db, argv);
        }
        if let Some(argv) = received {
            propagation.command(effects.db(), argv.iter().copied());
        }
        for (_, db, argv) in of(Order::Instead) {
            propagation.command(db, argv);
        }
        if !apart {
            propagation.end_unit();
        }
    }

    /// Opens a unit: what the commands up to its end change is repeated as a whole, and clients that wait are served
    /// after it. Units may be opened within units; the outermost counts.
    pub fn begin_unit(&mut self) {
        self.propagation.begin_unit();
    }

    /// Closes a unit.
    pub fn end_unit(&mut self) {
        self.propagation.end_unit();
    }

    #[cold]
    fn apply_records(&mut self) {
        // Taken out while it is read, so that the rest of the server can be changed; the buffers go back.
        let effects = std::mem::take(&mut self.engine.effects);
        for (db, key) in effects.touched() {
            if !self.watchers.is_empty() {
                self.break_watches(db, key);
            }
            self.blocked.signal(db, key);
        }
        for (db, key) in effects.awaited() {
            self.blocked.signal(db, key);
        }
        for &(a, b) in &effects.databases_changed {
            if a == b {
                self.break_watches_in(a);
            } else {
                self.break_watches_in(a);
                self.break_watches_in(b);
            }
            self.blocked.signal_databases(a, b);
        }
        for event in effects.events() {
            self.notify_keyspace_event(event.class, event.name, event.db, event.key);
        }
        if effects.flushed_all {
            self.everything_flushed();
        }
        self.engine.effects = effects;
    }

    /// Publishes a keyspace event on its two channels, as configured.
    pub fn notify_keyspace_event(&mut self, class: EventClass, name: &str, db: usize, key: &[u8]) {
        let wanted = self.config.notify_keyspace_events;
        if !wanted.classes.intersects(class) {
            return;
        }
        if wanted.keyspace {
            let mut channel = format!("__keyspace@{db}__:").into_bytes();
            channel.extend_from_slice(key);
            self.publish(&channel, name.as_bytes());
        }
        if wanted.keyevent {
            self.publish(format!("__keyevent@{db}__:{name}").as_bytes(), key);
        }
    }

    /// Tells the engine what is worth recording. To be called whenever somebody begins or ceases to care.
    pub fn refresh_interest(&mut self) {
        let interest = &mut self.engine.effects.interest;
        let wanted = self.config.notify_keyspace_events;
        interest.events = if wanted.keyspace || wanted.keyevent { wanted.classes } else { EventClass::empty() };
        interest.touched = !self.watchers.is_empty() || !self.blocked.is_empty();
        interest.propagation = self.propagation.is_wanted();
    }
}
