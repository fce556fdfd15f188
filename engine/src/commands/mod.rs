//! The data commands: one module a family, each with its declarations.

use crate::command::Command;

pub mod blocking;
pub mod deadline;
pub mod list;
pub mod string;

/// All families.
pub const FAMILIES: &[&[&Command]] = &[list::COMMANDS, string::COMMANDS];
