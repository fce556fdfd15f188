//! What the blocking commands share.

use crate::args::Args;
use crate::ctx::{BlockOn, CmdResult, Ctx, Outcome, TimeoutReply};
use crate::error::CommandError;
use crate::time::UnixMs;
use crate::types::Kind;

/// Reads a timeout in seconds, decimals allowed: the moment it ends, or `None` for 0, which waits for ever.
///
/// # Errors
/// When it is no number, negative, or ends beyond the representable time.
pub fn timeout(text: &[u8], now: UnixMs) -> Result<Option<UnixMs>, CommandError> {
    let Some(seconds) = resp::number::parse_f64(text) else {
        // A number beyond the doubles is out of range; anything else is none.
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        let too_large = number.is_some_and(f64::is_infinite) && text.first().is_some_and(u8::is_ascii_digit);
        return Err(if too_large { CommandError::TimeoutOutOfRange } else { CommandError::TimeoutNotFloat });
    };
    let ms = (seconds * 1000.0).ceil();
    // 2^63 is exact as a double; anything from there on does not fit.
    if ms >= 9_223_372_036_854_775_808.0 {
        return Err(CommandError::TimeoutOutOfRange);
    }
    let ms = ms as i64;
    match ms {
        ..0 => Err(CommandError::TimeoutNegative),
        0 => Ok(None),
        _ => now.0.checked_add(ms).map(|at| Some(UnixMs(at))).ok_or(CommandError::TimeoutOutOfRange),
    }
}

/// Reads the next argument as [`timeout`] does.
///
/// # Errors
/// As [`timeout`].
pub fn next_timeout(args: &mut Args<'_>, now: UnixMs) -> Result<Option<UnixMs>, CommandError> {
    timeout(args.next()?, now)
}

/// Has the client wait until one of `keys` holds a value of this kind; where it may not wait, the reply is that of
/// a timeout.
pub fn block(
    ctx: &mut Ctx<'_>,
    keys: &[&[u8]],
    kind: Kind,
    deadline: Option<UnixMs>,
    on_timeout: TimeoutReply,
) -> CmdResult {
    if !ctx.may_block {
        match on_timeout {
            TimeoutReply::NullArray => ctx.out.null_array(),
            TimeoutReply::Null | TimeoutReply::Acks | TimeoutReply::Freed => ctx.out.null(),
        }
        return Ok(Outcome::Done);
    }
    let keys = keys.iter().map(|&key| key.into()).collect();
    Ok(Outcome::Block(Box::new(BlockOn { keys, deadline, on_timeout, kind, wakes_on_delete: false, again: None })))
}

/// What LMPOP, ZMPOP and their waiting forms ask for: up to `count` elements at one end of the first key that has any.
pub struct MultiPop<'a, E> {
    /// The keys, in the order in which they are tried.
    pub keys: &'a [&'a [u8]],
    /// The end.
    pub end: E,
    /// How many elements, at most.
    pub count: usize,
}

impl<'a, E> MultiPop<'a, E> {
    /// Reads `numkeys key... END [COUNT count]`.
    ///
    /// # Errors
    /// [`CommandError::Syntax`], or that a number is not positive.
    pub fn parse(
        args: &mut Args<'a>,
        end: impl FnOnce(&mut Args<'a>) -> Result<E, CommandError>,
    ) -> Result<Self, CommandError> {
        let n = args.i64_in(1..=i64::MAX, CommandError::Text("ERR numkeys should be greater than 0"))?;
        let keys = args.take(usize::try_from(n).map_err(|_| CommandError::Syntax)?)?;
        let end = end(args)?;
        let mut count = None;
        while !args.is_done() {
            if count.is_some() || !args.keyword("COUNT") {
                return Err(CommandError::Syntax);
            }
            count = Some(args.i64_in(1..=i64::MAX, CommandError::Text("ERR count should be greater than 0"))? as usize);
        }
        Ok(MultiPop { keys, end, count: count.unwrap_or(1) })
    }
}
