//! Quicklist: a long list as a sequence of listpacks.
//!
//! ```text
//! nodes: [ listpack ≤ 8 KiB ] [ listpack, compressed ] [ one big element, plain ] … [ listpack ≤ 8 KiB ]
//! ```
//!
//! Nodes stand in a deque of 16-byte records (a count and a thin pointer), not in a linked list: pushing and popping at
//! both ends is O(1), and finding an index walks counts that lie side by side in memory. Inserting or dropping a node
//! in the middle moves records, 16 bytes for every some hundred elements.
//!
//! A node's limit is bytes or elements (`list-max-listpack-size`); an element too large for any node stands alone, as
//! it is. With a compression depth, nodes further than that from both ends are kept as LZF; reading decompresses into
//! a scratch buffer, writing decompresses the node and compresses it again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::blob::{Blob, Plain};
use super::listpack::{self, Elem, Listpack, Pos, Side};
use super::lzf;

/// Byte limit of a node whose configured limit is a number of elements (Redis: `SIZE_SAFETY_LIMIT`).
pub const NODE_BYTES_SAFE: usize = 8192;
/// Most elements in a node, whatever the configured limit.
const NODE_ELEMENTS_MAX: usize = (1 << 15) - 1;
/// Room that one more element may need in a node beside its text.
const ENTRY_OVERHEAD: usize = 8;
/// Smaller nodes are not worth compressing, in bytes.
const COMPRESS_BYTES_MIN: usize = 48;
/// A compressed node must be smaller by this, in bytes.
const COMPRESS_SAVING_MIN: usize = 8;

/// Length from which elements become plain nodes; 0 follows the node limit. A debugging aid, hence for the process.
static PACKED_THRESHOLD: AtomicUsize = AtomicUsize::new(0);

/// Makes elements of `bytes` and more plain nodes (`DEBUG QUICKLIST-PACKED-THRESHOLD`); 0 restores the default.
pub fn set_packed_threshold(bytes: usize) {
    PACKED_THRESHOLD.store(bytes, Ordering::Relaxed);
}

/// What may go into one node, from `list-max-listpack-size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill(i32);

impl Fill {
    /// From the configured value: a positive number of elements, or -1 to -5 for 4 to 64 KiB. Values beyond are taken
    /// as the nearest that has a meaning.
    pub fn new(list_max_listpack_size: i64) -> Self {
        Self(match list_max_listpack_size {
            0 => 1,
            n => n.clamp(-5, NODE_ELEMENTS_MAX as i64) as i32,
        })
    }

    /// The configured value, for DEBUG OBJECT (`ql_listpack_max`).
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }

    /// Bytes and elements that a node may have.
    #[inline]
    pub fn limits(self) -> (usize, usize) {
        match self.0 {
            n @ 1.. => (NODE_BYTES_SAFE, n as usize),
            // The count of a listpack is exact below 65,535 only; small elements stay far from it in 64 KiB.
            n => (4096 << (-1 - n.min(-1)), usize::MAX),
        }
    }

    /// True when a node of `bytes` bytes and `elements` elements is too large.
    #[inline]
    pub fn exceeded_by(self, bytes: usize, elements: usize) -> bool {
        let (bytes_max, elements_max) = self.limits();
        bytes > bytes_max || elements > elements_max
    }

    /// True when an element of `bytes` bytes stands alone.
    #[inline]
    pub fn is_large(self, bytes: usize) -> bool {
        let threshold = PACKED_THRESHOLD.load(Ordering::Relaxed);
        if threshold != 0 { bytes >= threshold } else { bytes > self.limits().0 }
    }
}

/// Which end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Index 0.
    Head,
    /// The last index.
    Tail,
}

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From lower to higher indexes.
    Forward,
    /// From higher to lower indexes.
    Backward,
}

/// A node: 16 bytes.
#[derive(Clone)]
enum Node {
    /// `count` elements.
    Packed { count: u32, pack: Listpack },
    /// One element, too large for a listpack.
    Plain(Blob<Plain>),
    /// Either of them, compressed: length of the original (u32 LE), LZF bytes.
    Lzf { count: u32, plain: bool, data: Blob<Plain> },
}

impl Node {
    fn one(elem: Elem<'_>, fill: Fill) -> Self {
        match elem {
            Elem::Str(text) if fill.is_large(text.len()) => Self::Plain(Blob::holding(text)),
            // Under a tiny threshold for debugging even an integer may be "large".
            Elem::Int(_) if fill.is_large(elem.text_len()) => Self::Plain(Blob::holding(&elem.to_vec())),
            _ => {
                let mut pack = Listpack::new();
                pack.push_back(elem);
                Self::Packed { count: 1, pack }
            }
        }
    }

    #[inline]
    fn count(&self) -> usize {
        match self {
            Self::Packed { count, .. } | Self::Lzf { count, .. } => *count as usize,
            Self::Plain(_) => 1,
        }
    }

    /// Size of the listpack or of the element, in bytes, before compression.
    fn raw_bytes(&self) -> usize {
        match self {
            Self::Packed { pack, .. } => pack.bytes(),
            Self::Plain(blob) => blob.content().len(),
            Self::Lzf { data, .. } => lzf_raw_len(data),
        }
    }

    fn allocated(&self) -> usize {
        match self {
            Self::Packed { pack, .. } => pack.memory_usage(),
            Self::Plain(blob) | Self::Lzf { data: blob, .. } => blob.allocated(),
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Lzf { plain: true, .. })
    }

    /// The listpack or the element; `scratch` receives it when it has to be decompressed.
    #[inline]
    fn raw<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::Packed { pack, .. } => pack.as_bytes(),
            Self::Plain(blob) => blob.content(),
            Self::Lzf { data, .. } => {
                decompress(data, scratch);
                scratch
            }
        }
    }

    fn open(&mut self) {
        let Self::Lzf { count, plain, data } = self else { return };
        let mut raw = Vec::new();
        decompress(data, &mut raw);
        *self = if *plain {
            Self::Plain(Blob::holding(&raw))
        } else {
            let pack = Listpack::from_bytes(&raw).expect("it was a listpack when it was compressed");
            Self::Packed { count: *count, pack }
        };
    }

    /// Compresses, if that saves anything.
    fn close(&mut self) {
        let (count, plain, raw) = match self {
            Self::Packed { count, pack } => (*count, false, pack.as_bytes()),
            Self::Plain(blob) => (1, true, blob.content()),
            Self::Lzf { .. } => return,
        };
        if raw.len() < COMPRESS_BYTES_MIN || u32::try_from(raw.len()).is_err() {
            return;
        }
        let mut data = (raw.len() as u32).to_le_bytes().to_vec();
        if lzf::compress(raw, raw.len() - COMPRESS_SAVING_MIN, &mut data).is_some() {
            *self = Self::Lzf { count, plain, data: Blob::holding(&data) };
        }
    }
}

fn lzf_raw_len(data: &Blob<Plain>) -> usize {
    u32::from_le_bytes(*data.content().first_chunk().expect("the length stands first")) as usize
}

fn decompress(data: &Blob<Plain>, out: &mut Vec<u8>) {
    lzf::decompress_into(&data.content()[4..], lzf_raw_len(data), out).expect("what we compressed decompresses");
}

/// A node as a dump sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeView<'a> {
    /// The bytes of a listpack.
    Packed(&'a [u8]),
    /// One large element.
    Plain(&'a [u8]),
    /// Either of them as LZF.
    Compressed {
        /// True when it is one large element, false for a listpack.
        plain: bool,
        /// Length after decompression, in bytes.
        raw_len: usize,
        /// The compressed bytes.
        lzf: &'a [u8],
    },
}

/// Figures for DEBUG OBJECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Number of nodes.
    pub nodes: usize,
    /// Number of elements.
    pub elements: usize,
    /// `list-max-listpack-size` as it applies to this list.
    pub listpack_max: i64,
    /// `list-compress-depth` as it applies to this list.
    pub compress_depth: usize,
    /// Nodes that are compressed now.
    pub compressed_nodes: usize,
    /// Bytes of all nodes before compression.
    pub uncompressed_bytes: usize,
}

/// A long list. See the head of this file.
#[derive(Clone)]
pub struct Quicklist {
    /// None is empty. Those within `depth` of an end are not compressed.
    nodes: VecDeque<Node>,
    /// Sum of the nodes' counts.
    len: usize,
    fill: Fill,
    depth: u32,
}

impl Quicklist {
    /// An empty list with its node limit and compression depth (0: none).
    pub fn new(fill: Fill, compress_depth: u32) -> Self {
        Self { nodes: VecDeque::new(), len: 0, fill, depth: compress_depth }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push<'a>(&mut self, end: End, elem: impl Into<Elem<'a>>) {
        let elem = elem.into();
        let fill = self.fill;
        let size = elem.text_len();
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        };
        self.len += 1;
        if let Some(Node::Packed { count, pack }) = node
            && !fill.exceeded_by(pack.bytes() + size + ENTRY_OVERHEAD, *count as usize + 1)
            && !fill.is_large(size)
        {
            *count += 1;
            match end {
                End::Head => pack.push_front(elem),
                End::Tail => pack.push_back(elem),
            }
            return;
        }
        self.push_node(end, Node::one(elem, fill));
    }

    #[cold]
    fn push_node(&mut self, end: End, node: Node) {
        match end {
            End::Head => self.nodes.push_front(node),
            End::Tail => self.nodes.push_back(node),
        }
        self.settle_ends();
    }

    /// Removes the element at an end, after `read` has seen it.
    #[inline]
    pub fn pop_with<R>(&mut self, end: End, read: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        }?;
        let result = match node {
            Node::Packed { count, pack } => {
                let pos = match end {
                    End::Head => pack.first(),
                    End::Tail => pack.last(),
                };
                let pos = pos.expect("no node is empty");
                let result = read(pack.get(pos));
                *count -= 1;
                if *count > 0 {
                    pack.delete(pos);
                    self.len -= 1;
                    return Some(result);
                }
                result
            }
            Node::Plain(blob) => read(Elem::Str(blob.content())),
            Node::Lzf { .. } => unreachable!("the ends are not compressed"),
        };
        self.len -= 1;
        match end {
            End::Head => self.nodes.pop_front(),
            End::Tail => self.nodes.pop_back(),
        };
        self.settle_ends();
        Some(result)
    }

    /// Lets `read` see element `index`; `None` when there is none.
    pub fn get_with<R>(&self, index: usize, read: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let (node, offset) = self.locate(index)?;
        Some(match &self.nodes[node] {
            Node::Packed { pack, .. } => read(pack.get(pack.seek(offset).expect("the node's count is right"))),
            _ => {
                let mut walk = self.walk(index, Direction::Forward);
                read(walk.next().expect("located above"))
            }
        })
    }

    /// Node and offset within it of element `index`, from the nearer end.
    #[inline]
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (at, node) in self.nodes.iter().enumerate() {
                let count = node.count();
                if left < count {
                    return Some((at, left));
                }
                left -= count;
            }
        } else {
            let mut first = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                first -= node.count();
                if first <= index {
                    return Some((at, index - first));
                }
            }
        }
        unreachable!("the counts add up to the length")
    }

    /// Replaces element `index`; false when there is none.
    pub fn set<'a>(&mut self, index: usize, elem: impl Into<Elem<'a>>) -> bool {
        let elem = elem.into();
        let Some((at, offset)) = self.locate(index) else { return false };
        let fill = self.fill;
        let size = elem.text_len();
        self.nodes[at].open();
        if let Node::Packed { pack, count } = &mut self.nodes[at]
            && !fill.is_large(size)
        {
            let pos = pack.seek(offset).expect("the node's count is right");
            // What the old element frees is not looked at, so a node may be left a little earlier than need be.
            if *count == 1 || !fill.exceeded_by(pack.bytes() + size + ENTRY_OVERHEAD, *count as usize) {
                pack.replace(pos, elem);
                self.settle(at..at + 1);
                return true;
            }
        }
        if self.nodes[at].count() == 1 {
            self.nodes[at] = Node::one(elem, fill);
            self.settle(at..at + 1);
            return true;
        }
        // Too large for its node: insert beside it, then remove the old one.
        self.insert_at(at, offset, Side::After, elem);
        self.delete_range(index, 1);
        true
    }

    /// Inserts beside element `index`, which must exist.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn insert<'a>(&mut self, index: usize, side: Side, elem: impl Into<Elem<'a>>) {
        let (at, offset) = self.locate(index).expect("an index within the list");
        self.insert_at(at, offset, side, elem.into());
    }

    fn insert_at(&mut self, at: usize, offset: usize, side: Side, elem: Elem<'_>) {
        let fill = self.fill;
        let size = elem.text_len();
        // As "before element `gap` of the node": 0 is its front, `count` its back.
        let gap = offset + usize::from(side == Side::After);
        self.len += 1;
        self.nodes[at].open();
        let large = fill.is_large(size);
        let fits = |node: &Node| match node {
            Node::Packed { pack, count } => {
                !large && !fill.exceeded_by(pack.bytes() + size + ENTRY_OVERHEAD, *count as usize + 1)
            }
            _ => false,
        };
        let count = self.nodes[at].count();
        if fits(&self.nodes[at]) {
            insert_packed(&mut self.nodes[at], gap, elem);
            return self.settle(at..at + 1);
        }
        if gap == 0 || gap == count {
            // At its edge the neighbour may have room.
            let neighbour = if gap == 0 { at.checked_sub(1) } else { (at + 1 < self.nodes.len()).then_some(at + 1) };
            if let Some(neighbour) = neighbour {
                self.nodes[neighbour].open();
                if fits(&self.nodes[neighbour]) {
                    let gap = if gap == 0 { self.nodes[neighbour].count() } else { 0 };
                    insert_packed(&mut self.nodes[neighbour], gap, elem);
                    return self.settle(at.min(neighbour)..at.max(neighbour) + 1);
                }
            }
            self.nodes.insert(at + usize::from(gap > 0), Node::one(elem, fill));
            return self.settle(at.saturating_sub(1)..at + 3);
        }
        // In the middle of a full node: split it there, put the element at the seam.
        let Node::Packed { count, pack } = &mut self.nodes[at] else { unreachable!("a plain node has only edges") };
        let rest = pack.split_off(gap);
        let rest = Node::Packed { count: *count - gap as u32, pack: rest };
        *count = gap as u32;
        self.nodes.insert(at + 1, rest);
        if fits(&self.nodes[at]) {
            insert_packed(&mut self.nodes[at], gap, elem);
        } else if fits(&self.nodes[at + 1]) {
            insert_packed(&mut self.nodes[at + 1], 0, elem);
        } else {
            self.nodes.insert(at + 1, Node::one(elem, fill));
        }
        // Halves of many splits would leave a trail of small nodes.
        let last = (at + 3).min(self.nodes.len());
        self.merge(at.saturating_sub(1)..last);
        self.settle(at.saturating_sub(1)..at + 4);
    }

    /// Removes up to `count` elements from `start` on; returns how many.
    pub fn delete_range(&mut self, start: usize, count: usize) -> usize {
        let Some((first, offset)) = self.locate(start) else { return 0 };
        let mut left = count.min(self.len - start);
        let gone = left;
        if gone == 0 {
            return 0;
        }
        self.len -= gone;
        // The first node loses a middle or an end, then whole nodes go, then the last loses a front.
        let mut at = first;
        if offset > 0 {
            left -= self.cut_node(at, offset, left);
            at += 1;
        }
        let mut whole = at;
        while left > 0 && self.nodes[whole].count() <= left {
            left -= self.nodes[whole].count();
            whole += 1;
        }
        self.nodes.drain(at..whole);
        if left > 0 {
            self.cut_node(at, 0, left);
        }
        let around = first.saturating_sub(1)..(at + 2).min(self.nodes.len());
        self.merge(around.clone());
        self.settle(around);
        self.settle_ends();
        gone
    }

    /// Takes up to `count` elements from `offset` on out of a node that keeps some; returns how many.
    fn cut_node(&mut self, at: usize, offset: usize, count: usize) -> usize {
        self.nodes[at].open();
        let Node::Packed { count: held, pack } = &mut self.nodes[at] else {
            unreachable!("a node of one element goes as a whole")
        };
        let gone = pack.delete_range(offset, count);
        *held -= gone as u32;
        gone
    }

    /// Removes up to `count_max` elements equal to `text`, the first or the last of them; returns how many.
    pub fn remove_matching(&mut self, text: &[u8], direction: Direction, count_max: usize) -> usize {
        let (mut gone, mut emptied) = (0, false);
        // First and last node that lost something.
        let mut touched: Option<(usize, usize)> = None;
        let mut positions: Vec<Pos> = Vec::new();
        for step in 0..self.nodes.len() {
            if gone == count_max {
                break;
            }
            let at = match direction {
                Direction::Forward => step,
                Direction::Backward => self.nodes.len() - 1 - step,
            };
            let node = &mut self.nodes[at];
            let (was_closed, before) = (matches!(node, Node::Lzf { .. }), gone);
            node.open();
            match node {
                Node::Packed { count, pack } => {
                    positions.clear();
                    let mut from = pack.first();
                    while let Some(pos) = from.and_then(|from| pack.find(from, text, 1)) {
                        positions.push(pos);
                        from = pack.next(pos);
                    }
                    let take = positions.len().min(count_max - gone);
                    let chosen = match direction {
                        Direction::Forward => &positions[..take],
                        Direction::Backward => &positions[positions.len() - take..],
                    };
                    pack.delete_batch(chosen);
                    gone += take;
                    *count -= take as u32;
                    emptied |= *count == 0;
                }
                Node::Plain(blob) if blob.content() == text => {
                    gone += 1;
                    emptied = true;
                    // An empty listpack marks it for the sweep below.
                    *node = Node::Packed { count: 0, pack: Listpack::new() };
                }
                _ => {}
            }
            if was_closed {
                node.close();
            }
            if gone > before {
                touched = Some(touched.map_or((at, at), |(low, high)| (low.min(at), high.max(at))));
            }
        }
        self.len -= gone;
        if emptied {
            self.nodes.retain(|node| node.count() > 0);
        }
        if let Some((low, high)) = touched {
            let around = low.saturating_sub(1)..high + 2;
            self.merge(around.clone());
            self.settle(around);
        }
        gone
    }

    /// Merges neighbours in `range` that fit into one node.
    fn merge(&mut self, range: Range<usize>) {
        let mut at = range.start;
        let mut end = range.end.min(self.nodes.len());
        while at + 1 < end {
            let (a, b) = (&self.nodes[at], &self.nodes[at + 1]);
            let bytes = a.raw_bytes() + b.raw_bytes();
            if a.is_plain() || b.is_plain() || self.fill.exceeded_by(bytes, a.count() + b.count()) {
                at += 1;
                continue;
            }
            let mut second = self.nodes.remove(at + 1).expect("in range");
            second.open();
            self.nodes[at].open();
            let (Node::Packed { count, pack }, Node::Packed { count: more, pack: other }) =
                (&mut self.nodes[at], &second)
            else {
                unreachable!("neither is plain and both are open")
            };
            pack.append_all(other);
            *count += more;
            end -= 1;
        }
    }

    /// Restores which nodes are compressed after nodes in `range` (clamped) were touched.
    #[inline]
    fn settle(&mut self, range: Range<usize>) {
        if self.depth > 0 {
            self.settle_range(range);
            self.settle_ends();
        }
    }

    fn settle_range(&mut self, range: Range<usize>) {
        let (len, depth) = (self.nodes.len(), self.depth as usize);
        for at in range.start..range.end.min(len) {
            if at < depth || len - at <= depth {
                self.nodes[at].open();
            } else {
                self.nodes[at].close();
            }
        }
    }

    /// After nodes came or went at an end.
    #[inline]
    fn settle_ends(&mut self) {
        if self.depth > 0 {
            let (len, depth) = (self.nodes.len(), self.depth as usize);
            self.settle_range(0..depth + 1);
            self.settle_range(len.saturating_sub(depth + 1)..len);
        }
    }

    /// A walk that begins with element `index`.
    pub fn walk(&self, index: usize, direction: Direction) -> Walk<'_> {
        let (node, offset) = self.locate(index).unwrap_or((self.nodes.len(), 0));
        Walk {
            list: self,
            direction,
            node,
            place: Place::Element(offset),
            scratch: Vec::new(),
            scratch_node: usize::MAX,
        }
    }

    /// Shows `count` elements from `start` on, in order.
    #[inline]
    pub fn for_range(&self, start: usize, count: usize, mut see: impl FnMut(Elem<'_>)) {
        let Some((first, mut offset)) = self.locate(start) else { return };
        let mut left = count;
        let mut scratch = Vec::new();
        for node in self.nodes.range(first..) {
            if left == 0 {
                return;
            }
            let plain = node.is_plain();
            let raw = node.raw(&mut scratch);
            if plain {
                see(Elem::Str(raw));
                left -= 1;
            } else {
                let take = left.min(node.count() - offset);
                listpack::Iter::over_from(raw, offset).take(take).for_each(&mut see);
                left -= take;
            }
            offset = 0;
        }
    }

    /// Shows `count` elements from `start` down, in descending order.
    pub fn for_range_back(&self, start: usize, count: usize, mut see: impl FnMut(Elem<'_>)) {
        let mut walk = self.walk(start, Direction::Backward);
        for _ in 0..count {
            let Some(elem) = walk.next() else { return };
            see(elem);
        }
    }

    /// The nodes, for saving.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeView<'_>> + Clone {
        self.nodes.iter().map(|node| match node {
            Node::Packed { pack, .. } => NodeView::Packed(pack.as_bytes()),
            Node::Plain(blob) => NodeView::Plain(blob.content()),
            Node::Lzf { plain, data, .. } => {
                NodeView::Compressed { plain: *plain, raw_len: lzf_raw_len(data), lzf: &data.content()[4..] }
            }
        })
    }

    /// Appends a loaded listpack as a node; an empty one is left out.
    pub fn push_packed_node(&mut self, pack: Listpack) {
        let count = pack.len();
        if count > 0 {
            self.len += count;
            let count = u32::try_from(count).expect("a listpack below 4 GiB");
            self.push_node(End::Tail, Node::Packed { count, pack });
        }
    }

    /// Appends a loaded large element as a node; false when there is no memory.
    pub fn push_plain_node(&mut self, element: &[u8]) -> bool {
        let Some(blob) = Blob::try_holding(element) else { return false };
        self.len += 1;
        self.push_node(End::Tail, Node::Plain(blob));
        true
    }

    /// The only node as a listpack, when there is exactly one and it is one of at most the given bytes and elements.
    pub fn take_single_listpack(&mut self, bytes_max: usize, elements_max: usize) -> Option<Listpack> {
        let [Node::Packed { count, pack }] = self.nodes.make_contiguous() else { return None };
        if *count as usize > elements_max || pack.bytes() > bytes_max {
            return None;
        }
        self.len = 0;
        match self.nodes.pop_front() {
            Some(Node::Packed { pack, .. }) => Some(pack),
            _ => unreachable!("matched above"),
        }
    }

    /// Figures for DEBUG OBJECT.
    pub fn stats(&self) -> Stats {
        Stats {
            nodes: self.nodes.len(),
            elements: self.len,
            listpack_max: self.fill.get(),
            compress_depth: self.depth as usize,
            compressed_nodes: self.nodes.iter().filter(|node| matches!(node, Node::Lzf { .. })).count(),
            uncompressed_bytes: self.nodes.iter().map(Node::raw_bytes).sum(),
        }
    }

    /// Bytes taken from the allocator, without the struct itself. Looks at `samples` nodes and extrapolates; 0 looks
    /// at all.
    pub fn memory_usage(&self, samples: usize) -> usize {
        let records = self.nodes.capacity() * size_of::<Node>();
        let seen = if samples == 0 { self.nodes.len() } else { samples.min(self.nodes.len()) };
        let bytes: usize = self.nodes.iter().take(seen).map(Node::allocated).sum();
        records + (bytes * self.nodes.len()).checked_div(seen).unwrap_or(0)
    }

    /// Frees up to `nodes_max` nodes from the tail, for freeing in steps; true when nothing is left.
    pub fn drain_step(&mut self, nodes_max: usize) -> bool {
        for _ in 0..nodes_max {
            let Some(node) = self.nodes.pop_back() else { break };
            self.len -= node.count();
        }
        self.nodes.is_empty()
    }

    /// Panics unless counts, limits and compression are as they should be.
    pub fn check_invariants(&self) {
        assert_eq!(self.len, self.nodes.iter().map(Node::count).sum::<usize>(), "the counts add up");
        let (len, depth) = (self.nodes.len(), self.depth as usize);
        for (at, node) in self.nodes.iter().enumerate() {
            assert!(node.count() > 0, "no node is empty");
            let inner = at >= depth && len - at > depth;
            match node {
                Node::Packed { count, pack } => {
                    pack.check_invariants();
                    assert_eq!(*count as usize, pack.len());
                }
                Node::Plain(_) => {}
                Node::Lzf { count, plain, data } => {
                    assert!(depth > 0 && inner, "only inner nodes are compressed");
                    let mut raw = Vec::new();
                    decompress(data, &mut raw);
                    assert!(*plain || listpack::validate(&raw, true));
                    assert!(*plain || listpack::Iter::over(&raw).count() == *count as usize);
                }
            }
            if depth > 0 && inner {
                let mut copy = node.clone();
                copy.close();
                assert!(
                    matches!(copy, Node::Lzf { .. }) == matches!(node, Node::Lzf { .. }),
                    "inner nodes are compressed"
                );
            }
        }
    }
}

fn insert_packed(node: &mut Node, gap: usize, elem: Elem<'_>) {
    let Node::Packed { count, pack } = node else { unreachable!("only listpacks have room") };
    if gap == *count as usize {
        pack.push_back(elem);
    } else {
        let pos = pack.seek(gap).expect("the node's count is right");
        pack.insert(pos, Side::Before, elem);
    }
    *count += 1;
}

impl fmt::Debug for Quicklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quicklist").field("stats", &self.stats()).finish()
    }
}

/// Where a walk stands within its node.
#[derive(Clone, Copy)]
enum Place {
    /// Before (or, backwards, at) element `n`: not looked up yet.
    Element(usize),
    /// At the first element, or backwards the last.
    Edge,
    /// At a byte offset of the listpack.
    Offset(usize),
}

/// A walk over the elements. It lends them, because an element may stand in a buffer of the walk.
pub struct Walk<'a> {
    list: &'a Quicklist,
    direction: Direction,
    /// `nodes.len()` (or `usize::MAX`) when done.
    node: usize,
    place: Place,
    scratch: Vec<u8>,
    /// Which node `scratch` holds.
    scratch_node: usize,
}

impl Walk<'_> {
    /// The next element.
    #[expect(clippy::should_implement_trait, reason = "lends; an Iterator cannot")]
    pub fn next(&mut self) -> Option<Elem<'_>> {
        let offset = self.advance()?;
        let node = &self.list.nodes[self.node];
        let raw: &[u8] = match node {
            Node::Packed { pack, .. } => pack.as_bytes(),
            Node::Plain(blob) => blob.content(),
            Node::Lzf { .. } => &self.scratch,
        };
        if node.is_plain() {
            self.place = Place::Offset(usize::MAX);
            return Some(Elem::Str(raw));
        }
        match self.direction {
            Direction::Forward => {
                let mut iter = listpack::Iter::at_offset(raw, offset);
                let elem = iter.next();
                self.place = Place::Offset(iter.offset());
                elem
            }
            Direction::Backward => {
                let mut iter = listpack::IterBack::at_offset(raw, offset);
                let elem = iter.next();
                self.place = Place::Offset(iter.offset());
                elem
            }
        }
    }

    /// Moves to a node with another element and returns the byte offset of that element in it.
    fn advance(&mut self) -> Option<usize> {
        loop {
            let node = self.list.nodes.get(self.node)?;
            let raw: &[u8] = match node {
                Node::Packed { pack, .. } => pack.as_bytes(),
                Node::Plain(blob) => blob.content(),
                Node::Lzf { data, .. } => {
                    if self.scratch_node != self.node {
                        decompress(data, &mut self.scratch);
                        self.scratch_node = self.node;
                    }
                    &self.scratch
                }
            };
            let offset = if node.is_plain() {
                match self.place {
                    Place::Offset(_) => None,
                    _ => Some(0),
                }
            } else {
                let last = node.count() - 1;
                match (self.direction, self.place) {
                    (Direction::Forward, Place::Element(n)) => Some(listpack::Iter::over_from(raw, n).offset()),
                    (Direction::Forward, Place::Edge) => Some(listpack::Iter::over(raw).offset()),
                    (Direction::Backward, Place::Element(n)) => Some(listpack::IterBack::over_from(raw, n).offset()),
                    (Direction::Backward, Place::Edge) => Some(listpack::IterBack::over_from(raw, last).offset()),
                    (Direction::Forward, Place::Offset(at)) => listpack::Iter::at_offset(raw, at).pos().map(|_| at),
                    (Direction::Backward, Place::Offset(at)) => (at > listpack::Iter::over(raw).offset()).then_some(at),
                }
            };
            if offset.is_some() {
                return offset;
            }
            self.node = match self.direction {
                Direction::Forward => self.node + 1,
                Direction::Backward => self.node.wrapping_sub(1),
            };
            self.place = Place::Edge;
        }
    }
}

#[cfg(test)]
mod tests;
