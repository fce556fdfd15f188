//! `--bigkeys` and `--memkeys`: walk the keyspace and tell the biggest key of each type, by elements or by memory.

use std::process::ExitCode;

use resp::inline::quote;

use crate::connection::Error;
use crate::modes::failed;
use crate::modes::sample::{Answer, Display, Kind, Question, Walk, ratio};
use crate::session::Session;

/// What was seen of one type.
#[derive(Debug, Default)]
struct Seen {
    keys: u64,
    total: u64,
    biggest: u64,
    /// Quoted.
    biggest_key: Option<String>,
}

/// `by_memory`: measure bytes instead of elements.
pub(crate) async fn run(mut session: Session, by_memory: bool, tty: bool) -> ExitCode {
    let question = match by_memory {
        true => Question::Memory(session.options.samples),
        false => Question::Length,
    };
    let mut walk = match Walk::start(&mut session, question).await {
        Ok(walk) => walk,
        Err(code) => return code,
    };
    session.write(
        b"\n# Scanning the entire keyspace to find biggest keys as well as\n\
          # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
          # per 100 SCAN commands (not usually needed).\n\n",
    );
    match search(&mut session, &mut walk, by_memory, tty).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// How often a walk without a terminal shows that it goes on.
const KEYS_PER_LINE: u64 = 1_000_000;

async fn search(session: &mut Session, walk: &mut Walk, by_memory: bool, tty: bool) -> Result<(), Error> {
    let mut display = Display::new(tty);
    let mut seen: Vec<Seen> = Vec::new();
    let mut key_bytes = 0;
    while let Some(answers) = walk.next(session).await? {
        let percent = walk.progress.percent();
        seen.resize_with(walk.kinds.all.len(), Seen::default);
        let mut out = String::new();
        for answer in answers {
            walk.progress.sampled += 1;
            key_bytes += answer.key.len() as u64;
            let kind = &walk.kinds.all[answer.kind];
            if let Some(found) = note(&mut seen[answer.kind], kind, &answer, by_memory) {
                out.push_str(&format!("[{percent:05.2}%] {found}\n"));
            }
            if walk.progress.sampled.is_multiple_of(KEYS_PER_LINE) {
                out.push_str(&format!("[{percent:05.2}%] Sampled {} keys so far\n", walk.progress.sampled));
            }
        }
        if display.is_on() {
            display.draw(session, walk.progress.percent(), &format!("Keys sampled: {}", walk.progress.sampled));
        } else {
            session.write(out.as_bytes());
        }
    }
    seen.resize_with(walk.kinds.all.len(), Seen::default);
    if walk.progress.sampled == 0 {
        // redis-cli's table of types is in another order until a first key is looked up in it.
        walk.kinds.all.swap(LIST, SET);
        walk.kinds.all[LIST + 2..=SET].rotate_right(1);
    }
    session.write(summary(&walk.kinds.all, &seen, walk.progress.sampled, key_bytes, by_memory).as_bytes());
    Ok(())
}

/// Where [`sample::Kinds::new`](crate::modes::sample::Kinds::new) has lists and sets.
const LIST: usize = 0;
const SET: usize = 4;

fn unit(kind: &Kind, by_memory: bool) -> &'static str {
    if by_memory { "bytes" } else { kind.unit }
}

/// Takes in one key; the news when it is the biggest so far.
fn note(seen: &mut Seen, kind: &Kind, answer: &Answer, by_memory: bool) -> Option<String> {
    let size = if by_memory { answer.memory } else { answer.length };
    seen.keys += 1;
    seen.total += size;
    if size <= seen.biggest {
        return None;
    }
    seen.biggest = size;
    let name = quote(&answer.key);
    let found = format!("Biggest {:<6} found so far {name} with {size} {}", kind.name, unit(kind, by_memory));
    seen.biggest_key = Some(name);
    Some(found)
}

fn summary(kinds: &[Kind], seen: &[Seen], sampled: u64, key_bytes: u64, by_memory: bool) -> String {
    let mut out = format!(
        "\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!\n\
         Total key length in bytes is {key_bytes} (avg len {:.2})\n\n",
        ratio(key_bytes, sampled)
    );
    for (kind, seen) in kinds.iter().zip(seen) {
        if let Some(key) = &seen.biggest_key {
            let unit = unit(kind, by_memory);
            out.push_str(&format!("Biggest {:>6} found {key} has {} {unit}\n", kind.name, seen.biggest));
        }
    }
    out.push('\n');
    for (kind, seen) in kinds.iter().zip(seen) {
        out.push_str(&format!(
            "{} {}s with {} {} ({:05.2}% of keys, avg size {:.2})\n",
            seen.keys,
            kind.name,
            seen.total,
            unit(kind, by_memory),
            100.0 * ratio(seen.keys, sampled),
            ratio(seen.total, seen.keys)
        ));
    }
    out
}
