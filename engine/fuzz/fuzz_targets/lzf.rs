//! Decompression of anything, and the round trip.
#![no_main]

use engine::ds::lzf::{compress, decompress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[a, b], rest)) = data.split_first_chunk::<2>() else { return };
    if let Ok(out) = decompress(rest, usize::from(u16::from_le_bytes([a, b]))) {
        assert_eq!(out.len(), usize::from(u16::from_le_bytes([a, b])));
    }
    let mut out = Vec::new();
    if compress(rest, usize::MAX, &mut out).is_some() {
        assert_eq!(decompress(&out, rest.len()).as_deref(), Ok(rest));
        let len = out.len();
        out.clear();
        assert_eq!(compress(rest, len - 1, &mut out), None);
    }
});
