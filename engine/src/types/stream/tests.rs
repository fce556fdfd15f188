use super::*;

const LIMITS: Limits = Limits { bytes: 4096, entries: 100 };

fn stream(ids: std::ops::Range<u64>) -> Stream {
    let mut stream = Stream::new();
    for ms in ids {
        assert!(stream.append(StreamId::new(ms, 0), &[b"field", b"value"], LIMITS));
    }
    stream
}

fn pending(consumer: ConsumerId) -> Pending {
    Pending { consumer, delivered_at: 5, deliveries: 1 }
}

#[test]
fn pending_entries_move_between_consumers() {
    let mut group = Group::new(StreamId::MIN, None);
    let (a, b) = (group.create_consumer(b"a", 1), group.create_consumer(b"b", 2));
    for ms in 1..=4 {
        group.assign(StreamId::new(ms, 0), pending(a));
    }
    group.assign(StreamId::new(2, 0), pending(b));
    group.check_invariants();
    assert_eq!((group.consumer(a).pending_len(), group.consumer(b).pending_len()), (3, 1));
    assert!(group.acknowledge(StreamId::new(1, 0)));
    assert!(!group.acknowledge(StreamId::new(1, 0)));
    assert_eq!(group.pending_ends(), Some((StreamId::new(2, 0), StreamId::new(4, 0))));
    assert_eq!(group.delete_consumer(b"a"), Some(2));
    assert_eq!(group.delete_consumer(b"a"), None);
    // The place of a consumer that is gone is taken again.
    let c = group.create_consumer(b"0", 3);
    group.assign(StreamId::new(2, 0), pending(c));
    group.check_invariants();
    let names: Vec<_> = group.consumers().map(|(_, consumer)| consumer.name()).collect();
    assert_eq!(names, [b"0", b"b"]);
    assert_eq!((group.pending_len(), group.consumer(b).pending_len()), (1, 0));
}

#[test]
fn a_stream_is_built_from_its_parts() {
    let mut original = stream(1..251);
    original.delete(StreamId::new(7, 0));
    let mut parts = StreamParts::new();
    for (first, pack) in original.log().nodes() {
        parts.push_node(first, pack.as_bytes()).expect("a node");
    }
    let mut group = GroupParts::new(StreamId::new(3, 0), Some(3));
    group.push_pending(StreamId::new(3, 0), 9, 2).expect("the first of this id");
    let consumer = group.push_consumer(b"c", 1, 2).expect("the first of this name");
    group.give(consumer, StreamId::new(3, 0)).expect("pending");
    assert_eq!(group.give(consumer, StreamId::new(4, 0)), Err(PartsError::NotPending));
    assert_eq!(group.give(consumer, StreamId::new(3, 0)), Err(PartsError::Assigned));
    parts.push_group(b"g", group).expect("the first of this name");
    let rest = Some(StreamMeta {
        first_id: original.first_id(),
        max_deleted_id: original.max_deleted_id(),
        entries_added: original.entries_added(),
    });
    let copy = parts.build(original.len(), original.last_id(), rest).expect("a stream");
    assert_eq!((copy.len(), copy.first_id(), copy.last_id()), (249, StreamId::new(1, 0), StreamId::new(250, 0)));
    let group = copy.group(b"g").expect("the group");
    group.check_invariants();
    assert_eq!(group.pending(StreamId::new(3, 0)).expect("pending").deliveries, 2);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let original = stream(1..150);
    let nodes: Vec<_> = original.log().nodes().map(|(id, pack)| (id, pack.as_bytes().to_vec())).collect();
    let mut parts = StreamParts::new();
    assert_eq!(parts.push_node(StreamId::new(1, 0), b"nonsense"), Err(PartsError::Listpack));
    parts.push_node(nodes[1].0, &nodes[1].1).expect("a node");
    assert_eq!(parts.push_node(nodes[0].0, &nodes[0].1), Err(PartsError::Order));
    assert_eq!(parts.build(149, original.last_id(), None).err(), Some(PartsError::Inconsistent));
    let mut parts = StreamParts::new();
    for (id, node) in &nodes {
        parts.push_node(*id, node).expect("a node");
    }
    assert_eq!(parts.build(149, StreamId::new(100, 0), None).err(), Some(PartsError::Inconsistent));
    let mut group = GroupParts::new(StreamId::MIN, None);
    group.push_pending(StreamId::new(1, 0), 0, 1).expect("the first of this id");
    assert_eq!(group.push_pending(StreamId::new(1, 0), 0, 1), Err(PartsError::DuplicatePending));
    assert_eq!(StreamParts::new().push_group(b"g", group), Err(PartsError::Unowned));
}

#[test]
fn the_lag_of_a_group_is_known_or_not() {
    let mut stream = stream(1..6);
    stream.create_group(b"g", StreamId::MIN, None);
    let lag = |stream: &Stream| stream.view().lag(stream.group(b"g").expect("the group"));
    assert_eq!(lag(&stream), Some(5));
    stream.delete(StreamId::new(3, 0));
    assert_eq!(lag(&stream), None, "an entry may be missing anywhere behind the group");
    stream.trim(Keep::From(StreamId::new(4, 0)), Cut::Exact);
    assert_eq!(lag(&stream), Some(2), "what is left is whole again");
    stream.trim(Keep::Last(0), Cut::Exact);
    assert_eq!(lag(&stream), Some(0));
}
