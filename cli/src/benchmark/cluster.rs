//! `--cluster`: the masters of a cluster, and tags for their slots.

use crate::args::{Endpoint, Reach};
use crate::benchmark::options::Options;
use crate::benchmark::worker::{self, Node};
use crate::benchmark::workload::TAG_SIZE;
use crate::benchmark::{Target, greet, settings, write};
use crate::cluster::node::{Description, SLOTS};
use crate::cluster::slot_of;
use crate::connection::{Connection, OpenError, io_text};

/// Letters of tags.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Asks the node for the cluster, and each master for its configuration.
pub(super) fn reach(options: &Options) -> Result<Target, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| io_text(&error))?;
    runtime.block_on(masters(options))
}

async fn masters(options: &Options) -> Result<Target, String> {
    let name = options.endpoint.name();
    let mut connection = open(&options.endpoint, &options.reach).await?;
    greet(&mut connection, options, &name).await?;
    let reply = connection.ask(&["CLUSTER", "NODES"]).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    if reply.is_error() {
        return Err(format!(
            "Cluster node {name} replied with error:\n{text}\nFailed to fetch cluster configuration from {name}"
        ));
    }
    let mut found: Vec<Description> = text.lines().filter_map(Description::parse).collect();
    found.retain(|node| node.is("master") && !node.slots.is_empty());
    if found.is_empty() {
        return Err("Invalid cluster: no master has slots".to_owned());
    }
    write(&format!("Cluster has {} master nodes:\n\n", found.len()));
    let tags = tags();
    let (mut nodes, mut configs) = (Vec::new(), Vec::new());
    for (number, about) in found.iter().enumerate() {
        let mut endpoint = Endpoint { host: about.address.host.clone(), port: about.address.port, socket: None };
        if about.is("myself") {
            endpoint.clone_from(&options.endpoint);
        }
        write(&format!("Master {number}: {} {}\n", about.id, about.address));
        let mut connection = open(&endpoint, &options.reach).await?;
        greet(&mut connection, options, &endpoint.name()).await?;
        configs.push(settings(&mut connection, &endpoint.name()).await?);
        let address = worker::address(&endpoint).map_err(|error| OpenError::from(error).tell(&endpoint.name()))?;
        let tags = about.slots.iter().filter_map(|slot| tags[usize::from(*slot)]).collect();
        nodes.push(Node { address, name: endpoint.name(), tags });
    }
    write("\n");
    Ok(Target::new(nodes, configs, options))
}

async fn open(endpoint: &Endpoint, reach: &Reach) -> Result<Connection, String> {
    Connection::open(endpoint, reach).await.map_err(|error| error.tell(&endpoint.name()))
}

/// A tag for each slot.
fn tags() -> Vec<Option<[u8; TAG_SIZE]>> {
    let mut tags = vec![None; SLOTS];
    for first in LETTERS {
        for second in LETTERS {
            for third in LETTERS {
                let tag = [*first, *second, *third];
                tags[usize::from(slot_of(&tag))] = Some(tag);
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_tag() {
        let tags = tags();
        let missing = tags.iter().filter(|tag| tag.is_none()).count();
        assert_eq!(missing, 0);
        assert_eq!(slot_of(format!("x{{{}}}y", String::from_utf8_lossy(&tags[77].unwrap())).as_bytes()), 77);
    }
}
