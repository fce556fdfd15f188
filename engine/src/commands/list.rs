//! List commands. <https://redis.io/docs/latest/commands/?group=list>

use std::num::NonZeroI64;

use resp::writer::Writer;

use super::blocking::{self, MultiPop};
use super::elements::reply_elem;
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome, TimeoutReply};
use crate::ds::listpack::Elem;
use crate::ds::listpack::Side;
use crate::ds::quicklist::{Direction, End};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::time::UnixMs;
use crate::types::{Kind, List};

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &LPUSH,
    &RPUSH,
    &LPUSHX,
    &RPUSHX,
    &LPOP,
    &RPOP,
    &LLEN,
    &LINDEX,
    &LSET,
    &LINSERT,
    &LRANGE,
    &LTRIM,
    &LREM,
    &LPOS,
    &LMOVE,
    &RPOPLPUSH,
    &LMPOP,
    &BLPOP,
    &BRPOP,
    &BLMOVE,
    &BRPOPLPUSH,
    &BLMPOP,
];

const SOURCE_AND_DESTINATION: &[KeySpec] =
    &[KeySpec::at(1, KeyFlags::RW_ACCESS_DELETE), KeySpec::at(2, KeyFlags::RW_INSERT)];

const LEFT_OR_RIGHT: &[Arg] = &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")];

/// Most elements that one reply reserves room for up front.
const RESERVED_MAX: usize = 1024;

/// Whether a push creates a missing list.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It does.
    Create,
    /// It leaves it missing.
    Ignore,
}

fn push_event(end: End) -> &'static str {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

fn pop_event(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

/// Turns inclusive, possibly negative bounds into a start and a count within a list of `len` elements.
pub(crate) fn resolve_range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let first = if start < 0 { start.saturating_add(len).max(0) } else { start };
    let last = if stop < 0 { stop.saturating_add(len) } else { stop.min(len - 1) };
    if first > last || first >= len { (0, 0) } else { (first as usize, (last - first + 1) as usize) }
}

/// Turns a possibly negative index into one within a list of `len` elements.
fn resolve_index(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|&index| index < len)
}

/// Reads LEFT or RIGHT.
fn end_argument(args: &mut Args<'_>) -> Result<End, CommandError> {
    if args.keyword("LEFT") {
        Ok(End::Head)
    } else if args.keyword("RIGHT") {
        Ok(End::Tail)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Notes that `count` elements were popped from `key`, which is removed when it is empty.
fn popped(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize, emptied: bool) {
    ctx.effects.changed(EventClass::LIST, pop_event(end), key, count as u64);
    if emptied {
        ctx.db.remove(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
}

const LPUSH: Command = Command {
    name: "lpush",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "1.0.0",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Adds elements at the head of a list, creating the list if the key is missing.",
    args: &[Arg::key("key"), Arg::string("element").many()],
    run: |ctx, args| push(ctx, args, End::Head, Missing::Create),
    ..Command::BASE
};

const RPUSH: Command = Command {
    name: "rpush",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "1.0.0",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Adds elements at the tail of a list, creating the list if the key is missing.",
    args: &[Arg::key("key"), Arg::string("element").many()],
    run: |ctx, args| push(ctx, args, End::Tail, Missing::Create),
    ..Command::BASE
};

const LPUSHX: Command = Command {
    name: "lpushx",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.2.0",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Adds elements at the head of a list that exists.",
    args: &[Arg::key("key"), Arg::string("element").many()],
    run: |ctx, args| push(ctx, args, End::Head, Missing::Ignore),
    ..Command::BASE
};

const RPUSHX: Command = Command {
    name: "rpushx",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.2.0",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Adds elements at the tail of a list that exists.",
    args: &[Arg::key("key"), Arg::string("element").many()],
    run: |ctx, args| push(ctx, args, End::Tail, Missing::Ignore),
    ..Command::BASE
};

fn push(ctx: &mut Ctx<'_>, args: &mut Args<'_>, end: End, missing: Missing) -> CmdResult {
    let len = push_elements(ctx, args.next()?, end, args.take_rest(), missing)?;
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

/// Pushes `elements` one after the other; returns the length of the list, 0 when there is none to push to.
pub(crate) fn push_elements(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    elements: &[&[u8]],
    missing: Missing,
) -> Result<usize, CommandError> {
    let len = match missing {
        Missing::Create => {
            let mut list = ctx.db.write_or_create::<List>(key)?;
            list.push_all(end, elements, ctx.config);
            list.len()
        }
        Missing::Ignore => {
            let Some(mut list) = ctx.db.write::<List>(key)? else { return Ok(0) };
            list.push_all(end, elements, ctx.config);
            list.len()
        }
    };
    ctx.effects.changed(EventClass::LIST, push_event(end), key, elements.len() as u64);
    Ok(len)
}

const LPOP: Command = Command {
    name: "lpop",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "1.0.0",
    history: &[("6.2.0", "Added the `count` argument.")],
    complexity: "O(N) where N is the number of elements returned",
    summary: "Removes and returns elements from the head of a list.",
    args: &[Arg::key("key"), Arg::integer("count").optional().since("6.2.0")],
    run: |ctx, args| pop(ctx, args, End::Head),
    ..Command::BASE
};

const RPOP: Command = Command {
    name: "rpop",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE)],
    since: "1.0.0",
    history: &[("6.2.0", "Added the `count` argument.")],
    complexity: "O(N) where N is the number of elements returned",
    summary: "Removes and returns elements from the tail of a list.",
    args: &[Arg::key("key"), Arg::integer("count").optional().since("6.2.0")],
    run: |ctx, args| pop(ctx, args, End::Tail),
    ..Command::BASE
};

fn pop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> CmdResult {
    let name = pop_event(end);
    let key = args.next()?;
    if args.left() > 1 {
        return Err(CommandError::WrongArity(name.into()));
    }
    if args.is_done() {
        if pop_element(ctx, key, end, reply_elem)?.is_none() {
            ctx.out.null();
        }
        return Ok(Outcome::Done);
    }
    let count = args.i64_in(0..=i64::MAX, CommandError::NotPositive)? as usize;
    let Some(mut list) = ctx.db.write::<List>(key)? else {
        ctx.out.null_array();
        return Ok(Outcome::Done);
    };
    let count = count.min(list.len());
    ctx.out.array(count);
    let emptied = pop_many(&mut list, end, count, ctx.config, &mut ctx.out);
    drop(list);
    if count > 0 {
        popped(ctx, key, end, count, emptied);
    }
    Ok(Outcome::Done)
}

/// Pops one element, which `see` gets with the reply to write; `None` when the key is missing.
pub(crate) fn pop_element<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    see: impl FnOnce(&mut Writer<'_>, Elem<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    let Some(mut list) = ctx.db.write::<List>(key)? else { return Ok(None) };
    let seen = list.pop_with(end, ctx.config, |element| see(&mut ctx.out, element));
    let emptied = list.is_empty();
    drop(list);
    popped(ctx, key, end, 1, emptied);
    Ok(seen)
}

/// Pops and replies `count` elements, which are there; returns whether none is left.
fn pop_many(
    list: &mut List,
    end: End,
    count: usize,
    config: &crate::config::EngineConfig,
    out: &mut Writer<'_>,
) -> bool {
    let len = list.len();
    match end {
        End::Head => list.for_range(0, count, |element| reply_elem(out, element)),
        End::Tail => list.for_range_back(len.saturating_sub(1), count, |element| reply_elem(out, element)),
    }
    let start = if end == End::Head { 0 } else { len - count };
    list.delete_range(start, count, config);
    list.is_empty()
}

const LLEN: Command = Command {
    name: "llen",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the number of elements of a list.",
    args: &[Arg::key("key")],
    run: llen,
    ..Command::BASE
};

fn llen(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let len = ctx.db.read::<List>(args.next()?)?.map_or(0, |list| list.len());
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

const LINDEX: Command = Command {
    name: "lindex",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
    summary: "Returns the element at an index of a list.",
    args: &[Arg::key("key"), Arg::integer("index")],
    run: lindex,
    ..Command::BASE
};

fn lindex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let Some(list) = ctx.db.read::<List>(key)? else {
        ctx.out.null();
        return Ok(Outcome::Done);
    };
    let index = args.i64()?;
    let found = resolve_index(index, list.len())
        .and_then(|index| list.get_with(index, |element| reply_elem(&mut ctx.out, element)));
    if found.is_none() {
        ctx.out.null();
    }
    Ok(Outcome::Done)
}

const LSET: Command = Command {
    name: "lset",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "1.0.0",
    complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
    summary: "Replaces the element at an index of a list.",
    args: &[Arg::key("key"), Arg::integer("index"), Arg::string("element")],
    run: lset,
    ..Command::BASE
};

fn lset(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let mut list = ctx.db.write::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
    let (index, element) = (args.i64()?, args.next()?);
    // As in Redis, the encoding gives way before the index is known to be in range.
    list.prepare(1, element.len(), ctx.config);
    let index = resolve_index(index, list.len()).ok_or(CommandError::IndexOutOfRange)?;
    list.set(index, element, ctx.config);
    drop(list);
    ctx.out.ok();
    ctx.effects.changed(EventClass::LIST, "lset", key, 1);
    Ok(Outcome::Done)
}

const LINSERT: Command = Command {
    name: "linsert",
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.2.0",
    complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
    summary: "Inserts an element beside another one of a list.",
    args: &[
        Arg::key("key"),
        Arg::one_of("where", &[Arg::word("before", "BEFORE"), Arg::word("after", "AFTER")]),
        Arg::string("pivot"),
        Arg::string("element"),
    ],
    run: linsert,
    ..Command::BASE
};

fn linsert(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let side = if args.keyword("AFTER") {
        Side::After
    } else if args.keyword("BEFORE") {
        Side::Before
    } else {
        return Err(CommandError::Syntax);
    };
    let (pivot, element) = (args.next()?, args.next()?);
    let Some(mut list) = ctx.db.write::<List>(key)? else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    // As in Redis, the encoding gives way before the pivot is looked for.
    list.prepare(1, element.len(), ctx.config);
    let Some(index) = list.find(pivot) else {
        ctx.out.integer(-1);
        return Ok(Outcome::Done);
    };
    list.insert(index, side, element, ctx.config);
    let len = list.len();
    drop(list);
    ctx.out.integer(len as i64);
    ctx.effects.changed(EventClass::LIST, "linsert", key, 1);
    Ok(Outcome::Done)
}

const LRANGE: Command = Command {
    name: "lrange",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "1.0.0",
    complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
    summary: "Returns the elements of a list from one index to another.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("stop")],
    run: lrange,
    ..Command::BASE
};

fn lrange(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let (start, stop) = (args.i64()?, args.i64()?);
    let Some(list) = ctx.db.read::<List>(key)? else {
        ctx.out.array(0);
        return Ok(Outcome::Done);
    };
    let (start, count) = resolve_range(start, stop, list.len());
    ctx.out.array(count);
    if count > 0 {
        ctx.out.buffer().reserve(count.min(RESERVED_MAX) * 16);
        list.for_range(start, count, |element| reply_elem(&mut ctx.out, element));
    }
    Ok(Outcome::Done)
}

const LTRIM: Command = Command {
    name: "ltrim",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "1.0.0",
    complexity: "O(N) where N is the number of elements to be removed by the operation.",
    summary: "Removes the elements at both ends of a list, up to and from an index.",
    args: &[Arg::key("key"), Arg::integer("start"), Arg::integer("stop")],
    run: ltrim,
    ..Command::BASE
};

fn ltrim(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let (start, stop) = (args.i64()?, args.i64()?);
    let Some(mut list) = ctx.db.write::<List>(key)? else {
        ctx.out.ok();
        return Ok(Outcome::Done);
    };
    let len = list.len();
    let (start, count) = resolve_range(start, stop, len);
    let behind = start + count;
    let removed = list.delete_range(behind, len - behind, ctx.config) + list.delete_range(0, start, ctx.config);
    let emptied = list.is_empty();
    drop(list);
    ctx.out.ok();
    ctx.effects.changed(EventClass::LIST, "ltrim", key, removed as u64);
    if emptied {
        ctx.db.remove(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
    Ok(Outcome::Done)
}

const LREM: Command = Command {
    name: "lrem",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE)],
    since: "1.0.0",
    complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
    summary: "Removes elements equal to a value from a list.",
    args: &[Arg::key("key"), Arg::integer("count"), Arg::string("element")],
    run: lrem,
    ..Command::BASE
};

fn lrem(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    // The least integer has no positive counterpart.
    let count = args.i64_with_opposite()?;
    let element = args.next()?;
    let Some(mut list) = ctx.db.write::<List>(key)? else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let direction = if count < 0 { Direction::Backward } else { Direction::Forward };
    let count_max = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed = list.remove_matching(element, direction, count_max, ctx.config);
    let emptied = list.is_empty();
    drop(list);
    if removed > 0 {
        ctx.effects.changed(EventClass::LIST, "lrem", key, removed as u64);
    }
    if emptied {
        ctx.db.remove(key);
        ctx.effects.event(EventClass::GENERIC, "del", key);
    }
    ctx.out.integer(removed as i64);
    Ok(Outcome::Done)
}

const LPOS: Command = Command {
    name: "lpos",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::List,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.0.6",
    complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
    summary: "Returns the indexes of elements equal to a value.",
    args: &[
        Arg::key("key"),
        Arg::string("element"),
        Arg::integer("rank").token("RANK").optional(),
        Arg::integer("num-matches").token("COUNT").optional(),
        Arg::integer("len").token("MAXLEN").optional(),
    ],
    run: lpos,
    ..Command::BASE
};

fn lpos(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    const FIRST: NonZeroI64 = NonZeroI64::new(1).expect("one is not zero");
    let (key, element) = (args.next()?, args.next()?);
    let (mut rank, mut count, mut compare_max) = (FIRST, None, 0);
    while !args.is_done() {
        if args.keyword("RANK") {
            let n = args.i64_with_opposite()?;
            rank = NonZeroI64::new(n).ok_or(CommandError::Text(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
            ))?;
        } else if args.keyword("COUNT") {
            count = Some(args.i64_in(0..=i64::MAX, CommandError::Text("ERR COUNT can't be negative"))? as usize);
        } else if args.keyword("MAXLEN") {
            compare_max = args.i64_in(0..=i64::MAX, CommandError::Text("ERR MAXLEN can't be negative"))? as usize;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let direction = if rank.get() < 0 { Direction::Backward } else { Direction::Forward };
    let mut skip = rank.get().unsigned_abs() - 1;
    let wanted = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(n) => n,
    };
    let Some(list) = ctx.db.read::<List>(key)? else {
        if count.is_some() {
            ctx.out.array(0)
        } else {
            ctx.out.null()
        }
        return Ok(Outcome::Done);
    };
    let mut found = Vec::new();
    list.positions(element, direction, compare_max, |index| {
        if skip > 0 {
            skip -= 1;
            return true;
        }
        found.push(index);
        found.len() < wanted
    });
    match (count, found.first()) {
        (Some(_), _) => {
            ctx.out.array(found.len());
            found.iter().for_each(|&index| ctx.out.integer(index as i64));
        }
        (None, Some(&index)) => ctx.out.integer(index as i64),
        (None, None) => ctx.out.null(),
    }
    Ok(Outcome::Done)
}

const LMOVE: Command = Command {
    name: "lmove",
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::List,
    keys: SOURCE_AND_DESTINATION,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Moves an element from one end of a list to one end of another, and returns it.",
    args: &[
        Arg::key("source"),
        Arg::key_of("destination", 1),
        Arg::one_of("wherefrom", LEFT_OR_RIGHT),
        Arg::one_of("whereto", LEFT_OR_RIGHT),
    ],
    run: lmove,
    ..Command::BASE
};

fn lmove(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (source, destination) = (args.next()?, args.next()?);
    let (from, to) = (end_argument(args)?, end_argument(args)?);
    if !move_element(ctx, source, destination, from, to)? {
        ctx.out.null();
    }
    Ok(Outcome::Done)
}

const RPOPLPUSH: Command = Command {
    name: "rpoplpush",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::List,
    keys: SOURCE_AND_DESTINATION,
    since: "1.2.0",
    deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    complexity: "O(1)",
    summary: "Moves the last element of a list to the head of another, and returns it.",
    args: &[Arg::key("source"), Arg::key_of("destination", 1)],
    run: rpoplpush,
    ..Command::BASE
};

fn rpoplpush(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (source, destination) = (args.next()?, args.next()?);
    if !move_element(ctx, source, destination, End::Tail, End::Head)? {
        ctx.out.null();
    }
    Ok(Outcome::Done)
}

/// Moves one element and replies it; returns false, without a reply, when the source is missing.
fn move_element(
    ctx: &mut Ctx<'_>,
    source: &[u8],
    destination: &[u8],
    from: End,
    to: End,
) -> Result<bool, CommandError> {
    if ctx.db.write::<List>(source)?.is_none() {
        return Ok(false);
    }
    // The destination's type is checked before anything is taken away.
    ctx.db.write::<List>(destination)?;
    let mut list = ctx.db.write::<List>(source)?.expect("it was found above");
    let (element, emptied) = if source == destination && matches!(*list, List::Quick(_)) {
        // The element comes back before it goes: a list that is as long as before is not made a listpack.
        let outermost = if from == End::Head { 0 } else { list.len() - 1 };
        let element =
            list.get_with(outermost, |element| element.to_vec()).expect("a list in the keyspace has an element");
        list.push(to, &element[..], ctx.config);
        list.pop_with(from, ctx.config, |_| ());
        drop(list);
        (element, false)
    } else {
        let element = list.pop(from, ctx.config).expect("a list in the keyspace has an element");
        // On one list the element comes back: the list is never gone in between.
        let emptied = list.is_empty() && source != destination;
        drop(list);
        ctx.db.write_or_create::<List>(destination)?.push(to, &element[..], ctx.config);
        (element, emptied)
    };
    ctx.out.bulk(&element);
    ctx.effects.changed(EventClass::LIST, push_event(to), destination, 0);
    popped(ctx, source, from, 1, emptied);
    Ok(true)
}

const LMPOP: Command = Command {
    name: "lmpop",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE,
    group: Group::List,
    keys: &[KeySpec::counted(1, KeyFlags::RW_ACCESS_DELETE)],
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    summary: "Removes and returns elements from the first list that has any.",
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key").many(),
        Arg::one_of("where", LEFT_OR_RIGHT),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: lmpop,
    ..Command::BASE
};

const BLMPOP: Command = Command {
    name: "blmpop",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::BLOCKING),
    group: Group::List,
    keys: &[KeySpec::counted(2, KeyFlags::RW_ACCESS_DELETE)],
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    summary: "Removes and returns elements from the first list that has any; waits for one.",
    args: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key").many(),
        Arg::one_of("where", LEFT_OR_RIGHT),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: blmpop,
    ..Command::BASE
};

impl MultiPop<'_, End> {
    /// Pops from the first list there is, replies and propagates; returns false, without a reply, when there is none.
    fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, CommandError> {
        for &key in self.keys {
            let Some(mut list) = ctx.db.write::<List>(key)? else { continue };
            let count = self.count.min(list.len());
            ctx.out.array(2);
            ctx.out.bulk(key);
            ctx.out.array(count);
            let emptied = pop_many(&mut list, self.end, count, ctx.config, &mut ctx.out);
            drop(list);
            popped(ctx, key, self.end, count, emptied);
            let name: &[u8] = if self.end == End::Head { b"LPOP" } else { b"RPOP" };
            ctx.effects.propagate_instead(&[name, key, count.to_string().as_bytes()]);
            return Ok(true);
        }
        Ok(false)
    }
}

fn lmpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    if !MultiPop::parse(args, end_argument)?.run(ctx)? {
        ctx.out.null_array();
    }
    Ok(Outcome::Done)
}

fn blmpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let timeout = args.next()?;
    let pop = MultiPop::parse(args, end_argument)?;
    let deadline = blocking::timeout(timeout, ctx.now)?;
    if pop.run(ctx)? {
        return Ok(Outcome::Done);
    }
    blocking::block(ctx, pop.keys, Kind::List, deadline, TimeoutReply::NullArray)
}

const BLPOP: Command = Command {
    name: "blpop",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::BLOCKING),
    group: Group::List,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW_ACCESS_DELETE)],
    since: "2.0.0",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    complexity: "O(N) where N is the number of provided keys.",
    summary: "Removes and returns the first element of the first list that has any; waits for one.",
    args: &[Arg::key("key").many(), Arg::double("timeout")],
    run: |ctx, args| blocking_pop(ctx, args, End::Head),
    ..Command::BASE
};

const BRPOP: Command = Command {
    name: "brpop",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::BLOCKING),
    group: Group::List,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW_ACCESS_DELETE)],
    since: "2.0.0",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    complexity: "O(N) where N is the number of provided keys.",
    summary: "Removes and returns the last element of the first list that has any; waits for one.",
    args: &[Arg::key("key").many(), Arg::double("timeout")],
    run: |ctx, args| blocking_pop(ctx, args, End::Tail),
    ..Command::BASE
};

fn blocking_pop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> CmdResult {
    let keys = args.take(args.left() - 1)?;
    let deadline = blocking::next_timeout(args, ctx.now)?;
    for &key in keys {
        let Some(mut list) = ctx.db.write::<List>(key)? else { continue };
        ctx.out.array(2);
        ctx.out.bulk(key);
        list.pop_with(end, ctx.config, |element| reply_elem(&mut ctx.out, element));
        let emptied = list.is_empty();
        drop(list);
        popped(ctx, key, end, 1, emptied);
        let name: &[u8] = if end == End::Head { b"LPOP" } else { b"RPOP" };
        ctx.effects.propagate_instead(&[name, key]);
        return Ok(Outcome::Done);
    }
    blocking::block(ctx, keys, Kind::List, deadline, TimeoutReply::NullArray)
}

const BLMOVE: Command = Command {
    name: "blmove",
    arity: Arity::Exactly(6),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::BLOCKING),
    group: Group::List,
    keys: SOURCE_AND_DESTINATION,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Moves an element from one end of a list to one end of another, and returns it; waits for one.",
    args: &[
        Arg::key("source"),
        Arg::key_of("destination", 1),
        Arg::one_of("wherefrom", LEFT_OR_RIGHT),
        Arg::one_of("whereto", LEFT_OR_RIGHT),
        Arg::double("timeout"),
    ],
    run: blmove,
    ..Command::BASE
};

fn blmove(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (source, destination) = (args.next()?, args.next()?);
    let (from_word, to_word) = (args.rest()[0], args.rest()[1]);
    let (from, to) = (end_argument(args)?, end_argument(args)?);
    let deadline = blocking::next_timeout(args, ctx.now)?;
    let instead: &[&[u8]] = &[b"LMOVE", source, destination, from_word, to_word];
    blocking_move(ctx, source, destination, (from, to), deadline, instead)
}

const BRPOPLPUSH: Command = Command {
    name: "brpoplpush",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::BLOCKING),
    group: Group::List,
    keys: SOURCE_AND_DESTINATION,
    since: "2.2.0",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    complexity: "O(1)",
    summary: "Moves the last element of a list to the head of another, and returns it; waits for one.",
    args: &[Arg::key("source"), Arg::key_of("destination", 1), Arg::double("timeout")],
    run: brpoplpush,
    ..Command::BASE
};

fn brpoplpush(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (source, destination) = (args.next()?, args.next()?);
    let deadline = blocking::next_timeout(args, ctx.now)?;
    let instead: &[&[u8]] = &[b"RPOPLPUSH", source, destination];
    blocking_move(ctx, source, destination, (End::Tail, End::Head), deadline, instead)
}

fn blocking_move(
    ctx: &mut Ctx<'_>,
    source: &[u8],
    destination: &[u8],
    (from, to): (End, End),
    deadline: Option<UnixMs>,
    instead: &[&[u8]],
) -> CmdResult {
    if move_element(ctx, source, destination, from, to)? {
        ctx.effects.propagate_instead(instead);
        return Ok(Outcome::Done);
    }
    blocking::block(ctx, &[source], Kind::List, deadline, TimeoutReply::Null)
}

#[cfg(test)]
mod tests {
    use crate::config::EngineConfig;
    use crate::testing::Scenario;

    #[test]
    fn encodings_change_where_those_of_redis_do() {
        Scenario::with(EngineConfig { list_max_listpack_size: 2, ..EngineConfig::default() }).check(
            r#"
            RPUSH l a b               => :2
            OBJECT ENCODING l         => "listpack"
            LSET l z x                => -ERR value is not an integer or out of range
            OBJECT ENCODING l         => "listpack"
            LSET l 5 x                => -ERR index out of range
            OBJECT ENCODING l         => "quicklist"
            RPUSH m a b               => :2
            LINSERT m BEFORE x y      => :-1
            OBJECT ENCODING m         => "quicklist"
            RPOPLPUSH m m             => "b"
            LRANGE m 0 -1             => ["b", "a"]
            OBJECT ENCODING m         => "quicklist"
            LMOVE m m LEFT LEFT       => "b"
            LMOVE m m RIGHT RIGHT     => "a"
            LMOVE m m LEFT RIGHT      => "b"
            LRANGE m 0 -1             => ["a", "b"]
            OBJECT ENCODING m         => "quicklist"
            LPOP m                    => "a"
            OBJECT ENCODING m         => "listpack"
            RPOPLPUSH m m             => "b"
            OBJECT ENCODING m         => "listpack"
            "#,
        );
    }
}
