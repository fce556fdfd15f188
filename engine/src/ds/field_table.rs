//! The table behind a big hash some of whose fields have deadlines.
//!
//! The deadline lies in the field itself ([`Field`]); which fields are due is found as for keys, by the earliest deadline of each
//! group of neighbouring positions (`Deadlines`).

use super::deadlines::{Deadlines, VAIN_VISITS};
use super::element::{Field, FieldRef, fields_memory};
use super::hash::hash;
use super::table::{Place, Table, position};

/// Fields, of which some have deadlines.
#[derive(Debug, Default)]
pub struct FieldTable {
    table: Table<Field>,
    deadlines: Deadlines,
}

impl FieldTable {
    /// These fields, none of which has a deadline.
    #[must_use]
    pub fn new(table: Table<Field>) -> Self {
        FieldTable { table, deadlines: Deadlines::default() }
    }

    /// The fields, to be looked at.
    #[inline]
    #[must_use]
    pub fn table(&self) -> &Table<Field> {
        &self.table
    }

    /// Number of fields with a deadline.
    #[must_use]
    pub fn deadline_count(&self) -> usize {
        self.deadlines.count()
    }

    /// The earliest deadline, or a moment before it; `None` when no field has one.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.next()
    }

    /// Bytes allocated besides the struct itself. Looks at `samples` fields and extrapolates; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        fields_memory(&self.table, samples) + self.deadlines.memory_usage()
    }

    /// Sets `field` to `value`; true when the field is new. `deadline` answers what becomes of the deadline that it is given.
    pub fn set(&mut self, field: &[u8], value: &[u8], deadline: impl FnOnce(Option<i64>) -> Option<i64>) -> bool {
        let hash = hash(field);
        let (new, before, after) = match self.table.place(hash, field) {
            Place::Occupied(mut place) => {
                let before = place.get().deadline;
                let after = deadline(before);
                place.update(|pair| {
                    if before == after {
                        pair.set_value(value);
                    } else {
                        *pair = Field::new(field, value, after);
                    }
                });
                (false, before, after)
            }
            Place::Vacant(place) => {
                let after = deadline(None);
                place.insert(Field::new(field, value, after));
                (true, None, after)
            }
        };
        self.note(hash, before, after);
        new
    }

    /// Sets or removes the deadline of `field`; false when there is no such field.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) -> bool {
        let hash = hash(field);
        let Some(mut place) = self.table.find_mut(hash, field) else { return false };
        let before = place.get().deadline;
        place.update(|pair| pair.set_deadline(deadline));
        self.note(hash, before, deadline);
        true
    }

    #[inline]
    fn note(&mut self, hash: u64, before: Option<i64>, after: Option<i64>) {
        if before != after {
            self.deadlines.changed(position(hash), before, after, self.table.logical_size());
        }
    }

    /// Removes `field`; false when there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(removed) = self.table.remove(hash(field), field) else { return false };
        if let Some(at) = removed.get().deadline {
            self.deadlines.removed(at);
        }
        true
    }

    /// Removes about `budget` fields whose deadline lies before `now` and shows them. When it shows none, there are none left, or
    /// they are hard to find: then the next call goes on.
    pub fn extract_due(&mut self, now: i64, budget: usize, mut see: impl FnMut(FieldRef<'_>)) -> usize {
        let (mut removed, mut visits) = (0, 0);
        while removed < budget
            && visits < VAIN_VISITS
            && let Some(mut due) = self.deadlines.take_due(&mut self.table, now, |pair| pair.deadline)
        {
            visits += usize::from(due.is_empty());
            removed += due.len();
            due.sort_by_key(|pair| pair.get().deadline);
            due.iter().for_each(|pair| see(pair.get()));
        }
        removed
    }

    /// Panics unless the counts fit the fields. Slow.
    pub fn check_invariants(&self) {
        self.table.check_invariants();
        let with_deadline = self.table.iter().filter_map(|pair| pair.deadline.map(|at| (pair.field, at)));
        let mut count = 0;
        for (field, at) in with_deadline {
            self.deadlines.check(position(hash(field)), at);
            count += 1;
        }
        assert_eq!(count, self.deadlines.count(), "every deadline is counted");
    }
}
