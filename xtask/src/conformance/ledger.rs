//! `tests/conformance/ledger.toml`: what of the suite we cover, and what we expect to fail.
//!
//! ```toml
//! [[file]]
//! name = "unit/expire"      # as the suite names it
//! passes = 70               # cases that pass; fewer is a failure
//! limit = 900               # seconds that the file may take; 600 when absent
//! ci = false                # too long for every change; true when absent
//! tags = "-cluster"         # blocks that are left out by their tag; their cases are listed with skip = true
//!
//! [[case]]
//! file = "unit/expire"
//! name = "All time-to-live(TTL) in commands are propagated as absolute timestamp in milliseconds in AOF"
//! waits = "aof"             # what it waits for; or: declined = "a reason that a user would accept"
//! nth = 2                   # of several cases with this name; all of them when absent
//! skip = true               # not even run: it would hang or take minutes
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Table, Value};

use super::run::{FileRun, Outcome};
use crate::{Error, fail, place};

/// Seconds that a file may take, when the ledger says nothing.
const LIMIT: u64 = 600;

/// A file of the suite that we cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// For instance `unit/type/list`.
    pub(crate) name: String,
    /// How many cases pass at least.
    pub(crate) passes: usize,
    /// Longest run, in seconds.
    pub(crate) limit: u64,
    /// Whether it is run for every change.
    pub(crate) ci: bool,
    /// Tags to leave out or to keep, as the suite's `--tags` wants them.
    pub(crate) tags: Option<String>,
}

/// Why a case is not expected to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// A part that is still to come.
    Waits(String),
    /// Something that we do not mean to do.
    Declined(String),
}

/// A case that is not expected to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    /// Which of the cases of this name, from 1; all when absent.
    pub(crate) nth: Option<usize>,
    pub(crate) why: Why,
    /// Not run at all.
    pub(crate) skip: bool,
}

/// The whole ledger.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) files: Vec<File>,
    pub(crate) cases: Vec<Case>,
}

/// Where the ledger lies.
pub(crate) fn path() -> PathBuf {
    place::root().join("tests/conformance/ledger.toml")
}

impl Ledger {
    /// Reads the ledger of the workspace.
    pub(crate) fn load() -> Result<Ledger, Error> {
        match Ledger::parse(&std::fs::read_to_string(path())?) {
            Ok(ledger) => Ok(ledger),
            Err(Error(text)) => fail!("{}: {text}", path().display()),
        }
    }

    fn parse(text: &str) -> Result<Ledger, Error> {
        let mut table: Table = text.parse()?;
        let mut ledger = Ledger::default();
        for entry in entries(&mut table, "file")? {
            let mut entry = Entry(entry);
            let file = File {
                name: entry.text("name")?.unwrap_or_default(),
                passes: entry.number("passes")?.unwrap_or(0),
                limit: entry.number("limit")?.map_or(LIMIT, |limit| limit as u64),
                ci: entry.flag("ci")?.unwrap_or(true),
                tags: entry.text("tags")?,
            };
            entry.end(&file.name)?;
            if file.name.is_empty() || ledger.file(&file.name).is_some() {
                fail!("a file without a name, or twice: '{}'", file.name);
            }
            ledger.files.push(file);
        }
        for entry in entries(&mut table, "case")? {
            let mut entry = Entry(entry);
            let name = entry.text("name")?.unwrap_or_default();
            let why = match (entry.text("waits")?, entry.text("declined")?) {
                (Some(what), None) if !what.is_empty() => Why::Waits(what),
                (None, Some(reason)) if !reason.is_empty() => Why::Declined(reason),
                _ => fail!("case '{name}' needs either waits = \"what\" or declined = \"reason\""),
            };
            let file = entry.text("file")?.unwrap_or_default();
            let case = Case { file, name, nth: entry.number("nth")?, why, skip: entry.flag("skip")?.unwrap_or(false) };
            entry.end(&case.name)?;
            if ledger.file(&case.file).is_none() {
                fail!("case '{}' is in file '{}', which is not covered", case.name, case.file);
            }
            if case.skip && case.nth.is_some() {
                fail!("case '{}': only all cases of a name can be left out (skip without nth)", case.name);
            }
            ledger.cases.push(case);
        }
        match table.keys().next() {
            Some(key) => fail!("unknown key '{key}'"),
            None => Ok(ledger),
        }
    }

    /// The entry of a file.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The listed cases of a file.
    pub(crate) fn cases_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Case> + use<'a> {
        self.cases.iter().filter(move |case| case.file == file)
    }

    /// Compares what happened with what is expected.
    pub(crate) fn judge(&self, run: &FileRun) -> Judgement {
        let mut judgement = Judgement::default();
        let mut seen: BTreeMap<usize, bool> = BTreeMap::new();
        for result in &run.cases {
            let position = self.cases.iter().position(|case| {
                case.file == run.file && case.name == result.name && case.nth.is_none_or(|nth| nth == result.nth)
            });
            let Some(position) = position else {
                match result.outcome {
                    Outcome::Passed => judgement.passed += 1,
                    Outcome::Failed => judgement.unexpected.push((result.name.clone(), result.nth)),
                }
                continue;
            };
            match self.cases[position].why {
                Why::Waits(_) => judgement.waiting += 1,
                Why::Declined(_) => judgement.declined += 1,
            }
            let all_passed = seen.entry(position).or_insert(true);
            *all_passed &= result.outcome == Outcome::Passed;
        }
        for (position, case) in self.cases.iter().enumerate().filter(|(_, case)| case.file == run.file) {
            match (seen.get(&position), case.skip) {
                (Some(true), _) => judgement.now_passing.push(case.name.clone()),
                (Some(false), _) => {}
                (None, true) => match case.why {
                    Why::Waits(_) => judgement.waiting += 1,
                    Why::Declined(_) => judgement.declined += 1,
                },
                (None, false) if run.complete() => judgement.never_run.push(case.name.clone()),
                (None, false) => {}
            }
        }
        let at_least = self.file(&run.file).map_or(0, |file| file.passes);
        if judgement.passed < at_least && judgement.unexpected.is_empty() {
            judgement.missing = at_least - judgement.passed;
        }
        judgement.more = judgement.passed.saturating_sub(at_least);
        judgement.broken_off = !run.complete();
        judgement
    }
}

/// A TOML string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What a run of a file means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Passed and not listed.
    pub(crate) passed: usize,
    /// Listed as waiting or declined; run or left out.
    pub(crate) waiting: usize,
    pub(crate) declined: usize,
    /// Failed and not listed: name and occurrence.
    pub(crate) unexpected: Vec<(String, usize)>,
    /// Listed, but passed.
    pub(crate) now_passing: Vec<String>,
    /// Listed, but not in the file.
    pub(crate) never_run: Vec<String>,
    /// How many cases fewer than expected passed, although none failed: they were not run.
    pub(crate) missing: usize,
    /// How many cases more than expected passed.
    pub(crate) more: usize,
    /// The file did not come to its end.
    pub(crate) broken_off: bool,
}

impl Judgement {
    /// Whether all is as the ledger says.
    pub(crate) fn good(&self) -> bool {
        self.unexpected.is_empty()
            && self.now_passing.is_empty()
            && self.never_run.is_empty()
            && self.missing == 0
            && !self.broken_off
    }

    /// Whether another run could turn out better: what is to be removed from the ledger stays so.
    pub(crate) fn worth_another_run(&self) -> bool {
        !self.unexpected.is_empty() || self.missing > 0 || self.broken_off
    }
}

fn entries(table: &mut Table, key: &str) -> Result<Vec<Table>, Error> {
    let Some(value) = table.remove(key) else { return Ok(Vec::new()) };
    let Value::Array(values) = value else { fail!("'{key}' is not a list") };
    let mut tables = Vec::new();
    for value in values {
        let Value::Table(table) = value else { fail!("an entry of '{key}' is not a table") };
        tables.push(table);
    }
    Ok(tables)
}

/// A table whose keys are taken out one by one, so that a misspelt one is noticed.
struct Entry(Table);

impl Entry {
    fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => fail!("{key} = {other:?}: a string is expected"),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<usize>, Error> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if number > 0 => Ok(Some(usize::try_from(number)?)),
            Some(other) => fail!("{key} = {other:?}: a number above 0 is expected"),
        }
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, Error> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(other) => fail!("{key} = {other:?}: true or false is expected"),
        }
    }

    fn end(self, name: &str) -> Result<(), Error> {
        match self.0.keys().next() {
            Some(key) => fail!("unknown key '{key}' at '{name}'"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::parse;
    use super::*;

    fn ledger(cases: &str) -> Ledger {
        Ledger::parse(&format!("[[file]]\nname = \"u\"\npasses = 2\n{cases}")).unwrap()
    }

    fn judge(ledger: &Ledger, output: &str) -> Judgement {
        let run =
            FileRun { file: "u".to_owned(), ended: true, ..parse(&format!("{output}[1/1 done]: u (1 seconds)\n")) };
        ledger.judge(&run)
    }

    #[test]
    fn as_expected() {
        let ledger = ledger("[[case]]\nfile = \"u\"\nname = \"c\"\nwaits = \"aof\"\n");
        let judgement = judge(&ledger, "[ok]: a (1 ms)\n[ok]: b (1 ms)\n[err]: c in tests/u.tcl\nwhy\n");
        assert!(judgement.good(), "{judgement:?}");
        assert_eq!((judgement.passed, judgement.waiting), (2, 1));
    }

    #[test]
    fn a_failure_that_is_not_listed() {
        let judgement = judge(&ledger(""), "[ok]: a (1 ms)\n[ok]: b (1 ms)\n[err]: c in tests/u.tcl\n");
        assert_eq!(judgement.unexpected, [("c".to_owned(), 1)]);
        assert!(!judgement.good() && judgement.worth_another_run());
    }

    #[test]
    fn a_listed_case_that_passes_must_be_removed() {
        let ledger = ledger("[[case]]\nfile = \"u\"\nname = \"c\"\ndeclined = \"no\"\nnth = 2\n");
        let judgement = judge(&ledger, "[ok]: a (1 ms)\n[ok]: c (1 ms)\n[ok]: c (1 ms)\n");
        assert_eq!(judgement.now_passing, ["c"]);
        assert!(!judgement.good() && !judgement.worth_another_run());
    }

    #[test]
    fn a_name_that_is_listed_once_for_several_cases() {
        let ledger = ledger("[[case]]\nfile = \"u\"\nname = \"c\"\ndeclined = \"no\"\n");
        let judgement = judge(&ledger, "[ok]: a (1 ms)\n[ok]: b (1 ms)\n[ok]: c (1 ms)\n[err]: c in tests/u.tcl\n");
        assert!(judgement.good(), "one of two failed: {judgement:?}");
    }

    #[test]
    fn cases_that_are_no_longer_run_are_missed() {
        let judgement = judge(&ledger(""), "[ok]: a (1 ms)\n[ignore]: b: why\n");
        assert_eq!(judgement.missing, 1);
        assert!(!judgement.good());
    }

    #[test]
    fn entries_that_name_nothing() {
        let ledger = ledger("[[case]]\nfile = \"u\"\nname = \"gone\"\nwaits = \"aof\"\n");
        assert_eq!(judge(&ledger, "[ok]: a (1 ms)\n[ok]: b (1 ms)\n").never_run, ["gone"]);
    }

    #[test]
    fn quoted_strings_come_back() {
        for text in ["plain", "a \"b\" \\c", "tab\there", "é"] {
            let table: Table = format!("name = {}", quoted(text)).parse().unwrap();
            assert_eq!(table["name"].as_str(), Some(text));
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "[[file]]\nname = \"u\"\nlimits = 3\n",
            "[[file]]\nname = \"u\"\n[[file]]\nname = \"u\"\n",
            "[[file]]\nname = \"u\"\n[[case]]\nfile = \"u\"\nname = \"c\"\n",
            "[[case]]\nfile = \"u\"\nname = \"c\"\nwaits = \"aof\"\n",
            "files = 1\n",
        ] {
            assert!(Ledger::parse(text).is_err(), "{text}");
        }
    }
}
