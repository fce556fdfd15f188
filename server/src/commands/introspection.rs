//! COMMAND and its subcommands: everything they tell is derived from the declarations.
//! <https://redis.io/docs/latest/commands/command/>

use engine::args::Args;
use engine::command::{Acl, Arg, ArgKind, Arity, Begin, Command, Find, Flags, Group, KeyFlags, KeyRef, KeySpec};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;
use engine::{glob, registry};
use resp::writer::Writer;

use super::HostCommand;
use crate::exec::{Call, HostFn, Registry, Run};

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&COMMAND];

type Entry = registry::Entry<Run>;

const TELLS: Flags = Flags::LOADING.and(Flags::STALE);

const COMMAND: HostCommand = HostCommand {
    name: "command",
    arity: Arity::AtLeast(1),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "2.8.13",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of Redis commands",
    summary: "Tells about all commands.",
    subcommands: &[&COUNT, &DOCS, &GETKEYS, &GETKEYSANDFLAGS, &HELP, &INFO, &LIST],
    run: HostFn(|call, _| {
        reply_infos(&call.server.registry, top_level(&call.server.registry).map(Some).collect(), &mut call.out);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

fn top_level(registry: &Registry) -> impl Iterator<Item = &Entry> {
    registry.entries().iter().filter(|entry| entry.parent.is_none())
}

const COUNT: HostCommand = HostCommand {
    name: "count",
    arity: Arity::Exactly(2),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "2.8.13",
    complexity: "O(1)",
    summary: "Returns the number of commands.",
    run: HostFn(|call, _| {
        call.out.integer(top_level(&call.server.registry).count() as i64);
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const INFO: HostCommand = HostCommand {
    name: "info",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "2.8.13",
    history: &[("7.0.0", "Allowed to be called with no argument to get info on all commands.")],
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Tells about some commands, or all.",
    args: &[Arg::string("command-name").optional().many()],
    run: HostFn(info),
    ..HostCommand::BASE
};

fn info(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let registry = &call.server.registry;
    let entries = if args.is_done() {
        top_level(registry).map(Some).collect()
    } else {
        args.take_rest().iter().map(|name| registry.find(name)).collect()
    };
    reply_infos(registry, entries, &mut call.out);
    Ok(Outcome::Done)
}

fn reply_infos(registry: &Registry, entries: Vec<Option<&Entry>>, out: &mut Writer<'_>) {
    out.array(entries.len());
    for entry in entries {
        match entry {
            Some(entry) => reply_info(registry, entry, out),
            None => out.null(),
        }
    }
}

fn reply_info(registry: &Registry, entry: &Entry, out: &mut Writer<'_>) {
    let command = &entry.command;
    let (first, last, step) = legacy_range(command.keys);
    out.array(10);
    out.bulk(entry.full_name.as_bytes());
    out.integer(command.arity.as_redis());
    let mut flags = names_in(Flags::NAMES, |flag| command.flags.contains(flag));
    if command.has_movable_keys() {
        flags.push("movablekeys");
    }
    reply_words(out, &flags, "");
    out.integer(first);
    out.integer(last);
    out.integer(step);
    let categories = command.categories();
    reply_words(out, &names_in(Acl::NAMES, |category| categories.contains(category)), "@");
    out.set(command.tips.len());
    command.tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    out.set(command.keys.len());
    command.keys.iter().for_each(|spec| reply_key_spec(spec, out));
    out.set(entry.subcommands.len());
    entry.subcommands.iter().for_each(|&id| reply_info(registry, registry.get(id), out));
}

fn names_in<F: Copy>(names: &'static [(F, &'static str)], has: impl Fn(F) -> bool) -> Vec<&'static str> {
    names.iter().filter(|(flag, _)| has(*flag)).map(|&(_, name)| name).collect()
}

fn reply_words(out: &mut Writer<'_>, words: &[&str], prefix: &str) {
    out.set(words.len());
    words.iter().for_each(|word| out.simple(&format!("{prefix}{word}")));
}

/// First key, last key and step, as clients of old expect them: the part of the specs that such a range can express.
fn legacy_range(specs: &[KeySpec]) -> (i64, i64, i64) {
    let mut range: Option<(i64, i64, i64)> = None;
    for spec in specs {
        let (Begin::Index(begin), Find::Range { last, step, limit: 0 }) = (spec.begin, spec.find) else { continue };
        if spec.flags.contains(KeyFlags::NOT_KEY) && specs.len() > 1 {
            continue;
        }
        let begin = i64::from(begin);
        let last = if last < 0 { i64::from(last) } else { begin + i64::from(last) };
        range = Some(match range {
            None => (begin, last, i64::from(step)),
            // Only what follows without a gap extends the range.
            Some((first, before, 1)) if step == 1 && before == begin - 1 => (first, last, 1),
            Some(range) => range,
        });
    }
    range.unwrap_or((0, 0, 0))
}

fn reply_key_spec(spec: &KeySpec, out: &mut Writer<'_>) {
    out.map(if spec.notes.is_some() { 4 } else { 3 });
    if let Some(notes) = spec.notes {
        out.bulk(b"notes");
        out.bulk(notes.as_bytes());
    }
    out.bulk(b"flags");
    reply_words(out, &names_in(KeyFlags::NAMES, |flag| spec.flags.contains(flag)), "");
    out.bulk(b"begin_search");
    out.map(2);
    out.bulk(b"type");
    match spec.begin {
        Begin::Index(index) => {
            out.bulk(b"index");
            out.bulk(b"spec");
            out.map(1);
            reply_pair(out, "index", i64::from(index));
        }
        Begin::Keyword { word, from } => {
            out.bulk(b"keyword");
            out.bulk(b"spec");
            out.map(2);
            out.bulk(b"keyword");
            out.bulk(word.as_bytes());
            reply_pair(out, "startfrom", i64::from(from));
        }
        Begin::Unknown => {
            out.bulk(b"unknown");
            out.bulk(b"spec");
            out.map(0);
        }
    }
    out.bulk(b"find_keys");
    out.map(2);
    out.bulk(b"type");
    match spec.find {
        Find::Range { last, step, limit } => {
            out.bulk(b"range");
            out.bulk(b"spec");
            out.map(3);
            reply_pair(out, "lastkey", i64::from(last));
            reply_pair(out, "keystep", i64::from(step));
            reply_pair(out, "limit", i64::from(limit));
        }
        Find::Count { count, first, step } => {
            out.bulk(b"keynum");
            out.bulk(b"spec");
            out.map(3);
            reply_pair(out, "keynumidx", i64::from(count));
            reply_pair(out, "firstkey", i64::from(first));
            reply_pair(out, "keystep", i64::from(step));
        }
        Find::Unknown => {
            out.bulk(b"unknown");
            out.bulk(b"spec");
            out.map(0);
        }
    }
}

fn reply_pair(out: &mut Writer<'_>, name: &str, value: i64) {
    out.bulk(name.as_bytes());
    out.integer(value);
}

const DOCS: HostCommand = HostCommand {
    name: "docs",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "7.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Returns the documentation of some commands, or all.",
    args: &[Arg::string("command-name").optional().many()],
    run: HostFn(docs),
    ..HostCommand::BASE
};

fn docs(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let registry = &call.server.registry;
    let entries: Vec<&Entry> = if args.is_done() {
        top_level(registry).collect()
    } else {
        args.take_rest().iter().filter_map(|name| registry.find(name)).collect()
    };
    call.out.map(entries.len());
    for entry in entries {
        reply_docs(registry, entry, &mut call.out);
    }
    Ok(Outcome::Done)
}

fn reply_docs(registry: &Registry, entry: &Entry, out: &mut Writer<'_>) {
    let command = &entry.command;
    let optional = [
        command.deprecated.is_some(),
        command.deprecated.is_some(),
        command.deprecated.is_some(),
        !command.history.is_empty(),
        !command.args.is_empty(),
        !entry.subcommands.is_empty(),
    ];
    out.bulk(entry.full_name.as_bytes());
    out.map(4 + optional.iter().filter(|present| **present).count());
    for (name, text) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.as_str()),
        ("complexity", command.complexity),
    ] {
        out.bulk(name.as_bytes());
        out.bulk(text.as_bytes());
    }
    if let Some((since, instead)) = command.deprecated {
        out.bulk(b"doc_flags");
        reply_words(out, &["deprecated"], "");
        out.bulk(b"deprecated_since");
        out.bulk(since.as_bytes());
        out.bulk(b"replaced_by");
        out.bulk(instead.as_bytes());
    }
    if !command.history.is_empty() {
        out.bulk(b"history");
        out.set(command.history.len());
        for (version, change) in command.history {
            out.array(2);
            out.bulk(version.as_bytes());
            out.bulk(change.as_bytes());
        }
    }
    if !command.args.is_empty() {
        out.bulk(b"arguments");
        reply_arguments(command.args, out);
    }
    if !entry.subcommands.is_empty() {
        out.bulk(b"subcommands");
        out.map(entry.subcommands.len());
        entry.subcommands.iter().for_each(|&id| reply_docs(registry, registry.get(id), out));
    }
}

fn reply_arguments(args: &[Arg], out: &mut Writer<'_>) {
    out.array(args.len());
    for arg in args {
        let shown = !matches!(arg.kind, ArgKind::OneOf | ArgKind::Block);
        let mut flags = Vec::new();
        if arg.optional {
            flags.push("optional");
        }
        if arg.multiple {
            flags.push("multiple");
        }
        if arg.multiple_token {
            flags.push("multiple_token");
        }
        let optional = [
            shown,
            arg.key_spec.is_some(),
            arg.token.is_some(),
            arg.since.is_some(),
            !flags.is_empty(),
            !arg.args.is_empty(),
        ];
        out.map(2 + optional.iter().filter(|present| **present).count());
        out.bulk(b"name");
        out.bulk(arg.name.as_bytes());
        out.bulk(b"type");
        out.bulk(arg.kind.as_str().as_bytes());
        if shown {
            out.bulk(b"display_text");
            out.bulk(arg.display.unwrap_or(arg.name).as_bytes());
        }
        if let Some(spec) = arg.key_spec {
            reply_pair(out, "key_spec_index", i64::from(spec));
        }
        if let Some(token) = arg.token {
            out.bulk(b"token");
            out.bulk(token.as_bytes());
        }
        if let Some(since) = arg.since {
            out.bulk(b"since");
            out.bulk(since.as_bytes());
        }
        if !flags.is_empty() {
            out.bulk(b"flags");
            reply_words(out, &flags, "");
        }
        if !arg.args.is_empty() {
            out.bulk(b"arguments");
            reply_arguments(arg.args, out);
        }
    }
}

const LIST: HostCommand = HostCommand {
    name: "list",
    arity: Arity::AtLeast(2),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "7.0.0",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of Redis commands",
    summary: "Returns the names of commands.",
    args: &[Arg::one_of(
        "filterby",
        &[
            Arg::string("module-name").token("MODULE"),
            Arg::string("category").token("ACLCAT"),
            Arg::pattern("pattern").token("PATTERN"),
        ],
    )
    .token("FILTERBY")
    .optional()],
    run: HostFn(list),
    ..HostCommand::BASE
};

fn list(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let entries = call.server.registry.entries().iter();
    let names: Vec<&Entry> = if args.is_done() {
        entries.collect()
    } else if args.left() == 3 && args.keyword("FILTERBY") {
        if args.keyword("MODULE") {
            Vec::new()
        } else if args.keyword("ACLCAT") {
            let name = args.next()?.to_ascii_lowercase();
            let category = Acl::NAMES.iter().find(|(_, known)| known.as_bytes() == name).map(|&(category, _)| category);
            entries
                .filter(|entry| category.is_some_and(|category| entry.command.categories().contains(category)))
                .collect()
        } else if args.keyword("PATTERN") {
            let pattern = args.next()?;
            entries.filter(|entry| glob::matches_ignore_case(pattern, entry.full_name.as_bytes())).collect()
        } else {
            return Err(CommandError::Syntax);
        }
    } else {
        return Err(CommandError::Syntax);
    };
    call.out.array(names.len());
    names.iter().for_each(|entry| call.out.bulk(entry.full_name.as_bytes()));
    Ok(Outcome::Done)
}

const GETKEYS: HostCommand = HostCommand {
    name: "getkeys",
    arity: Arity::AtLeast(3),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "2.8.13",
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Returns the keys of a request.",
    args: &[Arg::string("command"), Arg::string("arg").optional().many()],
    run: HostFn(|call, args| {
        let (argv, keys) = keys_of(call, args)?;
        call.out.array(keys.len());
        keys.iter().for_each(|key| call.out.bulk(argv[key.index]));
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const GETKEYSANDFLAGS: HostCommand = HostCommand {
    name: "getkeysandflags",
    arity: Arity::AtLeast(3),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "7.0.0",
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Returns the keys of a request and what is done with each.",
    args: &[Arg::string("command"), Arg::string("arg").optional().many()],
    run: HostFn(|call, args| {
        let (argv, keys) = keys_of(call, args)?;
        call.out.array(keys.len());
        for key in keys {
            call.out.array(2);
            call.out.bulk(argv[key.index]);
            reply_words(&mut call.out, &names_in(KeyFlags::NAMES, |flag| key.flags.contains(flag)), "");
        }
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

/// The request behind the subcommand and its keys.
fn keys_of<'a>(call: &Call<'_>, args: &mut Args<'a>) -> Result<(&'a [&'a [u8]], Vec<KeyRef>), CommandError> {
    args.next()?;
    let argv = args.take_rest();
    let registry = &call.server.registry;
    let invalid = CommandError::Text("ERR Invalid command specified");
    let entry = registry.find(argv[0]).filter(|entry| entry.parent.is_none()).ok_or(invalid.clone())?;
    let entry = match argv.get(1) {
        Some(sub) if !entry.subcommands.is_empty() => registry.find_subcommand(entry, sub).ok_or(invalid)?,
        _ => entry,
    };
    let command: &Command<Run> = &entry.command;
    if command.keys.iter().all(|spec| spec.flags.contains(KeyFlags::NOT_KEY)) && command.find_keys.is_none() {
        return Err(CommandError::Text("ERR The command has no key arguments"));
    }
    if !command.arity.accepts(argv.len()) {
        return Err(CommandError::Text("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    let found = registry::find_keys(command, argv, &mut keys);
    let optional = command.flags.contains(Flags::NO_MANDATORY_KEYS);
    if (found.is_err() || keys.is_empty()) && !optional {
        return Err(CommandError::Text("ERR Invalid arguments specified for command"));
    }
    Ok((argv, keys))
}

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: TELLS,
    group: Group::Server,
    acl: Acl::CONNECTION,
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "COMMAND",
            &[
                ("(no subcommand)", "Return details about all Redis commands."),
                ("COUNT", "Return the total number of commands in this Redis server."),
                ("LIST", "Return a list of all commands in this Redis server."),
                ("INFO [<command-name> ...]", "Return details about multiple Redis commands."),
                ("DOCS [<command-name> ...]", "Return documentation details about multiple Redis commands."),
                ("GETKEYS <full-command>", "Return the keys from a full Redis command."),
                ("GETKEYSANDFLAGS <full-command>", "Return the keys and the access flags from a full Redis command."),
            ],
        )
    }),
    ..HostCommand::BASE
};
