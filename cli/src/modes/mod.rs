//! Everything that is not "run commands and print replies": one file per option, each with a `run` that takes the
//! session and gives the exit code.

use std::process::ExitCode;

use resp::Value;

use crate::connection::{Connection, Error, encode};

pub(crate) mod bigkeys;
pub(crate) mod eval;
pub(crate) mod hints;
pub(crate) mod hotkeys;
pub(crate) mod keystats;
pub(crate) mod latency;
pub(crate) mod ldb;
pub(crate) mod lru;
pub(crate) mod pipe;
pub(crate) mod replica;
pub(crate) mod sample;
pub(crate) mod scan;
pub(crate) mod stat;
pub(crate) mod tui;

/// Says why a mode ends early.
pub(crate) fn failed(error: &Error) -> ExitCode {
    match error {
        Error::Told(text) => eprintln!("{text}"),
        error => eprintln!("Error: {error}"),
    }
    ExitCode::FAILURE
}

/// Walks the keyspace with SCAN, one batch at a time.
pub(crate) struct Scan {
    pattern: Option<Vec<u8>>,
    count: i64,
    cursor: Vec<u8>,
    finished: bool,
}

impl Scan {
    pub(crate) fn new(pattern: Option<Vec<u8>>, count: i64) -> Scan {
        Scan { pattern, count, cursor: b"0".to_vec(), finished: false }
    }

    /// Begins at a cursor that an earlier walk has told.
    pub(crate) fn from(mut self, cursor: u64) -> Scan {
        self.cursor = cursor.to_string().into_bytes();
        self
    }

    /// Asks for another number of keys from now on.
    pub(crate) fn set_count(&mut self, count: i64) {
        self.count = count;
    }

    /// Where the next batch begins.
    pub(crate) fn cursor(&self) -> &[u8] {
        &self.cursor
    }

    /// Whether every key has been told.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Appends the request for the next keys.
    pub(crate) fn request(&self, out: &mut Vec<u8>) {
        let count = self.count.to_string();
        let mut words: Vec<&[u8]> = vec![b"SCAN", &self.cursor];
        if let Some(pattern) = &self.pattern {
            words.extend([&b"MATCH"[..], pattern]);
        }
        words.extend([&b"COUNT"[..], count.as_bytes()]);
        encode(out, &words);
    }

    /// The keys of the answer to [`Scan::request`].
    pub(crate) fn take(&mut self, reply: Value) -> Result<Vec<Value>, Error> {
        let strange = || Error::Protocol("unexpected reply to SCAN".to_owned());
        match reply {
            Value::Error(text) => Err(Error::Told(format!("SCAN error: {}", String::from_utf8_lossy(&text)))),
            Value::Array(parts) => {
                let [cursor, Value::Array(keys)] = <[Value; 2]>::try_from(parts).map_err(|_| strange())? else {
                    return Err(strange());
                };
                self.cursor = cursor.as_bytes().ok_or_else(strange)?.to_vec();
                self.finished = self.cursor == b"0";
                Ok(keys)
            }
            _ => Err(strange()),
        }
    }

    /// The next keys; `None` after the last.
    pub(crate) async fn next(&mut self, connection: &mut Connection) -> Result<Option<Vec<Value>>, Error> {
        if self.finished {
            return Ok(None);
        }
        let mut request = Vec::new();
        self.request(&mut request);
        connection.send_raw(&request).await?;
        let reply = connection.reply().await?;
        self.take(reply).map(Some)
    }
}
