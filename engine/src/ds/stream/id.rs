//! Ids of entries.

use std::fmt;

/// The id of an entry: a time and a number within it. Ids of a stream only grow.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since the epoch, as a rule.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

/// Room for the text of an id: two numbers of twenty digits and a hyphen.
#[derive(Copy, Clone, Debug)]
pub struct IdText([u8; 41]);

impl IdText {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        IdText([0; 41])
    }
}

impl Default for IdText {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamId {
    /// `0-0`: before every entry.
    pub const MIN: Self = StreamId { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: Self = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The id `ms-seq`.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The id right after this one; `None` after the greatest.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id right before this one; `None` before `0-0`.
    #[must_use]
    pub fn prev(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Sixteen bytes that sort as the ids do: how they are keyed in RDB files.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// What [`to_bytes`](Self::to_bytes) gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        StreamId { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// `ms-seq`, written into `room`.
    #[inline]
    #[must_use]
    pub fn text(self, room: &mut IdText) -> &[u8] {
        let mut digits = itoa::Buffer::new();
        let ms = digits.format(self.ms).as_bytes();
        let mut len = ms.len();
        room.0[..len].copy_from_slice(ms);
        room.0[len] = b'-';
        len += 1;
        let mut digits = itoa::Buffer::new();
        let seq = digits.format(self.seq).as_bytes();
        room.0[len..len + seq.len()].copy_from_slice(seq);
        &room.0[..len + seq.len()]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_texts() {
        assert_eq!(StreamId::new(5, u64::MAX).next(), Some(StreamId::new(6, 0)));
        assert_eq!(StreamId::new(6, 0).prev(), Some(StreamId::new(5, u64::MAX)));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.prev()), (None, None));
        assert_eq!(StreamId::new(1, 2).text(&mut IdText::new()), b"1-2");
        assert_eq!(StreamId::MAX.text(&mut IdText::new()), StreamId::MAX.to_string().as_bytes());
        let id = StreamId::new(0x0102, 3);
        assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
        assert!(id.to_bytes() < StreamId::new(0x0102, 4).to_bytes());
    }
}
