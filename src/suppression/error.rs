//! What can be wrong with the state database.

use std::io;
use std::path::{Path, PathBuf};

/// The state database can't be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum SuppressionError {
    /// The file or its directory can't be made, read or written.
    #[error("can't {action} `{}`", path.display())]
    Io {
        /// `create` or `read`.
        action: &'static str,
        /// The state database.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a file, and it is not mailrun's state database.
    #[error("`{}` is not a mailrun state database: {found}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The file, or the table in it, has a newer format than this program knows.
    #[error("`{}` has format {found} of {part}, and this mailrun knows up to {known}", path.display())]
    Newer {
        /// The state database.
        path: PathBuf,
        /// `the file` or `the suppression list`.
        part: &'static str,
        /// The format found.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// SQLite finds its file damaged.
    #[error("`{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The state database.
        path: PathBuf,
        /// What SQLite says, or what was seen.
        detail: String,
    },
    /// SQLite failed.
    #[error("can't {action} in `{}`", path.display())]
    Sqlite {
        /// What was tried, such as `add an entry`.
        action: &'static str,
        /// The state database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

impl SuppressionError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("choose another state directory with `--state DIR` or MAILRUN_STATE, or mend its permissions")
            }
            Self::Io { .. } => None,
            Self::NotOurs { .. } => Some("choose another state directory with `--state DIR` or MAILRUN_STATE"),
            Self::Newer { .. } => Some("use the mailrun that wrote it, or a newer one"),
            Self::Damaged { .. } => Some(
                "restore it from a backup (or recover it with `sqlite3 state.db .recover`); without it mail would go \
                 to people who have unsubscribed, so it is not made anew",
            ),
            Self::Sqlite { source, .. } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    Some("another process holds it for long: try again")
                }
                Some(rusqlite::ErrorCode::DiskFull) => Some("make room on the disk and try again"),
                Some(rusqlite::ErrorCode::ReadOnly) => Some("mend the permissions of the file and its directory"),
                _ => None,
            },
        }
    }

    /// An SQLite error, sorted by what it says about the file.
    pub(super) fn sqlite(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => {
                Self::NotOurs { path: path.to_owned(), found: "not an SQLite database, or a damaged one".into() }
            }
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path: path.to_owned(), detail: source.to_string() }
            }
            _ => Self::Sqlite { action, path: path.to_owned(), source },
        }
    }
}
