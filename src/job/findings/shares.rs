//! The parts of the list by provider, with the rates that the providers take.

use std::collections::BTreeMap;

use crate::campaign::{Campaign, RouteKind};
use crate::job::error::JobError;
use crate::job::name_servers::NameServers;
use crate::mail::Domain;
use crate::plan::{Plan, top_domains};
use crate::preflight::finish_time::Share;
use crate::route::{Resolver, Shaping};

/// Domains whose provider is looked up: those with the most rows.
const DOMAINS_LOOKED_UP: usize = 100;

/// The parts of the list by provider, the largest first: domains whose mail goes to the same
/// provider are one. With route `mx` each has the rate that the provider takes; a relay has its own
/// ways. Without `name_servers` nothing is looked up.
pub(crate) async fn shares(
    plan: &Plan,
    campaign: &Campaign,
    name_servers: Option<&NameServers>,
) -> Result<Vec<Share>, JobError> {
    let domains = top_domains(plan, DOMAINS_LOOKED_UP);
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let mut add = |name: String, rows: u64, per_second: Option<f64>| {
        let share = shares.entry(name.clone()).or_insert(Share { name, rows: 0, per_second });
        share.rows += rows;
    };
    match name_servers.filter(|_| campaign.delivery.route != RouteKind::Sandbox) {
        None => domains.into_iter().for_each(|(domain, rows)| add(domain, rows, None)),
        Some(name_servers) => {
            let resolver = name_servers.resolver(campaign)?;
            let shaping = Shaping::new(&campaign.shaping)?;
            let hosts = mail_hosts(&resolver, &domains).await;
            for ((domain, rows), hosts) in domains.into_iter().zip(hosts) {
                let Ok(parsed) = domain.parse::<Domain>() else { continue };
                let limits = shaping.of(&parsed, &hosts);
                let rate = limits.provider_messages_per_second.or(limits.messages_per_second);
                let rate = rate.filter(|_| campaign.delivery.route == RouteKind::Mx);
                match &limits.provider {
                    Some(provider) => add(provider.to_string(), rows, rate),
                    None => add(domain, rows, rate),
                }
            }
        }
    }
    let mut shares: Vec<Share> = shares.into_values().collect();
    shares.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
    Ok(shares)
}

/// The hosts that take each domain's mail; none where DNS does not say.
async fn mail_hosts(resolver: &Resolver, domains: &[(String, u64)]) -> Vec<Vec<String>> {
    let mut lookups = tokio::task::JoinSet::new();
    for (at, (domain, _)) in domains.iter().enumerate() {
        let (resolver, domain) = (resolver.clone(), domain.clone());
        lookups.spawn(async move {
            let found = resolver.mx(&domain).await;
            (at, found.map(|found| found.records.into_iter().map(|mx| mx.host).collect()).unwrap_or_default())
        });
    }
    let mut hosts = vec![Vec::new(); domains.len()];
    while let Some(found) = lookups.join_next().await {
        let (at, found) = found.expect("a lookup does not panic");
        hosts[at] = found;
    }
    hosts
}
