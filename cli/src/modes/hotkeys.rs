//! `--hotkeys`: walks the keyspace and tells the keys that are used most. Only a server that evicts by frequency
//! counts this.

use std::process::ExitCode;

use resp::inline::quote;

use crate::connection::Error;
use crate::modes::failed;
use crate::modes::sample::{Display, Question, Walk};
use crate::session::Session;

/// How many keys are told.
const TOP: usize = 16;

pub(crate) async fn run(mut session: Session, tty: bool) -> ExitCode {
    let mut walk = match Walk::start(&mut session, Question::Frequency).await {
        Ok(walk) => walk,
        Err(code) => return code,
    };
    session.write(
        b"\n# Scanning the entire keyspace to find hot keys as well as\n\
          # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
          # per 100 SCAN commands (not usually needed).\n\n",
    );
    match search(&mut session, &mut walk, tty).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// The keys used most, the most used first; of equals the one met first.
#[derive(Debug, Default)]
struct Hottest(Vec<(u64, String)>);

impl Hottest {
    /// True when the key is among them now.
    fn add(&mut self, counter: u64, name: &str) -> bool {
        let place = self.0.partition_point(|(other, _)| *other >= counter);
        if counter == 0 || place >= TOP {
            return false;
        }
        self.0.insert(place, (counter, name.to_owned()));
        self.0.truncate(TOP);
        true
    }
}

async fn search(session: &mut Session, walk: &mut Walk, tty: bool) -> Result<(), Error> {
    let mut display = Display::new(tty);
    let mut hottest = Hottest::default();
    while let Some(answers) = walk.next(session).await? {
        let percent = walk.progress.percent();
        let mut out = String::new();
        for answer in answers {
            walk.progress.sampled += 1;
            let name = quote(&answer.key);
            if hottest.add(answer.frequency, &name) {
                let counter = answer.frequency;
                out.push_str(&format!("[{percent:05.2}%] Hot key {name} found so far with counter {counter}\n"));
            }
        }
        if display.is_on() {
            display.draw(session, walk.progress.percent(), &format!("Keys sampled: {}", walk.progress.sampled));
        } else {
            session.write(out.as_bytes());
        }
    }
    let mut out = format!("\n-------- summary -------\n\nSampled {} keys in the keyspace!\n", walk.progress.sampled);
    for (counter, name) in &hottest.0 {
        out.push_str(&format!("hot key found with counter: {counter}\tkeyname: {name}\n"));
    }
    session.write(out.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_used_first_and_equals_as_met() {
        let mut hottest = Hottest::default();
        assert!(!hottest.add(0, "never"));
        for (counter, name) in [(3, "a"), (5, "b"), (3, "c"), (9, "d")] {
            assert!(hottest.add(counter, name));
        }
        let names: Vec<&str> = hottest.0.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["d", "b", "a", "c"]);
        (0..TOP).for_each(|_| _ = hottest.add(7, "many"));
        assert_eq!(hottest.0.len(), TOP);
        assert!(!hottest.add(7, "late"));
        assert!(hottest.add(8, "hot"));
    }
}
