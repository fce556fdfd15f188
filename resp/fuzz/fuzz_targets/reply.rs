//! Any bytes give the same replies in one piece and byte by byte, and what was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{Protocol, ReplyDecoder, ReplyLimits, Writer, decode_reply};

fuzz_target!(|stream: &[u8]| {
    let whole = decode_reply(stream, &ReplyLimits::default());
    let mut decoder = ReplyDecoder::default();
    let mut first = Ok(None);
    for byte in stream {
        decoder.push(&[*byte]);
        first = decoder.next();
        if first != Ok(None) {
            break;
        }
    }
    // NaN is not equal to itself: compare the texts.
    assert_eq!(format!("{first:?}"), format!("{:?}", whole.clone().map(|reply| reply.map(|(value, _)| value))));
    if let Ok(Some((value, _))) = whole {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, Protocol::Resp3).value(&value);
        let again = decode_reply(&bytes, &ReplyLimits::default());
        assert!(matches!(again, Ok(Some((_, consumed))) if consumed == bytes.len()));
    }
});
