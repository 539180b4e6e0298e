//! Who is informed while a job works: a terminal, a log, a service. `job` itself prints nothing.

use std::fmt;

use crate::journal::InDoubt;
use crate::preflight::Finding;
use crate::preflight::finish_time::Estimate;
use crate::run::Snapshot;
use crate::run_dir::{Manifest, StopReason};

/// Receives notices and progress. Called from several threads.
pub(crate) trait Observer: Send + Sync {
    /// Something that a person should read once.
    fn notice(&self, notice: &Notice<'_>);

    /// How far the work is. Called several times a second.
    fn progress(&self, stage: Stage<'_>);
}

/// Something that a person should read.
pub(crate) enum Notice<'a> {
    /// Something that may be wrong.
    Warning(&'a dyn fmt::Display),
    /// Something that a check before sending found.
    Finding(&'a Finding),
    /// The plan of a new run is frozen. Started now it would take so long, as far as that is known
    /// without DNS.
    Planned(&'a Manifest, &'a Estimate),
    /// A run sends rows of another one again.
    Retrying {
        /// The run.
        run: &'a str,
        /// The one that the rows are from.
        from: &'a str,
        /// How many.
        rows: u64,
    },
    /// A run that was started before goes on.
    Resuming {
        /// Rows that have their outcome.
        done: u64,
        /// All rows of the plan.
        of: u64,
    },
    /// Messages were in flight when the run was cut off.
    InDoubt {
        /// How many.
        rows: u64,
        /// What is done with them.
        in_doubt: InDoubt,
    },
    /// The run stopped early.
    Stopped {
        /// Why.
        reason: &'a StopReason,
    },
}

/// How far the work is.
pub(crate) enum Stage<'a> {
    /// Rows of the target group read and screened.
    Reading {
        /// So far.
        rows: u64,
    },
    /// Rows rendered.
    Rendering {
        /// So far.
        rows: u64,
        /// All.
        of: u64,
    },
    /// A run that is sending.
    Sending(&'a Snapshot),
    /// The stage before is over.
    Done,
}
