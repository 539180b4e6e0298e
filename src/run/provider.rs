//! What all sites of one mailbox provider share: connections, messages a second, and pauses.

use std::collections::{HashMap, VecDeque};

use super::event::LaneId;
use crate::mail::Timestamp;
use crate::pacing::{Bucket, Rate};

/// A provider: an index into the run's providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProviderId(usize);

/// The limits of a provider over all of its sites.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderLimits {
    /// Its name in the shaping data.
    pub name: String,
    /// Connections open at once, over all sites; no limit when `None`.
    pub connections: Option<usize>,
    /// Messages, over all sites; one for several recipients counts once for each.
    pub rate: Option<Rate>,
}

/// One provider of this run.
#[derive(Debug)]
pub struct Provider {
    limits: ProviderLimits,
    connections: usize,
    /// Lanes that wait for a connection's place.
    waiting: VecDeque<LaneId>,
    bucket: Option<Bucket>,
    /// Nothing is sent to any of its sites before.
    pub paused_until: Timestamp,
}

/// All providers that this run has met.
#[derive(Debug, Default)]
pub struct Providers {
    list: Vec<Provider>,
    by_name: HashMap<String, ProviderId>,
}

impl Providers {
    /// The provider with these limits; the first ones named hold.
    pub fn meet(&mut self, limits: &ProviderLimits, now: Timestamp) -> ProviderId {
        if let Some(id) = self.by_name.get(&limits.name) {
            return *id;
        }
        let id = ProviderId(self.list.len());
        self.by_name.insert(limits.name.clone(), id);
        self.list.push(Provider {
            limits: limits.clone(),
            connections: 0,
            waiting: VecDeque::new(),
            bucket: limits.rate.map(|rate| Bucket::new(rate, now)),
            paused_until: Timestamp(i64::MIN),
        });
        id
    }

    /// One of them; lanes without a provider have none.
    pub fn get(&mut self, id: Option<ProviderId>) -> Option<&mut Provider> {
        id.map(|id| &mut self.list[id.0])
    }

    /// Until when a lane's provider is paused.
    pub fn paused_until(&self, id: Option<ProviderId>) -> Timestamp {
        id.map_or(Timestamp(i64::MIN), |id| self.list[id.0].paused_until)
    }
}

impl Provider {
    /// How it is called.
    pub fn name(&self) -> &str {
        &self.limits.name
    }

    /// How many more connections there may be.
    pub fn connections_left(&self) -> usize {
        self.limits.connections.map_or(usize::MAX, |limit| limit.saturating_sub(self.connections))
    }

    pub fn opening(&mut self) {
        self.connections += 1;
    }

    /// A connection is gone; the lane that waits longest for its place.
    pub fn closed(&mut self) -> Option<LaneId> {
        self.connections -= 1;
        self.waiting.pop_front()
    }

    /// A lane wants a connection that has no place now.
    pub fn wait(&mut self, id: LaneId) {
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// True when the number of connections is limited: then none is kept without work.
    pub fn limits_connections(&self) -> bool {
        self.limits.connections.is_some()
    }

    /// Takes places for up to `most` recipients, at least one; otherwise when there will be one.
    pub fn take(&mut self, most: usize, now: Timestamp) -> Result<usize, Timestamp> {
        match &mut self.bucket {
            Some(bucket) => bucket.take_up_to(most as u64, now).map(|taken| taken as usize),
            None => Ok(most),
        }
    }

    /// Places that were taken are not used.
    pub fn put_back(&mut self, count: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(count as u64);
        }
    }
}
