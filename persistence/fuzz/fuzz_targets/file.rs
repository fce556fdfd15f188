//! Any bytes as an RDB file: every value that comes out is sound, and what is written from it is read again.
#![no_main]

use engine::config::EngineConfig;
use libfuzzer_sys::fuzz_target;
use persistence::rdb::{Integrity, Item, Meta, Reader, Writer, WriterOptions};

fuzz_target!(|data: &[u8]| {
    let config = EngineConfig::default();
    let total = Some(data.len() as u64);
    let Ok(mut reader) = Reader::sized(data, total, config.clone(), Integrity::Full) else { return };
    reader.ignore_checksum();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    let mut count = 0;
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Entry(entry) = item {
            let (key, value) = (entry.key.to_vec(), entry.value.into_value());
            writer.entry(&key, (&value).into(), &Meta::default()).expect("writing to memory");
            count += 1;
        }
    }
    let file = writer.finish().expect("writing to memory");
    let mut reader = Reader::new(&file[..], config, Integrity::Full).expect("ours");
    while let Some(item) = reader.next_item().expect("ours") {
        count -= i32::from(matches!(item, Item::Entry(_)));
    }
    assert_eq!(count, 0);
});
