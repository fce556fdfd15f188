//! What can be wrong with a file or a payload.

use std::fmt;
use std::io;

use engine::ds::lzf::LzfError;

/// Why reading failed.
#[derive(Debug)]
pub enum RdbError {
    /// The bytes end too early.
    Truncated,
    /// The bytes could not be read.
    Io(io::Error),
    /// It is no RDB.
    Magic,
    /// A version that is not known.
    Version(u32),
    /// The bytes contradict the format; tells what.
    Corrupt(&'static str),
    /// An element cannot be what it claims to be; tells what. Kept apart because it needs no offset to be understood.
    UnknownType(u8),
    /// A module's value of this type name.
    Module(Box<str>),
    /// A collection without elements, which no server keeps.
    EmptyKey,
    /// There is no memory for what the bytes announce.
    OutOfMemory,
    /// The checksum at the end is another than that of the bytes.
    Checksum {
        /// As stored.
        expected: u64,
        /// Of the bytes.
        computed: u64,
    },
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RdbError::Truncated => f.write_str("unexpected end of data"),
            RdbError::Io(error) => write!(f, "{error}"),
            RdbError::Magic => f.write_str("Wrong signature trying to load DB from file"),
            RdbError::Version(version) => write!(f, "Can't handle RDB format version {version}"),
            RdbError::Corrupt(what) => f.write_str(what),
            RdbError::UnknownType(kind) => write!(f, "Unknown RDB encoding type {kind}"),
            RdbError::Module(name) => {
                write!(f, "The RDB file contains module data I can't load: no matching module type '{name}'")
            }
            RdbError::EmptyKey => f.write_str("a key without elements"),
            RdbError::OutOfMemory => f.write_str("Insufficient memory"),
            RdbError::Checksum { expected, computed } => {
                write!(f, "Wrong RDB checksum expected: ({expected:x}) but got ({computed:x}). Aborting now, CRC error")
            }
        }
    }
}

impl std::error::Error for RdbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let RdbError::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for RdbError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { RdbError::Truncated } else { RdbError::Io(error) }
    }
}

impl From<LzfError> for RdbError {
    fn from(error: LzfError) -> Self {
        match error {
            LzfError::Corrupt => RdbError::Corrupt("Invalid LZF compressed string"),
            LzfError::OutOfMemory => RdbError::OutOfMemory,
        }
    }
}
