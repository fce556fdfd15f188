//! Triplets of a small hash with deadlines from outside: what is let through reads the same however it is asked, and behaves like a
//! map under the changes that follow, also once it has become a table.
#![no_main]

use std::collections::BTreeMap;

use engine::config::EngineConfig;
use engine::time::UnixMs;
use engine::types::Hash;
use engine::types::hash::FieldExpiry;
use libfuzzer_sys::fuzz_target;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<UnixMs>)>;

fn stored(hash: &Hash) -> Model {
    hash.iter_stored().map(|pair| (pair.field.to_vec(), (pair.value.to_vec(), pair.deadline))).collect()
}

fuzz_target!(|data: (Vec<u8>, Vec<(u8, u8, u16)>, bool)| {
    let (body, changes, small) = data;
    // The length and the end are made to fit, so that the elements are reached; the count is the fuzzer's.
    let mut bytes = (body.len() as u32 + 5).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes.push(0xFF);
    let Some(mut hash) = Hash::from_listpack_ex(&bytes) else { return };
    hash.check_invariants();
    let mut model = stored(&hash);
    assert_eq!(model.len(), hash.len());
    for (field, (value, _)) in &model {
        assert_eq!(hash.get(field).map(|value| value.to_vec()).as_ref(), Some(value));
    }
    let mut config = EngineConfig::default();
    if small {
        config.hash_max_listpack_entries = 4;
    }
    for (kind, name, number) in changes {
        // Often a field that is there.
        let field = match model.keys().nth(usize::from(name) / 2) {
            Some(field) if name % 2 == 0 => field.clone(),
            _ => vec![name],
        };
        let at = UnixMs(i64::from(number) + 1);
        match kind % 5 {
            0 => {
                hash.set_with(&field, &[kind, name], FieldExpiry::At(at), &config);
                model.insert(field, (vec![kind, name], Some(at)));
            }
            1 => {
                hash.set_with(&field, &[kind], FieldExpiry::Clear, &config);
                model.insert(field, (vec![kind], None));
            }
            2 => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
            3 => {
                assert_eq!(hash.set_deadline(&field, Some(at)), model.contains_key(&field));
                model.entry(field).and_modify(|held| held.1 = Some(at));
            }
            _ => {
                hash.extract_due(at, usize::from(name), |field| {
                    let (_, deadline) = model.remove(field).expect("it was there");
                    assert!(deadline.is_some_and(|deadline| deadline < at));
                });
            }
        }
        hash.check_invariants();
        assert_eq!(hash.len(), model.len());
    }
    assert_eq!(stored(&hash), model);
});
