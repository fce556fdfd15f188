//! What a client has yet to receive.
//!
//! A reply is written straight into one growing buffer; what the kernel does not take at once stays. An idle
//! client has no buffer at all: it goes back to a pool. Memory is what is kept here and not sent, so a limit on it
//! is a limit on what a client that does not read can cost.

use std::io;

use engine::time::UnixMs;

use crate::net::socket::Socket;

/// Most bytes written to one client before the others get their turn.
const WRITE_MAX: usize = 256 * 1024;

/// Capacity above which an emptied buffer is not kept.
pub const KEEP_MAX: usize = 64 * 1024;

/// Bytes to be sent.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes; the first `sent` of them are gone already.
    bytes: Vec<u8>,
    sent: usize,
    /// Since when the soft limit has been passed.
    pub soft_limit_since: Option<UnixMs>,
}

/// What a flush left.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing.
    All,
    /// The kernel takes no more for now.
    Some,
}

impl Output {
    /// Bytes not sent yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.sent
    }

    /// Bytes allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The buffer, to be written to at its end.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes the buffer out while a command writes to it; give it back with [`restore`](Self::restore).
    #[inline]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Gives the buffer back. What was written to the empty one in the meantime is dropped: nothing may be.
    #[inline]
    pub fn restore(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.bytes.is_empty(), "others write to a running client through its pending pushes");
        self.bytes = bytes;
    }

    /// Whether there is no buffer.
    #[must_use]
    pub fn has_no_buffer(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// Forgets everything that is not sent.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
        self.sent = 0;
    }

    /// Takes the emptied buffer for the pool.
    pub fn take_empty(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty(), "only an emptied buffer is given away");
        self.sent = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes
    }

    /// Sends what the kernel takes; returns what is left and how many bytes went out.
    ///
    /// # Errors
    /// What the kernel says when the connection is broken.
    pub fn flush(&mut self, socket: &Socket) -> io::Result<(Flushed, usize)> {
        let mut total = 0;
        while !self.is_empty() && total < WRITE_MAX {
            match socket.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.sent += n;
                    total += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
            return Ok((Flushed::All, total));
        }
        // What is sent is given back once it is the larger part, so that the moves stay linear in all.
        if self.sent > self.bytes.len() / 2 && self.sent > KEEP_MAX {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            self.bytes.shrink_to(self.bytes.len() * 2);
        }
        Ok((Flushed::Some, total))
    }
}
