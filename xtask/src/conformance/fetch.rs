//! Finds the official test suite, or fetches it.
//!
//! In this order: a folder that is given, one that `REDIS_SUITE` names, an earlier download under `target/`, a
//! clone of the release's tag, and the source package of a Debian mirror. The last way uses apt with folders of its
//! own, so that it needs no rights and changes nothing of the machine's configuration. What is fetched never enters
//! the repository: the suite's licence is not ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::capture;
use crate::{Error, fail, place};

/// The release whose suite we run.
pub(crate) const RELEASE: &str = "8.0.6";

const REPOSITORY: &str = "https://github.com/redis/redis";
/// What the harness needs of a source tree.
const PARTS: [&str; 7] =
    ["runtest", "runtest-cluster", "runtest-sentinel", "runtest-moduleapi", "tests", "utils", "modules/vector-sets"];

/// The suite's root folder: the one with `runtest` and `tests/`.
pub(crate) fn suite(given: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(dir) = given {
        return checked(dir);
    }
    if let Some(dir) = std::env::var_os("REDIS_SUITE") {
        return checked(Path::new(&dir));
    }
    let cache = place::scratch("conformance")?.join(format!("suite-{RELEASE}"));
    if complete(&cache) {
        return Ok(cache);
    }
    let work = place::scratch("conformance/fetch")?;
    println!("fetching the test suite of Redis {RELEASE}");
    let outcome = match clone(&work) {
        Ok(tree) => keep(&tree, &cache),
        Err(Error(cloning)) => match source_package(&work).and_then(|tree| keep(&tree, &cache)) {
            Ok(()) => Ok(()),
            Err(Error(package)) => fail!(
                "the test suite could not be fetched, neither by git ({cloning}) nor as a source package ({package}); \
                 give a folder with --suite DIR or REDIS_SUITE"
            ),
        },
    };
    std::fs::remove_dir_all(&work)?;
    outcome.map(|()| cache)
}

fn complete(dir: &Path) -> bool {
    dir.join("runtest").is_file() && dir.join("tests/test_helper.tcl").is_file()
}

fn checked(dir: &Path) -> Result<PathBuf, Error> {
    if !complete(dir) {
        fail!("{} holds no test suite: runtest and tests/test_helper.tcl are looked for", dir.display());
    }
    Ok(std::fs::canonicalize(dir)?)
}

/// Moves the parts that we need from a source tree to the cache; complete or not at all.
fn keep(tree: &Path, cache: &Path) -> Result<(), Error> {
    checked(tree)?;
    let half = cache.with_extension("part");
    let _ = std::fs::remove_dir_all(&half);
    for part in PARTS {
        let (from, to) = (tree.join(part), half.join(part));
        if from.exists() {
            std::fs::create_dir_all(to.parent().expect("has a parent"))?;
            std::fs::rename(from, to)?;
        }
    }
    let _ = std::fs::remove_dir_all(cache);
    std::fs::rename(half, cache)?;
    Ok(())
}

/// A shallow clone. Asks first whether the host answers at all, which fails within seconds where it does not.
fn clone(work: &Path) -> Result<PathBuf, Error> {
    let git = place::need("git", "git")?;
    let quiet = |limit: u64, args: &[&str]| {
        let mut command = Command::new(&git);
        command.env("GIT_TERMINAL_PROMPT", "0").args(args);
        match capture(&mut command, Duration::from_secs(limit))? {
            (end, ..) if end.success() => Ok(()),
            (_, _, err) => fail!("{}", err.lines().last().unwrap_or("no answer in time")),
        }
    };
    let tree = work.join("clone");
    quiet(15, &["ls-remote", "--exit-code", REPOSITORY, &format!("refs/tags/{RELEASE}")])?;
    quiet(300, &["clone", "--quiet", "--depth", "1", "--branch", RELEASE, REPOSITORY, &tree.to_string_lossy()])?;
    Ok(tree)
}

/// The newest 8.0.x of Debian's source packages, from the mirror that this machine uses.
fn source_package(work: &Path) -> Result<PathBuf, Error> {
    place::need("apt-get", "apt")?;
    let mirror = mirror();
    let mut reason = String::new();
    // A release that is younger than this machine's keyring cannot be verified. The archive is test input, which
    // is run with the rights of whoever runs tests; so such a mirror is used as a last resort, and named.
    for (signature, note) in [(mirror.signed_by.as_deref(), ""), (None, "without a check of its signature: ")] {
        if signature.is_none() && note.is_empty() {
            continue;
        }
        match package_from(work, &mirror.uri, signature) {
            Ok(tree) => {
                if !note.is_empty() {
                    println!("note: fetched {note}{reason}");
                }
                return Ok(tree);
            }
            Err(Error(text)) => reason = text,
        }
    }
    fail!("{reason}")
}

fn package_from(work: &Path, uri: &str, signed_by: Option<&str>) -> Result<PathBuf, Error> {
    let home = work.join("apt");
    let _ = std::fs::remove_dir_all(&home);
    for dir in ["parts", "lists/partial", "cache/archives/partial", "down"] {
        std::fs::create_dir_all(home.join(dir))?;
    }
    let trust = signed_by.map_or("Trusted: yes".to_owned(), |key| format!("Signed-By: {key}"));
    for suite in ["trixie", "sid"] {
        let entry = format!("Types: deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{trust}\n");
        std::fs::write(home.join("parts").join(format!("{suite}.sources")), entry)?;
    }
    let apt = |program: &str, limit: u64, args: &[&str]| -> Result<String, Error> {
        let mut command = Command::new(program);
        command.current_dir(home.join("down")).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-q", "-o", "Dir::Etc::SourceList=/dev/null"]);
        for (option, dir) in [("Etc::SourceParts", "parts"), ("State::Lists", "lists"), ("Cache", "cache")] {
            command.arg("-o").arg(format!("Dir::{option}={}", home.join(dir).display()));
        }
        // As root, apt would drop to a user who may not see this folder.
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]).args(args);
        match capture(&mut command, Duration::from_secs(limit))? {
            (end, out, _) if end.success() => Ok(out),
            (_, out, err) => fail!(
                "{program} {}: {}",
                args[0],
                err.lines().chain(out.lines()).find(|line| line.starts_with("E:")).unwrap_or("failed or took too long")
            ),
        }
    };
    apt("apt-get", 300, &["update"])?;
    let known = apt("apt-cache", 60, &["showsrc", "redis"])?;
    let Some(version) = newest(&known) else { fail!("{uri} has no source package of Redis 8.0") };
    println!("source package redis {version} from {uri}");
    apt("apt-get", 300, &["source", "--download-only", &format!("redis={version}")])?;
    let down = home.join("down");
    let archive = std::fs::read_dir(&down)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains(".orig.tar."));
    let Some(archive) = archive else { fail!("the source package holds no original archive") };
    let tree = home.join("tree");
    std::fs::create_dir_all(&tree)?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(&tree).arg("--strip-components=1");
    let (end, _, err) = capture(&mut tar, Duration::from_secs(120))?;
    if !end.success() {
        fail!("tar: {}", err.trim());
    }
    Ok(tree)
}

/// The newest version of 8.0 that `apt-cache showsrc` lists.
fn newest(showsrc: &str) -> Option<String> {
    let patch = |version: &str| -> Option<u32> {
        let upstream = version.rsplit(':').next()?.strip_prefix("8.0.")?;
        upstream.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let versions = showsrc.lines().filter_map(|line| line.strip_prefix("Version: "));
    versions.filter_map(|version| Some((patch(version)?, version))).max().map(|(_, version)| version.to_owned())
}

/// A mirror of Debian's archive.
struct Mirror {
    uri: String,
    /// The keyring that signs it, if the machine names or has one.
    signed_by: Option<String>,
}

/// The mirror of the machine's own source list, or the well-known one.
fn mirror() -> Mirror {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut files: Vec<PathBuf> = vec!["/etc/apt/sources.list".into()];
    if let Ok(dir) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(dir.filter_map(|entry| Some(entry.ok()?.path())));
    }
    let words = files.iter().filter(|file| file.extension().is_some_and(|e| e == "sources" || e == "list"));
    let text: String = words.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let uri = archive_uri(&text).unwrap_or_else(|| "http://deb.debian.org/debian".to_owned());
    Mirror { uri, signed_by: Path::new(keyring).exists().then(|| keyring.to_owned()) }
}

/// The first address in a source list that is Debian's main archive: its last part is `debian`.
fn archive_uri(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    words
        .find(|word| {
            let path = word.trim_end_matches('/');
            word.contains("://") && path.rsplit('/').next() == Some("debian")
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_is_of_the_8_0_line_and_compared_as_a_number() {
        let list = "Package: redis\nVersion: 5:8.0.2-3+deb13u2\n\nVersion: 5:8.0.10-1\nVersion: 5:8.2.1-1\nVersion: 5:8.0.6-3\n";
        assert_eq!(newest(list).as_deref(), Some("5:8.0.10-1"));
        assert_eq!(newest("Version: 5:7.0.15-1\n"), None);
    }

    #[test]
    fn archive_uri_is_the_main_archive() {
        let list = "Types: deb\n# http://old/debian\nURIs: http://x/debian-security\nSuites: a\n\nURIs: http://mirror/debian/\n";
        assert_eq!(archive_uri(list).as_deref(), Some("http://mirror/debian/"));
        assert_eq!(archive_uri("deb http://archive.ubuntu.com/ubuntu noble main"), None);
    }
}
