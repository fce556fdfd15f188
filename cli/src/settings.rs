//! What `:set` lines say, at the prompt and in `~/.redisclirc`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name of the file of preferences in the home directory.
pub(crate) const RC_FILE: &str = ".redisclirc";

/// Bytes of that file at most.
const FILE_MAX: u64 = 1024 * 1024;

/// Commands that ask first on hosts where somebody said so. A subcommand stands behind a blank.
const DANGEROUS: &[&str] = &[
    "ACL DELUSER",
    "ACL SETUSER",
    "CLIENT KILL",
    "CLIENT PAUSE",
    "CLUSTER ADDSLOTS",
    "CLUSTER DELSLOTS",
    "CLUSTER FAILOVER",
    "CLUSTER FLUSHSLOTS",
    "CLUSTER FORGET",
    "CLUSTER MEET",
    "CLUSTER REPLICATE",
    "CLUSTER RESET",
    "CLUSTER SETSLOT",
    "CONFIG REWRITE",
    "CONFIG SET",
    "DEBUG",
    "FAILOVER",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION DELETE",
    "FUNCTION FLUSH",
    "FUNCTION RESTORE",
    "KEYS",
    "MIGRATE",
    "MONITOR",
    "REPLICAOF",
    "SAVE",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "SHUTDOWN",
    "SLAVEOF",
    "SWAPDB",
];

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Show the arguments that a line still wants.
    pub(crate) hints: bool,
    pub(crate) color: bool,
    /// Show long replies page by page.
    pub(crate) pager: bool,
    /// `host` or `host:port`: where dangerous commands ask first.
    confirm: Vec<String>,
    /// URIs by name, for `connect NAME`.
    connections: BTreeMap<String, Vec<u8>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hints: true, color: true, pager: true, confirm: Vec::new(), connections: BTreeMap::new() }
    }
}

impl Settings {
    /// Does what the words of a `:set` line say.
    pub(crate) fn apply(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        let lower = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
        if lower(0) != b":set" {
            return Err(format!("unknown redis-cli internal command '{}'", text(0)));
        }
        match lower(1).as_slice() {
            b"hints" => self.hints = true,
            b"nohints" => self.hints = false,
            b"color" => self.color = true,
            b"nocolor" => self.color = false,
            b"pager" => self.pager = true,
            b"nopager" => self.pager = false,
            b"confirm" if words.len() > 2 => self.confirm.extend((2..words.len()).map(|at| text(at).to_lowercase())),
            b"noconfirm" => self.confirm.clear(),
            b"connection" if words.len() == 4 => _ = self.connections.insert(text(2), words[3].clone()),
            b"confirm" => return Err(":set confirm wants a host, or host:port".to_owned()),
            b"connection" => return Err(":set connection wants a name and a URI".to_owned()),
            _ => return Err(format!("unknown redis-cli preference '{}'", text(1))),
        }
        Ok(())
    }

    /// Whether these words ask first on this host.
    pub(crate) fn must_confirm(&self, host: &str, port: u16, words: &[Vec<u8>]) -> bool {
        let host = host.to_lowercase();
        self.confirm.iter().any(|listed| *listed == host || *listed == format!("{host}:{port}")) && is_dangerous(words)
    }

    /// The URI of a connection that has a name.
    pub(crate) fn connection(&self, name: &[u8]) -> Option<&[u8]> {
        self.connections.get(std::str::from_utf8(name).ok()?).map(Vec::as_slice)
    }

    pub(crate) fn connection_names(&self) -> impl Iterator<Item = &str> {
        self.connections.keys().map(String::as_str)
    }
}

fn is_dangerous(words: &[Vec<u8>]) -> bool {
    let upper = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).to_uppercase()).unwrap_or_default();
    // "5 FLUSHALL" repeats it.
    let start = usize::from(words.len() > 1 && words[0].iter().all(u8::is_ascii_digit));
    let (first, both) = (upper(start), format!("{} {}", upper(start), upper(start + 1)));
    DANGEROUS.iter().any(|name| *name == first || *name == both)
}

/// Lines of `REDISCLI_RCFILE` or of the file in the home directory.
pub(crate) fn lines() -> Vec<String> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = given("REDISCLI_RCFILE").or_else(|| given("HOME").map(|home| home.join(RC_FILE)));
    let is_file = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= FILE_MAX);
    let text = path.filter(is_file).and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn lines_are_applied() {
        let mut settings = Settings::default();
        for line in [":set nohints", ":SET nocolor", ":set confirm db1 db2:7000", ":set connection prod redis://h:1/2"]
        {
            settings.apply(&words(line)).unwrap();
        }
        assert!(!settings.hints && !settings.color && settings.pager);
        assert_eq!(settings.connection(b"prod"), Some(&b"redis://h:1/2"[..]));
        assert_eq!(settings.connection(b"test"), None);
        for bad in [":set", ":set foo", ":foo", ":set confirm", ":set connection x"] {
            assert!(settings.apply(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn dangerous_commands_on_listed_hosts() {
        let mut settings = Settings::default();
        assert!(!settings.must_confirm("db1", 6379, &words("flushall")));
        settings.apply(&words(":set confirm db1 db2:7000")).unwrap();
        for (host, port, line, asks) in [
            ("db1", 6379, "flushall", true),
            ("DB1", 1, "5 FLUSHALL async", true),
            ("db2", 7000, "config set x y", true),
            ("db2", 7000, "config get x", false),
            ("db2", 7001, "flushall", false),
            ("db1", 6379, "get flushall", false),
        ] {
            assert_eq!(settings.must_confirm(host, port, &words(line)), asks, "{host}:{port} {line}");
        }
    }
}
