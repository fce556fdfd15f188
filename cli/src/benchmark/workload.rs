//! What is sent: commands as bytes with places for random numbers, and the tests that have a name.

use crate::connection::encode;
use crate::random::Random;

/// Replaced by a random number of as many digits.
const PLACEHOLDER: &[u8] = b"__rand_int__";

/// In cluster mode, what the braces hold is replaced by a tag of the node that the request goes to.
const TAG: &[u8] = b"{tag}";

/// Characters of a tag.
pub(crate) const TAG_SIZE: usize = TAG.len() - 2;

/// In a mix, replaced by a payload of `-d` bytes.
const PAYLOAD: &[u8] = b"__data__";

/// One command as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the random numbers go.
    places: Vec<usize>,
    /// Where the tags go.
    tags: Vec<usize>,
}

impl Template {
    /// `random`: replace the placeholders; otherwise they are sent as they stand.
    pub(crate) fn new(words: &[Vec<u8>], random: bool) -> Template {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        Template::raw(bytes, random)
    }

    fn raw(bytes: Vec<u8>, random: bool) -> Template {
        let places = match random {
            true => memchr::memmem::find_iter(&bytes, PLACEHOLDER).collect(),
            false => Vec::new(),
        };
        let tags = memchr::memmem::find_iter(&bytes, TAG).map(|at| at + 1).collect();
        Template { bytes, places, tags }
    }

    /// Writes the tag into its places of one request.
    fn put_tag(&self, request: &mut [u8], tag: Option<[u8; TAG_SIZE]>) {
        if let Some(tag) = tag {
            self.tags.iter().for_each(|&at| request[at..at + TAG_SIZE].copy_from_slice(&tag));
        }
    }
}

/// Writes twelve digits.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The commands of one test.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// What reports call it.
    pub(crate) title: String,
    /// Each with the sum of the weights up to it. One in most tests.
    templates: Vec<(u64, Template)>,
    /// Random numbers are below this.
    keyspace: u64,
}

impl Workload {
    pub(crate) fn one(title: impl Into<String>, template: Template, keyspace: u64) -> Workload {
        Workload { title: title.into(), templates: vec![(1, template)], keyspace }
    }

    /// Commands chosen at random by weight. `None` when there are none, or none has a weight.
    pub(crate) fn mix(parts: Vec<(u64, Template)>, keyspace: u64) -> Option<Workload> {
        let mut sum = 0u64;
        let mut templates = Vec::new();
        for (weight, template) in parts.into_iter().filter(|(weight, _)| *weight > 0) {
            sum = sum.checked_add(weight)?;
            templates.push((sum, template));
        }
        (!templates.is_empty()).then(|| Workload { title: "MIX".to_owned(), templates, keyspace })
    }

    /// A buffer for batches of up to `pipeline` requests, with this tag in the places for tags.
    pub(crate) fn batch(&self, pipeline: usize, tag: Option<[u8; TAG_SIZE]>) -> Batch {
        let mut batch = Batch { bytes: Vec::new(), length: 0, tag };
        if let [(_, only)] = self.templates.as_slice() {
            let mut bytes = only.bytes.clone();
            only.put_tag(&mut bytes, tag);
            batch.bytes = bytes.repeat(pipeline);
        }
        batch
    }

    /// Prepares `count` requests, no more than the batch was made for; random numbers anew.
    pub(crate) fn fill(&self, batch: &mut Batch, count: usize, random: &mut Random) {
        if let [(_, only)] = self.templates.as_slice() {
            let size = only.bytes.len();
            batch.length = size * count;
            for start in (0..count).map(|index| index * size).filter(|_| !only.places.is_empty()) {
                for place in &only.places {
                    let place = start + place;
                    digits(&mut batch.bytes[place..place + PLACEHOLDER.len()], random.below(self.keyspace));
                }
            }
            return;
        }
        batch.bytes.clear();
        let sum = self.templates.last().map_or(0, |(sum, _)| *sum);
        for _ in 0..count {
            let drawn = random.below(sum);
            let chosen = self.templates.partition_point(|(sum, _)| *sum <= drawn);
            let template = &self.templates[chosen].1;
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(&template.bytes);
            template.put_tag(&mut batch.bytes[start..], batch.tag);
            for place in &template.places {
                let place = start + place;
                digits(&mut batch.bytes[place..place + PLACEHOLDER.len()], random.below(self.keyspace));
            }
        }
        batch.length = batch.bytes.len();
    }
}

/// Requests that are sent together.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    length: usize,
    tag: Option<[u8; TAG_SIZE]>,
}

impl Batch {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Random letters.
pub(crate) fn payload(size: usize, random: &mut Random) -> Vec<u8> {
    (0..size).map(|_| b'A' + random.below(26) as u8).collect()
}

/// A test of the standard list.
struct Test {
    /// Names that `-t` knows it by.
    names: &'static [&'static str],
    title: &'static str,
    /// `DATA` is the payload; `RANDOM` a random number, or 0 without `-r`. Without spaces before it a line is sent as it is.
    command: &'static str,
}

/// The standard list, in its order. LRANGE needs a list that is filled before.
const TESTS: &[Test] = &[
    Test { names: &["ping_inline", "ping"], title: "PING_INLINE", command: "" },
    Test { names: &["ping_mbulk", "ping"], title: "PING_MBULK", command: "PING" },
    Test { names: &["set"], title: "SET", command: "SET key:__rand_int__ DATA" },
    Test { names: &["get"], title: "GET", command: "GET key:__rand_int__" },
    Test { names: &["incr"], title: "INCR", command: "INCR counter:__rand_int__" },
    Test { names: &["lpush"], title: "LPUSH", command: "LPUSH mylist DATA" },
    Test { names: &["rpush"], title: "RPUSH", command: "RPUSH mylist DATA" },
    Test { names: &["lpop"], title: "LPOP", command: "LPOP mylist" },
    Test { names: &["rpop"], title: "RPOP", command: "RPOP mylist" },
    Test { names: &["sadd"], title: "SADD", command: "SADD myset element:__rand_int__" },
    Test { names: &["hset"], title: "HSET", command: "HSET myhash element:__rand_int__ DATA" },
    Test { names: &["spop"], title: "SPOP", command: "SPOP myset" },
    Test { names: &["zadd"], title: "ZADD", command: "ZADD myzset RANDOM element:__rand_int__" },
    Test { names: &["zpopmin"], title: "ZPOPMIN", command: "ZPOPMIN myzset" },
    Test {
        names: &["lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"],
        title: "LPUSH (needed to benchmark LRANGE)",
        command: "LPUSH mylist DATA",
    },
    Test { names: &["lrange", "lrange_100"], title: "LRANGE_100 (first 100 elements)", command: "LRANGE mylist 0 99" },
    Test { names: &["lrange", "lrange_300"], title: "LRANGE_300 (first 300 elements)", command: "LRANGE mylist 0 299" },
    Test { names: &["lrange", "lrange_500"], title: "LRANGE_500 (first 500 elements)", command: "LRANGE mylist 0 499" },
    Test { names: &["lrange", "lrange_600"], title: "LRANGE_600 (first 600 elements)", command: "LRANGE mylist 0 599" },
    Test { names: &["mset"], title: "MSET (10 keys)", command: "MSET" },
    Test { names: &["xadd"], title: "XADD", command: "XADD mystream * myfield DATA" },
];

/// Keys of the MSET test.
const MSET_KEYS: usize = 10;

/// The tests of the standard list that `chosen` names; all when it names none. `tagged`: their keys have tags.
pub(crate) fn standard(chosen: Option<&[String]>, keyspace: Option<u64>, data: &[u8], tagged: bool) -> Vec<Workload> {
    let wanted = |test: &Test| match chosen {
        None => true,
        Some(chosen) => test.names.iter().any(|name| chosen.iter().any(|chosen| chosen == name)),
    };
    let workload = |test: &Test| {
        let random = keyspace.is_some();
        let template = match test.title {
            "PING_INLINE" => Template::raw(b"PING\r\n".to_vec(), false),
            _ => Template::new(&words(test.command, random, data, tagged), random),
        };
        Workload::one(test.title, template, keyspace.unwrap_or(0))
    };
    TESTS.iter().filter(|test| wanted(test)).map(workload).collect()
}

fn words(command: &str, random: bool, data: &[u8], tagged: bool) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = command
        .split(' ')
        .enumerate()
        .map(|(at, word)| match word {
            key if at == 1 && tagged => tag(key).into_bytes(),
            "DATA" => data.to_vec(),
            "RANDOM" if random => PLACEHOLDER.to_vec(),
            "RANDOM" => b"0".to_vec(),
            word => word.as_bytes().to_vec(),
        })
        .collect();
    if command == "MSET" {
        let key = if tagged { tag("key:__rand_int__") } else { "key:__rand_int__".to_owned() };
        (0..MSET_KEYS).for_each(|_| words.extend([key.clone().into_bytes(), data.to_vec()]));
    }
    words
}

/// `key:{tag}:__rand_int__`, `mylist:{tag}`
fn tag(key: &str) -> String {
    match key.split_once(':') {
        Some((name, rest)) => format!("{name}:{{tag}}:{rest}"),
        None => format!("{key}:{{tag}}"),
    }
}

/// `9:GET key:__rand_int__`: one command of a mix with its weight.
pub(crate) fn part(text: &[u8], random: bool, data: &[u8]) -> Result<(u64, Template), String> {
    let wrong = || format!("'{}' is not WEIGHT:COMMAND", String::from_utf8_lossy(text));
    let colon = memchr::memchr(b':', text).ok_or_else(wrong)?;
    let weight = std::str::from_utf8(&text[..colon]).ok().and_then(|weight| weight.parse().ok()).ok_or_else(wrong)?;
    let words = resp::inline::split_words(&text[colon + 1..]).map_err(|_| wrong())?;
    if words.is_empty() {
        return Err(wrong());
    }
    let words: Vec<Vec<u8>> =
        words.into_iter().map(|word| if word == PAYLOAD { data.to_vec() } else { word }).collect();
    Ok((weight, Template::new(&words, random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(workload: &Workload, count: usize) -> String {
        let mut random = Random::new(Some(3));
        let mut batch = workload.batch(count, None);
        workload.fill(&mut batch, count, &mut random);
        String::from_utf8(batch.bytes().to_vec()).unwrap()
    }

    #[test]
    fn random_numbers_stay_below_the_keyspace() {
        let [set] = &standard(Some(&["set".into()]), Some(50), b"xyz", false)[..] else { panic!() };
        let text = sent(set, 1000);
        let mut numbers: Vec<u64> = text.split("key:").skip(1).map(|rest| rest[..12].parse().unwrap()).collect();
        assert_eq!(numbers.len(), 1000);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers.len(), numbers[49]), (50, 49));
        let [set] = &standard(Some(&["set".into()]), None, b"xyz", false)[..] else { panic!() };
        assert_eq!(sent(set, 1), "*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nxyz\r\n");
    }

    #[test]
    fn tests_by_name() {
        let titles = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            standard(Some(&names), None, b"x", false).into_iter().map(|test| test.title).collect::<Vec<_>>()
        };
        assert_eq!(titles(&["ping"]), ["PING_INLINE", "PING_MBULK"]);
        assert_eq!(
            titles(&["get", "lrange_300"]),
            ["GET", "LPUSH (needed to benchmark LRANGE)", "LRANGE_300 (first 300 elements)"]
        );
        assert_eq!(titles(&["nosuch"]), Vec::<String>::new());
        assert_eq!(standard(None, None, b"x", false).len(), 21);
        let [mset] = &standard(Some(&["mset".into()]), None, b"x", false)[..] else { panic!() };
        assert!(sent(mset, 1).starts_with("*21\r\n$4\r\nMSET\r\n"));
    }

    #[test]
    fn tags() {
        let [mset] = &standard(Some(&["mset".into()]), None, b"x", true)[..] else { panic!() };
        let mut batch = mset.batch(2, Some(*b"0aZ"));
        mset.fill(&mut batch, 2, &mut Random::new(Some(1)));
        assert_eq!(String::from_utf8_lossy(batch.bytes()).matches("key:{0aZ}:__rand_int__").count(), 20);
        let mix =
            Workload::mix(vec![part(b"1:GET a{tag}b", false, b"").unwrap(), part(b"1:PING", false, b"").unwrap()], 1);
        let mix = mix.unwrap();
        let mut batch = mix.batch(50, Some(*b"xyz"));
        mix.fill(&mut batch, 50, &mut Random::new(Some(1)));
        let text = String::from_utf8_lossy(batch.bytes()).into_owned();
        assert!(text.contains("a{xyz}b") && !text.contains("{tag}"));
    }

    #[test]
    fn a_mix_follows_its_weights() {
        let parts = ["9:GET k", "1:SET k __data__", "0:DEL k"].map(|text| part(text.as_bytes(), true, b"v").unwrap());
        let mix = Workload::mix(parts.to_vec(), 10).unwrap();
        let text = sent(&mix, 1000);
        let sets = text.matches("SET\r\n$1\r\nk\r\n$1\r\nv").count();
        assert!((50..150).contains(&sets), "{sets}");
        assert_eq!(text.matches("GET").count(), 1000 - sets);
        for bad in ["GET", "x:GET", "1:", "1:\"a", ""] {
            assert!(part(bad.as_bytes(), true, b"v").is_err(), "{bad}");
        }
        assert!(Workload::mix(Vec::new(), 1).is_none());
    }
}
