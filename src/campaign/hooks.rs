//! `[hooks]`: programs that run when a run ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::Span;

/// `[hooks]`: programs that are told how a run ended. Tests and rehearsals start none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Hooks {
    /// The program and its arguments that run when a run is finished; no shell runs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_finish: Vec<String>,
    /// The same when a run stops early.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_stop: Vec<String>,
    /// How long each may take; then it is killed.
    #[serde(skip_serializing_if = "is_usual")]
    pub timeout: Span,
}

const USUAL: Span = Span::seconds(30);

fn is_usual(timeout: &Span) -> bool {
    *timeout == USUAL
}

impl Default for Hooks {
    fn default() -> Self {
        Self { on_finish: Vec::new(), on_stop: Vec::new(), timeout: USUAL }
    }
}

impl Hooks {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (key, command) in [("hooks.on-finish", &self.on_finish), ("hooks.on-stop", &self.on_stop)] {
            if command.first().is_some_and(|program| program.trim().is_empty()) {
                return Err(Mistake::new(
                    key,
                    "the program has no name",
                    "write the program first, then its arguments",
                ));
            }
        }
        if self.timeout.0 == Duration::ZERO {
            return Err(Mistake::new(
                "hooks.timeout",
                "a hook needs some time",
                "write \"30s\", or leave it out",
            ));
        }
        Ok(())
    }
}
