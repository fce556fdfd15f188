//! `help`, completion and hints: what the server tells about its commands with COMMAND DOCS.

use std::fmt::Write;
use std::rc::Rc;

use resp::Value;

use crate::print::text;
use crate::session::Session;

/// Arguments nested deeper than this in COMMAND DOCS are left out.
const ARGUMENT_DEPTH_MAX: usize = 16;

/// One command or subcommand.
#[derive(Debug, Default)]
pub(crate) struct Doc {
    /// Upper case; `CLIENT KILL` for a subcommand.
    pub(crate) name: String,
    summary: String,
    since: String,
    group: String,
    arguments: Vec<Argument>,
}

/// What kind of thing an argument is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Plain,
    /// Only its token is written.
    PureToken,
    OneOf,
    Block,
}

/// One argument of a command's syntax.
#[derive(Debug, Default)]
struct Argument {
    name: String,
    kind: Kind,
    token: Option<String>,
    optional: bool,
    multiple: bool,
    multiple_token: bool,
    children: Vec<Argument>,
}

/// Fields of a map, in either protocol's spelling.
fn fields(value: &Value) -> Vec<(String, &Value)> {
    let name = |value: &Value| String::from_utf8_lossy(text(value).unwrap_or_default()).into_owned();
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (name(key), value)).collect(),
        Value::Array(items) => items.chunks_exact(2).map(|pair| (name(&pair[0]), &pair[1])).collect(),
        _ => Vec::new(),
    }
}

/// Elements of an array or set.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

fn string(value: &Value) -> String {
    String::from_utf8_lossy(text(value).unwrap_or_default()).into_owned()
}

impl Argument {
    fn read(value: &Value, depth: usize) -> Argument {
        let mut argument = Argument::default();
        for (name, value) in fields(value) {
            match name.as_str() {
                "name" if argument.name.is_empty() => argument.name = string(value),
                "display_text" => argument.name = string(value),
                "token" => argument.token = Some(string(value)),
                "type" => {
                    argument.kind = match string(value).as_str() {
                        "pure-token" => Kind::PureToken,
                        "oneof" => Kind::OneOf,
                        "block" => Kind::Block,
                        _ => Kind::Plain,
                    }
                }
                "flags" => {
                    for flag in elements(value) {
                        match text(flag) {
                            Some(b"optional") => argument.optional = true,
                            Some(b"multiple") => argument.multiple = true,
                            Some(b"multiple_token") => (argument.multiple, argument.multiple_token) = (true, true),
                            _ => {}
                        }
                    }
                }
                "arguments" if depth < ARGUMENT_DEPTH_MAX => {
                    argument.children = elements(value).iter().map(|child| Argument::read(child, depth + 1)).collect();
                }
                _ => {}
            }
        }
        argument
    }

    /// The argument once, without token, brackets and repetition.
    fn body(&self) -> String {
        match self.kind {
            Kind::Plain => self.name.clone(),
            Kind::PureToken => self.token.clone().unwrap_or_default(),
            Kind::OneOf => join(&self.children, "|"),
            Kind::Block => join(&self.children, " "),
        }
    }

    /// What may follow when the argument has been given once: empty unless it may be repeated.
    fn again(&self) -> String {
        match (&self.token, self.multiple) {
            (_, false) => String::new(),
            (Some(token), true) if self.multiple_token => format!("[{token} {} ...]", self.body()),
            _ => format!("[{} ...]", self.body()),
        }
    }

    /// The argument as the syntax line shows it.
    fn syntax(&self) -> String {
        let mut out = String::new();
        match &self.token {
            Some(token) if self.kind != Kind::PureToken => _ = write!(out, "{token} {}", self.body()),
            _ => out.push_str(&self.body()),
        }
        if self.multiple {
            out.push(' ');
            out.push_str(&self.again());
        }
        if self.optional { format!("[{out}]") } else { out }
    }

    /// True when `word` can begin this argument. Plain values accept any word.
    fn starts_with(&self, word: &str) -> bool {
        match (&self.token, self.kind) {
            (Some(token), _) => token.eq_ignore_ascii_case(word),
            (None, Kind::OneOf) => self.children.iter().any(|child| child.starts_with(word)),
            (None, Kind::Block) => self.children.first().is_some_and(|child| child.starts_with(word)),
            _ => true,
        }
    }

    /// Takes the words of one occurrence; `Err` holds what is still to be typed.
    fn take<'w>(&self, mut words: &'w [String]) -> Result<&'w [String], String> {
        if self.token.is_some() {
            words = &words[1..];
        }
        match self.kind {
            Kind::PureToken => Ok(words),
            Kind::Plain => words.split_first().map(|(_, rest)| rest).ok_or_else(|| self.name.clone()),
            Kind::OneOf => match words.first() {
                None => Err(self.body()),
                Some(word) => match self.children.iter().find(|child| child.starts_with(word)) {
                    Some(child) => child.take(words),
                    None => Ok(&words[1..]),
                },
            },
            Kind::Block => match after(&self.children, words) {
                (rest, _) if rest.is_empty() && words.is_empty() => Err(self.body()),
                (_, Some(missing)) => Err(missing),
                (rest, None) => Ok(rest),
            },
        }
    }
}

fn join(arguments: &[Argument], separator: &str) -> String {
    arguments.iter().map(Argument::syntax).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(separator)
}

/// Fits words to arguments in order, the optional ones between two required ones in any order. Gives the words left
/// over and, when the words ended first, the syntax of what is missing.
fn after<'w>(arguments: &[Argument], mut words: &'w [String]) -> (&'w [String], Option<String>) {
    let mut at = 0;
    let missing = |parts: Vec<String>| {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    while at < arguments.len() {
        // The run of optional arguments from here, or the one required argument.
        let end = at + arguments[at..].iter().take_while(|argument| argument.optional).count().max(1);
        let group = &arguments[at..end];
        let mut given = vec![false; group.len()];
        loop {
            if words.is_empty() {
                let rest = group.iter().zip(&given).map(|(argument, given)| match given {
                    true => argument.again(),
                    false => argument.syntax(),
                });
                let later = arguments[end..].iter().map(Argument::syntax);
                return (words, missing(rest.chain(later).collect()));
            }
            let found = group
                .iter()
                .enumerate()
                .position(|(index, argument)| (!given[index] || argument.multiple) && argument.starts_with(&words[0]));
            let Some(found) = found else { break };
            let argument = &group[found];
            let occurrence = if given[found] && argument.token.is_some() && !argument.multiple_token {
                Argument { token: None, name: argument.name.clone(), kind: Kind::Plain, ..Argument::default() }
                    .take(words)
            } else {
                argument.take(words)
            };
            given[found] = true;
            match occurrence {
                Ok(rest) => words = rest,
                Err(partial) => {
                    let rest = group.iter().zip(&given).enumerate().map(|(index, (argument, given))| {
                        match (index == found, given) {
                            (true, _) => {
                                let again = argument.again();
                                if again.is_empty() { partial.clone() } else { format!("{partial} {again}") }
                            }
                            (false, true) => argument.again(),
                            (false, false) => argument.syntax(),
                        }
                    });
                    // What was begun comes first.
                    let mut parts: Vec<String> = rest.collect();
                    let begun = parts.remove(found);
                    parts.insert(0, begun);
                    parts.extend(arguments[end..].iter().map(Argument::syntax));
                    return (&[], missing(parts));
                }
            }
            if !group[found].optional && !group[found].multiple {
                break;
            }
        }
        at = end;
    }
    (words, None)
}

/// Reads the whole reply of COMMAND DOCS.
fn read_docs(reply: &Value) -> Vec<Doc> {
    let mut docs = Vec::new();
    for (name, value) in fields(reply) {
        let mut doc = Doc { name: name.to_ascii_uppercase(), ..Doc::default() };
        let mut subcommands = Vec::new();
        for (field, value) in fields(value) {
            match field.as_str() {
                "summary" => doc.summary = string(value),
                "since" => doc.since = string(value),
                "group" => doc.group = string(value),
                "arguments" => doc.arguments = elements(value).iter().map(|value| Argument::read(value, 0)).collect(),
                "subcommands" => subcommands = read_docs(value),
                _ => {}
            }
        }
        docs.push(doc);
        for mut subcommand in subcommands {
            subcommand.name = subcommand.name.replacen('|', " ", 1);
            docs.push(subcommand);
        }
    }
    docs.sort_by(|one, other| one.name.cmp(&other.name));
    docs
}

/// What the server knows, asked once per connection that answers. Empty when it cannot be asked now.
pub(crate) async fn docs(session: &mut Session) -> Rc<Vec<Doc>> {
    if let Some(docs) = &session.docs {
        return Rc::clone(docs);
    }
    let docs = match session.ask_aside(&["COMMAND", "DOCS"]).await {
        Some(reply) if !matches!(reply, Value::Error(_)) => Rc::new(read_docs(&reply)),
        _ => return Rc::default(),
    };
    session.docs = Some(Rc::clone(&docs));
    docs
}

fn describe(out: &mut String, doc: &Doc, with_group: bool) {
    let _ = write!(
        out,
        "\r\n  \x1b[1m{}\x1b[0m \x1b[90m{}\x1b[0m\r\n  \x1b[33msummary:\x1b[0m {}\r\n  \x1b[33msince:\x1b[0m {}\r\n",
        doc.name,
        join(&doc.arguments, " "),
        doc.summary,
        doc.since
    );
    if with_group {
        let _ = write!(out, "  \x1b[33mgroup:\x1b[0m {}\r\n", doc.group);
    }
}

/// The answer to `help` with these words.
pub(crate) async fn answer(session: &mut Session, words: &[Vec<u8>]) -> Vec<u8> {
    let words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    if words.is_empty() {
        return format!(
            "redis-cli {}\nTo get help about Redis commands type:\n\
             \x20     \"help @<group>\" for the commands of a group\n\
             \x20     \"help <command>\" for one command and its subcommands\n\
             \x20     \"help <tab>\" for what there is help on\n\
             \x20     \"quit\" to leave\n\n\
             To set redis-cli preferences:\n\
             \x20     \":set hints\" shows the arguments that a command still wants\n\
             \x20     \":set nohints\" does not\n\
             Preferences are kept in ~/.redisclirc\n",
            crate::REDIS_VERSION
        )
        .into_bytes();
    }
    let docs = docs(session).await;
    let mut out = String::new();
    let wanted = words.join(" ").to_ascii_uppercase();
    let group = words[0].strip_prefix('@');
    for doc in docs.iter() {
        match group {
            Some(group) if doc.group.eq_ignore_ascii_case(group) => describe(&mut out, doc, false),
            None if doc.name == wanted || doc.name.starts_with(&format!("{wanted} ")) => {
                describe(&mut out, doc, true);
            }
            _ => {}
        }
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// What a line could be completed to.
pub(crate) fn completions(docs: &[Doc], line: &str) -> Vec<String> {
    let (start, topics) = match line.get(..5) {
        Some(head) if head.eq_ignore_ascii_case("help ") => line.split_at(5),
        _ => ("", line),
    };
    let mut found: Vec<String> = Vec::new();
    if !start.is_empty() {
        let mut groups: Vec<String> = docs.iter().map(|doc| format!("@{}", doc.group)).collect();
        groups.sort();
        groups.dedup();
        found.extend(
            groups.into_iter().filter(|group| starts_with(group, topics)).map(|group| format!("{start}{group}")),
        );
    }
    found.extend(docs.iter().filter(|doc| starts_with(&doc.name, topics)).map(|doc| format!("{start}{}", doc.name)));
    found
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.len() >= prefix.len()
        && text.is_char_boundary(prefix.len())
        && text[..prefix.len()].eq_ignore_ascii_case(prefix)
}

/// The arguments that `line` still wants, if its command is known.
pub(crate) fn hint(docs: &[Doc], line: &str) -> Option<String> {
    let words = resp::inline::split_words(line.as_bytes()).ok()?;
    let mut words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let complete = line.ends_with(' ');
    let find = |name: String| docs.iter().find(|doc| doc.name == name);
    let two = words.get(..2).and_then(|two| find(two.join(" ").to_ascii_uppercase()));
    let (doc, used) = match two {
        Some(doc) => (doc, 2),
        None => (find(words.first()?.to_ascii_uppercase())?, 1),
    };
    // The last word may still grow, unless it is the command itself.
    if !complete && words.len() > used {
        words.pop();
    }
    match after(&doc.arguments, &words[used..]) {
        (_, Some(missing)) if complete => Some(missing),
        (_, Some(missing)) => Some(format!(" {missing}")),
        _ => None,
    }
}

/// The text of `--help`.
pub(crate) fn usage() -> String {
    format!("redis-cli {}\n\n{}", crate::REDIS_VERSION, include_str!("usage.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str) -> Argument {
        Argument { name: name.into(), ..Argument::default() }
    }

    fn optional(token: &str, name: &str) -> Argument {
        let token = (!token.is_empty()).then(|| token.to_owned());
        Argument { token, optional: true, ..plain(name) }
    }

    fn commands() -> Vec<Doc> {
        let doc = |name: &str, arguments| Doc { name: name.into(), group: "g".into(), arguments, ..Doc::default() };
        vec![
            doc(
                "CONFIG SET",
                vec![Argument {
                    kind: Kind::Block,
                    multiple: true,
                    children: vec![plain("parameter"), plain("value")],
                    ..plain("data")
                }],
            ),
            doc("GET", vec![plain("key")]),
            doc("LPOP", vec![plain("key"), optional("", "count")]),
            doc("MGET", vec![Argument { multiple: true, ..plain("key") }]),
            doc(
                "SCAN",
                vec![
                    plain("cursor"),
                    optional("MATCH", "pattern"),
                    optional("COUNT", "count"),
                    optional("TYPE", "type"),
                ],
            ),
        ]
    }

    #[test]
    fn hints() {
        let docs = commands();
        for (line, expected) in [
            ("GET ", Some("key")),
            ("get", Some(" key")),
            ("GET abc ", None),
            ("GET a", Some(" key")),
            ("LPOP key ", Some("[count]")),
            ("LPOP key 3 ", None),
            ("MGET ", Some("key [key ...]")),
            ("MGET k k ", Some("[key ...]")),
            ("SCAN 2 MATCH ", Some("pattern [COUNT count] [TYPE type]")),
            ("SCAN 2 COUNT ", Some("count [MATCH pattern] [TYPE type]")),
            ("SCAN 2 COUNT 3 ", Some("[MATCH pattern] [TYPE type]")),
            ("CONFIG SET ", Some("parameter value [parameter value ...]")),
            ("CONFIG SET param ", Some("value [parameter value ...]")),
            ("CONFIG SET param val ", Some("[parameter value ...]")),
            ("NOSUCH ", None),
            ("GET \"a", None),
            ("", None),
        ] {
            assert_eq!(hint(&docs, line).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn completion_by_prefix() {
        let docs = commands();
        assert_eq!(completions(&docs, "g"), ["GET"]);
        assert_eq!(completions(&docs, "config s"), ["CONFIG SET"]);
        assert_eq!(completions(&docs, "help @"), ["help @g"]);
        assert_eq!(completions(&docs, "help sc"), ["help SCAN"]);
        assert!(completions(&docs, "é").is_empty());
    }
}
