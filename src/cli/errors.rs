//! The library's errors, told to people.

use super::diagnostic::{Diagnostic, chain};
use crate::campaign::CampaignError;
use crate::suppression::SuppressionError;
use crate::target_group::TargetGroupError;

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

impl From<SuppressionError> for Diagnostic {
    fn from(error: SuppressionError) -> Self {
        Self::new(chain(&error)).maybe_hint(error.hint())
    }
}
