//! Properties: what is written reads back, pieces do not matter, numbers agree with other implementations.

use bytes::Bytes;
use proptest::prelude::*;
use resp::number::{format_f64, format_f64_17g, parse_f64, parse_i64, parse_u64};
use resp::{
    Decoded, Decoder, Limits, Protocol, ProtocolError, ReplyDecoder, ReplyLimits, Value, Writer, decode_reply, inline,
};

fn text() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn line() -> impl Strategy<Value = Bytes> {
    text().prop_map(|bytes| bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
}

/// Any reply that RESP3 can carry as it is: no second kind of null, no NaN, which equals nothing.
fn reply() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        line().prop_map(Value::Simple),
        line().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        text().prop_map(Value::Bulk),
        Just(Value::Null),
        any::<f64>().prop_filter("NaN is not equal to itself", |number| !number.is_nan()).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        any::<i128>().prop_map(|number| Value::BigNumber(number.to_string().into())),
        text().prop_map(|text| Value::Verbatim { format: *b"txt", text }),
    ];
    scalar.prop_recursive(4, 40, 12, |element| {
        let elements = prop::collection::vec(element.clone(), 0..12);
        let pairs = prop::collection::vec((element.clone(), element.clone()), 0..6);
        prop_oneof![
            elements.clone().prop_map(Value::Array),
            elements.clone().prop_map(Value::Set),
            elements.prop_map(Value::Push),
            pairs.clone().prop_map(Value::Map),
            (pairs, element).prop_map(|(attributes, value)| Value::Attributed { attributes, value: Box::new(value) }),
        ]
    })
}

fn written(value: &Value, protocol: Protocol) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, protocol).value(value);
    out
}

/// One event of a request stream, owned.
#[derive(Debug, PartialEq, Clone)]
enum Event {
    Request(Vec<Vec<u8>>),
    Inline(Vec<Vec<u8>>),
    Empty,
    Error(ProtocolError),
}

/// Feeds `stream` so that the buffer's end moves through `cuts`.
fn events(stream: &[u8], cuts: &[usize], limits: &Limits) -> Vec<Event> {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    let mut spans = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        loop {
            let buf = &stream[start..end.max(start)];
            spans.clear();
            let consumed = match decoder.decode(buf, &mut spans, limits) {
                Ok(Decoded::Request { consumed }) => {
                    assert!(!spans.is_empty(), "a request has arguments");
                    assert!(spans.iter().all(|span| span.end() <= consumed));
                    events.push(Event::Request(spans.iter().map(|span| span.of(buf).to_vec()).collect()));
                    consumed
                }
                Ok(Decoded::Inline { consumed, words }) => {
                    events.push(Event::Inline(words));
                    consumed
                }
                Ok(Decoded::Empty { consumed }) => {
                    events.push(Event::Empty);
                    consumed
                }
                Ok(Decoded::Incomplete { .. }) => {
                    assert!(spans.is_empty());
                    break;
                }
                Err(error) => {
                    events.push(Event::Error(error));
                    return events;
                }
            };
            assert!(consumed > 0 && consumed <= buf.len());
            assert_eq!(decoder.heap_bytes(), 0, "an idle decoder holds no memory");
            start += consumed;
        }
    }
    events
}

/// Streams that are mostly well-formed and sometimes broken anywhere.
fn request_stream() -> impl Strategy<Value = Vec<u8>> {
    let multibulk = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..130), 0..14).prop_map(|args| {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend(format!("${}\r\n", arg.len()).bytes());
            bytes.extend(arg);
            bytes.extend(b"\r\n");
        }
        bytes
    });
    let inline = "[ a-z'\"\\\\]{0,20}\r?\n".prop_map(String::into_bytes);
    let odd = prop::sample::select(vec![
        &b"*-1\r\n"[..],
        b"*0\r\n",
        b"*1\rx$1\rxaxx",
        b"*1\r\n$01\r\na\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n\r\n",
        b"*99999999999\r\n",
        b"*1\r\n$99999999999\r\n",
    ])
    .prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![6 => multibulk, 2 => inline, 1 => odd];
    (prop::collection::vec(piece, 1..6), prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())))
        .prop_map(|(pieces, damage)| {
            let mut stream = pieces.concat();
            if let Some((at, byte)) = damage
                && !stream.is_empty()
            {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            stream
        })
}

proptest! {
    #[test]
    fn a_reply_reads_back(value in reply()) {
        let bytes = written(&value, Protocol::Resp3);
        let decoded = decode_reply(&bytes, &ReplyLimits::default());
        prop_assert_eq!(decoded, Ok(Some((value, bytes.len()))));
    }

    #[test]
    fn resp2_says_the_same_with_fewer_types(value in reply()) {
        let bytes = written(&value, Protocol::Resp2);
        let (first, consumed) = decode_reply(&bytes, &ReplyLimits::default())?.expect("the reply is whole");
        prop_assert_eq!(consumed, bytes.len());
        // Once reduced to RESP2's types it stays the same.
        prop_assert_eq!(written(&first, Protocol::Resp2), bytes);
    }

    #[test]
    fn pieces_of_a_reply_do_not_matter(values in prop::collection::vec(reply(), 1..4), piece in 1usize..40) {
        let stream: Vec<u8> = values.iter().flat_map(|value| written(value, Protocol::Resp3)).collect();
        let mut decoder = ReplyDecoder::default();
        let mut decoded = Vec::new();
        for bytes in stream.chunks(piece) {
            decoder.push(bytes);
            while let Some(value) = decoder.next()? {
                decoded.push(value);
            }
        }
        prop_assert_eq!(decoded, values);
        prop_assert_eq!(decoder.remainder(), Some(&b""[..]));
    }

    #[test]
    fn bytes_are_never_a_reason_to_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"*$:+-_%~>|,#(=!;.?\r\n0123"[..])], 0..60)) {
        let whole = decode_reply(&bytes, &ReplyLimits::default());
        let mut decoder = ReplyDecoder::default();
        let mut first = Ok(None);
        for byte in &bytes {
            decoder.push(&[*byte]);
            first = decoder.next();
            if first != Ok(None) {
                break;
            }
        }
        // NaN is not equal to itself: compare the texts.
        prop_assert_eq!(format!("{:?}", whole.map(|reply| reply.map(|(value, _)| value))), format!("{first:?}"));
        events(&bytes, &[], &Limits::default());
    }

    #[test]
    fn pieces_of_requests_do_not_matter(
        stream in request_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        authenticated in any::<bool>(),
    ) {
        let limits = Limits { authenticated, ..Limits::default() };
        let whole = events(&stream, &[], &limits);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&events(&stream, &cuts, &limits), &whole);
        let every_byte: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&events(&stream, &every_byte, &limits), &whole);
    }

    #[test]
    fn deferred_headers_equal_known_ones(elements in prop::collection::vec(text(), 0..120), resp3 in any::<bool>()) {
        let protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        let (mut known, mut deferred) = (b"before".to_vec(), b"before".to_vec());
        let mut writer = Writer::new(&mut known, protocol);
        writer.set(elements.len());
        elements.iter().for_each(|element| writer.bulk(element));
        let mut writer = Writer::new(&mut deferred, protocol);
        let header = writer.deferred();
        elements.iter().for_each(|element| writer.bulk(element));
        writer.finish_set(header, elements.len());
        prop_assert_eq!(known, deferred);
    }

    #[test]
    fn displayed_strings_equal_strings(text in ".{0,200}") {
        let (mut plain, mut displayed) = (Vec::new(), Vec::new());
        Writer::new(&mut plain, Protocol::Resp2).bulk(text.as_bytes());
        Writer::new(&mut displayed, Protocol::Resp2).bulk_display(&text);
        prop_assert_eq!(plain, displayed);
    }

    #[test]
    fn errors_stay_on_one_line(text in "[a\r\n]{0,20}") {
        let (mut out, mut same) = (Vec::new(), Vec::new());
        Writer::new(&mut out, Protocol::Resp2).error(&text);
        Writer::new(&mut same, Protocol::Resp2).error_bytes(text.as_bytes());
        prop_assert_eq!(&out, &same);
        prop_assert_eq!(out.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count(), 2);
        prop_assert!(out.ends_with(b"\r\n"));
    }

    #[test]
    fn quoted_words_read_back(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6)) {
        let line: Vec<String> = words.iter().map(|word| inline::quote(word)).collect();
        prop_assert_eq!(inline::split_words(line.join(" ").as_bytes()), Ok(words.clone()));
        // Words that need no quotes mean themselves.
        for word in words.iter().filter(|word| !inline::needs_quotes(word)) {
            prop_assert_eq!(inline::split_words(word), Ok(vec![word.clone()]));
        }
    }

    #[test]
    fn any_line_splits_or_is_unbalanced(line in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\"'\\ x0an"[..])], 0..40)) {
        if let Ok(words) = inline::split_words(&line) {
            let again: Vec<String> = words.iter().map(|word| inline::quote(word)).collect();
            prop_assert_eq!(inline::split_words(again.join(" ").as_bytes()), Ok(words));
        }
    }

    #[test]
    fn integers_have_one_text(number in any::<i64>(), text in "[-+ 0-9]{0,22}") {
        prop_assert_eq!(parse_i64(number.to_string().as_bytes()), Some(number));
        let canonical = |parsed: String| parsed == text;
        prop_assert_eq!(parse_i64(text.as_bytes()), text.parse().ok().filter(|n: &i64| canonical(n.to_string())));
        prop_assert_eq!(parse_u64(text.as_bytes()), text.parse().ok().filter(|n: &u64| canonical(n.to_string())));
    }

    #[test]
    fn doubles_read_back(number in prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), (-1000i64..1000).prop_map(|n| n as f64 / 100.0)]) {
        prop_assume!(!number.is_nan());
        for text in [format_f64(number), format_f64_17g(number)] {
            prop_assert_eq!(parse_f64(&text).map(f64::to_bits), Some(number.to_bits()), "{}", text);
        }
        // Grisu2 yields the shortest digits nearly always, and never more than 18.
        let digits = |text: &str| text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
        if number.is_finite() && number.abs() > 4.7e18 {
            let mut ryu = ryu::Buffer::new();
            prop_assert!(digits(ryu.format_finite(number)) <= digits(format_f64(number).as_str()) + 1);
        }
    }

    #[test]
    fn decimal_texts_mean_what_std_says(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?(e[-+]?[0-9]{1,3})?") {
        let expected = text.parse::<f64>().ok().filter(|number| number.is_finite());
        match parse_f64(text.as_bytes()) {
            Some(number) => prop_assert_eq!(Some(number), expected),
            None => prop_assert!(expected.is_none() || expected == Some(0.0)),
        }
    }

    #[test]
    fn hexadecimal_texts_mean_their_bits(bits in any::<u64>()) {
        let number = f64::from_bits(bits & !(1 << 63));
        prop_assume!(number.is_finite() && number != 0.0);
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
        let (lead, power) = if biased == 0 { (0, -1022) } else { (1, biased - 1023) };
        let text = format!("0x{lead}.{fraction:013x}p{power}");
        prop_assert_eq!(parse_f64(text.as_bytes()), Some(number), "{}", text);
    }
}

#[test]
fn a_million_arguments_in_small_pieces_are_linear() {
    const ARGUMENTS: usize = 1_000_000;
    let mut stream = format!("*{ARGUMENTS}\r\n").into_bytes();
    for _ in 0..ARGUMENTS {
        stream.extend_from_slice(b"$4\r\nabcd\r\n");
    }
    let cuts: Vec<usize> = (0..stream.len()).step_by(16 * 1024).collect();
    let started = std::time::Instant::now();
    let events = events(&stream, &cuts, &Limits::default());
    assert_eq!(events.len(), 1);
    assert!(matches!(&events[0], Event::Request(args) if args.len() == ARGUMENTS));
    // Beginning anew with each piece reads 3 GB, which takes minutes in this build.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn an_announced_length_reserves_nothing() {
    let mut decoder = Decoder::new();
    let mut spans = Vec::new();
    let buf = b"*1000000000\r\n$536870912\r\nabc";
    let decoded = decoder.decode(buf, &mut spans, &Limits::default());
    assert_eq!(decoded, Ok(Decoded::Incomplete { want: 25 + 536_870_912 + 2 }));
    assert_eq!((decoder.heap_bytes(), spans.capacity()), (0, 0));

    let mut replies = ReplyDecoder::default();
    replies.push(b"*1000000000\r\n$536870912\r\nabc");
    assert_eq!(replies.next(), Ok(None));
}

#[test]
fn a_large_string_in_small_pieces_is_linear() {
    let mut decoder = ReplyDecoder::default();
    decoder.push(b"*1\r\n$20000000\r\n");
    let piece = [b'x'; 1000];
    for _ in 0..20_000 {
        decoder.push(&piece);
        assert_eq!(decoder.next(), Ok(None));
    }
    decoder.push(b"\r\n");
    let value = decoder.next().expect("well-formed").expect("complete");
    assert_eq!(value.into_vec().map(|values| values[0].as_bytes().map(<[u8]>::len)), Ok(Some(20_000_000)));
}
