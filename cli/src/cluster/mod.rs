//! `--cluster`: makes, checks, mends and changes clusters.
//!
//! `node` is one server and what it tells, `plan` decides (who replicates whom, which slots move where) and asks nobody,
//! `check` and `fix` look at a cluster and mend it, `create`, `membership`, `reshard` and `import` change one.
//! What is printed is what redis-cli prints; a function that fails with [`Said`] has told why.

/// Writes text to standard output.
macro_rules! out {
    ($($text:tt)*) => { $crate::cluster::write(format!($($text)*).as_bytes()) };
}

/// Writes a line to standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::cluster::write(format!("{}\n", format_args!($($text)*)).as_bytes()) };
}

mod check;
mod create;
mod fix;
mod import;
mod membership;
pub(crate) mod node;
pub(crate) mod options;
mod plan;
mod reshard;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::args::{Options, Output};
pub(crate) use crate::cluster::import::slot_of;
use crate::cluster::node::{Address, Description, Node, Said};
use crate::cluster::options::ClusterOptions;
use crate::print::{self, Style};

const HELP: &str = include_str!("usage.txt");

/// Escape sequences of the kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Step = 29,
    Bad = 31,
    Good = 32,
    Warning = 33,
}

/// The cluster as it was last seen, and what the user wants.
pub(crate) struct Manager {
    options: Options,
    wanted: ClusterOptions,
    coloured: bool,
    /// The node that was named comes first.
    nodes: Vec<Node>,
    /// Masters that are known and cannot be reached.
    unreachable_masters: usize,
    /// What the last check found wrong.
    errors: usize,
}

/// How many arguments a command takes, and whether they name a node of the cluster, `host:port` or `host port`.
const COMMANDS: &[(&str, std::ops::RangeInclusive<usize>)] = &[
    ("create", 1..=usize::MAX),
    ("check", 1..=usize::MAX),
    ("info", 1..=usize::MAX),
    ("fix", 1..=usize::MAX),
    ("reshard", 1..=usize::MAX),
    ("rebalance", 1..=usize::MAX),
    ("add-node", 2..=2),
    ("del-node", 2..=2),
    ("call", 2..=usize::MAX),
    ("set-timeout", 2..=2),
    ("import", 1..=1),
    ("backup", 2..=2),
    ("help", 0..=usize::MAX),
];

const BAD_ADDRESS: &str = "[ERR] Invalid arguments: you need to pass either a valid address (ie. 120.0.0.1:7000) or space \
                           separated IP and port (ie. 120.0.0.1 7000)";

/// Runs the command.
pub(crate) async fn run(mut options: Options) -> ExitCode {
    let wanted = std::mem::take(&mut options.cluster_options);
    let Some((_, counts)) = COMMANDS.iter().find(|(name, _)| *name == wanted.command) else {
        eprintln!("Unknown --cluster subcommand");
        return ExitCode::FAILURE;
    };
    if !counts.contains(&wanted.arguments.len()) {
        eprintln!("[ERR] Wrong number of arguments for specified --cluster sub command");
        return ExitCode::FAILURE;
    }
    let coloured = std::env::var("TERM").is_ok_and(|term| term.contains("xterm"));
    let mut manager = Manager { options, wanted, coloured, nodes: Vec::new(), unreachable_masters: 0, errors: 0 };
    match manager.command().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(Said) => ExitCode::FAILURE,
    }
}

/// Writes at once; a reader that has gone ends the process quietly.
fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

impl Manager {
    async fn command(&mut self) -> Result<bool, Said> {
        match self.wanted.command.as_str() {
            "help" => {
                out!("{HELP}");
                Ok(true)
            }
            "create" => self.create().await,
            "check" => {
                self.load(&self.node_address()?).await?;
                self.print_info().await;
                self.check(false, false).await
            }
            "info" => {
                self.load(&self.node_address()?).await?;
                self.print_info().await;
                Ok(true)
            }
            "fix" => {
                self.load(&self.node_address()?).await?;
                self.print_info().await;
                self.check(false, true).await
            }
            "reshard" => self.reshard().await,
            "rebalance" => self.rebalance().await,
            "add-node" => self.add_node().await,
            "del-node" => self.delete_node().await,
            "call" => self.call().await,
            "set-timeout" => self.set_timeout().await,
            "import" => self.import().await,
            "backup" => self.backup().await,
            _ => Ok(false),
        }
    }

    /// A message of a kind, with its line end.
    fn say(&self, tone: Tone, text: &str) {
        match self.coloured {
            true => out!("\x1b[{};1m{text}\x1b[0m", tone as u8),
            false => write(text.as_bytes()),
        }
    }

    /// Asks; `yes` is the answer that lets things happen.
    fn confirm(&self, question: &str, unasked: bool) -> bool {
        if unasked && self.wanted.yes {
            return true;
        }
        self.ask_user(&format!("{question} (type 'yes' to accept): ")).is_some_and(|line| line == "yes")
    }

    /// A line from standard input; `None` at its end.
    fn ask_user(&self, prompt: &str) -> Option<String> {
        out!("{prompt}");
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(1..) => Some(line.trim().to_owned()),
            _ => None,
        }
    }

    /// The address that most commands begin with: `host:port` or `host port`.
    fn node_address(&self) -> Result<Address, Said> {
        let address = match self.wanted.arguments.as_slice() {
            [address, ..] if address.contains(':') => Address::parse(address),
            [host, port, ..] => port.parse().ok().map(|port| Address { host: host.clone(), port, bus: None }),
            _ => None,
        };
        let takes = if self.wanted.arguments[0].contains(':') { 1 } else { 2 };
        let alone = ["check", "info", "fix", "reshard", "rebalance"].contains(&self.wanted.command.as_str());
        address.filter(|_| !alone || self.wanted.arguments.len() == takes).ok_or_else(|| {
            eprintln!("{BAD_ADDRESS}");
            Said
        })
    }

    fn address(&self, text: &str) -> Result<Address, Said> {
        Address::parse(text).ok_or_else(|| {
            eprintln!("{BAD_ADDRESS}");
            Said
        })
    }

    /// Connects to a node that must be one of a cluster.
    async fn connect(&self, address: &Address) -> Result<Node, Said> {
        Node::open(address, &self.options).await?.map_err(|text| {
            self.say(Tone::Bad, &text);
            Said
        })
    }

    /// Gets to know the cluster: the node at the address, and all that it knows and that can be reached.
    async fn load(&mut self, address: &Address) -> Result<(), Said> {
        self.nodes.clear();
        self.unreachable_masters = 0;
        let mut first = self.connect(address).await?;
        let others = first.nodes().await?;
        self.nodes.push(first);
        for other in others {
            let gone = ["noaddr", "fail", "handshake"].iter().any(|flag| other.is(flag));
            match gone {
                true => self.miss(&other),
                false => match self.connect(&other.address).await {
                    Ok(node) => self.nodes.push(node),
                    Err(Said) => self.miss(&other),
                },
            }
        }
        self.count_replicas();
        Ok(())
    }

    fn miss(&mut self, about: &Description) {
        self.unreachable_masters += usize::from(about.is("master") && !about.slots.is_empty());
    }

    fn count_replicas(&mut self) {
        let masters: Vec<String> = self.nodes.iter().filter_map(|node| node.about.replicates.clone()).collect();
        for node in &mut self.nodes {
            node.replicas = masters.iter().filter(|id| **id == node.about.id).count();
        }
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.about.id == id)
    }

    /// Indexes of the masters.
    fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].is_master()).collect()
    }

    /// What a node is, on one to three lines, each with so many spaces before it.
    fn describe(&self, index: usize, indent: usize) -> String {
        let node = &self.nodes[index];
        let (indent, about) = (" ".repeat(indent), &node.about);
        let (letter, role) = if node.is_master() { ("M", "master") } else { ("S", "slave") };
        let mut out = format!(
            "{indent}{letter}: {} {}\n{indent}   slots:{} ({} slots) {role}\n",
            about.id,
            about.address,
            if about.slots.is_empty() { String::new() } else { node::ranges(&about.slots) },
            about.slots.len(),
        );
        if let Some(master) = &about.replicates {
            out.push_str(&format!("{indent}   replicates {master}\n"));
        } else if node.replicas > 0 {
            out.push_str(&format!("{indent}   {} additional replica(s)\n", node.replicas));
        }
        out
    }

    /// `call`: one command on every node.
    async fn call(&mut self) -> Result<bool, Said> {
        let address = self.address(&self.wanted.arguments[0])?;
        self.load(&address).await?;
        let words = self.wanted.arguments[1..].to_vec();
        self.say(Tone::Step, ">>> Calling");
        outln!(" {}", words.join(" "));
        let style = Style {
            output: Output::Raw,
            element_delimiter: b"\n".to_vec(),
            reply_delimiter: b"\n".to_vec(),
            color: false,
        };
        let (only_masters, only_replicas) = (self.wanted.only_masters, self.wanted.only_replicas);
        for node in &mut self.nodes {
            if only_masters && !node.is_master() || only_replicas && node.is_master() {
                continue;
            }
            let mut out = format!("{}: ", node.name()).into_bytes();
            match node.raw(&words).await {
                Ok(reply) => out.extend(print::reply(&style, &reply, false)),
                Err(error) => out.extend(format!("Failed! ({error})\n").into_bytes()),
            }
            write(&out);
        }
        Ok(true)
    }

    /// `set-timeout`: the node timeout, everywhere.
    async fn set_timeout(&mut self) -> Result<bool, Said> {
        let timeout = crate::args::leading_integer(self.wanted.arguments[1].as_bytes());
        if timeout < 100 {
            eprintln!("Setting a node timeout of less than 100 milliseconds is a bad idea.");
            return Err(Said);
        }
        let address = self.address(&self.wanted.arguments[0])?;
        self.load(&address).await?;
        self.say(Tone::Step, ">>> Reconfiguring node timeout in every cluster node...\n");
        let (mut done, mut failed) = (0, 0);
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            let name = node.name();
            let mut outcome = node.raw(&["CONFIG", "SET", "cluster-node-timeout", &timeout.to_string()]).await;
            if outcome.as_ref().is_ok_and(|reply| !reply.is_error()) {
                outcome = node.raw(&["CONFIG", "REWRITE"]).await;
            }
            let trouble = match outcome {
                Ok(reply) if reply.is_error() => {
                    Some(String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned())
                }
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            match trouble {
                None => {
                    self.say(Tone::Warning, &format!("*** New timeout set for {name}\n"));
                    done += 1;
                }
                Some(text) => {
                    self.say(Tone::Bad, &format!("ERR setting node-timeout for {name}: {text}\n"));
                    failed += 1;
                }
            }
        }
        self.say(Tone::Step, &format!(">>> New node timeout set. {done} OK, {failed} ERR.\n"));
        Ok(true)
    }
}
