//! The table of commands that redis-cli-rs knows without a server: COMMAND DOCS of a started one, as text.

use std::fmt::Write;

use ::tests::{Client, Reply};

use crate::{Error, fail};

/// Where it is kept; `cli/src/docs.rs` tells its form.
pub(crate) const PATH: &str = "cli/src/commands.txt";

/// Asks a server and writes the table.
pub(crate) fn table(client: &mut Client) -> Result<String, Error> {
    let Reply::Array(docs) = client.try_call(&["COMMAND", "DOCS"])? else {
        fail!("COMMAND DOCS has no list as its reply")
    };
    let mut commands = Vec::new();
    for entry in docs.chunks_exact(2) {
        command(&entry[0], &entry[1], &mut commands);
    }
    commands.sort();
    let mut out = String::from("# Written by `cargo xtask generate`; changes made here are lost.\n");
    commands.iter().for_each(|(_, text)| out.push_str(text));
    Ok(out)
}

/// The name of a command and its lines, then those of its subcommands.
fn command(name: &Reply, doc: &Reply, commands: &mut Vec<(String, String)>) {
    let name = name.text().unwrap_or_default().to_uppercase().replacen('|', " ", 1);
    let mut line = format!("{name}\t{}\t{}\t{}\n", text(doc, "group"), text(doc, "since"), text(doc, "summary"));
    for argument in items(doc, "arguments") {
        write_argument(&mut line, argument, 1);
    }
    commands.push((name, line));
    for entry in items(doc, "subcommands").chunks_exact(2) {
        command(&entry[0], &entry[1], commands);
    }
}

fn write_argument(out: &mut String, argument: &Reply, depth: usize) {
    let shown = Some(text(argument, "display_text")).filter(|text| !text.is_empty());
    let name = shown.unwrap_or_else(|| text(argument, "name"));
    let token = field(argument, "token").and_then(Reply::text).map(|token| format!("={token}")).unwrap_or_default();
    let flags: Vec<String> = items(argument, "flags").iter().filter_map(Reply::text).collect();
    let (kind, since) = (text(argument, "type"), text(argument, "since"));
    let line = format!("{name}\t{kind}\t{token}\t{}\t{since}", flags.join(" "));
    let _ = writeln!(out, "{}{}", "\t".repeat(depth), line.trim_end_matches('\t'));
    for child in items(argument, "arguments") {
        write_argument(out, child, depth + 1);
    }
}

/// The field of a map that is a list of names and values.
fn field<'r>(map: &'r Reply, name: &str) -> Option<&'r Reply> {
    let pairs = map.items().unwrap_or_default().chunks_exact(2);
    pairs.into_iter().find(|pair| pair[0].text().as_deref() == Some(name)).map(|pair| &pair[1])
}

fn text(map: &Reply, name: &str) -> String {
    field(map, name).and_then(Reply::text).unwrap_or_default()
}

fn items<'r>(map: &'r Reply, name: &str) -> &'r [Reply] {
    field(map, name).and_then(Reply::items).unwrap_or_default()
}
