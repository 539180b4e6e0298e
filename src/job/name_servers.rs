//! Where names are looked up: zone files, the name servers given, the campaign's, or the system's.

use std::path::PathBuf;

use super::error::JobError;
use crate::campaign::{Campaign, NameServer};
use crate::route::Resolver;

/// Where names are looked up, as a user says it. It goes before what the campaign says.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameServers {
    /// A zone file, or a folder of zone files; counts only where no servers are given.
    pub zone: Option<PathBuf>,
    /// Name servers.
    pub servers: Vec<NameServer>,
}

impl NameServers {
    /// The resolver for `campaign`.
    pub(crate) fn resolver(&self, campaign: &Campaign) -> Result<Resolver, JobError> {
        self.resolver_over(&campaign.delivery.resolver)
    }

    /// True when the user says where to look: then DNS is asked with `--offline` too.
    pub(crate) fn is_given(&self) -> bool {
        self.zone.is_some() || !self.servers.is_empty()
    }

    /// The resolver as given, or else one that asks `servers`, or the system's.
    pub(crate) fn resolver_over(&self, servers: &[NameServer]) -> Result<Resolver, JobError> {
        let zone = self.zone.as_ref().filter(|_| self.servers.is_empty());
        let servers = if self.servers.is_empty() { servers } else { &self.servers };
        let servers: Vec<_> = servers.iter().map(|server| server.0).collect();
        Ok(match zone {
            Some(path) => Resolver::zone(path)?,
            None if servers.is_empty() => Resolver::system()?,
            None => Resolver::servers(&servers)?,
        })
    }
}
