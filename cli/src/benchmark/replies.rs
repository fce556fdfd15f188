//! Counts replies in a stream of bytes without building them: a load generator only wants to know when they are
//! complete, and whether one is an error.
//!
//! What is open is one number, the elements still to come: nesting needs no stack because nobody asks where an
//! aggregate ends.

use std::fmt;

/// Elements that one reply may have: beyond this it is no reply that anybody asked for.
const ELEMENTS_MAX: u64 = 1 << 32;

/// Bytes of a line that are kept, for the text of an error.
const LINE_MAX: usize = 64 * 1024;

/// The bytes are not the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(u8);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error, got \"{}\" as reply type byte", self.0.escape_ascii())
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct ReplyCounter {
    /// Elements of the current reply that are still to come; 0 between replies.
    pending: u64,
    /// Bytes of a string that are to be passed over, with its line end.
    skip: u64,
    /// The current reply is a push message: it answers nothing.
    push: bool,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The first error reply.
    error: Option<String>,
}

impl ReplyCounter {
    /// Takes in bytes; how many replies became complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<u64, Malformed> {
        let mut complete = 0;
        loop {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() as u64);
                bytes = &bytes[skipped as usize..];
                self.skip -= skipped;
                if self.skip > 0 {
                    return Ok(complete);
                }
                complete += self.element_done();
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                if self.line.len() + bytes.len() > LINE_MAX {
                    return Err(Malformed(self.line.first().or(bytes.first()).copied().unwrap_or(0)));
                }
                self.line.extend_from_slice(bytes);
                return Ok(complete);
            };
            let (head, rest) = bytes.split_at(end + 1);
            bytes = rest;
            complete += if self.line.is_empty() {
                self.line(head)?
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                let done = self.line(&line)?;
                line.clear();
                self.line = line;
                done
            };
        }
    }

    /// The first error reply, once.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// One element is complete; 1 when with it a reply is.
    fn element_done(&mut self) -> u64 {
        self.pending -= 1;
        u64::from(self.pending == 0 && !self.push)
    }

    /// A whole line with its end; 1 when it completes a reply.
    fn line(&mut self, line: &[u8]) -> Result<u64, Malformed> {
        let Some((&kind, rest)) = line.split_first() else { return Ok(0) };
        let rest = rest.trim_ascii_end();
        if self.pending == 0 {
            self.pending = 1;
            self.push = kind == b'>';
            if kind == b'-' && self.error.is_none() {
                self.error = Some(String::from_utf8_lossy(rest).into_owned());
            }
        }
        let length = || -> Result<Option<u64>, Malformed> {
            match resp::number::parse_i64(rest) {
                Some(-1) => Ok(None),
                Some(length) => u64::try_from(length).map(Some).map_err(|_| Malformed(kind)),
                None => Err(Malformed(kind)),
            }
        };
        let children = match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => 0,
            b'$' | b'=' | b'!' => {
                if let Some(length) = length()? {
                    self.skip = length.checked_add(2).ok_or(Malformed(kind))?;
                    return Ok(0);
                }
                0
            }
            b'*' | b'~' | b'>' => length()?.unwrap_or(0),
            b'%' => length()?.unwrap_or(0).saturating_mul(2),
            // Attributes come before the element that they are about.
            b'|' => length()?.unwrap_or(0).saturating_mul(2).saturating_add(1),
            other => return Err(Malformed(other)),
        };
        self.pending = self.pending.saturating_add(children);
        if self.pending > ELEMENTS_MAX {
            return Err(Malformed(kind));
        }
        Ok(self.element_done())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use resp::ReplyDecoder;

    const REPLIES: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR x\r\n",
        b":1\r\n",
        b"$3\r\na\r\n\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n*1\r\n$1\r\n\n\r\n:2\r\n",
        b"%2\r\n+a\r\n*0\r\n+b\r\n_\r\n",
        b"|1\r\n+a\r\n+b\r\n~1\r\n#t\r\n",
        b",1.5\r\n",
        b"(123\r\n",
        b"=7\r\ntxt:a\r\n\r\n",
    ];

    proptest! {
        /// Cut anywhere, as many replies are counted as the decoder finds.
        #[test]
        fn counts_what_the_decoder_finds(
            picks in prop::collection::vec(0..REPLIES.len(), 1..20),
            cuts in prop::collection::vec(1usize..9, 1..200),
        ) {
            let stream: Vec<u8> = picks.iter().flat_map(|&pick| REPLIES[pick]).copied().collect();
            let (mut counter, mut decoder) = (ReplyCounter::default(), ReplyDecoder::default());
            let (mut counted, mut found, mut rest) = (0, 0, &stream[..]);
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = tail;
                counted += counter.feed(piece).unwrap();
                decoder.push(piece);
                while decoder.next().unwrap().is_some() {
                    found += 1;
                }
                prop_assert_eq!(counted, found);
            }
            prop_assert_eq!(counted, picks.len() as u64);
        }

        #[test]
        fn any_bytes_are_an_error_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ReplyCounter::default().feed(&bytes);
        }
    }

    #[test]
    fn errors_and_messages_apart() {
        let mut counter = ReplyCounter::default();
        assert_eq!(counter.feed(b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n*1\r\n-no\r\n-ERR a\r\n-ERR b\r\n"), Ok(3));
        assert_eq!(counter.take_error().as_deref(), Some("ERR a"));
        assert_eq!(counter.take_error(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &b"hello\r\n"[..],
            b"$abc\r\n",
            b"$-2\r\n",
            b"*99999999999999999999\r\n",
            b"*9223372036854775807\r\n",
            b"%9223372036854775807\r\n",
            b"\r\n",
            &[b'+'; LINE_MAX + 1],
        ] {
            assert!(ReplyCounter::default().feed(bad).is_err(), "{}", bad[..bad.len().min(30)].escape_ascii());
        }
        let mut deep = ReplyCounter::default();
        assert_eq!(deep.feed(&b"*1\r\n".repeat(100_000)), Ok(0));
    }
}
