//! One database. Whoever looks a key up finds it missing once its deadline has passed, and removes it on the way.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use crate::effects::{EventClass, Interest};
use crate::error::CommandError;
use crate::rng::Rng;
use crate::time::UnixMs;
use crate::types::string::StrRef;
use crate::types::{Collection, Kind, Str, Value};

/// What becomes of a key's deadline when its value is replaced.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is removed.
    Clear,
    /// It stays.
    Keep,
    /// It is set.
    At(UnixMs),
}

/// What lookups noticed: turned into effects by the engine after each command.
#[derive(Debug, Default)]
pub struct Notes {
    /// Keys removed because their deadline had passed.
    pub expired: Vec<Box<[u8]>>,
    /// Keys that a read did not find; only when that event is wanted.
    pub missed: Vec<Box<[u8]>>,
    /// Keys that were created; only when that event is wanted.
    pub created: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct Item {
    value: Value,
    deadline: Option<UnixMs>,
    accessed: UnixMs,
}

/// A database.
#[derive(Debug)]
pub struct Db {
    items: HashMap<Box<[u8]>, Item>,
    now: UnixMs,
    wanted: EventClass,
    /// What lookups noticed since the last time somebody took it.
    pub notes: Notes,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// False while keys whose time has passed are only hidden, not removed: on a replica.
    pub removes_expired: bool,
    /// False while reads leave the access clock alone (CLIENT NO-TOUCH, a child process).
    pub touches: bool,
}

impl Default for Db {
    fn default() -> Self {
        Db {
            items: HashMap::new(),
            now: UnixMs(0),
            wanted: EventClass::empty(),
            notes: Notes::default(),
            hits: 0,
            misses: 0,
            removes_expired: true,
            touches: true,
        }
    }
}

/// A value that is being read.
#[derive(Copy, Clone, Debug)]
pub enum ValueRef<'a> {
    /// A string.
    String(StrRef<'a>),
    /// Anything else.
    Other(&'a Value),
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

/// A collection that is being read.
#[derive(Debug)]
pub struct Ref<'a, T>(&'a T);

impl<T> Deref for Ref<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0
    }
}

/// A collection that is being changed. Remove the key when nothing is left in it.
#[derive(Debug)]
pub struct Mut<'a, T>(&'a mut T);

impl<T> Deref for Mut<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> DerefMut for Mut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0
    }
}

/// The bytes of a string that is being changed in place (APPEND, SETRANGE, SETBIT).
#[derive(Debug)]
pub struct StrBuf<'a>(&'a mut Vec<u8>);

impl StrBuf<'_> {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0
    }
    /// The bytes, to be overwritten.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.0
    }
    /// Appends.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    /// Grows to `len` bytes, zero-filled. Never shrinks.
    pub fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            self.0.resize(len, 0);
        }
    }
}

impl Db {
    /// The time and the wishes that hold for the lookups of the next command.
    pub fn begin(&mut self, now: UnixMs) {
        self.now = now;
    }

    /// What the notes shall contain.
    pub fn set_interest(&mut self, interest: &Interest) {
        self.wanted = interest.events;
    }

    /// Number of keys, those included whose time has passed and that nobody has looked up since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of keys with a deadline.
    #[must_use]
    pub fn expires(&self) -> usize {
        self.items.values().filter(|item| item.deadline.is_some()).count()
    }

    /// The live item of `key`, removed or hidden when its time has passed.
    fn live(&mut self, key: &[u8]) -> Option<&mut Item> {
        let item = self.items.get(key)?;
        // A key expires strictly after its deadline.
        if item.deadline.is_some_and(|deadline| deadline < self.now) {
            if self.removes_expired {
                self.items.remove(key);
                self.notes.expired.push(key.into());
            }
            return None;
        }
        self.items.get_mut(key)
    }

    /// As [`live`](Self::live), counted as a read.
    fn live_read(&mut self, key: &[u8]) -> Option<&mut Item> {
        if self.live(key).is_none() {
            self.misses += 1;
            if self.wanted.contains(EventClass::KEY_MISS) {
                self.notes.missed.push(key.into());
            }
            return None;
        }
        self.hits += 1;
        let (now, touches) = (self.now, self.touches);
        let item = self.items.get_mut(key)?;
        if touches {
            item.accessed = now;
        }
        Some(item)
    }

    /// Whether `key` exists. Not counted as a read.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// The type of the value at `key`. Not counted as a read.
    pub fn kind(&mut self, key: &[u8]) -> Option<Kind> {
        self.live(key).map(|item| item.value.kind())
    }

    /// The value at `key`, whatever its type. Counted as a read.
    pub fn read_any(&mut self, key: &[u8]) -> Option<ValueRef<'_>> {
        self.live_read(key).map(|item| value_ref(&item.value))
    }

    /// The value at `key`; neither counted nor touched (OBJECT, DEBUG).
    pub fn peek(&mut self, key: &[u8]) -> Option<ValueRef<'_>> {
        self.live(key).map(|item| value_ref(&item.value))
    }

    /// The collection at `key`. Counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn read<T: Collection>(&mut self, key: &[u8]) -> Result<Option<Ref<'_, T>>, CommandError> {
        match self.live_read(key) {
            None => Ok(None),
            Some(item) => T::of(&item.value).map(|value| Some(Ref(value))).ok_or(CommandError::WrongType),
        }
    }

    /// The string at `key`. Counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>, CommandError> {
        match self.live_read(key).map(|item| &item.value) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string.as_ref())),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The string at `key`, about to be replaced or changed: not counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string_for_write(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>, CommandError> {
        match self.live(key).map(|item| &item.value) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string.as_ref())),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The collection at `key`, to be changed. Not counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn write<T: Collection>(&mut self, key: &[u8]) -> Result<Option<Mut<'_, T>>, CommandError> {
        match self.live(key) {
            None => Ok(None),
            Some(item) => T::of_mut(&mut item.value).map(|value| Some(Mut(value))).ok_or(CommandError::WrongType),
        }
    }

    /// The collection at `key`, to be changed, created empty when missing. Something must be added to it.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn write_or_create<T: Collection>(&mut self, key: &[u8]) -> Result<Mut<'_, T>, CommandError> {
        if self.live(key).is_none() {
            self.insert(key, T::default().into_value(), Expiry::Clear);
        }
        let item = self.items.get_mut(key).expect("it was just found or created");
        T::of_mut(&mut item.value).map(Mut).ok_or(CommandError::WrongType)
    }

    /// The bytes of the string at `key`, to be changed in place; an empty string is created when missing.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string_buffer(&mut self, key: &[u8]) -> Result<StrBuf<'_>, CommandError> {
        if self.live(key).is_none() {
            self.insert(key, Value::String(Str::Bytes(Vec::new())), Expiry::Clear);
        }
        let item = self.items.get_mut(key).expect("it was just found or created");
        let Value::String(string) = &mut item.value else { return Err(CommandError::WrongType) };
        if let Str::Int(n) = string {
            *string = Str::Bytes(n.to_string().into_bytes());
        }
        match string {
            Str::Bytes(bytes) => Ok(StrBuf(bytes)),
            Str::Int(_) => unreachable!("turned into bytes above"),
        }
    }

    /// Sets `key` to these bytes, whatever it held. An integer's canonical text is kept as the integer.
    pub fn set_string(&mut self, key: &[u8], bytes: &[u8], expiry: Expiry) {
        self.insert(key, Value::String(Str::new(bytes)), expiry);
    }

    /// Sets `key` to this integer, whatever it held.
    pub fn set_integer(&mut self, key: &[u8], n: i64, expiry: Expiry) {
        self.insert(key, Value::String(Str::Int(n)), expiry);
    }

    /// Replaces the string at `key` by the integer that `f` makes of it (`None`: there is no key); the deadline stays. INCR
    /// and its like: one lookup.
    ///
    /// # Errors
    /// [`CommandError::WrongType`], or what `f` returns.
    pub fn update_integer(
        &mut self,
        key: &[u8],
        f: impl FnOnce(Option<StrRef<'_>>) -> Result<i64, CommandError>,
    ) -> Result<i64, CommandError> {
        let n = f(self.string_for_write(key)?)?;
        self.set_integer(key, n, Expiry::Keep);
        Ok(n)
    }

    /// Sets `key` to `value`; what it held is dropped (take it out first with [`remove`](Self::remove) to free it elsewhere).
    pub fn insert(&mut self, key: &[u8], value: Value, expiry: Expiry) {
        let before = self.live(key).map(|item| item.deadline);
        if before.is_none() && self.wanted.contains(EventClass::NEW) {
            self.notes.created.push(key.into());
        }
        let deadline = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => before.flatten(),
            Expiry::At(at) => Some(at),
        };
        self.items.insert(key.into(), Item { value, deadline, accessed: self.now });
    }

    /// Removes `key`; returns its value and deadline when it was there and alive.
    pub fn remove(&mut self, key: &[u8]) -> Option<(Value, Option<UnixMs>)> {
        self.live(key)?;
        self.items.remove(key).map(|item| (item.value, item.deadline))
    }

    /// The deadline of `key`: `None` when the key is missing, `Some(None)` when it has none.
    pub fn deadline(&mut self, key: &[u8]) -> Option<Option<UnixMs>> {
        self.live(key).map(|item| item.deadline)
    }

    /// Sets or removes the deadline of `key`. Returns whether the key exists.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> bool {
        self.live(key).map(|item| item.deadline = deadline).is_some()
    }

    /// Seconds since the last access of `key`.
    pub fn idle_secs(&mut self, key: &[u8]) -> Option<u64> {
        let now = self.now;
        self.live(key).map(|item| ((now.0 - item.accessed.0).max(0) / 1000) as u64)
    }

    /// Marks `key` as accessed now. Returns whether it exists.
    pub fn touch(&mut self, key: &[u8]) -> bool {
        let now = self.now;
        self.live(key).map(|item| item.accessed = now).is_some()
    }

    /// A random key that is alive, each with the same chance.
    pub fn random_key(&mut self, rng: &mut Rng) -> Option<Vec<u8>> {
        // Like any lookup this may find keys whose time has passed; they are removed, or skipped a bounded number of times.
        for _ in 0..100 {
            if self.items.is_empty() {
                return None;
            }
            let key = self.items.keys().nth(rng.index(self.items.len()))?.to_vec();
            if self.live(&key).is_some() {
                return Some(key);
            }
        }
        None
    }

    /// Calls `f` with about `count` keys and their values from `cursor` on; returns the next cursor, 0 at the end.
    ///
    /// Every key present from the first call to the last is reported. Keys whose time has passed may be among
    /// them: look them up.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&[u8], ValueRef<'_>)) -> u64 {
        let mut keys: Vec<_> = self.items.iter().collect();
        keys.sort_by_key(|(key, _)| *key);
        let end = (cursor as usize).saturating_add(count);
        keys.iter().skip(cursor as usize).take(count).for_each(|(key, item)| f(key, value_ref(&item.value)));
        if end >= keys.len() { 0 } else { end as u64 }
    }

    /// Calls `f` with every key, its value and its deadline, those included whose time has passed.
    pub fn for_each(&self, mut f: impl FnMut(&[u8], ValueRef<'_>, Option<UnixMs>)) {
        self.items.iter().for_each(|(key, item)| f(key, value_ref(&item.value), item.deadline));
    }

    /// Removes everything; returns the old contents, to be dropped wherever that is best.
    pub fn clear(&mut self) -> Db {
        let fresh = Db { now: self.now, wanted: self.wanted, hits: self.hits, misses: self.misses, ..Db::default() };
        std::mem::replace(self, fresh)
    }

    /// Removes some keys whose time has passed, at most `budget` of them; returns how many. They are noted.
    pub fn expire_step(&mut self, budget: usize) -> usize {
        let now = self.now;
        let due: Vec<_> = self
            .items
            .iter()
            .filter(|(_, item)| item.deadline.is_some_and(|deadline| deadline < now))
            .map(|(key, _)| key.clone())
            .take(budget)
            .collect();
        due.iter().for_each(|key| {
            self.live(key);
        });
        due.len()
    }
}

fn value_ref(value: &Value) -> ValueRef<'_> {
    match value {
        Value::String(string) => ValueRef::String(string.as_ref()),
        other => ValueRef::Other(other),
    }
}

impl Db {
    /// Whether `key` is there at all, its time passed or not.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.items.contains_key(key)
    }

    /// Whether `key` is there and its time has passed.
    #[must_use]
    pub fn is_expired(&self, key: &[u8]) -> bool {
        self.items.get(key).is_some_and(|item| item.deadline.is_some_and(|deadline| deadline < self.now))
    }

    /// Goes on with growing or shrinking the table by up to this many buckets; returns whether there is more to do.
    pub fn rehash_step(&mut self, _buckets: usize) -> bool {
        false
    }

    /// Brings the bucket of a key with this hash close.
    #[inline]
    pub fn prefetch_bucket(&self, _hash: u64) {}

    /// Brings the entry of a key with this hash close; its bucket must have arrived.
    #[inline]
    pub fn prefetch_entry(&self, _hash: u64) {}
}
