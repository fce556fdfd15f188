use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ds::listpack::ElemBuf;

type Model = BTreeMap<StreamId, Vec<Vec<u8>>>;

fn words(entry: &Entry<'_>) -> Vec<Vec<u8>> {
    entry.fields.clone().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Push { ms: u64, seq: u64, words: Vec<Vec<u8>> },
    Delete(prop::sample::Index),
    DeleteMissing(u64, u64),
    Trim(Keep, Cut),
}

fn op() -> impl Strategy<Value = Op> {
    let word = prop_oneof![
        Just(b"a".to_vec()),
        Just(b"b".to_vec()),
        Just(b"12345".to_vec()),
        prop::collection::vec(any::<u8>(), 0..70)
    ];
    let words = prop::collection::vec((prop_oneof![Just(b"f".to_vec()), Just(b"g".to_vec())], word), 1..4)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(field, value)| [field, value]).collect::<Vec<_>>());
    let keep = prop_oneof![
        (0..60u64).prop_map(Keep::Last),
        (0..400u64, 0..3u64).prop_map(|(ms, seq)| Keep::From(StreamId::new(ms, seq)))
    ];
    let cut = prop_oneof![
        2 => Just(Cut::Exact),
        1 => Just(Cut::Nodes { limit: u64::MAX }),
        1 => (0..20u64).prop_map(|limit| Cut::Nodes { limit })
    ];
    prop_oneof![
        8 => (0..9u64, 0..3u64, words).prop_map(|(ms, seq, words)| Op::Push { ms, seq, words }),
        3 => any::<prop::sample::Index>().prop_map(Op::Delete),
        1 => (0..400u64, 0..3u64).prop_map(|(ms, seq)| Op::DeleteMissing(ms, seq)),
        1 => (keep, cut).prop_map(|(keep, cut)| Op::Trim(keep, cut)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn behaves_like_an_ordered_map(
        ops in prop::collection::vec(op(), 1..200),
        (bytes, entries) in (prop_oneof![Just(0), 60..600usize], 0..9usize),
        (from, to) in ((0..400u64, 0..3u64), (0..400u64, 0..3u64)),
    ) {
        let (mut log, mut model, mut last) = (Log::new(), Model::new(), StreamId::MIN);
        for op in ops {
            match op {
                Op::Push { ms, seq, words } => {
                    let id = StreamId::new(last.ms + ms, if ms == 0 { last.seq + 1 } else { seq });
                    let fields: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    log.push(id, &fields, Limits { bytes, entries });
                    model.insert(id, words);
                    last = id;
                }
                Op::Delete(index) if !model.is_empty() => {
                    let id = *model.keys().nth(index.index(model.len())).expect("within");
                    prop_assert!(log.delete(id));
                    prop_assert!(!log.delete(id));
                    model.remove(&id);
                }
                Op::Delete(_) => {}
                Op::DeleteMissing(ms, seq) => {
                    let id = StreamId::new(ms, seq);
                    prop_assert_eq!(log.delete(id), model.remove(&id).is_some());
                }
                Op::Trim(keep, cut) => {
                    let should_go = |model: &Model| match keep {
                        Keep::Last(count) => model.len() as u64 > count,
                        Keep::From(from) => model.keys().next().is_some_and(|&id| id < from),
                    };
                    let removed = log.trim(keep, cut);
                    for _ in 0..removed {
                        prop_assert!(should_go(&model));
                        model.pop_first();
                    }
                    match cut {
                        Cut::Exact => prop_assert!(!should_go(&model)),
                        Cut::Nodes { limit } => prop_assert!(removed <= limit),
                    }
                }
            }
            log.check_invariants();
            prop_assert_eq!(log.len(), model.len() as u64);
        }
        let all: Vec<_> = log.range(StreamId::MIN, StreamId::MAX).map(|entry| (entry.id, words(&entry))).collect();
        prop_assert_eq!(&all, &model.clone().into_iter().collect::<Vec<_>>());
        let (from, to) = (StreamId::new(from.0, from.1), StreamId::new(to.0, to.1));
        let some: Vec<_> = log.range(from, to).map(|entry| (entry.id, words(&entry))).collect();
        let expected: Vec<_> =
            model.iter().filter(|&(&id, _)| from <= id && id <= to).map(|(&id, words)| (id, words.clone())).collect();
        prop_assert_eq!(&some, &expected);
        let mut back: Vec<_> = log.range_back(from, to).map(|entry| (entry.id, words(&entry))).collect();
        back.reverse();
        prop_assert_eq!(&back, &expected);
        prop_assert_eq!(log.first().map(|entry| entry.id), model.keys().next().copied());
        prop_assert_eq!(log.last().map(|entry| entry.id), model.keys().next_back().copied());
    }

    #[test]
    fn a_check_of_damaged_nodes_ends(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut log = Log::new();
        for n in 1..9 {
            let field: &[u8] = if n % 3 == 0 { b"other" } else { b"field" };
            log.push(StreamId::new(n, 0), &[field, n.to_string().as_bytes()], Limits { bytes: 0, entries: 0 });
        }
        log.delete(StreamId::new(4, 0));
        let (first, pack) = log.nodes().next().expect("a node");
        let mut bytes = pack.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(checked) = node::validate(first, &bytes) {
            let mut damaged = Log::new();
            damaged.push_node(first, Listpack::from_bytes(&bytes).expect("a listpack"), checked.live);
            let forward: Vec<_> = damaged.range(StreamId::MIN, StreamId::MAX).map(|entry| words(&entry)).collect();
            let mut back: Vec<_> = damaged.range_back(StreamId::MIN, StreamId::MAX).map(|entry| words(&entry)).collect();
            back.reverse();
            prop_assert_eq!(&forward, &back);
            prop_assert_eq!(forward.len() as u64, checked.live);
        }
    }
}

#[test]
fn the_bytes_of_a_node_are_those_of_redis() {
    let mut log = Log::new();
    let limits = Limits { bytes: 4096, entries: 100 };
    log.push(StreamId::new(1, 1), &[b"a", b"1", b"b", b"x"], limits);
    log.push(StreamId::new(1, 2), &[b"a", b"2", b"b", b"y"], limits);
    log.push(StreamId::new(3, 0), &[b"c", b"z"], limits);
    log.delete(StreamId::new(1, 2));
    let (_, pack) = log.nodes().next().expect("a node");
    let elements: Vec<_> =
        pack.iter().map(|elem| String::from_utf8(elem.text(&mut ElemBuf::new()).to_vec()).expect("text")).collect();
    let expected = "2 1 2 a b 0 2 0 0 1 x 5 3 0 1 2 y 5 0 2 -1 1 c z 6";
    assert_eq!(elements.join(" "), expected);
}
