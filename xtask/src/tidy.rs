//! `cargo xtask tidy`: rules of the repository that no compiler checks.
//!
//! Arrows between crates, where unsafe code may stand, what must not be left behind, and what the manifests share.
//! The longest files and functions are reported as a trend, not as a verdict.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use toml::{Table, Value};

use crate::process::capture;
use crate::{Error, Verdict, fail, place};

/// Which of our crates each crate may depend on. An arrow that is not here is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("resp", &[]),
    ("engine", &["resp"]),
    ("persistence", &["engine", "resp"]),
    ("scripting", &["resp"]),
    ("cli", &["resp"]),
    ("server", &["engine", "persistence", "resp", "scripting"]),
    ("tests", &["engine", "persistence", "resp", "scripting", "server"]),
    ("xtask", &["resp", "server", "tests"]),
];

/// Dependencies that belong into some crates only.
const PLACES: &[(&str, &[&str])] = &[
    ("tokio", &["server", "cli", "xtask"]),
    ("bytes", &["resp", "server"]),
    ("nom", &["resp"]),
    ("mlua", &["scripting"]),
    ("crc16", &["engine", "cli"]),
    ("tracing", &["server", "persistence"]),
    ("tracing-subscriber", &["server"]),
];

/// Where unsafe code may stand.
const ISLANDS: [&str; 3] = ["engine/src/ds/", "scripting/src/sys.rs", "server/src/sys/"];

/// What must not stay in the code, in two parts so that this list does not find itself.
const LEFTOVERS: [(&str, &str); 3] = [("db", "g!("), ("tod", "o!("), ("unimple", "mented!(")];

/// Traces of one person's machine.
const MACHINE_PATHS: [(&str, &str); 4] = [("/wo", "rk/"), ("/opt/", "ref"), ("/ro", "ot/"), ("/ho", "me/")];

/// Files that are larger than this are not source, in bytes.
const LARGEST: u64 = 2_000_000;

/// The task.
pub(crate) fn run(args: &[String]) -> Verdict {
    if !args.is_empty() {
        println!("cargo xtask tidy    checks arrows between crates, unsafe code, leftovers, machine paths, manifests");
        return if args[0].ends_with("-help") { Ok(true) } else { fail!("tidy takes no arguments") };
    }
    let mut found = Vec::new();
    manifests(&mut found)?;
    let files = files()?;
    let mut sizes = Vec::new();
    for file in &files {
        let path = place::root().join(file);
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.len() > LARGEST && file != "Cargo.lock" {
            found.push(format!("{file}: {} bytes", meta.len()));
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        text_file(file, &text, &mut found);
        if file.ends_with(".rs") {
            rust_file(file, &text, &mut found);
            sizes.push((file.as_str(), text));
        }
    }
    trend(&sizes);
    for line in &found {
        println!("tidy: {line}");
    }
    println!("tidy: {} files, {} findings", files.len(), found.len());
    Ok(found.is_empty())
}

/// The files of the repository, tracked or about to be.
fn files() -> Result<Vec<String>, Error> {
    let mut git = Command::new(place::need("git", "git")?);
    git.current_dir(place::root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let (end, out, err) = capture(&mut git, Duration::from_secs(60))?;
    if !end.success() {
        fail!("git ls-files: {}", err.trim());
    }
    Ok(out.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn text_file(file: &str, text: &str, found: &mut Vec<String>) {
    for (a, b) in MACHINE_PATHS {
        let path = format!("{a}{b}");
        for (number, line) in text.lines().enumerate() {
            // `/path/to/work/` and the like are not at the beginning of a path.
            let at_start = |at: usize| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$}>~".contains(c)) || line[..at].is_empty()
            };
            if line.match_indices(&path).any(|(at, _)| at_start(at)) {
                found.push(format!("{file}:{}: a path of somebody's machine ({path})", number + 1));
            }
        }
    }
    if file == "Cargo.lock" {
        let source = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        for line in text.lines().filter(|line| line.starts_with("source = ") && *line != source) {
            found.push(format!("{file}: a package from elsewhere than crates.io: {line}"));
        }
    }
    if file.ends_with(".cargo/config.toml") && (text.contains("[source") || text.contains("[registries")) {
        found.push(format!("{file}: a registry of somebody's machine"));
    }
}

fn rust_file(file: &str, text: &str, found: &mut Vec<String>) {
    let island = ISLANDS.iter().any(|island| file.starts_with(island));
    let in_src = file.contains("/src/") || file.contains("/it/") || file.contains("/benches/");
    // A file of a module's tests is about that module.
    let in_src = in_src && !file.ends_with("/tests.rs");
    if in_src && !text.trim_start().starts_with("//!") && !text.trim_start().starts_with("#!") {
        found.push(format!("{file}: no //! comment that says what the file is about"));
    }
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let code = code_of(line);
        let at = |what: &str| format!("{file}:{}: {what}", index + 1);
        if has_word(&code, concat!("un", "safe")) || code.contains("allow(unsafe_code") {
            if !island {
                found.push(at("unsafe code outside its places"));
            } else if code.contains(concat!("un", "safe {")) && !explained(&lines, index) {
                found.push(at("an unsafe block without a SAFETY comment"));
            }
        }
        if island && code.contains("allow(unsafe_code") {
            found.push(at("#[expect(unsafe_code, reason = ...)] is wanted, not allow"));
        }
        for (a, b) in LEFTOVERS {
            if code.contains(&format!("{a}{b}")) {
                found.push(at(&format!("{a}{b}...) left behind")));
            }
        }
    }
}

/// A line without its comment and without the texts between double quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut text = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if text => {
                chars.next();
            }
            '"' => text = !text,
            '/' if !text && chars.peek() == Some(&'/') => break,
            c if !text => code.push(c),
            _ => {}
        }
    }
    code
}

fn has_word(code: &str, word: &str) -> bool {
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    code.match_indices(word)
        .any(|(at, _)| boundary(code[..at].chars().next_back()) && boundary(code[at + word.len()..].chars().next()))
}

/// Whether a SAFETY comment stands above, over attributes and the lines of the statement.
fn explained(lines: &[&str], index: usize) -> bool {
    const REACH: usize = 12;
    lines[index.saturating_sub(REACH)..=index].iter().any(|line| line.contains("SAFETY:"))
}

fn manifests(found: &mut Vec<String>) -> Result<(), Error> {
    let root = manifest(&place::root())?;
    let members = root.get("workspace").and_then(|table| table.get("members")).and_then(Value::as_array);
    for member in members.into_iter().flatten().filter_map(Value::as_str) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member) else {
            found.push(format!("{member}: a crate that the list of arrows does not know"));
            continue;
        };
        let table = manifest(&place::root().join(member))?;
        let shares = |table: &Table, key: &str| {
            table.get(key).and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
        };
        if !shares(&table, "lints") {
            found.push(format!("{member}/Cargo.toml: [lints] workspace = true is missing"));
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(Value::as_table) else { continue };
            for name in dependencies.keys() {
                let ours = ARROWS.iter().any(|(known, _)| known == name);
                if ours && !allowed.contains(&name.as_str()) {
                    found.push(format!("{member}/Cargo.toml: {member} must not depend on {name}"));
                }
                let misplaced = PLACES.iter().any(|(known, places)| known == name && !places.contains(&member));
                if misplaced && kind == "dependencies" {
                    found.push(format!("{member}/Cargo.toml: {name} does not belong here"));
                }
                if !shares(dependencies, name) {
                    found.push(format!("{member}/Cargo.toml: {name}: versions are shared in the root's manifest"));
                }
            }
        }
    }
    Ok(())
}

fn manifest(dir: &Path) -> Result<Table, Error> {
    let path: PathBuf = dir.join("Cargo.toml");
    match std::fs::read_to_string(&path)?.parse() {
        Ok(table) => Ok(table),
        Err(error) => fail!("{}: {error}", path.display()),
    }
}

/// Prints the longest files and functions.
fn trend(sizes: &[(&str, String)]) {
    let mut files: Vec<(usize, &str)> = sizes.iter().map(|(file, text)| (text.lines().count(), *file)).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let total: usize = files.iter().map(|(lines, _)| lines).sum();
    println!("{} lines of Rust in {} files; longest:", total, files.len());
    for (lines, file) in files.iter().take(5) {
        println!("  {lines:5}  {file}");
    }
    let mut functions: Vec<(usize, String)> = sizes.iter().flat_map(|(file, text)| functions(file, text)).collect();
    functions.sort_unstable_by(|a, b| b.cmp(a));
    println!("longest functions:");
    for (lines, name) in functions.iter().take(5) {
        println!("  {lines:5}  {name}");
    }
}

/// The length of each function, by the indentation that rustfmt gives to its first and last line.
fn functions(file: &str, text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let head = code.split('(').next().unwrap_or_default();
        let Some(name) = head.split_whitespace().skip_while(|word| *word != "fn").nth(1) else { continue };
        if code.starts_with("//") || code.ends_with(';') {
            continue;
        }
        let indent = line.len() - code.len();
        let end = lines[start..].iter().position(|line| line.len() == indent + 1 && line.ends_with('}'));
        if let Some(length) = end {
            functions.push((length + 1, format!("{file}:{} {name}", start + 1)));
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(file: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        text_file(file, text, &mut found);
        rust_file(file, text, &mut found);
        found
    }

    #[test]
    fn unsafe_code_has_its_places() {
        let text = concat!("//! x\nfn f() {\n    un", "safe { g() }\n}\n");
        assert_eq!(findings("engine/src/args.rs", text).len(), 1);
        assert_eq!(findings("engine/src/ds/table.rs", text).len(), 1, "no SAFETY comment");
        let explained = text.replace("    un", "    // SAFETY: g has no conditions.\n    un");
        assert!(findings("engine/src/ds/table.rs", &explained).is_empty());
        assert!(findings("engine/src/a.rs", "//! x\n// unsafe\nlet a = \"unsafe\"; not_unsafe();\n").is_empty());
    }

    #[test]
    fn leftovers_and_machine_paths() {
        let text = format!("//! x\nfn f() {{ {}{}1) }}\n// {}{}x\n", "db", "g!(", "/wo", "rk/");
        assert_eq!(findings("cli/src/a.rs", &text).len(), 2);
        assert!(findings("cli/src/a.rs", "//! x\n// a/work/b\n").is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_about() {
        assert_eq!(findings("cli/src/a.rs", "fn f() {}\n").len(), 1);
    }

    #[test]
    fn functions_are_measured() {
        let text = "pub fn a() {\n    b();\n}\nimpl X {\n    fn c(\n        x: u8,\n    ) {\n    }\n}\n";
        assert_eq!(functions("f", text), [(3, "f:1 a".to_owned()), (4, "f:5 c".to_owned())]);
    }
}
