//! How many rows of a run are where, from its journal.

use super::error::JobError;
use super::workspace::Workspace;
use crate::journal::RowState;
use crate::mail::Disposition;
use crate::run_dir::{Manifest, RunDir};

/// How many there are per word: `waiting`, `to_retry`, `in_flight`, or a disposition.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Rows.
    pub rows: Vec<(String, u64)>,
    /// Mails with passwords that are due: those whose documents were accepted.
    pub passwords: Vec<(String, u64)>,
}

/// How many rows of a run are where. `running` says that a process works on the run.
pub(crate) fn standing(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    running: bool,
) -> Result<Standing, JobError> {
    let screening = &manifest.screening;
    let mut counts = vec![
        (Disposition::Invalid.to_string(), screening.invalid),
        (Disposition::Duplicate.to_string(), screening.duplicate),
        (Disposition::Suppressed.to_string(), screening.suppressed),
    ];
    let mut passwords = Vec::new();
    add(&mut counts, "waiting", screening.not_attempted);
    let state = workspace.state()?;
    if state.has_journal(dir) {
        let states = state.read_journal(dir)?.states()?;
        // Copies for seed addresses are no rows of the list.
        let seeds = manifest.seed_rows();
        let elsewhere = manifest.documents_elsewhere();
        for (row, state) in states.iter().filter(|(row, _)| !seeds.contains(row)) {
            add(&mut counts, word(state, running), 1);
            let is_due = state == RowState::Final(Disposition::Accepted) || elsewhere.contains_key(&row);
            if let Some(password) = states.password(row)
                && (is_due || password != RowState::Untouched)
            {
                add(&mut passwords, word(password, running), 1);
            }
        }
    } else {
        add(&mut counts, "waiting", screening.accepted);
    }
    counts.retain(|(_, rows)| *rows > 0);
    Ok(Standing { rows: counts, passwords })
}

fn word(state: RowState, running: bool) -> &'static str {
    match state {
        RowState::Untouched => "waiting",
        RowState::Pending => "to_retry",
        RowState::Final(disposition) => disposition.as_str(),
        RowState::Open if running => "in_flight",
        RowState::Open | RowState::Unknown => Disposition::InDoubt.as_str(),
    }
}

fn add(counts: &mut Vec<(String, u64)>, word: &str, rows: u64) {
    match counts.iter_mut().find(|(other, _)| other == word) {
        Some((_, sum)) => *sum += rows,
        None => counts.push((word.to_owned(), rows)),
    }
}
