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
        let line = error.campaign().and_then(|error| error.place.zip(error.line.clone()));
        let (place, text) = line.unzip();
        Self::new(chain(&error))
            .maybe_at(error.place())
            .maybe_line(place, text)
            .maybe_hint(error.hint())
            .exit(exit)
    }
}

/// Errors that a job can have too.
macro_rules! of_jobs {
    ($($error:ty),*) => {
        $(impl From<$error> for Diagnostic {
            fn from(error: $error) -> Self {
                JobError::from(error).into()
            }
        })*
    };
}
of_jobs!(
    CampaignError,
    TargetGroupError,
    TemplateError,
    RunDirError,
    PlanError,
    JournalError,
    LedgerError,
    ResultsError,
    ResolverError,
    ShapingError,
    RuleError,
    StoreError,
    KeyError,
    PolicyStoreError
);

impl From<SynthError> for Diagnostic {
    fn from(error: SynthError) -> Self {
        Self::new(chain(&error)).maybe_hint(error.hint())
    }
}
