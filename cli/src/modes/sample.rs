//! What `--bigkeys`, `--memkeys`, `--keystats` and `--hotkeys` share: a walk through the keyspace that asks something
//! about every key, many keys at a time.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use resp::Value;

use crate::args::Options;
use crate::connection::{Connection, Error, encode};
use crate::modes::{Scan, failed};
use crate::session::Session;

/// Batches between two pauses of `-i`.
const BATCHES_PER_PAUSE: u64 = 100;

/// A type of value: what its elements are called and which command counts them.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) command: Option<&'static str>,
}

/// The types that a server has. Those that the client does not know are added as they are met, without a size.
pub(crate) struct Kinds {
    pub(crate) all: Vec<Kind>,
    known: HashMap<Vec<u8>, usize>,
}

impl Kinds {
    pub(crate) fn new() -> Kinds {
        let known = [
            ("list", "items", "LLEN"),
            ("hash", "fields", "HLEN"),
            ("stream", "entries", "XLEN"),
            ("string", "bytes", "STRLEN"),
            ("set", "members", "SCARD"),
            ("zset", "members", "ZCARD"),
        ];
        let all: Vec<Kind> =
            known.map(|(name, unit, command)| Kind { name: name.to_owned(), unit, command: Some(command) }).into();
        let known = all.iter().enumerate().map(|(index, kind)| (kind.name.clone().into_bytes(), index)).collect();
        Kinds { all, known }
    }

    fn index(&mut self, name: &[u8]) -> usize {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        self.all.push(Kind { name: String::from_utf8_lossy(name).into_owned(), unit: "?", command: None });
        self.known.insert(name.to_vec(), self.all.len() - 1);
        self.all.len() - 1
    }
}

/// What is asked about each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Its type and how many elements it has.
    Length,
    /// Its type and the bytes of memory it takes. `Some`: how many elements to look at.
    Memory(Option<i64>),
    /// Type, memory and elements.
    Both(Option<i64>),
    /// How often it is used.
    Frequency,
}

/// What was learnt about a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) key: Vec<u8>,
    /// Index into [`Kinds::all`].
    pub(crate) kind: usize,
    pub(crate) length: u64,
    pub(crate) memory: u64,
    pub(crate) frequency: u64,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Keys seen before this batch.
    pub(crate) sampled: u64,
    /// Keys of the database when the walk began.
    pub(crate) total: u64,
}

impl Progress {
    /// 0 to 100.
    pub(crate) fn percent(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => (100.0 * self.sampled as f64 / total as f64).min(100.0),
        }
    }
}

/// Keys asked for at once when nobody said how many: redis-cli's number, which its percentages show.
const COUNT: i64 = 10;

/// Keys of one SCAN, and where the walk goes on after them.
struct Batch {
    answers: Vec<Answer>,
    cursor: Vec<u8>,
}

/// A walk through the keyspace. Three batches are under way at a time, so that a round to the server has the sizes of one, the
/// types of the next and the keys of the one after.
pub(crate) struct Walk {
    scan: Scan,
    /// Without types yet.
    scanned: Option<Batch>,
    /// With types, without sizes.
    typed: Option<Batch>,
    /// Behind the batch that was given last.
    cursor: Vec<u8>,
    /// What went wrong with a later batch.
    failed: Option<Error>,
    question: Question,
    pub(crate) kinds: Kinds,
    pub(crate) progress: Progress,
    interval: Duration,
    batches: u64,
}

impl Walk {
    /// Asks how many keys there are. An error when there is no server or it does not answer.
    pub(crate) async fn start(session: &mut Session, question: Question) -> Result<Walk, ExitCode> {
        let options: Options = session.options.clone();
        let Some(connection) = session.connection().await else { return Err(ExitCode::FAILURE) };
        let total = match connection.ask(&["DBSIZE"]).await {
            Ok(Value::Error(text)) => {
                eprintln!("Couldn't determine DBSIZE: {}", String::from_utf8_lossy(&text));
                return Err(ExitCode::FAILURE);
            }
            Ok(reply) => u64::try_from(reply.as_i64().unwrap_or(0)).unwrap_or(0),
            Err(error) => return Err(failed(&error)),
        };
        // A replica of a cluster answers only after this; others refuse it, which does no harm.
        connection.ask(&["READONLY"]).await.map_err(|error| failed(&error))?;
        Ok(Walk {
            scan: Scan::new(options.pattern, options.count.unwrap_or(COUNT)).from(options.cursor),
            scanned: None,
            typed: None,
            cursor: options.cursor.to_string().into_bytes(),
            failed: None,
            question,
            kinds: Kinds::new(),
            progress: Progress { sampled: 0, total },
            interval: options.interval,
            batches: 0,
        })
    }

    /// Answers for the next keys; `None` after the last. Keys that have gone meanwhile are left out.
    pub(crate) async fn next(&mut self, session: &mut Session) -> Result<Option<Vec<Answer>>, Error> {
        self.batches += 1;
        if self.batches.is_multiple_of(BATCHES_PER_PAUSE) && !self.interval.is_zero() {
            tokio::time::sleep(self.interval).await;
        }
        let connection = session.connection().await.ok_or(Error::Closed)?;
        loop {
            if self.failed.is_some() && self.scanned.is_none() && self.typed.is_none() {
                return Err(self.failed.take().unwrap_or(Error::Closed));
            }
            if self.scan.is_finished() && self.scanned.is_none() && self.typed.is_none() {
                return Ok(None);
            }
            if let Some(batch) = self.round(connection).await? {
                self.cursor = batch.cursor;
                return Ok(Some(batch.answers));
            }
        }
    }

    /// Where a walk that is interrupted now could go on.
    pub(crate) fn cursor(&self) -> String {
        String::from_utf8_lossy(&self.cursor).into_owned()
    }

    /// Asks about each batch what comes next for it; gives the one that is complete.
    async fn round(&mut self, connection: &mut Connection) -> Result<Option<Batch>, Error> {
        let mut request = Vec::new();
        let (mut complete, scanned) = (self.typed.take(), self.scanned.take());
        if let Some(batch) = &complete {
            batch.answers.iter().for_each(|answer| self.ask_sizes(&mut request, answer));
        }
        let has_types = self.question != Question::Frequency;
        if let Some(batch) = scanned.as_ref().filter(|_| has_types) {
            batch.answers.iter().for_each(|answer| encode(&mut request, &[&b"TYPE"[..], &answer.key]));
        }
        let scans = !self.scan.is_finished() && self.failed.is_none();
        if scans {
            self.scan.request(&mut request);
        }
        connection.send_raw(&request).await?;
        if let Some(batch) = &mut complete {
            for answer in &mut batch.answers {
                self.take_sizes(connection, answer).await?;
            }
        }
        if let Some(mut batch) = scanned {
            if has_types {
                self.take_types(connection, &mut batch.answers).await?;
            }
            self.typed = Some(batch);
        }
        if scans {
            match self.scan.take(connection.reply().await?) {
                Ok(keys) => {
                    let keys = keys.into_iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec));
                    let answers = keys.map(|key| Answer { key, ..Answer::default() }).collect();
                    self.scanned = Some(Batch { answers, cursor: self.scan.cursor().to_vec() });
                }
                // What is known already is told first.
                Err(error) => self.failed = Some(error),
            }
        }
        Ok(complete)
    }

    /// Keys that have gone meanwhile are left out.
    async fn take_types(&mut self, connection: &mut Connection, answers: &mut Vec<Answer>) -> Result<(), Error> {
        let mut gone = Vec::with_capacity(answers.len());
        for answer in answers.iter_mut() {
            let reply = connection.reply().await?;
            let name = reply.as_bytes().filter(|_| !reply.is_error());
            let name = name.ok_or_else(|| Error::Protocol("unexpected reply to TYPE".to_owned()))?;
            gone.push(name == b"none");
            answer.kind = self.kinds.index(name);
        }
        let mut gone = gone.into_iter();
        answers.retain(|_| !gone.next().unwrap_or(false));
        Ok(())
    }

    fn asks_length(&self, answer: &Answer) -> Option<&'static str> {
        match self.question {
            Question::Length | Question::Both(_) => self.kinds.all.get(answer.kind)?.command,
            Question::Memory(_) | Question::Frequency => None,
        }
    }

    fn ask_sizes(&self, request: &mut Vec<u8>, answer: &Answer) {
        if let Question::Memory(samples) | Question::Both(samples) = self.question {
            let samples = samples.map(|samples| samples.to_string());
            let mut words: Vec<&[u8]> = vec![b"MEMORY", b"USAGE", &answer.key];
            if let Some(samples) = &samples {
                words.extend([&b"SAMPLES"[..], samples.as_bytes()]);
            }
            encode(request, &words);
        }
        if let Some(command) = self.asks_length(answer) {
            encode(request, &[command.as_bytes(), &answer.key]);
        }
        if self.question == Question::Frequency {
            encode(request, &[&b"OBJECT"[..], b"FREQ", &answer.key]);
        }
    }

    async fn take_sizes(&self, connection: &mut Connection, answer: &mut Answer) -> Result<(), Error> {
        if let Question::Memory(_) | Question::Both(_) = self.question {
            answer.memory = number(&connection.reply().await?);
        }
        if self.asks_length(answer).is_some() {
            answer.length = number(&connection.reply().await?);
        }
        if self.question == Question::Frequency {
            let reply = connection.reply().await?;
            // A key that has gone is null; an error is the server's refusal to tell of any key.
            if let Value::Error(text) = &reply {
                return Err(Error::Reply(String::from_utf8_lossy(text).into_owned()));
            }
            answer.frequency = number(&reply);
        }
        Ok(())
    }
}

/// A count; errors (the key has another type by now) count as nothing.
fn number(reply: &Value) -> u64 {
    match reply.is_error() {
        true => 0,
        false => reply.as_i64().unwrap_or(0).max(0).unsigned_abs(),
    }
}

/// `part / whole`, and 0 of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The bar that grows on a terminal while keys are sampled, and the lines below it.
pub(crate) struct Display {
    on: bool,
    lines: usize,
}

/// Characters of the bar.
const BAR: usize = 60;

impl Display {
    pub(crate) fn new(on: bool) -> Display {
        Display { on, lines: 0 }
    }

    /// Whether there is a terminal to draw on.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Draws the bar and the text over what was drawn before.
    pub(crate) fn draw(&mut self, session: &Session, percent: f64, text: &str) {
        if !self.on {
            return;
        }
        let full = (percent / 100.0 * BAR as f64) as usize;
        let mut out = String::new();
        if self.lines > 0 {
            out.push_str(&format!("\x1b[{}A\r", self.lines));
        }
        out.push_str(&format!(
            "\x1b[2K\r{percent:6.2}% \x1b[32m{}\x1b[31m{}\x1b[39m\n",
            "|".repeat(full.min(BAR)),
            "-".repeat(BAR.saturating_sub(full))
        ));
        self.lines = 1;
        for line in text.lines() {
            out.push_str(&format!("\x1b[2K\r{line}\n"));
            self.lines += 1;
        }
        session.write(out.as_bytes());
    }
}
