//! Keys and fields whose time has passed: step by step, or when somebody asks for a field.

use super::{Db, Emptied, ExpiredFields, field_deadline, forget_fields};
use crate::ds::deadlines::VAIN_VISITS;
use crate::ds::hash::hash;
use crate::ds::table::position;
use crate::keyspace::sizes::{Mut, Size};
use crate::time::UnixMs;
use crate::types::Hash;

impl Db {
    /// Removes keys whose time has passed, about `budget` of them; returns how many. They are noted. When it returns 0, there are
    /// none left, or they are hard to find: in both cases it is time for something else.
    pub fn expire_step(&mut self, budget: usize) -> usize {
        let now = self.now.0;
        let (mut removed, mut visits) = (0, 0);
        while removed < budget
            && visits < VAIN_VISITS
            && let Some(due) = self.deadlines.take_due(&mut self.table, now, |entry| entry.deadline())
        {
            visits += usize::from(due.is_empty());
            removed += due.len();
            for entry in due {
                self.about_to_change(hash(entry.as_ref().key()));
                forget_fields(&mut self.field_deadlines, entry.as_ref());
                self.sizes.removed(Size::of(entry.as_ref()));
                self.notes.expired.push(entry.as_ref().key().into());
                self.waste.entry(entry);
            }
        }
        removed
    }

    /// Whether a field of some hash may be due and would be removed by whoever asks for it.
    #[inline]
    #[must_use]
    pub fn fields_are_due(&self) -> bool {
        self.removes_expired && self.field_deadlines.next().is_some_and(|at| at < self.passed)
    }

    /// The earliest deadline of a field of the hash at `key` was `before` and is `after` now. Whoever changes a hash says so.
    #[inline]
    pub fn fields_changed(&mut self, key: &[u8], before: Option<UnixMs>, after: Option<UnixMs>) {
        if before != after {
            let (before, after) = (before.map(|at| at.0), after.map(|at| at.0));
            self.field_deadlines.changed(position(hash(key)), before, after, self.table.logical_size());
        }
    }

    /// Removes those of `fields` whose time has passed from the hash at `key`. Answers whether the hash lost its last field.
    pub fn expire_fields(&mut self, key: &[u8], fields: &[&[u8]], emptied: Emptied) -> bool {
        let now = self.now;
        self.take_fields(key, emptied, |hash, gone| {
            for &field in fields {
                if hash.deadline(field).flatten().is_some_and(|at| at < now) && hash.remove(field) {
                    gone.push(field.into());
                }
            }
        })
        .1
    }

    /// Removes every field whose time has passed from the hash at `key`. Answers whether the hash lost its last field.
    pub fn expire_all_fields(&mut self, key: &[u8]) -> bool {
        let now = self.now;
        self.take_fields(key, Emptied::Remove, |hash, gone| {
            while hash.may_have_due(now) {
                hash.extract_due(now, usize::MAX, |field| gone.push(field.into()));
            }
        })
        .1
    }

    /// Lets `take` remove fields of the hash at `key` that are due. Returns how many it removed, whether the hash lost its last
    /// field, and the earliest deadline that is left.
    fn take_fields(
        &mut self,
        key: &[u8],
        emptied: Emptied,
        take: impl FnOnce(&mut Hash, &mut Vec<Box<[u8]>>),
    ) -> (usize, bool, Option<UnixMs>) {
        let now = self.now;
        if !self.decides_expiry() {
            return (0, false, None);
        }
        self.about_to_change(hash(key));
        let Some((place, sizes)) = self.live_and_sizes(key) else { return (0, false, None) };
        let Some(hash) = place.into_mut().write::<Hash>() else { return (0, false, None) };
        let mut hash = Mut::new(hash, sizes);
        let before = hash.next_deadline();
        if before.is_none_or(|at| at >= now) {
            return (0, false, before);
        }
        let mut fields = Vec::new();
        take(&mut hash, &mut fields);
        let (after, is_empty) = (hash.next_deadline(), hash.is_empty());
        drop(hash);
        self.fields_changed(key, before, after);
        let count = fields.len();
        if count > 0 {
            let emptied = is_empty && emptied == Emptied::Remove;
            self.notes.expired_fields.push(ExpiredFields { key: key.into(), fields, emptied });
        }
        if is_empty
            && emptied == Emptied::Remove
            && let Some(entry) = self.take(key)
        {
            self.waste.entry(entry);
        }
        (count, is_empty, after)
    }

    /// Removes fields of hashes whose time has passed, about `budget` of them, and hashes that lose their last one; returns how
    /// many. They are noted. When it returns 0, there are none left, or they are hard to find: then the next call goes on.
    pub fn expire_fields_step(&mut self, budget: usize) -> usize {
        let now = self.now;
        let (mut removed, mut visits) = (0, 0);
        while removed < budget
            && visits < VAIN_VISITS
            && let Some(group) = self.field_deadlines.due(now.0)
        {
            let (from, to) = self.field_deadlines.range(group);
            let (mut due, mut earliest) = (Vec::new(), i64::MAX);
            self.table.visit_range(from, to, |entry| match field_deadline(entry) {
                Some(at) if at < now.0 => due.push((at, Box::<[u8]>::from(entry.key()))),
                Some(at) => earliest = earliest.min(at),
                None => {}
            });
            due.sort_unstable();
            let before = removed;
            for (at, key) in due {
                if removed >= budget {
                    // The group stays due.
                    earliest = earliest.min(at);
                    break;
                }
                let (count, _, left) = self.take_fields(&key, Emptied::Remove, |hash, gone| {
                    hash.extract_due(now, budget - removed, |field| gone.push(field.into()));
                });
                removed += count;
                earliest = earliest.min(left.map_or(i64::MAX, |at| at.0));
            }
            self.field_deadlines.seen(group, Some(earliest).filter(|&at| at != i64::MAX));
            visits += usize::from(removed == before);
        }
        removed
    }
}
