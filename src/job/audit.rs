//! Proof from result files alone that the agreed capacity was kept.

use std::collections::BTreeMap;

use super::error::JobError;
use super::workspace::Workspace;
use crate::campaign::Capacity;
use crate::mail::Timestamp;
use crate::pacing::{Audit, audit};
use crate::results::{Column, ResultFiles};

impl Workspace {
    /// Holds the attempts of runs, named as [`Workspace::find_run`] takes them, against the
    /// strictest limits that the runs of an account name. One audit an account, by its name.
    pub(crate) fn audit(&self, runs: &[String]) -> Result<Vec<(String, Audit)>, JobError> {
        let mut accounts: BTreeMap<String, (Capacity, Vec<(Timestamp, u64)>)> = BTreeMap::new();
        for run in runs {
            let run = self.find_run(run)?;
            let campaign = run.manifest()?.campaign;
            let account = accounts.entry(campaign.capacity_account());
            let (strictest, attempts) = account.or_insert_with(|| (campaign.capacity.clone(), Vec::new()));
            strictest.per_hour = strictest.per_hour.min(campaign.capacity.per_hour);
            strictest.burst_percent = strictest.burst_percent.min(campaign.capacity.burst_percent);
            for row in ResultFiles::open(&run.dir().results())?.rows(&Column::OF_TRANSMISSIONS) {
                let row = row?;
                attempts.extend(row.transmissions().map(|(at, bytes)| (at, campaign.capacity.cost(bytes))));
            }
        }
        let audits = accounts.into_iter().map(|(account, (capacity, mut attempts))| {
            attempts.sort_unstable();
            (account, audit(attempts.into_iter(), &capacity).expect("the times are sorted"))
        });
        Ok(audits.collect())
    }
}
