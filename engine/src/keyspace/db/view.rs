//! What is in a database, seen from outside: keys with their values, and strings that are being changed.

use crate::ds::entry::{Encoding, Entry, EntryRef, HeapMut, OldValue, Ref, StoredStr};
use crate::ds::hll;
use crate::ds::listpack::Elem;
use crate::keyspace::clock;
use crate::keyspace::sizes::{Size, Sizes};
use crate::time::UnixMs;
use crate::types::string::StrRef;
use crate::types::{Collection, Kind, Str, Value};

/// Longest string whose encoding is called `embstr`, in bytes.
pub const EMBSTR_MAX: usize = 44;

/// A value that comes from a file or a payload.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A string.
    String(Elem<'a>),
    /// Anything.
    Value(Value),
}

impl Incoming<'_> {
    /// The value by itself.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Incoming::String(Elem::Int(n)) => Value::String(Str::Int(n)),
            Incoming::String(Elem::Str(text)) => Value::String(Str::new(text)),
            Incoming::Value(value) => value,
        }
    }
}

/// A key with everything that belongs to it.
#[derive(Copy, Clone, Debug)]
pub struct EntryView<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value.
    pub value: ValueRef<'a>,
    /// When it expires.
    pub deadline: Option<UnixMs>,
    pub(super) clock: u32,
}

impl EntryView<'_> {
    /// Seconds since the last access. Without meaning while frequencies are kept.
    #[must_use]
    pub fn idle_secs(&self, now: UnixMs) -> u64 {
        clock::idle_secs(self.clock, now)
    }

    /// The frequency counter as it stands. Without meaning unless frequencies are kept.
    #[must_use]
    pub fn frequency(&self) -> u8 {
        self.clock as u8
    }
}

/// A value that is being read.
#[derive(Copy, Clone, Debug)]
pub enum ValueRef<'a> {
    /// A string.
    String(StrRef<'a>),
    /// Anything else.
    Other(CollectionRef<'a>),
}

impl ValueRef<'_> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            ValueRef::String(_) => Kind::String,
            ValueRef::Other(value) => value.kind(),
        }
    }
}

/// A list, set, hash, sorted set or stream that is being read.
#[derive(Copy, Clone, Debug)]
pub struct CollectionRef<'a>(EntryRef<'a>);

impl<'a> CollectionRef<'a> {
    /// Its type.
    #[must_use]
    pub fn kind(self) -> Kind {
        kind(self.0.encoding())
    }

    /// How it is stored, as OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        encoding_name(self.0)
    }

    /// The collection, if it is of this type.
    #[must_use]
    pub fn get<T: Collection>(self) -> Option<Ref<'a, T>> {
        self.0.read()
    }
}

pub(super) fn kind(encoding: Encoding) -> Kind {
    match encoding {
        Encoding::StrInline | Encoding::StrInt | Encoding::StrHeap => Kind::String,
        Encoding::ListListpack | Encoding::ListQuick => Kind::List,
        Encoding::SetInt | Encoding::SetListpack | Encoding::SetTable => Kind::Set,
        Encoding::HashListpack | Encoding::HashListpackEx | Encoding::HashTable | Encoding::HashTableEx => Kind::Hash,
        Encoding::ZsetListpack | Encoding::ZsetTree => Kind::Zset,
        Encoding::Stream => Kind::Stream,
    }
}

pub(super) fn encoding_name(entry: EntryRef<'_>) -> &'static str {
    match entry.encoding() {
        Encoding::StrInt => "int",
        Encoding::StrInline => match entry.string() {
            Some(StoredStr::Bytes(bytes)) if bytes.len() <= EMBSTR_MAX => "embstr",
            _ => "raw",
        },
        Encoding::StrHeap => "raw",
        Encoding::ListListpack | Encoding::SetListpack | Encoding::HashListpack | Encoding::ZsetListpack => "listpack",
        Encoding::HashListpackEx => "listpackex",
        Encoding::ListQuick => "quicklist",
        Encoding::SetInt => "intset",
        Encoding::SetTable | Encoding::HashTable | Encoding::HashTableEx => "hashtable",
        Encoding::ZsetTree => "skiplist",
        Encoding::Stream => "stream",
    }
}

pub(super) fn str_ref(string: StoredStr<'_>) -> StrRef<'_> {
    match string {
        StoredStr::Int(n) => StrRef::Int(n),
        StoredStr::Bytes(bytes) => StrRef::Bytes(bytes),
    }
}

pub(super) fn value_ref(entry: EntryRef<'_>) -> ValueRef<'_> {
    match entry.string() {
        Some(string) => ValueRef::String(str_ref(string)),
        None => ValueRef::Other(CollectionRef(entry)),
    }
}

/// The value that an entry held, by itself.
pub(super) fn value(mut entry: Entry) -> Value {
    if let Some(string) = entry.as_ref().string() {
        return Value::String(match string {
            StoredStr::Int(n) => Str::Int(n),
            StoredStr::Bytes(bytes) => Str::Bytes(bytes.to_vec()),
        });
    }
    match entry.take_value() {
        OldValue::Packed(owned) => Value::from_packed(owned),
        OldValue::Nothing | OldValue::Heap(_) => unreachable!("it is no string"),
    }
}

/// The bytes of a string that is being changed in place (APPEND, SETRANGE, SETBIT).
#[derive(Debug)]
pub struct StrBuf<'a> {
    pub(super) bytes: HeapMut<'a>,
    pub(super) before: Size,
    pub(super) sizes: &'a mut Sizes,
}

impl Drop for StrBuf<'_> {
    fn drop(&mut self) {
        self.sizes.changed(self.before, Size::of_bytes(self.bytes.bytes().len()));
    }
}

impl StrBuf<'_> {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }
    /// The bytes, to be overwritten.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.bytes_mut()
    }
    /// Appends.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }
    /// Grows to `len` bytes, zero-filled. Never shrinks.
    pub fn grow(&mut self, len: usize) {
        self.bytes.grow(len);
    }
}

impl hll::Storage for StrBuf<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.bytes_mut()
    }
    fn splice(&mut self, at: usize, old: usize, new: &[u8]) {
        self.bytes.splice(at, old, new);
    }
    fn assign(&mut self, bytes: &[u8]) {
        self.bytes.assign(bytes);
    }
}
