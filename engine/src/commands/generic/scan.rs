//! SCAN.

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group};
use crate::commands::scan_args::{ScanArgs, ScanOf, ScanReply, cursor};
use crate::ctx::{CmdResult, Ctx, Outcome};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&SCAN];

const SCAN: Command = Command {
    name: "scan",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::TOUCHES_ARBITRARY_KEYS),
    group: Group::Generic,
    acl: Acl::KEYSPACE,
    since: "2.8.0",
    history: &[("6.0.0", "TYPE.")],
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    complexity: "O(1) for a step; O(N) for a whole walk over N keys.",
    summary: "Walks through the names of keys in the database step by step.",
    args: &[
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
        Arg::string("type").token("TYPE").optional().since("6.0.0"),
    ],
    run: scan,
    ..Command::BASE
};

fn scan(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let cursor = cursor(args)?;
    let options = ScanArgs::parse(args, ScanOf::Keyspace)?;
    let mut reply = ScanReply::new(&ctx.out);
    // Keys whose time has passed are left out, and removed when the walk is over.
    let mut expired: Vec<Box<[u8]>> = Vec::new();
    let db = &*ctx.db;
    let next = db.scan(cursor, options.count, |key, value| {
        let wanted = options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(value.kind().as_str().as_bytes()));
        if !options.matches(key) {
        } else if db.is_expired(key) {
            expired.push(key.into());
        } else if wanted {
            reply.element().bulk(key);
        }
    });
    for key in &expired {
        ctx.db.exists(key);
    }
    reply.finish(next, &mut ctx.out);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::testing::{Scenario, check};

    /// All names that a whole walk with these options reports.
    fn walk(scenario: &mut Scenario, options: &str) -> BTreeSet<String> {
        let (mut cursor, mut names) = ("0".to_owned(), BTreeSet::new());
        for _ in 0..10_000 {
            let reply = scenario.line(&format!("SCAN {cursor} {options}"));
            let (next, list) = reply[2..reply.len() - 1].split_once("\", ").expect("a cursor and a list");
            names.extend(list.trim_matches(['[', ']']).split(", ").filter(|name| !name.is_empty()).map(str::to_owned));
            if next == "0" {
                return names;
            }
            cursor = next.to_owned();
        }
        panic!("the walk does not end");
    }

    #[test]
    fn a_walk_sees_everything_that_it_should() {
        let mut scenario = Scenario::new();
        for n in 0..1000 {
            scenario.line(&format!("SET key:{n} {n}"));
        }
        scenario.check("RPUSH list 1 => :1");
        for n in 0..10 {
            scenario.line(&format!("SET gone:{n} {n} PX 1"));
        }
        scenario.check("wait 2");
        assert_eq!(walk(&mut scenario, "").len(), 1001);
        assert_eq!(scenario.engine.dbs[0].len(), 1001, "what had expired is removed on the way");
        assert_eq!(walk(&mut scenario, "COUNT 1").len(), 1001);
        assert_eq!(walk(&mut scenario, "MATCH key:1??").len(), 100);
        assert_eq!(walk(&mut scenario, "TYPE LIST"), BTreeSet::from(["\"list\"".to_owned()]));
        assert_eq!(walk(&mut scenario, "COUNT 9223372036854775807").len(), 1001);
    }

    #[test]
    fn options() {
        check(
            r#"
            SCAN x                    => -ERR invalid cursor
            SCAN 0 COUNT 0            => -ERR syntax error
            SCAN 0 COUNT x            => -ERR value is not an integer or out of range
            SCAN 0 MATCH              => -ERR syntax error
            SCAN 0 NOVALUES           => -ERR NOVALUES option can only be used in HSCAN
            SCAN 0 TYPE nothing       => ["0", []]
            SCAN 18446744073709551615 => ["0", []]
            "#,
        );
    }
}
