//! Random requests to a reference server and to ours, until their replies differ; then the shortest sequence that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ::tests::{Client, Reply};

use super::describe::{self, Command, FAMILIES};
use super::dice::Dice;
use super::replies::{self, Answer, name};
use super::requests::{Maker, Request};
use super::state;
use crate::peer::Peer;
use crate::{Error, Verdict, fail};

/// Random requests of a case.
const CASE: usize = 40;

/// Differences of one command that are shown.
const SHOWN: usize = 3;

/// Requests of a difference that are shown: its last ones.
const SHOWN_REQUESTS: usize = 30;

/// Arguments of both servers: a string may be a megabyte long, so that offsets at the limit are cheap.
pub(super) const SERVER: &[&str] = &["--enable-debug-command", "local", "--proto-max-bulk-len", "1mb"];

/// Commands that may wait for others: within a unit they do not.
const BLOCKING: &[&str] =
    &["blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax", "bzpopmin", "xread", "xreadgroup"];

/// When a difference is explained.
enum When {
    Always,
    /// The request or the reference's reply has this text.
    Has(&'static str),
    /// It has both texts.
    Both(&'static str, &'static str),
}

/// Differences that are as they should be: version of the reference, command (empty: any), when, why.
const EXPLAINED: &[(&str, &str, When, &str)] = &[
    ("", "sort", When::Both(" BY ", " LIMIT "), "which of equal weights come first is left to the sorting"),
    ("", "sort_ro", When::Both(" BY ", " LIMIT "), "as sort"),
    ("", "object", When::Has("skiplist"), "Redis' SORT makes a small sorted set a skiplist"),
    ("", "object", When::Has(" refcount "), "values are never shared; integers say what shared ones would"),
    (
        "",
        "zrangebylex",
        When::Always,
        "not defined for members with different scores: skiplist and tree search differently",
    ),
    ("", "zrevrangebylex", When::Always, "as zrangebylex"),
    ("", "zlexcount", When::Always, "as zrangebylex"),
    ("", "zremrangebylex", When::Always, "as zrangebylex"),
    ("", "zrange", When::Has(" BYLEX"), "as zrangebylex"),
    ("", "zrangestore", When::Has(" BYLEX"), "as zrangebylex"),
    ("", "expire", When::Has(" GT"), "the clock may have moved on since the deadline that it is compared with was set"),
    ("", "pexpire", When::Has(" GT"), "as expire"),
    ("", "hexpire", When::Has(" GT"), "as expire"),
    ("", "hpexpire", When::Has(" GT"), "as expire"),
    (
        "",
        "xautoclaim",
        When::Has("Insufficient memory"),
        "Redis allocates room for as many ids as COUNT says; ours needs none",
    ),
    ("", "geosearch", When::Has(" COUNT "), "which of equally distant members come first is left to the sorting"),
    ("", "georadius", When::Has(" COUNT "), "as geosearch"),
    ("", "georadius_ro", When::Has(" COUNT "), "as geosearch"),
    ("", "georadiusbymember", When::Has(" COUNT "), "as geosearch"),
    ("", "georadiusbymember_ro", When::Has(" COUNT "), "as geosearch"),
    ("7.", "object", When::Always, "8.0 chooses other encodings"),
    ("7.", "hincrbyfloat", When::Always, "8.0 keeps the deadline of a field"),
];

/// What to do.
pub(super) struct Options {
    pub(super) seconds: u64,
    pub(super) family: Option<String>,
    pub(super) protocol: Option<u8>,
    pub(super) seed: u64,
    /// Numbers at and beyond the limits in most places.
    pub(super) extremes: bool,
}

/// How often the commands were asked for, and how often the reference replied with an error.
#[derive(Default)]
struct Tally(BTreeMap<String, (usize, usize)>);

impl Tally {
    fn add(&mut self, request: &Request, reply: &Reply) {
        let mut name = name(request);
        if ["xgroup", "xinfo", "object", "pubsub"].contains(&&*name) && request.len() > 1 {
            name = format!("{name}|{}", String::from_utf8_lossy(&request[1]));
        }
        let count = self.0.entry(name).or_default();
        count.0 += 1;
        count.1 += usize::from(matches!(reply, Reply::Error(_)));
    }

    fn print(&self) {
        let (asked, errors) =
            self.0.values().fold((0, 0), |(asked, errors), count| (asked + count.0, errors + count.1));
        println!("{:.1} % of the replies were errors", 100.0 * errors as f64 / asked.max(1) as f64);
        let share = |count: &(usize, usize)| 100 * count.1 / count.0.max(1);
        // A word that is no subcommand is asked for once or twice.
        let often: Vec<String> = self
            .0
            .iter()
            .filter(|(_, count)| count.0 * 400 > asked && share(count) >= 60)
            .map(|(name, count)| format!("{name} {} %", share(count)))
            .collect();
        if !often.is_empty() {
            println!("most often: {}", often.join(", "));
        }
    }
}

/// Runs cases until the time is over.
pub(super) fn run(theirs: &Peer, ours: &Peer, options: &Options) -> Verdict {
    let mut pair = Pair::new(theirs, ours)?;
    let all = pair.commands()?;
    let known = &describe::names(&mut pair.ours)? & &describe::names(&mut pair.theirs)?;
    let payloads = pair.payloads()?;
    let families: Vec<&str> = match &options.family {
        Some(family) => vec![family],
        None => FAMILIES.to_vec(),
    };
    let mut makers = Vec::new();
    for &family in &families {
        let of = |command: &&Command| family == "transactions" || command.is_of(family);
        let commands: Vec<&Command> = all.iter().filter(of).collect();
        if commands.is_empty() {
            fail!("no command of the family '{family}' that both servers have; families: {}", FAMILIES.join(", "));
        }
        makers.push(Maker { commands, known: &known, payloads: &payloads, extremes: options.extremes });
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut tally = Tally::default();
    let (start, mut cases, mut excused) = (Instant::now(), 0u64, 0usize);
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let at = cases as usize % families.len();
        let (family, maker) = (families[at], &makers[at]);
        let protocol = options.protocol.unwrap_or(2 + (cases / families.len() as u64 % 2) as u8);
        let seed = options.seed.wrapping_add(cases);
        let (case, begin) = maker.case(family, CASE, &mut Dice::new(seed));
        cases += 1;
        let outcome = pair.first_difference(&case, protocol).inspect_err(|_| {
            println!("--- {family}, RESP{protocol}, --seed {seed}; the end of our log:\n{}", ours.log_tail());
        })?;
        let last = outcome.at.map_or(case.len(), |at| at + 1);
        case[begin.min(last)..last]
            .iter()
            .zip(&outcome.theirs[begin.min(last)..])
            .for_each(|(request, reply)| tally.add(request, reply));
        excused += usize::from(outcome.excused);
        let Some(at) = outcome.at.filter(|_| !outcome.excused) else { continue };
        // What does not show again has to do with the time.
        if !(pair.differs_at(&case, protocol, at)? && pair.differs_at(&case, protocol, at)?) {
            continue;
        }
        let short = pair.minimise(&case[..=at], protocol)?;
        let command = name(short.last().expect("the request that shows it"));
        let count = found.entry(command).or_default();
        *count += 1;
        if *count <= SHOWN {
            println!("--- {family}, RESP{protocol}, --seed {seed}");
            pair.show(&short, protocol)?;
        }
    }
    let asked: usize = tally.0.values().map(|count| count.0).sum();
    println!(
        "{cases} cases, {asked} requests, {} differences, {excused} that are explained",
        found.values().sum::<usize>()
    );
    tally.print();
    for (command, count) in &found {
        println!("  {command}: {count}");
    }
    Ok(found.is_empty())
}

/// How a case went.
struct Outcome {
    /// Which request first got different replies.
    at: Option<usize>,
    /// Whether that is as it should be. From there on the data may differ, too.
    excused: bool,
    /// What the reference replied.
    theirs: Vec<Reply>,
}

/// Both servers.
struct Pair {
    theirs: Client,
    ours: Client,
    version: String,
}

impl Pair {
    fn new(theirs: &Peer, ours: &Peer) -> Result<Self, Error> {
        let mut client = theirs.client()?;
        let info = client.try_call(&["INFO", "server"])?.text().unwrap_or_default();
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?").to_owned();
        Ok(Pair { theirs: client, ours: ours.client()?, version })
    }

    /// The commands that both have, as the reference describes them: ours may have options of other versions.
    fn commands(&mut self) -> Result<Vec<Command>, Error> {
        let ours: BTreeSet<String> = describe::commands(&mut self.ours)?.into_iter().map(|one| one.name).collect();
        let theirs = describe::commands(&mut self.theirs)?;
        Ok(theirs.into_iter().filter(|command| ours.contains(&command.name)).collect())
    }

    /// What each server dumps of every value; of ours only what such a reference can read.
    fn payloads(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        let mut payloads = Vec::new();
        let clients = if self.version.starts_with("8.") {
            vec![&mut self.theirs, &mut self.ours]
        } else {
            vec![&mut self.theirs]
        };
        for client in clients {
            for (key, requests) in state::every_value() {
                for request in requests {
                    client.try_call(&request)?;
                }
                if let Reply::Bulk(payload) = client.try_call(&["DUMP", &key])? {
                    payloads.push(payload);
                }
            }
        }
        Ok(payloads)
    }

    /// Runs a case on both, from empty databases.
    fn first_difference(&mut self, case: &[Request], protocol: u8) -> Result<Outcome, Error> {
        let ran = self.replies(case, protocol)?;
        let difference = replies::first_difference(&ran.requests, &ran.theirs, &ran.ours);
        let excused = difference.as_ref().is_some_and(|found| self.is_explained(found.request, found.theirs));
        let at = difference.map(|found| ran.of[found.at]);
        Ok(Outcome { at, excused, theirs: ran.by_request(case.len()) })
    }

    fn differs_at(&mut self, case: &[Request], protocol: u8, at: usize) -> Result<bool, Error> {
        let outcome = self.first_difference(case, protocol)?;
        Ok(outcome.at == Some(at) && !outcome.excused)
    }

    fn replies(&mut self, case: &[Request], protocol: u8) -> Result<Run, Error> {
        let words = |line: &[&str]| -> Request { line.iter().map(|word| word.as_bytes().to_vec()).collect() };
        let start = [
            words(&["DISCARD"]),
            words(&["UNWATCH"]),
            words(&["FLUSHALL"]),
            words(&["HELLO", &protocol.to_string()]),
            state::defaults(),
        ];
        let (mut requests, mut of) = (Vec::new(), Vec::new());
        for (at, request) in case.iter().enumerate() {
            let command = name(request);
            let mut unit = vec![request.clone()];
            if BLOCKING.contains(&&*command) {
                unit = vec![words(&["MULTI"]), request.clone(), words(&["EXEC"])];
            } else if command == "spop" && request.len() > 1 {
                // What is left depends on chance.
                unit.push(vec![b"DEL".to_vec(), request[1].clone()]);
            } else if command == "debug" && request.len() > 2 {
                // It shows what has expired, too.
                unit.insert(0, vec![b"TOUCH".to_vec(), request[2].clone()]);
            }
            of.extend(unit.iter().map(|_| at));
            requests.extend(unit);
        }
        let mut bytes = Vec::new();
        start.iter().chain(&requests).for_each(|request| bytes.extend(::tests::request(request)));
        let run = |client: &mut Client, who: &str| -> Result<Vec<Answer>, Error> {
            client.send(&bytes)?;
            let mut answers = Vec::with_capacity(requests.len());
            for i in 0..start.len() + requests.len() {
                let mut bytes = Vec::new();
                match client.receive_with_bytes(&mut bytes) {
                    Ok(reply) if i >= start.len() => answers.push(Answer { reply, bytes }),
                    Ok(_) => {}
                    Err(error) => {
                        let last = i.saturating_sub(start.len());
                        for request in &requests[..=last] {
                            println!("  {}", line(request));
                        }
                        fail!("{who} does not answer the last of these: {error:?}");
                    }
                }
            }
            Ok(answers)
        };
        let theirs = run(&mut self.theirs, "the reference")?;
        let ours = run(&mut self.ours, "ours")?;
        Ok(Run { requests, of, theirs, ours })
    }

    fn is_explained(&self, request: &Request, theirs: &Reply) -> bool {
        let (command, text) = (name(request), format!("{} {theirs}", line(request)));
        EXPLAINED.iter().any(|(version, name, when, _)| {
            let holds = match when {
                When::Always => true,
                When::Has(part) => text.contains(part),
                When::Both(one, other) => text.contains(one) && text.contains(other),
            };
            self.version.starts_with(version) && (name.is_empty() || *name == command) && holds
        })
    }

    /// Leaves out requests, then words, as long as the last reply still differs.
    fn minimise(&mut self, case: &[Request], protocol: u8) -> Result<Vec<Request>, Error> {
        let mut short = case.to_vec();
        // Halves, quarters, ... then single requests: the ones that make the keys are many.
        let mut size = short.len() / 2;
        while size > 0 {
            let mut at = short.len() - 1;
            while at > 0 {
                let from = at.saturating_sub(size);
                let mut fewer = short.clone();
                fewer.drain(from..at);
                if self.differs_at(&fewer, protocol, fewer.len() - 1)? {
                    short = fewer;
                }
                at = from;
            }
            size /= 2;
        }
        for request in 0..short.len() {
            for word in (1..short[request].len().min(40)).rev() {
                let mut fewer = short.clone();
                fewer[request].remove(word);
                if self.differs_at(&fewer, protocol, fewer.len() - 1)? {
                    short = fewer;
                }
            }
        }
        Ok(short)
    }

    fn show(&mut self, case: &[Request], protocol: u8) -> Result<(), Error> {
        let ran = self.replies(case, protocol)?;
        let different = replies::first_difference(&ran.requests, &ran.theirs, &ran.ours).map(|found| found.at);
        // A value of many elements may be made by as many requests.
        let from = ran.requests.len().saturating_sub(SHOWN_REQUESTS);
        if from > 0 {
            println!("  ... {from} requests");
        }
        for (at, request) in ran.requests.iter().enumerate().skip(from) {
            let (theirs, ours) = (&ran.theirs[at], &ran.ours[at]);
            if different != Some(at) {
                println!("  {}\n      {}", line(request), ours.reply);
                continue;
            }
            println!("! {}\n    - reference  {}\n    + ours       {}", line(request), theirs.reply, ours.reply);
            if theirs.reply == ours.reply {
                println!(
                    "    - reference  {}\n    + ours       {}",
                    theirs.bytes.escape_ascii(),
                    ours.bytes.escape_ascii()
                );
            }
        }
        Ok(())
    }
}

/// A case as it was sent, with the requests that were put around some of its own.
struct Run {
    requests: Vec<Request>,
    /// Which request of the case each belongs to.
    of: Vec<usize>,
    theirs: Vec<Answer>,
    ours: Vec<Answer>,
}

impl Run {
    /// What the reference replied to each request of the case: of a unit its own part.
    fn by_request(self, len: usize) -> Vec<Reply> {
        let mut replies: Vec<Reply> = vec![Reply::Nil; len];
        for (of, answer) in self.of.into_iter().zip(self.theirs) {
            replies[of] = match answer.reply {
                Reply::Array(mut parts) if parts.len() == 1 && matches!(parts[0], Reply::Error(_)) => parts.remove(0),
                reply => reply,
            };
        }
        replies
    }
}

/// A request as redis-cli takes it.
fn line(request: &Request) -> String {
    let word =
        |word: &Vec<u8>| match word.is_empty() || word.iter().any(|b| !b.is_ascii_graphic() || b"\"'\\".contains(b)) {
            true => format!("\"{}\"", word.escape_ascii()),
            false => String::from_utf8_lossy(word).into_owned(),
        };
    request.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_given_to_a_client() {
        let request: Request = [&b"SET"[..], b"k 1", b"", b"a\r\n"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(line(&request), r#"SET "k 1" "" "a\r\n""#);
    }
}
