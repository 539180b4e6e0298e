//! How the scanners are: since when they give no answer, and when they are asked again.

use std::time::Duration;

use crate::mail::Timestamp;

/// The first wait; each next one is as long as the scanner is gone already.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(300);

/// How the scanners are.
#[derive(Debug, Default)]
pub(super) struct Scans {
    /// Since when no answer came.
    since: Option<Timestamp>,
    /// Nothing is composed before this time.
    until: Option<Timestamp>,
    why: String,
}

impl Scans {
    /// Until when nothing is composed, where something would be otherwise.
    pub(super) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| now < *until)
    }

    /// Why nothing is composed.
    pub(super) fn held_by(&self, now: Timestamp) -> Option<&str> {
        self.held_until(now).map(|_| self.why.as_str())
    }

    /// A scanner gave an answer.
    pub(super) fn answered(&mut self) {
        if self.since.take().is_some() {
            tracing::info!("the scanners answer again");
        }
    }

    /// Holds nothing any more: what is left ends one way or the other.
    pub(super) fn release(&mut self) {
        self.until = None;
    }

    /// A scanner gave no answer: since when that is so, and when to ask again.
    pub(super) fn failed(&mut self, why: &str, now: Timestamp) -> (Timestamp, Timestamp) {
        if self.since.is_none() {
            tracing::warn!("nothing leaves unscanned, rows wait: {why}");
        }
        let since = *self.since.get_or_insert(now);
        let at = self.held_until(now).unwrap_or(now + now.since(since).clamp(SHORTEST, LONGEST));
        self.until = Some(at);
        why.clone_into(&mut self.why);
        (since, at)
    }
}
