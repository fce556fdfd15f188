//! BITFIELD: integers of any width at any place of a string.

use super::{BAD_OFFSET, check_offset};
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, InvalidArguments, KeyFlags, KeyRef, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::types::string::StrRef;

pub(super) const BITFIELD: Command = Command {
    name: "bitfield",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE).and(KeyFlags::VARIABLE_FLAGS))
        .notes("GET only reads, SET and INCRBY also write.")],
    since: "3.2.0",
    complexity: "O(1) for each operation.",
    summary: "Reads and changes integers of any width inside a string value.",
    args: &[
        Arg::key("key"),
        Arg::one_of(
            "operation",
            &[
                Arg::block("get-block", &[Arg::string("encoding"), Arg::integer("offset")]).token("GET"),
                Arg::block(
                    "write",
                    &[
                        Arg::one_of(
                            "overflow-block",
                            &[Arg::word("wrap", "WRAP"), Arg::word("sat", "SAT"), Arg::word("fail", "FAIL")],
                        )
                        .token("OVERFLOW")
                        .optional(),
                        Arg::one_of(
                            "write-operation",
                            &[
                                Arg::block(
                                    "set-block",
                                    &[Arg::string("encoding"), Arg::integer("offset"), Arg::integer("value")],
                                )
                                .token("SET"),
                                Arg::block(
                                    "incrby-block",
                                    &[Arg::string("encoding"), Arg::integer("offset"), Arg::integer("increment")],
                                )
                                .token("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .many(),
    ],
    find_keys: Some(bitfield_keys),
    run: bitfield,
    ..Command::BASE
};

/// GET only reads.
fn bitfield_keys(argv: &[&[u8]], keys: &mut Vec<KeyRef>) -> Result<(), InvalidArguments> {
    let writes = |word: &&&[u8]| word.eq_ignore_ascii_case(b"SET") || word.eq_ignore_ascii_case(b"INCRBY");
    let flags = match argv.iter().skip(2).find(writes) {
        Some(_) => KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE),
        None => KeyFlags::READ,
    };
    keys.push(KeyRef { index: 1, flags });
    Ok(())
}

pub(super) const BITFIELD_RO: Command = Command {
    name: "bitfield_ro",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Bitmap,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.0.0",
    complexity: "O(1) for each operation.",
    summary: "Reads integers of any width inside a string value.",
    args: &[
        Arg::key("key"),
        Arg::block("get-block", &[Arg::string("encoding"), Arg::integer("offset")])
            .token("GET")
            .optional()
            .many_tokens(),
    ],
    run: bitfield_ro,
    ..Command::BASE
};

/// What happens to a result that does not fit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Overflow {
    /// It loses its upper bits.
    Wrap,
    /// It becomes the smallest or the largest value.
    Saturate,
    /// The operation is not done.
    Fail,
}

/// Width and sign of an integer: i1 to i64, u1 to u63.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Field {
    signed: bool,
    bits: u32,
}

impl Field {
    fn parse(text: &[u8]) -> Option<Self> {
        let (signed, max) = match text.first()? {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let bits = resp::number::parse_i64(&text[1..])?;
        (1..=max).contains(&bits).then_some(Field { signed, bits: bits as u32 })
    }

    fn min(self) -> i128 {
        if self.signed { -(1 << (self.bits - 1)) } else { 0 }
    }

    fn max(self) -> i128 {
        if self.signed { (1 << (self.bits - 1)) - 1 } else { (1 << self.bits) - 1 }
    }

    /// Makes `value` fit; `None` when the operation fails.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        if (self.min()..=self.max()).contains(&value) {
            return Some(value);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(value.clamp(self.min(), self.max())),
            Overflow::Wrap => Some(self.sign(value as u64 & self.mask())),
        }
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The value of these bits.
    fn sign(self, raw: u64) -> i128 {
        let value = i128::from(raw);
        if self.signed && value > self.max() { value - (1 << self.bits) } else { value }
    }

    /// What SET stores for an argument: an unsigned field takes it as a 64-bit pattern. So does a signed one when it is so
    /// far below that the distance to the greatest value does not fit 64 bits: Redis saturates it at the upper end.
    fn argument(self, value: i64) -> i128 {
        let far_below = (self.max() - i128::from(value)) > i128::from(i64::MAX);
        if self.signed && !(self.bits < 64 && far_below) { i128::from(value) } else { i128::from(value as u64) }
    }

    /// Reads the field at bit `offset`; what lies behind the end is zero.
    fn read(self, text: &[u8], offset: u64) -> i128 {
        let first = (offset / 8) as usize;
        // At most 64 bits that begin anywhere in a byte: nine bytes.
        let mut bytes = [0; 16];
        let present = text.get(first..).unwrap_or_default();
        let n = present.len().min(9);
        bytes[..n].copy_from_slice(&present[..n]);
        let shift = 128 - (offset % 8) as u32 - self.bits;
        self.sign((u128::from_be_bytes(bytes) >> shift) as u64 & self.mask())
    }

    /// Writes the field at bit `offset`; the string must be long enough.
    fn write(self, text: &mut [u8], offset: u64, value: i128) {
        let (first, end) = ((offset / 8) as usize, self.end(offset));
        let cells = &mut text[first..end];
        let mut bytes = [0; 16];
        bytes[..cells.len()].copy_from_slice(cells);
        let shift = 128 - (offset % 8) as u32 - self.bits;
        let mask = u128::from(self.mask()) << shift;
        let merged = u128::from_be_bytes(bytes) & !mask | (value as u128) << shift & mask;
        let n = cells.len();
        cells.copy_from_slice(&merged.to_be_bytes()[..n]);
    }

    /// How many bytes a string must have to hold the field at bit `offset`.
    fn end(self, offset: u64) -> usize {
        (offset + u64::from(self.bits)).div_ceil(8) as usize
    }
}

#[derive(Copy, Clone, Debug)]
enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

impl Action {
    fn writes(self) -> bool {
        !matches!(self, Action::Get)
    }
}

#[derive(Copy, Clone, Debug)]
struct Operation {
    action: Action,
    field: Field,
    offset: u64,
    overflow: Overflow,
}

fn parse(ctx: &Ctx<'_>, args: &mut Args<'_>, readonly: bool) -> Result<Vec<Operation>, CommandError> {
    let (mut operations, mut overflow) = (Vec::new(), Overflow::Wrap);
    while !args.is_done() {
        if args.left() >= 2 && args.keyword("OVERFLOW") {
            overflow = if args.keyword("WRAP") {
                Overflow::Wrap
            } else if args.keyword("SAT") {
                Overflow::Saturate
            } else if args.keyword("FAIL") {
                Overflow::Fail
            } else {
                return Err(CommandError::Text("ERR Invalid OVERFLOW type specified"));
            };
            continue;
        }
        let action = match args.next()? {
            word if word.eq_ignore_ascii_case(b"GET") && args.left() >= 2 => Action::Get,
            word if word.eq_ignore_ascii_case(b"SET") && args.left() >= 3 => Action::Set(0),
            word if word.eq_ignore_ascii_case(b"INCRBY") && args.left() >= 3 => Action::IncrBy(0),
            _ => return Err(CommandError::Syntax),
        };
        let field = Field::parse(args.next()?).ok_or(CommandError::Text(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))?;
        let offset = offset(ctx, args.next()?, field)?;
        let action = match action {
            Action::Get => Action::Get,
            Action::Set(_) => Action::Set(args.i64()?),
            Action::IncrBy(_) => Action::IncrBy(args.i64()?),
        };
        operations.push(Operation { action, field, offset, overflow });
    }
    if readonly && operations.iter().any(|operation| operation.action.writes()) {
        return Err(CommandError::Text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    Ok(operations)
}

/// Reads the place of a field: a bit, or behind `#` a multiple of the field's width.
fn offset(ctx: &Ctx<'_>, text: &[u8], field: Field) -> Result<u64, CommandError> {
    let (digits, unit) = match text {
        [b'#', digits @ ..] => (digits, u64::from(field.bits)),
        digits => (digits, 1),
    };
    let number = resp::number::parse_i64(digits).and_then(|n| u64::try_from(n).ok());
    check_offset(ctx, number.and_then(|n| n.checked_mul(unit)).ok_or(BAD_OFFSET)?)
}

fn bitfield(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let operations = parse(ctx, args, false)?;
    let writes = operations.iter().filter(|operation| operation.action.writes());
    let Some(end) = writes.map(|operation| operation.field.end(operation.offset)).max() else {
        return read_only(ctx, key, &operations);
    };
    // The string grows to hold all that is written, even what then fails: later requests see its length.
    let len = ctx.db.string_for_write(key)?.map(StrRef::len);
    let mut buffer = ctx.db.string_buffer(key)?;
    buffer.grow(end);
    let (mut changes, mut grown) = (0, len.is_none_or(|len| len < end));
    ctx.out.array(operations.len());
    for Operation { action, field, offset, overflow } in operations {
        let before = field.read(buffer.bytes(), offset);
        let after = match action {
            Action::Get => {
                ctx.out.integer(before as i64);
                continue;
            }
            Action::Set(value) => field.fit(field.argument(value), overflow),
            Action::IncrBy(step) => field.fit(before + i128::from(step), overflow),
        };
        let Some(after) = after else {
            ctx.out.null();
            continue;
        };
        if after != before || grown {
            field.write(buffer.bytes_mut(), offset, after);
            changes += 1;
        }
        ctx.out.integer(if matches!(action, Action::Set(_)) { before as i64 } else { after as i64 });
    }
    // Growing counts even when nothing was written: replicas must have the same string.
    grown &= changes == 0;
    if changes > 0 || grown {
        ctx.effects.changed(EventClass::STRING, "setbit", key, changes.max(1));
    }
    Ok(Outcome::Done)
}

fn bitfield_ro(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let operations = parse(ctx, args, true)?;
    read_only(ctx, key, &operations)
}

fn read_only(ctx: &mut Ctx<'_>, key: &[u8], operations: &[Operation]) -> CmdResult {
    let mut digits = itoa::Buffer::new();
    let text = ctx.db.read_string(key)?.map_or(&b""[..], |value| value.text(&mut digits));
    ctx.out.array(operations.len());
    for Operation { field, offset, .. } in operations {
        ctx.out.integer(field.read(text, *offset) as i64);
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::Field;
    use crate::rng::Rng;
    use crate::testing::check;

    #[test]
    fn operations() {
        check(
            r#"
            BITFIELD k                       => []
            BITFIELD k GET u8 0              => [:0]
              > nothing
            BITFIELD k SET u8 0 255          => [:0]
              ! new k, setbit k
            BITFIELD k SET i8 0 100 GET u4 0 => [:-1, :6]
            BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 5 => [:1, :3]
            BITFIELD k OVERFLOW FAIL INCRBY u2 102 5 SET u2 102 5   => [nil, nil]
              > nothing
            BITFIELD k OVERFLOW SAT SET i3 102 -50                  => [:-2]
            BITFIELD k INCRBY i8 #1 127 INCRBY i8 #1 1              => [:127, :-128]
            BITFIELD k GET i64 0             => [:7241788200811757568]
            BITFIELD none OVERFLOW FAIL INCRBY u2 0 5 => [nil]
            EXISTS none                      => :1
            BITFIELD z SET u8 0 0            => [:0]
              > BITFIELD z SET u8 0 0
            BITFIELD_RO k GET u8 0 GET u8 4294967295 => [:100, :0]
            SET n 123                        => +OK
            BITFIELD n SET u8 0 50           => [:49]
            GET n                            => "223"
            "#,
        );
    }

    #[test]
    fn limits() {
        check(
            r#"
            BITFIELD n INCRBY i64 0 9223372036854775807 => [:9223372036854775807]
            BITFIELD n INCRBY i64 0 1                   => [:-9223372036854775808]
            BITFIELD n OVERFLOW SAT INCRBY i64 0 -1     => [:-9223372036854775808]
              > nothing
            BITFIELD n OVERFLOW SAT INCRBY u63 0 9223372036854775807 => [:9223372036854775807]
            BITFIELD n OVERFLOW SAT INCRBY u8 0 -9223372036854775808 => [:0]
            BITFIELD s OVERFLOW SAT SET i5 0 -9223372036854775792 GET i5 0 => [:0, :-16]
            BITFIELD s OVERFLOW SAT SET i5 0 -9223372036854775793 GET i5 0 => [:-16, :15]
            BITFIELD s OVERFLOW WRAP SET i5 0 -9223372036854775793 GET i5 0 => [:15, :15]
            BITFIELD s OVERFLOW FAIL SET i5 0 -9223372036854775793 => [nil]
            BITFIELD t OVERFLOW SAT SET i63 0 -4611686018427387905 GET i63 0 => [:0, :4611686018427387903]
            BITFIELD n OVERFLOW SAT SET i8 0 -129 GET i8 0 SET u8 0 -1 GET u8 0 => [:0, :-128, :128, :255]
            BITFIELD n SET i8 0 200 GET i8 0            => [:-1, :-56]
            "#,
        );
    }

    #[test]
    fn mistakes() {
        const TYPE: &str =
            "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        const OFFSET: &str = "-ERR bit offset is not an integer or out of range";
        const READ_ONLY: &str = "-ERR BITFIELD_RO only supports the GET subcommand";
        for (request, reply) in [
            ("BITFIELD k GET u64 0", TYPE),
            ("BITFIELD k GET i65 0", TYPE),
            ("BITFIELD k GET u0 0", TYPE),
            ("BITFIELD k GET x8 0", TYPE),
            ("BITFIELD k GET i8 -1", OFFSET),
            ("BITFIELD k GET i8 #-1", OFFSET),
            ("BITFIELD k GET i8 4294967296", OFFSET),
            ("BITFIELD k GET i8 #536870912", OFFSET),
            ("BITFIELD k GET i8 #9223372036854775807", OFFSET),
            ("BITFIELD k GET u8", "-ERR syntax error"),
            ("BITFIELD k SET u8 0", "-ERR syntax error"),
            ("BITFIELD k OVERFLOW", "-ERR syntax error"),
            ("BITFIELD k FOO", "-ERR syntax error"),
            ("BITFIELD k SET u8 0 x", "-ERR value is not an integer or out of range"),
            ("BITFIELD k OVERFLOW FOO SET u8 0 1", "-ERR Invalid OVERFLOW type specified"),
            ("BITFIELD_RO k SET u8 0 1", READ_ONLY),
        ] {
            check(&format!("{request} => {reply}"));
        }
        check(
            "RPUSH l 1 => :1\n BITFIELD l SET u8 0 1 => -WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn fields_keep_their_neighbours() {
        let mut rng = Rng::new(5);
        for _ in 0..5000 {
            let field = Field { signed: rng.below(2) == 0, bits: 1 + rng.below(63) as u32 };
            let mut text: Vec<u8> = (0..20).map(|_| rng.next_u64() as u8).collect();
            let offset = rng.below(160 - u64::from(field.bits) + 1);
            let value = field.sign(rng.next_u64() & field.mask());
            let before = text.clone();
            field.write(&mut text, offset, value);
            assert_eq!(field.read(&text, offset), value, "{field:?} at {offset}");
            let bit = |text: &[u8], at: u64| text[(at / 8) as usize] & (0x80 >> (at % 8));
            let inside = offset..offset + u64::from(field.bits);
            for at in (0..160).filter(|at| !inside.contains(at)) {
                assert_eq!(bit(&text, at), bit(&before, at), "{field:?} at {offset} changed bit {at}");
            }
        }
    }
}
