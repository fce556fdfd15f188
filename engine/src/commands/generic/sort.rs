//! SORT and SORT_RO.
//!
//! The elements are copied into one buffer first: BY and GET look other keys up, which may expire under them. Then each
//! gets its weight, the items are put in order (only the part that LIMIT asks for, when it asks for one), and GET is answered.

use std::cmp::Ordering;
use std::ops::Range;

use crate::args::Args;
use crate::command::{Acl, Arg, Arity, Command, Flags, Group, InvalidArguments, KeyFlags, KeyRef, KeySpec};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::int::parse_i64;
use crate::ds::listpack::{Elem, ElemBuf};
use crate::ds::quicklist::End;
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Db, Emptied, Expiry, Ref, ValueRef};
use crate::time::UnixMs;
use crate::types::{Collection, Hash, List, Set, Zset};

/// The declarations.
pub const COMMANDS: &[&Command] = &[&SORT, &SORT_RO];

const SORT: Command = Command {
    name: "sort",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Generic,
    acl: Acl::SET.union(Acl::SORTEDSET).union(Acl::LIST).union(Acl::DANGEROUS),
    keys: &[
        KeySpec::first(KeyFlags::READ),
        KeySpec::unknown(KeyFlags::READ).notes("Patterns of BY and GET name keys by what is sorted."),
        KeySpec::unknown(KeyFlags::OW_UPDATE).notes("STORE may stand anywhere among the options."),
    ],
    since: "1.0.0",
    complexity: "O(N+M*log(M)) for N elements of which M are returned; O(N) unsorted.",
    summary: "Sorts the elements of a list, set or sorted set; returns or stores the result.",
    args: &[
        Arg::key("key"),
        Arg::pattern("by-pattern").token("BY").display("pattern").in_spec(1).optional(),
        Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional(),
        Arg::pattern("get-pattern").token("GET").display("pattern").in_spec(1).optional().many_tokens(),
        Arg::one_of("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional(),
        Arg::word("sorting", "ALPHA").optional(),
        Arg::key_of("destination", 2).token("STORE").optional(),
    ],
    find_keys: Some(sort_keys),
    run: |ctx, args| sort(ctx, args, Store::Allowed),
    ..Command::BASE
};

const SORT_RO: Command = Command {
    name: "sort_ro",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Generic,
    acl: Acl::SET.union(Acl::SORTEDSET).union(Acl::LIST).union(Acl::DANGEROUS),
    keys: &[
        KeySpec::first(KeyFlags::READ),
        KeySpec::unknown(KeyFlags::READ).notes("Patterns of BY and GET name keys by what is sorted."),
    ],
    since: "7.0.0",
    complexity: "O(N+M*log(M)) for N elements of which M are returned; O(N) unsorted.",
    summary: "Returns the sorted elements of a list, set or sorted set.",
    args: &[
        Arg::key("key"),
        Arg::pattern("by-pattern").token("BY").display("pattern").in_spec(1).optional(),
        Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional(),
        Arg::pattern("get-pattern").token("GET").display("pattern").in_spec(1).optional().many_tokens(),
        Arg::one_of("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional(),
        Arg::word("sorting", "ALPHA").optional(),
    ],
    run: |ctx, args| sort(ctx, args, Store::Refused),
    ..Command::BASE
};

/// Room set aside for each element's text before it is seen, in bytes.
const TEXT_EXPECTED: usize = 8;

/// Whether STORE is among the options.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Store {
    Allowed,
    Refused,
}

/// Finds the key that is sorted and the one of the last STORE.
fn sort_keys(argv: &[&[u8]], keys: &mut Vec<KeyRef>) -> Result<(), InvalidArguments> {
    if argv.len() < 2 {
        return Err(InvalidArguments);
    }
    keys.push(KeyRef { index: 1, flags: KeyFlags::READ });
    let mut store = None;
    let mut at = 2;
    while at < argv.len() {
        let is = |word: &[u8]| argv[at].eq_ignore_ascii_case(word);
        if is(b"LIMIT") {
            at += 2;
        } else if is(b"BY") || is(b"GET") {
            at += 1;
        } else if is(b"STORE") && at + 1 < argv.len() {
            at += 1;
            store = Some(at);
        }
        at += 1;
    }
    keys.extend(store.map(|index| KeyRef { index, flags: KeyFlags::OW_UPDATE }));
    Ok(())
}

#[derive(Debug)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// Offset and count; a negative count takes all.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    /// BY with a pattern without `*`: the order stays as it is.
    unsorted: bool,
    get: Vec<Pattern<'a>>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &mut Args<'a>, store: Store) -> Result<Self, CommandError> {
        let mut options = Options {
            descending: false,
            alpha: false,
            limit: (0, -1),
            by: None,
            unsorted: false,
            get: Vec::new(),
            store: None,
        };
        while !args.is_done() {
            if args.keyword("ASC") {
                options.descending = false;
            } else if args.keyword("DESC") {
                options.descending = true;
            } else if args.keyword("ALPHA") {
                options.alpha = true;
            } else if args.keyword("LIMIT") {
                if args.left() < 2 {
                    return Err(CommandError::Syntax);
                }
                options.limit = (args.i64()?, args.i64()?);
            } else if args.keyword("BY") {
                let text = args.next()?;
                if text.contains(&b'*') {
                    options.by = Some(Pattern::parse(text));
                } else {
                    // As in Redis, a later BY with a `*` does not take this back.
                    options.unsorted = true;
                }
            } else if args.keyword("GET") {
                options.get.push(Pattern::parse(args.next()?));
            } else if store == Store::Allowed && args.keyword("STORE") {
                options.store = Some(args.next()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.unsorted {
            options.by = None;
        }
        Ok(options)
    }

    /// The part of `len` elements that is asked for.
    fn window(&self, len: usize) -> Range<usize> {
        let (offset, count) = self.limit;
        let start = usize::try_from(offset).unwrap_or(0);
        let end = usize::try_from(count).map_or(len, |count| start.saturating_add(count)).min(len);
        if start < end { start..end } else { 0..0 }
    }
}

/// Where a weight or a part of the reply comes from.
#[derive(Copy, Clone, Debug)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*` in it: nothing.
    Nothing,
    /// The key `before` element `after`, of a hash the field.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Self {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|&byte| byte == b'*') else { return Pattern::Nothing };
        let (before, after) = (&text[..star], &text[star + 1..]);
        // An arrow makes a field only when there is one behind it.
        match after.windows(2).position(|pair| pair == b"->") {
            Some(arrow) if arrow + 2 < after.len() => {
                Pattern::Key { before, after: &after[..arrow], field: Some(&after[arrow + 2..]) }
            }
            _ => Pattern::Key { before, after, field: None },
        }
    }

    /// Appends what the pattern stands for to `out`; returns whether there is anything. `key` is scratch space.
    fn resolve(self, db: &mut Db, element: &[u8], key: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
        match self {
            Pattern::Element => {
                out.extend_from_slice(element);
                true
            }
            Pattern::Nothing => false,
            Pattern::Key { before, after, field } => {
                key.clear();
                key.extend_from_slice(before);
                key.extend_from_slice(element);
                key.extend_from_slice(after);
                // A value of another type is as good as none.
                match field {
                    None => match db.read_string(key) {
                        Ok(Some(value)) => {
                            out.extend_from_slice(value.text(&mut itoa::Buffer::new()));
                            true
                        }
                        Ok(None) | Err(_) => false,
                    },
                    Some(field) => match read_hash(db, key, field) {
                        Ok(Some((hash, now))) => match hash.get_live(field, now) {
                            Some(value) => {
                                out.extend_from_slice(value.text(&mut ElemBuf::new()));
                                true
                            }
                            None => false,
                        },
                        Ok(None) | Err(_) => false,
                    },
                }
            }
        }
    }
}

/// The hash at `key` and the time, after `field` was removed from it if its time has passed.
fn read_hash<'a>(db: &'a mut Db, key: &[u8], field: &[u8]) -> Result<Option<(Ref<'a, Hash>, UnixMs)>, CommandError> {
    if db.fields_are_due() {
        db.expire_fields(key, &[field], Emptied::Remove);
    }
    let now = db.now();
    Ok(db.read::<Hash>(key)?.map(|hash| (hash, now)))
}

/// An element: where it lies in the buffer of elements.
type Item = Range<usize>;

/// What the elements are ordered by, in their original order.
#[derive(Debug)]
enum Weights {
    /// The elements themselves.
    Own,
    Numbers(Vec<f64>),
    /// Pieces of a buffer; `None` comes before everything.
    Texts(Vec<u8>, Vec<Option<Range<usize>>>),
}

fn sort(ctx: &mut Ctx<'_>, args: &mut Args<'_>, store: Store) -> CmdResult {
    let key = args.next()?;
    let mut options = Options::parse(args, store)?;
    let mut elements = Vec::new();
    let mut items = load(ctx.db, key, &mut options, ctx.may_block, &mut elements)?;
    let window = options.window(items.len());
    if !options.unsorted {
        let weights = weigh(ctx.db, &options, &elements, &items)?;
        items = weights.order(&elements, &items, window.end, options.descending);
    }
    let chosen = &items[window];
    match options.store {
        None => reply(ctx, &options, &elements, chosen),
        Some(target) => store_result(ctx, &options, &elements, chosen, target),
    }
    Ok(Outcome::Done)
}

/// Copies the elements at `key` to `elements`. When they stay unsorted they come in the order that DESC asks for.
/// `alone`: the command is no part of a script or a transaction.
fn load(
    db: &mut Db,
    key: &[u8],
    options: &mut Options<'_>,
    alone: bool,
    elements: &mut Vec<u8>,
) -> Result<Vec<Item>, CommandError> {
    let mut items = Vec::new();
    let mut see = |element: Elem<'_>, count: usize| {
        if items.is_empty() {
            items.reserve_exact(count);
            elements.reserve(count.saturating_mul(TEXT_EXPECTED));
        }
        let start = elements.len();
        elements.extend_from_slice(element.text(&mut ElemBuf::new()));
        items.push(start..elements.len());
    };
    let mut ordered = true;
    match db.read_any(key) {
        None => {}
        Some(ValueRef::String(_)) => return Err(CommandError::WrongType),
        Some(ValueRef::Other(value)) => {
            if let Some(list) = value.get::<List>() {
                list.for_range(0, list.len(), |element| see(element, list.len()));
            } else if let Some(set) = value.get::<Set>() {
                ordered = false;
                set.iter().for_each(|element| see(element, set.len()));
            } else if let Some(zset) = value.get::<Zset>() {
                zset.iter().for_each(|(member, _)| see(member, zset.len()));
            } else {
                return Err(CommandError::WrongType);
            }
        }
    }
    if options.unsorted && ordered && options.descending {
        items.reverse();
    }
    if options.unsorted && !ordered && (options.store.is_some() || !alone) {
        // A set has no order of its own. What is stored must be the same on every replica, and what a script works on
        // every time that it runs.
        (options.unsorted, options.alpha) = (false, true);
    }
    Ok(items)
}

/// Finds what each item is ordered by.
fn weigh(db: &mut Db, options: &Options<'_>, elements: &[u8], items: &[Item]) -> Result<Weights, CommandError> {
    let mut scratch = Vec::new();
    match (options.by, options.alpha) {
        (None, true) => Ok(Weights::Own),
        (None, false) => {
            let mut numbers = Vec::with_capacity(items.len());
            for item in items {
                numbers.push(number(&elements[item.clone()])?);
            }
            Ok(Weights::Numbers(numbers))
        }
        (Some(pattern), true) => {
            let mut texts = Vec::new();
            let mut pieces = Vec::with_capacity(items.len());
            for item in items {
                let start = texts.len();
                let found = pattern.resolve(db, &elements[item.clone()], &mut scratch, &mut texts);
                pieces.push(found.then_some(start..texts.len()));
            }
            Ok(Weights::Texts(texts, pieces))
        }
        (Some(pattern), false) => {
            let mut numbers = Vec::with_capacity(items.len());
            let mut text = Vec::new();
            for item in items {
                text.clear();
                let found = pattern.resolve(db, &elements[item.clone()], &mut scratch, &mut text);
                numbers.push(if found { number(&text)? } else { 0.0 });
            }
            Ok(Weights::Numbers(numbers))
        }
    }
}

impl Weights {
    /// The first `count` items in the order of their weights.
    fn order(self, elements: &[u8], items: &[Item], count: usize, descending: bool) -> Vec<Item> {
        let by_element = |&a: &usize, &b: &usize| elements[items[a].clone()].cmp(&elements[items[b].clone()]);
        match self {
            Weights::Own => {
                first_in_order(vec![(); items.len()], items, count, descending, |(_, a), (_, b)| by_element(a, b))
            }
            // Equal weights are ordered by the elements, so that the result does not depend on the original order.
            Weights::Numbers(numbers) => first_in_order(numbers, items, count, descending, |(x, a), (y, b)| {
                x.partial_cmp(y).expect("no weight is NaN").then_with(|| by_element(a, b))
            }),
            Weights::Texts(texts, pieces) => first_in_order(pieces, items, count, descending, |(x, _), (y, _)| {
                let text = |piece: &Option<Range<usize>>| piece.clone().map(|piece| &texts[piece]);
                text(x).cmp(&text(y))
            }),
        }
    }
}

/// As [`Weights::order`], for weights of one type: they lie beside the places of their items, close together.
fn first_in_order<W>(
    weights: Vec<W>,
    items: &[Item],
    count: usize,
    descending: bool,
    compare: impl Fn(&(W, usize), &(W, usize)) -> Ordering,
) -> Vec<Item> {
    if count == 0 {
        return Vec::new();
    }
    let mut places: Vec<(W, usize)> = weights.into_iter().zip(0..).collect();
    let order = |a: &(W, usize), b: &(W, usize)| {
        let order = compare(a, b);
        // Ties stay in their original order.
        let order = if descending { order.reverse() } else { order };
        order.then(a.1.cmp(&b.1))
    };
    if count < places.len() {
        places.select_nth_unstable_by(count - 1, order);
        places.truncate(count);
    }
    places.sort_unstable_by(order);
    places.into_iter().map(|(_, place)| items[place].clone()).collect()
}

/// A numeric weight; a zero byte ends it. No text at all is 0; what is too large is an infinity.
fn number(text: &[u8]) -> Result<f64, CommandError> {
    let text = memchr::memchr(0, text).map_or(text, |end| &text[..end]);
    if text.is_empty() {
        return Ok(0.0);
    }
    if let Some(number) = parse_i64(text) {
        return Ok(number as f64);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|number: &f64| !number.is_nan())
        .ok_or(CommandError::Text("ERR One or more scores can't be converted into double"))
}

fn reply(ctx: &mut Ctx<'_>, options: &Options<'_>, elements: &[u8], items: &[Item]) {
    let width = options.get.len().max(1);
    ctx.out.array(items.len() * width);
    let (mut scratch, mut value) = (Vec::new(), Vec::new());
    for item in items {
        let element = &elements[item.clone()];
        if options.get.is_empty() {
            ctx.out.bulk(element);
        }
        for pattern in &options.get {
            value.clear();
            if pattern.resolve(ctx.db, element, &mut scratch, &mut value) {
                ctx.out.bulk(&value);
            } else {
                ctx.out.null();
            }
        }
    }
}

/// Stores the result as a list at `target` and replies with its length.
fn store_result(ctx: &mut Ctx<'_>, options: &Options<'_>, elements: &[u8], items: &[Item], target: &[u8]) {
    let mut list = List::new();
    let (mut scratch, mut value) = (Vec::new(), Vec::new());
    for item in items {
        let element = &elements[item.clone()];
        if options.get.is_empty() {
            list.push(End::Tail, element, ctx.config);
        }
        for pattern in &options.get {
            value.clear();
            // Nothing is stored as an empty string.
            pattern.resolve(ctx.db, element, &mut scratch, &mut value);
            list.push(End::Tail, value.as_slice(), ctx.config);
        }
    }
    let len = list.len();
    if len > 0 {
        ctx.db.insert(target, list.into_value(), Expiry::Clear);
        ctx.effects.changed(EventClass::LIST, "sortstore", target, len as u64);
    } else {
        let lazy = ctx.config.lazy_server_del;
        if super::keys::remove(ctx, target, lazy) {
            ctx.effects.changed(EventClass::GENERIC, "del", target, 1);
        }
    }
    ctx.out.integer(len as i64);
}

#[cfg(test)]
mod tests {
    use crate::testing::{Scenario, check};

    #[test]
    fn orders() {
        check(
            r#"
            RPUSH l 3 1 2 10               => :4
            SORT l                         => ["1", "2", "3", "10"]
            SORT l DESC                    => ["10", "3", "2", "1"]
            SORT l ALPHA                   => ["1", "10", "2", "3"]
            SORT_RO l ALPHA DESC           => ["3", "2", "10", "1"]
            SORT l LIMIT 1 2               => ["2", "3"]
            SORT l LIMIT 1 -1              => ["2", "3", "10"]
            SORT l LIMIT -1 2              => ["1", "2"]
            SORT l LIMIT 5 2               => []
            SORT l LIMIT 1 0               => []
            SORT l LIMIT 9223372036854775807 9223372036854775807 => []
            SORT l LIMIT a 2               => -ERR value is not an integer or out of range
            SORT l LIMIT 1                 => -ERR syntax error
            SORT l FOO                     => -ERR syntax error
            SORT_RO l STORE x              => -ERR syntax error
            SORT l BY nosort               => ["3", "1", "2", "10"]
            SORT l BY nosort DESC          => ["10", "2", "1", "3"]
            SORT l BY nosort LIMIT 1 2     => ["1", "2"]
            SORT none                      => []
            SET s a                        => +OK
            SORT s                         => -WRONGTYPE Operation against a key holding the wrong kind of value
            RPUSH m a "" 1                 => :3
            SORT m                         => -ERR One or more scores can't be converted into double
            SORT m ALPHA                   => ["", "1", "a"]
            RPUSH w 7 "1\x00x" "\x00y"     => :3
            SORT w                         => ["\x00y", "1\x00x", "7"]
            RPUSH w " 3"                   => :4
            SORT w                         => -ERR One or more scores can't be converted into double
            RPUSH f 1.5 "" -2 1e3 +inf -inf => :6
            SORT f                         => ["-inf", "-2", "", "1.5", "1e3", "+inf"]
            "#,
        );
    }

    #[test]
    fn weights_and_parts_from_other_keys() {
        check(
            r#"
            RPUSH l 3 1 2 10               => :4
            MSET w_1 30 w_2 20 w_3 10 w_10 5 => +OK
            SORT l BY w_*                  => ["10", "3", "2", "1"]
            SORT l BY w_* DESC GET # GET w_* => ["1", "30", "2", "20", "3", "10", "10", "5"]
            SORT l BY none_*               => ["1", "10", "2", "3"]
            SORT l BY none_* DESC          => ["3", "2", "10", "1"]
            SORT l BY none_* ALPHA DESC    => ["3", "1", "2", "10"]
            SORT l GET nothing LIMIT 0 1   => [nil]
            SORT l GET w_*-> LIMIT 0 1     => [nil]
            RPUSH w_3x no                  => :1
            SORT l BY w_*x                 => ["1", "10", "2", "3"]
            SET w_1 text                   => +OK
            SORT l BY w_*                  => -ERR One or more scores can't be converted into double
            SORT l BY w_* ALPHA            => ["3", "2", "10", "1"]
            "#,
        );
        let mut scenario = Scenario::new();
        scenario.check("RPUSH l 3 1 2 => :3");
        for (key, field, value) in [("h_1", "f", "5"), ("h_2", "f", "3"), ("h_3", "f", "9")] {
            let db = &mut scenario.engine.dbs[0];
            let config = crate::config::EngineConfig::default();
            let mut hash = db.write_or_create::<crate::types::Hash>(key.as_bytes()).expect("nothing is there yet");
            hash.set(field.as_bytes(), value.as_bytes(), &config);
        }
        scenario.check(
            r#"
            SORT l BY h_*->f GET h_*->f GET #   => ["3", "2", "5", "1", "9", "3"]
            SORT l BY h_*->f->g GET h_*->x GET h_* LIMIT 0 1 => [nil, nil]
            "#,
        );
    }

    #[test]
    fn store() {
        check(
            r#"
            RPUSH l 3 1 2          => :3
            SET w_1 x              => +OK
            SET d x EX 100         => +OK
            SORT l STORE d         => :3
              ! sortstore d
              > SORT l STORE d
            LRANGE d 0 -1          => ["1", "2", "3"]
            PTTL d                 => :-1
            SORT l GET w_* STORE l => :3
            LRANGE l 0 -1          => ["x", "", ""]
            SORT none STORE d      => :0
              ! keymiss none, del d
            EXISTS d               => :0
            SORT none STORE d      => :0
              > nothing
            "#,
        );
    }

    #[test]
    fn a_limited_sort_is_the_part_of_the_whole() {
        let mut scenario = Scenario::new();
        for n in 0..500u64 {
            scenario.line(&format!("RPUSH l {}", n.wrapping_mul(2_654_435_761) % 97));
        }
        let whole = scenario.line("SORT l DESC");
        let whole: Vec<_> = whole.trim_matches(['[', ']']).split(", ").collect();
        for (offset, count) in [(0, 1), (0, 499), (7, 13), (499, 1), (250, 1000)] {
            let part = scenario.line(&format!("SORT l DESC LIMIT {offset} {count}"));
            let end = (offset + count).min(500);
            assert_eq!(part, format!("[{}]", whole[offset..end].join(", ")), "{offset} {count}");
        }
    }
}
