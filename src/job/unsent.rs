//! The rows of a run that are still to be sent, as its journal has them.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::JobError;
use crate::journal::{Journal, RowState, States, Verdict};
use crate::mail::{Disposition, Timestamp};
use crate::route::Schedule;
use crate::run::{Directory, Earlier, Lane, NextHops, Routed, Segment, Task};

/// The rows of a run that are still to be sent.
pub(super) struct Unsent {
    /// Those that were never touched.
    fresh: Vec<u32>,
    /// Those that were tried before, and when they are due; the archive's copies too.
    tried: Vec<(Task, Timestamp)>,
    /// How many of both are mails with passwords.
    pub passwords: u64,
    /// The rows that are done.
    pub earlier: Earlier,
}

impl Unsent {
    /// Reads them from the journal, to be sent from `now` on.
    pub(super) fn of(
        schedule: &Schedule,
        journal: &Journal,
        states: &States,
        documents_elsewhere: &HashMap<u32, (String, u32)>,
        now: Timestamp,
    ) -> Result<Self, JobError> {
        let mut unsent =
            Self { fresh: Vec::new(), tried: Vec::new(), passwords: 0, earlier: Earlier::default() };
        let mut details = journal.details();
        let mut again = |row| -> Result<(Task, Timestamp), JobError> {
            let outcome = details.outcome(states, row)?.expect("a row that is pending has an outcome");
            let at = match outcome.verdict {
                Verdict::Retry { at } => at,
                Verdict::Final(_) | Verdict::Withdrawn | Verdict::Copy { .. } => now,
            };
            let task = Task {
                attempts: outcome.attempt,
                first_attempt_at: outcome.first_attempt_at,
                last_attempt_at: outcome.last_attempt_at,
                ..Task::fresh(row)
            };
            Ok((task, schedule.due(at, now)))
        };
        for (row, state) in states.iter() {
            match state {
                RowState::Untouched => unsent.fresh.push(row),
                RowState::Pending => unsent.tried.push(again(row)?),
                RowState::Final(disposition) => {
                    unsent.earlier.done += 1;
                    unsent.earlier.counts.add(disposition);
                }
                // `resolve_open_intents` has left none, and a damaged journal is refused.
                RowState::Open | RowState::Unknown => unsent.earlier.done += 1,
            }
        }
        // Passwords whose documents were accepted.
        for (row, state) in states.iter() {
            let is_accepted = state == RowState::Final(Disposition::Accepted);
            let Some(password) =
                states.run.password_of(row).filter(|_| is_accepted || documents_elsewhere.contains_key(&row))
            else {
                continue;
            };
            match states.state(password) {
                RowState::Untouched => unsent.fresh.push(password),
                RowState::Pending => unsent.tried.push(again(password)?),
                RowState::Final(_) | RowState::Open | RowState::Unknown => continue,
            }
            unsent.passwords += 1;
        }
        for row in states.waiting_copies() {
            let outcome = details.outcome(states, row)?;
            let sent_at = outcome.and_then(|outcome| outcome.last_attempt_at);
            unsent.tried.push((Task::copy(row, sent_at.unwrap_or(now)), now));
        }
        Ok(unsent)
    }

    /// Puts the rows into the only lane, or into the directory if each domain has its own next hop.
    pub(super) fn place<'a>(
        self,
        next_hops: &NextHops,
        domain: impl Fn(u32) -> &'a str,
        now: Timestamp,
    ) -> (Vec<Lane>, Directory) {
        let Some(Routed { site, limits, .. }) = next_hops.only_way() else {
            return (Vec::new(), Directory::new(self.fresh, self.tried, domain));
        };
        let mut lane = Lane::new(Arc::clone(site), *limits, None, now);
        lane.add(Segment::whole(self.fresh.into()));
        for (task, at) in self.tried {
            lane.put_off(task, at);
        }
        (vec![lane], Directory::empty())
    }
}
