//! What came back for a run, counted as it comes.

use std::collections::{HashMap, VecDeque};

use super::error::JobError;
use super::final_states::is_believed;
use super::workspace::Workspace;
use crate::feedback::{Kind, Logged};
use crate::run_dir::RunDir;

/// What came last.
const LAST: usize = 20;

/// What came back for a run, as far as the log was read.
#[derive(Debug, Default)]
pub(crate) struct CameBack {
    after: u64,
    counts: HashMap<Kind, u64>,
    last: VecDeque<Logged>,
}

impl CameBack {
    /// Reads on. Whether there was anything new. What is taken back later still counts here.
    pub(crate) fn catch_up(&mut self, workspace: &Workspace, dir: &RunDir) -> Result<bool, JobError> {
        let new = workspace.came_back_of(dir, self.after)?;
        let is_new = !new.is_empty();
        for logged in new {
            self.after = self.after.max(logged.id);
            if !is_believed(&logged) {
                continue;
            }
            *self.counts.entry(logged.record.kind).or_default() += 1;
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(logged);
        }
        Ok(is_new)
    }

    /// How much came, by kind, in the order of reports.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let of_kind = |kind: &Kind| Some((kind.as_str(), *self.counts.get(kind)?));
        Kind::ALL.iter().filter_map(of_kind).collect()
    }

    /// What came last, the last first.
    pub(crate) fn last(&self) -> impl Iterator<Item = &Logged> {
        self.last.iter().rev()
    }
}
