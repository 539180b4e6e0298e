//! The queue and the connections of one site.
//!
//! | file | its noun |
//! |---|---|
//! | `backlog` | the rows that wait, and the messages that are ready |
//! | `pool` | the connections and their places |
//! | `health` | how the site is doing: backoff, rests, pauses |
//! | `speed` | how many messages a second it takes |

mod backlog;
mod health;
mod pool;
mod speed;

use std::sync::Arc;
use std::time::Duration;

pub(super) use backlog::Ready;
pub use backlog::Segment;

use backlog::Backlog;
use health::Health;
use pool::Pool;

use super::concurrency::Change;
use super::ids::{ProviderId, SourceId};
use super::limits::LaneLimits;
use super::site::Site;
use super::snapshot::LaneSnapshot;
use super::source::NoPlace;
use super::task::Task;
use crate::mail::Timestamp;
use crate::smtp::ConnectionId;

/// The queue and the connections of one site.
#[derive(Debug)]
pub struct Lane {
    pub(super) site: Arc<Site>,
    pub(super) limits: LaneLimits,
    pub(super) provider: Option<ProviderId>,
    backlog: Backlog,
    pool: Pool,
    health: Health,
    /// Messages granted and not reported, whether their connection still exists or not.
    granted: usize,
    /// Recipients of one message: the limit, or fewer if the site has shown that it accepts fewer.
    recipients: usize,
    /// Rate-limited until this time, by the lane's own rate, its provider's or its sources'.
    throttled_until: Option<Timestamp>,
    /// The end of the pause for which late rows were looked for, and how many were left then.
    looked_through: Option<(Timestamp, usize)>,
}

/// A place on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The connection.
    pub connection: ConnectionId,
    /// The journal's number for the connection.
    pub number: u32,
    /// The local address that it leaves from.
    pub source: SourceId,
    /// How many recipients the message may have; at least 1.
    pub recipients: usize,
}

impl Lane {
    /// A lane without rows.
    pub fn new(site: Arc<Site>, limits: LaneLimits, provider: Option<ProviderId>, now: Timestamp) -> Self {
        Self {
            site,
            limits,
            provider,
            backlog: Backlog::default(),
            pool: Pool::new(&limits, now),
            health: Health::new(&limits, now),
            granted: 0,
            recipients: limits.recipients.max(1),
            throttled_until: None,
            looked_through: None,
        }
    }

    /// Adds rows that were never tried.
    pub fn add(&mut self, rows: Segment) {
        self.backlog.add(rows);
    }

    /// Puts a row off until `at`.
    pub fn put_off(&mut self, task: Task, at: Timestamp) {
        self.backlog.put_off(task, at);
    }

    /// Puts a row that came too fast for the site off until `at`, or until its turn at the rate
    /// that the site takes.
    pub(super) fn put_off_for_speed(&mut self, task: Task, at: Timestamp) {
        self.backlog.put_off_for_speed(task, at);
    }

    /// Puts rows in front of all others: their turn had come and nothing of them went out.
    pub(super) fn give_back(&mut self, tasks: impl IntoIterator<Item = Task, IntoIter: DoubleEndedIterator>) {
        self.backlog.give_back(tasks);
    }

    /// Takes up to `rows` rows to be composed; [`Self::prepared`] says that they are.
    pub(super) fn start_preparing(&mut self, rows: usize, now: Timestamp) -> Vec<Task> {
        self.backlog.start_preparing(rows, self.health.speed.early_rows(), now)
    }

    /// So many rows are no longer being composed.
    pub(super) fn prepared(&mut self, rows: usize) {
        self.backlog.prepared(rows);
    }

    /// Adds a message that is ready.
    pub(super) fn stock(&mut self, ready: Ready) {
        self.backlog.stock(ready);
    }

    /// Sends ready messages back to be composed again: all of them, or those that have become
    /// stale.
    pub(super) fn unstock(&mut self, all: bool, now: Timestamp) {
        self.backlog.unstock(all, now);
    }

    /// Takes every row that is neither being composed nor in flight: they will not be sent.
    pub(super) fn take_all(&mut self) -> Vec<Task> {
        self.backlog.take_all()
    }

    /// Takes the rows that are late after a pause until `until`. Looks through them once for each
    /// pause, and again when others have come.
    pub(super) fn take_late(&mut self, until: Timestamp, is_late: impl Fn(&Task) -> bool) -> Vec<Task> {
        if self.looked_through == Some((until, self.backlog.returned())) {
            return Vec::new();
        }
        let late = self.backlog.take_late(is_late);
        self.looked_through = Some((until, self.backlog.returned()));
        late
    }

    /// True when rows could be composed at `now`, are being composed, or are ready.
    pub(super) fn has_work(&self, now: Timestamp) -> bool {
        self.backlog.has_work(self.health.speed.early_rows() > 0, now)
    }

    /// Messages that are ready or being composed, when up to `recipients` rows share one.
    pub(super) fn messages_in_stock(&self, recipients: usize) -> usize {
        self.backlog.messages_in_stock(recipients)
    }

    /// True when a message is ready.
    pub(super) fn has_ready(&self) -> bool {
        self.backlog.ready() > 0
    }

    /// The number of recipients of the `nth` ready message, from 0.
    pub(super) fn recipients_of_ready(&self, nth: usize) -> Option<usize> {
        self.backlog.recipients_of(nth)
    }

    /// The bytes of the `nth` ready message, from 0.
    pub(super) fn bytes_of_ready(&self, nth: usize) -> Option<usize> {
        self.backlog.bytes_of(nth)
    }

    /// Rows that wait to be composed.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.waiting()
    }

    /// Rows that wait for another attempt.
    pub(super) fn retries(&self) -> usize {
        self.backlog.retries()
    }

    /// Rows that wait, are being composed or have their message.
    pub(super) fn rows(&self) -> usize {
        self.waiting() + self.backlog.in_stock()
    }

    /// When the last of the rows that wait for another attempt is due; `None` when none waits.
    pub(super) fn last_retry_at(&self) -> Option<Timestamp> {
        self.backlog.last_retry_at()
    }

    /// The rate that holds, configured or learnt, in messages a second.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.health.speed.per_second()
    }

    /// True when only the lane's memory of its site is left.
    pub(super) fn is_done(&self) -> bool {
        self.backlog.is_empty() && self.granted == 0 && self.pool.is_empty()
    }

    /// Takes the first ready message, for the first `recipients` of its rows, which is in flight
    /// from now on.
    pub(super) fn grant(&mut self, recipients: usize) -> Ready {
        self.granted += 1;
        self.backlog.take_ready(recipients)
    }

    /// A granted message is over: its place on the connection is free.
    pub(super) fn end_granted(&mut self, connection: ConnectionId) {
        self.granted -= 1;
        self.free_place(connection);
    }

    /// Recipients that one message may have, where all get the same text.
    pub(super) fn recipients(&self) -> usize {
        self.recipients
    }

    /// The site accepts no more than `recipients` recipients of a message; true when that is news.
    pub(super) fn limit_recipients(&mut self, recipients: usize) -> bool {
        let is_news = recipients < self.recipients;
        self.recipients = self.recipients.min(recipients.max(1));
        is_news
    }

    /// Places on all connections that the site is trusted with.
    pub(super) fn all_places(&self) -> usize {
        self.health.window() * self.pool.places()
    }

    /// True when a message is ready, a connection has a place for it, and no pause or rate holds it
    /// back.
    pub(super) fn can_send(&self, now: Timestamp) -> bool {
        let held_until = self.health.paused_until().max(self.throttled_until);
        Some(now) >= held_until && self.has_ready() && self.pool.free_places() > 0
    }

    /// Rate-limits the lane until this time.
    pub(super) fn throttle(&mut self, until: Timestamp) {
        self.throttled_until = Some(until);
    }

    /// Takes a place for a message with up to `most` recipients, on the connection with the fewest
    /// messages in flight of those whose source has places left: `take` takes them. The error is
    /// the earliest time at which there will be one.
    pub(super) fn take_place(
        &mut self,
        most: usize,
        now: Timestamp,
        mut take: impl FnMut(SourceId, usize) -> Result<usize, NoPlace>,
    ) -> Result<Place, NoPlace> {
        let allowed = self.health.speed.take(most, now).map_err(NoPlace::Until)?;
        let mut earliest = None;
        let found = self.pool.with_free_place().find_map(|(id, source)| match take(source, allowed) {
            Ok(recipients) => Some((id, source, recipients)),
            Err(later) => {
                earliest = Some(earliest.map_or(later, |earliest: NoPlace| earliest.min(later)));
                None
            }
        });
        let Some((connection, source, recipients)) = found else {
            self.put_back_rate(allowed);
            return Err(earliest.unwrap_or(NoPlace::Until(now)));
        };
        self.put_back_rate(allowed - recipients);
        let number = self.pool.take_place(connection).expect("it is open");
        Ok(Place { connection, number, source, recipients })
    }

    /// Returns to the rate what it had for recipients that do not get their message now.
    pub(super) fn put_back_rate(&mut self, recipients: usize) {
        self.health.speed.put_back(recipients);
    }

    /// Frees a place.
    pub(super) fn free_place(&mut self, id: ConnectionId) {
        self.pool.free_place(id);
    }

    /// How many connections to open now, at most `allowed`; what the rate of openings has no place
    /// for follows later.
    pub(super) fn openable(&mut self, allowed: usize, now: Timestamp) -> usize {
        let opening = self.pool.len() - self.pool.open();
        let without_place = self.backlog.ready().saturating_sub(self.pool.free_places());
        let useful = without_place.div_ceil(self.pool.places()).saturating_sub(opening);
        let free = self.health.window().saturating_sub(self.pool.len()).min(allowed);
        let wanted = self.health.openings(useful, free, || self.pool.unproven(), now);
        let (taken, later) = self.pool.take_openings(wanted, now);
        if let Some(later) = later {
            self.health.hold_openings(later);
        }
        taken
    }

    /// True when messages wait without a place on a connection.
    pub(super) fn lacks_places(&self) -> bool {
        self.backlog.ready() > self.pool.free_places()
    }

    /// An open connection too many: more than the site is trusted with or than `most`, or, if
    /// `close_idle`, one without work.
    pub(super) fn to_close(&self, most: usize, close_idle: bool) -> Option<ConnectionId> {
        self.pool.to_close(self.health.window().min(most), close_idle)
    }

    /// Opens no connection before `until`.
    pub(super) fn hold_openings(&mut self, until: Timestamp) {
        self.health.hold_openings(until);
    }

    /// How many connections leave from a source.
    pub(super) fn connections_from(&self, source: SourceId) -> usize {
        self.pool.leaving_from(source)
    }

    /// Connections that are open and take messages.
    pub(super) fn open_connections(&self) -> usize {
        self.pool.open()
    }

    /// The connections in any state.
    pub(super) fn connection_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.pool.ids()
    }

    /// A connection is being opened.
    pub(super) fn opening(&mut self, id: ConnectionId, source: SourceId) {
        self.pool.opening(id, source);
    }

    /// A connection is open; `number` is the journal's.
    pub(super) fn opened(&mut self, id: ConnectionId, number: u32) {
        self.pool.opened(id, number);
    }

    /// A transaction was begun on a connection: the site can be reached.
    pub(super) fn proven(&mut self, id: ConnectionId) {
        self.pool.proven(id);
        self.health.reached();
    }

    /// True when a transaction was begun on this connection.
    pub(super) fn is_proven(&self, id: ConnectionId) -> bool {
        self.pool.is_proven(id)
    }

    /// A connection could not be opened, or was lost before its first transaction; true when the
    /// site was reachable until now.
    pub(super) fn not_opened(&mut self, id: ConnectionId, cause: &str, now: Timestamp) -> bool {
        self.pool.remove(id);
        self.health.not_opened(cause, self.pool.open() > 0, now)
    }

    /// A connection is closed.
    pub(super) fn closed(&mut self, id: ConnectionId) {
        self.pool.remove(id);
    }

    /// The connection gets no more messages: it closes once those in flight have their replies.
    pub(super) fn retire(&mut self, id: ConnectionId) {
        self.pool.retire(id);
    }

    /// Retires the open connections from sources that are spent, and returns them.
    pub(super) fn retire_from(&mut self, is_spent: impl Fn(SourceId) -> bool) -> Vec<ConnectionId> {
        self.pool.retire_from(is_spent)
    }

    /// The site accepted a message for so many recipients that left at `started_at`; true when it
    /// is trusted with more connections now.
    pub(super) fn succeeded(&mut self, recipients: usize, started_at: Timestamp, now: Timestamp) -> bool {
        self.health.succeeded(recipients, started_at, now)
    }

    /// True when what left at `started_at` left before the lane slowed down.
    pub(super) fn has_slowed_since(&self, started_at: Timestamp) -> bool {
        self.health.speed.is_old(started_at)
    }

    /// The site refused a message for now: the rate in messages a second that the lane continues
    /// at, when it slows down.
    pub(super) fn slow_down(&mut self, now: Timestamp) -> Option<f64> {
        let settled_at = self.health.speed.complained(now)?;
        Some(self.settle(settled_at))
    }

    /// The site accepted a message that left at `started_at`: the rate in messages a second that
    /// the lane continues at, when that explains what it refused before.
    pub(super) fn explain(&mut self, started_at: Timestamp, now: Timestamp) -> Option<f64> {
        let settled_at = self.health.speed.explained(started_at, now)?;
        Some(self.settle(settled_at))
    }

    fn settle(&mut self, settled_at: Timestamp) -> f64 {
        self.throttled_until = self.throttled_until.max(Some(settled_at));
        self.health.speed.learnt().expect("it was just learnt")
    }

    /// The site complained; what that changes.
    pub(super) fn complained(&mut self, cause: &str, now: Timestamp) -> Change {
        self.health.complained(cause, now)
    }

    /// Remembers why the lane gets nothing for a while.
    pub(super) fn note(&mut self, complaint: &str) {
        self.health.note(complaint);
    }

    /// The site's last complaint.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.health.complaint()
    }

    /// Sends nothing before `until`; true when that is longer than before.
    pub(super) fn pause(&mut self, until: Timestamp) -> bool {
        self.health.pause(until)
    }

    /// The end of the lane's own pause or rest.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.health.paused_until()
    }

    /// Since when no connection could be opened.
    pub(super) fn unreachable_since(&self) -> Option<Timestamp> {
        self.health.unreachable_since()
    }

    /// The number of connections that the site is trusted with.
    pub(super) fn window(&self) -> usize {
        self.health.window()
    }

    /// When to look at this lane again if nothing happens; `paused_until` is the later of its own
    /// and its provider's.
    pub(super) fn wake_at(
        &self,
        paused_until: Option<Timestamp>,
        give_up_after: Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let waits = self.has_ready();
        let has_work = self.waiting() > 0 || waits;
        let early = self.health.speed.early_rows() > self.backlog.in_stock();
        let retry_at = self.backlog.next_retry_at(early);
        let times = [
            paused_until.filter(|_| has_work),
            retry_at.map(|at| paused_until.map_or(at, |until| at.max(until))),
            self.health.open_after().max(paused_until).filter(|_| waits),
            self.throttled_until.filter(|_| waits),
            self.backlog.stale_at(),
            self.unreachable_since().filter(|_| has_work).map(|since| since + give_up_after),
        ];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// For reports.
    pub(super) fn snapshot(&self, paused_until: Option<Timestamp>, now: Timestamp) -> LaneSnapshot {
        LaneSnapshot {
            site: self.site.name.clone(),
            waiting: self.rows() as u64,
            in_flight: self.pool.in_flight() as u64,
            connections: self.open_connections() as u64,
            window: self.window() as u64,
            state: self.health.describe(paused_until, now),
        }
    }
}
