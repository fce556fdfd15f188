//! Looks at a cluster: do the nodes agree, is every slot served, is any half-moved.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::node::{SLOTS, Said};
use crate::cluster::{Manager, Tone};

impl Manager {
    /// Keys, slots and replicas of each master.
    pub(super) async fn print_info(&mut self) {
        let (mut masters, mut total) = (0, 0);
        for node in self.nodes.iter_mut().filter(|node| node.is_master()) {
            let Ok(keys) = node.keys().await else { continue };
            let id: String = node.about.id.chars().take(8).collect();
            outln!(
                "{} ({id}...) -> {keys} keys | {} slots | {} slaves.",
                node.about.address,
                node.about.slots.len(),
                node.replicas
            );
            masters += 1;
            total += keys;
        }
        self.say(Tone::Good, &format!("[OK] {total} keys in {masters} masters.\n"));
        outln!("{:.2} keys per slot on average.", total as f64 / SLOTS as f64);
    }

    /// Everything that can be wrong with a cluster; mends it when told to. True when all is well then.
    pub(super) async fn check(&mut self, quiet: bool, fix: bool) -> Result<bool, Said> {
        let name = self.nodes[0].name();
        self.say(Tone::Step, &format!(">>> Performing Cluster Check (using node {name})\n"));
        if !quiet {
            (0..self.nodes.len()).for_each(|index| out!("{}", self.describe(index, 0)));
        }
        let mut well = self.agree().await?;
        self.errors = usize::from(!well);
        match well {
            true => self.say(Tone::Good, "[OK] All nodes agree about slots configuration.\n"),
            false => self.say(Tone::Bad, "[ERR] Nodes don't agree about configuration!\n"),
        }
        self.say(Tone::Step, ">>> Check for open slots...\n");
        let open = self.open_slots();
        self.errors += usize::from(!open.is_empty());
        if !open.is_empty() {
            well = false;
            if fix && self.may_fix("slots")? {
                well = true;
                for slot in open {
                    well &= self.fix_open_slot(slot).await?;
                }
            }
        }
        self.say(Tone::Step, ">>> Check slots coverage...\n");
        if self.covered().len() == SLOTS {
            self.say(Tone::Good, &format!("[OK] All {SLOTS} slots covered.\n"));
        } else {
            well = false;
            self.errors += 1;
            self.say(Tone::Bad, &format!("[ERR] Not all {SLOTS} slots are covered by nodes.\n\n"));
            if fix && self.may_fix("coverage")? {
                well = self.fix_coverage().await?;
            }
        }
        if self.wanted.search_multiple_owners {
            self.say(Tone::Step, ">>> Check for multiple slot owners...\n");
            let multiple = self.multiple_owners().await?;
            if multiple.is_empty() {
                self.say(Tone::Good, "[OK] No multiple owners found.\n");
            }
            for (slot, owners) in multiple {
                well = false;
                self.say(Tone::Warning, &format!("[WARNING] Slot {slot} has {} owners:\n", owners.len()));
                owners.iter().for_each(|&owner| outln!("    {}", self.nodes[owner].name()));
                if fix {
                    well = self.fix_multiple_owners(slot, &owners).await?;
                }
            }
        }
        Ok(well)
    }

    /// Mending while masters are out of reach takes their slots away: only when that is wanted.
    fn may_fix(&self, what: &str) -> Result<bool, Said> {
        if self.unreachable_masters == 0 || self.wanted.fix_with_unreachable_masters {
            return Ok(true);
        }
        self.say(
            Tone::Bad,
            &format!(
                "*** Fixing {what} with {} unreachable masters is dangerous: redis-cli will assume that slots about masters that \
                 are not reachable are not covered, and will try to reassign them to the reachable nodes. This can cause data loss \
                 and is rarely what you want to do. If you really want to proceed use the --cluster-fix-with-unreachable-masters option.\n",
                self.unreachable_masters
            ),
        );
        Err(Said)
    }

    /// Whether all nodes say the same of who has which slots.
    pub(super) async fn agree(&mut self) -> Result<bool, Said> {
        let mut first = None;
        let mut same = true;
        for node in &mut self.nodes {
            let signature = node.signature().await?;
            match &first {
                None => first = Some(signature),
                Some(first) => same &= *first == signature,
            }
        }
        Ok(same)
    }

    fn open_slots(&self) -> BTreeSet<u16> {
        let mut open = BTreeSet::new();
        let text =
            |slots: &[(u16, String)]| slots.iter().map(|(slot, _)| slot.to_string()).collect::<Vec<_>>().join(",");
        for node in &self.nodes {
            for (slots, state) in [(&node.about.migrating, "migrating"), (&node.about.importing, "importing")] {
                if !slots.is_empty() {
                    let name = node.name();
                    let text = format!("[WARNING] Node {name} has slots in {state} state {}.\n", text(slots));
                    self.say(Tone::Warning, &text);
                    open.extend(slots.iter().map(|(slot, _)| *slot));
                }
            }
        }
        if !open.is_empty() {
            let all: Vec<String> = open.iter().map(u16::to_string).collect();
            self.say(Tone::Warning, &format!("[WARNING] The following slots are open: {}.\n", all.join(",")));
        }
        open
    }

    pub(super) fn covered(&self) -> BTreeSet<u16> {
        self.nodes.iter().flat_map(|node| node.about.slots.iter().copied()).collect()
    }

    /// Slots that several nodes claim for themselves.
    async fn multiple_owners(&mut self) -> Result<BTreeMap<u16, Vec<usize>>, Said> {
        let mut owners: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            // What it says now: a repair before may have changed it.
            node.nodes().await?;
            for &slot in &node.about.slots {
                owners.entry(slot).or_default().push(index);
            }
        }
        owners.retain(|_, owners| owners.len() > 1);
        Ok(owners)
    }
}
