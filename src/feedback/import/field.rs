//! Fields of JSON objects.

use chrono::DateTime;
use serde_json::Value;

use crate::feedback::notice::TEXT_CHARS;
use crate::mail::Timestamp;

/// The text of a field that is not empty.
pub(super) fn word<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// A text that may be long.
pub(super) fn text(object: &Value, name: &str) -> Option<String> {
    Some(word(object, name)?.chars().take(TEXT_CHARS).collect())
}

/// A time as seconds since 1970, with a fraction or without.
pub(super) fn seconds(object: &Value, name: &str) -> Option<Timestamp> {
    let value = object.get(name)?;
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    // Up to the year 9999.
    (0.0..253_402_300_800.0).contains(&seconds).then_some(Timestamp((seconds * 1e6) as i64))
}

/// A time as RFC 3339 writes it.
pub(super) fn time(object: &Value, name: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(word(object, name)?).ok()?;
    Some(Timestamp(time.timestamp_micros()))
}
