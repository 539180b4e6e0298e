//! Why a file of a run can't be written or read.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;

/// A file of a run can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file system refused.
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
    /// The file is truncated, altered, or another kind of file.
    #[error("`{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was written by a newer program.
    #[error("`{}` has format {found}, and mailrun {} knows up to {known}", path.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format, and the version of the program that wrote it if known.
        found: String,
        /// The newest format known here.
        known: u32,
    },
    /// There is a plan already: a plan is frozen once.
    #[error("`{}` already exists", .0.display())]
    Frozen(PathBuf),
    /// More accepted rows than can be numbered.
    #[error("more than 4,294,967,294 rows")]
    TooManyRows,
    /// The plan has no such row.
    #[error("row {index} of a plan of {len} rows")]
    NoRow {
        /// The number asked for.
        index: u32,
        /// The number of rows.
        len: u32,
    },
    /// Arrow can't write or convert what it was given.
    #[error("can't convert the columns to those of the plan")]
    Arrow(#[source] ArrowError),
}

impl PlanError {
    /// What the user can do, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Damaged { .. } => Some(
                "restore the run directory from a backup; its journal can still be read, but a run can't resume \
                 without its plan",
            ),
            Self::Newer { .. } => Some("use the mailrun that wrote it, or a newer one"),
            Self::Frozen(_) => {
                Some("a plan never changes: the same content resumes its run, other content starts another")
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

    /// An error from Arrow while writing, as the file system's error if that is the cause.
    pub(super) fn writing(path: &Path) -> impl Fn(ArrowError) -> Self {
        move |error| match error {
            ArrowError::IoError(_, source) => Self::Io { action: "write", path: path.to_owned(), source },
            other => Self::Arrow(other),
        }
    }
}

/// What the user can do about an error of the file system, if anything.
pub(crate) fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room on the disk; the same command resumes")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose another place for runs with `--runs DIR`, or fix its permissions")
        }
        _ => None,
    }
}
