//! Commands on whole databases.

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group};
use crate::ctx::{BlockOn, CmdResult, Ctx, Outcome, TimeoutReply};
use crate::error::CommandError;
use crate::types::Kind;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&DBSIZE, &FLUSHDB, &FLUSHALL, &SWAPDB];

const DBSIZE: Command = Command {
    name: "dbsize",
    arity: Arity::Exactly(1),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Server,
    acl: Acl::KEYSPACE,
    since: "1.0.0",
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    complexity: "O(1)",
    summary: "Returns the number of keys in the database.",
    run: dbsize,
    ..Command::BASE
};

fn dbsize(ctx: &mut Ctx<'_>, _args: &mut Args<'_>) -> CmdResult {
    ctx.out.integer(ctx.db.len() as i64);
    Ok(Outcome::Done)
}

const FLUSHDB: Command = Command {
    name: "flushdb",
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE,
    group: Group::Server,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    since: "1.0.0",
    history: &[("4.0.0", "ASYNC."), ("6.2.0", "SYNC.")],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "O(N) for N keys in the database.",
    summary: "Removes all keys of the selected database.",
    args: &[Arg::one_of(
        "flush-type",
        &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")],
    )
    .optional()],
    run: flushdb,
    ..Command::BASE
};

fn flushdb(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let lazy = args.flushes_async(ctx.config.lazy_user_flush).ok_or(CommandError::Syntax)?;
    flush(ctx, lazy, ctx.effects.db());
    ctx.effects.propagate_anyway();
    Ok(flushed(ctx, lazy))
}

const FLUSHALL: Command = Command {
    name: "flushall",
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE,
    group: Group::Server,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    since: "1.0.0",
    history: &[("4.0.0", "ASYNC."), ("6.2.0", "SYNC.")],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "O(N) for N keys in all databases.",
    summary: "Removes all keys of all databases.",
    args: &[Arg::one_of(
        "flush-type",
        &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")],
    )
    .optional()],
    run: flushall,
    ..Command::BASE
};

fn flushall(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let lazy = args.flushes_async(ctx.config.lazy_user_flush).ok_or(CommandError::Syntax)?;
    for index in 0..ctx.others.count() {
        flush(ctx, lazy, index);
    }
    ctx.effects.flushed_all = true;
    ctx.effects.propagate_anyway();
    Ok(flushed(ctx, lazy))
}

/// Replies. Whoever wants to have the memory back before the reply waits for it, if possible; nobody else does.
fn flushed(ctx: &mut Ctx<'_>, lazy: bool) -> Outcome {
    if lazy || ctx.effects.free_dbs.is_empty() {
        ctx.out.ok();
        return Outcome::Done;
    }
    Outcome::Block(Box::new(BlockOn {
        keys: Vec::new(),
        deadline: None,
        on_timeout: TimeoutReply::Freed,
        kind: Kind::String,
        wakes_on_delete: false,
        again: None,
    }))
}

/// Empties a database; its contents are freed elsewhere when `lazy`, or when the client can wait for it.
fn flush(ctx: &mut Ctx<'_>, lazy: bool, index: usize) {
    let db = if index == ctx.effects.db() { &mut *ctx.db } else { ctx.others.get(index).expect("a database") };
    if db.is_empty() {
        return;
    }
    let old = db.clear();
    ctx.effects.dirty += old.len() as u64;
    ctx.effects.databases_changed.push((index, index));
    if lazy || ctx.may_block {
        ctx.effects.free_dbs.push(old);
    }
}

const SWAPDB: Command = Command {
    name: "swapdb",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::Server,
    acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
    since: "4.0.0",
    complexity: "O(N) for N clients that watch or wait for keys of either database.",
    summary: "Exchanges two databases.",
    args: &[Arg::integer("index1"), Arg::integer("index2")],
    run: swapdb,
    ..Command::BASE
};

fn swapdb(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let mut index = |error| args.i64_in(i64::from(i32::MIN)..=i64::from(i32::MAX), CommandError::Text(error));
    let a = index("ERR invalid first DB index")?;
    let b = index("ERR invalid second DB index")?;
    let existing =
        |n: i64| usize::try_from(n).ok().filter(|&n| n < ctx.others.count()).ok_or(CommandError::DbOutOfRange);
    let (a, b) = (existing(a)?, existing(b)?);
    ctx.others.swap(ctx.db, a, b);
    ctx.effects.dirty += 1;
    if a != b {
        ctx.effects.databases_changed.push((a, b));
    }
    ctx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Scenario, check};

    #[test]
    fn emptying_databases() {
        let mut scenario = Scenario::new();
        scenario.check(
            r#"
            MSET a 1 b 2          => +OK
            DBSIZE                => :2
            FLUSHDB FOO           => -ERR syntax error
            FLUSHDB ASYNC SYNC    => -ERR syntax error
            FLUSHDB ASYNC         => +OK
              > FLUSHDB ASYNC
            "#,
        );
        assert_eq!(scenario.engine.effects.free_dbs.len(), 1);
        assert_eq!(scenario.engine.effects.dirty, 2);
        assert_eq!(scenario.engine.effects.databases_changed, [(0, 0)]);
        scenario.check(
            r#"
            FLUSHDB               => +OK
              > FLUSHDB
            SET a 1               => +OK
            select 5
            SET b 1               => +OK
            FLUSHALL SYNC         => +OK
              > FLUSHALL SYNC
            "#,
        );
        assert_eq!(scenario.engine.effects.dirty, 2);
        assert!(scenario.engine.effects.free_dbs.is_empty());
        assert!(scenario.engine.dbs.iter().all(|db| db.is_empty()));
    }

    #[test]
    fn swapping_databases() {
        for here in [0, 1, 2, 15] {
            for (a, b) in [(0, 1), (1, 0), (0, 15), (2, 15), (1, 2), (1, 1)] {
                let mut scenario = Scenario::new();
                for db in 0..16 {
                    scenario.db = db;
                    scenario.line(&format!("SET k {db}"));
                }
                scenario.db = here;
                assert_eq!(scenario.line(&format!("SWAPDB {a} {b}")), "+OK");
                for db in 0..16 {
                    scenario.db = db;
                    let expected = if db == a {
                        b
                    } else if db == b {
                        a
                    } else {
                        db
                    };
                    assert_eq!(scenario.line("GET k"), format!("\"{expected}\""), "{a} {b} from {here}");
                }
            }
        }
        check(
            r#"
            SWAPDB x 1   => -ERR invalid first DB index
            SWAPDB 0 x   => -ERR invalid second DB index
            SWAPDB 0 16  => -ERR DB index is out of range
            SWAPDB -1 0  => -ERR DB index is out of range
            "#,
        );
    }
}
