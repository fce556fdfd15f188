//! Debugging a script: where it stops, what is shown, and how it ends.

use std::collections::VecDeque;

use resp::Protocol;
use resp::writer::Writer;
use scripting::debugger::{Input, Options};
use scripting::host::Host;
use scripting::vm::{END_OF_SESSION, Engine, Vm};

/// Debugs with commands prepared; a word that is `GONE` or `BROKEN` is what it says.
#[derive(Default)]
struct Debugger {
    commands: VecDeque<&'static str>,
    shown: Vec<String>,
    seconds: f64,
}

impl Host for Debugger {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
        let mut out = Writer::new(out, protocol);
        match argv[0] {
            b"ECHO" => out.bulk(argv[1]),
            b"NULLS" => {
                out.array(2);
                out.null();
                out.integer(7);
            }
            _ => out.error("ERR unknown"),
        }
    }

    fn clock(&mut self) -> f64 {
        self.seconds += 1.0;
        self.seconds
    }

    fn debugger_says(&mut self, lines: &[Vec<u8>]) {
        self.shown.extend(lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    }

    fn debugger_input(&mut self) -> Input {
        match self.commands.pop_front() {
            None | Some("GONE") => Input::Gone,
            Some("BROKEN") => Input::Malformed,
            Some(text) => Input::Command(text.split(' ').map(|word| word.as_bytes().to_vec()).collect()),
        }
    }
}

/// Debugs a script; returns its reply, an error behind a `-`, and the lines that were shown.
fn debug(code: &str, commands: &[&'static str], seconds_max: f64) -> (String, Vec<String>) {
    let mut host = Debugger { commands: commands.iter().copied().collect(), ..Debugger::default() };
    let mut vm = Vm::<Debugger>::new(Engine::Scripts).expect("there is memory");
    let script = vm.compile(code.as_bytes()).expect("it compiles");
    let mut out = Vec::new();
    let mut reply = Writer::new(&mut out, Protocol::Resp2);
    let options = Options { seconds_max };
    let result = vm.debug_script(&script, code.as_bytes(), options, "sha", &[b"k"], &[], &mut host, &mut reply);
    let reply = match result {
        Ok(_) => String::from_utf8_lossy(&out).replace("\r\n", "|"),
        Err(error) => format!("-{error}"),
    };
    assert_eq!(host.shown.pop().as_deref(), Some(END_OF_SESSION));
    // The state is as good as before: the next script does not stop.
    let script = vm.compile(b"redis.breakpoint() redis.debug('x') return 1").expect("it compiles");
    let mut out = Vec::new();
    vm.run_script(&script, "sha", &[], &[], &mut host, &mut Writer::new(&mut out, Protocol::Resp2)).expect("it runs");
    (reply, host.shown)
}

const CODE: &str = "local a = {1, 'two'}
local f = function(n)
  local b = n * 2
  return b
end
a[3] = f(21)
redis.call('ECHO', 'hello')
redis.debug(a, nil)
return a[3]";

#[test]
fn a_session_step_by_step() {
    let commands = [
        "print",
        "break 3",
        "b",
        "c",
        "trace",
        "p n",
        "p a",
        "p nothing",
        "p KEYS",
        "eval KEYS[1] .. 'x'",
        "e a",
        "redis NULLS",
        "b 0",
        "continue",
    ];
    let (reply, shown) = debug(CODE, &commands, 0.0);
    assert_eq!(reply, ":42|");
    assert_eq!(
        shown,
        [
            "* Stopped at 1, stop reason = step over",
            "-> 1   local a = {1, 'two'}",
            "No local variables in the current context.",
            "   2   local f = function(n)",
            "  #3     local b = n * 2",
            "   4     return b",
            "1 breakpoints set:",
            "  #3     local b = n * 2",
            "* Stopped at 3, stop reason = break point",
            "->#3     local b = n * 2",
            "In f:",
            "->#3     local b = n * 2",
            "From top level:",
            "   6   a[3] = f(21)",
            "<value> 21",
            "<value> {1; \"two\"}",
            "No such variable.",
            "<value> {\"k\"}",
            "<retval> \"kx\"",
            "<error> ldb_eval:1: Script attempted to access nonexistent global variable 'a'",
            "<redis> NULLS",
            "<reply> [NULL,7]",
            "All breakpoints removed.",
            "<debug> line 8: {1; \"two\"; 42}, nil",
        ]
    );
    let (_, shown) = debug(CODE, &["b 7", "c", "s", "list 1 0", "m 0", "x", "c"], 0.0);
    assert!(shown.contains(&"<reply> \"hello\"".to_owned()), "steps show what is called: {shown:?}");
    assert!(shown.contains(&"<value> replies are unlimited.".to_owned()));
    assert!(shown.iter().any(|line| line.starts_with("<error> Unknown Redis Lua debugger command")));
}

#[test]
fn a_session_ends_with_its_debugger() {
    let catches = "while true do pcall(function() local a = 1 end) end";
    for (command, text) in [
        ("abort", "-ERR script aborted for user request script: sha, on @user_script:1."),
        ("GONE", "-ERR script aborted for user request script: sha, on @user_script:1."),
        ("BROKEN", "-ERR protocol error script: sha, on @user_script:1."),
    ] {
        assert_eq!(debug(catches, &["s", "s", command], 0.0).0, text);
    }
}

#[test]
fn what_takes_too_long_stops() {
    let (reply, shown) = debug("local n = 0\nwhile true do\nn = n + 1\nend", &["c", "p n", "a"], 10.0);
    assert!(reply.starts_with("-ERR script aborted"));
    assert!(shown.iter().any(|line| line.ends_with("stop reason = timeout reached, infinite loop?")), "{shown:?}");
    let (_, shown) = debug("return 1", &["e while true do end", "c"], 0.0);
    assert!(shown.iter().any(|line| line.contains("this takes too long")), "{shown:?}");
}
