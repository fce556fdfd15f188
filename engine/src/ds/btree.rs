//! A B+ tree over sorted-set members with a count beside every child, so that rank and select cost one descent.
//!
//! The order is (score, member bytes). The tree stores references only: the members themselves belong to the member
//! table of [`SortedSet`](super::sorted_set::SortedSet), which keeps one in place for as long as the tree refers to it.
//!
//! * A leaf is 256 bytes: 30 references and two links to its neighbours (the fill count rides in a link's high bits).
//! * An inner node carries, per child, the score and the reference of the child's first member. A descent therefore
//!   compares scores that lie side by side, and follows a reference only where scores are equal.
//! * Appending at either end splits unevenly, so that ascending and descending input fills the leaves completely.
//!
//! Nodes are allowed to run below half full: a node is merged or levelled with a neighbour when it falls below a third,
//! and the only hard rule is that no node is empty. Height grows only by splitting a full root.

use std::ptr;

use super::zmember::ZRef;

mod iter;
mod node;
mod place;

use node::{
    Child, Inner, Leaf, at, at_mut, child_of_rank, first_of, free, last_of, level_inner, level_leaves, position,
    split_leaf, unlink,
};
use place::{AfterPair, compare};

pub(crate) use iter::{Backward, Forward};
pub(crate) use place::{AtName, AtScore, Place, order_key};

/// References in a leaf: two links and 30 references make 256 bytes, a size class of the allocator.
const LEAF_MAX: usize = 30;
/// A leaf that falls below this is merged or levelled with a neighbour.
const LEAF_MIN: usize = 10;
/// Children of an inner node: 31 × 32 bytes and the length fit the 1024-byte size class.
const INNER_MAX: usize = 31;
/// An inner node that falls below this is merged or levelled with a neighbour.
const INNER_MIN: usize = 10;
/// A merge leaves this much room, so that the next insertion does not split again.
const MERGE_SLACK: usize = 4;
/// Levels of inner nodes: even with only eight children a node this is more than 2^64 members.
const HEIGHT_MAX: usize = 24;
/// Bits of a link that hold the address; the others hold the fill count.
const ADDRESS_BITS: u32 = 48;
/// How many references ahead of an iterator members are fetched into the cache.
const PREFETCH_AHEAD: usize = 6;

const _: () = assert!(size_of::<Leaf>() == 256 && size_of::<Inner>() <= 1024);

/// The way from the root to a leaf: inner nodes with the index of the child taken.
struct Path {
    steps: [(*mut Inner, usize); HEIGHT_MAX],
    len: usize,
}

impl Path {
    fn new() -> Self {
        Path { steps: [(ptr::null_mut(), 0); HEIGHT_MAX], len: 0 }
    }

    #[inline]
    fn push(&mut self, node: *mut Inner, index: usize) {
        self.steps[self.len] = (node, index);
        self.len += 1;
    }
}

/// A member's place, or a place between two members: the leaf and the index in it.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    leaf: *mut Leaf,
    index: usize,
}

/// Counted B+ tree of references to sorted-set members.
pub(crate) struct Tree {
    /// A leaf when `height` is 0, else an inner node; null when the tree is empty.
    root: *mut u8,
    height: usize,
    len: usize,
}

#[expect(unsafe_code, reason = "a tree owns its nodes alone; none is shared with another thread")]
// SAFETY: nodes are reachable through this tree only; the members referred to are plain bytes (see `ZRef`).
unsafe impl Send for Tree {}

impl Tree {
    pub(crate) const fn new() -> Self {
        Tree { root: ptr::null_mut(), height: 0, len: 0 }
    }

    /// Number of members.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a member at its place in the order.
    ///
    /// The caller keeps the member alive and unchanged until it is removed (its score changes through
    /// [`rescore`](Self::rescore) only), and has no equal (score, name) pair in the tree.
    pub(crate) fn insert(&mut self, member: ZRef) {
        let key = order_key(member.score());
        if self.root.is_null() {
            return self.plant(member);
        }
        let place = AfterPair { key, name: member.name() };
        let mut path = Path::new();
        let leaf = self.descend_counting(&place, &mut path);
        let index = at(leaf).partition(&place);
        self.insert_at(&mut path, leaf, index, member);
    }

    /// Adds a member that is greater than all others; for loading ordered input.
    pub(crate) fn push_last(&mut self, member: ZRef) {
        if self.root.is_null() {
            return self.plant(member);
        }
        let mut path = Path::new();
        let mut node = self.root;
        for _ in 0..self.height {
            let inner: *mut Inner = node.cast();
            let last = at(inner).len - 1;
            at_mut(inner).counts[last] += 1;
            path.push(inner, last);
            node = at(inner).children[last];
        }
        let leaf: *mut Leaf = node.cast();
        let index = at(leaf).len();
        debug_assert!(compare(at(leaf).slots[index - 1], member.score(), member.name()).is_lt());
        self.insert_at(&mut path, leaf, index, member);
    }

    /// Removes a member that is in the tree.
    pub(crate) fn remove(&mut self, member: ZRef) {
        let mut path = Path::new();
        let (leaf, index) = self.locate(member, &mut path);
        self.remove_at(&mut path, leaf, index, 1);
    }

    /// Gives a member that is in the tree another score: in place when the order holds, else by moving the reference.
    pub(crate) fn rescore(&mut self, member: ZRef, score: f64) {
        let mut path = Path::new();
        let (leaf, index) = self.locate(member, &mut path);
        let node = at(leaf);
        let left = if index > 0 { Some(node.slots[index - 1]) } else { last_of(node.prev()) };
        let right = if index + 1 < node.len() { Some(node.slots[index + 1]) } else { first_of(node.next) };
        let name = member.name();
        let holds = left.is_none_or(|left| compare(left, score, name).is_lt())
            && right.is_none_or(|right| compare(right, score, name).is_gt());
        if holds {
            member.set_score(score);
            if index == 0 {
                Self::set_first(&path, path.len, order_key(score), member);
            }
        } else {
            self.remove_at(&mut path, leaf, index, 1);
            member.set_score(score);
            self.insert(member);
        }
    }

    /// Removes `count` members from `rank` on and hands each to `removed` after it has left the tree.
    pub(crate) fn remove_range(&mut self, rank: usize, count: usize, mut removed: impl FnMut(ZRef)) {
        assert!(rank <= self.len && count <= self.len - rank, "range within the set");
        let mut left = count;
        let mut batch = [ZRef::NONE; LEAF_MAX];
        // A leaf at a time: the descent is shared by up to 30 members, so the range costs little beyond its length.
        while left > 0 {
            let mut path = Path::new();
            let (leaf, index) = self.descend_rank(rank, &mut path);
            let take = left.min(at(leaf).len() - index);
            batch[..take].copy_from_slice(&at(leaf).slots[index..index + take]);
            self.remove_at(&mut path, leaf, index, take);
            left -= take;
            batch[..take].iter().for_each(|member| removed(*member));
        }
    }

    /// How many members are less than `member`, which is in the tree.
    pub(crate) fn rank(&self, member: ZRef) -> usize {
        let place = AfterPair { key: order_key(member.score()), name: member.name() };
        let mut node = self.root;
        let mut rank = 0;
        for _ in 0..self.height {
            let inner = at::<Inner>(node.cast());
            let index = inner.partition(&place);
            rank += inner.counts[..index].iter().sum::<u64>();
            node = inner.children[index];
        }
        rank as usize + position(at(node.cast()), member)
    }

    /// How many members lie before `place`.
    pub(crate) fn count_before(&self, place: &impl Place) -> usize {
        if self.root.is_null() {
            return 0;
        }
        let mut node = self.root;
        let mut rank = 0;
        for _ in 0..self.height {
            let inner = at::<Inner>(node.cast());
            let index = inner.partition(place);
            rank += inner.counts[..index].iter().sum::<u64>();
            node = inner.children[index];
        }
        rank as usize + at::<Leaf>(node.cast()).partition(place)
    }

    /// The member with `rank` members before it.
    pub(crate) fn select(&self, rank: usize) -> Option<ZRef> {
        let spot = self.spot(rank)?;
        Some(at(spot.leaf).slots[spot.index])
    }

    /// The members from `rank` on, at most `count`, ascending.
    pub(crate) fn forward(&self, rank: usize, count: usize) -> Forward {
        let left = count.min(self.len.saturating_sub(rank));
        let Some(spot) = self.spot(rank) else { return Forward::EMPTY };
        Forward { spot, left }
    }

    /// The members from `rank` down, at most `count`, descending.
    pub(crate) fn backward(&self, rank: usize, count: usize) -> Backward {
        let left = count.min(rank.saturating_add(1));
        let Some(spot) = self.spot(rank) else { return Backward::EMPTY };
        Backward { spot, left }
    }

    /// Bytes that the nodes take, this struct aside.
    pub(crate) fn node_bytes(&self) -> usize {
        fn walk(node: *mut u8, height: usize) -> usize {
            if height == 0 {
                return size_of::<Leaf>();
            }
            let inner = at::<Inner>(node.cast());
            // Leaves are alike: counting them needs no visit.
            let below = match height {
                1 => inner.len * size_of::<Leaf>(),
                _ => inner.children[..inner.len].iter().map(|child| walk(*child, height - 1)).sum(),
            };
            below + 1024
        }
        if self.root.is_null() { 0 } else { walk(self.root, self.height) }
    }

    fn plant(&mut self, member: ZRef) {
        let leaf = Leaf::new();
        at_mut(leaf).insert(0, member);
        self.root = leaf.cast();
        self.len = 1;
    }

    /// Walks to the leaf in which `place` lies and counts one more member in every node on the way.
    fn descend_counting(&mut self, place: &impl Place, path: &mut Path) -> *mut Leaf {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner: *mut Inner = node.cast();
            let index = at(inner).partition(place);
            at_mut(inner).counts[index] += 1;
            path.push(inner, index);
            node = at(inner).children[index];
        }
        node.cast()
    }

    /// The leaf and index of a member that is in the tree.
    fn locate(&self, member: ZRef, path: &mut Path) -> (*mut Leaf, usize) {
        let place = AfterPair { key: order_key(member.score()), name: member.name() };
        let mut node = self.root;
        for _ in 0..self.height {
            let inner: *mut Inner = node.cast();
            let index = at(inner).partition(&place);
            path.push(inner, index);
            node = at(inner).children[index];
        }
        let leaf: *mut Leaf = node.cast();
        (leaf, position(at(leaf), member))
    }

    /// The leaf and index of the member of this rank, which is below `len`.
    fn descend_rank(&self, rank: usize, path: &mut Path) -> (*mut Leaf, usize) {
        debug_assert!(rank < self.len);
        let mut rest = rank as u64;
        let mut node = self.root;
        for _ in 0..self.height {
            let inner: *mut Inner = node.cast();
            let index = child_of_rank(at(inner), &mut rest);
            path.push(inner, index);
            node = at(inner).children[index];
        }
        (node.cast(), rest as usize)
    }

    fn spot(&self, rank: usize) -> Option<Spot> {
        if rank >= self.len {
            return None;
        }
        let mut rest = rank as u64;
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = at::<Inner>(node.cast());
            let index = child_of_rank(inner, &mut rest);
            node = inner.children[index];
        }
        Some(Spot { leaf: node.cast(), index: rest as usize })
    }

    /// Puts `member` into the leaf at the end of `path`, whose nodes have counted it already.
    fn insert_at(&mut self, path: &mut Path, leaf: *mut Leaf, index: usize, member: ZRef) {
        self.len += 1;
        if at(leaf).len() < LEAF_MAX {
            at_mut(leaf).insert(index, member);
            if index == 0 {
                Self::set_first(path, path.len, order_key(member.score()), member);
            }
            return;
        }
        let right = split_leaf(leaf, index);
        let split = at(leaf).len();
        if index < split || (index == split && split < LEAF_MAX) {
            at_mut(leaf).insert(index, member);
        } else {
            at_mut(right).insert(index - split, member);
        }
        if index == 0 {
            Self::set_first(path, path.len, order_key(member.score()), member);
        }
        let first = at(right).slots[0];
        let child = Child { key: order_key(first.score()), first, count: at(right).len() as u64, node: right.cast() };
        self.insert_child(path, path.len, child);
    }

    /// Adds `child` to the right of the child that `path` takes at `depth - 1`, splitting upwards as needed.
    ///
    /// The parent's count for the left one still includes what `child` took over.
    fn insert_child(&mut self, path: &mut Path, depth: usize, child: Child) {
        let Some(depth) = depth.checked_sub(1) else { return self.grow(child) };
        let (node, index) = path.steps[depth];
        let inner = at_mut(node);
        inner.counts[index] -= child.count;
        if inner.len < INNER_MAX {
            inner.insert(index + 1, child);
            return;
        }
        let right = Inner::new();
        // As for leaves: appending leaves the left node full.
        let split = if index + 1 == INNER_MAX { INNER_MAX } else { INNER_MAX / 2 };
        at_mut(right).insert_many(0, inner, split, INNER_MAX - split);
        inner.len = split;
        if index < split && split < INNER_MAX {
            inner.insert(index + 1, child);
        } else {
            at_mut(right).insert(index + 1 - split, child);
        }
        let node = at(right);
        let child = Child { key: node.keys[0], first: node.firsts[0], count: node.count(), node: right.cast() };
        self.insert_child(path, depth, child);
    }

    /// Puts a new root over the old one and its new right neighbour.
    fn grow(&mut self, right: Child) {
        assert!(self.height < HEIGHT_MAX, "height is logarithmic");
        let (key, first) = if self.height == 0 {
            let first = at::<Leaf>(self.root.cast()).slots[0];
            (order_key(first.score()), first)
        } else {
            let inner = at::<Inner>(self.root.cast());
            (inner.keys[0], inner.firsts[0])
        };
        let root = Inner::new();
        let count = self.len as u64 - right.count;
        at_mut(root).insert(0, Child { key, first, count, node: self.root });
        at_mut(root).insert(1, right);
        self.root = root.cast();
        self.height += 1;
    }

    /// Tells the ancestors that the node below `path.steps[depth - 1]` begins with another member.
    fn set_first(path: &Path, depth: usize, key: u64, first: ZRef) {
        for (node, index) in path.steps[..depth].iter().rev() {
            let inner = at_mut(*node);
            inner.keys[*index] = key;
            inner.firsts[*index] = first;
            if *index > 0 {
                return;
            }
        }
    }

    /// Takes `count` members out of one leaf and restores the shape above it.
    fn remove_at(&mut self, path: &mut Path, leaf: *mut Leaf, index: usize, count: usize) {
        self.len -= count;
        for (node, index) in &path.steps[..path.len] {
            at_mut(*node).counts[*index] -= count as u64;
        }
        at_mut(leaf).remove(index, count);
        let len = at(leaf).len();
        if len == 0 {
            unlink(leaf);
            free(leaf);
            return self.remove_child(path, path.len);
        }
        if index == 0 {
            let first = at(leaf).slots[0];
            Self::set_first(path, path.len, order_key(first.score()), first);
        }
        if len < LEAF_MIN && path.len > 0 {
            let (parent, index) = path.steps[path.len - 1];
            if level_leaves(at_mut(parent), index) {
                self.settle(path, path.len - 1);
            }
        }
    }

    /// Drops the (freed) child that `path` takes at `depth - 1` from its parent.
    fn remove_child(&mut self, path: &Path, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            self.root = ptr::null_mut();
            self.height = 0;
            return;
        };
        let (node, index) = path.steps[depth];
        let inner = at_mut(node);
        inner.remove(index);
        if inner.len == 0 {
            free(node);
            return self.remove_child(path, depth);
        }
        if index == 0 {
            Self::set_first(path, depth, inner.keys[0], inner.firsts[0]);
        }
        self.settle(path, depth);
    }

    /// Restores the shape after the inner node at `path.steps[depth]` lost a child.
    fn settle(&mut self, path: &Path, depth: usize) {
        let (node, _) = path.steps[depth];
        if depth == 0 {
            // A root with one child is a level too many; so may be the child.
            while self.height > 0 && at::<Inner>(self.root.cast()).len == 1 {
                let root: *mut Inner = self.root.cast();
                self.root = at(root).children[0];
                self.height -= 1;
                free(root);
            }
            return;
        }
        if at(node).len < INNER_MIN {
            let (parent, index) = path.steps[depth - 1];
            if level_inner(at_mut(parent), index) {
                self.settle(path, depth - 1);
            }
        }
    }

    /// Checks every rule that the tree keeps; for tests and fuzzing.
    pub(crate) fn check_invariants(&self) {
        fn walk(node: *mut u8, height: usize, leaves: &mut Vec<*mut Leaf>) -> u64 {
            if height == 0 {
                let leaf = at::<Leaf>(node.cast());
                assert!((1..=LEAF_MAX).contains(&leaf.len()));
                leaves.push(node.cast());
                return leaf.len() as u64;
            }
            let inner = at::<Inner>(node.cast());
            assert!((1..=INNER_MAX).contains(&inner.len));
            for index in 0..inner.len {
                let count = walk(inner.children[index], height - 1, leaves);
                assert_eq!(count, inner.counts[index]);
                let first = first_below(inner.children[index], height - 1);
                assert!(first == inner.firsts[index]);
                assert_eq!(order_key(first.score()), inner.keys[index]);
            }
            inner.count()
        }
        fn first_below(mut node: *mut u8, height: usize) -> ZRef {
            for _ in 0..height {
                node = at::<Inner>(node.cast()).children[0];
            }
            at::<Leaf>(node.cast()).slots[0]
        }
        if self.root.is_null() {
            assert_eq!((self.len, self.height), (0, 0));
            return;
        }
        assert!(self.height == 0 || at::<Inner>(self.root.cast()).len > 1);
        let mut leaves = Vec::new();
        assert_eq!(walk(self.root, self.height, &mut leaves), self.len as u64);
        for (index, leaf) in leaves.iter().enumerate() {
            assert_eq!(at(*leaf).prev(), if index == 0 { ptr::null_mut() } else { leaves[index - 1] });
            assert_eq!(at(*leaf).next, leaves.get(index + 1).copied().unwrap_or(ptr::null_mut()));
        }
        let all: Vec<ZRef> = self.forward(0, usize::MAX).collect();
        assert_eq!(all.len(), self.len);
        assert!(all.windows(2).all(|pair| compare(pair[0], pair[1].score(), pair[1].name()).is_lt()));
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fn walk(node: *mut u8, height: usize) {
            if height == 0 {
                return free::<Leaf>(node.cast());
            }
            let inner: *mut Inner = node.cast();
            at(inner).children[..at(inner).len].iter().for_each(|child| walk(*child, height - 1));
            free(inner);
        }
        if !self.root.is_null() {
            walk(self.root, self.height);
        }
    }
}

#[cfg(test)]
mod tests;
