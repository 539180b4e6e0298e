//! Why a run can't be found, created or worked on.

use std::io;
use std::path::PathBuf;

use super::manifest::Refused;
use super::refused_start::RefusedStart;
use crate::plan::{PlanError, io_hint};

/// A run directory can't be created, found or worked on.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The file system refused.
    #[error("can't {action} `{}`", path.display())]
    Io {
        /// `create`, `lock`, `list` or `remove`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process works on the run.
    #[error("another process{} is working on `{}`", holder.map_or(String::new(), |pid| format!(" ({pid})")), path.display())]
    Locked {
        /// The run directory.
        path: PathBuf,
        /// Its process id, where it is known.
        holder: Option<u32>,
    },
    /// The lease ended, or was taken away: another process may work on the run.
    #[error("lost the lease of `{}`: another process may be working on it", .0.display())]
    LeaseLost(PathBuf),
    /// No run has this name.
    #[error("no run `{text}` in `{}`", runs.display())]
    NotFound {
        /// What was asked for.
        text: String,
        /// Where it was looked for.
        runs: PathBuf,
    },
    /// Several runs have names that fit.
    #[error("`{text}` can be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// `<campaign id>/<run id>` of each.
        candidates: Vec<String>,
    },
    /// The run has no manifest yet.
    #[error("`{}` has no manifest", .0.display())]
    NoManifest(PathBuf),
    /// The run has sent nothing, so there is nothing to read.
    #[error("run `{run}` has sent nothing: {}", refused.as_ref().map_or_else(|| "it has not started".to_owned(), |refused| format!("it was refused at {}: {}", refused.at, refused.why)))]
    NotStarted {
        /// `<campaign id>/<run id>`.
        run: String,
        /// Why it was refused, if it was.
        refused: Option<Refused>,
    },
    /// The campaign's last start was refused before it had a run.
    #[error("campaign `{}` has no run: its last start was refused at {}: {}", .0.name(), .0.refused.at, .0.refused.why)]
    RefusedBefore(Box<RefusedStart>),
    /// The manifest can't be read or written.
    #[error(transparent)]
    Manifest(#[from] PlanError),
}

impl RunDirError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&str> {
        let again = "`mailrun send` starts it again once the cause is fixed";
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Locked { .. } => {
                Some("`mailrun status` shows its progress; the same command later resumes the run")
            }
            Self::LeaseLost(_) => Some("leave the file `lock` in place while a run is being sent"),
            Self::NotFound { .. } => Some(
                "name a run id, the first letters of one, a campaign id for its latest run, or a directory",
            ),
            Self::Ambiguous { .. } => Some("give more letters of the run id"),
            Self::NoManifest(_) => Some("the run stopped before it began: `mailrun send` starts it again"),
            // What the refusal advised comes before what is always true.
            Self::NotStarted { refused, .. } => {
                let advice = refused.as_ref().and_then(|refused| refused.hint.as_deref());
                Some(advice.unwrap_or(again))
            }
            Self::RefusedBefore(start) => Some(start.refused.hint.as_deref().unwrap_or(again)),
            Self::Manifest(error) => error.hint(),
        }
    }
}
