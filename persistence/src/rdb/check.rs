//! Reading a file for nothing but a report: redis-check-rdb.

use std::io::{self, Read, Write};

use engine::config::EngineConfig;
use engine::time::UnixMs;

use super::error::RdbError;
use super::format::kind_name;
use super::{Integrity, Item, Reader};

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Report {
    /// Keys.
    pub keys: u64,
    /// Keys with a deadline.
    pub deadlines: u64,
    /// Of those, the ones whose time has passed.
    pub expired: u64,
    /// Hashes with fields that have deadlines.
    pub field_deadlines: u64,
    /// Bytes behind the end of the RDB: in an append-only file commands follow.
    pub rest: Vec<u8>,
    /// What is wrong, if anything.
    pub problem: Option<RdbError>,
}

/// Examines a file of `total` bytes in full and tells `out` what it meets, line by line.
///
/// # Errors
/// Those of `out`; what is wrong with the file is in the report.
pub fn check<R: Read>(stream: R, total: Option<u64>, now: UnixMs, out: &mut impl Write) -> io::Result<Report> {
    let mut report = Report::default();
    let mut reader = match Reader::sized(stream, total, EngineConfig::default(), Integrity::Full) {
        Ok(reader) => reader,
        Err(problem) => {
            writeln!(out, "--- RDB ERROR DETECTED ---\n[offset 0] {problem}")?;
            report.problem = Some(problem);
            return Ok(report);
        }
    };
    // Whether a server could load it depends on its modules.
    reader.pass_modules();
    let mut selected = None;
    loop {
        let offset = reader.offset();
        match reader.next_item() {
            Ok(None) => break,
            Ok(Some(Item::Aux { name, value })) => {
                let (name, value) = (name.escape_ascii().to_string(), value.escape_ascii().to_string());
                writeln!(out, "[offset {}] AUX FIELD {name} = '{value}'", reader.offset())?;
            }
            Ok(Some(Item::Size { db, .. })) => {
                selected = Some(db);
                writeln!(out, "[offset {offset}] Selecting DB ID {db}")?;
            }
            Ok(Some(Item::Function(_))) => writeln!(out, "[offset {offset}] Library of functions")?,
            Ok(Some(Item::ModuleAux(name))) => {
                writeln!(out, "[offset {offset}] MODULE AUX for: {name}")?;
            }
            Ok(Some(Item::Empty { key })) => {
                let key = key.escape_ascii().to_string();
                writeln!(out, "[offset {offset}] Empty key '{key}'")?;
            }
            Ok(Some(Item::Module { key, name })) => {
                report.keys += 1;
                let key = key.escape_ascii().to_string();
                writeln!(out, "[offset {offset}] Key '{key}' has a value of the module type {name}")?;
            }
            Ok(Some(Item::Entry(entry))) => {
                if selected != Some(entry.db) {
                    selected = Some(entry.db);
                    writeln!(out, "[offset {offset}] Selecting DB ID {}", entry.db)?;
                }
                report.keys += 1;
                if let Some(deadline) = entry.deadline {
                    report.deadlines += 1;
                    report.expired += u64::from(deadline < now);
                }
            }
            Err(problem) => {
                let doing = match (&problem, reader.kind()) {
                    (RdbError::Checksum { .. }, _) => "check-sum",
                    (_, Some(_)) => "read-object-value",
                    _ => "read-type-or-key",
                };
                let text = match &problem {
                    RdbError::Truncated => "Unexpected EOF reading RDB file".to_owned(),
                    RdbError::Checksum { .. } => "RDB CRC error".to_owned(),
                    problem => problem.to_string(),
                };
                writeln!(out, "--- RDB ERROR DETECTED ---\n[offset {}] {text}", reader.offset())?;
                writeln!(out, "[additional info] While doing: {doing}")?;
                if let Some(kind) = reader.kind() {
                    writeln!(out, "[additional info] Reading key '{}'", reader.key().escape_ascii())?;
                    writeln!(out, "[additional info] Reading type {kind} ({})", kind_name(kind))?;
                }
                report.problem = Some(problem);
                break;
            }
        }
    }
    if report.problem.is_none() {
        let offset = reader.offset();
        writeln!(out, "[offset {offset}] Checksum OK\n[offset {offset}] \\o/ RDB looks OK! \\o/")?;
        report.rest = reader.into_parts().1;
    }
    writeln!(out, "[info] {} keys read\n[info] {} expires", report.keys, report.deadlines)?;
    writeln!(out, "[info] {} already expired\n[info] {} subexpires", report.expired, report.field_deadlines)?;
    Ok(report)
}
