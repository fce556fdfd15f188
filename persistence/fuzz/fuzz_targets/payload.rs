//! Any bytes as a payload: every value that comes out is sound, at either depth of examination.
#![no_main]

use engine::config::EngineConfig;
use libfuzzer_sys::fuzz_target;
use persistence::dump;
use persistence::rdb::Integrity;

fuzz_target!(|data: &[u8]| {
    let config = EngineConfig::default();
    let mut payload = data.to_vec();
    payload.extend([12, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for integrity in [Integrity::Structure, Integrity::Full] {
        let restored = dump::restore(&payload, &config, integrity, false, |value| value.into_value());
        let Ok(value) = restored else { continue };
        let again = dump::dump((&value).into(), true).expect("it came from a payload");
        assert!(dump::verify(&again, true));
        if integrity == Integrity::Full {
            dump::restore(&again, &config, integrity, true, |_| ()).expect("ours");
        }
    }
});
