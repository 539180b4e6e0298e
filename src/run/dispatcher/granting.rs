//! Grants messages: as many as lanes, providers, sources and the pacer admit.

use std::time::Duration;

use super::{Dispatcher, InFlight};
use crate::journal::Intent;
use crate::mail::Timestamp;
use crate::run::event::{Action, Granted};
use crate::run::lane::Ready;
use crate::run::picker::{Pick, Picker};
use crate::run::task::{Composed, Task};
use crate::run_dir::StopReason;
use crate::smtp::Transaction;

/// A ledger that fails for so long stops the run: without it nothing may leave.
const LEDGER_PATIENCE: Duration = Duration::from_secs(30);
/// If all get the same text, admissions are gathered for so long, because fewer and larger messages
/// are cheaper for everybody. It is less than the pacer saves up, so the pace is kept.
const GATHER: Duration = Duration::from_millis(150);

impl Dispatcher {
    /// Grants as many ready messages as lanes, providers, sources and the pacer admit, lane by lane
    /// in turn.
    pub(super) fn grant(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.ask_pacer_at = None;
        if self.lanes.rotation_is_empty() {
            return self.return_unused(now, actions);
        }
        if let Some(until) = self.gather_until.filter(|until| now < *until) {
            self.ask_pacer_at = Some(until);
            return;
        }
        let most = self.pacer.as_mut().map_or(u64::MAX, |pacer| pacer.most(now).saturating_add(1));
        let to_come = ((self.to_come() - self.rows_in_flight as u64) as f64 * self.cost_each).ceil() as u64;
        let Self { lanes, providers, sources, pacer, .. } = self;
        let cost = |bytes| pacer.as_ref().map_or(1, |pacer| pacer.cost(bytes));
        let mut picker = Picker { lanes, providers, sources, now };
        let mut picks = picker.pick(usize::try_from(most).unwrap_or(usize::MAX), cost, actions);
        let valid_until = match &mut self.pacer {
            None => None,
            Some(_) if picks.is_empty() => None,
            Some(pacer) => {
                // Every recipient counts, whether the message is shared or not.
                let picked: u64 = picks.iter().map(Pick::cost).sum();
                pacer.expect(to_come);
                let admission = pacer.admit_whole(now, picked, picks[0].each);
                if let Some(request) = admission.request {
                    actions.push(Action::Reserve(request));
                }
                let admitted = admission.count;
                if admitted < picked || !picker.lanes.rotation_is_empty() {
                    self.ask_pacer_at = Some(admission.ask_again_at);
                    if self.settings.one_text && admitted > 0 {
                        self.gather_until = Some(now + GATHER);
                    }
                }
                pacer.put_back(admitted - picker.keep(&mut picks, admitted));
                Some(admission.valid_until)
            }
        };
        let granted: Vec<_> = picks.into_iter().map(|pick| self.grant_one(&pick, now, valid_until)).collect();
        if !granted.is_empty() {
            actions.push(Action::Grant(granted));
        }
    }

    /// With nothing ready, returns reserved capacity to the ledger once its time is over.
    pub(super) fn return_unused(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(pacer) = &mut self.pacer {
            let admission = pacer.admit(now, 0);
            actions.extend(admission.request.map(Action::Reserve));
            self.ask_pacer_at = Some(admission.ask_again_at);
        }
    }

    pub(super) fn grant_one(
        &mut self,
        pick: &Pick,
        now: Timestamp,
        valid_until: Option<Timestamp>,
    ) -> Granted {
        let Pick { lane: id, place, .. } = *pick;
        let lane = &mut self.lanes[id];
        let Ready { tasks, composed: Composed { envelope, message }, .. } = lane.grant(place.recipients);
        self.lanes.touch(id);
        let message_id = message.message_id.clone();
        let intent = |task: &Task| Intent {
            row: task.row,
            attempt: task.attempts.saturating_add(1),
            at: now,
            connection: place.number,
            message_id: message_id.clone(),
            is_copy: task.is_copy,
        };
        let intents = tasks.iter().map(intent).collect();
        let number = self.next_transaction;
        self.next_transaction += 1;
        self.rows_in_flight += tasks.len();
        let bytes = u32::try_from(message.bytes).unwrap_or(u32::MAX);
        let in_flight =
            InFlight { tasks, lane: id, connection: place.number, message_id, bytes, copied_by: None };
        self.in_flight.insert(number, in_flight);
        let transaction = Transaction { id: number, envelope, message, valid_until };
        Granted { connection: place.connection, intents, transaction }
    }

    pub(super) fn on_ledger_failed(&mut self, problem: &str, now: Timestamp) {
        tracing::warn!("{problem}");
        if let Some(pacer) = &mut self.pacer {
            pacer.failed(now);
        }
        let since = *self.ledger_fails_since.get_or_insert(now);
        if now.since(since) >= LEDGER_PATIENCE {
            self.drain(StopReason::LedgerFailed { detail: problem.to_owned() }, now);
        }
    }
}
