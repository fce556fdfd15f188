//! Bytes per element, by the shape of the data.

use std::time::Duration;

use ::tests::{Client, Reply};

use super::{Plan, Row};
use crate::peer::Peer;
use crate::{Error, fail};

type Make = fn(usize) -> Vec<String>;

/// How many elements, and the request that stores element `i`.
const SHAPES: &[(&str, usize, Make)] = &[
    ("string, 16 B key, 16 B value", 1_000_000, |i| vec!["SET".into(), key('k', i), format!("v{:015x}", i * 7919)]),
    ("string, 16 B key, integer", 1_000_000, |i| vec!["SET".into(), key('k', i), (i * 7919).to_string()]),
    ("string, 16 B key, 100 B value", 500_000, |i| vec!["SET".into(), key('k', i), format!("v{i:099x}")]),
    ("string 16/16 with a time to live", 500_000, |i| {
        vec!["SET".into(), key('k', i), format!("v{i:015x}"), "EX".into(), (100_000 + i).to_string()]
    }),
    ("hash of 5 × (8 B, 8 B)", 200_000, |i| {
        many("HSET", key('h', i), 5, |j| vec![format!("field{j:03}"), format!("val{:05}", (i + j) % 99_999)])
    }),
    ("list of 20 × 16 B", 100_000, |i| many("RPUSH", key('l', i), 20, |j| vec![format!("e{:015x}", i * 20 + j)])),
    ("set of 20 integers", 100_000, |i| many("SADD", key('s', i), 20, |j| vec![(i * 20 + j).to_string()])),
    ("set of 20 × 16 B", 100_000, |i| many("SADD", key('s', i), 20, |j| vec![format!("e{:015x}", i * 20 + j)])),
    ("sorted set of 10 × 16 B", 100_000, |i| {
        many("ZADD", key('z', i), 10, |j| vec![format!("{}", (i + j) as f64 * 1.5), format!("e{:015x}", i * 20 + j)])
    }),
    ("large sorted set, per member", 1_000_000, |i| {
        vec!["ZADD".into(), "bz".into(), format!("{}.5", i * 7919 % 1_000_000), format!("e{i:015x}")]
    }),
    ("large hash, per field (16/16)", 1_000_000, |i| {
        vec!["HSET".into(), "bh".into(), format!("f{i:015x}"), format!("v{i:015x}")]
    }),
    ("large set, per 16 B member", 1_000_000, |i| vec!["SADD".into(), "bs".into(), format!("m{i:015x}")]),
    ("large list, per 16 B element", 1_000_000, |i| vec!["RPUSH".into(), "bl".into(), format!("e{i:015x}")]),
];

/// A key of 16 bytes.
fn key(letter: char, i: usize) -> String {
    format!("{letter}:{i:014}")
}

pub(super) fn many(command: &str, key: String, count: usize, part: impl Fn(usize) -> Vec<String>) -> Vec<String> {
    [command.to_owned(), key].into_iter().chain((0..count).flat_map(part)).collect()
}

/// Measures every shape that is wanted.
pub(super) fn measure(plan: &Plan) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    println!("{:34} {:>22} {:>22}   ratio", "bytes per element (used, resident)", "ours", "reference");
    for (name, count, make) in SHAPES.iter().filter(|(name, ..)| plan.chosen(name)) {
        let count = plan.scaled(*count);
        let (mut cost, mut other) = ([0.0; 2], [0.0; 2]);
        for (i, server) in plan.servers.iter().enumerate() {
            let peer = Peer::start(server, &[], None)?;
            let mut client = peer.client()?;
            let used = |client: &mut Client| client.info("used_memory");
            let (used_before, resident_before) = (used(&mut client), peer.resident()?);
            send(&mut client, count, 500, make)?;
            // What was only needed while growing is given back.
            std::thread::sleep(Duration::from_secs(1));
            cost[i] = used(&mut client).saturating_sub(used_before) as f64 / count as f64;
            other[i] = peer.resident()?.saturating_sub(resident_before) as f64 / count as f64;
        }
        let row = Row { name: (*name).to_owned(), cost, other: Some(other) };
        println!(
            "{name:34} {:10.1} {:10.1} {:11.1} {:10.1}   {:.2}",
            cost[0],
            other[0],
            cost[1],
            other[1],
            cost[0] / cost[1]
        );
        rows.push(row);
    }
    Ok(rows)
}

/// Sends `count` requests in pipelines of `batch` and checks the replies.
pub(super) fn send(
    client: &mut Client,
    count: usize,
    batch: usize,
    make: &dyn Fn(usize) -> Vec<String>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for start in (0..count).step_by(batch) {
        let end = (start + batch).min(count);
        bytes.clear();
        (start..end).for_each(|i| bytes.extend(::tests::request(&make(i))));
        client.send(&bytes)?;
        for _ in start..end {
            if let Reply::Error(text) = client.receive()? {
                fail!("{text}");
            }
        }
    }
    Ok(())
}
