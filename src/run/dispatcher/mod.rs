//! Owns the queues and the counts of a run, and decides which rows to compose, how many messages
//! leave now and over which connection, and what an answer means for its row.
//!
//! It does no I/O and reads no clock: [`Dispatcher::handle`] takes one event and the time, and
//! returns actions. So a whole run can be tested in simulated time.

mod copies;
mod files;
mod granting;
mod outlook;
mod passwords;
mod reports;
mod routing;
mod serving;
mod unscanned;

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::breaker::Breaker;
use super::concurrency::Change;
use super::directory::Directory;
use super::event::{Action, Event, Shutdown};
use super::ids::LaneId;
use super::judge::{failure_of, pause_of};
use super::lane::{Lane, Ready};
use super::lanes::Lanes;
use super::provider::Providers;
use super::scans::Scans;
use super::seats::{Seats, Shortage};
use super::site::Trouble;
use super::snapshot::OutcomeCounts;
use super::source::Sources;
use super::task::{NotComposed, Prepared, Task};
use crate::journal::{Outcome, Verdict};
use crate::mail::{Class, Disposition, Timestamp};
use crate::pacing::Pacer;
use crate::route::{Classifier, Schedule, class_of_failure};
use crate::run_dir::StopReason;
use crate::smtp::{ConnectionId, SessionError};

/// The most rows being prepared, over all lanes: the size of the channel through which they come
/// back.
pub const MOST_IN_PREPARATION: usize = 4_096;
/// The assumed size of a message in bytes before the first one is known: a few of the largest fit.
const FIRST_GUESS: usize = 4 << 20;
/// With so many active lanes no further domain is looked up. Lanes that are held back do not count.
const MOST_ACTIVE_LANES: usize = 1_024;
/// The most domains that are looked up at the same time.
const MOST_LOOKUPS: usize = 64;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When a transient failure is tried again.
    pub schedule: Schedule,
    /// No message starts at or after this time, for this reason.
    pub end: Option<(Timestamp, StopReason)>,
    /// How long a drain may take.
    pub drain: Duration,
    /// The agreed rate in messages a second; `None` when unpaced.
    pub per_second: Option<f64>,
    /// All get the same text: one message serves as many rows of a lane as its site accepts
    /// recipients.
    pub one_text: bool,
    /// Rows have a second mail, with a password: its number is that of the row and so much. It
    /// leaves once the row's message was accepted.
    pub passwords: Option<u32>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Sending.
    Running,
    /// Nothing new is started; messages in flight may end.
    Draining {
        /// Why the run stops.
        reason: StopReason,
        /// Messages in flight may end until this time.
        until: Timestamp,
    },
    /// Over: every row has its outcome.
    Finished,
    /// Over before every row had its outcome.
    Stopped {
        /// Why the run stopped.
        reason: StopReason,
        /// It did not wait for messages in flight.
        at_once: bool,
    },
}

/// A transaction in flight.
#[derive(Debug)]
struct InFlight {
    /// The rows that it is for, in the order of its recipients.
    tasks: Vec<Task>,
    lane: LaneId,
    /// The journal's number of the connection.
    connection: u32,
    message_id: String,
    bytes: u32,
    /// The row that carries the archive's copy, where that is sent again.
    copied_by: Option<u32>,
}

/// What a dispatcher is made of.
#[derive(Debug)]
pub struct Parts {
    /// The settings of the run.
    pub settings: Settings,
    /// The lanes that are known from the start, with their rows.
    pub lanes: Vec<Lane>,
    /// The domains whose lane is not known yet.
    pub directory: Directory,
    /// How many of those rows are mails with passwords.
    pub passwords: u64,
    /// The local addresses.
    pub sources: Sources,
    /// Keeps to the agreed capacity; without it messages leave as fast as they can.
    pub pacer: Option<Pacer>,
    /// Knows what replies mean.
    pub classifier: Classifier,
    /// Stops the run when its outcomes show that sending more does harm.
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
    /// All connections, whichever lane they belong to.
    seats: Seats,
    /// As many as the limit of open files leaves room for.
    most_seats: usize,
    /// Set while files are short.
    shortage: Option<Shortage>,
    pacer: Option<Pacer>,
    classifier: Classifier,
    breaker: Breaker,
    lane_of: FxHashMap<ConnectionId, LaneId>,
    /// Transactions by their numbers.
    in_flight: FxHashMap<u64, InFlight>,
    /// Rows that they are for.
    rows_in_flight: usize,
    next_transaction: u64,
    /// Rows that have no outcome yet, copies that the archive is still to get, and mails with
    /// passwords whose documents were accepted.
    left: u64,
    /// Those mails.
    passwords_left: u64,
    /// Rows that are being composed.
    preparing: usize,
    /// Lanes that wanted rows prepared when no more could be.
    hungry: Vec<LaneId>,
    looking_up: usize,
    /// The approximate size of a message.
    bytes_each: usize,
    /// As how many messages one counts, about.
    cost_each: f64,
    next_connection: u64,
    phase: Phase,
    counts: OutcomeCounts,
    ask_pacer_at: Option<Timestamp>,
    /// If all get the same text: nothing leaves before this time, so that more may leave together.
    gather_until: Option<Timestamp>,
    ledger_fails_since: Option<Timestamp>,
    scans: Scans,
}

impl Dispatcher {
    /// A dispatcher that has done nothing yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, lanes: known, directory, passwords, sources, pacer, classifier, breaker } =
            parts;
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
            seats: Seats::new(usize::MAX),
            most_seats: usize::MAX,
            shortage: None,
            pacer,
            classifier,
            breaker,
            lane_of: FxHashMap::default(),
            in_flight: FxHashMap::default(),
            rows_in_flight: 0,
            next_transaction: 0,
            left,
            passwords_left: passwords,
            preparing: 0,
            hungry: Vec::new(),
            looking_up: 0,
            bytes_each: FIRST_GUESS,
            cost_each: 1.0,
            next_connection: 1,
            phase: Phase::Running,
            counts: OutcomeCounts::default(),
            ask_pacer_at: None,
            gather_until: None,
            ledger_fails_since: None,
            scans: Scans::default(),
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

    /// The outcomes since this dispatcher began.
    pub fn counts(&self) -> OutcomeCounts {
        self.counts
    }

    /// The lanes, for reports.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The end of a lane's pause: its own or its provider's.
    pub fn paused_until(&self, lane: &Lane) -> Option<Timestamp> {
        lane.paused_until().max(self.providers.paused_until(lane.provider))
    }

    /// Rows whose lane is not known yet.
    pub fn unrouted(&self) -> u64 {
        self.directory.rows()
    }

    /// For each local address, the rest of its allowance; `None` without a limit.
    pub fn allowances(&self) -> Vec<Option<u64>> {
        self.sources.allowances()
    }

    /// Rows whose message is handed to a connection and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.rows_in_flight
    }

    /// Handles one event. Call [`Self::advance`] after the last one of a group.
    pub fn handle(&mut self, event: Event, now: Timestamp, actions: &mut Vec<Action>) {
        match event {
            Event::Prepared(prepared) => self.on_prepared(prepared, now, actions),
            Event::Opened(id, number) => {
                self.lane(id).opened(id, number);
                self.have_files(now);
            }
            Event::NotOpened(id, trouble) => self.on_not_opened(id, &trouble, now, actions),
            Event::Reported(id, report) => self.on_report(id, report, now, actions),
            Event::Closed(id, lost) => self.on_closed(id, lost, now, actions),
            Event::Undelivered(id, transaction) => self.on_undelivered(id, transaction, now, actions),
            Event::Routed(domain, route) => self.on_routed(domain, route, now, actions),
            Event::Reserved(reservation) => {
                self.ledger_fails_since = None;
                if let Some(pacer) = &mut self.pacer {
                    pacer.reserved(now, reservation);
                    if let Some(limits) = pacer.newly_stricter() {
                        tracing::warn!(
                            "another run on this capacity account has other limits; the strictest apply: {} an hour, {} in \
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
        }
    }

    /// Advances the run after events were handled: looks up, fills, opens, grants, ends.
    pub fn advance(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.phase == Phase::Running
            && let Some((_, reason)) = self.settings.end.as_ref().filter(|(end, _)| now >= *end)
        {
            self.drain(reason.clone(), now);
        }
        if self.sources.are_spent() && self.left > self.rows_in_flight as u64 {
            self.drain(StopReason::WarmUpSpent, now);
        }
        if self.phase == Phase::Running {
            self.look_up(now, actions);
            self.serve_touched(now, actions);
            self.grant(now, actions);
            // Fill the lanes that gave messages away.
            self.serve_touched(now, actions);
        }
        self.end(now, actions);
    }

    /// When to call [`Self::advance`] again even if nothing happens.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.phase {
            Phase::Draining { until, .. } => Some(*until),
            Phase::Finished | Phase::Stopped { .. } => None,
            Phase::Running => {
                let room = self.looking_up < MOST_LOOKUPS && self.lanes.active() < MOST_ACTIVE_LANES;
                let lookup = self.directory.wake_at().filter(|_| room);
                let end = self.settings.end.as_ref().map(|(end, _)| *end);
                let times = [end, lookup, self.lanes.wake_at(now), self.ask_pacer_at];
                times.into_iter().flatten().min()
            }
        }
    }

    /// The lane of a connection, marked as changed.
    fn lane(&mut self, id: ConnectionId) -> &mut Lane {
        let lane = *self.lane_of.get(&id).expect("a connection is in its lane until it is closed");
        self.lanes.touch(lane);
        &mut self.lanes[lane]
    }

    fn forget_connection(&mut self, id: ConnectionId) {
        let Some(lane) = self.lane_of.remove(&id) else { return };
        // The place goes to whoever waits for it; touching a lane that is gone meanwhile does no
        // harm.
        let next = self.seats.give_back();
        let provider = self.providers.get(self.lanes[lane].provider);
        let of_provider = provider.and_then(|provider| provider.seats.give_back());
        self.lanes.touch(lane);
        next.into_iter().chain(of_provider).for_each(|next| self.lanes.touch(next));
    }

    fn drain(&mut self, reason: StopReason, now: Timestamp) {
        if self.phase == Phase::Running {
            self.phase = Phase::Draining { reason, until: now + self.settings.drain };
        }
    }

    fn on_prepared(&mut self, prepared: Prepared, now: Timestamp, actions: &mut Vec<Action>) {
        let Prepared { tasks, lane: id, at, message } = prepared;
        self.preparing -= tasks.len();
        for hungry in self.hungry.drain(..) {
            self.lanes.touch(hungry);
        }
        self.lanes.touch(id);
        let lane = &mut self.lanes[id];
        lane.prepared(tasks.len());
        match message {
            Ok(composed) => {
                self.scans.answered();
                // A running mean in whole numbers.
                self.bytes_each = (self.bytes_each * 15 + composed.message.own_bytes()) / 16;
                let cost = self.pacer.as_ref().map_or(1, |pacer| pacer.cost(composed.message.bytes));
                self.cost_each = (self.cost_each * 15.0 + cost as f64) / 16.0;
                lane.stock(Ready { tasks, composed, at });
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
            Err(NotComposed::Infected(detail)) => {
                self.scans.answered();
                for task in tasks {
                    self.finish_unsent(task, Disposition::Infected, None, detail.clone(), now, actions);
                }
            }
            Err(NotComposed::NotScannable(detail)) => {
                for task in tasks {
                    self.finish_unsent(task, Disposition::Deferred, None, detail.clone(), now, actions);
                }
            }
            Err(NotComposed::Unscanned(why)) => self.on_unscanned(tasks, id, &why, now, actions),
            Err(NotComposed::Stop(reason)) => {
                lane.give_back(tasks);
                self.drain(reason, now);
            }
        }
    }

    /// A connection that was lost before a transaction was begun on it is no better than one that
    /// could not be opened.
    fn on_closed(
        &mut self,
        id: ConnectionId,
        lost: Option<SessionError>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let lane = self.lane(id);
        if let Some(error) = lost
            && !lane.is_proven(id)
        {
            let trouble = Trouble {
                of_machine: false,
                permanent: false,
                class: class_of_failure(failure_of(&error)).class,
                text: format!("session with `{}` lost before the first message: {error}", lane.site.name),
                reply: error.reply().cloned(),
            };
            return self.on_not_opened(id, &trouble, now, actions);
        }
        lane.closed(id);
        self.forget_connection(id);
    }

    fn on_not_opened(
        &mut self,
        id: ConnectionId,
        trouble: &Trouble,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if trouble.of_machine {
            return self.on_no_file(id, &trouble.text, now);
        }
        let lane = self.lane(id);
        if lane.not_opened(id, &trouble.text, now) {
            tracing::warn!(site = lane.site.name, "not reachable: {}", trouble.text);
        } else {
            tracing::debug!(connection = id.0, "{}", trouble.text);
        }
        let alone = lane.open_connections() == 0;
        let only_way = lane.limits.only_way;
        let change = lane.complained(&trouble.text, now);
        let lane = self.lane_of[&id];
        self.forget_connection(id);
        if let Some(pause) = trouble.reply.as_ref().and_then(|reply| pause_of(&self.classifier, reply)) {
            self.pause(lane, pause, &trouble.text, now);
        }
        self.log_change(lane, change, &trouble.text);
        if trouble.permanent && alone && only_way {
            let detail = trouble.text.clone();
            let is_login = trouble.class == Class::Authentication;
            let reason =
                if is_login { StopReason::LoginRefused { detail } } else { StopReason::NoSession { detail } };
            self.drain(reason, now);
        } else if trouble.permanent && alone {
            for task in self.lanes[lane].take_all() {
                let text = trouble.text.clone();
                self.finish_unsent(task, Disposition::Bounced, Some(trouble.class), text, now, actions);
            }
        }
    }

    /// Logs one line for each change of a site's concurrency.
    fn log_change(&self, id: LaneId, change: Change, cause: &str) {
        let lane = &self.lanes[id];
        let site = &lane.site.name;
        match change {
            Change::None => {}
            Change::Window => tracing::info!(site, connections = lane.window(), "slowed down: {cause}"),
            Change::Rest => tracing::info!(
                site,
                until = lane.paused_until().map(tracing::field::display),
                "rests: {cause}"
            ),
        }
    }

    /// Ends a row without a transmission.
    fn finish_unsent(
        &mut self,
        task: Task,
        disposition: Disposition,
        class: Option<Class>,
        detail: String,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if task.is_copy {
            return self.end_copy_unsent(&task, detail, now, actions);
        }
        self.count(task.row, disposition);
        actions.push(Action::Record(Outcome {
            class,
            detail: Some(detail),
            first_attempt_at: task.first_attempt_at,
            last_attempt_at: task.last_attempt_at,
            ..Outcome::new(task.row, task.attempts, Verdict::Final(disposition), now)
        }));
    }

    fn count(&mut self, row: u32, disposition: Disposition) {
        self.left -= 1;
        match self.is_password(row) {
            true => self.passwords_left -= 1,
            false => self.counts.add(disposition),
        }
    }

    /// Ends the run when no row is left, or when the drain is over.
    fn end(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        match &self.phase {
            Phase::Running if self.left == 0 => self.phase = Phase::Finished,
            Phase::Draining { reason, until } if self.in_flight.is_empty() || now >= *until => {
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
