//! A run whose plan is frozen, held by this process.

use std::sync::Arc;

use super::error::{ErrorClass, JobError, chain};
use crate::campaign::Campaign;
use crate::mail::{Address, Timestamp};
use crate::plan::Plan;
use crate::run_dir::{Input, Lease, Manifest, RunDir, RunId, RunState};

/// A run whose plan is frozen, held by this process until it is dropped.
pub(crate) struct FrozenRun {
    /// What it is made of, and how far it is.
    pub manifest: Manifest,
    /// The rows to send.
    pub plan: Arc<Plan>,
    /// Where the message of each row goes instead, for test messages; empty for real mail.
    pub(super) redirect: Vec<Address>,
    /// The run that rows are taken from: leased, so that nobody else sends them.
    pub(super) source: Option<Source>,
    pub(super) lease: Box<dyn Lease>,
}

/// The run that rows are taken from, held by this process.
pub(super) struct Source {
    pub(super) lease: Box<dyn Lease>,
    pub(super) manifest: Manifest,
}

impl FrozenRun {
    /// The run that is leased, whose manifest says where its plan is.
    pub(super) fn open(lease: Box<dyn Lease>, manifest: Manifest) -> Result<Self, JobError> {
        let plan = Arc::new(manifest.open_plan(&lease.run().plan())?);
        Ok(Self { manifest, plan, redirect: Vec::new(), source: None, lease })
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &RunDir {
        self.lease.run()
    }

    /// `<campaign id>/<run id>`.
    pub(crate) fn name(&self) -> String {
        self.dir().name()
    }

    /// Its id.
    pub(super) fn id(&self) -> &RunId {
        &self.manifest.run_id
    }

    /// Whether it has finished: nothing is sent again.
    pub(crate) fn is_finished(&self) -> bool {
        self.manifest.state == RunState::Finished
    }

    /// Whether a process has started to send it.
    pub(crate) fn has_begun(&self) -> bool {
        self.manifest.started.is_some()
    }

    /// Records that it is being sent since `now`, before the first message is.
    pub(super) fn begin(&mut self, now: Timestamp) -> Result<(), JobError> {
        self.manifest.state = RunState::Running;
        self.manifest.started.get_or_insert(now);
        self.manifest.refused = None;
        Ok(self.lease.keep(&self.manifest)?)
    }

    /// Records that a start was refused, if `error` means that. Another process's run is left
    /// alone.
    pub(super) fn record_refusal(&mut self, error: &JobError, now: Timestamp) {
        match error.class() {
            ErrorClass::Usage | ErrorClass::Refused => {
                record_refusal(&*self.lease, &mut self.manifest, error, now);
            }
            ErrorClass::Interrupted | ErrorClass::Busy => {}
        }
    }

    /// File and row of a row of the plan.
    pub(super) fn place(&self, index: u32) -> String {
        let (file, row) = self.plan.place(index);
        format!("{}, row {row}", self.manifest.shown(file as usize))
    }

    /// The campaign as it is sent now: paces and relays may differ from when the plan was made.
    pub(super) fn resume_with(mut self, campaign: &Campaign) -> Self {
        self.manifest.campaign = campaign.clone();
        self
    }
}

/// Keeps in the manifest why a start was refused.
pub(super) fn record_refusal(lease: &dyn Lease, manifest: &mut Manifest, error: &JobError, now: Timestamp) {
    manifest.refused = Some(error.refused(now));
    // The error itself reaches the user.
    if let Err(error) = lease.keep(manifest) {
        tracing::debug!("the refusal is not in the manifest: {}", chain(&error));
    }
}

/// File and row of a row of `plan`, for people.
pub(super) fn place(inputs: &[Input], plan: &Plan, index: u32) -> String {
    let (file, row) = plan.place(index);
    format!("{}, row {row}", inputs[file as usize].shown)
}
