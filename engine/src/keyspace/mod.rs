//! The databases: keys, their values, their deadlines.

mod clock;
mod db;
mod deadlines;

pub use db::{CollectionRef, Db, Expiry, Garbage, Mut, Notes, Ref, StrBuf, ValueRef, Waste};

use crate::time::UnixMs;

/// The databases besides the selected one.
pub struct Keyspaces<'a> {
    before: &'a mut [Db],
    after: &'a mut [Db],
    now: UnixMs,
}

impl<'a> Keyspaces<'a> {
    /// Splits `dbs` into the selected database and the others, all at the time `now`. `index` must exist.
    pub fn split(dbs: &'a mut [Db], index: usize, now: UnixMs) -> (&'a mut Db, Self) {
        let (before, rest) = dbs.split_at_mut(index);
        let (db, after) = rest.split_first_mut().expect("the selected database exists");
        (db, Keyspaces { before, after, now })
    }

    /// Another database than the selected one; `None` for that one, or when there is none of this number.
    pub fn get(&mut self, index: usize) -> Option<&mut Db> {
        let selected = self.before.len();
        let db = if index < selected {
            Some(&mut self.before[index])
        } else {
            self.after.get_mut(index.checked_sub(selected + 1)?)
        }?;
        db.begin(self.now);
        Some(db)
    }

    /// Number of databases, the selected one included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.before.len() + self.after.len() + 1
    }
}
