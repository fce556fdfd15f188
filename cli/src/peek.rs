//! `peek KEY`: what a key is and what it holds, whatever its type.

use resp::Value;

use crate::print::{self, text};
use crate::session::Session;

/// Elements that are shown.
const ELEMENTS: &str = "20";

/// Bytes of a string that are shown.
const STRING_BYTES: &str = "511";

/// The answer, for people; `None` when there is no server.
pub(crate) async fn peek(session: &mut Session, key: &[u8]) -> Option<Vec<u8>> {
    let kind = ask(session, &[b"TYPE", key]).await?;
    let kind = match (kind.is_error(), text(&kind)) {
        (false, Some(b"none")) => return Some(b"(no such key)\n".to_vec()),
        (false, Some(kind)) => String::from_utf8_lossy(kind).into_owned(),
        _ => return Some(print::reply(&session.style, &kind, false)),
    };
    let mut facts = vec![kind.clone()];
    if let Some(encoding) = told(ask(session, &[b"OBJECT", b"ENCODING", key]).await) {
        facts.push(encoding);
    }
    let [length, what] = match kind.as_str() {
        "string" => ["STRLEN", "bytes long"],
        "list" => ["LLEN", "elements"],
        "set" => ["SCARD", "members"],
        "zset" => ["ZCARD", "members"],
        "hash" => ["HLEN", "fields"],
        "stream" => ["XLEN", "entries"],
        _ => ["", ""],
    };
    if !length.is_empty()
        && let Some(Value::Integer(length)) = ask(session, &[length.as_bytes(), key]).await
    {
        facts.push(format!("{length} {what}"));
    }
    if let Some(Value::Integer(bytes)) = ask(session, &[b"MEMORY", b"USAGE", key]).await {
        facts.push(format!("{bytes} bytes of memory"));
    }
    match ask(session, &[b"PTTL", key]).await {
        Some(Value::Integer(-1)) => facts.push("no deadline".to_owned()),
        Some(Value::Integer(ms)) if ms >= 0 => facts.push(format!("expires in {}.{:03} s", ms / 1000, ms % 1000)),
        _ => {}
    }
    let count = ELEMENTS.as_bytes();
    let last = "19".as_bytes();
    let request: Vec<&[u8]> = match kind.as_str() {
        "string" => vec![b"GETRANGE", key, b"0", STRING_BYTES.as_bytes()],
        "list" => vec![b"LRANGE", key, b"0", last],
        "set" => vec![b"SSCAN", key, b"0", b"COUNT", count],
        "zset" => vec![b"ZRANGE", key, b"0", last, b"WITHSCORES"],
        "hash" => vec![b"HSCAN", key, b"0", b"COUNT", count],
        "stream" => vec![b"XREVRANGE", key, b"+", b"-", b"COUNT", count],
        _ => Vec::new(),
    };
    let mut out = format!("{}\n", facts.join(", ")).into_bytes();
    if !request.is_empty() {
        let value = ask(session, &request).await?;
        out.extend(print::reply(&session.style, &contents(&kind, value), false));
    }
    Some(out)
}

/// A text that is no error.
fn told(reply: Option<Value>) -> Option<String> {
    let reply = reply.filter(|reply| !reply.is_error())?;
    text(&reply).map(|text| String::from_utf8_lossy(text).into_owned())
}

async fn ask(session: &mut Session, words: &[&[u8]]) -> Option<Value> {
    session.ask_aside(words).await
}

/// The elements alone: pairs as a map, without a cursor, and no more than was meant.
fn contents(kind: &str, value: Value) -> Value {
    let mut items = match (kind, value) {
        ("set" | "hash", Value::Array(mut parts)) if parts.len() == 2 => match parts.pop() {
            Some(Value::Array(items)) => items,
            other => return other.unwrap_or(Value::Null),
        },
        ("zset", Value::Array(items)) => items,
        (_, value) => return value,
    };
    let max = ELEMENTS.parse().unwrap_or(usize::MAX);
    if kind == "set" {
        items.truncate(max);
        return Value::Set(items);
    }
    let mut pairs = Vec::new();
    let mut items = items.into_iter();
    while let Some(name) = items.next().filter(|_| pairs.len() < max) {
        match name {
            // RESP3 has members and scores in pairs.
            Value::Array(pair) => pairs.extend(<[Value; 2]>::try_from(pair).map(|[member, score]| (member, score))),
            name => pairs.push((name, items.next().unwrap_or(Value::Null))),
        }
    }
    Value::Map(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_a_map() {
        let bulk = |text: &str| Value::bulk(text.as_bytes().to_vec());
        let scan = |items| Value::Array(vec![bulk("0"), Value::Array(items)]);
        assert_eq!(contents("hash", scan(vec![bulk("f"), bulk("v")])), Value::Map(vec![(bulk("f"), bulk("v"))]));
        assert_eq!(contents("set", scan(vec![bulk("a")])), Value::Set(vec![bulk("a")]));
        let pair = Value::Array(vec![bulk("m"), Value::Double(1.0)]);
        assert_eq!(contents("zset", Value::Array(vec![pair])), Value::Map(vec![(bulk("m"), Value::Double(1.0))]));
        assert_eq!(contents("hash", Value::error("WRONGTYPE")), Value::error("WRONGTYPE"));
    }
}
