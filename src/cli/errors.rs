//! The library's errors, told to people.

use super::diagnostic::{Diagnostic, chain};
use super::exit::Exit;
use crate::campaign::CampaignError;
use crate::dkim::KeyError;
use crate::journal::JournalError;
use crate::kit::store::StoreError;
use crate::pacing::LedgerError;
use crate::plan::PlanError;
use crate::results::ResultsError;
use crate::route::classify::RuleError;
use crate::route::mta_sts;
use crate::route::{ResolverError, ShapingError};
use crate::run::FinishError;
use crate::run_dir::RunDirError;
use crate::synth::SynthError;
use crate::target_group::TargetGroupError;
use crate::template::TemplateError;

impl From<CampaignError> for Diagnostic {
    fn from(error: CampaignError) -> Self {
        let path = error.path.display();
        let place = match error.place {
            Some((line, column)) => format!("{path}:{line}:{column}"),
            None => path.to_string(),
        };
        Self::new(chain(&error)).at(place).maybe_hint(error.hint.clone())
    }
}

impl From<TargetGroupError> for Diagnostic {
    fn from(error: TargetGroupError) -> Self {
        let mut place = error.file.clone().map(String::from).unwrap_or_default();
        if let Some(line) = error.line {
            place.push_str(&format!(":{line}"));
        }
        if let Some(column) = &error.column {
            let comma = if place.is_empty() { "" } else { ", " };
            place.push_str(&format!("{comma}column `{column}`"));
        }
        let diagnostic = Self::new(chain(&error)).maybe_hint(error.hint.clone());
        if place.is_empty() { diagnostic } else { diagnostic.at(place) }
    }
}

impl From<TemplateError> for Diagnostic {
    fn from(error: TemplateError) -> Self {
        let path = error.path.display();
        let place = match error.place {
            Some((line, column)) => format!("{path}:{line}:{column}"),
            None => path.to_string(),
        };
        Self::new(chain(&error)).at(place).maybe_hint(error.hint.clone())
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
    StoreError,
    PlanError,
    JournalError,
    LedgerError,
    ResultsError,
    ResolverError,
    ShapingError,
    RuleError,
    SynthError
);

impl From<FinishError> for Diagnostic {
    fn from(error: FinishError) -> Self {
        match error {
            FinishError::Plan(error) => error.into(),
            FinishError::Journal(error) => error.into(),
            FinishError::Results(error) => error.into(),
        }
    }
}

impl From<KeyError> for Diagnostic {
    fn from(error: KeyError) -> Self {
        Self::new(chain(&error)).hint(error.hint())
    }
}

impl From<mta_sts::StoreError> for Diagnostic {
    fn from(error: mta_sts::StoreError) -> Self {
        Self::new(chain(&error)).hint("delete the file: policies are fetched again")
    }
}
