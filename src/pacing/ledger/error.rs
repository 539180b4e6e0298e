//! What can be wrong with the ledger.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::suppression::SuppressionError;

/// The ledger grants nothing, because it can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The state database can't be opened.
    #[error(transparent)]
    State(#[from] SuppressionError),
    /// The ledger's tables have a newer format than this program knows.
    #[error("`{}` has format {found} of the capacity ledger, and this mailrun knows up to {known}", path.display())]
    Newer {
        /// The state database.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// What the ledger holds can't be true.
    #[error("the capacity ledger in `{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The state database.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Another file has taken the place of the one that is in use.
    #[error("`{}` has been replaced or removed while it was in use", path.display())]
    Replaced {
        /// The state database.
        path: PathBuf,
    },
    /// SQLite failed.
    #[error("can't {action} in `{}`", path.display())]
    Sqlite {
        /// What was tried, such as `reserve capacity`.
        action: &'static str,
        /// The state database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The ledger's thread has ended.
    #[error("the capacity ledger has stopped")]
    Stopped,
}

impl LedgerError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::State(error) => error.hint(),
            Self::Newer { .. } => Some("use the mailrun that wrote it, or a newer one"),
            Self::Damaged { .. } => Some(
                "restore it from a backup (or recover it with `sqlite3 state.db .recover`); what has been sent in the \
                 last hour isn't known without it, so it is not made anew",
            ),
            Self::Replaced { .. } => Some(
                "stop all runs, wait an hour or put the old file back, and start them again: they resume",
            ),
            Self::Sqlite { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Some("another process holds it for long: try again")
                }
                Some(ErrorCode::DiskFull) => Some("make room on the disk and try again"),
                Some(ErrorCode::ReadOnly) => Some("mend the permissions of the file and its directory"),
                _ => None,
            },
            Self::Stopped => None,
        }
    }

    /// An SQLite error, sorted by what it says about the file.
    pub(super) fn sqlite(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path: path.to_owned(), detail: source.to_string() }
            }
            _ => Self::Sqlite { action, path: path.to_owned(), source },
        }
    }
}
