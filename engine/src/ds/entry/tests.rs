use super::*;
use crate::ds::intset::IntSet;
use crate::ds::listpack::Listpack;
use crate::ds::packed::Form;
use proptest::prelude::*;

/// A set as the type layer has it: one of two forms.
enum TestSet {
    Ints(IntSet),
    Pack(Listpack),
}

// SAFETY: the forms that belong to the encodings.
unsafe impl Packed for TestSet {
    fn fits(encoding: Encoding) -> bool {
        matches!(encoding, Encoding::SetInt | Encoding::SetListpack)
    }
    fn pack(self) -> (Encoding, NonNull<u8>) {
        match self {
            TestSet::Ints(ints) => (Encoding::SetInt, ints.into_raw()),
            TestSet::Pack(pack) => (Encoding::SetListpack, pack.into_raw()),
        }
    }
    unsafe fn unpack(encoding: Encoding, raw: NonNull<u8>) -> Self {
        // SAFETY: as promised by the caller.
        unsafe {
            match encoding {
                Encoding::SetInt => TestSet::Ints(Form::from_raw(raw)),
                _ => TestSet::Pack(Form::from_raw(raw)),
            }
        }
    }
}

/// A list, to be told apart from the set.
struct TestList(Listpack);

// SAFETY: as above.
unsafe impl Packed for TestList {
    fn fits(encoding: Encoding) -> bool {
        encoding == Encoding::ListListpack
    }
    fn pack(self) -> (Encoding, NonNull<u8>) {
        (Encoding::ListListpack, self.0.into_raw())
    }
    unsafe fn unpack(_: Encoding, raw: NonNull<u8>) -> Self {
        // SAFETY: as promised by the caller.
        TestList(unsafe { Form::from_raw(raw) })
    }
}

fn ints(values: &[i64]) -> TestSet {
    let mut set = IntSet::new();
    values.iter().for_each(|&v| assert!(set.add(v)));
    TestSet::Ints(set)
}

#[test]
fn sixteen_and_sixteen_take_forty() {
    let entry = Entry::new(b"0123456789abcdef", None, 0, NewValue::Bytes(b"0123456789abcdef"));
    assert_eq!(entry.as_ref().memory_usage(0), 40);
    let entry = Entry::new(b"0123456789abcdef", Some(1), 0, NewValue::Bytes(b"0123456789abcdef"));
    assert_eq!(entry.as_ref().memory_usage(0), 48);
    let entry = Entry::new(b"0123456789abcdef", None, 0, NewValue::Int(i64::MIN));
    assert_eq!(entry.as_ref().memory_usage(0), 32);
    let entry = Entry::new(b"0123456789abcdef", None, 0, NewValue::Bytes(&[0; 100]));
    assert_eq!(entry.as_ref().memory_usage(0), 128);
}

#[test]
fn collections_go_in_and_out() {
    let mut entry = Entry::new(b"k", Some(5), 7, NewValue::packed(ints(&[1, 2])));
    assert_eq!(entry.as_ref().encoding(), Encoding::SetInt);
    assert!(entry.as_ref().string().is_none());
    assert!(entry.as_ref().read::<TestList>().is_none());
    assert!(entry.as_mut().write::<TestList>().is_none());
    {
        let set = entry.as_ref().read::<TestSet>().unwrap();
        let again = entry.as_ref().read::<TestSet>().unwrap();
        let (TestSet::Ints(a), TestSet::Ints(b)) = (&*set, &*again) else { panic!("integers") };
        assert_eq!((a.len(), b.len()), (2, 2));
    }
    {
        let mut set = entry.as_mut().write::<TestSet>().unwrap();
        let mut pack = Listpack::new();
        pack.push_back(&b"word"[..]);
        *set = TestSet::Pack(pack);
    }
    assert_eq!(entry.as_ref().encoding(), Encoding::SetListpack);
    entry.set_deadline(None);
    assert_eq!((entry.as_ref().deadline(), entry.as_ref().clock()), (None, 7));
    let OldValue::Packed(old) = entry.set(None, NewValue::Int(4)) else { panic!("a collection") };
    let old = old.unpack::<TestList>().map(|_| ()).unwrap_err();
    let TestSet::Pack(pack) = old.unpack::<TestSet>().unwrap_or_else(|_| panic!("a set")) else { panic!("a pack") };
    assert_eq!(pack.len(), 1);
    assert_eq!(entry.as_ref().string(), Some(StoredStr::Int(4)));
}

#[test]
fn a_forgotten_guard_leaks_and_does_no_harm() {
    let mut entry = Entry::new(b"k", None, 0, NewValue::packed(ints(&[1])));
    let mut guard = entry.as_mut().write::<TestSet>().unwrap();
    // What is forgotten owns nothing: Miri counts leaks.
    drop(std::mem::replace(&mut *guard, ints(&[])));
    // SAFETY: the value is not used again.
    drop(unsafe { ManuallyDrop::take(&mut guard.value) });
    std::mem::forget(guard);
    assert_eq!(entry.as_ref().encoding(), Encoding::StrInt);
}

#[test]
fn strings_grow_in_place_of_the_entry() {
    let mut entry = Entry::new(b"k", Some(3), 0, NewValue::Int(-12));
    assert!(entry.make_heap());
    entry.as_mut().heap().unwrap().extend(b"34");
    assert_eq!(entry.as_ref().string(), Some(StoredStr::Bytes(b"-1234")));
    assert_eq!((entry.as_ref().encoding(), entry.as_ref().deadline()), (Encoding::StrHeap, Some(3)));
    let mut set = Entry::new(b"k", None, 0, NewValue::packed(ints(&[1])));
    assert!(!set.make_heap());
    assert!(set.as_mut().heap().is_none());
}

#[derive(Clone, Debug)]
enum Text {
    Int(i64),
    Bytes(Vec<u8>),
}

impl Text {
    fn fresh(&self) -> NewValue<'_> {
        match self {
            Text::Int(n) => NewValue::Int(*n),
            Text::Bytes(bytes) => NewValue::Bytes(bytes),
        }
    }
    fn stored(&self) -> StoredStr<'_> {
        match self {
            Text::Int(n) => StoredStr::Int(*n),
            Text::Bytes(bytes) => StoredStr::Bytes(bytes),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(Option<i64>, Text),
    InPlace(Text),
    Deadline(Option<i64>),
    Clock(u32),
    Append(Vec<u8>),
    Collection(Vec<i16>),
    Add(i64),
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        any::<i64>().prop_map(Text::Int),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Text::Bytes),
        prop::collection::vec(any::<u8>(), 120..400).prop_map(Text::Bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<Option<i64>>(), text()).prop_map(|(d, t)| Step::Set(d, t)),
        text().prop_map(Step::InPlace),
        any::<Option<i64>>().prop_map(Step::Deadline),
        any::<u32>().prop_map(Step::Clock),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Append),
        prop::collection::vec(any::<i16>(), 0..20).prop_map(Step::Collection),
        any::<i64>().prop_map(Step::Add),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 512 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_its_parts(
        key in prop_oneof![prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 100..300)],
        first in text(),
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let (mut deadline, mut clock) = (None, 1);
        // Either a text or a set of integers.
        let (mut text, mut set) = (Some(first.clone()), std::collections::BTreeSet::<i64>::new());
        let mut entry = Entry::new(&key, None, 1, first.fresh());
        for step in steps {
            match step {
                Step::Set(at, value) => {
                    let was_set = text.is_none();
                    let old = entry.set(at, value.fresh());
                    prop_assert_eq!(matches!(old, OldValue::Packed(_)), was_set);
                    (deadline, text) = (at, Some(value));
                }
                Step::InPlace(value) => if entry.as_mut().set_in_place(value.stored()) {
                    prop_assert!(text.is_some());
                    text = Some(value);
                },
                Step::Deadline(at) => {
                    entry.set_deadline(at);
                    deadline = at;
                }
                Step::Clock(to) => {
                    entry.as_mut().set_clock(to);
                    clock = to & 0xff_ffff;
                }
                Step::Append(bytes) => {
                    prop_assert_eq!(entry.make_heap(), text.is_some());
                    if let Some(mut heap) = entry.as_mut().heap() {
                        heap.extend(&bytes);
                    }
                    text = text.map(|text| {
                        let mut all = match text { Text::Int(n) => n.to_string().into_bytes(), Text::Bytes(b) => b };
                        all.extend_from_slice(&bytes);
                        Text::Bytes(all)
                    });
                }
                Step::Collection(values) => {
                    set = values.into_iter().map(i64::from).collect();
                    entry.set(deadline, NewValue::packed(ints(&set.iter().copied().collect::<Vec<_>>())));
                    text = None;
                }
                Step::Add(value) => if let Some(mut inner) = entry.as_mut().write::<TestSet>() {
                    let TestSet::Ints(ints) = &mut *inner else { panic!("integers") };
                    prop_assert_eq!(ints.add(value), set.insert(value));
                },
            }
            let seen = entry.as_ref();
            prop_assert_eq!(seen.key(), &key);
            prop_assert_eq!((seen.deadline(), seen.clock()), (deadline, clock));
            match &text {
                Some(text) => prop_assert_eq!(seen.string(), Some(text.stored())),
                None => {
                    let inner = seen.read::<TestSet>().unwrap();
                    let TestSet::Ints(ints) = &*inner else { panic!("integers") };
                    prop_assert_eq!(ints.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
                }
            }
        }
    }
}
