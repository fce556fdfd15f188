//! The append-only file: commands in RESP, in several files that a manifest puts in order.
//!
//! - [`manifest`]: which files there are;
//! - [`reader`]: commands back from a file;
//! - [`rewrite`]: data as commands;
//! - [`folder`]: the files on a disk, through rewrites and crashes.
//!
//! A file of commands may hold annotations, lines that begin with `#`: `#TS:` tells the time of what follows, `#CRC:` the
//! [`checksum`] of what precedes.

pub mod checksum;
pub mod folder;
pub mod manifest;
pub mod reader;
pub mod rewrite;

/// Appends a command.
///
/// ```
/// let mut file = Vec::new();
/// persistence::aof::encode(&mut file, [&b"DEL"[..], b"key"].into_iter());
/// assert_eq!(file, b"*2\r\n$3\r\nDEL\r\n$3\r\nkey\r\n");
/// ```
pub fn encode<'w>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'w [u8]>) {
    header(out, b'*', words.len());
    for word in words {
        header(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends an annotation that tells the time of what follows, in seconds since the epoch.
pub fn encode_timestamp(out: &mut Vec<u8>, seconds: i64) {
    out.extend_from_slice(b"#TS:");
    out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The time that an annotation (without its `#`) tells, if that is what it does.
#[must_use]
pub fn timestamp(annotation: &[u8]) -> Option<i64> {
    std::str::from_utf8(annotation.strip_prefix(b"TS:")?).ok()?.parse().ok()
}
