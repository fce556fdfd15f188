//! One node: a listpack with some entries, their ids told relative to that of the node.
//!
//! ```text
//! live entries | deleted entries | n | field 1 | … | field n | 0        the master entry: the fields of the first entry
//! flags | ms − ms of the node | seq − seq of the node | …               an entry, which goes on
//!   value 1 | … | value n | count                                         with SAME_FIELDS: the master's fields
//!   m | field 1 | value 1 | … | field m | value m | count                 otherwise
//! ```
//!
//! The ids of live entries ascend. Those of deleted ones need not: XSETID may go back behind them.
//!
//! `count` is the number of elements of the entry before it, for walking backwards. A deleted entry stays, with a flag; when
//! all are deleted, the node goes.
//!
//! Nodes from outside are checked element by element before they are believed ([`validate`]). A walk over other bytes would
//! end in a failed check (a panic, as Redis' assertion), never in a stray read or an endless loop.

use smallvec::SmallVec;

use super::id::StreamId;
use crate::ds::listpack::{self, Elem, Iter, IterBack, Listpack, Pos};

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the fields of the master entry.
const SAME_FIELDS: i64 = 2;

#[cold]
#[inline(never)]
fn corrupt() -> ! {
    panic!("stream integrity: a node's listpack is not that of a stream")
}

#[inline]
fn int(elem: Option<Elem<'_>>) -> i64 {
    match elem {
        Some(Elem::Int(n)) => n,
        // What was written as text and spells an integer is stored as one; anything else is no number.
        _ => corrupt(),
    }
}

#[inline]
fn count(elem: Option<Elem<'_>>) -> usize {
    usize::try_from(int(elem)).unwrap_or_else(|_| corrupt())
}

/// The counts and the fields at the head of a node.
#[derive(Clone, Debug)]
pub struct Master<'a> {
    /// Entries that are not deleted.
    pub live: usize,
    /// Entries that are.
    pub deleted: usize,
    /// The fields of the first entry that was put in.
    names: Iter<'a>,
    fields: usize,
    /// Offset of the first entry.
    start: usize,
}

/// Reads the head of a node.
fn master(pack: &Listpack) -> Master<'_> {
    let mut iter = pack.iter();
    let (live, deleted, fields) = (count(iter.next()), count(iter.next()), count(iter.next()));
    let names = iter.clone();
    skip(&mut iter, fields);
    skip(&mut iter, 1);
    Master { live, deleted, names, fields, start: iter.offset() }
}

/// Entries of a node: live and deleted ones.
#[inline]
pub fn counts(pack: &Listpack) -> (usize, usize) {
    let mut iter = pack.iter();
    (count(iter.next()), count(iter.next()))
}

#[inline]
fn skip(iter: &mut Iter<'_>, elements: usize) {
    for _ in 0..elements {
        if !iter.skip_one() {
            corrupt();
        }
    }
}

/// An entry as it lies in its node.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its fields and values.
    pub fields: Fields<'a>,
    /// Where it begins.
    flags_at: usize,
    same_fields: bool,
}

/// The fields and values of an entry, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The fields, when they are those of the master entry.
    names: Option<Iter<'a>>,
    body: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next(),
            None => self.body.next(),
        };
        match (name, self.body.next()) {
            (Some(name), Some(value)) => Some((name, value)),
            _ => corrupt(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// A walk over the entries of a node, deleted ones included, in either direction.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    first: StreamId,
    bytes: &'a [u8],
    master: Master<'a>,
    /// Between two entries.
    at: usize,
}

impl<'a> Walk<'a> {
    /// Stands before the first entry. `first` is the id of the node.
    #[must_use]
    pub fn from_start(first: StreamId, pack: &'a Listpack) -> Self {
        let master = master(pack);
        let at = master.start;
        Walk { first, bytes: pack.as_bytes(), master, at }
    }

    /// Stands behind the last entry.
    #[must_use]
    pub fn from_end(first: StreamId, pack: &'a Listpack) -> Self {
        let end = pack.bytes() - 1;
        Walk { at: end, ..Self::from_start(first, pack) }
    }

    /// The next entry.
    #[inline]
    pub fn next_entry(&mut self) -> Option<Entry<'a>> {
        let mut iter = Iter::at_offset(self.bytes, self.at);
        iter.pos()?;
        let flags = int(iter.next());
        let (ms, seq) = (int(iter.next()), int(iter.next()));
        let same_fields = flags & SAME_FIELDS != 0;
        let left = if same_fields { self.master.fields } else { count(iter.next()) };
        let names = same_fields.then(|| self.master.names.clone());
        let fields = Fields { names, body: iter.clone(), left };
        let values = if same_fields { left } else { left.saturating_mul(2) };
        skip(&mut iter, values);
        skip(&mut iter, 1);
        let entry = Entry {
            // The differences of a 64-bit number to another, as they wrap.
            id: StreamId::new(self.first.ms.wrapping_add(ms as u64), self.first.seq.wrapping_add(seq as u64)),
            deleted: flags & DELETED != 0,
            fields,
            flags_at: self.at,
            same_fields,
        };
        self.at = iter.offset();
        Some(entry)
    }

    /// The entry before.
    #[inline]
    pub fn prev_entry(&mut self) -> Option<Entry<'a>> {
        if self.at <= self.master.start {
            return None;
        }
        let mut back = IterBack::at_offset(self.bytes, self.at);
        let elements = count(back.next());
        for _ in 0..elements {
            if back.next().is_none() {
                corrupt();
            }
        }
        let start = back.offset();
        if start < self.master.start || start >= self.at {
            corrupt();
        }
        let mut forward = Walk { at: start, ..self.clone() };
        let entry = forward.next_entry();
        self.at = start;
        entry
    }
}

/// Deleting or flagging an entry by where it lies.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place {
    flags_at: usize,
    same_fields: bool,
}

impl Entry<'_> {
    pub(super) fn place(&self) -> Place {
        Place { flags_at: self.flags_at, same_fields: self.same_fields }
    }
}

/// Elements collected before they are written at once.
type Elems<'a> = SmallVec<[Elem<'a>; 24]>;

fn position(pack: &Listpack, offset: usize) -> Pos {
    Iter::at_offset(pack.as_bytes(), offset).pos().unwrap_or_else(|| corrupt())
}

/// A new node with one entry, whose id is that of the node. `fields` are fields and values in turn.
#[must_use]
pub fn create(fields: &[&[u8]]) -> Listpack {
    let pairs = fields.len() / 2;
    let mut elems = Elems::new();
    elems.extend([Elem::Int(1), Elem::Int(0), Elem::Int(pairs as i64)]);
    elems.extend(fields.iter().step_by(2).map(|&field| Elem::Str(field)));
    elems.extend([Elem::Int(0), Elem::Int(SAME_FIELDS), Elem::Int(0), Elem::Int(0)]);
    elems.extend(fields.iter().skip(1).step_by(2).map(|&value| Elem::Str(value)));
    elems.push(Elem::Int(pairs as i64 + 3));
    let mut pack = Listpack::new();
    pack.extend_back(&elems);
    pack
}

/// Appends an entry to a node. Its id must be greater than those in it.
pub fn append(first: StreamId, pack: &mut Listpack, id: StreamId, fields: &[&[u8]]) {
    let head = master(pack);
    let pairs = fields.len() / 2;
    let same = head.fields == pairs
        && head.names.clone().zip(fields.iter().step_by(2)).all(|(name, field)| name.is_text(field));
    let live = head.live;
    let mut elems = Elems::new();
    let (ms, seq) = (id.ms.wrapping_sub(first.ms) as i64, id.seq.wrapping_sub(first.seq) as i64);
    if same {
        elems.extend([Elem::Int(SAME_FIELDS), Elem::Int(ms), Elem::Int(seq)]);
        elems.extend(fields.iter().skip(1).step_by(2).map(|&value| Elem::Str(value)));
        elems.push(Elem::Int(pairs as i64 + 3));
    } else {
        elems.extend([Elem::Int(0), Elem::Int(ms), Elem::Int(seq), Elem::Int(pairs as i64)]);
        elems.extend(fields.iter().map(|&word| Elem::Str(word)));
        elems.push(Elem::Int(fields.len() as i64 + 4));
    }
    pack.extend_back(&elems);
    set_counts(pack, Some(live + 1), None);
}

fn set_counts(pack: &mut Listpack, live: Option<usize>, deleted: Option<usize>) {
    let first = pack.first().unwrap_or_else(|| corrupt());
    if let Some(live) = live {
        pack.replace(first, live as i64);
    }
    if let Some(deleted) = deleted {
        let second = pack.next(first).unwrap_or_else(|| corrupt());
        pack.replace(second, deleted as i64);
    }
}

/// Flags entries as deleted; they must be live.
pub(super) fn delete(pack: &mut Listpack, places: &[Place]) {
    let (live, deleted) = counts(pack);
    for place in places {
        let flags = DELETED | if place.same_fields { SAME_FIELDS } else { 0 };
        // One digit for another: nothing moves, so that the other places stay right.
        let pos = position(pack, place.flags_at);
        pack.replace(pos, flags);
    }
    let live = live.checked_sub(places.len()).unwrap_or_else(|| corrupt());
    set_counts(pack, Some(live), Some(deleted + places.len()));
}

/// What a check of a node tells.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Live entries.
    pub live: u64,
    /// The id of the last live entry; that of the node when there is none.
    pub last: StreamId,
}

/// Whether `bytes` are a node with this id; `None` if not. Looks at every element, the counts and the order of the ids.
#[must_use]
pub fn validate(first: StreamId, bytes: &[u8]) -> Option<Checked> {
    if !listpack::validate(bytes, true) {
        return None;
    }
    let mut elems = Checker(Iter::over(bytes));
    let (live, deleted, fields) = (elems.count()?, elems.count()?, elems.count()?);
    if live.checked_add(deleted)? == 0 {
        return None;
    }
    elems.skip(fields)?;
    if elems.int()? != 0 {
        return None;
    }
    let (mut seen_live, mut seen_deleted, mut last) = (0, 0, None::<StreamId>);
    while elems.0.pos().is_some() {
        let flags = elems.int()?;
        if flags & !(DELETED | SAME_FIELDS) != 0 {
            return None;
        }
        let (ms, seq) = (elems.int()?, elems.int()?);
        let id = StreamId::new(first.ms.wrapping_add(ms as u64), first.seq.wrapping_add(seq as u64));
        let live_entry = flags & DELETED == 0;
        if id < first || (live_entry && last.is_some_and(|last| id <= last)) {
            return None;
        }
        let elements = if flags & SAME_FIELDS != 0 {
            elems.skip(fields)?;
            fields.checked_add(3)?
        } else {
            let fields = elems.count()?;
            elems.skip(fields.checked_mul(2)?)?;
            fields.checked_mul(2)?.checked_add(4)?
        };
        if elems.count()? != elements {
            return None;
        }
        if live_entry {
            seen_live += 1;
            last = Some(id);
        } else {
            seen_deleted += 1;
        }
    }
    let last = last.unwrap_or(first);
    (seen_live == live && seen_deleted == deleted).then_some(Checked { live: live as u64, last })
}

/// Elements that may be anything.
struct Checker<'a>(Iter<'a>);

impl Checker<'_> {
    fn int(&mut self) -> Option<i64> {
        match self.0.try_next()? {
            Elem::Int(n) => Some(n),
            Elem::Str(_) => None,
        }
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.int()?).ok()
    }

    fn skip(&mut self, elements: usize) -> Option<()> {
        (0..elements).try_for_each(|_| self.0.try_next().map(drop))
    }
}
