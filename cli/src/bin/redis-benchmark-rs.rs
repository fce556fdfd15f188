//! redis-benchmark-rs: a drop-in for redis-benchmark.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::benchmark::main()
}
