//! The suppression list, its expiry, its lookup.
//!
//! One table of the state database (`<state dir>/state.db`, SQLite in WAL mode), shared by all campaigns of a user and
//! by the capacity ledger, which keeps its own tables in the same file. An address is compared in lower case, local
//! part included: who does not want mail as `bob@` does not want it as `Bob@`.
//!
//! - [`SuppressionList`] adds, removes, lists and imports.
//! - [`Checker`] screens a whole target group: fingerprints of the live entries in memory, SQLite only on a match.
//! - [`Watch`] answers "suppressed by now?" for one address while a run goes on.
//!
//! A damaged or foreign database is an error with a hint. It is never replaced by an empty one: that would mail people
//! who have unsubscribed.

mod checker;
mod entry;
mod error;
mod fingerprint;
mod list;
mod state;
mod watch;

pub use checker::Checker;
pub use entry::{AddressKey, Entry, EntryId, NewEntry, Reason, Term};
pub use error::SuppressionError;
pub use fingerprint::{Fingerprint, FingerprintMap, Fingerprinter};
pub use list::{Added, Entries, Filter, ImportCounts, SuppressionList};
pub use state::{APPLICATION_ID, open_state};
pub use watch::Watch;
