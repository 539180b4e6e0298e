//! Serves lanes: composes ahead, opens and closes connections, gives up rows.

use std::time::Duration;

use super::{Dispatcher, MOST_IN_PREPARATION};
use crate::journal::{Outcome, Verdict};
use crate::mail::{Class, Disposition, Timestamp};
use crate::route::Schedule;
use crate::run::event::Action;
use crate::run::ids::LaneId;
use crate::run::lane::Lane;
use crate::run::limits::EnvelopeLimits;
use crate::run::task::Task;
use crate::smtp::ConnectionId;

/// Messages composed beyond the places of a lane, so that a free place never waits for a signature.
/// If many lanes are active, each has fewer.
const LOOK_AHEAD: usize = 64;
/// The most messages composed and not sent, over all lanes. Each lane has its share, so that none
/// can take all.
const MOST_IN_STOCK: usize = 4_096;
/// The most bytes of those messages, about.
const MOST_BYTES_IN_STOCK: usize = 64 << 20;
/// A message composed ahead should leave within about this time at the agreed rate.
const LOOK_AHEAD_TIME: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Looks at the lanes that changed or whose time has come.
    pub(super) fn serve_touched(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let touched = self.lanes.take_touched(now);
        for id in &touched {
            self.serve(*id, now, actions);
        }
        self.lanes.reuse(touched);
    }

    /// Serves one lane: gives up, composes, opens and closes connections, joins the rotation, sets
    /// its timer.
    pub(super) fn serve(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        self.give_up_unreachable(id, now, actions);
        let paused_until = self.paused_until(&self.lanes[id]);
        let lane = &mut self.lanes[id];
        let is_paused = paused_until.is_some_and(|until| now < until);
        lane.unstock(is_paused, now);
        if let Some(until) = paused_until.filter(|_| is_paused) {
            let schedule = &self.settings.schedule;
            let late = lane.take_late(until, |task| is_late(schedule, task, until));
            self.end_late(&late, now, actions);
        }
        let lane = &self.lanes[id];
        let is_blocked = is_paused || lane.unreachable_since().is_some();
        let has_work = lane.has_work(now);
        self.lanes.set_active(id, has_work && !is_blocked);
        if !is_paused {
            self.fill(id, now, actions);
            self.open(id, now, actions);
            if self.lanes[id].can_send(now) {
                self.lanes.join_rotation(id);
            }
        }
        let mut shares = self.providers.get(self.lanes[id].provider).is_some_and(|p| p.limits_connections());
        let mut most = usize::MAX;
        if self.seats.has_waiting() {
            shares = true;
            most = (self.seats.limit() / self.lanes.active().max(1)).max(1);
        }
        while let Some(connection) = self.lanes[id].to_close(most, shares && !has_work) {
            self.lanes[id].retire(connection);
            actions.push(Action::Close(connection));
        }
        let lane = &self.lanes[id];
        if lane.is_done() && !lane.limits.only_way {
            self.lanes.remove(id);
            return;
        }
        let wake_at = lane.wake_at(paused_until, self.settings.schedule.give_up_after(), now);
        let scans_at = self.scans.held_until(now).filter(|_| lane.waiting() > 0);
        self.lanes.set_timer(id, wake_at.into_iter().chain(scans_at).min());
    }

    /// How many rows of a lane may share a message.
    pub(super) fn envelope_limits(&self, lane: &Lane) -> EnvelopeLimits {
        let recipients = if self.settings.one_text { lane.recipients() } else { 1 };
        EnvelopeLimits { recipients, one_domain: lane.limits.one_domain }
    }

    /// How many messages a lane should have composed or in preparation.
    pub(super) fn stock(&self, lane: &Lane) -> usize {
        let active = self.lanes.active().max(1);
        let ahead = (LOOK_AHEAD * 4 / active).clamp(1, LOOK_AHEAD);
        let wanted = match self.settings.per_second {
            None => lane.all_places() + ahead,
            Some(per_second) => {
                let per_second = per_second / self.envelope_limits(lane).recipients as f64;
                let ahead = ((per_second * LOOK_AHEAD_TIME.as_secs_f64()) as usize).clamp(1, ahead);
                ahead + (per_second as usize).min(lane.all_places())
            }
        };
        let by_bytes = MOST_BYTES_IN_STOCK / self.bytes_each.max(1);
        // With few lanes this is enough to keep the connections busy.
        let share = (MOST_IN_STOCK.min(by_bytes) / active).max(1);
        wanted.min(share)
    }

    /// Hands rows of a lane that has room to `prepare`.
    pub(super) fn fill(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        if self.scans.held_until(now).is_some() {
            return;
        }
        let lane = &self.lanes[id];
        let (target, limits) = (self.stock(lane), self.envelope_limits(lane));
        let room = target.saturating_sub(lane.messages_in_stock(limits.recipients));
        // Whole batches while plenty is in stock; the last rows one by one.
        if room == 0 || (room < target / 4 && lane.has_ready()) {
            return;
        }
        let mut rows = room * limits.recipients;
        let free = MOST_IN_PREPARATION - self.preparing;
        if free < rows {
            self.hungry.push(id);
            // Whole messages only, not one for a few rows because there was room for a few.
            rows = free / limits.recipients * limits.recipients;
        }
        let mut tasks = self.lanes[id].start_preparing(rows, now);
        // Rates and other rows may hold a row back for longer than its schedule meant to.
        let schedule = &self.settings.schedule;
        let late: Vec<Task> = tasks.extract_if(.., |task| is_late(schedule, task, now)).collect();
        self.lanes[id].prepared(late.len());
        self.end_late(&late, now, actions);
        if !tasks.is_empty() {
            self.preparing += tasks.len();
            actions.push(Action::Prepare { lane: id, tasks, limits });
        }
    }

    /// Opens connections if messages wait without a place.
    pub(super) fn open(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        let lane = &mut self.lanes[id];
        let mut provider = self.providers.get(lane.provider);
        let by_provider = provider.as_ref().map_or(usize::MAX, |provider| provider.seats.left());
        let allowed = by_provider.min(self.seats.left());
        if allowed == 0 && lane.lacks_places() {
            match &mut provider {
                Some(provider) if by_provider == 0 => provider.seats.wait(id),
                Some(_) | None => self.seats.wait(id),
            }
            return;
        }
        for _ in 0..lane.openable(allowed, now) {
            let Some(source) = self.sources.choose(|source| lane.connections_from(source)) else { break };
            let connection = ConnectionId(self.next_connection);
            self.next_connection += 1;
            lane.opening(connection, source);
            if let Some(provider) = &mut provider {
                provider.seats.take();
            }
            self.seats.take();
            self.lane_of.insert(connection, id);
            actions.push(Action::Open { lane: id, connection, site: lane.site.clone(), source });
        }
    }

    /// Ends rows whose time is over. What their last attempts brought stays their result.
    fn end_late(&mut self, late: &[Task], now: Timestamp, actions: &mut Vec<Action>) {
        for task in late {
            if task.is_copy {
                let detail = "not archived: its time was over".to_owned();
                self.end_copy_unsent(task, detail, now, actions);
                continue;
            }
            self.count(task.row, Disposition::Deferred);
            actions.push(Action::Record(Outcome {
                first_attempt_at: task.first_attempt_at,
                last_attempt_at: task.last_attempt_at,
                ..Outcome::new(task.row, task.attempts, Verdict::Final(Disposition::Deferred), now)
            }));
        }
    }

    /// Rows of a lane that could not be reached for `give-up-after` are deferred.
    pub(super) fn give_up_unreachable(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        let give_up_after = self.settings.schedule.give_up_after();
        let lane = &mut self.lanes[id];
        // An open connection may still bring the first answer.
        if lane.unreachable_since().is_none_or(|since| now.since(since) < give_up_after)
            || lane.open_connections() > 0
        {
            return;
        }
        let why = lane.complaint().map_or(String::new(), |complaint| format!(": {complaint}"));
        let detail = format!("no connection for {}s{why}", give_up_after.as_secs());
        for task in lane.take_all() {
            let (deferred, class) = (Disposition::Deferred, Some(Class::Network));
            self.finish_unsent(task, deferred, class, detail.clone(), now, actions);
        }
    }
}

/// True when an attempt at `at` would come too late. A row that was never tried has all its time.
fn is_late(schedule: &Schedule, task: &Task, at: Timestamp) -> bool {
    task.first_attempt_at.is_some_and(|first| schedule.is_late(first, at))
}
