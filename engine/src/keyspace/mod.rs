//! The databases: keys, their values, their deadlines.

mod clock;
mod db;
mod sizes;

pub use db::{
    CollectionRef, Db, EMBSTR_MAX, Emptied, EntryView, ExpiredFields, Expiry, Garbage, Incoming, Notes, PARTS_MIN,
    PREFETCH_KEYS, Ref, STALLING_PARTS, StrBuf, ValueRef, Waste,
};
pub use sizes::{Mut, Sizes};

use crate::config::AccessClock;
use crate::effects::Interest;
use crate::time::UnixMs;

/// The databases besides the selected one.
pub struct Keyspaces<'a> {
    before: &'a mut [Db],
    after: &'a mut [Db],
    setting: Setting,
    used: bool,
}

/// What holds for every database while one command runs.
#[derive(Copy, Clone, Debug)]
pub struct Setting {
    /// The time.
    pub now: UnixMs,
    /// How the access clock of entries is kept.
    pub access_clock: AccessClock,
    /// What notes shall contain.
    pub interest: Interest,
    /// Whether replaced and expired values of many parts are kept for others to free.
    pub keeps_waste: bool,
}

impl Setting {
    /// Makes `db` ready for the command.
    #[inline]
    pub fn apply(&self, db: &mut Db) {
        db.begin(self.now);
        db.set_access_clock(self.access_clock);
        db.set_interest(&self.interest);
        db.waste.kept = self.keeps_waste;
    }
}

impl<'a> Keyspaces<'a> {
    /// Splits `dbs` into the selected database and the others. `index` must exist.
    #[inline]
    pub fn split(dbs: &'a mut [Db], index: usize, setting: Setting) -> (&'a mut Db, Self) {
        let (before, rest) = dbs.split_at_mut(index);
        let (db, after) = rest.split_first_mut().expect("the selected database exists");
        setting.apply(db);
        (db, Keyspaces { before, after, setting, used: false })
    }

    /// Another database than the selected one; `None` for that one, or when there is none of this number.
    pub fn get(&mut self, index: usize) -> Option<&mut Db> {
        let selected = self.before.len();
        let db = if index < selected {
            Some(&mut self.before[index])
        } else {
            self.after.get_mut(index.checked_sub(selected + 1)?)
        }?;
        self.setting.apply(db);
        self.used = true;
        Some(db)
    }

    /// Exchanges two databases, of which the selected one may be one. Both must exist.
    pub fn swap(&mut self, selected: &mut Db, a: usize, b: usize) {
        let (a, b, here) = (a.min(b), a.max(b), self.before.len());
        self.used = true;
        if a == b {
            return;
        }
        if a == here {
            std::mem::swap(selected, &mut self.after[b - here - 1]);
        } else if b == here {
            std::mem::swap(&mut self.before[a], selected);
        } else if b < here {
            self.before.swap(a, b);
        } else if a > here {
            self.after.swap(a - here - 1, b - here - 1);
        } else {
            std::mem::swap(&mut self.before[a], &mut self.after[b - here - 1]);
        }
    }

    /// Whether another database than the selected one was looked at.
    #[must_use]
    pub fn used(&self) -> bool {
        self.used
    }

    /// Number of databases, the selected one included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.before.len() + self.after.len() + 1
    }
}
