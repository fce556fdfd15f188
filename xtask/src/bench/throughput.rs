//! Processor time per request, with redis-benchmark as the load.

use std::process::Command;
use std::time::Duration;

use super::{Plan, Row, median, pinned};
use crate::peer::Peer;
use crate::place;
use crate::process::capture;
use crate::{Error, fail};

/// Data that a workload needs before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    Nothing,
    Strings,
    Strings4k,
    List,
    List1000,
    Hash20,
    Sets,
    SortedSet,
}

/// Requests, pipeline depth, clients, and what redis-benchmark is told.
struct Workload {
    name: &'static str,
    requests: usize,
    pipeline: usize,
    clients: usize,
    fill: Fill,
    /// Range of the random part of keys and members, 0 for none.
    range: usize,
    args: &'static [&'static str],
}

const fn w(
    name: &'static str,
    pipeline: usize,
    requests: usize,
    fill: Fill,
    range: usize,
    args: &'static [&'static str],
) -> Workload {
    Workload { name, requests, pipeline, clients: 50, fill, range, args }
}

const MILLION: usize = 1_000_000;

const WORKLOADS: &[Workload] = &[
    w("PING P1", 1, 200_000, Fill::Nothing, 0, &["-t", "ping_mbulk"]),
    w("SET P1", 1, 200_000, Fill::Nothing, MILLION, &["-t", "set", "-d", "16"]),
    w("GET P1", 1, 200_000, Fill::Strings, MILLION, &["-t", "get"]),
    Workload { clients: 1, ..w("SET P1, one client", 1, 100_000, Fill::Nothing, MILLION, &["-t", "set", "-d", "16"]) },
    Workload { clients: 1, ..w("GET P1, one client", 1, 100_000, Fill::Strings, MILLION, &["-t", "get"]) },
    Workload { clients: 1000, ..w("GET P1, 1000 clients", 1, 200_000, Fill::Strings, MILLION, &["-t", "get"]) },
    w("SET P16", 16, 1_500_000, Fill::Nothing, MILLION, &["-t", "set", "-d", "16"]),
    w("GET P16", 16, 1_500_000, Fill::Strings, MILLION, &["-t", "get"]),
    w("SET P64", 64, 3_000_000, Fill::Nothing, MILLION, &["-t", "set", "-d", "16"]),
    w("GET P64", 64, 3_000_000, Fill::Strings, MILLION, &["-t", "get"]),
    w("GET 4 KB P16", 16, 500_000, Fill::Strings4k, 10_000, &["-t", "get"]),
    w("INCR P64", 64, 3_000_000, Fill::Nothing, 100_000, &["-t", "incr"]),
    w("MSET of 10 P16", 16, 300_000, Fill::Nothing, MILLION, &["-t", "mset", "-d", "16"]),
    w("SET EX P64", 64, 2_000_000, Fill::Nothing, MILLION, &["SET", "k__rand_int__", "v", "EX", "1000"]),
    w("LPUSH P64", 64, 2_000_000, Fill::Nothing, 0, &["-t", "lpush", "-d", "16"]),
    w("LPOP P64", 64, 2_000_000, Fill::List, 0, &["-t", "lpop"]),
    w("LRANGE 100 P16", 16, 150_000, Fill::List1000, 0, &["LRANGE", "mylist", "0", "99"]),
    w("LRANGE 600 P4", 4, 30_000, Fill::List1000, 0, &["LRANGE", "mylist", "0", "599"]),
    w("HSET P64", 64, 2_000_000, Fill::Nothing, MILLION, &["-t", "hset", "-d", "16"]),
    w("HGETALL of 20 P16", 16, 300_000, Fill::Hash20, 0, &["HGETALL", "h20"]),
    w("SADD P64", 64, 2_000_000, Fill::Nothing, MILLION, &["-t", "sadd"]),
    w("SINTER P4", 4, 20_000, Fill::Sets, 0, &["SINTER", "s1", "s2"]),
    w("ZADD P64", 64, 1_500_000, Fill::Nothing, MILLION, &["-t", "zadd"]),
    w("ZRANGE 100 P16", 16, 100_000, Fill::SortedSet, 0, &["ZRANGE", "bz", "500", "599", "WITHSCORES"]),
    w(
        "ZRANGEBYSCORE P16",
        16,
        300_000,
        Fill::SortedSet,
        100_000,
        &["ZRANGEBYSCORE", "bz", "0__rand_int__", "+inf", "LIMIT", "0", "10"],
    ),
    w("ZRANK P64", 64, 1_500_000, Fill::SortedSet, 100_000, &["ZRANK", "bz", "m__rand_int__"]),
];

/// Runs every workload that is wanted.
pub(super) fn measure(plan: &Plan) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    println!("{:22} {:>21} {:>21}   ratio", "CPU per request", "ours", "reference");
    for workload in WORKLOADS.iter().filter(|workload| plan.chosen(workload.name)) {
        let mut rates = [Vec::new(), Vec::new()];
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..plan.rounds {
            for (i, server) in plan.servers.iter().enumerate() {
                let peer = Peer::start(server, &[], pinned(0))?;
                let (rate, cost) = once(&peer, workload, plan.scaled(workload.requests))?;
                rates[i].push(rate);
                costs[i].push(cost);
            }
        }
        let (cost, rate) = (costs.map(median), rates.map(median));
        println!(
            "{:22} {:9.3} µs {:7.0}/s {:9.3} µs {:7.0}/s   {:.2}",
            workload.name,
            cost[0],
            rate[0],
            cost[1],
            rate[1],
            cost[0] / cost[1]
        );
        rows.push(Row { name: workload.name.to_owned(), cost, other: Some(rate) });
    }
    Ok(rows)
}

/// One run on one server: requests per second, and processor time per request in microseconds.
fn once(peer: &Peer, workload: &Workload, requests: usize) -> Result<(f64, f64), Error> {
    fill(peer, workload.fill)?;
    let tool = place::need("redis-benchmark", "redis-tools")?;
    let mut command = match (pinned(1), place::tool("taskset")) {
        (Some(number), Some(taskset)) => {
            let mut command = Command::new(taskset);
            command.args(["-c", &number.to_string()]).arg(tool);
            command
        }
        _ => Command::new(tool),
    };
    for (option, number) in
        [("-p", usize::from(peer.port)), ("-P", workload.pipeline), ("-n", requests), ("-c", workload.clients)]
    {
        command.arg(option).arg(number.to_string());
    }
    if workload.range > 0 {
        command.arg("-r").arg(workload.range.to_string());
    }
    let before = peer.cpu()?;
    let (end, out, err) = capture(command.arg("--csv").args(workload.args), Duration::from_secs(300))?;
    let used = peer.cpu()?.saturating_sub(before);
    match (end.success(), rate(&out)) {
        (true, Some(rate)) => Ok((rate, used.as_secs_f64() * 1e6 / requests as f64)),
        _ => fail!("{}: redis-benchmark: {}{}", workload.name, out.trim(), err.trim()),
    }
}

/// The requests per second in the last line of redis-benchmark's table.
fn rate(csv: &str) -> Option<f64> {
    let line = csv.lines().rev().find(|line| line.starts_with('"') && !line.starts_with("\"test\""))?;
    line.split("\",\"").find_map(|field| field.trim_matches('"').parse().ok())
}

fn fill(peer: &Peer, what: Fill) -> Result<(), Error> {
    let key = |i: usize| format!("key:{i:012}");
    let strings = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let (count, request): (usize, Box<dyn Fn(usize) -> Vec<String>>) = match what {
        Fill::Nothing => return Ok(()),
        Fill::Strings => (MILLION, Box::new(move |i| strings(&["SET", &key(i), "vvvvvvvvvvvvvvvv"]))),
        Fill::Strings4k => (10_000, Box::new(move |i| strings(&["SET", &key(i), &"v".repeat(4096)]))),
        Fill::List => (
            40_000,
            Box::new(|_| {
                ["LPUSH", "mylist"].into_iter().chain([("xxxxxxxxxxxxxxxx"); 100]).map(str::to_owned).collect()
            }),
        ),
        Fill::List1000 => (1000, Box::new(move |i| strings(&["RPUSH", "mylist", &format!("element:{i}")]))),
        Fill::Hash20 => {
            (20, Box::new(move |i| strings(&["HSET", "h20", &format!("field:{i}"), &format!("value:{i}")])))
        }
        Fill::Sets => (
            2000,
            Box::new(move |i| match i % 2 {
                0 => strings(&["SADD", "s1", &format!("m{}", i / 2 * 2)]),
                _ => strings(&["SADD", "s2", &format!("m{}", i / 2 * 3)]),
            }),
        ),
        // In an order that jumps about: 7919 is prime to the count.
        Fill::SortedSet => (
            100_000,
            Box::new(move |i| {
                let i = i * 7919 % 100_000;
                strings(&["ZADD", "bz", &format!("{i}.5"), &format!("m{i:012}")])
            }),
        ),
    };
    super::memory::send(&mut peer.client()?, count, 500, &request)
}

#[cfg(test)]
mod tests {
    #[test]
    fn rates_are_read() {
        let csv = "\"test\",\"rps\",\"avg\"\n\"SET\",\"123456.78\",\"0.1\"\n";
        assert_eq!(super::rate(csv), Some(123_456.78));
        assert_eq!(super::rate("Error from server: no\n"), None);
    }
}
