//! What all sites of one mailbox provider share: connections, messages a second, and pauses.

use std::collections::HashMap;

use super::ids::ProviderId;
use super::limits::ProviderLimits;
use super::seats::Seats;
use crate::mail::Timestamp;
use crate::pacing::Bucket;

/// One provider of this run.
#[derive(Debug)]
pub(super) struct Provider {
    limits: ProviderLimits,
    /// Its connections.
    pub seats: Seats,
    bucket: Option<Bucket>,
    /// Nothing is sent to any of its sites before this time.
    paused_until: Option<Timestamp>,
}

/// All providers that this run has met.
#[derive(Debug, Default)]
pub(super) struct Providers {
    list: Vec<Provider>,
    by_name: HashMap<String, ProviderId>,
}

impl Providers {
    /// The provider with these limits. If they differ from those met before, the first ones hold.
    pub(super) fn meet(&mut self, limits: &ProviderLimits, now: Timestamp) -> ProviderId {
        if let Some(id) = self.by_name.get(&limits.name) {
            return *id;
        }
        let id = ProviderId(self.list.len());
        self.by_name.insert(limits.name.clone(), id);
        self.list.push(Provider {
            limits: limits.clone(),
            seats: Seats::new(limits.connections.unwrap_or(usize::MAX)),
            bucket: limits.rate.map(|rate| Bucket::new(rate, now)),
            paused_until: None,
        });
        id
    }

    /// A provider; `None` for lanes without one.
    pub(super) fn get(&mut self, id: Option<ProviderId>) -> Option<&mut Provider> {
        id.map(|id| &mut self.list[id.0])
    }

    /// The name and the rate of a provider, in messages a second, if it has one.
    pub(super) fn rate(&self, id: ProviderId) -> Option<(&str, f64)> {
        let provider = &self.list[id.0];
        let rate = provider.limits.rate?;
        Some((&provider.limits.name, rate.in_a_second()))
    }

    /// Until when a lane's provider is paused.
    pub(super) fn paused_until(&self, id: Option<ProviderId>) -> Option<Timestamp> {
        self.list[id?.0].paused_until
    }
}

impl Provider {
    /// Its name in the shaping data.
    pub(super) fn name(&self) -> &str {
        &self.limits.name
    }

    /// Sends nothing to any of its sites before `until`; true when that is longer than before.
    pub(super) fn pause(&mut self, until: Timestamp) -> bool {
        let is_longer = self.paused_until < Some(until);
        self.paused_until = self.paused_until.max(Some(until));
        is_longer
    }

    /// True when the number of connections is limited: then idle ones are closed.
    pub(super) fn limits_connections(&self) -> bool {
        self.limits.connections.is_some()
    }

    /// Takes places for up to `most` recipients, at least one. The error is when there will be one.
    pub(super) fn take(&mut self, most: usize, now: Timestamp) -> Result<usize, Timestamp> {
        match &mut self.bucket {
            Some(bucket) => bucket.take_up_to(most as u64, now).map(|taken| taken as usize),
            None => Ok(most),
        }
    }

    /// Returns places that were taken and not used.
    pub(super) fn put_back(&mut self, count: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(count as u64);
        }
    }
}
