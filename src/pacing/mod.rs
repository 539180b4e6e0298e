//! Slots, pacer, ledger. Pure, except the ledger.

mod agreement;
mod bucket;
mod clock;
mod ledger;
mod pacer;

pub use agreement::{Agreement, HOUR, SLOT, Terms};
pub use clock::{BootId, Clock, Reading, Uptime};
pub use ledger::{Block, BlockId, Holder, Ledger, LedgerError, MemoryLedger, Request, Reservation, Unused};
pub use pacer::{Admission, Pacer};
