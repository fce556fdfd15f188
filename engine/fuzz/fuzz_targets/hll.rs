//! Strings that claim to be HyperLogLogs, as SET and RESTORE take them from anyone: nothing may panic, a sketch that can be
//! counted can be made dense and counts the same then, and adding to it never lowers a register.
#![no_main]

use engine::ds::hll::{self, Registers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], Vec<(u16, u8)>)| {
    let (bytes, changes) = data;
    let mut sketch = bytes.to_vec();
    if hll::encoding(&sketch).is_none() {
        return;
    }
    let estimate = hll::estimate(&sketch);
    for (index, value) in changes {
        let (index, value) = (usize::from(index) % hll::REGISTERS, value % 52);
        if hll::raise(&mut sketch, index, value, 3000).is_err() {
            return;
        }
    }
    let Ok(after) = hll::estimate(&sketch) else { return };
    let (mut before, mut dense) = (Registers::default(), sketch.clone());
    hll::make_dense(&mut dense).expect("what can be counted is whole");
    assert_eq!(hll::estimate(&dense), Ok(after));
    if estimate.is_ok() {
        let mut now = Registers::default();
        hll::merge(&mut before, bytes).expect("it was counted");
        hll::merge(&mut now, &dense).expect("it was just made");
        assert!(before.values().iter().zip(now.values()).all(|(before, now)| before <= now));
    }
});
