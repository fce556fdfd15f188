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
use crate::rdb::format::{VERSION, VERSION_VALKEY};
use crate::rdb::{Input, Integrity, Output, RdbError, Saved, load_value, save_value};

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
    save_value(&mut out, value, None)?;
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

/// Whether version and checksum of a payload are good.
#[must_use]
pub fn verify(payload: &[u8], check: bool) -> bool {
    open(payload, check).is_some()
}
