//! The next hop of each domain: a relay of its own, the relay for all, or its MX hosts.

use std::sync::Arc;
use std::time::Duration;

use super::limits::{LaneLimits, ProviderLimits};
use super::site::{MxHosts, MxShared, Site};
use crate::campaign::DomainRoute;
use crate::mail::{Class, Domain};
use crate::pacing::Rate;
use crate::route::{MtaSts, Route, SiteShaping, TlsDemand};
use crate::smtp;

/// Connections to a site that nothing is known about yet.
const INITIAL_CONNECTIONS: usize = 5;
/// How long a connection to an MX host stays open without work: long enough for the next domain of
/// the same site, and short because a list of many small domains leaves one open at each.
const IDLE: Duration = Duration::from_secs(1);

/// The next hops of a run.
#[derive(Debug)]
pub struct NextHops {
    /// `[[route]]`, in order; the first that matches decides.
    pub routes: Vec<(DomainRoute, Routed)>,
    /// Everything else.
    pub rest: NextHop,
}

/// The next hop of any domain.
#[derive(Debug)]
pub enum NextHop {
    /// One relay, or several that act as one.
    Relay(Routed),
    /// Each domain's own MX hosts.
    Mx(MxHop),
}

/// Where the mail for a domain goes.
#[derive(Debug, Clone)]
pub struct Routed {
    /// The site; sites of the same name are one.
    pub site: Arc<Site>,
    /// What its lane may use.
    pub limits: LaneLimits,
    /// The provider that it belongs to, if any.
    pub provider: Option<ProviderLimits>,
}

/// Why the mail for a domain goes nowhere.
#[derive(Debug, Clone)]
pub struct NoRoute {
    /// True when another lookup can't help.
    pub permanent: bool,
    /// Why.
    pub class: Class,
    /// The addresses of the domain go on the suppression list.
    pub suppress: bool,
    /// What was found, a lowercase fragment that names the domain.
    pub text: String,
}

/// Delivery straight to the MX hosts of each domain.
#[derive(Debug)]
pub struct MxHop {
    /// What it takes to connect.
    pub shared: Arc<MxShared>,
    /// How many local addresses mail leaves from: the limits of the table hold for each.
    pub sources: usize,
}

impl NextHops {
    /// The next hop of all mail, if it is the same for every domain.
    pub fn only_way(&self) -> Option<&Routed> {
        match &self.rest {
            NextHop::Relay(routed) if self.routes.is_empty() => Some(routed),
            NextHop::Relay(_) | NextHop::Mx(_) => None,
        }
    }

    /// The MTA-STS policies of recipients' domains, if they are asked for.
    pub fn mta_sts(&self) -> Option<&MtaSts> {
        match &self.rest {
            NextHop::Relay(_) => None,
            NextHop::Mx(way) => way.shared.router.mta_sts(),
        }
    }

    /// The next hop of `domain` (A-labels).
    pub async fn route(&self, domain: &str) -> Result<Routed, NoRoute> {
        let domain = Domain::parse(domain).map_err(|error| NoRoute {
            permanent: true,
            class: Class::BadDomain,
            suppress: false,
            text: format!("no mail can go to `{domain}`: {error}"),
        })?;
        if let Some((_, routed)) = self.routes.iter().find(|(route, _)| route.takes(&domain)) {
            return Ok(routed.clone());
        }
        match &self.rest {
            NextHop::Relay(routed) => Ok(routed.clone()),
            NextHop::Mx(way) => way.route(&domain).await,
        }
    }
}

impl MxHop {
    async fn route(&self, domain: &Domain) -> Result<Routed, NoRoute> {
        let route = self.shared.router.route(domain).await.map_err(|error| {
            let meaning = error.classification();
            NoRoute {
                permanent: error.is_permanent(),
                class: meaning.class,
                suppress: meaning.suppress,
                text: error.to_string(),
            }
        })?;
        let Route { destination, key, name, shaping, tls, .. } = route;
        // RFC 8689 §4.2.1: with REQUIRETLS the hop's certificate must be verified.
        let demand = if self.shared.extensions.require_tls { TlsDemand::RequiredVerified } else { tls };
        let limits = smtp::ConnectionLimits {
            max_messages: shaping.messages_per_connection,
            idle: IDLE,
            ..smtp::ConnectionLimits::default()
        };
        let hosts = MxHosts { destination, demand, shared: Arc::clone(&self.shared) };
        Ok(Routed {
            site: Arc::new(Site::mx(key.to_string(), name, hosts, limits)),
            limits: lane_limits(&shaping, self.sources),
            provider: provider_limits(&shaping, self.sources),
        })
    }
}

/// The limits of a lane by the shaping table, from `sources` local addresses.
fn lane_limits(shaping: &SiteShaping, sources: usize) -> LaneLimits {
    let connections = shaping.connections.saturating_mul(sources).max(1);
    let each = sources as f64;
    LaneLimits {
        connections,
        initial: connections.min(INITIAL_CONNECTIONS),
        pipeline_depth: 1,
        recipients: shaping.recipients_per_message,
        one_domain: true,
        rate: shaping.messages_per_second.map(|messages| Rate::per_second(messages * each)),
        openings: shaping.new_connections_per_minute.map(|openings| Rate {
            tokens: u64::from(openings).saturating_mul(sources as u64),
            micros: 60_000_000,
        }),
        only_way: false,
    }
}

fn provider_limits(shaping: &SiteShaping, sources: usize) -> Option<ProviderLimits> {
    let name = shaping.provider.as_deref()?.to_owned();
    let each = sources as f64;
    Some(ProviderLimits {
        name,
        connections: shaping.provider_connections.map(|connections| connections.saturating_mul(sources)),
        rate: shaping.provider_messages_per_second.map(|messages| Rate::per_second(messages * each)),
    })
}

/// The limits of a relay's lane: all connections that are configured, from the start, and one
/// recipient a message unless the caller changes that.
pub fn relay_limits(connections: usize, pipeline_depth: usize, shaping: Option<&SiteShaping>) -> LaneLimits {
    let shaped = shaping.map(|shaping| lane_limits(shaping, 1));
    LaneLimits {
        connections,
        initial: connections,
        pipeline_depth,
        recipients: 1,
        one_domain: false,
        rate: shaped.and_then(|limits| limits.rate),
        openings: shaped.and_then(|limits| limits.openings),
        only_way: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Shaping;

    #[test]
    fn mx_hosts_get_recipients_of_one_domain_a_message_and_a_relay_any() {
        let domain = Domain::parse("example.com").expect("it is one");
        let limits = lane_limits(Shaping::default().of(&domain, &["mx.example.com"]), 1);
        assert_eq!((limits.recipients, limits.one_domain), (100, true));
        assert!(!relay_limits(1, 1, None).one_domain);
    }
}
