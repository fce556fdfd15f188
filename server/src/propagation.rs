//! Propagation: what the data's changes become for those who repeat them, the append-only file and the replicas.
//!
//! Everything that one unit (a command, EXEC, a script, one waiting client served) changes is repeated as one unit:
//! between MULTI and EXEC when it is more than one command. A unit's commands are encoded when they are known,
//! straight into the feed when the unit is a single command.
//!
//! ```
//! use server::propagation::{Feed, Propagation};
//!
//! let mut propagation = Propagation::default();
//! propagation.aof = Some(Feed::default());
//! propagation.begin_unit();
//! propagation.command(0, [&b"INCR"[..], b"a"].into_iter());
//! propagation.command(0, [&b"INCR"[..], b"b"].into_iter());
//! propagation.end_unit();
//! let feed = propagation.aof.as_ref().expect("it was opened above");
//! assert!(feed.bytes.starts_with(b"*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n"));
//! assert!(feed.bytes.ends_with(b"*1\r\n$4\r\nEXEC\r\n"));
//! ```

use persistence::aof::{encode, encode_timestamp};

/// Room for a unit's commands that is kept from unit to unit, in bytes.
const UNIT_KEPT_MAX: usize = 1 << 20;

/// One stream of commands: requests in RESP, with a SELECT wherever the database changes.
#[derive(Debug, Default)]
pub struct Feed {
    /// What has not been taken yet.
    pub bytes: Vec<u8>,
    /// Whether the time is told in annotations.
    pub stamps: bool,
    /// The second that was told last.
    stamped: i64,
    /// The database that whoever reads the stream has selected at its end; `None`: it must be told.
    selected: Option<usize>,
}

impl Feed {
    /// The stream is about to be read from here by somebody who has seen nothing of it: the next command brings a SELECT.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// Tells the time when it is another than before.
    #[inline]
    fn stamp(&mut self, secs: i64) {
        if self.stamps && self.stamped < secs {
            self.stamped = secs;
            encode_timestamp(&mut self.bytes, secs);
        }
    }

    fn select(&mut self, db: usize) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            let mut number = itoa::Buffer::new();
            encode(&mut self.bytes, [&b"SELECT"[..], number.format(db).as_bytes()].into_iter());
        }
    }

    fn encoded(&mut self, db: usize, command: &[u8]) {
        self.select(db);
        self.bytes.extend_from_slice(command);
    }

    fn bare(&mut self, name: &[u8]) {
        encode(&mut self.bytes, std::iter::once(name));
    }
}

/// A command of the unit that is being collected.
#[derive(Copy, Clone, Debug)]
struct Staged {
    db: usize,
    /// Where it ends among the unit's bytes.
    end: usize,
}

/// Collects the commands of units and feeds them to whoever repeats them.
#[derive(Debug, Default)]
pub struct Propagation {
    /// The append-only file, when there is one.
    pub aof: Option<Feed>,
    /// Units that are open, one within the other: the outermost is the one that counts.
    depth: u32,
    /// Commands handed on since the start: the replication offset while there are no replicas.
    pub offset: u64,
    /// Seconds since the epoch, for the annotations.
    pub now_secs: i64,
    staged: Vec<Staged>,
    bytes: Vec<u8>,
}

impl Propagation {
    /// Whether anybody repeats commands.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.aof.is_some()
    }

    /// Whether a unit is open.
    #[must_use]
    #[inline]
    pub fn in_unit(&self) -> bool {
        self.depth > 0
    }

    /// Opens a unit. Units may be opened within units.
    pub fn begin_unit(&mut self) {
        self.depth += 1;
    }

    /// Closes the innermost unit; the outermost is fed. Returns whether it was the outermost.
    pub fn end_unit(&mut self) -> bool {
        debug_assert!(self.depth > 0, "every unit that is closed was opened");
        self.depth -= 1;
        if self.depth == 0 && !self.staged.is_empty() {
            self.feed_unit();
        }
        self.depth == 0
    }

    /// Takes a command that ran in `db`: into the open unit, or as a unit of its own.
    pub fn command<'w>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'w [u8]>) {
        if self.depth > 0 {
            encode(&mut self.bytes, words);
            self.staged.push(Staged { db, end: self.bytes.len() });
        } else if let Some(feed) = &mut self.aof {
            feed.stamp(self.now_secs);
            feed.select(db);
            encode(&mut feed.bytes, words);
            self.offset += 1;
        }
    }

    fn feed_unit(&mut self) {
        let many = self.staged.len() > 1;
        for feed in [&mut self.aof].into_iter().flatten() {
            feed.stamp(self.now_secs);
            if many {
                feed.bare(b"MULTI");
            }
            let mut start = 0;
            for &Staged { db, end } in &self.staged {
                feed.encoded(db, &self.bytes[start..end]);
                start = end;
            }
            if many {
                feed.bare(b"EXEC");
            }
        }
        if self.is_wanted() {
            self.offset += self.staged.len() as u64 + if many { 2 } else { 0 };
        }
        self.staged.clear();
        self.bytes.clear();
        self.bytes.shrink_to(UNIT_KEPT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands fed so far, one to a line.
    fn fed(propagation: &mut Propagation) -> String {
        let bytes = std::mem::take(&mut propagation.aof.as_mut().unwrap().bytes);
        let text = String::from_utf8(bytes).unwrap();
        let words = text.split("\r\n").filter(|word| !word.starts_with('$'));
        words
            .collect::<Vec<_>>()
            .join(" ")
            .split('*')
            .skip(1)
            .map(|line| line[2..].trim_end())
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn run(propagation: &mut Propagation, db: usize, line: &str) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        propagation.command(db, words.into_iter());
    }

    #[test]
    fn a_unit_of_several_commands_stands_between_multi_and_exec() {
        let mut propagation = Propagation { aof: Some(Feed::default()), ..Propagation::default() };
        run(&mut propagation, 0, "SET a 1");
        run(&mut propagation, 0, "SET b 1");
        assert_eq!(fed(&mut propagation), "SELECT 0; SET a 1; SET b 1");
        propagation.begin_unit();
        propagation.begin_unit();
        run(&mut propagation, 0, "DEL a");
        assert!(!propagation.end_unit());
        assert_eq!(fed(&mut propagation), "");
        run(&mut propagation, 3, "SET a 2");
        assert!(propagation.end_unit());
        assert_eq!(fed(&mut propagation), "MULTI; DEL a; SELECT 3; SET a 2; EXEC");
        propagation.begin_unit();
        run(&mut propagation, 3, "DEL a");
        propagation.end_unit();
        propagation.begin_unit();
        propagation.end_unit();
        assert_eq!(fed(&mut propagation), "DEL a");
        propagation.aof.as_mut().unwrap().forget_selected();
        run(&mut propagation, 3, "DEL b");
        assert_eq!(fed(&mut propagation), "SELECT 3; DEL b");
    }
}
