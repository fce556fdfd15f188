//! Any bytes as a file of commands: what comes out is written back as it was read, and takes little memory.
#![no_main]

use cap::Cap;
use libfuzzer_sys::fuzz_target;
use persistence::aof::encode;
use persistence::aof::reader::{Item, ReadError, Reader};

#[global_allocator]
static MEMORY: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// What the reader takes for its buffer, whatever the file.
const BUFFERS: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    MEMORY.set_limit(MEMORY.allocated() + 20 * data.len() + BUFFERS).expect("more than is in use");
    let mut reader = Reader::new(data, 0);
    if data.len() % 2 == 1 {
        reader.verify_checksums();
    }
    let (mut again, mut ends) = (Vec::new(), 0);
    let end = loop {
        match reader.batch() {
            Ok(batch) if batch.is_empty() => break None,
            Ok(batch) => {
                for (item, end) in batch.items() {
                    assert!(end > ends, "each item ends behind the last one");
                    ends = end;
                    if let Item::Command(words) = item {
                        encode(&mut again, words);
                    }
                }
            }
            Err(error) => break Some(error),
        }
    };
    assert_eq!(ends, reader.offset());
    match end {
        None => assert_eq!(ends, data.len() as u64),
        Some(ReadError::Format(malformed)) => {
            assert!((ends..data.len() as u64).contains(&malformed.offset), "{malformed}");
        }
        Some(ReadError::Truncated) => assert!(ends < data.len() as u64),
        Some(ReadError::Io(error)) => panic!("{error}"),
    }
    // The same commands again.
    let (mut reader, mut twice) = (Reader::new(&again[..], 0), Vec::new());
    loop {
        let batch = reader.batch().expect("ours");
        if batch.is_empty() {
            break;
        }
        for (item, _) in batch.items() {
            let Item::Command(words) = item else { panic!("a command") };
            encode(&mut twice, words);
        }
    }
    assert_eq!(again, twice);
    MEMORY.set_limit(usize::MAX).expect("no limit");
});
