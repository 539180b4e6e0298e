//! Why nothing can be removed.

/// Why nothing can be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PurgeError {
    /// Their rows are needed until the run is over.
    #[error("run `{run}` has rows of this person and is not finished")]
    Unfinished {
        /// The run.
        run: String,
    },
    /// Two processes would remove each other's files.
    #[error("another process is removing data")]
    InUse,
}

impl PurgeError {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Unfinished { .. } => {
                "finish the run first, or remove its directory; nothing was removed yet"
            }
            Self::InUse => "run this again when it has ended",
        }
    }
}
