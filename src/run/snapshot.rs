//! How far a run is, as plain data: for progress and `status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mail::{Disposition, Timestamp};

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Rows of the plan.
    pub planned: u64,
    /// Rows that have their outcome.
    pub done: u64,
    /// The outcomes, those of earlier processes included.
    pub counts: OutcomeCounts,
    /// Rows whose message is granted and not answered.
    pub in_flight: u64,
    /// Rows that wait for another attempt.
    pub waiting_for_retry: u64,
    /// Outcomes a second, over the last ten seconds.
    pub per_second: f64,
    /// The time that the rest takes: at that rate, or for as long as something holds it back.
    #[serde(rename = "time_left_seconds", with = "seconds")]
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

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
    }
}

/// The state of one lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSnapshot {
    /// The site's name.
    pub site: String,
    /// Rows that wait, those for another attempt included.
    pub waiting: u64,
    /// Messages handed to its connections and not yet answered.
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
    /// The rest is not through before this time; `None` when the run ends before, or nobody knows.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: String,
}

/// What earlier processes of a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Earlier {
    /// Rows that have their outcome.
    pub done: u64,
    /// What became of them.
    pub counts: OutcomeCounts,
}

/// Rows by what became of them.
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
    /// Rows that ended `infected`.
    #[serde(default)]
    pub infected: u64,
    /// Transmissions of this process that will be repeated.
    pub retries: u64,
}

impl OutcomeCounts {
    /// Counts a row that ended so.
    pub fn add(&mut self, disposition: Disposition) {
        match disposition {
            Disposition::Accepted => self.accepted += 1,
            Disposition::Bounced => self.bounced += 1,
            Disposition::Deferred => self.deferred += 1,
            Disposition::InDoubt => self.in_doubt += 1,
            Disposition::Suppressed => self.suppressed += 1,
            Disposition::RenderFailed => self.render_failed += 1,
            Disposition::Infected => self.infected += 1,
            Disposition::Duplicate
            | Disposition::Invalid
            | Disposition::NotAttempted
            | Disposition::AlreadySent
            | Disposition::Capped => {}
        }
    }

    /// These and those of earlier processes, which tell no retries.
    pub(super) fn after(self, before: Self) -> Self {
        Self {
            accepted: before.accepted + self.accepted,
            bounced: before.bounced + self.bounced,
            deferred: before.deferred + self.deferred,
            in_doubt: before.in_doubt + self.in_doubt,
            suppressed: before.suppressed + self.suppressed,
            render_failed: before.render_failed + self.render_failed,
            infected: before.infected + self.infected,
            retries: self.retries,
        }
    }

    /// Rows that have their outcome.
    pub fn done(&self) -> u64 {
        self.accepted
            + self.bounced
            + self.deferred
            + self.in_doubt
            + self.suppressed
            + self.render_failed
            + self.infected
    }
}
