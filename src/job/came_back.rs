//! What came back for a run, counted as it comes.

use std::collections::{HashMap, VecDeque};

use super::error::JobError;
use super::final_states::is_believed;
use super::workspace::Workspace;
use crate::feedback::{Kind, Logged};
use crate::run_dir::RunDir;

/// What came last.
const LAST: usize = 20;
/// Records that are read at once.
const AT_ONCE: usize = 5_000;

/// What came back for a run, as far as the log was read.
#[derive(Debug, Default)]
pub(crate) struct CameBack {
    after: u64,
    counts: HashMap<Kind, u64>,
    last: VecDeque<Logged>,
}

impl CameBack {
    /// Reads on, some thousand records at once. Whether that was all. What machines open and follow
    /// does not count, as in reports; what is taken back later still does.
    pub(crate) fn catch_up(&mut self, workspace: &Workspace, dir: &RunDir) -> Result<bool, JobError> {
        let new = workspace.page_of_came_back(dir, self.after, AT_ONCE)?;
        let is_all = new.len() < AT_ONCE;
        for logged in new {
            self.after = self.after.max(logged.id);
            if !is_believed(&logged) || logged.record.machine.is_some() {
                continue;
            }
            *self.counts.entry(logged.record.kind).or_default() += 1;
            // They would push out what somebody has to look at.
            if matches!(logged.record.kind, Kind::Open | Kind::Click) {
                continue;
            }
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(logged);
        }
        Ok(is_all)
    }

    /// How much came, by kind, in the order of reports.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let of_kind = |kind: &Kind| Some((kind.as_str(), *self.counts.get(kind)?));
        Kind::ALL.iter().filter_map(of_kind).collect()
    }

    /// What came last but opens and clicks, the last first.
    pub(crate) fn last(&self) -> impl Iterator<Item = &Logged> {
        self.last.iter().rev()
    }
}
