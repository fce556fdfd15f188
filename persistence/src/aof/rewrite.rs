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
use engine::keyspace::ValueRef;
use engine::time::UnixMs;
use engine::types::{Hash, List, Set, Zset};

use super::{encode, header};

/// Most elements in one command: a command of any length would have to be read as a whole.
const ITEMS_PER_COMMAND: usize = 64;

/// Appends a SELECT.
pub fn select(out: &mut Vec<u8>, db: usize) {
    encode(out, [&b"SELECT"[..], itoa::Buffer::new().format(db).as_bytes()].into_iter());
}

/// Appends the commands that make a key.
pub fn key(out: &mut Vec<u8>, key: &[u8], value: ValueRef<'_>, deadline: Option<UnixMs>) {
    match value {
        ValueRef::String(string) => {
            let mut digits = itoa::Buffer::new();
            encode(out, [&b"SET"[..], key, string.text(&mut digits)].into_iter());
        }
        ValueRef::Other(other) => {
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
            } else if let Some(zset) = other.get::<Zset>() {
                let mut command = Grouped::new(out, b"ZADD", key, 2, zset.len());
                for (member, score) in zset.iter() {
                    let score = resp::number::format_f64(score);
                    command.item(&[score.as_bytes(), text(member, &mut ElemBuf::new())]);
                }
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
        header(self.out, b'$', word.len());
        self.out.extend_from_slice(word);
        self.out.extend_from_slice(b"\r\n");
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
            "DBSIZE",
        ] {
            assert_eq!(run(&mut again, line), run(&mut engine, line), "{line}");
        }
    }
}
