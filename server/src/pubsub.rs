//! Publish/subscribe: who listens to which channel or pattern, and the delivery.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use engine::glob;
use resp::writer::Writer;

use crate::server::Server;
use crate::session::{Client, ClientId, ReplyMode, Subscriptions};

/// All subscriptions, from the side of the channels.
#[derive(Debug, Default)]
pub struct PubSub {
    /// Channel → subscribers.
    pub channels: HashMap<Box<[u8]>, BTreeSet<ClientId>>,
    /// Pattern → subscribers.
    pub patterns: BTreeMap<Box<[u8]>, BTreeSet<ClientId>>,
    /// Shard channel → subscribers.
    pub shard_channels: HashMap<Box<[u8]>, BTreeSet<ClientId>>,
}

/// The three kinds of subscriptions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Shard,
}

impl Scope {
    /// The word that confirms a subscription.
    #[must_use]
    pub fn subscribed(self) -> &'static str {
        match self {
            Scope::Channel => "subscribe",
            Scope::Pattern => "psubscribe",
            Scope::Shard => "ssubscribe",
        }
    }

    /// The word that confirms its end.
    #[must_use]
    pub fn unsubscribed(self) -> &'static str {
        match self {
            Scope::Channel => "unsubscribe",
            Scope::Pattern => "punsubscribe",
            Scope::Shard => "sunsubscribe",
        }
    }
}

fn names(all: &mut Subscriptions, scope: Scope) -> &mut std::collections::HashSet<Box<[u8]>> {
    match scope {
        Scope::Channel => &mut all.channels,
        Scope::Pattern => &mut all.patterns,
        Scope::Shard => &mut all.shard_channels,
    }
}

/// How many subscriptions a confirmation tells: shard channels are counted apart.
fn told_count(client: &Client, scope: Scope) -> usize {
    match scope {
        Scope::Shard => client.subscriptions.as_ref().map_or(0, |all| all.shard_channels.len()),
        Scope::Channel | Scope::Pattern => client.subscription_count(),
    }
}

impl PubSub {
    fn add(&mut self, scope: Scope, name: &[u8], id: ClientId) {
        match scope {
            Scope::Channel => self.channels.entry(name.into()).or_default().insert(id),
            Scope::Pattern => self.patterns.entry(name.into()).or_default().insert(id),
            Scope::Shard => self.shard_channels.entry(name.into()).or_default().insert(id),
        };
    }

    fn remove(&mut self, scope: Scope, name: &[u8], id: ClientId) {
        let subscribers = match scope {
            Scope::Channel => self.channels.get_mut(name),
            Scope::Pattern => self.patterns.get_mut(name),
            Scope::Shard => self.shard_channels.get_mut(name),
        };
        let Some(subscribers) = subscribers else { return };
        subscribers.remove(&id);
        if subscribers.is_empty() {
            match scope {
                Scope::Channel => self.channels.remove(name),
                Scope::Pattern => self.patterns.remove(name),
                Scope::Shard => self.shard_channels.remove(name),
            };
        }
    }
}

impl Server {
    /// Subscribes a client and confirms to `out`.
    pub fn subscribe(&mut self, id: ClientId, scope: Scope, name: &[u8], out: &mut Writer<'_>) {
        let client = self.clients.running(id);
        let all = client.subscriptions.get_or_insert_default();
        if names(all, scope).insert(name.into()) {
            self.pubsub.add(scope, name, id);
        }
        let count = told_count(self.clients.running(id), scope);
        self.confirm(id, scope.subscribed(), Some(name), count, out);
    }

    /// Confirms a change of subscriptions: a message of its own, which is sent even where CLIENT REPLY silences replies.
    fn confirm(&mut self, id: ClientId, what: &str, name: Option<&[u8]>, count: usize, out: &mut Writer<'_>) {
        let write = |out: &mut Writer<'_>| {
            out.push(3);
            out.bulk(what.as_bytes());
            match name {
                Some(name) => out.bulk(name),
                None => out.null(),
            }
            out.integer(count as i64);
        };
        if self.clients.running(id).reply_mode == ReplyMode::On {
            write(out);
        } else {
            self.push(id, write);
        }
    }

    /// Ends one subscription of a client; confirms to `out` if given. Returns whether there was one.
    pub fn unsubscribe(&mut self, id: ClientId, scope: Scope, name: &[u8], out: Option<&mut Writer<'_>>) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let was = client.subscriptions.as_mut().is_some_and(|all| names(all, scope).remove(name));
        if was {
            self.pubsub.remove(scope, name, id);
        }
        let count = self.clients.get(id).map_or(0, |client| told_count(client, scope));
        if let Some(out) = out {
            self.confirm(id, scope.unsubscribed(), Some(name), count, out);
        }
        was
    }

    /// Ends all subscriptions of one kind; confirms each to `out` if given, or that there was none.
    pub fn unsubscribe_all(&mut self, id: ClientId, scope: Scope, mut out: Option<&mut Writer<'_>>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let mut all: Vec<Box<[u8]>> =
            client.subscriptions.as_mut().map(|all| names(all, scope).iter().cloned().collect()).unwrap_or_default();
        all.sort();
        if all.is_empty() {
            let count = told_count(client, scope);
            if let Some(out) = out {
                self.confirm(id, scope.unsubscribed(), None, count, out);
            }
            return;
        }
        for name in all {
            self.unsubscribe(id, scope, &name, out.as_deref_mut());
        }
    }

    /// Delivers a message to the channel's subscribers and to those of matching patterns; returns how many got it.
    pub fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = 0;
        if let Some(subscribers) = self.pubsub.channels.get(channel) {
            for id in subscribers.clone() {
                receivers += 1;
                self.push(id, |out| {
                    out.push(3);
                    out.bulk(b"message");
                    out.bulk(channel);
                    out.bulk(message);
                });
            }
        }
        if self.pubsub.patterns.is_empty() {
            return receivers;
        }
        let matching: Vec<_> = self
            .pubsub
            .patterns
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel))
            .flat_map(|(pattern, subscribers)| subscribers.iter().map(|&id| (pattern.clone(), id)))
            .collect();
        for (pattern, id) in matching {
            receivers += 1;
            self.push(id, |out| {
                out.push(4);
                out.bulk(b"pmessage");
                out.bulk(&pattern);
                out.bulk(channel);
                out.bulk(message);
            });
        }
        receivers
    }

    /// Delivers a message to a shard channel; returns how many got it.
    pub fn publish_shard(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let Some(subscribers) = self.pubsub.shard_channels.get(channel).cloned() else { return 0 };
        for &id in &subscribers {
            self.push(id, |out| {
                out.push(3);
                out.bulk(b"smessage");
                out.bulk(channel);
                out.bulk(message);
            });
        }
        subscribers.len()
    }
}
