//! `add-node` and `del-node`.

use resp::Value;

use crate::cluster::create::meet;
use crate::cluster::node::{Node, Said};
use crate::cluster::{Manager, Tone};

impl Manager {
    pub(super) async fn add_node(&mut self) -> Result<bool, Said> {
        let new = self.address(&self.wanted.arguments[0])?;
        let existing = self.address(&self.wanted.arguments[1])?;
        self.say(Tone::Step, &format!(">>> Adding node {new} to cluster {existing}\n"));
        self.load(&existing).await?;
        if !self.check(false, false).await? {
            return Ok(false);
        }
        let master = if self.wanted.replica { Some(self.master_for_replica()?) } else { None };
        let opened = Node::open(&new, &self.options).await.map_err(|Said| {
            self.say(Tone::Bad, &format!("[ERR] Sorry, can't connect to node {new}\n"));
            Said
        })?;
        let mut node = opened.map_err(|text| {
            self.say(Tone::Bad, &text);
            Said
        })?;
        if !node.is_empty().await? {
            self.not_empty(&new);
            return Ok(false);
        }
        if master.is_none() {
            self.copy_functions(&mut node).await?;
        }
        let text = format!(">>> Send CLUSTER MEET to node {new} to make it join the cluster.\n");
        self.say(Tone::Step, &text);
        let words = meet(&self.nodes[0].about.address, self.options.reach.family).await;
        node.ask(&words).await?;
        self.nodes.push(node);
        if let Some(master) = master {
            self.wait_for_join(self.nodes.len()).await?;
            let (name, id) = (self.nodes[master].name(), self.nodes[master].about.id.clone());
            self.say(Tone::Step, &format!(">>> Configure node as replica of {name}.\n"));
            let last = self.nodes.len() - 1;
            self.nodes[last].ask(&["CLUSTER", "REPLICATE", &id]).await?;
        }
        self.say(Tone::Good, "[OK] New node added correctly.\n");
        Ok(true)
    }

    /// The master that was named, or the one with the fewest replicas.
    fn master_for_replica(&self) -> Result<usize, Said> {
        if let Some(id) = &self.wanted.master_id {
            return self.find(id).filter(|&index| self.nodes[index].is_master()).ok_or_else(|| {
                self.say(Tone::Bad, &format!("[ERR] No such master ID {id}\n"));
                Said
            });
        }
        let least = self.least_replicated(&[]).ok_or(Said)?;
        outln!("Automatically selected master {}", self.nodes[least].name());
        Ok(least)
    }

    fn least_replicated(&self, except: &[usize]) -> Option<usize> {
        let masters = self.masters().into_iter().filter(|index| !except.contains(index));
        masters.min_by_key(|&index| self.nodes[index].replicas)
    }

    /// A new master must know the functions that the others know.
    async fn copy_functions(&mut self, node: &mut Node) -> Result<(), Said> {
        self.say(Tone::Step, ">>> Getting functions from cluster\n");
        let functions = match self.nodes[0].raw(&["FUNCTION", "DUMP"]).await {
            Ok(Value::Bulk(bytes)) => bytes,
            // Servers before 7.0 have none.
            Ok(Value::Error(text)) if text.starts_with(b"ERR unknown") => return Ok(()),
            Ok(reply) => {
                let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
                self.say(Tone::Bad, &format!("[ERR] Cannot get the functions: {text}\n"));
                return Err(Said);
            }
            Err(error) => {
                self.say(Tone::Bad, &format!("[ERR] Cannot get the functions: {error}\n"));
                return Err(Said);
            }
        };
        let name = node.name();
        self.say(Tone::Step, &format!(">>> Send FUNCTION LIST to {name} to verify there is no functions in it\n"));
        let list = node.ask(&["FUNCTION", "LIST"]).await?;
        if list.into_vec().is_ok_and(|functions| !functions.is_empty()) {
            let text = format!(
                "[ERR] New node already contains functions and can not be added to the cluster. Node: {name}\n"
            );
            self.say(Tone::Bad, &text);
            return Err(Said);
        }
        self.say(Tone::Step, &format!(">>> Send FUNCTION RESTORE to {name}\n"));
        node.ask(&[&b"FUNCTION"[..], b"RESTORE", functions.as_ref()]).await?;
        Ok(())
    }

    pub(super) async fn delete_node(&mut self) -> Result<bool, Said> {
        let [address, id] = [self.wanted.arguments[0].clone(), self.wanted.arguments[1].clone()];
        let address = self.address(&address)?;
        self.say(Tone::Step, &format!(">>> Removing node {id} from cluster {address}\n"));
        self.load(&address).await?;
        let id = id.to_ascii_lowercase();
        let Some(gone) = self.find(&id) else {
            self.say(Tone::Bad, &format!("[ERR] No such node ID {id}\n"));
            return Ok(false);
        };
        if !self.nodes[gone].about.slots.is_empty() {
            let name = self.nodes[gone].name();
            self.say(Tone::Bad, &format!("[ERR] Node {name} is not empty! Reshard data away and try again.\n"));
            return Ok(false);
        }
        self.say(Tone::Step, ">>> Sending CLUSTER FORGET messages to the cluster...\n");
        for index in (0..self.nodes.len()).filter(|index| *index != gone) {
            if self.nodes[index].about.replicates.as_deref() == Some(&id) {
                let master = self.least_replicated(&[gone]).ok_or(Said)?;
                let (name, id) = (self.nodes[master].name(), self.nodes[master].about.id.clone());
                let text = format!(">>> {} as replica of {name}\n", self.nodes[index].name());
                self.say(Tone::Step, &text);
                self.nodes[index].ask(&["CLUSTER", "REPLICATE", &id]).await?;
                self.nodes[master].replicas += 1;
            }
            self.nodes[index].ask(&["CLUSTER", "FORGET", &id]).await?;
        }
        self.say(Tone::Step, ">>> Sending CLUSTER RESET SOFT to the deleted node.\n");
        self.nodes[gone].ask(&["CLUSTER", "RESET", "SOFT"]).await?;
        Ok(true)
    }
}
