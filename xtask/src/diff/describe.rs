//! What COMMAND DOCS says about a server's commands.

use std::collections::{BTreeMap, BTreeSet};

use ::tests::{Client, Reply};

use crate::Error;

/// Families whose commands depend on the data alone. All but `field-expiry` are groups of COMMAND DOCS.
pub(super) const FAMILIES: &[&str] = &[
    "string",
    "list",
    "set",
    "sorted-set",
    "hash",
    "field-expiry",
    "generic",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "transactions",
    "pubsub",
];

/// Commands that tell of the process or of other connections, or change how replies are sent: two servers rightly differ.
const LEFT_OUT: &[&str] = &[
    "wait",
    "waitaof",
    "migrate",
    "pfdebug",
    "pfselftest",
    "memory",
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
];

/// An argument as COMMAND DOCS describes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Arg {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) token: Option<String>,
    pub(super) flags: Vec<String>,
    pub(super) args: Vec<Arg>,
}

impl Arg {
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|held| held == flag)
    }
}

/// A command or subcommand as COMMAND DOCS describes it.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// A subcommand's with its container's: `xgroup|create`.
    pub(super) name: String,
    pub(super) group: String,
    pub(super) args: Vec<Arg>,
}

impl Command {
    /// Whether it is one of a family's.
    pub(super) fn is_of(&self, family: &str) -> bool {
        match family {
            "field-expiry" => {
                self.args.iter().any(|arg| arg.name == "fields" || arg.name == "fields_block")
                    || ["hset", "hdel", "hgetall", "hget", "hincrby", "hlen", "hsetnx"].contains(&&*self.name)
            }
            group => self.group == group,
        }
    }
}

/// The names of all commands that a server has.
pub(super) fn names(client: &mut Client) -> Result<BTreeSet<String>, Error> {
    let list = client.try_call(&["COMMAND", "LIST"])?;
    Ok(list.items().unwrap_or_default().iter().filter_map(Reply::text).collect())
}

/// The commands that a server has, of the families that can be compared; of containers their subcommands.
pub(super) fn commands(client: &mut Client) -> Result<Vec<Command>, Error> {
    let docs = pairs(&client.try_call(&["COMMAND", "DOCS"])?);
    let mut commands = Vec::new();
    for (name, doc) in docs.iter().filter(|(name, _)| !LEFT_OUT.contains(&&***name)) {
        let doc = pairs(doc);
        let group = doc.get("group").and_then(Reply::text).unwrap_or_default();
        if !FAMILIES.contains(&&*group) {
            continue;
        }
        let one = |name: &str, doc: &BTreeMap<String, Reply>| Command {
            name: name.to_owned(),
            group: group.clone(),
            args: arguments(doc.get("arguments")),
        };
        match doc.get("subcommands").map(pairs).filter(|all| !all.is_empty()) {
            // What HELP says is a text of each server's own.
            Some(all) => commands.extend(
                all.iter().filter(|(name, _)| !name.ends_with("|help")).map(|(name, doc)| one(name, &pairs(doc))),
            ),
            None => commands.push(one(name, &doc)),
        }
    }
    Ok(commands)
}

/// A map of RESP2 or RESP3, by the texts of its keys.
fn pairs(reply: &Reply) -> BTreeMap<String, Reply> {
    let text = |key: &Reply| key.text().unwrap_or_default();
    match reply {
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| (text(key), value.clone())).collect(),
        Reply::Array(items) => items.as_chunks::<2>().0.iter().map(|[key, value]| (text(key), value.clone())).collect(),
        _ => BTreeMap::new(),
    }
}

fn arguments(reply: Option<&Reply>) -> Vec<Arg> {
    let one = |reply: &Reply| {
        let doc = pairs(reply);
        let text = |key: &str| doc.get(key).and_then(Reply::text);
        let flags = match doc.get("flags") {
            Some(Reply::Array(flags) | Reply::Set(flags)) => flags.iter().filter_map(Reply::text).collect(),
            _ => Vec::new(),
        };
        Arg {
            name: text("name").unwrap_or_default(),
            kind: text("type").unwrap_or_default(),
            token: text("token"),
            flags,
            args: arguments(doc.get("arguments")),
        }
    };
    reply.and_then(Reply::items).unwrap_or_default().iter().map(one).collect()
}
