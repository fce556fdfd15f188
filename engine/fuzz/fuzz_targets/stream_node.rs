//! Nodes of a stream from outside: what the deep check lets through must read the same both ways and survive changes.
#![no_main]

use engine::ds::listpack::Listpack;
use engine::ds::stream::{StreamId, node};
use engine::types::stream::{Cut, Keep, Limits, Stream, StreamParts};
use libfuzzer_sys::fuzz_target;

fn ids(stream: &Stream) -> Vec<StreamId> {
    let log = stream.log();
    let forward: Vec<_> = log
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| {
            assert_eq!(entry.fields.clone().count(), entry.fields.len());
            entry.id
        })
        .collect();
    let mut back: Vec<_> = log.range_back(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    back.reverse();
    assert_eq!(forward, back);
    assert_eq!(forward.len() as u64, stream.len());
    assert!(forward.windows(2).all(|pair| pair[0] < pair[1]));
    forward
}

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = data.split_first_chunk::<17>() else { return };
    let first = StreamId::from_bytes(*head.first_chunk().expect("sixteen of seventeen bytes"));
    // The length and the end are made to fit, so that the elements are reached.
    let mut bytes = Vec::with_capacity(body.len() + 7);
    bytes.extend_from_slice(&(body.len() as u32 + 7).to_le_bytes());
    bytes.extend_from_slice(&u16::MAX.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.push(0xFF);
    let Some(checked) = node::validate(first, &bytes) else { return };
    assert!(Listpack::from_bytes(&bytes).is_some());
    let mut parts = StreamParts::new();
    if parts.push_node(first, &bytes).is_err() {
        return;
    }
    let mut stream = parts.build(checked.live, StreamId::MAX, None).expect("one node is a stream");
    let all = ids(&stream);
    if let Some(&id) = all.get(usize::from(head[16]) % all.len().max(1)) {
        assert_eq!(stream.log().get(id).map(|entry| entry.id), Some(id));
        assert!(stream.delete(id));
        assert_eq!(ids(&stream).len(), all.len() - 1);
    }
    stream.trim(Keep::Last(u64::from(head[16]) / 16), Cut::Exact);
    ids(&stream);
    if let Some(next) = checked.last.next() {
        let mut parts = StreamParts::new();
        parts.push_node(first, &bytes).expect("as before");
        let mut stream = parts.build(checked.live, checked.last, None).expect("as before");
        assert!(stream.append(next, &[b"field", b"value"], Limits { bytes: 0, entries: 0 }));
        assert_eq!(ids(&stream).len(), all.len() + 1);
    }
});
