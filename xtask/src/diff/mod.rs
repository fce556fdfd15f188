//! `cargo xtask diff`: the same lines on a reference server and on ours, both printed, differences marked. With `--fuzz` the lines
//! are random.

mod describe;
mod dice;
mod fuzz;
mod replies;
mod requests;
mod state;

use std::io::Read;
use std::path::PathBuf;

use tests::{Client, Reply};

use crate::peer::{self, Peer};
use crate::place::{self, Profile};
use crate::{Error, Verdict};

const USAGE: &str = "\
cargo xtask diff 'COMMAND' 'COMMAND'... [OPTIONS]

Sends each line to a reference server and to ours, prints both replies and marks those that differ. Without lines they
are read from standard input. Empty lines and lines with # are skipped.
  --file FILE        read the lines from FILE
  --reference PATH   the reference server (else REDIS_REFERENCE, else the packaged redis-server)
  --server PATH      our server (else built)
  --debug            build the debug profile
  --only             print only what differs
  --fuzz             random requests, valid and not, until the time is over; a difference is shown as the shortest
                     sequence of requests that shows it
  --seconds N        how long (60)
  --family GROUP     only commands of this family: string, list, set, sorted-set, hash, field-expiry, generic, bitmap, hyperloglog,
                     geo, stream, transactions, pubsub
  --extremes         most numbers are at or beyond the limits of every width
  --protocol 2|3     only this protocol
  --seed N           where to begin (the time)
Exit code 0 when all replies are the same, 1 when some differ.";

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    use lexopt::prelude::*;
    let mut lines: Vec<String> = Vec::new();
    let mut given = false;
    let (mut reference, mut server): (Option<PathBuf>, Option<PathBuf>) = (None, None);
    let (mut only, mut profile, mut fuzz) = (false, Profile::Release, false);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut options = fuzz::Options {
        seconds: 60,
        family: None,
        protocol: None,
        seed: since_epoch.as_millis() as u64,
        extremes: false,
    };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("file") => {
                given = true;
                let text = std::fs::read_to_string(parser.value()?)?;
                lines.extend(text.lines().map(str::to_owned));
            }
            Long("reference") => reference = Some(parser.value()?.into()),
            Long("server") => server = Some(parser.value()?.into()),
            Long("debug") => profile = Profile::Dev,
            Long("only") => only = true,
            Long("fuzz") => fuzz = true,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("family") => options.family = Some(parser.value()?.string()?),
            Long("protocol") => options.protocol = Some(parser.value()?.parse()?),
            Long("extremes") => options.extremes = true,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(true);
            }
            Value(line) => {
                given = true;
                lines.push(line.string()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !given && !fuzz {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.retain(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let server = match server {
        Some(path) => std::fs::canonicalize(path)?,
        None => place::build(profile)?.server,
    };
    let reference = peer::reference(reference.as_deref())?;
    if fuzz {
        let (theirs, ours) = (Peer::start(&reference, fuzz::SERVER, None)?, Peer::start(&server, fuzz::SERVER, None)?);
        return fuzz::run(&theirs, &ours, &options);
    }
    let theirs = Peer::start(&reference, &[], None)?;
    let ours = Peer::start(&server, &[], None)?;
    let different = compare(&lines, &mut theirs.client()?, &mut ours.client()?, only)?;
    println!("{} lines, {different} with different replies", lines.len());
    Ok(different == 0)
}

fn compare(lines: &[String], theirs: &mut Client, ours: &mut Client, only: bool) -> Result<usize, Error> {
    let mut different = 0;
    for line in lines {
        let (reference, reply) = (ask(theirs, line)?, ask(ours, line)?);
        if reference == reply {
            if !only {
                println!("  {line}\n      {reply}");
            }
        } else {
            different += 1;
            println!("! {line}\n    - reference  {reference}\n    + ours       {reply}");
        }
    }
    Ok(different)
}

/// Sends a line as an inline request, so that the server splits it; the reply in short notation.
fn ask(client: &mut Client, line: &str) -> Result<String, Error> {
    client.send(format!("{line}\r\n").as_bytes())?;
    let reply = client.receive()?;
    Ok(match reply {
        // A long text such as INFO is easier to compare in lines.
        Reply::Verbatim(_, text) | Reply::Bulk(text) if text.contains(&b'\n') => {
            String::from_utf8_lossy(&text).replace("\r\n", "\n      ")
        }
        other => other.to_string(),
    })
}
