//! Data structures that know nothing of keys or commands.
//!
//! The byte formats (listpack, intset, quicklist nodes) are Redis' own, so that saving and loading is copying.

pub mod blob;
pub mod int;
pub mod intset;
pub mod listpack;
pub mod lzf;
