//! LCS: the longest common subsequence of two strings by dynamic programming.
//!
//! The length alone needs two rows of the table. To walk back through it, all of it is needed: its size is limited
//! by `proto-max-bulk-len` as any other memory that one request can ask for.

use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::string::StrRef;

pub(super) const LCS: Command = Command {
    name: "lcs",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    group: Group::String,
    keys: &[KeySpec::range(1, 1, 1, KeyFlags::READ)],
    since: "7.0.0",
    complexity: "O(N*M) for values of N and M bytes.",
    summary: "Finds the longest common subsequence of two string values.",
    args: &[
        Arg::key("key1"),
        Arg::key("key2"),
        Arg::word("len", "LEN").optional(),
        Arg::word("idx", "IDX").optional(),
        Arg::integer("min-match-len").token("MINMATCHLEN").optional(),
        Arg::word("withmatchlen", "WITHMATCHLEN").optional(),
    ],
    run: lcs,
    ..Command::BASE
};

fn lcs(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    // Both are looked up, whatever the first one is.
    let (a, b) = (operand(ctx, args.next()?), operand(ctx, args.next()?));
    let (a, b) = (a?, b?);
    let options = Options::parse(args)?;
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    if cells > ctx.config.string_len_max / size_of::<u32>() as u64 {
        return Err(CommandError::Text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    if options.len {
        ctx.out.integer(i64::from(length(&a, &b)));
        return Ok(Outcome::Done);
    }
    let table = Table::new(&a, &b)?;
    if !options.idx {
        ctx.out.bulk(&table.common(&a, &b));
        return Ok(Outcome::Done);
    }
    let mut matches = table.matches(&a, &b);
    matches.retain(|found| i64::from(found.len) >= options.min_match_len);
    ctx.out.map(2);
    ctx.out.bulk(b"matches");
    ctx.out.array(matches.len());
    for found in &matches {
        ctx.out.array(if options.with_match_len { 3 } else { 2 });
        for start in [found.a, found.b] {
            ctx.out.array(2);
            ctx.out.integer(i64::from(start));
            ctx.out.integer(i64::from(start + found.len) - 1);
        }
        if options.with_match_len {
            ctx.out.integer(i64::from(found.len));
        }
    }
    ctx.out.bulk(b"len");
    ctx.out.integer(i64::from(table.at(a.len(), b.len())));
    Ok(Outcome::Done)
}

#[derive(Debug, Default)]
struct Options {
    len: bool,
    idx: bool,
    min_match_len: i64,
    with_match_len: bool,
}

impl Options {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut options = Options::default();
        while !args.is_done() {
            if args.keyword("LEN") {
                options.len = true;
            } else if args.keyword("IDX") {
                options.idx = true;
            } else if args.keyword("WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.keyword("MINMATCHLEN") {
                options.min_match_len = args.i64()?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.len && options.idx {
            return Err(CommandError::Text("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

/// The string at `key`; a missing one is empty.
fn operand(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    let value =
        ctx.db.read_string(key).map_err(|_| CommandError::Text("ERR The specified keys must contain string values"))?;
    Ok(value.map_or(Vec::new(), StrRef::to_vec))
}

/// The length of the longest common subsequence.
fn length(a: &[u8], b: &[u8]) -> u32 {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Two equal stretches: `len` bytes at `a` in one string and at `b` in the other.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Match {
    a: u32,
    b: u32,
    len: u32,
}

/// The lengths for all pairs of prefixes.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Result<Self, CommandError> {
        let width = b.len() + 1;
        let mut cells = Vec::new();
        let size = (a.len() + 1) * width;
        cells
            .try_reserve_exact(size)
            .map_err(|_| CommandError::Text("ERR Insufficient memory, failed allocating transient memory for LCS"))?;
        cells.resize(size, 0u32);
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                cells[i * width + j] = if a[i - 1] == b[j - 1] {
                    cells[(i - 1) * width + j - 1] + 1
                } else {
                    cells[(i - 1) * width + j].max(cells[i * width + j - 1])
                };
            }
        }
        Ok(Table { cells, width })
    }

    /// The length for the first `i` bytes of one and the first `j` of the other.
    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// Calls `f` with the positions of each common byte, from the end to the beginning.
    fn walk_back(&self, a: &[u8], b: &[u8], mut f: impl FnMut(usize, usize)) {
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                i -= 1;
                j -= 1;
                f(i, j);
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }

    /// The subsequence itself.
    fn common(&self, a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.at(a.len(), b.len()) as usize);
        self.walk_back(a, b, |i, _| bytes.push(a[i]));
        bytes.reverse();
        bytes
    }

    /// The equal stretches it consists of, the last one first.
    fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        self.walk_back(a, b, |i, j| {
            let (i, j) = (i as u32, j as u32);
            match matches.last_mut() {
                Some(last) if last.a == i + 1 && last.b == j + 1 => *last = Match { a: i, b: j, len: last.len + 1 },
                _ => matches.push(Match { a: i, b: j, len: 1 }),
            }
        });
        matches
    }
}
