//! What a line could be completed to: commands, subcommands, arguments, names of parameters, keys.

use crate::docs::Doc;
use crate::help;
use crate::session::Session;

/// What could stand from a place in the line to its end, which is where the cursor is.
pub(crate) async fn candidates(_session: &mut Session, docs: &[Doc], line: &str) -> (usize, Vec<String>) {
    (0, help::completions(docs, line))
}
