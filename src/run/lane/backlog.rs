//! The rows of a lane before they are granted: those that wait, those being composed, and the
//! messages that are ready.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::mail::{Envelope, Timestamp};
use crate::run::task::{Composed, Task};

/// A message that waited longer than this for its turn is composed again, so that `Date` and
/// signature are fresh.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// How often a row that its site refused for speed may go out before its schedule.
const MOST_EARLY: u8 = 5;
/// So long after its last attempt it may: sites count by the second.
const EARLY_AFTER: Duration = Duration::from_secs(1);

/// Rows that were never tried: a piece of a list that several lanes share.
#[derive(Debug, Clone)]
pub struct Segment {
    rows: Arc<[u32]>,
    next: u32,
    end: u32,
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

    /// The first row, if any is left.
    fn first(&self) -> Option<u32> {
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

/// A message that waits for a place on a connection.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The rows that it is for, in the order of its recipients; at least one.
    pub tasks: Vec<Task>,
    /// The message.
    pub composed: Composed,
    /// When it was composed.
    pub at: Timestamp,
}

/// A row that waits for another attempt; the earliest comes first.
#[derive(Debug, PartialEq, Eq)]
struct PutOff {
    at: Timestamp,
    task: Task,
}

impl Ord for PutOff {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.task.row).cmp(&(other.at, other.task.row))
    }
}

impl PartialOrd for PutOff {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Rows whose turn had come and of which nothing went out: they go first.
    given_back: VecDeque<Task>,
    fresh: VecDeque<Segment>,
    fresh_rows: usize,
    put_off: BinaryHeap<Reverse<PutOff>>,
    /// Those of which the site only said that they came too fast: once it takes mail at a rate,
    /// they follow the fresh rows and do not wait until they are due.
    too_fast: BinaryHeap<Reverse<PutOff>>,
    /// The latest time that a row was put off until.
    latest: Option<Timestamp>,
    /// Rows that are being composed.
    preparing: usize,
    ready: VecDeque<Ready>,
}

impl Backlog {
    /// Adds rows that were never tried, behind the others.
    pub(super) fn add(&mut self, rows: Segment) {
        self.fresh_rows += rows.rows();
        self.fresh.push_back(rows);
    }

    /// Puts rows in front of all others.
    pub(super) fn give_back(&mut self, tasks: impl IntoIterator<Item = Task, IntoIter: DoubleEndedIterator>) {
        tasks.into_iter().rev().for_each(|task| self.given_back.push_front(task));
    }

    /// Puts a row off until `at`.
    pub(super) fn put_off(&mut self, task: Task, at: Timestamp) {
        self.latest = self.latest.max(Some(at));
        self.put_off.push(Reverse(PutOff { at, task }));
    }

    /// Puts a row that came too fast for the site off until `at`, or until its turn at the rate
    /// that the site takes.
    pub(super) fn put_off_for_speed(&mut self, task: Task, at: Timestamp) {
        if task.early >= MOST_EARLY {
            return self.put_off(task, at);
        }
        self.latest = self.latest.max(Some(at));
        self.too_fast.push(Reverse(PutOff { at, task }));
    }

    /// Takes up to `rows` rows to be composed; [`Self::prepared`] says that they are. Rows that
    /// came too fast are among them before they are due while fewer than `early` rows are in stock.
    pub(super) fn start_preparing(&mut self, rows: usize, early: usize, now: Timestamp) -> Vec<Task> {
        let mut tasks: Vec<Task> = std::iter::from_fn(|| self.next(now)).take(rows).collect();
        let room = early.saturating_sub(self.in_stock() + tasks.len()).min(rows - tasks.len());
        tasks.extend(std::iter::from_fn(|| self.next_early(now)).take(room));
        self.preparing += tasks.len();
        tasks
    }

    /// The next row: given back, then due again, then fresh.
    fn next(&mut self, now: Timestamp) -> Option<Task> {
        if let Some(task) = self.given_back.pop_front() {
            return Some(task);
        }
        for put_off in [&mut self.put_off, &mut self.too_fast] {
            if put_off.peek().is_some_and(|Reverse(first)| first.at <= now) {
                return put_off.pop().map(|Reverse(put_off)| put_off.task);
            }
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

    /// The next row that came too fast, although it is not due.
    fn next_early(&mut self, now: Timestamp) -> Option<Task> {
        self.early_at().filter(|at| *at <= now)?;
        let Reverse(PutOff { task, .. }) = self.too_fast.pop()?;
        Some(Task { early: task.early + 1, ..task })
    }

    /// When the next row that came too fast may go out before it is due.
    fn early_at(&self) -> Option<Timestamp> {
        let Reverse(first) = self.too_fast.peek()?;
        let earliest = first.task.last_attempt_at.map_or(first.at, |last| last + EARLY_AFTER);
        Some(earliest.min(first.at))
    }

    /// So many rows are no longer being composed.
    pub(super) fn prepared(&mut self, rows: usize) {
        self.preparing -= rows;
    }

    /// Adds a message that is ready, behind the others.
    pub(super) fn stock(&mut self, ready: Ready) {
        self.ready.push_back(ready);
    }

    /// Sends messages back to be composed again: all of them, or those that have become stale.
    pub(super) fn unstock(&mut self, all: bool, now: Timestamp) {
        let stale = |ready: &Ready| all || now.since(ready.at) > STALE_AFTER;
        let kept = self.ready.iter().position(|ready| !stale(ready)).unwrap_or(self.ready.len());
        for task in self.ready.drain(..kept).rev().flat_map(|ready| ready.tasks.into_iter().rev()) {
            self.given_back.push_front(task);
        }
    }

    /// Takes the first ready message, for the first `rows` of its rows; the rest keep a copy of it.
    ///
    /// # Panics
    /// When no message is ready.
    pub(super) fn take_ready(&mut self, rows: usize) -> Ready {
        let first = self.ready.front_mut().expect("a ready message was counted");
        if rows >= first.tasks.len() {
            return self.ready.pop_front().expect("it was just looked at");
        }
        let Composed { envelope, message } = &mut first.composed;
        let envelope = Envelope {
            return_path: envelope.return_path.clone(),
            recipients: envelope.recipients.drain(..rows).collect(),
            archive: envelope.archive.clone(),
            is_copy: envelope.is_copy,
        };
        let composed = Composed { envelope, message: message.clone() };
        Ready { tasks: first.tasks.drain(..rows).collect(), composed, at: first.at }
    }

    /// Rows that were given back or put off.
    pub(super) fn returned(&self) -> usize {
        self.given_back.len() + self.retries()
    }

    /// Takes those of them that are late.
    pub(super) fn take_late(&mut self, is_late: impl Fn(&Task) -> bool) -> Vec<Task> {
        let mut late = Vec::new();
        let mut keep = |task: &Task| {
            let keeps = !is_late(task);
            if !keeps {
                late.push(*task);
            }
            keeps
        };
        self.given_back.retain(&mut keep);
        self.put_off.retain(|Reverse(put_off)| keep(&put_off.task));
        self.too_fast.retain(|Reverse(put_off)| keep(&put_off.task));
        late
    }

    /// Takes every row that is not being composed: they will not be sent.
    pub(super) fn take_all(&mut self) -> Vec<Task> {
        self.fresh_rows = 0;
        let ready = self.ready.drain(..).flat_map(|ready| ready.tasks);
        let put_off = self.put_off.drain().chain(self.too_fast.drain());
        let put_off = put_off.map(|Reverse(put_off)| put_off.task);
        let fresh = self.fresh.drain(..).flatten().map(Task::fresh);
        ready.chain(self.given_back.drain(..)).chain(put_off).chain(fresh).collect()
    }

    /// True when rows could be composed at `now`, are being composed, or are ready.
    /// `early` when those that came too fast need not be due.
    pub(super) fn has_work(&self, early: bool, now: Timestamp) -> bool {
        let has_due = !self.given_back.is_empty()
            || self.fresh_rows > 0
            || self.next_retry_at(early).is_some_and(|at| at <= now);
        has_due || !self.ready.is_empty() || self.preparing > 0
    }

    /// True when no row is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.ready.is_empty() && self.preparing == 0
    }

    /// Rows that wait to be composed, those for another attempt included.
    pub(super) fn waiting(&self) -> usize {
        self.given_back.len() + self.retries() + self.fresh_rows
    }

    /// Rows that wait for another attempt.
    pub(super) fn retries(&self) -> usize {
        self.put_off.len() + self.too_fast.len()
    }

    /// Rows that are being composed or whose message is ready.
    pub(super) fn in_stock(&self) -> usize {
        self.preparing + self.ready.iter().map(|ready| ready.tasks.len()).sum::<usize>()
    }

    /// Messages that are ready or being composed, when up to `recipients` rows share one.
    pub(super) fn messages_in_stock(&self, recipients: usize) -> usize {
        self.ready.len() + self.preparing.div_ceil(recipients)
    }

    /// Messages that are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The number of recipients of the `nth` ready message, from 0.
    pub(super) fn recipients_of(&self, nth: usize) -> Option<usize> {
        self.ready.get(nth).map(|ready| ready.tasks.len())
    }

    /// The bytes of the `nth` ready message, from 0.
    pub(super) fn bytes_of(&self, nth: usize) -> Option<usize> {
        self.ready.get(nth).map(|ready| ready.composed.message.bytes)
    }

    /// When the next row that was put off may go out; `early` when those that came too fast need
    /// not be due.
    pub(super) fn next_retry_at(&self, early: bool) -> Option<Timestamp> {
        let first = [self.put_off.peek(), self.too_fast.peek()].into_iter().flatten();
        first.map(|Reverse(put_off)| put_off.at).chain(self.early_at().filter(|_| early)).min()
    }

    /// When the last row that was put off is due.
    pub(super) fn last_retry_at(&self) -> Option<Timestamp> {
        self.latest.filter(|_| self.retries() > 0)
    }

    /// When the first ready message becomes stale.
    pub(super) fn stale_at(&self) -> Option<Timestamp> {
        self.ready.front().map(|ready| ready.at + STALE_AFTER + Duration::from_micros(1))
    }
}
