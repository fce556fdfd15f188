//! Every error reply of the data commands, with its exact text.

use std::borrow::Cow;
use std::fmt;

/// An error reply. `Display` gives the text after the `-`, code included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds a value of another type than the command works on.
    WrongType,
    /// Arguments that do not parse.
    Syntax,
    /// Not an integer, or out of the range of a signed 64-bit one.
    NotInteger,
    /// Not a floating point number.
    NotFloat,
    /// The number of arguments is wrong for the command of this full name.
    WrongArity(Cow<'static, str>),
    /// The key must exist and does not.
    NoSuchKey,
    /// An index points outside the collection.
    IndexOutOfRange,
    /// An offset points outside the allowed string size.
    OffsetOutOfRange,
    /// The number must be positive.
    NotPositive,
    /// The number is out of range.
    OutOfRange,
    /// INCR and friends would leave the signed 64-bit range.
    Overflow,
    /// INCRBYFLOAT would give NaN or an infinity.
    NanOrInfinity,
    /// A sorted set score that is not a number.
    ScoreNan,
    /// ZRANGEBYSCORE bounds that do not parse.
    ScoreRange,
    /// ZRANGEBYLEX bounds that do not parse.
    LexRange,
    /// A timeout that does not parse.
    TimeoutNotFloat,
    /// A timeout below zero.
    TimeoutNegative,
    /// A timeout beyond what can be represented.
    TimeoutOutOfRange,
    /// An expiry time that cannot be represented; holds the command's name.
    InvalidExpire(Cow<'static, str>),
    /// A string beyond `proto-max-bulk-len`.
    StringTooLong,
    /// A cursor that does not parse.
    InvalidCursor,
    /// A database number that does not exist.
    DbOutOfRange,
    /// Any other text, code included.
    Text(&'static str),
    /// Any other text made on the spot, code included.
    Owned(Box<str>),
}

impl CommandError {
    /// An error whose text is made on the spot (code included).
    #[must_use]
    pub fn owned(text: impl Into<String>) -> Self {
        CommandError::Owned(text.into().into_boxed_str())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotFloat => "ERR value is not a valid float",
            Self::WrongArity(name) => return write!(f, "ERR wrong number of arguments for '{name}' command"),
            Self::NoSuchKey => "ERR no such key",
            Self::IndexOutOfRange => "ERR index out of range",
            Self::OffsetOutOfRange => "ERR offset is out of range",
            Self::NotPositive => "ERR value is out of range, must be positive",
            Self::OutOfRange => "ERR value is out of range",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Self::ScoreNan => "ERR resulting score is not a number (NaN)",
            Self::ScoreRange => "ERR min or max is not a float",
            Self::LexRange => "ERR min or max not valid string range item",
            Self::TimeoutNotFloat => "ERR timeout is not a float or out of range",
            Self::TimeoutNegative => "ERR timeout is negative",
            Self::TimeoutOutOfRange => "ERR timeout is out of range",
            Self::InvalidExpire(name) => return write!(f, "ERR invalid expire time in '{name}' command"),
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::InvalidCursor => "ERR invalid cursor",
            Self::DbOutOfRange => "ERR DB index is out of range",
            Self::Text(text) => text,
            Self::Owned(text) => text,
        })
    }
}

impl std::error::Error for CommandError {}
