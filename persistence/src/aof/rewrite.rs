//! Data as the commands that make them: a base that is not in the RDB format.
//!
//! ```
//! use engine::{Engine, config::EngineConfig, time::UnixMs};
//! use persistence::aof::rewrite;
//!
//! let mut engine = Engine::new(EngineConfig::default(), 1);
//! engine.execute(&[b"SADD", b"tags", b"red"], UnixMs(0), &mut Vec::new());
//! let mut file = Vec::new();
//! engine.dbs[0].for_each(|key, value, deadline| rewrite::key(&mut file, key, value, deadline));
//! assert_eq!(file, b"*3\r\n$4\r\nSADD\r\n$4\r\ntags\r\n$3\r\nred\r\n");
//! ```

use engine::ds::listpack::{Elem, ElemBuf};
use engine::time::UnixMs;
use engine::types::stream::{IdText, StreamId};
use engine::types::{Hash, List, Set, Stream, Zset};

use super::{encode, header};
use crate::rdb::Saved;

/// Most elements in one command: a command of any length would have to be read as a whole.
const ITEMS_PER_COMMAND: usize = 64;

/// Appends a SELECT.
pub fn select(out: &mut Vec<u8>, db: usize) {
    encode(out, [&b"SELECT"[..], itoa::Buffer::new().format(db).as_bytes()].into_iter());
}

/// Appends the command that loads a library of functions.
pub fn function(out: &mut Vec<u8>, code: &[u8]) {
    encode(out, [&b"FUNCTION"[..], b"LOAD", code].into_iter());
}

/// Appends the commands that make a key.
pub fn key<'v>(out: &mut Vec<u8>, key: &[u8], value: impl Into<Saved<'v>>, deadline: Option<UnixMs>) {
    match value.into() {
        Saved::String(string) => {
            encode(out, [&b"SET"[..], key, text(string, &mut ElemBuf::new())].into_iter());
        }
        other => {
            if let Some(list) = other.get::<List>() {
                let mut command = Grouped::new(out, b"RPUSH", key, 1, list.len());
                list.for_range(0, list.len(), |element| command.item(&[text(element, &mut ElemBuf::new())]));
            } else if let Some(set) = other.get::<Set>() {
                let mut command = Grouped::new(out, b"SADD", key, 1, set.len());
                set.iter().for_each(|member| command.item(&[text(member, &mut ElemBuf::new())]));
            } else if let Some(hash) = other.get::<Hash>() {
                let mut command = Grouped::new(out, b"HMSET", key, 2, hash.len());
                for (field, value) in hash.iter() {
                    command.item(&[text(field, &mut ElemBuf::new()), text(value, &mut ElemBuf::new())]);
                }
                for stored in hash.iter_stored() {
                    let Some(at) = stored.deadline else { continue };
                    let (mut digits, mut field) = (itoa::Buffer::new(), ElemBuf::new());
                    let words = [&b"HPEXPIREAT"[..], key, digits.format(at.0).as_bytes(), b"FIELDS", b"1"];
                    encode(
                        out,
                        words.into_iter().chain([text(stored.field, &mut field)]).collect::<Vec<_>>().into_iter(),
                    );
                }
            } else if let Some(zset) = other.get::<Zset>() {
                let mut command = Grouped::new(out, b"ZADD", key, 2, zset.len());
                for (member, score) in zset.iter() {
                    let score = resp::number::format_f64(score);
                    command.item(&[score.as_bytes(), text(member, &mut ElemBuf::new())]);
                }
            } else if let Some(stream) = other.get::<Stream>() {
                self::stream(out, key, &stream);
            }
        }
    }
    if let Some(deadline) = deadline {
        let mut digits = itoa::Buffer::new();
        encode(out, [&b"PEXPIREAT"[..], key, digits.format(deadline.0).as_bytes()].into_iter());
    }
}

fn text<'a>(element: Elem<'a>, buffer: &'a mut ElemBuf) -> &'a [u8] {
    element.text(buffer)
}

fn word(out: &mut Vec<u8>, word: &[u8]) {
    header(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// A stream: its entries, what it remembers besides them, its groups. What nothing but a file can tell is lost: when a consumer
/// last got something, and that an entry is pending which is deleted.
fn stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    let mut id_text = IdText::new();
    for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
        header(out, b'*', 3 + 2 * entry.fields.len());
        for part in [b"XADD", key, entry.id.text(&mut id_text)] {
            word(out, part);
        }
        for (field, value) in entry.fields {
            word(out, text(field, &mut ElemBuf::new()));
            word(out, text(value, &mut ElemBuf::new()));
        }
    }
    let (mut deleted_text, mut numbers) = (IdText::new(), [itoa::Buffer::new(), itoa::Buffer::new()]);
    if stream.is_empty() {
        // An entry that is gone at once leaves an empty stream.
        let id = stream.last_id().max(StreamId::new(0, 1)).text(&mut id_text);
        encode(out, [&b"XADD"[..], key, b"MAXLEN", b"0", id, b"x", b"y"].into_iter());
    }
    let words = [
        b"XSETID",
        key,
        stream.last_id().text(&mut id_text),
        b"ENTRIESADDED",
        numbers[0].format(stream.entries_added()).as_bytes(),
        b"MAXDELETEDID",
        stream.max_deleted_id().text(&mut deleted_text),
    ];
    encode(out, words.into_iter());
    for (name, group) in stream.groups() {
        let read = group.entries_read.map_or(-1, |read| i64::try_from(read).unwrap_or(i64::MAX));
        let read = numbers[0].format(read).as_bytes();
        let id = group.last_id.text(&mut id_text);
        encode(out, [&b"XGROUP"[..], b"CREATE", key, name, id, b"ENTRIESREAD", read].into_iter());
        for (_, consumer) in group.consumers() {
            encode(out, [&b"XGROUP"[..], b"CREATECONSUMER", key, name, consumer.name()].into_iter());
        }
        for (id, pending) in group.pending_from(StreamId::MIN) {
            let [time, count] = &mut numbers;
            let words = [
                b"XCLAIM",
                key,
                name,
                group.consumer(pending.consumer).name(),
                b"0",
                id.text(&mut id_text),
                b"TIME",
                time.format(pending.delivered_at).as_bytes(),
                b"RETRYCOUNT",
                count.format(pending.deliveries).as_bytes(),
                b"JUSTID",
                b"FORCE",
            ];
            encode(out, words.into_iter());
        }
    }
}

/// Spreads the elements of a collection over commands.
struct Grouped<'a> {
    out: &'a mut Vec<u8>,
    name: &'a [u8],
    key: &'a [u8],
    /// Words an element has.
    words: usize,
    /// Elements still to come.
    left: usize,
    /// Elements still to come in the command that is open.
    open: usize,
}

impl<'a> Grouped<'a> {
    fn new(out: &'a mut Vec<u8>, name: &'a [u8], key: &'a [u8], words: usize, count: usize) -> Self {
        Grouped { out, name, key, words, left: count, open: 0 }
    }

    fn word(&mut self, word: &[u8]) {
        self::word(self.out, word);
    }

    fn item(&mut self, words: &[&[u8]]) {
        if self.open == 0 {
            self.open = self.left.min(ITEMS_PER_COMMAND);
            self.left -= self.open;
            header(self.out, b'*', 2 + self.open * self.words);
            self.word(self.name);
            self.word(self.key);
        }
        self.open -= 1;
        words.iter().for_each(|word| self.word(word));
    }
}

#[cfg(test)]
mod tests {
    use engine::Engine;
    use engine::config::EngineConfig;

    use super::*;
    use crate::aof::reader::{Item, Reader};

    const NOW: UnixMs = UnixMs(1_000_000);

    fn run(engine: &mut Engine, line: &str) -> Vec<u8> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        engine.execute(&words, NOW, &mut out);
        out
    }

    fn rewritten(engine: &Engine) -> Vec<u8> {
        let mut file = Vec::new();
        engine.dbs[0].for_each(|name, value, deadline| key(&mut file, name, value, deadline));
        file
    }

    #[test]
    fn every_type_comes_back() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        let many: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let pairs: Vec<String> = (0..150).map(|n| format!("{n} m{n}")).collect();
        for line in [
            "SET text hello".to_owned(),
            "SET number -12 PX 5000".to_owned(),
            format!("RPUSH list {}", many.join(" ")),
            format!("SADD ints {}", many.join(" ")),
            "SADD words a b c".to_owned(),
            format!("ZADD zset {}", pairs.join(" ")),
            "ZADD small 0.1 a -inf b 1e300 c".to_owned(),
            format!("HSET hash {}", pairs.join(" ")),
            "XADD stream 1-1 a 1 b 2".to_owned(),
            "XADD stream 1-2 a 1 b 2".to_owned(),
            "XADD stream 1-3 c 3".to_owned(),
            "XDEL stream 1-2".to_owned(),
            "XGROUP CREATE stream group 0".to_owned(),
            "XREADGROUP GROUP group someone COUNT 1 STREAMS stream >".to_owned(),
            "XGROUP CREATECONSUMER stream group nobody".to_owned(),
            "XGROUP CREATE empty group $ MKSTREAM".to_owned(),
            "HSET fields a 1 b 2".to_owned(),
            "HPEXPIRE fields 9000 FIELDS 1 b".to_owned(),
        ] {
            assert!(!run(&mut engine, &line).starts_with(b"-"), "{line}");
        }
        let file = rewritten(&engine);
        let mut again = Engine::new(EngineConfig::default(), 2);
        let mut reader = Reader::new(&file[..], 0);
        loop {
            let batch = reader.batch().unwrap();
            if batch.is_empty() {
                break;
            }
            for (item, _) in batch.items() {
                let Item::Command(words) = item else { panic!("a command") };
                let words: Vec<_> = words.collect();
                assert!(words.len() <= 2 + 2 * ITEMS_PER_COMMAND);
                let mut out = Vec::new();
                again.execute(&words, NOW, &mut out);
                assert!(!out.starts_with(b"-"));
            }
        }
        for line in [
            "GET text",
            "GET number",
            "PTTL number",
            "LRANGE list 0 -1",
            "SCARD ints",
            "SMISMEMBER ints 0 149 150",
            "SMISMEMBER words a b c d",
            "ZRANGE zset 0 -1 WITHSCORES",
            "ZRANGE small 0 -1 WITHSCORES",
            "HLEN hash",
            "HMGET hash 0 149",
            "XINFO STREAM stream",
            "XINFO GROUPS stream",
            "XPENDING stream group - + 10",
            "XINFO STREAM empty FULL",
            "HPTTL fields FIELDS 2 a b",
            "DBSIZE",
        ] {
            assert_eq!(run(&mut again, line), run(&mut engine, line), "{line}");
        }
    }
}
