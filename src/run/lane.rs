//! The queue and the connections of one site.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::concurrency::{Change, Concurrency};
use super::event::{Composed, Task};
use super::provider::ProviderId;
use super::site::Site;
use super::snapshot::LaneSnapshot;
use super::source::SourceId;
use crate::mail::{Envelope, Timestamp};
use crate::pacing::{Bucket, Rate};
use crate::smtp::ConnectionId;

/// The first wait after a connection could not be opened; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between attempts to open a connection.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The first rest of a site that does nothing but complain; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_secs(60);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);
/// A message that waited longer than this for its turn is composed again, so that `Date` and signature are fresh.
pub const STALE_AFTER: Duration = Duration::from_secs(60);

/// What a lane may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections to begin with, until the site has shown what it takes.
    pub initial: usize,
    /// Messages under way on one connection.
    pub pipeline_depth: usize,
    /// Recipients of one message, where all get the same text; at least 1.
    pub recipients: usize,
    /// Those of one message are of one domain. A relay takes any; of the hosts that serve several domains some take one
    /// at a time ("multiple destination domains per transaction is unsupported").
    pub one_domain: bool,
    /// Messages; one for several recipients counts once for each.
    pub rate: Option<Rate>,
    /// New connections.
    pub openings: Option<Rate>,
    /// Everything goes here: what this site refuses for good stops the run.
    pub only_way: bool,
}

/// Rows that were never touched: a piece of a list that several lanes share.
#[derive(Debug, Clone)]
pub struct Segment {
    rows: Arc<[u32]>,
    next: u32,
    end: u32,
}

/// A message that waits for a place on a connection.
#[derive(Debug)]
pub struct Ready {
    /// The rows that it is for, in the order of its recipients; at least one.
    pub tasks: Vec<Task>,
    pub composed: Composed,
    pub at: Timestamp,
}

/// The queue and the connections of one site.
#[derive(Debug)]
pub struct Lane {
    pub site: Arc<Site>,
    pub limits: Limits,
    pub provider: Option<ProviderId>,
    /// Rows that were given back, taken first.
    queue: VecDeque<Task>,
    fresh: VecDeque<Segment>,
    fresh_rows: usize,
    retries: BinaryHeap<Reverse<Retry>>,
    pub ready: VecDeque<Ready>,
    /// Rows that are being composed.
    pub preparing: usize,
    /// Messages granted and not reported, whether their connection is still there or not.
    pub granted: usize,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Open connections by what is under way on them.
    open: BTreeSet<(usize, ConnectionId)>,
    under_way: usize,
    concurrency: Concurrency,
    /// Recipients of one message: the limit, or what the site has shown to take.
    recipients: usize,
    rate: Option<Bucket>,
    openings: Option<Bucket>,
    /// Failures to connect since the last success.
    failures: u32,
    rests: u32,
    /// Since when no connection could be opened.
    pub unreachable_since: Option<Timestamp>,
    /// No connection is opened before.
    open_after: Timestamp,
    /// Nothing is sent before.
    pub paused_until: Timestamp,
    /// What the site complained of last.
    pub complaint: Option<String>,
    /// Nothing is sent before, for want of a place in some rate.
    pub throttled_until: Timestamp,
    /// It stands in the rotation.
    pub in_rotation: bool,
    /// It counts among those that have something to do.
    pub is_active: bool,
    /// The moment for which a timer is set.
    pub timer: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    source: SourceId,
    /// `None` while it is opening.
    open: Option<Open>,
}

/// An open connection.
#[derive(Debug, Clone, Copy)]
struct Open {
    under_way: usize,
    /// The journal's number for it.
    number: u32,
}

/// A place on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub connection: ConnectionId,
    /// The journal's number for the connection.
    pub number: u32,
    pub source: SourceId,
    /// How many recipients the message may have; at least 1.
    pub recipients: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Retry {
    at: Timestamp,
    task: Task,
}

impl Ord for Retry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.task.row).cmp(&(other.at, other.task.row))
    }
}

impl PartialOrd for Retry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Segment {
    /// The rows at `range` of `rows`.
    pub fn new(rows: Arc<[u32]>, range: std::ops::Range<u32>) -> Self {
        Self { rows, next: range.start, end: range.end }
    }

    /// All of `rows`.
    pub fn whole(rows: Arc<[u32]>) -> Self {
        let end = u32::try_from(rows.len()).expect("rows of a plan are numbered with 32 bits");
        Self::new(rows, 0..end)
    }

    /// How many rows are left.
    pub fn rows(&self) -> usize {
        (self.end - self.next) as usize
    }

    /// The first row, where there is one.
    pub fn first(&self) -> Option<u32> {
        (self.next < self.end).then(|| self.rows[self.next as usize])
    }
}

impl Iterator for Segment {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let row = self.first()?;
        self.next += 1;
        Some(row)
    }
}

impl Lane {
    /// A lane without rows.
    pub fn new(site: Arc<Site>, limits: Limits, provider: Option<ProviderId>, now: Timestamp) -> Self {
        Self {
            site,
            limits,
            provider,
            queue: VecDeque::new(),
            fresh: VecDeque::new(),
            fresh_rows: 0,
            retries: BinaryHeap::new(),
            ready: VecDeque::new(),
            preparing: 0,
            granted: 0,
            connections: BTreeMap::new(),
            open: BTreeSet::new(),
            under_way: 0,
            concurrency: Concurrency::new(limits.initial, limits.connections),
            recipients: limits.recipients.max(1),
            rate: limits.rate.map(|rate| Bucket::new(rate, now)),
            openings: limits.openings.map(|rate| Bucket::new(rate, now)),
            failures: 0,
            rests: 0,
            unreachable_since: None,
            open_after: Timestamp(i64::MIN),
            paused_until: Timestamp(i64::MIN),
            complaint: None,
            throttled_until: Timestamp(i64::MIN),
            in_rotation: false,
            is_active: false,
            timer: None,
        }
    }

    /// Rows that were never touched.
    pub fn add(&mut self, rows: Segment) {
        self.fresh_rows += rows.rows();
        self.fresh.push_back(rows);
    }

    /// Puts rows in front: they were taken and nothing of them went out.
    pub fn give_back(&mut self, tasks: impl IntoIterator<Item = Task, IntoIter: DoubleEndedIterator>) {
        tasks.into_iter().rev().for_each(|task| self.queue.push_front(task));
    }

    /// Puts a row off.
    pub fn put_off(&mut self, task: Task, at: Timestamp) {
        self.retries.push(Reverse(Retry { at, task }));
    }

    /// The next row to prepare: given back, then due again, then fresh.
    pub fn next(&mut self, now: Timestamp) -> Option<Task> {
        if let Some(task) = self.queue.pop_front() {
            return Some(task);
        }
        if self.retries.peek().is_some_and(|Reverse(retry)| retry.at <= now) {
            return self.retries.pop().map(|Reverse(retry)| retry.task);
        }
        while let Some(segment) = self.fresh.front_mut() {
            if let Some(row) = segment.next() {
                self.fresh_rows -= 1;
                return Some(Task::fresh(row));
            }
            self.fresh.pop_front();
        }
        None
    }

    /// When the next put-off row is due.
    fn next_retry_at(&self) -> Option<Timestamp> {
        self.retries.peek().map(|Reverse(retry)| retry.at)
    }

    /// Rows that could be prepared now.
    pub fn has_due(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() || self.fresh_rows > 0 || self.next_retry_at().is_some_and(|at| at <= now)
    }

    /// Rows that are not yet prepared.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.retries.len() + self.fresh_rows
    }

    /// Rows that wait for another attempt.
    pub fn retries(&self) -> usize {
        self.retries.len()
    }

    /// True when nothing is left of it but its memory of the site.
    pub fn is_done(&self) -> bool {
        self.waiting() == 0
            && self.ready.is_empty()
            && self.preparing == 0
            && self.granted == 0
            && self.connections.is_empty()
    }

    /// Takes every row that is not under way: they will not be sent.
    pub fn take_all(&mut self) -> Vec<Task> {
        self.fresh_rows = 0;
        let ready = self.ready.drain(..).flat_map(|ready| ready.tasks);
        let retries = self.retries.drain().map(|Reverse(retry)| retry.task);
        let fresh = self.fresh.drain(..).flatten().map(Task::fresh);
        ready.chain(self.queue.drain(..)).chain(retries).chain(fresh).collect()
    }

    /// Messages that wait go back to be composed again: all of them, or those that have become stale.
    pub fn take_back_ready(&mut self, now: Timestamp, all: bool) {
        let stale = |ready: &Ready| all || now.since(ready.at) > STALE_AFTER;
        let kept = self.ready.iter().position(|ready| !stale(ready)).unwrap_or(self.ready.len());
        for task in self.ready.drain(..kept).rev().flat_map(|ready| ready.tasks.into_iter().rev()) {
            self.queue.push_front(task);
        }
    }

    /// The first message that is ready, for the first `rows` of its rows; the others keep a copy.
    pub fn take_ready(&mut self, rows: usize) -> Ready {
        let first = self.ready.front_mut().expect("a ready message was counted");
        if rows >= first.tasks.len() {
            return self.ready.pop_front().expect("it was just looked at");
        }
        let Composed { envelope, message } = &mut first.composed;
        let envelope = Envelope {
            return_path: envelope.return_path.clone(),
            recipients: envelope.recipients.drain(..rows).collect(),
            archive: envelope.archive.clone(),
        };
        let composed = Composed { envelope, message: message.clone() };
        Ready { tasks: first.tasks.drain(..rows).collect(), composed, at: first.at }
    }

    /// Recipients that one message may have, where all get the same text.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// The site has shown that it takes so many recipients of a message and no more; true when that is news.
    pub fn takes_only(&mut self, recipients: usize) -> bool {
        let is_news = recipients < self.recipients;
        self.recipients = self.recipients.min(recipients.max(1));
        is_news
    }

    /// One more intent than the depth, so that the next is made durable while the others are on the wire.
    fn places(&self) -> usize {
        self.limits.pipeline_depth + 1
    }

    /// Free places on open connections.
    fn free_places(&self) -> usize {
        self.open.len() * self.places() - self.under_way
    }

    /// All places that the site is trusted with.
    pub fn all_places(&self) -> usize {
        self.concurrency.window() * self.places()
    }

    /// How many messages could leave at once.
    pub fn could_go(&self, now: Timestamp) -> usize {
        if now < self.paused_until || now < self.throttled_until {
            return 0;
        }
        self.ready.len().min(self.free_places())
    }

    /// Takes a place for a message with up to `most` recipients, on the connection with the least under way of those
    /// whose source has places left: `take` takes them. Where the lane's own rate has none, the moment at which it will
    /// have one.
    pub fn take_place(
        &mut self,
        now: Timestamp,
        most: usize,
        mut take: impl FnMut(SourceId, usize) -> Option<usize>,
    ) -> Result<Option<Place>, Timestamp> {
        let allowed = match &mut self.rate {
            Some(rate) => rate.take_up_to(most as u64, now)? as usize,
            None => most,
        };
        let places = self.places();
        let free = self.open.iter().take_while(|(under_way, _)| *under_way < places);
        let found = free
            .map(|(_, id)| (*id, self.connections[id].source))
            .find_map(|(id, source)| take(source, allowed).map(|recipients| (id, source, recipients)));
        let Some((connection, source, recipients)) = found else {
            self.put_back_rate(allowed);
            return Ok(None);
        };
        self.put_back_rate(allowed - recipients);
        let number = self.change_under_way(connection, |under_way| under_way + 1).expect("it is open");
        Ok(Some(Place { connection, number, source, recipients }))
    }

    /// What the rate had for recipients that do not get their message now.
    pub fn put_back_rate(&mut self, recipients: usize) {
        if let Some(rate) = &mut self.rate {
            rate.put_back(recipients as u64);
        }
    }

    /// Frees a place.
    pub fn free_place(&mut self, id: ConnectionId) {
        self.change_under_way(id, |under_way| under_way.saturating_sub(1));
    }

    /// The journal's number of the connection, when it is open.
    fn change_under_way(&mut self, id: ConnectionId, change: impl Fn(usize) -> usize) -> Option<u32> {
        let open = self.connections.get_mut(&id)?.open.as_mut()?;
        self.open.remove(&(open.under_way, id));
        self.under_way -= open.under_way;
        open.under_way = change(open.under_way);
        self.under_way += open.under_way;
        self.open.insert((open.under_way, id));
        Some(open.number)
    }

    /// How many connections should be opened now; those that the rate of openings has no place for, not yet.
    pub fn to_open(&mut self, now: Timestamp, allowed: usize) -> usize {
        if now < self.open_after || now < self.paused_until {
            return 0;
        }
        let opening = self.connections.len() - self.open.len();
        let without_place = self.ready.len().saturating_sub(self.free_places());
        let useful = without_place.div_ceil(self.places()).saturating_sub(opening);
        let free = self.concurrency.window().saturating_sub(self.connections.len()).min(allowed);
        // After a failure one connection tells whether the site is back.
        let wanted = if self.failures > 0 && opening > 0 { 0 } else { useful.min(free) };
        let wanted = if self.failures > 0 { wanted.min(1) } else { wanted };
        let Some(openings) = &mut self.openings else { return wanted };
        for taken in 0..wanted {
            if let Err(later) = openings.take_one(now) {
                self.open_after = later;
                return taken;
            }
        }
        wanted
    }

    /// True when messages wait without a place on a connection.
    pub fn lacks_places(&self) -> bool {
        self.ready.len() > self.free_places()
    }

    /// An open connection too many: more than the site is trusted with, the one with the least under way; or one
    /// without work, where those are not to be kept.
    pub fn to_close(&self, not_idle: bool) -> Option<ConnectionId> {
        let surplus = self.connections.len() > self.concurrency.window();
        let found = self.open.first().filter(|(under_way, _)| surplus || (not_idle && *under_way == 0));
        found.map(|(_, id)| *id)
    }

    /// How many connections leave from a source.
    pub fn connections_from(&self, source: SourceId) -> usize {
        self.connections.values().filter(|connection| connection.source == source).count()
    }

    pub fn opening(&mut self, id: ConnectionId, source: SourceId) {
        self.connections.insert(id, Connection { source, open: None });
    }

    pub fn opened(&mut self, id: ConnectionId, number: u32) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.open = Some(Open { under_way: 0, number });
            self.open.insert((0, id));
        }
        self.failures = 0;
        self.unreachable_since = None;
    }

    /// A connection could not be opened; true when the site could be reached before.
    pub fn not_opened(&mut self, id: ConnectionId, now: Timestamp) -> bool {
        self.remove(id);
        self.failures += 1;
        let is_new = self.open.is_empty() && self.unreachable_since.is_none();
        if is_new {
            self.unreachable_since = Some(now);
        }
        let backoff = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_BACKOFF);
        self.open_after = self.open_after.max(now + backoff);
        is_new
    }

    pub fn closed(&mut self, id: ConnectionId) {
        self.remove(id);
    }

    fn remove(&mut self, id: ConnectionId) {
        if let Some(Connection { open: Some(open), .. }) = self.connections.remove(&id) {
            self.open.remove(&(open.under_way, id));
            self.under_way -= open.under_way;
        }
    }

    /// No more is given to this connection: it closes when it has done what it has.
    pub fn retire(&mut self, id: ConnectionId) {
        self.open.retain(|(_, other)| *other != id);
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(open) = connection.open.take()
        {
            self.under_way -= open.under_way;
        }
    }

    /// Retires the connections from such sources; those that were open.
    pub fn retire_from(&mut self, is_spent: impl Fn(SourceId) -> bool) -> Vec<ConnectionId> {
        let spent = self.connections.iter().filter(|(_, c)| c.open.is_some() && is_spent(c.source));
        let ids: Vec<_> = spent.map(|(id, _)| *id).collect();
        for id in &ids {
            self.retire(*id);
        }
        ids
    }

    /// The site took a message over; true when it is trusted with more connections now.
    pub fn succeeded(&mut self) -> bool {
        self.rests = 0;
        self.concurrency.succeeded() == Change::Window
    }

    /// The site complained; what that changes.
    pub fn complained(&mut self, now: Timestamp) -> Change {
        let change = self.concurrency.complained();
        if change == Change::Rest {
            let rest = FIRST_REST.saturating_mul(1 << self.rests.min(10)).min(LONGEST_REST);
            self.rests += 1;
            self.pause(now + rest);
        }
        change
    }

    /// Nothing is sent before.
    pub fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(until);
    }

    /// The number of connections that the site is trusted with.
    pub fn window(&self) -> usize {
        self.concurrency.window()
    }

    pub fn open_connections(&self) -> usize {
        self.open.len()
    }

    pub fn connection_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// When this lane wants to be looked at again, apart from events; `paused_until` is the later of its own and its
    /// provider's.
    pub fn wake_at(
        &self,
        now: Timestamp,
        paused_until: Timestamp,
        give_up_after: Duration,
    ) -> Option<Timestamp> {
        let has_work = self.waiting() + self.ready.len() > 0;
        let pause = (has_work && paused_until > now).then_some(paused_until);
        let retry = self.next_retry_at().map(|at| at.max(paused_until));
        let waits = !self.ready.is_empty();
        let open = waits.then(|| self.open_after.max(paused_until));
        let throttle = waits.then_some(self.throttled_until);
        let stale = self.ready.front().map(|ready| ready.at + STALE_AFTER + Duration::from_micros(1));
        let given_up = self.unreachable_since.filter(|_| has_work).map(|since| since + give_up_after);
        let times = [pause, retry, open, throttle, stale, given_up];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// For reports.
    pub fn snapshot(&self, now: Timestamp, paused_until: Timestamp) -> LaneSnapshot {
        let why = self.complaint.as_ref().map_or(String::new(), |complaint| format!(": {complaint}"));
        let ready: usize = self.ready.iter().map(|ready| ready.tasks.len()).sum();
        let state = if now < paused_until {
            format!("paused until {paused_until}{why}")
        } else if let Some(since) = self.unreachable_since {
            format!("not reachable since {since}{why}")
        } else if self.window() < self.limits.initial {
            format!("slowed to {} connections{why}", self.window())
        } else {
            "open".to_owned()
        };
        LaneSnapshot {
            site: self.site.name.clone(),
            waiting: (self.waiting() + ready + self.preparing) as u64,
            under_way: self.under_way as u64,
            connections: self.open_connections() as u64,
            window: self.window() as u64,
            state,
        }
    }
}
