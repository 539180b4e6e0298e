//! Everything that can be known before sending. Sends nothing.

use super::error::JobError;
use super::findings::{DOMAINS_LOOKED_UP, Inspection, content_findings, relay_findings, sender_findings};
use super::name_servers::NameServers;
use super::open::Job;
use crate::campaign::RouteKind;
use crate::mail::Timestamp;
use crate::plan::top_domains;
use crate::preflight::Findings;
use crate::preflight::finish_time::Estimate;
use crate::preflight::list::beyond_limits;
use crate::preflight::{css, other_language};

/// What is checked, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckOptions {
    /// Only the first rows that pass screening.
    pub limit: Option<u64>,
    /// Where names are looked up.
    pub name_servers: NameServers,
    /// Ask no network, unless a name server is given.
    pub offline: bool,
    /// When the last message must have left.
    pub deadline: Option<Timestamp>,
}

/// What was found.
pub(crate) struct CheckReport {
    /// All findings, in the order of the checks.
    pub findings: Findings,
    /// How long the run will take.
    pub estimate: Estimate,
    /// The whole list, screened and rendered.
    pub inspection: Inspection,
}

impl Job<'_> {
    /// Checks the sender, the messages of all rows, the relays and the finish time.
    pub(crate) async fn check(&self, options: &CheckOptions) -> Result<CheckReport, JobError> {
        let campaign = self.campaign();
        let name_servers = &options.name_servers;
        let inspection = Inspection::of(self, options.limit)?;
        let plan = &inspection.plan;
        let mut findings = Findings::default();
        findings.extend(sender_findings(self, plan, name_servers, options.offline).await?);
        findings.extend(self.attachment_folder()?);
        findings.extend(other_language::check(self.templates().foreign()));
        findings.extend(css::check(self.templates().css_in_each()));
        findings.extend(content_findings(self, plan)?);
        if !options.offline && !name_servers.is_given() {
            findings.extend(relay_findings(self).await?);
        }
        findings.extend(inspection.findings()?);
        let files: Vec<&str> = self.target_group()?.files().iter().map(|file| file.shown.as_str()).collect();
        findings.extend(beyond_limits(campaign, &inspection.counts, &files));
        let asked = (!options.offline || name_servers.is_given()).then_some(name_servers);
        let estimate =
            self.estimate(plan, inspection.to_send(), top_domains(plan, DOMAINS_LOOKED_UP), asked).await?;
        findings.push(estimate.finding(&campaign.capacity, options.deadline));
        if campaign.delivery.route == RouteKind::Sandbox {
            findings.rehearse();
        }
        Ok(CheckReport { findings, estimate, inspection })
    }
}
