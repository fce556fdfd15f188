//! Values that nobody needs any more, and where they go.

use crate::ds::entry::{Encoding, Entry, EntryRef, OldValue, Owned};
use crate::ds::packed::Packed;
use crate::types::{Hash, List, Set, Stream, Zset};

/// A value that nobody needs any more. Dropping it frees it, which takes time for one of many parts; any thread may do so.
#[derive(Debug)]
pub struct Garbage {
    pub(super) parts: usize,
    #[expect(dead_code, reason = "kept to be dropped")]
    pub(super) old: Old,
}

#[derive(Debug)]
#[expect(dead_code, reason = "kept to be dropped")]
pub(super) enum Old {
    Value(OldValue),
    Entry(Entry),
}

impl Garbage {
    /// A collection that is in no entry. `parts` is the number of its allocations, about.
    pub fn collection<T: Packed>(value: T, parts: usize) -> Self {
        Garbage { parts, old: Old::Value(OldValue::Packed(Owned::new(value))) }
    }

    /// Number of allocations that freeing it takes, about. Handing few to another thread costs more than it saves.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }
}

/// Values of more parts than this are worth another thread's while.
pub const PARTS_MIN: usize = 64;

/// Values of more parts than this would stall everybody while they are freed: another thread does it in any case.
pub const STALLING_PARTS: usize = 50_000;

/// Where values of many parts go that were replaced or have expired. By default they are freed at once.
#[derive(Debug, Default)]
pub struct Waste {
    /// Whether they are kept in `garbage`, for somebody else to take and free.
    pub kept: bool,
    /// What was kept.
    pub garbage: Vec<Garbage>,
}

impl Waste {
    pub(super) fn value(&mut self, old: OldValue, parts: usize) {
        if self.kept && parts > PARTS_MIN {
            self.garbage.push(Garbage { parts, old: Old::Value(old) });
        }
    }

    pub(super) fn entry(&mut self, entry: Entry) {
        if self.kept {
            let parts = parts(entry.as_ref());
            if parts > PARTS_MIN {
                self.garbage.push(Garbage { parts, old: Old::Entry(entry) });
            }
        }
    }
}

/// Number of allocations of a value, about.
#[inline]
pub(super) fn parts(entry: EntryRef<'_>) -> usize {
    match entry.encoding() {
        Encoding::ListQuick => entry.read::<List>().map_or(1, |list| list.parts()),
        Encoding::SetTable => entry.read::<Set>().map_or(1, |set| set.len()),
        Encoding::HashTable | Encoding::HashTableEx => entry.read::<Hash>().map_or(1, |hash| hash.len()),
        Encoding::ZsetTree => entry.read::<Zset>().map_or(1, |zset| zset.len()),
        Encoding::Stream => entry.read::<Stream>().map_or(1, |stream| stream.parts()),
        _ => 1,
    }
}
