//! What happens around the start: the lines that announce the server, checks of the system, a test of the memory.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use crate::REDIS_VERSION;
use crate::config::Config;
use crate::config::parse::error_text;

/// Announces the start. The log is set up; nothing listens yet.
pub fn announce(config: &Config) {
    tracing::info!("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "Redis version={REDIS_VERSION}, bits={}, commit=00000000, modified=0, pid={}, just started (redis-server-rs {})",
        usize::BITS,
        std::process::id(),
        env!("CARGO_PKG_VERSION"),
    );
    match &config.origin.file {
        Some(_) => tracing::info!("Configuration loaded"),
        None => tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use redis-server-rs /path/to/redis.conf"
        ),
    }
    for check in system_checks() {
        if let Err(warning) = check.result {
            tracing::warn!("WARNING {warning}");
        }
    }
}

/// Shows the logo, or a line instead when the log goes to a file or elsewhere.
pub fn show_logo(config: &Config) {
    let mode = if config.cluster_enabled { "cluster" } else { "standalone" };
    let port = if config.port != 0 { config.port } else { config.tls_port };
    let terminal = config.logfile.is_empty() && std::io::IsTerminal::is_terminal(&std::io::stdout());
    if !config.always_show_logo && !terminal {
        tracing::info!("Running mode={mode}, port={port}.");
        return;
    }
    let (bits, process, ours) = (usize::BITS, std::process::id(), env!("CARGO_PKG_VERSION"));
    crate::log::raw(&format!(
        r"
      ____
     /   /\      redis-server-rs {ours} ({bits} bit)
    /___/  \     speaks Redis {REDIS_VERSION}
    \   \  /
     \___\/      Running in {mode} mode
      \  /\      Port: {port}
       \/  \     PID: {process}
        \__/

"
    ));
}

/// Where the process id is written when the server runs in the background and nothing else is said.
const PIDFILE: &str = "/var/run/redis.pid";

/// The file with the process id; removed when dropped.
#[derive(Debug)]
pub struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes it, if there is to be one. Failing is no reason not to serve.
    #[must_use]
    pub fn write(config: &Config) -> Option<Pidfile> {
        let path = match config.pidfile.is_empty() {
            true if !config.daemonize => return None,
            true => Path::new(PIDFILE),
            false => config.pidfile.as_path(),
        };
        // Absolute, as the working directory may change before it is removed.
        let written = std::path::absolute(path)
            .and_then(|path| fs::write(&path, format!("{}\n", std::process::id())).map(|()| path));
        match written {
            Ok(path) => Some(Pidfile(path)),
            Err(error) => {
                tracing::info!("Failed to write PID file: {}", error_text(&error));
                None
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        tracing::info!("Removing the pid file.");
        // Somebody may have been faster.
        let _ = fs::remove_file(&self.0);
    }
}

/// One check of the operating system's settings.
#[derive(Debug)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What is wrong, and what helps.
    pub result: Result<(), String>,
}

/// Looks at the settings of the kernel that hurt a server.
#[must_use]
pub fn system_checks() -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let overcommit = match read("/proc/sys/vm/overcommit_memory").trim() {
        "0" => Err("Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect.".to_owned()),
        _ => Ok(()),
    };
    let huge_pages = match read("/sys/kernel/mm/transparent_hugepage/enabled").contains("[always]") {
        true => Err("You have Transparent Huge Pages (THP) support enabled in your kernel. This will create latency and memory usage issues. To fix this issue run the command 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' as root, and add it to your /etc/rc.local in order to retain the setting after a reboot.".to_owned()),
        false => Ok(()),
    };
    let clock = match read("/sys/devices/system/clocksource/clocksource0/current_clocksource").trim() {
        source @ ("hpet" | "acpi_pm" | "xen") => Err(format!(
            "The kernel reads its clock from '{source}', which is slow. If the machine allows it, run 'echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource' as root."
        )),
        _ => Ok(()),
    };
    vec![
        Check { name: "slow-clocksource", result: clock },
        Check { name: "overcommit", result: overcommit },
        Check { name: "THP", result: huge_pages },
    ]
}

/// Prints the checks. Answers whether all is well.
#[must_use]
pub fn print_system_checks() -> bool {
    let checks = system_checks();
    for Check { name, result } in &checks {
        match result {
            Ok(()) => println!("[{name}]...OK"),
            Err(warning) => println!("[{name}]...WARNING:\n{warning}"),
        }
    }
    checks.iter().all(|check| check.result.is_ok())
}

/// Writes and reads back patterns over that many megabytes. Answers the number of words that did not hold.
#[must_use]
pub fn test_memory(megabytes: u64) -> Option<u64> {
    let words = usize::try_from(megabytes.checked_mul(1 << 17)?).ok()?;
    let mut memory: Vec<u64> = Vec::new();
    memory.try_reserve_exact(words).ok()?;
    memory.resize(words, 0);
    let mut wrong = 0;
    for round in 0..5 {
        let expected = |index: usize| match round {
            0 => 0,
            1 => u64::MAX,
            2 => 0x5555_5555_5555_5555,
            3 => 0xAAAA_AAAA_AAAA_AAAA,
            // Differs from word to word, so that crossed address lines show too.
            _ => 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1),
        };
        for (index, word) in memory.iter_mut().enumerate() {
            *word = expected(index);
        }
        wrong +=
            black_box(&memory).iter().enumerate().filter(|(index, word)| **word != expected(*index)).count() as u64;
    }
    Some(wrong)
}

/// Descriptors the server needs besides its clients' connections.
const RESERVED_DESCRIPTORS: u64 = 32;

/// Raises the limit on open descriptors so that `maxclients` fit.
///
/// # Errors
/// The system allows fewer.
pub fn allow_descriptors(config: &Config) -> Result<(), crate::config::value::Reason> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::from(config.maxclients) + RESERVED_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    raised.map_err(|_| "The operating system is not able to handle the specified number of clients".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Text;

    #[test]
    fn the_pid_file_comes_and_goes() {
        assert!(Pidfile::write(&Config::default()).is_none());
        let path = std::env::temp_dir().join(format!("pidfile-{}", std::process::id()));
        let config = Config { pidfile: Text::from(path.to_str().unwrap()), ..Config::default() };
        let pidfile = Pidfile::write(&config);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(pidfile);
        assert!(!path.exists());
        let nowhere = Config { pidfile: Text::from("/nonexistent/folder/pid"), ..Config::default() };
        assert!(Pidfile::write(&nowhere).is_none());
    }

    #[test]
    fn good_memory_holds_and_absurd_sizes_are_refused() {
        assert_eq!(super::test_memory(1), Some(0));
        assert_eq!(super::test_memory(u64::MAX), None);
    }
}
