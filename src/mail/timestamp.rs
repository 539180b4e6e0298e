//! A point in time: microseconds since 1970-01-01 UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A slot's length in microseconds: five minutes.
const SLOT_MICROS: i64 = 300_000_000;

impl Timestamp {
    /// The system clock at the first call plus the time elapsed since then: within a process it
    /// never jumps, even if the system clock is changed. For pacing, the journal and results.
    pub fn now() -> Self {
        static START: OnceLock<(Timestamp, Instant)> = OnceLock::new();
        let (wall, start) = *START.get_or_init(|| (Self::wall(), Instant::now()));
        wall + start.elapsed()
    }

    /// The system clock now, which may jump. For what others read, such as `Date:` and a
    /// signature's `t=`.
    pub fn wall() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// What is written in RFC 3339, or as a day, which begins in UTC.
    pub fn parse_or_day(text: &str) -> Option<Self> {
        let day = || {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(day.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
        };
        let moment = || Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros());
        day().or_else(moment).map(Self)
    }

    /// The start of the five-minute slot that holds this moment.
    pub fn slot(self) -> Self {
        Self(self.0.div_euclid(SLOT_MICROS) * SLOT_MICROS)
    }

    /// Seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The same moment as a chrono type, clamped to chrono's range.
    pub fn to_utc(self) -> DateTime<Utc> {
        let end = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_micros(self.0).unwrap_or(end)
    }

    /// The time since `earlier`; zero if this is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// RFC 3339 with milliseconds, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_aligned_to_the_clock() {
        let moment = Timestamp(1_780_000_123_456_789);
        assert_eq!(moment.slot().0 % 300_000_000, 0);
        assert!(moment.slot() <= moment && moment < moment.slot() + Duration::from_secs(300));
        assert_eq!(Timestamp(-1).slot(), Timestamp(-300_000_000));
    }

    #[test]
    fn days_begin_in_utc() {
        let day = Timestamp::parse_or_day("1970-01-02").unwrap();
        assert_eq!(day, Timestamp(86_400_000_000));
        assert_eq!(Timestamp::parse_or_day("1970-01-02T01:00:00+01:00"), Some(day));
        assert_eq!(Timestamp::parse_or_day("1970-01-32"), None);
    }

    #[test]
    fn prints_as_rfc_3339() {
        assert_eq!(Timestamp(1_780_000_123_456_789).to_string(), "2026-05-28T20:28:43.456Z");
    }
}
