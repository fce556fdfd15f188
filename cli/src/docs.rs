//! What there is to know about commands: from the server (COMMAND DOCS), or from a table of our own when no server is there
//! or it does not tell.
//!
//! The table is `commands.txt`, written by `cargo xtask generate` from the declarations. Fields are separated by tabs; a
//! line that begins with tabs is an argument of the line above with fewer:
//!
//! ```text
//! name  group  since  summary
//!       name  type  token  flags  since
//! ```
//!
//! A token is written behind `=`, because it may be empty.

use std::fmt::Write;
use std::rc::Rc;

use resp::Value;

use crate::print::text;
use crate::session::Session;

/// Arguments nested deeper than this are left out.
const DEPTH_MAX: usize = 16;

/// See the [module](self).
const TABLE: &str = include_str!("commands.txt");

/// One command or subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doc {
    /// Upper case; `CLIENT KILL` for a subcommand.
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) since: String,
    pub(crate) group: String,
    pub(crate) arguments: Vec<Argument>,
}

/// What kind of thing an argument is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Plain,
    Key,
    Integer,
    Double,
    /// Only its token is written.
    PureToken,
    OneOf,
    Block,
}

impl Kind {
    fn of(name: &str) -> Kind {
        match name {
            "key" => Kind::Key,
            "integer" | "unix-time" => Kind::Integer,
            "double" => Kind::Double,
            "pure-token" => Kind::PureToken,
            "oneof" => Kind::OneOf,
            "block" => Kind::Block,
            _ => Kind::Plain,
        }
    }
}

/// One argument of a command's syntax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) token: Option<String>,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
    /// The token is repeated with the argument.
    pub(crate) multiple_token: bool,
    /// The version that brought it, when it came after its command.
    pub(crate) since: String,
    pub(crate) children: Vec<Argument>,
}

impl Argument {
    fn read(value: &Value, depth: usize) -> Argument {
        let mut argument = Argument::default();
        for (name, value) in fields(value) {
            match name.as_str() {
                "name" if argument.name.is_empty() => argument.name = string(value),
                "display_text" => argument.name = string(value),
                "token" => argument.token = Some(string(value)),
                "type" => argument.kind = Kind::of(&string(value)),
                "since" => argument.since = string(value),
                "flags" => {
                    for flag in elements(value) {
                        argument.flag(&string(flag));
                    }
                }
                "arguments" if depth < DEPTH_MAX => {
                    argument.children = elements(value).iter().map(|child| Argument::read(child, depth + 1)).collect();
                }
                _ => {}
            }
        }
        argument
    }

    fn flag(&mut self, name: &str) {
        match name {
            "optional" => self.optional = true,
            "multiple" => self.multiple = true,
            "multiple_token" => (self.multiple, self.multiple_token) = (true, true),
            _ => {}
        }
    }

    /// The token as it is shown and typed.
    pub(crate) fn shown_token(&self) -> Option<&str> {
        self.token.as_deref().map(|token| if token.is_empty() { "\"\"" } else { token })
    }

    /// The argument once, without token, brackets and repetition.
    pub(crate) fn body(&self) -> String {
        match self.kind {
            Kind::PureToken => self.shown_token().unwrap_or_default().to_owned(),
            Kind::OneOf => join(&self.children, "|"),
            Kind::Block => join(&self.children, " "),
            _ => self.name.clone(),
        }
    }

    /// What may follow when the argument has been given once: empty unless it may be repeated.
    pub(crate) fn again(&self) -> String {
        match (self.shown_token(), self.multiple) {
            (_, false) => String::new(),
            (Some(token), true) if self.multiple_token => format!("[{token} {} ...]", self.body()),
            _ => format!("[{} ...]", self.body()),
        }
    }

    /// The argument as the syntax line shows it.
    pub(crate) fn syntax(&self) -> String {
        let mut out = String::new();
        match self.shown_token() {
            Some(token) if self.kind != Kind::PureToken => _ = write!(out, "{token} {}", self.body()),
            _ => out.push_str(&self.body()),
        }
        if self.multiple {
            out.push(' ');
            out.push_str(&self.again());
        }
        if self.optional { format!("[{out}]") } else { out }
    }
}

/// The syntax of several arguments.
pub(crate) fn join(arguments: &[Argument], separator: &str) -> String {
    arguments.iter().map(Argument::syntax).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(separator)
}

/// Fields of a map, in either protocol's spelling.
fn fields(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (string(key), value)).collect(),
        Value::Array(items) => items.chunks_exact(2).map(|pair| (string(&pair[0]), &pair[1])).collect(),
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

/// Reads the whole reply of COMMAND DOCS.
fn read(reply: &Value, depth: usize) -> Vec<Doc> {
    let mut docs = Vec::new();
    for (name, value) in fields(reply) {
        let mut doc = Doc { name: name.to_ascii_uppercase().replacen('|', " ", 1), ..Doc::default() };
        let mut subcommands = Vec::new();
        for (field, value) in fields(value) {
            match field.as_str() {
                "summary" => doc.summary = string(value),
                "since" => doc.since = string(value),
                "group" => doc.group = string(value),
                "arguments" => doc.arguments = elements(value).iter().map(|value| Argument::read(value, 0)).collect(),
                "subcommands" if depth == 0 => subcommands = read(value, 1),
                _ => {}
            }
        }
        docs.push(doc);
        docs.extend(subcommands);
    }
    docs
}

/// The commands of [`TABLE`], sorted by name.
pub(crate) fn built_in() -> Vec<Doc> {
    let mut docs = Vec::new();
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut field = || fields.next().unwrap_or_default();
        let (name, group, since, summary) = (field(), field(), field(), field());
        docs.push(Doc { name, group, since, summary, arguments: arguments(&mut lines, 1) });
    }
    docs.sort_by(|one, other| one.name.cmp(&other.name));
    docs
}

/// The arguments from here that stand `depth` deep.
fn arguments<'t>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>, depth: usize) -> Vec<Argument> {
    let mut found = Vec::new();
    let here = |line: &&str| line.bytes().take_while(|byte| *byte == b'\t').count() >= depth;
    while let Some(line) = lines.next_if(here) {
        let mut fields = line[depth..].split('\t');
        let mut field = || fields.next().unwrap_or_default();
        let mut argument = Argument { name: field().to_owned(), kind: Kind::of(field()), ..Argument::default() };
        argument.token = field().strip_prefix('=').map(str::to_owned);
        field().split(' ').for_each(|flag| argument.flag(flag));
        argument.since = field().to_owned();
        argument.children = arguments(lines, depth + 1);
        found.push(argument);
    }
    found
}

/// What the server knows, and what we know of commands that it does not tell about. The server is asked once per
/// connection.
pub(crate) async fn known(session: &mut Session) -> Rc<Vec<Doc>> {
    if let Some(docs) = &session.docs {
        return Rc::clone(docs);
    }
    let answer = match session.is_connected() {
        true => session.ask_aside(&["COMMAND", "DOCS"]).await,
        false => None,
    };
    let asked = answer.is_some();
    let mut docs = answer.map(|reply| read(&reply, 0)).unwrap_or_default();
    // A server may be older than the table, or have modules that the table does not know.
    for doc in built_in() {
        if !docs.iter().any(|known| known.name == doc.name) {
            docs.push(doc);
        }
    }
    docs.sort_by(|one, other| one.name.cmp(&other.name));
    let docs = Rc::new(docs);
    if asked {
        session.docs = Some(Rc::clone(&docs));
    }
    docs
}

/// Leaves out the arguments that came after Redis 8.0, as far as the documentation tells.
pub(crate) fn without_newer(docs: &[Doc]) -> Vec<Doc> {
    let mut docs = docs.to_vec();
    docs.iter_mut().for_each(|doc| drop_newer(&mut doc.arguments));
    docs
}

fn drop_newer(arguments: &mut Vec<Argument>) {
    const VERSION: (u32, u32) = (8, 0);
    arguments.retain(|argument| {
        let mut numbers = argument.since.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) <= VERSION
    });
    arguments.iter_mut().for_each(|argument| drop_newer(&mut argument.children));
}

/// The command that words begin with, and how many of them are its name.
pub(crate) fn find<'d>(docs: &'d [Doc], words: &[String]) -> Option<(&'d Doc, usize)> {
    let named = |count: usize| {
        let name = words.get(..count)?.join(" ").to_ascii_uppercase();
        let index = docs.binary_search_by(|doc| doc.name.as_str().cmp(&name)).ok()?;
        Some((&docs[index], count))
    };
    named(2).or_else(|| named(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        let docs = built_in();
        let syntax = |name: &str| join(&docs.iter().find(|doc| doc.name == name).unwrap().arguments, " ");
        assert_eq!(syntax("GET"), "key");
        assert_eq!(syntax("ZRANDMEMBER"), "key [count [WITHSCORES]]");
        assert_eq!(syntax("CONFIG SET"), "parameter value [parameter value ...]");
        assert_eq!(syntax("BITFIELD_RO"), "key [GET encoding offset [GET encoding offset ...]]");
        assert!(syntax("MIGRATE").starts_with("host port key|\"\" "));
        for doc in &docs {
            assert!(!doc.summary.is_empty() && !doc.since.is_empty() && !doc.group.is_empty(), "{}", doc.name);
        }
    }

    #[test]
    fn what_a_server_tells() {
        let bulk = |text: &str| Value::bulk(text.as_bytes().to_vec());
        let argument = Value::Array(vec![bulk("name"), bulk("n"), bulk("type"), bulk("integer")]);
        let sub = Value::Array(vec![bulk("foo|bar"), Value::Array(vec![bulk("summary"), bulk("s")])]);
        let foo = Value::Array(vec![bulk("arguments"), Value::Array(vec![argument]), bulk("subcommands"), sub]);
        let docs = read(&Value::Array(vec![bulk("foo"), foo]), 0);
        assert_eq!(docs.len(), 2);
        assert_eq!((docs[0].arguments[0].kind, docs[1].name.as_str()), (Kind::Integer, "FOO BAR"));
        assert!(read(&Value::Null, 0).is_empty());
    }
}
