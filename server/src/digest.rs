//! DEBUG DIGEST: a hash of all data that does not depend on encodings or on the order of what has none. Equal data
//! give the same digest in any server that follows Redis.
//!
//! Two ways to combine: `xor` for what is unordered, `mix` (which hashes the sum again) for what is ordered.

use engine::keyspace::{Db, ValueRef};
use engine::time::UnixMs;
use engine::types::stream::StreamId;
use engine::types::{Hash, Kind, List, Set, Stream, Zset};
use sha1::{Digest as _, Sha1};

/// A digest, or the sum of several.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::digest(bytes);
        self.0.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// 40 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The digest of all databases. Without any key it is zero.
#[must_use]
pub fn of_databases(dbs: &[Db]) -> Digest {
    let mut all = Digest::default();
    for (index, db) in dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        all.mix(&(index as u32).to_be_bytes());
        db.for_each(|key, value, deadline| {
            let mut one = Digest::default();
            one.mix(key);
            add_value(&mut one, value, deadline);
            all.xor(&one.0);
        });
    }
    all
}

/// The digest of one value.
#[must_use]
pub fn of_value(value: ValueRef<'_>, deadline: Option<UnixMs>) -> Digest {
    let mut one = Digest::default();
    add_value(&mut one, value, deadline);
    one
}

fn add_value(digest: &mut Digest, value: ValueRef<'_>, deadline: Option<UnixMs>) {
    let kind = value.kind();
    digest.mix(&kind_number(kind).to_be_bytes());
    match value {
        ValueRef::String(string) => digest.mix(&string.to_vec()),
        ValueRef::Other(other) => {
            if let Some(list) = other.get::<List>() {
                list.for_range(0, list.len(), |element| digest.mix(&element.to_vec()));
            } else if let Some(set) = other.get::<Set>() {
                set.iter().for_each(|member| digest.xor(&member.to_vec()));
            } else if let Some(hash) = other.get::<Hash>() {
                for stored in hash.iter_stored() {
                    let mut pair = Digest::default();
                    pair.mix(&stored.field.to_vec());
                    pair.mix(&stored.value.to_vec());
                    if stored.deadline.is_some() {
                        pair.xor(b"!!hexpire!!");
                    }
                    digest.xor(&pair.0);
                }
            } else if let Some(zset) = other.get::<Zset>() {
                for (member, score) in zset.iter() {
                    let mut pair = Digest::default();
                    pair.mix(&member.to_vec());
                    pair.mix(resp::number::format_f64_shortest(score).as_bytes());
                    digest.xor(&pair.0);
                }
            } else if let Some(stream) = other.get::<Stream>() {
                for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
                    digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (field, value) in entry.fields {
                        digest.mix(&field.to_vec());
                        digest.mix(&value.to_vec());
                    }
                }
            }
        }
    }
    if deadline.is_some() {
        digest.xor(b"!!expire!!");
    }
}

/// The number of a type in Redis' files, which the digest contains.
fn kind_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::Zset => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}
