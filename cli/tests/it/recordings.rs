//! What redis-cli-rs prints and sends when it talks to a real server, byte for byte as redis-cli.
//!
//! `golden/recordings.txt` holds invocations of redis-cli 8.0.6 with the conversation that each had with Redis 8.0.6. Here the
//! conversations are played again and redis-cli-rs must ask the same and print the same, on both outputs, and leave with the
//! same code. Where `REDIS_CLI` or `PATH` has a redis-cli of release 8.0 or 7.0, it is held against the file, too. What release
//! 7.0 does otherwise stands in the file, each with its reason (`REASONS`). `cargo xtask transcripts` records the file anew.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::process::{Run, run, run_until};
use crate::replay::{Exchange, Player, Recorder};
use crate::server::{Server, find};

const OURS: &str = env!("CARGO_BIN_EXE_redis-cli-rs");

/// Put before the first case.
const SETUP: &[&str] = &[
    "SET str hello",
    r#"SET bin "a\x00b\xff\r\n\"q\"\t\\""#,
    r#"SET utf "\xc3\xa9\xe2\x82\xac""#,
    r#"SET empty """#,
    "SET num 42",
    "SET ttl x EX 100000",
    r#"RPUSH list a b c "d e" "" "f\ng""#,
    r#"HSET hash f1 v1 f2 v2 "f 3" "v\n3""#,
    "SADD set m1 m2 m3",
    "SADD ints 1 2 3 10",
    "ZADD zset 1 a 2.5 b -3 c inf d",
    "XADD stream 1-1 f v",
    "XADD stream 1-2 a 1 b 2",
    "XGROUP CREATE stream g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS stream >",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "PFADD hll a b c",
    "SETBIT bits 7 1",
    r#"SET "key with space" v"#,
    r#"SET "key\x00\xfe" v"#,
    "ACL SETUSER joe on >pw ~* &* +@all",
    r#"FUNCTION LOAD "\#!lua name=lib\nredis.register_function('f', function(keys, args) return args[1] end)""#,
    "SET rest x",
];

/// How replies are asked for.
const STYLES: &[&str] = &[
    "",
    "--no-raw",
    "--csv",
    "--json",
    "--quoted-json",
    "-3",
    "-3 --no-raw",
    "-3 --csv",
    "-2 --json",
    "-d ; -D |",
    "-e --no-raw",
];

/// One reply of each kind.
const COMMANDS: &[&str] = &[
    "PING",
    "GET str",
    "GET bin",
    "GET utf",
    "GET empty",
    "GET nosuch",
    "STRLEN str",
    "LRANGE list 0 -1",
    "LRANGE nosuch 0 -1",
    "HGETALL hash",
    "SMEMBERS set",
    "SMEMBERS ints",
    "ZRANGE zset 0 -1 WITHSCORES",
    "ZSCORE zset b",
    "ZMSCORE zset a nosuch d",
    "XRANGE stream - +",
    "XREAD STREAMS stream 0",
    "XINFO STREAM stream",
    "GEOPOS geo Palermo nosuch",
    "MGET str nosuch list num",
    "LPOP list x",
    "NOSUCH a b",
    "EVAL return{1,{2,'a',{3.5}},false,redis.status_reply('FINE'),redis.error_reply('ERRX')} 0",
    "DEBUG PROTOCOL string",
    "DEBUG PROTOCOL integer",
    "DEBUG PROTOCOL double",
    "DEBUG PROTOCOL null",
    "DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set",
    "DEBUG PROTOCOL map",
    "DEBUG PROTOCOL attrib",
    "DEBUG PROTOCOL push",
    "DEBUG PROTOCOL verbatim",
    "DEBUG PROTOCOL bignum",
    "DEBUG PROTOCOL true",
    "DEBUG PROTOCOL false",
    "CONFIG GET *max-listpack*",
    "COMMAND INFO get nosuch",
    "LCS str num IDX",
    "CLUSTER INFO",
    "CLIENT TRACKINGINFO",
    "ACL GETUSER joe",
    "FUNCTION LIST",
    "OBJECT ENCODING list",
];

/// Arguments, standard input (`\` escapes) and environment (`NAME=VALUE …`) of everything else. `DIR` is a folder with the
/// files of [`FILES`], `PORT` the server's.
#[rustfmt::skip]
const INVOCATIONS: &[(&str, &str, &str)] = &[
    // Where the server is, and who asks.
    ("-h 127.0.0.1 GET str", "", ""), ("-h localhost -4 GET str", "", ""), ("-u redis://127.0.0.1:PORT GET str", "", ""),
    ("-u redis://127.0.0.1:PORT/3 DBSIZE", "", ""), ("-u redis://joe:pw@127.0.0.1:PORT ACL WHOAMI", "", ""),
    ("-u redis://joe:pw@127.0.0.1:PORT/1 CLIENT GETNAME", "", ""), ("-u redis://:pw@127.0.0.1:PORT ACL WHOAMI", "", ""),
    ("-u redis://joe:bad@127.0.0.1:PORT ACL WHOAMI", "", ""), ("-u redis://joe:p%77@127.0.0.1:PORT ACL WHOAMI", "", ""),
    ("-u redis://joe:p%7x@127.0.0.1:PORT PING", "", ""), ("-u redis://joe:p%7 PING", "", ""), ("-u http://127.0.0.1 PING", "", ""),
    ("-u REDIS://127.0.0.1:PORT PING", "", ""), ("-u redis://127.0.0.1:PORT/abc PING", "", ""),
    ("--user joe -a pw ACL WHOAMI", "", ""), ("--user joe --pass pw ACL WHOAMI", "", ""), ("--user joe -a bad ACL WHOAMI", "", ""),
    ("--user joe --pass pw --no-auth-warning ACL WHOAMI", "", ""), ("-a pw PING", "", ""), ("-a pw --no-auth-warning PING", "", ""),
    ("--user joe ACL WHOAMI", "", "REDISCLI_AUTH=pw"), ("ACL WHOAMI", "", "REDISCLI_AUTH=pw"), ("--user joe -a pw ACL WHOAMI", "", "REDISCLI_AUTH=no"),
    ("--user joe --askpass ACL WHOAMI", "pw\n", ""), ("--user joe -3 -a pw ACL WHOAMI", "", ""),
    ("-n 3 SET a b", "", ""), ("-n 3 GET a", "", ""), ("-n 99 GET a", "", ""), ("-n -1 GET a", "", ""), ("-n x GET str", "", ""),
    ("-n 3 FLUSHDB", "", ""), ("-t 5 PING", "", ""), ("-t 0 PING", "", ""), ("-t x PING", "", ""), ("-4 PING", "", ""), ("-4 -6 PING", "", ""),
    // How often, and what from.
    ("-r 3 PING", "", ""), ("-r 0 PING", "", ""), ("-r 2 -i 0.01 GET str", "", ""), ("-r 3 -i 0.01 NOSUCH", "", ""), ("-e -r 3 NOSUCH", "", ""),
    ("-r 2 INCR counter", "", ""), ("-r 2 --csv LRANGE list 0 -1", "", ""), ("-r 2 -D | GET str", "", ""), ("-r x PING", "", ""),
    ("-x SET fromin", "in put\n", ""), ("GET fromin", "", ""), ("--no-raw GET fromin", "", ""), ("-x SET fromin", "", ""), ("-x ECHO", "\\x00\\xff\r\n", ""),
    ("-X tag SET tagged tag EX 100", "value\n", ""), ("GET tagged", "", ""), ("-X tag SET tagged value", "x", ""), ("-X tag ECHO tag tag", "x", ""),
    ("-x -X t ECHO t", "x", ""), ("-X t -x ECHO t", "x", ""), ("-x", "GET str", ""), ("-x --no-raw APPEND app", "a b", ""),
    ("--quoted-input SET '\"q\\x00k\"' \"'v\\n'\"", "", ""), ("--quoted-input ECHO '\"a\\x41\\n\"'", "", ""), ("--quoted-input ECHO \"'a b'\"", "", ""),
    ("--quoted-input ECHO '\"open'", "", ""), ("--quoted-input ECHO '\"a\"b'", "", ""), ("--quoted-input ECHO ''", "", ""),
    // What is wrong with the arguments.
    ("--nosuch", "", ""), ("--nosuch PING", "", ""), ("-p", "", ""), ("-", "", ""), ("--", "", ""), ("-p 65537 PING", "", ""), ("-p -1 PING", "", ""),
    ("-2 -3 PING", "", ""), ("-3 -2 PING", "", ""), ("--show-pushes maybe PING", "", ""), ("--show-pushes y PING", "", ""),
    ("--rdb DIR/a --functions-rdb DIR/b", "", ""), ("--memkeys-samples -1", "", ""), ("--pattern", "", ""), ("--count", "", ""),
    ("--quoted-pattern '\"a' --scan", "", ""), ("GET", "", ""), ("-e GET", "", ""), ("-e NOSUCH", "", ""), ("-e LPOP str", "", ""), ("-e GET str", "", ""),
    ("-e --csv LPOP str", "", ""), ("-e --json LPOP str", "", ""), ("-e --no-raw LPOP str", "", ""), ("-e -3 LPOP str", "", ""),
    // Delimiters.
    ("-d , LRANGE list 0 -1", "", ""), ("-d '' LRANGE list 0 -1", "", ""), ("-D '' GET str", "", ""), ("-D '' LRANGE list 0 -1", "", ""),
    ("-d '' -D '' MGET str num", "", ""), ("-d '\\t' -D '\\n' MGET str num", "", ""), ("-3 -d , HGETALL hash", "", ""), ("-D X --no-raw GET str", "", ""),
    ("-D X --csv GET str", "", ""), ("-d X XRANGE stream - +", "", ""), ("-D '' --raw DUMP str", "", ""), ("--raw DUMP str", "", ""),
    ("-D '' --json GET str", "", ""), ("-3 -d ; -D |  DEBUG PROTOCOL map", "", ""), ("-d ; EVAL return{1,{2,{3,4}}} 0", "", ""),
    // Commands on standard input.
    ("", "GET str\nGET bin\n\nLRANGE list 0 -1\n", ""), ("--no-raw", "GET str\nGET bin\nLRANGE list 0 -1\n", ""),
    ("--csv", "GET str\nLRANGE list 0 -1\n", ""), ("--json", "GET str\nHGETALL hash\n", ""), ("-3", "HGETALL hash\n", ""), ("-3 --no-raw", "HGETALL hash\nSMEMBERS set\n", ""),
    ("", "SET a \"x\\ny\"\nGET a\nSET a 'x\\ny'\nGET a\n", ""), ("", "GET \"str\nGET 'str\nGET \"a\"b\nGET str", ""), ("", "3 INCR many\nGET many\n", ""),
    ("--no-raw", "MULTI\nSET a 1\nINCR a\nEXEC\n", ""), ("", "MULTI\nSET a 1\nDISCARD\nEXEC\n", ""), ("", "MULTI\nNOSUCH\nEXEC\n", ""),
    ("", "SELECT 5\nSET five 5\nSELECT 0\nGET five\n", ""), ("", "SELECT 99\nDBSIZE\n", ""), ("", "AUTH joe pw\nACL WHOAMI\nAUTH joe bad\nRESET\nACL WHOAMI\n", ""),
    ("", "HELLO 3\nHGETALL hash\nHELLO 2\nHGETALL hash\n", ""), ("--no-raw", "HELLO 3 AUTH joe pw\nACL WHOAMI\n", ""), ("", "QUIT\nPING\n", ""), ("", "exit\nPING\n", ""),
    ("", "NOSUCH\nLPOP str\nGET str\n", ""), ("-e", "NOSUCH\nGET str\n", ""), ("-n 2", "GET str\nSELECT 0\nGET str\n", ""), ("-r 2", "GET str\n", ""),
    ("", "INFO replication\nCLIENT GETNAME\n", ""), ("", "  GET   str  \n\tGET str\n", ""), ("", "SUBSCRIBE ch\nPUBLISH ch x\nUNSUBSCRIBE ch\nGET str\n", ""),
    ("-3", "SUBSCRIBE ch\nPUBLISH ch x\nUNSUBSCRIBE ch\nGET str\n", ""), ("--no-raw", "PSUBSCRIBE a* b*\nPUNSUBSCRIBE\n", ""), ("--csv", "SUBSCRIBE a b\nUNSUBSCRIBE\n", ""),
    ("-3 --show-pushes y", "CLIENT TRACKING ON\nGET str\nSET str hello\nPING\n", ""), ("-3 --show-pushes n", "CLIENT TRACKING ON\nGET str\nSET str hello\nPING\n", ""),
    ("-3 --no-raw --show-pushes y", "CLIENT TRACKING ON BCAST\nSET str hello\nPING\n", ""), ("-3 --csv --show-pushes y", "CLIENT TRACKING ON\nGET str\nFLUSHALL ASYNC X\nSET str hello\nPING\n", ""),
    ("-3 --no-raw", "DEBUG PROTOCOL push\nPING\n", ""), ("-3 --show-pushes y", "DEBUG PROTOCOL push\nPING\n", ""), ("", "DEBUG PROTOCOL verbatim\n", ""),
    ("--no-raw", "EVAL \"return redis.error_reply('MY err')\" 0\nEVAL \"return {err='x y'}\" 0\n", ""), ("", "CLIENT REPLY ON\nPING\n", ""),
    ("", ":set nohints\nGET str\n", ""), ("", "clear\nGET str\n", ""), ("", "connect 127.0.0.1 PORT\nGET str\n", ""), ("", "ECHO \\x41\nECHO \"\\x41\"\n", ""),
    ("", "0 PING\n-1 PING\n", ""), ("", "2\nPING\n", ""), ("", "\n\n\n", ""), ("", "", ""), ("", "#comment\nGET str\n", ""), ("", "// comment\nGET str\n", ""),
    ("--no-raw", "LRANGE list 0 1\nNOSUCH\n", "FAKETTY=1"), ("", "GET str\nLRANGE list 0 1\nHGETALL hash\n", "FAKETTY=1"), ("-3", "HGETALL hash\n", "FAKETTY=1"), ("GET bin", "", "FAKETTY=1"),
    ("LRANGE list 0 -1", "", "FAKETTY=1"), ("--raw LRANGE list 0 -1", "", "FAKETTY=1"), ("-3 CONFIG GET maxmemory", "", "FAKETTY=1"), ("INFO commandstats_none", "", "FAKETTY=1"),
    // Text for people.
    ("INFO replication", "", ""), ("--no-raw INFO replication", "", ""), ("--csv INFO replication", "", ""), ("--json INFO replication", "", ""), ("-3 INFO replication", "", ""),
    ("--no-raw CLUSTER NODES", "", ""), ("--no-raw LATENCY DOCTOR", "", ""), ("--no-raw MEMORY DOCTOR", "", ""), ("--no-raw LOLWUT VERSION 5 1 1 1", "", ""),
    ("--no-raw DEBUG HTSTATS-KEY set", "", ""), ("--no-raw DEBUG HTSTATS 9", "", ""), ("--json LATENCY GRAPH x", "", ""), ("-3 --no-raw LATENCY DOCTOR", "", ""),
    // Subscriptions and logs end with the connection.
    ("SUBSCRIBE", "", ""), ("-e SUBSCRIBE", "", ""), ("PSUBSCRIBE", "", ""), ("UNSUBSCRIBE", "", ""), ("UNSUBSCRIBE a b", "", ""), ("--csv PUNSUBSCRIBE a", "", ""), ("-3 UNSUBSCRIBE a", "", ""),
    // Whole keyspaces.
    ("--scan", "", ""), ("--no-raw --scan", "", ""), ("--scan --pattern s*", "", ""), ("--scan --pattern key*", "", ""), ("--no-raw --scan --pattern key*", "", ""),
    ("--scan --quoted-pattern '\"key\\\\x00*\"'", "", ""), ("--scan --pattern nosuch*", "", ""), ("--scan --count 3", "", ""), ("--scan --count 3 -i 0.001 --pattern [a-h]*", "", ""),
    ("--csv --scan --pattern key*", "", ""), ("--json --scan --pattern key*", "", ""), ("--quoted-json --scan --pattern key*", "", ""), ("--scan -n 7", "", ""), ("--scan -3 --pattern s*", "", ""), ("--scan -e --pattern s*", "", ""),
    ("--scan --count 0", "", ""), ("--scan --pattern s* GET str", "", ""), ("--scan --raw --pattern key*", "", ""), ("--scan -d , --pattern s*", "", ""), ("--scan --user joe -a pw --pattern s*", "", ""),
    // Bytes as they are.
    ("--pipe", "*1\r\n$4\r\nPING\r\n", ""), ("--pipe", "*3\r\n$3\r\nSET\r\n$1\r\np\r\n$1\r\nv\r\n*2\r\n$3\r\nGET\r\n$1\r\np\r\n", ""), ("--pipe", "PING\r\nGET str\r\nSET p q\r\n", ""), ("--pipe", "PING", ""),
    ("--pipe", "NOSUCH\r\nPING\r\n", ""), ("--pipe", "", ""), ("--pipe", "*2\r\n$4\r\nLPOP\r\n$3\r\nstr\r\n*1\r\n$4\r\nPING\r\n", ""), ("--pipe --pipe-timeout 5", "PING\r\n", ""), ("--pipe -n 3", "DBSIZE\r\n", ""),
    ("--pipe --user joe -a pw --no-auth-warning", "PING\r\n", ""), ("--pipe -3", "PING\r\n", ""), ("--pipe", "LRANGE list 0 -1\r\nHGETALL hash\r\nGET nosuch\r\n", ""),
    // Scripts.
    ("--eval DIR/return.lua", "", ""), ("--eval DIR/return.lua str num , a b", "", ""), ("--no-raw --eval DIR/return.lua k1 k2 , a b", "", ""), ("--csv --eval DIR/return.lua k1 , a b", "", ""),
    ("--json --eval DIR/return.lua k1 , a", "", ""), ("--eval DIR/return.lua , a", "", ""), ("--eval DIR/return.lua k1,a", "", ""), ("--eval DIR/error.lua", "", ""), ("--eval DIR/broken.lua", "", ""),
    ("-e --eval DIR/error.lua", "", ""), ("--eval DIR/nosuch.lua", "", ""), ("-n 3 --eval DIR/return.lua a", "", ""), ("-r 2 --eval DIR/return.lua a", "", ""), ("--eval DIR/empty.lua", "", ""), ("-3 --no-raw --eval DIR/map.lua", "", ""),
    // Modes that ask much.
    ("--bigkeys", "", ""), ("--bigkeys -i 0.001", "", ""), ("--bigkeys -n 7", "", ""), ("--memkeys", "", ""), ("--memkeys-samples 3", "", ""), ("--memkeys -n 7", "", ""), ("--bigkeys --pattern s*", "", ""), ("--hotkeys", "", ""),
    ("--functions-rdb -", "", ""), ("--rdb DIR/out.rdb", "", ""), ("--rdb /nosuch/dir/out.rdb", "", ""),
    // Closed and refused.
    ("-h 127.0.0.1 -p 1 PING", "", ""), ("-s /no/such.sock PING", "", ""), ("-p 1 --scan", "", ""), ("-p 1 --pipe", "PING\r\n", ""), ("-p 1 --bigkeys", "", ""), ("-p 1 --stat", "", ""), ("-p 1 --latency", "", ""),
    ("-p 1", "PING\n", ""), ("-p 1 -e PING", "", ""), ("-p 1 --rdb DIR/x", "", ""), ("-p 1 --eval DIR/return.lua", "", ""), ("-p 1 -r 3 PING", "", ""), ("-p 1 --memkeys", "", ""), ("-p 1 --hotkeys", "", ""), ("-p 1 --lru-test 5", "", ""),
    ("-p 1 --cluster info 127.0.0.1:1", "", ""), ("QUIT", "", ""), ("CLIENT KILL TYPE normal SKIPME no", "", ""), 
    ("", "CLIENT KILL TYPE normal SKIPME no\nGET str\n", ""), ("-n 3", "CLIENT KILL TYPE normal SKIPME no\nDBSIZE\nDBSIZE\n", ""), ("-e CLIENT KILL TYPE normal SKIPME no", "", ""),
    ("--version", "", ""), ("-v", "", ""), ("-c GET str", "", ""), ("-c --no-raw LRANGE list 0 -1", "", ""), ("--verbose GET str", "", ""), ("help", "", ""), ("SHUTDOWN NOSUCH", "", ""),
];

/// Modes without an end, watched for some lines.
const ENDLESS: &[(&str, usize)] = &[
    ("--stat -i 0.05", 4),
    ("--stat -i 0.01 -n 3", 6),
    ("-r -1 -i 0.01 GET str", 5),
    ("-r -1 --csv GET bin", 3),
    ("SUBSCRIBE a b", 6),
    ("-3 PSUBSCRIBE a", 3),
    ("--csv SUBSCRIBE a", 1),
    ("MONITOR", 1),
];

const FILES: &[(&str, &str)] = &[
    ("return.lua", "return {KEYS, ARGV, 1, 'x'}\n"),
    ("error.lua", "return redis.call('NOSUCH')\n"),
    ("broken.lua", "return (\n"),
    ("empty.lua", ""),
    ("map.lua", "redis.setresp(3) return {map={a=1}}\n"),
];

/// What release 7.0 of redis-cli does otherwise: a part of the case's title, and why.
const REASONS: &[(&str, &str)] = &[
    (" -t ", "-t came with 7.2"),
    (" -4 ", "-4 and -6 came with 7.2"),
    ("-p 65537", "ports are looked at since 7.2"),
    ("-p -1", "ports are looked at since 7.2"),
    ("--memkeys-samples -1", "the number is looked at since 8.0"),
    ("SUBSCRIBE", "messages and confirmations are kept apart since 7.2"),
    ("--count", "--count came with 7.2"),
    ("bigkeys", "progress and figures are laid out anew since 8.0"),
    ("memkeys", "progress and figures are laid out anew since 8.0"),
    ("--hotkeys", "progress and figures are laid out anew since 8.0"),
    ("-v", "the version"),
    (" help", "the version, and other words"),
];

/// Where redis-cli-rs means to differ: arguments, and why.
const MEANT: &[(&str, &str)] = &[
    ("-3 DEBUG PROTOCOL attrib", ATTRIBUTES),
    ("-3 --no-raw DEBUG PROTOCOL attrib", ATTRIBUTES),
    ("-3 --csv DEBUG PROTOCOL attrib", ATTRIBUTES),
    ("--json DEBUG PROTOCOL attrib", ATTRIBUTES),
    ("--quoted-json DEBUG PROTOCOL attrib", ATTRIBUTES),
    ("-3 DEBUG PROTOCOL bignum", BIG),
    ("-3 --no-raw DEBUG PROTOCOL bignum", BIG),
    ("-3 --csv DEBUG PROTOCOL bignum", BIG),
    ("--json DEBUG PROTOCOL bignum", BIG),
    ("--quoted-json DEBUG PROTOCOL bignum", BIG),
    ("-u redis://:pw@127.0.0.1:PORT ACL WHOAMI", "a URI without a user name means the default user, not an empty name"),
    ("--scan", NUL),
    ("--scan --count 3", NUL),
    ("--scan --pattern key*", NUL),
    ("--csv --scan --pattern key*", NUL),
    ("--json --scan --pattern key*", NUL),
    ("--quoted-json --scan --pattern key*", NUL),
    ("--scan --raw --pattern key*", NUL),
    ("--functions-rdb -", "redis-cli lets the mark that ends the transfer follow when the file is standard output"),
    ("--version", VERSION),
    ("-v", VERSION),
    ("help", "our own words"),
];

const ATTRIBUTES: &str = "redis-cli does not know attributes and gives up";
const BIG: &str = "redis-cli does not know big numbers and gives up";
const NUL: &str = "redis-cli cuts keys at a zero byte";
const VERSION: &str = "says which program this is";

/// One invocation.
struct Case {
    arguments: String,
    stdin: Vec<u8>,
    environment: String,
    lines: Option<usize>,
}

impl Case {
    fn title(&self) -> String {
        let lines = self.lines.map_or(String::new(), |lines| format!(" | head -n {lines}"));
        let environment = if self.environment.is_empty() { String::new() } else { format!("{} ", self.environment) };
        let stdin = if self.stdin.is_empty() { String::new() } else { format!(" <<< '{}'", self.stdin.escape_ascii()) };
        format!("{environment}redis-cli {}{stdin}{lines}", self.arguments)
    }

    fn run(&self, program: &Path, port: u16, dir: &Path) -> Outcome {
        let (port, dir) = (port.to_string(), dir.to_str().unwrap());
        let words = words(&self.arguments);
        let own = ["-p".to_owned(), port.clone()];
        let arguments: Vec<String> =
            own.into_iter().chain(words.iter().map(|word| word.replace("PORT", &port).replace("DIR", dir))).collect();
        let stdin = String::from_utf8_lossy(&self.stdin).replace("PORT", &port);
        let environment: Vec<(&str, &str)> =
            self.environment.split(' ').filter_map(|setting| setting.split_once('=')).collect();
        let run = run_until(program, &arguments, stdin.as_bytes(), &environment, self.lines);
        Outcome::new(&run, &[(&port, "PORT"), (dir, "DIR")])
    }
}

fn cases() -> Vec<Case> {
    let plain = |arguments: String| Case { arguments, stdin: Vec::new(), environment: String::new(), lines: None };
    let mut cases = Vec::new();
    for style in STYLES {
        cases.extend(COMMANDS.iter().map(|command| plain(format!("{style} {command}").trim().to_owned())));
    }
    for (arguments, stdin, environment) in INVOCATIONS {
        cases.push(Case {
            stdin: stdin.as_bytes().to_vec(),
            environment: (*environment).to_owned(),
            ..plain((*arguments).to_owned())
        });
    }
    cases.extend(
        ENDLESS.iter().map(|(arguments, lines)| Case { lines: Some(*lines), ..plain((*arguments).to_owned()) }),
    );
    cases
}

/// Words as a shell has them, as far as the cases need it: quotes stand around whole words.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => rest[1..].split_once(first).unwrap(),
            _ => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// What can be seen of a run, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    stdout: String,
    stderr: String,
    code: String,
}

impl Outcome {
    fn new(run: &Run, replaced: &[(&str, &str)]) -> Outcome {
        let text = |bytes: &[u8]| {
            // Which of the two it is depends on who is faster.
            let text =
                bytes.escape_ascii().to_string().replace("Connection reset by peer", "Server closed the connection");
            replaced.iter().fold(text, |text, (what, with)| text.replace(what, with))
        };
        let code = run.code.map_or("ended".to_owned(), |code| code.to_string());
        Outcome { stdout: text(&run.stdout), stderr: text(&run.stderr), code }
    }

    fn write(&self, out: &mut String, prefix: &str) {
        for (mark, text) in [("1", &self.stdout), ("2", &self.stderr)] {
            for line in text.split_inclusive("\\n") {
                writeln!(out, "{prefix}{mark}|{line}").unwrap();
            }
        }
        writeln!(out, "{prefix}[{}]", self.code).unwrap();
    }
}

/// A case of the golden file.
#[derive(Debug)]
struct Recording {
    title: String,
    exchanges: Vec<Exchange>,
    now: Outcome,
    /// Of release 7.0, where it differs.
    before: Option<Outcome>,
}

fn unescape(text: &str) -> Vec<u8> {
    resp::inline::split_words(format!("\"{}\"", text.replace("\\'", "'")).as_bytes()).unwrap().remove(0)
}

fn write_golden(recordings: &[Recording]) -> String {
    let mut out = String::new();
    for recording in recordings {
        writeln!(out, "## {}", recording.title).unwrap();
        for exchange in &recording.exchanges {
            writeln!(out, "> {}", exchange.request).unwrap();
            writeln!(out, "{} {}", if exchange.closes { "<<" } else { "<" }, exchange.reply.escape_ascii()).unwrap();
        }
        recording.now.write(&mut out, "");
        if let Some(before) = &recording.before {
            let reason = reason(&recording.title).unwrap_or("UNEXPLAINED");
            writeln!(out, "7.0 because {reason}").unwrap();
            before.write(&mut out, "7.0 ");
        }
        out.push('\n');
    }
    out
}

fn reason(title: &str) -> Option<&'static str> {
    REASONS.iter().find(|(part, _)| title.contains(part)).map(|(_, reason)| *reason)
}

fn read_golden(text: &str) -> Vec<Recording> {
    let nothing = || Outcome { stdout: String::new(), stderr: String::new(), code: String::new() };
    let mut recordings: Vec<Recording> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            recordings.push(Recording { title: title.to_owned(), exchanges: Vec::new(), now: nothing(), before: None });
            continue;
        }
        let Some(recording) = recordings.last_mut() else { continue };
        if let Some(request) = line.strip_prefix("> ") {
            recording.exchanges.push(Exchange { request: request.to_owned(), reply: Vec::new(), closes: false });
            continue;
        }
        if let Some((mark @ ("<" | "<<"), reply)) = line.split_once(' ') {
            let exchange = recording.exchanges.last_mut().unwrap();
            (exchange.reply, exchange.closes) = (unescape(reply), mark == "<<");
            continue;
        }
        let (outcome, line) = match line.strip_prefix("7.0 ") {
            Some(line) => (recording.before.get_or_insert_with(nothing), line),
            None => (&mut recording.now, line),
        };
        match line.split_at(line.len().min(2)) {
            ("1|", text) => outcome.stdout.push_str(text),
            ("2|", text) => outcome.stderr.push_str(text),
            _ if line.starts_with('[') => line.trim_matches(['[', ']']).clone_into(&mut outcome.code),
            _ => {}
        }
    }
    recordings
}

fn folder() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recordings-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text).unwrap();
    }
    dir
}

/// `8.0` of `redis-cli 8.0.6`.
fn release(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split(' ').nth(1)?;
    Some(version.split('.').take(2).collect::<Vec<_>>().join("."))
}

/// Has the conversation of each case with a real server, through a proxy that writes it down.
fn record(cli: &Path, server: &Path, before: &Path, dir: &Path) -> Vec<Recording> {
    let server = Server::start(
        server,
        &dir.join("server"),
        &["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"],
    );
    let setup = SETUP.iter().map(|line| format!("{line}\n")).collect::<String>();
    let run = run(cli, &["-p".to_owned(), server.port.to_string()], setup.as_bytes(), &[]);
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(!said.contains("ERR"), "{said}");
    let mut recordings = Vec::new();
    for case in cases() {
        let recorder = Recorder::start(server.port);
        let now = case.run(cli, recorder.port, dir);
        let exchanges = recorder.exchanges();
        let player = Player::start(exchanges.clone());
        let then = case.run(before, player.port, dir);
        recordings.push(Recording { title: case.title(), before: (then != now).then_some(then), exchanges, now });
    }
    recordings
}

/// Everything that goes otherwise with `program` than `expected` says.
fn differences(program: &Path, recordings: &[Recording], dir: &Path, ours: bool, old: bool) -> Vec<String> {
    let cases: HashMap<String, Case> = cases().into_iter().map(|case| (case.title(), case)).collect();
    let next = Mutex::new(recordings.iter());
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(recording) = next.lock().unwrap().next() else { return };
                    let Some(case) = cases.get(&recording.title) else {
                        found.lock().unwrap().push(format!("{}: no such case any more", recording.title));
                        continue;
                    };
                    let expected = recording.before.as_ref().filter(|_| old).unwrap_or(&recording.now);
                    if expected.code == "ended" && case.lines.is_none() {
                        // Release 7.0 waits for a message that does not come.
                        continue;
                    }
                    let player = Player::start(recording.exchanges.clone());
                    let got = case.run(program, player.port, dir);
                    let asked: Vec<&str> =
                        recording.exchanges.iter().map(|exchange| exchange.request.as_str()).collect();
                    let heard = player.heard();
                    let same_requests = !ours || case.lines.is_some() || unordered(&case.arguments) || asked == heard;
                    let meant = ours && MEANT.iter().any(|(arguments, _)| *arguments == case.arguments);
                    if meant && got == *expected {
                        found.lock().unwrap().push(format!("## {}: no longer differs", recording.title));
                    } else if !meant && (got != *expected || !same_requests) {
                        let (mut wanted, mut is) = (String::new(), String::new());
                        expected.write(&mut wanted, "");
                        got.write(&mut is, "");
                        let asked =
                            if same_requests { String::new() } else { format!("asked {heard:?}\nfor   {asked:?}\n") };
                        found
                            .lock()
                            .unwrap()
                            .push(format!("## {}\n--- expected\n{wanted}--- got\n{is}{asked}", recording.title));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Modes whose questions are ours to choose. (In RESP3 redis-cli says HELLO again after the last subscription.)
fn unordered(arguments: &str) -> bool {
    ["--bigkeys", "--memkeys", "--hotkeys", "-3"].iter().any(|mode| arguments.contains(mode))
}

#[test]
fn as_redis_cli() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recordings.txt");
    let dir = folder();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let named = |name: &str| PathBuf::from(std::env::var_os(name).expect(name));
        let recordings = record(&named("REDIS_CLI"), &named("REDIS_SERVER"), &named("REDIS_CLI_7"), &dir);
        std::fs::write(&golden, write_golden(&recordings)).unwrap();
    }
    let recordings = read_golden(&std::fs::read_to_string(&golden).unwrap());
    assert_eq!(recordings.len(), cases().len(), "`cargo xtask transcripts` records the cases");
    assert!(recordings.len() >= 400);
    let unexplained = |recording: &&Recording| recording.before.is_some() && reason(&recording.title).is_none();
    let unexplained: Vec<&str> =
        recordings.iter().filter(unexplained).map(|recording| recording.title.as_str()).collect();
    assert!(unexplained.is_empty(), "release 7.0 differs for no reason told: {unexplained:#?}");
    let wrong = differences(Path::new(OURS), &recordings, &dir, true, false);
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), recordings.len(), wrong.join("\n"));
    match find("REDIS_CLI", "redis-cli").and_then(|cli| Some((release(&cli)?, cli))) {
        Some((release, cli)) if release == "8.0" || release == "7.0" => {
            let wrong = differences(&cli, &recordings, &dir, false, release == "7.0");
            assert!(wrong.is_empty(), "redis-cli {release}: {} differ\n{}", wrong.len(), wrong.join("\n"));
        }
        _ => eprintln!("skipped: no redis-cli of release 8.0 or 7.0 to hold against the recordings"),
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
