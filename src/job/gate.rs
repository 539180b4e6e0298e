//! What must hold before the first byte leaves: the sender's domains, a sample of the messages, the
//! deadline, and, where one is given, the approval.

use std::path::PathBuf;

use super::error::JobError;
use super::findings::{DOMAINS_LOOKED_UP, Inspection, content_findings, sender_findings};
use super::frozen_run::FrozenRun;
use super::name_servers::NameServers;
use super::observer::Notice;
use super::open::Job;
use super::refusal::Refusal;
use crate::campaign::RouteKind;
use crate::mail::Timestamp;
use crate::plan::top_domains;
use crate::preflight::approval::Approval;
use crate::preflight::list::{self, Looking};
use crate::preflight::{Finding, Id, Level, unsubscribe};
use crate::screen::Counts;

/// Rows of the list that are rendered before the first message leaves. `mailrun check` renders all
/// of them.
const SAMPLE_ROWS: u32 = 1_024;

/// What must hold before the first byte leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    /// Look at the sender's domains and at a sample of the messages; names are looked up there.
    pub content: Option<NameServers>,
    /// When the last message must have left.
    pub deadline: Option<Timestamp>,
}

impl Job<'_> {
    /// Checks what must hold before the first byte leaves. Warnings become notices; a refusal is
    /// kept in the run's manifest.
    ///
    /// # Errors
    /// [`Refusal`], and nothing was sent.
    pub(crate) async fn gate(&self, run: &mut FrozenRun, checks: &Checks) -> Result<(), JobError> {
        let checked = self.check_run(run, checks).await;
        if let Err(error) = &checked {
            run.record_refusal(error, self.workspace.clock().wall());
        }
        checked
    }

    async fn check_run(&self, run: &FrozenRun, checks: &Checks) -> Result<(), JobError> {
        self.check_list(run)?;
        self.check_attachment_folder()?;
        if let Some(name_servers) = &checks.content {
            let mut findings = self.sender_warnings(run, name_servers).await?;
            findings.extend(self.sample_refusals(run)?);
            let scanned = content_findings(self, &run.plan)?;
            findings.extend(scanned.into_iter().filter(|finding| finding.level >= Level::Warning));
            self.refuse("a preflight check refused", findings)?;
        } else {
            // Whoever skips the checks knows the list and the sender; the law stays.
            let header = self.unsubscribe_warning().into_iter();
            self.refuse("a newsletter must be easy to leave", Self::milder(run, header.collect()))?;
        }
        // A run that has started is resumed, however late it is.
        if let Some(deadline) = checks.deadline.filter(|_| !run.has_begun()) {
            self.refuse("the deadline can't be met", self.missed(run, deadline, checks).await?)?;
        }
        Ok(())
    }

    /// Refuses a list with too few rows or too many invalid ones. Rows chosen one by one, and a run
    /// that has started, are past that.
    fn check_list(&self, run: &FrozenRun) -> Result<(), Refusal> {
        let options = &run.manifest.options;
        if run.has_begun() || options.retry.is_some() || options.to.is_some() {
            return Ok(());
        }
        let files: Vec<&str> = run.manifest.inputs.iter().map(|input| input.shown.as_str()).collect();
        let findings = self.list_refusals(&run.manifest.screening, &files);
        if findings.is_empty() { Ok(()) } else { Err(Refusal::List { findings }) }
    }

    /// Why a new run of a list with these counts is refused. `files` are its files, as shown.
    pub(super) fn list_refusals(&self, counts: &Counts, files: &[&str]) -> Vec<Finding> {
        let mut findings = list::beyond_limits(self.campaign(), counts, files);
        findings.retain(|finding| finding.level == Level::Refused);
        findings
    }

    /// Problems that receivers will see in the sender's domains; none for a rehearsal.
    async fn sender_warnings(
        &self,
        run: &FrozenRun,
        name_servers: &NameServers,
    ) -> Result<Vec<Finding>, JobError> {
        let mut findings = match self.campaign().delivery.route {
            RouteKind::Sandbox => Vec::new(),
            RouteKind::Relay | RouteKind::Mx | RouteKind::Bsmtp => {
                sender_findings(self, &run.plan, name_servers, false).await?
            }
        };
        findings.retain(|finding| finding.level >= Level::Warning);
        Ok(Self::milder(run, findings))
    }

    /// A newsletter without its header that does not say so; nothing for a rehearsal.
    fn unsubscribe_warning(&self) -> Option<Finding> {
        let leaves = self.campaign().delivery.route != RouteKind::Sandbox;
        let finding = unsubscribe::check(self.campaign()).filter(|_| leaves);
        finding.filter(|finding| finding.level >= Level::Warning)
    }

    /// Some got the message of a run that has begun, without the header; the rest gets the same.
    fn milder(run: &FrozenRun, mut findings: Vec<Finding>) -> Vec<Finding> {
        for finding in findings.iter_mut().filter(|_| run.has_begun()) {
            if finding.id == Id::ListUnsubscribeMissing {
                finding.level = Level::Warning;
            }
        }
        findings
    }

    /// Why the messages of a sample can't be sent. Single rows that fail go to the results; a list
    /// that only fails is refused.
    fn sample_refusals(&self, run: &FrozenRun) -> Result<Vec<Finding>, JobError> {
        let composer = list::composer(self.campaign())?;
        let rows = list::sample(run.plan.len(), SAMPLE_ROWS);
        let sample = list::dry_run(&run.plan, &composer, &Looking::new(self.campaign()), &rows, |_| {})?;
        let findings = sample.findings(|index| run.place(index)).into_iter();
        Ok(findings.filter(|finding| finding.level == Level::Refused).collect())
    }

    /// The deadline, where it can't be met.
    async fn missed(
        &self,
        run: &FrozenRun,
        deadline: Timestamp,
        checks: &Checks,
    ) -> Result<Vec<Finding>, JobError> {
        let rows = u64::from(run.plan.len());
        let domains = top_domains(&run.plan, DOMAINS_LOOKED_UP);
        // Behind a relay it does not matter whose hosts take the mail in the end.
        let to_hosts = self.campaign().delivery.route == RouteKind::Mx;
        let name_servers = checks.content.as_ref().filter(|_| to_hosts);
        let estimate = self.estimate(&run.plan, rows, domains, name_servers).await?;
        let finding = estimate.finding(&self.campaign().capacity, Some(deadline));
        Ok(if finding.level == Level::Ok { Vec::new() } else { vec![finding] })
    }

    /// Turns warnings into notices, and refusals into an error.
    fn refuse(&self, what: &'static str, findings: Vec<Finding>) -> Result<(), Refusal> {
        let (refused, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.level == Level::Refused);
        warnings.iter().for_each(|finding| self.workspace.observer().notice(&Notice::Finding(finding)));
        if refused.is_empty() { Ok(()) } else { Err(Refusal::Findings { what, findings: refused }) }
    }

    /// Compares everything that reaches a recipient with what was approved.
    ///
    /// # Errors
    /// [`Refusal`], and nothing was sent.
    pub(crate) fn gate_approved(&self, limit: Option<u64>, hash: blake3::Hash) -> Result<(), JobError> {
        let approval = Inspection::of(self, limit)?.approval;
        let hash = hash.to_hex();
        let is_meant = |hash_of_it: &str| hash_of_it == hash.as_str();
        if is_meant(&approval.hash) {
            return Ok(());
        }
        let known = Approval::read(&self.approval_file()).ok().filter(|known| is_meant(&known.hash));
        let different = known.map(|known| approval.content.differences(&known.content)).unwrap_or_default();
        Err(Refusal::NotApproved { hash: approval.hash, different }.into())
    }

    /// Where the manifest of the last check is.
    pub(crate) fn approval_file(&self) -> PathBuf {
        self.workspace
            .runs_of(self.campaign())
            .folder()
            .join(&self.campaign().identity.id)
            .join("approval.json")
    }
}
