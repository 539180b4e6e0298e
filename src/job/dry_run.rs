//! Everything but SMTP: every row composed and signed, on one core; with secure documents its
//! password too.

use std::time::{Duration, Instant};

use super::error::JobError;
use super::open::Job;
use crate::run_dir::RunId;
use crate::screen::Counts;

/// Failures that are kept with their reasons.
const FAILURES_KEPT: usize = 20;

/// What a dry run came to.
#[derive(Debug)]
pub(crate) struct DryRunTotals {
    /// What screening made of the list.
    pub counts: Counts,
    /// Rows whose messages were composed and signed.
    pub composed: u64,
    /// Rows that can't be rendered.
    pub failed: u64,
    /// The first of them: file and row, and why.
    pub failures: Vec<(String, String)>,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Bytes of the largest.
    pub largest: u64,
    /// How long composing and signing took.
    pub took: Duration,
}

impl Job<'_> {
    /// Composes and signs every row, the first `limit` of those that pass screening. Sends nothing.
    pub(crate) fn dry_run(&self, limit: Option<u64>) -> Result<DryRunTotals, JobError> {
        let files = self.temporary_plan(limit, None)?;
        let plan = files.open()?;
        let id: RunId = "dry-run".parse().expect("letters and a hyphen");
        let (composer, signer) = (self.composer(&id, false)?, self.signer()?);
        let now = self.workspace.clock().wall();
        let start = Instant::now();
        let (mut bytes, mut largest, mut failed) = (0, 0, 0);
        let mut failures = Vec::new();
        // One text for all is composed and signed once.
        let rows = if composer.is_one_text() { plan.len().min(1) } else { plan.len() };
        for index in 0..rows {
            let row = plan.row(index)?;
            let both =
                composer.compose(&row, now).and_then(|own| Ok((own, composer.compose_second(&row, now)?)));
            match both {
                Ok((own, second)) => {
                    for message in std::iter::once(own).chain(second) {
                        let signed = signer.sign(message, now)?;
                        bytes += signed.bytes as u64;
                        largest = largest.max(signed.bytes as u64);
                    }
                }
                Err(failure) => {
                    failed += 1;
                    if failures.len() < FAILURES_KEPT {
                        let file = &self.target_group()?.files()[row.file as usize].shown;
                        failures.push((format!("{file}, row {}", row.row), failure.to_string()));
                    }
                }
            }
        }
        let all = u64::from(plan.len());
        if rows < plan.len() {
            (bytes, failed) = if failed == 0 { (bytes * all, 0) } else { (bytes, all) };
        }
        Ok(DryRunTotals {
            counts: files.screening.counts,
            composed: all - failed,
            failed,
            failures,
            bytes,
            largest,
            took: start.elapsed(),
        })
    }
}
