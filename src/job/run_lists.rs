//! Which list a run wrote to, also when its directory is gone.

use std::collections::HashMap;

use super::error::JobError;
use super::workspace::Workspace;
use crate::mail::ListId;

/// The lists of all runs of real mail that the state remembers.
#[derive(Debug, Default)]
pub(super) struct RunLists {
    by_run: HashMap<(String, String), ListId>,
}

impl RunLists {
    /// Those of a workspace. Where it has no state yet, none is created.
    pub(super) fn open(workspace: &Workspace) -> Result<Self, JobError> {
        if !workspace.state_file()?.exists() {
            return Ok(Self::default());
        }
        let runs = workspace.state()?.editions()?.all_runs()?;
        let by_run = runs.into_iter().filter_map(|run| {
            let list = run.list_id.parse().ok()?;
            Some(((run.edition.campaign, run.run_id), list))
        });
        Ok(Self { by_run: by_run.collect() })
    }

    /// The list of a run of a campaign; none where it had none, or nothing is known of it.
    pub(super) fn of(&self, campaign: &str, run: &str) -> Option<ListId> {
        self.by_run.get(&(campaign.to_owned(), run.to_owned())).cloned()
    }
}
