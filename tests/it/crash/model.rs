//! What a client's keys must hold: a model of the commands that the crash tests send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tests::{Client, Reply};

/// A request's words.
pub(super) type Request = Vec<String>;

/// A generator of our own: each run writes the same, the moments of the crashes differ.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Requests that take effect together or not at all.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    /// One request.
    Single(Request),
    /// MULTI, these, EXEC.
    Transaction(Vec<Request>),
    /// A script that calls INCR so often.
    Script { key: String, times: u64 },
}

impl Unit {
    /// What is sent.
    pub(super) fn requests(&self) -> Vec<Request> {
        match self {
            Unit::Single(request) => vec![request.clone()],
            Unit::Transaction(requests) => {
                let mut all = vec![words("MULTI")];
                all.extend(requests.iter().cloned());
                all.push(words("EXEC"));
                all
            }
            Unit::Script { key, times } => {
                let code = "for i = 1, ARGV[1] do redis.call('INCR', KEYS[1]) end return 'done'";
                vec![["EVAL", code, "1", key, &times.to_string()].map(str::to_owned).to_vec()]
            }
        }
    }
}

fn words(line: &str) -> Request {
    line.split(' ').map(str::to_owned).collect()
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Hash(BTreeMap<String, String>),
    Ranks(BTreeMap<String, i64>),
    Log(Vec<(u64, String)>),
}

/// The keys of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model(BTreeMap<String, Value>);

/// The value of `key` as the variant that is asked for, empty when it is missing.
macro_rules! value {
    ($self:ident, $key:expr, $kind:ident) => {{
        let value = $self.0.entry($key.to_owned()).or_insert_with(|| Value::$kind(Default::default()));
        let Value::$kind(value) = value else { panic!("{} has one kind of value only", $key) };
        value
    }};
}

impl Model {
    /// Applies a unit.
    pub(super) fn apply(&mut self, unit: &Unit) {
        match unit {
            Unit::Single(request) => self.request(request),
            Unit::Transaction(requests) => requests.iter().for_each(|request| self.request(request)),
            Unit::Script { key, times } => self.request(&words(&format!("INCRBY {key} {times}"))),
        }
    }

    fn request(&mut self, request: &Request) {
        let number = |text: &String| text.parse::<i64>().expect("the generator writes numbers");
        let key = &request[1][..];
        match &request[0][..] {
            "SET" => *value!(self, key, Text) = request[2].clone(),
            "APPEND" => value!(self, key, Text).push_str(&request[2]),
            "INCRBY" => {
                let text = value!(self, key, Text);
                let sum = if text.is_empty() { 0 } else { number(text) } + number(&request[2]);
                *text = sum.to_string();
            }
            "DEL" => drop(self.0.remove(key)),
            "RPUSH" => value!(self, key, List).extend(request[2..].iter().cloned()),
            "LPUSH" => request[2..].iter().for_each(|element| value!(self, key, List).push_front(element.clone())),
            "LPOP" => drop(value!(self, key, List).pop_front()),
            "SADD" => value!(self, key, Set).extend(request[2..].iter().cloned()),
            "SREM" => drop(value!(self, key, Set).remove(&request[2])),
            "HSET" => drop(value!(self, key, Hash).insert(request[2].clone(), request[3].clone())),
            "HINCRBY" => {
                let field = value!(self, key, Hash).entry(request[2].clone()).or_insert_with(|| "0".to_owned());
                *field = (number(field) + number(&request[3])).to_string();
            }
            "HDEL" => drop(value!(self, key, Hash).remove(&request[2])),
            "ZADD" => drop(value!(self, key, Ranks).insert(request[3].clone(), number(&request[2]))),
            "ZINCRBY" => {
                *value!(self, key, Ranks).entry(request[3].clone()).or_default() += number(&request[2]);
            }
            "ZREM" => drop(value!(self, key, Ranks).remove(&request[2])),
            "XADD" => {
                let id = request[2].split('-').next().expect("an id").parse().expect("a number");
                value!(self, key, Log).push((id, request[4].clone()));
            }
            // It makes no stream.
            "XTRIM" => {
                let Some(Value::Log(log)) = self.0.get_mut(key) else { return };
                let over = log.len().saturating_sub(number(&request[3]) as usize);
                log.drain(..over);
            }
            other => panic!("the model does not know {other}"),
        }
        let empty = match self.0.get(key) {
            Some(Value::List(list)) => list.is_empty(),
            Some(Value::Set(set)) => set.is_empty(),
            Some(Value::Hash(hash)) => hash.is_empty(),
            Some(Value::Ranks(ranks)) => ranks.is_empty(),
            // A stream without entries stays; there is none that never had one.
            Some(Value::Text(_) | Value::Log(_)) | None => false,
        };
        if empty {
            self.0.remove(key);
        }
    }

    /// A random unit that keeps within the kinds of the keys, and the keys within a size. Ids of streams follow `clock`.
    pub(super) fn next_unit(prefix: &str, dice: &mut Dice, clock: &mut u64) -> Unit {
        if dice.below(10) == 0 {
            return Unit::Transaction(
                (0..2 + dice.below(3)).map(|_| Model::next_request(prefix, dice, clock)).collect(),
            );
        }
        Unit::Single(Model::next_request(prefix, dice, clock))
    }

    fn next_request(prefix: &str, dice: &mut Dice, clock: &mut u64) -> Request {
        let (which, member, number) = (dice.below(4), dice.below(40), dice.below(1000));
        let text = "x".repeat([3, 30, 300][dice.below(3) as usize]) + &number.to_string();
        let key = |kind: &str| format!("{prefix}:{kind}:{which}");
        words(&match dice.below(19) {
            0 | 1 => format!("SET {} {text}", key("text")),
            2 => format!("APPEND {} {number}", key("text")),
            3 => format!("INCRBY {} {number}", key("number")),
            4 => format!("RPUSH {} {text} {number}", key("list")),
            5 => format!("LPUSH {} {text}", key("list")),
            6 | 7 => format!("LPOP {}", key("list")),
            8 => format!("SADD {} {member} m{member}", key("set")),
            9 => format!("SREM {} {member}", key("set")),
            10 => format!("HSET {} f{member} {text}", key("hash")),
            11 => format!("HINCRBY {} {member} {number}", key("hash")),
            12 => format!("HDEL {} f{member}", key("hash")),
            13 => format!("ZADD {} {number} m{member}", key("ranks")),
            14 => format!("ZINCRBY {} {number} m{member}", key("ranks")),
            15 => format!("ZREM {} m{member}", key("ranks")),
            16 => {
                *clock += 1;
                format!("XADD {} {clock}-1 f {text}", key("log"))
            }
            17 => format!("XTRIM {} MAXLEN 20", key("log")),
            _ => format!("DEL {}", key(["text", "list", "set", "hash", "ranks"][dice.below(5) as usize])),
        })
    }

    /// What the server holds under `prefix`.
    pub(super) fn read(client: &mut Client, prefix: &str) -> Model {
        let keys = client.call(&["KEYS", &format!("{prefix}:*")]);
        let keys = keys.items().expect("KEYS replies with a list");
        Model(keys.iter().map(texts).map(|key| (key.clone(), read_value(client, &key))).collect())
    }
}

fn texts(reply: &Reply) -> String {
    reply.text().unwrap_or_else(|| panic!("{reply} is no text"))
}

fn read_value(client: &mut Client, key: &str) -> Value {
    let mut list = |request: &[&str]| -> Vec<Reply> {
        let reply = client.call(request);
        reply.items().unwrap_or_else(|| panic!("{request:?}: {reply}")).to_vec()
    };
    let pairs = |items: Vec<Reply>| -> Vec<(String, String)> {
        items.chunks_exact(2).map(|pair| (texts(&pair[0]), texts(&pair[1]))).collect()
    };
    match key.split(':').nth(1).expect("a kind") {
        "list" => Value::List(list(&["LRANGE", key, "0", "-1"]).iter().map(texts).collect()),
        "set" => Value::Set(list(&["SMEMBERS", key]).iter().map(texts).collect()),
        "hash" => Value::Hash(pairs(list(&["HGETALL", key])).into_iter().collect()),
        "ranks" => {
            let ranks = pairs(list(&["ZRANGE", key, "0", "-1", "WITHSCORES"]));
            Value::Ranks(ranks.into_iter().map(|(member, score)| (member, score.parse().expect("a number"))).collect())
        }
        "log" => {
            let entry = |entry: &Reply| {
                let [id, fields] = entry.items().expect("an entry") else { panic!("an entry has two parts") };
                let id = texts(id).split('-').next().expect("an id").parse().expect("a number");
                (id, texts(&fields.items().expect("fields")[1]))
            };
            Value::Log(list(&["XRANGE", key, "-", "+"]).iter().map(entry).collect())
        }
        _ => Value::Text(texts(&client.call(&["GET", key]))),
    }
}
