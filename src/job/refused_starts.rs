//! Starts that were refused before they were runs: kept beside the campaign's runs, until a start
//! of the campaign gets further.

use std::io;
use std::path::{self, Path, PathBuf};

use super::error::{ErrorClass, JobError, chain};
use super::workspace::{Workspace, campaign_file};
use crate::campaign::{Campaign, CampaignError};
use crate::run_dir::{RefusedStart, RunDir, RunDirError, RunStore};
use crate::state;

/// A start of a campaign that is no run yet.
pub(crate) struct Start<'w> {
    workspace: &'w Workspace,
    file: PathBuf,
    is_real: bool,
}

impl Start<'_> {
    /// Hands on how a step of the start ended; a refusal is kept.
    pub(crate) fn keep<T>(&self, ended: Result<T, JobError>) -> Result<T, JobError> {
        if let Err(error) = &ended
            && self.is_real
            && self.workspace.is_refusal(error, &self.file)
        {
            self.workspace.keep_refusal(&self.file, error);
        }
        ended
    }
}

impl Workspace {
    /// A start of the campaign at `path`, its file or its folder. Tests, rehearsals and dry runs
    /// are not real, and leave no trace.
    pub(crate) fn start(&self, path: &Path, is_real: bool) -> Start<'_> {
        Start { workspace: self, file: absolute(&campaign_file(path)), is_real }
    }

    /// Removes what is kept of refused starts of a campaign: it has the run `now`.
    pub(super) fn forget_refusals(&self, campaign: &Campaign, now: &RunDir) {
        let file = absolute(&campaign.path);
        let runs = self.runs_of(campaign);
        let forgotten = runs
            .forget_refused_starts(&file, &campaign.identity.id)
            .map_err(JobError::from)
            .and_then(|()| self.withdraw_refused(&*runs, &campaign.identity.id, now));
        if let Err(error) = forgotten {
            self.warn(format!("the last start is still recorded as refused: {}", chain(&error)));
        }
    }

    /// Removes the campaign's runs that were refused before they began: each would hide the runs
    /// before it.
    fn withdraw_refused(&self, runs: &dyn RunStore, id: &str, now: &RunDir) -> Result<(), JobError> {
        let state = self.state()?;
        for run in runs.list()?.iter().filter(|run| *run != now && run.campaign_id() == id) {
            let Ok(Some(manifest)) = runs.manifest(run) else { continue };
            if manifest.refused.is_none() || manifest.started.is_some() || state.has_journal(run) {
                continue;
            }
            match runs.lease(run) {
                Ok(lease) => lease.withdraw()?,
                Err(RunDirError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// All starts that were refused since their campaigns were last started, the latest first.
    pub(crate) fn refused_starts(&self) -> Result<Vec<RefusedStart>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            found.extend(state::runs(&folder).refused_starts()?);
        }
        found.sort_by_key(|start| std::cmp::Reverse(start.refused.at));
        Ok(found)
    }

    /// The refused start of the campaign that a user means: its id, file or folder.
    pub(crate) fn refused_start(&self, text: &str) -> Result<Option<RefusedStart>, JobError> {
        let file = absolute(&campaign_file(Path::new(text)));
        let id = text.trim_end_matches('/');
        if file.is_file() {
            // Other folders may have campaigns with the same id.
            let beside = self.runs_beside(&file).refused_starts()?;
            return Ok(beside.into_iter().find(|start| start.campaign_file == file));
        }
        Ok(self.refused_starts()?.into_iter().find(|start| start.is_of(&file, Some(id))))
    }

    /// The error of a campaign without a run that is meant by `text`: where a start was refused,
    /// it says so.
    pub(super) fn without_run(&self, text: &str, error: JobError) -> JobError {
        match self.refused_start(text) {
            Ok(Some(start)) => RunDirError::RefusedBefore(Box::new(start)).into(),
            Ok(None) => error,
            Err(error) => error,
        }
    }

    /// Whether a start of the campaign in `file` with this error was refused. The name of a file
    /// that never was a campaign is a slip of the pen.
    fn is_refusal(&self, error: &JobError, file: &Path) -> bool {
        match error {
            JobError::Campaign(error) if is_missing(error) => self.is_known(file),
            error => matches!(error.class(), ErrorClass::Usage | ErrorClass::Refused),
        }
    }

    fn keep_refusal(&self, file: &Path, error: &JobError) {
        let campaign = Campaign::id_in(file, self.parameters()).ok().flatten();
        let refused = RefusedStart {
            campaign: campaign.or_else(|| self.campaign_in(file)),
            campaign_file: file.to_owned(),
            refused: error.refused(self.clock().wall()),
        };
        let runs = self.runs_beside(file);
        let kept = runs.keep_refused_start(&refused).map_err(JobError::from);
        if let Err(error) = kept.and_then(|()| self.remember_runs(runs.folder())) {
            self.warn(format!("`mailrun status` will not show this: {}", chain(&error)));
        }
    }

    /// Whether `file` has been a campaign.
    fn is_known(&self, file: &Path) -> bool {
        let refused = self.runs_beside(file).refused_starts().unwrap_or_default();
        self.campaign_in(file).is_some() || refused.iter().any(|start| start.campaign_file == file)
    }

    /// The id of the campaign whose runs name `file`; of several the latest.
    pub(super) fn campaign_in(&self, file: &Path) -> Option<String> {
        let (file, runs) = (absolute(file), self.runs_beside(file));
        let manifests = runs.list().unwrap_or_default().into_iter();
        let manifests = manifests.filter_map(|dir| runs.manifest(&dir).ok().flatten());
        let own = manifests.filter(|run| absolute(&run.campaign_file) == file);
        own.max_by_key(|run| run.created).map(|run| run.campaign_id)
    }
}

fn is_missing(error: &CampaignError) -> bool {
    error.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
}

fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
