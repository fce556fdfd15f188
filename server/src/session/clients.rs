//! The connected clients: found by slot in one step, by id through the slot, walked in order of connection.

use std::collections::BTreeMap;

use super::{Client, ClientId};

/// All connected clients.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    free: Vec<u32>,
    by_id: BTreeMap<u64, u32>,
    last_id: u64,
}

impl Clients {
    /// Number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The identity that the next client will have.
    pub fn reserve(&mut self) -> ClientId {
        self.last_id += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        ClientId { id: self.last_id, slot }
    }

    /// Adds a client under a reserved identity.
    pub fn insert(&mut self, client: Client) {
        let ClientId { id, slot } = client.id;
        self.slots[slot as usize] = Some(Box::new(client));
        self.by_id.insert(id, slot);
    }

    /// Adds a client under a reserved identity that nobody is to see: it is neither counted nor walked.
    pub fn insert_hidden(&mut self, client: Client) {
        let slot = client.id.slot;
        self.slots[slot as usize] = Some(Box::new(client));
    }

    /// Takes a client out.
    pub fn remove(&mut self, id: ClientId) -> Option<Box<Client>> {
        let client = self.slots.get_mut(id.slot as usize)?.take_if(|client| client.id == id)?;
        self.by_id.remove(&id.id);
        self.free.push(id.slot);
        Some(client)
    }

    /// The client of this identity, if it is still connected.
    #[must_use]
    #[inline]
    pub fn get(&self, id: ClientId) -> Option<&Client> {
        self.slots.get(id.slot as usize)?.as_deref().filter(|client| client.id == id)
    }

    /// The client of this identity, if it is still connected.
    #[inline]
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.slots.get_mut(id.slot as usize)?.as_deref_mut().filter(|client| client.id == id)
    }

    /// The client that is running: it cannot go before the end of the tick.
    #[inline]
    pub fn running(&mut self, id: ClientId) -> &mut Client {
        self.get_mut(id).expect("a running client is freed at the end of the tick at the earliest")
    }

    /// The client in a slot.
    #[must_use]
    #[inline]
    pub fn in_slot(&mut self, slot: u32) -> Option<&mut Client> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The identity that goes with a number of CLIENT ID.
    #[must_use]
    pub fn by_number(&self, id: u64) -> Option<ClientId> {
        self.by_id.get(&id).map(|&slot| ClientId { id, slot })
    }

    /// All identities, in order of connection.
    #[must_use]
    pub fn ids(&self) -> Vec<ClientId> {
        self.by_id.iter().map(|(&id, &slot)| ClientId { id, slot }).collect()
    }

    /// All clients, in order of connection.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.by_id.values().filter_map(|&slot| self.slots[slot as usize].as_deref())
    }

    /// Up to `count` identities after `after` in order of connection, starting over at the end: cron's walk.
    #[must_use]
    pub fn next_ids(&self, after: u64, count: usize) -> Vec<ClientId> {
        let rest = self.by_id.range(after + 1..).chain(self.by_id.range(..=after));
        rest.take(count.min(self.len())).map(|(&id, &slot)| ClientId { id, slot }).collect()
    }
}
