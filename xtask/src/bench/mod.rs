//! `cargo xtask bench`: our server beside a reference, in one run.
//!
//! Throughput is measured as processor time of the server per request, which counts even where the load generator or
//! the network is the bottleneck; the servers take turns inside each round and medians are reported. Memory is bytes
//! per element of `used_memory` and of the resident set, each shape on a new server. Persistence is saving and loading
//! strings and small collections, the processor time of a logged write, and the pauses that a snapshot makes.

mod memory;
mod persistence;
mod throughput;

use std::fmt::Write;
use std::path::PathBuf;

use crate::peer;
use crate::place::{self, Profile};
use crate::{Error, Verdict, fail};

const USAGE: &str = "\
cargo xtask bench [throughput] [memory] [persistence] [OPTIONS]

Measures our server and a reference side by side.
  --reference PATH   the reference server (else REDIS_REFERENCE, else the packaged redis-server)
  --server PATH      our server (else built in release)
  --rounds N         rounds of throughput and persistence, medians are printed (3)
  --scale X          multiplies the number of requests and elements (1)
  --only TEXT        workloads and shapes whose name contains TEXT
  --write            put the tables into README.md, between their markers";

/// What to measure, and on what.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Ours, then the reference.
    servers: [PathBuf; 2],
    rounds: usize,
    scale: f64,
    only: String,
}

impl Plan {
    fn chosen(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.only.to_lowercase())
    }

    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(1000)
    }
}

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let (mut which, mut reference, mut server): (Vec<String>, Option<PathBuf>, Option<PathBuf>) = Default::default();
    let (mut rounds, mut scale, mut only, mut write) = (3_usize, 1.0_f64, String::new(), false);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("reference") => reference = Some(parser.value()?.into()),
            Long("server") => server = Some(parser.value()?.into()),
            Long("rounds") => rounds = parser.value()?.parse::<usize>()?.clamp(1, 99),
            Long("scale") => scale = parser.value()?.parse::<f64>()?.clamp(0.001, 100.0),
            Long("only") => only = parser.value()?.string()?,
            Long("write") => write = true,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            Value(name) if name == "throughput" || name == "memory" || name == "persistence" => {
                which.push(name.string()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let server = match server {
        Some(path) => std::fs::canonicalize(path)?,
        None => place::build(Profile::Release)?.server,
    };
    let plan = Plan { servers: [server, peer::reference(reference.as_deref())?], rounds, scale, only };
    let mut readme = String::new();
    for (name, measure) in [
        ("throughput", throughput::measure as fn(&Plan) -> Result<Vec<Row>, Error>),
        ("memory", memory::measure as fn(&Plan) -> Result<Vec<Row>, Error>),
        ("persistence", persistence::measure as fn(&Plan) -> Result<Vec<Row>, Error>),
    ] {
        if !which.is_empty() && !which.iter().any(|wanted| wanted == name) {
            continue;
        }
        let rows = measure(&plan)?;
        if write {
            if readme.is_empty() {
                readme = std::fs::read_to_string(place::root().join("README.md"))?;
            }
            readme = between(&readme, name, &table(name, &rows))?;
        }
    }
    if write {
        std::fs::write(place::root().join("README.md"), readme)?;
        println!("README.md is written");
    }
    Ok(true)
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Workload or shape.
    name: String,
    /// Processor time per request in microseconds, bytes per element, or what the name says: ours, the reference's.
    cost: [f64; 2],
    /// Requests per second, or resident bytes per element, if there is such a thing: ours, the reference's.
    other: Option<[f64; 2]>,
}

/// A table in Markdown.
fn table(kind: &str, rows: &[Row]) -> String {
    let (cost, other, digits, other_digits) = match kind {
        "throughput" => ("CPU per request, µs: ours", Some("requests per second: ours"), 3, 0),
        "memory" => ("`used_memory` per element, bytes: ours", Some("resident, bytes: ours"), 1, 1),
        _ => ("redis-server-rs", None, 2, 0),
    };
    let heads = other.map(|other| [other, "Redis"]);
    let heads: Vec<&str> = ["", cost, "Redis", "ratio"].into_iter().chain(heads.into_iter().flatten()).collect();
    let mut out = format!("| {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len() - 1));
    for Row { name, cost: [ours, reference], other } in rows {
        let _ = write!(out, "| {name} | {ours:.digits$} | {reference:.digits$} | {:.2} |", ours / reference);
        if let Some([ours, reference]) = other {
            let _ = write!(out, " {ours:.other_digits$} | {reference:.other_digits$} |");
        }
        out.push('\n');
    }
    out
}

/// Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
fn between(text: &str, name: &str, content: &str) -> Result<String, Error> {
    let (start, end) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let parts = text.split_once(&start).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match parts {
        Some((before, after)) => Ok(format!("{before}{start}{content}{end}{after}")),
        None => fail!("README.md has no markers for bench:{name}"),
    }
}

/// The processor for the server (0) or the load (1), where there are two.
fn pinned(number: usize) -> Option<usize> {
    (place::processors() > 1).then_some(number)
}

/// The value in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_between_their_markers() {
        let text = "a\n<!-- bench:memory -->\nold\n<!-- /bench:memory -->\nb\n";
        let new = between(text, "memory", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench:memory -->\nnew\n<!-- /bench:memory -->\nb\n");
        assert_eq!(between(&new, "memory", "new\n").unwrap(), new);
        assert!(between(text, "throughput", "").is_err());
    }

    #[test]
    fn tables_have_a_column_for_each_number() {
        let row = Row { name: "GET".into(), cost: [1.0, 2.0], other: Some([30.0, 20.0]) };
        let expected = "|  | CPU per request, µs: ours | Redis | ratio | requests per second: ours | Redis |\n\
                        |---|--:|--:|--:|--:|--:|\n| GET | 1.000 | 2.000 | 0.50 | 30 | 20 |\n";
        assert_eq!(table("throughput", &[row]), expected);
        let row = Row { name: "SAVE, seconds".into(), cost: [1.0, 4.0], other: None };
        let expected =
            "|  | redis-server-rs | Redis | ratio |\n|---|--:|--:|--:|\n| SAVE, seconds | 1.00 | 4.00 | 0.25 |\n";
        assert_eq!(table("persistence", &[row]), expected);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }
}
