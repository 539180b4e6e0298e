//! What can be wrong with the files of a run.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;

/// A file of a run can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The system refuses.
    #[error("can't {action} `{}`", path.display())]
    Io {
        /// `write`, `read`, `create` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what was once written: cut, altered, or another kind of file.
    #[error("`{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// The file was written by a newer program.
    #[error("`{}` has format {found}, and mailrun {} knows up to {known}", path.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format, with the version of the program that wrote it where that is known.
        found: String,
        /// The newest format known here.
        known: u32,
    },
    /// A plan is frozen once.
    #[error("`{}` is there already", .0.display())]
    Frozen(PathBuf),
    /// More accepted rows than can be numbered.
    #[error("more than 4,294,967,294 rows")]
    TooManyRows,
    /// There is no such row.
    #[error("row {index} of a plan of {len} rows")]
    NoRow {
        /// The number asked for.
        index: u32,
        /// The number of rows.
        len: u32,
    },
    /// Arrow can't write or convert what it was given.
    #[error("can't bring the columns into the form of the plan")]
    Arrow(#[source] ArrowError),
}

impl PlanError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Damaged { .. } => Some(
                "restore the run directory from a backup; what its journal knows is still readable. A run that must \
                 not repeat what was sent can't go on without its plan",
            ),
            Self::Newer { .. } => Some("use the mailrun that wrote it, or a newer one"),
            Self::Frozen(_) => {
                Some("a plan never changes: the same content resumes it, other content is another run")
            }
            Self::TooManyRows => Some("split the target group into several campaigns"),
            Self::NoRow { .. } | Self::Arrow(_) => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.into() }
    }

    /// An error of Arrow's while writing: the system's, when that is the cause.
    pub(super) fn writing(path: &Path) -> impl Fn(ArrowError) -> Self {
        move |error| match error {
            ArrowError::IoError(_, source) => Self::Io { action: "write", path: path.to_owned(), source },
            other => Self::Arrow(other),
        }
    }
}

/// What to do about an error of the file system.
pub(crate) fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room on the disk; the same command goes on from here")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose another place for runs with `--runs DIR`, or mend its permissions")
        }
        _ => None,
    }
}
