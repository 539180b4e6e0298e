//! How far a run is: for progress and `status`.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dispatcher::{Counts, Dispatcher};
use super::lane::Lane;
use crate::mail::Timestamp;

/// A report names so many lanes.
const LANES_NAMED: usize = 40;
/// The rate is taken over about this time.
const RATE_OVER: Duration = Duration::from_secs(10);

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Rows of the plan.
    pub planned: u64,
    /// Rows that had their outcome before this process began.
    pub done_before: u64,
    /// What became of rows since.
    pub counts: Counts,
    /// Messages on the wire or granted.
    pub under_way: u64,
    /// Rows that wait for another attempt.
    pub waiting_for_retry: u64,
    /// Outcomes a second, lately.
    pub per_second: f64,
    /// At that rate.
    pub time_left: Option<Duration>,
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
    pub under_way: u64,
    /// Open connections.
    pub connections: u64,
    /// Connections that it is trusted with.
    pub window: u64,
    /// What keeps it back, if anything does.
    pub state: String,
}

impl Snapshot {
    /// Rows that have their outcome.
    pub fn done(&self) -> u64 {
        self.done_before + self.counts.done()
    }
}

impl Counts {
    /// Rows that have their outcome.
    pub fn done(&self) -> u64 {
        self.accepted + self.bounced + self.deferred + self.in_doubt + self.suppressed + self.render_failed
    }
}

/// Takes snapshots and keeps what the rate needs.
pub struct Meter {
    planned: u64,
    done_before: u64,
    readings: VecDeque<(Timestamp, u64)>,
}

impl Meter {
    pub fn new(planned: u64, done_before: u64, now: Timestamp) -> Self {
        Self { planned, done_before, readings: VecDeque::from([(now, 0)]) }
    }

    pub fn read(&mut self, dispatcher: &Dispatcher, now: Timestamp) -> Snapshot {
        let counts = dispatcher.counts();
        self.readings.push_back((now, counts.done()));
        while self.readings.len() > 2 && now.since(self.readings[1].0) >= RATE_OVER {
            self.readings.pop_front();
        }
        let (since, before) = self.readings[0];
        let seconds = now.since(since).as_secs_f64();
        let per_second = if seconds > 0.0 { (counts.done() - before) as f64 / seconds } else { 0.0 };
        let left = self.planned.saturating_sub(self.done_before + counts.done());
        let time_left = (per_second > 0.0 && seconds >= 1.0)
            .then(|| Duration::try_from_secs_f64(left as f64 / per_second).ok())
            .flatten();
        Snapshot {
            planned: self.planned,
            done_before: self.done_before,
            counts,
            under_way: dispatcher.under_way() as u64,
            waiting_for_retry: dispatcher.lanes().iter().map(|lane| lane.retries() as u64).sum(),
            per_second,
            time_left,
            unrouted: dispatcher.unrouted(),
            sites: dispatcher.lanes().len() as u64,
            lanes: longest(dispatcher, now),
        }
    }
}

/// The lanes with the most rows waiting.
fn longest(dispatcher: &Dispatcher, now: Timestamp) -> Vec<LaneSnapshot> {
    let mut lanes: Vec<&Lane> = dispatcher.lanes().iter().collect();
    let waiting = |lane: &&Lane| std::cmp::Reverse(lane.waiting());
    if lanes.len() > LANES_NAMED {
        lanes.select_nth_unstable_by_key(LANES_NAMED, waiting);
        lanes.truncate(LANES_NAMED);
    }
    lanes.sort_by_key(waiting);
    lanes.into_iter().map(|lane| lane.snapshot(now, dispatcher.paused_until(lane))).collect()
}
