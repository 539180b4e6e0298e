//! How a session ends early, and what that means for each message in flight.

use crate::mail::Timestamp;
use crate::smtp::{Fate, NotStarted, SessionError};

use super::{Active, Made, Session};

impl Session {
    /// The connection can't be used any more: everything without a report gets one now.
    pub(super) fn break_off(&mut self, error: SessionError, now: Timestamp) {
        for active in std::mem::take(&mut self.active) {
            self.give_up(active, &error, now);
        }
        self.outgoing.cut();
        self.outgoing.expect_nothing();
        self.ended.get_or_insert(error);
    }

    /// The server is closing, so nothing more is written. A complete message may still get its
    /// reply and is waited for; an incomplete one has failed.
    pub(super) fn wind_down(&mut self, error: SessionError, now: Timestamp) {
        // Only the last one can be incomplete or not begun.
        while let Some(last) = self.active.back()
            && (last.reported || !last.is_complete(&self.outgoing))
            && let Some(last) = self.active.pop_back()
        {
            self.give_up(last, &error, now);
        }
        self.outgoing.cut();
        self.ended.get_or_insert(error);
        self.wind_up(now);
    }

    /// Ends the session when it is winding down and no reply is expected.
    pub(super) fn wind_up(&mut self, now: Timestamp) {
        if let Some(error) = self.ended.clone()
            && self.active.iter().all(|active| active.reported)
        {
            self.break_off(error, now);
        }
    }

    /// Reports a transaction that will get no more replies.
    fn give_up(&mut self, mut active: Active, error: &SessionError, now: Timestamp) {
        if active.reported {
            self.reports.extend(active.into_held());
            return;
        }
        let error = error.clone();
        let complete = active.is_complete(&self.outgoing);
        let begun = active.started.is_some_and(|(place, _)| self.outgoing.has_written(place + 1));
        let fate = match (complete, begun) {
            (true, _) => Fate::InDoubt { error },
            (false, true) => Fate::Failed { error },
            (false, false) => {
                let why = NotStarted::Lost(error);
                return self.leave(&active.transaction, Fate::NotStarted { why }, now);
            }
        };
        active.decide(&fate);
        self.reports.push_back(Made { report: active.report(now), complete });
    }
}
