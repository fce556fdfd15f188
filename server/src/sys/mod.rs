//! What the operating system and the processor give: this crate's only unsafe code.

pub mod alloc;
pub mod daemon;
pub mod fork;
pub mod title;
pub mod tsc;
pub mod usage;
