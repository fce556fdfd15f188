//! What replies of several elements have in common.

use resp::writer::Writer;

use crate::args::Args;
use crate::ds::listpack::Elem;
use crate::error::CommandError;

/// Longest reply of random elements that may repeat, in bytes: their number is the client's choice, the collection's
/// size is no bound.
pub const REPEATED_BYTES_MAX: usize = if cfg!(test) { 4 << 20 } else { 512 << 20 };

/// Length of the shortest element in a reply, `$0\r\n\r\n`.
const ELEM_BYTES_MIN: usize = 6;

/// Writes an element as a bulk reply.
#[inline]
pub fn reply_elem(out: &mut Writer<'_>, elem: Elem<'_>) {
    match elem {
        Elem::Int(n) => out.bulk_integer(n),
        Elem::Str(bytes) => out.bulk(bytes),
    }
}

/// How many random elements are wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RandomCount {
    /// So many different ones, or all there are.
    Distinct(usize),
    /// So many, each drawn from all.
    Repeated(usize),
}

impl RandomCount {
    /// Reads a count; a negative one allows repetitions.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], or a text of its own for the one number that has no opposite.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let count = args.i64_with_opposite()?;
        let wanted = count.unsigned_abs() as usize;
        Ok(if count < 0 { RandomCount::Repeated(wanted) } else { RandomCount::Distinct(wanted) })
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, RandomCount::Distinct(0) | RandomCount::Repeated(0))
    }
}

/// Writes an array of `count` entries of `words` replies each, which `write` adds: it may choose the same element again and
/// again.
///
/// # Errors
/// [`CommandError::OutOfRange`] when the reply becomes longer than [`REPEATED_BYTES_MAX`].
pub fn reply_repeated(
    out: &mut Writer<'_>,
    count: usize,
    words: usize,
    mut write: impl FnMut(&mut Writer<'_>),
) -> Result<(), CommandError> {
    let start = out.buffer().len();
    let len = count.checked_mul(words).ok_or(CommandError::OutOfRange)?;
    // What is too long in any case need not be tried.
    if len > REPEATED_BYTES_MAX / ELEM_BYTES_MIN {
        return Err(CommandError::OutOfRange);
    }
    out.array(len);
    for _ in 0..count {
        write(out);
        if out.buffer().len() - start > REPEATED_BYTES_MAX {
            out.buffer().truncate(start);
            return Err(CommandError::OutOfRange);
        }
    }
    Ok(())
}
