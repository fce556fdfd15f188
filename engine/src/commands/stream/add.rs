//! Adding and cutting: XADD, XTRIM, XSETID.

use resp::number::parse_u64_lenient;

use super::trim::{REFERENCES_ARG, TRIM_ARGS, Trim, TrimOptions};
use super::{INVALID_ID, limits, parse_id, reply_id};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::time::UnixMs;
use crate::types::Stream;
use crate::types::stream::{Meta, StreamId};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XADD, &XSETID, &XTRIM];

/// Most bytes of the fields and values of one entry: what a listpack holds.
const ENTRY_BYTES_MAX: usize = 1 << 30;

const XADD: Command = Command {
    name: "xadd",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Stream,
    keys: &[
        KeySpec::first(KeyFlags::RW_UPDATE).notes("UPDATE instead of INSERT because of the optional trimming feature")
    ],
    since: "5.0.0",
    history: &[
        ("6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."),
        ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
        ("8.2.0", "KEEPREF, DELREF and ACKED."),
    ],
    tips: &["nondeterministic_output"],
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    summary: "Appends an entry to a stream, creating the stream if the key is missing.",
    args: &[
        Arg::key("key"),
        Arg::word("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
        Arg::block("trim", TRIM_ARGS).optional(),
        REFERENCES_ARG.since("8.2.0"),
        Arg::one_of("id-selector", &[Arg::word("auto-id", "*"), Arg::string("id")]),
        Arg::block("data", &[Arg::string("field"), Arg::string("value")]).many(),
    ],
    run: xadd,
    ..Command::BASE
};

/// The id that XADD is given.
#[derive(Copy, Clone)]
enum NewId {
    /// `*`
    Auto,
    /// `ms-*`
    Within(u64),
    Given(StreamId),
}

impl NewId {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        if text == b"*" {
            return Ok(NewId::Auto);
        }
        match text.strip_suffix(b"-*") {
            Some(ms) => parse_u64_lenient(ms).map(NewId::Within).ok_or(INVALID_ID),
            None => Ok(NewId::Given(parse_id(text, 0)?)),
        }
    }

    /// The id behind `last`.
    fn resolve(self, last: StreamId, now: UnixMs) -> Result<StreamId, CommandError> {
        const TOO_SMALL: CommandError =
            CommandError::Text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
        let next = last
            .next()
            .ok_or(CommandError::Text("ERR The stream has exhausted the last possible ID, unable to add more items"))?;
        let id = match self {
            NewId::Given(id) => id,
            NewId::Auto => next.max(StreamId::new(u64::try_from(now.0).unwrap_or(0), 0)),
            NewId::Within(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1).ok_or(TOO_SMALL)?),
            NewId::Within(ms) => StreamId::new(ms, 0),
        };
        if id > last { Ok(id) } else { Err(TOO_SMALL) }
    }
}

fn xadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let replayed = ctx.db.is_replayed() || !ctx.db.removes_expired;
    let (mut create, mut options) = (true, TrimOptions::default());
    let wrong_arity = || CommandError::WrongArity("xadd".into());
    let id = loop {
        match args.peek() {
            // What is wrong with the options comes first.
            None => {
                options.finish(replayed)?;
                return Err(wrong_arity());
            }
            Some(b"*") => break NewId::Auto,
            Some(_) if options.take(args)? => {}
            Some(_) if args.keyword("NOMKSTREAM") => create = false,
            Some(id) => break NewId::parse(id)?,
        }
    };
    let id_at = args.argv().len() - args.left();
    args.next()?;
    let trim = options.finish(replayed)?;
    let fields = args.rest();
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(wrong_arity());
    }
    if matches!(id, NewId::Given(StreamId::MIN)) {
        return Err(CommandError::Text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let mut bytes = 0usize;
    for word in fields {
        bytes = bytes.saturating_add(word.len());
    }
    if bytes > ENTRY_BYTES_MAX {
        return Err(CommandError::Text("ERR Elements are too large to be stored"));
    }
    let found = if create {
        // Any id that parses can be the first.
        Some(ctx.db.write_or_create::<Stream>(key)?)
    } else {
        ctx.db.write::<Stream>(key)?
    };
    let Some(mut stream) = found else {
        ctx.out.null();
        return Ok(Outcome::Done);
    };
    let new = id.resolve(stream.last_id(), ctx.now)?;
    let added = stream.append(new, fields, limits(ctx.config));
    debug_assert!(added, "the id is behind the last");
    let trimmed = trim.map_or(0, |trim| trim.apply(&mut stream, ctx.config));
    let rewritten = (!matches!(id, NewId::Given(_))).then_some((id_at, new));
    Trim::propagate(ctx.effects, args.argv(), trim.as_ref(), rewritten, &stream);
    drop(stream);
    reply_id(&mut ctx.out, new);
    ctx.effects.changed(EventClass::STREAM, "xadd", key, 1);
    if trimmed > 0 {
        ctx.effects.event(EventClass::STREAM, "xtrim", key);
    }
    Ok(Outcome::Done)
}

const XTRIM: Command = Command {
    name: "xtrim",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE,
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "5.0.0",
    history: &[
        ("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."),
        ("8.2.0", "KEEPREF, DELREF and ACKED."),
    ],
    tips: &["nondeterministic_output"],
    complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
    summary: "Removes the oldest entries of a stream.",
    args: &[Arg::key("key"), Arg::block("trim", TRIM_ARGS), REFERENCES_ARG.since("8.2.0")],
    run: xtrim,
    ..Command::BASE
};

fn xtrim(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let mut options = TrimOptions::default();
    while !args.is_done() {
        if !options.take(args)? {
            return Err(CommandError::Syntax);
        }
    }
    let trim = options.finish(ctx.db.is_replayed() || !ctx.db.removes_expired)?.ok_or(CommandError::Syntax)?;
    let Some(mut stream) = ctx.db.write::<Stream>(key)? else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let trimmed = trim.apply(&mut stream, ctx.config);
    if trimmed > 0 {
        Trim::propagate(ctx.effects, args.argv(), Some(&trim), None, &stream);
    }
    drop(stream);
    if trimmed > 0 {
        ctx.effects.changed(EventClass::STREAM, "xtrim", key, trimmed);
    }
    ctx.out.integer(trimmed as i64);
    Ok(Outcome::Done)
}

const XSETID: Command = Command {
    name: "xsetid",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "5.0.0",
    history: &[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")],
    complexity: "O(1)",
    summary: "Sets what a stream remembers besides its entries. For replication.",
    args: &[
        Arg::key("key"),
        Arg::string("last-id"),
        Arg::integer("entries-added").token("ENTRIESADDED").optional().since("7.0.0"),
        Arg::string("max-deleted-id").token("MAXDELETEDID").optional().since("7.0.0"),
    ],
    run: xsetid,
    ..Command::BASE
};

fn xsetid(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let last_id = parse_id(args.next()?, 0)?;
    let (mut entries_added, mut max_deleted_id) = (None, None);
    while !args.is_done() {
        if args.left() > 1 && args.keyword("ENTRIESADDED") {
            let count = args.i64()?;
            entries_added =
                Some(u64::try_from(count).map_err(|_| CommandError::Text("ERR entries_added must be positive"))?);
        } else if args.left() > 1 && args.keyword("MAXDELETEDID") {
            let id = parse_id(args.next()?, 0)?;
            if last_id < id {
                return Err(CommandError::Text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            // As in Redis, `0-0` changes nothing.
            max_deleted_id = Some(id).filter(|&id| id != StreamId::MIN);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let Some(mut stream) = ctx.db.write::<Stream>(key)? else { return Err(CommandError::NoSuchKey) };
    if last_id < stream.max_deleted_id() {
        return Err(CommandError::Text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"));
    }
    // The last entry, which may be long before the last id.
    if stream.log().last().is_some_and(|entry| last_id < entry.id) {
        return Err(CommandError::Text("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if entries_added.is_some_and(|added| added < stream.len()) {
        return Err(CommandError::Text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    let meta = Meta {
        last_id,
        max_deleted_id: max_deleted_id.unwrap_or(stream.max_deleted_id()),
        entries_added: entries_added.unwrap_or(stream.entries_added()),
    };
    stream.set_meta(meta);
    drop(stream);
    // As in Redis, those who watch the key are not disturbed: no entry came or went.
    ctx.effects.dirty += 1;
    ctx.effects.event(EventClass::STREAM, "xsetid", key);
    ctx.out.ok();
    Ok(Outcome::Done)
}
