//! `cargo xtask generate`: COMPAT.md, from what a started server says about itself and from the ledger, and the table of
//! commands that redis-cli-rs knows without a server.

mod docs_table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use ::tests::{Client, Reply};

use crate::conformance::ledger::{Ledger, Why};
use crate::peer::Peer;
use crate::place::{self, Profile};
use crate::{Error, Verdict, fail};

const USAGE: &str = "\
cargo xtask generate [--check] [--server PATH]

Writes COMPAT.md: which commands of Redis 8.0 a started server has, and which part of the official suite passes. Writes
cli/src/commands.txt: what the server tells of its commands, for hints and help without a server.
  --check         write nothing; exit code 1 when a file is not up to date
  --server PATH   ask this server (else built, debug profile)";

/// Every command of Redis 8.0, by group.
const COMMANDS: &str = include_str!("../data/commands.txt");

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let (mut check, mut server): (bool, Option<PathBuf>) = (false, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("check") => check = true,
            Long("server") => server = Some(parser.value()?.into()),
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let server = match server {
        Some(path) => std::fs::canonicalize(path)?,
        None => place::build(Profile::Dev)?.server,
    };
    let peer = Peer::start(&server, &[], None)?;
    let mut client = peer.client()?;
    let files = [
        ("COMPAT.md", compat(&commands(&mut client)?, &histories(&mut client)?, &Ledger::load()?)),
        (docs_table::PATH, docs_table::table(&mut client)?),
    ];
    let mut fresh = true;
    for (path, text) in files {
        let file = place::root().join(path);
        if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
            println!("{path} is up to date");
        } else if check {
            println!("{path} is not up to date: run cargo xtask generate");
            fresh = false;
        } else {
            std::fs::write(&file, text)?;
            println!("{path} is written");
        }
    }
    Ok(fresh)
}

/// The commands and subcommands (`config|get`) that a server has, in lower case.
fn commands(client: &mut Client) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    let Reply::Array(infos) = client.try_call(&["COMMAND"])? else { fail!("COMMAND has no list as its reply") };
    for info in &infos {
        add(info, &mut names);
    }
    Ok(names)
}

fn add(info: &Reply, names: &mut BTreeSet<String>) {
    /// Where the subcommands stand in an entry of COMMAND's reply.
    const SUBCOMMANDS: usize = 9;
    let Some(fields) = info.items() else { return };
    names.extend(fields.first().and_then(Reply::text).map(|name| name.to_lowercase()));
    for subcommand in fields.get(SUBCOMMANDS).and_then(Reply::items).into_iter().flatten() {
        add(subcommand, names);
    }
}

/// When a command came, and what became of it since, by the versions of Redis or Valkey.
#[derive(Default)]
struct History {
    since: String,
    summary: String,
    changes: Vec<(String, String)>,
}

/// What COMMAND DOCS tells of each command.
fn histories(client: &mut Client) -> Result<BTreeMap<String, History>, Error> {
    let Reply::Array(docs) = client.try_call(&["COMMAND", "DOCS"])? else {
        fail!("COMMAND DOCS has no list as its reply")
    };
    let mut all = BTreeMap::new();
    for entry in docs.chunks_exact(2) {
        let mut history = History::default();
        for field in entry[1].items().unwrap_or_default().chunks_exact(2) {
            match field[0].text().as_deref() {
                Some("since") => history.since = field[1].text().unwrap_or_default(),
                Some("summary") => history.summary = field[1].text().unwrap_or_default(),
                Some("history") => {
                    let changes = field[1].items().unwrap_or_default().iter().filter_map(Reply::items);
                    history.changes =
                        changes.filter_map(|change| Some((change.first()?.text()?, change.get(1)?.text()?))).collect();
                }
                _ => {}
            }
        }
        all.insert(entry[0].text().unwrap_or_default().to_lowercase(), history);
    }
    Ok(all)
}

/// Whether a change came after Redis 8.0, or with Valkey, whose versions count on their own.
fn is_beyond(version: &str, change: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version > (8, 0) || change.contains("Valkey")
}

fn beyond(out: &mut String, known: &BTreeSet<&str>, have: &BTreeSet<String>, histories: &BTreeMap<String, History>) {
    let mut rows = Vec::new();
    for name in have {
        let none = History::default();
        let history = histories.get(name).unwrap_or(&none);
        let changes = history.changes.iter().filter(|(version, change)| is_beyond(version, change));
        let changes: Vec<_> = changes.map(|(version, change)| (shown(name), version.clone(), change.clone())).collect();
        if known.contains(name.as_str()) {
            rows.extend(changes);
        } else {
            let notes = changes.into_iter().map(|(_, _, change)| format!(" {change}")).collect::<String>();
            rows.push((shown(name), history.since.clone(), history.summary.clone() + &notes));
        }
    }
    if rows.is_empty() {
        return;
    }
    out.push_str(
        "\n### Beyond Redis 8.0\n\nWhat later versions of Redis, or Valkey, have added.\n\n| command | since | what |\n|---|---|---|\n",
    );
    for (name, since, what) in rows {
        let _ = writeln!(out, "| `{name}` | {since} | {} |", what.replace('|', "\\|"));
    }
}

fn compat(have: &BTreeSet<String>, histories: &BTreeMap<String, History>, ledger: &Ledger) -> String {
    let mut out = String::from(
        "<!-- Written by `cargo xtask generate`; changes made here are lost. -->\n\n# Compatibility with Redis 8.0\n\n\
         ## Commands\n\nFrom the command table of a started server, subcommands included.\n\n\
         | group | done | of | missing |\n|---|--:|--:|---|\n",
    );
    let (mut done, mut all) = (0, 0);
    let mut known = BTreeSet::new();
    for (group, names) in groups() {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !have.contains(*name)).collect();
        let (here, total) = (names.len() - missing.len(), names.len());
        done += here;
        all += total;
        known.extend(names);
        let words: Vec<String> = missing.iter().map(|name| format!("`{}`", shown(name))).collect();
        let _ = writeln!(out, "| {group} | {here} | {total} | {} |", words.join(" "));
    }
    let _ = writeln!(out, "| **all** | **{done}** | **{all}** | |");
    beyond(&mut out, &known, have, histories);
    conformance(&mut out, ledger);
    out
}

/// `config|get` as users write it.
fn shown(name: &str) -> String {
    name.replace('|', " ").to_uppercase()
}

fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in COMMANDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(group) => groups.push((group, Vec::new())),
            None => groups.last_mut().expect("a group comes first").1.push(line),
        }
    }
    groups
}

fn conformance(out: &mut String, ledger: &Ledger) {
    out.push_str(
        "\n## The official test suite\n\nFiles of the suite of Redis 8.0 that are run, unmodified, and what of them passes \
         (`tests/conformance/ledger.toml`).\n\n| file | passes | waits | declined |\n|---|--:|--:|--:|\n",
    );
    let mut sums = [0; 3];
    for file in &ledger.files {
        let waits = ledger.cases_of(&file.name).filter(|case| matches!(case.why, Why::Waits(_))).count();
        let declined = ledger.cases_of(&file.name).count() - waits;
        for (sum, count) in sums.iter_mut().zip([file.passes, waits, declined]) {
            *sum += count;
        }
        let _ = writeln!(out, "| {} | {} | {waits} | {declined} |", file.name, file.passes);
    }
    let _ = writeln!(out, "| **{} files** | **{}** | **{}** | **{}** |", ledger.files.len(), sums[0], sums[1], sums[2]);
    for (title, declined) in
        [("Cases that wait for a part that is still to come", false), ("Cases that are declined", true)]
    {
        let cases: Vec<_> =
            ledger.cases.iter().filter(|case| matches!(case.why, Why::Declined(_)) == declined).collect();
        if cases.is_empty() {
            continue;
        }
        let reason = if declined { "reason" } else { "waits for" };
        let _ = writeln!(out, "\n### {title}\n\n| file | case | {reason} |\n|---|---|---|");
        for case in cases {
            let (Why::Waits(why) | Why::Declined(why)) = &case.why;
            let _ = writeln!(out, "| {} | {} | {why} |", case.file, case.name.replace('|', "\\|"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_listed_once() {
        let groups = groups();
        let names: Vec<&str> = groups.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert!(names.len() > 300 && names.contains(&"config|get") && names.contains(&"zadd"));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = groups().into_iter().flat_map(|(_, names)| names).filter(|name| *name != "config|get");
        let mut have: BTreeSet<String> = all.map(str::to_owned).collect();
        have.insert("ours".to_owned());
        let entry = |since: &str, changes: &[(&str, &str)]| History {
            since: since.to_owned(),
            summary: "Does it.".to_owned(),
            changes: changes.iter().map(|&(version, change)| (version.to_owned(), change.to_owned())).collect(),
        };
        let histories = BTreeMap::from([
            ("ours".to_owned(), entry("9.0.0", &[("9.0.0", "Of Valkey.")])),
            ("set".to_owned(), entry("1.0.0", &[("6.0.0", "KEEPTTL."), ("8.4.0", "IFEQ.")])),
        ]);
        let text = compat(&have, &histories, &Ledger::default());
        assert!(text.contains("`CONFIG GET`") && !text.contains("`CONFIG SET`"));
        assert!(text.contains("| `OURS` | 9.0.0 | Does it. Of Valkey. |"));
        assert!(text.contains("| `SET` | 8.4.0 | IFEQ. |") && !text.contains("KEEPTTL"));
    }
}
