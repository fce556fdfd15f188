//! Moves slots: `reshard`, `rebalance`.

use resp::Value;

use crate::cluster::node::{SLOTS, Said};
use crate::cluster::plan::{self, Load};
use crate::cluster::{Manager, Tone};

/// Keys of one MIGRATE, unless told otherwise.
const PIPELINE: i64 = 10;

/// Milliseconds that one MIGRATE may take, unless told otherwise.
const TIMEOUT: i64 = 60_000;

/// Per cent of imbalance that is left alone, unless told otherwise.
const THRESHOLD: f64 = 2.0;

/// How a slot is moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Move {
    /// Who owns the slot stays as it is.
    pub(super) keys_only: bool,
    /// Print nothing.
    pub(super) quiet: bool,
    /// Keys that the target has already, with the same value, are no trouble.
    pub(super) repairing: bool,
}

impl Manager {
    /// Moves one slot with its keys.
    pub(super) async fn move_slot(&mut self, slot: u16, from: usize, to: usize, how: Move) -> Result<(), Said> {
        if !how.quiet {
            out!("Moving slot {slot} from {} to {}: ", self.nodes[from].name(), self.nodes[to].name());
        }
        let (from_id, to_id) = (self.nodes[from].about.id.clone(), self.nodes[to].about.id.clone());
        if !how.keys_only {
            self.nodes[to].set_slot(slot, &["IMPORTING", &from_id]).await?;
            self.nodes[from].set_slot(slot, &["MIGRATING", &to_id]).await?;
        }
        self.move_keys(slot, from, to, how).await?;
        if !how.quiet {
            outln!("");
        }
        if how.keys_only {
            return Ok(());
        }
        // First whom it belongs to, so that there is always somebody who serves it.
        let others = self.masters().into_iter().filter(|index| *index != from && *index != to);
        for index in [to, from].into_iter().chain(others) {
            self.assign(index, slot, &to_id).await?;
        }
        self.nodes[from].about.slots.retain(|own| *own != slot);
        let slots = &mut self.nodes[to].about.slots;
        if let Err(at) = slots.binary_search(&slot) {
            slots.insert(at, slot);
        }
        Ok(())
    }

    /// Tells a node who has a slot now. A master that has given its last slot away may have become a replica, which is told
    /// by its own master.
    async fn assign(&mut self, index: usize, slot: u16, owner: &str) -> Result<(), Said> {
        let slot = slot.to_string();
        let reply = self.nodes[index].raw(&["CLUSTER", "SETSLOT", &slot, "NODE", owner]).await;
        match &reply {
            Ok(Value::Error(text)) if text.starts_with(b"ERR Please use SETSLOT only with masters") => Ok(()),
            _ => self.nodes[index].judge(reply).map(drop),
        }
    }

    async fn move_keys(&mut self, slot: u16, from: usize, to: usize, how: Move) -> Result<(), Said> {
        let count = self.wanted.pipeline.filter(|count| *count > 0).unwrap_or(PIPELINE).to_string();
        let slot = slot.to_string();
        loop {
            let reply = self.nodes[from].ask(&["CLUSTER", "GETKEYSINSLOT", &slot, &count]).await?;
            let keys = reply.into_vec().unwrap_or_default();
            let keys: Vec<Vec<u8>> = keys.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let replace = self.wanted.replace;
            let mut outcome = self.migrate(from, to, &keys, replace).await?;
            if let Err(text) = &outcome
                && text.contains("BUSYKEY")
                && how.repairing
            {
                self.say(Tone::Warning, "\n*** Target key exists\n");
                if self.same_values(from, to, &keys).await? {
                    self.say(Tone::Warning, "*** Replacing target keys...\n");
                    outcome = self.migrate(from, to, &keys, true).await?;
                } else {
                    self.say(
                        Tone::Warning,
                        "*** The values differ: decide which to keep, then try again (with --cluster-replace the target's are lost)\n",
                    );
                }
            }
            if let Err(text) = outcome {
                outln!("");
                outln!("Node {} replied with error:\n{text}", self.nodes[from].name());
                return Err(Said);
            }
            if !how.quiet {
                out!("{}", ".".repeat(keys.len()));
            }
        }
    }

    /// One MIGRATE; the inner error is the source's refusal.
    async fn migrate(
        &mut self,
        from: usize,
        to: usize,
        keys: &[Vec<u8>],
        replace: bool,
    ) -> Result<Result<(), String>, Said> {
        let timeout = self.wanted.timeout.unwrap_or(TIMEOUT).to_string();
        let target = self.nodes[to].about.address.clone();
        let port = target.port.to_string();
        let mut words: Vec<&[u8]> =
            vec![b"MIGRATE", target.host.as_bytes(), port.as_bytes(), b"", b"0", timeout.as_bytes()];
        if replace {
            words.push(b"REPLACE");
        }
        let (user, password) = (self.options.user.clone(), self.options.password.clone());
        match (&user, &password) {
            (Some(user), Some(password)) => words.extend([&b"AUTH2"[..], user, password]),
            (None, Some(password)) => words.extend([&b"AUTH"[..], password]),
            _ => {}
        }
        words.push(b"KEYS");
        words.extend(keys.iter().map(Vec::as_slice));
        match self.nodes[from].raw(&words).await {
            Ok(Value::Error(text)) => Ok(Err(String::from_utf8_lossy(&text).into_owned())),
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Whether the keys that both nodes have hold the same.
    async fn same_values(&mut self, left: usize, right: usize, keys: &[Vec<u8>]) -> Result<bool, Said> {
        for key in keys {
            let mut values = Vec::new();
            for index in [left, right] {
                // A node answers for a slot that it imports only behind this.
                self.nodes[index].ask(&["ASKING"]).await?;
                values.push(self.nodes[index].raw(&[&b"DUMP"[..], key]).await.ok());
            }
            let there = values[1].as_ref().and_then(Value::as_bytes).is_some();
            if there && values[0] != values[1] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `reshard`: some slots from some masters to one.
    pub(super) async fn reshard(&mut self) -> Result<bool, Said> {
        self.load(&self.node_address()?).await?;
        if !self.check(false, false).await? {
            self.say(Tone::Bad, "*** Please fix your cluster problems before resharding\n");
            return Ok(false);
        }
        let count = match self.wanted.slots {
            Some(count) if (1..=SLOTS as i64).contains(&count) => count as usize,
            _ => loop {
                let prompt = format!("How many slots do you want to move (from 1 to {SLOTS})? ");
                let Some(line) = self.ask_user(&prompt) else { return Ok(false) };
                if let Ok(count @ 1..=SLOTS) = line.parse() {
                    break count;
                }
            },
        };
        let target = match self.wanted.to.clone() {
            Some(id) => self.known_master(&id).ok_or(Said)?,
            None => loop {
                let Some(line) = self.ask_user("What is the receiving node ID? ") else { return Ok(false) };
                if let Some(target) = self.known_master(&line) {
                    break target;
                }
            },
        };
        let sources = self.sources(target)?;
        outln!("\nReady to move {count} slots.\n  Source nodes:");
        sources.iter().for_each(|&source| out!("{}", self.describe(source, 4)));
        out!("  Destination node:\n{}", self.describe(target, 4));
        outln!("  Resharding plan:");
        let pools: Vec<(usize, &[u16])> =
            sources.iter().map(|&source| (source, self.nodes[source].about.slots.as_slice())).collect();
        let plan = plan::reshard(&pools, count);
        for (source, slot) in &plan {
            outln!("    Moving slot {slot} from {}", self.nodes[*source].about.id);
        }
        if !self.wanted.yes {
            let answer = self.ask_user("Do you want to proceed with the proposed reshard plan (yes/no)? ");
            if answer.is_none_or(|answer| answer != "yes") {
                return Ok(false);
            }
        }
        for (source, slot) in plan {
            self.move_slot(slot, source, target, Move::default()).await?;
        }
        Ok(true)
    }

    fn known_master(&self, id: &str) -> Option<usize> {
        let found = self.find(id).filter(|&index| self.nodes[index].is_master());
        if found.is_none() {
            let text = format!("*** The specified node ({id}) is not known or not a master, please retry.\n");
            self.say(Tone::Bad, &text);
        }
        found
    }

    /// The masters that slots are taken from.
    fn sources(&self, target: usize) -> Result<Vec<usize>, Said> {
        let all = || self.masters().into_iter().filter(|&index| index != target).collect::<Vec<_>>();
        let mut sources: Vec<usize> = Vec::new();
        let mut add = |index: usize| {
            if !sources.contains(&index) {
                sources.push(index);
            }
        };
        match self.wanted.from.as_deref() {
            Some("all") => all().into_iter().for_each(add),
            Some(list) => {
                for id in list.split(',') {
                    add(self.known_master(id).ok_or(Said)?);
                }
            }
            None => {
                outln!(
                    "Please enter all the source node IDs.\n  Type 'all' to use all the nodes as source nodes for the hash slots.\n  \
                     Type 'done' once you entered all the source nodes IDs."
                );
                for number in 1.. {
                    match self.ask_user(&format!("Source node #{number}: ")).as_deref() {
                        None | Some("done") => break,
                        Some("all") => {
                            all().into_iter().for_each(&mut add);
                            break;
                        }
                        Some(id) => {
                            if let Some(index) = self.known_master(id) {
                                add(index);
                            }
                        }
                    }
                }
            }
        }
        let itself = sources.contains(&target);
        if itself {
            self.say(Tone::Bad, "*** It is not possible to use the target node as source node.\n");
        }
        if itself || sources.is_empty() {
            eprintln!("*** No source nodes given, operation aborted.");
            return Err(Said);
        }
        Ok(sources)
    }

    /// `rebalance`: as many slots for each master as it weighs.
    pub(super) async fn rebalance(&mut self) -> Result<bool, Said> {
        self.load(&self.node_address()?).await?;
        let mut weights = vec![None; self.nodes.len()];
        for setting in &self.wanted.weights {
            let Some((id, weight)) = setting.split_once('=') else { continue };
            // The beginning of an id is enough.
            let found = self.masters().into_iter().find(|&index| self.nodes[index].about.id.starts_with(id));
            let Some(index) = found.filter(|_| !id.is_empty()) else {
                self.say(Tone::Bad, &format!("*** No such master node {id}\n"));
                return Ok(false);
            };
            weights[index] = Some(crate::args::leading_float(weight.as_bytes()).max(0.0));
        }
        let mut indexes = Vec::new();
        let mut loads = Vec::new();
        for index in self.masters() {
            let slots = self.nodes[index].about.slots.len();
            if slots == 0 && !self.wanted.use_empty_masters {
                continue;
            }
            indexes.push(index);
            loads.push(Load { slots, weight: weights[index].unwrap_or(1.0) });
        }
        if !self.check(true, false).await? {
            self.say(Tone::Bad, "*** Please fix your cluster problems before rebalancing\n");
            return Ok(false);
        }
        let threshold = self.wanted.threshold.unwrap_or(THRESHOLD);
        let Some(shifts) = plan::rebalance(&loads, threshold) else {
            let text = format!("*** No rebalancing needed! All nodes are within the {threshold:.2}% threshold.\n");
            self.say(Tone::Warning, &text);
            return Ok(true);
        };
        let weight: f64 = loads.iter().map(|load| load.weight).sum();
        let text = format!(">>> Rebalancing across {} nodes. Total weight = {weight:.2}\n", loads.len());
        self.say(Tone::Step, &text);
        for shift in shifts {
            let (from, to) = (indexes[shift.from], indexes[shift.to]);
            outln!("Moving {} slots from {} to {}", shift.slots, self.nodes[from].name(), self.nodes[to].name());
            let slots: Vec<u16> = self.nodes[from].about.slots.iter().take(shift.slots).copied().collect();
            for slot in slots {
                if self.wanted.simulate {
                    self.nodes[from].about.slots.retain(|own| *own != slot);
                } else {
                    self.move_slot(slot, from, to, Move { quiet: true, ..Move::default() }).await?;
                }
                out!("#");
            }
            outln!("");
        }
        Ok(true)
    }
}
