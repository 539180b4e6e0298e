//! Webhooks can't be used: what is wrong, where, and what to do.

use std::io;
use std::path::PathBuf;

use super::place::PlaceError;
use super::signature::SecretError;

/// Webhooks can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    /// The settings can't be read.
    #[error("can't read the settings of webhooks")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The settings are not TOML, or say what is not known.
    #[error("the settings of webhooks are wrong: {problem}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line and column, from 1.
        at: Option<(usize, usize)>,
        /// What is wrong.
        problem: String,
    },
    /// There is no webhook of this name.
    #[error("no webhook has the name `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// How far a webhook is.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl WebhookError {
    /// The file, with the line where that is known.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Read { path, .. } | Self::Unknown { path, .. } | Self::Wrong { path, at: None, .. } => {
                path.display().to_string()
            }
            Self::Wrong { path, at: Some((line, column)), .. } => {
                format!("{}:{line}:{column}", path.display())
            }
            Self::Secret(error) => error.path().display().to_string(),
            Self::Place(error) => error.path().display().to_string(),
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some(
                "write it, with a `[[webhook]]` that has `name`, `url` and `secret-file`, or name another with `--config FILE`",
            ),
            Self::Wrong { .. } => Some("docs/webhooks.md lists what it may say"),
            Self::Unknown { .. } => Some("`mailrun webhooks` lists them"),
            Self::Secret(_) => Some(
                "it holds `whsec_` and 24 to 64 bytes as base64: `echo whsec_$(openssl rand -base64 32)` makes one",
            ),
            Self::Place(error) => error.hint(),
        }
    }
}
