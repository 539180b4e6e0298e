//! Why a helper failed.

use handlebars::{RenderError, RenderErrorReason};

/// Why a helper failed; travels inside handlebars' error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("`{0}` has no value")]
    NoValue(String),
    #[error("{0}")]
    Value(String),
}

impl From<Problem> for RenderError {
    fn from(problem: Problem) -> Self {
        RenderErrorReason::NestedError(Box::new(problem)).into()
    }
}
