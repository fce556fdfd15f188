//! CLIENT and its subcommands. <https://redis.io/docs/latest/commands/?group=connection>

use engine::error::CommandError;

use super::HostCommand;
use crate::server::Server;
use crate::session::ClientId;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[];

/// Checks a name for the characters that CLIENT LIST could not show.
///
/// # Errors
/// `complaint` with the code `ERR`.
pub fn check_name(name: &[u8], complaint: &str) -> Result<(), CommandError> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(())
    } else {
        Err(CommandError::owned(format!("ERR {complaint}")))
    }
}

/// The line of CLIENT LIST about one client.
#[must_use]
pub fn describe(server: &Server, id: ClientId) -> String {
    let Some(client) = server.clients.get(id) else { return String::new() };
    format!("id={} addr={}", client.id.id, client.socket.peer(""))
}
