//! Versions of the format that can be written, and what older ones have no form for.

use std::fmt;
use std::io;
use std::str::FromStr;

use engine::time::UnixMs;

use super::format::{MAGIC, MAGIC_VALKEY, VERSION, VERSION_VALKEY};

/// A version of the format that can be written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// 12: Redis 7.4 and 8.
    #[default]
    Redis12,
    /// 11: Redis 7.2, Valkey 7.2 and 8. Fields of hashes have no deadlines.
    Redis11,
    /// 10: Redis 7.0. Nor are there packed sets, and consumers have no active times.
    Redis10,
    /// 9: Redis 5 and 6. Nor are there functions, or listpacks anywhere but in streams.
    Redis9,
    /// Valkey's own 80: Valkey 9.
    Valkey80,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 5] =
        [Dialect::Redis12, Dialect::Redis11, Dialect::Redis10, Dialect::Redis9, Dialect::Valkey80];

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Redis12 => "redis-12",
            Dialect::Redis11 => "redis-11",
            Dialect::Redis10 => "redis-10",
            Dialect::Redis9 => "redis-9",
            Dialect::Valkey80 => "valkey-80",
        }
    }

    /// What a file begins with.
    pub(crate) fn head(self) -> Vec<u8> {
        let (magic, version, digits) = match self {
            Dialect::Redis12 => (&MAGIC[..], VERSION, 4),
            Dialect::Redis11 => (&MAGIC[..], 11, 4),
            Dialect::Redis10 => (&MAGIC[..], 10, 4),
            Dialect::Redis9 => (&MAGIC[..], 9, 4),
            Dialect::Valkey80 => (&MAGIC_VALKEY[..], VERSION_VALKEY, 3),
        };
        [magic, format!("{version:0digits$}").as_bytes()].concat()
    }

    /// Whether hashes and sorted sets can be listpacks, lists nodes of listpacks, and libraries of functions there.
    pub(crate) fn has_listpacks(self) -> bool {
        self != Dialect::Redis9
    }

    /// Whether sets can be listpacks, and streams tell their consumers' active times.
    pub(crate) fn has_packed_sets(self) -> bool {
        !matches!(self, Dialect::Redis9 | Dialect::Redis10)
    }

    /// Whether libraries of functions have a form.
    pub(crate) fn has_functions(self) -> bool {
        self != Dialect::Redis9
    }

    /// How the deadlines of fields are written.
    pub(crate) fn field_deadlines(self) -> FieldDeadlines {
        match self {
            Dialect::Redis12 => FieldDeadlines::Redis,
            Dialect::Valkey80 => FieldDeadlines::Valkey,
            Dialect::Redis11 | Dialect::Redis10 | Dialect::Redis9 => FieldDeadlines::None,
        }
    }

    /// Whether the sizes of slots have a form.
    pub(crate) fn has_slots(self) -> bool {
        matches!(self, Dialect::Redis12 | Dialect::Valkey80)
    }
}

/// A form of hashes whose fields have deadlines.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldDeadlines {
    /// There is none.
    None,
    /// How much later than the earliest, before each field; packed ones are listpacks.
    Redis,
    /// The moment, behind each value.
    Valkey,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Dialect`]'s.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no version of the RDB format, and of no server that is known")
    }
}

impl std::error::Error for UnknownDialect {}

/// From its own name, or that of a release that reads it.
impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        if let Some(&dialect) = Dialect::ALL.iter().find(|dialect| dialect.name() == name) {
            return Ok(dialect);
        }
        match name {
            "redis-7.4" | "redis-8.0" | "redis-8" => Ok(Dialect::Redis12),
            "redis-7.2" | "valkey-7.2" | "valkey-8.0" | "valkey-8.1" | "valkey-8" => Ok(Dialect::Redis11),
            "redis-7.0" => Ok(Dialect::Redis10),
            "redis-5.0" | "redis-6.0" | "redis-6.2" | "redis-5" | "redis-6" => Ok(Dialect::Redis9),
            "valkey-9.0" | "valkey-9.1" | "valkey-9" => Ok(Dialect::Valkey80),
            _ => Err(UnknownDialect),
        }
    }
}

/// What happens to something that the dialect has no form for.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Downgrade {
    /// Writing fails with [`NoForm`].
    #[default]
    Fail,
    /// It is left out, and counted.
    Drop {
        /// The time: a field that was due before does not stay when its deadline is left out.
        now: UnixMs,
    },
}

/// How much was left out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Deadlines of fields; the fields stay.
    pub field_deadlines: u64,
    /// Libraries of functions.
    pub functions: u64,
}

impl Dropped {
    /// Nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Dropped::default()
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} deadlines of hash fields, {} libraries of functions", self.field_deadlines, self.functions)
    }
}

/// Something that the dialect has no form for; inside of an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoForm {
    /// What.
    pub what: &'static str,
    /// The key that has it, if it is a key's.
    pub key: Option<Box<[u8]>>,
    /// The dialect.
    pub dialect: Dialect,
}

impl fmt::Display for NoForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "key '{}': ", key.escape_ascii())?;
        }
        write!(f, "the format {} has no form for {}", self.dialect, self.what)
    }
}

impl std::error::Error for NoForm {}

impl From<NoForm> for io::Error {
    fn from(error: NoForm) -> Self {
        io::Error::new(io::ErrorKind::Unsupported, error)
    }
}

/// The dialect that is written and what becomes of what it cannot hold.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) dialect: Dialect,
    pub(crate) downgrade: Downgrade,
    pub(crate) dropped: Dropped,
}

impl Target {
    /// Counts what is left out, if that is allowed.
    pub(crate) fn give_up(
        &mut self,
        what: &'static str,
        key: Option<&[u8]>,
        count: impl FnOnce(&mut Dropped),
    ) -> io::Result<()> {
        match self.downgrade {
            Downgrade::Fail => Err(NoForm { what, key: key.map(Into::into), dialect: self.dialect }.into()),
            Downgrade::Drop { .. } => {
                count(&mut self.dropped);
                Ok(())
            }
        }
    }

    /// Whether a field stays when its deadline does not.
    pub(crate) fn keeps(&self, deadline: Option<UnixMs>) -> bool {
        match (deadline, self.downgrade) {
            (Some(at), Downgrade::Drop { now }) => at > now,
            (Some(_), Downgrade::Fail) | (None, _) => true,
        }
    }
}
