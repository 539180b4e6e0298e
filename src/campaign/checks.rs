//! `[check]`: the scanners that `mailrun check` uses.

use serde::{Deserialize, Serialize};

/// `[check]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Checks {
    /// SpamAssassin's daemon: `host:port` or the path of its socket; not used by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spamd: Option<String>,
    /// A message with this score, or more, is refused.
    pub spam_threshold: f64,
    /// ClamAV's daemon: `host:port` or the path of its socket; not used by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamd: Option<String>,
}

impl Default for Checks {
    fn default() -> Self {
        Self { spamd: None, spam_threshold: 5.0, clamd: None }
    }
}

impl Checks {
    /// True when every key has its default: then the table is not written to manifests.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
