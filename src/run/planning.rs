//! The first phase: the whole target group, read, screened and frozen, in batches and constant memory.
//!
//! Reading and parsing run on a thread of their own, a few batches ahead of screening and writing, which follow the
//! order of the input.

use std::sync::mpsc;
use std::thread;

use crate::plan::{Freeze, Frozen, Layout, PlanError, RunDir};
use crate::screen::{Columns, Counts, Limits, Parsed, ScreenError, Screener};
use crate::suppression::{Checker, EntryId};
use crate::target_group::{TargetGroup, TargetGroupError};

/// Batches between reading and screening: enough for both to go on while the other is slow for a moment.
const BATCHES_AHEAD: usize = 4;

/// Why there is no plan. Nothing is left of one.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The target group can't be read.
    #[error(transparent)]
    TargetGroup(#[from] TargetGroupError),
    /// The rows can't be screened.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// The plan can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What screening made of the target group.
#[derive(Debug)]
pub struct Screening {
    /// The two files.
    pub frozen: Frozen,
    /// Rows per reason.
    pub counts: Counts,
    /// The number of rows in each file.
    pub rows_by_file: Vec<u64>,
    /// The entries of the suppression list that blocked a row.
    pub blocked: Vec<EntryId>,
    /// The last change of the suppression list that was seen.
    pub suppression_change: u64,
}

/// Reads, screens and freezes `group` into `run`; ends early once `stop_after` rows are accepted. `progress` gets the
/// number of rows read so far.
pub fn freeze(
    group: &TargetGroup,
    layout: Layout,
    limits: Limits,
    stop_after: Option<u64>,
    checker: Checker,
    run: &RunDir,
    mut progress: impl FnMut(u64),
) -> Result<Screening, PlanningError> {
    let columns = Columns { email: group.email_column(), id: group.id_column(), name: group.name_column() };
    let files = group.files().iter().map(|file| file.shown.clone()).collect();
    let mut screener = Screener::new(&group.schema(), columns, limits, files, checker)?;
    let mut freeze = Freeze::begin(run, layout)?;
    let parser = screener.parser();
    let (send, receive) = mpsc::sync_channel::<Result<Parsed, PlanningError>>(BATCHES_AHEAD);

    thread::scope(|scope| -> Result<(), PlanningError> {
        // It ends when the group does, or when nobody takes its batches any more.
        scope.spawn(move || {
            for batch in group.batches() {
                let parsed = batch.map_err(PlanningError::from).and_then(|batch| Ok(parser.parse(batch)?));
                if send.send(parsed).is_err() {
                    return;
                }
            }
        });
        for parsed in receive {
            freeze.write(&screener.accept(parsed?)?)?;
            progress(screener.counts().rows);
            if stop_after.is_some_and(|rows| screener.counts().accepted >= rows) {
                break;
            }
        }
        Ok(())
    })?;
    Ok(Screening {
        frozen: freeze.finish()?,
        counts: screener.counts(),
        rows_by_file: screener.rows_by_file(),
        blocked: screener.blocked().to_vec(),
        suppression_change: screener.suppression_change(),
    })
}
