//! Owns the queues and the counts of a run, and decides: which rows to compose, how many messages leave now and over
//! which connection, what an answer means for its row.
//!
//! It does no I/O and reads no clock: [`Dispatcher::handle`] takes one event and the time, and says what is to be done.
//! So a whole run can be tested in simulated time.

mod reports;

use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::concurrency::Change;
use super::directory::{Directory, DomainId};
use super::event::{
    Action, Composed, Event, Granted, LaneId, NotComposed, Prepared, Routed, Shutdown, Task, Together,
    Trouble, Unroutable,
};
use super::grant::{Pick, Picker};
use super::judge::pause_of;
use super::lane::{Lane, Ready};
use super::lanes::Lanes;
use super::provider::Providers;
use super::source::Sources;
use crate::journal::{Intent, Outcome, Verdict};
use crate::mail::{Class, Disposition, Timestamp};
use crate::pacing::Pacer;
use crate::route::{Classifier, Schedule};
use crate::smtp::{ConnectionId, Transaction};

/// Messages composed ahead of all lanes' places together, so that a place that comes free never waits for a signature.
/// Many lanes share them.
const LOOK_AHEAD: usize = 64;
/// A ledger that fails for so long ends the run: without it nothing may leave.
const LEDGER_PATIENCE: Duration = Duration::from_secs(30);
/// Rows in preparation over all lanes: the places of the channel that they come back through.
pub const MOST_IN_PREPARATION: usize = 4_096;
/// Messages composed and not sent, over all lanes; each lane may have its share, so that none can take it all.
const MOST_IN_STOCK: usize = 4_096;
/// Bytes of those messages, about.
const MOST_BYTES_IN_STOCK: usize = 64 << 20;
/// What a message is taken to weigh before the first one was seen: a few of the largest fit.
const FIRST_GUESS: usize = 4 << 20;
/// A message composed ahead should leave within about this time at the agreed rate.
const LOOK_AHEAD_TIME: Duration = Duration::from_secs(5);
/// With one text for all, what the pacer admits is gathered for so long, since fewer and larger messages serve everybody:
/// less than the pacer saves up, so that the pace is kept all the same.
const GATHER: Duration = Duration::from_millis(150);
/// Lanes with something to do, above which no further domain is looked up. Lanes that are held back do not count.
const MOST_ACTIVE_LANES: usize = 1_024;
/// Domains that are looked up at the same time.
const MOST_LOOKUPS: usize = 64;

/// What a run was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When a transient failure is tried again.
    pub schedule: Schedule,
    /// No message starts at or after this time.
    pub not_after: Option<Timestamp>,
    /// How long a drain may take.
    pub drain: Duration,
    /// The agreed rate in messages a second; `None` when unpaced.
    pub per_second: Option<f64>,
    /// All get the same text: a message is for as many rows of a lane as its site takes recipients.
    pub one_text: bool,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Sending.
    Running,
    /// Nothing new is started; what is under way may end until then.
    Draining { reason: String, until: Timestamp },
    /// Over: every row has its outcome.
    Finished,
    /// Over before every row had its outcome; `at_once` without waiting for what was under way.
    Stopped { reason: String, at_once: bool },
}

/// A transaction under way.
#[derive(Debug)]
struct UnderWay {
    /// The rows that it is for, in the order of its recipients.
    tasks: Vec<Task>,
    lane: LaneId,
    /// The journal's number of the connection.
    connection: u32,
    message_id: String,
    bytes: u32,
}

/// Counts of a run that goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub accepted: u64,
    pub bounced: u64,
    pub deferred: u64,
    pub in_doubt: u64,
    pub suppressed: u64,
    pub render_failed: u64,
    /// Transmissions that will be repeated.
    pub retries: u64,
}

/// What a dispatcher is made of.
#[derive(Debug)]
pub struct Parts {
    /// What the run was told.
    pub settings: Settings,
    /// The lanes that are known from the start, with their rows.
    pub lanes: Vec<Lane>,
    /// The domains whose lane is to be found.
    pub directory: Directory,
    /// Where mail leaves from.
    pub sources: Sources,
    /// Keeps the agreement; without it messages leave as fast as they can.
    pub pacer: Option<Pacer>,
    /// Knows what replies mean.
    pub classifier: Classifier,
    /// Stops the run when its outcomes say so.
    pub breaker: Breaker,
}

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    settings: Settings,
    lanes: Lanes,
    directory: Directory,
    providers: Providers,
    sources: Sources,
    pacer: Option<Pacer>,
    classifier: Classifier,
    breaker: Breaker,
    lane_of: FxHashMap<ConnectionId, LaneId>,
    /// Transactions by their numbers.
    under_way: FxHashMap<u64, UnderWay>,
    /// Rows that they are for.
    rows_under_way: usize,
    next_transaction: u64,
    /// Rows that have no outcome yet.
    left: u64,
    /// Rows that are being composed.
    preparing: usize,
    /// Lanes that wanted rows prepared when too many were in preparation.
    hungry: Vec<LaneId>,
    looking_up: usize,
    /// The size of a message, about.
    bytes_each: usize,
    next_connection: u64,
    phase: Phase,
    counts: Counts,
    ask_pacer_at: Option<Timestamp>,
    /// See [`GATHER`].
    gather_until: Timestamp,
    ledger_fails_since: Option<Timestamp>,
}

impl Dispatcher {
    /// A dispatcher that has done nothing yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, lanes: known, directory, sources, pacer, classifier, breaker } = parts;
        let rows = |lane: &Lane| lane.waiting() as u64;
        let left = known.iter().map(rows).sum::<u64>() + directory.rows();
        let mut lanes = Lanes::default();
        for lane in known {
            lanes.add(lane);
        }
        Self {
            settings,
            lanes,
            directory,
            providers: Providers::default(),
            sources,
            pacer,
            classifier,
            breaker,
            lane_of: FxHashMap::default(),
            under_way: FxHashMap::default(),
            rows_under_way: 0,
            next_transaction: 0,
            left,
            preparing: 0,
            hungry: Vec::new(),
            looking_up: 0,
            bytes_each: FIRST_GUESS,
            next_connection: 1,
            phase: Phase::Running,
            counts: Counts::default(),
            ask_pacer_at: None,
            gather_until: Timestamp(i64::MIN),
            ledger_fails_since: None,
        }
    }

    /// How far the run is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// True when there is nothing left to do.
    pub fn is_over(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Draining { .. } => false,
            Phase::Finished | Phase::Stopped { .. } => true,
        }
    }

    /// What has become of the rows since this dispatcher began.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The lanes, for reports.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Until when a lane gets nothing: its own pause or its provider's.
    pub fn paused_until(&self, lane: &Lane) -> Timestamp {
        lane.paused_until.max(self.providers.paused_until(lane.provider))
    }

    /// Rows whose lane is not known yet.
    pub fn unrouted(&self) -> u64 {
        self.directory.rows()
    }

    /// For each local address, what is left of what it might carry.
    pub fn allowances(&self) -> Vec<Option<u64>> {
        self.sources.allowances()
    }

    /// Rows whose message is handed to a connection and not yet answered.
    pub fn under_way(&self) -> usize {
        self.rows_under_way
    }

    /// Takes in one event. Call [`Self::advance`] after the last one of a group.
    pub fn handle(&mut self, event: Event, now: Timestamp, actions: &mut Vec<Action>) {
        match event {
            Event::Prepared(prepared) => self.on_prepared(prepared, now, actions),
            Event::Opened(id, number) => self.lane(id).opened(id, number),
            Event::NotOpened(id, trouble) => self.on_not_opened(id, &trouble, now, actions),
            Event::Reported(id, report) => self.on_report(id, report, now, actions),
            Event::Closed(id) => {
                self.lane(id).closed(id);
                self.forget_connection(id);
            }
            Event::Undelivered(id, transaction) => self.on_undelivered(id, transaction, now, actions),
            Event::Routed(domain, route) => self.on_routed(domain, route, now, actions),
            Event::Reserved(reservation) => {
                self.ledger_fails_since = None;
                if let Some(pacer) = &mut self.pacer {
                    pacer.reserved(now, reservation);
                    if let Some(limits) = pacer.newly_stricter() {
                        tracing::warn!(
                            "another campaign on this capacity account names other limits; the strictest hold: {} an hour, {} in \
                             five minutes",
                            limits.per_hour,
                            limits.per_slot
                        );
                    }
                }
            }
            Event::LedgerFailed(problem) => self.on_ledger_failed(&problem, now),
            Event::Shutdown(Shutdown::Drain, reason) => self.drain(reason, now),
            Event::Shutdown(Shutdown::Now, reason) => self.phase = Phase::Stopped { reason, at_once: true },
            Event::Tick => {}
        }
    }

    /// Moves the run on after events were taken in: looks up, fills, opens, grants, ends.
    pub fn advance(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.phase == Phase::Running && self.settings.not_after.is_some_and(|end| now >= end) {
            self.drain("the time given with --not-after is over".into(), now);
        }
        if self.sources.are_spent() && self.left > self.rows_under_way as u64 {
            self.drain("the local addresses have had what a day of their warm-up allows".into(), now);
        }
        if self.phase == Phase::Running {
            self.look_up(now, actions);
            self.serve_touched(now, actions);
            self.grant(now, actions);
            // Lanes that gave something away are filled again.
            self.serve_touched(now, actions);
        }
        self.end(now, actions);
    }

    /// When [`Self::advance`] is to be called again even if nothing happens.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.phase {
            Phase::Draining { until, .. } => Some(*until),
            Phase::Finished | Phase::Stopped { .. } => None,
            Phase::Running => {
                let room = self.looking_up < MOST_LOOKUPS && self.lanes.active() < MOST_ACTIVE_LANES;
                let lookup = self.directory.wake_at().filter(|_| room);
                let times = [self.settings.not_after, lookup, self.lanes.wake_at(now), self.ask_pacer_at];
                times.into_iter().flatten().min()
            }
        }
    }

    /// The lane of a connection, which changes.
    fn lane(&mut self, id: ConnectionId) -> &mut Lane {
        let lane = *self.lane_of.get(&id).expect("a connection is in its lane until it is closed");
        self.lanes.touch(lane);
        &mut self.lanes[lane]
    }

    fn forget_connection(&mut self, id: ConnectionId) {
        if let Some(lane) = self.lane_of.remove(&id)
            && let Some(provider) = self.providers.get(self.lanes[lane].provider)
        {
            // The place goes to whoever waits for it; a lane that is gone meanwhile does not mind being looked at.
            let next = provider.closed();
            self.lanes.touch(lane);
            next.into_iter().for_each(|next| self.lanes.touch(next));
        }
    }

    fn drain(&mut self, reason: String, now: Timestamp) {
        if self.phase == Phase::Running {
            self.phase = Phase::Draining { reason, until: now + self.settings.drain };
        }
    }

    /// Looks up further domains while there are not enough lanes at work.
    fn look_up(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        while self.looking_up < MOST_LOOKUPS && self.lanes.active() + self.looking_up < MOST_ACTIVE_LANES {
            let Some((domain, row)) = self.directory.next(now) else { break };
            self.looking_up += 1;
            actions.push(Action::LookUp(domain, row));
        }
    }

    fn on_routed(
        &mut self,
        domain: DomainId,
        route: Result<Routed, Unroutable>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.looking_up -= 1;
        let unroutable = match route {
            Ok(routed) => {
                let id = match self.lanes.of_site(&routed.site.key) {
                    Some(id) => id,
                    None => {
                        let provider =
                            routed.provider.as_ref().map(|limits| self.providers.meet(limits, now));
                        self.lanes.add(Lane::new(routed.site, routed.limits, provider, now))
                    }
                };
                let taken = self.directory.take(domain);
                let lane = &mut self.lanes[id];
                lane.add(taken.fresh);
                for (task, at) in taken.tried {
                    lane.put_off(task, at);
                }
                self.lanes.touch(id);
                return;
            }
            Err(unroutable) => unroutable,
        };
        let give_up_after = self.settings.schedule.give_up_after();
        if !unroutable.permanent && self.directory.put_off(domain, now, give_up_after) {
            tracing::debug!("{}", unroutable.text);
            return;
        }
        let disposition = if unroutable.permanent { Disposition::Bounced } else { Disposition::Deferred };
        for task in self.directory.take(domain).into_tasks() {
            if unroutable.suppress {
                actions.push(Action::Suppress(task.row, unroutable.class));
            }
            let text = unroutable.text.clone();
            self.finish_unsent(task, disposition, Some(unroutable.class), text, now, actions);
        }
    }

    /// Looks at the lanes that changed or whose time has come.
    fn serve_touched(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let touched = self.lanes.take_touched(now);
        for id in &touched {
            self.serve(*id, now, actions);
        }
        self.lanes.reuse(touched);
    }

    /// Moves one lane on: gives up, composes, opens and closes connections, joins the rotation, sets its timer.
    fn serve(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        self.give_up_unreachable(id, now, actions);
        let paused_until = self.paused_until(&self.lanes[id]);
        let lane = &mut self.lanes[id];
        lane.take_back_ready(now, now < paused_until);
        let is_blocked = now < paused_until || lane.unreachable_since.is_some();
        let has_work = lane.has_due(now) || !lane.ready.is_empty() || lane.preparing > 0;
        self.lanes.set_active(id, has_work && !is_blocked);
        if now >= paused_until {
            self.fill(id, now, actions);
            self.open(id, now, actions);
            if self.lanes[id].could_go(now) > 0 {
                self.lanes.join_rotation(id);
            }
        }
        let shares = self.providers.get(self.lanes[id].provider).is_some_and(|p| p.limits_connections());
        while let Some(connection) = self.lanes[id].to_close(shares && !has_work) {
            self.lanes[id].retire(connection);
            actions.push(Action::Close(connection));
        }
        let lane = &self.lanes[id];
        if lane.is_done() && !lane.limits.only_way {
            self.lanes.remove(id);
            return;
        }
        let wake_at = lane.wake_at(now, paused_until, self.settings.schedule.give_up_after());
        self.lanes.set_timer(id, wake_at);
    }

    /// Which rows of a lane share a message.
    fn together(&self, lane: &Lane) -> Together {
        let most = if self.settings.one_text { lane.recipients() } else { 1 };
        Together { most, one_domain: lane.limits.one_domain }
    }

    /// How many messages a lane should have composed or in preparation.
    fn stock(&self, lane: &Lane) -> usize {
        let active = self.lanes.active().max(1);
        let ahead = (LOOK_AHEAD * 4 / active).clamp(1, LOOK_AHEAD);
        let wanted = match self.settings.per_second {
            None => lane.all_places() + ahead,
            Some(per_second) => {
                let per_second = per_second / self.together(lane).most as f64;
                let ahead = ((per_second * LOOK_AHEAD_TIME.as_secs_f64()) as usize).clamp(1, ahead);
                ahead + (per_second as usize).min(lane.all_places())
            }
        };
        let by_bytes = MOST_BYTES_IN_STOCK / self.bytes_each.max(1);
        // At least what keeps the connections busy, where there are few lanes.
        let share = (MOST_IN_STOCK.min(by_bytes) / active).max(1);
        wanted.min(share)
    }

    /// Hands rows of a lane that has room to `prepare`.
    fn fill(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        let lane = &self.lanes[id];
        let (target, together) = (self.stock(lane), self.together(lane));
        let room = target.saturating_sub(lane.ready.len() + lane.preparing.div_ceil(together.most));
        // Whole batches while there is plenty in stock; the last rows one by one.
        if room == 0 || (room < target / 4 && !lane.ready.is_empty()) {
            return;
        }
        let mut rows = room * together.most;
        let free = MOST_IN_PREPARATION - self.preparing;
        if free < rows {
            self.hungry.push(id);
            // No message for a few because there was room for a few.
            rows = free / together.most * together.most;
        }
        let lane = &mut self.lanes[id];
        let tasks: Vec<Task> = std::iter::from_fn(|| lane.next(now)).take(rows).collect();
        if !tasks.is_empty() {
            lane.preparing += tasks.len();
            self.preparing += tasks.len();
            actions.push(Action::Prepare { lane: id, tasks, together });
        }
    }

    /// Opens connections where messages wait without a place.
    fn open(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        let lane = &mut self.lanes[id];
        let mut provider = self.providers.get(lane.provider);
        let allowed = provider.as_ref().map_or(usize::MAX, |provider| provider.connections_left());
        if allowed == 0
            && lane.lacks_places()
            && let Some(provider) = &mut provider
        {
            provider.wait(id);
            return;
        }
        for _ in 0..lane.to_open(now, allowed) {
            let Some(source) = self.sources.choose(|source| lane.connections_from(source)) else { break };
            let connection = ConnectionId(self.next_connection);
            self.next_connection += 1;
            lane.opening(connection, source);
            if let Some(provider) = &mut provider {
                provider.opening();
            }
            self.lane_of.insert(connection, id);
            actions.push(Action::Open { lane: id, connection, site: lane.site.clone(), source });
        }
    }

    /// Lets as many ready messages go as lanes, providers, sources and the pacer admit, lane by lane in turn.
    fn grant(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.ask_pacer_at = None;
        if self.lanes.rotation_is_empty() {
            return self.return_unused(now, actions);
        }
        if now < self.gather_until {
            self.ask_pacer_at = Some(self.gather_until);
            return;
        }
        let most = self.pacer.as_mut().map_or(u64::MAX, |pacer| pacer.most(now).saturating_add(1));
        let Self { lanes, providers, sources, .. } = self;
        let mut picker = Picker { lanes, providers, sources, now };
        let mut picks = picker.pick(usize::try_from(most).unwrap_or(usize::MAX), actions);
        let valid_until = match &mut self.pacer {
            None => Timestamp(i64::MAX),
            Some(_) if picks.is_empty() => Timestamp(i64::MAX),
            Some(pacer) => {
                // Every message to a recipient counts, shared with others or not.
                let picked: usize = picks.iter().map(|pick| pick.place.recipients).sum();
                pacer.expect(self.left - self.rows_under_way as u64);
                let admission = pacer.admit(now, picked as u64);
                if let Some(request) = admission.request {
                    actions.push(Action::Reserve(request));
                }
                let admitted = usize::try_from(admission.count).unwrap_or(usize::MAX);
                if admitted < picked || !picker.lanes.rotation_is_empty() {
                    self.ask_pacer_at = Some(admission.ask_again_at);
                    if self.settings.one_text && admitted > 0 {
                        self.gather_until = now + GATHER;
                    }
                }
                picker.keep(&mut picks, admitted);
                admission.valid_until
            }
        };
        let granted: Vec<_> = picks.into_iter().map(|pick| self.grant_one(&pick, now, valid_until)).collect();
        if !granted.is_empty() {
            actions.push(Action::Grant(granted));
        }
    }

    /// With nothing ready, what was reserved goes back to the ledger as soon as its time is over.
    fn return_unused(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(pacer) = &mut self.pacer {
            let admission = pacer.admit(now, 0);
            actions.extend(admission.request.map(Action::Reserve));
            self.ask_pacer_at = Some(admission.ask_again_at);
        }
    }

    fn grant_one(&mut self, pick: &Pick, now: Timestamp, valid_until: Timestamp) -> Granted {
        let Pick { lane: id, place } = *pick;
        let lane = &mut self.lanes[id];
        let Ready { tasks, composed: Composed { envelope, message }, .. } = lane.take_ready(place.recipients);
        lane.granted += 1;
        self.lanes.touch(id);
        let message_id = message.message_id.clone();
        let intent = |task: &Task| Intent {
            row: task.row,
            attempt: task.attempts.saturating_add(1),
            at: now,
            connection: place.number,
            message_id: message_id.clone(),
        };
        let intents = tasks.iter().map(intent).collect();
        let number = self.next_transaction;
        self.next_transaction += 1;
        self.rows_under_way += tasks.len();
        let bytes = u32::try_from(message.bytes).unwrap_or(u32::MAX);
        let under_way = UnderWay { tasks, lane: id, connection: place.number, message_id, bytes };
        self.under_way.insert(number, under_way);
        let transaction = Transaction { id: number, envelope, message, valid_until };
        Granted { connection: place.connection, intents, transaction }
    }

    fn on_prepared(&mut self, prepared: Prepared, now: Timestamp, actions: &mut Vec<Action>) {
        let Prepared { tasks, lane: id, at, message } = prepared;
        self.preparing -= tasks.len();
        for hungry in self.hungry.drain(..) {
            self.lanes.touch(hungry);
        }
        self.lanes.touch(id);
        let lane = &mut self.lanes[id];
        lane.preparing -= tasks.len();
        match message {
            Ok(composed) => {
                // A running mean, as whole numbers go.
                self.bytes_each = (self.bytes_each * 15 + composed.message.own_bytes()) / 16;
                lane.ready.push_back(Ready { tasks, composed, at });
            }
            Err(NotComposed::RenderFailed(detail)) => {
                for task in tasks {
                    self.finish_unsent(task, Disposition::RenderFailed, None, detail.clone(), now, actions);
                }
            }
            Err(NotComposed::Suppressed(detail)) => {
                for task in tasks {
                    self.finish_unsent(task, Disposition::Suppressed, None, detail.clone(), now, actions);
                }
            }
            Err(NotComposed::Stop(reason)) => {
                lane.give_back(tasks);
                self.drain(reason, now);
            }
        }
    }

    fn on_not_opened(
        &mut self,
        id: ConnectionId,
        trouble: &Trouble,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let lane = self.lane(id);
        lane.complaint = Some(trouble.text.clone());
        if lane.not_opened(id, now) {
            tracing::warn!(site = lane.site.name, "not reachable: {}", trouble.text);
        } else {
            tracing::debug!(connection = id.0, "{}", trouble.text);
        }
        let alone = lane.open_connections() == 0;
        let only_way = lane.limits.only_way;
        let change = lane.complained(now);
        let lane = self.lane_of[&id];
        self.forget_connection(id);
        if let Some(pause) = trouble.reply.as_ref().and_then(|reply| pause_of(&self.classifier, reply)) {
            self.pause(lane, pause, &trouble.text, now);
        }
        self.tell(lane, change, &trouble.text);
        if trouble.permanent && alone && only_way {
            self.drain(trouble.text.clone(), now);
        } else if trouble.permanent && alone {
            for task in self.lanes[lane].take_all() {
                let text = trouble.text.clone();
                self.finish_unsent(task, Disposition::Bounced, Some(trouble.class), text, now, actions);
            }
        }
    }

    /// One line for each change of what a site gets.
    fn tell(&self, id: LaneId, change: Change, cause: &str) {
        let lane = &self.lanes[id];
        let site = &lane.site.name;
        match change {
            Change::None => {}
            Change::Window => tracing::info!(site, connections = lane.window(), "slowed down: {cause}"),
            Change::Rest => tracing::info!(site, until = %lane.paused_until, "rests: {cause}"),
        }
    }

    fn on_ledger_failed(&mut self, problem: &str, now: Timestamp) {
        tracing::warn!("{problem}");
        if let Some(pacer) = &mut self.pacer {
            pacer.failed(now);
        }
        let since = *self.ledger_fails_since.get_or_insert(now);
        if now.since(since) >= LEDGER_PATIENCE {
            self.drain(problem.to_owned(), now);
        }
    }

    /// Rows of a lane that could not be reached for `give-up-after` are deferred.
    fn give_up_unreachable(&mut self, id: LaneId, now: Timestamp, actions: &mut Vec<Action>) {
        let give_up_after = self.settings.schedule.give_up_after();
        let lane = &mut self.lanes[id];
        if lane.unreachable_since.is_none_or(|since| now.since(since) < give_up_after) {
            return;
        }
        let why = lane.complaint.as_ref().map_or(String::new(), |complaint| format!(": {complaint}"));
        let detail = format!("no connection for {}s{why}", give_up_after.as_secs());
        for task in lane.take_all() {
            let (deferred, class) = (Disposition::Deferred, Some(Class::Network));
            self.finish_unsent(task, deferred, class, detail.clone(), now, actions);
        }
    }

    /// A row that ends without a transmission.
    fn finish_unsent(
        &mut self,
        task: Task,
        disposition: Disposition,
        class: Option<Class>,
        detail: String,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.count(disposition);
        actions.push(Action::Record(Outcome {
            class,
            detail: Some(detail),
            first_attempt_at: task.first_attempt_at,
            last_attempt_at: task.last_attempt_at,
            ..Outcome::new(task.row, task.attempts, Verdict::Final(disposition), now)
        }));
    }

    fn count(&mut self, disposition: Disposition) {
        self.left -= 1;
        match disposition {
            Disposition::Accepted => self.counts.accepted += 1,
            Disposition::Bounced => self.counts.bounced += 1,
            Disposition::Deferred => self.counts.deferred += 1,
            Disposition::InDoubt => self.counts.in_doubt += 1,
            Disposition::Suppressed => self.counts.suppressed += 1,
            Disposition::RenderFailed => self.counts.render_failed += 1,
            Disposition::Duplicate | Disposition::Invalid | Disposition::NotAttempted => {}
        }
    }

    /// Ends the run when nothing is left, or when the drain is over.
    fn end(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        match &self.phase {
            Phase::Running if self.left == 0 => self.phase = Phase::Finished,
            Phase::Draining { reason, until } if self.under_way.is_empty() || now >= *until => {
                self.phase = Phase::Stopped { reason: reason.clone(), at_once: false };
            }
            Phase::Running | Phase::Draining { .. } | Phase::Finished | Phase::Stopped { .. } => {}
        }
        if self.is_over() {
            let unused = self.pacer.as_mut().and_then(|pacer| pacer.give_back(now));
            actions.extend(unused.map(Action::Reserve));
            let ids = self.lanes.iter().flat_map(Lane::connection_ids);
            actions.extend(ids.map(Action::Close));
        }
    }
}
