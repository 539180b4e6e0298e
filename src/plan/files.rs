//! Where the two files of a plan are.

use std::path::{Path, PathBuf};

/// The paths of `plan.arrow` and `screened.arrow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFiles {
    /// The accepted rows.
    pub plan: PathBuf,
    /// The other rows.
    pub screened: PathBuf,
}

impl PlanFiles {
    /// The files of the plan in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { plan: folder.join("plan.arrow"), screened: folder.join("screened.arrow") }
    }
}

/// The folder beside a plan in `folder` that keeps the files with ready messages.
pub(crate) fn messages_in(folder: &Path) -> PathBuf {
    folder.join("messages")
}
