//! A run whose plan is frozen, held by this process.

use std::sync::Arc;

use super::error::JobError;
use crate::campaign::Campaign;
use crate::mail::{Address, Timestamp};
use crate::plan::Plan;
use crate::run_dir::{Input, Manifest, RunDir, RunId, RunLock, State};

/// A run whose plan is frozen, held by this process until it is dropped.
pub struct FrozenRun {
    /// Its directory.
    pub dir: RunDir,
    /// What it is made of, and how far it is.
    pub manifest: Manifest,
    /// The rows to send.
    pub plan: Arc<Plan>,
    /// Where all messages go instead: a test message.
    pub(super) redirect: Option<Address>,
    /// The run that rows are taken from: locked, so that nobody else sends them.
    pub(super) source: Option<RunLock>,
    pub(super) lock: RunLock,
}

impl FrozenRun {
    /// The run in `dir`, whose manifest says where its plan is.
    pub(super) fn open(dir: RunDir, lock: RunLock, manifest: Manifest) -> Result<Self, JobError> {
        let plan = Arc::new(manifest.open_plan(&dir.plan())?);
        Ok(Self { dir, manifest, plan, redirect: None, source: None, lock })
    }

    /// `<campaign id>/<run id>`.
    pub fn name(&self) -> String {
        self.dir.name()
    }

    /// Its id.
    pub(super) fn id(&self) -> &RunId {
        &self.manifest.run_id
    }

    /// Whether it has finished: nothing is sent again.
    pub fn is_finished(&self) -> bool {
        self.manifest.state == State::Finished
    }

    /// Whether a process has started to send it.
    pub fn has_begun(&self) -> bool {
        self.manifest.started.is_some()
    }

    /// Records that it is being sent, before the first message is.
    pub(super) fn begin(&mut self) -> Result<(), JobError> {
        self.manifest.state = State::Running;
        self.manifest.started.get_or_insert(Timestamp::wall());
        Ok(self.manifest.write(&self.dir.manifest())?)
    }

    /// File and row of a row of the plan.
    pub(super) fn place(&self, index: u32) -> String {
        place(&self.manifest.inputs, &self.plan, index)
    }

    /// The campaign as it is sent now: paces and relays may differ from when the plan was made.
    pub(super) fn resume_with(mut self, campaign: &Campaign) -> Self {
        self.manifest.campaign = campaign.clone();
        self
    }
}

/// File and row of a row of `plan`, for people.
pub fn place(inputs: &[Input], plan: &Plan, index: u32) -> String {
    let (file, row) = plan.place(index);
    format!("{}, row {row}", inputs[file as usize].shown)
}
