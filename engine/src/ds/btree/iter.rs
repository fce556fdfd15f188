//! Walks along the leaves, in both directions.

use std::ptr;

use super::node::at;
use super::{PREFETCH_AHEAD, Spot};
use crate::ds::zmember::ZRef;

/// References in ascending order. The tree must not change meanwhile: `SortedSet` ties this to a borrow of itself.
pub(crate) struct Forward {
    pub(super) spot: Spot,
    pub(super) left: usize,
}

impl Forward {
    pub(super) const EMPTY: Self = Forward { spot: Spot { leaf: ptr::null_mut(), index: 0 }, left: 0 };
}

impl Iterator for Forward {
    type Item = ZRef;

    #[inline]
    fn next(&mut self) -> Option<ZRef> {
        if self.left == 0 {
            return None;
        }
        let leaf = at(self.spot.leaf);
        let member = leaf.slots[self.spot.index];
        self.left -= 1;
        self.spot.index += 1;
        if self.spot.index == leaf.len() {
            self.spot = Spot { leaf: leaf.next, index: 0 };
        } else if let Some(ahead) = leaf.slots.get(self.spot.index + PREFETCH_AHEAD) {
            ahead.prefetch();
        }
        Some(member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// References in descending order; otherwise as [`Forward`].
pub(crate) struct Backward {
    pub(super) spot: Spot,
    pub(super) left: usize,
}

impl Backward {
    pub(super) const EMPTY: Self = Backward { spot: Spot { leaf: ptr::null_mut(), index: 0 }, left: 0 };
}

impl Iterator for Backward {
    type Item = ZRef;

    #[inline]
    fn next(&mut self) -> Option<ZRef> {
        if self.left == 0 {
            return None;
        }
        let leaf = at(self.spot.leaf);
        let member = leaf.slots[self.spot.index];
        self.left -= 1;
        if self.spot.index > 0 {
            self.spot.index -= 1;
            if let Some(ahead) = self.spot.index.checked_sub(PREFETCH_AHEAD) {
                leaf.slots[ahead].prefetch();
            }
        } else {
            let prev = leaf.prev();
            let index = if prev.is_null() { 0 } else { at(prev).len() - 1 };
            self.spot = Spot { leaf: prev, index };
        }
        Some(member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
