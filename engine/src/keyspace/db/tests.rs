use super::*;
use crate::types::List;
use proptest::prelude::*;
use std::collections::HashMap;

const START: i64 = 1_700_000_000_000;

fn at(db: &mut Db, ms: i64) {
    db.begin(UnixMs(START + ms));
}

fn fresh() -> Db {
    let mut db = Db::default();
    at(&mut db, 0);
    db
}

fn deadline(ms: i64) -> Option<UnixMs> {
    Some(UnixMs(START + ms))
}

fn list(elements: usize) -> List {
    let mut list = List::default();
    let config = crate::config::EngineConfig::default();
    for i in 0..elements {
        list.push(crate::ds::quicklist::End::Tail, i.to_string().as_bytes(), &config);
    }
    list
}

#[test]
fn strings_are_kept_as_redis_keeps_them() {
    let mut db = fresh();
    for (text, encoding) in [
        (&b"12"[..], "int"),
        (b"-9223372036854775808", "int"),
        (b"012", "embstr"),
        (b"", "embstr"),
        (&[b'x'; 44], "embstr"),
        (&[b'x'; 45], "raw"),
        (&[b'x'; 5000], "raw"),
    ] {
        db.set_string(b"k", text, Expiry::Clear);
        assert_eq!(db.encoding(b"k"), Some(encoding), "{}", text.escape_ascii());
        assert_eq!(db.read_string(b"k").unwrap().unwrap().to_vec(), text);
    }
    db.set_integer(b"k", 7, Expiry::Clear);
    db.string_buffer(b"k").unwrap().extend(b"x");
    assert_eq!(db.encoding(b"k"), Some("raw"));
    assert_eq!(db.read_string(b"k").unwrap(), Some(StrRef::Bytes(b"7x")));
    db.string_buffer(b"new").unwrap().grow(3);
    assert_eq!(db.read_string(b"new").unwrap(), Some(StrRef::Bytes(b"\0\0\0")));
    db.check_invariants();
}

#[test]
fn types_are_told_apart() {
    let mut db = fresh();
    db.insert(b"l", Value::List(list(3)), Expiry::Clear);
    db.set_string(b"s", b"text", Expiry::Clear);
    assert_eq!((db.kind(b"l"), db.kind(b"s"), db.kind(b"-")), (Some(Kind::List), Some(Kind::String), None));
    assert!(matches!(db.read_string(b"l"), Err(CommandError::WrongType)));
    assert!(matches!(db.string_buffer(b"l"), Err(CommandError::WrongType)));
    assert!(matches!(db.read::<List>(b"s"), Err(CommandError::WrongType)));
    assert!(matches!(db.write::<List>(b"s"), Err(CommandError::WrongType)));
    assert!(matches!(db.write_or_create::<List>(b"s"), Err(CommandError::WrongType)));
    assert_eq!(db.read::<List>(b"l").unwrap().unwrap().len(), 3);
    let Some((Value::List(taken), None)) = db.remove(b"l") else { panic!("a list") };
    assert_eq!((taken.len(), db.len()), (3, 1));
}

#[test]
fn a_list_grows_through_its_guard() {
    let mut db = fresh();
    let config = crate::config::EngineConfig::default();
    for i in 0..50_000 {
        let mut list = db.write_or_create::<List>(b"l").unwrap();
        list.push(crate::ds::quicklist::End::Tail, format!("element {i}").as_bytes(), &config);
    }
    assert_eq!(db.encoding(b"l"), Some("quicklist"));
    assert_eq!(db.read::<List>(b"l").unwrap().unwrap().len(), 50_000);
    assert!(db.set_deadline(b"l", deadline(5)));
    assert_eq!(db.read::<List>(b"l").unwrap().unwrap().len(), 50_000);
    assert!(db.memory_usage(b"l", 0).unwrap() > 500_000);
    db.waste.kept = true;
    db.set_string(b"l", b"text", Expiry::Keep);
    assert_eq!((db.waste.garbage.len(), db.deadline(b"l")), (1, Some(deadline(5))));
}

#[test]
fn a_key_lives_to_its_deadline_and_no_longer() {
    let mut db = fresh();
    db.set_string(b"k", b"v", Expiry::At(UnixMs(START + 10)));
    at(&mut db, 10);
    assert!(db.exists(b"k"));
    at(&mut db, 11);
    assert_eq!((db.len(), db.expires()), (1, 1));
    assert_eq!(db.read_string(b"k").unwrap(), None);
    assert_eq!((db.len(), db.expires(), db.misses), (0, 0, 1));
    assert_eq!(db.notes.expired, [b"k"[..].into()]);
    // Hidden, not removed, on a replica.
    db.removes_expired = false;
    db.set_string(b"k", b"v", Expiry::At(UnixMs(START)));
    assert_eq!((db.exists(b"k"), db.len()), (false, 1));
    db.check_invariants();
}

#[test]
fn a_write_finds_an_expired_key_missing() {
    let mut db = fresh();
    db.wanted = EventClass::NEW;
    db.set_string(b"k", b"12345", Expiry::At(UnixMs(START + 10)));
    db.insert(b"l", Value::List(list(3)), Expiry::At(UnixMs(START + 10)));
    db.notes = Notes::default();
    at(&mut db, 20);
    db.set_string(b"k", b"12345", Expiry::Keep);
    assert_eq!((db.deadline(b"k"), db.expires()), (Some(None), 1));
    assert_eq!((&*db.notes.expired, &*db.notes.created), (&[b"k"[..].into()][..], &[b"k"[..].into()][..]));
    assert!(db.write_or_create::<List>(b"l").unwrap().is_empty());
    assert_eq!((db.deadline(b"l"), db.expires()), (Some(None), 0));
    db.check_invariants();
}

#[test]
fn deadlines_come_and_go() {
    let mut db = fresh();
    db.set_string(b"k", b"v", Expiry::Clear);
    assert_eq!(db.deadline(b"k"), Some(None));
    assert!(db.set_deadline(b"k", deadline(100)) && db.set_deadline(b"k", deadline(50)));
    assert_eq!((db.deadline(b"k"), db.expires()), (Some(deadline(50)), 1));
    db.set_string(b"k", b"w", Expiry::Keep);
    assert_eq!(db.deadline(b"k"), Some(deadline(50)));
    assert!(db.set_deadline(b"k", None));
    assert_eq!((db.deadline(b"k"), db.expires()), (Some(None), 0));
    db.set_string(b"k", b"w", Expiry::At(UnixMs(START + 9)));
    assert_eq!(db.expires(), 1);
    db.set_string(b"k", b"w", Expiry::Clear);
    assert_eq!(db.expires(), 0);
    assert!(!db.set_deadline(b"-", deadline(1)));
    db.check_invariants();
}

#[test]
fn active_expiry_finds_what_is_due() {
    let mut db = fresh();
    for i in 0..20_000i64 {
        let key = format!("key:{i}");
        match i % 4 {
            0 => db.set_string(key.as_bytes(), b"v", Expiry::At(UnixMs(START + 1000 + i))),
            1 => db.set_string(key.as_bytes(), b"v", Expiry::At(UnixMs(START + 1_000_000))),
            _ => db.set_string(key.as_bytes(), b"v", Expiry::Clear),
        }
    }
    assert_eq!((db.expire_step(10), db.expires()), (0, 10_000));
    at(&mut db, 1000 + 10_001);
    let mut steps = 0;
    while db.expire_step(200) > 0 {
        steps += 1;
        db.check_invariants();
    }
    assert!(steps > 5, "in steps: {steps}");
    assert_eq!((db.len(), db.expires(), db.notes.expired.len()), (17_499, 7499, 2501));
    at(&mut db, 900_000);
    while db.expire_step(1000) > 0 {}
    assert_eq!((db.len(), db.expires()), (15_000, 5000));
}

#[test]
fn active_expiry_gets_past_minima_that_are_too_early() {
    let mut db = fresh();
    // Keys whose deadline moved leave groups behind that look due.
    for i in 0..100_000i64 {
        let key = format!("key:{i}");
        db.set_string(key.as_bytes(), b"v", Expiry::At(UnixMs(START + 10)));
        db.set_deadline(key.as_bytes(), None);
    }
    db.set_string(b"due", b"v", Expiry::At(UnixMs(START + 11)));
    at(&mut db, 20);
    let mut steps = 0;
    while db.expires() > 0 {
        db.expire_step(1);
        steps += 1;
        assert!(steps < 1000);
    }
    assert_eq!(db.len(), 100_000);
}

#[test]
fn clocks_tell_of_accesses() {
    let mut db = fresh();
    db.set_string(b"k", b"v", Expiry::Clear);
    at(&mut db, 12_000);
    assert_eq!(db.idle_secs(b"k"), Some(12));
    db.touches = false;
    db.read_any(b"k");
    assert_eq!(db.idle_secs(b"k"), Some(12));
    db.touches = true;
    db.read_any(b"k");
    assert_eq!(db.idle_secs(b"k"), Some(0));
    db.set_idle_secs(b"k", 1000);
    assert_eq!(db.idle_secs(b"k"), Some(1000));
    assert!(db.touch(b"k") && !db.touch(b"-"));
    assert_eq!(db.idle_secs(b"k"), Some(0));
    db.set_access_clock(AccessClock::Lfu { log_factor: 0, decay_minutes: 1 });
    db.set_string(b"f", b"v", Expiry::Clear);
    (0..10).for_each(|_| assert!(db.read_any(b"f").is_some()));
    assert_eq!(db.frequency(b"f"), Some(15));
    db.set_frequency(b"f", 77);
    at(&mut db, 12_000 + 2 * 60_000);
    assert_eq!(db.frequency(b"f"), Some(75));
}

#[test]
fn random_keys_are_alive() {
    let mut db = fresh();
    let mut rng = crate::rng::Rng::new(1);
    assert_eq!(db.random_key(&mut rng), None);
    for i in 0..50 {
        db.set_string(format!("dead:{i}").as_bytes(), b"", Expiry::At(UnixMs(START + 1)));
    }
    db.set_string(b"alive", b"", Expiry::Clear);
    at(&mut db, 2);
    assert_eq!(db.random_key(&mut rng), Some(b"alive".to_vec()));
}

#[test]
fn clear_hands_the_old_contents_out() {
    let mut db = fresh();
    db.set_string(b"k", b"v", Expiry::At(UnixMs(START + 1)));
    db.read_any(b"k");
    let old = db.clear();
    assert_eq!((old.len(), db.len(), db.expires(), db.hits), (1, 0, 0, 1));
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Vec<u8>, Option<u8>, bool),
    Append(u8, Vec<u8>),
    Get(u8),
    Delete(u8),
    Deadline(u8, Option<u8>),
    Wait(u8),
    Expire(u8),
    List(u8),
    Scan,
}

fn step() -> impl Strategy<Value = Step> {
    let text = || {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..50),
            prop::collection::vec(any::<u8>(), 150..300)
        ]
    };
    prop_oneof![
        4 => (any::<u8>(), text(), any::<Option<u8>>(), any::<bool>()).prop_map(|(k, v, d, keep)| Step::Set(k, v, d, keep)),
        1 => (any::<u8>(), text()).prop_map(|(k, v)| Step::Append(k, v)),
        2 => any::<u8>().prop_map(Step::Get),
        1 => any::<u8>().prop_map(Step::Delete),
        1 => (any::<u8>(), any::<Option<u8>>()).prop_map(|(k, d)| Step::Deadline(k, d)),
        1 => (0u8..50).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Expire),
        1 => any::<u8>().prop_map(Step::List),
        1 => Just(Step::Scan),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum Held {
    Text(Vec<u8>),
    List(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map_with_deadlines(steps in prop::collection::vec(step(), 1..200)) {
        let mut db = fresh();
        let mut model: HashMap<Vec<u8>, (Held, Option<i64>)> = HashMap::new();
        let mut now = 0i64;
        let name = |k: u8| format!("key:{k}").into_bytes();
        for step in steps {
            // What has expired is gone, for the model at once.
            model.retain(|_, (_, deadline)| deadline.is_none_or(|d| d >= now));
            match step {
                Step::Set(k, text, d, keep) => {
                    let kept = model.get(&name(k)).and_then(|held| held.1);
                    let (expiry, deadline) = match d {
                        Some(d) => (Expiry::At(UnixMs(START + now + i64::from(d))), Some(now + i64::from(d))),
                        None if keep => (Expiry::Keep, kept),
                        None => (Expiry::Clear, None),
                    };
                    db.set_string(&name(k), &text, expiry);
                    model.insert(name(k), (Held::Text(text), deadline));
                }
                Step::Append(k, more) => match db.string_buffer(&name(k)) {
                    Ok(mut buffer) => {
                        buffer.extend(&more);
                        let held = model.entry(name(k)).or_insert((Held::Text(Vec::new()), None));
                        let Held::Text(text) = &mut held.0 else { panic!("a list was taken for a string") };
                        text.extend(more);
                    }
                    Err(_) => prop_assert!(matches!(model.get(&name(k)), Some((Held::List(_), _)))),
                },
                Step::Get(k) => {
                    let found = db.peek(&name(k)).map(|value| match value {
                        ValueRef::String(text) => Held::Text(text.to_vec()),
                        ValueRef::Other(value) => Held::List(value.get::<List>().unwrap().len()),
                    });
                    prop_assert_eq!(found, model.get(&name(k)).map(|held| held.0.clone()));
                    let deadline = db.deadline(&name(k)).map(|d| d.map(|at| at.0 - START));
                    prop_assert_eq!(deadline, model.get(&name(k)).map(|held| held.1));
                }
                Step::Delete(k) => {
                    prop_assert_eq!(db.delete(&name(k)).is_some(), model.remove(&name(k)).is_some());
                }
                Step::Deadline(k, d) => {
                    let d = d.map(|d| now + i64::from(d));
                    let done = db.set_deadline(&name(k), d.map(|d| UnixMs(START + d)));
                    prop_assert_eq!(done, model.get_mut(&name(k)).map(|held| held.1 = d).is_some());
                }
                Step::Wait(ms) => {
                    now += i64::from(ms);
                    at(&mut db, now);
                }
                Step::Expire(n) => { db.expire_step(n.into()); }
                Step::List(k) => match db.write_or_create::<List>(&name(k)) {
                    Ok(mut inner) => {
                        *inner = list(inner.len() + 40);
                        let held = model.entry(name(k)).or_insert((Held::List(0), None));
                        let Held::List(len) = &mut held.0 else { panic!("a string was taken for a list") };
                        *len += 40;
                    }
                    Err(_) => prop_assert!(matches!(model.get(&name(k)), Some((Held::Text(_), _)))),
                },
                Step::Scan => {
                    let (mut cursor, mut keys) = (0, Vec::new());
                    loop {
                        cursor = db.scan(cursor, 5, |key, _| keys.push(key.to_vec()));
                        if cursor == 0 {
                            break;
                        }
                    }
                    prop_assert_eq!(keys.len(), db.len());
                    prop_assert!(model.keys().all(|key| keys.contains(key)));
                }
            }
            db.check_invariants();
        }
        model.retain(|_, (_, deadline)| deadline.is_none_or(|d| d >= now));
        while db.expire_step(50) > 0 || db.expires() > model.values().filter(|held| held.1.is_some()).count() {}
        prop_assert_eq!(db.len(), model.len());
    }
}

#[test]
fn nothing_expires_during_a_replay() {
    let mut db = Db::default();
    db.begin(UnixMs(1_000));
    db.replay(true);
    db.set_string(b"k", b"v", Expiry::At(UnixMs(10)));
    assert!(db.exists(b"k"));
    db.begin(UnixMs(2_000));
    assert!(db.exists(b"k") && !db.is_expired(b"k"));
    db.replay(false);
    assert!(db.is_expired(b"k") && !db.exists(b"k"));
}
