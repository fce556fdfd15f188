//! One database. Whoever looks a key up finds it missing once its deadline has passed, and removes it on the way.
//!
//! A read of a string touches two cache lines, one of the table and one of the entry, and allocates nothing; a write
//! of one with the same size changes the entry in place.

use super::clock;
use super::sizes::{Mut, Size, Sizes};
use crate::config::AccessClock;
use crate::ds::deadlines::Deadlines;
use crate::ds::entry::{Encoding, Entry, EntryMut, EntryRef, NewValue, StoredStr};
use crate::ds::hash::hash;
use crate::ds::heapstr::HeapStr;
use crate::ds::listpack::Elem;
use crate::ds::table::{Occupied, Place, Stats, Table, position};
use crate::effects::{EventClass, Interest};
use crate::error::CommandError;
use crate::rng::Rng;
use crate::time::UnixMs;
use crate::types::string::{StrRef, integer};
use crate::types::{Collection, Hash, Kind, Str, Value};

mod expiry;
mod view;
mod waste;

use view::{encoding_name, kind, str_ref, value, value_ref};
use waste::{Old, parts};

pub use view::{CollectionRef, EMBSTR_MAX, EntryView, Incoming, StrBuf, ValueRef};
pub use waste::{Garbage, PARTS_MIN, STALLING_PARTS, Waste};

pub use crate::ds::entry::Ref;

/// Keys that [`Db::prefetch_keys`] takes at a time: as many cache misses as a processor has under way, about.
pub const PREFETCH_KEYS: usize = 16;

/// Keys that a search for a random one that is alive looks at, at most.
const RANDOM_TRIES: usize = 100;

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
    /// Fields removed because their deadline had passed.
    pub expired_fields: Vec<ExpiredFields>,
}

/// Fields of one hash that were removed because their deadline had passed.
#[derive(Debug)]
pub struct ExpiredFields {
    /// The hash.
    pub key: Box<[u8]>,
    /// Its fields, the earliest deadline first as far as known.
    pub fields: Vec<Box<[u8]>>,
    /// Whether no field was left and the hash was removed.
    pub emptied: bool,
}

/// What becomes of a hash whose last field has expired.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// It is removed.
    Remove,
    /// It stays, empty: a field is about to be added.
    Keep,
}

/// A database.
#[derive(Debug)]
pub struct Db {
    table: Table<Entry>,
    deadlines: Deadlines,
    /// Of hashes whose fields have deadlines: where they are, by the earliest of each.
    field_deadlines: Deadlines,
    sizes: Sizes,
    now: UnixMs,
    access: AccessClock,
    /// Clock of a key that is created now, and under LRU of one that is accessed now.
    clock: u32,
    /// State of the generator that decides whether a frequency counter grows.
    dice: u64,
    wanted: EventClass,
    /// What lookups noticed since the last time somebody took it.
    pub notes: Notes,
    /// What was replaced or has expired.
    pub waste: Waste,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// False while keys whose time has passed are only hidden, not removed: on a replica.
    pub removes_expired: bool,
    /// True while commands are replayed that ran long ago: keys whose time has passed since then are still there.
    keeps_expired: bool,
    /// Deadlines before this moment have passed, as far as lookups are concerned.
    passed: i64,
    /// False while reads leave the access clock alone (CLIENT NO-TOUCH, a child process).
    pub touches: bool,
}

impl Default for Db {
    fn default() -> Self {
        Db {
            table: Table::new(),
            deadlines: Deadlines::default(),
            field_deadlines: Deadlines::default(),
            sizes: Sizes::default(),
            now: UnixMs(0),
            access: AccessClock::Lru,
            clock: 0,
            dice: 0x9e37_79b9_7f4a_7c15,
            wanted: EventClass::empty(),
            notes: Notes::default(),
            waste: Waste::default(),
            hits: 0,
            misses: 0,
            removes_expired: true,
            keeps_expired: false,
            passed: 0,
            touches: true,
        }
    }
}

/// The earliest deadline of a field of a hash, or a moment before it.
#[inline]
fn field_deadline(entry: EntryRef<'_>) -> Option<i64> {
    match entry.encoding() {
        Encoding::HashListpackEx | Encoding::HashTableEx => entry.read::<Hash>()?.next_deadline().map(|at| at.0),
        _ => None,
    }
}

/// Notes that an entry goes: it is no longer among the hashes whose fields have deadlines.
#[inline]
fn forget_fields(deadlines: &mut Deadlines, entry: EntryRef<'_>) {
    if let Some(at) = field_deadline(entry) {
        deadlines.removed(at);
    }
}

impl Db {
    /// The time and the wishes that hold for the lookups of the next command.
    #[inline]
    pub fn begin(&mut self, now: UnixMs) {
        if self.now != now {
            self.now = now;
            self.passed = if self.keeps_expired { i64::MIN } else { now.0 };
            self.clock = clock::fresh(self.access, now);
        }
    }

    /// Begins or ends a replay of commands that ran long ago: in between no key's time passes.
    pub fn replay(&mut self, on: bool) {
        self.keeps_expired = on;
        self.passed = if on { i64::MIN } else { self.now.0 };
    }

    /// Whether commands are replayed.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.keeps_expired
    }

    /// Whether what is over goes at once. On a replica the primary decides; what is replayed was not over when it ran.
    #[must_use]
    pub fn decides_expiry(&self) -> bool {
        self.removes_expired && !self.keeps_expired
    }

    /// How the access clocks of keys are kept. Clocks that were written in the other way are not converted, as in Redis.
    #[inline]
    pub fn set_access_clock(&mut self, access: AccessClock) {
        if self.access != access {
            self.access = access;
            self.clock = clock::fresh(access, self.now);
        }
    }

    /// What the notes shall contain.
    #[inline]
    pub fn set_interest(&mut self, interest: &Interest) {
        self.wanted = interest.events;
    }

    /// The time that it has been told.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.now
    }

    /// Number of keys, those included whose time has passed and that nobody has looked up since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Mean time that keys with a deadline have left, in milliseconds.
    #[must_use]
    pub fn average_ttl_ms(&self, now: UnixMs) -> u64 {
        self.deadlines.mean().map_or(0, |mean| mean.saturating_sub(now.0).max(0) as u64)
    }

    /// Number of keys with a deadline.
    #[must_use]
    pub fn expires(&self) -> usize {
        self.deadlines.count()
    }

    /// Number of hashes with fields that have a deadline.
    #[must_use]
    pub fn field_expires(&self) -> usize {
        self.field_deadlines.count()
    }

    /// How many keys have which size.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Asks the processor for the first cache line that looking a key up needs: the bucket for its [`hash`].
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks the processor for the second cache line, the entry itself; the first should have arrived.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_element(hash);
    }

    /// As both, for the keys of one command: call it for 16 keys at a time, just before they are looked up.
    pub fn prefetch_keys<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let mut hashes = [0; PREFETCH_KEYS];
        let mut n = 0;
        for (key, slot) in keys.into_iter().zip(&mut hashes) {
            *slot = hash(key);
            self.table.prefetch_bucket(*slot);
            n += 1;
        }
        hashes[..n].iter().for_each(|&hash| self.table.prefetch_element(hash));
    }

    /// Called before anything about the keys of a bucket changes: a snapshot that shares the table with us would save the
    /// bucket first.
    #[inline(always)]
    fn about_to_change(&mut self, hash: u64) {
        let _ = hash;
    }

    /// The live entry of `key`, removed or hidden when its time has passed.
    #[inline]
    fn live(&mut self, key: &[u8]) -> Option<Occupied<'_, Entry>> {
        self.live_and_sizes(key).map(|(place, _)| place)
    }

    /// As [`live`](Self::live), with the numbers that a change of the value's size has to be told to.
    #[inline]
    fn live_and_sizes(&mut self, key: &[u8]) -> Option<(Occupied<'_, Entry>, &mut Sizes)> {
        let hash = hash(key);
        if self.table.is_rehashing() {
            self.table.rehash_step(1);
        }
        let place = self.table.find_mut(hash, key)?;
        // A key expires strictly after its deadline.
        if place.get().deadline().is_some_and(|deadline| deadline < self.passed) {
            if self.removes_expired {
                self.deadlines.removed(place.get().deadline().unwrap_or_default());
                forget_fields(&mut self.field_deadlines, place.get());
                self.sizes.removed(Size::of(place.get()));
                self.notes.expired.push(key.into());
                self.waste.entry(place.remove());
            }
            return None;
        }
        Some((place, &mut self.sizes))
    }

    /// As [`live`](Self::live), before a change.
    #[inline]
    fn live_write(&mut self, key: &[u8]) -> Option<Occupied<'_, Entry>> {
        self.about_to_change(hash(key));
        self.live(key)
    }

    /// As [`live`](Self::live), counted as a read.
    #[inline]
    fn live_read(&mut self, key: &[u8]) -> Option<EntryRef<'_>> {
        let hash = hash(key);
        if self.table.is_rehashing() {
            self.table.rehash_step(1);
        }
        let access = self.access();
        if let Some(place) = self.table.find_mut(hash, key) {
            if place.get().deadline().is_none_or(|deadline| deadline >= self.passed) {
                self.hits += 1;
                return Some(access.note(place.into_mut()).into_ref());
            }
            if self.removes_expired {
                self.deadlines.removed(place.get().deadline().unwrap_or_default());
                forget_fields(&mut self.field_deadlines, place.get());
                self.sizes.removed(Size::of(place.get()));
                self.notes.expired.push(key.into());
                self.waste.entry(place.remove());
            }
        }
        self.misses += 1;
        if self.wanted.contains(EventClass::KEY_MISS) {
            self.notes.missed.push(key.into());
        }
        None
    }

    /// The place of `key`, created with a fresh value when the key is missing or its time has passed.
    fn place_or_create(
        &mut self,
        key: &[u8],
        fresh: impl FnOnce() -> NewValue<'static>,
    ) -> (Occupied<'_, Entry>, &mut Sizes) {
        let hash = hash(key);
        self.about_to_change(hash);
        let (place, created) = match self.table.place(hash, key) {
            Place::Occupied(mut place) => {
                let expired = place.get().deadline().is_some_and(|deadline| deadline < self.passed);
                if expired {
                    self.deadlines.removed(place.get().deadline().unwrap_or_default());
                    forget_fields(&mut self.field_deadlines, place.get());
                    if self.removes_expired {
                        self.notes.expired.push(key.into());
                    }
                    let (parts, before) = (parts(place.get()), Size::of(place.get()));
                    self.waste.value(place.update(|entry| entry.set(None, fresh())), parts);
                    place.get_mut().set_clock(self.clock);
                    self.sizes.changed(before, Size::of(place.get()));
                }
                (place, expired)
            }
            Place::Vacant(place) => {
                let place = place.insert(Entry::new(key, None, self.clock, fresh()));
                self.sizes.added(Size::of(place.get()));
                (place, true)
            }
        };
        if created && self.wanted.contains(EventClass::NEW) {
            self.notes.created.push(key.into());
        }
        (place, &mut self.sizes)
    }

    /// Whether `key` is there at all, its time passed or not. Changes nothing.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.table.contains(hash(key), key)
    }

    /// Whether `key` is there and its time has passed. Changes nothing.
    #[must_use]
    pub fn is_expired(&self, key: &[u8]) -> bool {
        if self.deadlines.count() == 0 {
            return false;
        }
        let entry = self.table.find(hash(key), key);
        entry.and_then(EntryRef::deadline).is_some_and(|deadline| deadline < self.passed)
    }

    /// Whether `key` exists. Not counted as a read.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// Whether `key` exists, for a command that might have changed it and leaves it alone if it does (NX): to have looked counts
    /// as an access. A change counts by itself.
    pub fn exists_for_write(&mut self, key: &[u8]) -> bool {
        let access = self.access();
        self.live(key).map(|place| access.note(place.into_mut())).is_some()
    }

    /// Tells whether the collection at `key`, if there is one, can be changed as one of type `T`. Counted as an access if not:
    /// there will be no other.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn check_type<T: Collection>(&mut self, key: &[u8]) -> Result<(), CommandError> {
        let access = self.access();
        match self.live(key) {
            Some(place) if !T::fits(place.get().encoding()) => {
                access.note(place.into_mut());
                Err(CommandError::WrongType)
            }
            _ => Ok(()),
        }
    }

    /// The type of the value at `key`. Not counted as a read.
    pub fn kind(&mut self, key: &[u8]) -> Option<Kind> {
        self.live(key).map(|place| kind(place.get().encoding()))
    }

    /// How the value at `key` is stored, as OBJECT ENCODING names it. Not counted as a read.
    pub fn encoding(&mut self, key: &[u8]) -> Option<&'static str> {
        self.live(key).map(|place| encoding_name(place.get()))
    }

    /// Bytes that the allocator gives for `key` and its value. Looks at `samples` elements of a collection and extrapolates; 0
    /// looks at all. Not counted as a read.
    pub fn memory_usage(&mut self, key: &[u8], samples: usize) -> Option<usize> {
        self.live(key).map(|place| place.get().memory_usage(samples))
    }

    /// The value at `key`, whatever its type. Counted as a read.
    pub fn read_any(&mut self, key: &[u8]) -> Option<ValueRef<'_>> {
        self.live_read(key).map(value_ref)
    }

    /// The value at `key`; neither counted nor touched (OBJECT, DEBUG).
    pub fn peek(&mut self, key: &[u8]) -> Option<ValueRef<'_>> {
        self.live(key).map(|place| value_ref(place.into_ref()))
    }

    /// The value at `key`, while others are looked at too: nothing is counted, touched or removed.
    #[must_use]
    pub fn look(&self, key: &[u8]) -> Option<ValueRef<'_>> {
        let entry = self.table.find(hash(key), key)?;
        entry.deadline().is_none_or(|deadline| deadline >= self.passed).then(|| value_ref(entry))
    }

    /// The collection at `key`. Counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    #[inline]
    pub fn read<T: Collection>(&mut self, key: &[u8]) -> Result<Option<Ref<'_, T>>, CommandError> {
        match self.live_read(key) {
            None => Ok(None),
            Some(entry) => entry.read().map(Some).ok_or(CommandError::WrongType),
        }
    }

    /// The string at `key`. Counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    #[inline]
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>, CommandError> {
        match self.live_read(key) {
            None => Ok(None),
            Some(entry) => entry.string().map(|string| Some(str_ref(string))).ok_or(CommandError::WrongType),
        }
    }

    /// The string at `key`, about to be replaced or changed: not counted as a read. The change counts as an access; who makes
    /// none asks [`exists_for_write`](Self::exists_for_write).
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string_for_write(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>, CommandError> {
        let access = self.access();
        let Some(place) = self.live(key) else { return Ok(None) };
        if !place.get().encoding().is_string() {
            access.note(place.into_mut());
            return Err(CommandError::WrongType);
        }
        Ok(place.into_ref().string().map(str_ref))
    }

    /// The collection at `key`, to be changed. Not counted as a read.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn write<T: Collection>(&mut self, key: &[u8]) -> Result<Option<Mut<'_, T>>, CommandError> {
        let access = self.access();
        self.about_to_change(hash(key));
        match self.live_and_sizes(key) {
            None => Ok(None),
            Some((place, sizes)) => {
                let value = access.note(place.into_mut()).write().ok_or(CommandError::WrongType)?;
                Ok(Some(Mut::new(value, sizes)))
            }
        }
    }

    /// What an access makes of the clock of a key.
    #[inline]
    fn access(&mut self) -> Access {
        let random = if self.access == AccessClock::Lru { 0 } else { roll(&mut self.dice) };
        Access { kind: self.access, touches: self.touches, fresh: self.clock, now: self.now, random }
    }

    /// The collection at `key`, to be changed, created empty when missing. Something must be added to it.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn write_or_create<T: Collection>(&mut self, key: &[u8]) -> Result<Mut<'_, T>, CommandError> {
        let access = self.access();
        let (place, sizes) = self.place_or_create(key, || NewValue::packed(T::default()));
        let value = access.note(place.into_mut()).write().ok_or(CommandError::WrongType)?;
        Ok(Mut::new(value, sizes))
    }

    /// The bytes of the string at `key`, to be changed in place; an empty string is created when missing.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string_buffer(&mut self, key: &[u8]) -> Result<StrBuf<'_>, CommandError> {
        let access = self.access();
        let (mut place, sizes) = self.place_or_create(key, || NewValue::Bytes(b""));
        if !place.update(Entry::make_heap) {
            return Err(CommandError::WrongType);
        }
        let before = Size::of(place.get());
        let bytes = access.note(place.into_mut()).heap().expect("it was just made one");
        Ok(StrBuf { bytes, before, sizes })
    }

    /// Sets `key` to these bytes, whatever it held. An integer's canonical text is kept as the integer.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], bytes: &[u8], expiry: Expiry) {
        match integer(bytes) {
            Some(n) => self.put(key, NewValue::Int(n), expiry),
            None => self.put(key, NewValue::Bytes(bytes), expiry),
        }
    }

    /// Sets `key` to these bytes, whatever it held, without copying them.
    pub fn set_heap_string(&mut self, key: &[u8], bytes: HeapStr, expiry: Expiry) {
        self.put(key, NewValue::Heap(bytes), expiry);
    }

    /// Sets `key` to this integer, whatever it held.
    #[inline]
    pub fn set_integer(&mut self, key: &[u8], n: i64, expiry: Expiry) {
        self.put(key, NewValue::Int(n), expiry);
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
        let access = self.access();
        self.about_to_change(hash(key));
        let n = match self.live_and_sizes(key) {
            Some((mut place, sizes)) => {
                let Some(held) = place.get().string() else {
                    access.note(place.into_mut());
                    return Err(CommandError::WrongType);
                };
                let before = Size::of_string(held);
                let n = match f(Some(str_ref(held))) {
                    Ok(n) => n,
                    Err(error) => {
                        access.note(place.into_mut());
                        return Err(error);
                    }
                };
                if place.get_mut().set_in_place(StoredStr::Int(n)) {
                    sizes.changed(before, Size::of_string(StoredStr::Int(n)));
                    access.note(place.into_mut());
                    return Ok(n);
                }
                n
            }
            None => f(None)?,
        };
        self.set_integer(key, n, Expiry::Keep);
        Ok(n)
    }

    /// Sets `key` to `value`; what it held is dropped (take it out first with [`remove`](Self::remove) to free it elsewhere).
    pub fn insert(&mut self, key: &[u8], value: Value, expiry: Expiry) {
        match value {
            Value::String(Str::Int(n)) => self.put(key, NewValue::Int(n), expiry),
            Value::String(Str::Bytes(bytes)) => self.put(key, NewValue::Bytes(&bytes), expiry),
            Value::List(list) => self.put(key, NewValue::packed(list), expiry),
            Value::Set(set) => self.put(key, NewValue::packed(set), expiry),
            Value::Hash(hash) => {
                let fields = hash.next_deadline();
                self.put(key, NewValue::packed(hash), expiry);
                self.fields_changed(key, None, fields);
            }
            Value::Zset(zset) => self.put(key, NewValue::packed(zset), expiry),
            Value::Stream(stream) => self.put(key, NewValue::packed(stream), expiry),
        }
    }

    #[inline]
    fn put(&mut self, key: &[u8], value: NewValue<'_>, expiry: Expiry) {
        let hash = hash(key);
        let access = self.access();
        self.about_to_change(hash);
        match self.table.place(hash, key) {
            Place::Occupied(mut place) => {
                let (held, before) = (place.get().deadline(), Size::of(place.get()));
                // The common case: a string without deadline is overwritten by one of its size.
                let in_place = held.is_none()
                    && !matches!(expiry, Expiry::At(_))
                    && match &value {
                        NewValue::Bytes(bytes) => place.get_mut().set_in_place(StoredStr::Bytes(bytes)),
                        NewValue::Int(n) => place.get_mut().set_in_place(StoredStr::Int(*n)),
                        _ => false,
                    };
                if in_place {
                    self.sizes.changed(before, Size::of(place.get()));
                    access.replaced(place.into_mut());
                    return;
                }
                let expired = held.is_some_and(|deadline| deadline < self.passed);
                let deadline = match expiry {
                    Expiry::Clear => None,
                    Expiry::Keep => held.filter(|_| !expired),
                    Expiry::At(at) => Some(at.0),
                };
                let parts = parts(place.get());
                forget_fields(&mut self.field_deadlines, place.get());
                let old = place.update(|entry| entry.set(deadline, value));
                self.sizes.changed(before, Size::of(place.get()));
                if expired {
                    place.get_mut().set_clock(self.clock);
                } else {
                    access.replaced(place.get_mut());
                }
                if held != deadline {
                    self.deadlines.changed(position(hash), held, deadline, self.table.logical_size());
                }
                if expired {
                    if self.removes_expired {
                        self.notes.expired.push(key.into());
                    }
                    if self.wanted.contains(EventClass::NEW) {
                        self.notes.created.push(key.into());
                    }
                }
                self.waste.value(old, parts);
            }
            Place::Vacant(place) => {
                let deadline = match expiry {
                    Expiry::At(at) => Some(at.0),
                    Expiry::Clear | Expiry::Keep => None,
                };
                let place = place.insert(Entry::new(key, deadline, self.clock, value));
                self.sizes.added(Size::of(place.get()));
                if deadline.is_some() {
                    self.deadlines.changed(position(hash), None, deadline, self.table.logical_size());
                }
                if self.wanted.contains(EventClass::NEW) {
                    self.notes.created.push(key.into());
                }
            }
        }
    }

    /// Takes the live entry of `key` out.
    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.live_write(key)?.remove();
        self.sizes.removed(Size::of(entry.as_ref()));
        forget_fields(&mut self.field_deadlines, entry.as_ref());
        if let Some(at) = entry.as_ref().deadline() {
            self.deadlines.removed(at);
        }
        Some(entry)
    }

    /// Removes `key`; returns its value and deadline when it was there and alive. To delete a key, [`delete`](Self::delete)
    /// is cheaper.
    pub fn remove(&mut self, key: &[u8]) -> Option<(Value, Option<UnixMs>)> {
        let entry = self.take(key)?;
        let deadline = entry.as_ref().deadline().map(UnixMs);
        Some((value(entry), deadline))
    }

    /// Removes `key`; returns what it held, to be dropped wherever that is best, when it was there and alive.
    pub fn delete(&mut self, key: &[u8]) -> Option<Garbage> {
        self.take(key).map(|entry| Garbage { parts: parts(entry.as_ref()), old: Old::Entry(entry) })
    }

    /// The deadline of `key`: `None` when the key is missing, `Some(None)` when it has none.
    pub fn deadline(&mut self, key: &[u8]) -> Option<Option<UnixMs>> {
        self.live(key).map(|place| place.get().deadline().map(UnixMs))
    }

    /// The same for somebody who means to change it: that counts as an access, whether it is changed or not.
    pub fn deadline_to_change(&mut self, key: &[u8]) -> Option<Option<UnixMs>> {
        let access = self.access();
        let place = self.live(key)?;
        let deadline = place.get().deadline().map(UnixMs);
        access.note(place.into_mut());
        Some(deadline)
    }

    /// Sets or removes the deadline of `key`. Returns whether the key exists.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> bool {
        let Some(mut place) = self.live_write(key) else { return false };
        let (hash, held, deadline) = (place.hash(), place.get().deadline(), deadline.map(|at| at.0));
        if !place.get_mut().set_deadline_in_place(deadline) {
            place.update(|entry| entry.set_deadline(deadline));
        }
        self.deadlines.changed(position(hash), held, deadline, self.table.logical_size());
        true
    }

    /// Seconds since the last access of `key`. Without meaning while frequencies are kept.
    pub fn idle_secs(&mut self, key: &[u8]) -> Option<u64> {
        let now = self.now;
        self.live(key).map(|place| clock::idle_secs(place.get().clock(), now))
    }

    /// How frequently `key` is accessed: a logarithmic counter up to 255. Without meaning unless frequencies are kept.
    pub fn frequency(&mut self, key: &[u8]) -> Option<u32> {
        let (now, access) = (self.now, self.access);
        let decay = if let AccessClock::Lfu { decay_minutes, .. } = access { decay_minutes } else { 0 };
        self.live(key).map(|place| clock::frequency(place.get().clock(), decay, now))
    }

    /// Makes `key` look as if it was accessed so many seconds ago (RESTORE IDLETIME). Returns whether it exists.
    pub fn set_idle_secs(&mut self, key: &[u8], secs: u64) -> bool {
        let clock = clock::idle_since(secs, self.now);
        self.live(key).map(|mut place| place.get_mut().set_clock(clock)).is_some()
    }

    /// Sets the frequency counter of `key` (RESTORE FREQ). Returns whether it exists.
    pub fn set_frequency(&mut self, key: &[u8], counter: u8) -> bool {
        let clock = clock::with_frequency(counter, self.now);
        self.live(key).map(|mut place| place.get_mut().set_clock(clock)).is_some()
    }

    /// Marks `key` as accessed now. Returns whether it exists.
    pub fn touch(&mut self, key: &[u8]) -> bool {
        let access = Access { touches: true, ..self.access() };
        let Some(place) = self.live(key) else { return false };
        access.note(place.into_mut());
        true
    }

    /// A random key that is alive, each with the same chance.
    pub fn random_key(&mut self, rng: &mut Rng) -> Option<Vec<u8>> {
        // Like any lookup this may find keys whose time has passed; they are removed, or skipped a bounded number of times.
        for _ in 0..RANDOM_TRIES {
            let key = self.table.random(&mut || rng.next_u64())?.key().to_vec();
            if self.live(&key).is_some() {
                return Some(key);
            }
        }
        // All may be over and yet there, while nothing is removed: then one of them, as in Redis.
        let hidden = !self.removes_expired && self.deadlines.count() == self.table.len();
        hidden.then(|| self.table.random(&mut || rng.next_u64()).map(|entry| entry.key().to_vec())).flatten()
    }

    /// Calls `f` with about `count` keys and their values from `cursor` on; returns the next cursor, 0 at the end.
    ///
    /// Every key present from the first call to the last is reported, exactly once. Keys whose time has passed may be among
    /// them: look them up.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&[u8], ValueRef<'_>)) -> u64 {
        self.table.scan(cursor, count, |entry| f(entry.key(), value_ref(entry)))
    }

    /// Calls `f` with every key, its value and its deadline, those included whose time has passed.
    pub fn for_each(&self, mut f: impl FnMut(&[u8], ValueRef<'_>, Option<UnixMs>)) {
        self.table.iter().for_each(|entry| f(entry.key(), value_ref(entry), entry.deadline().map(UnixMs)));
    }

    /// All keys, those included whose time has passed.
    pub fn entries(&self) -> impl Iterator<Item = EntryView<'_>> {
        self.table.iter().map(|entry| EntryView {
            key: entry.key(),
            value: value_ref(entry),
            deadline: entry.deadline().map(UnixMs),
            clock: entry.clock(),
        })
    }

    /// Adds a key that is being loaded; false, and nothing happens, when it is there already.
    pub fn load(&mut self, key: &[u8], value: Incoming<'_>, deadline: Option<UnixMs>) -> bool {
        let hash = hash(key);
        let mut fields = None;
        self.about_to_change(hash);
        let Place::Vacant(place) = self.table.place(hash, key) else { return false };
        let deadline = deadline.map(|at| at.0);
        let value = match value {
            Incoming::String(Elem::Int(n)) => NewValue::Int(n),
            Incoming::String(Elem::Str(text)) => match integer(text) {
                Some(n) => NewValue::Int(n),
                None => NewValue::Bytes(text),
            },
            Incoming::Value(value) => match value {
                Value::String(Str::Int(n)) => NewValue::Int(n),
                Value::String(Str::Bytes(bytes)) => {
                    place.insert(Entry::new(key, deadline, self.clock, NewValue::Bytes(&bytes)));
                    self.sizes.added(Size::of_bytes(bytes.len()));
                    self.deadlines.changed(position(hash), None, deadline, self.table.logical_size());
                    return true;
                }
                Value::List(list) => NewValue::packed(list),
                Value::Set(set) => NewValue::packed(set),
                Value::Hash(hash) => {
                    fields = hash.next_deadline();
                    NewValue::packed(hash)
                }
                Value::Zset(zset) => NewValue::packed(zset),
                Value::Stream(stream) => NewValue::packed(stream),
            },
        };
        let place = place.insert(Entry::new(key, deadline, self.clock, value));
        self.sizes.added(Size::of(place.get()));
        self.fields_changed(key, None, fields);
        if deadline.is_some() {
            self.deadlines.changed(position(hash), None, deadline, self.table.logical_size());
        }
        true
    }

    /// Removes everything; returns the old contents, to be dropped wherever that is best.
    pub fn clear(&mut self) -> Db {
        let fresh = Db {
            now: self.now,
            access: self.access,
            clock: self.clock,
            dice: self.dice,
            wanted: self.wanted,
            notes: std::mem::take(&mut self.notes),
            waste: std::mem::take(&mut self.waste),
            hits: self.hits,
            misses: self.misses,
            removes_expired: self.removes_expired,
            keeps_expired: self.keeps_expired,
            passed: self.passed,
            touches: self.touches,
            ..Db::default()
        };
        std::mem::replace(self, fresh)
    }

    /// Goes on moving keys to a larger or smaller table, at most so many buckets (of about eight keys); starts to if that has
    /// become due. For a cron job. Answers whether there is more to do.
    pub fn rehash_step(&mut self, buckets: usize) -> bool {
        self.table.resize_if_needed();
        self.table.rehash_step(buckets)
    }

    /// Whether keys are being moved to a larger or smaller table.
    #[must_use]
    pub fn is_rehashing(&self) -> bool {
        self.table.is_rehashing()
    }

    /// Makes room for so many keys at once, before they are loaded.
    pub fn reserve(&mut self, keys: usize) {
        self.table.reserve(keys);
    }

    /// Bytes that the next new key would need for a larger table, 0 if it needs none.
    #[must_use]
    pub fn growth_bytes(&self) -> usize {
        self.table.growth_bytes()
    }

    /// Keeps the table from growing, or lets it: near the memory limit a fuller table is the lesser evil.
    pub fn hold_growth(&mut self, hold: bool) {
        self.table.hold_growth(hold);
    }

    /// Bytes of the table and of what is known about deadlines, without the entries.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.table.memory_usage() + self.deadlines.memory_usage() + self.field_deadlines.memory_usage()
    }

    /// Bytes of the table that is being left, 0 when not rehashing.
    #[must_use]
    pub fn rehash_bytes(&self) -> usize {
        self.table.rehash_bytes()
    }

    /// Figures on the table, for DEBUG HTSTATS. `full` hashes every key.
    #[must_use]
    pub fn table_stats(&self, full: bool) -> Stats {
        self.table.stats(full)
    }

    /// Panics unless counts and groups fit the keys. For tests; slow.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        self.table.check_invariants();
        let (mut expires, mut field_expires, mut sizes) = (0, 0, Sizes::default());
        for entry in &self.table {
            sizes.added(Size::of(entry));
            if let Some(at) = field_deadline(entry) {
                field_expires += 1;
                self.field_deadlines.check(position(hash(entry.key())), at);
            }
            if let Some(deadline) = entry.deadline() {
                expires += 1;
                self.deadlines.check(position(hash(entry.key())), deadline);
            }
        }
        assert_eq!(sizes, self.sizes);
        assert_eq!(expires, self.expires());
        assert_eq!(field_expires, self.field_expires());
    }
}

/// An access to a key: what it makes of the key's clock.
#[derive(Clone, Copy)]
struct Access {
    kind: AccessClock,
    touches: bool,
    /// Clock of a new key.
    fresh: u32,
    now: UnixMs,
    /// Drawn for frequencies only.
    random: u64,
}

impl Access {
    #[inline]
    fn note(self, mut entry: EntryMut<'_>) -> EntryMut<'_> {
        if self.touches {
            let clock = match self.kind {
                AccessClock::Lru => self.fresh,
                kind => clock::accessed(kind, entry.as_ref().clock(), self.now, self.random),
            };
            entry.set_clock(clock);
        }
        entry
    }

    /// The value was replaced by a new one: it keeps the frequency of the old one.
    #[inline]
    fn replaced(self, mut entry: EntryMut<'_>) {
        match self.kind {
            AccessClock::Lru => entry.set_clock(self.fresh),
            AccessClock::Lfu { .. } => drop(self.note(entry)),
        }
    }
}

/// 64 random bits (xorshift64*): for frequency counters, where little is at stake.
fn roll(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[cfg(test)]
mod tests;
