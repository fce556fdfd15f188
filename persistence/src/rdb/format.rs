//! Numbers of the format.

/// The version that is written.
pub const VERSION: u16 = 12;

/// The version of Valkey's own files.
pub const VERSION_VALKEY: u16 = 80;

/// What a file begins with, before four digits.
pub const MAGIC: &[u8; 5] = b"REDIS";

/// What Valkey's own files begin with, before three digits.
pub const MAGIC_VALKEY: &[u8; 6] = b"VALKEY";

/// Types of values: what an entry begins with.
pub mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// A list: strings.
    pub const LIST: u8 = 1;
    /// A set: strings.
    pub const SET: u8 = 2;
    /// A sorted set: strings, scores as text.
    pub const ZSET: u8 = 3;
    /// A hash: strings.
    pub const HASH: u8 = 4;
    /// A sorted set: strings, scores as binary doubles.
    pub const ZSET_2: u8 = 5;
    /// A module's value, in a form that cannot be skipped.
    pub const MODULE_PRE_GA: u8 = 6;
    /// A module's value.
    pub const MODULE_2: u8 = 7;
    /// A hash as a zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list as a ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set as an intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set as a ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A hash as a ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list as ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// A stream, first form.
    pub const STREAM_LISTPACKS: u8 = 15;
    /// A hash as a listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set as a listpack.
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list as listpacks and large elements.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream, second form: with first and deleted ids and group counters.
    pub const STREAM_LISTPACKS_2: u8 = 19;
    /// A set as a listpack.
    pub const SET_LISTPACK: u8 = 20;
    /// A stream, third form: with the consumers' active times.
    pub const STREAM_LISTPACKS_3: u8 = 21;
    /// A hash whose fields may have deadlines, from before release. In Valkey's files: a hash of that kind.
    pub const HASH_METADATA_PRE_GA: u8 = 22;
    /// The same as a listpack, from before release.
    pub const HASH_LISTPACK_EX_PRE_GA: u8 = 23;
    /// A hash whose fields may have deadlines.
    pub const HASH_METADATA: u8 = 24;
    /// The same as a listpack.
    pub const HASH_LISTPACK_EX: u8 = 25;
}

/// What else can stand where an entry begins.
pub mod opcode {
    /// Sizes of a slot's part of the database.
    pub const SLOT_INFO: u8 = 244;
    /// A library of functions.
    pub const FUNCTION2: u8 = 245;
    /// The same, from before release.
    pub const FUNCTION_PRE_GA: u8 = 246;
    /// What a module keeps beside the keys.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next entry's last access.
    pub const IDLE: u8 = 248;
    /// How frequently the next entry is accessed.
    pub const FREQ: u8 = 249;
    /// A name and a value about the file.
    pub const AUX: u8 = 250;
    /// Numbers of keys and of deadlines.
    pub const RESIZEDB: u8 = 251;
    /// The next entry's deadline in milliseconds.
    pub const EXPIRETIME_MS: u8 = 252;
    /// The next entry's deadline in seconds.
    pub const EXPIRETIME: u8 = 253;
    /// The number of the database that follows.
    pub const SELECTDB: u8 = 254;
    /// The end.
    pub const EOF: u8 = 255;
}

/// Parts of a module's value.
pub mod module {
    /// No more parts.
    pub const EOF: u64 = 0;
    /// A signed integer.
    pub const SINT: u64 = 1;
    /// An unsigned integer.
    pub const UINT: u64 = 2;
    /// Four bytes of a float.
    pub const FLOAT: u64 = 3;
    /// Eight bytes of a double.
    pub const DOUBLE: u64 = 4;
    /// A string.
    pub const STRING: u64 = 5;
}

/// How a length's first byte is to be read: its two high bits.
pub mod length {
    /// Six bits here.
    pub const BITS_6: u8 = 0;
    /// Six bits here and the next byte.
    pub const BITS_14: u8 = 1;
    /// Four bytes, most significant first.
    pub const BITS_32: u8 = 0x80;
    /// Eight bytes, most significant first.
    pub const BITS_64: u8 = 0x81;
    /// No length: the six low bits tell how a string is encoded.
    pub const ENCODED: u8 = 3;
}

/// Encodings of strings that are no plain bytes.
pub mod string {
    /// A byte.
    pub const INT8: u8 = 0;
    /// Two bytes, least significant first.
    pub const INT16: u8 = 1;
    /// Four bytes, least significant first.
    pub const INT32: u8 = 2;
    /// Compressed.
    pub const LZF: u8 = 3;
}

/// What a node of a list holds.
pub mod container {
    /// One large element.
    pub const PLAIN: u64 = 1;
    /// A listpack.
    pub const PACKED: u64 = 2;
}

/// Name of a type, for reports.
#[must_use]
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::STRING => "string",
        kind::LIST => "list-linked",
        kind::SET => "set-hashtable",
        kind::ZSET => "zset-v1",
        kind::HASH => "hash-hashtable",
        kind::ZSET_2 => "zset-v2",
        kind::MODULE_PRE_GA => "module-pre-release",
        kind::MODULE_2 => "module-value",
        kind::HASH_ZIPMAP => "hash-zipmap",
        kind::LIST_ZIPLIST => "list-ziplist",
        kind::SET_INTSET => "set-intset",
        kind::ZSET_ZIPLIST => "zset-ziplist",
        kind::HASH_ZIPLIST => "hash-ziplist",
        kind::LIST_QUICKLIST => "quicklist",
        kind::STREAM_LISTPACKS => "stream",
        kind::HASH_LISTPACK => "hash-listpack",
        kind::ZSET_LISTPACK => "zset-listpack",
        kind::LIST_QUICKLIST_2 => "quicklist-v2",
        kind::STREAM_LISTPACKS_2 => "stream-v2",
        kind::SET_LISTPACK => "set-listpack",
        kind::STREAM_LISTPACKS_3 => "stream-v3",
        kind::HASH_METADATA_PRE_GA => "hash-hashtable-md-pre-release",
        kind::HASH_LISTPACK_EX_PRE_GA => "hash-listpack-md-pre-release",
        kind::HASH_METADATA => "hash-hashtable-md",
        kind::HASH_LISTPACK_EX => "hash-listpack-md",
        _ => "unknown",
    }
}
