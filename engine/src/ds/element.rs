//! Elements of the tables behind big sets and hashes: one allocation each, thin, nothing but lengths and bytes.
//!
//! ```text
//! Member   [length][bytes]
//! Field    [deadline, if any][length of field][length of value][field][value]
//!
//! length:   one byte up to 250 | 0xFD + u16 LE | 0xFE + u32 LE | 0xFF + u64 LE
//! deadline: 0xFB + six bytes of milliseconds LE
//! ```
//!
//! Lengths never begin with 0xFB, so a field without deadline pays nothing for those that have one; 0xFC is free. Like the
//! byte formats, an element's capacity is the size class of its length, so a value of about the same size is replaced in
//! place.
#![expect(unsafe_code, reason = "elements of a table are thin pointers: 16 bytes less for each")]

use std::fmt;
use std::ptr::{self, NonNull};

use super::blob::{self, size_class};
use super::table::{Element, Table};

/// Longest length in one byte.
const SHORT_MAX: usize = 250;

/// First byte of a field with a deadline.
const DEADLINE_MARK: u8 = 0xFB;

/// Bytes of the mark and the deadline.
const DEADLINE_BYTES: usize = 7;

/// Latest deadline that fits, in milliseconds. Commands stay far below.
pub const DEADLINE_MAX: i64 = (1 << 48) - 1;

/// Bytes that a length takes.
#[inline(always)]
const fn length_bytes(len: usize) -> usize {
    if len <= SHORT_MAX {
        1
    } else if len <= u16::MAX as usize {
        3
    } else if len <= u32::MAX as usize {
        5
    } else {
        9
    }
}

/// Writes a length at `at`, returns what follows it.
///
/// # Safety
/// `length_bytes(len)` bytes at `at` are ours to write.
#[inline(always)]
unsafe fn write_length(at: *mut u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise covers every arm.
    unsafe {
        if len <= SHORT_MAX {
            at.write(len as u8);
            return at.add(1);
        }
        let (mark, bytes) = match length_bytes(len) {
            3 => (0xFD, 2),
            5 => (0xFE, 4),
            _ => (0xFF, 8),
        };
        at.write(mark);
        ptr::copy_nonoverlapping((len as u64).to_le_bytes().as_ptr(), at.add(1), bytes);
        at.add(1 + bytes)
    }
}

/// The length at `at` and what follows it.
///
/// # Safety
/// A length written by `write_length` stands at `at`.
#[inline(always)]
unsafe fn read_length(at: *const u8) -> (usize, *const u8) {
    // SAFETY: the first byte tells how many belong to the length.
    unsafe {
        let first = at.read();
        if first as usize <= SHORT_MAX { (first as usize, at.add(1)) } else { read_long_length(at, first) }
    }
}

/// # Safety
/// As for `read_length`.
#[cold]
unsafe fn read_long_length(at: *const u8, mark: u8) -> (usize, *const u8) {
    let bytes = match mark {
        0xFD => 2,
        0xFE => 4,
        _ => 8,
    };
    let mut len = [0; 8];
    // SAFETY: the mark says that so many bytes follow.
    unsafe {
        ptr::copy_nonoverlapping(at.add(1), len.as_mut_ptr(), bytes);
        (u64::from_le_bytes(len) as usize, at.add(1 + bytes))
    }
}

/// A member of a big set.
///
/// Invariant: the pointer owns an allocation of the size class of its length, written by [`Member::new`].
#[repr(transparent)]
pub struct Member(NonNull<u8>);

// SAFETY: owns its bytes alone, no interior mutability.
unsafe impl Send for Member {}
// SAFETY: as above.
unsafe impl Sync for Member {}

impl Member {
    /// A member with these bytes.
    #[inline]
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let raw = blob::allocate_bytes(length_bytes(bytes.len()) + bytes.len());
        // SAFETY: the allocation holds the length and the bytes.
        unsafe {
            let at = write_length(raw.as_ptr(), bytes.len());
            ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
        }
        Self(raw)
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the invariant of the type; borrowed as long as `self`.
        unsafe { Self::key(self.0) }
    }

    /// Bytes that a member of `len` bytes takes from the allocator.
    #[must_use]
    pub const fn allocated(len: usize) -> usize {
        size_class(length_bytes(len) + len)
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        let len = self.bytes().len();
        // SAFETY: the invariant of the type.
        unsafe { blob::free_bytes(self.0, length_bytes(len) + len) }
    }
}

// SAFETY: addresses of the allocator are below 2^48; `key` reads what `new` wrote; the views are plain slices, through
// which nothing changes.
unsafe impl Element for Member {
    type Ref<'a> = &'a [u8];
    type Mut<'a> = &'a [u8];

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Self(raw)
    }

    #[inline]
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the caller's promise: a living member.
        unsafe {
            let (len, at) = read_length(raw.as_ptr());
            std::slice::from_raw_parts(at, len)
        }
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { Self::key(raw) }
    }

    #[inline]
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { Self::key(raw) }
    }
}

/// A field of a big hash with its value and its deadline, if it has one.
///
/// Invariant: the pointer owns an allocation of the size class of its length, written by [`Field::new`] or changed by
/// [`Field::set_value`].
#[repr(transparent)]
pub struct Field(NonNull<u8>);

/// What a [`Field`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldRef<'a> {
    /// Its name.
    pub field: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// When it is to go, in milliseconds since the epoch.
    pub deadline: Option<i64>,
}

// SAFETY: owns its bytes alone, no interior mutability.
unsafe impl Send for Field {}
// SAFETY: as above.
unsafe impl Sync for Field {}

impl Field {
    /// A field with a value. The deadline lies in `0..=DEADLINE_MAX`.
    #[inline]
    #[must_use]
    pub fn new(field: &[u8], value: &[u8], deadline: Option<i64>) -> Self {
        debug_assert!(deadline.is_none_or(|at| (0..=DEADLINE_MAX).contains(&at)));
        let raw = blob::allocate_bytes(Self::bytes(field.len(), value.len(), deadline));
        // SAFETY: the allocation holds the deadline, both lengths and both texts.
        unsafe {
            let mut at = raw.as_ptr();
            if let Some(deadline) = deadline {
                at.write(DEADLINE_MARK);
                ptr::copy_nonoverlapping(deadline.to_le_bytes().as_ptr(), at.add(1), DEADLINE_BYTES - 1);
                at = at.add(DEADLINE_BYTES);
            }
            let at = write_length(at, field.len());
            let at = write_length(at, value.len());
            ptr::copy_nonoverlapping(field.as_ptr(), at, field.len());
            ptr::copy_nonoverlapping(value.as_ptr(), at.add(field.len()), value.len());
        }
        Self(raw)
    }

    #[inline]
    const fn bytes(field: usize, value: usize, deadline: Option<i64>) -> usize {
        let deadline = if deadline.is_some() { DEADLINE_BYTES } else { 0 };
        deadline + length_bytes(field) + length_bytes(value) + field + value
    }

    /// Field, value and deadline.
    #[inline]
    #[must_use]
    pub fn get(&self) -> FieldRef<'_> {
        // SAFETY: the invariant of the type; borrowed as long as `self`.
        unsafe { Self::borrow(self.0) }
    }

    /// Puts another value, in place when the size class stays. The deadline stays.
    #[inline]
    pub fn set_value(&mut self, value: &[u8]) {
        let old = self.get();
        let (field, deadline) = (old.field.len(), old.deadline);
        let in_place = length_bytes(old.value.len()) == length_bytes(value.len())
            && size_class(Self::bytes(field, old.value.len(), deadline))
                == size_class(Self::bytes(field, value.len(), deadline));
        if !in_place {
            *self = Self::new(old.field, value, deadline);
            return;
        }
        let skipped = if deadline.is_some() { DEADLINE_BYTES } else { 0 } + length_bytes(field);
        // SAFETY: the class, and with it the allocation, holds the new value; the field stays where it is because the
        // lengths take as many bytes as before. `value` is borrowed apart from `self`, so it lies elsewhere.
        unsafe {
            let at = write_length(self.0.as_ptr().add(skipped), value.len());
            ptr::copy_nonoverlapping(value.as_ptr(), at.add(field), value.len());
        }
    }

    /// Sets or removes the deadline.
    pub fn set_deadline(&mut self, deadline: Option<i64>) {
        let FieldRef { field, value, deadline: old } = self.get();
        if old != deadline {
            *self = Self::new(field, value, deadline);
        }
    }

    /// Bytes that a field and value of these lengths take from the allocator.
    #[must_use]
    pub const fn allocated(field: usize, value: usize, deadline: Option<i64>) -> usize {
        size_class(Self::bytes(field, value, deadline))
    }

    /// The deadline and where the lengths begin.
    ///
    /// # Safety
    /// A living field stands at `at`.
    #[cold]
    unsafe fn read_deadline(at: *const u8) -> (i64, *const u8) {
        let mut bytes = [0; 8];
        // SAFETY: behind the mark stand the six bytes of the deadline.
        unsafe {
            ptr::copy_nonoverlapping(at.add(1), bytes.as_mut_ptr(), DEADLINE_BYTES - 1);
            (i64::from_le_bytes(bytes), at.add(DEADLINE_BYTES))
        }
    }
}

impl Drop for Field {
    #[inline]
    fn drop(&mut self) {
        let FieldRef { field, value, deadline } = self.get();
        let bytes = Self::bytes(field.len(), value.len(), deadline);
        // SAFETY: the invariant of the type.
        unsafe { blob::free_bytes(self.0, bytes) }
    }
}

// SAFETY: addresses of the allocator are below 2^48; `key` reads what `new` wrote; the views are plain slices, through
// which nothing changes.
unsafe impl Element for Field {
    type Ref<'a> = FieldRef<'a>;
    type Mut<'a> = FieldRef<'a>;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Self(raw)
    }

    #[inline]
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the caller's promise: a living field.
        unsafe { Self::borrow(raw).field }
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> FieldRef<'a> {
        // SAFETY: the caller's promise: a living field, written as `new` does.
        unsafe {
            let (mut at, mut deadline) = (raw.as_ptr().cast_const(), None);
            if at.read() == DEADLINE_MARK {
                let (moment, lengths) = Self::read_deadline(at);
                (at, deadline) = (lengths, Some(moment));
            }
            let (field, at) = read_length(at);
            let (value, at) = read_length(at);
            FieldRef {
                field: std::slice::from_raw_parts(at, field),
                value: std::slice::from_raw_parts(at.add(field), value),
                deadline,
            }
        }
    }

    #[inline]
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> FieldRef<'a> {
        // SAFETY: the caller's promise.
        unsafe { Self::borrow(raw) }
    }
}

/// Bytes that a table of members has allocated, besides the struct itself. Looks at `samples` members and
/// extrapolates; 0 looks at all.
#[must_use]
pub fn members_memory(table: &Table<Member>, samples: usize) -> usize {
    let sizes = table.iter().map(|member| Member::allocated(member.len()));
    table.memory_usage() + extrapolate(sizes, table.len(), samples)
}

/// As [`members_memory`] for a table of fields.
#[must_use]
pub fn fields_memory(table: &Table<Field>, samples: usize) -> usize {
    let sizes = table.iter().map(|pair| Field::allocated(pair.field.len(), pair.value.len(), pair.deadline));
    table.memory_usage() + extrapolate(sizes, table.len(), samples)
}

fn extrapolate(sizes: impl Iterator<Item = usize>, len: usize, samples: usize) -> usize {
    let seen = if samples == 0 { len } else { samples.min(len) };
    (sizes.take(seen).sum::<usize>() * len).checked_div(seen).unwrap_or(0)
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_of_lengths() {
        for len in [0, 1, 15, 250, 251, 65_535, 65_536, 200_000] {
            let text = vec![b'm'; len];
            let member = Member::new(&text);
            assert_eq!(member.bytes(), text);
            // SAFETY: straight back.
            let member = unsafe { Member::from_raw(member.into_raw()) };
            assert_eq!(member.bytes().len(), len);
            for value in [0, 7, 250, 251, 70_000] {
                for deadline in [None, Some(0), Some(DEADLINE_MAX), Some(1_700_000_000_123)] {
                    let mut field = Field::new(&text, b"old", deadline);
                    for value in [value, 3, value, 250, 8] {
                        let value = vec![b'v'; value];
                        field.set_value(&value);
                        assert_eq!(field.get(), FieldRef { field: &text, value: &value, deadline });
                        field.set_deadline(Some(77));
                        assert_eq!(field.get(), FieldRef { field: &text, value: &value, deadline: Some(77) });
                        field.set_deadline(None);
                        assert_eq!(field.get(), FieldRef { field: &text, value: &value, deadline: None });
                        field.set_deadline(deadline);
                    }
                }
            }
        }
    }

    #[test]
    fn sixteen_bytes_take_what_was_planned() {
        assert_eq!(Member::allocated(16), 24);
        assert_eq!(Field::allocated(16, 16, None), 40);
        assert_eq!(Field::allocated(16, 16, Some(1)), 48);
    }

    #[test]
    fn a_value_of_the_same_class_stays_in_place() {
        let mut field = Field::new(b"field", b"12345", None);
        let address = field.0;
        field.set_value(b"123456789");
        assert_eq!(field.0, address);
        field.set_value(b"1234567890");
        assert_eq!(field.get().value, b"1234567890");
    }
}
