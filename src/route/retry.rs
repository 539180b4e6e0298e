//! When a row is tried again. Pure: the caller passes `now`.

use std::time::Duration;

use crate::campaign::RetryPolicy;
use crate::mail::Timestamp;

/// How much a wait is shortened or lengthened at most, in parts of 1,000: rows that failed together
/// should not come back together.
const JITTER_PERMILLE: u64 = 100;

/// When a row is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    first: Duration,
    factor: f64,
    longest: Duration,
    give_up_after: Duration,
}

/// What to do with a row after a transient failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time.
    At(Timestamp),
    /// `give-up-after` would be over by then.
    GiveUp,
}

impl Schedule {
    /// The schedule of a campaign.
    pub fn new(retry: &RetryPolicy) -> Self {
        Self {
            first: retry.first.0,
            factor: retry.factor,
            longest: retry.longest.0.max(retry.first.0),
            give_up_after: retry.give_up_after.0,
        }
    }

    /// What to do after `attempt` (from 1) of a row failed at `now`. `give-up-after` counts from
    /// the start of the row's first attempt. The same row and attempt always get the same wait.
    pub fn next(&self, row: u32, attempt: u16, first_attempt_at: Timestamp, now: Timestamp) -> Next {
        let at = now + self.wait(row, attempt);
        if self.is_late(first_attempt_at, at) { Next::GiveUp } else { Next::At(at) }
    }

    /// When a row that was put off until `at` is due, seen from `now`: never later than the longest
    /// wait from now. A later time comes from a clock that has been set back since.
    pub fn due(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        at.min(now + self.longest.mul_f64((1_000 + JITTER_PERMILLE) as f64 / 1_000.0))
    }

    /// True when an attempt at `at` would come later than `give-up-after` allows.
    pub fn is_late(&self, first_attempt_at: Timestamp, at: Timestamp) -> bool {
        at.since(first_attempt_at) > self.give_up_after
    }

    /// How long a row, or an unreachable site, is tried.
    pub fn give_up_after(&self) -> Duration {
        self.give_up_after
    }

    /// The wait after `attempt`, jitter included.
    pub fn wait(&self, row: u32, attempt: u16) -> Duration {
        let exponent = f64::from(attempt.max(1) - 1);
        let seconds = self.first.as_secs_f64() * self.factor.powf(exponent);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(self.longest).min(self.longest);
        let permille = 1_000 - JITTER_PERMILLE + scatter(row, attempt) % (2 * JITTER_PERMILLE + 1);
        wait.mul_f64(permille as f64 / 1_000.0)
    }
}

/// A number that looks random and is always the same (the last steps of SplitMix64).
fn scatter(row: u32, attempt: u16) -> u64 {
    let mut x = (u64::from(row) << 16 | u64::from(attempt)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Span;

    const START: Timestamp = Timestamp(1_780_000_000_000_000);

    fn schedule() -> Schedule {
        Schedule::new(&RetryPolicy::default())
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off_for_longer_than_the_longest_wait() {
        let (now, minutes) = (START, |minutes: u64| Duration::from_secs(60 * minutes));
        let check = |at: Timestamp, due: Timestamp| assert_eq!(schedule().due(at, now), due);
        check(now + minutes(15), now + minutes(15));
        check(now + minutes(60 * 24 * 365), now + minutes(15).mul_f64(1.1));
        check(Timestamp(0), Timestamp(0));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let check = |attempt: u16, seconds: u64| {
            for row in 0..200 {
                let wait = schedule().wait(row, attempt).as_secs_f64();
                let (least, most) = (seconds as f64 * 0.9, seconds as f64 * 1.1);
                assert!((least..=most).contains(&wait), "attempt {attempt} of row {row}: {wait}");
            }
        };
        check(0, 30);
        check(1, 30);
        check(2, 60);
        check(3, 120);
        check(5, 480);
        check(6, 900);
        check(7, 900);
        check(u16::MAX, 900);
    }

    #[test]
    fn rows_that_failed_together_are_spread_evenly_and_always_alike() {
        let mut tenths = [0; 10];
        for row in 0..10_000 {
            let wait = schedule().wait(row, 1);
            assert_eq!(wait, schedule().wait(row, 1));
            let tenth = (wait.as_secs_f64() - 27.0) / 0.6;
            tenths[(tenth as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|rows| (800..1_200).contains(rows)), "{tenths:?}");
        assert_ne!(schedule().wait(7, 6), schedule().wait(7, 7), "attempts of one row differ too");
    }

    #[test]
    fn giving_up_counts_from_the_first_attempt() {
        let after = |seconds: u64| START + Duration::from_secs(seconds);
        let hours = |hours: u64| Span::seconds(hours * 3_600);
        let check = |give_up_after: Span, now: u64, gives_up: bool| {
            let schedule = Schedule::new(&RetryPolicy { give_up_after, ..RetryPolicy::default() });
            let next = schedule.next(1, 1, START, after(now));
            assert_eq!(next == Next::GiveUp, gives_up, "{give_up_after} after {now} s: {next:?}");
        };
        check(hours(4), 0, false);
        check(hours(4), 4 * 3_600 - 34, false);
        check(hours(4), 4 * 3_600 - 26, true);
        check(hours(4), 9 * 3_600, true);
        check(Span::seconds(0), 0, true);
        check(Span::seconds(25), 0, true);
        check(Span::seconds(34), 0, false);
    }

    #[test]
    fn a_clock_that_jumped_back_does_not_give_up() {
        let next = schedule().next(1, 1, START, Timestamp(START.0 - 3_600_000_000));
        assert!(matches!(next, Next::At(at) if at < START));
    }

    #[test]
    fn a_longest_wait_below_the_first_one_does_not_shorten_it() {
        let retry =
            RetryPolicy { first: Span::seconds(60), longest: Span::seconds(10), ..RetryPolicy::default() };
        assert!(Schedule::new(&retry).wait(1, 3) >= Duration::from_secs(54));
    }
}
