//! How a site is doing, and how much it is trusted with: connections, messages a second, backoff,
//! rests and pauses.

use std::time::Duration;

use super::speed::Speed;
use crate::kit::text::counted;
use crate::mail::Timestamp;
use crate::run::concurrency::{Change, Concurrency};
use crate::run::limits::LaneLimits;

/// The first wait after a connection could not be opened; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between attempts to open a connection.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The first rest of a site that only complains; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_secs(60);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// See the module.
#[derive(Debug)]
pub(super) struct Health {
    concurrency: Concurrency,
    /// Messages a second.
    pub speed: Speed,
    /// Connections that it begins with.
    initial: usize,
    /// Connections that could not be opened, or were lost before their first transaction, since the
    /// last one that was of use.
    failures: u32,
    /// Rests since the last accepted message.
    rests: u32,
    /// Since when no connection was of use.
    unreachable_since: Option<Timestamp>,
    /// No connection is opened before this time.
    open_after: Option<Timestamp>,
    /// Nothing is sent before this time.
    paused_until: Option<Timestamp>,
    /// The site's last complaint.
    complaint: Option<String>,
}

impl Health {
    /// A site that nothing is known of.
    pub(super) fn new(limits: &LaneLimits, now: Timestamp) -> Self {
        Self {
            concurrency: Concurrency::new(limits.initial, limits.connections),
            speed: Speed::new(limits.rate, now),
            initial: limits.initial,
            failures: 0,
            rests: 0,
            unreachable_since: None,
            open_after: None,
            paused_until: None,
            complaint: None,
        }
    }

    /// The number of connections that the site is trusted with.
    pub(super) fn window(&self) -> usize {
        self.concurrency.window()
    }

    /// Since when no connection could be opened.
    pub(super) fn unreachable_since(&self) -> Option<Timestamp> {
        self.unreachable_since
    }

    /// Nothing is sent before this time.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// No connection is opened before this time.
    pub(super) fn open_after(&self) -> Option<Timestamp> {
        self.open_after
    }

    /// The site's last complaint.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// How many of `useful` connections may be opened now, when `free` are left of the window and
    /// `unproven` counts those that may still turn out to be of no use.
    pub(super) fn openings(
        &self,
        useful: usize,
        free: usize,
        unproven: impl Fn() -> usize,
        now: Timestamp,
    ) -> usize {
        if Some(now) < self.open_after.max(self.paused_until) {
            return 0;
        }
        // After a failure one connection shows whether the site is back.
        match self.failures {
            0 => useful.min(free),
            _ if unproven() > 0 => 0,
            _ => useful.min(free).min(1),
        }
    }

    /// No connection is opened before `until`: their rate has no place.
    pub(super) fn hold_openings(&mut self, until: Timestamp) {
        self.open_after = Some(until);
    }

    /// A connection was of use: a transaction was begun on it.
    pub(super) fn reached(&mut self) {
        self.failures = 0;
        self.unreachable_since = None;
    }

    /// A connection could not be opened, or was lost before its first transaction; `has_others`
    /// when others are open. True when the site was reachable until now.
    pub(super) fn not_opened(&mut self, cause: &str, has_others: bool, now: Timestamp) -> bool {
        self.complaint = Some(cause.to_owned());
        self.failures += 1;
        let is_news = !has_others && self.unreachable_since.is_none();
        if is_news {
            self.unreachable_since = Some(now);
        }
        let backoff = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_BACKOFF);
        self.open_after = self.open_after.max(Some(now + backoff));
        is_news
    }

    /// The site accepted a message for so many recipients that left at `started_at`; true when it
    /// is trusted with more connections now.
    pub(super) fn succeeded(&mut self, recipients: usize, started_at: Timestamp, now: Timestamp) -> bool {
        self.rests = 0;
        let grew = self.concurrency.succeeded() == Change::Window;
        self.speed.accepted(recipients, started_at, now);
        if self.window() >= self.initial && self.speed.learnt().is_none() {
            self.complaint = None;
        }
        grew
    }

    /// The site complained; what that changes.
    pub(super) fn complained(&mut self, cause: &str, now: Timestamp) -> Change {
        self.complaint = Some(cause.to_owned());
        let change = self.concurrency.complained();
        if change == Change::Rest {
            let rest = FIRST_REST.saturating_mul(1 << self.rests.min(10)).min(LONGEST_REST);
            self.rests += 1;
            self.pause(now + rest);
        }
        change
    }

    /// Remembers why the site, or its provider, gets nothing for a while.
    pub(super) fn note(&mut self, complaint: &str) {
        self.complaint = Some(complaint.to_owned());
    }

    /// Sends nothing before `until`; true when that is longer than before.
    pub(super) fn pause(&mut self, until: Timestamp) -> bool {
        let is_longer = self.paused_until < Some(until);
        self.paused_until = self.paused_until.max(Some(until));
        is_longer
    }

    /// In a few words, for reports; `paused_until` is the later of the site's and its provider's.
    pub(super) fn describe(&self, paused_until: Option<Timestamp>, now: Timestamp) -> String {
        let why = self.complaint.as_ref().map_or(String::new(), |complaint| format!(": {complaint}"));
        if let Some(until) = paused_until.filter(|until| now < *until) {
            format!("paused until {until}{why}")
        } else if let Some(since) = self.unreachable_since {
            format!("not reachable since {since}{why}")
        } else if let Some(rate) = self.speed.learnt() {
            format!("slowed to {rate:.1}/s{why}")
        } else if self.window() < self.initial {
            format!("slowed to {}{why}", counted(self.window() as u64, "connection", "connections"))
        } else {
            "open".to_owned()
        }
    }
}
