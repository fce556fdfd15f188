//! `cargo xtask bench`: our server beside a reference, in one run.
//!
//! Throughput is measured as processor time of the server per request, which counts even where the load generator or
//! the network is the bottleneck; the servers take turns inside each round and medians are reported. Memory is bytes
//! per element of `used_memory` and of the resident set, each shape on a new server.

mod memory;
mod throughput;

use std::fmt::Write;
use std::path::PathBuf;

use crate::peer;
use crate::place::{self, Profile};
use crate::{Error, Verdict, fail};

const USAGE: &str = "\
cargo xtask bench [throughput] [memory] [OPTIONS]

Measures our server and a reference side by side.
  --reference PATH   the reference server (else REDIS_REFERENCE, else the packaged redis-server)
  --server PATH      our server (else built in release)
  --rounds N         rounds of the throughput, medians are printed (3)
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
            Value(name) if name == "throughput" || name == "memory" => which.push(name.string()?),
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
    /// Processor time per request in microseconds, or bytes per element: ours, the reference's.
    cost: [f64; 2],
    /// Requests per second, or resident bytes per element: ours, the reference's.
    other: [f64; 2],
}

/// A table in Markdown.
fn table(kind: &str, rows: &[Row]) -> String {
    let (cost, other) = match kind {
        "throughput" => ("CPU per request, µs", "requests per second"),
        _ => ("`used_memory` per element, bytes", "resident, bytes"),
    };
    let mut out = format!("| | {cost}: ours | Redis | ratio | {other}: ours | Redis |\n|---|--:|--:|--:|--:|--:|\n");
    for row in rows {
        let digits = if kind == "throughput" { 3 } else { 1 };
        let other_digits = usize::from(kind != "throughput");
        let _ = writeln!(
            out,
            "| {} | {:.digits$} | {:.digits$} | {:.2} | {:.other_digits$} | {:.other_digits$} |",
            row.name,
            row.cost[0],
            row.cost[1],
            row.cost[0] / row.cost[1],
            row.other[0],
            row.other[1]
        );
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
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }
}
