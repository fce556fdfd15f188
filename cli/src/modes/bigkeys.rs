//! `--bigkeys`: walks the keyspace and tells the biggest key of each type.

use std::collections::HashMap;
use std::process::ExitCode;

use resp::Value;
use resp::inline::quote;

use crate::connection::{Connection, Error};
use crate::modes::{Scan, failed};
use crate::session::Session;

/// Batches between two pauses of `-i`.
const BATCHES_PER_PAUSE: u64 = 100;

/// One type: what its elements are called, which command counts them, and what was seen.
struct Kind {
    name: String,
    unit: &'static str,
    command: Option<&'static str>,
    keys: u64,
    total: u64,
    biggest: u64,
    biggest_key: Option<String>,
}

impl Kind {
    fn new(name: &str, unit: &'static str, command: Option<&'static str>) -> Kind {
        Kind { name: name.to_owned(), unit, command, keys: 0, total: 0, biggest: 0, biggest_key: None }
    }
}

/// The types that every server has; others are counted without a size.
fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("list", "items", Some("LLEN")),
        Kind::new("hash", "fields", Some("HLEN")),
        Kind::new("stream", "entries", Some("XLEN")),
        Kind::new("string", "bytes", Some("STRLEN")),
        Kind::new("set", "members", Some("SCARD")),
        Kind::new("zset", "members", Some("ZCARD")),
    ]
}

pub(crate) async fn run(mut session: Session) -> ExitCode {
    match search(&mut session).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

/// Sends one command per key and collects the replies.
async fn each(connection: &mut Connection, requests: &[(&str, &[u8])]) -> Result<Vec<Value>, Error> {
    let mut bytes = Vec::new();
    for (command, key) in requests {
        crate::connection::encode(&mut bytes, &[command.as_bytes(), key]);
    }
    connection.send_raw(&bytes).await?;
    let mut replies = Vec::with_capacity(requests.len());
    while replies.len() < requests.len() {
        match connection.receive().await? {
            Value::Push(_) => {}
            reply => replies.push(reply),
        }
    }
    Ok(replies)
}

async fn search(session: &mut Session) -> Result<bool, Error> {
    let options = session.options.clone();
    let Some(connection) = session.connection().await else { return Ok(false) };
    let total = connection.ask(&["DBSIZE"]).await?.as_i64().unwrap_or(0);
    session.write(
        b"\n# Scanning the entire keyspace to find biggest keys as well as\n\
          # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
          # per 100 SCAN commands (not usually needed).\n\n",
    );
    let mut kinds = kinds();
    let mut known: HashMap<Vec<u8>, usize> =
        kinds.iter().enumerate().map(|(index, kind)| (kind.name.clone().into_bytes(), index)).collect();
    let mut scan = Scan::new(options.pattern, options.count);
    let (mut sampled, mut key_bytes, mut batches) = (0u64, 0u64, 0u64);
    loop {
        let Some(connection) = session.connection().await else { return Ok(false) };
        let Some(keys) = scan.next(connection).await? else { break };
        let keys: Vec<&[u8]> = keys.iter().filter_map(Value::as_bytes).collect();
        let percent = if total > 0 { (100.0 * sampled as f64 / total as f64).min(100.0) } else { 0.0 };
        let types: Vec<(&str, &[u8])> = keys.iter().map(|key| ("TYPE", *key)).collect();
        let types = each(connection, &types).await?;
        let mut sized = Vec::new();
        for (key, reply) in keys.iter().zip(&types) {
            let Some(name) = reply.as_bytes().filter(|_| !reply.is_error()) else {
                return Err(Error::Protocol("unexpected reply to TYPE".to_owned()));
            };
            // The key has gone since SCAN saw it.
            if name == b"none" {
                continue;
            }
            let index = *known.entry(name.to_vec()).or_insert_with(|| {
                kinds.push(Kind::new(&String::from_utf8_lossy(name), "?", None));
                kinds.len() - 1
            });
            sized.push((index, *key));
        }
        let requests: Vec<(&str, &[u8])> =
            sized.iter().filter_map(|(index, key)| Some((kinds[*index].command?, *key))).collect();
        let mut sizes = each(connection, &requests).await?.into_iter();
        let mut out = String::new();
        for (index, key) in sized {
            let kind = &mut kinds[index];
            let size = match kind.command {
                Some(_) => sizes.next().and_then(|size| size.as_i64()).unwrap_or(0).max(0).unsigned_abs(),
                None => 0,
            };
            sampled += 1;
            key_bytes += key.len() as u64;
            kind.keys += 1;
            kind.total += size;
            if kind.biggest < size {
                kind.biggest = size;
                let name = quote(key);
                out.push_str(&format!(
                    "[{percent:05.2}%] Biggest {:<6} found so far {name} with {size} {}\n",
                    kind.name, kind.unit
                ));
                kind.biggest_key = Some(name);
            }
        }
        session.write(out.as_bytes());
        batches += 1;
        if batches % BATCHES_PER_PAUSE == 0 && !options.interval.is_zero() {
            tokio::time::sleep(options.interval).await;
        }
    }
    session.write(summary(&kinds, sampled, key_bytes).as_bytes());
    Ok(true)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn summary(kinds: &[Kind], sampled: u64, key_bytes: u64) -> String {
    let mut out = format!(
        "\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!\n\
         Total key length in bytes is {key_bytes} (avg len {:.2})\n\n",
        ratio(key_bytes, sampled)
    );
    for kind in kinds {
        if let Some(key) = &kind.biggest_key {
            out.push_str(&format!("Biggest {:>6} found {key} has {} {}\n", kind.name, kind.biggest, kind.unit));
        }
    }
    out.push('\n');
    for kind in kinds {
        out.push_str(&format!(
            "{} {}s with {} {} ({:05.2}% of keys, avg size {:.2})\n",
            kind.keys,
            kind.name,
            kind.total,
            kind.unit,
            100.0 * ratio(kind.keys, sampled),
            ratio(kind.total, kind.keys)
        ));
    }
    out
}
