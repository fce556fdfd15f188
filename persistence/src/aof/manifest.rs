//! The manifest: which files make up the append-only file, in which order.
//!
//! A line a file: `file appendonly.aof.1.base.rdb seq 1 type b`. At most one base (`b`), any number of increments
//! (`i`) with rising numbers, and files that are no longer needed (`h`), to be removed. Pairs of words that are not
//! known are skipped; an increment may tell the replication offsets between which it was written.
//!
//! ```
//! use persistence::aof::manifest::Manifest;
//!
//! let text = b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
//! let manifest = Manifest::parse(text)?;
//! assert_eq!(manifest.base.as_ref().map(|base| base.seq), Some(1));
//! assert_eq!(manifest.to_bytes(), text);
//! # Ok::<(), persistence::aof::manifest::ManifestError>(())
//! ```

use std::fmt;

use resp::inline;

/// Longest line, its end included, in bytes.
pub const LINE_MAX: usize = 1024;

/// Largest number of a file that is read: there is always a next one.
const SEQ_MAX: u64 = i64::MAX as u64;

/// Room that offsets take in a line, in bytes.
const OFFSETS_LEN: usize = " startoffset  endoffset ".len() + 2 * 20;

/// Most files a manifest may name: far more than rewrites that failed in a row can leave behind.
pub const FILES_MAX: usize = 1 << 20;

/// What a file is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FileType {
    /// The data as they were at the last rewrite.
    Base,
    /// Commands since.
    Incr,
    /// No longer needed.
    History,
}

impl FileType {
    fn letter(self) -> char {
        match self {
            FileType::Base => 'b',
            FileType::Incr => 'i',
            FileType::History => 'h',
        }
    }
}

/// A file of the append-only file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Name, without a path.
    pub name: Vec<u8>,
    /// Number within its type; at least 1.
    pub seq: u64,
    /// Purpose.
    pub file_type: FileType,
    /// Replication offset before its first command.
    pub start_offset: Option<u64>,
    /// Replication offset behind its last command; known when the file was closed in an orderly way.
    pub end_offset: Option<u64>,
}

impl FileInfo {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"file ");
        if inline::needs_quotes(&self.name) {
            out.extend_from_slice(inline::quote(&self.name).as_bytes());
        } else {
            out.extend_from_slice(&self.name);
        }
        out.extend_from_slice(format!(" seq {} type {}", self.seq, self.file_type.letter()).as_bytes());
        for (word, offset) in [("startoffset", self.start_offset), ("endoffset", self.end_offset)] {
            if let Some(offset) = offset {
                out.extend_from_slice(format!(" {word} {offset}").as_bytes());
            }
        }
        out.push(b'\n');
    }
}

/// Why a manifest is refused. `Display` is Redis' wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The line, counted from 1, and its text; `None` when no line is to blame.
    pub line: Option<(usize, Vec<u8>)>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a manifest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing in it.
    Empty,
    /// A line has no end, or none within [`LINE_MAX`].
    LineTooLong,
    /// A line is not made of pairs, or lacks one that is needed, or a number is none.
    Format,
    /// A file's name is a path.
    Path,
    /// A file's name is too long to be written again, with what must be escaped.
    Name,
    /// A second base.
    DuplicateBase,
    /// Numbers of increments do not rise.
    NotMonotonic,
    /// A type that is none.
    Type,
    /// More than [`FILES_MAX`].
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Empty => "Found an empty AOF manifest",
            Reason::LineTooLong => "The AOF manifest file contains too long line",
            Reason::Format => "Invalid AOF manifest file format",
            Reason::Path => "File can't be a path, just a filename",
            Reason::Name => "A file name is too long",
            Reason::DuplicateBase => "Found duplicate base file information",
            Reason::NotMonotonic => "Found a non-monotonic sequence number",
            Reason::Type => "Unknown AOF file type",
            Reason::TooMany => "The AOF manifest names too many files",
        })
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for ManifestError {}

/// The files, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The base.
    pub base: Option<FileInfo>,
    /// Files that are no longer needed, the last one first.
    pub history: Vec<FileInfo>,
    /// The increments, the oldest first.
    pub incrs: Vec<FileInfo>,
    /// Largest number of a base so far.
    base_seq: u64,
    /// Largest number of an increment so far.
    incr_seq: u64,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The first line that cannot be understood, or what is wrong with the whole.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let whole = |reason| ManifestError { line: None, reason };
        if text.is_empty() {
            return Err(whole(Reason::Empty));
        }
        let mut manifest = Manifest::default();
        let mut files = 0;
        for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n").filter(|line| line.len() < LINE_MAX) else {
                return Err(whole(Reason::LineTooLong));
            };
            if line.starts_with(b"#") {
                continue;
            }
            let at_line = |reason| ManifestError { line: Some((index + 1, line.to_vec())), reason };
            files += 1;
            if files > FILES_MAX {
                return Err(at_line(Reason::TooMany));
            }
            manifest.add(parse_line(line).map_err(at_line)?).map_err(at_line)?;
        }
        Ok(manifest)
    }

    fn add(&mut self, file: FileInfo) -> Result<(), Reason> {
        match file.file_type {
            FileType::Base => {
                if self.base.is_some() {
                    return Err(Reason::DuplicateBase);
                }
                self.base_seq = file.seq;
                self.base = Some(file);
            }
            FileType::Incr => {
                if file.seq <= self.incr_seq {
                    return Err(Reason::NotMonotonic);
                }
                self.incr_seq = file.seq;
                self.incrs.push(file);
            }
            FileType::History => self.history.push(file),
        }
        Ok(())
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for file in self.base.iter().chain(&self.history).chain(&self.incrs) {
            file.write(&mut out);
        }
        out
    }

    /// The files to be loaded, in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &FileInfo> {
        let files: Vec<_> = self.base.iter().chain(&self.incrs).collect();
        files.into_iter()
    }

    /// Takes a base under the next number: `NAME.N.base.rdb`, or `.aof` when it is made of commands. The former base is history.
    pub fn add_base(&mut self, name: &[u8], rdb: bool) -> &FileInfo {
        if let Some(old) = self.base.take() {
            self.retire(old);
        }
        self.base_seq += 1;
        let format = if rdb { "rdb" } else { "aof" };
        self.base.insert(FileInfo {
            name: [name, format!(".{}.base.{format}", self.base_seq).as_bytes()].concat(),
            seq: self.base_seq,
            file_type: FileType::Base,
            start_offset: None,
            end_offset: None,
        })
    }

    /// Takes a file of a time before manifests as the base, under its own name.
    pub fn adopt_base(&mut self, name: &[u8]) {
        self.base_seq = 1;
        self.base = Some(FileInfo {
            name: name.to_vec(),
            seq: 1,
            file_type: FileType::Base,
            start_offset: None,
            end_offset: None,
        });
    }

    /// Adds an increment under the next number, `NAME.N.incr.aof`, that begins at a replication offset.
    pub fn add_incr(&mut self, name: &[u8], start_offset: u64) -> &FileInfo {
        self.incr_seq += 1;
        self.incrs.push(FileInfo {
            name: [name, format!(".{}.incr.aof", self.incr_seq).as_bytes()].concat(),
            seq: self.incr_seq,
            file_type: FileType::Incr,
            start_offset: Some(start_offset),
            end_offset: None,
        });
        &self.incrs[self.incrs.len() - 1]
    }

    /// Makes the first `count` increments history: a base holds what they say.
    pub fn retire_incrs(&mut self, count: usize) {
        let retired = self.incrs.drain(..count).rev().map(|file| FileInfo { file_type: FileType::History, ..file });
        self.history.splice(..0, retired);
        if self.incrs.is_empty() {
            self.incr_seq = 0;
        }
    }

    fn retire(&mut self, mut file: FileInfo) {
        file.file_type = FileType::History;
        self.history.insert(0, file);
    }
}

fn parse_line(line: &[u8]) -> Result<FileInfo, Reason> {
    let words = inline::split_words(line).map_err(|_| Reason::Format)?;
    // The three pairs that every file has.
    if words.len() < 6 || words.len() % 2 != 0 {
        return Err(Reason::Format);
    }
    let (mut name, mut seq, mut file_type) = (None, 0, None);
    let (mut start_offset, mut end_offset) = (None, None);
    for pair in words.chunks_exact(2) {
        let value = &pair[1];
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match pair[0].to_ascii_lowercase().as_slice() {
            b"file" => {
                if value.contains(&b'/') {
                    return Err(Reason::Path);
                }
                name = Some(value.clone());
            }
            b"seq" => seq = number().filter(|&seq| seq <= SEQ_MAX).unwrap_or(0),
            b"type" => {
                file_type = Some(match value.first() {
                    Some(b'b') => FileType::Base,
                    Some(b'i') => FileType::Incr,
                    Some(b'h') => FileType::History,
                    _ => return Err(Reason::Type),
                });
            }
            b"startoffset" => start_offset = number(),
            b"endoffset" => end_offset = number(),
            _ => {}
        }
    }
    match (name, seq, file_type) {
        (Some(name), 1.., Some(file_type)) if !name.is_empty() => {
            let file = FileInfo { name, seq, file_type, start_offset, end_offset };
            // It will be written again, perhaps with offsets.
            let mut line = Vec::new();
            file.write(&mut line);
            if line.len() + OFFSETS_LEN > LINE_MAX { Err(Reason::Name) } else { Ok(file) }
        }
        _ => Err(Reason::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> Reason {
        Manifest::parse(text.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn refusals() {
        assert_eq!(reason(""), Reason::Empty);
        assert_eq!(reason("\n"), Reason::Format);
        assert_eq!(reason("file a seq 1 type i"), Reason::LineTooLong);
        assert_eq!(reason(&format!("file {} seq 1 type b\n", "x".repeat(LINE_MAX))), Reason::LineTooLong);
        assert_eq!(reason("filx a seq 1 type b\n"), Reason::Format);
        assert_eq!(reason("file a type b\n"), Reason::Format);
        assert_eq!(reason("file a seq 1 type i newkey\n"), Reason::Format);
        assert_eq!(reason("file a seq 0 type i\n"), Reason::Format);
        assert_eq!(reason("file a seq 9223372036854775808 type i\n"), Reason::Format);
        // Escaped, each byte of the name takes four.
        assert_eq!(reason(&format!("file \"{}\" seq 1 type i\n", "\u{1}".repeat(250))), Reason::Name);
        assert_eq!(reason("file a seq -1 type i\n"), Reason::Format);
        assert_eq!(reason("file \"a seq 1 type i\n"), Reason::Format);
        assert_eq!(reason("file a/b seq 1 type i\n"), Reason::Path);
        assert_eq!(reason("file a seq 1 type x\n"), Reason::Type);
        assert_eq!(reason("file a seq 1 type b\nfile c seq 2 type b\n"), Reason::DuplicateBase);
        let error = Manifest::parse(b"file a seq 2 type i\nfile b seq 2 type i\n").unwrap_err();
        assert_eq!(error.reason, Reason::NotMonotonic);
        assert_eq!(error.line, Some((2, b"file b seq 2 type i".to_vec())));
    }

    #[test]
    fn a_rewrite_renumbers_and_leaves_history() {
        let name = b" file seq \n";
        let mut manifest = Manifest::default();
        manifest.add_base(name, true);
        manifest.add_incr(name, 0);
        manifest.add_incr(name, 7);
        manifest.add_base(name, false);
        manifest.retire_incrs(1);
        let expected = "file \" file seq \\n.2.base.aof\" seq 2 type b\n\
                        file \" file seq \\n.1.incr.aof\" seq 1 type h startoffset 0\n\
                        file \" file seq \\n.1.base.rdb\" seq 1 type h\n\
                        file \" file seq \\n.2.incr.aof\" seq 2 type i startoffset 7\n";
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), expected);
        assert_eq!(Manifest::parse(expected.as_bytes()).unwrap(), manifest);
    }

    proptest! {
        #[test]
        fn any_names_and_numbers_come_back(
            files in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..40), any::<Option<u64>>()), 0..8),
            base in any::<bool>(),
        ) {
            let mut manifest = Manifest::default();
            if base {
                manifest.add_base(b"x", true);
            }
            for (name, offset) in files {
                let name: Vec<u8> = name.into_iter().filter(|&byte| byte != b'/').collect();
                manifest.add_incr(&name, offset.unwrap_or(0));
                manifest.incrs.last_mut().unwrap().end_offset = offset;
            }
            prop_assume!(!manifest.to_bytes().is_empty());
            prop_assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        }

        #[test]
        fn any_text_is_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(manifest) = Manifest::parse(&text) {
                let again = manifest.to_bytes();
                prop_assert!(again.is_empty() || Manifest::parse(&again).is_ok());
            }
        }
    }
}
