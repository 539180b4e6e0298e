//! Moments as they are typed, and waiting for them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveTime, TimeZone};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::runtime::runtime;
use super::{log, signals};
use crate::kit::text::duration;
use crate::mail::Timestamp;

/// RFC 3339, or `HH:MM` today by this machine's clock.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    let bad = || "use RFC 3339, such as 2026-12-31T18:00:00+01:00, or HH:MM for today".to_owned();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp(at.timestamp_micros()));
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| bad())?;
    let today = Local::now().date_naive().and_time(time);
    let at = Local.from_local_datetime(&today).earliest().ok_or_else(bad)?;
    Ok(Timestamp(at.timestamp_micros()))
}

/// The same, or the begin of a day in UTC.
pub(super) fn parse_or_day(text: &str) -> Result<Timestamp, String> {
    match Timestamp::parse_or_day(text) {
        Some(at) => Ok(at),
        None => parse(text).map_err(|why| why.replacen("use ", "use a day, such as 2026-12-31, ", 1)),
    }
}

/// Waits by the wall clock, looking at it again every second: it may be set meanwhile.
///
/// # Errors
/// With [`Exit::Interrupted`] when a signal ends the waiting.
pub(super) fn wait_until(at: Timestamp) -> Result<(), Diagnostic> {
    let left = at.since(Timestamp::wall());
    if left.is_zero() {
        return Ok(());
    }
    log::print(&format!("waiting until {at}, {} from now", duration(left)));
    runtime()?.block_on(async {
        let due = async {
            while Timestamp::wall() < at {
                tokio::time::sleep(at.since(Timestamp::wall()).min(Duration::from_secs(1))).await;
            }
            Ok(())
        };
        tokio::select! {
            due = due => due,
            stopped = signals::first() => {
                stopped?;
                Err(Diagnostic::new("stopped while waiting; nothing was sent").exit(Exit::Interrupted))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_or_a_time_of_today() {
        assert_eq!(parse("1970-01-01T01:00:00+01:00").unwrap(), Timestamp(0));
        assert!(parse("18:30").is_ok());
        for bad in ["", "tomorrow", "25:00", "2026-12-31"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
