//! Whether the relays answer, and how they are secured.

use crate::campaign::{Campaign, Relay, RouteKind};
use crate::job::error::{JobError, SetupError};
use crate::job::next_hops::ehlo_name;
use crate::job::open::Job;
use crate::preflight::{self, Finding};
use crate::smtp::{Extensions, Secrets, Security, Target};

/// Connects to the relays of the campaign and says EHLO and STARTTLS, no more.
pub(crate) async fn relay_findings(job: &Job<'_>) -> Result<Vec<Finding>, JobError> {
    let campaign = job.campaign();
    let main = campaign.main_relays().into_iter().filter(|_| campaign.delivery.route == RouteKind::Relay);
    let named = campaign
        .relay
        .iter()
        .filter(|relay| campaign.route.iter().any(|route| Some(&route.relay) == relay.name.as_ref()));
    let mut findings = Vec::new();
    for relay in main.chain(named.filter(|_| campaign.delivery.route != RouteKind::Sandbox)) {
        let target = target(campaign, relay).await?;
        let now = job.workspace.clock().wall();
        findings.extend(preflight::relay::check(relay.name.as_deref(), &target, now).await);
    }
    Ok(findings)
}

async fn target(campaign: &Campaign, relay: &Relay) -> Result<Target, JobError> {
    let security = Security::new(relay.tls, relay.ca_file.as_deref()).map_err(SetupError::Tls)?;
    let ehlo = ehlo_name(campaign.delivery.ehlo.as_deref())?;
    // As the run finds them: the system's resolver, /etc/hosts too.
    let found = tokio::net::lookup_host((relay.host.as_str(), relay.port())).await;
    Ok(Target {
        host: relay.host.clone(),
        addresses: found.map(Iterator::collect).unwrap_or_default(),
        local_ip: None,
        ehlo,
        security,
        credentials: None,
        timeouts: campaign.delivery.timeouts.clone(),
        extensions: Extensions::default(),
        secrets: Secrets::default(),
    })
}
