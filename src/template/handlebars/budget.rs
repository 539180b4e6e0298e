//! What one rendering may cost. The crate hands nothing of ours to the helpers that it calls, so
//! the budget belongs to the thread while it renders.

use std::cell::Cell;

use super::problem::Problem;
use crate::kit::text::grouped;

/// Rounds of `{{#each}}` and calls of helpers in one rendering: less than a second.
pub(super) const STEPS: usize = 1_000_000;

thread_local! {
    /// The steps and the bytes that are left.
    static LEFT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Begins a rendering whose helpers may make so many bytes.
pub(super) fn start(bytes: usize) {
    LEFT.set((STEPS, bytes));
}

/// Takes a step that makes so many bytes.
pub(super) fn spend(made: usize) -> Result<(), Problem> {
    let (steps, bytes) = LEFT.get();
    let Some(steps) = steps.checked_sub(1) else {
        let most = grouped(STEPS as u64);
        return Err(Problem::Value(format!("the lists of this row are too long: more than {most} steps")));
    };
    let bytes = bytes.checked_sub(made).ok_or_else(too_large)?;
    LEFT.set((steps, bytes));
    Ok(())
}

/// What is wrong with a rendering that is larger than a message may be.
pub(super) fn too_large() -> Problem {
    Problem::Value("the text is larger than `template.largest` allows".to_owned())
}
