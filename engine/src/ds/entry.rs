//! A key with its value and its deadline in one allocation: the element of a database's table.
//!
//! ```text
//! [meta u32 | key length 1 or 5 | key | deadline i64, if any | value length 1 or 5 and bytes, or 8 bytes of payload]
//!  meta = clock (24 bits) | encoding (4 bits) | has a deadline (1 bit)
//! ```
//!
//! Nothing is aligned or padded, so that a key and a value of 16 bytes take 38 bytes, and 40 with the allocator. The key comes
//! first: comparing it needs nothing but its length. The payload is an integer, or one owned pointer: to a
//! [`HeapStr`], or to a collection, which is taken out as a value of its own type ([`Packed`]) for as long as it is used.

#![expect(unsafe_code, reason = "unaligned fields in one allocation")]

use super::blob::size_class;
use super::heapstr::HeapStr;
use super::packed::{Packed, drop_packed, packed_memory};
use super::table::Element;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

/// Longest string that lies in its entry, in bytes. Longer ones are a [`HeapStr`]: growing and overwriting them does not
/// move the key.
pub const INLINE_MAX: usize = 190;

/// Longest key in bytes. Far above what the protocol's default limit lets through; the length field has 32 bits.
pub const KEY_MAX: usize = u32::MAX as usize;

/// How the value of an entry is stored: four bits of its meta word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Bytes in the entry.
    StrInline = 0,
    /// An integer in the entry.
    StrInt = 1,
    /// Bytes in a [`HeapStr`].
    StrHeap = 2,
    /// A list in one listpack.
    ListListpack = 3,
    /// A list of linked nodes.
    ListQuick = 4,
    /// A set of integers, sorted.
    SetInt = 5,
    /// A set in one listpack.
    SetListpack = 6,
    /// A set in a hash table.
    SetTable = 7,
    /// A hash in one listpack.
    HashListpack = 8,
    /// A hash in one listpack, with deadlines of fields.
    HashListpackEx = 9,
    /// A hash in a hash table.
    HashTable = 10,
    /// A sorted set in one listpack.
    ZsetListpack = 11,
    /// A sorted set in a tree and a hash table.
    ZsetTree = 12,
    /// A stream.
    Stream = 13,
    /// A hash in a hash table, with deadlines of fields.
    HashTableEx = 14,
}

impl Encoding {
    #[inline(always)]
    fn from_bits(bits: u32) -> Encoding {
        debug_assert!(bits <= Encoding::HashTableEx as u32);
        // SAFETY: only values of this enum are ever stored in these bits.
        unsafe { std::mem::transmute::<u8, Encoding>(bits as u8) }
    }

    /// Whether the value is a string.
    #[inline(always)]
    #[must_use]
    pub fn is_string(self) -> bool {
        self as u8 <= Encoding::StrHeap as u8
    }
}

const CLOCK_MASK: u32 = (1 << 24) - 1;
const ENCODING_SHIFT: u32 = 24;
const ENCODING_MASK: u32 = 0xf << ENCODING_SHIFT;
const HAS_DEADLINE: u32 = 1 << 28;

/// Bytes of the meta word.
const META: usize = 4;

/// Bytes of a deadline, and of a payload.
const WORD: usize = 8;

/// Lengths below this take one byte; others this byte and four more.
const LONG: u8 = 0x80;

#[inline(always)]
fn len_bytes(len: usize) -> usize {
    if len < LONG as usize { 1 } else { 5 }
}

/// The length at `at`, and the bytes that it takes.
///
/// # Safety
/// A length was written there by `write_len`.
#[inline(always)]
unsafe fn read_len(at: *const u8) -> (usize, usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        let first = at.read();
        if first < LONG { (first as usize, 1) } else { (at.add(1).cast::<u32>().read_unaligned() as usize, 5) }
    }
}

/// # Safety
/// `len_bytes(len)` bytes can be written at `at`.
#[inline(always)]
unsafe fn write_len(at: *mut u8, len: usize) -> *mut u8 {
    // SAFETY: as promised by the caller.
    unsafe {
        if len < LONG as usize {
            at.write(len as u8);
            at.add(1)
        } else {
            at.write(LONG);
            at.add(1).cast::<u32>().write_unaligned(len as u32);
            at.add(5)
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size_class(size), 8).expect("an entry fits into the address space")
}

/// A string value as an entry holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredStr<'a> {
    /// An integer.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// A value on its way into an entry.
#[derive(Debug)]
pub enum NewValue<'a> {
    /// An integer.
    Int(i64),
    /// Bytes, to be copied.
    Bytes(&'a [u8]),
    /// A string of its own.
    Heap(HeapStr),
    /// A collection.
    Packed(Owned),
}

impl<'a> NewValue<'a> {
    /// A collection.
    pub fn packed<T: Packed>(value: T) -> NewValue<'a> {
        NewValue::Packed(Owned::new(value))
    }
}

/// A collection in its packed form, without its entry.
#[derive(Debug)]
pub struct Owned {
    encoding: Encoding,
    raw: NonNull<u8>,
}

// SAFETY: packed values are `Send`, as `Packed` demands.
unsafe impl Send for Owned {}

impl Owned {
    /// Packs a collection.
    pub fn new<T: Packed>(value: T) -> Self {
        let (encoding, raw) = value.pack();
        debug_assert!(!encoding.is_string());
        Owned { encoding, raw }
    }

    /// How it is stored.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The collection, or this again if it is of another type.
    ///
    /// # Errors
    /// The type does not fit.
    pub fn unpack<T: Packed>(self) -> Result<T, Self> {
        if !T::fits(self.encoding) {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: from `pack` with this encoding, and given up here.
        Ok(unsafe { T::unpack(this.encoding, this.raw) })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: from `pack` with this encoding, and owned here.
        unsafe { drop_packed(self.encoding, self.raw) };
    }
}

/// What was in an entry and takes time to free.
#[derive(Debug)]
pub enum OldValue {
    /// A string or an integer in the entry: nothing is left of it.
    Nothing,
    /// A string of its own.
    Heap(HeapStr),
    /// A collection.
    Packed(Owned),
}

/// An entry that is owned. See the [module](self).
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its allocation and its payload, which is `Send` as `Packed` demands.
unsafe impl Send for Entry {}

/// An entry that is borrowed.
#[derive(Clone, Copy)]
pub struct EntryRef<'a>(NonNull<u8>, PhantomData<&'a Entry>);

/// An entry that is borrowed exclusively: it can be changed as far as it does not move.
pub struct EntryMut<'a>(NonNull<u8>, PhantomData<&'a mut Entry>);

/// Where the parts of an entry lie.
#[derive(Clone, Copy)]
struct Raw(*mut u8);

impl Raw {
    #[inline(always)]
    unsafe fn meta(self) -> u32 {
        // SAFETY: an entry begins with its meta word.
        unsafe { self.0.cast::<u32>().read() }
    }

    #[inline(always)]
    unsafe fn set_meta(self, meta: u32) {
        // SAFETY: an entry begins with its meta word.
        unsafe { self.0.cast::<u32>().write(meta) }
    }

    #[inline(always)]
    unsafe fn encoding(self) -> Encoding {
        // SAFETY: an entry.
        Encoding::from_bits((unsafe { self.meta() } & ENCODING_MASK) >> ENCODING_SHIFT)
    }

    #[inline(always)]
    unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the key follows its length.
        unsafe {
            let (len, size) = read_len(self.0.add(META));
            std::slice::from_raw_parts(self.0.add(META + size), len)
        }
    }

    /// One past the key: the deadline, if there is one.
    #[inline(always)]
    unsafe fn after_key(self) -> *mut u8 {
        // SAFETY: the key follows its length.
        unsafe {
            let (len, size) = read_len(self.0.add(META));
            self.0.add(META + size + len)
        }
    }

    #[inline(always)]
    unsafe fn deadline(self) -> Option<i64> {
        // SAFETY: with the flag, the deadline follows the key.
        unsafe { (self.meta() & HAS_DEADLINE != 0).then(|| self.after_key().cast::<i64>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn value(self) -> *mut u8 {
        // SAFETY: as above; the value follows.
        unsafe { self.after_key().add(if self.meta() & HAS_DEADLINE != 0 { WORD } else { 0 }) }
    }

    #[inline(always)]
    unsafe fn payload(self) -> NonNull<u8> {
        // SAFETY: entries that are neither `StrInline` nor `StrInt` have a pointer there.
        unsafe {
            let address = self.value().cast::<u64>().read_unaligned() as usize;
            NonNull::new_unchecked(ptr::with_exposed_provenance_mut(address))
        }
    }

    #[inline(always)]
    unsafe fn set_payload(self, raw: NonNull<u8>) {
        // SAFETY: as above.
        unsafe { self.value().cast::<u64>().write_unaligned(raw.as_ptr().expose_provenance() as u64) }
    }

    /// Bytes of the value with its length.
    unsafe fn value_size(self) -> usize {
        // SAFETY: an entry; inline bytes follow their length.
        unsafe {
            if self.encoding() == Encoding::StrInline {
                let (len, size) = read_len(self.value());
                len + size
            } else {
                WORD
            }
        }
    }

    /// Bytes of the entry.
    unsafe fn size(self) -> usize {
        // SAFETY: an entry.
        unsafe { self.value().offset_from_unsigned(self.0) + self.value_size() }
    }

    #[inline(always)]
    unsafe fn string<'a>(self) -> Option<StoredStr<'a>> {
        // SAFETY: each encoding is read as it is written.
        unsafe {
            match self.encoding() {
                Encoding::StrInline => {
                    let at = self.value();
                    let (len, size) = read_len(at);
                    Some(StoredStr::Bytes(std::slice::from_raw_parts(at.add(size), len)))
                }
                Encoding::StrInt => Some(StoredStr::Int(self.value().cast::<i64>().read_unaligned())),
                Encoding::StrHeap => {
                    let heap = ManuallyDrop::new(HeapStr::from_raw(self.payload()));
                    let bytes = heap.bytes();
                    Some(StoredStr::Bytes(std::slice::from_raw_parts(bytes.as_ptr(), bytes.len())))
                }
                _ => None,
            }
        }
    }

    /// Takes a payload out that is a pointer, and leaves the integer 0.
    unsafe fn take(self) -> OldValue {
        // SAFETY: each encoding is read as it is written, and what is read is not left in the entry.
        unsafe {
            let encoding = self.encoding();
            let old = match encoding {
                Encoding::StrInline | Encoding::StrInt => return OldValue::Nothing,
                Encoding::StrHeap => OldValue::Heap(HeapStr::from_raw(self.payload())),
                _ => OldValue::Packed(Owned { encoding, raw: self.payload() }),
            };
            self.set_encoding(Encoding::StrInt);
            self.value().cast::<i64>().write_unaligned(0);
            old
        }
    }

    #[inline(always)]
    unsafe fn set_encoding(self, encoding: Encoding) {
        // SAFETY: an entry.
        unsafe { self.set_meta(self.meta() & !ENCODING_MASK | (encoding as u32) << ENCODING_SHIFT) }
    }

    /// Writes deadline and value after the key, and the meta bits that tell about them.
    #[inline(always)]
    unsafe fn write_tail(self, deadline: Option<i64>, value: NewValue<'_>) {
        // SAFETY: the caller has allocated `tail_size` bytes after the key.
        unsafe {
            let mut at = self.after_key();
            let mut meta = self.meta() & CLOCK_MASK;
            if let Some(deadline) = deadline {
                at.cast::<i64>().write_unaligned(deadline);
                at = at.add(WORD);
                meta |= HAS_DEADLINE;
            }
            let encoding = match value {
                NewValue::Bytes(bytes) => {
                    let at = write_len(at, bytes.len());
                    ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
                    Encoding::StrInline
                }
                NewValue::Int(n) => {
                    at.cast::<i64>().write_unaligned(n);
                    Encoding::StrInt
                }
                NewValue::Heap(heap) => {
                    at.cast::<u64>().write_unaligned(heap.into_raw().as_ptr().expose_provenance() as u64);
                    Encoding::StrHeap
                }
                NewValue::Packed(owned) => {
                    let owned = ManuallyDrop::new(owned);
                    at.cast::<u64>().write_unaligned(owned.raw.as_ptr().expose_provenance() as u64);
                    owned.encoding
                }
            };
            self.set_meta(meta | (encoding as u32) << ENCODING_SHIFT);
        }
    }
}

/// A value in the form in which it is stored: bytes that are too long for an entry get an allocation of their own.
#[inline(always)]
fn stored(value: NewValue<'_>) -> NewValue<'_> {
    match value {
        NewValue::Bytes(bytes) if bytes.len() > INLINE_MAX => NewValue::Heap(HeapStr::new(bytes)),
        other => other,
    }
}

/// Bytes of deadline and value.
#[inline(always)]
fn tail_size(deadline: Option<i64>, value: &NewValue<'_>) -> usize {
    let value = if let NewValue::Bytes(bytes) = value { len_bytes(bytes.len()) + bytes.len() } else { WORD };
    value + if deadline.is_some() { WORD } else { 0 }
}

/// An allocation for an entry of so many bytes.
#[inline(always)]
fn allocate(size: usize) -> Raw {
    let layout = layout(size);
    // SAFETY: the layout has a size.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    Raw(block)
}

impl Entry {
    /// A new entry. The deadline is in milliseconds since the epoch. Panics if the key is longer than [`KEY_MAX`].
    #[inline]
    #[must_use]
    pub fn new(key: &[u8], deadline: Option<i64>, clock: u32, value: NewValue<'_>) -> Self {
        assert!(key.len() <= KEY_MAX, "a key's length has 32 bits");
        let value = stored(value);
        let head = META + len_bytes(key.len()) + key.len();
        let raw = allocate(head + tail_size(deadline, &value));
        // SAFETY: allocated for these parts.
        unsafe {
            raw.set_meta(clock & CLOCK_MASK);
            let at = write_len(raw.0.add(META), key.len());
            ptr::copy_nonoverlapping(key.as_ptr(), at, key.len());
            raw.write_tail(deadline, value);
            Entry(NonNull::new_unchecked(raw.0))
        }
    }

    #[inline(always)]
    fn raw(&self) -> Raw {
        Raw(self.0.as_ptr())
    }

    /// The entry, borrowed.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef(self.0, PhantomData)
    }

    /// The entry, borrowed exclusively.
    #[inline]
    pub fn as_mut(&mut self) -> EntryMut<'_> {
        EntryMut(self.0, PhantomData)
    }

    /// Puts another value and deadline into the entry, in place if the allocation has the right size. Hands out what was in it
    /// and takes time to free.
    #[inline]
    pub fn set(&mut self, deadline: Option<i64>, value: NewValue<'_>) -> OldValue {
        // SAFETY: we own the entry; the tail is written into an allocation that has room for it.
        unsafe {
            let mut value = value;
            // A long string of about the same length is overwritten where it is.
            if let NewValue::Bytes(bytes) = value
                && bytes.len() > INLINE_MAX
                && self.raw().encoding() == Encoding::StrHeap
                && let OldValue::Heap(mut heap) = self.raw().take()
            {
                heap.assign(bytes);
                value = NewValue::Heap(heap);
            }
            let old = self.raw().take();
            self.set_tail(deadline, stored(value));
            old
        }
    }

    /// Replaces deadline and value of an entry whose payload was taken.
    unsafe fn set_tail(&mut self, deadline: Option<i64>, value: NewValue<'_>) {
        // SAFETY: we own the entry; head and tail are written into an allocation that has room for them.
        unsafe {
            let raw = self.raw();
            let head = raw.after_key().offset_from_unsigned(raw.0);
            let (was, needs) = (size_class(raw.size()), size_class(head + tail_size(deadline, &value)));
            if was == needs {
                raw.write_tail(deadline, value);
            } else {
                let fresh = allocate(needs);
                ptr::copy_nonoverlapping(raw.0, fresh.0, head);
                fresh.write_tail(deadline, value);
                dealloc(raw.0, layout(was));
                self.0 = NonNull::new_unchecked(fresh.0);
            }
        }
    }

    /// Sets or removes the deadline.
    pub fn set_deadline(&mut self, deadline: Option<i64>) {
        if self.as_mut().set_deadline_in_place(deadline) {
            return;
        }
        // SAFETY: we own the entry. The value is copied out first, since it moves within the entry.
        unsafe {
            let raw = self.raw();
            match raw.take() {
                OldValue::Nothing => match raw.string() {
                    Some(StoredStr::Int(n)) => self.set_tail(deadline, NewValue::Int(n)),
                    Some(StoredStr::Bytes(bytes)) => {
                        let mut copy = [0; INLINE_MAX];
                        let copy = &mut copy[..bytes.len()];
                        copy.copy_from_slice(bytes);
                        self.set_tail(deadline, NewValue::Bytes(copy));
                    }
                    None => unreachable!("a collection was taken"),
                },
                OldValue::Heap(heap) => self.set_tail(deadline, NewValue::Heap(heap)),
                OldValue::Packed(owned) => self.set_tail(deadline, NewValue::Packed(owned)),
            }
        }
    }

    /// Moves a string into an allocation of its own, where it can grow: see [`EntryMut::heap`]. Answers whether the value is a
    /// string.
    pub fn make_heap(&mut self) -> bool {
        let heap = match self.as_ref().string() {
            None => return false,
            Some(StoredStr::Int(n)) => HeapStr::new(itoa::Buffer::new().format(n).as_bytes()),
            Some(StoredStr::Bytes(bytes)) if self.as_ref().encoding() == Encoding::StrInline => HeapStr::new(bytes),
            Some(StoredStr::Bytes(_)) => return true,
        };
        let deadline = self.as_ref().deadline();
        // SAFETY: the value in the entry is no pointer, so nothing has to be taken.
        unsafe { self.set_tail(deadline, NewValue::Heap(heap)) };
        true
    }

    /// Takes the value out, as it is; the entry keeps the integer 0.
    pub fn take_value(&mut self) -> OldValue {
        // SAFETY: we own the entry.
        unsafe { self.raw().take() }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we own the entry; its allocation has the class of its size, which taking the payload does not change.
        unsafe {
            let raw = self.raw();
            if raw.encoding() as u8 > Encoding::StrInt as u8 {
                drop(raw.take());
            }
            dealloc(raw.0, layout(raw.size()));
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

// SAFETY: the address of an allocation, which is below 2^48 in user space; the key is written once.
unsafe impl Element for Entry {
    type Ref<'a> = EntryRef<'a>;
    type Mut<'a> = EntryMut<'a>;

    #[inline(always)]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).0
    }
    #[inline(always)]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Entry(raw)
    }
    #[inline(always)]
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: an entry that lives for 'a.
        unsafe { Raw(raw.as_ptr()).key() }
    }
    #[inline(always)]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> EntryRef<'a> {
        EntryRef(raw, PhantomData)
    }
    #[inline(always)]
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> EntryMut<'a> {
        EntryMut(raw, PhantomData)
    }
}

impl<'a> EntryRef<'a> {
    #[inline(always)]
    fn raw(self) -> Raw {
        Raw(self.0.as_ptr())
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn key(self) -> &'a [u8] {
        // SAFETY: an entry that lives for 'a and whose key does not change.
        unsafe { self.raw().key() }
    }

    /// How the value is stored.
    #[inline]
    #[must_use]
    pub fn encoding(self) -> Encoding {
        // SAFETY: an entry.
        unsafe { self.raw().encoding() }
    }

    /// The deadline in milliseconds since the epoch, if there is one.
    #[inline]
    #[must_use]
    pub fn deadline(self) -> Option<i64> {
        // SAFETY: an entry.
        unsafe { self.raw().deadline() }
    }

    /// The 24 bits that tell of accesses.
    #[inline]
    #[must_use]
    pub fn clock(self) -> u32 {
        // SAFETY: an entry.
        unsafe { self.raw().meta() & CLOCK_MASK }
    }

    /// The value, if it is a string.
    #[inline]
    #[must_use]
    pub fn string(self) -> Option<StoredStr<'a>> {
        // SAFETY: an entry that lives, unchanged, for 'a.
        unsafe { self.raw().string() }
    }

    /// The value, if it is a collection of this type.
    #[inline]
    #[must_use]
    pub fn read<T: Packed>(self) -> Option<Ref<'a, T>> {
        let encoding = self.encoding();
        // SAFETY: from `pack` with this encoding. The entry keeps the ownership: a `Ref` never drops or hands out the value.
        T::fits(encoding).then(|| unsafe { Ref::new(T::unpack(encoding, self.raw().payload())) })
    }

    /// Bytes that the allocator gives for entry and value. Looks at `samples` elements of a collection and extrapolates; 0
    /// looks at all.
    #[must_use]
    pub fn memory_usage(self, samples: usize) -> usize {
        // SAFETY: an entry; a payload is read as its encoding says and stays owned by the entry.
        unsafe {
            let value = match self.encoding() {
                Encoding::StrInline | Encoding::StrInt => 0,
                Encoding::StrHeap => ManuallyDrop::new(HeapStr::from_raw(self.raw().payload())).memory_usage(),
                encoding => packed_memory(encoding, self.raw().payload(), samples),
            };
            size_class(self.raw().size()) + value
        }
    }
}

impl std::fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii())
            .field("encoding", &self.encoding())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

impl<'a> EntryMut<'a> {
    #[inline(always)]
    fn raw(&self) -> Raw {
        Raw(self.0.as_ptr())
    }

    /// The entry, to be read.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef(self.0, PhantomData)
    }

    /// The entry, to be read only, from now on.
    #[inline]
    #[must_use]
    pub fn into_ref(self) -> EntryRef<'a> {
        EntryRef(self.0, PhantomData)
    }

    /// Sets the 24 bits that tell of accesses. Does not write if they are the same.
    #[inline]
    pub fn set_clock(&mut self, clock: u32) {
        // SAFETY: an entry, borrowed exclusively.
        unsafe {
            let meta = self.raw().meta();
            if meta & CLOCK_MASK != clock & CLOCK_MASK {
                self.raw().set_meta(meta & !CLOCK_MASK | clock & CLOCK_MASK);
            }
        }
    }

    /// Changes the deadline if there is room for one, or none to remove. Answers whether that was so.
    pub fn set_deadline_in_place(&mut self, deadline: Option<i64>) -> bool {
        // SAFETY: an entry, borrowed exclusively; with the flag, the deadline follows the key.
        unsafe {
            match (self.raw().meta() & HAS_DEADLINE != 0, deadline) {
                (true, Some(deadline)) => self.raw().after_key().cast::<i64>().write_unaligned(deadline),
                (false, None) => (),
                _ => return false,
            }
        }
        true
    }

    /// Puts a string in the place of the value, and keeps the deadline, if nothing has to be allocated, moved or freed for it.
    /// Answers whether that was so.
    #[inline]
    pub fn set_in_place(&mut self, value: StoredStr<'_>) -> bool {
        // SAFETY: an entry, borrowed exclusively. The value stays within the allocation, which has the class of the entry's size.
        unsafe {
            let raw = self.raw();
            match (raw.encoding(), value) {
                (Encoding::StrInt, StoredStr::Int(n)) => raw.value().cast::<i64>().write_unaligned(n),
                (Encoding::StrInline, StoredStr::Bytes(bytes)) if bytes.len() <= INLINE_MAX => {
                    let at = raw.value();
                    let (len, size) = read_len(at);
                    if len != bytes.len() {
                        let head = at.offset_from_unsigned(raw.0);
                        if size_class(head + size + len) != size_class(head + len_bytes(bytes.len()) + bytes.len()) {
                            return false;
                        }
                    }
                    ptr::copy_nonoverlapping(bytes.as_ptr(), write_len(at, bytes.len()), bytes.len());
                }
                _ => return false,
            }
        }
        true
    }

    /// The string, to be changed, if it has an allocation of its own ([`Entry::make_heap`]).
    #[must_use]
    pub fn heap(self) -> Option<HeapMut<'a>> {
        let raw = self.raw();
        // SAFETY: the encoding says what the payload is. The entry gives the ownership away until the guard is dropped: it
        // holds an integer in between, should that never happen.
        unsafe {
            if raw.encoding() != Encoding::StrHeap {
                return None;
            }
            let payload = raw.payload();
            raw.set_encoding(Encoding::StrInt);
            Some(HeapMut { value: ManuallyDrop::new(HeapStr::from_raw(payload)), entry: raw, borrow: PhantomData })
        }
    }

    /// The collection, to be changed, if it is of this type.
    #[inline]
    #[must_use]
    pub fn write<T: Packed>(self) -> Option<Mut<'a, T>> {
        let raw = self.raw();
        // SAFETY: from `pack` with this encoding. The entry gives the ownership away until the `Mut` is dropped: it holds the
        // integer 0 in between, should that never happen.
        unsafe {
            let encoding = raw.encoding();
            if !T::fits(encoding) {
                return None;
            }
            let payload = raw.payload();
            raw.set_encoding(Encoding::StrInt);
            Some(Mut { value: ManuallyDrop::new(T::unpack(encoding, payload)), entry: raw, borrow: PhantomData })
        }
    }
}

/// A collection in an entry, to be read.
pub struct Ref<'a, T> {
    value: ManuallyDrop<T>,
    borrow: PhantomData<&'a T>,
}

impl<T> Ref<'_, T> {
    /// # Safety
    /// `value` is owned by something that lives, unchanged, for the lifetime of the `Ref`.
    #[inline(always)]
    unsafe fn new(value: T) -> Self {
        Ref { value: ManuallyDrop::new(value), borrow: PhantomData }
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

/// A collection in an entry, to be changed. It goes back into the entry on drop.
pub struct Mut<'a, T: Packed> {
    value: ManuallyDrop<T>,
    entry: Raw,
    borrow: PhantomData<&'a mut T>,
}

impl<T: Packed> Deref for Mut<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Packed> DerefMut for Mut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Packed> Drop for Mut<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the value is taken once; the entry is still borrowed exclusively, and its payload is free.
        unsafe {
            let (encoding, payload) = ManuallyDrop::take(&mut self.value).pack();
            self.entry.set_payload(payload);
            self.entry.set_encoding(encoding);
        }
    }
}

impl<T: Packed + std::fmt::Debug> std::fmt::Debug for Mut<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

/// A string in an entry, to be changed. It goes back into the entry on drop.
pub struct HeapMut<'a> {
    value: ManuallyDrop<HeapStr>,
    entry: Raw,
    borrow: PhantomData<&'a mut HeapStr>,
}

impl Deref for HeapMut<'_> {
    type Target = HeapStr;
    fn deref(&self) -> &HeapStr {
        &self.value
    }
}

impl DerefMut for HeapMut<'_> {
    fn deref_mut(&mut self) -> &mut HeapStr {
        &mut self.value
    }
}

impl Drop for HeapMut<'_> {
    fn drop(&mut self) {
        // SAFETY: the string is taken once; the entry is still borrowed exclusively, and its payload is free.
        unsafe {
            self.entry.set_payload(ManuallyDrop::take(&mut self.value).into_raw());
            self.entry.set_encoding(Encoding::StrHeap);
        }
    }
}

impl std::fmt::Debug for HeapMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
