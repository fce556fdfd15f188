//! Geospatial commands: sorted sets whose scores are places. <https://redis.io/docs/latest/commands/?group=geo>

mod cell;
mod search;
mod shape;

use resp::writer::Writer;
use smallvec::SmallVec;

use self::cell::Position;
use crate::args::Args;
use crate::command::{Arg, Arity, Command, Flags, Group, KeyFlags, KeySpec};
use crate::commands::zset::{AddOptions, add_members};
use crate::ctx::{CmdResult, Ctx, Outcome};
use crate::error::CommandError;
use crate::types::Zset;

/// The declarations.
pub const COMMANDS: &[&Command] = &[
    &GEOADD,
    &GEODIST,
    &GEOHASH,
    &GEOPOS,
    &search::GEORADIUS,
    &search::GEORADIUS_RO,
    &search::GEORADIUSBYMEMBER,
    &search::GEORADIUSBYMEMBER_RO,
    &search::GEOSEARCH,
    &search::GEOSEARCHSTORE,
];

const UNIT: Arg =
    Arg::one_of("unit", &[Arg::word("m", "M"), Arg::word("km", "KM"), Arg::word("ft", "FT"), Arg::word("mi", "MI")]);

/// Reads longitude and latitude.
fn position(args: &mut Args<'_>) -> Result<Position, CommandError> {
    let at = Position { lon: args.f64()?, lat: args.f64()? };
    if at.is_valid() {
        Ok(at)
    } else {
        Err(CommandError::owned(format!("ERR invalid longitude,latitude pair {:.6},{:.6}", at.lon, at.lat)))
    }
}

/// Reads a unit: how many metres it has.
fn metres(args: &mut Args<'_>) -> Result<f64, CommandError> {
    match args.next()?.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(CommandError::Text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// Replies a distance: a string in both protocols, with four decimals.
fn reply_distance(out: &mut Writer<'_>, distance: f64) {
    out.bulk_display(format_args!("{distance:.4}"));
}

/// Replies longitude and latitude.
fn reply_position(out: &mut Writer<'_>, at: Position) {
    out.array(2);
    out.double(at.lon);
    out.double(at.lat);
}

const GEOADD: Command = Command {
    name: "geoadd",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::RW_UPDATE)],
    since: "3.2.0",
    history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    summary: "Adds members at places on earth to a geospatial index, creating it if the key is missing.",
    args: &[
        Arg::key("key"),
        Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).optional().since("6.2.0"),
        Arg::word("change", "CH").optional().since("6.2.0"),
        Arg::block("data", &[Arg::double("longitude"), Arg::double("latitude"), Arg::string("member")]).many(),
    ],
    run: geoadd,
    ..Command::BASE
};

fn geoadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let key = args.next()?;
    let mut options = AddOptions::default();
    let first = args.left();
    loop {
        if args.keyword("NX") {
            options.nx = true;
        } else if args.keyword("XX") {
            options.xx = true;
        } else if args.keyword("CH") {
            options.ch = true;
        } else {
            break;
        }
    }
    if !args.left().is_multiple_of(3) || (options.nx && options.xx) {
        return Err(CommandError::Syntax);
    }
    let words = &args.argv()[2..2 + first - args.left()];
    let mut members: SmallVec<[(f64, &[u8]); 4]> = SmallVec::with_capacity(args.left() / 3);
    while !args.is_done() {
        members.push((position(args)?.score(), args.next()?));
    }
    let (added, changed) = add_members(ctx, key, &options, members.iter().copied())?;
    ctx.out.integer(if options.ch { added + changed } else { added } as i64);
    if added + changed > 0 && ctx.effects.interest.propagation {
        // Scores mean the same everywhere; to compute them anew is waste.
        let mut digits = itoa::Buffer::new();
        let scores: Vec<_> = members.iter().map(|&(score, _)| digits.format(score as u64).to_owned()).collect();
        let mut argv: Vec<&[u8]> = [&[b"ZADD", key], words].concat();
        argv.extend(members.iter().zip(&scores).flat_map(|((_, name), score)| [score.as_bytes(), name]));
        ctx.effects.propagate_instead(&argv);
    }
    Ok(Outcome::Done)
}

const GEODIST: Command = Command {
    name: "geodist",
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "3.2.0",
    complexity: "O(1)",
    summary: "Returns the distance between two members of a geospatial index.",
    args: &[Arg::key("key"), Arg::string("member1"), Arg::string("member2"), UNIT.optional()],
    run: geodist,
    ..Command::BASE
};

fn geodist(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, a, b) = (args.next()?, args.next()?, args.next()?);
    let unit = if args.left() == 1 { metres(args)? } else { 1.0 };
    args.end()?;
    let zset = ctx.db.read::<Zset>(key)?;
    match zset.and_then(|zset| zset.score(a).zip(zset.score(b))) {
        Some((a, b)) => {
            let distance = shape::distance(Position::of_score(a), Position::of_score(b)) / unit;
            reply_distance(&mut ctx.out, distance);
        }
        None => ctx.out.null(),
    }
    Ok(Outcome::Done)
}

const GEOHASH: Command = Command {
    name: "geohash",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "3.2.0",
    complexity: "O(1) for each member requested.",
    summary: "Returns the geohash strings of members of a geospatial index.",
    args: &[Arg::key("key"), Arg::string("member").optional().many()],
    run: geohash,
    ..Command::BASE
};

fn geohash(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, members) = (args.next()?, args.take_rest());
    let zset = ctx.db.read::<Zset>(key)?;
    ctx.out.array(members.len());
    for name in members {
        match zset.as_ref().and_then(|zset| zset.score(name)) {
            Some(score) => ctx.out.bulk(&Position::of_score(score).geohash()),
            None => ctx.out.null(),
        }
    }
    Ok(Outcome::Done)
}

const GEOPOS: Command = Command {
    name: "geopos",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    group: Group::Geo,
    keys: &[KeySpec::first(KeyFlags::READ)],
    since: "3.2.0",
    complexity: "O(1) for each member requested.",
    summary: "Returns the longitudes and latitudes of members of a geospatial index.",
    args: &[Arg::key("key"), Arg::string("member").optional().many()],
    run: geopos,
    ..Command::BASE
};

fn geopos(ctx: &mut Ctx<'_>, args: &mut Args<'_>) -> CmdResult {
    let (key, members) = (args.next()?, args.take_rest());
    let zset = ctx.db.read::<Zset>(key)?;
    ctx.out.array(members.len());
    for name in members {
        match zset.as_ref().and_then(|zset| zset.score(name)) {
            Some(score) => reply_position(&mut ctx.out, Position::of_score(score)),
            None => ctx.out.null_array(),
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests;
