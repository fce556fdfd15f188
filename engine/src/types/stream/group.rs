//! Consumer groups: who was handed which entry, and has not yet acknowledged it.
//!
//! The entries that are pending are kept once, in the group, in order of their ids; each consumer has the ids of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::StreamId;

/// A consumer within its group.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was handed out and is not acknowledged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who has it.
    pub consumer: ConsumerId,
    /// When it was handed out last, in milliseconds since the epoch.
    pub delivered_at: i64,
    /// How often it was handed out.
    pub deliveries: u64,
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim, in milliseconds since the epoch.
    pub seen_at: i64,
    /// When it last got something, in milliseconds since the epoch; -1 when it never did.
    pub active_at: i64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Number of entries that it has to acknowledge.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids of these entries from `start` on, in order.
    pub fn pending_from(&self, start: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.range(start..).copied()
    }
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id of the last entry that was handed out.
    pub last_id: StreamId,
    /// Number of entries up to that one, as far as it is known.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    /// By [`ConsumerId`]; the places of those that are gone are taken again.
    consumers: Vec<Option<Consumer>>,
    free: Vec<u32>,
    names: BTreeMap<Box<[u8]>, u32>,
}

impl Group {
    /// A group that has handed out everything up to `last_id`.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Group {
            last_id,
            entries_read,
            pending: BTreeMap::new(),
            consumers: Vec::new(),
            free: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// Number of consumers.
    #[must_use]
    pub fn consumers_len(&self) -> usize {
        self.names.len()
    }

    /// Number of pending entries.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Number of allocations, about: what freeing it costs.
    #[must_use]
    pub fn parts(&self) -> usize {
        // The trees have several entries to an allocation.
        1 + 2 * self.consumers_len() + self.pending.len() / 3
    }

    /// Bytes taken from the allocator, about.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        // Nodes of the standard trees hold eleven entries and are seven tenths full, as a rule.
        fn tree(len: usize, bytes: usize) -> usize {
            (len * (bytes + 2)).div_ceil(7) * 10
        }
        let consumers = self.consumers.iter().flatten();
        tree(self.pending.len(), size_of::<(StreamId, Pending)>())
            + tree(self.names.len(), size_of::<(Box<[u8]>, u32)>())
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + consumers
                .map(|consumer| 2 * consumer.name.len() + tree(consumer.pending.len(), size_of::<StreamId>()))
                .sum::<usize>()
            + size_of::<Group>()
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.names.values().map(|&at| (ConsumerId(at), self.consumer(ConsumerId(at))))
    }

    /// A consumer by its name.
    #[must_use]
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied().map(ConsumerId)
    }

    /// A consumer of this group.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("a consumer of this group")
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// When it is none.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("a consumer of this group")
    }

    /// Adds a consumer that is seen at `now` for the first time; the name must be new.
    pub fn create_consumer(&mut self, name: &[u8], now: i64) -> ConsumerId {
        let consumer = Consumer { name: name.into(), seen_at: now, active_at: -1, pending: BTreeSet::new() };
        let at = match self.free.pop() {
            Some(at) => {
                self.consumers[at as usize] = Some(consumer);
                at
            }
            None => {
                self.consumers.push(Some(consumer));
                u32::try_from(self.consumers.len() - 1).expect("fewer than 2^32 consumers")
            }
        };
        self.names.insert(name.into(), at);
        ConsumerId(at)
    }

    /// Removes a consumer with its pending entries; returns how many those were, `None` when there is no such consumer.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let at = self.names.remove(name)?;
        let consumer = self.consumers[at as usize].take().expect("a consumer of this group");
        self.free.push(at);
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// What is known of a pending entry.
    #[must_use]
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// The first and the last pending entry.
    #[must_use]
    pub fn pending_ends(&self) -> Option<(StreamId, StreamId)> {
        Some((*self.pending.first_key_value()?.0, *self.pending.last_key_value()?.0))
    }

    /// The pending entries from `start` on, in order of their ids.
    pub fn pending_from(&self, start: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.pending.range(start..).map(|(&id, pending)| (id, pending))
    }

    /// The first pending entry after `id`.
    #[must_use]
    pub fn pending_after(&self, id: StreamId) -> Option<StreamId> {
        self.pending.range((Bound::Excluded(id), Bound::Unbounded)).next().map(|(&id, _)| id)
    }

    /// Makes an entry pending with this, whoever had it before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        match self.pending.insert(id, pending) {
            Some(before) if before.consumer == pending.consumer => return,
            Some(before) => {
                self.consumer_mut(before.consumer).pending.remove(&id);
            }
            None => {}
        }
        self.consumer_mut(pending.consumer).pending.insert(id);
    }

    /// Notes that an entry was handed out once more to whoever has it.
    pub fn deliver_again(&mut self, id: StreamId, now: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now;
            pending.deliveries = pending.deliveries.saturating_add(1);
        }
    }

    /// Removes an entry from those that are pending; false when it was none.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.consumer_mut(pending.consumer).pending.remove(&id);
        true
    }

    /// Panics unless group and consumers agree on what is pending.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut ids = Vec::new();
        for (id, consumer) in self.consumers() {
            assert_eq!(self.find_consumer(consumer.name()), Some(id));
            for entry in &consumer.pending {
                assert_eq!(self.pending[entry].consumer, id, "the group knows who has {entry}");
                ids.push(*entry);
            }
        }
        assert_eq!(ids.len(), self.pending.len());
    }
}
