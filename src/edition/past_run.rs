//! A run of real mail, as a store remembers it.

use std::path::PathBuf;

use crate::mail::Timestamp;

/// One issue of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// The campaign's id.
    pub campaign: String,
    /// The name of the edition; empty for a campaign without editions.
    pub name: String,
}

/// A run, wherever its directory is. A copy of a run directory has the same mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMark(pub String);

/// A run of real mail, as the state remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// Which run.
    pub mark: RunMark,
    /// What it sends.
    pub edition: Edition,
    /// The run's id.
    pub run_id: String,
    /// Its directory when it last claimed or settled.
    pub dir: PathBuf,
    /// The list that it writes to; empty where it names none.
    pub list_id: String,
    /// Whether it warns: its mail counts against nobody.
    pub is_alarm: bool,
    /// What all its messages have in common: a hash of templates and sender.
    pub letter: String,
    /// When it may have mailed somebody last; the moment of its claim while it is open.
    pub at: Timestamp,
    /// Whether it has claimed and not settled: it is sending, or was killed.
    pub is_open: bool,
}
