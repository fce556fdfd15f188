use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 3000;

fn values(sketch: &[u8]) -> Vec<u8> {
    let mut registers = Registers::default();
    merge(&mut registers, sketch).expect("whole");
    registers.values().to_vec()
}

#[test]
fn places_are_those_of_redis() {
    // PFDEBUG DECODE after PFADD of a, b and c on Redis 8.0.6: Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603
    let mut sketch = EMPTY.to_vec();
    for element in ["a", "b", "c"] {
        assert_eq!(add(&mut sketch, element.as_bytes(), LIMIT), Ok(true));
        assert_eq!(add(&mut sketch, element.as_bytes(), LIMIT), Ok(false));
    }
    let mut runs = Vec::new();
    for_each_run(&sketch, |value, len, _| runs.push((value, len)));
    assert_eq!(runs, [(0, 8436), (1, 1), (0, 4274), (2, 1), (0, 3068), (1, 1), (0, 603)]);
    assert_eq!(estimate(&sketch), Ok(3));
}

#[test]
fn estimates_stay_close() {
    let mut sketch = EMPTY.to_vec();
    let mut next = 10;
    for n in 1..=100_000u64 {
        add(&mut sketch, &n.to_le_bytes(), LIMIT).unwrap();
        if n == next {
            let estimate = estimate(&sketch).unwrap() as f64;
            assert!((estimate / n as f64 - 1.0).abs() < 0.03, "{estimate} of {n}");
            next *= 10;
        }
    }
    assert_eq!(encoding(&sketch), Some(Encoding::Dense));
}

#[test]
fn grows_dense_at_the_limit_and_with_great_values() {
    let mut sketch = EMPTY.to_vec();
    for index in (0..).step_by(10) {
        let len = sketch.len();
        raise(&mut sketch, index, 1, 100).unwrap();
        if encoding(&sketch) == Some(Encoding::Dense) {
            assert!(len > 97, "{len}");
            break;
        }
        assert!(sketch.len() <= 100);
    }
    let mut sketch = EMPTY.to_vec();
    raise(&mut sketch, 0, 32, LIMIT).unwrap();
    assert_eq!(encoding(&sketch), Some(Encoding::Sparse));
    raise(&mut sketch, 1, 33, LIMIT).unwrap();
    assert_eq!(encoding(&sketch), Some(Encoding::Dense));
    assert_eq!(values(&sketch)[..3], [32, 33, 0]);
}

#[test]
fn damaged_registers_are_found() {
    let sketch = |runs: &[u8]| [&EMPTY[..HEADER], runs].concat();
    for runs in [
        &[][..],
        &[0x7f],                   // cut off
        &[0x7f, 0xff, 0x00],       // one register too many
        &[0x7f, 0xfe],             // one too few
        &[0x7f, 0xfe, 0x81],       // a value beyond the end
        &[0x7f, 0xfe, 0x80, 0x68], // bytes behind the last register
    ] {
        let mut bytes = sketch(runs);
        assert_eq!(estimate(&bytes), Err(Corrupt), "{runs:x?}");
        assert_eq!(merge(&mut Registers::default(), &bytes), Err(Corrupt));
        assert_eq!(make_dense(&mut bytes), Err(Corrupt));
    }
    // Never more than the registers are walked, however long the string.
    assert_eq!(estimate(&sketch(&[0; 1 << 20])), Err(Corrupt));
    assert_eq!(raise(&mut sketch(&[0; 1 << 20]), 0, 1, LIMIT), Err(Corrupt));
    assert_eq!(encoding(b"HYLL"), None);
    assert_eq!(encoding(&[b"HYLL\0".as_slice(), &[0; DENSE_LEN - 6]].concat()), None);
    assert_eq!(encoding(&[b"HYLL\x02".as_slice(), &[0; 20]].concat()), None);
}

#[test]
fn the_estimate_is_kept_in_the_header() {
    let mut sketch = EMPTY.to_vec();
    assert_eq!(cached(&sketch), None);
    cache(&mut sketch, 77);
    assert_eq!(cached(&sketch), Some(77));
    outdate(&mut sketch);
    assert_eq!(cached(&sketch), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sparse_and_dense_hold_the_same(
        changes in prop::collection::vec((0..REGISTERS, 1u8..40), 0..400),
        limit in prop::sample::select(vec![0usize, 60, 300, 3000, 60_000]),
        near in any::<bool>(),
    ) {
        let (mut sketch, mut model) = (EMPTY.to_vec(), vec![0u8; REGISTERS]);
        for (index, value) in changes {
            // Neighbours with few values make runs that are split and joined.
            let (index, value) = if near { (index % 24, value % 3 + 1) } else { (index, value) };
            prop_assert_eq!(raise(&mut sketch, index, value, limit), Ok(model[index] < value));
            model[index] = model[index].max(value);
        }
        prop_assert_eq!(values(&sketch), &*model);
        let mut histogram = Histogram::default();
        model.iter().for_each(|&value| histogram.add(value, 1));
        prop_assert_eq!(estimate(&sketch), Ok(histogram.estimate()));
        make_dense(&mut sketch).unwrap();
        prop_assert_eq!(values(&sketch), model);
    }

    #[test]
    fn merging_is_a_union(a in prop::collection::vec(any::<u16>(), 0..3000), b in prop::collection::vec(any::<u16>(), 0..300)) {
        let sketch = |elements: &mut dyn Iterator<Item = &u16>| {
            let mut sketch = EMPTY.to_vec();
            elements.for_each(|element| { add(&mut sketch, &element.to_le_bytes(), LIMIT).unwrap(); });
            sketch
        };
        let (mut left, right) = (sketch(&mut a.iter()), sketch(&mut b.iter()));
        let both: HashSet<u16> = a.iter().chain(&b).copied().collect();
        let union = sketch(&mut both.iter());
        let mut registers = Registers::default();
        merge(&mut registers, &left).unwrap();
        merge(&mut registers, &right).unwrap();
        store(&mut left, &registers, LIMIT).unwrap();
        prop_assert_eq!(estimate(&left), estimate(&union));
        prop_assert_eq!(values(&left), values(&union));
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), index in 0..REGISTERS) {
        let mut sketch = [&EMPTY[..HEADER], &bytes[..]].concat();
        let _ = raise(&mut sketch, index, 7, LIMIT);
        let _ = estimate(&sketch);
        let _ = make_dense(&mut sketch);
    }
}
