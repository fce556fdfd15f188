use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

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

#[derive(Clone, Debug)]
enum GroupOp {
    Create(u8),
    Delete(u8),
    Assign(u64, u8, u64),
    Acknowledge(u64),
    Again(u64),
}

fn group_op() -> impl Strategy<Value = GroupOp> {
    let (consumer, id) = (0..5u8, 0..30u64);
    prop_oneof![
        consumer.clone().prop_map(GroupOp::Create),
        consumer.clone().prop_map(GroupOp::Delete),
        (id.clone(), consumer, 1..9u64).prop_map(|(id, consumer, times)| GroupOp::Assign(id, consumer, times)),
        id.clone().prop_map(GroupOp::Acknowledge),
        id.prop_map(GroupOp::Again),
    ]
}

proptest! {
    #[test]
    fn a_group_behaves_like_a_map(ops in prop::collection::vec(group_op(), 0..120), start in 0..30u64) {
        let (mut group, mut consumers) = (Group::new(StreamId::MIN, None), BTreeSet::new());
        // Who has an entry, and how often it was handed out.
        let mut model = BTreeMap::<StreamId, (u8, u64)>::new();
        for op in ops {
            match op {
                GroupOp::Create(name) => {
                    if consumers.insert(name) {
                        group.create_consumer(&[name], 1);
                    }
                }
                GroupOp::Delete(name) => {
                    let had = model.values().filter(|(owner, _)| *owner == name).count();
                    prop_assert_eq!(group.delete_consumer(&[name]), consumers.remove(&name).then_some(had));
                    model.retain(|_, (owner, _)| *owner != name);
                }
                GroupOp::Assign(id, name, deliveries) => {
                    let consumer = group.find_consumer(&[name]);
                    prop_assert_eq!(consumer.is_some(), consumers.contains(&name));
                    if let Some(consumer) = consumer {
                        group.assign(StreamId::new(id, 0), Pending { consumer, delivered_at: 5, deliveries });
                        model.insert(StreamId::new(id, 0), (name, deliveries));
                    }
                }
                GroupOp::Acknowledge(id) => {
                    let id = StreamId::new(id, 0);
                    prop_assert_eq!(group.acknowledge(id), model.remove(&id).is_some());
                }
                GroupOp::Again(id) => {
                    let id = StreamId::new(id, 0);
                    group.deliver_again(id, 9);
                    if let Some((_, deliveries)) = model.get_mut(&id) {
                        *deliveries += 1;
                    }
                }
            }
            group.check_invariants();
            prop_assert_eq!((group.pending_len(), group.consumers_len()), (model.len(), consumers.len()));
        }
        let owner = |pending: &Pending| group.consumer(pending.consumer).name()[0];
        let start = StreamId::new(start, 0);
        let found: Vec<_> = group.pending_from(start).map(|(id, pending)| (id, (owner(pending), pending.deliveries))).collect();
        let expected: Vec<_> = model.range(start..).map(|(&id, &entry)| (id, entry)).collect();
        prop_assert_eq!(found, expected);
        for (id, consumer) in group.consumers() {
            let theirs = group.consumer(id).pending_from(start).count();
            prop_assert_eq!(theirs, model.range(start..).filter(|(_, (owner, _))| [*owner] == *consumer.name()).count());
        }
        let ends = model.first_key_value().zip(model.last_key_value()).map(|((&first, _), (&last, _))| (first, last));
        prop_assert_eq!(group.pending_ends(), ends);
    }

    #[test]
    fn a_stream_counts_what_it_was_given(
        ops in prop::collection::vec((0..5u8, 0..40u64), 0..100),
    ) {
        let (mut stream, mut model) = (Stream::new(), BTreeSet::new());
        let (mut last, mut added, mut read) = (0, 0, 0);
        stream.create_group(b"g", StreamId::MIN, Some(0));
        for (op, number) in ops {
            match op {
                0 | 1 => {
                    last += 1 + number % 3;
                    added += 1;
                    prop_assert!(stream.append(StreamId::new(last, 0), &[b"f", b"v"], LIMITS));
                    model.insert(last);
                }
                2 => prop_assert_eq!(stream.delete(StreamId::new(number, 0)), model.remove(&number)),
                3 => {
                    let keep = number as usize % 12;
                    let gone = model.len().saturating_sub(keep);
                    prop_assert_eq!(stream.trim(Keep::Last(keep as u64), Cut::Exact), gone as u64);
                    (0..gone).for_each(|_| assert!(model.pop_first().is_some()));
                }
                _ => {
                    // The group is handed the next entries, one by one.
                    for _ in 0..number % 4 {
                        let Some(&next) = model.range(read + 1..).next() else { break };
                        let (group, view) = stream.group_mut(b"g").expect("the group");
                        let id = StreamId::new(next, 0);
                        group.entries_read = view.entries_read_at(group, id);
                        group.last_id = id;
                        read = next;
                    }
                }
            }
            prop_assert_eq!((stream.len(), stream.entries_added()), (model.len() as u64, added));
            prop_assert_eq!(stream.last_id(), StreamId::new(last, 0));
            prop_assert_eq!(stream.first_id(), model.first().map_or(StreamId::MIN, |&ms| StreamId::new(ms, 0)));
            prop_assert!(model.is_empty() || stream.max_deleted_id() <= stream.last_id());
            let group = stream.group(b"g").expect("the group");
            if let Some(lag) = stream.view().lag(group) {
                prop_assert_eq!(lag, model.range(read + 1..).count() as u64, "a lag that is told is right");
            }
        }
    }
}
