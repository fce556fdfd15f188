//! The debugger of scripts: what SCRIPT DEBUG and `redis-cli --ldb` offer. A session decides where a script stops and what
//! the one who debugs is shown; lines and commands travel through the [`Host`](crate::host::Host).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mlua::{Lua, Table, Value};

use crate::error::message_of;

/// What scripts that are debugged are called by Lua.
pub(crate) const SOURCE: &str = "@user_script";

/// Most breakpoints.
const BREAKPOINTS_MAX: usize = 64;

/// Lines shown before and behind the one in question.
const CONTEXT: usize = 5;

/// Longest line that is shown unless another limit is chosen, and the smallest limit, in bytes.
const SHOWN_BYTES: usize = 256;
const SHOWN_BYTES_MIN: usize = 60;

/// Deepest value that is shown.
const SHOWN_DEPTH: usize = 10;

/// Most elements of a table that are shown, nested ones included, however large the limit.
const SHOWN_ELEMENTS: usize = 100_000;

/// Deepest reply that is shown.
const REPLY_DEPTH: usize = 128;

/// Functions shown by a backtrace.
pub(crate) const TRACE_DEPTH: usize = 200;

/// What came from the one who debugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The words of a command.
    Command(Vec<Vec<u8>>),
    /// Something that is no command.
    Malformed,
    /// Nothing, and nothing will come: the connection is closed.
    Gone,
}

/// How a session is to be run.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// A script that runs longer than this without a stop is stopped at its next line, in seconds of processor time; 0: never.
    pub seconds_max: f64,
}

/// A function on the stack.
pub(crate) struct Frame {
    pub(crate) name: Option<String>,
    /// Zero where it has none: no code of the script.
    pub(crate) line: usize,
}

/// What is to happen after a command.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another command.
    Ask,
    /// The script goes on.
    Run,
    /// The script ends.
    Abort,
}

/// What a command wants from the interpreter.
pub(crate) enum Wish {
    /// Nothing more.
    Done(Next),
    /// The local variables of the function that is stopped.
    Locals,
    /// The value of a variable.
    Variable(Vec<u8>),
    /// The functions that are running.
    Trace,
    /// Code to be run.
    Eval(Vec<u8>),
    /// A command of Redis.
    Command(Vec<Vec<u8>>),
}

/// A script that is debugged.
pub(crate) struct Session {
    lines: Vec<Vec<u8>>,
    breakpoints: BTreeSet<usize>,
    /// Stop at the next line.
    step: bool,
    /// `redis.breakpoint()` was called.
    asked: bool,
    pub(crate) line: usize,
    /// Lines that were not sent yet.
    log: Vec<Vec<u8>>,
    /// 0: no limit.
    shown_max: usize,
    hinted: bool,
    /// Code of the one who debugs runs: it does not stop.
    pub(crate) evaluating: bool,
    /// Processor time at which the script was last let go, in seconds.
    pub(crate) since: f64,
    pub(crate) options: Options,
}

impl Session {
    pub(crate) fn new(code: &[u8], options: Options) -> Self {
        let mut lines: Vec<_> = code.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        // Empty lines at the end are not shown.
        while lines.pop_if(|last| last.is_empty()).is_some() {}
        Session {
            lines,
            breakpoints: BTreeSet::new(),
            step: true,
            asked: false,
            line: 0,
            log: Vec::new(),
            shown_max: SHOWN_BYTES,
            hinted: false,
            evaluating: false,
            since: 0.0,
            options,
        }
    }

    /// `redis.breakpoint()`.
    pub(crate) fn ask_to_stop(&mut self) {
        self.asked = true;
    }

    /// Whether the script is to stop before this line; if so it is said why.
    pub(crate) fn stops_at(&mut self, line: usize, now: f64) -> bool {
        self.line = line;
        let late = self.options.seconds_max > 0.0 && now - self.since >= self.options.seconds_max;
        let reason = if self.asked {
            "redis.breakpoint() called"
        } else if self.breakpoints.contains(&line) {
            "break point"
        } else if self.step {
            "step over"
        } else if late {
            "timeout reached, infinite loop?"
        } else {
            return false;
        };
        (self.step, self.asked) = (false, false);
        self.say(format!("* Stopped at {line}, stop reason = {reason}"));
        self.show_line(line);
        true
    }

    /// Lines to be sent.
    pub(crate) fn take_log(&mut self) -> Vec<Vec<u8>> {
        self.hinted = false;
        std::mem::take(&mut self.log)
    }

    pub(crate) fn say(&mut self, line: impl Into<Vec<u8>>) {
        let mut line = line.into();
        // A line of the protocol is one line.
        line.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
        self.log.push(line);
    }

    /// Says something that may be long.
    fn say_some(&mut self, mut line: Vec<u8>) {
        let trimmed = self.shown_max > 0 && line.len() > self.shown_max;
        if trimmed {
            line.truncate(self.shown_max);
            line.extend_from_slice(b" ...");
        }
        self.say(line);
        if trimmed && !self.hinted {
            self.hinted = true;
            self.say("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    pub(crate) fn say_value(&mut self, before: &str, value: &Value) {
        let mut text = before.as_bytes().to_vec();
        append_value(value, 0, &mut SHOWN_ELEMENTS.clone(), &mut text);
        self.say_some(text);
    }

    /// `redis.debug()`.
    pub(crate) fn say_values(&mut self, values: impl Iterator<Item = Value>) {
        let mut text = format!("<debug> line {}: ", self.line).into_bytes();
        for (index, value) in values.enumerate() {
            if index > 0 {
                text.extend_from_slice(b", ");
            }
            append_value(&value, 0, &mut SHOWN_ELEMENTS.clone(), &mut text);
        }
        self.say_some(text);
    }

    /// Whether the script goes step by step: then its commands and their replies are shown.
    pub(crate) fn steps(&self) -> bool {
        self.step
    }

    /// A command that the script, or the one who debugs, runs.
    pub(crate) fn say_command(&mut self, argv: &[&[u8]]) {
        self.say_some([b"<redis> ".as_slice(), &argv.join(&b' ')].concat());
    }

    /// Its reply, as encoded.
    pub(crate) fn say_reply(&mut self, reply: &[u8]) {
        if let Some(error) = reply.strip_prefix(b"-") {
            let end = memchr::memchr(b'\r', error).unwrap_or(error.len());
            let error = &error[..end];
            return self.say_some([b"<error> ".as_slice(), error.strip_prefix(b"ERR ").unwrap_or(error)].concat());
        }
        let mut text = b"<reply> ".to_vec();
        append_reply(reply, &mut text, REPLY_DEPTH);
        self.say_some(text);
    }

    pub(crate) fn say_error(&mut self, error: &mlua::Error) {
        self.say(format!("<error> {}", message_of(error)));
    }

    fn show_line(&mut self, line: usize) {
        let Some(code) = line.checked_sub(1).and_then(|index| self.lines.get(index)) else {
            self.say("<out of range source code line>");
            return;
        };
        let arrow = if line == self.line { "->" } else { "  " };
        let mark = if self.breakpoints.contains(&line) { '#' } else { ' ' };
        let text = [format!("{arrow}{mark}{line:<3} ").as_bytes(), code].concat();
        self.say(text);
    }

    fn show_lines(&mut self, around: usize, context: usize) {
        let first = around.saturating_sub(context).max(1);
        let last = around.saturating_add(context).min(self.lines.len());
        (first..=last).for_each(|line| self.show_line(line));
    }

    pub(crate) fn say_locals(&mut self, locals: &[(String, Value)]) {
        if locals.is_empty() {
            self.say("No local variables in the current context.");
        }
        for (name, value) in locals {
            self.say_value(&format!("<value> {name} = "), value);
        }
    }

    pub(crate) fn say_trace(&mut self, frames: &[Frame]) {
        for (index, frame) in frames.iter().enumerate() {
            let (what, name) = (if index == 0 { "In" } else { "From" }, frame.name.as_deref().unwrap_or("top level"));
            self.say(format!("{what} {name}:"));
            if frame.line > 0 {
                self.show_line(frame.line);
            }
        }
    }

    /// What a command of the one who debugs means.
    pub(crate) fn command(&mut self, words: &[Vec<u8>]) -> Wish {
        let name = words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        let args = words.get(1..).unwrap_or_default();
        match (&name[..], args.len()) {
            (b"h" | b"help", 0) => HELP.lines().for_each(|line| self.say(line)),
            (b"s" | b"step" | b"n" | b"next", 0) => {
                self.step = true;
                return Wish::Done(Next::Run);
            }
            (b"c" | b"continue", 0) => return Wish::Done(Next::Run),
            (b"a" | b"abort", 0) => return Wish::Done(Next::Abort),
            (b"t" | b"trace", 0) => return Wish::Trace,
            (b"w" | b"whole", 0) => self.show_lines(1, self.lines.len()),
            (b"l" | b"list", 0..=2) => {
                let number = |index: usize| args.get(index).map_or(0, |word| leading_number(word));
                let around = usize::try_from(number(0)).ok().filter(|&line| line > 0).unwrap_or(self.line);
                let context = args.get(1).map_or(CONTEXT, |_| usize::try_from(number(1)).unwrap_or(0));
                self.show_lines(around, context);
            }
            (b"p" | b"print", 0) => return Wish::Locals,
            (b"p" | b"print", 1) => return Wish::Variable(args[0].clone()),
            (b"b" | b"break", _) => self.breakpoints_command(args),
            (b"e" | b"eval", _) => return Wish::Eval(args.join(&b' ')),
            (b"r" | b"redis", 1..) => return Wish::Command(args.to_vec()),
            (b"m" | b"maxlen", 0..=1) => {
                if let Some(word) = args.first() {
                    let limit = usize::try_from(leading_number(word)).unwrap_or(0);
                    self.shown_max = if limit == 0 { 0 } else { limit.max(SHOWN_BYTES_MIN) };
                    self.hinted = true;
                }
                match self.shown_max {
                    0 => self.say("<value> replies are unlimited."),
                    limit => self.say(format!("<value> replies are truncated at {limit} bytes.")),
                }
            }
            _ => self.say("<error> Unknown Redis Lua debugger command or wrong number of arguments."),
        }
        Wish::Done(Next::Ask)
    }

    fn breakpoints_command(&mut self, args: &[Vec<u8>]) {
        if args.is_empty() {
            if self.breakpoints.is_empty() {
                return self.say("No breakpoints set. Use 'b <line>' to add one.");
            }
            self.say(format!("{} breakpoints set:", self.breakpoints.len()));
            self.breakpoints.clone().into_iter().for_each(|line| self.show_line(line));
            return;
        }
        for word in args {
            let Some(number) = resp::number::parse_i64(word) else {
                let word = String::from_utf8_lossy(word);
                self.say(format!("Invalid argument:'{word}'"));
                continue;
            };
            let line = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
            if number == 0 {
                self.breakpoints.clear();
                self.say("All breakpoints removed.");
            } else if number < 0 {
                let removed = self.breakpoints.remove(&line);
                self.say(if removed { "Breakpoint removed." } else { "No breakpoint in the specified line." });
            } else if line > self.lines.len() {
                self.say("Wrong line number.");
            } else if self.breakpoints.len() >= BREAKPOINTS_MAX {
                self.say("Too many breakpoints set.");
            } else {
                self.breakpoints.insert(line);
                self.show_lines(line, 1);
            }
        }
    }
}

/// The number that a word begins with, as C's `atoi` reads it.
fn leading_number(word: &[u8]) -> i64 {
    let end = word.iter().enumerate().take_while(|(i, b)| b.is_ascii_digit() || (*i == 0 && **b == b'-')).count();
    resp::number::parse_i64(&word[..end]).unwrap_or(0)
}

const HELP: &str = "Redis Lua debugger help:
[h]elp               This help.
[s]tep               Runs this line and stops before the next one.
[n]ext               The same as step.
[c]ontinue           Runs on to the next breakpoint.
[l]ist               Lists the code around the current line.
[l]ist [line]        Lists the code around a line; 0 is the current one.
[l]ist [line] [ctx]  The same, with so many lines before and behind.
[w]hole              Lists the whole code.
[p]rint              Shows all local variables.
[p]rint <var>        Shows a variable: a local one, KEYS or ARGV.
[b]reak              Lists the breakpoints.
[b]reak <line>       Adds a breakpoint.
[b]reak -<line>      Removes a breakpoint.
[b]reak 0            Removes all breakpoints.
[t]race              Shows which functions are running.
[e]val <code>        Runs Lua code, which does not see local variables.
[r]edis <cmd>        Runs a command of Redis.
[m]axlen [len]       Trims what is shown to so many bytes; 0 shows all.
[a]bort              Ends the script. In sync mode its changes stay.

Functions for scripts:
redis.debug()        Shows its arguments to the debugger.
redis.breakpoint()   Stops the script at its next line.";

const TOO_DEEP: &[u8] = b"<max recursion level reached! Nested table?>";

/// A value as the debugger shows it.
fn append_value(value: &Value, depth: usize, elements: &mut usize, to: &mut Vec<u8>) {
    if depth == SHOWN_DEPTH {
        return to.extend_from_slice(TOO_DEEP);
    }
    match value {
        Value::Nil => to.extend_from_slice(b"nil"),
        Value::Boolean(yes) => to.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Integer(number) => to.extend_from_slice(number.to_string().as_bytes()),
        Value::Number(number) => to.extend_from_slice(crate::libs::format_g(*number, 17).as_bytes()),
        Value::String(text) => append_quoted(&text.as_bytes(), to),
        Value::Table(table) => append_table(table, depth, elements, to),
        other => {
            let name = match other {
                Value::LightUserData(_) | Value::UserData(_) => "userdata",
                other => other.type_name(),
            };
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = write!(text, "\"{name}@{:?}\"", other.to_pointer());
            to.extend_from_slice(text.as_bytes());
        }
    }
}

fn append_table(table: &Table, depth: usize, elements: &mut usize, to: &mut Vec<u8>) {
    let mut pairs = Vec::new();
    // Walking a table raw calls nothing of the script's.
    let walked = table.for_each::<Value, Value>(|key, value| {
        if pairs.len() < *elements {
            pairs.push((key, value));
        }
        Ok(())
    });
    *elements -= pairs.len();
    if walked.is_err() {
        return to.extend_from_slice(b"{...}");
    }
    let is_key = |key: &Value, index: usize| matches!(key, Value::Integer(number) if *number == index as i64 + 1);
    let is_array = pairs.iter().enumerate().all(|(index, (key, _))| is_key(key, index));
    to.push(b'{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            to.extend_from_slice(b"; ");
        }
        if !is_array {
            to.push(b'[');
            append_value(key, depth + 1, elements, to);
            to.extend_from_slice(b"]=");
        }
        append_value(value, depth + 1, elements, to);
    }
    to.push(b'}');
}

fn append_quoted(text: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(resp::inline::quote(text).as_bytes());
}

/// A reply as the debugger shows it; returns what follows it.
fn append_reply<'a>(reply: &'a [u8], to: &mut Vec<u8>, depth: usize) -> &'a [u8] {
    let Some(end) = memchr::memchr(b'\r', reply).filter(|&end| end > 0) else { return &[] };
    let (kind, line, rest) = (reply[0], &reply[1..end], reply.get(end + 2..).unwrap_or_default());
    let number = resp::number::parse_i64(line).unwrap_or(-1);
    let Some(depth) = depth.checked_sub(1) else { return &[] };
    match kind {
        b':' => to.extend_from_slice(line),
        b'+' | b'-' => append_quoted(&reply[..end], to),
        b'$' | b'*' if number < 0 => to.extend_from_slice(b"NULL"),
        b'_' => to.extend_from_slice(b"(null)"),
        b'#' => to.extend_from_slice(if line == b"t" { b"#true" } else { b"#false" }),
        b',' => to.extend_from_slice(&[b"(double) ", line].concat()),
        b'$' | b'=' => {
            let len = usize::try_from(number).unwrap_or(0).min(rest.len());
            append_quoted(&rest[..len], to);
            return rest.get(len + 2..).unwrap_or_default();
        }
        b'*' | b'>' | b'~' | b'%' => {
            let (open, close) = match kind {
                b'%' => ("{", "}"),
                b'~' => ("~(", ")"),
                _ => ("[", "]"),
            };
            to.extend_from_slice(open.as_bytes());
            let mut rest = rest;
            for index in 0..number {
                if index > 0 {
                    to.push(b',');
                }
                rest = append_reply(rest, to, depth);
                if kind == b'%' {
                    to.extend_from_slice(b" => ");
                    rest = append_reply(rest, to, depth);
                }
                if rest.is_empty() {
                    break;
                }
            }
            to.extend_from_slice(close.as_bytes());
            return rest;
        }
        _ => to.extend_from_slice(line),
    }
    rest
}

/// Compiles what the one who debugs wants to be run: an expression, or statements.
pub(crate) fn compile(lua: &Lua, code: &[u8]) -> mlua::Result<mlua::Function> {
    const NAME: &str = "@ldb_eval";
    crate::sandbox::compile(lua, &[b"return ", code].concat(), NAME)
        .or_else(|_| crate::sandbox::compile(lua, code, NAME))
}
