use proptest::prelude::*;

use super::*;

fn elements(list: &Quicklist) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    list.for_range(0, list.len(), |elem| out.push(elem.to_vec()));
    out
}

fn walked(list: &Quicklist, index: usize, direction: Direction) -> Vec<Vec<u8>> {
    let mut walk = list.walk(index, direction);
    let mut out = Vec::new();
    while let Some(elem) = walk.next() {
        out.push(elem.to_vec());
    }
    out
}

#[test]
fn sixteen_bytes_an_element() {
    assert_eq!(size_of::<Node>(), 16);
    let mut list = Quicklist::new(Fill::new(-2), 0);
    for i in 0..200_000 {
        list.push(End::Tail, format!("element:{i:08}").as_bytes());
    }
    let per_element = list.memory_usage(0) as f64 / 200_000.0;
    assert!(per_element <= 18.2, "{per_element} bytes per element of 16");
}

#[test]
fn limits_follow_the_configuration() {
    for (config, limits) in
        [(-1, (4096, usize::MAX)), (-2, (8192, usize::MAX)), (-5, (65_536, usize::MAX)), (-9, (65_536, usize::MAX))]
    {
        assert_eq!(Fill::new(config).limits(), limits);
    }
    assert_eq!(Fill::new(0).limits(), (8192, 1));
    assert_eq!(Fill::new(1 << 40).limits(), (8192, 32_767));
    let mut list = Quicklist::new(Fill::new(3), 0);
    (0..10).for_each(|i| list.push(End::Tail, i));
    assert_eq!(list.stats().nodes, 4);
    list.push(End::Tail, &vec![b'x'; 8193]);
    assert!(matches!(list.nodes().last(), Some(NodeView::Plain(_))));
}

#[test]
fn inner_nodes_are_compressed() {
    let mut list = Quicklist::new(Fill::new(-1), 1);
    for i in 0..2000 {
        list.push(End::Tail, format!("hello hello hello {i}").as_bytes());
        list.push(End::Head, format!("hello hello hello {i}").as_bytes());
    }
    list.check_invariants();
    let stats = list.stats();
    assert_eq!(stats.compressed_nodes, stats.nodes - 2);
    assert!(list.memory_usage(0) < stats.uncompressed_bytes / 2);
    for index in (0..4000).step_by(97) {
        let number = if index < 2000 { 1999 - index } else { index - 2000 };
        assert_eq!(
            list.get_with(index, |elem| elem.to_vec()),
            Some(format!("hello hello hello {number}").into_bytes())
        );
    }
    while list.len() > 10 {
        list.pop_with(End::Head, |_| ());
        list.pop_with(End::Tail, |_| ());
    }
    list.check_invariants();
}

#[test]
fn nodes_load_as_they_were_saved() {
    let mut list = Quicklist::new(Fill::new(-1), 1);
    for i in 0..1000 {
        list.push(End::Tail, format!("some text {}", i / 3).as_bytes());
    }
    list.push(End::Tail, &vec![b'x'; 5000]);
    list.push(End::Tail, b"end");
    let mut copy = Quicklist::new(Fill::new(-1), 0);
    for node in list.nodes() {
        let raw;
        let (plain, bytes) = match node {
            NodeView::Packed(bytes) => (false, bytes),
            NodeView::Plain(bytes) => (true, bytes),
            NodeView::Compressed { plain, raw_len, lzf } => {
                raw = super::lzf::decompress(lzf, raw_len).expect("ours");
                (plain, &raw[..])
            }
        };
        if plain {
            assert!(copy.push_plain_node(bytes));
        } else {
            copy.push_packed_node(Listpack::from_bytes(bytes).expect("ours"));
        }
    }
    copy.check_invariants();
    assert_eq!(elements(&copy), elements(&list));
    assert!(!copy.drain_step(1));
    assert!(copy.drain_step(100));
    copy.check_invariants();
}

#[derive(Debug, Clone)]
enum Op {
    Push(bool, Vec<u8>),
    PushMany(bool, Vec<u8>, usize),
    Pop(bool),
    Insert(prop::sample::Index, bool, Vec<u8>),
    Set(prop::sample::Index, Vec<u8>),
    DeleteRange(prop::sample::Index, usize),
    Remove(Vec<u8>, bool, usize),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-c]{0,2}".prop_map(String::into_bytes),
        3 => (0..3000i64).prop_map(|v| v.to_string().into_bytes()),
        2 => (100..600usize, b'x'..b'z').prop_map(|(len, byte)| vec![byte; len]),
        1 => (4000..9000usize).prop_map(|len| vec![b'w'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (any::<bool>(), value()).prop_map(|(head, v)| Op::Push(head, v)),
        2 => (any::<bool>(), value(), 1..12usize).prop_map(|(head, v, n)| Op::PushMany(head, v, n)),
        1 => any::<bool>().prop_map(Op::Pop),
        3 => (index(), any::<bool>(), value()).prop_map(|(at, after, v)| Op::Insert(at, after, v)),
        1 => (index(), value()).prop_map(|(at, v)| Op::Set(at, v)),
        1 => (index(), 0..20usize).prop_map(|(at, count)| Op::DeleteRange(at, count)),
        1 => (value(), any::<bool>(), 1..5usize).prop_map(|(v, forward, n)| Op::Remove(v, forward, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_a_vector(
        fill in prop::sample::select(vec![1i64, 2, 3, 10, -1, -2]),
        depth in 0..3u32,
        ops in prop::collection::vec(op(), 0..80),
        probe: prop::sample::Index,
    ) {
        let mut list = Quicklist::new(Fill::new(fill), depth);
        let mut model = Vec::<Vec<u8>>::new();
        for op in ops {
            match op {
                Op::Push(head, v) => {
                    list.push(if head { End::Head } else { End::Tail }, &v);
                    model.insert(if head { 0 } else { model.len() }, v);
                }
                Op::PushMany(head, v, n) => for _ in 0..n {
                    list.push(if head { End::Head } else { End::Tail }, &v);
                    model.insert(if head { 0 } else { model.len() }, v.clone());
                },
                Op::Pop(head) => {
                    let got = list.pop_with(if head { End::Head } else { End::Tail }, |elem| elem.to_vec());
                    let expected = if head { (!model.is_empty()).then(|| model.remove(0)) } else { model.pop() };
                    prop_assert_eq!(got, expected);
                }
                Op::Insert(at, after, v) if !model.is_empty() => {
                    let at = at.index(model.len());
                    list.insert(at, if after { Side::After } else { Side::Before }, &v);
                    model.insert(at + usize::from(after), v);
                }
                Op::Set(at, v) if !model.is_empty() => {
                    let at = at.index(model.len());
                    prop_assert!(list.set(at, &v));
                    model[at] = v;
                }
                Op::DeleteRange(at, count) => {
                    let at = at.index(model.len() + 1);
                    let there = count.min(model.len() - at);
                    prop_assert_eq!(list.delete_range(at, count), there);
                    model.drain(at..at + there);
                }
                Op::Remove(v, forward, n) => {
                    let mut hits: Vec<usize> = (0..model.len()).filter(|&i| model[i] == v).collect();
                    if !forward {
                        hits.reverse();
                    }
                    hits.truncate(n);
                    let direction = if forward { Direction::Forward } else { Direction::Backward };
                    prop_assert_eq!(list.remove_matching(&v, direction, n), hits.len());
                    hits.sort_unstable();
                    hits.iter().rev().for_each(|&i| { model.remove(i); });
                }
                _ => {}
            }
            list.check_invariants();
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(&elements(&list), &model);
        }
        prop_assert!(!list.set(model.len(), b"x"));
        let at = probe.index(model.len() + 1);
        prop_assert_eq!(list.get_with(at, |elem| elem.to_vec()), model.get(at).cloned());
        prop_assert_eq!(walked(&list, at, Direction::Forward), &model[at..]);
        if at < model.len() {
            let mut back = model[..=at].to_vec();
            back.reverse();
            prop_assert_eq!(walked(&list, at, Direction::Backward), back);
        }
        let mut some = Vec::new();
        list.for_range(at, 7, |elem| some.push(elem.to_vec()));
        prop_assert_eq!(&some, &model[at..(at + 7).min(model.len())]);
    }
}
