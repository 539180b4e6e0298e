//! Why rows can't be sent again.

use crate::mail::Disposition;

/// Rows that can't be sent again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryError {
    /// The next hop accepted them.
    #[error("`accepted` rows can't be retried")]
    Accepted,
    /// Screening left them out.
    #[error("`{0}` rows are not in the plan")]
    NotPlanned(Disposition),
    /// The documents have passwords of another secret.
    #[error(
        "the documents of run `{0}` have passwords of another secret or length, or the campaign has none now"
    )]
    OtherSecret(String),
    /// What is left of the rows are passwords that other retries tell.
    #[error("run `{0}` has no rows with these dispositions but those whose passwords another retry tells")]
    Told(String),
    /// No row has one of the dispositions.
    #[error("run `{0}` has no rows with these dispositions")]
    NoRows(String),
}

impl RetryError {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Accepted => "`send --again` sends everything again",
            Self::NotPlanned(Disposition::Capped) => {
                "`send --run-id NAME` later sends to those who may get mail again"
            }
            Self::NotPlanned(_) => "fix the list and send it; the changed content starts a new run",
            Self::OtherSecret(_) => {
                "restore the secret and the `password-length` that `[secure-documents]` had then"
            }
            Self::Told(_) => "`mailrun status` lists that retry; resume it, or retry it",
            Self::NoRows(_) => "`mailrun status RUN` shows its dispositions",
        }
    }
}
