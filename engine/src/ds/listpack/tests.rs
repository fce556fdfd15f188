use proptest::prelude::*;

use super::*;

fn text(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(Elem::to_vec).collect()
}

#[test]
fn bytes_are_redis() {
    // DUMP of `HSET h f 12345 g -1 name "ada"` by Redis, its listpack.
    let mut pack = Listpack::new();
    for value in ["f", "12345", "g", "-1", "name", "ada"] {
        pack.push_back(value.as_bytes());
    }
    let expected: &[u8] = &[
        31, 0, 0, 0, 6, 0, 0x81, b'f', 2, 0xF1, 0x39, 0x30, 3, 0x81, b'g', 2, 0xDF, 0xFF, 2, 0x84, b'n', b'a', b'm',
        b'e', 5, 0x83, b'a', b'd', b'a', 4, 0xFF,
    ];
    assert_eq!(pack.as_bytes(), expected);
    assert_eq!(pack.bytes(), expected.len());
    pack.check_invariants();
}

#[test]
fn every_integer_width() {
    let mut pack = Listpack::new();
    let edges = [0, 7, 12, 15, 23, 31, 63].map(|bits| 1i64.checked_shl(bits).unwrap_or(0));
    let values: Vec<i64> = edges
        .iter()
        .flat_map(|&e| [e.wrapping_sub(1), e, e.wrapping_neg(), e.wrapping_neg().wrapping_sub(1)])
        .collect();
    for &value in &values {
        pack.push_back(value);
        assert_eq!(entry_bytes(value), entry_bytes(value.to_string().as_bytes()));
    }
    pack.check_invariants();
    assert!(pack.iter().eq(values.iter().map(|&value| Elem::Int(value))));
    assert!(pack.iter_back().eq(values.iter().rev().map(|&value| Elem::Int(value))));
    for (index, &value) in values.iter().enumerate() {
        let pos = pack.find_first(value.to_string().as_bytes(), 1).expect("stored");
        assert_eq!(pack.get(pos), Elem::Int(value));
        assert!(pos <= pack.seek(index).expect("stored"));
    }
}

#[test]
fn back_lengths_as_redis_writes_them() {
    // Lengths seen in dumps of Redis 8.0: 16378 and 2097146 take one byte more than seven bits a byte need.
    for (len, tail) in [
        (125, &b"\x7F"[..]),
        (126, b"\x01\x80"),
        (16_377, b"\x7F\xFE"),
        (16_378, b"\x00\xFF\xFF"),
        (16_379, b"\x01\x80\x80"),
        (2_097_145, b"\x7F\xFF\xFE"),
        (2_097_146, b"\x00\xFF\xFF\xFF"),
    ] {
        let mut pack = Listpack::new();
        pack.push_back(&vec![b'x'; len]);
        let bytes = pack.as_bytes();
        assert_eq!(&bytes[bytes.len() - 1 - tail.len()..bytes.len() - 1], tail, "{len}");
        assert_eq!(bytes[bytes.len() - 2 - tail.len()], b'x');
        pack.push_back(b"end");
        pack.check_invariants();
        assert_eq!(pack.iter_back().map(Elem::text_len).collect::<Vec<_>>(), [3, len]);
    }
}

#[test]
fn counts_beyond_the_field() {
    let mut pack = Listpack::new();
    let values: Vec<Elem<'_>> = (0..70_000).map(Elem::Int).collect();
    pack.extend_back(&values);
    assert_eq!(pack.len(), 70_000);
    assert_eq!(pack.seek(69_999), pack.last());
    assert_eq!(pack.seek(70_000), None);
    assert_eq!(pack.delete_range(10, 69_000), 69_000);
    assert_eq!(pack.len(), 1000);
    assert_eq!(pack.get(pack.seek(10).expect("there")), Elem::Int(69_010));
    pack.check_invariants();
}

#[test]
fn unusual_spellings_are_read() {
    // 5 as a 64-bit integer, "a" with a 12-bit and a 32-bit length: valid, though Redis would not write them.
    let bytes = b"\x1E\0\0\0\x03\0\xF4\x05\0\0\0\0\0\0\0\x09\xE0\x01a\x03\xF0\x01\0\0\0b\x06\xFF";
    let mut bytes = bytes.to_vec();
    bytes[0] = bytes.len() as u8;
    assert!(validate(&bytes, true));
    let pack = Listpack::from_bytes(&bytes).expect("valid");
    assert_eq!(text(&pack), [b"5", b"a", b"b"]);
    for needle in [b"5", b"a", b"b"] {
        assert!(pack.find_first(needle, 1).is_some());
    }
}

#[test]
fn bad_bytes_are_refused() {
    let mut good = Listpack::new();
    good.push_back(b"abc");
    good.push_back(&[b'x'; 200]);
    let good = good.as_bytes().to_vec();
    assert!(validate(&good, true));
    for (at, value, shallow) in
        [(0, 0, false), (4, 3, true), (6, 0xBF, true), (6, 0xF5, true), (10, 5, true), (11, 0xFF, true)]
    {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!((validate(&bad, false), validate(&bad, true)), (shallow, false), "byte {at}");
    }
    assert!(!validate(&good[..good.len() - 1], false));
    assert!(!validate(b"\x06\0\0\0\0\0", false));
    assert!(validate(Listpack::new().as_bytes(), true));
}

#[derive(Debug, Clone)]
enum Op {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Insert(prop::sample::Index, bool, Vec<u8>),
    Replace(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index),
    DeleteRange(prop::sample::Index, usize),
    DeleteBatch(Vec<bool>),
    Extend(Vec<Vec<u8>>, bool),
    Split(prop::sample::Index),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-c]{0,3}".prop_map(String::into_bytes),
        4 => (any::<i64>(), 0..63u32).prop_map(|(v, shift)| (v >> shift).to_string().into_bytes()),
        1 => (0..300usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (4000..17_000usize).prop_map(|len| vec![b'z'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        value().prop_map(Op::PushBack),
        value().prop_map(Op::PushFront),
        (index(), any::<bool>(), value()).prop_map(|(at, after, v)| Op::Insert(at, after, v)),
        (index(), value()).prop_map(|(at, v)| Op::Replace(at, v)),
        index().prop_map(Op::Delete),
        (index(), 0..5usize).prop_map(|(at, count)| Op::DeleteRange(at, count)),
        prop::collection::vec(any::<bool>(), 0..20).prop_map(Op::DeleteBatch),
        (prop::collection::vec(value(), 0..5), any::<bool>()).prop_map(|(v, front)| Op::Extend(v, front)),
        index().prop_map(Op::Split),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_vector(ops in prop::collection::vec(op(), 0..60), needle in value()) {
        let (mut pack, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
        for op in ops {
            match op {
                Op::PushBack(v) => { pack.push_back(&v); model.push(v); }
                Op::PushFront(v) => { pack.push_front(&v); model.insert(0, v); }
                Op::Insert(at, after, v) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let pos = pack.seek(at).expect("in range");
                    let pos = pack.insert(pos, if after { Side::After } else { Side::Before }, &v);
                    prop_assert!(pack.get(pos).is_text(&v));
                    model.insert(at + usize::from(after), v);
                }
                Op::Replace(at, v) if !model.is_empty() => {
                    let at = at.index(model.len());
                    pack.replace(pack.seek(at).expect("in range"), &v);
                    model[at] = v;
                }
                Op::Delete(at) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let next = pack.delete(pack.seek(at).expect("in range"));
                    model.remove(at);
                    prop_assert_eq!(next.map(|pos| pack.get(pos).to_vec()), model.get(at).cloned());
                }
                Op::DeleteRange(at, count) => {
                    let at = at.index(model.len() + 1);
                    let count_there = count.min(model.len() - at);
                    prop_assert_eq!(pack.delete_range(at, count), count_there);
                    model.drain(at..at + count_there);
                }
                Op::DeleteBatch(marks) => {
                    let gone: Vec<usize> = marks.iter().enumerate().filter(|&(i, &m)| m && i < model.len()).map(|(i, _)| i).collect();
                    let positions: Vec<Pos> = gone.iter().map(|&i| pack.seek(i).expect("in range")).collect();
                    pack.delete_batch(&positions);
                    gone.iter().rev().for_each(|&i| { model.remove(i); });
                }
                Op::Extend(values, front) => {
                    let elems: Vec<Elem<'_>> = values.iter().map(Elem::from).collect();
                    if front {
                        pack.extend_front(&elems);
                        model.splice(0..0, values);
                    } else {
                        pack.extend_back(&elems);
                        model.extend(values);
                    }
                }
                Op::Split(at) => {
                    let at = at.index(model.len() + 1);
                    let rest = pack.split_off(at);
                    rest.check_invariants();
                    prop_assert_eq!(text(&rest), &model[at..]);
                    pack.check_invariants();
                    pack.append_all(&rest);
                }
                _ => {}
            }
            pack.check_invariants();
            prop_assert_eq!(pack.len(), model.len());
            prop_assert_eq!(text(&pack), &model[..]);
            let mut back: Vec<_> = pack.iter_back().map(Elem::to_vec).collect();
            back.reverse();
            prop_assert_eq!(&back, &model);
            for stride in 1..3 {
                let found = pack.find_first(&needle, stride).map(|pos| pack.iter().count() - pack.iter_from(pos).count());
                let expected = model.iter().step_by(stride).position(|v| *v == needle).map(|i| i * stride);
                prop_assert_eq!(found, expected);
            }
        }
        let copy = Listpack::from_bytes(pack.as_bytes()).expect("own bytes are valid");
        prop_assert_eq!(text(&copy), model);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_walked(body in prop::collection::vec(any::<u8>(), 0..80), count: u16) {
        let mut bytes = ((body.len() + 7) as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.push(END);
        if validate(&bytes, true) {
            let pack = Listpack::from_bytes(&bytes).expect("deep implies shallow");
            prop_assert_eq!(pack.iter().count(), pack.iter_back().count());
            let found = pack.iter().all(|elem| pack.find_first(&elem.to_vec(), 1).is_some());
            prop_assert!(found);
        }
    }
}
