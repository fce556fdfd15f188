//! The Redis wire protocol.

pub mod inline;
pub mod number;
pub mod request;
pub mod writer;

/// Protocol version of a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}
