//! redis-cli-rs: a drop-in for redis-cli.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
