//! `import`: the keys of a server that is no cluster into one. `backup`: a snapshot of every master.

use std::path::Path;

use resp::Value;

use crate::cluster::node::{self, Address, SLOTS, Said, spans};
use crate::cluster::{Manager, Tone};
use crate::modes::{self, replica};
use crate::progress::Progress;

/// COUNT of the SCAN.
const BATCH: i64 = 1000;

/// Milliseconds that one MIGRATE may take, unless told otherwise.
const TIMEOUT: i64 = 60_000;

impl Manager {
    pub(super) async fn import(&mut self) -> Result<bool, Said> {
        let Some(from) = self.wanted.from.clone() else {
            eprintln!("[ERR] Option '--cluster-from' is required for subcommand 'import'.");
            return Err(Said);
        };
        let address = self.address(&self.wanted.arguments[0])?;
        let source_address = Address::parse(&from).ok_or_else(|| {
            eprintln!("[ERR] Invalid --cluster-from host. You need to pass a valid address (ie. 120.0.0.1:7000).");
            Said
        })?;
        let mut password = self.wanted.from_password.clone();
        if self.wanted.from_ask_password {
            password = Some(crate::ask_password().map_err(|error| {
                eprintln!("Cannot read the password: {error}");
                Said
            })?);
        }
        self.say(Tone::Step, &format!(">>> Importing data from {from} to cluster {address}\n"));
        self.load(&address).await?;
        if !self.check(false, false).await? {
            return Ok(false);
        }
        let credentials = (self.wanted.from_user.as_deref(), password.as_deref());
        let mut source = node::open(&source_address, &self.options, credentials, ".").await?;
        let refused = |text: String| {
            self.say(Tone::Bad, &format!("Source {source_address} replied with error:\n{text}\n"));
            Said
        };
        let info = source.ask(&["INFO", "cluster"]).await.map_err(|error| refused(error.to_string()))?;
        let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        if info.lines().any(|line| line.trim_end() == "cluster_enabled:1") {
            self.say(Tone::Bad, "[ERR] The source node should not be a cluster node.\n");
            return Ok(false);
        }
        let keys = source.ask(&["DBSIZE"]).await.map_err(|error| refused(error.to_string()))?;
        let keys = keys.as_i64().unwrap_or(0);
        self.say(Tone::Warning, &format!("*** Importing {keys} keys from DB 0\n"));
        let mut owners = vec![0; SLOTS];
        for index in self.masters() {
            self.nodes[index].about.slots.iter().for_each(|slot| owners[usize::from(*slot)] = index);
        }
        let timeout = self.wanted.timeout.unwrap_or(TIMEOUT).to_string();
        let mut scan = modes::Scan::new(None, BATCH);
        while let Some(batch) = scan.next(&mut source).await.map_err(|error| refused(error.to_string()))? {
            for key in batch.iter().filter_map(Value::as_bytes) {
                let target = &self.nodes[owners[usize::from(slot_of(key))]].about.address;
                out!("Migrating {} to {target}: ", String::from_utf8_lossy(key));
                let port = target.port.to_string();
                let mut words: Vec<&[u8]> =
                    vec![b"MIGRATE", target.host.as_bytes(), port.as_bytes(), key, b"0", timeout.as_bytes()];
                if self.wanted.copy {
                    words.push(b"COPY");
                }
                if self.wanted.replace {
                    words.push(b"REPLACE");
                }
                match (&self.options.user, &self.options.password) {
                    (Some(user), Some(password)) => words.extend([&b"AUTH2"[..], user, password]),
                    (None, Some(password)) => words.extend([&b"AUTH"[..], password]),
                    _ => {}
                }
                match source.ask(&words).await {
                    Ok(Value::Error(text)) => return Err(refused(String::from_utf8_lossy(&text).into_owned())),
                    Ok(_) => outln!("OK"),
                    Err(error) => return Err(refused(error.to_string())),
                }
            }
        }
        Ok(true)
    }

    pub(super) async fn backup(&mut self) -> Result<bool, Said> {
        let address = self.address(&self.wanted.arguments[0])?;
        self.load(&address).await?;
        // What is out of order does not keep the rest from being saved; the outcome tells.
        let well = self.check(false, false).await?;
        let folder = self.wanted.arguments[1].clone();
        let json = self.as_json();
        for node in std::mem::take(&mut self.nodes) {
            if !node.is_master() {
                continue;
            }
            let (name, about) = (node.name(), node.about.clone());
            self.say(Tone::Step, &format!(">>> Node {name} -> Saving RDB...\n"));
            let file = format!("redis-node-{}-{}-{}.rdb", about.address.host, about.address.port, about.id);
            let path = Path::new(&folder).join(file);
            let progress = Progress::new("bytes", self.options.plain);
            if let Err(error) =
                replica::snapshot(node.into_connection(), path.as_os_str().as_encoded_bytes(), progress).await
            {
                modes::failed(&error);
                return Err(Said);
            }
        }
        let path = Path::new(&folder).join("nodes.json");
        outln!("Saving cluster configuration to: {}", path.display());
        if let Err(error) = std::fs::write(&path, json) {
            eprintln!("Could not save nodes to: {}: {}", path.display(), crate::connection::io_text(&error));
            return Err(Said);
        }
        match well {
            true => self.say(Tone::Good, &format!("[OK] Backup created into: {folder}\n")),
            false => {
                self.say(Tone::Warning, &format!("[WARNING] Cluster is not healthy. Backup created into: {folder}\n"))
            }
        }
        Ok(well)
    }

    /// The nodes as `nodes.json` has them.
    fn as_json(&self) -> String {
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| {
                let about = &node.about;
                let slots: Vec<String> =
                    spans(&about.slots).iter().map(|(first, last)| format!("[{first},{last}]")).collect();
                let mut out = format!(
                    "  {{\n    \"name\": \"{}\",\n    \"host\": \"{}\",\n    \"port\": {},\n    \"replicate\": {},\n    \
                     \"slots\": [{}],\n    \"slots_count\": {},\n    \"flags\": \"{}\",\n    \"current_epoch\": {}",
                    about.id,
                    about.address.host,
                    about.address.port,
                    about.replicates.as_ref().map_or("null".to_owned(), |id| format!("\"{id}\"")),
                    slots.join(","),
                    about.slots.len(),
                    if node.is_master() { "master" } else { "slave" },
                    about.epoch,
                );
                for (name, open) in [("migrating", &about.migrating), ("importing", &about.importing)] {
                    if !open.is_empty() {
                        let open: Vec<String> = open.iter().map(|(slot, id)| format!("\"{slot}\": \"{id}\"")).collect();
                        out.push_str(&format!(",\n    \"{name}\": {{{}}}", open.join(",")));
                    }
                }
                if self.errors > 0 {
                    out.push_str(&format!(",\n    \"cluster_errors\": {}", self.errors));
                }
                out.push_str("\n  }");
                out
            })
            .collect();
        format!("[\n{}\n]", nodes.join(",\n"))
    }
}

/// The slot of a key: of what stands in its first braces, if anything does.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let length = key[open + 1..].iter().position(|&byte| byte == b'}')?;
        (length > 0).then(|| &key[open + 1..open + 1 + length])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_keys() {
        for (key, slot) in [("a", 15495), ("x", 16287), ("{a}2", 15495), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015)]
        {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }
}
