use super::*;
use crate::ds::hash::hash;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    /// How many keys this thread has read.
    static KEYS_READ: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A key and a number, in a box.
struct Item(Box<(Vec<u8>, u64)>);

impl Item {
    fn new(key: &[u8], value: u64) -> Item {
        Item(Box::new((key.to_vec(), value)))
    }
}

// SAFETY: a box's address comes and goes; a reference into the box lives as long as the box.
unsafe impl Element for Item {
    type Ref<'a> = &'a (Vec<u8>, u64);
    type Mut<'a> = &'a mut u64;

    fn into_raw(self) -> NonNull<u8> {
        NonNull::from(Box::leak(self.0)).cast()
    }
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        // SAFETY: from `into_raw`.
        Item(unsafe { Box::from_raw(raw.as_ptr().cast()) })
    }
    unsafe fn key<'a>(raw: NonNull<u8>) -> &'a [u8] {
        KEYS_READ.set(KEYS_READ.get() + 1);
        // SAFETY: the box is alive.
        unsafe { &(*raw.as_ptr().cast::<(Vec<u8>, u64)>()).0 }
    }
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> &'a (Vec<u8>, u64) {
        // SAFETY: the box is alive.
        unsafe { raw.cast().as_ref() }
    }
    unsafe fn borrow_mut<'a>(raw: NonNull<u8>) -> &'a mut u64 {
        // SAFETY: the box is alive, and nothing else refers to it.
        unsafe { &mut (*raw.as_ptr().cast::<(Vec<u8>, u64)>()).1 }
    }
}

/// The policy is one for the process: tests that depend on it take turns.
fn policy(policy: ResizePolicy) -> impl Drop {
    static TURN: Mutex<()> = Mutex::new(());
    struct Reset(#[expect(dead_code, reason = "held until dropped")] MutexGuard<'static, ()>);
    impl Drop for Reset {
        fn drop(&mut self) {
            set_resize_policy(ResizePolicy::Allow);
        }
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    set_resize_policy(policy);
    Reset(turn)
}

fn key(i: u64) -> Vec<u8> {
    format!("key:{i}").into_bytes()
}

fn put(table: &mut Table<Item>, i: u64) {
    let k = key(i);
    table.insert(hash(&k), Item::new(&k, i));
}

fn take(table: &mut Table<Item>, i: u64) -> bool {
    let k = key(i);
    table.remove(hash(&k), &k).is_some()
}

fn filled(n: u64) -> Table<Item> {
    let mut table = Table::new();
    (0..n).for_each(|i| put(&mut table, i));
    table
}

/// A small generator: tests must repeat.
fn generator(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[test]
fn header_is_small_and_empty_tables_own_nothing() {
    assert!(size_of::<Table<Item>>() <= 40);
    let table = Table::<Item>::new();
    assert_eq!(table.memory_usage(), 0);
    assert!(table.find(1, b"a").is_none());
    assert_eq!(table.scan(0, 10, |_| panic!("nothing to emit")), 0);
    assert!(table.random(&mut generator(1)).is_none());
    assert_eq!(table.iter().count(), 0);
    table.check_invariants();
}

#[test]
fn sizes_follow_the_rule() {
    let logical = |n| {
        let (buckets, tiny) = size_for(n);
        if tiny { 4 } else { u64::from(buckets) * 8 }
    };
    for (elements, size) in [(0, 4), (4, 4), (5, 8), (8, 8), (9, 16), (129, 256), (8193, 16_384), (16_384, 16_384)] {
        assert_eq!(logical(elements), size, "{elements}");
    }
    for (elements, size) in [(16_385, 24_576), (24_577, 32_768), (32_769, 49_152), (1_000_000, 1_048_576)] {
        assert_eq!(logical(elements), size, "{elements}");
    }
}

#[test]
fn boundaries_fit_the_buckets() {
    for n in [1u32, 2, 3, 6, 48, 1 << 20, 3 << 20, 1 << 31] {
        for i in [0, 1, 2, n / 3, n / 2, n - 1].into_iter().filter(|&i| i < n) {
            let at = boundary(i as usize, n);
            assert_eq!(bucket_of(at, n), i as usize);
            assert!(at == 0 || bucket_of(at - 1, n) < i as usize);
        }
        assert_eq!(boundary(n as usize, n), END);
    }
}

proptest! {
    #[test]
    fn parts_of_one_array_become_those_of_another(
        hashes in prop::collection::vec(any::<u64>(), 1..50),
        from in 1..3000u32, to in 1..3000u32, by in 1..40u32, parts in 1..=MAX_PARTS as u8,
    ) {
        // Any two sizes, and two of which one is a multiple of the other.
        for (from, to) in [(from, to), (from, from * by), (from * by, from), (from * 2, from * 3), (from * 3, from * 4)] {
            let Some((regroup, new)) = resize::Regroup::new(from, parts, to) else {
                prop_assert!((u64::from(from) * u64::from(parts)) % u64::from(to) != 0);
                continue;
            };
            prop_assert!(1 <= new && u64::from(new) <= MAX_PARTS);
            for &hash in &hashes {
                let p = position(hash);
                let (i, j) = (bucket_of(p, from), bucket_of(p, to));
                let part = part_of(p, i, from, parts);
                prop_assert!(part < u64::from(parts));
                let place = regroup.place(i as u64 * u64::from(parts) + part);
                prop_assert_eq!(place, (j, part_of(p, j, to, new)));
            }
        }
    }
}

#[test]
fn small_tables_grow_and_shrink_as_in_redis() {
    let _turn = policy(ResizePolicy::Allow);
    let mut table = filled(4);
    assert_eq!(table.logical_size(), 4);
    assert!(!table.is_rehashing());
    put(&mut table, 4);
    assert!(table.is_rehashing());
    table.finish_rehash();
    assert_eq!(table.logical_size(), 8);
    (5..128).for_each(|i| put(&mut table, i));
    table.finish_rehash();
    assert_eq!(table.logical_size(), 128);
    for i in 0..112 {
        assert!(take(&mut table, i));
    }
    table.finish_rehash();
    assert_eq!(table.logical_size(), 16);
    for i in 112..128 {
        assert!(take(&mut table, i));
    }
    table.finish_rehash();
    assert_eq!(table.logical_size(), 4);
    table.check_invariants();
}

#[test]
fn the_policy_holds_tables_back() {
    let reset = policy(ResizePolicy::Avoid);
    let mut table = Table::new();
    set_resize_policy(ResizePolicy::Allow);
    (0..128).for_each(|i| put(&mut table, i));
    table.finish_rehash();
    set_resize_policy(ResizePolicy::Avoid);
    (128..512).for_each(|i| put(&mut table, i));
    assert_eq!((table.logical_size(), table.is_rehashing()), (128, false));
    put(&mut table, 512);
    assert!(table.is_rehashing(), "four times the size forces growth");
    table.check_invariants();
    while table.rehash_step(1) {
        table.check_invariants();
    }
    assert_eq!(table.logical_size(), 1024);
    set_resize_policy(ResizePolicy::Forbid);
    (0..510).for_each(|i| assert!(take(&mut table, i)));
    assert_eq!((table.logical_size(), table.is_rehashing()), (1024, false));
    set_resize_policy(ResizePolicy::Allow);
    table.resize_if_needed();
    table.finish_rehash();
    assert_eq!((table.logical_size(), table.len()), (4, 3));
    table.check_invariants();
    drop(reset);
}

#[test]
fn growth_from_a_fresh_array_reads_no_keys() {
    let _turn = policy(ResizePolicy::Allow);
    let first = 8 * POWERS_UP_TO;
    let mut table = Table::with_capacity(first as usize);
    (0..first).for_each(|i| put(&mut table, i));
    let mut read = Vec::new();
    for _ in 0..4 {
        let size = table.logical_size();
        table.start_rehash(size + 1);
        let before = KEYS_READ.get();
        table.finish_rehash();
        read.push((table.logical_size() / (first / 2), KEYS_READ.get() - before));
        table.check_invariants();
    }
    // The third array that is larger is too large for the parts that are left. (Sizes in half of the first.)
    assert_eq!(read, [(3, 0), (4, 0), (6, 0), (8, first)]);
    // Then there are as many as at first. To shrink, no key is read either.
    table.start_rehash(first);
    let before = KEYS_READ.get();
    table.finish_rehash();
    assert_eq!((table.logical_size(), KEYS_READ.get() - before), (first, 0));
    table.check_invariants();
}

#[test]
fn growth_can_be_held() {
    let _turn = policy(ResizePolicy::Allow);
    let mut table = filled(16);
    table.finish_rehash();
    assert_eq!(table.growth_bytes(), 4 * 64);
    table.hold_growth(true);
    assert_eq!(table.growth_bytes(), 0);
    (16..200).for_each(|i| put(&mut table, i));
    assert_eq!(table.logical_size(), 16);
    table.check_invariants();
    assert!((0..200).all(|i| table.contains(hash(&key(i)), &key(i))));
    assert!((0..190).all(|i| take(&mut table, i)));
    table.check_invariants();
}

#[test]
fn memory_per_element() {
    let _turn = policy(ResizePolicy::Allow);
    for n in [50_000u64, 70_000, 98_304, 98_305, 131_072, 131_073, 150_000] {
        let mut table = filled(n);
        table.finish_rehash();
        let bytes = table.memory_usage() as f64 / n as f64;
        assert!((8.0..13.0).contains(&bytes), "{n}: {bytes}");
    }
}

#[test]
fn place_replaces_updates_and_inserts() {
    let mut table = filled(100);
    let k = key(5);
    let Place::Occupied(mut place) = table.place(hash(&k), &k) else { panic!("it is there") };
    *place.get_mut() = 50;
    assert_eq!(place.get().1, 50);
    assert_eq!(place.replace(Item::new(&k, 51)).0.1, 50);
    let was = place.update(|item| std::mem::replace(item, Item::new(&k, 52)).0.1);
    assert_eq!((was, place.into_ref().1), (51, 52));
    let k = key(100);
    let Place::Vacant(place) = table.place(hash(&k), &k) else { panic!("it is not there") };
    assert_eq!(*place.insert(Item::new(&k, 100)).into_mut(), 100);
    assert_eq!(table.len(), 101);
    table.check_invariants();
}

#[test]
fn update_survives_a_panic() {
    let mut table = filled(3);
    let k = key(1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        table.find_mut(hash(&k), &k).unwrap().update(|item| {
            *item = Item::new(&key(1), 7);
            panic!("on purpose");
        });
    }));
    assert!(caught.is_err());
    assert_eq!(table.find(hash(&k), &k).unwrap().1, 7);
    table.check_invariants();
}

#[test]
fn random_is_fair() {
    let _turn = policy(ResizePolicy::Allow);
    // In the middle of a rehash, too: 3,000 elements go to the 4,096 array from 2,048 slots.
    for (n, finish) in [(5u64, true), (40, true), (2000, true), (2100, false)] {
        let mut table = filled(n);
        if finish {
            table.finish_rehash();
        } else {
            assert!(table.is_rehashing());
        }
        let mut random = generator(n);
        let mut counts = vec![0u32; n as usize];
        let draws = n * 200;
        for _ in 0..draws {
            counts[table.random(&mut random).unwrap().1 as usize] += 1;
        }
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 200.0).powi(2) / 200.0).sum();
        let freedom = (n - 1) as f64;
        // Mean and deviation of the distribution: f and sqrt(2f).
        assert!(chi < freedom + 5.0 * (2.0 * freedom).sqrt(), "{n}: {chi}");
    }
}

#[test]
fn one_long_chain_is_one_logical_slot() {
    let _turn = policy(ResizePolicy::Allow);
    let mut table = filled(20_000);
    let mut cursor = 0;
    let mut goners = Vec::new();
    loop {
        cursor = table.scan(cursor, 10, |e| goners.push(e.1));
        if cursor == 0 {
            break;
        }
    }
    goners.truncate(20_000 - 30);
    goners.iter().for_each(|&i| assert!(take(&mut table, i)));
    table.finish_rehash();
    table.resize_if_needed();
    table.finish_rehash();
    let stats = table.stats(true).main;
    assert_eq!((stats.elements, stats.used_slots, stats.longest), (30, 1, 30));
    let mut random = generator(9);
    let seen: HashSet<u64> = (0..1000).map(|_| table.random(&mut random).unwrap().1).collect();
    assert_eq!(seen.len(), 30);
    table.check_invariants();
}

#[test]
fn sample_gives_as_many_as_asked_for() {
    let table = filled(500);
    let mut random = generator(3);
    for n in [0, 1, 5, 64] {
        let mut seen = HashSet::new();
        assert_eq!(table.sample(n, &mut random, |e| assert!(seen.insert(e.1))), n);
    }
    let small = filled(3);
    assert_eq!(small.sample(10, &mut random, |_| ()), 3);
}

#[test]
fn drains_in_steps_and_frees_the_rest() {
    let mut table = filled(5000).into_iter();
    assert!(table.drain_step(1000));
    assert_eq!(table.len(), 4000);
    let seen: HashSet<u64> = table.by_ref().take(100).map(|e| e.0.1).collect();
    assert_eq!(seen.len(), 100);
    assert!(!table.drain_step(10_000));
    assert!(filled(5000).into_iter().drain_step(10));
}

#[test]
fn retain_and_ranges() {
    let mut table = filled(3000);
    let half = END / 2;
    let (mut low, mut high) = (0, 0);
    table.visit_range(0, half, |e| {
        assert!(position(hash(&e.0)) < half);
        low += 1;
    });
    table.visit_range(half, END, |_| high += 1);
    assert_eq!(low + high, 3000);
    table.retain(|e| e.1.is_multiple_of(3));
    assert_eq!(table.len(), 1000);
    assert!(table.iter().all(|e| e.1.is_multiple_of(3)));
    table.check_invariants();
}

#[derive(Clone, Debug)]
enum Step {
    Put(u16),
    Take(u16),
    Get(u16),
    Change(u16),
    /// Insert or remove many in a row: makes the table grow and shrink.
    Fill(u16, u16),
    Drop(u16, u16),
    Rehash(u8),
    Scan(u8),
    Extract(u8),
    Reserve(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u16>().prop_map(|i| Step::Put(i % 4000)),
        any::<u16>().prop_map(|i| Step::Take(i % 4000)),
        any::<u16>().prop_map(|i| Step::Get(i % 4000)),
        any::<u16>().prop_map(|i| Step::Change(i % 4000)),
        (any::<u16>(), 1u16..1500).prop_map(|(i, n)| Step::Fill(i % 4000, n)),
        (any::<u16>(), 1u16..2500).prop_map(|(i, n)| Step::Drop(i % 4000, n)),
        (1u8..20).prop_map(Step::Rehash),
        (1u8..40).prop_map(Step::Scan),
        any::<u8>().prop_map(Step::Extract),
        (0u16..5000).prop_map(Step::Reserve),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 8 } else { 60 })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map(steps in steps()) {
        let mut table = Table::new();
        let mut model: HashMap<u64, u64> = HashMap::new();
        // A scan in progress: what was there since it began has to come, once.
        let (mut cursor, mut stayed, mut seen) = (0u64, HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Put(i) => {
                    let k = key(i.into());
                    let old = table.insert(hash(&k), Item::new(&k, 1)).map(|e| e.0.1);
                    prop_assert_eq!(old, model.insert(i.into(), 1));
                }
                Step::Take(i) => {
                    let k = key(i.into());
                    prop_assert_eq!(table.remove(hash(&k), &k).map(|e| e.0.1), model.remove(&i.into()));
                    stayed.remove(&u64::from(i));
                }
                Step::Get(i) => {
                    let k = key(i.into());
                    prop_assert_eq!(table.find(hash(&k), &k).map(|e| e.1), model.get(&i.into()).copied());
                }
                Step::Change(i) => {
                    let k = key(i.into());
                    if let Some(mut place) = table.find_mut(hash(&k), &k) {
                        place.update(|e| e.0.1 += 1);
                        *model.get_mut(&i.into()).unwrap() += 1;
                    }
                }
                Step::Fill(i, n) => for j in i..i + n {
                    let k = key(j.into());
                    if let Place::Vacant(place) = table.place(hash(&k), &k) {
                        place.insert(Item::new(&k, 0));
                        model.insert(j.into(), 0);
                    }
                },
                Step::Drop(i, n) => for j in i..i + n {
                    prop_assert_eq!(take(&mut table, j.into()), model.remove(&j.into()).is_some());
                    stayed.remove(&u64::from(j));
                },
                Step::Rehash(n) => { table.rehash_step(n.into()); }
                Step::Scan(n) => {
                    if cursor == 0 {
                        stayed = model.keys().copied().collect();
                        seen.clear();
                    }
                    let mut twice = None;
                    cursor = table.scan(cursor, n.into(), |e| {
                        let i: u64 = std::str::from_utf8(&e.0[4..]).unwrap().parse().unwrap();
                        if !seen.insert(i) && stayed.contains(&i) {
                            twice = Some(i);
                        }
                    });
                    prop_assert_eq!(twice, None, "emitted twice");
                    if cursor == 0 {
                        prop_assert!(stayed.is_subset(&seen), "not emitted");
                    }
                }
                Step::Extract(n) => {
                    let from = u64::from(n) << 40;
                    let mut taken = Vec::new();
                    table.extract_range(from, from + (1 << 41), |e| e.1 == 0, |e| taken.push(e.0.0));
                    for k in taken {
                        let i: u64 = std::str::from_utf8(&k[4..]).unwrap().parse().unwrap();
                        prop_assert_eq!(model.remove(&i), Some(0));
                        stayed.remove(&i);
                    }
                }
                Step::Reserve(n) => table.reserve(n.into()),
            }
            table.check_invariants();
            prop_assert_eq!(table.len(), model.len());
        }
        let all: HashMap<u64, u64> =
            table.iter().map(|e| (std::str::from_utf8(&e.0[4..]).unwrap().parse().unwrap(), e.1)).collect();
        prop_assert_eq!(&all, &model);
        prop_assert_eq!(table.into_iter().count(), model.len());
    }
}
