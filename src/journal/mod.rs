//! Intents and outcomes: what a run was about to send, and what became of it.
//!
//! An [`Intent`] is durable before the first byte of its message's content goes out; the
//! [`Outcome`] follows. So after a kill at any moment an intent without an outcome, and nothing
//! else, is in doubt.
//!
//! - [`Journal`] is a journal held for writing; [`Writer`] the one thread that commits to it, in
//!   groups.
//! - [`Reader`] reads it from any process, also while the run is sending: first [`States`], eight
//!   bytes a row, then the details of single rows.
//!
//! A commit is one *group*: its number, a checksum, and its records one after the other ([`record`]
//! has their format). One line of a store for a group, instead of one for a record, makes the cost
//! of a record that of copying its bytes. The texts that all messages of a connection share are
//! stored once, under the connection's number.
//!
//! [`JournalStore`] is a journal as a store keeps it; [`crate::state`] has the backends. This
//! module never decides what to send, and never changes or removes a record.

mod codec;
mod commit;
mod error;
mod memory;
mod purge;
mod queue;
mod reader;
pub mod record;
mod resume;
mod states;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

#[cfg(test)]
mod tests;

pub use codec::Record;
pub use commit::Journal;
pub use error::JournalError;
pub use memory::MemoryJournal;
pub use reader::{Attempt, Details, Reader, Stretch};
pub use record::{ConnectionInfo, Intent, Outcome, Verdict};
pub use resume::{InDoubt, OpenIntent};
pub use states::{Damage, RowState, States};
pub use store::{Group, JournalRead, JournalStore, RunKey};
pub use writer::Writer;
