//! How a parameter's value is read, shown and written back.
//!
//! Every field of [`Config`](super::Config) has a type that implements [`Value`]; the table's [`Rule`]
//! adds what the type cannot know (a range, a unit, a check). So reading the file, CONFIG SET, CONFIG GET and
//! CONFIG REWRITE share one code per type, and no parameter is named outside of the table.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::{Deref, RangeInclusive};
use std::path::Path;

use engine::effects::EventClass;

/// Why a value is refused: the text behind the dash of the error reply.
pub type Reason = Cow<'static, str>;

/// Most addresses that `bind` may name.
pub const BIND_ADDRESSES_MAX: usize = 16;

/// Longest host name, in bytes.
const HOSTNAME_LEN_MAX: usize = 255;

/// Widest range of `oom-score-adj-values`, as the kernel has it (for relative values).
const OOM_SCORE_ADJ: RangeInclusive<i32> = -2000..=2000;

/// Where a value comes from. Some parameters add up in files and replace in CONFIG SET.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of a file, standard input or an argument.
    File {
        /// No line has named this parameter before, so what stands is the default.
        first: bool,
    },
    /// CONFIG SET.
    Set,
}

/// What a type does not know of its parameter.
#[derive(Copy, Clone, Debug)]
pub enum Rule {
    /// The type says it all.
    Plain,
    /// A whole number within a range.
    Int(i128, i128),
    /// A whole number within a range, of which a nearby one is kept.
    IntNear(i128, i128, fn(i128) -> i128),
    /// An octal number up to this (file modes).
    Octal(i128),
    /// A number of bytes within a range, with the units `k kb m mb g gb`.
    Memory(i128, i128),
    /// Text that must pass a check.
    Text(fn(&[u8]) -> Result<(), Reason>),
}

/// A parameter's value.
pub trait Value: Clone + PartialEq {
    /// Several words make one value; the same words may also come as one.
    const MULTI: bool = false;

    /// Takes over the words behind the parameter's name.
    ///
    /// # Errors
    /// Why they are refused; the value may then be half changed and is to be thrown away.
    fn assign(&mut self, words: &[Vec<u8>], rule: Rule, source: Source) -> Result<(), Reason>;

    /// What CONFIG GET answers.
    fn show(&self, rule: Rule) -> Vec<u8>;

    /// What stands behind the name in a configuration file: one item a line, none to leave it out.
    fn lines(&self, rule: Rule) -> Vec<String> {
        vec![String::from_utf8_lossy(&self.show(rule)).into_owned()]
    }
}

/// The only word.
fn one(words: &[Vec<u8>]) -> Result<&[u8], Reason> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

impl Value for bool {
    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        *self = match one(words)?.to_ascii_lowercase().as_slice() {
            b"yes" => true,
            b"no" => false,
            _ => return Err("argument must be 'yes' or 'no'".into()),
        };
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Value for $number {
            fn assign(&mut self, words: &[Vec<u8>], rule: Rule, _: Source) -> Result<(), Reason> {
                let number = parse_number(one(words)?, rule)?;
                *self = <$number>::try_from(number).expect("the range of a number's rule lies within its type");
                Ok(())
            }

            fn show(&self, rule: Rule) -> Vec<u8> {
                match rule {
                    Rule::Octal(_) => format!("{self:o}").into_bytes(),
                    _ => self.to_string().into_bytes(),
                }
            }

            fn lines(&self, rule: Rule) -> Vec<String> {
                vec![match rule {
                    Rule::Octal(_) => format!("{self:o}"),
                    Rule::Memory(..) => with_unit(*self as u64),
                    _ => self.to_string(),
                }]
            }
        }
    )*};
}
numbers!(u16, u32, i32, u64, i64, usize);

fn parse_number(word: &[u8], rule: Rule) -> Result<i128, Reason> {
    let within = |number: i128, min: i128, max: i128| {
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(Reason::from(format!("argument must be between {min} and {max} inclusive")))
        }
    };
    let decimal = |word| parse_i64(word).map(i128::from).ok_or("argument couldn't be parsed into an integer");
    match rule {
        Rule::Plain | Rule::Text(_) => Ok(decimal(word)?),
        Rule::Int(min, max) => within(decimal(word)?, min, max),
        Rule::IntNear(min, max, near) => within(decimal(word)?, min, max).map(near),
        Rule::Memory(min, max) => {
            within(i128::from(parse_memory(word).ok_or("argument must be a memory value")?), min, max)
        }
        Rule::Octal(max) => {
            let number = std::str::from_utf8(word).ok().and_then(|text| i64::from_str_radix(text, 8).ok());
            let number = i128::from(number.ok_or("argument couldn't be parsed as an octal number")?);
            if (0..=max).contains(&number) {
                Ok(number)
            } else {
                Err(format!("argument must be between 0 and {max:o} inclusive").into())
            }
        }
    }
}

/// A decimal number in its only spelling: no sign but a minus, no leading zeros, no spaces.
fn parse_i64(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [] => false,
        [b'0'] => word.len() == 1,
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A number of bytes with an optional unit: `1k` is 1000, `1kb` is 1024, and so on for m and g. No text at all is 0.
#[must_use]
pub fn parse_memory(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return Some(0);
    }
    let end = word.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let scale: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_mul(scale)
}

/// A number of bytes in the largest unit that divides it.
fn with_unit(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{}gb", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}mb", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}kb", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// Bytes that an operator typed: a path, a password, a name. Not necessarily UTF-8.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// As a path of the file system.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// As bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text, with replacement characters where it is none.
    #[must_use]
    pub fn to_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text(bytes)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_lossy(), f)
    }
}

impl Value for Text {
    fn assign(&mut self, words: &[Vec<u8>], rule: Rule, _: Source) -> Result<(), Reason> {
        let word = one(words)?;
        if let Rule::Text(check) = rule {
            check(word)?;
        }
        self.0 = word.to_vec();
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.0.clone()
    }

    fn lines(&self, _: Rule) -> Vec<String> {
        vec![resp::inline::quote(&self.0)]
    }
}

impl Value for String {
    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        *self = std::str::from_utf8(one(words)?).map_err(|_| "argument must be UTF-8 text")?.to_owned();
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn lines(&self, _: Rule) -> Vec<String> {
        vec![resp::inline::quote(self.as_bytes())]
    }
}

/// A bound in bytes, or a share of `maxmemory`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// That many bytes; 0 for none.
    Bytes(u64),
    /// That many hundredths of `maxmemory`.
    Percent(u8),
}

impl Share {
    /// In bytes, when `whole` is all there is. 0 when nothing bounds it.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Share::Bytes(bytes) => bytes,
            Share::Percent(percent) => (u128::from(whole) * u128::from(percent) / 100) as u64,
        }
    }
}

impl Value for Share {
    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        const REFUSED: &str = "argument must be a memory or percent value";
        let word = one(words)?;
        *self = match word.strip_suffix(b"%") {
            Some(number) => match parse_i64(number).ok_or(REFUSED)? {
                percent @ 0..=100 => Share::Percent(percent as u8),
                ..0 => return Err(REFUSED.into()),
                _ => return Err("percentage argument must be less or equal to 100".into()),
            },
            None => match parse_memory(word).ok_or(REFUSED)? {
                bytes if i64::try_from(bytes).is_ok() => Share::Bytes(bytes),
                _ => return Err(REFUSED.into()),
            },
        };
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        match self {
            Share::Bytes(bytes) => bytes.to_string().into_bytes(),
            Share::Percent(percent) => format!("{percent}%").into_bytes(),
        }
    }

    fn lines(&self, rule: Rule) -> Vec<String> {
        match self {
            Share::Bytes(bytes) => vec![with_unit(*bytes)],
            Share::Percent(_) => vec![String::from_utf8_lossy(&self.show(rule)).into_owned()],
        }
    }
}

/// `save`: each pair is one condition under which a snapshot is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavePoints(pub Vec<SavePoint>);

/// A snapshot is due after this many seconds with at least this many changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last save.
    pub seconds: u32,
    /// Changes since the last save.
    pub changes: u32,
}

impl Value for SavePoints {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, source: Source) -> Result<(), Reason> {
        const REFUSED: &str = "Invalid save parameters";
        // Lines add up; CONFIG SET, the first line (over the defaults) and an empty value start afresh.
        let empty = words.iter().all(|word| word.is_empty()) && words.len() <= 1;
        if empty || matches!(source, Source::Set | Source::File { first: true }) {
            self.0.clear();
        }
        if empty {
            return Ok(());
        }
        if !words.len().is_multiple_of(2) {
            return Err(REFUSED.into());
        }
        for pair in words.chunks_exact(2) {
            let number = |word: &[u8], min: i64| {
                parse_i64(word).filter(|number| *number >= min).and_then(|number| u32::try_from(number).ok())
            };
            let seconds = number(&pair[0], 1).ok_or(REFUSED)?;
            let changes = number(&pair[1], 0).ok_or(REFUSED)?;
            self.0.push(SavePoint { seconds, changes });
        }
        Ok(())
    }

    fn show(&self, rule: Rule) -> Vec<u8> {
        if self.0.is_empty() { Vec::new() } else { self.lines(rule).join(" ").into_bytes() }
    }

    fn lines(&self, _: Rule) -> Vec<String> {
        if self.0.is_empty() {
            return vec!["\"\"".to_owned()];
        }
        self.0.iter().map(|SavePoint { seconds, changes }| format!("{seconds} {changes}")).collect()
    }
}

/// `client-output-buffer-limit`, by class of client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that are neither of the others.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients that subscribe to something.
    pub pubsub: OutputLimit,
}

/// How much a client may leave unread.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Cut off at this many bytes; 0 never.
    pub hard_bytes: u64,
    /// Cut off when this many bytes stand ...
    pub soft_bytes: u64,
    /// ... for longer than this many seconds.
    pub soft_seconds: u32,
}

impl OutputLimits {
    /// What Redis starts with.
    pub const DEFAULT: Self = OutputLimits {
        normal: OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
        replica: OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
        pubsub: OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
    };
}

impl Value for OutputLimits {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        if matches!(words, [word] if word.is_empty()) {
            return Ok(());
        }
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        for group in words.chunks_exact(4) {
            let limit = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut self.normal,
                b"replica" | b"slave" => &mut self.replica,
                b"pubsub" => &mut self.pubsub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
            };
            const REFUSED: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
            *limit = OutputLimit {
                hard_bytes: parse_memory(&group[1]).ok_or(REFUSED)?,
                soft_bytes: parse_memory(&group[2]).ok_or(REFUSED)?,
                soft_seconds: parse_i64(&group[3]).and_then(|seconds| u32::try_from(seconds).ok()).ok_or(REFUSED)?,
            };
        }
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        let one = |class: &str, limit: OutputLimit| {
            format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        };
        [one("normal", self.normal), one("slave", self.replica), one("pubsub", self.pubsub)].join(" ").into_bytes()
    }

    fn lines(&self, _: Rule) -> Vec<String> {
        [("normal", self.normal), ("replica", self.replica), ("pubsub", self.pubsub)]
            .map(|(class, limit)| {
                format!(
                    "{class} {} {} {}",
                    with_unit(limit.hard_bytes),
                    with_unit(limit.soft_bytes),
                    limit.soft_seconds
                )
            })
            .to_vec()
    }
}

/// `oom-score-adj-values`: of a primary, of a replica, of a background child.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OomScores(pub [i32; 3]);

impl Value for OomScores {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        let [_, _, _] = words else { return Err("wrong number of arguments".into()) };
        for (score, word) in self.0.iter_mut().zip(words) {
            let number = parse_i64(word).and_then(|number| i32::try_from(number).ok());
            *score = number
                .filter(|number| OOM_SCORE_ADJ.contains(number))
                .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
        }
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.0.map(|score| score.to_string()).join(" ").into_bytes()
    }
}

/// `notify-keyspace-events`: which events are published, and on which of the two channels.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyEvents {
    /// The classes.
    pub classes: EventClass,
    /// `K`: on the channel of the key.
    pub keyspace: bool,
    /// `E`: on the channel of the event.
    pub keyevent: bool,
}

impl NotifyEvents {
    /// The letters, in the order in which they are shown. The first ten are what `A` stands for.
    const CLASSES: [(char, EventClass); 12] = [
        ('g', EventClass::GENERIC),
        ('$', EventClass::STRING),
        ('l', EventClass::LIST),
        ('s', EventClass::SET),
        ('h', EventClass::HASH),
        ('z', EventClass::ZSET),
        ('x', EventClass::EXPIRED),
        ('e', EventClass::EVICTED),
        ('t', EventClass::STREAM),
        ('d', EventClass::MODULE),
        ('n', EventClass::NEW),
        ('m', EventClass::KEY_MISS),
    ];

    fn all() -> EventClass {
        Self::CLASSES[..10].iter().map(|(_, class)| *class).collect()
    }
}

impl Value for NotifyEvents {
    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        let mut events = NotifyEvents::default();
        for &letter in one(words)? {
            match letter {
                b'A' => events.classes |= Self::all(),
                b'K' => events.keyspace = true,
                b'E' => events.keyevent = true,
                _ => match Self::CLASSES.iter().find(|(name, _)| *name == char::from(letter)) {
                    Some((_, class)) => events.classes |= *class,
                    None => return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
                },
            }
        }
        *self = events;
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        let mut letters = String::new();
        let mut left = self.classes;
        if left.contains(Self::all()) {
            letters.push('A');
            left -= Self::all();
        }
        let (before, last) = Self::CLASSES.split_at(11);
        letters.extend(before.iter().filter(|(_, class)| left.contains(*class)).map(|(letter, _)| letter));
        if self.keyspace {
            letters.push('K');
        }
        if self.keyevent {
            letters.push('E');
        }
        letters.extend(last.iter().filter(|(_, class)| left.contains(*class)).map(|(letter, _)| letter));
        letters.into_bytes()
    }

    fn lines(&self, rule: Rule) -> Vec<String> {
        vec![resp::inline::quote(&self.show(rule))]
    }
}

/// `bind`: addresses or host names; `*` and `::*` for all; a leading `-` for those that may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddresses(pub Vec<String>);

impl BindAddresses {
    /// All addresses, IPv6 where there is any.
    #[must_use]
    pub fn all() -> Self {
        BindAddresses(vec!["*".to_owned(), "-::*".to_owned()])
    }
}

impl Deref for BindAddresses {
    type Target = [String];
    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl Value for BindAddresses {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        self.0.clear();
        if words.len() > BIND_ADDRESSES_MAX {
            return Err("Too many bind addresses specified.".into());
        }
        if !matches!(words, [word] if word.is_empty()) {
            self.0.extend(words.iter().map(|word| String::from_utf8_lossy(word).into_owned()));
        }
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.0.join(" ").into_bytes()
    }

    fn lines(&self, _: Rule) -> Vec<String> {
        vec![if self.0.is_empty() { "\"\"".to_owned() } else { self.0.join(" ") }]
    }
}

/// `replicaof`: the primary's host and port, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrimaryAddress(pub Option<(String, u16)>);

impl Value for PrimaryAddress {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        let [host, port] = words else { return Err("wrong number of arguments".into()) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            self.0 = None;
            return Ok(());
        }
        let port = parse_i64(port).and_then(|port| u16::try_from(port).ok()).ok_or("Invalid master port")?;
        self.0 = Some((String::from_utf8_lossy(host).into_owned(), port));
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.0.as_ref().map(|(host, port)| format!("{host} {port}").into_bytes()).unwrap_or_default()
    }

    fn lines(&self, rule: Rule) -> Vec<String> {
        if self.0.is_none() { Vec::new() } else { vec![String::from_utf8_lossy(&self.show(rule)).into_owned()] }
    }
}

/// `latency-tracking-info-percentiles`, each between 0 and 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Percentiles {
    /// A percentile in at most six decimals, without trailing zeros.
    #[must_use]
    pub fn text(percentile: f64) -> String {
        let mut text = format!("{percentile:.6}");
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        text
    }
}

impl Value for Percentiles {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        self.0.clear();
        if matches!(words, [word] if word.is_empty()) {
            return Ok(());
        }
        for word in words {
            let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
            let number = number.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&number) {
                return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
            }
            self.0.push(number);
        }
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        self.0.iter().map(|number| Self::text(*number)).collect::<Vec<_>>().join(" ").into_bytes()
    }

    fn lines(&self, rule: Rule) -> Vec<String> {
        let text = self.show(rule);
        vec![if text.is_empty() { "\"\"".to_owned() } else { String::from_utf8_lossy(&text).into_owned() }]
    }
}

/// `shutdown-on-sigint`, `shutdown-on-sigterm`: what SHUTDOWN would be told.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    /// Save even without save points.
    pub save: bool,
    /// Do not save even with save points.
    pub nosave: bool,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// Go even when saving fails.
    pub force: bool,
}

impl Value for ShutdownOptions {
    const MULTI: bool = true;

    fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
        const REFUSED: &str = "argument(s) must be one of the following: default, save, nosave, now, force";
        let mut options = ShutdownOptions::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => options.save = true,
                b"nosave" => options.nosave = true,
                b"now" => options.now = true,
                b"force" => options.force = true,
                _ => return Err(REFUSED.into()),
            }
        }
        if words.is_empty() {
            return Err(REFUSED.into());
        }
        if options.save && options.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        *self = options;
        Ok(())
    }

    fn show(&self, _: Rule) -> Vec<u8> {
        let mut text = String::new();
        for (set, name) in [(self.save, "save"), (self.nosave, "nosave"), (self.now, "now"), (self.force, "force")] {
            if set {
                let gap = if text.is_empty() { "" } else { " " };
                write!(text, "{gap}{name}").expect("writing to a string never fails");
            }
        }
        if text.is_empty() { b"default".to_vec() } else { text.into_bytes() }
    }
}

/// Declares an enumeration parameter: the variants with their names, of which the first that fits is shown.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $other:literal)*),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),* }

        impl $name {
            /// The name in configuration files.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }

        impl Value for $name {
            fn assign(&mut self, words: &[Vec<u8>], _: Rule, _: Source) -> Result<(), Reason> {
                const NAMES: &[(&str, $name)] = &[$(($text, $name::$variant) $(, ($other, $name::$variant))*),*];
                let word = one(words)?;
                let found = NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
                let Some((_, variant)) = found else {
                    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                    return Err(format!("argument(s) must be one of the following: {}", names.join(", ")).into());
                };
                *self = *variant;
                Ok(())
            }

            fn show(&self, _: Rule) -> Vec<u8> {
                self.as_str().as_bytes().to_vec()
            }
        }
    };
}

choices! {
    /// `maxmemory-policy`: what is removed when memory runs out.
    MaxmemoryPolicy {
        /// The least recently used key of those with a TTL.
        VolatileLru = "volatile-lru",
        /// The least frequently used key of those with a TTL.
        VolatileLfu = "volatile-lfu",
        /// Any key of those with a TTL.
        VolatileRandom = "volatile-random",
        /// The key that expires soonest.
        VolatileTtl = "volatile-ttl",
        /// The least recently used key.
        AllkeysLru = "allkeys-lru",
        /// The least frequently used key.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes are refused.
        NoEviction = "noeviction",
    }
}

impl MaxmemoryPolicy {
    /// Whether keys carry an access frequency rather than a time.
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
    }
}

choices! {
    /// `loglevel`: the least important lines that are still written.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Less of what is rarely useful.
        Verbose = "verbose",
        /// What a production server should tell.
        Notice = "notice",
        /// Only what is critical.
        Warning = "warning",
        /// Not even that.
        Nothing = "nothing",
    }
}

choices! {
    /// `log-format` (ours): the shape of log lines.
    LogFormat {
        /// Redis' own.
        Redis = "redis",
        /// One JSON object a line.
        Json = "json",
        /// `key=value` pairs.
        Logfmt = "logfmt",
    }
}

choices! {
    /// `rdb-output-format`: the version of the RDB format that is written.
    RdbOutputFormat {
        /// Redis 7.4 and 8.
        Redis12 = "redis-12",
        /// Redis 7.2, Valkey 7.2 and 8.
        Redis11 = "redis-11",
        /// Redis 7.0.
        Redis10 = "redis-10",
        /// Redis 5 and 6.
        Redis9 = "redis-9",
        /// Valkey 9.
        Valkey80 = "valkey-80",
    }
}

impl From<RdbOutputFormat> for persistence::rdb::Dialect {
    fn from(format: RdbOutputFormat) -> Self {
        match format {
            RdbOutputFormat::Redis12 => Self::Redis12,
            RdbOutputFormat::Redis11 => Self::Redis11,
            RdbOutputFormat::Redis10 => Self::Redis10,
            RdbOutputFormat::Redis9 => Self::Redis9,
            RdbOutputFormat::Valkey80 => Self::Valkey80,
        }
    }
}

choices! {
    /// `rdb-downgrade-policy`: what becomes of data that the RDB format has no form for.
    RdbDowngradePolicy {
        /// Nothing is saved.
        Fail = "fail",
        /// They are left out.
        Drop = "drop",
    }
}

choices! {
    /// `appendfsync`: when the append-only file reaches the disk.
    Appendfsync {
        /// Once a second.
        Everysec = "everysec",
        /// Before the replies of what was written.
        Always = "always",
        /// When the operating system thinks fit.
        No = "no",
    }
}

choices! {
    /// `repl-diskless-load`: whether a replica loads straight from the socket.
    DisklessLoad {
        /// From a file.
        Disabled = "disabled",
        /// When there is nothing to lose.
        OnEmptyDb = "on-empty-db",
        /// Beside the old data, which stay until it has succeeded.
        Swapdb = "swapdb",
    }
}

choices! {
    /// `oom-score-adj`: whether the kernel's preference of victims is adjusted.
    OomScoreAdj {
        /// No.
        No = "no",
        /// Relative to the score at the start.
        Relative = "yes" | "relative",
        /// As given.
        Absolute = "absolute",
    }
}

choices! {
    /// `acl-pubsub-default`: which channels a new user may use.
    AclPubsubDefault {
        /// All.
        AllChannels = "allchannels",
        /// None.
        ResetChannels = "resetchannels",
    }
}

choices! {
    /// `sanitize-dump-payload`: whose payloads are examined in depth.
    SanitizePayload {
        /// Nobody's.
        No = "no",
        /// Everybody's.
        Yes = "yes",
        /// Those of clients; neither the primary's nor those of files.
        Clients = "clients",
    }
}

choices! {
    /// `enable-debug-command` and the like: who may use what is dangerous.
    EnabledFor {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients on this machine.
        Local = "local",
    }
}

impl EnabledFor {
    /// Whether a client may, which is on this machine or not.
    #[must_use]
    pub fn allows(self, local: bool) -> bool {
        match self {
            EnabledFor::No => false,
            EnabledFor::Yes => true,
            EnabledFor::Local => local,
        }
    }
}

choices! {
    /// `cluster-preferred-endpoint-type`: how nodes are named to clients.
    EndpointType {
        /// By address.
        Ip = "ip",
        /// By host name.
        Hostname = "hostname",
        /// Not at all: clients use the address that they know.
        UnknownEndpoint = "unknown-endpoint",
    }
}

choices! {
    /// `propagation-error-behavior`: when a propagated command fails.
    PropagationError {
        /// Go on.
        Ignore = "ignore",
        /// Stop the server.
        Panic = "panic",
        /// Stop it when it is a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
}

choices! {
    /// `tls-auth-clients`: whether clients need a certificate.
    TlsAuthClients {
        /// No.
        No = "no",
        /// Yes.
        Yes = "yes",
        /// Checked if they have one.
        Optional = "optional",
    }
}

choices! {
    /// `supervised`: whom to tell that the server is up.
    Supervised {
        /// Upstart.
        Upstart = "upstart",
        /// systemd.
        Systemd = "systemd",
        /// Whoever the environment names.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }
}

choices! {
    /// `syslog-facility`.
    SyslogFacility {
        /// user
        User = "user",
        /// local0
        Local0 = "local0",
        /// local1
        Local1 = "local1",
        /// local2
        Local2 = "local2",
        /// local3
        Local3 = "local3",
        /// local4
        Local4 = "local4",
        /// local5
        Local5 = "local5",
        /// local6
        Local6 = "local6",
        /// local7
        Local7 = "local7",
    }
}

/// A file name without a folder.
pub(super) fn check_dbfilename(word: &[u8]) -> Result<(), Reason> {
    if word.contains(&b'/') { Err("dbfilename can't be a path, just a filename".into()) } else { Ok(()) }
}

/// A file name without a folder, not empty.
pub(super) fn check_appendfilename(word: &[u8]) -> Result<(), Reason> {
    match word {
        [] => Err("appendfilename can't be empty".into()),
        _ if word.contains(&b'/') => Err("appendfilename can't be a path, just a filename".into()),
        _ => Ok(()),
    }
}

/// A folder's name without a path, not empty.
pub(super) fn check_appenddirname(word: &[u8]) -> Result<(), Reason> {
    match word {
        [] => Err("appenddirname can't be empty".into()),
        _ if word.contains(&b'/') => Err("appenddirname can't be a path, just a dirname".into()),
        _ => Ok(()),
    }
}

/// What may stand in a host name.
pub(super) fn check_hostname(word: &[u8]) -> Result<(), Reason> {
    if word.len() > HOSTNAME_LEN_MAX {
        return Err("Hostnames must be less than 256 characters".into());
    }
    if !word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        return Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into());
    }
    Ok(())
}

/// A node name that does not break the lines of `nodes.conf`.
pub(super) fn check_nodename(word: &[u8]) -> Result<(), Reason> {
    if word.len() > HOSTNAME_LEN_MAX {
        return Err("Human node names must be less than 256 characters".into());
    }
    if word.iter().any(|byte| {
        !byte.is_ascii_graphic() && !matches!(byte, b' ' | b'\t') || b"!#$%&()*+:;<>?@[]^{|}~".contains(byte)
    }) {
        return Err("Announced human node name contained invalid character".into());
    }
    Ok(())
}

/// Only the variables that there are.
pub(super) fn check_title(word: &[u8]) -> Result<(), Reason> {
    const VARIABLES: [&[u8]; 7] =
        [b"title", b"listen-addr", b"server-mode", b"port", b"tls-port", b"unixsocket", b"config-file"];
    let refused = || Reason::from("template format is invalid or contains unknown variables");
    let mut rest = word;
    while let Some(start) = rest.iter().position(|byte| *byte == b'{') {
        let inside = &rest[start + 1..];
        let end = inside.iter().position(|byte| *byte == b'}').ok_or_else(refused)?;
        if !VARIABLES.contains(&&inside[..end]) {
            return Err(refused());
        }
        rest = &inside[end + 1..];
    }
    Ok(())
}
