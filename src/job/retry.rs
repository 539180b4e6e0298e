//! Rows of a run that ended with certain dispositions, as a new run.

use std::collections::BTreeSet;

use super::conclude::check_started;
use super::error::JobError;
use super::frozen_run::{FrozenRun, Source};
use super::observer::Notice;
use super::open::Job;
use super::retry_error::RetryError;
use super::told::{DocumentsOf, told_by_retries};
use super::workspace::Workspace;
use crate::campaign::Campaign;
use crate::journal::RowState;
use crate::mail::Disposition;
use crate::plan;
use crate::run_dir::{
    Content, Lease, Manifest, PasswordOf, RetryOf, RunDir, RunOptions, RunState, StoredRun, run_id,
};
use crate::screen::Counts;
use crate::suppression::Watch;

/// Rows of a run that ended with certain dispositions.
pub(crate) struct RetrySelection {
    from: StoredRun,
    before: Manifest,
    dispositions: BTreeSet<Disposition>,
}

impl RetrySelection {
    /// The rows of the run named `run` that ended with one of `dispositions`.
    pub(crate) fn of(
        workspace: &Workspace,
        run: &str,
        dispositions: impl IntoIterator<Item = Disposition>,
    ) -> Result<Self, JobError> {
        let from = workspace.find_run(run)?;
        let before = from.manifest()?;
        let dispositions: BTreeSet<_> = dispositions.into_iter().collect();
        let has_passwords = before.campaign.secure_documents.is_some();
        dispositions.iter().try_for_each(|disposition| check_wanted(*disposition, has_passwords))?;
        Ok(Self { from, before, dispositions })
    }

    /// The campaign of that run as its file is now, with the route that the run took and what was
    /// said in place of the file.
    pub(crate) fn campaign(&self, workspace: &Workspace) -> Result<Campaign, JobError> {
        let mut campaign = workspace
            .load_with(&self.before.campaign_file, &workspace.parameters().or(&self.before.parameters))?;
        campaign.delivery.route = self.before.campaign.delivery.route;
        campaign.identity.edition.clone_from(&self.before.campaign.identity.edition);
        Ok(campaign)
    }

    /// Whether the rows are those beyond `--limit`: they are not in the plan, and a run of the
    /// whole list sends them, without those who got the edition.
    pub(crate) fn is_rest_of_list(&self) -> bool {
        let is_over = self.before.state == RunState::Finished;
        let only_rest = self.dispositions.iter().eq([&Disposition::NotAttempted]);
        only_rest && is_over && self.before.options.limit.is_some()
    }

    /// Whether that run was a rehearsal: then these rows are rehearsed too.
    pub(crate) fn is_rehearsal(&self) -> bool {
        Workspace::is_rehearsal(&self.from)
    }

    /// The numbers of the rows, in order; of those whose documents were accepted only the password
    /// is left.
    fn rows(&self, workspace: &Workspace) -> Result<Vec<u32>, JobError> {
        check_started(workspace, &self.from, &self.before)?;
        let states = workspace.state()?.read_journal(self.from.dir())?.states()?;
        let ended = |state: RowState| match state {
            RowState::Untouched | RowState::Pending => Disposition::NotAttempted,
            RowState::Final(disposition) => disposition,
            RowState::Open | RowState::Unknown => Disposition::InDoubt,
        };
        let seeds = self.before.seed_rows();
        let plan = self.before.open_plan(&self.from.dir().plan())?;
        let is_anybody = |row: u32| !seeds.contains(&row) && !plan.is_purged(row);
        let documents = DocumentsOf::of(&self.before);
        let told = told_by_retries(&**self.from.store(), &self.before)?;
        let is_wanted = |row: u32, state: RowState| {
            let has_documents =
                state == RowState::Final(Disposition::Accepted) || documents.is_elsewhere(row);
            match states.password(row).filter(|_| has_documents) {
                Some(password) => {
                    self.dispositions.contains(&ended(password)) && !told.contains(&documents.row(row))
                }
                None => self.dispositions.contains(&ended(state)),
            }
        };
        let wanted = states.iter().filter(|(row, state)| is_wanted(*row, *state) && is_anybody(*row));
        let rows: Vec<u32> = wanted.map(|(row, _)| row).collect();
        let name = || self.from.dir().name();
        match (rows.is_empty(), told.is_empty()) {
            (false, _) => Ok(rows),
            (true, true) => Err(RetryError::NoRows(name()).into()),
            (true, false) => Err(RetryError::Told(name()).into()),
        }
    }

    /// Those of `rows` of which only the password is left, as rows of the new run.
    fn passwords(&self, workspace: &Workspace, rows: &[u32]) -> Result<Vec<PasswordOf>, JobError> {
        let states = workspace.state()?.read_journal(self.from.dir())?.states()?;
        let documents = DocumentsOf::of(&self.before);
        let has_documents = |before: u32| {
            documents.is_elsewhere(before) || states.state(before) == RowState::Final(Disposition::Accepted)
        };
        let passwords = (0..).zip(rows).filter(|(_, before)| has_documents(**before)).map(|(row, before)| {
            let (run_id, number) = documents.row(*before);
            PasswordOf { row, run_id, number }
        });
        Ok(passwords.collect())
    }

    fn options(&self) -> RunOptions {
        let mut dispositions: Vec<String> = self.dispositions.iter().map(ToString::to_string).collect();
        dispositions.sort();
        let retry = RetryOf { run_id: self.before.run_id.clone(), dispositions, row: None };
        RunOptions { retry: Some(retry), ..RunOptions::default() }
    }
}

/// Whether such rows can be sent again; `has_passwords` says that each has a second mail, whose
/// address may have been suppressed after the first.
fn check_wanted(disposition: Disposition, has_passwords: bool) -> Result<(), RetryError> {
    match disposition {
        Disposition::Bounced
        | Disposition::Deferred
        | Disposition::InDoubt
        | Disposition::RenderFailed
        | Disposition::Infected
        | Disposition::NotAttempted => Ok(()),
        Disposition::Suppressed if has_passwords => Ok(()),
        Disposition::Accepted => Err(RetryError::Accepted),
        Disposition::Suppressed
        | Disposition::Duplicate
        | Disposition::Invalid
        | Disposition::AlreadySent
        | Disposition::Capped => Err(RetryError::NotPlanned(disposition)),
    }
}

impl Job<'_> {
    /// How many rows a new retry has, and how many of them get nothing because their addresses were
    /// suppressed since they were screened; nothing where the retry exists.
    pub(crate) fn suppressed_in(&self, retry: &RetrySelection) -> Result<Option<(u64, u64)>, JobError> {
        let id = run_id(self.campaign(), &retry.before.inputs, &self.contents()?, &retry.options());
        let runs = self.runs();
        let dir = RunDir::at(runs.folder().join(&self.campaign().identity.id).join(id.as_str()));
        if runs.manifest(&dir)?.is_some() {
            return Ok(None);
        }
        let rows = retry.rows(self.workspace)?;
        let plan = retry.before.open_plan(&retry.from.dir().plan())?;
        let (list, now) = (self.workspace.suppressions()?, self.workspace.clock().wall());
        let list_id = self.campaign().identity.list();
        let watch = Watch::open(list, list_id, retry.before.suppression_change, now)?;
        let is_suppressed = |row: &&u32| matches!(watch.check(&plan.address(**row), now), Ok(Some(_)));
        let suppressed = rows.iter().filter(is_suppressed).count();
        Ok(Some((rows.len() as u64, suppressed as u64)))
    }

    pub(super) fn freeze_retry(&self, retry: &RetrySelection) -> Result<FrozenRun, JobError> {
        // Nobody may change the outcomes while they are chosen from, or send those rows there while
        // they are sent here.
        let source = retry.from.lease()?;
        self.workspace.check_belongs(&retry.before, retry.from.dir())?;
        let (options, contents) = (retry.options(), self.contents()?);
        let id = run_id(self.campaign(), &retry.before.inputs, &contents, &options);
        let runs = self.runs();
        let lease = self.hold(&*runs, &id)?;
        let manifest = match runs.manifest(lease.run())? {
            Some(manifest) if manifest.plan.is_some() => manifest,
            Some(_) | None => {
                let manifest = Manifest::new(
                    self.campaign(),
                    id,
                    retry.before.inputs.clone(),
                    contents,
                    options,
                    self.workspace.clock().wall(),
                );
                match self.freeze_rows_of(retry, &*lease, manifest) {
                    Ok(manifest) => manifest,
                    Err(error) => {
                        lease.abandon()?;
                        return Err(error);
                    }
                }
            }
        };
        let run = FrozenRun::open(lease, manifest)?.resume_with(self.campaign());
        let run = FrozenRun { source: Some(Source { lease: source, manifest: retry.before.clone() }), ..run };
        if !run.is_finished() {
            let (name, from, rows) = (run.name(), retry.from.dir().name(), run.manifest.screening.accepted);
            self.workspace.observer().notice(&Notice::Retrying { run: &name, from: &from, rows });
        }
        Ok(run)
    }

    /// Freezes the rows of `retry` as the plan of the run that is leased.
    fn freeze_rows_of(
        &self,
        retry: &RetrySelection,
        lease: &dyn Lease,
        mut manifest: Manifest,
    ) -> Result<Manifest, JobError> {
        let rows = retry.rows(self.workspace)?;
        lease.discard_plan()?;
        manifest.passwords = retry.passwords(self.workspace, &rows)?;
        let secret = |contents: &[Content]| contents.iter().find(|content| content.is_secret()).cloned();
        let length = |of: &Manifest| of.campaign.secure_documents.as_ref().map(|own| own.password_length);
        let is_other = secret(&manifest.contents) != secret(&retry.before.contents)
            || length(&manifest) != length(&retry.before);
        if !manifest.passwords.is_empty() && is_other {
            return Err(RetryError::OtherSecret(retry.from.dir().name()).into());
        }
        let before = retry.before.open_plan(&retry.from.dir().plan())?;
        // Each run has its copies for seed addresses.
        let seeds = retry.before.seed_rows();
        manifest.seeds = seeds.len() as u32;
        let all = rows.iter().copied().chain(seeds);
        let frozen = plan::freeze_rows(&before, all, &lease.run().plan_files())?;
        manifest.planned = Some(self.workspace.clock().wall());
        let rows = rows.len() as u64;
        manifest.screening = Counts { rows, accepted: rows, ..Counts::default() };
        // Its plan was screened then; what was suppressed since is seen while it is sent.
        manifest.suppression_change = retry.before.suppression_change;
        manifest.plan = Some(frozen.plan);
        manifest.screened = Some(frozen.screened);
        lease.keep(&manifest)?;
        Ok(manifest)
    }
}
