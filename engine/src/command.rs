//! How a command is declared: one constant beside its handler, from which COMMAND INFO/DOCS/GETKEYS, ACL
//! categories, arity errors, key extraction, client hints and the compatibility page are derived.
//!
//! The declaration is generic over its handler: the engine's handlers take a [`Ctx`], those of a server
//! take what that server chooses. Fill up from [`Command::BASE`] only.

use bitflags::bitflags;

use crate::args::Args;
use crate::ctx::{CmdResult, Ctx};

/// A handler of a data command.
pub type DataFn = fn(&mut Ctx<'_>, &mut Args<'_>) -> CmdResult;

/// What can stand in [`Command::run`].
pub trait Handler: Copy + 'static {
    /// The handler of a declaration that has none of its own: a container such as CONFIG.
    const NONE: Self;
}

impl Handler for DataFn {
    const NONE: Self = |_, _| unreachable!("a container has no handler: the registry resolves its subcommands");
}

/// One command or subcommand.
#[derive(Debug)]
pub struct Command<H: 'static = DataFn> {
    /// Lower case. A subcommand's own word only ("get" of CONFIG GET).
    pub name: &'static str,
    /// Counts the name itself (both words of a subcommand), as COMMAND INFO does.
    pub arity: Arity,
    /// Behaviour the gates, the propagation and the introspection go by.
    pub flags: Flags,
    /// Group in the documentation.
    pub group: Group,
    /// ACL categories beyond those that follow from the flags and the group.
    pub acl: Acl,
    /// Where the keys are.
    pub keys: &'static [KeySpec],
    /// Finds the keys where `keys` cannot say it, or what is done with them where that varies.
    pub find_keys: Option<FindKeys>,
    /// First version that had it.
    pub since: &'static str,
    /// (version, change).
    pub history: &'static [(&'static str, &'static str)],
    /// (since, what replaces it).
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Hints for proxies and clients (COMMAND INFO's eighth element).
    pub tips: &'static [&'static str],
    /// Cost, in words.
    pub complexity: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Arguments after the name.
    pub args: &'static [Arg],
    /// Subcommands of a container.
    pub subcommands: &'static [&'static Command<H>],
    /// The handler.
    pub run: H,
}

impl<H: Handler> Command<H> {
    /// What every declaration is filled up from.
    pub const BASE: Self = Command {
        name: "",
        arity: Arity::AtLeast(1),
        flags: Flags::empty(),
        group: Group::Generic,
        acl: Acl::empty(),
        keys: &[],
        find_keys: None,
        since: "",
        history: &[],
        deprecated: None,
        tips: &[],
        complexity: "",
        summary: "",
        args: &[],
        subcommands: &[],
        run: H::NONE,
    };
}

impl<H> Command<H> {
    /// The same declaration under another handler, without its subcommands.
    pub fn with_handler<K>(&self, run: K) -> Command<K> {
        Command {
            name: self.name,
            arity: self.arity,
            flags: self.flags,
            group: self.group,
            acl: self.acl,
            keys: self.keys,
            find_keys: self.find_keys,
            since: self.since,
            history: self.history,
            deprecated: self.deprecated,
            tips: self.tips,
            complexity: self.complexity,
            summary: self.summary,
            args: self.args,
            subcommands: &[],
            run,
        }
    }

    /// All ACL categories: the declared ones and those that follow from flags and group, as in Redis.
    #[must_use]
    pub fn categories(&self) -> Acl {
        // A container by itself does nothing: it carries no flag, and no category of its group.
        let group = if self.flags.is_empty() { Acl::empty() } else { self.group.category() };
        let mut acl = self.acl | group;
        let implied = [
            (Flags::WRITE, Acl::WRITE),
            (Flags::ADMIN, Acl::ADMIN | Acl::DANGEROUS),
            (Flags::PUBSUB, Acl::PUBSUB),
            (Flags::FAST, Acl::FAST),
            (Flags::BLOCKING, Acl::BLOCKING),
        ];
        for (flag, category) in implied {
            if self.flags.contains(flag) {
                acl |= category;
            }
        }
        // Scripting commands read and write on behalf of the script; they carry no category of their own.
        if self.flags.contains(Flags::READONLY) && !acl.contains(Acl::SCRIPTING) {
            acl |= Acl::READ;
        }
        if !acl.contains(Acl::FAST) {
            acl |= Acl::SLOW;
        }
        acl
    }

    /// Whether the keys cannot be told from a first, last and step alone.
    #[must_use]
    pub fn has_movable_keys(&self) -> bool {
        self.find_keys.is_some() && !self.keys.iter().any(|spec| spec.flags.contains(KeyFlags::VARIABLE_FLAGS))
            || self.keys.iter().any(|spec| {
                !matches!((spec.begin, spec.find), (Begin::Index(_), Find::Range { .. }))
                    || spec.flags.contains(KeyFlags::INCOMPLETE)
            })
    }
}

/// How many arguments a command takes, its name included.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Arity {
    /// No more, no less.
    Exactly(u32),
    /// As many or more.
    AtLeast(u32),
}

impl Arity {
    /// Whether a request of `argc` words fits.
    #[must_use]
    pub fn accepts(self, argc: usize) -> bool {
        match self {
            Arity::Exactly(n) => argc == n as usize,
            Arity::AtLeast(n) => argc >= n as usize,
        }
    }

    /// As COMMAND INFO writes it: negative means "at least".
    #[must_use]
    pub fn as_redis(self) -> i64 {
        match self {
            Arity::Exactly(n) => i64::from(n),
            Arity::AtLeast(n) => -i64::from(n),
        }
    }
}

bitflags! {
    /// Behaviour of a command.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// May change data.
        const WRITE = 1;
        /// Reads data.
        const READONLY = 1 << 1;
        /// Refused when memory is full.
        const DENYOOM = 1 << 2;
        /// For administrators.
        const ADMIN = 1 << 3;
        /// Publish/subscribe.
        const PUBSUB = 1 << 4;
        /// Not from scripts.
        const NOSCRIPT = 1 << 5;
        /// May block its client.
        const BLOCKING = 1 << 6;
        /// Allowed while a data set is loading.
        const LOADING = 1 << 7;
        /// Allowed on a replica with stale data.
        const STALE = 1 << 8;
        /// Hidden from MONITOR.
        const SKIP_MONITOR = 1 << 9;
        /// Hidden from the slow log.
        const SKIP_SLOWLOG = 1 << 10;
        /// Allowed on an importing slot without ASKING.
        const ASKING = 1 << 11;
        /// O(1) or O(log n).
        const FAST = 1 << 12;
        /// Allowed before AUTH.
        const NO_AUTH = 1 << 13;
        /// May feed replicas although it is no write (PUBLISH, EVAL).
        const MAY_REPLICATE = 1 << 14;
        /// Not inside MULTI.
        const NO_MULTI = 1 << 15;
        /// Its key specs may yield no key.
        const NO_MANDATORY_KEYS = 1 << 16;
        /// Allowed while a script is past its time.
        const ALLOW_BUSY = 1 << 17;
        /// Not while a data set loads beside the served one.
        const NO_ASYNC_LOADING = 1 << 18;
        /// Needs `enable-debug-command` or the like.
        const PROTECTED = 1 << 19;
        /// Touches keys that are not among its arguments.
        const TOUCHES_ARBITRARY_KEYS = 1 << 20;
        /// Runs at once although its client is in MULTI (EXEC, DISCARD, WATCH, QUIT, RESET).
        const RUNS_IN_MULTI = 1 << 21;
        /// Allowed to a RESP2 client that has subscribed (PING, SUBSCRIBE, QUIT, RESET).
        const RUNS_SUBSCRIBED = 1 << 22;
        /// Some of its arguments are secrets: neither the slow log nor MONITOR shows them.
        const SECRETS = 1 << 23;
        /// Its first argument is the text of a script, which may say of itself what it does (EVAL).
        const RUNS_TEXT = 1 << 24;
        /// Its first argument is the sum of such a script (EVALSHA).
        const RUNS_SCRIPT = 1 << 25;
        /// Its first argument is the name of a function, of which the same holds (FCALL).
        const RUNS_FUNCTION = 1 << 26;
    }
}

impl Flags {
    /// `self` and `other`, in a constant.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        self.union(other)
    }

    /// The names COMMAND INFO shows, in its order; it keeps some flags to itself, as Redis does.
    pub const NAMES: &'static [(Flags, &'static str)] = &[
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
    ];
}

bitflags! {
    /// ACL categories.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct Acl: u32 {
        /// @keyspace
        const KEYSPACE = 1;
        /// @read
        const READ = 1 << 1;
        /// @write
        const WRITE = 1 << 2;
        /// @set
        const SET = 1 << 3;
        /// @sortedset
        const SORTEDSET = 1 << 4;
        /// @list
        const LIST = 1 << 5;
        /// @hash
        const HASH = 1 << 6;
        /// @string
        const STRING = 1 << 7;
        /// @bitmap
        const BITMAP = 1 << 8;
        /// @hyperloglog
        const HYPERLOGLOG = 1 << 9;
        /// @geo
        const GEO = 1 << 10;
        /// @stream
        const STREAM = 1 << 11;
        /// @pubsub
        const PUBSUB = 1 << 12;
        /// @admin
        const ADMIN = 1 << 13;
        /// @fast
        const FAST = 1 << 14;
        /// @slow
        const SLOW = 1 << 15;
        /// @blocking
        const BLOCKING = 1 << 16;
        /// @dangerous
        const DANGEROUS = 1 << 17;
        /// @connection
        const CONNECTION = 1 << 18;
        /// @transaction
        const TRANSACTION = 1 << 19;
        /// @scripting
        const SCRIPTING = 1 << 20;
    }
}

impl Acl {
    /// Category names without the `@`, in Redis' order.
    pub const NAMES: &'static [(Acl, &'static str)] = &[
        (Acl::KEYSPACE, "keyspace"),
        (Acl::READ, "read"),
        (Acl::WRITE, "write"),
        (Acl::SET, "set"),
        (Acl::SORTEDSET, "sortedset"),
        (Acl::LIST, "list"),
        (Acl::HASH, "hash"),
        (Acl::STRING, "string"),
        (Acl::BITMAP, "bitmap"),
        (Acl::HYPERLOGLOG, "hyperloglog"),
        (Acl::GEO, "geo"),
        (Acl::STREAM, "stream"),
        (Acl::PUBSUB, "pubsub"),
        (Acl::ADMIN, "admin"),
        (Acl::FAST, "fast"),
        (Acl::SLOW, "slow"),
        (Acl::BLOCKING, "blocking"),
        (Acl::DANGEROUS, "dangerous"),
        (Acl::CONNECTION, "connection"),
        (Acl::TRANSACTION, "transaction"),
        (Acl::SCRIPTING, "scripting"),
    ];
}

/// Documentation groups.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Commands on any key.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// Publish/subscribe.
    PubSub,
    /// MULTI and friends.
    Transactions,
    /// The connection itself.
    Connection,
    /// The server itself.
    Server,
    /// Scripts and functions.
    Scripting,
    /// HyperLogLogs.
    HyperLogLog,
    /// Redis Cluster.
    Cluster,
    /// Geospatial indexes.
    Geo,
    /// Streams.
    Stream,
    /// Bitmaps.
    Bitmap,
    /// Sentinel.
    Sentinel,
}

impl Group {
    /// As COMMAND DOCS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Sentinel => "sentinel",
        }
    }

    /// The ACL category that membership in this group implies.
    fn category(self) -> Acl {
        match self {
            Group::String => Acl::STRING,
            Group::List => Acl::LIST,
            Group::Set => Acl::SET,
            Group::SortedSet => Acl::SORTEDSET,
            Group::Hash => Acl::HASH,
            Group::PubSub => Acl::PUBSUB,
            Group::Transactions => Acl::TRANSACTION,
            Group::Connection => Acl::CONNECTION,
            Group::Scripting => Acl::SCRIPTING,
            Group::HyperLogLog => Acl::HYPERLOGLOG,
            Group::Geo => Acl::GEO,
            Group::Stream => Acl::STREAM,
            Group::Bitmap => Acl::BITMAP,
            Group::Generic | Group::Server | Group::Cluster | Group::Sentinel => Acl::empty(),
        }
    }
}

bitflags! {
    /// What a command does with the keys of a spec.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct KeyFlags: u16 {
        /// Read only.
        const RO = 1;
        /// Read and write.
        const RW = 1 << 1;
        /// Overwrite.
        const OW = 1 << 2;
        /// Remove.
        const RM = 1 << 3;
        /// User data is read.
        const ACCESS = 1 << 4;
        /// User data is changed.
        const UPDATE = 1 << 5;
        /// User data is added.
        const INSERT = 1 << 6;
        /// User data is deleted.
        const DELETE = 1 << 7;
        /// Not a key, but routed like one.
        const NOT_KEY = 1 << 8;
        /// Some keys may be missing from the spec.
        const INCOMPLETE = 1 << 9;
        /// Flags depend on the arguments.
        const VARIABLE_FLAGS = 1 << 10;
    }
}

impl KeyFlags {
    /// `self` and `other`, in a constant.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        self.union(other)
    }
    /// RO ACCESS.
    pub const READ: Self = Self::RO.union(Self::ACCESS);
    /// RW UPDATE.
    pub const RW_UPDATE: Self = Self::RW.union(Self::UPDATE);
    /// RW INSERT.
    pub const RW_INSERT: Self = Self::RW.union(Self::INSERT);
    /// RW ACCESS UPDATE.
    pub const RW_ACCESS_UPDATE: Self = Self::RW.union(Self::ACCESS).union(Self::UPDATE);
    /// RW ACCESS DELETE.
    pub const RW_ACCESS_DELETE: Self = Self::RW.union(Self::ACCESS).union(Self::DELETE);
    /// RW DELETE.
    pub const RW_DELETE: Self = Self::RW.union(Self::DELETE);
    /// RM DELETE.
    pub const RM_DELETE: Self = Self::RM.union(Self::DELETE);
    /// OW UPDATE.
    pub const OW_UPDATE: Self = Self::OW.union(Self::UPDATE);
    /// OW INSERT.
    pub const OW_INSERT: Self = Self::OW.union(Self::INSERT);

    /// Names as COMMAND INFO shows them, in its order.
    pub const NAMES: &'static [(KeyFlags, &'static str)] = &[
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::INCOMPLETE, "incomplete"),
        (KeyFlags::VARIABLE_FLAGS, "variable_flags"),
    ];
}

/// Where some keys of a command are, and what is done with them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// What is done with them.
    pub flags: KeyFlags,
    /// Where the search begins.
    pub begin: Begin,
    /// How the keys are found from there.
    pub find: Find,
    /// A remark for COMMAND INFO.
    pub notes: Option<&'static str>,
}

/// Where the search for keys begins.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument (the name is 0).
    Index(u32),
    /// Behind this word, looked for from argument `from` on (negative: from the end, backwards).
    Keyword {
        /// The word, upper case.
        word: &'static str,
        /// First argument that is looked at.
        from: i32,
    },
    /// Cannot be told.
    Unknown,
}

/// How keys are found from where the search begins.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (relative to the beginning; negative: from the end of the arguments), each `step` apart;
    /// when `last` is -1, `limit` n > 1 takes only the n-th part of what is left.
    Range {
        /// Relative index of the last key.
        last: i32,
        /// Distance between keys.
        step: u32,
        /// Divisor of the rest.
        limit: u32,
    },
    /// A count at `count` (relative), the first key at `first` (relative), each `step` apart.
    Count {
        /// Relative index of the count.
        count: u32,
        /// Relative index of the first key.
        first: u32,
        /// Distance between keys.
        step: u32,
    },
    /// Cannot be told.
    Unknown,
}

impl KeySpec {
    /// One key, the first argument.
    #[must_use]
    pub const fn first(flags: KeyFlags) -> Self {
        Self::at(1, flags)
    }

    /// One key, at argument `index`.
    #[must_use]
    pub const fn at(index: u32, flags: KeyFlags) -> Self {
        Self::range(index, 0, 1, flags)
    }

    /// Keys from argument `first` to `last` (relative to `first`, or negative from the end), `step` apart.
    #[must_use]
    pub const fn range(first: u32, last: i32, step: u32, flags: KeyFlags) -> Self {
        KeySpec { flags, begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 }, notes: None }
    }

    /// Keys that cannot be told from the arguments' places.
    #[must_use]
    pub const fn unknown(flags: KeyFlags) -> Self {
        KeySpec { flags, begin: Begin::Unknown, find: Find::Unknown, notes: None }
    }

    /// With a remark for COMMAND INFO.
    #[must_use]
    pub const fn notes(mut self, text: &'static str) -> Self {
        self.notes = Some(text);
        self
    }

    /// A count at argument `count`, the keys right behind it.
    #[must_use]
    pub const fn counted(count: u32, flags: KeyFlags) -> Self {
        KeySpec { flags, begin: Begin::Index(count), find: Find::Count { count: 0, first: 1, step: 1 }, notes: None }
    }
}

/// A key found in a request: its index in argv and what is done with it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// Index in argv.
    pub index: usize,
    /// What is done with it.
    pub flags: KeyFlags,
}

/// Finds the keys of a request whose declaration cannot say where they are. `Err` means the arguments are invalid.
pub type FindKeys = fn(&[&[u8]], &mut Vec<KeyRef>) -> Result<(), InvalidArguments>;

/// The arguments do not allow the keys to be found.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InvalidArguments;

/// One argument, for COMMAND DOCS and the hints of clients.
#[derive(Copy, Clone, Debug)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// What stands for it in a usage line, when that is not its name.
    pub display: Option<&'static str>,
    /// Its kind.
    pub kind: ArgKind,
    /// The word that introduces it.
    pub token: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// The token is repeated with it.
    pub multiple_token: bool,
    /// Index of its key spec.
    pub key_spec: Option<u32>,
    /// First version that had it, when later than the command's.
    pub since: Option<&'static str>,
    /// Parts of a block or alternatives of a choice.
    pub args: &'static [Arg],
}

/// Kinds of arguments.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// Bytes.
    String,
    /// 64-bit signed integer.
    Integer,
    /// Double.
    Double,
    /// Name of a key.
    Key,
    /// Glob pattern.
    Pattern,
    /// Time since the epoch.
    UnixTime,
    /// A word that stands for itself.
    PureToken,
    /// One of `args`.
    OneOf,
    /// All of `args`, in order.
    Block,
}

impl ArgKind {
    /// As COMMAND DOCS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ArgKind::String => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Key => "key",
            ArgKind::Pattern => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::PureToken => "pure-token",
            ArgKind::OneOf => "oneof",
            ArgKind::Block => "block",
        }
    }
}

impl Arg {
    const fn new(name: &'static str, kind: ArgKind, args: &'static [Arg]) -> Self {
        Arg {
            name,
            display: None,
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            key_spec: None,
            since: None,
            args,
        }
    }
    /// A key, of the first key spec.
    #[must_use]
    pub const fn key(name: &'static str) -> Self {
        Self::key_of(name, 0)
    }
    /// A key, of the key spec with this index.
    #[must_use]
    pub const fn key_of(name: &'static str, spec: u32) -> Self {
        let mut arg = Self::new(name, ArgKind::Key, &[]);
        arg.key_spec = Some(spec);
        arg
    }
    /// Bytes.
    #[must_use]
    pub const fn string(name: &'static str) -> Self {
        Self::new(name, ArgKind::String, &[])
    }
    /// An integer.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgKind::Integer, &[])
    }
    /// A double.
    #[must_use]
    pub const fn double(name: &'static str) -> Self {
        Self::new(name, ArgKind::Double, &[])
    }
    /// A pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgKind::Pattern, &[])
    }
    /// A time since the epoch.
    #[must_use]
    pub const fn unix_time(name: &'static str) -> Self {
        Self::new(name, ArgKind::UnixTime, &[])
    }
    /// A word that stands for itself: its name is the word in lower case.
    #[must_use]
    pub const fn word(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgKind::PureToken, &[]).token(token)
    }
    /// One of several.
    #[must_use]
    pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Self {
        Self::new(name, ArgKind::OneOf, args)
    }
    /// Several in order.
    #[must_use]
    pub const fn block(name: &'static str, args: &'static [Arg]) -> Self {
        Self::new(name, ArgKind::Block, args)
    }
    /// Shown under another name than its own in a usage line.
    #[must_use]
    pub const fn display(mut self, text: &'static str) -> Self {
        self.display = Some(text);
        self
    }
    /// Belongs to the key spec with this index, though it is no key itself.
    #[must_use]
    pub const fn in_spec(mut self, spec: u32) -> Self {
        self.key_spec = Some(spec);
        self
    }
    /// Introduced by a word.
    #[must_use]
    pub const fn token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }
    /// May be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
    /// May be repeated.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.multiple = true;
        self
    }
    /// May be repeated together with its token.
    #[must_use]
    pub const fn many_tokens(mut self) -> Self {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
    /// Came with a later version than the command.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }
}
