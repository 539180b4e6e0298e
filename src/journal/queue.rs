//! What waits for the writer's thread: one vector that many fill and one takes as a whole.
//!
//! Adding never blocks and never fails, so that an async task can do it. Those who fill it bound
//! it: see [`Writer`](super::Writer).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::{ConnectionInfo, Intent, Outcome};

/// One thing to be written.
#[derive(Debug)]
pub(super) enum Entry<T> {
    Connection(u32, ConnectionInfo),
    Intent(Intent, T),
    Outcome(Outcome),
}

#[derive(Debug)]
struct State<T> {
    entries: Vec<Entry<T>>,
    /// When the oldest entry came in.
    since: Option<Instant>,
    /// Intents among the entries, and when the oldest of them came in.
    intents: usize,
    intent_since: Option<Instant>,
    /// With this many intents waiting, a commit is due at once.
    company: usize,
    /// A caller of `flush` is waiting.
    urgent: bool,
    /// Flushes requested, and flushes done.
    asked: u64,
    done: u64,
    closed: bool,
    /// The writer's thread has ended.
    ended: bool,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    flushed: Condvar,
}

/// How long entries wait for more to join them, and how many are enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The longest wait of an intent.
    pub intent: Duration,
    /// The longest wait of anything.
    pub any: Duration,
    /// This many entries are a full group.
    pub full: usize,
}

impl<T> State<T> {
    /// How much longer the writer's thread waits; `None` while nothing is queued.
    fn wait(&self, patience: Patience) -> Option<Duration> {
        let enough_intents = self.intents > 0 && self.intents >= self.company;
        if self.urgent || self.closed || enough_intents || self.entries.len() >= patience.full {
            return Some(Duration::ZERO);
        }
        let rest = |since: Instant, longest: Duration| longest.saturating_sub(since.elapsed());
        let intent = self.intent_since.map(|since| rest(since, patience.intent));
        let any = self.since.map(|since| rest(since, patience.any));
        intent.into_iter().chain(any).min()
    }
}

/// What the writer's thread took.
pub(super) struct Taken {
    /// The number of the last flush that these entries complete.
    pub flush: u64,
    /// Nothing more will come.
    pub closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State {
            entries: Vec::new(),
            since: None,
            intents: 0,
            intent_since: None,
            company: 1,
            urgent: false,
            asked: 0,
            done: 0,
            closed: false,
            ended: false,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), flushed: Condvar::new() }
    }

    /// No code that holds the lock can panic half-way, so a poisoned lock still guards a whole
    /// state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `entries`. `company` is the number of waiting intents that makes a commit due at
    /// once; `None` leaves it unchanged.
    pub(super) fn put(
        &self,
        entries: impl IntoIterator<Item = Entry<T>>,
        company: Option<usize>,
        full: usize,
    ) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        let (before, intents_before) = (state.entries.len(), state.intents);
        for entry in entries {
            state.intents += usize::from(matches!(entry, Entry::Intent(..)));
            state.entries.push(entry);
        }
        if state.entries.len() == before {
            return;
        }
        state.company = company.unwrap_or(state.company);
        if before == 0 {
            state.since = Some(Instant::now());
        }
        if intents_before == 0 && state.intents > 0 {
            state.intent_since = Some(Instant::now());
        }
        // The thread sleeps until something is queued, until its wait becomes shorter, or until the
        // wait is over.
        let first = before == 0 || (intents_before == 0 && state.intents > 0);
        let enough = state.intents > 0 && state.intents >= state.company;
        let wake = first || enough || state.entries.len() >= full;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until a commit is due, then swaps the queue with `empty`.
    pub(super) fn take(&self, empty: &mut Vec<Entry<T>>, patience: Patience) -> Taken {
        let mut state = self.lock();
        loop {
            state = match state.wait(patience) {
                Some(Duration::ZERO) => break,
                Some(rest) => self.filled.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        std::mem::swap(&mut state.entries, empty);
        (state.since, state.intent_since, state.intents) = (None, None, 0);
        state.urgent = false;
        Taken { flush: state.asked, closed: state.closed }
    }

    /// Waits until everything queued before is durable or has failed. False when the thread has
    /// ended.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.lock();
        state.asked += 1;
        state.urgent = true;
        let number = state.asked;
        self.filled.notify_one();
        while state.done < number && !state.ended {
            state = self.flushed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.done >= number
    }

    pub(super) fn flushed(&self, number: u64) {
        self.lock().done = number;
        self.flushed.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.entries.clear();
        drop(state);
        self.flushed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{accepted, intent};

    const LONG: Duration = Duration::from_secs(3_600);
    const PATIENCE: Patience = Patience { intent: LONG, any: LONG.saturating_mul(2), full: 4 };

    fn intents(rows: std::ops::Range<u32>) -> impl Iterator<Item = Entry<()>> {
        rows.map(|row| Entry::Intent(intent(row, 1, 0), ()))
    }

    fn wait(queue: &Queue<()>) -> Option<Duration> {
        queue.lock().wait(PATIENCE)
    }

    #[test]
    fn a_commit_waits_for_company_that_may_come() {
        let queue = Queue::new();
        assert_eq!(wait(&queue), None, "nothing to write");
        queue.put([Entry::Outcome(accepted(9, 1, 0))], None, 4);
        assert!(wait(&queue).is_some_and(|wait| wait > LONG), "an outcome waits longest");
        queue.put(intents(0..1), Some(2), 4);
        assert!(wait(&queue).is_some_and(|wait| wait > Duration::ZERO && wait <= LONG));
        queue.put(intents(1..2), Some(2), 4);
        assert_eq!(wait(&queue), Some(Duration::ZERO), "enough of what is under way is here");
        queue.take(&mut Vec::new(), PATIENCE);
        assert_eq!(wait(&queue), None);
        queue.put(intents(2..3), Some(0), 4);
        assert_eq!(wait(&queue), Some(Duration::ZERO), "there is no company to wait for");
        queue.take(&mut Vec::new(), PATIENCE);
        queue.put(intents(3..7), Some(100), 4);
        assert_eq!(wait(&queue), Some(Duration::ZERO), "a full group");
    }
}
