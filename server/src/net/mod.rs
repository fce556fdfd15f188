//! Sockets: listening, reading, writing, waiting. Nothing here knows commands.

pub mod listener;
pub mod poll;
pub mod socket;
