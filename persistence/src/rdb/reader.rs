//! Reading a file.

use std::io::Read;

use engine::config::EngineConfig;
use engine::keyspace::Incoming;
use engine::time::UnixMs;

use super::error::RdbError;
use super::format::{MAGIC, MAGIC_VALKEY, VERSION, VERSION_VALKEY, opcode};
use super::input::{Buffered, Input};
use super::load::{Integrity, load_value, module_name, skip_module};

/// The version from which on a file ends with a checksum.
const VERSION_CHECKSUM: u16 = 5;

/// A part of a file.
#[derive(Debug)]
pub enum Item<'a> {
    /// Something about the file.
    Aux {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// The database that follows has so many keys.
    Size {
        /// Its number.
        db: u64,
        /// Its keys.
        keys: u64,
        /// How many of them have deadlines.
        deadlines: u64,
    },
    /// The code of a library of functions.
    Function(&'a [u8]),
    /// What a module keeps beside the keys was passed over; holds the module's type name.
    ModuleAux(Box<str>),
    /// A key that was passed over because its collection has no elements.
    Empty {
        /// The key.
        key: &'a [u8],
    },
    /// A key that was passed over because its value is a module's ([`Reader::pass_modules`]).
    Module {
        /// The key.
        key: &'a [u8],
        /// The module's type.
        name: Box<str>,
    },
    /// A key with its value.
    Entry(Entry<'a>),
}

/// A key with its value and what belongs to it.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Number of the database.
    pub db: u64,
    /// The key.
    pub key: &'a [u8],
    /// Its value.
    pub value: Incoming<'a>,
    /// The type's number in the file.
    pub kind: u8,
    /// When it expires.
    pub deadline: Option<UnixMs>,
    /// Seconds since the last access.
    pub idle_secs: Option<u64>,
    /// Frequency counter.
    pub frequency: Option<u8>,
}

/// Reads a file from the front to the end.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<Buffered<R>>,
    config: EngineConfig,
    integrity: Integrity,
    check: bool,
    pass_modules: bool,
    version: u16,
    valkey: bool,
    db: u64,
    key: Vec<u8>,
    /// The value of the last name.
    aux: Vec<u8>,
    /// The type of the value that is being read.
    kind: Option<u8>,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the head of a file. Values take their encodings from `config`.
    ///
    /// # Errors
    /// [`RdbError::Magic`], [`RdbError::Version`], or those of the stream.
    pub fn new(inner: R, config: EngineConfig, integrity: Integrity) -> Result<Self, RdbError> {
        Self::sized(inner, None, config, integrity)
    }

    /// As [`Reader::new`] for a stream of `total` bytes: what announces more than can follow is refused early.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn sized(inner: R, total: Option<u64>, config: EngineConfig, integrity: Integrity) -> Result<Self, RdbError> {
        let mut input = Input::new(Buffered::new(inner, total));
        let head: [u8; 9] = input.array()?;
        let digits = |digits: &[u8]| {
            let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?;
            text.parse::<u16>().ok()
        };
        let (version, valkey) = match (head.strip_prefix(MAGIC), head.strip_prefix(MAGIC_VALKEY)) {
            (Some(rest), _) => (digits(rest), false),
            (_, Some(rest)) => (digits(rest), true),
            _ => return Err(RdbError::Magic),
        };
        let version = version.ok_or(RdbError::Magic)?;
        let known = if valkey { version == VERSION_VALKEY } else { (1..=VERSION).contains(&version) };
        if !known {
            return Err(RdbError::Version(version.into()));
        }
        Ok(Reader {
            input,
            config,
            integrity,
            check: true,
            pass_modules: false,
            version,
            valkey,
            db: 0,
            key: Vec::new(),
            aux: Vec::new(),
            kind: None,
            done: false,
        })
    }

    /// Leaves the checksum at the end alone.
    pub fn ignore_checksum(&mut self) {
        self.check = false;
    }

    /// From now on values of modules are no errors, but passed over.
    pub fn pass_modules(&mut self) {
        self.pass_modules = true;
    }

    /// The file's version; with Valkey's own magic when true.
    pub fn version(&self) -> (u16, bool) {
        (self.version, self.valkey)
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.source.offset()
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut R {
        self.input.source.get_mut()
    }

    /// The key that was read last: the one to blame when its value fails.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The type of the value that failed; `None` when it was something else that did.
    pub fn kind(&self) -> Option<u8> {
        self.kind
    }

    /// The stream, and what was read from it beyond the end of the file.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        self.input.source.into_parts()
    }

    /// The next part; `None` at the end, whose checksum is good then.
    ///
    /// # Errors
    /// [`RdbError`]; what follows is lost then.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, RdbError> {
        if self.done {
            return Ok(None);
        }
        let (mut deadline, mut idle_secs, mut frequency) = (None, None, None);
        loop {
            match self.input.byte()? {
                opcode::EXPIRETIME => {
                    let secs = i32::from_le_bytes(self.input.array()?);
                    deadline = Some(UnixMs(i64::from(secs) * 1000));
                }
                opcode::EXPIRETIME_MS => deadline = Some(UnixMs(i64::from_le_bytes(self.input.array()?))),
                opcode::IDLE => idle_secs = Some(self.input.length()?),
                opcode::FREQ => frequency = Some(self.input.byte()?),
                opcode::SELECTDB => self.db = self.input.length()?,
                opcode::RESIZEDB => {
                    let (keys, deadlines) = (self.input.length()?, self.input.length()?);
                    return Ok(Some(Item::Size { db: self.db, keys, deadlines }));
                }
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.input.length()?;
                    }
                }
                opcode::AUX => {
                    let mut buffer = engine::ds::listpack::ElemBuf::new();
                    self.key.clear();
                    self.key.extend_from_slice(self.input.element()?.text(&mut buffer));
                    self.aux.clear();
                    self.aux.extend_from_slice(self.input.element()?.text(&mut buffer));
                    return Ok(Some(Item::Aux { name: &self.key, value: &self.aux }));
                }
                opcode::FUNCTION2 => {
                    let mut buffer = engine::ds::listpack::ElemBuf::new();
                    self.aux.clear();
                    self.aux.extend_from_slice(self.input.element()?.text(&mut buffer));
                    return Ok(Some(Item::Function(&self.aux)));
                }
                opcode::FUNCTION_PRE_GA => {
                    return Err(RdbError::Corrupt("Pre-release function format not supported."));
                }
                opcode::MODULE_AUX => {
                    let name = module_name(self.input.length()?);
                    // When it is to be loaded: a part like the others.
                    self.input.length()?;
                    self.input.length()?;
                    skip_module(&mut self.input)?;
                    return Ok(Some(Item::ModuleAux(name)));
                }
                opcode::EOF => {
                    self.end()?;
                    return Ok(None);
                }
                kind => {
                    self.kind = Some(kind);
                    let mut buffer = engine::ds::listpack::ElemBuf::new();
                    self.key.clear();
                    self.key.extend_from_slice(self.input.element()?.text(&mut buffer));
                    if self.pass_modules && kind == super::format::kind::MODULE_2 {
                        let name = module_name(self.input.length()?);
                        skip_module(&mut self.input)?;
                        self.kind = None;
                        return Ok(Some(Item::Module { key: &self.key, name }));
                    }
                    let value = load_value(&mut self.input, kind, self.valkey, &self.config, self.integrity);
                    let value = match value {
                        Err(RdbError::EmptyKey) => {
                            self.kind = None;
                            return Ok(Some(Item::Empty { key: &self.key }));
                        }
                        value => value?,
                    };
                    self.kind = None;
                    let (db, key) = (self.db, &self.key[..]);
                    return Ok(Some(Item::Entry(Entry { db, key, value, kind, deadline, idle_secs, frequency })));
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), RdbError> {
        self.done = true;
        if self.version >= VERSION_CHECKSUM {
            let computed = self.input.source.checksum();
            let expected = u64::from_le_bytes(self.input.array()?);
            // Zero: the writer took none.
            if expected != 0 && expected != computed && self.check {
                return Err(RdbError::Checksum { expected, computed });
            }
        }
        Ok(())
    }
}
