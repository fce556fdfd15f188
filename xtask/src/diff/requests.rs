//! Random requests, valid and not, made from what COMMAND DOCS says about a server's commands.

use std::collections::BTreeSet;
use std::ops::Range;

use super::describe::{Arg, Command};
use super::dice::Dice;
use super::state::{self, KEYS, LONG};

/// A request: its words.
pub(super) type Request = Vec<Vec<u8>>;

const TEXTS: &[&str] =
    &["a", "a", "b", "b", "c", "d", "e", "f1", "m1", "m2", "1", "2", "10", "-5", "3.5", "", "x y", "\u{e9}\r\n", LONG];
const INTEGERS: &[&str] = &["0", "1", "1", "2", "2", "3", "-1", "-2", "5", "10", "100", "-100"];
const NOT_INTEGERS: &[&str] = &["abc", "1.5", "", "01", "+1", " 1", "1 ", "0x10", "1e2", "-0"];
/// Numbers at and beyond the limits of every width.
const EXTREMES: &[&str] = &[
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "1099511627776",
    "9007199254740993",
    "281474976710655",
    "4611686018427387903",
    "4611686018427387904",
    "-4611686018427387904",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
];
const DOUBLES: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "2.5",
    "3.0e3",
    "1e-9",
    "inf",
    "-inf",
    "+inf",
    "0.1",
    "17179869184",
    "-0",
    "10",
    "100",
    "3",
    "1.5",
    "90",
];
const EXTREME_DOUBLES: &[&str] = &[
    "nan",
    "-nan",
    "abc",
    "",
    "1e308",
    "-1e308",
    "1.7976931348623157e308",
    "1e309",
    "1e-320",
    "1e400",
    "9007199254740993",
    "0x1p3",
    "9223372036854775807",
    "infinity",
    " 1",
    "1 ",
    "1e",
    "180.0001",
    "-85.06",
    "1e17",
    "123456789012345678",
];
const PATTERNS: &[&str] =
    &["*", "k*", "[a-c]", "k?", "", "\\*", "[^a]", "*1*", "nosort", "#", "k*->a", "{t}*", "a*", "[", "\\"];
/// Far away or long ago, so that it does not matter when exactly a request arrives.
const TIMES: &[&str] = &["0", "-1", "1000000", "99999999999", "9999999999999", "5000000", "x"];
const SCORES: &[&str] =
    &["(1", "1", "2", "3", "-inf", "+inf", "(inf", "0", "5", "-1", "(7", "7", "100", "nan", "abc", "(", "(abc", "[a"];
const LEXES: &[&str] = &["-", "+", "[a", "(b", "[c", "[m2", "(m1", "-", "+", "[", "(", "a", "", "abc"];
const IDS: &[&str] = &[
    "-",
    "+",
    "0",
    "0-0",
    "(1-1",
    "(2",
    "$",
    ">",
    "abc",
    "18446744073709551615",
    "18446744073709551615-18446744073709551615",
    "18446744073709551615-*",
    "1-",
    "-1",
    "1-1-1",
    "1-abc",
    "(",
    "0-1",
    "18446744073709551616-0",
];
/// At least as far away.
const IDLE: &[&str] = &["0", "0", "0", "1000000", "-1", "abc", "9223372036854775807"];
const UNITS_OF_BITS: &[&str] = &["u8", "i8", "u1", "i5", "u16", "i64", "u63", "u64", "i65", "u0", "i0", "x8", "u", ""];
const TYPES: &[&str] = &["string", "list", "set", "zset", "hash", "stream", "none", ""];
const MISTAKES: &[&str] = &["a", "COUNT", "LIMIT", "WITHSCORES", "NX", "XX", "FIELDS", "STREAMS", "k2", ""];

/// What requests are made of.
pub(super) struct Maker<'a> {
    /// The commands to choose from.
    pub(super) commands: Vec<&'a Command>,
    /// Those that both servers know.
    pub(super) known: &'a BTreeSet<String>,
    /// What DUMP gave for values of every type.
    pub(super) payloads: &'a [Vec<u8>],
    /// Half of all numbers are at the limits.
    pub(super) extremes: bool,
}

impl Maker<'_> {
    /// A case of `len` requests after those that make its keys, which count as `len` of them.
    pub(super) fn case(&self, family: &str, len: usize, dice: &mut Dice) -> (Vec<Request>, usize) {
        let mut requests = state::prelude(family, self.known, dice);
        let begin = requests.len();
        let units = if family == "transactions" { 35 } else { 3 };
        for _ in 0..len {
            requests.push(match dice.below(100) {
                0..6 => state::look(dice),
                n if n < 6 + units => state::unit(dice),
                _ => self.request(self.commands[dice.below(self.commands.len())], dice),
            });
        }
        requests.push(vec![b"DEBUG".to_vec(), b"DIGEST".to_vec()]);
        (requests, begin)
    }

    pub(super) fn request(&self, command: &Command, dice: &mut Dice) -> Request {
        let name = command.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        let mut words = Words { maker: self, command: &command.name, out: name, count_at: None, keys: None };
        command.args.iter().for_each(|arg| words.arg(arg, dice));
        let mut out = words.out;
        if out.len() > 1 && dice.percent(8) {
            // Something is wrong with it.
            let at = 1 + dice.below(out.len() - 1);
            match dice.below(6) {
                0 => drop(out.remove(at)),
                1 => out.insert(at, out[at].clone()),
                2 => out[at] = dice.pick(TEXTS).as_bytes().to_vec(),
                3 => out[at] = self.integer(dice).into_bytes(),
                4 => out.insert(at, dice.pick(MISTAKES).as_bytes().to_vec()),
                _ => out.push(self.integer(dice).into_bytes()),
            }
        }
        // A negative count of random elements is a promise to send as many: keep it small.
        if command.name.ends_with("randmember") || command.name == "hrandfield" {
            tame(&mut out, i128::MIN..-1000, b"-7");
        }
        // Redis' sum of the time to live and the time of day overflows.
        if command.name == "restore" {
            tame(&mut out, 1 << 62..1 << 63, b"9999999999999");
        }
        // Which of equal weights come first is left to the sorting: it must not be kept.
        let word = |word: &[u8]| out.iter().position(|held| held.eq_ignore_ascii_case(word));
        if command.name == "sort"
            && let (Some(_), Some(store)) = (word(b"BY"), word(b"STORE"))
        {
            out.remove(store);
        }
        // Redis cuts an index to 32 bits here.
        if command.name == "lset" {
            tame(&mut out, i128::from(i64::MIN)..i128::from(i32::MIN), b"-100");
            tame(&mut out, 1 << 31..1 << 63, b"100");
        }
        out
    }

    fn integer(&self, dice: &mut Dice) -> String {
        match dice.below(100) {
            n if n < if self.extremes { 60 } else { 8 } => match dice.below(4) {
                // Anything next to a power of two.
                0 => {
                    let power = 1_i128 << dice.below(66);
                    let number = power + dice.below(3) as i128 - 1;
                    if dice.percent(40) { -number } else { number }.to_string()
                }
                _ => dice.pick(EXTREMES).to_owned(),
            },
            96.. => dice.pick(NOT_INTEGERS).to_owned(),
            _ => dice.pick(INTEGERS).to_owned(),
        }
    }

    fn double(&self, dice: &mut Dice) -> String {
        match dice.below(100) {
            n if n < if self.extremes { 40 } else { 6 } => dice.pick(EXTREME_DOUBLES).to_owned(),
            n if n < if self.extremes { 60 } else { 10 } => dice.pick(EXTREMES).to_owned(),
            60..80 => format!("{}.{}", dice.below(200) as i64 - 100, dice.below(10_000)),
            _ => dice.pick(DOUBLES).to_owned(),
        }
    }

    /// A count of seconds or milliseconds, or a point in time.
    fn time(&self, dice: &mut Dice) -> String {
        match self.integer(dice) {
            // Not within the time that a case takes.
            number if self.extremes && dice.percent(60) && !(1..6).contains(&number.len()) => number,
            _ => dice.pick(TIMES).to_owned(),
        }
    }

    fn id(&self, command: &str, dice: &mut Dice) -> String {
        if self.extremes && dice.percent(30) {
            return match dice.percent(50) {
                true => self.integer(dice),
                false => format!("{}-{}", self.integer(dice), self.integer(dice)),
            };
        }
        match dice.below(100) {
            // Most of them beyond what is there.
            0..70 if command == "xadd" => match dice.percent(50) {
                true => format!("{}-*", 3 + dice.below(300)),
                false => format!("{}-{}", 3 + dice.below(300), dice.below(4)),
            },
            0..60 if command == "xreadgroup" => ">".to_owned(),
            0..35 => format!("{}-{}", dice.below(7), dice.below(4)),
            35..65 => format!("{}-1", dice.below(130)),
            65..75 => format!("{}", dice.below(13)),
            _ => dice.pick(IDS).to_owned(),
        }
    }
}

/// Puts `instead` in the place of numbers within the range.
fn tame(request: &mut Request, range: Range<i128>, instead: &[u8]) {
    for word in request {
        let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<i128>().ok());
        if number.is_some_and(|number| range.contains(&number)) {
            *word = instead.to_vec();
        }
    }
}

struct Words<'a> {
    maker: &'a Maker<'a>,
    command: &'a str,
    out: Request,
    /// Where a number stands that is to count what follows.
    count_at: Option<usize>,
    /// How many keys of STREAMS there were: as many ids follow.
    keys: Option<usize>,
}

impl Words<'_> {
    fn arg(&mut self, arg: &Arg, dice: &mut Dice) {
        if arg.has("optional") && dice.percent(65) {
            return;
        }
        let mut times = if arg.has("multiple") { 1 + dice.below(3) } else { 1 };
        if arg.has("multiple") && self.command.starts_with("xread") {
            match (&*arg.name, self.keys) {
                ("key", _) => self.keys = Some(times),
                (_, Some(keys)) if dice.percent(95) => times = keys,
                _ => {}
            }
        }
        for time in 0..times {
            if let Some(token) = &arg.token
                && (time == 0 || arg.has("multiple_token"))
            {
                // The time of day is not what is to be compared.
                let token = if self.command == "xadd" && token == "*" { "400-*" } else { token };
                self.out.push(token.as_bytes().to_vec());
            }
            self.once(arg, dice);
        }
        if arg.has("multiple")
            && let Some(at) = self.count_at.take()
            && dice.percent(if self.maker.extremes { 60 } else { 96 })
        {
            self.out[at] = times.to_string().into_bytes();
        }
    }

    fn once(&mut self, arg: &Arg, dice: &mut Dice) {
        let maker = self.maker;
        let text = match &*arg.kind {
            "pure-token" => return,
            "oneof" => {
                if !arg.args.is_empty() {
                    self.arg(&arg.args[dice.below(arg.args.len())], dice);
                }
                return;
            }
            "block" => {
                let mut parts: Vec<&Arg> = arg.args.iter().collect();
                // Options may come in any order; what has no word of its own may not.
                if parts.iter().all(|part| part.has("optional")) && parts.len() > 1 && dice.percent(20) {
                    parts.rotate_left(1);
                }
                return parts.into_iter().for_each(|part| self.arg(part, dice));
            }
            "key" => dice.pick(KEYS).to_owned(),
            "pattern" => dice.pick(PATTERNS).to_owned(),
            "double" => match &*arg.name {
                "min" | "max" if dice.percent(80) => dice.pick(SCORES).to_owned(),
                "radius" | "width" | "height" if dice.percent(60) => format!("{}", 1 + dice.below(20_000)),
                "latitude" if dice.percent(50) => format!("{}.{}", dice.below(171) as i64 - 85, dice.below(10_000)),
                _ => maker.double(dice),
            },
            "unix-time" => maker.time(dice),
            "integer" => match &*arg.name {
                "numkeys" | "numfields" => {
                    self.count_at = Some(self.out.len());
                    maker.integer(dice)
                }
                "min-idle-time" => dice.pick(IDLE).to_owned(),
                "seconds" | "milliseconds" | "ttl" => maker.time(dice),
                "offset" if dice.percent(40) => {
                    dice.pick(&["7", "8", "100", "#1", "#3", "#-1", "#", "4294967295"]).to_owned()
                }
                // What a scan returns is to be compared, so it should be all.
                "cursor" if dice.percent(90) => "0".to_owned(),
                "count" if self.command.ends_with("scan") && dice.percent(70) => "5000".to_owned(),
                _ => maker.integer(dice),
            },
            _ => match &*arg.name {
                "min" | "max" => if dice.percent(85) { dice.pick(LEXES) } else { dice.pick(SCORES) }.to_owned(),
                "start" | "end" | "id" | "lastid" | "last-id" | "max-deleted-id" if self.command.starts_with('x') => {
                    maker.id(self.command, dice)
                }
                "threshold" if dice.percent(50) => maker.id(self.command, dice),
                "threshold" => maker.integer(dice),
                "start" | "stop" if dice.percent(50) => maker.integer(dice),
                "start" | "stop" => if dice.percent(50) { dice.pick(LEXES) } else { dice.pick(SCORES) }.to_owned(),
                "min-idle-time" => {
                    dice.pick(&["0", "0", "0", "1000000", "-1", "abc", "9223372036854775807"]).to_owned()
                }
                "group" => dice.pick(&["g1", "g1", "g1", "g1", "g2", "g2", "g3", ""]).to_owned(),
                "consumer" => dice.pick(&["c1", "c1", "c1", "c2", "c2", "c3", ""]).to_owned(),
                "encoding" => dice.pick(UNITS_OF_BITS).to_owned(),
                "type" => dice.pick(TYPES).to_owned(),
                "value" | "increment" if dice.percent(30) => maker.integer(dice),
                "serialized-value" => return self.out.push(self.payload(dice)),
                _ => dice.pick(TEXTS).to_owned(),
            },
        };
        self.out.push(text.into_bytes());
    }

    /// A payload for RESTORE, now and then with a mistake.
    fn payload(&self, dice: &mut Dice) -> Vec<u8> {
        if self.maker.payloads.is_empty() {
            return b"abc".to_vec();
        }
        let mut payload = self.maker.payloads[dice.below(self.maker.payloads.len())].clone();
        match dice.below(20) {
            0 => payload.truncate(dice.below(payload.len() + 1)),
            1 => {
                let at = dice.below(payload.len());
                payload[at] ^= 1 << dice.below(8);
            }
            _ => {}
        }
        payload
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
        let maker = Maker { commands: vec![&command], known: &known, payloads: &[], extremes: false };
        let mut dice = Dice::new(5);
        let right = (0..200)
            .map(|_| maker.request(&command, &mut dice))
            .filter(|words| words.get(1).is_some_and(|count| *count == (words.len() - 2).to_string().into_bytes()))
            .count();
        assert!((150..200).contains(&right), "most count right, some do not: {right}");
        let case = || maker.case("sorted-set", 10, &mut Dice::new(1));
        assert_eq!(case(), case(), "seeded");
    }

    #[test]
    fn no_flood_of_random_elements_is_asked_for() {
        let mut request: Request = ["SRANDMEMBER", "k", "-4000000000"].map(|word| word.as_bytes().to_vec()).to_vec();
        tame(&mut request, i128::MIN..-1000, b"-7");
        assert_eq!(request[2], b"-7");
    }
}
