//! The slow log: the last commands that took longer than `slowlog-log-slower-than`.

use std::collections::VecDeque;

/// Arguments kept of one command; the last says how many more there were.
const ARGS_MAX: usize = 32;

/// Bytes kept of one argument.
const ARG_BYTES_MAX: usize = 128;

/// One slow command.
#[derive(Debug, Clone)]
pub struct SlowCommand {
    /// Counts up, never reset.
    pub id: u64,
    /// Seconds since the epoch.
    pub time: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its words, shortened.
    pub argv: Vec<Vec<u8>>,
    /// Address of the client.
    pub peer: String,
    /// Name of the client.
    pub name: Vec<u8>,
}

/// The log, newest first.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// The entries.
    pub entries: VecDeque<SlowCommand>,
    next_id: u64,
}

impl SlowLog {
    /// Adds a command; the log keeps `len_max` of them.
    pub fn add(&mut self, time: i64, micros: u64, argv: &[&[u8]], peer: String, name: Vec<u8>, len_max: usize) {
        let kept = argv.len().min(ARGS_MAX);
        let mut words: Vec<Vec<u8>> = argv[..kept].iter().map(|word| shorten(word)).collect();
        if argv.len() > ARGS_MAX {
            let more = argv.len() - ARGS_MAX + 1;
            words[ARGS_MAX - 1] = format!("... ({more} more arguments)").into_bytes();
        }
        self.entries.push_front(SlowCommand { id: self.next_id, time, micros, argv: words, peer, name });
        self.next_id += 1;
        self.entries.truncate(len_max);
    }
}

fn shorten(word: &[u8]) -> Vec<u8> {
    if word.len() <= ARG_BYTES_MAX {
        return word.to_vec();
    }
    let mut short = word[..ARG_BYTES_MAX].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", word.len() - ARG_BYTES_MAX).as_bytes());
    short
}
