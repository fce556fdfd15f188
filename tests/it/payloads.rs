//! RESTORE of payloads that were tampered with and signed again: whatever is in them, the server answers, stays small and goes on.

use std::time::Duration;

use tests::{Client, Reply, TestServer, request};

/// Payloads that are tried in each of the two runs; `REDIS_TEST_PAYLOADS` says another number.
const PAYLOADS: usize = 1000;

/// Memory that the server may use at most. The payloads are small, some of them announce gigabytes.
const MEMORY_MAX: u64 = 64 << 20;

/// Settings under which the values are made, so that each comes in several encodings.
const SETTINGS: &[&str] = &[
    "hash-max-listpack-entries 512 set-max-intset-entries 512 set-max-listpack-entries 128 zset-max-listpack-entries 128 \
     list-max-listpack-size -2 stream-node-max-entries 100 hll-sparse-max-bytes 3000 rdbcompression yes",
    "hash-max-listpack-entries 0 set-max-intset-entries 0 set-max-listpack-entries 0 zset-max-listpack-entries 0 \
     list-max-listpack-size 2 stream-node-max-entries 3 hll-sparse-max-bytes 0 rdbcompression no",
];

/// Values of every type, under the key `@`. `<` stands for a text that compression shortens.
const VALUES: &[&[&str]] = &[
    &["SET @ 12"],
    &["SET @ 1234567"],
    &["SET @ hello"],
    &["SET @ <"],
    &["RPUSH @ a b 1 300 70000 -5000000000 9223372036854775807 c"],
    &["RPUSH @ < < a <"],
    &["SADD @ 1 2 3 400"],
    &["SADD @ 1 70000 5000000000"],
    &["SADD @ a b 17 <"],
    &["ZADD @ 1 a 2.5 b -inf c inf d 3 17"],
    &["ZADD @ 1 < 2 b"],
    &["HSET @ a 1 b 2.5 c < 17 d"],
    &["HSET @ a 1 b 2 c 3", "HPEXPIRE @ 99999999 FIELDS 1 a", "HEXPIRE @ 5000000 FIELDS 1 b"],
    &[
        "XADD @ 1-1 a 1 b 2",
        "XADD @ 1-2 a 2 b 3",
        "XADD @ 2-1 c <",
        "XADD @ 3-1 a 5",
        "XDEL @ 1-2",
        "XGROUP CREATE @ g 0",
        "XGROUP CREATE @ h 1-1 ENTRIESREAD 1",
        "XREADGROUP GROUP g c COUNT 2 STREAMS @ >",
        "XREADGROUP GROUP g d STREAMS @ >",
        "XGROUP CREATECONSUMER @ h e",
    ],
    &["PFADD @ a b c d e f g h i j k l"],
    &["GEOADD @ 13.361389 38.115556 a 15.087269 37.502669 b"],
    &["SETBIT @ 300 1"],
];

/// What is done with a value of a type: all that there is to trip over.
const USES: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "GET @",
            "STRLEN @",
            "BITCOUNT @",
            "PFCOUNT @",
            "PFADD @ x y",
            "INCR @",
            "APPEND @ x",
            "GETRANGE @ 0 9",
            "SETRANGE @ 3 y",
        ],
    ),
    (
        "list",
        &[
            "LLEN @",
            "LRANGE @ 0 -1",
            "LINDEX @ -1",
            "LPOS @ a COUNT 0",
            "LSET @ 0 x",
            "LINSERT @ BEFORE x y",
            "LREM @ 0 1",
            "LPUSH @ <",
            "RPOP @",
            "LPOP @ 2",
            "RPUSH @ z",
            "LTRIM @ 1 3",
            "SORT @ ALPHA",
            "LRANGE @ 0 -1",
        ],
    ),
    (
        "set",
        &[
            "SCARD @",
            "SMEMBERS @",
            "SISMEMBER @ 1",
            "SADD @ 2 x",
            "SREM @ 1 a",
            "SRANDMEMBER @ 3",
            "SRANDMEMBER @ -3",
            "SINTER @ @",
            "SUNIONSTORE o @",
            "SSCAN @ 0",
            "SPOP @",
            "SADD @ <",
            "SPOP @ 2",
            "SMEMBERS @",
        ],
    ),
    (
        "zset",
        &[
            "ZCARD @",
            "ZRANGE @ 0 -1 WITHSCORES",
            "ZRANGEBYSCORE @ -inf inf LIMIT 0 3",
            "ZRANGEBYLEX @ - +",
            "ZRANK @ a",
            "ZSCORE @ b",
            "ZADD @ 5 a 6 x",
            "ZINCRBY @ 2 b",
            "ZREM @ c",
            "ZPOPMIN @",
            "ZREMRANGEBYRANK @ 0 0",
            "ZUNIONSTORE o 2 @ @",
            "ZRANDMEMBER @ 2",
            "ZSCAN @ 0",
            "GEOSEARCH @ FROMLONLAT 15 37 BYRADIUS 500 km",
            "ZREMRANGEBYSCORE @ 5 inf",
            "ZRANGE @ 0 -1 REV",
        ],
    ),
    (
        "hash",
        &[
            "HLEN @",
            "HGETALL @",
            "HGET @ a",
            "HSET @ a < x 1",
            "HINCRBY @ b 1",
            "HPTTL @ FIELDS 2 a b",
            "HPEXPIRE @ 50000000 FIELDS 2 x c",
            "HPERSIST @ FIELDS 1 a",
            "HGETEX @ EX 10000 FIELDS 1 b",
            "HRANDFIELD @ 3 WITHVALUES",
            "HSCAN @ 0",
            "HDEL @ a",
            "HGETDEL @ FIELDS 1 c",
            "HGETALL @",
        ],
    ),
    (
        "stream",
        &[
            "XLEN @",
            "XRANGE @ - +",
            "XREVRANGE @ + -",
            "XINFO STREAM @ FULL COUNT 0",
            "XINFO GROUPS @",
            "XINFO CONSUMERS @ g",
            "XPENDING @ g",
            "XPENDING @ g - + 10",
            "XADD @ * a 1 b 2",
            "XREADGROUP GROUP g c STREAMS @ >",
            "XREADGROUP GROUP g c STREAMS @ 0",
            "XAUTOCLAIM @ g z 0 0",
            "XCLAIM @ g y 0 1-1 2-1",
            "XACK @ g 1-1 1-2",
            "XDEL @ 1-1 2-1",
            "XTRIM @ MAXLEN 2",
            "XTRIM @ MAXLEN ~ 1",
            "XGROUP DELCONSUMER @ g c",
            "XGROUP SETID @ g 0",
            "XSETID @ 99-1",
            "XGROUP DESTROY @ h",
            "XRANGE @ - +",
        ],
    ),
];

/// Before and after what is done with its type.
const LOOKS: &[&str] =
    &["OBJECT ENCODING @", "DEBUG DIGEST-VALUE @", "MEMORY USAGE @ SAMPLES 0", "DUMP @", "COPY @ p REPLACE"];

fn words(line: &str, key: &str) -> Vec<Vec<u8>> {
    let long = "0123456789abcdefghij".repeat(6);
    line.split_whitespace().map(|word| word.replace('@', key).replace('<', &long).into_bytes()).collect()
}

/// Sends the lines at once; the replies.
fn ask(client: &mut Client, requests: &[Vec<Vec<u8>>]) -> Vec<Reply> {
    let bytes: Vec<u8> = requests.iter().flat_map(|words| request(words)).collect();
    client.send(&bytes).expect("the server takes requests");
    let receive = |words: &Vec<Vec<u8>>| {
        client.receive().unwrap_or_else(|error| {
            let shown: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
            panic!("no answer to {shown:?}: {error}")
        })
    };
    requests.iter().map(receive).collect()
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

/// A sound payload without its footer, changed in one to four places.
fn tampered(payloads: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const EDGES: [u8; 16] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xc0, 0xc1, 0xc2, 0xc3, 0xe0, 0xf0, 0xf1, 0xf4, 0xfe, 0xff];
    let mut body = payloads[dice.below(payloads.len())].clone();
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(body.len());
        match dice.below(10) {
            0 if dice.below(3) == 0 => body[0] = dice.below(30) as u8,
            0..=2 => body[at] ^= 1 << dice.below(8),
            3..=5 => body[at] = EDGES[dice.below(EDGES.len())],
            6 => body.insert(at, EDGES[dice.below(EDGES.len())]),
            7 if body.len() > 2 => drop(body.remove(at)),
            8 => {
                // A number of eight bytes.
                let number = [u64::MAX, 1 << 31, 1 << 40, u64::MAX >> 1, 0x7fff_ffff][dice.below(5)];
                let bytes = if dice.below(2) == 0 { number.to_be_bytes() } else { number.to_le_bytes() };
                let end = (at + 8).min(body.len());
                body[at..end].copy_from_slice(&bytes[..end - at]);
            }
            _ => {
                // A part of another one.
                let other = &payloads[dice.below(payloads.len())];
                let from = dice.below(other.len());
                let until = (from + 1 + dice.below(40)).min(other.len());
                let end = (at + dice.below(40)).min(body.len());
                body.splice(at..end, other[from..until].iter().copied());
            }
        }
        if body.is_empty() {
            body.push(0);
        }
    }
    body
}

/// A payload of these bytes with the footer that makes it valid.
fn signed(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend(version.to_le_bytes());
    let checksum = body.iter().fold(0u64, |crc, &byte| {
        (0..8).fold(
            crc ^ u64::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 },
        )
    });
    body.extend(checksum.to_le_bytes());
    body
}

fn sound_payloads(client: &mut Client) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for settings in SETTINGS {
        let set = ask(client, &[words(&format!("CONFIG SET {settings}"), "")]);
        assert_eq!(set[0].to_string(), "+OK");
        for value in VALUES {
            client.call(&["DEL", "v"]);
            let requests: Vec<_> = value.iter().map(|line| words(line, "v")).collect();
            for (line, reply) in value.iter().zip(ask(client, &requests)) {
                assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply}");
            }
            let Reply::Bulk(payload) = client.call(&["DUMP", "v"]) else { panic!("{value:?} cannot be dumped") };
            let restored = client.call(&[
                &b"RESTORE"[..],
                b"v",
                b"0",
                &signed(payload[..payload.len() - 10].to_vec(), 12),
                b"REPLACE",
            ]);
            assert_eq!(restored.to_string(), "+OK", "the footer is right");
            payloads.push(payload[..payload.len() - 10].to_vec());
        }
    }
    payloads
}

fn resident_peak(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.and_then(|number| number.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

/// Restores `count` tampered payloads and uses what comes out of them.
fn tamper(sanitize: &str, count: usize, seed: u64) {
    let server = TestServer::with(&["--enable-debug-command", "yes", "--sanitize-dump-payload", sanitize]);
    let mut client = server.client();
    client.set_patience(Duration::from_secs(30)).expect("a time limit");
    let payloads = sound_payloads(&mut client);
    let mut dice = Dice(seed);
    let (mut accepted, mut tried) = (0, 0);
    while tried < count {
        let batch: Vec<Vec<u8>> = (0..64)
            .map(|_| {
                let version = if dice.below(8) == 0 { 1 + dice.below(12) as u16 } else { 12 };
                signed(tampered(&payloads, &mut dice), version)
            })
            .collect();
        tried += batch.len();
        let mut requests = vec![words("FLUSHALL", "")];
        let key = |number: usize| format!("k{number}").into_bytes();
        requests.extend(
            batch
                .iter()
                .enumerate()
                .map(|(number, payload)| vec![b"RESTORE".to_vec(), key(number), b"0".to_vec(), payload.clone()]),
        );
        requests.extend((0..batch.len()).map(|number| vec![b"TYPE".to_vec(), key(number)]));
        let replies = ask(&mut client, &requests);
        let mut uses = Vec::new();
        for (number, reply) in replies[1 + batch.len()..].iter().enumerate() {
            let kind = reply.text().unwrap_or_default();
            let Some((_, lines)) = USES.iter().find(|(name, _)| *name == kind) else { continue };
            accepted += 1;
            let key = format!("k{number}");
            uses.extend(LOOKS.iter().chain(*lines).chain(LOOKS).chain(&["UNLINK @"]).map(|line| words(line, &key)));
        }
        ask(&mut client, &uses);
    }
    assert_eq!(client.call(&["FLUSHALL"]).to_string(), "+OK");
    let (peak, log) = (resident_peak(&server), server.log());
    println!("sanitize-dump-payload {sanitize}: {tried} payloads, {accepted} accepted, at most {} MB", peak >> 20);
    assert!(accepted * 50 > tried, "enough of them get through to be a test: {accepted} of {tried}");
    assert!(peak < MEMORY_MAX, "at most {} MB", peak >> 20);
    assert!(!log.contains("panicked") && !log.contains("BUG REPORT"), "{log}");
}

fn count() -> usize {
    std::env::var("REDIS_TEST_PAYLOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(PAYLOADS)
}

#[test]
fn tampered_payloads_do_no_harm() {
    tamper("clients", count(), 88_172_645_463_325_252);
}

/// Without a look at order and uniqueness what comes out may be odd, but it must not do harm either.
#[test]
fn tampered_payloads_do_no_harm_unsanitized() {
    tamper("no", count(), 1_442_695_040_888_963_407);
}
