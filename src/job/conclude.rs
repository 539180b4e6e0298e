//! How a run ended: its results, its manifest, and what that amounts to.

use super::error::JobError;
use super::frozen_run::FrozenRun;
use super::open::Job;
use super::workspace::Workspace;
use crate::mail::Disposition;
use crate::results::Summary;
use crate::run::{self, Phase};
use crate::run_dir::{Manifest, RunDir, RunDirError, RunState, StoredRun};

/// How a run ended, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Finished; every planned recipient accepted.
    AllAccepted,
    /// Finished; some recipients were not accepted.
    SomeNotAccepted,
    /// Interrupted or stopped early; the same command resumes.
    Interrupted,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// The run.
    pub dir: RunDir,
    /// Its manifest, as it is now on disk.
    pub manifest: Manifest,
    /// What is in its result files; `None` when it was stopped at once and they were not written.
    pub results: Option<Summary>,
    /// The same in a word.
    pub outcome: Outcome,
}

impl Job<'_> {
    /// Writes down how the run ended, and its results.
    ///
    /// # Errors
    /// Always [`JobError::Interrupted`]: mail may have gone out, and the same command resumes.
    pub(crate) fn conclude(&self, run: FrozenRun, end: &Phase) -> Result<Conclusion, JobError> {
        conclude(self.workspace, run, end).map_err(JobError::interrupted)
    }
}

fn conclude(workspace: &Workspace, run: FrozenRun, end: &Phase) -> Result<Conclusion, JobError> {
    let FrozenRun { mut manifest, lease, source, .. } = run;
    let dir = lease.run().clone();
    let stopped = match end {
        Phase::Stopped { reason, .. } => Some(reason),
        Phase::Running | Phase::Draining { .. } | Phase::Finished => None,
    };
    manifest.state = match stopped {
        Some(reason) => RunState::Interrupted { reason: reason.clone() },
        None => RunState::Finished,
    };
    if stopped.is_none() {
        manifest.finished = Some(workspace.clock().wall());
    }
    let mut results = None;
    if !matches!(end, Phase::Stopped { at_once: true, .. }) {
        let journal = workspace.state()?.read_journal(&dir)?;
        let summary =
            run::write_results(&dir, &journal, &manifest, false, &not_attempted(&manifest.state, false))?;
        manifest.outcomes =
            summary.dispositions.iter().map(|(disposition, rows)| (disposition.to_string(), *rows)).collect();
        results = Some(summary);
    }
    lease.keep(&manifest)?;
    workspace.settle_or_warn(&dir, &manifest);
    drop((lease, source));
    let outcome = match stopped {
        Some(_) => Outcome::Interrupted,
        None => Outcome::of_finished(&manifest),
    };
    Ok(Conclusion { dir, manifest, results, outcome })
}

impl Outcome {
    /// Of a finished run: whether every planned recipient was accepted.
    pub(crate) fn of_finished(manifest: &Manifest) -> Self {
        let of = |disposition: Disposition| manifest.outcomes.get(disposition.as_str()).copied().unwrap_or(0);
        let refused =
            [Disposition::Bounced, Disposition::Deferred, Disposition::InDoubt, Disposition::RenderFailed];
        if refused.into_iter().map(of).sum::<u64>() == 0 { Self::AllAccepted } else { Self::SomeNotAccepted }
    }
}

/// Writes the result files of a run again, from its plan and its journal; also while a process
/// works on it.
pub(crate) fn rewrite_results(
    workspace: &Workspace,
    run: &StoredRun,
) -> Result<(Manifest, Summary), JobError> {
    let (dir, manifest) = (run.dir(), run.manifest()?);
    // A run that a process is sending is not over, whatever its manifest says.
    let lease = match run.lease() {
        Ok(lease) => Some(lease),
        Err(RunDirError::Locked { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let running = lease.is_none();
    let journal = workspace.state()?.read_journal(dir)?;
    let results =
        run::write_results(dir, &journal, &manifest, running, &not_attempted(&manifest.state, running))?;
    Ok((manifest, results))
}

/// Why a row was not attempted.
fn not_attempted(state: &RunState, running: bool) -> String {
    match state {
        RunState::Interrupted { reason } => format!("the run ended before its turn: {reason}"),
        RunState::Planned | RunState::Running | RunState::Finished if running => {
            "the run is still sending".to_owned()
        }
        RunState::Planned => "the run has not started".to_owned(),
        RunState::Running => "the run was cut off before its turn".to_owned(),
        RunState::Finished => String::new(),
    }
}
