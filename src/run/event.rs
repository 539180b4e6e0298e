//! What the dispatcher learns, and what it asks for. The dispatcher does nothing else than turn one into the other.

use std::sync::Arc;

use super::directory::DomainId;
use super::lane::Limits;
use super::provider::ProviderLimits;
use super::site::Site;
use super::source::SourceId;
use crate::journal::{Intent, Outcome};
use crate::mail::{Class, Envelope, Reply, SignedMessage, Timestamp};
use crate::pacing::{Request, Reservation};
use crate::smtp::{ConnectionId, Report, Transaction};

/// A lane: an index into the run's lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// A row that is to be sent, and what has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The row of the plan.
    pub row: u32,
    /// Transmissions so far: the next one is `attempts + 1`.
    pub attempts: u16,
    /// The first transmission, where there was one.
    pub first_attempt_at: Option<Timestamp>,
    /// The last transmission, where there was one.
    pub last_attempt_at: Option<Timestamp>,
}

impl Task {
    /// A row that was never tried.
    pub fn fresh(row: u32) -> Self {
        Self { row, attempts: 0, first_attempt_at: None, last_attempt_at: None }
    }
}

/// Rows after `prepare`.
#[derive(Debug)]
pub struct Prepared {
    /// The rows that the message is for, in the order of its recipients, or that have none.
    pub tasks: Vec<Task>,
    /// Their lane.
    pub lane: LaneId,
    /// When it was composed.
    pub at: Timestamp,
    /// The message, or why there is none.
    pub message: Result<Composed, NotComposed>,
}

/// A message that is ready to leave.
#[derive(Debug, Clone)]
pub struct Composed {
    /// Where it goes.
    pub envelope: Envelope,
    /// What it says, signed.
    pub message: SignedMessage,
}

/// Why a row has no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotComposed {
    /// The templates could not be rendered.
    RenderFailed(String),
    /// The address came onto the suppression list after the plan was made.
    Suppressed(String),
    /// Something that all rows need failed; the run can't go on.
    Stop(String),
}

/// What kept a connection from opening.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// True when another attempt can't help: a refused login, a missing or bad certificate.
    pub permanent: bool,
    /// Why.
    pub class: Class,
    /// What happened, a lowercase fragment that names the host.
    pub text: String,
    /// The server's reply, where there was one.
    pub reply: Option<Reply>,
}

/// Where the mail for a domain goes.
#[derive(Debug, Clone)]
pub struct Routed {
    /// The site; sites of the same name are one.
    pub site: Arc<Site>,
    /// What its lane may use.
    pub limits: Limits,
    /// The provider that it belongs to, if any.
    pub provider: Option<ProviderLimits>,
}

/// Why there is no way to a domain.
#[derive(Debug, Clone)]
pub struct Unroutable {
    /// True when another lookup can't help.
    pub permanent: bool,
    /// Why.
    pub class: Class,
    /// The addresses of the domain go on the suppression list.
    pub suppress: bool,
    /// What was found, a lowercase fragment that names the domain.
    pub text: String,
}

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
    /// A connection is closed; every transaction handed to it was reported before.
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
    Shutdown(Shutdown, String),
    /// Time has passed.
    Tick,
}

/// Which rows of a lane share a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// At most so many; 1 is a message for each.
    pub most: usize,
    /// Those of one domain only.
    pub one_domain: bool,
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
        /// How many of them share a message.
        together: Together,
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
