//! redis-server-rs: reads the command line and the configuration, and runs the server.

use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use server::config::Startup;
use server::config::args::{self, Options};
use server::config::parse::{LoadError, error_text};
use server::sys::daemon::daemonize;
use server::{check_aof, check_rdb, log, oom, startup, title};

fn main() -> ExitCode {
    let words: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsStringExt::into_vec).collect();
    let program = std::env::args_os().next().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if program.contains(check_rdb::NAME) {
        return if check_rdb::run(&program, &words) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if program.contains(check_aof::NAME) {
        return if check_aof::run(&program, &words) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let well = match Startup::parse(&words) {
        Startup::Run(options) => return run(&options, &program),
        Startup::Version => {
            println!("{}", args::version());
            true
        }
        Startup::Help => {
            print!("{}", args::HELP);
            true
        }
        Startup::CheckSystem => startup::print_system_checks(),
        Startup::TestMemory(None) => {
            eprintln!(
                "Please specify the amount of memory to test in megabytes.\nExample: redis-server-rs --test-memory 4096"
            );
            false
        }
        Startup::TestMemory(Some(megabytes)) => match startup::test_memory(megabytes) {
            Some(0) => {
                println!("Your memory passed this test.");
                true
            }
            Some(wrong) => {
                println!("*** MEMORY ERROR DETECTED: {wrong} words did not hold what was written ***");
                false
            }
            None => {
                eprintln!("Unable to allocate {megabytes} megabytes");
                false
            }
        },
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options, program: &str) -> ExitCode {
    if options.sentinel {
        eprintln!("Sentinel mode is not available yet.");
        return ExitCode::FAILURE;
    }
    log::install();
    let loaded = options.load().and_then(|config| match log::configure(&config) {
        Ok(()) => server::commands::registry(&config).map(|registry| (config, registry)),
        Err(error) => {
            Err(LoadError::Whole { reason: format!("Can't open the log file: {}", error_text(&error)).into() })
        }
    });
    let (config, registry) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if config.daemonize
        && let Err(error) = daemonize()
    {
        eprintln!("Can't run in the background: {}", error_text(&error));
        return ExitCode::FAILURE;
    }
    title::begin(&config, program);
    startup::announce(&config);
    let pidfile = startup::Pidfile::write(&config);
    // The log has said why.
    let _ = oom::apply(&config, oom::Victim::Primary);
    let ended = server::run(config, registry);
    drop(pidfile);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // The reason is in the log.
        Err(error) => {
            tracing::error!("{}", error_text(&error));
            ExitCode::FAILURE
        }
    }
}
