//! Redis scripts, functions and transactions: what makes several commands one unit. Ignorant of any server.
//!
//! A script runs in a [`vm::Vm`] and reaches its surroundings through a [`host::Host`]:
//!
//! ```
//! use resp::{Protocol, writer::Writer};
//! use scripting::{host::Host, vm::{Engine, Vm}};
//!
//! struct Echo;
//! impl Host for Echo {
//!     fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
//!         Writer::new(out, protocol).bulk(argv[argv.len() - 1]);
//!     }
//! }
//!
//! let mut vm = Vm::<Echo>::new(Engine::Scripts)?;
//! let script = vm.compile(b"return redis.call('ECHO', ARGV[1])")?;
//! let mut out = Vec::new();
//! vm.run_script(&script, "name", &[], &[b"hello"], &mut Echo, &mut Writer::new(&mut out, Protocol::Resp2))?;
//! assert_eq!(out, b"$5\r\nhello\r\n");
//! # Ok::<(), scripting::error::ScriptError>(())
//! ```

mod api;
pub mod cache;
pub mod debugger;
pub mod error;
pub mod functions;
pub mod host;
mod libs;
pub mod pattern;
mod sandbox;
pub mod shebang;
mod sys;
pub mod transaction;
pub mod vm;
