//! Reading what is new: XREAD, and XREADGROUP, which hands entries out to the consumers of a group.

use resp::Protocol;
use resp::writer::Writer;

use super::{
    no_group, parse_id, propagate_claim, propagate_group_id, reply_entries, reply_entry, reply_id, seen_consumer,
};
use crate::args::Args;
use crate::command::{Arg, Arity, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec};
use crate::ctx::{BlockOn, CmdResult, Ctx, Outcome, TimeoutReply};
use crate::error::CommandError;
use crate::time::UnixMs;
use crate::types::stream::{ConsumerId, Group, IdText, Pending, StreamId, View};
use crate::types::{Kind, Stream};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XREAD, &XREADGROUP];

/// The keys are the first half of what follows STREAMS.
const fn streams(from: i32) -> KeySpec {
    KeySpec {
        flags: KeyFlags::READ,
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        notes: None,
    }
}

const COUNT: Arg = Arg::integer("count").token("COUNT").optional();
const BLOCK: Arg = Arg::integer("milliseconds").token("BLOCK").optional();
const STREAMS: Arg = Arg::block("streams", &[Arg::key("key").many(), Arg::string("id").many()]).token("STREAMS");

const XREAD: Command = Command {
    name: "xread",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY.and(Flags::BLOCKING),
    group: CommandGroup::Stream,
    keys: &[streams(1)],
    since: "5.0.0",
    summary: "Returns the entries of several streams behind given ids; waits for one.",
    args: &[COUNT, BLOCK, STREAMS],
    run: |ctx, args| read(ctx, args, Reader::Any),
    ..Command::BASE
};

const XREADGROUP: Command = Command {
    name: "xreadgroup",
    arity: Arity::AtLeast(7),
    flags: Flags::WRITE.and(Flags::BLOCKING),
    group: CommandGroup::Stream,
    keys: &[streams(4)],
    since: "5.0.0",
    complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
    summary: "Hands entries of streams out to a consumer of a group, new ones or those that it has not acknowledged; waits for one.",
    args: &[
        Arg::block("group-block", &[Arg::string("group"), Arg::string("consumer")]).token("GROUP"),
        COUNT,
        BLOCK,
        Arg::word("noack", "NOACK").optional(),
        STREAMS,
    ],
    run: |ctx, args| read(ctx, args, Reader::Group),
    ..Command::BASE
};

/// Who reads.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Reader {
    Any,
    Group,
}

/// The arguments.
struct Request<'a> {
    count: usize,
    /// When a wait ends (`None` waits for ever); absent when the client does not want to wait.
    block: Option<Option<UnixMs>>,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
    /// Where the ids begin.
    ids_at: usize,
}

impl<'a> Request<'a> {
    fn parse(args: &mut Args<'a>, reader: Reader, now: UnixMs) -> Result<Self, CommandError> {
        let (mut count, mut block, mut group, mut no_ack) = (usize::MAX, None, None, false);
        let streams = loop {
            if args.left() > 1 && args.keyword("BLOCK") {
                block = Some(deadline(args, now)?);
            } else if args.left() > 1 && args.keyword("COUNT") {
                // None or less is no limit.
                count = usize::try_from(args.i64()?).ok().filter(|&count| count > 0).unwrap_or(usize::MAX);
            } else if args.left() > 1 && args.keyword("STREAMS") {
                break args.rest();
            } else if args.left() > 2 && args.keyword("GROUP") {
                if reader == Reader::Any {
                    return Err(CommandError::Text(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                group = Some((args.next()?, args.next()?));
            } else if args.keyword("NOACK") {
                if reader == Reader::Any {
                    return Err(CommandError::Text(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                no_ack = true;
            } else {
                return Err(CommandError::Syntax);
            }
        };
        if !streams.len().is_multiple_of(2) {
            return Err(CommandError::Text(match reader {
                Reader::Any => {
                    "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
                }
                Reader::Group => {
                    "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
                }
            }));
        }
        if reader == Reader::Group && group.is_none() {
            return Err(CommandError::Text("ERR Missing GROUP option for XREADGROUP"));
        }
        let (keys, ids) = streams.split_at(streams.len() / 2);
        Ok(Request { count, block, group, no_ack, keys, ids, ids_at: args.argv().len() - ids.len() })
    }
}

/// Milliseconds to wait, 0 for ever: the moment at which they are over.
fn deadline(args: &mut Args<'_>, now: UnixMs) -> Result<Option<UnixMs>, CommandError> {
    let ms = args.i64_in(i64::MIN..=i64::MAX, CommandError::Text("ERR timeout is not an integer or out of range"))?;
    match ms {
        ..0 => Err(CommandError::TimeoutNegative),
        0 => Ok(None),
        _ => now.0.checked_add(ms).map(|at| Some(UnixMs(at))).ok_or(CommandError::TimeoutOutOfRange),
    }
}

/// Where the reading of one stream begins.
#[derive(Copy, Clone, PartialEq, Eq)]
enum From {
    /// Behind this id.
    After(StreamId),
    /// `>`: behind what the group has handed out.
    Undelivered,
}

/// Resolves the ids. `$` and `+` mean something at this moment only.
fn starting_points(ctx: &mut Ctx<'_>, request: &Request<'_>) -> Result<Vec<From>, CommandError> {
    let mut points = Vec::with_capacity(request.keys.len());
    for (&key, &id) in request.keys.iter().zip(request.ids) {
        if let Some((group, _)) = request.group {
            let found = ctx.db.read::<Stream>(key)?.is_some_and(|stream| stream.group(group).is_some());
            if !found {
                return Err(no_group(key, group, " in XREADGROUP with GROUP option"));
            }
        }
        points.push(match id {
            b"$" | b"+" if request.group.is_some() => {
                let id = char::from(id[0]);
                return Err(CommandError::owned(format!(
                    "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
                )));
            }
            b"$" => From::After(ctx.db.read::<Stream>(key)?.map_or(StreamId::MIN, |stream| stream.last_id())),
            b"+" => From::After(ctx.db.read::<Stream>(key)?.map_or(StreamId::MIN, |stream| {
                stream.log().last().and_then(|entry| entry.id.prev()).unwrap_or(StreamId::MIN)
            })),
            b">" if request.group.is_some() => From::Undelivered,
            _ => {
                let parsed = match id {
                    b">" => Err(CommandError::Text(
                        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                    )),
                    id => parse_id(id, 0),
                };
                match parsed {
                    // As in Redis, the greatest id stands for `>`.
                    Ok(StreamId::MAX) if request.group.is_some() => From::Undelivered,
                    Ok(id) => From::After(id),
                    Err(error) => {
                        // A key of another type up to here is the graver mistake.
                        for &key in &request.keys[..=points.len()] {
                            ctx.db.read::<Stream>(key)?;
                        }
                        return Err(error);
                    }
                }
            }
        });
    }
    Ok(points)
}

fn read(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reader: Reader) -> CmdResult {
    let request = Request::parse(args, reader, ctx.now)?;
    let points = starting_points(ctx, &request)?;
    if reader == Reader::Group {
        // What it comes to is propagated, not the request: who gets what depends on who waits.
        ctx.effects.propagate_nothing();
    }
    let (reply, mut served) = (ctx.out.deferred(), 0);
    for (&key, &from) in request.keys.iter().zip(&points) {
        let found = match request.group {
            Some(names) => read_group(ctx, &request, key, names, from),
            None => read_any(ctx, &request, key, from),
        };
        match found {
            Ok(found) => served += usize::from(found),
            Err(error) => {
                ctx.out.cancel(reply);
                return Err(error);
            }
        }
    }
    if served > 0 {
        match ctx.out.protocol() {
            Protocol::Resp2 => ctx.out.finish_array(reply, served),
            Protocol::Resp3 => ctx.out.finish_map(reply, served),
        }
        return Ok(Outcome::Done);
    }
    ctx.out.cancel(reply);
    match request.block {
        Some(deadline) if ctx.may_block => Ok(Outcome::Block(Box::new(wait(args.argv(), &request, &points, deadline)))),
        _ => {
            ctx.out.null_array();
            Ok(Outcome::Done)
        }
    }
}

/// What the client waits for: that its request, with `$` as it is now, finds something.
fn wait(argv: &[&[u8]], request: &Request<'_>, points: &[From], deadline: Option<UnixMs>) -> BlockOn {
    let again = request.ids.contains(&&b"$"[..]).then(|| {
        let mut again: Vec<Box<[u8]>> = argv.iter().map(|&word| word.into()).collect();
        for ((word, &id), from) in again[request.ids_at..].iter_mut().zip(request.ids).zip(points) {
            if let (b"$", From::After(id)) = (id, from) {
                *word = id.text(&mut IdText::new()).into();
            }
        }
        again
    });
    BlockOn {
        keys: request.keys.iter().map(|&key| key.into()).collect(),
        deadline,
        on_timeout: TimeoutReply::NullArray,
        kind: Kind::Stream,
        wakes_on_delete: request.group.is_some(),
        again,
    }
}

/// Begins the part of the reply for one stream: a pair in RESP2, a part of a map in RESP3.
fn begin_stream(out: &mut Writer<'_>, key: &[u8]) {
    if out.protocol() == Protocol::Resp2 {
        out.array(2);
    }
    out.bulk(key);
}

/// Replies the entries of one stream; false, without a reply, when there are none.
fn read_any(ctx: &mut Ctx<'_>, request: &Request<'_>, key: &[u8], from: From) -> Result<bool, CommandError> {
    let From::After(after) = from else { unreachable!("only groups know what is undelivered") };
    let Some(stream) = ctx.db.read::<Stream>(key)? else { return Ok(false) };
    let Some(start) = after.next() else { return Ok(false) };
    let mut entries = stream.log().range(start, StreamId::MAX).take(request.count).peekable();
    if entries.peek().is_none() {
        return Ok(false);
    }
    begin_stream(&mut ctx.out, key);
    reply_entries(&mut ctx.out, entries);
    Ok(true)
}

/// Replies entries of one stream to a consumer; false, without a reply, when new ones are wanted and there are none.
fn read_group(
    ctx: &mut Ctx<'_>,
    request: &Request<'_>,
    key: &[u8],
    (group_name, consumer_name): (&[u8], &[u8]),
    from: From,
) -> Result<bool, CommandError> {
    let Some(mut stream) = ctx.db.write::<Stream>(key)? else { return Ok(false) };
    let Some((group, view)) = stream.group_mut(group_name) else { return Ok(false) };
    let consumer = seen_consumer(ctx.effects, key, group, consumer_name, ctx.now);
    if consumer.created && request.no_ack {
        // With acknowledgements, the entries that it gets tell of the consumer.
        ctx.effects.propagate_instead(&[b"XGROUP", b"CREATECONSUMER", key, group_name, consumer_name]);
    }
    match from {
        From::After(after) => {
            begin_stream(&mut ctx.out, key);
            reply_history(&mut ctx.out, group, &view, consumer.id, after, request.count, ctx.now);
            Ok(true)
        }
        From::Undelivered => {
            let Some(start) = group.last_id.next() else { return Ok(false) };
            let mut entries = view.log.range(start, StreamId::MAX).take(request.count).peekable();
            if entries.peek().is_none() {
                return Ok(false);
            }
            begin_stream(&mut ctx.out, key);
            let (reply, mut delivered) = (ctx.out.deferred(), 0);
            for entry in entries {
                let id = entry.id;
                group.entries_read = view.entries_read_at(group, id);
                group.last_id = id;
                reply_entry(&mut ctx.out, entry);
                delivered += 1;
                if !request.no_ack {
                    let pending = Pending { consumer: consumer.id, delivered_at: ctx.now.0, deliveries: 1 };
                    group.assign(id, pending);
                    propagate_claim(ctx.effects, key, (group_name, group), id, &pending);
                }
            }
            ctx.out.finish_array(reply, delivered);
            if !request.no_ack {
                group.consumer_mut(consumer.id).active_at = ctx.now.0;
            }
            propagate_group_id(ctx.effects, key, group_name, group);
            ctx.effects.dirty += 1;
            Ok(true)
        }
    }
}

/// Writes what a consumer was handed out before and has not acknowledged, as an array; entries that are gone by their ids.
fn reply_history(
    out: &mut Writer<'_>,
    group: &mut Group,
    view: &View<'_>,
    consumer: ConsumerId,
    after: StreamId,
    count: usize,
    now: UnixMs,
) {
    let start = after.next().unwrap_or(StreamId::MAX);
    let ids: Vec<StreamId> = group.consumer(consumer).pending_from(start).take(count).collect();
    out.array(ids.len());
    for id in ids {
        match view.log.get(id) {
            Some(entry) => {
                reply_entry(out, entry);
                group.deliver_again(id, now.0);
            }
            None => {
                out.array(2);
                reply_id(out, id);
                out.null_array();
            }
        }
    }
}
