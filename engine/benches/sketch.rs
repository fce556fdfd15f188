//! HyperLogLogs and bitmaps: what PFADD, PFCOUNT, PFMERGE, BITCOUNT and BITOP come down to.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::ds::bits::{self, Combination};
use engine::ds::hll::{self, Registers};

fn sketch_of(elements: u32) -> Vec<u8> {
    let mut sketch = hll::EMPTY.to_vec();
    for n in 0..elements {
        hll::add(&mut sketch, &n.to_le_bytes(), 3000).expect("a fresh sketch is whole");
    }
    sketch
}

fn hyperloglog(c: &mut Criterion) {
    let mut group = c.benchmark_group("hyperloglog");
    let (small, large) = (sketch_of(200), sketch_of(10_000));
    for (name, sketch) in [("sparse", &small), ("dense", &large)] {
        let mut sketch = sketch.clone();
        group.bench_function(format!("add to {name}"), |b| {
            b.iter(|| hll::add(&mut sketch, black_box(b"element:1"), 3000));
        });
        group.bench_function(format!("count {name}"), |b| b.iter(|| hll::estimate(black_box(&sketch))));
    }
    for (name, simd) in [("portable", false), ("vectors", true)] {
        hll::set_simd(simd);
        let mut registers = Registers::default();
        group.bench_function(format!("merge dense, {name}"), |b| {
            b.iter(|| hll::merge(&mut registers, black_box(&large)));
        });
        let mut target = large.clone();
        group.bench_function(format!("store dense, {name}"), |b| {
            b.iter(|| hll::store(&mut target, black_box(&registers), 3000));
        });
    }
    group.bench_function("estimate merged", |b| {
        let mut registers = Registers::default();
        hll::merge(&mut registers, &large).expect("a fresh sketch is whole");
        b.iter(|| black_box(&registers).estimate());
    });
    group.finish();
}

fn bitmaps(c: &mut Criterion) {
    let mut group = c.benchmark_group("bitmap");
    let maps: Vec<Vec<u8>> = (1..=4u32)
        .map(|k| (0..1 << 20).map(|i: u32| (i.wrapping_mul(k * 2_654_435_761) >> 13) as u8).collect())
        .collect();
    let slices: Vec<&[u8]> = maps.iter().map(Vec::as_slice).collect();
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("count 1 MiB", |b| b.iter(|| bits::count(black_box(&maps[0]))));
    let mut result = vec![0; 1 << 20];
    for combination in [Combination::And, Combination::Diff, Combination::One] {
        group.bench_function(format!("{combination:?} of 4 × 1 MiB"), |b| {
            b.iter(|| bits::combine(&mut result, black_box(&slices), combination));
        });
    }
    group.finish();
}

criterion_group!(benches, hyperloglog, bitmaps);
criterion_main!(benches);
