//! redis-server-rs.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut config = server::config::Config::default();
    let args: Vec<String> = std::env::args().collect();
    for pair in args[1..].windows(2) {
        if pair[0] == "--port" {
            config.port = pair[1].parse().expect("a port");
        }
    }
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
