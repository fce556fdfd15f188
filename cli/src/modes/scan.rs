//! `--scan`: all keys, one per line.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::args::Output;
use crate::modes::{Scan, failed};
use crate::print;
use crate::progress::Progress;
use crate::session::Session;

/// Keys asked for at once when nobody said how many: they come in the same order, with fewer rounds.
const COUNT: i64 = 250;

/// COUNT between pauses of `-i`, as in redis-cli.
const COUNT_WITH_PAUSES: i64 = 10;

/// Bytes that are written at once when nobody watches.
const WRITE_SIZE: usize = 64 * 1024;

pub(crate) async fn run(mut session: Session) -> ExitCode {
    let options = session.options.clone();
    let style = session.style.clone();
    let count = if options.interval.is_zero() { COUNT } else { COUNT_WITH_PAUSES };
    let mut scan = Scan::new(options.pattern, options.count.unwrap_or(count));
    let watched = std::io::stdout().is_terminal() || !options.interval.is_zero();
    // Keys on the same screen say enough.
    let mut progress = Progress::new("keys", options.plain || std::io::stdout().is_terminal());
    let mut seen = 0;
    let mut out = Vec::new();
    loop {
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
