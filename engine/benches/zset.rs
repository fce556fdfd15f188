//! Sorted sets of a million members: inserting in random and in ascending order, changing scores, ranks and ranges.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::ds::sorted_set::SortedSet;

const MEMBERS: u64 = 1_000_000;

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn name(n: u64) -> [u8; 16] {
    let mut name = *b"member:000000000";
    let mut rest = n;
    for digit in name[7..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

fn filled() -> SortedSet {
    let mut set = SortedSet::new();
    for n in 0..MEMBERS {
        set.insert(&name(n), (mix(n) >> 20) as f64);
    }
    set
}

fn zset(c: &mut Criterion) {
    let mut group = c.benchmark_group("zset");
    group.sample_size(10);
    group.throughput(Throughput::Elements(MEMBERS));
    group.bench_function("insert 1M random", |b| b.iter(filled));
    group.bench_function("insert 1M ascending", |b| {
        b.iter(|| {
            let mut set = SortedSet::new();
            for n in 0..MEMBERS {
                set.insert(&name(n), n as f64);
            }
            set
        });
    });
    group.bench_function("insert 1M random names of one score", |b| {
        b.iter(|| {
            let mut set = SortedSet::new();
            for n in 0..MEMBERS {
                set.insert(&name(mix(n) % 1_000_000_000), 0.0);
            }
            set
        });
    });
    group.bench_function("remove 1M random", |b| {
        b.iter_batched(
            filled,
            |mut set| {
                for n in 0..MEMBERS {
                    set.remove(&name(mix(n) % MEMBERS));
                }
                set
            },
            BatchSize::PerIteration,
        );
    });

    let mut set = filled();
    let mut n = 0u64;
    let mut next = || {
        n += 1;
        mix(n) % MEMBERS
    };
    group.sample_size(50);
    group.throughput(Throughput::Elements(1));
    group.bench_function("rank", |b| b.iter(|| set.rank(&name(next()))));
    group.bench_function("score", |b| b.iter(|| set.score(&name(next()))));
    group.bench_function("range 100", |b| {
        b.iter(|| {
            let from = next() as usize;
            for member in set.range(from..from + 100) {
                black_box(member);
            }
        });
    });
    group.bench_function("range 100 back", |b| {
        b.iter(|| {
            let from = next() as usize % (MEMBERS as usize - 100);
            for member in set.range_back(from..from + 100) {
                black_box(member);
            }
        });
    });
    group.bench_function("ranks of a score range", |b| {
        b.iter(|| {
            let score = (mix(next()) >> 20) as f64;
            (set.count_below_score(score, false), set.count_below_score(score + 1000.0, true))
        });
    });
    group.bench_function("update", |b| b.iter(|| set.insert(&name(next()), (mix(next()) >> 20) as f64)));
    group.finish();
}

criterion_group!(benches, zset);
criterion_main!(benches);
