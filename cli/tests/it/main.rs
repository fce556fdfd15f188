//! redis-cli-rs and redis-benchmark-rs as programs: what they print, and what they do to servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_servers;
mod cluster;
mod debugger;
mod process;
mod recordings;
mod replay;
mod server;
mod tls;
