//! A small hash some of whose fields have deadlines: Redis' `listpackex`.
//!
//! One listpack of triplets `field, value, deadline`, ordered by deadline in milliseconds; fields without one have 0 and stand
//! at the end, in the order in which they were added. So the first triplet tells when something is due.

use super::listpack::{self, Elem, ElemBuf, Listpack, Pos, Side};
use std::collections::HashSet;

/// Elements that belong to one field.
const STRIDE: usize = 3;

const WHOLE: &str = "listpack integrity: a field has a value and a deadline";

/// A listpack of triplets.
#[derive(Debug, Clone)]
pub struct ListpackEx(Listpack);

/// Where a field, its value and its deadline stand.
#[derive(Debug, Clone, Copy)]
struct Place {
    field: Pos,
    value: Pos,
    deadline: Pos,
}

impl ListpackEx {
    /// The pairs of `pack`, none of which gets a deadline.
    #[must_use]
    pub fn from_pairs(pack: &Listpack) -> Self {
        let mut triplets = Listpack::new();
        let mut iter = pack.iter();
        while let (Some(field), Some(value)) = (iter.next(), iter.next()) {
            triplets.extend_back(&[field, value, Elem::Int(0)]);
        }
        ListpackEx(triplets)
    }

    /// The triplets in a listpack from outside, put in order if they are not. `None` when they are not whole, have a field twice, or a
    /// deadline outside of `0..=deadline_max`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], deadline_max: i64) -> Option<Self> {
        let (mut index, mut last, mut ordered, mut fields) = (0, 0, true, HashSet::new());
        let valid = listpack::validate_with(bytes, true, |elem| {
            let role = index % STRIDE;
            index += 1;
            match (role, elem) {
                (0, _) => fields.insert(elem.to_vec()),
                (1, _) => true,
                (_, Elem::Int(at)) => {
                    let rank = if at == 0 { i64::MAX } else { at };
                    ordered &= rank >= last;
                    last = rank;
                    (0..=deadline_max).contains(&at)
                }
                (_, Elem::Str(_)) => false,
            }
        });
        if !valid || index % STRIDE != 0 {
            return None;
        }
        let pack = ListpackEx(Listpack::from_bytes(bytes)?);
        if ordered {
            return Some(pack);
        }
        let mut triplets: Vec<_> = pack.iter().collect();
        triplets.sort_by_key(|&(.., deadline)| deadline.unwrap_or(i64::MAX));
        let mut sorted = Listpack::new();
        for (field, value, deadline) in triplets {
            sorted.extend_back(&[field, value, Elem::Int(deadline.unwrap_or(0))]);
        }
        Some(ListpackEx(sorted))
    }

    /// The triplets as they stand in Redis' files.
    #[must_use]
    pub fn listpack(&self) -> &Listpack {
        &self.0
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / STRIDE
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether so many bytes of field and value may be added.
    #[must_use]
    pub fn safe_to_add(&self, bytes: usize) -> bool {
        self.0.safe_to_add(bytes + listpack::entry_bytes(Elem::Int(i64::MAX)))
    }

    /// The earliest deadline.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.0.seek(STRIDE - 1).and_then(|pos| self.deadline_at(pos))
    }

    fn deadline_at(&self, pos: Pos) -> Option<i64> {
        match self.0.get(pos) {
            Elem::Int(0) | Elem::Str(_) => None,
            Elem::Int(at) => Some(at),
        }
    }

    fn find(&self, field: &[u8]) -> Option<Place> {
        let field = self.0.find_first(field, STRIDE)?;
        let value = self.0.next(field).expect(WHOLE);
        Some(Place { field, value, deadline: self.0.next(value).expect(WHOLE) })
    }

    /// Whether there is this field.
    #[must_use]
    pub fn contains(&self, field: &[u8]) -> bool {
        self.0.find_first(field, STRIDE).is_some()
    }

    /// Value and deadline of `field`.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<(Elem<'_>, Option<i64>)> {
        self.find(field).map(|place| (self.0.get(place.value), self.deadline_at(place.deadline)))
    }

    /// Sets `field` to `value` with a deadline that follows from the one it had; true when the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], deadline: impl FnOnce(Option<i64>) -> Option<i64>) -> bool {
        let Some(place) = self.find(field) else {
            self.insert(Elem::Str(field), Elem::Str(value), deadline(None));
            return true;
        };
        let before = self.deadline_at(place.deadline);
        let after = deadline(before);
        if before == after {
            self.0.replace(place.value, value);
        } else {
            self.0.delete_range_at(place.field, STRIDE);
            self.insert(Elem::Str(field), Elem::Str(value), after);
        }
        false
    }

    /// Sets or removes the deadline of `field`; false when there is no such field.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) -> bool {
        let Some(place) = self.find(field) else { return false };
        if self.deadline_at(place.deadline) != deadline {
            let value = self.0.get(place.value).to_vec();
            self.0.delete_range_at(place.field, STRIDE);
            self.insert(Elem::Str(field), Elem::Str(&value), deadline);
        }
        true
    }

    /// Puts a new triplet where it belongs: before those with the same deadline or a later one, as Redis does.
    fn insert(&mut self, field: Elem<'_>, value: Elem<'_>, deadline: Option<i64>) {
        let triplet = [field, value, Elem::Int(deadline.unwrap_or(0))];
        let later = deadline.and_then(|at| {
            let mut pos = self.0.first();
            while let Some(field) = pos {
                let value = self.0.next(field).expect(WHOLE);
                let deadline = self.0.next(value).expect(WHOLE);
                if self.deadline_at(deadline).is_none_or(|other| other >= at) {
                    return Some(field);
                }
                pos = self.0.next(deadline);
            }
            None
        });
        match later {
            Some(pos) => self.0.insert_many(pos, Side::Before, &triplet),
            None => self.0.extend_back(&triplet),
        }
    }

    /// Removes `field`; false when there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let found = self.0.find_first(field, STRIDE);
        if let Some(pos) = found {
            self.0.delete_range_at(pos, STRIDE);
        }
        found.is_some()
    }

    /// Removes at most `budget` fields whose deadline lies before `now`, the earliest first, and shows them; returns how many.
    pub fn extract_due(&mut self, now: i64, budget: usize, mut see: impl FnMut(&[u8])) -> usize {
        let due = self.iter().take(budget).take_while(|&(.., deadline)| deadline.is_some_and(|at| at < now));
        let count = due.map(|(field, ..)| see(field.text(&mut ElemBuf::new()))).count();
        self.0.delete_range(0, count * STRIDE);
        count
    }

    /// All fields with values and deadlines, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// The `index`-th field with its value and deadline.
    #[must_use]
    pub fn nth(&self, index: usize) -> Option<(Elem<'_>, Elem<'_>, Option<i64>)> {
        let pos = self.0.seek(index * STRIDE)?;
        Iter(self.0.iter_from(pos)).next()
    }

    /// Bytes allocated.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.0.memory_usage()
    }

    /// Gives up ownership for an address.
    pub(crate) fn into_raw(self) -> std::ptr::NonNull<u8> {
        self.0.into_raw()
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` comes from `into_raw`, and nothing else uses the structure in the meantime.
    #[expect(unsafe_code, reason = "the listpack's own conversion")]
    pub(crate) unsafe fn from_raw(raw: std::ptr::NonNull<u8>) -> Self {
        // SAFETY: as promised by the caller.
        ListpackEx(unsafe { Listpack::from_raw(raw) })
    }

    /// Panics unless the structure is consistent.
    pub fn check_invariants(&self) {
        self.0.check_invariants();
        assert!(ListpackEx::from_bytes(self.0.as_bytes(), i64::MAX).is_some(), "whole triplets");
        assert!(self.iter().map(|(.., at)| at.unwrap_or(i64::MAX)).is_sorted(), "ordered by deadline");
    }
}

/// A walk over the triplets; see [`ListpackEx::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a>(listpack::Iter<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, Elem<'a>, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.0.next()?;
        let value = self.0.next().expect(WHOLE);
        let deadline = match self.0.next().expect(WHOLE) {
            Elem::Int(0) | Elem::Str(_) => None,
            Elem::Int(at) => Some(at),
        };
        Some((field, value, deadline))
    }
}
