//! The keyspace events of each class, command by command, as Redis 8.0.6 sends them under `notify-keyspace-events EAnm`.
//! The server raises those that it alone knows of: `restore`, `evicted`.

use std::collections::BTreeSet;

use crate::effects::EventClass;
use crate::testing::{Scenario, split};

/// What was there before | the command => the events, each with the letter of its class.
const EVENTS: &str = r#"
    SET k v | DEL k => g del k
    SET k v | UNLINK k => g del k
    SET k v | EXPIRE k 100 => g expire k
    SET k v | PEXPIRE k 100000 => g expire k
    SET k v | EXPIREAT k 99999999999 => g expire k
    SET k v | EXPIRE k -1 => g del k
    SET k v EX 100 | PERSIST k => g persist k
    SET k v EX 100 | GETEX k PERSIST => g persist k
    SET k v | GETEX k EX 100 => g expire k
    SET k v | RENAME k o => n new o, g rename_from k, g rename_to o
    SET k v | RENAMENX k o => n new o, g rename_from k, g rename_to o
    SET k v | COPY k o => n new o, g copy_to o
    SET k v | MOVE k 1 => n new k, g move_from k, g move_to k
    SET k v => n new k, $ set k
    SET k v EX 100 => n new k, $ set k, g expire k
    SETNX k v => n new k, $ set k
    SETEX k 100 v => n new k, $ set k, g expire k
    PSETEX k 100000 v => n new k, $ set k, g expire k
    GETSET k v => m keymiss k, n new k, $ set k
    MSET k v o v => n new k, $ set k, n new o, $ set o
    MSETNX k v o v => n new k, $ set k, n new o, $ set o
    SET k v | GETDEL k => g del k
    APPEND k v => n new k, $ append k
    SETRANGE k 1 v => n new k, $ setrange k
    INCR k => n new k, $ incrby k
    DECR k => n new k, $ incrby k
    INCRBY k 5 => n new k, $ incrby k
    DECRBY k 5 => n new k, $ incrby k
    INCRBYFLOAT k 1.5 => n new k, $ incrbyfloat k
    SETBIT k 1 1 => n new k, $ setbit k
    BITFIELD k SET u8 0 1 => n new k, $ setbit k
    SET k v | BITOP NOT o k => n new o, $ set o
    BITOP NOT o k => m keymiss k
    SET o v | BITOP NOT o k => m keymiss k, g del o
    PFADD k a => n new k, $ pfadd k
    PFADD k a | PFMERGE o k => m keymiss o, n new o, $ pfadd o
    LPUSH k a => n new k, l lpush k
    RPUSH k a => n new k, l rpush k
    RPUSH k a | LPUSHX k b => l lpush k
    RPUSH k a | RPUSHX k b => l rpush k
    RPUSH k a b | LPOP k => l lpop k
    RPUSH k a b | RPOP k => l rpop k
    RPUSH k a | LPOP k => l lpop k, g del k
    RPUSH k a b | LMOVE k o LEFT RIGHT => n new o, l rpush o, l lpop k
    RPUSH k a | RPOPLPUSH k o => n new o, l lpush o, l rpop k, g del k
    RPUSH k a b | LMPOP 1 k LEFT => l lpop k
    RPUSH k a b | BLPOP k 0 => l lpop k
    RPUSH k a b | BRPOP k 0 => l rpop k
    RPUSH k a b | BLMOVE k o LEFT LEFT 0 => n new o, l lpush o, l lpop k
    RPUSH k a b | LSET k 0 c => l lset k
    RPUSH k a b | LREM k 0 a => l lrem k
    RPUSH k a | LREM k 0 a => l lrem k, g del k
    RPUSH k a b | LTRIM k 0 0 => l ltrim k
    RPUSH k a b | LTRIM k 5 9 => l ltrim k, g del k
    RPUSH k a b | LINSERT k BEFORE a c => l linsert k
    RPUSH k b a | SORT k ALPHA STORE o => n new o, l sortstore o
    RPUSH o b a | SORT k ALPHA STORE o => m keymiss k, g del o
    SADD k a => n new k, s sadd k
    SADD k a b | SREM k a => s srem k
    SADD k a | SREM k a => s srem k, g del k
    SADD k a | SPOP k => s spop k, g del k
    SADD k a b | SPOP k 1 => s spop k
    SADD k a b | SMOVE k o a => s srem k, n new o, s sadd o
    SADD k a b | SUNIONSTORE o k => n new o, s sunionstore o
    SADD k a b | SINTERSTORE o k k => n new o, s sinterstore o
    SADD k a b | SDIFFSTORE o k none => m keymiss none, n new o, s sdiffstore o
    SADD o a b | SINTERSTORE o k none => m keymiss k, m keymiss none, g del o
    HSET k f v => n new k, h hset k
    HSETNX k f v => n new k, h hset k
    HMSET k f v => n new k, h hset k
    HINCRBY k f 1 => n new k, h hincrby k
    HINCRBYFLOAT k f 1.5 => n new k, h hincrbyfloat k
    HSET k f v g v | HDEL k f => h hdel k
    HSET k f v | HDEL k f => h hdel k, g del k
    HSET k f v | HEXPIRE k 100 FIELDS 1 f => h hexpire k
    HSET k f v | HPEXPIREAT k 1 FIELDS 1 f => h hdel k, g del k
    HSET k f v; HEXPIRE k 100 FIELDS 1 f | HPERSIST k FIELDS 1 f => h hpersist k
    HSET k f v g v | HGETDEL k FIELDS 1 f => h hdel k
    HSET k f v | HGETDEL k FIELDS 1 f => h hdel k, g del k
    HSET k f v | HGETEX k EX 100 FIELDS 1 f => h hexpire k
    HSET k f v; HEXPIRE k 100 FIELDS 1 f | HGETEX k PERSIST FIELDS 1 f => h hpersist k
    HSETEX k EX 100 FIELDS 1 f v => n new k, h hset k, h hexpire k
    HSETEX k FIELDS 1 f v => n new k, h hset k
    ZADD k 1 a => n new k, z zadd k
    ZADD k INCR 1 a => n new k, z zincr k
    ZINCRBY k 1 a => n new k, z zincr k
    ZADD k 1 a 2 b | ZREM k a => z zrem k
    ZADD k 1 a | ZREM k a => z zrem k, g del k
    ZADD k 1 a 2 b | ZPOPMIN k => z zpopmin k
    ZADD k 1 a | ZPOPMAX k => z zpopmax k, g del k
    ZADD k 1 a 2 b | BZPOPMIN k 0 => z zpopmin k
    ZADD k 1 a 2 b | ZMPOP 1 k MAX => z zpopmax k
    ZADD k 1 a 2 b | ZREMRANGEBYRANK k 0 0 => z zremrangebyrank k
    ZADD k 1 a 2 b | ZREMRANGEBYSCORE k 1 1 => z zremrangebyscore k
    ZADD k 0 a 0 b | ZREMRANGEBYLEX k [a [a => z zremrangebylex k
    ZADD k 1 a 2 b | ZRANGESTORE o k 0 0 => n new o, z zrangestore o
    ZADD k 1 a 2 b | ZUNIONSTORE o 1 k => n new o, z zunionstore o
    ZADD k 1 a 2 b | ZINTERSTORE o 1 k => n new o, z zinterstore o
    ZADD k 1 a 2 b | ZDIFFSTORE o 1 k => n new o, z zdiffstore o
    ZADD o 1 a 2 b | ZDIFFSTORE o 1 k => m keymiss k, g del o
    GEOADD k 1 1 a => n new k, z zadd k
    GEOADD k 1 1 a | GEOSEARCHSTORE o k FROMLONLAT 1 1 BYRADIUS 1 km => n new o, z geosearchstore o
    GEOADD k 1 1 a | GEORADIUS k 1 1 1 km STORE o => n new o, z georadiusstore o
    GEOADD k 1 1 a | GEORADIUSBYMEMBER k a 1 km STORE o => n new o, z georadiusstore o
    XADD k 1-1 f v => n new k, t xadd k
    XADD k 1-1 f v; XADD k 2-1 f v | XADD k MAXLEN 1 3-1 f v => t xadd k, t xtrim k
    XADD k 1-1 f v | XDEL k 1-1 => t xdel k
    XADD k 1-1 f v | XTRIM k MAXLEN 0 => t xtrim k
    XADD k 1-1 f v | XSETID k 5-1 => t xsetid k
    XGROUP CREATE k g 0 MKSTREAM => n new k, t xgroup-create k
    XGROUP CREATE k g 0 MKSTREAM | XGROUP SETID k g 0 => t xgroup-setid k
    XGROUP CREATE k g 0 MKSTREAM | XGROUP DESTROY k g => t xgroup-destroy k
    XGROUP CREATE k g 0 MKSTREAM | XGROUP CREATECONSUMER k g c => t xgroup-createconsumer k
    XGROUP CREATE k g 0 MKSTREAM; XGROUP CREATECONSUMER k g c | XGROUP DELCONSUMER k g c => t xgroup-delconsumer k
    XADD k 1-1 f v; XGROUP CREATE k g 0 | XREADGROUP GROUP g c STREAMS k > => t xgroup-createconsumer k
    XADD k 1-1 f v; XGROUP CREATE k g 0; XREADGROUP GROUP g c STREAMS k > | XCLAIM k g d 0 1-1 => t xgroup-createconsumer k
    XADD k 1-1 f v; XGROUP CREATE k g 0; XREADGROUP GROUP g c STREAMS k > | XAUTOCLAIM k g d 0 0 => t xgroup-createconsumer k
    GET k => m keymiss k
    LRANGE k 0 1 => m keymiss k
    SET k v PX 5; wait 20 | GET k => x expired k, m keymiss k
    HSET k f v g v; HPEXPIRE k 5 FIELDS 1 f; wait 20 | HGETEX k FIELDS 1 f => h hexpired k
    HSET k f v; HPEXPIRE k 5 FIELDS 1 f; wait 20 | HGETEX k FIELDS 1 f => h hexpired k, g del k
"#;

/// The letter of a class in `notify-keyspace-events`.
fn letter(class: EventClass) -> char {
    let letters = [
        (EventClass::GENERIC, 'g'),
        (EventClass::STRING, '$'),
        (EventClass::LIST, 'l'),
        (EventClass::SET, 's'),
        (EventClass::HASH, 'h'),
        (EventClass::ZSET, 'z'),
        (EventClass::STREAM, 't'),
        (EventClass::EXPIRED, 'x'),
        (EventClass::KEY_MISS, 'm'),
        (EventClass::NEW, 'n'),
    ];
    let found = letters.iter().find(|(known, _)| *known == class);
    found.unwrap_or_else(|| panic!("one class, not {class:?}")).1
}

#[test]
fn every_class() {
    let mut seen = BTreeSet::new();
    for line in EVENTS.lines().filter(|line| !line.is_empty()) {
        let (requests, expected) = line.split_once("=>").expect("a command and its events");
        let (before, command) = requests.split_once('|').unwrap_or(("", requests));
        let mut scenario = Scenario::new();
        for request in before.split(';').map(str::trim).filter(|request| !request.is_empty()) {
            match request.strip_prefix("wait ") {
                Some(ms) => scenario.now = scenario.now.plus(ms.parse().expect("milliseconds")),
                None => assert!(!scenario.line(request).starts_with('-'), "{request}"),
            }
        }
        let reply = scenario.run(&split(command.trim()));
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        let mut events = Vec::new();
        for event in scenario.engine.effects.events() {
            seen.insert(letter(event.class));
            events.push(format!("{} {} {}", letter(event.class), event.name, event.key.escape_ascii()));
        }
        let events = if events.is_empty() { "none".to_owned() } else { events.join(", ") };
        assert_eq!(events, expected.trim(), "after {}", requests.trim());
    }
    assert_eq!(String::from_iter(seen), "$ghlmnstxz", "a command for each class");
}
