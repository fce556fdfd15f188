//! HyperLogLog commands: estimates of how many different elements were added, in strings of Redis' format.
//! <https://redis.io/docs/latest/commands/?group=hyperloglog>

use std::fmt::Write as _;

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::hll::{self, Corrupt, Encoding, REGISTERS, Registers, Storage as _};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{EMBSTR_MAX, StrBuf};
use crate::types::string::StrRef;

/// The declarations.
pub const COMMANDS: &[&Command] = &[&PFADD, &PFCOUNT, &PFMERGE, &PFDEBUG, &PFSELFTEST];

const NOT_HLL: CommandError = CommandError::Text("WRONGTYPE Key is not a valid HyperLogLog string value.");

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> Self {
        CommandError::Text("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The bytes of a string that holds a HyperLogLog, and their encoding.
fn sketch(string: StrRef<'_>) -> Result<(&[u8], Encoding), CommandError> {
    match string {
        StrRef::Bytes(bytes) => Ok((bytes, hll::encoding(bytes).ok_or(NOT_HLL)?)),
        StrRef::Int(_) => Err(NOT_HLL),
    }
}

/// The HyperLogLog at `key`, to be changed, created when missing; also whether it was.
fn sketch_for_write<'d>(ctx: &'d mut Ctx<'_>, key: &[u8]) -> Result<(StrBuf<'d>, bool), CommandError> {
    let created = match ctx.db.string_for_write(key)? {
        Some(string) => match sketch(string) {
            Ok(_) => false,
            Err(error) => {
                ctx.db.exists_for_write(key);
                return Err(error);
            }
        },
        None => true,
    };
    let mut buffer = ctx.db.string_buffer(key)?;
    if created {
        buffer.assign(&hll::EMPTY);
    }
    Ok((buffer, created))
}

const PFADD: Command = Command {
    name: "pfadd",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    group: Group::HyperLogLog,
    keys: &[KeySpec::first(KeyFlags::RW_INSERT)],
    since: "2.8.9",
    complexity: "O(1) to add every element.",
    summary: "Adds elements to a HyperLogLog, creating it if the key is missing.",
    args: &[Arg::key("key"), Arg::string("element").optional().many()],
    run: pfadd,
    ..Command::BASE
};

fn pfadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let sparse_len_max = ctx.config.hll_sparse_max_bytes;
    let (mut buffer, created) = sketch_for_write(ctx, key)?;
    let mut changes = u64::from(created);
    for element in args.take_rest() {
        changes += u64::from(hll::add(&mut buffer, element, sparse_len_max)?);
    }
    if changes > 0 {
        hll::outdate(buffer.bytes_mut());
        drop(buffer);
        ctx.effects.changed(EventClass::STRING, "pfadd", key, changes);
    } else {
        drop(buffer);
    }
    ctx.out.integer(i64::from(changes > 0));
    Ok(Outcome::Done)
}

const PFCOUNT: Command = Command {
    name: "pfcount",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::MAY_REPLICATE),
    group: Group::HyperLogLog,
    keys: &[KeySpec::range(1, -1, 1, KeyFlags::RW.and(KeyFlags::ACCESS))
        .notes("Writes when it keeps the estimate in the key, which replicas then do too.")],
    since: "2.8.9",
    complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
    summary: "Estimates how many different elements were added to one or several HyperLogLogs.",
    args: &[Arg::key("key").many()],
    run: pfcount,
    ..Command::BASE
};

fn pfcount(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let estimate = match args.take_rest() {
        [key] => count_one(ctx, key)?,
        keys => merged(ctx, keys)?.0.estimate(),
    };
    ctx.out.integer(estimate as i64);
    Ok(Outcome::Done)
}

/// The estimate of a single key: the one that was kept, or a fresh one that is kept.
fn count_one(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<u64, CommandError> {
    let Some(string) = ctx.db.read_string(key)? else { return Ok(0) };
    let (bytes, _) = sketch(string)?;
    if let Some(estimate) = hll::cached(bytes) {
        if bytes.len() <= EMBSTR_MAX {
            // As if the estimate were written: only for those that are so short does OBJECT ENCODING tell.
            ctx.db.string_buffer(key)?;
        }
        return Ok(estimate);
    }
    let estimate = hll::estimate(bytes)?;
    hll::cache(ctx.db.string_buffer(key)?.bytes_mut(), estimate);
    ctx.effects.dirty += 1;
    ctx.effects.touch(key);
    Ok(estimate)
}

/// The union of several keys; also whether one of them is dense.
fn merged(ctx: &mut Ctx<'_>, keys: &[&[u8]]) -> Result<(Registers, bool), CommandError> {
    let (mut registers, mut dense) = (Registers::default(), false);
    for key in keys {
        if let Some(string) = ctx.db.read_string(key)? {
            let (bytes, encoding) = sketch(string)?;
            hll::merge(&mut registers, bytes)?;
            dense |= encoding == Encoding::Dense;
        }
    }
    Ok((registers, dense))
}

const PFMERGE: Command = Command {
    name: "pfmerge",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::HyperLogLog,
    keys: &[
        KeySpec::first(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::INSERT)),
        KeySpec::range(2, -1, 1, KeyFlags::READ),
    ],
    since: "2.8.9",
    complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
    summary: "Merges several HyperLogLogs into one.",
    args: &[Arg::key("destkey"), Arg::key_of("sourcekey", 1).optional().many()],
    run: pfmerge,
    ..Command::BASE
};

fn pfmerge(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let keys = args.take_rest();
    let target = *keys.first().ok_or(CommandError::Syntax)?;
    let (registers, dense) = merged(ctx, keys)?;
    let sparse_len_max = ctx.config.hll_sparse_max_bytes;
    let (mut buffer, _) = sketch_for_write(ctx, target)?;
    if dense {
        hll::make_dense(&mut buffer)?;
    }
    hll::store(&mut buffer, &registers, sparse_len_max)?;
    hll::outdate(buffer.bytes_mut());
    drop(buffer);
    ctx.effects.changed(EventClass::STRING, "pfadd", target, 1);
    ctx.out.ok();
    Ok(Outcome::Done)
}

const PFDEBUG: Command = Command {
    name: "pfdebug",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::ADMIN),
    group: Group::HyperLogLog,
    keys: &[KeySpec::at(2, KeyFlags::RW.and(KeyFlags::ACCESS))],
    since: "2.8.9",
    complexity: "N/A",
    summary: "Shows how a HyperLogLog is stored.",
    args: &[Arg::string("subcommand"), Arg::key("key")],
    run: pfdebug,
    ..Command::BASE
};

fn pfdebug(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    if args.keyword("SIMD") {
        let on = args.keyword("ON");
        if !on && !args.keyword("OFF") {
            return Err(CommandError::Text("ERR Argument must be ON or OFF"));
        }
        hll::set_simd(on);
        ctx.out.simple(if on { "enabled" } else { "disabled" });
        return Ok(Outcome::Done);
    }
    let (word, key) = (args.next()?, args.next()?);
    let Some(string) = ctx.db.string_for_write(key)? else {
        return Err(CommandError::Text("ERR The specified key does not exist"));
    };
    if let Err(error) = sketch(string) {
        ctx.db.exists_for_write(key);
        return Err(error);
    }
    // All of them may write, as far as anybody can tell afterwards.
    let buffer = ctx.db.string_buffer(key)?;
    let (bytes, encoding) = sketch(StrRef::Bytes(buffer.bytes()))?;
    match word.to_ascii_lowercase().as_slice() {
        b"encoding" => ctx.out.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" }),
        b"decode" => {
            if encoding == Encoding::Dense {
                return Err(CommandError::Text("ERR HLL encoding is not sparse"));
            }
            let mut text = String::new();
            hll::for_each_run(bytes, |value, len, long| {
                let written = match (value, long) {
                    (0, true) => write!(text, "Z:{len} "),
                    (0, false) => write!(text, "z:{len} "),
                    _ => write!(text, "v:{value},{len} "),
                };
                written.expect("a string takes everything");
            });
            ctx.out.bulk(text.trim_end().as_bytes());
        }
        // Both leave a dense one behind.
        b"todense" => {
            drop(buffer);
            let converted = make_dense(ctx, key)?;
            ctx.out.integer(i64::from(converted));
        }
        b"getreg" => {
            drop(buffer);
            make_dense(ctx, key)?;
            let (registers, _) = merged(ctx, &[key])?;
            ctx.out.array(REGISTERS);
            registers.values().iter().for_each(|&value| ctx.out.integer(i64::from(value)));
        }
        _ => {
            return Err(CommandError::owned(format!("ERR Unknown PFDEBUG subcommand '{}'", word.escape_ascii())));
        }
    }
    Ok(Outcome::Done)
}

fn make_dense(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<bool, CommandError> {
    let converted = hll::make_dense(&mut ctx.db.string_buffer(key)?)?;
    ctx.effects.dirty += u64::from(converted);
    Ok(converted)
}

const PFSELFTEST: Command = Command {
    name: "pfselftest",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN,
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "N/A",
    summary: "Checks that registers are stored and estimates are made as they should be.",
    run: pfselftest,
    ..Command::BASE
};

/// Elements of the self test.
const SELF_TEST_ELEMENTS: u64 = 300_000;

fn pfselftest(ctx: &mut Ctx<'_>, _: &mut Args<'_>) -> CmdResult {
    self_test(ctx).map_err(|what| CommandError::owned(format!("ERR TESTFAILED {what}")))?;
    ctx.out.ok();
    Ok(Outcome::Done)
}

fn self_test(ctx: &mut Ctx<'_>) -> Result<(), String> {
    let damaged = |Corrupt| "registers damaged".to_owned();
    // Registers of every value, against a plain array.
    let (mut dense, mut model) = (hll::EMPTY.to_vec(), vec![0u8; REGISTERS]);
    hll::make_dense(&mut dense).map_err(damaged)?;
    for _ in 0..4 * REGISTERS {
        let (index, value) = (ctx.rng.index(REGISTERS), ctx.rng.below(64) as u8);
        hll::raise(&mut dense, index, value, 0).map_err(damaged)?;
        model[index] = model[index].max(value);
    }
    let mut registers = Registers::default();
    hll::merge(&mut registers, &dense).map_err(damaged)?;
    if registers.values()[..] != model {
        return Err("registers differ from what was stored".to_owned());
    }
    // Both encodings hold the same, and the estimate is within six standard errors.
    let (mut sparse, mut dense) = (hll::EMPTY.to_vec(), hll::EMPTY.to_vec());
    hll::make_dense(&mut dense).map_err(damaged)?;
    let (seed, error) = (ctx.rng.next_u64(), 1.04 / (REGISTERS as f64).sqrt());
    let mut checkpoint = 1;
    for n in 1..=SELF_TEST_ELEMENTS {
        let element = (seed ^ n).to_le_bytes();
        hll::add(&mut dense, &element, 0).map_err(damaged)?;
        if n <= 1000 {
            hll::add(&mut sparse, &element, usize::MAX).map_err(damaged)?;
        }
        if n == checkpoint {
            checkpoint *= 10;
            let estimate = hll::estimate(&dense).map_err(damaged)?;
            if n <= 1000 && hll::estimate(&sparse) != Ok(estimate) {
                return Err(format!("sparse and dense estimates of {n} elements differ"));
            }
            // A few elements may collide or not: nothing is said about fractions of one.
            if (estimate as f64 - n as f64).abs() > (6.0 * error * n as f64).max(2.0) {
                return Err(format!("{estimate} estimated, {n} added"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::EngineConfig;
    use crate::testing::{Scenario, check};

    #[test]
    fn adding_and_counting() {
        check(
            r#"
            PFCOUNT h        => :0
            PFADD h          => :1
              ! new h, pfadd h
            GET h            => "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
            PFADD h          => :0
              > nothing
            PFADD h a b c    => :1
              > PFADD h a b c
            PFADD h a b c    => :0
              > nothing
            PFCOUNT h        => :3
              ! none
              > PFCOUNT h
            GET h            => "HYLL\x01\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00`\xf3\x80P\xb1\x84K\xfb\x80BZ"
            PFCOUNT h        => :3
              > nothing
            PFADD i c d ""   => :1
            PFCOUNT h i none => :5
              > nothing
            OBJECT ENCODING h => "raw"
            "#,
        );
    }

    #[test]
    fn whoever_may_write_leaves_a_raw_string() {
        for command in ["PFCOUNT h", "PFADD h", "PFMERGE h", "PFDEBUG ENCODING h", "PFDEBUG DECODE h"] {
            let mut scenario = Scenario::new();
            scenario.check(
                r#"
                SET h "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x7f\xff" => +OK
                PFCOUNT h h        => :0
                OBJECT ENCODING h  => "embstr"
                "#,
            );
            scenario.line(command);
            scenario.check(r#"OBJECT ENCODING h => "raw""#);
        }
    }

    #[test]
    fn merging() {
        check(
            r#"
            PFMERGE d               => +OK
              ! keymiss d, new d, pfadd d
            PFCOUNT d               => :0
            PFADD a 1 2 3           => :1
            PFADD b 3 4 5           => :1
            PFMERGE d a b none      => +OK
              > PFMERGE d a b none
            PFCOUNT d               => :5
            PFDEBUG ENCODING d      => +sparse
            PFDEBUG TODENSE b       => :1
            PFDEBUG TODENSE b       => :0
            PFMERGE d b             => +OK
            PFDEBUG ENCODING d      => +dense
            PFCOUNT d a b           => :5
            STRLEN d                => :12304
            "#,
        );
    }

    #[test]
    fn other_strings_are_refused() {
        const NOT_HLL: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
        let mut scenario = Scenario::new();
        scenario.check(
            r#"
            MSET s foo e "" i 5 => +OK
            PFADD h a => :1
            RPUSH l 1 => :1
            PFADD l a => -WRONGTYPE Operation against a key holding the wrong kind of value
            PFCOUNT h l => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
        for key in ["s", "e", "i"] {
            for command in
                ["PFADD {} a", "PFCOUNT {}", "PFCOUNT h {}", "PFMERGE d {}", "PFMERGE {} h", "PFDEBUG ENCODING {}"]
            {
                let request = command.replace("{}", key);
                scenario.check(&format!("{request} => {NOT_HLL}\n > nothing"));
            }
        }
        scenario.check(
            r#"
            EXISTS d => :0
            APPEND h hello => :26
            PFCOUNT h => -INVALIDOBJ Corrupted HLL object detected
            PFCOUNT h h => -INVALIDOBJ Corrupted HLL object detected
            PFDEBUG GETREG h => -INVALIDOBJ Corrupted HLL object detected
            PFMERGE d h => -INVALIDOBJ Corrupted HLL object detected
            EXISTS d => :0
            "#,
        );
    }

    #[test]
    fn inspection() {
        let config = EngineConfig { hll_sparse_max_bytes: 30, ..EngineConfig::default() };
        Scenario::with(config).check(
            r#"
            PFADD h a b c           => :1
            PFDEBUG DECODE h        => "Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"
            PFADD h d e f           => :1
            PFDEBUG ENCODING h      => +dense
            PFDEBUG DECODE h        => -ERR HLL encoding is not sparse
            PFDEBUG FOO h           => -ERR Unknown PFDEBUG subcommand 'FOO'
            PFDEBUG ENCODING none   => -ERR The specified key does not exist
            PFDEBUG SIMD off        => +disabled
            PFCOUNT h h             => :6
            PFDEBUG SIMD on         => +enabled
            PFDEBUG SIMD maybe      => -ERR Argument must be ON or OFF
            PFCOUNT h h             => :6
            PFSELFTEST              => +OK
            "#,
        );
    }
}
