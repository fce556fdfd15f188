//! Scenarios: lines of `COMMAND ARGS => REPLY`.

use crate::{Client, TestServer};

/// Runs a scenario on a new server.
#[track_caller]
pub fn check_session(scenario: &str) {
    let server = TestServer::start();
    run_session(&mut server.client(), scenario);
}

/// Runs a scenario on a connection.
///
/// A line is `COMMAND ARGS => REPLY`, with arguments as in an inline request (`"a b"`, `'a b'`, `\xff` between double
/// quotes) and the reply in the notation of [`crate::Reply`]. Without `=>` any reply that is not an error will do.
/// Empty lines and lines that start with `#` are skipped.
#[track_caller]
pub fn run_session(client: &mut Client, scenario: &str) {
    for line in scenario.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (request, expected) = match line.split_once("=>") {
            Some((request, expected)) => (request, Some(expected.trim())),
            None => (line, None),
        };
        let reply = client.call(&words(request)).to_string();
        match expected {
            // Spaces at the end are part of some error texts, but lost in a scenario's lines.
            Some(expected) => assert_eq!(reply.trim_end(), expected, "{line}"),
            None => assert!(!reply.starts_with('-'), "{line}: {reply}"),
        }
    }
}

/// Splits a line into words; quotes as in an inline request.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start().as_bytes();
    while !rest.is_empty() {
        let mut word = Vec::new();
        let mut quote = None;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match (quote, byte) {
                (None, b' ') => break,
                (None, b'"' | b'\'') if word.is_empty() => quote = Some(byte),
                (Some(open), close) if open == close => quote = None,
                (Some(b'"'), b'\\') => {
                    let Some((&escaped, tail)) = rest.split_first() else { panic!("{line}: a lone backslash") };
                    rest = tail;
                    word.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'x' => {
                            let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                            let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                            rest = rest.get(2..).unwrap_or_default();
                            byte.unwrap_or_else(|| panic!("{line}: \\x wants two digits"))
                        }
                        other => other,
                    });
                }
                (_, byte) => word.push(byte),
            }
        }
        assert!(quote.is_none(), "{line}: a quote is not closed");
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_and_quotes() {
        assert_eq!(words("  SET k  v "), [&b"SET"[..], b"k", b"v"]);
        assert_eq!(words(r#"SET "a b" '' "\x00\n\"" "#), [&b"SET"[..], b"a b", b"", b"\0\n\""]);
        assert_eq!(words("SET k'x y"), [&b"SET"[..], b"k'x", b"y"]);
    }
}
