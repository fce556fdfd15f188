//! From the bytes of a terminal to keys.
//!
//! Bytes may come in any pieces: an unfinished sequence waits for the rest. A lone escape character is a key only once
//! nothing follows it ([`Decoder::finish`]).

/// Bytes of an escape sequence at most; longer ones are not a terminal's.
const SEQUENCE_MAX: usize = 32;

/// Ends what a terminal in bracketed paste mode puts around pasted text.
const PASTE_END: &[u8] = b"\x1b[201~";

/// What was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// With the letter in lower case.
    Ctrl(char),
    Alt(char),
    Enter,
    AltEnter,
    Tab,
    BackTab,
    Backspace,
    AltBackspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    WordLeft,
    WordRight,
    Home,
    End,
    Escape,
    /// The first function key.
    Help,
    /// Text that was pasted in one piece.
    Paste(String),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    pending: Vec<u8>,
    pasting: bool,
}

/// One step of decoding.
enum Step {
    /// A key, or bytes that mean nothing here, of this length.
    Taken(Option<Key>, usize),
    Incomplete,
}

impl Decoder {
    /// Takes in bytes and gives the keys that are complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while at < self.pending.len() {
            let rest = &self.pending[at..];
            let step = if self.pasting { paste(rest) } else { key(rest) };
            let Step::Taken(key, length) = step else { break };
            at += length;
            if self.pasting {
                self.pasting = false;
            } else if rest[..length] == *b"\x1b[200~" {
                self.pasting = true;
            }
            keys.extend(key);
        }
        self.pending.drain(..at);
        keys
    }

    /// True when more bytes could turn what is waiting into another key.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() && !self.pasting
    }

    /// Nothing followed: what is waiting stands for itself.
    pub(crate) fn finish(&mut self) -> Option<Key> {
        let escape = self.pending.first() == Some(&0x1b);
        if !self.pasting {
            self.pending.clear();
        }
        escape.then_some(Key::Escape)
    }
}

/// Everything up to the end of a paste.
fn paste(bytes: &[u8]) -> Step {
    match memchr::memmem::find(bytes, PASTE_END) {
        Some(end) => {
            let text = String::from_utf8_lossy(&bytes[..end]).replace("\r\n", "\n").replace('\r', "\n");
            Step::Taken(Some(Key::Paste(text)), end + PASTE_END.len())
        }
        None => Step::Incomplete,
    }
}

fn key(bytes: &[u8]) -> Step {
    let one = |key| Step::Taken(Some(key), 1);
    match bytes[0] {
        0x1b => escape(bytes),
        b'\r' => one(Key::Enter),
        b'\t' => one(Key::Tab),
        0x7f | 0x08 => one(Key::Backspace),
        byte @ 1..=26 => one(Key::Ctrl(char::from(byte - 1 + b'a'))),
        0x1f => one(Key::Ctrl('_')),
        0..=31 => Step::Taken(None, 1),
        _ => character(bytes),
    }
}

/// One character of UTF-8; a byte that belongs to none is replaced.
fn character(bytes: &[u8]) -> Step {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let given = &bytes[..length.min(bytes.len())];
    match std::str::from_utf8(given) {
        Ok(text) => Step::Taken(text.chars().next().map(Key::Char), length),
        Err(error) if error.error_len().is_none() && given.len() < length => Step::Incomplete,
        Err(_) => Step::Taken(Some(Key::Char(char::REPLACEMENT_CHARACTER)), 1),
    }
}

/// A sequence that begins with the escape character.
fn escape(bytes: &[u8]) -> Step {
    let Some(&second) = bytes.get(1) else { return Step::Incomplete };
    match second {
        b'[' => {
            let Some(length) = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
                return if bytes.len() > SEQUENCE_MAX { Step::Taken(None, bytes.len()) } else { Step::Incomplete };
            };
            let (parameters, last) = (&bytes[2..2 + length], bytes[2 + length]);
            Step::Taken(control_sequence(parameters, last), length + 3)
        }
        b'O' => match bytes.get(2) {
            None => Step::Incomplete,
            Some(b'P') => Step::Taken(Some(Key::Help), 3),
            Some(&last) => Step::Taken(control_sequence(b"", last), 3),
        },
        b'\r' | b'\n' => Step::Taken(Some(Key::AltEnter), 2),
        0x7f | 0x08 => Step::Taken(Some(Key::AltBackspace), 2),
        0x1b => Step::Taken(Some(Key::Escape), 1),
        0x20..0x7f => Step::Taken(Some(Key::Alt(char::from(second).to_ascii_lowercase())), 2),
        _ => Step::Taken(Some(Key::Escape), 1),
    }
}

/// What follows `ESC [`, or `ESC O` without parameters.
fn control_sequence(parameters: &[u8], last: u8) -> Option<Key> {
    // Moved by word with Ctrl (5) or Alt (3).
    let by_word = matches!(parameters, b"1;5" | b"1;3" | b"5" | b"3");
    Some(match (last, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if by_word => Key::WordRight,
        (b'D', _) if by_word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) => Key::Home,
        (b'F', _) => Key::End,
        (b'Z', _) => Key::BackTab,
        (b'~', b"1" | b"7") => Key::Home,
        (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        (b'~', b"11") => Key::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Decoder::default().push(bytes)
    }

    #[test]
    fn sequences() {
        assert_eq!(
            keys(b"a\r\t\x7f\x12\x03"),
            [Key::Char('a'), Key::Enter, Key::Tab, Key::Backspace, Key::Ctrl('r'), Key::Ctrl('c')]
        );
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[3~\x1b[Z\x1bb\x1b\r"),
            [Key::Up, Key::Down, Key::WordRight, Key::Delete, Key::BackTab, Key::Alt('b'), Key::AltEnter]
        );
        assert_eq!(keys("é漢".as_bytes()), [Key::Char('é'), Key::Char('漢')]);
        assert_eq!(keys(b"\xffa"), [Key::Char('\u{fffd}'), Key::Char('a')]);
        assert_eq!(keys(b"\x1b[200~a\r\nb\x1b[A\x1b[201~c"), [Key::Paste("a\nb\x1b[A".into()), Key::Char('c')]);
    }

    #[test]
    fn a_lone_escape_needs_silence() {
        let mut decoder = Decoder::default();
        assert!(decoder.push(b"\x1b").is_empty());
        assert!(decoder.is_waiting());
        assert_eq!(decoder.finish(), Some(Key::Escape));
        assert!(!decoder.is_waiting());
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            let mut decoder = Decoder::default();
            let mut pieces = decoder.push(&bytes[..cut]);
            pieces.extend(decoder.push(&bytes[cut..]));
            // A sequence that is too long is dropped wherever it is noticed.
            if !bytes.contains(&0x1b) {
                prop_assert_eq!(pieces, keys(&bytes));
            }
        }
    }
}
