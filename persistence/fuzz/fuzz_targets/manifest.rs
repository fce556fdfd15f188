//! Any bytes as a manifest: what is understood is written back to the same, and goes through a rewrite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use persistence::aof::manifest::Manifest;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::parse(data) else { return };
    let again = manifest.to_bytes();
    if !again.is_empty() {
        assert_eq!(Manifest::parse(&again).expect("ours").to_bytes(), again);
    }
    let mut manifest = manifest;
    manifest.add_base(b"appendonly.aof", true);
    manifest.add_incr(b"appendonly.aof", 7);
    manifest.retire_incrs(manifest.incrs.len().saturating_sub(1));
    let again = manifest.to_bytes();
    assert_eq!(Manifest::parse(&again).expect("ours").to_bytes(), again);
});
