//! The keyspace table with its entries, through every kind of change, beside a hash map.
#![no_main]

use engine::ds::entry::{Entry, NewValue, StoredStr};
use engine::ds::hash::hash;
use engine::ds::table::{END, Place, ResizePolicy, Table, set_resize_policy};
use libfuzzer_sys::fuzz_target;
use std::collections::{HashMap, HashSet};

/// The value of an entry: bytes, or an integer for an odd length.
fn value(bytes: &[u8]) -> NewValue<'_> {
    if bytes.len() % 2 == 1 { NewValue::Int(bytes.len() as i64) } else { NewValue::Bytes(bytes) }
}

fn same(stored: Option<StoredStr<'_>>, bytes: &[u8]) -> bool {
    stored == Some(if bytes.len() % 2 == 1 { StoredStr::Int(bytes.len() as i64) } else { StoredStr::Bytes(bytes) })
}

fuzz_target!(|data: &[u8]| {
    let mut table: Table<Entry> = Table::new();
    let mut model: HashMap<Vec<u8>, (Vec<u8>, Option<i64>)> = HashMap::new();
    let (mut cursor, mut stayed, mut seen) = (0u64, HashSet::new(), HashSet::new());
    set_resize_policy(ResizePolicy::Allow);
    let mut rest = data;
    while let [op, a, b, tail @ ..] = rest {
        rest = tail;
        // Few short keys, so that they meet again; some long ones.
        let key = if a % 16 == 15 { vec![*a; 100 + usize::from(*b)] } else { format!("{a}").into_bytes() };
        let h = hash(&key);
        match op % 12 {
            0..=2 => {
                let bytes = vec![*b; usize::from(*b) * 2 + usize::from(op % 3 == 0)];
                let deadline = (op & 16 != 0).then_some(i64::from(*b));
                match table.place(h, &key) {
                    Place::Occupied(mut place) => drop(place.update(|entry| entry.set(deadline, value(&bytes)))),
                    Place::Vacant(place) => drop(place.insert(Entry::new(&key, deadline, 7, value(&bytes))).hash()),
                }
                model.insert(key, (bytes, deadline));
            }
            3 => {
                assert_eq!(table.remove(h, &key).is_some(), model.remove(&key).is_some());
                stayed.remove(&key);
            }
            4 => match (table.find(h, &key), model.get(&key)) {
                (None, None) => {}
                (Some(entry), Some((bytes, deadline))) => {
                    assert!(same(entry.string(), bytes));
                    assert_eq!(entry.deadline(), *deadline);
                }
                _ => panic!("one has the key"),
            },
            5 => {
                if let Some(mut place) = table.find_mut(h, &key) {
                    let deadline = (b % 2 == 0).then_some(i64::from(*b));
                    place.update(|entry| entry.set_deadline(deadline));
                    model.get_mut(&key).expect("both have it").1 = deadline;
                }
            }
            6 => {
                let many = format!("{a}-");
                for i in 0..u32::from(*b) * 4 {
                    let key = format!("{many}{i}").into_bytes();
                    table.insert(hash(&key), Entry::new(&key, None, 0, value(b"")));
                    model.insert(key, (Vec::new(), None));
                }
            }
            7 => {
                let from = u64::from(*a) << 40;
                let to = (from + (u64::from(*b) << 36)).min(END);
                let mut taken = Vec::new();
                table.extract_range(
                    from,
                    to,
                    |entry| entry.key().len() % 2 == 0,
                    |entry| taken.push(entry.as_ref().key().to_vec()),
                );
                for key in taken {
                    assert!(model.remove(&key).is_some());
                    stayed.remove(&key);
                }
            }
            8 => {
                if cursor == 0 {
                    stayed = model.keys().cloned().collect();
                    seen.clear();
                }
                cursor = table.scan(cursor, usize::from(*b), |entry| {
                    let new = seen.insert(entry.key().to_vec());
                    assert!(new || !stayed.contains(entry.key()), "emitted twice");
                });
                assert!(cursor != 0 || stayed.is_subset(&seen), "not emitted");
            }
            9 => set_resize_policy(match b % 3 {
                0 => ResizePolicy::Allow,
                1 => ResizePolicy::Avoid,
                _ => ResizePolicy::Forbid,
            }),
            10 => {
                table.rehash_step(usize::from(*b));
            }
            _ => table.reserve(usize::from(*b) * 8),
        }
    }
    table.check_invariants();
    assert_eq!(table.len(), model.len());
    for entry in &table {
        let (bytes, deadline) = model.get(entry.key()).expect("both have it");
        assert!(same(entry.string(), bytes));
        assert_eq!(entry.deadline(), *deadline);
    }
});
