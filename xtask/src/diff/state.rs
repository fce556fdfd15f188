//! What a case begins with: settings, and keys of every type and encoding.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::requests::Request;

/// The keys of a case. The last one is always missing at its start.
pub(super) const KEYS: &[&str] = &["k1", "k2", "k3", "k4", "{t}1", "{t}2", "k0"];

/// A text that is too long for an element of a listpack.
pub(super) const LONG: &str = "a text of more than sixty-four bytes, which is too long for an element of a listpack";

/// Requests that make a value, by family. Requests are parted by `;`, `@` is the key, `m1..9` stands for `m1` to `m9`, `*9` before a
/// request repeats it with 1 to 9 for `#`, `LONG` is a long text, `''` an empty one, `\xff` a byte.
const VALUES: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "SET @ 10",
            "SET @ hello",
            "SET @ ''",
            "SET @ 3.5",
            "SET @ LONG",
            "SET @ -9223372036854775808",
            "SET @ 9223372036854775807",
            "SET @ abcabc EX 1000000",
            "SET @ 1 PX 9999999999",
            "APPEND @ ab;APPEND @ 12",
            "SETRANGE @ 3 xyz",
            "SET @ 1e17",
        ],
    ),
    (
        "list",
        &[
            "RPUSH @ a b c 1 a",
            "RPUSH @ 1",
            "LPUSH @ 5 3 1 2 4",
            "RPUSH @ 1..200",
            "RPUSH @ LONG a LONG b",
            "RPUSH @ a b;EXPIRE @ 1000000",
            "*40 RPUSH @ LONG#",
            "RPUSH @ '' -1 65536 9223372036854775807",
        ],
    ),
    (
        "set",
        &[
            "SADD @ 1 2 3 4",
            "SADD @ a b c 1",
            "SADD @ m1..150 a",
            "SADD @ 1..600",
            "SADD @ LONG a b",
            "SADD @ 1 -5 65536 9223372036854775807",
            "SADD @ ''",
        ],
    ),
    (
        "sorted-set",
        &[
            "ZADD @ 1 a 2 b 3 c 3 d",
            "ZADD @ 0 a 0 b 0 c 0 d 0 e",
            "ZADD @ inf a -inf b 2.5 c -0 d",
            "*160 ZADD @ # m#",
            "*160 ZADD @ 7 m#",
            "ZADD @ 1 LONG 2 a",
            "ZADD @ 1 1 2 2 10 10",
            "ZADD @ 0.1 '' 1e300 b",
        ],
    ),
    (
        "hash",
        &[
            "HSET @ a 1 b 2.5 c x",
            "HSET @ a LONG b 2",
            "*150 HSET @ f# # a #",
            "HSET @ a 1 b 2 c 3;HEXPIRE @ 1000000 FIELDS 2 a b",
            "HSET @ a LONG b 1 c 2;HPEXPIRE @ 99999999 FIELDS 2 c b;HEXPIRE @ 5000 FIELDS 1 a",
            "*140 HSET @ f# # d 4;HEXPIREAT @ 99999999999 FIELDS 3 f1 f2 d",
            "HSET @ '' '' a 9223372036854775807",
        ],
    ),
    (
        "stream",
        &[
            "XADD @ 1-1 a 1 b 2;XADD @ 1-2 a 2 b 3;XADD @ 2-0 c x;XADD @ 5 a 1;XGROUP CREATE @ g1 1-1",
            "XADD @ 1-1 a 1;XADD @ 1-2 a 2;XADD @ 3-1 a 3;XGROUP CREATE @ g1 0;XGROUP CREATE @ g2 1-1;\
             XREADGROUP GROUP g1 c1 COUNT 2 STREAMS @ >;XREADGROUP GROUP g1 c2 STREAMS @ >;XREADGROUP GROUP g2 c1 STREAMS @ >;XDEL @ 1-2",
            "XGROUP CREATE @ g1 $ MKSTREAM;XADD @ 2-2 a b;XGROUP CREATECONSUMER @ g1 c1",
            "*120 XADD @ #-1 a # b x;XGROUP CREATE @ g1 0;XREADGROUP GROUP g1 c1 COUNT 50 STREAMS @ >;XDEL @ 3-1 4-1 5-1",
            "*12 XADD @ #-1 a #;XTRIM @ MAXLEN 5;XGROUP CREATE @ g2 8-1 ENTRIESREAD 3;XGROUP CREATE @ g1 0;\
             XREADGROUP GROUP g1 c1 STREAMS @ >;XREADGROUP GROUP g2 c3 STREAMS @ >;XDEL @ 9-1",
            "*8 XADD @ 3-# x LONG;XSETID @ 10-0 ENTRIESADDED 20 MAXDELETEDID 2-0;XGROUP CREATE @ g1 3-2",
            "XADD @ 18446744073709551615-18446744073709551614 a 1;XGROUP CREATE @ g1 0",
            "XADD @ 1-1 a 1;XDEL @ 1-1",
        ],
    ),
    (
        "bitmap",
        &[
            "SETBIT @ 7 1",
            "SET @ \\xff\\xf0\\x00",
            "SET @ \\x00\\x00\\xff",
            "SET @ foobar",
            "SETBIT @ 100 1;SETBIT @ 3 1",
            "SETBIT @ 70000 1",
            "SET @ \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff",
            "SET @ 12345",
        ],
    ),
    (
        "hyperloglog",
        &[
            "PFADD @ a b c",
            "PFADD @",
            "PFADD @ m1..300",
            "PFADD @ m1..3000",
            "*20 PFADD @ x# y#",
            "PFADD @ a;PFCOUNT @",
            "SET @ HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x7f\\xff",
            "SET @ HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00abc",
        ],
    ),
    (
        "geo",
        &[
            "GEOADD @ 13.361389 38.115556 a 15.087269 37.502669 b",
            "GEOADD @ 0 0 a 0.1 0.1 b -0.1 0.1 c 0.1 -0.1 d 1 1 e",
            "GEOADD @ 179.99 0 a -179.99 0 b 180 1 c -180 -1 d",
            "GEOADD @ 10 85 a -170 85 b 5 -85.05112878 c 0 85.05112878 d",
            "*150 GEOADD @ # 10 m# 1.# 2 a",
            "ZADD @ 1 a inf b -5 c 4503599627370496 d",
        ],
    ),
];

/// Settings that decide between encodings, with their defaults first.
const SETTINGS: &[(&str, &[&str])] = &[
    ("hash-max-listpack-entries", &["512", "2", "0"]),
    ("hash-max-listpack-value", &["64", "3"]),
    ("set-max-intset-entries", &["512", "3", "0"]),
    ("set-max-listpack-entries", &["128", "3", "0"]),
    ("set-max-listpack-value", &["64", "3"]),
    ("zset-max-listpack-entries", &["128", "3", "0"]),
    ("zset-max-listpack-value", &["64", "3"]),
    ("list-max-listpack-size", &["-2", "3", "1", "-1"]),
    ("list-compress-depth", &["0", "1"]),
    ("stream-node-max-entries", &["100", "3", "1"]),
    ("stream-node-max-bytes", &["4096", "100"]),
    ("hll-sparse-max-bytes", &["3000", "100", "0"]),
];

/// Requests that any case may hold: they look at what no command of the family shows.
const LOOKS: &[&str] =
    &["OBJECT ENCODING @", "DEBUG DIGEST-VALUE @", "DEBUG DIGEST", "TYPE @", "EXPIRE @ 1000000", "PERSIST @"];

/// Requests around which others become one unit.
const UNITS: &[&str] = &["MULTI", "MULTI", "EXEC", "EXEC", "EXEC", "DISCARD", "WATCH @", "UNWATCH"];

/// The request that sets every setting to its default.
pub(super) fn defaults() -> Request {
    let pairs = SETTINGS.iter().flat_map(|(name, values)| [*name, values[0]]);
    ["CONFIG", "SET"].into_iter().chain(pairs).map(|word| word.as_bytes().to_vec()).collect()
}

/// What a case begins with: settings that are not the default, then a value for most of the keys, usually one of the family's own type.
pub(super) fn prelude(family: &str, known: &BTreeSet<String>, dice: &mut Dice) -> Vec<Request> {
    let mut requests = Vec::new();
    for (name, values) in SETTINGS {
        if dice.percent(80) {
            continue;
        }
        let value = dice.pick(&values[1..]);
        requests.push(["CONFIG", "SET", name, value].map(|word| word.as_bytes().to_vec()).to_vec());
    }
    let own = match family {
        "field-expiry" => "hash",
        other => other,
    };
    let own = VALUES.iter().find(|(name, _)| *name == own);
    // Members of one score are at one place: which of them are nearest is not said.
    let others: Vec<_> = VALUES.iter().filter(|(name, _)| family != "geo" || *name != "sorted-set").collect();
    for key in &KEYS[..KEYS.len() - 1] {
        let values = match own {
            Some((_, values)) if dice.percent(85) => values,
            _ => others[dice.below(others.len())].1,
        };
        if dice.percent(93) {
            requests.extend(value(dice.pick(values), key).into_iter().filter(|words| is_known(words, known)));
        }
    }
    requests
}

/// The requests that make every value there is, each under a key of its own.
pub(super) fn every_value() -> Vec<(String, Vec<Request>)> {
    let texts = VALUES.iter().flat_map(|(_, texts)| texts.iter());
    let one = |(number, text): (usize, &&str)| {
        let key = format!("v{number}");
        let requests = value(text, &key);
        (key, requests)
    };
    texts.enumerate().map(one).collect()
}

/// One of the requests that look at a key.
pub(super) fn look(dice: &mut Dice) -> Request {
    words(dice.pick(LOOKS), dice.pick(KEYS), 0)
}

/// One of the requests that begin or end a unit.
pub(super) fn unit(dice: &mut Dice) -> Request {
    words(dice.pick(UNITS), dice.pick(KEYS), 0)
}

fn is_known(words: &Request, known: &BTreeSet<String>) -> bool {
    known.contains(&String::from_utf8_lossy(&words[0]).to_lowercase())
}

fn value(text: &str, key: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    for request in text.split(';').map(str::trim) {
        let repeated = request.strip_prefix('*').and_then(|rest| rest.split_once(' '));
        let (times, request) = match repeated.and_then(|(times, rest)| Some((times.parse().ok()?, rest))) {
            Some((times, rest)) => (times, rest),
            None => (1, request),
        };
        requests.extend((1..=times).map(|number| words(request, key, number)));
    }
    requests
}

fn words(text: &str, key: &str, number: usize) -> Request {
    let mut words = Vec::new();
    for word in text.split_ascii_whitespace() {
        let digits = |c: char| c.is_ascii_digit();
        match word.split_once("..") {
            Some((first, last)) if last.ends_with(digits) => {
                let prefix = first.trim_end_matches(digits);
                let (first, last) = (first[prefix.len()..].parse().unwrap_or(0), last.parse().unwrap_or(0));
                words.extend((first..=last).map(|n: usize| format!("{prefix}{n}").into_bytes()));
            }
            _ if word == "''" => words.push(Vec::new()),
            _ => {
                let word = word.replace('@', key).replace('#', &number.to_string()).replace("LONG", LONG);
                words.push(unescape(&word));
            }
        }
    }
    words
}

fn unescape(word: &str) -> Vec<u8> {
    let mut parts = word.split("\\x");
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
        out.extend_from_slice(rest.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_out() {
        let lines = |text: &str| -> Vec<String> {
            let line = |words: &Request| {
                words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
            };
            value(text, "k").iter().map(line).collect()
        };
        assert_eq!(lines("RPUSH @ m9..11 ''"), ["RPUSH k m9 m10 m11 "]);
        assert_eq!(lines("*2 XADD @ #-1 a #;XDEL @ 1-1"), ["XADD k 1-1 a 1", "XADD k 2-1 a 2", "XDEL k 1-1"]);
        assert_eq!(lines("SET @ \\xff\\x00b"), ["SET k \\xff\\x00b"]);
    }
}
