use super::super::zmember::ZMember;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Op {
    Insert(i16, u16),
    Rescore(u16, i16),
    Remove(u16),
    RemoveRange(u16, u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (-40..40i16, any::<u16>()).prop_map(|(score, name)| Op::Insert(score, name)),
        2 => (any::<u16>(), -40..40i16).prop_map(|(index, score)| Op::Rescore(index, score)),
        3 => any::<u16>().prop_map(Op::Remove),
        1 => (any::<u16>(), 0..200u16).prop_map(|(rank, count)| Op::RemoveRange(rank, count)),
    ]
}

/// The tree beside a model: names to members, and the order as a sorted vector made anew for each look.
#[derive(Default)]
struct Pair {
    tree: Option<Tree>,
    members: BTreeMap<Vec<u8>, ZMember>,
}

impl Pair {
    fn sorted(&self) -> Vec<(u64, Vec<u8>)> {
        let mut all: Vec<_> =
            self.members.iter().map(|(name, member)| (order_key(member.as_ref().score()), name.clone())).collect();
        all.sort();
        all
    }

    fn tree(&mut self) -> &mut Tree {
        self.tree.get_or_insert_with(Tree::new)
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(score, name) => {
                let name = name.to_be_bytes().to_vec();
                if !self.members.contains_key(&name) {
                    let member = ZMember::new(&name, f64::from(score));
                    self.tree().insert(member.as_ref());
                    self.members.insert(name, member);
                }
            }
            Op::Rescore(index, score) => {
                if let Some(member) = self.members.values().nth(index as usize % self.members.len().max(1)) {
                    let member = member.as_ref();
                    self.tree().rescore(member, f64::from(score));
                }
            }
            Op::Remove(index) => {
                let name = self.members.keys().nth(index as usize % self.members.len().max(1)).cloned();
                if let Some(member) = name.and_then(|name| self.members.remove(&name)) {
                    self.tree().remove(member.as_ref());
                }
            }
            Op::RemoveRange(rank, count) => {
                let len = self.members.len();
                let rank = rank as usize % (len + 1);
                let count = (count as usize).min(len - rank);
                let expected: Vec<_> = self.sorted()[rank..rank + count].iter().map(|pair| pair.1.clone()).collect();
                let mut removed = Vec::new();
                self.tree().remove_range(rank, count, |member| removed.push(member.name().to_vec()));
                assert_eq!(removed, expected);
                removed.iter().for_each(|name| drop(self.members.remove(name)));
            }
        }
    }

    fn check(&mut self) {
        let sorted = self.sorted();
        let tree = self.tree();
        tree.check_invariants();
        assert_eq!(tree.len(), sorted.len());
        let names: Vec<_> = tree.forward(0, usize::MAX).map(|member| member.name().to_vec()).collect();
        assert!(names.iter().eq(sorted.iter().map(|pair| &pair.1)));
        let back: Vec<_> =
            tree.backward(sorted.len().saturating_sub(1), usize::MAX).map(|member| member.name().to_vec()).collect();
        assert!(back.iter().rev().eq(names.iter()));
        for (rank, _) in sorted.iter().enumerate() {
            let member = tree.select(rank).unwrap();
            assert_eq!(tree.rank(member), rank);
        }
        for score in -41..41 {
            let key = order_key(f64::from(score));
            let less = sorted.iter().filter(|pair| pair.0 < key).count();
            let at_most = sorted.iter().filter(|pair| pair.0 <= key).count();
            assert_eq!(tree.count_before(&AtScore { key, after: false }), less);
            assert_eq!(tree.count_before(&AtScore { key, after: true }), at_most);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn behaves_like_a_sorted_vector(ops in proptest::collection::vec(op(), 1..1500)) {
        let mut pair = Pair::default();
        for (step, op) in ops.iter().enumerate() {
            pair.apply(op);
            if step % 97 == 0 {
                pair.check();
            }
        }
        pair.check();
    }
}

/// Enough members for three levels, then all removed again in different orders.
#[test]
fn grows_and_shrinks_through_all_levels() {
    for order in 0..4u64 {
        let mut tree = Tree::new();
        let mut members: Vec<ZMember> = (0..40_000u64)
            .map(|n| match order {
                0 => n,
                1 => 40_000 - n,
                _ => n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20,
            })
            .map(|n| ZMember::new(&n.to_be_bytes(), n as f64))
            .collect();
        members.iter().for_each(|member| tree.insert(member.as_ref()));
        tree.check_invariants();
        if order < 2 {
            // Full leaves are 8.5 bytes a member; inner nodes add 1.1 when full, twice that when half full.
            assert!(tree.node_bytes() < 40_000 * 115 / 10, "ordered input fills leaves: {}", tree.node_bytes());
        }
        if order == 3 {
            members.sort_by_key(|member| order_key(member.as_ref().score()));
        }
        while members.len() > 100 {
            let keep = members.len() * 2 / 3;
            members.drain(keep..).for_each(|member| tree.remove(member.as_ref()));
            tree.check_invariants();
        }
        tree.remove_range(0, members.len(), |_| {});
        tree.check_invariants();
        assert!(tree.root.is_null());
    }
}

#[test]
fn appending_is_inserting_at_the_end() {
    let mut tree = Tree::new();
    let members: Vec<ZMember> = (0..5000u32).map(|n| ZMember::new(&n.to_be_bytes(), f64::from(n / 3))).collect();
    for member in &members {
        tree.push_last(member.as_ref());
    }
    tree.check_invariants();
    assert_eq!(tree.rank(members[4321].as_ref()), 4321);
}

#[test]
fn the_order_of_scores_is_that_of_numbers() {
    let scores = [f64::NEG_INFINITY, -1e300, -2.0, -1e-300, 0.0, f64::MIN_POSITIVE, 1.0, 1.5, 1e300, f64::INFINITY];
    assert!(scores.windows(2).all(|pair| order_key(pair[0]) < order_key(pair[1])));
    assert_eq!(order_key(-0.0), order_key(0.0));
}

#[test]
fn names_of_all_lengths_survive() {
    for len in [0, 1, 253, 254, 255, 256, 65_535, 65_536, 100_000] {
        let name = vec![b'x'; len];
        let member = ZMember::new(&name, -1.25);
        assert_eq!(member.as_ref().name(), name);
        assert_eq!(member.as_ref().score(), -1.25);
    }
}
