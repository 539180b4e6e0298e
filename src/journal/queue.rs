//! What waits for the writer's thread: one vector that is filled by many and taken as a whole by one.
//!
//! Putting something in never blocks and never fails, so that it can be done from an async task. It is bounded by
//! who fills it: see [`Writer`](super::Writer).

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
    /// Something waits for the commit: an intent, or a caller of `flush`.
    urgent: bool,
    /// Flushes that were asked for, and those that are done.
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

/// What the writer's thread finds.
pub(super) struct Taken {
    /// The number of the last flush that these entries complete.
    pub flush: u64,
    /// Nothing will come any more.
    pub closed: bool,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        let state = State {
            entries: Vec::new(),
            since: None,
            urgent: false,
            asked: 0,
            done: 0,
            closed: false,
            ended: false,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), flushed: Condvar::new() }
    }

    /// No code that holds the lock can panic half-way, so a poisoned lock still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, entries: impl IntoIterator<Item = Entry<T>>, full: usize) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        let before = state.entries.len();
        for entry in entries {
            state.urgent |= matches!(entry, Entry::Intent(..));
            state.entries.push(entry);
        }
        if state.entries.is_empty() {
            return;
        }
        // The thread sleeps until there is something, until something is urgent, or until a group is full.
        let wake = before == 0 || state.urgent || state.entries.len() >= full;
        if before == 0 {
            state.since = Some(Instant::now());
        }
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until there is a reason to commit, then swaps what waits with `empty`.
    pub fn take(&self, empty: &mut Vec<Entry<T>>, longest: Duration, full: usize) -> Taken {
        let mut state = self.lock();
        loop {
            if state.urgent || state.closed || state.entries.len() >= full {
                break;
            }
            state = match state.since.map(|since| longest.saturating_sub(since.elapsed())) {
                Some(Duration::ZERO) => break,
                Some(rest) => self.filled.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        std::mem::swap(&mut state.entries, empty);
        state.since = None;
        state.urgent = false;
        Taken { flush: state.asked, closed: state.closed }
    }

    /// Waits until all that was put in before is on disk or has failed. False when the thread has ended.
    pub fn flush(&self) -> bool {
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

    pub fn flushed(&self, number: u64) {
        self.lock().done = number;
        self.flushed.notify_all();
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.entries.clear();
        drop(state);
        self.flushed.notify_all();
    }
}
