//! Replies.
use crate::Protocol;
use std::fmt::Display;

/// Writes replies.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Writer<'a> {
    /// New.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Writer { out, protocol }
    }
    /// Protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
    /// Sets it.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }
    /// Buffer.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }
    fn line(&mut self, kind: u8, n: i64) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
    /// Simple.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
    /// OK.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }
    /// Error.
    pub fn error(&mut self, text: impl Display) {
        let t = text.to_string().replace(['\r', '\n'], " ");
        self.out.push(b'-');
        self.out.extend_from_slice(t.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
    /// Integer.
    pub fn integer(&mut self, n: i64) {
        self.line(b':', n);
    }
    /// Bulk.
    pub fn bulk(&mut self, b: &[u8]) {
        self.line(b'$', b.len() as i64);
        self.out.extend_from_slice(b);
        self.out.extend_from_slice(b"\r\n");
    }
    /// Bulk integer.
    pub fn bulk_integer(&mut self, n: i64) {
        let mut b = itoa::Buffer::new();
        let t = b.format(n);
        self.bulk(t.as_bytes());
    }
    /// Bulk of displayed.
    pub fn bulk_display(&mut self, d: impl Display) {
        self.bulk(d.to_string().as_bytes());
    }
    /// Null.
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.protocol == Protocol::Resp2 { b"$-1\r\n" } else { b"_\r\n" });
    }
    /// Null array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.protocol == Protocol::Resp2 { b"*-1\r\n" } else { b"_\r\n" });
    }
    /// Array.
    pub fn array(&mut self, n: usize) {
        self.line(b'*', n as i64);
    }
    /// Map.
    pub fn map(&mut self, n: usize) {
        if self.protocol == Protocol::Resp2 { self.line(b'*', 2 * n as i64) } else { self.line(b'%', n as i64) }
    }
    /// Set.
    pub fn set(&mut self, n: usize) {
        self.line(if self.protocol == Protocol::Resp2 { b'*' } else { b'~' }, n as i64);
    }
    /// Push.
    pub fn push(&mut self, n: usize) {
        self.line(if self.protocol == Protocol::Resp2 { b'*' } else { b'>' }, n as i64);
    }
    /// Verbatim.
    pub fn verbatim(&mut self, ext: &str, b: &[u8]) {
        if self.protocol == Protocol::Resp2 {
            self.bulk(b)
        } else {
            self.line(b'=', b.len() as i64 + 4);
            self.out.extend_from_slice(ext.as_bytes());
            self.out.push(b':');
            self.out.extend_from_slice(b);
            self.out.extend_from_slice(b"\r\n");
        }
    }
}
