//! DUMP and RESTORE: one value in a string.
//!
//! ```text
//! type  value  version (2 bytes)  checksum of everything before (8 bytes)
//! ```

use std::fmt;
use std::io;

use engine::config::EngineConfig;
use engine::keyspace::Incoming;

use crate::crc64::crc64;
use crate::rdb::format::{VERSION, VERSION_VALKEY, opcode};
use crate::rdb::{Input, Integrity, Output, RdbError, Saved, Target, load_value, save_value};

/// Version and checksum.
const FOOTER: usize = 10;

/// Why a payload could not be restored.
#[derive(Debug)]
pub enum PayloadError {
    /// The version is too new, or the checksum another than that of the bytes.
    Footer,
    /// The value is wrong.
    Value(RdbError),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::Footer => f.write_str("DUMP payload version or checksum are wrong"),
            PayloadError::Value(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let PayloadError::Value(error) = self { Some(error) } else { None }
    }
}

/// The payload of a value.
///
/// # Errors
/// A type of value that has no form in RDB.
pub fn dump(value: Saved<'_>, compress: bool) -> io::Result<Vec<u8>> {
    let mut out = Output::new(Vec::new(), compress, false);
    save_value(&mut out, value, None, &mut Target::default())?;
    out.raw(&VERSION.to_le_bytes());
    let mut payload = out.into_inner()?;
    let checksum = crc64(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    Ok(payload)
}

/// Checks version and checksum of a payload; returns what stands before them, and the version.
fn open(payload: &[u8], check: bool) -> Option<(&[u8], u16)> {
    let body = payload.len().checked_sub(FOOTER)?;
    let (body, footer) = payload.split_at(body);
    let version = u16::from_le_bytes(*footer.first_chunk()?);
    let checksum = u64::from_le_bytes(*footer.last_chunk()?);
    if version > VERSION && version != VERSION_VALKEY {
        return None;
    }
    (!check || crc64(&payload[..payload.len() - 8]) == checksum).then_some((body, version))
}

/// The value of a payload; `restored` is given it, because a string lies in the payload itself. Without `check` the
/// checksum does not matter.
///
/// # Errors
/// [`PayloadError`].
pub fn restore<T>(
    payload: &[u8],
    config: &EngineConfig,
    integrity: Integrity,
    check: bool,
    restored: impl FnOnce(Incoming<'_>) -> T,
) -> Result<T, PayloadError> {
    let (body, version) = open(payload, check).ok_or(PayloadError::Footer)?;
    let mut input = Input::new(body);
    let kind = input.byte().map_err(PayloadError::Value)?;
    let value =
        load_value(&mut input, kind, version == VERSION_VALKEY, config, integrity).map_err(PayloadError::Value)?;
    Ok(restored(value))
}

/// The payload of FUNCTION DUMP: the code of each library.
///
/// # Errors
/// Never in memory; those of the output otherwise.
pub fn dump_functions<'c>(codes: impl Iterator<Item = &'c [u8]>, compress: bool) -> io::Result<Vec<u8>> {
    let mut out = Output::new(Vec::new(), compress, false);
    for code in codes {
        out.byte(opcode::FUNCTION2);
        out.string(code)?;
    }
    out.raw(&VERSION.to_le_bytes());
    let mut payload = out.into_inner()?;
    let checksum = crc64(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    Ok(payload)
}

/// The code of each library in a payload of FUNCTION DUMP.
///
/// # Errors
/// [`PayloadError`].
pub fn restore_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, PayloadError> {
    let (body, _) = open(payload, true).ok_or(PayloadError::Footer)?;
    let mut input = Input::new(body);
    let mut codes = Vec::new();
    while !input.source.is_empty() {
        if input.byte().map_err(PayloadError::Value)? != opcode::FUNCTION2 {
            return Err(PayloadError::Value(RdbError::Corrupt("given type is not a function")));
        }
        let mut buffer = engine::ds::listpack::ElemBuf::new();
        codes.push(input.element().map_err(PayloadError::Value)?.text(&mut buffer).to_vec());
    }
    Ok(codes)
}

/// Whether version and checksum of a payload are good.
#[must_use]
pub fn verify(payload: &[u8], check: bool) -> bool {
    open(payload, check).is_some()
}

#[cfg(test)]
mod tests {
    use engine::types::hash::Stored;
    use engine::types::{Hash, Value};

    use super::*;

    /// Payloads of the same three fields that Redis 8.0.6 made, as a listpack and as a table.
    const LISTPACK: &str = "190013efcd4b0200002c2c00000009008162021601f40013efcd4b020000098163022101f42b15efcd4b0200000981610201010001ff0c00a4725e3cbf034a17";
    const TABLE: &str = "180013efcd4b02000003422c0163c021010162c016000161c0010c00f5b60d1adb4964a9";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hexadecimal")).collect()
    }

    fn hash(payload: &[u8], entries: usize) -> Result<Hash, PayloadError> {
        let config = EngineConfig { hash_max_listpack_entries: entries, ..EngineConfig::default() };
        restore(payload, &config, Integrity::Full, true, |incoming| match incoming {
            Incoming::Value(Value::Hash(hash)) => hash,
            _ => panic!("a hash"),
        })
    }

    fn fields(hash: &Hash) -> Vec<(Vec<u8>, Vec<u8>, i64)> {
        let all = hash.iter_stored();
        let mut all: Vec<_> = all
            .map(|Stored { field, value, deadline }| (field.to_vec(), value.to_vec(), deadline.map_or(0, |at| at.0)))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn fields_with_deadlines_survive() {
        for (payload, entries, encoding) in [
            (LISTPACK, 512, "listpackex"),
            (LISTPACK, 2, "hashtable"),
            (TABLE, 512, "listpackex"),
            (TABLE, 2, "hashtable"),
        ] {
            let hash = hash(&bytes(payload), entries).expect("a good payload");
            assert_eq!(hash.encoding(), encoding);
            hash.check_invariants();
            let triplet = |field: &str, value: &str, at| (field.as_bytes().to_vec(), value.as_bytes().to_vec(), at);
            let expected =
                [triplet("a", "1", 0), triplet("b", "22", 2_524_600_800_000), triplet("c", "33", 2_524_600_800_555)];
            assert_eq!(fields(&hash), expected);
            let again = dump(Saved::from(&Value::Hash(hash)), false).expect("a hash has a form");
            if encoding == "listpackex" {
                assert_eq!(again, bytes(LISTPACK), "the bytes are Redis' own");
            }
            assert_eq!(fields(&self::hash(&again, entries).expect("our own payload")), expected);
        }
    }

    #[test]
    fn broken_fields_with_deadlines_are_refused() {
        for payload in [LISTPACK, TABLE] {
            let good = bytes(payload);
            let body = good.len() - FOOTER;
            for at in 0..body {
                for bit in 0..8 {
                    let mut broken = good.clone();
                    broken[at] ^= 1 << bit;
                    let (kept, _) = broken.split_at_mut(good.len() - 8);
                    let checksum = crc64(kept);
                    broken[good.len() - 8..].copy_from_slice(&checksum.to_le_bytes());
                    // Whatever comes out is sound.
                    if broken[0] == good[0]
                        && let Ok(hash) = hash(&broken, 512)
                    {
                        hash.check_invariants();
                        assert!(!hash.is_empty());
                    }
                }
            }
        }
    }
}
