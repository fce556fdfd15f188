//! LATENCY. <https://redis.io/docs/latest/commands/latency/>

use engine::args::Args;
use engine::command::{Arg, Arity, Flags, Group};
use engine::ctx::{CmdResult, Outcome};
use engine::error::CommandError;

use super::HostCommand;
use crate::exec::{Call, HostFn};
use crate::latency::Series;

/// The declarations.
pub const COMMANDS: &[&HostCommand] = &[&LATENCY];

/// Columns of a graph.
const GRAPH_WIDTH: usize = 80;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

const LATENCY: HostCommand = HostCommand {
    name: "latency",
    arity: Arity::AtLeast(2),
    group: Group::Server,
    since: "2.8.13",
    complexity: "Depends on subcommand.",
    summary: "A container for commands about latency.",
    subcommands: &[&DOCTOR, &GRAPH, &HELP, &HISTOGRAM, &HISTORY, &LATEST, &RESET],
    ..HostCommand::BASE
};

const LATEST: HostCommand = HostCommand {
    name: "latest",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.13",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    complexity: "O(1)",
    summary: "Returns the latest sample of every event.",
    run: HostFn(|call, _| {
        let events = &call.server.latency.events;
        call.out.array(events.len());
        for (event, series) in events {
            let &(time, ms) = series.samples.back().expect("a series begins with a sample");
            call.out.array(4);
            call.out.bulk(event.as_bytes());
            call.out.integer(time);
            call.out.integer(ms as i64);
            call.out.integer(series.max_ms as i64);
        }
        Ok(Outcome::Done)
    }),
    ..HostCommand::BASE
};

const HISTORY: HostCommand = HostCommand {
    name: "history",
    arity: Arity::Exactly(3),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.13",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    complexity: "O(1)",
    summary: "Returns the samples of an event.",
    args: &[Arg::string("event")],
    run: HostFn(history),
    ..HostCommand::BASE
};

fn series<'a>(call: &'a Call<'_>, event: &[u8]) -> Option<(&'static str, &'a Series)> {
    let events = &call.server.latency.events;
    events.iter().find(|(name, _)| name.as_bytes() == event).map(|(&name, series)| (name, series))
}

fn history(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let samples: Vec<(i64, u64)> =
        series(call, args.next()?).map(|(_, series)| series.samples.iter().copied().collect()).unwrap_or_default();
    call.out.array(samples.len());
    for (time, ms) in samples {
        call.out.array(2);
        call.out.integer(time);
        call.out.integer(ms as i64);
    }
    Ok(Outcome::Done)
}

const GRAPH: HostCommand = HostCommand {
    name: "graph",
    arity: Arity::Exactly(3),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.13",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    complexity: "O(1)",
    summary: "Draws the samples of an event.",
    args: &[Arg::string("event")],
    run: HostFn(graph),
    ..HostCommand::BASE
};

fn graph(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let event = args.next()?;
    let now = call.now.secs();
    let Some((name, series)) = series(call, event) else {
        let event = String::from_utf8_lossy(event);
        return Err(CommandError::owned(format!("ERR No samples available for event '{event}'")));
    };
    let text = draw(name, series, now);
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// Four rows of bars, one column a sample, its age written below from top to bottom.
fn draw(name: &str, series: &Series, now: i64) -> String {
    const ROWS: u64 = 4;
    let shown = series.samples.len().min(GRAPH_WIDTH);
    let samples: Vec<(i64, u64)> = series.samples.iter().skip(series.samples.len() - shown).copied().collect();
    let low = samples.iter().map(|sample| sample.1).min().unwrap_or(0);
    let high = samples.iter().map(|sample| sample.1).max().unwrap_or(0);
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max_ms);
    text.push_str(&"-".repeat(GRAPH_WIDTH));
    text.push_str("\n\n");
    let span = (high - low).max(1);
    // Three levels to a row.
    let level = |ms: u64| if high == low { 1 } else { 1 + (ms - low) * (ROWS * 3 - 1) / span };
    for row in (0..ROWS).rev() {
        for &(_, ms) in &samples {
            text.push(match level(ms).saturating_sub(row * 3) {
                0 => ' ',
                1 => '_',
                2 => 'o',
                3 => '#',
                _ => '|',
            });
        }
        text.push('\n');
    }
    text.push('\n');
    let labels: Vec<Vec<u8>> = samples.iter().map(|&(time, _)| age(now - time).into_bytes()).collect();
    let depth = labels.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..depth {
        text.extend(labels.iter().map(|label| label.get(row).map_or(' ', |&byte| char::from(byte))));
        text.push('\n');
    }
    text
}

fn age(secs: i64) -> String {
    match secs {
        ..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86400),
    }
}

const RESET: HostCommand = HostCommand {
    name: "reset",
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.13",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    complexity: "O(1)",
    summary: "Forgets the samples of some events, or all.",
    args: &[Arg::string("event").optional().many()],
    run: HostFn(reset),
    ..HostCommand::BASE
};

fn reset(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let names = args.take_rest();
    let events = &mut call.server.latency.events;
    let before = events.len();
    events
        .retain(|event, _| !names.is_empty() && !names.iter().any(|name| name.eq_ignore_ascii_case(event.as_bytes())));
    call.out.integer((before - events.len()) as i64);
    Ok(Outcome::Done)
}

const DOCTOR: HostCommand = HostCommand {
    name: "doctor",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    group: Group::Server,
    since: "2.8.13",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    complexity: "O(1)",
    summary: "Tells in words what the samples show.",
    run: HostFn(doctor),
    ..HostCommand::BASE
};

fn doctor(call: &mut Call<'_>, _: &mut Args<'_>) -> CmdResult {
    let latency = &call.server.latency;
    let mut text = String::new();
    if latency.threshold_ms == 0 && latency.events.is_empty() {
        text.push_str(
            "Latency monitoring is disabled in this Redis instance. Use \"CONFIG SET latency-monitor-threshold <milliseconds>\" to enable it.\n",
        );
    } else if latency.events.is_empty() {
        text.push_str("No latency spike was observed: nothing took as long as latency-monitor-threshold.\n");
    } else {
        text.push_str("Latency spikes were observed in these events:\n\n");
        for (event, series) in &latency.events {
            let count = series.samples.len() as u64;
            let mean = series.samples.iter().map(|sample| sample.1).sum::<u64>() / count.max(1);
            text.push_str(&format!(
                "- {event}: {count} latency spikes (average {mean}ms, worst all time {}ms).\n",
                series.max_ms
            ));
        }
        let advice = [
            (
                "command",
                "SLOWLOG GET shows which commands are slow; UNLINK, SCAN and smaller collections avoid the usual ones.",
            ),
            (
                "fast-command",
                "Commands that are always fast were slow: the machine is short of CPU or memory (swapping).",
            ),
            ("expire-cycle", "Many keys expire in the same moment: spread their times."),
        ];
        text.push_str("\nAdvice:\n\n");
        for (event, line) in advice {
            if latency.events.contains_key(event) {
                text.push_str(&format!("- {line}\n"));
            }
        }
    }
    call.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

const HISTOGRAM: HostCommand = HostCommand {
    name: "histogram",
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    group: Group::Server,
    since: "7.0.0",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    summary: "Returns how the times of commands are distributed.",
    args: &[Arg::string("command").optional().many()],
    run: HostFn(histogram),
    ..HostCommand::BASE
};

fn histogram(call: &mut Call<'_>, args: &mut Args<'_>) -> CmdResult {
    args.next()?;
    let server = &*call.server;
    let asked = args.take_rest();
    let mut ids: Vec<usize> = Vec::new();
    if asked.is_empty() {
        ids.extend(0..server.command_stats.len());
    }
    for entry in asked.iter().filter_map(|name| server.registry.find(name)) {
        ids.push(entry.id);
        ids.extend(&entry.subcommands);
    }
    ids.retain(|&id| server.command_stats[id].latencies.is_some());
    call.out.map(ids.len());
    for id in ids {
        let histogram = server.command_stats[id].latencies.as_ref().expect("those without one were left out");
        let buckets = histogram.cumulative();
        call.out.bulk(server.registry.get(id).full_name.as_bytes());
        call.out.map(2);
        call.out.bulk(b"calls");
        call.out.integer(histogram.total() as i64);
        call.out.bulk(b"histogram_usec");
        call.out.map(buckets.len());
        for (upper_us, count) in buckets {
            call.out.integer(upper_us as i64);
            call.out.integer(count as i64);
        }
    }
    Ok(Outcome::Done)
}

const HELP: HostCommand = HostCommand {
    name: "help",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(1)",
    summary: "Returns what the subcommands do.",
    run: HostFn(|call, _| {
        super::help(
            call,
            "LATENCY",
            &[
                ("DOCTOR", "Return a human readable latency analysis report."),
                ("GRAPH <event>", "Return an ASCII latency graph for the <event> class."),
                ("HISTORY <event>", "Return time-latency samples for the <event> class."),
                ("LATEST", "Return the latest latency samples for all events."),
                ("HISTOGRAM [COMMAND ...]", "Return the distribution of latencies of the commands (default: all)."),
                ("RESET [<event> ...]", "Reset latency data of one or more <event> classes (default: all)."),
            ],
        )
    }),
    ..HostCommand::BASE
};
