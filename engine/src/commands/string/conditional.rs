//! Commands that look at a string before they change it, so that clients need neither WATCH nor a script: what Redis 8.4 and
//! Valkey 9 have added. They are propagated as plain SET and DEL, which every server understands.

use xxhash_rust::xxh3::xxh3_64;

use super::store;
use crate::args::Args;
use crate::command::{Arg, Arity, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec};
use crate::commands::deadline::{EXPIRY_OR_KEEPTTL, ExpiryOption};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::Expiry;
use crate::types::string::StrRef;

/// Digits of a digest.
const DIGEST_DIGITS: usize = 16;

/// What the present value of a key is compared with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison<'a> {
    /// IFEQ.
    Equal(&'a [u8]),
    /// IFNE.
    Different(&'a [u8]),
    /// IFDEQ.
    DigestEqual(u64),
    /// IFDNE.
    DigestDifferent(u64),
}

/// The alternatives of a condition, for the declarations.
pub(super) const COMPARISONS: [Arg; 4] = [
    Arg::string("ifeq-value").token("IFEQ").since("8.4.0"),
    Arg::string("ifne-value").token("IFNE").since("8.4.0"),
    Arg::string("ifdeq-digest").token("IFDEQ").since("8.4.0"),
    Arg::string("ifdne-digest").token("IFDNE").since("8.4.0"),
];

impl<'a> Comparison<'a> {
    /// Reads a comparison if one is next.
    pub(super) fn parse(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        Ok(Some(if args.keyword("IFEQ") {
            Comparison::Equal(args.next()?)
        } else if args.keyword("IFNE") {
            Comparison::Different(args.next()?)
        } else if args.keyword("IFDEQ") {
            Comparison::DigestEqual(digest(args)?)
        } else if args.keyword("IFDNE") {
            Comparison::DigestDifferent(digest(args)?)
        } else {
            return Ok(None);
        }))
    }

    /// Whether it holds for a value. A missing key differs from everything.
    pub(super) fn holds(self, value: Option<StrRef<'_>>) -> bool {
        let mut digits = itoa::Buffer::new();
        let text = value.map(|value| value.text(&mut digits));
        match self {
            Comparison::Equal(other) => text == Some(other),
            Comparison::Different(other) => text != Some(other),
            Comparison::DigestEqual(digest) => text.map(xxh3_64) == Some(digest),
            Comparison::DigestDifferent(digest) => text.map(xxh3_64) != Some(digest),
        }
    }
}

/// Reads a digest as DIGEST replies it, in either case.
fn digest(args: &mut Args<'_>) -> Result<u64, CommandError> {
    let text = args.next()?;
    let is_digest = text.len() == DIGEST_DIGITS && text.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| is_digest)
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(CommandError::Text("ERR digest must be exactly 16 hexadecimal characters"))
}

pub(super) const DIGEST: Command = Command {
    name: "digest",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "8.4.0",
    complexity: "O(N) where N is the length of the string value.",
    summary: "Returns the XXH3 digest of a string value in hexadecimal.",
    args: &[Arg::key("key")],
    run: |ctx, args| {
        match ctx.db.read_string(args.next()?)? {
            Some(value) => {
                let digest = xxh3_64(value.text(&mut itoa::Buffer::new()));
                ctx.out.bulk_display(format_args!("{digest:016x}"));
            }
            None => ctx.out.null(),
        }
        Ok(Outcome::Done)
    },
    ..Command::BASE
};

pub(super) const DELEX: Command = Command {
    name: "delex",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RW_DELETE.and(KeyFlags::VARIABLE_FLAGS))],
    since: "8.4.0",
    complexity: "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
    summary: "Deletes a key, if a condition on its string value holds.",
    args: &[Arg::key("key"), Arg::one_of("condition", &COMPARISONS).optional()],
    run: |ctx, args| {
        let key = args.next()?;
        if args.left() == 1 {
            return Err(CommandError::WrongArity("delex".into()));
        }
        let comparison = Comparison::parse(args)?;
        args.end()?;
        let wanted = match comparison {
            Some(comparison) => ctx.db.string_for_write(key)?.is_some_and(|value| comparison.holds(Some(value))),
            None => true,
        };
        delete_if(ctx, key, wanted);
        Ok(Outcome::Done)
    },
    ..Command::BASE
};

pub(super) const DELIFEQ: Command = Command {
    name: "delifeq",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    group: Group::String,
    keys: &[KeySpec::first(KeyFlags::RM.and(KeyFlags::ACCESS).and(KeyFlags::DELETE))],
    since: "9.0.0",
    history: &[("9.0.0", "Of Valkey; Redis has DELEX with IFEQ.")],
    complexity: "O(1)",
    summary: "Deletes a key if its string value is the given one.",
    args: &[Arg::key("key"), Arg::string("value")],
    run: |ctx, args| {
        let (key, value) = (args.next()?, args.next()?);
        let value = Comparison::Equal(value);
        let wanted = value.holds(ctx.db.string_for_write(key)?);
        delete_if(ctx, key, wanted);
        Ok(Outcome::Done)
    },
    ..Command::BASE
};

/// Deletes `key` if that is wanted, and replies whether it was there.
fn delete_if(ctx: &mut Ctx<'_>, key: &[u8], wanted: bool) {
    let old = if wanted { ctx.db.delete(key) } else { None };
    ctx.out.integer(i64::from(old.is_some()));
    if let Some(old) = old {
        if ctx.config.lazy_user_del {
            ctx.effects.free_later.push(old);
        }
        ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
        ctx.effects.propagate_instead(&[if ctx.config.lazy_user_del { b"UNLINK" } else { b"DEL" }, key]);
    }
}

pub(super) const MSETEX: Command = Command {
    name: "msetex",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::String,
    keys: &[KeySpec {
        flags: KeyFlags::OW_UPDATE,
        begin: Begin::Index(1),
        find: Find::Count { count: 0, first: 1, step: 2 },
        notes: None,
    }],
    since: "8.4.0",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    complexity: "O(N) where N is the number of keys to set.",
    summary: "Sets several keys to string values with one expiry time, all or none.",
    args: &[
        Arg::integer("numkeys"),
        Arg::block("data", &[Arg::key("key"), Arg::string("value")]).many(),
        Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).optional(),
        EXPIRY_OR_KEEPTTL,
    ],
    run: msetex,
    ..Command::BASE
};

fn msetex(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    const BAD_COUNT: CommandError = CommandError::Text("ERR invalid numkeys value");
    let count = args.i64_in(1..=i64::from(u32::MAX), BAD_COUNT)? as usize;
    let words = count.checked_mul(2).filter(|&words| words <= args.left());
    let words = words.ok_or(CommandError::Text("ERR wrong number of key-value pairs"))?;
    let (pairs, _) = args.take(words)?.as_chunks::<2>();
    let (mut condition, mut keep, mut expiry) = (None, false, None::<ExpiryOption<'_>>);
    while !args.is_done() {
        let exists = if args.keyword("NX") {
            Some(false)
        } else if args.keyword("XX") {
            Some(true)
        } else if args.keyword("KEEPTTL") {
            keep = true;
            None
        } else if let Some(option) = ExpiryOption::parse(args)? {
            if expiry.is_some_and(|before| !before.same_word(&option)) {
                return Err(CommandError::Syntax);
            }
            expiry = Some(option);
            None
        } else {
            return Err(CommandError::Syntax);
        };
        if condition.is_some() && exists.is_some() && condition != exists {
            return Err(CommandError::Syntax);
        }
        condition = condition.or(exists);
    }
    if keep && expiry.is_some() {
        return Err(CommandError::Syntax);
    }
    let deadline = expiry.map(|expiry| expiry.moment(ctx.now, "msetex")).transpose()?;
    let allowed = condition.is_none_or(|wanted| pairs.iter().all(|[key, _]| ctx.db.exists(key) == wanted));
    ctx.out.integer(i64::from(allowed));
    if !allowed {
        return Ok(Outcome::Done);
    }
    let mut digits = itoa::Buffer::new();
    let (expiry, at) = match deadline {
        Some(at) => (Expiry::At(at), Some(digits.format(at.0))),
        None if keep => (Expiry::Keep, None),
        None => (Expiry::Clear, None),
    };
    for &[key, value] in pairs {
        store(ctx, key, value, expiry);
        match at {
            Some(at) => ctx.effects.propagate_instead(&[b"SET", key, value, b"PXAT", at.as_bytes()]),
            None if keep => ctx.effects.propagate_instead(&[b"SET", key, value, b"KEEPTTL"]),
            None => ctx.effects.propagate_instead(&[b"SET", key, value]),
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn digests() {
        check(
            r#"
            DIGEST none                   => nil
            SET e ""                      => +OK
            DIGEST e                      => "2d06800538d394c2"
            MSET a foo n 12               => +OK
            SET a 2 IFDEQ ab6e5f64077e7d8a => +OK
              > SET a 2
            RPUSH l x                     => :1
            DIGEST l                      => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn setting_what_is_known() {
        check(
            r#"
            SET k a                       => +OK
            SET k b IFEQ x                => nil
              > nothing
            SET k b IFEQ a PX 1000        => +OK
              ! set k, expire k
              > SET k b PXAT 1000000001000
            SET k c IFNE b                => nil
            SET k c IFNE x KEEPTTL        => +OK
              > SET k c KEEPTTL
            PTTL k                        => :1000
            SET k d GET IFEQ x            => "c"
            SET k d GET IFEQ c            => "c"
              > SET k d
            GET k                         => "d"
            SET none 1 IFEQ x             => nil
            SET none 1 IFDEQ 0123456789abcdef => nil
            EXISTS none                   => :0
            SET new 1 IFNE x              => +OK
            SET other 1 IFDNE 0123456789ABCDEF PXAT 1000000009999 => +OK
              > SET other 1 PXAT 1000000009999
            SET k 1 IFDEQ 12              => -ERR digest must be exactly 16 hexadecimal characters
            SET k 1 IFDEQ +123456789abcdef => -ERR digest must be exactly 16 hexadecimal characters
            SET k 1 IFEQ                  => -ERR syntax error
            SET k 1 IFEQ a NX             => -ERR syntax error
            SET k 1 XX IFEQ a             => -ERR syntax error
            RPUSH l x                     => :1
            SET l 1 IFEQ a                => -WRONGTYPE Operation against a key holding the wrong kind of value
            SET l 1 IFNE a                => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn deleting_what_is_known() {
        check(
            r#"
            MSET a 1 b 2                  => +OK
            RPUSH l x                     => :1
            DELEX a IFEQ 2                => :0
              > nothing
            DELEX a IFEQ 1                => :1
              ! del a
              > DEL a
            DELEX a IFNE 1                => :0
            DELEX b IFDNE 0123456789abcdef => :1
            DELEX l IFEQ x                => -WRONGTYPE Operation against a key holding the wrong kind of value
            DELEX l                       => :1
            DELEX l                       => :0
            DELEX k IFEQ                  => -ERR wrong number of arguments for 'delex' command
            DELEX k FOO x                 => -ERR syntax error
            SET c v                       => +OK
            DELIFEQ c x                   => :0
            DELIFEQ c v                   => :1
              > DEL c
            DELIFEQ c v                   => :0
            "#,
        );
    }

    #[test]
    fn setting_several() {
        check(
            r#"
            MSETEX 2 a 1 b 2 EX 10        => :1
              ! new a, set a, expire a, new b, set b, expire b
              > SET a 1 PXAT 1000000010000
              > SET b 2 PXAT 1000000010000
              > nothing
            MSETEX 2 a 3 c 4 NX           => :0
              > nothing
            MSETEX 2 a 3 c 4 XX           => :0
            MSETEX 2 a 3 b 4 XX KEEPTTL   => :1
              > SET a 3 KEEPTTL
            PTTL b                        => :10000
            MSETEX 1 a 5                  => :1
            PTTL a                        => :-1
            MSETEX 0 a 5                  => -ERR invalid numkeys value
            MSETEX 9223372036854775807 a 5 => -ERR invalid numkeys value
            MSETEX 2 a 5 b                => -ERR wrong number of key-value pairs
            MSETEX 1 a 5 NX XX            => -ERR syntax error
            MSETEX 1 a 5 EX 10 KEEPTTL    => -ERR syntax error
            MSETEX 1 a 5 EX 0             => -ERR invalid expire time in 'msetex' command
            MSETEX 1 a 5 EX 10 PX 10      => -ERR syntax error
            "#,
        );
    }
}
