//! The library's errors, as diagnostics.

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use crate::campaign::CampaignError;
use crate::dkim::KeyError;
use crate::job::{ErrorClass, JobError, chain};
use crate::journal::JournalError;
use crate::kit::store::StoreError;
use crate::pacing::LedgerError;
use crate::plan::PlanError;
use crate::results::ResultsError;
use crate::route::RuleError;
use crate::route::{PolicyStoreError, ResolverError, ShapingError};
use crate::run_dir::RunDirError;
use crate::synth::SynthError;
use crate::target_group::TargetGroupError;
use crate::template::TemplateError;

impl From<JobError> for Diagnostic {
    fn from(error: JobError) -> Self {
        let exit = match error.class() {
            ErrorClass::Usage => Exit::Usage,
            ErrorClass::Refused => Exit::Refused,
            ErrorClass::Interrupted => Exit::Interrupted,
            ErrorClass::Busy => Exit::Busy,
        };
        let text = chain(&error);
        let diagnostic = match error {
            JobError::Campaign(error) => error.into(),
            JobError::TargetGroup(error) => error.into(),
            JobError::State(error) => error.into(),
            JobError::Template(error) => error.into(),
            JobError::Key(error) => error.into(),
            JobError::RunDir(error) => error.into(),
            JobError::Plan(error) => error.into(),
            JobError::Journal(error) => error.into(),
            JobError::Ledger(error) => error.into(),
            JobError::Results(error) => error.into(),
            JobError::Resolver(error) => error.into(),
            JobError::Shaping(error) => error.into(),
            JobError::Rule(error) => error.into(),
            JobError::Policies(error) => error.into(),
            JobError::Interrupted(error) => Self::from(*error),
            JobError::Workspace(error) => Self::new(text).maybe_at(error.place()).hint(error.hint()),
            JobError::Secret(error) => Self::new(text).maybe_at(error.place()).maybe_hint(error.hint()),
            JobError::Sender(error) => {
                Self::new(text).at(error.registry.display()).hint(error.refused.hint())
            }
            JobError::Export(error) => Self::new(text).at(error.place()).maybe_hint(error.hint()),
            JobError::Setup(error) => Self::new(text).maybe_at(error.place()).maybe_hint(error.hint()),
            JobError::Selection(error) => Self::new(text).maybe_at(error.place()).maybe_hint(error.hint()),
            JobError::Freeze(error) => Self::new(text).at(error.place().display()).maybe_hint(error.hint()),
            JobError::Verification(error) => Self::new(text).hint(error.hint()),
            JobError::Token(error) => Self::new(text).hint(error.hint()),
            JobError::Retry(error) => Self::new(text).hint(error.hint()),
            JobError::Refusal(error) => Self::new(text).maybe_at(error.place()).hint(error.hint()),
        };
        diagnostic.exit(exit)
    }
}

impl From<CampaignError> for Diagnostic {
    fn from(error: CampaignError) -> Self {
        let line = error.line.clone();
        Self::new(chain(&error)).at(error.at()).maybe_line(error.place, line).maybe_hint(error.hint.clone())
    }
}

impl From<TargetGroupError> for Diagnostic {
    fn from(error: TargetGroupError) -> Self {
        Self::new(chain(&error)).maybe_at(error.at()).maybe_hint(error.hint.clone())
    }
}

impl From<TemplateError> for Diagnostic {
    fn from(error: TemplateError) -> Self {
        Self::new(chain(&error)).at(error.at()).maybe_hint(error.hint.clone())
    }
}

impl From<RunDirError> for Diagnostic {
    fn from(error: RunDirError) -> Self {
        let exit = if matches!(error, RunDirError::Locked { .. }) { Exit::Busy } else { Exit::Usage };
        Self::new(chain(&error)).maybe_hint(error.hint()).exit(exit)
    }
}

/// Errors that carry their path in their text, and a hint.
macro_rules! with_hint {
    ($($error:ty),*) => {
        $(impl From<$error> for Diagnostic {
            fn from(error: $error) -> Self {
                Self::new(chain(&error)).maybe_hint(error.hint())
            }
        })*
    };
}
with_hint!(
    PlanError,
    JournalError,
    LedgerError,
    ResultsError,
    ResolverError,
    ShapingError,
    RuleError,
    StoreError,
    SynthError
);

impl From<KeyError> for Diagnostic {
    fn from(error: KeyError) -> Self {
        Self::new(chain(&error)).hint(error.hint())
    }
}

impl From<PolicyStoreError> for Diagnostic {
    fn from(error: PolicyStoreError) -> Self {
        Self::new(chain(&error)).hint("delete the file; the policies are fetched again")
    }
}
