//! `[keep]`: what a run keeps of what its messages were made of.

use serde::{Deserialize, Serialize};

use super::units::Span;

/// `[keep]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Keep {
    /// For how long after the end of a run its messages can be composed again; by default they
    /// can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<Span>,
}

impl Keep {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
