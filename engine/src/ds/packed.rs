//! How collections become four bits and one pointer, which is all that a keyspace entry has room for.
//!
//! Each form of a collection is an owned structure that is one pointer wide; the [`Encoding`] tells which. A type such as a
//! list, which is one of several forms, packs itself into the entry and comes out of it again, in registers.
//!
//! This is the one file of the folder that names types: it is where their unsafe conversions are kept.

#![expect(unsafe_code, reason = "owned pointers whose type is told by four bits elsewhere")]

use super::element::{Field, Member, fields_memory, members_memory};
use super::entry::Encoding;
use super::field_table::FieldTable;
use super::intset::IntSet;
use super::listpack::Listpack;
use super::listpack_ex::ListpackEx;
use super::quicklist::Quicklist;
use super::sorted_set::SortedSet;
use super::table::Table;
use crate::types::stream::Body;
use crate::types::{Hash, List, Set, Stream, Zset};
use std::ptr::NonNull;

/// A value that fits into an encoding and a pointer.
///
/// # Safety
/// * `pack` gives an encoding for which `fits` is true, which is not one of a string, and a pointer that owns the form
///   listed for it at the end of this file.
/// * `unpack` undoes `pack` and does nothing else: it neither frees nor copies what the pointer refers to.
pub unsafe trait Packed: Sized + Send {
    /// Whether a value with this encoding is of this type.
    fn fits(encoding: Encoding) -> bool;
    /// Gives up ownership for an encoding and an address below 2^48.
    fn pack(self) -> (Encoding, NonNull<u8>);
    /// Takes ownership back.
    ///
    /// # Safety
    /// Both come from `pack` of this type, and nothing else uses the value in the meantime.
    unsafe fn unpack(encoding: Encoding, raw: NonNull<u8>) -> Self;
}

/// An owned structure that is one pointer wide.
///
/// # Safety
/// `into_raw` gives an address below 2^48 that `from_raw` turns back into the same structure.
pub(crate) unsafe trait Form: Sized + Send {
    fn into_raw(self) -> NonNull<u8>;
    /// # Safety
    /// `raw` comes from `into_raw`, and nothing else uses the structure in the meantime.
    unsafe fn from_raw(raw: NonNull<u8>) -> Self;
    /// Bytes allocated. Looks at `samples` elements and extrapolates; 0 looks at all.
    fn memory_usage(&self, samples: usize) -> usize;
}

/// The conversions that a thin structure has itself.
macro_rules! form {
    ($type:ty, $memory:expr) => {
        // SAFETY: the type's own conversion.
        unsafe impl Form for $type {
            #[inline(always)]
            fn into_raw(self) -> NonNull<u8> {
                <$type>::into_raw(self)
            }
            #[inline(always)]
            unsafe fn from_raw(raw: NonNull<u8>) -> Self {
                // SAFETY: as promised by the caller.
                unsafe { <$type>::from_raw(raw) }
            }
            fn memory_usage(&self, samples: usize) -> usize {
                let memory: fn(&$type, usize) -> usize = $memory;
                memory(self, samples)
            }
        }
    };
}
form!(Listpack, |pack, _| pack.memory_usage());
form!(ListpackEx, |pack, _| pack.memory_usage());
form!(IntSet, |set, _| set.memory_usage());

/// A structure whose thin form is a box, with its memory besides the box.
macro_rules! boxed_form {
    ($type:ty, $memory:expr) => {
        // SAFETY: a box's own conversion.
        unsafe impl Form for Box<$type> {
            #[inline(always)]
            fn into_raw(self) -> NonNull<u8> {
                NonNull::from(Box::leak(self)).cast()
            }
            #[inline(always)]
            unsafe fn from_raw(raw: NonNull<u8>) -> Self {
                // SAFETY: as promised by the caller.
                unsafe { Box::from_raw(raw.as_ptr().cast()) }
            }
            fn memory_usage(&self, samples: usize) -> usize {
                let memory: fn(&$type, usize) -> usize = $memory;
                size_of::<$type>() + memory(self, samples)
            }
        }
    };
}
boxed_form!(Quicklist, Quicklist::memory_usage);
boxed_form!(SortedSet, SortedSet::memory_usage);
boxed_form!(Table<Member>, members_memory);
boxed_form!(Table<Field>, fields_memory);
boxed_form!(FieldTable, FieldTable::memory_usage);
boxed_form!(Body, Body::memory_usage);

/// What each encoding owns.
macro_rules! forms {
    ($($encoding:ident: $form:ty),* $(,)?) => {
        /// Frees a packed collection.
        ///
        /// # Safety
        /// Both come from `pack`, and nothing uses the value afterwards.
        pub(super) unsafe fn drop_packed(encoding: Encoding, raw: NonNull<u8>) {
            // SAFETY: as promised by the caller.
            unsafe {
                match encoding {
                    $(Encoding::$encoding => drop(<$form as Form>::from_raw(raw)),)*
                    _ => unreachable!("no collection has this encoding"),
                }
            }
        }

        /// Bytes that a packed collection has allocated. Looks at `samples` elements and extrapolates; 0 looks at all.
        ///
        /// # Safety
        /// Both come from `pack`.
        pub(super) unsafe fn packed_memory(encoding: Encoding, raw: NonNull<u8>, samples: usize) -> usize {
            // SAFETY: as promised by the caller; the value stays owned by whoever owns it.
            unsafe {
                match encoding {
                    $(Encoding::$encoding => {
                        let form = std::mem::ManuallyDrop::new(<$form as Form>::from_raw(raw));
                        <$form as Form>::memory_usage(&form, samples)
                    })*
                    _ => unreachable!("no collection has this encoding"),
                }
            }
        }
    };
}

forms! {
    ListListpack: Listpack,
    ListQuick: Box<Quicklist>,
    SetInt: IntSet,
    SetListpack: Listpack,
    SetTable: Box<Table<Member>>,
    HashListpack: Listpack,
    HashListpackEx: ListpackEx,
    HashTable: Box<Table<Field>>,
    HashTableEx: Box<FieldTable>,
    ZsetListpack: Listpack,
    ZsetTree: Box<SortedSet>,
    Stream: Box<Body>,
}

/// Which variant of a type's enum is which encoding. The forms have to be those of `forms!`.
macro_rules! packed {
    ($type:ident { $($variant:ident($form:ty) = $encoding:ident),* $(,)? }) => {
        // SAFETY: the variants and forms of the encodings are listed once, for both directions.
        unsafe impl Packed for $type {
            #[inline(always)]
            fn fits(encoding: Encoding) -> bool {
                matches!(encoding, $(Encoding::$encoding)|*)
            }
            #[inline(always)]
            fn pack(self) -> (Encoding, NonNull<u8>) {
                match self {
                    $($type::$variant(form) => (Encoding::$encoding, <$form as Form>::into_raw(form)),)*
                }
            }
            #[inline(always)]
            unsafe fn unpack(encoding: Encoding, raw: NonNull<u8>) -> Self {
                // SAFETY: as promised by the caller.
                unsafe {
                    match encoding {
                        $(Encoding::$encoding => $type::$variant(<$form as Form>::from_raw(raw)),)*
                        _ => unreachable!("a type is unpacked from its own encodings"),
                    }
                }
            }
        }
    };
}

packed!(List { Listpack(Listpack) = ListListpack, Quick(Box<Quicklist>) = ListQuick });
packed!(Set { Int(IntSet) = SetInt, Listpack(Listpack) = SetListpack, Table(Box<Table<Member>>) = SetTable });
packed!(Hash {
    Listpack(Listpack) = HashListpack,
    ListpackEx(ListpackEx) = HashListpackEx,
    Table(Box<Table<Field>>) = HashTable,
    TableEx(Box<FieldTable>) = HashTableEx,
});
packed!(Zset { Listpack(Listpack) = ZsetListpack, Tree(Box<SortedSet>) = ZsetTree });

// SAFETY: a stream has one form, the box of its body.
unsafe impl Packed for Stream {
    #[inline(always)]
    fn fits(encoding: Encoding) -> bool {
        encoding == Encoding::Stream
    }
    #[inline(always)]
    fn pack(self) -> (Encoding, NonNull<u8>) {
        (Encoding::Stream, self.into_body().into_raw())
    }
    #[inline(always)]
    unsafe fn unpack(_: Encoding, raw: NonNull<u8>) -> Self {
        // SAFETY: as promised by the caller.
        Stream::from_body(unsafe { Form::from_raw(raw) })
    }
}
