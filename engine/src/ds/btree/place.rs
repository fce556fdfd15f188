//! Places between two members.

use std::cmp::Ordering;

use crate::ds::zmember::ZRef;

/// Maps a score to an integer of the same order. Negative zero equals zero, as it does for Redis.
#[inline]
pub(crate) fn order_key(score: f64) -> u64 {
    debug_assert!(!score.is_nan(), "NaN has no place in the order");
    let bits = (score + 0.0).to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
}

/// A place between two members, described by what lies before it.
///
/// `before` must hold for a prefix of the order and fail for the rest.
pub(crate) trait Place {
    /// True when a member with this score key lies to the left of the place.
    fn before(&self, key: u64, member: ZRef) -> bool;
}

/// Just before, or just after, all members of one score.
pub(crate) struct AtScore {
    pub(crate) key: u64,
    /// True: members of exactly this score lie before the place.
    pub(crate) after: bool,
}

impl Place for AtScore {
    #[inline]
    fn before(&self, key: u64, _: ZRef) -> bool {
        if self.after { key <= self.key } else { key < self.key }
    }
}

/// Just before, or just after, a member name, in a set whose scores are all equal (otherwise the place is unspecified,
/// as it is in Redis).
pub(crate) struct AtName<'a> {
    pub(crate) name: &'a [u8],
    /// True: the name itself lies before the place.
    pub(crate) after: bool,
}

impl Place for AtName<'_> {
    #[inline]
    fn before(&self, _: u64, member: ZRef) -> bool {
        let name = member.name();
        if self.after { name <= self.name } else { name < self.name }
    }
}

/// Just after (score, name): a member of exactly that pair lies before the place.
pub(super) struct AfterPair<'a> {
    pub(super) key: u64,
    pub(super) name: &'a [u8],
}

impl Place for AfterPair<'_> {
    #[inline]
    fn before(&self, key: u64, member: ZRef) -> bool {
        key < self.key || (key == self.key && member.name() <= self.name)
    }
}

/// Compares (score, name) pairs as the tree orders them.
#[inline]
pub(super) fn compare(a: ZRef, score: f64, name: &[u8]) -> Ordering {
    order_key(a.score()).cmp(&order_key(score)).then_with(|| a.name().cmp(name))
}
