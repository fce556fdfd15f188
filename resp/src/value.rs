//! A reply as data: what clients receive, what scripts convert to and from, what tests compare.

use bytes::Bytes;

use crate::number;
use crate::writer::Writer;

/// Any reply of RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A status: `+OK`.
    Simple(Bytes),
    /// An error with its code, without the `-`: `ERR no such key`.
    Error(Bytes),
    /// `:1`
    Integer(i64),
    /// A string of bytes: `$2`.
    Bulk(Bytes),
    /// No value: `$-1`, `_`.
    Null,
    /// No value where an array could have been: `*-1` (RESP2).
    NullArray,
    /// `*2`
    Array(Vec<Value>),
    /// Keys and values in the order received: `%1`.
    Map(Vec<(Value, Value)>),
    /// Elements in the order received: `~2`.
    Set(Vec<Value>),
    /// A message that answers no request: `>2`.
    Push(Vec<Value>),
    /// `,1.5`
    Double(f64),
    /// `#t`
    Boolean(bool),
    /// The digits of an integer of any size: `(123`.
    BigNumber(Bytes),
    /// Text for people: `=9`, `txt:hello`.
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// The text, without the format.
        text: Bytes,
    },
    /// A reply with attributes before it: `|1`.
    Attributed {
        /// Keys and values in the order received.
        attributes: Vec<(Value, Value)>,
        /// The reply itself.
        value: Box<Value>,
    },
}

impl Value {
    /// A string of bytes.
    #[must_use]
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A status.
    #[must_use]
    pub fn simple(text: impl Into<Bytes>) -> Self {
        Self::Simple(text.into())
    }

    /// An error; `text` begins with its code.
    #[must_use]
    pub fn error(text: impl Into<Bytes>) -> Self {
        Self::Error(text.into())
    }

    /// The value without its attributes.
    #[must_use]
    pub fn without_attributes(&self) -> &Self {
        let mut value = self;
        while let Self::Attributed { value: inner, .. } = value {
            value = inner;
        }
        value
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.without_attributes(), Self::Null | Self::NullArray)
    }

    /// Whether this is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.without_attributes(), Self::Error(_))
    }

    /// The bytes of a status, error, string, verbatim text or big number.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self.without_attributes() {
            Self::Simple(bytes) | Self::Error(bytes) | Self::Bulk(bytes) | Self::BigNumber(bytes) => Some(bytes),
            Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The same as text; `None` also when it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, or a string that is one; booleans are 0 and 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.without_attributes() {
            Self::Integer(number) => Some(*number),
            Self::Boolean(yes) => Some(i64::from(*yes)),
            Self::Simple(text) | Self::Bulk(text) => number::parse_i64(text),
            _ => None,
        }
    }

    /// A double or an integer, or a string that is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.without_attributes() {
            Self::Double(number) => Some(*number),
            Self::Integer(number) => Some(*number as f64),
            Self::Simple(text) | Self::Bulk(text) => number::parse_f64(text),
            _ => None,
        }
    }

    /// The elements of an array, set or push; a map gives its keys and values in turn, as RESP2 would.
    ///
    /// # Errors
    /// The value itself when it is none of these.
    pub fn into_vec(self) -> Result<Vec<Value>, Value> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Ok(elements),
            Self::Map(pairs) => Ok(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            Self::Attributed { value, .. } => value.into_vec(),
            other => Err(other),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl Writer<'_> {
    /// A reply given as data. RESP2 gets the nearest thing it knows; attributes are left out there.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Simple(text) => self.simple_bytes(text),
            Value::Error(text) => self.error_bytes(text),
            Value::Integer(number) => self.integer(*number),
            Value::Bulk(bytes) => self.bulk(bytes),
            Value::Null => self.null(),
            Value::NullArray => self.null_array(),
            Value::Array(elements) => {
                self.array(elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Map(pairs) => {
                self.map(pairs.len());
                self.pairs(pairs);
            }
            Value::Set(elements) => {
                self.set(elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Push(elements) => {
                self.push(elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Double(number) => self.double(*number),
            Value::Boolean(yes) => self.boolean(*yes),
            Value::BigNumber(digits) => self.big_number_bytes(digits),
            Value::Verbatim { format, text } => self.verbatim_bytes(*format, text),
            Value::Attributed { attributes, value } => {
                if self.protocol() == crate::Protocol::Resp3 {
                    self.attribute(attributes.len());
                    self.pairs(attributes);
                }
                self.value(value);
            }
        }
    }

    fn pairs(&mut self, pairs: &[(Value, Value)]) {
        for (key, value) in pairs {
            self.value(key);
            self.value(value);
        }
    }
}
