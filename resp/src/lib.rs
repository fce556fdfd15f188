//! The Redis wire protocol, RESP2 and RESP3.

pub mod inline;
pub mod number;
pub mod request;
pub mod writer;

pub use request::{Decoded, Decoder, Limits, ProtocolError, Span};
pub use writer::{Deferred, Protocol, Writer};
