//! `create`: makes one cluster of empty nodes.

use std::net::IpAddr;

use crate::args::Family;
use crate::cluster::node::{Address, Said, pause};
use crate::cluster::{Manager, Tone, plan};

/// A cluster without a majority cannot fail over.
const MASTERS_MIN: usize = 3;

/// Looks that the cluster gets to agree before the wait for it is given up.
const JOIN_LOOKS: usize = 600;

/// Looks at whether a replica is known to be one.
const REPLICA_LOOKS: usize = 30;

impl Manager {
    pub(super) async fn create(&mut self) -> Result<bool, Said> {
        for text in self.wanted.arguments.clone() {
            let Some(address) = Address::parse(&text) else {
                eprintln!("Invalid address format: {text}");
                return Err(Said);
            };
            let mut node = self.connect(&address).await?;
            if !node.is_empty().await? {
                self.not_empty(&address);
                return Err(Said);
            }
            self.nodes.push(node);
        }
        let (count, replicas) = (self.nodes.len(), self.wanted.replicas);
        let masters = count / (replicas + 1);
        if masters < MASTERS_MIN {
            let text = format!(
                "*** ERROR: Invalid configuration for cluster creation.\n*** Redis Cluster requires at least 3 master nodes.\n\
                 *** This is not possible with {count} nodes and {replicas} replicas per node."
            );
            self.say(Tone::Bad, &text);
            let least = MASTERS_MIN * (replicas + 1);
            self.say(Tone::Bad, &format!("\n*** At least {least} nodes are required.\n"));
            return Ok(false);
        }
        self.allocate(masters);
        if !self.confirm("Can I set the above configuration?", true) {
            return Ok(true);
        }
        self.build().await
    }

    pub(super) fn not_empty(&self, address: &Address) {
        let text = format!(
            "[ERR] Node {address} is not empty. Either the node already knows other nodes (check with CLUSTER NODES) or contains \
             some key in database 0.\n"
        );
        self.say(Tone::Bad, &text);
    }

    /// Decides who does what, and tells it.
    fn allocate(&mut self, masters: usize) {
        let text = format!(">>> Performing hash slots allocation on {} nodes...\n", self.nodes.len());
        self.say(Tone::Step, &text);
        let hosts: Vec<String> = self.nodes.iter().map(|node| node.about.address.host.clone()).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let order = plan::interleave(&hosts);
        for (number, (first, last)) in plan::allocate(masters).into_iter().enumerate() {
            outln!("Master[{number}] -> Slots {first} - {last}");
            self.nodes[order[number]].about.slots = (first..=last).collect();
        }
        let (mut pairs, extra) = plan::assign(&hosts, &order, masters, self.wanted.replicas);
        for (at, (replica, master)) in pairs.iter().enumerate() {
            if extra > 0 && at == pairs.len() - extra {
                outln!("Adding extra replicas...");
            }
            outln!("Adding replica {} to {}", self.nodes[*replica].name(), self.nodes[*master].name());
        }
        if plan::affinity(&hosts, &pairs) != (0, 0) {
            self.say(Tone::Step, ">>> Trying to optimize slaves allocation for anti-affinity\n");
            plan::spread(&hosts, &mut pairs);
            match plan::affinity(&hosts, &pairs) {
                (0, 0) => self.say(Tone::Good, "[OK] Perfect anti-affinity obtained!\n"),
                (0, _) => self.say(Tone::Warning, "[WARNING] Some slaves of the same master are in the same host\n"),
                _ => self.say(Tone::Warning, "[WARNING] Some slaves are in the same host as their master\n"),
            }
        }
        for (replica, master) in pairs {
            self.nodes[replica].about.replicates = Some(self.nodes[master].about.id.clone());
        }
        for index in 0..self.nodes.len() {
            let about = &self.nodes[index].about;
            match &about.replicates {
                Some(master) => outln!("S: {} {}\n   replicates {master}", about.id, about.address),
                None => out!("{}", self.describe(index, 0)),
            }
        }
    }

    /// Does what was decided.
    async fn build(&mut self) -> Result<bool, Said> {
        for index in self.masters() {
            let node = &mut self.nodes[index];
            let mut words = vec!["CLUSTER".to_owned(), "ADDSLOTS".to_owned()];
            words.extend(node.about.slots.iter().map(u16::to_string));
            node.ask(&words).await?;
        }
        self.say(Tone::Step, ">>> Nodes configuration updated\n");
        self.say(Tone::Step, ">>> Assign a different config epoch to each node\n");
        for (index, node) in self.nodes.iter_mut().enumerate() {
            // A node that has an epoch already keeps it.
            let _ = node.raw(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
        }
        self.say(Tone::Step, ">>> Sending CLUSTER MEET messages to join the cluster\n");
        let first = self.nodes[0].about.address.clone();
        let words = meet(&first, self.options.reach.family).await;
        for node in &mut self.nodes[1..] {
            node.ask(&words).await?;
        }
        let wanted: Vec<_> = self.nodes.iter().map(|node| node.about.replicates.clone()).collect();
        self.wait_for_join(self.nodes.len()).await?;
        for (index, master) in wanted.iter().enumerate() {
            if let Some(master) = master {
                self.nodes[index].ask(&["CLUSTER", "REPLICATE", master]).await?;
            }
        }
        // The first node must have heard of it before it is asked.
        for _ in 0..REPLICA_LOOKS {
            let others = self.nodes[0].nodes().await?;
            let known = others.iter().filter(|node| node.replicates.is_some()).count();
            if known + usize::from(wanted[0].is_some()) >= wanted.iter().flatten().count() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        self.load(&first).await?;
        self.check(false, false).await
    }

    /// Waits until so many nodes know each other and agree.
    pub(super) async fn wait_for_join(&mut self, count: usize) -> Result<(), Said> {
        outln!("Waiting for the cluster to join");
        pause().await;
        for _ in 0..JOIN_LOOKS {
            let mut all_known = true;
            for node in &mut self.nodes {
                let others = node.nodes().await?;
                all_known &= others.iter().filter(|other| !other.is("handshake")).count() + 1 >= count;
            }
            if all_known && self.agree().await? {
                outln!("");
                return Ok(());
            }
            out!(".");
            pause().await;
        }
        outln!("");
        self.say(Tone::Bad, "[ERR] The nodes do not get to know each other: is their bus port open?\n");
        Err(Said)
    }
}

/// CLUSTER MEET, which takes no host names: what they resolve to is sent.
pub(super) async fn meet(address: &Address, family: Family) -> Vec<String> {
    let mut host = address.host.clone();
    if host.parse::<IpAddr>().is_err()
        && let Ok(found) = tokio::net::lookup_host((address.host.as_str(), address.port)).await
    {
        let found: Vec<IpAddr> = found.map(|found| found.ip()).collect();
        let wanted = |ip: &&IpAddr| if family == Family::V6 { ip.is_ipv6() } else { ip.is_ipv4() };
        if let Some(ip) = found.iter().find(wanted).or(found.first()) {
            host = ip.to_string();
        }
    }
    let mut words = vec!["CLUSTER".to_owned(), "MEET".to_owned(), host, address.port.to_string()];
    // The default is ten thousand above.
    words.extend(
        address.bus.filter(|bus| u32::from(*bus) != u32::from(address.port) + 10_000).map(|bus| bus.to_string()),
    );
    words
}
