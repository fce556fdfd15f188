//! The nodes of the tree: leaves with their links, and inner nodes with first members and counts.

use std::ptr;

use super::{ADDRESS_BITS, INNER_MAX, LEAF_MAX, MERGE_SLACK, Place, order_key};
use crate::ds::zmember::ZRef;

/// A leaf: references in order, and links to both neighbours.
pub(super) struct Leaf {
    /// Left neighbour; the high 16 bits hold the number of references.
    pub(super) prev_and_len: *mut Leaf,
    pub(super) next: *mut Leaf,
    pub(super) slots: [ZRef; LEAF_MAX],
}

impl Leaf {
    pub(super) fn new() -> *mut Leaf {
        Box::into_raw(Box::new(Leaf {
            prev_and_len: ptr::null_mut(),
            next: ptr::null_mut(),
            slots: [ZRef::NONE; LEAF_MAX],
        }))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.prev_and_len.addr() >> ADDRESS_BITS
    }

    pub(super) fn set_len(&mut self, len: usize) {
        debug_assert!(len <= LEAF_MAX);
        self.prev_and_len = self.prev().map_addr(|address| address | len << ADDRESS_BITS);
    }

    #[inline]
    pub(super) fn prev(&self) -> *mut Leaf {
        self.prev_and_len.map_addr(|address| address & ((1 << ADDRESS_BITS) - 1))
    }

    pub(super) fn set_prev(&mut self, prev: *mut Leaf) {
        debug_assert!(prev.addr() >> ADDRESS_BITS == 0, "user addresses fit 48 bits");
        let len = self.len();
        self.prev_and_len = prev.map_addr(|address| address | len << ADDRESS_BITS);
    }

    #[inline]
    pub(super) fn members(&self) -> &[ZRef] {
        &self.slots[..self.len()]
    }

    pub(super) fn insert(&mut self, index: usize, member: ZRef) {
        let len = self.len();
        self.slots.copy_within(index..len, index + 1);
        self.slots[index] = member;
        self.set_len(len + 1);
    }

    pub(super) fn remove(&mut self, index: usize, count: usize) {
        let len = self.len();
        self.slots.copy_within(index + count..len, index);
        self.set_len(len - count);
    }

    /// Number of members before `place`.
    #[inline]
    pub(super) fn partition(&self, place: &impl Place) -> usize {
        self.members().partition_point(|member| place.before(order_key(member.score()), *member))
    }
}

/// An inner node; index `i` of every array describes child `i`.
pub(super) struct Inner {
    pub(super) len: usize,
    /// Score key of the child's first member.
    pub(super) keys: [u64; INNER_MAX],
    /// The child's first member.
    pub(super) firsts: [ZRef; INNER_MAX],
    /// Members below the child.
    pub(super) counts: [u64; INNER_MAX],
    pub(super) children: [*mut u8; INNER_MAX],
}

/// One child of an inner node, with what its parent knows of it.
#[derive(Clone, Copy)]
pub(super) struct Child {
    pub(super) key: u64,
    pub(super) first: ZRef,
    pub(super) count: u64,
    pub(super) node: *mut u8,
}

impl Inner {
    pub(super) fn new() -> *mut Inner {
        Box::into_raw(Box::new(Inner {
            len: 0,
            keys: [0; INNER_MAX],
            firsts: [ZRef::NONE; INNER_MAX],
            counts: [0; INNER_MAX],
            children: [ptr::null_mut(); INNER_MAX],
        }))
    }

    pub(super) fn insert(&mut self, index: usize, child: Child) {
        let len = self.len;
        self.keys.copy_within(index..len, index + 1);
        self.firsts.copy_within(index..len, index + 1);
        self.counts.copy_within(index..len, index + 1);
        self.children.copy_within(index..len, index + 1);
        self.keys[index] = child.key;
        self.firsts[index] = child.first;
        self.counts[index] = child.count;
        self.children[index] = child.node;
        self.len = len + 1;
    }

    pub(super) fn remove(&mut self, index: usize) {
        let len = self.len;
        self.keys.copy_within(index + 1..len, index);
        self.firsts.copy_within(index + 1..len, index);
        self.counts.copy_within(index + 1..len, index);
        self.children.copy_within(index + 1..len, index);
        self.len = len - 1;
    }

    /// Makes room for, and copies in, `other[from..from + count]` at `at`.
    pub(super) fn insert_many(&mut self, at: usize, other: &Inner, from: usize, count: usize) {
        let len = self.len;
        self.keys.copy_within(at..len, at + count);
        self.firsts.copy_within(at..len, at + count);
        self.counts.copy_within(at..len, at + count);
        self.children.copy_within(at..len, at + count);
        let (to, from) = (at..at + count, from..from + count);
        self.keys[to.clone()].copy_from_slice(&other.keys[from.clone()]);
        self.firsts[to.clone()].copy_from_slice(&other.firsts[from.clone()]);
        self.counts[to.clone()].copy_from_slice(&other.counts[from.clone()]);
        self.children[to].copy_from_slice(&other.children[from]);
        self.len = len + count;
    }

    pub(super) fn remove_front(&mut self, count: usize) {
        let len = self.len;
        self.keys.copy_within(count..len, 0);
        self.firsts.copy_within(count..len, 0);
        self.counts.copy_within(count..len, 0);
        self.children.copy_within(count..len, 0);
        self.len = len - count;
    }

    pub(super) fn count(&self) -> u64 {
        self.counts[..self.len].iter().sum()
    }

    /// The child in which `place` lies: the last one whose first member is before it, else the first child.
    #[inline]
    pub(super) fn partition(&self, place: &impl Place) -> usize {
        let (mut low, mut high) = (1, self.len);
        while low < high {
            let middle = (low + high) / 2;
            if place.before(self.keys[middle], self.firsts[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }
}

/// The node behind a pointer that a tree holds.
///
/// Private to this file, whose invariant makes it sound: a node pointer is read out of a live tree by a method that has
/// borrowed that tree, and a node is freed only when its pointer has left the tree.
#[inline]
pub(super) fn at<'a, T>(node: *mut T) -> &'a T {
    debug_assert!(!node.is_null());
    #[expect(unsafe_code, reason = "the tree's own nodes")]
    // SAFETY: see above; nodes come from `Box::into_raw` and stay until `free`.
    unsafe {
        &*node
    }
}

/// As [`at`], for changing: the caller has the tree borrowed mutably, and holds no other reference to this node.
#[inline]
pub(super) fn at_mut<'a, T>(node: *mut T) -> &'a mut T {
    debug_assert!(!node.is_null());
    #[expect(unsafe_code, reason = "the tree's own nodes")]
    // SAFETY: see above.
    unsafe {
        &mut *node
    }
}

/// Frees a node whose pointer has left the tree.
pub(super) fn free<T>(node: *mut T) {
    #[expect(unsafe_code, reason = "the tree's own nodes")]
    // SAFETY: from `Box::into_raw` of the same type, and nothing refers to it any more.
    drop(unsafe { Box::from_raw(node) });
}

/// Where a member stands in its leaf. Comparing references touches no member.
#[inline]
pub(super) fn position(leaf: &Leaf, member: ZRef) -> usize {
    leaf.members().iter().position(|slot| *slot == member).expect("the descent ends in the member's leaf")
}

/// The child that holds the member of rank `rest`, which becomes the rank within that child.
#[inline]
pub(super) fn child_of_rank(inner: &Inner, rest: &mut u64) -> usize {
    let mut index = 0;
    while *rest >= inner.counts[index] {
        *rest -= inner.counts[index];
        index += 1;
    }
    debug_assert!(index < inner.len);
    index
}

pub(super) fn first_of(leaf: *mut Leaf) -> Option<ZRef> {
    if leaf.is_null() { None } else { Some(at(leaf).slots[0]) }
}

pub(super) fn last_of(leaf: *mut Leaf) -> Option<ZRef> {
    if leaf.is_null() { None } else { at(leaf).members().last().copied() }
}

/// Splits a full leaf for an insertion at `index` and returns the new right one, which may be empty until then.
pub(super) fn split_leaf(leaf: *mut Leaf, index: usize) -> *mut Leaf {
    let right = Leaf::new();
    let next = at(leaf).next;
    // Ascending input leaves full leaves behind; so does descending input, at the other end.
    let split = if index == LEAF_MAX && next.is_null() {
        LEAF_MAX
    } else if index == 0 && at(leaf).prev().is_null() {
        1
    } else {
        LEAF_MAX / 2
    };
    let moved = LEAF_MAX - split;
    at_mut(right).slots[..moved].copy_from_slice(&at(leaf).slots[split..]);
    at_mut(right).set_len(moved);
    at_mut(leaf).set_len(split);
    at_mut(right).set_prev(leaf);
    at_mut(right).next = next;
    at_mut(leaf).next = right;
    if !next.is_null() {
        at_mut(next).set_prev(right);
    }
    right
}

pub(super) fn unlink(leaf: *mut Leaf) {
    let (prev, next) = (at(leaf).prev(), at(leaf).next);
    if !prev.is_null() {
        at_mut(prev).next = next;
    }
    if !next.is_null() {
        at_mut(next).set_prev(prev);
    }
}

/// The left one of the pair (child `index`, a neighbour) in a parent; none when the child is alone.
pub(super) fn pair_of(parent: &Inner, index: usize) -> Option<usize> {
    if parent.len < 2 {
        None
    } else if index + 1 < parent.len {
        Some(index)
    } else {
        Some(index - 1)
    }
}

/// Merges the leaf at `index` with a neighbour, or shares their members evenly. True when the parent lost a child.
pub(super) fn level_leaves(parent: &mut Inner, index: usize) -> bool {
    let Some(left) = pair_of(parent, index) else { return false };
    let right = left + 1;
    let (a, b): (*mut Leaf, *mut Leaf) = (parent.children[left].cast(), parent.children[right].cast());
    let (a_len, b_len) = (at(a).len(), at(b).len());
    if a_len + b_len <= LEAF_MAX - MERGE_SLACK {
        at_mut(a).slots[a_len..a_len + b_len].copy_from_slice(at(b).members());
        at_mut(a).set_len(a_len + b_len);
        unlink(b);
        free(b);
        parent.counts[left] += parent.counts[right];
        parent.remove(right);
        return true;
    }
    let half = (a_len + b_len) / 2;
    if a_len < half {
        let moved = half - a_len;
        at_mut(a).slots[a_len..half].copy_from_slice(&at(b).slots[..moved]);
        at_mut(a).set_len(half);
        at_mut(b).remove(0, moved);
    } else {
        let moved = a_len - half;
        at_mut(b).slots.copy_within(..b_len, moved);
        at_mut(b).slots[..moved].copy_from_slice(&at(a).slots[half..a_len]);
        at_mut(b).set_len(b_len + moved);
        at_mut(a).set_len(half);
    }
    let first = at(b).slots[0];
    parent.counts[left] = at(a).len() as u64;
    parent.counts[right] = at(b).len() as u64;
    parent.keys[right] = order_key(first.score());
    parent.firsts[right] = first;
    false
}

/// As [`level_leaves`], for the inner node at `index`.
pub(super) fn level_inner(parent: &mut Inner, index: usize) -> bool {
    let Some(left) = pair_of(parent, index) else { return false };
    let right = left + 1;
    let (a, b): (*mut Inner, *mut Inner) = (parent.children[left].cast(), parent.children[right].cast());
    let (a_len, b_len) = (at(a).len, at(b).len);
    if a_len + b_len <= INNER_MAX - MERGE_SLACK {
        at_mut(a).insert_many(a_len, at(b), 0, b_len);
        free(b);
        parent.counts[left] += parent.counts[right];
        parent.remove(right);
        return true;
    }
    let half = (a_len + b_len) / 2;
    if a_len < half {
        let moved = half - a_len;
        at_mut(a).insert_many(a_len, at(b), 0, moved);
        at_mut(b).remove_front(moved);
    } else {
        at_mut(b).insert_many(0, at(a), half, a_len - half);
        at_mut(a).len = half;
    }
    parent.counts[left] = at(a).count();
    parent.counts[right] = at(b).count();
    parent.keys[right] = at(b).keys[0];
    parent.firsts[right] = at(b).firsts[0];
    false
}
