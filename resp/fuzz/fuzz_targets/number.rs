//! Any text is a number or not; a number's text reads back as the same number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::number::{LongDouble, format_f64, format_f64_17g, parse_f64, parse_i64, parse_memory, parse_u64};

fuzz_target!(|text: &[u8]| {
    if let Some(number) = parse_i64(text) {
        assert_eq!(number.to_string().as_bytes(), text);
    }
    if let Some(number) = parse_u64(text) {
        assert_eq!(number.to_string().as_bytes(), text);
    }
    let _ = parse_memory(text);
    let bits = text.first_chunk().map(|bytes| f64::from_bits(u64::from_le_bytes(*bytes)));
    for number in parse_f64(text).into_iter().chain(bits).filter(|number| !number.is_nan()) {
        assert_eq!(parse_f64(&format_f64(number)).map(f64::to_bits), Some(number.to_bits()));
        assert_eq!(parse_f64(&format_f64_17g(number)).map(f64::to_bits), Some(number.to_bits()));
    }
    if let Some(number) = LongDouble::parse(text) {
        let printed = (number + number).to_string();
        // Numbers near the end of the range have more digits than are read.
        assert!(printed.len() >= 5000 || LongDouble::parse(printed.as_bytes()).is_some());
    }
});
