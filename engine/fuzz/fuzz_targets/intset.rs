//! Bytes from outside, or operations against a sorted set.
#![no_main]

use std::collections::BTreeSet;

use engine::ds::intset::{IntSet, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match data {
        [0, bytes @ ..] => {
            let good = validate(bytes, true);
            match IntSet::from_bytes(bytes) {
                None => assert!(!good),
                Some(mut set) => {
                    // Unsorted members make answers wrong, not memory.
                    let _ = (set.contains(7), set.min(), set.max(), set.iter().count());
                    set.add(1 << 40);
                    set.remove(7);
                    if good {
                        set.check_invariants();
                    }
                }
            }
        }
        [_, ops @ ..] => {
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for op in ops.chunks_exact(3) {
                let value = (i64::from(op[1]) - 128) << (op[2] % 57);
                if op[0] % 3 == 0 {
                    assert_eq!(set.remove(value), model.remove(&value));
                } else {
                    assert_eq!(set.add(value), model.insert(value));
                }
                assert_eq!(set.contains(value), model.contains(&value));
                set.check_invariants();
            }
            assert!(set.iter().eq(model));
        }
        [] => {}
    }
});
