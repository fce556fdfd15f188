//! Times to live and expiry times as commands give and show them.

use crate::args::Args;
use crate::command::Arg;
use crate::error::CommandError;
use crate::time::UnixMs;

/// The unit of a time in a request or a reply.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

/// From where a time counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The time of the command.
    Now,
    /// 1970-01-01.
    Epoch,
}

/// The moment that `amount` means. `name` is the command's, for the error.
///
/// # Errors
/// [`CommandError::InvalidExpire`] when the moment cannot be represented in milliseconds.
pub fn moment(
    amount: i64,
    unit: TimeUnit,
    from: From,
    now: UnixMs,
    name: &'static str,
) -> Result<UnixMs, CommandError> {
    let ms = match unit {
        TimeUnit::Seconds => amount.checked_mul(1000),
        TimeUnit::Millis => Some(amount),
    };
    let base = match from {
        From::Now => now.0,
        From::Epoch => 0,
    };
    let ms = ms.and_then(|ms| ms.checked_add(base));
    ms.map(UnixMs).ok_or(CommandError::InvalidExpire(name.into()))
}

/// As [`moment`], for times that must lie above zero (SET EX and the like).
///
/// # Errors
/// [`CommandError::InvalidExpire`].
pub fn positive_moment(
    amount: i64,
    unit: TimeUnit,
    from: From,
    now: UnixMs,
    name: &'static str,
) -> Result<UnixMs, CommandError> {
    if amount <= 0 {
        return Err(CommandError::InvalidExpire(name.into()));
    }
    moment(amount, unit, from, now, name)
}

/// Reads `EX`, `PX`, `EXAT` or `PXAT` if one of them is next.
pub fn expiry_word(args: &mut Args<'_>) -> Option<(TimeUnit, From)> {
    if args.keyword("EX") {
        Some((TimeUnit::Seconds, From::Now))
    } else if args.keyword("PX") {
        Some((TimeUnit::Millis, From::Now))
    } else if args.keyword("EXAT") {
        Some((TimeUnit::Seconds, From::Epoch))
    } else if args.keyword("PXAT") {
        Some((TimeUnit::Millis, From::Epoch))
    } else {
        None
    }
}

/// The declaration of an expiry that may also be taken away.
pub const EXPIRY_OR_PERSIST: Arg = Arg::one_of(
    "expiration",
    &[
        Arg::integer("seconds").token("EX"),
        Arg::integer("milliseconds").token("PX"),
        Arg::unix_time("unix-time-seconds").token("EXAT"),
        Arg::unix_time("unix-time-milliseconds").token("PXAT"),
        Arg::word("persist", "PERSIST"),
    ],
)
.optional();

/// The declaration of an expiry that may also stay as it was.
pub const EXPIRY_OR_KEEPTTL: Arg = Arg::one_of(
    "expiration",
    &[
        Arg::integer("seconds").token("EX"),
        Arg::integer("milliseconds").token("PX"),
        Arg::unix_time("unix-time-seconds").token("EXAT"),
        Arg::unix_time("unix-time-milliseconds").token("PXAT"),
        Arg::word("keepttl", "KEEPTTL"),
    ],
)
.optional();

/// An expiry among the options of a command, its number not looked at yet: a mistake in the grammar comes first.
#[derive(Copy, Clone, Debug)]
pub struct ExpiryOption<'a> {
    amount: &'a [u8],
    unit: TimeUnit,
    from: From,
}

impl<'a> ExpiryOption<'a> {
    /// Reads `EX seconds`, `PX milliseconds`, `EXAT seconds` or `PXAT milliseconds` if one of them is next.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] when the number is missing.
    pub fn parse(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        let Some((unit, from)) = expiry_word(args) else { return Ok(None) };
        Ok(Some(ExpiryOption { amount: args.next()?, unit, from }))
    }

    /// Whether this is the same word as `other`: only that one may be repeated.
    #[must_use]
    pub fn same_word(&self, other: &Self) -> bool {
        (self.unit, self.from) == (other.unit, other.from)
    }

    /// Whether it is PXAT already, as it is propagated.
    #[must_use]
    pub fn is_absolute_millis(&self) -> bool {
        (self.unit, self.from) == (TimeUnit::Millis, From::Epoch)
    }

    /// The moment it names. `name` is the command's, for the error.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], [`CommandError::InvalidExpire`].
    pub fn moment(&self, now: UnixMs, name: &'static str) -> Result<UnixMs, CommandError> {
        let amount = resp::number::parse_i64(self.amount).ok_or(CommandError::NotInteger)?;
        positive_moment(amount, self.unit, self.from, now, name)
    }
}
