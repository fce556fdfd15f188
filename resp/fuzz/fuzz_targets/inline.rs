//! Any line splits into words or is unbalanced; quoted words read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::inline::{quote, split_words};

fuzz_target!(|line: &[u8]| {
    assert_eq!(split_words(quote(line).as_bytes()), Ok(vec![line.to_vec()]));
    if let Ok(words) = split_words(line) {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        assert_eq!(split_words(quoted.join(" ").as_bytes()), Ok(words));
    }
});
