//! Writing a file.

use std::io::{self, Write};

use engine::keyspace::EntryView;
use engine::time::UnixMs;

use super::dialect::{Dialect, Downgrade, Dropped, Target};
use super::format::opcode;
use super::output::Output;
use super::save::{Saved, give_up_deadlines, save_value};

/// What can be chosen about a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Compress strings (`rdbcompression`).
    pub compress: bool,
    /// Take a checksum (`rdbchecksum`); without it the file ends with zeros.
    pub checksum: bool,
    /// The version.
    pub dialect: Dialect,
    /// What becomes of what this version cannot hold.
    pub downgrade: Downgrade,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions { compress: true, checksum: true, dialect: Dialect::default(), downgrade: Downgrade::default() }
    }
}

/// What belongs to an entry besides key and value.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// When it expires.
    pub deadline: Option<UnixMs>,
    /// Seconds since the last access.
    pub idle_secs: Option<u64>,
    /// Frequency counter.
    pub frequency: Option<u8>,
}

/// Without access times, which mean something to some configurations only.
impl From<EntryView<'_>> for Meta {
    fn from(entry: EntryView<'_>) -> Self {
        Meta { deadline: entry.deadline, ..Meta::default() }
    }
}

/// Writes a file from the front to the end. What it writes is gathered into large blocks.
#[derive(Debug)]
pub struct Writer<W> {
    out: Output<W>,
    target: Target,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(inner: W, options: WriterOptions) -> Self {
        let mut out = Output::new(inner, options.compress, options.checksum);
        out.raw(&options.dialect.head());
        let target = Target { dialect: options.dialect, downgrade: options.downgrade, ..Target::default() };
        Writer { out, target }
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.out.len()
    }

    /// What was left out so far because the version has no form for it.
    pub fn dropped(&self) -> Dropped {
        self.target.dropped
    }

    /// Never: a file begins with its version.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The stream, to be looked at; what is gathered has not reached it yet.
    pub fn get_mut(&mut self) -> &mut W {
        self.out.get_mut()
    }

    /// Hands on what was gathered.
    ///
    /// # Errors
    /// Those of the stream, here and in all that follows.
    pub fn drain(&mut self) -> io::Result<()> {
        self.out.drain()
    }

    /// Something about the file.
    #[expect(clippy::missing_errors_doc, reason = "those of the stream")]
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.out.byte(opcode::AUX);
        self.out.string(name)?;
        self.out.string(value)
    }

    /// A library of functions: its code.
    ///
    /// # Errors
    /// Those of the stream, or [`NoForm`](super::NoForm).
    pub fn function(&mut self, code: &[u8]) -> io::Result<()> {
        if !self.target.dialect.has_functions() {
            return self.target.give_up("libraries of functions", None, |dropped| dropped.functions += 1);
        }
        self.out.byte(opcode::FUNCTION2);
        self.out.string(code)
    }

    /// Begins a database with so many keys, of which so many have deadlines.
    #[expect(clippy::missing_errors_doc, reason = "those of the stream")]
    pub fn select(&mut self, db: u64, keys: u64, deadlines: u64) -> io::Result<()> {
        self.out.byte(opcode::SELECTDB);
        self.out.length(db);
        self.out.byte(opcode::RESIZEDB);
        self.out.length(keys);
        self.out.length(deadlines);
        Ok(())
    }

    /// In cluster mode: what follows belongs to this slot.
    #[expect(clippy::missing_errors_doc, reason = "those of the stream")]
    pub fn slot(&mut self, slot: u64, keys: u64, deadlines: u64) -> io::Result<()> {
        if !self.target.dialect.has_slots() {
            return Ok(());
        }
        self.out.byte(opcode::SLOT_INFO);
        self.out.length(slot);
        self.out.length(keys);
        self.out.length(deadlines);
        Ok(())
    }

    /// A key with its value.
    ///
    /// # Errors
    /// Those of the stream, or [`NoForm`](super::NoForm).
    #[inline]
    pub fn entry(&mut self, key: &[u8], value: Saved<'_>, meta: &Meta) -> io::Result<()> {
        if self.target.dialect != Dialect::Redis12 && give_up_deadlines(value, key, &mut self.target)? {
            return Ok(());
        }
        if let Some(deadline) = meta.deadline {
            self.out.byte(opcode::EXPIRETIME_MS);
            self.out.raw(&deadline.0.to_le_bytes());
        }
        if let Some(idle) = meta.idle_secs {
            self.out.byte(opcode::IDLE);
            self.out.length(idle);
        }
        if let Some(frequency) = meta.frequency {
            self.out.byte(opcode::FREQ);
            self.out.byte(frequency);
        }
        save_value(&mut self.out, value, Some(key), &mut self.target)
    }

    /// Ends the file; returns the stream, flushed.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.byte(opcode::EOF);
        let checksum = self.out.checksum()?.unwrap_or(0);
        self.out.raw(&checksum.to_le_bytes());
        self.out.into_inner()
    }
}
