//! Redis data types and commands.

pub mod ds;
