//! `[[relay]]` and `[[route]]`: several relays, and domains with a relay of their own.

use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, Relay, RelayTls, RouteKind};
use super::error::Mistake;
use crate::mail::Domain;

/// One entry of `[[route]]`: mail for these domains goes to this relay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DomainRoute {
    /// The domains, in U-labels or A-labels.
    pub domains: Vec<String>,
    /// The name of a `[[relay]]`.
    pub relay: String,
}

impl DomainRoute {
    /// True when mail for `domain` goes to this relay.
    pub fn takes(&self, domain: &Domain) -> bool {
        self.domains.iter().any(|own| Domain::parse(own).is_ok_and(|own| own == *domain))
    }
}

/// The relays for the domains that no `[[route]]` names: `[delivery.relay]`, or each `[[relay]]`
/// that no route names.
pub(super) fn main_relays<'a>(
    delivery: &'a Delivery,
    relays: &'a [Relay],
    routes: &[DomainRoute],
) -> Vec<&'a Relay> {
    if let Some(relay) = &delivery.relay {
        return vec![relay];
    }
    let is_named = |relay: &Relay| routes.iter().any(|route| Some(&route.relay) == relay.name.as_ref());
    relays.iter().filter(|relay| !is_named(relay)).collect()
}

pub(super) fn check(delivery: &Delivery, relays: &[Relay], routes: &[DomainRoute]) -> Result<(), Mistake> {
    if delivery.route == RouteKind::Relay && main_relays(delivery, relays, routes).is_empty() {
        return Err(Mistake::new(
            "delivery.route",
            "route `relay` needs `[delivery.relay]`, or a `[[relay]]` that no `[[route]]` names",
            "add it with its `host`",
        ));
    }
    let weak = |relay: &&Relay| !matches!(relay.tls, RelayTls::Required | RelayTls::Implicit);
    if let Some(relay) = relays.iter().chain(&delivery.relay).find(weak).filter(|_| delivery.require_tls) {
        return Err(Mistake::new(
            "delivery.require-tls",
            format!("every hop must use TLS, but the relay `{}` need not", relay.host),
            "use `tls = \"required\"` or `\"implicit\"` for each relay",
        ));
    }
    for (at, relay) in relays.iter().enumerate() {
        let Some(name) = &relay.name else {
            return Err(Mistake::new(
                "relay.name",
                format!("the `[[relay]]` with host `{}` has no name", relay.host),
                "add `name`",
            ));
        };
        if relays[..at].iter().any(|other| other.name.as_ref() == Some(name)) {
            return Err(Mistake::new(
                "relay.name",
                format!("there are two relays `{name}`"),
                "give each a name of its own",
            ));
        }
        relay.check()?;
    }
    for route in routes {
        if !relays.iter().any(|relay| relay.name.as_ref() == Some(&route.relay)) {
            return Err(Mistake::new(
                "route.relay",
                format!("there is no relay `{}`", route.relay),
                "add a `[[relay]]` of that name",
            ));
        }
        if let Some(bad) = route.domains.iter().find(|domain| Domain::parse(domain).is_err()) {
            return Err(Mistake::new(
                "route.domains",
                format!("`{bad}` is not a domain"),
                "write the part after the `@`",
            ));
        }
    }
    Ok(())
}
