//! Checks what was sent against the agreement: finds the fullest window of each length.

use std::collections::VecDeque;
use std::time::Duration;

use super::agreement::{Agreement, HOUR, SLOT};
use crate::campaign::Capacity;
use crate::mail::Timestamp;

/// The fullest windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The number of attempts.
    pub attempts: u64,
    /// The first and the last of them.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The fullest 300 s.
    pub slot: Fullest,
    /// The fullest 3,600 s.
    pub hour: Fullest,
}

/// The fullest window of one length; the first where several are equally full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullest {
    /// The length of the window: it includes `start` and excludes `start + length`.
    pub length: Duration,
    /// The most messages that it may hold.
    pub limit: u64,
    /// The messages that it holds.
    pub count: u64,
    /// Where it begins: at an attempt, or at the Unix epoch when there were no attempts.
    pub start: Timestamp,
}

/// The times were not in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attempt {number} at {at} comes after one at {before}: the times must be sorted")]
pub struct OutOfOrder {
    /// The number of the offending time, from 1.
    pub number: u64,
    /// Its time.
    pub at: Timestamp,
    /// The time before it.
    pub before: Timestamp,
}

impl Audit {
    /// No window of 300 s or 3,600 s, aligned or sliding, holds more than was agreed.
    pub fn holds(&self) -> bool {
        [self.slot, self.hour].iter().all(|window| window.count <= window.limit)
    }
}

/// The fullest windows over all `attempts` on one account, the earliest first: when each was, and
/// as how many messages it counts. Keeps those of one hour in memory.
pub fn audit(
    attempts: impl Iterator<Item = (Timestamp, u64)>,
    capacity: &Capacity,
) -> Result<Audit, OutOfOrder> {
    let agreement = Agreement::from(capacity);
    let mut slot = Sliding::new(SLOT, agreement.per_slot);
    let mut hour = Sliding::new(HOUR, agreement.per_hour);
    let mut number = 0;
    let mut span: Option<(Timestamp, Timestamp)> = None;
    for (at, cost) in attempts {
        number += 1;
        let (first, before) = span.unwrap_or((at, at));
        if at < before {
            return Err(OutOfOrder { number, at, before });
        }
        span = Some((first, at));
        slot.push(at, cost);
        hour.push(at, cost);
    }
    Ok(Audit { attempts: number, span, slot: slot.fullest, hour: hour.fullest })
}

struct Sliding {
    attempts: VecDeque<(Timestamp, u64)>,
    count: u64,
    fullest: Fullest,
}

impl Sliding {
    fn new(length: Duration, limit: u64) -> Self {
        let fullest = Fullest { length, limit, count: 0, start: Timestamp(0) };
        Self { attempts: VecDeque::new(), count: 0, fullest }
    }

    fn push(&mut self, at: Timestamp, cost: u64) {
        self.attempts.push_back((at, cost));
        self.count += cost;
        while let Some((_, cost)) =
            self.attempts.pop_front_if(|(first, _)| at.since(*first) >= self.fullest.length)
        {
            self.count -= cost;
        }
        if self.count > self.fullest.count {
            self.fullest.count = self.count;
            self.fullest.start = self.attempts[0].0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 an hour, 10 a slot.
    fn audited(seconds: impl IntoIterator<Item = i64>) -> Audit {
        let capacity = Capacity { per_hour: 100, ..Capacity::default() };
        let attempts = seconds.into_iter().map(|second| (Timestamp(second * 1_000_000), 1));
        audit(attempts, &capacity).unwrap()
    }

    #[test]
    fn a_large_message_counts_as_several() {
        let capacity = Capacity { per_hour: 100, ..Capacity::default() };
        let attempts =
            [(0, 4), (100, 5), (350, 2)].map(|(second, cost)| (Timestamp(second * 1_000_000), cost));
        let audit = audit(attempts.into_iter(), &capacity).unwrap();
        assert_eq!((audit.attempts, audit.slot.count, audit.hour.count), (3, 9, 11));
    }

    #[test]
    fn a_window_ends_before_its_length() {
        let eleven = |last| (0..10).chain([last]);
        assert!(audited(eleven(300)).holds());
        let over = audited(eleven(299));
        assert!(!over.holds());
        assert_eq!((over.slot.count, over.slot.start), (11, Timestamp(0)));
    }

    #[test]
    fn slots_that_keep_their_limit_can_still_fill_the_hour() {
        let bursts = |slots: i64| (0..slots).flat_map(|slot| (0..10).map(move |i| slot * 300 + i));
        assert!(audited(bursts(10)).holds());
        let over = audited(bursts(11));
        assert_eq!((over.slot.count, over.hour.count), (10, 110));
        assert!(!over.holds());
    }

    #[test]
    fn finds_the_fullest_wherever_it_is() {
        let audit = audited([0, 1_000, 10_000, 10_100, 10_200, 20_000]);
        assert_eq!((audit.slot.count, audit.slot.start), (3, Timestamp(10_000_000_000)));
        assert_eq!(audit.attempts, 6);
        assert_eq!(audited([]).span, None);
    }

    #[test]
    fn times_out_of_order_prove_nothing() {
        let times = [5, 7, 6].into_iter().map(|at| (Timestamp(at), 1));
        let error = audit(times, &Capacity::default()).unwrap_err();
        assert_eq!(error, OutOfOrder { number: 3, at: Timestamp(6), before: Timestamp(7) });
    }
}
