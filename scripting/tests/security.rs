//! Scripts that once broke out of Redis, by the number of the report: here they end with an error, or do no harm.

use resp::Protocol;
use resp::writer::Writer;
use scripting::host::{Host, Verdict};
use scripting::vm::{Engine, Vm};

struct Nobody;
impl Host for Nobody {
    fn call(&mut self, _: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
        Writer::new(out, protocol).ok();
    }

    fn interval(&mut self) -> Verdict {
        Verdict::Continue
    }
}

/// The reply of a script, an error of it behind a `-`. Deprecated functions are there if `deprecated` is set.
fn run_in(deprecated: bool, body: &str) -> String {
    let mut vm = Vm::<Nobody>::with_options(Engine::Scripts, deprecated).expect("there is memory");
    let mut out = Vec::new();
    let result = vm.compile(body.as_bytes()).and_then(|script| {
        vm.run_script(&script, "sha", &[], &[], &mut Nobody, &mut Writer::new(&mut out, Protocol::Resp2))
    });
    match result {
        Ok(_) => String::from_utf8_lossy(&out).replace("\r\n", "|"),
        Err(error) => format!("-{error}"),
    }
}

fn run(body: &str) -> String {
    run_in(false, body)
}

#[test]
fn cve_2024_31449_digits_of_tohex() {
    for (count, text) in
        [("-2147483648", "0000FFFF"), ("2147483647", "0000ffff"), ("-1e300", ""), ("0/0", ""), ("-2", "FF")]
    {
        let reply = run(&format!("return bit.tohex(65535, {count})"));
        if text.is_empty() {
            // What is out of range is cut to some number of digits: at most eight.
            assert!(reply.len() <= "$8||".len() + 8, "{count}: {reply}");
        } else {
            assert_eq!(reply, format!("${}|{text}|", text.len()), "{count}");
        }
    }
}

#[test]
fn cve_2024_46981_finalizers_do_not_run() {
    assert!(run("return newproxy(true)").starts_with("-ERR"));
    let body = "for i = 1, 1000 do
            local p = newproxy(true)
            getmetatable(p).__gc = function() error('finalized') end
            local q = newproxy(p)
        end
        collectgarbage() collectgarbage() return 'alive'";
    assert_eq!(run_in(true, body), "$5|alive|");
}

#[test]
fn cve_2025_49844_names_of_chunks_outlive_the_parser() {
    // Each name is garbage as soon as it is passed, while the collector is at work all the time.
    let body = "local last
        for i = 1, 300 do
            local junk = {}
            for j = 1, 50 do junk[j] = ('x'):rep(j) .. i end
            local _, message = loadstring('local a = ' .. ('{'):rep(60) .. i .. ' nonsense', '@' .. ('n'):rep(20) .. i)
            last = message
            collectgarbage('step')
        end
        return last:sub(1, 23)";
    assert_eq!(run(body), format!("$23|{}300|", "n".repeat(20)));
    let body = "local i = 0
        local f, message = load(function()
            i = i + 1
            collectgarbage()
            return i < 50 and ('local v' .. i .. ' = ' .. i .. ' ') or (i == 50 and 'return v' or nil)
        end, '@' .. ('n'):rep(30))
        return f ~= nil or message";
    assert_eq!(run(body), ":1|");
}

#[test]
fn cve_2025_46817_bounds_of_unpack() {
    for bounds in
        ["0, 2147483647", "-2147483648, 2147483647", "1, 2147483647", "-1e308, 1e308", "2147483647, 2147483648 + 8000"]
    {
        let reply = run(&format!("return {{unpack({{1, 2}}, {bounds})}}"));
        assert!(reply.contains("too many results to unpack"), "{bounds}: {reply}");
    }
    assert_eq!(run("return select('#', unpack({1}, 2147483647, 2147483648))"), ":2|");
}

#[test]
fn cve_2025_46818_metatables_of_basic_types() {
    for value in ["''", "1", "nil", "true", "pairs", "coroutine.create(function() end)"] {
        let reply =
            run(&format!("local m = getmetatable({value}) if m == nil then return 'none' end m.__index = {{}}"));
        assert!(reply == "$4|none|" || reply.contains("readonly table"), "{value}: {reply}");
    }
    assert!(run("getmetatable('').__index.upper = nil").contains("readonly table"));
    assert!(run("rawset(getmetatable(''), '__index', {})").contains("readonly table"));
    assert!(run("setmetatable(getmetatable(''), {})").contains("readonly table"));
    assert!(run("local s = getmetatable('').__index s.len = function() return 7 end").contains("readonly table"));
}

#[test]
fn cve_2025_46819_long_brackets() {
    for body in [
        "return loadstring('return [' .. ('='):rep(1000000)) == nil",
        "return loadstring('return [' .. ('='):rep(1000000) .. '[') == nil",
        "return loadstring('--[' .. ('='):rep(1000000) .. '[ x ]' .. ('='):rep(999999) .. ']') == nil",
    ] {
        assert_eq!(run(body), ":1|", "{body}");
    }
    assert_eq!(run("local e = ('='):rep(1000000) return loadstring('return [' .. e .. '[x]' .. e .. ']')()"), "$1|x|");
}
