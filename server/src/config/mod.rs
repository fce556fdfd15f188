//! Configuration: what an operator can say, in a file, as arguments, or with CONFIG SET.
//!
//! [`PARAMS`] is the only list of parameters; [`Config`] holds their values as plain fields, so that the code that
//! serves requests reads them without a lookup. [`args`] turns the command line into a [`Startup`], [`parse`] reads
//! files, [`change`] is CONFIG GET and SET, and [`rewrite`] is CONFIG REWRITE.

pub mod args;
pub mod change;
mod params;
pub mod parse;
pub mod rewrite;
pub mod value;

use std::collections::BTreeSet;
use std::path::PathBuf;

use engine::config::{AccessClock, EngineConfig};

pub use args::Startup;
pub use params::{Action, Config, Flags, PARAMS, Param};

/// Where the configuration came from, and what only files may say.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Absolute path of the file that CONFIG REWRITE writes.
    pub file: Option<PathBuf>,
    /// `rename-command` lines, in order.
    pub renamed: Vec<Rename>,
    /// `user` lines: the name and its rules.
    pub users: Vec<UserLine>,
    /// Parameters that an included file set: rewriting the main file must override them.
    pub included: BTreeSet<&'static str>,
}

/// A `rename-command` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The command's name.
    pub from: Vec<u8>,
    /// What it is called instead; empty to take it away.
    pub to: Vec<u8>,
    /// Where the line stands, for the error if there is no such command.
    pub at: parse::Place,
}

/// A `user` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// The user's name.
    pub name: Vec<u8>,
    /// The rules behind it.
    pub rules: Vec<Vec<u8>>,
}

impl Config {
    /// What the engine needs of it.
    #[must_use]
    pub fn engine_config(&self) -> EngineConfig {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        EngineConfig {
            databases: self.databases as usize,
            hash_max_listpack_entries: size(self.hash_max_listpack_entries),
            hash_max_listpack_value: size(self.hash_max_listpack_value),
            set_max_intset_entries: size(self.set_max_intset_entries),
            set_max_listpack_entries: size(self.set_max_listpack_entries),
            set_max_listpack_value: size(self.set_max_listpack_value),
            zset_max_listpack_entries: size(self.zset_max_listpack_entries),
            zset_max_listpack_value: size(self.zset_max_listpack_value),
            list_max_listpack_size: self.list_max_listpack_size,
            list_compress_depth: self.list_compress_depth,
            string_len_max: self.proto_max_bulk_len,
            hll_sparse_max_bytes: size(self.hll_sparse_max_bytes),
            stream_node_max_bytes: size(self.stream_node_max_bytes),
            stream_node_max_entries: size(self.stream_node_max_entries),
            access_clock: if self.maxmemory_policy.is_lfu() {
                AccessClock::Lfu { log_factor: self.lfu_log_factor, decay_minutes: self.lfu_decay_time }
            } else {
                AccessClock::Lru
            },
            lazy_user_del: self.lazyfree_lazy_user_del,
            lazy_server_del: self.lazyfree_lazy_server_del,
            lazy_expire: self.lazyfree_lazy_expire,
            lazy_user_flush: self.lazyfree_lazy_user_flush,
        }
    }
}
