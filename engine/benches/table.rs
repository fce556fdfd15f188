//! The keyspace table over a million random keys, beside `std`'s hash map (hashbrown) with the same hash and allocator.

use ahash::RandomState;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::ds::entry::{Entry, NewValue, StoredStr};
use engine::ds::hash::hash;
use engine::ds::table::{Place, Table};
use std::collections::HashMap;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u64 = 1_000_000;

/// Operations of one sample, in one random order for all.
const OPS: u64 = 1000;

const VALUE: &[u8] = b"0123456789abcdef";

fn key(i: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = i;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Random keys, one after the other, so that each is a miss of the processor's caches.
struct Keys(u64);

impl Keys {
    fn next(&mut self) -> [u8; 16] {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        key(((self.0 >> 32) * KEYS) >> 32)
    }
}

fn filled() -> Table<Entry> {
    let mut table = Table::new();
    for i in 0..KEYS {
        table.insert(hash(&key(i)), Entry::new(&key(i), None, 0, NewValue::Bytes(VALUE)));
    }
    table.finish_rehash();
    table
}

type Map = HashMap<Box<[u8]>, Box<[u8]>, RandomState>;

fn filled_map() -> Map {
    let mut map = Map::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
    map.extend((0..KEYS).map(|i| (key(i).into(), VALUE.into())));
    map
}

fn random(c: &mut Criterion) {
    let mut group = c.benchmark_group("random");
    group.throughput(Throughput::Elements(OPS));
    {
        let mut table = filled();
        let mut keys = Keys(1);
        group.bench_function("get hit", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let key = keys.next();
                    black_box(table.find(hash(&key), &key).and_then(|entry| entry.string()));
                }
            });
        });
        group.bench_function("get hit, prefetched by 16", |b| {
            b.iter(|| {
                for _ in 0..OPS / 16 {
                    let batch: [_; 16] = std::array::from_fn(|_| keys.next());
                    let hashes = batch.map(|key| hash(&key));
                    hashes.iter().for_each(|&hash| table.prefetch_bucket(hash));
                    hashes.iter().for_each(|&hash| table.prefetch_element(hash));
                    for (key, hash) in batch.iter().zip(hashes) {
                        black_box(table.find(hash, key).and_then(|entry| entry.string()));
                    }
                }
            });
        });
        group.bench_function("get miss", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let mut key = keys.next();
                    key[0] = b'K';
                    black_box(table.find(hash(&key), &key).is_none());
                }
            });
        });
        group.bench_function("overwrite", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let key = keys.next();
                    if let Some(mut place) = table.find_mut(hash(&key), &key) {
                        black_box(place.get_mut().set_in_place(StoredStr::Bytes(VALUE)));
                    }
                }
            });
        });
        group.bench_function("remove and insert", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let key = keys.next();
                    let h = hash(&key);
                    black_box(table.remove(h, &key));
                    if let Place::Vacant(place) = table.place(h, &key) {
                        place.insert(Entry::new(&key, None, 0, NewValue::Bytes(VALUE)));
                    }
                }
            });
        });
        let mut cursor = 0;
        group.bench_function("scan", |b| {
            b.iter(|| cursor = table.scan(cursor, OPS as usize, |entry| assert!(black_box(entry.key().len()) == 16)));
        });
    }
    {
        let mut map = filled_map();
        let mut keys = Keys(1);
        group.bench_function("std: get hit", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    black_box(map.get(&keys.next()[..]));
                }
            });
        });
        group.bench_function("std: get miss", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let mut key = keys.next();
                    key[0] = b'K';
                    black_box(map.get(&key[..]));
                }
            });
        });
        group.bench_function("std: overwrite", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    if let Some(value) = map.get_mut(&keys.next()[..]) {
                        value.copy_from_slice(VALUE);
                    }
                }
            });
        });
        group.bench_function("std: remove and insert", |b| {
            b.iter(|| {
                for _ in 0..OPS {
                    let key = keys.next();
                    black_box(map.remove(&key[..]));
                    map.insert(key.into(), VALUE.into());
                }
            });
        });
    }
    group.finish();
}

fn fill(c: &mut Criterion) {
    let mut group = c.benchmark_group("fill");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10);
    group.bench_function("a million", |b| b.iter_batched(|| (), |()| filled(), BatchSize::PerIteration));
    group.bench_function("std: a million", |b| b.iter_batched(|| (), |()| filled_map(), BatchSize::PerIteration));
    group.finish();
}

criterion_group!(benches, random, fill);
criterion_main!(benches);
