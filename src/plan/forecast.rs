//! When a run will finish at the agreed capacity: pure arithmetic that ignores retries, stalls and
//! other campaigns on the same account.

use std::time::Duration;

use crate::campaign::{Capacity, Pace};
use crate::mail::Timestamp;

const HOUR: u128 = 3_600_000_000;
const SLOT: u128 = 300_000_000;

/// The schedule of a run that nothing delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    rows: u64,
    start: Timestamp,
    pace: Pace,
    /// Messages per hour: the agreement, or twelve full slots if that is less.
    per_hour: u64,
    per_slot: u64,
}

/// The messages sent in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotForecast {
    /// The slot's start.
    pub slot: Timestamp,
    /// How many messages leave in it.
    pub rows: u64,
}

/// The schedule of sending `rows` messages from `start` on.
pub fn forecast(rows: u64, capacity: &Capacity, start: Timestamp) -> Forecast {
    forecast_at(rows, capacity.pace, capacity.per_hour, capacity.per_slot(), start)
}

/// The same at these limits, in messages per hour and in five minutes.
pub fn forecast_at(rows: u64, pace: Pace, per_hour: u64, per_slot: u64, start: Timestamp) -> Forecast {
    Forecast { rows, start, pace, per_hour: per_hour.min(per_slot.saturating_mul(12)), per_slot }
}

/// The slots in which `messages` leave from `start` on, in order, where so many are gone before a
/// moment. It is asked about later and later moments. The slots' counts add up to `messages`.
pub fn slots(
    messages: u64,
    start: Timestamp,
    mut gone_before: impl FnMut(Timestamp) -> u64,
) -> impl Iterator<Item = SlotForecast> {
    let mut slot = start.slot();
    let mut gone = 0;
    std::iter::from_fn(move || {
        while gone < messages {
            let this = slot;
            slot = slot + Duration::from_secs(300);
            let rows = gone_before(slot).min(messages) - gone;
            gone += rows;
            if rows > 0 {
                return Some(SlotForecast { slot: this, rows });
            }
        }
        None
    })
}

impl Forecast {
    /// When the last message leaves.
    pub fn finish(&self) -> Timestamp {
        self.rows.checked_sub(1).map_or(self.start, |last| self.start + self.leaves(last))
    }

    /// How long after the start a message leaves, counted from 0.
    fn leaves(&self, message: u64) -> Duration {
        let (message, per_hour, per_slot) =
            (u128::from(message), u128::from(self.per_hour.max(1)), u128::from(self.per_slot.max(1)));
        let micros = match self.pace {
            Pace::Even => (message * HOUR).div_ceil(per_hour),
            // At the burst rate until the hour's quota is used; then nothing until its first
            // message is an hour old.
            Pace::Burst => message / per_hour * HOUR + (message % per_hour * SLOT).div_ceil(per_slot),
        };
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How many messages leave before a moment.
    pub fn gone_before(&self, moment: Timestamp) -> u64 {
        let elapsed = moment.since(self.start).as_micros();
        let (per_hour, per_slot) = (u128::from(self.per_hour), u128::from(self.per_slot));
        // The first message that leaves at or after `elapsed` microseconds.
        let gone = match self.pace {
            Pace::Even => first_at(elapsed, HOUR, per_hour),
            Pace::Burst => elapsed / HOUR * per_hour + first_at(elapsed % HOUR, SLOT, per_slot).min(per_hour),
        };
        u64::try_from(gone).unwrap_or(u64::MAX).min(self.rows)
    }
}

/// The smallest `n` with `ceil(n × window / count) >= elapsed`.
fn first_at(elapsed: u128, window: u128, count: u128) -> u128 {
    match elapsed.checked_sub(1) {
        None => 0,
        Some(before) => before * count / window + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(per_hour: u64, burst_percent: u32, pace: Pace) -> Capacity {
        Capacity { per_hour, burst_percent, pace, ..Capacity::default() }
    }

    fn slots_of(forecast: Forecast) -> impl Iterator<Item = SlotForecast> {
        slots(forecast.rows, forecast.start, move |moment| forecast.gone_before(moment))
    }

    /// Rows at 150,000 an hour from `start` minutes after 12:00: the slots' counts and the minutes
    /// until the finish.
    fn check(rows: u64, pace: Pace, start: u64, slots: &[u64], minutes: f64) {
        let noon = Timestamp(1_780_056_000_000_000);
        let start = noon + Duration::from_secs(start * 60);
        let forecast = forecast(rows, &capacity(150_000, 25, pace), start);
        let found: Vec<u64> = slots_of(forecast).map(|slot| slot.rows).collect();
        assert_eq!(found, slots, "{rows} rows, {pace:?}");
        let took = forecast.finish().since(start).as_secs_f64() / 60.0;
        assert!((took - minutes).abs() < 0.01, "{took} minutes instead of {minutes}");
    }

    #[test]
    fn slots_and_finish() {
        check(0, Pace::Even, 0, &[], 0.0);
        check(1, Pace::Even, 0, &[1], 0.0);
        check(30_000, Pace::Even, 0, &[12_500, 12_500, 5_000], 12.0);
        check(30_000, Pace::Even, 3, &[5_000, 12_500, 12_500], 12.0);
        check(30_000, Pace::Burst, 0, &[15_625, 14_375], 9.6);
        // The hour's quota is used after 48 minutes; then nothing until the hour ends.
        let hour = [15_625, 15_625, 15_625, 15_625, 15_625, 15_625, 15_625, 15_625, 15_625, 9_375];
        check(150_000, Pace::Burst, 0, &hour, 48.0);
        check(160_000, Pace::Burst, 0, &[hour.as_slice(), &[10_000]].concat(), 63.2);
    }

    #[test]
    fn ten_million_rows_take_nearly_three_days() {
        let forecast = forecast(10_000_000, &Capacity::default(), Timestamp(0));
        assert_eq!(slots_of(forecast).count(), 800);
        assert_eq!(forecast.finish().seconds(), 10_000_000 * 3_600 / 150_000 - 1);
    }

    proptest::proptest! {
        #[test]
        fn no_slot_and_no_hour_is_over_its_limit_and_nothing_is_lost(
            rows in 0_u64..200_000,
            per_hour in 12_u64..200_000,
            burst_percent in 0_u32..200,
            burst: bool,
            start in 0_i64..10_000_000_000,
        ) {
            // Enough hours to see several, few enough to be quick.
            let rows = rows.min(per_hour * 30);
            let capacity = capacity(per_hour, burst_percent, if burst { Pace::Burst } else { Pace::Even });
            let start = Timestamp(start);
            let forecast = forecast(rows, &capacity, start);
            let slots: Vec<SlotForecast> = slots_of(forecast).collect();
            proptest::prop_assert_eq!(slots.iter().map(|slot| slot.rows).sum::<u64>(), rows);
            proptest::prop_assert!(slots.iter().all(|slot| slot.rows <= capacity.per_slot()));
            for (n, first) in slots.iter().enumerate() {
                let end = first.slot + Duration::from_secs(3_600);
                let hour: u64 = slots[n..].iter().take_while(|slot| slot.slot < end).map(|slot| slot.rows).sum();
                proptest::prop_assert!(hour <= per_hour, "{} in an hour of {}", hour, per_hour);
            }
            if let Some(last) = slots.last() {
                proptest::prop_assert_eq!(forecast.finish().slot(), last.slot);
            }
        }
    }
}
