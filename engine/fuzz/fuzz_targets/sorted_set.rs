//! Sorted sets in both encodings, through every kind of change, beside a map that is sorted anew for each look; and
//! listpacks of any content taken as sorted sets.
#![no_main]

use engine::config::EngineConfig;
use engine::ds::listpack::{self, Listpack};
use engine::types::zset::{NameBound, NameRange, Order, ScoreRange, Updated};
use engine::types::Zset;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fn sorted(model: &BTreeMap<Vec<u8>, f64>) -> Vec<(f64, Vec<u8>)> {
    let mut all: Vec<_> = model.iter().map(|(name, score)| (*score, name.clone())).collect();
    all.sort_by(|a, b| a.0.partial_cmp(&b.0).expect("no NaN").then_with(|| a.1.cmp(&b.1)));
    all
}

/// A score out of a byte: equal ones often, extremes now and then.
fn score(byte: u8) -> f64 {
    match byte {
        0 => f64::NEG_INFINITY,
        255 => f64::INFINITY,
        1 => -0.0,
        2 => 1e300,
        n => f64::from(n % 32) / 4.0 - 3.0,
    }
}

fn name(byte: u8, step: u8) -> Vec<u8> {
    match step % 4 {
        0 => byte.to_string().into_bytes(),
        1 => vec![byte; usize::from(byte) * 2],
        _ => vec![b'm', byte, step],
    }
}

fn foreign(data: &[u8], config: &EngineConfig) {
    if listpack::validate(data, true)
        && let Some(pack) = Listpack::from_bytes(data)
        && let Some(zset) = Zset::from_listpack(pack, config)
    {
        let mut last = f64::NEG_INFINITY;
        let mut count = 0;
        zset.range(0..zset.len(), Order::Ascending, |_, score| {
            assert!(score >= last);
            last = score;
            count += 1;
        });
        assert_eq!(count, zset.len());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((limit, data)) = data.split_first() else { return };
    let config = EngineConfig { zset_max_listpack_entries: usize::from(*limit) / 2, ..EngineConfig::default() };
    foreign(data, &config);
    let mut zset = Zset::new();
    let mut model: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
    let mut rest = data;
    while let [op, a, b, tail @ ..] = rest {
        rest = tail;
        match op % 8 {
            0..=2 => {
                let (name, score) = (name(*a, op / 8), score(*b));
                let expected = match model.get(&name) {
                    None => Updated::Added,
                    Some(old) if *old != score => Updated::Changed,
                    Some(_) => Updated::Same,
                };
                assert_eq!(zset.insert(&name, score, &config), expected);
                model.insert(name, score);
            }
            3 => {
                let name = name(*a, op / 8);
                assert_eq!(zset.remove(&name), model.remove(&name));
            }
            4 => {
                // Many at once, so that the tree gets levels.
                for n in 0..u16::from(*a) * 4 {
                    let name = format!("{}:{n}", b % 4).into_bytes();
                    let score = f64::from(n.wrapping_mul(u16::from(*b) | 1));
                    zset.insert(&name, score, &config);
                    model.insert(name, score);
                }
            }
            5 => {
                let from = usize::from(*a) * zset.len() / 256;
                let ranks = from..(from + usize::from(*b)).min(zset.len());
                let expected = sorted(&model)[ranks.clone()].to_vec();
                let mut removed = Vec::new();
                zset.remove_ranks(ranks, |elem, score| removed.push((score, elem.to_vec())));
                assert_eq!(removed, expected);
                for (_, name) in removed {
                    model.remove(&name);
                }
            }
            6 => {
                let range = ScoreRange {
                    min: score(*a),
                    min_excluded: op & 8 != 0,
                    max: score(*b),
                    max_excluded: op & 16 != 0,
                };
                let inside = |score: f64| {
                    (if range.min_excluded { score > range.min } else { score >= range.min })
                        && (if range.max_excluded { score < range.max } else { score <= range.max })
                };
                let ranks = zset.ranks_of_scores(&range);
                assert!(ranks.end <= zset.len());
                assert_eq!(ranks.len(), model.values().filter(|score| inside(**score)).count());
                // Unspecified among different scores, but never out of bounds.
                let names = NameRange { min: NameBound::Included(&tail[..tail.len().min(2)]), max: NameBound::Last };
                assert!(zset.ranks_of_names(&names).end <= zset.len());
            }
            _ => {
                let name = name(*a, op / 8);
                let order = sorted(&model);
                let rank = order.iter().position(|pair| pair.1 == name);
                assert_eq!(zset.rank(&name), rank.map(|rank| (rank, order[rank].0)));
                if *b == 0 {
                    zset.shrink(model.keys().map(Vec::len).max().unwrap_or(0), &config);
                }
            }
        }
        assert_eq!(zset.len(), model.len());
    }
    zset.check_invariants();
    let mut all = Vec::new();
    zset.range(0..zset.len(), Order::Descending, |elem, score| all.push((score, elem.to_vec())));
    all.reverse();
    assert_eq!(all, sorted(&model));
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        cursor = zset.scan(cursor, 16, |elem, _| seen.push(elem.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    seen.sort();
    assert!(seen.iter().eq(model.keys()), "a scan sees everything once");
});
