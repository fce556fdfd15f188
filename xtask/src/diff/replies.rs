//! Which replies of two servers are the same: order, time and chance do not matter where they are not promised.

use ::tests::Reply;

use super::requests::Request;

/// How far apart two replies about the time that is left may be, in its unit.
const TIME_SLACK: i64 = 60_000;

/// Commands whose reply has no order, or one that Redis does not promise.
const UNORDERED: &[&str] = &["smembers", "sinter", "sunion", "sdiff", "keys", "hkeys", "hvals"];

/// The same of pairs, which RESP2 writes one after the other.
const UNORDERED_PAIRS: &[&str] = &["hgetall"];

/// Commands whose reply depends on the time.
const TIMED: &[&str] = &["ttl", "pttl", "httl", "hpttl", "expiretime", "pexpiretime", "hexpiretime", "hpexpiretime"];

/// Commands whose reply is chosen at random, or whose bytes depend on the order of a table.
const RANDOM: &[&str] = &["randomkey", "srandmember", "hrandfield", "zrandmember", "spop", "dump"];

/// Commands that go on from a cursor, whose meaning is each server's own.
const SCANS: &[&str] = &["scan", "sscan", "hscan", "zscan"];

/// Fields of XINFO that tell of the time, and of how memory is laid out.
const TIMED_FIELDS: &[&str] = &["idle", "inactive", "seen-time", "active-time", "radix-tree-keys", "radix-tree-nodes"];

/// A reply and its bytes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    /// Nulls of RESP2 that are written as arrays: the others look the same once read.
    fn null_arrays(&self) -> usize {
        self.bytes.windows(5).filter(|bytes| bytes == b"*-1\r\n").count()
    }
}

/// Where replies differ.
#[derive(Debug)]
pub(super) struct Difference<'a> {
    /// Which request got them.
    pub(super) at: usize,
    /// The request that is the cause: of EXEC one of those it runs.
    pub(super) request: &'a Request,
    /// What the reference replied to that.
    pub(super) theirs: &'a Reply,
}

/// The first of the requests that got different replies.
pub(super) fn first_difference<'a>(
    requests: &'a [Request],
    theirs: &'a [Answer],
    ours: &[Answer],
) -> Option<Difference<'a>> {
    let mut queue: Vec<&'a Request> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let (theirs, ours) = (&theirs[at], &ours[at]);
        let name = name(request);
        if theirs.bytes != ours.bytes {
            match (&theirs.reply, &ours.reply) {
                (Reply::Array(a), Reply::Array(b))
                    if name == "exec" && a.len() == b.len() && a.len() == queue.len() =>
                {
                    let mut parts = queue.iter().zip(a.iter().zip(b));
                    if let Some((request, (theirs, _))) = parts.find(|(request, (a, b))| !same(request, a, b)) {
                        return Some(Difference { at, request, theirs });
                    }
                }
                (a, b) if !same(request, a, b) => return Some(Difference { at, request, theirs: a }),
                _ => {}
            }
            if theirs.null_arrays() != ours.null_arrays() {
                return Some(Difference { at, request, theirs: &theirs.reply });
            }
        }
        match &theirs.reply {
            Reply::Simple(text) if text == "QUEUED" => queue.push(request),
            Reply::Error(_) if name != "exec" => {}
            _ if ["multi", "exec", "discard"].contains(&&*name) => queue.clear(),
            _ => {}
        }
    }
    None
}

/// A request's command, in lower case.
pub(super) fn name(request: &Request) -> String {
    String::from_utf8_lossy(&request[0]).to_lowercase()
}

fn same(request: &Request, theirs: &Reply, ours: &Reply) -> bool {
    let command = name(request);
    let is = |list: &[&str]| list.contains(&&*command);
    if is(TIMED) {
        return close(theirs, ours);
    }
    if command == "object" && request.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"idletime")) {
        return close(theirs, ours);
    }
    if is(SCANS)
        && let (Reply::Array(a), Reply::Array(b)) = (theirs, ours)
        && let ([cursor, a], [other, b]) = (&a[..], &b[..])
    {
        let from = request.get(if command == "scan" { 1 } else { 2 });
        let all = |cursor: &Reply| cursor.text().as_deref() == Some("0") && from.is_some_and(|from| from == b"0");
        let size = if is(&["sscan", "scan"]) || request.iter().any(|word| word.eq_ignore_ascii_case(b"novalues")) {
            1
        } else {
            2
        };
        // Only a whole pass promises what it returns.
        return !all(cursor) || !all(other) || sorted(a, size) == sorted(b, size);
    }
    if is(RANDOM) {
        return shape(theirs) == shape(ours);
    }
    if is(UNORDERED) {
        return sorted(theirs, 1) == sorted(ours, 1);
    }
    if is(&["sort", "sort_ro"]) && request.iter().any(|word| word.eq_ignore_ascii_case(b"by")) {
        // Of equal weights, and of a set that is not sorted.
        return sorted(theirs, 1) == sorted(ours, 1);
    }
    if is(UNORDERED_PAIRS) {
        return sorted(theirs, 2) == sorted(ours, 2);
    }
    if is(&["xpending", "xinfo"]) {
        return untimed(theirs, None) == untimed(ours, None);
    }
    // A set's order is not promised wherever it appears.
    match (theirs, ours) {
        (Reply::Set(_), Reply::Set(_)) => sorted(theirs, 1) == sorted(ours, 1),
        _ => theirs.to_string() == ours.to_string(),
    }
}

/// A reply as text; the parts of one without order are sorted, `size` by `size`.
fn sorted(reply: &Reply, size: usize) -> String {
    match reply {
        Reply::Array(items) | Reply::Set(items) => {
            let part = |part: &[Reply]| part.iter().map(Reply::to_string).collect::<Vec<_>>().join(" ");
            let mut parts: Vec<String> = items.chunks(size).map(part).collect();
            parts.sort();
            format!("{} {parts:?}", matches!(reply, Reply::Set(_)))
        }
        Reply::Map(pairs) => {
            let mut pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} {value}")).collect();
            pairs.sort();
            format!("{{{pairs:?}}}")
        }
        other => other.to_string(),
    }
}

/// What a reply looks like whatever the texts and numbers in it are. Errors say the same.
fn shape(reply: &Reply) -> String {
    let list = |items: &[Reply]| items.iter().map(shape).collect::<String>();
    match reply {
        Reply::Bulk(_) => "$".to_owned(),
        Reply::Double(_) => ",".to_owned(),
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::Set(items) => format!("~[{}]", list(items)),
        other => other.to_string(),
    }
}

/// A reply of XINFO or XPENDING without what depends on the time; `field` is what the value is of.
fn untimed(reply: &Reply, field: Option<&str>) -> String {
    let timed = field.is_some_and(|field| TIMED_FIELDS.contains(&field));
    match reply {
        Reply::Int(_) if timed => ":time".to_owned(),
        // Points in time, in milliseconds: when an entry was delivered.
        Reply::Int(n) if *n > 1_000_000_000_000 && *n < 10_000_000_000_000 => ":time".to_owned(),
        Reply::Array(items) => {
            // The extended form of XPENDING: id, consumer, idle time, deliveries.
            let pending = matches!(&items[..], [Reply::Bulk(_), Reply::Bulk(_), Reply::Int(_), Reply::Int(_)]);
            let mut out = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let before = at.checked_sub(1).and_then(|at| items[at].text());
                out.push(match item {
                    Reply::Int(_) if pending && at == 2 => ":time".to_owned(),
                    item => untimed(item, before.as_deref()),
                });
            }
            format!("{out:?}")
        }
        Reply::Map(pairs) => {
            let one = |(key, value): &(Reply, Reply)| format!("{key} {}", untimed(value, key.text().as_deref()));
            format!("{{{:?}}}", pairs.iter().map(one).collect::<Vec<_>>())
        }
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

    fn answer(wire: &str) -> Answer {
        Answer { reply: Reply::read(&mut wire.as_bytes()).expect("a reply"), bytes: wire.into() }
    }

    /// Whether the last of the requests got the same replies.
    fn alike(requests: &[&str], theirs: &[&str], ours: &[&str]) -> bool {
        let requests: Vec<Request> =
            requests.iter().map(|line| line.split(' ').map(|word| word.as_bytes().to_vec()).collect()).collect();
        let answers = |wires: &[&str]| wires.iter().map(|wire| answer(wire)).collect::<Vec<_>>();
        first_difference(&requests, &answers(theirs), &answers(ours)).is_none()
    }

    #[test]
    fn order_and_time_matter_only_where_they_are_promised() {
        let (ab, ba) = ("*2\r\n+a\r\n+b\r\n", "*2\r\n+b\r\n+a\r\n");
        assert!(alike(&["SMEMBERS k"], &[ab], &[ba]) && !alike(&["LRANGE k 0 1"], &[ab], &[ba]));
        assert!(!alike(&["HGETALL k"], &[ab], &[ba]), "a field and its value");
        assert!(alike(&["TTL k"], &[":1000\r\n"], &[":999\r\n"]) && !alike(&["TTL k"], &[":-1\r\n"], &[":-2\r\n"]));
        let pending = |idle: u32, times: u32| format!("*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:{idle}\r\n:{times}\r\n");
        assert!(alike(&["XPENDING k g - + 1"], &[&pending(5, 1)], &[&pending(6, 1)]));
        assert!(!alike(&["XPENDING k g - + 1"], &[&pending(5, 1)], &[&pending(5, 2)]));
    }

    #[test]
    fn what_a_unit_replies_is_judged_by_its_requests() {
        let (ab, ba) = ("*1\r\n*2\r\n+a\r\n+b\r\n", "*1\r\n*2\r\n+b\r\n+a\r\n");
        let unit = |command| {
            alike(&["MULTI", command, "EXEC"], &["+OK\r\n", "+QUEUED\r\n", ab], &["+OK\r\n", "+QUEUED\r\n", ba])
        };
        assert!(unit("SMEMBERS k") && !unit("LRANGE k 0 1"));
    }

    #[test]
    fn a_null_is_not_a_null_array() {
        assert!(!alike(&["GET k"], &["$-1\r\n"], &["*-1\r\n"]));
    }
}
