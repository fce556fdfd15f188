//! The options that cut a stream: of XADD and XTRIM.

use super::parse_id;
use crate::args::Args;
use crate::command::Arg;
use crate::config::EngineConfig;
use crate::effects::Effects;
use crate::error::CommandError;
use crate::types::stream::{Body, Cut, IdText, Keep, References, StreamId};
use smallvec::SmallVec;

/// Entries that a cut at nodes removes at most, for each entry that a node may have, unless LIMIT says otherwise.
const NODES_AT_ONCE: u64 = 100;
/// The same where nodes have no such limit.
const ENTRIES_AT_ONCE: u64 = 10_000;
/// The most, whatever the configuration.
const ENTRIES_AT_ONCE_MAX: u64 = 1_000_000;

/// As COMMAND DOCS tells these options.
pub(super) const TRIM_ARGS: &[Arg] = &[
    Arg::one_of("strategy", &[Arg::word("maxlen", "MAXLEN"), Arg::word("minid", "MINID").since("6.2.0")]),
    Arg::one_of("operator", &[Arg::word("equal", "="), Arg::word("approximately", "~")]).optional(),
    Arg::string("threshold"),
    Arg::integer("count").token("LIMIT").optional().since("6.2.0"),
];

/// The words that say what becomes of references to entries that go.
pub(super) const REFERENCES_ARG: Arg = Arg::one_of(
    "condition",
    &[Arg::word("keepref", "KEEPREF"), Arg::word("delref", "DELREF"), Arg::word("acked", "ACKED")],
)
.optional();

/// Reads KEEPREF, DELREF or ACKED if one of them is next.
pub(super) fn references_word(args: &mut Args<'_>) -> Option<References> {
    if args.keyword("KEEPREF") {
        Some(References::Keep)
    } else if args.keyword("DELREF") {
        Some(References::Drop)
    } else if args.keyword("ACKED") {
        Some(References::Acked)
    } else {
        None
    }
}

/// A request to cut.
#[derive(Copy, Clone, Debug)]
pub(super) struct Trim {
    keep: Keep,
    approximate: bool,
    limit: Option<u64>,
    references: References,
    /// Where the threshold stands in the request.
    threshold_at: usize,
    /// Where `=` or `~` does.
    operator_at: Option<usize>,
}

/// The options as they are gathered.
#[derive(Default)]
pub(super) struct TrimOptions {
    trim: Option<Trim>,
    limit: Option<u64>,
    references: Option<References>,
}

impl TrimOptions {
    /// Takes one of the options, if the next argument is one that has its value.
    pub(super) fn take(&mut self, args: &mut Args<'_>) -> Result<bool, CommandError> {
        if let Some(references) = references_word(args) {
            return match self.references.replace(references) {
                None => Ok(true),
                Some(_) => Err(CommandError::Syntax),
            };
        }
        if args.left() < 2 {
            return Ok(false);
        }
        if args.keyword("LIMIT") {
            let limit = args.i64()?;
            self.limit =
                Some(u64::try_from(limit).map_err(|_| CommandError::Text("ERR The LIMIT argument must be >= 0."))?);
            return Ok(true);
        }
        let by_id = args.keyword("MINID");
        if !by_id && !args.keyword("MAXLEN") {
            return Ok(false);
        }
        if self.trim.is_some() {
            return Err(CommandError::Text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let at = args.argv().len() - args.left();
        // The operator only where a threshold can follow.
        let approximate = args.left() > 1 && args.keyword("~");
        let operator = approximate || (args.left() > 1 && args.keyword("="));
        let keep = if by_id {
            Keep::From(parse_id(args.next()?, 0)?)
        } else {
            let count = args.i64()?;
            Keep::Last(u64::try_from(count).map_err(|_| CommandError::Text("ERR The MAXLEN argument must be >= 0."))?)
        };
        let threshold_at = at + usize::from(operator);
        self.trim = Some(Trim {
            keep,
            approximate,
            limit: None,
            references: References::default(),
            threshold_at,
            operator_at: operator.then_some(at),
        });
        Ok(true)
    }

    /// What is asked for. `replayed`: LIMIT may stand where it has no meaning, since propagated commands keep it.
    pub(super) fn finish(self, replayed: bool) -> Result<Option<Trim>, CommandError> {
        match (self.trim, self.limit) {
            (None, Some(_)) => {
                Err(CommandError::Text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"))
            }
            (Some(trim), Some(_)) if !trim.approximate && !replayed => {
                Err(CommandError::Text("ERR syntax error, LIMIT cannot be used without the special ~ option"))
            }
            (trim, limit) => {
                let references = self.references.unwrap_or_default();
                Ok(trim.map(|trim| Trim { limit, references, ..trim }))
            }
        }
    }
}

impl Trim {
    /// Cuts; returns how many entries are gone.
    pub(super) fn apply(&self, stream: &mut Body, config: &EngineConfig) -> u64 {
        let cut = if self.approximate {
            Cut::Nodes {
                limit: match self.limit {
                    Some(0) => u64::MAX,
                    Some(limit) => limit,
                    None => match config.stream_node_max_entries as u64 {
                        0 => ENTRIES_AT_ONCE,
                        entries => entries.saturating_mul(NODES_AT_ONCE).min(ENTRIES_AT_ONCE_MAX),
                    },
                },
            }
        } else {
            Cut::Exact
        };
        stream.trim_referenced(self.keep, cut, self.references)
    }

    /// Propagates the request with what an approximate cut came to, and with the id that an entry got.
    pub(super) fn propagate(
        effects: &mut Effects,
        argv: &[&[u8]],
        trim: Option<&Trim>,
        id: Option<(usize, StreamId)>,
        stream: &Body,
    ) {
        let approximate = trim.filter(|trim| trim.approximate);
        if !effects.interest.propagation || (approximate.is_none() && id.is_none()) {
            return;
        }
        let (mut id_text, mut first_text, mut len_text) = (IdText::new(), IdText::new(), itoa::Buffer::new());
        let mut argv: SmallVec<[&[u8]; 16]> = argv.iter().copied().collect();
        if let Some((at, id)) = id {
            argv[at] = id.text(&mut id_text);
        }
        if let Some(trim) = approximate {
            if let Some(at) = trim.operator_at {
                argv[at] = b"=";
            }
            argv[trim.threshold_at] = match trim.keep {
                Keep::Last(_) => len_text.format(stream.len()).as_bytes(),
                Keep::From(_) => {
                    let first = if stream.is_empty() { StreamId::MAX } else { stream.first_id() };
                    first.text(&mut first_text)
                }
            };
        }
        effects.propagate_instead(&argv);
    }
}
