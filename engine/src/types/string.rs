//! Strings: bytes, or an integer that is kept as one.

/// A string value by itself, outside of the keyspace (inside, it lies in its entry).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// The canonical text of a signed 64-bit integer.
    Int(i64),
    /// Any bytes.
    Bytes(Vec<u8>),
}

impl Str {
    /// The string of these bytes: an integer when they are the canonical text of one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        match integer(bytes) {
            Some(n) => Str::Int(n),
            None => Str::Bytes(bytes.to_vec()),
        }
    }

    /// The string, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> StrRef<'_> {
        match self {
            Str::Int(n) => StrRef::Int(*n),
            Str::Bytes(bytes) => StrRef::Bytes(bytes),
        }
    }
}

/// The integer that `bytes` are the canonical text of. Longer than 20 bytes is never one.
#[must_use]
pub fn integer(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 20 { None } else { resp::number::parse_i64(bytes) }
}

/// A string that is being read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StrRef<'a> {
    /// An integer.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> StrRef<'a> {
    /// Length of the text in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, StrRef::Bytes([]))
    }

    /// The text; an integer is spelled into `buffer`.
    #[must_use]
    pub fn text<'b>(self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StrRef::Int(n) => buffer.format(n).as_bytes(),
            StrRef::Bytes(bytes) => bytes,
        }
    }

    /// The text in a vector of its own.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }

    /// The value as an integer, if it is one.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            StrRef::Int(n) => Some(n),
            StrRef::Bytes(bytes) => integer(bytes),
        }
    }

    /// Writes the text as a bulk reply.
    pub fn reply(self, out: &mut resp::writer::Writer<'_>) {
        match self {
            StrRef::Int(n) => out.bulk_integer(n),
            StrRef::Bytes(bytes) => out.bulk(bytes),
        }
    }
}
