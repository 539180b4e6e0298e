//! Why no run can be made or resumed of some content.

use std::path::{Path, PathBuf};

use crate::kit::text::{counted, grouped};
use crate::run_dir::RunId;

/// No run can be made or resumed of this content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FreezeError {
    /// An unfinished run of the campaign has other content: nobody must get two messages because of
    /// an edit.
    #[error("run `{run_id}` of this campaign is unfinished and was started with different content ({})", what.join(", "))]
    OtherUnfinished {
        /// The run.
        run_id: RunId,
        /// Its directory.
        dir: PathBuf,
        /// What differs, at least one thing.
        what: Vec<&'static str>,
    },
    /// An unfinished run has the same content and another name.
    #[error("run `{run_id}` of this campaign is unfinished and has the same content; only its name differs")]
    NamedUnfinished {
        /// The run.
        run_id: RunId,
        /// Its directory.
        dir: PathBuf,
    },
    /// A run can't change its content.
    #[error("run `{run_id}` was started with different content: {what} has changed")]
    Changed {
        /// The run.
        run_id: RunId,
        /// Its directory.
        dir: PathBuf,
        /// `the target group`, `a template or an attachment`, `--limit` or `--again`.
        what: &'static str,
    },
    /// Somebody on the list got this edition with other templates or from another sender.
    #[error(
        "{} of this list got this edition already, with other templates or another sender ({} {}); {} did not",
        counted(*got, "recipient", "recipients"), if runs.len() == 1 { "run" } else { "runs" },
        runs.join(", "), grouped(*rest)
    )]
    SentBefore {
        /// How many got it.
        got: u64,
        /// How many pass screening and did not.
        rest: u64,
        /// The runs that they got it from.
        runs: Vec<String>,
        /// The campaign file.
        campaign: PathBuf,
    },
    /// The state knows the run at another place.
    #[error("this run directory is a copy of `{}`, or was moved from there", original.display())]
    Copied {
        /// The directory.
        dir: PathBuf,
        /// Where the run was last sent.
        original: PathBuf,
    },
    /// Another state knows whom the run has mailed.
    #[error("this run belongs to another state directory, which knows whom it has mailed")]
    OtherState {
        /// The directory.
        dir: PathBuf,
    },
}

impl FreezeError {
    /// The file or run directory.
    pub(crate) fn place(&self) -> &Path {
        match self {
            Self::OtherUnfinished { dir, .. }
            | Self::NamedUnfinished { dir, .. }
            | Self::Changed { dir, .. }
            | Self::Copied { dir, .. }
            | Self::OtherState { dir } => dir,
            Self::SentBefore { campaign, .. } => campaign,
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherUnfinished { what, .. } if what.iter().all(|what| is_option(what)) => Some(
                "resume it with the options that it was started with, or use `--new-run`; nobody gets one edition twice",
            ),
            Self::OtherUnfinished { .. } => {
                Some("restore its files to resume it, or use `--new-run`; nobody gets one edition twice")
            }
            Self::NamedUnfinished { .. } => Some(
                "resume it with `--run-id` and its name, or use `--new-run`; nobody gets one edition twice",
            ),
            Self::Changed { what, .. } if is_option(what) => {
                Some("choose another name with `--run-id`, or use the options that it was started with")
            }
            Self::Changed { .. } => {
                Some("choose another name with `--run-id`, or restore the original content")
            }
            Self::SentBefore { .. } => Some(
                "`--only-new` sends this to those who did not get it, `--again` to everybody; `--edition NAME` makes \
                 it a new edition",
            ),
            Self::Copied { .. } => Some(
                "resume the original, or take this one over with `mailrun run adopt DIR`: who got the message from \
                 either does not get it again",
            ),
            Self::OtherState { .. } => Some(
                "name that state with `--state DIR`, or take the run over with `mailrun run adopt DIR`: what was sent \
                 since a copy was made is not known then",
            ),
        }
    }
}

/// Whether what differs is an option of the command line, and no file.
fn is_option(what: &str) -> bool {
    what.starts_with("`--")
}
