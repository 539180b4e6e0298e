//! One message of a run, composed again and sent once more: to its recipient, or to another
//! address. Each resend is a run of its own, so that a kill leaves nothing in doubt that a journal
//! does not know.

use super::error::JobError;
use super::frozen_run::{FrozenRun, Source};
use super::open::Job;
use super::recover_error::RecoverError;
use super::workspace::Workspace;
use crate::campaign::Campaign;
use crate::mail::Address;
use crate::plan::{self, Plan};
use crate::run_dir::{Lease, Manifest, RetryOf, RunOptions, RunState, StoredRun, run_id};
use crate::screen::Counts;

/// A row of a run that is sent once more.
pub(crate) struct Resend {
    from: StoredRun,
    before: Manifest,
    row: u32,
    to: Option<Address>,
    again: bool,
}

impl Resend {
    /// The row of the run named `run` that `row` names: its number, or its recipient. Its message
    /// goes to `to` instead, where that is given. `again`: though it was resent before.
    pub(crate) fn of(
        workspace: &Workspace,
        run: &str,
        row: &str,
        to: Option<Address>,
        again: bool,
    ) -> Result<Self, JobError> {
        let from = workspace.find_run(run)?;
        let before = from.manifest()?;
        let plan = before.open_plan(&from.dir().plan())?;
        let row = number_of(&plan, &before, &from.dir().name(), row)?;
        Ok(Self { from, before, row, to, again })
    }

    /// The campaign as it was when the message left, on the ways and with the keys of its file as
    /// it is now.
    pub(crate) fn campaign(&self, workspace: &Workspace) -> Result<Campaign, JobError> {
        let kept = workspace.kept_campaign(self.from.dir(), &self.before)?;
        let mut campaign = workspace
            .load_with(&self.before.campaign_file, &workspace.parameters().or(&self.before.parameters))?;
        campaign.delivery.route = self.before.campaign.delivery.route;
        campaign.identity = kept.identity;
        campaign.sender = kept.sender;
        campaign.target_group = kept.target_group;
        campaign.template = kept.template;
        campaign.variants = kept.variants;
        campaign.unsubscribe = kept.unsubscribe;
        campaign.secure_documents = kept.secure_documents;
        Ok(campaign)
    }

    /// Whether that run was a rehearsal: then this is one too.
    pub(crate) fn is_rehearsal(&self) -> bool {
        Workspace::is_rehearsal(&self.from)
    }

    fn options(&self, again: Option<u32>) -> RunOptions {
        let (run_id, dispositions) = (self.before.run_id.clone(), Vec::new());
        RunOptions {
            to: self.to.as_ref().map(ToString::to_string),
            again,
            retry: Some(RetryOf { run_id, dispositions, row: Some(self.row) }),
            ..RunOptions::default()
        }
    }
}

/// The row of a run's plan that `named` names.
pub(super) fn number_of(plan: &Plan, manifest: &Manifest, run: &str, named: &str) -> Result<u32, JobError> {
    let no_row = || RecoverError::NoRow { run: run.to_owned(), row: named.to_owned() };
    let seeds = manifest.seed_rows();
    if let Ok(number) = named.parse::<u32>() {
        let is_row = number < plan.len() && !seeds.contains(&number) && !plan.is_purged(number);
        return is_row.then_some(number).ok_or_else(|| no_row().into());
    }
    let address = Address::parse(named).map_err(|_| no_row())?;
    let mut rows = (0..seeds.start.min(plan.len())).filter(|row| plan.address(*row) == address);
    let row = rows.next().ok_or_else(no_row)?;
    let others: Vec<String> = rows.take(5).map(|row| row.to_string()).collect();
    match others.is_empty() {
        true => Ok(row),
        false => {
            let rows = format!("{row}, {}", others.join(", "));
            Err(RecoverError::SeveralRows { run: run.to_owned(), address: address.to_string(), rows }.into())
        }
    }
}

impl Job<'_> {
    pub(super) fn freeze_resend(&self, resend: &Resend) -> Result<FrozenRun, JobError> {
        // Nobody may send the row there while it is sent here.
        let source = resend.from.lease()?;
        self.workspace.check_belongs(&resend.before, resend.from.dir())?;
        let (runs, contents) = (Workspace::resent_beside(self.runs().folder()), self.contents()?);
        let id_of = |options: &RunOptions| run_id(self.campaign(), &resend.before.inputs, &contents, options);
        let mut options = resend.options(None);
        while resend.again && self.is_finished(&*runs, &id_of(&options))? {
            options = resend.options(Some(options.again.unwrap_or(0) + 1));
        }
        let lease = self.hold(&*runs, &id_of(&options))?;
        let manifest = match runs.manifest(lease.run())? {
            Some(manifest) if manifest.plan.is_some() => manifest,
            Some(_) | None => {
                let inputs = resend.before.inputs.clone();
                let (id, now) = (id_of(&options), self.workspace.clock().wall());
                let manifest = Manifest::new(self.campaign(), id, inputs, contents.clone(), options, now);
                match self.freeze_row_of(resend, &*lease, manifest) {
                    Ok(manifest) => manifest,
                    Err(error) => {
                        lease.abandon()?;
                        return Err(error);
                    }
                }
            }
        };
        let run = FrozenRun::open(lease, manifest)?.resume_with(self.campaign());
        let source = Some(Source { lease: source, manifest: resend.before.clone() });
        Ok(FrozenRun { source, redirect: resend.to.iter().cloned().collect(), ..run })
    }

    fn freeze_row_of(
        &self,
        resend: &Resend,
        lease: &dyn Lease,
        mut manifest: Manifest,
    ) -> Result<Manifest, JobError> {
        lease.discard_plan()?;
        let before = resend.before.open_plan(&resend.from.dir().plan())?;
        let frozen = plan::freeze_rows(&before, [resend.row], &lease.run().plan_files())?;
        manifest.planned = Some(self.workspace.clock().wall());
        manifest.screening = Counts { rows: 1, accepted: 1, ..Counts::default() };
        manifest.suppression_change = match &resend.to {
            // It does not go to the row's own recipient.
            Some(_) => {
                self.workspace.suppressions()?.live_keys(None, self.workspace.clock().wall(), &mut |_| {})?
            }
            None => resend.before.suppression_change,
        };
        manifest.plan = Some(frozen.plan);
        manifest.screened = Some(frozen.screened);
        manifest.state = RunState::Planned;
        lease.keep(&manifest)?;
        Ok(manifest)
    }
}
