//! What a check found: how bad it is, what was seen, why it matters and what fixes it.
//!
//! [`Id`] lists every finding with its level and its reason (`catalogue.rs`); the checks only add
//! what they saw and what fixes it.

mod catalogue;
mod report;

use std::fmt;

use serde::Serialize;

pub(crate) use catalogue::Id;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Some receivers will mind, or some recipients will get nothing. Refuses with `--strict`.
    Warning,
    /// Sending would do harm or be for nothing.
    Refused,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// Domains, keys and records.
    Sender,
    /// The rows and the messages made of them.
    List,
    /// What the message says.
    Content,
    /// Capacity, time and next hop.
    Delivery,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub group: Group,
    /// Its name for programs.
    pub id: Id,
    /// What was seen, a fragment.
    pub seen: String,
    /// Why it matters, with the RFC or the provider's rule; empty where all is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: &'static str,
    /// The exact record or line that fixes it, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// All that was found, in the order of the checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings(Vec<Finding>);

impl Level {
    /// The word in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Refused => "refused",
        }
    }
}

impl Group {
    /// All groups, in the order of reports.
    pub(crate) const ALL: [Self; 4] = [Self::Sender, Self::List, Self::Content, Self::Delivery];

    /// The word in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::List => "list",
            Self::Content => "content",
            Self::Delivery => "delivery",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    /// A finding at its usual level; `seen` is a fragment.
    pub(crate) fn new(id: Id, seen: impl Into<String>) -> Self {
        let entry = id.entry();
        Self { level: entry.level, group: entry.group, id, seen: seen.into(), why: entry.why, fix: None }
    }

    /// Raises it to the higher level that the catalogue has for it if `worse`.
    pub(super) fn worse_if(mut self, worse: bool) -> Self {
        if worse {
            let (level, _) = self.id.entry().worse.expect("the catalogue has a higher level for it");
            self.level = level;
        }
        self
    }

    /// What fixes it: a record or a line to copy, or what to do.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl Findings {
    /// Adds one.
    pub(crate) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Adds several.
    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// All of them, in the order of the checks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Those of one group.
    pub(crate) fn of(&self, group: Group) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(move |finding| finding.group == group)
    }

    /// The number of findings of one level.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    /// True when nothing should be sent; `strict` counts warnings as well.
    pub(crate) fn refuse(&self, strict: bool) -> bool {
        let least = if strict { Level::Warning } else { Level::Refused };
        self.0.iter().any(|finding| finding.level >= least)
    }

    /// Turns the sender's warnings and refusals into notes, for messages that never leave this
    /// machine: no receiver looks anything up.
    pub(crate) fn rehearse(&mut self) {
        for finding in self.0.iter_mut().filter(|finding| finding.group == Group::Sender) {
            finding.level = finding.level.min(Level::Note);
        }
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_refuses_and_a_warning_only_when_strict() {
        let finding = |id| Finding::new(id, "seen");
        let mut findings = Findings::default();
        findings.push(finding(Id::Spf));
        findings.push(finding(Id::DuplicateRows));
        assert!(!findings.refuse(true));
        findings.push(finding(Id::SpfMissing));
        assert!(findings.refuse(true) && !findings.refuse(false));
        findings.push(finding(Id::DkimMissing));
        assert!(findings.refuse(false));
        findings.rehearse();
        assert!(!findings.refuse(true));
        assert_eq!((findings.count(Level::Ok), findings.count(Level::Note)), (1, 3));
        findings.push(finding(Id::DeadlineMissed));
        findings.rehearse();
        assert!(findings.refuse(false), "only the sender is rehearsed");
    }

    #[test]
    fn a_finding_is_raised_on_its_condition_only() {
        let rows = |many| Finding::new(Id::InvalidRows, "seen").worse_if(many).level;
        assert_eq!((rows(false), rows(true)), (Level::Note, Level::Warning));
    }
}
