//! What black-box tests need: a server to start, a connection to talk to it, and scenarios that read like a session.
//!
//! Nothing here uses the crates under test, not even for reading replies: a mistake in them must not hide itself.
//!
//! ```no_run
//! tests::check_session(
//!     "
//!     LPUSHX k a   => :0
//!     RPUSH  k b   => :1
//!     LRANGE k 0 9 => [b]
//!     ",
//! );
//! ```

mod client;
mod process;
mod reply;
mod server;
mod session;

pub use client::{Client, Stream, request};
pub use process::Process;
pub use reply::{Reply, ReplyError};
pub use server::{TestServer, binary};
pub use session::{check_session, run_session};
