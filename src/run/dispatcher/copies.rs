//! The archive's copies: if the archive refuses one for now, it is sent again, as a message of its
//! own. The recipient, who has the message, is never mailed again for it.

use super::{Dispatcher, InFlight};
use crate::journal::{Outcome, Verdict};
use crate::mail::{Disposition, Reply, Timestamp};
use crate::route::Next;
use crate::run::event::Action;
use crate::run::judge::{Ending, judge};
use crate::run::task::Task;
use crate::smtp::{Command, Fate, Report};

impl Dispatcher {
    /// Puts the archive's copy of a message off if the archive refused it for now and somebody has
    /// the message. All rows that shared it have one copy, which goes with the row returned.
    pub(super) fn put_copy_off(
        &mut self,
        in_flight: &InFlight,
        fates: &[Fate],
        report: &Report,
        now: Timestamp,
    ) -> Option<u32> {
        let reply = report.archive.as_ref()?;
        if !is_transient(reply) {
            return None;
        }
        let first = fates.iter().position(Fate::is_accepted)?;
        let task = Task::copy(in_flight.tasks[first].row, report.started_at);
        let Next::At(at) = self.settings.schedule.next(task.row, 1, report.started_at, now) else {
            return None;
        };
        self.left += 1;
        self.lanes[in_flight.lane].put_off(task, at);
        Some(task.row)
    }

    /// A copy was sent again. What the archive says concerns nobody else: it slows no site down and
    /// stops no run.
    pub(super) fn on_copy(
        &mut self,
        in_flight: &InFlight,
        mut task: Task,
        fates: Vec<Fate>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(fate) = fates.into_iter().next() else { return };
        let lane = in_flight.lane;
        let mut judged = judge(&self.classifier, fate, self.lanes[lane].limits.only_way);
        if judged.complains && judged.reply.is_none() {
            let cause = judged.cause();
            let change = self.lanes[lane].complained(&cause, now);
            self.log_change(lane, change, &cause);
        }
        task.attempts = task.attempts.saturating_add(1);
        let next = match judged.ending {
            Ending::Final(_) => Next::GiveUp,
            Ending::TryAgain => {
                let sent_at = task.first_attempt_at.unwrap_or(now);
                self.settings.schedule.next(task.row, task.attempts.saturating_add(1), sent_at, now)
            }
        };
        if judged.ending == Ending::Final(Disposition::InDoubt) {
            judged.detail = judged.detail.map(|detail| format!("in doubt: {detail}"));
        }
        let ended = match next {
            Next::At(at) => {
                self.lanes[lane].put_off(task, at);
                false
            }
            Next::GiveUp => {
                self.left -= 1;
                true
            }
        };
        actions.push(Action::Record(Outcome {
            connection: Some(in_flight.connection),
            archive: judged.reply,
            detail: judged.detail,
            ..Outcome::new(task.row, task.attempts, Verdict::Copy { ended }, now)
        }));
    }

    /// Ends a copy without another attempt.
    pub(super) fn end_copy_unsent(
        &mut self,
        task: &Task,
        detail: String,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.left -= 1;
        actions.push(Action::Record(Outcome {
            detail: Some(detail),
            ..Outcome::new(task.row, task.attempts, Verdict::Copy { ended: true }, now)
        }));
    }
}

/// RFC 5321 §4.5.3.1.10: 552 to RCPT means 452, too many recipients.
fn is_transient(reply: &Reply) -> bool {
    let (reply, to) = (reply.clone(), Command::Rcpt);
    Fate::Replied { reply, to }.is_transient()
}
