//! The Redis wire protocol.
