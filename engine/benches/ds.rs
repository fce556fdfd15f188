//! The byte formats and the quicklist: what LPUSH, LPOP, LRANGE, HGET and SISMEMBER of small values come down to.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::config::EngineConfig;
use engine::ds::intset::IntSet;
use engine::ds::listpack::{Elem, Listpack};
use engine::ds::lzf;
use engine::ds::quicklist::{Direction, End, Fill, Quicklist};
use engine::types::Hash;

fn text(i: usize) -> Vec<u8> {
    format!("element:{i:08}").into_bytes()
}

fn pack_of(count: usize) -> Listpack {
    let mut pack = Listpack::new();
    (0..count).for_each(|i| pack.push_back(&text(i)));
    pack
}

fn quicklist_of(count: usize, depth: u32) -> Quicklist {
    let mut list = Quicklist::new(Fill::new(-2), depth);
    (0..count).for_each(|i| list.push(End::Tail, &text(i)));
    list
}

fn listpack(c: &mut Criterion) {
    let mut group = c.benchmark_group("listpack");
    let pack = pack_of(400);
    group.throughput(Throughput::Elements(100));
    group.bench_function("iterate 100 of 400", |b| {
        b.iter(|| {
            pack.iter().take(100).map(|elem| if let Elem::Str(text) = elem { text.len() } else { 0 }).sum::<usize>()
        });
    });
    group.throughput(Throughput::Elements(400));
    group.bench_function("iterate back 400", |b| b.iter(|| pack.iter_back().map(Elem::text_len).sum::<usize>()));
    let needle = text(399);
    group.bench_function("find the last of 400", |b| b.iter(|| pack.find_first(black_box(&needle), 1)));
    group.throughput(Throughput::Elements(1));
    group.bench_function("seek the middle of 400", |b| b.iter(|| pack.seek(black_box(200))));
    group.throughput(Throughput::Elements(128));
    group.bench_function("push back 128", |b| b.iter(|| pack_of(black_box(128))));
    group.finish();
}

fn hash(c: &mut Criterion) {
    let config = EngineConfig::default();
    let mut hash = Hash::new();
    (0..10).for_each(|i| {
        hash.set(format!("field:{i}").as_bytes(), &text(i), &config);
    });
    c.bench_function("hash/get of 10 fields", |b| {
        b.iter(|| hash.get(black_box(b"field:7")).map(|value| value.text_len()))
    });
}

fn quicklist(c: &mut Criterion) {
    let mut group = c.benchmark_group("quicklist");
    let element = text(1);
    let mut list = quicklist_of(100_000, 0);
    for (name, end) in [("head", End::Head), ("tail", End::Tail)] {
        group.bench_function(format!("push {name}"), |b| b.iter(|| list.push(end, black_box(&element))));
        group.bench_function(format!("pop {name}"), |b| {
            b.iter_batched_ref(
                || quicklist_of(2000, 0),
                |list| {
                    for _ in 0..1000 {
                        list.pop_with(end, |elem| black_box(elem.text_len()));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    let mut list = quicklist_of(100_000, 0);
    group.bench_function("push and pop head", |b| {
        b.iter(|| {
            list.push(End::Head, black_box(&element));
            list.pop_with(End::Head, |elem| black_box(elem.text_len()))
        });
    });
    for count in [100, 600] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("range {count}"), |b| {
            let mut out = Vec::with_capacity(64 * 1024);
            b.iter(|| {
                out.clear();
                list.for_range(0, count as usize, |elem| {
                    if let Elem::Str(text) = elem {
                        out.extend_from_slice(text);
                    }
                });
                out.len()
            });
        });
    }
    group.bench_function("walk back 100", |b| {
        b.iter(|| {
            let mut walk = list.walk(50_000, Direction::Backward);
            (0..100).filter_map(|_| walk.next().map(Elem::text_len)).sum::<usize>()
        });
    });
    group.bench_function("get the middle of 100,000", |b| {
        b.iter(|| list.get_with(black_box(50_123), |elem| elem.text_len()))
    });
    let squeezed = quicklist_of(100_000, 1);
    group.bench_function("get the middle, compressed", |b| {
        b.iter(|| squeezed.get_with(black_box(50_123), |elem| elem.text_len()))
    });
    group.finish();
}

fn intset(c: &mut Criterion) {
    let mut set = IntSet::new();
    (0..512).for_each(|i| {
        set.add(i * 7);
    });
    c.bench_function("intset/contains of 512", |b| b.iter(|| set.contains(black_box(1400))));
    c.bench_function("intset/add and remove of 512", |b| {
        b.iter(|| (set.add(black_box(1401)), set.remove(black_box(1401))))
    });
}

fn compression(c: &mut Criterion) {
    let pack = pack_of(400);
    let raw = pack.as_bytes();
    let mut squeezed = Vec::new();
    lzf::compress(raw, raw.len(), &mut squeezed).expect("similar texts compress");
    let mut group = c.benchmark_group("lzf");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    let mut out = Vec::new();
    group.bench_function("compress 7 KiB of elements", |b| {
        b.iter(|| {
            out.clear();
            lzf::compress(black_box(raw), raw.len(), &mut out)
        });
    });
    let mut out = Vec::new();
    group.bench_function("decompress 7 KiB of elements", |b| {
        b.iter(|| lzf::decompress_into(black_box(&squeezed), raw.len(), &mut out));
    });
    group.finish();
}

criterion_group!(benches, listpack, hash, quicklist, intset, compression);
criterion_main!(benches);
