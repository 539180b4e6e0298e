//! The message of one row, sent to other addresses. Each test is a run of its own, apart from the
//! campaign's runs.

use super::error::JobError;
use super::frozen_run::FrozenRun;
use super::open::{Job, inputs};
use crate::mail::Address;
use crate::plan::{self, Plan};
use crate::run::Enough;
use crate::run_dir::{Apart, Manifest, RunId, RunOptions};
use crate::screen::Counts;

/// The message of one row, sent to other addresses.
#[derive(Debug, Clone)]
pub(crate) struct TestMessage {
    /// The number of the row among those that pass screening, from 1.
    pub row: u32,
    /// The addresses, at least one.
    pub to: Vec<Address>,
}

impl Job<'_> {
    pub(super) fn freeze_test(&self, test: &TestMessage) -> Result<FrozenRun, JobError> {
        let row = test.row.max(1);
        let all = self.temporary_plan(None, Some(Enough::accepted(row.into())))?;
        let index = all.row(row)?;
        let now = self.workspace.clock().wall();
        let id: RunId =
            now.to_utc().format("test-%Y%m%d-%H%M%S%3f").to_string().parse().expect("letters and digits");
        let lease = self.hold(&*self.workspace.apart_from(self.campaign(), Apart::Tests), &id)?;
        let rows = test.to.iter().map(|_| index);
        let frozen = plan::freeze_rows(&Plan::open(&all.dir.plan())?, rows, &lease.run().plan_files())?;
        let to: Vec<String> = test.to.iter().map(ToString::to_string).collect();
        let options = RunOptions { to: Some(to.join(",")), ..RunOptions::default() };
        let (inputs, contents) = (inputs(self.target_group()?)?, self.contents()?);
        let mut manifest = Manifest::new(self.campaign(), id, inputs, contents, options, now);
        manifest.planned = Some(now);
        manifest.screening = {
            let rows = test.to.len() as u64;
            Counts { rows, accepted: rows, ..Counts::default() }
        };
        manifest.plan = Some(frozen.plan);
        manifest.screened = Some(frozen.screened);
        // Later changes of the suppression list don't stop the test: it does not go to the row's
        // own recipient.
        manifest.suppression_change = all.screening.suppression_change;
        lease.keep(&manifest)?;
        let run = FrozenRun::open(lease, manifest)?;
        Ok(FrozenRun { redirect: test.to.clone(), ..run })
    }
}
