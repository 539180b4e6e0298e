//! The suppression list: who gets no mail, why, and until when.
//!
//! An address is compared in lower case, local part included: who does not want mail as `bob@` does
//! not want it as `Bob@`.
//!
//! An entry is for all mail, or for that of one list ([`Scope`]): who leaves a newsletter still
//! gets alarms. A campaign's mail is blocked by either.
//!
//! - [`Suppressions`] is the list as a store keeps it; [`crate::state`] has its backends,
//!   [`MemoryList`] keeps one for a process.
//! - [`Checker`] screens a whole target group: fingerprints of the live entries in memory, the list
//!   only on a match.
//! - [`Watch`] answers "suppressed by now?" for one address during a run, from memory; a [`Feed`]
//!   keeps it current.

mod checker;
mod entry;
mod fingerprint;
mod list;
mod memory;
mod scope;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

pub use checker::Checker;
pub use entry::{AddressKey, Entry, EntryId, NewEntry, Reason, Term, why};
pub use fingerprint::{Fingerprint, FingerprintMap, Fingerprinter};
pub use list::{Added, Change, Entries, Filter, ImportCounts, Suppressions};
pub use memory::MemoryList;
pub use scope::Scope;
pub use watch::{Feed, Watch, WatchError};
