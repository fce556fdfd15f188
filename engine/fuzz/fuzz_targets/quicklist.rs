//! Operations against a vector, with small nodes and compression.
#![no_main]

use engine::ds::listpack::Side;
use engine::ds::quicklist::{Direction, End, Fill, Quicklist};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[fill, depth], ops)) = data.split_first_chunk::<2>() else { return };
    let fill = [-1, -2, 1, 2, 5, 40][usize::from(fill % 6)];
    let mut list = Quicklist::new(Fill::new(fill), u32::from(depth % 3));
    let mut model = Vec::<Vec<u8>>::new();
    for op in ops.chunks_exact(3) {
        let (index, value) = (usize::from(op[1]), value(op[2]));
        let there = index % model.len().max(1);
        match op[0] % 9 {
            0 | 1 => {
                for _ in 0..op[1] % 8 {
                    list.push(End::Tail, &value);
                    model.push(value.clone());
                }
            }
            2 => {
                list.push(End::Head, &value);
                model.insert(0, value);
            }
            3 => {
                let popped = list.pop_with(End::Head, |element| element.to_vec());
                assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
            }
            4 => {
                let popped = list.pop_with(End::Tail, |element| element.to_vec());
                assert_eq!(popped, model.pop());
            }
            5 if !model.is_empty() => {
                list.insert(there, Side::Before, &value);
                model.insert(there, value);
            }
            6 if !model.is_empty() => {
                assert!(list.set(there, &value));
                model[there] = value;
            }
            7 => {
                let count = usize::from(op[2] % 40);
                let end = (there + count).min(model.len());
                assert_eq!(list.delete_range(there, count), end.saturating_sub(there));
                model.drain(there.min(end)..end);
            }
            _ => {
                let gone = list.remove_matching(&value, Direction::Backward, 2);
                for _ in 0..gone {
                    let at = model.iter().rposition(|element| *element == value).expect("it was found");
                    model.remove(at);
                }
                assert!(gone == 2 || !model.contains(&value));
            }
        }
        list.check_invariants();
        assert_eq!(list.len(), model.len());
    }
    let mut walk = list.walk(0, Direction::Forward);
    for element in &model {
        assert_eq!(walk.next().map(|found| found.to_vec()).as_ref(), Some(element));
    }
    assert!(walk.next().is_none());
});

fn value(seed: u8) -> Vec<u8> {
    match seed % 4 {
        0 => seed.to_string().into_bytes(),
        1 => vec![b'a' + seed % 3; usize::from(seed % 5)],
        2 => vec![seed; usize::from(seed) * 4],
        _ => vec![seed; usize::from(seed) * 40],
    }
}
