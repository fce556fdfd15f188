//! `--keystats`: walks the keyspace and tells how memory, elements and the lengths of names are distributed.

use std::process::ExitCode;

use hdrhistogram::Histogram;
use resp::inline::quote;
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::Error;
use crate::modes::failed;
use crate::modes::sample::{Answer, Display, Kind, Question, Walk, ratio};
use crate::modes::stat::human;
use crate::percentiles::rows;
use crate::session::Session;

/// Largest size that is told apart, in bytes.
const SIZE_MAX: u64 = 1 << 40;

/// Significant digits of sizes: they are told to a hundredth of a per cent.
const DIGITS: u8 = 4;

/// Upper limits of the classes of name lengths, in bytes: the last is the longest string there is.
const NAME_CLASSES: [u64; 6] = [1 << 5, 1 << 8, 1 << 16, 1 << 20, 1 << 24, 1 << 29];

/// The largest key of a type by one measure.
#[derive(Debug, Default)]
struct Largest {
    name: String,
    size: u64,
}

impl Largest {
    fn note(&mut self, size: u64, key: &[u8]) {
        if size > self.size {
            // As it is, but for what would act on a terminal.
            let name = String::from_utf8_lossy(key).into_owned();
            *self = Largest { name: name.replace(char::is_control, ""), size };
        }
    }
}

/// What was seen of one type.
#[derive(Debug, Default)]
struct Seen {
    keys: u64,
    memory: u64,
    length: u64,
    by_memory: Largest,
    by_length: Largest,
}

/// What was seen of all keys.
struct Stats {
    seen: Vec<Seen>,
    keys: u64,
    memory: u64,
    name_bytes: u64,
    name_longest: u64,
    name_classes: [u64; NAME_CLASSES.len()],
    sizes: Histogram<u64>,
    /// The largest keys: size, type and quoted name, the largest first.
    top: Vec<(u64, usize, String)>,
    top_max: usize,
}

impl Stats {
    fn new(top_max: usize) -> Result<Stats, Error> {
        let sizes = Histogram::new_with_bounds(1, SIZE_MAX, DIGITS)
            .map_err(|error| Error::Protocol(format!("cannot count sizes: {error}")))?;
        Ok(Stats {
            seen: Vec::new(),
            keys: 0,
            memory: 0,
            name_bytes: 0,
            name_longest: 0,
            name_classes: [0; NAME_CLASSES.len()],
            sizes,
            top: Vec::new(),
            top_max,
        })
    }

    fn add(&mut self, answer: &Answer) {
        if self.seen.len() <= answer.kind {
            self.seen.resize_with(answer.kind + 1, Seen::default);
        }
        let seen = &mut self.seen[answer.kind];
        seen.keys += 1;
        seen.memory += answer.memory;
        seen.length += answer.length;
        seen.by_memory.note(answer.memory, &answer.key);
        seen.by_length.note(answer.length, &answer.key);
        let name_length = answer.key.len() as u64;
        self.keys += 1;
        self.memory += answer.memory;
        self.name_bytes += name_length;
        self.name_longest = self.name_longest.max(name_length);
        let class = NAME_CLASSES.partition_point(|limit| *limit < name_length).min(NAME_CLASSES.len() - 1);
        self.name_classes[class] += 1;
        self.sizes.saturating_record(answer.memory);
        let place = self.top.partition_point(|(size, ..)| *size >= answer.memory);
        if place < self.top_max {
            self.top.insert(place, (answer.memory, answer.kind, quote(&answer.key).to_string()));
            self.top.truncate(self.top_max);
        }
    }

    fn report(&self, kinds: &[Kind]) -> String {
        let mut out = format!("Keys sampled: {}\nKeys size:    {}\n", self.keys, size(self.memory));
        out.push_str(&format!("\n--- Top {} key sizes ---\n", self.top_max));
        for (rank, (memory, kind, name)) in self.top.iter().enumerate() {
            out.push_str(&format!("{:>3} {:>8} {:<10} {name}\n", rank + 1, size(*memory), kinds[*kind].name));
        }
        out.push_str("\n--- Top size per type ---\n");
        for (kind, seen) in kinds.iter().zip(&self.seen) {
            if !seen.by_memory.name.is_empty() || seen.by_memory.size > 0 {
                out.push_str(&format!("{:<10} {} is {}\n", kind.name, seen.by_memory.name, size(seen.by_memory.size)));
            }
        }
        out.push_str("\n--- Top length and cardinality per type ---\n");
        for (kind, seen) in kinds.iter().zip(&self.seen) {
            if seen.by_length.size > 0 {
                let amount = length(kind, seen.by_length.size);
                out.push_str(&format!("{:<10} {} has {amount}\n", kind.name, seen.by_length.name));
            }
        }
        self.size_distribution(&mut out);
        self.name_distribution(&mut out);
        self.types(&mut out, kinds);
        out
    }

    fn size_distribution(&self, out: &mut String) {
        out.push_str("\nKey size Percentile Total keys\n-------- ---------- -----------\n");
        for row in rows(&self.sizes) {
            // The rows that have all keys say the same: one is enough.
            let percentile = match row.cumulative == self.keys {
                true => 100.0,
                false => row.percentile,
            };
            let value = row.value.min(self.sizes.max());
            out.push_str(&format!("{:>8} {percentile:>9.4}% {:>11}\n", size(value), row.cumulative));
            if row.cumulative == self.keys {
                break;
            }
        }
        let (mean, deviation) = match self.keys {
            0 => (0.0, 0.0),
            _ => (self.sizes.mean(), self.sizes.stdev()),
        };
        out.push_str(&format!(
            "Note: 0.01% size precision, Mean: {}, StdDeviation: {}\n",
            size(mean as u64),
            size(deviation as u64)
        ));
    }

    fn name_distribution(&self, out: &mut String) {
        out.push_str("\nKey name length Percentile Total keys\n--------------- ---------- -----------\n");
        let mut cumulative = 0;
        for (limit, count) in NAME_CLASSES.iter().zip(self.name_classes) {
            cumulative += count;
            if count > 0 {
                out.push_str(&format!(
                    "{:>15} {:>9.4}% {cumulative:>11}\n",
                    size((*limit).min(self.name_longest)),
                    100.0 * ratio(cumulative, self.keys)
                ));
            }
        }
        let average = self.name_bytes.checked_div(self.keys).map_or("0".to_owned(), size);
        out.push_str(&format!("Total key length is {} ({average} avg)\n", size(self.name_bytes)));
    }

    fn types(&self, out: &mut String, kinds: &[Kind]) {
        out.push_str(
            "\nType        Total keys  Keys % Tot size Avg size  Total length/card Avg ln/card\n\
             --------- ------------ ------- -------- -------- ------------------ -----------\n",
        );
        for (kind, seen) in kinds.iter().zip(&self.seen).filter(|(_, seen)| seen.keys > 0) {
            let average = match kind.name.as_str() {
                "string" => size(seen.length / seen.keys),
                _ => format!("{:.2}", ratio(seen.length, seen.keys)),
            };
            out.push_str(&format!(
                "{:<10} {:>11} {:>6.2}% {:>8} {:>8} {:>18} {average:>11}\n",
                kind.name,
                seen.keys,
                100.0 * ratio(seen.keys, self.keys),
                size(seen.memory),
                size(seen.memory / seen.keys),
                length(kind, seen.length),
            ));
        }
    }
}

fn size(bytes: u64) -> String {
    human(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// `3 items`; of strings the bytes.
fn length(kind: &Kind, length: u64) -> String {
    match kind.name.as_str() {
        "string" => size(length),
        _ => format!("{length} {}", kind.unit),
    }
}

pub(crate) async fn run(mut session: Session, tty: bool) -> ExitCode {
    let question = Question::Both(session.options.samples);
    let mut walk = match Walk::start(&mut session, question).await {
        Ok(walk) => walk,
        Err(code) => return code,
    };
    session.write(
        b"\n# Scanning the entire keyspace to find the biggest keys and distribution information.\n\
          # Use -i 0.1 to sleep 0.1 sec per 100 SCAN commands (not usually needed).\n\
          # Use --cursor <n> to start the scan at the cursor <n> (usually after a Ctrl-C).\n\
          # Use --top <n> to display <n> top key sizes (default is 10).\n\
          # Ctrl-C to stop the scan.\n\n",
    );
    match search(&mut session, &mut walk, tty).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn search(session: &mut Session, walk: &mut Walk, tty: bool) -> Result<(), Error> {
    let mut display = Display::new(tty);
    let mut stats = Stats::new(session.options.top)?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut interrupted = false;
    loop {
        let answers = tokio::select! {
            answers = walk.next(session) => answers?,
            _ = interrupts.recv() => {
                interrupted = true;
                break;
            }
        };
        let Some(answers) = answers else { break };
        for answer in &answers {
            walk.progress.sampled += 1;
            stats.add(answer);
        }
        if display.is_on() {
            display.draw(session, walk.progress.percent(), &stats.report(&walk.kinds.all));
        }
    }
    if !display.is_on() {
        let report = format!("{:6.2}% keys scanned\n{}", walk.progress.percent(), stats.report(&walk.kinds.all));
        session.write(report.as_bytes());
    }
    if interrupted {
        session.write(
            format!("\nScan interrupted:\nUse '--cursor {}' to restart from the last cursor.\n", walk.cursor())
                .as_bytes(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modes::sample::Kinds;

    fn stats(keys: &[(&str, usize, u64, u64)]) -> String {
        let mut stats = Stats::new(2).unwrap();
        for (key, kind, length, memory) in keys {
            stats.add(&Answer {
                key: key.as_bytes().to_vec(),
                kind: *kind,
                length: *length,
                memory: *memory,
                ..Answer::default()
            });
        }
        stats.report(&Kinds::new().all)
    }

    #[test]
    fn a_report() {
        let report = stats(&[("a", 3, 20, 64), ("b\u{1}\"", 0, 3, 4728), ("c", 3, 2, 64), ("d", 3, 1, 56)]);
        for line in [
            "Keys sampled: 4\nKeys size:    4.80K\n",
            "--- Top 2 key sizes ---\n  1    4.62K list       \"b\\x01\\\"\"\n  2      64B string     \"a\"\n\n",
            "list       b\" is 4.62K\nstring     a is 64B\n",
            "list       b\" has 3 items\nstring     a has 20B\n",
            "     56B    0.0000%           1\n     64B   50.0000%           3\n   4.62K  100.0000%           4\n",
            "             3B  100.0000%           4\nTotal key length is 6B (1B avg)\n",
            "string               3  75.00%     184B      61B                23B          7B\n",
        ] {
            assert!(report.contains(line), "{line}\n{report}");
        }
    }

    #[test]
    fn nothing_to_report() {
        assert!(stats(&[]).contains("Mean: 0B, StdDeviation: 0B\n"));
    }
}
