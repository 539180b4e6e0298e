//! Nobody gets one edition twice, or more mail than `max-per` allows: who got what before is looked
//! up while the list is frozen, claimed before the first message leaves, and settled when the run
//! ends.
//!
//! The claim is durable before the first intent, so a run that was killed holds everybody that it
//! may have mailed, also when its directory is gone. The next run of the edition settles it from
//! its journal, where that can be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::DateTime;

use super::error::JobError;
use super::freeze_error::FreezeError;
use super::frozen_run::FrozenRun;
use super::live::Live;
use super::open::Job;
use super::workspace::Workspace;
use crate::campaign::{Kind, RouteKind};
use crate::edition::{
    Cap, Capped, Claim, Earlier, Edition, Editions, Past, PastRun, Recipient, Recognise, RunMark,
};
use crate::journal::{Journal, RowState, States};
use crate::mail::{Disposition, Timestamp};
use crate::plan::Plan;
use crate::run_dir::{Manifest, RunDir, RunDirError, RunState, letter};
use crate::state;

/// What the results say of a row that another run sends.
const SENT_BY_ANOTHER: &str = "another run sent this edition, or is sending it";

impl Workspace {
    fn editions(&self) -> Result<Arc<dyn Editions>, JobError> {
        Ok(self.state()?.editions()?)
    }

    /// Refuses a run that was sent from elsewhere: who it has mailed since is not in this journal.
    pub(super) fn check_belongs(&self, manifest: &Manifest, dir: &RunDir) -> Result<(), JobError> {
        let is_over = manifest.state == RunState::Finished;
        if !counts(manifest) || manifest.started.is_none() || is_over {
            return Ok(());
        }
        let editions = self.editions()?;
        let place = || absolute(dir);
        if let Some(owner) = &manifest.state_id
            && *owner != editions.state_id()?
        {
            return Err(FreezeError::OtherState { dir: place() }.into());
        }
        match editions.run(&mark(manifest))? {
            Some(run) if run.dir != place() => {
                Err(FreezeError::Copied { dir: place(), original: run.dir }.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Makes the run at `path` this state's, at the place where it is now.
    ///
    /// # Errors
    /// When there is no run, or a process is working on it.
    pub(crate) fn adopt(&self, path: &Path) -> Result<Manifest, JobError> {
        let not_found = || RunDirError::NotFound { text: path.display().to_string(), runs: path.to_owned() };
        let run = state::run_at(path).ok_or_else(not_found)?;
        let (lease, mut manifest) = (run.lease()?, run.manifest()?);
        if !counts(&manifest) {
            return Ok(manifest);
        }
        let editions = self.editions()?;
        let known = editions.run(&mark(&manifest))?.filter(|_| manifest.state_id.is_some());
        // A run that was moved stays the same. Of a run that still exists elsewhere this is another
        // one, and each leaves out whom the other has mailed.
        let moved = known.is_some_and(|known| known.dir == absolute(run.dir()) || !known.dir.exists());
        if !moved {
            manifest.adopted = Some(self.clock().wall());
        }
        manifest.state_id = Some(editions.state_id()?);
        lease.keep(&manifest)?;
        self.remember_runs(run.folder())?;
        self.settle(run.dir(), &manifest)?;
        Ok(manifest)
    }

    /// Writes down whom a run has mailed, as its journal has it. The caller holds the run.
    fn settle(&self, dir: &RunDir, manifest: &Manifest) -> Result<(), JobError> {
        let state = self.state()?;
        if !counts(manifest) || !state.has_journal(dir) {
            return Ok(());
        }
        let states = state.read_journal(dir)?.states()?;
        let plan = manifest.open_plan(&dir.plan())?;
        let mailed = recipients(manifest, &plan, &states, RowState::may_be_mailed);
        let editions = state.editions()?;
        let claimed = editions.run(&mark(manifest))?.map(|run| run.at);
        let at = self.last_mail(dir, manifest).max(claimed.unwrap_or_default());
        Ok(editions.settle(&past_run(manifest, dir, at), &mailed)?)
    }

    /// When a run that nobody is sending may have mailed somebody last.
    fn last_mail(&self, dir: &RunDir, manifest: &Manifest) -> Timestamp {
        let last_seen = || DateTime::parse_from_rfc3339(&Live::read(dir)?.at).ok();
        let last_seen = || last_seen().map(|at| Timestamp(at.timestamp_micros()));
        manifest.finished.or_else(last_seen).unwrap_or_else(|| self.clock().wall())
    }

    /// The same when a run ends. If it fails, the run holds everybody that it might have mailed,
    /// until the next run of the edition tries again.
    pub(super) fn settle_or_warn(&self, dir: &RunDir, manifest: &Manifest) {
        if let Err(error) = self.settle(dir, manifest) {
            self.warn(format!("can't write down who got this edition: {}", super::chain(&error)));
        }
    }

    /// Settles those of `runs` that a kill left open, where their journals can be read. Returns
    /// those that are being sent: of them everybody counts.
    fn settle_killed(&self, runs: Vec<PastRun>) -> Vec<RunMark> {
        let mut sending = Vec::new();
        for run in runs.into_iter().filter(|run| run.is_open) {
            let Some(stored) = state::run_at(&run.dir) else { continue };
            let Ok(_lease) = stored.lease() else {
                sending.push(run.mark);
                continue;
            };
            let Ok(manifest) = stored.manifest() else { continue };
            if mark(&manifest) != run.mark {
                continue;
            }
            if let Err(error) = self.settle(stored.dir(), &manifest) {
                tracing::debug!("run {} stays open: {}", run.run_id, super::chain(&error));
            }
        }
        sending
    }

    /// How much mail the recipients of a run may have got; `None` where that does not matter.
    fn cap(&self, editions: &dyn Editions, manifest: &Manifest) -> Result<Option<Cap>, JobError> {
        if !counts(manifest) || manifest.campaign.identity.max_per.is_none() {
            return Ok(None);
        }
        let sending = self.settle_killed(editions.all_runs()?);
        Ok(Cap::of(&manifest.campaign.identity, self.clock().wall(), sending, recognise(manifest)))
    }
}

impl Job<'_> {
    /// What earlier runs mean for that of `manifest`.
    pub(super) fn past(&self, manifest: &Manifest) -> Result<Past, JobError> {
        Ok(Past { earlier: self.earlier(manifest)?, capped: self.capped(manifest)? })
    }

    /// Who got too much mail lately; `None` where that does not matter.
    fn capped(&self, manifest: &Manifest) -> Result<Option<Capped>, JobError> {
        let editions = self.workspace.editions()?;
        let Some(cap) = self.workspace.cap(&*editions, manifest)? else { return Ok(None) };
        Ok(Some(Capped::open(&*editions, cap, &mark(manifest), recognise(manifest))?))
    }

    /// Who got the edition that `manifest` is of; `None` where that does not matter.
    fn earlier(&self, manifest: &Manifest) -> Result<Option<Earlier>, JobError> {
        if !counts(manifest) || manifest.options.again.is_some() {
            return Ok(None);
        }
        let (editions, edition) = (self.workspace.editions()?, edition(manifest));
        self.remember_old_runs(&*editions, &edition)?;
        self.workspace.settle_killed(editions.runs(&edition)?);
        let (runs, own) = (editions.runs(&edition)?, mark(manifest));
        let letter = letter(&manifest.campaign, &manifest.contents);
        Ok(Some(Earlier::open(&*editions, runs, Some(&own), recognise(manifest), letter)?))
    }

    /// Runs of versions that remembered no editions.
    fn remember_old_runs(&self, editions: &dyn Editions, of: &Edition) -> Result<(), JobError> {
        let runs = self.workspace.runs_of(self.campaign());
        for dir in runs.list()? {
            let Ok(Some(manifest)) = runs.manifest(&dir) else { continue };
            let is_old = manifest.started.is_some() && manifest.state_id.is_none();
            if !is_old || edition(&manifest) != *of || editions.run(&mark(&manifest))?.is_some() {
                continue;
            }
            match runs.lease(&dir) {
                Ok(_lease) => self.workspace.settle(&dir, &manifest)?,
                Err(RunDirError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Claims the rows that are left to send, before the first message leaves. Those that another
    /// run has sent, or is sending, end here, as do those of recipients who got too much mail.
    pub(super) fn claim(
        &self,
        run: &mut FrozenRun,
        journal: &mut Journal,
        states: &mut States,
    ) -> Result<(), JobError> {
        if !counts(&run.manifest) {
            return Ok(());
        }
        let editions = self.workspace.editions()?;
        if let Some(source) = &run.source {
            self.workspace.settle(source.lease.run(), &source.manifest)?;
        }
        self.workspace.settle_killed(editions.runs(&edition(&run.manifest))?);
        let cap = self.workspace.cap(&*editions, &run.manifest)?;
        let is_left = |state| matches!(state, RowState::Untouched | RowState::Pending);
        let wanted = recipients(&run.manifest, &run.plan, states, is_left);
        let recognise = recognise(&run.manifest);
        let from = run.source.as_ref().map(|source| mark(&source.manifest));
        let claimed = editions.claim(&Claim {
            run: &past_run(&run.manifest, run.dir(), self.workspace.clock().wall()),
            wanted: &wanted,
            again: run.manifest.options.again.is_some() || resends_one(&run.manifest),
            repeats: recognise.repeats(),
            from: from.as_ref(),
            cap: cap.as_ref(),
        })?;
        let capped = cap.map_or_else(String::new, |cap| cap.why());
        for (left_out, disposition, why) in [
            (&claimed.refused, Disposition::AlreadySent, SENT_BY_ANOTHER),
            (&claimed.capped, Disposition::Capped, capped.as_str()),
        ] {
            if left_out.is_empty() {
                continue;
            }
            let is_left_out = |row: &u32| {
                let recipient = recognise.of(&run.plan.address(*row), run.plan.id(*row));
                left_out.binary_search(&recipient).is_ok()
            };
            let seeds = run.manifest.seed_rows();
            let left = states.iter().filter(|(row, state)| is_left(*state) && !seeds.contains(row));
            let rows: Vec<u32> = left.map(|(row, _)| row).filter(is_left_out).collect();
            journal.end_rows(&rows, states, disposition, why, self.workspace.clock().now())?;
        }
        run.manifest.state_id = Some(editions.state_id()?);
        Ok(())
    }
}

/// Whether a run is of real mail. Rehearsals and tests count for nothing.
fn counts(manifest: &Manifest) -> bool {
    manifest.campaign.delivery.route != RouteKind::Sandbox && manifest.options.to.is_none()
}

/// Whether it is of one row that is sent once more.
fn resends_one(manifest: &Manifest) -> bool {
    manifest.options.retry.as_ref().is_some_and(|retry| retry.row.is_some())
}

fn edition(manifest: &Manifest) -> Edition {
    let name = manifest.campaign.identity.edition.clone().unwrap_or_default();
    Edition { campaign: manifest.campaign_id.clone(), name }
}

/// A copy of a run directory has the same mark until it is adopted.
fn mark(manifest: &Manifest) -> RunMark {
    let begun = manifest.adopted.unwrap_or(manifest.created);
    RunMark(format!("{}/{}@{}", manifest.campaign_id, manifest.run_id, begun.0))
}

fn recognise(manifest: &Manifest) -> Recognise {
    Recognise::by(manifest.campaign.target_group.duplicates)
}

fn absolute(dir: &RunDir) -> PathBuf {
    dir.path().canonicalize().unwrap_or_else(|_| dir.path().to_owned())
}

fn past_run(manifest: &Manifest, dir: &RunDir, at: Timestamp) -> PastRun {
    PastRun {
        mark: mark(manifest),
        edition: edition(manifest),
        run_id: manifest.run_id.to_string(),
        dir: absolute(dir),
        list_id: manifest.campaign.identity.list_id.clone().unwrap_or_default(),
        is_alarm: manifest.campaign.identity.kind == Kind::Alarm,
        letter: letter(&manifest.campaign, &manifest.contents),
        at,
        is_open: true,
    }
}

/// The recipients of the rows in certain states, sorted. Seed addresses are nobody's edition.
fn recipients(
    manifest: &Manifest,
    plan: &Plan,
    states: &States,
    wanted: impl Fn(RowState) -> bool,
) -> Vec<Recipient> {
    let recognise = recognise(manifest);
    let seeds = manifest.seed_rows();
    let rows =
        states.iter().filter(|(row, state)| wanted(*state) && !seeds.contains(row)).map(|(row, _)| row);
    let mut recipients: Vec<_> = rows.map(|row| recognise.of(&plan.address(row), plan.id(row))).collect();
    recipients.sort_unstable();
    recipients.dedup();
    recipients
}
