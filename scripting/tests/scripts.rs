//! Scripts from outside: what they return, how they fail, and what they must not be able to do.

use proptest::prelude::*;
use resp::Protocol;
use resp::writer::Writer;
use scripting::error::ScriptError;
use scripting::host::{Host, Verdict};
use scripting::vm::{Engine, LOAD_TIMEOUT, Vm};

/// Answers ECHO with its argument, NULL with a null, FAIL with an error; ends scripts after some intervals.
#[derive(Default)]
struct TestHost {
    intervals_left: u32,
    calls: Vec<String>,
}

impl Host for TestHost {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) {
        self.calls.push(argv.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" "));
        let mut out = Writer::new(out, protocol);
        match argv[0] {
            b"ECHO" => out.bulk(argv[1]),
            b"NULL" => out.null(),
            b"MAP" => {
                out.map(1);
                out.bulk(b"field");
                out.integer(7);
            }
            b"LIST" => {
                out.array(3);
                (1..=3).for_each(|n| out.integer(n));
            }
            _ => out.error("WRONG as asked for"),
        }
    }

    fn interval(&mut self) -> Verdict {
        match self.intervals_left.checked_sub(1) {
            Some(left) => {
                self.intervals_left = left;
                Verdict::Continue
            }
            None => Verdict::Stop("ERR stopped"),
        }
    }
}

fn run_with(body: &str, args: &[&[u8]], intervals: u32) -> (String, TestHost) {
    let mut vm = Vm::<TestHost>::new(Engine::Scripts).expect("there is memory");
    let mut host = TestHost { intervals_left: intervals, ..TestHost::default() };
    let mut out = Vec::new();
    let result = vm.compile(body.as_bytes()).and_then(|script| {
        vm.run_script(&script, "sha", &[b"key"], args, &mut host, &mut Writer::new(&mut out, Protocol::Resp2))
    });
    let reply = match result {
        Ok(_) => String::from_utf8_lossy(&out).replace("\r\n", "|"),
        Err(ScriptError { text, .. }) => format!("-{}", String::from_utf8_lossy(&text)),
    };
    (reply, host)
}

fn run(body: &str) -> String {
    run_with(body, &[b"arg"], 50).0
}

#[test]
fn values_become_replies() {
    on_a_large_stack(check_replies);
}

fn check_replies() {
    for (body, reply) in [
        ("return 3.99", ":3|"),
        ("return 'x'", "$1|x|"),
        ("return true", ":1|"),
        ("return false", "$-1|"),
        ("return {1,{2,'a'},nil,4}", "*2|:1|*2|:2|$1|a|"),
        ("return {ok='fine'}", "+fine|"),
        ("return {err='MY error'}", "-MY error|"),
        ("return {double=0.5}", "$3|0.5|"),
        ("return {map={a=1}}", "*2|$1|a|:1|"),
        ("return {KEYS[1], ARGV[1]}", "*2|$3|key|$3|arg|"),
        ("return redis.call('LIST')", "*3|:1|:2|:3|"),
        ("return type(redis.call('NULL'))", "$7|boolean|"),
        ("redis.setresp(3) return type(redis.call('NULL'))", "$3|nil|"),
        ("redis.setresp(3) return redis.call('MAP').map.field", ":7|"),
        ("return redis.call('ECHO', 0.1)", "$3|0.1|"),
        ("return redis.call('ECHO', 2^53)", "$16|9007199254740992|"),
    ] {
        assert_eq!(run(body), reply, "{body}");
    }
    assert!(run("local a = {} a[1] = a return a").ends_with("*1|-ERR reached lua stack limit|"));
}

#[test]
fn errors_say_where() {
    for (body, error) in [
        ("error('a')", "-ERR user_script:1: a script: sha, on @user_script:1."),
        ("\nerror({err='MY a'})", "-MY a script: sha, on @user_script:2."),
        ("error({})", "-ERR unknown error script: sha, on @user_script:1."),
        ("return redis.call('FAIL')", "-WRONG as asked for script: sha, on @user_script:1."),
        ("return redis.pcall('FAIL').err", "$18|WRONG as asked for|"),
        ("local ok, e = pcall(redis.call, 'FAIL') return e", "$18|WRONG as asked for|"),
        (
            "local f = function() redis.call('FAIL') end local ok, e = xpcall(f, function(e) return e.err end) return e",
            "$18|WRONG as asked for|",
        ),
        ("return foo(", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'"),
        (
            "string.rep()",
            "-ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value) script: sha, on @user_script:1.",
        ),
    ] {
        assert_eq!(run(body), error, "{body}");
    }
}

#[test]
fn nothing_shared_can_be_changed() {
    for body in [
        "x = 1",
        "_G.x = 1",
        "rawset(_G, 'x', 1)",
        "setmetatable(_G, {})",
        "getmetatable(_G).__index = {}",
        "redis.call = nil",
        "string.rep = nil",
        "rawset(cjson, 'encode', nil)",
        "getmetatable('').__index = {}",
        "setmetatable(string, nil)",
    ] {
        assert!(run(body).contains("Attempt to modify a readonly table"), "{body}: {}", run(body));
    }
    for name in ["print", "loadfile", "dofile", "io", "debug", "require", "package", "setfenv", "getfenv", "newproxy"] {
        let expected = format!("Script attempted to access nonexistent global variable '{name}'");
        assert!(run(&format!("return {name}")).contains(&expected), "{name}");
    }
    assert!(run("return os.execute").starts_with("$-1"));
    // What a script finds by walking is a copy.
    assert_eq!(
        run("for k, v in pairs(string) do end local s = {} for k in pairs(redis) do s[k] = 1 end return s.call"),
        ":1|"
    );
}

#[test]
fn bytecode_is_refused() {
    assert_eq!(run("return loadstring(string.dump(function() return 1 end)) == nil"), ":1|");
    assert!(
        run("local n = 0 return load(function() n = n + 1 if n == 1 then return '\\27LuaQ' end end)()")
            .contains("attempt to call")
    );
    assert!(run("\u{1b}LuaQ").starts_with("-ERR Error compiling script"));
}

#[test]
fn endless_scripts_end() {
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)() while true do end",
        "local co = coroutine.create(function() while true do end end) coroutine.resume(co) while true do end",
        "return string.find(string.rep('a', 100000), '.-.-.-.-b')",
        "return string.gsub(string.rep('a', 100000), '.-.-.-.-b', '')",
        "for i in string.gmatch(string.rep('a', 100000), '.-.-.-.-b') do end",
    ] {
        assert_eq!(run_with(body, &[], 3).0, "-ERR stopped script: sha, on @user_script:1.", "{body}");
    }
}

#[test]
fn memory_and_the_stack_have_limits() {
    on_a_large_stack(check_limits);
}

/// As much stack as a process gives its first thread: without optimisation frames are large.
fn on_a_large_stack(check: fn()) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(check).expect("a thread starts");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn check_limits() {
    for (body, error) in [
        ("return string.rep('x', 2^40)", "resulting string too large"),
        ("local s = string.rep('x', 1e8) local t = {} for i = 1, 100 do t[i] = s .. i end", "not enough memory"),
        // Text that `load` collects counts, too, that of several calls together.
        ("local s = ' ' .. string.rep('x', 1e8) load(function() return s end)", "not enough memory"),
        (
            "local s, depth, piece = ' ' .. string.rep('x', 1e8), 0
            piece = function()
                depth = depth + 1
                if depth % 3 == 0 then load(piece) end
                return s
            end
            load(piece)",
            "not enough memory",
        ),
        ("return unpack({}, 1, 8000)", "too many results to unpack"),
        ("return unpack({}, -2147483648, 2147483647)", "too many results to unpack"),
        ("local function f() return f() + 1 end return f()", "stack overflow"),
        ("local function f() return string.gsub('x', 'x', f) end return f()", "overflow"),
        ("local function f() coroutine.wrap(f)() end f()", "overflow"),
        ("return string.find(string.rep('a', 100000), string.rep('a?', 100000))", "pattern too complex"),
        ("local t = {} t[1] = t return cjson.encode(t)", "excessive nesting"),
        ("return cjson.decode(string.rep('[', 100000))", "too many nested"),
        ("return cmsgpack.unpack(string.rep('\\145', 100000))", "stack overflow"),
        ("return cmsgpack.unpack('\\221\\255\\255\\255\\255')", "Missing bytes"),
        ("return struct.pack('i1000000000', 1)", "larger than limit"),
        ("return struct.unpack('c2147483647', 'a')", "too short"),
        ("return struct.unpack('Bc0', '\\255a')", "too short"),
    ] {
        let reply = run_with(body, &[], 100_000).0;
        assert!(reply.starts_with('-') && reply.contains(error), "{body}: {reply}");
    }
    assert_eq!(run("return bit.tohex(65535, -2147483648)"), "$8|0000FFFF|");
    assert_eq!(run("return #{unpack({}, 1, 7000)}"), ":0|");
}

#[test]
fn a_state_is_small() {
    let vm = Vm::<TestHost>::new(Engine::Functions).unwrap();
    assert!(vm.memory_bytes() < 60_000, "{}", vm.memory_bytes());
}

#[test]
fn a_retired_state_may_go_on_another_thread() {
    let mut vm = Vm::<TestHost>::new(Engine::Scripts).expect("there is memory");
    let scripts: Vec<_> = (0..1000).map(|n| vm.compile(format!("return {{{n}}}").as_bytes()).unwrap()).collect();
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Protocol::Resp2);
    vm.run_script(&scripts[7], "sha", &[], &[], &mut TestHost::default(), &mut writer).unwrap();
    assert_eq!(out, b"*1\r\n:7\r\n");
    let retired = vm.retire();
    std::thread::spawn(move || drop(retired)).join().expect("dropping does not panic");
}

#[test]
fn random_numbers_follow_from_their_seed() {
    let body = "math.randomseed(10) return {tostring(math.random()), math.random(10), math.random(5, 9)}";
    assert_eq!(run(body), "*3|$16|0.87885112309775|:8|:7|");
    let mut vm = Vm::<TestHost>::new(Engine::Scripts).unwrap();
    let script = vm.compile(b"return tostring(math.random())").unwrap();
    let seeding = vm.compile(b"math.randomseed(1)").unwrap();
    let mut host = TestHost::default();
    let mut next = |script| {
        let mut out = Vec::new();
        vm.run_script(script, "sha", &[], &[], &mut host, &mut Writer::new(&mut out, Protocol::Resp2)).unwrap();
        out
    };
    let first = next(&script);
    next(&seeding);
    let second = next(&script);
    next(&seeding);
    let third = next(&script);
    assert!(first != second && second != third, "a script's seed is not the next one's");
}

#[test]
fn libraries_register_functions() {
    let mut vm = Vm::<TestHost>::new(Engine::Functions).unwrap();
    let mut host = TestHost { intervals_left: 50, ..TestHost::default() };
    let code = b"local function twice(x) return x * 2 end
        redis.register_function('f', function(keys, args) return {keys[1], twice(args[1])} end)
        redis.register_function{function_name='g', callback=function() return redis.call('ECHO', 'x') end,
            description='says x', flags={'no-writes'}}";
    let functions = vm.load_library(code, &mut host).unwrap();
    assert_eq!(functions.len(), 2);
    assert_eq!(functions[1].description.as_deref(), Some(&b"says x"[..]));
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Protocol::Resp2);
    vm.run_function(&functions[0].script, "f", &[b"k"], &[b"21"], &mut host, &mut writer).unwrap();
    vm.run_function(&functions[1].script, "g", &[], &[], &mut host, &mut writer).unwrap();
    assert_eq!(out, b"*2\r\n$1\r\nk\r\n:42\r\n$1\r\nx\r\n");
    for (code, error) in [
        (&b"return 1"[..], "ERR No functions registered"),
        (
            b"redis.call('ECHO')",
            "ERR Error registering functions: ERR user_function:1: Script attempted to access nonexistent global variable 'call'",
        ),
        (
            b"return math",
            "ERR Error registering functions: ERR user_function:1: Script attempted to access nonexistent global variable 'math'",
        ),
        (
            b"redis.register_function('a', 1)",
            "ERR Error registering functions: ERR second argument to redis.register_function must be a function",
        ),
        (b"x x", "ERR Error compiling function: user_function:1: '=' expected near 'x'"),
    ] {
        let failed = vm.load_library(code, &mut host).unwrap_err();
        assert_eq!(failed.to_string(), error);
    }
    struct Slow;
    impl Host for Slow {
        fn call(&mut self, _: &[&[u8]], _: Protocol, _: &mut Vec<u8>) {}
        fn interval(&mut self) -> Verdict {
            Verdict::Stop(LOAD_TIMEOUT)
        }
    }
    let mut vm = Vm::<Slow>::new(Engine::Functions).unwrap();
    assert_eq!(vm.load_library(b"while true do end", &mut Slow).unwrap_err().to_string(), LOAD_TIMEOUT);
}

/// A value as Lua source.
fn literal() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        (-1_000_000_000_i64..1_000_000_000).prop_map(|n| n.to_string()),
        (-1e6..1e6_f64).prop_map(|n| format!("{n:?}")),
        proptest::collection::vec(any::<u8>(), 0..12)
            .prop_map(|bytes| format!("'{}'", bytes.iter().map(|byte| format!("\\{byte:03}")).collect::<String>())),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..6).prop_map(|items| format!("{{{}}}", items.join(","))),
            proptest::collection::vec(("[a-z]{1,4}", inner), 1..6).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(key, value)| format!("['{key}']={value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// Compares two values to the bottom.
const SAME: &str = "local function same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then
        return a == b or type(a) == 'number' and type(b) == 'number' and math.abs(a - b) <= 1e-9 * math.abs(a)
    end
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
end ";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn json_and_messagepack_come_back(value in literal()) {
        let body = format!("{SAME} local v = {value} return same(v, cjson.decode(cjson.encode(v)))");
        prop_assert_eq!(run(&body), ":1|", "{}", body);
        let body = format!("{SAME} local v = {value} return same(v, cmsgpack.unpack(cmsgpack.pack(v)))");
        prop_assert_eq!(run(&body), ":1|", "{}", body);
    }

    #[test]
    fn no_input_breaks_a_library(input in proptest::collection::vec(any::<u8>(), 0..40), format in "[<>!bBhHlLfdcisxI0-9 ]{0,8}") {
        for body in [
            "return pcall(cjson.decode, ARGV[1])",
            "return pcall(cmsgpack.unpack, ARGV[1])",
            "return pcall(struct.unpack, ARGV[2], ARGV[1])",
            "return pcall(string.find, ARGV[2], ARGV[1])",
            "return pcall(string.gsub, ARGV[1], ARGV[2], ARGV[1])",
            "return pcall(loadstring, ARGV[1])",
        ] {
            let reply = run_with(body, &[&input, format.as_bytes()], 50).0;
            prop_assert!(reply == ":1|" || reply == "$-1|", "{}: {}", body, reply);
        }
    }
}

#[test]
fn a_call_takes_as_many_words_as_lua_has_room_for() {
    for (body, reply) in [
        ("local a = {} for i = 1, 7999 do a[i] = 'x' end return redis.call('ECHO', unpack(a, 1, 7998))", "$1|x|"),
        ("local a = {} for i = 1, 7999 do a[i] = i end return select('#', unpack(a))", ":7999|"),
        ("return {pcall(unpack, {}, 1, 8000)}", "*2|$-1|$26|too many results to unpack|"),
        ("return {pcall(unpack, {}, -9e18, 9e18)}", "*2|$-1|$26|too many results to unpack|"),
        ("return {unpack({1, 2, 3}, 2)}", "*2|:2|:3|"),
        ("return select('#', unpack({}, 3, 2))", ":0|"),
        ("return redis.call('ECHO', 1e15, 0.5)", "$16|1000000000000000|"),
        ("return redis.call('ECHO', 0.1)", "$3|0.1|"),
        ("return redis.call('ECHO', -0.0)", "$1|0|"),
    ] {
        assert_eq!(run(body), reply, "{body}");
    }
}

#[test]
fn replies_may_be_nested_as_deep_as_lua_has_room_for() {
    let deep = |levels: usize| format!("local t = 'x' for i = 1, {levels} do t = {{t}} end return t");
    assert_eq!(run(&deep(7000)), format!("{}$1|x|", "*1|".repeat(7000)));
    assert!(run(&deep(9000)).ends_with("-ERR reached lua stack limit|"));
    // Maps and sets, within each other and as keys.
    assert_eq!(run("return {map={[1]={set={a=true}}}}"), "*2|:1|*1|$1|a|");
    assert_eq!(run("return {{map={x={1, 2}}}, 5}"), "*2|*2|$1|x|*2|:1|:2|:5|");
}

#[test]
fn proxies_have_no_finalizers() {
    let mut vm = Vm::<TestHost>::with_options(Engine::Scripts, true).expect("there is memory");
    let mut host = TestHost { intervals_left: 50, ..TestHost::default() };
    let body = b"local m = getmetatable(newproxy(true))
        m.__gc = function() redis.call('ECHO', 'x') end
        rawset(m, '__gc', function() redis.call('ECHO', 'x') end)
        m.__index = function() return 7 end
        m = nil
        collectgarbage() collectgarbage()
        return pcall(setmetatable, getmetatable(newproxy(true)), {})";
    let script = vm.compile(body).expect("it compiles");
    let mut out = Vec::new();
    vm.run_script(&script, "sha", &[], &[], &mut host, &mut Writer::new(&mut out, Protocol::Resp2)).expect("it runs");
    assert!(host.calls.is_empty(), "the collector called {:?}", host.calls);
}
