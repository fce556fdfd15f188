//! Redis data types and commands.
