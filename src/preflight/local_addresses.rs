//! What the local addresses may carry: their rates, and the caps of each day of their warm-up.

use std::time::Duration;

use chrono::{Days, NaiveDate, NaiveTime};

use crate::campaign::{Egress, Frequency};
use crate::mail::Timestamp;

/// A local address with its limits.
#[derive(Debug, Clone)]
pub(crate) struct LocalAddress<'a> {
    /// Its entry in the campaign file.
    pub egress: &'a Egress,
    /// How many messages of today's cap are spent, by any campaign.
    pub used_today: u64,
}

/// Which limit of the local addresses decides when the last message leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tightest {
    /// `rate`.
    Rate,
    /// `warm-up`: a day's cap is spent before the last message has left, and the rest waits for
    /// the next day.
    WarmUp,
}

impl LocalAddress<'_> {
    /// How many messages may leave from it on `day`; `None` without a cap.
    fn cap(&self, day: NaiveDate, today: NaiveDate) -> Option<u64> {
        let cap = self.egress.warm_up.as_ref()?.cap(day)?;
        Some(if day == today { cap.saturating_sub(self.used_today) } else { cap })
    }

    /// How many messages may leave from it within `time` of a day; `None` without a limit.
    fn carries(&self, time: Duration, cap: Option<u64>) -> Option<u64> {
        let by_rate = self.egress.rate.map(|rate| within(rate, time));
        match (by_rate, cap) {
            (Some(by_rate), Some(cap)) => Some(by_rate.min(cap)),
            (limit, None) | (None, limit) => limit,
        }
    }
}

/// How many messages leave at `rate` within `time`, the first one at its beginning.
fn within(rate: Frequency, time: Duration) -> u64 {
    let micros = rate.time.as_micros().max(1);
    u64::try_from(u128::from(rate.count) * time.as_micros() / micros + 1).unwrap_or(u64::MAX)
}

/// How many messages leave from all addresses within `time` of `day`; `None` where nothing limits
/// one of them.
fn carried(addresses: &[LocalAddress<'_>], day: NaiveDate, today: NaiveDate, time: Duration) -> Option<u64> {
    addresses.iter().map(|address| address.carries(time, address.cap(day, today))).sum()
}

/// The end of a day; `None` at the end of time.
fn midnight_after(day: NaiveDate) -> Option<(NaiveDate, Timestamp)> {
    let next_day = day.checked_add_days(Days::new(1))?;
    Some((next_day, Timestamp(next_day.and_time(NaiveTime::MIN).and_utc().timestamp_micros())))
}

/// How many messages have left at moments that follow each other.
#[derive(Debug)]
pub(crate) struct Departures<'a> {
    addresses: &'a [LocalAddress<'a>],
    today: NaiveDate,
    /// The day that was reached, and the first moment of it that counts.
    day: (NaiveDate, Timestamp),
    /// How many left before that.
    before: u64,
}

impl<'a> Departures<'a> {
    /// The first message leaves at `start`.
    pub(crate) fn new(addresses: &'a [LocalAddress<'a>], start: Timestamp) -> Self {
        let today = start.to_utc().date_naive();
        Self { addresses, today, day: (today, start), before: 0 }
    }

    /// How many may have left before `moment`; `None` where nothing limits them.
    pub(crate) fn gone_before(&mut self, moment: Timestamp) -> Option<u64> {
        if self.addresses.is_empty() {
            return None;
        }
        loop {
            let (day, begins) = self.day;
            let carried = |time| carried(self.addresses, day, self.today, time);
            let (next_day, midnight) = midnight_after(day)?;
            if moment <= midnight {
                let Some(last) = moment.since(begins).checked_sub(Duration::from_micros(1)) else {
                    return Some(self.before);
                };
                return carried(last).map(|carried| self.before.saturating_add(carried));
            }
            self.before = self.before.saturating_add(carried(midnight.since(begins))?);
            self.day = (next_day, midnight);
        }
    }
}

/// When the last of `rows` messages may leave, the first one at `start`, and what decides; `None`
/// where nothing does: an address without limits takes whatever the others can't.
pub(crate) fn finish(
    addresses: &[LocalAddress<'_>],
    rows: u64,
    start: Timestamp,
) -> Option<(Timestamp, Tightest)> {
    if addresses.is_empty() {
        return None;
    }
    let today = start.to_utc().date_naive();
    let (mut left, mut begins, mut tightest) = (rows, start, Tightest::Rate);
    let mut day = today;
    loop {
        let carried = |time: Duration| carried(addresses, day, today, time);
        let (next_day, midnight) = midnight_after(day)?;
        let until = midnight.since(begins);
        let Some(most) = carried(until) else {
            // Nothing limits this day.
            return (day != today).then_some((begins, tightest));
        };
        if most >= left {
            return Some((begins + least(until, |time| carried(time) >= Some(left)), tightest));
        }
        left -= most;
        if addresses.iter().any(|address| address.cap(day, today).is_some()) {
            tightest = Tightest::WarmUp;
        }
        (day, begins) = (next_day, midnight);
    }
}

/// The shortest time up to `longest` that is `enough`, to the microsecond.
fn least(longest: Duration, enough: impl Fn(Duration) -> bool) -> Duration {
    let (mut low, mut high) = (0, u64::try_from(longest.as_micros()).unwrap_or(u64::MAX));
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(Duration::from_micros(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Duration::from_micros(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of 2026-05-29.
    const NOON: Timestamp = Timestamp(1_780_056_000_000_000);
    const HOUR: u64 = 3_600;

    fn egress(limits: &str) -> Egress {
        toml::from_str(&format!("address = \"192.0.2.1\"\n{limits}")).unwrap()
    }

    /// When the last of `rows` leaves, in seconds from noon.
    fn check(egress: &[Egress], used_today: u64, rows: u64, expected: Option<(u64, Tightest)>) {
        let addresses: Vec<_> = egress.iter().map(|egress| LocalAddress { egress, used_today }).collect();
        let found = finish(&addresses, rows, NOON).map(|(at, by)| (at.since(NOON).as_secs_f64(), by));
        assert_eq!(found, expected.map(|(seconds, by)| (seconds as f64, by)), "{rows} rows from {egress:?}");
    }

    #[test]
    fn rates_add_up_and_an_address_without_one_takes_the_rest() {
        let slow = || egress("rate = \"1/s\"");
        check(&[slow()], 0, 1, Some((0, Tightest::Rate)));
        check(&[slow()], 0, 2_001, Some((2_000, Tightest::Rate)));
        check(&[slow(), slow()], 0, 2_002, Some((1_000, Tightest::Rate)));
        check(&[slow(), egress("")], 0, 2_001, None);
        check(&[], 0, 2_001, None);
        check(&[egress("rate = \"10/min\"")], 0, 31, Some((180, Tightest::Rate)));
        check(&[slow()], 0, 12 * HOUR + 3_000, Some((12 * HOUR + 2_998, Tightest::Rate)));
    }

    #[test]
    fn what_exceeds_a_days_cap_waits_for_the_next_day() {
        let young =
            |caps: &str| egress(&format!("warm-up = {{ from = \"2026-05-29\", per-day = [{caps}] }}"));
        check(&[young("100, 1000")], 0, 100, Some((0, Tightest::Rate)));
        check(&[young("100, 1000")], 0, 101, Some((12 * HOUR, Tightest::WarmUp)));
        check(&[young("100, 1000")], 100, 100, Some((12 * HOUR, Tightest::WarmUp)));
        check(&[young("100, 1000")], 0, 1_101, Some((36 * HOUR, Tightest::WarmUp)));
        check(&[young("100"), egress("")], 0, 5_000, None);
        let later = egress("warm-up = { from = \"2026-05-31\", per-day = [5] }");
        check(&[later], 0, 5, Some((36 * HOUR, Tightest::WarmUp)));
        let both = egress("rate = \"1/s\"\nwarm-up = { from = \"2026-05-29\", per-day = [100] }");
        check(&[both], 0, 111, Some((12 * HOUR + 10, Tightest::WarmUp)));
    }

    #[test]
    fn what_has_left_before_a_moment_is_what_may_leave_until_then() {
        let egress = egress("rate = \"1/s\"\nwarm-up = { from = \"2026-05-29\", per-day = [100, 50] }");
        let addresses = [LocalAddress { egress: &egress, used_today: 0 }];
        let mut departures = Departures::new(&addresses, NOON);
        let expected =
            [(0, 0), (1, 1), (2, 2), (99, 99), (HOUR, 100), (12 * HOUR + 1, 101), (36 * HOUR, 150)];
        for (seconds, gone) in expected {
            let moment = NOON + Duration::from_secs(seconds);
            assert_eq!(departures.gone_before(moment), Some(gone), "{seconds} s after noon");
        }
        // From the third day on its rate alone counts.
        assert_eq!(departures.gone_before(NOON + Duration::from_secs(36 * HOUR + 10)), Some(160));
        assert_eq!(Departures::new(&[], NOON).gone_before(NOON), None);
    }
}
