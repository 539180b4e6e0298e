//! Connections that several lanes share: how many there may be, and who waits for one.

use std::collections::VecDeque;

use super::ids::LaneId;
use crate::mail::Timestamp;

/// See the module.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    taken: usize,
    /// Lanes that wait until a connection may be opened.
    waiting: VecDeque<LaneId>,
}

impl Seats {
    /// Up to `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, taken: 0, waiting: VecDeque::new() }
    }

    /// The most connections.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the most connections; those that exist stay.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Connections in any state.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many more connections may be opened.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.taken)
    }

    /// A connection is being opened.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// A connection is gone. Returns the lane that has waited longest to open one.
    pub(super) fn give_back(&mut self) -> Option<LaneId> {
        self.taken -= 1;
        self.waiting.pop_front()
    }

    /// A lane waits until it may open a connection.
    pub(super) fn wait(&mut self, id: LaneId) {
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// True when a lane waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// Too few files for the connections that were wanted.
#[derive(Debug)]
pub(super) struct Shortage {
    /// Since when there was no connection at all.
    pub since: Timestamp,
    /// When it was seen last.
    pub last: Timestamp,
}
