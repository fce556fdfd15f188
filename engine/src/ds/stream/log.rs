//! The nodes of a stream in order.
//!
//! Records of 24 bytes in a deque: appending and dropping nodes at the front are O(1), an id is found by two binary
//! searches, one of them within a node. A node in the middle goes only when all its entries are deleted; moving the records
//! behind it then costs a fraction of a microsecond for a million entries.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::id::StreamId;
use super::node::{self, Entry, Place, Walk};
use crate::ds::listpack::{LISTPACK_MAX_SAFETY_LIMIT, Listpack};

/// How large a node may become.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// `stream-node-max-bytes`; 0 is no limit but that of listpacks.
    pub bytes: usize,
    /// `stream-node-max-entries`, deleted ones included; 0 is no limit.
    pub entries: usize,
}

impl Limits {
    fn bytes_max(self) -> usize {
        match self.bytes {
            0 => LISTPACK_MAX_SAFETY_LIMIT,
            bytes => bytes.min(LISTPACK_MAX_SAFETY_LIMIT),
        }
    }
}

/// A node and its id, which is that of the first entry put into it.
#[derive(Clone, Debug)]
struct Node {
    first: StreamId,
    pack: Listpack,
}

impl Node {
    fn walk(&self) -> Walk<'_> {
        Walk::from_start(self.first, &self.pack)
    }

    fn walk_back(&self) -> Walk<'_> {
        Walk::from_end(self.first, &self.pack)
    }
}

/// What is to be cut off at the front.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All but the last so many entries.
    Last(u64),
    /// The entries before this id.
    From(StreamId),
}

/// How exactly it is to be cut off.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// To the entry.
    Exact,
    /// Whole nodes only, and at most so many entries (`u64::MAX`: any number).
    Nodes {
        /// Most entries to remove.
        limit: u64,
    },
}

/// Entries in order of their ids.
#[derive(Clone, Default)]
pub struct Log {
    nodes: VecDeque<Node>,
    len: u64,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes: id and listpack.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (StreamId, &Listpack)> + DoubleEndedIterator {
        self.nodes.iter().map(|node| (node.first, &node.pack))
    }

    /// Bytes taken from the allocator. Extrapolated from `samples` nodes; 0 looks at all.
    #[must_use]
    pub fn memory_usage(&self, samples: usize) -> usize {
        let records = self.nodes.capacity() * size_of::<Node>();
        let wanted = if samples == 0 { self.nodes.len() } else { samples.min(self.nodes.len()) };
        if wanted == 0 {
            return records;
        }
        // The last node is being filled: it stands for itself.
        let last = self.nodes.back().map_or(0, |node| node.pack.memory_usage());
        let (full, wanted) = (self.nodes.len() - 1, (wanted - 1).max(1));
        let bytes: usize = self.nodes.iter().take(full.min(wanted)).map(|node| node.pack.memory_usage()).sum();
        let full_bytes = if full <= wanted { bytes } else { (bytes as u128 * full as u128 / wanted as u128) as usize };
        records + last + full_bytes
    }

    /// Appends an entry. Its id must be greater than that of any entry put in before.
    pub fn push(&mut self, id: StreamId, fields: &[&[u8]], limits: Limits) {
        self.len += 1;
        if let Some(node) = self.nodes.back_mut() {
            let bytes: usize = fields.iter().map(|word| word.len()).sum();
            let (live, deleted) = node::counts(&node.pack);
            let full = node.pack.bytes().saturating_add(bytes) >= limits.bytes_max()
                || (limits.entries != 0 && live + deleted >= limits.entries);
            if !full {
                return node::append(node.first, &mut node.pack, id, fields);
            }
        }
        self.nodes.push_back(Node { first: id, pack: node::create(fields) });
    }

    /// Appends a node as it comes from a file, with so many live entries; whoever does so has checked it
    /// ([`node::validate`]) and the order of the nodes.
    pub(crate) fn push_node(&mut self, first: StreamId, pack: Listpack, live: u64) {
        self.nodes.push_back(Node { first, pack });
        self.len += live;
    }

    /// Index of the node in which `id` lies, if it does: the last one that begins at or before it.
    fn node_of(&self, id: StreamId) -> Option<usize> {
        self.nodes.partition_point(|node| node.first <= id).checked_sub(1)
    }

    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The first entry.
    #[must_use]
    pub fn first(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }

    /// The entries from `start` to `end`, both included.
    #[must_use]
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        let node = self.node_of(start).unwrap_or(0);
        Range { log: self, node, walk: self.nodes.get(node).map(Node::walk), start, end }
    }

    /// The same from the last to the first.
    #[must_use]
    pub fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        let node = self.node_of(end);
        RangeBack { log: self, node: node.unwrap_or(0), walk: node.map(|at| self.nodes[at].walk_back()), start, end }
    }

    /// Deletes the entry with this id; false when there is none.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(index) = self.node_of(id) else { return false };
        let node = &mut self.nodes[index];
        let mut walk = node.walk();
        let found = loop {
            match walk.next_entry() {
                Some(entry) if entry.deleted || entry.id < id => {}
                Some(entry) if entry.id == id => break entry.place(),
                _ => return false,
            }
        };
        if node::counts(&node.pack).0 <= 1 {
            self.nodes.remove(index);
        } else {
            node::delete(&mut node.pack, &[found]);
        }
        self.len -= 1;
        true
    }

    /// Cuts entries off at the front; returns how many.
    pub fn trim(&mut self, keep: Keep, cut: Cut) -> u64 {
        self.trim_until(keep, cut, StreamId::MAX, None)
    }

    /// The same, where whole nodes go only if their entries lie before `until`. `gone` is told each entry that goes.
    pub fn trim_until(
        &mut self,
        keep: Keep,
        cut: Cut,
        until: StreamId,
        mut gone: Option<&mut dyn FnMut(StreamId)>,
    ) -> u64 {
        let mut removed = 0;
        while let Some(node) = self.nodes.front() {
            if matches!(keep, Keep::Last(count) if self.len <= count) {
                break;
            }
            let live = node::counts(&node.pack).0 as u64;
            if matches!(cut, Cut::Nodes { limit } if removed + live > limit) {
                break;
            }
            let ends_before = |id: StreamId| node.walk_back().prev_entry().is_none_or(|last| last.id < id);
            let whole = match keep {
                Keep::Last(count) => self.len - live >= count,
                // Deleted entries count: so Redis decides, and approximate cuts come out the same.
                Keep::From(id) => ends_before(id),
            };
            if whole && (until == StreamId::MAX || ends_before(until)) {
                if let Some(gone) = &mut gone {
                    let mut walk = node.walk();
                    while let Some(entry) = walk.next_entry() {
                        if !entry.deleted {
                            gone(entry.id);
                        }
                    }
                }
                self.nodes.pop_front();
                self.len -= live;
                removed += live;
                continue;
            }
            if cut == Cut::Exact {
                removed += self.trim_first_node(keep, gone);
            }
            break;
        }
        removed
    }

    /// Deletes the entries of the first node that are not to be kept.
    fn trim_first_node(&mut self, keep: Keep, mut gone: Option<&mut dyn FnMut(StreamId)>) -> u64 {
        let excess = match keep {
            Keep::Last(count) => self.len - count,
            Keep::From(_) => u64::MAX,
        };
        let Some(node) = self.nodes.front_mut() else { return 0 };
        let (mut places, mut walk) = (SmallVec::<[Place; 128]>::new(), node.walk());
        while let Some(entry) = walk.next_entry() {
            if entry.deleted {
                continue;
            }
            if matches!(keep, Keep::From(id) if entry.id >= id) || places.len() as u64 >= excess {
                break;
            }
            places.push(entry.place());
            if let Some(gone) = &mut gone {
                gone(entry.id);
            }
        }
        if node::counts(&node.pack).0 == places.len() {
            self.nodes.pop_front();
        } else {
            node::delete(&mut node.pack, &places);
        }
        self.len -= places.len() as u64;
        places.len() as u64
    }

    /// Calls `f` with the entries from `start` to `end` until it breaks off.
    pub fn try_for_range<'a, B>(
        &'a self,
        start: StreamId,
        end: StreamId,
        f: impl FnMut(Entry<'a>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.range(start, end).try_for_each(f)
    }

    /// Panics unless the nodes are well-formed, in order, and as many as is counted.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut len = 0;
        let mut last = None;
        for node in &self.nodes {
            assert!(last.is_none_or(|last| last < node.first), "nodes ascend");
            let checked = node::validate(node.first, node.pack.as_bytes()).expect("a node");
            assert!(checked.live > 0, "a node without live entries goes");
            len += checked.live;
            last = Some(checked.last);
        }
        assert_eq!(len, self.len);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("len", &self.len).field("nodes", &self.nodes.len()).finish()
    }
}

/// Entries from the first to the last; see [`Log::range`].
#[derive(Clone, Debug)]
pub struct Range<'a> {
    log: &'a Log,
    node: usize,
    walk: Option<Walk<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            match self.walk.as_mut()?.next_entry() {
                Some(entry) if entry.deleted || entry.id < self.start => {}
                Some(entry) if entry.id > self.end => self.walk = None,
                Some(entry) => return Some(entry),
                None => {
                    self.node += 1;
                    self.walk = self.log.nodes.get(self.node).map(Node::walk);
                }
            }
        }
    }
}

/// Entries from the last to the first; see [`Log::range_back`].
#[derive(Clone, Debug)]
pub struct RangeBack<'a> {
    log: &'a Log,
    node: usize,
    walk: Option<Walk<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            match self.walk.as_mut()?.prev_entry() {
                Some(entry) if entry.deleted || entry.id > self.end => {}
                Some(entry) if entry.id < self.start => self.walk = None,
                Some(entry) => return Some(entry),
                None => match self.node.checked_sub(1) {
                    Some(before) => {
                        self.node = before;
                        self.walk = self.log.nodes.get(before).map(Node::walk_back);
                    }
                    None => self.walk = None,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
