//! Sending the mails of `[report]`. Whether that works changes neither the run nor the exit code.

use std::path::Path;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::runtime::runtime;
use super::{log, signals};
use crate::campaign::Campaign;
use crate::job::{Checks, Job, List, Outcome, Percent, Selection, SendOptions, Workspace};
use crate::journal::InDoubt;
use crate::mail::Timestamp;
use crate::run_dir::{Manifest, RunDir};

/// Tells the owner how a run ended, if somebody wants to hear of it and has not yet.
pub(super) fn after_run(job: &Job<'_>, dir: &RunDir, manifest: &Manifest, dns: &DnsOptions) {
    let sent = job.run_report(dir, manifest).map_err(Diagnostic::from).and_then(|campaign| {
        campaign.map_or(Ok(()), |campaign| send(job.workspace(), campaign, dns).map(drop))
    });
    if let Err(error) = sent {
        log::warn(&format!("the report on {} was not sent: {error}", dir.name()));
    }
}

/// Tells the owner of a campaign what came back yesterday.
pub(super) fn of_yesterday(workspace: &Workspace, file: &Path, dns: &DnsOptions) -> Result<Exit, Diagnostic> {
    let base = workspace.load(file)?;
    if base.report.to.is_empty() {
        return Err(Diagnostic::new("`[report] to` of the campaign names nobody").at(file.display()));
    }
    match workspace.day_report(&base, Timestamp::wall())? {
        Some(campaign) => send(workspace, campaign, dns),
        None => {
            log::print(&format!("nothing came back for {} yesterday", base.identity.id));
            Ok(Exit::Ok)
        }
    }
}

/// Sends such a mail, unless that was done.
fn send(workspace: &Workspace, campaign: Campaign, dns: &DnsOptions) -> Result<Exit, Diagnostic> {
    let job = Job::open(workspace, campaign)?;
    let mut run = job.freeze_or_resume(&Selection::List(List::default()))?;
    if run.is_finished() {
        return Ok(Exit::Ok);
    }
    let options = SendOptions {
        in_doubt: InDoubt::Keep,
        unpaced: false,
        not_after: None,
        deadline: None,
        name_servers: dns.clone().into(),
        sandbox_keep: None,
        sandbox_record: None,
    };
    let end = runtime()?.block_on(async {
        job.gate(&mut run, &Checks::default()).await?;
        Ok::<_, Diagnostic>(job.send(&mut run, &options, signals::listen()?).await?)
    })?;
    let conclusion = job.conclude(run, &end, Percent::default())?;
    let name = conclusion.dir.name();
    match conclusion.outcome {
        Outcome::AllAccepted => {
            log::print(&format!("the report was sent: {name}"));
            Ok(Exit::Ok)
        }
        Outcome::SomeNotAccepted => {
            log::warn(&format!("the report was not accepted; `mailrun results {name}` shows why"));
            Ok(Exit::SomeNotAccepted)
        }
        Outcome::Interrupted => Ok(Exit::Interrupted),
    }
}
