//! Name → declaration, and the keys of a request.

use std::collections::HashMap;

use crate::command::{Begin, Command, Find, Handler, InvalidArguments, KeyFlags, KeyRef, KeySpec};

/// Longest command name that is looked up, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// A command in its registry.
#[derive(Debug)]
pub struct Entry<H: 'static> {
    /// The declaration. Its `subcommands` are empty: see [`Entry::subcommands`].
    pub command: Command<H>,
    /// `config|get` for a subcommand, else the name.
    pub full_name: String,
    /// Dense number, usable as an index.
    pub id: usize,
    /// Ids of the subcommands.
    pub subcommands: Vec<usize>,
    /// Id of the container.
    pub parent: Option<usize>,
}

/// All commands of a server or an engine.
#[derive(Debug)]
pub struct Registry<H: 'static> {
    entries: Vec<Entry<H>>,
    /// Lower-case names of top-level commands, and full names of subcommands.
    by_name: HashMap<Box<[u8]>, usize, ahash::RandomState>,
}

impl<H: Handler> Default for Registry<H> {
    fn default() -> Self {
        Registry { entries: Vec::new(), by_name: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)) }
    }
}

impl<H: Handler> Registry<H> {
    /// Adds a command with its subcommands; `wrap` turns its handlers into this registry's.
    ///
    /// # Panics
    /// When a name is declared twice: that is a mistake in the declarations.
    pub fn add<K: Handler>(&mut self, command: &Command<K>, wrap: impl Fn(K) -> H + Copy) {
        let parent = self.insert(command.with_handler(wrap(command.run)), command.name.to_owned(), None);
        for sub in command.subcommands {
            let full_name = format!("{}|{}", command.name, sub.name);
            let id = self.insert(sub.with_handler(wrap(sub.run)), full_name, Some(parent));
            self.entries[parent].subcommands.push(id);
        }
    }

    fn insert(&mut self, command: Command<H>, full_name: String, parent: Option<usize>) -> usize {
        assert!(full_name.len() <= NAME_LEN_MAX, "the name {full_name} is too long to be looked up");
        assert_eq!(full_name, full_name.to_ascii_lowercase(), "names are declared in lower case");
        let id = self.entries.len();
        let before = self.by_name.insert(full_name.clone().into_bytes().into_boxed_slice(), id);
        assert!(before.is_none(), "the command {full_name} is declared twice");
        self.entries.push(Entry { command, full_name, id, subcommands: Vec::new(), parent });
        id
    }

    /// All entries, in order of declaration, subcommands behind their container.
    #[must_use]
    pub fn entries(&self) -> &[Entry<H>] {
        &self.entries
    }

    /// The entry of this id.
    #[must_use]
    pub fn get(&self, id: usize) -> &Entry<H> {
        &self.entries[id]
    }

    /// The command of this name (`get`, `config|get`), ASCII case aside.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Entry<H>> {
        let mut lower = [0; NAME_LEN_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.by_name.get(&*lower).map(|&id| &self.entries[id])
    }

    /// The subcommand of `container` with this name, ASCII case aside.
    #[must_use]
    pub fn find_subcommand(&self, container: &Entry<H>, name: &[u8]) -> Option<&Entry<H>> {
        container
            .subcommands
            .iter()
            .map(|&id| &self.entries[id])
            .find(|sub| sub.command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Takes a command out, and puts it back under another name if one is given (`rename-command`).
    pub fn rename(&mut self, name: &[u8], to: Option<&[u8]>) -> Result<(), RenameError> {
        let name = name.to_ascii_lowercase();
        let id = *self.by_name.get(&*name).ok_or(RenameError::Unknown)?;
        if let Some(to) = to {
            let to = to.to_ascii_lowercase();
            if self.by_name.contains_key(&*to) || to.len() > NAME_LEN_MAX {
                return Err(RenameError::Taken);
            }
            self.by_name.insert(to.into_boxed_slice(), id);
        }
        self.by_name.remove(&*name);
        Ok(())
    }
}

/// Why a command could not be renamed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// There is no such command.
    Unknown,
    /// The new name exists already.
    Taken,
}

/// Appends the keys of a request to `keys`.
///
/// # Errors
/// When the arguments do not allow it: a count that is no number or too large.
pub fn find_keys<H>(command: &Command<H>, argv: &[&[u8]], keys: &mut Vec<KeyRef>) -> Result<(), InvalidArguments> {
    if let Some(find) = command.find_keys {
        return find(argv, keys);
    }
    command.keys.iter().try_for_each(|spec| keys_of_spec(spec, argv, keys))
}

/// Appends the keys that one spec finds.
///
/// # Errors
/// As [`find_keys`].
pub fn keys_of_spec(spec: &KeySpec, argv: &[&[u8]], keys: &mut Vec<KeyRef>) -> Result<(), InvalidArguments> {
    if spec.flags.contains(KeyFlags::NOT_KEY) {
        return Ok(());
    }
    let Some(begin) = begin_of(spec, argv) else { return Ok(()) };
    let (first, last, step) = match spec.find {
        Find::Unknown => return Ok(()),
        Find::Range { last, step, limit } => {
            let end = argv.len() as i64 - 1;
            let last = match last {
                0.. => begin as i64 + i64::from(last),
                -1 if limit > 1 => begin as i64 + (argv.len() as i64 - begin as i64) / i64::from(limit) - 1,
                _ => argv.len() as i64 + i64::from(last),
            };
            if last > end || last < begin as i64 {
                return Err(InvalidArguments);
            }
            (begin, last as usize, step as usize)
        }
        Find::Count { count, first, step } => {
            let n = argv
                .get(begin + count as usize)
                .and_then(|text| resp::number::parse_i64(text))
                .ok_or(InvalidArguments)?;
            if n == 0 {
                return Ok(());
            }
            let first = begin + first as usize;
            let last = usize::try_from(n)
                .ok()
                .and_then(|n| (n - 1).checked_mul(step as usize))
                .and_then(|n| n.checked_add(first));
            match last {
                Some(last) if last < argv.len() => (first, last, step as usize),
                _ => return Err(InvalidArguments),
            }
        }
    };
    keys.extend((first..=last).step_by(step.max(1)).map(|index| KeyRef { index, flags: spec.flags }));
    Ok(())
}

fn begin_of(spec: &KeySpec, argv: &[&[u8]]) -> Option<usize> {
    match spec.begin {
        Begin::Unknown => None,
        Begin::Index(index) => Some(index as usize).filter(|&index| index < argv.len()),
        Begin::Keyword { word, from } => {
            let is_word = |&index: &usize| argv[index].eq_ignore_ascii_case(word.as_bytes());
            let found = match from {
                0.. => (from as usize..argv.len()).find(is_word),
                _ => (1..argv.len().saturating_sub(from.unsigned_abs() as usize - 1)).rev().find(is_word),
            };
            found.map(|index| index + 1).filter(|&index| index < argv.len())
        }
    }
}
