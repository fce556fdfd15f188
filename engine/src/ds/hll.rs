//! HyperLogLog in Redis' byte format: a string that estimates how many different elements it has seen.
//!
//! ```text
//! "HYLL" | encoding u8 | 3 unused | cached estimate u64 LE, highest bit: outdated | registers
//! dense:  16,384 registers of 6 bits, the lowest bits of the first byte first: 12,288 bytes
//! sparse: runs of equal registers
//!           00llllll            l+1 registers of 0
//!           01llllll llllllll   l+1 registers of 0
//!           1vvvvvll            l+1 registers of v+1
//! ```
//!
//! 14 bits of an element's hash choose a register; it keeps the greatest number of zeros, plus one, that the other 50 bits of
//! any element began with. The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017),
//! which needs the histogram of the registers only.
//!
//! Any client can write any bytes into a string, so everything here checks what it reads: [`encoding`] what can be told from
//! the header, the rest while it walks.

mod dense;
mod estimate;
mod hash;

pub use dense::{Registers, set_simd};
pub use estimate::Histogram;

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;

/// Bits of a hash whose zeros are counted.
const RANK_BITS: u32 = 64 - INDEX_BITS;

/// Bytes before the registers.
pub const HEADER: usize = 16;

/// Bytes of a dense one.
pub const DENSE_LEN: usize = HEADER + REGISTERS * 6 / 8;

/// A sparse one covers at least one register with each two bytes.
const SPARSE_LEN_MAX: usize = HEADER + 2 * REGISTERS;

/// Greatest register of a sparse one.
const SPARSE_VALUE_MAX: u8 = 32;

/// Longest run of a value.
const VALUE_RUN_MAX: usize = 4;

/// Longest run of zeros in one byte.
const SHORT_ZEROS_MAX: usize = 64;

/// Runs that are looked at after a change, to join neighbours of the same value: the change itself touches three.
const JOIN_RUNS: usize = 5;

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs.
    Sparse,
}

/// The registers are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Bytes that a sketch lives in.
pub trait Storage {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// The bytes, to be overwritten.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Puts `new` in the place of the `old` bytes from `at` on.
    fn splice(&mut self, at: usize, old: usize, new: &[u8]);
    /// Puts other bytes in the place of all.
    fn assign(&mut self, bytes: &[u8]) {
        self.splice(0, self.bytes().len(), bytes);
    }
}

impl Storage for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
    fn splice(&mut self, at: usize, old: usize, new: &[u8]) {
        Vec::splice(self, at..at + old, new.iter().copied());
    }
}

/// An empty one: sparse, its estimate outdated.
pub const EMPTY: [u8; HEADER + 2] = {
    let mut bytes = [0; HEADER + 2];
    let (magic, zeros) = (*b"HYLL\x01", long_zeros(REGISTERS));
    let mut i = 0;
    while i < magic.len() {
        bytes[i] = magic[i];
        i += 1;
    }
    bytes[HEADER - 1] = OUTDATED;
    (bytes[HEADER], bytes[HEADER + 1]) = (zeros[0], zeros[1]);
    bytes
};

/// Bit of the header's last byte that tells that the cached estimate is none.
const OUTDATED: u8 = 0x80;

/// The encoding of `bytes`, `None` when they are no HyperLogLog.
#[must_use]
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    match bytes.first_chunk::<HEADER>()? {
        [b'H', b'Y', b'L', b'L', 0, ..] if bytes.len() == DENSE_LEN => Some(Encoding::Dense),
        [b'H', b'Y', b'L', b'L', 1, ..] => Some(Encoding::Sparse),
        _ => None,
    }
}

/// The estimate that was made last, unless the registers have changed since. `bytes` have an [`encoding`].
#[must_use]
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let estimate = u64::from_le_bytes(*bytes[8..].first_chunk().expect("there is a header"));
    (estimate >> 63 == 0).then_some(estimate)
}

/// Keeps an estimate. `bytes` have an [`encoding`].
pub fn cache(bytes: &mut [u8], estimate: u64) {
    bytes[8..HEADER].copy_from_slice(&(estimate & (u64::MAX >> 1)).to_le_bytes());
}

/// Forgets the estimate. `bytes` have an [`encoding`].
pub fn outdate(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= OUTDATED;
}

/// The register that an element belongs to, and the least that it holds once the element is in.
#[inline]
#[must_use]
pub fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash::murmur64a(element);
    // A one behind the last bit ends the count.
    let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
    (hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// Adds an element; answers whether a register changed. A sparse one that would grow beyond `sparse_len_max` bytes, or hold a
/// value that it cannot, becomes dense. The cached estimate is left as it is.
///
/// # Errors
/// [`Corrupt`], with nothing changed.
#[inline]
pub fn add<S: Storage>(storage: &mut S, element: &[u8], sparse_len_max: usize) -> Result<bool, Corrupt> {
    let (index, value) = place(element);
    raise(storage, index, value, sparse_len_max)
}

/// Raises a register to `value`; answers whether it was less. As [`add`] in all else.
///
/// # Errors
/// [`Corrupt`], with nothing changed.
#[inline]
pub fn raise<S: Storage>(storage: &mut S, index: usize, value: u8, sparse_len_max: usize) -> Result<bool, Corrupt> {
    match encoding(storage.bytes()).ok_or(Corrupt)? {
        Encoding::Dense => Ok(dense::raise(&mut storage.bytes_mut()[HEADER..], index, value)),
        Encoding::Sparse => raise_sparse(storage, index, value, sparse_len_max),
    }
}

/// Makes a sparse one dense; answers whether it was sparse.
///
/// # Errors
/// [`Corrupt`], with nothing changed.
pub fn make_dense<S: Storage>(storage: &mut S) -> Result<bool, Corrupt> {
    if encoding(storage.bytes()).ok_or(Corrupt)? == Encoding::Dense {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_LEN];
    dense[..HEADER].copy_from_slice(&storage.bytes()[..HEADER]);
    dense[4] = 0;
    let mut index = 0;
    for run in runs(storage.bytes()) {
        let run = run?;
        if run.value > 0 {
            (index..index + run.len).for_each(|index| {
                dense::raise(&mut dense[HEADER..], index, run.value);
            });
        }
        index += run.len;
    }
    storage.assign(&dense);
    Ok(true)
}

/// Estimates the number of different elements.
///
/// # Errors
/// [`Corrupt`].
pub fn estimate(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::default();
    match encoding(bytes).ok_or(Corrupt)? {
        Encoding::Dense => {
            let mut registers = Registers::default();
            registers.merge_dense(&bytes[HEADER..]);
            return Ok(registers.estimate());
        }
        Encoding::Sparse => {
            for run in runs(bytes) {
                let run = run?;
                histogram.add(run.value, run.len as u32);
            }
        }
    }
    Ok(histogram.estimate())
}

/// Merges a sketch into `registers`.
///
/// # Errors
/// [`Corrupt`], with a part of it merged.
pub fn merge(registers: &mut Registers, bytes: &[u8]) -> Result<(), Corrupt> {
    match encoding(bytes).ok_or(Corrupt)? {
        Encoding::Dense => registers.merge_dense(&bytes[HEADER..]),
        Encoding::Sparse => {
            let mut index = 0;
            for run in runs(bytes) {
                let run = run?;
                registers.raise(index..index + run.len, run.value);
                index += run.len;
            }
        }
    }
    Ok(())
}

/// Puts what was merged into a sketch that is among what was merged.
///
/// # Errors
/// [`Corrupt`], with a part of it written.
pub fn store<S: Storage>(storage: &mut S, registers: &Registers, sparse_len_max: usize) -> Result<(), Corrupt> {
    let mut values = registers.values().iter().enumerate().filter(|&(_, &value)| value > 0);
    while encoding(storage.bytes()).ok_or(Corrupt)? == Encoding::Sparse {
        let Some((index, &value)) = values.next() else { return Ok(()) };
        raise_sparse(storage, index, value, sparse_len_max)?;
    }
    registers.write_dense(&mut storage.bytes_mut()[HEADER..]);
    Ok(())
}

/// Calls `see` with the runs of a sparse one: value and length, and whether zeros are spelled in two bytes. They are shown as
/// they stand there, whether or not they add up.
pub fn for_each_run(bytes: &[u8], mut see: impl FnMut(u8, usize, bool)) {
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while let Some(run) = Run::read(rest) {
        see(run.value, run.len, run.bytes == 2);
        rest = &rest[run.bytes..];
    }
}

/// Equal registers in a sparse one.
#[derive(Clone, Copy, Debug)]
struct Run {
    value: u8,
    len: usize,
    bytes: usize,
}

impl Run {
    /// The run at the beginning of `bytes`, `None` at the end or when it is cut off.
    #[inline]
    fn read(bytes: &[u8]) -> Option<Run> {
        let (&first, rest) = bytes.split_first()?;
        Some(match first >> 6 {
            0 => Run { value: 0, len: usize::from(first) + 1, bytes: 1 },
            1 => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(*rest.first()?);
                Run { value: 0, len: len + 1, bytes: 2 }
            }
            _ => Run { value: (first >> 2 & 31) + 1, len: usize::from(first & 3) + 1, bytes: 1 },
        })
    }
}

/// `len` zeros in two bytes.
const fn long_zeros(len: usize) -> [u8; 2] {
    let code = (len - 1) as u16 | 0x4000;
    code.to_be_bytes()
}

/// `len` registers of `value`, which must not be zero.
fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// A few bytes of runs.
#[derive(Default)]
struct Pieces {
    bytes: [u8; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, value: u8, len: usize) {
        let long = long_zeros(len.max(1));
        let short = [len.wrapping_sub(1) as u8];
        self.extend(match (value, len) {
            (_, 0) => &[],
            (0, 1..=SHORT_ZEROS_MAX) => &short,
            (0, _) => &long,
            _ => return self.extend(&[value_run(value, len)]),
        });
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn raise_sparse<S: Storage>(storage: &mut S, index: usize, value: u8, sparse_len_max: usize) -> Result<bool, Corrupt> {
    let bytes = storage.bytes();
    if bytes.len() > SPARSE_LEN_MAX {
        return Err(Corrupt);
    }
    if value > SPARSE_VALUE_MAX {
        return promote(storage, index, value);
    }
    // The run that covers the register, and the one before it.
    let (mut at, mut before, mut start) = (HEADER, None, 0);
    let run = loop {
        let run = Run::read(&bytes[at..]).ok_or(Corrupt)?;
        if index < start + run.len {
            break run;
        }
        start += run.len;
        before = Some(at);
        at += run.bytes;
    };
    if run.value >= value {
        return Ok(false);
    }
    let mut pieces = Pieces::default();
    pieces.push(run.value, index - start);
    pieces.push(value, 1);
    pieces.push(run.value, start + run.len - index - 1);
    if pieces.len > run.bytes && bytes.len() + pieces.len - run.bytes > sparse_len_max {
        return promote(storage, index, value);
    }
    storage.splice(at, run.bytes, pieces.as_bytes());
    join(storage, before.unwrap_or(HEADER));
    Ok(true)
}

/// Raises a register of a sparse one that cannot hold the value.
#[cold]
fn promote<S: Storage>(storage: &mut S, index: usize, value: u8) -> Result<bool, Corrupt> {
    make_dense(storage)?;
    Ok(dense::raise(&mut storage.bytes_mut()[HEADER..], index, value))
}

/// Joins neighbours of the same value among the runs from `at` on.
fn join<S: Storage>(storage: &mut S, mut at: usize) {
    for _ in 0..JOIN_RUNS {
        let Some(run) = storage.bytes().get(at..).and_then(Run::read) else { return };
        let next = at + run.bytes;
        let joined = storage
            .bytes()
            .get(next..)
            .and_then(Run::read)
            .filter(|other| run.value > 0 && other.value == run.value && run.len + other.len <= VALUE_RUN_MAX)
            .map(|other| value_run(run.value, run.len + other.len));
        match joined {
            Some(joined) => storage.splice(at, 2, &[joined]),
            None => at = next,
        }
    }
}

/// The runs of a sparse one. They cover all registers, or an error ends them.
fn runs(bytes: &[u8]) -> impl Iterator<Item = Result<Run, Corrupt>> {
    let (mut rest, mut covered) = (&bytes[HEADER..], 0);
    std::iter::from_fn(move || {
        if covered > REGISTERS || (rest.is_empty() && covered == REGISTERS) {
            return None;
        }
        let run = Run::read(rest).filter(|run| covered + run.len <= REGISTERS);
        let Some(run) = run else {
            covered = REGISTERS + 1;
            return Some(Err(Corrupt));
        };
        rest = &rest[run.bytes..];
        covered += run.len;
        Some(Ok(run))
    })
}

#[cfg(test)]
mod tests;
