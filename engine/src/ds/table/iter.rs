//! Walks over all elements of a table.

#![expect(unsafe_code, reason = "elements are borrowed from slots")]

use super::bucket::Chain;
use super::{Element, Table};

/// See [`Table::iter`].
pub struct Iter<'a, E: Element> {
    pub(super) table: &'a Table<E>,
    pub(super) next: usize,
    pub(super) chain: Chain,
}

impl<'a, E: Element + 'a> Iterator for Iter<'a, E> {
    type Item = E::Ref<'a>;

    fn next(&mut self) -> Option<E::Ref<'a>> {
        loop {
            if let Some((bucket, slot)) = self.chain.next() {
                // SAFETY: an occupied slot; the element does not change while the table is borrowed.
                return Some(unsafe { E::borrow(bucket.get(slot)) });
            }
            let home = self.table.chain(self.next)?;
            self.next += 1;
            // SAFETY: buckets of the table; nothing changes while it is borrowed.
            unsafe {
                if let Some(next) = self.table.chain(self.next) {
                    next.prefetch_elements();
                }
                self.chain = Chain::new(home);
            }
        }
    }
}

impl<'a, E: Element> IntoIterator for &'a Table<E> {
    type Item = E::Ref<'a>;
    type IntoIter = Iter<'a, E>;

    fn into_iter(self) -> Iter<'a, E> {
        self.iter()
    }
}

/// A table that is being emptied, see [`Table::into_iter`]. What is not taken is freed on drop.
pub struct IntoIter<E: Element> {
    pub(super) table: Table<E>,
    pub(super) next: usize,
}

impl<E: Element> IntoIter<E> {
    /// How many elements are left.
    pub fn len(&self) -> usize {
        self.table.len
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.table.len == 0
    }

    /// Frees up to `budget` elements. Answers whether there is more to do.
    pub fn drain_step(&mut self, budget: usize) -> bool {
        self.take(budget).for_each(drop);
        !self.is_empty()
    }
}

impl<E: Element> Iterator for IntoIter<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        if self.table.len == 0 {
            return None;
        }
        loop {
            let home = self.table.chain(self.next)?;
            // SAFETY: a bucket of the table, to which we have exclusive access.
            unsafe {
                if home.occupied() == 0 {
                    self.next += 1;
                    if let Some(next) = self.table.chain(self.next + 1) {
                        next.prefetch_elements();
                    }
                    continue;
                }
                let mut tail = home;
                while let Some(child) = tail.child() {
                    tail = child;
                }
                let slot = tail.occupied().ilog2() as usize;
                return Some(self.table.erase(home, tail, slot));
            }
        }
    }
}

/// Elements, one at a time, by value: also the way to free a table in steps.
impl<E: Element> IntoIterator for Table<E> {
    type Item = E;
    type IntoIter = IntoIter<E>;

    fn into_iter(self) -> IntoIter<E> {
        IntoIter { table: self, next: 0 }
    }
}
