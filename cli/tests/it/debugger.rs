//! `--ldb`: a script in the debugger of a real server. What is expected is what redis-cli 8.0.6 prints.

use std::path::{Path, PathBuf};

use crate::process::{Run, run};
use crate::server::{Server, find};

const CLI: &str = env!("CARGO_BIN_EXE_redis-cli-rs");

const SCRIPT: &str = "local a = 1\nredis.call('set', KEYS[1], ARGV[1])\nredis.breakpoint()\nreturn {a, 'x'}\n";

const INTRO: &str = "Lua debugging session started, please use:\n\
                     quit    -- End the session.\n\
                     restart -- Restart the script in debug mode again.\n\
                     help    -- Show Lua script debugging commands.\n\n";

const FIRST_STOP: &str =
    "\x1b[0;37;49m* Stopped at 1, stop reason = step over\x1b[0m\n\x1b[0;33;49m-> 1   local a = 1\x1b[0m\n";

struct Setup {
    server: Server,
    dir: PathBuf,
}

impl Setup {
    fn debug(&self, mode: &str, script: &str, input: &str) -> Run {
        let file = self.dir.join("script.lua");
        std::fs::write(&file, script).unwrap();
        self.run(&[mode, "--eval", file.to_str().unwrap(), "key", ",", "value"], input)
    }

    fn run(&self, words: &[&str], input: &str) -> Run {
        let port = self.server.port.to_string();
        let arguments: Vec<String> = ["-p", &port].iter().chain(words).map(|&word| word.to_owned()).collect();
        run(Path::new(CLI), &arguments, input.as_bytes(), &[])
    }
}

#[test]
fn scripts_are_debugged() {
    let Some(program) = find("REDIS_SERVER", "redis-server") else {
        eprintln!("skipped: no redis-server to debug scripts in");
        return;
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debugger-{}", std::process::id()));
    let setup = Setup { server: Server::start(&program, &dir, &[]), dir };
    let shows = |mode: &str, script: &str, input: &str, expected: &str| {
        let run = setup.debug(mode, script, input);
        assert_eq!(String::from_utf8_lossy(&run.stdout), format!("{INTRO}{expected}"), "{input}");
        assert_eq!((run.code, String::from_utf8_lossy(&run.stderr).as_ref()), (Some(0), ""), "{input}");
    };

    // Steps, values, breakpoints, code and commands; then the commands of any session.
    let stepped = format!(
        "{FIRST_STOP}\
         \x1b[0;37;49m* Stopped at 2, stop reason = step over\x1b[0m\n\
         \x1b[0;33;49m-> 2   redis.call('set', KEYS[1], ARGV[1])\x1b[0m\n\
         \x1b[0;35;49m<value> a = 1\x1b[0m\n\
         \x1b[0;37;49m   3   redis.breakpoint()\x1b[0m\n\
         \x1b[1;37;49m  #4   return {{a, 'x'}}\x1b[0m\n\
         \x1b[0;35;49m<retval> \"a  b\"\x1b[0m\n\
         \x1b[0;32;49m<redis> echo c d\x1b[0m\n\
         \x1b[0;36;49m<reply> \"c d\"\x1b[0m\n\
         \x1b[0;37;49m* Stopped at 4, stop reason = redis.breakpoint() called\x1b[0m\n\
         \x1b[0;33;49m->#4   return {{a, 'x'}}\x1b[0m\n\
         \n1) (integer) 1\n2) \"x\"\n\n(Lua debugging session ended -- dataset changes rolled back)\n\n"
    );
    let input = "s\np\nb 4\ne return \"a  b\"\nredis echo \"c d\"\nc\nc\nget key\n";
    shows("--ldb", SCRIPT, input, &format!("{stepped}(nil)\n"));
    let ended = stepped.replace(" -- dataset changes rolled back", "");
    shows("--ldb-sync-mode", SCRIPT, &format!("{input}del key\n"), &format!("{ended}\"value\"\n(integer) 1\n"));

    // Again, during the session and after it.
    let twice = format!("{FIRST_STOP}\n{INTRO}{FIRST_STOP}");
    shows("--ldb", SCRIPT, "restart\nquit\nget key\n", &twice);
    let result = "\n(integer) 5\n\n(Lua debugging session ended -- dataset changes rolled back)\n\n";
    let first = FIRST_STOP.replace("local a = 1", "return 5");
    shows("--ldb", "return 5", "c\nping\nrestart\n", &format!("{first}{result}PONG\n\n{INTRO}{first}"));

    // What cannot be debugged.
    let run = setup.debug("--ldb", "return }", "s\n");
    let text = String::from_utf8_lossy(&run.stdout);
    let expected = format!("{INTRO}\nEval debugging session can't start:\n(error) ERR Error compiling script");
    assert!(run.code == Some(0) && text.starts_with(&expected), "{text}");
    let run = setup.run(&["--ldb", "--eval", "/nowhere/script.lua"], "s\n");
    assert_eq!((run.code, run.stdout.as_slice()), (Some(1), INTRO.as_bytes()));
    assert_eq!(run.stderr, b"Can't open file '/nowhere/script.lua': No such file or directory\n");
    assert_eq!(setup.run(&["acl", "setuser", "default", "-script"], "").stdout, b"OK\n");
    let run = setup.debug("--ldb", SCRIPT, "s\n");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(text.contains("can't start:\n(error) NOPERM"), "{text}");
    assert_eq!(setup.run(&["exists", "key"], "").stdout, b"0\n", "the script did not run");
    std::fs::remove_dir_all(&setup.dir).unwrap();
}
