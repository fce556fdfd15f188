//! Checksums of a file of commands, in annotations: `#CRC:BYTES:SUM` tells the CRC-64, in 16 hexadecimal digits, of so many
//! bytes that stand before it. Redis passes over such lines.
//!
//! Blocks follow each other without a gap. `#CRC:0:0000000000000000` begins one behind what has no checksum, as somebody else may
//! have written it. What stands behind the last annotation is not covered.
//!
//! ```
//! use persistence::aof::{checksum::Sums, reader::Reader};
//!
//! let mut file = b"*1\r\n$8\r\nFLUSHALL\r\n".to_vec();
//! let mut sums = Sums::default();
//! sums.update(&file);
//! sums.close(&mut file);
//! file[8] = b'f';
//! let mut reader = Reader::new(&file[..], 0);
//! reader.verify_checksums();
//! assert_eq!(reader.batch().expect("a command").items().count(), 1);
//! let error = reader.batch().expect_err("damage");
//! assert_eq!(error.to_string(), "at offset 18: Expected another checksum, the 18 bytes before it are damaged");
//! # Ok::<(), persistence::aof::reader::ReadError>(())
//! ```

use std::io::Write as _;

use crate::crc64::Crc64;

/// What an annotation begins with, behind its `#`.
const PREFIX: &[u8] = b"CRC:";

/// Bytes after which a block is better closed.
pub const BLOCK_BYTES: u64 = 256 << 10;

/// The checksum of the block that is being written.
#[derive(Debug, Default)]
pub struct Sums {
    crc: Crc64,
    bytes: u64,
}

impl Sums {
    /// Takes in what is written.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Bytes of the block so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends the annotation that ends the block. The next one begins behind it.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        let Sums { crc, bytes } = std::mem::take(self);
        write!(out, "#CRC:{bytes}:{:016x}\r\n", crc.value()).expect("memory takes everything");
    }

    /// Whether an annotation of this kind, without its `#`, ends the block rightly.
    pub(crate) fn is_ended_by(&self, annotation: &[u8]) -> bool {
        let told = annotation.strip_prefix(PREFIX).and_then(parse);
        // A block of nothing is a beginning.
        told.is_some_and(|told| told == (self.bytes, self.crc.value()) || told == (0, 0))
    }
}

/// Whether an annotation, without its `#`, is meant to tell a checksum.
pub(crate) fn is_one(annotation: &[u8]) -> bool {
    annotation.starts_with(PREFIX)
}

fn parse(text: &[u8]) -> Option<(u64, u64)> {
    let (bytes, crc) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let plain = crc.len() == 16 && crc.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = !bytes.is_empty() && bytes.bytes().all(|byte| byte.is_ascii_digit());
    (plain && number).then_some(())?;
    Some((bytes.parse().ok()?, u64::from_str_radix(crc, 16).ok()?))
}

/// Whether the end of a file that cannot be read on, `rest`, holds the annotation of the block whose first byte stands `before`
/// bytes in front of it: then the file is damaged, and not merely cut off.
pub(crate) fn ends_later(before: u64, rest: &[u8]) -> bool {
    let marker = [b"\n#", PREFIX].concat();
    memchr::memmem::find_iter(rest, &marker).any(|at| {
        let text = &rest[at + marker.len()..];
        let line = memchr::memchr(b'\n', &text[..text.len().min(64)]).map(|end| text[..end].trim_ascii_end());
        line.and_then(parse).is_some_and(|(bytes, _)| bytes > 0 && before + at as u64 + 1 == bytes)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aof::encode;
    use crate::aof::reader::{Item, Malformed, Mistake, ReadError, Reader};

    type Commands = Vec<Vec<Vec<u8>>>;

    fn read(bytes: &[u8]) -> (Commands, u64, Result<(), ReadError>) {
        let mut reader = Reader::new(bytes, 0);
        reader.verify_checksums();
        let mut all = Vec::new();
        let end = loop {
            match reader.batch() {
                Ok(batch) if batch.is_empty() => break Ok(()),
                Ok(batch) => {
                    for (item, _) in batch.items() {
                        if let Item::Command(words) = item {
                            all.push(words.map(<[u8]>::to_vec).collect());
                        }
                    }
                }
                Err(error) => break Err(error),
            }
        };
        (all, reader.verified().expect("asked for"), end)
    }

    /// A file with a block for each group of commands, and where the blocks end.
    fn file(blocks: &[Commands]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for commands in blocks {
            let (mut sums, start) = (Sums::default(), bytes.len());
            commands.iter().for_each(|command| encode(&mut bytes, command.iter().map(Vec::as_slice)));
            sums.update(&bytes[start..]);
            sums.close(&mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn blocks() -> impl Strategy<Value = Vec<Commands>> {
        let word = prop_oneof![prop::collection::vec(any::<u8>(), 0..20), Just(b"\n#CRC:7:".to_vec())];
        let commands = prop::collection::vec(prop::collection::vec(word, 1..4), 1..6);
        prop::collection::vec(commands, 1..5)
    }

    proptest! {
        #[test]
        fn a_wrong_byte_never_gives_other_commands(blocks in blocks(), at: prop::sample::Index, flip in 1..=255u8) {
            let (mut bytes, ends) = file(&blocks);
            let (all, verified, end) = read(&bytes);
            prop_assert!(end.is_ok());
            prop_assert_eq!(verified as usize, bytes.len());
            prop_assert_eq!(&all, &blocks.concat());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let (damaged, verified, end) = read(&bytes);
            // The file may still hold the same when it is an annotation that was hit.
            prop_assert!(damaged == all || matches!(end, Err(ReadError::Format(_))), "{end:?}");
            prop_assert!(ends.contains(&(verified as usize)));
            prop_assert!(damaged == all || verified as usize <= at);
        }

        #[test]
        fn a_file_that_is_cut_off_is_not_damaged(blocks in blocks(), cut: prop::sample::Index) {
            let (bytes, ends) = file(&blocks);
            let cut = cut.index(bytes.len() + 1);
            let (some, verified, end) = read(&bytes[..cut]);
            prop_assert!(matches!(end, Ok(()) | Err(ReadError::Truncated)), "{end:?}");
            prop_assert_eq!(verified as usize, *ends.iter().rfind(|&&end| end <= cut).expect("0"));
            prop_assert!(blocks.concat().starts_with(&some));
        }
    }

    #[test]
    fn what_others_append_is_taken_as_it_is() {
        let block = vec![vec![b"DEL".to_vec(), b"a".to_vec()]];
        let (mut bytes, _) = file(std::slice::from_ref(&block));
        encode(&mut bytes, [&b"DEL"[..], b"b"].into_iter());
        let foreign = bytes.len();
        Sums::default().close(&mut bytes);
        bytes.extend(file(&[block]).0);
        let (all, verified, end) = read(&bytes);
        assert!(end.is_ok());
        assert_eq!((all.len(), verified as usize), (3, bytes.len()));
        // Without the beginning the next checksum is not that of what precedes it.
        let (all, _, end) = read(&[&bytes[..foreign], &bytes[foreign + 25..]].concat());
        let what = Mistake::Checksum { bytes: 40 };
        assert!(matches!(&end, Err(ReadError::Format(Malformed { what: it, .. })) if *it == what), "{end:?}");
        assert_eq!(all.len(), 3);
    }
}
