//! One run as a page shows it, and what is kept to bring it up to date.

use std::time::Duration;

use crate::feedback::Logged;
use crate::job::{CameBack, Complaints, JobError, Live, Refusal, RunSums, Workspace};
use crate::mail::Timestamp;
use crate::report::Slot;
use crate::results::Summary;
use crate::run_dir::{Manifest, RunState, StoredRun};

/// How long a journal is read at once: a page does not wait for all of a large one.
const AT_ONCE: Duration = Duration::from_millis(120);
/// Next hops that are shown with their complaints.
const HOPS: usize = 20;

/// What was added up of a run.
#[derive(Debug)]
pub(super) struct Figures {
    /// Its results so far.
    pub summary: Summary,
    /// What was used of the agreement.
    pub slots: Vec<Slot>,
    /// Rows that wait for their first attempt and for another one, and that are in flight.
    pub left: (u64, u64, u64),
    /// Next hops with what they complained about, the last first.
    pub complaints: Vec<(String, Complaints)>,
    /// The last refusals, the last first.
    pub refusals: Vec<Refusal>,
}

/// A run as it is.
#[derive(Debug)]
pub(super) struct RunView<'a> {
    /// `campaign/run`.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether a process works on it.
    pub is_running: bool,
    /// What that process wrote last.
    pub live: Option<Live>,
    /// What was added up; none before the plan is frozen.
    pub figures: Option<&'a Figures>,
    /// Whether all of the journal was added up.
    pub is_whole: bool,
    /// What came back, by kind, and the last of it.
    pub came_back: Vec<(&'static str, u64)>,
    pub last_back: Vec<&'a Logged>,
    /// Now.
    pub now: Timestamp,
}

/// What is kept of a run between two views.
#[derive(Debug, Default)]
pub(super) struct Kept {
    sums: Option<RunSums>,
    figures: Option<Figures>,
    /// Nothing more will be added: the run is over, and all of its journal was read.
    is_settled: bool,
    came_back: CameBack,
}

impl Kept {
    /// Reads what was written since.
    pub(super) fn read(&mut self, workspace: &Workspace, run: &StoredRun) -> Result<RunView<'_>, JobError> {
        // Before the journal: what it does not see, nobody writes.
        let is_running = run.is_leased()?;
        let (dir, manifest) = (run.dir(), run.manifest()?);
        let mut is_whole = true;
        if !self.is_settled {
            if self.sums.is_none() {
                self.sums = RunSums::open(dir, &manifest)?;
            }
            if let Some(sums) = &mut self.sums {
                is_whole = sums.catch_up(workspace, dir, AT_ONCE)?;
                self.figures = Some(figures(sums));
            }
            self.is_settled = is_whole && !is_running && manifest.state == RunState::Finished;
            if self.is_settled {
                self.sums = None;
            }
        }
        is_whole &= self.came_back.catch_up(workspace, dir)?;
        Ok(RunView {
            name: dir.name(),
            is_running,
            live: if is_running { Live::read(dir) } else { None },
            manifest,
            figures: self.figures.as_ref(),
            is_whole,
            came_back: self.came_back.counts(),
            last_back: self.came_back.last().collect(),
            now: workspace.clock().wall(),
        })
    }
}

fn figures(sums: &RunSums) -> Figures {
    let complaints = sums.complaints().into_iter().take(HOPS);
    Figures {
        summary: sums.summary(),
        slots: sums.slots(),
        left: sums.left(),
        complaints: complaints.map(|(hop, own)| (hop.to_owned(), own.clone())).collect(),
        refusals: sums.refusals().cloned().collect(),
    }
}
