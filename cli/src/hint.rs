//! The arguments that a line still wants: the words typed so far are fitted to the command's syntax.
//!
//! The same as redis-cli shows, down to the bracket that an optional argument that may be repeated leaves behind
//! (`[GET encoding offset ...]]`): the official suite compares.

use crate::docs::{Argument, Doc, Kind, find};

/// A word that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This very word.
    Token(String),
    /// The name of a key.
    Key,
    /// Something of this name.
    Value(String),
}

/// What may still come: its syntax, and the words that it can begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    syntax: String,
    next: Vec<Next>,
}

impl Wanted {
    /// An argument, or arguments of which the first that is required ends what can come next.
    fn all<'a>(arguments: impl IntoIterator<Item = &'a Argument>) -> Wanted {
        let mut wanted = Wanted::default();
        let mut open = true;
        for argument in arguments {
            wanted.push(&argument.syntax());
            if open {
                begin(argument, true, &mut wanted.next);
                open = argument.optional;
            }
        }
        wanted
    }

    /// An argument that may be repeated, once more.
    fn again(argument: &Argument) -> Wanted {
        let mut wanted = Wanted { syntax: argument.again(), next: Vec::new() };
        if argument.multiple {
            begin(argument, argument.multiple_token, &mut wanted.next);
        }
        wanted
    }

    /// The inside of an argument whose token was there.
    fn body(argument: &Argument) -> Wanted {
        let mut wanted = Wanted { syntax: argument.body(), next: Vec::new() };
        begin(argument, false, &mut wanted.next);
        wanted
    }

    fn push(&mut self, syntax: &str) {
        if !self.syntax.is_empty() && !syntax.is_empty() {
            self.syntax.push(' ');
        }
        self.syntax.push_str(syntax);
    }

    /// Both, if this is not required; otherwise `later` is only told.
    fn then(mut self, later: Wanted, required: bool) -> Wanted {
        self.push(&later.syntax);
        if !required {
            self.next.extend(later.next);
        }
        self
    }

    fn close(mut self, bracket: &str) -> Wanted {
        self.syntax.push_str(bracket);
        self
    }
}

/// The words that an argument can begin with.
fn begin(argument: &Argument, with_token: bool, next: &mut Vec<Next>) {
    match (argument.shown_token(), argument.kind) {
        (Some(token), kind) if with_token || kind == Kind::PureToken => next.push(Next::Token(token.to_owned())),
        (_, Kind::OneOf) => argument.children.iter().for_each(|child| begin(child, true, next)),
        (_, Kind::Block) => {
            let optional = argument.children.iter().take_while(|child| child.optional).count();
            argument.children.iter().take(optional + 1).for_each(|child| begin(child, true, next));
        }
        (_, Kind::Key) => next.push(Next::Key),
        _ => next.push(Next::Value(argument.name.clone())),
    }
}

/// What fitting words to arguments has come to.
#[derive(Debug, PartialEq, Eq)]
enum Fit<'w> {
    /// All that is required was there; these words are left, and this could still have followed.
    Done { rest: &'w [String], possible: Wanted },
    /// The words ended first; this is missing.
    Open(Wanted),
    /// A word that cannot stand where it does.
    Wrong,
}

/// What `line` still wants; `None` when its command is not known or nothing is to be said.
pub(crate) fn hint(docs: &[Doc], line: &str) -> Option<String> {
    let words = resp::inline::split_words(line.as_bytes()).ok()?;
    let mut words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let (_, used) = find(docs, &words)?;
    // The last word may still grow, unless it is the command itself.
    if !line.ends_with(' ') && words.len() > used {
        words.pop();
    }
    wanted(docs, &words).map(|wanted| wanted.syntax).filter(|syntax| !syntax.is_empty())
}

/// The words that may follow these.
pub(crate) fn next(docs: &[Doc], words: &[String]) -> Vec<Next> {
    wanted(docs, words).map(|wanted| wanted.next).unwrap_or_default()
}

fn wanted(docs: &[Doc], words: &[String]) -> Option<Wanted> {
    let (doc, used) = find(docs, words)?;
    match fit(&doc.arguments, &words[used..]) {
        Fit::Open(missing) => Some(missing),
        Fit::Done { rest: [], possible } => Some(possible),
        Fit::Done { .. } | Fit::Wrong => None,
    }
}

fn is_value(kind: Kind, word: &str) -> bool {
    match kind {
        Kind::Integer => word.parse::<i64>().is_ok(),
        Kind::Double => word.parse::<f64>().is_ok(),
        _ => true,
    }
}

/// True when `word` can begin this argument.
fn begins(argument: &Argument, word: &str) -> bool {
    match (&argument.token, argument.kind) {
        (Some(token), _) => token.eq_ignore_ascii_case(word),
        (None, Kind::OneOf) => argument.children.iter().any(|child| begins(child, word)),
        (None, Kind::Block) => {
            // What is optional may be left out, up to the first that is not.
            let optional = argument.children.iter().take_while(|child| child.optional).count();
            argument.children.iter().take(optional + 1).any(|child| begins(child, word))
        }
        (None, kind) => is_value(kind, word),
    }
}

/// Fits words to arguments in order, those of a run of optional ones in any order.
fn fit<'w>(arguments: &[Argument], mut words: &'w [String]) -> Fit<'w> {
    let mut at = 0;
    // What could have followed the argument that was fitted last.
    let mut possible = Wanted::default();
    while at < arguments.len() {
        let run = arguments[at..].iter().take_while(|argument| argument.optional).count().max(1);
        let group = &arguments[at..at + run];
        at += run;
        let mut given = vec![false; run];
        let missing = |given: &[bool]| {
            let rest = group.iter().zip(given).filter(|(_, given)| !**given).map(|(argument, _)| argument);
            rest.chain(&arguments[at..]).collect::<Vec<_>>()
        };
        loop {
            let Some(word) = words.first() else {
                let missing = missing(&given);
                let required = missing.iter().any(|argument| !argument.optional);
                let wanted = possible.then(Wanted::all(missing), false);
                return match required {
                    true => Fit::Open(wanted),
                    false => Fit::Done { rest: words, possible: wanted },
                };
            };
            let next = group.iter().enumerate().position(|(index, argument)| !given[index] && begins(argument, word));
            let Some(index) = next else { break };
            given[index] = true;
            match occurrences(&group[index], words) {
                Fit::Done { rest, possible: after } => (words, possible) = (rest, after),
                Fit::Open(open) => return Fit::Open(open.then(Wanted::all(missing(&given)), true)),
                Fit::Wrong => return Fit::Wrong,
            }
        }
        if group.iter().zip(&given).any(|(argument, given)| !argument.optional && !given) {
            return Fit::Wrong;
        }
    }
    Fit::Done { rest: words, possible }
}

/// Fits an argument as often as it is there.
fn occurrences<'w>(argument: &Argument, mut words: &'w [String]) -> Fit<'w> {
    // The bracket that was opened before the argument.
    let close = if argument.optional && argument.multiple { "]" } else { "" };
    let mut first = true;
    loop {
        let token = argument.token.is_some() && (first || argument.multiple_token);
        let after_token = if token { &words[1..] } else { words };
        match once(argument, after_token) {
            Fit::Open(missing) => return Fit::Open(missing.then(Wanted::again(argument), true).close(close)),
            Fit::Wrong => return Fit::Wrong,
            Fit::Done { rest, possible } if !argument.multiple => return Fit::Done { rest, possible },
            Fit::Done { rest, .. } => words = rest,
        }
        first = false;
        let goes_on = words.first().is_some_and(|word| match (&argument.token, argument.multiple_token) {
            (Some(_), false) => begins(&Argument { token: None, ..argument.clone() }, word),
            _ => begins(argument, word),
        });
        if !goes_on {
            return Fit::Done { rest: words, possible: Wanted::again(argument).close(close) };
        }
    }
}

/// Fits one occurrence, without its token.
fn once<'w>(argument: &Argument, words: &'w [String]) -> Fit<'w> {
    let open = || Fit::Open(Wanted::body(argument));
    match argument.kind {
        Kind::PureToken => Fit::Done { rest: words, possible: Wanted::default() },
        Kind::Block if words.is_empty() && !argument.children.iter().all(|child| child.optional) => open(),
        Kind::Block => fit(&argument.children, words),
        Kind::OneOf => match words.first() {
            None => open(),
            Some(word) => match argument.children.iter().find(|child| begins(child, word)) {
                Some(child) => occurrences(child, words),
                None => Fit::Wrong,
            },
        },
        kind => match words.split_first() {
            None => open(),
            Some((word, rest)) if is_value(kind, word) => Fit::Done { rest, possible: Wanted::default() },
            Some(_) => Fit::Wrong,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::{built_in, without_newer};

    /// What redis-cli 8.0.6 shows for these lines.
    #[test]
    fn like_the_reference() {
        let docs = without_newer(&built_in());
        for (line, expected) in [
            ("GET ", "key"),
            ("get", "key"),
            ("get a", "key"),
            ("GET abc ", ""),
            ("COMMAND INFO get ", "[command-name ...]]"),
            ("CONFIG SET a", "parameter value [parameter value ...]"),
            ("CONFIG SET a b ", "[parameter value ...]"),
            ("CONFIG SET a b c ", "value [parameter value ...]"),
            ("SET k v EX 2 GE", "[NX|XX] [GET]"),
            ("SET k v EX ", "seconds [NX|XX] [GET]"),
            ("SET k v EX soon ", ""),
            ("SET k v FOO ", ""),
            (
                "SORT k GET x ",
                "[GET pattern ...]] [BY pattern] [LIMIT offset count] [ASC|DESC] [ALPHA] [STORE destination]",
            ),
            ("SORT k GET x ALPHA ", "[BY pattern] [LIMIT offset count] [ASC|DESC] [STORE destination]"),
            ("EVAL s 2 k1 ", "[key ...]] [arg [arg ...]]"),
            ("ZADD k NX 1 ", "member [score member ...]"),
            ("ZADD k CH LT ", "[NX|XX] [INCR] score member [score member ...]"),
            ("XADD k MAXLEN ~ 10 ", "[LIMIT count] [NOMKSTREAM] *|id field value [field value ...]"),
            ("XREAD COUNT 2 STREAMS k ", "[key ...] id [id ...]"),
            ("LMPOP 2 a b LEFT ", "[key ...] LEFT|RIGHT [COUNT count]"),
            ("BITFIELD_RO k GET u8 0 GET ", "encoding offset [GET encoding offset ...]]"),
            (
                "BITFIELD k INCRBY ",
                "encoding offset increment \
                 [GET encoding offset|[OVERFLOW WRAP|SAT|FAIL] SET encoding offset value|INCRBY encoding offset increment ...]]",
            ),
            ("ZRANDMEMBER k 3 ", "[WITHSCORES]"),
            ("ZRANDMEMBER k cnt ", ""),
            ("SCAN 2 COUNT ", "count [MATCH pattern] [TYPE type]"),
            (
                "GEORADIUS k 1 -2.345 3 M COUNT 12 ",
                "[ANY] [WITHCOORD] [WITHDIST] [WITHHASH] [ASC|DESC] [STORE key|STOREDIST key]",
            ),
            ("GEORADIUS k 1 2 3 M COUNT 12 ASC ", "[WITHCOORD] [WITHDIST] [WITHHASH] [STORE key|STOREDIST key]"),
            ("CLIENT KILL ID 3 ", ""),
            ("NOSUCH ", ""),
            ("GET \"a", ""),
            ("", ""),
        ] {
            assert_eq!(hint(&docs, line).unwrap_or_default(), expected, "{line:?}");
        }
    }
}
