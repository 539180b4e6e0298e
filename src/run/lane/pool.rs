//! The connections of a lane and the places for messages on them.

use std::collections::{BTreeMap, BTreeSet};

use crate::mail::Timestamp;
use crate::pacing::Bucket;
use crate::run::ids::SourceId;
use crate::run::limits::LaneLimits;
use crate::smtp::ConnectionId;

#[derive(Debug, Clone, Copy)]
struct Connection {
    source: SourceId,
    /// A transaction was begun on it.
    is_proven: bool,
    /// `None` while it is opening, and once it is retired.
    open: Option<Open>,
}

/// An open connection.
#[derive(Debug, Clone, Copy)]
struct Open {
    in_flight: usize,
    /// The journal's number for it.
    number: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    connections: BTreeMap<ConnectionId, Connection>,
    /// Open connections by the number of messages in flight on each.
    open: BTreeSet<(usize, ConnectionId)>,
    in_flight: usize,
    /// Places on each connection.
    places: usize,
    /// The rate of new connections.
    openings: Option<Bucket>,
}

impl Pool {
    /// No connections yet.
    pub(super) fn new(limits: &LaneLimits, now: Timestamp) -> Self {
        Self {
            connections: BTreeMap::new(),
            open: BTreeSet::new(),
            in_flight: 0,
            // One more intent than the depth, so that the next one is made durable while the
            // others are on the wire.
            places: limits.pipeline_depth + 1,
            openings: limits.openings.map(|rate| Bucket::new(rate, now)),
        }
    }

    /// Places on each connection.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Places on open connections that no message has.
    pub(super) fn free_places(&self) -> usize {
        self.open.len() * self.places - self.in_flight
    }

    /// Messages handed to open connections and not yet answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Connections that are open and take messages.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Connections in any state, from the first attempt to open them until they are closed.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// True when there is no connection in any state.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// The connections in any state.
    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// How many connections leave from `source`.
    pub(super) fn leaving_from(&self, source: SourceId) -> usize {
        self.connections.values().filter(|connection| connection.source == source).count()
    }

    /// The open connections that have a free place, with their sources: those with the fewest
    /// messages in flight first.
    pub(super) fn with_free_place(&self) -> impl Iterator<Item = (ConnectionId, SourceId)> {
        let free = self.open.iter().take_while(|(in_flight, _)| *in_flight < self.places);
        free.map(|(_, id)| (*id, self.connections[id].source))
    }

    /// Takes a place on an open connection; its number in the journal.
    pub(super) fn take_place(&mut self, id: ConnectionId) -> Option<u32> {
        self.change_in_flight(id, |in_flight| in_flight + 1)
    }

    /// Frees a place, if the connection is still open.
    pub(super) fn free_place(&mut self, id: ConnectionId) {
        self.change_in_flight(id, |in_flight| in_flight.saturating_sub(1));
    }

    /// The journal's number of the connection, when it is open.
    fn change_in_flight(&mut self, id: ConnectionId, change: impl Fn(usize) -> usize) -> Option<u32> {
        let open = self.connections.get_mut(&id)?.open.as_mut()?;
        self.open.remove(&(open.in_flight, id));
        self.in_flight -= open.in_flight;
        open.in_flight = change(open.in_flight);
        self.in_flight += open.in_flight;
        self.open.insert((open.in_flight, id));
        Some(open.number)
    }

    /// Takes up to `wanted` openings from their rate. The moment is when it has the next one, when
    /// it has too few now.
    pub(super) fn take_openings(&mut self, wanted: usize, now: Timestamp) -> (usize, Option<Timestamp>) {
        let Some(openings) = &mut self.openings else { return (wanted, None) };
        for taken in 0..wanted {
            if let Err(later) = openings.take_one(now) {
                return (taken, Some(later));
            }
        }
        (wanted, None)
    }

    /// A connection is being opened.
    pub(super) fn opening(&mut self, id: ConnectionId, source: SourceId) {
        self.connections.insert(id, Connection { source, is_proven: false, open: None });
    }

    /// A transaction was begun on a connection.
    pub(super) fn proven(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_proven = true;
        }
    }

    /// True when a transaction was begun on this connection.
    pub(super) fn is_proven(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.is_proven)
    }

    /// Connections in any state on which no transaction was begun.
    pub(super) fn unproven(&self) -> usize {
        self.connections.values().filter(|connection| !connection.is_proven).count()
    }

    /// A connection is open; `number` is the journal's.
    pub(super) fn opened(&mut self, id: ConnectionId, number: u32) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.open = Some(Open { in_flight: 0, number });
            self.open.insert((0, id));
        }
    }

    /// A connection could not be opened, or is closed.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.retire(id);
        self.connections.remove(&id);
    }

    /// The connection gets no more messages: it closes once those in flight have their replies.
    pub(super) fn retire(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(open) = connection.open.take()
        {
            self.open.remove(&(open.in_flight, id));
            self.in_flight -= open.in_flight;
        }
    }

    /// Retires the open connections from sources that are spent, and returns them.
    pub(super) fn retire_from(&mut self, is_spent: impl Fn(SourceId) -> bool) -> Vec<ConnectionId> {
        let spent = self.connections.iter().filter(|(_, c)| c.open.is_some() && is_spent(c.source));
        let ids: Vec<_> = spent.map(|(id, _)| *id).collect();
        for id in &ids {
            self.retire(*id);
        }
        ids
    }

    /// An open connection too many: if there are more than `window`, the one with the fewest
    /// messages in flight; if `close_idle`, one with none.
    pub(super) fn to_close(&self, window: usize, close_idle: bool) -> Option<ConnectionId> {
        let surplus = self.connections.len() > window;
        let found = self.open.first().filter(|(in_flight, _)| surplus || (close_idle && *in_flight == 0));
        found.map(|(_, id)| *id)
    }
}
