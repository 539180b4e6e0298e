//! How a run ended: its results, its manifest, and what that amounts to.

use std::str::FromStr;

use super::error::JobError;
use super::frozen_run::FrozenRun;
use super::open::Job;
use super::reputation;
use super::workspace::Workspace;
use crate::mail::Disposition;
use crate::results::Summary;
use crate::run::{self, Phase};
use crate::run_dir::{Manifest, RunDir, RunDirError, RunState, StoredRun};

/// How a run ended, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Finished; every planned recipient accepted, or as many as were asked for.
    AllAccepted,
    /// Finished; some recipients were not accepted, or nobody was there to send to.
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
    /// Writes down how the run ended, and its results. `fail_above` is for
    /// [`Outcome::of_finished`].
    ///
    /// # Errors
    /// Always [`JobError::Interrupted`]: mail may have gone out, and the same command resumes.
    pub(crate) fn conclude(
        &self,
        run: FrozenRun,
        end: &Phase,
        fail_above: Percent,
    ) -> Result<Conclusion, JobError> {
        conclude(self.workspace, run, end, fail_above).map_err(JobError::interrupted)
    }
}

fn conclude(
    workspace: &Workspace,
    run: FrozenRun,
    end: &Phase,
    fail_above: Percent,
) -> Result<Conclusion, JobError> {
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
        let summary = run::write_results(&dir, &journal, &manifest, false, &not_attempted(&manifest, false))?;
        let by_word = |counts: &[(Disposition, u64)]| {
            counts.iter().map(|(disposition, rows)| (disposition.to_string(), *rows)).collect()
        };
        manifest.outcomes = by_word(&summary.dispositions);
        manifest.password_outcomes = by_word(&summary.passwords);
        manifest.passwords_failed = summary.passwords_failed();
        results = Some(summary);
        reputation::keep(workspace, &dir, &manifest);
    }
    lease.keep(&manifest)?;
    workspace.settle_or_warn(&dir, &manifest);
    drop((lease, source));
    let outcome = match stopped {
        Some(_) => Outcome::Interrupted,
        None => Outcome::of_finished(&manifest, fail_above),
    };
    Ok(Conclusion { dir, manifest, results, outcome })
}

impl Outcome {
    /// Of a finished run: whether every planned recipient was accepted, but for at most
    /// `fail_above` of them. A run in which nobody got or had got anything did not do its work.
    pub(crate) fn of_finished(manifest: &Manifest, fail_above: Percent) -> Self {
        let of = |disposition: Disposition| manifest.outcomes.get(disposition.as_str()).copied().unwrap_or(0);
        let refused = [
            Disposition::Bounced,
            Disposition::Deferred,
            Disposition::InDoubt,
            Disposition::RenderFailed,
            Disposition::Infected,
        ];
        let refused: u64 = refused.into_iter().map(of).sum::<u64>() + manifest.passwords_failed;
        let accepted = of(Disposition::Accepted);
        let served = accepted + of(Disposition::AlreadySent);
        let is_enough = refused as f64 * 100.0 <= fail_above.0 * (accepted + refused) as f64;
        if served > 0 && is_enough { Self::AllAccepted } else { Self::SomeNotAccepted }
    }
}

/// A share in percent, from 0 to 100: `2%`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Percent(f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().strip_suffix('%').unwrap_or(text).trim().parse();
        let percent = number.ok().filter(|percent| (0.0..=100.0).contains(percent));
        percent.map(Self).ok_or_else(|| format!("`{text}` is not a share: write 2% or 0.5%, up to 100%"))
    }
}

/// Writes the result files of a run again, from its plan and its journal; also while a process
/// works on it.
pub(crate) fn rewrite_results(
    workspace: &Workspace,
    run: &StoredRun,
) -> Result<(Manifest, Summary), JobError> {
    let (dir, manifest) = (run.dir(), run.manifest()?);
    check_started(workspace, run, &manifest)?;
    // A run that a process is sending is not over, whatever its manifest says.
    let lease = match run.lease() {
        Ok(lease) => Some(lease),
        Err(RunDirError::Locked { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let running = lease.is_none();
    let journal = workspace.state()?.read_journal(dir)?;
    let results = run::write_results(dir, &journal, &manifest, running, &not_attempted(&manifest, running))?;
    Ok((manifest, results))
}

/// Refuses to read the journal of a run that never had one.
pub(super) fn check_started(
    workspace: &Workspace,
    run: &StoredRun,
    manifest: &Manifest,
) -> Result<(), JobError> {
    if manifest.started.is_some() || workspace.state()?.has_journal(run.dir()) {
        return Ok(());
    }
    Err(RunDirError::NotStarted { run: run.dir().name(), refused: manifest.refused.clone() }.into())
}

/// Why a row was not attempted.
pub(super) fn not_attempted(manifest: &Manifest, running: bool) -> String {
    if let Some(refused) = manifest.refused.as_ref().filter(|_| !running) {
        return format!("refused before its turn: {}", refused.why);
    }
    match &manifest.state {
        RunState::Interrupted { reason } => format!("the run ended before its turn: {reason}"),
        RunState::Planned | RunState::Running | RunState::Finished if running => {
            "the run is still sending".to_owned()
        }
        RunState::Planned => "the run has not started".to_owned(),
        RunState::Running => "the run was cut off before its turn".to_owned(),
        RunState::Finished => String::new(),
    }
}
