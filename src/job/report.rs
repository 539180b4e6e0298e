//! What a report tells of a run, from its result files and its manifest alone.

use std::collections::BTreeMap;

use super::conclude::rewrite_results;
use super::error::JobError;
use super::final_states::is_believed;
use super::workspace::Workspace;
use crate::feedback::Kind;
use crate::mail::Timestamp;
use crate::report::Slot;
use crate::results::{Column, ResultFiles, Summary};
use crate::run_dir::{Manifest, RunState, StoredRun};

/// The facts of a run's report.
pub(crate) struct ReportOfRun {
    /// The run's manifest.
    pub manifest: Manifest,
    /// Its results.
    pub summary: Summary,
    /// What it used of its agreement, in order of time.
    pub slots: Vec<Slot>,
    /// What came back since, by kind.
    pub came_back: Vec<(&'static str, u64)>,
}

impl Workspace {
    /// Reads the results of a run; those of one that has not finished are written first. Memory: a
    /// few bytes for each five minutes.
    pub(crate) fn report(&self, run: &StoredRun) -> Result<ReportOfRun, JobError> {
        let manifest = run.manifest()?;
        let written = ResultFiles::open(&run.dir().results());
        let (manifest, summary, files) = match written {
            Ok(files) if manifest.state == RunState::Finished => {
                let summary = Summary::of(&files)?;
                (manifest, summary, files)
            }
            Ok(_) | Err(_) => {
                let (manifest, summary) = rewrite_results(self, run)?;
                (manifest, summary, ResultFiles::open(&run.dir().results())?)
            }
        };
        let capacity = &manifest.campaign.capacity;
        let mut used: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for row in files.rows(&Column::OF_TRANSMISSIONS) {
            let row = row?;
            for (at, bytes) in row.transmissions() {
                *used.entry(at.slot()).or_default() += capacity.cost(bytes);
            }
        }
        let slots = used.into_iter().map(|(start, used)| Slot { start, used }).collect();
        let came = self.came_back_of(run.dir(), 0)?;
        let of_kind = |kind: &Kind| {
            let own = came.iter().filter(|logged| {
                logged.record.kind == *kind && logged.record.machine.is_none() && is_believed(logged)
            });
            (kind.as_str(), own.count() as u64)
        };
        let came_back = Kind::ALL.iter().map(of_kind).filter(|(_, events)| *events > 0).collect();
        Ok(ReportOfRun { manifest, summary, slots, came_back })
    }
}
