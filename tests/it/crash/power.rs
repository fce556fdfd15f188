//! Losing power: the server notes what became durable (DEBUG DISK-JOURNAL), and of the rest as much is cut off as a die says.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::Client;

use super::model::Dice;

/// The folder of the append-only file.
const FOLDER: &str = "appendonlydir";

/// What is durable of the files of a server.
pub(super) struct Journal {
    dir: PathBuf,
    /// Lengths when the journal began: all of it was there after the last loss of power.
    before: HashMap<PathBuf, u64>,
}

impl Journal {
    pub(super) fn start(client: &mut Client, dir: &Path) -> Journal {
        let _ = fs::remove_file(dir.join("journal"));
        assert_eq!(client.call(&["DEBUG", "DISK-JOURNAL", "journal"]).to_string(), "+OK");
        Journal { dir: dir.to_owned(), before: files(dir) }
    }

    /// How long the disk took at most for what it was asked to make durable, and has been at it at `now`. What is written
    /// while it is busy cannot become durable before it is asked again.
    pub(super) fn busy(&self, now: SystemTime) -> Duration {
        let journal = fs::read_to_string(self.dir.join("journal")).expect("there is a journal");
        let mut begun: HashMap<&str, u64> = HashMap::new();
        let mut longest = 0;
        let files = journal.lines().filter(|line| line.contains(FOLDER));
        for line in files {
            let mut parts = line.split(' ');
            let (kind, time) = (parts.next().expect("a kind"), parts.next().expect("a time"));
            let Ok(time) = time.parse::<u64>() else { continue };
            let path = parts.next_back().expect("a path");
            match kind {
                "begin" => drop(begun.insert(path, time)),
                _ => longest = longest.max(time.saturating_sub(begun.remove(path).unwrap_or(time))),
            }
        }
        let now = now.duration_since(UNIX_EPOCH).expect("after the epoch").as_millis() as u64;
        let unfinished = begun.values().map(|&begin| now.saturating_sub(begin)).max().unwrap_or(0);
        Duration::from_millis(longest + unfinished)
    }

    /// Cuts off what may be lost. Names are not lost here: the unit tests of the folder do that.
    pub(super) fn lose_power(self, dice: &mut Dice) {
        let mut durable = self.before;
        let journal = fs::read_to_string(self.dir.join("journal")).expect("there is a journal");
        let mut renaming = None;
        let rename = |durable: &mut HashMap<PathBuf, u64>, (from, to): (&str, &str)| {
            let len = durable.remove(Path::new(from)).unwrap_or(0);
            durable.insert(PathBuf::from(to), len);
        };
        for line in journal.lines() {
            match line.split_once(' ').expect("two parts") {
                ("begin", _) => {}
                ("sync", rest) => {
                    let mut rest = rest.splitn(3, ' ').skip(1);
                    let (len, path) = (rest.next().expect("a length"), rest.next().expect("a path"));
                    let kept = durable.entry(PathBuf::from(path)).or_default();
                    let len = len.parse().expect("a number");
                    // Two threads may sync a file at a time: the one that began with less may note it later. A temporary
                    // file begins anew.
                    *kept = if is_temporary(Path::new(path)) { len } else { len.max(*kept) };
                }
                ("rename", rest) => renaming = rest.split_once('\t'),
                ("renamed", _) => rename(&mut durable, renaming.take().expect("it was begun")),
                (other, _) => panic!("the journal says {other}"),
            }
        }
        // The last one may have been done or not: the name is used again only after that was noted.
        if let Some(names) = renaming.filter(|(from, _)| !self.dir.join(from).exists()) {
            rename(&mut durable, names);
        }
        for (path, len) in files(&self.dir) {
            let kept = durable.get(&path).copied().unwrap_or(0);
            assert!(is_temporary(&path) || kept <= len, "{} has shrunk", path.display());
            let unsynced = len.saturating_sub(kept);
            let file = fs::File::options().write(true).open(self.dir.join(&path)).expect("it is there");
            file.set_len(len - unsynced + dice.below(unsynced + 1)).expect("it can be cut off");
        }
    }
}

/// Whether a file begins anew when its name is used again.
fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("temp-"))
}

/// The files, with their lengths.
fn files(dir: &Path) -> HashMap<PathBuf, u64> {
    let entries = fs::read_dir(dir.join(FOLDER)).expect("there is a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| (Path::new(FOLDER).join(entry.file_name()), entry.metadata().expect("it is there").len()))
        .collect()
}
