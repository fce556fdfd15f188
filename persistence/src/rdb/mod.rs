//! RDB: a snapshot of all databases in one file.
//!
//! ```text
//! "REDIS0012"                                   magic and version
//! 250 name value                                what is known about the file (AUX), any number
//! 245 code                                      a library of functions, any number
//! 254 db   251 keys deadlines                   a database and its sizes
//! [252 deadline] [248 idle | 249 frequency] type key value      any number
//! 255 checksum                                  end, CRC-64
//! ```
//!
//! Lengths take 1, 2, 5 or 9 bytes; strings are bytes, a number, or LZF. What holds several elements has one type for
//! each of its encodings ([`mod@self::format`]). Versions 1 to 12 are read, and Valkey's 80; 12 is written,
//! or an older one ([`Dialect`]).

pub mod check;
pub mod convert;
mod dialect;
mod error;
pub mod format;
mod input;
mod json;
mod legacy;
mod load;
mod output;
mod reader;
mod save;
mod stream;
mod writer;

pub use dialect::{Dialect, Downgrade, Dropped, NoForm, UnknownDialect};
pub use error::RdbError;
pub use input::{Buffered, Source};
pub use load::Integrity;
pub use reader::{Entry, Item, Reader};
pub use save::Saved;
pub use writer::{Meta, Writer, WriterOptions};

pub(crate) use dialect::Target;
pub(crate) use input::Input;
pub(crate) use load::load_value;
pub(crate) use output::Output;
pub(crate) use save::save_value;
