//! What stands between a frozen plan and its first message: the sender's domains, a sample of the messages, the deadline,
//! and, where one is given, the approval. Prints warnings only; what is refused ends the command with exit code 3.

use super::args::{Common, DnsOptions, Sending};
use super::check::{self, Whole};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::job::Job;
use super::{log, moment};
use crate::campaign::{Campaign, RouteKind};
use crate::mail::Timestamp;
use crate::plan::Plan;
use crate::preflight::approval::Approval;
use crate::preflight::finish_time;
use crate::preflight::list::{self, Looking};
use crate::preflight::{Finding, Level};

/// Rows of the list that are rendered before the first message leaves. `mailrun check` renders all of them.
const SAMPLE_ROWS: u32 = 1_024;

impl Sending {
    /// The time after which no message is started.
    pub fn end(&self) -> Result<Option<Timestamp>, Diagnostic> {
        self.not_after.as_deref().or(self.deadline.as_deref()).map(moment::parse).transpose()
    }
}

/// Looks at the sender, unless nothing leaves the machine, and at a sample of the messages.
pub fn before_sending(job: &Job, plan: &Plan, dns: &DnsOptions) -> Result<(), Diagnostic> {
    let campaign = &job.materials.campaign;
    let mut findings = match campaign.delivery.route {
        RouteKind::Sandbox => Vec::new(),
        RouteKind::Relay | RouteKind::Mx => check::sender_findings(job, plan, dns, false)?,
    };
    findings.retain(|finding| finding.level >= Level::Warning);
    let composer = list::composer(campaign)?;
    let rows = list::sample(plan.len(), SAMPLE_ROWS);
    let sample = list::dry_run(plan, &composer, &Looking::new(campaign), &rows, |_| {})?;
    let sampled = sample.findings(|index| check::place(job, plan, index));
    // Rows that fail are in the results; a list of nothing else is not worth starting on.
    findings.extend(sampled.into_iter().filter(|finding| finding.level == Level::Refused));
    refuse(findings, "a check before sending refused")
}

/// Refuses a deadline that can't be met.
pub fn deadline(campaign: &Campaign, rows: u64, sending: &Sending) -> Result<(), Diagnostic> {
    let Some(deadline) = sending.deadline.as_deref().map(moment::parse).transpose()? else { return Ok(()) };
    let estimate = finish_time::estimate(rows, &campaign.capacity, Vec::new(), Timestamp::wall());
    let finding = estimate.finding(&campaign.capacity, Some(deadline));
    if finding.level == Level::Ok {
        return Ok(());
    }
    refuse(vec![finding], "the deadline can't be met")
}

/// Compares everything that reaches a recipient with what was approved.
pub fn approved(common: &Common, job: &Job, limit: Option<u64>, hash: &str) -> Result<(), Diagnostic> {
    let whole = Whole::look(common, job, limit)?;
    if whole.approval.hash.eq_ignore_ascii_case(hash.trim()) {
        return Ok(());
    }
    let manifest = check::approval_file(common, &job.materials.campaign);
    let known = Approval::read(&manifest).ok().filter(|known| known.hash.eq_ignore_ascii_case(hash.trim()));
    let different = known.map(|known| whole.approval.content.differences(&known.content)).unwrap_or_default();
    let what = if different.is_empty() { String::new() } else { format!(": {}", different.join(", ")) };
    Err(Diagnostic::new(format!("this is not what was approved{what}"))
        .at(format!("its hash is {}", whole.approval.hash))
        .hint("look at it with `mailrun check`, and have its new hash approved")
        .exit(Exit::Refused))
}

/// Prints the warnings; an error when something is refused.
fn refuse(findings: Vec<Finding>, what: &str) -> Result<(), Diagnostic> {
    let (refused, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.level == Level::Refused);
    for finding in warnings {
        log::print(&format!("{}: {} ({})", finding.level, finding.seen, finding.id));
    }
    let Some(first) = refused.first() else { return Ok(()) };
    let seen: Vec<String> = refused.iter().map(|f| format!("{} ({})", f.seen, f.id)).collect();
    Err(Diagnostic::new(format!("{what}, nothing was sent: {}", seen.join("; ")))
        .hint(first.fix.clone().unwrap_or_else(|| "`mailrun check` says more".into()))
        .exit(Exit::Refused))
}
