//! Bitmap commands: strings as arrays of bits, the highest bit of the first byte being bit 0.
//! <https://redis.io/docs/latest/commands/?group=bitmap>

mod bitfield;

use std::borrow::Cow;
use std::ops::Range;

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::bits::{self, Combination};
use crate::ds::heapstr::HeapStr;
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Expiry, ValueRef};
use crate::types::string::StrRef;

/// The declarations.
pub const COMMANDS: &[&Command] =
    &[&SETBIT, &GETBIT, &BITCOUNT, &BITPOS, &BITOP, &bitfield::BITFIELD, &bitfield::BITFIELD_RO];

const BAD_OFFSET: CommandError = CommandError::Text("ERR bit offset is not an integer or out of range");

/// Reads the number of a bit. It must lie in a string of allowed length.
fn bit_offset(ctx: &Ctx<'_>, text: &[u8]) -> Result<u64, CommandError> {
    let offset = resp::number::parse_i64(text).and_then(|n| u64::try_from(n).ok()).ok_or(BAD_OFFSET)?;
    check_offset(ctx, offset)
}

fn check_offset(ctx: &Ctx<'_>, offset: u64) -> Result<u64, CommandError> {
    if offset / 8 < ctx.config.string_len_max { Ok(offset) } else { Err(BAD_OFFSET) }
}

const SETBIT: Command = Command {
    name: "setbit",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::RW_ACCESS_UPDATE)],
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Sets or clears one bit of a string value, creating the key if it is missing.",
    args: &[Arg::key("key"), Arg::integer("offset"), Arg::integer("value")],
    run: setbit,
    ..Command::BASE
};

fn setbit(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let offset = bit_offset(ctx, args.next()?)?;
    let on = args.i64_in(0..=1, CommandError::Text("ERR bit is not an integer or out of range"))? == 1;
    let (byte, mask) = ((offset / 8) as usize, 0x80 >> (offset % 8));
    let existed = ctx.db.string_for_write(key)?.is_some();
    let mut buffer = ctx.db.string_buffer(key)?;
    let grows = byte >= buffer.bytes().len();
    buffer.grow(byte + 1);
    let cell = &mut buffer.bytes_mut()[byte];
    let before = *cell & mask != 0;
    *cell = if on { *cell | mask } else { *cell & !mask };
    if before != on || grows || !existed {
        ctx.effects.changed(EventClass::STRING, "setbit", key, 1);
    }
    ctx.out.integer(i64::from(before));
    Ok(Outcome::Done)
}

const GETBIT: Command = Command {
    name: "getbit",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Returns one bit of a string value.",
    args: &[Arg::key("key"), Arg::integer("offset")],
    run: getbit,
    ..Command::BASE
};

fn getbit(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let offset = bit_offset(ctx, args.next()?)?;
    let mut buffer = itoa::Buffer::new();
    let text = ctx.db.read_string(key)?.map_or(&b""[..], |value| value.text(&mut buffer));
    let on = text.get((offset / 8) as usize).is_some_and(|byte| byte & (0x80 >> (offset % 8)) != 0);
    ctx.out.integer(i64::from(on));
    Ok(Outcome::Done)
}

/// Reads BYTE or BIT, the last argument, if it is there: whether it is BIT.
fn unit(args: &mut Args<'_>) -> Result<bool, CommandError> {
    let in_bits = args.keyword("BIT");
    if !in_bits {
        args.keyword("BYTE");
    }
    args.end()?;
    Ok(in_bits)
}

/// The part of a string that BITCOUNT and BITPOS look at.
#[derive(Copy, Clone, Debug)]
struct Part {
    start: i64,
    /// `None`: to the end of the string.
    end: Option<i64>,
    in_bits: bool,
}

impl Part {
    /// The whole string.
    const ALL: Part = Part { start: 0, end: None, in_bits: false };

    /// Whether it ends before it starts, both counted from the end. BITCOUNT, but not BITPOS, looks at that before it knows how
    /// long the string is.
    fn is_reversed(self) -> bool {
        self.end.is_some_and(|end| self.start < 0 && end < 0 && self.start > end)
    }

    /// The bits of a string of `len` bytes.
    fn bits(self, len: usize) -> Range<u64> {
        let unit = if self.in_bits { 1 } else { 8 };
        let total = (len as i64).saturating_mul(8 / unit);
        if total == 0 {
            return 0..0;
        }
        let (start, end) = (self.start, self.end.unwrap_or(-1));
        let from_start = |index: i64| if index < 0 { index.saturating_add(total).max(0) } else { index };
        let (start, end) = (from_start(start), from_start(end).min(total - 1));
        if start > end { 0..0 } else { (start * unit) as u64..((end + 1) * unit) as u64 }
    }
}

const BITCOUNT: Command = Command {
    name: "bitcount",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.6.0",
    history: &[("7.0.0", "BYTE and BIT.")],
    complexity: "O(N)",
    summary: "Counts the bits that are set in a string value.",
    args: &[
        Arg::key("key"),
        Arg::block(
            "range",
            &[
                Arg::integer("start"),
                Arg::integer("end"),
                Arg::one_of("unit", &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")]).optional().since("7.0.0"),
            ],
        )
        .optional(),
    ],
    run: bitcount,
    ..Command::BASE
};

fn bitcount(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let part = match args.left() {
        0 => Part::ALL,
        2 | 3 => Part { start: args.i64()?, end: Some(args.i64()?), in_bits: unit(args)? },
        _ => return Err(CommandError::Syntax),
    };
    let mut buffer = itoa::Buffer::new();
    let text = ctx.db.read_string(key)?.map_or(&b""[..], |value| value.text(&mut buffer));
    let bits = if part.is_reversed() { 0..0 } else { part.bits(text.len()) };
    ctx.out.integer(count_bits(text, bits) as i64);
    Ok(Outcome::Done)
}

/// How many of these bits are set.
fn count_bits(text: &[u8], range: Range<u64>) -> u64 {
    let whole = range.start.div_ceil(8)..range.end / 8;
    if whole.start > whole.end {
        // Both ends lie in one byte.
        return u64::from((text[whole.end as usize] & head_mask(range.start) & !head_mask(range.end)).count_ones());
    }
    let head =
        if range.start.is_multiple_of(8) { 0 } else { text[(range.start / 8) as usize] & head_mask(range.start) };
    let tail = if range.end.is_multiple_of(8) { 0 } else { text[(range.end / 8) as usize] & !head_mask(range.end) };
    let whole = bits::count(&text[whole.start as usize..whole.end as usize]);
    whole + u64::from(head.count_ones() + tail.count_ones())
}

/// The bits of a byte from this one on.
fn head_mask(bit: u64) -> u8 {
    0xff >> (bit % 8)
}

const BITPOS: Command = Command {
    name: "bitpos",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "2.8.7",
    history: &[("7.0.0", "BYTE and BIT.")],
    complexity: "O(N)",
    summary: "Finds the first bit in a string value that is set, or the first that is clear.",
    args: &[
        Arg::key("key"),
        Arg::integer("bit"),
        Arg::block(
            "range",
            &[
                Arg::integer("start"),
                Arg::block(
                    "end-unit-block",
                    &[
                        Arg::integer("end"),
                        Arg::one_of("unit", &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")])
                            .optional()
                            .since("7.0.0"),
                    ],
                )
                .optional(),
            ],
        )
        .optional(),
    ],
    run: bitpos,
    ..Command::BASE
};

fn bitpos(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let on = match args.i64()? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::Text("ERR The bit argument must be 1 or 0.")),
    };
    let part = match args.left() {
        0 => Part::ALL,
        1 => Part { start: args.i64()?, ..Part::ALL },
        2 | 3 => {
            // The unit is looked at before the end, as in Redis.
            let (start, end) = (args.i64()?, args.next()?);
            let in_bits = unit(args)?;
            Part { start, end: Some(resp::number::parse_i64(end).ok_or(CommandError::NotInteger)?), in_bits }
        }
        _ => return Err(CommandError::Syntax),
    };
    let mut buffer = itoa::Buffer::new();
    let position = match ctx.db.read_string(key)? {
        // A missing key is an endless row of zeros.
        None => {
            if on {
                -1
            } else {
                0
            }
        }
        Some(value) => {
            let text = value.text(&mut buffer);
            let bits = part.bits(text.len());
            match find_bit(text, bits.clone(), on) {
                Some(position) => position as i64,
                // Without an end, zeros go on behind the string.
                None if !on && part.end.is_none() && !bits.is_empty() => text.len() as i64 * 8,
                None => -1,
            }
        }
    };
    ctx.out.integer(position);
    Ok(Outcome::Done)
}

/// The first of these bits that is `on`.
fn find_bit(text: &[u8], bits: Range<u64>, on: bool) -> Option<u64> {
    if bits.is_empty() {
        return None;
    }
    // A byte in which the bits looked for are ones.
    let flip = if on { 0 } else { 0xff };
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    let found = |index: usize, byte: u8| {
        let position = index as u64 * 8 + u64::from(byte.leading_zeros());
        Some(position).filter(|&position| position < bits.end)
    };
    let head = (text[first] ^ flip) & head_mask(bits.start);
    if head != 0 {
        return found(first, head);
    }
    let rest = &text[first + 1..=last];
    // Bytes without one are skipped in words.
    let (words, _) = rest.as_chunks::<8>();
    let skipped = words.iter().take_while(|&&word| word == [flip; 8]).count() * 8;
    let index = skipped + rest[skipped..].iter().position(|byte| byte ^ flip != 0)?;
    found(first + 1 + index, rest[index] ^ flip)
}

const BITOP: Command = Command {
    name: "bitop",
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Bitmap,
    keys: &[KeySpec::at(2, KeyFlags::OW_UPDATE), KeySpec::range(3, -1, 1, KeyFlags::READ)],
    since: "2.6.0",
    history: &[("8.2.0", "DIFF, DIFF1, ANDOR and ONE.")],
    complexity: "O(N)",
    summary: "Combines string values bit by bit and stores the result.",
    args: &[
        Arg::one_of(
            "operation",
            &[
                Arg::word("and", "AND"),
                Arg::word("or", "OR"),
                Arg::word("xor", "XOR"),
                Arg::word("not", "NOT"),
                Arg::word("diff", "DIFF").since("8.2.0"),
                Arg::word("diff1", "DIFF1").since("8.2.0"),
                Arg::word("andor", "ANDOR").since("8.2.0"),
                Arg::word("one", "ONE").since("8.2.0"),
            ],
        ),
        Arg::key("destkey"),
        Arg::key_of("key", 1).many(),
    ],
    run: bitop,
    ..Command::BASE
};

fn bitop(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let word = args.next()?;
    let combination = match word.to_ascii_lowercase().as_slice() {
        b"and" => Combination::And,
        b"or" => Combination::Or,
        b"xor" => Combination::Xor,
        b"not" => Combination::Not,
        b"diff" => Combination::Diff,
        b"diff1" => Combination::Diff1,
        b"andor" => Combination::AndOr,
        b"one" => Combination::One,
        _ => return Err(CommandError::Syntax),
    };
    let (target, keys) = (args.next()?, args.take_rest());
    match combination {
        Combination::Not if keys.len() != 1 => {
            return Err(CommandError::Text("ERR BITOP NOT must be called with a single source key."));
        }
        Combination::Diff | Combination::Diff1 | Combination::AndOr if keys.len() < 2 => {
            let name = word.to_ascii_uppercase();
            return Err(CommandError::owned(format!(
                "ERR BITOP {} must be called with at least two source keys.",
                name.escape_ascii()
            )));
        }
        _ => {}
    }
    // First the lookups that count, then all the strings at once.
    let mut len = 0;
    for key in keys {
        len = len.max(ctx.db.read_string(key)?.map_or(0, StrRef::len));
    }
    if len == 0 {
        let lazy = ctx.config.lazy_server_del;
        if super::generic::keys::remove(ctx, target, lazy) {
            ctx.effects.changed(EventClass::GENERIC, "del", target, 1);
        }
        ctx.out.integer(0);
        return Ok(Outcome::Done);
    }
    let mut result = HeapStr::with_capacity(len);
    result.grow(len);
    {
        let sources: Vec<Cow<'_, [u8]>> = keys
            .iter()
            .map(|key| match ctx.db.look(key) {
                Some(ValueRef::String(StrRef::Bytes(bytes))) => Cow::Borrowed(bytes),
                Some(ValueRef::String(number)) => Cow::Owned(number.to_vec()),
                _ => Cow::Borrowed(&b""[..]),
            })
            .collect();
        let sources: Vec<&[u8]> = sources.iter().map(|source| &**source).collect();
        bits::combine(result.bytes_mut(), &sources, combination);
    }
    ctx.db.set_heap_string(target, result, Expiry::Clear);
    ctx.effects.changed(EventClass::STRING, "set", target, 1);
    ctx.out.integer(len as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::{count_bits, find_bit};
    use crate::rng::Rng;
    use crate::testing::check;

    #[test]
    fn single_bits() {
        check(
            r#"
            SETBIT k 0 1           => :0
              ! new k, setbit k
              > SETBIT k 0 1
            SETBIT k 0 1           => :1
              > nothing
            SETBIT k 100 0         => :0
              > SETBIT k 100 0
            SETBIT k 7 1           => :0
            GET k                  => "\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            GETBIT k 7             => :1
            GETBIT k 8             => :0
            GETBIT k 4294967295    => :0
            GETBIT k 4294967296    => -ERR bit offset is not an integer or out of range
            GETBIT none 0          => :0
            SETBIT k -1 0          => -ERR bit offset is not an integer or out of range
            SETBIT k 0 2           => -ERR bit is not an integer or out of range
            SET n 5                => +OK
            GETBIT n 7             => :1
            SETBIT n 7 0           => :1
            GET n                  => "4"
            RPUSH l 1              => :1
            SETBIT l 0 1           => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn counting() {
        check(
            r#"
            SET s foobar           => +OK
            BITCOUNT s             => :26
            BITCOUNT s 0 0         => :4
            BITCOUNT s 1 1 BYTE    => :6
            BITCOUNT s 5 30 BIT    => :17
            BITCOUNT s -6 -1       => :26
            BITCOUNT s -2 -5       => :0
            BITCOUNT s -100 -50    => :4
            BITCOUNT s 100 200     => :0
            BITCOUNT s -9223372036854775808 9223372036854775807 BIT => :26
            BITCOUNT none          => :0
            BITCOUNT s 0           => -ERR syntax error
            BITCOUNT s x           => -ERR syntax error
            BITCOUNT s 0 x FOO     => -ERR value is not an integer or out of range
            BITCOUNT s x 1 BIT BIT => -ERR syntax error
            BITCOUNT s 0 -1 FOO    => -ERR syntax error
            BITCOUNT s 0 x         => -ERR value is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn finding() {
        check(
            r#"
            SET s foobar           => +OK
            BITPOS s 1             => :1
            BITPOS s 0             => :0
            SETBIT one 7 1         => :0
            BITPOS one 1 -1 -2     => :7
            BITPOS one 1 -1 -2 BIT => :-1
            BITCOUNT one -1 -2     => :0
            BITPOS none 1          => :-1
            BITPOS none 0 1        => :0
            BITPOS s 2             => -ERR The bit argument must be 1 or 0.
            SET f "\xff\xff"       => +OK
            BITPOS f 0             => :16
            BITPOS f 0 -1          => :16
            BITPOS f 0 2           => :-1
            BITPOS f 0 0 -1        => :-1
            BITPOS f 1 5           => :-1
            BITPOS f 1 1 1 BIT     => :1
            BITPOS f 1 -9 -1 BIT   => :7
            SET z "\x00\x00"       => +OK
            BITPOS z 1             => :-1
            BITPOS z 0 9 10 BIT    => :9
            BITPOS z 0 8 9 FOO     => -ERR syntax error
            BITPOS z 0 8 x FOO     => -ERR syntax error
            BITPOS z 0 x 9 FOO     => -ERR value is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn combining() {
        check(
            r#"
            MSET s foobar f "\xff\xff" => +OK
            BITOP AND d s f        => :6
              ! new d, set d
            GET d                  => "fo\x00\x00\x00\x00"
            BITOP OR d f s none    => :6
            GET d                  => "\xff\xffobar"
            BITOP XOR d s s        => :6
            GET d                  => "\x00\x00\x00\x00\x00\x00"
            BITOP NOT d f          => :2
            GET d                  => "\x00\x00"
            BITOP NOT d none       => :0
              ! keymiss none, del d
              > BITOP NOT d none
            BITOP AND d none       => :0
              > nothing
            BITOP NOT d f s        => -ERR BITOP NOT must be called with a single source key.
            BITOP FOO d f          => -ERR syntax error
            BITOP DIFF d s         => -ERR BITOP DIFF must be called with at least two source keys.
            BITOP diff1 d s        => -ERR BITOP DIFF1 must be called with at least two source keys.
            MSET x "\x0f\xf0" y "\x05" z "\x06\x01" n 12 => +OK
            BITOP DIFF d x y z     => :2
            GET d                  => "\x08\xf0"
            BITOP DIFF1 d x y z    => :2
            GET d                  => "\x00\x01"
            BITOP ANDOR d x y z    => :2
            GET d                  => "\x07\x00"
            BITOP ONE d x y z      => :2
            GET d                  => "\x08\xf1"
            BITOP ONE d x          => :2
            BITOP OR d n n         => :2
            GET d                  => "12"
            BITOP AND d d d        => :2
            RPUSH l 1              => :1
            BITOP OR d s l         => -WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn counts_and_positions_agree_with_bit_by_bit() {
        let mut rng = Rng::new(3);
        for _ in 0..5000 {
            let text: Vec<u8> =
                (0..=rng.index(40)).map(|_| *[0, 0xff, 0x10, 0xfe].get(rng.index(4)).unwrap_or(&0)).collect();
            let total = text.len() as u64 * 8;
            let start = rng.below(total);
            let end = start + rng.below(total - start + 1);
            let bit = |at: &u64| text[(at / 8) as usize] & (0x80 >> (at % 8)) != 0;
            assert_eq!(
                count_bits(&text, start..end),
                (start..end).filter(bit).count() as u64,
                "{start}..{end} of {text:?}"
            );
            for on in [false, true] {
                let expected = (start..end).find(|at| bit(at) == on);
                assert_eq!(find_bit(&text, start..end, on), expected, "{on} in {start}..{end} of {text:?}");
            }
        }
    }
}
