//! What an answer means, and how long to wait after it. Knows neither clocks nor sockets.

use std::time::Duration;

use chrono::DateTime;

use super::client::Answer;
use crate::mail::Timestamp;

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// The longest that a receiver may ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The receiver wants no more, ever.
    Gone,
    /// Not now: once more, not before this time if the receiver named one.
    Again(Option<Duration>),
}

/// Standard Webhooks: 2xx is success, 410 ends the webhook, and the rest is tried again. A redirect
/// is not followed.
pub(super) fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        _ => Verdict::Again(answer.retry_after.as_deref().and_then(|text| retry_after(text, now))),
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        // More digits than a number has ask for the longest.
        true => text.parse().map_or(Duration::MAX, Duration::from_secs),
        false => Timestamp(DateTime::parse_from_rfc2822(text).ok()?.timestamp_micros()).since(now),
    };
    Some(asked.min(LONGEST_ASKED))
}

/// How long to wait after so many failures, from 1 on: twice as long each time, and a random part
/// less, so that many senders don't come back together. `share` is from 0 to 1.
pub(super) fn wait(failures: u32, asked: Option<Duration>, share: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LONGEST);
    let wait = doubled.mul_f64(0.5 + 0.5 * share.clamp(0.0, 1.0));
    wait.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_delivered_gone_or_to_be_repeated() {
        let check = |status, retry_after: Option<&str>, expected| {
            let answer = Answer { status, retry_after: retry_after.map(str::to_owned), text: String::new() };
            assert_eq!(verdict(&answer, Timestamp(1_445_412_420_000_000)), expected, "{status}");
        };
        let seconds = |seconds| Verdict::Again(Some(Duration::from_secs(seconds)));
        check(200, None, Verdict::Delivered);
        check(204, Some("9"), Verdict::Delivered);
        check(410, None, Verdict::Gone);
        check(302, None, Verdict::Again(None));
        check(404, None, Verdict::Again(None));
        check(429, Some("7"), seconds(7));
        check(503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), seconds(60));
        check(503, Some("Wed, 21 Oct 2015 07:00:00 GMT"), seconds(0));
        check(503, Some("999999999999999999999999"), seconds(3_600));
        check(503, Some("-1"), Verdict::Again(None));
        check(503, Some("soon"), Verdict::Again(None));
        check(503, Some(""), Verdict::Again(None));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(wait(1, None, 1.0), FIRST);
        assert_eq!(wait(1, None, 0.0), FIRST / 2);
        assert_eq!(wait(4, None, 1.0), FIRST * 8);
        assert_eq!(wait(u32::MAX, None, 1.0), LONGEST);
        assert_eq!(wait(1, Some(Duration::from_secs(9)), 1.0), Duration::from_secs(9));
        assert_eq!(wait(u32::MAX, Some(Duration::from_secs(9)), 1.0), LONGEST);
    }
}
