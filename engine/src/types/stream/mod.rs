//! Streams: a log of entries, what is remembered of those that are gone, and consumer groups.

mod group;
mod parts;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

pub use crate::ds::stream::id::IdText;
pub use crate::ds::stream::log::{Cut, Keep, Limits};
pub use crate::ds::stream::{Entry, Fields, Log, StreamId};
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use parts::{ConsumerParts, GroupParts, PartsError, StreamMeta, StreamParts};

/// A stream. One pointer wide; derefs to [`Body`].
#[derive(Debug, Default)]
pub struct Stream(Box<Body>);

/// What a stream consists of.
#[derive(Clone, Debug, Default)]
pub struct Body {
    log: Log,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: Option<Box<Groups>>,
}

/// Groups by name, in the order of the names.
pub type Groups = BTreeMap<Box<[u8]>, Group>;

/// What XSETID may set.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The greatest id ever given out.
    pub last_id: StreamId,
    /// The greatest id that XDEL has deleted.
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

impl Deref for Stream {
    type Target = Body;
    #[inline]
    fn deref(&self) -> &Body {
        &self.0
    }
}

impl DerefMut for Stream {
    #[inline]
    fn deref_mut(&mut self) -> &mut Body {
        &mut self.0
    }
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of nothing but this group: to be dropped elsewhere.
    #[must_use]
    pub fn of_group(group: Group) -> Self {
        Stream(Box::new(Body { groups: Some(Box::new(Groups::from([(Box::default(), group)]))), ..Body::default() }))
    }

    /// The stream that consists of this.
    #[must_use]
    pub fn from_body(body: Box<Body>) -> Self {
        Stream(body)
    }

    /// What it consists of.
    #[must_use]
    pub fn into_body(self) -> Box<Body> {
        self.0
    }

    /// The same stream once more, groups included.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Stream(self.0.clone())
    }
}

/// What becomes of the groups' references to entries that are deleted.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum References {
    /// They stay: KEEPREF.
    #[default]
    Keep,
    /// They go, too: DELREF.
    Drop,
    /// Entries that are referred to are not deleted: ACKED.
    Acked,
}

impl Body {
    /// The entries.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.log.len()
    }

    /// Whether there is no entry. An empty stream stays in the keyspace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The greatest id ever given out.
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The id of the first entry; `0-0` when there is none.
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The greatest id that XDEL has deleted; `0-0` when none.
    #[must_use]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Entries ever added.
    #[must_use]
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of allocations, about: what freeing it costs.
    #[must_use]
    pub fn parts(&self) -> usize {
        1 + self.log.nodes_len() + self.groups().map(|(_, group)| group.parts()).sum::<usize>()
    }

    /// Bytes taken from the allocator, besides the body itself. Extrapolated from `samples` nodes; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        self.log.memory_usage(samples)
            + self.groups().map(|(name, group)| name.len() + group.memory_usage()).sum::<usize>()
    }

    /// Appends an entry; false when its id is not greater than the last one. `fields` are fields and values in turn.
    pub fn append(&mut self, id: StreamId, fields: &[&[u8]], limits: Limits) -> bool {
        if id <= self.last_id {
            return false;
        }
        if self.log.is_empty() {
            self.first_id = id;
        }
        self.log.push(id, fields, limits);
        self.last_id = id;
        self.entries_added += 1;
        true
    }

    /// Deletes an entry; false when there is none.
    pub fn delete(&mut self, id: StreamId) -> bool {
        if !self.log.delete(id) {
            return false;
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first_id();
        }
        true
    }

    /// Cuts entries off at the front; returns how many.
    pub fn trim(&mut self, keep: Keep, cut: Cut) -> u64 {
        let removed = self.log.trim(keep, cut);
        if removed > 0 {
            self.find_first_id();
        }
        removed
    }

    /// Cuts entries off at the front, as far as groups that refer to them allow it; returns how many.
    pub fn trim_referenced(&mut self, keep: Keep, cut: Cut, references: References) -> u64 {
        if references == References::Keep || self.groups.is_none() {
            return self.trim(keep, cut);
        }
        let removed = match (references, cut) {
            (References::Drop, _) => {
                let mut gone = Vec::new();
                let removed = self.log.trim_until(keep, cut, StreamId::MAX, Some(&mut |id| gone.push(id)));
                for id in gone {
                    self.drop_references(id);
                }
                removed
            }
            (_, Cut::Nodes { .. }) => {
                let first = self.first_referenced();
                self.log.trim_until(keep, cut, first.unwrap_or(StreamId::MAX), None)
            }
            (_, Cut::Exact) => self.trim_acknowledged(keep),
        };
        if removed > 0 {
            self.find_first_id();
        }
        removed
    }

    /// Deletes entries that are not to be kept and that no group has still to read or to acknowledge, wherever they are.
    fn trim_acknowledged(&mut self, keep: Keep) -> u64 {
        let (excess, end) = match keep {
            Keep::Last(count) => (self.len().saturating_sub(count), StreamId::MAX),
            Keep::From(id) => (u64::MAX, id.prev().unwrap_or(StreamId::MIN)),
        };
        let (mut goes, mut max_deleted_id, mut kept) = (Vec::new(), self.max_deleted_id, false);
        for entry in self.log.range(StreamId::MIN, end) {
            if goes.len() as u64 >= excess {
                break;
            }
            if self.is_referenced(entry.id) {
                kept = true;
                continue;
            }
            goes.push(entry.id);
            if kept {
                // A hole, not an end.
                max_deleted_id = max_deleted_id.max(entry.id);
            }
        }
        self.max_deleted_id = max_deleted_id;
        goes.iter().filter(|&&id| self.log.delete(id)).count() as u64
    }

    /// Whether a group has still to read the entry, or a consumer to acknowledge it.
    #[must_use]
    pub fn is_referenced(&self, id: StreamId) -> bool {
        self.groups().any(|(_, group)| id > group.last_id || group.pending(id).is_some())
    }

    /// The first entry that some group has still to read, or one of its consumers to acknowledge.
    fn first_referenced(&self) -> Option<StreamId> {
        let first_of = |group: &Group| {
            let unread = group.last_id.next().and_then(|next| self.log.range(next, StreamId::MAX).next());
            let pending = group.pending_from(self.first_id).map(|(id, _)| id).find(|&id| self.log.get(id).is_some());
            unread.map(|entry| entry.id).into_iter().chain(pending).min()
        };
        self.groups().filter_map(|(_, group)| first_of(group)).min()
    }

    /// Lets no consumer of any group have the entry any longer. Answers whether one had it.
    pub fn drop_references(&mut self, id: StreamId) -> bool {
        let mut had = false;
        for group in self.groups.iter_mut().flat_map(|groups| groups.values_mut()) {
            had |= group.acknowledge(id);
        }
        had
    }

    fn find_first_id(&mut self) {
        self.first_id = self.log.first().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Lets the groups' counts of what they have read follow from their last ids.
    fn estimate_entries_read(&mut self) {
        let Some(mut groups) = self.groups.take() else { return };
        let view = self.view();
        groups.values_mut().for_each(|group| group.entries_read = view.entries_up_to(group.last_id));
        self.groups = Some(groups);
    }

    /// Changes what is remembered besides the entries; the caller has checked that it fits them.
    pub fn set_meta(&mut self, meta: Meta) {
        let Meta { last_id, max_deleted_id, entries_added } = meta;
        (self.last_id, self.max_deleted_id, self.entries_added) = (last_id, max_deleted_id, entries_added);
    }

    /// Number of groups.
    #[must_use]
    pub fn groups_len(&self) -> usize {
        self.groups.as_ref().map_or(0, |groups| groups.len())
    }

    /// The groups, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.groups.iter().flat_map(|groups| groups.iter()).map(|(name, group)| (&**name, group))
    }

    /// A group by its name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.as_ref()?.get(name)
    }

    /// A group by its name, to be changed, beside what it refers to.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<(&mut Group, View<'_>)> {
        let Body { log, last_id, first_id, max_deleted_id, entries_added, groups } = self;
        let group = groups.as_mut()?.get_mut(name)?;
        let view = View {
            log,
            last_id: *last_id,
            first_id: *first_id,
            max_deleted_id: *max_deleted_id,
            entries_added: *entries_added,
        };
        Some((group, view))
    }

    /// Adds a group; false when there is one of this name.
    pub fn create_group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        if self.group(name).is_some() {
            return false;
        }
        self.groups.get_or_insert_default().insert(name.into(), Group::new(last_id, entries_read));
        true
    }

    /// Removes a group with all it knows.
    pub fn destroy_group(&mut self, name: &[u8]) -> Option<Group> {
        let groups = self.groups.as_mut()?;
        let group = groups.remove(name);
        if groups.is_empty() {
            self.groups = None;
        }
        group
    }

    /// The stream without its groups.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            log: &self.log,
            last_id: self.last_id,
            first_id: self.first_id,
            max_deleted_id: self.max_deleted_id,
            entries_added: self.entries_added,
        }
    }
}

/// A stream without its groups, to be read while one of them is changed.
#[derive(Copy, Clone, Debug)]
pub struct View<'a> {
    /// The entries.
    pub log: &'a Log,
    /// The greatest id ever given out.
    pub last_id: StreamId,
    /// The id of the first entry; `0-0` when there is none.
    pub first_id: StreamId,
    /// The greatest id that XDEL has deleted; `0-0` when none.
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

impl View<'_> {
    /// Whether XDEL may have left a hole behind `after`: then nobody can tell how many entries follow it.
    fn has_hole_from(&self, after: StreamId) -> bool {
        !self.log.is_empty()
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && after <= self.max_deleted_id
    }

    /// How many entries had been added when `id` was, itself included; `None` when that cannot be told.
    fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.log.is_empty() {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        // Without holes among those that are left, counting from the first one works.
        let whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let before_first = self.entries_added.saturating_sub(self.log.len());
        match id.cmp(&self.first_id) {
            _ if !whole => None,
            std::cmp::Ordering::Less => Some(before_first),
            std::cmp::Ordering::Equal => Some(before_first + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries a group has still to read; `None` when that cannot be told.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 || self.log.is_empty() {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if group.last_id >= self.first_id && !self.has_hole_from(group.last_id) => Some(read),
            _ => self.entries_up_to(group.last_id),
        };
        read.map(|read| self.entries_added.wrapping_sub(read))
    }

    /// The count of entries read by a group, once it has been handed the entry `id`.
    #[must_use]
    pub fn entries_read_at(&self, group: &Group, id: StreamId) -> Option<u64> {
        match group.entries_read {
            Some(read) if group.last_id >= self.first_id && !self.has_hole_from(group.last_id) => Some(read + 1),
            _ if self.entries_added > 0 => self.entries_up_to(id),
            before => before,
        }
    }
}

#[cfg(test)]
mod tests;
