//! Existence, type, removal, names and places of keys.

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::config::EngineConfig;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::glob;
use crate::keyspace::{CollectionRef, Db, Expiry, Garbage, PARTS_MIN, STALLING_PARTS, ValueRef};
use crate::time::UnixMs;
use crate::types::string::StrRef;
use crate::types::{Hash, Kind, List, Set, Str, Stream, Value, Zset};

/// The declarations.
pub const COMMANDS: &[&Command] =
    &[&DEL, &UNLINK, &EXISTS, &TYPE, &TOUCH, &KEYS, &RANDOMKEY, &RENAME, &RENAMENX, &COPY, &MOVE];

const SAME_OBJECT: CommandError = CommandError::Text("ERR source and destination objects are the same");

const DEL: Command = Command {
    name: "del",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RM_DELETE)],
    since: "1.0.0",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N) for N keys, plus the number of elements in each collection.",
    summary: "Deletes keys.",
    args: &[Arg::key("key").many()],
    run: del,
    ..Command::BASE
};

fn del(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let lazy = ctx.config.lazy_user_del;
    delete(ctx, args, lazy)
}

const UNLINK: Command = Command {
    name: "unlink",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RM_DELETE)],
    since: "4.0.0",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(1) for each key; the rest happens in another thread.",
    summary: "Deletes keys at once and reclaims their memory in the background.",
    args: &[Arg::key("key").many()],
    run: unlink,
    ..Command::BASE
};

fn unlink(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    delete(ctx, args, true)
}

fn delete(ctx: &mut Ctx<'_>, args: &mut Args<'_>, lazy: bool) -> CmdResult {
    let mut deleted = 0;
    for key in args.take_rest() {
        if remove(ctx, key, lazy) {
            ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
            deleted += 1;
        }
    }
    ctx.out.integer(deleted);
    Ok(Outcome::Done)
}

/// Removes a key; its value is freed elsewhere when `lazy` and worth it, or when it would stall everybody. Returns whether
/// it was there.
pub(crate) fn remove(ctx: &mut Ctx<'_>, key: &[u8], lazy: bool) -> bool {
    let Some(old) = ctx.db.delete(key) else { return false };
    if is_for_others(&old, lazy) {
        ctx.effects.free_later.push(old);
    }
    true
}

const EXISTS: Command = Command {
    name: "exists",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RO)],
    since: "1.0.0",
    history: &[("3.0.3", "Several keys.")],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N) for N keys.",
    summary: "Counts how many of the named keys exist.",
    args: &[Arg::key("key").many()],
    run: exists,
    ..Command::BASE
};

fn exists(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let found = args.take_rest().iter().filter(|key| kind_untouched(ctx.db, key).is_some()).count();
    ctx.out.integer(found as i64);
    Ok(Outcome::Done)
}

/// Whether a value is to be freed elsewhere.
fn is_for_others(old: &Garbage, lazy: bool) -> bool {
    old.parts() > if lazy { PARTS_MIN } else { STALLING_PARTS }
}

/// The type of the value at `key`: counted as a read, but the access clock stays.
pub(crate) fn kind_untouched(db: &mut Db, key: &[u8]) -> Option<Kind> {
    let touches = std::mem::replace(&mut db.touches, false);
    let kind = db.read_any(key).map(|value| value.kind());
    db.touches = touches;
    kind
}

const TYPE: Command = Command {
    name: "type",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RO)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the type of the value at a key.",
    args: &[Arg::key("key")],
    run: type_of,
    ..Command::BASE
};

fn type_of(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let kind = kind_untouched(ctx.db, args.next()?);
    ctx.out.simple(kind.map_or("none", Kind::as_str));
    Ok(Outcome::Done)
}

const TOUCH: Command = Command {
    name: "touch",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RO)],
    since: "3.2.1",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N) for N keys.",
    summary: "Marks keys as just accessed and counts those that exist.",
    args: &[Arg::key("key").many()],
    run: touch,
    ..Command::BASE
};

fn touch(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    // Even for a client that leaves the access clock alone otherwise: this is what the command is for.
    let touches = std::mem::replace(&mut ctx.db.touches, true);
    let found = args.take_rest().iter().filter(|key| ctx.db.read_any(key).is_some()).count();
    ctx.db.touches = touches;
    ctx.out.integer(found as i64);
    Ok(Outcome::Done)
}

const KEYS: Command = Command {
    name: "keys",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::TOUCHES_ARBITRARY_KEYS),
    group: Group::Generic,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    since: "1.0.0",
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    complexity: "O(N) for N keys in the database.",
    summary: "Returns all names of keys that match a pattern.",
    args: &[Arg::pattern("pattern")],
    run: keys,
    ..Command::BASE
};

fn keys(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let pattern = args.next()?;
    let now = ctx.now;
    let (header, mut found) = (ctx.out.deferred(), 0);
    ctx.db.for_each(|key, _, deadline| {
        if (pattern == b"*" || glob::matches(pattern, key)) && deadline.is_none_or(|at| at >= now) {
            ctx.out.bulk(key);
            found += 1;
        }
    });
    ctx.out.finish_array(header, found);
    Ok(Outcome::Done)
}

const RANDOMKEY: Command = Command {
    name: "randomkey",
    arity: Arity::Exactly(1),
    flags: Flags::READONLY.and(Flags::TOUCHES_ARBITRARY_KEYS),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    since: "1.0.0",
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    complexity: "O(1)",
    summary: "Returns the name of a random key.",
    run: randomkey,
    ..Command::BASE
};

fn randomkey(ctx: &mut Ctx<'_>, _args: &mut Args<'_>) -> CmdResult {
    match ctx.db.random_key(ctx.rng) {
        Some(key) => ctx.out.bulk(&key),
        None => ctx.out.null(),
    }
    Ok(Outcome::Done)
}

const RENAME: Command = Command {
    name: "rename",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE,
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE), KeySpec::at(2, KeyFlags::OW_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Gives a key another name, replacing what had it.",
    args: &[Arg::key("key"), Arg::key_of("newkey", 1)],
    run: rename,
    ..Command::BASE
};

fn rename(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    rename_key(ctx, args.next()?, args.next()?, true)?;
    ctx.out.ok();
    Ok(Outcome::Done)
}

const RENAMENX: Command = Command {
    name: "renamenx",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_DELETE), KeySpec::at(2, KeyFlags::OW_INSERT)],
    since: "1.0.0",
    history: &[("3.2.0", "The same name twice is no error.")],
    complexity: "O(1)",
    summary: "Gives a key another name unless that is taken.",
    args: &[Arg::key("key"), Arg::key_of("newkey", 1)],
    run: renamenx,
    ..Command::BASE
};

fn renamenx(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let renamed = rename_key(ctx, args.next()?, args.next()?, false)?;
    ctx.out.integer(i64::from(renamed));
    Ok(Outcome::Done)
}

/// Returns whether the key has a new name.
fn rename_key(ctx: &mut Ctx<'_>, from: &[u8], to: &[u8], replace: bool) -> Result<bool, CommandError> {
    if !ctx.db.exists(from) {
        return Err(CommandError::NoSuchKey);
    }
    if from == to || (!replace && ctx.db.exists_for_write(to)) {
        ctx.db.exists_for_write(from);
        return Ok(false);
    }
    let lazy = ctx.config.lazy_server_del;
    remove(ctx, to, lazy);
    let raw = is_raw(ctx.db, from);
    let (value, deadline) = ctx.db.remove(from).expect("it was just there");
    put(ctx.db, to, value, deadline, raw);
    ctx.effects.touch(from);
    ctx.effects.touch(to);
    ctx.effects.event(EventClass::GENERIC, "rename_from", from);
    ctx.effects.event(EventClass::GENERIC, "rename_to", to);
    ctx.effects.dirty += 1;
    Ok(true)
}

/// Puts a value that was at another place; a `raw` string stays one.
fn put(db: &mut Db, key: &[u8], value: Value, deadline: Option<UnixMs>, raw: bool) {
    db.insert(key, value, deadline.map_or(Expiry::Clear, Expiry::At));
    if raw && !is_raw(db, key) {
        db.string_buffer(key).expect("a raw value is a string");
    }
}

/// Whether the value is a string that OBJECT ENCODING calls `raw`.
fn is_raw(db: &mut Db, key: &[u8]) -> bool {
    db.encoding(key) == Some("raw")
}

const COPY: Command = Command {
    name: "copy",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::READ), KeySpec::at(2, KeyFlags::OW_UPDATE)],
    since: "6.2.0",
    complexity: "O(N) for a collection of N elements; O(1) for a string.",
    summary: "Copies the value of a key to another key.",
    args: &[
        Arg::key("source"),
        Arg::key_of("destination", 1),
        Arg::integer("destination-db").token("DB").optional(),
        Arg::word("replace", "REPLACE").optional(),
    ],
    run: copy,
    ..Command::BASE
};

fn copy(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (from, to) = (args.next()?, args.next()?);
    let (mut replace, mut index) = (false, ctx.effects.db());
    while !args.is_done() {
        if args.keyword("REPLACE") {
            replace = true;
        } else if args.keyword("DB") {
            index = args.database(ctx.others.count())?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let same_db = index == ctx.effects.db();
    if same_db && from == to {
        return Err(SAME_OBJECT);
    }
    let (config, raw) = (ctx.config, is_raw(ctx.db, from));
    let Some(value) = ctx.db.read_any(from).map(|value| duplicate(value, config)) else {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    };
    let deadline = ctx.db.deadline(from).flatten();
    let target = if same_db { &mut *ctx.db } else { ctx.others.get(index).expect("it was checked") };
    if !replace && target.exists_for_write(to) {
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    }
    if replace {
        let old = target.delete(to);
        ctx.effects.free_later.extend(old.filter(|old| is_for_others(old, ctx.config.lazy_server_del)));
    }
    put(target, to, value, deadline, raw);
    ctx.effects.dirty += 1;
    ctx.effects.touch_in(index, to);
    ctx.effects.event_in(index, EventClass::GENERIC, "copy_to", to);
    ctx.out.integer(1);
    Ok(Outcome::Done)
}

const MOVE: Command = Command {
    name: "move",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Moves a key to another database.",
    args: &[Arg::key("key"), Arg::integer("db")],
    run: move_key,
    ..Command::BASE
};

fn move_key(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, index) = (args.next()?, args.database(ctx.others.count())?);
    let here = ctx.effects.db();
    if index == here {
        return Err(SAME_OBJECT);
    }
    let target = ctx.others.get(index).expect("it was checked");
    if !ctx.db.exists(key) || target.exists_for_write(key) {
        ctx.db.exists_for_write(key);
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    }
    let raw = is_raw(ctx.db, key);
    let (value, deadline) = ctx.db.remove(key).expect("it was just there");
    put(target, key, value, deadline, raw);
    ctx.effects.dirty += 1;
    ctx.effects.touch_in(here, key);
    ctx.effects.touch_in(index, key);
    ctx.effects.event_in(here, EventClass::GENERIC, "move_from", key);
    ctx.effects.event_in(index, EventClass::GENERIC, "move_to", key);
    ctx.out.integer(1);
    Ok(Outcome::Done)
}

/// The value once more.
fn duplicate(value: ValueRef<'_>, config: &EngineConfig) -> Value {
    match value {
        ValueRef::String(StrRef::Int(n)) => Value::String(Str::Int(n)),
        ValueRef::String(StrRef::Bytes(bytes)) => Value::String(Str::Bytes(bytes.to_vec())),
        ValueRef::Other(value) => duplicate_collection(value, config),
    }
}

fn duplicate_collection(value: CollectionRef<'_>, config: &EngineConfig) -> Value {
    const HERE: &str = "the value is of its type";
    match value.kind() {
        Kind::List => Value::List(value.get::<List>().expect(HERE).duplicate()),
        Kind::Set => Value::Set(value.get::<Set>().expect(HERE).duplicate(config)),
        Kind::Hash => Value::Hash(value.get::<Hash>().expect(HERE).duplicate(config)),
        Kind::Zset => Value::Zset(value.get::<Zset>().expect(HERE).duplicate(config)),
        Kind::Stream => Value::Stream(value.get::<Stream>().expect(HERE).duplicate()),
        Kind::String => unreachable!("a string is no collection"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::EngineConfig;
    use crate::testing::{Scenario, check};

    #[test]
    fn existence_and_removal() {
        check(
            r#"
            MSET a 1 b 2          => +OK
            EXISTS a a b none     => :3
              ! keymiss none
            TYPE a                => +string
            RPUSH l 1 2           => :2
            TYPE l                => +list
            TYPE none             => +none
            TOUCH a none          => :1
            DEL a a none          => :1
              ! del a
              > DEL a a none
            DEL a                 => :0
              > nothing
            UNLINK b l            => :2
              ! del b, del l
            EXISTS a b l          => :0
            RANDOMKEY             => nil
            SET only 1            => +OK
            RANDOMKEY             => "only"
            "#,
        );
    }

    #[test]
    fn lazy_removal_hands_the_value_out() {
        // A few parts are freed at once, and very many elsewhere in any case.
        for (command, lazy_user_del, parts, handed_out) in [
            ("DEL", false, 600, 0),
            ("DEL", true, 600, 1),
            ("UNLINK", false, 600, 1),
            ("UNLINK", false, 60, 0),
            ("DEL", false, super::STALLING_PARTS + 1, 1),
        ] {
            let mut scenario = Scenario::with(EngineConfig { lazy_user_del, ..EngineConfig::default() });
            let members: Vec<String> = (0..parts).map(|i| format!("{i} m{i}")).collect();
            scenario.line(&format!("ZADD l {}", members.join(" ")));
            scenario.line(&format!("{command} l"));
            assert_eq!(scenario.engine.effects.free_later.len(), handed_out, "{command} {lazy_user_del}");
        }
    }

    #[test]
    fn large_values_are_handed_out_in_any_case() {
        let mut scenario = Scenario::new();
        for (size, handed_out) in [(1000, 0), (60_000, 1)] {
            for remove in ["DEL z", "RENAME s z", "COPY s z REPLACE", "SORT none STORE z", "SET z 1", "EXPIRE z 0"] {
                scenario.check("DEL z => :0\n SET s 1 => +OK");
                for first in (0..size).step_by(1024) {
                    let members = (first..size.min(first + 1024)).map(|n| format!(" {n} {n}")).collect::<String>();
                    scenario.line(&format!("ZADD z{members}"));
                }
                scenario.line(remove);
                assert_eq!(scenario.engine.effects.free_later.len(), handed_out, "{remove} of {size}");
                scenario.line("DEL z");
            }
        }
    }

    #[test]
    fn keys_match_and_leave_out_what_has_expired() {
        check(
            r#"
            SET one 1          => +OK
            SET two 2 PX 10    => +OK
            KEYS t*            => ["two"]
            KEYS o?e           => ["one"]
            KEYS x             => []
            wait 11
            KEYS *             => ["one"]
              > nothing
            "#,
        );
    }

    #[test]
    fn renaming() {
        check(
            r#"
            SET a 1 EX 100       => +OK
            SET b 2              => +OK
            RENAME a b           => +OK
              ! new b, rename_from a, rename_to b
              > RENAME a b
            GET b                => "1"
            PTTL b               => :100000
            RENAME none b        => -ERR no such key
            RENAME b b           => +OK
              > nothing
            SET c 3              => +OK
            RENAMENX b c         => :0
            RENAMENX b b         => :0
            RENAMENX b d         => :1
            RENAMENX none d      => -ERR no such key
            "#,
        );
    }

    #[test]
    fn copies_are_independent() {
        check(
            r#"
            SET s 1 EX 100           => +OK
            COPY s t                 => :1
              ! new t, copy_to t
              > COPY s t
            PTTL t                   => :100000
            COPY s t                 => :0
            INCR s                   => :2
            COPY s t REPLACE         => :1
            GET t                    => "2"
            COPY s s                 => -ERR source and destination objects are the same
            COPY s s DB 0            => -ERR source and destination objects are the same
            COPY s s DB 16           => -ERR DB index is out of range
            COPY s s DB x            => -ERR value is not an integer or out of range
            COPY s s FOO             => -ERR syntax error
            COPY none t REPLACE      => :0
            APPEND r x               => :1
            APPEND r y               => :2
            COPY r q                 => :1
            OBJECT ENCODING q        => "raw"
            RENAME q p               => +OK
            OBJECT ENCODING p        => "raw"
            RPUSH l a b              => :2
            COPY l l DB 3            => :1
              ! new l@3, copy_to l@3
            RPUSH l c                => :3
            COPY l l DB 3            => :0
            select 3
            LRANGE l 0 -1            => ["a", "b"]
            "#,
        );
    }

    #[test]
    fn moving_between_databases() {
        check(
            r#"
            SET k v EX 100    => +OK
            MOVE k 0          => -ERR source and destination objects are the same
            MOVE k 16         => -ERR DB index is out of range
            MOVE k x          => -ERR value is not an integer or out of range
            MOVE none 1       => :0
            MOVE k 1          => :1
              ! new k@1, move_from k, move_to k@1
            GET k             => nil
            SET k w           => +OK
            MOVE k 1          => :0
            select 1
            PTTL k            => :100000
            wait 100001
            select 0
            MOVE k 1          => :1
              ! expired k@1, new k@1, move_from k, move_to k@1
              > DEL k
              > MOVE k 1
            "#,
        );
    }
}
