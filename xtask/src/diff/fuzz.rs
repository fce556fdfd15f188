//! Random requests to a reference server and to ours, until their replies differ; then the shortest sequence that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ::tests::{Client, Reply};

use super::requests::{self, Command, Dice, FAMILIES, Request};
use crate::peer::Peer;
use crate::{Error, Verdict, fail};

/// Requests of a case.
const CASE: usize = 40;

/// Differences of one command that are shown.
const SHOWN: usize = 3;

/// How far apart two replies about the time that is left may be, in its unit.
const TIME_SLACK: i64 = 3000;

/// Commands whose reply has no order, or one that Redis does not promise.
const UNORDERED: &[&str] = &["smembers", "sinter", "sunion", "sdiff", "keys", "hgetall", "hkeys", "hvals"];

/// Commands whose reply depends on the time.
const TIMED: &[&str] = &["ttl", "pttl", "httl", "hpttl", "expiretime", "pexpiretime", "hexpiretime", "hpexpiretime"];

/// Differences that are as they should be: version of the reference, command (empty: any), part of the request or of the reference's
/// reply, why.
const EXPLAINED: &[(&str, &str, &str, &str)] = &[
    ("", "sort", "", "the order of equal weights, and of a set without order, is that of the hash table"),
    ("", "sort_ro", "", "as sort"),
    ("", "object", "skiplist", "Redis' SORT makes a small sorted set a skiplist"),
    ("", "zrangebylex", "", "not defined for members with different scores: skiplist and tree search differently"),
    ("", "zrevrangebylex", "", "as zrangebylex"),
    ("", "zlexcount", "", "as zrangebylex"),
    ("", "zremrangebylex", "", "as zrangebylex"),
    ("", "zrange", " BYLEX", "as zrangebylex"),
    ("", "zrangestore", " BYLEX", "as zrangebylex"),
    ("", "zinter", "-0", "ours gathers the result in a listpack, where -0 is 0"),
    ("", "zunion", "-0", "as zinter"),
    ("", "zdiff", "-0", "as zinter"),
    ("", "lset", "922337203685477580", "Redis cuts the index to 32 bits"),
    ("", "bitop", "DIFF", "ours has the operations of 8.2"),
    ("", "bitop", "ANDOR", "as DIFF"),
    ("", "bitop", "ONE", "as DIFF"),
    ("7.", "object", "", "8.0 chooses other encodings"),
    ("7.", "hincrbyfloat", "", "8.0 keeps the deadline of a field"),
];

/// What to do.
pub(super) struct Options {
    pub(super) seconds: u64,
    pub(super) family: Option<String>,
    pub(super) protocol: Option<u8>,
    pub(super) seed: u64,
}

/// Runs cases until the time is over.
pub(super) fn run(theirs: &Peer, ours: &Peer, options: &Options) -> Verdict {
    let mut pair = Pair::new(theirs, ours)?;
    let all = pair.commands()?;
    let known = &requests::names(&mut pair.ours)? & &requests::names(&mut pair.theirs)?;
    let families: Vec<&str> = match &options.family {
        Some(family) => vec![family],
        None => FAMILIES.to_vec(),
    };
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let (start, mut cases, mut asked) = (Instant::now(), 0u64, 0usize);
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let family = families[cases as usize % families.len()];
        let commands: Vec<&Command> = all.iter().filter(|command| command.group == family).collect();
        if commands.is_empty() {
            if families.len() == 1 {
                fail!("no command of the family '{family}' that both servers have; families: {}", FAMILIES.join(", "));
            }
            cases += 1;
            continue;
        }
        let protocol = options.protocol.unwrap_or(2 + (cases / families.len() as u64 % 2) as u8);
        let seed = options.seed.wrapping_add(cases);
        let case = requests::case(&commands, &known, CASE, &mut Dice::new(seed));
        cases += 1;
        asked += case.len();
        let Some(at) = pair.first_difference(&case, protocol)? else { continue };
        // What does not show again has to do with the time.
        if pair.first_difference(&case, protocol)? != Some(at) {
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
    println!("{cases} cases, {asked} requests, {} differences", found.values().sum::<usize>());
    for (command, count) in &found {
        println!("  {command}: {count}");
    }
    Ok(found.is_empty())
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

    /// The commands that both have, as ours describes them.
    fn commands(&mut self) -> Result<Vec<Command>, Error> {
        let theirs: BTreeSet<String> = requests::commands(&mut self.theirs)?.into_iter().map(|one| one.name).collect();
        let ours = requests::commands(&mut self.ours)?;
        Ok(ours.into_iter().filter(|command| theirs.contains(&command.name)).collect())
    }

    /// Runs a case on both, from empty databases. Which request first gets different replies.
    fn first_difference(&mut self, case: &[Request], protocol: u8) -> Result<Option<usize>, Error> {
        let (theirs, ours) = self.replies(case, protocol)?;
        for (at, (request, (theirs, ours))) in case.iter().zip(theirs.iter().zip(&ours)).enumerate() {
            if !same(request, theirs, ours) {
                // From an explained difference on the data may differ, too.
                return Ok(Some(at).filter(|_| !self.is_explained(request, theirs)));
            }
        }
        Ok(None)
    }

    fn replies(&mut self, case: &[Request], protocol: u8) -> Result<(Vec<Reply>, Vec<Reply>), Error> {
        let mut bytes = ::tests::request(&["FLUSHALL"]);
        bytes.extend(::tests::request(&["HELLO", &protocol.to_string()]));
        case.iter().for_each(|request| bytes.extend(::tests::request(request)));
        let run = |client: &mut Client, who: &str| -> Result<Vec<Reply>, Error> {
            client.send(&bytes)?;
            let mut replies = Vec::with_capacity(case.len());
            for i in 0..case.len() + 2 {
                match client.receive() {
                    Ok(reply) if i >= 2 => replies.push(reply),
                    Ok(_) => {}
                    Err(error) => {
                        let request = i.checked_sub(2).map(|i| line(&case[i])).unwrap_or_default();
                        fail!("{who} does not answer {request}: {error:?}");
                    }
                }
            }
            Ok(replies)
        };
        Ok((run(&mut self.theirs, "the reference")?, run(&mut self.ours, "ours")?))
    }

    fn is_explained(&self, request: &Request, theirs: &Reply) -> bool {
        let (command, text) = (name(request), format!("{} {theirs}", line(request)));
        EXPLAINED.iter().any(|(version, name, part, _)| {
            self.version.starts_with(version) && (name.is_empty() || *name == command) && text.contains(part)
        })
    }

    /// Leaves out requests, then words, as long as the last reply still differs.
    fn minimise(&mut self, case: &[Request], protocol: u8) -> Result<Vec<Request>, Error> {
        let mut short = case.to_vec();
        let mut at = short.len() - 1;
        while at > 0 {
            at -= 1;
            let mut fewer = short.clone();
            fewer.remove(at);
            if self.first_difference(&fewer, protocol)? == Some(fewer.len() - 1) {
                short = fewer;
            }
        }
        for request in 0..short.len() {
            for word in (1..short[request].len()).rev() {
                let mut fewer = short.clone();
                fewer[request].remove(word);
                if self.first_difference(&fewer, protocol)? == Some(fewer.len() - 1) {
                    short = fewer;
                }
            }
        }
        Ok(short)
    }

    fn show(&mut self, case: &[Request], protocol: u8) -> Result<(), Error> {
        let (theirs, ours) = self.replies(case, protocol)?;
        for (request, (theirs, ours)) in case.iter().zip(theirs.iter().zip(&ours)) {
            if same(request, theirs, ours) {
                println!("  {}\n      {ours}", line(request));
            } else {
                println!("! {}\n    - reference  {theirs}\n    + ours       {ours}", line(request));
            }
        }
        Ok(())
    }
}

fn name(request: &Request) -> String {
    String::from_utf8_lossy(&request[0]).to_lowercase()
}

fn same(request: &Request, theirs: &Reply, ours: &Reply) -> bool {
    let command = name(request);
    if TIMED.contains(&&*command) {
        return close(theirs, ours);
    }
    let unordered = UNORDERED.contains(&&*command);
    canonical(theirs, unordered) == canonical(ours, unordered)
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

/// A reply as text; the parts of one without order are sorted, pairs of a flat map together.
fn canonical(reply: &Reply, unordered: bool) -> String {
    match reply {
        Reply::Array(items) | Reply::Set(items) if unordered => {
            let mut items: Vec<String> = items.iter().map(Reply::to_string).collect();
            items.sort();
            format!("{} {items:?}", matches!(reply, Reply::Set(_)))
        }
        Reply::Map(pairs) if unordered => {
            let mut pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} {value}")).collect();
            pairs.sort();
            format!("{pairs:?}")
        }
        // A set's order is not promised wherever it appears.
        Reply::Set(_) => canonical(reply, true),
        other => other.to_string(),
    }
}

/// Whether two replies are the same but for the time that passed between them.
fn close(theirs: &Reply, ours: &Reply) -> bool {
    match (theirs, ours) {
        (Reply::Int(a), Reply::Int(b)) => a == b || (*a >= 0 && *b >= 0 && a.abs_diff(*b) <= TIME_SLACK as u64),
        (Reply::Array(a), Reply::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b)),
        _ => theirs.to_string() == ours.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_time_matter_only_where_they_are_promised() {
        let array = |items: &[i64]| Reply::Array(items.iter().map(|&n| Reply::Int(n)).collect());
        assert_eq!(canonical(&array(&[2, 1]), true), canonical(&array(&[1, 2]), true));
        assert_ne!(canonical(&array(&[2, 1]), false), canonical(&array(&[1, 2]), false));
        assert!(close(&array(&[1000, -1]), &array(&[999, -1])));
        assert!(!close(&array(&[-1]), &array(&[-2])) && !close(&array(&[9000]), &array(&[1000])));
    }

    #[test]
    fn a_line_can_be_given_to_a_client() {
        let request: Request = [&b"SET"[..], b"k 1", b"", b"a\r\n"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(line(&request), r#"SET "k 1" "" "a\r\n""#);
    }
}
