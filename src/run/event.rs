//! What the dispatcher learns, and what it asks for. The dispatcher does nothing else than turn one into the other.

use std::sync::Arc;

use super::ids::{DomainId, LaneId, SourceId};
use super::limits::EnvelopeLimits;
use super::next_hops::{Routed, Unroutable};
use super::site::{Site, Trouble};
use super::task::{Prepared, Task};
use crate::journal::{Intent, Outcome};
use crate::mail::Class;
use crate::pacing::{Request, Reservation};
use crate::run_dir::StopReason;
use crate::smtp::{ConnectionId, Report, Transaction};

/// A demand to end the run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Finish what is under way, start nothing new.
    Drain,
    /// At once.
    Now,
}

/// What the dispatcher learns.
#[derive(Debug)]
pub enum Event {
    /// A row was composed and signed, or could not be.
    Prepared(Prepared),
    /// A connection is open; the number is the journal's.
    Opened(ConnectionId, u32),
    /// A connection could not be opened.
    NotOpened(ConnectionId, Trouble),
    /// A transaction ended.
    Reported(ConnectionId, Report),
    /// A connection is closed. Its reports came before, through the same channel.
    Closed(ConnectionId),
    /// The intents of this transaction became durable after its connection had closed: nothing of it went out.
    Undelivered(ConnectionId, u64),
    /// A lookup ended.
    Routed(DomainId, Result<Routed, Unroutable>),
    /// The ledger's answer.
    Reserved(Reservation),
    /// The ledger could not answer.
    LedgerFailed(String),
    /// A signal, a deadline, a failure outside.
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

/// What the dispatcher asks for.
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
    /// Find the way to a domain; the row is one of the domain's.
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
    /// Close a connection once what it has is done.
    Close(ConnectionId),
    /// Make the intents durable, then hand each transaction to its connection.
    Grant(Vec<Granted>),
    /// Write down what became of a row.
    Record(Outcome),
    /// The address of this row belongs on the suppression list.
    Suppress(u32, Class),
    /// Ask the ledger.
    Reserve(Request),
}
