//! What happens to the dispatcher, and what it asks for: it turns events into actions and does
//! nothing else.

use std::sync::Arc;

use super::ids::{DomainId, LaneId, SourceId};
use super::limits::EnvelopeLimits;
use super::next_hops::{NoRoute, Routed};
use super::site::{Site, Trouble};
use super::task::{Prepared, Task};
use crate::journal::{Intent, Outcome};
use crate::mail::Class;
use crate::pacing::{Request, Reservation};
use crate::run_dir::StopReason;
use crate::smtp::{ConnectionId, Report, SessionError, Transaction};

/// A demand to stop the run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Start nothing new, and wait for the messages in flight.
    Drain,
    /// At once.
    Now,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Rows were composed and signed, or could not be.
    Prepared(Prepared),
    /// A connection is open; the number is the journal's.
    Opened(ConnectionId, u32),
    /// A connection could not be opened.
    NotOpened(ConnectionId, Trouble),
    /// A transaction ended.
    Reported(ConnectionId, Report),
    /// A connection is closed: why, if that was not as agreed. All of its reports came before,
    /// through the same channel.
    Closed(ConnectionId, Option<SessionError>),
    /// Nothing of this transaction went out: its connection had closed before its intents were
    /// durable, or the journal gave them up.
    Undelivered(ConnectionId, u64),
    /// A lookup ended.
    Routed(DomainId, Result<Routed, NoRoute>),
    /// The ledger's answer.
    Reserved(Reservation),
    /// The ledger could not answer.
    LedgerFailed(String),
    /// A signal, or a failure outside.
    Shutdown(Shutdown, StopReason),
}

impl From<(ConnectionId, Report)> for Event {
    fn from((id, report): (ConnectionId, Report)) -> Self {
        Self::Reported(id, report)
    }
}

/// A message that may leave once its intents are durable.
#[derive(Debug)]
pub struct Granted {
    /// Over which connection.
    pub connection: ConnectionId,
    /// One for each recipient.
    pub intents: Vec<Intent>,
    /// The message.
    pub transaction: Transaction,
}

/// Something that the dispatcher asks for.
#[derive(Debug)]
pub enum Action {
    /// Compose and sign.
    Prepare {
        /// For this lane.
        lane: LaneId,
        /// These rows.
        tasks: Vec<Task>,
        /// How many of them may share a message.
        limits: EnvelopeLimits,
    },
    /// Find the next hop of a domain; the row is one of the domain's.
    LookUp(DomainId, u32),
    /// Open a connection.
    Open {
        /// For this lane.
        lane: LaneId,
        /// Under this number.
        connection: ConnectionId,
        /// To this site.
        site: Arc<Site>,
        /// From this local address.
        source: SourceId,
    },
    /// Close a connection once its messages in flight are answered.
    Close(ConnectionId),
    /// Make the intents durable, then hand each transaction to its connection.
    Grant(Vec<Granted>),
    /// Record the outcome of an attempt.
    Record(Outcome),
    /// Add the address of this row to the suppression list.
    Suppress(u32, Class),
    /// Reserve capacity in the ledger, or give it back.
    Reserve(Request),
}
