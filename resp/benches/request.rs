//! The wire alone: cutting requests out of a buffer, and writing replies.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use resp::number::format_f64;
use resp::{Decoded, Decoder, Limits, Protocol, ReplyDecoder, Writer};

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Decodes all of `stream`; the number of arguments, so that nothing is optimised away.
fn decode(stream: &[u8], decoder: &mut Decoder, spans: &mut Vec<resp::Span>) -> usize {
    let limits = Limits::default();
    let (mut at, mut args) = (0, 0);
    while let Ok(Decoded::Request { consumed }) = decoder.decode(&stream[at..], spans, &limits) {
        args += spans.len();
        black_box(&spans);
        spans.clear();
        at += consumed;
    }
    args
}

fn requests(criterion: &mut Criterion) {
    let get = request(&[b"GET", b"key:000000123456"]);
    let set = request(&[b"SET", b"key:000000123456", b"value:0123456789"]);
    let mut mset: Vec<&[u8]> = vec![b"MSET"];
    mset.extend([&b"key:000000123456"[..]; 99]);
    let mset = request(&mset);
    let streams = [
        ("get", 1, get.clone()),
        ("set", 1, set.clone()),
        ("mset_100_args", 1, mset),
        ("get_pipeline_16", 16, get.repeat(16)),
        ("set_pipeline_16", 16, set.repeat(16)),
    ];
    let mut group = criterion.benchmark_group("request");
    for (name, count, stream) in streams {
        let (mut decoder, mut spans) = (Decoder::new(), Vec::new());
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |bencher| bencher.iter(|| decode(black_box(&stream), &mut decoder, &mut spans)));
    }
    group.bench_function("inline_get", |bencher| {
        let mut decoder = Decoder::new();
        bencher.iter(|| decoder.decode(black_box(b"GET key:000000123456\r\n"), &mut Vec::new(), &Limits::default()));
    });
    group.bench_function("million_args_16k_pieces", |bencher| {
        let args = vec![&b"abcd"[..]; 1_000_000];
        let stream = request(&args);
        bencher.iter(|| {
            let (mut decoder, mut spans) = (Decoder::new(), Vec::new());
            for end in (16 * 1024..stream.len()).step_by(16 * 1024).chain([stream.len()]) {
                black_box(decoder.decode(&stream[..end], &mut spans, &Limits::default())).expect("well-formed");
            }
            spans.len()
        });
    });
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writer");
    let mut out = Vec::with_capacity(1 << 20);
    let mut write = |name: &str, reply: &dyn Fn(&mut Writer<'_>)| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                reply(&mut Writer::new(&mut out, Protocol::Resp2));
                out.len()
            });
        });
    };
    write("ok", &|writer| writer.ok());
    write("integer", &|writer| writer.integer(black_box(123_456)));
    write("bulk_16", &|writer| writer.bulk(black_box(b"value:0123456789")));
    write("bulk_1000", &|writer| writer.bulk(black_box(&[b'x'; 1000])));
    write("double", &|writer| writer.double(black_box(0.1)));
    write("error", &|writer| {
        writer.error(black_box("WRONGTYPE Operation against a key holding the wrong kind of value"))
    });
    write("array_100_bulks", &|writer| {
        writer.array(100);
        (0..100).for_each(|_| writer.bulk(black_box(b"value:0123456789")));
    });
    write("deferred_100_bulks", &|writer| {
        let header = writer.deferred();
        (0..100).for_each(|_| writer.bulk(black_box(b"value:0123456789")));
        writer.finish_array(header, 100);
    });
    group.finish();

    let mut stream = Vec::new();
    let mut writer = Writer::new(&mut stream, Protocol::Resp3);
    writer.array(100);
    (0..100).for_each(|_| writer.bulk(b"value:0123456789"));
    criterion.bench_function("reply/array_100_bulks", |bencher| {
        bencher.iter_batched_ref(
            ReplyDecoder::default,
            |decoder| {
                decoder.push(black_box(&stream));
                decoder.next()
            },
            BatchSize::SmallInput,
        );
    });
}

fn numbers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("number");
    group.bench_function("parse_i64", |bencher| bencher.iter(|| resp::number::parse_i64(black_box(b"-1234567890"))));
    group.bench_function("parse_f64", |bencher| bencher.iter(|| resp::number::parse_f64(black_box(b"1234.5678"))));
    group.bench_function("format_f64", |bencher| bencher.iter(|| format_f64(black_box(1234.5678))));
    group.bench_function("format_f64_whole", |bencher| bencher.iter(|| format_f64(black_box(1234.0))));
    group.finish();
}

criterion_group!(benches, requests, replies, numbers);
criterion_main!(benches);
