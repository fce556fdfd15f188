//! Taking entries over and acknowledging them: XCLAIM, XAUTOCLAIM, XACK.

use super::{
    no_group, parse_id, parse_ids, parse_start, propagate_claim, propagate_group_id, reply_entry, reply_id,
    seen_consumer,
};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Stream;
use crate::types::stream::{Pending, StreamId};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XACK, &XAUTOCLAIM, &XCLAIM];

/// Pending entries that XAUTOCLAIM looks at, for each one that it may claim.
const LOOKED_AT: usize = 10;
/// Entries that XAUTOCLAIM claims at most, unless it is told.
const CLAIMED: i64 = 100;
/// The most that it can be told.
const CLAIMED_MAX: i64 = i64::MAX / 16;

const XACK: Command = Command {
    name: "xack",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::FAST),
    group: CommandGroup::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "5.0.0",
    complexity: "O(1) for each message ID processed.",
    summary: "Acknowledges entries that consumers of a group were handed out, and returns how many were pending.",
    args: &[Arg::key("key"), Arg::string("group"), Arg::string("id").many()],
    run: xack,
    ..Command::BASE
};

fn xack(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, group) = (args.next()?, args.next()?);
    let Some(mut stream) = ctx.db.write::<Stream>(key)? else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let Some((group, _)) = stream.group_mut(group) else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let ids = parse_ids(args.rest())?;
    let acknowledged = ids.iter().filter(|&&id| group.acknowledge(id)).count();
    ctx.effects.dirty += acknowledged as u64;
    ctx.out.integer(acknowledged as i64);
    Ok(Outcome::Done)
}

const XCLAIM: Command = Command {
    name: "xclaim",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: CommandGroup::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "5.0.0",
    tips: &["nondeterministic_output"],
    complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
    summary: "Gives pending entries of a group to a consumer, as if they had been handed out to it.",
    args: &[
        Arg::key("key"),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("id").many(),
        Arg::integer("ms").token("IDLE").optional(),
        Arg::unix_time("unix-time-milliseconds").token("TIME").optional(),
        Arg::integer("count").token("RETRYCOUNT").optional(),
        Arg::word("force", "FORCE").optional(),
        Arg::word("justid", "JUSTID").optional(),
        Arg::string("lastid").token("LASTID").optional(),
    ],
    run: xclaim,
    ..Command::BASE
};

/// What XCLAIM is told besides the ids.
struct ClaimOptions {
    /// When the entries count as handed out, in milliseconds since the epoch.
    delivered_at: i64,
    /// How often they count as handed out.
    deliveries: Option<u64>,
    /// Whether entries are claimed that are not pending.
    force: bool,
    just_id: bool,
    last_id: Option<StreamId>,
}

impl ClaimOptions {
    fn parse(args: &mut Args<'_>, now: i64) -> Result<Self, CommandError> {
        let any = i64::MIN..=i64::MAX;
        let mut options =
            ClaimOptions { delivered_at: now, deliveries: None, force: false, just_id: false, last_id: None };
        while let Some(word) = args.peek() {
            if args.keyword("FORCE") {
                options.force = true;
            } else if args.keyword("JUSTID") {
                options.just_id = true;
            } else if args.left() > 1 && args.keyword("IDLE") {
                let text = CommandError::Text("ERR Invalid IDLE option argument for XCLAIM");
                options.delivered_at = now.saturating_sub(args.i64_in(any.clone(), text)?);
            } else if args.left() > 1 && args.keyword("TIME") {
                let text = CommandError::Text("ERR Invalid TIME option argument for XCLAIM");
                options.delivered_at = args.i64_in(any.clone(), text)?;
            } else if args.left() > 1 && args.keyword("RETRYCOUNT") {
                let text = CommandError::Text("ERR Invalid RETRYCOUNT option argument for XCLAIM");
                options.deliveries = u64::try_from(args.i64_in(any.clone(), text)?).ok();
            } else if args.left() > 1 && args.keyword("LASTID") {
                options.last_id = Some(parse_id(args.next()?, 0)?);
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::owned(format!("ERR Unrecognized XCLAIM option '{word}'")));
            }
        }
        // Another clock may be ahead of ours; a time to come would make an entry look younger than it is.
        if !(0..=now).contains(&options.delivered_at) {
            options.delivered_at = now;
        }
        Ok(options)
    }
}

/// The least time since an entry was handed out, in milliseconds.
fn min_idle(args: &mut Args<'_>, error: &'static str) -> Result<i64, CommandError> {
    Ok(args.i64_in(i64::MIN..=i64::MAX, CommandError::Text(error))?.max(0))
}

fn xclaim(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, group_name, consumer_name) = (args.next()?, args.next()?, args.next()?);
    let missing = || no_group(key, group_name, "");
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or_else(missing)?;
    let (group, view) = stream.group_mut(group_name).ok_or_else(missing)?;
    let min_idle = min_idle(args, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids = args.rest();
    let ids = &ids[..ids.iter().position(|word| parse_id(word, 0).is_err()).unwrap_or(ids.len())];
    let ids = parse_ids(args.take(ids.len())?)?;
    let now = ctx.now.0;
    let options = ClaimOptions::parse(args, now)?;
    let mut tell_last_id = false;
    if let Some(last_id) = options.last_id
        && last_id > group.last_id
    {
        group.last_id = last_id;
        tell_last_id = true;
    }
    // What it comes to is propagated, not the request: replicas have other clocks.
    ctx.effects.propagate_nothing();
    let consumer = seen_consumer(ctx.effects, key, group, consumer_name, ctx.now).id;
    let (reply, mut claimed) = (ctx.out.deferred(), 0);
    for id in ids {
        let pending = group.pending(id).copied();
        let Some(entry) = view.log.get(id) else {
            // Deleted since it was handed out: nobody will ever acknowledge it.
            if let Some(pending) = pending {
                propagate_claim(ctx.effects, key, (group_name, group), id, &pending);
                tell_last_id = false;
                ctx.effects.dirty += 1;
                group.acknowledge(id);
            }
            continue;
        };
        let deliveries = match pending {
            Some(pending) if now.saturating_sub(pending.delivered_at) < min_idle => continue,
            Some(pending) => pending.deliveries,
            None if options.force => 1,
            None => continue,
        };
        let deliveries = match options.deliveries {
            Some(deliveries) => deliveries,
            None if options.just_id => deliveries,
            None => deliveries.saturating_add(1),
        };
        let pending = Pending { consumer, delivered_at: options.delivered_at, deliveries };
        group.assign(id, pending);
        group.consumer_mut(consumer).active_at = now;
        if options.just_id {
            reply_id(&mut ctx.out, id);
        } else {
            reply_entry(&mut ctx.out, entry);
        }
        claimed += 1;
        propagate_claim(ctx.effects, key, (group_name, group), id, &pending);
        tell_last_id = false;
        ctx.effects.dirty += 1;
    }
    ctx.out.finish_array(reply, claimed);
    if tell_last_id {
        propagate_group_id(ctx.effects, key, group_name, group);
        ctx.effects.dirty += 1;
    }
    Ok(Outcome::Done)
}

const XAUTOCLAIM: Command = Command {
    name: "xautoclaim",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: CommandGroup::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "6.2.0",
    history: &[(
        "7.0.0",
        "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
    )],
    tips: &["nondeterministic_output"],
    complexity: "O(1) if COUNT is small.",
    summary: "Gives a consumer those pending entries of a group that have been idle for long.",
    args: &[
        Arg::key("key"),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("start"),
        Arg::integer("count").token("COUNT").optional(),
        Arg::word("justid", "JUSTID").optional(),
    ],
    run: xautoclaim,
    ..Command::BASE
};

fn xautoclaim(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, group_name, consumer_name) = (args.next()?, args.next()?, args.next()?);
    let min_idle = min_idle(args, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = parse_start(args.next()?)?;
    let (mut count, mut just_id) = (CLAIMED, false);
    while !args.is_done() {
        if args.left() > 1 && args.keyword("COUNT") {
            count = args.i64_in(1..=CLAIMED_MAX, CommandError::Text("ERR COUNT must be > 0"))?;
        } else if args.keyword("JUSTID") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let missing = || no_group(key, group_name, "");
    let mut stream = ctx.db.write::<Stream>(key)?.ok_or_else(missing)?;
    let (group, view) = stream.group_mut(group_name).ok_or_else(missing)?;
    let now = ctx.now.0;
    ctx.effects.propagate_nothing();
    let consumer = seen_consumer(ctx.effects, key, group, consumer_name, ctx.now).id;

    let (mut left, mut looks) = (count as usize, (count as usize).saturating_mul(LOOKED_AT));
    let mut deleted = Vec::new();
    ctx.out.array(3);
    // The cursor comes first and is known last.
    let (cursor_at, reply, mut claimed) = (ctx.out.len(), ctx.out.deferred(), 0);
    let mut next = group.pending_from(start).next().map(|(id, _)| id);
    while let Some(id) = next
        && left > 0
        && looks > 0
    {
        looks -= 1;
        next = group.pending_after(id);
        let pending = *group.pending(id).expect("it is pending");
        let Some(entry) = view.log.get(id) else {
            propagate_claim(ctx.effects, key, (group_name, group), id, &pending);
            ctx.effects.dirty += 1;
            group.acknowledge(id);
            deleted.push(id);
            left -= 1;
            continue;
        };
        if now.saturating_sub(pending.delivered_at) < min_idle {
            continue;
        }
        let deliveries = if just_id { pending.deliveries } else { pending.deliveries.saturating_add(1) };
        let pending = Pending { consumer, delivered_at: now, deliveries };
        group.assign(id, pending);
        group.consumer_mut(consumer).active_at = now;
        if just_id {
            reply_id(&mut ctx.out, id);
        } else {
            reply_entry(&mut ctx.out, entry);
        }
        claimed += 1;
        left -= 1;
        propagate_claim(ctx.effects, key, (group_name, group), id, &pending);
        ctx.effects.dirty += 1;
    }
    ctx.out.finish_array(reply, claimed);
    let mut cursor = Vec::new();
    reply_id(&mut resp::writer::Writer::new(&mut cursor, ctx.out.protocol()), next.unwrap_or(StreamId::MIN));
    ctx.out.buffer().splice(cursor_at..cursor_at, cursor);
    ctx.out.array(deleted.len());
    deleted.into_iter().for_each(|id| reply_id(&mut ctx.out, id));
    Ok(Outcome::Done)
}
