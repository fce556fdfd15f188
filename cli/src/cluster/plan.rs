//! What goes where. Decides only; nobody is asked and nothing is sent.

use crate::cluster::node::SLOTS;

/// The first and the last slot of each of `masters` masters.
pub(super) fn allocate(masters: usize) -> Vec<(u16, u16)> {
    let each = SLOTS as f64 / masters.max(1) as f64;
    let (mut first, mut cursor) = (0, 0.0);
    let mut out = Vec::with_capacity(masters);
    for master in 0..masters {
        let last = if master + 1 == masters { SLOTS - 1 } else { (cursor + each - 1.0).round() as usize };
        let last = last.clamp(first, SLOTS - 1);
        out.push((first as u16, last as u16));
        first = last + 1;
        cursor += each;
    }
    out
}

/// Indexes of the hosts in turns: the first of each host, the second of each host, and so on.
pub(super) fn interleave(hosts: &[&str]) -> Vec<usize> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        match groups.iter_mut().find(|(name, _)| name == host) {
            Some((_, group)) => group.push(index),
            None => groups.push((host, vec![index])),
        }
    }
    let rounds = groups.iter().map(|(_, group)| group.len()).max().unwrap_or(0);
    (0..rounds).flat_map(|round| groups.iter().filter_map(move |(_, group)| group.get(round).copied())).collect()
}

/// Gives each master its replicas, of other hosts where possible: pairs of replica and master, in the order in which
/// they are told, and how many of them came with the last round for nodes that are left over.
pub(super) fn assign(hosts: &[&str], order: &[usize], masters: usize, replicas: usize) -> (Vec<(usize, usize)>, usize) {
    let (chosen, rest) = order.split_at(masters);
    let mut free = rest.to_vec();
    if !free.is_empty() {
        free.rotate_left(1);
    }
    let mut pairs = Vec::new();
    let mut take = |master: usize, pairs: &mut Vec<(usize, usize)>| {
        if free.is_empty() {
            return false;
        }
        let at = free.iter().position(|&node| hosts[node] != hosts[master]).unwrap_or(0);
        pairs.push((free.remove(at), master));
        true
    };
    for &master in chosen {
        for _ in 0..replicas {
            take(master, &mut pairs);
        }
    }
    let regular = pairs.len();
    while chosen.iter().any(|&master| take(master, &mut pairs)) {}
    let extra = pairs.len() - regular;
    (pairs, extra)
}

/// How bad it is if a host fails: a replica beside its master is much worse than two replicas side by side.
pub(super) fn affinity(hosts: &[&str], pairs: &[(usize, usize)]) -> (usize, usize) {
    let beside_master = pairs.iter().filter(|(replica, master)| hosts[*replica] == hosts[*master]).count();
    let mut beside_replica = 0;
    for (at, (replica, master)) in pairs.iter().enumerate() {
        let same = |other: &&(usize, usize)| other.1 == *master && hosts[other.0] == hosts[*replica];
        beside_replica += pairs[at + 1..].iter().filter(same).count();
    }
    (beside_master, beside_replica)
}

/// Swaps replicas as long as that makes it better.
pub(super) fn spread(hosts: &[&str], pairs: &mut [(usize, usize)]) {
    let mut best = affinity(hosts, pairs);
    let mut improved = true;
    while improved && best != (0, 0) {
        improved = false;
        for left in 0..pairs.len() {
            for right in left + 1..pairs.len() {
                let swap = |pairs: &mut [(usize, usize)]| {
                    let replica = pairs[left].0;
                    pairs[left].0 = pairs[right].0;
                    pairs[right].0 = replica;
                };
                swap(pairs);
                let now = affinity(hosts, pairs);
                match now < best {
                    true => (best, improved) = (now, true),
                    false => swap(pairs),
                }
            }
        }
    }
}

/// Which slots leave which source: (source, slot), each source in proportion to what it has.
pub(super) fn reshard(sources: &[(usize, &[u16])], count: usize) -> Vec<(usize, u16)> {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|(_, slots)| std::cmp::Reverse(slots.len()));
    let total: usize = sources.iter().map(|(_, slots)| slots.len()).sum();
    let mut plan = Vec::new();
    for (at, (source, slots)) in sources.iter().enumerate() {
        let share = count as f64 / total.max(1) as f64 * slots.len() as f64;
        let share = if at == 0 { share.ceil() } else { share.floor() } as usize;
        let left = count - plan.len();
        plan.extend(slots.iter().take(share.min(left)).map(|slot| (*source, *slot)));
    }
    plan
}

/// A master to be balanced: how many slots it has and what it shall weigh against the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) slots: usize,
    pub(super) weight: f64,
}

/// Slots that leave a master, and the master that gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) slots: usize,
}

/// Evens out. `None` when all are within the threshold, in per cent, of what they should have.
pub(super) fn rebalance(loads: &[Load], threshold: f64) -> Option<Vec<Shift>> {
    let weight: f64 = loads.iter().map(|load| load.weight).sum();
    let expected = |load: &Load| if weight > 0.0 { (SLOTS as f64 / weight * load.weight) as i64 } else { 0 };
    let over = |load: &Load| match load.slots {
        _ if threshold <= 0.0 => false,
        0 => expected(load) > 1,
        slots => (100.0 - 100.0 * expected(load) as f64 / slots as f64).abs() > threshold,
    };
    if !loads.iter().any(over) {
        return None;
    }
    let mut balances: Vec<(i64, usize)> =
        loads.iter().enumerate().map(|(index, load)| (load.slots as i64 - expected(load), index)).collect();
    // What rounding left over goes to those that lack something.
    let mut excess: i64 = balances.iter().map(|(balance, _)| balance).sum();
    while excess > 0 {
        let before = excess;
        for (balance, index) in &mut balances {
            if excess > 0 && *balance <= 0 && loads[*index].weight > 0.0 {
                *balance -= 1;
                excess -= 1;
            }
        }
        if before == excess {
            break;
        }
    }
    balances.sort_by_key(|(balance, _)| *balance);
    let mut shifts = Vec::new();
    let (mut low, mut high) = (0, balances.len() - 1);
    while low < high {
        let slots = (-balances[low].0).min(balances[high].0);
        if slots > 0 {
            shifts.push(Shift { from: balances[high].1, to: balances[low].1, slots: slots as usize });
            balances[low].0 += slots;
            balances[high].0 -= slots;
        }
        // Whoever has what it should is done; so is everything when nobody gives or nobody takes.
        let (takes, gives) = (balances[low].0 < 0, balances[high].0 > 0);
        low += usize::from(!takes);
        high -= usize::from(!gives);
    }
    Some(shifts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_once() {
        assert_eq!(allocate(3), [(0, 5460), (5461, 10922), (10923, 16383)]);
        for masters in [1, 4, 5, 7, 100, 1000] {
            let ranges = allocate(masters);
            assert_eq!((ranges[0].0, ranges[masters - 1].1), (0, 16383));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{masters}");
        }
    }

    #[test]
    fn replicas_live_elsewhere() {
        let hosts = ["a", "a", "b", "b", "c", "c"];
        let order = interleave(&hosts);
        assert_eq!(order, [0, 2, 4, 1, 3, 5]);
        let (mut pairs, extra) = assign(&hosts, &order, 3, 1);
        assert_eq!((pairs.len(), extra), (3, 0));
        spread(&hosts, &mut pairs);
        assert_eq!(affinity(&hosts, &pairs), (0, 0));
        let one = ["h"; 6];
        let (pairs, _) = assign(&one, &interleave(&one), 3, 1);
        assert_eq!(pairs, [(4, 0), (5, 1), (3, 2)]);
        let seven = ["h"; 8];
        assert_eq!(assign(&seven, &interleave(&seven), 3, 1).1, 2);
    }

    #[test]
    fn slots_leave_in_proportion() {
        let all: Vec<u16> = (0..16384).collect();
        let sources = [(0, &all[..5461]), (1, &all[5461..10923]), (2, &all[10923..])];
        assert_eq!(reshard(&sources, 5), [(1, 5461), (1, 5462), (0, 0), (2, 10923)]);
        assert_eq!(reshard(&sources, 16384).len(), 16384);
        assert_eq!(reshard(&[], 5), []);
    }

    #[test]
    fn balance() {
        let load = |slots, weight| Load { slots, weight };
        let equal = [load(5461, 1.0), load(5462, 1.0), load(5461, 1.0)];
        assert_eq!(rebalance(&equal, 2.0), None);
        let shifts = rebalance(&[load(5458, 1.0), load(5458, 1.0), load(5460, 1.0), load(8, 1.0)], 2.0).unwrap();
        let expected = [(2, 1364), (1, 1362), (0, 1362)].map(|(from, slots)| Shift { from, to: 3, slots });
        assert_eq!(shifts, expected);
        // Nobody is left with what it should not have.
        let loads = [load(16384, 0.0), load(0, 1.0), load(0, 3.0), load(0, 0.5)];
        let shifts = rebalance(&loads, 2.0).unwrap();
        assert_eq!(shifts.iter().map(|shift| shift.slots).sum::<usize>(), 16384);
        assert!(shifts.iter().all(|shift| shift.from == 0));
        assert!(rebalance(&[load(16384, 0.0), load(0, 0.0)], 2.0).is_some());
    }
}
