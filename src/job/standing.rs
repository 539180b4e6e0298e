//! How many rows of a run are where, from its journal.

use super::error::JobError;
use super::workspace::Workspace;
use crate::journal::RowState;
use crate::mail::Disposition;
use crate::run_dir::{Manifest, RunDir};

/// Rows per word: `waiting`, `to_retry`, `in_flight`, or a disposition. `running` says that a
/// process works on the run.
pub(crate) fn standing(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    running: bool,
) -> Result<Vec<(String, u64)>, JobError> {
    let screening = &manifest.screening;
    let mut counts = vec![
        (Disposition::Invalid.to_string(), screening.invalid),
        (Disposition::Duplicate.to_string(), screening.duplicate),
        (Disposition::Suppressed.to_string(), screening.suppressed),
    ];
    let mut add = |word: String, rows: u64| match counts.iter_mut().find(|(other, _)| *other == word) {
        Some((_, sum)) => *sum += rows,
        None => counts.push((word, rows)),
    };
    add("waiting".into(), screening.not_attempted);
    let state = workspace.state()?;
    if state.has_journal(dir) {
        let states = state.read_journal(dir)?.states()?;
        // Copies for seed addresses are no rows of the list.
        let seeds = manifest.seed_rows();
        for (_, state) in states.iter().filter(|(row, _)| !seeds.contains(row)) {
            match state {
                RowState::Untouched => add("waiting".into(), 1),
                RowState::Pending => add("to_retry".into(), 1),
                RowState::Final(disposition) => add(disposition.to_string(), 1),
                RowState::Open if running => add("in_flight".into(), 1),
                RowState::Open | RowState::Unknown => add(Disposition::InDoubt.to_string(), 1),
            }
        }
    } else {
        add("waiting".into(), screening.accepted);
    }
    counts.retain(|(_, rows)| *rows > 0);
    Ok(counts)
}
