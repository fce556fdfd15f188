//! `--latency`, `--latency-history`, `--latency-dist` and `--intrinsic-latency`: how long a PING takes, and how long
//! the machine itself stalls a process that only computes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use crate::args::Output;
use crate::connection::{Connection, Error};
use crate::modes::failed;
use crate::session::Session;

/// Pause between two samples.
const PAUSE: Duration = Duration::from_millis(10);

/// How long `--latency` samples when its output is not a terminal.
const ONCE: Duration = Duration::from_secs(1);

/// How long one line of `--latency-history` covers.
const HISTORY: Duration = Duration::from_secs(15);

/// How long one line of `--latency-dist` covers.
const SPECTRUM: Duration = Duration::from_secs(1);

/// Lines of the spectrum between two legends.
const LEGEND_EVERY: usize = 20;

/// Times a PING in milliseconds, as the difference of two clock readings: the rounding evens out over many samples.
async fn sample(connection: &mut Connection, epoch: Instant) -> Result<u64, Error> {
    let before = epoch.elapsed().as_millis();
    connection.ask(&["PING"]).await?;
    Ok(u64::try_from(epoch.elapsed().as_millis() - before).unwrap_or(u64::MAX))
}

/// The samples of one line, in milliseconds.
#[derive(Debug, Default)]
struct Summary {
    min: u64,
    max: u64,
    total: u64,
    count: u64,
}

impl Summary {
    fn add(&mut self, latency: u64) {
        self.min = if self.count == 0 { latency } else { self.min.min(latency) };
        self.max = self.max.max(latency);
        self.total += latency;
        self.count += 1;
    }

    fn line(&self, output: Output) -> String {
        let Summary { min, max, count, .. } = self;
        let average = self.total as f64 / (*count).max(1) as f64;
        match output {
            Output::Standard => {
                format!("\x1b[0G\x1b[2Kmin: {min}, max: {max}, avg: {average:.2} ({count} samples)")
            }
            Output::Csv => format!("{min},{max},{average:.2},{count}\n"),
            Output::Raw => format!("{min} {max} {average:.2} {count}\n"),
            Output::Json | Output::QuotedJson => {
                format!("{{\"min\": {min}, \"max\": {max}, \"avg\": {average:.2}, \"count\": {count}}}\n")
            }
        }
    }
}

/// `--latency`, and with `history` a new line per interval.
pub(crate) async fn run(mut session: Session, history: bool) -> ExitCode {
    let output = session.style.output;
    let interval = match (session.options.interval, history) {
        (Duration::ZERO, true) => HISTORY,
        (Duration::ZERO, false) => ONCE,
        (interval, _) => interval,
    };
    let epoch = Instant::now();
    let mut summary = Summary::default();
    let mut begun = Instant::now();
    loop {
        let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
        match sample(connection, epoch).await {
            Ok(latency) => summary.add(latency),
            Err(error) => return failed(&error),
        }
        if history || output == Output::Standard {
            session.write(summary.line(output).as_bytes());
        }
        let elapsed = begun.elapsed();
        if elapsed > interval {
            if history {
                if output == Output::Standard {
                    session.write(format!(" -- {:.2} seconds range\n", elapsed.as_secs_f64()).as_bytes());
                }
                begun = Instant::now();
                summary = Summary::default();
            } else if output != Output::Standard {
                session.write(summary.line(output).as_bytes());
                return ExitCode::SUCCESS;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The classes of the spectrum: the longest latency in microseconds, and the letter.
const CLASSES: &[(u64, char)] = &[
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1_000, '1'),
    (2_000, '2'),
    (3_000, '3'),
    (4_000, '4'),
    (5_000, '5'),
    (6_000, '6'),
    (7_000, '7'),
    (8_000, '8'),
    (9_000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (16_000_000, 'O'),
    (30_000_000, 'P'),
    (60_000_000, 'Q'),
    (u64::MAX, '?'),
];

/// Backgrounds of the 256-colour palette, from never to always.
const PALETTE: &[u8] = &[0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 144, 143, 142, 184, 226, 214, 208, 202, 196];

fn legend() -> String {
    let rule = "---------------------------------------------";
    let mut out = format!(
        "{rule}\n\
         . - * #          .01 .125 .25 .5 milliseconds\n\
         1,2,3,...,9      from 1 to 9     milliseconds\n\
         A,B,C,D,E        10,20,30,40,50  milliseconds\n\
         F,G,H,I,J        .1,.2,.3,.4,.5       seconds\n\
         K,L,M,N,O,P,Q,?  1,2,4,8,16,30,60,>60 seconds\n\
         From 0 to 100%: "
    );
    for color in PALETTE {
        out.push_str(&format!("\x1b[48;5;{color}m "));
    }
    out.push_str(&format!("\x1b[0m\n{rule}\n"));
    out
}

fn spectrum(counts: &[u64]) -> String {
    let total: u64 = counts.iter().sum::<u64>().max(1);
    let mut out = String::from("\x1b[38;5;0m");
    for (count, (_, letter)) in counts.iter().zip(CLASSES) {
        // Rounded up: what happened at all is seen.
        let color = (count * (PALETTE.len() as u64 - 1)).div_ceil(total) as usize;
        out.push_str(&format!("\x1b[48;5;{}m{letter}", PALETTE[color.min(PALETTE.len() - 1)]));
    }
    out.push_str("\x1b[0m\n");
    out
}

/// `--latency-dist`: each interval a line whose letters are coloured by how many samples fell into their class.
pub(crate) async fn distribution(mut session: Session) -> ExitCode {
    let interval = match session.options.interval {
        Duration::ZERO => SPECTRUM,
        interval => interval,
    };
    let mut counts = vec![0; CLASSES.len()];
    let mut begun = Instant::now();
    let mut lines = 0;
    loop {
        let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
        let before = Instant::now();
        if let Err(error) = connection.ask(&["PING"]).await {
            return failed(&error);
        }
        let micros = u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts[CLASSES.partition_point(|(longest, _)| *longest < micros)] += 1;
        if begun.elapsed() > interval {
            if lines % LEGEND_EVERY == 0 {
                session.write(legend().as_bytes());
            }
            session.write(spectrum(&counts).as_bytes());
            lines += 1;
            counts.fill(0);
            begun = Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Steps of the computation that one run of `--intrinsic-latency` times.
const STEPS: u32 = 64;

/// `--intrinsic-latency`: computes for `seconds` and tells the longest interruption. Needs no server.
pub(crate) async fn intrinsic(seconds: i64) -> ExitCode {
    let limit = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let mut interrupts = match signal(SignalKind::interrupt()) {
        Ok(interrupts) => interrupts,
        Err(error) => {
            eprintln!("Cannot handle Ctrl-C: {error}");
            return ExitCode::FAILURE;
        }
    };
    let begun = Instant::now();
    let (mut longest, mut runs, mut before) = (Duration::ZERO, 0u64, begun);
    let mut state = 1u64;
    loop {
        for _ in 0..STEPS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        std::hint::black_box(state);
        let now = Instant::now();
        runs += 1;
        if now - before > longest {
            longest = now - before;
            println!("Max latency so far: {} microseconds.", longest.as_micros());
        }
        before = now;
        let done = now - begun > limit;
        // Seldom enough not to be what is measured.
        let interrupted = runs.is_multiple_of(1 << 16)
            && tokio::time::timeout(Duration::ZERO, interrupts.recv()).await.is_ok_and(|signal| signal.is_some());
        if done || interrupted {
            break;
        }
        // The time spent on looking for Ctrl-C is no interruption.
        if runs.is_multiple_of(1 << 16) {
            before = Instant::now();
        }
    }
    let average = begun.elapsed().as_secs_f64() * 1e6 / runs as f64;
    println!(
        "\n{runs} total runs (avg latency: {average:.4} microseconds / {:.2} nanoseconds per run).\n\
         Worst run took {:.0}x longer than the average latency.",
        average * 1e3,
        longest.as_secs_f64() * 1e6 / average
    );
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_in_every_format() {
        let mut summary = Summary::default();
        [3, 1, 4].into_iter().for_each(|latency| summary.add(latency));
        assert_eq!(summary.line(Output::Raw), "1 4 2.67 3\n");
        assert_eq!(summary.line(Output::Csv), "1,4,2.67,3\n");
        assert_eq!(summary.line(Output::Json), "{\"min\": 1, \"max\": 4, \"avg\": 2.67, \"count\": 3}\n");
        assert_eq!(summary.line(Output::Standard), "\x1b[0G\x1b[2Kmin: 1, max: 4, avg: 2.67 (3 samples)");
    }

    #[test]
    fn rare_classes_are_seen_and_common_ones_stand_out() {
        let mut counts = vec![0; CLASSES.len()];
        counts[1] = 999;
        counts[30] = 1;
        let line = spectrum(&counts);
        assert!(line.starts_with("\x1b[38;5;0m\x1b[48;5;0m.\x1b[48;5;196m-\x1b[48;5;0m*"), "{line:?}");
        assert!(line.ends_with("\x1b[48;5;233m?\x1b[0m\n"), "{line:?}");
        assert_eq!(spectrum(&vec![0; CLASSES.len()]).matches("48;5;0m").count(), CLASSES.len());
    }
}
