//! Any bytes, cut anywhere, give the same requests as in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{Decoded, Decoder, Limits, Span};

fn requests(stream: &[u8], piece: usize) -> Vec<(Vec<Vec<u8>>, usize)> {
    let limits = Limits { inline_len_max: 64, ..Limits::default() };
    let mut decoder = Decoder::new();
    let mut requests = Vec::new();
    let (mut start, mut end) = (0, 0);
    while end < stream.len() {
        end = (end + piece).min(stream.len());
        loop {
            let (buf, mut spans) = (&stream[start..end], Vec::<Span>::new());
            let (args, consumed) = match decoder.decode(buf, &mut spans, &limits) {
                Ok(Decoded::Request { consumed }) => {
                    (spans.iter().map(|span| span.of(buf).to_vec()).collect(), consumed)
                }
                Ok(Decoded::Inline { consumed, words }) => (words, consumed),
                Ok(Decoded::Empty { consumed }) => (Vec::new(), consumed),
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    requests.push((vec![error.to_string().into_bytes()], 0));
                    return requests;
                }
            };
            assert!(consumed > 0 && consumed <= buf.len());
            requests.push((args, consumed));
            start += consumed;
        }
    }
    requests
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece, stream)) = input.split_first() else { return };
    let whole = requests(stream, stream.len().max(1));
    assert_eq!(requests(stream, usize::from(piece).max(1)), whole);
    assert_eq!(requests(stream, 1), whole);
});
