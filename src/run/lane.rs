//! The queue and the connections of one site.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use super::event::{Composed, Task};
use super::snapshot::LaneSnapshot;
use crate::mail::Timestamp;
use crate::smtp::ConnectionId;

/// The first wait after a connection could not be opened; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between attempts to open a connection.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What a lane may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Messages under way on one connection.
    pub pipeline_depth: usize,
}

/// A message that waits for a place on a connection.
#[derive(Debug)]
pub struct Ready {
    pub task: Task,
    pub composed: Composed,
    pub at: Timestamp,
}

/// The queue and the connections of one site.
#[derive(Debug)]
pub struct Lane {
    /// The site's name.
    site: String,
    pub limits: Limits,
    /// Rows in order; those given back stand in front.
    queue: VecDeque<Task>,
    /// Rows that were never touched, taken after `queue`.
    fresh: VecDeque<u32>,
    retries: BinaryHeap<Reverse<Retry>>,
    pub ready: VecDeque<Ready>,
    pub preparing: usize,
    /// `None` while it is opening.
    connections: BTreeMap<ConnectionId, Option<Open>>,
    failures: u32,
    /// Since when no connection could be opened.
    pub unreachable_since: Option<Timestamp>,
    /// No connection is opened before.
    open_after: Timestamp,
    /// Nothing is sent before.
    pub paused_until: Timestamp,
}

/// An open connection.
#[derive(Debug, Clone, Copy)]
struct Open {
    under_way: usize,
    /// The journal's number for it.
    number: u32,
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

impl Lane {
    /// A lane with the rows that were never touched, in order.
    pub fn new(site: String, limits: Limits, fresh: VecDeque<u32>) -> Self {
        Self {
            site,
            limits,
            queue: VecDeque::new(),
            fresh,
            retries: BinaryHeap::new(),
            ready: VecDeque::new(),
            preparing: 0,
            connections: BTreeMap::new(),
            failures: 0,
            unreachable_since: None,
            open_after: Timestamp(i64::MIN),
            paused_until: Timestamp(i64::MIN),
        }
    }

    /// Puts a row in front: it was taken and nothing of it went out.
    pub fn give_back(&mut self, task: Task) {
        self.queue.push_front(task);
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
        self.fresh.pop_front().map(Task::fresh)
    }

    /// When the next put-off row is due.
    pub fn next_retry_at(&self) -> Option<Timestamp> {
        self.retries.peek().map(|Reverse(retry)| retry.at)
    }

    /// Rows that are not yet prepared.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.retries.len() + self.fresh.len()
    }

    /// Rows that wait for another attempt.
    pub fn retries(&self) -> usize {
        self.retries.len()
    }

    /// For reports.
    pub fn snapshot(&self, now: Timestamp) -> LaneSnapshot {
        let state = if now < self.paused_until {
            format!("paused until {}", self.paused_until)
        } else if let Some(since) = self.unreachable_since {
            format!("not reachable since {since}")
        } else {
            "open".to_owned()
        };
        LaneSnapshot {
            site: self.site.clone(),
            waiting: (self.waiting() + self.ready.len() + self.preparing) as u64,
            connections: self.open_connections() as u64,
            state,
        }
    }

    /// Rows that could be prepared now.
    pub fn due(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() || !self.fresh.is_empty() || self.next_retry_at().is_some_and(|at| at <= now)
    }

    /// Takes every row that is not under way: they will not be sent.
    pub fn take_all(&mut self) -> Vec<Task> {
        let ready = self.ready.drain(..).map(|ready| ready.task);
        let retries = self.retries.drain().map(|Reverse(retry)| retry.task);
        ready
            .chain(self.queue.drain(..))
            .chain(retries)
            .chain(self.fresh.drain(..).map(Task::fresh))
            .collect()
    }

    /// One more intent than the depth, so that the next is made durable while the others are on the wire.
    fn places(&self) -> usize {
        self.limits.pipeline_depth + 1
    }

    /// Free places on open connections.
    pub fn free_places(&self) -> usize {
        self.connections.values().flatten().map(|open| self.places().saturating_sub(open.under_way)).sum()
    }

    /// All places there could be.
    pub fn all_places(&self) -> usize {
        self.limits.connections * self.places()
    }

    /// Takes a place on the connection with the least under way; its id and the journal's number for it.
    pub fn take_place(&mut self) -> Option<(ConnectionId, u32)> {
        let places = self.places();
        let open = self.connections.iter_mut().filter_map(|(id, open)| Some((*id, open.as_mut()?)));
        let (id, open) = open.min_by_key(|(_, open)| open.under_way)?;
        (open.under_way < places).then(|| {
            open.under_way += 1;
            (id, open.number)
        })
    }

    /// Frees a place.
    pub fn free_place(&mut self, id: ConnectionId) {
        if let Some(Some(open)) = self.connections.get_mut(&id) {
            open.under_way = open.under_way.saturating_sub(1);
        }
    }

    /// How many connections should be opened now.
    pub fn to_open(&self, now: Timestamp) -> usize {
        if now < self.open_after || now < self.paused_until {
            return 0;
        }
        let opening = self.connections.values().filter(|c| c.is_none()).count();
        let without_place = self.ready.len().saturating_sub(self.free_places());
        let useful = without_place.div_ceil(self.places()).saturating_sub(opening);
        let allowed = self.limits.connections - self.connections.len().min(self.limits.connections);
        // After a failure one connection tells whether the site is back.
        if self.failures > 0 { useful.min(allowed).min(1 - opening.min(1)) } else { useful.min(allowed) }
    }

    pub fn opening(&mut self, id: ConnectionId) {
        self.connections.insert(id, None);
    }

    pub fn opened(&mut self, id: ConnectionId, number: u32) {
        self.connections.insert(id, Some(Open { under_way: 0, number }));
        self.failures = 0;
        self.unreachable_since = None;
    }

    pub fn not_opened(&mut self, id: ConnectionId, now: Timestamp) {
        self.connections.remove(&id);
        self.failures += 1;
        if self.open_connections() == 0 {
            self.unreachable_since.get_or_insert(now);
        }
        let backoff = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_BACKOFF);
        self.open_after = now + backoff;
    }

    pub fn closed(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    pub fn open_connections(&self) -> usize {
        self.connections.values().flatten().count()
    }

    pub fn connection_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// When this lane wants to be looked at again, apart from events.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let retry = self.next_retry_at();
        let open = (!self.ready.is_empty()).then_some(self.open_after.max(self.paused_until));
        [retry, open].into_iter().flatten().filter(|at| *at > now).min()
    }
}
