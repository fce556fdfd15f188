//! Bytes for each key, at several sizes, and the longest tick (100 insertions) while a table grows and is freed. Times are
//! of this thread's CPU, so that other load on the machine does not count.
//!
//! `cargo bench --bench growth [keys]`

use engine::ds::entry::{Entry, NewValue};
use engine::ds::hash::hash;
use engine::ds::table::Table;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn allocated() -> usize {
    tikv_jemalloc_ctl::epoch::advance().expect("statistics are built in");
    tikv_jemalloc_ctl::stats::allocated::read().expect("statistics are built in")
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Insertions of a tick.
const TICK: u64 = 100;

fn main() {
    let most: u64 = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10_000_000);
    let before = allocated();
    let mut table = Table::new();
    let (mut all, mut longest) = (Duration::ZERO, (Duration::ZERO, 0));
    let sizes = [500_000, 750_000, 1_000_000, 1_200_000, 1_450_000, 1_750_000, 2_000_000, 5_000_000, most];
    for tick in 0..most / TICK {
        let began = cpu();
        for i in tick * TICK..(tick + 1) * TICK {
            let mut key = *b"key:000000000000";
            key[4..].iter_mut().rev().fold(i, |rest, digit| {
                *digit = b'0' + (rest % 10) as u8;
                rest / 10
            });
            table.insert(hash(&key), Entry::new(&key, None, 0, NewValue::Bytes(b"0123456789abcdef")));
        }
        let took = cpu() - began;
        all += took;
        if took > longest.0 {
            longest = (took, tick * TICK);
        }
        let keys = (tick + 1) * TICK;
        if sizes.contains(&keys) {
            let rehashing = table.is_rehashing();
            println!(
                "{keys:>9} keys: table {:5.2} B, all {:5.2} B a key; {:3.0} children per 1000 buckets{}",
                table.memory_usage() as f64 / keys as f64,
                (allocated() - before) as f64 / keys as f64,
                table.stats(false).children as f64 * 8000.0 / table.logical_size() as f64,
                if rehashing { " (rehashing: both arrays)" } else { "" },
            );
        }
    }
    println!("inserted in {all:?}, longest tick {:?} from key {}", longest.0, longest.1);
    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    let mut drain = table.into_iter();
    loop {
        let began = cpu();
        let more = drain.drain_step(TICK as usize);
        let took = cpu() - began;
        all += took;
        longest = longest.max(took);
        if !more {
            break;
        }
    }
    println!("drained in {all:?}, longest tick {longest:?}");
}
