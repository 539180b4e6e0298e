//! A plan for inspection: nothing of it is kept.

use std::sync::Arc;

use super::error::{JobError, SelectionError, SetupError};
use super::open::Job;
use crate::edition::Past;
use crate::kit::causes::Causes;
use crate::mail::Disposition;
use crate::plan::{Freeze, Plan, ScreenedRows, messages_in};
use crate::run::{Enough, Screening};
use crate::run_dir::{Manifest, RunDir, RunOptions};
use crate::suppression::Suppressions;

/// A plan for inspection. Its files are deleted with it.
pub(crate) struct TemporaryPlan {
    /// What screening made of the list.
    pub screening: Screening,
    pub(super) dir: RunDir,
    _folder: tempfile::TempDir,
}

impl TemporaryPlan {
    /// The rows that passed screening.
    pub(crate) fn open(&self) -> Result<Plan, JobError> {
        Ok(Plan::open(&self.dir.plan())?)
    }

    /// Why rows are invalid; `files` are those of the target group as shown.
    pub(super) fn why_invalid(&self, files: &[&str]) -> Result<Causes, JobError> {
        let mut causes = Causes::default();
        for row in ScreenedRows::open(&self.dir.screened())? {
            let row = row?;
            if row.disposition == Disposition::Invalid {
                causes.add(&row.detail, || format!("{}, row {}", files[row.file], row.place.row));
            }
        }
        Ok(causes)
    }

    /// The index of the `number`-th row that passed screening, from 1.
    pub(super) fn row(&self, number: u32) -> Result<u32, SelectionError> {
        let counts = &self.screening.counts;
        if number == 0 || u64::from(number) > counts.accepted {
            let (accepted, rows) = (counts.accepted, counts.rows);
            return Err(SelectionError::NoRow { row: number, accepted, rows });
        }
        Ok(number - 1)
    }
}

impl Job<'_> {
    /// Screens the target group against the suppression list; ends early once that
    /// is enough.
    pub(crate) fn temporary_plan(
        &self,
        limit: Option<u64>,
        stop_after: Option<Enough>,
    ) -> Result<TemporaryPlan, JobError> {
        self.temporary_plan_against((&self.workspace.suppressions()?, Past::default()), limit, stop_after)
    }

    /// The plan that `send` would make now: without those who got the edition, or too much mail.
    pub(super) fn plan_to_send(&self, limit: Option<u64>) -> Result<TemporaryPlan, JobError> {
        let (now, id) = (self.workspace.clock().wall(), "plan".parse().expect("letters"));
        // Who got what does not depend on the list's files.
        let manifest =
            Manifest::new(self.campaign(), id, Vec::new(), self.contents()?, RunOptions::default(), now);
        let past = self.past(&manifest)?;
        self.temporary_plan_against((&self.workspace.suppressions()?, past), limit, None)
    }

    /// The same against a list of the caller's, and what earlier runs have sent.
    pub(super) fn temporary_plan_against(
        &self,
        against: (&Arc<dyn Suppressions>, Past),
        limit: Option<u64>,
        stop_after: Option<Enough>,
    ) -> Result<TemporaryPlan, JobError> {
        let folder = tempfile::Builder::new().prefix("mailrun-").tempdir().map_err(SetupError::Temporary)?;
        let dir = RunDir::at(folder.path().to_owned());
        let group = self.target_group()?;
        group.keep_messages(&messages_in(dir.path()), false)?;
        let freeze = Freeze::aside(&dir.plan_files(), self.layout(group))?;
        let screening = self.screen(group, against, limit, stop_after, freeze)?;
        Ok(TemporaryPlan { screening, dir, _folder: folder })
    }
}
