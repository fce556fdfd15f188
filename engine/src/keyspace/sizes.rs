//! How many keys of each type have which size: INFO keysizes. Kept while values change, at the cost of a comparison a write.

use crate::ds::entry::{Encoding, EntryRef, Mut as Opened, StoredStr};
use crate::types::{Collection, Hash, Kind, List, Set, Zset};
use std::ops::{Deref, DerefMut};

/// Classes of sizes: 0, 1, 2 to 3, 4 to 7 and so on up to the largest size there is.
const CLASSES: usize = usize::BITS as usize + 1;

/// Types that are counted, in the order in which they are shown. Streams are not.
const COUNTED: [Kind; 5] = [Kind::String, Kind::List, Kind::Set, Kind::Zset, Kind::Hash];

/// The class of a size.
#[inline(always)]
fn class(size: usize) -> u8 {
    (usize::BITS - size.leading_zeros()) as u8
}

/// The class of the number of characters of an integer.
#[inline(always)]
fn class_of_integer(n: i64) -> u8 {
    // Classes end at 1, 3, 7 and 15 characters, of which one may be the sign.
    let longer = |limits: [u64; 4]| 1 + limits.iter().map(|&limit| u8::from(n.unsigned_abs() >= limit)).sum::<u8>();
    if n >= 0 {
        longer([10, 1_000, 10_000_000, 1_000_000_000_000_000])
    } else {
        longer([0, 100, 1_000_000, 100_000_000_000_000])
    }
}

/// The type and the class of a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    row: u8,
    class: u8,
}

impl Size {
    #[inline(always)]
    fn new(kind: Kind, class: u8) -> Size {
        let row = match kind {
            Kind::String => 0,
            Kind::List => 1,
            Kind::Set => 2,
            Kind::Zset => 3,
            Kind::Hash => 4,
            Kind::Stream => return Size { row: COUNTED.len() as u8, class: 0 },
        };
        Size { row, class }
    }

    /// Of a string.
    #[inline(always)]
    pub(super) fn of_string(value: StoredStr<'_>) -> Size {
        let class = match value {
            StoredStr::Int(n) => class_of_integer(n),
            StoredStr::Bytes(bytes) => class(bytes.len()),
        };
        Size::new(Kind::String, class)
    }

    /// Of bytes.
    #[inline(always)]
    pub(super) fn of_bytes(len: usize) -> Size {
        Size::new(Kind::String, class(len))
    }

    /// Of the value in an entry.
    #[inline(always)]
    pub(super) fn of(entry: EntryRef<'_>) -> Size {
        match entry.string() {
            Some(value) => Size::of_string(value),
            None => Size::of_collection(entry),
        }
    }

    fn of_collection(entry: EntryRef<'_>) -> Size {
        fn size<T: Collection>(entry: EntryRef<'_>, len: impl FnOnce(&T) -> usize) -> Size {
            Size::new(T::KIND, class(entry.read::<T>().map_or(0, |value| len(&value))))
        }
        match entry.encoding() {
            Encoding::StrInline | Encoding::StrInt | Encoding::StrHeap => Size::of_bytes(0),
            Encoding::ListListpack | Encoding::ListQuick => size::<List>(entry, List::len),
            Encoding::SetInt | Encoding::SetListpack | Encoding::SetTable => size::<Set>(entry, Set::len),
            Encoding::HashListpack | Encoding::HashListpackEx | Encoding::HashTable | Encoding::HashTableEx => {
                size::<Hash>(entry, Hash::len)
            }
            Encoding::ZsetListpack | Encoding::ZsetTree => size::<Zset>(entry, Zset::len),
            Encoding::Stream => Size::new(Kind::Stream, 0),
        }
    }
}

/// Numbers of keys by type and size.
#[derive(Clone, PartialEq, Eq)]
pub struct Sizes {
    /// The last row takes what is not shown.
    counts: [[u64; CLASSES]; COUNTED.len() + 1],
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { counts: [[0; CLASSES]; COUNTED.len() + 1] }
    }
}

impl std::fmt::Debug for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

impl Sizes {
    #[inline]
    pub(super) fn added(&mut self, size: Size) {
        self.counts[size.row as usize][size.class as usize] += 1;
    }

    #[inline]
    pub(super) fn removed(&mut self, size: Size) {
        self.counts[size.row as usize][size.class as usize] -= 1;
    }

    #[inline]
    pub(super) fn changed(&mut self, before: Size, after: Size) {
        if before != after {
            self.removed(before);
            self.added(after);
        }
    }

    /// Of each type: how many keys have size 0, size 1, sizes 2 to 3, 4 to 7, and so on. Sizes are elements, of strings bytes.
    pub fn rows(&self) -> impl Iterator<Item = (Kind, &[u64])> {
        COUNTED.into_iter().zip(self.counts.iter().map(|row| &row[..]))
    }
}

/// A collection of a database, to be changed. It goes back into its entry on drop, and its size is counted anew.
#[derive(Debug)]
pub struct Mut<'a, T: Collection> {
    value: Opened<'a, T>,
    before: u8,
    sizes: &'a mut Sizes,
}

impl<'a, T: Collection> Mut<'a, T> {
    /// `value` is counted in `sizes` as it is now.
    #[inline]
    pub(super) fn new(value: Opened<'a, T>, sizes: &'a mut Sizes) -> Self {
        Mut { before: class(value.size()), value, sizes }
    }
}

impl<T: Collection> Deref for Mut<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Collection> DerefMut for Mut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Collection> Drop for Mut<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let after = class(self.value.size());
        self.sizes.changed(Size::new(T::KIND, self.before), Size::new(T::KIND, after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_counted_like_their_text() {
        let mut numbers = vec![0, i64::MAX, i64::MIN, i64::MIN + 1];
        for power in 0..19 {
            let n = 10i64.pow(power);
            numbers.extend([n - 1, n, n + 1, 1 - n, -n, -n - 1]);
        }
        for n in numbers {
            assert_eq!(class_of_integer(n), class(n.to_string().len()), "{n}");
        }
    }

    #[test]
    fn classes_are_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 7, 8, 1023, 1024].map(class), [0, 1, 2, 2, 3, 3, 4, 10, 11]);
        assert_eq!(class(usize::MAX) as usize, CLASSES - 1);
    }
}
