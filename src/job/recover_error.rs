//! Why a message can't be composed again.

use std::path::PathBuf;

/// Why a message can't be composed again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    /// The campaign does not ask for it.
    #[error("run `{run}` kept nothing of what its messages were made of")]
    NotAsked {
        /// The run.
        run: String,
    },
    /// The run has not sent anything yet.
    #[error("run `{run}` has kept nothing yet of what its messages are made of")]
    Nothing {
        /// The run.
        run: String,
    },
    /// It was long ago.
    #[error("run `{run}` ended longer ago than the {keep} of `[keep] recover`")]
    Over {
        /// The run.
        run: String,
        /// `[keep] recover`.
        keep: String,
    },
    /// What it kept can't be read.
    #[error("`{path}` is damaged", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        source: serde_json::Error,
    },
    /// There is no such row.
    #[error("run `{run}` has sent nothing to `{row}`")]
    NoRow {
        /// The run.
        run: String,
        /// What was asked for.
        row: String,
    },
    /// Several rows have the address.
    #[error("run `{run}` has several rows with the address `{address}`: {rows}")]
    SeveralRows {
        /// The run.
        run: String,
        /// The address.
        address: String,
        /// Their numbers.
        rows: String,
    },
}

impl RecoverError {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotAsked { .. } => {
                "set `recover = \"45d\"` in `[keep]` of the campaign: later runs keep it"
            }
            Self::Nothing { .. } => "send the run first",
            Self::Over { .. } => "nothing brings it back",
            Self::Damaged { .. } => "restore the run directory from a backup",
            Self::NoRow { .. } => "`mailrun trace --recipient ADDRESS` shows the rows",
            Self::SeveralRows { .. } => "name one by its number",
        }
    }
}
