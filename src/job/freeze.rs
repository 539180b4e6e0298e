//! Screens the list and freezes it, or finds the run that was begun.

use std::sync::Arc;

use super::error::JobError;
use super::findings::DOMAINS_LOOKED_UP;
use super::freeze_error::FreezeError;
use super::frozen_run::{FrozenRun, record_refusal};
use super::observer::{Notice, Stage};
use super::open::{Job, inputs};
use crate::campaign::{Campaign, RouteKind};
use crate::edition::Past;
use crate::plan::{Freeze, Seeds, TopDomains, messages_in, top_domains};
use crate::run::{self, Enough, Screening};
use crate::run_dir::{
    Content, Input, Lease, Manifest, RunDir, RunId, RunOptions, RunState, RunStore, StopReason,
    recipients_part, run_id,
};
use crate::screen::Limits;
use crate::suppression::{Checker, Suppressions};
use crate::target_group::TargetGroup;

/// The rows of the target group that pass screening.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    /// Only the first ones.
    pub limit: Option<u64>,
    /// The name of a deliberate new run; by default the run id is derived from the content.
    pub run_id: Option<RunId>,
    /// Start a new run even if one with different content is unfinished.
    pub new_run: bool,
    /// Send changed templates to those who did not get the edition yet.
    pub only_new: bool,
    /// Send to those who got the edition, too.
    pub again: bool,
}

impl Job<'_> {
    pub(super) fn freeze_list(&self, list: &List) -> Result<FrozenRun, JobError> {
        let (lease, manifest) = self.start().keep(self.hold_list(list))?;
        if self.is_real() {
            self.workspace.forget_refusals(self.campaign(), lease.run());
        }
        if manifest.plan.is_some() {
            return Ok(FrozenRun::open(lease, manifest)?.resume_with(self.campaign()));
        }
        self.freeze(lease, manifest, list.only_new)
    }

    /// The run of the list, held by this process; its plan is not yet made where the run is new.
    fn hold_list(&self, list: &List) -> Result<(Box<dyn Lease>, Manifest), JobError> {
        let campaign = self.campaign();
        let (inputs, contents) = (inputs(self.target_group()?)?, self.contents()?);
        let runs = self.runs();
        let mut options = RunOptions { limit: list.limit, ..RunOptions::default() };
        let id_of = |options: &RunOptions| {
            list.run_id.clone().unwrap_or_else(|| run_id(campaign, &inputs, &contents, options))
        };
        if list.again {
            options.again = Some(1);
            while list.run_id.is_none() && self.is_finished(&*runs, &id_of(&options))? {
                options.again = options.again.map(|times| times + 1);
            }
        }
        let id = id_of(&options);
        if list.run_id.is_none() && !list.new_run {
            let differences = |begun: &Manifest| differences(begun, campaign, &inputs, &contents, &options);
            self.refuse_second_run(&*runs, &id, differences)?;
        }
        let lease = self.hold(&*runs, &id)?;
        if let Some(manifest) = runs.manifest(lease.run())? {
            check_same_content(lease.run(), &manifest, &inputs, &contents, &options)?;
            if manifest.plan.is_some() {
                self.workspace.check_belongs(&manifest, lease.run())?;
                return Ok((lease, manifest));
            }
            // Cut off while the plan was made: nothing was sent, it is made again.
            lease.discard_plan()?;
        }
        let now = self.workspace.clock().wall();
        let mut manifest = Manifest::new(campaign, id, inputs, contents, options, now);
        if let Some(stdin) = &self.stdin {
            let kept = stdin.keep(lease.run())?;
            manifest.came_from_stdin(stdin.path(), &kept);
        }
        Ok((lease, manifest))
    }

    pub(super) fn is_finished(&self, runs: &dyn RunStore, id: &RunId) -> Result<bool, JobError> {
        let dir = RunDir::at(runs.folder().join(&self.campaign().identity.id).join(id.as_str()));
        Ok(runs.manifest(&dir)?.is_some_and(|manifest| manifest.state == RunState::Finished))
    }

    /// Takes the right to work on a run, whose directory is made where it does not exist.
    pub(super) fn hold(&self, runs: &dyn RunStore, id: &RunId) -> Result<Box<dyn Lease>, JobError> {
        self.workspace.remember_runs(self.workspace.runs_of(self.campaign()).folder())?;
        let run = runs.create(&self.campaign().identity.id, id)?;
        Ok(runs.lease(&run)?)
    }

    fn freeze(
        &self,
        lease: Box<dyn Lease>,
        mut manifest: Manifest,
        only_new: bool,
    ) -> Result<FrozenRun, JobError> {
        lease.keep(&manifest)?;
        let domains = match self.freeze_rows(&*lease, &mut manifest, only_new) {
            Ok(domains) => domains,
            Err(error) => {
                record_refusal(&*lease, &mut manifest, &error, self.workspace.clock().wall());
                return Err(error);
            }
        };
        let run = FrozenRun::open(lease, manifest)?;
        let domains = domains.exact(DOMAINS_LOOKED_UP);
        let domains = domains.unwrap_or_else(|| top_domains(&run.plan, DOMAINS_LOOKED_UP));
        let estimate = self.estimate_offline(&run.plan, run.manifest.screening.accepted, domains)?;
        self.workspace.observer().notice(&Notice::Planned(&run.manifest, &estimate));
        Ok(run)
    }

    /// Screens and freezes the rows, and records that in the manifest. Returns the domains of their
    /// addresses.
    fn freeze_rows(
        &self,
        lease: &dyn Lease,
        manifest: &mut Manifest,
        only_new: bool,
    ) -> Result<TopDomains, JobError> {
        let group = self.target_group()?;
        let list = self.workspace.suppressions()?;
        let seeds = Seeds::new(
            self.campaign().seed.addresses.clone(),
            group.files().len(),
            &self.campaign().target_group.email,
        );
        group.keep_messages(&messages_in(lease.run().path()), true)?;
        let freeze = Freeze::begin(&lease.run().plan_files(), self.layout(group))?.with_seeds(seeds);
        let past = self.past(manifest)?;
        let screening = self.screen(group, (&list, past), manifest.options.limit, None, freeze)?;
        if screening.other_letters > 0 && !only_new {
            lease.discard_plan()?;
            return Err(self.sent_before(&screening).into());
        }
        if self.campaign().delivery.route != RouteKind::Sandbox {
            list.restart_time(&screening.blocked, self.workspace.clock().wall())?;
        }
        for (input, rows) in manifest.inputs.iter_mut().zip(&screening.rows_by_file) {
            input.rows = Some(*rows);
        }
        manifest.planned = Some(self.workspace.clock().wall());
        manifest.screening = screening.counts;
        manifest.suppression_change = screening.suppression_change;
        manifest.seeds = screening.frozen.seeds;
        manifest.plan = Some(screening.frozen.plan);
        manifest.screened = Some(screening.frozen.screened);
        lease.keep(manifest)?;
        Ok(screening.domains)
    }

    /// Reads and screens the target group, and freezes it.
    pub(super) fn screen(
        &self,
        group: &TargetGroup,
        (list, past): (&Arc<dyn Suppressions>, Past),
        limit: Option<u64>,
        stop_after: Option<Enough>,
        freeze: Freeze,
    ) -> Result<Screening, JobError> {
        let limits = Limits { duplicates: self.campaign().target_group.duplicates, rows: limit };
        let list_id = self.campaign().identity.list();
        let checker = Checker::open(Arc::clone(list), list_id, self.workspace.clock().wall())?;
        let observer = self.workspace.observer();
        let reading = |rows| observer.progress(Stage::Reading { rows });
        let screening = run::freeze(group, freeze, limits, stop_after, (checker, past), reading);
        observer.progress(Stage::Done);
        Ok(screening?)
    }

    fn sent_before(&self, screening: &Screening) -> FreezeError {
        FreezeError::SentBefore {
            got: screening.counts.already_sent,
            rest: screening.counts.accepted + screening.counts.not_attempted,
            runs: screening.other_runs.clone(),
            campaign: self.campaign().path.clone(),
        }
    }

    /// An unfinished run with other content: its recipients must not get two messages because of an
    /// edit.
    fn refuse_second_run(
        &self,
        runs: &dyn RunStore,
        id: &RunId,
        differences: impl Fn(&Manifest) -> Vec<&'static str>,
    ) -> Result<(), JobError> {
        for dir in runs.list()? {
            let Ok(Some(manifest)) = runs.manifest(&dir) else { continue };
            let begun = manifest.started.is_some() && manifest.options.retry.is_none();
            let ended = match &manifest.state {
                RunState::Finished => true,
                // That run was ended by choice.
                RunState::Interrupted { reason: StopReason::NotAfter | StopReason::Deadline } => true,
                RunState::Planned | RunState::Running | RunState::Interrupted { .. } => false,
            };
            let other = manifest.campaign_id == self.campaign().identity.id && manifest.run_id != *id;
            let same_route = manifest.campaign.delivery.route == self.campaign().delivery.route;
            if other && same_route && begun && !ended {
                if runs.is_leased(&dir)? {
                    // A process is sending it: that is the reason, whatever else differs.
                    drop(runs.lease(&dir)?);
                }
                let (what, dir) = (differences(&manifest), dir.path().to_owned());
                let run_id = manifest.run_id;
                return Err(match what.as_slice() {
                    [] => FreezeError::NamedUnfinished { run_id, dir },
                    _ => FreezeError::OtherUnfinished { run_id, dir, what },
                }
                .into());
            }
        }
        Ok(())
    }
}

/// A run keeps the content that it began with.
fn check_same_content(
    dir: &RunDir,
    manifest: &Manifest,
    inputs: &[Input],
    contents: &[Content],
    options: &RunOptions,
) -> Result<(), FreezeError> {
    match different_content(manifest, inputs, contents, options).first() {
        None => Ok(()),
        Some(what) => {
            Err(FreezeError::Changed { run_id: manifest.run_id.clone(), dir: dir.path().to_owned(), what })
        }
    }
}

/// The files and options in which a run and what is to be sent now differ.
fn different_content(
    manifest: &Manifest,
    inputs: &[Input],
    contents: &[Content],
    options: &RunOptions,
) -> Vec<&'static str> {
    let rows = |inputs: &[Input]| {
        inputs.iter().map(|input| (input.hash.clone(), input.partition.clone())).collect::<Vec<_>>()
    };
    // Every option counts: one that is added later is not forgotten here.
    let RunOptions { limit, to, again, dry_run, retry } = options;
    let compared = [
        (rows(&manifest.inputs) != rows(inputs), "the target group"),
        (manifest.contents != contents, "a template or an attachment"),
        (manifest.options.limit != *limit, "`--limit`"),
        (manifest.options.to != *to, "`--to`"),
        (manifest.options.again != *again, "`--again`"),
        (manifest.options.dry_run != *dry_run, "`--dry-run`"),
        (manifest.options.retry != *retry, "what it resends"),
    ];
    compared.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
}

/// All that a derived run id depends on and that differs: files, options, settings.
fn differences(
    begun: &Manifest,
    campaign: &Campaign,
    inputs: &[Input],
    contents: &[Content],
    options: &RunOptions,
) -> Vec<&'static str> {
    let mut found = different_content(begun, inputs, contents, options);
    let (then, now) = (recipients_part(&begun.campaign), recipients_part(campaign));
    let settings = [
        ("campaign", "`[campaign]` or `--edition`"),
        ("sender", "`[sender]`"),
        ("target-group", "`[target-group]`"),
        ("template", "`[template]`"),
        ("unsubscribe", "`[unsubscribe]`"),
        ("secure-documents", "`[secure-documents]`"),
    ];
    found.extend(settings.iter().filter(|(key, _)| then[*key] != now[*key]).map(|(_, what)| *what));
    found
}
