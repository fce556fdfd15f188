//! `--scan`: all keys, one per line.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::args::Output;
use crate::modes::{Scan, failed};
use crate::print;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn run(mut session: Session) -> ExitCode {
    let options = session.options.clone();
    let style = session.style.clone();
    let mut scan = Scan::new(options.pattern, options.count);
    // Keys on the same screen say enough.
    let mut progress = Progress::new("keys", options.plain || std::io::stdout().is_terminal());
    let mut seen = 0;
    loop {
        let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
        let keys = match scan.next(connection).await {
            Ok(Some(keys)) => keys,
            Ok(None) => return ExitCode::SUCCESS,
            Err(error) => return failed(&error),
        };
        let mut out = Vec::new();
        for key in &keys {
            if style.output == Output::Standard {
                out.extend(print::reply(&style, key, false));
            } else {
                out.extend_from_slice(key.as_bytes().unwrap_or_default());
                out.push(b'\n');
            }
        }
        session.write(&out);
        seen += keys.len() as u64;
        progress.show(seen, None);
        if !options.interval.is_zero() {
            tokio::time::sleep(options.interval).await;
        }
    }
}
