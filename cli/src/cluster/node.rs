//! One node: how it is reached and what it says of itself and of others.

use std::time::Duration;

use resp::Value;

use crate::args::{Endpoint, Options};
use crate::connection::{Connection, Error};

/// Hash slots of a cluster.
pub(crate) const SLOTS: usize = 16384;

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Of the cluster bus, where it was told.
    pub(crate) bus: Option<u16>,
}

impl Address {
    /// `host:port` or `host:port@busport`.
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let (address, bus) = match text.split_once('@') {
            Some((address, bus)) => (address, Some(bus.parse().ok()?)),
            None => (text, None),
        };
        let (host, port) = address.rsplit_once(':')?;
        Some(Address { host: host.to_owned(), port: port.parse().ok()?, bus })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What one line of CLUSTER NODES tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) id: String,
    pub(crate) address: Address,
    pub(crate) flags: Vec<String>,
    /// The id of its master.
    pub(crate) replicates: Option<String>,
    pub(crate) epoch: u64,
    pub(crate) connected: bool,
    /// Ascending.
    pub(crate) slots: Vec<u16>,
    /// Slots with the id of the other node.
    pub(crate) migrating: Vec<(u16, String)>,
    pub(crate) importing: Vec<(u16, String)>,
}

impl Description {
    /// Reads a line; `None` when it is none.
    pub(crate) fn parse(line: &str) -> Option<Description> {
        let mut words = line.split(' ');
        let id = words.next()?.to_owned();
        let address = Address::parse(words.next()?.split(',').next()?)?;
        let flags = words.next()?.split(',').map(str::to_owned).collect();
        let replicates = Some(words.next()?).filter(|id| *id != "-").map(str::to_owned);
        let (_ping, _pong) = (words.next()?, words.next()?);
        let epoch = words.next()?.parse().ok()?;
        let connected = words.next()? == "connected";
        let (mut slots, mut migrating, mut importing) = (Vec::new(), Vec::new(), Vec::new());
        let slot = |text: &str| text.parse::<u16>().ok().filter(|slot| usize::from(*slot) < SLOTS);
        for word in words {
            if let Some(open) = word.strip_prefix('[') {
                let open = open.trim_end_matches(']');
                if let Some((number, id)) = open.split_once("->-") {
                    migrating.push((slot(number)?, id.to_owned()));
                } else if let Some((number, id)) = open.split_once("-<-") {
                    importing.push((slot(number)?, id.to_owned()));
                }
            } else if let Some((first, last)) = word.split_once('-') {
                slots.extend(slot(first)?..=slot(last)?);
            } else if !word.is_empty() {
                slots.push(slot(word)?);
            }
        }
        slots.sort_unstable();
        slots.dedup();
        Some(Description { id, address, flags, replicates, epoch, connected, slots, migrating, importing })
    }

    pub(crate) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }
}

/// Slots as `[0-5460],[7]`.
pub(crate) fn ranges(slots: &[u16]) -> String {
    spans(slots)
        .iter()
        .map(|(first, last)| if first == last { format!("[{first}]") } else { format!("[{first}-{last}]") })
        .collect::<Vec<_>>()
        .join(",")
}

/// Ascending slots as first and last of each run.
pub(crate) fn spans(slots: &[u16]) -> Vec<(u16, u16)> {
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for &slot in slots {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == slot => *last = slot,
            _ => spans.push((slot, slot)),
        }
    }
    spans
}

/// Why a node cannot be used; said already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said;

/// A node that is connected.
pub(crate) struct Node {
    pub(crate) about: Description,
    connection: Connection,
    /// How many nodes replicate it.
    pub(crate) replicas: usize,
}

/// Opens a connection and logs in.
pub(crate) async fn open(
    address: &Address,
    options: &Options,
    credentials: (Option<&[u8]>, Option<&[u8]>),
    end: &str,
) -> Result<Connection, Said> {
    let endpoint = Endpoint { host: address.host.clone(), port: address.port, socket: None };
    let opened = Connection::open(&endpoint, &options.reach).await;
    let mut connection = opened.map_err(|error| {
        eprintln!("{}{end}", error.tell(&address.to_string()));
        Said
    })?;
    if let (user, Some(password)) = credentials {
        let mut words: Vec<&[u8]> = vec![b"AUTH"];
        words.extend(user);
        words.push(password);
        answer(address, connection.ask(&words).await)?;
    }
    Ok(connection)
}

/// The reply, unless it is an error: then that is said.
fn answer(address: &Address, reply: Result<Value, Error>) -> Result<Value, Said> {
    match reply {
        Ok(Value::Error(text)) => {
            outln!("Node {address} replied with error:\n{}", String::from_utf8_lossy(&text));
            Err(Said)
        }
        Ok(value) => Ok(value),
        Err(error) => {
            eprintln!("Node {address}: {error}");
            Err(Said)
        }
    }
}

/// A reply's text.
fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

impl Node {
    /// Connects and asks the node for itself and the others that it knows. The error text, coloured by the caller, of a node that
    /// is no cluster node is the second of the tuple.
    pub(crate) async fn open(address: &Address, options: &Options) -> Result<Result<Node, String>, Said> {
        let mut connection = open(address, options, (options.user.as_deref(), options.password.as_deref()), "").await?;
        let info = text(&answer(address, connection.ask(&["INFO", "cluster"]).await)?);
        if !info.lines().any(|line| line.trim_end() == "cluster_enabled:1") {
            return Ok(Err(format!("[ERR] Node {address} is not configured as a cluster node.\n")));
        }
        let about = Description {
            id: String::new(),
            address: address.clone(),
            flags: Vec::new(),
            replicates: None,
            epoch: 0,
            connected: true,
            slots: Vec::new(),
            migrating: Vec::new(),
            importing: Vec::new(),
        };
        let mut node = Node { about, connection, replicas: 0 };
        node.nodes().await?;
        Ok(Ok(node))
    }

    pub(crate) fn name(&self) -> String {
        self.about.address.to_string()
    }

    pub(crate) fn is_master(&self) -> bool {
        !self.about.is("slave") && self.about.replicates.is_none()
    }

    /// Sends one command and gives whatever comes back.
    pub(crate) async fn raw(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        self.connection.ask(words).await
    }

    /// The same; errors are said.
    pub(crate) async fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Value, Said> {
        answer(&self.about.address, self.connection.ask(words).await)
    }

    /// Says an error, gives anything else.
    pub(crate) fn judge(&self, reply: Result<Value, Error>) -> Result<Value, Said> {
        answer(&self.about.address, reply)
    }

    /// CLUSTER NODES: takes over what the node says of itself, gives what it says of the others.
    pub(crate) async fn nodes(&mut self) -> Result<Vec<Description>, Said> {
        let reply = text(&self.ask(&["CLUSTER", "NODES"]).await?);
        let mut others = Vec::new();
        for line in reply.lines() {
            let Some(mut about) = Description::parse(line) else { continue };
            if about.is("myself") {
                // It is reached as before; where its bus is only it knows.
                about.address = Address { bus: about.address.bus, ..self.about.address.clone() };
                self.about = about;
            } else {
                if about.address.host.is_empty() {
                    about.address.host.clone_from(&self.about.address.host);
                }
                others.push(about);
            }
        }
        Ok(others)
    }

    /// Who has which slots in this node's eyes, in a form to compare.
    pub(crate) async fn signature(&mut self) -> Result<Vec<(String, Vec<u16>)>, Said> {
        let mut others = self.nodes().await?;
        others.push(self.about.clone());
        let mut all: Vec<_> =
            others.into_iter().filter(|node| !node.slots.is_empty()).map(|node| (node.id, node.slots)).collect();
        all.sort();
        Ok(all)
    }

    /// Keys of database 0.
    pub(crate) async fn keys(&mut self) -> Result<i64, Said> {
        Ok(self.ask(&["DBSIZE"]).await?.as_i64().unwrap_or(0))
    }

    pub(crate) async fn keys_in_slot(&mut self, slot: u16) -> Result<i64, Said> {
        let slot = slot.to_string();
        Ok(self.ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await?.as_i64().unwrap_or(0))
    }

    pub(crate) async fn set_slot(&mut self, slot: u16, rest: &[&str]) -> Result<(), Said> {
        let slot = slot.to_string();
        let words: Vec<&str> = ["CLUSTER", "SETSLOT", &slot].into_iter().chain(rest.iter().copied()).collect();
        self.ask(&words).await.map(drop)
    }

    /// True when the node knows nobody and holds nothing.
    pub(crate) async fn is_empty(&mut self) -> Result<bool, Said> {
        let info = text(&self.ask(&["CLUSTER", "INFO"]).await?);
        let alone = info.lines().any(|line| line.trim_end() == "cluster_known_nodes:1");
        Ok(alone && self.keys().await? == 0)
    }

    /// Gives the connection away.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }
}

/// Waits between two looks at the cluster.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cluster_nodes() {
        let line = "07c3 127.0.0.1:30004@31004,host4 myself,master - 0 1426238317239 4 connected 0-2 5 7-7 [9->-e7d1] [10-<-67ed]";
        let node = Description::parse(line).unwrap();
        assert_eq!(node.address, Address { host: "127.0.0.1".into(), port: 30004, bus: Some(31004) });
        assert_eq!((node.slots.as_slice(), node.epoch), (&[0, 1, 2, 5, 7][..], 4));
        assert_eq!(ranges(&node.slots), "[0-2],[5],[7]");
        assert_eq!(node.migrating, [(9, "e7d1".to_owned())]);
        assert_eq!(node.importing, [(10, "67ed".to_owned())]);
        assert!(node.is("myself") && node.replicates.is_none());
        let replica = Description::parse("a ::1:7000@17000 slave b 0 1 2 disconnected").unwrap();
        assert_eq!((replica.address.host.as_str(), replica.replicates.as_deref()), ("::1", Some("b")));
        for bad in [
            "",
            "a",
            "a b c",
            "a 1.1.1.1:x@1 master - 0 0 1 connected",
            "a 1.1.1.1:1@2 master - 0 0 1 connected 0-99999",
        ] {
            assert_eq!(Description::parse(bad), None, "{bad}");
        }
    }
}
