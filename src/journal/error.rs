//! What can go wrong with a journal, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A journal that can't be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no such file.
    #[error("no journal at `{0}`")]
    Missing(PathBuf),
    /// There is one already.
    #[error("a journal exists already at `{0}`")]
    Exists(PathBuf),
    /// The file is not SQLite, or not one of ours.
    #[error("`{path}` is not a journal: {why}")]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Written by a newer version.
    #[error("`{path}` has journal format {found}, this version reads up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// It is the journal of another run.
    #[error("journal `{path}` belongs to another plan: it has {field} `{found}`, this run has `{expected}`")]
    OtherPlan {
        /// The file.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// As in the journal.
        found: String,
        /// As in the run.
        expected: String,
    },
    /// Parts of it can't be read.
    #[error("journal `{path}` is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, where.
        why: String,
    },
    /// No space is left.
    #[error("no space left for journal `{path}`")]
    Full {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The file or its directory can't be written to.
    #[error("journal `{path}` can't be written to")]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// Another process holds it.
    #[error("journal `{path}` is held by another process")]
    Busy {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// Anything else of SQLite.
    #[error("can't {action} journal `{path}`")]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The file system.
    #[error("can't {action} journal `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The writer's thread is gone.
    #[error("the writer of journal `{0}` has ended")]
    Ended(PathBuf),
}

impl JournalError {
    pub(super) fn sqlite(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, source },
            Some(ErrorCode::NotADatabase) => Self::NotAJournal { path, why: source.to_string() },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, why: source.to_string() },
            _ => Self::Sqlite { action, path, source },
        }
    }

    pub(super) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => {
                Some("if it was removed, what was sent is not known: start a new run with `--run-id`")
            }
            Self::Exists(_) => None,
            Self::NotAJournal { .. } => Some("restore the file, or start a new run with `--run-id`"),
            Self::Newer { .. } => Some("go on with the version of mailrun that began this run"),
            Self::OtherPlan { .. } => {
                Some("`plan.arrow` and `journal.db` must be those of one run directory")
            }
            Self::Damaged { .. } => Some(
                "nothing was sent; `mailrun results RUN` shows what is known, rows without a known outcome are `in_doubt`",
            ),
            Self::Full { .. } => Some("free some space; the same command resumes"),
            Self::ReadOnly { .. } => Some("make the run directory writable for this user"),
            Self::Busy { .. } => Some("wait for the other process to end"),
            Self::Sqlite { .. } | Self::Io { .. } | Self::Ended(_) => None,
        }
    }
}
