//! What can go wrong with result files.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::journal::JournalError;

/// Result files that can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// No space is left.
    #[error("no space left for `{path}`")]
    Full {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: ParquetError,
    },
    /// The file system.
    #[error("can't {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no result file in the directory.
    #[error("no result files in `{0}`")]
    Missing(PathBuf),
    /// The file is not Parquet, not ours, or cut off.
    #[error("`{path}` is not a result file")]
    NotResults {
        /// The file.
        path: PathBuf,
        /// Parquet's words.
        #[source]
        source: ParquetError,
    },
    /// The file does not have the expected columns.
    #[error("`{path}` is not a result file: {why}")]
    Columns {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// Written by a newer version.
    #[error("`{path}` has result schema {found}, this version reads up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The newest version known here.
        known: u32,
    },
    /// Writing failed for another reason.
    #[error("can't write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Parquet's words.
        #[source]
        source: ParquetError,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl ResultsError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull => Self::Full { path: path.to_owned(), source: source.into() },
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    pub(super) fn write(path: &Path, source: ParquetError) -> Self {
        let cause = match &source {
            ParquetError::External(cause) => cause.downcast_ref::<io::Error>().map(io::Error::kind),
            _ => None,
        };
        let path = path.to_owned();
        match cause {
            Some(io::ErrorKind::StorageFull) => Self::Full { path, source },
            Some(_) | None => Self::Write { path, source },
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Full { .. } => Some(
                "nothing is lost: free some space, then write the files again with `mailrun results RUN`",
            ),
            Self::Io { .. } | Self::Write { .. } => {
                Some("nothing is lost: write the files again with `mailrun results RUN`")
            }
            Self::Missing(_) | Self::NotResults { .. } | Self::Columns { .. } => {
                Some("write the files again from plan and journal with `mailrun results RUN`")
            }
            Self::Newer { .. } => Some("use the version of mailrun that wrote it, or a newer one"),
            Self::Journal(error) => error.hint(),
        }
    }
}
