//! Owns the queues and the counts of a run, and decides: which rows to compose, how many messages leave now and over
//! which connection, what an answer means for its row.
//!
//! It does no I/O and reads no clock: [`Dispatcher::handle`] takes one event and the time, and says what is to be done.
//! So a whole run can be tested in simulated time.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::event::{
    Action, Composed, Event, Granted, LaneId, NotComposed, Prepared, Shutdown, Task, Trouble,
};
use super::lane::{Lane, Ready};
use crate::journal::{Intent, Outcome, Verdict};
use crate::mail::{Class, Disposition, Reply, Timestamp};
use crate::pacing::Pacer;
use crate::route::{Action as ReplyAction, Classifier, Failure, Next, Schedule, class_of_failure};
use crate::smtp::{Command, ConnectionId, Fate, Report, SessionError, Transaction, Unfit};

/// A message that waited longer than this for its turn is composed again, so that `Date` and signature are fresh.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// Messages composed ahead of each lane's places, so that a place that comes free never waits for a signature.
const LOOK_AHEAD: usize = 64;
/// A ledger that fails for so long ends the run: without it nothing may leave.
const LEDGER_PATIENCE: Duration = Duration::from_secs(30);
/// Rows in preparation over all lanes: the places of the channel that they come back through.
pub const MOST_IN_PREPARATION: usize = 4_096;
/// A message composed ahead should leave within about this time at the agreed rate.
const LOOK_AHEAD_TIME: Duration = Duration::from_secs(5);

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

/// What is under way of one row.
#[derive(Debug)]
struct UnderWay {
    task: Task,
    lane: LaneId,
    /// The journal's number of the connection.
    connection: u32,
    /// Which transmission of the row it is, from 1.
    attempt: u16,
    message_id: String,
    bytes: u32,
}

/// How an attempt ends.
enum Ending {
    Final(Disposition),
    TryAgain,
}

/// What a fate means.
struct Judged {
    ending: Ending,
    class: Option<Class>,
    reply: Option<Reply>,
    detail: Option<String>,
    pause: Option<Duration>,
    stop: Option<String>,
    suppress: bool,
}

impl Judged {
    fn of(ending: Ending) -> Self {
        Self { ending, class: None, reply: None, detail: None, pause: None, stop: None, suppress: false }
    }

    fn without_reply(ending: Ending, failure: Failure, detail: String) -> Self {
        let class = class_of_failure(failure).class;
        Self { class: Some(class), detail: Some(detail), ..Self::of(ending) }
    }
}

fn failure_of(error: &SessionError) -> Failure {
    match error {
        SessionError::Protocol(_) => Failure::Protocol,
        SessionError::Closing(_)
        | SessionError::Closed { .. }
        | SessionError::ClosedIdle
        | SessionError::Timeout { .. }
        | SessionError::Io { .. } => Failure::Connection,
    }
}

fn failure_of_unfit(reason: Unfit) -> Failure {
    match reason {
        Unfit::SizeExceeded { .. } => Failure::TooLarge,
        Unfit::NeedsSmtputf8 | Unfit::NeedsEightBit => Failure::Unfit,
    }
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

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    settings: Settings,
    lanes: Vec<Lane>,
    pacer: Option<Pacer>,
    classifier: Classifier,
    breaker: Breaker,
    lane_of: HashMap<ConnectionId, LaneId>,
    under_way: HashMap<u32, UnderWay>,
    preparing: usize,
    next_connection: u64,
    next_lane: usize,
    phase: Phase,
    counts: Counts,
    ask_pacer_at: Option<Timestamp>,
    ledger_fails_since: Option<Timestamp>,
}

impl Dispatcher {
    /// A dispatcher over `lanes`; without a pacer messages leave as fast as they can.
    pub fn new(
        settings: Settings,
        lanes: Vec<Lane>,
        pacer: Option<Pacer>,
        classifier: Classifier,
        breaker: Breaker,
    ) -> Self {
        Self {
            settings,
            lanes,
            pacer,
            classifier,
            breaker,
            lane_of: HashMap::new(),
            under_way: HashMap::new(),
            preparing: 0,
            next_connection: 1,
            next_lane: 0,
            phase: Phase::Running,
            counts: Counts::default(),
            ask_pacer_at: None,
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
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Messages handed to connections and not yet answered.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Takes in one event. Call [`Self::advance`] after the last one of a group.
    pub fn handle(&mut self, event: Event, now: Timestamp, actions: &mut Vec<Action>) {
        match event {
            Event::Prepared(prepared) => self.on_prepared(prepared, now, actions),
            Event::Opened(id, number) => self.lane(id).opened(id, number),
            Event::NotOpened(id, trouble) => self.on_not_opened(id, &trouble, now),
            Event::Reported(id, report) => self.on_report(id, report, now, actions),
            Event::Closed(id) => {
                self.lane(id).closed(id);
                self.lane_of.remove(&id);
            }
            Event::Undelivered(id, row) => self.on_undelivered(id, row, now, actions),
            Event::Reserved(reservation) => {
                self.ledger_fails_since = None;
                if let Some(pacer) = &mut self.pacer {
                    pacer.reserved(now, reservation);
                }
            }
            Event::LedgerFailed(problem) => self.on_ledger_failed(&problem, now),
            Event::Shutdown(Shutdown::Drain, reason) => self.drain(reason, now),
            Event::Shutdown(Shutdown::Now, reason) => self.phase = Phase::Stopped { reason, at_once: true },
            Event::Tick => {}
        }
    }

    /// Moves the run on after events were taken in: fills, grants, opens connections, ends.
    pub fn advance(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.phase == Phase::Running && self.settings.not_after.is_some_and(|end| now >= end) {
            self.drain("the time given with --not-after is over".into(), now);
        }
        self.give_up_unreachable(now, actions);
        if self.phase == Phase::Running {
            self.refresh_stale(now);
            self.fill(now, actions);
            self.open(now, actions);
            self.grant(now, actions);
        }
        self.end(now, actions);
    }

    /// When [`Self::advance`] is to be called again even if nothing happens.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let drain = match &self.phase {
            Phase::Draining { until, .. } => Some(*until),
            Phase::Running => self.settings.not_after,
            Phase::Finished | Phase::Stopped { .. } => None,
        };
        let lanes = self.lanes.iter().filter_map(|lane| lane.wake_at(now));
        lanes.chain(drain).chain(self.ask_pacer_at).min()
    }

    fn lane(&mut self, id: ConnectionId) -> &mut Lane {
        let lane = *self.lane_of.get(&id).expect("a connection is in its lane until it is closed");
        &mut self.lanes[lane.0]
    }

    fn drain(&mut self, reason: String, now: Timestamp) {
        if self.phase == Phase::Running {
            self.phase = Phase::Draining { reason, until: now + self.settings.drain };
        }
    }

    /// Hands rows of lanes that have room to `prepare`.
    fn fill(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let ahead = self.settings.per_second.map_or(LOOK_AHEAD, |per_second| {
            ((per_second * LOOK_AHEAD_TIME.as_secs_f64()) as usize).clamp(1, LOOK_AHEAD)
        });
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if now < lane.paused_until {
                continue;
            }
            let target = match self.settings.per_second {
                None => lane.all_places() + ahead,
                Some(per_second) => ahead + (per_second as usize).min(lane.all_places()),
            };
            let room = target
                .saturating_sub(lane.ready.len() + lane.preparing)
                .min(MOST_IN_PREPARATION - self.preparing);
            // Whole batches while there is plenty in stock; the last rows one by one.
            if room == 0 || (room < target / 4 && !lane.ready.is_empty()) {
                continue;
            }
            let tasks: Vec<Task> = std::iter::from_fn(|| lane.next(now)).take(room).collect();
            if !tasks.is_empty() {
                lane.preparing += tasks.len();
                self.preparing += tasks.len();
                actions.push(Action::Prepare(LaneId(index), tasks));
            }
        }
    }

    /// Opens connections where messages wait without a place.
    fn open(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            for _ in 0..lane.to_open(now) {
                let id = ConnectionId(self.next_connection);
                self.next_connection += 1;
                lane.opening(id);
                self.lane_of.insert(id, LaneId(index));
                actions.push(Action::Open(LaneId(index), id));
            }
        }
    }

    /// Lets as many ready messages go as the pacer admits and places are free, lane by lane in turn.
    fn grant(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.ask_pacer_at = None;
        let could_go = |lane: &Lane| {
            if now < lane.paused_until { 0 } else { lane.ready.len().min(lane.free_places()) }
        };
        let wanted: usize = self.lanes.iter().map(could_go).sum();
        let backlog: usize =
            self.lanes.iter().map(|lane| lane.waiting() + lane.preparing + lane.ready.len()).sum();
        if wanted == 0 {
            return;
        }
        let (count, valid_until) = match &mut self.pacer {
            None => (wanted, Timestamp(i64::MAX)),
            Some(pacer) => {
                pacer.expect(backlog as u64);
                let admission = pacer.admit(now, wanted as u64);
                if let Some(request) = admission.request {
                    actions.push(Action::Reserve(request));
                }
                if (admission.count as usize) < wanted {
                    self.ask_pacer_at = Some(admission.ask_again_at);
                }
                (admission.count as usize, admission.valid_until)
            }
        };
        let mut granted = Vec::with_capacity(count);
        while granted.len() < count {
            let index = self.next_lane % self.lanes.len();
            self.next_lane = index + 1;
            if could_go(&self.lanes[index]) > 0 {
                granted.push(self.grant_one(LaneId(index), now, valid_until));
            }
        }
        if !granted.is_empty() {
            actions.push(Action::Grant(granted));
        }
    }

    fn grant_one(&mut self, id: LaneId, now: Timestamp, valid_until: Timestamp) -> (Intent, Granted) {
        let lane = &mut self.lanes[id.0];
        let (connection, number) = lane.take_place().expect("a free place was counted");
        let Ready { task, composed, .. } = lane.ready.pop_front().expect("a ready message was counted");
        let Composed { envelope, message } = composed;
        let attempt = task.attempts.saturating_add(1);
        let message_id = message.message_id.clone();
        let under_way = UnderWay {
            task,
            lane: id,
            connection: number,
            attempt,
            message_id: message_id.clone(),
            bytes: u32::try_from(message.bytes).unwrap_or(u32::MAX),
        };
        self.under_way.insert(task.row, under_way);
        let intent = Intent { row: task.row, attempt, at: now, connection: number, message_id };
        let transaction = Transaction { id: u64::from(task.row), envelope, message, valid_until };
        (intent, Granted { connection, transaction })
    }

    /// Sends messages that waited too long back to be composed again.
    fn refresh_stale(&mut self, now: Timestamp) {
        for lane in &mut self.lanes {
            while lane.ready.front().is_some_and(|ready| now.since(ready.at) > STALE_AFTER) {
                if let Some(ready) = lane.ready.pop_front() {
                    lane.give_back(ready.task);
                }
            }
        }
    }

    fn on_prepared(&mut self, prepared: Prepared, now: Timestamp, actions: &mut Vec<Action>) {
        let Prepared { task, lane: id, at, message } = prepared;
        self.preparing -= 1;
        let lane = &mut self.lanes[id.0];
        lane.preparing -= 1;
        match message {
            Ok(composed) => lane.ready.push_back(Ready { task, composed, at }),
            Err(NotComposed::RenderFailed(detail)) => {
                self.finish_unsent(task, Disposition::RenderFailed, None, detail, now, actions);
            }
            Err(NotComposed::Suppressed(detail)) => {
                self.finish_unsent(task, Disposition::Suppressed, None, detail, now, actions);
            }
            Err(NotComposed::Stop(reason)) => {
                lane.give_back(task);
                self.drain(reason, now);
            }
        }
    }

    fn on_not_opened(&mut self, id: ConnectionId, trouble: &Trouble, now: Timestamp) {
        let lane = self.lane(id);
        lane.not_opened(id, now);
        let alone = lane.open_connections() == 0;
        self.lane_of.remove(&id);
        tracing::warn!(connection = id.0, "{}", trouble.text);
        if trouble.permanent && alone {
            self.drain(trouble.text.clone(), now);
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
    fn give_up_unreachable(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let give_up_after = self.settings.schedule.give_up_after();
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            if lane.unreachable_since.is_some_and(|since| now.since(since) >= give_up_after) {
                for task in lane.take_all() {
                    let detail = format!("no connection for {}s", give_up_after.as_secs());
                    self.finish_unsent(
                        task,
                        Disposition::Deferred,
                        Some(Class::Network),
                        detail,
                        now,
                        actions,
                    );
                }
            }
        }
    }

    fn on_undelivered(&mut self, id: ConnectionId, row: u32, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(under_way) = self.under_way.remove(&row) {
            self.lanes[under_way.lane.0].free_place(id);
            self.withdraw(under_way, now, actions);
        }
    }

    /// The intent is void: nothing of the message went out, the row waits for its turn again.
    fn withdraw(&mut self, under_way: UnderWay, now: Timestamp, actions: &mut Vec<Action>) {
        let UnderWay { task, lane, connection, attempt, .. } = under_way;
        let mut outcome = Outcome::new(task.row, attempt, Verdict::Withdrawn, now);
        outcome.connection = Some(connection);
        actions.push(Action::Record(outcome));
        self.lanes[lane.0].give_back(task);
    }

    fn on_report(&mut self, id: ConnectionId, report: Report, now: Timestamp, actions: &mut Vec<Action>) {
        let row = u32::try_from(report.id).expect("transactions are numbered by rows of the plan");
        let Some(under_way) = self.under_way.remove(&row) else {
            return;
        };
        self.lanes[under_way.lane.0].free_place(id);
        let Report { fate, started_at, finished_at, .. } = report;
        if let Fate::NotStarted { .. } = fate {
            return self.withdraw(under_way, now, actions);
        }
        let UnderWay { mut task, lane, connection, attempt, message_id, bytes } = under_way;
        task.attempts = attempt;
        let first_attempt_at = *task.first_attempt_at.get_or_insert(started_at);
        task.last_attempt_at = Some(started_at);
        let judged = self.judge(fate);
        let verdict = match judged.ending {
            Ending::Final(disposition) => Verdict::Final(disposition),
            Ending::TryAgain => match self.settings.schedule.next(row, attempt, first_attempt_at, now) {
                Next::At(at) => Verdict::Retry { at },
                Next::GiveUp => Verdict::Final(Disposition::Deferred),
            },
        };
        if let Some(pause) = judged.pause {
            let lane = &mut self.lanes[lane.0];
            lane.paused_until = lane.paused_until.max(now + pause);
        }
        if let (true, Some(class)) = (judged.suppress, judged.class) {
            actions.push(Action::Suppress(row, class));
        }
        match verdict {
            Verdict::Final(disposition) => self.count(disposition),
            Verdict::Retry { at } => {
                self.counts.retries += 1;
                self.lanes[lane.0].put_off(task, at);
            }
            Verdict::Withdrawn => {}
        }
        let outcome = Outcome {
            connection: Some(connection),
            first_attempt_at: Some(first_attempt_at),
            last_attempt_at: Some(started_at),
            class: judged.class,
            reply: judged.reply,
            latency_us: Some(u64::try_from(finished_at.since(started_at).as_micros()).unwrap_or(u64::MAX)),
            bytes: Some(bytes),
            message_id: Some(message_id),
            detail: judged.detail,
            ..Outcome::new(row, attempt, verdict, finished_at)
        };
        if let Some(reason) = judged.stop.or_else(|| self.breaker.observe(&outcome)) {
            self.drain(reason, now);
        }
        actions.push(Action::Record(outcome));
    }

    /// What a fate means for its row, its site and the run.
    fn judge(&self, fate: Fate) -> Judged {
        let transient = fate.is_transient();
        match fate {
            Fate::Replied { reply, to: Command::EndOfMessage } if reply.is_positive() => {
                Judged { reply: Some(reply), ..Judged::of(Ending::Final(Disposition::Accepted)) }
            }
            Fate::Replied { reply, .. } => {
                let verdict = self.classifier.classify(&reply);
                let (again, pause, stop) = match verdict.action {
                    ReplyAction::TryAgain => (true, None, None),
                    ReplyAction::GiveUp => (transient, None, None),
                    ReplyAction::PauseSite(pause) | ReplyAction::PauseProvider(pause) => {
                        (transient, Some(pause), None)
                    }
                    ReplyAction::StopRun => (transient, None, Some(format!("the server said `{reply}`"))),
                };
                let ending = if again { Ending::TryAgain } else { Ending::Final(Disposition::Bounced) };
                Judged {
                    class: Some(verdict.class),
                    reply: Some(reply),
                    pause,
                    stop,
                    suppress: verdict.suppress && !again,
                    ..Judged::of(ending)
                }
            }
            Fate::Failed { error } => {
                Judged::without_reply(Ending::TryAgain, failure_of(&error), error.to_string())
            }
            Fate::InDoubt { error } => {
                let ending = Ending::Final(Disposition::InDoubt);
                Judged::without_reply(ending, failure_of(&error), error.to_string())
            }
            Fate::Unfit { reason } => {
                let ending = Ending::Final(Disposition::Bounced);
                Judged::without_reply(ending, failure_of_unfit(reason), reason.to_string())
            }
            Fate::NotStarted { why } => {
                Judged::without_reply(Ending::TryAgain, Failure::Connection, why.to_string())
            }
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
        let idle = self.under_way.is_empty() && self.preparing == 0;
        match &self.phase {
            Phase::Running if idle && self.lanes.iter().all(|l| l.waiting() == 0 && l.ready.is_empty()) => {
                self.phase = Phase::Finished;
            }
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
