//! Where a command looks names up: zone files, the campaign's name servers, or the system's.

use super::args::DnsOptions;
use super::diagnostic::Diagnostic;
use crate::campaign::Campaign;
use crate::route::Resolver;

impl DnsOptions {
    /// The resolver for `campaign`; `--dns-zone` goes before its name servers.
    pub fn resolver(&self, campaign: &Campaign) -> Result<Resolver, Diagnostic> {
        let servers: Vec<_> = campaign.delivery.resolver.iter().map(|server| server.0).collect();
        Ok(match &self.dns_zone {
            Some(path) => Resolver::zone(path)?,
            None if servers.is_empty() => Resolver::system()?,
            None => Resolver::servers(&servers)?,
        })
    }
}
