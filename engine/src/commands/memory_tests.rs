//! MEMORY USAGE of every type and encoding: it follows the content, and a sample tells about the whole.

use std::ops::RangeInclusive;

use crate::testing::Scenario;

/// Bytes of each element, field and value.
const ELEMENT: usize = 16;

/// A key of one encoding.
struct Case {
    encoding: &'static str,
    /// Adds the `n`th element, or sets a string of `n` bytes.
    add: fn(usize) -> String,
    /// Numbers of elements between which the encoding is the same.
    sizes: [usize; 2],
    /// Bytes that each element takes, by [`ELEMENT`] a word.
    each: RangeInclusive<usize>,
}

/// A word of [`ELEMENT`] bytes that is no number.
fn word(n: usize) -> String {
    format!("{n:x>width$}", width = ELEMENT)
}

const CASES: &[Case] = &[
    Case { encoding: "raw", add: |n| format!("SET k {}", "x".repeat(n)), sizes: [1_000, 100_000], each: 1..=2 },
    Case { encoding: "embstr", add: |n| format!("SET k {}", "x".repeat(n)), sizes: [1, 44], each: 1..=2 },
    Case { encoding: "listpack", add: |n| format!("RPUSH k {}", word(n)), sizes: [10, 100], each: 17..=36 },
    Case { encoding: "quicklist", add: |n| format!("RPUSH k {}", word(n)), sizes: [1_000, 10_000], each: 17..=24 },
    Case { encoding: "intset", add: |n| format!("SADD k {}", n + 70_000), sizes: [10, 500], each: 4..=8 },
    Case { encoding: "listpack", add: |n| format!("SADD k {}", word(n)), sizes: [10, 100], each: 17..=36 },
    Case { encoding: "hashtable", add: |n| format!("SADD k {}", word(n)), sizes: [1_000, 10_000], each: 24..=48 },
    Case { encoding: "listpack", add: |n| format!("HSET k {} {}", word(n), word(n)), sizes: [10, 100], each: 34..=70 },
    Case {
        encoding: "listpackex",
        add: |n| format!("HSETEX k EX 100 FIELDS 1 {} {}", word(n), word(n)),
        sizes: [10, 100],
        each: 40..=90,
    },
    Case {
        encoding: "hashtable",
        add: |n| format!("HSET k {} {}", word(n), word(n)),
        sizes: [1_000, 10_000],
        each: 40..=72,
    },
    Case {
        encoding: "hashtable",
        add: |n| format!("HSETEX k EX 100 FIELDS 1 {} {}", word(n), word(n)),
        sizes: [1_000, 10_000],
        each: 48..=90,
    },
    Case { encoding: "listpack", add: |n| format!("ZADD k {n} {}", word(n)), sizes: [10, 100], each: 18..=45 },
    Case { encoding: "skiplist", add: |n| format!("ZADD k {n} {}", word(n)), sizes: [1_000, 10_000], each: 40..=90 },
    Case { encoding: "stream", add: |n| format!("XADD k {n}-1 f {}", word(n)), sizes: [1_000, 10_000], each: 20..=40 },
];

impl Case {
    /// A scenario with the key of this size, and its bytes. Strings are set at once.
    fn build(&self, size: usize) -> (Scenario, usize) {
        let mut scenario = Scenario::new();
        if matches!(self.encoding, "raw" | "embstr") {
            scenario.line(&(self.add)(size));
        } else {
            for n in 1..=size {
                let reply = scenario.line(&(self.add)(n));
                assert!(!reply.starts_with('-'), "{}: {reply}", (self.add)(n));
            }
        }
        assert_eq!(scenario.line("OBJECT ENCODING k"), format!("{:?}", self.encoding), "{} of {size}", (self.add)(1));
        let bytes = scenario.engine.dbs[0].memory_usage(b"k", 0).expect("a key");
        (scenario, bytes)
    }
}

#[test]
fn it_follows_the_content() {
    for case in CASES {
        let [small, large] = case.sizes;
        let ((_, before), (_, after)) = (case.build(small), case.build(large));
        let each = (after - before) / (large - small);
        assert!(case.each.contains(&each), "{each} bytes for each of {} ({})", (case.add)(1), case.encoding);
    }
}

#[test]
fn a_sample_tells_about_the_whole() {
    for case in CASES {
        let (mut scenario, exact) = case.build(case.sizes[1]);
        for samples in [1, 5, 1_000, usize::MAX] {
            let sampled = scenario.engine.dbs[0].memory_usage(b"k", samples).expect("a key");
            let off = sampled.abs_diff(exact) as f64 / exact as f64;
            // All elements have the same size: only what lies around them is not spread evenly.
            assert!(off < 0.1, "{sampled} by {samples} samples, {exact} in all: {} ({})", (case.add)(1), case.encoding);
        }
    }
}

#[test]
fn small_things_stay_small() {
    let mut scenario = Scenario::new();
    scenario.line("SET k 12345");
    let integer = scenario.engine.dbs[0].memory_usage(b"k", 0).expect("a key");
    assert!((16..=24).contains(&integer), "{integer}");
    scenario.line("EXPIRE k 100");
    let deadline = scenario.engine.dbs[0].memory_usage(b"k", 0).expect("a key");
    assert_eq!(deadline, integer + 8, "a deadline takes eight bytes");
    assert_eq!(scenario.engine.dbs[0].memory_usage(b"none", 0), None);
}
