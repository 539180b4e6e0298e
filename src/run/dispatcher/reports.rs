//! What the end of a transaction means: for each of its rows, for its site, and for the run.

use super::{Dispatcher, InFlight};
use crate::journal::{Outcome, Verdict};
use crate::mail::{Disposition, Timestamp};
use crate::route::Next;
use crate::run::event::Action;
use crate::run::ids::LaneId;
use crate::run::judge::{Ending, Judged, Pause, TooMany, judge, too_many};
use crate::run::task::Task;
use crate::run_dir::StopReason;
use crate::smtp::{ConnectionId, Fate, Report};

impl Dispatcher {
    pub(super) fn on_undelivered(
        &mut self,
        id: ConnectionId,
        transaction: u64,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if let Some(in_flight) = self.end_transaction(id, transaction) {
            self.withdraw(&in_flight, &in_flight.tasks, now, actions);
        }
    }

    /// The transaction is over: its place on the connection is free.
    fn end_transaction(&mut self, id: ConnectionId, transaction: u64) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(&transaction)?;
        self.rows_in_flight -= in_flight.tasks.len();
        self.lanes[in_flight.lane].end_granted(id);
        self.lanes.touch(in_flight.lane);
        Some(in_flight)
    }

    /// The intents of these rows are void: nothing went out for them, and they wait for their turn
    /// again.
    fn withdraw(&mut self, in_flight: &InFlight, tasks: &[Task], now: Timestamp, actions: &mut Vec<Action>) {
        for task in tasks.iter().filter(|task| !task.is_copy) {
            let attempt = task.attempts.saturating_add(1);
            let mut outcome = Outcome::new(task.row, attempt, Verdict::Withdrawn, now);
            outcome.connection = Some(in_flight.connection);
            actions.push(Action::Record(outcome));
        }
        self.lanes[in_flight.lane].give_back(tasks.iter().copied());
        self.lanes.touch(in_flight.lane);
    }

    pub(super) fn on_report(
        &mut self,
        id: ConnectionId,
        mut report: Report,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut in_flight) = self.end_transaction(id, report.id) else { return };
        if let [Fate::NotStarted { .. }, ..] = report.fates[..] {
            return self.withdraw(&in_flight, &in_flight.tasks, now, actions);
        }
        if report.fates.iter().any(Fate::was_begun) {
            self.lanes[in_flight.lane].proven(id);
        }
        let fates = std::mem::take(&mut report.fates);
        if let [task @ Task { is_copy: true, .. }] = in_flight.tasks[..] {
            return self.on_copy(&in_flight, task, fates, now, actions);
        }
        let too_many = too_many(&fates);
        if let Some(too_many) = &too_many {
            self.send_again_at_once(&in_flight, too_many, now, actions);
        }
        let lane_id = in_flight.lane;
        let only_way = self.lanes[lane_id].limits.only_way;
        in_flight.copied_by = self.put_copy_off(&in_flight, &fates, &report, now);
        let (mut accepted, mut complaint) = (0, None);
        for (at, fate) in fates.into_iter().enumerate() {
            if too_many.as_ref().is_some_and(|too_many| too_many.beyond.contains(&at)) {
                continue;
            }
            let judged = judge(&self.classifier, fate, only_way);
            if let Some(pause) = judged.pause {
                self.pause(lane_id, pause, &judged.cause(), now);
            }
            accepted += usize::from(judged.ending == Ending::Final(Disposition::Accepted));
            if judged.complains {
                // A lost connection or a reply that brings a pause says nothing of a rate.
                let of_rate = judged.reply.is_some() && judged.pause.is_none();
                complaint.get_or_insert_with(|| (judged.cause(), of_rate));
            }
            self.conclude(&in_flight, at, judged, &report, now, actions);
        }
        // However many recipients it had, a transaction is one sign of how much its site can take.
        if let Some((cause, of_rate)) = complaint
            && !self.lanes[lane_id].has_slowed_since(report.started_at)
        {
            let lane = &mut self.lanes[lane_id];
            if of_rate && let Some(rate) = lane.slow_down(now) {
                tracing::info!(site = lane.site.name, "slowed down to {rate:.1} messages a second: {cause}");
            }
            let change = lane.complained(&cause, now);
            self.log_change(lane_id, change, &cause);
        }
        if accepted > 0 {
            let lane = &mut self.lanes[lane_id];
            if lane.succeeded(accepted, report.started_at, now) {
                tracing::debug!(site = lane.site.name, connections = lane.window(), "sped up");
            }
            if let Some(rate) = lane.explain(report.started_at, now) {
                let cause = lane.complaint().unwrap_or_default();
                tracing::info!(site = lane.site.name, "slowed down to {rate:.1} messages a second: {cause}");
            }
        }
    }

    /// Recipients that were too many for one message get the next one, and the lane makes no larger
    /// ones.
    fn send_again_at_once(
        &mut self,
        in_flight: &InFlight,
        too_many: &TooMany,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let beyond: Vec<Task> = too_many.beyond.iter().map(|at| in_flight.tasks[*at]).collect();
        self.withdraw(in_flight, &beyond, now, actions);
        let lane = &mut self.lanes[in_flight.lane];
        if lane.limit_recipients(too_many.limit) {
            let (site, recipients) = (&lane.site.name, lane.recipients());
            tracing::info!(site, recipients, "accepts no more recipients in one message");
        }
    }

    /// Ends the attempt for the row of the recipient `at`.
    fn conclude(
        &mut self,
        in_flight: &InFlight,
        at: usize,
        judged: Judged,
        report: &Report,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Report { started_at, finished_at, .. } = *report;
        let InFlight { tasks, lane, connection, message_id, bytes, copied_by } = in_flight;
        let mut task = tasks[at];
        let row = task.row;
        task.attempts = task.attempts.saturating_add(1);
        let first_attempt_at = *task.first_attempt_at.get_or_insert(started_at);
        task.last_attempt_at = Some(started_at);
        let paused_until = self.paused_until(&self.lanes[*lane]);
        let verdict = match judged.ending {
            Ending::Final(disposition) => Verdict::Final(disposition),
            // Rows that shared a message wait for the same time, so that they share the next one
            // too.
            Ending::TryAgain => {
                let attempt = task.attempts.saturating_sub(u16::from(task.early));
                match self.settings.schedule.next(tasks[0].row, attempt, first_attempt_at, now) {
                    // Nothing leaves before the pause is over, and then its time may be over too.
                    Next::At(at)
                        if !self
                            .settings
                            .schedule
                            .is_late(first_attempt_at, paused_until.map_or(at, |until| at.max(until))) =>
                    {
                        Verdict::Retry { at }
                    }
                    Next::At(_) | Next::GiveUp => Verdict::Final(Disposition::Deferred),
                }
            }
        };
        if let (true, Some(class)) = (judged.suppress, judged.class) {
            actions.push(Action::Suppress(self.row_of_plan(row), class));
        }
        match verdict {
            Verdict::Final(disposition) => {
                self.count(row, disposition);
                if disposition == Disposition::Accepted {
                    self.queue_password(row, *lane);
                }
            }
            Verdict::Retry { at } => {
                self.counts.retries += 1;
                if judged.too_fast {
                    self.lanes[*lane].put_off_for_speed(task, at);
                } else {
                    self.lanes[*lane].put_off(task, at);
                }
            }
            Verdict::Withdrawn | Verdict::Copy { .. } => {}
        }
        let outcome = Outcome {
            connection: Some(*connection),
            first_attempt_at: Some(first_attempt_at),
            last_attempt_at: Some(started_at),
            class: judged.class,
            reply: judged.reply,
            latency_us: Some(u64::try_from(finished_at.since(started_at).as_micros()).unwrap_or(u64::MAX)),
            bytes: Some(*bytes),
            message_id: Some(message_id.clone()),
            detail: judged.detail,
            archive: report.archive.clone(),
            copied_by: (*copied_by).filter(|_| verdict == Verdict::Final(Disposition::Accepted)),
            ..Outcome::new(row, task.attempts, verdict, finished_at)
        };
        let refused = judged.stops.then(|| StopReason::RefusedByServer {
            site: Some(self.lanes[*lane].site.name.clone()),
            reply: outcome.reply.as_ref().map_or(String::new(), ToString::to_string),
        });
        if let Some(reason) = refused.or_else(|| self.breaker.observe(&outcome)) {
            self.drain(reason, now);
        }
        actions.push(Action::Record(outcome));
    }

    /// Pauses a site, or its whole provider.
    pub(super) fn pause(&mut self, id: LaneId, pause: Pause, cause: &str, now: Timestamp) {
        let lane = &mut self.lanes[id];
        lane.note(cause);
        let (Pause::Site(time) | Pause::Provider(time)) = pause;
        let until = now + time;
        match self.providers.get(lane.provider) {
            Some(provider) if matches!(pause, Pause::Provider(_)) => {
                if provider.pause(until) {
                    let site = &lane.site.name;
                    tracing::info!(provider = provider.name(), site, %until, "paused: {cause}");
                }
            }
            Some(_) | None => {
                if lane.pause(until) {
                    let site = &lane.site.name;
                    tracing::info!(site, %until, "paused: {cause}");
                }
            }
        }
    }
}
