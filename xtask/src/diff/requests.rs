//! Random requests, valid and not, made from what COMMAND DOCS says about a server's commands.

use std::collections::{BTreeMap, BTreeSet};

use ::tests::{Client, Reply};

use crate::Error;

/// Groups whose commands depend on the data alone.
pub(super) const FAMILIES: &[&str] =
    &["string", "list", "set", "sorted-set", "hash", "generic", "bitmap", "hyperloglog", "geo", "stream"];

/// Commands that wait, that are random or that tell of the process: two servers rightly differ.
const LEFT_OUT: &[&str] = &[
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "xread",
    "xreadgroup",
    "wait",
    "waitaof",
    "spop",
    "randomkey",
    "srandmember",
    "hrandfield",
    "zrandmember",
    "migrate",
    "restore",
    "dump",
    "object",
    "scan",
    "sscan",
    "hscan",
    "zscan",
    "pfdebug",
    "pfselftest",
    "memory",
    "restore-asking",
];

/// One of the numbers that `next` gives.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// An argument as COMMAND DOCS describes it.
#[derive(Debug, Clone, Default)]
struct Arg {
    name: String,
    kind: String,
    token: Option<String>,
    flags: Vec<String>,
    args: Vec<Arg>,
}

/// A command as COMMAND DOCS describes it.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) group: String,
    args: Vec<Arg>,
}

/// The names of all commands that a server has.
pub(super) fn names(client: &mut Client) -> Result<BTreeSet<String>, Error> {
    let list = client.try_call(&["COMMAND", "LIST"])?;
    Ok(list.items().unwrap_or_default().iter().filter_map(Reply::text).collect())
}

/// The commands that a server has, of the families that can be compared.
pub(super) fn commands(client: &mut Client) -> Result<Vec<Command>, Error> {
    let docs = pairs(&client.try_call(&["COMMAND", "DOCS"])?);
    let mut commands = Vec::new();
    for (name, doc) in docs {
        let doc = pairs(&doc);
        let group = doc.get("group").and_then(Reply::text).unwrap_or_default();
        if FAMILIES.contains(&&*group) && !LEFT_OUT.contains(&&*name) {
            commands.push(Command { name, group, args: arguments(doc.get("arguments")) });
        }
    }
    Ok(commands)
}

/// A map of RESP2 or RESP3, by the texts of its keys.
fn pairs(reply: &Reply) -> BTreeMap<String, Reply> {
    let text = |key: &Reply| key.text().unwrap_or_default();
    match reply {
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| (text(key), value.clone())).collect(),
        Reply::Array(items) => items.as_chunks::<2>().0.iter().map(|[key, value]| (text(key), value.clone())).collect(),
        _ => BTreeMap::new(),
    }
}

fn arguments(reply: Option<&Reply>) -> Vec<Arg> {
    let one = |reply: &Reply| {
        let doc = pairs(reply);
        let text = |key: &str| doc.get(key).and_then(Reply::text);
        let flags = match doc.get("flags") {
            Some(Reply::Array(flags) | Reply::Set(flags)) => flags.iter().filter_map(Reply::text).collect(),
            _ => Vec::new(),
        };
        Arg {
            name: text("name").unwrap_or_default(),
            kind: text("type").unwrap_or_default(),
            token: text("token"),
            flags,
            args: arguments(doc.get("arguments")),
        }
    };
    reply.and_then(Reply::items).unwrap_or_default().iter().map(one).collect()
}

/// A request: its words.
pub(super) type Request = Vec<Vec<u8>>;

const KEYS: &[&str] = &["k1", "k2", "k3", "k4", "{t}1", "{t}2"];
const LONG: &str = "a text of more than sixty-four bytes, which is too long for an element of a listpack";
const TEXTS: &[&str] = &["a", "b", "c", "d", "e", "1", "2", "10", "-5", "3.5", "", "x y", "\u{e9}\r\n", LONG];
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "5",
    "10",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "abc",
    "1.5",
    "",
    "01",
];
const DOUBLES: &[&str] =
    &["0", "1", "-1", "2.5", "3.0e3", "1e-9", "inf", "-inf", "nan", "0.1", "abc", "17179869184", "-0"];
const PATTERNS: &[&str] = &["*", "k*", "[a-c]", "k?", "", "\\*", "[^a]", "*1*", "nosort"];
/// Far away or long ago, so that it does not matter when exactly a request arrives.
const TIMES: &[&str] = &["0", "-1", "1000000", "99999999999", "9999999999999", "9223372036854775807", "x"];
const BOUNDS: &[&str] = &["-", "+", "[a", "(b", "[c", "(1", "1", "-inf", "+inf", "(inf", "0", "5", "abc", "[", "-1"];
const IDS: &[&str] =
    &["1-1", "1-2", "2-0", "5", "-", "+", "0", "0-0", "(1-1", "10-*", "$", ">", "abc", "18446744073709551615"];
const STARTERS: &[&[&str]] = &[
    &["SET", "k1", "10"],
    &["SET", "k2", "hello"],
    &["RPUSH", "k1", "a", "b", "c", "1"],
    &["SADD", "k2", "1", "2", "3"],
    &["SADD", "k3", "a", "b", "c"],
    &["ZADD", "k3", "1", "a", "2", "b", "3", "c", "3", "d"],
    &["HSET", "k4", "a", "1", "b", "2.5", "c", "x"],
    &["XADD", "k1", "1-1", "a", "1"],
    &["GEOADD", "k2", "13.361389", "38.115556", "a", "15.087269", "37.502669", "b"],
    &["PFADD", "k4", "a", "b", "c"],
    &["SETBIT", "k1", "7", "1"],
    &["EXPIRE", "k1", "1000000"],
    &["OBJECT", "ENCODING", "k1"],
    &["OBJECT", "ENCODING", "k2"],
    &["OBJECT", "ENCODING", "k3"],
    &["OBJECT", "ENCODING", "k4"],
    &["DEBUG", "DIGEST-VALUE", "k1", "k2", "k3", "k4"],
];

/// A case: requests of one family, with others among them, as far as they are `known`, that make keys of every type.
pub(super) fn case(commands: &[&Command], known: &BTreeSet<String>, len: usize, dice: &mut Dice) -> Vec<Request> {
    let starters: Vec<_> = STARTERS.iter().filter(|words| known.contains(&words[0].to_lowercase())).collect();
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let mut requests: Vec<Request> = (0..len)
        .map(|_| match !starters.is_empty() && dice.percent(15) {
            true => words(starters[dice.below(starters.len())]),
            false => request(commands[dice.below(commands.len())], dice),
        })
        .collect();
    requests.push(words(&["DEBUG", "DIGEST"]));
    requests
}

fn request(command: &Command, dice: &mut Dice) -> Request {
    let mut words = Words { out: vec![command.name.clone().into_bytes()], count_at: None };
    command.args.iter().for_each(|arg| words.arg(arg, dice));
    let mut out = words.out;
    if out.len() > 1 && dice.percent(12) {
        // Something is wrong with it.
        let at = 1 + dice.below(out.len() - 1);
        match dice.below(4) {
            0 => drop(out.remove(at)),
            1 => out.insert(at, out[at].clone()),
            2 => out[at] = dice.pick(TEXTS).as_bytes().to_vec(),
            _ => out.push(dice.pick(INTEGERS).as_bytes().to_vec()),
        }
    }
    out
}

struct Words {
    out: Request,
    /// Where a number stands that is to count what follows.
    count_at: Option<usize>,
}

impl Words {
    fn arg(&mut self, arg: &Arg, dice: &mut Dice) {
        let has = |flag: &str| arg.flags.iter().any(|held| held == flag);
        if has("optional") && dice.percent(65) {
            return;
        }
        let times = if has("multiple") { 1 + dice.below(3) } else { 1 };
        for time in 0..times {
            if let Some(token) = &arg.token
                && (time == 0 || has("multiple_token"))
            {
                self.out.push(token.clone().into_bytes());
            }
            self.once(arg, dice);
        }
        if has("multiple")
            && let Some(at) = self.count_at.take()
            && dice.percent(95)
        {
            self.out[at] = times.to_string().into_bytes();
        }
    }

    fn once(&mut self, arg: &Arg, dice: &mut Dice) {
        let text = match &*arg.kind {
            "pure-token" => return,
            "oneof" => {
                if !arg.args.is_empty() {
                    self.arg(&arg.args[dice.below(arg.args.len())], dice);
                }
                return;
            }
            "block" => return arg.args.iter().for_each(|part| self.arg(part, dice)),
            "key" => dice.pick(KEYS),
            "pattern" => dice.pick(PATTERNS),
            "double" => dice.pick(DOUBLES),
            "unix-time" => dice.pick(TIMES),
            "integer" => match &*arg.name {
                "numkeys" | "numfields" => {
                    self.count_at = Some(self.out.len());
                    dice.pick(INTEGERS)
                }
                "seconds" => dice.pick(TIMES),
                "milliseconds" => dice.pick(&["0", "-1", "1000000", "9999999999999", "9223372036854775807", "x"]),
                // Room for a gigabyte is not what is to be compared.
                "offset" => dice.pick(&["0", "1", "7", "8", "100", "-1", "#1", "abc", "4294967296"]),
                _ => dice.pick(INTEGERS),
            },
            _ => match &*arg.name {
                "min" | "max" | "start" | "stop" => dice.pick(BOUNDS),
                "id" | "end" | "threshold" | "lastid" => dice.pick(IDS),
                _ => dice.pick(TEXTS),
            },
        };
        self.out.push(text.as_bytes().to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_follows_its_description() {
        let arg = |name: &str, kind: &str, flags: &[&str]| Arg {
            name: name.to_owned(),
            kind: kind.to_owned(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            ..Arg::default()
        };
        let command = Command {
            name: "zunion".to_owned(),
            group: "sorted-set".to_owned(),
            args: vec![arg("numkeys", "integer", &[]), arg("key", "key", &["multiple"])],
        };
        let known = BTreeSet::from(["set".to_owned()]);
        let mut dice = Dice::new(5);
        let right = (0..200)
            .map(|_| request(&command, &mut dice))
            .filter(|words| words.get(1).is_some_and(|count| *count == (words.len() - 2).to_string().into_bytes()))
            .count();
        assert!((120..200).contains(&right), "most count right, some do not: {right}");
        assert_eq!(
            case(&[&command], &known, 10, &mut Dice::new(1)),
            case(&[&command], &known, 10, &mut Dice::new(1)),
            "seeded"
        );
    }
}
