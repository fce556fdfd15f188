//! XPENDING: what the consumers of a group have not acknowledged.

use super::{no_group, parse_end, parse_start, reply_id};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Stream;
use crate::types::stream::StreamId;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XPENDING];

const XPENDING: Command = Command {
    name: "xpending",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: CommandGroup::Stream,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "5.0.0",
    history: &[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")],
    tips: &["nondeterministic_output"],
    complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
    summary: "Returns which entries of a group are pending, or how many with whom.",
    args: &[
        Arg::key("key"),
        Arg::string("group"),
        Arg::block(
            "filters",
            &[
                Arg::integer("min-idle-time").token("IDLE").optional().since("6.2.0"),
                Arg::string("start"),
                Arg::string("end"),
                Arg::integer("count"),
                Arg::string("consumer").optional(),
            ],
        )
        .optional(),
    ],
    run: xpending,
    ..Command::BASE
};

/// Which pending entries are wanted.
struct Filter<'a> {
    start: StreamId,
    end: StreamId,
    count: usize,
    min_idle: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        let mut min_idle = 0;
        match args.left() {
            0 => return Ok(None),
            3..=6 => {}
            _ => return Err(CommandError::Syntax),
        }
        if args.keyword("IDLE") {
            min_idle = args.i64()?;
            if args.left() < 3 {
                return Err(CommandError::Syntax);
            }
        }
        let (start, end) = (args.next()?, args.next()?);
        let count = usize::try_from(args.i64()?).unwrap_or(0);
        let (start, end) = (parse_start(start)?, parse_end(end)?);
        Ok(Some(Filter { start, end, count, min_idle, consumer: args.peek() }))
    }
}

fn xpending(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, group_name) = (args.next()?, args.next()?);
    let filter = Filter::parse(args)?;
    let missing = || no_group(key, group_name, "");
    let stream = ctx.db.read::<Stream>(key)?.ok_or_else(missing)?;
    let group = stream.group(group_name).ok_or_else(missing)?;
    let Some(filter) = filter else {
        ctx.out.array(4);
        ctx.out.integer(group.pending_len() as i64);
        let Some((first, last)) = group.pending_ends() else {
            ctx.out.null();
            ctx.out.null();
            ctx.out.null_array();
            return Ok(Outcome::Done);
        };
        reply_id(&mut ctx.out, first);
        reply_id(&mut ctx.out, last);
        let (consumers, mut count) = (ctx.out.deferred(), 0);
        for (_, consumer) in group.consumers().filter(|(_, consumer)| consumer.pending_len() > 0) {
            ctx.out.array(2);
            ctx.out.bulk(consumer.name());
            ctx.out.bulk_integer(consumer.pending_len() as i64);
            count += 1;
        }
        ctx.out.finish_array(consumers, count);
        return Ok(Outcome::Done);
    };
    let now = ctx.now.0;
    let (reply, mut count) = (ctx.out.deferred(), 0);
    let mut write = |id: StreamId| -> bool {
        if id > filter.end || count == filter.count {
            return false;
        }
        let pending = group.pending(id).expect("what a consumer has is pending");
        let idle = now.saturating_sub(pending.delivered_at).max(0);
        if idle >= filter.min_idle {
            ctx.out.array(4);
            reply_id(&mut ctx.out, id);
            ctx.out.bulk(group.consumer(pending.consumer).name());
            ctx.out.integer(idle);
            ctx.out.integer(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
            count += 1;
        }
        true
    };
    match filter.consumer {
        Some(name) => {
            if let Some(consumer) = group.find_consumer(name) {
                let _ = group.consumer(consumer).pending_from(filter.start).all(&mut write);
            }
        }
        None => {
            let _ = group.pending_from(filter.start).all(|(id, _)| write(id));
        }
    }
    ctx.out.finish_array(reply, count);
    Ok(Outcome::Done)
}
