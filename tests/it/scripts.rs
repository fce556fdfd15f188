//! Scripts that have no end of their own: in time, in memory, in depth. Each is stopped, the server answers all the while.

use std::time::{Duration, Instant};

use tests::{Client, TestServer};

/// `busy-reply-threshold` of these tests, in milliseconds.
const THRESHOLD: &str = "50";

/// Within this time after a script began others get an answer, be it BUSY, and after SCRIPT KILL the script has ended. One
/// instruction of Lua's cannot be interrupted, and some of these move hundreds of megabytes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Scripts that run on and on, each in a way of its own.
const ENDLESS: &[&str] = &[
    "while true do end",
    "local function f() return f() end f()",
    "while true do pcall(function() while true do end end) end",
    "while true do xpcall(error, function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "local co co = coroutine.create(function() while true do coroutine.yield() end end) while true do coroutine.resume(co) end",
    // Library functions that call back, or take their time.
    "table.sort({3, 2, 1}, function() while true do end end)",
    "string.gsub('x', 'x', function() while true do end end)",
    "load(function() return ' ' end)",
    "return string.find(string.rep('a', 300000), string.rep('.-', 30) .. 'b')",
    "return (string.gsub(string.rep('a', 300000), string.rep('a*', 30) .. 'b', ''))",
    "local s = string.rep('x', 1e7) while true do for w in string.gmatch(s, 'y') do end end",
    // Metamethods.
    "return setmetatable({}, {__index = function() while true do end end}).x",
    "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'",
    "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) while true do pcall(function() return t.x end) end",
    // Commands.
    "while true do redis.call('PING') end",
    "while true do redis.pcall('nothing') end",
    "local f = function() while true do redis.call('PING') end end while true do pcall(f) end",
    // Few instructions, each of them long.
    "while true do local s = string.rep('x', 3e7) end",
    "local s = string.rep('x', 3e7) while true do local t = s .. 'y' end",
    "local s = string.rep('x', 3e7) while true do string.upper(s) end",
    "local a, b = string.rep('x', 3e7) .. 'a', string.rep('x', 3e7) .. 'b' while true do local c = a < b end",
    "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.sort(t) end",
    "local t = {} for i = 1, 1e6 do t[i] = i end while true do cjson.encode(t) end",
    "local t = {} for i = 1, 1e6 do t[i] = {} end while true do collectgarbage() end",
    "local s = string.rep('x', 3e7) while true do redis.sha1hex(s) end",
];

/// Waits until PING is answered with BUSY; how long the longest answer took.
fn wait_until_busy(client: &mut Client, what: &str) -> Duration {
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let reply = client.call(&["PING"]).to_string();
        longest = longest.max(asked.elapsed());
        if reply.starts_with("-BUSY") {
            return longest;
        }
        assert_eq!(reply, "+PONG");
        assert!(start.elapsed() < ANSWERS_WITHIN, "{what}: never busy");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn scripts_without_end_are_killed() {
    let mut server = TestServer::with(&["--busy-reply-threshold", THRESHOLD]);
    let mut slowest = Duration::ZERO;
    for body in ENDLESS {
        let (mut runs, mut other) = (server.client(), server.client());
        runs.send(&tests::request(&["EVAL", body, "0"])).expect("it is connected");
        slowest = slowest.max(wait_until_busy(&mut other, body));
        let start = Instant::now();
        assert_eq!(other.call(&["SCRIPT", "KILL"]).to_string(), "+OK", "{body}");
        let reply = runs.receive().expect("an answer").to_string();
        assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL."), "{body}: {reply}");
        assert!(start.elapsed() < ANSWERS_WITHIN, "{body}: ended after {:?}", start.elapsed());
        slowest = slowest.max(start.elapsed());
        assert_eq!(other.call(&["PING"]).to_string(), "+PONG", "{body}");
        // What the script left is not the next one's burden.
        assert_eq!(other.call(&["SCRIPT", "FLUSH"]).to_string(), "+OK");
    }
    println!("the longest wait for an answer: {slowest:?}");
    server.assert_unharmed();
}

#[test]
fn functions_without_end_are_killed() {
    let mut server = TestServer::with(&["--busy-reply-threshold", THRESHOLD]);
    let library = "#!lua name=endless
        redis.register_function('spin', function() while true do pcall(redis.call, 'PING') end end)";
    let (mut runs, mut other) = (server.client(), server.client());
    assert_eq!(other.call(&["FUNCTION", "LOAD", library]).to_string(), "endless");
    runs.send(&tests::request(&["FCALL", "spin", "0"])).expect("it is connected");
    wait_until_busy(&mut other, library);
    let reply = other.call(&["SCRIPT", "KILL"]).to_string();
    assert!(reply.starts_with("-BUSY"), "{reply}");
    assert_eq!(other.call(&["FUNCTION", "KILL"]).to_string(), "+OK");
    let reply = runs.receive().expect("an answer").to_string();
    assert!(reply.starts_with("-ERR Script killed by user with FUNCTION KILL."), "{reply}");
    // A library that does not come to its end is not loaded, and needs nobody to say so.
    let start = Instant::now();
    let reply = other.call(&["FUNCTION", "LOAD", "#!lua name=stuck\nwhile true do end"]).to_string();
    assert!(reply.contains("timeout") && start.elapsed() < ANSWERS_WITHIN, "{reply}");
    server.assert_unharmed();
}

#[test]
fn a_script_that_wrote_ends_with_the_server() {
    let server = TestServer::with(&["--busy-reply-threshold", THRESHOLD]);
    let (mut runs, mut other) = (server.client(), server.client());
    let body = "redis.call('SET', KEYS[1], 'x') while true do pcall(redis.call, 'GET', KEYS[1]) end";
    runs.send(&tests::request(&["EVAL", body, "1", "k"])).expect("it is connected");
    wait_until_busy(&mut other, body);
    let reply = other.call(&["SCRIPT", "KILL"]).to_string();
    assert!(reply.starts_with("-UNKILLABLE"), "{reply}");
    let start = Instant::now();
    assert!(other.try_call(&["SHUTDOWN", "NOSAVE"]).is_err(), "the connection is closed");
    while Client::connect(server.port()).is_ok() {
        assert!(start.elapsed() < ANSWERS_WITHIN, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_takes_too_much_is_an_error() {
    let mut server = TestServer::start();
    let mut client = server.client();
    let nested = |open: &str, count: usize| open.repeat(count);
    let (brackets, arrays) = (nested("[", 1_000_000), "\\145".to_owned());
    let cases = [
        // Memory.
        (
            "local t = {} while true do local s = {} for i = 1, 1e5 do s[i] = i end t[#t + 1] = s end".to_owned(),
            "not enough memory",
        ),
        ("local s = 'x' while true do s = s .. s end".to_owned(), "not enough memory"),
        ("local t = {} while true do t[#t + 1] = string.rep('x', 1e7) .. #t end".to_owned(), "not enough memory"),
        ("local s = ' ' .. string.rep('x', 3e7) load(function() return s end)".to_owned(), "not enough memory"),
        ("return string.rep('x', 2^40)".to_owned(), "too large"),
        // Depth.
        ("local function f() return 1 + f() end return f()".to_owned(), "stack overflow"),
        ("local function f() local ok = pcall(f) return ok end f() error('done')".to_owned(), "done"),
        ("local function f() coroutine.wrap(f)() end f()".to_owned(), "overflow"),
        ("local function f() return string.gsub('x', 'x', f) end return f()".to_owned(), "overflow"),
        ("local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x".to_owned(), "overflow"),
        ("local t = {} for i = 1, 1e5 do t = {t} end return cjson.encode(t)".to_owned(), "nesting"),
        ("local t = {} for i = 1, 1e5 do t = {t} end cmsgpack.pack(t) error('packed')".to_owned(), "packed"),
        (format!("return cjson.decode('{brackets}')"), "nested"),
        (format!("return cmsgpack.unpack(string.rep('{arrays}', 1e6))"), ""),
        ("return loadstring('return ' .. string.rep('(', 1e5))()".to_owned(), "call a nil value"),
    ];
    for (body, error) in &cases {
        let start = Instant::now();
        let reply = client.call(&["EVAL", body, "0"]).to_string();
        let shown = &body[..body.len().min(80)];
        assert!(reply.starts_with('-') && reply.contains(error), "{shown}: {}", &reply[..reply.len().min(200)]);
        assert!(start.elapsed() < ANSWERS_WITHIN, "{shown}: {:?}", start.elapsed());
        assert_eq!(client.call(&["EVAL", "return 1", "0"]).to_string(), ":1", "after {shown}");
    }
    server.assert_unharmed();
}

#[test]
fn flushed_scripts_are_freed_by_the_background_thread() {
    let server = TestServer::start();
    let mut client = server.client();
    // Libraries are counted with what holds them.
    for (flush, objects) in [("SCRIPT", 100), ("FUNCTION", 101)] {
        client.call(&["CONFIG", "RESETSTAT"]);
        for n in 0..100 {
            let text = format!("#!lua name=l{n}\nredis.register_function('f{n}', function() return {n} end)");
            let text = if flush == "SCRIPT" { format!("return {n}") } else { text };
            client.call(&[flush, "LOAD", &text]);
        }
        assert_eq!(client.call(&[flush, "FLUSH", "ASYNC"]).to_string(), "+OK");
        let start = Instant::now();
        while client.info("lazyfreed_objects") != objects {
            assert!(start.elapsed() < ANSWERS_WITHIN, "{flush}: {}", client.info("lazyfreed_objects"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert_eq!(client.call(&["EVAL", "return 7", "0"]).to_string(), ":7");
}
