//! LZF, the compression of RDB strings and of quicklist nodes.
//!
//! The stream is a sequence of
//!
//! ```text
//! 000LLLLL + L+1 bytes                      literals, 1–32
//! LLLooooo oooooooo                         copy L+2 bytes (3–8) from o+1 bytes back
//! 111ooooo LLLLLLLL oooooooo                copy L+9 bytes (9–264) from o+1 bytes back
//! ```
//!
//! A copy may overlap what it writes (distance below length repeats a pattern). Written from that description: the
//! compressed bytes differ from those of other compressors, any decompressor reads them.

/// Longest distance of a copy, in bytes.
const DISTANCE_MAX: usize = 1 << 13;
/// Longest copy, in bytes.
const COPY_MAX: usize = 264;
/// Longest run of literals, in bytes.
const LITERALS_MAX: usize = 32;
/// Slots of the table of recent three-byte sequences, as a power of two.
const TABLE_BITS: u32 = 13;

/// Why a stream could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LzfError {
    /// The stream is malformed or does not yield the announced length.
    Corrupt,
    /// There is no memory for the announced length.
    OutOfMemory,
}

impl std::fmt::Display for LzfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "corrupt LZF data",
            Self::OutOfMemory => "not enough memory to decompress LZF data",
        })
    }
}

impl std::error::Error for LzfError {}

/// Compresses one text after the other. Its table is cleared by counting on, not by writing: what a short text costs
/// does not depend on the size of the table.
#[derive(Clone)]
pub struct Compressor {
    /// Where each hash was seen last: position in the text, plus `base`, plus one.
    table: Box<[u32; 1 << TABLE_BITS]>,
    /// Whatever is not above it comes from an earlier text.
    base: u32,
}

impl Default for Compressor {
    fn default() -> Self {
        let table = vec![0; 1 << TABLE_BITS].into_boxed_slice().try_into().expect("the size given just before");
        Compressor { table, base: 0 }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// Appends the compressed form of `input` to `out`; see [`Compressor::compress`], which is faster for many texts.
pub fn compress(input: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Option<usize> {
    Compressor::default().compress(input, bytes_max, out)
}

impl Compressor {
    /// Appends the compressed form of `input` to `out` and returns its length in bytes; `None`, with `out` as before,
    /// when it would take more than `bytes_max`.
    pub fn compress(&mut self, input: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Option<usize> {
        // Inputs of 4 GiB and more are not compressed: positions have 32 bits.
        if input.len() < 4 || u32::try_from(input.len()).is_err() {
            return None;
        }
        match self.base.checked_add(input.len() as u32) {
            Some(_) => {}
            None => {
                self.table.fill(0);
                self.base = 0;
            }
        }
        let len = compress_with(&mut self.table, self.base, input, bytes_max, out);
        // Cannot overflow: checked above, or the base is 0.
        self.base += input.len() as u32;
        len
    }
}

fn compress_with(
    table: &mut [u32; 1 << TABLE_BITS],
    base: u32,
    input: &[u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let before = out.len();
    let (mut at, mut literals_from) = (0, 0);
    let fits = |out: &Vec<u8>, more: usize| out.len() - before + more <= bytes_max;
    // The last two bytes begin no sequence.
    while at + 2 < input.len() {
        let slot = &mut table[hash(input[at], input[at + 1], input[at + 2])];
        // Zero for what an earlier text left behind.
        let candidate = slot.saturating_sub(base) as usize;
        *slot = base + at as u32 + 1;
        let len = match candidate.checked_sub(1) {
            Some(from) if at - from <= DISTANCE_MAX => match_len(input, from, at),
            _ => 0,
        };
        if len < 3 {
            at += 1;
            if at - literals_from == LITERALS_MAX {
                if !fits(out, LITERALS_MAX + 1) {
                    out.truncate(before);
                    return None;
                }
                write_literals(out, &input[literals_from..at]);
                literals_from = at;
            }
            continue;
        }
        let literals = at - literals_from;
        if !fits(out, literals + usize::from(literals > 0) + 2 + usize::from(len > 8)) {
            out.truncate(before);
            return None;
        }
        if literals > 0 {
            write_literals(out, &input[literals_from..at]);
        }
        let offset = at - (candidate - 1) - 1;
        if len <= 8 {
            out.push(((len - 2) << 5 | offset >> 8) as u8);
        } else {
            out.push((7 << 5 | offset >> 8) as u8);
            out.push((len - 9) as u8);
        }
        out.push(offset as u8);
        // Remember a sequence near the end of the copy too; all of them cost more than they save.
        let end = at + len;
        for at in [end - 2, end - 1] {
            if at + 2 < input.len() {
                table[hash(input[at], input[at + 1], input[at + 2])] = base + at as u32 + 1;
            }
        }
        (at, literals_from) = (end, end);
    }
    for run in input[literals_from..].chunks(LITERALS_MAX) {
        if !fits(out, run.len() + 1) {
            out.truncate(before);
            return None;
        }
        write_literals(out, run);
    }
    if !fits(out, 0) {
        out.truncate(before);
        return None;
    }
    Some(out.len() - before)
}

#[inline(always)]
fn hash(a: u8, b: u8, c: u8) -> usize {
    let sequence = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
    (sequence.wrapping_mul(0x9E37_79B1) >> (32 - TABLE_BITS)) as usize
}

#[inline]
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let longest = (input.len() - at).min(COPY_MAX);
    let (old, new) = (&input[from..from + longest], &input[at..at + longest]);
    let mut len = 0;
    while let (Some(a), Some(b)) = (old[len..].first_chunk::<8>(), new[len..].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + old[len..].iter().zip(&new[len..]).take_while(|(a, b)| a == b).count()
}

#[inline]
fn write_literals(out: &mut Vec<u8>, literals: &[u8]) {
    out.push(literals.len() as u8 - 1);
    out.extend_from_slice(literals);
}

/// Decompresses `input`, which must yield exactly `raw_len` bytes.
///
/// # Errors
/// [`LzfError::Corrupt`] for anything malformed; [`LzfError::OutOfMemory`] when `raw_len` bytes are not to be had.
pub fn decompress(input: &[u8], raw_len: usize) -> Result<Vec<u8>, LzfError> {
    let mut out = Vec::new();
    decompress_into(input, raw_len, &mut out)?;
    Ok(out)
}

/// As [`decompress`], into `out` (cleared first), whose memory is reused.
pub fn decompress_into(input: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), LzfError> {
    out.clear();
    // Three bytes yield at most 264: no need to believe an absurd announcement.
    if raw_len / COPY_MAX > input.len() {
        return Err(LzfError::Corrupt);
    }
    out.try_reserve_exact(raw_len).map_err(|_| LzfError::OutOfMemory)?;
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        rest = after;
        if control < 32 {
            let (literals, after) = rest.split_at_checked(usize::from(control) + 1).ok_or(LzfError::Corrupt)?;
            if out.len() + literals.len() > raw_len {
                return Err(LzfError::Corrupt);
            }
            out.extend_from_slice(literals);
            rest = after;
            continue;
        }
        let mut len = usize::from(control >> 5);
        if len == 7 {
            let (&more, after) = rest.split_first().ok_or(LzfError::Corrupt)?;
            len += usize::from(more);
            rest = after;
        }
        len += 2;
        let (&low, after) = rest.split_first().ok_or(LzfError::Corrupt)?;
        rest = after;
        let distance = (usize::from(control & 0x1F) << 8 | usize::from(low)) + 1;
        if distance > out.len() || out.len() + len > raw_len {
            return Err(LzfError::Corrupt);
        }
        let mut from = out.len() - distance;
        // A copy that overlaps itself doubles what it can copy each time.
        while len > 0 {
            let step = len.min(out.len() - from);
            out.extend_from_within(from..from + step);
            from += step;
            len -= step;
        }
    }
    if out.len() == raw_len { Ok(()) } else { Err(LzfError::Corrupt) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(input: &[u8]) -> usize {
        let mut out = b"before".to_vec();
        let Some(len) = compress(input, usize::MAX, &mut out) else {
            assert!(input.len() < 4);
            return input.len();
        };
        assert_eq!((&out[..6], out.len()), (&b"before"[..], 6 + len));
        assert_eq!(decompress(&out[6..], input.len()).as_deref(), Ok(input));
        for wrong in [input.len() - 1, input.len() + 1] {
            assert_eq!(decompress(&out[6..], wrong), Err(LzfError::Corrupt));
        }
        if len > 0 {
            let mut short = Vec::new();
            assert_eq!(compress(input, len - 1, &mut short), None);
            assert!(short.is_empty());
            assert_eq!(compress(input, len, &mut short), Some(len));
        }
        len
    }

    #[test]
    fn repetition_shrinks() {
        assert!(round_trip(&[b'a'; 10_000]) < 130);
        assert!(round_trip(&b"hello world ".repeat(100)) < 40);
        let far: Vec<u8> = (0..20_000u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        round_trip(&[&far[..], &far[..9000]].concat());
    }

    #[test]
    fn reads_what_the_format_says() {
        // Three literals, a short copy that overlaps itself, a long copy.
        assert_eq!(decompress(b"\x02abc\x60\x00", 8).as_deref(), Ok(&b"abcccccc"[..8]));
        assert_eq!(decompress(b"\x00x\xE0\x01\x00", 11).as_deref(), Ok(&[b'x'; 11][..]));
        for corrupt in [&b"\x02ab"[..], b"\x20\x00", b"\x00x\x20\x01", b"\x00x\xE0", b"\x00x\xE0\x01", b"\x00x\x20"] {
            assert_eq!(decompress(corrupt, 4), Err(LzfError::Corrupt), "{corrupt:?}");
        }
        assert_eq!(decompress(b"\x00x", usize::MAX), Err(LzfError::Corrupt));
    }

    #[test]
    fn reads_what_redis_wrote() {
        // From a DUMP by Redis 8.0.
        let stream = b"\rhello world, h`\x0C\x04redis\xC0\x0C\xE0%\x19\0a\xE0\xFF\0\xE0\x1A\0\x05the en\xE1\x03u\x01is";
        let text = ["hello world, hello redis, ".repeat(3), "a".repeat(300), "the end, hello redis".into()].concat();
        assert_eq!(decompress(stream, 398).as_deref(), Ok(text.as_bytes()));
        let mut ours = Vec::new();
        assert!(compress(text.as_bytes(), 398, &mut ours).is_some_and(|len| len <= stream.len() + 2));
    }

    proptest! {
        #[test]
        fn round_trips(seed in prop::collection::vec(any::<u8>(), 1..40), picks in prop::collection::vec((any::<prop::sample::Index>(), 1..40usize), 0..200)) {
            // Text made of pieces of a small seed: matches of all lengths and distances.
            let mut input = Vec::new();
            for (index, len) in picks {
                let at = index.index(seed.len());
                input.extend_from_slice(&seed[at..(at + len).min(seed.len())]);
            }
            round_trip(&input);
        }

        #[test]
        fn noise_is_refused_without_panic(input in prop::collection::vec(any::<u8>(), 0..300), raw_len in 0..5000usize) {
            let _ = decompress(&input, raw_len);
        }
    }
}
