//! The Redis wire protocol, RESP2 and RESP3: what clients send, what servers answer, and numbers as Redis spells them.
//!
//! # What it looks like
//!
//! A request is an array of strings, or a line for people with a terminal. `GET key` is one of
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n
//! GET key\r\n
//! ```
//!
//! A reply begins with a byte that says what it is:
//!
//! | reply | RESP2 | RESP3 |
//! |---|---|---|
//! | status | `+OK` | `+OK` |
//! | error | `-ERR text` | `-ERR text` |
//! | integer | `:1` | `:1` |
//! | string of 2 bytes | `$2` and `ab` | `$2` and `ab` |
//! | no value | `$-1`, `*-1` | `_` |
//! | array of 2 | `*2` | `*2` |
//! | map of 1 pair | `*2` | `%1` |
//! | set of 2 | `*2` | `~2` |
//! | push of 2 | `*2` | `>2` |
//! | double | `$3` and `1.5` | `,1.5` |
//! | boolean | `:1` | `#t` |
//! | big number | `$3` and `123` | `(123` |
//! | verbatim text | `$2` and `hi` | `=6` and `txt:hi` |
//! | attributes of the next reply | | `\|1` |
//!
//! # A server's side
//!
//! ```
//! use resp::{Decoded, Decoder, Limits, Protocol, Writer};
//!
//! // Two requests, as they may lie in a socket's buffer.
//! let input = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPING\r\n";
//! let (mut decoder, mut spans, mut output) = (Decoder::new(), Vec::new(), Vec::new());
//! let mut writer = Writer::new(&mut output, Protocol::Resp3);
//!
//! let mut at = 0;
//! while at < input.len() {
//!     let buf = &input[at..];
//!     spans.clear();
//!     at += match decoder.decode(buf, &mut spans, &Limits::default()) {
//!         Ok(Decoded::Request { consumed }) => {
//!             writer.bulk(spans[1].of(buf));
//!             consumed
//!         }
//!         Ok(Decoded::Inline { consumed, words }) => {
//!             assert_eq!(words, [b"PING"]);
//!             writer.simple("PONG");
//!             consumed
//!         }
//!         Ok(Decoded::Empty { consumed }) => consumed,
//!         Ok(Decoded::Incomplete { .. }) => break, // Read more.
//!         Err(error) => {
//!             writer.error(format_args!("ERR {error}"));
//!             break;
//!         }
//!     };
//! }
//! assert_eq!(output, b"$2\r\nhi\r\n+PONG\r\n");
//! ```
//!
//! # A client's side
//!
//! [`decode_reply`] and [`ReplyDecoder`] make a [`Value`] of a reply; [`Writer::value`] is the way back.
//!
//! # Limits
//!
//! Nothing is reserved for a length that was only announced. Requests: [`Limits`]; replies: [`ReplyLimits`].
//!
//! | limit | default |
//! |---|---|
//! | argument | 512 MiB (`proto-max-bulk-len`) |
//! | arguments of a request | 2^31 - 1 |
//! | inline request, header line | 64 KiB |
//! | before authentication | 10 arguments of 16 KiB |
//! | reply: aggregates within each other | 128 |
//! | reply: string or line | 512 MiB |
//! | reply: elements of one aggregate | 2^32 - 1 |
//! | long double as text | 5 KiB |

pub mod decode;
pub mod inline;
pub mod number;
pub mod request;
pub mod value;
pub mod writer;

pub use decode::{DecodeError, ReplyDecoder, ReplyLimits, decode_reply};
pub use request::{Decoded, Decoder, Limits, ProtocolError, Span};
pub use value::Value;
pub use writer::{Deferred, Protocol, Writer};
