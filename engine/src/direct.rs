//! The operations as typed methods, for embedders: no request to spell, no reply to decode, the same bodies as the
//! commands.
//!
//! ```
//! use engine::{Engine, config::EngineConfig, ds::quicklist::End, time::UnixMs};
//!
//! let mut engine = Engine::new(EngineConfig::default(), 42);
//! let mut db = engine.direct(0, UnixMs(1_700_000_000_000)).expect("database 0 is always there");
//! db.list_push(b"jobs", End::Tail, &[b"first", b"second"])?;
//! assert_eq!(db.list_pop(b"jobs", End::Head)?.as_deref(), Some(&b"first"[..]));
//! db.zset_add(b"scores", &[(2.5, b"ann"), (1.5, b"bob")])?;
//! assert_eq!(db.zset_range(b"scores", 0, -1)?, [(b"bob".to_vec(), 1.5), (b"ann".to_vec(), 2.5)]);
//! assert_eq!(db.add(b"visits", 1)?, 1);
//! # Ok::<(), engine::error::CommandError>(())
//! ```

use resp::Protocol;
use resp::writer::Writer;

use crate::Engine;
use crate::commands::generic::{expire, keys};
use crate::commands::list::{self, Missing};
use crate::commands::zset::AddOptions;
use crate::commands::{hash, set, string, zset};
use crate::ctx::Ctx;
use crate::ds::quicklist::End;
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::Expiry;
use crate::time::UnixMs;
use crate::types::zset::Order;
use crate::types::{Hash, Kind, List, Set, Zset};

/// A field of a hash and its value.
pub type HashEntry = (Vec<u8>, Vec<u8>);

/// A database at one moment: what [`Engine::direct`] returns.
///
/// After each call [`Engine::effects`] holds what it caused, save commands to propagate: there was none.
/// Every method fails with [`CommandError::WrongType`] when the key holds a value of another type.
pub struct Direct<'e> {
    engine: &'e mut Engine,
    db: usize,
    now: UnixMs,
}

impl Engine {
    /// The typed operations on a database; `None` when there is no such database.
    pub fn direct(&mut self, db: usize, now: UnixMs) -> Option<Direct<'_>> {
        (db < self.dbs.len()).then_some(Direct { engine: self, db, now })
    }
}

impl Direct<'_> {
    /// Runs a body. Nothing that the bodies here do writes a reply.
    fn with<R>(&mut self, body: impl FnOnce(&mut Ctx<'_>) -> R) -> R {
        let mut reply = Vec::new();
        self.engine.within(self.db, self.now, false, Writer::new(&mut reply, Protocol::Resp3), body)
    }

    /// How many keys there are, expired ones that nobody has met included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.dbs[self.db].len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the value at `key`: TYPE.
    pub fn kind(&mut self, key: &[u8]) -> Option<Kind> {
        self.with(|ctx| keys::kind_untouched(ctx.db, key))
    }

    /// Removes a key; returns whether it was there: UNLINK.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.with(|ctx| {
            let removed = keys::remove(ctx, key, true);
            if removed {
                ctx.effects.changed(EventClass::GENERIC, "del", key, 1);
            }
            removed
        })
    }

    /// When `key` expires; the outer `None`: there is no such key, the inner one: never. PEXPIRETIME.
    pub fn deadline(&mut self, key: &[u8]) -> Option<Option<UnixMs>> {
        self.with(|ctx| ctx.db.deadline(key))
    }

    /// Makes `key` expire at a time, at once when it has passed; returns whether there is such a key: PEXPIREAT.
    pub fn expire_at(&mut self, key: &[u8], at: UnixMs) -> bool {
        self.with(|ctx| {
            let found = ctx.db.deadline(key).is_some();
            if found {
                expire::set_deadline(ctx, key, at);
            }
            found
        })
    }

    /// The string at `key`: GET.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        self.with(|ctx| Ok(ctx.db.read_string(key)?.map(|value| value.to_vec())))
    }

    /// Sets `key` to a string, whatever it held: SET.
    pub fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        self.with(|ctx| string::store(ctx, key, value, expiry));
    }

    /// Adds to the integer at `key`; a missing one counts as 0. Returns the sum: INCRBY.
    ///
    /// Fails too when the string is no integer and when the sum leaves 64 bits.
    pub fn add(&mut self, key: &[u8], step: i64) -> Result<i64, CommandError> {
        self.with(|ctx| string::add(ctx, key, step))
    }

    /// Pushes elements one after the other; returns the length then: LPUSH and RPUSH.
    pub fn list_push(&mut self, key: &[u8], end: End, elements: &[&[u8]]) -> Result<usize, CommandError> {
        let missing = if elements.is_empty() { Missing::Ignore } else { Missing::Create };
        self.with(|ctx| list::push_elements(ctx, key, end, elements, missing))
    }

    /// Pops an element: LPOP and RPOP.
    pub fn list_pop(&mut self, key: &[u8], end: End) -> Result<Option<Vec<u8>>, CommandError> {
        self.with(|ctx| list::pop_element(ctx, key, end, |_, element| element.to_vec()))
    }

    /// How many elements there are: LLEN.
    pub fn list_len(&mut self, key: &[u8]) -> Result<usize, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<List>(key)?.map_or(0, |list| list.len())))
    }

    /// The elements from `start` to `stop`, both included; negative ones count from the end: LRANGE.
    pub fn list_range(&mut self, key: &[u8], start: i64, stop: i64) -> Result<Vec<Vec<u8>>, CommandError> {
        self.with(|ctx| {
            let mut elements = Vec::new();
            if let Some(list) = ctx.db.read::<List>(key)? {
                let (start, count) = list::resolve_range(start, stop, list.len());
                list.for_range(start, count, |element| elements.push(element.to_vec()));
            }
            Ok(elements)
        })
    }

    /// Adds members; returns how many are new: SADD.
    pub fn set_add(&mut self, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
        if members.is_empty() {
            return self.set_len(key).map(|_| 0);
        }
        self.with(|ctx| set::add_members(ctx, key, members))
    }

    /// Removes members; returns how many were there: SREM.
    pub fn set_remove(&mut self, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
        self.with(|ctx| set::remove_members(ctx, key, members))
    }

    /// Whether `member` is one: SISMEMBER.
    pub fn set_contains(&mut self, key: &[u8], member: &[u8]) -> Result<bool, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Set>(key)?.is_some_and(|set| set.contains(member))))
    }

    /// How many members there are: SCARD.
    pub fn set_len(&mut self, key: &[u8]) -> Result<usize, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Set>(key)?.map_or(0, |set| set.len())))
    }

    /// All members, in no order: SMEMBERS.
    pub fn set_members(&mut self, key: &[u8]) -> Result<Vec<Vec<u8>>, CommandError> {
        self.with(|ctx| {
            let set = ctx.db.read::<Set>(key)?;
            Ok(set.map_or_else(Vec::new, |set| set.iter().map(|member| member.to_vec()).collect()))
        })
    }

    /// Sets fields to values; returns how many are new: HSET.
    pub fn hash_set(&mut self, key: &[u8], pairs: &[[&[u8]; 2]]) -> Result<usize, CommandError> {
        if pairs.is_empty() {
            return self.hash_len(key).map(|_| 0);
        }
        self.with(|ctx| hash::set_fields(ctx, key, pairs))
    }

    /// The value of a field: HGET.
    pub fn hash_get(&mut self, key: &[u8], field: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        self.with(|ctx| {
            let hash = ctx.db.read::<Hash>(key)?;
            Ok(hash.and_then(|hash| hash.get_live(field, ctx.now).map(|value| value.to_vec())))
        })
    }

    /// Removes fields; returns how many were there: HDEL.
    pub fn hash_remove(&mut self, key: &[u8], fields: &[&[u8]]) -> Result<usize, CommandError> {
        self.with(|ctx| hash::remove_fields(ctx, key, fields))
    }

    /// How many fields there are, expired ones that nobody has removed included: HLEN.
    pub fn hash_len(&mut self, key: &[u8]) -> Result<usize, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Hash>(key)?.map_or(0, |hash| hash.len())))
    }

    /// All fields with their values, in no order: HGETALL.
    pub fn hash_entries(&mut self, key: &[u8]) -> Result<Vec<HashEntry>, CommandError> {
        self.with(|ctx| {
            let mut entries = Vec::new();
            if let Some(hash) = ctx.db.read::<Hash>(key)? {
                let live = hash.iter_stored().filter(|pair| pair.is_live(ctx.now));
                entries.extend(live.map(|pair| (pair.field.to_vec(), pair.value.to_vec())));
            }
            Ok(entries)
        })
    }

    /// Adds members or changes their scores, in order; returns how many are new: ZADD.
    ///
    /// Fails when a score is NaN; then nothing is changed.
    pub fn zset_add(&mut self, key: &[u8], members: &[(f64, &[u8])]) -> Result<usize, CommandError> {
        if members.iter().any(|(score, _)| score.is_nan()) {
            return Err(CommandError::NotFloat);
        }
        if members.is_empty() {
            return self.zset_len(key).map(|_| 0);
        }
        self.with(|ctx| {
            let (added, _) = zset::add_members(ctx, key, &AddOptions::default(), members.iter().copied())?;
            Ok(added)
        })
    }

    /// Removes members; returns how many were there: ZREM.
    pub fn zset_remove(&mut self, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
        self.with(|ctx| zset::remove_members(ctx, key, members))
    }

    /// How many members there are: ZCARD.
    pub fn zset_len(&mut self, key: &[u8]) -> Result<usize, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Zset>(key)?.map_or(0, |zset| zset.len())))
    }

    /// The score of a member: ZSCORE.
    pub fn zset_score(&mut self, key: &[u8], member: &[u8]) -> Result<Option<f64>, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Zset>(key)?.and_then(|zset| zset.score(member))))
    }

    /// The place of a member, counted from the lowest score: ZRANK.
    pub fn zset_rank(&mut self, key: &[u8], member: &[u8]) -> Result<Option<usize>, CommandError> {
        self.with(|ctx| Ok(ctx.db.read::<Zset>(key)?.and_then(|zset| zset.rank(member)).map(|(rank, _)| rank)))
    }

    /// The members of the ranks from `start` to `stop`, both included, with their scores; negative ranks count from the
    /// end: ZRANGE.
    pub fn zset_range(&mut self, key: &[u8], start: i64, stop: i64) -> Result<Vec<(Vec<u8>, f64)>, CommandError> {
        self.with(|ctx| {
            let mut members = Vec::new();
            if let Some(zset) = ctx.db.read::<Zset>(key)? {
                let ranks = zset::resolve_ranks(start, stop, zset.len());
                zset.range(ranks, Order::Ascending, |name, score| members.push((name.to_vec(), score)));
            }
            Ok(members)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineConfig;

    const NOW: UnixMs = UnixMs(1_700_000_000_000);

    #[test]
    fn calls_and_commands_see_the_same_data() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        let mut db = engine.direct(0, NOW).unwrap();
        db.set(b"text", b"value", Expiry::At(NOW.plus(1000)));
        assert_eq!(db.list_push(b"list", End::Head, &[b"a", b"b"]), Ok(2));
        assert_eq!(db.set_add(b"set", &[b"x", b"y", b"x"]), Ok(2));
        assert_eq!(db.zset_add(b"zset", &[(2.0, b"m"), (1.0, b"n")]), Ok(2));
        assert_eq!(db.hash_set(b"hash", &[[b"f", b"1"], [b"g", b"2"], [b"f", b"3"]]), Ok(2));
        assert_eq!((db.hash_remove(b"hash", &[b"g", b"h"]), db.hash_len(b"hash")), (Ok(1), Ok(1)));
        assert_eq!(db.hash_get(b"hash", b"f"), Ok(Some(b"3".to_vec())));
        assert_eq!(db.hash_entries(b"hash"), Ok(vec![(b"f".to_vec(), b"3".to_vec())]));
        let mut out = Vec::new();
        for (words, reply) in [
            (&[&b"GET"[..], b"text"][..], "$5\r\nvalue\r\n"),
            (&[b"PTTL", b"text"], ":1000\r\n"),
            (&[b"HGETALL", b"hash"], "*2\r\n$1\r\nf\r\n$1\r\n3\r\n"),
            (&[b"LRANGE", b"list", b"0", b"-1"], "*2\r\n$1\r\nb\r\n$1\r\na\r\n"),
            (&[b"SMISMEMBER", b"set", b"x", b"z"], "*2\r\n:1\r\n:0\r\n"),
            (&[b"ZRANGE", b"zset", b"0", b"-1"], "*2\r\n$1\r\nn\r\n$1\r\nm\r\n"),
        ] {
            out.clear();
            engine.execute(words, NOW, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), reply);
        }
    }

    #[test]
    fn effects_are_those_of_the_commands() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        engine.effects.interest.events = EventClass::all();
        engine.effects.interest.touched = true;
        let seen = |engine: &Engine| engine.effects.events().map(|event| event.name).collect::<Vec<_>>().join(" ");
        engine.direct(0, NOW).unwrap().list_push(b"list", End::Tail, &[b"only"]).unwrap();
        assert_eq!(seen(&engine), "new rpush");
        assert_eq!(engine.direct(0, NOW).unwrap().list_pop(b"list", End::Tail).unwrap().as_deref(), Some(&b"only"[..]));
        assert_eq!(seen(&engine), "rpop del");
        assert_eq!(engine.effects.touched().count(), 1);
        engine.direct(0, NOW).unwrap().set(b"text", b"1", Expiry::Clear);
        assert!(engine.direct(0, NOW).unwrap().expire_at(b"text", NOW));
        assert_eq!((seen(&engine).as_str(), engine.dbs[0].len()), ("del", 0));
    }

    #[test]
    fn wrong_types_and_missing_keys() {
        let mut engine = Engine::new(EngineConfig::default(), 1);
        assert!(engine.direct(16, NOW).is_none());
        let mut db = engine.direct(0, NOW).unwrap();
        db.set(b"text", b"one", Expiry::Clear);
        assert_eq!(db.list_push(b"text", End::Head, &[b"a"]), Err(CommandError::WrongType));
        assert_eq!(db.set_add(b"text", &[]), Err(CommandError::WrongType));
        assert_eq!(db.add(b"text", 1), Err(CommandError::NotInteger));
        assert_eq!(db.zset_add(b"zset", &[(1.0, b"a"), (f64::NAN, b"b")]), Err(CommandError::NotFloat));
        assert_eq!((db.list_pop(b"missing", End::Head), db.zset_score(b"zset", b"a")), (Ok(None), Ok(None)));
        assert!(!db.expire_at(b"missing", NOW) && !db.remove(b"missing"));
        assert_eq!((db.list_push(b"missing", End::Head, &[]), db.set_add(b"missing", &[])), (Ok(0), Ok(0)));
        assert_eq!((db.len(), db.kind(b"text"), db.kind(b"zset")), (1, Some(Kind::String), None));
    }
}
