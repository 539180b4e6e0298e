//! Slots, pacer, ledger. Pure, except the ledger.
//!
//! ```text
//!               ready messages                  Request: so many, from then on
//!   dispatcher ────────────────> Pacer ───────────────────────────────────> LedgerThread ──> Account
//!              <────────────────       <───────────────────────────────────                  (the ledger's)
//!               Admission: so many,             Reservation: a block
//!               valid until then
//! ```
//!
//! **What holds.** No window of 300 s, aligned or sliding, in which messages of an account begin (`MAIL` on the wire)
//! holds more than [`Agreement::per_slot`] of them, and no window of 3,600 s more than [`Agreement::per_hour`]: over all
//! campaigns and processes on one ledger, whenever inside their admissions' intervals the messages begin, and through
//! crashes, restarts, power losses and any step of the system's clock. Every admission counts, used or not; what was
//! reserved and never admitted is given back, and stays spent when the process died.
//!
//! - Where campaigns name different limits for one account, the strictest of the last hour holds for all, from the moment
//!   it is named ([`Pacer::stricter`] tells).
//! - Blocks from before the machine's last start are placed by the wall clock. If it was set back in between, they count as
//!   sent when the machine started, and are over an hour later. If it was set **forth** in between, by a wrong clock at
//!   boot say, they seem older than they are: by that much an hour across the reboot can hold more than was agreed.
//! - A machine (a virtual one) that is put back to an earlier state forgets what it has sent since, and so do files.
//!
//! **What is used.** With supply, an hour holds at least 99.5 % of what the windows allow
//! (`per_hour`, or twelve times `per_slot` where that is less; give or take the message that is due at its turn): 99.9 % where the burst is 1 %
//! or more, 99.55 % without one.
//!
//! **How smooth.** One process lets go no more than the burst rate makes of a time, a fifth of a second's worth and one
//! message. Several together: 1.2 seconds' worth. `pace = "even"` follows the account's line: the nominal rate from the
//! first message on of the process that began first of those at work. After a stall the burst catches up with it, at most
//! an hour back. What an hour has made up for in this way, the next can't carry too: it has a pause of the same length,
//! an hour after the stall.

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
