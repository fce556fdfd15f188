//! One file into another form: an RDB of another version, commands, or JSON.
//!
//! ```
//! use engine::{Engine, config::EngineConfig, time::UnixMs};
//! use persistence::rdb::{convert::{Format, Options, convert}, Writer, WriterOptions};
//!
//! let mut engine = Engine::new(EngineConfig::default(), 1);
//! engine.execute(&[b"HSET", b"fruit", b"apple", b"3"], UnixMs(1), &mut Vec::new());
//! let mut writer = Writer::new(Vec::new(), WriterOptions::default());
//! engine.dbs[0].entries().try_for_each(|entry| writer.entry(entry.key, entry.value.into(), &entry.into()))?;
//! let file = writer.finish()?;
//!
//! let mut json = Vec::new();
//! let report = convert(&file[..], None, &mut json, &Options::to(Format::Json))?;
//! assert_eq!(report.keys, 1);
//! assert_eq!(json, br#"{"db":0,"key":"fruit","type":"hash","value":[{"field":"apple","value":"3"}]}
//! "#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # JSON
//!
//! One object a line. Those with a `key` have `db`, `type`, `value`, and where they apply `expires_at` (milliseconds since the
//! epoch), `idle` (seconds) and `frequency`; others have `aux` (a name, with its `value`) or `function` (a library's code). A string
//! that is valid UTF-8 is a JSON string; any other is an object of one member, `{"base64":"..."}`. Scores are numbers, or the strings
//! `"inf"` and `"-inf"`.

use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::str::FromStr;

use engine::config::EngineConfig;

use super::dialect::{Dialect, Downgrade, Dropped, UnknownDialect};
use super::error::RdbError;
use super::json;
use super::reader::{Entry, Item, Reader};
use super::writer::{Meta, Writer, WriterOptions};
use super::{Integrity, Saved};
use crate::aof::rewrite;

/// Capacity that is kept between two keys, in bytes.
const COMMANDS_KEPT_MAX: usize = 1 << 20;

/// What a file is converted to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, one object a line.
    Json,
    /// Commands in RESP, as in an append-only file: for `redis-cli --pipe`.
    Resp,
    /// An RDB file of this version.
    Rdb(Dialect),
}

impl FromStr for Format {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        match name {
            "json" => Ok(Format::Json),
            "resp" => Ok(Format::Resp),
            name => name.parse().map(Format::Rdb),
        }
    }
}

/// What can be chosen about a conversion.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The form.
    pub format: Format,
    /// What becomes of what the form cannot hold, and of the values of modules.
    pub downgrade: Downgrade,
}

impl Options {
    /// Into this form; what it cannot hold is an error.
    #[must_use]
    pub fn to(format: Format) -> Self {
        Options { format, downgrade: Downgrade::Fail }
    }
}

/// What was converted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Keys.
    pub keys: u64,
    /// Libraries of functions.
    pub functions: u64,
    /// Keys that were passed over because their collections have no elements.
    pub empty: u64,
    /// Names of the modules whose data beside the keys were passed over.
    pub modules: Vec<Box<str>>,
    /// Keys that were passed over because their values are modules'.
    pub module_keys: u64,
    /// What the new form has no place for.
    pub dropped: Dropped,
    /// Whether something follows the RDB that was not looked at, as in an old append-only file.
    pub has_rest: bool,
}

/// Why a file was not converted.
#[derive(Debug)]
pub enum ConvertError {
    /// The file is damaged, or holds what nobody but a module understands.
    Read {
        /// Bytes in front of the damage.
        offset: u64,
        /// The key whose value it is in.
        key: Option<Box<[u8]>>,
        /// What is wrong.
        error: RdbError,
    },
    /// The result cannot be written, or has no form for something ([`NoForm`](super::NoForm)).
    Write(io::Error),
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConvertError::Read { offset, key, error } => {
                write!(f, "offset {offset}: ")?;
                if let Some(key) = key {
                    write!(f, "key '{}': ", key.escape_ascii())?;
                }
                error.fmt(f)
            }
            ConvertError::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConvertError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConvertError::Read { error, .. } => Some(error),
            ConvertError::Write(error) => Some(error),
        }
    }
}

impl From<io::Error> for ConvertError {
    fn from(error: io::Error) -> Self {
        ConvertError::Write(error)
    }
}

/// Reads an RDB of `total` bytes, if that is known, and writes it in another form. Takes memory for one key at a time.
///
/// # Errors
/// [`ConvertError`]; what was written until then is of no use.
pub fn convert<R: Read, W: Write>(
    input: R,
    total: Option<u64>,
    output: W,
    options: &Options,
) -> Result<Report, ConvertError> {
    let mut reader = Reader::sized(input, total, EngineConfig::default(), Integrity::Full)
        .map_err(|error| ConvertError::Read { offset: 0, key: None, error })?;
    if matches!(options.downgrade, Downgrade::Drop { .. }) {
        reader.pass_modules();
    }
    let mut sink = Sink::new(output, options);
    let mut report = Report::default();
    loop {
        match reader.next_item() {
            Ok(None) => break,
            Ok(Some(Item::ModuleAux(name))) => report.modules.push(name),
            Ok(Some(Item::Empty { .. })) => report.empty += 1,
            Ok(Some(Item::Module { .. })) => report.module_keys += 1,
            Ok(Some(item)) => {
                report.keys += u64::from(matches!(item, Item::Entry(_)));
                report.functions += u64::from(matches!(item, Item::Function(_)));
                sink.item(item)?;
            }
            Err(error) => {
                let key = reader.kind().map(|_| reader.key().into());
                return Err(ConvertError::Read { offset: reader.offset(), key, error });
            }
        }
    }
    report.dropped = sink.finish()?;
    report.functions -= report.dropped.functions;
    let (mut input, rest) = reader.into_parts();
    report.has_rest = !rest.is_empty() || input.read(&mut [0]).is_ok_and(|count| count > 0);
    Ok(report)
}

/// Where the parts of a file go.
enum Sink<W: Write> {
    Json(BufWriter<W>),
    Resp { out: W, commands: Vec<u8>, db: u64 },
    Rdb { writer: Box<Writer<W>>, db: Option<u64> },
}

impl<W: Write> Sink<W> {
    fn new(out: W, options: &Options) -> Self {
        match options.format {
            Format::Json => Sink::Json(BufWriter::with_capacity(1 << 16, out)),
            Format::Resp => Sink::Resp { out, commands: Vec::new(), db: 0 },
            Format::Rdb(dialect) => {
                let options = WriterOptions { dialect, downgrade: options.downgrade, ..WriterOptions::default() };
                Sink::Rdb { writer: Box::new(Writer::new(out, options)), db: None }
            }
        }
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match (self, item) {
            (Sink::Json(out), Item::Aux { name, value }) => json::aux(out, name, value),
            (Sink::Json(out), Item::Function(code)) => json::function(out, code),
            (Sink::Json(out), Item::Entry(entry)) => json::entry(out, entry),
            (Sink::Resp { out, commands, .. }, Item::Function(code)) => {
                rewrite::function(commands, code);
                send(out, commands)
            }
            (Sink::Resp { out, commands, db }, Item::Entry(entry)) => {
                if *db != entry.db {
                    *db = entry.db;
                    rewrite::select(commands, usize::try_from(entry.db).unwrap_or(usize::MAX));
                }
                let value = entry.value.into_value();
                rewrite::key(commands, entry.key, &value, entry.deadline);
                send(out, commands)
            }
            (Sink::Rdb { writer, .. }, Item::Aux { name, value }) => writer.aux(name, value),
            (Sink::Rdb { writer, .. }, Item::Function(code)) => writer.function(code),
            (Sink::Rdb { writer, db }, Item::Size { db: number, keys, deadlines }) => {
                *db = Some(number);
                writer.select(number, keys, deadlines)
            }
            (Sink::Rdb { writer, db }, Item::Entry(entry)) => {
                if *db != Some(entry.db) {
                    // The file is too old to tell sizes.
                    *db = Some(entry.db);
                    writer.select(entry.db, 0, 0)?;
                }
                let Entry { key, value, deadline, idle_secs, frequency, .. } = entry;
                let value = value.into_value();
                writer.entry(key, Saved::from(&value), &Meta { deadline, idle_secs, frequency })
            }
            (Sink::Json(_) | Sink::Resp { .. } | Sink::Rdb { .. }, _) => Ok(()),
        }
    }

    fn finish(self) -> io::Result<Dropped> {
        match self {
            Sink::Json(mut out) => out.flush().map(|()| Dropped::default()),
            Sink::Resp { mut out, .. } => out.flush().map(|()| Dropped::default()),
            Sink::Rdb { writer, .. } => {
                let dropped = writer.dropped();
                writer.finish().map(|_| dropped)
            }
        }
    }
}

/// Writes the commands that were gathered.
fn send(out: &mut impl Write, commands: &mut Vec<u8>) -> io::Result<()> {
    out.write_all(commands)?;
    commands.clear();
    commands.shrink_to(COMMANDS_KEPT_MAX);
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::Engine;
    use engine::time::UnixMs;

    use super::*;
    use crate::aof::reader::{self, Item as Part};

    const NOW: UnixMs = UnixMs(1_700_000_000_000);

    /// A file with a key of each type.
    fn file(engine: &mut Engine) -> Vec<u8> {
        let mut out = Vec::new();
        for line in [
            &b"SET text \xc3\xa9\"\\\x01 PXAT 1800000000000"[..],
            b"SET bin\xff \xff\x00",
            b"SET number -7",
            b"RPUSH list a 1 \xfe",
            b"SADD set 2 1",
            b"HSET hash f v g w",
            b"HPEXPIREAT hash 1800000000000 FIELDS 1 g",
            b"ZADD zset -inf a 1.5 b 1e300 c inf d",
            b"XADD stream 1-1 a 1",
            b"XADD stream 2-1 a 2 b 3",
            b"XADD stream 3-1 a 2",
            b"XDEL stream 3-1",
            b"XGROUP CREATE stream group 0",
            b"XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        ] {
            let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
            out.clear();
            engine.execute(&words, NOW, &mut out);
            assert!(!out.starts_with(b"-"), "{}", out.escape_ascii());
        }
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        writer.aux(b"ctime", b"1").expect("memory");
        writer.select(0, 1, 1).expect("memory");
        for entry in engine.dbs[0].entries() {
            let frequency = (entry.key == b"number").then_some(5);
            let meta = Meta { deadline: entry.deadline, frequency, ..Meta::default() };
            writer.entry(entry.key, entry.value.into(), &meta).expect("memory");
        }
        writer.finish().expect("memory")
    }

    fn to(file: &[u8], format: &str, downgrade: Downgrade) -> Result<(Vec<u8>, Report), ConvertError> {
        let mut out = Vec::new();
        let options = Options { format: format.parse().expect("a format"), downgrade };
        let report = convert(file, Some(file.len() as u64), &mut out, &options)?;
        Ok((out, report))
    }

    #[test]
    fn json_tells_all_of_every_type() {
        let file = file(&mut Engine::new(EngineConfig::default(), 1));
        let (json, report) = to(&file, "json", Downgrade::Fail).expect("a good file");
        assert_eq!(report, Report { keys: 8, ..Report::default() });
        let text = String::from_utf8(json).expect("JSON is text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let expected = [
            r#"{"aux":"ctime","value":"1"}"#,
            r#"{"db":0,"key":"hash","type":"hash","value":[{"field":"g","value":"w","expires_at":1800000000000},{"field":"f","value":"v"}]}"#,
            r#"{"db":0,"key":"list","type":"list","value":["a","1",{"base64":"/g=="}]}"#,
            r#"{"db":0,"key":"number","frequency":5,"type":"string","value":"-7"}"#,
            r#"{"db":0,"key":"set","type":"set","value":["1","2"]}"#,
            r#"{"db":0,"key":"stream","type":"stream","value":{"last_id":"3-1","max_deleted_id":"3-1","entries_added":3,"entries":[{"id":"1-1","fields":[["a","1"]]},{"id":"2-1","fields":[["a","2"],["b","3"]]}],"groups":[{"name":"group","last_id":"1-1","entries_read":null,"pending":[{"id":"1-1","consumer":"me","delivered_at":1700000000000,"deliveries":1}],"consumers":[{"name":"me","seen_at":1700000000000,"active_at":1700000000000}]}]}}"#,
            r#"{"db":0,"key":"text","expires_at":1800000000000,"type":"string","value":"é\"\\\u0001"}"#,
            r#"{"db":0,"key":"zset","type":"zset","value":[{"member":"a","score":"-inf"},{"member":"b","score":1.5},{"member":"c","score":1e+300},{"member":"d","score":"inf"}]}"#,
            r#"{"db":0,"key":{"base64":"Ymlu/w=="},"type":"string","value":{"base64":"/wA="}}"#,
        ];
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn commands_make_the_same_data() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        let file = file(&mut engine);
        let (commands, _) = to(&file, "resp", Downgrade::Fail).expect("a good file");
        let mut again = Engine::new(EngineConfig::default(), 2);
        let mut reader = reader::Reader::new(&commands[..], 0);
        loop {
            let batch = reader.batch().expect("ours");
            if batch.is_empty() {
                break;
            }
            for (part, _) in batch.items() {
                let Part::Command(words) = part else { panic!("a command") };
                let mut out = Vec::new();
                again.execute(&words.collect::<Vec<_>>(), NOW, &mut out);
                assert!(!out.starts_with(b"-"), "{}", out.escape_ascii());
            }
        }
        let lines = |engine: &mut Engine| {
            let (json, _) = to(&self::again(engine), "json", Downgrade::Fail).expect("a good file");
            let mut lines: Vec<String> = String::from_utf8(json).expect("text").lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(lines(&mut again), lines(&mut engine));
    }

    fn again(engine: &mut Engine) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        let mut entries = engine.dbs[0].entries();
        entries.try_for_each(|e| writer.entry(e.key, e.value.into(), &e.into())).expect("memory");
        writer.finish().expect("memory")
    }

    #[test]
    fn older_files_say_what_they_cannot_hold() {
        let file = file(&mut Engine::new(EngineConfig::default(), 1));
        let error = to(&file, "redis-7.2", Downgrade::Fail).expect_err("fields have deadlines");
        assert_eq!(error.to_string(), "key 'hash': the format redis-11 has no form for deadlines of hash fields");
        let (older, report) = to(&file, "redis-7.2", Downgrade::Drop { now: NOW }).expect("left out");
        assert_eq!((report.keys, report.dropped.field_deadlines), (8, 1));
        assert!(older.starts_with(b"REDIS0011"));
        let (newer, report) = to(&older, "redis-8.0", Downgrade::Fail).expect("a good file");
        assert_eq!((report.keys, report.dropped), (8, Dropped::default()));
        assert!(newer.starts_with(b"REDIS0012"));
    }

    #[test]
    fn damage_and_what_follows_are_told() {
        let mut file = file(&mut Engine::new(EngineConfig::default(), 1));
        let error = to(&file[..file.len() / 2], "json", Downgrade::Fail).expect_err("half a file");
        assert!(matches!(&error, ConvertError::Read { error: RdbError::Truncated, .. }), "{error}");
        file.extend_from_slice(b"*1\r\n");
        let (_, report) = to(&file, "json", Downgrade::Fail).expect("a good file and more");
        assert!(report.has_rest);
    }
}
