//! The ledger: who has taken how much of an account, shared by all processes.
//!
//! A process takes tokens in blocks. A block may be sent at any moment of its interval, so every
//! window counts it whole as long as any moment of it is inside. What a block didn't release in its
//! time can be given back; a block whose process died stays spent. [`Book`] decides, without I/O
//! and without a clock; a backend keeps the blocks, supplies the time and serialises the processes
//! ([`crate::state`] has the backends, [`MemoryLedger`] is the one of a process).

mod book;
mod error;
mod memory;
mod thread;
mod usage;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;

use super::agreement::{Agreement, Terms};
use crate::kit::store::StoreError;
use crate::mail::Timestamp;

pub(crate) use book::{BlockRecord, Book, Claim};
pub use error::LedgerError;
pub use memory::{MemoryCaps, MemoryLedger};
pub use thread::{Answer, LedgerThread};
pub(crate) use usage::of_book;
pub use usage::{SlotUse, Usage};

/// The capacity accounts, shared by all campaigns and processes of one state.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// `holder`'s access to the account that `terms` name.
    fn join(&self, holder: Holder, terms: Terms) -> Result<Box<dyn Account>, LedgerError>;

    /// From now on, every block of the account's last hour names `limits`: those that campaigns
    /// named before no longer hold. Returns how many blocks named others. What was sent counts as
    /// before, and a process that works now goes on naming its own.
    fn set_limits(&self, account: &str, limits: Agreement) -> Result<u64, LedgerError>;

    /// The last hour of every account, by name.
    fn usage(&self) -> Result<Vec<Usage>, LedgerError>;
}

/// One process's access to an account: grants it blocks of the account's capacity.
pub trait Account: fmt::Debug + Send {
    /// Takes back what `request` returns, then grants what the windows allow at this moment, which
    /// is the backend's: one clock for all processes.
    ///
    /// Grants are persisted before they are returned: a process that dies, or a machine that loses
    /// its power, has spent them. An error grants nothing.
    fn reserve(&mut self, request: &Request) -> Result<Reservation, LedgerError>;
}

/// What local addresses have carried of a day's cap (a warm-up), shared by all processes of one
/// state.
///
/// A process takes its share before it sends and gives back what it did not use; a process that
/// died has spent it. So no number of processes exceeds a cap.
pub trait DailyCaps: fmt::Debug + Send + Sync {
    /// Takes up to `wanted` messages of what `source` has left of `cap` on `day`. Returns how many
    /// were taken.
    fn take(&self, source: &str, day: NaiveDate, cap: u64, wanted: u64) -> Result<u64, StoreError>;

    /// How many messages of `source` are taken on `day`.
    fn used(&self, source: &str, day: NaiveDate) -> Result<u64, StoreError>;

    /// Gives back what was taken and not used.
    fn give_back(&self, source: &str, day: NaiveDate, unused: u64) -> Result<(), StoreError>;
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

/// A pacer's request to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The most tokens wanted; 0 when the request only gives tokens back.
    pub want: u64,
    /// What the next message counts as: fewer are of no use. At most as many as a slot may carry.
    pub at_least: u64,
    /// When the block should begin; it begins later when the ledger decides later.
    pub from: Timestamp,
    /// How long the block should last at least: longer than usual where the ledger is slow to
    /// answer.
    pub over: Duration,
    /// Where the line of `pace = "even"` begins: the run's first message.
    pub line_start: Timestamp,
    /// Blocks with tokens that were not released and never will be.
    pub unused: Vec<Unused>,
}

/// A block whose use has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    /// Which one.
    pub block: BlockId,
    /// How many of its tokens were released; the rest is given back.
    pub used: u64,
}

/// The ledger's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The block granted, if any.
    pub block: Option<Block>,
    /// Nothing more is available before this.
    pub ask_again_at: Timestamp,
    /// Other processes have used the account within the last seconds.
    pub shared: bool,
    /// Another process that goes before this one wants all that there is.
    pub yields: bool,
    /// The limits in force: the strictest that any campaign on the account has named within the
    /// last hour. When they are stricter than the campaign's own, the campaigns disagree, which is
    /// worth a warning.
    pub in_force: Agreement,
    /// Where the account's line begins: never later than requested.
    pub line_start: Timestamp,
}

/// Granted tokens: their number and their times.
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
