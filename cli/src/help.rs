//! `help`, the text of `--help`, and completion of the names of commands.

use std::fmt::Write;

use crate::docs::{self, Doc, join};
use crate::session::Session;

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
             At a terminal also:\n\
             \x20     \"peek <key>\" for what a key is and holds\n\
             \x20     \"watch <seconds> <command>\" to run it again and again (\"watch 5 mykey\" watches keys)\n\
             \x20     F1 for help on the line, Ctrl-R to search the history, Ctrl-X Ctrl-E to edit elsewhere\n\n\
             To set redis-cli preferences:\n\
             \x20     \":set hints\" shows the arguments that a command still wants\n\
             \x20     \":set nohints\" does not\n\
             \x20     \":set [no]color\", \":set [no]pager\": colours, long replies page by page\n\
             \x20     \":set confirm <host>[:<port>] ...\": there, dangerous commands ask first\n\
             \x20     \":set connection <name> <uri>\": for \"connect <name>\"\n\
             Preferences are kept in ~/.redisclirc\n",
            crate::REDIS_VERSION
        )
        .into_bytes();
    }
    let docs = docs::known(session).await;
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

/// The syntax and the summary of the command that a line begins with.
pub(crate) fn brief(docs: &[Doc], line: &str) -> Vec<String> {
    let words: Vec<String> = line.split_whitespace().take(2).map(str::to_owned).collect();
    match docs::find(docs, &words) {
        Some((doc, _)) => vec![
            format!("\x1b[1m{}\x1b[0m {}", doc.name, join(&doc.arguments, " ")),
            format!("{} (since {}, {})", doc.summary, doc.since, doc.group),
        ],
        None => vec!["F1 tells about the command that the line begins with".to_owned()],
    }
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

pub(crate) fn starts_with(text: &str, prefix: &str) -> bool {
    text.len() >= prefix.len()
        && text.is_char_boundary(prefix.len())
        && text[..prefix.len()].eq_ignore_ascii_case(prefix)
}

/// The text of `--help`.
pub(crate) fn usage() -> String {
    format!("redis-cli {}\n\n{}", crate::REDIS_VERSION, include_str!("usage.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_by_prefix() {
        let docs = docs::built_in();
        assert_eq!(completions(&docs, "getr"), ["GETRANGE"]);
        assert_eq!(completions(&docs, "config s"), ["CONFIG SET"]);
        assert_eq!(completions(&docs, "help @ge"), ["help @generic", "help @geo"]);
        assert_eq!(completions(&docs, "help unw"), ["help UNWATCH"]);
        assert!(completions(&docs, "é").is_empty());
    }
}
