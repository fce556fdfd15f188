//! The command line: `[file] [--name value ...]... [-]`.
//!
//! Options become lines behind those of the file, so that one reader serves both and errors show them alike.

use std::io::{self, Read};
use std::path::PathBuf;

use resp::inline::{quote, split_words};

use super::Config;
use super::parse::{LoadError, Loader};
use super::value::Text;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Startup {
    /// Run a server.
    Run(Options),
    /// Print [`version`] and leave.
    Version,
    /// Print [`HELP`] and leave.
    Help,
    /// Test that many megabytes of memory; none given is an error.
    TestMemory(Option<u64>),
    /// Check the operating system's settings.
    CheckSystem,
}

/// Where the configuration stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub file: Option<PathBuf>,
    /// Standard input follows it.
    pub stdin: bool,
    /// Lines made of the options.
    pub lines: Vec<u8>,
    /// Run as Sentinel.
    pub sentinel: bool,
}

/// What `--help` prints.
pub const HELP: &str = "\
Usage: redis-server-rs [/path/to/redis.conf] [options] [-]
       redis-server-rs - (the configuration comes from standard input)
       redis-server-rs -v or --version
       redis-server-rs -h or --help
       redis-server-rs --test-memory <megabytes>
       redis-server-rs --check-system

Every parameter of the configuration is also an option; options override the file:
       redis-server-rs --port 7777 --maxmemory 128mb
       redis-server-rs /etc/redis/redis.conf --loglevel verbose
       echo 'maxmemory 128mb' | redis-server-rs -
       redis-server-rs --port 7777 --replicaof 127.0.0.1 8888

Sentinel mode:
       redis-server-rs /etc/sentinel.conf --sentinel
";

/// What `--version` prints: Redis' line, which tools read, with our own version behind it.
#[must_use]
pub fn version() -> String {
    format!(
        "Redis server v={} sha=00000000:0 malloc=jemalloc-5.3.0 bits={} build={:016x} redis_server_rs={}",
        crate::REDIS_VERSION,
        usize::BITS,
        0,
        env!("CARGO_PKG_VERSION"),
    )
}

impl Startup {
    /// Reads the arguments behind the program's name.
    #[must_use]
    pub fn parse(args: &[Vec<u8>]) -> Startup {
        match args.first().map(Vec::as_slice) {
            Some(b"-v" | b"--version") => Startup::Version,
            Some(b"-h" | b"--help") => Startup::Help,
            Some(b"--test-memory") => {
                let megabytes = args.get(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                Startup::TestMemory(megabytes)
            }
            Some(b"--check-system") => Startup::CheckSystem,
            _ => Startup::Run(Options::parse(args)),
        }
    }
}

impl Options {
    fn parse(mut args: &[Vec<u8>]) -> Options {
        let mut options = Options::default();
        match args {
            [first, rest @ ..] if first == b"-" => {
                options.stdin = true;
                args = rest;
            }
            [first, rest @ ..] if !first.starts_with(b"-") => {
                options.file = Some(Text(first.clone()).as_path().to_owned());
                args = rest;
            }
            _ => {}
        }
        if let [rest @ .., last] = args
            && last == b"-"
        {
            options.stdin = true;
            args = rest;
        }

        // An option's first value may itself begin with `--`; the next such word is an option again.
        let mut wants_value = false;
        for (index, word) in args.iter().enumerate() {
            if wants_value || !word.starts_with(b"--") {
                options.lines.push(b' ');
                options.lines.extend_from_slice(quote(word).as_bytes());
                wants_value = false;
                continue;
            }
            let option = &word[2..];
            if option.eq_ignore_ascii_case(b"sentinel") {
                options.sentinel = true;
                continue;
            }
            if !options.lines.is_empty() {
                options.lines.push(b'\n');
            }
            options.lines.extend_from_slice(option);
            // `--name "a b"` and `"--name a b"` are both allowed: only a lone name waits for its value.
            wants_value = split_words(option).is_ok_and(|words| words.len() == 1);
            // `--save` without a value takes all save points away.
            let value_follows = args.get(index + 1).is_some_and(|next| !next.starts_with(b"--"));
            if option.eq_ignore_ascii_case(b"save") && !value_follows {
                options.lines.extend_from_slice(b" \"\"");
                wants_value = false;
            }
        }
        options
    }

    /// Reads the file, standard input and the options.
    ///
    /// # Errors
    /// A file that cannot be read, or the first line that is wrong.
    pub fn load(&self) -> Result<Config, LoadError> {
        self.load_with(Loader::new(), &mut io::stdin())
    }

    fn load_with(&self, mut loader: Loader, stdin: &mut dyn Read) -> Result<Config, LoadError> {
        let mut text = Vec::new();
        if let Some(file) = &self.file {
            let open = |error| LoadError::Open { path: file.clone(), error };
            text = std::fs::read(file).map_err(open)?;
            // Before any `dir` line moves us away.
            loader.set_file(std::path::absolute(file).map_err(open)?);
        }
        if self.stdin {
            let open = |error| LoadError::Open { path: "-".into(), error };
            stdin.read_to_end(&mut text).map_err(open)?;
        }
        if !self.lines.is_empty() {
            text.push(b'\n');
            text.extend_from_slice(&self.lines);
        }
        loader.read(&text)?;
        loader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &[&str]) -> Vec<Vec<u8>> {
        args.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn options(args: &[&str]) -> Options {
        match Startup::parse(&words(args)) {
            Startup::Run(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn load(args: &[&str]) -> Result<Config, String> {
        options(args)
            .load_with(Loader::with_enter(|_| Ok(())), &mut io::empty())
            .map_err(|error| error.to_string().lines().skip(2).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_first_argument_may_ask_for_something_else() {
        assert_eq!(Startup::parse(&words(&["-v"])), Startup::Version);
        assert_eq!(Startup::parse(&words(&["--version", "x"])), Startup::Version);
        assert_eq!(Startup::parse(&words(&["--help"])), Startup::Help);
        assert_eq!(Startup::parse(&words(&["--test-memory"])), Startup::TestMemory(None));
        assert_eq!(Startup::parse(&words(&["--test-memory", "64"])), Startup::TestMemory(Some(64)));
        assert_eq!(Startup::parse(&words(&["--check-system"])), Startup::CheckSystem);
        assert!(version().starts_with("Redis server v=8.0.6 sha="));
    }

    #[test]
    fn files_standard_input_and_sentinel() {
        let all = options(&["r.conf", "--sentinel", "--port", "1", "-"]);
        assert_eq!(
            all,
            Options { file: Some("r.conf".into()), stdin: true, lines: b"port \"1\"".to_vec(), sentinel: true }
        );
        assert!(options(&["-"]).stdin);
        let mut text: &[u8] = b"port 5\nhz 20\n";
        let config = options(&["-", "--hz", "30"]).load_with(Loader::with_enter(|_| Ok(())), &mut text).unwrap();
        assert_eq!((config.port, config.hz), (5, 30));
    }

    #[test]
    fn refused_options() {
        for (args, expected) in [
            (&["--invalid"][..], "at line 2 >>> 'invalid' Bad directive or wrong number of arguments"),
            (&["--port"], "at line 2 >>> 'port' wrong number of arguments"),
            (&["--port", "6380", "--loglevel"], "at line 3 >>> 'loglevel' wrong number of arguments"),
            (&["--port", "6379", "6380"], "at line 2 >>> 'port \"6379\" \"6380\"' wrong number of arguments"),
            (
                &["--port", "--loglevel", "verbose"],
                "at line 2 >>> 'port \"--loglevel\" \"verbose\"' wrong number of arguments",
            ),
            (
                &["--port", "--bla", "--loglevel", "verbose"],
                "at line 2 >>> 'port \"--bla\"' argument couldn't be parsed into an integer",
            ),
            (
                &["--logfile", "--my--log--file", "--loglevel", "--bla"],
                "at line 3 >>> 'loglevel \"--bla\"' argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
            ),
            (
                &["--shutdown-on-sigint"],
                "at line 2 >>> 'shutdown-on-sigint' argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                &["--shutdown-on-sigint", "now force", "--shutdown-on-sigterm"],
                "at line 3 >>> 'shutdown-on-sigterm' argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                &["--replicaof", "127.0.0.1", "abc"],
                "at line 2 >>> 'replicaof \"127.0.0.1\" \"abc\"' Invalid master port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "abc"],
                "at line 2 >>> 'replicaof \"--127.0.0.1\" \"abc\"' Invalid master port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "--abc"],
                "at line 2 >>> 'replicaof \"--127.0.0.1\"' wrong number of arguments",
            ),
            (&["--port 70000"], "at line 2 >>> 'port 70000' argument must be between 0 and 65535 inclusive"),
        ] {
            let error = load(args).unwrap_err();
            assert!(error.ends_with(expected), "{args:?}: {error}");
        }
    }

    #[test]
    fn forms_that_are_allowed() {
        let show = |args: &[&str], name: &str| {
            let config = load(args).unwrap();
            String::from_utf8(crate::config::Param::find(name.as_bytes()).unwrap().get(&config)).unwrap()
        };
        let one_word = ["--maxmemory 700mb", "--maxmemory-policy volatile-lru"];
        assert_eq!(show(&one_word, "maxmemory"), "734003200");
        assert_eq!(show(&one_word, "maxmemory-policy"), "volatile-lru");
        assert_eq!(show(&["--maxmemory '700mb'"], "maxmemory"), "734003200");
        assert_eq!(
            show(&["--proc-title-template", "--my--title--template", "--loglevel", "verbose"], "proc-title-template"),
            "--my--title--template"
        );
        assert_eq!(show(&["--proc-title-template --my--title--template", "--loglevel verbose"], "loglevel"), "verbose");
        for args in [
            &["--save", "--loglevel", "verbose"][..],
            &["--loglevel", "verbose", "--save"],
            &["--save", "", "--loglevel", "verbose"],
            &["--loglevel", "verbose", "--save", ""],
            &["--proc-title-template", "--save", "--save", "", "--loglevel", "verbose"],
        ] {
            assert_eq!(show(args, "save"), "", "{args:?}");
            assert_eq!(show(args, "loglevel"), "verbose", "{args:?}");
        }
        let options = ["--shutdown-on-sigint", "nosave", "force", "now", "--shutdown-on-sigterm", "nosave force"];
        assert_eq!(show(&options, "shutdown-on-sigint"), "nosave now force");
        assert_eq!(show(&options, "shutdown-on-sigterm"), "nosave force");
    }

    #[test]
    fn loose_words_behind_the_file_are_a_line() {
        let file = std::env::temp_dir().join(format!("config-args-{}.conf", std::process::id()));
        std::fs::write(&file, "save 900 1\n").unwrap();
        let path = file.to_str().unwrap();
        let config = load(&[path, "loglevel", "verbose", "--save", "100", "100"]).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(config.loglevel.as_str(), "verbose");
        assert_eq!(config.save.0.len(), 2);
        assert_eq!(config.origin.file, Some(file));
    }
}
