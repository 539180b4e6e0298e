//! How far a run is, as plain data: for progress and `status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mail::Timestamp;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Rows of the plan.
    pub planned: u64,
    /// Rows that had their outcome before this process began.
    pub done_before: u64,
    /// The outcomes since.
    pub counts: OutcomeCounts,
    /// Rows whose message is granted and not answered.
    #[serde(rename = "under_way")]
    pub in_flight: u64,
    /// Rows that wait for another attempt.
    pub waiting_for_retry: u64,
    /// Outcomes a second, over the last ten seconds.
    pub per_second: f64,
    /// The time that the rest takes: at that rate, or for as long as something holds it back.
    pub time_left: Option<Duration>,
    /// What holds the rest back most, where that decides the time left.
    #[serde(default)]
    pub held_by: Option<String>,
    /// Rows whose site is not known yet.
    pub unrouted: u64,
    /// How many sites have rows or connections.
    pub sites: u64,
    /// Those of them that have the most rows waiting.
    pub lanes: Vec<LaneSnapshot>,
}

/// The state of one lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSnapshot {
    /// The site's name.
    pub site: String,
    /// Rows that wait, those for another attempt included.
    pub waiting: u64,
    /// Messages handed to its connections and not yet answered.
    #[serde(rename = "under_way")]
    pub in_flight: u64,
    /// Open connections.
    pub connections: u64,
    /// Connections that it is trusted with.
    pub window: u64,
    /// What holds it back, if anything does.
    pub state: String,
}

/// What holds a run back most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The rest is not through before this time; `None` when the run ends before.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: String,
}

impl Snapshot {
    /// Rows that have their outcome.
    pub fn done(&self) -> u64 {
        self.done_before + self.counts.done()
    }
}

/// Rows by what became of them since this process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Rows that ended `accepted`.
    pub accepted: u64,
    /// Rows that ended `bounced`.
    pub bounced: u64,
    /// Rows that ended `deferred`.
    pub deferred: u64,
    /// Rows that ended `in_doubt`.
    pub in_doubt: u64,
    /// Rows that ended `suppressed`.
    pub suppressed: u64,
    /// Rows that ended `render_failed`.
    pub render_failed: u64,
    /// Transmissions that will be repeated.
    pub retries: u64,
}

impl OutcomeCounts {
    /// Rows that have their outcome.
    pub fn done(&self) -> u64 {
        self.accepted + self.bounced + self.deferred + self.in_doubt + self.suppressed + self.render_failed
    }
}
