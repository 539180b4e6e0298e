//! Where a command looks names up, and what it makes of them: zone files, the campaign's name servers, or the system's.

use super::args::DnsOptions;
use super::diagnostic::Diagnostic;
use crate::campaign::{Campaign, Mx, NameServer, ShapingEntry};
use crate::route::{MtaSts, MxSecurity, Resolver, Router, Shaping};

impl DnsOptions {
    /// The resolver for `campaign`; the options go before its name servers.
    pub fn resolver(&self, campaign: &Campaign) -> Result<Resolver, Diagnostic> {
        self.resolver_over(&campaign.delivery.resolver)
    }

    /// True when an option says whom to ask: then DNS is asked with --offline too.
    pub fn is_given(&self) -> bool {
        self.dns_zone.is_some() || !self.dns_server.is_empty()
    }

    /// The resolver that the options name, or that asks `servers`, or the system's.
    pub fn resolver_over(&self, servers: &[NameServer]) -> Result<Resolver, Diagnostic> {
        let zone = self.dns_zone.as_ref().filter(|_| self.dns_server.is_empty());
        let servers = if self.dns_server.is_empty() { servers } else { &self.dns_server };
        let servers: Vec<_> = servers.iter().map(|server| server.0).collect();
        Ok(match zone {
            Some(path) => Resolver::zone(path)?,
            None if servers.is_empty() => Resolver::system()?,
            None => Resolver::servers(&servers)?,
        })
    }
}

/// What finds the way to the recipients' domains, and how connections there are secured.
pub fn router(
    resolver: Resolver,
    mx: &Mx,
    shaping: &[ShapingEntry],
) -> Result<(Router, MxSecurity), Diagnostic> {
    let security =
        MxSecurity::new(mx.ca_file.as_deref()).map_err(|error| Diagnostic::of("can't set up TLS", &error))?;
    let mta_sts = mx.mta_sts.then(|| MtaSts::new(resolver.clone(), security.verifier().clone(), mx));
    Ok((Router::new(resolver, Shaping::new(shaping)?, mta_sts, mx.tls), security))
}
