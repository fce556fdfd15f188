//! CONFIG GET and CONFIG SET.
//!
//! CONFIG SET is all or nothing: the new values are tried on a copy; the copy takes the place of the
//! original; then the server applies what needs more than a new value (a socket, a folder), and if that fails
//! everything is put back, what was already applied too.

use std::borrow::Cow;
use std::fmt;

use engine::glob;

use super::params::{Action, Config, Flags, PARAMS, Param};
use super::value::{Reason, Source};

/// What CONFIG GET answers: names and values, each name once.
#[must_use]
pub fn get(config: &Config, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |name: &[u8], param: &Param| {
        if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            found.push((name.to_vec(), param.get(config)));
        }
    };
    for pattern in patterns {
        if !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
            // An exact name comes back as it was written.
            if let Some(param) = Param::find(pattern) {
                add(pattern, param);
            }
            continue;
        }
        for param in PARAMS.iter().filter(|param| !param.flags.contains(Flags::HIDDEN)) {
            for name in [Some(param.name), param.alias].into_iter().flatten() {
                if glob::matches_ignore_case(pattern, name.as_bytes()) {
                    add(name.as_bytes(), param);
                }
            }
        }
    }
    found
}

/// Who is asking, and when.
#[derive(Copy, Clone, Debug)]
pub struct Asker {
    /// The client is on this machine.
    pub local: bool,
    /// The data set is being loaded.
    pub loading: bool,
}

/// The server, as CONFIG SET sees it.
pub trait Host {
    /// Its configuration.
    fn config(&mut self) -> &mut Config;

    /// Acts on parameters that have changed; [`Host::config`] has the new values already. Called once for
    /// each action, and again with the old values if a later one fails. Dir has to put the folder's absolute name
    /// into the configuration.
    ///
    /// # Errors
    /// Why it cannot be done, for the error reply.
    fn apply(&mut self, action: Action) -> Result<(), Reason>;
}

/// Why nothing was changed; displayed as the error reply, its code included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// Names and values do not come in pairs.
    Odd,
    /// No such parameter.
    Unknown(Vec<u8>),
    /// Not while the data set is being loaded.
    Loading,
    /// A value is refused, or cannot be applied.
    Failed {
        /// The parameter, as it was written.
        name: Vec<u8>,
        /// Why.
        reason: Reason,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name| String::from_utf8_lossy(name);
        match self {
            SetError::Odd => f.write_str("ERR syntax error"),
            SetError::Unknown(name) => {
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{}'", text(name))
            }
            SetError::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            SetError::Failed { name, reason } => {
                write!(f, "ERR CONFIG SET failed (possibly related to argument '{}') - {reason}", text(name))
            }
        }
    }
}

impl std::error::Error for SetError {}

/// CONFIG SET with the words behind it: names and values in turn. Answers the parameters that changed.
///
/// # Errors
/// Why nothing was changed.
pub fn set(host: &mut impl Host, words: &[&[u8]], asker: Asker) -> Result<Vec<&'static Param>, SetError> {
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(SetError::Odd);
    }
    let failed = |name: &[u8], reason: Reason| SetError::Failed { name: name.to_vec(), reason };
    let allowed = host.config().enable_protected_configs.allows(asker.local);
    let mut pairs: Vec<(&'static Param, &[u8], &[u8])> = Vec::with_capacity(words.len() / 2);
    for pair in words.chunks_exact(2) {
        let (name, value) = (pair[0], pair[1]);
        let param = Param::find(name).ok_or_else(|| SetError::Unknown(name.to_vec()))?;
        if param.flags.contains(Flags::IMMUTABLE) {
            return Err(failed(name, Cow::Borrowed("can't set immutable config")));
        }
        if param.flags.contains(Flags::PROTECTED) && !allowed {
            return Err(failed(name, Cow::Borrowed("can't set protected config")));
        }
        if param.flags.contains(Flags::NOT_WHILE_LOADING) && asker.loading {
            return Err(SetError::Loading);
        }
        // A name and its alias may both be given; the last wins.
        if pairs.iter().any(|(_, known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(failed(name, Cow::Borrowed("duplicate parameter")));
        }
        pairs.push((param, name, value));
    }

    let mut new = host.config().clone();
    for (param, name, value) in &pairs {
        param.assign(&mut new, &[value.to_vec()], Source::Set).map_err(|reason| failed(name, reason))?;
    }
    let old = std::mem::replace(host.config(), new);
    let mut changed = Vec::new();
    let mut applied: Vec<Action> = Vec::new();
    for (param, name, _) in pairs {
        if param.same(&old, host.config()) && !param.flags.contains(Flags::ALWAYS_APPLIED) {
            continue;
        }
        changed.push(param);
        let Some(action) = param.action.filter(|action| !applied.contains(action)) else { continue };
        applied.push(action);
        if let Err(reason) = host.apply(action) {
            *host.config() = old;
            for action in applied {
                if let Err(reason) = host.apply(action) {
                    tracing::warn!("Failed applying restored configuration after a failed CONFIG SET: {reason}");
                }
            }
            return Err(failed(name, reason));
        }
    }
    Ok(changed)
}

/// Whether word `index` of a CONFIG SET request (behind SET, counted from 0) is a secret's value: not to be shown in
/// the slow log, MONITOR or error messages.
#[must_use]
pub fn is_secret(words: &[&[u8]], index: usize) -> bool {
    !index.is_multiple_of(2)
        && words
            .get(index - 1)
            .and_then(|name| Param::find(name))
            .is_some_and(|param| param.flags.contains(Flags::SENSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::{EnabledFor, Rule};

    const LOCAL: Asker = Asker { local: true, loading: false };

    #[derive(Default)]
    struct Server {
        config: Config,
        actions: Vec<Action>,
        refuse: Option<Action>,
    }

    impl Host for Server {
        fn config(&mut self) -> &mut Config {
            &mut self.config
        }

        fn apply(&mut self, action: Action) -> Result<(), Reason> {
            self.actions.push(action);
            if self.refuse.take_if(|refused| *refused == action).is_some() {
                return Err("Unable to listen on this port. Check server logs.".into());
            }
            Ok(())
        }
    }

    fn words<'a>(line: &[&'a str]) -> Vec<&'a [u8]> {
        line.iter().map(|word| word.as_bytes()).collect()
    }

    fn try_set(server: &mut Server, line: &[&str]) -> String {
        match set(server, &words(line), LOCAL) {
            Ok(_) => "OK".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn shown(server: &Server, pattern: &str) -> Vec<String> {
        get(&server.config, &[pattern.as_bytes()])
            .into_iter()
            .flat_map(|(name, value)| [name, value])
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    #[test]
    fn refused_values_as_redis_words_them() {
        for (name, value, reason) in [
            ("port", "abc", "argument couldn't be parsed into an integer"),
            ("port", "-1", "argument must be between 0 and 65535 inclusive"),
            ("timeout", "05", "argument couldn't be parsed into an integer"),
            ("timeout", " 5", "argument couldn't be parsed into an integer"),
            ("timeout", "", "argument couldn't be parsed into an integer"),
            ("timeout", "99999999999", "argument must be between 0 and 2147483647 inclusive"),
            ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
            ("activerehashing", "maybe", "argument must be 'yes' or 'no'"),
            ("loglevel", "foo", "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"),
            ("maxmemory", "1xb", "argument must be a memory value"),
            ("maxmemory", "-1", "argument must be a memory value"),
            ("maxmemory", "1.5gb", "argument must be a memory value"),
            ("proto-max-bulk-len", "100", "argument must be between 1048576 and 9223372036854775807 inclusive"),
            (
                "hash-max-listpack-value",
                "9223372036854775808",
                "argument must be between 0 and 9223372036854775807 inclusive",
            ),
            ("set-max-listpack-value", "1kb", "argument couldn't be parsed into an integer"),
            ("maxmemory-clients", "200%", "percentage argument must be less or equal to 100"),
            ("maxmemory-clients", "5x%", "argument must be a memory or percent value"),
            ("slowlog-log-slower-than", "-2", "argument must be between -1 and 9223372036854775807 inclusive"),
            ("save", "1 2 3", "Invalid save parameters"),
            ("save", "1  2", "Invalid save parameters"),
            ("save", "0 2", "Invalid save parameters"),
            ("save", "1 -2", "Invalid save parameters"),
            ("client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration."),
            (
                "client-output-buffer-limit",
                "master 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1 2 -3",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            ("oom-score-adj", "x", "argument(s) must be one of the following: no, yes, relative, absolute"),
            ("oom-score-adj-values", "1 2", "wrong number of arguments"),
            (
                "oom-score-adj-values",
                "1 2 3000",
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
            ),
            ("notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            (
                "latency-tracking-info-percentiles",
                "50 101",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
            ("latency-tracking-info-percentiles", "50 x", "Invalid latency-tracking-info-percentiles parameters"),
            ("shutdown-on-sigint", "save nosave", "shutdown options SAVE and NOSAVE can't be used simultaneously"),
            ("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "Too many bind addresses specified."),
            ("cluster-announce-hostname", "a b", "Hostnames may only contain alphanumeric characters, hyphens or dots"),
            ("daemonize", "yes", "can't set immutable config"),
            ("dbfilename", "x.rdb", "can't set protected config"),
        ] {
            let mut server = Server::default();
            assert_eq!(
                try_set(&mut server, &[name, value]),
                format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            );
            assert!(server.actions.is_empty());
        }
    }

    #[test]
    fn accepted_values_and_how_they_are_shown() {
        for (name, value, shown_as) in [
            ("maxmemory", "", "0"),
            ("maxmemory", "18446744073709551615", "18446744073709551615"),
            ("maxmemory", "1KB", "1024"),
            ("maxmemory", "1k", "1000"),
            ("maxmemory-clients", "5%", "5%"),
            ("maxmemory-clients", "10mb", "10485760"),
            ("activerehashing", "NO", "no"),
            ("loglevel", "NOTICE", "notice"),
            ("hz", "0", "1"),
            ("hz", "1000", "500"),
            ("watchdog-period", "100", "200"),
            ("watchdog-period", "0", "0"),
            ("oom-score-adj", "relative", "yes"),
            ("save", "1 2 3 4", "1 2 3 4"),
            ("save", "5 0", "5 0"),
            ("save", "", ""),
            ("client-output-buffer-limit", "", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
            (
                "client-output-buffer-limit",
                "slave 0 0 0 replica 5 5 5",
                "normal 0 0 0 slave 5 5 5 pubsub 33554432 8388608 60",
            ),
            ("notify-keyspace-events", "KEA", "AKE"),
            ("notify-keyspace-events", "KEAmn", "AnKEm"),
            ("notify-keyspace-events", "Elg", "glE"),
            ("notify-keyspace-events", "g$lshzxetnE", "g$lshzxetnE"),
            ("notify-keyspace-events", "", ""),
            ("latency-tracking-info-percentiles", "99.99 50 1.234567", "99.99 50 1.234567"),
            ("latency-tracking-info-percentiles", "0.1 33.3333333333 100", "0.1 33.333333 100"),
            ("latency-tracking-info-percentiles", "", ""),
            ("shutdown-on-sigint", "force now default", "now force"),
            ("bind", "", ""),
            ("bind", "127.0.0.1 -::1", "127.0.0.1 -::1"),
            ("requirepass", "a b\\n", "a b\\n"),
            ("hash-max-ziplist-entries", "7", "7"),
        ] {
            let mut server = Server::default();
            assert_eq!(try_set(&mut server, &[name, value]), "OK", "{name} {value}");
            assert_eq!(shown(&server, name), [name, shown_as]);
        }
    }

    #[test]
    fn the_request_as_a_whole() {
        let mut server = Server::default();
        assert_eq!(try_set(&mut server, &["maxmemory", "1", "foo"]), "ERR syntax error");
        let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'foo'";
        assert_eq!(try_set(&mut server, &["maxmemory", "1", "foo", "bar"]), unknown);
        let twice = "ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate parameter";
        assert_eq!(try_set(&mut server, &["maxmemory", "1", "MAXMEMORY", "2"]), twice);
        assert_eq!(server.config.maxmemory, 0);
        let both = ["hash-max-listpack-entries", "5", "hash-max-ziplist-entries", "6"];
        assert_eq!(try_set(&mut server, &both), "OK");
        assert_eq!(server.config.hash_max_listpack_entries, 6);
        assert_eq!(server.actions, [Action::Engine], "once for both");
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut server = Server::default();
        let line = ["maxmemory", "10000001", "maxmemory-clients", "200%", "client-query-buffer-limit", "invalid"];
        assert_eq!(
            try_set(&mut server, &line),
            "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage argument must be less or equal to 100"
        );
        assert_eq!(server.config.maxmemory, 0);
        assert!(server.actions.is_empty());
    }

    #[test]
    fn a_failed_action_is_rolled_back_with_those_before_it() {
        let mut server = Server { refuse: Some(Action::Port), ..Server::default() };
        let line = ["oom-score-adj", "yes", "maxmemory", "1", "port", "7", "hz", "20"];
        assert_eq!(
            try_set(&mut server, &line),
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
        );
        assert_eq!((server.config.port, server.config.maxmemory, server.config.hz), (6379, 0, 10));
        use Action::{Maxmemory, OomScoreAdj, Port};
        assert_eq!(server.actions, [OomScoreAdj, Maxmemory, Port, OomScoreAdj, Maxmemory, Port]);
    }

    #[test]
    fn same_values_are_not_applied_again_unless_they_name_files() {
        let mut server = Server::default();
        assert_eq!(try_set(&mut server, &["port", "6379", "maxmemory", "0"]), "OK");
        assert!(server.actions.is_empty());
        assert_eq!(try_set(&mut server, &["tls-cert-file", ""]), "OK");
        assert_eq!(server.actions, [Action::Tls]);
    }

    #[test]
    fn protected_parameters_and_loading() {
        let mut server = Server::default();
        server.config.enable_protected_configs = EnabledFor::Local;
        assert!(set(&mut server, &words(&["dbfilename", "x"]), Asker { local: false, loading: false }).is_err());
        assert!(set(&mut server, &words(&["dbfilename", "x"]), LOCAL).is_ok());
        let loading = Asker { local: true, loading: true };
        assert_eq!(set(&mut server, &words(&["dir", "x"]), loading).unwrap_err(), SetError::Loading);
        assert!(set(&mut server, &words(&["loglevel", "debug"]), loading).is_ok());
    }

    #[test]
    fn patterns_names_and_aliases() {
        let server = Server::default();
        assert_eq!(shown(&server, "HASH-MAX-LISTPACK-ENTRIES"), ["HASH-MAX-LISTPACK-ENTRIES", "512"]);
        assert_eq!(shown(&server, "hash-max-z*-entries"), ["hash-max-ziplist-entries", "512"]);
        assert_eq!(shown(&server, "key-load-delay"), ["key-load-delay", "0"]);
        assert!(shown(&server, "key-load*").is_empty());
        assert!(shown(&server, "nothing").is_empty());
        let several = get(&server.config, &[b"maxmemory", b"maxmemory*", b"bind", b"*of"]);
        let names: Vec<_> = several.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(names.iter().filter(|name| **name == "maxmemory").count(), 1);
        assert!(["maxmemory-samples", "bind", "slaveof", "replicaof"].iter().all(|name| names.contains(name)));
    }

    #[test]
    fn secrets_are_known_by_their_place() {
        let line = words(&["port", "1", "requirepass", "x"]);
        assert_eq!([0, 1, 2, 3].map(|index| is_secret(&line, index)), [false, false, false, true]);
    }

    /// Every row: names are unique, the default is a value that the row itself accepts and shows alike, and numbers
    /// are accepted exactly up to the ends of their range.
    #[test]
    fn every_row_accepts_its_default_and_the_edges_of_its_range() {
        let defaults = Config::default();
        let mut names = Vec::new();
        for param in PARAMS {
            names.extend([Some(param.name), param.alias].into_iter().flatten());
            let shown = param.get(&defaults);
            if param.name != "replicaof" {
                let mut config = defaults.clone();
                param
                    .assign(&mut config, &[shown], Source::Set)
                    .unwrap_or_else(|reason| panic!("{}: {reason}", param.name));
                assert!(param.same(&config, &defaults), "{}", param.name);
            }
            let accepts = |number: i128| {
                param.assign(&mut defaults.clone(), &[number.to_string().into_bytes()], Source::Set).is_ok()
            };
            if let Rule::Int(min, max) | Rule::Memory(min, max) | Rule::IntNear(min, max, _) = param.rule {
                assert!(accepts(min) && accepts(max), "{}", param.name);
                assert!(!accepts(min - 1) && !accepts(max + 1), "{}", param.name);
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "each name once");
        assert!(PARAMS.iter().all(|param| !param.summary.concat().trim().is_empty()));
    }
}
