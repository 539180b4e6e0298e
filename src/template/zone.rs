//! Time zones: names of the IANA database with their daylight saving, and offsets.

use std::fmt;

use chrono::{
    Duration, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, SecondsFormat, TimeZone,
};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};

use crate::kit::nearest::nearest;
use crate::mail::Timestamp;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    Gmt,
    /// Without daylight saving.
    Offset(FixedOffset),
    /// Of the IANA database.
    Named(Tz),
}

impl Zone {
    /// `Europe/Berlin`, `UTC`, `GMT`, `Z`, `GMT+1`, `GMT+02:30`, `+02:00`
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "UTC" | "utc" | "Z" | "z" => return Ok(Self::Utc),
            "GMT" => return Ok(Self::Gmt),
            _ => {}
        }
        if let Some(offset) = offset(text) {
            return Ok(Self::Offset(offset));
        }
        text.parse().map(Self::Named).map_err(|_| {
            let near = nearest(text, TZ_VARIANTS.iter().map(|zone| zone.name()));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            format!("`{text}` is not a time zone such as `Europe/Berlin` or `+02:00`{near}")
        })
    }

    /// What is added to `utc`.
    pub(super) fn offset(self, utc: NaiveDateTime) -> FixedOffset {
        match self {
            Self::Utc | Self::Gmt => FixedOffset::east_opt(0).expect("zero is an offset"),
            Self::Offset(offset) => offset,
            Self::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
        }
    }

    /// The time on the wall at `utc`.
    pub(super) fn local(self, utc: NaiveDateTime) -> NaiveDateTime {
        utc.checked_add_signed(seconds(self.offset(utc))).unwrap_or(utc)
    }

    /// When it is `local` on the wall: the later moment where clocks are set back, and where they
    /// are set forward as if they had not been.
    pub(super) fn to_utc(self, local: NaiveDateTime) -> NaiveDateTime {
        let offset = match self {
            Self::Utc | Self::Gmt | Self::Offset(_) => self.offset(local),
            Self::Named(zone) => match zone.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => offset.fix(),
                LocalResult::None => {
                    self.offset(local.checked_sub_signed(Duration::days(1)).unwrap_or(local))
                }
            },
        };
        local.checked_sub_signed(seconds(offset)).unwrap_or(local)
    }

    /// When `day` begins.
    pub(crate) fn start_of(self, day: NaiveDate) -> Timestamp {
        Timestamp(self.to_utc(day.and_time(NaiveTime::MIN)).and_utc().timestamp_micros())
    }

    /// The day at `at`.
    pub(crate) fn day_of(self, at: Timestamp) -> NaiveDate {
        self.local(at.to_utc().naive_utc()).date()
    }

    /// The time on the wall at `at`, with its offset: `2026-11-02T07:00:00.250+01:00`.
    pub(crate) fn shown(self, at: Timestamp) -> String {
        let utc = at.to_utc();
        let offset = self.offset(utc.naive_utc());
        utc.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// What it is called at `utc`: `CEST`, `UTC`, `GMT+02:00`.
    pub(super) fn name(self, utc: NaiveDateTime) -> String {
        match self {
            Self::Utc => "UTC".to_owned(),
            Self::Gmt => "GMT".to_owned(),
            Self::Offset(offset) => format!("GMT{}", shown_offset(offset, true)),
            Self::Named(zone) => match zone.offset_from_utc_datetime(&utc).abbreviation() {
                Some(name) => name.to_owned(),
                None => format!("GMT{}", shown_offset(self.offset(utc), true)),
            },
        }
    }
}

/// `GMT+1`, `UTC-02:30`, `+0200`
fn offset(text: &str) -> Option<FixedOffset> {
    let digits = text.strip_prefix("GMT").or_else(|| text.strip_prefix("UTC")).unwrap_or(text);
    let sign = if digits.starts_with('-') { -1 } else { 1 };
    let digits = digits.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 18 && minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)))?
}

fn seconds(offset: FixedOffset) -> Duration {
    Duration::seconds(i64::from(offset.local_minus_utc()))
}

/// `+02:00`, or `+0200`.
pub(super) fn shown_offset(offset: FixedOffset, colon: bool) -> String {
    let seconds = offset.local_minus_utc();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let colon = if colon { ":" } else { "" };
    format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utc => f.write_str("UTC"),
            Self::Gmt => f.write_str("GMT"),
            Self::Offset(offset) => f.write_str(&shown_offset(*offset, true)),
            Self::Named(zone) => f.write_str(zone.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn days_begin_where_the_last_one_ended() {
        let check = |zone: &str, day: &str, start: &str, hours: i64| {
            let (zone, day) = (Zone::parse(zone).unwrap(), day.parse::<NaiveDate>().unwrap());
            let (from, to) = (zone.start_of(day), zone.start_of(day.succ_opt().unwrap()));
            assert_eq!(zone.shown(from), start, "{zone} {day}");
            assert_eq!(to.since(from).as_secs(), hours as u64 * 3_600, "{zone} {day}");
            assert_eq!((zone.day_of(from), zone.day_of(Timestamp(to.0 - 1))), (day, day));
        };
        check("UTC", "2026-11-02", "2026-11-02T00:00:00.000Z", 24);
        check("Europe/Zurich", "2026-11-02", "2026-11-02T00:00:00.000+01:00", 24);
        check("Europe/Zurich", "2026-03-29", "2026-03-29T00:00:00.000+01:00", 23);
        check("Europe/Zurich", "2026-10-25", "2026-10-25T00:00:00.000+02:00", 25);
        check("-03:00", "2026-11-02", "2026-11-02T00:00:00.000-03:00", 24);
        // Clocks were set forward at midnight: the day began at one o'clock.
        check("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00.000-02:00", 23);
    }

    #[test]
    fn clocks_are_set_forward_and_back() {
        let check = |zone: &str, utc: &str, local: &str, name: &str| {
            let zone = Zone::parse(zone).unwrap();
            assert_eq!(zone.local(moment(utc)), moment(local), "{zone} {utc}");
            assert_eq!(zone.name(moment(utc)), name, "{zone} {utc}");
        };
        check("Europe/Berlin", "2026-01-31 12:00", "2026-01-31 13:00", "CET");
        check("Europe/Berlin", "2026-03-29 00:59", "2026-03-29 01:59", "CET");
        check("Europe/Berlin", "2026-03-29 01:00", "2026-03-29 03:00", "CEST");
        check("Europe/Berlin", "2026-10-25 00:59", "2026-10-25 02:59", "CEST");
        check("Europe/Berlin", "2026-10-25 01:00", "2026-10-25 02:00", "CET");
        check("America/New_York", "2026-07-01 00:00", "2026-06-30 20:00", "EDT");
        check("Asia/Kolkata", "2026-07-01 00:00", "2026-07-01 05:30", "IST");
        check("GMT+1", "2026-07-01 00:00", "2026-07-01 01:00", "GMT+01:00");
        check("-02:30", "2026-07-01 00:00", "2026-06-30 21:30", "GMT-02:30");
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        // Twice that night, and never that night.
        assert_eq!(berlin.to_utc(moment("2026-10-25 02:30")), moment("2026-10-25 01:30"));
        assert_eq!(berlin.to_utc(moment("2026-03-29 02:30")), moment("2026-03-29 01:30"));
        assert_eq!(berlin.to_utc(moment("2026-07-01 12:00")), moment("2026-07-01 10:00"));
    }

    #[test]
    fn names_that_do_not_exist_are_refused_with_the_nearest() {
        assert_eq!(
            Zone::parse("Europe/Berln").unwrap_err(),
            "`Europe/Berln` is not a time zone such as `Europe/Berlin` or `+02:00`; did you mean `Europe/Berlin`?"
        );
        for bad in ["", "Mars", "+1:", "+25:00", "++1", "GMT+1:99", "2026"] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }
}
