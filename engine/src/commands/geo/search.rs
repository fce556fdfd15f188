//! GEOSEARCH, GEOSEARCHSTORE and their older forms.

use std::cmp::Ordering;

use resp::writer::Writer;

use super::cell::Position;
use super::shape::Shape;
use super::{UNIT, metres, position, reply_distance, reply_position};
use crate::args::Args;
use crate::command::{Arg, Arity, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec};
use crate::commands::generic::keys::remove;
use crate::commands::zset::reply_name;
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::ds::listpack::{Elem, ElemBuf};
use crate::effects::EventClass;
use crate::error::CommandError;
use crate::keyspace::{Expiry, ValueRef};
use crate::types::{Value, Zset};

const WITHCOORD: Arg = Arg::word("withcoord", "WITHCOORD").optional();
const WITHDIST: Arg = Arg::word("withdist", "WITHDIST").optional();
const WITHHASH: Arg = Arg::word("withhash", "WITHHASH").optional();
const COUNT: Arg =
    Arg::block("count-block", &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional()]).optional();
const OLD_COUNT: Arg = Arg::block(
    "count-block",
    &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional().since("6.2.0")],
)
.optional();
const ORDER: Arg = Arg::one_of("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional();
const FROM: Arg = Arg::one_of(
    "from",
    &[
        Arg::string("member").token("FROMMEMBER"),
        Arg::block("fromlonlat", &[Arg::double("longitude"), Arg::double("latitude")]).token("FROMLONLAT"),
    ],
);
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block("circle", &[Arg::double("radius").token("BYRADIUS"), UNIT]),
        Arg::block("box", &[Arg::double("width").token("BYBOX"), Arg::double("height"), UNIT]),
        Arg::block(
            "polygon",
            &[
                Arg::integer("num-vertices").token("BYPOLYGON"),
                Arg::block("vertex", &[Arg::double("longitude"), Arg::double("latitude")]).many(),
            ],
        )
        .since("9.0.0"),
    ],
);
const STORE: Arg = Arg::one_of(
    "store",
    &[
        Arg::key_of("storekey", 1).display("key").token("STORE"),
        Arg::key_of("storedistkey", 2).display("key").token("STOREDIST"),
    ],
)
.optional();

const SEARCH_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape";
const RADIUS_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.";

/// Where the key behind a word is.
const fn behind(word: &'static str, from: i32) -> KeySpec {
    KeySpec {
        flags: KeyFlags::OW_UPDATE,
        begin: Begin::Keyword { word, from },
        find: Find::Range { last: 0, step: 1, limit: 0 },
        notes: None,
    }
}

pub(super) const GEORADIUS: Command = Command {
    name: "georadius",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ), behind("STORE", 6), behind("STOREDIST", 6)],
    since: "3.2.0",
    history: &[("6.2.0", "Added the `ANY` option for `COUNT`."), ("7.0.0", "Added support for uppercase unit names.")],
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
    complexity: RADIUS_COMPLEXITY,
    summary: "Finds the members of a geospatial index within a distance of a place, and may store them.",
    args: &[
        Arg::key("key"),
        Arg::double("longitude"),
        Arg::double("latitude"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        OLD_COUNT,
        ORDER,
        STORE,
    ],
    run: |ctx, args| georadius(ctx, args, From::Place, May::Store),
    ..Command::BASE
};

pub(super) const GEORADIUS_RO: Command = Command {
    name: "georadius_ro",
    arity: Arity::AtLeast(6),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "3.2.10",
    history: &[("6.2.0", "Added the `ANY` option for `COUNT`."), ("7.0.0", "Added support for uppercase unit names.")],
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    complexity: RADIUS_COMPLEXITY,
    summary: "Finds the members of a geospatial index within a distance of a place.",
    args: &[
        Arg::key("key"),
        Arg::double("longitude"),
        Arg::double("latitude"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        OLD_COUNT,
        ORDER,
    ],
    run: |ctx, args| georadius(ctx, args, From::Place, May::Reply),
    ..Command::BASE
};

pub(super) const GEORADIUSBYMEMBER: Command = Command {
    name: "georadiusbymember",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ), behind("STORE", 5), behind("STOREDIST", 5)],
    since: "3.2.0",
    history: &[("6.2.0", "Added the `ANY` option for `COUNT`."), ("7.0.0", "Added support for uppercase unit names.")],
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments")),
    complexity: RADIUS_COMPLEXITY,
    summary: "Finds the members of a geospatial index within a distance of another member, and may store them.",
    args: &[
        Arg::key("key"),
        Arg::string("member"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
        STORE,
    ],
    run: |ctx, args| georadius(ctx, args, From::Member, May::Store),
    ..Command::BASE
};

pub(super) const GEORADIUSBYMEMBER_RO: Command = Command {
    name: "georadiusbymember_ro",
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "3.2.10",
    history: &[("6.2.0", "Added the `ANY` option for `COUNT`."), ("7.0.0", "Added support for uppercase unit names.")],
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
    complexity: RADIUS_COMPLEXITY,
    summary: "Finds the members of a geospatial index within a distance of another member.",
    args: &[
        Arg::key("key"),
        Arg::string("member"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
    ],
    run: |ctx, args| georadius(ctx, args, From::Member, May::Reply),
    ..Command::BASE
};

pub(super) const GEOSEARCH: Command = Command {
    name: "geosearch",
    arity: Arity::AtLeast(7),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "6.2.0",
    history: &[("7.0.0", "Added support for uppercase unit names."), ("9.0.0", "BYPOLYGON, of Valkey.")],
    complexity: SEARCH_COMPLEXITY,
    summary: "Finds the members of a geospatial index inside a circle, a box or a polygon.",
    args: &[Arg::key("key"), FROM, BY, ORDER, COUNT, WITHCOORD, WITHDIST, WITHHASH],
    run: |ctx, args| {
        let key = args.next()?;
        geosearch(ctx, args, key, None)
    },
    ..Command::BASE
};

pub(super) const GEOSEARCHSTORE: Command = Command {
    name: "geosearchstore",
    arity: Arity::AtLeast(8),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Geo,
    keys: &[KeySpec::at(1, KeyFlags::OW_UPDATE), KeySpec::at(2, KeyFlags::READ)],
    since: "6.2.0",
    history: &[("7.0.0", "Added support for uppercase unit names."), ("9.0.0", "BYPOLYGON, of Valkey.")],
    complexity: SEARCH_COMPLEXITY,
    summary: "Stores the members of a geospatial index that are inside a circle, a box or a polygon in a key.",
    args: &[
        Arg::key("destination"),
        Arg::key_of("source", 1),
        FROM,
        BY,
        ORDER,
        COUNT,
        Arg::word("storedist", "STOREDIST").optional(),
    ],
    run: |ctx, args| {
        let (target, key) = (args.next()?, args.next()?);
        geosearch(ctx, args, key, Some(target))
    },
    ..Command::BASE
};

const NO_MEMBER: CommandError = CommandError::Text("ERR could not decode requested zset member");

/// Which of the older commands it is.
#[derive(Copy, Clone, PartialEq, Eq)]
enum From {
    Place,
    Member,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum May {
    Reply,
    Store,
}

/// In which order the result is wanted.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Sort {
    /// As found.
    None,
    Nearest,
    Farthest,
}

/// A search, as the arguments describe it.
struct Search<'a> {
    key: &'a [u8],
    centre: Option<Centre<'a>>,
    shape: Option<Shape>,
    /// Metres of the unit that distances are told in.
    unit: f64,
    sort: Sort,
    /// 0: no limit.
    count: usize,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    store: Option<&'a [u8]>,
    store_distance: bool,
    event: &'static str,
}

#[derive(Copy, Clone)]
enum Centre<'a> {
    At(Position),
    Member(&'a [u8]),
}

impl<'a> Search<'a> {
    fn new(key: &'a [u8], event: &'static str) -> Self {
        Search {
            key,
            centre: None,
            shape: None,
            unit: 1.0,
            sort: Sort::None,
            count: 0,
            any: false,
            with_distance: false,
            with_hash: false,
            with_position: false,
            store: None,
            store_distance: false,
            event,
        }
    }

    /// Reads an option that all searches have, if it is one.
    fn option(&mut self, args: &mut Args<'a>) -> Result<bool, CommandError> {
        if args.keyword("WITHDIST") {
            self.with_distance = true;
        } else if args.keyword("WITHHASH") {
            self.with_hash = true;
        } else if args.keyword("WITHCOORD") {
            self.with_position = true;
        } else if args.keyword("ANY") {
            self.any = true;
        } else if args.keyword("ASC") {
            self.sort = Sort::Nearest;
        } else if args.keyword("DESC") {
            self.sort = Sort::Farthest;
        } else if args.left() > 1 && args.keyword("COUNT") {
            let count = args.i64()?;
            if count <= 0 {
                return Err(CommandError::Text("ERR COUNT must be > 0"));
            }
            self.count = usize::try_from(count).unwrap_or(usize::MAX);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn radius(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        let radius = length(args, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::Text("ERR radius cannot be negative"));
        }
        self.unit = metres(args)?;
        self.shape = Some(Shape::Circle { radius: radius * self.unit });
        Ok(())
    }

    fn sides(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        let width = length(args, "ERR need numeric width")?;
        let height = length(args, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::Text("ERR height or width cannot be negative"));
        }
        self.unit = metres(args)?;
        self.shape = Some(Shape::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    /// A polygon needs no centre: it has its own.
    fn polygon(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        let count =
            args.i64_in(3..=i64::MAX, CommandError::Text("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"))?;
        if count > args.left() as i64 / 2 {
            return Err(CommandError::Syntax);
        }
        let shape = Shape::Polygon { vertices: (0..count).map(|_| position(args)).collect::<Result<_, _>>()? };
        self.centre = shape.own_centre().map(Centre::At);
        self.shape = Some(shape);
        Ok(())
    }

    /// Checks what the options say together.
    fn finish(&mut self, name: &[u8]) -> Result<(), CommandError> {
        if self.any && self.count == 0 {
            return Err(CommandError::Text("ERR the ANY argument requires COUNT argument"));
        }
        // The nearest are wanted, unless any will do.
        if self.count > 0 && self.sort == Sort::None && !self.any {
            self.sort = Sort::Nearest;
        }
        let missing = |what: &str| {
            CommandError::owned(format!("ERR exactly one of {what} can be specified for {}", name.escape_ascii()))
        };
        if self.centre.is_none() {
            return Err(missing("FROMMEMBER or FROMLONLAT"));
        }
        if self.shape.is_none() {
            return Err(missing("BYRADIUS and BYBOX"));
        }
        Ok(())
    }

    fn replies_details(&self) -> bool {
        self.with_distance || self.with_hash || self.with_position
    }
}

fn length(args: &mut Args<'_>, otherwise: &'static str) -> Result<f64, CommandError> {
    resp::number::parse_f64(args.next()?).ok_or(CommandError::Text(otherwise))
}

/// Reads the member that is the centre. One that the key does not have is an error before any that follows.
fn member<'a>(ctx: &Ctx<'_>, key: &[u8], args: &mut Args<'a>) -> Result<Centre<'a>, CommandError> {
    let name = args.next()?;
    if let Some(ValueRef::Other(value)) = ctx.db.look(key)
        && value.get::<Zset>().is_some_and(|zset| zset.score(name).is_none())
    {
        return Err(NO_MEMBER);
    }
    Ok(Centre::Member(name))
}

fn georadius(ctx: &mut Ctx<'_>, args: &mut Args<'_>, from: From, may: May) -> CmdResult {
    let mut search = Search::new(args.next()?, "georadiusstore");
    // A wrong type counts more than wrong arguments.
    ctx.db.read::<Zset>(search.key)?;
    match from {
        From::Place => {
            search.centre = Some(Centre::At(position(args)?));
            search.radius(args)?;
        }
        From::Member => {
            search.centre = Some(member(ctx, search.key, args)?);
            if ctx.db.look(search.key).is_some() {
                search.radius(args)?;
            } else {
                // Without a key nobody looks at radius and unit, as in Redis.
                args.take(2)?;
                search.shape = Some(Shape::Circle { radius: 0.0 });
            }
        }
    }
    while !args.is_done() {
        if search.option(args)? {
        } else if may == May::Store && args.left() > 1 && args.keyword("STORE") {
            (search.store, search.store_distance) = (Some(args.next()?), false);
        } else if may == May::Store && args.left() > 1 && args.keyword("STOREDIST") {
            (search.store, search.store_distance) = (Some(args.next()?), true);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if search.store.is_some() && search.replies_details() {
        return Err(CommandError::Text(
            "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ));
    }
    search.finish(args.name())?;
    run(ctx, &search)
}

fn geosearch<'a>(ctx: &mut Ctx<'_>, args: &mut Args<'a>, key: &'a [u8], target: Option<&'a [u8]>) -> CmdResult {
    let mut search = Search::new(key, "geosearchstore");
    search.store = target;
    // A wrong type counts more than wrong arguments.
    ctx.db.read::<Zset>(key)?;
    while !args.is_done() {
        if search.option(args)? {
        } else if search.centre.is_none() && args.left() > 1 && args.keyword("FROMMEMBER") {
            search.centre = Some(member(ctx, key, args)?);
        } else if search.centre.is_none() && args.left() > 2 && args.keyword("FROMLONLAT") {
            search.centre = Some(Centre::At(position(args)?));
        } else if search.shape.is_none() && args.left() > 2 && args.keyword("BYRADIUS") {
            search.radius(args)?;
        } else if search.shape.is_none() && args.left() > 3 && args.keyword("BYBOX") {
            search.sides(args)?;
        } else if search.shape.is_none() && search.centre.is_none() && args.left() > 1 && args.keyword("BYPOLYGON") {
            search.polygon(args)?;
        } else if target.is_some() && args.keyword("STOREDIST") {
            search.store_distance = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if target.is_some() && search.replies_details() {
        return Err(CommandError::Text(
            "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ));
    }
    search.finish(args.name())?;
    run(ctx, &search)
}

/// A member that was found.
#[derive(Copy, Clone)]
struct Hit<'z> {
    name: Elem<'z>,
    score: f64,
    at: Position,
    /// From the centre, in metres.
    distance: f64,
}

fn run(ctx: &mut Ctx<'_>, search: &Search<'_>) -> CmdResult {
    let mut result = Zset::new();
    // The lookup has been counted before the arguments were read.
    if let Some(ValueRef::Other(value)) = ctx.db.look(search.key) {
        let zset = value.get::<Zset>().ok_or(CommandError::WrongType)?;
        let hits = find(&zset, search)?;
        if search.store.is_none() {
            reply(&mut ctx.out, search, &hits);
            return Ok(Outcome::Done);
        }
        let mut buf = ElemBuf::default();
        result.prepare(hits.len(), ctx.config);
        for hit in &hits {
            let score = if search.store_distance { hit.distance / search.unit } else { hit.score };
            result.insert(hit.name.text(&mut buf), score, ctx.config);
        }
    }
    match search.store {
        Some(target) => store(ctx, search, target, result),
        None => ctx.out.array(0),
    }
    Ok(Outcome::Done)
}

/// The members inside the shape, in the order that is wanted, and as many.
fn find<'z>(zset: &'z Zset, search: &Search<'_>) -> Result<Vec<Hit<'z>>, CommandError> {
    let centre = match search.centre {
        Some(Centre::At(at)) => at,
        Some(Centre::Member(name)) => Position::of_score(zset.score(name).ok_or(NO_MEMBER)?),
        None => return Err(CommandError::Syntax),
    };
    let shape = search.shape.as_ref().ok_or(CommandError::Syntax)?;
    let limit = if search.any { search.count } else { usize::MAX };
    let mut hits = Vec::new();
    'cells: for cell in shape.cells(centre) {
        let scores = cell.scores();
        for (name, score) in zset.iter_from_score(scores.start).take_while(|&(_, score)| score < scores.end) {
            let at = Position::of_score(score);
            if let Some(distance) = shape.distance_inside(centre, at) {
                hits.push(Hit { name, score, at, distance });
                if hits.len() == limit {
                    break 'cells;
                }
            }
        }
    }
    let compare: fn(&Hit<'_>, &Hit<'_>) -> Ordering = match search.sort {
        Sort::None => {
            hits.truncate(wanted(search, hits.len()));
            return Ok(hits);
        }
        Sort::Nearest => |a, b| a.distance.total_cmp(&b.distance),
        Sort::Farthest => |a, b| b.distance.total_cmp(&a.distance),
    };
    let wanted = wanted(search, hits.len());
    if wanted < hits.len() {
        hits.select_nth_unstable_by(wanted, compare);
        hits.truncate(wanted);
    }
    hits.sort_by(compare);
    Ok(hits)
}

fn wanted(search: &Search<'_>, found: usize) -> usize {
    if search.count == 0 { found } else { search.count.min(found) }
}

fn reply(out: &mut Writer<'_>, search: &Search<'_>, hits: &[Hit<'_>]) {
    let details = [search.with_distance, search.with_hash, search.with_position].into_iter().filter(|&wanted| wanted);
    let details = details.count();
    out.array(hits.len());
    for hit in hits {
        if details > 0 {
            out.array(1 + details);
        }
        reply_name(out, hit.name);
        if search.with_distance {
            reply_distance(out, hit.distance / search.unit);
        }
        if search.with_hash {
            out.integer(hit.score as i64);
        }
        if search.with_position {
            reply_position(out, hit.at);
        }
    }
}

/// Puts a result in the place of whatever `target` held and replies its length; an empty one removes the key.
fn store(ctx: &mut Ctx<'_>, search: &Search<'_>, target: &[u8], result: Zset) {
    let count = result.len();
    if count > 0 {
        ctx.db.insert(target, Value::Zset(result), Expiry::Clear);
        ctx.effects.changed(EventClass::ZSET, search.event, target, count as u64);
    } else {
        let lazy = ctx.config.lazy_server_del;
        if remove(ctx, target, lazy) {
            ctx.effects.changed(EventClass::GENERIC, "del", target, 1);
        }
    }
    ctx.out.integer(count as i64);
}
