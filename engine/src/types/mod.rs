//! The values: one module a type, each with its encodings. None knows about keys.

use crate::ds::entry::Owned;
use crate::ds::packed::Packed;

mod duplicate;
pub mod hash;
pub mod list;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use string::Str;
pub use zset::Zset;

/// The types of values, as TYPE names them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes or an integer.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    Zset,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
}

impl Kind {
    /// As TYPE and SCAN TYPE spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Zset => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

/// Any value, by itself.
#[derive(Debug)]
pub enum Value {
    /// A string.
    String(Str),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Stream),
}

impl Value {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Value::String(_) => Kind::String,
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::Hash(_) => Kind::Hash,
            Value::Zset(_) => Kind::Zset,
            Value::Stream(_) => Kind::Stream,
        }
    }

    /// The value of a collection that comes out of its keyspace entry.
    #[must_use]
    pub fn from_packed(owned: Owned) -> Self {
        let owned = match owned.unpack() {
            Ok(list) => return Value::List(list),
            Err(owned) => owned,
        };
        let owned = match owned.unpack() {
            Ok(set) => return Value::Set(set),
            Err(owned) => owned,
        };
        let owned = match owned.unpack() {
            Ok(hash) => return Value::Hash(hash),
            Err(owned) => owned,
        };
        let owned = match owned.unpack() {
            Ok(zset) => return Value::Zset(zset),
            Err(owned) => owned,
        };
        match owned.unpack() {
            Ok(stream) => Value::Stream(stream),
            Err(owned) => unreachable!("{:?} belongs to no type", owned.encoding()),
        }
    }
}

/// A collection that can be looked up by its type: [`Db::read`](crate::keyspace::Db::read) and the like.
pub trait Collection: Default + Packed {
    /// Its type.
    const KIND: Kind;
    /// Number of elements.
    fn size(&self) -> usize;
    /// The value in it.
    fn into_value(self) -> Value;
    /// The collection in a value of this type.
    fn from_value(value: Value) -> Option<Self>;
    /// The collection in a value of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The collection in a value of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
}

macro_rules! collection {
    ($name:ident) => {
        impl Collection for $name {
            const KIND: Kind = Kind::$name;
            #[inline(always)]
            fn size(&self) -> usize {
                self.len() as usize
            }
            fn into_value(self) -> Value {
                Value::$name(self)
            }
            fn from_value(value: Value) -> Option<Self> {
                if let Value::$name(inner) = value { Some(inner) } else { None }
            }
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$name(inner) = value { Some(inner) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$name(inner) = value { Some(inner) } else { None }
            }
        }
    };
}
collection!(List);
collection!(Set);
collection!(Hash);
collection!(Zset);
collection!(Stream);
