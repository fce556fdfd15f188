//! Saving, loading and logging: seconds, processor time, and what clients feel of a snapshot.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::tests::{Client, Reply};

use super::memory::{many, send};
use super::{Plan, Row, median, pinned};
use crate::peer::Peer;
use crate::{Error, fail};

/// Keys of the data set, before `--scale`.
const KEYS: usize = 1_800_000;

/// What is measured, in the order of the figures of [`once`].
const FIGURES: [&str; 6] = [
    "SAVE, seconds",
    "loading the RDB file, seconds",
    "loading the append-only file, seconds",
    "CPU of a SET with the append-only file, microseconds",
    "BGSAVE, 99th percentile of GET, milliseconds",
    "BGSAVE, longest pause, milliseconds",
];

/// Longest time that a server is waited for: it may be loading, or saving.
const PATIENCE: Duration = Duration::from_secs(300);

/// Medians over the rounds. The servers take turns, and who begins changes from round to round.
pub(super) fn measure(plan: &Plan) -> Result<Vec<Row>, Error> {
    if !FIGURES.iter().any(|name| plan.chosen(name)) {
        return Ok(Vec::new());
    }
    let keys = plan.scaled(KEYS);
    let mut all = FIGURES.map(|_| [Vec::new(), Vec::new()]);
    for round in 0..plan.rounds {
        for turn in 0..plan.servers.len() {
            let i = (round + turn) % plan.servers.len();
            for (figures, value) in all.iter_mut().zip(once(&plan.servers[i], keys)?) {
                figures[i].push(value);
            }
        }
    }
    println!("{:54} {:>10} {:>10}   ratio", format!("persistence, {keys} keys"), "ours", "reference");
    let rows = FIGURES.iter().zip(all).filter(|(name, _)| plan.chosen(name));
    let rows = rows.map(|(name, values)| Row { name: (*name).to_owned(), cost: values.map(median), other: None });
    Ok(rows
        .inspect(|Row { name, cost, .. }| {
            println!("{name:54} {:10.3} {:10.3}   {:.2}", cost[0], cost[1], cost[0] / cost[1]);
        })
        .collect())
}

/// The figures of one server.
fn once(server: &Path, keys: usize) -> Result<[f64; FIGURES.len()], Error> {
    let mut peer = Peer::start(server, &[], pinned(0))?;
    let mut client = patient(&peer)?;
    send(&mut client, keys, 500, &element)?;
    let saving = Instant::now();
    ok(&mut client, &["SAVE"])?;
    let save = saving.elapsed();
    let (percentile, longest) = pauses(&peer, &mut client, keys)?;
    ok(&mut client, &["SAVE"])?;
    let load = reload(&mut peer, &mut client, server, &[])?;

    ok(&mut client, &["CONFIG", "SET", "appendonly", "yes"])?;
    while client.info("aof_rewrite_in_progress") + client.info("aof_rewrite_scheduled") > 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (sets, before) = (keys / 4, peer.cpu()?);
    send(&mut client, sets, 100, &|i| vec!["SET".into(), format!("aof:{i:012}"), format!("v{i}")])?;
    let set = peer.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / sets as f64;
    let replay = reload(&mut peer, &mut client, server, &["--appendonly", "yes"])?;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok([save.as_secs_f64(), load.as_secs_f64(), replay.as_secs_f64(), set, millis(percentile), millis(longest)])
}

/// The request that stores key `i`: a string, most of the time, or a small collection.
fn element(i: usize) -> Vec<String> {
    let text = |j: usize| format!("m{}", i + j);
    match i % 18 {
        0 => many("HSET", format!("hash:{i:011}"), 5, |j| vec![format!("f{j}"), text(j)]),
        1 => many("RPUSH", format!("list:{i:011}"), 10, |j| vec![text(j)]),
        2 => many("ZADD", format!("zset:{i:011}"), 5, |j| vec![(j as f64 * 1.5).to_string(), text(j)]),
        3 => many("SADD", format!("sett:{i:011}"), 10, |j| vec![text(j)]),
        4..=7 => {
            let json = format!(
                r#"{{"id":{i},"name":"user {i}","email":"user{i}@example.org","active":true,"tags":["a","b"]}}"#
            );
            vec!["SET".into(), format!("json:{i:011}"), json]
        }
        kind => vec!["SET".into(), string(i / 18 * 10 + kind - 8), format!("value:{i:010}")],
    }
}

/// Name of the `i`-th short string: there are ten among eighteen keys.
fn string(i: usize) -> String {
    format!("key:{i:012}")
}

/// The 99th percentile and the longest of the times that a GET takes while BGSAVE runs and somebody else writes.
fn pauses(peer: &Peer, client: &mut Client, keys: usize) -> Result<(Duration, Duration), Error> {
    let (mut probe, mut writer, stop) = (patient(peer)?, patient(peer)?, AtomicBool::new(false));
    // Of those that are there: whoever saves longer would have more to load otherwise.
    let strings = keys / 18 * 10;
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<(), Error> {
            let mut start = 0;
            while !stop.load(Ordering::Relaxed) {
                // In an order that jumps about.
                send(&mut writer, 50, 50, &|i| vec!["SET".into(), string((start + i) * 7919 % strings), "w".into()])?;
                start += 50;
            }
            Ok(())
        });
        let probed = (|| -> Result<(), Error> {
            ok(client, &["BGSAVE"])?;
            while client.info("rdb_bgsave_in_progress") > 0 {
                for i in 0..200 {
                    let start = Instant::now();
                    probe.try_call(&["GET", &string(i * 331 % strings)])?;
                    times.push(start.elapsed());
                }
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        load.join().expect("the load does not panic")?;
        probed
    })?;
    times.sort_unstable();
    match times.last() {
        Some(longest) => Ok((times[times.len() * 99 / 100], *longest)),
        None => fail!("BGSAVE ended before it could be looked at: more keys are needed"),
    }
}

/// Kills the server, starts it again, and answers how long that took until it served. It has to have the same keys.
fn reload(peer: &mut Peer, client: &mut Client, server: &Path, args: &[&str]) -> Result<Duration, Error> {
    // What `appendfsync everysec` still owes to the disk.
    std::thread::sleep(Duration::from_millis(1500));
    let before = client.try_call(&["DBSIZE"])?.int();
    let time = peer.restart(server, args, pinned(0), PATIENCE)?;
    *client = patient(peer)?;
    let after = client.try_call(&["DBSIZE"])?.int();
    if before != after {
        fail!("{} had {before:?} keys, and has {after:?} after a restart", server.display());
    }
    Ok(time)
}

fn patient(peer: &Peer) -> Result<Client, Error> {
    let client = peer.client()?;
    client.set_patience(PATIENCE)?;
    Ok(client)
}

fn ok(client: &mut Client, args: &[&str]) -> Result<(), Error> {
    match client.try_call(args)? {
        Reply::Error(text) => fail!("{}: {text}", args.join(" ")),
        _ => Ok(()),
    }
}
