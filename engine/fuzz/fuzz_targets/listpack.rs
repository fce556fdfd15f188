//! The first byte chooses: bytes from outside (validated or walked as they are), or operations against a vector.
#![no_main]

use engine::ds::listpack::{Elem, Iter, Listpack, Side, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match data {
        [0, bytes @ ..] => outside(bytes),
        [1, bytes @ ..] => {
            // With the right size and end, so that the entries are what is tried.
            let mut pack = ((bytes.len() + 5) as u32).to_le_bytes().to_vec();
            pack.extend_from_slice(bytes);
            pack.push(0xFF);
            outside(&pack);
        }
        [_, ops @ ..] => operations(ops),
        [] => {}
    }
});

fn outside(bytes: &[u8]) {
    let good = validate(bytes, true);
    let Some(mut pack) = Listpack::from_bytes(bytes) else {
        assert!(!good);
        return;
    };
    if !good {
        // A walk over bad bytes ends, or panics in its own words; it never reads outside.
        let bytes = bytes.to_vec();
        let walked = quiet(move || {
            let pack = Listpack::from_bytes(&bytes).expect("it was one before");
            pack.iter().count() + pack.iter_back().count() + pack.len()
        });
        let _ = walked;
        return;
    }
    let elements: Vec<Vec<u8>> = pack.iter().map(Elem::to_vec).collect();
    let mut back: Vec<Vec<u8>> = pack.iter_back().map(Elem::to_vec).collect();
    back.reverse();
    assert_eq!(elements, back);
    assert_eq!(Iter::over(bytes).count(), elements.len());
    for (index, element) in elements.iter().enumerate() {
        assert_eq!(pack.get(pack.seek(index).expect("counted")).to_vec(), *element);
        assert!(pack.find_first(element, 1).is_some());
    }
    pack.push_front(b"first");
    pack.push_back(b"last");
    pack.check_invariants();
}

/// Runs `f`, swallowing an assertion of the listpack. Any other end (a signal, a stray read) is the fuzzer's to see.
fn quiet<R>(f: impl FnOnce() -> R) -> Option<R> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).ok();
    std::panic::set_hook(hook);
    result
}

fn operations(ops: &[u8]) {
    let (mut pack, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
    for op in ops.chunks_exact(3) {
        let (index, value) = (usize::from(op[1]), value(op[2]));
        let there = index % model.len().max(1);
        match op[0] % 8 {
            0 => {
                pack.push_back(&value);
                model.push(value);
            }
            1 => {
                pack.push_front(&value);
                model.insert(0, value);
            }
            2 if !model.is_empty() => {
                pack.insert(pack.seek(there).expect("in range"), Side::After, &value);
                model.insert(there + 1, value);
            }
            3 if !model.is_empty() => {
                pack.replace(pack.seek(there).expect("in range"), &value);
                model[there] = value;
            }
            4 => {
                let gone = pack.delete_range(index, usize::from(op[2] % 7));
                let end = (index + usize::from(op[2] % 7)).min(model.len());
                assert_eq!(gone, end.saturating_sub(index));
                if gone > 0 {
                    model.drain(index..end);
                }
            }
            5 => {
                let rest = pack.split_off(there);
                pack.append_all(&rest);
            }
            6 => {
                let found = pack.find_first(&value, 1).map(|pos| model.len() - pack.iter_from(pos).count());
                assert_eq!(found, model.iter().position(|element| *element == value));
            }
            _ => {
                let positions: Vec<_> = (0..model.len()).step_by(2).filter_map(|at| pack.seek(at)).collect();
                pack.delete_batch(&positions);
                let mut keep = false;
                model.retain(|_| {
                    keep = !keep;
                    !keep
                });
            }
        }
        pack.check_invariants();
    }
    assert!(pack.iter().map(Elem::to_vec).eq(model));
}

fn value(seed: u8) -> Vec<u8> {
    match seed % 4 {
        0 => seed.to_string().into_bytes(),
        1 => (i64::from(seed) << (seed % 56)).wrapping_neg().to_string().into_bytes(),
        2 => vec![seed; usize::from(seed)],
        _ => vec![seed; usize::from(seed) * 80],
    }
}
