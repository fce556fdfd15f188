//! Scenarios for the tests of the command families: requests and the replies that are expected, one to a line.
//!
//! ```text
//! SET k 1 EX 10      => +OK
//!   ! set k, expire k                   the keyspace events of the line above
//!   > SET k 1 PXAT 1000000010000        the commands it propagates, one to a line
//! GET k              => "1"
//! wait 10001
//! GET k              => nil
//! ```
//!
//! Words of a request are split at spaces; a word in double quotes may contain spaces and `\n`, `\r`, `\t`, `\"`, `\\` and `\xHH`.
//! Replies: `+OK`, `-ERR ...`, `:1`, `"bulk"`, `nil`, `nil-array`, `[a, b]`; in RESP3 also `{k: v}`, `~[a]`, `,1.5`, `#t`, `_`.
//! Time starts at [`START`] and moves by `wait` (milliseconds) only. `resp3` switches the protocol, `select N` the database.

use std::fmt::Write as _;

use resp::Protocol;
use resp::writer::Writer;

use crate::Engine;
use crate::config::EngineConfig;
use crate::ctx::Outcome;
use crate::effects::{EventClass, Order};
use crate::error::CommandError;
use crate::keyspace::Db;
use crate::time::UnixMs;

/// The time at which a scenario starts.
pub(crate) const START: UnixMs = UnixMs(1_000_000_000_000);

/// Runs a scenario on a fresh engine.
#[track_caller]
pub(crate) fn check(script: &str) {
    Scenario::new().check(script);
}

/// An engine and the time it has been told, for scenarios that continue.
pub(crate) struct Scenario {
    pub(crate) engine: Engine,
    pub(crate) now: UnixMs,
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
}

impl Scenario {
    pub(crate) fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    pub(crate) fn with(config: EngineConfig) -> Self {
        let mut engine = Engine::new(config, 7);
        engine.effects.interest.events = EventClass::all();
        engine.effects.interest.touched = true;
        engine.effects.interest.propagation = true;
        Scenario { engine, now: START, db: 0, protocol: Protocol::Resp2 }
    }

    /// Runs the lines of `script`.
    #[track_caller]
    pub(crate) fn check(&mut self, script: &str) -> &mut Self {
        let mut last: Vec<Vec<u8>> = Vec::new();
        let mut propagated_left = Vec::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(events) = line.strip_prefix("! ") {
                assert_eq!(self.events(), events, "events of {}", show(&last));
            } else if let Some(command) = line.strip_prefix("> ") {
                assert!(!propagated_left.is_empty(), "{} propagates no more, expected {command}", show(&last));
                assert_eq!(propagated_left.remove(0), command, "propagated by {}", show(&last));
            } else if let Some(ms) = line.strip_prefix("wait ") {
                self.now = self.now.plus(ms.parse().expect("milliseconds"));
            } else if let Some(db) = line.strip_prefix("select ") {
                self.db = db.parse().expect("a database number");
            } else if line == "resp3" {
                self.protocol = Protocol::Resp3;
            } else {
                let (request, expected) = line.split_once("=>").unwrap_or_else(|| panic!("no => in {line}"));
                last = split(request);
                let reply = self.run(&last);
                let expected = expected.trim();
                assert_eq!(reply, expected, "reply to {}", request.trim());
                propagated_left = self.propagated(&last);
            }
        }
        self.engine.dbs.iter().for_each(Db::check_invariants);
        self
    }

    /// Runs one request and shows its reply.
    pub(crate) fn run<W: AsRef<[u8]>>(&mut self, argv: &[W]) -> String {
        let argv: Vec<&[u8]> = argv.iter().map(AsRef::as_ref).collect();
        let out = self.raw(&argv);
        let (text, used) = render(&out);
        assert_eq!(used, out.len(), "exactly one reply");
        text
    }

    /// Runs one request given as a line of words.
    pub(crate) fn line(&mut self, request: &str) -> String {
        self.run(&split(request))
    }

    fn raw(&mut self, argv: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let found = self.engine.lookup(argv);
        let run = match found {
            Ok(run) => run,
            Err(error) => {
                Writer::new(&mut out, self.protocol).error(error);
                return out;
            }
        };
        let result = self.engine.run(run, argv, self.db, self.now, false, Writer::new(&mut out, self.protocol));
        match result {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Block(_)) => panic!("blocked although it may not"),
            Err(error) => {
                assert!(out.is_empty(), "an error follows after a part of a reply");
                Writer::new(&mut out, self.protocol).error(error);
            }
        }
        out
    }

    fn events(&self) -> String {
        let events: Vec<_> = self
            .engine
            .effects
            .events()
            .map(|event| {
                let mut text = format!("{} {}", event.name, event.key.escape_ascii());
                if event.db != self.db {
                    write!(text, "@{}", event.db).expect("a string takes everything");
                }
                text
            })
            .collect();
        if events.is_empty() { "none".to_owned() } else { events.join(", ") }
    }

    fn propagated(&self, received: &[Vec<u8>]) -> Vec<String> {
        let effects = &self.engine.effects;
        let of = |wanted| {
            effects
                .commands()
                .filter(move |&(order, ..)| order == wanted)
                .map(|(_, _, argv)| show(&argv.collect::<Vec<_>>()))
                .collect::<Vec<_>>()
        };
        let mut all = of(Order::Before);
        if effects.propagates_received() {
            all.push(show(received));
        }
        all.extend(of(Order::Instead));
        all.push("nothing".to_owned());
        all
    }
}

fn show<W: AsRef<[u8]>>(argv: &[W]) -> String {
    argv.iter().map(|word| word.as_ref().escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

/// Splits a request into words.
pub(crate) fn split(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while let Some(&byte) = bytes.peek() {
        if byte == b' ' {
            bytes.next();
            continue;
        }
        let mut word = Vec::new();
        let quoted = byte == b'"';
        if quoted {
            bytes.next();
        }
        while let Some(byte) = bytes.next_if(|&byte| quoted || byte != b' ') {
            match byte {
                b'"' if quoted => break,
                b'\\' if quoted => word.push(match bytes.next().expect("an escape") {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'x' => {
                        let digits = [bytes.next(), bytes.next()].map(|digit| char::from(digit.expect("a digit")));
                        let digits = String::from_iter(digits);
                        u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
                    }
                    other => other,
                }),
                other => word.push(other),
            }
        }
        words.push(word);
    }
    words
}

/// Shows the first reply in `bytes`; also returns how many bytes it took.
fn render(bytes: &[u8]) -> (String, usize) {
    let end = memchr::memmem::find(bytes, b"\r\n").expect("a whole line");
    let line = std::str::from_utf8(&bytes[..end]).expect("replies of scenarios are text");
    let (kind, rest) = line.split_at(1);
    let mut used = end + 2;
    let text = match kind {
        "$" | "=" => match rest.parse::<i64>().expect("a length") {
            -1 => "nil".to_owned(),
            len => {
                let start = used;
                used += len as usize + 2;
                format!("\"{}\"", bytes[start..start + len as usize].escape_ascii())
            }
        },
        "*" | "~" | ">" => match rest.parse::<i64>().expect("a count") {
            -1 => "nil-array".to_owned(),
            count => {
                let items: Vec<_> = (0..count).map(|_| next(bytes, &mut used)).collect();
                format!("{}[{}]", if kind == "~" { "~" } else { "" }, items.join(", "))
            }
        },
        "%" => {
            let count: i64 = rest.parse().expect("a count");
            let items: Vec<_> =
                (0..count).map(|_| format!("{}: {}", next(bytes, &mut used), next(bytes, &mut used))).collect();
            format!("{{{}}}", items.join(", "))
        }
        _ => line.to_owned(),
    };
    (text, used)
}

fn next(bytes: &[u8], used: &mut usize) -> String {
    let (text, more) = render(&bytes[*used..]);
    *used += more;
    text
}

impl Engine {
    /// The handler of a request, its arity checked.
    fn lookup(&self, argv: &[&[u8]]) -> Result<crate::command::DataFn, CommandError> {
        let unknown = || CommandError::owned(format!("ERR unknown command '{}'", argv[0].escape_ascii()));
        let mut entry = self.registry.find(argv[0]).ok_or_else(unknown)?;
        if !entry.subcommands.is_empty() && argv.len() > 1 {
            entry = self.registry.find_subcommand(entry, argv[1]).ok_or_else(unknown)?;
        }
        if !entry.command.arity.accepts(argv.len()) {
            return Err(CommandError::WrongArity(entry.full_name.clone().into()));
        }
        Ok(entry.command.run)
    }
}

#[test]
fn scenarios_show_replies_events_and_what_is_propagated() {
    assert_eq!(split(r#"SET "a b" "\x00\n" """#), [&b"SET"[..], b"a b", b"\0\n", b""]);
    assert_eq!(render(b"*2\r\n$1\r\na\r\n:5\r\n").0, r#"["a", :5]"#);
    check(
        r#"
        GET k => nil
          ! keymiss k
          > nothing
        "#,
    );
}
