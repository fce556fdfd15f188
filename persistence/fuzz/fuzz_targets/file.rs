//! Any bytes as an RDB file: every value that comes out is sound, what is written from it is read again, and reading takes
//! memory for what is really there.
#![no_main]

use cap::Cap;
use engine::config::EngineConfig;
use libfuzzer_sys::fuzz_target;
use persistence::rdb::{Integrity, Item, Meta, Reader, Writer, WriterOptions};

#[global_allocator]
static MEMORY: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// What the reader takes for its buffers, whatever the file.
const BUFFERS: usize = 1 << 20;

/// What a string that may be compressed grows by: three bytes stand for 264 at most.
const LZF_FACTOR: usize = 88;

/// How a compressed string begins.
const LZF: u8 = 0xc3;

fuzz_target!(|data: &[u8]| {
    let config = EngineConfig::default();
    let total = Some(data.len() as u64);
    let factor = 20 + if data.contains(&LZF) { LZF_FACTOR } else { 0 };
    MEMORY.set_limit(MEMORY.allocated() + factor * data.len() + BUFFERS).expect("more than is in use");
    if let Ok(mut reader) = Reader::sized(data, total, config.clone(), Integrity::Full) {
        reader.ignore_checksum();
        let mut items = Vec::new();
        while let Ok(Some(item)) = reader.next_item() {
            if let Item::Entry(entry) = item {
                // All are kept, as by a server.
                items.push((entry.key.to_vec(), entry.value.into_value()));
            }
        }
        assert!(reader.offset() <= data.len() as u64);
    }
    MEMORY.set_limit(usize::MAX).expect("no limit");
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
