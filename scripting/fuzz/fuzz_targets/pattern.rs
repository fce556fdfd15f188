//! Any pattern on any text matches, does not match, is malformed or is stopped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scripting::pattern::{Capture, find};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (text, pattern) = input;
    let mut asked = 0;
    let mut go_on = || {
        asked += 1;
        if asked > 3 { Err(()) } else { Ok(()) }
    };
    if let Ok(Some(found)) = find(text, pattern, 0, &mut go_on) {
        assert!(found.start <= found.end && found.end <= text.len());
        for capture in found.captures() {
            match *capture {
                Capture::Text(start, end) => assert!(start <= end && end <= text.len()),
                Capture::Position(at) => assert!(at <= text.len() + 1),
                Capture::Open(_) => panic!("a match has no capture that is open"),
            }
        }
    }
});
