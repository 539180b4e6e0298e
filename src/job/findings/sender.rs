//! What receivers will look up about the sender.

use std::collections::HashSet;

use crate::campaign::{Campaign, Relay, RouteKind};
use crate::dkim::Signer;
use crate::job::error::JobError;
use crate::job::name_servers::NameServers;
use crate::job::open::Job;
use crate::plan::Plan;
use crate::preflight::sender::{self, Egress, Sender};
use crate::preflight::{Finding, Id, csa, dedicated, dnsbl, list, reputation, smime, unsubscribe};
use crate::scan::Item;

/// Rows tried for a message to look at.
const SAMPLE_ROWS: u32 = 64;

/// Looks up the sender's domains and keys, a message that it signed, and the header to unsubscribe
/// with.
pub(crate) async fn sender_findings(
    job: &Job<'_>,
    plan: &Plan,
    name_servers: &NameServers,
    offline: bool,
) -> Result<Vec<Finding>, JobError> {
    let campaign = job.campaign();
    let mut findings: Vec<Finding> =
        unsubscribe::check(campaign).into_iter().chain(dedicated::check(campaign)).collect();
    let groups = job.reputation()?;
    findings.extend(reputation::check(&groups));
    findings.extend(reputation::of_readings(&job.readings(&groups)?));
    let signer = job.signer()?;
    findings.extend(smime::check(campaign, &signer, job.workspace.clock().wall()));
    if offline && !name_servers.is_given() {
        let seen = "the sender's domains were not looked up: --offline";
        findings.push(Finding::new(Id::Offline, seen));
        findings.extend(csa::check(campaign, &signer, None));
        return Ok(findings);
    }
    let resolver = name_servers.resolver(campaign)?;
    let message = sample_message(job, plan, &signer)?;
    let egress = egress(campaign);
    let facts =
        sender_facts(campaign, &signer, &egress, message.as_ref().map(|(_, message)| message.as_slice()));
    let looked_up = sender::check(&facts, &resolver).await;
    findings.extend(csa::check(campaign, &signer, Some(&looked_up)));
    findings.extend(looked_up);
    let zones = &campaign.reputation.dnsbl;
    if !zones.is_empty() {
        let addresses: Vec<_> = egress.iter().map(|egress| egress.address).collect();
        findings.extend(dnsbl::check(zones, &addresses, &link_domains(job, plan)?, &resolver).await);
    }
    Ok(findings)
}

/// The domains that the links of the first message lead to.
fn link_domains(job: &Job<'_>, plan: &Plan) -> Result<Vec<String>, JobError> {
    let (composer, now) = (list::composer(job.campaign())?, job.workspace.clock().wall());
    for index in 0..plan.len().min(SAMPLE_ROWS) {
        let Ok((_, shown)) = composer.compose_shown(&plan.row(index)?, now) else { continue };
        return Ok(dnsbl::link_domains([&*shown.text, shown.html.as_deref().unwrap_or_default()]));
    }
    Ok(Vec::new())
}

/// What is known here of the sender of `campaign`.
pub(crate) fn sender_facts<'a>(
    campaign: &'a Campaign,
    signer: &'a Signer,
    egress: &'a [Egress],
    message: Option<&'a [u8]>,
) -> Sender<'a> {
    Sender {
        from: campaign.sender.from.address.domain(),
        return_path: campaign.sender.return_path().domain(),
        signer,
        egress,
        relays: relays(campaign),
        message,
    }
}

/// The local addresses that receivers see: those of route `mx`. Behind a relay they see the
/// relay's.
pub(crate) fn egress(campaign: &Campaign) -> Vec<Egress> {
    let seen = campaign.egress().filter(|_| campaign.delivery.route == RouteKind::Mx);
    let default = campaign.delivery.ehlo.as_ref();
    seen.map(|egress| Egress { address: egress.address, ehlo: egress.ehlo.as_ref().or(default).cloned() })
        .collect()
}

/// The hosts of the relays that mail is handed to.
fn relays(campaign: &Campaign) -> Vec<&str> {
    if campaign.delivery.route != RouteKind::Relay {
        return Vec::new();
    }
    let is_routed =
        |relay: &&Relay| campaign.route.iter().any(|route| Some(&route.relay) == relay.name.as_ref());
    let all = campaign.main_relays().into_iter().chain(campaign.relay.iter().filter(is_routed));
    let mut seen = HashSet::new();
    all.map(|relay| relay.host.as_str()).filter(|host| seen.insert(*host)).collect()
}

/// A signed message of the campaign: that of the first row that has one.
pub(super) fn sample_message(
    job: &Job<'_>,
    plan: &Plan,
    signer: &Signer,
) -> Result<Option<(u32, Vec<u8>)>, JobError> {
    let (composer, now) = (list::composer(job.campaign())?, job.workspace.clock().wall());
    for index in 0..plan.len().min(SAMPLE_ROWS) {
        let Ok(message) = composer.compose(&plan.row(index)?, now) else { continue };
        return Ok(Some((index, signer.sign(message, now)?.to_vec())));
    }
    Ok(None)
}

/// The parts of that message as scanners get them.
pub(super) fn sample_items(job: &Job<'_>, plan: &Plan) -> Result<Vec<Item>, JobError> {
    let (composer, now) = (list::composer(job.campaign())?, job.workspace.clock().wall());
    for index in 0..plan.len().min(SAMPLE_ROWS) {
        let Ok(message) = composer.compose_to_scan(&plan.row(index)?, now) else { continue };
        return Ok(message.items);
    }
    Ok(Vec::new())
}
