//! Why nothing was sent: what a check found, or what differs from what was approved.

use crate::preflight::Finding;

/// Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A check refused.
    #[error("{what}; nothing was sent: {}", seen(findings))]
    Findings {
        /// Which check.
        what: &'static str,
        /// What it found, at least one thing.
        findings: Vec<Finding>,
    },
    /// `[stop]` refuses the list.
    #[error("the list was refused; nothing was sent: {}", seen(findings))]
    List {
        /// Why, at least one thing.
        findings: Vec<Finding>,
    },
    /// Something that reaches a recipient differs from what was approved.
    #[error("the campaign differs from what was approved{}", differences(different))]
    NotApproved {
        /// The hash of what would be sent.
        hash: String,
        /// What differs, where that is known.
        different: Vec<String>,
    },
}

impl Refusal {
    /// What refused, and why.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Findings { what, findings } => format!("{what}: {}", seen(findings)),
            Self::List { findings } => format!("the list was refused: {}", seen(findings)),
            Self::NotApproved { .. } => self.to_string(),
        }
    }

    /// Where.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Findings { .. } | Self::List { .. } => None,
            Self::NotApproved { hash, .. } => Some(format!("hash {hash}")),
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Findings { findings, .. } | Self::List { findings } => {
                let fix = findings.first().and_then(|finding| finding.fix.clone());
                fix.unwrap_or_else(|| "run `mailrun check` for details".into())
            }
            Self::NotApproved { .. } => {
                "review it with `mailrun check` and have the new hash approved".into()
            }
        }
    }
}

fn seen(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{} ({})", f.seen, f.id)).collect::<Vec<_>>().join("; ")
}

fn differences(different: &[String]) -> String {
    if different.is_empty() { String::new() } else { format!(": {}", different.join(", ")) }
}
