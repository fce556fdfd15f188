//! Buffers that clients borrow while they have something in them. An idle client owns none.

/// Capacity of a fresh buffer, in bytes.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Most buffers kept.
const KEPT_MAX: usize = 256;

/// A stock of empty buffers.
#[derive(Debug, Default)]
pub struct Pool(Vec<Vec<u8>>);

impl Pool {
    /// An empty buffer.
    #[inline]
    pub fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    /// Gives a buffer back. One of another size than a fresh one's is freed.
    #[inline]
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() == BUFFER_BYTES && self.0.len() < KEPT_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }

    /// Frees what a quiet server does not need.
    pub fn trim(&mut self) {
        let keep = self.0.len() / 2;
        self.0.truncate(keep);
    }
}
