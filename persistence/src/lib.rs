//! RDB files, DUMP payloads and append-only files ↔ values of the engine.
//!
//! A file is a sequence of typed items; reading one takes memory for one entry at a time:
//!
//! ```
//! use engine::{Engine, config::EngineConfig, keyspace::Incoming, time::UnixMs};
//! use persistence::rdb::{Integrity, Item, Reader, Writer, WriterOptions};
//!
//! // Writing: any `std::io::Write`.
//! let mut engine = Engine::new(EngineConfig::default(), 1);
//! engine.execute(&[b"RPUSH", b"fruits", b"apple", b"pear"], UnixMs(1), &mut Vec::new());
//! let mut writer = Writer::new(Vec::new(), WriterOptions::default());
//! writer.aux(b"ctime", b"1700000000")?;
//! writer.select(0, 1, 0)?;
//! engine.dbs[0].entries().try_for_each(|entry| writer.entry(entry.key, entry.value.into(), &entry.into()))?;
//! let file = writer.finish()?;
//!
//! // Reading: any `std::io::Read`.
//! let mut reader = Reader::new(&file[..], EngineConfig::default(), Integrity::Full)?;
//! while let Some(item) = reader.next_item()? {
//!     if let Item::Entry(entry) = item {
//!         assert_eq!((entry.db, entry.key), (0, &b"fruits"[..]));
//!         assert!(matches!(entry.value, Incoming::Value(engine::types::Value::List(list)) if list.len() == 2));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`rdb::convert`] makes JSON of a file, or commands, or a file of another version.
#![forbid(unsafe_code)]

pub mod aof;
pub mod crc64;
pub mod disk;
pub mod dump;
pub mod rdb;
