//! `--scan`: all keys, one per line.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::args::Output;
use crate::modes::{Scan, failed};
use crate::print;
use crate::progress::Progress;
use crate::session::Session;

/// COUNT when nobody said one, as in redis-cli; and after so many rounds, when there is much to come and no pauses between. The
/// keys come in the same order, with fewer rounds.
const COUNT: i64 = 10;
const ROUNDS: u64 = 20;
const COUNT_LATER: i64 = 250;

/// Bytes that are written at once when nobody watches.
const WRITE_SIZE: usize = 64 * 1024;

pub(crate) async fn run(mut session: Session) -> ExitCode {
    let options = session.options.clone();
    let style = session.style.clone();
    let mut scan = Scan::new(options.pattern, options.count.unwrap_or(COUNT));
    let grows = options.count.is_none() && options.interval.is_zero();
    let mut rounds = 0;
    let watched = std::io::stdout().is_terminal() || !options.interval.is_zero();
    // Keys on the same screen say enough.
    let mut progress = Progress::new("keys", options.plain || std::io::stdout().is_terminal());
    let mut seen = 0;
    let mut out = Vec::new();
    loop {
        rounds += 1;
        if grows && rounds > ROUNDS {
            scan.set_count(COUNT_LATER);
        }
        let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
        let keys = match scan.next(connection).await {
            Ok(Some(keys)) => keys,
            Ok(None) => {
                session.write(&out);
                return ExitCode::SUCCESS;
            }
            Err(error) => {
                session.write(&out);
                return failed(&error);
            }
        };
        for key in &keys {
            if style.output == Output::Standard {
                out.extend(print::reply(&style, key, false));
            } else {
                out.extend_from_slice(key.as_bytes().unwrap_or_default());
                out.push(b'\n');
            }
        }
        if watched || out.len() > WRITE_SIZE {
            session.write(&out);
            out.clear();
        }
        seen += keys.len() as u64;
        progress.show(seen, None);
        if !options.interval.is_zero() {
            tokio::time::sleep(options.interval).await;
        }
    }
}
