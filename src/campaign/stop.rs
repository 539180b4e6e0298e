//! `[stop]`: when a run stops automatically, or is refused before it starts.

use serde::{Deserialize, Serialize};

use super::error::Mistake;

/// `[stop]`: the circuit breaker of a run.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Stop {
    /// Stop when more than this percentage of the last `bounce-window` outcomes are bounces; 0
    /// means never.
    pub bounce_percent: f64,
    /// The number of outcomes that `bounce-percent` looks at.
    pub bounce_window: usize,
    /// Stop when more recipients than this percentage of the accepted mails have complained, as
    /// `mailrun feedback` knows; 0 means never.
    pub complaint_percent: f64,
    /// Stop after this many authentication failures (`5.7.515`, `5.7.26`) in a row; 0 means never.
    pub authentication_failures: usize,
    /// Refuse a list of which fewer rows pass screening; 0 means never.
    pub min_rows: u64,
    /// Refuse a list of which more than this percentage is invalid; 100 means never.
    pub max_invalid_percent: f64,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            bounce_percent: 20.0,
            bounce_window: 1_000,
            complaint_percent: 0.0,
            authentication_failures: 20,
            min_rows: 0,
            max_invalid_percent: 20.0,
        }
    }
}

impl Stop {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (key, percent) in [
            ("stop.bounce-percent", self.bounce_percent),
            ("stop.complaint-percent", self.complaint_percent),
            ("stop.max-invalid-percent", self.max_invalid_percent),
        ] {
            if !(0.0..=100.0).contains(&percent) {
                let short = key.trim_start_matches("stop.");
                return Err(Mistake::new(key, format!("`{short}` is {percent}"), "use 0 to 100"));
            }
        }
        if !(10..=1_000_000).contains(&self.bounce_window) {
            return Err(Mistake::new(
                "stop.bounce-window",
                format!("{} outcomes", self.bounce_window),
                "use 10 to 1000000",
            ));
        }
        Ok(())
    }
}
