//! The command line of redis-benchmark-rs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use crate::args::{self, Endpoint, Reach, Stop, leading_float, leading_integer};

/// How results are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Everything, for people.
    Full,
    /// One line per test.
    Quiet,
    Csv,
    /// One object per test and line.
    Json,
}

/// Everything that the arguments said.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) endpoint: Endpoint,
    pub(crate) reach: Reach,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) db: i64,
    pub(crate) resp3: bool,
    pub(crate) tracking: bool,
    /// The server is a node of a cluster: load all its masters.
    pub(crate) cluster: bool,
    pub(crate) clients: usize,
    pub(crate) requests: u64,
    /// Bytes of a value.
    pub(crate) data_size: usize,
    /// Worker threads; `None`: one, and not worth mentioning.
    pub(crate) threads: Option<usize>,
    pub(crate) keep_alive: bool,
    /// Random numbers are below this.
    pub(crate) keyspace: Option<u64>,
    pub(crate) pipeline: usize,
    pub(crate) format: Format,
    /// Decimals of latencies.
    pub(crate) precision: usize,
    pub(crate) forever: bool,
    pub(crate) tests: Option<Vec<String>>,
    pub(crate) idle: bool,
    pub(crate) stdin: bool,
    pub(crate) seed: Option<u64>,
    /// Requests per second of all clients together.
    pub(crate) rate: Option<f64>,
    /// Instead of a number of requests.
    pub(crate) duration: Option<Duration>,
    /// Commands with weights, as given.
    pub(crate) mix: Vec<Vec<u8>>,
    pub(crate) command: Vec<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            endpoint: args::Options::default().endpoint,
            reach: Reach::default(),
            user: None,
            password: None,
            db: 0,
            resp3: false,
            tracking: false,
            cluster: false,
            clients: 50,
            requests: 100_000,
            data_size: 3,
            threads: None,
            keep_alive: true,
            keyspace: None,
            pipeline: 1,
            format: Format::Full,
            precision: 3,
            forever: false,
            tests: None,
            idle: false,
            stdin: false,
            seed: None,
            rate: None,
            duration: None,
            mix: Vec::new(),
            command: Vec::new(),
        }
    }
}

/// Clients at most.
const CLIENTS_MAX: i64 = 1_000_000;

/// Threads at most.
const THREADS_MAX: i64 = 500;

/// Requests of a pipeline at most.
const PIPELINE_MAX: i64 = 1_000_000;

/// Bytes of a value at most: what a server takes.
const DATA_MAX: i64 = 1024 * 1024 * 1024;

/// Decimals of a latency at most.
const PRECISION_MAX: i64 = 6;

fn within(value: &[u8], least: i64, most: i64) -> i64 {
    leading_integer(value).clamp(least, most)
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Stop> {
    let mut options = Options::default();
    let mut arguments: Vec<Vec<u8>> = arguments.into_iter().map(OsString::into_vec).collect();
    let mut at = 0;
    while at < arguments.len() {
        let option = &arguments[at];
        if !option.starts_with(b"-") {
            break;
        }
        let last = at + 1 == arguments.len();
        at += 1;
        match option.as_slice() {
            b"--help" => return Err(Stop::Help),
            b"-v" | b"--version" => return Err(Stop::Version),
            b"-x" => options.stdin = true,
            b"-q" => options.format = Format::Quiet,
            b"-l" => options.forever = true,
            b"-I" => options.idle = true,
            b"-3" => options.resp3 = true,
            b"-e" => {
                eprintln!("WARNING: -e option has no effect. We now immediately exit on error to avoid false results.")
            }
            b"--csv" => options.format = Format::Csv,
            b"--json" => options.format = Format::Json,
            b"--enable-tracking" => options.tracking = true,
            b"--cluster" => options.cluster = true,
            name => {
                if let Some(taken) = options.reach.tls.take(name, &arguments[at..]) {
                    at += taken;
                    continue;
                }
                let name = String::from_utf8_lossy(name).into_owned();
                let invalid = || Stop::Error(format!("Invalid option \"{name}\" or option argument missing"));
                if last {
                    return Err(invalid());
                }
                let value = arguments[at].clone();
                at += 1;
                valued(&mut options, &name, value).map_err(|stop| stop.unwrap_or_else(invalid))?;
            }
        }
    }
    options.command = arguments.split_off(at);
    Ok(options)
}

/// An option with a value; `Err(None)` when there is no such option.
fn valued(options: &mut Options, name: &str, value: Vec<u8>) -> Result<(), Option<Stop>> {
    let text = || String::from_utf8_lossy(&value).into_owned();
    match name {
        "-h" => options.endpoint.host = text(),
        "-p" => {
            options.endpoint.port =
                u16::try_from(leading_integer(&value)).map_err(|_| Stop::Error("Invalid server port.".to_owned()))?;
        }
        "-s" => options.endpoint.socket = Some(value),
        "-a" => options.password = Some(value),
        "--user" => options.user = Some(value),
        "-u" => {
            let mut parsed = args::Options { endpoint: options.endpoint.clone(), ..args::Options::default() };
            args::uri(&value, &mut parsed)?;
            options.endpoint = parsed.endpoint;
            options.reach.tls.on |= parsed.reach.tls.on;
            options.user = parsed.user.or(options.user.take());
            options.password = parsed.password.or(options.password.take());
            options.db = parsed.db;
        }
        "-c" => options.clients = within(&value, 1, CLIENTS_MAX) as usize,
        "-n" => options.requests = within(&value, 1, i64::MAX).unsigned_abs(),
        "-d" => options.data_size = within(&value, 1, DATA_MAX) as usize,
        "-k" => options.keep_alive = leading_integer(&value) != 0,
        "-r" => options.keyspace = Some(within(&value, 0, i64::MAX).unsigned_abs()),
        "-P" => options.pipeline = within(&value, 1, PIPELINE_MAX) as usize,
        "-t" => options.tests = Some(text().to_ascii_lowercase().split(',').map(str::to_owned).collect()),
        "--dbnum" => options.db = leading_integer(&value),
        "--threads" => options.threads = Some(within(&value, 1, THREADS_MAX) as usize),
        "--precision" => options.precision = within(&value, 0, PRECISION_MAX) as usize,
        "--seed" => options.seed = Some(leading_integer(&value) as u64),
        "--rps" => {
            let rate = leading_float(&value);
            if rate <= 0.0 {
                return Err(Some(Stop::Error("--rps wants a positive number of requests per second".to_owned())));
            }
            options.rate = Some(rate);
        }
        "--duration" => {
            let seconds = leading_float(&value);
            if seconds <= 0.0 {
                return Err(Some(Stop::Error("--duration wants a positive number of seconds".to_owned())));
            }
            options.duration = Duration::try_from_secs_f64(seconds).ok();
        }
        "--mix" => options.mix.push(value),
        _ => return Err(None),
    }
    Ok(())
}

/// The text of `--help`.
pub(crate) fn usage() -> &'static str {
    include_str!("usage.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, Stop> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn options_and_a_command() {
        let options = read("-u redis://joe:pw@h:7/3 -c 5 -n 10 -t SET,get -r 50 -q --threads 900 set -n").unwrap();
        assert_eq!((options.endpoint.host.as_str(), options.endpoint.port, options.db), ("h", 7, 3));
        assert_eq!((options.clients, options.requests, options.keyspace), (5, 10, Some(50)));
        assert_eq!(options.threads, Some(500));
        assert_eq!(options.tests.unwrap(), ["set", "get"]);
        assert_eq!(options.command, [b"set".to_vec(), b"-n".to_vec()]);
        assert!(!options.reach.tls.on);
        assert!(read("-u rediss://h").unwrap().reach.tls.on);
        assert!(read("--cacert x --tls -n 7").unwrap().reach.tls.on);
        let odd = read("-c 0 -P -5 -n x --precision 99").unwrap();
        assert_eq!((odd.clients, odd.pipeline, odd.requests, odd.precision), (1, 1, 1, 6));
    }

    #[test]
    fn what_is_refused() {
        for bad in ["-n", "--cacert", "--foo 1", "--foo", "--rps 0", "--duration x", "-p 99999", "-u foo"] {
            assert!(matches!(read(bad), Err(Stop::Error(_))), "{bad}");
        }
        assert_eq!(read("--help").unwrap_err(), Stop::Help);
    }
}
