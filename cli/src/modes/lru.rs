//! `--lru-test`: a cache's workload, in which few keys are wanted often and many seldom; tells the hit ratio each
//! second.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use resp::Value;

use crate::connection::{Connection, Error, encode};
use crate::modes::failed;
use crate::random::Random;
use crate::session::Session;

/// Commands of one kind sent at once.
const BATCH: usize = 250;

/// What one line covers.
const CYCLE: Duration = Duration::from_secs(1);

/// How steep the distribution is: a fifth of the keys gets four fifths of the requests.
const ALPHA: f64 = 6.2;

/// Bytes of a value.
const VALUE: usize = 5;

/// Runs until interrupted. `keys`: how many different keys there are.
pub(crate) async fn run(mut session: Session, keys: i64) -> ExitCode {
    let mut random = Random::new(None);
    loop {
        let begun = Instant::now();
        let (mut hits, mut misses) = (0u64, 0u64);
        while begun.elapsed() < CYCLE {
            let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
            match batch(connection, &mut random, keys).await {
                Ok(found) => {
                    hits += found;
                    misses += BATCH as u64 - found;
                }
                Err(error) => return failed(&error),
            }
        }
        let gets = hits + misses;
        let percent = |part: u64| 100.0 * part as f64 / gets as f64;
        let line = format!(
            "{gets} Gets/sec | Hits: {hits} ({:.2}%) | Misses: {misses} ({:.2}%)\n",
            percent(hits),
            percent(misses)
        );
        session.write(line.as_bytes());
    }
}

/// Sets some keys and gets others; how many of these were there.
async fn batch(connection: &mut Connection, random: &mut Random, keys: i64) -> Result<u64, Error> {
    let mut requests = Vec::new();
    for _ in 0..BATCH {
        let value: Vec<u8> = (0..VALUE).map(|_| b'A' + (random.below(58) as u8)).collect();
        encode(&mut requests, &[b"SET", key(random, keys).as_bytes(), &value]);
    }
    for _ in 0..BATCH {
        encode(&mut requests, &["GET", &key(random, keys)]);
    }
    connection.send_raw(&requests).await?;
    let (mut replies, mut found) = (0, 0);
    while replies < 2 * BATCH {
        match connection.receive().await? {
            Value::Push(_) => continue,
            Value::Error(text) => return Err(Error::Reply(String::from_utf8_lossy(&text).into_owned())),
            value if replies >= BATCH && !value.is_null() => found += 1,
            _ => {}
        }
        replies += 1;
    }
    Ok(found)
}

/// A key whose number follows a power law: low numbers are the frequent ones.
fn key(random: &mut Random, keys: i64) -> String {
    let most = keys.max(1) as f64;
    // Inverse of the cumulative distribution of x^ALPHA between 1 and `most`.
    let drawn = ((most.powf(ALPHA + 1.0) - 1.0) * random.unit() + 1.0).powf(1.0 / (ALPHA + 1.0));
    format!("lru:{}", (most - drawn) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_are_wanted_often() {
        let mut random = Random::new(Some(1));
        let numbers: Vec<i64> = (0..10_000).map(|_| key(&mut random, 1000)[4..].parse().unwrap()).collect();
        assert!(numbers.iter().all(|number| (0..1000).contains(number)));
        let frequent = numbers.iter().filter(|number| **number < 200).count();
        assert!((7_500..8_500).contains(&frequent), "{frequent}");
        assert_eq!(key(&mut random, 0), "lru:0");
    }
}
