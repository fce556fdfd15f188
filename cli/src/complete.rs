//! What a line could be completed to: commands, subcommands, arguments, names of parameters, keys.

use resp::Value;
use resp::inline::{needs_quotes, quote, split_words};

use crate::docs::{Doc, find};
use crate::help::{self, starts_with};
use crate::hint::{Next, next};
use crate::print::text;
use crate::session::Session;

/// Candidates at most: nobody looks at more.
const CANDIDATES_MAX: usize = 200;

/// Keys that are looked at for completing one.
const KEYS_SAMPLED: &str = "2000";

/// What begins with a colon.
const SETTINGS: &[&str] = &[
    ":set hints",
    ":set nohints",
    ":set color",
    ":set nocolor",
    ":set pager",
    ":set nopager",
    ":set confirm",
    ":set noconfirm",
    ":set connection",
];

/// What could stand from a place in the line to its end, which is where the cursor is.
pub(crate) async fn candidates(session: &mut Session, docs: &[Doc], line: &str) -> (usize, Vec<String>) {
    let place = line.rfind(|character: char| character.is_ascii_whitespace()).map_or(0, |at| at + 1);
    let (before, word) = line.split_at(place);
    let named = help::completions(docs, line);
    if line.starts_with(':') {
        return (0, SETTINGS.iter().filter(|text| starts_with(text, line)).map(|&text| text.to_owned()).collect());
    }
    let Some(words) = words_of(before) else { return (0, Vec::new()) };
    if words.is_empty() || !named.is_empty() && find(docs, &words).is_none_or(|(doc, _)| doc.arguments.is_empty()) {
        return (0, named);
    }
    let mut found = match words[0].to_ascii_lowercase().as_str() {
        "peek" if session.assists() => keys(session, word).await,
        _ => Vec::new(),
    };
    let first = words[0].to_ascii_lowercase();
    if first == "connect" {
        found.extend(session.settings().connection_names().filter(|name| starts_with(name, word)).map(str::to_owned));
    }
    let is_config = first == "config" && words.len() > 1;
    for next in next(docs, &words) {
        match next {
            Next::Token(token) => found.extend(starts_with(&token, word).then_some(token)),
            Next::Key if session.assists() => found.extend(keys(session, word).await),
            Next::Value(name) if is_config && name == "parameter" && session.assists() => {
                found.extend(parameters(session, word).await);
            }
            Next::Value(name) if name == "command-name" || name == "command" => {
                let names = docs.iter().map(|doc| doc.name.replace(' ', "|"));
                found.extend(names.filter(|name| starts_with(name, word)));
            }
            Next::Key | Next::Value(_) => {}
        }
    }
    found.dedup();
    found.truncate(CANDIDATES_MAX);
    (place, found)
}

/// The words before the one that is completed; `None` within quotes.
fn words_of(text: &str) -> Option<Vec<String>> {
    let words = split_words(text.as_bytes()).ok()?;
    Some(words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Keys that begin like this, among the first that the server's cursor comes by.
async fn keys(session: &mut Session, prefix: &str) -> Vec<String> {
    if prefix.starts_with(['"', '\'']) {
        return Vec::new();
    }
    let pattern = format!("{}*", escaped(prefix));
    let reply = session.ask_aside(&["SCAN", "0", "MATCH", &pattern, "COUNT", KEYS_SAMPLED]).await;
    let Some(Value::Array(parts)) = reply else { return Vec::new() };
    let Some(Value::Array(keys)) = parts.get(1) else { return Vec::new() };
    let mut names: Vec<String> = keys.iter().filter_map(text).map(shown).collect();
    names.sort();
    names.truncate(CANDIDATES_MAX);
    names
}

/// A key as one types it.
fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !needs_quotes(key) => text.to_owned(),
        _ => quote(key),
    }
}

/// A text as a pattern that matches only itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Names of the server's parameters that begin like this.
async fn parameters(session: &mut Session, prefix: &str) -> Vec<String> {
    let pattern = format!("{}*", escaped(&prefix.to_ascii_lowercase()));
    let mut names = match session.ask_aside(&["CONFIG", "GET", &pattern]).await {
        Some(Value::Array(items)) => items.chunks_exact(2).filter_map(|pair| text(&pair[0]).map(shown)).collect(),
        Some(Value::Map(pairs)) => pairs.iter().filter_map(|(name, _)| text(name).map(shown)).collect(),
        _ => Vec::new(),
    };
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Options;
    use crate::docs::built_in;

    #[tokio::test]
    async fn words_that_may_follow() {
        let docs = built_in();
        let mut session = Session::new(Options::default(), true);
        session.quiet = true;
        for (line, place, expected) in [
            ("getr", 0, &["GETRANGE"][..]),
            ("config se", 0, &["CONFIG SET"]),
            ("help @geo", 0, &["help @geo"]),
            ("ZRANGE k 0 1 by", 13, &["BYSCORE", "BYLEX"]),
            ("ZRANGE k 0 1 BYLEX ", 19, &["REV", "LIMIT", "WITHSCORES"]),
            ("SCAN 0 COUNT 3 m", 15, &["MATCH"]),
            ("COMMAND DOCS getr", 13, &["GETRANGE"]),
            ("GET \"a ", 0, &[]),
            ("NOSUCH ", 7, &[]),
            (":set noh", 0, &[":set nohints"]),
        ] {
            let got = candidates(&mut session, &docs, line).await;
            assert_eq!(
                (got.0, got.1.iter().map(String::as_str).collect::<Vec<_>>()),
                (place, expected.to_vec()),
                "{line:?}"
            );
        }
    }

    #[test]
    fn keys_as_one_types_them() {
        assert_eq!(shown(b"user:1"), "user:1");
        assert_eq!(shown(b"a b"), "\"a b\"");
        assert_eq!(shown(b"\xff"), "\"\\xff\"");
        assert_eq!(escaped("a*[b]"), "a\\*\\[b\\]");
    }
}
