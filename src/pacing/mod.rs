//! Keeps to the agreed capacity: slots, the pacer, the ledger. Pure, except for the ledger.
//!
//! ```text
//!               ready messages                  Request: so many, from then on
//!   dispatcher ────────────────> Pacer ───────────────────────────────────> LedgerThread ──> Account
//!              <────────────────       <───────────────────────────────────                  (the ledger's)
//!               Admission: so many,             Reservation: a block
//!               valid until then
//! ```
//!
//! **Limits.** No window of 300 s, aligned or sliding, holds more than [`Agreement::per_slot`]
//! messages of an account, and no window of 3,600 s more than [`Agreement::per_hour`]. A message
//! counts from the moment it begins (`MAIL` on the wire). This holds across all campaigns and
//! processes on one ledger, whenever messages begin within their admission's interval, and through
//! crashes, restarts, power losses and steps of the system's clock. Every admission counts, used or
//! not. Tokens that were reserved and never admitted are given back; those of a process that died
//! stay spent.
//!
//! - Where campaigns name different limits for one account, the strictest of the last hour applies
//!   to all of them, from the moment it is named (see [`Pacer::stricter`]).
//! - Blocks from before the machine's last start are placed by the wall clock. If the clock was set
//!   back in between, they count as sent when the machine started, and expire an hour later. If it
//!   was set **forward**, for example by a wrong clock at boot, they seem older than they are, and
//!   an hour across the reboot can hold more than was agreed.
//! - A virtual machine restored to an earlier snapshot forgets what it has sent since, and so does
//!   a restored file.
//!
//! **Use.** While there is enough to send, an hour holds at least 99.5 % of what the windows allow
//! (`per_hour`, or twelve times `per_slot` where that is less), give or take the message due at the
//! turn of the hour: 99.9 % with a burst of 1 % or more, 99.55 % without.
//!
//! **Smoothness.** In any stretch of time one process releases no more than the burst rate allows,
//! plus a fifth of a second's worth and one message; several processes together, plus 1.2 seconds'
//! worth. `pace = "even"` follows the account's line: the nominal rate, counted from the first
//! message of the earliest process still working. After a stall the burst rate catches up with the
//! line, at most an hour back. An hour that caught up leaves less to the next, which pauses for the
//! same time an hour after the stall.

mod agreement;
mod audit;
mod bucket;
mod clock;
mod ledger;
mod pacer;
#[cfg(test)]
pub(crate) mod simulation;

pub use agreement::{Agreement, HOUR, Rate, SLOT, Terms};
pub use audit::{Audit, Fullest, OutOfOrder, audit};
pub use bucket::Bucket;
pub use clock::{BootId, Clock, Reading, Uptime};
pub use ledger::{
    Account, Answer, Block, BlockId, DailyCaps, Holder, Ledger, LedgerError, LedgerThread, MemoryCaps,
    MemoryLedger, Request, Reservation, SlotUse, Unused, Usage,
};
pub use pacer::{Admission, Pacer};

pub(crate) use agreement::micros;
pub(crate) use ledger::{BlockRecord, Book, Claim, of_book};
