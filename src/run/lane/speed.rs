//! How many messages a second a site takes: learnt from what it accepts and what it refuses.
//!
//! A site that accepts some messages and answers the rest with "later" has a limit. The lane
//! continues at four fifths of what was accepted in one second, adds a little with each message
//! that is accepted, and falls back again at the next complaints (additive increase, multiplicative
//! decrease, as in RFC 5681 §3.1). Once the rate has doubled without a complaint, it is forgotten.
//!
//! Rows that were refused for speed come again behind the fresh ones, at this rate, as long as the
//! site accepts mail. Without a rate, or once it refuses a few in a row, they wait until they are
//! due.
//!
//! Not every refusal is about speed: a rule that concerns single messages refuses as many at any
//! rate. So when complaints come again and again below the rate that was just accepted, the lane
//! stops listening to them for a while.

use std::time::Duration;

use crate::mail::Timestamp;
use crate::pacing::{Bucket, Rate};

/// Acceptances are counted over so long, and nothing leaves for so long after the lane slowed down:
/// most sites count by the second.
const SECOND: Duration = Duration::from_secs(1);
/// What is left of a rate that brought complaints.
const DECREASE: f64 = 0.8;
/// The least first rate, in messages a second. What a site accepts at first shows a lower one
/// badly: all connections begin at once.
const LEAST_FIRST: f64 = 5.0;
/// The increase in a second, as a part of the rate that the lane fell back to.
const INCREASE: f64 = 1.0 / 200.0;
/// The least increase in a second, in messages a second.
const LEAST_INCREASE: f64 = 0.05;
/// A site that complains once in so many messages, or less often, is not too slow.
const SELDOM: f64 = 20.0;
/// After so many refusals in a row a site gets no row before it is due.
const MOST_IN_A_ROW: u32 = 3;
/// Complaints at less than this part of what was accepted before are not about speed.
const EARLY: f64 = 0.9;
/// After so many in a row the lane stops listening.
const PATIENCE: u32 = 2;
/// For how long.
const DEAF: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(super) struct Speed {
    /// The rate that the campaign gives the site.
    configured: Option<Rate>,
    /// The lower of that and what was learnt.
    bucket: Option<Bucket>,
    learnt: Option<Learnt>,
    accepted: Accepted,
    /// Complaints, less a little for each message that was accepted since.
    complaints: f64,
    /// Complaints since a message was accepted.
    in_a_row: u32,
    /// The last complaint.
    complained_at: Option<Timestamp>,
    /// How often in a row complaints came below the rate that was just accepted.
    early: u32,
    /// Complaints do not count before this time.
    deaf_until: Option<Timestamp>,
    /// Nothing leaves before this time, and what left before says nothing new.
    settled_at: Option<Timestamp>,
}

/// A rate that was learnt, in messages a second.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    now: f64,
    /// What the lane fell back to.
    start: f64,
    /// What the site had accepted then.
    accepted: f64,
    /// It can't start higher, whatever turns out to have been accepted.
    most: f64,
}

/// Recipients accepted in the current second and in the one before.
#[derive(Debug, Default)]
struct Accepted {
    since: Option<Timestamp>,
    current: u64,
    before: u64,
}

impl Accepted {
    fn add(&mut self, recipients: u64, now: Timestamp) {
        let age = self.since.map_or(2 * SECOND, |since| now.since(since));
        if age >= SECOND {
            self.before = if age < 2 * SECOND { self.current } else { 0 };
            self.current = 0;
            self.since = Some(now);
        }
        self.current += recipients;
    }

    /// The most in a second, of the last two.
    fn per_second(&self, now: Timestamp) -> u64 {
        match self.since.map(|since| now.since(since)) {
            Some(age) if age < SECOND => self.current.max(self.before),
            Some(age) if age < 2 * SECOND => self.current,
            Some(_) | None => 0,
        }
    }
}

impl Speed {
    /// The rate of a site that nothing is known of.
    pub(super) fn new(configured: Option<Rate>, now: Timestamp) -> Self {
        Self {
            configured,
            bucket: configured.map(|rate| Bucket::new(rate, now)),
            learnt: None,
            accepted: Accepted::default(),
            complaints: 0.0,
            in_a_row: 0,
            complained_at: None,
            early: 0,
            deaf_until: None,
            settled_at: None,
        }
    }

    /// What was learnt, in messages a second.
    pub(super) fn learnt(&self) -> Option<f64> {
        self.learnt.map(|learnt| learnt.now)
    }

    /// How many rows may be in stock when those that came too fast are sent before they are due: a
    /// second's worth, none unless the site accepts mail at a rate that was learnt.
    pub(super) fn early_rows(&self) -> usize {
        let rate = self.learnt().filter(|_| self.in_a_row < MOST_IN_A_ROW);
        rate.map_or(0, |rate| rate.ceil() as usize)
    }

    /// The rate that holds, configured or learnt, in messages a second.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.bucket.as_ref().map(|bucket| bucket.rate().in_a_second())
    }

    /// Takes places for up to `most` recipients, at least one. The error is when there will be one.
    pub(super) fn take(&mut self, most: usize, now: Timestamp) -> Result<usize, Timestamp> {
        match &mut self.bucket {
            Some(bucket) => bucket.take_up_to(most as u64, now).map(|taken| taken as usize),
            None => Ok(most),
        }
    }

    /// Returns places that were taken and not used.
    pub(super) fn put_back(&mut self, recipients: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(recipients as u64);
        }
    }

    /// True when what left at `started_at` left before the lane slowed down: what becomes of it
    /// says nothing new.
    pub(super) fn is_old(&self, started_at: Timestamp) -> bool {
        self.settled_at.is_some_and(|settled| started_at < settled)
    }

    /// The site accepted a message for so many recipients that left at `started_at`.
    pub(super) fn accepted(&mut self, recipients: usize, started_at: Timestamp, now: Timestamp) {
        let is_old = self.is_old(started_at);
        self.accepted.add(recipients as u64, now);
        self.complaints = (self.complaints - 1.0 / SELDOM).max(0.0);
        self.in_a_row = 0;
        if let Some(learnt) = &mut self.learnt {
            if is_old {
                learnt.accepted = learnt.accepted.max(self.accepted.per_second(now) as f64);
                learnt.start = learnt.start.max((learnt.accepted * DECREASE).min(learnt.most));
                learnt.now = learnt.start;
                let learnt = *learnt;
                return self.set(learnt);
            }
            let increase = (learnt.start * INCREASE).max(LEAST_INCREASE);
            learnt.now += increase * recipients as f64 / learnt.now;
            let learnt = *learnt;
            if learnt.now < 2.0 * learnt.start {
                self.set(learnt);
            } else {
                self.forget(now);
            }
        }
    }

    /// The site refused a message for now. If it takes less than it gets, the lane slows down, and
    /// nothing leaves before the time that is returned.
    pub(super) fn complained(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.complaints += 1.0;
        self.in_a_row += 1;
        self.complained_at = Some(now);
        self.learn(now)
    }

    /// The site accepted a message that left at `started_at`, before or beside others that it
    /// refused: it does not only refuse, it takes less than it got. If no rate says so yet, the
    /// lane slows down, and nothing leaves before the time that is returned.
    pub(super) fn explained(&mut self, started_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let is_beside = self.learnt.is_none() && self.complained_at.is_some_and(|at| started_at <= at);
        if is_beside { self.learn(now) } else { None }
    }

    fn learn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let accepted = self.accepted.per_second(now) as f64;
        let is_deaf = self.deaf_until.is_some_and(|until| now < until);
        // One complaint is chance. A site that accepts nothing at all is not too slow: it rests.
        if self.complaints < 2.0 || accepted == 0.0 || is_deaf {
            return None;
        }
        self.complaints = 0.0;
        let (least, most) = match self.learnt {
            None => {
                self.in_a_row = 0;
                (LEAST_FIRST, f64::INFINITY)
            }
            Some(learnt) => {
                self.early = if learnt.now < EARLY * learnt.accepted { self.early + 1 } else { 0 };
                (learnt.now / 2.0, learnt.now * DECREASE)
            }
        };
        if self.early >= PATIENCE {
            self.early = 0;
            self.deaf_until = Some(now + DEAF);
            self.forget(now);
            return None;
        }
        let start = (accepted * DECREASE).clamp(least, most);
        let settled_at = now + SECOND;
        self.settled_at = Some(settled_at);
        let mut empty = Bucket::new(Rate::per_second(start), settled_at);
        let saved = empty.refill(settled_at);
        empty.take(saved);
        self.bucket = Some(empty);
        self.set(Learnt { now: start, start, accepted, most });
        Some(settled_at)
    }

    fn set(&mut self, learnt: Learnt) {
        self.learnt = Some(learnt);
        let rate = Rate::per_second(learnt.now);
        let rate = self.configured.map_or(rate, |configured| configured.min(rate));
        if let Some(bucket) = &mut self.bucket {
            bucket.set_rate(rate);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.learnt = None;
        self.bucket = self.configured.map(|rate| Bucket::new(rate, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000_000);

    /// A site that accepted ten messages at once and refused the rest.
    fn slowed() -> (Speed, Timestamp) {
        let mut speed = Speed::new(None, START);
        (0..10).for_each(|_| speed.accepted(1, START, START));
        assert_eq!(speed.complained(START), None, "one complaint is chance");
        let settled = speed.complained(START).expect("two are not");
        (speed, settled)
    }

    /// Messages that leave in a second from `from` on.
    fn leave(speed: &mut Speed, from: Timestamp) -> usize {
        (0..1_000).filter(|ms| speed.take(1, from + Duration::from_millis(*ms)).is_ok()).count()
    }

    #[test]
    fn it_continues_at_four_fifths_of_what_was_accepted_a_second_later() {
        let (mut speed, settled) = slowed();
        assert_eq!((speed.learnt(), settled), (Some(8.0), START + SECOND));
        assert!(speed.is_old(START), "what was in flight says nothing new");
        assert!(!speed.is_old(settled));
        assert_eq!(leave(&mut speed, settled), 8, "nothing was saved up in the meantime");
    }

    #[test]
    fn what_was_in_flight_and_is_accepted_counts_for_the_second_before() {
        let (mut speed, settled) = slowed();
        (0..5).for_each(|_| speed.accepted(1, START, START + Duration::from_millis(50)));
        assert_eq!(speed.learnt(), Some(12.0));
        speed.accepted(1, settled, settled);
        assert!(speed.learnt() < Some(12.1));
    }

    #[test]
    fn it_grows_while_all_is_accepted_and_is_forgotten_once_it_has_doubled() {
        let (mut speed, mut now) = slowed();
        let mut last = 8.0;
        for _ in 0..160 {
            (0..8).for_each(|_| speed.accepted(1, now, now));
            now = now + SECOND;
            let Some(rate) = speed.learnt() else { break };
            assert!(rate > last && rate < last + 0.1, "{last} became {rate}");
            last = rate;
        }
        assert!(last > 12.0);
        (0..1_000).for_each(|_| speed.accepted(1, now, now));
        assert_eq!((speed.learnt(), leave(&mut speed, now)), (None, 1_000));
    }

    #[test]
    fn a_lower_rate_of_the_campaign_still_holds() {
        let mut speed = Speed::new(Some(Rate { tokens: 3, micros: 1_000_000 }), START);
        (0..10).for_each(|_| speed.accepted(1, START, START));
        speed.complained(START);
        let settled = speed.complained(START).unwrap();
        assert_eq!(leave(&mut speed, settled), 3);
    }

    #[test]
    fn complaints_at_any_rate_are_not_about_speed() {
        let mut speed = Speed::new(None, START);
        let mut now = START;
        for message in 0..2_000 {
            if message % 3 == 0 {
                now = speed.complained(now).unwrap_or(now);
            } else {
                speed.accepted(1, now, now);
            }
            now = now + Duration::from_millis(speed.learnt().map_or(10, |rate| (1_000.0 / rate) as u64));
        }
        let took = now.since(START).as_secs();
        assert!((20..45).contains(&took), "2,000 messages at up to 100 a second took {took} s");
        assert_eq!(speed.learnt(), None);
    }

    #[test]
    fn a_site_that_accepts_nothing_is_not_too_slow() {
        let mut speed = Speed::new(None, START);
        assert!((0..100).all(|_| speed.complained(START).is_none()));
    }
}
