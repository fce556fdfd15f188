//! Mends what `check` finds.

use crate::cluster::node::{SLOTS, Said, ranges};
use crate::cluster::reshard::Move;
use crate::cluster::{Manager, Tone};

impl Manager {
    /// Takes care that every slot is served by somebody. True when it is.
    pub(super) async fn fix_coverage(&mut self) -> Result<bool, Said> {
        self.say(Tone::Step, ">>> Fixing slots coverage...\n");
        let covered = self.covered();
        // Slots without keys anywhere, with keys in one node, with keys in several.
        let mut kinds: [Vec<(u16, Vec<usize>)>; 3] = Default::default();
        let masters = self.masters();
        for slot in (0..SLOTS as u16).filter(|slot| !covered.contains(slot)) {
            let mut holders = Vec::new();
            for &master in &masters {
                let keys = self.nodes[master].keys_in_slot(slot).await?;
                if keys > 0 {
                    holders.push((std::cmp::Reverse(keys), master));
                }
            }
            // The one with the most keys first.
            holders.sort_unstable();
            kinds[holders.len().min(2)].push((slot, holders.into_iter().map(|(_, master)| master).collect()));
        }
        let [nobody, one, several] = kinds;
        let slots = |kind: &[(u16, Vec<usize>)]| ranges(&kind.iter().map(|(slot, _)| *slot).collect::<Vec<_>>());
        let mut all = true;
        if !nobody.is_empty() {
            outln!("The following uncovered slots have no keys across the cluster:\n{}", slots(&nobody));
            all &= self.confirm("Fix these slots by covering with a random node?", false);
            if all {
                for (at, (slot, _)) in nobody.iter().enumerate() {
                    // In turn is as good as at random.
                    self.cover(*slot, masters[at % masters.len()]).await?;
                }
            }
        }
        if !one.is_empty() {
            outln!("The following uncovered slots have keys in just one node:\n{}", slots(&one));
            let yes = self.confirm("Fix these slots by covering with those nodes?", false);
            all &= yes;
            for (slot, holders) in one.iter().filter(|_| yes) {
                self.cover(*slot, holders[0]).await?;
            }
        }
        if !several.is_empty() {
            outln!("The following uncovered slots have keys in multiple nodes:\n{}", slots(&several));
            let yes = self.confirm("Fix these slots by moving keys into a single node?", false);
            all &= yes;
            for (slot, holders) in several.iter().filter(|_| yes) {
                let target = holders[0];
                let name = self.nodes[target].name();
                self.say(Tone::Step, &format!(">>> Covering slot {slot} moving keys to {name}\n"));
                self.own(*slot, target).await?;
                for &source in &holders[1..] {
                    self.collect(*slot, source, target).await?;
                }
            }
        }
        Ok(all)
    }

    async fn cover(&mut self, slot: u16, master: usize) -> Result<(), Said> {
        let name = self.nodes[master].name();
        self.say(Tone::Step, &format!(">>> Covering slot {slot} with {name}\n"));
        self.own(slot, master).await
    }

    /// Makes a node the owner of a slot, and its claim the newest.
    async fn own(&mut self, slot: u16, master: usize) -> Result<(), Said> {
        let node = &mut self.nodes[master];
        // A node that believes in another owner refuses to add the slot before it has forgotten that.
        let _ = node.raw(&["CLUSTER", "DELSLOTS", &slot.to_string()]).await;
        node.ask(&["CLUSTER", "ADDSLOTS", &slot.to_string()]).await?;
        node.set_slot(slot, &["STABLE"]).await?;
        node.ask(&["CLUSTER", "BUMPEPOCH"]).await?;
        if let Err(at) = node.about.slots.binary_search(&slot) {
            node.about.slots.insert(at, slot);
        }
        Ok(())
    }

    /// Moves the keys of a slot that `source` holds without owning it.
    async fn collect(&mut self, slot: u16, source: usize, target: usize) -> Result<(), Said> {
        let id = self.nodes[target].about.id.clone();
        // Only a slot that it has, or imports, gives the keys away.
        self.nodes[source].set_slot(slot, &["IMPORTING", &id]).await?;
        self.move_slot(slot, source, target, Move { keys_only: true, repairing: true, ..Move::default() }).await?;
        self.nodes[source].set_slot(slot, &["STABLE"]).await
    }

    /// Brings a slot that is half-moved to one owner. True when that is done.
    pub(super) async fn fix_open_slot(&mut self, slot: u16) -> Result<bool, Said> {
        self.say(Tone::Step, &format!(">>> Fixing open slot {slot}\n"));
        let (mut owners, mut migrating, mut importing) = (Vec::new(), Vec::new(), Vec::new());
        for index in self.masters() {
            let about = &self.nodes[index].about;
            let owns = about.slots.binary_search(&slot).is_ok();
            let is_in = |open: &[(u16, String)]| open.iter().any(|(number, _)| *number == slot);
            let (leaves, comes) = (is_in(&about.migrating), is_in(&about.importing));
            if owns {
                owners.push(index);
            }
            if leaves {
                migrating.push(index);
            } else if comes {
                importing.push(index);
            } else if !owns && self.nodes[index].keys_in_slot(slot).await? > 0 {
                let name = self.nodes[index].name();
                self.say(Tone::Warning, &format!("*** Found keys about slot {slot} in non-owner node {name}!\n"));
                importing.push(index);
            }
        }
        for (state, indexes) in [("migrating", &migrating), ("importing", &importing)] {
            if !indexes.is_empty() {
                outln!("Set as {state} in: {}", self.names(indexes));
            }
        }
        if owners.is_empty() {
            self.say(Tone::Step, ">>> No single clear owner for the slot, selecting an owner by # of keys...\n");
        }
        let owner = match owners.as_slice() {
            [owner] => *owner,
            candidates => {
                let candidates = if candidates.is_empty() { self.masters() } else { candidates.to_vec() };
                let Some(owner) = self.with_most_keys(slot, &candidates).await? else { return Ok(false) };
                let name = self.nodes[owner].name();
                self.say(Tone::Warning, &format!("*** Configuring {name} as the slot owner\n"));
                self.own(slot, owner).await?;
                for &other in owners.iter().filter(|&&other| other != owner) {
                    self.nodes[other].ask(&["CLUSTER", "DELSLOTS", &slot.to_string()]).await?;
                    self.nodes[other].about.slots.retain(|own| *own != slot);
                    importing.push(other);
                }
                migrating.retain(|index| *index != owner);
                importing.retain(|index| *index != owner);
                importing.append(&mut migrating);
                owner
            }
        };
        match (migrating.as_slice(), importing.as_slice()) {
            (&[from], &[to]) if from == owner => {
                let text = format!(
                    ">>> Case 1: Moving slot {slot} from {} to {}\n",
                    self.nodes[from].name(),
                    self.nodes[to].name()
                );
                self.say(Tone::Step, &text);
                self.move_slot(slot, from, to, Move { repairing: true, ..Move::default() }).await?;
            }
            ([], [_, ..]) => {
                let name = self.nodes[owner].name();
                let text = format!(">>> Case 2: Moving all the {slot} slot keys to its owner {name}\n");
                self.say(Tone::Step, &text);
                for &index in &importing {
                    let how = Move { keys_only: true, repairing: true, ..Move::default() };
                    self.move_slot(slot, index, owner, how).await?;
                    let name = self.nodes[index].name();
                    self.say(Tone::Step, &format!(">>> Setting {slot} as STABLE in {name}\n"));
                    self.nodes[index].set_slot(slot, &["STABLE"]).await?;
                }
            }
            (&[from], [_, _, ..]) if from == owner => {
                // To the one that the owner means; the others give what they have and are closed.
                let meant = self.nodes[from]
                    .about
                    .migrating
                    .iter()
                    .find(|(number, _)| *number == slot)
                    .map(|(_, id)| id.clone());
                let to =
                    meant.and_then(|id| self.find(&id)).filter(|to| importing.contains(to)).unwrap_or(importing[0]);
                let text = format!(
                    ">>> Case 3: Moving slot {slot} from {} to {} and closing it on all the other importing nodes\n",
                    self.nodes[from].name(),
                    self.nodes[to].name()
                );
                self.say(Tone::Step, &text);
                self.move_slot(slot, from, to, Move { repairing: true, ..Move::default() }).await?;
                for &index in importing.iter().filter(|&&index| index != to) {
                    if self.nodes[index].keys_in_slot(slot).await? > 0 {
                        let how = Move { keys_only: true, repairing: true, ..Move::default() };
                        self.move_slot(slot, index, to, how).await?;
                    }
                    self.nodes[index].set_slot(slot, &["STABLE"]).await?;
                }
            }
            (&[from], []) => {
                let name = self.nodes[from].name();
                self.say(Tone::Step, &format!(">>> Case 4: Closing slot {slot} on {name}\n"));
                self.nodes[from].set_slot(slot, &["STABLE"]).await?;
            }
            ([], []) => {}
            _ => {
                let text = format!(
                    "[ERR] Sorry, redis-cli can't fix this slot yet (work in progress). Slot is set as migrating in {}, as importing \
                     in {}, owner is {}\n",
                    self.names(&migrating),
                    self.names(&importing),
                    self.nodes[owner].name()
                );
                self.say(Tone::Bad, &text);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn names(&self, indexes: &[usize]) -> String {
        indexes.iter().map(|&index| self.nodes[index].name()).collect::<Vec<_>>().join(",")
    }

    async fn with_most_keys(&mut self, slot: u16, among: &[usize]) -> Result<Option<usize>, Said> {
        let mut best = None;
        for &index in among {
            let keys = self.nodes[index].keys_in_slot(slot).await?;
            if best.is_none_or(|(most, _)| keys > most) {
                best = Some((keys, index));
            }
        }
        Ok(best.map(|(_, index)| index))
    }

    /// The claimant with the most keys gets the slot and the others' keys.
    pub(super) async fn fix_multiple_owners(&mut self, slot: u16, owners: &[usize]) -> Result<bool, Said> {
        let Some(owner) = self.with_most_keys(slot, owners).await? else { return Ok(false) };
        let name = self.nodes[owner].name();
        self.say(Tone::Step, &format!(">>> Setting slot {slot} owner: {name}\n"));
        self.own(slot, owner).await?;
        for &other in owners.iter().filter(|&&other| other != owner) {
            let id = self.nodes[owner].about.id.clone();
            self.nodes[other].set_slot(slot, &["NODE", &id]).await?;
            self.nodes[other].about.slots.retain(|own| *own != slot);
            self.collect(slot, other, owner).await?;
        }
        Ok(true)
    }
}
