//! Reading commands back, batch by batch.
//!
//! The reader takes a file in large pieces and cuts out every complete command as slices; what memory it needs follows from
//! the bytes that are really there, never from a length that the file declares. Every command knows where it ends, so
//! that a file can be cut off behind the last one that is whole.
//!
//! ```
//! use persistence::aof::reader::{Item, Reader};
//!
//! let file = b"#TS:1700000000\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*1\r\n$8\r\nFLUSH";
//! let mut reader = Reader::new(&file[..], 0);
//! let batch = reader.batch()?;
//! assert_eq!(batch.items().count(), 2);
//! let Some(Item::Command(words)) = batch.items().last().map(|(item, _)| item) else { panic!("a command") };
//! assert_eq!(words.collect::<Vec<_>>(), [&b"DEL"[..], b"a"]);
//! assert!(reader.batch().is_err_and(|error| error.is_truncated()));
//! assert_eq!(reader.offset(), 36);
//! # Ok::<(), persistence::aof::reader::ReadError>(())
//! ```

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use super::checksum::{self, Sums};

/// Bytes taken from the file at once.
const READ_BYTES: usize = 256 * 1024;

/// Most commands in a batch.
const BATCH_MAX: usize = 64;

/// Longest annotation line, its end included, in bytes.
pub const ANNOTATION_MAX: usize = 1024;

/// Most words a command may have.
pub const WORDS_MAX: u64 = i32::MAX as u64;

/// Longest word, in bytes.
pub const WORD_BYTES_MAX: u64 = i64::MAX as u64 >> 1;

/// Why no more can be read.
#[derive(Debug)]
pub enum ReadError {
    /// The file ends within a command.
    Truncated,
    /// What follows is no command.
    Format(Malformed),
    /// The file cannot be read.
    Io(io::Error),
}

impl ReadError {
    /// Whether the file merely ends too early.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self, ReadError::Truncated)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Truncated => f.write_str("unexpected end of file"),
            ReadError::Format(malformed) => malformed.fmt(f),
            ReadError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Something that is no command.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the file.
    pub offset: u64,
    /// What is wrong there.
    pub what: Mistake,
}

/// What is not as expected. `Display` is Redis' wording where Redis has one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Another byte than the one that says what follows.
    Prefix {
        /// The one expected.
        expected: u8,
        /// The one found.
        got: u8,
    },
    /// A number, or a word, does not end with a line end.
    LineEnd {
        /// What is in its place.
        got: [u8; 2],
    },
    /// A number beyond the limits.
    Length,
    /// A command without words.
    NoWords,
    /// An annotation of more than [`ANNOTATION_MAX`] bytes.
    LongAnnotation,
    /// The checksum that an annotation tells is not that of the bytes before it.
    Checksum {
        /// So many since the one before.
        bytes: u64,
    },
}

impl Malformed {
    /// What the reader meets in a slice, `at` an index.
    fn at(at: usize, what: Mistake) -> Self {
        Malformed { offset: at as u64, what }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::Prefix { expected, got } => {
                write!(f, "Expected prefix '{}', got: '{}'", expected.escape_ascii(), got.escape_ascii())
            }
            Mistake::LineEnd { got: [first, second] } => {
                write!(f, "Expected \\r\\n, got: {first:02x}{second:02x}")
            }
            Mistake::Length => f.write_str("Expected a length, got one that is not in the suitable range"),
            Mistake::NoWords => f.write_str("Expected a command, got one without words"),
            Mistake::Checksum { bytes } => {
                write!(f, "Expected another checksum, the {bytes} bytes before it are damaged")
            }
            Mistake::LongAnnotation => write!(f, "Expected the end of a line within {ANNOTATION_MAX} bytes"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.what)
    }
}

/// Something in the file.
pub enum Item<'a, I> {
    /// A command: its words.
    Command(I),
    /// A line that says something about the file, without its `#` and its end.
    Annotation(&'a [u8]),
}

#[derive(Clone, Debug)]
struct Cut {
    /// Its words among `spans`; empty for an annotation.
    words: Range<usize>,
    /// An annotation's text.
    annotation: Range<usize>,
    /// Where it ends in the file.
    end: u64,
}

/// Reads a file of commands.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer the first byte stands that is not cut yet.
    start: usize,
    /// Where in the file that is.
    offset: u64,
    spans: Vec<Range<usize>>,
    cuts: Vec<Cut>,
    ended: bool,
    failed: Option<ReadError>,
    sums: Option<Verified>,
}

/// What is known of the checksums of a file.
#[derive(Debug)]
struct Verified {
    /// The block that is being read, as far as it was summed.
    block: Sums,
    /// Where in the buffer the first byte stands that was not.
    from: usize,
    /// Where in the file the block begins.
    begin: u64,
}

/// Commands that follow each other.
#[derive(Debug)]
pub struct Batch<'a> {
    buffer: &'a [u8],
    spans: &'a [Range<usize>],
    cuts: &'a [Cut],
}

impl<'a> Batch<'a> {
    /// Whether the file has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The items, each with the place in the file where it ends.
    pub fn items(&self) -> impl Iterator<Item = (Item<'a, impl ExactSizeIterator<Item = &'a [u8]> + use<'a>>, u64)> {
        let (buffer, spans) = (self.buffer, self.spans);
        self.cuts.iter().map(move |cut| {
            let item = if cut.words.is_empty() {
                Item::Annotation(&buffer[cut.annotation.clone()])
            } else {
                Item::Command(spans[cut.words.clone()].iter().map(move |span| &buffer[span.clone()]))
            };
            (item, cut.end)
        })
    }
}

impl<R: Read> Reader<R> {
    /// Reads `source`, whose first byte stands at `offset` in the file.
    pub fn new(source: R, offset: u64) -> Self {
        Reader {
            source,
            buffer: Vec::new(),
            start: 0,
            offset,
            spans: Vec::new(),
            cuts: Vec::new(),
            ended: false,
            failed: None,
            sums: None,
        }
    }

    /// From now on, which must be the beginning, checksums are compared where there are any.
    pub fn verify_checksums(&mut self) {
        self.sums = Some(Verified { block: Sums::default(), from: self.start, begin: self.offset });
    }

    /// Where in the file the last block ends whose checksum is good, when they are compared.
    #[must_use]
    pub fn verified(&self) -> Option<u64> {
        self.sums.as_ref().map(|sums| sums.begin)
    }

    /// Where the last item that was handed out ends in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next commands. An empty batch is the end of the file. Errors come after the last whole command was handed out.
    ///
    /// # Errors
    /// Why no more can be read.
    pub fn batch(&mut self) -> Result<Batch<'_>, ReadError> {
        self.cuts.clear();
        self.spans.clear();
        while self.cuts.is_empty() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.cut();
            if self.cuts.is_empty() && self.failed.is_none() {
                if self.ended {
                    if self.start == self.buffer.len() {
                        break;
                    }
                    return Err(self.cut_off());
                }
                self.fill().map_err(ReadError::Io)?;
            }
        }
        Ok(Batch { buffer: &self.buffer, spans: &self.spans, cuts: &self.cuts })
    }

    /// What the end of a file within a command means: if a checksum of the same block follows, that its length is damaged.
    fn cut_off(&self) -> ReadError {
        let rest = &self.buffer[self.start..];
        match &self.sums {
            Some(sums) if checksum::ends_later(self.offset - sums.begin, rest) => {
                let bytes = self.offset - sums.begin + rest.len() as u64;
                ReadError::Format(Malformed { offset: self.offset, what: Mistake::Checksum { bytes } })
            }
            _ => ReadError::Truncated,
        }
    }

    /// Reads more: what is left moves to the front, and the room doubles when one command fills all of it.
    fn fill(&mut self) -> io::Result<()> {
        if let Some(sums) = &mut self.sums {
            sums.block.update(&self.buffer[sums.from..self.start]);
            sums.from = 0;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let want = READ_BYTES.max(self.buffer.len());
        self.buffer.try_reserve(want).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let got = self.source.by_ref().take(want as u64).read_to_end(&mut self.buffer)?;
        self.ended = got < want;
        Ok(())
    }

    /// Cuts complete items out of the buffer.
    fn cut(&mut self) {
        while self.cuts.len() < BATCH_MAX {
            let first = self.spans.len();
            let mut at = self.start;
            match parse(&self.buffer, &mut at, &mut self.spans) {
                Ok(Some(annotation)) => {
                    if let Some(sums) = &mut self.sums
                        && self.spans.len() == first
                    {
                        let end = self.offset + (at - self.start) as u64;
                        if let Err(what) = sums.meet(&self.buffer, self.start, &annotation, at, end) {
                            self.failed = Some(ReadError::Format(Malformed { offset: self.offset, what }));
                            return;
                        }
                    }
                    self.offset += (at - self.start) as u64;
                    self.start = at;
                    self.cuts.push(Cut { words: first..self.spans.len(), annotation, end: self.offset });
                }
                Ok(None) => {
                    self.spans.truncate(first);
                    return;
                }
                Err(Malformed { offset, what }) => {
                    self.spans.truncate(first);
                    let offset = self.offset + (offset - self.start as u64);
                    self.failed = Some(ReadError::Format(Malformed { offset, what }));
                    return;
                }
            }
        }
    }
}

impl Verified {
    /// Looks at an annotation that begins at `start` of the buffer and ends at `next`, which is `end` in the file.
    fn meet(
        &mut self,
        buffer: &[u8],
        start: usize,
        annotation: &Range<usize>,
        next: usize,
        end: u64,
    ) -> Result<(), Mistake> {
        let text = &buffer[annotation.clone()];
        if !checksum::is_one(text) {
            return Ok(());
        }
        self.block.update(&buffer[self.from..start]);
        self.from = start;
        if !self.block.is_ended_by(text) {
            return Err(Mistake::Checksum { bytes: self.block.bytes() });
        }
        *self = Verified { block: Sums::default(), from: next, begin: end };
        Ok(())
    }
}

/// Cuts one item out, from `at` on; `None` when it is not there as a whole. The range is that of an annotation's text.
fn parse(buffer: &[u8], at: &mut usize, spans: &mut Vec<Range<usize>>) -> Result<Option<Range<usize>>, Malformed> {
    match buffer.get(*at) {
        None => return Ok(None),
        Some(b'#') => {
            let line = &buffer[*at..buffer.len().min(*at + ANNOTATION_MAX)];
            let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                return match line.len() {
                    ANNOTATION_MAX => Err(Malformed::at(*at, Mistake::LongAnnotation)),
                    _ => Ok(None),
                };
            };
            let text = *at + 1..*at + end - usize::from(line[end - 1] == b'\r' && end > 1);
            *at += end + 1;
            return Ok(Some(text));
        }
        Some(_) => {}
    }
    let begin = *at;
    let Some(count) = header(buffer, at, b'*', WORDS_MAX)? else { return Ok(None) };
    if count == 0 {
        return Err(Malformed::at(begin, Mistake::NoWords));
    }
    for _ in 0..count {
        let Some(len) = header(buffer, at, b'$', WORD_BYTES_MAX)? else { return Ok(None) };
        let Some(end) =
            (buffer.len() - *at).checked_sub(2).filter(|&room| room as u64 >= len).map(|_| *at + len as usize)
        else {
            return Ok(None);
        };
        if &buffer[end..end + 2] != b"\r\n" {
            return Err(Malformed::at(*at, Mistake::LineEnd { got: [buffer[end], buffer[end + 1]] }));
        }
        spans.push(*at..end);
        *at = end + 2;
    }
    Ok(Some(0..0))
}

/// Reads `*N\r\n` or `$N\r\n`.
#[inline]
fn header(buffer: &[u8], at: &mut usize, kind: u8, max: u64) -> Result<Option<u64>, Malformed> {
    let mut rest = buffer[*at..].iter();
    match rest.next() {
        None => return Ok(None),
        Some(&got) if got != kind => return Err(Malformed::at(*at, Mistake::Prefix { expected: kind, got })),
        Some(_) => {}
    }
    let (mut number, mut digits) = (0_u64, 0);
    for &byte in rest.by_ref() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                // No limit is near the end of the range: the product fits.
                number = if digits > 19 { u64::MAX } else { number * 10 + u64::from(byte - b'0') };
                if number > max {
                    return Err(Malformed::at(*at, Mistake::Length));
                }
            }
            b'\r' if digits > 0 => {
                return match rest.next() {
                    None => Ok(None),
                    Some(b'\n') => {
                        *at += digits + 3;
                        Ok(Some(number))
                    }
                    Some(&next) => Err(Malformed::at(*at, Mistake::LineEnd { got: [byte, next] })),
                };
            }
            _ => {
                let got = [byte, rest.next().copied().unwrap_or(0)];
                return Err(Malformed::at(*at, Mistake::LineEnd { got }));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::encode;
    use proptest::prelude::*;

    /// A source that gives at most `step` bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = into.len().min(self.1).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// Everything that can be read, the place behind the last whole item, and whether the end was clean.
    fn read_all(bytes: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, u64, Result<(), ReadError>) {
        let mut reader = Reader::new(Slow(bytes, step), 0);
        let mut all = Vec::new();
        loop {
            match reader.batch() {
                Ok(batch) if batch.is_empty() => return (all, reader.offset(), Ok(())),
                Ok(batch) => {
                    for (item, _) in batch.items() {
                        if let Item::Command(words) = item {
                            all.push(words.map(<[u8]>::to_vec).collect());
                        }
                    }
                }
                Err(error) => return (all, reader.offset(), Err(error)),
            }
        }
    }

    #[test]
    fn refuses_what_is_no_command() {
        for bytes in [
            "!!!",
            "*0\r\n",
            "*-1\r\n$1\r\n",
            "*\r\n",
            "*1\n",
            "*1\r\n$-1\r\n",
            "*1\r\n+x\r\n",
            "*1\r\n$1\r\nxyz\r\n",
            "*99999999999\r\n",
            "*1\r\n$99999999999999999999\r\n",
            "*1\r\n$29999999999999999999\r\n",
            "* 1\r\n",
            "*1\rx",
        ] {
            let (all, offset, end) = read_all(bytes.as_bytes(), 7);
            assert!(all.is_empty() && offset == 0 && matches!(end, Err(ReadError::Format(_))), "{bytes:?}");
        }
        let long = [b"#".as_slice(), &[b'x'; ANNOTATION_MAX]].concat();
        assert!(matches!(read_all(&long, 7).2, Err(ReadError::Format(_))));
    }

    #[test]
    fn tells_what_it_expected_and_where() {
        for (bytes, expected) in [
            ("*2\r\n$3\r\nDEL\r\n!1\r\na\r\n", "at offset 33: Expected prefix '$', got: '!'"),
            ("*2\r\n$3\r\nDEL\r\n$1\r\nabc\r\n", "at offset 37: Expected \\r\\n, got: 6263"),
            ("*x\r\n$3\r\nDEL\r\n", "at offset 20: Expected \\r\\n, got: 780d"),
        ] {
            let bytes = ["*2\r\n$3\r\nDEL\r\n$1\r\na\r\n", bytes].concat();
            let (all, offset, end) = read_all(bytes.as_bytes(), 7);
            assert_eq!((all.len(), offset), (1, 20));
            assert_eq!(end.unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_declared_length_takes_no_memory() {
        let mut reader = Reader::new(&b"*1\r\n$4000000000000000000\r\nx"[..], 0);
        assert!(reader.batch().is_err_and(|error| error.is_truncated()));
        assert!(reader.buffer.capacity() <= 2 * READ_BYTES);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_any_cut_is_found(
            commands in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..5), 0..20),
            step in 1_usize..64,
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = b"#TS:1\r\n".to_vec();
            let mut ends = vec![0, bytes.len()];
            for command in &commands {
                encode(&mut bytes, command.iter().map(Vec::as_slice));
                ends.push(bytes.len());
            }
            let (all, offset, end) = read_all(&bytes, step);
            prop_assert!(end.is_ok());
            prop_assert_eq!(&all, &commands);
            prop_assert_eq!(offset as usize, bytes.len());

            let len = cut.index(bytes.len() + 1);
            let (all, offset, end) = read_all(&bytes[..len], step);
            let whole = ends.iter().rposition(|&end| end <= len).unwrap();
            prop_assert_eq!(offset as usize, ends[whole]);
            prop_assert_eq!(&all[..], &commands[..whole.saturating_sub(1)]);
            prop_assert_eq!(end.is_ok(), ends[whole] == len);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (_, offset, _) = read_all(&bytes, 5);
            prop_assert!(offset as usize <= bytes.len());
        }
    }
}
