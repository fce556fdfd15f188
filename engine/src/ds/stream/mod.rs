//! The log under a stream: entries in order of their ids, about a hundred to a listpack.
//!
//! [`node`] is the format of one listpack (Redis' own, so that saving and loading is copying), [`log`] their sequence.

pub mod id;
pub mod log;
pub mod node;

pub use id::StreamId;
pub use log::{Limits, Log};
pub use node::{Entry, Fields};
