//! The command line: which server, which mode, which output, and the command words.
//!
//! Options are matched whole, exactly as redis-cli does: `-hlocalhost` and `--port=1` are refused, and the first
//! word that is not an option starts the command, so that `GET -n` reaches the server as it stands. That is why no
//! argument library is used here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use resp::inline::split_words;

use crate::cluster::options::ClusterOptions;
use crate::tls::Tls;

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A unix socket; overrides host and port.
    pub(crate) socket: Option<Vec<u8>>,
}

impl Endpoint {
    /// `127.0.0.1:6379`, `[::1]:6379`, or the path of the socket: as prompts and errors name the server.
    pub(crate) fn name(&self) -> String {
        match &self.socket {
            Some(path) => String::from_utf8_lossy(path).into_owned(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Which address family a host name is resolved to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

/// How servers are reached: the same for every connection of the process.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) family: Family,
    /// How long connecting may take; `None` leaves it to the system.
    pub(crate) timeout: Option<Duration>,
    pub(crate) tls: Tls,
}

impl Default for Reach {
    fn default() -> Reach {
        Reach { family: Family::Any, timeout: None, tls: Tls::default() }
    }
}

/// How replies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people: types, indexes, quotes.
    Standard,
    /// For pipes: the bytes.
    Raw,
    Csv,
    Json,
    /// JSON whose strings are ASCII, with `\xHH` for the rest.
    QuotedJson,
}

/// Which protocol a connection is switched to after authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Say nothing: RESP2.
    Unsaid,
    /// Say nothing, and do not let `--json` ask for RESP3.
    Resp2,
    /// `HELLO 3`, and tell when the server refuses.
    Resp3,
    /// `HELLO 3`, but RESP2 will do (`--json`).
    Resp3IfPossible,
}

/// Which argument comes from standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StdinArgument {
    None,
    /// `-x`: appended to the command.
    Last,
    /// `-X tag`: in place of the first argument that equals the tag.
    Tag(Vec<u8>),
}

/// What the process is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Run the command of the arguments, or a session when there is none.
    Command,
    Scan,
    Stat,
    /// A dashboard on the whole terminal.
    Tui,
    Pipe,
    BigKeys,
    MemKeys,
    KeyStats,
    HotKeys,
    Latency,
    LatencyHistory,
    LatencyDist,
    /// For [`Options::amount`] seconds.
    IntrinsicLatency,
    /// With [`Options::amount`] keys.
    LruTest,
    /// Save a snapshot into [`Options::file`].
    Rdb {
        functions_only: bool,
    },
    Replica,
    /// Run the script in [`Options::file`].
    Eval,
    /// Debug it. `sync`: not in a child of the server, so that what it changes stays.
    Debug {
        sync: bool,
    },
    /// Print the hint for the line in [`Options::file`], or check the hints that the file of this name expects.
    Hint {
        from_file: bool,
    },
    /// Look after a cluster: [`Options::cluster_options`].
    Cluster,
}

/// Everything that the arguments and the environment said.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) endpoint: Endpoint,
    pub(crate) reach: Reach,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) ask_password: bool,
    pub(crate) auth_warning: bool,
    /// The database number, as text: the server judges it.
    pub(crate) db: i64,
    pub(crate) protocol: Wanted,
    /// How often the command runs; negative: until interrupted.
    pub(crate) repeat: i64,
    /// Pause after each repetition, and between cycles of `--scan`, `--stat` and `--bigkeys`.
    pub(crate) interval: Duration,
    pub(crate) output: Option<Output>,
    /// Between the elements of an array in raw output.
    pub(crate) element_delimiter: Vec<u8>,
    /// After each reply in raw output.
    pub(crate) reply_delimiter: Vec<u8>,
    pub(crate) stdin: StdinArgument,
    pub(crate) quoted_input: bool,
    pub(crate) cluster: bool,
    pub(crate) exit_on_error: bool,
    pub(crate) show_pushes: Option<bool>,
    /// At a terminal, nothing that redis-cli does not do.
    pub(crate) plain: bool,
    pub(crate) mode: Mode,
    /// MATCH of the modes that walk the keyspace.
    pub(crate) pattern: Option<Vec<u8>>,
    /// COUNT of the modes that walk the keyspace, if said.
    pub(crate) count: Option<i64>,
    /// Where `--keystats` begins.
    pub(crate) cursor: u64,
    /// Elements that MEMORY USAGE looks at; `None` leaves it to the server.
    pub(crate) samples: Option<i64>,
    /// Keys that `--keystats` tells by name.
    pub(crate) top: usize,
    /// The number that `--lru-test` or `--intrinsic-latency` was given.
    pub(crate) amount: i64,
    /// Seconds that `--pipe` waits for the last reply; 0: for ever.
    pub(crate) pipe_timeout: u64,
    pub(crate) cluster_options: ClusterOptions,
    /// The file of `--eval`, `--rdb` or `--functions-rdb`.
    pub(crate) file: Vec<u8>,
    pub(crate) command: Vec<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            endpoint: Endpoint { host: "127.0.0.1".to_owned(), port: 6379, socket: None },
            reach: Reach::default(),
            user: None,
            password: None,
            ask_password: false,
            auth_warning: true,
            db: 0,
            protocol: Wanted::Unsaid,
            repeat: 1,
            interval: Duration::ZERO,
            output: None,
            element_delimiter: b"\n".to_vec(),
            reply_delimiter: b"\n".to_vec(),
            stdin: StdinArgument::None,
            quoted_input: false,
            cluster: false,
            exit_on_error: false,
            show_pushes: None,
            plain: false,
            mode: Mode::Command,
            pattern: None,
            count: None,
            cursor: 0,
            samples: None,
            top: 10,
            amount: 0,
            pipe_timeout: 30,
            cluster_options: ClusterOptions::default(),
            file: Vec::new(),
            command: Vec::new(),
        }
    }
}

/// Why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Print the usage and leave with success.
    Help,
    /// Print the version and leave with success.
    Version,
    /// Say this on standard error and leave with failure.
    Error(String),
    /// The same on standard output, where redis-cli says it.
    Complaint(&'static str),
}

fn fail<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(text.into()))
}

/// The leading digits of a number, as C's `atoi` reads them: anything else is 0.
pub(crate) fn leading_integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value: i64 = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative { -value } else { value }
}

/// Bytes of a number that are looked at.
const NUMBER_MAX: usize = 64;

/// The leading number of a text, as C's `atof` reads plain decimals: anything else is 0.
pub(crate) fn leading_float(text: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(&text[..text.len().min(NUMBER_MAX)]);
    let text = text.trim_start();
    (0..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find_map(|end| text[..end].parse::<f64>().ok())
        .filter(|value| value.is_finite())
        .unwrap_or(0.0)
}

/// Seconds as a duration; negative and absurd values are no pause.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::ZERO)
}

/// `-t`: 0 leaves it to the system.
fn connect_timeout(value: &[u8]) -> Result<Option<Duration>, Stop> {
    let text = std::str::from_utf8(value).unwrap_or("?").trim_start();
    match text.parse::<f64>() {
        Ok(timeout) if timeout >= 0.0 => {
            Ok(Duration::try_from_secs_f64(timeout).ok().filter(|timeout| !timeout.is_zero()))
        }
        Err(_) if text.is_empty() => Ok(None),
        _ => fail("Invalid connection timeout for -t."),
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn port(text: &[u8]) -> Result<u16, Stop> {
    u16::try_from(leading_integer(text)).or_else(|_| fail("Invalid server port."))
}

/// `%XX` in the parts of a URI.
fn percent_decode(text: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let Some((&[high, low], tail)) = rest.split_first_chunk::<2>() else {
            return fail("Incomplete URI encoding");
        };
        let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return fail("Illegal character in URI encoding");
        };
        out.push(high << 4 | low);
        rest = tail;
    }
    Ok(out)
}

/// `redis[s]://[user[:password]@]host[:port][/db]`.
pub(crate) fn uri(text: &[u8], options: &mut Options) -> Result<(), Stop> {
    let scheme_is = |scheme: &[u8]| text.len() >= scheme.len() && text[..scheme.len()].eq_ignore_ascii_case(scheme);
    let mut rest = if scheme_is(b"rediss://") {
        options.reach.tls.on = true;
        &text[b"rediss://".len()..]
    } else if scheme_is(b"redis://") {
        &text[b"redis://".len()..]
    } else {
        return fail("Invalid URI scheme");
    };
    // The last "@", so that a password may hold one unescaped.
    let authority_end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    if let Some(at) = rest[..authority_end].iter().rposition(|&byte| byte == b'@') {
        let credentials = &rest[..at];
        match credentials.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                if colon > 0 {
                    options.user = Some(percent_decode(&credentials[..colon])?);
                }
                options.password = Some(percent_decode(&credentials[colon + 1..])?);
            }
            None => options.password = Some(percent_decode(credentials)?),
        }
        rest = &rest[at + 1..];
    }
    let slash = rest.iter().position(|&byte| byte == b'/');
    let (address, path) = match slash {
        Some(slash) => (&rest[..slash], &rest[slash + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let host_end = if address.starts_with(b"[") {
        address.iter().position(|&byte| byte == b']').map_or(address.len(), |end| end + 1)
    } else {
        address.iter().position(|&byte| byte == b':').unwrap_or(address.len())
    };
    let (host, port_text) = address.split_at(host_end);
    if let Some(digits) = port_text.strip_prefix(b":") {
        options.endpoint.port = port(digits)?;
    }
    if !host.is_empty() {
        let host = percent_decode(host)?;
        let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(&host);
        options.endpoint.host = utf8(bare);
    }
    if !path.is_empty() {
        options.db = leading_integer(path);
    }
    Ok(())
}

/// One quoted word: `"a\x00b"` or plain text.
pub(crate) fn unquote(text: &[u8]) -> Result<Vec<u8>, Stop> {
    match split_words(text) {
        Ok(mut words) if words.len() == 1 => Ok(words.remove(0)),
        _ => Err(Stop::Complaint("Invalid quoted string")),
    }
}

/// `--top 1000000` is a list that nobody reads, and memory.
const TOP_MAX: i64 = 1_000_000;

/// The number of elements that MEMORY USAGE is to look at.
fn samples(value: &[u8], complaint: &'static str) -> Result<Option<i64>, Stop> {
    match leading_integer(value) {
        samples if samples < 0 => fail(complaint),
        samples => Ok(Some(samples)),
    }
}

/// Reads the arguments that follow the program's name. `password` is what `REDISCLI_AUTH` holds.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    password: Option<OsString>,
) -> Result<Options, Stop> {
    let mut options = Options { password: password.map(OsString::into_vec), ..Options::default() };
    let mut arguments: Vec<Vec<u8>> = arguments.into_iter().map(OsString::into_vec).collect();
    let mut at = 0;
    let mut resp = None;
    let mut on_command_line = false;
    let mut debug = None;
    while at < arguments.len() {
        let option = &arguments[at];
        if !option.starts_with(b"-") {
            break;
        }
        let last = at + 1 == arguments.len();
        let unknown =
            || fail(format!("Unrecognized option or bad number of args for: '{}'", String::from_utf8_lossy(option)));
        // Options without a value first; then the ones with, which need another argument.
        at += 1;
        match option.as_slice() {
            b"-h" if last => return Err(Stop::Help),
            b"--help" => return Err(Stop::Help),
            b"-v" | b"--version" => return Err(Stop::Version),
            b"-x" => options.stdin = join(options.stdin, StdinArgument::Last)?,
            b"-2" | b"-3" => {
                if resp.is_some_and(|said| said != option) {
                    return fail("Options -2 and -3 are mutually exclusive.");
                }
                resp = Some(option);
            }
            b"-4" if options.reach.family == Family::V6 => return fail("Options -4 and -6 are mutually exclusive."),
            b"-6" if options.reach.family == Family::V4 => return fail("Options -4 and -6 are mutually exclusive."),
            b"-4" => options.reach.family = Family::V4,
            b"-6" => options.reach.family = Family::V6,
            b"-c" => options.cluster = true,
            b"-e" => options.exit_on_error = true,
            b"--raw" => options.output = Some(Output::Raw),
            b"--no-raw" => options.output = Some(Output::Standard),
            b"--csv" => options.output = Some(Output::Csv),
            b"--json" => options.output = Some(Output::Json),
            b"--quoted-json" => options.output = Some(Output::QuotedJson),
            b"--quoted-input" => options.quoted_input = true,
            b"--askpass" => options.ask_password = true,
            b"--no-auth-warning" => options.auth_warning = false,
            b"--verbose" => {}
            b"--plain" => options.plain = true,
            b"--ldb" => debug = debug.or(Some(Mode::Debug { sync: false })),
            b"--ldb-sync-mode" => debug = Some(Mode::Debug { sync: true }),
            b"--scan" => options.mode = Mode::Scan,
            b"--stat" => options.mode = Mode::Stat,
            b"--tui" => options.mode = Mode::Tui,
            b"--pipe" => options.mode = Mode::Pipe,
            b"--bigkeys" => options.mode = Mode::BigKeys,
            b"--memkeys" => options.mode = Mode::MemKeys,
            b"--keystats" => options.mode = Mode::KeyStats,
            b"--hotkeys" => options.mode = Mode::HotKeys,
            b"--latency" => options.mode = Mode::Latency,
            b"--latency-history" => options.mode = Mode::LatencyHistory,
            b"--latency-dist" => options.mode = Mode::LatencyDist,
            b"--replica" | b"--slave" => options.mode = Mode::Replica,
            _ => {
                let values = &arguments[at..];
                let taken =
                    options.cluster_options.take(option, values).or_else(|| options.reach.tls.take(option, values));
                if let Some(taken) = taken {
                    at += taken;
                    continue;
                }
                if last && option == b"--cluster" {
                    return fail(crate::help::usage());
                }
                if last {
                    return unknown();
                }
                let value = &arguments[at];
                at += 1;
                match option.as_slice() {
                    b"--cluster" => {
                        options.mode = Mode::Cluster;
                        options.cluster_options.command = utf8(value);
                        let count = arguments[at..].iter().take_while(|word| !word.starts_with(b"-")).count();
                        options.cluster_options.arguments =
                            arguments[at..at + count].iter().map(|word| utf8(word)).collect();
                        at += count;
                    }
                    b"-h" => options.endpoint.host = utf8(value),
                    b"-p" => options.endpoint.port = port(value)?,
                    b"-s" => options.endpoint.socket = Some(value.clone()),
                    b"-t" => {
                        options.reach.timeout = connect_timeout(value)?;
                    }
                    b"-a" | b"--pass" => {
                        options.password = Some(value.clone());
                        on_command_line = true;
                    }
                    b"--user" => options.user = Some(value.clone()),
                    b"-u" => {
                        let before = options.password.take();
                        uri(value, &mut options)?;
                        on_command_line |= options.password.is_some();
                        options.password = options.password.or(before);
                    }
                    b"-r" => options.repeat = leading_integer(value),
                    b"-i" => options.interval = seconds(leading_float(value)),
                    b"-n" => options.db = leading_integer(value),
                    b"-X" => options.stdin = join(options.stdin, StdinArgument::Tag(value.clone()))?,
                    b"-d" => options.element_delimiter = value.clone(),
                    b"-D" => options.reply_delimiter = value.clone(),
                    b"--show-pushes" => match value.first() {
                        Some(b'y' | b'Y') => options.show_pushes = Some(true),
                        Some(b'n' | b'N') => options.show_pushes = Some(false),
                        _ => eprintln!(
                            "Unknown --show-pushes value '{}' (valid: '[y]es', '[n]o')",
                            String::from_utf8_lossy(value)
                        ),
                    },
                    b"--eval" => {
                        options.mode = Mode::Eval;
                        options.file = value.clone();
                    }
                    b"--test_hint" | b"--test_hint_file" => {
                        options.mode = Mode::Hint { from_file: option == b"--test_hint_file" };
                        options.file = value.clone();
                    }
                    b"--rdb" | b"--functions-rdb" => {
                        let mode = Mode::Rdb { functions_only: option == b"--functions-rdb" };
                        if matches!(options.mode, Mode::Rdb { .. }) && options.mode != mode {
                            return fail("Option --functions-rdb and --rdb are mutually exclusive.");
                        }
                        options.mode = mode;
                        options.file = value.clone();
                    }
                    b"--lru-test" => {
                        options.mode = Mode::LruTest;
                        options.amount = leading_integer(value);
                    }
                    b"--intrinsic-latency" => {
                        options.mode = Mode::IntrinsicLatency;
                        options.amount = leading_integer(value);
                    }
                    b"--memkeys-samples" => {
                        options.mode = Mode::MemKeys;
                        options.samples = samples(value, "--memkeys-samples value should be positive.")?;
                    }
                    b"--keystats-samples" => {
                        options.mode = Mode::KeyStats;
                        options.samples = samples(value, "--keystats-samples value should be positive.")?;
                    }
                    b"--cursor" => {
                        let text = std::str::from_utf8(value).unwrap_or_default();
                        options.cursor = match (text.parse::<u64>(), text.parse::<i128>()) {
                            (Ok(cursor), _) => cursor,
                            (_, Ok(number)) if number < 0 => {
                                return fail("--cursor should be followed by a positive integer.");
                            }
                            _ => return fail("--cursor conversion error."),
                        };
                    }
                    b"--top" => match leading_integer(value) {
                        top if top < 0 => return fail("--top should be followed by a positive integer."),
                        top => options.top = top.min(TOP_MAX) as usize,
                    },
                    b"--pattern" => options.pattern = Some(value.clone()),
                    b"--quoted-pattern" => {
                        let Ok(pattern) = unquote(value) else {
                            return fail("Invalid quoted string specified for --quoted-pattern.");
                        };
                        options.pattern = Some(pattern);
                    }
                    b"--count" => options.count = Some(leading_integer(value)),
                    b"--pipe-timeout" => options.pipe_timeout = u64::try_from(leading_integer(value)).unwrap_or(0),
                    _ => return unknown(),
                }
            }
        }
    }
    if let Some(debug) = debug {
        if options.mode != Mode::Eval {
            return fail(
                "Options --ldb and --ldb-sync-mode require --eval.\nTry redis-cli --help for more information.",
            );
        }
        options.mode = debug;
    }
    let json = matches!(options.output, Some(Output::Json | Output::QuotedJson));
    options.protocol = match resp.map(Vec::as_slice) {
        Some(b"-2") => Wanted::Resp2,
        Some(_) => Wanted::Resp3,
        None if json => Wanted::Resp3IfPossible,
        None => Wanted::Unsaid,
    };
    options.auth_warning &= on_command_line && !options.ask_password;
    options.command = arguments.split_off(at);
    if options.quoted_input {
        options.command = options.command.iter().map(|word| unquote(word)).collect::<Result<_, _>>()?;
    }
    Ok(options)
}

/// The second of `-x` and `-X` is refused.
fn join(before: StdinArgument, now: StdinArgument) -> Result<StdinArgument, Stop> {
    match (&before, &now) {
        (StdinArgument::None, _)
        | (StdinArgument::Last, StdinArgument::Last)
        | (StdinArgument::Tag(_), StdinArgument::Tag(_)) => Ok(now),
        _ => fail("Options -x and -X are mutually exclusive."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, Stop> {
        parse(words.iter().map(OsString::from), None)
    }

    #[test]
    fn command_starts_at_the_first_plain_word() {
        let options = read(&["-n", "3", "get", "-n", "4"]).unwrap();
        assert_eq!(options.db, 3);
        assert_eq!(options.command, [b"get".to_vec(), b"-n".to_vec(), b"4".to_vec()]);
    }

    #[test]
    fn uri_parts() {
        let options = read(&["-u", "redis://joe:p%40ss@[::1]:7000/5"]).unwrap();
        assert_eq!(options.endpoint, Endpoint { host: "::1".into(), port: 7000, socket: None });
        assert_eq!(options.user.as_deref(), Some(&b"joe"[..]));
        assert_eq!(options.password.as_deref(), Some(&b"p@ss"[..]));
        assert_eq!(options.db, 5);
        assert!(options.auth_warning);
        let options = read(&["-u", "redis://secret@h"]).unwrap();
        assert_eq!((options.user, options.password), (None, Some(b"secret".to_vec())));
        assert!(!options.reach.tls.on);
        let options = read(&["-u", "rediss://h:7/2"]).unwrap();
        assert!(options.reach.tls.on);
        assert_eq!((options.endpoint.name().as_str(), options.db), ("h:7", 2));
        for bad in ["foo", "redis://h:99999", "redis://a:%zz@h", "redis://a:%4@h", "redisss://h"] {
            assert!(matches!(read(&["-u", bad]), Err(Stop::Error(_))), "{bad}");
        }
    }

    #[test]
    fn refused() {
        for bad in [
            &["-p"][..],
            &["--foo", "x"],
            &["-"],
            &["--"],
            &["-hlocalhost", "x"],
            &["-p", "65536"],
            &["-p", "-1"],
            &["--cacert"],
            &["-t", "abc"],
            &["-t", "-1"],
            &["-2", "-3"],
            &["-4", "-6"],
            &["-x", "-X", "t"],
            &["--quoted-input", "get", "\"a"],
            &["--quoted-pattern", "\"a\" \"b\""],
        ] {
            assert!(matches!(read(bad), Err(Stop::Error(_) | Stop::Complaint(_))), "{bad:?}");
        }
        assert_eq!(read(&["-h"]).unwrap_err(), Stop::Help);
        assert_eq!(read(&["--version"]).unwrap_err(), Stop::Version);
    }

    #[test]
    fn only_scripts_are_debugged() {
        for bad in [&["--ldb"][..], &["--ldb-sync-mode"], &["--ldb", "get", "a"]] {
            assert!(matches!(read(bad), Err(Stop::Error(_))), "{bad:?}");
        }
        let mode = |words| read(words).unwrap().mode;
        assert_eq!(mode(&["--ldb", "--eval", "f", "k"]), Mode::Debug { sync: false });
        assert_eq!(mode(&["--eval", "f", "--ldb-sync-mode", "--ldb"]), Mode::Debug { sync: true });
    }

    #[test]
    fn numbers_are_lenient() {
        assert_eq!(leading_integer(b" -12x"), -12);
        assert_eq!(leading_integer(b"abc"), 0);
        assert_eq!(leading_integer(b"99999999999999999999999"), i64::MAX);
        assert_eq!(read(&["-i", "0.25s"]).unwrap().interval, Duration::from_millis(250));
        assert_eq!(read(&["-i", "-3"]).unwrap().interval, Duration::ZERO);
        assert_eq!(read(&["-i", "1e300"]).unwrap().interval, Duration::ZERO);
    }

    #[test]
    fn the_password_option_wins_over_the_environment() {
        let options = parse(["-a", "x"].map(OsString::from), Some("y".into())).unwrap();
        assert_eq!(options.password.as_deref(), Some(&b"x"[..]));
        let options = parse(["ping"].map(OsString::from), Some("y".into())).unwrap();
        assert_eq!(options.password.as_deref(), Some(&b"y"[..]));
        assert!(!options.auth_warning);
    }
}
