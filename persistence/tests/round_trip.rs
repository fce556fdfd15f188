//! What is written is read back, and whatever else is read does no harm.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use engine::Engine;
use engine::config::EngineConfig;
use engine::keyspace::{Incoming, ValueRef};
use engine::time::UnixMs;
use engine::types::hash::FieldExpiry;
use engine::types::stream::{Limits, Pending, StreamId};
use engine::types::{Hash, List, Set, Str, Stream, Value, Zset};
use persistence::dump::{self, PayloadError};
use persistence::rdb::{
    Dialect, Downgrade, Dropped, Integrity, Item, Meta, NoForm, RdbError, Reader, Writer, WriterOptions,
};
use proptest::prelude::*;

/// Values as plain data: the order of what has none is that of the map.
#[derive(Debug, Clone, PartialEq)]
enum Plain {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(std::collections::BTreeSet<Vec<u8>>),
    Hash(std::collections::BTreeMap<Vec<u8>, Vec<u8>>),
    Zset(std::collections::BTreeMap<Vec<u8>, u64>),
    Stream(std::collections::BTreeMap<u64, Vec<u8>>, Vec<PlainGroup>),
}

/// Name, entries read, pending entries: milliseconds, consumer, time and number of deliveries.
type PlainGroup = (Vec<u8>, Option<u64>, Vec<(u64, Vec<u8>, i64, u64)>);

impl Plain {
    fn build(&self, config: &EngineConfig) -> Value {
        match self {
            Plain::String(bytes) => Value::String(Str::new(bytes)),
            Plain::List(elements) => {
                let mut list = List::new();
                elements.iter().for_each(|e| list.push(engine::ds::quicklist::End::Tail, e, config));
                Value::List(list)
            }
            Plain::Set(members) => {
                let mut set = Set::new();
                for m in members {
                    set.add(m, config);
                }
                Value::Set(set)
            }
            Plain::Hash(pairs) => {
                let mut hash = Hash::new();
                for (f, v) in pairs {
                    hash.set(f, v, config);
                }
                Value::Hash(hash)
            }
            Plain::Zset(scores) => {
                let mut zset = Zset::new();
                for (m, s) in scores {
                    zset.insert(m, f64::from_bits(*s), config);
                }
                Value::Zset(zset)
            }
            Plain::Stream(entries, groups) => {
                let mut stream = Stream::new();
                for (ms, value) in entries {
                    let limits = Limits { bytes: 400, entries: 10 };
                    assert!(stream.append(StreamId::new(*ms, 0), &[b"field", value], limits));
                }
                for (name, entries_read, pending) in groups {
                    stream.create_group(name, StreamId::MIN, *entries_read);
                    let (group, _) = stream.group_mut(name).expect("just created");
                    for (ms, consumer, delivered_at, deliveries) in pending {
                        let consumer =
                            group.find_consumer(consumer).unwrap_or_else(|| group.create_consumer(consumer, 3));
                        let pending = Pending { consumer, delivered_at: *delivered_at, deliveries: *deliveries };
                        group.assign(StreamId::new(*ms, 0), pending);
                    }
                }
                Value::Stream(stream)
            }
        }
    }

    fn of(value: Value) -> Self {
        match value {
            Value::String(Str::Int(n)) => Plain::String(n.to_string().into_bytes()),
            Value::String(Str::Bytes(bytes)) => Plain::String(bytes),
            Value::List(list) => {
                list.check_invariants();
                let mut all = Vec::new();
                list.for_range(0, list.len(), |elem| all.push(elem.to_vec()));
                Plain::List(all)
            }
            Value::Set(set) => Plain::Set(set.iter().map(|m| m.to_vec()).collect()),
            Value::Hash(hash) => {
                hash.check_invariants();
                Plain::Hash(hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect())
            }
            Value::Zset(zset) => {
                zset.check_invariants();
                Plain::Zset(zset.iter().map(|(m, s)| (m.to_vec(), s.to_bits())).collect())
            }
            Value::Stream(stream) => {
                // Whatever came in: a walk over all of it ends.
                let entries = stream.log().range(StreamId::MIN, StreamId::MAX).map(|entry| {
                    let values: Vec<u8> = entry.fields.flat_map(|(_, value)| value.to_vec()).collect();
                    (entry.id.ms, values)
                });
                let groups = stream.groups().map(|(name, group)| {
                    let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
                        let consumer = group.consumer(pending.consumer);
                        (id.ms, consumer.name().to_vec(), pending.delivered_at, pending.deliveries)
                    });
                    (name.to_vec(), group.entries_read, pending.collect())
                });
                Plain::Stream(entries.collect(), groups.collect())
            }
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-c]{1,3}".prop_map(String::into_bytes),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (-300..300i64).prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
        // Worth compressing.
        ("[a-z]{1,4}", 1..200usize).prop_map(|(piece, n)| piece.repeat(n).into_bytes()),
    ]
}

fn score() -> impl Strategy<Value = u64> {
    prop_oneof![(-50..50i32).prop_map(|n| f64::from(n) / 4.0), any::<f64>()]
        // Neither NaN nor the negative zero, which listpacks do not keep apart.
        .prop_map(|score| if score.is_nan() || score == 0.0 { 0.0f64 } else { score }.to_bits())
}

fn groups() -> impl Strategy<Value = Vec<PlainGroup>> {
    let pending = prop::collection::btree_map(any::<u64>(), ("[a-c]", any::<i64>(), any::<u64>()), 0..9);
    let group = (prop::option::of(0..u64::MAX >> 1), pending);
    prop::collection::btree_map(text(), group, 0..3).prop_map(|groups| {
        let plain = |(name, (read, pending)): (_, (_, std::collections::BTreeMap<_, (String, _, _)>))| {
            let pending = pending.into_iter().map(|(ms, (name, at, count))| (ms, name.into_bytes(), at, count));
            (name, read, pending.collect())
        };
        groups.into_iter().map(plain).collect()
    })
}

fn plain() -> impl Strategy<Value = Plain> {
    let size = prop_oneof![1..6usize, 1..200usize];
    prop_oneof![
        text().prop_map(Plain::String),
        size.clone().prop_flat_map(|n| prop::collection::vec(text(), 1..=n)).prop_map(Plain::List),
        size.clone().prop_flat_map(|n| prop::collection::btree_set(text(), 1..=n)).prop_map(Plain::Set),
        size.clone().prop_flat_map(|n| prop::collection::btree_map(text(), text(), 1..=n)).prop_map(Plain::Hash),
        size.clone().prop_flat_map(|n| prop::collection::btree_map(text(), score(), 1..=n)).prop_map(Plain::Zset),
        (size.prop_flat_map(|n| prop::collection::btree_map(1..u64::MAX, text(), 0..=n)), groups())
            .prop_map(|(entries, groups)| Plain::Stream(entries, groups)),
    ]
}

type Entries = Vec<(u64, Vec<u8>, Plain, Meta)>;

fn file() -> impl Strategy<Value = Entries> {
    let meta = (any::<Option<i64>>(), any::<Option<u64>>(), any::<Option<u8>>()).prop_map(|(at, idle, frequency)| {
        Meta { deadline: at.map(UnixMs), idle_secs: idle.map(|secs| secs >> 1), frequency }
    });
    prop::collection::vec((0..20u64, text(), plain(), meta), 0..8)
}

fn write(entries: &Entries, config: &EngineConfig, options: WriterOptions) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), options);
    writer.aux(b"redis-ver", b"8.0.6").unwrap();
    writer.function(b"#!lua name=lib").unwrap();
    for (db, key, value, meta) in entries {
        writer.select(*db, 1, 0).unwrap();
        writer.entry(key, (&value.build(config)).into(), meta).unwrap();
    }
    let announced = writer.len();
    let file = writer.finish().unwrap();
    assert_eq!(announced + 9, file.len() as u64);
    file
}

fn read(file: &[u8], config: &EngineConfig, integrity: Integrity) -> Result<Entries, RdbError> {
    let mut reader = Reader::sized(file, Some(file.len() as u64), config.clone(), integrity)?;
    let mut entries = Vec::new();
    while let Some(item) = reader.next_item()? {
        if let Item::Entry(entry) = item {
            let meta = Meta { deadline: entry.deadline, idle_secs: entry.idle_secs, frequency: entry.frequency };
            entries.push((entry.db, entry.key.to_vec(), Plain::of(entry.value.into_value()), meta));
        }
    }
    Ok(entries)
}

fn config(limits: (usize, usize)) -> EngineConfig {
    EngineConfig {
        hash_max_listpack_entries: limits.0,
        set_max_listpack_entries: limits.0,
        set_max_intset_entries: limits.0,
        zset_max_listpack_entries: limits.0,
        list_max_listpack_size: limits.0 as i32,
        list_compress_depth: limits.1 as u32,
        ..EngineConfig::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files(entries in file(), limits in (1..200usize, 0..3usize), loading in (1..200usize, 0..3usize), compress: bool, checksum: bool) {
        let written = write(&entries, &config(limits), WriterOptions { compress, checksum, ..WriterOptions::default() });
        prop_assert_eq!(&read(&written, &config(loading), Integrity::Full).unwrap(), &entries);
        prop_assert_eq!(&read(&written, &config(limits), Integrity::Structure).unwrap(), &entries);
    }

    #[test]
    fn files_of_other_versions(entries in file(), limits in (1..200usize, 0..3usize), compress: bool, dialect in prop::sample::select(&Dialect::ALL)) {
        let downgrade = Downgrade::Drop { now: UnixMs(0) };
        let written = write(&entries, &config(limits), WriterOptions { compress, checksum: true, dialect, downgrade });
        let mut expected = entries;
        let mut found = read(&written, &config(limits), Integrity::Full).unwrap();
        if dialect == Dialect::Redis9 {
            // It has no place for how much a group has read.
            for (_, _, value, _) in expected.iter_mut().chain(&mut found) {
                if let Plain::Stream(_, groups) = value {
                    groups.iter_mut().for_each(|(_, read, _)| *read = None);
                }
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn payloads(value in plain(), limits in (1..200usize, 0..3usize), compress: bool) {
        let config = config(limits);
        let payload = dump::dump((&value.build(&config)).into(), compress).unwrap();
        prop_assert!(dump::verify(&payload, true));
        let restored = dump::restore(&payload, &config, Integrity::Full, true, |value| Plain::of(value.into_value()));
        prop_assert_eq!(restored.unwrap(), value);
    }

    /// Every cut is noticed, and every wrong byte: by the checksum if by nothing else.
    #[test]
    fn damage_is_noticed(entries in file(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut file = write(&entries, &EngineConfig::default(), WriterOptions::default());
        let at = at.index(file.len());
        prop_assert!(read(&file[..at], &EngineConfig::default(), Integrity::Full).is_err());
        file[at] ^= flip;
        // All zeros would mean that there is no checksum.
        if file[file.len() - 8..] != [0; 8] {
            prop_assert!(read(&file, &EngineConfig::default(), Integrity::Full).is_err());
        }
    }

    /// Without the help of a checksum damage may give other values, but nothing unsound.
    #[test]
    fn damage_does_no_harm(value in plain(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), full: bool) {
        let config = EngineConfig::default();
        let mut payload = dump::dump((&value.build(&config)).into(), false).unwrap();
        for (at, flip) in flips {
            let at = at.index(payload.len() - 10);
            payload[at] ^= flip;
        }
        let integrity = if full { Integrity::Full } else { Integrity::Structure };
        let used = dump::restore(&payload, &config, integrity, false, |value| {
            let value = value.into_value();
            if full {
                drop(Plain::of(value));
            } else {
                // Its order may be wrong, which nothing that walks over it minds.
                dump::dump((&value).into(), true).unwrap();
            }
        });
        prop_assert!(!matches!(used, Err(PayloadError::Footer)));
    }
}

/// Announcements of more than there is are refused before memory is taken for them.
#[test]
fn absurd_lengths_are_refused() {
    let config = EngineConfig::default();
    let huge = [0x81, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for kind in 0..=25u8 {
        for tail in [&b""[..], b"\x01\x00", b"\x02\x01a"] {
            let mut payload = vec![kind];
            payload.extend(huge);
            payload.extend(tail);
            payload.extend([12, 0]);
            payload.extend([0; 8]);
            let restored = dump::restore(&payload, &config, Integrity::Full, false, |_| ());
            assert!(matches!(restored, Err(PayloadError::Value(_))), "type {kind}");
        }
    }
    // LZF of a few bytes that claims to be gigabytes.
    let mut payload = vec![0, 0xc3, 0x03, 0x80, 0xff, 0xff, 0xff, 0xff, 0x01, b'a', b'b'];
    payload.extend([12, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(dump::restore(&payload, &config, Integrity::Full, false, |_| ()).is_err());
}

#[test]
fn footers_and_heads() {
    let config = EngineConfig::default();
    let mut payload = dump::dump((&Value::String(Str::Int(7))).into(), true).unwrap();
    assert_eq!(payload[..3], [0, 0xc0, 7]);
    assert!(dump::verify(&payload, true));
    payload[1] ^= 1;
    assert!(!dump::verify(&payload, true) && dump::verify(&payload, false));
    assert!(!dump::verify(&payload[..9], false));
    let at = payload.len() - 10;
    payload[at] = 13;
    assert!(!dump::verify(&payload, false), "a version that is not known yet");
    for (head, good) in [
        ("REDIS0001\u{0}", true),
        ("REDIS0012", true),
        ("REDIS0013", false),
        ("REDIS0000", false),
        ("VALKEY080", true),
        ("VALKEY012", false),
        ("REDIS00+1", false),
        ("SOMETHING", false),
    ] {
        assert_eq!(Reader::new(head.as_bytes(), config.clone(), Integrity::Full).is_ok(), good, "{head}");
    }
}

/// A loaded key is found again with its deadline, and not loaded twice.
#[test]
fn into_the_keyspace() {
    let mut engine = Engine::new(EngineConfig::default(), 1);
    let db = &mut engine.dbs[0];
    db.begin(UnixMs(1_000));
    assert!(db.load(b"k", Incoming::String(engine::ds::listpack::Elem::Str(b"12")), Some(UnixMs(2_000))));
    assert!(!db.load(b"k", Incoming::String(engine::ds::listpack::Elem::Int(3)), None));
    assert_eq!((db.len(), db.expires()), (1, 1));
    assert!(matches!(db.look(b"k"), Some(ValueRef::String(string)) if string.to_vec() == b"12"));
    db.begin(UnixMs(3_000));
    assert!(db.look(b"k").is_none());
}

/// Found by fuzzing: a field whose deadline comes out as 0 has none, and stands behind those that have one.
#[test]
fn a_deadline_of_zero_is_none() {
    let config = EngineConfig::default();
    let mut payload = b"\x18\0\0\0\0\0\0\0\0\x02\x04\x02aa\x01x\x01\x02bb\x01y".to_vec();
    payload.extend([12, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let value = dump::restore(&payload, &config, Integrity::Full, false, |value| value.into_value()).unwrap();
    let again = dump::dump((&value).into(), true).unwrap();
    let again = dump::restore(&again, &config, Integrity::Full, true, |value| value.into_value()).unwrap();
    let (Value::Hash(hash), Value::Hash(again)) = (value, again) else { panic!("hashes") };
    assert_eq!((hash.len(), again.len()), (2, 2));
    hash.check_invariants();
}

/// A hash of a field without a deadline, one whose time has come, and one whose time has not.
fn timed_hash(encoding: &str) -> Value {
    let mut hash = Hash::new();
    hash.allow_deadlines();
    if encoding == "hashtable" {
        hash.convert_to_table(0);
    }
    let config = EngineConfig::default();
    for (field, deadline) in [("a", None), ("b", Some(1_000)), ("c", Some(3_000))] {
        let expiry = deadline.map_or(FieldExpiry::Clear, |at| FieldExpiry::At(UnixMs(at)));
        hash.set_with(field.as_bytes(), b"1", expiry, &config);
    }
    assert_eq!(hash.encoding(), encoding);
    Value::Hash(hash)
}

#[test]
fn deadlines_of_fields_in_other_versions() {
    let now = UnixMs(2_000);
    for (dialect, encoding) in
        Dialect::ALL.into_iter().flat_map(|dialect| [(dialect, "listpackex"), (dialect, "hashtable")])
    {
        let write = |downgrade| {
            let options = WriterOptions { dialect, downgrade, ..WriterOptions::default() };
            let mut writer = Writer::new(Vec::new(), options);
            writer.entry(b"key\n", (&timed_hash(encoding)).into(), &Meta::default())?;
            let dropped = writer.dropped();
            Ok::<_, std::io::Error>((writer.finish()?, dropped))
        };
        let fields = |file: &[u8]| {
            let mut reader = Reader::new(file, EngineConfig::default(), Integrity::Full).unwrap();
            let Some(Item::Entry(entry)) = reader.next_item().unwrap() else { panic!("an entry") };
            let Value::Hash(hash) = entry.value.into_value() else { panic!("a hash") };
            let mut fields: Vec<_> =
                hash.iter_stored().map(|f| (f.field.to_vec(), f.deadline.map(|at| at.0))).collect();
            fields.sort();
            fields
        };
        let field = |name: &str, at| (name.as_bytes().to_vec(), at);
        if matches!(dialect, Dialect::Redis12 | Dialect::Valkey80) {
            let (file, dropped) = write(Downgrade::Fail).unwrap();
            assert!(dropped.is_empty());
            assert_eq!(fields(&file), [field("a", None), field("b", Some(1_000)), field("c", Some(3_000))]);
            continue;
        }
        let error = write(Downgrade::Fail).unwrap_err();
        let no_form = error.get_ref().and_then(|error| error.downcast_ref::<NoForm>()).expect("a reason");
        assert_eq!(
            no_form.to_string(),
            format!("key 'key\\n': the format {dialect} has no form for deadlines of hash fields")
        );
        let (file, dropped) = write(Downgrade::Drop { now }).unwrap();
        assert_eq!(dropped, Dropped { field_deadlines: 2, functions: 0 });
        assert_eq!(fields(&file), [field("a", None), field("c", None)], "{dialect}");
    }
}

#[test]
fn data_of_modules_are_passed_over() {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    writer.entry(b"key", (&Value::String(Str::Int(7))).into(), &Meta::default()).unwrap();
    let mut file = writer.finish().unwrap();
    // "test-type" and version 1, in nine characters of six bits: a number, a string, the end.
    let id = b"test-type".iter().fold(0u64, |id, c| {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        id << 6 | letters.iter().position(|letter| letter == c).unwrap() as u64
    });
    let mut module = vec![0x81];
    module.extend((id << 10 | 1).to_be_bytes());
    let value = [&[7, 3, b'm', b'o', b'd'][..], &module, &[2, 5, 5, 1, b'x', 0]].concat();
    let aux = [&[247][..], &module, &[2, 1, 4], &1.5f64.to_le_bytes(), &[0]].concat();
    file.splice(9..9, [aux, value].concat());
    let items = |pass: bool| {
        let mut reader = Reader::new(&file[..], EngineConfig::default(), Integrity::Full).unwrap();
        reader.ignore_checksum();
        if pass {
            reader.pass_modules();
        }
        let mut names = Vec::new();
        while let Some(item) = reader.next_item()? {
            names.push(match item {
                Item::ModuleAux(name) => format!("aux of {name}"),
                Item::Module { key, name } => format!("{} is {name}", key.escape_ascii()),
                Item::Entry(entry) => entry.key.escape_ascii().to_string(),
                other => format!("{other:?}"),
            });
        }
        Ok::<_, RdbError>(names)
    };
    assert_eq!(items(true).unwrap(), ["aux of test-type", "mod is test-type", "key"]);
    let error = items(false).unwrap_err();
    assert!(matches!(&error, RdbError::Module(name) if &**name == "test-type"), "{error}");
}
