//! Measures a run from outside: reads the dispatcher, and keeps what the rate needs.

use std::collections::VecDeque;
use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::lane::Lane;
use super::snapshot::{Earlier, Hold, LaneSnapshot, OutcomeCounts, Snapshot};
use crate::mail::Timestamp;

/// How many lanes a snapshot names.
const LANES_NAMED: usize = 40;
/// The rate is an average of about this time.
const RATE_OVER: Duration = Duration::from_secs(10);

/// Takes snapshots and keeps what the rate needs.
pub(super) struct Meter {
    planned: u64,
    done_before: u64,
    before: OutcomeCounts,
    readings: VecDeque<(Timestamp, u64)>,
}

impl Meter {
    pub(super) fn new(planned: u64, earlier: Earlier, now: Timestamp) -> Self {
        let Earlier { done: done_before, counts: before } = earlier;
        Self { planned, done_before, before, readings: VecDeque::from([(now, 0)]) }
    }

    pub(super) fn read(&mut self, dispatcher: &Dispatcher, now: Timestamp) -> Snapshot {
        let counts = dispatcher.counts();
        self.readings.push_back((now, counts.done()));
        while self.readings.len() > 2 && now.since(self.readings[1].0) >= RATE_OVER {
            self.readings.pop_front();
        }
        let (since, before) = self.readings[0];
        let seconds = now.since(since).as_secs_f64();
        let per_second = if seconds > 0.0 { (counts.done() - before) as f64 / seconds } else { 0.0 };
        let done = self.done_before + counts.done();
        let left = self.planned.saturating_sub(done);
        let at_this_rate = (per_second > 0.0 && seconds >= 1.0)
            .then(|| Duration::try_from_secs_f64(left as f64 / per_second).ok())
            .flatten();
        let (time_left, held_by) = match dispatcher.hold(now).filter(|_| left > 0) {
            None => (at_this_rate, None),
            // It ends before all are through, or waits for others.
            Some(Hold { until: None, why }) => (None, Some(why)),
            Some(Hold { until: Some(until), why }) => {
                let held = until.since(now);
                // Sites that are slower than all that holds them back are a reason of their own.
                let explains = at_this_rate.is_none_or(|rate| rate <= 2 * held);
                (at_this_rate.max(Some(held)), Some(why).filter(|_| explains))
            }
        };
        Snapshot {
            planned: self.planned,
            done,
            counts: counts.after(self.before),
            in_flight: dispatcher.in_flight() as u64,
            waiting_for_retry: dispatcher.lanes().iter().map(|lane| lane.retries() as u64).sum(),
            per_second,
            time_left,
            held_by,
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
    lanes.into_iter().map(|lane| lane.snapshot(dispatcher.paused_until(lane), now)).collect()
}
