//! Streams from their parts, as a file has them.

use super::{Body, Group, Groups, Pending, Stream, StreamId};
use crate::ds::listpack::{self, Listpack};
use crate::ds::stream::{Log, node};

/// A stream as a file has it. Nodes are added with [`push_node`](Self::push_node), groups with
/// [`push_group`](Self::push_group); [`build`](Self::build) checks the rest.
///
/// To write one, read [`Body::log`] ([`Log::nodes`]), the metadata, [`Body::groups`], and of each group
/// [`Group::pending_from`] and [`Group::consumers`].
#[derive(Debug, Default)]
pub struct StreamParts {
    log: Log,
    /// The id of the last node, or of its last entry.
    last: Option<StreamId>,
    groups: Groups,
}

/// A group as a file has it.
#[derive(Debug)]
pub struct GroupParts {
    group: Group,
    /// Entries that no consumer has claimed yet: id, time of delivery, number of deliveries.
    unowned: std::collections::BTreeMap<StreamId, (i64, u64)>,
}

/// Whose pending entries are being added.
#[derive(Copy, Clone, Debug)]
pub struct ConsumerParts(super::ConsumerId);

/// What a file tells of a stream besides its entries and its last id, from Redis 7.0 on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StreamMeta {
    /// The id of the first entry.
    pub first_id: StreamId,
    /// The greatest id that XDEL has deleted.
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

/// Why parts make no stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PartsError {
    /// A node's listpack is damaged.
    Listpack,
    /// A node's listpack has no elements.
    EmptyNode,
    /// The nodes do not ascend.
    Order,
    /// Number of entries or last id do not fit the entries.
    Inconsistent,
    /// A group is there twice.
    DuplicateGroup,
    /// A consumer is there twice.
    DuplicateConsumer,
    /// An entry is pending twice.
    DuplicatePending,
    /// A consumer has an entry that is not pending in its group.
    NotPending,
    /// A consumer has an entry that another one has.
    Assigned,
    /// A pending entry belongs to nobody.
    Unowned,
    /// There is no memory.
    Memory,
}

impl PartsError {
    /// In words, those of Redis where it has some.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listpack => "Stream listpack integrity check failed.",
            Self::EmptyNode => "Empty listpack inside stream",
            Self::Order => "Stream nodes are not in order",
            Self::Inconsistent => "Stream length or last ID inconsistent with its entries",
            Self::DuplicateGroup => "Duplicated consumer group name detected",
            Self::DuplicateConsumer => "Duplicate stream consumer detected",
            Self::DuplicatePending => "Duplicated global PEL entry loading stream consumer group",
            Self::NotPending => "Consumer entry not found in group global PEL",
            Self::Assigned => "Stream consumer PEL entry already has a consumer assigned",
            Self::Unowned => "NACK entry without consumer",
            Self::Memory => "Insufficient memory",
        }
    }
}

impl std::fmt::Display for PartsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for PartsError {}

impl StreamParts {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node behind the others: the id of the node and its listpack.
    ///
    /// # Errors
    /// When it is damaged, or not behind the others.
    pub fn push_node(&mut self, first: StreamId, listpack: &[u8]) -> Result<(), PartsError> {
        if self.last.is_some_and(|last| first <= last) {
            return Err(PartsError::Order);
        }
        if listpack::validate(listpack, false) && listpack::Iter::over(listpack).pos().is_none() {
            return Err(PartsError::EmptyNode);
        }
        let checked = node::validate(first, listpack).ok_or(PartsError::Listpack)?;
        // Redis keeps nodes whose entries are all deleted, in rare cases; they tell nothing.
        if checked.live > 0 {
            let pack = Listpack::from_bytes(listpack).ok_or(PartsError::Memory)?;
            self.log.push_node(first, pack, checked.live);
        }
        self.last = Some(checked.last);
        Ok(())
    }

    /// Adds a group.
    ///
    /// # Errors
    /// When there is one of this name, or a pending entry has no consumer.
    pub fn push_group(&mut self, name: &[u8], group: GroupParts) -> Result<(), PartsError> {
        if !group.unowned.is_empty() {
            return Err(PartsError::Unowned);
        }
        match self.groups.insert(name.into(), group.group) {
            None => Ok(()),
            Some(_) => Err(PartsError::DuplicateGroup),
        }
    }

    /// The stream. `len` is the number of entries as the file has it; without `meta`, nothing was deleted, as many entries have
    /// been added as there are, and how far groups have read follows from their last ids.
    ///
    /// # Errors
    /// When the nodes do not fit this.
    pub fn build(self, len: u64, last_id: StreamId, meta: Option<StreamMeta>) -> Result<Stream, PartsError> {
        let StreamParts { log, last, groups, .. } = self;
        if log.len() != len || last.is_some_and(|last| last > last_id) {
            return Err(PartsError::Inconsistent);
        }
        // What the file tells of the first entry is only believed: looking is as good.
        let first_id = log.first().map_or(StreamId::MIN, |entry| entry.id);
        let (max_deleted_id, entries_added) =
            meta.map_or((StreamId::MIN, len), |meta| (meta.max_deleted_id, meta.entries_added));
        let groups = (!groups.is_empty()).then(|| Box::new(groups));
        let mut body = Body { log, last_id, first_id, max_deleted_id, entries_added, groups };
        if meta.is_none() {
            body.estimate_entries_read();
        }
        Ok(Stream::from_body(Box::new(body)))
    }
}

impl GroupParts {
    /// A group without consumers. Files before Redis 7.0 do not tell `entries_read`.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        GroupParts { group: Group::new(last_id, entries_read), unowned: std::collections::BTreeMap::new() }
    }

    /// Adds a pending entry; its consumer comes later.
    ///
    /// # Errors
    /// When there is one of this id.
    pub fn push_pending(&mut self, id: StreamId, delivered_at: i64, deliveries: u64) -> Result<(), PartsError> {
        match self.unowned.insert(id, (delivered_at, deliveries)) {
            None => Ok(()),
            Some(_) => Err(PartsError::DuplicatePending),
        }
    }

    /// Adds a consumer. Files before Redis 7.2 do not tell `active_at`: it is `seen_at` then.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn push_consumer(&mut self, name: &[u8], seen_at: i64, active_at: i64) -> Result<ConsumerParts, PartsError> {
        if self.group.find_consumer(name).is_some() {
            return Err(PartsError::DuplicateConsumer);
        }
        let id = self.group.create_consumer(name, seen_at);
        self.group.consumer_mut(id).active_at = active_at;
        Ok(ConsumerParts(id))
    }

    /// Gives one of the pending entries to a consumer.
    ///
    /// # Errors
    /// When there is no such entry, or another one has it.
    pub fn give(&mut self, consumer: ConsumerParts, id: StreamId) -> Result<(), PartsError> {
        let Some((delivered_at, deliveries)) = self.unowned.remove(&id) else {
            let assigned = self.group.pending(id).is_some();
            return Err(if assigned { PartsError::Assigned } else { PartsError::NotPending });
        };
        self.group.assign(id, Pending { consumer: consumer.0, delivered_at, deliveries });
        Ok(())
    }
}
