//! The ledger: who has taken how much of an account, shared by all processes.
//!
//! A process takes tokens in blocks. A block may be sent at any moment of its interval, so every window counts it whole
//! as long as any moment of it is inside. What a block didn't release in its time can be given back; a block whose
//! process died stays spent. [`Book`](book::Book) decides, without I/O; [`MemoryLedger`] and [`SqliteLedger`] keep it.

mod book;
mod daily;
mod error;
mod memory;
mod row;
mod sqlite;
mod thread;
mod usage;
mod window;

use std::sync::Arc;
use std::time::Duration;

use super::agreement::Agreement;
use super::clock::Reading;
use crate::mail::Timestamp;

pub use daily::DailyCaps;
pub use error::LedgerError;
pub use memory::{MemoryAccount, MemoryLedger};
pub use sqlite::SqliteLedger;
pub use thread::{Answer, LedgerThread};
pub use usage::{SlotUse, Usage, usage};

/// Grants blocks of an account's capacity to one process.
pub trait Ledger {
    /// Takes back what `request` returns, then grants what the windows allow, at the moment `at`.
    ///
    /// What is granted is on record before it is told: a process that dies, or a machine that loses its power, has spent
    /// it. An error grants nothing.
    fn reserve(&mut self, at: Reading, request: &Request) -> Result<Reservation, LedgerError>;
}

/// Who uses the capacity; shown by `mailrun capacity`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The campaign's id.
    pub campaign: Arc<str>,
    /// Names the process, such as `<run id>/<process id>`: never twice within two hours.
    pub process: Arc<str>,
}

impl Holder {
    /// `campaign`'s process `process`.
    pub fn new(campaign: &str, process: &str) -> Self {
        Self { campaign: campaign.into(), process: process.into() }
    }
}

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u64);

/// What a pacer asks of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// At most so many tokens; none when it is only about giving back.
    pub want: u64,
    /// The block shall begin here; it begins later when the ledger comes to it later.
    pub from: Timestamp,
    /// For how long the block shall last at least: longer than usual where the ledger is slow to answer.
    pub over: Duration,
    /// Where the line of `pace = "even"` begins: the run's first message.
    pub line_start: Timestamp,
    /// Blocks with tokens that were never released, and never will be.
    pub unused: Vec<Unused>,
}

/// A block that is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    /// Which one.
    pub block: BlockId,
    /// How many of its tokens were released; the others are given back.
    pub used: u64,
}

/// What the ledger answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// What was granted, if anything was.
    pub block: Option<Block>,
    /// Before this there is nothing more to be had.
    pub ask_again_at: Timestamp,
    /// Other processes have used the account in the last seconds.
    pub shared: bool,
    /// The limits in force: the strictest that any campaign on the account has named within the last hour. Where they are
    /// stricter than the campaign's own, the campaigns disagree, which is worth a warning.
    pub in_force: Agreement,
    /// Where the account's line begins: not later than was asked.
    pub line_start: Timestamp,
}

/// Tokens on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Which one.
    pub id: BlockId,
    /// How many messages, at least one.
    pub count: u64,
    /// They are released from here on,
    pub from: Timestamp,
    /// evenly over this time (zero: at once),
    pub over: Duration,
    /// and, when they were late, up to and including this moment;
    pub admit_until: Timestamp,
    /// and every message has begun at this moment at the latest.
    pub until: Timestamp,
}
