//! Crashes of a server that keeps an append-only file, seen from outside: what was acknowledged is there afterwards.

mod model;
mod power;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use model::{Dice, Model, Unit};
use power::Journal;
use rustix::process::{Pid, Signal, kill_process};
use tests::{Client, Process, Reply, ReplyError, binary, request};

/// Rounds of a run in CI; `CRASH_ROUNDS` asks for more.
const ROUNDS: u64 = 20;

/// Clients that write at the same time.
const WRITERS: u64 = 4;

/// A folder with the files of a server that is started again and again; it goes away with this value unless a test fails.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("rsrs-crash-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn start(&self, policy: &str) -> (Process, Client) {
        let args = ["--save", "", "--appendonly", "yes", "--appendfsync", policy, "--busy-reply-threshold", "1"];
        // Rewrites come often, so that crashes hit them too.
        let rewrites = ["--auto-aof-rewrite-percentage", "50", "--auto-aof-rewrite-min-size", "100kb"];
        Process::launch(&self.0, Command::new(binary()), &[&args[..], &rewrites].concat())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A client that writes to keys of its own.
struct Writer {
    prefix: String,
    dice: Dice,
    clock: u64,
    /// What the keys held at the beginning of the round.
    known: Model,
    /// What was sent since, in order, and when it was acknowledged.
    sent: Vec<(Unit, Option<Instant>)>,
}

impl Writer {
    fn new(number: u64) -> Writer {
        Writer {
            prefix: format!("w{number}"),
            dice: Dice(0x9e37_79b9_7f4a_7c15 ^ (number << 40)),
            clock: 0,
            known: Model::default(),
            sent: Vec::new(),
        }
    }

    /// Sends pipelines of units until the connection ends.
    fn write(&mut self, dir: &Path, scripts: bool) {
        self.sent.clear();
        let Ok(mut client) = Client::connect_unix(&dir.join("s")) else { return };
        loop {
            let mut pipeline = Vec::new();
            let first = self.sent.len();
            for _ in 0..1 + self.dice.below(8) {
                let unit = if scripts && self.dice.below(60) == 0 {
                    Unit::Script { key: format!("{}:number:script", self.prefix), times: 3000 }
                } else {
                    Model::next_unit(&self.prefix, &mut self.dice, &mut self.clock)
                };
                unit.requests().iter().for_each(|words| pipeline.extend(request(words)));
                self.sent.push((unit, None));
            }
            if client.send(&pipeline).is_err() {
                return;
            }
            let mut at = first;
            while at < self.sent.len() {
                match acknowledged(&mut client, &self.sent[at].0) {
                    Ok(true) => {
                        self.sent[at].1 = Some(Instant::now());
                        at += 1;
                    }
                    // Refused, and nothing of it was done.
                    Ok(false) => drop(self.sent.remove(at)),
                    Err(ReplyError::Io(_)) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Whether what the server holds is what it held after a prefix of what was sent, and one that includes everything that
    /// was acknowledged until `durable_until`, or ever.
    fn check(&mut self, client: &mut Client, durable_until: Option<Instant>, what: &str) {
        let found = Model::read(client, &self.prefix);
        let is_durable = |at: Instant| durable_until.is_none_or(|until| at <= until);
        let must = self.sent.iter().rposition(|(_, at)| at.is_some_and(is_durable)).map_or(0, |at| at + 1);
        let mut model = self.known.clone();
        let mut units = self.sent.iter();
        units.by_ref().take(must).for_each(|(unit, _)| model.apply(unit));
        loop {
            if model == found {
                break;
            }
            let Some((unit, _)) = units.next() else {
                let mut shorter = self.known.clone();
                let mut prefixes = self.sent[..must].iter();
                let there = prefixes.position(|(unit, _)| {
                    shorter == found || {
                        shorter.apply(unit);
                        false
                    }
                });
                panic!("{what}: of {must} units that must be there, there are {there:?} (none: it is no prefix)");
            };
            model.apply(unit);
        }
        self.known = found;
    }
}

/// Reads the replies to a unit. Whether it was done: it is not while a script keeps the server busy.
fn acknowledged(client: &mut Client, unit: &Unit) -> Result<bool, ReplyError> {
    let mut refused = false;
    for words in unit.requests() {
        match client.receive()? {
            Reply::Error(text) if text.starts_with("BUSY") || text.starts_with("EXECABORT") => refused = true,
            Reply::Error(text) => panic!("{words:?}: {text}"),
            _ => {}
        }
    }
    Ok(!refused)
}

/// The processes that a process has forked.
fn children(pid: u32) -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids = lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>());
    pids.filter_map(Pid::from_raw).collect()
}

/// Has the server save and rewrite, and kills the child at it every other time, until the connection ends.
fn trouble(dir: &Path, pid: u32, dice: &mut Dice, over: &AtomicBool) {
    let Ok(mut client) = Client::connect_unix(&dir.join("s")) else { return };
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(dice.below(60)));
        let command = if dice.below(2) == 0 { "BGSAVE" } else { "BGREWRITEAOF" };
        if client.try_call(&[command]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(dice.below(8)));
        if dice.below(2) == 0 {
            for child in children(pid) {
                // It may have ended by itself meanwhile.
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }
}

/// What ends a round.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Crash {
    /// The process is killed; what it gave to the system is there.
    Kill,
    /// The machine loses power; of each file at least that is there which the system said was on the disk.
    PowerLoss,
}

/// Rounds of writing, a crash at a random moment within `millis`, and a look at what is left: everything that was
/// acknowledged longer than `lost_at_most` before the crash.
fn crash(policy: &str, crash: Crash, rounds: u64, millis: std::ops::Range<u64>, lost_at_most: Duration) {
    let folder = Folder::new(&format!("{policy}-{crash:?}"));
    let (mut dice, mut troubles) = (Dice(0x51_7cc1_b727_220a), Dice(0x1234_5678_9abc_def1));
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut units = 0;
    for round in 0..rounds {
        let (mut process, mut client) = folder.start(policy);
        let journal = (crash == Crash::PowerLoss).then(|| Journal::start(&mut client, &folder.0));
        let (pid, dir, over) = (process.pid(), &folder.0, AtomicBool::new(false));
        let killed = std::thread::scope(|scope| {
            for (number, writer) in writers.iter_mut().enumerate() {
                scope.spawn(move || writer.write(dir, number == 0));
            }
            scope.spawn(|| trouble(dir, pid, &mut troubles, &over));
            std::thread::sleep(Duration::from_millis(millis.start + dice.below(millis.end - millis.start)));
            over.store(true, Ordering::Relaxed);
            let killed = Instant::now();
            process.kill();
            killed
        });
        let mut lost_at_most = lost_at_most;
        if let Some(journal) = journal {
            if !lost_at_most.is_zero() {
                lost_at_most += journal.busy(SystemTime::now() - killed.elapsed());
            }
            journal.lose_power(&mut dice);
        }
        let (mut process, mut client) = folder.start(policy);
        // Replies that were read behind the kill were sent before it.
        let durable_until = killed.checked_sub(lost_at_most).filter(|_| !lost_at_most.is_zero());
        for writer in &mut writers {
            let what = format!("{policy}, round {round}, {}", writer.prefix);
            writer.check(&mut client, durable_until, &what);
            units += writer.sent.iter().filter(|(_, at)| at.is_some()).count();
        }
        process.kill();
        if round % 100 == 99 {
            println!("appendfsync {policy}, {crash:?}: {} rounds so far, {units} units acknowledged", round + 1);
        }
    }
    println!("appendfsync {policy}, {crash:?}: {rounds} rounds, {units} units acknowledged");
}

fn rounds(default: u64) -> u64 {
    std::env::var("CRASH_ROUNDS").map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    crash("always", Crash::Kill, rounds(ROUNDS), 20..400, Duration::ZERO);
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    crash("always", Crash::PowerLoss, rounds(ROUNDS), 20..400, Duration::ZERO);
}

#[test]
fn everysec_loses_two_seconds_at_most() {
    crash("everysec", Crash::PowerLoss, rounds(ROUNDS / 5), 500..4000, Duration::from_secs(2));
}
