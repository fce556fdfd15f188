//! Deleting entries, and what becomes of the groups' references to them: XDEL, XDELEX, XACKDEL.

use smallvec::SmallVec;

use super::trim::{REFERENCES_ARG, references_word};
use super::{parse_id, parse_ids};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::types::Stream;
use crate::types::stream::{Body, References, StreamId};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&XACKDEL, &XDEL, &XDELEX];

const XDEL: Command = Command {
    name: "xdel",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "5.0.0",
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
    summary: "Deletes entries of a stream and returns how many there were.",
    args: &[Arg::key("key"), Arg::string("id").many()],
    run: xdel,
    ..Command::BASE
};

fn xdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let Some(mut stream) = ctx.db.write::<Stream>(key)? else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let ids = parse_ids(args.rest())?;
    let deleted = ids.iter().filter(|&&id| stream.delete(id)).count();
    drop(stream);
    if deleted > 0 {
        ctx.effects.changed(EventClass::STREAM, "xdel", key, deleted as u64);
    }
    ctx.out.integer(deleted as i64);
    Ok(Outcome::Done)
}

const IDS_ARG: Arg = Arg::block("ids", &[Arg::integer("numids"), Arg::string("id").many()]).token("IDS");

const XDELEX: Command = Command {
    name: "xdelex",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "8.2.0",
    complexity: "O(1) for each entry to delete, and each group.",
    summary: "Deletes entries of a stream, and tells what became of each.",
    args: &[Arg::key("key"), REFERENCES_ARG, IDS_ARG],
    run: xdelex,
    ..Command::BASE
};

const XACKDEL: Command = Command {
    name: "xackdel",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Stream,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE.and(KeyFlags::UPDATE))],
    since: "8.2.0",
    complexity: "O(1) for each entry to delete, and each group.",
    summary: "Acknowledges entries in a group and deletes them from the stream; tells what became of each.",
    args: &[Arg::key("key"), Arg::string("group"), REFERENCES_ARG, IDS_ARG],
    run: xackdel,
    ..Command::BASE
};

/// What became of an entry, as it is replied.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Fate {
    /// There was none.
    Missing = -1,
    Deleted = 1,
    /// A group still refers to it.
    Kept = 2,
}

/// Ids and what becomes of references to them.
struct Request {
    references: References,
    ids: SmallVec<[StreamId; 8]>,
}

impl Request {
    /// Reads `[KEEPREF | DELREF | ACKED] IDS count id...`, in any order.
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        const BAD_COUNT: CommandError = CommandError::Text("ERR Number of IDs must be a positive integer");
        let (mut references, mut ids) = (None, None);
        while !args.is_done() {
            if ids.is_none() && args.left() > 1 && args.keyword("IDS") {
                let count = args.i64_in(1..=i64::MAX, BAD_COUNT)?;
                let mismatch = "ERR The `numids` parameter must match the number of arguments";
                let count = usize::try_from(count).ok().filter(|&count| count <= args.left());
                ids = Some(args.take(count.ok_or(CommandError::Text(mismatch))?)?);
            } else if let (None, Some(word)) = (references, references_word(args)) {
                references = Some(word);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let ids = ids.ok_or(CommandError::Syntax)?;
        let ids = ids.iter().map(|text| parse_id(text, 0)).collect::<Result<_, _>>()?;
        Ok(Request { references: references.unwrap_or_default(), ids })
    }
}

/// Deletes an entry as far as references to it allow that. Tells what became of it, and whether references were dropped.
fn delete(stream: &mut Body, id: StreamId, references: References) -> (Fate, bool) {
    if references == References::Acked && stream.is_referenced(id) && stream.log().get(id).is_some() {
        return (Fate::Kept, false);
    }
    let dropped = references == References::Drop && stream.drop_references(id);
    (if stream.delete(id) { Fate::Deleted } else { Fate::Missing }, dropped)
}

/// Has `treat` do what is to be done for each id, and replies what became of it; of a missing key all are missing. Returns how
/// many entries were deleted.
fn treat_each(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    ids: &[StreamId],
    mut treat: impl FnMut(&mut Body, StreamId) -> Fate,
) -> Result<u64, CommandError> {
    let mut stream = ctx.db.write::<Stream>(key)?;
    ctx.out.array(ids.len());
    let mut deleted = 0;
    for &id in ids {
        let fate = stream.as_mut().map_or(Fate::Missing, |stream| treat(stream, id));
        deleted += u64::from(fate == Fate::Deleted);
        ctx.out.integer(fate as i64);
    }
    Ok(deleted)
}

fn xdelex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let Request { references, ids } = Request::parse(args)?;
    let mut unreferenced = 0;
    let deleted = treat_each(ctx, key, &ids, |stream, id| {
        let (fate, dropped) = delete(stream, id, references);
        unreferenced += u64::from(dropped && fate != Fate::Deleted);
        fate
    })?;
    ctx.effects.dirty += unreferenced;
    report(ctx, key, deleted);
    Ok(Outcome::Done)
}

fn xackdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, group) = (args.next()?, args.next()?);
    let Request { references, ids } = Request::parse(args)?;
    // Entries that are gone count as deleted in the reply, but change nothing.
    let (mut acknowledged, mut gone) = (0, 0);
    let deleted = treat_each(ctx, key, &ids, |stream, id| {
        if !stream.group_mut(group).is_some_and(|(group, _)| group.acknowledge(id)) {
            return Fate::Missing;
        }
        acknowledged += 1;
        let (fate, _) = delete(stream, id, references);
        gone += u64::from(fate == Fate::Missing);
        if fate == Fate::Missing { Fate::Deleted } else { fate }
    })?;
    ctx.effects.dirty += acknowledged;
    report(ctx, key, deleted - gone);
    Ok(Outcome::Done)
}

fn report(ctx: &mut Ctx<'_>, key: &[u8], deleted: u64) {
    if deleted > 0 {
        ctx.effects.changed(EventClass::STREAM, "xdel", key, deleted);
    }
}
