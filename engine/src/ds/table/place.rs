//! Places in a table: one that holds an element, and one where it can go.

#![expect(unsafe_code, reason = "elements are borrowed from slots")]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::bucket::{Bucket, Occupant};
use super::{Element, Table, tag_of};
#[cfg(debug_assertions)]
use crate::ds::hash::hash as key_hash;

/// What [`Table::place`] finds.
pub enum Place<'a, E: Element> {
    /// There is an element with the key.
    Occupied(Occupied<'a, E>),
    /// There is none.
    Vacant(Vacant<'a, E>),
}

/// The place of an element.
pub struct Occupied<'a, E: Element> {
    pub(super) table: &'a mut Table<E>,
    pub(super) hash: u64,
    pub(super) bucket: Bucket,
    pub(super) slot: usize,
}

impl<'a, E: Element> Occupied<'a, E> {
    #[inline(always)]
    pub(super) fn raw(&self) -> NonNull<u8> {
        // SAFETY: the slot is occupied as long as this place exists.
        unsafe { self.bucket.get(self.slot) }
    }

    /// Hash of the element's key.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The element.
    #[inline]
    pub fn get(&self) -> E::Ref<'_> {
        // SAFETY: borrowed as long as `self`.
        unsafe { E::borrow(self.raw()) }
    }

    /// The element, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self) -> E::Mut<'_> {
        // SAFETY: borrowed as long as `self`, exclusively.
        unsafe { E::borrow_mut(self.raw()) }
    }

    /// The element, for as long as the table is borrowed.
    #[inline]
    pub fn into_ref(self) -> E::Ref<'a> {
        // SAFETY: the table is borrowed for 'a.
        unsafe { E::borrow(self.raw()) }
    }

    /// The element, to be changed in place, for as long as the table is borrowed.
    #[inline]
    pub fn into_mut(self) -> E::Mut<'a> {
        // SAFETY: the table is borrowed for 'a, exclusively.
        unsafe { E::borrow_mut(self.raw()) }
    }

    /// Puts another element with the same key here. Panics if its key is another.
    #[inline]
    pub fn replace(&mut self, element: E) -> E {
        let old = self.raw();
        let new = element.into_raw();
        // SAFETY: both are elements; the old one is handed out when nothing refers to it any more.
        unsafe {
            assert!(E::key(new) == E::key(old), "an element is replaced by one with its key");
            self.bucket.replace(self.slot, new);
            E::from_raw(old)
        }
    }

    /// Lets `change` have the element as if it owned it: it may move it, as when it grows. The key has to stay.
    #[inline]
    pub fn update<R>(&mut self, change: impl FnOnce(&mut E) -> R) -> R {
        /// Puts the element back, also when `change` panics.
        struct Guard<'g, 'a, E: Element> {
            place: &'g mut Occupied<'a, E>,
            element: ManuallyDrop<E>,
        }
        impl<E: Element> Drop for Guard<'_, '_, E> {
            fn drop(&mut self) {
                // SAFETY: the element is taken once; the slot is still ours.
                unsafe {
                    let raw = ManuallyDrop::take(&mut self.element).into_raw();
                    self.place.bucket.replace(self.place.slot, raw);
                }
            }
        }
        // SAFETY: until the guard puts it back, nobody looks into the slot.
        let element = ManuallyDrop::new(unsafe { E::from_raw(self.raw()) });
        let mut guard = Guard { place: self, element };
        let result = change(&mut guard.element);
        drop(guard);
        #[cfg(debug_assertions)]
        // SAFETY: the slot is occupied.
        unsafe {
            debug_assert_eq!(key_hash(E::key(self.raw())), self.hash, "the key has to stay");
        }
        result
    }

    /// Takes the element out.
    #[inline]
    pub fn remove(self) -> E {
        let table = self.table;
        let element = table.erase(table.home(self.hash), self.bucket, self.slot);
        if table.wants_shrinking() {
            table.start_rehash(table.len as u64);
        }
        element
    }
}

/// A place where there is no element yet.
pub struct Vacant<'a, E: Element> {
    pub(super) table: &'a mut Table<E>,
    pub(super) hash: u64,
}

impl<'a, E: Element> Vacant<'a, E> {
    /// Hash of the key that was looked for.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Puts an element with the key that was looked for here.
    #[inline]
    pub fn insert(self, element: E) -> Occupied<'a, E> {
        let Vacant { table, hash } = self;
        if table.wants_growth() {
            table.start_rehash(table.len as u64 + 1);
        }
        let raw = element.into_raw();
        #[cfg(debug_assertions)]
        // SAFETY: an element that we own.
        unsafe {
            debug_assert_eq!(key_hash(E::key(raw)), hash, "the key that was looked for");
        }
        let (mut bucket, part) = table.home_and_part(hash);
        let occupant = Occupant::new(tag_of(hash), raw, part);
        // SAFETY: the table has an array now, and the bucket is in it.
        unsafe {
            let slot = loop {
                let free = bucket.free();
                if free != 0 {
                    let slot = free.trailing_zeros() as usize;
                    bucket.put(slot, occupant);
                    break slot;
                }
                match bucket.child() {
                    Some(child) => bucket = child,
                    None => {
                        table.children += bucket.push(occupant);
                        bucket = bucket.child().expect("a full bucket got a child");
                        break 1;
                    }
                }
            };
            table.len += 1;
            Occupied { table, hash, bucket, slot }
        }
    }
}
