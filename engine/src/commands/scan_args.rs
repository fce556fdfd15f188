//! What SCAN, SSCAN, HSCAN and ZSCAN have in common: the cursor, the options, the shape of the reply.

use resp::number::parse_u64_lenient;
use resp::writer::Writer;

use crate::args::Args;
use crate::error::CommandError;
use crate::glob;

/// How many elements a step looks at unless COUNT says otherwise.
pub const COUNT_DEFAULT: usize = 10;

/// Which of the four commands the options belong to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ScanOf {
    /// SCAN: TYPE is allowed.
    Keyspace,
    /// SSCAN.
    Set,
    /// HSCAN: NOVALUES is allowed.
    Hash,
    /// ZSCAN: NOSCORES is allowed (Valkey).
    Zset,
}

/// The options of a scan.
#[derive(Copy, Clone, Debug)]
pub struct ScanArgs<'a> {
    /// MATCH; `None` takes everything.
    pub pattern: Option<&'a [u8]>,
    /// COUNT: about how many elements are looked at, at least one.
    pub count: usize,
    /// TYPE: the name that was given, whatever it is.
    pub kind: Option<&'a [u8]>,
    /// NOVALUES, NOSCORES: fields without their values, members without their scores.
    pub no_values: bool,
}

/// The cursor of a scan: an unsigned number, read as leniently as Redis does.
///
/// # Errors
/// [`CommandError::InvalidCursor`].
pub fn cursor(args: &mut Args<'_>) -> Result<u64, CommandError> {
    parse_u64_lenient(args.next()?).ok_or(CommandError::InvalidCursor)
}

impl<'a> ScanArgs<'a> {
    /// Reads the options up to the end of the request.
    ///
    /// # Errors
    /// [`CommandError::Syntax`], [`CommandError::NotInteger`], and NOVALUES where there are none.
    pub fn parse(args: &mut Args<'a>, of: ScanOf) -> Result<Self, CommandError> {
        let mut options = ScanArgs { pattern: None, count: COUNT_DEFAULT, kind: None, no_values: false };
        while !args.is_done() {
            if args.keyword("COUNT") {
                let count = args.i64()?;
                options.count = usize::try_from(count).ok().filter(|&n| n > 0).ok_or(CommandError::Syntax)?;
            } else if args.keyword("MATCH") {
                let pattern = args.next()?;
                options.pattern = Some(pattern).filter(|&pattern| pattern != b"*");
            } else if of == ScanOf::Keyspace && args.keyword("TYPE") {
                options.kind = Some(args.next()?);
            } else if of == ScanOf::Zset && args.keyword("NOSCORES") {
                options.no_values = true;
            } else if args.keyword("NOVALUES") {
                if of != ScanOf::Hash {
                    return Err(CommandError::Text("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.no_values = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether MATCH lets this name through.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// The reply of a scan: the cursor comes first but is known last, so the elements are kept until then.
#[derive(Debug)]
pub struct ScanReply {
    body: Vec<u8>,
    elements: usize,
    protocol: resp::Protocol,
}

impl ScanReply {
    /// A reply without elements, in the protocol of `out`.
    #[must_use]
    pub fn new(out: &Writer<'_>) -> Self {
        ScanReply { body: Vec::new(), elements: 0, protocol: out.protocol() }
    }

    /// Counts one element more, to be written to what is returned.
    pub fn element(&mut self) -> Writer<'_> {
        self.elements += 1;
        Writer::new(&mut self.body, self.protocol)
    }

    /// Writes the reply. A cursor of 0 ends the scan.
    pub fn finish(self, cursor: u64, out: &mut Writer<'_>) {
        out.array(2);
        out.bulk_display(cursor);
        out.array(self.elements);
        out.buffer().extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::cursor;
    use crate::args::Args;

    #[test]
    fn cursors_are_read_leniently() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            (" +7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-1", None),
            ("-9223372036854775809", Some(u64::MAX / 2)),
            ("1x", None),
        ] {
            assert_eq!(cursor(&mut Args::new(&[b"SCAN", text.as_bytes()])).ok(), expected, "{text:?}");
        }
    }
}
