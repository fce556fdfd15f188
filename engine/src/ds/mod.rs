//! Data structures that know nothing of keys, databases or commands.
//!
//! The byte formats (listpack, intset, quicklist nodes) are Redis' own, so that saving and loading is copying. This folder
//! is the only place of the engine with `unsafe` code; everything it hands out is safe to use.

pub mod bits;
pub mod blob;
pub mod btree;
pub(crate) mod deadlines;
pub mod element;
pub mod entry;
pub mod field_table;
pub mod hash;
pub mod heapstr;
pub mod hll;
pub mod int;
pub mod intset;
pub mod listpack;
pub mod listpack_ex;
pub mod lzf;
pub mod packed;
pub mod quicklist;
pub mod sorted_set;
pub mod stream;
pub mod table;
pub mod zmember;
