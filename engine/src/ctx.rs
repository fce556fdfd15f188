//! Everything that a handler may see. What is not in here cannot be used by accident.

use resp::writer::Writer;

use crate::config::EngineConfig;
use crate::effects::{Effects, EventClass};
use crate::error::CommandError;
use crate::keyspace::{Db, Keyspaces};
use crate::rng::Rng;
use crate::time::UnixMs;
use crate::types::Kind;

/// The world of one command.
pub struct Ctx<'a> {
    /// The selected database.
    pub db: &'a mut Db,
    /// The other databases.
    pub others: Keyspaces<'a>,
    /// The time of this command: one moment, however long it runs. A whole transaction sees one time.
    pub now: UnixMs,
    /// Randomness.
    pub rng: &'a mut Rng,
    /// Thresholds and limits.
    pub config: &'a EngineConfig,
    /// Where the reply goes.
    pub out: Writer<'a>,
    /// What the command causes besides.
    pub effects: &'a mut Effects,
    /// Whether the client may be blocked: not inside a transaction or script.
    pub may_block: bool,
}

impl Ctx<'_> {
    /// Reports the keys created so far: of several, each with the event of what it was created by. Those of a single key need not
    /// be reported, they come first.
    #[inline]
    pub fn report_created(&mut self) {
        for key in self.db.notes.created.drain(..) {
            self.effects.event(EventClass::NEW, "new", &key);
        }
    }
}

/// How a command ended. An `Err` is the reply.
pub type CmdResult = Result<Outcome, CommandError>;

/// How a command ended that did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// The reply is written.
    Done,
    /// Nothing is written: the client waits, and the same command runs again when a key is ready.
    Block(Box<BlockOn>),
}

/// What a blocked client waits for.
#[derive(Debug, Clone)]
pub struct BlockOn {
    /// Any of these keys, in the selected database.
    pub keys: Vec<Box<[u8]>>,
    /// Until then; `None` waits for ever.
    pub deadline: Option<UnixMs>,
    /// What the client is told at the deadline.
    pub on_timeout: TimeoutReply,
    /// The type of value that can end the wait.
    pub kind: Kind,
    /// Whether the wait also ends (with an error) when the key is deleted or changes its type: XREADGROUP.
    pub wakes_on_delete: bool,
    /// What runs when a key is ready, if that is not the request as it came: the `$` of XREAD means the last id at the
    /// time at which the wait began.
    pub again: Option<Vec<Box<[u8]>>>,
}

/// The reply to a client whose wait ran out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TimeoutReply {
    /// A null array.
    NullArray,
    /// A null.
    Null,
    /// What of the writes waited for has been acknowledged so far; only the embedder knows.
    Acks,
    /// OK: the command has done its work, and waits only until what it left is freed. It does not run again, and nobody but the
    /// embedder ends the wait.
    Freed,
}
