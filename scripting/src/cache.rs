//! Compiled scripts by the SHA1 sum of their text. Those that EVAL brought are kept as long as they are among the
//! 500 used last; those of SCRIPT LOAD stay.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use sha1::{Digest, Sha1};

use crate::shebang::Flags;
use crate::vm::Script;

/// Scripts of EVAL that are kept.
pub const EVAL_SCRIPTS_MAX: usize = 500;

/// The SHA1 sum of a script, in lower-case hexadecimal digits.
pub type Sha = [u8; 40];

/// The SHA1 sum of `text`.
#[must_use]
pub fn sha1_hex(text: &[u8]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let sum = Sha1::digest(text);
    std::array::from_fn(|i| {
        let byte = sum[i / 2];
        DIGITS[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}

/// A sum is as good as random: a few of its digits are its hash.
#[derive(Debug, Default)]
struct ShaHasher(u64);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (mut word, digits) = ([0; 8], &bytes[bytes.len().saturating_sub(16)..]);
        for (index, digit) in digits.iter().enumerate() {
            word[index / 2] = (word[index / 2] << 4) | (digit & 15) ^ (digit >> 6);
        }
        self.0 = u64::from_le_bytes(word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    // The length, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Texts whose sums are remembered; a power of two.
const RECENT: usize = 32;

/// Where the sum of a text is remembered: by its length and both ends.
fn place_of(text: &[u8]) -> usize {
    let ends = text.iter().take(12).chain(text.iter().rev().take(12));
    let hash = ends.fold(text.len(), |hash, &byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
    (hash ^ (hash >> 16)) % RECENT
}

/// A cached script.
#[derive(Debug)]
pub struct Entry {
    /// The compiled script.
    pub script: Script,
    /// What it may do.
    pub flags: Flags,
    /// Its text.
    pub body: Box<[u8]>,
    /// When it was used last, in uses of the cache; 0: it stays.
    used: u64,
}

/// The cache.
#[derive(Debug, Default)]
pub struct Cache {
    by_sha: HashMap<Sha, Entry, BuildHasherDefault<ShaHasher>>,
    /// Sums of texts that were given to EVAL, where a look at the text says.
    recent: [Option<Sha>; RECENT],
    /// Scripts that may go, by their last use.
    by_use: BTreeMap<u64, Sha>,
    uses: u64,
    bytes: usize,
}

impl Cache {
    /// Number of scripts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_sha.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_sha.is_empty()
    }

    /// Bytes of the scripts' texts and of the cache itself.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.by_sha.capacity() * (size_of::<Sha>() + size_of::<Entry>())
    }

    /// Whether there is a script of this sum.
    #[must_use]
    pub fn contains(&self, sha: &Sha) -> bool {
        self.by_sha.contains_key(sha)
    }

    /// The script of this sum, without counting a use.
    #[must_use]
    pub fn peek(&self, sha: &Sha) -> Option<&Entry> {
        self.by_sha.get(sha)
    }

    /// The script of this sum: a use.
    pub fn get(&mut self, sha: &Sha) -> Option<&Entry> {
        let entry = self.by_sha.get_mut(sha)?;
        // Used last already: its place stays.
        if entry.used != 0 && entry.used != self.uses {
            self.uses += 1;
            self.by_use.remove(&entry.used);
            self.by_use.insert(self.uses, *sha);
            entry.used = self.uses;
        }
        Some(entry)
    }

    /// The SHA1 sum of a text: remembered, or computed.
    pub fn sha_of(&mut self, text: &[u8]) -> Sha {
        let place = place_of(text);
        if let Some(sha) = &self.recent[place]
            && self.by_sha.get(sha).is_some_and(|entry| *entry.body == *text)
        {
            return *sha;
        }
        let sha = sha1_hex(text);
        self.recent[place] = Some(sha);
        sha
    }

    /// Adds a script. `stays`: it was brought by SCRIPT LOAD. Returns the one that had to go for it.
    pub fn insert(&mut self, sha: Sha, script: Script, flags: Flags, body: &[u8], stays: bool) -> Option<Entry> {
        let gone = if !stays && self.by_use.len() >= EVAL_SCRIPTS_MAX {
            let (_, oldest) = self.by_use.pop_first()?;
            self.by_sha.remove(&oldest).inspect(|entry| self.bytes -= entry.body.len())
        } else {
            None
        };
        let used = if stays {
            0
        } else {
            self.uses += 1;
            self.by_use.insert(self.uses, sha);
            self.uses
        };
        self.bytes += body.len();
        self.by_sha.insert(sha, Entry { script, flags, body: body.into(), used });
        gone
    }

    /// Makes a script stay.
    pub fn keep(&mut self, sha: &Sha) {
        if let Some(entry) = self.by_sha.get_mut(sha) {
            self.by_use.remove(&entry.used);
            entry.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::vm::{Engine, Vm};

    struct Nobody;
    impl Host for Nobody {
        fn call(&mut self, _: &[&[u8]], _: resp::Protocol, _: &mut Vec<u8>) {}
    }

    #[test]
    fn the_oldest_script_of_eval_goes() {
        let mut vm = Vm::<Nobody>::new(Engine::Scripts).unwrap();
        let mut cache = Cache::default();
        let mut add = |cache: &mut Cache, text: String, stays| {
            let script = vm.compile(text.as_bytes()).unwrap();
            cache.insert(sha1_hex(text.as_bytes()), script, Flags::COMPATIBLE, text.as_bytes(), stays)
        };
        assert!(add(&mut cache, "return 'stays'".into(), true).is_none());
        for n in 0..EVAL_SCRIPTS_MAX {
            assert!(add(&mut cache, format!("return {n}"), false).is_none());
        }
        // 0 is used again: 1 is the oldest now.
        assert!(cache.get(&sha1_hex(b"return 0")).is_some());
        let gone = add(&mut cache, "return 'new'".into(), false).unwrap();
        assert_eq!(&*gone.body, b"return 1");
        assert!(cache.contains(&sha1_hex(b"return 0")) && cache.contains(&sha1_hex(b"return 'stays'")));
        assert_eq!(cache.len(), EVAL_SCRIPTS_MAX + 1);
    }
}
