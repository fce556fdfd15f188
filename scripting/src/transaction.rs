//! The queue of MULTI: requests kept until EXEC or DISCARD.

use smallvec::SmallVec;

/// The words of a request.
pub type Words<'a> = SmallVec<[&'a [u8]; 8]>;

/// Requests in the order in which they arrived, in one piece of memory.
///
/// ```
/// use scripting::transaction::Queue;
///
/// let mut queue = Queue::default();
/// queue.push(7, &[b"SET", b"key", b"value"]);
/// let (tag, argv) = queue.requests().next().expect("one request was queued");
/// assert_eq!((tag, &argv[..]), (7, &[&b"SET"[..], b"key", b"value"][..]));
/// ```
#[derive(Debug, Default)]
pub struct Queue {
    bytes: Vec<u8>,
    /// End of each word in `bytes`.
    ends: Vec<usize>,
    /// (the caller's tag, words up to and including this request).
    requests: Vec<(usize, usize)>,
}

impl Queue {
    /// Adds a request with a tag of the caller's (which command it is).
    pub fn push(&mut self, tag: usize, argv: &[&[u8]]) {
        for word in argv {
            self.bytes.extend_from_slice(word);
            self.ends.push(self.bytes.len());
        }
        self.requests.push((tag, self.ends.len()));
    }

    /// Forgets all requests; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.requests.clear();
    }

    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Bytes allocated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.requests.capacity() * size_of::<(usize, usize)>()
    }

    /// Each request: its tag and its words.
    pub fn requests(&self) -> impl Iterator<Item = (usize, Words<'_>)> {
        self.requests.iter().enumerate().map(|(i, &(tag, end))| {
            let first = if i == 0 { 0 } else { self.requests[i - 1].1 };
            let words = (first..end).map(|word| {
                let start = if word == 0 { 0 } else { self.ends[word - 1] };
                &self.bytes[start..self.ends[word]]
            });
            (tag, words.collect())
        })
    }
}
